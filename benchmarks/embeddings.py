"""Embeddings: mean and variance per sample (emb), reading (embio), nearest of 100 centroids (morph), against named peers.

One thread each, contenders interleaved after one warm-up round, results checked. The three table engines run on fewer rows
(`--slow-rows`), their cost per row is what is shown. Peak memory is what one run in a process of its own adds to that of its input.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[_name] = "1"

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from scipy.sparse import csr_array
from sklearn.cluster import MiniBatchKMeans

from aqqua_dist.core.provenance import Provenance
from aqqua_dist.embeddings.files import read_embeddings, write_embeddings
from aqqua_dist.embeddings.moments import embedding_moments
from aqqua_dist.embeddings.morphotypes import Morphotypes

D = 384
READ_BYTES = 2**23


def numbers(rows, dtype="float32"):
    random = np.random.default_rng(0)
    out = np.empty((rows, D), dtype)
    for low in range(0, rows, 2**10):
        out[low : low + 2**10] = random.standard_normal(out[low : low + 2**10].shape, dtype="float32")
    return out


def touch(values):
    """Read every byte once."""
    return np.bitwise_or.reduce(values.view(f"uint{8 * values.itemsize}"), axis=None)


class Emb:
    """Weighted mean (and variance) of embeddings per sample."""

    def __init__(self, rows, slow_rows, per_sample, shuffled, half):
        random = np.random.default_rng(1)
        self.values, self.half = (None, numbers(rows, "float16")) if half else (numbers(rows), None)
        self.samples = max(1, rows // per_sample)
        self.sample = random.integers(0, self.samples, rows)
        self.sample = self.sample if shuffled else np.sort(self.sample)
        self.weights, self.slow_rows = random.random(rows).astype("float32") + np.float32(0.5), min(rows, slow_rows)

    def matrix(self, rows):
        return csr_array(
            (self.weights[:rows], (self.sample[:rows], np.arange(rows))), shape=(self.samples, rows), dtype="float32"
        )

    def total(self, rows):
        return np.bincount(self.sample[:rows], self.weights[:rows], minlength=self.samples)[:, None]

    def ours(self):
        return embedding_moments(self.values if self.half is None else self.half, self.sample, self.weights)

    def dense(self, codes, values):
        out = np.full((self.samples, D), np.nan)
        out[codes] = values
        return out

    def csr(self):
        return (self.matrix(len(self.values)) @ self.values) / self.total(len(self.values)), None

    def csr_both(self):
        matrix, total = self.matrix(len(self.values)), self.total(len(self.values))
        mean = (matrix @ self.values) / total
        return mean, (matrix @ (self.values * self.values)) / total - mean**2

    def csr_widened(self):
        return (self.matrix(len(self.half)) @ self.half.astype("float32")) / self.total(len(self.half)), None

    def blas(self):
        order = np.argsort(self.sample, kind="stable")
        edges = np.searchsorted(self.sample[order], np.arange(self.samples + 1))
        out = np.full((self.samples, D), np.nan)
        for code in np.flatnonzero(np.diff(edges)):
            at = order[edges[code] : edges[code + 1]]
            out[code] = self.weights[at] @ self.values[at] / self.weights[at].sum()
        return out, None

    def bandwidth(self):
        return touch(self.values), None

    def slow(self, engine):
        rows = self.slow_rows
        names = [f"e{k}" for k in range(D)]
        if engine == "pandas":
            table = pd.DataFrame(self.values[:rows] * self.weights[:rows, None]).groupby(self.sample[:rows]).sum()
            return self.dense(table.index, table.to_numpy()) / self.total(rows), None
        columns = {name: self.values[:rows, k] for k, name in enumerate(names)} | {
            "s": self.sample[:rows],
            "w": self.weights[:rows],
        }
        if engine == "polars":
            table = pl.DataFrame(columns).group_by("s").agg([(pl.col(name) * pl.col("w")).sum() for name in names])
            return self.dense(table["s"].to_numpy(), table.select(names).to_numpy()) / self.total(rows), None
        objects = pa.table(columns)
        with duckdb.connect(config={"threads": 1}) as base:
            base.register("objects", objects)
            table = base.sql(
                "select s, " + ", ".join(f"sum({name} * w)" for name in names) + " from objects group by s"
            ).to_arrow_table()
        sums = np.column_stack([table.column(k + 1).to_numpy() for k in range(D)])
        return self.dense(table["s"].to_numpy(), sums) / self.total(rows), None

    def contenders(self):
        n = len(self.sample)
        if self.half is not None:
            return {
                "ours, mean and variance": (self.ours, n),
                "widened as a whole, scipy csr @ E, mean": (self.csr_widened, n),
            }
        found = {
            "ours, mean and variance": (self.ours, n),
            "scipy csr @ E, mean": (self.csr, n),
            "scipy csr @ E and @ E², mean and variance": (self.csr_both, n),
            "BLAS per sample, mean": (self.blas, n),
            "one pass over the memory": (self.bandwidth, n),
        }
        return found | {
            f"{e}, mean": (lambda e=e: self.slow(e), self.slow_rows) for e in ("pandas", "polars", "duckdb")
        }

    def check(self, results):
        ours = results.pop("ours, mean and variance")
        whole = self.dense(ours.sample, ours.mean), self.dense(ours.sample, ours.variance())
        for name, (mean, variance) in results.items():
            reference = (self.part(), None) if name.startswith(("pandas", "polars", "duckdb")) else whole
            if np.ndim(mean):
                np.testing.assert_allclose(mean, reference[0], atol=1e-4, err_msg=name)
            if variance is not None:
                np.testing.assert_allclose(variance, reference[1], atol=1e-4, err_msg=name)

    def part(self):
        rows = self.slow_rows
        found = embedding_moments(self.values[:rows], self.sample[:rows], self.weights[:rows])
        return self.dense(found.sample, found.mean)


class EmbIO:
    """Read every embedding of a file, which is in the page cache, and touch each byte."""

    def __init__(self, rows, folder):
        self.folder, self.rows = Path(folder), rows
        if (self.folder / "e.zarr").exists():  # another process has written and checked the files
            return
        self.values = numbers(rows)
        self.expected = int(touch(self.values))
        np.save(self.folder / "e.npy", self.values)
        ids = pa.array(np.arange(rows).astype(str))
        parts = (
            (pa.table({"object_id": ids[low : low + 2**14]}), self.values[low : low + 2**14])
            for low in range(0, rows, 2**14)
        )
        write_embeddings(self.folder / "fast.parquet", parts, Provenance("benchmark", "embio", ""))
        column = pa.FixedSizeListArray.from_arrays(pa.array(self.values.ravel()), D)
        pq.write_table(pa.table({"embedding": column}), self.folder / "list.parquet", row_group_size=2**15)
        zarr.save_array(str(self.folder / "e.zarr"), self.values)
        self.values = None

    def read(self, name):
        found = 0
        for batch in read_embeddings(self.folder / name, memory=READ_BYTES):
            found |= int(touch(batch.values))
        return found

    def fromfile(self):
        found = 0
        with (self.folder / "e.npy").open("rb") as stream:
            np.lib.format.read_magic(stream)
            np.lib.format.read_array_header_1_0(stream)
            while len(values := np.fromfile(stream, "float32", READ_BYTES // 4)):
                found |= int(touch(values))
        return found

    def parquet(self, name):
        found = 0
        for batch in pq.ParquetFile(self.folder / name).iter_batches(READ_BYTES // (4 * D), columns=["embedding"]):
            found |= int(touch(np.asarray(batch.column(0).flatten())))
        return found

    def contenders(self):
        return {
            "ours, recommended layout": (lambda: self.read("fast.parquet"), self.rows),
            "ours, .npy": (lambda: self.read("e.npy"), self.rows),
            "ours, fixed-size list": (lambda: self.read("list.parquet"), self.rows),
            ".npy in batches, np.fromfile": (self.fromfile, self.rows),
            ".npy, np.load": (lambda: int(touch(np.load(self.folder / "e.npy"))), self.rows),
            "fixed-size list, pyarrow": (lambda: self.parquet("list.parquet"), self.rows),
            "Zarr as it comes": (
                lambda: int(touch(zarr.open_array(str(self.folder / "e.zarr"), mode="r")[:])),
                self.rows,
            ),
        }

    def check(self, results):
        wrong = {name: found for name, found in results.items() if found != self.expected}
        if wrong:
            sys.exit(f"not the numbers that were written: {wrong}")


class Morph:
    """Nearest of 100 centroids."""

    def __init__(self, rows):
        self.values = numbers(rows)
        self.half = self.values.astype("float16")
        self.model = MiniBatchKMeans(100, random_state=0, n_init=1, batch_size=4096, max_iter=5).fit(
            self.values[:20_000]
        )
        self.codebook = Morphotypes(self.model.cluster_centers_, np.ones(100), np.ones(100, int), np.ones(1))
        self.factor = np.ascontiguousarray(self.model.cluster_centers_)

    def product(self):
        out = np.empty((100, 1024), "float32")
        for low in range(0, len(self.values), 1024):
            x = self.values[low : low + 1024]
            np.matmul(self.factor, x.T, out=out[:, : len(x)])
        return out

    def contenders(self):
        n = len(self.values)
        return {
            "ours, labels and distances": (lambda: self.codebook.assign(self.values)[0], n),
            "ours, float16": (lambda: self.codebook.assign(self.half)[0], n),
            "scikit-learn MiniBatchKMeans.predict": (lambda: self.model.predict(self.values), n),
            "the matrix product alone": (self.product, n),
        }

    def check(self, results):
        ours, half, peer, _ = results.values()
        # predict breaks ties within its rounding error at random, half precision moves some rows
        if np.mean(ours != peer) > 1e-4 or np.mean(half != peer) > 0.02:
            sys.exit(
                f"labels differ: {np.mean(ours != peer):.2g} from scikit-learn, {np.mean(half != peer):.2g} in float16"
            )


def cases(given, folder):
    """Title and maker of each case."""
    n, slow = given.rows, given.slow_rows
    found = {}
    for per_sample in (1000, 40):
        for shuffled in (False, True):
            for half in (False, True):
                kind, order = "float16" if half else "float32", "shuffled" if shuffled else "sorted"
                title = f"emb: {n:,} x {D} {kind}, {per_sample} per sample, {order}"
                found[title] = lambda p=per_sample, s=shuffled, h=half: Emb(n, slow, p, s, h)
    found[f"embio: {n // 4:,} x {D} float32"] = lambda: EmbIO(n // 4, folder)
    found[f"morph: {n // 8:,} x {D}, 100 centroids"] = lambda: Morph(n // 8)
    return found


def measure(case, rounds):
    contenders, seen, results = case.contenders(), {}, {}
    for number in range(rounds + 1):
        for name, (function, rows) in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            result = function()
            if number:
                seen.setdefault(name, []).append(
                    ((time.perf_counter() - wall) / rows * 1e9, (time.process_time() - cpu) / rows * 1e9)
                )
            else:
                results[name] = result
        if not number:
            case.check(results)
            results.clear()
    return {
        name: {"wall": median(wall for wall, _ in times), "cpu": median(cpu for _, cpu in times), "rounds": times}
        for name, times in seen.items()
    }


def alone(given, title, folder, name=None):
    """Outcome of a case, or the MiB that one contender adds, in a process of its own (whose peak would start at this one's)."""
    words = [sys.executable, __file__, "--rows", given.rows, "--slow-rows", given.slow_rows, "--rounds", given.rounds]
    words += ["--folder", folder, "--case", title, *(["--one", name] if name else [])]
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def one(given):
    """What `alone` runs."""
    case = cases(given, given.folder)[given.case]()
    if not given.one:
        return measure(case, given.rounds)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    case.contenders()[given.one][0]()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=800_000)
    parser.add_argument("--slow-rows", type=int, default=40_000, help="rows of the table engines")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="start of the titles of the cases to run")
    parser.add_argument("--out", type=Path, help="JSON report")
    for name in ("--case", "--one", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        print(json.dumps(one(given)))
        return
    report = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for title in cases(given, folder):
            if not title.startswith(given.only):
                continue
            table = alone(given, title, folder)
            ours = next(iter(table.values()))["wall"]
            print(f"{title}, median of {given.rounds} rounds\n")
            print("| | wall ns per row | CPU ns per row | ours / this | added memory (MiB) |\n|---|--:|--:|--:|--:|")
            for name, row in table.items():
                row["peak"] = alone(given, title, folder, name)
                print(
                    f"| {name} | {row['wall']:,.0f} | {row['cpu']:,.0f} | {ours / row['wall']:.2f} | {row['peak']:,.0f} |",
                    flush=True,
                )
            print(flush=True)
            report[title] = table
    if given.out:
        given.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
