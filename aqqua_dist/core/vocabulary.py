"""One name per quantity, fixed with its unit, from input column to axis label."""

import difflib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.core.units import convert

MEASURES = ("volume", "area", "mean")
"""How a stock is made of a field: its integral over volume or area, or its mean over the volume."""
_ELSEWHERE = {
    "degree_Celsius": ("K", "degF"),
    "umol kg-1": ("mol kg-1", "nmol kg-1", "mmol kg-1"),
    "mg m-3": ("g m-3", "kg m-3", "ng m-3", "g L-1"),
    "m": ("km", "cm"),
    "km": ("m",),
    "m s-1": ("cm s-1", "km h-1"),
    "1": ("percent",),
}
"""Units in which files hold a quantity by mistake."""


@dataclass(frozen=True)
class Stock:
    """How a quantity becomes a stock.

    Attributes
    ----------
    measure : {'volume', 'area', 'mean'}
        Integral over volume (m3) or area (m2), or mean over the volume.
    factor : float
        The integral (or mean) times this is in `units`.
    units : str
        Unit of the stock.
    label : str
        Its name, for axes.
    """

    measure: str
    factor: float
    units: str
    label: str

    def __post_init__(self):
        if self.measure not in MEASURES:
            raise UserError(f"measure {self.measure!r} of a stock must be one of {MEASURES}.")


@dataclass(frozen=True)
class Kept:
    """Where the tables of samples keep a quantity.

    Attributes
    ----------
    table : str
        ``counts`` (sums that are divided by the sampled volume) or ``components`` (means).
    column : str
        Column, or the beginning of its name.
    """

    table: str
    column: str


@dataclass(frozen=True)
class Quantity:
    """A quantity of the vocabulary.

    Attributes
    ----------
    name, units, long_name : str
        CF spelling of the unit.
    standard_name : str or None
        CF standard name; None where CF has none.
    valid_min, valid_max : float or None
        Values outside are errors, never clipped.
    coverage_content_type : str
        ACDD code.
    stock : Stock or None
        How it is summed; None where it is no quantity that is modelled.
    signed : bool
        Whether it may be negative: then there is no zero, no count, no
        logarithm.
    link : {'log', 'identity'}
        Scale on which effects add up.
    element : str or None
        Element that it is a mass of (`aqqua_dist.core.units.MOLAR_MASS`).
    kept : Kept or None
        Where the tables of samples keep it; None where only a user's own
        table has it.
    """

    name: str
    units: str
    long_name: str
    standard_name: str | None = None
    valid_min: float | None = None
    valid_max: float | None = None
    coverage_content_type: str = "physicalMeasurement"
    stock: Stock | None = None
    signed: bool = False
    link: str = "log"
    element: str | None = None
    kept: Kept | None = None

    def __post_init__(self):
        if self.link not in ("log", "identity") or (self.signed and self.link == "log"):
            raise UserError(
                f"quantity {self.name!r}: link {self.link!r} must be 'log' or 'identity', and of a signed one 'identity'."
            )

    @property
    def label(self):
        """Axis label with the unit (str)."""
        return self.long_name if self.units == "1" else f"{self.long_name} ({self.units})"


@lru_cache(maxsize=1)
def quantities():
    """All quantities.

    Returns
    -------
    dict of str to Quantity
        By name, from ``data/vocabulary.yaml``.
    """
    entries = yaml.safe_load(package_data("vocabulary.yaml").read_text(encoding="utf-8"))
    parts = {"stock": Stock, "kept": Kept}
    return {
        name: Quantity(name=name, **{k: parts[k](**v) if k in parts else v for k, v in entry.items()})
        for name, entry in entries.items()
    }


def modelled(*, columns=None, signed=None):
    """Quantities that can be modelled: those that have a stock.

    Parameters
    ----------
    columns : tuple of str, optional
        Only those that the tables of samples keep in one of these columns.
    signed : bool, optional
        Only those that may, or may not, be negative.

    Returns
    -------
    list of str
        Names.
    """
    return [
        name
        for name, entry in quantities().items()
        if entry.stock is not None
        and (columns is None or (entry.kept is not None and entry.kept.column in columns))
        and (signed is None or entry.signed == signed)
    ]


def quantity(name):
    """One quantity.

    Parameters
    ----------
    name : str
        Name in the vocabulary.

    Returns
    -------
    Quantity
        Its unit, names and valid range.
    """
    known = quantities()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean {near[0]!r}" if near else ""
        raise UserError(f"quantity {name!r} is not in the vocabulary{hint}; it has {', '.join(known)}.")
    return known[name]


def check(table, *, place):
    """Check the columns or variables that the vocabulary knows.

    Parameters
    ----------
    table : pandas.DataFrame or xarray.Dataset
        Numbers under our names; names that the vocabulary does not know are
        not judged.
    place : str
        File, for messages.

    Raises
    ------
    UserError
        A value outside its valid range, or a variable in another unit.
    """
    known = quantities()
    for name in list(table.columns if hasattr(table, "columns") else table.variables):
        if name not in known:
            continue
        entry, column = known[name], table[name]
        units = column.attrs.get("units")
        if units is not None and units != entry.units:
            raise UserError(f"{place}: {name} is in {units!r}, allowed is {entry.units!r}.")
        if column.dtype.kind not in "fiu":
            continue
        _check_range(np.asarray(column, dtype=float), entry, place)


def _check_range(values, entry, place):
    low = -np.inf if entry.valid_min is None else entry.valid_min
    high = np.inf if entry.valid_max is None else entry.valid_max
    bad = (values < low) | (values > high)
    if not bad.any():
        return
    first = int(np.flatnonzero(bad.ravel())[0])
    where = (
        f"row {first + 2}" if values.ndim == 1 else f"index {tuple(map(int, np.unravel_index(first, values.shape)))}"
    )
    raise UserError(
        f"{place}: {where}, {entry.name}: {values.ravel()[first]:g} is outside [{low:g}, {high:g}] {entry.units}; "
        f"{int(bad.sum())} such values. {_guess(values, entry, low, high)}"
    )


def _guess(values, entry, low, high):
    """What the values would be right as."""
    known = values[np.isfinite(values)]
    if known.size and (-known >= low).all() and (-known <= high).all():
        return "Is its sign turned?"
    for units in _ELSEWHERE.get(entry.units, ()):
        found = convert(known, units, entry.units, place=entry.name)
        if known.size and (found >= low).all() and (found <= high).all():
            return f"Is it in {units}?"
    return "Is it in another unit?"
