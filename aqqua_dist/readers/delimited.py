"""Delimited text of any writer: quoted or not, comma, semicolon or TAB, UTF-8, UTF-16 or latin-1, short rows.

All cells are text; what a cell means is for the caller. The index of a table
tells the row of the file (the first row below the header has 0, so row 2).
"""

import csv
import gzip
import io
import re
import warnings
import zlib

import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.sources import encoding_of

HEADER_BYTES = 2**20
SEPARATORS = ",;\t"
MISSING_WORDS = ("NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>")
"""Words that stand for none in columns of numbers; in columns of names they may be names (NA is the North Atlantic)."""
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_COMMA = re.compile(r"^\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*$")
_THOUSANDS = re.compile(r"^\s*[-+]?\d{1,3}(?:,\d{3})+\s*$")


def separator_of(line):
    """Separator of a header.

    Parameters
    ----------
    line : str
        First line of a file.

    Returns
    -------
    str
        The one of `SEPARATORS` that stands most often outside quotation
        marks.
    """
    bare = _QUOTED.sub("", line)
    return max(SEPARATORS, key=bare.count)


def text_of(raw, name="", *, latin=True):
    """Text of a file in any of the usual encodings.

    Parameters
    ----------
    raw : bytes
        Content.
    name : str
        File name; where it ends in ``.gz`` the content is unpacked.
    latin : bool
        Whether what is not UTF-8 is read as latin-1.

    Returns
    -------
    str
        Without a byte order mark.

    Raises
    ------
    UnicodeDecodeError
        Not UTF-8, where `latin` is false.
    """
    raw = gzip.decompress(raw) if name.lower().endswith(".gz") else raw
    encoding = encoding_of(io.BytesIO(raw))
    return raw.decode("utf-8" if encoding == "latin-1" and not latin else encoding)


def header_of(source):
    """Names in the first line of a text.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        File, perhaps gzipped; only its beginning is read.

    Returns
    -------
    list of str
        Empty where there is none.

    Raises
    ------
    UserError
        The file cannot be opened or unpacked.
    """
    with source.open() as stream:
        try:
            start = (gzip.GzipFile(fileobj=stream) if source.name.lower().endswith(".gz") else stream).read(
                HEADER_BYTES
            )
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{source}: the file cannot be unpacked ({error}).") from None
    line = start.decode(encoding_of(io.BytesIO(start)), errors="replace").split("\n", 1)[0]
    try:
        cells = next(csv.reader([line.rstrip("\r")], delimiter=separator_of(line)), [])
    except csv.Error:
        return []
    return [cell.strip() for cell in cells]


def read_delimited(text, separator=None):
    """Cells of a text.

    Parameters
    ----------
    text : str
        The whole file.
    separator : str, optional
        Default that of its first line.

    Returns
    -------
    pandas.DataFrame
        Text; an empty cell, and one that a short row lacks, is missing.
        Blank lines are left out, the index keeps their place.
        ``attrs['separator']`` tells the separator.

    Raises
    ------
    UserError
        A row is longer than the header, or the text is no table.
    """
    separator = separator or separator_of(text.split("\n", 1)[0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # longer rows would shift or lose cells
            frame = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                dtype="string",
                keep_default_na=False,
                na_values=[""],
                index_col=False,
                skipinitialspace=True,
                skip_blank_lines=False,
            )
    except Exception as error:  # the parser raises many kinds; none may reach the user
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
        raise UserError(f"the table cannot be read ({reason}).") from None
    frame = frame[frame.notna().any(axis=1)]
    frame.attrs["separator"] = separator
    return frame


def numbers_of(values, missing=MISSING_WORDS, separator=","):
    """Numbers of a column of text.

    Parameters
    ----------
    values : pandas.Series
        Text, or numbers already.
    missing : collection of str
        Words that stand for none.
    separator : str
        Of the file: between commas, a cell such as ``1,234`` may be a
        thousand and more.

    Returns
    -------
    numbers : pandas.Series
        float64; missing where the cell is none, and where it is no number.
    wrong : pandas.Series of bool
        Cells that are no finite number and no word for none, those that may
        be thousands included.
    commas : pandas.Series of bool
        Cells whose decimal comma was read as a point.
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.astype("Float64").astype("float64")
        return numbers, numbers.isin([float("inf"), -float("inf")]), pd.Series(False, index=values.index)
    texts = values.astype("string").str.strip()
    texts = texts.mask(texts.isin([*missing, ""]))
    commas = texts.str.match(_COMMA).fillna(False).astype(bool)
    if separator == "," and commas.any() and texts[commas].str.match(_THOUSANDS).all():
        commas[:] = False
    points = texts.mask(commas, texts.str.replace(",", ".", regex=False))
    numbers = pd.to_numeric(points, errors="coerce").astype("Float64").astype("float64")
    infinite = numbers.isin([float("inf"), -float("inf")])
    return numbers.mask(infinite), (numbers.isna() & texts.notna()) | infinite, commas
