"""The cube of a study: every predictor on one grid, by zone and month."""

import numpy as np
import xarray as xr

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.environment.catalogue import load_layer
from aqqua_dist.environment.harmonise import interpolate
from aqqua_dist.environment.regions import basin_mask
from aqqua_dist.environment.zone_means import zone_mean


def build_cube(names, zones, *, resolution, monthly, clip=True, radius_km=grid.AUTHALIC_RADIUS_KM):
    """Predictors of a study on its grid and zones.

    Every predictor keeps the dims that it varies along: zone means of
    layers with depth ([month], zone, lat, lon), surface fields ([month],
    lat, lon), fixed ones (lat, lon). Annual means weigh months equally.

    Parameters
    ----------
    names : list of str
        Layers of the catalogue.
    zones : list
        Each with ``name``, ``top`` and ``bottom`` (m, positive down).
    resolution : float
        Cell size (degrees).
    monthly : bool
        Keep the months; otherwise annual means.
    clip : bool
        Stop each zone at the sea floor in ``thickness``.
    radius_km : float
        Radius of the sphere of ``cell_area`` (km).

    Returns
    -------
    xarray.Dataset
        Predictors (float32), ``domain`` (zone, lat, lon; 1 where at least
        half of the cell is sea, the floor lies below the zone's top and
        every predictor is present in every month), ``thickness`` (zone, lat,
        lon; m; NaN outside the domain), ``cell_area`` (lat, lon; m2),
        ``region_basin`` (lat, lon).

    Raises
    ------
    UserError
        For an unknown layer, a zone below the layers' levels, or a monthly
        cube without a layer that varies by month.
    """
    lat, lon = grid.regular_grid(resolution)
    floor = load_layer("bathymetry")
    share = interpolate(floor.notnull().astype("float64"), lat, lon)
    floor = interpolate(floor, lat, lon).where(share >= 0.5)
    cube = xr.Dataset(
        coords={
            "zone": ("zone", [z.name for z in zones], {"long_name": "depth zone"}),
            "lat": lat,
            "lon": lon,
            "zone_top": ("zone", [float(z.top) for z in zones]),
            "zone_bottom": ("zone", [float(z.bottom) for z in zones]),
        }
    )
    for name in names:
        cube[name] = _predictor(load_layer(name), zones, lat, lon, monthly).where(floor.notnull()).astype("float32")
    if monthly and "month" not in cube.dims:
        raise UserError(f"predictors.monthly is true but none of {list(names)} varies by month; set it to false.")
    below = xr.concat([floor > z.top for z in zones], dim=cube["zone"])
    for name in names:
        known = cube[name].notnull()
        below = below & (known.all("month") if "month" in known.dims else known)
    thickness = xr.concat([grid.zone_thickness(z.top, z.bottom, floor, clip) for z in zones], dim=cube["zone"])
    cube["domain"] = below.transpose("zone", "lat", "lon").astype("int8")
    cube["thickness"] = thickness.transpose("zone", "lat", "lon").where(cube["domain"] == 1).astype("float64")
    cube["cell_area"] = grid.cell_area(lat, lon, radius_km)
    cube["region_basin"] = basin_mask(lat, lon)
    return _described(cube)


def _predictor(layer, zones, lat, lon, monthly):
    """A layer on the study grid: annual or monthly, with zones if it has depth."""
    if "month" in layer.dims and not monthly:
        layer = layer.mean("month", skipna=False, keep_attrs=True)
    if "depth" in layer.dims:
        names = xr.DataArray([z.name for z in zones], dims="zone", name="zone")
        layer = xr.concat([zone_mean(layer, z.top, z.bottom) for z in zones], dim=names)
        layer = layer.transpose(..., "zone", "lat", "lon")
    layer.attrs = {
        k: v for k, v in layer.attrs.items() if k in ("units", "long_name", "standard_name", "source", "references")
    }
    return interpolate(layer, lat, lon)


def _described(cube):
    """Attributes of the coordinates and of what is not a predictor."""
    cube["lat"].attrs = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"}
    cube["lon"].attrs = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"}
    for name, text in (("zone_top", "upper limit of the zone"), ("zone_bottom", "lower limit of the zone")):
        cube[name].attrs = {"long_name": text, "units": "m", "positive": "down"}
    cube["domain"].attrs = {
        "long_name": "cells that are predicted",
        "flag_values": np.array([0, 1], dtype="int8"),
        "flag_meanings": "not_predicted predicted",
    }
    cube["thickness"].attrs = {"long_name": "thickness of the zone", "units": "m"}
    cube["cell_area"].attrs = {"standard_name": "cell_area", "long_name": "area of the cell", "units": "m2"}
    return cube
