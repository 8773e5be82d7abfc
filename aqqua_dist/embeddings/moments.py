"""Embeddings per sample: weighted mean and variance, and the scatter of all, as partial results that merge.

A partial result comes from any part of the objects. Merged in the order of
the parts, partial results give the same bits whatever computed them; merged
in another order, the same up to rounding.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.embeddings.rows import Rows, check_embeddings, check_weights
from aqqua_dist.embeddings.segment_sums import SPAN, segment_moments

ON_BAD = ("raise", "drop")
"""What happens with an embedding that is not finite: an error that names the row, or a row that is left out and counted."""


@dataclass(frozen=True)
class EmbeddingMoments:
    """Embeddings of some objects, summed up per sample.

    Attributes
    ----------
    sample : numpy.ndarray
        int64, shape (k,); ascending codes of the samples that have objects.
    n, n_dropped : numpy.ndarray
        int64, shape (k,); objects that count, and those left out because
        their embedding is not finite.
    weight, weight_squares : numpy.ndarray
        float64, shape (k,); sums of the weights and of their squares.
    mean, m2 : numpy.ndarray
        float64, shape (k, d); weighted mean (NaN where every object was left
        out), and weighted sum of squared distances from it.
    """

    sample: np.ndarray
    n: np.ndarray
    n_dropped: np.ndarray
    weight: np.ndarray
    weight_squares: np.ndarray
    mean: np.ndarray
    m2: np.ndarray

    @property
    def n_effective(self):
        """Objects of equal weight that would tell as much (Kish): (Σw)²/Σw² (numpy.ndarray, shape (k,))."""
        return np.divide(self.weight**2, self.weight_squares, out=np.zeros(len(self.n)), where=self.n > 0)

    def variance(self, *, unbiased=False):
        """Weighted variance of the objects of each sample, per dimension.

        Parameters
        ----------
        unbiased : bool
            Divide by Σw - Σw²/Σw (n - 1 for equal weights) instead of Σw.

        Returns
        -------
        numpy.ndarray
            float64, shape (k, d); NaN where there is no object, or, if
            unbiased, only one.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            divisor = self.weight - self.weight_squares / self.weight if unbiased else self.weight
            return self.m2 / np.where((self.n > int(unbiased)) & (divisor > 0), divisor, np.nan)[:, None]

    def table(self, sample_ids):
        """Table `sample_embeddings`, one row per known sample.

        Parameters
        ----------
        sample_ids : sequence of str
            Id of each code, all samples, whether they have objects or not.

        Returns
        -------
        pandas.DataFrame
            ``sample_id``, ``n``, ``n_dropped``, ``n_effective``,
            ``embedding_mean`` and ``embedding_sd`` (float32, length d;
            missing for a sample without objects: no mean is no zero).
        """
        if len(self.sample) and self.sample[-1] >= len(sample_ids):
            raise UserError(
                f"sample code {self.sample[-1]} has no id; {len(sample_ids)} ids are given, one per code from 0."
            )
        columns = {"sample_id": pd.array(list(sample_ids), dtype="string")}
        for name in ("n", "n_dropped", "n_effective"):
            values = getattr(self, name)
            columns[name] = np.zeros(len(sample_ids), values.dtype)
            columns[name][self.sample] = values
        present = np.flatnonzero(self.n > 0)
        for name, values in (("embedding_mean", self.mean), ("embedding_sd", np.sqrt(self.variance()))):
            columns[name] = np.full(len(sample_ids), None, dtype=object)
            for at in present:
                columns[name][self.sample[at]] = values[at].astype("float32")
        return pd.DataFrame(columns)


def embedding_moments(embeddings, sample, weights=None, *, on_bad="raise", place="embeddings"):
    """Weighted mean and variance of the embeddings of each sample, in one pass.

    Parameters
    ----------
    embeddings : numpy.ndarray
        float16 or float32, shape (n, d); may be mapped from a file.
    sample : numpy.ndarray
        Whole numbers from 0, shape (n,); fastest if ascending.
    weights : numpy.ndarray, optional
        Above 0, shape (n,), used in single precision; default 1.
    on_bad : {'raise', 'drop'}
        What to do with an embedding that holds NaN or an infinite number.
    place : str
        Shown in messages.

    Returns
    -------
    EmbeddingMoments
        Of the samples that occur.

    Raises
    ------
    UserError
        Wrong type or shape, a weight that is not above 0, a code below 0, or
        an embedding that is not finite; rows are counted from 0.
    """
    embeddings, sample, weights = _checked(embeddings, sample, weights, place)
    if on_bad not in ON_BAD:
        raise UserError(f"{place}: on_bad is {on_bad!r}, allowed are {ON_BAD}.")
    order = None if (sample[1:] >= sample[:-1]).all() else np.argsort(sample, kind="stable")
    if order is not None:
        sample, weights = sample[order], weights[order]

    starts = _starts(sample)
    result = _empty(sample[starts], embeddings.shape[1])
    for low in range(0, len(sample), SPAN):
        high = min(low + SPAN, len(sample))
        rows = Rows(embeddings, order, low, high)
        _add(result, _span(rows, sample[low:high], weights[low:high], on_bad == "drop", place))
    return result


