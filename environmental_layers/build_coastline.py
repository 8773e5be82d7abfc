"""Build ``aqqua_dist/data/land_110m.geojson``, the coastline of our maps.

Usage: ``python environmental_layers/build_coastline.py --source FILE``

FILE is a polygon layer of Natural Earth at 1:110 million (public domain),
for example ``datasets/naturalearth_lowres/naturalearth_lowres.shp`` out of
the wheel of geopandas 0.14 (``pip download "geopandas<1" --no-deps`` and
unzip). Needs geopandas to read it.

Countries are dissolved to land; slits along dissolved borders are closed;
coordinates are rounded to 0.01 degree; everything lies in [-180, 180], with
Antarctica closed along the 90 S edge.
"""

import argparse
import json
from pathlib import Path

import geopandas
import shapely
from shapely.geometry import box, mapping

TARGET = Path(__file__).resolve().parent.parent / "aqqua_dist" / "data" / "land_110m.geojson"
SLIT = 0.02
"""Gaps narrower than twice this (degrees) between countries are closed."""


def dissolve(countries):
    """Country polygons as one land geometry.

    Parameters
    ----------
    countries : array_like of shapely.Geometry
        Polygons in degrees.

    Returns
    -------
    shapely.MultiPolygon
        Valid land polygons in [-180, 180].
    """
    whole = shapely.union_all(shapely.make_valid(countries))
    closed = shapely.buffer(shapely.buffer(whole, SLIT, join_style="mitre"), -SLIT, join_style="mitre")
    land = shapely.union_all([whole, closed]).intersection(box(-180, -90, 180, 90))
    rounded = shapely.set_precision(land, 0.01)
    parts = [p for p in shapely.get_parts(rounded) if p.geom_type == "Polygon" and p.area > 0]
    return shapely.MultiPolygon(sorted(parts, key=lambda p: -p.area))


def main():
    """Read, dissolve, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, type=Path, help="Natural Earth 1:110m polygons")
    land = dissolve(geopandas.read_file(parser.parse_args().source).geometry.to_numpy())
    content = {
        "type": "FeatureCollection",
        "name": "land_110m",
        "description": "Land dissolved from Natural Earth 1:110m (naturalearthdata.com), public domain.",
        "features": [{"type": "Feature", "properties": {"name": "land"}, "geometry": mapping(land)}],
    }
    TARGET.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(
        f"{TARGET.name}: {len(land.geoms)} polygons, {len(shapely.get_coordinates(land))} vertices, {TARGET.stat().st_size} bytes"
    )


if __name__ == "__main__":
    main()
