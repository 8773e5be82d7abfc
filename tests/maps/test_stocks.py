"""Totals, their summary and their regions, against sums by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.vocabulary import Stock
from aqqua_dist.environment.cube import build_cube
from aqqua_dist.environment.regions import region_masks
from aqqua_dist.maps import stocks
from aqqua_dist.recipe.sections import Zone

REGIONS = pd.DataFrame({"region_set": ["global", "basin", "basin"], "region": ["global", "a", "b"]})
MEMBERS = npst.arrays(float, st.tuples(st.integers(2, 12), st.just(2)), elements=st.floats(0.01, 1e6))


def table(totals, full=None):
    """Totals of members (n, 2) of regions a and b; global is their sum."""
    every = np.column_stack([totals.sum(axis=1), totals])
    last = np.full((1, 3), np.nan) if full is None else np.array([[sum(full), *full]])
    spread, sizes = np.array([3.0, 1.0, 2.0]), np.array([[30.0, 10.0, 20.0], [300.0, 100.0, 200.0]])
    found = stocks.total_table(REGIONS, np.vstack([every, last]), spread, sizes, stocks.stock_of("carbon_biomass"))
    return found.assign(quantity="carbon_biomass", taxon="one", zone="0-200")


@pytest.mark.parametrize(
    ("quantity", "value", "volume", "expected", "units"),
    [
        ("carbon_biomass", 1.0, 1e15, 1e-3, "Pg C"),  # 1 mg m-3 x 1e15 m3 = 1e15 mg = 1e12 g = 1e-3 Pg
        (
            "carbon_biomass",
            1.218732,
            200 * 3.402762e14,
            0.082941,
            "Pg C",
        ),  # mean over the domain of Drago et al. (2022)
        ("number_concentration", 2.0, 1e3, 2e3, "1"),
        ("biovolume_concentration", 1.0, 1e18, 1.0, "km3"),  # 1e18 mm3 = 1 km3
    ],
)
def test_units_of_a_stock(quantity, value, volume, expected, units):
    rule = stocks.stock_of(quantity)
    assert (rule.measure, rule.units) == ("volume", units)
    weight = stocks.cell_sizes(rule, np.array([np.nan]), np.array([volume])) * rule.factor
    assert value * weight[0] == pytest.approx(expected, rel=1e-5)


def test_a_quantity_without_a_stock_is_refused():
    with pytest.raises(UserError, match="'temperature' has no stock; choose from"):
        stocks.stock_of("temperature")


def test_a_component_has_the_mean_over_the_volume_not_an_integral():
    """Two cells of 1 and 3 m3 with -2 and 4: mean (-2 + 12) / 4 = 2.5; a region without volume has none."""
    rule = stocks.stock_of("embedding_component")
    weight = stocks.cell_sizes(rule, np.array([7.0, 7.0]), np.array([1.0, 3.0]))
    masks = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    sizes = np.array([masks @ [7.0, 7.0], masks @ [1.0, 3.0]])
    members = masks @ (np.array([-2.0, 4.0]) * weight)
    found = stocks.total_table(REGIONS, np.vstack([members, members]), masks @ weight, sizes, rule)
    chosen = found[found["member"] == 0].set_index("region")
    assert chosen.loc[["global", "a"], "total"].tolist() == [2.5, -2.0]
    assert np.isnan(chosen.loc["b", "total"])
    assert chosen.loc["global", "sum_cell_sd"] == 1.0
    assert set(found["units"]) == {"1"}


def test_an_areal_quantity_is_summed_over_the_area():
    rule = Stock("area", 1e-18, "Pg C", "flux")
    assert stocks.cell_sizes(rule, np.array([1e15]), np.array([5.0]))[0] * rule.factor * 2.0 == pytest.approx(2e-3)


def test_summary_by_hand():
    row = stocks.summarise_members(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (row["estimate"], row["mean"], row["q50"], row["interval"]) == (2.5, 2.5, 2.5, "percentiles")
    assert row["sd"] == pytest.approx(np.sqrt(5 / 3))
    assert (row["low"], row["high"]) == (row["q025"], row["q975"]) == pytest.approx((1.075, 3.925))


def test_log_normal_interval_around_the_full_fit_by_hand():
    members = np.exp([0.1, -0.1, 0.3, -0.3])
    row = stocks.summarise_members(members, 5.0)
    wide = 1.959964 * np.sqrt(0.2 / 3)
    assert (row["estimate"], row["interval"]) == (5.0, "lognormal")
    assert (np.log(row["low"] / 5), np.log(row["high"] / 5)) == pytest.approx((-wide, wide))
    assert row["mean"] == pytest.approx(members.mean())
    wider = stocks.summarise_members(members, 5.0, widening=1.5)
    assert np.log(wider["high"] / 5) == pytest.approx(1.5 * wide)
    assert wider["interval"] == "lognormal, sd x 1.5"
    assert {k: v for k, v in wider.items() if k not in ("low", "high", "interval")} == {
        k: v for k, v in row.items() if k not in ("low", "high", "interval")
    }


def test_a_total_of_zero_has_percentiles():
    row = stocks.summarise_members(np.array([0.0, 0.0, 1.0]), 0.5)
    assert row["interval"] == "percentiles"
    assert row["low"] == 0


@pytest.mark.parametrize("full", [0.0, 0.2, 3.0])
def test_an_interval_holds_its_estimate_where_a_member_is_zero(full):
    """Percentiles of 0 and 1 to 2 are 0.025 x 99 into the sorted members; 3 lies above all, 0 is held anyway."""
    members = np.concatenate([[0.0], np.linspace(1, 2, 99)])
    row = stocks.summarise_members(members, full)
    low, high = np.quantile(members, [0.025, 0.975])
    assert (row["low"], row["high"]) == (min(low, full), max(high, full))
    assert row["interval"] == "percentiles, widened to the estimate"
    assert (row["q025"], row["q975"]) == (low, high)


@settings(deadline=None)
@given(MEMBERS, st.floats(0.1, 100))
def test_summary_scales_and_ignores_order(totals, factor):
    one = stocks.summarise(table(totals))
    two = stocks.summarise(table(factor * totals[::-1]))
    for column in ("estimate", "mean", "sd", "q025", "q50", "q975"):
        assert two[column].to_numpy() == pytest.approx(
            factor * one[column].to_numpy(), rel=1e-9, abs=1e-9 * factor * totals.max()
        )


@settings(deadline=None)
@given(MEMBERS)
def test_means_of_regions_add_up_and_spreads_do_not_exceed_their_sum(totals):
    found = stocks.summarise(table(totals)).set_index("region")
    assert found.loc["global", "mean"] == pytest.approx(found.loc[["a", "b"], "mean"].sum())
    assert found.loc["global", "sd"] <= found.loc[["a", "b"], "sd"].sum() * (1 + 1e-9) + 1e-9


def test_spread_of_a_total_is_that_of_the_members_not_the_sum_of_cell_errors():
    """Two regions that vary against each other: their sum is certain."""
    found = stocks.summarise(table(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]))).set_index("region")
    assert found.loc["global", "sd"] == 0
    assert found.loc[["a", "b"], "sd"].tolist() == [1, 1]
    assert found["sum_cell_sd"].tolist() == [3, 1, 2]
    assert found["volume"].tolist() == [300, 100, 200]
    assert found["members"].tolist() == [3, 3, 3]


def test_a_table_of_totals_by_hand():
    """Two members and a full fit of three regions: area and volume are each region's own; rows are numbered from 0."""
    found = table(np.array([[1.0, 3.0], [2.0, 2.0]]), full=(2.0, 3.0))
    assert found.index.tolist() == list(range(9))
    assert found["region"].tolist() == ["global"] * 3 + ["a"] * 3 + ["b"] * 3
    assert found["region_set"].tolist() == ["global"] * 3 + ["basin"] * 6
    assert found["member"].tolist() == [0, 1, -1] * 3
    assert found["total"].tolist() == [4, 4, 5, 1, 2, 2, 3, 2, 3]
    assert found["area"].tolist() == [30] * 3 + [10] * 3 + [20] * 3
    assert found["volume"].tolist() == [300] * 3 + [100] * 3 + [200] * 3
    without = table(np.array([[1.0, 3.0], [2.0, 2.0]]))
    assert without.index.tolist() == list(range(6)) and without["member"].tolist() == [0, 1] * 3


