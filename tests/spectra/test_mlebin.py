"""Maximum likelihood on bins against a brute-force grid, its published bounds, and the Poisson fit as its twin."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.classes import UNOBSERVED, Detection
from aqqua_dist.spectra.fitted import NotFitted
from aqqua_dist.spectra.mlebin import fit_mlebin
from aqqua_dist.spectra.poisson import fit_poisson

ALL = Detection(0, np.inf)
GRID = np.arange(-4.00005, 8, 0.0001)


def counts(edges, n, volume=1.0):
    return pd.DataFrame({"esd_low": edges[:-1], "esd_high": edges[1:], "n": n, "volume": volume})


def grid_slope(edges, n):
    """Edwards et al. 2017, likelihood of binned data with b = -slope, written out and tried at every slope of a grid."""
    edges, n, power = np.asarray(edges, float), np.asarray(n, float), 1 - GRID[:, None]
    ends = edges[None, :] ** power
    share = np.abs(np.diff(ends, axis=1)) / np.abs(ends[:, -1:] - ends[:, :1])
    return GRID[np.argmax((n * np.log(share)).sum(axis=1))]


@pytest.mark.parametrize(
    "edges, n",
    [
        (np.array([1.0, 2, 4, 8, 16, 32]), [500, 130, 30, 9, 1]),
        (np.array([1.0, 2, 4, 8, 16, 32]), [50, 0, 3, 0, 1]),
        (np.array([102.0, 128, 161, 203, 400, 1000]), [80, 40, 33, 30, 4]),
        (np.array([102.0, 500, 510, 3000]), [3, 1, 60]),
        (np.array([1.0, 2, 4, 8]), [100, 200, 400]),  # slope 0
        (np.array([1.0, np.e, np.e**2, np.e**3]), [10, 10, 10]),  # slope 1, the limit of the formula
    ],
)
@pytest.mark.parametrize("bounds", ["observed", "detection"])
def test_the_slope_is_that_of_a_brute_force_grid(edges, n, bounds):
    got = fit_mlebin(counts(edges, n), ALL, bounds=bounds)
    assert got.slope == pytest.approx(grid_slope(edges, n), abs=1e-4)


def test_equal_classes_of_the_logarithm_have_slope_one():
    got = fit_mlebin(counts(np.array([1.0, 2, 4, 8]), [10, 10, 10]), ALL)
    assert got.slope == pytest.approx(1, abs=1e-10)


def test_slopes_below_zero_are_found():
    """n(s) = s from 1 to 8: integrals 1.5, 6, 24."""
    assert fit_mlebin(counts(np.array([1.0, 2, 4, 8]), [15, 60, 240]), ALL).slope == pytest.approx(-1, abs=1e-9)
    assert fit_mlebin(counts(np.array([1.0, 2, 4, 8]), [1, 2**21, 2**42]), ALL).slope == pytest.approx(-20, abs=1e-5)


def test_published_bounds_are_the_classes_with_particles():
    edges, n = np.array([50.0, 100, 200, 400, 800, 1600, 3200]), [0, 9, 3, 0, 1, 0]
    got = fit_mlebin(counts(edges, n), ALL)
    assert got.classes["left_out"].tolist() == [UNOBSERVED, "", "", "", "", UNOBSERVED]
    assert got.slope == pytest.approx(grid_slope(edges[1:-1], n[1:-1]), abs=1e-4)
    whole = fit_mlebin(counts(edges, n), ALL, bounds="detection")
    assert (whole.classes["left_out"] == "").all()
    assert whole.slope == pytest.approx(grid_slope(edges, n), abs=1e-4)


@pytest.mark.parametrize("volume", [1.0, 0.3, np.array([1.0, 1, 2, 5, 5, 5])])
def test_within_detection_limits_it_is_the_poisson_fit(volume):
    """The likelihood of shares and that of Poisson counts have the same maximum; two programs find it."""
    rows = counts(np.array([100.0, 128, 400, 450, 1000, 1100, 5000]), [900, 700, 30, 90, 2, 0], volume)
    got, twin = fit_mlebin(rows, ALL, bounds="detection"), fit_poisson(rows, ALL)
    assert (got.log_n0, got.slope) == pytest.approx((twin.log_n0, twin.slope), abs=1e-7)
    assert got.covariance == pytest.approx(twin.covariance, rel=1e-5)
    assert got.dispersion == pytest.approx(twin.dispersion, rel=1e-5)


def test_the_number_of_particles_is_kept():
    rows = counts(np.array([100.0, 200, 400, 800]), [90, 10, 1], 2.5)
    got = fit_mlebin(rows, ALL)
    power = 1 - got.slope
    assert 2.5 * np.exp(got.log_n0) * (0.8**power - 0.1**power) / power == pytest.approx(101)


@pytest.mark.parametrize("n, said", [([0, 0, 0], "no particle in 3"), ([0, 4, 0], "1 size classes remain")])
def test_counts_without_a_slope_are_refused(n, said):
    with pytest.raises(NotFitted, match=said):
        fit_mlebin(counts(np.array([100.0, 200, 400, 800]), n), ALL)


def test_all_particles_in_an_end_class_have_no_slope():
    with pytest.raises(NotFitted, match="all 4 particles are in the smallest of 3"):
        fit_mlebin(counts(np.array([100.0, 200, 400, 800]), [4, 0, 0]), ALL, bounds="detection")


def test_unknown_bounds_are_refused():
    with pytest.raises(UserError, match="bounds 'none' of the power law are unknown"):
        fit_mlebin(counts(np.array([100.0, 200, 400]), [4, 1]), ALL, bounds="none")
