"""Area of applicability: where a model has seen predictors like these."""

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import read_netcdf, write_netcdf
from aqqua_dist.core.number_columns import refuse_other_columns
from aqqua_dist.core.seeds import legacy_stream

_LEARNED = {
    "mean_": ("predictor",),
    "factor_": ("predictor",),
    "complete_": ("complete",),
    "points_": ("row", "used"),
    "train_index_": ("row",),
    "mean_distance_": (),
    "threshold_": (),
}
SAMPLE_ROWS = 5000
"""Most training rows used for the mean distance between training rows."""
BLOCK_ROWS = 500


class Applicability(BaseEstimator):
    """Dissimilarity index and area of applicability of Meyer & Pebesma 2021.

    Predictors are standardised by their training mean and standard deviation
    (ddof 1) and multiplied by their importance. The dissimilarity index of a
    row is its distance to the nearest training row over the mean distance
    between training rows. The threshold is the upper quartile of the indices of
    the training rows (nearest row of another fold) plus 1.5 times their
    interquartile range, and no more than the largest of them, as R's CAST has it.

    A missing predictor (NaN) that some training rows lack, too, is replaced by
    its training mean, so that it counts as ordinary; `n_replaced` tells how
    many were. One that no training row lacks makes the index NaN: the model
    has never seen such a row, so that it is outside the area. A predictor that
    is constant in training has no scale and takes no part.

    Parameters
    ----------
    jobs : int
        Threads of the nearest-row search.
    random_state : int
        Seed of the rows for the mean distance, used above 5000 rows only.

    Attributes
    ----------
    threshold_ : float
        Largest index inside the area.
    train_index_ : numpy.ndarray
        Index of each training row, shape (n_rows,).
    mean_distance_ : float
        Mean distance between training rows.
    complete_ : numpy.ndarray
        Numbers of the used predictors that no training row lacks.

    References
    ----------
    Meyer & Pebesma 2021, doi 10.1111/2041-210X.13650.

    Examples
    --------
    Rows at 0, 1, 2 and 3 are 5/3 apart on average; 5 is 2 from the nearest one:

    >>> import aqqua_dist as aq
    >>> area = aq.Applicability().fit([[0.0], [1.0], [2.0], [3.0]])
    >>> area.predict([[1.0], [5.0]]).round(6).tolist(), area.inside([[1.0], [5.0]]).tolist()
    ([0.0, 1.2], [True, False])
    """

    def __init__(self, jobs=1, random_state=0):
        self.jobs = jobs
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X, y=None, *, weights=None, groups=None):
        """Learn scale, mean distance and threshold.

        Parameters
        ----------
        X : array_like or pandas.DataFrame
            Training predictors, shape (n_rows, n_predictors).
        y : None
            Not used.
        weights : array_like, optional
            Importance of each predictor, shape (n_predictors,); negative ones
            count as 0; by default all equal.
        groups : array_like, optional
            Fold of each row, shape (n_rows,); by default every row is its own.

        Returns
        -------
        self

        Raises
        ------
        UserError
            On wrong shapes, fewer than 2 folds, or when no predictor is left.
        """
        refuse_other_columns(X)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2)
        filled = np.isfinite(X).any(axis=0)
        self.mean_ = np.where(filled, np.nanmean(np.where(filled, X, 0.0), axis=0), 0.0)
        replaced = np.where(np.isnan(X), self.mean_, X)
        spread = replaced.std(axis=0, ddof=1)
        self.factor_ = np.divide(_importance(weights, X.shape[1]), spread, out=np.zeros_like(spread), where=spread > 0)
        self.used_ = np.flatnonzero(self.factor_)
        if self.used_.size == 0:
            raise UserError(
                f"applicability: 0 of {X.shape[1]} predictors both vary in training and have an importance above 0; "
                "allowed is at least one."
            )
        self.complete_ = self.used_[~np.isnan(X[:, self.used_]).any(axis=0)]
        self.points_ = self._scaled(X)
        self.tree_ = cKDTree(self.points_)
        self.mean_distance_ = mean_distance(self.points_, seed=self.random_state)
        self.train_index_ = self._other_fold_distance(groups) / self.mean_distance_
        low, high = np.quantile(self.train_index_, [0.25, 0.75])
        self.threshold_ = float(min(high + 1.5 * (high - low), self.train_index_.max()))
        return self

    def predict(self, X):
        """Dissimilarity index; 0 at a training row, NaN where it cannot be known.

        Parameters
        ----------
        X : array_like or pandas.DataFrame
            Predictors as in `fit`, shape (n_rows, n_predictors).

        Returns
        -------
        numpy.ndarray
            float64, shape (n_rows,); NaN where a used predictor is missing
            that every training row has.
        """
        check_is_fitted(self)
        refuse_other_columns(X)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        index = self.tree_.query(self._scaled(X), workers=self.jobs)[0] / self.mean_distance_
        return np.where(np.isnan(X[:, self.complete_]).any(axis=1), np.nan, index)

    def inside(self, X):
        """Whether the index is known and at most the threshold.

        Parameters
        ----------
        X : array_like or pandas.DataFrame
            Predictors as in `fit`, shape (n_rows, n_predictors).

        Returns
        -------
        numpy.ndarray
            bool, shape (n_rows,).
        """
        return self.predict(X) <= self.threshold_

    def local_point_density(self, X):
        """Number of training rows whose distance, taken as an index, is within the threshold.

        Parameters
        ----------
        X : array_like or pandas.DataFrame
            Predictors as in `fit`, shape (n_rows, n_predictors).

        Returns
        -------
        numpy.ndarray
            float64, shape (n_rows,); 0 outside the area, NaN where the index
            cannot be known.

        References
        ----------
        Schumacher et al. 2025, doi 10.5194/gmd-18-10185-2025.
        """
        check_is_fitted(self)
        refuse_other_columns(X)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        reach = self.threshold_ * self.mean_distance_
        count = self.tree_.query_ball_point(self._scaled(X), reach, return_length=True, workers=self.jobs)
        return np.where(np.isnan(X[:, self.complete_]).any(axis=1), np.nan, count)

    def n_replaced(self, X):
        """Number of missing predictors that `predict` replaces; unused predictors do not count.

        Parameters
        ----------
        X : array_like or pandas.DataFrame
            Predictors as in `fit`, shape (n_rows, n_predictors).

        Returns
        -------
        numpy.ndarray
            int, shape (n_rows,).
        """
        check_is_fitted(self)
        refuse_other_columns(X)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return np.isnan(X[:, self.used_]).sum(axis=1)

    def _scaled(self, X):
        centred = X[:, self.used_] - self.mean_[self.used_]
        centred *= self.factor_[self.used_]
        centred[np.isnan(centred)] = 0.0
        return centred

    def _other_fold_distance(self, groups):
        if groups is None:
            return self.tree_.query(self.points_, k=2, workers=self.jobs)[0][:, 1]
        groups = np.asarray(groups)
        if groups.shape != (len(self.points_),):
            raise UserError(
                f"groups: shape {groups.shape}; allowed is ({len(self.points_)},), one fold per training row."
            )
        folds, fold = np.unique(groups, return_inverse=True)
        if len(folds) < 2:
            raise UserError(f"groups: one fold ({folds[0]}) only; allowed are 2 or more.")
        found = np.empty(len(self.points_))
        for k in range(len(folds)):
            here = fold == k
            found[here] = cKDTree(self.points_[~here]).query(self.points_[here], workers=self.jobs)[0]
        return found