def test_an_interval_is_not_widened_unless_told():
    totals = table(np.array([[1.0, 3.0], [2.0, 2.0]]), full=(2.0, 3.0))
    pd.testing.assert_frame_equal(stocks.summarise(totals), stocks.summarise(totals, widening=1.0))
    row = stocks.summarise(totals).set_index("region").loc["a"]
    width = 1.959964 * np.log([1.0, 2.0]).std(ddof=1)
    assert (row["low"], row["high"]) == pytest.approx((2 * np.exp(-width), 2 * np.exp(width)))
    assert (row["members"], row["area"], row["units"]) == (2, 10, "Pg C")


@pytest.mark.parametrize("widening", [1.0, 2.0])
def test_the_interval_of_a_signed_quantity_is_normal(widening):
    members = np.array([-1.0, 0.0, 4.0])
    row = stocks.summarise_members(members, 0.5, widening=widening, signed=True)
    width = 1.959964 * widening * np.sqrt(7)
    assert (row["low"], row["high"]) == pytest.approx((0.5 - width, 0.5 + width))
    assert row["interval"] == ("normal" if widening == 1 else "normal, sd x 2")
    unsigned = stocks.summarise_members(np.array([0.0, 1.0, 4.0]), 0.5, widening=widening)
    assert unsigned["interval"] == "percentiles"


