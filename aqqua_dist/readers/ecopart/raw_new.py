"""Raw export of the new EcoPart: project and sample tables, and the instrument's own files per cast.

Layout (github.com/ecotaxa/ecopart_back, export-raw-data): ``metadata/projects.tsv``,
``metadata/samples.tsv``, ``lpm/<project>/<sample>/<sample>_Particule.zip`` (UVP6)
or ``<sample>_work.zip`` (UVP5). Images are kept and binned as the old EcoPart
does it (github.com/ecotaxa/ecopart, f6f2f7e), with one difference: an image
without any particle was taken, so its volume counts.
"""

import io
import zipfile
import zlib

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.effort.depth_offset import depth_with_offset
from aqqua_dist.readers.ecopart.raw import binned_sizes
from aqqua_dist.readers.ecopart.tables import BIN, Table, column_numbers
from aqqua_dist.readers.set_aside import setting_aside

MAX_BYTES = 2 * 2**30
"""Largest particle file that is unpacked in memory."""
SAMPLE = {
    "sample_name": "profile",
    "sampling_utc_date_time": "time",
    "sample_latitude": "lat",
    "sample_longitude": "lon",
    "sample_type": "type",
    "instrument_settings_aa": "aa",
    "instrument_settings_exp": "exp",
    "instrument_settings_pixel_size_mm": "pixel",
    "instrument_settings_image_volume_l": "image_volume",
    "instrument_settings_depth_offset_m": "offset",
    "filename": "raw",
    "filter_first_image": "first",
    "filter_last_image": "last",
}
NUMBERS = ("lat", "lon", "aa", "exp", "pixel", "image_volume", "offset")


def read_new(tables, archives, found, aside):
    """Casts and bins of a new raw export.

    Parameters
    ----------
    tables : dict of str to list of Table
        ``new samples`` and ``new projects``.
    archives : list of aqqua_dist.readers.sources.Source
        ``*_Particule.zip`` and ``*_work.zip``.
    found : list of dict
        Takes what is odd.
    aside : aqqua_dist.readers.set_aside.Aside
        Takes casts that cannot be read.

    Returns
    -------
    casts : pandas.DataFrame
        As from a metadata summary.
    raw : Table
        As from `aqqua_dist.readers.ecopart.raw.read_raw`.

    Raises
    ------
    UserError
        A table that is damaged.
    """
    casts = _casts(tables, aside)
    held = {_name(source): source for source in archives}
    bins, sizes = [], []
    for cast in casts.to_dict("records"):
        source = held.get((str(cast["project_id"]), cast["profile"])) or held.get(("", cast["profile"]))
        if source is None:
            found.append(
                finding(
                    "suspicious",
                    "volume",
                    f"there is no particle file of cast {cast['profile']!r}; its volume is unknown.",
                    value=cast["profile"],
                )
            )
            continue
        with setting_aside(aside, source):
            _add(source, cast, bins, sizes, found)
    keys = ["profile", "raw", "bin"]
    rows = (
        pd.concat(bins, ignore_index=True)
        if bins
        else pd.DataFrame(columns=[*keys, "volume", "images", "depth", "time", "row"])
    )
    extra = {
        "particles": pd.concat(sizes, ignore_index=True)
        if sizes
        else pd.DataFrame(columns=[*keys, "esd_low", "esd_high", "n", "biovolume"]),
        "objects": pd.DataFrame(columns=[*keys, "object_id"]),
        "taxa": pd.DataFrame(columns=["taxon", "hierarchy"]),
        "with taxa": [],
    }
    return casts, Table(tables["new samples"][0].source, "raw", rows, list(rows), extra=extra)


def _add(source, cast, bins, sizes, found):
    """Bins and size classes of one cast."""
    images, particles = (_uvp6 if source.name.endswith("_Particule.zip") else _uvp5)(source, cast)
    name, where = cast["profile"], {"file": str(source)}
    if images.empty:
        text = f"the particle file of cast {name!r} has no image that counts."
        found.append(finding("suspicious", "volume", text, **where))
        return
    one, classes = _binned(images, particles, cast, source)
    bins.append(one)
    sizes.append(classes)
    if one["time"].notna().any():
        text = f"profile {name!r} was taken over time; each hour is a sample at its mean depth."
        found.append(finding("suspicious", "depth", text, value=name, **where))


def _name(source):
    """Project and sample of an archive, from its place ``lpm/<project>/<sample>/``."""
    parts = source.member.split("/") if source.member else source.path.as_posix().split("/")
    stem = source.name.removesuffix("_Particule.zip").removesuffix("_work.zip")
    return (parts[-3], stem) if len(parts) >= 3 and parts[-2] == stem else ("", stem)


