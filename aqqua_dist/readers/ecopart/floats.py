"""UVP6 on floats: spectra and classes that the camera has counted itself, as ``LPM.txt``, ``TAXO2.txt`` and ``META.txt``.

They lie in the ``<cast>_rawfiles.zip`` of a raw export, or under the names that
the servers of floats give them, ``<cast>_<camera>_<DEPTH or TIME>_LPM.txt``.
Particles are means per image, classes of plankton are sums of their row
(uvp6remote_sample_import.py, github.com/ecotaxa/ecopart); the pressure has no
offset, which is that of the settings. Spectra of black images are left out.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding, summed
from aqqua_dist.effort.depth_offset import depth_with_offset
from aqqua_dist.readers.ecopart.headers import OPEN
from aqqua_dist.readers.ecopart.tables import BIN, WHOLE, Table, column_numbers
from aqqua_dist.readers.set_aside import setting_aside

KEYS = ["profile", "raw", "bin"]
N_CLASSES, N_CATEGORIES = 18, 40
SPECTRUM, CATEGORY = "NB_SIZE_SPECTRA_PARTICLES_class_", "NB_PLANKTON_cat_"
IMAGES = {"float particles": "IMAGE_NUMBER_PARTICLES", "float taxa": "IMAGE_NUMBER_PLANKTON"}
PLACES = ("DATE_TIME", "PRES_decibar")
METHOD = "predicted"
"""How the classes of plankton were counted: by the classifier in the camera, which nobody has validated."""
_NAME = re.compile(r"(?:(?P<cast>.+?)_)??(?:(?P<camera>[^_]+)_(?P<kind>DEPTH|TIME)_)?(?:LPM|TAXO2|META)", re.I)


@dataclass(frozen=True)
class _Cast:
    """One cast of a float: its place among the casts, and how its rows go to bins."""

    about: dict
    settings: dict
    by_depth: bool


def read_floats(tables, casts, found, aside):
    """Casts of floats, binned as EcoPart bins them.

    Parameters
    ----------
    tables : dict of str to list of Table
        ``float particles``, ``float taxa`` and ``float settings``.
    casts : pandas.DataFrame
        From the metadata summary, or empty; a cast that it names is that one.
    found : list of dict
        Takes what is odd.
    aside : aqqua_dist.readers.set_aside.Aside
        Takes casts that cannot be read.

    Returns
    -------
    casts : pandas.DataFrame
        With those that the summary does not have.
    raw : Table or None
        As from `aqqua_dist.readers.ecopart.raw.read_raw`; ``extra`` holds
        ``counts`` and the casts whose taxa were ``counted`` instead of
        objects.
    """
    by_name = {kind: {_name(table.source)[0]: table for table in tables[kind]} for kind in (*IMAGES, "float settings")}
    rows, sizes, counts, counted, added = [], [], [], [], []
    for name in dict.fromkeys(name for held in by_name.values() for name in held):
        lpm, meta, taxo = (by_name[kind].get(name) for kind in ("float particles", "float settings", "float taxa"))
        source = next(table.source for table in (lpm, meta, taxo) if table is not None)
        with setting_aside(aside, source):
            if lpm is None or meta is None:
                lacks = "LPM.txt (its images)" if lpm is None else "META.txt (its settings)"
                raise UserError(f"{source}: the cast {name!r} of a float has no {lacks}; needed are both.")
            cast = _cast(name, lpm, meta, casts)
            bins, classes = _particles(lpm, cast, found)
            rows.append(bins)
            sizes.append(classes)
            if casts.empty or name not in set(casts["profile"]):
                added.append(cast.about)
            if taxo is not None:
                with setting_aside(aside, taxo.source):
                    counts.append(_taxa(taxo, cast, bins, found))
                    counted.append((cast.about["profile"], cast.about["raw"]))
    if not rows:
        return casts, None
    if added:
        casts = pd.concat([casts, pd.DataFrame(added)], ignore_index=True)
    table = pd.concat(rows, ignore_index=True)
    counts = pd.concat(counts, ignore_index=True) if counts else pd.DataFrame(columns=[*KEYS, "taxon"])
    extra = {
        "particles": pd.concat(sizes, ignore_index=True),
        "counts": counts,
        "counted": counted,
        "taxa": pd.DataFrame({"taxon": counts["taxon"].unique(), "hierarchy": counts["taxon"].unique()}),
        "with taxa": [],
    }
    return casts, Table(tables["float particles"][0].source, "raw", table, list(table), extra=extra)


def _name(source):
    """Name of the cast of a file, and whether the name says that it was taken over time."""
    match = _NAME.fullmatch(source.name.rpartition(".")[0])
    if match and match["cast"]:
        return match["cast"], (match["kind"] or "").upper() == "TIME"
    place = PurePosixPath(source.member).name if source.inner else source.path.name
    place = place if source.member else source.path.parent.name
    return place.removesuffix(".zip").removesuffix("_rawfiles"), False


def read_settings(source):
    """Settings of the camera.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        ``META.txt``, a name and a value per line.

    Returns
    -------
    dict of str to str
        By name in lower case.
    """
    with source.open() as stream:
        lines = stream.read().decode("latin-1").splitlines()
    pairs = (line.strip().split("\t") for line in lines)
    return {cells[0].strip().lower(): cells[1].strip() for cells in pairs if len(cells) == 2}


def _setting(settings, name, source):
    """A number of the settings."""
    text = settings.get(name.lower(), "")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UserError(f"{source}: setting {name!r} is {text!r}, needed is a number.")
    return value


def _cast(name, lpm, meta, casts):
    settings = read_settings(meta.source)
    known = casts[casts["profile"] == name] if len(casts) else casts
    if len(known) > 1:
        raise UserError(
            f"{lpm.source}: cast {name!r} stands {len(known)} times in the metadata summary, allowed is once."
        )
    if len(known):
        about = known.iloc[0].to_dict()
        timed = str(about.get("by_depth")).strip().lower() in ("false", "f", "0")
    else:
        about, timed = _about(name, lpm, settings), _name(lpm.source)[1]
    if not about.get("image_volume", np.nan) > 0:
        about["image_volume"] = _setting(settings, "Image_volume", meta.source)
    if not about["image_volume"] > 0:
        raise UserError(
            f"{meta.source}: setting 'Image_volume' is {about['image_volume']:g} L, needed is a number above 0."
        )
    return _Cast(about, settings, not timed)


def _about(name, lpm, settings):
    """Metadata of a cast that no summary names: place and time are means of its rows, as EcoPart takes them."""
    place = {}
    for ours, theirs in (("lat", "LATITUDE_decimal_degree"), ("lon", "LONGITUDE_decimal_degree")):
        values = column_numbers(lpm.rows[theirs], lpm.source) if theirs in lpm.rows else pd.Series([np.nan])
        limit = 90 if ours == "lat" else 360
        if (values.abs() > limit).any():
            row = values.index[values.abs() > limit][0]
            raise UserError(
                f"{lpm.source}, row {row}, column {theirs!r}: {values[row]:g} is outside [-{limit}, {limit}] degrees."
            )
        values = values % 360 if ours == "lon" and np.ptp(values.dropna()) > 180 else values
        place[ours] = float(values.mean())
    times = _times(lpm)
    scale, numeric = 1.0, {}
    for ours, theirs in (("aa", "Aa"), ("exp", "Exp"), ("pixel", "Pixel_Size"), ("image_volume", "Image_volume")):
        numeric[ours] = _setting(settings, theirs, lpm.source)
    if numeric["aa"] > 1:
        scale = 1e-6  # raw settings of a UVP6 are in µm2
    return (
        place
        | numeric
        | {
            "profile": name,
            "project": "",
            "cruise": np.nan,
            "raw": name,
            "instrument": "uvp6remote",
            "time": times.min() + (times.max() - times.min()) / 2,
            "aa": numeric["aa"] * scale,
            "particle_file": "",
            "taxa_file": "",
            "file": str(lpm.source),
        }
    )


def _times(table):
    texts = table.rows["DATE_TIME"].astype("string")
    times = pd.to_datetime(texts, format="%Y%m%dT%H%M%S", errors="coerce", utc=True)
    if times.isna().any():
        row = times.index[times.isna()][0]
        raise UserError(
            f"{table.source}, row {row}, column 'DATE_TIME': {texts[row]!r} is no time of the form YYYYMMDDThhmmss."
        )
    return times


def _placed(table, cast, start=None):
    """Bin of each row, its images, and the first hour of a cast over time."""
    held = column_numbers(table.rows[IMAGES[table.kind]], table.source)
    depth = column_numbers(table.rows["PRES_decibar"], table.source)
    for values, name, bad in (
        (held, IMAGES[table.kind], ~(held > 0)),
        (depth, "PRES_decibar", depth.isna() if cast.by_depth else pd.Series(False, index=depth.index)),
    ):
        if bad.any():
            row = values.index[bad][0]
            raise UserError(
                f"{table.source}, row {row}, column {name!r}: {table.rows[name][row]!r} is not above 0 images or no depth."
            )
    offset = cast.settings.get("pressure_offset")
    depth = pd.Series(depth_with_offset(depth, offset, place=f"{table.source}, Pressure_offset"), index=depth.index)
    if cast.by_depth:
        return np.floor(np.maximum(depth, 0) / BIN), held, depth, None
    hours = _times(table).dt.floor("h")
    start = hours.min() if start is None else start
    return (hours - start) // pd.Timedelta(hours=1) * 1.0, held, depth, start


def _particles(table, cast, found):
    """Bins of one cast with their volume, and particles per size class."""
    if missing := [name for name in [*PLACES, SPECTRUM + "1", SPECTRUM + str(N_CLASSES)] if name not in table.rows]:
        raise UserError(f"{table.source}: column {missing[0]!r} is missing, the table has {list(table.rows)[:8]}.")
    place, images, depth, start = _placed(table, cast)
    low = [_setting(cast.settings, f"Lower_limit_size_class_{k + 1}", table.source) / 1e3 for k in range(N_CLASSES)]
    if (np.diff(low) <= 0).any():
        raise UserError(f"{table.source}: the lower limits {low} mm of the size classes do not ascend.")
    given = [column_numbers(table.rows[f"{SPECTRUM}{k + 1}"], table.source) for k in range(N_CLASSES)]
    n = pd.concat(given, axis=1).to_numpy() * images.to_numpy()[:, None]
    for row, column in np.argwhere(n < 0)[:1]:
        raise UserError(
            f"{table.source}, row {table.rows.index[row]}, column {SPECTRUM}{column + 1!r}: {n[row, column]:g} is below 0."
        )
    broken = np.abs(n - np.round(n)) > WHOLE * np.maximum(np.abs(n), 1)
    name = {"profile": cast.about["profile"], "raw": cast.about["raw"]}
    where = {"file": str(table.source), "value": name["profile"]}
    if broken.any():
        text = f"{int(broken.sum())} numbers of a float are no whole numbers, first {n[broken][0]:.9g}: means over images, kept as they are."
        found.append(finding("suspicious", "count", text, **where))
    if start is not None:
        text = f"profile {name['profile']!r} was taken over time; each hour is a sample at its mean depth."
        found.append(finding("suspicious", "depth", text, **where))
    rows = pd.DataFrame({"bin": place, "images": images, "depth": depth}).groupby("bin")
    bins = rows.agg({"images": "sum", "depth": "mean"}).reset_index()
    bins["volume"] = bins["images"] * cast.about["image_volume"]
    bins["time"] = start + pd.to_timedelta(bins["bin"] + 0.5, unit="h") if start is not None else pd.NaT
    bins["depth"] = bins["depth"].round(1) if start is not None else np.nan
    sizes = pd.DataFrame(
        {
            "bin": np.repeat(place.to_numpy(), N_CLASSES),
            "esd_low": np.tile(low, len(n)),
            "esd_high": np.tile([*low[1:], OPEN], len(n)),
            "n": n.ravel(),
        }
    )
    sizes = summed(sizes, ["bin", "esd_low", "esd_high"], ["n"])
    sizes = sizes[sizes["n"] != 0].assign(biovolume=np.nan, **name)
    return bins.assign(row=table.rows.index[0] if len(table.rows) else 2, **name), sizes


def _taxa(table, cast, bins, found):
    """Counts of one cast by category."""
    empty = table.rows["PRES_decibar"].isna() if cast.by_depth else table.rows["DATE_TIME"].isna()
    table = Table(table.source, table.kind, table.rows[~empty], table.columns)
    start = None if cast.by_depth else bins["time"].iloc[0] - pd.to_timedelta(bins["bin"].iloc[0] + 0.5, unit="h")
    place, images, _, _ = _placed(table, cast, start)
    name, where = {"profile": cast.about["profile"], "raw": cast.about["raw"]}, {"file": str(table.source)}
    taken = images.groupby(place).sum()
    seen = bins.set_index("bin")["images"].reindex(taken.index)
    if seen.isna().any():
        row = place.index[place == seen.index[seen.isna()][0]][0]
        raise UserError(
            f"{table.source}, row {row}: plankton of cast {name['profile']!r} in a bin without images of particles."
        )
    weight = (seen / taken).where(seen != taken)
    if weight.notna().any():
        first = weight.dropna().index[0]
        text = (
            f"{int(weight.notna().sum())} bins of cast {name['profile']!r} have other images of plankton than of particles, first "
            f"{taken[first]:g} and {seen[first]:g}: an object counts {weight[first]:.3g} times over the volume of the particles."
        )
        found.append(finding("suspicious", "volume", text, value=name["profile"], **where))
    parts = []
    for number in range(1, N_CATEGORIES + 1):
        if f"{CATEGORY}{number}" not in table.rows:
            continue
        n = column_numbers(table.rows[f"{CATEGORY}{number}"], table.source)
        if (n < 0).any():
            raise UserError(
                f"{table.source}, row {n.index[n < 0][0]}, column {CATEGORY}{number}: {n[n < 0].iloc[0]:g} is below 0."
            )
        n = n.groupby(place).sum()
        label = _label(cast.settings.get(f"category_name_{number}", ""), number)
        parts.append(pd.DataFrame({"bin": n.index, "taxon": label, "n": n.to_numpy(), "weight": weight.to_numpy()}))
    counts = pd.concat(parts, ignore_index=True)
    counts = counts[counts["n"] > 0].assign(method=METHOD, biovolume=np.nan, **name)
    labels = ", ".join(map(repr, counts["taxon"].unique()[:5]))
    text = f"{counts['n'].sum():g} objects of cast {name['profile']!r} were named by the classifier in the camera and validated by nobody; their taxa are {labels}."
    found.append(finding("suspicious", "status", text, value=name["profile"], **where))
    return counts


def _label(text, number):
    """Label of a category; where the settings give the number of an EcoTaxa taxon, that."""
    return f"EcoTaxa taxon {text}" if text.isdigit() else text or f"category {number}"
