"""Cells of EcoTaxa files: numbers, positions, times, statuses and pixel sizes, with what had to be repaired."""

import datetime as dt
import math
import re

import polars as pl

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.statuses import status_of
from aqqua_dist.core.tables import SENTINELS, finding
from aqqua_dist.core.units import pixel_size

MISSING = ("", "nan", "na", "n/a", "none", "null", "inf", "-inf", "+inf", "infinity", "-infinity")
"""Words that stand for none, in lower case."""
PIXEL_COLUMNS = {
    "acq_pixel": "detect",
    "process_particle_pixel_size_mm": "detect",
    "process_particle_pixel_size_µm": "detect",
    "process_particle_pixel_size__m": "detect",
    "process_particle_pixel_size_m": "detect",
    "process_particle_pixel_size_um": "detect",
    "process_resolution_camera_micron_par_pixel": "um",
    "acq_resolution_pixels_per_micron": "px um-1",
    "process_pixel_to_micron": "px um-1",
    "process_pixel_size": "detect",
    "process_pixel": "detect",
}
"""Columns that tell the pixel, best first, with their unit; PlanktoScope and FlowCam write theirs in µm. PlanktoScope's
`process_pixel_size` is that of the flow cell, `process_pixel` a constant of the hardware (fairscope/PlanktoScope, issue 899)."""
IN_MICROMETRES = "process_pixel_applied"
"""Column that is true where areas are in µm2 and lengths in µm already (fairscope/PlanktoScope, pull request 916)."""
PIXEL_TOLERANCE = 0.02
"""Two columns of one file that differ by more (relative) disagree about the pixel."""
_PARTICLE_PIXEL = re.compile(r"process_particle_pixel_size_\W?_*(?:mm|[uµμ?]?m)$")
_NO_SIZE = ("applied", "units", "unit", "count", "n")
MICROSCOPES = ("PlanktoScope", "FlowCam")
INSTRUMENTS = {
    "zooscan": "ZooScan",
    "uvp5": "UVP5",
    "uvp6": "UVP6",
    "flowcam": "FlowCam",
    "planktoscope": "PlanktoScope",
    "ifcb": "IFCB",
    "zoocam": "ZooCAM",
    "isiis": "ISIIS",
    "cpics": "CPICS",
    "cytosense": "CytoSense",
    "dspc": "DSPC",
    "loki": "LOKI",
    "vpr": "VPR",
    "pisco": "PISCO",
    "piscan": "PISCO",
    "plankton imager": "Plankton Imager",
    "pi10": "Plankton Imager",
}
"""Beginning of `acq_instrument`, in lower case, and the instrument's name in our tables."""
_DEGREES = re.compile(
    r"^\s*(-?\d{1,3})\s*[°º]\s*(\d{1,2}(?:[.,]\d+)?)?\s*['′]?\s*(\d{1,2}(?:[.,]\d+)?)?\s*[\"″]?\s*([NSEWnsew])?\s*$"
)
_WITH_CLOCK = re.compile(r"^\d{4}[-/]\d{2}[-/]\d{2}[T ]\d{2}:\d{2}")
_ZONE = re.compile(r"\s*(?:Z|[-+]\d{2}:?\d{2})$")
DECIMAL_COMMA = r"^\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*$"


class Notes:
    """What was found in the cells of one file, each kind once with its number of cells.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.
    """

    def __init__(self, source):
        self.source = source
        self._kinds, self._whole = {}, []

    def table(self, severity, check, text):
        """Remember what is true of the whole file.

        Parameters
        ----------
        severity, check : str
            As for `add`.
        text : str
            One sentence.
        """
        self._whole.append(finding(severity, check, text, file=str(self.source)))

    def add(self, severity, check, text, where, count=1):
        """Remember a kind of finding.

        Parameters
        ----------
        severity : str
            As in `aqqua_dist.core.tables.SEVERITIES`.
        check : str
            Name of the detector.
        text : str
            Sentence without its subject.
        where : tuple
            Row, column and value of the first case.
        count : int
            Number of cells or rows.
        """
        kind = self._kinds.setdefault((severity, check, where[1], text), [0, where])
        kind[0] += count

    def findings(self):
        """Everything remembered.

        Returns
        -------
        list of dict
            Rows of ``findings``.
        """
        rows = list(self._whole)
        for (severity, check, column, text), (count, where) in self._kinds.items():
            unit = "row" if column is None else "cell"
            message = f"{count} {unit}{'s' if count > 1 else ''}, first {where[2]!r}: {text}"
            rows.append(
                finding(severity, check, message, file=str(self.source), row=where[0], column=column, value=where[2])
            )
        return rows


