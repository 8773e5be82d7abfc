"""Build ``aqqua_dist/data/climatology_2deg.nc``, the embedded climatology.

Usage: ``python environmental_layers/build_embedded.py --source DIR``

DIR holds the files of Debian's package ``ferret-datasets`` (NOAA's fields are
in the public domain). To get them on any Debian or Ubuntu, without root::

    apt-get download ferret-datasets
    dpkg -x ferret-datasets_*.deb unpacked
    python environmental_layers/build_embedded.py --source unpacked/usr/share/ferret-vis/data

``ocean_basins.geojson`` must stand in ``aqqua_dist/data`` (`build_basins.py`).

Grid: cells of 2 degrees, centres 89 S to 89 N and 179 W to 179 E.

* wet cells: at least half of the area below sea level in the 20' relief,
  after the removal of water bodies without a link to the sea (Caspian, lakes,
  depressions). `bathymetry`: area mean over the wet 20' points.
* `distance_to_coast`: great-circle distance of each wet 20' point to the
  nearest point above sea level of the 5' relief (20' would lose most oceanic
  islands), area mean.
* `temperature`: World Ocean Atlas, given at every second 1-degree point, half
  a degree south-west of our centres; bilinear over the valid points (weights
  renormalised where at least a quarter is valid), then never below -2.1.
* `salinity`: area mean of the valid 1-degree cells; from 14 to 19 levels
  along the linear interpolant in depth.
* `wind_speed`: COADS lies on our grid; 3 x 3 binomial mean over valid cells,
  because some cells hold a single ship report; cells without a valid
  neighbour become gaps.
* `solar_radiation`: 4 x 5 degrees, bilinear over valid points.
* Gaps over wet cells, always within the same month and level. Temperature and
  salinity: the nearest wet cell (great circle) of the same basin, down to the
  sea floor; the Black Sea has none in the sources and stays missing. Wind:
  mean of the 30 nearest cells, weighted by 1 / distance squared. Radiation:
  the same, but the share of the daily mean at the top of the atmosphere is
  carried over, not the radiation itself. Each variable states how many values
  were filled.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import shapely
import xarray as xr
from scipy import ndimage
from scipy.spatial import cKDTree

DATA = Path(__file__).resolve().parent.parent / "aqqua_dist" / "data"
LAT, LON = np.arange(-89.0, 90, 2), np.arange(-179.0, 180, 2)
RADIUS_KM = 6371.0072
COLDEST = -2.1
NEIGHBOURS = 30
SEAS = {"open ocean": (-30.0, 0.0), "Mediterranean": (18.0, 35.0), "Black Sea": (34.0, 43.0), "Baltic": (20.0, 58.0)}
"""A point (lon, lat) of each water body that belongs to the sea at 20'."""


def unit_vectors(lon, lat):
    """Points on the unit sphere, shape (..., 3), from degrees."""
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def arc_km(chord):
    """Great-circle distance (km) of a chord of the unit sphere."""
    return 2 * RADIUS_KM * np.arcsin(np.clip(chord / 2, 0, 1))


def read(path, name, lon_name, lat_name):
    """One variable, longitudes in [-180, 180) ascending, float64, NaN gaps."""
    with xr.open_dataset(path, decode_times=False) as data:
        field = data[name].load().astype("float64")
    field = field.rename({lon_name: "lon", lat_name: "lat"})
    field = field.assign_coords(lon=np.round((field["lon"].values + 180) % 360 - 180, 3))
    return field.drop_duplicates("lon").sortby("lon")


def sea_points(relief):
    """Which 20' points are sea (bool), from relief (m, positive up)."""
    labels, _ = ndimage.label(relief.values < 0, np.ones((3, 3)))
    west, east = labels[:, 0], labels[:, -1]
    for a, b in zip(west[(west > 0) & (east > 0)], east[(west > 0) & (east > 0)], strict=True):
        labels[labels == b] = labels[labels == a].max(initial=a)
    kept = [
        labels[
            relief.indexes["lat"].get_indexer([y], method="nearest")[0],
            relief.indexes["lon"].get_indexer([x], method="nearest")[0],
        ]
        for x, y in SEAS.values()
    ]
    if 0 in kept:
        raise ValueError(f"a sea point of {SEAS} is dry in the relief; allowed are wet points.")
    return np.isin(labels, kept)


