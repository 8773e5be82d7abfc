"""Least squares of the logarithm of the density: an exact line, zeros that are left out, a known covariance."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

from aqqua_dist.spectra.classes import ZERO, Detection
from aqqua_dist.spectra.fitted import NotFitted
from aqqua_dist.spectra.least_squares import fit_least_squares

ALL = Detection(0, np.inf)


def on_the_line(log_n0, slope, edges, volume):
    low, high = edges[:-1] / 1000, edges[1:] / 1000
    n = np.exp(log_n0) * np.sqrt(low * high) ** -slope * (high - low) * volume
    return pd.DataFrame({"esd_low": edges[:-1], "esd_high": edges[1:], "n": n, "volume": volume})


def test_densities_on_a_line_give_it_back_whatever_the_widths():
    got = fit_least_squares(on_the_line(3.0, 3.7, np.array([100.0, 128, 300, 320, 900, 5000]), 2.5), ALL)
    assert (got.log_n0, got.slope) == (pytest.approx(3.0, abs=1e-10), pytest.approx(3.7, abs=1e-10))
    assert np.abs(got.covariance).max() < 1e-20


def test_covariance_is_that_of_a_straight_line():
    counts = on_the_line(3.0, 3.7, 100 * 1.26 ** np.arange(9), 2.5)
    counts["n"] *= [1.3, 0.8, 1.1, 0.7, 1.4, 0.9, 1.0, 1.2]
    got = fit_least_squares(counts, ALL)
    size = np.log(np.sqrt(counts["esd_low"] * counts["esd_high"]) / 1000)
    density = np.log(counts["n"] / 2.5 / (counts["esd_high"] - counts["esd_low"]) * 1000)
    line = linregress(size, density)
    assert (got.slope, got.log_n0) == (pytest.approx(-line.slope), pytest.approx(line.intercept))
    assert np.sqrt(np.diag(got.covariance)) == pytest.approx([line.intercept_stderr, line.stderr])
    assert got.covariance[0, 1] == pytest.approx(line.stderr**2 * size.mean())


def test_the_intercept_of_wide_classes_is_too_high_as_the_documentation_says(known):
    """Slope 4, limits that differ by 2: sinh(3h) / (3 sinh h) with h = ln 2 / 2 is 7/6."""
    got = fit_least_squares(known(2.0, 4.0, 1.0, 100 * 2.0 ** np.arange(6)), ALL)
    assert got.slope == pytest.approx(4.0, abs=1e-9)
    assert np.exp(got.log_n0 - 2.0) == pytest.approx(7 / 6, abs=1e-9)


def test_empty_classes_are_left_out_and_said():
    counts = on_the_line(3.0, 3.7, 100 * 1.26 ** np.arange(9), 2.5)
    counts.loc[6:, "n"] = 0
    got = fit_least_squares(counts, ALL)
    assert got.classes["left_out"].tolist() == [""] * 6 + [ZERO] * 2
    assert got.slope == pytest.approx(3.7)
    assert got.truncation.endswith(f"left out: 2 {ZERO} (0 particles)")


def test_two_classes_have_a_slope_and_no_covariance():
    got = fit_least_squares(on_the_line(3.0, 3.7, np.array([100.0, 126, 160]), 1.0), ALL)
    assert got.slope == pytest.approx(3.7)
    assert np.isnan(got.covariance).all()


def test_one_class_has_no_slope():
    with pytest.raises(NotFitted, match="1 size classes with particles remain"):
        fit_least_squares(on_the_line(3.0, 3.7, np.array([100.0, 126]), 1.0), ALL)
