"""The cube that a recipe asks for: of layers or of a user's table."""

import numpy as np
import xarray as xr

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
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

    A cell is sea where the table has a predictor for it and the embedded
    bathymetry has sea in or next to it; where zones end at the sea floor, the
    floor must lie below the zone's top. Gaps of the table's sea floor are
    filled from the embedded one.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    xarray.Dataset
        Dims (zone, lat, lon); what was left out or filled is listed in
        ``attrs["repairs"]``.

    Raises
    ------
    UserError
        Tables of two zones have different grids; a cell has no sea floor.
    """
    recipe, repairs = context.recipe, []
    tables = {zone.name: read_grid(context, zone.name) for zone in recipe.zones}
    axes = {name: matchup.axes_of(table, recipe.grid.resolution) for name, table in tables.items()}
    lat, lon = axes[recipe.zones[0].name]
    for name, (other_lat, other_lon) in axes.items():
        if other_lat.size != lat.size or other_lon[0] != lon[0]:
            raise UserError(
                f"predictors.path: the grid of zone {name!r} begins at ({other_lat[0]:g}, {other_lon[0]:g}) and that of "
                f"zone {recipe.zones[0].name!r} at ({lat[0]:g}, {lon[0]:g}); allowed is one grid for all zones."
            )
    if lat[0] == -90 or lon[0] == -180:
        repairs.append(
            f"{recipe.predictors.path}: the grid is registered by nodes, its first cell is centred at "
            f"({lat[0]:g}, {lon[0]:g})"
        )
    sea_floor = harmonise.interpolate(catalogue.load_layer("bathymetry"), lat, lon).drop_attrs()
    parts, thickness = [], []
    for zone in recipe.zones:
        path = str(zone_path(recipe.predictors.path, zone.name, context))
        part = matchup.table_to_grid(tables[zone.name], lat, lon, path)
        part, thick, told = _sea(part, zone, recipe, sea_floor)
        bare = int(tables[zone.name][list(recipe.predictors.names)].isna().all(axis=1).sum())
        if bare:
            told.insert(
                0, f"{bare} of {len(tables[zone.name])} rows have no predictor at all; they are land and not predicted"
            )
        repairs += [f"{path}: {one}" for one in told if f"{path}: {one}" not in repairs]
        parts.append(part.expand_dims(zone=[zone.name]))
        thickness.append(thick.expand_dims(zone=[zone.name]))
    cube = xr.concat(parts, dim="zone")
    cube["thickness"] = xr.concat(thickness, dim="zone").where(cube["domain"] == 1)
    cube["cell_area"] = grid.cell_area(lat, lon, recipe.grid.earth_radius_km)
    cube["region_basin"] = basin_mask(lat, lon)
    cube.attrs["repairs"] = repairs
    return cube.assign_coords(
        zone_top=("zone", [z.top for z in recipe.zones]), zone_bottom=("zone", [z.bottom for z in recipe.zones])
    )


def read_grid(context, zone):
    """Predictors of one zone as its grid table has them, checked.

    Parameters
    ----------
    context : Context
        The run.
    zone : str
        Name of the zone.

    Returns
    -------
    pandas.DataFrame
        Columns ``lat``, ``lon`` (degrees, lon in [-180, 180)) and the predictors
        under our names.

    Raises
    ------
    UserError
        Columns are missing, positions are no places, values are outside the
        vocabulary's range, or the sea floor has the wrong sign.
    """
    section = context.recipe.predictors
    path = zone_path(section.path, zone, context)
    table = plain_tables.read_columns(path, {"lat": section.lat, "lon": section.lon} | dict(section.names))
    table = plain_tables.check_positions(table, path)
    if "bathymetry" in table and table["bathymetry"].median() < 0:
        raise UserError(
            f"{path}: column {section.names['bathymetry']!r} (for bathymetry) has the median {table['bathymetry'].median():g} m; "
            "the depth of the sea floor is positive down, so turn its sign."
        )
    check_predictors(table, list(section.names), str(path))
    return table


def _sea(part, zone, recipe, sea_floor):
    """Cells of a laid table that are sea, the thickness of the zone, and what is to be told."""
    told, names, rows = [], list(recipe.predictors.names), int(part["domain"].sum())
    sea = part["domain"] == 1
    if recipe.grid.land_mask:
        dry = sea & sea_floor.isnull()
        if dry.any():
            told.append(
                f"{int(dry.sum())} of {rows} cells with predictors are land in the embedded bathymetry and not predicted "
                "(grid.land_mask: false keeps them)"
            )
        sea = sea & ~dry
    floor, highest = part["bathymetry"] if "bathymetry" in part else sea_floor, 0.0
    if recipe.grid.clip_at_sea_floor:
        gaps = sea & floor.isnull()
        filled = floor.fillna(sea_floor)
        lost = sea & filled.isnull()
        if lost.any():
            row, column = (int(k[0]) for k in np.nonzero(lost.to_numpy()))
            raise UserError(
                f"zone {zone.name!r}: {int(lost.sum())} cells have no depth of the sea floor, the first at "
                f"({part['lat'].to_numpy()[row]:g}, {part['lon'].to_numpy()[column]:g}); give them a bathymetry, "
                "or set grid.clip_at_sea_floor: false."
            )
        if gaps.any():
            told.append(f"{int(gaps.sum())} of {rows} cells have no bathymetry; their sea floor is the embedded one")
        floor, highest = filled, zone.top
    shallow = sea & (floor <= highest)
    if shallow.any():
        told.append(
            f"{int(shallow.sum())} cells whose sea floor is not below {highest:g} m are not predicted in zone {zone.name}"
        )
    sea = sea & ~shallow
    for name in names:
        missing = int((sea & part[name].isnull()).sum())
        if missing:
            told.append(
                f"{name} is missing in {missing} of {int(sea.sum())} cells of zone {zone.name}; they are predicted without "
                "it, outside the area of applicability where no training row lacks it"
            )
    thickness = grid.zone_thickness(zone.top, zone.bottom, floor, recipe.grid.clip_at_sea_floor)
    return part.assign(domain=sea.astype("int8")), thickness, told
