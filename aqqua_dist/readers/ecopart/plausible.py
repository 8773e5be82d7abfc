"""What a UVP can have seen: bounds of sizes and calibrations, and plankton that was sized with a pixel in the wrong unit."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.core.units import pixel_size
from aqqua_dist.readers.ecopart.headers import taxon_names
from aqqua_dist.readers.ecopart.taxa import taxon_columns

LARGEST_ESD = 300.0
"""No diameter (mm) is larger: the widest image of a UVP is about 0.2 m by 0.25 m, and a disc of that area measures 0.25 m."""
ONE_PIXEL = 2 / np.sqrt(np.pi)
"""Diameter of the disc whose area is one pixel, in pixels."""
EXPONENTS = (1.0, 1.5)
"""Plausible exponents of the calibration; real ones are 1 to 1.25."""
SLOPES = (1e-4, 0.1)
"""Plausible ``aa`` (mm2): one pixel is then a disc of 0.011 to 0.36 mm."""
EMPTY_BINS, EMPTY_SHARE = 10, 0.5
"""Bins without any particle from which on, and from which share of the bins on, a cast is reported."""


def mean_esd(biovolume, n):
    """Diameter of the sphere of mean volume.

    Parameters
    ----------
    biovolume : array_like
        mm3, or mm3 L-1 where `n` is L-1.
    n : array_like
        Number of objects, same shape.

    Returns
    -------
    numpy.ndarray
        mm; NaN where there is no object or no biovolume.
    """
    biovolume, n = np.asarray(biovolume, dtype=float), np.asarray(n, dtype=float)
    known = (n > 0) & (biovolume > 0)
    return np.where(known, np.cbrt(6 / np.pi * biovolume / np.where(known, n, 1)), np.nan)


def seen_biovolume(table, n, size):
    """Biovolume of particles, missing in a table where particles are larger than any image.

    Parameters
    ----------
    table : Table
        Takes the finding.
    n, size : numpy.ndarray
        Particles and their biovolume (mm3) per row and size class.

    Returns
    -------
    numpy.ndarray
        As `size`; all missing where one cell cannot be.
    """
    diameter = mean_esd(size, n)
    beyond = diameter > LARGEST_ESD
    if not beyond.any():
        return size
    row = int(np.argwhere(beyond)[0][0])
    table.findings.append(
        finding(
            "refused",
            "size",
            f"{int(beyond.sum())} cells hold particles of {np.nanmax(diameter):.3g} mm by their biovolume, the largest that a UVP can see is "
            f"{LARGEST_ESD:g} mm; the biovolumes of this table are given as missing.",
            file=str(table.source),
            row=int(table.rows["row"].iloc[row]),
            value=f"{np.nanmax(diameter):.6g}",
        )
    )
    return np.full_like(size, np.nan)


def settle_plankton_sizes(tables, found):
    """Undo sizes of plankton that were computed with a pixel in µm taken as mm, and take away those that cannot be.

    EcoPart multiplies the area of an object by the squared pixel of the
    project. Where that pixel is in µm (UVP6: 73) the diameters are 1e3 and the
    biovolumes 1e9 times too large. No object is smaller than one pixel and
    none larger than `LARGEST_ESD`: of the two readings mostly one is left.

    Parameters
    ----------
    tables : list of tuple
        Tables of taxa of one export, each with its rows joined to their casts
        (``key, pixel`` as in the metadata summary). Columns of biovolume and
        of mean diameter are changed in place.
    found : list of dict
        Takes what was repaired or refused.
    """
    seen = [(table, rows, _diameters(table)) for table, rows in tables if len(rows)]
    inside = [(rows["pixel"] > 1).to_numpy() for _, rows, _ in seen]
    sizes = [diameter[mine] for (_, _, diameter), mine in zip(seen, inside, strict=True)]
    pixels = [
        np.broadcast_to(rows["pixel"].to_numpy()[mine, None], diameter[mine].shape)
        for (_, rows, diameter), mine in zip(seen, inside, strict=True)
    ]
    flat = np.concatenate([part.ravel() for part in sizes]) if sizes else np.array([])
    pixel = np.concatenate([part.ravel() for part in pixels]) if pixels else np.array([])
    known = flat > 0
    reading = _reading(flat[known], pixel[known])
    for (table, rows, diameter), mine in zip(seen, inside, strict=True):
        if reading != "mm" and mine.any():
            _change(table, mine, 1e3 if reading == "um" else None)
        beyond = (diameter > LARGEST_ESD).any(axis=1) & ~mine
        if beyond.any():
            _refuse_casts(table, rows, diameter, beyond, found)
    if reading == "mm":
        return
    table, rows, _ = next(line for line, mine in zip(seen, inside, strict=True) if mine.any())
    casts = len({key for (_, rows, _), mine in zip(seen, inside, strict=True) for key in rows.loc[mine, "key"]})
    start = f"the summary has a pixel of {pixel[known][0]:g} for {casts} casts, which is µm; their plankton would measure up to {flat[known].max():.5g} mm"
    if reading == "um":
        message = f"{start}: it was taken as mm, and biovolumes were divided by 1e9, mean diameters by 1e3."
        found.append(finding("repaired", "pixel", message, file=str(table.source), value=f"{pixel[known][0]:g}"))
    else:
        message = (
            f"{start}, and the objects do not tell whether it was taken as mm; their biovolumes are given as missing."
        )
        found.append(finding("refused", "pixel", message, file=str(table.source), value=f"{pixel[known][0]:g}"))


def _reading(diameter, pixel):
    """Unit in which the pixels were taken: ``mm`` (the sizes are right), ``um`` or an empty text."""
    if not len(diameter):
        return "mm"
    at_least_a_pixel = (diameter >= ONE_PIXEL * pixel * (1 - 1e-6)).all()
    if (diameter <= LARGEST_ESD).all():
        return "" if at_least_a_pixel else "mm"
    return "um" if at_least_a_pixel else ""


def _size_columns(table):
    """Columns of biovolume and of mean diameter, as far as the table has them."""
    known, _ = taxon_names(tuple(table.columns))
    return {name: what for name, (_, what, _) in known.items() if what and name in table.rows}


def _diameters(table):
    """Diameter of the mean object (mm) per row and taxon."""
    columns = taxon_columns(table)
    counted = [count for count, _ in columns.values()]
    n = table.rows[counted].to_numpy(dtype=float) / 1000
    volume = table.rows.reindex(columns=[size or "" for _, size in columns.values()]).to_numpy(dtype=float)
    return mean_esd(volume, n)


def _change(table, rows, factor):
    """Sizes of some rows divided by a factor (of the diameter), or missing."""
    for name, what in _size_columns(table).items():
        values = table.rows[name].to_numpy(dtype=float).copy()
        values[rows] = np.nan if factor is None else values[rows] / (factor**3 if what == "biovolume" else factor)
        table.rows[name] = values


def _refuse_casts(table, rows, diameter, beyond, found):
    casts = rows.loc[beyond, "key"].unique()
    _change(table, rows["key"].isin(casts).to_numpy(), None)
    found.append(
        finding(
            "refused",
            "size",
            f"{len(casts)} casts, first {casts[0]!r}, hold plankton of up to {np.nanmax(diameter[beyond]):.5g} mm by its biovolume, the largest "
            f"that a UVP can see is {LARGEST_ESD:g} mm; their biovolumes are given as missing.",
            file=str(table.source),
            row=int(rows.loc[beyond, "row"].iloc[0]),
            value=casts[0],
        )
    )


def impossible_calibrations(casts, found):
    """Report casts whose ``aa`` or exponent no UVP has.

    Parameters
    ----------
    casts : pandas.DataFrame
        ``key, aa, exp, file``.
    found : list of dict
        Takes one finding per cast.
    """
    for name, (low, high) in (("aa", SLOPES), ("exp", EXPONENTS)):
        values = pd.to_numeric(casts[name]) if name in casts else pd.Series(dtype=float)
        for row in values.index[(values < low) | (values > high)]:
            found.append(
                finding(
                    "suspicious",
                    "calibration",
                    f"{name} {values[row]:g} of cast {casts.loc[row, 'key']!r} is outside {low:g} to {high:g}; its particles are in wrong size "
                    "classes, or in none.",
                    file=str(casts.loc[row, "file"]) if "file" in casts else None,
                    column=name,
                    value=f"{values[row]:g}",
                )
            )


def report_empty_casts(table, rows, n):
    """Report casts that have no particle in any class in many bins.

    Parameters
    ----------
    table : Table
        Takes the findings.
    rows : pandas.DataFrame
        ``key, aa, exp, row`` of its rows.
    n : numpy.ndarray
        Particles per row and class; NaN where a class is not told.
    """
    none = pd.Series(~(np.nan_to_num(n) > 0).any(axis=1), index=rows.index)
    for key, mine in none.groupby(rows["key"], sort=False):
        if mine.sum() >= EMPTY_BINS and mine.mean() >= EMPTY_SHARE:
            first = rows.loc[mine.index[mine][0]]
            table.findings.append(
                finding(
                    "suspicious",
                    "calibration",
                    f"cast {key!r} has no particle in any class in {int(mine.sum())} of its {len(mine)} bins (aa {first['aa']:g}, exp "
                    f"{first['exp']:g}); the sea is never so empty.",
                    file=str(table.source),
                    row=int(first["row"]),
                    value=key,
                )
            )


def pixels_in_micrometres(casts, found):
    """Pixels of casts in µm, whatever unit the summary keeps them in.

    Parameters
    ----------
    casts : pandas.DataFrame
        ``key, pixel``.
    found : list of dict
        Takes what could not be decided.

    Returns
    -------
    numpy.ndarray
        µm; NaN where the unit cannot be told.
    """
    given = pd.to_numeric(casts["pixel"]).to_numpy(dtype=float)
    pixels = np.full(len(casts), np.nan)
    for value in np.unique(given[given > 0]):
        try:
            pixels[given == value] = pixel_size(value, "detect", place="Pixel size")
        except UserError as error:
            first = casts["key"].iloc[int(np.flatnonzero(given == value)[0])]
            found.append(
                finding(
                    "suspicious",
                    "pixel",
                    f"cast {first!r}: {error}",
                    file=str(casts["file"].iloc[0]),
                    value=f"{value:g}",
                )
            )
    return pixels