def shore_points(relief):
    """Dry points with a wet neighbour, as unit vectors, from fine relief."""
    dry = relief.values >= 0
    inner = ndimage.binary_erosion(np.pad(dry, 1, mode="edge"), np.ones((3, 3)))[1:-1, 1:-1]
    row, column = np.nonzero(dry & ~inner)
    return unit_vectors(relief["lon"].values[column], relief["lat"].values[row])


def blocks(values, weight):
    """Weighted mean of 6 x 6 points per 2-degree cell, and the weight."""
    shape = (LAT.size, 6, LON.size, 6)
    total = weight.reshape(shape).sum(axis=(1, 3))
    summed = (np.where(weight > 0, values, 0) * weight).reshape(shape).sum(axis=(1, 3))
    return np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0), total


def relief_layers(relief, shore):
    """Wet fraction, bathymetry (m) and distance to coast (km), 2 degrees."""
    sea = sea_points(relief)
    lon, lat = np.meshgrid(relief["lon"], relief["lat"])
    area = np.cos(np.radians(lat))
    points = unit_vectors(lon, lat)
    chord, _ = cKDTree(shore).query(points[sea])
    coast = np.zeros(sea.shape)
    coast[sea] = arc_km(chord)
    depth, wet_area = blocks(-relief.values, sea * area)
    distance, _ = blocks(coast, sea * area)
    fraction = wet_area / blocks(coast, area)[1]
    wet = fraction >= 0.5
    return fraction, np.where(wet, depth, np.nan), np.where(wet, distance, np.nan), wet


def bilinear(field, least=0.25):
    """Bilinear on (..., lat, lon) over valid corners, cyclic in longitude.

    Weights of valid corners are renormalised; a target is missing where they
    sum to less than `least`. Beyond the first and last row the row is kept.
    """
    y = np.clip(np.interp(LAT, field["lat"], np.arange(field.sizes["lat"])), 0, field.sizes["lat"] - 1)
    step = float(field["lon"].diff("lon").mean())
    x = (LON - float(field["lon"][0])) / step
    rows, columns = np.floor(y).astype(int), np.floor(x).astype(int)
    total, weights = 0.0, 0.0
    for dy in (0, 1):
        for dx in (0, 1):
            at = np.minimum(rows + dy, field.sizes["lat"] - 1)[:, None]
            corner = field.values[..., at, (columns + dx)[None] % field.sizes["lon"]]
            weight = np.abs(1 - dy - (y - rows))[:, None] * np.abs(1 - dx - (x - columns))[None]
            weight = np.where(np.isfinite(corner), weight, 0)
            total = total + np.where(weight > 0, corner, 0) * weight
            weights = weights + weight
    return np.divide(total, weights, out=np.full(total.shape, np.nan), where=weights >= least)


def halve(field):
    """Area mean of the valid 1-degree cells of each 2-degree cell."""
    area = np.broadcast_to(np.cos(np.radians(field["lat"].values))[:, None], field.shape)
    weight = np.where(np.isfinite(field.values), area, 0).reshape(-1, LAT.size, 2, LON.size, 2)
    values = np.nan_to_num(field.values).reshape(weight.shape)
    total = weight.sum(axis=(2, 4))
    return np.divide((values * weight).sum(axis=(2, 4)), total, out=np.full(total.shape, np.nan), where=total > 0)


def binomial(values):
    """3 x 3 binomial mean over the valid cells of each month.

    Cells without a valid neighbour to the north, south, east or west (weight
    below 6 of 16) become gaps.
    """
    valid = np.isfinite(values)
    parts = []
    for field in (np.nan_to_num(values), valid.astype(float)):
        rows = ndimage.correlate1d(field, [1, 2, 1], axis=1, mode="constant")
        parts.append(ndimage.correlate1d(rows, [1, 2, 1], axis=2, mode="wrap"))
    return np.where(valid & (parts[1] >= 6), parts[0] / np.maximum(parts[1], 1), np.nan)


