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
from aqqua_dist.validation.cruises import LEAVE_ONE_OUT
from aqqua_dist.validation.schemes import SCHEMES, claimed_folds, scheme_folds, splits, study_folds
from aqqua_dist.validation.scores import r2_correl_log1p_drago2022, scores

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
    assert found["log_offset"] == 1
    scaled = np.corrcoef(np.log([1, 1.5, 2, 2.5]), np.log([1.5, 2, 2.5, 3]))[0, 1]
    assert scores([0, 1, 2, 3], [1, 2, 3, 4], log_offset=2)["r2_correl_log"] == pytest.approx(scaled**2)


@settings(max_examples=30, deadline=None)
@given(VALUES, st.sampled_from([1e-9, 1e-3, 1e3, 1e6]))
def test_no_relative_score_depends_on_the_unit(rows, factor):
    """In mg or in ug: 0.849 and 0.474 were the log correlations of one data set with log(1 + x)."""
    observed, predicted, _ = map(np.array, zip(*rows, strict=True))
    one, other = scores(observed, predicted), scores(observed * factor, predicted * factor)
    for name in ("r2", "r2_correl", "r2_correl_log", "spearman", "deviance_explained"):
        assert one[name] == pytest.approx(other[name], rel=1e-6, abs=1e-9, nan_ok=True)
    for name in ("rmse", "mae", "bias", "log_offset"):
        assert one[name] * factor == pytest.approx(other[name], rel=1e-6, abs=1e-9 * factor, nan_ok=True)


def test_the_log_correlation_of_the_paper_keeps_its_own_name():
    observed, predicted = np.array([0.0, 10, 250, 4000]), np.array([5.0, 20, 100, 5000])
    expected = np.corrcoef(np.log1p(observed), np.log1p(predicted))[0, 1] ** 2
    assert r2_correl_log1p_drago2022(observed, predicted) == pytest.approx(expected)
    assert scores(observed, predicted)["r2_correl_log"] != pytest.approx(expected, abs=1e-3)
    assert np.isnan(scores([0, 0, 0], [1, 2, 3])["r2_correl_log"])
    with pytest.raises(UserError, match="log_offset is 0"):
        scores([1, 2], [1, 2], log_offset=0)


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


def test_equal_observations_whose_mean_is_rounded_have_no_relative_score():
    """The weighted mean of three 0.1 is not 0.1 in floating point, and their variance 8e-34 is none."""
    weights = [3.2, 1.4, 0.3]
    assert np.average([0.1] * 3, weights=weights) != 0.1
    found = scores([0.1] * 3, [0.1, 0.2, 0.3], weights)
    assert np.isnan(found["r2"]) and np.isnan(found["deviance_explained"]) and np.isnan(found["r2_correl"])


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


def table(blocks, stratum=0):
    """Rows on the equator, each block 20 degrees wide."""
    blocks = np.asarray(blocks)
    lon = -175.0 + 20 * blocks
    return pd.DataFrame({"lat": 0.5, "lon": lon, "stratum": stratum, "cruise": [f"c{b}" for b in blocks]})


def folds_of(name, rows, n_folds=5, seed=0, **more):
    return scheme_folds(name, rows, None, SCHEMES[name].Settings(folds=n_folds, **more), seed)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=10, max_size=80), st.integers(2, 5), st.integers(0, 9))
def test_every_row_is_tested_once(blocks, n_folds, seed):
    blocks = np.array(blocks + list(range(n_folds)))
    for scheme in ("random", "spatial_block", "cruise"):
        for strata in (0, blocks % 3):
            folds = folds_of(scheme, table(blocks, strata), n_folds, seed)
            pairs = splits(folds)
            tested = np.concatenate([test for _, test in pairs])
            np.testing.assert_array_equal(np.sort(tested), np.arange(blocks.size))
            assert len(pairs) == (len(set(blocks)) if scheme == "cruise" else n_folds)
            for train, test in pairs:
                assert not set(train) & set(test)
                if scheme != "random":
                    assert not set(blocks[train]) & set(blocks[test])


def test_strata_are_shared_out():
    strata = np.repeat([0, 1, 2], [50, 5, 2])
    for _, test in splits(folds_of("random", table(np.zeros(57, int), strata))):
        assert (strata[test] == 0).sum() == 10
        assert (strata[test] == 1).sum() + (strata[test] == 2).sum() in (1, 2)
    assert len(splits(folds_of("random", table(np.zeros(6, int), np.arange(6)), 3))) == 3


def test_blocks_have_the_size_of_the_settings():
    rows = table(np.arange(18))
    assert sorted(folds_of("spatial_block", rows, 18, block_size=20.0)) == list(range(18))
    wide = folds_of("spatial_block", rows, 2, block_size=90.0)  # three blocks around the globe
    assert [len(set(wide[start : start + 6])) for start in (0, 6, 12)] == [1] * 3


def test_few_cruises_are_left_out_one_by_one_and_many_are_dealt_out_whole():
    few = folds_of("cruise", table(np.repeat([3, 1, 2], [5, 2, 4])))
    assert sorted(np.bincount(few)) == [2, 4, 5]
    many = np.repeat(np.arange(LEAVE_ONE_OUT + 1), 3)
    found = folds_of("cruise", pd.DataFrame({"cruise": many}), 4)
    assert set(found) == {0, 1, 2, 3}
    assert all(len(set(found[many == cruise])) == 1 for cruise in range(LEAVE_ONE_OUT + 1))


