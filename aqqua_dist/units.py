"""Units are converted once, where a number enters."""

import cf_xarray.units  # noqa: F401 (defines the CF spellings in pint's application registry)
import numpy as np
import pandas as pd
import pint

from aqqua_dist.errors import UserError

_REGISTRY = cf_xarray.units.units


def _parse(units, place):
    try:
        return _REGISTRY.Unit(units) if units not in ("", "1") else _REGISTRY.Unit("dimensionless")
    except Exception:  # pint raises several kinds on a text that is not a unit
        raise UserError(
            f"{place}: unit {units!r} is not understood; write it as CF does, for example 'mg m-3', 'm-3', "
            "'mm3 m-3', 'umol kg-1' or 'degree_Celsius'."
        ) from None


def convert(values, from_units, to_units, *, place):
    """Convert numbers from one unit to another.

    Parameters
    ----------
    values : array_like
        Numbers, any shape.
    from_units, to_units : str
        CF spellings such as ``mg m-3``.
    place : str
        File, column or recipe key, for messages.

    Returns
    -------
    pandas.Series for a series, else numpy.ndarray (or `values` itself where the units agree)
        Converted numbers.

    Raises
    ------
    UserError
        Unknown unit, or units of different dimension.
    """
    source, goal = _parse(from_units, place), _parse(to_units, place)
    if source == goal:
        return values
    try:
        converted = _REGISTRY.Quantity(np.asarray(values, dtype=float), source).to(goal).magnitude
    except pint.DimensionalityError:
        raise UserError(f"{place}: unit {from_units!r} cannot become {to_units!r}; give values whose unit has the same dimension.") from None
    return pd.Series(converted, index=values.index, name=values.name) if isinstance(values, pd.Series) else converted
