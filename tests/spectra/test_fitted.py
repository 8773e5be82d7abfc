"""Draws of the two parameters: their mean and covariance, members that stay, covariances that are none."""

import numpy as np
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.fitted import draw_parameters, expected, pearson

COVARIANCE = np.array([[0.04, 0.018], [0.018, 0.09]])


def test_draws_have_the_covariance():
    got = draw_parameters((5.0, 3.5), COVARIANCE, range(20000), 7, ["cast", "0-100"])
    assert got.shape == (20000, 2)
    assert got.mean(axis=0) == pytest.approx([5.0, 3.5], abs=0.01)  # 4 standard errors: 0.006 and 0.0085
    assert np.cov(got.T) == pytest.approx(COVARIANCE, rel=0.06)


def test_a_member_does_not_depend_on_how_many_are_drawn():
    many = draw_parameters((5.0, 3.5), COVARIANCE, range(50), 7, ["cast"])
    assert (draw_parameters((5.0, 3.5), COVARIANCE, [0, 1, 2], 7, ["cast"]) == many[:3]).all()
    assert (draw_parameters((5.0, 3.5), COVARIANCE, [49], 7, ["cast"]) == many[49:]).all()
    assert not np.isclose(draw_parameters((5.0, 3.5), COVARIANCE, range(50), 8, ["cast"]), many).any()
    assert not np.isclose(draw_parameters((5.0, 3.5), COVARIANCE, range(50), 7, ["other"]), many).any()


def test_bounds_of_a_covariance():
    """None at all gives the estimate; full correlation keeps draws on a line."""
    assert (draw_parameters((5.0, 3.5), np.zeros((2, 2)), range(3), 7, ["a"]) == [5.0, 3.5]).all()
    line = draw_parameters((0.0, 0.0), [[1.0, 2.0], [2.0, 4.0]], range(9), 7, ["a"])
    assert line[:, 1] == pytest.approx(2 * line[:, 0])
    assert draw_parameters((0.0, 0.0), COVARIANCE, [], 7, ["a"]).shape == (0, 2)


@pytest.mark.parametrize(
    "wrong", [np.full((2, 2), np.nan), [[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0], [0, 1.0]], [1.0, 1.0]]
)
def test_what_is_no_covariance_is_refused(wrong):
    with pytest.raises(UserError, match=r"spectrum \['cast'\]: the covariance of its parameters is"):
        draw_parameters((5.0, 3.5), wrong, range(3), 7, ["cast"])


def test_expected_numbers_and_their_dispersion():
    """n0 = 10 m-3 mm-1, slope 2, 3 m3: 30 (1/1 - 1/2) = 15 and 30 (1/2 - 1/4) = 7.5."""
    mean = expected((np.log(10), 2.0), [1.0, 2.0], [2.0, 4.0], 3.0)
    assert mean == pytest.approx([15, 7.5])
    assert pearson(np.array([3.0, 1, 8]), np.array([4.0, 4, 4]), np.array([4.0, 4, 4])) == pytest.approx(26 / 4)
    assert np.isnan(pearson(np.array([3.0, 1]), np.array([4.0, 4]), np.array([4.0, 4])))
