"""Raw files of EcoPart: images and particles per metre, objects one by one, binned as the exporter bins them.

Source: GenerateParticleHistogram and the export task (github.com/ecotaxa/ecopart,
f6f2f7e). Depths in the particle file hold the offset of the camera already. A
metre of a UVP5 cast with images but without any particle is not in the file, so
that volumes are slightly low, there and in the exporter's own tables.
"""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.core.units import pixel_size
from aqqua_dist.organisms.sizes import esd, esd_uvp, sphere
from aqqua_dist.readers.ecopart.headers import OPEN
from aqqua_dist.readers.ecopart.tables import BIN, Table, column_numbers
from aqqua_dist.readers.set_aside import setting_aside

LIMITS = (
    0.001,
    0.00126,
    0.00159,
    0.002,
    0.00252,
    0.00317,
    0.004,
    0.00504,
    0.00635,
    0.008,
    0.0101,
    0.0127,
    0.016,
    0.0202,
    0.0254,
    0.032,
    0.0403,
    0.0508,
    0.064,
    0.0806,
    0.102,
    0.128,
    0.161,
    0.203,
    0.256,
    0.323,
    0.406,
    0.512,
    0.645,
    0.813,
    1.02,
    1.29,
    1.63,
    2.05,
    2.58,
    3.25,
    4.1,
    5.16,
    6.5,
    8.19,
    10.3,
    13.0,
    16.4,
    20.6,
    26.0,
    OPEN,
)
"""Limits (mm) of the 45 classes of detailed exports."""
STATUSES = {"V": "validated", "P": "predicted", "D": "dubious"}
UNTOLD = ("N", "X")
"""Letters of objects that the export holds and whose status it does not tell: not validated, discarded."""
KEYS = ["profile", "raw", "bin"]
PRESSURE, MOMENT = "pressure [db]", "time [yyyymmddhhmmssmmm]"


def read_raw(tables, found, aside):
    """Raw tables of one export, binned.

    Parameters
    ----------
    tables : dict of str to list of Table
        By kind; ``summary`` names the files and has the calibration.
    found : list of dict
        Takes what is odd.
    aside : aqqua_dist.readers.set_aside.Aside
        Takes files that cannot be read, casts without calibration, and
        objects without the particle table of their cast.

    Returns
    -------
    Table
        ``rows``: ``profile, raw, bin`` (number of the bin of 5 m, or of the
        hour of a cast over time), ``volume`` (L), ``images``, and for casts
        over time ``depth`` (m) and ``time``; ``extra``: ``particles``,
        ``objects``, ``taxa``, ``conditions`` and the profiles ``with taxa``.

    Raises
    ------
    UserError
        There is no summary.
    """
    casts = (
        pd.concat([table.rows for table in tables["summary"]], ignore_index=True)
        if tables["summary"]
        else pd.DataFrame()
    )
    first = (tables["raw particles"] + tables["raw taxa"])[0]
    if casts.empty or "image_volume" not in casts:
        raise UserError(
            f"{first.source}: there is no raw metadata summary beside it, which has the calibration and the position of the casts."
        )
    bins, sizes, objects, taxa, conditions = [], [], [], [], []
    for table in tables["raw particles"]:
        with setting_aside(aside, table.source):
            cast = _cast(table, casts, "particle_file", found)
            if cast is not None:
                one, classes = _particles(table, cast, found)
                bins.append(one)
                sizes.append(classes)
    rows = (
        pd.concat(bins, ignore_index=True)
        if bins
        else pd.DataFrame(columns=[*KEYS, "volume", "images", "depth", "time", "row"])
    )
    held = set(zip(rows["profile"], rows["raw"], strict=True))
    for table in tables["raw taxa"]:
        with setting_aside(aside, table.source):
            cast = _cast(table, casts, "taxa_file", found)
            if cast is None or (cast["profile"], cast["raw"]) not in held:
                name = cast["profile"] if cast is not None else "of several projects"
                raise UserError(
                    f"{table.source}: there is no raw particle table of cast {name!r} that can be read, and with it no number of images; its "
                    f"{len(table.rows)} objects were left out."
                )
            part = _objects(table, cast, rows, found)
            objects.append(part[0])
            taxa.append(part[1])
    for table in tables["raw conditions"]:
        with setting_aside(aside, table.source):
            cast = _cast(table, casts, "ctd_file", found)
            if cast is not None:
                means = mean_conditions(table).reset_index()
                conditions.append(means.assign(profile=cast["profile"], raw=cast["raw"]))
    empty = pd.DataFrame(columns=[*KEYS, "object_id", "label", "status"])
    extra = {
        "particles": pd.concat(sizes, ignore_index=True)
        if sizes
        else pd.DataFrame(columns=[*KEYS, "esd_low", "esd_high", "n", "biovolume"]),
        "objects": pd.concat(objects, ignore_index=True) if objects else empty,
        "taxa": pd.concat(taxa, ignore_index=True).drop_duplicates()
        if taxa
        else pd.DataFrame(columns=["taxon", "hierarchy"]),
        "conditions": pd.concat(conditions, ignore_index=True) if conditions else pd.DataFrame(columns=KEYS),
        "with taxa": sorted({(part["profile"].iloc[0], part["raw"].iloc[0]) for part in objects if len(part)}),
    }
    return Table(first.source, "raw", rows, list(rows), extra=extra)


