"""Members of one taxon fitted, mapped and summarised: this package against the plain xgboost loop.

Case `drago`: the authors' Copepoda rows, 0-200 m, published settings, map of 39 698 cells.
Case `rows`: made-up rows × 25 predictors, Poisson, 300 trees of depth 5, bootstrap members, map of 20 000 cells.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import xgboost as xgb

from aqqua_dist.core.seeds import legacy_members
from aqqua_dist.habitat_models.boosting import Settings
from aqqua_dist.habitat_models.members import MemberPlan, fit_members
from aqqua_dist.habitat_models.resampling import stratified_folds
from aqqua_dist.maps.prediction import Domain, predict
from aqqua_dist.maps.products import Product, identity

PREDICTORS = [f"mean.{v}" for v in ("temperature", "salinity", "silicate", "phosphate", "nitrate", "oxygen", "chla")]
PREDICTORS += ["bathymetry", "dist"]
DATA = Path(os.environ.get("AQQUA_DIST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TREES = {"rounds": 222, "learning_rate": 0.075, "max_depth": 4, "min_child_weight": 3.0, "subsample": 0.5}


Case = namedtuple("Case", "X y plan cells volume")


def drago(members):
    folder = DATA / "drago2022"
    if not folder.is_dir():
        sys.exit(f"no data at {folder}: set AQQUA_DIST_DATA to the folder that holds drago2022/")
    train = pd.read_csv(folder / "d_train_Copepoda_0_200m.csv.gz")
    grid = pd.read_csv(folder / "env_grid_0_200m.csv.gz")
    folds = stratified_folds(train["biomass_quant"], 5, -(-members // 5), seed=1)[:members]
    plan = MemberPlan(
        [rows for rows, _ in folds], Settings(**TREES, tree_method="exact", base_score=0.5, label_scale=1000.0), seed=1
    )
    north, south = np.radians(grid["lat"].to_numpy() + 0.5), np.radians(grid["lat"].to_numpy() - 0.5)
    volume = np.radians(1) * 6378137.0**2 * (np.sin(north) - np.sin(south)) * 200
    X, cells = train[PREDICTORS].to_numpy("float32"), grid[PREDICTORS].to_numpy("float32")
    return Case(X, train["biomass_count"].to_numpy(float) / 1000.0, plan, cells, volume)


def made_up(members, n):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 25)).astype("float32")
    y = rng.poisson(np.exp(1 + X[:, 0] - 0.3 * X[:, 1] ** 2 + 0.3 * X[:, 2] * X[:, 3])).astype(float)
    settings = Settings(
        rounds=300, max_depth=5, learning_rate=0.1, min_child_weight=1.0, subsample=1.0, base_score=float(y.mean()),
        label_scale=1.0,
    )  # fmt: skip
    cells = rng.normal(size=(20_000, 25)).astype("float32")
    return Case(X, y, MemberPlan(list(rng.integers(0, n, (members, n))), settings, seed=1), cells, np.ones(20_000))


def ours(case):
    ensemble = fit_members(case.X, case.y, case.plan, jobs=2, progress=False)
    where = Domain(case.cells[None], np.arange(len(case.cells)), case.volume, case.volume, None)
    kept = {"map": Product(identity, ("map",), where.cells, lambda a, b: case.volume[a:b, None])}
    fields, totals = predict({"map": (ensemble, where)}, kept, jobs=2, progress=False)["map"]
    return {k: fields[k].ravel() for k in ("mean", "sd", "q025", "q50", "q975")} | {"total": totals[:-1, 0]}


def plain_loop(case):
    settings, maps = case.plan.settings, []
    names = ("objective", "learning_rate", "max_depth", "min_child_weight", "subsample", "tree_method", "base_score")
    for rows, seed in zip(case.plan.members, legacy_members(case.plan.seed, len(case.plan.members)), strict=True):
        params = {name: getattr(settings, name) for name in names}
        params |= {"nthread": 2, "seed": seed, "seed_per_iteration": True}
        labels = case.y[rows] * settings.label_scale
        booster = xgb.train(params, xgb.DMatrix(case.X[rows], labels), settings.rounds)
        maps.append(booster.predict(xgb.DMatrix(case.cells)) / settings.label_scale)
    maps = np.stack(maps)
    low, middle, high = np.quantile(maps, [0.025, 0.5, 0.975], axis=0)
    summary = {"mean": maps.mean(axis=0), "sd": maps.std(axis=0, ddof=1), "q025": low, "q50": middle, "q975": high}
    return summary | {"total": maps @ case.volume}


def check(case, first, second):
    """Equal to rounding; where a member repeats rows the histograms differ, so the maps are compared instead."""
    if case.plan.settings.tree_method == "exact":
        for name in first:
            np.testing.assert_allclose(first[name], second[name], rtol=2e-4, err_msg=name)
        return "all fields equal to 2e-4"
    correlation = np.corrcoef(first["mean"], second["mean"])[0, 1]
    ratio = first["total"].mean() / second["total"].mean()
    assert correlation > 0.995 and abs(ratio - 1) < 0.02, (correlation, ratio)
    return f"map correlation {correlation:.5f}, totals {ratio:.4f}"


def timed(function, case):
    wall, cpu = time.perf_counter(), time.process_time()
    result = function(case)
    return time.perf_counter() - wall, time.process_time() - cpu, result


def memory(entry):
    """Entry of the kernel's account of this process (MiB); Linux only."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[entry].split()[0]) / 1024


def peak_memory(members, repeats):
    """Memory in MiB of a fresh process: held before our path, and its peak; `repeats` copies of the cells."""
    command = [sys.executable, __file__, "--memory-of", str(members), str(repeats)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=["drago", "rows"], default="drago")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of case `rows`")
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory-of", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory_of:
        case = drago(given.memory_of[0])
        copies = given.memory_of[1]
        case = case._replace(cells=np.tile(case.cells, (copies, 1)), volume=np.tile(case.volume, copies))
        before = memory("VmRSS")
        ours(case)
        print(json.dumps([before, memory("VmHWM")]))
        return
    case = drago(given.members) if given.case == "drago" else made_up(given.members, given.rows)
    agreed = check(case, ours(case), plain_loop(case))
    times = {"ours": [], "plain loop": []}
    for _ in range(given.rounds):
        for name, function in (("ours", ours), ("plain loop", plain_loop)):
            times[name].append(timed(function, case)[:2])
    middle = {name: [median(column) for column in zip(*seen, strict=True)] for name, seen in times.items()}
    size = f"{len(case.X)} rows, {given.members} members, {len(case.cells)} cells"
    report = {"size": size, "agreement": agreed, "seconds": times, "median_wall_cpu": middle}
    print(f"{given.case}: {size}; {agreed}\n\n| path | wall s | CPU s |\n|---|---|---|")
    for name, (wall, cpu) in middle.items():
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |")
    ratio = [slow / quick for slow, quick in zip(middle["plain loop"], middle["ours"], strict=True)]
    print(f"| plain loop / ours | {ratio[0]:.2f} | {ratio[1]:.2f} |")
    if given.case == "drago":
        report["peak_memory_mib"] = {f"{m} members, {r} x cells": peak_memory(m, r) for r in (1, 12) for m in (20, 100)}
        print("\n| peak memory of our path | before MiB | peak MiB |\n|---|---|---|")
        for name, (before, peak) in report["peak_memory_mib"].items():
            print(f"| {name} | {before:.0f} | {peak:.0f} |")
    if given.out:
        given.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
