"""Rows of EcoTaxa's tab-separated files, in batches of text, with a bounded memory.

A file is looked through once as bytes. Where each line has as many cells as
the header it goes through polars; any other goes through the csv module,
which is slow and names the row that is wrong.
"""

import csv
import gzip
import io
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import polars as pl

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.sources import encoding_of

BATCH_ROWS = 100_000
BLOCK_BYTES = 2**24
HEADER_BYTES = 2**20
NEEDED = ("object_id", "sample_id", "acq_id", *(f"object_{name}" for name in ("lat", "lon", "date", "time")))
"""Columns without which a row that is shorter than the header was cut."""
_TYPE = re.compile(r"\[[fnt]\]")


@dataclass(frozen=True)
class Layout:
    """What a file looks like.

    Attributes
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.
    encoding : str
        As from `aqqua_dist.readers.sources.encoding_of`.
    names : tuple of str
        Columns of the header, in their order.
    type_row : bool
        Whether the second line holds the types ``[f]`` (or ``[n]``) and ``[t]``.
    even : bool
        Whether every line has one cell per column, as far as a count of the
        separators can tell.
    rows : int
        Lines below the header, blank ones included.
    closed : bool
        Whether the last line has its end.
    """

    source: object
    encoding: str
    names: tuple
    type_row: bool
    even: bool
    rows: int
    closed: bool = True

    @property
    def above(self):
        """Lines above the first object (int)."""
        return 2 if self.type_row else 1


@contextmanager
def opened(source):
    """Bytes of a source, unpacked where its name ends in ``.gz``.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.

    Yields
    ------
    file object
        Binary.

    Raises
    ------
    UserError
        The file cannot be opened or is damaged.
    """
    with source.open() as stream:
        if not source.name.lower().endswith(".gz"):
            yield stream
            return
        try:
            yield gzip.GzipFile(fileobj=stream)
        except (OSError, EOFError) as error:
            raise UserError(f"{source}: the file cannot be unpacked ({error}).") from None


def header(source):
    """Names in the first line of a file.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.

    Returns
    -------
    list of str
        Cells of the first line; empty where there is none.

    Raises
    ------
    UserError
        The file cannot be opened.
    """
    with opened(source) as stream:
        return _cells(stream.read(HEADER_BYTES))[0]


def _cells(start):
    """Cells of the first two lines of a piece of a file."""
    encoding = encoding_of(io.BytesIO(start if len(start) < HEADER_BYTES else start[: start.rfind(b"\n") + 1]))
    text = start.decode(encoding, errors="replace")
    try:
        lines = [
            line for line, _ in zip(csv.reader(io.StringIO(text, newline=""), delimiter="\t"), range(2), strict=False)
        ]
    except csv.Error:
        lines = []
    lines += [[], []]
    return [cell.strip() for cell in lines[0]], [cell.strip() for cell in lines[1]]


def look(source):
    """Look through a file once.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.

    Returns
    -------
    Layout
        Encoding, columns, and whether its lines are even.

    Raises
    ------
    UserError
        The file is empty, holds zero bytes, or names a column twice or none.
    """
    with opened(source) as stream:
        first, second = _cells(stream.read(HEADER_BYTES))
    type_row = bool(second) and all(_TYPE.fullmatch(cell) for cell in second if cell) and any(second)
    _check_names(source, first)
    plain, tabs, lines, zeros, last = _through(source)
    encoding = "utf-8" if plain else _encoding(source)
    if zeros and encoding != "utf-16":
        raise UserError(f"{source}: the file holds {zeros} zero bytes, allowed is text; it is damaged.")
    lines += last != b"\n"
    even = encoding != "utf-16" and tabs == lines * (len(first) - 1)
    return Layout(source, encoding, tuple(first), type_row, even, lines - 1, last == b"\n")


def _through(source):
    """Whether all is ASCII, the number of tabs, of lines and of zero bytes, and the last byte; files on disk by two threads, half each."""
    if source.member or source.name.lower().endswith(".gz"):
        with opened(source) as stream:
            return _counted(stream, None)
    with source.open() as stream:
        half = stream.seek(0, 2) // 2

    def part(start, size):
        with source.open() as stream:
            stream.seek(start)
            return _counted(stream, size)

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(part, (0, half), (half, None))
    return one[0] and two[0], one[1] + two[1], one[2] + two[2], one[3] + two[3], two[4]


def _counted(stream, left):
    plain, tabs, lines, zeros, last = True, 0, 0, 0, b"\n"
    while piece := stream.read(HEADER_BYTES if left is None else min(HEADER_BYTES, left)):
        left = None if left is None else left - len(piece)
        plain = plain and piece.isascii()
        cells = np.frombuffer(piece, np.uint8)
        tabs += int(np.count_nonzero(cells == 9))
        lines += int(np.count_nonzero(cells == 10))
        zeros += piece.count(b"\0") if b"\0" in piece else 0
        last = piece[-1:]
    return plain, tabs, lines, zeros, last


