"""Members over the grid: moments, quantiles and totals block by block."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from tqdm import tqdm

from aqqua_dist.core.errors import UserError

QUANTILES = (0.025, 0.5, 0.975)
BLOCK_VALUES = 4_000_000
"""Member predictions held at once; it bounds the memory of `predict`."""


@dataclass(frozen=True)
class Domain:
    """Cells that are predicted in one zone.

    Attributes
    ----------
    features : numpy.ndarray
        float32, shape (n_months, n_cells, n_predictors).
    cells : numpy.ndarray
        Flat index of each cell in (lat, lon), shape (n_cells,).
    volume : numpy.ndarray
        Area times thickness (m3), shape (n_cells,).
    area : numpy.ndarray
        Area (m2), shape (n_cells,).
    months : numpy.ndarray or None
        Months of a monthly cube.
    """

    features: np.ndarray
    cells: np.ndarray
    volume: np.ndarray
    area: np.ndarray
    months: np.ndarray | None


def domain(cube, zone, names):
    """Cells of one zone with their predictors, in float32.

    Parameters
    ----------
    cube : xarray.Dataset
        Dims ([month], zone, lat, lon).
    zone : str
        Name of the zone.
    names : list of str
        Predictors, in the order of the model.

    Returns
    -------
    Domain
        The cells where ``domain`` is 1.

    Raises
    ------
    UserError
        A predictor is not in the cube, or a cell of the domain has no
        thickness: its volume would be unknown, which is not zero.
    """
    missing = [name for name in names if name not in cube]
    if missing:
        raise UserError(f"predictors {missing} are not in the cube; it has {sorted(map(str, cube.data_vars))}.")
    part = cube.sel(zone=zone)
    cells = np.flatnonzero(part["domain"].to_numpy().ravel() == 1)
    months = cube["month"].to_numpy() if "month" in cube.dims else None
    count = 1 if months is None else len(months)
    features = np.empty((count, cells.size, len(names)), dtype="float32")
    for column, name in enumerate(names):
        values = part[name]
        values = values.transpose(..., "lat", "lon").to_numpy().reshape(-1, part.sizes["lat"] * part.sizes["lon"])
        features[:, :, column] = values[:, cells]
    area = part["cell_area"].to_numpy().ravel()[cells]
    thickness = part["thickness"].to_numpy().ravel()[cells]
    unknown = np.isnan(thickness)
    if unknown.any():
        raise UserError(
            f"zone {zone!r}: {int(unknown.sum())} of {cells.size} cells that are to be predicted have no thickness, since the "
            "depth of their sea floor is missing; give it, or leave them out of the domain."
        )
    return Domain(features, cells, area * thickness, area, months)


def predict(ensemble, where, weights, *, jobs=1, progress=True):
    """All members over a domain in one pass, keeping moments and totals only.

    The pass works on blocks of cells sized so that all members of a block
    fit in a fixed memory (`BLOCK_VALUES`): memory does not grow with the
    number of members.

    Parameters
    ----------
    ensemble : aqqua_dist.habitat_models.ensemble.Ensemble
        Fitted members.
    where : Domain
        Cells.
    weights : callable
        ``weights(start, stop)`` gives what turns predictions of cells
        ``start:stop`` into totals, shape (n_months * (stop - start), n_regions).
    jobs : int
        Threads; each member is predicted by one.
    progress : bool
        Show a progress bar.

    Returns
    -------
    tuple of (dict, numpy.ndarray)
        Fields ``estimate, mean, sd, q025, q50, q975`` of shape (n_months,
        n_cells) and the same with suffix ``_annual`` of shape (n_cells,);
        totals of shape (n_members + 1, n_regions), the last row being the
        full fit (NaN where there is none).
    """
    n_months, n_cells, n_names = where.features.shape
    members = ensemble.n_members
    size = max(1, BLOCK_VALUES // (members * n_months))
    fields, totals = {}, 0.0
    starts = range(0, n_cells, size)
    for start in tqdm(starts, desc="map", unit="block", disable=None if progress and len(starts) > 1 else True):
        stop = min(start + size, n_cells)
        block = np.ascontiguousarray(where.features[:, start:stop]).reshape(-1, n_names)
        values = ensemble.predict(block, jobs=jobs)
        centres = ensemble.centres(block)
        centre = centres.mean(axis=0) if len(centres) else None
        share = weights(start, stop)
        stacked = values if centre is None else np.vstack([values, centre[None]])
        part = stacked.astype("float64") @ share / n_months
        if centre is None:
            part = np.vstack([part, np.full((1, part.shape[1]), np.nan)])
        totals = totals + part
        shape = (members, n_months, stop - start)
        _store(fields, "", _moments(values, centre), (n_months, n_cells), start, stop)
        if n_months > 1:
            yearly = values.reshape(shape).mean(axis=1, dtype="float64")
            middle = None if centre is None else centre.reshape(shape[1:]).mean(axis=0)
            _store(fields, "_annual", _moments(yearly, middle), (n_cells,), start, stop)
    return fields, totals


def _moments(values, centre):
    """Moments over the first axis of (members, rows)."""
    ordered = np.sort(np.ascontiguousarray(values.T), axis=1)
    mean = ordered.mean(axis=1, dtype="float64")
    found = {
        "estimate": mean if centre is None else centre,
        "mean": mean,
        "sd": ordered.std(axis=1, ddof=1, dtype="float64"),
    }
    last = ordered.shape[1] - 1
    for level, name in zip(QUANTILES, ("q025", "q50", "q975"), strict=True):
        low = int(np.floor(level * last))
        share = level * last - low
        found[name] = ordered[:, low] * (1 - share) + ordered[:, min(low + 1, last)] * share
    return found


def _store(fields, suffix, found, shape, start, stop):
    for name, values in found.items():
        field = fields.setdefault(name + suffix, np.empty(shape, dtype="float32"))
        field[..., start:stop] = values.reshape(*shape[:-1], stop - start)


def to_grid(values, where, cube):
    """Values of a domain laid on the study grid.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n_months, n_cells) or (n_cells,).
    where : Domain
        Cells.
    cube : xarray.Dataset
        Gives lat, lon (and month).

    Returns
    -------
    xarray.DataArray
        Dims ([month], lat, lon), float32, NaN outside the domain.
    """
    flat = np.full((*values.shape[:-1], cube.sizes["lat"] * cube.sizes["lon"]), np.nan, dtype="float32")
    flat[..., where.cells] = values
    full = flat.reshape(*values.shape[:-1], cube.sizes["lat"], cube.sizes["lon"])
    coords = {"lat": cube["lat"], "lon": cube["lon"]}
    if full.ndim == 2:
        return xr.DataArray(full, dims=("lat", "lon"), coords=coords)
    if where.months is None:
        return xr.DataArray(full[0], dims=("lat", "lon"), coords=coords)
    return xr.DataArray(full, dims=("month", "lat", "lon"), coords={"month": where.months, **coords})
