"""Regular longitude-latitude grids: centres, exact areas, thickness, blocks.

Conventions: latitudes ascend, longitudes lie in [-180, 180), depths are
positive down, areas are in m2 and lengths in m.
"""

import numpy as np
import xarray as xr

from aqqua_dist.core.divisions import whole_bands, whole_rows
from aqqua_dist.core.errors import UserError

AUTHALIC_RADIUS_KM = 6371.0072
"""Radius of the sphere with the surface of WGS84 (km)."""


def regular_grid(resolution, *, lat_nodes=False, lon_nodes=False):
    """Cell centres of a global regular grid.

    Parameters
    ----------
    resolution : float
        Cell size (degrees); 180 must be a whole multiple of it, see
        `whole_rows`.
    lat_nodes, lon_nodes : bool
        The centres lie on whole steps, as in grids registered by nodes:
        latitudes from pole to pole, where cells are half as high, and
        longitudes from -180.

    Returns
    -------
    lat, lon : numpy.ndarray
        Ascending centres, shapes (180/resolution,) and (360/resolution,);
        one latitude more with `lat_nodes`.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> lat, lon = aq.regular_grid(90)
    >>> lat.tolist(), lon.tolist()
    ([-45.0, 45.0], [-135.0, -45.0, 45.0, 135.0])
    """
    rows = whole_rows(resolution)
    step = 180.0 / rows
    lat = -90 + step * (np.arange(rows + 1) if lat_nodes else np.arange(rows) + 0.5)
    return lat, -180 + step * (np.arange(2 * rows) + (0.0 if lon_nodes else 0.5))


def cell_area(lat, lon, radius_km=AUTHALIC_RADIUS_KM):
    """Exact area of regular grid cells on the sphere.

    ``R^2 * dlon * |sin(lat + dlat/2) - sin(lat - dlat/2)|``

    Parameters
    ----------
    lat, lon : array_like
        Centres (degrees), evenly spaced, at least two each.
    radius_km : float
        Radius of the sphere (km).

    Returns
    -------
    xarray.DataArray
        Areas (m2), dims (lat, lon).

    Examples
    --------
    All cells together are the sphere, 510 million km2:

    >>> import aqqua_dist as aq
    >>> area = aq.cell_area(*aq.regular_grid(10))
    >>> round(area.sum().item() / 1e12, 2)
    510.07
    """
    lat, lon = np.asarray(lat, float), np.asarray(lon, float)
    dlat, dlon = _step(lat, "lat"), _step(lon, "lon")
    north = np.clip(lat + dlat / 2, -90, 90)
    south = np.clip(lat - dlat / 2, -90, 90)
    band = np.abs(np.sin(np.radians(north)) - np.sin(np.radians(south)))
    area = (radius_km * 1e3) ** 2 * np.radians(dlon) * band
    return xr.DataArray(
        np.repeat(area[:, None], lon.size, axis=1),
        dims=("lat", "lon"),
        coords={"lat": lat, "lon": lon},
        name="cell_area",
        attrs={"units": "m2"},
    )


def sphere_radius(area):
    """Radius of the sphere that the areas of regular cells were computed on.

    Parameters
    ----------
    area : xarray.DataArray
        As from `cell_area` (m2), dims (lat, lon).

    Returns
    -------
    float
        Radius (m).
    """
    row = area.sizes["lat"] // 2
    unit = cell_area(area["lat"], area["lon"], radius_km=1e-3)
    return float(np.sqrt(area.to_numpy()[row, 0] / unit.to_numpy()[row, 0]))


def _step(centres, name):
    steps = np.diff(centres)
    if centres.size < 2 or not np.allclose(steps, steps[0], rtol=1e-4) or steps[0] <= 0:
        shown = np.array2string(centres[:4], precision=4)
        raise UserError(f"{name} must ascend in even steps on a regular grid, but begins with {shown}.")
    return float(steps.mean())


def wrap_longitude(lon):
    """Longitudes brought into [-180, 180).

    Parameters
    ----------
    lon : array_like
        Longitudes (degrees east), in [-180, 360].

    Returns
    -------
    numpy.ndarray
        Same shape, in [-180, 180); NaN where the longitude is NaN.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> aq.wrap_longitude([190.0, 180.0, 359.5]).tolist()
    [-170.0, -180.0, -0.5]
    """
    lon = np.asarray(lon, dtype=float)
    wrapped = (lon + 180.0) % 360.0 - 180.0
    wrapped = np.where(wrapped == 180.0, -180.0, wrapped)  # a sum just below zero rounds to a full turn
    return np.where((lon >= -180.0) & (lon < 180.0), lon, wrapped)


