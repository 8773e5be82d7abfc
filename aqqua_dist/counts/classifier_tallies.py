"""What a model says of objects, summed once: by predicted class, by probability, or by kind of answer.

Sums are whole numbers, as those of labels (`aqqua_dist.counts.tallies`): a
probability counts in units of 2^-24, and every object adds up to exactly one.
Corrections for the confusion of the model (`aqqua_dist.counts.classifier_counts`) work on
these sums alone. Expectation-maximisation needs more than a class: its
objects are put into bins by their two best classes and the highest
probability, and the probabilities of each bin are summed beside them.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import columns, correction, tallies
from aqqua_dist.counts.confusion import check_probabilities

LEVELS = 20
"""Bins of the highest probability, for expectation-maximisation."""
WITH_PROB = ("probabilistic", "pacc", "em")
"""Ways to count that need the probabilities of all classes."""
METHODS = ("labels", *correction.SUMS_NEEDED, "em")
REST = "unclassified"
"""Where the part goes that probabilities below 1 in sum give to no class."""
WHOLE = np.int64(round(1 / tallies.SHARE_UNIT))
BLOCK = 2**22
"""Probabilities that are looked at together."""


@dataclass(frozen=True)
class Scoring:
    """How the objects of a model are counted.

    Attributes
    ----------
    method : str
        One of `METHODS`: ``labels`` counts every object by its label,
        whoever gave it; ``validated`` those that a human has labelled;
        ``top1``, ``thresholded``, ``probabilistic``, ``acc``, ``pacc`` and
        ``em`` count the validated ones by their label and the others by what
        the model says (`aqqua_dist.counts.correction`).
    classes : tuple of str
        Classes of the model.
    thresholds : float or dict of str to float
        Least probability of the best class, for ``thresholded``.
    dubious : str
        What becomes of dubious objects, see `aqqua_dist.counts.correction.who_counts`.
    soft : bool
        Whether the objects have probabilities of all classes; otherwise a
        label and a score.
    """

    method: str = "labels"
    classes: tuple = ()
    thresholds: float | dict = 0.0
    dubious: str = "predicted"
    soft: bool = False

    def __post_init__(self):
        if self.method not in METHODS:
            raise UserError(f"method {self.method!r} of counting is unknown, allowed are {list(METHODS)}.")
        if self.dubious not in correction.DUBIOUS:
            raise UserError(f"dubious objects as {self.dubious!r}: allowed are {list(correction.DUBIOUS)}.")

    @property
    def columns(self):
        """Names of what is summed (tuple): classes (and the rest of probabilities), or (best class, second, level) for ``em``."""
        if self.method in ("labels", "validated"):
            return ()
        if self.method == "probabilistic" and self.soft and REST not in self.classes:
            return (*self.classes, REST)
        if self.method != "em":
            return self.classes
        return tuple(
            (best, second, level) for best in self.classes for second in self.classes for level in range(LEVELS)
        )

    @property
    def extra_rows(self):
        """Rows beside the samples (tuple): one that counts repaired probabilities, and for ``em`` one for each bin."""
        return (("repaired",), *(self.columns if self.method == "em" else ())) if self.columns else ()

    @property
    def limits(self):
        """Threshold of each class (numpy.ndarray, shape (n_classes,))."""
        given = self.thresholds if isinstance(self.thresholds, dict) else dict.fromkeys(self.classes, self.thresholds)
        strange = sorted(set(given) - set(self.classes))
        if strange or not all(0 <= limit <= 1 for limit in given.values()):
            raise UserError(
                f"thresholds {given}: allowed are numbers within [0, 1] of the classes {list(self.classes)[:8]}."
            )
        return np.array([given.get(name, 0.0) for name in self.classes])


def classes_of(paths):
    """Classes of the probabilities in Parquet files.

    Parameters
    ----------
    paths : list of pathlib.Path
        Partitions of objects.

    Returns
    -------
    tuple of str or None
        In the order of ``prob``; None where no file has that column.

    Raises
    ------
    UserError
        Probabilities without the names of their classes (``classes``, a JSON
        list or names with commas between them, in the metadata of the file or
        the column), or files that name others or in another order.
    """
    first, found = None, None
    for path in paths:
        names, bound = columns.classes_in(path)
        if path != paths[0] and (names is None) != (found is None):
            without, having = (path, first) if names is None else (paths[0], path)
            raise UserError(
                f"{without}: there is no column 'prob', {having} has one; all partitions need the same columns."
            )
        if found is not None and bound == "nothing":
            found = tuple(sorted({*found, *names}))
        elif found is not None and (names != found if bound == "order" else set(names) != set(found)):
            raise UserError(
                f"{path}: the probabilities are of the classes {list(names)[:8]}, those of {first} of {list(found)[:8]}; "
                f"{'the order must be the same' if bound == 'order' else 'all partitions need the same classes'}."
            )
        first, found = first or path, found or names
    return found


def answers(table, scoring, place):
    """What the model says of each row.

    Parameters
    ----------
    table : pyarrow.Table
        Objects of the model: ``prob``, or ``label`` and perhaps ``score``.
    scoring : Scoring
        How they are counted.
    place : str
        For messages.

    Returns
    -------
    best : numpy.ndarray
        int64, shape (n,): number of the best class.
    top : numpy.ndarray
        float64, shape (n,): its probability, NaN where nobody knows.
    prob : numpy.ndarray or None
        float64, shape (n, n_classes), adding up to 1 or, but for the methods
        that need all of them, less.
    repaired : int
        Rows that were scaled to a sum of 1.
    short : int
        Rows whose probabilities stay below 1 in sum, as those of the best few
        classes do: what is missing belongs to no class.

    Raises
    ------
    UserError
        A row without an answer, a label that is no class, or probabilities
        that are none.
    """
    if scoring.soft:
        whole = scoring.method in ("pacc", "em")
        prob, record = _checked(_matrix(table["prob"], len(scoring.classes), place), scoring.classes, whole, place)
        best = prob.argmax(axis=1) if len(prob) else np.zeros(0, np.int64)
        return best, prob[np.arange(len(prob)), best], prob, record["rows"], record["short"]
    known = {name: number for number, name in enumerate(scoring.classes)}
    labels = table["label"].cast(pa.string()).to_pylist()
    best = np.array([known.get(label, -1) for label in labels], dtype=np.int64)
    if (best < 0).any():
        row = int(np.argmax(best < 0))
        raise UserError(
            f"{place}: object {row + 1} of the model has the label {labels[row]!r}, which is none of its {len(known)} classes {list(known)[:8]}."
        )
    top = table["score"].to_numpy().astype(np.float64) if "score" in table.column_names else np.full(len(best), np.nan)
    return best, top, None, 0, 0


def _checked(prob, classes, whole, place):
    try:
        return check_probabilities(prob, classes, whole=whole)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def _matrix(column, size, place):
    """Lists of one length as a matrix."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise UserError(
            f"{place}: object {row + 1} of the model has no probabilities; {column.null_count} such objects."
        )
    if not len(column):
        return np.zeros((0, size))
    lengths = (
        np.asarray(column.value_lengths())
        if not pa.types.is_fixed_size_list(column.type)
        else np.full(1, column.type.list_size)
    )
    if (lengths != size).any():
        raise UserError(
            f"{place}: column 'prob' holds lists of {int(lengths[lengths != size][0])} numbers, needed are {size}, one per class."
        )
    return column.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, size)


