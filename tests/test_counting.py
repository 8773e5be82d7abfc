"""Intervals of counts against published values, their definition and simulated coverage."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma, poisson

from aqqua_dist.counting import concentration_interval, draw_counts, draw_volumes, fay_feuer, garwood
from aqqua_dist.errors import UserError


@pytest.mark.parametrize(("n", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (5, 1.624, 11.668), (10, 4.795, 18.390), (100, 81.364, 121.627)])
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


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 200), st.floats(1e-3, 1e3))
def test_one_weight_is_garwood(n, weight):
    np.testing.assert_allclose([b[0] for b in fay_feuer([n], [weight], [0])], np.array(garwood(n)) * weight, rtol=1e-9, atol=1e-12)
    split = fay_feuer([n, 0], [weight, weight], [0, 0])
    np.testing.assert_allclose([b[0] for b in split], np.array(garwood(n)) * weight, rtol=1e-9, atol=1e-12)


def test_fay_feuer_by_hand():
    """Two fractions, 3 objects of weight 1 and 2 of weight 8: mean 19, variance 131; upper adds one of weight 8."""
    low, high = fay_feuer([3, 2], [1, 8], [0, 0])
    assert low[0] == pytest.approx(gamma.ppf(0.025, 19**2 / 131, scale=131 / 19))
    assert high[0] == pytest.approx(gamma.ppf(0.975, 27**2 / (131 + 64), scale=(131 + 64) / 27))


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
    with pytest.raises(UserError, match="sample 'b', row 3: volume 0 m3"):
        concentration_interval(counts, samples.assign(volume=[1, 1, 0]))


def test_draws_of_counts_and_volumes():
    rng = np.random.default_rng(1)
    draws = draw_counts([0, 10], rng, 200_000)
    assert draws.mean(axis=0) == pytest.approx([0.5, 10.5], rel=0.02)
    assert draws.var(axis=0) == pytest.approx([0.5, 10.5], rel=0.03)
    volumes = draw_volumes([2.0, 5.0], [0.2, np.nan], rng, 200_000)
    assert volumes.mean(axis=0) == pytest.approx([2.0, 5.0], rel=2e-3)
    assert volumes.std(axis=0) == pytest.approx([0.4, 0.0], rel=0.02)
    same = draw_volumes([1.0, 3.0], [0.2, 0.2], rng, 5)
    np.testing.assert_allclose(same[:, 1] / same[:, 0], 3.0)  # one error of the rule for all samples of a draw
    np.testing.assert_array_equal(draw_counts([3], np.random.default_rng(4)), draw_counts([3], np.random.default_rng(4)))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: garwood([1, -1]), "count -1 in row 2"), (lambda: garwood(np.nan), "count nan in row 1"), (lambda: garwood(1, 1.0), "level 1.0"),
    (lambda: fay_feuer([1], [0], [0]), "weight 0 of count 1"), (lambda: draw_volumes([0.0], [0.1], np.random.default_rng(0)), "volume 0 m3 of row 1"),
    (lambda: draw_volumes([1.0], [-0.1], np.random.default_rng(0)), "relative sd -0.1")])
def test_one_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
