"""Areas, longitudes, thickness and blocks of regular grids."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aqqua_dist.core import divisions, grid
from aqqua_dist.core.errors import UserError

RESOLUTIONS = st.sampled_from([0.5, 1.0, 1.25, 2.0, 2.5, 5.0, 7.5, 10.0, 30.0])
ANGLES = st.floats(-180, 360, allow_nan=False)


@settings(deadline=None)
@given(st.integers(1, 720).map(lambda rows: 180 / rows) | RESOLUTIONS, st.sampled_from([6371.0072, 6378.137]))
def test_areas_add_up_to_the_sphere(resolution, radius):
    """At every resolution that divides 180; a single row is refused, since a step needs two centres."""
    if resolution == 180:
        with pytest.raises(UserError, match="must ascend in even steps"):
            grid.cell_area(*grid.regular_grid(resolution), radius)
        return
    area = grid.cell_area(*grid.regular_grid(resolution), radius)
    assert float(area.sum()) == pytest.approx(4 * np.pi * (radius * 1e3) ** 2, rel=1e-12)


def test_area_of_the_ellipsoid():
    """The default sphere has the surface of WGS 84, 510 065 621.7 km2."""
    assert float(grid.cell_area(*grid.regular_grid(10)).sum()) / 1e6 == pytest.approx(510_065_621.7, rel=1e-6)


def test_area_of_one_cell_by_hand():
    """(pi/180) R^2 |sin(lat - 1/2) - sin(lat + 1/2)|, the formula of Drago et al. (2022)."""
    area = grid.cell_area(*grid.regular_grid(1), 6378.137).sel(lat=45.5, lon=0.5)
    expected = np.pi / 180 * 6378137.0**2 * (np.sin(np.radians(46)) - np.sin(np.radians(45)))
    assert float(area) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("name", "cells", "area"), [("0_200m", 39_698, 3.402762e14), ("200_500m", 37_397, 3.274041e14)]
)
def test_area_of_the_published_domains(data_root, name, cells, area):
    table = pd.read_csv(data_root / "drago2022" / f"env_grid_{name}.csv.gz", usecols=["lat", "lon"])
    ours = grid.cell_area(*grid.regular_grid(1), 6378.137)
    summed = float(
        ours.sel(lat=table["lat"].to_xarray(), lon=table["lon"].to_xarray(), method="nearest", tolerance=1e-6).sum()
    )
    assert len(table) == cells
    assert summed == pytest.approx(area, rel=1e-6)


@given(RESOLUTIONS)
def test_centres_ascend_and_fill_the_globe(resolution):
    lat, lon = grid.regular_grid(resolution)
    assert (lat.size, lon.size) == (round(180 / resolution), round(360 / resolution))
    assert lat[0] - resolution / 2 == pytest.approx(-90)
    assert lon[-1] + resolution / 2 == pytest.approx(180)
    assert np.diff(lat) == pytest.approx(resolution)


@pytest.mark.parametrize("resolution", [0, -1, 0.7, 400])
def test_a_resolution_that_does_not_divide_is_refused(resolution):
    with pytest.raises(UserError, match="does not divide 180"):
        grid.regular_grid(resolution)


@settings(deadline=None)
@given(ANGLES | st.floats(-720, 720))
@example(np.nextafter(-180, -200))
def test_longitude_is_wrapped_once(lon):
    wrapped = grid.wrap_longitude(lon)
    assert -180 <= wrapped < 180
    assert grid.wrap_longitude(wrapped) == wrapped
    assert np.cos(np.radians(wrapped - lon)) == pytest.approx(1)


def test_longitude_check_values():
    assert grid.wrap_longitude([0, 180, 190, 359.5, 360, -180]).tolist() == [0, -180, -170, -0.5, 0, -180]


@given(st.floats(0, 5000), st.floats(1, 2000), st.lists(st.floats(0, 11000), min_size=1, max_size=6))
def test_thickness_never_leaves_the_zone(top, height, floors):
    bathymetry = xr.DataArray([*floors, np.nan], dims="lat")
    clipped = grid.zone_thickness(top, top + height, bathymetry, True)
    known = clipped[:-1]
    assert ((known >= 0) & (known <= height * (1 + 1e-9) + 1e-9)).all()
    assert np.isnan(clipped[-1])
    assert (grid.zone_thickness(top, top + height, bathymetry, False) == top + height - top).all()


def test_thickness_by_hand():
    floor = xr.DataArray([50.0, 200.0, 350.0, 4000.0], dims="lat")
    assert grid.zone_thickness(0, 200, floor, True).to_numpy().tolist() == [50, 200, 200, 200]
    assert grid.zone_thickness(200, 500, floor, True).to_numpy().tolist() == [0, 0, 150, 300]
    assert grid.zone_thickness(200, 500, floor, False).to_numpy().tolist() == [300] * 4
    with pytest.raises(UserError, match="500-200"):
        grid.zone_thickness(500, 200, floor, True)


@given(st.floats(-90, 90), st.integers(-180 * 16, 360 * 16), st.sampled_from([1.0, 5.0, 10.0, 30.0]))
def test_blocks_close_at_the_dateline(lat, sixteenths, size):
    lon = sixteenths / 16  # exact in binary, so that 360 degrees less is the same place
    one, same = grid.block_id([lat, lat], [lon, lon - 360 if lon > 180 else lon], size)
    assert one == same
    assert grid.block_id([lat], [-180.0], size) == grid.block_id([lat], [180.0], size)


@given(st.floats(-85, 85), st.floats(-180, 179.9), st.sampled_from([5.0, 10.0]))
def test_blocks_are_about_as_wide_as_high(lat, lon, size):
    around = np.arange(-180, 180, 0.01)
    ids = grid.block_id(np.full(around.size, lat), around, size)
    width = 360 / len(np.unique(ids)) * np.cos(np.radians(lat))
    assert 0.4 * size < width < 2.6 * size
    assert grid.block_id([lat], [lon], size)[0] in ids


@settings(deadline=None)
@given(st.integers(0, 17), st.lists(st.floats(0, 9.9), min_size=2, max_size=5))
def test_a_block_is_one_piece_and_the_same_all_over(row, heights):
    """Along a row the id changes only at the edges of 360 / n degrees, n by hand, and not with latitude inside the row."""
    count = max(1, round(36 * np.cos(np.radians(-85 + 10 * row))))
    lon = (np.arange(count * 8) + 0.5) * 360 / (count * 8) - 180
    ids = np.array([grid.block_id(np.full(lon.size, -90 + 10 * row + height), lon, 10) for height in heights])
    assert (ids == ids[0]).all()
    assert (ids[0].reshape(count, 8) == ids[0][::8, None]).all()
    assert len(np.unique(ids)) == count


def test_numbers_of_blocks_by_hand():
    """10 degrees: three blocks near the pole (36 cos 85), 36 at the equator; a western edge belongs to its block."""
    south = grid.block_id([-85.0] * 5, [-180.0, -60.1, -60.0, 59.9, 179.9], 10)
    assert south.tolist() == [0, 0, 1, 1, 2]
    assert grid.block_id([0.0, 9.9, 10.0], [0.0, 9.9, -0.1], 10).tolist() == [90018, 90018, 100017]
    assert grid.block_id([90.0], [0.0], 7).tolist() == [250000]  # the pole cuts the last row: 360 cos 88.5 / 7 = 1.3


def test_two_centres_are_a_grid_and_one_is_none():
    assert float(grid.cell_area([-45.0, 45.0], [-90.0, 90.0], 1.0).sum()) == pytest.approx(4e6 * np.pi)
    with pytest.raises(UserError, match="lat must ascend in even steps"):
        grid.cell_area([0.0], [-90.0, 90.0])


def test_blocks_at_the_pole_are_as_wide_as_at_89_9_degrees():
    """Of 0.1 degrees: 3600 cos 89.9 = 6.3 blocks, and not the 3 of the middle of the row at 89.95."""
    lon = np.arange(-180, 180, 1.0)
    assert len(np.unique(grid.block_id(np.full(360, 89.96), lon, 0.1))) == 6


def test_nearest_index_at_the_edges():
    lat, lon = grid.regular_grid(10)
    assert grid.nearest_index(lat, [-90, -80.1, -80, 0, 89.9, 90]).tolist() == [0, 0, 1, 9, 17, 17]
    assert grid.nearest_index(lon, [-180, 179.99, -0.01, 0]).tolist() == [0, 35, 17, 18]
    assert grid.nearest_index(lat, [90.1, -90.1, np.nan]).tolist() == [-1, -1, -1]


@given(st.floats(-90, 90), RESOLUTIONS)
def test_nearest_index_is_the_nearest_centre(lat, resolution):
    centres, _ = grid.regular_grid(resolution)
    index = int(grid.nearest_index(centres, [lat])[0])
    assert abs(centres[index] - lat) <= resolution / 2 + 1e-9


def test_latitude_bands_by_hand():
    bands = grid.latitude_bands([-90, -35, -10, -0.1, 0, 9.9, 10, 90], 10)
    assert bands.tolist() == ["90S-80S", "40S-30S", "10S-0", "10S-0", "0-10N", "0-10N", "10N-20N", "80N-90N"]
    with pytest.raises(UserError, match="7 degrees does not divide 90"):
        grid.latitude_bands([0], 7)


@pytest.mark.parametrize("lat", [[10.0, 0.0, -10.0], [0.0], [0.0, 1.0, 5.0]])
def test_uneven_or_descending_centres_are_refused(lat):
    with pytest.raises(UserError, match="must ascend in even steps"):
        grid.cell_area(lat, [0.0, 1.0])


@pytest.mark.parametrize(
    ("written", "rows"),
    [(0.0833333, 2160), (0.083333333, 2160), (0.333333, 540), (0.6666667, 270), (0.25, 720), (1 / 12, 2160)],
)
def test_a_resolution_of_seven_digits_is_its_fraction(written, rows):
    assert divisions.whole_rows(written) == rows
    lat, lon = grid.regular_grid(written)
    assert (lat.size, lon.size) == (rows, 2 * rows)
    assert lat[0] == -90 + 90 / rows


@pytest.mark.parametrize("written", [0.0833, 0.08334, 0.33, 0.2501])
def test_a_resolution_of_four_digits_is_not_guessed(written):
    with pytest.raises(UserError, match="does not divide 180 degrees.*1/12"):
        grid.regular_grid(written)


@pytest.mark.parametrize("resolution", [0.5, 10.0])
def test_nodes_begin_at_the_pole_and_their_areas_add_up_to_the_sphere(resolution):
    lat, lon = grid.regular_grid(resolution, lat_nodes=True, lon_nodes=True)
    assert (lat[0], lat[-1], lon[0], lon[-1]) == (-90, 90, -180, 180 - resolution)
    assert float(grid.cell_area(lat, lon).sum()) == pytest.approx(4 * np.pi * 6371007.2**2, rel=1e-12)


def test_positions_beyond_the_last_node_lie_in_the_first_cell():
    _, lon = grid.regular_grid(10, lon_nodes=True)
    assert grid.nearest_index(lon, [174.9, 175.1, 179.9, -180, -175.1, np.nan], cyclic=True).tolist() == [
        35,
        0,
        0,
        0,
        0,
        -1,
    ]
    assert grid.nearest_index(lon, [175.1]).tolist() == [-1]
    assert grid.nearest_index([0.0, 1.0, 2.0], [2.6, -0.6], cyclic=True).tolist() == [-1, -1]  # a region goes not round


def test_what_is_missing_stays_missing():
    """Unknown is never -180, nor a block of its own."""
    assert np.isnan(grid.wrap_longitude(np.nan))
    assert grid.wrap_longitude([10.0, np.nan, 190.0])[[0, 2]].tolist() == [10.0, -170.0]
    for lat, lon, shown in (
        ([np.nan, 1], [0, 0], "latitude nan at position 0 is not in"),
        ([0, 1], [0, np.nan], "longitude nan at position 1 is not a finite number; 1 such"),
        ([0, 91], [0, 0], "latitude 91.0 at position 1"),
        ([0.0], [np.inf], "longitude inf at position 0"),
    ):
        with pytest.raises(UserError, match=shown):
            grid.block_id(lat, lon, 10)
    with pytest.raises(UserError, match="latitude nan at position 1"):
        grid.latitude_bands([0.0, np.nan], 10)


@pytest.mark.parametrize("radius_km", [6371.0072, 6378.137])
@pytest.mark.parametrize("nodes", [False, True])
def test_the_sphere_is_found_from_its_areas(radius_km, nodes):
    area = grid.cell_area(*grid.regular_grid(2, lat_nodes=nodes), radius_km)
    assert grid.sphere_radius(area) == pytest.approx(radius_km * 1e3, rel=1e-12)


@pytest.mark.parametrize("resolution", ["1", None, [1.0], float("nan")])
def test_a_resolution_that_is_no_number_is_refused(resolution):
    with pytest.raises(UserError, match="does not divide 180 degrees"):
        grid.regular_grid(resolution)
