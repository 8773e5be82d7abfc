"""The verbs, on a small study: plans, skips, changes, a killed run."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from aqqua_dist import cli
from aqqua_dist.cli import main
from aqqua_dist.core import files
from aqqua_dist.core.errors import MethodWarning, OnceWarning

ROOT = Path(__file__).resolve().parent.parent
RECIPE = """\
study: small
title: A small virtual survey
taxa: [virtual copepod, virtual salp]
zones:
  - {name: 0-200, top: 0, bottom: 200}
grid: {resolution: 5, clip_at_sea_floor: true}
observations: {kind: virtual, quantity: carbon_biomass, cruises: 20, cruise_sd: 0.3}
predictors: {kind: layers, names: [temperature, salinity, wind_speed, solar_radiation, bathymetry, distance_to_coast]}
model: {objective: "count:poisson", effort_weight: true, rounds: 20, learning_rate: 0.2}
members: {scheme: cruise_bootstrap, n: 4}
validation: {folds: 3, block_size: 20}
figures: [stocks]
"""
STEPS = [
    "cube",
    "observe",
    "match",
    "fit virtual copepod",
    "map virtual copepod",
    "fit virtual salp",
    "map virtual salp",
    "scores",
    "budget",
    "compare",
    "figures",
]
MAPS = ["map virtual copepod", "map virtual salp"]
END = ["budget", "compare", "figures"]


def call(folder, *words, text=RECIPE):
    (folder / "small.yaml").write_text(text)
    verb, *more = words
    done = CliRunner().invoke(main, [verb, str(folder / "small.yaml"), "--runs", str(folder / "runs"), *more])
    assert done.exit_code == 0, done.output
    return done


def steps(done, what):
    return [
        step for step in STEPS for line in done.stderr.splitlines() if line.startswith(step) and line.endswith(what)
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    return folder, call(folder, "run")


def test_run_does_every_stage_once(finished):
    folder, done = finished
    assert steps(done, "running") == STEPS
    first, *stocks = done.stdout.strip().splitlines()
    assert re.fullmatch(rf"results are in {re.escape(str(folder / 'runs' / 'small'))}, after \d+\.\d s", first)
    budget = files.read_parquet(folder / "runs" / "small" / "budget" / "budget.parquet").query("region == 'global'")
    assert len(stocks) == len(budget) == 2
    for line, total in zip(stocks, budget.itertuples(), strict=True):
        taxon, *shown, low, high = re.fullmatch(
            r"(.*) 0-200: (\S+) (\S+ C) \(95 % interval (\S+) to (\S+)\)", line
        ).groups()
        assert (taxon, shown[1]) == (total.taxon, total.units)
        numbers = [float(shown[0]), float(low), float(high)]
        assert numbers == pytest.approx([total.estimate, total.low, total.high], rel=5e-3)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (90, "1.5 min"), (3590, "1 h 0 min"), (9000, "2 h 30 min")],
)
def test_elapsed_time(seconds, text):
    assert cli._duration(seconds) == text


def test_a_run_that_stops_early_prints_no_stock(tmp_path):
    done = call(tmp_path, "run", "--stop-after", "cube")
    assert re.fullmatch(r"results are in \S+, after \S+ s", done.stdout.strip())


def test_a_second_run_skips_every_stage_and_says_so(finished):
    folder, _ = finished
    again = call(folder, "run")
    assert steps(again, "unchanged, skipped") == STEPS
    assert steps(again, "running") == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("figures: [stocks]", "figures: [stocks]\nbudget: {interval_widening: 2}", END),
        ("figures: [stocks]", "figures: [stocks]\nbudget: {latitude_band: 30}", [*MAPS, *END]),
        ("rounds: 20", "rounds: 21", STEPS[3:]),
        ("folds: 3", "folds: 4", STEPS[3:]),
        ("block_size: 20", "block_size: 30", STEPS[2:]),
        ("title: A small", "title: Another small", []),
        ("figures: [stocks]", "figures: [latitude_curves]", ["figures"]),
    ],
)
def test_a_change_runs_what_depends_on_it(finished, tmp_path, old, new, expected):
    """Folds change scores, blocks the area of applicability too; a title stands in the maps only."""
    shutil.copytree(finished[0] / "runs", tmp_path / "runs")
    changed = call(tmp_path, "run", text=RECIPE.replace(old, new))
    assert steps(changed, "running") == expected
    assert steps(changed, "described anew") == (MAPS if "title" in old else [])
    unchanged = [step for step in STEPS if step not in expected and not ("title" in old and step in MAPS)]
    assert steps(changed, "unchanged, skipped") == unchanged


def test_force_and_stop_after(tmp_path):
    first = call(tmp_path, "run", "--stop-after", "fit")
    assert steps(first, "running") == [*STEPS[:3], "fit virtual copepod", "fit virtual salp", "scores"]
    assert not (tmp_path / "runs" / "small" / "map").exists()
    rest = call(tmp_path, "run", "--stop-after", "budget")
    assert steps(rest, "running") == [*MAPS, "budget"]
    assert steps(call(tmp_path, "run", "--force"), "running") == STEPS


def test_check_prints_the_plan_and_writes_nothing(tmp_path):
    done = call(tmp_path, "check")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "study",
        "observe",
        "cube",
        "match",
        "fit",
        "map",
        "budget",
        "figures",
        "outputs",
    ]
    assert not (tmp_path / "runs").exists()


def test_compare_prints_the_truth_beside_ours(finished):
    folder, _ = finished
    done = call(folder, "compare")
    table = pd.read_csv(folder / "runs" / "small" / "compare.csv")
    stocks = table[table["statistic"] == "stock"]
    assert len(stocks) == 2
    for value in stocks["published"]:
        assert f"{value:.4g}" in done.stdout
    assert "truth of the virtual survey" in done.stdout
    assert "log-normal 95 % interval" in done.stdout


def test_figures_are_drawn_again_from_the_files(finished):
    folder, _ = finished
    path = folder / "runs" / "small" / "figures" / "stocks.png"
    before = path.stat().st_mtime_ns
    done = call(folder, "figures")
    assert str(path) in done.stdout
    assert path.stat().st_mtime_ns > before


@pytest.mark.parametrize("verb", ["compare", "figures"])
def test_verbs_that_need_a_run_say_so(tmp_path, verb):
    (tmp_path / "small.yaml").write_text(RECIPE)
    done = CliRunner().invoke(main, [verb, str(tmp_path / "small.yaml"), "--runs", str(tmp_path / "runs")])
    assert done.exit_code == 2
    assert "does not exist; run the stage that writes it" in done.output
    assert done.output.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["check", "nothing"], "recipe 'nothing' is neither a file nor a shipped recipe; shipped are: demo, drago2022"),
        (["run"], "Missing argument 'RECIPE'"),
        (["fly", "demo"], "No such command 'fly'"),
        (["run", "demo", "--jobs", "0"], "0 is not in the range x>=1"),
        (["run", "demo", "--stop-after", "lunch"], "'lunch' is not one of"),
    ],
)
def test_wrong_words_are_one_message(words, shown):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert shown in done.output
    assert "Traceback" not in done.output


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "runs").write_text("a file where the folder should be")
    done = CliRunner().invoke(main, ["run", str(tmp_path / "small.yaml"), "--runs", str(tmp_path / "runs"), "--quiet"])
    assert done.exit_code == 2
    assert done.output.strip().splitlines()[-1].startswith("aqqua-dist: Not a directory: ")
    assert "Traceback" not in done.output


def test_schema_is_json():
    done = CliRunner().invoke(main, ["schema"])
    assert json.loads(done.output)["title"] == "Recipe"


def test_a_killed_run_continues(finished, tmp_path):
    """Killed as soon as the first target is fitted; the next run skips it and ends with the same numbers."""
    (tmp_path / "small.yaml").write_text(RECIPE)
    command = [
        sys.executable,
        "-m",
        "aqqua_dist",
        "run",
        str(tmp_path / "small.yaml"),
        "--runs",
        str(tmp_path / "runs"),
    ]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    out, limit = tmp_path / "runs" / "small", time.monotonic() + 120
    while not (out / "fit" / "virtual_copepod_0-200-129749f6.done.json").exists() and time.monotonic() < limit:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert (out / "fit" / "virtual_copepod_0-200-129749f6.done.json").exists()
    assert not (out / "budget" / "budget.done.json").exists()
    for path in out.rglob("*.parquet"):
        files.read_parquet(path)  # whole, all of them
    again = call(tmp_path, "run")
    assert {"match", "fit virtual copepod"} <= set(steps(again, "unchanged, skipped"))
    assert steps(again, "running")[-3:] == END
    folder, _ = finished
    for name in ("budget/budget.parquet", "fit/scores.parquet", "match/training.parquet"):
        pd.testing.assert_frame_equal(
            files.read_parquet(out / name), files.read_parquet(folder / "runs" / "small" / name)
        )


def test_what_holds_for_a_whole_run_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr(cli, "_SAID", set())
    for category, text in (
        (OnceWarning, "the error of the volume of 6 of 6 samples"),
        (OnceWarning, "the error of the volume of 2 of 2 samples"),
        (MethodWarning, "target 1 is left out"),
        (MethodWarning, "target 2 is left out"),
        (OnceWarning, "something else of 2"),
    ):
        cli._show_warning(category(text), category, "file", 1)
    told = capsys.readouterr().err.splitlines()
    assert [line[:30] for line in told] == [
        "warning: the error of the volu",
        "warning: target 1 is left out",
        "warning: target 2 is left out",
        "warning: something else of 2",
    ]
