"""Boosted trees and member ensembles."""

import zipfile

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.seeds import legacy_members
from aqqua_dist.diagnostics.applicability import Applicability
from aqqua_dist.habitat_models.boosted_trees import BoostedTrees
from aqqua_dist.habitat_models.boosting import Settings
from aqqua_dist.habitat_models.ensemble import Ensemble
from aqqua_dist.habitat_models.glm import ClampedQuadratics
from aqqua_dist.habitat_models.members import MemberPlan, fit_members
from aqqua_dist.habitat_models.resampling import stratified_folds

SMALL = {"rounds": 12, "max_depth": 3, "learning_rate": 0.1, "min_child_weight": 1.0, "subsample": 1.0}
QUICK = Settings(**SMALL, label_scale=1.0)
HALF = QUICK.model_copy(update={"subsample": 0.5})
DRAGO = ["mean.temperature", "mean.salinity", "mean.silicate", "mean.phosphate", "mean.nitrate", "mean.oxygen"]
DRAGO += ["mean.chla", "bathymetry", "dist"]


def survey(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["temperature", "salinity", "chlorophyll"])
    y = rng.poisson(np.exp(1 + X["temperature"] - 0.5 * X["salinity"] ** 2)).astype(float)
    return X, y


def bootstrap(n, count, seed=0):
    return list(np.random.default_rng(seed).integers(0, n, (count, n)))


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
    np.testing.assert_array_equal(ensemble.predict(X[X.columns[::-1]]), ensemble.predict(X.to_numpy()))
    with pytest.raises(UserError, match="salinity"):
        ensemble.predict(X.drop(columns="salinity"))


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
    [
        ({"objective": "huber"}, "huber"),
        ({"n_rounds": 0}, "n_rounds is 0"),
        ({"label_scale": 0.0}, "label_scale: 0.0"),
        ({"objective": "reg:tweedie", "tweedie_variance_power": 2.0}, "tweedie_variance_power is 2.0"),
    ],
)
def test_bad_settings_are_shown(setting, message):
    X, y = survey(30)
    with pytest.raises(UserError, match=message):
        BoostedTrees(**setting).fit(X, y)


def test_all_zero_labels_predict_almost_nothing():
    X, _ = survey(40)
    assert BoostedTrees(n_rounds=10).fit(X, np.zeros(40)).predict(X).max() < 1e-5