def numbers(cells, rows, notes, *, none=(), parse=None, lost=None):
    """Numbers of a column of text.

    Parameters
    ----------
    cells : polars.Series
        Text; its name is the column.
    rows : sequence of int
        Row of each cell.
    notes : Notes
        Takes the repairs.
    none : tuple of float
        Numbers that stand for none.
    parse : callable, optional
        Text to number for what is no plain number, None where it cannot.
    lost : list of tuple, optional
        Takes row and sentence of each cell that is no number, which is null
        then; without it the first one is an error.

    Returns
    -------
    polars.Series
        float64, null where there is none.

    Raises
    ------
    UserError
        A cell is neither a number nor a word for none.
    """
    return columns_of_numbers(cells.to_frame(), rows, notes, none=none, parse=parse, lost=lost)[cells.name]


def columns_of_numbers(frame, rows, notes, *, none=(), parse=None, lost=None):
    """Numbers of several columns of text, as `numbers`.

    Parameters
    ----------
    frame : polars.DataFrame
        Text.
    rows, notes, none, parse, lost
        As for `numbers`.

    Returns
    -------
    polars.DataFrame
        float64, same columns.

    Raises
    ------
    UserError
        A cell is neither a number nor a word for none.
    """
    if not frame.width:
        return frame
    found = frame.select(pl.all().cast(pl.Float64, strict=False))
    odd = pl.all().is_null() | ~pl.all().is_finite()
    if none:
        odd = odd | (pl.all().abs() >= min(map(abs, none)))
    for name, any_odd in found.select(odd.any()).row(0, named=True).items():
        if any_odd:
            found = found.with_columns(_repaired(frame[name], found[name], rows, notes, (none, parse, lost)))
    return found


def _repaired(cells, found, rows, notes, options):
    """A column with its odd cells read or taken as none."""
    none, parse, lost_cells = options
    found = found.set(found.is_nan() | found.is_infinite(), None)
    comma = found.is_null() & cells.str.contains(DECIMAL_COMMA)
    if comma.any():
        places = comma.arg_true()
        where = (int(rows[places[0]]), cells.name, cells[places[0]])
        notes.add("repaired", "decimal comma", "a decimal comma was read as a decimal point.", where, len(places))
        found = (
            cells.str.strip_chars()
            .str.replace(",", ".", literal=True)
            .cast(pl.Float64, strict=False)
            .zip_with(comma, found)
        )
    odd = (found.is_null() & (cells != "")).arg_true().to_list()
    values = {place: _odd_number(cells, place, int(rows[place]), notes, (parse, lost_cells)) for place in odd}
    kept = {place: value for place, value in values.items() if value is not None}
    if kept:
        found = found.scatter(list(kept), list(kept.values()))
    lost = found.is_in(list(none)).fill_null(False) if none else None
    if none and lost.any():
        places = lost.arg_true()
        where = (int(rows[places[0]]), cells.name, cells[places[0]])
        notes.add("repaired", "sentinel", "the number stands for none and was taken as missing.", where, len(places))
        found = found.set(lost, None)
    return found


def _odd_number(cells, place, row, notes, options):
    """Number in a cell that is no plain number; None for a word for none."""
    parse, lost = options
    text = cells[place].strip()
    if text.lower() in MISSING:
        return None
    where = (row, cells.name, cells[place])
    try:
        value = float(text.replace("_", "x"))  # 1_000 is a number to Python only
    except ValueError:
        value = parse(text) if parse else None
        if value is None:
            text = f"{notes.source}, row {row}, column {cells.name!r}: {cells[place]!r} is not a number."
            if lost is None:
                raise UserError(text) from None
            lost.append((row, text))
            return None
    else:
        return value if math.isfinite(value) else None
    notes.add("repaired", "position", "degrees, minutes and seconds were read as decimal degrees.", where)
    return value


def degrees(text):
    """Decimal degrees of a position written with a degree sign.

    Parameters
    ----------
    text : str
        Such as ``43°12 30`` or ``5°30.5' W``.

    Returns
    -------
    float or None
        Degrees, None where the text is nothing of the kind or its minutes or
        seconds are 60 or more.
    """
    match = _DEGREES.match(text)
    if match is None:
        return None
    whole, minutes, seconds = match.group(1), *(float((part or "0").replace(",", ".")) for part in match.group(2, 3))
    if minutes >= 60 or seconds >= 60:
        return None
    value = abs(int(whole)) + minutes / 60 + seconds / 3600
    return -value if whole.startswith("-") or (match.group(4) or "").upper() in ("S", "W") else value


