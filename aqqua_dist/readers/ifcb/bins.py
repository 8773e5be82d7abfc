"""Imaging FlowCytobot bins: header (``.hdr``), trigger table (``.adc``) and features of both generations.

A bin is one syringe. Its volume follows from run time and inhibit time
(`aqqua_dist.effort.rules`); here both are read, from the header and from the
triggers, because either may be wrong. What is no sample (beads, calibration)
or cannot be read is set aside and listed; the other bins go on.
"""

import re
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import FINDINGS, OBJECTS, SAMPLES, Ingested, finding, typed
from aqqua_dist.core.units import convert
from aqqua_dist.effort.acquisitions import look_time, trigger_times
from aqqua_dist.effort.rules import rules
from aqqua_dist.readers.ifcb import features
from aqqua_dist.readers.ifcb.raw import (
    NEW_NAME,
    OLD_NAME,
    number_of,
    read_header,
    read_triggers,
    reason_to_set_aside,
    runs_fast,
)
from aqqua_dist.readers.set_aside import CHECK

BINS = {
    "sample_id": "string",
    "file": "string",
    "generation": "string",
    "set_aside": "string",
    "n_triggers": "Int64",
    "n_images": "Int64",
    "run_time": "float64",
    "inhibit_time": "float64",
    "run_time_adc": "float64",
    "inhibit_time_adc": "float64",
    "volume_header": "float64",
    "volume_adc": "float64",
    "volume": "float64",
    "temperature": "float64",
    "humidity": "float64",
    "flags": "string",
}
"""Columns of ``ifcb_bins``, one row per bin: why it was set aside (empty: it was not), times in s, volumes in m3 by the header and by the
triggers alone and as used, temperature (degree_Celsius) and humidity (percent) of the header."""


def recognises(source):
    """Whether a source is a header, a trigger table or the features of a bin.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Judged by its name.

    Returns
    -------
    bool
    """
    name = PurePosixPath(source.name)
    raw = name.suffix.lower() in (".hdr", ".adc") and bool(NEW_NAME.match(name.stem) or OLD_NAME.match(name.stem))
    return raw or features.recognises(source)


def read_ifcb(sources, scales=None):
    """Bins as samples and their images as objects.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Headers and trigger tables, of which a bin needs both, and feature
        files.
    scales : dict of str to float, optional
        Scale of the images (px per µm) by instrument, for the features.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        One sample per bin; its volume is left open. Objects are the triggers
        with an image, ``object_id`` is ``<bin>_<line>`` with five digits, as
        in the image file. ``extra`` holds ``acquisitions``: ``sample_id,
        generation`` (``new`` or ``old``), ``run_time, inhibit_time`` of the
        header and ``run_time_adc, inhibit_time_adc`` of the triggers (s),
        ``syringe_volume`` (mL), ``n_triggers, n_images``; and ``ifcb_bins``
        (`BINS`), the bins that were set aside among them.
    """
    findings, pairs = [], _pairs([source for source in sources if not features.recognises(source)])
    samples, objects, acquisitions, table = [], [], [], []
    for name, pair in sorted(pairs.items()):
        source = pair.get(".hdr", pair.get(".adc"))[0]
        row = {"sample_id": name, "file": str(source), "generation": "new" if NEW_NAME.match(name) else "old"}
        try:
            header, triggers = _read(name, pair, findings)
            reason = reason_to_set_aside(header, source)
            found = _bin(name, header, triggers, source, [] if reason else findings)
        except UserError as error:
            place = re.search(r"row (\d+)", str(error))
            message = f"bin {name} was set aside: {error}"
            where = {"row": int(place.group(1))} if place else {}
            findings.append(finding("refused", CHECK, message, file=str(source), value=name, **where))
            table.append(row | {"set_aside": str(error)})
            continue
        sample, acquisition = found
        table.append(row | acquisition | _quality(header, acquisition, source) | {"set_aside": reason})
        if reason:
            message = f"bin {name} is no sample and was set aside: {reason}."
            findings.append(finding("refused", "beads", message, file=str(source), value=name))
            continue
        samples.append(sample)
        acquisitions.append(acquisition)
        objects.append(_images(name, triggers))
    images = pd.concat(objects, ignore_index=True) if objects else _images("", _no_triggers())
    images = features.sized(images, [s for s in sources if features.recognises(s)], dict(scales or {}), findings)
    extra = {"ifcb_bins": typed(pd.DataFrame(table), BINS)}
    return Ingested(
        typed(pd.DataFrame(samples), SAMPLES),
        typed(images, OBJECTS),
        findings=typed(pd.DataFrame(findings), FINDINGS),
        extra=extra | ({"acquisitions": pd.DataFrame(acquisitions)} if acquisitions else {}),
    )


def _no_triggers():
    return pd.DataFrame({"width": pd.Series(dtype=float), "line": pd.Series(dtype=int)})


def _pairs(sources):
    """Sources of each bin by their ending."""
    bins = {}
    for source in sources:
        name = PurePosixPath(source.name)
        bins.setdefault(name.stem, {}).setdefault(name.suffix.lower(), []).append(source)
    return bins


