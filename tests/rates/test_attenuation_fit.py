"""Attenuation of a profile: exact profiles come back, and each rule of rejection bites."""

import re

import numpy as np
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.rates.attenuation_fit import fit_attenuation
from aqqua_dist.rates.formulas import FORMULAS

DEPTH = np.array([100.0, 150.0, 300.0, 500.0, 1000.0])


def fit(depth, flux, form="martin"):
    return fit_attenuation(depth, flux, form=form, reference_depth=100.0)


def test_exact_profiles_come_back():
    found = fit(DEPTH, FORMULAS["flux_at_depth_martin1987"](50.3, DEPTH, b=0.858, reference_depth=100.0))
    assert (found.value, found.flux, found.r2_adjusted) == pytest.approx((0.858, 50.3, 1.0))
    falling = FORMULAS["flux_at_depth_exponential"](40.0, DEPTH, z_star=350.0, reference_depth=100.0)
    found = fit(DEPTH, falling, "exponential")
    assert (found.value, found.flux, found.r2_adjusted) == pytest.approx((350.0, 40.0, 1.0))
    assert found.depths == 5 and not found.rejected


def test_the_line_and_its_adjusted_r2_are_those_of_least_squares():
    """By the closed form of three points: x = 0, 1, 2 and y = 0, -1, -1 give slope -1/2, R2 3/4, adjusted 1/2."""
    depth = 100.0 * np.exp(np.array([0.0, 1.0, 2.0]))
    found = fit(depth, np.exp(np.array([0.0, -1.0, -1.0])))
    assert found.value == pytest.approx(0.5)
    assert found.flux == pytest.approx(np.exp(-1 / 6))
    assert found.r2_adjusted == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("form", "flux", "reason"),
    [
        ("martin", [50, 40, np.nan, np.nan, np.nan], "2 depths, needed are 3"),
        ("martin", [50, 40, 0, 10, 5], "a flux of 0 has no logarithm"),
        ("martin", [10, 10, 10, 10, 10], "adjusted R2 0, needed is 0.1"),
        ("martin", [10, 30, 5, 28, 11], "adjusted R2 -"),
        ("martin", [5, 7, 11, 16, 25], "-0.6"),
        ("martin", [1e6, 1e5, 1e3, 30, 0.5], "6.394, allowed are 0.1 to 4"),
        ("exponential", [1e6, 1e5, 1e3, 1e-5, 1e-12], "2[0-9].*, allowed are 50 to 2000"),
        ("exponential", [10.0, 9.9, 9.75, 9.5, 9.1], "9.* allowed are 50 to 2000"),
    ],
)
def test_each_rule_of_rejection_bites_and_says_why(form, flux, reason):
    found = fit(DEPTH, np.array(flux, dtype=float), form)
    assert np.isnan(found.value) and np.isnan(found.flux)
    assert re.search(reason, found.rejected), found.rejected


def test_bad_input_is_refused():
    with pytest.raises(UserError, match="form 'linear' of the attenuation is unknown"):
        fit(DEPTH, DEPTH, "linear")
    with pytest.raises(UserError, match=r"depths of shape \(5,\) and fluxes of shape \(4,\)"):
        fit(DEPTH, DEPTH[:4])
    with pytest.raises(UserError, match="a depth of -5 m among 5"):
        fit(np.array([-5.0, 10, 20, 30, 40]), DEPTH)
