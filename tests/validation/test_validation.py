"""Scores and cross-validation schemes."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.metrics import d2_tweedie_score, mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.neighbors import KNeighborsRegressor

from aqqua_dist.core.errors import UserError
from aqqua_dist.validation.cross_validation import cross_validate
from aqqua_dist.validation.schemes import make_folds
from aqqua_dist.validation.scores import scores

THOUSANDTHS = st.integers(0, 10**6).map(lambda n: n / 1000)
VALUES = st.lists(
    st.tuples(THOUSANDTHS, THOUSANDTHS.map(lambda v: v + 0.01), st.integers(1, 4)), min_size=3, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_scores_against_scikit_learn(rows):
    observed, predicted, weights = map(np.array, zip(*rows, strict=True))
    found = scores(observed, predicted, weights)
    given_weights = {"sample_weight": weights}
    assert found["rmse"] == pytest.approx(root_mean_squared_error(observed, predicted, **given_weights))
    assert found["mae"] == pytest.approx(mean_absolute_error(observed, predicted, **given_weights))
    if np.ptp(observed) > 0:
        assert found["r2"] == pytest.approx(r2_score(observed, predicted, **given_weights), rel=1e-6, abs=1e-6)
        expected = d2_tweedie_score(observed, predicted, power=1, **given_weights)
        assert found["deviance_explained"] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    repeated = scores(np.repeat(observed, weights), np.repeat(predicted, weights))
    for name in ("rmse", "mae", "bias"):
        assert found[name] == pytest.approx(repeated[name], abs=1e-9)


def test_scores_by_hand():
    found = scores([0, 1, 2, 3], [1, 2, 3, 4])
    assert found["rmse"] == found["mae"] == found["bias"] == 1
    assert found["r2"] == pytest.approx(1 - 4 / 5)
    assert found["r2_correl"] == pytest.approx(1)
    assert found["spearman"] == pytest.approx(1)
    logs = np.corrcoef(np.log([1, 2, 3, 4]), np.log([2, 3, 4, 5]))[0, 1]
    assert found["r2_correl_log"] == pytest.approx(logs**2)


def test_perfect_predictions():
    found = scores([0, 1, 5], [0, 1, 5])
    assert [found[k] for k in ("rmse", "mae", "bias")] == [0, 0, 0]
    for name in ("r2", "r2_correl", "r2_correl_log", "spearman", "deviance_explained"):
        assert found[name] == pytest.approx(1)


def test_equal_observations_have_no_relative_score():
    found = scores([2, 2, 2], [1, 2, 3])
    assert found["rmse"] == pytest.approx(np.sqrt(2 / 3))
    for name in ("r2", "r2_correl", "r2_correl_log", "spearman", "deviance_explained"):
        assert np.isnan(found[name])
    constant = scores([1, 2, 3], [2, 2, 2])
    assert constant["r2"] == pytest.approx(0)
    assert constant["deviance_explained"] == pytest.approx(0)
    assert np.isnan(constant["r2_correl"])
    assert np.isnan(scores([4.0], [4.0])["r2"])


def test_impossible_zero_and_negative_values():
    assert scores([0, 3], [1, 0])["deviance_explained"] == -np.inf
    negative = scores([-1, 2, 3], [1, 2, 4])
    assert np.isnan(negative["deviance_explained"]) and np.isnan(negative["r2_correl_log"])
    assert np.isfinite(negative["r2"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1, 2, 3]), r"\(2,\)"),
        (([], []), r"\(0,\)"),
        (([1, np.nan], [1, 2]), "observed of row 1 is nan"),
        (([1, 2], [np.inf, 2]), "predicted of row 0 is inf"),
        (([1, 2], [1, 2], [1, -1]), "weights of row 1 is -1"),
        (([1, 2], [1, 2], [0, 0]), "all 2 weights are 0"),
        (([1, 2], [1, 2], [1]), r"\(1,\)"),
    ],
)
def test_bad_scores_input_is_shown(arguments, message):
    with pytest.raises(UserError, match=message):
        scores(*arguments)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=10, max_size=80), st.integers(2, 5), st.integers(0, 9))
def test_every_row_is_tested_once(blocks, n_folds, seed):
    blocks = np.array(blocks + list(range(n_folds)))
    for scheme in ("random", "spatial_block"):
        for strata in (None, blocks % 3):
            folds = make_folds(scheme, blocks.size, groups=blocks, strata=strata, n_folds=n_folds, seed=seed)
            tested = np.concatenate([test for _, test in folds])
            np.testing.assert_array_equal(np.sort(tested), np.arange(blocks.size))
            for train, test in folds:
                assert not set(train) & set(test)
                if scheme == "spatial_block":
                    assert not set(blocks[train]) & set(blocks[test])


def test_strata_are_shared_out():
    strata = np.repeat([0, 1, 2], [50, 5, 2])
    for _, test in make_folds("random", 57, strata=strata, n_folds=5):
        assert (strata[test] == 0).sum() == 10
        assert (strata[test] == 1).sum() + (strata[test] == 2).sum() in (1, 2)
    assert len(make_folds("random", 6, strata=[0, 1, 2, 3, 4, 5], n_folds=3)) == 3


@pytest.mark.parametrize(
    ("scheme", "n_rows", "given", "message"),
    [
        ("spatial_block", 10, {"groups": [0, 1] * 5}, "2 blocks for 5 folds"),
        ("spatial_block", 10, {}, "groups None"),
        ("loo", 10, {}, "'loo'"),
        ("random", 3, {}, "5 folds of 3 rows"),
        ("random", 10, {"strata": [1, 2]}, "2 strata"),
    ],
)
def test_bad_folds_are_shown(scheme, n_rows, given, message):
    with pytest.raises(UserError, match=message):
        make_folds(scheme, n_rows, **given)


def line(n=60):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"temperature": rng.normal(size=n), "salinity": rng.normal(size=n)})
    return X, 3 + 2 * X["temperature"].to_numpy() + rng.normal(size=n), np.arange(n) // 6


def test_tidy_scores_and_predictions():
    X, y, blocks = line()
    folds = {s: make_folds(s, 60, groups=blocks) for s in ("random", "spatial_block")}
    found = cross_validate(LinearRegression(), X, y, folds, progress=False)
    assert list(found.scores) == ["scheme", "fold", "metric", "value"]
    assert len(found.scores) == 2 * 6 * len(scores([1], [1]))
    assert list(found.predictions) == ["scheme", "fold", "row", "observed", "predicted"]
    assert len(found.predictions) == 120
    part = found.predictions[found.predictions["scheme"] == "random"]
    np.testing.assert_array_equal(part["observed"], y[part["row"]])
    pooled = found.scores.query("scheme == 'random' and fold == -1").set_index("metric")["value"]
    assert pooled["r2"] == pytest.approx(scores(part["observed"], part["predicted"])["r2"])
    assert pooled["r2"] > 0.6
    train, test = folds["random"][0]
    expected = LinearRegression().fit(X.iloc[train], y[train]).predict(X.iloc[test])
    np.testing.assert_allclose(part[part["fold"] == 0]["predicted"], expected)


def test_function_and_weights():
    X, y, _ = line()
    folds = {"random": make_folds("random", 60)}
    weights = np.linspace(1, 5, 60)

    def fit_predict(X_train, y_train, effort, X_test):
        return LinearRegression().fit(X_train, y_train, sample_weight=effort).predict(X_test)

    for effort in (None, weights):
        one = cross_validate(fit_predict, X, y, folds, weights=effort, progress=False).predictions
        other = cross_validate(LinearRegression(), X.to_numpy(), y, folds, weights=effort, progress=False).predictions
        np.testing.assert_allclose(one["predicted"], other["predicted"])


def test_bad_predictions_are_shown():
    X, y, _ = line()
    folds = {"random": make_folds("random", 60)}
    with pytest.raises(UserError, match=r"fold 0: predictions have shape \(3,\)"):
        cross_validate(lambda a, b, c, d: np.zeros(3), X, y, folds, progress=False)


def test_blocks_are_harder_than_random_rows_where_space_is_smooth():
    rng = np.random.default_rng(3)
    blocks = np.repeat(np.arange(30), 10)
    y = rng.normal(size=30)[blocks] + 0.05 * rng.normal(size=300)
    X = (rng.normal(size=(30, 4))[blocks] + 0.01 * rng.normal(size=(300, 4))).astype(np.float32)
    folds = {s: make_folds(s, 300, groups=blocks) for s in ("random", "spatial_block")}
    found = cross_validate(KNeighborsRegressor(1), X, y, folds, progress=False).scores
    r2 = found[(found["fold"] == -1) & (found["metric"] == "r2")].set_index("scheme")["value"]
    assert r2["random"] > 0.9 > 0.3 > r2["spatial_block"]
