"""The camera's depth offset."""

import numpy as np
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.effort.depth_offset import depth_with_offset


def test_objects_of_a_cast_fall_into_the_bins_of_ecopart():
    """Vignettes at 2.0, 4.2 and 6.0 m with an offset of 1.2 m: one in 0-5 m and two in 5-10 m."""
    depth = depth_with_offset([2.0, 4.2, 6.0], 1.2)
    np.testing.assert_allclose(depth, [3.2, 5.4, 7.2])
    assert np.bincount((depth // 5).astype(int)).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("offset", "project", "expected"),
    [
        (1.2, 2.0, 12.0),
        (1.2, None, 11.2),
        (None, None, 10.0),
        (np.nan, "", 10.0),
        ("1.2", "nan", 11.2),
        ([1.2], 0, 10.0),
    ],
)
def test_the_offset_of_the_project_wins_and_none_is_none(offset, project, expected):
    np.testing.assert_allclose(depth_with_offset([10.0], offset, project), [expected])


def test_offsets_of_each_row():
    np.testing.assert_allclose(depth_with_offset([10.0, 20.0, 30.0], [1.0, np.nan, -0.5]), [11, 20, 29.5])


@pytest.mark.parametrize(
    ("offset", "message"), [(120.0, "120 m .* outside -20 to 20 m"), ("deep", "'deep' is no offset")]
)
def test_offsets_that_cannot_be(offset, message):
    with pytest.raises(UserError, match=message):
        depth_with_offset([10.0], offset)
