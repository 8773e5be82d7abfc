"""Layers brought to one grid, one range of longitudes and one order of axes."""

import numpy as np
import xarray as xr

from aqqua_dist.core.errors import UserError


def interpolate(layer, lat, lon):
    """A global layer on another regular grid.

    Bilinear onto a grid that is as fine or finer, area mean onto a coarser
    one; cyclic in longitude. Only valid cells count, so that a coast is
    reached from the sea; a target without any stays missing.

    Parameters
    ----------
    layer : xarray.DataArray
        Dims (..., lat, lon), global and regular.
    lat, lon : array_like
        Target centres (degrees), ascending and regular.

    Returns
    -------
    xarray.DataArray
        Dims (..., lat, lon); units of `layer`.
    """
    lat, lon = np.asarray(lat, dtype="float64"), np.asarray(lon, dtype="float64")
    layer = layer.transpose(..., "lat", "lon")
    old_lat, old_lon = layer["lat"].to_numpy().astype("float64"), layer["lon"].to_numpy().astype("float64")
    if (
        lat.shape == old_lat.shape
        and lon.shape == old_lon.shape
        and np.allclose(lat, old_lat)
        and np.allclose(lon, old_lon)
    ):
        return layer.assign_coords(lat=lat, lon=lon)
    if old_lon.size * (old_lon[1] - old_lon[0]) < 359.9:
        raise UserError(f"layer {layer.name!r} spans longitudes {old_lon[0]:g} to {old_lon[-1]:g}; it must be global.")
    rows = _weights(np.sin, old_lat, lat, cyclic=False)
    columns = _weights(np.asarray, old_lon, lon, cyclic=True)
    values = layer.to_numpy().astype("float64")
    known = np.isfinite(values)
    total = rows @ np.where(known, values, 0.0) @ columns.T
    weight = rows @ known.astype("float64") @ columns.T
    found = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 1e-9)
    coords = {d: layer.coords[d] for d in layer.dims[:-2] if d in layer.coords}
    return xr.DataArray(
        found.astype(layer.dtype),
        dims=layer.dims,
        coords=coords | {"lat": lat, "lon": lon},
        name=layer.name,
        attrs=layer.attrs,
    )


def _weights(measure, old, new, *, cyclic):
    """Matrix (new, old) along one axis: linear, or overlap onto coarser cells."""
    step, wide = old[1] - old[0], new[1] - new[0]
    if wide <= step * 1.001:
        place = (new - old[0]) / step
        if not cyclic:
            place = np.clip(place, 0, old.size - 1)
        matrix = np.zeros((new.size, old.size))
        low = np.floor(place).astype(int)
        for index, share in ((low, 1 - (place - low)), (low + 1, place - low)):
            index = index % old.size if cyclic else np.minimum(index, old.size - 1)
            np.add.at(matrix, (np.arange(new.size), index), share)
        return matrix
    edges = [np.radians(np.stack([c - s / 2, c + s / 2])) for c, s in ((old, step), (new, wide))]
    matrix = 0.0
    for turn in (-2 * np.pi, 0.0, 2 * np.pi) if cyclic else (0.0,):
        south = np.maximum(edges[0][0] + turn, edges[1][0][:, None])
        north = np.maximum(np.minimum(edges[0][1] + turn, edges[1][1][:, None]), south)
        matrix = matrix + measure(north) - measure(south)
    return matrix / matrix.sum(axis=1, keepdims=True)