def basin_numbers():
    """Flag of the basin of each 2-degree cell."""
    lon, lat = np.meshgrid(LON, LAT)
    numbers = np.zeros(lon.shape, dtype=int)
    for feature in json.loads((DATA / "ocean_basins.geojson").read_text())["features"]:
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
        numbers[shapely.intersects_xy(shape, lon, lat)] = feature["properties"]["flag"]
    return numbers


def fill(values, wanted, basin, neighbours=1):
    """Gaps of `wanted` cells from the nearest valid cells of the same basin.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (..., n_lat, n_lon), NaN gaps; changed in place.
    wanted : numpy.ndarray
        Cells to fill, broadcast to `values`.
    basin : numpy.ndarray
        Shape (n_lat, n_lon).
    neighbours : int
        Cells to take the mean of, weighted by 1 / distance squared.

    Returns
    -------
    tuple of (int, float)
        Number of values filled, and the largest distance bridged (km).
    """
    points = unit_vectors(*np.meshgrid(LON, LAT))
    wanted = np.broadcast_to(wanted, values.shape)
    count, farthest = 0, 0.0
    for index in np.ndindex(values.shape[:-2]):
        layer = values[index]
        for flag in np.unique(basin):
            gaps = wanted[index] & np.isnan(layer) & (basin == flag)
            known = np.isfinite(layer) & (basin == flag)
            if gaps.any() and known.any():
                k = np.arange(1, 1 + min(neighbours, int(known.sum())))
                chord, nearest = cKDTree(points[known]).query(points[gaps], k=k)
                layer[gaps] = np.average(layer[known][nearest], axis=1, weights=chord**-2)
                count += int(gaps.sum())
                farthest = max(farthest, float(arc_km(chord[:, 0]).max()))
    return count, farthest


