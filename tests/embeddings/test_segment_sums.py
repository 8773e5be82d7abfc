"""Kernels of embeddings: segments of all lengths, pooled sums, scatter."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.embeddings.rows import Rows
from aqqua_dist.embeddings.segment_sums import pooled_moments, scatter, segment_moments


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_pooled_parts_are_the_whole(sizes, seed):
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    values, weights = random.standard_normal((len(groups), 2)) + 1e6, random.random((len(groups), 1)) + 0.1
    starts = np.append(0, np.cumsum(sizes))[:-1]
    mean, m2 = pooled_moments(starts, weights, values.copy(), np.ones_like(values))
    for group in range(len(sizes)):
        x, w = values[groups == group], weights[groups == group]
        middle = (w * x).sum(axis=0) / w.sum()
        np.testing.assert_allclose(mean[group], middle, rtol=1e-14)
        np.testing.assert_allclose(m2[group], len(x) + (w * (x - middle) ** 2).sum(axis=0), rtol=1e-8)


def test_segments_of_all_lengths_at_once():
    random = np.random.default_rng(5)
    sizes = np.array([1, 2, 5000, 1, 1, 30, 900, 7])
    values, weights = (
        random.standard_normal((sizes.sum(), 600)).astype("float32"),
        (random.random(sizes.sum()) + 0.5).astype("float32"),
    )
    starts = np.append(0, np.cumsum(sizes))[:-1]
    mean, m2, bad = segment_moments(Rows(values, None, 0, len(values)), starts, weights)
    assert not len(bad)
    for at, (low, size) in enumerate(zip(starts, sizes, strict=True)):
        x, w = values[low : low + size].astype(float), weights[low : low + size, None].astype(float)
        middle = (w * x).sum(axis=0) / w.sum()
        np.testing.assert_allclose(mean[at], middle, atol=2e-6)
        np.testing.assert_allclose(m2[at], (w * (x - middle) ** 2).sum(axis=0), rtol=1e-3, atol=1e-10)


def test_scatter_is_the_sum_of_products():
    random = np.random.default_rng(6)
    values, weights = random.standard_normal((5000, 9)).astype("float16"), (random.random(5000) + 0.5).astype("float32")
    first, products = scatter(Rows(values, None, 0, 5000), weights, np.full(9, 0.25, "float32"))
    away = values.astype(float) - 0.25
    np.testing.assert_allclose(first, weights @ away, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(products, (away * weights[:, None]).T @ away, rtol=1e-4, atol=1e-2)