def tally_model(table, places, sizes, scoring, place):
    """Sums of the objects of a model.

    Parameters
    ----------
    table : pyarrow.Table
        Objects, as for `answers`.
    places : tuple of numpy.ndarray
        Place of each object's sample, its size class, its volume in whole
        units and whether that is unknown, shape (n,) each.
    sizes : aqqua_dist.counts.tallies.Axes
        Samples (with `Scoring.extra_rows` behind them), labels, the last of
        which is ``unclassified``, columns and size classes.
    scoring : Scoring
        How they are counted.
    place : str
        For messages.

    Returns
    -------
    list of aqqua_dist.counts.tallies.Tally
        To be added up.
    """
    axes, rows = sizes, max(1, BLOCK // max(1, len(scoring.classes)))
    return [
        tally
        for start in range(0, len(table), rows)
        for tally in _block(
            table.slice(start, rows),
            [part[start : start + rows] for part in places],
            axes,
            scoring,
            f"{place}, from object {start + 1}",
        )
    ]


def _block(table, places, axes, scoring, place):
    best, top, prob, repaired, short = answers(table, scoring, place)
    sample, size, volume, unknown = places
    first = len(axes.samples) - len(scoring.extra_rows)
    found = [_single(first, place, axes, n) for place, n in enumerate((repaired, short)) if n]
    if scoring.method in ("probabilistic", "pacc"):
        prob = _with_rest(prob, scoring, axes)
        return [*found, _shares(prob, prob.argmax(axis=1), (sample, size, volume, unknown), axes)]
    column = np.where(top == 0, len(axes.labels) - 1, len(axes.labels) + best)  # no class has any probability
    if scoring.method == "thresholded":
        column = np.where(top >= scoring.limits[best], column, len(axes.labels) - 1)
    elif scoring.method == "em":
        bins = _bins(prob, best, top)
        column = len(axes.labels) + bins
        none = np.zeros(len(bins), np.int64)
        found.append(_shares(prob, best, (first + 1 + bins, none, none, none.astype(bool)), axes))
    return [*found, tallies.tally_slots((sample * axes.width + column) * axes.sizes + size, volume, unknown)]


def _with_rest(prob, scoring, axes):
    """Probabilities of the columns: what is missing to 1 is `REST`."""
    rest = np.clip(1 - prob.sum(axis=1), 0, 1)
    if len(axes.columns) > prob.shape[1]:
        return np.column_stack([prob, np.where(rest < 1e-9, 0, rest)])
    if REST in scoring.classes and scoring.method == "probabilistic":
        prob = prob.copy()
        prob[:, scoring.classes.index(REST)] += rest
    return prob


def _bins(prob, best, top):
    others = prob.copy()
    others[np.arange(len(prob)), best] = -1.0
    level = np.minimum((top * LEVELS).astype(np.int64), LEVELS - 1)
    return (best * prob.shape[1] + others.argmax(axis=1)) * LEVELS + level


def _single(row, column, axes, n):
    none = np.zeros(1, np.int64)
    return tallies.Tally(np.array([(row * axes.width + column) * axes.sizes]), np.array([n], np.int64), none, none)


def _shares(prob, best, places, axes):
    """Probabilities summed by sample, class and size."""
    sample, size, volume, unknown = places
    share = np.rint(prob * WHOLE).astype(np.int64)
    share[np.arange(len(share)), best] += WHOLE - share.sum(axis=1)
    key = sample * axes.sizes + size
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, np.int64)
    if not len(starts):
        return tallies.merge([])
    share = share[order]
    parts = (
        share,
        np.rint(share * tallies.SHARE_UNIT * volume[order, None]).astype(np.int64),
        share * unknown[order, None],
    )
    n, total, lost = (np.add.reduceat(part, starts, axis=0) for part in parts)
    row, column = np.nonzero(n)
    sample, size = np.divmod(key[starts][row], axes.sizes)
    cells = (sample * axes.width + len(axes.labels) + column) * axes.sizes + size
    order = np.argsort(cells)
    return tallies.Tally(cells[order], n[row, column][order], total[row, column][order], lost[row, column][order])
