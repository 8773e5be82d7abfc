"""Partitions of every shape: the same objects give the same sums, and what is no probability is refused in words."""

import json
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aqqua_dist.concentrations.aggregate import aggregate_objects, counting
from aqqua_dist.core.errors import UserError
from aqqua_dist.counts.columns import classes_in, names_of, read_columns

CLASSES = ("Copepoda", "Ostracoda", "detritus", "egg")
SAMPLES = pd.DataFrame({"sample_id": ["s1", "s 2/b"], "volume": [2.0, 4.0]})


def probabilities(rows=40):
    """Quarters and eighths: every floating type holds them exactly."""
    random = np.random.default_rng(3)
    return random.multinomial(8, [0.4, 0.3, 0.2, 0.1], rows) / 8


def objects(rows=40):
    return pd.DataFrame(
        {
            "object_id": [f"o{k}" for k in range(rows)],
            "sample_id": np.where(np.arange(rows) % 3, "s1", "s 2/b"),
            "esd": 500.0,
        }
    )


def listed(kind):
    def shaped(prob):
        flat = pa.array(prob.astype(kind.to_pandas_dtype()).ravel())
        offsets = pa.array(np.arange(0, prob.size + 1, prob.shape[1]), pa.int32())
        return {"prob": pa.ListArray.from_arrays(offsets, flat)}

    return shaped


def fixed(kind):
    def shaped(prob):
        return {
            "prob": pa.FixedSizeListArray.from_arrays(
                pa.array(prob.astype(kind.to_pandas_dtype()).ravel()), prob.shape[1]
            )
        }

    return shaped


def tensor(kind):
    def shaped(prob):
        return {"prob": pa.FixedShapeTensorArray.from_numpy_ndarray(prob.astype(kind.to_pandas_dtype()))}

    return shaped


def wide(prefix, kind):
    def shaped(prob):
        return {
            f"{prefix}{name}": pa.array(prob[:, k].astype(kind.to_pandas_dtype())) for k, name in enumerate(CLASSES)
        }

    return shaped


def best_few(names, places=False):
    """Classes above 0 in descending order with their probabilities."""

    def shaped(prob):
        order = [sorted(np.flatnonzero(row), key=lambda k: -row[k]) for row in prob]
        told = [[int(k) if places else names[k] for k in row] for row in order]
        return {"class": pa.array(told), "prob": pa.array([[row[k] for k in at] for row, at in zip(prob, order)])}

    return shaped


SHAPES = {
    f"{shape.__name__} {kind}": shape(kind)
    for shape in (listed, fixed, tensor)
    for kind in (pa.float16(), pa.float32(), pa.float64())
} | {
    "wide prob_": wide("prob_", pa.float32()),
    "wide p_": wide("p_", pa.float64()),
    "wide half": wide("p_", pa.float16()),
    "best few by name": best_few(CLASSES),
    "best few by number": best_few(CLASSES, places=True),
}


def write(path, table, columns, *, hive=False, classes=CLASSES):
    """One file, or one per sample in a folder of its name."""
    whole = pa.Table.from_pandas(table, preserve_index=False)
    for name, values in columns.items():
        whole = whole.append_column(name, values)
    whole = whole.replace_schema_metadata({"classes": json.dumps(classes)} if classes else {})
    path.mkdir(parents=True)
    for sample in table["sample_id"].unique() if hive else [None]:
        part = whole if sample is None else whole.filter(pa.array(table["sample_id"] == sample)).drop(["sample_id"])
        folder = path if sample is None else path / f"sample_id={quote(sample, safe='')}"
        folder.mkdir(exist_ok=True)
        pq.write_table(part, folder / "part-0.parquet", row_group_size=7)
    pq.write_table(pa.Table.from_pandas(SAMPLES, preserve_index=False), path / "samples.parquet")
    return path


def counted(source, out, method):
    options, products = counting({"method": method, "statuses": ["all"]})
    aggregate_objects(source, out, options, products=products)
    table = pd.read_parquet(out / "concentrations.parquet")
    return table.set_index(["sample_id", "taxon"])["n"]


@pytest.mark.parametrize("hive", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_sums_of_its_probabilities(tmp_path, shape, hive):
    prob, table = probabilities(), objects()
    source = write(tmp_path / "in", table, SHAPES[shape](prob), hive=hive)
    n = counted(source, tmp_path / "out", "probabilistic")
    for sample, rows in table.groupby("sample_id").groups.items():
        for place, name in enumerate(CLASSES):
            assert n[sample, name] == prob[rows, place].sum()


@pytest.mark.parametrize("shape", ["listed float", "wide p_", "best few by name"])
def test_what_is_left_of_one_is_unclassified(tmp_path, shape):
    prob, table = probabilities() * 0.5, objects()
    n = counted(write(tmp_path / "in", table, SHAPES[shape](prob)), tmp_path / "out", "probabilistic")
    assert n["s1", "unclassified"] == 0.5 * (table["sample_id"] == "s1").sum()
    assert n["s1", "Copepoda"] == prob[table["sample_id"] == "s1", 0].sum()


def test_partitions_with_their_columns_in_another_order(tmp_path):
    prob, table = probabilities(), objects()
    source = write(tmp_path / "in", table, wide("p_", pa.float32())(prob))
    first = pq.read_table(source / "part-0.parquet")
    turned = first.select(["sample_id", "p_egg", "p_Copepoda", "p_detritus", "esd", "p_Ostracoda"])
    pq.write_table(turned, source / "part-1.parquet")
    pq.write_table(first.drop(["object_id"]), source / "part-0.parquet")
    n = counted(source, tmp_path / "out", "probabilistic")
    assert n["s1", "egg"] == 2 * prob[table["sample_id"] == "s1", 3].sum()
    pq.write_table(turned.drop(["p_egg"]), source / "part-1.parquet")
    with pytest.raises(
        UserError, match=r"part-1.parquet: the probabilities are of the classes \['Copepoda', 'detritus'"
    ):
        counted(source, tmp_path / "out", "probabilistic")


def test_best_few_without_a_list_of_all_classes(tmp_path):
    source = write(
        tmp_path / "in", objects(2).iloc[:1], {"class": pa.array([["egg"]]), "prob": pa.array([[0.75]])}, classes=None
    )
    other = pa.table(
        {"sample_id": ["s 2/b"], "class": [["Copepoda", "egg"]], "prob": [[0.5, 0.25]], "object_id": ["x"]}
    )
    pq.write_table(other, source / "part-1.parquet")
    n = counted(source, tmp_path / "out", "probabilistic")
    assert n["s 2/b"].to_dict() == {"Copepoda": 0.5, "egg": 1.0, "unclassified": 0.5}


def test_a_row_of_empty_cells_has_no_probabilities(tmp_path):
    table = objects(3).assign(p_a=[0.5, np.nan, 0.25], p_b=[0.5, np.nan, np.nan])
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), tmp_path / "x.parquet")
    got = read_columns(str(tmp_path / "x.parquet"), 0, ["prob"], ("a", "b"))["prob"]
    assert got.to_pylist() == [[0.5, 0.5], None, [0.25, 0.0]]


