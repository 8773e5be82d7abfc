"""ZooProcess metadata (``*_meta.txt``, ``metadata.txt``): one file per scanned fraction of a net sample.

Positions are written DDD.MMmm (degrees, then minutes after the point) and
longitude is positive to the **west**; both are converted here.
"""

import re

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import FINDINGS, SAMPLES, SENTINELS, Ingested, finding, typed
from aqqua_dist.readers.set_aside import read_each, refusal
from aqqua_dist.readers.sources import encoding_of

WORDS = {"nan", "na", "noname", ""}
"""Words that stand for none in any field."""
NEEDED = ("sampleid", "latitude", "longitude", "date", "zmin", "zmax", "vol")
_COMMA = re.compile(r"^[-+]?\d+,\d+$")
_LINE = re.compile(r"^\s*([A-Za-z][\w ]*?)\s*=\s?(.*)$")


def recognises(source):
    """Whether a source is ZooProcess metadata.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Judged by its name and its first lines.

    Returns
    -------
    bool
    """
    if not source.name.lower().endswith(("meta.txt", "metadata.txt")):
        return False
    with source.open() as stream:
        return b"sampleid" in stream.read(4096).lower()


def decimal_degrees(text):
    """Degrees from ZooProcess's DDD.MMmm.

    Parameters
    ----------
    text : str
        Such as ``47.5076``: 47 degrees and 50.76 minutes.

    Returns
    -------
    float
        Decimal degrees, same sign.

    Raises
    ------
    UserError
        Not a number, or 60 minutes or more, which decimal degrees would give.
    """
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"position {text!r} is not a number of the form DDD.MMmm.") from None
    if not np.isfinite(value):
        raise UserError(f"position {text!r} is not a finite number of the form DDD.MMmm.")
    whole = int(abs(value))
    minutes = round((abs(value) - whole) * 100, 8)
    if minutes >= 60:
        raise UserError(
            f"position {text!r} has {minutes:g} minutes after the point, allowed are less than 60 (is it in decimal degrees?)."
        )
    return float(np.copysign(whole + minutes / 60, value))


def read_zooprocess(sources):
    """Net samples of ZooProcess metadata files.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Metadata files; fractions of one sample are separate files.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        One sample per net sample: ``volume`` is the filtered volume (m3) as
        ZooProcess holds it, depths from Zmin and Zmax (m). ``extra`` holds
        ``acquisitions``: ``sample_id, fraction, sieve_min, sieve_max`` (µm),
        ``sub_part`` (denominator of the split), ``source``.

    Raises
    ------
    UserError
        A needed field is missing or not a number, or fractions of a sample
        disagree in place, time, depth or volume.
    """
    findings = []
    parts = [
        part for _, part in read_each(sources, lambda source: _sample(_fields(source), source, findings), findings)
    ]
    table = pd.DataFrame(parts)
    table = table[~table["sample_id"].isin(_contradictions(table, findings))]
    samples = typed(table.drop_duplicates("sample_id"), SAMPLES)
    fractions = table[["sample_id", "fraction", "sieve_min", "sieve_max", "sub_part", "source"]].reset_index(drop=True)
    return Ingested(samples, findings=typed(pd.DataFrame(findings), FINDINGS), extra={"acquisitions": fractions})


def _contradictions(table, findings):
    """Samples whose fractions disagree; they are set aside."""
    lost = {}
    for column in ("lat", "lon", "time", "depth_top", "depth_bottom", "volume"):
        spread = table.groupby("sample_id")[column].nunique(dropna=False)
        for name in spread.index[spread > 1]:
            rows = table[table["sample_id"] == name]
            other = rows[rows[column] != rows[column].iloc[0]].iloc[0]
            text = (
                f"{other['source']}: {column} {other[column]} of sample {name!r} differs from {rows[column].iloc[0]} in "
                f"{rows['source'].iloc[0]}; fractions of one sample must agree."
            )
            lost.setdefault(name, (text, other["source"]))
    if lost and set(table["sample_id"]) == set(lost):
        raise UserError(f"{next(iter(lost.values()))[0]}")
    findings += [refusal(text, file=file, value=name) for name, (text, file) in lost.items()]
    return list(lost)


