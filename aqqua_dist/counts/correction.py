"""How many of each class there are, from what a classifier says: counts corrected for its confusion.

Counting labels (or adding up probabilities) takes the classifier's mistakes
for animals, and the mistakes depend on the mix of classes. The corrections
here use a labelled validation table. Objects are visited once, in `summed`;
all methods work on the sums of the samples, but `em`, which needs the
probabilities of the objects, or a histogram of them. What a human has counted
is never corrected (`who_counts`, `counting.combined`). Members draw the counts and,
one for all samples, the confusion (`counting.draw_counts`, `draw_shares`),
and hand both to `adjusted`.
"""

import warnings
from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import nnls

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.counts.confusion import ADJUSTED, check_probabilities, codes

SUMS_NEEDED = {
    "validated": None,
    "top1": "top",
    "thresholded": "kept",
    "probabilistic": "prob",
    "acc": "top",
    "pacc": "prob",
}
DUBIOUS = {"predicted": 1, "validated": 0, "unclassified": 2}
"""What can become of objects whose label a human doubts, see `who_counts`."""
ILL = 1e4
"""Condition number of a confusion matrix above which a correction says nothing."""


@dataclass(frozen=True)
class ClassSums:
    """What a model says about samples: shape (n_samples, n_classes) each; sums of parts are added with ``+``.

    Attributes
    ----------
    classes : tuple of str
        Classes of the model.
    top, kept : numpy.ndarray
        int64: objects by top class, and those that pass its threshold.
    prob : numpy.ndarray
        Sums of probabilities.
    repaired, largest : int, float
        Record: rows that were scaled to a sum of 1, largest distance from it.
    """

    classes: tuple
    top: np.ndarray
    kept: np.ndarray
    prob: np.ndarray
    repaired: int = 0
    largest: float = 0.0

    def __add__(self, other):
        if (self.classes, self.top.shape) != (other.classes, other.top.shape):
            raise UserError(
                f"sums of samples and classes {self.top.shape}, {list(self.classes)[:8]}, and {other.top.shape}, {list(other.classes)[:8]}; "
                "needed are the same, in the same order."
            )
        added = [getattr(self, entry.name) + getattr(other, entry.name) for entry in fields(self)[1:-1]]
        return ClassSums(self.classes, *added, max(self.largest, other.largest))


def who_counts(status, dubious="predicted"):
    """Whether a human or the model counts each object, so that none is counted twice.

    Parameters
    ----------
    status : array_like of str
        ``validated``, ``predicted``, ``unclassified`` or ``dubious``.
    dubious : str
        What becomes of dubious objects: ``predicted`` (the model counts
        them), ``validated`` (their label counts) or ``unclassified``.

    Returns
    -------
    numpy.ndarray
        0 the human, 1 the model, 2 nobody: the remainder of `counting.combined`.

    Raises
    ------
    UserError
        An unknown status or option.
    """
    if dubious not in DUBIOUS:
        raise UserError(f"dubious objects as {dubious!r}: allowed are {list(DUBIOUS)}.")
    return np.array([0, 1, 1, DUBIOUS[dubious]])[
        codes(status, ("validated", "predicted", "unclassified", "dubious"), "status")
    ]


def summed(prob, classes, sample, size, thresholds=0.0):
    """Sums by sample of objects that the model counts.

    Parameters
    ----------
    prob : array_like
        Shape (n, n_classes), in the order of `classes`.
    classes : sequence of str
        Classes of the model.
    sample : array_like of int
        Number of the sample of each object, shape (n,), from 0 to size - 1.
    size : int
        Samples in all.
    thresholds : float or dict of str to float
        Least probability of the top class, for all or by class (others 0).

    Returns
    -------
    ClassSums
        Every object once.

    Raises
    ------
    UserError
        Probabilities, numbers of samples or thresholds that are none.
    """
    (prob, record), classes, sample = check_probabilities(prob, classes), tuple(classes), np.asarray(sample)
    if (
        sample.shape != (len(prob),)
        or len(sample)
        and not (sample.dtype.kind in "iu" and 0 <= sample.min() <= sample.max() < size)
    ):
        raise UserError(
            f"numbers of samples {sample.ravel()[:4].tolist()} of shape {sample.shape} for {len(prob)} objects; allowed are whole numbers from 0 to {size - 1}, one each."
        )
    limits = (
        dict.fromkeys(classes, thresholds)
        if not isinstance(thresholds, dict)
        else {name: 0.0 for name in classes} | thresholds
    )
    if set(limits) != set(classes) or not all(0 <= limit <= 1 for limit in limits.values()):
        raise UserError(f"thresholds {limits}: allowed are numbers within [0, 1] of the classes {list(classes)[:8]}.")
    best = prob.argmax(axis=1)
    passed = prob[np.arange(len(prob)), best] >= np.array([limits[name] for name in classes])[best]
    cell = sample.astype(np.int64) * len(classes) + best
    top, kept = (
        np.bincount(cell[rows], minlength=size * len(classes)).reshape(size, -1) for rows in (slice(None), passed)
    )
    added = np.column_stack([np.bincount(sample.astype(np.int64), column, size) for column in prob.T])
    return ClassSums(classes, top, kept, added, record["rows"], record["largest"])


