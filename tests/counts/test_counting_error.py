"""Intervals of counts against published values, their definition and simulated coverage."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma, kstest, poisson

from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import counting_error
from aqqua_dist.counts.counting_error import (
    concentration_interval,
    draw_counts,
    draw_sums,
    draw_volumes,
    fay_feuer,
    garwood,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(0, 0, 3.689), (1, 0.0253, 5.572), (5, 1.624, 11.668), (10, 4.795, 18.390), (100, 81.364, 121.627)],
)
def test_garwood_against_published_values(n, low, high):
    """Garwood 1936 and standard tables of exact Poisson limits (95 %)."""
    found = garwood(n)
    assert found[0] == pytest.approx(low, abs=6e-4)
    assert found[1] == pytest.approx(high, abs=6e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.floats(0.5, 0.999))
def test_garwood_by_its_definition(n, level):
    low, high = (float(bound) for bound in garwood(n, level))
    tail = (1 - level) / 2
    assert poisson.cdf(n, high) == pytest.approx(tail, rel=1e-6)
    assert low == 0 if n == 0 else poisson.sf(n - 1, low) == pytest.approx(tail, rel=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_nothing_found_by_its_formula(level):
    assert garwood(0, level)[1] == pytest.approx(-np.log((1 - level) / 2), rel=1e-12)
    assert fay_feuer([0, 0], [2, 8], [0, 0], level)[1][0] == pytest.approx(-8 * np.log((1 - level) / 2), rel=1e-12)


def test_many_counts_and_large_ones_keep_their_place():
    n = np.random.default_rng(2).poisson(3, (1000, 7))
    low, high = garwood(n)
    assert low.shape == high.shape == n.shape
    for at in ((0, 0), (999, 6), (500, 3)):
        assert (low[at], high[at]) == tuple(float(bound) for bound in garwood(n[at]))
    low, high = garwood(10**12)  # as good as normal: 1.96 sd of 10^6
    assert [(1e12 - low) / 1e6, (high - 1e12) / 1e6] == pytest.approx([1.959964] * 2, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 200), st.floats(1e-3, 1e3))
def test_one_weight_is_garwood(n, weight):
    np.testing.assert_allclose(
        [b[0] for b in fay_feuer([n], [weight], [0])], np.array(garwood(n)) * weight, rtol=1e-9, atol=1e-12
    )
    split = fay_feuer([n, 0], [weight, weight], [0, 0])
    np.testing.assert_allclose([b[0] for b in split], np.array(garwood(n)) * weight, rtol=1e-9, atol=1e-12)


def test_fay_feuer_by_hand():
    """Two fractions, 3 objects of weight 1 and 2 of weight 8: mean 19, variance 131; upper adds one of weight 8."""
    low, high = fay_feuer([3, 2], [1, 8], [0, 0])
    assert low[0] == pytest.approx(gamma.ppf(0.025, 19**2 / 131, scale=131 / 19))
    assert high[0] == pytest.approx(gamma.ppf(0.975, 27**2 / (131 + 64), scale=(131 + 64) / 27))
    assert fay_feuer([3], [1], [0], largest=[8])[1] == pytest.approx(
        fay_feuer([3, 0], [1, 8], [0, 0])[1]
    )  # an empty fraction counts either way


def test_intervals_hold_the_truth_at_least_as_often_as_they_say():
    rng = np.random.default_rng(7)
    means, weights = np.array([4.0, 1.5, 0.6]), np.array([1.0, 4.0, 16.0])
    n = rng.poisson(means, (20_000, 3))
    low, high = fay_feuer(n.ravel(), np.tile(weights, 20_000), np.repeat(np.arange(20_000), 3))
    truth = means @ weights
    assert 0.95 <= ((low <= truth) & (truth <= high)).mean() < 0.995
    summed = sum(np.array(garwood(n[:, k])) * weights[k] for k in range(3))
    assert (high - low).mean() < 0.8 * (summed[1] - summed[0]).mean()  # adding up bounds would be far too wide


def test_concentrations_with_zeros():
    samples = pd.DataFrame({"sample_id": ["a", "a", "b"], "taxon": ["x", "y", "x"], "volume": [2.0, 2.0, 4.0]})
    counts = pd.DataFrame({"sample_id": ["a"], "taxon": ["x"], "n": [5], "weight": [np.nan]})
    low, high = concentration_interval(counts, samples)
    np.testing.assert_allclose(low, [1.6235 / 2, 0, 0], rtol=1e-3)
    np.testing.assert_allclose(high, [11.668 / 2, 3.689 / 2, 3.689 / 4], rtol=1e-3)
    wide = concentration_interval(counts, samples.assign(largest_weight=[1, 8, np.nan]))[
        1
    ]  # an eighth was looked through and nothing seen
    np.testing.assert_allclose(wide, [11.668 / 2, 8 * 3.689 / 2, 3.689 / 4], rtol=1e-3)
    for volume in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(UserError, match=f"volume {volume:g} m3 of sample 'b' in row 3 is not a number above 0"):
            concentration_interval(counts, samples.assign(volume=[1, 1, volume]))
    with pytest.raises(UserError, match="count 1: taxon 'z' of sample 'a' is not among the 3 concentrations"):
        concentration_interval(counts.assign(taxon="z"), samples)
    with pytest.raises(UserError, match="row 2: taxon 'x' of sample 'a' stands twice"):
        concentration_interval(counts, samples.assign(taxon="x"))


def test_draws_of_counts():
    rng = np.random.default_rng(1)
    draws = draw_counts([0, 10], rng, 200_000)
    assert draws.mean(axis=0) == pytest.approx([0.5, 10.5], rel=0.02)
    assert draws.var(axis=0) == pytest.approx([0.5, 10.5], rel=0.03)
    np.testing.assert_array_equal(
        draw_counts([3], np.random.default_rng(4)), draw_counts([3], np.random.default_rng(4))
    )
    empty = draw_counts(np.zeros(1000), rng, 50)
    assert empty.sum(axis=1).mean() == pytest.approx(500, rel=0.05)  # what halves of empty samples add up to
    assert draw_counts(np.zeros(1000), rng, 2, prior=0).sum() == 0


def test_draws_of_sums_part_by_part():
    rng = np.random.default_rng(3)
    draws = draw_sums([2, 3, 0, 5], [8, 1, 2, 1], [1, 1, 0, 1], rng, 100_000)
    assert draws.shape == (100_000, 2)
    # sum 1: 2 of weight 8 and 3 + 5 of weight 1, pooled; mean 8 * 2.5 + 8.5, variance 64 * 2.5 + 8.5
    assert draws.mean(axis=0) == pytest.approx([2 * 0.5, 28.5], rel=0.01)
    assert draws.var(axis=0) == pytest.approx([4 * 0.5, 168.5], rel=0.03)
    assert kstest(draws[:, 0] / 2, gamma(0.5).cdf).pvalue > 1e-3
    np.testing.assert_array_equal(
        draw_sums([4], [1], [0], np.random.default_rng(5), 9),
        draw_sums([1, 3], [1, 1], [0, 0], np.random.default_rng(5), 9),
    )
    assert draw_sums([], [], np.zeros(0, int), rng, 4).shape == (4, 0)


def test_draws_of_a_net_sample_hold_the_truth():
    rng = np.random.default_rng(8)
    means, weights = np.array([20.0, 6.0]), np.array([1.0, 8.0])
    n = rng.poisson(means, (1500, 2))
    draws = draw_sums(n.ravel(), np.tile(weights, 1500), np.repeat(np.arange(1500), 2), rng, 400)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    hit = ((low <= means @ weights) & (means @ weights <= high)).mean()
    assert 0.93 < hit < 0.985


def test_draws_of_volumes():
    rng = np.random.default_rng(1)
    volumes = draw_volumes([2.0, 5.0], [0.2, np.nan], rng, 200_000)
    assert volumes.mean(axis=0) == pytest.approx([2.0, 5.0], rel=2e-3)  # the mean is kept, the median is lower
    assert np.median(volumes[:, 0]) == pytest.approx(2 / np.sqrt(1.04), rel=5e-3)
    assert volumes.std(axis=0) == pytest.approx([0.4, 0.0], rel=0.02)
    same = draw_volumes([1.0, 3.0], [0.2, 0.2], rng, 5)
    np.testing.assert_allclose(same[:, 1] / same[:, 0], 3.0)  # one error of the rule for all samples of a draw
    apart = np.log(draw_volumes([1.0, 3.0, 1.0], 0.2, rng, 20_000, rule=["uvp", "net", "uvp"]))
    np.testing.assert_allclose(np.corrcoef(apart.T)[0], [1, 0, 1], atol=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: garwood([1, -1]), "count -1 in row 2"),
        (lambda: garwood(np.nan), "count nan in row 1"),
        (lambda: garwood(1, 1.0), "level 1.0"),
        (lambda: fay_feuer([1], [0], [0]), "weight 0 in row 1 is not a number above 0"),
        (lambda: fay_feuer([1], [1, 2], [0]), r"of shape \(1,\), weights of \(2,\)"),
        (lambda: fay_feuer([1], [1], [2]), "sum 0 has no part"),
        (lambda: fay_feuer([1], [1], [-1]), "sum -1 is none"),
        (lambda: fay_feuer([1], [1], [0.5]), "sum float64 is none"),
        (lambda: fay_feuer([1], [1], [0], largest=[np.nan]), "largest weight nan in row 1"),
        (lambda: draw_sums([1], [1], [1], RNG), "sum 0 has no part"),
        (lambda: draw_counts([1], RNG, prior=-1), "prior -1"),
        (lambda: draw_volumes([1.0, 0.0], [0.1, 0.1], RNG), "volume 0 m3 in row 2"),
        (lambda: draw_volumes([1.0], [-0.1], RNG), "relative sd -0.1 of the volume in row 1"),
        (lambda: draw_volumes([1.0], [np.inf], RNG), "relative sd inf"),
        (lambda: draw_volumes([1.0], [0.1], RNG, rule=["a", "b"]), "2 effort rules for 1 volumes"),
    ],
)
def test_one_sentence(call, message):
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [1e-5, 0.01, 1.0, 300.0])
def test_parts_are_dirichlet_and_finite_however_small(scale):
    """Mean n_i / n and variance m (1 - m) / (n + 1) of a Dirichlet share."""
    n = np.array([1.0, 3.0, 6.0, 2.0]) * scale
    found = counting_error.draw_parts(n, [0, 3], np.random.default_rng(1), 20_000)
    assert np.isfinite(found).all() and (found[:, 3] == 1).all()
    np.testing.assert_allclose(found[:, :3].sum(axis=1), 1)
    mean = n[:3] / n[:3].sum()
    variance = mean * (1 - mean) / (n[:3].sum() + 1)
    assert (np.abs(found[:, :3].mean(axis=0) - mean) < 4 * np.sqrt(variance / 20_000)).all()
    np.testing.assert_allclose(found[:, :3].var(axis=0), variance, rtol=0.06)


def test_no_count_has_no_interval():
    low, high = counting_error.fay_feuer([], [], np.array([], dtype=int))
    assert low.shape == high.shape == (0,)


def test_a_count_of_no_concentration_is_named_by_its_row():
    samples = pd.DataFrame({"sample_id": ["a"], "taxon": ["x"], "volume": [1.0]})
    table = pd.DataFrame({"sample_id": ["a", "b", "c"], "taxon": ["x", "y", "z"], "n": [1.0, 2.0, 3.0]})
    with pytest.raises(UserError, match="count 2: taxon 'y' of sample 'b' is not among the 1 concentrations; 2 such"):
        counting_error.concentration_interval(table, samples)
