"""A plain table whose columns a YAML mapping names: samples, objects or counts in our units.

`data/mapping_template.yaml` is a mapping to copy. Formats that are not public
yet, or that a lab made for itself, need a mapping and no code.
"""

import difflib
import gzip
import io
import warnings
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import RecipeError, UserError
from aqqua_dist.core.grid import wrap_longitude
from aqqua_dist.core.statuses import STATUSES, status_of
from aqqua_dist.core.tables import COUNTS, FINDINGS, OBJECTS, SAMPLES, Ingested, finding, typed
from aqqua_dist.core.units import convert
from aqqua_dist.readers.sources import encoding_of

TABLES = {"samples": SAMPLES, "objects": OBJECTS, "counts": COUNTS}
WITHOUT_UNIT = ("n_individuals", "n_images", "n", "weight")
"""Numbers that are counts."""
REQUIRED = {
    "samples": ("sample_id", "lat", "lon"),
    "objects": ("object_id", "sample_id"),
    "counts": ("sample_id", "taxon", "n"),
}
RANGES = {
    "lat": (-90, 90),
    "lon": (-180, 360),
    "depth_top": (0, 11_500),
    "depth_bottom": (0, 11_500),
    "volume": (0, None),
    "volume_rel_sd": (0, None),
    "n": (0, None),
    "biovolume": (0, None),
    "area": (0, None),
    "major": (0, None),
    "minor": (0, None),
    "pixel": (0, None),
    "esd": (0, None),
    "score": (0, 1),
    "n_individuals": (0, None),
    "n_images": (0, None),
}
ABOVE_ZERO = {"volume", "pixel"}
IMAGE_LENGTHS = {"area": "um2", "major": "um", "minor": "um"}
IMAGE_WORD = {"area": "px"}
"""How mappings may also write that an area is in pixels."""


def _unit(name, table):
    """Unit of a number; lengths on the image are in pixels unless the mapping gives them a unit of length."""
    return None if name in WITHOUT_UNIT else vocabulary.column(name, table).units