def test_members_do_not_depend_on_threads_and_save_the_same_bytes(tmp_path):
    X, y = survey()
    plan = MemberPlan(bootstrap(300, 6), HALF, seed=4, centre=True)
    files = []
    for jobs in (1, 3):
        files.append(tmp_path / f"{jobs}.zip")
        fit_members(X, y, plan, jobs=jobs, progress=False).save(files[-1])
    assert files[0].read_bytes() == files[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.zip", "3.zip"]


def test_saved_ensemble_comes_back(tmp_path):
    X, y = survey()
    made = fit_members(X, y, MemberPlan(bootstrap(300, 3), QUICK, centre=True), progress=False)
    made.provenance["recipe"] = "test"
    made.save(tmp_path / "ensemble.zip")
    back = Ensemble.load(tmp_path / "ensemble.zip")
    rows = X.to_numpy(np.float32)
    np.testing.assert_array_equal(back.predict(rows, jobs=2), made.predict(rows))
    np.testing.assert_array_equal(back.centres(rows), made.centres(rows))
    assert (back.names, back.settings, back.provenance) == (made.names, made.settings, {"recipe": "test"})
    assert (back.n_members, [m.draw for m in back.members], {m.family for m in back.members}) == (
        3,
        [0, 1, 2],
        {"boosting"},
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
        Ensemble.load(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(UserError, match="ensemble.zip"):
        Ensemble.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.json", '{"format": "other"}')
    with pytest.raises(UserError, match="other"):
        Ensemble.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.json", '{"format": "aqqua_dist member ensemble", "version": 1, "n_members": 3}')
    with pytest.raises(UserError, match="version 1, of an older release .* fit again"):
        Ensemble.load(path)


def test_a_damaged_part_is_refused(tmp_path):
    X, y = survey(60)
    path = tmp_path / "ensemble.zip"
    fit_members(X, y, MemberPlan([np.arange(60)], QUICK), progress=False).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for spoiled in (b"cut", parts["members/00000.ubj"][:200]):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, spoiled if name.endswith(".ubj") else content)
        with pytest.raises(UserError, match="cannot be read"):
            Ensemble.load(path)


def test_a_member_that_found_nothing_predicts_zero(tmp_path):
    """A draw without a positive row is a member like any other: its answer is 0."""
    X, y = survey(60)
    y[:30] = 0
    made = fit_members(X, y, MemberPlan([np.arange(30), np.arange(60)], QUICK, centre=True), progress=False)
    made.save(tmp_path / "ensemble.zip")
    for ensemble in (made, Ensemble.load(tmp_path / "ensemble.zip")):
        values = ensemble.predict(X)
        assert (values[0] == 0).all() and (values[1] > 0).all()
        np.testing.assert_allclose(ensemble.importances(), made.members[1].model.feature_importances_)
    nothing = fit_members(X, y * 0, MemberPlan([np.arange(60)], QUICK, centre=True), progress=False)
    assert (nothing.predict(X) == 0).all() and (nothing.centres(X) == 0).all()
    np.testing.assert_allclose(nothing.importances(), 1 / 3)


def test_members_are_single_fits_in_physical_units():
    """Labels of 4 y, predictions over 4: the same trees as plain xgboost on 4 y."""
    X, y = survey()
    rows = np.arange(0, 300, 2)
    quarter = HALF.model_copy(update={"label_scale": 4.0, "tree_method": "exact"})
    ensemble = fit_members(X, y, MemberPlan([rows], quarter, seed=9, centre=True), progress=False)
    block = X.to_numpy(np.float32)
    params = {"objective": "count:poisson", "eta": 0.1, "max_depth": 3, "subsample": 0.5, "tree_method": "exact"}
    params |= {
        "base_score": 4 * y[rows].mean(),
        "seed": legacy_members(9, 1)[0],
        "seed_per_iteration": True,
        "nthread": 1,
    }
    plain = xgb.train(params, xgb.DMatrix(block[rows], 4 * y[rows]), 12).inplace_predict(block) / 4
    np.testing.assert_allclose(ensemble.predict(block)[0], plain, rtol=1e-6)
    assert ensemble.predict(block).dtype == np.float32
    single = fit_members(X, y, MemberPlan([rows], quarter, seed=9), progress=False)
    assert single.centres(block).shape == (0, 300)
    assert ensemble.centres(block).shape == (1, 300)
    with pytest.raises(UserError, match=r"\(300, 2\)"):
        ensemble.predict(block[:, :2])


def test_rows_with_gaps_keep_their_place():
    X, y = survey()
    X.iloc[::3, 1] = np.nan
    ensemble = fit_members(X, y, MemberPlan(bootstrap(300, 3), QUICK), progress=False)
    block = X.to_numpy(np.float32)
    expected = np.array([m.model.booster_.inplace_predict(block) for m in ensemble.members])
    np.testing.assert_array_equal(ensemble.predict(block, jobs=2), expected)
    np.testing.assert_array_equal(ensemble.predict(block[::3]), expected[:, ::3])
    assert ensemble.predict(block[:0]).shape == (3, 0)


def test_repeats_are_weights():
    X, y = survey(60)
    drawn = bootstrap(60, 1)[0]
    quick = QUICK.model_copy(update={"tree_method": "exact"})
    ours = fit_members(X, y, MemberPlan([drawn], quick), progress=False).predict(X)
    plain = BoostedTrees(n_rounds=12, max_depth=3, tree_method="exact").fit(X.iloc[drawn], y[drawn]).predict(X)
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
        Ensemble([], ["a"])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**40), few=st.integers(1, 5), many=st.integers(5, 9))
def test_seeds_do_not_depend_on_how_many(seed, few, many):
    assert legacy_members(seed, many)[:few] == legacy_members(seed, few)
    assert len(set(legacy_members(seed, many))) == many


