"""Numbers on figures, and figures of quantities that may be negative."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.maps import stocks
from aqqua_dist.plots import curves
from aqqua_dist.plots.numbers import agreement, decades, straight, two_digits


@pytest.mark.parametrize(("value", "text"), [(0.1, "0.10"), (12.0, "12"), (-0.16, "−0.16"), (0.018, "0.018")])
def test_two_digits(value, text):
    assert two_digits(value) == text


def test_ticks_hold_everything():
    values = np.array([-1.3, 0.2, 1.7])
    ticks = straight(values)
    assert ticks[0] <= -1.3 and ticks[-1] >= 1.7 and np.allclose(np.diff(ticks), ticks[1] - ticks[0])
    values = np.array([0, 0.05, 0.05, 20.0])
    assert decades(values, values) == [0, 0.01, 0.1, 1, 10, 100]


def test_agreement_without_logarithms_of_negative_numbers():
    observed = np.array([0.0, 1.0, 2.0, 4.0])
    assert agreement(observed, observed) == "n = 4 (1 zeros), R² = 1.00\nr² = 1.00, r² of log(1 + x) = 1.00"
    assert agreement(observed - 1, observed - 1) == "n = 4, R² = 1.00\nr² = 1.00"


def test_figures_of_components_show_both_sides_of_zero():
    table = pd.DataFrame({"scheme": "random", "observed": [-1.5, 0.5, 2.0], "predicted": [-1.0, 0.0, 1.0]})
    axes = curves.observed_predicted(table, label="component").axes[0]
    assert axes.get_xscale() == "linear" and axes.get_xlim()[0] <= -1.5 and axes.get_xlim()[1] >= 2
    bands = pd.DataFrame({"region": ["10S-0", "0-10N"], "estimate": [-1.0, 1], "low": [-2.0, 0.5], "high": [0.0, 2]})
    assert curves.latitude_curve(bands, label="x").get_ylim()[0] <= -2


def test_intervals_of_quantities_with_two_signs_are_normal():
    members = np.array([-1.0, 0.0, 1.0, 2.0])
    rows = pd.DataFrame(
        {
            "quantity": "embedding_component",
            "taxon": "embedding_pc01",
            "zone": "0-200",
            "region_set": "global",
            "region": "global",
            "member": [-1, 0, 1, 2, 3],
            "total": [0.5, *members],
            "sum_cell_sd": 0.0,
            "area": 1.0,
            "volume": 1.0,
            "units": "m3",
        }
    )
    found = stocks.summarise(rows).iloc[0]
    assert found["interval"] == "normal"
    assert (found["low"], found["high"]) == pytest.approx(
        (0.5 - 1.959964 * members.std(ddof=1), 0.5 + 1.959964 * members.std(ddof=1))
    )
    assert stocks.summarise(rows.assign(quantity="carbon_biomass")).iloc[0]["interval"] == "percentiles"