def estimate(sums, method, table=None):
    """Counts of the model's objects in every sample.

    Parameters
    ----------
    sums : ClassSums
        From `summed`.
    method : str
        ``validated`` (all of them are left), ``top1``, ``thresholded``,
        ``probabilistic`` (PCC; keeps the bias of a mix that is not that of
        the training), ``acc`` or ``pacc``.
    table : Confusion, optional
        For ``acc`` (from labels) and ``pacc`` (from probabilities).

    Returns
    -------
    counts : numpy.ndarray
        Shape (n_samples, n_classes).
    left : numpy.ndarray
        Unclassified remainder, (n_samples,): with `counts` all objects.

    Raises
    ------
    UserError
        An unknown method; a confusion of other classes or the other kind.
    """
    if method not in SUMS_NEEDED:
        raise UserError(f"method {method!r} of counting is unknown, allowed are {list(SUMS_NEEDED)}.")
    if method in ADJUSTED and (table is None or (table.classes, table.kind) != (sums.classes, ADJUSTED[method])):
        given = None if table is None else f"one from {table.kind} of {list(table.classes)[:8]}"
        raise UserError(
            f"method {method!r} needs a confusion from {ADJUSTED[method]} of the classes {list(sums.classes)[:8]}, given is {given}."
        )
    counts = np.zeros(sums.top.shape) if method == "validated" else getattr(sums, SUMS_NEEDED[method]).astype(float)
    classified = {"validated": counts, "thresholded": counts}.get(method, sums.top).sum(axis=1)
    left = sums.top.sum(axis=1) - classified.astype(np.int64)
    return adjusted(counts, table.shares, table.classes) if method in ADJUSTED else counts, left


def adjusted(counts, rates, classes=None):
    """Counts corrected by a confusion matrix: ACC from labels, PACC from sums of probabilities.

    The mix of classes p, none below 0 and adding up to 1, whose predicted
    mix rates' p is nearest (least squares) to the one that was seen.

    Parameters
    ----------
    counts : array_like
        Shape (n_classes,), (n_samples, n_classes) or, for members,
        (n_members, n_samples, n_classes).
    rates : array_like
        Shape (n_classes, n_classes), as `Confusion.shares` of the same kind;
        for members one each, (n_members, n_classes, n_classes).
    classes : sequence of str, optional
        For the warning that names the classes which the model does not tell
        apart, where the condition number of the mean rates is above `ILL`.

    Returns
    -------
    numpy.ndarray
        Shape of `counts`, with the same sums over the classes.

    Raises
    ------
    UserError
        Counts or rates that are none, or of shapes that do not match.

    References
    ----------
    Forman 2008, doi 10.1007/s10618-008-0097-y (ACC); Bella et al. 2010,
    doi 10.1109/ICDM.2010.75 (PACC).

    Examples
    --------
    Of 100 copepods the model calls 90 so, and 10 salps:

    >>> import aqqua_dist as aq
    >>> aq.adjusted([90, 10], [[0.9, 0.1], [0.2, 0.8]]).round(6).tolist()
    [100.0, 0.0]
    """
    seen, rates = np.asarray(counts, dtype=float), np.asarray(rates, dtype=float)
    size = seen.shape[-1] if seen.ndim else 0
    members = seen.shape[:1] if seen.ndim == 3 else ()
    if (
        not size
        or rates.shape != (*members, size, size)
        or not ((rates >= 0).all() and np.allclose(rates.sum(axis=-1), 1))
    ):
        raise UserError(
            f"rates of shape {rates.shape} for counts of shape {seen.shape}; needed is {(*members, size, size)}, shares whose rows add up to 1."
        )
    good = (np.isfinite(seen) & (seen >= 0)).all(axis=-1).ravel()
    if not good.all():
        row = int(np.argmin(good))
        raise UserError(
            f"counts {seen.reshape(-1, size)[row, :8].tolist()} of row {row + 1} hold a number below 0 or none."
        )
    mean = rates.reshape(-1, size, size).mean(axis=0)
    condition = np.linalg.cond(mean)
    if not condition < ILL:
        null = np.abs(np.linalg.svd(mean.T)[2][-1])  # the mix that the model does not see
        mixed = [str(k if classes is None else classes[k]) for k in np.flatnonzero(null > null.max() / 3)]
        warnings.warn(
            f"the confusion matrix has a condition number of {condition:.3g}, above {ILL:g}: the model does not tell {mixed} apart, so that "
            "the corrected count of each of them means nothing.",
            MethodWarning,
            stacklevel=2,
        )
    if members:
        return np.array([_unmixed(one, each) for one, each in zip(seen, rates, strict=True)]).reshape(seen.shape)
    return _unmixed(np.atleast_2d(seen), rates).reshape(seen.shape)


