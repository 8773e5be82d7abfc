"""What a model says of objects: sums in whole numbers against plain numpy, on any partition."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import classifier_counts, classifier_tallies, correction, tallies
from aqqua_dist.counts.classifier_tallies import Scoring
from aqqua_dist.counts.confusion import REPAIR
from tests.counts.classified import CLASSES, matrix, objects, sums_of, write


@pytest.mark.parametrize("method", ["top1", "thresholded", "probabilistic"])
@pytest.mark.parametrize("dubious", ["predicted", "validated", "unclassified"])
def test_sums_are_those_of_plain_numpy(tmp_path, method, dubious):
    table = objects()
    scoring = Scoring(method, CLASSES, {"copepod": 0.6, "egg": 0.5}, dubious, True)
    sums, axes = sums_of(write(tmp_path / "o", table), scoring, tmp_path)
    got = classifier_counts.model_counts(sums, axes, scoring)
    who = correction.who_counts(table["status"], dubious)
    mine = table[who == 1]
    place = mine["sample_id"].str[1:].astype(int).to_numpy()
    prob = np.array([*mine["prob"]], dtype=float)
    expected = correction.summed(prob, CLASSES, place, 4, scoring.thresholds)
    reference = {"top1": expected.top, "thresholded": expected.kept, "probabilistic": expected.prob}[method]
    np.testing.assert_allclose(matrix(got), reference, atol=1e-5)
    volume = np.pi / 6e9 * mine["esd"].to_numpy() ** 3
    weight = prob / prob.sum(axis=1, keepdims=True) if method == "probabilistic" else np.eye(3)[prob.argmax(axis=1)]
    if method == "thresholded":
        weight = weight * (prob.max(axis=1) >= np.array([0.6, 0, 0.5])[prob.argmax(axis=1)])[:, None]
    known = ~np.isnan(volume)
    shared = (weight * np.where(known, volume, 0)[:, None]).sum()
    assert got["biovolume"].sum() == pytest.approx(shared, rel=1e-6)
    assert got.loc[got["biovolume"].isna(), "n"].sum() == pytest.approx(
        weight[~known].sum(), abs=1e-5
    )  # unknown sizes are a class of their own
    human = sums.n[(sums.slots // axes.sizes % axes.width) < len(axes.labels)].sum()
    left = (expected.top.sum() - expected.kept.sum()) if method == "thresholded" else 0
    assert human == (who != 1).sum() + left  # nobody is lost


@pytest.mark.parametrize("method", ["probabilistic", "em"])
@pytest.mark.parametrize("memory", [2**28, 2**19])
def test_order_and_partition_do_not_matter(tmp_path, method, memory):
    table = objects()
    scoring = Scoring(method, CLASSES, 0.0, "predicted", True)
    one, axes = sums_of(write(tmp_path / "one", table), scoring, tmp_path, memory=memory)
    turned = table.iloc[np.random.default_rng(1).permutation(len(table))]
    two, _ = sums_of(write(tmp_path / "two", turned, files=5), scoring, tmp_path, memory=2**28, rows=90)
    assert all(np.array_equal(getattr(one, name), getattr(two, name)) for name in ("slots", "n", "volume", "unknown"))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_every_object_counts_exactly_once(seed, rows):
    table = objects(rows, seed)
    prob = np.array([*table["prob"]], dtype="float16").astype(float)  # does not add up to 1 exactly
    axes = tallies.Axes(("s0", ("repaired",)), ("unclassified",), 1, CLASSES)
    arrow = pa.table({"prob": pa.array(list(prob), pa.list_(pa.float64()))})
    zero = np.zeros(rows, np.int64)
    found = tallies.merge(
        classifier_tallies.tally_model(
            arrow, (zero, zero, zero, zero.astype(bool)), axes, Scoring("probabilistic", CLASSES, soft=True), "x"
        )
    )
    here = found.slots < axes.width
    assert found.n[here].sum() == rows * classifier_tallies.WHOLE
    off = np.abs(prob.sum(axis=1) - 1) > REPAIR
    assert found.n[~here].sum() == off.sum()  # recorded


def test_labels_and_scores_stand_in_for_probabilities(tmp_path):
    table = objects().drop(columns="prob").assign(score=np.random.default_rng(3).random(600))
    table.to_parquet(tmp_path / "o.parquet")
    scoring = Scoring("thresholded", ("copepod", "fish"), {"fish": 0.5}, "predicted", False)
    sums, axes = sums_of([tmp_path / "o.parquet"], scoring, tmp_path)
    got = classifier_counts.model_counts(sums, axes, scoring).groupby("class")["n"].sum()
    mine = table[table["status"] != "validated"]
    assert got.tolist() == [
        (mine["label"] == "copepod").sum(),
        ((mine["label"] == "fish") & (mine["score"] >= 0.5)).sum(),
    ]


def test_validated_only_leaves_the_rest_unclassified(tmp_path):
    sums, axes = sums_of(write(tmp_path / "o", objects()), Scoring("validated"), tmp_path)
    label = sums.slots // axes.sizes % axes.width
    n = np.bincount(label, sums.n, len(axes.labels))
    status = objects()["status"]
    assert n[:-1].sum() == (status == "validated").sum() and n[-1] == (status != "validated").sum()


def changed(table, row, value):
    prob = list(table["prob"])
    prob[row] = np.array(value, dtype="float32")
    return table.assign(prob=prob)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: changed(t, 0, [0.5, 0.5, 0.5]), "row 1: they add up to 1.5, needed is 1"),
        (lambda t: changed(t, 0, [np.nan, 0.5, 0.5]), "class 'copepod': nan is outside"),
        (lambda t: changed(t, 0, [-0.5, 1.0, 0.5]), "is outside .0, 1."),
        (lambda t: t.assign(status="sure"), "column 'status': 'sure' in 100 rows is unknown"),
    ],
)
def test_answers_that_cannot_be(tmp_path, change, message):
    table = change(objects().assign(status="predicted"))
    with pytest.raises(UserError, match=message) as error:
        sums_of(write(tmp_path / "o", table), Scoring("probabilistic", CLASSES, soft=True), tmp_path)
    assert "0.parquet, row group 0" in str(error.value)


def test_objects_without_probabilities_are_named(tmp_path):
    kind = pa.list_(pa.float32())
    table = pa.table(
        {
            "sample_id": ["s0", "s0"],
            "label": ["a", "b"],
            "status": ["validated", "predicted"],
            "prob": pa.array([None, None], kind),
        }
    )
    pq.write_table(table.replace_schema_metadata({"classes": json.dumps(CLASSES)}), tmp_path / "o.parquet")
    with pytest.raises(UserError, match="object 1 of the model has no probabilities; 1 such objects"):
        sums_of([tmp_path / "o.parquet"], Scoring("probabilistic", CLASSES, soft=True), tmp_path)
    table = table.set_column(3, "prob", pa.array([None, [0.5, 0.5]], kind))
    pq.write_table(table.replace_schema_metadata({"classes": json.dumps(CLASSES)}), tmp_path / "o.parquet")
    with pytest.raises(UserError, match="lists of 2 numbers, needed are 3"):
        sums_of([tmp_path / "o.parquet"], Scoring("probabilistic", CLASSES, soft=True), tmp_path)


def test_the_order_of_the_classes_is_that_of_every_file(tmp_path):
    one = write(tmp_path / "one", objects(), files=1)
    two = write(tmp_path / "two", objects(), files=1, classes=("detritus", "copepod", "egg"))
    assert classifier_tallies.classes_of(one) == CLASSES
    with pytest.raises(UserError, match="the order must be the same"):
        classifier_tallies.classes_of([*one, *two])
    objects().drop(columns="prob").to_parquet(tmp_path / "none.parquet")
    assert classifier_tallies.classes_of([tmp_path / "none.parquet"]) is None
    for paths in ([*one, tmp_path / "none.parquet"], [tmp_path / "none.parquet", *one]):
        with pytest.raises(UserError, match="all partitions need the same columns"):
            classifier_tallies.classes_of(paths)
    pq.write_table(pq.read_table(one[0]).replace_schema_metadata(None), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="have no names"):
        classifier_tallies.classes_of([tmp_path / "x.parquet"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "guess"}, "method 'guess' of counting is unknown"),
        ({"dubious": "away"}, "dubious objects as 'away'"),
    ],
)
def test_scorings_that_are_none(given, message):
    with pytest.raises(UserError, match=message):
        Scoring(**given)


def test_thresholds_of_strangers_are_refused():
    with pytest.raises(UserError, match="allowed are numbers within"):
        Scoring("thresholded", CLASSES, {"fish": 0.5}).limits  # noqa: B018
    with pytest.raises(UserError, match="allowed are numbers within"):
        Scoring("thresholded", CLASSES, 1.5).limits  # noqa: B018
