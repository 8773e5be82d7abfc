"""Folds that match the distances of the map, against brute force and R's CAST."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.spatial.distance import cdist
from sklearn.metrics import rand_score

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import cell_area, regular_grid
from aqqua_dist.validation import knndm, place_clusters
from aqqua_dist.validation.knndm import arc_length, deal, matched_folds, unit_vectors
from aqqua_dist.validation.place_clusters import cut, merges
from aqqua_dist.validation.schemes import SCHEMES, scheme_folds

RADIUS_M = 6371007.2


def haversine(one, other):
    """Great-circle distances (m) of all pairs of (lat, lon) in degrees."""
    (lat1, lon1), (lat2, lon2) = (np.radians(np.asarray(place, float)).T for place in (one, other))
    half = np.sin((lat2 - lat1[:, None]) / 2) ** 2
    half += np.cos(lat1)[:, None] * np.cos(lat2) * np.sin((lon2 - lon1[:, None]) / 2) ** 2
    return 2 * RADIUS_M * np.arcsin(np.sqrt(half))


def wasserstein(one, other, weights=None):
    """Area between two step functions, summed step by step."""
    weights = np.ones(len(other)) if weights is None else weights
    steps = np.unique(np.concatenate([one, other]))
    left = np.array([(one <= step).mean() for step in steps[:-1]])
    right = np.array([weights[other <= step].sum() for step in steps[:-1]]) / weights.sum()
    return float((np.abs(left - right) * np.diff(steps)).sum())


def brute_force(between, folds):
    """Distance of each row to the nearest row of another fold."""
    return np.where(np.equal.outer(folds, folds), np.inf, between).min(axis=1)


def clustered(n=200, groups=8, seed=0):
    """Rows in groups of a few degrees, some of them at a place that others have, too."""
    rng = np.random.default_rng(seed)
    centre = np.column_stack([rng.uniform(-60, 60, groups), rng.uniform(-180, 180, groups)])
    rows = pd.DataFrame(centre[rng.integers(0, groups, n)] + rng.normal(0, 2, (n, 2)), columns=["lat", "lon"])
    rows.iloc[-20:] = rows.iloc[:20].to_numpy()
    return rows


def grid(step=10, north=90):
    """Grid of which the cells south of `north` are predicted, in one of two zones."""
    area = cell_area(*regular_grid(step))
    held = xr.zeros_like(area, dtype=int) + (area["lat"] < north)
    return xr.Dataset({"domain": xr.concat([0 * held, held], dim="zone"), "cell_area": area})


def folds_of(rows, domain, folds=5, seed=0):
    return scheme_folds("knndm", rows, domain, SCHEMES["knndm"].Settings(folds=folds), seed)


@pytest.fixture(scope="module")
def cast(data_root):
    """Rows, cells, and what R's CAST 1.1.0 found on them."""
    folder = data_root / "validation" / "r_check"
    names = ("train", "cells", "cast_knndm_folds", "cast_knndm_distances", "cast_knndm_prediction_distances")
    return [pd.read_csv(folder / f"{name}.csv") for name in names]