def _unmixed(seen, rates):
    # exact where no class falls below 0, as the rows of rates add up to 1
    result = np.linalg.solve(rates.T, seen.T).T if np.linalg.cond(rates) < ILL else np.full(seen.shape, -1.0)
    total, heavy = seen.sum(axis=1), 1e3  # weight of the row that makes the mix add up to 1
    system = np.vstack([rates.T, np.full(len(rates), heavy)])
    for row in np.flatnonzero((result < 0).any(axis=1) & (total > 0)):
        share, _ = nnls(system, np.append(seen[row] / total[row], heavy), maxiter=30 * len(rates))
        result[row] = total[row] * share / share.sum()
    return np.where(total[:, None] > 0, result, 0.0)


def em(prob, classes, prior, weight=None, *, tolerance=1e-6, rounds=2000):
    """Counts by expectation-maximisation of the mix of classes (Saerens, Latinne & Decaestecker; SLD, EMQ).

    Parameters
    ----------
    prob : array_like or list of array_like
        Calibrated probabilities, shape (n, n_classes), or chunks of them.
    classes : sequence of str
        Classes.
    prior : array_like
        Mix of classes that the probabilities were calibrated on, shape
        (n_classes,), above 0.
    weight : array_like, optional
        How many objects each row stands for, shape (n,), or (n_sets, n):
        samples on the rows of one histogram, or members, whose weights are
        drawn (``rng.standard_gamma(weight)``). None: 1.
    tolerance : float
        Largest change of a share at which the iteration ends.
    rounds : int
        Iterations at most; a warning says where they did not suffice.

    Returns
    -------
    counts : numpy.ndarray
        Shape (n_classes,) or (n_sets, n_classes), adds up to the weights.
    record : dict
        ``rounds``, and ``change`` in the last, largest of all sets.

    Raises
    ------
    UserError
        A prior that is not above 0, or weights below 0 or of another shape.

    References
    ----------
    Saerens, Latinne & Decaestecker 2002, doi 10.1162/089976602753284446.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> counts, record = aq.em([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], ["Copepoda", "Salpida"], [0.5, 0.5])
    >>> counts.round(6).tolist()
    [1.0, 2.0]
    """
    whole = not isinstance(prob, list) or any(np.ndim(part) < 2 for part in prob)
    chunks = [check_probabilities(part, classes)[0] for part in ([prob] if whole else prob)]
    edges, prior = np.cumsum([0, *map(len, chunks)]), np.asarray(prior, dtype=float)
    if prior.shape != (len(classes),) or not (np.isfinite(prior) & (prior > 0)).all():
        raise UserError(
            f"prior {prior.ravel()[:8].tolist()} of {len(classes)} classes must hold one number above 0 per class."
        )
    weight = np.ones(edges[-1]) if weight is None else np.asarray(weight, dtype=float)
    if weight.ndim not in (1, 2) or weight.shape[-1] != edges[-1] or not (np.isfinite(weight) & (weight >= 0)).all():
        raise UserError(
            f"weights of shape {weight.shape} for {edges[-1]} rows of probabilities; needed is a number of 0 or more for each."
        )
    sets = np.atleast_2d(weight)
    total, prior = sets.sum(axis=1, keepdims=True), prior / prior.sum()
    share, change, done = np.tile(prior, (len(sets), 1)), np.inf, 0
    while change > tolerance and done < rounds:
        ratio, new = share / prior, np.zeros(share.shape)
        for part, low, high in zip(chunks, edges[:-1], edges[1:], strict=True):
            new += sets[:, low:high] / (ratio @ part.T) @ part
        new = np.where(total > 0, ratio * new / np.where(total > 0, total, 1), prior)
        change, share, done = float(np.abs(new - share).max(initial=0)), new, done + 1
    if change > tolerance:
        warnings.warn(
            f"the mix of classes still changed by {change:.2g} after {done} iterations, more than {tolerance:g}.",
            MethodWarning,
            stacklevel=2,
        )
    return (share * total).reshape(*weight.shape[:-1], len(classes)), {"rounds": done, "change": change}
