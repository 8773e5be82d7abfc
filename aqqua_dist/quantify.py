"""How many of each class there are, from what a classifier says: counts corrected for its confusion.

Counting labels (or adding up probabilities) takes the classifier's mistakes
for animals, and the mistakes depend on the mix of classes. The corrections
here use a labelled validation table: the adjusted counts of labels (ACC) and
of probabilities (PACC), and expectation-maximisation on calibrated
probabilities (Saerens, Latinne & Decaestecker). Members draw the confusion
and the counts, so that their error goes on into every total.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from aqqua_dist.errors import MethodWarning, UserError

TOLERANCE = 1e-3
"""Largest distance of a row of probabilities from a sum of 1, as half precision leaves it."""
ILL = 1e6
"""Condition number of a confusion matrix above which a correction says nothing."""
PRIOR = 0.5
"""Pseudo-counts of the Dirichlet distribution of each row of a confusion matrix (Jeffreys)."""


@dataclass(frozen=True)
class Confusion:
    """What a classifier made of labelled images.

    Attributes
    ----------
    classes : tuple of str
        Classes, true and predicted.
    counts : numpy.ndarray
        Shape (n_classes, n_classes): images of each true class (rows) by the
        predicted one; whole numbers from labels, sums of probabilities
        otherwise.
    n : numpy.ndarray
        Images per true class, shape (n_classes,).
    """

    classes: tuple
    counts: np.ndarray
    n: np.ndarray

    @property
    def rates(self):
        """Share of each true class that is predicted as each class, shape (n_classes, n_classes); rows add up to 1."""
        return self.counts / self.n[:, None]


def confusion(true, predicted, classes):
    """Confusion of a labelled validation table.

    Parameters
    ----------
    true : array_like of str
        True classes, shape (n,).
    predicted : array_like
        Predicted classes, text of shape (n,), or probabilities of shape
        (n, n_classes) in the order of `classes`.
    classes : sequence of str
        All classes.

    Returns
    -------
    Confusion
        Counts by true and predicted class.

    Raises
    ------
    UserError
        A label outside the classes, a class without any labelled image, or
        probabilities that are none.
    """
    classes = tuple(classes)
    rows = _codes(true, classes, "true")
    n = np.bincount(rows, minlength=len(classes))
    if (n == 0).any():
        raise UserError(f"class {classes[int(np.argmin(n))]!r} has 0 labelled images in the validation table, at least 1 is needed; {int((n == 0).sum())} such classes.")
    table = np.zeros((len(classes), len(classes)))
    predicted = np.asarray(predicted)
    if predicted.ndim == 2:
        np.add.at(table, rows, check_probabilities(predicted, classes))
    else:
        np.add.at(table, (rows, _codes(predicted, classes, "predicted")), 1)
    return Confusion(classes, table, n)


def _codes(labels, classes, what):
    labels = np.asarray(labels).astype(object)
    known = {name: place for place, name in enumerate(classes)}
    if len(known) != len(classes):
        raise UserError(f"classes {list(classes)[:8]} hold a name twice, allowed is once.")
    codes = np.array([known.get(label, -1) for label in labels], dtype=np.int64)
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise UserError(f"row {row + 1}: {what} class {labels[row]!r} is none of the {len(classes)} classes {list(classes)[:8]}.")
    return codes


def check_probabilities(prob, classes, place="probabilities"):
    """Probabilities whose rows add up to 1.

    Parameters
    ----------
    prob : array_like
        Shape (n, n_classes), in the order of `classes`.
    classes : sequence of str
        Classes.
    place : str
        For messages.

    Returns
    -------
    numpy.ndarray
        float64; rows within `TOLERANCE` of 1 are scaled to 1.

    Raises
    ------
    UserError
        Another number of columns, a value outside [0, 1] or none, or a row
        that does not add up to 1.
    """
    prob = np.asarray(prob, dtype=np.float64)
    if prob.ndim != 2 or prob.shape[1] != len(classes):
        raise UserError(f"{place}: shape {prob.shape} for {len(classes)} classes {list(classes)[:8]}; needed is one column per class.")
    bad = ~((prob >= 0) & (prob <= 1 + TOLERANCE))
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        raise UserError(f"{place}, row {row + 1}, class {classes[column]!r}: {prob[row, column]} is outside [0, 1]; {int(bad.sum())} such values.")
    total = prob.sum(axis=1)
    off = np.abs(total - 1) > TOLERANCE
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise UserError(f"{place}, row {row + 1}: the probabilities add up to {total[row]:.6g}, needed is 1; {int(off.sum())} such rows.")
    return prob / total[:, None]


def counted(labels, classes):
    """Number of images by label (validated ones, or the top class of a model).

    Parameters
    ----------
    labels : array_like of str
        Shape (n,).
    classes : sequence of str
        Classes.

    Returns
    -------
    numpy.ndarray
        int64, shape (n_classes,).

    Raises
    ------
    UserError
        A label outside the classes.
    """
    return np.bincount(_codes(labels, tuple(classes), "counted"), minlength=len(classes))


def thresholded(prob, classes, thresholds):
    """Number of images whose top class passes its threshold, and the rest.

    Parameters
    ----------
    prob : array_like
        Shape (n, n_classes).
    classes : sequence of str
        Classes.
    thresholds : float or dict of str to float
        Least probability of the top class, for all or by class.

    Returns
    -------
    counts : numpy.ndarray
        int64, shape (n_classes,).
    unclassified : int
        Images that pass no threshold; they stay in the table.

    Raises
    ------
    UserError
        A threshold of an unknown class, or outside [0, 1].
    """
    prob = check_probabilities(prob, classes)
    limits = dict.fromkeys(classes, thresholds) if not isinstance(thresholds, dict) else {name: 0.0 for name in classes} | thresholds
    unknown = [name for name in limits if name not in classes]
    if unknown or not all(0 <= limit <= 1 for limit in limits.values()):
        raise UserError(f"thresholds {limits}: allowed are numbers within [0, 1] of the classes {list(classes)[:8]}.")
    best = prob.argmax(axis=1)
    passed = prob[np.arange(len(prob)), best] >= np.array([limits[name] for name in classes])[best]
    return np.bincount(best[passed], minlength=len(classes)), int((~passed).sum())


def probabilistic(prob, classes):
    """Sum of the probabilities of each class (PCC).

    Parameters
    ----------
    prob : array_like
        Shape (n, n_classes).
    classes : sequence of str
        Classes.

    Returns
    -------
    numpy.ndarray
        Shape (n_classes,), adds up to n. It keeps the bias of a mix that
        differs from that of the training images.
    """
    return check_probabilities(prob, classes).sum(axis=0)


def adjusted(counts, rates):
    """Counts corrected by a confusion matrix (ACC from labels, PACC from sums of probabilities).

    The mix of classes p, none of them below 0 and adding up to 1, whose
    predicted mix rates' p is nearest to the one that was seen.

    Parameters
    ----------
    counts : array_like
        Shape (n_classes,): labels counted, or probabilities summed.
    rates : array_like
        Shape (n_classes, n_classes), from `Confusion.rates` of the same kind.

    Returns
    -------
    numpy.ndarray
        Shape (n_classes,), same sum as `counts`.

    Raises
    ------
    UserError
        Counts or rates that are none, or of another number of classes.

    References
    ----------
    Forman 2008, doi 10.1007/s10618-008-0097-y; Bella et al. 2010,
    doi 10.1109/ICDM.2010.75.
    """
    counts, rates = np.asarray(counts, dtype=float), np.asarray(rates, dtype=float)
    if rates.shape != (len(counts), len(counts)) or not (np.isfinite(rates).all() and (rates >= 0).all()):
        raise UserError(f"rates of shape {rates.shape} for {len(counts)} counts; needed is a square of shares of 0 or more.")
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise UserError(f"counts {counts[:8]} hold a number below 0 or none.")
    total = counts.sum()
    if total == 0:
        return counts.copy()
    condition = np.linalg.cond(rates.T)
    if not condition < ILL:
        warnings.warn(
            f"the confusion matrix has a condition number of {condition:.3g}; classes that the model does not tell apart cannot be corrected.",
            MethodWarning, stacklevel=2)
    heavy = 1e3  # weight of the row that makes the mix add up to 1
    share, _ = nnls(np.vstack([rates.T, np.full(len(counts), heavy)]), np.append(counts / total, heavy))
    return total * share / share.sum()


def em(prob, classes, prior, *, tolerance=1e-6, rounds=1000):
    """Counts by expectation-maximisation of the mix of classes.

    Parameters
    ----------
    prob : array_like
        Calibrated probabilities, shape (n, n_classes).
    classes : sequence of str
        Classes.
    prior : array_like
        Mix of classes that the probabilities were calibrated on, shape
        (n_classes,), above 0.
    tolerance : float
        Largest change of a share at which the iteration ends.
    rounds : int
        Iterations at most.

    Returns
    -------
    numpy.ndarray
        Shape (n_classes,), adds up to n.

    Raises
    ------
    UserError
        A prior that is not above 0.

    References
    ----------
    Saerens, Latinne & Decaestecker 2002, doi 10.1162/089976602753284446.
    """
    prob, prior = check_probabilities(prob, classes), np.asarray(prior, dtype=float)
    if prior.shape != (len(classes),) or not (prior > 0).all() or not np.isfinite(prior).all():
        raise UserError(f"prior {prior} of {len(classes)} classes must hold one number above 0 per class.")
    prior = prior / prior.sum()
    share = prior.copy()
    for _ in range(rounds):
        weighted = prob * (share / prior)
        new = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0) if len(prob) else share
        change, share = np.abs(new - share).max(), new
        if change < tolerance:
            break
    else:
        warnings.warn(f"the mix of classes still changed by {change:.2g} after {rounds} iterations, more than {tolerance:g}.", MethodWarning, stacklevel=2)
    return share * len(prob)


def draw_rates(table, rng, size=1):
    """Draws of a confusion matrix.

    Parameters
    ----------
    table : Confusion
        From labels.
    rng : numpy.random.Generator
        Source of the draws.
    size : int
        Draws.

    Returns
    -------
    numpy.ndarray
        Shape (size, n_classes, n_classes); each row is drawn from a
        Dirichlet distribution with the row's counts and `PRIOR` each.
    """
    gamma = rng.gamma(table.counts + PRIOR, 1.0, (size, *table.counts.shape))
    return gamma / gamma.sum(axis=2, keepdims=True)


def draw_adjusted(counts, table, rng, size=1):
    """Draws of adjusted counts, for members.

    Parameters
    ----------
    counts : array_like of int
        Labels counted, shape (n_classes,).
    table : Confusion
        From labels.
    rng : numpy.random.Generator
        Source of the draws.
    size : int
        Draws.

    Returns
    -------
    numpy.ndarray
        Shape (size, n_classes): each draw takes its own confusion and its
        own means of the counts, Gamma(n + 1/2, 1).
    """
    counts = np.asarray(counts, dtype=float)
    seen = rng.gamma(counts + PRIOR, 1.0, (size, len(counts)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MethodWarning)  # said once for the matrix itself
        return np.array([adjusted(one, rates) for one, rates in zip(seen, draw_rates(table, rng, size), strict=True)])


def combined(validated, predicted):
    """Counts of a sample that was validated in part.

    Parameters
    ----------
    validated : array_like
        Images counted by a human, shape (n_classes,); they are what they are.
    predicted : array_like
        Counts of the other images only, by any of the methods here.

    Returns
    -------
    numpy.ndarray
        Their sum. The share that was validated must not be taken for the
        mix of the rest: humans look at some classes first.

    Raises
    ------
    UserError
        Different numbers of classes.
    """
    validated, predicted = np.asarray(validated, dtype=float), np.asarray(predicted, dtype=float)
    if validated.shape != predicted.shape:
        raise UserError(f"validated counts of {validated.shape} classes and predicted ones of {predicted.shape}; needed are the same classes.")
    return validated + predicted
