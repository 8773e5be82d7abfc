"""Files that are whole or absent, and that say where they come from."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
from matplotlib.figure import Figure

from aqqua_dist.core import files, vocabulary
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance, software_versions

ORIGIN = Provenance(
    study="a study",
    stage="fit",
    key="0" * 32,
    recipe_text="study: a\n# µ – ü\n",
    recipe_sha256="1" * 64,
    inputs={"rows.csv": "2" * 64},
    seeds={"seed": 4},
    software=software_versions(),
    references=["https://doi.org/10.3389/fmars.2022.894372"],
    created="2026-01-02T03:04:05Z",
)
TABLE = pd.DataFrame(
    {
        "taxon": ["Copepoda", "Rhizaria", None],
        "lat": [-89.5, 0.0, 12.25],
        "lon": [-180.0, 0.0, 179.5],
        "n": [1, 2, 3],
        "y": [0.1, np.nan, 1e-30],
    }
)
DATASET = xr.Dataset(
    {
        "biomass": (("lat", "lon"), np.array([[1.5, np.nan], [1e-8, 3e7]]), {"units": "mg m-3"}),
        "flag": (("lat", "lon"), np.ones((2, 2), "int8")),
    },
    coords={"lat": [-45.0, 45.0], "lon": [-90.0, 90.0]},
    attrs={"title": "a map"},
)


def drawing(text="a"):
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().set_title(text)
    return figure


WRITERS = {
    "a.parquet": lambda path, table=TABLE: files.write_parquet(table, path, ORIGIN, {"y": "mg m-3"}),
    "samples.parquet": lambda path, table=TABLE: files.write_geoparquet(table, path, ORIGIN),
    "a.csv": lambda path, table=TABLE: files.write_csv(table, path, ORIGIN, {"y": "mg m-3"}),
    "a.json": lambda path, content=None: files.write_json(content or {"b": [1, None, "µ"]}, path, ORIGIN),
    "a.nc": lambda path, dataset=DATASET: files.write_netcdf(dataset, path, ORIGIN),
    "a.png": lambda path, figure=None: files.write_png(figure or drawing(), path, ORIGIN),
}
BROKEN = {
    "a.parquet": pd.DataFrame({"x": [1, "mixed", object()]}),
    "samples.parquet": TABLE.drop(columns="lat"),
    "a.csv": 3,
    "a.json": {"b": object()},
    "a.nc": DATASET.assign(bad=(("lat", "lon"), np.array([[{}, {}], [{}, {}]], dtype=object))),
    "a.png": 3,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_its_provenance_back(tmp_path, name):
    path = tmp_path / "deep" / "folder" / name
    WRITERS[name](path)
    assert files.read_provenance(path) == ORIGIN
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_fails_leaves_the_old_file(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    before = path.read_bytes()
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the library raises
        WRITERS[name](path, BROKEN[name])
    assert path.read_bytes() == before
    assert files.read_provenance(path) == ORIGIN
    assert [p.name for p in tmp_path.iterdir() if ".part" in p.name] == []


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_runs_full_leaves_the_old_file(tmp_path, name):
    """The system refuses every file above 300 bytes, as a full disk does, in the middle of the write."""
    resource = pytest.importorskip("resource")
    path = tmp_path / name
    WRITERS[name](path)
    before = {place.name: place.read_bytes() for place in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        with pytest.raises((OSError, RuntimeError)):  # RuntimeError: netCDF
            WRITERS[name](path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == before


def test_tables_come_back_equal(tmp_path):
    WRITERS["a.parquet"](tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(files.read_parquet(tmp_path / "a.parquet"), TABLE, check_dtype=False)
    WRITERS["a.csv"](tmp_path / "a.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), TABLE, check_dtype=False)
    about = json.loads((tmp_path / "a.csv-metadata.json").read_text())
    assert {"name": "y", "schema:unitText": "mg m-3", "dc:description": vocabulary.column("y").description} in about[
        "tableSchema"
    ]["columns"]


def test_samples_are_points_that_a_gis_reads(tmp_path):
    WRITERS["samples.parquet"](tmp_path / "samples.parquet")
    points = geopandas.read_parquet(tmp_path / "samples.parquet")
    assert points.crs.to_epsg() == 4326
    assert points.geometry.x.tolist() == TABLE["lon"].tolist()
    assert points.geometry.y.tolist() == TABLE["lat"].tolist()


def test_grids_come_back_equal(tmp_path):
    WRITERS["a.nc"](tmp_path / "a.nc")
    found = files.read_netcdf(tmp_path / "a.nc")
    xr.testing.assert_equal(found, DATASET)
    assert found.attrs["recipe"] == ORIGIN.recipe_text
    assert found.attrs["date_created"] == ORIGIN.created
    assert "numpy=" in found.attrs["software_versions"]


@pytest.mark.parametrize("name", WRITERS)
def test_an_unreadable_file_is_one_sentence(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x00not what it says\xff")
    if name == "a.csv":
        path = path.with_name("a.csv-metadata.json")
        path.write_bytes(b"{")
    with pytest.raises(UserError) as error:
        files.read_provenance(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_foreign_one_are_told_apart(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        files.read_parquet(tmp_path / "none.parquet")
    TABLE.to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(UserError, match="carries no provenance"):
        files.read_provenance(tmp_path / "foreign.parquet")


KILLED = """
import sys
import numpy as np, xarray as xr
from aqqua_dist.core import files
from tests_origin import ORIGIN
for k in range(1, 10_000):
    data = xr.Dataset({"v": (("lat", "lon"), np.full((1500, 1500), float(k)) + np.random.default_rng(k).random((1500, 1500)))})
    files.write_netcdf(data, sys.argv[1], ORIGIN)
    print(k, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    """Killed again and again in the middle of its work, the file is always one that was written completely.

    What the dead process left beside it proves that it died while it wrote.
    """
    (tmp_path / "tests_origin.py").write_text(
        f"from aqqua_dist.core.provenance import Provenance\nORIGIN = {ORIGIN!r}\n"
    )
    root = Path(__file__).resolve().parents[2]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(tmp_path)])}
    path = tmp_path / "a.nc"
    torn = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], env=env, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "1\n"  # the first file stands, the next ones are being written
        limit = time.monotonic() + 60
        while not part_size(tmp_path) and time.monotonic() < limit:
            pass
        process.kill()
        process.wait()
        for part in tmp_path.glob(".a.nc.*.part"):
            torn += 1
            part.unlink()
        values = np.floor(files.read_netcdf(path)["v"].to_numpy())
        assert values.min() == values.max() >= 1
        assert files.read_provenance(path) == ORIGIN
    assert torn >= 1