def sunlight():
    """Monthly mean irradiance at the top of the atmosphere (W m-2), (12, lat).

    Mean over the days of each month of the daily mean, with the declination
    and distance series of Spencer (1971) and 1361 W m-2.
    """
    day = np.arange(365)
    angle = 2 * np.pi * day / 365
    tilt = (
        0.006918
        - 0.399912 * np.cos(angle)
        + 0.070257 * np.sin(angle)
        - 0.006758 * np.cos(2 * angle)
        + 0.000907 * np.sin(2 * angle)
        - 0.002697 * np.cos(3 * angle)
        + 0.00148 * np.sin(3 * angle)
    )
    near = (
        1.00011
        + 0.034221 * np.cos(angle)
        + 0.00128 * np.sin(angle)
        + 0.000719 * np.cos(2 * angle)
        + 0.000077 * np.sin(2 * angle)
    )
    lat = np.radians(LAT)[:, None]
    half = np.arccos(np.clip(-np.tan(lat) * np.tan(tilt), -1, 1))
    daily = 1361 / np.pi * near * (half * np.sin(lat) * np.sin(tilt) + np.cos(lat) * np.cos(tilt) * np.sin(half))
    month = np.repeat(np.arange(12), [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    return np.stack([daily[:, month == m].mean(axis=1) for m in range(12)])


def radiation(field, wet, basin):
    """Net shortwave radiation (W m-2) and its filling record."""
    values, top = np.where(wet, bilinear(field), np.nan), sunlight()[:, :, None]
    given = np.isfinite(values)
    share = np.where(given & (top > 20), values / np.maximum(top, 1e-9), np.nan).clip(0, 0.8)
    record = fill(share, wet, basin, NEIGHBOURS)
    return np.where(given, values, np.where(wet, share * top, np.nan)), (int((wet & ~given).sum()), record[1])


def hydrography(source, floor, wet, basin):
    """Temperature (month, depth, lat, lon), salinity (depth, lat, lon), depth."""
    warm = read(source / "ocean_atlas_subset.nc", "TEMP", "XAX_SUBSET", "YAX_SUBSET").rename(ZAXLEVIT19="depth")
    salt = read(source / "levitus_climatology.cdf", "SALT", "XAXLEVITR", "YAXLEVITR").rename(ZAXLEVITR="depth")
    depth = warm["depth"].values
    temperature = np.where(wet, bilinear(warm), np.nan).clip(min=COLDEST)
    coarse = xr.DataArray(halve(salt), dims=("depth", "lat", "lon"), coords={"depth": salt["depth"]})
    salinity = np.where(wet, coarse.interp(depth=depth).values, np.nan)
    wanted = wet & (np.nan_to_num(floor) >= depth[:, None, None])
    records = fill(temperature, wanted, basin), fill(salinity, wanted, basin)
    return temperature, salinity, depth, records


def describe(name, values, dims, record=None):
    """Variable with its CF attributes and the record of filled gaps."""
    attrs = dict(ATTRIBUTES[name])
    if record is not None:
        attrs["gaps_filled"] = (
            f"{record[0]} of {int(np.isfinite(values).sum())} values, from at most {record[1]:.0f} km"
        )
    return xr.DataArray(values.astype("float32"), dims=dims, attrs=attrs)


def _axis(name, units, axis):
    return {"standard_name": name, "long_name": name, "units": units, "axis": axis}


_DEBIAN = "Debian package ferret-datasets 7.6.0"
ATTRIBUTES = {
    "temperature": {
        "standard_name": "sea_water_temperature",
        "long_name": "sea water temperature",
        "units": "degree_Celsius",
        "units_metadata": "temperature: on_scale",
        "source": f"World Ocean Atlas 1994, monthly analysis, ocean_atlas_subset.nc of {_DEBIAN}",
        "references": "Levitus and Boyer 1994, World Ocean Atlas 1994 Vol. 4: Temperature, NOAA Atlas NESDIS 4",
    },
    "salinity": {
        "standard_name": "sea_water_practical_salinity",
        "long_name": "sea water practical salinity",
        "units": "1",
        "source": f"Climatological Atlas of the World Ocean, annual mean, levitus_climatology.cdf of {_DEBIAN}",
        "references": "Levitus 1982, Climatological Atlas of the World Ocean, NOAA Professional Paper 13",
    },
    "wind_speed": {
        "standard_name": "wind_speed",
        "long_name": "wind speed at the sea surface",
        "units": "m s-1",
        "source": f"COADS monthly climatology 1946-1989, coads_climatology.cdf of {_DEBIAN}",
        "references": "Woodruff et al. 1987, doi:10.1175/1520-0477(1987)068<1239:ACOADS>2.0.CO;2",
    },
    "solar_radiation": {
        "standard_name": "surface_net_downward_shortwave_flux",
        "units": "W m-2",
        "long_name": "net downward solar radiation at the sea surface",
        "source": f"Esbensen-Kushnir heat budget (available solar radiation), esku_heat_budget.cdf of {_DEBIAN}",
        "references": "Esbensen and Kushnir 1981, Climatic Research Institute Report 29, Oregon State University; "
        "Spencer 1971, Search 2:172 (filling)",
    },
    "bathymetry": {
        "standard_name": "sea_floor_depth_below_sea_surface",
        "long_name": "depth of the sea floor",
        "units": "m",
        "source": f"ETOPO5 averaged to 20 minutes, etopo20.cdf of {_DEBIAN}",
        "references": "NOAA National Geophysical Data Center 1988, ETOPO5, Data Announcement 88-MGG-02",
    },
    "distance_to_coast": {
        "long_name": "distance to the nearest land",
        "units": "km",
        "source": f"computed from ETOPO5 relief, etopo20.cdf and etopo5.cdf of {_DEBIAN}",
        "references": "environmental_layers/build_embedded.py",
    },
    "wet_fraction": {
        "standard_name": "sea_area_fraction",
        "long_name": "share of the cell that is sea",
        "units": "1",
        "source": "20 minute relief below sea level, inland waters removed",
        "references": "environmental_layers/build_embedded.py",
    },
}


def build(source):
    """The climatology as a data set.

    Parameters
    ----------
    source : pathlib.Path
        Folder of the source files.

    Returns
    -------
    xarray.Dataset
        Dims (month, depth, lat, lon).
    """
    fraction, floor, coast, wet = relief_layers(
        read(source / "etopo20.cdf", "ROSE", "ETOPO20X1_1081", "ETOPO20Y"),
        shore_points(read(source / "etopo5.cdf", "ROSE", "ETOPO05_X", "ETOPO05_Y")),
    )
    basin = basin_numbers()
    temperature, salinity, depth, records = hydrography(source, floor, wet, basin)
    wind = read(source / "coads_climatology.cdf", "WSPD", "COADSX", "COADSY")
    wind = binomial(np.where(wet, wind.values, np.nan))
    air = np.zeros(basin.shape, dtype=int)
    wind_record = fill(wind, wet, air, NEIGHBOURS)
    light, light_record = radiation(read(source / "esku_heat_budget.cdf", "FSR", "ESKUX", "ESKUY"), wet, air)
    flat, monthly = ("lat", "lon"), ("month", "lat", "lon")
    return xr.Dataset(
        {
            "temperature": describe("temperature", temperature, ("month", "depth", "lat", "lon"), records[0]),
            "salinity": describe("salinity", salinity, ("depth", "lat", "lon"), records[1]),
            "wind_speed": describe("wind_speed", wind, monthly, wind_record),
            "solar_radiation": describe("solar_radiation", light, monthly, light_record),
            "bathymetry": describe("bathymetry", floor, flat),
            "distance_to_coast": describe("distance_to_coast", coast, flat),
            "wet_fraction": describe("wet_fraction", fraction, flat),
        },
        coords={
            "month": ("month", np.arange(1, 13, dtype="int16"), {"long_name": "month of the year", "units": "1"}),
            "depth": ("depth", depth, _axis("depth", "m", "Z") | {"positive": "down"}),
            "lat": ("lat", LAT, _axis("latitude", "degrees_north", "Y")),
            "lon": ("lon", LON, _axis("longitude", "degrees_east", "X")),
        },
        attrs={
            "Conventions": "CF-1.11",
            "title": "Climatology embedded in aqqua-dist, 2 degrees",
            "summary": "Monthly temperature, wind and radiation, annual salinity, bathymetry, distance to coast.",
            "license": "public domain (NOAA source fields); this compilation CC0-1.0",
            "history": "environmental_layers/build_embedded.py; float32 rounded to significant bits (BitRound), zlib",
        },
    )


def write(data, path):
    """Write with zlib; round each variable to the bits that it deserves."""
    bits = {
        "temperature": 9,
        "salinity": 11,
        "wind_speed": 7,
        "solar_radiation": 8,
        "bathymetry": 11,
        "distance_to_coast": 10,
        "wet_fraction": 9,
    }
    encoding = {
        name: {
            "zlib": True,
            "complevel": 9,
            "shuffle": True,
            "_FillValue": np.float32(9.96921e36),
            "significant_digits": count,
            "quantize_mode": "BitRound",
        }
        for name, count in bits.items()
    }
    encoding |= {name: {"_FillValue": None} for name in data.coords}
    data.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=encoding)


def main():
    """Build, write, print what was made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, type=Path, help="folder with the files of ferret-datasets")
    parser.add_argument("--target", type=Path, default=DATA / "climatology_2deg.nc", help="file to write")
    arguments = parser.parse_args()
    data = build(arguments.source)
    write(data, arguments.target)
    for name, layer in data.data_vars.items():
        print(
            f"{name}: {float(layer.min()):.4g} to {float(layer.max()):.4g} {layer.units}; {layer.attrs.get('gaps_filled', '')}"
        )
    print(f"{arguments.target.name}: {arguments.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
