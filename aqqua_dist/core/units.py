"""Units are converted once, where a number enters."""

import difflib
import re
from functools import lru_cache

import cf_xarray.units  # noqa: F401 (defines the CF spellings in pint's application registry)
import numpy as np
import pandas as pd
import pint

from aqqua_dist.core.errors import UserError

PIXEL_UM = (0.05, 500.0)
"""Pixel sizes of plankton imagers, µm: outside a unit is wrong."""
MOLAR_MASS = {"C": 12.011, "N": 14.007, "Si": 28.0855, "P": 30.973762}
"""g mol-1 (standard atomic weights, IUPAC 2021, conventional values)."""
SPELLINGS = (
    "mg m-3",
    "mg C m-3",
    "ug C L-1",
    "mmol C m-3",
    "mmol Si m-3",
    "g C m-2",
    "m-3",
    "L-1",
    "mL-1",
    "ind m-3",
    "ind L-1",
    "# m-3",
    "individuals m-3",
    "cells L-1",
    "cells mL-1",
    "mm3 m-3",
    "mm3 L-1",
    "um3 mL-1",
    "ppm",
    "m3",
    "L",
    "mL",
    "degree_Celsius",
    "K",
    "umol kg-1",
    "m s-1",
    "W m-2",
    "km",
    "m",
    "Pg C",
    "Tg C",
    "Gt C",
    "km3",
    "percent",
    "1",
)
"""Spellings to offer where one is not understood; all are read."""
_REGISTRY = cf_xarray.units.units
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺−", "0123456789-+-")
_PREFIX = "(?:da|[YZEPTGMkhdcmuµnpfa])?"
_OF_ELEMENT = re.compile(
    rf"(?<![A-Za-zµ])({_PREFIX}(?:g|t|mol|gram|grams|mole|moles|ton|tons|tonne|tonnes))[ _.-]?(Si|C|N|P)(?![A-Za-z])"
)
"""A mass or an amount of an element; C after them is carbon, never a temperature or a charge."""
_COUNTED = re.compile(
    r"(?:#|(?<![A-Za-z])(?:ind|inds|indiv|individuals?|cells?|organisms?|specimens?|animals?|objects?|particles?|"
    r"colon(?:y|ies)|counts?|numbers?|num|nb|nr|no|n)(?![A-Za-z])\.?)"
)


def plain(units):
    """A unit as CF writes it, without what it counts or weighs.

    Parameters
    ----------
    units : str
        As the field writes it: ``mgC/m3``, ``µg C L⁻¹``, ``# m^-3``, ``ind. per L``.

    Returns
    -------
    text : str
        Unit without element and counted things.
    element : str or None
        Element of a mass or amount (`MOLAR_MASS`).
    counted : bool
        Whether things are counted.
    """
    text = str(units).strip().replace("\u03bc", "u").replace("\u00b5", "u").translate(_SUPERSCRIPTS)
    text = re.sub(r"[·⋅×]", " ", text)
    text = re.sub(r"(?:°|\bdeg(?:rees?)?[ _]?)[ ]?C(?:elsius)?(?![A-Za-z])", "degree_Celsius", text)
    text = re.sub(r"(?<=[A-Za-z#])(?:\^|\*\*)[({]?([-+]?\d+)[)}]?", r"\1", text)
    text = re.sub(r"(?<=[A-Za-z])\+(?=\d)", "", text)
    text = re.sub(r"(?<![A-Za-z])per(?![A-Za-z])", "/", text)
    elements = {match.group(2) for match in _OF_ELEMENT.finditer(text)}
    text = _OF_ELEMENT.sub(r"\1", text)
    text, counted = _COUNTED.subn("count", text)
    text = re.sub(r"count(?=[A-Za-z])", "count ", re.sub(r"(?:count[ ]*)+", "count ", text)).strip()
    return text, elements.pop() if len(elements) == 1 else None, bool(counted)


def _near(units):
    near = difflib.get_close_matches(str(units), SPELLINGS, n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""


@lru_cache(maxsize=512)
def _read(units):
    text, element, counted = plain(units)
    return _REGISTRY.Unit(text), element, counted


def _parse(units, place):
    if units in ("", "1"):
        return _REGISTRY.Unit("dimensionless"), None, False
    try:
        return _read(units)
    except Exception:  # pint raises several kinds on a text that is not a unit
        raise UserError(
            f"{place}: unit {units!r} is not understood{_near(units)}; write it as CF does, for example 'mg m-3', "
            "'mg C m-3', 'ind m-3', 'mm3 m-3', 'umol kg-1' or 'degree_Celsius'."
        ) from None


def convert(values, from_units, to_units, *, place, element=None):
    """Convert numbers from one unit to another.

    Parameters
    ----------
    values : array_like
        Numbers, any shape.
    from_units, to_units : str
        CF spellings such as ``mg m-3``, or those of the field: ``mg C m-3``,
        ``ind m-3``, ``# L-1``, ``cells/mL``, ``ppm``. An amount of an element
        becomes its mass (``mmol C m-3`` by 12.011).
    place : str
        File, column or recipe key, for messages.
    element : str, optional
        Element that the numbers are of (`MOLAR_MASS`); another one is refused.

    Returns
    -------
    pandas.Series for a series, else numpy.ndarray (or `values` itself where the units agree)
        Converted numbers.

    Raises
    ------
    UserError
        Unknown unit, units of different dimension, or of another element.
    """
    (source, own, counted), (goal, theirs, numbered) = _parse(from_units, place), _parse(to_units, place)
    wanted = element or theirs
    if own is not None and wanted is not None and own != wanted:
        raise UserError(f"{place}: unit {from_units!r} is of {own}, needed is {to_units!r} of {wanted}.")
    if counted and not numbered and goal.dimensionless and goal != _REGISTRY.Unit("dimensionless"):
        raise _other_dimension(from_units, to_units, place)
    if source == goal:
        return values
    if any("pixel" in str(unit) for unit in (source, goal)):
        raise UserError(f"{place}: unit {from_units!r} cannot become {to_units!r}; a pixel has no length of its own.")
    number = np.asarray(values, dtype=float)
    amount = source.dimensionality.get("[substance]", 0) - goal.dimensionality.get("[substance]", 0)
    if abs(amount) == 1 and own is not None:
        molar = _REGISTRY.Quantity(MOLAR_MASS[own], "g/mol") ** amount
        number, source = number * molar.magnitude, source * molar.units
    try:
        converted = _REGISTRY.Quantity(number, source).to(goal).magnitude
    except pint.DimensionalityError:
        raise _other_dimension(from_units, to_units, place) from None
    return pd.Series(converted, index=values.index, name=values.name) if isinstance(values, pd.Series) else converted


def _other_dimension(from_units, to_units, place):
    moles = "mol" in str(from_units) and "mol" not in str(to_units)
    hint = " (name the element of an amount, for example 'mmol C m-3')" if moles else ""
    return UserError(
        f"{place}: unit {from_units!r} cannot become {to_units!r}; give values whose unit has the same dimension{hint}."
    )


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
