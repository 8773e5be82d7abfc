"""Mean and variance of embeddings per sample: exact sums, large offsets, merging, and what is refused."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.embeddings.moments import embedding_moments, merge_moments
from aqqua_dist.embeddings.segment_sums import LONG, SHORT_ROWS, SPAN


def twin(embeddings, sample, weights):
    """n, mean and weighted sum of squares per sample, in extended precision, one sample at a time."""
    found = {}
    for code in np.unique(sample):
        x, w = (
            embeddings[sample == code].astype("longdouble"),
            weights[sample == code].astype("float32").astype("longdouble")[:, None],
        )
        mean = (w * x).sum(axis=0) / w.sum()
        found[int(code)] = (len(x), mean.astype(float), (w * (x - mean) ** 2).sum(axis=0).astype(float))
    return found


def agree(moments, expected, *, rtol=1e-5, size=1.0):
    assert moments.sample.tolist() == sorted(expected)
    for at, code in enumerate(moments.sample.tolist()):
        n, mean, m2 = expected[code]
        assert moments.n[at] == n
        np.testing.assert_allclose(moments.mean[at], mean, rtol=0, atol=1e-6 * size + 1e-7 * np.abs(mean).max())
        np.testing.assert_allclose(moments.m2[at], m2, rtol=rtol, atol=1e-4 * rtol * size**2)


def test_by_hand():
    moments = embedding_moments(np.array([[1, 0], [3, 0], [10, -2]], "float32"), [4, 4, 7], [1, 3, 2])
    assert moments.sample.tolist() == [4, 7] and moments.n.tolist() == [2, 1] and moments.weight.tolist() == [4, 2]
    np.testing.assert_allclose(moments.mean, [[2.5, 0], [10, -2]])
    np.testing.assert_allclose(moments.m2, [[3, 0], [0, 0]])
    np.testing.assert_allclose(moments.variance(), [[0.75, 0], [0, 0]])
    # divisor 4 - 10/4; a single object tells nothing about the variance
    np.testing.assert_allclose(moments.variance(unbiased=True), [[2, 0], [np.nan, np.nan]])
    np.testing.assert_allclose(moments.n_effective, [1.6, 1])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("rows_per_sample", [1, 3, LONG + 10, 3000])
@pytest.mark.parametrize("shuffled", [False, True])
def test_against_extended_precision(dtype, rows_per_sample, shuffled):
    random = np.random.default_rng(rows_per_sample)
    n = SPAN + SHORT_ROWS + 77
    sample = np.sort(random.integers(0, max(1, n // rows_per_sample), n))
    sample = random.permutation(sample) if shuffled else sample
    embeddings = (random.standard_normal((n, 7)) + random.standard_normal((sample.max() + 1, 7))[sample]).astype(dtype)
    weights = random.gamma(2, 1, n) + 0.1
    agree(embedding_moments(embeddings, sample, weights), twin(embeddings, sample, weights), rtol=3e-4)


@pytest.mark.parametrize("rows_per_sample", [5, 700])
@pytest.mark.parametrize("offset", [1e3, 1e5, 3e6])
def test_a_large_offset_cancels_nothing(rows_per_sample, offset):
    random = np.random.default_rng(1)
    sample = np.repeat(np.arange(7000 // rows_per_sample), rows_per_sample)
    embeddings = (offset * np.array([1, -1, 0.5]) + random.standard_normal((len(sample), 3))).astype("float32")
    weights = random.random(len(sample)) + 0.5
    naive = np.mean(embeddings[:700].astype("float32") ** 2, axis=0) - np.mean(embeddings[:700], axis=0) ** 2
    assert np.abs(naive - 1).max() > 0.1  # the offset does cancel in the textbook formula
    moments, expected = embedding_moments(embeddings, sample, weights), twin(embeddings, sample, weights)
    for at, code in enumerate(moments.sample.tolist()):
        np.testing.assert_allclose(moments.m2[at], expected[code][2], rtol=1e-5)
        np.testing.assert_allclose(moments.mean[at], expected[code][1], rtol=0, atol=1e-5)


def test_a_constant_dimension_has_no_variance_and_huge_numbers_do_not_overflow():
    random = np.random.default_rng(2)
    embeddings = random.standard_normal((500, 3)).astype("float32")
    embeddings[:, 1] = 0.1
    embeddings[:, 2] *= 1e30
    moments = embedding_moments(embeddings, np.zeros(500, int))
    exact = sum(Fraction(float(x)) for x in embeddings[:, 2]) / 500
    spread = sum((Fraction(float(x)) - exact) ** 2 for x in embeddings[:, 2])
    assert moments.m2[0, 1] < 1e-10 and moments.mean[0, 1] == pytest.approx(0.1, rel=1e-6)
    assert moments.mean[0, 2] == pytest.approx(float(exact), rel=1e-10) and moments.m2[0, 2] == pytest.approx(
        float(spread), rel=1e-10
    )


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 400),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
    st.floats(-1e4, 1e4),
    st.tuples(*[st.integers(0, 400)] * 2),
)
def test_merging_is_associative_and_equals_one_shot(n, samples, seed, offset, cuts):
    random = np.random.default_rng(seed)
    sample, weights = random.integers(0, samples, n), random.random(n) + 0.1
    embeddings = (random.standard_normal((n, 4)) + offset).astype("float32")
    a, b, c = (
        embedding_moments(embeddings[s], sample[s], weights[s])
        for s in map(lambda at: slice(*at), zip([0, *sorted(cuts)], [*sorted(cuts), n], strict=True))
    )
    left, right, flat = (
        merge_moments([merge_moments([a, b]), c]),
        merge_moments([a, merge_moments([b, c])]),
        merge_moments([a, b, c]),
    )
    whole = twin(embeddings, sample, weights)
    for merged in (left, right, flat):
        assert merged.sample.tolist() == sorted(whole) and merged.n.sum() == n
        assert merged.weight.sum() == pytest.approx(weights.sum(), rel=1e-6)
        for at, code in enumerate(merged.sample.tolist()):
            x, w = embeddings[sample == code].astype(float), weights[sample == code, None]
            # n products are added in float32, each of the n + 4 roundings errs by half a unit in the last place of at
            # most the largest number; squares that lose more than 1e-3 are added again about the mean
            unit, m2 = 2.0**-24 * (len(x) + 4), whole[code][2]
            lost = np.minimum((w * x**2).sum(axis=0), 1e3 * m2) + w.sum() * np.ptp(x, axis=0) ** 2
            assert (np.abs(merged.mean[at] - whole[code][1]) <= unit * np.abs(x).max(axis=0) + 1e-12).all()
            assert (np.abs(merged.m2[at] - m2) <= 3 * unit * lost + 1e-12).all()
    np.testing.assert_allclose(left.m2, right.m2, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(left.mean, right.mean, rtol=1e-12)
    np.testing.assert_array_equal(left.m2, flat.m2)


def test_the_same_input_gives_the_same_bits_in_any_memory():
    random = np.random.default_rng(3)
    embeddings = random.standard_normal((3000, 12)).astype("float16")
    sample = np.sort(random.integers(0, 9, 3000))
    first = embedding_moments(embeddings, sample)
    wide = np.zeros((3000, 24), "float16")
    wide[:, ::2] = embeddings
    for other in (
        embedding_moments(wide[:, ::2], sample),
        embedding_moments(embeddings.astype(">f2"), sample.astype("uint8")),
    ):
        np.testing.assert_array_equal(first.m2, other.m2)
        np.testing.assert_array_equal(first.mean, other.mean)
    np.testing.assert_allclose(embedding_moments(embeddings.astype("float32"), sample).mean, first.mean, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("shuffled", [False, True])
def test_an_embedding_that_is_not_finite_is_named_or_dropped_and_counted(dtype, bad, shuffled):
    random = np.random.default_rng(4)
    embeddings = random.standard_normal((300, 5)).astype(dtype)
    sample = np.repeat([3, 5, 8], [199, 100, 1])
    sample = random.permutation(sample) if shuffled else sample
    lost = int(np.flatnonzero(sample == 8)[0])
    embeddings[[37, lost], 2] = bad
    with pytest.raises(UserError, match=rf"cruise 7, row ({37}|{lost}), number 2: .*not finite; 2 such rows"):
        embedding_moments(embeddings, sample, place="cruise 7")
    moments = embedding_moments(embeddings, sample, on_bad="drop")
    kept = np.isfinite(embeddings).all(axis=1)
    expected = twin(embeddings[kept], sample[kept], np.ones(kept.sum()))
    assert (
        moments.sample.tolist() == [3, 5, 8]
        and moments.n_dropped.sum() == 2
        and moments.n_dropped[2] == 1
        and moments.n[2] == 0
    )
    assert np.isnan(moments.mean[2]).all() and np.isnan(moments.variance()[2]).all() and moments.n_effective[2] == 0
    for at, code in ((0, 3), (1, 5)):
        np.testing.assert_allclose(moments.mean[at], expected[code][1], atol=1e-6)
        np.testing.assert_allclose(moments.m2[at], expected[code][2], rtol=1e-5)
    again = merge_moments([moments, embedding_moments(np.ones((2, 5), dtype), [8, 9])])
    assert again.n.tolist()[2:] == [1, 1] and again.n_dropped[2] == 1 and (again.mean[2] == 1).all()


def test_the_largest_half_precision_numbers_are_finite():
    embeddings = np.array([[65504, -65504, 6e-8]] * 100, "float16")
    moments = embedding_moments(embeddings, np.zeros(100, int), np.linspace(1, 50, 100))
    np.testing.assert_allclose(moments.mean[0], embeddings[0].astype(float), rtol=1e-6)


def test_table_keeps_samples_without_objects_apart_from_zero():
    moments = embedding_moments(np.array([[1, 2], [3, 6]], "float32"), [1, 1])
    table = moments.table(["a", "b", "c"])
    assert table["sample_id"].tolist() == ["a", "b", "c"] and table["n"].tolist() == [0, 2, 0]
    assert table["embedding_mean"][0] is None and table["embedding_sd"][2] is None
    np.testing.assert_allclose(table["embedding_mean"][1], [2, 4])
    np.testing.assert_allclose(table["embedding_sd"][1], [1, 2])
    with pytest.raises(UserError, match="sample code 1 has no id; 1 ids"):
        moments.table(["a"])


def test_no_object_is_an_empty_partial_result():
    empty = embedding_moments(np.empty((0, 3), "float32"), np.empty(0, int))
    some = embedding_moments(np.ones((1, 3), "float32"), [2])
    assert empty.n.size == 0 and merge_moments([empty, some, empty]).n.tolist() == [1]


GOOD = np.ones((3, 2), "float32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GOOD, [0, 0, 0], [1, 0, 1]), "row 1: weight 0 is not a number above 0"),
        ((GOOD, [0, 0, 0], [1, 1, -2.5]), "row 2: weight -2.5 is not"),
        ((GOOD, [0, 0, 0], [1, np.nan, 1]), "row 1: weight nan is not"),
        ((GOOD, [0, 0, 0], [1, 1e-60, 1]), "row 1: weight 1e-60 is not .* single precision"),
        ((GOOD, [0, 0, 0], [1, 1]), "shape .2,., needed are 3 numbers"),
        ((GOOD, [0, -1, 0]), "row 1: sample code -1 is below 0"),
        ((GOOD, [0, 0]), "needed are 3 whole numbers"),
        ((GOOD, [0.0, 1.0, 2.0]), "float64 of shape"),
        ((GOOD[0], [0, 1]), "float32 of shape .2,."),
        ((GOOD.astype(int), [0, 0, 0]), "int64 of shape"),
        ((GOOD.astype(float), [0, 0, 0]), "float64 of shape .* needed is float16 or float32"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        embedding_moments(*arguments, place="here")


def test_refused_merges_and_options():
    with pytest.raises(UserError, match=r"\[2, 3\] dimensions"):
        merge_moments([embedding_moments(GOOD, [0, 0, 0]), embedding_moments(np.ones((1, 3), "float32"), [0])])
    with pytest.raises(UserError, match="0 partial results"):
        merge_moments([])
    with pytest.raises(UserError, match="on_bad is 'ignore'"):
        embedding_moments(GOOD, [0, 0, 0], on_bad="ignore")
