"""Settings search of Drago et al. 2022."""

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.seeds import legacy_members
from aqqua_dist.habitat_models.boosted_trees import TreeSettings
from aqqua_dist.habitat_models.boosting import Settings
from aqqua_dist.habitat_models.drago2022_search import SearchPlan, grid_search, select_rounds
from aqqua_dist.habitat_models.members import MemberPlan, fit_members
from aqqua_dist.habitat_models.resampling import stratified_folds, stratified_split
from aqqua_dist.habitat_models.response import count_scale, count_strata

STRATA = st.lists(st.integers(0, 5), min_size=10, max_size=80).map(np.array)


def survey(n=150):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, 3)).astype(np.float32)
    return X, rng.poisson(np.exp(2 + X[:, 0] - X[:, 1] ** 2)).astype(float)


def small_plan(y, **changes):
    folds = stratified_folds(count_strata(y), 3, 2, seed=1)
    given_plan = {
        "learning_rates": (0.1, 0.3),
        "max_depths": (2, 4),
        "min_child_weights": (1,),
        "max_rounds": 200,
        "seed": 5,
    }
    return SearchPlan(folds, **(given_plan | changes))


def all_rounds(X, y, plan, chosen):
    """Losses of a plain loop over all resamples and all rounds, by xgboost's own training function."""
    losses = []
    for (train, check), seed in zip(plan.folds, legacy_members(plan.seed, len(plan.folds)), strict=True):
        params = {
            "objective": "count:poisson",
            "eta": chosen.learning_rate,
            "max_depth": chosen.max_depth,
            "seed": seed,
        }
        params |= {
            "min_child_weight": chosen.min_child_weight,
            "subsample": 0.5,
            "tree_method": "exact",
            "base_score": 0.5,
        }
        params |= {"nthread": 1, "seed_per_iteration": True, "eval_metric": "poisson-nloglik"}
        rows, held = xgb.DMatrix(X[train], y[train]), {}
        watched = [(xgb.DMatrix(X[check], y[check]), "check")]
        xgb.train(params, rows, plan.max_rounds, evals=watched, evals_result=held, verbose_eval=False)
        losses.append(held["check"]["poisson-nloglik"])
    return np.array(losses)


def test_stopping_early_changes_nothing():
    X, y = survey()
    plan = small_plan(y)
    table, winner = grid_search(X, y, plan, jobs=2, progress=False)
    assert len(table) == 4
    assert table["met"].any() and (table["rounds_grown"] < plan.max_rounds).any()
    for chosen, row in zip(plan.settings(), table.itertuples(), strict=True):
        losses = all_rounds(X, y, plan, chosen)
        mean, se = losses.mean(axis=0), losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
        kept = select_rounds(mean, se)
        assert (row.rounds, row.flat_round, row.met) == tuple(kept)
        assert row.loss == mean[kept.kept - 1]
        assert row.se == se[kept.kept - 1]
    best = table.loc[table["winner"]].squeeze()
    assert best["loss"] == table["loss"].min()
    assert (winner["n_rounds"], winner["learning_rate"]) == (best["rounds"], best["learning_rate"])


def test_threads_and_block_change_nothing():
    X, y = survey(80)
    first = grid_search(X, y, small_plan(y, block=1), jobs=1, progress=False).table
    second = grid_search(X, y, small_plan(y, block=37), jobs=3, progress=False).table
    pd.testing.assert_frame_equal(first.drop(columns="rounds_grown"), second.drop(columns="rounds_grown"))
    assert (first["rounds_grown"] <= second["rounds_grown"]).all()