def _cast(table, casts, column, found):
    mine = casts[casts[column] == table.source.name]
    if mine.empty:
        stem = table.source.name.split("_PAR_raw_")[0].split("_ZOO_raw_")[0].split("_CTD_raw_")[0]
        mine = casts[(casts["raw"].str.removeprefix("HDR") + "_" + casts["profile"]) == stem]
    if mine.empty:
        raise UserError(
            f"{table.source}: no cast of the metadata summary has this file, allowed are its {len(casts)} casts."
        )
    same = mine[["aa", "exp", "image_volume", "pixel"]].drop_duplicates()
    if len(same) > 1:
        found.append(
            finding(
                "refused",
                "duplicate",
                f"cast {mine['profile'].iloc[0]!r} stands in {len(mine)} projects with different calibrations under one file name, and the "
                "file does not say of which it is; it was left out.",
                file=str(table.source),
                value=mine["profile"].iloc[0],
            )
        )
        return None
    return mine.iloc[0]


def _by_depth(cast):
    return str(cast["by_depth"]).strip().lower() not in ("false", "f", "0")


def _particles(table, cast, found):
    """Bins of one cast with their volume, and particles per size class."""
    rows = pd.DataFrame(
        {name: column_numbers(table.rows[name], table.source) for name in ("depth", "imgcount", "area", "nbr")}
    )
    for name in ("image_volume", "aa", "exp"):
        if not cast[name] > 0:
            raise UserError(
                f"{table.source}: {name} of profile {cast['profile']!r} is {cast[name]:g} in the summary, needed is a number above 0."
            )
    bad = (
        (rows[["imgcount", "area", "nbr"]] < 0).any(axis=1)
        | rows["imgcount"].isna()
        | (rows["area"].isna() != rows["nbr"].isna())
    )
    if bad.any():
        raise UserError(
            f"{table.source}, row {rows.index[bad][0]}: images {rows['imgcount'][bad].iloc[0]:g}, area {rows['area'][bad].iloc[0]:g} px and number "
            f"{rows['nbr'][bad].iloc[0]:g} do not go together."
        )
    if rows["depth"].isna().any():
        raise UserError(
            f"{table.source}, row {rows.index[rows['depth'].isna()][0]}, column 'depth': the cell is empty."
        )
    hours = None if _by_depth(cast) else _hours(table)
    rows["slice"] = rows["depth"] if hours is None else hours
    differ = rows.groupby("slice")["imgcount"].transform("nunique") > 1
    if differ.any():
        raise UserError(
            f"{table.source}, row {rows.index[differ][0]}, column 'imgcount': {rows['imgcount'][differ].iloc[0]:g} is not as in the other rows of "
            f"{rows['slice'][differ].iloc[0]}; all rows of one depth or moment have the same number of images."
        )
    start = None if hours is None else hours.min().floor("h")
    rows["bin"] = (
        np.floor(np.maximum(rows["depth"], 0) / BIN)
        if hours is None
        else (hours.dt.floor("h") - start) // pd.Timedelta(hours=1) * 1.0
    )
    once = rows.drop_duplicates("slice").groupby("bin")
    bins = once["imgcount"].sum().rename("images").reset_index()
    bins = bins.assign(volume=bins["images"] * cast["image_volume"], row=rows.index[0] if len(rows) else 2)
    timed = hours is not None
    bins["depth"] = once["depth"].mean().round(1).to_numpy() if timed else np.nan
    bins["time"] = start + pd.to_timedelta(bins["bin"] + 0.5, unit="h") if timed else pd.NaT
    if timed:
        found.append(
            finding(
                "suspicious",
                "depth",
                f"profile {cast['profile']!r} was taken over time; each hour is a sample at its mean depth.",
                file=str(table.source),
                value=cast["profile"],
            )
        )
    name = {"profile": cast["profile"], "raw": cast["raw"]}
    seen = rows[rows["nbr"] > 0].rename(columns={"nbr": "n"})
    return bins[bins["images"] > 0].assign(**name), binned_sizes(seen, cast["aa"], cast["exp"]).assign(**name)


