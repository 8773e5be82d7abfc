"""Probabilities and embeddings in the forms that models write."""

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.image_models.predictions import (
    Predictions,
    checked_scores,
    read_arrays,
    read_predictions,
    recognises,
)
from aqqua_dist.readers.sources import Source

IDS, CLASSES = ["a", "b", "c"], ["Copepoda", "detritus", "small<egg"]
PROB = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0.125, 0.125, 0.75]])


def parquet(path, values, *, kind=None, names=CLASSES, keep_schema=True, **columns):
    kind = kind or pa.list_(pa.float32(), values.shape[1])
    table = pa.table({"object_id": IDS, "prob": pa.array(list(values), type=kind)} | columns)
    if names:
        table = table.replace_schema_metadata({"classes": json.dumps(names)})
    pq.write_table(table, path, store_schema=keep_schema)
    return Source(path)


@pytest.mark.parametrize(
    "given_",
    [
        {},
        {"kind": pa.list_(pa.float16(), 3)},
        {"kind": pa.list_(pa.float64())},
        {"kind": pa.list_(pa.float32(), 3), "keep_schema": False},
    ],
    ids=str,
)
def test_lists_in_parquet(tmp_path, given_):
    values = PROB.astype("float16") if given_.get("kind") == pa.list_(pa.float16(), 3) else PROB
    source = parquet(tmp_path / "a.parquet", values, model_id=["m1"] * 3, **given_)
    found = read_predictions(
        source, classes=None if given_.get("keep_schema", True) else CLASSES
    )  # the names go with the schema
    assert found.object_id.tolist() == IDS
    assert found.classes == tuple(CLASSES)
    assert found.prob.dtype == np.float32
    assert found.prob == pytest.approx(PROB)
    assert found.model_id == "m1"


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32()])
def test_embeddings_keep_their_precision(tmp_path, kind):
    values = np.random.default_rng(0).normal(size=(3, 384)).astype(kind.to_pandas_dtype())
    table = pa.table(
        {"object_id": IDS, "embedding": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), type=kind), 384)}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    found = read_predictions(Source(tmp_path / "a.parquet"))
    assert found.prob is None
    assert found.embedding.dtype == values.dtype
    assert (found.embedding == values).all()


@pytest.mark.parametrize("prefix", ["prob_", "p_"])
def test_wide_and_long_text_say_the_same(tmp_path, prefix):
    wide = pd.DataFrame(PROB, columns=[prefix + c for c in CLASSES]).assign(object_id=IDS)
    wide.to_csv(tmp_path / "wide.csv", index=False)
    (tmp_path / "wide.tsv.gz").write_bytes(gzip.compress(wide.to_csv(index=False, sep="\t").encode()))
    long = wide.melt("object_id", var_name="class", value_name="prob").sample(frac=1, random_state=1)
    long["class"] = long["class"].str.removeprefix(prefix)
    long[long["prob"] > 0].to_csv(tmp_path / "long.csv", index=False)  # zeros are often left out
    for name in ("wide.csv", "wide.tsv.gz", "long.csv"):
        assert recognises(Source(tmp_path / name))
        found = read_predictions(Source(tmp_path / name))
        order = [list(found.object_id).index(i) for i in IDS]
        assert found.prob[np.ix_(order, [found.classes.index(c) for c in CLASSES])] == pytest.approx(PROB)


def test_arrays_with_an_id_table(tmp_path):
    pd.DataFrame({"object_id": IDS}).to_csv(tmp_path / "ids.csv", index=False)
    np.save(tmp_path / "x.npy", PROB.astype("float16"))
    array, ids = Source(tmp_path / "x.npy"), Source(tmp_path / "ids.csv")
    assert read_arrays(array, ids).embedding.dtype == np.float16
    assert read_arrays(array, ids, classes=CLASSES).prob == pytest.approx(PROB)
    np.save(tmp_path / "x.npy", PROB[:2])
    with pytest.raises(UserError, match=r"shape \(2, 3\), needed is a real one with the 3 rows of"):
        read_arrays(array, ids)
    (tmp_path / "x.npy").write_bytes(b"no array")
    with pytest.raises(UserError, match="x.npy: the array cannot be read"):
        read_arrays(array, ids)


