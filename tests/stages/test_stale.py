"""Nothing stale and nothing foreign: what each change runs again, and what belongs to a run."""

import json
import os
import platform
import shutil
import subprocess
import sys
from hashlib import sha256

import netCDF4
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.core import files, paths, run_folder
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.stages import fit, pipeline, progress

RECIPE = """\
study: tiny
title: A tiny study
taxa: [Copepoda, Rhizaria]
zones:
  - {name: 0-200, top: 0, bottom: 200}
grid: {resolution: 10, clip_at_sea_floor: true}
observations:
  kind: table
  path: rows.csv
  columns: {y: biomass, taxon: taxon, lat: lat, lon: lon}
  quantity: carbon_biomass
  units: mg m-3
  duplicates: average
predictors: {kind: layers, names: [temperature, salinity]}
model: {objective: "count:poisson", rounds: 5, learning_rate: 0.3}
members: {scheme: cruise_bootstrap, n: 3}
validation: {folds: 3, block_size: 20}
figures: [stocks]
"""
STEPS = ["observe", "cube", "match", "draws", "fit Copepoda", "fit Rhizaria", "map Copepoda", "map Rhizaria"]
STEPS += ["scores", "budget", "compare", "figures"]
DATA = ["observe", "cube", "match", "draws"]


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory, project_root):
    """A copy of what the package carries, so that a test may change it."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(project_root / "aqqua_dist" / "data", folder / "data")
    for name in ("environmental_layers", "figures", "models"):
        shutil.copytree(project_root / name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "_PACKAGE", folder)
        yield folder


def write_rows(folder, taxa=("Copepoda", "Rhizaria")):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"lat": rng.uniform(-45, 45, 150), "lon": rng.uniform(-170, -130, 150)})
    every = [rows.assign(taxon=taxon, biomass=rng.gamma(1, 2, 150)) for taxon in taxa]
    pd.concat(every).to_csv(folder / "rows.csv", index=False)


def opened(folder, text=RECIPE):
    (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    return pipeline.open_study(folder / "tiny.yaml", runs=folder / "runs", jobs=1, progress=True)


def steps(said, what="running"):
    return [line.partition(": ")[0].partition(" 0-200")[0] for line in said.splitlines() if line.endswith(f": {what}")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    write_rows(folder)
    pipeline.run(opened(folder))
    return folder


@pytest.fixture
def study(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "copy")
    capsys.readouterr()
    return tmp_path / "copy"


def again(folder, capsys, text=RECIPE):
    pipeline.run(opened(folder, text))
    return steps(capsys.readouterr().err)


def test_an_unchanged_run_writes_nothing_at_all(study, capsys):
    before = {path: path.stat().st_mtime_ns for path in (study / "runs").rglob("*")}
    assert again(study, capsys) == []
    after = {path: path.stat().st_mtime_ns for path in (study / "runs").rglob("*")}
    before.pop(study / "runs" / "tiny"), after.pop(study / "runs" / "tiny")  # the lock came and went
    assert after == before


def test_a_changed_climatology_runs_the_cube_and_what_follows(study, package, capsys):
    path = package / "data" / "climatology_2deg.nc"
    kept = path.read_bytes()
    before = files.read_parquet(study / "runs" / "tiny" / "budget" / "budget.parquet")
    try:
        with netCDF4.Dataset(path, "a") as data:
            values = data["temperature"][:]
            data["temperature"][:] = np.ma.where(np.ma.getmaskarray(values), values, values[..., ::-1, :].filled(5.0))
        assert again(study, capsys) == STEPS[1:]
        after = files.read_parquet(study / "runs" / "tiny" / "budget" / "budget.parquet")
        assert (after["estimate"] != before["estimate"]).any()
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data/ocean_basins.geojson", ["cube", "match", "draws", "map Copepoda", "map Rhizaria", *STEPS[9:]]),
        (
            "environmental_layers/catalogue/salinity.yaml",
            ["cube", "match", "draws", "map Copepoda", "map Rhizaria", *STEPS[9:]],
        ),
        ("environmental_layers/catalogue/wind_speed.yaml", []),
        ("data/taxa.yaml", ["map Copepoda", "map Rhizaria", *STEPS[9:]]),
        ("data/land_110m.geojson", ["figures"]),
        ("figures/stocks.py", ["figures"]),
        ("data/effort_rules.yaml", []),
    ],
)
def test_a_changed_file_of_the_package_runs_what_reads_it(study, package, capsys, name, expected):
    """Rows that come out as they were are not fitted again."""
    path = package / name
    kept = path.read_bytes()
    try:
        path.write_bytes(kept + b"\n")
        assert again(study, capsys) == expected
    finally:
        path.write_bytes(kept)


def test_changed_code_runs_everything(study, capsys, monkeypatch):
    monkeypatch.setattr(progress, "code_hash", lambda: "0" * 64)
    assert again(study, capsys) == STEPS
    origin = files.read_provenance(study / "runs" / "tiny" / "figures" / "stocks.png")
    assert origin.inputs["code of aqqua_dist"] == "0" * 64


def test_changed_observations_of_one_taxon_leave_the_other_alone(study, capsys):
    rows = pd.read_csv(study / "rows.csv")
    rows.loc[rows["taxon"] == "Rhizaria", "biomass"] *= 2
    rows.to_csv(study / "rows.csv", index=False)
    assert again(study, capsys) == ["observe", "match", "draws", "fit Rhizaria", "map Rhizaria", *STEPS[8:]]


def test_a_removed_taxon_is_moved_away_and_the_rest_stays(study, capsys):
    out = study / "runs" / "tiny"
    pipeline.run(opened(study, RECIPE.replace("[Copepoda, Rhizaria]", "[Copepoda]")))
    said = capsys.readouterr().err
    assert steps(said) == ["observe", "match", "draws", *STEPS[8:]]
    assert said.count("belongs to another recipe or version: moved to") == 5
    assert not [path for path in out.rglob("*Rhizaria*") if "old" not in path.relative_to(out).parts]
    moved = {path.relative_to(out / "old").parts[1:] for path in (out / "old").rglob("*Rhizaria*")}
    assert {("map", "Rhizaria_0-200.nc"), ("fit", "Rhizaria_0-200")} <= moved
    assert [target.taxon for target in run_folder.listed(out)] == ["Copepoda"]
    assert set(files.read_parquet(out / "budget" / "budget.parquet")["taxon"]) == {"Copepoda"}
    assert set(files.read_parquet(out / "fit" / "scores.parquet")["taxon"]) == {"Copepoda"}


def test_files_of_an_earlier_layout_are_moved_away(study, capsys):
    out = study / "runs" / "tiny"
    shutil.copy(out / "cube" / "cube.nc", out / "match" / "cube.nc")
    shutil.copytree(out / "observe", out / "match" / "ingest")
    assert again(study, capsys) == []
    assert sorted(path.name for path in (out / "match").iterdir() if path.suffix != ".json") == ["training.parquet"]
    (when,) = (out / "old").iterdir()
    assert {path.name for path in (when / "match").iterdir()} == {"cube.nc", "ingest"}


def test_stopping_early_on_a_finished_run_forgets_nothing(study, capsys):
    before = (study / "runs" / "tiny" / "targets.json").read_bytes()
    pipeline.run(opened(study), stop_after="fit")
    assert steps(capsys.readouterr().err) == []
    assert (study / "runs" / "tiny" / "targets.json").read_bytes() == before


def test_files_of_the_user_are_left_where_they_are(study, capsys):
    (study / "runs" / "tiny" / "map" / "notes.txt").write_text("mine")
    (study / "runs" / "tiny" / "figures" / "mine.png").write_bytes(b"not ours")
    assert again(study, capsys) == []
    assert (study / "runs" / "tiny" / "map" / "notes.txt").exists()
    assert (study / "runs" / "tiny" / "figures" / "mine.png").exists()


@pytest.mark.parametrize("verb", ["compare", "figures"])
@pytest.mark.parametrize(
    ("old", "new", "section"),
    [
        ("figures: [stocks]", "figures: [stocks]\nbudget: {interval_widening: 4}", "budget"),
        ("bottom: 200", "bottom: 100", "zones"),
        ("[Copepoda, Rhizaria]", "[Copepoda]", "taxa"),
    ],
)
def test_a_run_of_another_recipe_is_neither_drawn_nor_compared(study, verb, old, new, section):
    (study / "tiny.yaml").write_text(RECIPE.replace(old, new))
    before = (study / "runs" / "tiny" / "figures" / "stocks.png").read_bytes()
    done = CliRunner().invoke(main, [verb, str(study / "tiny.yaml"), "--runs", str(study / "runs")])
    assert done.exit_code == 2
    assert f"({section} differ): run 'aqqua-dist run'" in done.output
    assert done.output.count("\n") == 1
    assert (study / "runs" / "tiny" / "figures" / "stocks.png").read_bytes() == before


def test_a_comment_makes_no_other_recipe(study):
    (study / "tiny.yaml").write_text(RECIPE + "# a comment\n")
    done = CliRunner().invoke(main, ["figures", str(study / "tiny.yaml"), "--runs", str(study / "runs"), "--quiet"])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [str(study / "runs" / "tiny" / "figures" / "stocks.png")]


def test_a_run_that_was_stopped_on_its_way_is_not_drawn(study):
    rows = pd.read_csv(study / "rows.csv")
    rows.assign(biomass=rows["biomass"] * 3).to_csv(study / "rows.csv", index=False)
    context = opened(study)
    pipeline.run(context, stop_after="match")
    with pytest.raises(UserError, match="targets.json' does not exist"):
        pipeline.figures(context)
    pipeline.run(context, stop_after="map")
    with pytest.raises(UserError, match="the budget of 2 maps is not that of the 2 targets"):
        pipeline.compare(context)


def test_two_writers_of_one_study_are_one_too_many(study):
    lock = study / "runs" / "tiny" / "run.lock"
    lock.write_text(json.dumps({"pid": os.getpid(), "host": platform.node()}))
    for verb in ("run", "figures", "compare"):
        done = CliRunner().invoke(main, [verb, str(study / "tiny.yaml"), "--runs", str(study / "runs")])
        assert done.exit_code == 2
        assert f"process {os.getpid()} on host {platform.node()!r}" in done.output
    assert lock.exists()


def test_names_that_look_alike_each_have_a_stock(tmp_path):
    names = ("a b", "a_b", "Oithona sp.", "Oithona/sp.", "T" * 300, "copepoda", "Copepoda")
    write_rows(tmp_path, names)
    context = opened(tmp_path, RECIPE.replace("taxa: [Copepoda, Rhizaria]\n", ""))
    report = pipeline.run(context, stop_after="budget")
    assert list(report.values()).count("done") == len(names)
    budget = files.read_parquet(context.out / "budget" / "budget.parquet")
    assert set(budget["taxon"]) == set(names)
    assert set(budget["members"]) == {3}
    assert budget[budget["region_set"] == "global"]["estimate"].nunique() == len(names)
    assert len(list((context.out / "map").glob("*.nc"))) == len(names)


def test_equal_keys_are_refused(study, monkeypatch):
    monkeypatch.setattr("aqqua_dist.recipe.context.target_key", lambda taxon, zone: "same")
    with pytest.raises(UserError, match="'Copepoda 0-200' and 'Rhizaria 0-200' would both be written to .*'same'"):
        pipeline.run(opened(study), force=True)


def test_a_refused_target_is_not_tried_twice(tmp_path, capsys, monkeypatch):
    write_rows(tmp_path)
    rows = pd.read_csv(tmp_path / "rows.csv")
    rows.loc[rows["taxon"] == "Rhizaria", "biomass"] = 0.0
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for ran in (True, False):
        with pytest.warns(MethodWarning, match="Rhizaria 0-200 is left out: all .* training rows are zero"):
            pipeline.run(opened(tmp_path), stop_after="fit")
        assert ("fit Rhizaria" in steps(capsys.readouterr().err)) is ran
        refused = run_folder.listed(tmp_path / "runs" / "tiny")[1]
        assert (refused.taxon, refused.state) == ("Rhizaria", "refused")


def test_inputs_of_every_file_are_real_hashes(finished):
    out = finished / "runs" / "tiny"
    rows = {"rows.csv": sha256((finished / "rows.csv").read_bytes()).hexdigest()}
    for name in ("figures/stocks.png", "budget/budget.parquet", "fit/scores.csv", "map/Copepoda_0-200.nc"):
        inputs = files.read_provenance(out / name).inputs
        assert {"rows.csv", "climatology_2deg.nc", "catalogue/salinity.yaml", "code of aqqua_dist"} <= set(inputs), name
        assert all(len(value) in (32, 64) for value in inputs.values())
        assert rows.items() <= inputs.items()
    budget = json.loads((out / "budget" / "budget.done.json").read_text())
    assert files.read_provenance(out / "compare.csv").inputs["stage budget"] == budget["key"]
    mapped = json.loads((out / "map" / "Copepoda_0-200.done.json").read_text())
    assert files.read_provenance(out / "budget" / "budget.csv").inputs["stage map Copepoda_0-200"] == mapped["key"]


def test_the_area_of_applicability_of_a_map_is_the_file_of_its_fit(study, monkeypatch):
    def refuse(*given):
        raise AssertionError("fitted outside the fit")

    monkeypatch.setattr(fit, "applicability", refuse)
    monkeypatch.setattr(fit, "prepare", refuse)
    before = files.read_netcdf(study / "runs" / "tiny" / "map" / "Copepoda_0-200.nc")
    (study / "runs" / "tiny" / "map" / "Copepoda_0-200.done.json").unlink()
    context = opened(study)
    pipeline.run(context, stop_after="map")
    assert files.read_netcdf(context.out / "map" / "Copepoda_0-200.nc").equals(before)
    used = files.read_parquet(context.out / "fit" / "Copepoda_0-200" / "training.parquet")
    whole = files.read_parquet(context.out / "match" / "training.parquet")
    own = whole[whole["taxon"] == "Copepoda"].reset_index(drop=True)
    pd.testing.assert_frame_equal(used, own)


def test_a_title_is_written_anew_without_a_new_number(study, capsys):
    path = study / "runs" / "tiny" / "map" / "Copepoda_0-200.nc"
    before = files.read_netcdf(path)
    context = opened(study, RECIPE.replace("A tiny study", "Another study"))
    pipeline.run(context)
    said = capsys.readouterr().err
    assert steps(said) == [] and steps(said, "described anew") == ["map Copepoda", "map Rhizaria"]
    after = files.read_netcdf(path)
    assert after.equals(before)
    assert after.attrs["title"] == "Another study: Copepoda, 0-200 m"
    changed = {name for name in before.attrs if before.attrs[name] != after.attrs.get(name)}
    assert {"title", "summary", "project", "recipe", "aqqua_dist_provenance"} <= changed
    assert changed <= {*changed, "history", "date_created"} and set(before.attrs) == set(after.attrs)
    assert changed - {"history", "date_created"} == {"title", "summary", "project", "recipe", "aqqua_dist_provenance"}


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
from aqqua_dist.cli import main
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes")
def test_a_full_disk_is_one_sentence_and_leaves_no_half(tmp_path, project_root):
    write_rows(tmp_path)
    (tmp_path / "tiny.yaml").write_text(RECIPE.replace("resolution: 10", "resolution: 2"))
    words = ["run", str(tmp_path / "tiny.yaml"), "--runs", str(tmp_path / "runs"), "--stop-after", "cube", "--quiet"]
    env = os.environ | {"PYTHONPATH": str(project_root)}
    done = subprocess.run([sys.executable, "-c", LIMITED, *words], capture_output=True, text=True, env=env)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("aqqua-dist: ") and "cube.nc" in line
    assert [path.name for path in (tmp_path / "runs" / "tiny" / "cube").iterdir()] == []
    assert not (tmp_path / "runs" / "tiny" / "run.lock").exists()