def _hours(table):
    """Times of the rows of a cast over time."""
    if "datetime" not in table.rows:
        raise UserError(
            f"{table.source}: column 'datetime' is missing, needed for a cast over time; the table has {list(table.rows)[:12]}."
        )
    texts = table.rows["datetime"].astype("str").str.removesuffix(".0")
    hours = pd.to_datetime(texts, format="%Y%m%d%H%M%S", errors="coerce", utc=True)
    if hours.isna().any():
        row = hours.index[hours.isna()][0]
        raise UserError(
            f"{table.source}, row {row}, column 'datetime': {table.rows['datetime'][row]!r} is no time of the form YYYYMMDDhhmmss."
        )
    return hours


def binned_sizes(particles, aa, exponent):
    """Particles per bin and size class.

    Parameters
    ----------
    particles : pandas.DataFrame
        ``bin``, ``area`` (px) and ``n``.
    aa, exponent : float
        Calibration, as for `aqqua_dist.organisms.sizes.esd_uvp`.

    Returns
    -------
    pandas.DataFrame
        ``bin, n, biovolume`` (mm3), ``esd_low, esd_high`` (mm), on `LIMITS`.
    """
    diameter = esd_uvp(particles["area"], aa, exponent) / 1e3
    place = np.searchsorted(LIMITS, diameter, side="right") - 1
    inside = (place >= 0) & (place < len(LIMITS) - 1)
    sizes = pd.DataFrame(
        {
            "bin": particles["bin"],
            "place": place,
            "n": particles["n"],
            "biovolume": sphere(diameter * 1e3) * particles["n"],
        }
    )[inside]
    sizes = sizes.groupby(["bin", "place"], dropna=False)[["n", "biovolume"]].sum().reset_index()
    return sizes.assign(esd_low=np.array(LIMITS)[sizes["place"]], esd_high=np.array(LIMITS)[sizes["place"] + 1]).drop(
        columns="place"
    )


def calibration_share(n, biovolume, aa, exponent):
    """How well a calibration explains the particles that are alone in their size class.

    The area of one particle, found back from its biovolume, is a whole number
    of pixels with the calibration it was computed with, and with no other.

    Parameters
    ----------
    n : array_like
        Number of particles in cells of bin and class.
    biovolume : array_like
        Their biovolume, mm3, same shape.
    aa, exponent : float
        Calibration, as for `aqqua_dist.organisms.sizes.esd_uvp`.

    Returns
    -------
    float
        Share of the particles with an area within 0.001 px of a whole number;
        NaN where no class holds a single particle.
    """
    alone = np.asarray(biovolume, dtype=float)[np.abs(np.asarray(n, dtype=float) - 1) < 1e-6]
    alone = alone[alone > 0]
    if not len(alone) or not (aa > 0 and exponent > 0):
        return np.nan
    area = (np.pi / 4 * (6 * alone / np.pi) ** (2 / 3) / aa) ** (1 / exponent)
    return float(np.mean(np.abs(area - np.round(area)) < 1e-3))