def _casts(tables, aside):
    projects = (
        pd.concat([table.rows for table in tables["new projects"]]).set_index("ecopart_project_id")
        if tables["new projects"]
        else None
    )
    parts = []
    for table in tables["new samples"]:
        cells = table.rows
        rows = pd.DataFrame(
            {ours: cells[theirs] if theirs in cells else np.nan for theirs, ours in SAMPLE.items()}, index=cells.index
        )
        for name in NUMBERS:
            rows[name] = column_numbers(rows[name].rename(name), table.source)
        rows["time"] = pd.to_datetime(rows["time"], errors="coerce", utc=True, format="ISO8601")
        rows["project_id"] = cells["ecopart_project_id"].astype(str)
        bad = ~((rows["lat"].abs() <= 90) & (rows["lon"].abs() <= 360))
        for row in rows.index[rows["time"].isna() | bad]:
            with setting_aside(aside, table.source):
                _refuse_place(rows.loc[row], f"{table.source}, row {row}")
        rows = rows[rows["time"].notna() & ~bad]
        parts.append(rows)
    casts = pd.concat(parts, ignore_index=True)
    for ours, theirs in (
        ("project", "ecopart_project_title"),
        ("cruise", "project_cruise_wmo"),
        ("instrument", "project_instrument_model_name"),
        ("descent", "project_enable_descent_filter"),
        ("override", "project_override_depth_offset"),
    ):
        known = projects[theirs] if projects is not None and theirs in projects else pd.Series(dtype=object)
        casts[ours] = casts["project_id"].map(known[~known.index.duplicated()])
    casts["project"] = casts["project"].astype(object).where(casts["project"].notna(), casts["project_id"])
    casts["raw"] = casts["raw"].astype(object).where(casts["raw"].notna(), casts["profile"])
    offsets = {
        name: casts[name].map(lambda cell: pd.NA if pd.isna(cell) else str(cell)) for name in ("offset", "override")
    }
    return casts.assign(
        particle_file="", taxa_file="", **{name: texts.astype("string") for name, texts in offsets.items()}
    )


def _refuse_place(cast, place):
    """Refuse a cast without time or position."""
    if pd.isna(cast["time"]):
        raise UserError(f"{place}, column 'sampling_utc_date_time': the cell of cast {cast['profile']!r} is no time.")
    raise UserError(
        f"{place}: position ({cast['lat']:g}, {cast['lon']:g}) of cast {cast['profile']!r} is outside the globe."
    )


def _member(source, wanted):
    """Text of a file inside an archive, which may lie inside another one."""
    try:
        with source.open() as stream, zipfile.ZipFile(io.BytesIO(stream.read())) as archive:
            entry = next((entry for entry in archive.infolist() if wanted(entry.filename)), None)
            if entry is None:
                raise UserError(f"{source}: the archive has none of the particle files, only {archive.namelist()[:5]}.")
            if entry.file_size > MAX_BYTES:
                raise UserError(
                    f"{source}: {entry.filename!r} unpacks to {entry.file_size} bytes, allowed are {MAX_BYTES}."
                )
            return archive.read(entry).decode("latin-1")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{source}: the archive cannot be read ({error}).") from None


def _window(names, cast):
    """Images between the first and the last one that the operator has chosen.

    A bound that is a number is that of a UVP5 image; for a UVP6, whose file
    begins with its first image, it is the rank in the sequence. A bound that is
    a name (the moment of a UVP6 image) is that image; one that no image has
    leaves its end open.
    """
    first, last = (str(cast[name]).strip() if pd.notna(cast[name]) else "" for name in ("first", "last"))
    low, high = _number(first), _number(last)
    inside = np.ones(len(names), dtype=bool)
    rank = np.arange(len(names))
    if str(cast["instrument"]).upper().startswith("UVP5"):
        number = np.array([float(name) for name in names])
        inside &= (number >= low) | ~np.isfinite(low)
        return inside & ((number <= high) | ~np.isfinite(high))
    if not np.isfinite(low) and first in names:
        inside &= rank >= names.index(first)
    if np.isfinite(high):
        inside &= (low if np.isfinite(low) else 0) + rank <= high
    elif last in names:
        inside &= rank <= len(names) - 1 - names[::-1].index(last)
    return inside


def _moments(texts):
    """Moments of images, ``20240601-100000`` or ``20240601100000_000``; none where it is not needed and not told."""
    plain = pd.Series(texts, dtype="string").str.replace(r"[-_T]", "", regex=True).str[:14]
    return pd.to_datetime(plain, format="%Y%m%d%H%M%S", errors="coerce", utc=True)


def _kept(depth, inside, cast):
    """Depth with its offset, and whether the operator and the descent filter keep the image."""
    depth = np.maximum(depth_with_offset(depth, cast["offset"], cast["override"]), 0)
    word = str(cast["descent"]).strip().lower()
    active = (
        word in ("y", "true", "1")
        or word not in ("n", "false", "0")
        and str(cast["instrument"]).upper().startswith("UVP5")
    )
    if not active or _timed(cast):
        return depth, inside & (np.isfinite(depth) | _timed(cast))
    known = inside & np.isfinite(depth)
    deepest = np.maximum.accumulate(np.where(known, depth, 0))
    return depth, known & (depth >= deepest)


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return np.nan


