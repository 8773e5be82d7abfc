"""Nearest of some centroids, by blocked matrix products."""

import numpy as np

ROWS_NEAREST = 1024
"""Rows of a block of the nearest centroid."""
SAFETY = 8
"""Times the probable rounding error of a product of d numbers, √d·2⁻²⁴ (Higham and Mary 2019,
doi:10.1137/18M1226312), that counts as a tie."""


class NearestCentroid:
    """Nearest of some centroids, the lowest of those that tie.

    ||x||² - 2 x·c + ||c||² by matrix products in single precision; rows whose
    two best centroids are closer than its rounding error are done again in
    double precision, so that labels depend neither on the size of the blocks
    nor on the linear algebra library.

    Parameters
    ----------
    centroids : numpy.ndarray
        float32, shape (k, d).
    """

    def __init__(self, centroids):
        double = centroids.astype("float64")
        self.shift = double.mean(axis=0).astype("float32")
        self._double = double - self.shift
        if (self.shift.astype("float64") ** 2).sum() < 4 * (self._double**2).sum(axis=1).mean():
            self.shift, self._double = None, double
        self._squares = (self._double**2).sum(axis=1)
        with np.errstate(over="ignore"):  # then every row is compared in double precision
            self._single = self._squares.astype("float32")[:, None]
        self._factor = np.ascontiguousarray(-2 * self._double, dtype="float32")
        self._largest = np.float32(np.sqrt(self._squares.max()))

    def find(self, rows, *, without=None):
        """Labels and distances of all rows.

        Parameters
        ----------
        rows : Rows
            n rows.
        without : numpy.ndarray, optional
            Shape (n,); a centroid that each row may not have.

        Returns
        -------
        labels : numpy.ndarray
            int32, shape (n,); -1 where the row is not finite.
        distances : numpy.ndarray
            float32, shape (n,); NaN where the row is not finite.
        """
        labels, distances = np.full(rows.n, -1, "int32"), np.empty(rows.n, "float32")
        scores, moved = (
            np.empty((len(self._single), ROWS_NEAREST), "float32"),
            np.empty((ROWS_NEAREST, rows.values.shape[1]), "float32"),
        )
        again = [np.empty(0, dtype=int)]
        with np.errstate(over="ignore", invalid="ignore"):
            for low in range(0, rows.n, ROWS_NEAREST):
                high = min(low + ROWS_NEAREST, rows.n)
                x = rows.block(low, high)
                if self.shift is not None:
                    x = np.subtract(x, self.shift, out=moved[: len(x)])
                barred = None if without is None else without[low:high]
                close = self._block(x, barred, scores[:, : len(x)], (labels[low:high], distances[low:high]))
                again.append(low + close)
        bad = rows.not_finite(suspect=~np.isfinite(distances))
        again = np.setdiff1d(np.concatenate(again), bad)
        for low in range(0, len(again), ROWS_NEAREST):
            at = again[low : low + ROWS_NEAREST]
            labels[at], distances[at] = self._exact(rows.raw(at), None if without is None else without[at])
        labels[bad], distances[bad] = -1, np.nan
        return labels, distances

    def _block(self, x, barred, scores, out):
        """Fill labels and distances; positions of the rows that single precision cannot decide."""
        labels, distances = out
        np.add(np.matmul(self._factor, x.T, out=scores), self._single, out=scores)
        if barred is not None:
            scores[barred, np.arange(len(x))] = np.inf
        best, norm = scores.min(axis=0), np.vecdot(x, x)
        distances[...] = np.sqrt(np.maximum(norm + best, 0))
        unit = np.float32(SAFETY * np.sqrt(x.shape[1]) * 2.0**-24) * self._largest
        close = np.flatnonzero(scores <= best + unit * (2 * np.sqrt(norm) + self._largest))
        which, row = np.divmod(close, len(x))
        labels[row] = which
        if len(close) == len(x) and np.isfinite(norm).all():
            return np.empty(0, dtype=int)
        return np.flatnonzero((np.bincount(row, minlength=len(x)) != 1) | ~np.isfinite(distances))

    def _exact(self, x, barred):
        x = x.astype("float64")
        if self.shift is not None:
            x -= self.shift
        scores = self._squares - 2 * (x @ self._double.T)
        each = np.arange(len(x))
        if barred is not None:
            scores[each, barred] = np.inf
        norm, best = np.vecdot(x, x), scores.min(axis=1)
        error = 1e-14 * x.shape[1] * (norm + float(self._largest) ** 2)
        labels = (scores <= (best + error)[:, None]).argmax(axis=1)
        return labels, np.sqrt(np.maximum(norm + scores[each, labels], 0))
