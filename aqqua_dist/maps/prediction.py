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


def predict(targets, products, *, jobs=1, progress=True):
    """All members of all targets in one pass over blocks of cells, keeping moments and totals of products only.

    Blocks are sized so that the members of all targets of a block fit in a
    fixed memory (`BLOCK_VALUES`): beyond what is kept, memory does not grow
    with the number of members or targets.

    Parameters
    ----------
    targets : dict of hashable to tuple of (Ensemble, Domain)
        Fitted members of each target, and its cells.
    products : dict of hashable to aqqua_dist.maps.products.Product
        What is made of them.
    jobs : int
        Threads; each member is predicted by one.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict of hashable to tuple of (dict, numpy.ndarray)
        Of each product, fields ``estimate, mean, sd, q025, q50, q975`` of
        shape (n_months, n_cells) and the same with suffix ``_annual`` of
        shape (n_cells,); totals of shape (n_members + 1, n_regions), the last
        row being the full fit (NaN where there is none).

    Raises
    ------
    UserError
        Targets of one pass differ in their draws or months: member k of one
        would not belong to member k of the other.
    """
    members, n_months = _common(targets)
    _refuse_lost_cells(targets, products)
    kept = {name: _Kept(product, members, n_months) for name, product in products.items()}
    grids = list({id(product.cells): product.cells for product in products.values()}.values())
    cells = grids[0] if len(grids) == 1 else np.unique(np.concatenate(grids))
    size = max(1, BLOCK_VALUES // (members * n_months * len(targets)))
    starts = range(0, cells.size, size)
    for start in tqdm(starts, desc="map", unit="block", disable=None if progress and len(starts) > 1 else True):
        block = cells[start : start + size]
        fields = {name: _field(*target, block, jobs) for name, target in targets.items()}
        for one in kept.values():
            one.add(fields, block)
        del fields  # before the next block is predicted
    return {name: (one.fields, one.totals) for name, one in kept.items()}


def _common(targets):
    """Number of members and months of a pass, the same for all its targets."""
    (first, (ensemble, where)), *others = targets.items()
    for name, (other, cells) in others:
        mine, found = ([member.draw for member in one.members] for one in (ensemble, other))
        if mine != found:
            raise UserError(
                f"members of {first} and {name} are not the same draws ({len(mine)} and {len(found)} members, the first "
                f"{mine[:3]} and {found[:3]}): fit both anew."
            )
        months = where.features.shape[0], cells.features.shape[0]
        if months[0] != months[1]:
            raise UserError(f"{first} and {name} are of {months[0]} and {months[1]} months; allowed are equal ones.")
    return ensemble.n_members, where.features.shape[0]


def _refuse_lost_cells(targets, products):
    for name, product in products.items():
        for target in product.takes:
            if targets[target][1].cells is product.cells:
                continue
            lost = ~np.isin(targets[target][1].cells, product.cells)
            if lost.any():
                raise UserError(
                    f"product {name}: {int(lost.sum())} cells of {target} are not among its own {lost.size}."
                )


def _between(cells, block):
    """Which of some ascending cells lie between the first and the last of a block."""
    return np.searchsorted(cells, block[0]), np.searchsorted(cells, block[-1], side="right")


def _field(ensemble, where, block, jobs):
    """Cells of a target in a block and its values there: members, then the full fit where there is one."""
    start, stop = _between(where.cells, block)
    rows = np.ascontiguousarray(where.features[:, start:stop]).reshape(-1, where.features.shape[-1])
    values, centres = ensemble.predict(rows, jobs=jobs), ensemble.centres(rows)
    if len(centres):
        values = np.vstack([values, centres.mean(axis=0)[None]])
    return where.cells[start:stop], values


class _Kept:
    """What is kept of one product."""

    def __init__(self, product, members, n_months):
        self.product, self.members, self.n_months = product, members, n_months
        self.fields, self.totals = {}, 0.0

    def add(self, fields, block):
        """Make the product in one block, and keep its moments and totals."""
        start, stop = _between(self.product.cells, block)
        if start == stop:
            return
        product, members, n_months = self.product, self.members, self.n_months
        given = {name: _laid(*fields[name], product.cells[start:stop], n_months) for name in product.takes}
        if len({len(values) for values in given.values()}) > 1:
            raise UserError(f"of {len(given)} targets of a product, some have a fit to all rows and some have none.")
        layers = {name: np.tile(values[start:stop], n_months) for name, values in product.layers.items()}
        count = len(next(iter(given.values())))
        drawn = {name: values[:count, None] for name, values in product.parameters.items()}
        made = product.make(given, layers, drawn)
        part = made.astype("float64") @ product.weights(start, stop) / n_months
        if count == members:
            part = np.vstack([part, np.full((1, part.shape[1]), np.nan)])
        self.totals = self.totals + part
        values, centre = made[:members], made[members] if count > members else None
        n_cells = product.cells.size
        _store(self.fields, "", _moments(values, centre), (n_months, n_cells), start, stop)
        if n_months > 1:
            shape = (members, n_months, stop - start)
            yearly = values.reshape(shape).mean(axis=1, dtype="float64")
            middle = None if centre is None else centre.reshape(shape[1:]).mean(axis=0)
            _store(self.fields, "_annual", _moments(yearly, middle), (n_cells,), start, stop)


def _laid(own, values, cells, n_months):
    """Values of a target on the cells of a product; 0 where its zone has none."""
    if own.size == cells.size:
        return values
    full = np.zeros((len(values), n_months, cells.size), dtype=values.dtype)
    full[:, :, np.searchsorted(cells, own)] = values.reshape(len(values), n_months, own.size)
    return full.reshape(len(values), -1)


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
