import cartopy.crs as ccrs
import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr
from cartopy.mpl.geoaxes import GeoAxes
from matplotlib import colors
from matplotlib.backends.backend_agg import FigureCanvasAgg

from aqqua_dist.core.errors import UserError
from aqqua_dist.plots import style, world_map
from aqqua_dist.plots.world_map import PROJECTION

LAT, LON = np.arange(-85.0, 90, 10), np.arange(-175.0, 180, 10)


def field(values=None, name="carbon_biomass"):
    data = (
        np.add.outer(LAT + 100, LON / 1000)
        if values is None
        else np.broadcast_to(values, (LAT.size, LON.size)).astype(float)
    )
    return xr.DataArray(data, dims=("lat", "lon"), coords={"lat": LAT, "lon": LON}, name=name)


def project(lon, lat):
    return PROJECTION.transform_points(
        ccrs.PlateCarree(), np.atleast_1d(lon).astype(float), np.atleast_1d(lat).astype(float)
    )[:, :2]


def value_at(axes, lon, lat):
    """Value of the drawn image at positions; NaN where it is masked."""
    image = axes.get_images()[0]
    west, east, south, north = image.get_extent()
    data = np.ma.filled(image.get_array(), np.nan)
    x, y = project(lon, lat).T
    column = ((x - west) / (east - west) * data.shape[1]).astype(int)
    row = ((y - south) / (north - south) * data.shape[0]).astype(int)
    return data[row, column]


def colour_at(axes, lon, lat):
    """Colour of the rendered figure at one position."""
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    x, y = axes.transData.transform(project(lon, lat))[0]
    image = np.asarray(canvas.buffer_rgba())
    return colors.to_hex(image[image.shape[0] - 1 - int(y), int(x)] / 255)


@pytest.mark.parametrize(
    "units, text",
    [
        ("mg m-3", "mg m⁻³"),
        ("m-3", "m⁻³"),
        ("mm3 m-3", "mm³ m⁻³"),
        ("umol kg-1", "µmol kg⁻¹"),
        ("degree_Celsius", "°C"),
        ("1", ""),
        ("", ""),
    ],
)
def test_unit_text(units, text):
    assert style.unit_text(units) == text
    assert style.axis_text("name", units) == (f"name ({text})" if text else "name")


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (0.02, "0.02"),
        (1000, "1000"),
        (1e-5, "10⁻⁵"),
        (2.5e-5, "2.5×10⁻⁵"),
        (1e6, "10⁶"),
        (-3e-7, "−3×10⁻⁷"),
        (-2, "−2"),
    ],
)
def test_number_text(value, text):
    assert style.number_text(value) == text


def test_number_text_rounds():
    assert [style.number_text(v, 2) for v in (123456789.0, 0.0123, 248.0)] == ["1.2×10⁸", "0.012", "250"]


@pytest.mark.parametrize(
    "value, letters, text",
    [
        (-30, "SN", "30°S"),
        (60.0, "SN", "60°N"),
        (0, "SN", "0°"),
        (-180, "WE", "180°"),
        (120, "WE", "120°E"),
        (-60, "WE", "60°W"),
    ],
)
def test_degree_text(value, letters, text):
    assert style.degree_text(value, letters) == text


def test_projection_is_equal_area():
    ellipsoid, along = pyproj.Geod(ellps="WGS84"), np.linspace(0, 1, 200)
    ratios = []
    for west, south in [
        (-150, -80),
        (-60, -40),
        (30, 0),
        (100, 50),
        (160, 70),
    ]:  # cells of 10 degrees from the tropics to the poles
        lon = np.concatenate([west + 10 * along, np.full(200, west + 10), west + 10 - 10 * along, np.full(200, west)])
        lat = np.concatenate(
            [np.full(200, south), south + 10 * along, np.full(200, south + 10), south + 10 - 10 * along]
        )
        x, y = project(lon, lat).T
        flat = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
        ratios.append(flat / abs(ellipsoid.polygon_area_perimeter(lon, lat)[0]))
    np.testing.assert_allclose(ratios, 1, rtol=2e-3)


def test_map_shows_each_cell():
    shown, (lon, lat) = field(), np.meshgrid(LON, LAT[1:-1])
    axes = world_map.global_map(shown, label="carbon biomass (mg m⁻³)")
    np.testing.assert_allclose(value_at(axes, lon.ravel(), lat.ravel()), shown.to_numpy()[1:-1].ravel(), rtol=1e-6)
    np.testing.assert_allclose(
        value_at(axes, [179.5, -179.5], [-5, -5]), shown.sel(lat=-5).isel(lon=[-1, 0]), rtol=1e-6
    )
    assert axes.projection == PROJECTION
    assert axes.colorbar.ax.get_xlabel() == "carbon biomass (mg m⁻³)"


