"""Poisson and negative-binomial fits: known spectra, coverage of intervals, a likelihood by another road, zeros."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import nbinom, poisson
from statsmodels.discrete.discrete_model import NegativeBinomial

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.classes import Detection
from aqqua_dist.spectra.fitted import NotFitted, expected
from aqqua_dist.spectra.poisson import fit_negative_binomial, fit_poisson

ALL = Detection(0, np.inf)
UNEVEN = np.array([100.0, 130, 400, 450, 1000, 1100, 5000])


@pytest.mark.parametrize("slope", [1.0, 2.5, 4.0, 5.3])
@pytest.mark.parametrize("fit", [fit_poisson, fit_negative_binomial])
def test_mean_numbers_give_their_power_law_back(known, fit, slope):
    got = fit(known(4.0, slope, 3.0, UNEVEN), ALL)
    assert (got.log_n0, got.slope) == (pytest.approx(4.0, abs=1e-7), pytest.approx(slope, abs=1e-7))
    assert got.dispersion == pytest.approx(0, abs=1e-9)


def test_the_middle_of_wide_classes_is_not_the_power_law(known):
    """At the middles the slope of uneven classes is wrong, and the intercept of even ones by ln(7/6) at slope 4."""
    assert abs(fit_poisson(known(4.0, 4.0, 3.0, UNEVEN), ALL, density="middle").slope - 4.0) > 0.05
    even = fit_poisson(known(4.0, 4.0, 3.0, 100 * 2.0 ** np.arange(6)), ALL, density="middle")
    assert (even.slope, even.log_n0) == (pytest.approx(4.0), pytest.approx(4.0 + np.log(7 / 6)))


def test_intervals_of_poisson_counts_cover_the_truth(known):
    """95 % intervals of slope and intercept over 200 surveys of 0.02 m3, most of their large classes empty."""
    mean, truth, inside, deviations = known(5.0, 3.5, 0.02), np.array([5.0, 3.5]), [], []
    for seed in range(200):
        drawn = np.random.default_rng([18, seed]).poisson(mean["n"])
        assert (drawn == 0).any()
        got = fit_poisson(mean.assign(n=drawn), ALL)
        off = (np.array([got.log_n0, got.slope]) - truth) / np.sqrt(np.diag(got.covariance))
        inside.append(np.abs(off) < 1.959964)
        deviations.append(off)
    assert ((np.mean(inside, axis=0) >= 0.90) & (np.mean(inside, axis=0) <= 0.98)).all()
    assert np.abs(np.mean(deviations, axis=0)).max() < 0.25  # 3.5 standard errors of a mean of 200


def test_the_joint_covariance_covers_too(known):
    """The quadratic form of both parameters is chi-squared with 2 degrees: 95 % below 5.991. A wrong sign would fail."""
    mean, inside = known(5.0, 3.5, 0.2), []
    for seed in range(200):
        got = fit_poisson(mean.assign(n=np.random.default_rng([19, seed]).poisson(mean["n"])), ALL)
        off = np.array([got.log_n0, got.slope]) - [5.0, 3.5]
        inside.append(off @ np.linalg.solve(got.covariance, off) < 5.991465)
    assert 0.90 <= np.mean(inside) <= 0.98


def test_the_fit_maximises_the_likelihood_of_integrated_classes(known):
    """Against a simplex on scipy's Poisson probabilities."""
    counts = known(5.0, 3.5, 0.02, UNEVEN)
    counts["n"] = np.random.default_rng(4).poisson(counts["n"])
    got = fit_poisson(counts, ALL)
    low, high = counts["esd_low"] / 1000, counts["esd_high"] / 1000

    def lack(theta):
        power = 1 - theta[1]
        return -poisson.logpmf(counts["n"], 0.02 * np.exp(theta[0]) * (high**power - low**power) / power).sum()

    best = minimize(lack, [4.0, 3.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}).x
    assert (got.log_n0, got.slope) == pytest.approx(tuple(best), abs=1e-6)


def test_classes_of_different_volumes_weigh_with_their_own(known):
    counts = known(4.0, 3.0, 2.0)
    counts.loc[5:, ["n", "volume"]] *= 7
    got = fit_poisson(counts, ALL)
    assert (got.log_n0, got.slope) == (pytest.approx(4.0, abs=1e-7), pytest.approx(3.0, abs=1e-7))


def scattered(known, alpha, seed):
    counts = known(9.0, 3.5, 1.0)
    mean = counts["n"].to_numpy()
    return counts.assign(n=np.random.default_rng([20, seed]).negative_binomial(1 / alpha, 1 / (1 + alpha * mean)))


