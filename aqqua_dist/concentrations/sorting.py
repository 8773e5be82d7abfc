"""How much of a sample was sorted: unknown is never zero.

A sample whose objects wait for their label has no zeros and no
concentrations. One that was searched and holds nothing is a true zero.
"""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import classifier_counts, classifier_tallies, counts_table

COLUMNS = ("searched", "n_counted", "n_objects", "unsorted_part")
"""Beside the samples of an aggregation: whether anybody looked for taxa, objects that count and all of them (of labels that
live or say nothing; missing where counts came without images), and whether a fraction of its own weight has no counted object."""


def check_share(least):
    """Refuse a least share that is none.

    Parameters
    ----------
    least : float
        Share of the objects of a sample that must count.

    Raises
    ------
    UserError
        It lies outside [0, 1].
    """
    if not 0 <= least <= 1:
        raise UserError(f"sorted {least!r}: the least share of counted objects lies within [0, 1], as 0.95.")


def sorted_samples(samples, sums, known, ingested):
    """Table of samples with what of them was sorted.

    Parameters
    ----------
    samples : pandas.DataFrame
        Table of samples.
    sums : aqqua_dist.counts.tallies.Tally
        Of everything.
    known : aqqua_dist.counts.counts_table.Known
        What they are of.
    ingested : pandas.DataFrame
        Counts without images.

    Returns
    -------
    pandas.DataFrame
        `samples` with the last three of `COLUMNS`, ``has_objects`` and ``share_counted``: of
        the objects whose label lives or says nothing, 1 where there is none,
        NaN where the sample has counts without images only.
    """
    rows = _rows(sums, known)
    rows["sample_id"] = known.names[rows["row"].to_numpy(dtype=np.int64)]
    silent = rows[(rows["n_counted"] + rows["dead_counted"] <= 0) & (rows["n_objects"] + rows["dead"] > 0)]
    parts = pd.Series(known.names[len(samples) :], dtype=object)
    total = rows.groupby("sample_id")[["n_counted", "n_objects", "dead_counted", "dead"]].sum()
    total = total.reindex(samples["sample_id"].astype(str)).fillna(0.0)
    no_images = (
        samples["sample_id"].isin(ingested["sample_id"]).to_numpy() if len(ingested) else np.zeros(len(samples), bool)
    )
    empty = (total["n_objects"] + total["dead"]).to_numpy() == 0
    table = samples.assign(
        n_counted=np.where(empty & no_images, np.nan, total["n_counted"].to_numpy()),
        n_objects=np.where(empty & no_images, np.nan, total["n_objects"].to_numpy()),
        unsorted_part=samples["sample_id"].isin(set(parts) & set(silent["sample_id"])),
    )
    only_dead_left = (total["n_objects"] == 0) & (total["dead"] > 0) & (total["dead_counted"] == 0)
    table.loc[only_dead_left.to_numpy(), "n_objects"] = total["dead"].to_numpy()[only_dead_left.to_numpy()]
    return table.assign(share_counted=share_of(table), has_objects=~empty)


def _rows(sums, known):
    """Objects of each row of the axis, counted and all, of labels that do not live apart."""
    axes, scoring = known.axes, known.options.scoring
    labels, plain = counts_table.by_label(sums, known)
    place, rest = np.divmod(labels.slots, plain.axes.width * axes.sizes)
    names = np.array(axes.labels, dtype=object)[rest // axes.sizes]
    pieces = [pd.DataFrame({"row": place, "name": names, "n": labels.n.astype(float)})]
    if scoring.columns:
        raw = classifier_counts.raw_counts(sums, axes, scoring)
        columns = [column[0] for column in axes.columns] if scoring.method == "em" else list(axes.columns)
        names = np.array(columns, dtype=object)[raw["column"].to_numpy()]
        pieces.append(pd.DataFrame({"row": raw["row"].to_numpy(), "name": names, "n": raw["n"].to_numpy()}))
    table = pd.concat(pieces, ignore_index=True)
    dead, silent = table["name"].isin(axes.dead), table["name"] == classifier_tallies.REST
    table = pd.DataFrame(
        {
            "row": table["row"],
            "n_counted": table["n"].where(~dead & ~silent, 0.0),
            "n_objects": table["n"].where(~dead, 0.0),
            "dead_counted": table["n"].where(dead, 0.0),
            "dead": table["n"].where(dead, 0.0),
        }
    )
    left = counts_table.left_rows(sums, known)
    left = left.rename(columns={"left": "n_objects"}).assign(n_counted=0.0, dead_counted=0.0)
    return pd.concat([table, left], ignore_index=True).groupby("row", as_index=False).sum()


def share_of(table):
    """Share of the objects that count.

    Parameters
    ----------
    table : pandas.DataFrame
        ``n_counted, n_objects``.

    Returns
    -------
    numpy.ndarray
        1 where there is no object, NaN where nobody tells.
    """
    counted, every = table["n_counted"].to_numpy(dtype=float), table["n_objects"].to_numpy(dtype=float)
    share = np.divide(counted, every, out=np.ones(len(table)), where=every > 0)
    return np.where(np.isnan(every), np.nan, np.clip(share, 0.0, 1.0))


def without_value(table, least=0.0):
    """Samples that have no value.

    Parameters
    ----------
    table : pandas.DataFrame
        ``sample_id, share_counted, unsorted_part``.
    least : float
        Least share of counted objects.

    Returns
    -------
    pandas.DataFrame
        ``sample_id, share_counted, why``.
    """
    share = table["share_counted"]
    whys = {
        "none of its objects counts": share <= 0,
        "a fraction with a weight of its own has objects of which none counts": table["unsorted_part"].astype(bool),
        f"less than {least:g} of its objects count": share < least - 1e-12,
    }
    why = np.select([mark.to_numpy() for mark in whys.values()], list(whys), default="")
    return table.assign(why=why).loc[why != "", ["sample_id", "share_counted", "why"]].reset_index(drop=True)


def sentences(left_out, what="samples"):
    """What is said of samples that have no value.

    Parameters
    ----------
    left_out : pandas.DataFrame
        From `without_value`.
    what : str
        Word for them.

    Returns
    -------
    list of str
        One sentence for each reason.
    """
    found = []
    for why, rows in left_out.groupby("why", sort=True):
        names = ", ".join(map(str, rows["sample_id"].head(3))) + (", …" if len(rows) > 3 else "")
        found.append(f"{len(rows)} {what} have no value ({names}): {why}.")
    return found


def status_sentence(statuses, options, rows):
    """Why objects do not count.

    Parameters
    ----------
    statuses : dict of str to int
        Objects by status.
    options : aqqua_dist.counts.partitions.CountOptions
        What is counted.
    rows : int
        Objects in all.

    Returns
    -------
    str
        The statuses that were found, with their numbers, and the option that would help.
    """
    found = ", ".join(f"{n} are {name!r}" for name, n in sorted(statuses.items(), key=lambda pair: -pair[1]) if n)
    if options.scoring.method == "labels":
        help_ = (
            f"--status counts {list(options.statuses) or 'all'}; give --status all, or what a model says with --method"
        )
    else:
        help_ = f"method {options.scoring.method!r} leaves them unclassified; give another --method, or --dubious"
    return f"of {rows} objects {found or 'none has a status'}; {help_}."
