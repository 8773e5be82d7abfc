"""Training rows of one target: checked, scaled, weighted and split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.habitat_models.resampling import stratified_split
from aqqua_dist.habitat_models.response import count_scale, count_strata

MIN_ROWS = 20


@dataclass(frozen=True)
class Rows:
    """Training rows of one target, ready to be fitted.

    Attributes
    ----------
    table : pandas.DataFrame
        Rows as the match stage wrote them.
    X : pandas.DataFrame
        Predictors, shape (n_rows, n_predictors).
    scale : float
        Labels are ``scale`` times the response.
    labels : numpy.ndarray
        What the trees are fitted to, shape (n_rows,).
    weights : numpy.ndarray or None
        Effort over its mean, shape (n_rows,).
    train, test : numpy.ndarray
        Row numbers.
    """

    table: pd.DataFrame
    X: pd.DataFrame
    scale: float
    labels: np.ndarray
    weights: np.ndarray | None
    train: np.ndarray
    test: np.ndarray


def prepare(context, table, names):
    """Scale, weight and split the rows of one target.

    Parameters
    ----------
    context : Context
        The run.
    table : pandas.DataFrame
        Training rows of the target.
    names : list of str
        Predictors.

    Returns
    -------
    Rows
        Ready to be fitted.

    Raises
    ------
    UserError
        Too few rows, or no positive one.
    """
    model, y = context.recipe.model, table["y"].to_numpy()
    if len(y) < MIN_ROWS:
        raise UserError(f"{len(y)} training rows, at least {MIN_ROWS} are needed to fit and validate a model.")
    if is_signed(context) and not np.ptp(y) > 0:
        raise UserError(f"all {len(y)} training rows are {y[0]:g}, at least 2 must differ.")
    if not is_signed(context) and not (y > 0).any():
        raise UserError(f"all {len(y)} training rows are zero, at least 1 must be positive.")
    if model.response_scale == "drago2022":
        scale = count_scale(y)
        labels = np.round(y * scale)
    else:
        scale = 1.0 / float(y.std() if is_signed(context) else y.mean())
        labels = y * scale
    weights = None
    if model.effort_weight:
        weights = (table["effort"] / table["effort"].mean()).to_numpy()
    train, test = _split(context, table, labels)
    return Rows(table, table[names], scale, labels, weights, train, test)


def is_signed(context):
    """Whether the response may be negative, so that it has no zero.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    bool
    """
    return quantity(context.recipe.observations.quantity).signed


def strata(labels):
    """Strata of the labels; those of signed ones are counted from the lowest.

    Parameters
    ----------
    labels : numpy.ndarray
        Shape (n_rows,).

    Returns
    -------
    numpy.ndarray
        As from `aqqua_dist.habitat_models.drago2022_search.count_strata`.
    """
    return count_strata(labels - min(float(labels.min(initial=0)), 0.0))


def _split(context, table, labels):
    everything = np.arange(len(table))
    if "split" in table and table["split"].notna().all():
        is_test = (table["split"] == "test").to_numpy()
        return everything[~is_test], everything[is_test]
    share = context.recipe.members.test_fraction
    if share == 0:
        return everything, everything[:0]
    return stratified_split(strata(labels), share, context.recipe.seed)


def drawn_labels(context, rows):
    """Labels that each member draws of its own.

    Parameters
    ----------
    context : Context
        The run.
    rows : Rows
        Prepared rows.

    Returns
    -------
    numpy.ndarray or None
        Shape (n_members, n_rows); None where the recipe draws none.
    """
    names = [name for name in rows.table if name.startswith("draw_")]
    if not names:
        return None
    values = rows.table[names].to_numpy(dtype=float).T * rows.scale
    return np.round(values) if context.recipe.model.response_scale == "drago2022" else values
