"""Imaging FlowCytobot bins: header (``.hdr``) and trigger table (``.adc``) of both generations.

A bin is one syringe. Its volume follows from run time and inhibit time
(`aqqua_dist.effort.rules`); here both are read, from the header and from the last
trigger, because either may be wrong.
"""

import io
import re
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import FINDINGS, OBJECTS, SAMPLES, Ingested, finding, typed
from aqqua_dist.effort.acquisitions import look_time
from aqqua_dist.readers.sources import encoding_of

NEW_NAME = re.compile(r"D(\d{8}T\d{6})_IFCB(\d+)$")
OLD_NAME = re.compile(r"IFCB(\d+)_(\d{4})_(\d{3})_(\d{6})$")
NEW_COLUMNS = {"trigger": 0, "width": 15, "height": 16, "run_time": 22, "inhibit_time": 23}
OLD_COLUMNS = {"trigger": 0, "end_time": 1, "trigger_open_time": 7, "frame_grab_time": 8, "width": 11, "height": 12}
"""Columns of the trigger table, counted from 0."""


def recognises(source):
    """Whether a source is a header or trigger table of a bin.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Judged by its name.

    Returns
    -------
    bool
    """
    name = PurePosixPath(source.name)
    return name.suffix.lower() in (".hdr", ".adc") and bool(NEW_NAME.match(name.stem) or OLD_NAME.match(name.stem))


def read_ifcb(sources):
    """Bins as samples and their images as objects.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Headers and trigger tables; a bin needs both.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        One sample per bin; its volume is left open. Objects are the triggers
        with an image, ``object_id`` is ``<bin>_<line>`` with five digits, as
        in the image file. ``extra`` holds ``acquisitions``: ``sample_id,
        generation`` (``new`` or ``old``), ``run_time, inhibit_time`` of the
        header and ``run_time_adc, inhibit_time_adc`` of the last trigger (s),
        ``syringe_volume`` (mL), ``n_triggers, n_images``.

    Raises
    ------
    UserError
        One of the two files is missing, a table has too few columns, or a
        number is none.
    """
    bins = {}
    for source in sources:
        name = PurePosixPath(source.name)
        pair = bins.setdefault(name.stem, {})
        if name.suffix.lower() in pair:
            raise UserError(f"{source}: bin {name.stem!r} is also in {pair[name.suffix.lower()]}; allowed is once.")
        pair[name.suffix.lower()] = source
    samples, objects, acquisitions, findings = [], [], [], []
    for name, pair in sorted(bins.items()):
        if set(pair) != {".hdr", ".adc"}:
            have = next(iter(pair.values()))
            raise UserError(f"{have}: bin {name!r} has only its {next(iter(pair))}, needed are .hdr and .adc.")
        header, table = _header(pair[".hdr"]), _triggers(pair[".adc"])
        sample, acquisition = _bin(name, header, table, pair[".hdr"], findings)
        samples.append(sample)
        acquisitions.append(acquisition)
        objects.append(_images(name, table))
    return Ingested(
        typed(pd.DataFrame(samples), SAMPLES),
        typed(pd.concat(objects, ignore_index=True), OBJECTS),
        findings=typed(pd.DataFrame(findings), FINDINGS),
        extra={"acquisitions": pd.DataFrame(acquisitions)},
    )


def _text(source):
    with source.open() as stream:
        encoding = encoding_of(stream)
    with source.open() as stream:
        return stream.read().decode(encoding, errors="replace")


def _header(source):
    found = {}
    for line in _text(source).splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() not in found:
            found[key.strip()] = value.strip()
    return found


def _triggers(source):
    text, stem = _text(source), PurePosixPath(source.name).stem
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
            raise UserError(
                f"{source}: row {row + 1}, column {place + 1} ({name}): {table[place].iloc[row]!r} is not a number."
            )
        found[name] = numbers.astype("float64").to_numpy()
    return pd.DataFrame(found).assign(line=np.arange(1, len(table) + 1))