def mean_conditions(table):
    """CTD values averaged in bins of 5 m, as the exporter does it: by pressure, without empty cells.

    Parameters
    ----------
    table : Table
        Of kind ``raw conditions``.

    Returns
    -------
    pandas.DataFrame
        Index ``bin``; the columns of the file without its times.

    Raises
    ------
    UserError
        A cell that is no number.
    """
    values = pd.DataFrame(
        {name: column_numbers(table.rows[name], table.source) for name in table.rows if name and name != MOMENT}
    )
    place = np.floor(values[PRESSURE] / BIN).rename("bin")
    return values.groupby(place).mean()


def _objects(table, cast, bins, found):
    """Objects of one cast in their bins; without a bin where the cast is one over time."""
    rows = table.rows
    letters = rows["classif_qual"].astype("string").str.strip().str.upper()
    status = letters.map(STATUSES).astype(object).where(letters.notna(), "unclassified")
    wrong = status.isna() & ~letters.isin(UNTOLD)
    if wrong.any():
        row = rows.index[wrong][0]
        raise UserError(
            f"{table.source}, row {row}, column 'classif_qual': {rows['classif_qual'][row]!r} is none of {[*sorted(STATUSES), *UNTOLD]}."
        )
    untold = letters.isin(UNTOLD)
    if untold.any():
        told = ", ".join(f"{count} {letter!r}" for letter, count in letters[untold].value_counts().items())
        message = f"{int(untold.sum())} of {len(rows)} objects have a status that tells no more than that nobody validated them ({told}); they are kept, their status is missing."
        where = {"file": str(table.source), "row": int(rows.index[untold][0]), "column": "classif_qual"}
        found.append(finding("suspicious", "status", message, value=letters[untold].iloc[0], **where))
    if rows.empty:
        message = f"the table of objects of cast {cast['profile']!r} has a header and no row: whether nothing was found or nobody looked is not told, and the cast has no counts."
        found.append(finding("suspicious", "taxa", message, file=str(table.source), row=1, value=cast["profile"]))
    elif "area" not in rows:
        message = f"the table of objects of cast {cast['profile']!r} has no column 'area'; the sizes of its {len(rows)} objects are missing."
        found.append(finding("suspicious", "size", message, file=str(table.source), row=1, column="area"))
    depth = column_numbers(rows["depth_including_offset"], table.source)
    known = set(bins[(bins["profile"] == cast["profile"]) & (bins["raw"] == cast["raw"])]["bin"])
    place = np.floor(np.maximum(depth, 0) / BIN) if _by_depth(cast) else pd.Series(np.nan, index=rows.index)
    lost = ~place.isin(known) if _by_depth(cast) else pd.Series(False, index=rows.index)
    if lost.any():
        found.append(
            finding(
                "refused",
                "volume",
                f"{int(lost.sum())} objects, first at {depth[lost].iloc[0]:g} m, lie in bins in which no image was taken; they were left out.",
                file=str(table.source),
                row=int(rows.index[lost][0]),
                column="depth_including_offset",
                value=depth[lost].iloc[0],
            )
        )
    area = column_numbers(rows["area"], table.source) if "area" in rows else pd.Series(np.nan, index=rows.index)
    pixel = (
        float(pixel_size(cast["pixel"], "detect", place=f"{table.source}, acq_pixel")) if cast["pixel"] > 0 else np.nan
    )
    part = pd.DataFrame(
        {
            "profile": cast["profile"],
            "raw": cast["raw"],
            "bin": place,
            "object_id": rows["objid"].fillna(rows["orig_id"]),
            "label": rows["name"],
            "status": status,
            "area": area,
            "pixel": pixel,
            "esd": esd(area, pixel) if pixel > 0 else np.nan,
            "depth": depth,
        }
    )
    lines = pd.DataFrame({"taxon": rows["name"], "hierarchy": rows["taxo_hierarchy"]}).dropna().drop_duplicates()
    return part[~lost].reset_index(drop=True), lines
