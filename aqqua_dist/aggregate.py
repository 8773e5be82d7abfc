"""From labelled images to counts of taxa per sample."""

import numpy as np
import pandas as pd

from aqqua_dist.errors import UserError
from aqqua_dist.labels import parse_label, read_words
from aqqua_dist.readers.ingested import COUNTS, STATUSES, typed

LEFT_OUT = ("part", "exuviae", "egg")
"""Qualifiers of labels that are no animal of their taxon, unless the user says otherwise."""


def label_counts(tally, acquisitions=None, *, statuses=("validated",)):
    """Number of objects per sample and label.

    Parameters
    ----------
    tally : pandas.DataFrame
        ``sample_id, acquisition_id, label, status, n`` and, where known,
        ``biovolume`` (mm3), as an ingest keeps it.
    acquisitions : pandas.DataFrame, optional
        ``sample_id, acquisition_id, weight``: what one object of an
        acquisition stands for in its sample.
    statuses : sequence of str
        Of `aqqua_dist.readers.ingested.STATUSES`, those that are counted.
        Predicted labels carry the errors of their classifier;
        `aqqua_dist.quantify` corrects for them.

    Returns
    -------
    pandas.DataFrame
        Columns of `aqqua_dist.readers.ingested.COUNTS`, ``taxon`` the label
        and ``method`` the statuses, one row per weight.

    Raises
    ------
    UserError
        An unknown status.
    """
    unknown = sorted(set(statuses) - set(STATUSES))
    if unknown or not statuses:
        raise UserError(f"statuses {list(statuses)} to count: allowed are one or more of {STATUSES}.")
    kept = tally[tally["status"].isin(statuses)].dropna(subset="label")
    weight = 1.0
    if acquisitions is not None and "weight" in acquisitions:
        keys = ["sample_id", "acquisition_id"]
        weights = acquisitions.drop_duplicates(keys).set_index(keys)["weight"]
        index = pd.MultiIndex.from_arrays([kept["sample_id"].fillna("").astype(str), kept["acquisition_id"].fillna("").astype(str)])
        weight = weights.reindex(index).fillna(1.0).to_numpy(dtype=float)
    known = kept["biovolume"] if "biovolume" in kept else np.nan
    grouped = kept.assign(weight=weight, biovolume=known, unknown=pd.isna(known)).groupby(["sample_id", "label", "weight"], sort=True)
    table = grouped.agg(n=("n", "sum"), biovolume=("biovolume", "sum"), unknown=("unknown", "any")).reset_index()
    table["biovolume"] = table["biovolume"].mask(table["unknown"])
    return typed(table.rename(columns={"label": "taxon"}).assign(method="+".join(statuses)), COUNTS)


def taxon_counts(counts, lines, taxa, *, leave_out=LEFT_OUT, words=None):
    """Counts of labels summed to the taxa that were asked for.

    Parameters
    ----------
    counts : pandas.DataFrame
        Columns of `aqqua_dist.readers.ingested.COUNTS`, ``taxon`` a label.
    lines : dict of str to str
        Hierarchy of each label from the root, joined by ``>``; a label
        without one is taken by its own words.
    taxa : list of str
        Names that occur in the hierarchies. A label goes to the nearest of
        them above it, so that nothing counts twice.
    leave_out : sequence of str
        Qualifiers (`aqqua_dist.labels`) of labels that are not counted.
    words : dict, optional
        From `aqqua_dist.labels.read_words`.

    Returns
    -------
    pandas.DataFrame
        Same columns, ``taxon`` one of `taxa`; what lies below none of them is
        left out.

    Raises
    ------
    UserError
        A name of `taxa` stands in no label's hierarchy.
    """
    goal = goals(counts["taxon"].dropna().unique(), lines, taxa, leave_out=leave_out, words=words)
    kept = counts.assign(taxon=counts["taxon"].map(goal)).dropna(subset="taxon")
    numbers = [name for name in ("n", "biovolume", "carbon") if name in counts]
    keys = [name for name in counts.columns if name not in numbers]
    grouped = kept.assign(**{f"_{name}": kept[name].isna() for name in numbers}).groupby(keys, sort=False, dropna=False)
    found = grouped.agg({name: "sum" for name in numbers} | {f"_{name}": "any" for name in numbers}).reset_index()
    for name in numbers:
        found[name] = found[name].mask(found[f"_{name}"])  # a sum of which a part is unknown is unknown
    return typed(found, COUNTS | ({"carbon": "float64"} if "carbon" in counts else {}))


def goals(labels, lines, taxa, *, leave_out=LEFT_OUT, words=None):
    """Taxon that each label goes to.

    Parameters
    ----------
    labels : sequence of str
        Labels.
    lines, taxa, leave_out, words
        As for `taxon_counts`.

    Returns
    -------
    dict of str to str or None
        None for a label below none of the taxa; labels that are left out have
        no entry.

    Raises
    ------
    UserError
        A name of `taxa` stands in no label's hierarchy.
    """
    words = words or read_words()
    goal, seen = {}, set()
    for label in labels:
        names = _names(label, lines.get(label, ""))
        seen.update(names)
        parsed = parse_label(label, lines.get(label) or None, words)
        if parsed.qualifier not in leave_out and (parsed.living is not False or names[0] in taxa):
            goal[label] = next((name for name in names if name in taxa), None)
    unknown = [name for name in taxa if name not in seen]
    if unknown and len(labels):
        raise UserError(f"taxon {unknown[0]!r} stands in none of the {len(labels)} labels or their parents; known are {sorted(seen)[:30]}.")
    return goal


def _names(label, line):
    """Names of a label, from itself up to its root."""
    if line:
        return [label, *(part.strip() for part in reversed(line.split(">")) if part.strip())]
    return [part.strip() for part in (label.split("<") if "<" in label else reversed(label.split(">"))) if part.strip()]
