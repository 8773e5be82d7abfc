"""World maps on an equal-area projection, and the print style of every figure.

Sizes are those of print (183 mm, two columns) and no text is below 7 pt.
Nothing is downloaded: the coastline is the package's own. Figures are made
without pyplot, so none stays open.
"""

import json
from functools import lru_cache

import cartopy.crs as ccrs
import numpy as np
import shapely
from matplotlib import colors, patheffects, ticker
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import nearest_index, wrap_longitude
from aqqua_dist.core.paths import package_data
from aqqua_dist.plots.style import BLACK, GREY, NORMAL, SMALL, degree_text, new_figure, number_text, panel_title

PROJECTION = ccrs.EqualEarth(central_longitude=-160)
"""Equal area (Savric et al. 2018, doi 10.1080/13658816.2018.1504949), cut at
20 degrees East through Africa, so that no ocean is cut."""
LAND, COAST, UNKNOWN = "#b9b4aa", "#6b675f", "#f4f4f4"


def global_map(field, *, label, axes=None, log=False, cmap="viridis", limits=None):
    """Map of the world, equal area, with land, graticule and colour bar.

    The field is looked up at every pixel: cells keep their outline, the dateline
    leaves no seam. Values outside the colours are shown by arrows on the bar.

    Parameters
    ----------
    field : xarray.DataArray
        Dims (lat, lon), regular; NaN where there is no estimate.
    label : str
        Of the colour bar, with the unit.
    axes : cartopy.mpl.geoaxes.GeoAxes, optional
        With the projection `PROJECTION`; default a new figure.
    log : bool
        Logarithmic colours; zeros are shown below the range.
    cmap : str
        Colour map that is safe for colour-blind readers.
    limits : tuple of (float, float), optional
        Colour range; default the central 98 % of the cells.

    Returns
    -------
    cartopy.mpl.geoaxes.GeoAxes
        Its ``colorbar`` is the colour bar.

    Raises
    ------
    UserError
        The field has no finite value, or none above zero where `log`.
    """
    values = field.transpose("lat", "lon").to_numpy()
    known = values[np.isfinite(values) & ((values > 0) | (not log))]
    if known.size == 0:
        raise UserError(
            f"{label}: {known.size} finite values{' above zero' if log else ''} to draw, at least 1 is needed."
        )
    axes = new_figure(105).add_subplot(projection=PROJECTION) if axes is None else axes
    low, high = limits or _limits(known, log)
    image = _sample(field, 1300 if _wide(axes) else 700)
    below, above = np.nanmin(values) < low, np.nanmax(values) > high
    if log:  # zeros have no logarithm but are estimates, not gaps
        image = np.where(image < low, np.float32(low * 0.999), image)
    norm = colors.LogNorm(low, high) if log else colors.Normalize(low, high)
    drawn = axes.imshow(
        np.ma.masked_invalid(image),
        origin="lower",
        extent=(*PROJECTION.x_limits, *PROJECTION.y_limits),
        transform=PROJECTION,
        cmap=cmap,
        norm=norm,
        interpolation="nearest",
        zorder=1,
    )
    _base(axes)
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        (bool(below), bool(above)), "neither"
    )
    bar = axes.figure.colorbar(
        drawn,
        ax=axes,
        orientation="horizontal",
        extend=extend,
        pad=0.03,
        shrink=0.6 if _wide(axes) else 0.8,
        aspect=40 if _wide(axes) else 30,
    )
    bar.set_ticks(
        _log_ticks(low, high) if log else ticker.MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    )
    bar.ax.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: number_text(value)))
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=SMALL, length=2.5)
    bar.ax.set_xlim(low, high)
    bar.set_label(label, fontsize=NORMAL)
    bar.outline.set_linewidth(0.5)
    axes.colorbar = bar
    return axes


