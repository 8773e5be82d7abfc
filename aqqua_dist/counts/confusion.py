"""What a classifier confuses: its validation table and the shares that follow from it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError

TRUE = ("true_class", "true", "taxon", "label")
"""Names of the column of true classes in a validation table, best first."""
PREDICTED = ("predicted", "predicted_class", "prediction")
PREFIXES = ("prob_", "p_")

ADJUSTED = {"acc": "labels", "pacc": "probabilities"}
"""Ways to count the model's objects with the sums that each needs, and the kind of confusion that corrects some of them."""
TOLERANCE, REPAIR = 1e-3, 1e-6
"""Distance of a row of probabilities from a sum of 1 that half precision leaves, and from which scaling it is recorded."""
DIGITS = 5e-5
"""What four decimal digits may take from each probability, or add to it."""


@dataclass(frozen=True)
class Confusion:
    """What a classifier made of labelled images.

    Attributes
    ----------
    classes : tuple of str
        Classes, true and predicted.
    counts : numpy.ndarray
        Shape (n_classes, n_classes): images of each true class (rows) by the
        predicted one, or sums of their probabilities.
    kind : str
        ``labels`` or ``probabilities``.
    """

    classes: tuple
    counts: np.ndarray
    kind: str

    @property
    def shares(self):
        """Share of each true class that is predicted as each class, shape (n_classes, n_classes); rows add up to 1."""
        return self.counts / self.counts.sum(axis=1, keepdims=True)