def merge_moments(parts):
    """One partial result of several.

    Parameters
    ----------
    parts : sequence of EmbeddingMoments
        In the order of the objects, where the bits are to be repeatable; of
        one dimension; at least one.

    Returns
    -------
    EmbeddingMoments
        As if computed from all their objects at once.

    Raises
    ------
    UserError
        No part, or parts of different dimensions.
    """
    parts = list(parts)
    dimensions = sorted({part.mean.shape[1] for part in parts})
    if len(dimensions) != 1:
        raise UserError(
            f"{len(parts)} partial results have embeddings of {dimensions} dimensions; needed is one dimension for all."
        )
    result = _empty(np.unique(np.concatenate([part.sample for part in parts])), dimensions[0])
    for part in parts:
        _add(result, part)
    return result


def _checked(embeddings, sample, weights, place):
    embeddings, sample = check_embeddings(embeddings, place), np.asarray(sample)
    n = len(embeddings)
    if sample.shape != (n,) or (sample.dtype.kind not in "iu" and n):
        found = f"{sample.dtype} of shape {sample.shape}"
        raise UserError(f"{place}: the sample codes are {found}, needed are {n} whole numbers, one per embedding.")
    if n and sample.min() < 0:
        row = int(np.argmin(sample))
        raise UserError(
            f"{place}, row {row}: sample code {sample[row]} is below 0; an object without a sample has no place here."
        )
    return embeddings, sample.astype("int64", copy=False), check_weights(weights, n, place)


def _starts(sample):
    """First row of each run of equal codes."""
    return np.append(0, np.flatnonzero(sample[1:] != sample[:-1]) + 1)[: len(sample)]


def _empty(sample, dimension):
    k = len(sample)
    return EmbeddingMoments(
        np.array(sample, dtype="int64"),
        np.zeros(k, "int64"),
        np.zeros(k, "int64"),
        np.zeros(k),
        np.zeros(k),
        np.full((k, dimension), np.nan),
        np.zeros((k, dimension)),
    )


def _span(rows, sample, weights, drop, place):
    """Partial result of some rows, ascending by sample."""
    starts = _starts(sample)
    part = _empty(sample[starts], rows.values.shape[1])
    mean, m2, bad = segment_moments(rows, starts, weights)
    if len(bad):
        if not drop:
            at = int(rows.index(bad[0]))
            column = int(np.argmin(np.isfinite(rows.values[at])))
            raise UserError(
                f"{place}, row {at}, number {column}: {rows.values[at, column]} is not finite; {len(bad)} such rows up to here, "
                "allowed are finite embeddings, or on_bad='drop'."
            )
        np.add.at(part.n_dropped, np.searchsorted(part.sample, sample[bad]), 1)
        sample, weights, rows = np.delete(sample, bad), np.delete(weights, bad), rows.without(bad)
        starts = _starts(sample)
        if not len(sample):
            return part
        mean, m2, _ = segment_moments(rows, starts, weights)
    at = np.searchsorted(part.sample, sample[starts])
    part.n[at] = np.diff(np.append(starts, len(sample)))
    part.weight[at] = np.add.reduceat(weights, starts, dtype="float64")
    part.weight_squares[at] = np.add.reduceat(weights.astype("float64") ** 2, starts)
    to = _slice(at)
    part.mean[to], part.m2[to] = mean, m2
    return part


def _add(result, part):
    """Add a partial result to one that knows all its samples."""
    at = np.searchsorted(result.sample, part.sample)
    for j in np.flatnonzero((result.n[at] > 0) & (part.n > 0)):
        i = at[j]
        share = part.weight[j] / (result.weight[i] + part.weight[j])
        step = part.mean[j] - result.mean[i]
        result.mean[i] += share * step
        result.m2[i] += part.m2[j] + share * result.weight[i] * step**2
    new = np.flatnonzero((result.n[at] == 0) & (part.n > 0))
    if len(new):
        to, of = _slice(at[new]), _slice(new)
        result.mean[to], result.m2[to] = part.mean[of], part.m2[of]
    for name in ("n", "n_dropped", "weight", "weight_squares"):
        getattr(result, name)[at] += getattr(part, name)


def _slice(at):
    """Ascending positions; as a slice where they are consecutive, which is faster."""
    return slice(at[0], at[-1] + 1) if at[-1] - at[0] + 1 == len(at) else at
