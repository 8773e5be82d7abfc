"""Integrals of power laws on size classes, against numerical ones and their limits."""

import numpy as np
import pytest
from scipy.integrate import quad

from aqqua_dist.spectra.power_law import log_integral, mean_log_size

EXPONENTS = [-7.5, -4.0, -2.6, -1.02, -1.0001, -1.0, -0.99, 0.0, 3.0]


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("low, high", [(0.102, 0.128), (0.035, 5.0), (1.0, 2.0)])
def test_integral_and_mean_logarithm_are_those_of_quadrature(low, high, exponent):
    area = quad(lambda s: s**exponent, low, high, epsabs=0, epsrel=1e-12, limit=200)[0]
    moment = quad(lambda s: np.log(s) * s**exponent, low, high, epsabs=0, epsrel=1e-12, limit=200)[0]
    assert np.exp(log_integral(low, high, exponent)) == pytest.approx(area, rel=1e-10)
    assert mean_log_size(low, high, exponent) == pytest.approx(moment / area, rel=1e-9, abs=1e-11)


def test_the_integral_of_one_over_s_is_the_logarithm():
    assert np.exp(log_integral(1.0, np.e, -1.0)) == pytest.approx(1.0, rel=1e-15)


def test_extreme_exponents_do_not_overflow():
    """Of s^999 from 1 to 2 the integral is (2^1000 - 1) / 1000, and of s^-1001 it is (1 - 2^-1000) / 1000."""
    assert log_integral(1.0, 2.0, 999.0) == pytest.approx(1000 * np.log(2) - np.log(1000), rel=1e-12)
    assert log_integral(1.0, 2.0, -1001.0) == pytest.approx(-np.log(1000), rel=1e-12)