def map_panel(fields, *, label, sites=None, title="", caption=""):
    """Best estimate, coefficient of variation and extrapolation of one target.

    Parameters
    ----------
    fields : xarray.Dataset
        Dims (lat, lon): ``estimate``, ``cv`` (%; or ``sd`` of an estimate
        that may be negative), ``dissimilarity_index`` and ``outside``, the
        share of months outside the area of applicability (0 or 1 if annual).
    label : str
        Quantity with its unit.
    sites : pandas.DataFrame, optional
        Columns ``lat, lon`` (degrees) of the training rows, drawn as dots on
        the third map.
    title, caption : str
        Above and below the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Three maps; cells mostly outside the area of applicability are hatched.

    Raises
    ------
    UserError
        The estimate has no finite value.
    """
    figure = new_figure(174, title, caption)
    figure.get_layout_engine().set(hspace=0.06)
    grid = figure.add_gridspec(2, 2, height_ratios=[1.75, 1])
    places = (grid[0, :], grid[1, 0], grid[1, 1])
    panels = [figure.add_subplot(place, projection=PROJECTION) for place in places]
    most, signed = _limits(np.abs(_finite(fields["estimate"])), False)[1], "sd" in fields
    look = {"cmap": "PuOr_r", "limits": (-most, most)} if signed else {"log": bool((fields["estimate"] > 0).any())}
    global_map(fields["estimate"], label=label, axes=panels[0], **look)
    for axes, name, text, colours in (
        (
            panels[1],
            *(("sd", f"standard deviation, {label}") if signed else ("cv", "coefficient of variation (%)")),
            "magma_r",
        ),
        (panels[2], "dissimilarity_index", "dissimilarity index (dimensionless)", "cividis_r"),
    ):
        global_map(
            fields[name], label=text, axes=axes, cmap=colours, limits=(0, _limits(_finite(fields[name]), False)[1])
        )
    texts = ("best estimate", "spread of the members", "where the model extrapolates")
    for axes, letter, text in zip(panels, "abc", texts, strict=True):
        panel_title(axes, f"{letter}   {text}")
        _hatch(axes, fields["outside"])
    handles = [
        Patch(
            facecolor="none", edgecolor=BLACK, hatch="/////", linewidth=0.5, label="outside the area of applicability"
        ),
        Patch(facecolor=UNKNOWN, edgecolor=BLACK, linewidth=0.5, label="not estimated"),
        Patch(facecolor=LAND, edgecolor=COAST, linewidth=0.5, label="land"),
    ]
    if sites is not None:
        spots = sites[["lon", "lat"]].drop_duplicates().to_numpy(dtype=float)
        x, y, _ = PROJECTION.transform_points(ccrs.PlateCarree(), *spots.T).T
        panels[2].plot(x, y, "o", color=BLACK, markersize=0.9, markeredgewidth=0, zorder=5)
        handles.append(
            Line2D([], [], color=BLACK, marker="o", markersize=2.5, linestyle="", label="training rows (in c)")
        )
    panels[0].legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.02, 1.0),
        ncols=len(handles),
        fontsize=SMALL,
        frameon=False,
        borderaxespad=0.3,
        handlelength=1.6,
        handletextpad=0.5,
        columnspacing=1.1,
    )
    return figure


def _wide(axes):
    """Whether a map stands alone in its row."""
    place = axes.get_subplotspec()
    return place is None or len(place.colspan) == place.get_gridspec().ncols


def _round(value, direction):
    """Next number of a series with steps of at most 1.5 below or above."""
    series = np.outer(10.0 ** np.arange(-1, 2), [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8]).ravel() * 10.0 ** np.floor(
        np.log10(value)
    )
    series = series[series <= value * 1.001] if direction < 0 else series[series >= value * 0.999]
    return float(f"{series[-1] if direction < 0 else series[0]:.3g}")


def _limits(known, log):
    low, high = np.quantile(known, [0.01, 0.99])
    if log:
        return _round(max(low, high / 1e4), -1), _round(max(high, low * 2), 1)
    low = low if low < 0 else 0.0
    return float(low), _round(high, 1) if high > 0 else 1.0


def _log_ticks(low, high):
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    leads = [1, 2, 5] if np.log10(high / low) <= 2.5 else [1]
    ticks = np.outer(10.0**decades, leads).ravel()
    ticks = ticks[(ticks > low * 1.35) & (ticks < high / 1.35)]
    return np.array([low, *ticks, high])


def _finite(field):
    values = field.to_numpy()
    return values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)


