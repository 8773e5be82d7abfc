"""Animals that stand as vignettes and as counts of the same cast: one of the two is kept."""

from pathlib import Path

import numpy as np
import pandas as pd

from aqqua_dist.core import files
from aqqua_dist.core.statuses import status_of
from aqqua_dist.effort.joined_casts import CHECK, JOINED, join_casts


def joined_casts(folder, samples, place=None):
    """Casts that the samples of an ingest are.

    Parameters
    ----------
    folder : pathlib.Path
        Of the ingest with the objects.
    samples : pandas.DataFrame
        Table of samples that is used.
    place : pathlib.Path, optional
        File of that table, where it is not the ingest's own.

    Returns
    -------
    joins : pandas.DataFrame
        Columns `aqqua_dist.effort.joined_casts.JOINED`; of casts that have bins among `samples`, and without a profile
        samples of the objects that are none of them.
    notes : list of str
        What the user must know of casts that were joined here.
    """
    none = pd.DataFrame(columns=JOINED)
    if "profile" not in samples or samples["profile"].isna().all():
        return none, []
    keys = set(samples["profile"].dropna().astype(str))
    held = _table(folder / "joined_casts.parquet")
    joins = none if held is None else held[held["profile"].isin(keys)]
    about, acquisitions = _table(folder / "samples.parquet"), _table(folder / "acquisitions.parquet")
    if (
        place is None
        or place.resolve() == (folder / "samples.parquet").resolve()
        or about is None
        or acquisitions is None
    ):
        return joins.reset_index(drop=True), []
    casts = _table(Path(place).parent / "casts.parquet")
    about = about[~about["sample_id"].isin(joins["sample_id"])]
    more, found = join_casts(about, acquisitions, samples, casts)
    if joins.empty and more.empty:
        return none, []
    whole = pd.concat([one for one in (joins, more) if len(one)], ignore_index=True)
    notes = [row["message"] for row in found if row["check"] == CHECK]
    known = {*whole["sample_id"], *samples["sample_id"], *keys}
    strange = about[~about["sample_id"].isin(known)]["sample_id"]
    if len(strange):
        notes.append(
            f"{len(strange)} samples of the objects, first {strange.iloc[0]!r}, are no cast of {place}: they are counted and have no concentration."
        )
        whole = pd.concat([whole, pd.DataFrame({"sample_id": strange})], ignore_index=True)
    return whole, notes


def _table(path):
    return pd.DataFrame(files.read_parquet(path)) if path.is_file() else None


def with_rest(samples, joins):
    """Samples with a row without volume for each joined cast, which takes its objects that lie in no bin.

    Parameters
    ----------
    samples : pandas.DataFrame
        Table of samples.
    joins : pandas.DataFrame
        From `joined_casts`.

    Returns
    -------
    pandas.DataFrame
        With a column ``rest``, where there are joined casts.
    """
    if joins.empty:
        return samples
    absent = joins.loc[~joins["sample_id"].isin(samples["sample_id"]), "sample_id"]
    rows = pd.DataFrame({"sample_id": absent.to_numpy()}).astype({"sample_id": samples["sample_id"].dtype})
    rows = rows.reindex(columns=samples.columns).astype(samples.dtypes.to_dict(), errors="ignore")
    whole = pd.concat([samples, rows], ignore_index=True) if len(rows) else samples
    return whole.assign(rest=whole["sample_id"].isin(joins["sample_id"]).to_numpy(dtype=bool))