class Entry(BaseModel):
    """Where one of our columns comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    column: str | None = None
    value: str | float | int | None = None
    units: str | None = None
    format: str | None = None
    values: dict[str, str] | None = None

    @model_validator(mode="after")
    def _one_source(self):
        if (self.column is None) == (self.value is None):
            raise ValueError(f"column {self.column!r} and value {self.value!r}: give one of both")
        return self


class Mapping(BaseModel):
    """A mapping file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    table: Literal["samples", "objects", "counts"]
    missing: list[str] = ["", "NA", "nan", "NaN"]
    columns: Annotated[dict[str, Entry], Field(min_length=1)]

    @model_validator(mode="after")
    def _known_columns(self):
        known, faults = TABLES[self.table], []
        for name, entry in self.columns.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f", did you mean {near[0]!r}?" if near else f"; they have {', '.join(known)}"
                faults.append(f"columns.{name}: {self.table} have no such column{hint}")
            elif entry.units is not None and _unit(name, self.table) is None:
                faults.append(f"columns.{name}.units: {name} has no unit, found {entry.units!r}")
        needed = REQUIRED[self.table]
        faults += [
            f"columns: {name!r} is missing; {self.table} need {', '.join(needed)}"
            for name in needed
            if name not in self.columns
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self


def read_mapping(path):
    """Mapping from a YAML file.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    Mapping
        Checked.

    Raises
    ------
    RecipeError
        With every fault of the file.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"mapping {str(path)!r} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}."
        ) from None
    except yaml.YAMLError as error:
        raise RecipeError(path, [f"not valid YAML: {str(error).splitlines()[0]}"]) from None
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        faults = []
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"])
            text = (
                str(item["ctx"]["error"])
                if item["type"] == "value_error"
                else f"{item['input']!r} is not allowed ({item['msg'].lower()})"
            )
            faults += [f"{place}: {line}" if place else line for line in text.split("\n")]
        raise RecipeError(path, faults) from None


def read_mapped(source, mapping, *, samples=None):
    """Samples, objects or counts of a table.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Comma-, semicolon- or tab-separated text (also gzipped) or Parquet.
    mapping : Mapping
        From `read_mapping`.
    samples : pandas.DataFrame, optional
        Samples that objects or counts belong to; needed for those.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        In our units; longitudes in [-180, 180). A table of samples stands
        alone, objects and counts come with `samples`.

    Raises
    ------
    UserError
        A column is missing, a cell is no number or outside its range, a word
        is not among the mapping's, an id is missing or stands twice.
    """
    frame, findings = _frame(source, mapping), []
    absent = [(name, e.column) for name, e in mapping.columns.items() if e.column is not None and e.column not in frame]
    if absent:
        told = []
        for name, column in absent:
            near = difflib.get_close_matches(column, list(frame), n=1)
            told.append(f"column {column!r} (for {name}) is missing" + (f", did you mean {near[0]!r}" if near else ""))
        raise UserError(f"{source}: {'; '.join(told)}; the file has {', '.join(map(repr, list(frame)[:40]))}.")
    table = pd.DataFrame(
        {name: _column(frame, name, entry, mapping, source) for name, entry in mapping.columns.items()},
        index=frame.index,
    )
    physical = [n for n in IMAGE_LENGTHS if n in table and mapping.columns[n].units not in (None, "px")]
    if physical and "pixel" in table:
        raise UserError(
            f"{source}: {physical} are in {mapping.columns[physical[0]].units!r} and a pixel size is given; needed is one of both."
        )
    if physical:
        table["pixel"] = 1.0  # lengths in µm are lengths in pixels of 1 µm
    _check(table, mapping, source)
    if mapping.table == "samples":
        east = table["lon"] > 180
        if east.any():
            told = f"{int(east.sum())} longitudes of 180-360 degrees east were brought to [-180, 180)."
            findings.append(finding("repaired", "longitude", told, file=str(source)))
        table["lon"] = wrap_longitude(table["lon"])
        table["source"] = table.get("source", str(source))
        return Ingested(typed(table, SAMPLES), findings=typed(pd.DataFrame(findings), FINDINGS))
    if samples is None:
        raise UserError(
            f"{source}: {mapping.table} were given without the samples that they belong to; read those first."
        )
    rows = typed(table, TABLES[mapping.table])
    return Ingested(typed(samples, SAMPLES), **{mapping.table: rows}, findings=typed(pd.DataFrame(findings), FINDINGS))


def _frame(source, mapping):
    name = source.name.lower()
    try:
        if name.endswith(".parquet"):
            with source.open() as stream:
                return pd.read_parquet(io.BytesIO(stream.read()))
        with source.open() as stream:
            raw = gzip.decompress(stream.read()) if name.endswith(".gz") else stream.read()
        text = raw.decode(encoding_of(io.BytesIO(raw)))
        first = text.split("\n", 1)[0]
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error", pd.errors.ParserWarning
            )  # rows longer than the header would shift or lose cells
            frame = pd.read_csv(
                io.StringIO(text),
                sep=max(",;\t", key=first.count),
                dtype="string",
                keep_default_na=False,
                na_values=mapping.missing,
                index_col=False,
            )
    except UserError:
        raise
    except Exception as error:  # the parsers raise many kinds; none may reach the user
        raise UserError(
            f"{source}: the table cannot be read ({(str(error).strip() or type(error).__name__).splitlines()[0][:150]})."
        ) from None
    if frame.empty:
        raise UserError(f"{source}: the table has 0 rows, at least 1 is needed.")
    if frame.columns.duplicated().any():
        raise UserError(
            f"{source}: column {frame.columns[frame.columns.duplicated()][0]!r} stands twice, allowed is once."
        )
    return frame


def _column(frame, name, entry, mapping, source):
    kind = TABLES[mapping.table][name]
    values = pd.Series(entry.value, index=frame.index) if entry.column is None else frame[entry.column]
    place = f"{source}, column {entry.column!r}" if entry.column is not None else f"mapping, columns.{name}.value"
    if entry.values is not None:
        words = values.astype("string").str.strip()
        strange = words.notna() & ~words.isin(entry.values)
        if strange.any():
            row = int(np.flatnonzero(strange)[0])
            raise UserError(
                f"{source}: row {row + 2}, column {entry.column!r}: {words.iloc[row]!r} is not among the mapping's {sorted(entry.values)}."
            )
        values = words.map(entry.values)
    if kind == "string":
        return values.astype("string").str.strip()
    if kind.startswith("datetime64"):
        found = pd.to_datetime(values, format=entry.format or "ISO8601", errors="coerce", utc=True)
        return _told(found, values, source, entry, f"a time of the form {entry.format or 'YYYY-MM-DD hh:mm:ss'}")
    numbers = _told(
        pd.to_numeric(values, errors="coerce").astype("Float64").astype("float64"), values, source, entry, "a number"
    )
    units = _unit(name, mapping.table)
    if entry.units is None or entry.units in (units, IMAGE_WORD.get(name)):
        return numbers
    return pd.Series(
        convert(numbers.to_numpy(), entry.units, IMAGE_LENGTHS.get(name, units), place=place), index=frame.index
    )


def _told(found, values, source, entry, wanted):
    bad = (found.isna() & values.notna()).to_numpy(dtype=bool)
    if found.dtype.kind == "f":
        bad = bad | np.isinf(found.to_numpy())
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        place = f"{source}: row {row + 2}, column {entry.column!r}" if entry.column is not None else "mapping"
        raise UserError(f"{place}: {str(values.iloc[row])!r} is not {wanted}; {int(bad.sum())} such cells.")
    return found


def _check(table, mapping, source):
    ids = {"samples": "sample_id", "objects": "object_id", "counts": None}[mapping.table]
    for name in REQUIRED[mapping.table]:
        missing = table[name].isna()
        if missing.any():
            raise UserError(
                f"{source}: row {int(np.flatnonzero(missing)[0]) + 2}: {name} is missing; {int(missing.sum())} such rows."
            )
    if ids and table[ids].duplicated().any():
        row = int(np.flatnonzero(table[ids].duplicated())[0])
        raise UserError(
            f"{source}: row {row + 2}: {ids} {table[ids].iloc[row]!r} stands more than once, allowed is once."
        )
    for name in table:
        low, high = RANGES.get(name, (None, None))
        values = table[name].to_numpy() if name in RANGES else None
        bad = (
            np.zeros(len(table), dtype=bool)
            if values is None
            else (values < low) | ((values == 0) & (name in ABOVE_ZERO))
        )
        if values is not None and high is not None:
            bad |= values > high
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            allowed = (
                f"above 0 {_unit(name, mapping.table)}"
                if name in ABOVE_ZERO
                else f"{low} or more"
                if high is None
                else f"{low} to {high}"
            )
            raise UserError(
                f"{source}: row {row + 2}, {name}: {values[row]:g} is not allowed, needed is {allowed}; {int(bad.sum())} such rows."
            )
    if {"depth_top", "depth_bottom"} <= set(table) and (table["depth_top"] > table["depth_bottom"]).any():
        row = int(np.flatnonzero(table["depth_top"] > table["depth_bottom"])[0])
        raise UserError(
            f"{source}: row {row + 2}: depth_top {table['depth_top'].iloc[row]:g} m lies below depth_bottom {table['depth_bottom'].iloc[row]:g} m."
        )
    if "status" in table:
        known = table["status"].dropna().map(status_of)
        if known.isna().any():
            word, row = table["status"][known.index[known.isna()][0]], known.index[known.isna()][0]
            raise UserError(
                f"{source}: row {row + 2}, status: {word!r} is not one of {STATUSES}; map the words by 'values'."
            )
        table["status"] = known.reindex(table.index)