def _encoding(source):
    with opened(source) as stream:
        return encoding_of(stream)


def _check_names(source, names):
    if not names:
        raise UserError(
            f"{source}: the file has no header, needed are columns such as 'object_id' and 'sample_id', separated by TAB."
        )
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise UserError(f"{source}, row 1: column {twice[0]!r} stands {names.count(twice[0])} times, allowed is once.")


def batches(layout, columns, notes=None):
    """Cells of some columns, in batches of rows.

    Parameters
    ----------
    layout : Layout
        From `look`.
    columns : list of str
        Names of the header.
    notes : aqqua_dist.readers.ecotaxa.cells.Notes, optional
        Takes rows that are shorter than the header.

    Yields
    ------
    first : int
        Row of the file (the header is 1) in which the batch begins.
    frame : polars.DataFrame
        Text, one column per name; an empty cell is the empty text. Blank
        lines stay, so that rows can be counted.

    Raises
    ------
    UserError
        A row has more cells than the header, or fewer so that one of
        `NEEDED` is lost or the file ends within it, or the file is damaged.
    """
    row = layout.above + 1
    if not layout.even:
        for frame in _slow(layout, columns, notes):
            yield row, frame
            row += len(frame)
        return
    places = [layout.names.index(name) for name in columns]
    schema = {f"c{number}": pl.String for number in range(len(layout.names))}
    direct = (
        not layout.source.member and layout.encoding != "latin-1" and not layout.source.name.lower().endswith(".gz")
    )
    reading = _by_path if direct else _by_block
    try:
        for frame in reading(layout, schema, places):
            frame.columns = columns
            yield row, frame
            row += len(frame)
    except pl.exceptions.PolarsError as error:
        _explain(layout, error)


def _options(schema):
    return {"separator": "\t", "has_header": False, "schema": schema, "empty_string_is_null": False}


def _by_path(layout, schema, places):
    table = pl.scan_csv(layout.source.path, skip_lines=layout.above, glob=False, **_options(schema))
    yield from table.select([f"c{place}" for place in places]).collect_batches(
        chunk_size=BATCH_ROWS, maintain_order=True
    )


def _by_block(layout, schema, places):
    with opened(layout.source) as stream:
        for _ in range(layout.above):
            stream.readline()
        rest = b""
        while piece := stream.read(BLOCK_BYTES):
            block = rest + piece
            cut = block.rfind(b"\n") + 1
            block, rest = block[:cut], block[cut:]
            yield from _frames(layout, block, schema, places)
        yield from _frames(layout, rest, schema, places)


def _frames(layout, block, schema, places):
    if not block:
        return
    if layout.encoding == "latin-1":
        block = block.decode("latin-1").encode()
    table = pl.scan_csv(block, **_options(schema)).select([f"c{place}" for place in places])
    yield from table.collect().iter_slices(BATCH_ROWS)


def _records(layout, notes=None):
    """Rows, by the csv module; cells that a row lacks at its end are empty."""
    width = len(layout.names)
    needed = max((place for place, name in enumerate(layout.names) if name in NEEDED), default=0)
    with opened(layout.source) as stream:
        text = io.TextIOWrapper(stream, encoding=layout.encoding, newline="")
        try:
            for row, cells in enumerate(csv.reader(text, delimiter="\t"), start=1):
                if row <= layout.above:
                    continue
                if not any(cells):
                    cells = [""] * width
                cut = len(cells) <= needed or row > layout.rows and not layout.closed
                if len(cells) > width or len(cells) < width and cut:
                    raise UserError(
                        f"{layout.source}, row {row}: the row has {len(cells)} cells, the header {width}; was the line cut or a "
                        "quotation mark left open?"
                    )
                if len(cells) < width:
                    if notes is not None:
                        where = (row, None, f"{len(cells)} cells")
                        notes.add(
                            "repaired",
                            "short row",
                            f"the row has fewer cells than the {width} of the header; the others were taken as empty.",
                            where,
                        )
                    cells = cells + [""] * (width - len(cells))
                yield cells
        except (csv.Error, UnicodeError) as error:
            raise UserError(
                f"{layout.source}: the file cannot be read as a table separated by TAB ({error})."
            ) from None


def _slow(layout, columns, notes):
    places, kept = [layout.names.index(name) for name in columns], []
    for cells in _records(layout, notes):
        kept.append([cells[place] for place in places])
        if len(kept) == BATCH_ROWS:
            yield pl.DataFrame(kept, schema=dict.fromkeys(columns, pl.String), orient="row")
            kept = []
    if kept:
        yield pl.DataFrame(kept, schema=dict.fromkeys(columns, pl.String), orient="row")


def _explain(layout, error):
    for _ in _records(layout):
        pass
    raise UserError(
        f"{layout.source}: the file cannot be read as a table separated by TAB ({str(error).splitlines()[0]})."
    ) from None