def test_published_copepod_stock(data_root):
    """Drago et al. 2022, Copepoda 0-200 m: authors' rows and settings give their scores, map and stock."""
    folder = data_root / "drago2022"
    train, test = (pd.read_csv(folder / f"d_{part}_Copepoda_0_200m.csv.gz") for part in ("train", "test"))
    grid = pd.read_csv(folder / "env_grid_0_200m.csv.gz")
    stored = pd.read_csv(folder / "stored_prediction_Copepoda_0_200m.csv.gz")
    folds = stratified_folds(train["biomass_quant"], 5, 20, seed=1)
    chosen = {"rounds": 222, "learning_rate": 0.075, "max_depth": 4, "min_child_weight": 3.0}
    chosen |= {"subsample": 0.5, "tree_method": "exact", "base_score": 0.5, "response_scale": "drago2022"}
    plan = MemberPlan([rows for rows, _ in folds], Settings(**chosen, label_scale=1000.0), seed=1)
    ensemble = fit_members(train[DRAGO], train["biomass"], plan, jobs=2, progress=False)

    counts = ensemble.predict(test, jobs=2) * 1000.0
    observed = test["biomass_count"].to_numpy()
    rmse = np.sqrt(((counts - observed) ** 2).mean(axis=1)).mean()
    r2_correl = np.mean([np.corrcoef(member, observed)[0, 1] ** 2 for member in counts])
    assert rmse == pytest.approx(4004, rel=0.02)
    assert r2_correl == pytest.approx(0.6607, abs=0.02)

    members = ensemble.predict(grid, jobs=2)
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
    made = fit_members(X, y, MemberPlan(rows, QUICK, seed=9, centre=True, responses=own), progress=False)
    plain = fit_members(X, y, MemberPlan(rows, QUICK, seed=9, centre=True), progress=False)
    block = X.to_numpy(np.float32)
    for member in range(2):
        single = fit_members(X, own[member], MemberPlan(rows, QUICK, seed=9), progress=False)
        np.testing.assert_array_equal(made.predict(block)[member], single.predict(block)[member])
    np.testing.assert_array_equal(made.centres(block), plain.centres(block))
    with pytest.raises(UserError, match=r"drawn responses of shape \(1, 300\); needed is \(2, 300\)"):
        fit_members(X, y, MemberPlan(rows, QUICK, responses=own[:1]), progress=False)
    with pytest.raises(UserError, match="-1"):
        fit_members(X, y, MemberPlan(rows, QUICK, responses=own * 0 - 1), progress=False)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (np.ones(6, bool), "member 0 is of type bool .*of a Boolean mask take numpy.flatnonzero"),
        (np.ones(3, bool), "member 0 is of type bool"),
        (np.arange(3.0), "member 0 is of type float64"),
        (np.array(["a"]), "member 0 is of type <U1"),
        (np.zeros((2, 2), int), r"shape \(2, 2\)"),
    ],
)
def test_members_that_are_no_row_numbers_are_refused(rows, sentence):
    """A Boolean mask was an IndexError."""
    with pytest.raises(UserError, match=sentence):
        fit_members(np.arange(6.0)[:, None], np.ones(6), MemberPlan([rows]), progress=False)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"X": pd.DataFrame({"a": pd.Categorical(list("uvuvuv"))})}, "X: column 'a' holds categories"),
        ({"X": pd.DataFrame({"a": pd.date_range("2020", periods=6)})}, "X: column 'a' holds dates or times"),
        ({"X": pd.DataFrame({"a": ["1", "2", "3", "4", "5", "6"]})}, "X: column 'a' holds text such as '1'"),
        ({"X": np.ones((6, 1)) * 1j}, "X: the values are complex numbers"),
        ({"y": pd.Series(pd.date_range("2020", periods=6))}, "y: the values are dates or times"),
        ({"y": ["a"] * 6}, "y: the values are text"),
        ({"y": np.full(6, 1e39)}, r"y: row 0 is 1e\+39; allowed are values up to 3\.4e\+38"),
        ({"weights": ["a"] * 6}, "weights: the values are text"),
        ({"jobs": 0}, "jobs: 0; allowed are whole numbers from 1"),
        ({"X": np.empty((0, 1)), "y": []}, "members: member 0 names row 0"),
    ],
)
def test_what_no_model_can_use_is_refused_in_one_sentence(given, sentence):
    """Bare errors of the libraries; dates as a response were fitted in nanoseconds, complex numbers lost a part."""
    wanted = {"X": np.arange(6.0)[:, None], "y": np.ones(6)} | given
    with pytest.raises(UserError, match=sentence) as refusal:
        fit_members(wanted.pop("X"), wanted.pop("y"), MemberPlan([np.arange(6)]), progress=False, **wanted)
    assert "\n" not in str(refusal.value)


def test_missing_whole_numbers_are_missing_predictors():
    """A nullable column with a gap was a TypeError; it is the same as a float with NaN."""
    y = np.array([1.0, 2.0, 3.0, 4.0])
    gaps = [1, 2, None, 4]
    plan = MemberPlan([np.arange(4)])
    nullable = pd.DataFrame({"a": pd.array(gaps, dtype="Int64")})
    floats = pd.DataFrame({"a": np.array([1, 2, np.nan, 4])})
    got = [fit_members(X, y, plan, progress=False).predict(X) for X in (nullable, floats)]
    np.testing.assert_array_equal(*got)


@pytest.mark.parametrize("objective", ["reg:squarederror", "count:poisson"])
def test_labels_beyond_single_precision_are_refused(objective):
    """XGBoost's own error shows its C++ stack, and predictions of 1e39 were infinite."""
    with pytest.raises(UserError, match=r"y: row 2 is 1e\+39"):
        BoostedTrees(objective, n_rounds=2).fit(np.arange(3.0)[:, None], [0.0, 1.0, 1e39])
    with pytest.raises(UserError, match=r"y: row 2 is 1e\+39"):
        BoostedTrees(objective, n_rounds=2, label_scale=1e9).fit(np.arange(3.0)[:, None], [0.0, 1.0, 1e30])


def test_estimators_name_the_column_that_holds_no_numbers():
    good = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 1.0, 2.0]})
    bad = good.assign(b=pd.Categorical(["u", "v", "u"]))
    for estimator in (BoostedTrees(n_rounds=2), ClampedQuadratics(), Applicability()):
        fitted = estimator.fit(good, [1.0, 2.0, 3.0])
        for action in (lambda e=fitted: e.predict(bad), lambda e=fitted: e.fit(bad, [1.0, 2.0, 3.0])):
            with pytest.raises(UserError, match="X: column 'b' holds categories"):
                action()
