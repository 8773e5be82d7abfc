"""The cube that a recipe asks for: of layers or of a user's table."""

import xarray as xr

from aqqua_dist.core import grid
from aqqua_dist.core.fill_values import check_predictors
from aqqua_dist.environment import catalogue, harmonise, matchup
from aqqua_dist.environment.cube import build_cube
from aqqua_dist.environment.regions import basin_mask
from aqqua_dist.readers import plain_tables
from aqqua_dist.training.tables import zone_path


def layer_cube(context):
    """Cube of catalogue layers on the study grid.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    xarray.Dataset
        Dims ([month], zone, lat, lon).
    """
    recipe = context.recipe
    return build_cube(
        recipe.predictors.names,
        recipe.zones,
        resolution=recipe.grid.resolution,
        monthly=recipe.predictors.monthly,
        clip=recipe.grid.clip_at_sea_floor,
        radius_km=recipe.grid.earth_radius_km,
    )


def table_cube(context):
    """Cube from grid tables, one per zone.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    xarray.Dataset
        Dims (zone, lat, lon).
    """
    recipe = context.recipe
    lat, lon = grid.regular_grid(recipe.grid.resolution)
    names = dict(recipe.predictors.names)
    parts, thickness = [], []
    for zone in recipe.zones:
        path = zone_path(recipe.predictors.path, zone.name, context)
        table = plain_tables.read_columns(path, {"lat": recipe.predictors.lat, "lon": recipe.predictors.lon} | names)
        table = plain_tables.check_positions(table, path)
        check_predictors(table, list(names), str(path))
        part = matchup.table_to_grid(table, lat, lon, str(path)).expand_dims(zone=[zone.name])
        parts.append(part)
        thickness.append(_thickness(part, zone, recipe))
    cube = xr.concat(parts, dim="zone")
    cube["thickness"] = xr.concat(thickness, dim="zone").where(cube["domain"] == 1)
    cube["cell_area"] = grid.cell_area(lat, lon, recipe.grid.earth_radius_km)
    cube["region_basin"] = basin_mask(lat, lon)
    return cube.assign_coords(
        zone_top=("zone", [z.top for z in recipe.zones]), zone_bottom=("zone", [z.bottom for z in recipe.zones])
    )


def _thickness(part, zone, recipe):
    if "bathymetry" in part:
        floor = part["bathymetry"]
    elif recipe.grid.clip_at_sea_floor:
        floor = harmonise.interpolate(catalogue.load_layer("bathymetry"), part["lat"], part["lon"])
        floor = floor.expand_dims(zone=part["zone"])
    else:
        floor = part["domain"].astype(float)
    return grid.zone_thickness(zone.top, zone.bottom, floor, recipe.grid.clip_at_sea_floor)
