"""Responses made ready for a model: scaled counts and strata of concentrations."""

import numpy as np

from aqqua_dist.core.errors import UserError


def count_scale(biomass):
    """Factor that turns biomasses into counts: ``ceil(1 / q01 / 100) * 1000``.

    Parameters
    ----------
    biomass : array_like
        Biomasses (mg m-3), zeros included, shape (n_rows,).

    Returns
    -------
    float
        S; labels are ``round(biomass * S)``. q01 is the 1 % quantile of the
        positive biomasses.

    Raises
    ------
    UserError
        When no biomass is positive or one is negative or missing.

    References
    ----------
    Drago et al. 2022, doi 10.3389/fmars.2022.894372 (public code).

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> aq.count_scale([0.0, 0.001, 0.001])
    10000.0
    """
    biomass = _concentrations(biomass)
    positive = biomass[biomass > 0]
    if positive.size == 0:
        raise UserError(f"biomass: 0 of {biomass.size} rows are positive; allowed is at least one.")
    return float(np.ceil(1 / np.quantile(positive, 0.01) / 100) * 1000)


def count_strata(y, n_quantiles=8):
    """Strata of rows: zeros, then quantile classes of the positives.

    Parameters
    ----------
    y : array_like
        Values of 0 or more, shape (n_rows,).
    n_quantiles : int
        Classes of the positives; equal edges are merged, so ties may leave fewer.

    Returns
    -------
    numpy.ndarray
        int, shape (n_rows,): 0 for zeros, 1 to `n_quantiles` upwards. A class
        holds its upper edge.

    References
    ----------
    Drago et al. 2022, doi 10.3389/fmars.2022.894372 (public code).

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> aq.count_strata([0.0, 1.0, 2.0, 3.0, 4.0], n_quantiles=2).tolist()
    [0, 1, 1, 2, 2]
    """
    y = _concentrations(y)
    positive = y[y > 0]
    strata = np.zeros(y.size, dtype=int)
    if positive.size:
        inner = np.unique(np.quantile(positive, np.linspace(0, 1, n_quantiles + 1)[1:-1]))
        strata[y > 0] = 1 + np.searchsorted(inner, positive, side="left")
    return strata


def _concentrations(values):
    values = np.asarray(values, dtype=np.float64)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"biomass: row {row} is {values[row]}; allowed are finite values of 0 or more.")
    return values
