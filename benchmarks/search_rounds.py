"""Settings search of Drago et al. 2022: growing resamples together against a plain loop of all rounds.

The plain loop is `xgboost.train` for every setting and resample with 600 rounds; both select the same rounds.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import xgboost as xgb

from aqqua_dist.core.seeds import legacy_members
from aqqua_dist.habitat_models.drago2022_search import SearchPlan, grid_search, select_rounds
from aqqua_dist.habitat_models.resampling import stratified_folds

PREDICTORS = [f"mean.{v}" for v in ("temperature", "salinity", "silicate", "phosphate", "nitrate", "oxygen", "chla")]
PREDICTORS += ["bathymetry", "dist"]
DATA = Path(os.environ.get("AQQUA_DIST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
GRID = [(eta, depth, mcw) for eta in (0.05, 0.075, 0.1) for depth in (2, 4, 6) for mcw in (1, 3, 5)]


def training_rows():
    path = DATA / "drago2022" / "d_train_Copepoda_0_200m.csv.gz"
    if not path.is_file():
        sys.exit(f"no data at {path}: set AQQUA_DIST_DATA to the folder that holds drago2022/")
    table = pd.read_csv(path)
    return table[PREDICTORS].to_numpy("float32"), table["biomass_count"].to_numpy(float), table["biomass_quant"]


def ours(X, y, folds, grid):
    """Selected rounds and their loss, setting by setting."""
    found = []
    for eta, depth, mcw in grid:
        plan = SearchPlan(folds, (eta,), (depth,), (mcw,), seed=0)
        row = grid_search(X, y, plan, jobs=2, progress=False).table.iloc[0]
        found.append((int(row["rounds"]), float(row["loss"])))
    return found


def plain_loop(X, y, folds, grid):
    found = []
    for eta, depth, mcw in grid:
        losses = []
        for (train, held), seed in zip(folds, legacy_members(0, len(folds)), strict=True):
            params = {
                "objective": "count:poisson",
                "eta": eta,
                "max_depth": depth,
                "min_child_weight": mcw,
                "subsample": 0.5,
            }
            params |= {
                "tree_method": "exact",
                "base_score": 0.5,
                "seed": seed,
                "seed_per_iteration": True,
                "nthread": 2,
            }
            curve, watched = {}, [(xgb.DMatrix(X[held], y[held]), "held")]
            rows = xgb.DMatrix(X[train], y[train])
            xgb.train(params, rows, 600, evals=watched, evals_result=curve, verbose_eval=False)
            losses.append(curve["held"]["poisson-nloglik"])
        losses = np.array(losses)
        mean, se = losses.mean(axis=0), losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
        kept = select_rounds(mean, se).kept
        found.append((kept, float(mean[kept - 1])))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=int, default=27, help="settings of the grid, spread evenly")
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of the comparison after the warm-up")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    X, y, strata = training_rows()
    folds = stratified_folds(strata, 5, -(-given.resamples // 5), seed=0)[: given.resamples]
    grid = [GRID[k] for k in np.unique(np.linspace(0, 26, given.settings).astype(int))]
    first, second = ours(X, y, folds, grid), plain_loop(X, y, folds, grid)
    if first != second:
        sys.exit(f"selected rounds and losses differ: {first} and {second}")
    times = {"ours": [], "plain loop": []}
    for _ in range(given.rounds):
        for name, function in (("ours", ours), ("plain loop", plain_loop)):
            wall, cpu = time.perf_counter(), time.process_time()
            function(X, y, folds, grid)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    middle = {name: [median(column) for column in zip(*seen, strict=True)] for name, seen in times.items()}
    print(f"{len(grid)} settings, {len(folds)} resamples; selected rounds equal: {[rounds for rounds, _ in first]}\n")
    print("| path | wall s | CPU s |\n|---|---|---|")
    for name, (wall, cpu) in middle.items():
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |")
    ratio = [slow / quick for slow, quick in zip(middle["plain loop"], middle["ours"], strict=True)]
    print(f"| plain loop / ours | {ratio[0]:.2f} | {ratio[1]:.2f} |")
    if given.out:
        report = {
            "settings": grid,
            "resamples": len(folds),
            "selected": first,
            "seconds": times,
            "median_wall_cpu": middle,
        }
        given.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