def zone_thickness(top, bottom, bathymetry, clip):
    """Thickness of a depth zone in each cell.

    Parameters
    ----------
    top, bottom : float
        Zone limits (m, positive down).
    bathymetry : xarray.DataArray
        Depth of the sea floor (m, positive down); NaN on land.
    clip : bool
        Stop the zone at the sea floor. Otherwise every cell has the full
        thickness, as in Drago et al. (2022), doi 10.3389/fmars.2022.894372.

    Returns
    -------
    xarray.DataArray
        Thickness (m), same shape; zero where the floor is above `top`.

    Examples
    --------
    >>> import aqqua_dist as aq, xarray as xr
    >>> floor = xr.DataArray([50.0, 120.0, 4000.0], dims="cell")
    >>> aq.zone_thickness(100, 200, floor, clip=True).values.tolist()
    [0.0, 20.0, 100.0]
    """
    if not 0 <= top < bottom:
        raise UserError(f"zone {top}-{bottom} m must satisfy 0 <= top < bottom.")
    if not clip:
        return xr.full_like(bathymetry, float(bottom - top))
    return (bathymetry.clip(max=bottom) - top).clip(min=0.0)


def block_id(lat, lon, size):
    """Cross-validation block of each position.

    Blocks are `size` degrees high; their width in longitude grows towards
    the poles so that every block of a band is about as wide, in kilometres,
    as it is high. Bands hold a whole number of blocks, so no block is cut by
    the dateline.

    Parameters
    ----------
    lat, lon : array_like
        Positions (degrees), shape (n,).
    size : float
        Height of a block (degrees of latitude).

    Returns
    -------
    numpy.ndarray
        Integer ids, shape (n,).

    Raises
    ------
    UserError
        The size is outside (0, 90], or a position is no place on the globe.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> here, near, far = aq.block_id([1.0, 9.0, 11.0], [1.0, 9.0, 1.0], 10)
    >>> bool(here == near), bool(here == far)
    (True, False)
    """
    if not 0 < size <= 90:
        raise UserError(f"block size {size} degrees is outside (0, 90].")
    lat = _latitudes(lat)
    _refuse_places(np.asarray(lon, float), ~np.isfinite(np.asarray(lon, float)), "longitude", "a finite number")
    lon = wrap_longitude(lon)
    row = np.minimum(((lat + 90) // size).astype(int), int(np.ceil(180 / size)) - 1)
    middle = np.clip(-90 + (row + 0.5) * size, -89.9, 89.9)
    count = np.maximum(1, np.round(360 * np.cos(np.radians(middle)) / size)).astype(int)
    column = np.minimum(((lon + 180) * count / 360).astype(int), count - 1)
    return row * 10_000 + column


def _latitudes(lat):
    """Latitudes as floats; none that is missing or beyond a pole."""
    lat = np.asarray(lat, float)
    _refuse_places(lat, ~((lat >= -90) & (lat <= 90)), "latitude", "in [-90, 90] degrees")
    return lat


def _refuse_places(values, bad, name, allowed):
    if bad.any():
        first = int(np.flatnonzero(bad.ravel())[0])
        raise UserError(
            f"{name} {values.ravel()[first]} at position {first} is not {allowed}; {int(bad.sum())} such positions."
        )


def nearest_index(centres, values, *, cyclic=False):
    """Index of the regular grid cell that holds each value.

    Parameters
    ----------
    centres : array_like
        Ascending, evenly spaced cell centres, shape (m,).
    values : array_like
        Positions, shape (n,).
    cyclic : bool
        The centres are longitudes: where they go round the globe, a position
        beyond the last cell lies in the first.

    Returns
    -------
    numpy.ndarray
        Indices in [0, m), -1 where the value lies outside the grid.
    """
    centres = np.asarray(centres, float)
    step = _step(centres, "grid")
    index = np.floor((np.asarray(values, float) - centres[0]) / step + 0.5)
    if cyclic and abs(step * centres.size - 360.0) < step / 2:
        return np.where(np.isfinite(index), index % centres.size, -1).astype(int)
    # the upper edge of the last cell (the north pole) belongs to the last cell
    index = np.where(
        index == centres.size, np.where(np.isclose(values, centres[-1] + step / 2), centres.size - 1, -1), index
    )
    return np.where((index < 0) | (index >= centres.size) | np.isnan(index), -1, index).astype(int)


def latitude_bands(lat, width):
    """Band label of each latitude.

    Parameters
    ----------
    lat : array_like
        Latitudes (degrees), shape (n,).
    width : float
        Height of a band (degrees), starting from the south pole.

    Returns
    -------
    numpy.ndarray of str
        Labels such as ``40S-30S``, ``10S-0``, ``0-10N``.

    Raises
    ------
    UserError
        The width does not divide 90, or a latitude is missing.
    """
    whole_bands(width)
    lat = _latitudes(lat)
    south = np.minimum(np.floor(lat / width) * width, 90 - width)
    return np.array([f"{_hemisphere(s)}-{_hemisphere(s + width)}" for s in south])


def _hemisphere(value):
    return "0" if value == 0 else f"{abs(value):g}{'N' if value > 0 else 'S'}"
