"""Ocean basins and latitude bands as masks of a grid."""

import json

import numpy as np
import pandas as pd
import shapely
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import latitude_bands
from aqqua_dist.core.paths import package_data


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
            "latitudes must lie in [-90, 90] and longitudes in [-180, 180]."
        )
    attrs = {
        "long_name": "ocean basin",
        "flag_values": np.array([f["properties"]["flag"] for f in features], dtype="int8"),
        "flag_meanings": " ".join(f["properties"]["name"] for f in features),
    }
    return xr.DataArray(mask, dims=("lat", "lon"), coords={"lat": lat, "lon": lon}, name="region_basin", attrs=attrs)


def region_masks(cube, cells, *, latitude_band, basins):
    """Regions of a budget as masks over the cells of a domain.

    Parameters
    ----------
    cube : xarray.Dataset
        Study grid, with ``region_basin`` if `basins`.
    cells : numpy.ndarray
        Flat index of each cell in (lat, lon), shape (n_cells,).
    latitude_band : float
        Height of a latitude band (degrees).
    basins : bool
        Include the ocean basins.

    Returns
    -------
    tuple of (pandas.DataFrame, numpy.ndarray)
        Columns ``region_set, region``; masks of shape (n_regions, n_cells).
    """
    lat = np.repeat(cube["lat"].to_numpy(), cube.sizes["lon"])[cells]
    names, masks = [("global", "global")], [np.ones(cells.size, dtype=bool)]
    if basins:
        flags = cube["region_basin"]
        values = flags.to_numpy().ravel()[cells]
        for value, label in zip(
            np.atleast_1d(flags.attrs["flag_values"]), flags.attrs["flag_meanings"].split(), strict=True
        ):
            if (values == value).any():
                names.append(("basin", label))
                masks.append(values == value)
    bands = latitude_bands(lat, latitude_band)
    for band in pd.unique(bands[np.argsort(lat, kind="stable")]):
        names.append(("latitude", str(band)))
        masks.append(bands == band)
    return pd.DataFrame(names, columns=["region_set", "region"]), np.array(masks)