def test_cells_without_estimate_are_neither_land_nor_a_value():
    shown = field().where(field().lon < -100)
    axes = world_map.global_map(shown, label="x")
    assert np.isnan(value_at(axes, [-35, 75], [-35, -25])).all()
    ocean, sahara, covered = colour_at(axes, -35, -35), colour_at(axes, 5, 22), colour_at(axes, -130, -35)
    assert (ocean, sahara) == (world_map.UNKNOWN, world_map.LAND)
    assert covered not in (ocean, sahara)
    light, dark = (np.mean(colors.to_rgb(c)) for c in (world_map.UNKNOWN, world_map.LAND))
    assert light - dark > 0.2


def test_log_map_keeps_zeros_as_estimates():
    shown = field()
    shown[:, 5] = 0.0
    axes = world_map.global_map(shown, label="x", log=True)
    norm, below = axes.get_images()[0].norm, value_at(axes, [LON[5]], [-5])[0]
    assert isinstance(norm, colors.LogNorm)
    assert 0 < below < norm.vmin
    assert axes.colorbar.extend in ("min", "both")


def test_limits_are_kept_and_exceeded_by_arrows():
    axes = world_map.global_map(field(), label="x", limits=(20, 50))
    assert (axes.get_images()[0].norm.vmin, axes.get_images()[0].norm.vmax) == (20, 50)
    assert axes.colorbar.extend == "both"
    whole = world_map.global_map(field(), label="x", limits=(0, 200))
    assert whole.colorbar.extend == "neither"


@pytest.mark.parametrize(
    "values, log, words", [(np.nan, False, "0 finite values"), (0.0, True, "0 finite values above zero")]
)
def test_nothing_to_draw(values, log, words):
    with pytest.raises(UserError, match=words):
        world_map.global_map(field(values), label="carbon biomass", log=log)


def test_a_field_of_zeros_is_drawn():
    axes = world_map.global_map(field(0.0), label="x")
    assert value_at(axes, [-150], [-5]) == 0


def panel(outside):
    fields = xr.Dataset({"estimate": field(), "cv": field(20.0), "dissimilarity_index": field(0.3), "outside": outside})
    sites = pd.DataFrame({"lat": [-5.0, -5.0, 35.0], "lon": [-150.0, -150.0, -40.0]})
    return world_map.map_panel(
        fields, label="carbon biomass (mg m⁻³)", sites=sites, title="Copepoda", caption="a, estimate."
    )


def outside_lines(figure):
    maps = [axes for axes in figure.axes if isinstance(axes, GeoAxes)]
    return [line.get_xydata() for axes in maps for line in axes.lines if line.get_label() == "outside"]


def test_map_panel():
    figure = panel(field((LAT < -40)[:, None]))
    maps = [axes for axes in figure.axes if isinstance(axes, GeoAxes)]
    assert [axes.projection for axes in maps] == [PROJECTION] * 3
    assert [axes.colorbar.ax.get_xlabel() for axes in maps] == [
        "carbon biomass (mg m⁻³)",
        "coefficient of variation (%)",
        "dissimilarity index (dimensionless)",
    ]
    assert [axes.get_title(loc="left")[0] for axes in maps] == ["a", "b", "c"]
    assert figure.get_figwidth() * 25.4 == pytest.approx(183)
    dots = [line for line in maps[2].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(np.sort(dots[0].get_xydata(), axis=0), np.sort(project([-150, -40], [-5, 35]), axis=0))
    labels = [text.get_text() for text in maps[0].get_legend().get_texts()]
    assert labels == ["outside the area of applicability", "not estimated", "land", "training rows (in c)"]


def test_only_the_outside_is_hatched():
    figure = panel(field((LAT < -40)[:, None]))
    lines = outside_lines(figure)
    assert len(lines) == 3
    for path in lines:
        points = path[np.isfinite(path).all(axis=1)]
        lat = ccrs.PlateCarree().transform_points(PROJECTION, *points.T)[:, 1]
        assert lat.max() < -40 + 0.5
        assert lat.min() < -85


def test_nothing_is_hatched_where_all_is_inside():
    assert outside_lines(panel(field(0.0))) == []
    assert outside_lines(panel(field(0.5))) == [], "exactly half is not most"


def test_title_and_caption_take_no_room_from_the_panels():
    figure = style.new_figure(100, "A title " * 20, "A caption " * 40)
    axes = figure.add_subplot()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    title, caption = (text.get_window_extent() for text in figure.texts)
    panel_box = axes.get_tightbbox()
    assert caption.y1 <= panel_box.y0 and panel_box.y1 <= title.y0
    assert caption.y0 >= 0 and title.y1 <= figure.bbox.height and max(caption.x1, title.x1) <= figure.bbox.width
