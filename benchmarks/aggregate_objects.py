"""Counts and summed biovolume per sample, depth bin and class, sorted and shuffled objects.

Peers in the same run: duckdb, polars (streaming), dask.dataframe. Each contender runs in a process of its own, interleaved, after a warm-up;
results are compared. `--scale` measures time and memory of ours for 1, 3, 10, ... million objects and extrapolates in a straight line.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aqqua_dist.counts import partitions, tallies
from aqqua_dist.counts.links import links_of

SAMPLES, BINS, CLASSES, GROUP = 20_000, 22, 120, 2**20
TOTAL = 7.5e9
"""Images of the collection to which the straight line is drawn."""


def make(path, rows, order):
    """Objects with four columns: cast, depth, class, diameter."""
    casts = pa.array([f"cast{k:05d}" for k in range(SAMPLES)])
    classes = pa.array([f"class {k:03d}" for k in range(CLASSES)])
    schema = pa.schema(
        [("sample_id", pa.string()), ("depth", pa.float64()), ("label", pa.string()), ("esd", pa.float64())]
    )
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["sample_id", "label"]) as writer:
        for start in range(0, rows, GROUP):
            count, rng = min(GROUP, rows - start), np.random.default_rng(start)
            cast = rng.integers(0, SAMPLES, count)
            depth = rng.integers(0, BINS * 500, count) / 100
            if order == "sorted":
                cast = (
                    np.sort(np.linspace(start, start + count, count) * SAMPLES / max(rows, 1))
                    .astype(int)
                    .clip(0, SAMPLES - 1)
                )
                depth = depth[np.lexsort((depth, cast))]
            columns = [
                casts.take(pa.array(cast)),
                pa.array(depth),
                classes.take(pa.array(rng.integers(0, CLASSES, count))),
                pa.array(rng.lognormal(5, 1, count).clip(max=5e4).round(1)),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def bins():
    """Samples: the 5 m bins of every cast."""
    cast = np.repeat([f"cast{k:05d}" for k in range(SAMPLES)], BINS)
    top = np.tile(np.arange(BINS) * 5.0, SAMPLES)
    return pd.DataFrame(
        {
            "sample_id": [f"{c}_{t:g}" for c, t in zip(cast, top, strict=True)],
            "profile": cast,
            "depth_top": top,
            "depth_bottom": top + 5,
            "volume": 0.1,
        }
    )


def ours(path, memory=2**30):
    groups = partitions.groups_of([path])
    links = links_of(bins())
    axes = tallies.Axes(tuple(links.keys), partitions.labels_of(groups), 1)
    options = partitions.CountOptions(statuses=(), sizes=False, memory=memory)
    with tempfile.TemporaryDirectory() as folder:
        sums = partitions.run_groups(groups, axes, links, options, state=Path(folder) / "state")
    return len(sums.slots), int(sums.n.sum()), float((sums.volume * tallies.VOLUME_UNIT).sum())


def with_duckdb(path):
    import duckdb

    query = f"""select sample_id, cast(floor(depth / 5) as tinyint) b, label, count(*) n, sum(pi() / 6e9 * esd * esd * esd) v
                from read_parquet('{path}') group by all"""
    table = duckdb.connect(config={"threads": 2}).execute(query).to_arrow_table()
    return len(table), table["n"].to_numpy().sum().item(), table["v"].to_numpy().sum().item()


def with_polars(path):
    import polars as pl

    table = (
        pl.scan_parquet(path)
        .group_by("sample_id", (pl.col("depth") / 5).floor().cast(pl.Int8).alias("b"), "label")
        .agg(n=pl.len(), v=(pl.col("esd") ** 3).sum() * (np.pi / 6e9))
        .collect(engine="streaming")
    )
    return len(table), int(table["n"].sum()), float(table["v"].sum())


def with_dask(path):
    import dask
    import dask.dataframe as dd

    dask.config.set(scheduler="threads", num_workers=2)
    frame = dd.read_parquet(path, split_row_groups=8)
    frame["b"] = (frame["depth"] // 5).astype("int8")
    frame["v"] = frame["esd"] ** 3 * (np.pi / 6e9)
    table = frame.groupby(["sample_id", "b", "label"]).agg({"v": ["count", "sum"]}, split_out=8).compute()
    return len(table), int(table[("v", "count")].sum()), float(table[("v", "sum")].sum())


CONTENDERS = {"aqqua-dist": ours, "duckdb": with_duckdb, "polars streaming": with_polars, "dask.dataframe": with_dask}


def alone(name, path):
    words = [sys.executable, __file__, "--one", name, "--file", str(path)]
    done = subprocess.run(words, capture_output=True, text=True)
    return (
        json.loads(done.stdout.splitlines()[-1])
        if done.returncode == 0
        else {"error": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    )


def compare(folder, rows, rounds, names):
    found = {}
    for order in ("sorted", "shuffled"):
        path = folder / f"{order}.parquet"
        make(path, rows, order)
        runs = {name: [] for name in names}
        for number in range(rounds + 1):
            for name in names:
                done = alone(name, path)
                if number or "error" in done:
                    runs[name].append(done)
        good = {name: [run for run in done if "error" not in run] for name, done in runs.items()}
        cells, n, volume = good["aqqua-dist"][0]["result"]
        for name, done in good.items():
            for run in done:
                if run["result"][:2] != [cells, n] or abs(run["result"][2] / volume - 1) > 1e-9:
                    sys.exit(f"{name} found {run['result']}, ours {[cells, n, volume]} ({order})")
        found[order] = {
            name: {key: median(run[key] for run in done) for key in ("wall", "cpu", "peak")} if done else runs[name][0]
            for name, done in good.items()
        }
        path.unlink()
    return found


def scale(folder, millions):
    curve = []
    for million in millions:
        path = folder / "scale.parquet"
        make(path, int(million * 1e6), "sorted")
        done = alone("aqqua-dist", path)
        curve.append({"millions": million, "wall": done["wall"], "cpu": done["cpu"], "peak": done["peak"]})
        path.unlink()
    rows, wall = np.array([c["millions"] * 1e6 for c in curve]), np.array([c["wall"] for c in curve])
    slope, offset = np.polyfit(rows, wall, 1) if len(curve) > 1 else (wall[0] / rows[0], 0.0)
    return {"curve": curve, "seconds_per_million": slope * 1e6, "hours_for_collection": (slope * TOTAL + offset) / 3600}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="*", default=list(CONTENDERS)[1:])
    parser.add_argument("--scale", nargs="*", type=float, default=[1, 3, 10, 30], help="millions of objects")
    parser.add_argument("--out", type=Path, help="JSON report")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        start, cpu = time.perf_counter(), time.process_time()
        result = CONTENDERS[given.one](given.file)
        print(
            json.dumps(
                {
                    "wall": time.perf_counter() - start,
                    "cpu": time.process_time() - cpu,
                    "result": result,
                    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
                }
            )
        )
        return
    with tempfile.TemporaryDirectory(dir=".") as place:
        found = compare(Path(place), given.rows, given.rounds, ["aqqua-dist", *given.peers]) if given.rows else {}
        line = scale(Path(place), given.scale) if given.scale else None
    print(
        f"{given.rows:,} objects, {SAMPLES:,} casts of {BINS} depth bins, {CLASSES} classes, median of {given.rounds} rounds\n"
    )
    print("| order | | wall (s) | CPU (s) | peak memory (MiB) | time of ours / its time |\n|---|---|--:|--:|--:|--:|")
    for order, table in found.items():
        for name, row in table.items():
            if "error" in row:
                print(f"| {order} | {name} | failed: {row['error'][:60]} | | | |")
            else:
                print(
                    f"| {order} | {name} | {row['wall']:.2f} | {row['cpu']:.2f} | {row['peak']:,.0f} | {table['aqqua-dist']['wall'] / row['wall']:.2f} |"
                )
    if line:
        print("\n| million objects | wall (s) | CPU (s) | peak memory (MiB) |\n|--:|--:|--:|--:|")
        for c in line["curve"]:
            print(f"| {c['millions']:g} | {c['wall']:.2f} | {c['cpu']:.2f} | {c['peak']:,.0f} |")
        print(
            f"\nstraight line: {line['seconds_per_million']:.3f} s per million; {line['hours_for_collection']:.2f} h for {TOTAL:.2g} objects, an extrapolation"
        )
    if given.out:
        given.out.write_text(json.dumps({"rows": given.rows, "compared": found, "scale": line}, indent=1))


if __name__ == "__main__":
    main()
