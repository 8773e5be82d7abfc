"""Boosted trees and member ensembles."""

import zipfile

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

from aqqua_dist.core.errors import UserError
from aqqua_dist.habitat_models.boosting import tree_settings
from aqqua_dist.habitat_models.members import BoostedTrees, MemberEnsemble, MemberPlan, fit_members
from aqqua_dist.habitat_models.resampling import member_seeds, stratified_folds

QUICK = {"n_rounds": 12, "max_depth": 3}
DRAGO = ["mean.temperature", "mean.salinity", "mean.silicate", "mean.phosphate", "mean.nitrate", "mean.oxygen"]
DRAGO += ["mean.chla", "bathymetry", "dist"]


def survey(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["temperature", "salinity", "chlorophyll"])
    y = rng.poisson(np.exp(1 + X["temperature"] - 0.5 * X["salinity"] ** 2)).astype(float)
    return X, y


def bootstrap(n, count, seed=0):
    return list(np.random.default_rng(seed).integers(0, n, (count, n)))


@parametrize_with_checks(
    [
        BoostedTrees(n_rounds=40, random_state=0),
        BoostedTrees("reg:squarederror", n_rounds=40, random_state=0),
        BoostedTrees("reg:tweedie", n_rounds=40, random_state=0),
    ]
)
def test_sklearn_contract(estimator, check):
    check(estimator)


def test_same_trees_as_plain_xgboost():
    X, y = survey()
    ours = BoostedTrees(n_rounds=20, tree_method="exact", base_score=0.5, min_child_weight=3).fit(X, y).predict(X)
    params = {"objective": "count:poisson", "eta": 0.1, "max_depth": 4, "min_child_weight": 3}
    plain = xgb.train(params | {"tree_method": "exact", "base_score": 0.5, "nthread": 1}, xgb.DMatrix(X, y), 20)
    np.testing.assert_array_equal(ours, plain.predict(xgb.DMatrix(X)))


def test_starts_at_the_weighted_mean():
    X, y = survey()
    weights = np.linspace(0.1, 3, len(y))
    model = BoostedTrees(n_rounds=1, learning_rate=1e-9).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(model.predict(X), np.average(y, weights=weights), rtol=1e-5)


def test_rate_with_effort_weight_equals_counts_with_offset():
    X, counts = survey()
    volume = np.random.default_rng(1).uniform(0.5, 4, len(counts))
    chosen = tree_settings({"n_rounds": 15, "tree_method": "exact", "base_score": 1.0})
    rate = BoostedTrees(n_rounds=15, tree_method="exact", base_score=1.0).fit(X, counts / volume, sample_weight=volume)
    rows = xgb.DMatrix(X, counts, base_margin=np.log(volume), nthread=1)
    params = {"objective": chosen.objective, "eta": 0.1, "max_depth": 4, "tree_method": "exact", "nthread": 1}
    offset = xgb.train(params | {"base_score": 1.0}, rows, 15)
    np.testing.assert_allclose(rate.predict(X), offset.predict(xgb.DMatrix(X, base_margin=np.zeros(len(X)))), rtol=1e-3)


def test_missing_predictors_are_used():
    X, y = survey()
    X.loc[y > np.median(y), "chlorophyll"] = np.nan
    model = BoostedTrees(n_rounds=30).fit(X, y)
    assert model.feature_importances_[2] > 0.1
    assert np.isfinite(model.predict(X)).all()


def test_predictors_are_matched_by_name():
    X, y = survey()
    model = BoostedTrees(n_rounds=5).fit(X, y)
    with pytest.raises(ValueError, match="salinity"):
        model.predict(X.drop(columns="salinity"))
    with pytest.raises(ValueError, match="same order"):
        model.predict(X[X.columns[::-1]])
    ensemble = fit_members(X, y, MemberPlan(bootstrap(300, 2), QUICK), progress=False)
    np.testing.assert_array_equal(ensemble.columns(X[X.columns[::-1]]), X.to_numpy(np.float32))
    with pytest.raises(UserError, match="salinity"):
        ensemble.columns(X.drop(columns="salinity"))


@pytest.mark.parametrize(
    ("objective", "value"), [("count:poisson", -2.5), ("reg:tweedie", -2.5), ("reg:gamma", 0.0), ("reg:gamma", -2.5)]
)
def test_bad_labels_are_shown(objective, value):
    X, y = survey()
    y = y + 1
    y[17] = value
    with pytest.raises(UserError, match=rf"row 17 is {value:g}; objective {objective}"):
        BoostedTrees(objective).fit(X, y)


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"depth": 3}, "depth"), ({"objective": "huber"}, "huber"), ({"n_rounds": 0}, "n_rounds is 0")],
)
def test_bad_settings_are_shown(setting, message):
    X, y = survey(30)
    with pytest.raises(UserError, match=message):
        fit_members(X, y, MemberPlan([np.arange(30)], setting), progress=False)


