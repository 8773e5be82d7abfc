"""Nearest centroid: against distances in double precision, ties, rows that are not finite."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.embeddings.nearest import ROWS_NEAREST, NearestCentroid
from aqqua_dist.embeddings.rows import Rows


def find(values, centroids, **given):
    return NearestCentroid(centroids).find(Rows(values, None, 0, len(values)), **given)


def distances(values, centroids):
    return np.sqrt(((values.astype(float)[:, None] - centroids.astype(float)) ** 2).sum(axis=2))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 60),
    st.integers(1, 30),
    st.integers(2, 20),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1.0, 1e3]),
)
def test_against_double_precision(n, d, k, seed, offset):
    random = np.random.default_rng(seed)
    values, centroids = ((random.standard_normal((rows, d)) + offset).astype("float32") for rows in (n, k))
    labels, found = find(values, centroids)
    exact = distances(values, centroids)
    np.testing.assert_array_equal(labels, exact.argmin(axis=1))
    np.testing.assert_allclose(found, exact.min(axis=1), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_more_rows_than_a_block_in_any_partition(dtype):
    random = np.random.default_rng(0)
    values, centroids = (
        random.standard_normal((ROWS_NEAREST + 300, 40)).astype(dtype),
        random.standard_normal((17, 40)).astype("float32"),
    )
    labels, found = find(values, centroids)
    np.testing.assert_array_equal(labels, distances(values, centroids).argmin(axis=1))
    np.testing.assert_allclose(found, distances(values, centroids).min(axis=1), rtol=1e-5)
    parts = [find(values[low : low + 71], centroids)[0] for low in range(0, len(values), 71)]
    np.testing.assert_array_equal(np.concatenate(parts), labels)


def test_the_lowest_of_centroids_that_tie():
    centroids = np.array([[5, 5], [1, 0], [-1, 0], [1, 0], [0, 1], [5, 5]], "float32")
    values = np.array([[0, 0], [0, 9], [1, 0], [0, -3], [5, 5], [0.5, 0.5]], "float32")
    labels, found = find(values, centroids)
    assert labels.tolist() == [1, 0, 1, 1, 0, 1]
    np.testing.assert_allclose(found, [1, np.sqrt(41), 0, np.sqrt(10), 0, np.sqrt(0.5)], atol=1e-7)
    assert find(values, centroids, without=labels)[0].tolist() == [2, 5, 3, 2, 5, 3]


def test_a_tie_that_single_precision_cannot_see():
    # both centroids 1e4 away, one 1e-5 nearer: far below the rounding of squares of 1e8
    values = np.zeros((2, 2), "float32")
    values[1] = [1e-5, 0]
    centroids = np.array([[-1e4, 0], [1e4, 0]], "float32")
    assert find(values, centroids)[0].tolist() == [0, 1]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("offset", [0, 100])
def test_rows_that_are_not_finite_have_no_label(dtype, offset):
    values = (np.random.default_rng(1).standard_normal((1200, 4)) + offset).astype(dtype)
    values[3, 0], values[700, 2], values[1199, 3] = np.nan, np.inf, -np.inf
    labels, found = find(values, values[[5, 6, 7]].astype("float32"))
    bad = [3, 700, 1199]
    assert (labels[bad] == -1).all() and np.isnan(found[bad]).all()
    assert (np.delete(labels, bad) >= 0).all() and np.isfinite(np.delete(found, bad)).all()


def test_huge_numbers_are_compared_in_double_precision():
    values = np.array([[3e30, 0], [-2e30, 1e30], [65504, 1]], "float32")
    centroids = np.array([[1e30, 0], [-1e30, 0]], "float32")
    labels, found = find(values, centroids)
    assert labels.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found, [2e30, np.sqrt(2) * 1e30, 1e30], rtol=1e-5)


def test_centroids_nearer_to_each_other_than_single_precision_sees():
    random = np.random.default_rng(8)
    values, one = random.standard_normal((600, 200)).astype("float32"), random.standard_normal(200)
    centroids = np.array([one, one + 1e-6 * random.standard_normal(200), -one], "float32")
    double = centroids.astype("longdouble")
    exact = ((double**2).sum(axis=1) - 2 * values.astype("longdouble") @ double.T).argmin(axis=1)
    simple = ((centroids**2).sum(axis=1) - 2 * values @ centroids.T).argmin(axis=1)
    assert 0.02 < np.mean(simple != exact) < 0.5
    np.testing.assert_array_equal(find(values, centroids)[0], exact)
