"""Sums of what a model says (`aqqua_dist.counts.classifier_tallies`) to counts of classes, corrected by a labelled validation table."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import correction, tallies

BLOCK = 4096
"""Samples that are corrected together."""


def raw_counts(sums, axes, scoring):
    """What the model says, as counts.

    Parameters
    ----------
    sums : aqqua_dist.counts.tallies.Tally
        Of everything.
    axes : aqqua_dist.counts.tallies.Axes
        Of `sums`.
    scoring : aqqua_dist.counts.classifier_tallies.Scoring
        How it was counted.

    Returns
    -------
    pandas.DataFrame
        ``row`` (place of the sample), ``column`` (number of the class, or of
        the bin), ``size``, ``n`` (objects, or sums of probabilities),
        ``biovolume`` (mm3, NaN where the size of an object is unknown).
    """
    row, rest = np.divmod(sums.slots, axes.width * axes.sizes)
    column, size = np.divmod(rest, axes.sizes)
    mine = (column >= len(axes.labels)) & (column < len(axes.labels) + len(axes.columns))
    mine &= row < len(axes.samples) - len(scoring.extra_rows)
    unit = tallies.SHARE_UNIT if scoring.method in ("probabilistic", "pacc") else 1.0
    return pd.DataFrame(
        {
            "row": row[mine],
            "column": column[mine] - len(axes.labels),
            "size": size[mine],
            "n": sums.n[mine] * unit,
            "biovolume": np.where(sums.unknown[mine] > 0, np.nan, sums.volume[mine] * tallies.VOLUME_UNIT),
        }
    )


def repaired_rows(sums, axes, scoring):
    """Objects whose probabilities were scaled to a sum of 1.

    Parameters
    ----------
    sums, axes, scoring
        As for `raw_counts`.

    Returns
    -------
    int
        Their number.
    """
    cell = (len(axes.samples) - len(scoring.extra_rows)) * axes.width * axes.sizes
    return int(sums.n[sums.slots == cell].sum()) if scoring.extra_rows else 0


def short_rows(sums, axes, scoring):
    """Objects whose probabilities stay below 1 in sum.

    Parameters
    ----------
    sums, axes, scoring
        As for `raw_counts`.

    Returns
    -------
    int
        Their number.
    """
    cell = ((len(axes.samples) - len(scoring.extra_rows)) * axes.width + 1) * axes.sizes
    return int(sums.n[sums.slots == cell].sum()) if scoring.extra_rows else 0


def mean_answers(sums, axes, scoring):
    """Mean probabilities of each bin of ``em``.

    Parameters
    ----------
    sums, axes, scoring
        As for `raw_counts`.

    Returns
    -------
    bins : numpy.ndarray
        Numbers of the bins that hold objects, ascending.
    means : numpy.ndarray
        Shape (n_bins, n_classes), adding up to 1.
    """
    first = len(axes.samples) - len(scoring.extra_rows) + 1
    row, rest = np.divmod(sums.slots, axes.width * axes.sizes)
    mine = row >= first
    bins, place = np.unique(row[mine] - first, return_inverse=True)
    share = np.zeros((len(bins), len(scoring.classes)))
    np.add.at(share, (place, rest[mine] // axes.sizes - len(axes.labels)), sums.n[mine])
    return bins, share / share.sum(axis=1, keepdims=True)


def model_counts(sums, axes, scoring, validated=None, prior=None):
    """Counts of the model's objects, by the method that was asked for.

    Parameters
    ----------
    sums, axes, scoring
        As for `raw_counts`.
    validated : Validated, optional
        For ``acc``, ``pacc`` and ``em``.
    prior : array_like, optional
        For ``em``: mix of classes that the probabilities were calibrated on,
        shape (n_classes,); that of the validation table unless given.

    Returns
    -------
    pandas.DataFrame
        ``row, class`` (number), ``size, n, biovolume`` (mm3) and ``raw`` (n
        before the correction). The objects of a corrected class have the
        sizes of those of its predicted class in the sample; where there are
        none, their size is unknown.

    Raises
    ------
    UserError
        No validation table for a method that needs one.
    """
    raw = raw_counts(sums, axes, scoring)
    if scoring.method not in ("acc", "pacc", "em"):
        return raw.rename(columns={"column": "class"}).assign(raw=raw["n"])
    if validated is None:
        raise UserError(f"method {scoring.method!r} needs a labelled validation table of the model.")
    blocks = [block for _, block in raw.groupby(raw["row"] // BLOCK, sort=True)]
    if scoring.method == "em":
        means, prior = (
            mean_answers(sums, axes, scoring),
            validated.mix if prior is None else np.asarray(prior, dtype=float),
        )
        parts = [_by_em(block, means, scoring.classes, prior) for block in blocks]
    else:
        rates = validated.of(scoring.method).shares
        parts = [_by_rates(block, rates, scoring.classes, axes.sizes - 1) for block in blocks]
    empty = pd.DataFrame({"row": [], "class": [], "size": [], "n": [], "biovolume": [], "raw": []})
    return pd.concat(parts, ignore_index=True) if parts else empty


def _by_rates(block, rates, classes, unknown_size):
    rows, place = np.unique(block["row"], return_inverse=True)
    seen = np.zeros((len(rows), len(classes)))
    np.add.at(seen, (place, block["column"].to_numpy()), block["n"].to_numpy())
    corrected = correction.adjusted(seen, rates, classes)
    factor = np.divide(corrected, seen, out=np.zeros_like(seen), where=seen > 0)[place, block["column"]]
    table = block.rename(columns={"column": "class"}).assign(
        n=block["n"] * factor, biovolume=block["biovolume"] * factor, raw=block["n"]
    )
    new, number = np.nonzero((seen == 0) & (corrected > 0))
    if len(new):
        found = pd.DataFrame(
            {
                "row": rows[new],
                "class": number,
                "size": unknown_size,
                "n": corrected[new, number],
                "biovolume": np.nan,
                "raw": 0.0,
            }
        )
        table = pd.concat([table, found], ignore_index=True).sort_values(["row", "class", "size"], ignore_index=True)
    return table[table["n"] > 0]


def _by_em(block, means, classes, prior):
    rows, place = np.unique(block["row"], return_inverse=True)
    held, column = np.unique(block["column"], return_inverse=True)
    means = means[1][np.searchsorted(means[0], held)]
    weight = np.zeros((len(rows), len(held)))
    np.add.at(weight, (place, column), block["n"].to_numpy())
    counts, _ = correction.em(means, classes, prior, weight)
    ratio = counts / counts.sum(axis=1, keepdims=True) / (prior / prior.sum())
    share = means[column] * ratio[place]
    share /= share.sum(axis=1, keepdims=True)  # of each class in the objects of one row
    keys = block[["row", "size"]].reset_index(drop=True)
    n, volume = share * block["n"].to_numpy()[:, None], share * block["biovolume"].to_numpy()[:, None]
    long = pd.DataFrame(
        {
            "row": np.repeat(keys["row"], len(classes)),
            "class": np.tile(np.arange(len(classes)), len(keys)),
            "size": np.repeat(keys["size"], len(classes)),
            "n": n.ravel(),
            "biovolume": volume.ravel(),
            "raw": np.repeat(block["n"].to_numpy(), len(classes)) * means[column].ravel(),
        }
    )
    found = long.groupby(["row", "class", "size"], as_index=False).agg(
        n=("n", "sum"), biovolume=("biovolume", lambda part: part.sum(skipna=False)), raw=("raw", "sum")
    )
    return found[found["n"] > 1e-9]
