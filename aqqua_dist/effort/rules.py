"""Sampled volume of images and acquisitions, by cited and frozen rules.

Volume belongs to what was imaged, never to the objects that were found: a
sample without objects keeps its volume, and metadata that are missing are an
error, never 1. The rules are data (``data/effort_rules.yaml``).
"""

import difflib
import re
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd
import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.core.tables import SENTINELS
from aqqua_dist.core.units import convert
from aqqua_dist.effort.instruments import FACTORS, Flags

OBJECT_KEYS = ("object_id", "objid", "obj_orig_id")
_NUMBER_WITH_UNIT = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:[\s_]*([A-Za-zµ][\w µ^/-]*))?\s*$")


@dataclass(frozen=True)
class EffortRule:
    """How a volume follows from metadata.

    Attributes
    ----------
    name, formula, row, source, note : str
        ``row`` says what one row of the table is; ``source`` is the citation.
    version : int
        Rises when the rule changes.
    instruments : tuple of str
        What the rule is for.
    columns, constants, limits, options : dict
        As in ``data/effort_rules.yaml``.
    per : {'row', 'sample'}
        ``sample``: the columns describe the whole sample, so that several
        acquisitions of it repeat one volume.
    factor : str
        Name of the part of the formula that is no product; empty for none.
    relative_sd : float or None
        Relative uncertainty (1 sd) that the source gives.
    """

    name: str
    version: int
    instruments: tuple
    row: str
    formula: str
    columns: dict
    source: str
    constants: dict = field(default_factory=dict)
    limits: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    factor: str = ""
    per: str = "row"
    relative_sd: float | None = None
    note: str = ""

    @property
    def label(self):
        """Name and version, as written into ``effort_rule`` (str)."""
        return f"{self.name} v{self.version}"


@lru_cache(maxsize=1)
def rules():
    """All frozen rules.

    Returns
    -------
    dict of str to EffortRule
        By name, from ``data/effort_rules.yaml``.
    """
    entries = yaml.safe_load(package_data("effort_rules.yaml").read_text(encoding="utf-8"))
    return {
        name: EffortRule(name=name, **entry | {"instruments": tuple(entry["instruments"])})
        for name, entry in entries.items()
    }