def moments(dates, clocks, rows, notes, *, lost=None):
    """Times of objects, UTC.

    Parameters
    ----------
    dates, clocks : polars.Series
        Text: ``YYYYMMDD`` or ISO, also with a time of the day and a zone;
        ``HHMMSS``, ``HHMM``, ISO, with a fraction of a second, or 8 digits
        with hundredths. Zeros that a spreadsheet has taken from the front
        are put back. A time with a zone is brought to UTC.
    rows : list of int
        Row of each.
    notes : Notes
        Takes the repairs.
    lost : list of tuple, optional
        Takes row and sentence of what cannot be, which is null then.

    Returns
    -------
    polars.Series
        Datetime in µs, null where there is no date.

    Raises
    ------
    UserError
        A date or a time that cannot be.
    """
    known, found = {}, []
    for date, clock, row in zip(dates.to_list(), clocks.to_list(), rows, strict=True):
        if (date, clock) not in known:
            try:
                known[date, clock] = _moment(date.strip(), clock.strip(), row, (dates.name, clocks.name), notes), None
            except UserError as error:
                if lost is None:
                    raise
                known[date, clock] = None, str(error)
        moment, text = known[date, clock]
        if text is not None:
            lost.append((row, text))
        found.append(moment)
    return pl.Series("time", found, dtype=pl.Datetime("us"))


def _moment(date, clock, row, columns, notes):
    if date.lower() in MISSING or date in ("99999999", "9999"):
        return None
    if _WITH_CLOCK.match(date) and (clock.lower() in MISSING or not clock.strip("0:.")):
        return _whole_moment(date, row, columns[0], notes)
    day = _day(re.sub(r"\.0*$", "", re.sub(r"[-/]", "", date[:10])))
    if day is None:
        raise UserError(
            f"{notes.source}, row {row}, column {columns[0]!r}: {date!r} is not a date, as 20130927 or 2013-09-27."
        )
    if clock.lower() in MISSING:
        notes.add("suspicious", "time", "there is no time of the day; 00:00:00 was taken.", (row, columns[1], clock))
        return day
    if (zone := _ZONE.search(clock)) is not None:
        text = (
            f"{day:%Y-%m-%d}T{_clock(clock[: zone.start()].strip(), row, columns[1], notes).isoformat()}{zone.group()}"
        )
        return _whole_moment(text, row, columns[1], notes)
    return dt.datetime.combine(day.date(), _clock(clock, row, columns[1], notes))