def sample_of_name(name):
    """What the name of a bin tells.

    Parameters
    ----------
    name : str
        ``DYYYYMMDDTHHMMSS_IFCBnnn`` or ``IFCBn_YYYY_DDD_HHMMSS``.

    Returns
    -------
    dict
        ``sample_id, instrument, time``; the time is missing where the name
        holds none.
    """
    new, old = NEW_NAME.match(name), OLD_NAME.match(name)
    if new:
        time, instrument = (
            pd.to_datetime(new.group(1), format="%Y%m%dT%H%M%S", utc=True, errors="coerce"),
            f"IFCB{new.group(2)}",
        )
    elif old:
        number, year, day, clock = old.groups()
        time, instrument = (
            pd.to_datetime(f"{year}{day}{clock}", format="%Y%j%H%M%S", utc=True, errors="coerce"),
            f"IFCB{number}",
        )
    else:
        time, instrument = pd.NaT, "IFCB"
    return {"sample_id": name, "instrument": instrument, "time": time}


def _bin(name, header, table, source, findings):
    new = NEW_NAME.match(name)
    place = {"file": str(source)}
    told = sample_of_name(name)
    time, instrument = told["time"], told["instrument"]
    if pd.isna(time):
        raise UserError(
            f"{source}: bin {name!r} holds no time in its name, allowed are DYYYYMMDDTHHMMSS_IFCBnnn and IFCBn_YYYY_DDD_HHMMSS."
        )
    lat, lon, depth = (_optional(header, key, source) for key in ("gpsLatitude", "gpsLongitude", "depth"))
    if np.isnan(lat) or np.isnan(lon) or (lat == 0 and lon == 0) or abs(lat) > 90 or abs(lon) > 360:
        findings.append(
            finding("suspicious", "position", f"bin {name} has no position; give it in a table of positions.", **place)
        )
        lat = lon = np.nan
    run, inhibit = _optional(header, "runTime", source), _optional(header, "inhibitTime", source)
    last = table.iloc[-1] if len(table) else {}
    run_adc, inhibit_adc = (float(last.get(key, np.nan)) for key in ("run_time", "inhibit_time"))
    if not new:
        run_adc = float(last.get("end_time", np.nan))
    if run > 0 and run_adc > 0 and new and not 0.98 <= run / run_adc <= 1.02:
        findings.append(
            finding(
                "suspicious",
                "run time",
                f"run time {run:g} s of the header and {run_adc:g} s of the last trigger differ by more than 2 %.",
                column="runTime",
                value=run,
                **place,
            )
        )
    images = int((table["width"] > 0).sum())
    sample = {
        "sample_id": name,
        "instrument": instrument,
        "time": time,
        "lat": lat,
        "lon": (lon + 180) % 360 - 180,
        "depth_top": depth,
        "depth_bottom": depth,
        "n_images": images,
        "effort_rule": "",
        "flags": "",
        "source": str(source),
    }
    acquisition = {
        "sample_id": name,
        "generation": "new" if new else "old",
        "run_time": run,
        "inhibit_time": inhibit,
        "run_time_adc": run_adc,
        "inhibit_time_adc": inhibit_adc,
        "syringe_volume": _optional(header, "SyringeSampleVolume", source),
        "look_time": np.nan if new or table.empty else look_time(table, min_processing=_processing(instrument, time)),
        "n_triggers": int(table["trigger"].nunique()),
        "n_images": images,
    }
    return sample, acquisition


def _processing(instrument, time):
    """Least time that an image takes (s), as pyifcb has it."""
    return 0.05 if instrument == "IFCB5" and time >= pd.Timestamp("2015-06-01", tz="UTC") else 0.073


def _optional(header, key, source):
    text = header.get(key, "")
    if not text:
        return np.nan
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"{source}: field {key!r} is {text!r}, allowed is a number.") from None
    return value if np.isfinite(value) else np.nan


def _images(name, table):
    seen = table[table["width"] > 0]
    return pd.DataFrame(
        {"object_id": [f"{name}_{line:05d}" for line in seen["line"]], "sample_id": name, "status": "unclassified"}
    )