def volume(rule, table, *, units=None, rel_sd=None, **constants):
    """Sampled volume of every row of a table of images or acquisitions.

    Parameters
    ----------
    rule : str
        Name of a rule, see `rules`.
    table : pandas.DataFrame
        One row per what the rule's ``row`` says, with its columns under our
        or the instrument's names. Numbers may carry a unit (``0.18_ml``).
    units : dict of str to str, optional
        Unit of a column where it is not the rule's.
    rel_sd : float, optional
        Relative uncertainty (1 sd) of the volumes, where the rule has none.
    **constants
        Columns of the rule that have one value for all rows, and options of
        the rule (``scans='parts'`` or ``'replicates'``).

    Returns
    -------
    pandas.DataFrame
        Same index: ``volume`` (m3, what one object of the row adds to the
        concentration of its sample is 1/volume), ``volume_rel_sd`` (NaN
        where nobody gives one), ``effort_rule`` and ``flags`` (joined by
        ``;``).

    Raises
    ------
    UserError
        The rule is unknown, the table holds objects, or a value is missing,
        no number, not above 0 or impossible; row 1 is the header.
    """
    entry = _rule(rule)
    _check_call(entry, table, units, constants)
    if rel_sd is not None and not (np.isscalar(rel_sd) and np.isfinite(rel_sd) and 0 <= rel_sd < 1):
        raise UserError(
            f"rel_sd {rel_sd!r} of rule {entry.name!r} is outside [0, 1); it is one standard deviation, relative."
        )
    values = {name: _column(entry, name, table, units or {}, constants) for name in entry.columns}
    flags = Flags(len(table))
    result = np.ones(len(table))
    for name, spec in entry.columns.items():
        if "usual" in spec:
            low, high = (
                float(convert(edge, spec["units"], _target(spec["units"]), place=name)) for edge in spec["usual"]
            )
            flags.add((values[name] < low) | (values[name] > high), f"{name} unusual")
        if spec.get("power"):
            result = result * values[name] ** spec["power"]
    for name in entry.constants:
        result = result * _constant(entry, name)
    if entry.factor:
        options = {name: constants[name] for name in entry.options if name in constants}
        result = result * FACTORS[entry.factor](entry, values, flags, options)
    bad = ~(np.isfinite(result) & (result > 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"rule {entry.name!r}, row {row + 2}: volume {result[row]:g} m3 is not above 0 ({int(bad.sum())} such rows)."
        )
    _check_limit(entry, values, result)
    spread = rel_sd if rel_sd is not None else np.nan if entry.relative_sd is None else entry.relative_sd
    return pd.DataFrame(
        {"volume": result, "volume_rel_sd": float(spread), "effort_rule": entry.label, "flags": flags.texts()},
        index=table.index,
    )


def _rule(name):
    known = rules()
    if name in known:
        return known[name]
    text = str(name).lower()
    near = [key for key in known if key.startswith(text)] or difflib.get_close_matches(text, known, n=1)
    hint = f", did you mean {' or '.join(map(repr, near))}" if near else ""
    raise UserError(f"effort rule {name!r} is unknown{hint}; there are {', '.join(known)}.")


def _refuse_objects(who, table):
    found = [name for name in OBJECT_KEYS if name in table]
    if found:
        raise UserError(
            f"{who}: the table has a column {found[0]!r}, so its {len(table)} rows are objects; volume comes from a table of images or "
            "acquisitions, because those without any object were sampled too."
        )


def _check_call(entry, table, units, constants):
    _refuse_objects(f"rule {entry.name!r}", table)
    allowed = [*entry.columns, *entry.options]
    for given in (units or {}), constants:
        unknown = [name for name in given if name not in allowed]
        if unknown:
            raise UserError(f"rule {entry.name!r} has no {unknown[0]!r}; it takes {', '.join(allowed)}.")
    for name, choices in entry.options.items():
        if name in constants and constants[name] not in choices:
            raise UserError(f"rule {entry.name!r}: option {name} is {constants[name]!r}, allowed are {choices}.")


@lru_cache(maxsize=64)
def _target(unit):
    """Unit of calculation for a unit of a table."""
    for goal in ("m3", "m2", "m", "s", "m3 s-1", "s-1", "1"):
        try:
            convert(1.0, unit, goal, place="unit")
        except UserError:
            continue
        return goal
    raise UserError(f"unit {unit!r} is no volume, area, length, time, flow or number.")


def _constant(entry, name):
    spec = entry.constants[name]
    return float(convert(spec["value"], spec["units"], _target(spec["units"]), place=f"rule {entry.name!r}, {name}"))


def _column(entry, name, table, units, constants):
    """Numbers (unit of calculation) or texts of one column."""
    spec = entry.columns[name]
    source = next((column for column in spec["names"] if column in table), None)
    if name in constants:
        if source is not None:
            raise UserError(
                f"rule {entry.name!r}: {name} is given as {constants[name]!r} and as column {source!r} of the table; give one."
            )
        cells = pd.Series([constants[name]] * len(table), dtype=object)
    elif source is not None:
        cells = table[source].reset_index(drop=True)
    elif spec.get("optional"):
        return np.full(len(table), np.nan)
    else:
        wanted = " or ".join(map(repr, spec["names"]))
        raise UserError(
            f"rule {entry.name!r}: column {wanted} is missing, the table has {list(map(str, table.columns))[:30]}."
        )
    if spec.get("text"):
        if cells.isna().any():
            raise UserError(
                f"rule {entry.name!r}, column {source or name!r}, row {int(np.flatnonzero(cells.isna())[0]) + 2} is empty."
            )
        return cells.astype(str).to_numpy()
    unit = units.get(name, spec["units"])
    if unit is None:
        raise UserError(
            f"rule {entry.name!r}: nobody tells the unit of {source or name!r}; give units={{{name!r}: 'm3'}} or 'cm3'."
        )
    return _numbers(entry, spec, cells, source or name, unit)


def _numbers(entry, spec, cells, column, unit):
    goal, where = _target(spec["units"] or unit), f"rule {entry.name!r}, column {column!r}"
    scale = np.full(len(cells), float(convert(1.0, unit, goal, place=where)))
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        numbers = cells.to_numpy(dtype=float, na_value=np.nan)
    else:
        numbers = np.full(len(cells), np.nan)
        for row, cell in enumerate(cells):
            numbers[row], own = _parsed(cell, f"{where}, row {row + 2}")
            if own is not None:
                scale[row] = float(convert(1.0, own, goal, place=f"{where}, row {row + 2}"))
    missing = np.isnan(numbers) if spec.get("count") else np.isnan(numbers) | np.isin(numbers, SENTINELS)
    whole, zero = spec.get("count", False), spec.get("zero", False)
    with np.errstate(invalid="ignore"):
        wrong = ~missing & (
            np.isinf(numbers) | (numbers < 0) | ((numbers == 0) & (not zero)) | (whole & (numbers % 1 != 0))
        )
    if spec.get("loose"):
        missing, wrong = missing | wrong, wrong & False
    for row in np.flatnonzero(wrong):
        kind = f"a {'whole ' if whole else ''}number {'of at least' if zero else 'above'} 0"
        raise UserError(
            f"{where}, row {row + 2}: {str(cells.iloc[row])!r} is not {kind} ({int(wrong.sum())} such rows)."
        )
    for row in np.flatnonzero(missing if not spec.get("optional") else []):
        shown = "the cell is empty" if np.isnan(numbers[row]) else f"{str(cells.iloc[row])!r} stands for none"
        raise UserError(
            f"{where}, row {row + 2}: {shown}; there is no volume without it, never 1 ({int(missing.sum())} such rows)."
        )
    return np.where(missing, np.nan, numbers * scale)


def _parsed(cell, where):
    """Number and unit of a cell; NaN for an empty one."""
    if cell is None or cell is pd.NA:
        return np.nan, None
    if isinstance(cell, (int, float, np.number)) and not isinstance(cell, (bool, np.bool_)):
        return float(cell), None
    text = str(cell).strip()
    if text.lower() in ("", "nan", "na", "n/a", "none", "null", "<na>"):
        return np.nan, None
    match = _NUMBER_WITH_UNIT.match(text)
    if match is None:
        raise UserError(
            f"{where}: {cell!r} is not a number (with a decimal point, then perhaps a unit, as in '0.18_ml')."
        )
    unit = match.group(2)
    return float(match.group(1)), None if unit is None else re.sub(r"(?i)^([mµu]?)l$", r"\1L", unit)


def _check_limit(entry, values, result):
    for name, spec in entry.limits.items():
        default = float(convert(spec["value"], spec["units"], "m3", place=name))
        limit = np.where(np.isfinite(values[name]), values[name], default)
        over = result > limit * 1.001
        if over.any():
            row = int(np.flatnonzero(over)[0])
            raise UserError(
                f"rule {entry.name!r}, row {row + 2}: the volume is {result[row] * 1e6:g} mL, allowed is at most the {name} of "
                f"{limit[row] * 1e6:g} mL; the times are wrong."
            )
