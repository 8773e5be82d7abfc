"""Plain tables: delimited text (gzipped or not) and Parquet.

Nothing is guessed silently: a cell that is not a number, a position outside
the globe, a negative biomass or a cell that stands twice is an error that
names file, row and column. Longitudes 0-360 are the one repair, and it is
recorded in ``table.attrs['repairs']``.
"""

import difflib
from pathlib import Path

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import wrap_longitude
from aqqua_dist.readers.delimited import MISSING_WORDS, numbers_of, read_delimited, text_of

NAMES = ("taxon", "split")
"""Columns of text in which a word such as NA stands for none; in others it is a name, as of the North Atlantic."""


def read_columns(path, columns, text=()):
    """Named columns of a table.

    Parameters
    ----------
    path : pathlib.Path
        ``.csv``, ``.tsv``, ``.txt`` (also ``.gz``) or ``.parquet``.
    columns : dict of str to str
        Our name of each column to its name in the file.
    text : tuple of str
        Our names that hold text; all others must be numbers.

    Returns
    -------
    pandas.DataFrame
        Columns under our names; numbers are float64, missing cells NaN.

    Raises
    ------
    UserError
        Unreadable file, missing column (nearest name suggested), or a cell
        that is not a number.
    """
    frame = _read(Path(path))
    present = list(frame.columns)
    faults = []
    for name, column in columns.items():
        if column not in present:
            near = difflib.get_close_matches(column, present, n=1, cutoff=0.5)
            faults.append(
                f"column {column!r} (for {name}) is missing" + (f", did you mean {near[0]!r}" if near else "")
            )
    if faults:
        raise UserError(f"{path}: {'; '.join(faults)}; the file has {', '.join(map(repr, present[:40]))}.")
    table, repairs = pd.DataFrame(index=frame.index), []
    for name, column in columns.items():
        if present.count(column) > 1:
            raise UserError(f"{path}: column {column!r} stands {present.count(column)} times, allowed is once.")
        if name in text:
            table[name] = _texts(frame[column], path, (name, column), repairs)
        else:
            table[name] = _numbers(frame[column], path, column, repairs, frame.attrs.get("separator", ","))
    table.attrs["repairs"] = repairs
    return table


_OTHER_FILES = {
    b"CDF": "is NetCDF; give a table",
    b"\x89HDF": "is NetCDF or HDF5; give a table",
    b"PK\x03\x04": "is a workbook or a zip file; save its sheet as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "is an old workbook; save its sheet as CSV",
    b"\x89PNG": "is an image; give a table",
    b"%PDF": "is a PDF; give a table",
    b"II*\x00": "is a TIFF; give a table",
    b"MM\x00*": "is a TIFF; give a table",
}
"""First bytes of files that are no tables, and what to say of them."""


def _refuse_other_files(path, name):
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError:
        return  # the reader below says why
    if start == b"PAR1" and not name.endswith(".parquet"):
        raise UserError(f"{path}: the file is Parquet; let its name end in .parquet, not in {path.suffix!r}.")
    for magic, what in _OTHER_FILES.items():
        if start.startswith(magic):
            raise UserError(f"{path}: the file {what} (.csv, .tsv or .parquet) with one row per cell or sample.")


def _read(path):
    name = path.name.lower()
    _refuse_other_files(path, name.removesuffix(".gz"))
    try:
        if name.removesuffix(".gz").endswith(".parquet"):
            frame = pd.read_parquet(path)
        else:
            text = text_of(path.read_bytes(), name, latin=False)
            frame = read_delimited(text, "\t" if name.removesuffix(".gz").endswith((".tsv", ".tab")) else None)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8 text; save the table as UTF-8.") from None
    except Exception as error:  # the parsers raise many kinds; none may reach the user
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        reason = reason.removeprefix("the table cannot be read (").removesuffix(").")
        raise UserError(f"{path}: the table cannot be read ({reason}).") from None
    if frame.empty:
        raise UserError(f"{path}: the table has 0 rows, at least 1 is needed.")
    return frame


def _texts(values, path, names, repairs):
    """Names; a word such as NA is none in some columns only, and is told either way."""
    texts = values.astype("string").str.strip()
    texts = texts.mask(texts == "")
    words = texts.isin(MISSING_WORDS)
    if words.any():
        name, column = names
        done = "taken as missing" if name in NAMES else "kept as a name; leave the cell empty where it stands for none"
        repairs.append(f"{path}: {int(words.sum())} cells of column {column!r} hold {texts[words].iloc[0]!r}, {done}")
        texts = texts.mask(words) if name in NAMES else texts
    return texts


