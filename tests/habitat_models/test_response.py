"""Scaled counts and strata by hand."""

import numpy as np
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.habitat_models.response import count_scale, count_strata


@pytest.mark.parametrize(
    ("biomass", "expected"),
    [
        ([0.0, 0.02], 1000),  # 1 / 0.02 / 100 = 0.5, upwards 1
        ([0.0025, 0.0025], 4000),  # 4 exactly
        ([0.0, 0.0, 0.0024, 0.0024], 5000),  # 4.17, upwards 5; zeros take no part
        (np.arange(101) / 1e4, 51000),  # q01 of 1..100 is 1.99: 1e4 / 1.99 / 100 = 50.25, upwards 51
    ],
)
def test_scale_of_counts(biomass, expected):
    """Upwards(1 / q01 / 100) times 1000, q01 being the 1 % quantile of the positives."""
    assert count_scale(biomass) == expected


def test_strata_are_zeros_and_quantile_classes_that_hold_their_upper_edge():
    """Octiles of 1 to 17 are the whole numbers 3, 5, ..., 15."""
    y = np.array([0.0, *range(1, 18), 0.0])
    assert count_strata(y).tolist() == [0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 0]
    assert count_strata([4, 1, 0, 3, 2, 5], 2).tolist() == [2, 1, 0, 1, 1, 2]


def test_ties_leave_fewer_strata_and_no_positive_leaves_one():
    assert count_strata([0, 5, 5, 5]).tolist() == [0, 1, 1, 1]
    assert count_strata([0, 0]).tolist() == [0, 0]


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_what_is_no_biomass_is_refused_with_its_row(bad):
    for function in (count_scale, count_strata):
        with pytest.raises(UserError, match=f"row 2 is {bad}"):
            function([0.0, 1.0, bad])
    with pytest.raises(UserError, match="0 of 3 rows are positive"):
        count_scale([0, 0, 0])
