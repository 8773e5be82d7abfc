"""Where tables and grids meet, and the only place where they do."""

import numpy as np
import pandas as pd
import xarray as xr

from aqqua_dist.core.divisions import whole_rows
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import nearest_index, regular_grid

CENTRE_ERROR = 0.02
"""Largest distance of a position from its cell centre, as a share of the step."""


def axes_of(table, resolution):
    """Axes of the global grid whose cell centres the positions of a table are.

    Each axis is registered by cells (-89.5, -88.5, ... at 1 degree) or by
    nodes (-90, -89, ...), whichever lies nearer to the positions.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``lat``, ``lon`` (degrees, lon in [-180, 180)).
    resolution : float
        Cell size (degrees).

    Returns
    -------
    lat, lon : numpy.ndarray
        Ascending centres (degrees), as from `aqqua_dist.core.grid.regular_grid`.
    """
    step = 180.0 / whole_rows(resolution)
    nodes = {}
    for name, start in (("lat", -90.0), ("lon", -180.0)):
        share = (table[name].to_numpy() - start) / step % 1.0
        nodes[f"{name}_nodes"] = bool(np.median(np.abs(share - 0.5)) > 0.25)
    return regular_grid(resolution, **nodes)


def table_to_grid(table, lat, lon, place):
    """Rows of a table laid on a regular grid.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``lat``, ``lon`` (degrees) at cell centres, and numbers.
    lat, lon : array_like
        Cell centres of the study grid (degrees).
    place : str
        File, for messages.

    Returns
    -------
    xarray.Dataset
        One variable (lat, lon) per number column, NaN where the table has no
        row, and ``domain`` (1 where a row has a number in at least one of
        the columns; a row without any is what exporters write for land).

    Raises
    ------
    UserError
        A position is no cell centre, or a cell stands twice.
    """
    names = list(table.columns.difference(["lat", "lon"], sort=False))
    if lon[0] == -180:  # the seam of a grid from -180 to 180 degrees stands twice
        table = table[~((table["lon"] == -180) & table.duplicated())]
    rows, columns = _axis_index(table["lat"], lat), _axis_index(table["lon"], lon, cyclic=True)
    off = (rows < 0) | (columns < 0)
    if off.any():
        row = int(np.argmax(off))
        step = float(np.diff(lat).mean())
        where = f"position ({table['lat'].iloc[row]}, {table['lon'].iloc[row]})"
        if (nearest_index(lat, table["lat"].iloc[[row]]) < 0).any():
            raise UserError(f"{place}: row {table.index[row] + 2}: {where} lies outside the grid.")
        raise UserError(
            f"{place}: row {table.index[row] + 2}: {where} is not a cell centre of the {step:g} degree grid, "
            f"whose centres begin with latitudes {_start(lat)} and longitudes {_start(lon)}."
        )
    flat = rows * len(lon) + columns
    twice = pd.Series(flat).duplicated().to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        raise UserError(
            f"{place}: row {table.index[row] + 2}: its grid cell stands twice, allowed is one row per cell."
        )
    grid = xr.Dataset(coords={"lat": np.asarray(lat), "lon": np.asarray(lon)})
    shape = (len(lat), len(lon))
    for name in names:
        values = np.full(shape, np.nan)
        values.ravel()[flat] = table[name]
        grid[name] = (("lat", "lon"), values)
    domain = np.zeros(shape, dtype="int8")
    domain.ravel()[flat[table[names].notna().any(axis=1).to_numpy()] if names else flat] = 1
    grid["domain"] = (("lat", "lon"), domain)
    return grid


def _start(centres):
    return ", ".join(f"{value:g}" for value in np.asarray(centres)[:3])


def _axis_index(values, centres, *, cyclic=False):
    """Index of the centre that each position means, -1 where it means none.

    Positions may be rounded. A step that is rounded itself (0.0833 for 1/12)
    drifts away from the centres, so that a complete axis is taken in its order.
    """
    values, centres = np.asarray(values, dtype=float), np.asarray(centres, dtype=float)
    index, step = nearest_index(centres, values, cyclic=cyclic), (centres[-1] - centres[0]) / (centres.size - 1)
    away = np.abs(values - centres[index])
    if cyclic:
        away = np.minimum(away, 360.0 - away)
    index = np.where(away <= CENTRE_ERROR * step, index, -1)
    if (index >= 0).all():
        return index
    known, order = np.unique(values, return_inverse=True)
    if known.size != centres.size:
        return index
    steps = np.diff(known)
    even = (np.abs(steps - step) < 0.25 * step).all() and abs(steps.mean() / step - 1) < 1e-3
    return order if even and abs(known[0] - centres[0]) < 0.05 * step else index


def _cells(table, lat, lon, place):
    rows, columns = nearest_index(lat, table["lat"]), nearest_index(lon, table["lon"], cyclic=True)
    outside = (rows < 0) | (columns < 0)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise UserError(
            f"{place}: row {row + 2}: position ({table['lat'].iloc[row]}, {table['lon'].iloc[row]}) lies outside the grid."
        )
    return rows, columns


def snap_to_cells(table, lat, lon, place):
    """Positions replaced by the centres of their grid cells.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``lat``, ``lon`` (degrees).
    lat, lon : array_like
        Cell centres of the study grid (degrees).
    place : str
        File, for messages.

    Returns
    -------
    pandas.DataFrame
        A copy whose rows sit on cell centres.
    """
    rows, columns = _cells(table, lat, lon, place)
    return table.assign(lat=np.asarray(lat)[rows], lon=np.asarray(lon)[columns])


def extract(cube, table, names):
    """Predictors of a cube at the cells (and months) of table rows.

    Parameters
    ----------
    cube : xarray.Dataset
        Dims ([month], zone, lat, lon).
    table : pandas.DataFrame
        Columns ``zone``, ``lat``, ``lon`` and, for a monthly cube, ``month``.
    names : list of str
        Predictors.

    Returns
    -------
    pandas.DataFrame
        One column per predictor, index of `table`; NaN outside the cube's
        domain.
    """
    index = {
        "zone": xr.DataArray(pd.Index(cube["zone"].values).get_indexer(table["zone"]), dims="row"),
        "lat": xr.DataArray(nearest_index(cube["lat"], table["lat"]), dims="row"),
        "lon": xr.DataArray(nearest_index(cube["lon"], table["lon"], cyclic=True), dims="row"),
    }
    if "month" in cube.dims:
        index["month"] = xr.DataArray(pd.Index(cube["month"].values).get_indexer(table["month"]), dims="row")
    for name, values in index.items():
        if (values < 0).any():
            row = int(np.flatnonzero(values.to_numpy() < 0)[0])
            raise UserError(
                f"row {row + 2}: {name} '{table[name].iloc[row]}' is not in the cube, which goes {_extent(cube, name)}."
            )
    found = {}
    for name in names:
        layer = cube[name]
        found[name] = layer.isel({d: index[d] for d in layer.dims}).to_numpy()
    return pd.DataFrame(found, index=table.index)


def _extent(cube, name):
    first, last = cube[name].to_numpy()[[0, -1]]
    return f"from {first} to {last}"
