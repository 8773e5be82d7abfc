"""Units are converted once, where a number enters."""

import cf_xarray.units  # noqa: F401 (defines the CF spellings in pint's application registry)
import numpy as np
import pandas as pd
import pint

from aqqua_dist.core.errors import UserError

PIXEL_UM = (0.05, 500.0)
"""Pixel sizes of plankton imagers, µm: outside a unit is wrong."""
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
        raise UserError(
            f"{place}: unit {from_units!r} cannot become {to_units!r}; give values whose unit has the same dimension."
        ) from None
    return pd.Series(converted, index=values.index, name=values.name) if isinstance(values, pd.Series) else converted


def pixel_size(value, units="detect", *, place="pixel size"):
    """Pixel sizes in µm, whatever unit a file keeps them in.

    Parameters
    ----------
    value : array_like
        Pixel sizes.
    units : {'detect', 'um', 'mm', 'm', 'px um-1'}
        ``detect`` takes a value below 0.5 for mm and one above 1 for µm (UVP5
        files hold 0.088 to 0.174 mm, UVP6 files 73 µm, ZooScan files 0.0106
        mm even in a column named ``_µm``); between them nobody can tell.
        ``px um-1`` is IFCB's inverse scale (2.7 to 3.4), which cannot be
        told from µm and so must be named; values of 2.5 to 3.6 are refused
        for that reason.
    place : str
        File and column, for messages.

    Returns
    -------
    numpy.ndarray
        µm.

    Raises
    ------
    UserError
        A value is none, not above 0, between the units, or gives a pixel
        outside `PIXEL_UM`.
    """
    sizes = np.asarray(value, dtype=float)
    none = ~(np.isfinite(sizes) & (sizes > 0))
    if none.any():
        raise UserError(f"{place}: pixel size {sizes[none].flat[0]:g} is not above 0 ({int(none.sum())} such values).")
    factors = {"um": 1.0, "mm": 1e3, "m": 1e6}
    if units == "detect":
        between = (sizes >= 0.5) & (sizes <= 1)
        if between.any():
            raise UserError(
                f"{place}: pixel size {sizes[between].flat[0]:g} may be mm or µm; name the unit, 'um' or 'mm'."
            )
        inverse = (sizes >= 2.5) & (sizes <= 3.6)
        if inverse.any():
            value = sizes[inverse].flat[0]
            raise UserError(
                f"{place}: {value:g} may be a pixel in µm or IFCB's pixels per µm; name the unit, 'um' or 'px um-1'."
            )
        pixels = np.where(sizes < 0.5, sizes * 1e3, sizes)
    elif units == "px um-1":
        pixels = 1 / sizes
    elif units in factors:
        pixels = sizes * factors[units]
    else:
        raise UserError(
            f"{place}: unit {units!r} of the pixel size is unknown, allowed are 'detect', 'um', 'mm', 'm' and 'px um-1'."
        )
    low, high = PIXEL_UM
    bad = (pixels < low) | (pixels > high)
    if bad.any():
        raise UserError(
            f"{place}: a pixel of {pixels[bad].flat[0]:g} µm is outside [{low:g}, {high:g}] µm; is its unit {units!r}?"
        )
    return pixels