def _whole_moment(text, row, column, notes):
    """Date and time in one text, brought to UTC where it names its zone."""
    try:
        found = dt.datetime.fromisoformat(text.replace("/", "-"))
        if found.tzinfo is None:
            return found
        if found.utcoffset():
            notes.add("repaired", "time", "a time with a zone was brought to UTC.", (row, column, text))
        return found.astimezone(dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise UserError(
            f"{notes.source}, row {row}, column {column!r}: {text!r} is not a date, as 20130927 or 2013-09-27T10:15:00Z."
        ) from None


def _day(digits):
    try:
        return dt.datetime.strptime(digits, "%Y%m%d") if re.fullmatch(r"\d{8}", digits) else None
    except ValueError:
        return None


def _clock(clock, row, column, notes):
    digits, _, fraction = clock.partition(".")
    if ":" in clock:
        parts = digits.split(":")
        digits = "".join(part.zfill(2) for part in parts) if 2 <= len(parts) <= 3 else ""
    elif digits.isdigit() and len(digits) not in (7, *range(9, 99)):
        if len(digits) in (3, 5) or len(digits) < 3 and int(digits):
            notes.add("repaired", "time", "zeros lost at the front of a time were put back.", (row, column, clock))
        digits = digits[:6] if len(digits) == 8 else digits.zfill(4) if len(digits) in (3, 4) else digits.zfill(6)
    else:
        digits = ""
    try:
        return dt.time(int(digits[:2]), int(digits[2:4]), int(digits[4:6] or 0))
    except ValueError:
        raise UserError(
            f"{notes.source}, row {row}, column {column!r}: {clock!r} is not a time, as 221700, 2217 or 22:17:00."
        ) from None


def statuses(cells, rows, notes):
    """Statuses in our words.

    Parameters
    ----------
    cells : polars.Series
        Text of ``object_annotation_status``.
    rows : sequence of int
        Row of each cell.
    notes : Notes
        Takes what is odd.

    Returns
    -------
    polars.Series
        One of `aqqua_dist.core.statuses.STATUSES`.

    Raises
    ------
    UserError
        A word that EcoTaxa does not have.
    """
    words = {}
    for text in cells.unique().to_list():
        word = text.strip().lower()
        if word in ("x", "discarded"):
            row = int(rows[int((cells == text).arg_max())])
            notes.add("suspicious", "status", "discarded objects were taken as dubious.", (row, cells.name, text))
            words[text] = "dubious"
        elif status_of(word) or word in MISSING:
            words[text] = status_of(word) or "unclassified"
        else:
            row = int(rows[int((cells == text).arg_max())])
            raise UserError(
                f"{notes.source}, row {row}, column {cells.name!r}: status {text!r} is unknown, allowed are validated, predicted, dubious (V, P, "
                "D) and an empty cell."
            )
    if len(words) == 1:
        return pl.Series("status", list(words.values())).new_from_index(0, len(cells))
    return cells.replace_strict(words, return_dtype=pl.String)


def instrument_name(text):
    """Name of an instrument in our tables.

    Parameters
    ----------
    text : str
        Cell of ``acq_instrument``.

    Returns
    -------
    str
        Such as ``UVP5``; an unknown name stays as it is.
    """
    word = text.strip().lower()
    return next((name for start, name in INSTRUMENTS.items() if word.startswith(start)), text.strip())


def pixel_of(kind, row, notes):
    """Pixel size that the metadata of an acquisition tell.

    Parameters
    ----------
    kind : dict of str to str
        Cells by column, with any of `PIXEL_COLUMNS` and ``acq_instrument``.
    row : int
        Row of the file.
    notes : Notes
        Takes what is odd: columns that disagree, and columns that look like
        a pixel size and are not known.

    Returns
    -------
    float or None
        µm; 1 where the sizes are in µm already; None where no column tells
        it.
    """
    if (kind.get(IN_MICROMETRES) or "").strip().lower() in ("true", "1", "1.0", "yes"):
        notes.add(
            "repaired",
            "pixel",
            "areas are in µm2 and lengths in µm already, so the pixel size was not applied again.",
            (row, IN_MICROMETRES, kind[IN_MICROMETRES]),
        )
        return 1.0
    instrument, sizes = instrument_name(kind.get("acq_instrument") or ""), {}
    for name, unit in _pixel_columns(kind):
        text = kind[name].strip().replace(",", ".")
        own = "um" if name in ("process_pixel", "process_pixel_size") and instrument in MICROSCOPES else unit
        try:
            value = float(text)
        except ValueError:
            continue
        if not math.isfinite(value) or value in SENTINELS or value <= 0:
            continue
        if own is None:
            notes.add(
                "suspicious",
                "pixel",
                "the column looks like a pixel size and is not known; it was not used.",
                (row, name, kind[name]),
            )
            continue
        try:
            size = float(pixel_size(value, own, place=name))
        except UserError as error:
            notes.add("suspicious", "pixel", f"no pixel size was taken: {error}", (row, name, kind[name]))
            continue
        if name.startswith("process_particle") and not name.endswith("_mm") and value < 0.5:
            notes.add("repaired", "pixel", "the column's name says µm and its value is in mm.", (row, name, kind[name]))
        sizes[name] = size
    if not sizes:
        return None
    first, size = next(iter(sizes.items()))
    for name, other in sizes.items():
        if abs(other / size - 1) > PIXEL_TOLERANCE:
            notes.add(
                "suspicious",
                "pixel",
                f"the pixel is {other:g} µm here and {size:g} µm in {first}; that of {first} was taken.",
                (row, name, kind[name]),
            )
    return size


def _pixel_columns(kind):
    """Columns of a pixel size with their unit, best first; None for the unit of one that is not known."""
    known = [(name, unit) for name, unit in PIXEL_COLUMNS.items() if name in kind]
    others = [
        name for name in kind if name not in PIXEL_COLUMNS and "pixel" in name.lower() and isinstance(kind[name], str)
    ]
    spelt = [(name, "detect") for name in others if _PARTICLE_PIXEL.match(name.lower())]
    strange = [
        (name, None)
        for name in others
        if not _PARTICLE_PIXEL.match(name.lower()) and not set(name.lower().split("_")) & set(_NO_SIZE)
    ]
    return [*known, *spelt, *strange]