def test_distances_and_mismatch_are_those_of_cast(cast):
    rows, cells, folds, distances, to_cells = cast
    points = unit_vectors(rows["lat"], rows["lon"])
    search = knndm._Search(points, unit_vectors(cells["lat"], cells["lon"]), 5, None, arc_length)
    given = folds["fold"].to_numpy() - 1
    np.testing.assert_allclose(search.to_cells, to_cells["prediction_to_sample_m"], rtol=1e-6)
    np.testing.assert_allclose(search.between_folds(given, np.arange(len(rows))), distances["cv_m"], rtol=1e-6)
    np.testing.assert_allclose(
        knndm.arc_length(knndm._to_nearest_other(search)), distances["sample_to_sample_m"], rtol=1e-6
    )
    search.judge(np.arange(len(rows)))
    place_folds = np.empty(len(search.places), dtype=int)
    place_folds[search.place] = given
    assert search.mismatch(place_folds) == pytest.approx(194770.5, rel=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_folds_match_at_least_as_well_as_those_of_cast(cast, seed):
    rows, cells = cast[0][["lat", "lon"]], cast[1][["lat", "lon"]]
    found = matched_folds(unit_vectors(*rows.T.to_numpy()), unit_vectors(*cells.T.to_numpy()), 5, seed)
    between = brute_force(haversine(rows, rows), found.folds)
    distance = wasserstein(between, haversine(cells, rows).min(axis=1))
    assert distance == pytest.approx(found.distance, rel=1e-6)
    assert distance <= 194770.5
    assert sorted(set(found.folds)) == list(range(5)) and np.bincount(found.folds).max() <= 150


def test_answer_against_brute_force_with_cells_counted_by_area():
    rows, domain = clustered(), grid()
    found = matched_folds(unit_vectors(rows["lat"], rows["lon"]), *_cells(domain), weights=_area(domain))
    lat, lon = np.meshgrid(domain["lat"][domain["lat"] < 90], domain["lon"], indexing="ij")
    cells, between = np.column_stack([lat.ravel(), lon.ravel()]), haversine(rows, rows)
    np.testing.assert_allclose(found.to_cells, haversine(cells, rows).min(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.between_folds, brute_force(between, found.folds), rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(found.within, brute_force(between, np.arange(len(rows))), rtol=1e-6, atol=1e-3)
    weights = np.cos(np.radians(cells[:, 0]))  # of cells of equal height and width
    assert found.distance == pytest.approx(wasserstein(found.between_folds, found.to_cells, weights), rel=1e-3)
    assert wasserstein(found.between_folds, found.to_cells) != pytest.approx(found.distance, rel=0.01)
    np.testing.assert_array_equal(folds_of(rows, domain), found.folds)


def _cells(domain):
    return knndm.domain_cells(domain)[0], 5, 0


def _area(domain):
    return knndm.domain_cells(domain)[1]


def test_matched_folds_are_harder_than_random_ones_where_the_map_is_far_away():
    rows, domain = clustered(), grid()
    points = unit_vectors(rows["lat"], rows["lon"])
    found = matched_folds(points, *_cells(domain), weights=_area(domain))
    random = brute_force(haversine(rows, rows), np.arange(len(rows)) % 5)
    assert found.n_clusters >= 5 and np.median(random) < 0.2 * np.median(found.between_folds)
    assert found.distance < 0.8 * wasserstein(random, found.to_cells)


def test_rows_of_one_place_are_in_one_fold():
    rows = clustered()
    folds = folds_of(rows, grid())
    assert rows.assign(fold=folds).groupby(["lat", "lon"])["fold"].nunique().max() == 1
    assert np.bincount(folds).max() <= len(rows) / 2


def test_folds_are_random_where_rows_lie_no_closer_than_cells():
    """Rows on the cells of the map: each cell has a row in it, and random folds are those of its distances."""
    lat, lon = (a.ravel() for a in np.meshgrid(*regular_grid(10), indexing="ij"))
    found = matched_folds(unit_vectors(lat, lon), unit_vectors(lat, lon), 5, 0)
    assert found.n_clusters == 0
    assert np.bincount(found.folds).max() - np.bincount(found.folds).min() <= 1
    assert (found.to_cells == 0).all()


def test_the_date_line_and_the_poles_are_no_borders():
    """Rows on both sides of the date line, and all around a pole, are one group each; on a map they would be torn apart."""
    rng = np.random.default_rng(3)
    centre = np.array([[0.0, 179.9], [87, 0], [-60, 100], [10, 20], [40, -90]])
    group = np.repeat(np.arange(5), 20)
    place = centre[group] + rng.normal(0, 1.5, (100, 2)) * np.where(group == 1, [[1], [60]], [[1], [1]]).T
    lon = (place[:, 1] + 180) % 360 - 180
    assert np.ptp(lon[group == 0]) > 350 and np.ptp(lon[group == 1]) > 180
    points = unit_vectors(np.minimum(place[:, 0], 89.9), lon)
    assert rand_score(cut(merges(points), 100, 5), group) == 1
    to_cells = matched_folds(points, unit_vectors([1, 1], [-179, 181]), 5, 0).to_cells
    assert to_cells[0] == pytest.approx(to_cells[1], rel=1e-9) and to_cells[0] < 300_000
    assert arc_length(2.0) == pytest.approx(np.pi * RADIUS_M)
    pole = unit_vectors([90, 90], [0, 123])
    np.testing.assert_allclose(pole[0], pole[1], atol=1e-12)


def test_planar_points_in_their_own_unit():
    rng = np.random.default_rng(4)
    points = rng.integers(0, 4, (150, 2)) * 100.0 + rng.normal(size=(150, 2))
    cells = rng.uniform(-100, 500, (300, 2))
    found = matched_folds(points, cells, 4, 0, length=np.asarray)
    np.testing.assert_allclose(found.to_cells, cdist(cells, points).min(axis=1))
    between = brute_force(cdist(points, points), found.folds)
    assert found.distance == pytest.approx(wasserstein(between, cdist(cells, points).min(axis=1)))


def test_a_seed_gives_one_answer():
    rows, domain = clustered(), grid()
    np.testing.assert_array_equal(folds_of(rows, domain, seed=7), folds_of(rows, domain, seed=7))


def test_many_rows_without_a_matrix(monkeypatch):
    """Grouped joins and few judges find folds about as good as all rows together do."""
    rows, domain = clustered(3000, 40), grid()
    whole = matched_folds(unit_vectors(rows["lat"], rows["lon"]), *_cells(domain), weights=_area(domain))
    for module, name, value in (
        (place_clusters, "WARD_PLACES", 400),
        (place_clusters, "GROUP_PLACES", 200),
        (knndm, "SEARCH_ROWS", 500),
        (knndm, "NEAR_PLACES", 4),
    ):
        monkeypatch.setattr(module, name, value)
    part = matched_folds(unit_vectors(rows["lat"], rows["lon"]), *_cells(domain), weights=_area(domain))
    random = brute_force(haversine(rows, rows), np.arange(len(rows)) % 5)
    lost = wasserstein(random, whole.to_cells, _area(domain)) - part.distance
    assert lost > 0.8 * (wasserstein(random, whole.to_cells, _area(domain)) - whole.distance)
    np.testing.assert_allclose(part.between_folds, brute_force(haversine(rows, rows), part.folds), rtol=1e-6, atol=1e-3)


def test_a_big_cluster_is_a_fold_and_the_others_are_dealt_out():
    held = np.array([1, 40, 2, 3, 30, 4])  # 80 rows in 4 folds: 20 or more stand alone
    assert deal(held, np.array([5, 4, 3, 2, 1, 0]), 4).tolist() == [3, 1, 2, 3, 0, 2]


@pytest.mark.parametrize(
    ("rows", "domain", "message"),
    [
        (clustered(), None, "got None as the grid"),
        (clustered(), grid(north=-90), "0 of 648 cells"),
        (clustered().iloc[[0, 1, 1, 0, 1, 0]], grid(), "2 places for 5 folds"),
        (clustered().iloc[[0] * 20 + [1, 2, 3, 4, 5]], grid(), "of the 25 rows"),
        (clustered().assign(lat=np.nan), grid(), "row 0: place is lat nan"),
        (clustered().assign(lat=95.0), grid(), "row 0: place is lat 95.0"),
        (clustered().assign(lon=np.inf), grid(), "lon inf"),
    ],
)
def test_impossible_rows_are_shown(rows, domain, message):
    with pytest.raises(UserError, match=message):
        folds_of(rows, domain)
