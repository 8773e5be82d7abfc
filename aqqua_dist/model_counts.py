"""Sums of what a model says (`aqqua_dist.model_tallies`) to counts of classes, corrected by a labelled validation table."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist import artefact, quantify, tallies
from aqqua_dist.errors import UserError

TRUE = ("true_class", "true", "taxon", "label")
"""Names of the column of true classes in a validation table, best first."""
PREDICTED = ("predicted", "predicted_class", "prediction")
PREFIXES = ("prob_", "p_")
BLOCK = 4096
"""Samples that are corrected together."""


@dataclass(frozen=True)
class Validated:
    """A labelled validation table.

    Attributes
    ----------
    labels : aqqua_dist.quantify.Confusion
        From the best classes.
    probabilities : aqqua_dist.quantify.Confusion or None
        From the probabilities, where the table has them.
    """

    labels: quantify.Confusion
    probabilities: quantify.Confusion | None = None

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
            Of `aqqua_dist.quantify.METHODS` or ``em``.

        Returns
        -------
        aqqua_dist.quantify.Confusion or None
            None for a method without a correction.

        Raises
        ------
        UserError
            The table has no probabilities.
        """
        kind = quantify.ADJUSTED.get(method)
        found = {"labels": self.labels, "probabilities": self.probabilities}.get(kind)
        if kind and found is None:
            raise UserError(f"method {method!r} needs a validation table with {kind}, given is one with the best class only.")
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
    table = artefact.read_parquet(path) if str(path).endswith(".parquet") else _csv(path)
    true = next((name for name in TRUE if name in table), None)
    if true is None:
        raise UserError(f"{path}: there is no column of true classes, allowed are {list(TRUE)}; the table has {list(table)[:12]}.")
    if table[true].isna().any():
        raise UserError(f"{path}, row {int(np.flatnonzero(table[true].isna())[0]) + 2}, column {true!r}: the true class is missing.")
    prefix = next((prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in table)), None)
    predicted = next((name for name in PREDICTED if name in table), None)
    try:
        if prefix is None:
            if predicted is None:
                raise UserError(f"there is neither a column of {list(PREDICTED)} nor one of probabilities {[f'{p}<class>' for p in PREFIXES]}.")
            names = tuple(classes) if classes is not None else tuple(sorted(set(table[true]) | set(table[predicted])))
            return Validated(quantify.confusion(table[true].to_numpy(), table[predicted].to_numpy(), names))
        held = [name for name in table if name.startswith(prefix)]
        names = tuple(name.removeprefix(prefix) for name in held)
        if classes is not None and set(names) != set(classes):
            raise UserError(f"the probabilities are of the classes {sorted(names)[:8]}, those of the objects of {sorted(classes)[:8]}.")
        names = tuple(classes) if classes is not None else names
        prob, _ = quantify.check_probabilities(table[[f"{prefix}{name}" for name in names]].to_numpy(), names)
        best = np.array(names, dtype=object)[prob.argmax(axis=1)]
        return Validated(quantify.confusion(table[true].to_numpy(), best, names), quantify.confusion(table[true].to_numpy(), prob, names))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _csv(path):
    try:
        return pd.read_csv(path, dtype={name: "str" for name in (*TRUE, *PREDICTED)}, keep_default_na=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: the validation table cannot be read ({str(error).splitlines()[0]}).") from None


def raw_counts(sums, axes, scoring):
    """What the model says, as counts.

    Parameters
    ----------
    sums : aqqua_dist.tallies.Tally
        Of everything.
    axes : aqqua_dist.tallies.Axes
        Of `sums`.
    scoring : aqqua_dist.model_tallies.Scoring
        How it was counted.

    Returns
    -------
    pandas.DataFrame
        ``row`` (place of the sample), ``column`` (number of the class, or of
        the bin), ``size``, ``n`` (objects, or sums of probabilities),
        ``biovolume`` (mm3, NaN where the size of an object is unknown).
    """
    row, rest = np.divmod(sums.cells, axes.width * axes.sizes)
    column, size = np.divmod(rest, axes.sizes)
    mine = (column >= len(axes.labels)) & (row < len(axes.samples) - len(scoring.extra_rows))
    unit = tallies.SHARE_UNIT if scoring.method in ("probabilistic", "pacc") else 1.0
    return pd.DataFrame({
        "row": row[mine], "column": column[mine] - len(axes.labels), "size": size[mine], "n": sums.n[mine] * unit,
        "biovolume": np.where(sums.unknown[mine] > 0, np.nan, sums.volume[mine] * tallies.VOLUME_UNIT)})


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
    return int(sums.n[sums.cells == cell].sum()) if scoring.extra_rows else 0


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
    row, rest = np.divmod(sums.cells, axes.width * axes.sizes)
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
        means, prior = mean_answers(sums, axes, scoring), validated.mix if prior is None else np.asarray(prior, dtype=float)
        parts = [_by_em(block, means, scoring.classes, prior) for block in blocks]
    else:
        rates = validated.of(scoring.method).rates
        parts = [_by_rates(block, rates, scoring.classes, axes.sizes - 1) for block in blocks]
    empty = pd.DataFrame({"row": [], "class": [], "size": [], "n": [], "biovolume": [], "raw": []})
    return pd.concat(parts, ignore_index=True) if parts else empty


def _by_rates(block, rates, classes, unknown_size):
    rows, place = np.unique(block["row"], return_inverse=True)
    seen = np.zeros((len(rows), len(classes)))
    np.add.at(seen, (place, block["column"].to_numpy()), block["n"].to_numpy())
    corrected = quantify.adjusted(seen, rates, classes)
    factor = np.divide(corrected, seen, out=np.zeros_like(seen), where=seen > 0)[place, block["column"]]
    table = block.rename(columns={"column": "class"}).assign(n=block["n"] * factor, biovolume=block["biovolume"] * factor, raw=block["n"])
    new, number = np.nonzero((seen == 0) & (corrected > 0))
    if len(new):
        found = pd.DataFrame({"row": rows[new], "class": number, "size": unknown_size, "n": corrected[new, number], "biovolume": np.nan, "raw": 0.0})
        table = pd.concat([table, found], ignore_index=True).sort_values(["row", "class", "size"], ignore_index=True)
    return table[table["n"] > 0]


def _by_em(block, means, classes, prior):
    rows, place = np.unique(block["row"], return_inverse=True)
    held, column = np.unique(block["column"], return_inverse=True)
    means = means[1][np.searchsorted(means[0], held)]
    weight = np.zeros((len(rows), len(held)))
    np.add.at(weight, (place, column), block["n"].to_numpy())
    counts, _ = quantify.em(means, classes, prior, weight)
    ratio = counts / counts.sum(axis=1, keepdims=True) / (prior / prior.sum())
    share = means[column] * ratio[place]
    share /= share.sum(axis=1, keepdims=True)  # of each class in the objects of one row
    keys = block[["row", "size"]].reset_index(drop=True)
    n, volume = share * block["n"].to_numpy()[:, None], share * block["biovolume"].to_numpy()[:, None]
    long = pd.DataFrame({
        "row": np.repeat(keys["row"], len(classes)), "class": np.tile(np.arange(len(classes)), len(keys)), "size": np.repeat(keys["size"], len(classes)),
        "n": n.ravel(), "biovolume": volume.ravel(), "raw": np.repeat(block["n"].to_numpy(), len(classes)) * means[column].ravel()})
    found = long.groupby(["row", "class", "size"], as_index=False).agg(
        n=("n", "sum"), biovolume=("biovolume", lambda part: part.sum(skipna=False)), raw=("raw", "sum"))
    return found[found["n"] > 1e-9]
