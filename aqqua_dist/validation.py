"""Cross-validated predictions and scores, per scheme."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from tqdm import tqdm

from aqqua_dist.errors import UserError

SCHEMES = ("random", "spatial_block")
POOLED = -1
"""Number of the fold that stands for all out-of-fold predictions together."""


def scores(observed, predicted, weights=None):
    """Scores of predictions against observations.

    A score whose denominator is zero is NaN: ``r2`` and
    ``deviance_explained`` when all observations are equal, the correlations
    when observations or predictions are. ``r2_correl_log`` and
    ``deviance_explained`` are NaN too when a value is negative.

    Parameters
    ----------
    observed, predicted : array_like
        Same units, finite, shape (n_rows,).
    weights : array_like, optional
        Row weights of 0 or more, shape (n_rows,); ranks are taken without them.

    Returns
    -------
    dict of str to float
        ``rmse``, ``mae`` and ``bias`` (mean of predicted - observed) in the
        units of the input; ``r2`` = 1 - SSE/SST; ``r2_correl`` and
        ``r2_correl_log``, squared Pearson correlation of the values and of
        log(1 + value); ``spearman``, correlation of the ranks;
        ``deviance_explained`` = 1 - D(predicted)/D(mean), Poisson deviance.
        Fractions of 1, not percent.

    Raises
    ------
    UserError
        On unequal shapes, no rows, a value that is not finite, or bad weights.
    """
    observed, predicted, weights = _checked(observed, predicted, weights)
    error = predicted - observed
    mean = np.average(observed, weights=weights)
    spread = np.average((observed - mean) ** 2, weights=weights)
    squared = np.average(error**2, weights=weights)
    varies = observed.min() < observed.max()
    natural = min(observed.min(), predicted.min()) >= 0
    found = {
        "rmse": np.sqrt(squared),
        "mae": np.average(np.abs(error), weights=weights),
        "bias": np.average(error, weights=weights),
        "r2": 1 - squared / spread if varies and spread > 0 else np.nan,
        "r2_correl": _correlation(observed, predicted, weights) ** 2,
        "r2_correl_log": _correlation(np.log1p(observed), np.log1p(predicted), weights) ** 2 if natural else np.nan,
        "spearman": _correlation(rankdata(observed), rankdata(predicted), weights),
        "deviance_explained": _deviance_explained(observed, predicted, weights) if natural and varies else np.nan,
    }
    return {name: float(value) for name, value in found.items()}


def _checked(observed, predicted, weights):
    observed, predicted = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if observed.ndim != 1 or observed.shape != predicted.shape or observed.size == 0:
        raise UserError(
            f"scores: observed has shape {observed.shape}, predicted {predicted.shape}; allowed are two equal, "
            "non-empty, one-dimensional ones."
        )
    weights = np.ones(observed.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != observed.shape:
        raise UserError(f"scores: weights have shape {weights.shape}; allowed is {observed.shape}, one weight per row.")
    for name, values in (("observed", observed), ("predicted", predicted), ("weights", weights)):
        bad = ~np.isfinite(values) | ((values < 0) if name == "weights" else False)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            least = "finite values of 0 or more" if name == "weights" else "finite values"
            raise UserError(f"scores: {name} of row {row} is {values[row]}; allowed are {least}.")
    used = weights > 0
    if not used.any():
        raise UserError(f"scores: all {weights.size} weights are 0; allowed is at least one above 0.")
    return observed[used], predicted[used], weights[used]


def _correlation(a, b, weights):
    """Weighted Pearson correlation; NaN when one side does not vary."""
    if a.min() == a.max() or b.min() == b.max():
        return np.nan
    a, b = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
    size = np.sqrt(np.average(a * a, weights=weights)) * np.sqrt(np.average(b * b, weights=weights))
    return np.clip(np.average(a * b, weights=weights) / size, -1, 1) if size > 0 else np.nan


def _deviance_explained(observed, predicted, weights):
    """1 - D(predicted)/D(mean); -inf when 0 is predicted where something was observed."""

    def deviance(expected):
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(observed > 0, observed * (np.log(observed) - np.log(expected)), 0.0)
        return np.average(logs - observed + expected, weights=weights)

    null = deviance(np.full(observed.size, np.average(observed, weights=weights)))
    return 1 - deviance(predicted) / null if null > 0 else np.nan


def make_folds(scheme, n_rows, *, groups=None, strata=None, n_folds=5, seed=0):
    """Row numbers to train and to test on.

    Parameters
    ----------
    scheme : {'random', 'spatial_block'}
        Shuffled rows, or whole blocks (scikit-learn `GroupKFold`).
    n_rows : int
        Number of rows.
    groups : array_like, optional
        Block of each row; needed by 'spatial_block'.
    strata : array_like, optional
        Stratum of each row; 'random' keeps its share in each fold.
    n_folds : int
        Number of folds.
    seed : int
        Random seed of 'random'.

    Returns
    -------
    list of (numpy.ndarray, numpy.ndarray)

    Raises
    ------
    UserError
        On an unknown scheme, or fewer rows or blocks than folds.
    """
    if scheme not in SCHEMES:
        raise UserError(f"validation scheme {scheme!r} is unknown; allowed are {list(SCHEMES)}.")
    if not 2 <= n_folds <= n_rows:
        raise UserError(f"validation scheme {scheme!r}: {n_folds} folds of {n_rows} rows; allowed are 2 to {n_rows} folds.")
    for name, values in (("groups", groups), ("strata", strata)):
        if values is not None and len(values) != n_rows:
            raise UserError(f"validation scheme {scheme!r}: {len(values)} {name}; allowed is one per row, {n_rows}.")
    rows = np.zeros((n_rows, 1))
    if scheme == "spatial_block":
        if groups is None:
            raise UserError(f"validation scheme {scheme!r} has groups {groups}; needed is the block of each row.")
        count = len(pd.unique(np.asarray(groups)))
        if count < n_folds:
            raise UserError(
                f"validation scheme 'spatial_block': {count} blocks for {n_folds} folds; allowed are at least as many "
                "blocks as folds (use smaller blocks or fewer folds)."
            )
        return list(GroupKFold(n_folds).split(rows, groups=groups))
    if strata is None:
        return list(KFold(n_folds, shuffle=True, random_state=seed).split(rows))
    strata = np.asarray(strata)
    if pd.Series(strata).value_counts().min() < n_folds:
        strata = _merge_small(strata, n_folds)
    return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, strata))


def _merge_small(strata, n_folds):
    """Strata of fewer rows than folds joined with the next one, in ascending order."""
    codes, counts = np.unique(strata, return_inverse=True, return_counts=True)[1:]
    label, held, joined = 0, 0, np.empty(counts.size, dtype=int)
    for k, count in enumerate(counts):
        joined[k] = label
        held += count
        if held >= n_folds and counts[k + 1 :].sum() >= n_folds:
            label, held = label + 1, 0
    return joined[codes]


class CrossValidation(NamedTuple):
    """Answer of `cross_validate`.

    Attributes
    ----------
    scores : pandas.DataFrame
        Columns scheme, fold, metric, value.
    predictions : pandas.DataFrame
        Columns scheme, fold, row, observed, predicted.
    """

    scores: pd.DataFrame
    predictions: pd.DataFrame


def cross_validate(estimator, X, y, folds, *, weights=None, progress=True):
    """Out-of-fold predictions and their scores.

    Parameters
    ----------
    estimator : scikit-learn regressor or callable
        A regressor is cloned for each fold; a callable gets
        ``(X_train, y_train, weights_train, X_test)`` and returns predictions
        of the test rows.
    X : pandas.DataFrame or numpy.ndarray
        Predictors, shape (n_rows, n_predictors).
    y : array_like
        Observations, shape (n_rows,).
    folds : dict of str to list of (numpy.ndarray, numpy.ndarray)
        Folds of each scheme, as `make_folds` gives them.
    weights : array_like, optional
        Row weights (effort) of the fit; scores are not weighted.
    progress : bool
        Show a progress bar.

    Returns
    -------
    CrossValidation
        Scores of each fold, and of all its out-of-fold predictions together
        as fold -1. ``row`` is the row number in `X`.

    Raises
    ------
    UserError
        When predictions of a fold have a wrong shape or are not finite.
    """
    y = np.asarray(y, dtype=np.float64)
    weights = None if weights is None else np.asarray(weights, dtype=np.float64)
    tasks = [(scheme, k, *pair) for scheme, pairs in folds.items() for k, pair in enumerate(pairs)]
    parts = []
    for scheme, k, train, test in tqdm(tasks, desc="validation", unit="fold", disable=None if progress else True):
        given = None if weights is None else weights[train]
        predicted = np.asarray(_fit_predict(estimator, _take(X, train), y[train], given, _take(X, test)), dtype=np.float64)
        if predicted.shape != test.shape:
            raise UserError(f"scheme {scheme!r}, fold {k}: predictions have shape {predicted.shape}; allowed is {test.shape}.")
        parts.append(
            pd.DataFrame({"scheme": scheme, "fold": k, "row": test, "observed": y[test], "predicted": predicted})
        )
    predictions = pd.concat(parts, ignore_index=True)
    found = [
        {"scheme": scheme, "fold": fold, "metric": metric, "value": value}
        for scheme in folds
        for fold, part in _folds_and_all(predictions[predictions["scheme"] == scheme])
        for metric, value in scores(part["observed"], part["predicted"]).items()
    ]
    return CrossValidation(pd.DataFrame(found), predictions)


def _folds_and_all(predictions):
    yield from predictions.groupby("fold")
    yield POOLED, predictions


def _take(X, rows):
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else np.asarray(X)[rows]


def _fit_predict(estimator, X, y, weights, X_test):
    if not hasattr(estimator, "fit"):
        return estimator(X, y, weights, X_test)
    fitted = clone(estimator)
    return (fitted.fit(X, y) if weights is None else fitted.fit(X, y, sample_weight=weights)).predict(X_test)
