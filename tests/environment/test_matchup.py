"""Tables onto grids and back, and all members over a grid in one pass."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.environment import matchup as bridge
from aqqua_dist.habitat_models.boosting import Settings
from aqqua_dist.habitat_models.members import MemberPlan, fit_members
from aqqua_dist.maps import prediction
from aqqua_dist.maps.products import Product, identity

LAT, LON = grid.regular_grid(30)


def cube(months=None, seed=0):
    rng = np.random.default_rng(seed)
    shape = (() if months is None else (months,)) + (2, LAT.size, LON.size)
    dims = (() if months is None else ("month",)) + ("zone", "lat", "lon")
    domain = (rng.random((2, LAT.size, LON.size)) < 0.7).astype("int8")
    data = xr.Dataset(
        {
            "temperature": (dims, rng.uniform(0, 30, shape)),
            "salinity": (dims, rng.uniform(30, 38, shape)),
            "bathymetry": (("lat", "lon"), rng.uniform(10, 5000, (LAT.size, LON.size))),
            "domain": (("zone", "lat", "lon"), domain),
            "thickness": (("zone", "lat", "lon"), rng.uniform(1, 200, (2, LAT.size, LON.size))),
        },
        coords={"zone": ["up", "down"], "lat": LAT, "lon": LON},
    )
    data["cell_area"] = grid.cell_area(LAT, LON)
    return data if months is None else data.assign_coords(month=np.arange(1, months + 1))


def ensemble(members=5, centre=True, seed=1):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"temperature": rng.uniform(0, 30, 150), "salinity": rng.uniform(30, 38, 150)})
    y = rng.poisson(np.exp(X["temperature"] / 10))
    plan = MemberPlan(
        list(rng.integers(0, 150, (members, 150))),
        Settings(rounds=12, max_depth=3, label_scale=4.0),
        seed=2,
        centre=centre,
    )
    return fit_members(X, y, plan, progress=False)


NAMES = ["temperature", "salinity"]


def test_a_table_laid_on_a_grid_comes_back():
    rng = np.random.default_rng(3)
    lat, lon = np.meshgrid(LAT, LON, indexing="ij")
    rows = pd.DataFrame({"lat": lat.ravel(), "lon": lon.ravel()}).sample(40, random_state=1)
    rows["temperature"], rows["salinity"] = rng.random(40), np.where(rng.random(40) < 0.2, np.nan, 1.0)
    laid = bridge.table_to_grid(rows, LAT, LON, "file.csv")
    assert int(laid["domain"].sum()) == 40
    assert int(laid["temperature"].notnull().sum()) == 40
    whole = xr.concat([laid], dim="zone").assign_coords(zone=["z"])
    back = bridge.extract(whole, rows.assign(zone="z"), NAMES)
    pd.testing.assert_frame_equal(back, rows[NAMES])


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [
        (
            [-75.0, 14.0],
            [-165.0, 15.0],
            r"file.csv: row 3: position \(14.0, 15.0\) is not a cell centre of the 30 degree grid",
        ),
        ([15.0, 15.0], [15.0, 15.0], "file.csv: row 3: its grid cell stands twice"),
        ([15.0, 95.0], [15.0, 15.0], r"file.csv: row 3: position \(95.0, 15.0\) lies outside the grid"),
    ],
)
def test_positions_that_fit_no_cell_are_shown(lat, lon, message):
    with pytest.raises(UserError, match=message):
        bridge.table_to_grid(pd.DataFrame({"lat": lat, "lon": lon, "v": 1.0}), LAT, LON, "file.csv")


@pytest.mark.parametrize(("lat_nodes", "lon_nodes"), [(False, False), (True, True), (True, False), (False, True)])
def test_the_registration_of_each_axis_is_found(lat_nodes, lon_nodes):
    lat, lon = grid.regular_grid(2.5, lat_nodes=lat_nodes, lon_nodes=lon_nodes)
    y, x = np.meshgrid(lat[10:30], lon[::7], indexing="ij")
    rows = pd.DataFrame({"lat": y.ravel() + 1e-4, "lon": x.ravel(), "v": np.arange(y.size)})
    found_lat, found_lon = bridge.axes_of(rows, 2.5)
    np.testing.assert_array_equal(found_lat, lat)
    np.testing.assert_array_equal(found_lon, lon)
    laid = bridge.table_to_grid(rows, found_lat, found_lon, "file.csv")
    assert laid["v"].to_numpy()[10:30, ::7].ravel().tolist() == rows["v"].tolist()


@pytest.mark.parametrize("step", [1.875, 1.8751, 1.8749])
def test_a_step_that_is_rounded_drifts_and_is_read(step):
    """Longitudes of 1.8751 instead of 1.875 degrees are off by a hundredth of a cell after 192 of them."""
    lat, lon = grid.regular_grid(1.875)
    rows = pd.DataFrame(
        {"lat": np.repeat(lat[48], 192), "lon": -180 + step * (np.arange(192) + 0.5), "v": np.arange(192.0)}
    )
    laid = bridge.table_to_grid(rows, lat, lon, "file.csv")
    assert laid["v"].to_numpy()[48].tolist() == list(range(192))


def test_a_complete_axis_of_four_digits_is_taken_in_its_order():
    lat, lon = grid.regular_grid(1 / 12)
    drifting = -180 + 0.0833 * (np.arange(lon.size) + 0.5)
    assert abs(drifting[-1] - lon[-1]) > 1 / 12  # more than a cell away
    rows = pd.DataFrame({"lat": lat[100], "lon": drifting, "v": np.arange(lon.size)})
    laid = bridge.table_to_grid(rows, lat, lon, "file.csv")
    assert laid["v"].to_numpy()[100].tolist() == list(range(lon.size))


def test_rows_without_a_number_are_no_domain():
    rows = pd.DataFrame(
        {"lat": [15.0, 15.0, -15.0], "lon": [15.0, 45.0, 15.0], "a": [1.0, np.nan, np.nan], "b": [np.nan, np.nan, 2.0]}
    )
    laid = bridge.table_to_grid(rows, LAT, LON, "file.csv")
    assert int(laid["domain"].sum()) == 2
    assert int(laid["domain"].sel(lat=15, lon=45)) == 0


def test_positions_snap_to_the_cell_that_holds_them():
    rows = pd.DataFrame({"lat": [-89.9, 0.0, 29.9, 90.0], "lon": [-180.0, 179.9, -0.1, 0.0]})
    snapped = bridge.snap_to_cells(rows, LAT, LON, "x")
    assert snapped["lat"].tolist() == [-75, 15, 15, 75]
    assert snapped["lon"].tolist() == [-165, 165, -15, 15]


def test_extract_takes_zone_and_month_of_each_row():
    source = cube(months=12)
    rows = pd.DataFrame(
        {"zone": ["down", "up"], "month": [3, 12], "lat": [15.0, -45.0], "lon": [45.0, -165.0]}, index=[7, 9]
    )
    found = bridge.extract(source, rows, ["temperature", "bathymetry"])
    assert found.index.tolist() == [7, 9]
    assert found.loc[7, "temperature"] == float(source["temperature"].sel(month=3, zone="down", lat=15, lon=45))
    assert found.loc[9, "temperature"] == float(source["temperature"].sel(month=12, zone="up", lat=-45, lon=-165))
    assert found.loc[9, "bathymetry"] == float(source["bathymetry"].sel(lat=-45, lon=-165))
    with pytest.raises(UserError, match="row 3: zone 'deep' is not in the cube"):
        bridge.extract(source, rows.assign(zone=["up", "deep"]), ["temperature"])
    with pytest.raises(UserError, match="month '13' is not in the cube, which goes from 1 to 12"):
        bridge.extract(source, rows.assign(month=[1, 13]), ["temperature"])


def test_domain_holds_the_cells_in_order():
    source = cube(months=2)
    where = prediction.domain(source, "down", NAMES)
    assert where.features.shape == (2, int(source["domain"].sel(zone="down").sum()), 2)
    row, column = np.unravel_index(where.cells[5], (LAT.size, LON.size))
    assert where.features[1, 5, 0] == np.float32(source["temperature"].to_numpy()[1, 1, row, column])
    assert where.volume[5] == pytest.approx(
        float(source["cell_area"][row, column] * source["thickness"][1, row, column])
    )
    with pytest.raises(UserError, match=r"predictors \['oxygen'\] are not in the cube"):
        prediction.domain(source, "up", ["oxygen"])


@pytest.mark.parametrize("months", [None, 3])
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("block", [7, 4_000_000])
def test_one_pass_equals_members_one_by_one(monkeypatch, months, centre, block):
    monkeypatch.setattr(prediction, "BLOCK_VALUES", block)
    fitted, where = ensemble(centre=centre), prediction.domain(cube(months), "up", NAMES)
    count, cells = where.features.shape[:2]

    def weights(start, stop):
        return np.tile(np.column_stack([where.volume, where.volume * (where.cells < 30)])[start:stop], (count, 1))

    products = {"one": Product(identity, ("one",), where.cells, weights)}
    fields, totals = prediction.predict({"one": (fitted, where)}, products, jobs=2, progress=False)["one"]
    values = np.stack([fitted.predict(where.features[m]) for m in range(count)], axis=1).astype(
        "float64"
    )  # members, months, cells
    assert fields["mean"] == pytest.approx(values.mean(axis=0), rel=1e-6)
    assert fields["sd"] == pytest.approx(values.std(axis=0, ddof=1), rel=1e-4, abs=1e-7)
    for level, name in ((0.025, "q025"), (0.5, "q50"), (0.975, "q975")):
        assert fields[name] == pytest.approx(np.quantile(values, level, axis=0), rel=1e-5)
    yearly = values.mean(axis=1)
    assert totals[:-1, 0] == pytest.approx(yearly @ where.volume, rel=1e-6)
    assert totals[:-1, 1] == pytest.approx(yearly @ (where.volume * (where.cells < 30)), rel=1e-6)
    full = [fitted.centres(where.features[m])[0] for m in range(count)] if centre else None
    if centre:
        assert fields["estimate"] == pytest.approx(np.stack(full), rel=1e-6)
        assert totals[-1, 0] == pytest.approx(np.mean(full, axis=0) @ where.volume, rel=1e-6)
    else:
        assert fields["estimate"] == pytest.approx(fields["mean"])
        assert np.isnan(totals[-1]).all()
    assert ("mean_annual" in fields) == (months is not None)
    if months:
        assert fields["sd_annual"] == pytest.approx(yearly.std(axis=0, ddof=1), rel=1e-4, abs=1e-7)
        assert fields["q975_annual"] == pytest.approx(np.quantile(yearly, 0.975, axis=0), rel=1e-5)


class Constant:
    """Stands for an ensemble of many members without the cost of trees."""

    def __init__(self, members):
        self.n_members = members
        self.largest = 0

    def predict(self, X, *, jobs=1):
        self.largest = max(self.largest, self.n_members * len(X))
        return np.arange(self.n_members, dtype="float32")[:, None] + X[:, 0]

    def centres(self, X):
        return np.empty((0, len(X)), dtype="float32")


def test_memory_does_not_grow_with_the_number_of_members():
    features = np.zeros((1, 200_000, 2), dtype="float32")
    where = SimpleNamespace(features=features, cells=np.arange(200_000), volume=np.ones(200_000))
    peaks = {}
    for members in (50, 400):
        many = Constant(members)
        tracemalloc.start()
        products = {"one": Product(identity, ("one",), where.cells, lambda a, b: where.volume[a:b, None])}
        fields, totals = prediction.predict({"one": (many, where)}, products, progress=False)["one"]
        peaks[members] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert many.largest <= prediction.BLOCK_VALUES
        assert fields["mean"] == pytest.approx((members - 1) / 2)
        assert totals[:-1, 0] == pytest.approx(200_000.0 * np.arange(members))
    assert peaks[400] < 1.2 * peaks[50]


def test_values_come_back_onto_the_grid():
    source = cube(months=3)
    where = prediction.domain(source, "up", NAMES)
    values = np.arange(3 * where.cells.size, dtype=float).reshape(3, -1)
    laid = prediction.to_grid(values, where, source)
    assert laid.dims == ("month", "lat", "lon")
    assert int(laid.notnull().sum()) == values.size
    assert laid.to_numpy()[1].ravel()[where.cells] == pytest.approx(values[1])
    assert (laid.isel(month=0).isnull() == (source["domain"].sel(zone="up") == 0)).all()
    assert prediction.to_grid(values[0], where, source).dims == ("lat", "lon")