@lru_cache(maxsize=1)
def _land():
    """Land, and its coast without the edges of the map that the file has at the dateline."""
    features = json.loads(package_data("land_110m.geojson").read_text(encoding="utf-8"))["features"]
    land = shapely.union_all([shapely.geometry.shape(feature["geometry"]) for feature in features])
    return land, land.boundary.difference(shapely.box(-180, -90, 180, 90).boundary.buffer(1e-3))


def _base(axes):
    """Land, coast and graticule; its labels stand at the western edge and at the lower pole."""
    land, coast = _land()
    axes.set_global()
    axes.set_facecolor(UNKNOWN)
    axes.add_geometries([land], ccrs.PlateCarree(), facecolor=LAND, edgecolor=LAND, linewidth=0.3, zorder=3)
    axes.add_geometries([coast], ccrs.PlateCarree(), facecolor="none", edgecolor=COAST, linewidth=0.4, zorder=4)
    axes.spines["geo"].set_linewidth(0.5)
    west, along = PROJECTION.proj4_params["lon_0"] - 180, np.linspace(0.01, 359.99, 91)
    for lat in (-60, -30, 0, 30, 60):
        x, y = _project(west + along, np.full(91, lat))
        axes.plot(x, y, color=GREY, linewidth=0.3, alpha=0.5, zorder=2)
        _edge_text(axes, degree_text(lat, "SN"), (x[0], y[0]), (-3, 0))
    for lon in range(60, 361, 60):
        x, y = _project(np.full(91, lon), np.linspace(-90, 90, 91))
        axes.plot(x, y, color=GREY, linewidth=0.3, alpha=0.5, zorder=2)
        if _wide(axes) or lon % 120 == 60:
            _edge_text(axes, degree_text((lon + 180) % 360 - 180, "WE"), (x[0], y[0]), (0, -3))


def _project(lon, lat):
    return PROJECTION.transform_points(ccrs.PlateCarree(), np.asarray(lon, dtype=float), np.asarray(lat, dtype=float))[
        :, :2
    ].T


def _edge_text(axes, text, place, offset):
    left = offset[0] < 0
    axes.annotate(
        text,
        place,
        xytext=offset,
        textcoords="offset points",
        fontsize=SMALL,
        annotation_clip=False,
        ha="right" if left else "center",
        va="center" if left else "top",
    )


@lru_cache(maxsize=4)
def _positions(columns):
    """Positions of the pixels of a map: x, y in the projection, latitude and longitude."""
    (west, east), (south, north) = PROJECTION.x_limits, PROJECTION.y_limits
    rows = round(columns * (north - south) / (east - west))
    x = west + (east - west) * (np.arange(columns) + 0.5) / columns
    y = south + (north - south) * (np.arange(rows) + 0.5) / rows
    points = ccrs.PlateCarree().transform_points(PROJECTION, *np.meshgrid(x, y))
    points[~np.isfinite(points)] = np.nan
    return x, y, points[..., 1].astype("float32"), points[..., 0].astype("float32")


def _sample(field, columns):
    _, _, lat, lon = _positions(columns)
    values = field.transpose("lat", "lon").to_numpy().astype("float32")
    row = nearest_index(field["lat"].to_numpy(), lat.ravel())
    column = nearest_index(field["lon"].to_numpy(), wrap_longitude(lon.ravel()))
    image = np.where((row >= 0) & (column >= 0), values[row, column], np.float32(np.nan))
    return image.reshape(lat.shape)


def _hatch(axes, outside):
    """Diagonal lines where more than half is outside, dark within white so that they show on any colour."""
    columns = 900
    x, y, _, _ = _positions(columns)
    hatched = np.nan_to_num(_sample(outside, columns)) > 0.5
    step, rows = 12 if _wide(axes) else 20, len(y)
    lines = []
    for start in range(-rows, columns, step):
        row = np.arange(max(0, -start), min(rows, columns - start))
        kept = hatched[row, row + start]
        lines.append(np.column_stack([np.where(kept, x[row + start], np.nan), np.where(kept, y[row], np.nan)]))
        lines.append([[np.nan, np.nan]])
    path = np.concatenate(lines)
    if np.isfinite(path).any():
        white = patheffects.withStroke(linewidth=1.3, foreground="white", alpha=0.6)
        axes.plot(
            *path.T,
            color=BLACK,
            linewidth=0.5,
            zorder=2.5,
            solid_capstyle="butt",
            path_effects=[white],
            label="outside",
        )
