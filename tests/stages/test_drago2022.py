"""The published method of Drago et al. (2022, doi 10.3389/fmars.2022.894372) through the whole chain, on its own data."""

import re

import numpy as np
import pytest

from aqqua_dist.core import files
from aqqua_dist.core.paths import find_recipe
from aqqua_dist.stages import compare, pipeline

COPEPODA = "Copepoda_0-200"
STORED_STOCK, STORED_SUM_CELL_SD = 0.082941, 0.020368  # Pg C, from the authors' stored ensemble prediction
PUBLISHED_RMSE, PUBLISHED_R2_CORREL = 4004, 66.07


def open_changed(folder, recipe, *changes):
    """Context of a shipped recipe with pieces of its text replaced, each found exactly once."""
    text = find_recipe(recipe).read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / f"{recipe}.yaml"
    path.write_text(text.replace("\npublished:\n", "\nfigures: []\npublished:\n"), encoding="utf-8")
    return pipeline.open_study(path, runs=folder / "runs", jobs=2, progress=False)


@pytest.fixture(scope="module")
def published(data_root, tmp_path_factory):
    """Copepoda on the authors' rows with the published setting."""
    context = open_changed(
        tmp_path_factory.mktemp("drago"), "drago2022_copepoda", ("search: grid", "search: published")
    )
    pipeline.run(context, stop_after="budget")
    return context


def test_training_rows_follow_the_given_split(published):
    rows = files.read_parquet(published.out / "match" / "training.parquet")
    assert rows["split"].value_counts().to_dict() == {"train": 710, "test": 182}
    origin = files.read_provenance(published.out / "match" / "training.parquet")
    assert {"drago2022/d_train_Copepoda_0_200m.csv.gz", "drago2022/env_grid_0_200m.csv.gz"} <= set(origin.inputs)
    assert all(re.fullmatch("[0-9a-f]{64}|[0-9a-f]{32}", value) for value in origin.inputs.values())


def test_members_are_the_fold_models_without_a_refit(published):
    about = files.read_json(published.out / "fit" / COPEPODA / "settings.json")
    assert (about["members"], about["scheme"], about["scale"]) == (100, "folds", 1000)
    assert (about["tree_method"], about["base_score"], about["n_rounds"]) == ("exact", 0.5, 222)
    totals = files.read_parquet(published.out / "map" / f"{COPEPODA}_totals.parquet")
    assert set(totals["member"]) == set(range(100))  # no full fit


def test_stock_is_within_one_per_cent_of_the_stored_one(published):
    table = files.read_parquet(published.out / "budget" / "budget.parquet")
    row = table[table["region"] == "global"].iloc[0]
    assert row["estimate"] == pytest.approx(STORED_STOCK, rel=0.01)
    assert row["estimate"] == row["mean"]
    assert row["sum_cell_sd"] == pytest.approx(STORED_SUM_CELL_SD, rel=0.07)
    assert row["area"] == pytest.approx(3.402762e14, rel=1e-6)
    assert row["volume"] == pytest.approx(200 * 3.402762e14, rel=1e-6)
    assert row["sd"] < row["sum_cell_sd"] / 2  # errors of cells are far from perfectly correlated
    assert row["low"] < row["q50"] < row["high"]


def test_scores_are_within_one_sd_of_the_published_ones(published):
    scores = files.read_parquet(published.out / "fit" / "scores.parquet")
    test = scores[scores["scheme"] == "test"].pivot(index="fold", columns="metric", values="value")
    assert sorted(test.index) == list(range(-1, 100))
    assert test.loc[-1, "r2_correl"] > test["r2_correl"].mean()  # the mean of the members is better than one of them
    assert (
        not scores.loc[scores["scheme"] != "test", "nested"].any()
        and scores.loc[scores["scheme"] == "test", "nested"].all()
    )
    test = test.drop(index=-1)
    assert abs(test["rmse_scaled"].mean() - PUBLISHED_RMSE) < test["rmse_scaled"].std()
    assert abs(100 * test["r2_correl"].mean() - PUBLISHED_R2_CORREL) < 100 * test["r2_correl"].std()
    schemes = scores[scores["metric"] == "r2_correl"].groupby("scheme")["value"].mean()
    assert schemes["spatial_block"] < schemes["random"]  # neighbours help random folds


def test_map_and_numbers_stand_beside_the_published_ones(published):
    table = compare.compare(published).set_index("statistic")
    assert table.loc["map_correlation", "ours"] > 0.999
    assert table.loc["stock", "published"] == STORED_STOCK
    assert abs(table.loc["stock", "difference_percent"]) < 1
    assert table.loc["rounds", ["published", "ours"]].tolist() == [222, 222]
    assert "stored prediction of the authors" in compare.as_text(table.reset_index())


def test_every_taxon_of_both_zones_runs_unattended(data_root, tmp_path):
    """All 39 targets, few rounds and members: what is fitted is not the point, that each one passes is."""
    context = open_changed(
        tmp_path,
        "drago2022",
        ("search: grid", "search: none"),
        ("rounds: 600\n", "rounds: 5\n"),
        ("repeats: 20", "repeats: 1"),
    )
    report = pipeline.run(context, stop_after="budget")
    assert list(report.values()).count("done") == 39
    table = files.read_parquet(context.out / "fit" / "scores.parquet")
    assert table.groupby("zone")["taxon"].nunique().to_dict() == {"0-200": 23, "200-500": 16}
    assert set(table["scheme"]) == {"test", "random", "spatial_block"}
    stocks = files.read_parquet(context.out / "budget" / "budget.parquet").query("region == 'global'")
    assert len(stocks) == 39
    assert np.isfinite(stocks["estimate"]).all()
    deep = stocks[stocks["zone"] == "200-500"]
    assert deep["area"].to_numpy() == pytest.approx(3.274041e14, rel=1e-6)
    assert deep["volume"].to_numpy() == pytest.approx(300 * 3.274041e14, rel=1e-6)


@pytest.mark.slow
def test_the_search_finds_the_published_setting_within_its_noise(data_root, tmp_path):
    """27 settings on 100 resamples: the winner's loss and that of the published setting differ by less than its standard error."""
    context = open_changed(tmp_path, "drago2022_copepoda")
    pipeline.run(context, stop_after="fit")
    table = files.read_parquet(context.out / "fit" / COPEPODA / "search.parquet")
    assert len(table) == 27
    ours = table.loc[table["loss"].idxmin()]
    theirs = table.set_index(["learning_rate", "max_depth", "min_child_weight"]).loc[(0.075, 4, 3)]
    assert theirs["loss"] - ours["loss"] < theirs["se"]
    assert theirs["rounds"] == pytest.approx(222, abs=15)
    assert ours["max_depth"] == 4
    settings = files.read_json(context.out / "fit" / COPEPODA / "settings.json")
    assert (settings["learning_rate"], settings["max_depth"]) == (ours["learning_rate"], 4)
