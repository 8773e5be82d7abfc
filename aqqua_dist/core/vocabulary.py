"""One name per quantity and per column of a written table, fixed with its unit, from input to axis label."""

import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase
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


@dataclass(frozen=True)
class Column:
    """A column of a written table.

    Attributes
    ----------
    name : str
        Its name, or a pattern (``draw_*``).
    units : str or None
        CF spelling (px and px2 for lengths and areas on an image); None for
        texts, flags and times, and where another column tells it.
    description : str
        One sentence.
    table : str or None
        The only table in which it means this.
    """

    name: str
    units: str | None
    description: str
    table: str | None = None


@lru_cache(maxsize=1)
def columns():
    """All columns.

    Returns
    -------
    dict of str to Column
        Under ``name``, or ``table.name`` where a name means something else in
        one table; from ``data/columns.yaml`` and, for quantities, the
        vocabulary.
    """
    found = {
        name: Column(name, entry.units, f"{entry.long_name[0].upper()}{entry.long_name[1:]}.")
        for name, entry in quantities().items()
    }
    entries = yaml.safe_load(package_data("columns.yaml").read_text(encoding="utf-8"))
    for key, (units, description) in entries.items():
        table, _, name = key.rpartition(".")
        found[key] = Column(name, units or None, description, table or None)
    return found


def known_column(name, table=None):
    """A column, or nothing where it is not known.

    Parameters
    ----------
    name : str
        As it is written.
    table : str, optional
        Name of the table (that of its file, without ending).

    Returns
    -------
    Column or None
        A user's own column has none.
    """
    known, name = columns(), str(name)
    for key in (f"{table}.{name}", name):
        if key in known and known[key].name == name:
            return known[key]
    for key, entry in known.items():
        if "*" in key and fnmatchcase(name, entry.name) and entry.table in (None, table):
            return entry
    return None


def column(name, table=None):
    """A column that must be known.

    Parameters
    ----------
    name : str
        As it is written.
    table : str, optional
        Name of the table.

    Returns
    -------
    Column
        Its unit and description.

    Raises
    ------
    UserError
        No such column is written.
    """
    found = known_column(name, table)
    if found is None:
        near = difflib.get_close_matches(str(name), [entry.name for entry in columns().values()], n=1)
        hint = f", did you mean {near[0]!r}" if near else ""
        raise UserError(f"column {name!r} is in no table that is written{hint}; see docs/dictionary.md.")
    return found


def column_units(names, table=None):
    """Units of the columns that have one.

    Parameters
    ----------
    names : iterable of str
        Columns; unknown ones are left out.
    table : str, optional
        Name of the table.

    Returns
    -------
    dict of str to str
        Column to unit.
    """
    found = {name: known_column(name, table) for name in names}
    return {name: entry.units for name, entry in found.items() if entry is not None and entry.units is not None}


def dictionary_page():
    """The dictionary of columns, as Markdown.

    Returns
    -------
    str
        Text of ``docs/dictionary.md``.
    """
    head = [
        "# Columns of the written tables",
        "",
        "Made from `aqqua_dist/data/columns.yaml` and `vocabulary.yaml` by `python docs/make_dictionary.py`; do not edit.",
        "The same unit and sentence stand in each Parquet file (metadata of the fields) and beside each CSV file",
        "(`<file>-metadata.json`, CSV on the Web). Without a table a name means the same everywhere.",
        "",
        "| column | unit | table | meaning |",
        "| --- | --- | --- | --- |",
    ]
    rows = sorted(columns().values(), key=lambda entry: (entry.name.lower(), entry.table or ""))
    return "\n".join(
        [*head, *(f"| `{e.name}` | {e.units or ''} | {e.table or ''} | {e.description} |" for e in rows), ""]
    )
