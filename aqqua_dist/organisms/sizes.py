"""From the size of an image in pixels to diameter, biovolume, carbon and silica.

Equivalent spherical diameters are in µm and biovolumes in mm3, as in the
tables `objects` and `counts`. Pixel sizes are in µm after `pixel_size`.
"""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.units import pixel_size

UM3_PER_MM3 = 1e9


def esd(area, pixel):
    """Equivalent spherical diameter of an image, 2 sqrt(area / pi) times the pixel.

    Parameters
    ----------
    area : array_like
        px2.
    pixel : array_like
        µm.

    Returns
    -------
    numpy.ndarray
        µm; NaN where the area is.

    Raises
    ------
    UserError
        An area below 0, or a pixel not above 0.
    """
    return 2 * np.sqrt(_sizes(area, "area", "px2") / np.pi) * _positive(pixel, "esd", "pixel")


def esd_uvp(area, aa, exponent):
    """Diameter of a UVP particle from its calibration, 2 sqrt(aa area^exp / pi).

    EcoPart uses it for particles (LPM); objects seen as vignettes are sized
    by `esd` from the pixel.

    Parameters
    ----------
    area : array_like
        px2.
    aa, exponent : array_like
        Calibration: aa in mm2 px^(-2 exp), as EcoPart exports it (raw UVP6
        files hold it times 1e6).

    Returns
    -------
    numpy.ndarray
        µm.

    Raises
    ------
    UserError
        An area below 0, aa not in (0, 1) mm2, or an exponent outside [0.5, 2].
    """
    slope, power = _positive(aa, "esd_uvp", "aa"), _positive(exponent, "esd_uvp", "exponent")
    if (slope >= 1).any():
        raise UserError(f"esd_uvp: aa {slope.max():g} is outside (0, 1) mm2; raw UVP6 files hold it times 1e6.")
    if ((power < 0.5) | (power > 2)).any():
        raise UserError(f"esd_uvp: exponent {power.flat[0]:g} is outside [0.5, 2].")
    return 2e3 * np.sqrt(slope * _sizes(area, "area", "px2") ** power / np.pi)


def sphere(diameter):
    """Volume of a sphere, pi/6 d^3.

    Parameters
    ----------
    diameter : array_like
        µm; the diameter, not the radius (4/3 pi d^3 is 8 times too large).

    Returns
    -------
    numpy.ndarray
        mm3.

    Raises
    ------
    UserError
        A diameter below 0.
    """
    return np.pi / 6 * _sizes(diameter, "diameter", "µm") ** 3 / UM3_PER_MM3


def ellipsoid(major, minor, pixel=1.0):
    """Volume of a prolate ellipsoid, 4/3 pi (major/2) (minor/2)^2.

    Parameters
    ----------
    major, minor : array_like
        Full axes, px, or µm with a `pixel` of 1.
    pixel : array_like
        µm.

    Returns
    -------
    numpy.ndarray
        mm3.

    Raises
    ------
    UserError
        An axis below 0, or a minor axis longer than the major one.
    """
    long, short = _sizes(major, "major axis", "px"), _sizes(minor, "minor axis", "px")
    wrong = np.atleast_1d(short > long * (1 + 1e-9))
    if wrong.any():
        row = int(np.flatnonzero(wrong.ravel())[0])
        pair = [float(np.broadcast_to(axis, wrong.shape).ravel()[row]) for axis in (long, short)]
        raise UserError(
            f"minor axis {pair[1]:g} px is longer than the major axis {pair[0]:g} px (object {row + 1}); were they swapped?"
        )
    return 4 / 3 * np.pi * (long / 2) * (short / 2) ** 2 * _positive(pixel, "ellipsoid", "pixel") ** 3 / UM3_PER_MM3


SHAPES = ("sphere", "ellipsoid")
SOURCES = {"own": "own biovolume", "ellipsoid": "ellipsoid of the axes", "sphere": "sphere of the diameter"}
"""Words of ``size_source``, unless the source of the objects names its own."""


def biovolumes(objects, *, shape="sphere"):
    """Biovolume of each object: its own, else by its shape.

    Parameters
    ----------
    objects : pandas.DataFrame
        Any of ``biovolume`` (mm3), ``esd`` (µm), ``area`` (px2), ``major,
        minor`` (px) and ``pixel`` (µm).
    shape : {'sphere', 'ellipsoid'}
        What goes before the other where an object has no biovolume of its
        own and could have both.

    Returns
    -------
    pandas.Series
        mm3, float64; NaN where nothing tells the size.

    Raises
    ------
    UserError
        A size below 0, a minor axis longer than the major one, or an unknown
        shape.
    """
    return choose(objects, shape=shape)["biovolume"]


