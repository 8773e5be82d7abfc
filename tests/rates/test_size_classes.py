"""Diameters, sums and ranges of size classes."""

import numpy as np
import pytest
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.rates import size_classes
from aqqua_dist.rates.formulas import FORMULAS

LOW, HIGH = np.array([64.0, 102.0, 128.0, 512.0]), np.array([102.0, 128.0, 512.0, 645.0])


def test_the_diameter_is_that_of_the_mean_volume():
    found = size_classes.mean_diameter(LOW, HIGH)
    np.testing.assert_allclose(found**3, (LOW**3 + HIGH**3) / 2)
    for low, high in (([100.0], [np.nan]), ([200.0], [100.0])):
        with pytest.raises(UserError, match=f"size class from {low[0]:g} to {high[0]:g} has no diameter"):
            size_classes.mean_diameter(np.array(low), np.array(high))


def test_a_class_that_is_not_used_may_be_missing():
    number = np.array([[np.nan, np.nan, 5.0, 7.0], [1.0, 2.0, np.nan, 4.0]])
    used = size_classes.from_size(LOW, 128.0)
    np.testing.assert_array_equal(size_classes.over_classes(number, 1.0, used), [12.0, np.nan])
    np.testing.assert_array_equal(size_classes.over_classes(number, 1.0), [np.nan, np.nan])


def test_limits_that_a_source_has_rounded_are_the_same():
    exact = np.array([50.8, 80.6, 101.6, 128.0]) * 2 ** (np.arange(4) * 0)
    assert size_classes.from_size(np.array([101.6, 127.99]), 128.0).tolist() == [False, True]
    assert size_classes.within(exact[2:], np.array([128.0, 512.3]), (102.0, 512.0)).all()


def test_a_range_that_the_classes_do_not_fill_is_unknown():
    with pytest.raises(UserError, match="fill 384 of the 410 µm from 102 to 512"):
        size_classes.within(LOW[2:], HIGH[2:], (102.0, 512.0))
    with pytest.raises(UserError, match="fill 543 of the 2478 µm"):
        FORMULAS["particle_number_kiko2017"](np.ones(4), LOW, HIGH, limits=(102.0, 2580.0))
    with pytest.raises(UserError, match="no size class begins at 1000 µm or above, the largest begins at 512"):
        size_classes.from_size(LOW, 1000.0)


def test_the_class_between_mip_and_map_belongs_to_neither():
    low, high = np.array([102.0, 512.0, 645.0]), np.array([512.0, 645.0, 2580.0])
    number = np.array([5.0, 70.0, 11.0])
    small = FORMULAS["particle_number_kiko2017"](number, low, high)
    large = FORMULAS["particle_number_kiko2017"](number, low, high, limits=size_classes.MACROSCOPIC)
    assert (small, large) == (5.0, 11.0)


def test_labelled_spectra_name_their_classes():
    number = xr.DataArray([[1.0, 2.0]], dims=("profile", "esd"), attrs={"units": "L-1"})
    with pytest.raises(UserError, match="needs? the name 'size_class'"):
        size_classes.over_classes(number, 1.0)
    good = number.rename(esd="size_class")
    assert size_classes.over_classes(good, 1.0).to_numpy().tolist() == [3.0]
