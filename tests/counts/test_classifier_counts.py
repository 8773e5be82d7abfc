"""Corrected counts from the sums: the same as from the objects themselves, and nearer to the truth."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import classifier_counts, correction
from aqqua_dist.counts.classifier_tallies import Scoring
from aqqua_dist.counts.confusion import Confusion, Validated, read_validation
from tests.counts.classified import CLASSES, matrix, objects, sums_of, table_of, validation, write


@pytest.fixture
def case(tmp_path):
    random = np.random.default_rng(5)
    validated = validation(tmp_path / "v.csv", *table_of(random))
    true, prob = table_of(random, 600)
    table = objects().assign(status="predicted", prob=list(prob.astype("float32")))
    return validated, true, table, write(tmp_path / "o", table)


@pytest.mark.parametrize("method", ["acc", "pacc"])
def test_corrections_are_those_of_the_objects(case, tmp_path, method):
    validated, _, table, paths = case
    scoring = Scoring(method, CLASSES, soft=True)
    sums, axes = sums_of(paths, scoring, tmp_path)
    got = classifier_counts.model_counts(sums, axes, scoring, validated)
    place = table["sample_id"].str[1:].astype(int).to_numpy()
    summed = correction.summed(np.array([*table["prob"]], dtype=float), CLASSES, place, 4)
    expected, _ = correction.estimate(summed, method, validated.of(method))
    np.testing.assert_allclose(matrix(got), expected, atol=1e-4)
    assert got["n"].sum() == pytest.approx(600)
    whole = got.groupby(["row", "class"])[["n", "raw"]].sum()
    each = got.merge(whole, on=["row", "class"], suffixes=("", "_whole"))
    seen = each["raw"] > 0
    np.testing.assert_allclose(
        (each["n"] / each["raw"])[seen], (each["n_whole"] / each["raw_whole"])[seen]
    )  # sizes as those of the predicted class


def test_expectation_maximisation_on_bins_is_near_that_on_objects(case, tmp_path):
    validated, true, table, paths = case
    scoring = Scoring("em", CLASSES, soft=True)
    sums, axes = sums_of(paths, scoring, tmp_path)
    got = matrix(classifier_counts.model_counts(sums, axes, scoring, validated))
    prob, place = np.array([*table["prob"]], dtype=float), table["sample_id"].str[1:].astype(int).to_numpy()
    for sample in range(3):
        exact = correction.em(prob[place == sample], CLASSES, validated.mix)[0]
        assert (np.abs(got[sample] - exact) < 0.4 * np.sqrt(exact)).all()  # far less than the counting error
    assert got.sum() == pytest.approx(600)


def test_corrected_counts_are_nearer_to_a_mix_that_has_moved(case, tmp_path):
    validated, _, _, _ = case
    random = np.random.default_rng(9)
    true, prob = table_of(random, 9000)
    keep = random.random(9000) < np.array([1.0, 0.1, 0.1])[true]  # mostly the first class
    true, prob = true[keep], prob[keep]
    table = pd.DataFrame(
        {
            "object_id": np.arange(len(true)).astype(str),
            "sample_id": "s0",
            "status": "predicted",
            "label": None,
            "esd": 100.0,
            "prob": list(prob),
        }
    )
    paths, error = write(tmp_path / "moved", table), {}
    for method in ("top1", "acc", "pacc", "em"):
        scoring = Scoring(method, CLASSES, soft=True)
        sums, axes = sums_of(paths, scoring, tmp_path)
        error[method] = np.abs(
            matrix(classifier_counts.model_counts(sums, axes, scoring, validated))[0] - np.bincount(true)
        ).max() / len(true)
    assert max(error["acc"], error["pacc"]) < 0.04 < error["top1"]


def test_a_class_that_nobody_saw_has_no_size(tmp_path):
    """All 40 objects look like copepods; with this confusion the nearest mix has detritus too, whose size nobody knows."""
    rates = Confusion(CLASSES, np.array([[60.0, 30, 10], [90, 10, 0], [0, 0, 100]]), "labels")
    prob = np.tile([0.9, 0.05, 0.05], (40, 1))
    table = pd.DataFrame(
        {
            "object_id": np.arange(40).astype(str),
            "sample_id": "s0",
            "status": "predicted",
            "label": None,
            "esd": 100.0,
            "prob": list(prob),
        }
    )
    scoring = Scoring("acc", CLASSES, soft=True)
    sums, axes = sums_of(write(tmp_path / "o", table), scoring, tmp_path)
    got = classifier_counts.model_counts(sums, axes, scoring, Validated(rates)).set_index("class")
    expected = correction.adjusted([40, 0, 0], rates.shares)
    assert got.loc[1, "n"] == pytest.approx(expected[1]) and expected[1] > 1
    assert np.isnan(got.loc[1, "biovolume"]) and got.loc[1, "size"] == axes.sizes - 1 and got.loc[1, "raw"] == 0


def test_real_predictions(data_root, tmp_path):
    path = data_root / "predictions" / "uvp6_features_cv_probabilities.csv.gz"
    found = read_validation(path)
    assert len(found.classes) == 10 and found.labels.counts.sum() == 1250
    assert np.trace(found.labels.counts) / 1250 == pytest.approx(
        0.59, abs=0.01
    )  # accuracy that the data's description states
    np.testing.assert_allclose(found.probabilities.counts.sum(axis=1), found.labels.counts.sum(axis=1))
    pd.read_csv(path).to_parquet(tmp_path / "v.parquet")
    assert np.array_equal(read_validation(tmp_path / "v.parquet").labels.counts, found.labels.counts)


@pytest.mark.parametrize(
    ("change", "classes", "message"),
    [
        (lambda t: t.rename(columns={"taxon": "x"}), None, "there is no column of true classes"),
        (lambda t: t[["taxon"]], None, "neither a column of"),
        (lambda t: t.assign(p_egg=0.9), None, "add up to"),
        (lambda t: t, ("copepod", "fish", "egg"), "those of the objects of"),
        (lambda t: t.assign(taxon=None), None, "row 2, column 'taxon': the true class is missing"),
        (lambda t: t[t["taxon"] != "egg"], None, "class 'egg' has 0 labelled images"),
    ],
)
def test_validation_tables_that_cannot_be(tmp_path, change, classes, message):
    true, prob = table_of(np.random.default_rng(0), 60)
    validation(tmp_path / "v.csv", true, prob)
    change(pd.read_csv(tmp_path / "v.csv")).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(UserError, match=message) as error:
        read_validation(tmp_path / "bad.csv", classes)
    assert "bad.csv" in str(error.value)


def test_labels_alone_do_for_acc_and_not_for_pacc(tmp_path):
    pd.DataFrame({"true": ["a", "b", "b"], "predicted": ["a", "b", "a"]}).to_csv(tmp_path / "v.csv", index=False)
    found = read_validation(tmp_path / "v.csv")
    assert found.of("acc").counts.tolist() == [[1, 0], [1, 1]] and found.of("top1") is None
    np.testing.assert_allclose(found.mix, [1 / 3, 2 / 3])
    with pytest.raises(UserError, match="'pacc' needs a validation table with probabilities"):
        found.of("pacc")