def test_one_member_has_no_spread():
    row = stocks.summarise_members(np.array([3.0]), 2.0)
    assert np.isnan(row["sd"]) and (row["low"], row["high"]) == (2, 3)
    assert row["interval"] == "percentiles, widened to the estimate"
    two = stocks.summarise_members(np.array([3.0, 5.0]), 4.0)
    assert two["interval"] == "lognormal" and two["sd"] == pytest.approx(np.sqrt(2))


def test_the_full_fit_stands_apart_from_the_members():
    totals = table(np.array([[1.0, 3.0], [2.0, 2.0]]), full=(2.0, 3.0))
    assert sorted(totals["member"].unique()) == [-1, 0, 1]
    found = stocks.summarise(totals).set_index("region")
    assert found["estimate"].tolist() == [5, 2, 3]
    assert found["mean"].tolist() == [4, 1.5, 2.5]
    assert set(table(np.ones((2, 2)))["member"]) == {0, 1}


@pytest.fixture(scope="module")
def cube():
    return build_cube(["bathymetry"], [Zone(name="0-200", top=0, bottom=200)], resolution=4, monthly=False, clip=True)


def test_each_region_set_covers_every_cell_once(cube):
    cells = np.flatnonzero(cube["domain"].sel(zone="0-200").to_numpy().ravel() == 1)
    regions, masks = region_masks(cube, cells, latitude_band=10, basins=True)
    assert masks.shape == (len(regions), cells.size)
    for _, rows in regions.groupby("region_set"):
        assert (masks[rows.index].sum(axis=0) == 1).all()
    lat = np.repeat(cube["lat"].to_numpy(), cube.sizes["lon"])[cells]
    band = masks[regions.index[regions["region"] == "20S-10S"][0]]
    assert set(lat[band]) == set(lat[(lat >= -20) & (lat < -10)])
    assert {"pacific_ocean", "atlantic_ocean", "indian_ocean", "southern_ocean", "arctic_ocean"} <= set(
        regions["region"]
    )


def test_basins_can_be_left_out(cube):
    regions, _ = region_masks(cube, np.arange(10), latitude_band=30, basins=False)
    assert set(regions["region_set"]) == {"global", "latitude"}
    assert regions["region"].tolist() == ["global", *grid.latitude_bands([-89.0], 30)]


@pytest.mark.parametrize("members", [[], np.array([]), np.ones((2, 2)), ["a"], 3.0])
def test_members_that_are_no_row_of_totals_are_refused(members):
    """An empty array was an IndexError."""
    with pytest.raises(UserError, match="members: "):
        stocks.summarise_members(members)


def test_an_unknown_member_makes_the_summary_unknown():
    found = stocks.summarise_members([1.0, np.nan], 2.0)
    assert np.isnan([found["mean"], found["low"], found["high"]]).all()
