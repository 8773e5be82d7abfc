"""Training rows of one target: checked, scaled, weighted and split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import read_netcdf
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.habitat_models.family import FamilySettings
from aqqua_dist.habitat_models.resampling import stratified_split
from aqqua_dist.habitat_models.response import count_strata
from aqqua_dist.validation.schemes import look_at_domain, study_folds

MIN_ROWS = 20


@dataclass(frozen=True)
class TargetRows:
    """Training rows of one target, ready to be fitted.

    Attributes
    ----------
    table : pandas.DataFrame
        Rows as the match stage wrote them.
    X : pandas.DataFrame
        Predictors, shape (n_rows, n_predictors).
    y : numpy.ndarray
        Response in its own unit, shape (n_rows,).
    settings : FamilySettings
        The recipe's model, with what is taken from all rows.
    labels : numpy.ndarray
        What the family is fitted to, shape (n_rows,): the strata are of it.
    weights : numpy.ndarray or None
        Weight of each row by the family's variance function, shape (n_rows,).
    train, test : numpy.ndarray
        Row numbers.
    """

    table: pd.DataFrame
    X: pd.DataFrame
    y: np.ndarray
    settings: FamilySettings
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
    TargetRows
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
    family = FAMILIES[model.kind]
    settings = family.settled(model, y, signed=is_signed(context))
    labels = family.labels(y, settings)
    weights = None
    if model.effort_weight:
        weight = table["effort"] if "effort" in table else table["weight"]  # images, of components of embeddings
        weights = family.weight((weight / weight.mean()).to_numpy(), settings)
    train, test = _split(context, table, labels)
    return TargetRows(table, table[names], y, settings, labels, weights, train, test)


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


def drawn_responses(rows):
    """Response that each member draws of its own.

    Parameters
    ----------
    rows : TargetRows
        Prepared rows.

    Returns
    -------
    numpy.ndarray or None
        In the unit of the response, shape (n_members, n_rows); None where
        the recipe draws none.
    """
    names = [name for name in rows.table if name.startswith("draw_")]
    return rows.table[names].to_numpy(dtype=float).T if names else None


def validation_folds(context, rows):
    """Folds of every validation scheme of the recipe.

    Scores and the area of applicability ask here, so that the area is that
    of the error which the scores claim.

    Parameters
    ----------
    context : Context
        The run.
    rows : TargetRows
        Prepared rows.

    Returns
    -------
    tuple of (dict of str to numpy.ndarray, dict of str to str)
        Fold of each row by scheme (-1: never tested), and the reason of each
        scheme that is not possible here.
    """
    table = rows.table.assign(stratum=strata(rows.labels))
    validation, domain = context.recipe.validation, None
    if look_at_domain(validation.schemes):
        cube = read_netcdf(context.out / "cube" / "cube.nc")
        domain = cube[["domain", "cell_area"]].sel(zone=table["zone"].iloc[0])
    return study_folds(validation.settings, table, domain, context.recipe.seed)
