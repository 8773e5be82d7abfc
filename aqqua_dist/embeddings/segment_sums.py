"""Sums of embeddings: moments per segment of rows, and scatter.

They go through the rows in blocks that stay in the processor's cache. Sums over a block
are in single precision, everything that is added up over blocks is in double.
"""

import numpy as np
from scipy.sparse import csr_array

from aqqua_dist.embeddings.rows import HALF_LIMIT, block_rows

SPAN = 2**13
"""Rows that are worked on together."""
SHORT_ROWS = 2048
"""Rows of a block where segments are short."""
LONG = 24
"""Mean rows of a segment from which a matrix-vector product per segment is faster than one sparse product per block."""
CANCELLED = 1e-3
"""Sums of squares that lose more than this share are computed again about the mean."""


def segment_moments(rows, starts, weights):
    """Weighted mean and sum of squares of each segment of consecutive rows.

    Parameters
    ----------
    rows : Rows
        n rows.
    starts : numpy.ndarray
        First row of each segment, ascending, the first is 0.
    weights : numpy.ndarray
        float32, shape (n,), above 0.

    Returns
    -------
    mean, m2 : numpy.ndarray or None
        float64, shape (n_segments, d); the mean, and the weighted sum of
        squared distances from it. None where a row is not finite.
    bad : numpy.ndarray
        Positions of the rows that hold a number that is not finite.
    """
    pieces, blocks = _partition(rows, starts)
    edges = np.append(pieces, rows.n)
    first, second = (np.empty((len(pieces), rows.values.shape[1]), "float32") for _ in range(2))
    squares = np.empty((max(edges[q] - edges[p] for p, q in blocks), rows.values.shape[1]), "float32")
    total = np.add.reduceat(weights.astype("float64"), pieces)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        for p, q in blocks:
            low, high = int(edges[p]), int(edges[q])
            _sums(rows.block(low, high), weights[low:high], edges[p : q + 1], squares, (first[p:q], second[p:q]))
        largest = second.max()
        mean, m2 = first / total, second.astype("float64")
        m2 -= first * mean
    if not largest < (float(weights.min()) * HALF_LIMIT**2 if rows.half else np.inf):
        bad = rows.not_finite(suspect=np.ones(rows.n, dtype=bool))
        if len(bad):
            return None, None, bad
        if not np.isfinite(largest):
            return (*_double(rows, starts, weights), bad)
    alone = np.flatnonzero(np.diff(edges) == 1)
    lost = (m2 < CANCELLED * second).any(axis=1)
    lost[alone] = False
    if len(alone):
        mean[alone], m2[alone] = rows.raw(pieces[alone]), 0
    if lost.any():
        mean[lost], m2[lost] = _centred(rows, weights, edges, lost, mean[lost])
    return (*pooled_moments(np.searchsorted(pieces, starts), total, mean, m2), np.empty(0, dtype=int))


def _partition(rows, starts):
    """First rows of the pieces that are summed (segments, the largest are cut), and the pieces of each block."""
    block = block_rows(rows.values.shape[1]) if rows.n >= LONG * len(starts) else SHORT_ROWS
    multiples = np.arange(0, rows.n, block)
    sizes = np.diff(np.append(starts, rows.n))
    large = sizes[np.searchsorted(starts, multiples, side="right") - 1] > block
    pieces = np.union1d(starts, multiples[large])
    cuts = np.unique(np.append(np.searchsorted(pieces, multiples), len(pieces))).tolist()
    return pieces, list(zip(cuts[:-1], cuts[1:], strict=True))


def _double(rows, starts, weights):
    """Mean and sum of squares in double precision, for numbers whose squares overflow."""
    values, weight = rows.raw(np.arange(rows.n)).astype("float64"), weights.astype("float64")[:, None]
    total = np.add.reduceat(weight, starts, axis=0)
    mean = np.add.reduceat(values * weight, starts, axis=0) / total
    away = values - np.repeat(mean, np.diff(np.append(starts, rows.n)), axis=0)
    return mean, np.add.reduceat(weight * away**2, starts, axis=0)


