"""Matrices of embeddings: checked, and read in blocks of single precision.

Half precision is widened block by block, never as a whole, into a small buffer
that is used again.
"""

import numpy as np

from aqqua_dist.core.errors import UserError

BLOCK_BYTES = 3 * 2**17
"""Size of a block in single precision; it and its squares fit into the second-level cache."""
HALF_LIMIT = 2.0**16
"""What infinite and NaN half-precision numbers are widened to, at least; finite ones stay below."""


def check_embeddings(embeddings, place="embeddings", *, dimension=None, double=False):
    """Embeddings as a matrix of real numbers.

    Parameters
    ----------
    embeddings : numpy.ndarray
        Shape (n, d).
    place : str
        Shown in messages.
    dimension : int, optional
        What d must be.
    double : bool
        Whether float64 is allowed too.

    Returns
    -------
    numpy.ndarray
        In the machine's byte order, not copied where it is.

    Raises
    ------
    UserError
        Another type, shape or dimension.
    """
    embeddings = np.asarray(embeddings)
    if (
        embeddings.ndim != 2
        or embeddings.shape[1] == 0
        or embeddings.dtype.kind != "f"
        or embeddings.dtype.itemsize > (8 if double else 4)
    ):
        kinds = "float16, float32 or float64" if double else "float16 or float32"
        found = f"{embeddings.dtype} of shape {embeddings.shape}"
        raise UserError(f"{place}: the embeddings are {found}; needed is {kinds}, one row per object.")
    if dimension is not None and embeddings.shape[1] != dimension:
        raise UserError(f"{place}: the embeddings have {embeddings.shape[1]} dimensions, needed are {dimension}.")
    return embeddings if embeddings.dtype.isnative else embeddings.astype(embeddings.dtype.newbyteorder("="))


def check_weights(weights, n, place="embeddings"):
    """Weights as single-precision numbers.

    Parameters
    ----------
    weights : numpy.ndarray or None
        Shape (n,); None for 1.
    n : int
        Embeddings.
    place : str
        Shown in messages.

    Returns
    -------
    numpy.ndarray
        float32, shape (n,).

    Raises
    ------
    UserError
        Another shape, or a weight that is not above 0.
    """
    if weights is None:
        return np.ones(n, "float32")
    weights = np.asarray(weights)
    if weights.shape != (n,) or weights.dtype.kind not in "fiu":
        raise UserError(
            f"{place}: the weights are {weights.dtype} of shape {weights.shape}, needed are {n} numbers, one per embedding."
        )
    with np.errstate(over="ignore"):
        single = weights.astype("float32")
    bad = np.flatnonzero(~(np.isfinite(single) & (single > 0)))
    if len(bad):
        raise UserError(
            f"{place}, row {bad[0]}: weight {weights[bad[0]]} is not a number above 0 that single precision holds; {len(bad)} such rows, "
            "leave out objects that do not count."
        )
    return single


class Rows:
    """Rows of a matrix of embeddings in single precision, block by block.

    Parameters
    ----------
    values : numpy.ndarray
        float16 or float32, shape (n, d).
    order : numpy.ndarray, optional
        Rows to visit, in this order; default all.
    start, stop : int
        Part of the order.
    """

    def __init__(self, values, order, start, stop):
        self.values, self.order, self.start, self.n = values, order, start, stop - start
        self.half = values.dtype == np.float16
        self.direct = order is None and values.dtype == np.float32 and values.flags.c_contiguous
        self._buffers = {}

    def index(self, rows):
        """Where rows stand in the matrix.

        Parameters
        ----------
        rows : int or numpy.ndarray of int
            Positions, from 0.

        Returns
        -------
        int or numpy.ndarray of int
            Row numbers of `values`.
        """
        return self.start + rows if self.order is None else self.order[self.start + rows]

    def raw(self, rows):
        """Some rows, as stored.

        Parameters
        ----------
        rows : numpy.ndarray of int
            Positions, from 0.

        Returns
        -------
        numpy.ndarray
            Shape (len(rows), d).
        """
        return self.values[self.index(rows)]

    def not_finite(self, *, suspect):
        """Rows that hold a number that is not finite.

        Parameters
        ----------
        suspect : numpy.ndarray of bool
            Shape (n,); the rows to look at. In half precision all are, as
            no sum of widened numbers shows it.

        Returns
        -------
        numpy.ndarray of int
            Positions, ascending.
        """
        found = []
        for low in range(0, self.n, 2048):
            high = min(low + 2048, self.n)
            if self.half and self.order is None:
                stored = self.values[self.start + low : self.start + high].view("int16")
                if np.bitwise_and(stored, 0x7C00).max() < 0x7C00:
                    continue
                at = np.arange(low, high)
            else:
                at = np.arange(low, high) if self.half else low + np.flatnonzero(suspect[low:high])
            found.append(at[~np.isfinite(self.raw(at)).all(axis=1)])
        return np.concatenate([np.empty(0, dtype=int), *found])

    def without(self, bad):
        """The same without some rows.

        Parameters
        ----------
        bad : numpy.ndarray of int
            Positions, from 0.

        Returns
        -------
        Rows
            The others.
        """
        stop = self.start + self.n
        order = np.arange(self.start, stop) if self.order is None else self.order[self.start : stop]
        return Rows(self.values, np.delete(order, bad), 0, self.n - len(bad))

    def block(self, low, high):
        """Consecutive rows in single precision.

        Parameters
        ----------
        low, high : int
            Positions, from 0.

        Returns
        -------
        numpy.ndarray
            float32, shape (high - low, d); to be used before the next call,
            and not to be changed.
        """
        at, rows = slice(self.start + low, self.start + high), high - low
        if self.direct:
            return self.values[at]
        if self.order is None:
            stored = self.values[at]
        else:
            stored = np.take(
                self.values, self.order[at], axis=0, mode="clip", out=self._buffer(self.values.dtype, rows)
            )
        if stored.dtype == np.float32 and self.order is not None:
            return stored
        return widen(stored, self._buffer(np.dtype("float32"), rows))

    def _buffer(self, dtype, rows):
        if dtype not in self._buffers or len(self._buffers[dtype]) < rows:
            self._buffers[dtype] = np.empty((rows, self.values.shape[1]), dtype)
        return self._buffers[dtype][:rows]


def widen(stored, out):
    """Copy into single precision.

    Half precision is widened by shifting its bits into place and correcting
    the exponent, exactly for finite numbers (subnormal ones too) and several
    times faster than numpy's own conversion; infinite and NaN become finite
    numbers of at least `HALF_LIMIT`, which the caller must look for.

    Parameters
    ----------
    stored : numpy.ndarray
        float16 or float32.
    out : numpy.ndarray
        float32, same shape, C-contiguous.

    Returns
    -------
    numpy.ndarray
        `out`.
    """
    if stored.dtype != np.float16:
        np.copyto(out, stored)
        return out
    bits = out.view("int32")
    np.copyto(bits, stored.view("int16"))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, np.int32(-0x70000001), out=bits)
    return np.multiply(out, np.float32(2.0**112), out=out)


def block_rows(dimension):
    """Rows of a block that fits into the cache, few enough for sums in single precision.

    Parameters
    ----------
    dimension : int
        Length of an embedding.

    Returns
    -------
    int
    """
    return int(np.clip(BLOCK_BYTES // (4 * dimension), 32, 1024))
