"""One name per quantity, fixed with its unit, from input column to axis label."""

import difflib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data


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
    """

    name: str
    units: str
    long_name: str
    standard_name: str | None = None
    valid_min: float | None = None
    valid_max: float | None = None
    coverage_content_type: str = "physicalMeasurement"

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
    return {name: Quantity(name=name, **entry) for name, entry in entries.items()}


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
        values = np.asarray(column, dtype=float)
        low = -np.inf if entry.valid_min is None else entry.valid_min
        high = np.inf if entry.valid_max is None else entry.valid_max
        bad = (values < low) | (values > high)
        if bad.any():
            first = int(np.flatnonzero(bad.ravel())[0])
            where = (
                f"row {first + 2}"
                if values.ndim == 1
                else f"index {tuple(map(int, np.unravel_index(first, values.shape)))}"
            )
            raise UserError(
                f"{place}: {where}, {name}: {values.ravel()[first]:g} is outside [{low:g}, {high:g}] {entry.units}; "
                f"{int(bad.sum())} such values. Is it in another unit?"
            )