def test_all_zero_labels_predict_almost_nothing():
    X, _ = survey(40)
    assert BoostedTrees(n_rounds=10).fit(X, np.zeros(40)).predict(X).max() < 1e-5


def test_members_do_not_depend_on_threads_and_save_the_same_bytes(tmp_path):
    X, y = survey()
    plan = MemberPlan(bootstrap(300, 6), QUICK | {"subsample": 0.5}, seed=4, centre=True, scale=10)
    files = []
    for jobs in (1, 3):
        files.append(tmp_path / f"{jobs}.zip")
        fit_members(X, y, plan, jobs=jobs, progress=False).save(files[-1])
    assert files[0].read_bytes() == files[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.zip", "3.zip"]


def test_saved_ensemble_comes_back(tmp_path):
    X, y = survey()
    made = fit_members(X, y, MemberPlan(bootstrap(300, 3), QUICK, centre=True, scale=10), progress=False)
    made.provenance["recipe"] = "test"
    made.save(tmp_path / "ensemble.zip")
    back = MemberEnsemble.load(tmp_path / "ensemble.zip")
    rows = back.columns(X)
    np.testing.assert_array_equal(back.predict_block(rows, jobs=2), made.predict_block(rows))
    np.testing.assert_array_equal(back.predict_centre(rows), made.predict_centre(rows))
    assert (back.feature_names, back.scale, back.settings, back.provenance) == (
        made.feature_names,
        10.0,
        made.settings,
        {"recipe": "test"},
    )
    np.testing.assert_allclose(back.importances(), made.importances())
    assert back.importances().sum() == pytest.approx(1)


def test_failed_save_leaves_the_old_file(tmp_path):
    X, y = survey(50)
    made = fit_members(X, y, MemberPlan([np.arange(50)], QUICK), progress=False)
    path = tmp_path / "ensemble.zip"
    made.save(path)
    before = path.read_bytes()
    made.provenance["bad"] = object()
    with pytest.raises(TypeError):
        made.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "ensemble.zip"
    with pytest.raises(UserError, match="no such file"):
        MemberEnsemble.load(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(UserError, match="ensemble.zip"):
        MemberEnsemble.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.json", '{"format": "other"}')
    with pytest.raises(UserError, match="other"):
        MemberEnsemble.load(path)


def test_members_are_single_fits_in_physical_units():
    X, y = survey()
    rows = np.arange(0, 300, 2)
    plan = MemberPlan([rows], QUICK | {"subsample": 0.5}, seed=9, centre=True, scale=4)
    ensemble = fit_members(X, y, plan, progress=False)
    single = fit_members(
        X.iloc[rows], y[rows], MemberPlan([np.arange(150)], plan.settings, seed=9, scale=1), progress=False
    )
    block = ensemble.columns(X)
    np.testing.assert_allclose(ensemble.predict_block(block), single.predict_block(block) / 4, rtol=1e-6)
    assert ensemble.predict_block(block).dtype == np.float32
    assert single.predict_centre(block) is None
    with pytest.raises(UserError, match=r"\(300, 2\)"):
        ensemble.predict_block(block[:, :2])


def test_rows_with_gaps_keep_their_place():
    X, y = survey()
    X.iloc[::3, 1] = np.nan
    ensemble = fit_members(X, y, MemberPlan(bootstrap(300, 3), QUICK), progress=False)
    block = ensemble.columns(X)
    expected = np.array([booster.inplace_predict(block) for booster in ensemble.boosters])
    np.testing.assert_array_equal(ensemble.predict_block(block, jobs=2), expected)
    np.testing.assert_array_equal(ensemble.predict_block(block[::3]), expected[:, ::3])
    assert ensemble.predict_block(block[:0]).shape == (3, 0)


def test_repeats_are_weights():
    X, y = survey(60)
    drawn = bootstrap(60, 1)[0]
    quick = QUICK | {"tree_method": "exact"}
    ours = fit_members(X, y, MemberPlan([drawn], quick), progress=False).predict_block(X)
    plain = BoostedTrees(**quick).fit(X.iloc[drawn], y[drawn]).predict(X)
    np.testing.assert_allclose(ours[0], plain, rtol=1e-4)


@pytest.mark.parametrize(("rows", "message"), [([], "0 rows"), ([3, 50], "row 50"), ([-1], "row -1")])
def test_bad_members_are_shown(rows, message):
    X, y = survey(50)
    with pytest.raises(UserError, match=message):
        fit_members(X, y, MemberPlan([np.array(rows, dtype=int)], QUICK), progress=False)


def test_bad_weights_and_lengths_are_shown():
    X, y = survey(50)
    plan = MemberPlan([np.arange(50)], QUICK)
    with pytest.raises(UserError, match="row 3 is -1"):
        fit_members(X, y, plan, weights=np.where(np.arange(50) == 3, -1.0, 1.0), progress=False)
    with pytest.raises(UserError, match=r"\(49,\)"):
        fit_members(X, y[1:], plan, progress=False)
    with pytest.raises(UserError, match=r"\(2,\)"):
        fit_members(X, y, plan, weights=[1, 2], progress=False)
    X.iloc[4, 1] = np.inf
    with pytest.raises(UserError, match="row 4, predictor salinity is inf"):
        fit_members(X, y, plan, progress=False)
    with pytest.raises(UserError, match="0 members"):
        MemberEnsemble([], ["a"])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**40), few=st.integers(1, 5), many=st.integers(5, 9))
