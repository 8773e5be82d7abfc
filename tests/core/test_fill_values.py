"""Fill values under any name, and real values that look like them."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.fill_values import check_predictors, fill_value

REAL = np.array([-1.5, 3.0, 12.0, 28.0])


@pytest.mark.parametrize(
    "value", [-9999, -999, -999.9, 99999, 9.96921e36, np.float32(9.96921e36), 1e20, np.float32(1e20), -32768, -99, 9999]
)
def test_a_customary_fill_value_is_found_in_a_predictor_of_any_name(value):
    values = np.append(REAL, [value, value])
    found, times = fill_value(values)
    assert (found, times) == (pytest.approx(float(value)), 2)
    with pytest.raises(UserError, match="'lability'.* in 2 of 6 values"):
        check_predictors(pd.DataFrame({"lability": values}), ["lability"], "grid.csv")


@pytest.mark.parametrize(
    "values",
    [
        REAL,
        np.arange(-6000.0, 1.0),  # heights: -999 is one of them
        np.arange(0.0, 11000.0),  # depths: 999 and 9999 are among them
        np.array([980.0, 999.0, 1013.0, 1030.0]),  # air pressure in hPa
        np.array([np.nan, np.nan]),
        np.array([]),
        np.array([np.nan, 1.0, np.inf]),
        np.array([-9.0, 3.0, 20.0]),
    ],
)
def test_real_values_pass(values):
    assert fill_value(values) is None


def test_two_fill_values_do_not_hide_each_other():
    assert fill_value([1.0, 2.0, -999.0, -9999.0])[0] == -9999


def test_nothing_but_fill_values():
    assert fill_value([-9999.0, -9999.0]) == (-9999.0, 2)


def test_kelvin_is_refused_with_the_guess():
    with pytest.raises(UserError, match=r"temperature: 285 is outside \[-3, 40\] degree_Celsius.*Is it in K\?"):
        check_predictors(pd.DataFrame({"temperature": [285.0, 290.0]}), ["temperature"], "grid.csv")


def test_a_height_where_a_depth_is_wanted_is_refused_with_the_guess():
    with pytest.raises(UserError, match="Is its sign turned"):
        check_predictors(pd.DataFrame({"bathymetry": [-4000.0, -20.0]}), ["bathymetry"], "grid.csv")


def test_texts_are_not_judged():
    assert check_predictors(pd.DataFrame({"ship": ["a", "b"]}), ["ship"], "grid.csv") is None
