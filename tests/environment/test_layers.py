"""Zone means, regridding and the cube."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.environment import catalogue, harmonise, zone_means
from aqqua_dist.environment.cube import build_cube
from aqqua_dist.environment.regions import basin_mask

LEVELS = np.array([0, 10, 20, 30, 50, 75, 100, 125, 150, 200, 250, 300, 400, 500, 600, 700, 800, 900, 1000], float)
NAMES = ["temperature", "salinity", "wind_speed", "solar_radiation", "bathymetry", "distance_to_coast"]
ZONES = [SimpleNamespace(name="0-200", top=0, bottom=200), SimpleNamespace(name="200-1000", top=200, bottom=1000)]


def profile(values, depth=LEVELS):
    return xr.DataArray(np.asarray(values, dtype="float64"), dims="depth", coords={"depth": depth}, name="profile")


limits = st.tuples(st.floats(0, 1000), st.floats(0, 1000)).map(sorted).filter(lambda z: z[1] - z[0] > 1e-3)


@settings(max_examples=60, deadline=None)
@given(zone=limits, value=st.floats(-50, 50), slope=st.floats(-0.1, 0.1))
def test_constant_and_linear_profiles_are_exact(zone, value, slope):
    top, bottom = zone
    assert float(zone_means.zone_mean(profile(np.full(LEVELS.size, value)), top, bottom, coverage=1)) == pytest.approx(
        value
    )
    found = float(zone_means.zone_mean(profile(value + slope * LEVELS), top, bottom, coverage=1))
    assert found == pytest.approx(value + slope * (top + bottom) / 2, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(zone=limits, seed=st.integers(0, 10**6))
def test_integral_equals_a_fine_sum(zone, seed):
    values = np.random.default_rng(seed).normal(size=LEVELS.size)
    fine = np.linspace(*zone, 20001)
    middle = (fine[1:] + fine[:-1]) / 2
    expected = np.interp(middle, LEVELS, values).mean()
    assert float(zone_means.zone_mean(profile(values), *zone)) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(cut=st.floats(1, 999), seed=st.integers(0, 10**6))
def test_zones_that_adjoin_add_up(cut, seed):
    values = profile(np.random.default_rng(seed).normal(size=LEVELS.size))
    parts = float(zone_means.zone_mean(values, 0, cut)) * cut + float(zone_means.zone_mean(values, cut, 1000)) * (
        1000 - cut
    )
    assert parts / 1000 == pytest.approx(float(zone_means.zone_mean(values, 0, 1000)), abs=1e-9)


def test_coverage_rule():
    values = profile(np.where(LEVELS <= 100, 5.0, np.nan))
    assert float(zone_means.zone_mean(values, 0, 200, coverage=0.5)) == 5
    assert np.isnan(zone_means.zone_mean(values, 0, 200, coverage=0.51))
    assert np.isnan(zone_means.zone_mean(values, 150, 200))
    single = profile(np.where(LEVELS == 0, 7.0, np.nan))
    assert float(zone_means.zone_mean(single, 0, 200)) == 7
    assert np.isnan(zone_means.zone_mean(single, 0, 200, coverage=0.01))


@pytest.mark.parametrize(
    ("zone", "coverage", "message"),
    [
        ((200, 100), 0, "0 <= top < bottom"),
        ((-1, 100), 0, "-1"),
        ((0, 1200), 0, "ends at 1000 m"),
        ((0, 200), 1.5, "1.5"),
    ],
)
def test_zone_mean_refuses(zone, coverage, message):
    with pytest.raises(UserError, match=message):
        zone_means.zone_mean(profile(LEVELS), *zone, coverage=coverage)


def test_zone_mean_needs_ascending_levels():
    with pytest.raises(UserError, match="needs 'depth'"):
        zone_means.zone_mean(catalogue.load_layer("bathymetry"), 0, 200)
    with pytest.raises(UserError, match="must ascend"):
        zone_means.zone_mean(profile(LEVELS, LEVELS[::-1]), 0, 200)


def field(function, resolution=2.0):
    lat, lon = grid.regular_grid(resolution)
    return xr.DataArray(
        function(*np.meshgrid(lat, lon, indexing="ij")),
        dims=("lat", "lon"),
        coords={"lat": lat, "lon": lon},
        name="field",
    )


def test_interpolation_is_the_identity_on_the_same_grid():
    layer = catalogue.load_layer("bathymetry")
    xr.testing.assert_equal(harmonise.interpolate(layer, layer["lat"], layer["lon"]), layer)


@pytest.mark.parametrize("resolution", [0.5, 1.0, 1.5])
def test_finer_grid_is_bilinear_and_cyclic(resolution):
    smooth = field(lambda lat, lon: np.sin(np.radians(lat)) + np.cos(np.radians(lon)))
    found = harmonise.interpolate(smooth, *grid.regular_grid(resolution))
    expected = field(lambda lat, lon: np.sin(np.radians(lat)) + np.cos(np.radians(lon)), resolution)
    inner = abs(expected["lat"]) < 88
    np.testing.assert_allclose(found.where(inner, drop=True), expected.where(inner, drop=True), atol=5e-4)


@pytest.mark.parametrize("resolution", [3.0, 4.0, 5.0, 10.0])
def test_coarser_grid_keeps_the_global_integral(resolution):
    noise = field(lambda lat, lon: np.random.default_rng(1).normal(size=lat.shape))
    found = harmonise.interpolate(noise, *grid.regular_grid(resolution))
    fine, coarse = (float((f * grid.cell_area(f["lat"], f["lon"])).sum()) for f in (noise, found))
    assert coarse == pytest.approx(fine, rel=1e-9)


def test_gaps_count_for_nothing():
    land = field(lambda lat, lon: np.where(lon < 0, np.nan, 3.0))
    for resolution in (1.0, 5.0, 10.0):
        found = harmonise.interpolate(land, *grid.regular_grid(resolution))
        assert np.nanmin(found) == pytest.approx(3) and np.nanmax(found) == pytest.approx(3)
        assert bool(found.sel(lon=slice(-170, -10)).isnull().all()) and bool(
            found.sel(lon=slice(10, 170)).notnull().all()
        )


def test_a_regional_layer_is_refused():
    with pytest.raises(UserError, match="must be global"):
        harmonise.interpolate(field(lambda lat, lon: lat).sel(lon=slice(0, 90)), *grid.regular_grid(1.0))


@pytest.fixture(scope="module")
def monthly_cube():
    return build_cube(NAMES, ZONES, resolution=2, monthly=True)


def test_monthly_cube_has_the_agreed_form(monthly_cube):
    cube = monthly_cube
    assert cube["temperature"].dims == ("month", "zone", "lat", "lon")
    assert cube["salinity"].dims == ("zone", "lat", "lon")
    assert cube["wind_speed"].dims == ("month", "lat", "lon")
    assert cube["bathymetry"].dims == ("lat", "lon")
    assert cube["zone_bottom"].values.tolist() == [200, 1000]
    assert cube["domain"].dtype == np.int8 and cube["domain"].dims == ("zone", "lat", "lon")
    inside = cube["domain"] == 1
    for name in NAMES:
        assert not bool((cube[name].isnull() & inside).any()), name
        assert cube[name].attrs["units"] == catalogue.catalogue()[name].units and cube[name].dtype == np.float32
    assert inside.sum(("lat", "lon")).values.tolist() == [10704, 10022]


def test_thickness_stops_at_the_sea_floor(monthly_cube):
    cube = monthly_cube
    inside = cube["domain"] == 1
    assert bool((cube["thickness"].notnull() == inside).all())
    assert bool((cube["thickness"].where(inside, 1) > 0).all())
    upper = cube["thickness"].sel(zone="0-200")
    np.testing.assert_allclose(upper.where(upper < 200), cube["bathymetry"].where(upper < 200))
    open_ended = build_cube(["bathymetry"], ZONES, resolution=2, monthly=False, clip=False)
    assert set(np.unique(open_ended["thickness"].sel(zone="200-1000").values[open_ended["domain"].values[1] == 1])) == {
        800
    }


def test_annual_cube_is_the_mean_of_the_months(monthly_cube):
    annual = build_cube(NAMES, ZONES, resolution=2, monthly=False)
    assert "month" not in annual.dims
    for name in ("temperature", "wind_speed"):
        np.testing.assert_allclose(annual[name], monthly_cube[name].mean("month", skipna=False), atol=1e-4)
    np.testing.assert_array_equal(annual["domain"], monthly_cube["domain"])


def test_study_grid_of_one_degree_has_the_same_ocean(monthly_cube):
    fine = build_cube(["temperature", "bathymetry"], ZONES[:1], resolution=1, monthly=False, radius_km=6378.137)
    area = [float(c["cell_area"].where(c["domain"].isel(zone=0) == 1).sum()) for c in (fine, monthly_cube)]
    assert area[0] / area[1] == pytest.approx((6378.137 / 6371.0072) ** 2, rel=2e-3)


def test_cube_refuses_months_that_nothing_has():
    with pytest.raises(UserError, match="varies by month"):
        build_cube(["bathymetry", "salinity"], ZONES, resolution=5, monthly=True)


def test_cube_refuses_zones_below_the_data():
    deep = [SimpleNamespace(name="abyss", top=1000, bottom=4000)]
    with pytest.raises(UserError, match="1000-4000 m reaches below layer 'temperature'"):
        build_cube(["temperature"], deep, resolution=5, monthly=False)


def test_basin_mask_has_flags_and_refuses_positions_off_the_globe():
    mask = basin_mask(np.array([-70.0, 0.0, 36.0, 85.0]), np.array([-150.0, -25.0, 18.0, 80.0]))
    names = dict(zip(mask.attrs["flag_values"], mask.attrs["flag_meanings"].split(), strict=True))
    found = [[names[v] for v in row] for row in mask.values]
    assert found[0] == ["southern_ocean"] * 4 and found[3] == ["arctic_ocean"] * 4
    assert found[1][0] == "pacific_ocean" and found[1][1] == "atlantic_ocean" and found[1][3] == "indian_ocean"
    assert found[2][2] == "mediterranean_sea"
    with pytest.raises(UserError, match=r"\(0, 200\) lies in no basin"):
        basin_mask(np.array([0.0]), np.array([200.0]))