def test_the_negative_binomial_is_that_of_another_optimiser(known):
    """Density at the middles: statsmodels' own joint likelihood of both parameters and alpha."""
    counts = scattered(known, 0.3, 1)
    got = fit_negative_binomial(counts, ALL, density="middle")
    low, high = counts["esd_low"] / 1000, counts["esd_high"] / 1000
    design = np.column_stack([np.ones(len(counts)), -np.log(low * high) / 2])
    twin = NegativeBinomial(counts["n"].to_numpy(), design, offset=np.log(high - low).to_numpy())
    best = twin.fit(start_params=[9.0, 3.5, 0.3], disp=0, maxiter=5000, method="nm", ftol=1e-12, xtol=1e-10)
    assert (got.log_n0, got.slope, got.overdispersion) == pytest.approx(tuple(best.params), rel=1e-4)
    assert got.overdispersion > 0.05


def test_alpha_maximises_the_likelihood(known):
    """Integrated classes: no step of any of the three parameters gains, by scipy's probabilities."""
    counts = scattered(known, 0.3, 2)
    got = fit_negative_binomial(counts, ALL)
    low, high = counts["esd_low"] / 1000, counts["esd_high"] / 1000

    def likelihood(log_n0, slope, alpha):
        mean = expected((log_n0, slope), low, high, 1.0)
        return nbinom.logpmf(counts["n"], 1 / alpha, 1 / (1 + alpha * mean)).sum()

    best = np.array([got.log_n0, got.slope, got.overdispersion])
    for place in range(3):
        for step in (-0.01, 0.01):
            trial = best.copy()
            trial[place] += step
            assert likelihood(*trial) < likelihood(*best)


def test_intervals_of_scattered_counts_need_the_negative_binomial(known):
    """alpha 0.3: Poisson intervals are far too narrow and say so by their dispersion; the others cover 83 % or more of 60."""
    narrow, wide, dispersions = [], [], []
    for seed in range(60):
        counts = scattered(known, 0.3, seed)
        found = [fit(counts, ALL) for fit in (fit_poisson, fit_negative_binomial)]
        off = [abs(got.slope - 3.5) / np.sqrt(got.covariance[1, 1]) < 1.959964 for got in found]
        narrow.append(off[0])
        wide.append(off[1])
        dispersions.append(found[0].dispersion)
    assert np.mean(narrow) < 0.5
    assert np.mean(wide) > 0.83
    assert np.median(dispersions) > 20


def test_poisson_counts_need_no_overdispersion(known):
    """Counts on their mean scatter less than Poisson: alpha is 0 and the fit is the Poisson one."""
    counts = known(5.0, 3.5, 1.0)
    counts["n"] = counts["n"].round()
    got, plain = fit_negative_binomial(counts, ALL), fit_poisson(counts, ALL)
    assert got.overdispersion == 0
    assert (got.log_n0, got.slope) == (plain.log_n0, plain.slope)
    assert (got.covariance == plain.covariance).all()


def test_empty_classes_count(known):
    """20 and 5 particles and then nothing: the empty classes make the slope steeper, as they should."""
    counts = known(0.0, 3.0, 1.0).iloc[:6].assign(n=[20, 5, 0, 0, 0, 0])
    short = fit_poisson(counts.iloc[:2], ALL)
    assert fit_poisson(counts, ALL).slope > short.slope + 0.5
    assert len(fit_poisson(counts, ALL).used) == 6


@pytest.mark.parametrize(
    "n, said",
    [
        ([0, 0, 0], "no particle in 3 size classes"),
        ([7, 0, 0], "all 7 particles are in the smallest of 3"),
        ([0, 0, 7], "all 7 particles are in the largest of 3"),
        ([np.nan, np.nan, 7], "1 size classes remain"),
        ([np.nan, np.nan, np.nan], "0 size classes remain"),
    ],
)
@pytest.mark.parametrize("fit", [fit_poisson, fit_negative_binomial])
def test_counts_without_a_slope_are_refused(fit, n, said):
    counts = pd.DataFrame({"esd_low": [100, 126, 159], "esd_high": [126, 159, 200], "n": n, "volume": 1.0})
    with pytest.raises(NotFitted, match=said):
        fit(counts, ALL)


def test_an_unknown_density_is_refused(known):
    with pytest.raises(UserError, match="'mean' is unknown, allowed are"):
        fit_poisson(known(4.0, 3.0, 1.0), ALL, density="mean")
