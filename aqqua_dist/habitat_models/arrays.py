"""Predictors, responses and weights as checked arrays."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.number_columns import number_array

LARGEST = float(np.finfo(np.float32).max)
"""Largest label: predictions are in single precision."""


def predictor_array(X, names=None):
    """Predictors as one C-contiguous float32 array.

    Parameters
    ----------
    X : pandas.DataFrame or array_like
        Shape (n_rows, n_predictors).
    names : list of str, optional
        Predictors wanted from a DataFrame, in this order; by default all its
        columns.

    Returns
    -------
    numpy.ndarray
        Shape (n_rows, n_predictors).

    Raises
    ------
    UserError
        When a predictor is missing, is no number, or is infinite.
    """
    if isinstance(X, pd.DataFrame) and names is not None:
        missing = [name for name in names if name not in X.columns]
        if missing:
            raise UserError(f"X: predictors {missing} are missing; the table has {list(map(str, X.columns))}.")
        X = X[list(names)]
    array = number_array(X, "X", np.float32)
    if np.isinf(array).any():
        row, column = map(int, np.argwhere(np.isinf(array))[0])
        name = names[column] if names is not None else column
        raise UserError(f"X: row {row}, predictor {name} is {array[row, column]}; allowed are finite values and NaN.")
    return array


def training_arrays(X, y, weights):
    """Predictors, labels and weights as checked arrays.

    Parameters
    ----------
    X : pandas.DataFrame or array_like
        Predictors, shape (n_rows, n_predictors).
    y : array_like
        Labels, shape (n_rows,).
    weights : array_like or None
        Row weights, shape (n_rows,).

    Returns
    -------
    tuple of numpy.ndarray
        float32 (n_rows, n_predictors), float64 (n_rows,), float64 (n_rows,) or None.

    Raises
    ------
    UserError
        On unequal lengths, values that are no numbers or labels beyond single
        precision, or a weight that is negative or not finite.
    """
    rows = predictor_array(X, X.columns if isinstance(X, pd.DataFrame) else None)
    labels = number_array(y, "y")
    if labels.shape != (len(rows),):
        raise UserError(f"y: shape {labels.shape}; allowed is ({len(rows)},), one label per row of X.")
    refuse_too_large(labels)
    if weights is None:
        return rows, labels, None
    weights = number_array(weights, "weights")
    if weights.shape != labels.shape:
        raise UserError(f"weights: shape {weights.shape}; allowed is {labels.shape}, one weight per row of X.")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"weights: row {row} is {weights[row]}; allowed are finite values of 0 or more.")
    return rows, labels, weights


def refuse_too_large(y):
    """Refuse labels that a prediction in single precision could not hold.

    Parameters
    ----------
    y : numpy.ndarray
        Labels, shape (n_rows,); those that are not finite are left to others.

    Raises
    ------
    UserError
        With the first such label.
    """
    bad = np.isfinite(y) & (np.abs(y) > LARGEST)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"y: row {row} is {y[row]:g}; allowed are values up to {LARGEST:.2g}, what single precision holds: take "
            "another unit."
        )


def threads(jobs):
    """Number of threads, checked.

    Parameters
    ----------
    jobs : int
        As given.

    Returns
    -------
    int

    Raises
    ------
    UserError
        Below 1, or no whole number.
    """
    if not isinstance(jobs, int | np.integer) or jobs < 1:
        raise UserError(f"jobs: {jobs!r}; allowed are whole numbers from 1.")
    return int(jobs)