def counted_once(joins, ingested, samples, folder, counts):
    """Joins and counts without what would count an animal twice.

    Parameters
    ----------
    joins : pandas.DataFrame
        From `joined_casts`.
    ingested : pandas.DataFrame
        Counts without images (``sample_id, n``).
    samples : pandas.DataFrame
        Bins, with ``profile``.
    folder : pathlib.Path
        Of the ingest, whose ``tally.parquet`` has the objects by sample and status.
    counts : sequence of str
        Statuses of the objects that count; all where there is none.

    Returns
    -------
    joins : pandas.DataFrame
        Where the counts are kept ``depth_offset`` is missing: the objects
        wait and are not placed.
    ingested : pandas.DataFrame
        Without those of casts whose objects are kept.
    notes : list of str
        Which of the two was kept, for how many casts.
    """
    if joins.empty or ingested.empty:
        return joins, ingested, []
    profile = ingested["sample_id"].map(samples.set_index("sample_id")["profile"].astype(object))
    both = set(joins["profile"]) & set(profile.dropna())
    if not both:
        return joins, ingested, []
    tally = _table(folder / "tally.parquet")
    tally = pd.DataFrame(columns=["sample_id", "status", "n"]) if tally is None else tally
    cast = tally["sample_id"].map(joins.set_index("sample_id")["profile"])
    status = tally["status"].map(lambda word: status_of(None if pd.isna(word) else word))
    mine = status.isin(list(counts)) if counts else pd.Series(True, index=tally.index)
    counted = tally.loc[mine, "n"].groupby(cast[mine]).sum()
    human = tally.loc[status == "validated", "n"].groupby(cast[status == "validated"]).sum()
    by_objects = {one for one in both if counted.get(one, 0) > 0}
    table = ingested["n"].groupby(profile).sum()
    notes = []
    if by_objects:
        some = sorted(by_objects)
        notes.append(
            f"{len(some)} casts, first {some[0]!r}, have vignettes of EcoTaxa and counts of EcoPart of the same animals: the vignettes count "
            f"({int(counted.reindex(some).sum())} objects), the counts of EcoPart ({table.reindex(some).sum():g}) do not."
        )
        differ = [one for one in some if abs(human.get(one, 0) - table[one]) > 0.5]
        if differ:
            notes.append(
                f"in {len(differ)} of them, first {differ[0]!r}, EcoTaxa has {human.get(differ[0], 0):g} validated objects and EcoPart "
                f"{table[differ[0]]:g}: is the export of EcoTaxa complete, and of the same day?"
            )
    silent = sorted(both - by_objects)
    if silent:
        notes.append(
            f"{len(silent)} casts, first {silent[0]!r}, have vignettes of EcoTaxa of which none counts by its status: the counts of EcoPart "
            f"({table.reindex(silent).sum():g}) are kept."
        )
    waiting = joins["profile"].isin(silent)
    joins = joins.assign(depth_offset=joins["depth_offset"].astype(float).where(~waiting, np.nan))
    return joins, ingested[~profile.isin(by_objects).to_numpy()].reset_index(drop=True), notes


def counting_statuses(options):
    """Statuses of objects that count; none where all do, by their label or by what a model says.

    Parameters
    ----------
    options : aqqua_dist.counts.partitions.CountOptions
        What is counted.

    Returns
    -------
    tuple of str
    """
    if options.scoring.method == "labels":
        return options.statuses
    if options.scoring.method == "validated":
        return ("validated", "dubious") if options.scoring.dubious == "validated" else ("validated",)
    return ()


def without_rest(table):
    """Samples without the empty rows of objects in no bin, and what is said of the others.

    Parameters
    ----------
    table : pandas.DataFrame
        From `with_rest`, with ``has_objects, share_counted, n_counted``.

    Returns
    -------
    table : pandas.DataFrame
        Without the column ``rest``.
    notes : list of str
        Sentences.
    """
    if "rest" not in table:
        return table, []
    lost = table[table["rest"] & table["has_objects"]]
    notes = []
    waiting = lost["share_counted"] > 0
    if waiting.any():
        n = int(lost.loc[waiting, "n_counted"].sum())
        notes.append(
            f"{n} objects of {int(waiting.sum())} casts, first {lost.loc[waiting, 'sample_id'].iloc[0]!r}, lie in no bin with a volume (or "
            "have no depth): they are in the counts and in no concentration."
        )
    return table[~table["rest"] | table["has_objects"]].drop(columns="rest").reset_index(drop=True), notes