def confusion(true, predicted, classes):
    """Confusion of a labelled validation table.

    Parameters
    ----------
    true : array_like of str
        True classes, shape (n,).
    predicted : array_like
        Predicted classes, shape (n,), or probabilities, (n, n_classes).
    classes : sequence of str
        All classes, in the order of the probabilities.

    Returns
    -------
    Confusion
        Counts by true and predicted class.

    Raises
    ------
    UserError
        A label outside the classes, or a class without a labelled image.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> true, predicted = ["Copepoda", "Copepoda", "Salpida"], ["Copepoda", "Salpida", "Salpida"]
    >>> aq.confusion(true, predicted, ["Copepoda", "Salpida"]).counts.tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    classes, predicted = tuple(classes), np.asarray(predicted)
    rows = codes(true, classes, "true class")
    if len(predicted) != len(rows):
        raise UserError(
            f"{len(predicted)} predictions for {len(rows)} true classes of the validation table, needed is one each."
        )
    empty = np.bincount(rows, minlength=len(classes)) == 0
    if empty.any():
        raise UserError(
            f"class {classes[int(np.argmax(empty))]!r} has 0 labelled images in the validation table, at least 1 is needed; {empty.sum()} such classes."
        )
    soft = predicted.ndim == 2
    votes = (
        check_probabilities(predicted, classes)[0]
        if soft
        else np.eye(len(classes))[codes(predicted, classes, "predicted class")]
    )
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, rows, votes)
    return Confusion(classes, table, "probabilities" if soft else "labels")


def check_probabilities(prob, classes, columns=None, *, whole=True):
    """Probabilities whose rows add up to 1.

    Parameters
    ----------
    prob : array_like
        Shape (n, n_classes), any floating type.
    classes : sequence of str
        Classes, in the order of the columns.
    columns : sequence of str, optional
        Classes that the file names; they must be `classes` in their order.
    whole : bool
        Whether a row must hold all classes; otherwise it may add up to less
        than 1, as the best few classes of a model do.

    Returns
    -------
    prob : numpy.ndarray
        float64; rows within `TOLERANCE` of 1, or what four digits of each
        class leave, are scaled to 1.
    record : dict
        ``rows`` that were scaled and off by more than `REPAIR`, ``largest``
        distance of those, ``short`` rows that stay below 1.

    Raises
    ------
    UserError
        Other columns, a value outside [0, 1], a row that is not 1 in sum.
    """
    prob = np.asarray(prob, dtype=np.float64)
    if prob.ndim != 2 or prob.shape[1] != len(classes):
        raise UserError(
            f"probabilities of shape {prob.shape} for {len(classes)} classes {list(classes)[:8]}; needed is one column per class."
        )
    if columns is not None and tuple(columns) != tuple(classes):
        raise UserError(
            f"probabilities: the columns are of the classes {list(columns)[:8]}, needed is the order of {list(classes)[:8]}."
        )
    bad = ~((prob >= 0) & (prob <= 1 + TOLERANCE))
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        raise UserError(
            f"probabilities, row {row + 1}, class {classes[column]!r}: {prob[row, column]} is outside [0, 1]; {bad.sum()} such values."
        )
    total = prob.sum(axis=1)
    off = np.abs(total - 1)
    near = off <= max(TOLERANCE, DIGITS * len(classes))
    wrong = ~near if whole else ~near & (total > 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UserError(
            f"probabilities, row {row + 1}: they add up to {total[row]:.6g}, needed is {'1' if whole else '1 or less'}; "
            f"{wrong.sum()} such rows."
        )
    record = {"rows": int((near & (off > REPAIR)).sum()), "largest": float(off[near].max(initial=0.0))}
    return prob / np.where(near, total, 1.0)[:, None], record | {"short": int((~near).sum())}


def codes(labels, classes, what):
    """Places of labels in a list of classes.

    Parameters
    ----------
    labels : sequence of str
        Labels.
    classes : sequence of str
        Classes, each once.
    what : str
        What the labels are, for the message.

    Returns
    -------
    numpy.ndarray
        Place of each label, shape (n_labels,).

    Raises
    ------
    UserError
        A label is none of the classes.
    """
    known = {name: place for place, name in enumerate(classes)}
    if len(known) != len(classes):
        raise UserError(f"classes {list(classes)[:8]} hold a name twice, allowed is once.")
    places = np.array([known.get(label, -1) for label in np.asarray(labels, dtype=object)], dtype=np.int64)
    if (places < 0).any():
        row = int(np.argmax(places < 0))
        raise UserError(
            f"row {row + 1}: {what} {labels[row]!r} is none of {list(classes)[:8]} ({len(classes)} in all)."
        )
    return places


@dataclass(frozen=True)
class Validated:
    """A labelled validation table.

    Attributes
    ----------
    labels : aqqua_dist.counts.correction.Confusion
        From the best classes.
    probabilities : aqqua_dist.counts.correction.Confusion or None
        From the probabilities, where the table has them.
    squares : numpy.ndarray or None
        Sums of squared probabilities by true class, in the shape of the
        counts of `probabilities`.
    """

    labels: Confusion
    probabilities: Confusion | None = None
    squares: np.ndarray | None = None

    @property
    def classes(self):
        """Classes of the model (tuple of str)."""
        return self.labels.classes

    @property
    def mix(self):
        """Share of each true class, shape (n_classes,)."""
        n = self.labels.counts.sum(axis=1)
        return n / n.sum()

    def of(self, method):
        """Confusion that a method needs.

        Parameters
        ----------
        method : str
            Of `aqqua_dist.counts.correction.SUMS_NEEDED` or ``em``.

        Returns
        -------
        aqqua_dist.counts.correction.Confusion or None
            None for a method without a correction.

        Raises
        ------
        UserError
            The table has no probabilities.
        """
        kind = ADJUSTED.get(method)
        found = {"labels": self.labels, "probabilities": self.probabilities}.get(kind)
        if kind and found is None:
            raise UserError(
                f"method {method!r} needs a validation table with {kind}, given is one with the best class only."
            )
        return found


def read_validation(path, classes=None):
    """Labelled validation table of a model.

    Parameters
    ----------
    path : str or os.PathLike
        CSV or Parquet, one row per image that a human has labelled and the
        model has not been trained on: the true class (a column of `TRUE`),
        and the predicted class (of `PREDICTED`) or one column of
        probabilities per class (``prob_<class>`` or ``p_<class>``).
    classes : sequence of str, optional
        Classes of the model in its order; those of the table unless given.

    Returns
    -------
    Validated
        Confusions of all images.

    Raises
    ------
    UserError
        Missing columns, other classes than `classes`, a class without a
        labelled image, or impossible probabilities.
    """
    table = files.read_parquet(path) if str(path).endswith(".parquet") else _csv(path)
    true = next((name for name in TRUE if name in table), None)
    if true is None:
        raise UserError(
            f"{path}: there is no column of true classes, allowed are {list(TRUE)}; the table has {list(table)[:12]}."
        )
    if table[true].isna().any():
        raise UserError(
            f"{path}, row {int(np.flatnonzero(table[true].isna())[0]) + 2}, column {true!r}: the true class is missing."
        )
    prefix = next((prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in table)), None)
    predicted = next((name for name in PREDICTED if name in table), None)
    try:
        if prefix is None:
            if predicted is None:
                raise UserError(
                    f"there is neither a column of {list(PREDICTED)} nor one of probabilities {[f'{p}<class>' for p in PREFIXES]}."
                )
            names = tuple(classes) if classes is not None else tuple(sorted(set(table[true]) | set(table[predicted])))
            return Validated(confusion(table[true].to_numpy(), table[predicted].to_numpy(), names))
        held = [name for name in table if name.startswith(prefix)]
        names = tuple(name.removeprefix(prefix) for name in held)
        if classes is not None and set(names) != set(classes):
            raise UserError(
                f"the probabilities are of the classes {sorted(names)[:8]}, those of the objects of {sorted(classes)[:8]}."
            )
        names = tuple(classes) if classes is not None else names
        prob, _ = check_probabilities(table[[f"{prefix}{name}" for name in names]].to_numpy(), names)
        best = np.array(names, dtype=object)[prob.argmax(axis=1)]
        truth = table[true].to_numpy()
        squares = np.zeros((len(names), len(names)))
        np.add.at(squares, codes(truth, names, "true class"), prob**2)
        return Validated(confusion(truth, best, names), confusion(truth, prob, names), squares)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _csv(path):
    try:
        return pd.read_csv(path, dtype={name: "str" for name in (*TRUE, *PREDICTED)}, keep_default_na=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: the validation table cannot be read ({str(error).splitlines()[0]}).") from None