def _read(name, pair, findings):
    """Header and triggers of one bin; a second copy must be the same."""
    if set(pair) != {".hdr", ".adc"}:
        have = next(iter(pair.values()))[0]
        raise UserError(f"{have}: bin {name!r} has only its {next(iter(pair))}, needed are .hdr and .adc.")
    for suffix, copies in pair.items():
        contents = []
        for copy in copies:
            with copy.open() as stream:
                contents.append(stream.read())
        for copy, content in zip(copies[1:], contents[1:], strict=True):
            if content != contents[0]:
                raise UserError(f"{copy}: bin {name!r} is also in {copies[0]}, and the two {suffix} files differ.")
            message = f"bin {name} is also in {copies[0]}; the files are the same and count once."
            findings.append(finding("repaired", "duplicate", message, file=str(copy), value=name))
    return read_header(pair[".hdr"][0]), read_triggers(pair[".adc"][0])


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
    new = bool(NEW_NAME.match(name))
    place = {"file": str(source)}
    told = sample_of_name(name)
    time, instrument = told["time"], told["instrument"]
    if pd.isna(time):
        raise UserError(
            f"{source}: bin {name!r} holds no time in its name, allowed are DYYYYMMDDTHHMMSS_IFCBnnn and IFCBn_YYYY_DDD_HHMMSS."
        )
    lat, lon, depth = (number_of(header, key, source, findings) for key in ("gpsLatitude", "gpsLongitude", "depth"))
    if np.isnan(lat) or np.isnan(lon) or (lat == 0 and lon == 0) or abs(lat) > 90 or abs(lon) > 360:
        findings.append(
            finding("suspicious", "position", f"bin {name} has no position; give it in a table of positions.", **place)
        )
        lat = lon = np.nan
    acquisition = _times(header, table, source, findings) if new else _old_times(header, table, source, findings)
    if not new and len(table):
        acquisition["look_time"] = look_time(table, min_processing=_processing(instrument, time))
    if runs_fast(header):
        acquisition["flags"] = ";".join(word for word in (acquisition["flags"], "sample run fast") if word)
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
        "flags": acquisition["flags"],
        "source": str(source),
    }
    return sample, {
        "sample_id": name,
        "generation": "new" if new else "old",
        "syringe_volume": number_of(header, "SyringeSampleVolume", source, findings),
        "n_triggers": int(table["trigger"].nunique()),
        "n_images": images,
    } | acquisition


def _header_times(header, source, findings):
    return {
        ours: number_of(header, theirs, source, findings)
        for ours, theirs in (("run_time", "runTime"), ("inhibit_time", "inhibitTime"))
    }


def _times(header, table, source, findings):
    """Times of a bin of the new generation, by its header and by its triggers."""
    found = _header_times(header, source, findings)
    run_adc, inhibit_adc, words = trigger_times(table)
    run = found["run_time"]
    if run > 0 and run_adc > 0 and not 0.98 <= run / run_adc <= 1.02:
        message = f"run time {run:g} s of the header and {run_adc:g} s of the last trigger differ by more than 2 %."
        findings.append(finding("suspicious", "run time", message, file=str(source), column="runTime", value=run))
    return found | {
        "run_time_adc": run_adc,
        "inhibit_time_adc": inhibit_adc,
        "look_time": np.nan,
        "flags": ";".join(words),
    }


def _old_times(header, table, source, findings):
    """Times of a bin of the old generation; its volume needs the look time only."""
    last = float(table["end_time"].iloc[-1]) if len(table) else np.nan
    found = _header_times(header, source, findings)
    return found | {"run_time_adc": last, "inhibit_time_adc": np.nan, "look_time": np.nan, "flags": ""}


def _quality(header, acquisition, source):
    """Both volumes (m3), and what else tells the state of the instrument."""
    new = acquisition["generation"] == "new"
    constants = rules()["ifcb" if new else "ifcb-old"].constants
    if new:
        flow = float(convert(constants["flow_rate"]["value"], constants["flow_rate"]["units"], "m3 s-1", place="flow"))
        told, seen = (
            flow * (acquisition[f"run_time{end}"] - acquisition[f"inhibit_time{end}"]) for end in ("", "_adc")
        )
    else:
        told, seen = (
            np.nan,
            constants["steps"]["value"] * constants["step_volume"]["value"] * 1e-6 * acquisition["look_time"],
        )
    return {
        "volume_header": told if told > 0 else np.nan,
        "volume_adc": seen if seen > 0 else np.nan,
        "temperature": number_of(header, "temperature", source, []),
        "humidity": number_of(header, "humidity", source, []),
    }


def _processing(instrument, time):
    """Least time that an image takes (s), as pyifcb has it."""
    return 0.05 if instrument == "IFCB5" and time >= pd.Timestamp("2015-06-01", tz="UTC") else 0.073


def _images(name, table):
    seen = table[table["width"] > 0]
    return pd.DataFrame(
        {
            "object_id": pd.Series([f"{name}_{line:05d}" for line in seen["line"]], dtype=object),
            "sample_id": name,
            "status": "unclassified",
        }
    )
