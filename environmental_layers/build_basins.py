"""Build ``aqqua_dist/data/ocean_basins.geojson``, our own ocean basins.

Usage: ``python environmental_layers/build_basins.py``

The polygons are drawn here, by hand, from well-known limits; nothing is
copied from a data set.

* Atlantic | Indian: meridian 20 E of Cape Agulhas.
* Indian | Pacific: meridian 146.9 E south of Tasmania, the western end of
  Bass Strait, Torres Strait, then the outer Indonesian arc (Arafura, Timor
  and Andaman Seas and Malacca Strait are Indian; Banda, Flores and Java Seas
  are Pacific).
* Atlantic | Pacific: meridian 67.3 W of Cape Horn, the Andes, the central
  American isthmus.
* Southern Ocean: south of 60 S (International Hydrographic Organization,
  draft of 2002). Studies that start it at 40-45 S get other totals.
* Arctic Ocean: north of 66.56 N, with the White Sea; Hudson Bay is Atlantic.
* Mediterranean Sea east of 5.6 W with the Sea of Marmara; Black Sea with the
  Sea of Azov. The Baltic is Atlantic, the Red Sea and the Gulf are Indian.

The polygons do not overlap, cover the whole globe (land too, so that every
cell has a basin) and lie in [-180, 180].
"""

import json
from pathlib import Path

import shapely
from shapely.geometry import Polygon, box, mapping

TARGET = Path(__file__).resolve().parent.parent / "aqqua_dist" / "data" / "ocean_basins.geojson"
GLOBE = box(-180, -90, 180, 90)

ARCTIC = shapely.union_all([box(-180, 66.56, 180, 90), box(30, 63.2, 45, 66.56)])
SOUTHERN = box(-180, -90, 180, -60)
MEDITERRANEAN = Polygon(
    [
        (-5.6, 30),
        (-5.6, 40),
        (0, 43),
        (4, 46),
        (14, 47),
        (20, 46),
        (22.5, 41.8),
        (28.5, 41.5),
        (29.1, 41.1),
        (31, 40.3),
        (31, 38.5),
        (37, 38.5),
        (37.5, 31),
        (32.6, 30),
        (25, 28),
        (10, 28),
    ]
)
BLACK = Polygon(
    [
        (28.5, 41.5),
        (27, 42),
        (27, 46.5),
        (31, 48.5),
        (40, 48.5),
        (43, 42),
        (41.5, 40),
        (31, 40.3),
        (29.1, 41.1),
    ]
)
AFRICA = [(20, -60), (20, -34.8), (20, -30), (25, 0), (28, 20), (32.6, 30), (38, 37), (45, 42), (45, 50)]
AMERICA = [
    (-67.3, -60),
    (-67.3, -55.9),
    (-68.5, -54.5),
    (-70.8, -53),
    (-72.5, -50),
    (-71.7, -40),
    (-69.8, -30),
    (-68, -20),
    (-73, -14),
    (-77.5, -7),
    (-78.3, 0),
    (-76.5, 5),
    (-77.4, 8.2),
    (-78.5, 9.2),
    (-79.7, 9.15),
    (-80.8, 8.6),
    (-82.2, 8.8),
    (-83.6, 9.7),
    (-85.2, 11.8),
    (-86.5, 13.5),
    (-90.5, 15),
    (-92.5, 16),
    (-94.8, 16.8),
    (-97, 17.5),
    (-100, 20),
    (-105, 28),
    (-110, 38),
    (-118, 50),
    (-130, 60),
    (-141, 66.56),
]
INDONESIA = [
    (90, 50),
    (97, 30),
    (99, 20),
    (98.8, 14),
    (99.3, 9),
    (102, 4),
    (103.6, 1.3),
    (103.5, -1),
    (104.5, -4.5),
    (105.6, -6),
    (106.5, -6.8),
    (110.5, -7.4),
    (115, -8.3),
    (118, -8.5),
    (121.5, -8.5),
    (124.7, -8.3),
    (127, -8.4),
    (131.5, -7.5),
    (134.5, -6),
    (138, -5),
    (141, -8.5),
    (142.4, -10.5),
    (142.5, -30),
    (143.5, -38.8),
    (144.7, -40.8),
    (146.9, -42.5),
    (146.9, -60),
]
ATLANTIC = Polygon([*AMERICA, (45, 66.56), *AFRICA[::-1]])
INDIAN = Polygon([*AFRICA, *INDONESIA])

ORDER = [
    ("arctic_ocean", ARCTIC),
    ("southern_ocean", SOUTHERN),
    ("mediterranean_sea", MEDITERRANEAN),
    ("black_sea", BLACK),
    ("atlantic_ocean", ATLANTIC),
    ("indian_ocean", INDIAN),
    ("pacific_ocean", GLOBE),
]
"""Each basin keeps what the ones before it have not taken."""
FLAGS = {
    "atlantic_ocean": 1,
    "pacific_ocean": 2,
    "indian_ocean": 3,
    "arctic_ocean": 4,
    "southern_ocean": 5,
    "mediterranean_sea": 6,
    "black_sea": 7,
}


def basins():
    """Basins as disjoint geometries that cover the globe.

    Returns
    -------
    dict of str to shapely.Geometry
        Polygons or multipolygons in degrees, in the order of their flags.
    """
    taken, found = Polygon(), {}
    for name, wanted in ORDER:
        found[name] = wanted.difference(taken)
        taken = shapely.union_all([taken, wanted])
    return {name: found[name] for name in FLAGS}


def collection():
    """The basins as a GeoJSON feature collection.

    Returns
    -------
    dict
        One feature per basin with properties ``name`` and ``flag``.
    """
    features = [
        {"type": "Feature", "properties": {"name": name, "flag": FLAGS[name]}, "geometry": mapping(shape)}
        for name, shape in basins().items()
    ]
    return {
        "type": "FeatureCollection",
        "name": "ocean_basins",
        "features": features,
        "description": "Drawn for aqqua-dist from well-known limits, see environmental_layers/build_basins.py; CC0-1.0.",
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(collection(), indent=None, separators=(",", ":")) + "\n")
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")
