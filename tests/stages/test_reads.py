"""What a stage reads stands in its key: every file that is opened is among those that are hashed."""

import functools
import gc
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.paths import package_data
from aqqua_dist.environment import catalogue
from aqqua_dist.stages import pipeline
from aqqua_dist.stages.progress import DESCRIBING

RECIPE = """\
study: tiny
title: A tiny study
zones:
  - {name: 0-200, top: 0, bottom: 200}
grid: {resolution: 10, clip_at_sea_floor: true}
OBSERVATIONS
PREDICTORS
model: {objective: "count:poisson", rounds: 3, learning_rate: 0.3}
members: {scheme: cruise_bootstrap, n: 3}
validation: {folds: 3, block_size: 20}
figures: [global_maps, stocks]
"""
TABLE = """observations:
  {kind: table, path: rows.csv, columns: {y: y, taxon: taxon}, quantity: carbon_biomass, units: mg m-3,
   duplicates: average}"""
VIRTUAL = "observations: {kind: virtual, cruises: 20}\ntaxa: [virtual copepod]"
LAYERS = (
    "predictors: {kind: layers, names: [temperature, salinity, wind_speed, solar_radiation, bathymetry, "
    "distance_to_coast]}"
)
GRID = "predictors: {kind: table, path: grid.csv, names: {temperature: t, salinity: s}}"
OPENED = []


def write_tables(folder):
    lat, lon = (a.ravel() for a in np.meshgrid(np.arange(-55, 60, 10.0), np.arange(-175, 180, 10.0), indexing="ij"))
    grid = pd.DataFrame({"lat": lat, "lon": lon, "t": 28 - 0.4 * np.abs(lat), "s": 34 + np.cos(np.radians(lon))})
    grid.to_csv(folder / "grid.csv", index=False)
    rows = grid.sample(90, random_state=1).assign(taxon="Copepoda")
    rows.assign(y=np.random.default_rng(0).gamma(1, 2, 90)).to_csv(folder / "rows.csv", index=False)


def forget_what_was_read():
    for one in gc.get_objects():
        if isinstance(one, functools._lru_cache_wrapper) and str(one.__module__).startswith("aqqua_dist"):
            one.cache_clear()


def traced(stage, context, places, found):
    def run(work):
        forget_what_was_read()
        OPENED.clear()
        outcome = stage.run(work)
        read = {path.resolve() for path in map(Path, OPENED) if path.is_file()}
        described = [package_data(name) for name in DESCRIBING]  # in the key of every stage
        hashed = {path.resolve() for path in [*described, *stage.files(context).values()]}
        inside = {path for path in read if any(place in path.parents for place in places)}
        inside -= {path for path in inside - hashed if path.parent.name == "catalogue"}  # all are listed, few are used
        found[stage.name] = {path.name for path in inside if context.out.resolve() not in path.parents}
        found["unhashed"] |= {(stage.name, path.name) for path in inside - hashed if context.out not in path.parents}
        return outcome

    return replace(stage, run=run)


@pytest.fixture(scope="module", autouse=True)
def hook():
    """An audit hook stays for good; it only takes notes of names."""

    def note(event, given):
        if event == "open" and isinstance(given[0], (str, Path)):
            OPENED.append(given[0])

    sys.addaudithook(note)


@pytest.mark.parametrize("kind", ["table and layers", "table and grid", "virtual", "exports"])
def test_a_stage_opens_no_file_that_its_key_does_not_hold(kind, tmp_path, project_root, monkeypatch):
    parts = {"table and layers": (TABLE, LAYERS), "table and grid": (TABLE, GRID), "virtual": (VIRTUAL, LAYERS)}
    if kind == "exports":
        exported = runpy.run_path(str(project_root / "tests" / "training" / "test_exports.py"))
        exported["write_exports"](tmp_path)
        text = exported["RECIPE"]
    else:
        write_tables(tmp_path)
        text = RECIPE.replace("OBSERVATIONS", parts[kind][0]).replace("PREDICTORS", parts[kind][1])
    (tmp_path / "tiny.yaml").write_text(text)
    context = pipeline.open_study(tmp_path / "tiny.yaml", runs=tmp_path / "runs", jobs=1, progress=False)
    places = [(project_root / name).resolve() for name in ("aqqua_dist/data", "environmental_layers", "figures")]
    places.append(tmp_path.resolve())
    found, order = {"unhashed": set()}, pipeline.stages

    def noted(name):  # the NetCDF library opens files unseen
        OPENED.append(package_data(name))
        return package_data(name)

    monkeypatch.setattr(catalogue, "package_data", noted)
    monkeypatch.setattr(pipeline, "stages", lambda c: tuple(traced(s, c, places, found) for s in order(c)))
    pipeline.run(context)
    assert found.pop("unhashed") == set()
    assert "climatology_2deg.nc" in found["cube"]  # a grid without bathymetry takes the floor from there
    assert found["observe"] & {"rows.csv", "virtual_cruise_areas.csv", "ecotaxa_c0.tsv", "taxa.yaml"}
    assert {"taxa.yaml", "vocabulary.yaml"} <= found["map"]
