"""`aqqua-dist aggregate` where a model has counted: validated and corrected parts together, carbon, zones."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.core import files
from aqqua_dist.counts import correction
from aqqua_dist.counts.counting_error import garwood
from tests.counts.classified import CLASSES, objects, table_of, validation, write


def call(*words):
    return CliRunner().invoke(main, ["aggregate", *map(str, words)])


@pytest.fixture
def case(tmp_path):
    random = np.random.default_rng(5)
    validated = validation(tmp_path / "v.csv", *table_of(random))
    _, prob = table_of(random, 600)
    table = objects().assign(prob=list(prob.astype("float32")))
    table["status"] = np.where(table["status"] == "dubious", "predicted", table["status"])
    write(tmp_path / "o", table)
    pd.DataFrame(
        {
            "sample_id": ["s0", "s1", "s2", "empty"],
            "profile": ["a", "a", "b", "c"],
            "volume": [2.0, 3.0, 4.0, 5.0],
            "depth_top": [0.0, 100, 0, 0],
            "depth_bottom": [100.0, 200, 200, 50],
            "lat": 1.0,
            "lon": 2.0,
        }
    ).to_parquet(tmp_path / "samples.parquet")
    return tmp_path, table, validated


@pytest.mark.parametrize("method", ["validated", "top1", "probabilistic", "acc", "pacc", "em"])
def test_validated_and_predicted_parts_add_up_without_double_counting(case, method):
    folder, table, validated = case
    done = call(
        folder / "o",
        "-o",
        folder / "out",
        "--samples",
        folder / "samples.parquet",
        "--method",
        method,
        "--validation",
        folder / "v.csv",
    )
    assert done.exit_code == 0, done.output
    counts = files.read_parquet(folder / "out" / "counts.parquet")
    assert counts["n"].sum() == pytest.approx(600)
    human = table[table["status"] == "validated"].groupby(["sample_id", "label"]).size()
    rows = counts[(counts["method"] == "validated") & (counts["taxon"] != "unclassified")]
    pd.testing.assert_series_equal(
        rows.groupby(["sample_id", "taxon"])["n"].sum(), human.astype(float), check_names=False
    )
    report = json.loads((folder / "out" / "report.json").read_text())
    assert report["method"] == method and report["counted"] == 600
    model = counts[counts["method"] == method]
    if method in ("acc", "pacc"):
        mine = table[table["status"] != "validated"]
        sums = correction.summed(
            np.array([*mine["prob"]], dtype=float), CLASSES, mine["sample_id"].str[1:].astype(int).to_numpy(), 3
        )
        expected, _ = correction.estimate(sums, method, validated.of(method))
        got = model.groupby(["sample_id", "taxon"])["n"].sum().unstack(fill_value=0)[list(CLASSES)]
        np.testing.assert_allclose(got, expected, atol=1e-4)
    found = files.read_parquet(folder / "out" / "concentrations.parquet").set_index(["sample_id", "taxon"])
    whole = counts.groupby(["sample_id", "taxon"])["n"].sum()
    assert found.loc[("s1", "copepod"), "number_concentration"] == pytest.approx(whole["s1", "copepod"] / 3)
    assert found.loc[("empty", "copepod"), "number_concentration"] == 0


def test_rows_carry_the_interval_of_what_was_seen(case):
    folder, _, _ = case
    for method in ("top1", "acc"):
        assert (
            call(
                folder / "o",
                "-o",
                folder / method,
                "--samples",
                folder / "samples.parquet",
                "--method",
                method,
                "--validation",
                folder / "v.csv",
            ).exit_code
            == 0
        )
    seen, counts = (files.read_parquet(folder / method / "counts.parquet") for method in ("top1", "acc"))
    np.testing.assert_allclose(seen[["n_low", "n_high"]].to_numpy().T, garwood(seen["n"]))
    keys = ["sample_id", "taxon", "esd_low"]
    both = counts[counts["method"] == "acc"].merge(seen[seen["method"] == "top1"], on=keys, suffixes=("", "_seen"))
    np.testing.assert_allclose(both["n_high"] / both["n"], both["n_high_seen"] / both["n_seen"])


def test_carbon_is_that_of_the_mean_of_a_size_class(case):
    """Menden-Deuer & Lessard 2000, table 4, all protists: log pg C = -0.665 + 0.939 log um3."""
    folder, table, _ = case
    words = (
        "--carbon",
        "copepod=menden_deuer2000_protists",
        "--method",
        "top1",
        "--zone",
        "0-200",
        "--coverage",
        "0.9",
    )
    done = call(folder / "o", "-o", folder / "out", "--samples", folder / "samples.parquet", *words)
    assert done.exit_code == 0, done.output
    counts = files.read_parquet(folder / "out" / "counts.parquet")
    rows = counts[(counts["taxon"] == "copepod") & counts["biovolume"].notna()]
    mean = rows["biovolume"] / rows["n"] * 1e9  # um3
    expected = rows["n"] * 10**-0.665 * mean**0.939 * 1e-9  # mg
    np.testing.assert_allclose(rows["carbon"], expected, rtol=1e-3)
    assert counts.loc[counts["taxon"] == "detritus", "carbon"].isna().all()
    zones = files.read_parquet(folder / "out" / "zone_concentrations.parquet").set_index(["profile", "taxon"])
    assert set(zones.index.get_level_values("profile")) == {"a", "b"}  # c covers a quarter
    n = counts[counts["taxon"] == "detritus"].groupby("sample_id")["n"].sum()
    assert zones.loc[("a", "detritus"), "number_concentration"] == pytest.approx((n["s0"] + n["s1"]) / 5)
    assert zones.loc[("a", "detritus"), "number_integral"] == pytest.approx(200 * (n["s0"] + n["s1"]) / 5)
    assert files.read_parquet(folder / "out" / "zones_dropped.parquet")["profile"].tolist() == ["c"]


def test_predictions_of_an_ingest_are_joined(case):
    folder, table, _ = case
    table.drop(columns="prob").to_parquet(folder / "objects.parquet")
    turned = table.iloc[::-1]
    turned[["object_id", "prob"]].assign(model_id="m").to_parquet(folder / "predictions.parquet")
    pd.DataFrame({"model_id": "m", "place": [2, 0, 1], "class": ["egg", "copepod", "detritus"]}).to_parquet(
        folder / "classes.parquet"
    )
    words = ("--samples", folder / "samples.parquet", "--method", "pacc", "--validation", folder / "v.csv")
    for source, out in ((folder / "o", "one"), (folder, "two")):
        assert (done := call(source, "-o", folder / out, *words)).exit_code == 0, done.output
    one, two = (files.read_parquet(folder / name / "counts.parquet") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    assert not (folder / "two" / ".objects.parquet").exists()
    pd.DataFrame({"model_id": ["m", "m", "k"], "place": [2, 0, 1], "class": list("abc")}).to_parquet(
        folder / "classes.parquet"
    )
    assert "probabilities of 2 models" in call(folder, "-o", folder / "three", *words).output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "acc"), "needs a labelled validation table"),
        (("--method", "guess"), "method 'guess' of counting is unknown"),
        (("--method", "thresholded", "--threshold", "2"), "allowed are numbers within [0, 1]"),
        (("--carbon", "copepod"), "is not TAXON=CONVERSION"),
        (("--carbon", "copepod=none"), "conversion 'none' is unknown"),
        (("--carbon", "copepod=gorsky2010_copepoda_area"), "gorsky2010_copepoda_area"),
        (("--zone", "500-900"), "none of 4 samples covers"),
        (("--dubious", "x", "--method", "top1"), "dubious objects as 'x'"),
    ],
)
def test_faults_of_the_command(case, words, message):
    folder, _, _ = case
    done = call(folder / "o", "-o", folder / "out", "--samples", folder / "samples.parquet", *words)
    assert done.exit_code == 2
    assert message in done.output
    assert done.output.count("\n") <= 2 and "Traceback" not in done.output
