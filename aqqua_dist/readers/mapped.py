"""Plain tables whose columns a YAML mapping names: samples, objects, counts or images in our units.

`data/mapping_template.yaml` is a mapping to copy. Formats that are not public
yet, or that a lab made for itself, need a mapping and no code. A row that
cannot be sets its sample aside, with all that belongs to it: a sample that
lost one object would be a wrong number.
"""

import difflib
import io
from fnmatch import fnmatch

import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import wrap_longitude
from aqqua_dist.core.statuses import STATUSES, status_of
from aqqua_dist.core.tables import COUNTS, FINDINGS, OBJECTS, SAMPLES, Ingested, finding, typed
from aqqua_dist.core.units import convert
from aqqua_dist.readers import image_rows
from aqqua_dist.readers.delimited import MISSING_WORDS, numbers_of, read_delimited, text_of
from aqqua_dist.readers.mapping import (
    ABOVE_ZERO,
    IMAGE_LENGTHS,
    RANGES,
    REQUIRED,
    TABLES,
    UNITS,
    Mapping,
    read_mapping,
    read_mappings,
)
from aqqua_dist.readers.set_aside import CHECK, read_each, refusal

__all__ = ["Mapping", "read_mapped", "read_mapping", "read_mappings", "read_tables"]
NAMES = {"label", "taxon", "status", "model_id", "method"}
"""Columns of text in which a word such as NA stands for none; in others it is a name, as of the North Atlantic."""
SHOWN = 50
"""Samples of a file that are listed one by one when they are set aside."""


def read_tables(sources, mappings):
    """Samples with their objects and counts from all tables of a mapping file.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Tables; each is read by the mapping whose ``files`` fits its name, or
        whose columns it has.
    mappings : sequence of Mapping
        From `read_mappings`.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        ``extra`` may hold ``object_traits`` (what else is known of images)
        and ``licences`` (by source). Files, and samples with a row that
        cannot be, are set aside and stand among the findings.

    Raises
    ------
    UserError
        No table can be read, or objects and counts have no samples.
    """
    findings = []
    found = read_each(sources, lambda source: _one(source, mappings, findings), findings)
    parts = [part for _, part in found]
    tables = {
        kind: pd.concat([p[kind] for p in parts if kind in p], ignore_index=True)
        for kind in ("samples", "objects", "counts", "images")
        if any(kind in p for p in parts)
    }
    lost = {}
    for part in parts:
        for sample, where in part["lost"].items():
            lost.setdefault(sample, where)
    for kind, key in (("samples", "sample_id"), ("objects", "object_id"), ("images", "object_id")):
        if kind in tables:
            tables[kind] = _once(tables[kind], key, lost, findings)
    if "images" in tables:
        images, samples = image_rows.split(tables.pop("images"), lost, findings)
        tables["objects"] = pd.concat([t for t in (tables.get("objects"), images) if t is not None], ignore_index=True)
        tables["samples"] = pd.concat([t for t in (tables.get("samples"), samples) if t is not None], ignore_index=True)
    if "samples" not in tables:
        kinds = " and ".join(sorted(tables))
        raise UserError(
            f"{sources[0]}: {kinds} were given without the samples that they belong to; list both tables in one mapping file under 'tables'."
        )
    return _whole(tables, lost, findings)


def _one(source, mappings, findings):
    """Rows of one file in our columns, and the samples that it loses."""
    frame = _frame(source)
    fitting = [m for m in mappings if fnmatch(source.name, m.files)] if all(m.files for m in mappings) else []
    fitting = fitting or [m for m in mappings if m.files and fnmatch(source.name, m.files)]
    fitting = fitting or [m for m in mappings if not m.files and m.fits(list(frame))]
    if len(fitting) > 1:
        raise UserError(
            f"{source}: the file has the columns of {[m.table for m in fitting]}; say by 'files' which it is."
        )
    if not fitting and len(mappings) > 1:
        raise UserError(
            f"{source}: no table of the mapping fits the columns {list(frame)[:40]}; they need {[sorted(e.column for e in m.columns.values() if e.column) for m in mappings]}."
        )
    mapping = (fitting or mappings)[0]
    table, faults, told = _converted(source, frame, mapping)
    findings += told
    lost = _lost(source, table, faults, mapping)
    if mapping.table == "images":
        rest = frame.drop(columns=[e.column for e in mapping.columns.values() if e.column is not None], errors="ignore")
        table = pd.concat([table, rest.add_prefix(image_rows.EXTRA)], axis=1)
    table = table.assign(**{"_file": str(source), "_row": table.index + 2})
    return {mapping.table: table, "lost": lost}