def part_size(folder):
    """Bytes of the temporary file that is being written, 0 where there is none."""
    try:
        return sum(part.stat().st_size for part in folder.glob(".a.nc.*.part"))
    except FileNotFoundError:  # renamed in between
        return 0


def test_every_kind_of_table_carries_units_and_descriptions(tmp_path):
    table = pd.DataFrame({"sample_id": ["a"], "lat": [1.0], "lon": [2.0], "volume": [3.0], "mine": [4.0]})
    schema = pa.schema([("sample_id", pa.string()), ("volume", pa.float64()), ("mine", pa.float64())])
    files.write_parquet(table, tmp_path / "plain.parquet", ORIGIN)
    files.write_geoparquet(table, tmp_path / "samples.parquet", ORIGIN)
    with files.parquet_parts(tmp_path / "parts.parquet", schema) as parts:
        parts.write(pa.Table.from_pandas(table, preserve_index=False))
        parts.provenance = ORIGIN
    for name in ("plain", "samples", "parts"):
        found = pq.read_schema(tmp_path / f"{name}.parquet")
        assert found.field("volume").metadata[b"units"] == b"m3"
        assert found.field("volume").metadata[b"description"].startswith(b"Sampled volume")
        assert b"units" not in (found.field("sample_id").metadata or {})
        assert not found.field("mine").metadata
    assert b"geo" in pq.read_schema(tmp_path / "samples.parquet").metadata