def choose(objects, *, shape="sphere"):
    """Size of each object by the best that is given, and what that was.

    Parameters
    ----------
    objects, shape
        As for `biovolumes`.

    Returns
    -------
    pandas.DataFrame
        ``esd`` (µm; the given one, else that of the area, else that of the
        sphere as large as the biovolume), ``biovolume`` (mm3) and
        ``size_source``: the word that the object brings, else one of
        `SOURCES`; missing where nothing tells the size.

    Raises
    ------
    UserError
        As for `biovolumes`.
    """
    if shape not in SHAPES:
        raise UserError(f"shape {shape!r} of the objects is unknown, allowed are 'sphere' and 'ellipsoid'.")
    given = {name: _given(objects, name) for name in ("biovolume", "esd", "area", "major", "minor", "pixel")}
    pixel = given["pixel"].where(given["pixel"] > 0)
    _sizes(given["biovolume"], "biovolume", "mm3")
    diameter = given["esd"].fillna(
        pd.Series(2 * np.sqrt(_sizes(given["area"], "area", "px2") / np.pi), objects.index) * pixel
    )
    axes = given["major"].notna() & given["minor"].notna() & pixel.notna()
    volumes = {"own": given["biovolume"], "sphere": pd.Series(sphere(diameter), objects.index)}
    volumes["ellipsoid"] = pd.Series(np.nan, objects.index)
    wanted = axes & given["biovolume"].isna() & (diameter.isna() if shape == "sphere" else True)
    if wanted.any():
        volumes["ellipsoid"][wanted] = ellipsoid(given["major"][wanted], given["minor"][wanted], pixel[wanted])
    found, source = pd.Series(np.nan, objects.index), pd.Series(pd.NA, objects.index, dtype="string")
    for name in ("own", *((shape, *(other for other in SHAPES if other != shape)))):
        mine = found.isna() & volumes[name].notna()
        found, source = found.mask(mine, volumes[name]), source.mask(mine, SOURCES[name])
    if "size_source" in objects:
        source = objects["size_source"].astype("string").where(volumes["own"].notna()).fillna(source)
    round_ = np.cbrt(6 / np.pi * found * UM3_PER_MM3)
    return pd.DataFrame({"esd": diameter.fillna(round_), "biovolume": found, "size_source": source})


def add_traits(objects, *, shape="sphere", pixel_units="um"):
    """Objects with diameter and biovolume.

    Parameters
    ----------
    objects : pandas.DataFrame
        Table ``objects``: ``area`` (px2) or ``major, minor`` (px) with
        ``pixel``, or ``esd`` (µm). A given ``esd``, and a ``biovolume``
        (mm3) of an object's own, are kept.
    shape : {'sphere', 'ellipsoid'}
        Of the biovolume; an ellipsoid needs both axes.
    pixel_units : str
        Unit of the column ``pixel``, as for `pixel_size`.

    Returns
    -------
    pandas.DataFrame
        A copy with ``esd`` (µm), ``biovolume`` (mm3) and ``size_source``,
        NaN where the size is not known.

    Raises
    ------
    UserError
        A needed column is missing, or a size without a pixel.
    """
    if shape not in ("sphere", "ellipsoid"):
        raise UserError(f"shape {shape!r} of the objects is unknown, allowed are 'sphere' and 'ellipsoid'.")
    table = objects.copy()
    columns = {name: _given(table, name) for name in ("biovolume", "esd", "area", "major", "minor", "pixel")}
    sized = (
        columns["area"].notna() & columns["esd"].isna()
        if shape == "sphere"
        else columns["major"].notna() & columns["minor"].notna()
    )
    lost = sized & columns["pixel"].isna()
    if lost.any():
        row = int(np.flatnonzero(lost)[0]) + 2
        raise UserError(
            f"objects: row {row}, column 'pixel' is empty; {int(lost.sum())} sizes in pixels have no scale."
        )
    scale = pd.Series(np.nan, index=table.index)
    scaled = columns["pixel"].notna()
    scale[scaled] = pixel_size(columns["pixel"][scaled], pixel_units, place="objects, column 'pixel'")
    own = columns["area"].notna() & scaled
    diameter = columns["esd"].copy()
    diameter[own & diameter.isna()] = esd(columns["area"][own & diameter.isna()], scale[own & diameter.isna()])
    table["esd"] = diameter
    if shape == "sphere":
        if not (columns["esd"].notna() | columns["area"].notna()).any() and len(table):
            raise UserError(
                f"objects: none of {len(table)} rows has an 'esd' or an 'area'; a sphere needs one of them."
            )
        return _traits(table, columns["biovolume"], sphere(diameter), shape)
    if not sized.any() and len(table):
        raise UserError(
            f"objects: none of {len(table)} rows has both axes 'major' and 'minor'; an ellipsoid needs them."
        )
    volume = pd.Series(np.nan, index=table.index)
    volume[sized] = ellipsoid(columns["major"][sized], columns["minor"][sized], scale[sized])
    return _traits(table, columns["biovolume"], volume, shape)


def _traits(table, own, by_shape, shape):
    """Table with the biovolume: an object's own goes before that of its shape."""
    volume = own.fillna(pd.Series(by_shape, index=table.index))
    source = (
        pd.Series(SOURCES[shape], index=table.index, dtype="string")
        .where(volume.notna())
        .mask(own.notna(), SOURCES["own"])
    )
    if "size_source" in table:
        source = table["size_source"].astype("string").where(own.notna()).fillna(source)
    return table.assign(biovolume=volume, size_source=source)


def _given(table, name):
    if name not in table:
        return pd.Series(np.nan, index=table.index)
    values = pd.to_numeric(table[name], errors="coerce").astype("float64")
    bad = values.isna() & table[name].notna()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"objects: row {row + 2}, column {name!r}: {str(table[name].iloc[row])!r} is not a number.")
    return values


def _sizes(values, name, units):
    numbers = np.asarray(values, dtype=float)
    bad = (numbers < 0) | np.isinf(numbers)
    if bad.any():
        raise UserError(
            f"{name} {numbers[bad].flat[0]:g} {units} is below 0 or endless; allowed are sizes of at least 0 {units}."
        )
    return numbers


def _positive(values, place, name):
    numbers = np.asarray(values, dtype=float)
    bad = ~(np.isfinite(numbers) & (numbers > 0))
    if bad.any():
        raise UserError(f"{place}: {name} {numbers[bad].flat[0]:g} is not above 0 ({int(bad.sum())} such values).")
    return numbers
