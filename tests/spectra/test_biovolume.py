"""Biovolume and intercept in both directions: formula, the limit at slope 4, published fluxes, covariance."""

import numpy as np
import pytest
from scipy.integrate import quad

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.biovolume import biovolume_fit, biovolume_of_n0, n0_of_biovolume
from aqqua_dist.spectra.classes import Detection
from aqqua_dist.spectra.poisson import fit_poisson

RANGE = (105.0, 5000.0)


@pytest.mark.parametrize("slope", [2.5, 3.0, 3.999, 4.5])
def test_the_published_formula(slope):
    """Clements et al. 2022: (pi/6) n0 (5^(4-slope) - 0.105^(4-slope)) / (4 - slope)."""
    by_hand = np.pi / 6 * 700 * (5 ** (4 - slope) - 0.105 ** (4 - slope)) / (4 - slope)
    assert biovolume_of_n0(700, slope, size_range=RANGE) == pytest.approx(by_hand, rel=1e-10)
    assert n0_of_biovolume(by_hand, slope, size_range=RANGE) == pytest.approx(700, rel=1e-10)


def test_slope_three_by_hand():
    """From 1 to 3 mm, n0 = 6 / pi: the integral of 1 is 2 mm3 m-3; at slope 4 it is ln 3."""
    got = biovolume_of_n0(6 / np.pi, [3.0, 4.0], size_range=(1000, 3000))
    assert got == pytest.approx([2, np.log(3)], rel=1e-14)


def test_the_limit_at_slope_four_is_reached_from_both_sides():
    exact = np.pi / 6 * np.log(5 / 0.105)
    # first order: the mean of ln s under 1/s, (ln 0.105 + ln 5) / 2, times the step
    mean = (np.log(0.105) + np.log(5)) / 2
    for step in (1e-3, 1e-6, 1e-9, 1e-12, 0.0, -1e-12, -1e-9, -1e-6):
        want = exact * (1 - step * mean)
        assert biovolume_of_n0(1, 4 + step, size_range=RANGE) == pytest.approx(want, rel=max(3 * step**2, 1e-13))


@pytest.mark.parametrize("slope", np.linspace(2, 6, 9))
def test_there_and_back(slope):
    there = biovolume_of_n0([0.0, 1e-3, 5e4, np.nan], slope, size_range=RANGE)
    back = n0_of_biovolume(there, slope, size_range=RANGE)
    assert back[:3] == pytest.approx([0, 1e-3, 5e4], rel=1e-13)
    assert np.isnan(there[3]) and np.isnan(back[3])


@pytest.mark.parametrize("slope, flux", [(3.0, 29.4), (3.5, 40.5), (3.8, 54.9), (4.0, 69.9), (4.5, 136.5)])
def test_one_ppm_gives_the_fluxes_of_the_recovered_law(slope, flux):
    """1 ppm over 105 µm to 5 mm, sinking from 35 µm on, and 18.0 d^2.63 per L-1 (mg C m-2 d-1), check values recovered from published maps."""
    n0 = n0_of_biovolume(1000.0, slope, size_range=RANGE) / 1000  # L-1 mm-1
    assert quad(lambda d: n0 * d**-slope * 18.0 * d**2.63, 0.035, 5.0, limit=200)[0] == pytest.approx(flux, abs=0.06)


def test_covariance_of_biovolume_and_slope_is_that_of_draws(known):
    """The biovolume of 20 000 normal draws of intercept and slope has the covariance that first order gives (to 5 %)."""
    fit = fit_poisson(known(6.0, 3.8, 1.0), Detection(0, np.inf))
    got = biovolume_fit(fit, size_range=RANGE)
    drawn = np.random.default_rng(1).multivariate_normal([fit.log_n0, fit.slope], fit.covariance, 20000)
    logs = np.log(biovolume_of_n0(np.exp(drawn[:, 0]), drawn[:, 1], size_range=RANGE))
    assert got.log_biovolume == pytest.approx(np.log(biovolume_of_n0(np.exp(6.0), 3.8, size_range=RANGE)), abs=1e-6)
    assert got.covariance == pytest.approx(np.cov(logs, drawn[:, 1]), rel=0.05)
    assert got.slope == fit.slope


@pytest.mark.parametrize("size_range", [(0, 5000), (5000, 105), (105, 105), (105, np.inf), (np.nan, 5000)])
def test_sizes_ascend_from_above_zero(size_range):
    with pytest.raises(UserError, match="sizes of a biovolume are"):
        biovolume_of_n0(1.0, 4.0, size_range=size_range)


@pytest.mark.parametrize("turn", [biovolume_of_n0, n0_of_biovolume])
def test_negative_values_are_refused(turn):
    with pytest.raises(UserError, match="is -2; allowed is 0 or more"):
        turn([1.0, -2.0, np.nan], 4.0, size_range=RANGE)
