"""Scheme ``knndm``: held-out rows lie as far from the training rows as the cells of the map do."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree
from scipy.stats import ks_2samp, wasserstein_distance

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import AUTHALIC_RADIUS_KM
from aqqua_dist.core.seeds import stream
from aqqua_dist.validation.place_clusters import cut, merges
from aqqua_dist.validation.scheme import Scheme

LARGEST_FOLD = 0.5
"""Largest share of the rows that one fold may hold (of two folds 0.6)."""
CLUSTERINGS = 40
"""Most numbers of clusters that are tried."""
SEARCH_ROWS = 5000
"""Most rows that judge a clustering; the chosen one is judged by all rows."""
NEAR_PLACES = 256
"""Places around a row that are remembered, so that most of its distances need no search."""
SHUFFLES = 3
"""Orders of the clusters drawn at random, besides those along the principal axes."""
RANDOM_LEVEL = 0.05
"""Level of the test below which rows are too close to each other for random folds."""


class MatchedFolds(NamedTuple):
    """Answer of `matched_folds`.

    Attributes
    ----------
    folds : numpy.ndarray
        Fold of each row, int, shape (n_rows,).
    distance : float
        Wasserstein distance W between `between_folds` and `to_cells` (m; of
        planar points in their own unit).
    n_clusters : int
        Clusters that were merged to folds; 0 where the folds are random.
    within : numpy.ndarray
        Distance of each row to the nearest other row, shape (n_rows,).
    between_folds : numpy.ndarray
        Distance of each row to the nearest row of another fold, shape (n_rows,).
    to_cells : numpy.ndarray
        Distance of each cell to the nearest row, shape (n_cells,).
    """

    folds: np.ndarray
    distance: float
    n_clusters: int
    within: np.ndarray
    between_folds: np.ndarray
    to_cells: np.ndarray


class NearestNeighbourMatching(Scheme):
    """Folds whose distances are those of the map (kNNDM), along great circles.

    Rows are clustered at many sizes, the clusters are merged to folds, and of
    all these the folds are taken whose distances from a row to the nearest
    row of another fold are distributed most like the distances from a cell of
    the map, counted by its area, to the nearest row.

    References
    ----------
    Linnenbrink et al. 2024, doi 10.5194/gmd-17-5897-2024.
    """

    needs = ("lat", "lon")
    looks_at_domain = True

    @classmethod
    def folds(cls, rows, domain, settings, seed):
        """Fold of each row.

        Parameters
        ----------
        rows, settings, seed
            As for `Scheme.folds`.
        domain : xarray.Dataset
            Grid to be predicted, as for `domain_cells`.

        Returns
        -------
        numpy.ndarray
            int, shape (n_rows,): 0, 1, ...

        Raises
        ------
        UserError
            There is no grid, it has no cell, or there are fewer places than folds.
        """
        cells, area = domain_cells(domain)
        points = unit_vectors(rows["lat"], rows["lon"])
        return matched_folds(points, cells, settings.folds, seed, weights=area).folds


def domain_cells(domain):
    """Cells that will be predicted.

    Parameters
    ----------
    domain : xarray.Dataset
        Coordinates lat and lon (degrees), ``domain`` (1 where a cell is
        predicted, in any zone if it has zones) and ``cell_area``.

    Returns
    -------
    tuple of (numpy.ndarray, numpy.ndarray)
        Unit vectors, shape (n_cells, 3), and area, shape (n_cells,).

    Raises
    ------
    UserError
        There is no grid, or none of its cells is predicted.
    """
    if domain is None:
        raise UserError("scheme 'knndm' got None as the grid to be predicted; allowed is a grid with cells.")
    held = domain["domain"] == 1
    held = held.any([name for name in held.dims if name not in ("lat", "lon")]).transpose("lat", "lon")
    if not bool(held.any()):
        raise UserError(f"scheme 'knndm': 0 of {held.size} cells of the grid are predicted; allowed is at least 1.")
    lat, lon, area = xr.broadcast(held["lat"], held["lon"], domain["cell_area"].transpose("lat", ...))
    where = held.to_numpy()
    values = (one.transpose("lat", "lon").to_numpy()[where] for one in (lat, lon, area))
    lat, lon, area = values
    return unit_vectors(lat, lon), area


def unit_vectors(lat, lon):
    """Places on the sphere of radius 1.

    Parameters
    ----------
    lat, lon : array_like
        Degrees, shape (n,).

    Returns
    -------
    numpy.ndarray
        Shape (n, 3).

    Raises
    ------
    UserError
        A place is missing, or a latitude lies beyond a pole.
    """
    lat, lon = np.asarray(lat, dtype=np.float64), np.asarray(lon, dtype=np.float64)
    wrong = np.flatnonzero(~(np.abs(lat) <= 90) | ~np.isfinite(lon))
    if wrong.size:
        raise UserError(
            f"row {wrong[0]}: place is lat {lat[wrong[0]]}, lon {lon[wrong[0]]}; "
            "allowed are a lat from -90 to 90 and a finite lon."
        )
    lat, lon = np.radians(lat), np.radians(lon)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def arc_length(chord):
    """Great-circle distance of two places.

    Parameters
    ----------
    chord : array_like
        Straight distance of their unit vectors.

    Returns
    -------
    numpy.ndarray
        Metres on the sphere that has the area of the earth.
    """
    return 2e3 * AUTHALIC_RADIUS_KM * np.arcsin(np.minimum(np.asarray(chord) / 2, 1))


def matched_folds(points, cells, n_folds, seed, *, weights=None, length=arc_length):
    """Folds whose nearest-neighbour distances match those of the cells (kNNDM).

    No matrix of all rows by all rows is made. Rows at one place stay in one
    fold, unless the rows are no closer to each other than the cells are to
    them: then the folds are random, as published.

    Parameters
    ----------
    points : numpy.ndarray
        Training rows: unit vectors, shape (n_rows, 3), or planar
        coordinates, shape (n_rows, 2).
    cells : numpy.ndarray
        Cells to be predicted, likewise, shape (n_cells, n_dims).
    n_folds : int
        Number of folds.
    seed : int
        Seed of the recipe.
    weights : array_like, optional
        Area of each cell, shape (n_cells,); by default all are equal.
    length : callable
        From straight distance to the distance that is matched; for planar
        coordinates `numpy.asarray`.

    Returns
    -------
    MatchedFolds
        The best folds found.

    Raises
    ------
    UserError
        There are fewer places than folds, or one place holds most rows.

    References
    ----------
    Linnenbrink et al. 2024, doi 10.5194/gmd-17-5897-2024.
    """
    search = _Search(points, cells, n_folds, weights, length)
    within = length(_to_nearest_other(search))
    rng = stream(seed, "validation", "knndm")
    random = rng.permutation(np.arange(len(points)) % n_folds)
    if not _too_close(within, search.to_cells, search.weights):
        return _answer(search, random, 0, within)
    search.judge(np.sort(rng.permutation(len(points))[:SEARCH_ROWS]))
    lowest, best, chosen = np.inf, random, 0
    for place_folds, n_clusters in _candidates(search, rng):
        found = search.mismatch(place_folds)
        if found < lowest:
            lowest, best, chosen = found, place_folds[search.place], n_clusters
    if chosen == 0:
        raise UserError(
            f"no clustering of {len(search.places)} places makes {n_folds} folds of at most {LARGEST_FOLD:.0%} "
            f"of the {len(points)} rows; allowed are rows that are not heaped in one place."
        )
    return _answer(search, best, chosen, within)


class _Search:
    """Rows, their distinct places and the distances to be matched."""

    def __init__(self, points, cells, n_folds, weights, length):
        self.places, self.place = np.unique(points, axis=0, return_inverse=True)
        self.place = self.place.ravel()
        if len(self.places) < n_folds:
            raise UserError(
                f"{len(self.places)} places for {n_folds} folds; allowed are at least as many places as folds."
            )
        self.n_folds, self.length = n_folds, length
        self.rows = np.bincount(self.place)
        self.tree = cKDTree(self.places)
        self.weights = np.ones(len(cells)) if weights is None else np.asarray(weights, dtype=np.float64)
        self.to_cells = length(self.tree.query(cells)[0])

    def between_folds(self, folds, rows):
        """Distance of some rows to the nearest row of another fold; `folds` are those of all rows."""
        nearest = np.full(len(rows), np.inf)
        for fold in range(self.n_folds):
            outside = folds[rows] != fold
            if outside.any():
                inside = np.zeros(len(self.places), dtype=bool)
                inside[self.place[folds == fold]] = True
                held = cKDTree(self.places[inside], balanced_tree=False, compact_nodes=False)
                found = held.query(self.places[self.place[rows[outside]]])[0]
                nearest[outside] = np.minimum(nearest[outside], found)
        return self.length(nearest)

    def judge(self, rows):
        """Name the rows whose distances judge the folds, and remember the places around them."""
        self.judges = rows
        count = min(NEAR_PLACES, len(self.places))
        distance, self.near = self.tree.query(self.places[self.place[rows]], k=count)
        self.near_distance = self.length(distance)

    def mismatch(self, place_folds):
        """Wasserstein distance of the judges' distances to those of the cells, where places are whole."""
        other = place_folds[self.near] != place_folds[self.place[self.judges]][:, None]
        first = other.argmax(axis=1)
        each = np.arange(len(first))
        found, far = self.near_distance[each, first], ~other[each, first]
        if far.any():
            found[far] = self.between_folds(place_folds[self.place], self.judges[far])
        return wasserstein_distance(found, self.to_cells, v_weights=self.weights)


