"""Means of a layer over a depth interval."""

import numpy as np

from aqqua_dist.core.errors import UserError


def zone_mean(layer, top, bottom, *, coverage=0.0):
    """Thickness-weighted mean over a depth zone.

    The profile is the linear interpolant between standard levels, integrated
    exactly, over those parts of the zone where both neighbouring levels have
    a value. Where the zone holds a valid level but no such part (one level
    above the sea floor), that level stands for it, if `coverage` is 0.

    Parameters
    ----------
    layer : xarray.DataArray
        With dim ``depth`` (m, positive down, ascending).
    top, bottom : float
        Zone limits (m, positive down).
    coverage : float
        Share of the zone's thickness, in [0, 1], that needs data; below it
        the mean is missing. With 0 any data suffice, which suits a
        climatology that ends at the sea floor.

    Returns
    -------
    xarray.DataArray
        Without ``depth``; units of `layer`.

    Raises
    ------
    UserError
        If the limits are not ordered, `coverage` is outside [0, 1], or the
        layer's levels do not reach `bottom`.
    """
    depth = checked_levels(layer, top, bottom, coverage)
    values = layer.transpose("depth", ...).to_numpy().astype("float64")
    total, covered = np.zeros(values.shape[1:]), np.zeros(values.shape[1:])
    for k in range(depth.size - 1):
        start, stop = max(top, depth[k]), min(bottom, depth[k + 1])
        if stop <= start:
            continue
        share = ((start + stop) / 2 - depth[k]) / (depth[k + 1] - depth[k])
        middle = values[k] * (1 - share) + values[k + 1] * share
        known = np.isfinite(middle)
        total += np.where(known, middle * (stop - start), 0.0)
        covered += np.where(known, stop - start, 0.0)
    mean = np.divide(total, covered, out=np.full(total.shape, np.nan), where=covered > 0)
    inside = values[(depth >= top) & (depth < bottom)]
    if inside.size:
        counted = np.isfinite(inside).sum(axis=0)
        single = np.divide(np.nansum(inside, axis=0), counted, out=np.full(total.shape, np.nan), where=counted > 0)
        mean = np.where(covered > 0, mean, single)
    mean = np.where(covered >= coverage * (bottom - top) * (1 - 1e-9), mean, np.nan)
    template = layer.isel(depth=0, drop=True)
    return template.copy(data=mean.astype(layer.dtype))


def checked_levels(layer, top, bottom, coverage=0.0):
    """Levels of a layer that reach down to a zone's lower limit.

    Parameters
    ----------
    layer : xarray.DataArray
        With dim ``depth`` (m, positive down, ascending).
    top, bottom, coverage : float
        As for `zone_mean`.

    Returns
    -------
    numpy.ndarray
        Depths of the levels (m).

    Raises
    ------
    UserError
        As for `zone_mean`.
    """
    if "depth" not in layer.dims:
        raise UserError(f"layer {layer.name!r} has dims {layer.dims}; a zone mean needs 'depth'.")
    if not 0 <= top < bottom:
        raise UserError(f"zone {top}-{bottom} m must satisfy 0 <= top < bottom.")
    if not 0 <= coverage <= 1:
        raise UserError(f"coverage {coverage} is a share of the zone and must lie in [0, 1].")
    depth = layer["depth"].to_numpy().astype("float64")
    if depth.size < 2 or (np.diff(depth) <= 0).any():
        raise UserError(f"levels of layer {layer.name!r} must ascend and be at least two, but are {depth[:5]}.")
    if bottom > depth[-1]:
        raise UserError(f"zone {top:g}-{bottom:g} m reaches below layer {layer.name!r}, which ends at {depth[-1]:g} m.")
    return depth