def test_winner_grows_the_same_trees_as_members():
    X, y = survey(80)
    plan = small_plan(y)
    winner = grid_search(X, y, plan, progress=False).winner
    names = ("learning_rate", "max_depth", "min_child_weight", "subsample", "tree_method", "base_score")
    chosen = Settings(rounds=winner["n_rounds"], label_scale=1.0, **{name: winner[name] for name in names})
    members = fit_members(X, y, MemberPlan([train for train, _ in plan.folds], chosen, seed=plan.seed), progress=False)
    seed = legacy_members(plan.seed, 1)[0]
    params = {
        "objective": "count:poisson",
        "eta": winner["learning_rate"],
        "max_depth": winner["max_depth"],
        "seed": seed,
    }
    params |= {"subsample": 0.5, "tree_method": "exact", "base_score": 0.5, "nthread": 1, "seed_per_iteration": True}
    train = plan.folds[0][0]
    long = xgb.train(params, xgb.DMatrix(X[train], y[train]), plan.max_rounds)
    truncated = long.inplace_predict(X, iteration_range=(0, winner["n_rounds"]))
    np.testing.assert_allclose(members.predict(X)[0], truncated, rtol=1e-6)


def test_weights_enter_fit_and_loss():
    X, y = survey(80)
    plan = small_plan(y, learning_rates=(0.3,), max_depths=(2,))
    plain = grid_search(X, y, plan, progress=False).table["loss"][0]
    same = grid_search(X, y, plan, weights=np.ones(80), progress=False).table["loss"][0]
    other = grid_search(X, y, plan, weights=np.linspace(0.1, 2, 80), progress=False).table["loss"][0]
    assert same == pytest.approx(plain)
    assert other != pytest.approx(plain)


def test_curve_that_never_flattens_warns():
    X, y = survey(60)
    plan = small_plan(y, learning_rates=(0.01,), max_depths=(2,), max_rounds=25)
    with pytest.warns(MethodWarning, match="after 25 rounds"):
        table, winner = grid_search(X, y, plan, progress=False)
    assert not table["met"][0] and table["rounds_grown"][0] == 25 and winner["n_rounds"] <= 25
    with pytest.raises(UserError, match="1 resample"):
        grid_search(X, y, SearchPlan(plan.folds[:1]), progress=False)


def test_round_rule_by_hand():
    loss = np.concatenate([np.linspace(100, 10, 20), np.full(15, 10.0)])
    loss[20:] -= np.arange(1, 16) * 0.001
    # rounds 20 and 30 are the first pair that differs by less than 1 %, so i* = 30
    se = np.full(loss.size, 6.0)
    # Z = loss[29] + 6 = 15.99; round 18 (19.47) is the lowest one above it, round 19 (14.74) is below
    assert select_rounds(loss, se) == (18, 30, True)


def test_round_rule_at_its_edges():
    assert select_rounds(np.full(11, 3.0), np.full(11, 0.0)) == (11, 11, True)
    assert select_rounds(np.full(10, 3.0), np.full(10, 0.0)) == (10, 10, False)
    rising = np.linspace(1, 2, 30)
    assert select_rounds(rising, np.full(30, 9.0)) == (30, 30, False)
    assert select_rounds(np.full(12, 3.0), np.full(12, 0.1)) == (11, 11, True)
    with pytest.raises(UserError, match=r"\(3,\)"):
        select_rounds([1, 2, 3], [1, 2])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1, 100), min_size=11, max_size=60), st.floats(0, 5))
def test_round_rule_against_its_sentence(curve, width):
    """The rule written as loops over rounds 1, 2, …; and it never looks past i*."""
    loss = {i + 1: value for i, value in enumerate(curve)}
    flat = next((i for i in loss if i >= 11 and 0.99 * loss[i - 10] <= loss[i] <= loss[i - 10]), None)
    rounds = select_rounds(curve, np.full(len(curve), width))
    assert rounds.met == (flat is not None)
    last = flat or len(curve)
    above = {i: loss[i] - (loss[last] + width) for i in range(1, last + 1) if loss[i] - (loss[last] + width) > 0}
    assert rounds.flat == last
    assert rounds.kept == (min(above, key=above.get) if above else last)
    if flat:
        assert select_rounds(curve[:flat], np.full(flat, width)) == rounds