def _lost(source, table, faults, mapping):
    """Samples of rows that cannot be, with the first sentence about each; all of them, or rows without a sample, are an error."""
    if not faults:
        return {}
    if "sample_id" not in table and mapping.table == "images":
        table = table.assign(sample_id=image_rows.sample_names(table))
    lost = {}
    for row, text in sorted(faults.items()):
        sample = table["sample_id"].get(row)
        if pd.isna(sample):
            sample = f"(row {row + 2} of {source})"
            if mapping.table != "samples":
                raise UserError(f"{text}")
        lost.setdefault(sample, (text, str(source), row + 2))
    if set(table["sample_id"].fillna("")) - {""} <= set(lost):
        raise UserError(f"{next(iter(lost.values()))[0]}")
    return lost


def _once(table, key, lost, findings):
    """Rows that repeat an id with the same values are left out; with other values their samples are set aside."""
    if key not in table or not table[key].duplicated().any():
        return table
    values = [name for name in table if name not in ("_file", "_row", "source")]
    same = table.duplicated(values) & table[key].notna()
    if same.any():
        text = f"{int(same.sum())} rows repeat another one, first {key} {table.loc[same, key].iloc[0]!r}; each counts once."
        findings.append(finding("repaired", "duplicate", text, file=table.loc[same, "_file"].iloc[0]))
    table = table[~same].reset_index(drop=True)
    for name, rows in table[table[key].duplicated(keep=False) & table[key].notna()].groupby(key, sort=False):
        one, two = (f"{file}: row {row}" for file, row in rows[["_file", "_row"]].head(2).to_numpy())
        text = f"{two}: {key} {name!r} stands more than once, also in {one}, with other values; allowed is once."
        for sample in rows["sample_id"].dropna().unique() if "sample_id" in rows else []:
            lost.setdefault(sample, (text, rows["_file"].iloc[1], int(rows["_row"].iloc[1])))
    return table


def _whole(tables, lost, findings):
    samples = tables["samples"]
    if "sample_id" in samples and set(samples["sample_id"]) <= set(lost):
        raise UserError(f"{next(iter(lost.values()))[0]}")
    keep = {
        name: table[table["sample_id"].notna() & ~table["sample_id"].isin(list(lost))].reset_index(drop=True)
        for name, table in tables.items()
    }
    known = set(keep["samples"]["sample_id"].dropna())
    for name in ("objects", "counts"):
        strangers = keep[name][~keep[name]["sample_id"].isin(known)] if name in keep else []
        if len(strangers):
            row = strangers.iloc[0]
            text = f"{row['_file']}: row {row['_row']}: sample_id {row['sample_id']!r} is not among the {len(known)} samples; "
            text += f"{len(strangers)} {name} of {strangers['sample_id'].nunique()} such samples were left out."
            findings.append(refusal(text, file=row["_file"], row=int(row["_row"])))
            keep[name] = keep[name][keep[name]["sample_id"].isin(known)].reset_index(drop=True)
    for _, (text, file, row) in list(lost.items())[:SHOWN]:
        findings.append(refusal(text, file=file, row=row))
    if len(lost) > SHOWN:
        findings.append(finding("refused", CHECK, f"{len(lost) - SHOWN} more samples were left out for such rows."))
    keep["samples"]["source"] = keep["samples"].get("source", keep["samples"]["_file"])
    extra = image_rows.extras(keep)
    return Ingested(
        typed(keep["samples"], SAMPLES),
        typed(keep.get("objects", pd.DataFrame()), OBJECTS),
        typed(keep.get("counts", pd.DataFrame()), COUNTS),
        typed(pd.DataFrame(findings), FINDINGS),
        extra,
    )


def read_mapped(source, mapping, *, samples=None):
    """Samples, objects or counts of one table.

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
        In our units; longitudes in [-180, 180). A table of samples or images
        stands alone, objects and counts come with `samples`.

    Raises
    ------
    UserError
        A column is missing, or no row can be used: a cell is no number or
        outside its range, a word is not among the mapping's, an id is
        missing or stands twice.
    """
    if samples is None or mapping.table in ("samples", "images"):
        return read_tables([source], [mapping])
    findings = []
    part = _one(source, [mapping], findings)
    known = set(samples["sample_id"])
    strangers = sorted(set(part[mapping.table]["sample_id"].dropna()) - known)
    if strangers:
        raise UserError(
            f"{mapping.table}: sample_id {strangers[0]!r} is not among the {len(known)} samples; {len(strangers)} such ids."
        )
    tables = {mapping.table: part[mapping.table], "samples": samples.assign(_file=str(source), _row=0)}
    if mapping.table == "objects":
        tables["objects"] = _once(tables["objects"], "object_id", part["lost"], findings)
    return _whole(tables, part["lost"], findings)


