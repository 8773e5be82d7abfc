"""Every verb on valid, cut, re-encoded, emptied and foreign files, tables and recipes: no traceback, and exit status 0, 1, 2 or 130.

In the suite the examples are the same at every run; ``make fuzz`` searches at random.
"""

import copy
import json
import traceback

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.cli import main
from aqqua_dist.core.paths import find_recipe

STATUSES = (0, 1, 2, 130)
STAGES = ["observe", "cube", "match", "fit", "map", "budget", "compare", "figures"]
TABLES = {
    "study": "tiny",
    "title": "A tiny study",
    "zones": [{"name": "0-200", "top": 0, "bottom": 200}],
    "grid": {"resolution": 10, "clip_at_sea_floor": False, "land_mask": False},
    "observations": {
        "kind": "table",
        "path": "rows.csv",
        "columns": {"y": "biomass", "taxon": "taxon", "lat": "lat", "lon": "lon"},
        "quantity": "carbon_biomass",
        "units": "mg m-3",
    },
    "predictors": {"kind": "table", "path": "grid.csv", "names": {"temperature": "sst", "salinity": "sal"}},
    "model": {"objective": "count:poisson", "rounds": 4, "learning_rate": 0.3},
    "members": {"scheme": "cruise_bootstrap", "n": 2},
    "validation": {"folds": 2, "block_size": 30},
    "figures": [],
}
AGGREGATED = TABLES | {
    "observations": {"kind": "aggregated", "path": "parts", "quantity": "number_concentration"},
}
EXPORTS = AGGREGATED | {
    "observations": {"kind": "exports", "paths": ["in"], "quantity": "number_concentration"},
}
RECIPES = {
    "tables": TABLES,
    "aggregated": AGGREGATED,
    "exports": EXPORTS,
    **{
        name: yaml.safe_load(find_recipe(name).read_text(encoding="utf-8"))
        for name in ("demo", "drago2022", "drago2022_copepoda")
    },
}
ODD = st.sampled_from(
    [None, True, "", " ", "x", "é" * 9, "a/b", "../x", "-1", 0, -1, 1, 2.5, 1e300, -1e300, float("nan"), float("inf")]
    + [10**30, [], {}, [[]], {"x": 1}, ["a", "a"], [None], "2020-01-01", b"\xff", "all", "nan", "0-200", "{", "layers"]
)
CELLS = st.sampled_from(["", "nan", "inf", "-1", "1e400", "1,5", "x", '"', "9" * 40, "\t", "é", "0", "NA", "-9999"])