def test_seeds_do_not_depend_on_how_many(seed, few, many):
    assert member_seeds(seed, many)[:few] == member_seeds(seed, few)
    assert len(set(member_seeds(seed, many))) == many


def test_published_copepod_stock(data_root):
    """Drago et al. 2022, Copepoda 0-200 m: authors' rows and settings give their scores, map and stock."""
    folder = data_root / "drago2022"
    train, test = (pd.read_csv(folder / f"d_{part}_Copepoda_0_200m.csv.gz") for part in ("train", "test"))
    grid = pd.read_csv(folder / "env_grid_0_200m.csv.gz")
    stored = pd.read_csv(folder / "stored_prediction_Copepoda_0_200m.csv.gz")
    folds = stratified_folds(train["biomass_quant"], 5, 20, seed=1)
    chosen = {"n_rounds": 222, "learning_rate": 0.075, "max_depth": 4, "min_child_weight": 3}
    chosen |= {"subsample": 0.5, "tree_method": "exact", "base_score": 0.5}
    plan = MemberPlan([rows for rows, _ in folds], chosen, seed=1, scale=1000.0)
    ensemble = fit_members(train[DRAGO], train["biomass_count"], plan, jobs=2, progress=False)

    counts = ensemble.predict_block(ensemble.columns(test), jobs=2) * 1000.0
    observed = test["biomass_count"].to_numpy()
    rmse = np.sqrt(((counts - observed) ** 2).mean(axis=1)).mean()
    r2_correl = np.mean([np.corrcoef(member, observed)[0, 1] ** 2 for member in counts])
    assert rmse == pytest.approx(4004, rel=0.02)
    assert r2_correl == pytest.approx(0.6607, abs=0.02)

    members = ensemble.predict_block(ensemble.columns(grid), jobs=2)
    mean = members.mean(axis=0)
    north, south = np.sin(np.radians(grid["lat"] + 0.5)), np.sin(np.radians(grid["lat"] - 0.5))
    area = np.radians(1) * 6378137.0**2 * (north - south).to_numpy()
    stock = members @ (area * 200 / 1e18)
    assert area.sum() == pytest.approx(3.402762e14, rel=1e-6)
    assert stock.mean() == pytest.approx(0.082941, rel=0.01)
    assert np.corrcoef(mean, stored["pred_mean"])[0, 1] > 0.999
    assert np.corrcoef(np.log(mean), np.log(stored["pred_mean"]))[0, 1] > 0.999
    assert stock.std(ddof=1) == pytest.approx(0.0067, rel=0.15)
    assert members.std(axis=0, ddof=1) @ (area * 200 / 1e18) == pytest.approx(0.020368, rel=0.1)
    print(f"rmse {rmse:.0f} r2_correl {r2_correl:.4f} stock {stock.mean():.6f} sd {stock.std(ddof=1):.5f}")


def test_members_with_labels_of_their_own_are_single_fits_to_them():
    X, y = survey()
    rows, own = (
        [np.arange(0, 300, 2), np.arange(1, 300, 2)],
        np.random.default_rng(1).poisson(y, (2, 300)).astype(float),
    )
    made = fit_members(X, y, MemberPlan(rows, QUICK, seed=9, centre=True, labels=own), progress=False)
    plain = fit_members(X, y, MemberPlan(rows, QUICK, seed=9, centre=True), progress=False)
    block = made.columns(X)
    for member in range(2):
        single = fit_members(X, own[member], MemberPlan(rows, QUICK, seed=9), progress=False)
        np.testing.assert_array_equal(made.predict_block(block)[member], single.predict_block(block)[member])
    np.testing.assert_array_equal(made.predict_centre(block), plain.predict_centre(block))
    with pytest.raises(UserError, match=r"drawn labels of shape \(1, 300\); needed is \(2, 300\)"):
        fit_members(X, y, MemberPlan(rows, QUICK, labels=own[:1]), progress=False)
    with pytest.raises(UserError, match="-1"):
        fit_members(X, y, MemberPlan(rows, QUICK | {"objective": "count:poisson"}, labels=own * 0 - 1), progress=False)