def _frame(source):
    name = source.name.lower()
    try:
        with source.open() as stream:
            raw = stream.read()
        if name.endswith((".parquet", ".pq")):
            frame = pd.read_parquet(io.BytesIO(raw))
        else:
            frame = read_delimited(text_of(raw, name))
    except UserError as error:
        raise UserError(f"{str(source)}: {str(error).removeprefix(f'{source}: ')}") from None
    except Exception as error:  # the parsers raise many kinds; none may reach the user
        raise UserError(
            f"{source}: the table cannot be read ({(str(error).strip() or type(error).__name__).splitlines()[0][:150]})."
        ) from None
    told = {key: value for key, value in source.partition_values().items() if key not in frame}
    for key, value in told.items():
        frame[key] = pd.Series(value, index=frame.index, dtype="string")
    if frame.empty:
        raise UserError(f"{source}: the table has 0 rows, at least 1 is needed.")
    if frame.columns.duplicated().any():
        raise UserError(
            f"{source}: column {frame.columns[frame.columns.duplicated()][0]!r} stands twice, allowed is once."
        )
    return frame


def _converted(source, frame, mapping):
    """Table in our columns and units; faults by row, and findings."""
    faults, findings = {}, []
    absent = [(name, e.column) for name, e in mapping.columns.items() if e.column is not None and e.column not in frame]
    if absent:
        told = []
        for name, column in absent:
            near = difflib.get_close_matches(column, list(map(str, frame)), n=1)
            told.append(f"column {column!r} (for {name}) is missing" + (f", did you mean {near[0]!r}" if near else ""))
        raise UserError(f"{source}: {'; '.join(told)}; the file has {', '.join(map(repr, list(frame)[:40]))}.")
    cells = Cells(source, mapping, faults, findings)
    table = pd.DataFrame(
        {name: cells.column(frame, name, entry) for name, entry in mapping.columns.items()}, index=frame.index
    )
    physical = [n for n in IMAGE_LENGTHS if n in table and mapping.columns[n].units not in (None, "px")]
    if physical and "pixel" in table:
        raise UserError(
            f"{source}: {physical} are in {mapping.columns[physical[0]].units!r} and a pixel size is given; needed is one of both."
        )
    if physical:
        table["pixel"] = 1.0  # lengths in µm are lengths in pixels of 1 µm
    if mapping.table == "images" and "object_id" not in table:
        table["object_id"] = table["image"]
    cells.check(table)
    if "lon" in table:
        east = table["lon"] > 180
        if east.any():
            told = f"{int(east.sum())} longitudes of 180-360 degrees east were brought to [-180, 180)."
            findings.append(finding("repaired", "longitude", told, file=str(source)))
        table["lon"] = wrap_longitude(table["lon"])
    return table, faults, findings


