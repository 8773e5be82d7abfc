"""A Darwin Core archive of an aggregation: its samples, counts and true zeros, and the licences of its sources."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import COUNTS, SAMPLES
from aqqua_dist.report.darwin_core import HUMAN, MODELS, status_of_method, write_darwin_core

UNTOLD = "not told"
"""What the metadata say where the user has said nothing."""
LEAST = 0.5
"""Corrected numbers and sums of probabilities below half an object say neither present nor absent."""


def export_darwin_core(folder, path, dataset, *, zeros=True):
    """Darwin Core archive of an aggregation.

    Parameters
    ----------
    folder : str or os.PathLike
        Of ``aggregate``, or of an ingest with zones: ``samples.parquet``,
        ``counts.parquet``, ``concentrations.parquet``.
    path : str or os.PathLike
        The zip archive to write.
    dataset : aqqua_dist.report.darwin_core.Dataset
        Without a licence it has that of the sources, without a title the
        name of the folder; what else is missing is `UNTOLD` there.
    zeros : bool
        Taxa that were not found in a sample with a value are absent there.

    Returns
    -------
    list of str
        What was written, and what was left out and why.

    Raises
    ------
    UserError
        No aggregation, several licences and none for the whole, or what
        `write_darwin_core` refuses.
    """
    folder = _folder(Path(folder))
    samples, counts = (pd.DataFrame(files.read_parquet(folder / f"{name}.parquet")) for name in ("samples", "counts"))
    valued = set(files.read_parquet(folder / "concentrations.parquet", ["sample_id"])["sample_id"])
    samples, notes = _placed(samples.reindex(columns=list(SAMPLES)), valued, counts)
    strange = counts["method"].map(status_of_method).isna()
    if strange.any():
        raise UserError(
            f"{folder / 'counts.parquet'}: method {counts.loc[strange, 'method'].iloc[0]!r} identifies no taxa; {int(strange.sum())} such rows."
        )
    counts = counts[counts["sample_id"].isin(samples["sample_id"])]
    every, (counts, more) = counts, _certain(counts)
    if zeros:
        counts = pd.concat([counts, _zeros(every, counts, valued & set(samples["sample_id"]))], ignore_index=True)
    dataset = _licensed(dataset, folder)
    missing = [name for name in ("institution", "creator", "licence") if not getattr(dataset, name).strip()]
    dataset = replace(dataset, title=dataset.title.strip() or _name(folder), **dict.fromkeys(missing, UNTOLD))
    if missing:
        words = ", ".join(f"--{name}" for name in missing)
        more.append(f"{words}: {UNTOLD!r} stands in the metadata; say it before you give the archive away.")
    write_darwin_core(path, samples, counts, dataset, _lines(folder))
    seen = int((counts["n"] > 0).sum())
    return [
        f"{len(samples)} events and {seen} counts of {counts['taxon'].nunique()} labels are in {path}",
        *notes,
        *more,
    ]


def _name(folder):
    whole = folder.resolve()
    return whole.parent.name if whole.name == "aggregated" else whole.name


def _folder(folder):
    """Folder with the tables of an aggregation."""
    needed = ("samples.parquet", "counts.parquet", "concentrations.parquet")
    for one in (folder, folder / "aggregated"):
        if all((one / name).is_file() for name in needed):
            return one
    missing = next((name for name in needed if not (folder / name).is_file()), needed[0])
    raise UserError(
        f"{str(folder)!r} has no {missing}; give the folder of 'aqqua-dist aggregate', or of 'aqqua-dist ingest' with --zone."
    )


def _placed(samples, valued, counts):
    """Samples with what an event needs; those without a value keep their counts and have no volume to divide by."""
    wanted = samples[samples["sample_id"].isin(valued | set(counts["sample_id"]))]
    lost = wanted[["time", "lat", "lon"]].isna().any(axis=1)
    notes = []
    if lost.any():
        n = int(counts["sample_id"].isin(wanted.loc[lost, "sample_id"]).sum())
        notes.append(
            f"{int(lost.sum())} samples, first {wanted.loc[lost, 'sample_id'].iloc[0]!r}, have no time or position and are left out, with {n} counts."
        )
    wanted = wanted[~lost].reset_index(drop=True)
    if wanted.empty:
        raise UserError(
            f"0 of {len(samples)} samples have a value or a count with a time and a position; there is nothing to write."
        )
    silent = ~wanted["sample_id"].isin(valued)
    if silent.any():
        notes.append(
            f"{int(silent.sum())} samples, first {wanted.loc[silent, 'sample_id'].iloc[0]!r}, have counts and no concentration (no volume, or "
            "not sorted): their taxa are present, without an abundance."
        )
    wanted["time"] = pd.to_datetime(wanted["time"], utc=True)
    return wanted.assign(volume=wanted["volume"].astype(float).where(~silent, np.nan)), notes


def _certain(counts):
    """Counts without those that say neither present nor absent."""
    kept = counts.reindex(columns=list(dict.fromkeys([*COUNTS, "esd_low", "esd_high"])))
    total = kept.groupby(["sample_id", "taxon", "method"])["n"].transform("sum")
    model = kept["method"].isin(MODELS)
    faint = model & (total < LEAST)
    notes = []
    if faint.any():
        n = len(kept[faint].drop_duplicates(["sample_id", "taxon", "method"]))
        notes.append(
            f"{n} pairs of sample and taxon with less than {LEAST:g} objects by a model are left out: neither present nor absent."
        )
    return kept[~faint].reset_index(drop=True), notes


def _zeros(seen, counts, valued):
    """Rows of zero for taxa of the counts in samples with a value that have not seen them, identified as the taxon is elsewhere."""
    if counts.empty or not valued:
        return counts.iloc[:0]
    methods = counts[["taxon", "method"]].drop_duplicates()
    methods = methods.assign(human=methods["method"].map(status_of_method) == HUMAN).sort_values("human", kind="stable")
    methods = methods.drop_duplicates("taxon")[["taxon", "method"]]  # a model has looked where humans have not
    every = methods.merge(pd.DataFrame({"sample_id": sorted(valued)}), how="cross")
    known = pd.MultiIndex.from_frame(seen[["sample_id", "taxon"]])
    absent = every[~pd.MultiIndex.from_frame(every[["sample_id", "taxon"]]).isin(known)]
    return absent.assign(n=0.0, biovolume=0.0, weight=1.0).reindex(columns=counts.columns)


def _lines(folder):
    path = folder / "taxa.parquet"
    if not path.is_file():
        return {}
    known = files.read_parquet(path)
    return dict(zip(known["label" if "label" in known else "taxon"], known["hierarchy"].fillna(""), strict=True))


def _licensed(dataset, folder):
    """Data set with the licences of its sources."""
    path = next(
        (one / "licences.parquet" for one in (folder, folder.parent) if (one / "licences.parquet").is_file()), None
    )
    if path is None or path.parent != folder and folder.name != "aggregated":
        return dataset
    table = files.read_parquet(path)[["source", "licence"]].drop_duplicates()
    table["licence"] = table["licence"].astype("string").fillna("no licence told").str.strip()
    sources = tuple((str(row.source), str(row.licence)) for row in table.itertuples())
    licences = sorted({licence for _, licence in sources})
    if not dataset.licence.strip():
        if len(licences) > 1:
            raise UserError(
                f"the sources have {len(licences)} licences ({', '.join(licences[:6])}); say by --licence under which one the whole may be given."
            )
        dataset = replace(dataset, licence=licences[0])
    return replace(dataset, sources=sources)
