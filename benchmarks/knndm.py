"""kNNDM folds: time and memory at 100 000 rows, and the error that they promise against the true error.

Rows are strewn around made cruise tracks on the sphere, cells are a 1 degree grid. With the above-ground biomass
benchmark of Linnenbrink et al. 2024 (doi 10.5194/gmd-17-5897-2024) a forest is validated under the folds, and the
relative bias of the pooled RMSE against the published true RMSE of the same realisations stands beside the published
one of CAST. The forest is scikit-learn's with the published settings and fewer trees.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

from aqqua_dist.core.grid import cell_area, regular_grid
from aqqua_dist.validation.knndm import matched_folds, unit_vectors
from aqqua_dist.validation.schemes import splits

DATA = Path(os.environ.get("AQQUA_DIST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
DESIGNS = ("clusterStrong", "clusterGapped", "clusterMedium", "simpleRandom", "regular")
FOLDS, FEATURES, SMALLEST_SPLIT = 10, 4, 6


def tracks(rows, seed=0):
    """Places along 300 crooked tracks, as unit vectors."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 300, rows)
    along = rng.random(rows)
    lat = rng.uniform(-65, 65, 300)[start] + 15 * along + 0.2 * rng.normal(size=rows)
    lon = rng.uniform(-180, 180, 300)[start] + 20 * np.sin(3 * along) + 0.2 * rng.normal(size=rows)
    return unit_vectors(np.clip(lat, -89, 89), lon)


def speed(rows):
    """Seconds, peak memory (GiB, of the whole process) and W (km) of the folds of many rows."""
    area = cell_area(*regular_grid(1))
    lat, lon = np.meshgrid(area["lat"], area["lon"], indexing="ij")
    cells, points = unit_vectors(lat.ravel(), lon.ravel()), tracks(rows)
    begin, cpu = time.perf_counter(), time.process_time()
    found = matched_folds(points, cells, 5, 0, weights=area.to_numpy().ravel())
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "rows": rows,
        "cells": len(cells),
        "seconds": seconds,
        "CPU seconds": cpu,
        "peak GiB": peak,
        "W km": found.distance / 1e3,
        "clusters": found.n_clusters,
    }


def pooled_rmse(X, y, folds, trees):
    """RMSE of all held-out predictions together."""
    predicted = np.empty(len(y))
    for number, (train, test) in enumerate(splits(folds)):
        forest = RandomForestRegressor(
            trees, max_features=FEATURES, min_samples_split=SMALLEST_SPLIT, random_state=number, n_jobs=1
        )
        predicted[test] = forest.fit(X[train], y[train]).predict(X[test])
    return float(np.sqrt(np.mean((predicted - y) ** 2)))


def biomass(design, realisation, trees):
    """Error estimates of one realisation beside the published ones."""
    folder = DATA / "validation" / "knndm_agb"
    table = pd.read_parquet(folder / design / f"AGBdata{realisation:03d}.parquet")
    X = pd.get_dummies(table.drop(columns="agb"), columns=["glc2017"]).to_numpy("float32")
    y = table["agb"].to_numpy()
    published = pd.read_csv(folder / "published_rmse.csv").query("design == @design and rep == @realisation")
    published = published.set_index("method")["RMSE"]
    points, cells = table[["xcoord", "ycoord"]].to_numpy() * 1000, pd.read_csv(folder / "ppoints.csv").to_numpy()
    found = matched_folds(points, cells, FOLDS, realisation, length=np.asarray)
    random = np.random.default_rng(realisation).permutation(np.arange(len(y)) % FOLDS)
    return {
        "design": design,
        "realisation": realisation,
        "true": published["exhaustive"],
        "ours": pooled_rmse(X, y, found.folds, trees),
        "CAST": published["knndm"],
        "random, ours": pooled_rmse(X, y, random, trees),
        "random, published": published["random"],
        "W km": found.distance / 1e3,
        "clusters": found.n_clusters,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--designs", nargs="*", default=DESIGNS, choices=DESIGNS)
    parser.add_argument("--trees", type=int, default=500, help="the published forests have 500")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    report = {"speed": speed(given.rows), "biomass": []}
    print("| " + " | ".join(report["speed"]) + " |\n" + "|---" * len(report["speed"]) + "|")
    print("| " + " | ".join(f"{value:.4g}" for value in report["speed"].values()) + " |\n", flush=True)
    if (DATA / "validation" / "knndm_agb").is_dir():
        for design in given.designs:
            for realisation in (1, 2):
                report["biomass"].append(biomass(design, realisation, given.trees))
                print(report["biomass"][-1], flush=True)
        table = pd.DataFrame(report["biomass"])
        mean = table.groupby("design", sort=False).mean().drop(columns="realisation")
        for name in ("ours", "CAST"):
            mean[f"bias of {name} %"] = 100 * (mean[name] / mean["true"] - 1)
        print("\n" + mean.round(2).to_string())
    else:
        print(f"biomass: skipped, no data at {DATA}; set AQQUA_DIST_DATA to the folder that holds validation/")
    if given.out:
        given.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