def test_rows_without_a_cruise_are_never_tested_and_train_every_fold():
    rows = pd.DataFrame({"cruise": ["a", None, "b", "b", np.nan, "a"]})
    folds = folds_of("cruise", rows)
    assert folds.tolist() == [0, -1, 1, 1, -1, 0]
    for train, test in splits(folds):
        assert {1, 4} <= set(train) and not {1, 4} & set(test)


@pytest.mark.parametrize(
    ("scheme", "rows", "message"),
    [
        ("spatial_block", table([0, 1] * 5), "2 blocks for 5 folds"),
        ("spatial_block", pd.DataFrame({"lat": [1.0]}), "no column 'lon', which scheme 'spatial_block' needs"),
        ("cruise", pd.DataFrame({"lat": [1.0]}), "no column 'cruise'"),
        ("cruise", table([1] * 10), "1 cruises; allowed are 2 or more"),
        ("random", table([1] * 3), "3 rows for 5 folds"),
    ],
)
def test_a_scheme_that_is_not_possible_has_its_reason(scheme, rows, message):
    with pytest.raises(UserError, match=message):
        folds_of(scheme, rows)
    wanted = {name: SCHEMES[name].Settings() for name in SCHEMES}
    possible, reasons = study_folds(wanted, rows, None, 0)
    assert message in reasons[scheme]
    assert set(possible) | set(reasons) == set(SCHEMES) and not set(possible) & set(reasons)


def test_an_unknown_scheme_is_shown():
    with pytest.raises(UserError, match="'loo' is unknown"):
        scheme_folds("loo", table([1]), None, None, 0)


def test_the_area_of_applicability_claims_the_error_of_blocks_where_there_are_blocks():
    folds = {"random": np.array([0]), "cruise": np.array([1]), "spatial_block": np.array([2])}
    assert claimed_folds(folds) is folds["spatial_block"]
    matched = folds | {"knndm": np.array([3])}
    assert claimed_folds(matched) is matched["knndm"]
    del folds["spatial_block"]
    assert claimed_folds(folds) is folds["cruise"]
    assert claimed_folds({"other": folds["random"]}) is folds["random"]
    assert claimed_folds({}) is None


def line(n=60):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"temperature": rng.normal(size=n), "salinity": rng.normal(size=n)})
    return X, 3 + 2 * X["temperature"].to_numpy() + rng.normal(size=n), np.arange(n) // 6


def test_tidy_scores_and_predictions():
    X, y, blocks = line()
    folds = {s: splits(folds_of(s, table(blocks))) for s in ("random", "spatial_block")}
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
    folds = {"random": splits(folds_of("random", table(np.zeros(60, int))))}
    weights = np.linspace(1, 5, 60)

    def fit_predict(X_train, y_train, effort, X_test):
        return LinearRegression().fit(X_train, y_train, sample_weight=effort).predict(X_test)

    for effort in (None, weights):
        one = cross_validate(fit_predict, X, y, folds, weights=effort, progress=False).predictions
        other = cross_validate(LinearRegression(), X.to_numpy(), y, folds, weights=effort, progress=False).predictions
        np.testing.assert_allclose(one["predicted"], other["predicted"])


def test_bad_predictions_are_shown():
    X, y, _ = line()
    folds = {"random": splits(folds_of("random", table(np.zeros(60, int))))}
    with pytest.raises(UserError, match=r"fold 0: predictions have shape \(3,\)"):
        cross_validate(lambda a, b, c, d: np.zeros(3), X, y, folds, progress=False)


def test_blocks_are_harder_than_random_rows_where_space_is_smooth():
    rng = np.random.default_rng(3)
    blocks = np.repeat(np.arange(30), 10)
    y = rng.normal(size=30)[blocks] + 0.05 * rng.normal(size=300)
    X = (rng.normal(size=(30, 4))[blocks] + 0.01 * rng.normal(size=(300, 4))).astype(np.float32)
    places = pd.DataFrame({"lat": -75 + 15.0 * (blocks % 11), "lon": -175 + 35.0 * (blocks // 3), "stratum": 0})
    folds = {s: splits(folds_of(s, places)) for s in ("random", "spatial_block")}
    found = cross_validate(KNeighborsRegressor(1), X, y, folds, progress=False).scores
    r2 = found[(found["fold"] == -1) & (found["metric"] == "r2")].set_index("scheme")["value"]
    assert r2["random"] > 0.9 > 0.3 > r2["spatial_block"]


@pytest.mark.parametrize(
    "bad", [["a", "b"], pd.Series(pd.date_range("2020", periods=2)), pd.Series(pd.Categorical(["u", "v"]))]
)
def test_scores_of_no_numbers_are_refused(bad):
    for pair in ((bad, [1.0, 2.0]), ([1.0, 2.0], bad)):
        with pytest.raises(UserError, match="(observed|predicted): the values are"):
            scores(*pair)
