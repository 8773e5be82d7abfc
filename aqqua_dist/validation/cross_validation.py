"""Cross-validated predictions and scores, per scheme."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from tqdm import tqdm

from aqqua_dist.core.errors import UserError
from aqqua_dist.validation.scores import scores

POOLED = -1
"""Number of the fold that stands for all out-of-fold predictions together."""

SCORES = ("scheme", "fold", "metric", "value")
PREDICTIONS = ("scheme", "fold", "row", "observed", "predicted")


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
        Folds of each scheme, as `aqqua_dist.validation.schemes.splits` gives
        them; a scheme without folds has no row.
    weights : array_like, optional
        Row weights (effort) of the fit; scores are not weighted.
    progress : bool
        Show a progress bar.

    Returns
    -------
    CrossValidation
        Scores of each fold, and of all its out-of-fold predictions together
        as fold -1; c of ``r2_correl_log`` is that of all rows. ``row`` is the row number in `X`.

    Raises
    ------
    UserError
        When predictions of a fold have a wrong shape or are not finite.
    """
    y = np.asarray(y, dtype=np.float64)
    log_offset = float(y[y > 0].min()) if (y > 0).any() else None
    weights = None if weights is None else np.asarray(weights, dtype=np.float64)
    tasks = [(scheme, k, *pair) for scheme, pairs in folds.items() for k, pair in enumerate(pairs)]
    parts = []
    for scheme, k, train, test in tqdm(tasks, desc="validation", unit="fold", disable=None if progress else True):
        given = None if weights is None else weights[train]
        predicted = np.asarray(
            _fit_predict(estimator, _take(X, train), y[train], given, _take(X, test)), dtype=np.float64
        )
        if predicted.shape != test.shape:
            raise UserError(
                f"scheme {scheme!r}, fold {k}: predictions have shape {predicted.shape}; allowed is {test.shape}."
            )
        parts.append(
            pd.DataFrame({"scheme": scheme, "fold": k, "row": test, "observed": y[test], "predicted": predicted})
        )
    if not parts:
        return CrossValidation(*(pd.DataFrame({name: [] for name in names}) for names in (SCORES, PREDICTIONS)))
    predictions = pd.concat(parts, ignore_index=True)
    found = [
        {"scheme": scheme, "fold": fold, "metric": metric, "value": value}
        for scheme in folds
        for fold, part in _folds_and_all(predictions[predictions["scheme"] == scheme])
        for metric, value in scores(part["observed"], part["predicted"], log_offset=log_offset).items()
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