@settings(max_examples=40, deadline=None)
@given(STRATA, st.integers(2, 5), st.integers(0, 99))
def test_folds_deal_each_stratum_evenly(strata, n_folds, seed):
    pairs = stratified_folds(strata, n_folds, 2, seed)
    assert len(pairs) == 2 * n_folds
    for repeat in (pairs[:n_folds], pairs[n_folds:]):
        checked = np.concatenate([check for _, check in repeat])
        np.testing.assert_array_equal(np.sort(checked), np.arange(strata.size))
        sizes = [check.size for _, check in repeat]
        assert max(sizes) - min(sizes) <= 1
        for stratum in np.unique(strata):
            held = [(strata[check] == stratum).sum() for _, check in repeat]
            assert max(held) - min(held) <= 1
    for train, check in pairs:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, check])), np.arange(strata.size))
    again = stratified_folds(strata, n_folds, 2, seed)
    assert all((a[1] == b[1]).all() for a, b in zip(pairs, again, strict=True))


@settings(max_examples=40, deadline=None)
@given(STRATA, st.floats(0.1, 0.9), st.integers(0, 99))
def test_split_keeps_the_share_of_each_stratum(strata, fraction, seed):
    expected = {s: round((strata == s).sum() * fraction) for s in np.unique(strata)}
    assume(0 < sum(expected.values()) < strata.size)
    train, test = stratified_split(strata, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(strata.size))
    assert {s: (strata[test] == s).sum() for s in expected} == expected


def test_strata_are_zeros_and_quantile_classes():
    y = np.concatenate([np.zeros(5), np.arange(1, 81)])
    strata = count_strata(np.random.default_rng(0).permutation(y))
    assert np.bincount(strata).tolist() == [5] + [10] * 8
    assert count_strata(np.zeros(4)).tolist() == [0] * 4
    assert set(count_strata([0, 2, 2, 2, 2])) == {0, 1}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count_scale([0, 0]), "0 of 2 rows"),
        (lambda: count_scale([1, np.nan]), "row 1 is nan"),
        (lambda: count_strata([1, 2, -3]), "row 2 is -3"),
        (lambda: stratified_split([0, 1], 1.5), "1.5"),
        (lambda: stratified_split([0, 1], 0.2), "0 test rows"),
        (lambda: stratified_folds([0, 1], 3), "n_folds: 3"),
    ],
)
def test_bad_input_is_shown(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_scale_of_one_per_cent_quantile():
    assert count_scale([0.0, *np.full(200, 0.0107)]) == 1000.0
    assert count_scale(np.full(50, 0.00250134)) == 4000.0


def test_scale_and_strata_of_the_authors(data_root):
    folder = data_root / "drago2022"
    rows = pd.concat([pd.read_csv(folder / f"d_{part}_Copepoda_0_200m.csv.gz") for part in ("train", "test")])
    scale = count_scale(rows["biomass"])
    assert scale == 1000.0
    np.testing.assert_array_equal(np.round(rows["biomass"] * scale), rows["biomass_count"])
    # one row on the edge of the zero class is the authors' own: it holds a small positive biomass
    assert (count_strata(rows["biomass"]) + 1 != rows["biomass_quant"]).sum() <= 1
    deep = pd.read_csv(folder / "biomass_env_200_500m_long.csv.gz")
    assert count_scale(deep.loc[deep["taxon"] == "Phaeodaria", "biomass_sph"]) == 4000.0


def test_published_setting_on_the_authors_rows(data_root):
    """Drago et al. 2022: eta 0.075, depth 4, min_child_weight 3 keep 222 rounds on Copepoda 0-200 m."""
    train = pd.read_csv(data_root / "drago2022" / "d_train_Copepoda_0_200m.csv.gz")
    names = ["mean.temperature", "mean.salinity", "mean.silicate", "mean.phosphate", "mean.nitrate", "mean.oxygen"]
    names += ["mean.chla", "bathymetry", "dist"]
    folds = stratified_folds(train["biomass_quant"], 5, 20, seed=0)
    plan = SearchPlan(folds, learning_rates=(0.075,), max_depths=(4,), min_child_weights=(3,))
    assert plan.base == TreeSettings(subsample=0.5, tree_method="exact", base_score=0.5)
    row = grid_search(train[names], train["biomass_count"], plan, jobs=2, progress=False).table.iloc[0]
    assert row["met"]
    assert row["rounds"] == pytest.approx(222, abs=12)
