"""EcoTaxa TSV of many rows: `aqqua-dist ingest` against polars' own CSV reader on the same columns.

The reader alone (`stream_ecotaxa`: cells checked and repaired, samples gathered, repeated objects found) stands against
`polars.read_csv` (all rows in memory, types inferred); the whole ingest (also the hash of the file, volumes, Parquet, quality
report) against `polars.read_csv` with `write_parquet`, and `polars.scan_csv(...).sink_parquet` shows what streaming costs without any check.
On a machine that others use the ratio of CPU times is the one to read.
Every contender runs in a process of its own, interleaved, after one warm-up each; peak memory is that of the process.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from aqqua_dist.readers.ecotaxa.export import stream_ecotaxa
from aqqua_dist.readers.ingest import ingest
from aqqua_dist.readers.sources import Source

FEATURES = [
    "area",
    "mean",
    "stddev",
    "mode",
    "min",
    "max",
    "x",
    "y",
    "xm",
    "ym",
    "perim.",
    "bx",
    "by",
    "width",
    "height",
    "major",
    "minor",
    "angle",
    "circ.",
    "feret",
    "intden",
    "median",
    "skew",
    "kurt",
    "area_exc",
    "fractal",
    "esd",
]
FIXED = [
    "object_id",
    "object_lat",
    "object_lon",
    "object_date",
    "object_time",
    "object_link",
    "object_depth_min",
    "object_depth_max",
    "object_annotation_status",
    "object_annotation_person_name",
    "object_annotation_person_email",
    "object_annotation_date",
    "object_annotation_time",
    "object_annotation_category",
    "object_annotation_hierarchy",
    "complement_info",
]
META = [
    "sample_id",
    "sample_dataportal_descriptor",
    "sample_ship",
    "sample_program",
    "sample_tot_vol",
    "sample_comment",
    "process_id",
    "process_particle_pixel_size_mm",
    "process_software",
    "acq_id",
    "acq_instrument",
    "acq_sub_part",
]
TAXA = ["Calanidae", "Oithonidae", "Copepoda<Maxillopoda", "detritus", "fiber<detritus", "Chaetognatha"]
PER_SAMPLE = 5000


def make(path, rows):
    """A general export with the columns of a ZooScan project."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(
            [*FIXED, *(f"object_{f}" for f in FEATURES), *META]
        )
        for start in range(0, rows, PER_SAMPLE):
            sample, count = start // PER_SAMPLE, min(PER_SAMPLE, rows - start)
            sizes, taxa = (
                np.round(rng.gamma(2, 50, (count, len(FEATURES))), 3).tolist(),
                rng.integers(0, len(TAXA), count),
            )
            head = f'\t{10 + sample % 50 * 0.1}\t{-20 - sample % 50 * 0.1}\t"20130927"\t"221700"\t""\t0.0\t114.0\t"validated"\t"A Person"\t"a@example.org"'
            tail = (
                f'"net_{sample:05d}"\t""\t"tara"\t"oceans"\t"350.5"\t"a comment of some words"\t"proc_{sample:05d}"\t"0.0106"\t"zooprocess"'
                f'\t"d1_net_{sample:05d}"\t"zooscan"\t"4"\n'
            )
            stream.write(
                "".join(
                    f'"net_{sample:05d}_{start + k}"{head}\t"20170609"\t"153820"\t"{TAXA[taxa[k]]}"\t"living>Eukaryota>Metazoa>{TAXA[taxa[k]]}"\t""\t'
                    + "\t".join(map(repr, sizes[k]))
                    + "\t"
                    + tail
                    for k in range(count)
                )
            )


def contender(name, path, folder):
    """Rows that one way through the file has read."""
    if name == "aqqua-dist ingest":
        return ingest([path], folder / "out", progress=False).n_objects
    if name == "aqqua-dist reader":
        sizes = []
        stream_ecotaxa([Source(path)], lambda batch: sizes.append(len(batch)))
        return sum(sizes)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        names = next(csv.reader(stream, delimiter="\t"))
    skipped = {"object_link", "complement_info"} | {
        n for n in names if "_person_" in n or n in ("object_annotation_date", "object_annotation_time")
    }
    sizes = {f"object_{name}" for name in FEATURES} - {"object_area", "object_major", "object_minor"}
    columns = [name for name in names if name not in skipped | sizes]
    if name.startswith("polars.read_csv"):
        table = pl.read_csv(path, separator="\t", columns=columns)
        if name.endswith("write_parquet"):
            table.write_parquet(folder / "peer.parquet", compression="zstd")
        return len(table)
    pl.scan_csv(path, separator="\t").select(columns).sink_parquet(folder / "peer.parquet")
    return pl.scan_parquet(folder / "peer.parquet").select(pl.len()).collect().item()


def alone(name, path, folder):
    """Run one contender in a process of its own."""
    words = [sys.executable, __file__, "--one", name, "--file", str(path), "--folder", str(folder)]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON report")
    for name in ("--one", "--file", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        start, cpu = time.perf_counter(), time.process_time()
        rows = contender(given.one, Path(given.file), Path(given.folder))
        spent = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        print(json.dumps({"rows": rows, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10} | spent))
        return
    names = [
        "aqqua-dist reader",
        "polars.read_csv",
        "aqqua-dist ingest",
        "polars.read_csv + write_parquet",
        "polars.scan_csv.sink_parquet",
    ]
    with tempfile.TemporaryDirectory(dir=".") as place:
        folder = Path(place)
        path = folder / "ecotaxa_export.tsv"
        make(path, given.rows)
        size = path.stat().st_size
        rounds = {name: [] for name in names}
        for number in range(given.rounds + 1):
            for name in names:
                done = alone(name, path, folder)
                if done["rows"] != given.rows:
                    sys.exit(f"{name} read {done['rows']} rows, the file has {given.rows}")
                if number:
                    rounds[name].append(done)
    table = {
        name: {key: median(one[key] for one in done) for key in ("wall", "cpu", "peak")}
        for name, done in rounds.items()
    }
    print(f"{given.rows:,} rows, {size / 2**30:.2f} GiB, median of {given.rounds} rounds\n")
    print("| | wall (s) | CPU (s) | rows per s | peak memory (MiB) |\n|---|--:|--:|--:|--:|")
    for name, row in table.items():
        print(
            f"| {name} | {row['wall']:.2f} | {row['cpu']:.2f} | {given.rows / row['wall']:,.0f} | {row['peak']:,.0f} |"
        )
    for mine, peer in (names[:2], names[2:4]):
        ratios = {clock: table[peer][clock] / table[mine][clock] for clock in ("wall", "cpu")}
        print(
            f"\nrate of {mine} relative to {peer}: {ratios['wall']:.2f} by wall time, {ratios['cpu']:.2f} by CPU time"
        )
    if given.out:
        given.out.write_text(
            json.dumps({"rows": given.rows, "bytes": size, "rounds": rounds, "median": table}, indent=1)
        )


if __name__ == "__main__":
    main()
