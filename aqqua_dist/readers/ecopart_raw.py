"""Raw files of EcoPart: images and particles per metre, objects one by one, binned as the exporter bins them."""

import numpy as np
import pandas as pd

from aqqua_dist.errors import UserError
from aqqua_dist.readers.ecopart_tables import BIN, OPEN, Table, numbers
from aqqua_dist.readers.ingested import finding
from aqqua_dist.traits import esd, esd_uvp, sphere
from aqqua_dist.units import pixel_size

LIMITS = (0.001, 0.00126, 0.00159, 0.002, 0.00252, 0.00317, 0.004, 0.00504, 0.00635, 0.008, 0.0101, 0.0127, 0.016, 0.0202, 0.0254, 0.032, 0.0403, 0.0508,
          0.064, 0.0806, 0.102, 0.128, 0.161, 0.203, 0.256, 0.323, 0.406, 0.512, 0.645, 0.813, 1.02, 1.29, 1.63, 2.05, 2.58, 3.25, 4.1, 5.16, 6.5, 8.19,
          10.3, 13.0, 16.4, 20.6, 26.0, OPEN)
"""Limits (mm) of the 45 classes of detailed exports."""
STATUSES = {"V": "validated", "P": "predicted", "D": "dubious"}
KEYS = ["profile", "raw", "bin"]


def read_raw(tables, found):
    """Raw tables of one export, binned.

    Parameters
    ----------
    tables : dict of str to list of Table
        By kind; ``summary`` names the files and has the calibration.
    found : list of dict
        Takes what is odd.

    Returns
    -------
    Table
        ``rows``: ``profile, raw, bin`` (number of the bin of 5 m), ``volume``
        (L) and ``images``; ``extra``: ``particles``, ``objects``, ``taxa`` and
        the profiles ``with taxa``.

    Raises
    ------
    UserError
        A file that the summary does not name, or a cast without calibration.
    """
    casts = pd.concat([table.rows for table in tables["summary"]], ignore_index=True) if tables["summary"] else pd.DataFrame()
    first = (tables["raw particles"] + tables["raw taxa"])[0]
    if casts.empty or "image_volume" not in casts:
        raise UserError(f"{first.source}: there is no raw metadata summary beside it, which has the calibration and the position of the casts.")
    bins, sizes, objects, taxa = [], [], [], []
    for table in tables["raw particles"]:
        cast = _cast(table, casts, "particle_file")
        if cast is not None:
            one, classes = _particles(table, cast, found)
            bins.append(one)
            sizes.append(classes)
    held = {(row.profile, row.raw) for part in bins for row in part[["profile", "raw"]].drop_duplicates().itertuples()}
    for table in tables["raw taxa"]:
        cast = _cast(table, casts, "taxa_file")
        if cast is None or (cast["profile"], cast["raw"]) not in held:
            found.append(finding(
                "suspicious", "volume", "the raw particle table of this cast is missing, and with it the number of images; its objects were left out.",
                file=str(table.source)))
            continue
        part = _objects(table, cast, pd.concat(bins, ignore_index=True))
        objects.append(part[0])
        taxa.append(part[1])
    rows = pd.concat(bins, ignore_index=True) if bins else pd.DataFrame(columns=[*KEYS, "volume", "images", "row"])
    empty = pd.DataFrame(columns=[*KEYS, "object_id", "label", "status"])
    extra = {
        "particles": pd.concat(sizes, ignore_index=True) if sizes else pd.DataFrame(columns=[*KEYS, "esd_low", "esd_high", "n", "biovolume"]),
        "objects": pd.concat(objects, ignore_index=True) if objects else empty,
        "taxa": pd.concat(taxa, ignore_index=True).drop_duplicates() if taxa else pd.DataFrame(columns=["taxon", "hierarchy"]),
        "with taxa": sorted({part["profile"].iloc[0] for part in objects if len(part)})}
    return Table(first.source, "raw", rows, list(rows), extra=extra)


def _cast(table, casts, column):
    mine = casts[casts[column] == table.source.name]
    if len(mine) == 1:
        return mine.iloc[0]
    parts = table.source.name.split("_PAR_raw_")[0].split("_ZOO_raw_")[0]
    mine = casts[(casts["raw"].str.removeprefix("HDR") + "_" + casts["profile"]) == parts]
    return mine.iloc[0] if len(mine) == 1 else None


def _offset(cast):
    """Distance of the camera from the pressure sensor (m): the project's, else the cast's, else none."""
    return next((float(value) for value in (cast["default_offset"], cast["offset"]) if np.isfinite(value)), 0.0)


def _by_depth(cast):
    return str(cast["by_depth"]).strip().lower() not in ("false", "f", "0")