class Cells:
    """Cells of one file; what cannot be is remembered by row.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.
    mapping : Mapping
        Units, words and forms.
    faults : dict of int to str
        Takes the first sentence about each row (index of the table).
    findings : list of dict
        Takes repairs.
    """

    def __init__(self, source, mapping, faults, findings):
        self.source, self.mapping, self.faults, self.findings = source, mapping, faults, findings

    def column(self, frame, name, entry):
        """One of our columns.

        Parameters
        ----------
        frame : pandas.DataFrame
            The file.
        name : str
            Our name.
        entry : Entry
            Where it comes from.

        Returns
        -------
        pandas.Series
            Text, times or numbers in our unit.
        """
        kind = (TABLES[self.mapping.table] | {"licence": "string"})[name]
        values = pd.Series(entry.value, index=frame.index) if entry.column is None else frame[entry.column]
        if entry.values is not None:
            words = values.astype("string").str.strip()
            words = words.mask(words == "")
            strange = words.notna() & ~words.isin(entry.values)
            self._fault(strange, entry, words, f"is not among the mapping's {sorted(entry.values)}")
            values = words.map(entry.values)
        if kind == "string":
            return self._texts(values, name, entry)
        missing = [*(entry.missing or []), *self.mapping.missing]
        if kind.startswith("datetime64"):
            return self._times(values, entry, missing)
        numbers, wrong, commas = numbers_of(values, missing, frame.attrs.get("separator", ","))
        self._fault(wrong, entry, values, "is not a number")
        if commas.any():
            first = values[commas].iloc[0]
            text = f"{int(commas.sum())} cells, first {first!r}: a decimal comma was read as a decimal point."
            self.findings.append(finding("repaired", "decimal comma", text, file=str(self.source), column=entry.column))
        if entry.units is None or entry.units == UNITS[name]:
            return numbers
        place = (
            f"{self.source}, column {entry.column!r}" if entry.column is not None else f"mapping, columns.{name}.value"
        )
        goal = IMAGE_LENGTHS.get(name, UNITS[name])
        return pd.Series(convert(numbers.to_numpy(), entry.units, goal, place=place), index=frame.index)

    def _texts(self, values, name, entry):
        """Names; a word such as NA is none in a column of labels only, and is told either way."""
        texts = values.astype("string").str.strip()
        texts = texts.mask(texts.isin(["", *(entry.missing or [])]))
        words = texts.isin([*MISSING_WORDS, *self.mapping.missing])
        if words.any():
            first, none = texts[words].iloc[0], name in NAMES
            text = f"{int(words.sum())} cells of {name} hold {first!r}; "
            text += (
                "taken as missing."
                if none
                else f"kept as a name; if it stands for none, say so by columns.{name}.missing."
            )
            where = {"file": str(self.source), "column": entry.column, "value": first}
            self.findings.append(finding("repaired" if none else "suspicious", "missing word", text, **where))
            texts = texts.mask(words) if none else texts
        return texts

    def _times(self, values, entry, missing):
        if not pd.api.types.is_datetime64_any_dtype(values.dtype):
            values = values.astype("string").str.strip()
            values = values.mask(values.isin(["", *missing]))
        found = pd.to_datetime(values, format=entry.format or "ISO8601", errors="coerce", utc=True)
        wanted = f"is not a time of the form {entry.format or 'YYYY-MM-DD hh:mm:ss'}"
        self._fault(found.isna() & values.notna(), entry, values, wanted)
        return found

    def _fault(self, bad, entry, values, what):
        bad = bad.fillna(False).to_numpy(dtype=bool)
        if bad.any():
            column = f", column {entry.column!r}" if entry.column is not None else ""
            place = f"{self.source}: row {{}}{column}" if entry.column is not None else "mapping, row {}"
            for row, value in zip(values.index[bad], values[bad], strict=True):
                text = f"{place.format(row + 2)}: {str(value)!r} {what}; {int(bad.sum())} such cells."
                self.faults.setdefault(row, text)

    def check(self, table):
        """Look for ids that are missing or repeated, numbers outside their range, and unknown words.

        Parameters
        ----------
        table : pandas.DataFrame
            In our columns and units.
        """
        required = [name for name in (*REQUIRED[self.mapping.table], "object_id", "sample_id") if name in table]
        for name in dict.fromkeys(required):
            self._rows(table[name].isna(), f"{name} is missing")
        for name in table:
            low, high = RANGES.get(name, (None, None))
            if name not in RANGES:
                continue
            values = table[name]
            bad = (values < low) | ((values == 0) & (name in ABOVE_ZERO))
            bad = bad | (values > high) if high is not None else bad
            allowed = (
                f"above 0 {UNITS[name]}"
                if name in ABOVE_ZERO
                else f"{low} or more"
                if high is None
                else f"{low} to {high}"
            )
            self._rows(bad, f"{name}: {{:g}} is not allowed, needed is {allowed}", values, separator=", ")
        if {"depth_top", "depth_bottom"} <= set(table):
            swapped = table["depth_top"] > table["depth_bottom"]
            for row in table.index[swapped]:
                top, bottom = table.loc[row, "depth_top"], table.loc[row, "depth_bottom"]
                text = f"depth_top {top:g} m lies below depth_bottom {bottom:g} m"
                self.faults.setdefault(row, f"{self.source}: row {row + 2}: {text}.")
        if "status" in table:
            known = table["status"].map(status_of, na_action="ignore")
            what = f"status: {{!r}} is not one of {STATUSES}; map the words by 'values'"
            self._rows(table["status"].notna() & known.isna(), what, table["status"], separator=", ")
            table["status"] = known.astype("string")

    def _rows(self, bad, what, values=None, separator=": "):
        bad = bad.fillna(False).astype(bool)
        for row in bad.index[bad]:
            shown = what if values is None else what.format(values[row])
            self.faults.setdefault(row, f"{self.source}: row {row + 2}{separator}{shown}; {int(bad.sum())} such rows.")
