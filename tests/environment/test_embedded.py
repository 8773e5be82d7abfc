"""The embedded climatology, coastline and basins against independent data."""

import importlib.util
import json

import numpy as np
import pytest
import shapely
import xarray as xr

from aqqua_dist.core import grid
from aqqua_dist.core.paths import package_data
from aqqua_dist.environment import catalogue, zone_means
from aqqua_dist.environment.regions import basin_mask


@pytest.fixture(scope="module")
def climatology():
    with xr.open_dataset(package_data("climatology_2deg.nc")) as data:
        return data.load()


@pytest.fixture(scope="module")
def masks(data_root):
    with xr.open_dataset(data_root / "environment" / "masks_1deg.nc") as data:
        return data.load()


@pytest.fixture(scope="module")
def script(project_root):
    """Loads a build script by name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, project_root / "environmental_layers" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def at(layer, lat, lon):
    return float(layer.sel(lat=lat, lon=lon, method="nearest"))


def test_files_are_small():
    assert package_data("climatology_2deg.nc").stat().st_size < 5e6
    assert package_data("land_110m.geojson").stat().st_size < 4e5
    assert package_data("ocean_basins.geojson").stat().st_size < 1e4


def test_grid_and_conventions(climatology):
    lat, lon = grid.regular_grid(2.0)
    np.testing.assert_array_equal(climatology["lat"], lat)
    np.testing.assert_array_equal(climatology["lon"], lon)
    assert climatology["month"].values.tolist() == list(range(1, 13))
    assert climatology["depth"].attrs["positive"] == "down" and float(climatology["depth"][-1]) == 1000
    assert climatology.attrs["Conventions"].startswith("CF-1.")
    for name, layer in climatology.data_vars.items():
        assert {"units", "long_name", "source", "references"} <= set(layer.attrs), name
        assert layer.dtype == np.float32 and "scale_factor" not in layer.encoding, name


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("temperature", -2.11, 34),
        ("salinity", 4, 41),
        ("wind_speed", 0.5, 19),
        ("solar_radiation", 0, 320),
        ("bathymetry", 1, 7000),
        ("distance_to_coast", 5, 3700),
        ("wet_fraction", 0, 1),
    ],
)
def test_values_are_plausible(climatology, name, low, high):
    assert low <= float(climatology[name].min()) and float(climatology[name].max()) <= high


def test_sea_is_where_the_sea_is(climatology):
    floor = climatology["bathymetry"]
    for lat, lon in [
        (0, -150),
        (45, -30),
        (-50, 100),
        (35, 18),
        (43, 33),
        (60, -85),
        (85, 0),
        (20, 38),
        (-40, 179),
        (-40, -179),
    ]:
        assert np.isfinite(at(floor, lat, lon)), (lat, lon)
    for lat, lon in [
        (40, -100),
        (-10, -55),
        (20, 10),
        (-25, 133),
        (60, 100),
        (-80, 60),
        (42, 51),
        (47, -88),
        (72, -40),
        (29, 27),
    ]:
        assert np.isnan(at(floor, lat, lon)), (lat, lon)


def test_wet_area_and_mean_depth(climatology):
    floor = climatology["bathymetry"]
    area = grid.cell_area(floor["lat"], floor["lon"])
    assert float(area.where(floor.notnull()).sum()) == pytest.approx(3.62e14, rel=0.01)
    assert float((area * climatology["wet_fraction"]).sum()) == pytest.approx(3.62e14, rel=0.01)
    assert float(floor.weighted(area).mean()) == pytest.approx(3690, rel=0.01)


def test_wet_cells_have_values_except_the_black_sea(climatology):
    wet = climatology["bathymetry"].notnull()
    for name in ("wind_speed", "solar_radiation", "distance_to_coast"):
        assert bool((climatology[name].notnull() == wet).all()), name
    black = basin_mask(climatology["lat"], climatology["lon"]) == 7
    for name in ("temperature", "salinity"):
        surface = climatology[name].isel(depth=0)
        assert bool((surface.notnull() == (wet & ~black)).all()), name
        deep = climatology["bathymetry"] >= climatology["depth"]
        assert bool((climatology[name].notnull() | ~(deep & ~black)).all()), name


def test_no_seam_where_the_sources_begin(climatology):
    """Steps across 20 E and the dateline are like those beside them."""
    for name, limit in (("temperature", 2.0), ("salinity", 2.0), ("wind_speed", 2.0), ("solar_radiation", 2.0)):
        layer = climatology[name].isel(depth=0) if "depth" in climatology[name].dims else climatology[name]
        layer = (layer.mean("month") if "month" in layer.dims else layer).sel(lat=slice(-58, -36)).to_numpy()
        steps = np.nanmean(np.abs(np.roll(layer, -1, axis=1) - layer), axis=0)
        for edge in (19.0, 179.0):
            column = int((edge + 179) / 2)
            around = np.median(steps[np.arange(column - 8, column + 9) % 180])
            assert steps[column] < limit * around, (name, edge)


def test_gaps_that_were_filled_are_stated(climatology):
    for name in ("temperature", "salinity", "wind_speed", "solar_radiation"):
        filled, _, total = climatology[name].attrs["gaps_filled"].split()[:3]
        assert 0 < int(filled) < 0.25 * int(total)
        assert int(total) == int(climatology[name].notnull().sum())


@pytest.mark.parametrize(("name", "r", "rms"), [("temperature", 0.998, 0.6), ("salinity", 0.98, 0.2)])
def test_hydrography_agrees_with_world_ocean_atlas_2009(data_root, name, r, rms):
    with xr.open_dataset(data_root / "environment" / "env_annual_2deg_3d.nc") as data:
        other = zone_means.zone_mean(data[name].load(), 0, 200)
    ours = catalogue.load_layer(name)
    ours = zone_means.zone_mean(ours.mean("month") if "month" in ours.dims else ours, 0, 200)
    other = other.interp(lat=ours["lat"], lon=ours["lon"])
    both = (ours.notnull() & other.notnull()).to_numpy()
    a, b = ours.to_numpy()[both], other.to_numpy()[both]
    assert both.sum() > 9000
    assert np.corrcoef(a, b)[0, 1] >= r
    assert np.sqrt(np.mean((a - b) ** 2)) < rms


def test_surface_temperature_has_the_seasons_of_an_independent_product(data_root):
    with xr.open_dataset(data_root / "environment" / "env_monthly_1deg.nc") as data:
        other = data["sst"].load().coarsen(lat=2, lon=2).mean()
    ours = catalogue.load_layer("temperature").isel(depth=0)
    other = other.assign_coords(lat=ours["lat"], lon=ours["lon"])
    a, b = (x - x.mean("month") for x in (ours, other))
    both = (a.notnull() & b.notnull() & (other.min("month") > 2)).to_numpy()
    assert np.corrcoef(a.to_numpy()[both], b.transpose(*a.dims).to_numpy()[both])[0, 1] > 0.95
    assert abs(float((a - b).where(both).mean())) < 0.3


def test_bathymetry_agrees_with_the_masks(masks):
    floor = catalogue.load_layer("bathymetry")
    depth = (-masks["elevation"]).where(masks["elevation"] < 0).coarsen(lat=2, lon=2).mean()
    depth = depth.assign_coords(lat=floor["lat"], lon=floor["lon"])
    both = (floor.notnull() & depth.notnull()).to_numpy()
    assert np.corrcoef(floor.to_numpy()[both], depth.to_numpy()[both])[0, 1] > 0.995
    sea = (masks["elevation"] < 0).astype(float).coarsen(lat=2, lon=2).mean().to_numpy() >= 0.5
    assert (sea == floor.notnull().to_numpy()).mean() > 0.97


def test_solar_radiation_follows_the_sun(climatology):
    light = climatology["solar_radiation"]
    for lat, month in ((75, 12), (85, 1), (-75, 6)):
        assert float(light.sel(month=month).sel(lat=lat, method="nearest").max()) < 3, (lat, month)
    assert float(light.sel(month=6).sel(lat=slice(20, 40)).mean()) > 2 * float(
        light.sel(month=12).sel(lat=slice(30, 40)).mean()
    )
    assert 150 < float(light.weighted(np.cos(np.radians(light["lat"]))).mean()) < 190


def test_coastline_is_valid_land(climatology):
    collection = json.loads(package_data("land_110m.geojson").read_text())
    land = shapely.from_geojson(json.dumps(collection["features"][0]["geometry"]))
    assert shapely.is_valid(land) and land.bounds[0] >= -180 and land.bounds[2] <= 180 and land.bounds[1] >= -90
    lon, lat = np.meshgrid(climatology["lon"], climatology["lat"])
    shapely.prepare(land)
    dry = climatology["bathymetry"].isnull().to_numpy()
    assert (shapely.contains_xy(land, lon, lat) == dry).mean() > 0.95


def test_basins_tile_the_globe():
    features = json.loads(package_data("ocean_basins.geojson").read_text())["features"]
    shapes = [shapely.from_geojson(json.dumps(f["geometry"])) for f in features]
    assert len(shapes) == 7 and all(shapely.is_valid(s) for s in shapes)
    assert sum(s.area for s in shapes) == pytest.approx(360 * 180)
    assert shapely.union_all(shapes).area == pytest.approx(360 * 180)
    for resolution in (1.0, 2.0, 5.0):
        assert int(basin_mask(*grid.regular_grid(resolution)).min()) >= 1


def test_basins_agree_with_published_masks(masks):
    """RECCAP2's Southern Ocean has a moving limit; south of 60 S both agree."""
    ours = basin_mask(masks["lat"], masks["lon"])
    flags = dict(zip(ours.attrs["flag_meanings"].split(), ours.attrs["flag_values"], strict=True))
    woa, ours = masks["woa_basin"].to_numpy(), ours.to_numpy()
    share = {}
    for number, name in (
        (1, "atlantic_ocean"),
        (2, "pacific_ocean"),
        (3, "indian_ocean"),
        (4, "mediterranean_sea"),
        (6, "black_sea"),
        (11, "arctic_ocean"),
    ):
        share[name] = (ours[woa == number] == flags[name]).mean()
    assert min(share.values()) > 0.97, share
    assert all(share[name] > 0.99 for name in list(share)[:5]), share
    published = np.select([masks[n].to_numpy() > 0 for n in ("atlantic", "pacific", "indian", "arctic")], [1, 2, 3, 4])
    merged = np.where(ours == flags["mediterranean_sea"], 1, ours)
    assert (merged[published > 0] == published[published > 0]).mean() > 0.97
    polar = (masks["southern"].to_numpy() > 0) & (masks["lat"].to_numpy()[:, None] < -60)
    assert (ours[polar] == flags["southern_ocean"]).all()