def _to_nearest_other(search):
    if len(search.places) == 1:
        return np.zeros(len(search.place))
    other = search.tree.query(search.places, k=2)[0][:, 1]
    return np.where(search.rows > 1, 0.0, other)[search.place]


def _too_close(within, to_cells, weights):
    """Whether rows are closer to each other than cells are to rows (one-sided Kolmogorov-Smirnov test)."""
    order = np.argsort(to_cells)
    share = np.cumsum(weights[order]) / weights.sum()
    even = (np.arange(len(to_cells)) + 0.5) / len(to_cells)
    alike = to_cells[order][np.minimum(np.searchsorted(share, even), len(order) - 1)]  # cells of equal area
    return ks_2samp(within, alike, alternative="greater", method="asymp").pvalue < RANDOM_LEVEL


def _answer(search, folds, n_clusters, within):
    between = search.between_folds(folds, np.arange(len(search.place)))
    distance = wasserstein_distance(between, search.to_cells, v_weights=search.weights)
    return MatchedFolds(folds, float(distance), n_clusters, within, between, search.to_cells)


def _candidates(search, rng):
    """Folds made of clusters, as (fold of each place, number of clusters)."""
    count, n_folds = len(search.places), search.n_folds
    edges = merges(search.places)
    sizes = np.unique(np.geomspace(n_folds, max(count - 2, n_folds), CLUSTERINGS).round().astype(int))
    axes = np.linalg.svd(np.cov(search.places, rowvar=False))[2]
    along = (search.places * search.rows[:, None]) @ axes.T
    largest = max(LARGEST_FOLD, 1.2 / n_folds) * search.rows.sum()
    for n_clusters in sizes:
        cluster = cut(edges, count, n_clusters)
        held = np.bincount(cluster, weights=search.rows)
        orders = [np.argsort(np.bincount(cluster, weights=one) / held, kind="stable") for one in along.T]
        orders += [rng.permutation(n_clusters) for _ in range(SHUFFLES)]
        for order in orders:
            place_folds = deal(held, order, n_folds)[cluster]
            sizes_found = np.bincount(place_folds, weights=search.rows, minlength=n_folds)
            if sizes_found.min() > 0 and sizes_found.max() <= largest:
                yield place_folds, int(n_clusters)


def deal(held, order, n_folds):
    """Fold of each cluster: a big one stands alone, the others are dealt out in turn.

    Parameters
    ----------
    held : numpy.ndarray
        Rows of each cluster, shape (n_clusters,).
    order : numpy.ndarray
        Numbers of the clusters in the order in which they are dealt out.
    n_folds : int
        Number of folds.

    Returns
    -------
    numpy.ndarray
        int, shape (n_clusters,).
    """
    big = held[order] >= held.sum() / n_folds
    alone, others = order[big], order[~big]
    found = np.empty(len(held), dtype=int)
    found[alone] = np.arange(len(alone))
    if others.size:
        found[others] = len(alone) + np.arange(len(others)) % (n_folds - len(alone))
    return found
