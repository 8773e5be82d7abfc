"""What is told about effort and about the grid, on tables made by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from aqqua_dist.core.errors import MethodWarning
from aqqua_dist.training.plausible import effective_number, effort_findings, grid_findings, tell


def rows(effort, cruise=None):
    n = len(effort)
    return pd.DataFrame(
        {"zone": "0-200", "taxon": "one", "lat": np.arange(n), "lon": 0.0, "effort": effort, "cruise": cruise or "a"}
    )


def test_effective_number_by_hand():
    assert effective_number([2, 2, 2]) == pytest.approx(3)
    assert effective_number([1, 1, 8]) == pytest.approx(100 / 66)
    assert effective_number([5, 0, 0]) == 1
    assert np.isnan(effective_number([0, 0]))


@pytest.mark.parametrize("n_cruises", [2, 5])
def test_a_cruise_in_litres_is_told_with_the_effective_number(n_cruises):
    effort = [float(c == 0) * 5000 or 5.0 for c in range(n_cruises) for _ in range(4)]
    found = effort_findings(rows(effort, [f"c{c}" for c in range(n_cruises) for _ in range(4)]))
    assert len(found) == 1
    assert "cruise 'c0' has a median volume of 5000 m3, 1000 times that of the others (litres?)" in found[0]
    n = effective_number(effort)
    assert f"{n:.1f} effective samples of {4 * n_cruises}" in found[0] and n < 4.1


def test_a_cruise_with_a_thousandth_is_told():
    found = effort_findings(rows([5.0] * 6 + [0.005] * 3, list("aaabbbccc")))
    assert ["1000 times less" in text for text in found] == [True]


def test_one_row_with_most_of_the_volume_is_told():
    (found,) = effort_findings(rows([1.0, 1.0, 8.0]))
    assert "one row (lat 2, lon 0) has 80% of the sampled volume, 8 m3" in found
    assert "1.5 effective samples of 3" in found


def test_usual_effort_is_not_told():
    assert effort_findings(rows([1.0, 2.0, 10.0, 12.0, 5.0], list("aabbb"))) == []
    assert effort_findings(rows([1.0, 2.0]).drop(columns="effort")) == []


def test_grid_in_another_unit_is_told():
    table = pd.DataFrame({"temperature": [2.0, 15.0, 28.0], "nitrate": [0.1, 10.0, 30.0], "salinity": [30.0, 34, 37]})
    cube = xr.Dataset(
        {
            "temperature": ("lat", [275.0, 290.0, 301.0, np.nan]),
            "nitrate": ("lat", [1e-7, 1e-5, 3e-5, np.nan]),
            "salinity": ("lat", [5.0, 33.0, 40.0, 999.0]),
            "domain": ("lat", [1, 1, 1, 0]),
        }
    )
    found = grid_findings(table, cube, ["temperature", "nitrate", "salinity"])
    assert len(found) == 3
    assert "'temperature': 100.0% of the grid lies far outside" in found[0] and "grid 275 to 301" in found[0]
    assert "'nitrate': the grid hardly varies" in found[1]
    assert "'salinity': 33.3% of the grid" in found[2]


def test_what_is_told_reaches_the_screen():
    with pytest.warns(MethodWarning, match="litres"):
        tell(["in litres"])
