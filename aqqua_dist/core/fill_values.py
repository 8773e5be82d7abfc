"""Numbers that stand for a missing value, and what a predictor may hold."""

import numpy as np

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import UserError

NEVER_REAL = (9.96921e36, 1e20, -1e20, 1e30, -1e30, 1e34, -1e34, 1e35, -1e35, 1e36, 9.99e36, 1e37, -9.96921e36)
"""Fill values of NetCDF, CMIP, Ferret and the World Ocean Atlas: no predictor is that large."""
CUSTOMARY = (-999.0, -999.9, -999.99, -9999.0, -9999.9, -99999.0, -999999.0, -32768.0, -32767.0, 99999.0, 999999.0)
"""Fill values of tables: refused where they stand apart from all other values."""
POSSIBLE = (-99.0, -99.9, 999.0, 999.9, 9999.0, 32767.0, -888.0, -9.0, -1e10, 1e10)
"""Numbers that may be real: refused only where they lie further off than all other values span."""
APART = 0.05
"""Distance to the nearest other value, as a share of the range of the others, beyond which a customary fill value stands apart."""


def fill_value(values):
    """Customary fill value among numbers.

    Parameters
    ----------
    values : array_like
        Any shape and unit; NaN is missing already.

    Returns
    -------
    tuple of (float, int) or None
        The value and how often it stands there.
    """
    known = np.asarray(values, dtype=float).ravel()
    known = known[~np.isnan(known)]
    fills = np.array([*NEVER_REAL, *CUSTOMARY, *POSSIBLE])
    large = (known <= fills[fills < 0].max()) | (known >= fills[fills > 0].min() * (1 - 1e-6))
    unique, counts = np.unique(known[large], return_counts=True)
    near = np.isclose(unique[:, None], fills, rtol=1e-6, atol=0)
    if not near.any():
        return None
    others = np.concatenate([known[~large], unique[~near.any(axis=1) & np.isfinite(unique)]])
    for place in np.flatnonzero(near.any(axis=1)):
        kind, value = int(near[place].argmax()), float(unique[place])
        certain = kind < len(NEVER_REAL)
        share = APART if kind < len(NEVER_REAL) + len(CUSTOMARY) else 1.0
        if certain or (others.size == 0 and share < 1):
            return value, int(counts[place])
        if others.size > 1 and np.abs(others - value).min() > share * np.ptp(others):
            return value, int(counts[place])
    return None


def check_predictors(table, names, place):
    """Refuse fill values and values outside the range of the vocabulary.

    Parameters
    ----------
    table : pandas.DataFrame or xarray.Dataset
        Holds the predictors.
    names : iterable of str
        Predictors, known to the vocabulary or not.
    place : str
        File, for messages.

    Raises
    ------
    UserError
        A customary fill value under any name, or a value outside the range
        of a quantity that the vocabulary knows.
    """
    for name in names:
        if table[name].dtype.kind not in "fiu":
            continue
        found = fill_value(table[name])
        if found is not None:
            value, times = found
            raise UserError(
                f"{place}: predictor {name!r} is {value:g} in {times} of {table[name].size} values, which is customary for "
                "a missing value; make these cells empty (NaN)."
            )
    vocabulary.check(table[list(names)], place=place)
