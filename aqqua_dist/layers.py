"""Environmental layers: the catalogue, zone means, and the cube of a study."""

import difflib
import json
from typing import Annotated

import numpy as np
import shapely
import xarray as xr
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aqqua_dist import grid
from aqqua_dist.errors import UserError
from aqqua_dist.paths import package_data, shipped

Text = Annotated[str, Field(min_length=1)]


class Layer(BaseModel):
    """Catalogue entry of one environmental layer; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: Text
    source: Text
    file: Annotated[str, Field(pattern=r"^[^/\\]+\.nc$")]
    variable: Text
    units: Text
    dims: Annotated[list[Text], Field(min_length=2)]
    citation: Text
    licence: Text
    traps: list[Text] = []


def catalogue():
    """All layers of the catalogue.

    Returns
    -------
    dict of str to Layer
        Entries of ``environmental_layers/catalogue``, sorted by name.

    Raises
    ------
    UserError
        If an entry is not valid, or its file is not named after it.
    """
    entries = [read_entry(path) for path in sorted((shipped("environmental_layers") / "catalogue").glob("*.yaml"))]
    return {entry.name: entry for entry in entries}


def read_entry(path):
    """One catalogue entry.

    Parameters
    ----------
    path : pathlib.Path
        YAML file ``<name>.yaml``.

    Returns
    -------
    Layer
        Checked entry.

    Raises
    ------
    UserError
        With every fault: key, what is wrong, and the value.
    """
    try:
        entry = Layer.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: the catalogue entry is not YAML: {' '.join(str(error).split())}.") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'entry'}: {e['msg']} (found {e['input']!r})" for e in error.errors())
        raise UserError(f"{path}: the catalogue entry has faults: {faults}.") from None
    if entry.name != path.stem:
        raise UserError(f"{path}: name {entry.name!r} differs from the file name, which must be {entry.name}.yaml.")
    return entry


def catalogue_readme():
    """Text of ``environmental_layers/README.md``, made from the catalogue.

    Returns
    -------
    str
        Markdown with one table row per layer, and the traps.
    """
    entries = catalogue().values()
    head = ["name", "title", "units", "dims", "source", "citation", "licence"]
    rows = [[f"`{e.name}`", e.title, e.units, ", ".join(e.dims), e.source, e.citation, e.licence] for e in entries]
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    traps = [f"* `{e.name}`: {trap}" for e in entries for trap in e.traps]
    return "\n".join([
        "# Environmental layers", "",
        "Made from `catalogue/*.yaml`; do not edit, run `python environmental_layers/make_readme.py`.", "",
        *lines, "", "## Traps", "", *traps, "", "## How the embedded files are made", "",
        "`build_embedded.py` (climatology), `build_coastline.py` (coastline) and `build_basins.py` (ocean basins) say",
        "where their sources come from, and how each field is regridded and its gaps are filled.", ""])


def load_layer(name):
    """A layer as it is stored, with its attributes.

    Parameters
    ----------
    name : str
        Name in the catalogue.

    Returns
    -------
    xarray.DataArray
        Dims ([month], [depth], lat, lon); lat and lon ascend; NaN on land.

    Raises
    ------
    UserError
        If the catalogue has no such layer.
    """
    entries = catalogue()
    if name not in entries:
        near = difflib.get_close_matches(str(name), entries, n=3, cutoff=0.5)
        hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        raise UserError(f"layer {name!r} is not in the catalogue{hint}; choose from {', '.join(entries)}.")
    entry = entries[name]
    with xr.open_dataset(package_data(entry.file)) as data:
        layer = data[entry.variable].load()
    if layer.dims != tuple(entry.dims) or layer.attrs.get("units") != entry.units:
        raise UserError(
            f"layer {name!r}: {entry.file} holds dims {layer.dims} in {layer.attrs.get('units')!r}, "
            f"its catalogue entry says {tuple(entry.dims)} in {entry.units!r}.")
    return layer.rename(name)


def zone_mean(layer, top, bottom, *, coverage=0.0):
    """Thickness-weighted mean over a depth zone.

    The profile is the linear interpolant between standard levels, integrated
    exactly, over those parts of the zone where both neighbouring levels have
    a value. Where the zone holds a valid level but no such part (one level
    above the sea floor), that level stands for it, if `coverage` is 0.

    Parameters
    ----------
    layer : xarray.DataArray
        With dim ``depth`` (m, positive down, ascending).
    top, bottom : float
        Zone limits (m, positive down).
    coverage : float
        Share of the zone's thickness, in [0, 1], that needs data; below it
        the mean is missing. With 0 any data suffice, which suits a
        climatology that ends at the sea floor.

    Returns
    -------
    xarray.DataArray
        Without ``depth``; units of `layer`.

    Raises
    ------
    UserError
        If the limits are not ordered, `coverage` is outside [0, 1], or the
        layer's levels do not reach `bottom`.
    """
    depth = _checked_levels(layer, top, bottom, coverage)
    values = layer.transpose("depth", ...).to_numpy().astype("float64")
    total, covered = np.zeros(values.shape[1:]), np.zeros(values.shape[1:])
    for k in range(depth.size - 1):
        start, stop = max(top, depth[k]), min(bottom, depth[k + 1])
        if stop <= start:
            continue
        share = ((start + stop) / 2 - depth[k]) / (depth[k + 1] - depth[k])
        middle = values[k] * (1 - share) + values[k + 1] * share
        known = np.isfinite(middle)
        total += np.where(known, middle * (stop - start), 0.0)
        covered += np.where(known, stop - start, 0.0)
    mean = np.divide(total, covered, out=np.full(total.shape, np.nan), where=covered > 0)
    inside = values[(depth >= top) & (depth < bottom)]
    if inside.size:
        counted = np.isfinite(inside).sum(axis=0)
        single = np.divide(np.nansum(inside, axis=0), counted, out=np.full(total.shape, np.nan), where=counted > 0)
        mean = np.where(covered > 0, mean, single)
    mean = np.where(covered >= coverage * (bottom - top) * (1 - 1e-9), mean, np.nan)
    template = layer.isel(depth=0, drop=True)
    return template.copy(data=mean.astype(layer.dtype))


def _checked_levels(layer, top, bottom, coverage):
    if "depth" not in layer.dims:
        raise UserError(f"layer {layer.name!r} has dims {layer.dims}; a zone mean needs 'depth'.")
    if not 0 <= top < bottom:
        raise UserError(f"zone {top}-{bottom} m must satisfy 0 <= top < bottom.")
    if not 0 <= coverage <= 1:
        raise UserError(f"coverage {coverage} is a share of the zone and must lie in [0, 1].")
    depth = layer["depth"].to_numpy().astype("float64")
    if depth.size < 2 or (np.diff(depth) <= 0).any():
        raise UserError(f"levels of layer {layer.name!r} must ascend and be at least two, but are {depth[:5]}.")
    if bottom > depth[-1]:
        raise UserError(f"zone {top:g}-{bottom:g} m reaches below layer {layer.name!r}, which ends at {depth[-1]:g} m.")
    return depth


def interpolate(layer, lat, lon):
    """A global layer on another regular grid.

    Bilinear onto a grid that is as fine or finer, area mean onto a coarser
    one; cyclic in longitude. Only valid cells count, so that a coast is
    reached from the sea; a target without any stays missing.

    Parameters
    ----------
    layer : xarray.DataArray
        Dims (..., lat, lon), global and regular.
    lat, lon : array_like
        Target centres (degrees), ascending and regular.

    Returns
    -------
    xarray.DataArray
        Dims (..., lat, lon); units of `layer`.
    """
    lat, lon = np.asarray(lat, dtype="float64"), np.asarray(lon, dtype="float64")
    layer = layer.transpose(..., "lat", "lon")
    old_lat, old_lon = layer["lat"].to_numpy().astype("float64"), layer["lon"].to_numpy().astype("float64")
    if lat.shape == old_lat.shape and lon.shape == old_lon.shape and np.allclose(lat, old_lat) and np.allclose(lon, old_lon):
        return layer.assign_coords(lat=lat, lon=lon)
    if old_lon.size * (old_lon[1] - old_lon[0]) < 359.9:
        raise UserError(f"layer {layer.name!r} spans longitudes {old_lon[0]:g} to {old_lon[-1]:g}; it must be global.")
    rows = _weights(np.sin, old_lat, lat, cyclic=False)
    columns = _weights(np.asarray, old_lon, lon, cyclic=True)
    values = layer.to_numpy().astype("float64")
    known = np.isfinite(values)
    total = rows @ np.where(known, values, 0.0) @ columns.T
    weight = rows @ known.astype("float64") @ columns.T
    found = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 1e-9)
    coords = {d: layer.coords[d] for d in layer.dims[:-2] if d in layer.coords}
    return xr.DataArray(
        found.astype(layer.dtype), dims=layer.dims, coords=coords | {"lat": lat, "lon": lon}, name=layer.name,
        attrs=layer.attrs)


def _weights(measure, old, new, *, cyclic):
    """Matrix (new, old) along one axis: linear, or overlap onto coarser cells."""
    step, wide = old[1] - old[0], new[1] - new[0]
    if wide <= step * 1.001:
        place = (new - old[0]) / step
        if not cyclic:
            place = np.clip(place, 0, old.size - 1)
        matrix = np.zeros((new.size, old.size))
        low = np.floor(place).astype(int)
        for index, share in ((low, 1 - (place - low)), (low + 1, place - low)):
            index = index % old.size if cyclic else np.minimum(index, old.size - 1)
            np.add.at(matrix, (np.arange(new.size), index), share)
        return matrix
    edges = [np.radians(np.stack([c - s / 2, c + s / 2])) for c, s in ((old, step), (new, wide))]
    matrix = 0.0
    for turn in (-2 * np.pi, 0.0, 2 * np.pi) if cyclic else (0.0,):
        south = np.maximum(edges[0][0] + turn, edges[1][0][:, None])
        north = np.maximum(np.minimum(edges[0][1] + turn, edges[1][1][:, None]), south)
        matrix = matrix + measure(north) - measure(south)
    return matrix / matrix.sum(axis=1, keepdims=True)


def basin_mask(lat, lon):
    """Ocean basin of each cell centre.

    The limits are written in ``environmental_layers/build_basins.py``: Arctic
    north of the Arctic Circle, Southern Ocean south of 60 S, and so on.

    Parameters
    ----------
    lat, lon : array_like
        Cell centres (degrees), lon in [-180, 180].

    Returns
    -------
    xarray.DataArray
        int8, dims (lat, lon), with ``flag_values`` and ``flag_meanings``;
        land, too, belongs to a basin.
    """
    lat, lon = np.asarray(lat, dtype="float64"), np.asarray(lon, dtype="float64")
    grid_lon, grid_lat = np.meshgrid(lon, lat)
    features = json.loads(package_data("ocean_basins.geojson").read_text(encoding="utf-8"))["features"]
    mask = np.zeros(grid_lon.shape, dtype="int8")
    for feature in features:
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
        shapely.prepare(shape)
        mask[(mask == 0) & shapely.intersects_xy(shape, grid_lon, grid_lat)] = feature["properties"]["flag"]
    if (mask == 0).any():
        row = int(np.argmax((mask == 0).ravel()))
        raise UserError(
            f"cell at ({grid_lat.ravel()[row]:g}, {grid_lon.ravel()[row]:g}) lies in no basin; "
            "latitudes must lie in [-90, 90] and longitudes in [-180, 180].")
    attrs = {
        "long_name": "ocean basin",
        "flag_values": np.array([f["properties"]["flag"] for f in features], dtype="int8"),
        "flag_meanings": " ".join(f["properties"]["name"] for f in features),
    }
    return xr.DataArray(mask, dims=("lat", "lon"), coords={"lat": lat, "lon": lon}, name="region_basin", attrs=attrs)


def build_cube(names, zones, *, resolution, monthly, clip=True, radius_km=grid.AUTHALIC_RADIUS_KM):
    """Predictors of a study on its grid and zones.

    Every predictor keeps the dims that it varies along: zone means of
    layers with depth ([month], zone, lat, lon), surface fields ([month],
    lat, lon), fixed ones (lat, lon). Annual means weigh months equally.

    Parameters
    ----------
    names : list of str
        Layers of the catalogue.
    zones : list
        Each with ``name``, ``top`` and ``bottom`` (m, positive down).
    resolution : float
        Cell size (degrees).
    monthly : bool
        Keep the months; otherwise annual means.
    clip : bool
        Stop each zone at the sea floor in ``thickness``.
    radius_km : float
        Radius of the sphere of ``cell_area`` (km).

    Returns
    -------
    xarray.Dataset
        Predictors (float32), ``domain`` (zone, lat, lon; 1 where at least
        half of the cell is sea, the floor lies below the zone's top and
        every predictor is present in every month), ``thickness`` (zone, lat,
        lon; m; NaN outside the domain), ``cell_area`` (lat, lon; m2),
        ``region_basin`` (lat, lon).

    Raises
    ------
    UserError
        For an unknown layer, a zone below the layers' levels, or a monthly
        cube without a layer that varies by month.
    """
    lat, lon = grid.regular_grid(resolution)
    floor = load_layer("bathymetry")
    share = interpolate(floor.notnull().astype("float64"), lat, lon)
    floor = interpolate(floor, lat, lon).where(share >= 0.5)
    cube = xr.Dataset(coords={
        "zone": ("zone", [z.name for z in zones], {"long_name": "depth zone"}), "lat": lat, "lon": lon,
        "zone_top": ("zone", [float(z.top) for z in zones]), "zone_bottom": ("zone", [float(z.bottom) for z in zones])})
    for name in names:
        cube[name] = _predictor(load_layer(name), zones, lat, lon, monthly).where(floor.notnull()).astype("float32")
    if monthly and "month" not in cube.dims:
        raise UserError(f"predictors.monthly is true but none of {list(names)} varies by month; set it to false.")
    below = xr.concat([floor > z.top for z in zones], dim=cube["zone"])
    for name in names:
        known = cube[name].notnull()
        below = below & (known.all("month") if "month" in known.dims else known)
    thickness = xr.concat([grid.zone_thickness(z.top, z.bottom, floor, clip) for z in zones], dim=cube["zone"])
    cube["domain"] = below.transpose("zone", "lat", "lon").astype("int8")
    cube["thickness"] = thickness.transpose("zone", "lat", "lon").where(cube["domain"] == 1).astype("float64")
    cube["cell_area"] = grid.cell_area(lat, lon, radius_km)
    cube["region_basin"] = basin_mask(lat, lon)
    return _described(cube)


def _predictor(layer, zones, lat, lon, monthly):
    """A layer on the study grid: annual or monthly, with zones if it has depth."""
    if "month" in layer.dims and not monthly:
        layer = layer.mean("month", skipna=False, keep_attrs=True)
    if "depth" in layer.dims:
        names = xr.DataArray([z.name for z in zones], dims="zone", name="zone")
        layer = xr.concat([zone_mean(layer, z.top, z.bottom) for z in zones], dim=names)
        layer = layer.transpose(..., "zone", "lat", "lon")
    layer.attrs = {k: v for k, v in layer.attrs.items() if k in ("units", "long_name", "standard_name", "source", "references")}
    return interpolate(layer, lat, lon)


def _described(cube):
    """Attributes of the coordinates and of what is not a predictor."""
    cube["lat"].attrs = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"}
    cube["lon"].attrs = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"}
    for name, text in (("zone_top", "upper limit of the zone"), ("zone_bottom", "lower limit of the zone")):
        cube[name].attrs = {"long_name": text, "units": "m", "positive": "down"}
    cube["domain"].attrs = {
        "long_name": "cells that are predicted", "flag_values": np.array([0, 1], dtype="int8"),
        "flag_meanings": "not_predicted predicted"}
    cube["thickness"].attrs = {"long_name": "thickness of the zone", "units": "m"}
    cube["cell_area"].attrs = {"standard_name": "cell_area", "long_name": "area of the cell", "units": "m2"}
    return cube