def _fields(source):
    with source.open() as stream:
        encoding = encoding_of(stream)
    with source.open() as stream:
        lines = stream.read().decode(encoding).splitlines()
    found = {match.group(1).strip().lower(): match.group(2).strip() for match in map(_LINE.match, lines) if match}
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise UserError(f"{source}: fields {missing} are missing, found are {sorted(found)[:40]}.")
    return found


def _number(fields, name, source, *, required=True):
    text = fields.get(name, "")
    try:
        value = np.nan if text.lower() in WORDS else float(text.replace(",", ".") if _COMMA.match(text) else text)
    except ValueError:
        raise UserError(f"{source}: field {name!r} is {text!r}, allowed is a number.") from None
    if np.isinf(value):
        raise UserError(f"{source}: field {name!r} is {text!r}, allowed is a finite number.")
    value = np.nan if value in SENTINELS else value
    if required and np.isnan(value):
        raise UserError(f"{source}: field {name!r} is {text!r}, which stands for none; a number is needed.")
    return value


def _position(fields, name, source):
    try:
        return decimal_degrees(fields[name])
    except UserError as error:
        raise UserError(f"{source}: field {name!r}: {error}") from None


def _sample(fields, source, findings):
    place = {"file": str(source)}
    top, bottom, volume = (_number(fields, name, source) for name in ("zmin", "zmax", "vol"))
    if min(top, bottom) < 0 or max(top, bottom) > 11_500:
        raise UserError(f"{source}: depths zmin {top:g} and zmax {bottom:g} are outside [0, 11500] m.")
    if top > bottom:
        findings.append(
            finding(
                "repaired",
                "depth",
                f"Zmin {top:g} m is below Zmax {bottom:g} m; they were swapped.",
                column="zmin",
                value=top,
                **place,
            )
        )
        top, bottom = bottom, top
    if volume <= 0:
        raise UserError(f"{source}: field 'vol' is {volume:g}, allowed is a filtered volume above 0 m3.")
    if not 0.1 <= volume <= 5000:
        findings.append(
            finding(
                "suspicious",
                "volume",
                f"filtered volume {volume:g} m3 lies outside 0.1-5000 m3; litres?",
                column="vol",
                value=volume,
                **place,
            )
        )
    if "fractioning" in fields.get("sample_comment", "").lower():
        findings.append(
            finding(
                "suspicious",
                "volume",
                "the comment speaks of a fractioning on board; Vol may hold it already.",
                column="sample_comment",
                value=fields["sample_comment"],
                **place,
            )
        )
    lat, lon = _position(fields, "latitude", source), -_position(fields, "longitude", source)
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise UserError(f"{source}: position {lat:g}, {lon:g} is outside [-90, 90] and [-180, 180] degrees.")
    return {
        "sample_id": fields["sampleid"],
        "cruise": fields.get("scientificprog"),
        "instrument": "ZooScan",
        "time": _time(fields["date"], source),
        "lat": lat,
        "lon": lon,
        "depth_top": top,
        "depth_bottom": bottom,
        "volume": volume,
        "effort_rule": "ZooProcess filtered volume",
        "flags": "",
        "source": str(source),
        "fraction": fields.get("fracid"),
        "sieve_min": _number(fields, "fracmin", source, required=False),
        "sieve_max": _number(fields, "fracsup", source, required=False),
        "sub_part": _number(fields, "fracnb", source, required=False),
    }


def _time(text, source):
    found = pd.to_datetime(text, format="%Y%m%d-%H%M", errors="coerce", utc=True)
    if pd.isna(found):
        raise UserError(f"{source}: field 'date' is {text!r}, allowed is YYYYMMDD-HHMM.")
    return found
