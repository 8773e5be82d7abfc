"""What the fit of a target says of itself: what its scores judge, which rows they have seen, which draws its members hold."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import rand_score

from aqqua_dist.core import files
from aqqua_dist.core.seeds import legacy_centre
from aqqua_dist.diagnostics.applicability import Applicability
from aqqua_dist.habitat_models.ensemble import Ensemble
from aqqua_dist.recipe.context import Target
from aqqua_dist.stages import fit, pipeline
from aqqua_dist.training.rows import prepare, validation_folds
from aqqua_dist.validation.knndm import matched_folds, unit_vectors
from aqqua_dist.validation.scores import scores

RECIPE = """\
study: fitted
title: A study of two taxa
zones:
  - {name: 0-200, top: 0, bottom: 200}
grid: {resolution: 10, clip_at_sea_floor: false}
observations:
  kind: table
  path: rows.csv
  columns: {y: biomass, taxon: taxon, lat: lat, lon: lon, cruise: cruise, split: split}
  quantity: carbon_biomass
  units: mg m-3
predictors:
  kind: table
  path: grid.csv
  names: {temperature: sst, salinity: sal}
model: {kind: forest, trees: 8}
members: {scheme: cruise_bootstrap, n: 12}
validation: {schemes: [random, spatial_block, cruise], folds: 5, block_size: 90}
figures: []
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A finished fit of a common taxon, and of one that a single cruise has met; tests only read it."""
    folder = tmp_path_factory.mktemp("fitted")
    lat, lon = (a.ravel() for a in np.meshgrid(np.arange(-35, 36, 10.0), np.arange(-75, 0, 10.0), indexing="ij"))
    grid = pd.DataFrame(
        {"lat": lat, "lon": lon, "sst": 28 - 0.4 * np.abs(lat), "sal": 34 + np.cos(np.radians(5 * lon))}
    )
    grid.to_csv(folder / "grid.csv", index=False)
    rows = grid.sample(60, random_state=1).reset_index(drop=True)
    rows["cruise"] = [f"c{k}" for k in np.arange(60) % 6]
    rows["split"] = np.where(np.arange(60) % 5 == 0, "test", "train")
    random = np.random.default_rng(2)
    common = rows.assign(taxon="Copepoda", biomass=random.poisson(rows["sst"]) / 10)
    rare = rows.assign(taxon="Rhizaria", biomass=np.where(rows["cruise"] == "c1", 0.5, 0.0)).iloc[::-1]
    pd.concat([common, rare]).to_csv(folder / "rows.csv", index=False)
    (folder / "fitted.yaml").write_text(RECIPE)
    context = pipeline.open_study(folder / "fitted.yaml", runs=folder / "runs", jobs=1, progress=False)
    assert set(pipeline.run(context, stop_after="fit").values()) >= {"done"}
    return context


def prepared(context, taxon):
    table = files.read_parquet(context.out / "match" / "training.parquet")
    return prepare(context, table[table["taxon"] == taxon].reset_index(drop=True), ["temperature", "salinity"])


def test_a_scheme_that_is_not_possible_is_a_row_with_its_reason(fitted):
    table = files.read_parquet(fitted.out / "fit" / "Copepoda_0-200" / "scores.parquet")
    assert list(pd.unique(table["scheme"])) == ["random", "cruise", "spatial_block", "test"]
    row = table[table["scheme"] == "spatial_block"]
    assert len(row) == 1 and np.isnan(row["value"].item()) and row["metric"].item() == "not possible"
    assert "blocks for 5 folds" in row["note"].item()
    assert table.loc[table["scheme"] == "cruise", "fold"].nunique() == 7  # six cruises, and all together


def test_the_test_score_is_of_a_fit_that_has_not_seen_the_test_rows(fitted):
    rows = prepared(fitted, "Copepoda")
    model = RandomForestRegressor(
        8, min_samples_leaf=5, max_features=1.0, criterion="poisson", random_state=legacy_centre(1)
    )
    X = rows.X.to_numpy(np.float32)
    expected = model.fit(X[rows.train], rows.y[rows.train]).predict(X[rows.test])
    folder = fitted.out / "fit" / "Copepoda_0-200"
    table = files.read_parquet(folder / "scores.parquet")
    judged = table[(table["scheme"] == "test") & (table["fold"] == -1)].set_index("metric")
    assert judged["judges"].unique().tolist() == ["the estimate: a fit to all rows but the test rows"]
    assert judged.loc["rmse", "value"] == pytest.approx(scores(rows.y[rows.test], expected)["rmse"], rel=1e-6)
    assert judged.loc["log_offset", "value"] == rows.y[rows.y > 0].min()
    shown = files.read_parquet(folder / "predictions.parquet").query("scheme == 'test'")
    np.testing.assert_allclose(shown["predicted"], expected, rtol=1e-6)
    seen = Ensemble.load(folder / "ensemble.zip").centres(rows.X.iloc[rows.test])[0]
    assert np.abs(seen - expected).max() > 1e-3  # the map's own fit has seen them
    members = table[(table["scheme"] == "test") & (table["fold"] >= 0)]
    assert set(members["judges"]) == {"one member"} and members["fold"].nunique() == 12


def test_member_k_holds_the_same_cruises_for_a_common_and_a_rare_taxon(fitted):
    drawn, held = files.read_parquet(fitted.out / "draws" / "draws.parquet"), {}
    assert drawn["source"].unique().tolist() == ["cruise"] and len(drawn) == 12 * 6
    for taxon in ("Copepoda", "Rhizaria"):
        rows = prepared(fitted, taxon)
        members = fit.choose(fitted, Target(taxon, "0-200"), rows, drawn)[1]
        assert not any(set(member) & set(rows.test) for member in members)
        cruises = rows.table["cruise"].to_numpy()
        held[taxon] = [pd.Series(cruises[member]).value_counts().sort_index().to_dict() for member in members]
    assert held["Copepoda"] == held["Rhizaria"]
    assert len({tuple(one.items()) for one in held["Copepoda"]}) > 6  # the draws differ from each other
    rare = Ensemble.load(fitted.out / "fit" / "Rhizaria_0-200" / "ensemble.zip")
    zero = [member.model is None for member in rare.members]
    assert zero == ["c1" not in one for one in held["Rhizaria"]] and 0 < sum(zero) < 12


def test_the_area_of_applicability_takes_the_folds_of_the_scores(fitted):
    rows = prepared(fitted, "Copepoda")
    folds, reasons = validation_folds(fitted, rows)
    assert set(reasons) == {"spatial_block"}
    ensemble = Ensemble.load(fitted.out / "fit" / "Copepoda_0-200" / "ensemble.zip")
    expected = Applicability().fit(rows.X.to_numpy(float), weights=ensemble.importances(), groups=folds["cruise"])
    assert fit.applicability(rows, ensemble, fitted).threshold_ == expected.threshold_
    shown = files.read_parquet(fitted.out / "fit" / "Copepoda_0-200" / "predictions.parquet").query(
        "scheme == 'cruise'"
    )
    np.testing.assert_array_equal(shown.sort_values("row")["fold"], folds["cruise"])


def test_response_curves_show_the_estimate_with_the_members_band(fitted):
    folder = fitted.out / "fit" / "Copepoda_0-200"
    rows, ensemble = prepared(fitted, "Copepoda"), Ensemble.load(folder / "ensemble.zip")
    table = files.read_parquet(folder / "responses.parquet").query("predictor == 'temperature'")
    X = rows.X.iloc[rows.train].to_numpy(np.float32).copy()
    for row in table.iloc[[0, -1]].itertuples():
        X[:, 0] = row.x
        assert row.estimate == pytest.approx(ensemble.centres(X)[0].mean(), rel=1e-5)
        each = ensemble.predict(X).mean(axis=1)
        assert (row.mean, row.q975) == pytest.approx((each.mean(), np.quantile(each, 0.975)), rel=1e-5)


def test_a_scheme_that_looks_at_the_map_is_given_the_cells_of_the_zone(fitted, tmp_path):
    for name in ("grid.csv", "rows.csv"):
        (tmp_path / name).write_bytes((fitted.folder / name).read_bytes())
    text = RECIPE.replace("[random, spatial_block, cruise], folds: 5, block_size: 90", "[random, knndm], folds: 4")
    (tmp_path / "fitted.yaml").write_text(text)
    context = pipeline.open_study(tmp_path / "fitted.yaml", runs=tmp_path / "runs", jobs=1, progress=False)
    assert set(pipeline.run(context, stop_after="fit").values()) >= {"done"}
    rows = prepared(context, "Copepoda")
    cells = pd.read_csv(tmp_path / "grid.csv")
    found = validation_folds(context, rows)[0]["knndm"]
    points = unit_vectors(rows.table["lat"], rows.table["lon"])
    area = np.cos(np.radians(cells["lat"]))  # cells of equal height and width
    expected = matched_folds(points, unit_vectors(cells["lat"], cells["lon"]), 4, context.recipe.seed, weights=area)
    assert rand_score(found, expected.folds) == 1
    table = files.read_parquet(context.out / "fit" / "Copepoda_0-200" / "predictions.parquet").query(
        "scheme == 'knndm'"
    )
    np.testing.assert_array_equal(table.sort_values("row")["fold"], found)
    origin = files.read_provenance(context.out / "fit" / "Copepoda_0-200" / "predictions.parquet")
    assert (
        "stage cube" in origin.inputs
        and "stage cube"
        not in files.read_provenance(fitted.out / "fit" / "Copepoda_0-200" / "predictions.parquet").inputs
    )
