"""Casts whose depth bins have their volume from a list of all images, without EcoPart."""

from pathlib import Path

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import OBJECTS, SAMPLES, Ingested, finding, typed
from aqqua_dist.effort.acquisitions import image_bins
from aqqua_dist.effort.choices import choice_of


def with_bins(ingested, choices, found):
    """Casts as the samples of their depth bins, for instruments whose choice names a table of images.

    Parameters
    ----------
    ingested : aqqua_dist.core.tables.Ingested
        With the casts as samples.
    choices : dict of str to aqqua_dist.effort.choices.Choice
        By instrument.
    found : list of dict
        Takes findings.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        Each cast in the table of images gives way to its bins: ``profile``
        is the cast, ``n_images`` all images of the bin, and ``acquisitions``
        has a row per bin. Objects go by their depth; those whose bin has no
        image are refused.

    Raises
    ------
    UserError
        The table of images cannot be read, or knows none of the casts.
    """
    wanted = {}
    for name in ingested.samples["instrument"].dropna().unique():
        choice = choice_of(name, choices)
        if choice is not None and choice.images:
            wanted.setdefault((choice.images, choice.thickness), []).append(name)
    for (path, thickness), names in wanted.items():
        mine = ingested.samples[ingested.samples["instrument"].isin(names) & ingested.samples["volume"].isna()]
        if len(mine):
            ingested = _replaced(ingested, mine, image_bins(_images(path), thickness=thickness), path, found)
    return ingested


def _images(path):
    try:
        if Path(path).suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path, sep=None, engine="python", dtype={"sample_id": "string", "image_id": "string"})
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise UserError(f"table of images {str(path)!r} cannot be read ({str(error).splitlines()[0]}).") from None
    return table.rename(columns={"profile": "sample_id"}) if "sample_id" not in table else table


def _replaced(ingested, mine, bins, path, found):
    bins = bins.assign(profile=bins["sample_id"].astype(str))
    ids = set(mine["sample_id"])
    strange = sorted(set(bins["profile"]) - ids)
    bins = bins[bins["profile"].isin(ids)].reset_index(drop=True)
    if bins.empty:
        raise UserError(
            f"table of images {str(path)!r} knows none of the {len(ids)} casts, first {sorted(ids)[0]!r}; it has {strange[:3]}."
        )
    if strange:
        message = f"images of {len(strange)} casts, first {strange[0]!r}, belong to no sample here and were left out."
        found.append(finding("suspicious", "images", message, file=str(path), value=strange[0]))
    edges = zip(bins["profile"], bins["depth_top"], bins["depth_bottom"], strict=True)
    bins["sample_id"] = [f"{cast}:{top:g}-{bottom:g}" for cast, top, bottom in edges]
    done = set(bins["profile"])
    about = mine.set_index("sample_id").drop(columns=["depth_top", "depth_bottom", "n_images", "profile"])
    rows = bins.join(about, on="profile")
    samples = pd.concat([ingested.samples[~ingested.samples["sample_id"].isin(done)], typed(rows, SAMPLES)])
    acquisitions = ingested.extra.get("acquisitions", pd.DataFrame({"sample_id": pd.Series(dtype="string")}))
    own = acquisitions[acquisitions["sample_id"].isin(done)].drop_duplicates("sample_id").set_index("sample_id")
    own = own.drop(columns=["acquisition_id", "n_images"], errors="ignore")
    per_bin = bins[["sample_id", "n_images", "profile"]].join(own, on="profile").drop(columns="profile")
    acquisitions = pd.concat([acquisitions[~acquisitions["sample_id"].isin(done)], per_bin.assign(acquisition_id="")])
    return Ingested(
        typed(samples, SAMPLES),
        _placed(ingested.objects, bins, done),
        ingested.counts,
        ingested.findings,
        ingested.extra | {"acquisitions": acquisitions.reset_index(drop=True)},
    )


def _placed(objects, bins, done):
    """Objects with the bin of their depth as sample."""
    mine = objects["sample_id"].isin(done).to_numpy(dtype=bool, na_value=False)
    if not mine.any():
        return objects
    step = float(bins["depth_bottom"].iloc[0] - bins["depth_top"].iloc[0])
    number = np.floor(np.maximum(objects.loc[mine, "depth"].to_numpy(dtype=float), 0) / step)
    ids = {
        (cast, top): name for cast, top, name in zip(bins["profile"], bins["depth_top"], bins["sample_id"], strict=True)
    }
    places = [ids.get((cast, n * step)) for cast, n in zip(objects.loc[mine, "sample_id"], number, strict=True)]
    if None in places:
        row = objects[mine].iloc[places.index(None)]
        raise UserError(
            f"object {row['object_id']!r} of cast {row['sample_id']!r} at {row['depth']:g} m lies in a bin without any image; "
            f"{places.count(None)} such objects."
        )
    return typed(
        objects.assign(sample_id=objects["sample_id"].mask(mine, pd.Series(places, index=objects.index[mine]))), OBJECTS
    )
