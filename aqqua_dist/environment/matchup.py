"""Where tables and grids meet, and the only place where they do."""

import numpy as np
import pandas as pd
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import nearest_index


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
        row, and ``domain`` (1 where it has one).
    """
    rows, columns = _cells(table, lat, lon, place)
    off = np.maximum(np.abs(np.asarray(lat)[rows] - table["lat"]), np.abs(np.asarray(lon)[columns] - table["lon"]))
    step = float(np.diff(lat).mean())
    if (off > 0.01 * step).any():
        row = int(np.argmax(off.to_numpy()))
        raise UserError(
            f"{place}: row {row + 2}: position ({table['lat'].iloc[row]}, {table['lon'].iloc[row]}) is not a cell "
            f"centre of the {step:g} degree grid."
        )
    flat = rows * len(lon) + columns
    if len(np.unique(flat)) < len(flat):
        row = int(np.flatnonzero(pd.Series(flat).duplicated())[0])
        raise UserError(f"{place}: row {row + 2}: its grid cell stands twice, allowed is one row per cell.")
    grid = xr.Dataset(coords={"lat": np.asarray(lat), "lon": np.asarray(lon)})
    for name in table.columns.difference(["lat", "lon"], sort=False):
        values = np.full(len(lat) * len(lon), np.nan)
        values[flat] = table[name]
        grid[name] = (("lat", "lon"), values.reshape(len(lat), len(lon)))
    domain = np.zeros(len(lat) * len(lon), dtype="int8")
    domain[flat] = 1
    grid["domain"] = (("lat", "lon"), domain.reshape(len(lat), len(lon)))
    return grid


def _cells(table, lat, lon, place):
    rows, columns = nearest_index(lat, table["lat"]), nearest_index(lon, table["lon"])
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
        "lon": xr.DataArray(nearest_index(cube["lon"], table["lon"]), dims="row"),
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
