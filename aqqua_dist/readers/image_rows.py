"""Tables with a row per image that know all of its sample too: samples and objects at once, and what else is told of an image."""

import numpy as np
import pandas as pd

from aqqua_dist.core.tables import SAMPLES, finding

EXTRA = "extra:"
"""Beginning of the names of columns that no mapping names; they are kept as traits."""
TRAITS = ("image", "labeller", "licence", "lat", "lon", "time")
"""Columns of images that objects do not have."""
PLACE = ("time", "lat", "lon", "depth_top", "depth_bottom")
SPREAD = 0.2
"""Degrees over which the images of one sample may lie without a remark."""


def sample_names(table):
    """Names of samples that have none: images of one cruise, time and place are one sample.

    Parameters
    ----------
    table : pandas.DataFrame
        ``lat, lon`` (degrees), perhaps ``time``, ``cruise``.

    Returns
    -------
    pandas.Series of str
        Such as ``20190601T123000_10.5N_-30E``; missing where the position is.
    """
    lat, lon = (table[name].map("{:.10g}".format) for name in ("lat", "lon"))
    name = lat.astype("string") + "N_" + lon.astype("string") + "E"
    if "time" in table:
        name = table["time"].dt.strftime("%Y%m%dT%H%M%S").astype("string").fillna("no-time") + "_" + name
    if "cruise" in table:
        name = (table["cruise"].astype("string") + "_").fillna("") + name
    return name.where(table["lat"].notna() & table["lon"].notna())


def split(images, lost, findings):
    """Samples and objects of a table of images.

    Parameters
    ----------
    images : pandas.DataFrame
        Columns of `aqqua_dist.readers.mapping.TABLES` ``['images']``, others
        under `EXTRA`, and ``_file``, ``_row``.
    lost : dict
        Samples that were set aside; takes those whose images contradict one
        another, with a sentence, file and row.
    findings : list of dict
        Takes what is odd.

    Returns
    -------
    objects : pandas.DataFrame
        All columns of images.
    samples : pandas.DataFrame
        One row per sample: mean position, earliest time, whole range of
        depths.
    """
    if "sample_id" not in images:
        images = images.assign(sample_id=sample_names(images))
        text = f"there is no sample_id; images of one time and place were taken as a sample, {images['sample_id'].nunique()} samples of {len(images)} images."
        findings.append(finding("suspicious", "sample", text, file=images["_file"].iloc[0]))
    if "label" in images and "status" not in images:
        text = "the labels have no status, so that none counts as validated; say by columns.status who gave them."
        findings.append(finding("suspicious", "status", text, file=images["_file"].iloc[0]))
    known = images[images["sample_id"].notna()]
    grouped = known.groupby("sample_id", sort=False)
    samples = grouped.first().reset_index()[["sample_id", "_file", "_row"]]
    for name in SAMPLES:
        if name in PLACE or name in ("sample_id", "source") or name not in known:
            continue
        different = grouped[name].nunique(dropna=False)
        for sample in different.index[different > 1]:
            rows = known[known["sample_id"] == sample]
            other = rows[rows[name].fillna(rows[name].dropna().iloc[0]).ne(rows[name].iloc[0]) | rows[name].isna()]
            row = other.iloc[0] if len(other) else rows.iloc[1]
            text = f"{row['_file']}: row {row['_row']}: {name} {_shown(row[name])} of sample {sample!r} differs from {_shown(rows[name].iloc[0])} in row {rows['_row'].iloc[0]}; images of one sample must agree."
            lost.setdefault(sample, (text, row["_file"], int(row["_row"])))
        samples[name] = grouped[name].first().reindex(samples["sample_id"]).to_numpy()
    _places(samples, known, findings)
    return images, samples


def _shown(value):
    return repr(value) if isinstance(value, str) else "none" if pd.isna(value) else str(value)


def _places(samples, known, findings):
    """Positions, times and depths of samples, from those of their images."""
    ids = samples["sample_id"]
    grouped = known.groupby("sample_id", sort=False)
    low, high = grouped[["lat", "lon"]].min().reindex(ids), grouped[["lat", "lon"]].max().reindex(ids)
    angle = np.radians(known["lon"])
    parts = known.assign(_east=np.cos(angle), _north=np.sin(angle)).groupby("sample_id", sort=False)
    mean = parts[["lat", "_east", "_north"]].mean().reindex(ids)
    lon = np.degrees(np.arctan2(mean["_north"], mean["_east"]))
    samples["lat"] = np.where(low["lat"] == high["lat"], low["lat"], mean["lat"])
    samples["lon"] = np.where(low["lon"] == high["lon"], low["lon"], lon)
    middle = pd.Series(lon.to_numpy(), index=ids)[known["sample_id"]].to_numpy()
    apart = pd.Series(np.abs((known["lon"].to_numpy() - middle + 180) % 360 - 180), index=known["sample_id"])
    away = (high - low)["lat"].gt(SPREAD) | apart.groupby(level=0).max().reindex(ids).gt(SPREAD)
    if away.any():
        text = f"images of {int(away.sum())} samples, first {away.idxmax()!r}, lie more than {SPREAD:g} degrees apart; the mean position was taken, object_traits keeps each."
        findings.append(finding("suspicious", "position", text))
    if "time" in known:
        samples["time"] = grouped["time"].min().reindex(ids).to_numpy()
        samples["time"] = pd.to_datetime(samples["time"], utc=True)
    for name, choice in (("depth_top", "min"), ("depth_bottom", "max")):
        column = name if name in known else "depth" if "depth" in known else None
        if column is not None:
            samples[name] = grouped[column].agg(choice).reindex(ids).to_numpy()


def extras(tables):
    """What our tables have no place for.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        ``samples`` and perhaps ``objects``, ``counts``, with all columns.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``object_traits`` (``object_id, sample_id``, `TRAITS` and every column
        that no mapping names) and ``licences`` (``source, licence, table,
        rows``), whichever there are.
    """
    found = {}
    objects = tables.get("objects")
    if objects is not None:
        kept = [name for name in objects if name in TRAITS or name.startswith(EXTRA)]
        if kept:
            traits = objects[["object_id", "sample_id", *kept]]
            found["object_traits"] = traits.rename(columns=lambda name: _trait_name(name, objects))
    licences = [
        table.groupby(["_file", "licence"], dropna=False).size().reset_index(name="rows").assign(table=kind)
        for kind, table in tables.items()
        if "licence" in table
    ]
    if licences:
        whole = pd.concat(licences, ignore_index=True).rename(columns={"_file": "source"})
        found["licences"] = whole[["source", "licence", "table", "rows"]]
    return found


def _trait_name(name, objects):
    """Name of a column as the user's table has it, unless ours has that name too."""
    bare = name.removeprefix(EXTRA)
    ours = {"object_id", "sample_id", *TRAITS}
    return name if name == bare else f"{bare} (table)" if bare in ours and bare in {*objects, "object_id"} else bare
