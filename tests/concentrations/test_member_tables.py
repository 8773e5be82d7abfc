"""Members of aggregated concentrations: validated and model's parts together, in any number of pieces."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.concentrations import member_tables as drawn_tables
from aqqua_dist.core import files
from tests.counts.classified import objects, table_of, validation, write

pytestmark = pytest.mark.filterwarnings("ignore:the error of the volume")


def call(*words):
    done = CliRunner().invoke(main, ["aggregate", *map(str, words)])
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("drawn"), np.random.default_rng(5)
    validation(folder / "v.csv", *table_of(random))
    table = objects(3000).assign(prob=list(table_of(random, 3000)[1].astype("float32")))
    write(folder / "o", table)
    pd.DataFrame(
        {
            "sample_id": ["s0", "s1", "s2", "empty"],
            "volume": [2.0, 3.0, 4.0, 5.0],
            "volume_rel_sd": 0.1,
            "effort_rule": "r",
        }
    ).to_parquet(folder / "samples.parquet")
    return folder


@pytest.mark.parametrize("method", ["top1", "probabilistic", "acc", "pacc", "em"])
def test_members_spread_around_the_concentration(folder, tmp_path, method):
    call(
        folder / "o",
        "-o",
        tmp_path,
        "--samples",
        folder / "samples.parquet",
        "--method",
        method,
        "--validation",
        folder / "v.csv",
        "--members",
        400,
    )
    found = files.read_parquet(tmp_path / "concentrations.parquet").set_index(["sample_id", "taxon"])
    drawn = files.read_parquet(tmp_path / "members.parquet")
    assert len(drawn) == 400 * len(found) and drawn["member"].max() == 399
    grouped = drawn.groupby(["sample_id", "taxon"])["number_concentration"]
    mean, sd = grouped.mean(), grouped.std()
    seen = found[found["number_concentration"] > 0]
    apart = (mean.reindex(seen.index) - seen["number_concentration"]) / (sd.reindex(seen.index) / 20)
    assert np.abs(apart).max() < (
        5 if method not in ("acc", "pacc") else 12
    )  # a correction is not linear in what it is drawn from
    assert (found["concentration_low"] <= found["number_concentration"]).all() and (
        found["number_concentration"] <= found["concentration_high"]
    ).all()
    poisson = np.sqrt(seen["n"]) / seen["volume"]
    assert (sd.reindex(seen.index) > 0.9 * poisson)[seen["n"] > 20].all()  # counting alone, and more
    total = drawn.groupby("member")["number_concentration"].sum()
    assert total.mean() == pytest.approx(found["number_concentration"].sum(), rel=0.02)  # no halves that add up


def test_pieces_share_the_errors_that_are_common(folder, tmp_path, monkeypatch):
    words = (
        folder / "o",
        "--samples",
        folder / "samples.parquet",
        "--method",
        "acc",
        "--validation",
        folder / "v.csv",
        "--members",
        300,
    )
    call(*words, "-o", tmp_path / "one")
    monkeypatch.setattr(drawn_tables, "CHUNK", 1)
    call(*words, "-o", tmp_path / "many")
    one, many = (
        files.read_parquet(tmp_path / name / "members.parquet").pivot_table(
            index="member", columns=["sample_id", "taxon"], values="number_concentration"
        )
        for name in ("one", "many")
    )
    np.testing.assert_allclose(one.mean(), many.mean(), rtol=0.1, atol=0.2)
    for table in (one, many):
        apart = np.corrcoef(table["s0"]["egg"], table["s1"]["egg"])[0, 1]
        assert apart > 0.15  # one confusion and one volume error per member, in one piece or in many


def test_members_of_taxa_are_sums_of_their_labels(folder, tmp_path):
    (folder / "t").mkdir()
    words = (folder / "o", "--samples", folder / "samples.parquet", "--method", "top1", "--members", 50)
    call(*words, "-o", tmp_path / "labels")
    call(*words, "-o", tmp_path / "taxa", "--taxon", "copepod")
    one, two = (files.read_parquet(tmp_path / name / "members.parquet") for name in ("labels", "taxa"))
    assert set(two["taxon"]) == {"copepod"}
    np.testing.assert_allclose(
        two["number_concentration"], one.loc[one["taxon"] == "copepod", "number_concentration"], rtol=1e-6
    )
    call(*words, "-o", tmp_path / "seed", "--seed", 1)
    assert not np.allclose(
        files.read_parquet(tmp_path / "seed" / "members.parquet")["number_concentration"], one["number_concentration"]
    )


def test_without_members_corrected_counts_have_no_interval(folder, tmp_path):
    call(
        folder / "o",
        "-o",
        tmp_path,
        "--samples",
        folder / "samples.parquet",
        "--method",
        "acc",
        "--validation",
        folder / "v.csv",
    )
    assert "concentration_low" not in files.read_parquet(tmp_path / "concentrations.parquet")
    assert not (tmp_path / "members.parquet").exists()


@pytest.mark.parametrize("method", ["top1", "acc"])
def test_zones_have_the_interval_of_their_sum(folder, tmp_path, method):
    samples = pd.read_parquet(folder / "samples.parquet").assign(
        profile=["a", "a", "b", "c"], depth_top=[0.0, 100, 0, 0], depth_bottom=[100.0, 200, 200, 200], lat=1.0, lon=2.0
    )
    samples.to_parquet(tmp_path / "samples.parquet")
    call(
        folder / "o",
        "-o",
        tmp_path / "out",
        "--samples",
        tmp_path / "samples.parquet",
        "--method",
        method,
        "--validation",
        folder / "v.csv",
        "--members",
        300,
        "--zone",
        "0-200",
    )
    found = files.read_parquet(tmp_path / "out" / "zone_concentrations.parquet").set_index(["profile", "taxon"])
    assert (found["concentration_low"] <= found["number_concentration"]).all() and (
        found["number_concentration"] <= found["concentration_high"]
    ).all()
    assert found.loc[("c", "egg"), ["concentration_low", "concentration_high"]].tolist() == pytest.approx(
        [0, 3.689 / 5], abs=1e-3
    )
    if method == "acc":
        drawn = files.read_parquet(tmp_path / "out" / "members.parquet")
        egg = drawn[drawn["taxon"] == "egg"].pivot_table(
            index="member", columns="sample_id", values="number_concentration"
        )
        whole = (2 * egg["s0"] + 3 * egg["s1"]) / 5
        assert found.loc[("a", "egg"), "concentration_high"] == pytest.approx(whole.quantile(0.975), rel=1e-4)
