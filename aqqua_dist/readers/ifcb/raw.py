"""Header and trigger table of one Imaging FlowCytobot bin, as text to values."""

import io
import re
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.readers.sources import encoding_of

NEW_NAME = re.compile(r"D(\d{8}T\d{6})_IFCB(\d+)$")
OLD_NAME = re.compile(r"IFCB(\d+)_(\d{4})_(\d{3})_(\d{6})$")
NEW_COLUMNS = {"trigger": 0, "adc_time": 1, "width": 15, "height": 16, "run_time": 22, "inhibit_time": 23}
OLD_COLUMNS = {"trigger": 0, "end_time": 1, "trigger_open_time": 7, "frame_grab_time": 8, "width": 11, "height": 12}
"""Columns of the trigger table, counted from 0."""
_LEGACY_TIMES = re.compile(r"run\s*time\s*=\s*([-+.\d]+)\s*s?.*?inhibit\s*time\s*=\s*([-+.\d]+)", re.IGNORECASE)
_YES = ("1", "1.0", "true", "yes", "on")
ASIDE_FOLDERS = ("beads", "skip")
"""Folders whose bins are no samples (pyifcb leaves them out)."""


def text_of(source):
    """Text of a small file.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.

    Returns
    -------
    str
        What cannot be decoded is replaced.
    """
    with source.open() as stream:
        encoding = encoding_of(stream)
    with source.open() as stream:
        return stream.read().decode(encoding, errors="replace")


def read_header(source):
    """Fields of a header.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        ``.hdr``.

    Returns
    -------
    dict of str to str
        By name in lower case, as later software changed the capitals; a
        field that stands twice keeps its first value, ``runtype`` its last
        (IFCB109 of 2018). The times of old headers, ``run time = 1200 s
        inhibit time = 20 s``, are ``runtime`` and ``inhibittime``.

    Raises
    ------
    UserError
        The header is empty.
    """
    text, found = text_of(source), {}
    if not text.strip("\0 \t\r\n"):
        raise UserError(f"{source}: the header is empty ({len(text)} characters), needed are fields such as 'runTime'.")
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        key = key.strip().lower()
        if colon and (key not in found or key == "runtype"):
            found[key] = value.strip()
        legacy = _LEGACY_TIMES.search(line)
        if legacy:
            found.setdefault("runtime", legacy.group(1))
            found.setdefault("inhibittime", legacy.group(2))
    return found


def number_of(header, key, source, findings):
    """Number in a field of a header.

    Parameters
    ----------
    header : dict of str to str
        From `read_header`.
    key : str
        Name of the field.
    source : aqqua_dist.readers.sources.Source
        For the finding.
    findings : list of dict
        Takes a text that is no number.

    Returns
    -------
    float
        NaN where there is none.
    """
    text = header.get(key.lower(), "")
    if not text:
        return np.nan
    try:
        value = float(text)
    except ValueError:
        message = f"field {key!r} is {text!r}, allowed is a number; it was taken as missing."
        findings.append(finding("suspicious", "header", message, file=str(source), column=key, value=text))
        return np.nan
    return value if np.isfinite(value) else np.nan


def reason_to_set_aside(header, source):
    """Why a bin is no sample: beads and calibration runs.

    Parameters
    ----------
    header : dict of str to str
        From `read_header`.
    source : aqqua_dist.readers.sources.Source
        Its folders count, the three nearest ones.

    Returns
    -------
    str
        Empty for a sample. Sources: iRfcb, ifcb_qc_sample (``runBeads``,
        ``sampleType``); pyifcb, data directories (`ASIDE_FOLDERS`).
    """
    if header.get("runbeads", "").lower() in _YES:
        return f"runBeads is {header['runbeads']!r}"
    for key, name in (("sampletype", "sampleType"), ("runtype", "runType")):
        word = header.get(key, "").lower()
        if "bead" in word or "calib" in word:
            return f"{name} is {header[key]!r}"
    path = PurePosixPath(source.member) if source.member else PurePosixPath(source.path.as_posix())
    folder = next((part for part in path.parts[-4:-1] if part.lower() in ASIDE_FOLDERS), None)
    return "" if folder is None else f"it lies in a folder {folder!r}"


def runs_fast(header):
    """Whether the pump ran faster than the rule of the volume knows.

    Parameters
    ----------
    header : dict of str to str
        From `read_header`.

    Returns
    -------
    bool
        ``runSampleFast`` is switched on.
    """
    return header.get("runsamplefast", "").lower() in _YES


def read_triggers(source):
    """Trigger table of a bin.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        ``.adc`` of either generation.

    Returns
    -------
    pandas.DataFrame
        Columns of `NEW_COLUMNS` or `OLD_COLUMNS`, NaN where early software of
        the new generation wrote no times, and ``line``.

    Raises
    ------
    UserError
        Too few columns, or a cell that is no number: the file was cut.
    """
    text, stem = text_of(source), PurePosixPath(source.name).stem
    columns = NEW_COLUMNS if NEW_NAME.match(stem) else OLD_COLUMNS
    if not text.strip():
        return pd.DataFrame({name: pd.Series(dtype=float) for name in columns} | {"line": pd.Series(dtype=int)})
    try:
        table = pd.read_csv(io.StringIO(text), header=None, dtype="string", skip_blank_lines=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise UserError(f"{source}: the trigger table cannot be read ({str(error).strip().splitlines()[0]}).") from None
    needed = max(columns[name] for name in ("width", "height")) + 1
    if table.shape[1] < needed:
        raise UserError(f"{source}: the trigger table has {table.shape[1]} columns, at least {needed} are needed.")
    found = {}
    for name, place in columns.items():
        if place >= table.shape[1]:  # early software of the new generation wrote no times
            found[name] = np.full(len(table), np.nan)
            continue
        numbers = pd.to_numeric(table[place].str.strip(), errors="coerce")
        bad = numbers.isna() | ~np.isfinite(numbers.astype("float64"))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            cell = table[place].iloc[row]
            shown = "the cell is empty; was the file cut?" if pd.isna(cell) else f"{str(cell)!r} is not a number."
            raise UserError(f"{source}: row {row + 1}, column {place + 1} ({name}): {shown}")
        found[name] = numbers.astype("float64").to_numpy()
    return pd.DataFrame(found).assign(line=np.arange(1, len(table) + 1))