def call(*words, allowed=STATUSES):
    done = CliRunner().invoke(main, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        pytest.fail(f"{words}: " + "".join(traceback.format_exception(done.exception)), pytrace=False)
    assert done.exit_code in allowed, (words, done.output)
    assert "Traceback" not in done.output
    return done


def row_table(rows=60):
    random, k = np.random.default_rng(2), np.arange(rows)
    lat, lon = -55.0 + 10 * (k % 12), -175.0 + 10 * (7 * k % 36)
    return pd.DataFrame(
        {"taxon": "Copepoda", "biomass": random.poisson(28 - 0.4 * np.abs(lat)) / 10, "lat": lat, "lon": lon}
        | {"sst": 28 - 0.4 * np.abs(lat), "sal": 34 + np.cos(np.radians(lon))}
    )


def grid_table():
    lat, lon = (a.ravel() for a in np.meshgrid(np.arange(-55, 60, 10.0), np.arange(-175, 180, 10.0), indexing="ij"))
    return pd.DataFrame({"lat": lat, "lon": lon, "sst": 28 - 0.4 * np.abs(lat), "sal": 34 + np.cos(np.radians(lon))})


def object_table(rows=12):
    random = np.random.default_rng(1)
    return pa.table(
        {
            "object_id": [f"o{k}" for k in range(rows)],
            "sample_id": [f"s{k % 3}" for k in range(rows)],
            "label": ["Copepoda", "detritus", "egg<Copepoda"] * (rows // 3),
            "status": ["validated", "predicted", "P", "V"] * (rows // 4),
            "esd": random.lognormal(6, 1, rows),
            "depth": random.uniform(0, 30, rows),
            "score": random.random(rows),
            "prob": pa.array(random.dirichlet([1, 1, 1], rows).astype("float32").tolist(), pa.list_(pa.float32())),
            "embedding": pa.array(random.normal(size=(rows, 4)).astype("float32").tolist(), pa.list_(pa.float32())),
        }
    ).replace_schema_metadata({"classes": json.dumps(["Copepoda", "detritus", "egg"])})


def sample_table():
    return pa.table(
        {
            "sample_id": ["s0", "s1", "s2"],
            "profile": ["c", "c", None],
            "lat": [1.0, 1.0, 5.0],
            "lon": [2.0, 2.0, 3.0],
            "time": pd.to_datetime(["2020-01-01", "2020-01-01", "2021-05-05"], utc=True),
            "depth_top": [0.0, 15.0, 0.0],
            "depth_bottom": [15.0, 30.0, 50.0],
            "volume": [1.0, 2.0, 3.0],
        }
    )


def chosen(data, *names):
    """What is spoiled in an example: at most two things, so that the others are reached."""
    return data.draw(st.lists(st.sampled_from(names), max_size=2, unique=True))


def placed(data, length):
    """A place in a file; drawn as a share, as the length of a written file differs a little between runs."""
    return data.draw(st.integers(0, 9999)) * length // 10_000


def spoiled_bytes(data, raw, spoil=True):
    """Bytes as they are, cut, flipped, emptied, doubled or of another kind."""
    kind = (
        data.draw(st.sampled_from(["valid"] * 5 + ["cut", "flip", "empty", "double", "random", "code"]))
        if spoil
        else "valid"
    )
    if kind == "cut":
        return raw[: placed(data, len(raw))]
    if kind == "flip" and raw:
        raw = bytearray(raw)
        for _ in range(data.draw(st.integers(1, 6))):
            raw[placed(data, len(raw))] = data.draw(st.integers(0, 255))
        return bytes(raw)
    if kind == "code":
        return raw.decode("latin-1").replace("a", "é").encode(data.draw(st.sampled_from(["utf-16", "latin-1"])))
    return {"valid": raw, "flip": raw, "empty": b"", "double": raw + raw, "random": data.draw(st.binary(max_size=80))}[
        kind
    ]


def spoiled_text(data, table, spoil=True):
    """A table as CSV with cells, columns or the separator changed."""
    if not spoil:
        return table.to_csv(index=False).encode()
    lines = [line.split(",") for line in table.to_csv(index=False).splitlines()]
    for _ in range(data.draw(st.integers(0, 3))):
        row, column = (data.draw(st.integers(0, n - 1)) for n in (min(len(lines), 8), len(lines[0])))
        what = data.draw(st.sampled_from(["cell", "cell", "column", "drop", "twice", "short", "rows"]))
        if what == "cell":
            lines[row][column % len(lines[row])] = data.draw(CELLS)
        elif what == "column":
            value = data.draw(CELLS)
            lines = [lines[0], *([*line[:column], value, *line[column + 1 :]] for line in lines[1:])]
        elif what == "drop":
            lines = [line[:column] + line[column + 1 :] or [""] for line in lines]
        elif what == "twice":
            lines = [[*line, *line[column : column + 1]] for line in lines]
        elif what == "short":
            lines[row] = lines[row][: column + 1]
        else:
            lines = lines[: row + 1]
    text = data.draw(st.sampled_from([",", ",", ",", ";", "\t"])).join
    return spoiled_bytes(data, "\n".join(map(text, lines)).encode() + b"\n")


def odd_columns(rows):
    """Columns of another type, or with values that are none."""
    return {
        "null": pa.nulls(rows),
        "missing": pa.nulls(rows, pa.float64()),
        "empty": pa.array([""] * rows),
        "nan": pa.array([float("nan")] * rows),
        "huge": pa.array([1e308] * rows),
        "infinite": pa.array([float("inf")] * rows),
        "negative": pa.array([-1.0] * rows),
        "zero": pa.array([0] * rows, pa.int8()),
        "lists": pa.array([[1.0, 2.0]] * rows),
        "empty lists": pa.array([[]] * rows, pa.list_(pa.float32())),
        "whole lists": pa.array([[1, -2, 3]] * rows, pa.list_(pa.int8())),
        "lists of texts": pa.array([["egg", "x"]] * rows),
        "bytes": pa.array([b"\xff\xfe"] * rows),
        "fixed bytes": pa.array([b"12345678"] * rows, pa.binary(8)),
        "structures": pa.array([{"a": 1}] * rows),
        "times": pa.array([pd.Timestamp("2020-01-01")] * rows),
        "true": pa.array([True] * rows),
        "words": pa.array([f"w{k}" for k in range(rows)]),
        "categories": pa.array([f"s{k % 3}" for k in range(rows)]).dictionary_encode(),
        "numbers": pa.array(list(range(rows))).dictionary_encode(),
        "half": pa.array(np.full(rows, 0.5, np.float16)),
        "long words": pa.array(["é" * 300] * rows, pa.large_string()),
        "tensor": pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.float16(), [3]),
            pa.array([np.full(3, 1 / 3, np.float16)] * rows, pa.list_(pa.float16(), 3)),
        ),
    }


def spoiled_table(data, table, path, spoil=True):
    """A table with columns lost, doubled, renamed or of another type, rows lost; as Parquet, perhaps damaged."""
    for _ in range(data.draw(st.integers(1, 3)) if spoil else 0):
        column = data.draw(st.integers(0, table.num_columns - 1))
        name = table.column_names[column]
        what = data.draw(st.sampled_from(["drop", "kind", "kind", "kind", "twice", "rows", "rename", "metadata"]))
        if what == "drop" and table.num_columns > 1:
            table = table.remove_column(column)
        elif what == "kind":
            odd = odd_columns(len(table))
            table = table.set_column(column, name, odd[data.draw(st.sampled_from(sorted(odd)))])
        elif what == "twice":
            table = table.append_column(name, table.column(column))
        elif what == "rows":
            table = table.slice(0, data.draw(st.integers(0, len(table))))
        elif what == "rename":
            new = data.draw(st.sampled_from(["p_a", "class", "weight", "acquisition_id", "", "x.y", "profile", "esd"]))
            table = table.rename_columns([new if k == column else n for k, n in enumerate(table.column_names)])
        else:
            words = data.draw(st.sampled_from([b"", b"a,b,c", b"[1,2,3]", b'["a","a","b"]', b"{", b"\xff", b"null"]))
            table = table.replace_schema_metadata({"classes": words})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=5)
    path.write_bytes(spoiled_bytes(data, path.read_bytes(), spoil))