def write_applicability(area, path, provenance):
    """Keep a fitted area of applicability.

    Parameters
    ----------
    area : Applicability
        Fitted.
    path : str or os.PathLike
        NetCDF file.
    provenance : aqqua_dist.core.provenance.Provenance
        Embedded.
    """
    check_is_fitted(area)
    variables = {name: (dims, getattr(area, name)) for name, dims in _LEARNED.items()}
    attributes = {"title": type(area).__name__, "random_state": area.random_state}
    write_netcdf(xr.Dataset(variables, attrs=attributes), path, provenance)


def read_applicability(path, jobs=1):
    """Area of applicability that `write_applicability` kept.

    Parameters
    ----------
    path : str or os.PathLike
        NetCDF file.
    jobs : int
        Threads of the nearest-row search.

    Returns
    -------
    Applicability
        It predicts the same numbers as the one that was kept.

    Raises
    ------
    UserError
        The file holds something else.
    """
    data = read_netcdf(path)
    if data.attrs.get("title") != Applicability.__name__ or not set(_LEARNED) <= set(data):
        raise UserError(f"file {str(path)!r} holds {data.attrs.get('title')!r}, needed is 'Applicability'; fit again.")
    area = Applicability(jobs=jobs, random_state=int(data.attrs["random_state"]))
    for name, dims in _LEARNED.items():
        setattr(area, name, data[name].to_numpy() if dims else float(data[name]))
    area.used_ = np.flatnonzero(area.factor_)
    area.n_features_in_ = area.factor_.size
    area.tree_ = cKDTree(area.points_)
    return area


def _importance(weights, n_predictors):
    if weights is None:
        return np.ones(n_predictors)
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (n_predictors,) or not np.isfinite(weights).all():
        raise UserError(
            f"weights: {weights.tolist()}; allowed are {n_predictors} finite importances, one per predictor."
        )
    return np.maximum(weights, 0.0)


def mean_distance(points, seed=0):
    """Mean Euclidean distance between distinct rows, in blocks.

    Parameters
    ----------
    points : numpy.ndarray
        Shape (n_rows, n_dims); above 5000 rows a random 5000 of them are used.
    seed : int
        Seed of that draw.

    Returns
    -------
    float

    Raises
    ------
    UserError
        When all rows are equal: there is no distance to compare with.
    """
    if len(points) > SAMPLE_ROWS:
        points = points[legacy_stream(seed).choice(len(points), SAMPLE_ROWS, replace=False)]
    n = len(points)
    total = sum(cdist(points[start : start + BLOCK_ROWS], points).sum() for start in range(0, n, BLOCK_ROWS))
    if total == 0:
        raise UserError(f"applicability: all {n} training rows are equal; allowed are at least two different rows.")
    return float(total / (n * (n - 1)))