def _particles(table, cast, found):
    """Bins of one cast with their volume, and particles per size class."""
    rows = pd.DataFrame({name: numbers(table.rows[name], table.source) for name in ("depth", "imgcount", "area", "nbr")})
    for name in ("image_volume", "aa", "exp"):
        if not cast[name] > 0:
            raise UserError(f"{table.source}: {name} of profile {cast['profile']!r} is {cast[name]:g} in the summary, needed is a number above 0.")
    bad = (rows[["imgcount", "area", "nbr"]] < 0).any(axis=1) | rows["imgcount"].isna() | (rows["area"].isna() != rows["nbr"].isna())
    if bad.any():
        raise UserError(f"{table.source}, row {rows.index[bad][0]}: images {rows['imgcount'][bad].iloc[0]:g}, area {rows['area'][bad].iloc[0]:g} px and number "
                        f"{rows['nbr'][bad].iloc[0]:g} do not go together.")
    name = {"profile": cast["profile"], "raw": cast["raw"]}
    if _by_depth(cast):
        if rows["depth"].isna().any():
            raise UserError(f"{table.source}, row {rows.index[rows['depth'].isna()][0]}, column 'depth': the cell is empty.")
        rows["bin"] = np.floor(np.maximum(rows["depth"] + _offset(cast), 0) / BIN)
    else:
        rows["bin"] = np.nan
        found.append(finding("suspicious", "depth", f"profile {cast['profile']!r} was taken at one depth over time; it is one sample without a depth.",
                             file=str(table.source)))
    once = rows.drop_duplicates("depth") if _by_depth(cast) else rows.drop_duplicates(["depth", "imgcount"])
    images = once.groupby("bin", dropna=False)["imgcount"].sum()
    bins = pd.DataFrame({"bin": images.index, "images": images.to_numpy(), "volume": images.to_numpy() * cast["image_volume"], "row": rows.index[0] if len(rows) else 2})
    seen = rows[rows["nbr"] > 0].rename(columns={"nbr": "n"})
    return bins.assign(**name), binned_sizes(seen, cast["aa"], cast["exp"]).assign(**name)


def binned_sizes(particles, aa, exponent):
    """Particles per bin and size class.

    Parameters
    ----------
    particles : pandas.DataFrame
        ``bin``, ``area`` (px) and ``n``.
    aa, exponent : float
        Calibration, as for `aqqua_dist.traits.esd_uvp`.

    Returns
    -------
    pandas.DataFrame
        ``bin, n, biovolume`` (mm3), ``esd_low, esd_high`` (mm), on `LIMITS`.
    """
    diameter = esd_uvp(particles["area"], aa, exponent) / 1e3
    place = np.searchsorted(LIMITS, diameter, side="right") - 1
    inside = (place >= 0) & (place < len(LIMITS) - 1)
    sizes = pd.DataFrame({"bin": particles["bin"], "place": place, "n": particles["n"], "biovolume": sphere(diameter * 1e3) * particles["n"]})[inside]
    sizes = sizes.groupby(["bin", "place"], dropna=False)[["n", "biovolume"]].sum().reset_index()
    return sizes.assign(esd_low=np.array(LIMITS)[sizes["place"]], esd_high=np.array(LIMITS)[sizes["place"] + 1]).drop(columns="place")


def _objects(table, cast, bins):
    """Objects of one cast in their bins."""
    rows = table.rows
    status = rows["classif_qual"].fillna("").map(STATUSES).where(rows["classif_qual"].notna(), "unclassified")
    if status.isna().any():
        row = rows.index[status.isna()][0]
        raise UserError(f"{table.source}, row {row}, column 'classif_qual': {rows['classif_qual'][row]!r} is none of {sorted(STATUSES)}.")
    depth = numbers(rows["depth_including_offset"], table.source)
    known = set(bins[(bins["profile"] == cast["profile"]) & (bins["raw"] == cast["raw"])]["bin"])
    place = np.floor(np.maximum(depth, 0) / BIN) if _by_depth(cast) else pd.Series(np.nan, index=rows.index)
    lost = ~place.isin(known) & place.notna()
    if lost.any():
        row = rows.index[lost][0]
        raise UserError(f"{table.source}, row {row}, column 'depth_including_offset': no image was taken in the bin of {depth[row]:g} m.")
    area = numbers(rows["area"], table.source)
    pixel = float(pixel_size(cast["pixel"], "detect", place=f"{table.source}, acq_pixel")) if cast["pixel"] > 0 else np.nan
    part = pd.DataFrame({
        "profile": cast["profile"], "raw": cast["raw"], "bin": place, "object_id": rows["objid"].fillna(rows["orig_id"]), "label": rows["name"],
        "status": status, "area": area, "pixel": pixel, "esd": esd(area, pixel) if pixel > 0 else np.nan, "depth": depth})
    lines = pd.DataFrame({"taxon": rows["name"], "hierarchy": rows["taxo_hierarchy"]}).dropna().drop_duplicates()
    return part.reset_index(drop=True), lines