def test_one_column_with_such_a_beginning_is_no_probability(tmp_path):
    """`p_value` beside labels and scores."""
    pq.write_table(pa.table({"sample_id": ["a"], "label": ["x"], "p_value": [0.01]}), tmp_path / "x.parquet")
    assert classes_in(tmp_path / "x.parquet") == (None, "nothing")
    assert "prob" not in names_of(tmp_path / "x.parquet")


WRONG = {
    "int8": ({"prob": pa.array([[1, -3]], pa.list_(pa.int8()))}, "lists of int8, needed are real numbers.*logits"),
    "int8 tensor": (
        {"prob": pa.FixedShapeTensorArray.from_numpy_ndarray(np.array([[1, -3]], "int8"))},
        "lists of int8, needed are real numbers.*softmax",
    ),
    "one number": ({"prob": pa.array([0.5])}, "holds double, needed are lists.*aqqua-dist ingest"),
    "text": ({"prob": pa.array(["0.5"])}, "holds string, needed are lists"),
    "logits": ({"prob": pa.array([[1.0, -3.0]])}, "-3.0 is outside"),
    "unequal lists": (
        {"class": pa.array([["a", "b"]]), "prob": pa.array([[0.5]])},
        "2 classes have 1 probabilities, needed is one each",
    ),
    "unknown class": (
        {"class": pa.array([["a", "x"]]), "prob": pa.array([[0.5, 0.5]])},
        r"class 'x' is none of the 2 classes \['a', 'b'\]",
    ),
    "class twice": ({"class": pa.array([["a", "a"]]), "prob": pa.array([[0.5, 0.5]])}, "a class stands twice"),
    "negative number": ({"class": pa.array([[-1]]), "prob": pa.array([[0.5]])}, "class -1 is none of the 2 classes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_probability_is_refused_in_words(tmp_path, name):
    columns, message = WRONG[name]
    source = write(tmp_path / "in", objects(1), columns, classes=("a", "b"))
    with pytest.raises(UserError, match=message):
        counted(source, tmp_path / "out", "probabilistic")


def file_of(tmp_path, folder, **columns):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), tmp_path / folder / "x.parquet")
    return str(tmp_path / folder / "x.parquet")


def test_a_folder_that_contradicts_its_file(tmp_path):
    path = file_of(tmp_path, "sample_id=s1", sample_id=["s1", "s2"], label=["a", "a"])
    with pytest.raises(UserError, match="the folder says sample_id 's1', and the file 's2'"):
        read_columns(path, 0, ["sample_id"])
    path = file_of(tmp_path, "sample_id=s3/label=Copepoda", esd=[1.0, 2.0])
    assert read_columns(path, 0, ["label", "sample_id", "esd"]).to_pylist() == [
        {"label": "Copepoda", "sample_id": "s3", "esd": 1.0},
        {"label": "Copepoda", "sample_id": "s3", "esd": 2.0},
    ]


@pytest.mark.parametrize(
    ("columns", "asked", "message"),
    [
        ({"esd": ["big"]}, "esd", "column 'esd' holds string, needed is numbers"),
        ({"esd": [[1.0]]}, "esd", "column 'esd' holds list"),
        ({"label": [["a"]]}, "label", "column 'label' holds list"),
        ({"label": [b"\xff"]}, "label", "column 'label' holds binary"),
    ],
)
def test_columns_of_another_type(tmp_path, columns, asked, message):
    with pytest.raises(UserError, match=message):
        read_columns(file_of(tmp_path, "x", **columns), 0, [asked])


def test_a_column_that_stands_twice(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([1.0]), pa.array([2.0])], ["sample_id", "esd", "esd"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(UserError, match="column 'esd' stands 2 times"):
        names_of(tmp_path / "x.parquet")


def test_numbers_as_ids_and_words_as_categories(tmp_path):
    path = file_of(tmp_path, "x", sample_id=[7, 8], label=pd.Categorical([3, 4]).astype("category"))
    assert read_columns(path, 0, ["sample_id", "label"]).cast(
        pa.schema([("sample_id", pa.string()), ("label", pa.string())])
    ).to_pylist() == [{"sample_id": "7", "label": "3"}, {"sample_id": "8", "label": "4"}]