def _sums(x, weights, edges, squares, out):
    """Weighted sums of rows and of their squares, between edges, into `out`."""
    first, second = out
    if len(first) == 1:
        np.matmul(weights, x, out=first[0])
        np.matmul(weights, np.multiply(x, x, out=squares[: len(x)]), out=second[0])
        return
    square = np.multiply(x, x, out=squares[: len(x)])
    edges = edges - edges[0]
    if len(x) >= LONG * len(first):
        cuts = edges.tolist()
        for k, (low, high) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            np.matmul(weights[low:high], x[low:high], out=first[k])
            np.matmul(weights[low:high], square[low:high], out=second[k])
        return
    gather = csr_array((weights, np.arange(len(x), dtype="int32"), edges.astype("int32")), shape=(len(first), len(x)))
    first[...], second[...] = gather @ x, gather @ square


def _centred(rows, weights, edges, lost, mean):
    """Mean and sum of squares of the pieces that are lost, about the mean that is known."""
    sizes = np.diff(edges)
    at = np.flatnonzero(np.repeat(lost, sizes))
    near, sizes = mean.astype("float32"), sizes[lost]
    distance = rows.raw(at).astype("float32") - np.repeat(near, sizes, axis=0)
    edges = np.append(0, np.cumsum(sizes))
    first, second = (np.empty(mean.shape, "float32") for _ in range(2))
    _sums(distance, weights[at], edges, np.empty_like(distance), (first, second))
    total = np.add.reduceat(weights[at], edges[:-1], dtype="float64")[:, None]
    step = first / total
    return near + step, np.maximum(second - first * step, 0)


def pooled_moments(starts, total, mean, m2):
    """Mean and sum of squares of groups of consecutive parts.

    The update of Chan, Golub and LeVeque (1983, doi:10.1080/00031305.1983.10483115,
    eq. 2.1), for any number of parts and with weights.

    Parameters
    ----------
    starts : numpy.ndarray
        First part of each group.
    total : numpy.ndarray
        Sum of the weights of each part, shape (n_parts, 1), above 0.
    mean, m2 : numpy.ndarray
        float64, shape (n_parts, d).

    Returns
    -------
    mean, m2 : numpy.ndarray
        Per group.
    """
    sizes = np.diff(np.append(starts, len(total)))
    if len(starts) == len(total):
        return mean, m2
    pooled = [mean[starts], m2[starts]]
    several = sizes > 1
    parts = np.repeat(several, sizes)
    first = np.append(0, np.cumsum(sizes[several]))[:-1]
    weight, step = total[parts], mean[parts] - np.repeat(pooled[0][several], sizes[several], axis=0)
    middle = np.add.reduceat(weight * step, first, axis=0) / np.add.reduceat(weight, first, axis=0)
    step -= np.repeat(middle, sizes[several], axis=0)
    pooled[0][several] += middle
    pooled[1][several] = np.add.reduceat(m2[parts] + weight * step**2, first, axis=0)
    return pooled[0], pooled[1]


def scatter(rows, weights, reference):
    """Weighted sums of the rows and of their products, about a reference.

    Parameters
    ----------
    rows : Rows
        n rows.
    weights : numpy.ndarray
        float32, shape (n,), above 0.
    reference : numpy.ndarray
        float32, shape (d,); near the mean, so that nothing cancels.

    Returns
    -------
    first, products : numpy.ndarray
        float64, shapes (d,) and (d, d).
    """
    dimension = rows.values.shape[1]
    first, products = np.zeros(dimension), np.zeros((dimension, dimension))
    root = np.sqrt(weights)[:, None]
    for low in range(0, rows.n, SHORT_ROWS):
        high = min(low + SHORT_ROWS, rows.n)
        distance = rows.block(low, high) - reference
        distance *= root[low:high]
        first += root[low:high, 0] @ distance
        products += distance.T @ distance
    return first, products