def test_shipped_basins_are_what_the_script_draws(script):
    drawn = json.loads(json.dumps(script("build_basins").collection()))
    assert drawn == json.loads(package_data("ocean_basins.geojson").read_text())


def test_gaps_are_filled_from_the_same_basin_only(script):
    build = script("build_embedded")
    basin = np.ones((90, 180), dtype=int)
    basin[:, 90:] = 2
    values = np.full((2, 90, 180), np.nan)
    values[0, 45, 10], values[0, 45, 91], values[1, 45, 91] = 1.0, 2.0, 3.0
    count, farthest = build.fill(values, basin > 0, basin)
    np.testing.assert_allclose(values[0, :, :90], 1)
    np.testing.assert_allclose(values[:, :, 90:], np.array([2, 3])[:, None, None] * np.ones((1, 90, 90)))
    assert np.isnan(values[1, :, :90]).all()
    assert count == 3 * 90 * 90 - 3 and farthest > 15000


def test_sunlight_at_the_top_of_the_atmosphere(script):
    light = script("build_embedded").sunlight()
    assert np.average(light.mean(axis=0), weights=np.cos(np.radians(np.arange(-89, 90, 2)))) == pytest.approx(
        340, abs=1.5
    )
    assert light[11, -1] == light[5, 0] == 0 and light[11, 0] == pytest.approx(550, abs=15)


def test_regridding_of_the_build_script(script):
    build = script("build_embedded")
    lat, lon = np.arange(-89.5, 90, 2), np.arange(-179.5, 180, 2)
    wave = np.cos(np.radians(lon))[None] + lat[:, None] / 90
    found = build.bilinear(xr.DataArray(wave, dims=("lat", "lon"), coords={"lat": lat, "lon": lon}))
    expected = np.cos(np.radians(build.LON))[None] + build.LAT[:-1, None] / 90
    np.testing.assert_allclose(found[:-1], expected, atol=2e-3)
    one = np.arange(-89.5, 90)
    halved = build.halve(
        xr.DataArray(
            np.where(one[:, None] < 0, np.nan, 4.0) * np.ones((1, 1, 360)),
            dims=("depth", "lat", "lon"),
            coords={"lat": one},
        )
    )
    assert np.isnan(halved[0, :45]).all() and (halved[0, 45:] == pytest.approx(4))
    lonely = np.full((12, 90, 180), np.nan)
    lonely[:, 40, 20] = lonely[:, 60, 0] = lonely[:, 60, 179] = 5.0
    smooth = build.binomial(lonely)
    assert np.isnan(smooth[:, 40, 20]).all() and (smooth[:, 60, 0] == 5).all()