def _timed(cast):
    return str(cast["type"]).strip().lower().startswith("t")


def _uvp6(source, cast):
    """Images and particles of ``particules.csv``: ``time,depth,temperature,flash:area,number,grey,sd;…``."""
    names, depths, shown, found = [], [], [], []
    for row, line in enumerate(_member(source, lambda name: name.endswith("particules.csv")).splitlines(), start=1):
        head, mark, data = line.partition(":")
        if not mark or not head.startswith("20"):
            continue
        cells = head.split(",")
        try:
            depths.append(float(cells[1]))
            names.append(cells[0].strip())
            shown.append(cells[3].strip() == "1" and "OVER_EXPOSED" not in data)
            parts = [part.split(",") for part in data.split(";") if part.count(",") == 3]
            found += [(len(depths) - 1, int(part[0]), int(part[1])) for part in parts if int(part[0]) > 0]
        except (IndexError, ValueError):
            raise UserError(
                f"{source}, particules.csv, row {row}: {line[:60]!r} is no image of a UVP6 (time,depth,temperature,flash:area,number,grey,sd;…)."
            ) from None
    depth, kept = _kept(np.array(depths, dtype=float), _window(names, cast), cast)
    kept = kept & np.array(shown, dtype=bool)  # without flash an image shows the noise
    images = pd.DataFrame({"image": np.arange(len(depth)), "depth": depth, "time": _moments(names)})[kept]
    particles = pd.DataFrame(found, columns=["image", "area", "n"])
    return images, particles[particles["image"].isin(images["image"])]


def _lines(text):
    """Rows of a UVP5 file, counted from 1; its first line is a header in some versions and an image in others."""
    rows = [(row, line.split(";")) for row, line in enumerate(text.splitlines(), start=1) if line.strip()]
    return rows[1:] if rows and not rows[0][1][0].strip().isdigit() else rows


def _uvp5(source, cast):
    """Images of the ``datfile`` and particles of the ``bru`` file, one per line."""
    rows = _lines(_member(source, lambda name: name.endswith(("_datfile.txt", ".dat"))))
    number, pressure, moments = [], [], []
    for row, cells in rows:
        if len(cells) < 3 or not cells[0].strip() or not cells[2].strip():
            continue
        try:
            number.append(int(cells[0]))
            moments.append(cells[1].strip())
            pressure.append(float(cells[2].strip().split("*")[0]))
        except ValueError:
            raise UserError(
                f"{source}, datfile, row {row}: {';'.join(cells)[:60]!r} is no image of a UVP5 (number;time;pressure;…)."
            ) from None
    number, depth = np.array(number, dtype=int), np.array(pressure) * 0.1
    depth, kept = _kept(depth, _window(number.tolist(), cast), cast)
    images = pd.DataFrame({"image": number, "depth": depth, "time": _moments(moments)})[kept]
    found = []
    for row, cells in _lines(_member(source, lambda name: name.endswith((".bru", ".bru1")))):
        try:
            found.append((int(cells[0]), int(cells[2])))
        except (IndexError, ValueError):
            raise UserError(
                f"{source}, bru, row {row}: {';'.join(cells)[:60]!r} is no particle of a UVP5 (image;number;area;grey;…)."
            ) from None
    particles = pd.DataFrame(found, columns=["image", "area"]).assign(n=1)
    return images, particles[particles["image"].isin(images["image"]) & (particles["area"] > 0)]


def _binned(images, particles, cast, source):
    for name in ("image_volume", "aa", "exp"):
        if not cast[name] > 0:
            raise UserError(
                f"{source}: {name} of cast {cast['profile']!r} is {cast[name]:g} in samples.tsv, needed is a number above 0."
            )
    start = images["time"].min().floor("h") if _timed(cast) and images["time"].notna().all() else pd.NaT
    timed = pd.notna(start)
    if timed:
        place = (images["time"].dt.floor("h") - start) // pd.Timedelta(hours=1) * 1.0
    else:
        place = np.full(len(images), np.nan) if _timed(cast) else np.floor(images["depth"] / BIN)
    images = images.assign(bin=place)
    grouped = images.groupby("bin", dropna=False)
    counted = grouped.size()
    name = {"profile": cast["profile"], "raw": cast["raw"]}
    bins = pd.DataFrame(
        {
            "bin": counted.index,
            "images": counted.to_numpy(),
            "volume": counted.to_numpy() * cast["image_volume"],
            "depth": grouped["depth"].mean().round(1).to_numpy() if timed else np.nan,
            "time": start + pd.to_timedelta(counted.index + 0.5, unit="h") if timed else pd.NaT,
            "row": 2,
        }
    ).assign(**name)
    seen = particles.merge(images[["image", "bin"]], on="image")
    return bins, binned_sizes(seen, cast["aa"], cast["exp"]).assign(**name)