def places(tree, at=()):
    """Every key and every item of a recipe."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield (*at, key)
        yield from places(value, (*at, key))


def spoiled_recipe(data, recipe, values=ODD, spoil=True):
    """A recipe with keys lost, added, of another type or moved; as text, perhaps damaged."""
    recipe = copy.deepcopy(recipe)
    for _ in range(data.draw(st.integers(1, 3)) if spoil else 0):
        every = list(places(recipe))
        if not every:
            break
        *above, key = every[data.draw(st.integers(0, len(every) - 1))]
        holder = recipe
        for step in above:
            holder = holder[step]
        what = data.draw(st.sampled_from(["drop", "value", "value", "value", "add", "wrap"]))
        if what == "drop":
            del holder[key]
        elif what == "value":
            holder[key] = data.draw(values)
        elif what == "wrap":
            holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            holder[data.draw(st.sampled_from(["x", "", 1, None, "kind", "units", "taxa", "budget"]))] = data.draw(
                values
            )
    return spoiled_bytes(data, yaml.safe_dump(recipe, allow_unicode=True).encode(), spoil)


@settings(max_examples=25)
@given(data=st.data())
def test_recipes_are_checked(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("check")
    recipe = RECIPES[data.draw(st.sampled_from([*sorted(RECIPES), "tables", "tables", "aggregated", "exports"]))]
    bad = chosen(data, "rows", "grid", "recipe", "recipe")
    (folder / "rows.csv").write_bytes(spoiled_text(data, row_table(), "rows" in bad))
    (folder / "grid.csv").write_bytes(spoiled_text(data, grid_table(), "grid" in bad))
    (folder / "r.yaml").write_bytes(spoiled_recipe(data, recipe, spoil="recipe" in bad))
    verb = data.draw(st.sampled_from(["check", "check", "check", "compare", "figures"]))
    call(verb, folder / "r.yaml", "--runs", folder / "runs", "--quiet", allowed=(0, 2))


SMALL = st.sampled_from([None, True, "", "x", "é", 0, -1, 1, 2, 0.5, float("nan"), [], {}, ["x"], "Copepoda", "nan"])


@settings(max_examples=8)
@given(data=st.data())
def test_small_studies_run(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    bad = chosen(data, "rows", "grid", "recipe", "recipe")
    (folder / "rows.csv").write_bytes(spoiled_text(data, row_table(), "rows" in bad))
    (folder / "grid.csv").write_bytes(spoiled_text(data, grid_table(), "grid" in bad))
    (folder / "r.yaml").write_bytes(spoiled_recipe(data, TABLES, SMALL, "recipe" in bad))
    words = [folder / "r.yaml", "--runs", folder / "runs", "--quiet", "--jobs", "1"]
    done = call("run", *words, "--stop-after", data.draw(st.sampled_from(STAGES)))
    if done.exit_code == 0:
        held = sorted(path for path in (folder / "runs").rglob("*") if path.is_file())
        path = held[placed(data, len(held))]
        path.write_bytes(spoiled_bytes(data, path.read_bytes()))  # a damaged file of a run
        call(data.draw(st.sampled_from(["run", "compare", "figures", "check"])), *words)


def methods(data):
    words = [
        "--method",
        data.draw(st.sampled_from("labels validated top1 thresholded probabilistic acc pacc em".split())),
    ]
    more = data.draw(
        st.lists(
            st.sampled_from(
                [
                    ("--status", "all"),
                    ("--status", "x"),
                    ("--zone", "0-200"),
                    ("--zone", "0-20"),
                    ("--taxon", "Copepoda"),
                    ("--taxon", ""),
                    ("--members", "3"),
                    ("--no-sizes",),
                    ("--no-check-ids",),
                    ("--min-score", "0.5"),
                    ("--min-score", "nan"),
                    ("--sorted", "0.95"),
                    ("--threshold", "0.5"),
                    ("--carbon", "Copepoda=x"),
                    ("--memory", "x"),
                    ("--leave-out", ""),
                    ("--coverage", "nan"),
                    ("--seed", "-1"),
                ]
            ),
            max_size=4,
            unique=True,
        )
    )
    return [*words, *(word for pair in more for word in pair)]


@settings(max_examples=40)
@given(data=st.data())
def test_partitions_are_counted(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("aggregate")
    places = st.sampled_from(["a.parquet", "sample_id=s1/b.parquet", "sample_id=x%2Fy/c.parquet", "objects.parquet"])
    bad = chosen(data, "objects", "samples", "more")
    for place in data.draw(st.lists(places, min_size=1, max_size=2, unique=True)):
        spoiled_table(data, object_table(), folder / "parts" / place, "objects" in bad)
    spoiled_table(data, sample_table(), folder / "parts" / "samples.parquet", "samples" in bad)
    (folder / "v.csv").write_bytes(
        spoiled_text(
            data,
            pd.DataFrame(
                {"taxon": ["Copepoda", "detritus", "egg"], "p_Copepoda": [0.8, 0.1, 0.1]}
                | {"p_detritus": [0.1, 0.9, 0.1], "p_egg": [0.1, 0.0, 0.8]}
            ),
            "more" in bad,
        )
    )
    words = [*methods(data), *(["--validation", folder / "v.csv"] if data.draw(st.booleans()) else [])]
    call("aggregate", folder / "parts", "-o", folder / "out", *words)
    if (folder / "out" / "concentrations.parquet").is_file():
        (folder / "r.yaml").write_text(
            yaml.safe_dump(AGGREGATED | {"observations": AGGREGATED["observations"] | {"path": "out"}})
        )
        grid_table().to_csv(folder / "grid.csv", index=False)
        call("check", folder / "r.yaml", "--runs", folder / "runs")


@settings(max_examples=25)
@given(data=st.data())
def test_embeddings_are_collected(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("embeddings")
    places = st.sampled_from(["a.parquet", "sample_id=s1/b.parquet", "objects.parquet", "predictions.parquet"])
    bad = chosen(data, "objects", "samples", "more")
    for place in data.draw(st.lists(places, min_size=1, max_size=2, unique=True)):
        spoiled_table(data, object_table(), folder / "parts" / place, "objects" in bad)
    spoiled_table(data, sample_table(), folder / "parts" / "samples.parquet", "samples" in bad)
    words = ["--morphotypes", data.draw(st.sampled_from([0, 2, 2, 50, -1])), "--components"]
    words += [data.draw(st.sampled_from([2, 2, 0, -1]))]
    words += data.draw(
        st.sampled_from(
            [[], [], ["--on-bad", "drop"], ["--embedding", "prob"], ["--embedding", "label"], ["--seed", "-1"]]
        )
    )
    call("embeddings", folder / "parts", "-o", folder / "out", *words)
    learned = folder / "out" / data.draw(st.sampled_from(["morphotypes.nc", "novelty.nc", "components.nc"]))
    if learned.is_file():
        learned.write_bytes(spoiled_bytes(data, learned.read_bytes()))
        option = data.draw(st.sampled_from(["--codebook", "--training"]))
        call("embeddings", folder / "parts", "-o", folder / "more", "--morphotypes", 2, option, learned)


INGESTED = {
    "a.tsv": "object_id\tsample_id\tobject_lat\tobject_lon\tobject_date\tobject_area\tobject_annotation_category\t"
    "object_annotation_status\tsample_tot_vol\n"
    + "".join(f"o{k}\ts{k % 2}\t1\t{k % 2}\t20200101\t{9 + k}\tCopepoda\tvalidated\t10\n" for k in range(6)),
    "scores.csv": "object_id,p_egg,p_fish\no1,0.25,0.75\no2,0.5,0.25\n",
}
SETTINGS = {
    "m.yaml": yaml.safe_dump({"table": "samples", "columns": {"sample_id": {"column": "id"}, "lat": {"column": "y"}}}),
    "e.yaml": yaml.safe_dump({"rules": {"own": {"formula": "given"}}}),
}


@settings(max_examples=25)
@given(data=st.data())
def test_exports_are_ingested_and_counted(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("ingest")
    (folder / "in").mkdir()
    bad = chosen(data, *INGESTED, *SETTINGS)
    for name, text in INGESTED.items():
        (folder / "in" / name).write_bytes(spoiled_bytes(data, text.encode(), name in bad))
    words = data.draw(st.sampled_from([[], ["--zone", "0-200"], ["--zone", "0-200", *methods(data)]]))
    for name, option in (("m.yaml", "--mapping"), ("e.yaml", "--effort")):
        if data.draw(st.sampled_from([False, False, True])):
            (folder / name).write_bytes(spoiled_recipe(data, yaml.safe_load(SETTINGS[name]), spoil=name in bad))
            words = [*words, option, folder / name]
    call("ingest", folder / "in", "-o", folder / "out", "--quiet", *words)
    call("taxa", "--missing", folder / "out", allowed=(0, 1, 2))
    if (folder / "out" / "samples.parquet").is_file():
        held = sorted(path for path in (folder / "out").glob("*.parquet"))
        path = held[placed(data, len(held))]
        if data.draw(st.booleans()):
            spoiled_table(data, pq.read_table(path), path)
        call("aggregate", folder / "out", "-o", folder / "sums", *methods(data))


WORDS = st.sampled_from(
    [
        "",
        "-",
        "--",
        "x",
        "demo",
        "/",
        ".",
        "/dev/null",
        "é\udcff",
        "a" * 300,
        "-o",
        "--runs",
        "--help",
        "0",
        "-1",
        "nan",
    ]
    + [
        "--jobs",
        "--stop-after",
        "--zone",
        "0-200",
        "200-0",
        "--memory",
        "1e999GB",
        "--samples",
        "--scheduler",
        "local:x",
    ]
    + ["--project", "--mapping", "--effort", "\n", "*", "a\tb", "--missing"]
)


@settings(max_examples=40)
@given(verb=st.sampled_from(sorted(set(main.commands) - {"run"})), words=st.lists(WORDS, max_size=5))
def test_words_of_the_command_line(tmp_path_factory, verb, words):
    folder = tmp_path_factory.mktemp("words")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        if verb == "ingest" and {"/", ".", "demo"} & set(words):
            words = [word for word in words if word not in ("/", ".")]  # not the whole disk
        call(verb, *words)