def _numbers(values, path, column, repairs, separator):
    numbers, wrong, commas = numbers_of(values, separator=separator)
    unsure = commas & (separator == ",")  # between commas, a quoted one may part thousands
    bad = wrong | unsure
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        if pd.api.types.is_numeric_dtype(values.dtype):
            raise UserError(f"{path}: row {row + 2}, column {column!r}: {values.iloc[row]} is not a finite number.")
        raise UserError(
            f"{path}: row {values.index[row] + 2}, column {column!r}: {str(values.iloc[row])!r} is not a number"
            f"{' (a decimal comma?)' if ',' in str(values.iloc[row]) else ''}; {int(bad.sum())} such cells."
        )
    if commas.any():
        repairs.append(f"{path}: {int(commas.sum())} decimal commas of column {column!r} read as points")
    return numbers


def check_positions(table, path):
    """Check latitudes and longitudes; bring 0-360 longitudes to [-180, 180).

    Parameters
    ----------
    table : pandas.DataFrame
        With columns ``lat`` and ``lon`` (degrees).
    path : str
        File, for messages.

    Returns
    -------
    pandas.DataFrame
        A copy with wrapped longitudes; ``attrs['repairs']`` lists what was
        changed.
    """
    for column, low, high in (("lat", -90, 90), ("lon", -180, 360)):
        values = table[column].to_numpy()
        bad = ~((values >= low) & (values <= high))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise UserError(
                f"{path}: row {table.index[row] + 2}, column {column!r}: {values[row]} is outside [{low}, {high}] degrees; "
                f"{int(bad.sum())} such rows."
            )
    lon = table["lon"].to_numpy()
    repairs = list(table.attrs.get("repairs", []))
    if (lon > 180).any():
        if (lon < 0).any():
            row = int(np.flatnonzero(lon > 180)[0])
            raise UserError(
                f"{path}: row {table.index[row] + 2}, column 'lon': {lon[row]} stands beside negative longitudes; "
                "use either [-180, 180] or [0, 360] degrees in one file."
            )
        repairs.append(f"{path}: {int((lon > 180).sum())} longitudes of 180-360 degrees east brought to [-180, 180)")
    fixed = table.assign(lon=wrap_longitude(lon))
    fixed.attrs["repairs"] = repairs
    return fixed


def check_response(table, path):
    """Check biomass or concentration, and effort where there is one.

    Parameters
    ----------
    table : pandas.DataFrame
        With column ``y`` and optionally ``effort`` (m3), ``month``, ``split``.
    path : str
        File, for messages.

    Returns
    -------
    pandas.DataFrame
        The rows that have a response; rows without are dropped and counted
        in ``attrs['repairs']``.
    """
    _refuse(table["y"] < 0, table["y"], path, "y", "a biomass or concentration of 0 or more")
    missing = table["y"].isna()
    kept = table[~missing]  # what stands beside a missing response is not judged; the row numbers stay, for messages
    if "effort" in kept:
        _refuse(~(kept["effort"] > 0), kept["effort"], path, "effort", "a sampled volume above 0 m3")
    if "month" in kept:
        whole = kept["month"].isin(range(1, 13))
        _refuse(~whole, kept["month"], path, "month", "a month from 1 to 12")
    if "split" in kept:
        known = kept["split"].isin(["train", "test"]).fillna(False).astype(bool)
        _refuse(~known, kept["split"], path, "split", "'train' or 'test'")
    kept = kept.reset_index(drop=True)
    kept.attrs["repairs"] = list(table.attrs.get("repairs", []))
    if missing.any():
        kept.attrs["repairs"].append(f"{path}: {int(missing.sum())} rows without a response dropped")
    if kept.empty:
        raise UserError(f"{path}: column 'y' has 0 values, at least 1 is needed.")
    return kept


def _refuse(bad, values, path, column, allowed):
    bad = np.asarray(bad, dtype=bool)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"{path}: row {values.index[row] + 2}, column {column!r}: {values.iloc[row]} is not {allowed}; {int(bad.sum())} such rows."
        )