def test_half_precision_is_scaled_to_one_and_top_five_is_not():
    findings = []
    rng = np.random.default_rng(1)
    rough = rng.dirichlet(np.ones(60), 500).astype("float16")
    assert np.abs(rough.astype(float).sum(axis=1) - 1).max() > 1e-5
    assert checked_scores(rough, "x", findings).sum(axis=1, dtype=float) == pytest.approx(1, abs=1e-6)
    assert [f["severity"] for f in findings] == ["repaired"]
    findings = []
    short = checked_scores(np.array([[0.5, 0.3], [0.6, 0.4]]), "x", findings)
    assert short.sum(axis=1) == pytest.approx([0.8, 1])  # the remainder is unclassified, not shared out
    assert [f["severity"] for f in findings] == ["suspicious"]
    assert "least 0.8" in findings[0]["message"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=6))
def test_rows_never_add_up_to_more_than_one(rows):
    given_ = np.array(rows)
    try:
        found = checked_scores(given_, "x", [])
    except UserError as error:
        assert given_.sum(axis=1).max() > 1
        assert "allowed is at most 1" in str(error)
        return
    assert found.sum(axis=1, dtype=float).max() <= 1 + 1e-6
    assert np.abs(found - given_).max() <= 2e-3


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: parquet(p, PROB, names=None), "holds 3 classes without names"),
        (lambda p: parquet(p, PROB, names=CLASSES[:2]), "2 class names"),
        (lambda p: parquet(p, PROB, names=["a", "a", "b"]), "needed is one unique name each"),
        (lambda p: parquet(p, PROB * 2), r"row 2, class 1|add up to|outside \[0, 1\]"),
        (lambda p: parquet(p, np.where(PROB == 1, np.nan, PROB)), "row 3, prob 2: nan is not a finite number"),
        (lambda p: parquet(p, -PROB), r"probability -0.5 is outside \[0, 1\]"),
        (lambda p: parquet(p, PROB, model_id=["m1", "m2", "m1"]), "holds 2 models"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, spoil, message):
    with pytest.raises(UserError, match=message) as error:
        read_predictions(spoil(tmp_path / "a.parquet"))
    assert "a.parquet" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("object_id,prob_a,prob_b\nx,0.5,0.5\nx,0.1,0.9\n", "object 'x' also stands in row 2 with other values"),
        ("id,prob_a\nx,1\n", "column 'object_id' is missing"),
        ("object_id,prob_a\nx,much\n", "row 2, column 'prob_a': 'much' is not a number"),
        ("object_id,area\nx,3\n", "neither a probability nor an embedding"),
        ("object_id,class,prob\nx,a,0.5\nx,a,0.5\n", "object 'x' and class 'a' stand twice"),
        ("object_id,class,prob\nx,a,high\n", "row 2, column 'prob': 'high' is not a number"),
        ("object_id,prob_a\nx,0.5,3\n", "cannot be read"),
        ("object_id,prob_a,prob_b\n,0.5,0.5\n", "object id is missing|neither"),
    ],
)
def test_wrong_text_is_named(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_predictions(Source(tmp_path / "a.csv"))


def test_an_image_that_stands_twice_with_the_same_values_is_kept_once(tmp_path):
    (tmp_path / "a.csv").write_text("object_id,prob_a,prob_b\nx,0.5,0.5\ny,1,0\nx,0.5,0.5\n")
    found = read_predictions(Source(tmp_path / "a.csv"))
    assert found.object_id.tolist() == ["x", "y"]
    assert [f["check"] for f in found.findings] == ["duplicate"]


def test_real_predictions(data_root):
    """1 250 rows of ten classes, in which 100 images stand under two labels, 82 of them with two predictions: no usable id."""
    source = Source(data_root / "predictions" / "uvp6_features_cv_probabilities.csv.gz")
    assert recognises(source)
    with pytest.raises(
        UserError, match="object '1153100' also stands in row 404 with other values, allowed is once; 82 such rows"
    ):
        read_predictions(source)
    found = read_predictions(source, object_id="row")
    assert isinstance(found, Predictions)
    assert found.prob.shape == (1250, 10)
    assert found.classes[:2] == ("Acantharea", "Aulacanthidae")
    assert found.prob.sum(axis=1, dtype=float) == pytest.approx(1, abs=1e-6)
    assert [f["check"] for f in found.findings] == ["probability sum"]  # five decimals


def test_ids_stay_what_they_are_and_quotes_and_semicolons_are_read(tmp_path):
    (tmp_path / "a.csv").write_text('"object_id";"p_egg";"p_fish"\n"007";0.25;"0,75"\n"1e3";1;0\n')
    got = read_predictions(Source(tmp_path / "a.csv"))
    assert got.object_id.tolist() == ["007", "1e3"]
    assert got.prob.tolist() == [[0.25, 0.75], [1, 0]]


def test_the_best_classes_only_leave_the_rest_unclassified(tmp_path):
    (tmp_path / "a.csv").write_text("object_id,p_a,p_b,p_c\nx,0.5,0.25,\ny,0.125,,0.75\n")
    got = read_predictions(Source(tmp_path / "a.csv"))
    assert got.prob.tolist() == [[0.5, 0.25, 0], [0.125, 0, 0.75]]
    assert "2 rows add up to less than 1 (least 0.75)" in str(got.findings)
    (tmp_path / "a.csv").write_text("object_id,p_a,p_b\nx,,\n")
    with pytest.raises(UserError, match="probability nan is outside"):
        read_predictions(Source(tmp_path / "a.csv"))


@pytest.mark.parametrize("held", ['["egg", "fish"]', "egg, fish", '{"egg": 0, "fish": 1}', '{"0": "egg", "1": "fish"}'])
@pytest.mark.parametrize("kind", ["list", "tensor", "half"])
def test_classes_and_lists_in_every_form(tmp_path, held, kind):
    """The order of a JSON object is that of its numbers, not of its text."""
    values = np.array([[0.25, 0.75], [1, 0]], "float16" if kind == "half" else "float32")
    column = pa.array(list(values), pa.list_(pa.float16() if kind == "half" else pa.float32()))
    if kind == "tensor":
        column = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    table = pa.table({"object_id": ["x", "y"], "prob": column}).replace_schema_metadata({"classes": held})
    pq.write_table(table, tmp_path / "a.parquet")
    got = read_predictions(Source(tmp_path / "a.parquet"))
    assert got.classes == ("egg", "fish")
    assert got.prob.tolist() == [[0.25, 0.75], [1, 0]]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[3, -2]], pa.list_(pa.int8())), "lists of int8, needed are real numbers; whole ones are logits"),
        (pa.array([[3.5, -2]], pa.list_(pa.float32())), r"outside \[0, 1\] \(logits\? the softmax of them is needed\)"),
    ],
)
def test_logits_are_refused_in_words(tmp_path, column, message):
    table = pa.table({"object_id": ["x"], "prob": column}).replace_schema_metadata({"classes": "a,b"})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match=message):
        read_predictions(Source(tmp_path / "a.parquet"))


@pytest.mark.parametrize("held", ["[1.5]", '["a"', "{}", '{"a": 3}', '["a", null]', ""])
def test_classes_that_are_no_names_are_refused(tmp_path, held):
    table = pa.table({"object_id": ["x"], "prob": pa.array([[1.0]])}).replace_schema_metadata({"classes": held})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet.*(are no list of names|without names)"):
        read_predictions(Source(tmp_path / "a.parquet"))


def test_folders_of_partitions_tell_the_model(tmp_path):
    folder = tmp_path / "model_id=m%202"
    folder.mkdir()
    (folder / "a.csv").write_text("object_id,p_a\nx,1\n")
    assert read_predictions(Source(folder / "a.csv")).model_id == "m 2"


def test_a_text_of_another_kind_is_not_known_whatever_its_encoding(tmp_path):
    (tmp_path / "notes.csv").write_bytes("température,b\n1,2\n".encode("latin-1"))
    assert not recognises(Source(tmp_path / "notes.csv"))
