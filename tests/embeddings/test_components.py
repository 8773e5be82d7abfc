"""Principal components: against numpy's covariance and scikit-learn's decomposition, merging, the file, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance
from aqqua_dist.embeddings.components import EmbeddingComponents, embedding_scatter, fit_components, merge_scatter


def rows(n, d=8, seed=0, offset=0.0):
    random = np.random.default_rng(seed)
    return random.standard_normal((n, d)) @ np.diag(np.arange(d, 0, -1.0)) @ random.standard_normal((d, d)) + offset


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_weighted_covariance_in_one_pass(dtype):
    values, weights = rows(5000).astype(dtype), np.random.default_rng(1).integers(1, 5, 5000)
    found = embedding_scatter(values, weights)
    expected = np.cov(values.astype(float), rowvar=False, fweights=weights, ddof=0)
    np.testing.assert_allclose(found.covariance, expected, rtol=0, atol=3e-6 * expected.max())
    np.testing.assert_allclose(found.mean, np.average(values.astype(float), axis=0, weights=weights), atol=1e-4)
    assert found.n == 5000 and found.weight == weights.sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_large_offset_cancels_nothing(dtype):
    values = rows(3000, offset=1e5).astype(dtype)
    expected = np.cov(values.astype(float), rowvar=False, ddof=0)
    np.testing.assert_allclose(embedding_scatter(values).covariance, expected, rtol=0, atol=1e-5 * expected.max())


@settings(deadline=None, max_examples=40)
@given(
    st.integers(3, 200),
    st.integers(0, 2**32 - 1),
    st.floats(-1e3, 1e3),
    st.tuples(st.integers(1, 99), st.integers(1, 99)),
)
def test_merging_is_associative_and_equals_one_shot(n, seed, offset, cuts):
    values = rows(n, d=4, seed=seed, offset=offset)
    weights = np.random.default_rng(seed).random(n).astype("float32") + np.float32(0.1)
    low, high = sorted(1 + (cut * (n - 2)) // 100 for cut in cuts)
    high += low == high
    a, b, c = (
        embedding_scatter(values[start:stop], weights[start:stop]) for start, stop in ((0, low), (low, high), (high, n))
    )
    left, right = merge_scatter([merge_scatter([a, b]), c]), merge_scatter([a, merge_scatter([b, c])])
    w = weights.astype(float)
    mean = w @ values / w.sum()
    expected = ((values - mean) * w[:, None]).T @ (values - mean)
    for merged in (left, right):
        assert merged.n == n and merged.weight == pytest.approx(w.sum(), rel=1e-6)
        np.testing.assert_allclose(merged.mean, mean, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(merged.products, expected, rtol=0, atol=1e-6 * np.abs(expected).max() + 1e-9)
    np.testing.assert_allclose(left.products, right.products, rtol=0, atol=1e-10 * np.abs(expected).max() + 1e-9)


def test_components_are_those_of_scikit_learn_with_a_fixed_sign():
    values = rows(500)
    found = fit_components(merge_scatter([embedding_scatter(values[:123]), embedding_scatter(values[123:])]), 3)
    expected = PCA(3).fit(values)
    np.testing.assert_allclose(found.variance, expected.explained_variance_ * 499 / 500, rtol=1e-9)
    np.testing.assert_allclose(found.variance / found.total_variance, expected.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(np.abs((found.components * expected.components_).sum(axis=1)), 1, rtol=1e-9)
    assert (found.components[np.arange(3), np.abs(found.components).argmax(axis=1)] > 0).all()
    sign = np.sign((found.components * expected.components_).sum(axis=1))
    np.testing.assert_allclose(found.project(values), expected.transform(values) * sign, atol=1e-8)
    np.testing.assert_allclose(fit_components(embedding_scatter(-values), 3).components, found.components, atol=1e-9)
    assert found.names == ["embedding_pc01", "embedding_pc02", "embedding_pc03"]


def test_a_sample_without_a_mean_has_no_value():
    values = rows(20)
    values[3] = np.nan
    found = fit_components(embedding_scatter(np.delete(values, 3, axis=0)), 2).project(values)
    assert np.isnan(found[3]).all() and np.isfinite(np.delete(found, 3, axis=0)).all()


def test_the_file_keeps_the_version(tmp_path):
    found = fit_components(embedding_scatter(rows(50)), 2)
    found.save(tmp_path / "pc.nc", Provenance("study", "stage", "key"))
    again = EmbeddingComponents.load(tmp_path / "pc.nc")
    assert again.version == found.version != fit_components(embedding_scatter(rows(51)), 2).version
    np.testing.assert_array_equal(again.project(rows(9)), found.project(rows(9)))


GOOD = np.ones((3, 2), "float32")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: embedding_scatter(np.empty((0, 2), "float32")), "there are 0 embeddings"),
        (lambda: embedding_scatter(np.array([[1, 2], [np.nan, 1]], "float16")), "row 1: .*1 such rows"),
        (lambda: embedding_scatter(np.array([[1, 2], [3, np.inf]])), "row 1: .*1 such rows"),
        (
            lambda: embedding_scatter(np.array([[1e30, 2], [3, -1e30]], "float32")),
            r"up to 1e\+30 have squares that are too large",
        ),
        (lambda: embedding_scatter(GOOD, [1, 0, 1]), "row 1: weight 0 is not"),
        (lambda: merge_scatter([]), "0 partial results"),
        (lambda: merge_scatter([embedding_scatter(GOOD), embedding_scatter(GOOD[:, :1])]), r"\[1, 2\] dimensions"),
        (lambda: fit_components(embedding_scatter(GOOD), 1), "the 3 embeddings do not differ"),
        (
            lambda: fit_components(embedding_scatter(rows(3)), 3),
            "3 components of 3 embeddings with 8 dimensions; allowed are 1 to 2",
        ),
        (lambda: fit_components(embedding_scatter(rows(30)), 2).project(GOOD), "2 dimensions, needed are 8"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
