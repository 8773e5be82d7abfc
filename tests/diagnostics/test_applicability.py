"""Area of applicability."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist
from sklearn.utils.estimator_checks import parametrize_with_checks

from aqqua_dist.core.errors import UserError
from aqqua_dist.diagnostics import applicability
from aqqua_dist.diagnostics.applicability import Applicability, mean_distance


def rows(n=120, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) * [1, 10, 100] + [0, 35, 2000], rng.integers(0, 5, n)


@parametrize_with_checks([Applicability()])
def test_sklearn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("grouped", [False, True])
def test_against_full_distance_matrices(grouped):
    X, folds = rows()
    weights = np.array([0.5, 0.3, 0.2])
    found = Applicability().fit(X, weights=weights, groups=folds if grouped else None)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1) * weights
    between = cdist(scaled, scaled)
    own = np.equal.outer(folds, folds) if grouped else np.eye(len(X), dtype=bool)
    index = np.where(own, np.inf, between).min(axis=1) / pdist(scaled).mean()
    np.testing.assert_allclose(found.train_index_, index)
    low, high = np.quantile(index, [0.25, 0.75])
    assert found.threshold_ == pytest.approx(min(high + 1.5 * (high - low), index.max()))
    new = rows(40, seed=9)[0]
    expected = (
        cdist((new - X.mean(axis=0)) / X.std(axis=0, ddof=1) * weights, scaled).min(axis=1) / pdist(scaled).mean()
    )
    np.testing.assert_allclose(found.predict(new), expected)
    np.testing.assert_array_equal(found.inside(new), expected <= found.threshold_)


def test_equal_to_cast(data_root):
    """R's CAST 1.1.0, weights 2, 1, 0.5 and the folds of the table; the threshold was 0.3215571 with 8 cells fewer inside."""
    folder = data_root / "validation" / "r_check"
    train, cells = pd.read_csv(folder / "train.csv"), pd.read_csv(folder / "cells.csv")[["a", "b", "c"]]
    found = Applicability().fit(train[["a", "b", "c"]], weights=[2, 1, 0.5], groups=train["fold"])
    assert found.mean_distance_ == pytest.approx(2.842574, abs=1e-6)
    assert found.threshold_ == pytest.approx(0.3261456, abs=1e-6)
    expected = pd.read_csv(folder / "cast_training_dissimilarity.csv")["training_dissimilarity"]
    np.testing.assert_allclose(found.train_index_, expected, atol=1e-6)
    expected = pd.read_csv(folder / "cast_cells.csv")
    np.testing.assert_allclose(found.predict(cells), expected["dissimilarity"], atol=1e-6)
    np.testing.assert_array_equal(found.inside(cells), expected["inside"] == 1)
    np.testing.assert_array_equal(found.local_point_density(cells), expected["local_point_density"])


def test_the_threshold_is_no_larger_than_the_largest_index():
    """Rows 1 apart in two folds of alternating rows: each index is 1 over the mean distance (11/3), none is an outlier."""
    found = Applicability().fit(np.arange(10.0)[:, None], groups=np.arange(10) % 2)
    assert found.threshold_ == pytest.approx(3 / 11)


def test_local_point_density_counts_rows_within_the_threshold():
    X, folds = rows()
    X[3, 1] = np.nan  # predictor 1 may be missing, predictor 0 may not
    found = Applicability().fit(X, groups=folds)
    new = 2 * rows(40, seed=9)[0] - [0, 35, 2000]
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    mean, sd = filled.mean(axis=0), filled.std(axis=0, ddof=1)
    between = cdist((new - mean) / sd, (filled - mean) / sd) / found.mean_distance_
    density = found.local_point_density(new)
    np.testing.assert_array_equal(density, (between <= found.threshold_).sum(axis=1))
    np.testing.assert_array_equal(density > 0, found.inside(new))
    assert 0 < (density == 0).sum() < len(new)
    new[0, 0], new[1, 1] = np.nan, np.nan
    density = found.local_point_density(new)
    assert np.isnan(density[0]) and not np.isnan(density[1:]).any()


def test_training_rows_are_inside_and_far_rows_outside():
    X, folds = rows()
    found = Applicability().fit(X, groups=folds)
    np.testing.assert_allclose(found.predict(X), 0, atol=1e-12)
    assert found.inside(X).all()
    assert not found.inside(X + 100 * X.std(axis=0)).any()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1e3, 1e3), st.floats(0.01, 100))
def test_units_of_a_predictor_do_not_matter(factor, shift, importance):
    X, folds = rows(50)
    new = rows(20, seed=3)[0]
    change, offset = np.array([factor, 1, 1]), np.array([shift, 0, 0])
    weights = np.array([0.6, 0.3, 0.1])
    one = Applicability().fit(X, weights=weights, groups=folds)
    other = Applicability().fit(X * change + offset, weights=weights * importance, groups=folds)
    np.testing.assert_allclose(other.predict(new * change + offset), one.predict(new), rtol=1e-6)
    assert other.threshold_ == pytest.approx(one.threshold_, rel=1e-6)


def test_missing_predictors_count_as_the_mean_and_are_told():
    X, _ = rows()
    X[5, 1] = np.nan
    found = Applicability().fit(X)
    hole, filled = np.array([[0.3, np.nan, 2100]]), np.array([[0.3, np.nanmean(X[:, 1]), 2100]])
    np.testing.assert_allclose(found.predict(hole), found.predict(filled))
    assert found.n_replaced(np.vstack([hole, filled])).tolist() == [1, 0]


def test_a_predictor_that_no_training_row_lacks_is_outside_where_it_is_missing():
    """The index was 0.08, far inside, of a row of which nothing is known."""
    X, folds = rows()
    found = Applicability().fit(X, groups=folds)
    holes = np.array([[np.nan, np.nan, np.nan], [X[0, 0], np.nan, X[0, 2]], X[0]])
    assert np.isnan(found.predict(holes)).tolist() == [True, True, False]
    assert found.inside(holes).tolist() == [False, False, True]
    idle = Applicability().fit(X, groups=folds, weights=[1, 0, 1])  # one without importance is not asked for
    assert idle.inside(holes).tolist() == [False, True, True]
    X[3, 1] = np.nan
    assert not np.isnan(Applicability().fit(X, groups=folds).predict(holes[1:])).any()


def test_useless_predictors_take_no_part():
    X, _ = rows()
    more = np.column_stack([X, np.full(len(X), 7.0), np.full(len(X), np.nan), np.arange(len(X))])
    plain = Applicability().fit(X, weights=[1, 1, 1])
    found = Applicability().fit(more, weights=[1, 1, 1, 5, 5, -2])
    assert found.used_.tolist() == [0, 1, 2]
    changed = more.copy()
    changed[:, 3:] = [8.0, np.nan, -1e6]
    np.testing.assert_allclose(found.predict(changed + [[1, 1, 1, 0, 0, 0]]), plain.predict(X + 1))
    assert found.n_replaced(changed).max() == 0


def test_names_are_checked():
    frame = pd.DataFrame(rows()[0], columns=["temperature", "salinity", "bathymetry"])
    found = Applicability().fit(frame)
    with pytest.raises(ValueError, match="salinity"):
        found.predict(frame.drop(columns="salinity"))


def test_mean_distance_in_blocks_and_by_sample(monkeypatch):
    X, _ = rows(300)
    assert mean_distance(X) == pytest.approx(pdist(X).mean())
    monkeypatch.setattr(applicability, "BLOCK_ROWS", 7)
    assert mean_distance(X) == pytest.approx(pdist(X).mean())
    monkeypatch.setattr(applicability, "SAMPLE_ROWS", 150)
    assert mean_distance(X, seed=1) == pytest.approx(pdist(X).mean(), rel=0.15)
    assert mean_distance(X, seed=1) != pytest.approx(pdist(X).mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": [1, 2]}, "3 finite importances"),
        ({"weights": [0, -1, 0]}, "0 of 3 predictors"),
        ({"groups": [1, 2]}, r"\(2,\)"),
        ({"groups": np.zeros(120)}, "one fold"),
    ],
)
def test_bad_input_is_shown(given, message):
    with pytest.raises(UserError, match=message):
        Applicability().fit(rows()[0], **given)


def test_equal_rows_are_refused():
    with pytest.raises(UserError, match="0 of 2 predictors"):
        Applicability().fit(np.ones((5, 2)))
    with pytest.raises(UserError, match="all 4 training rows are equal"):
        mean_distance(np.ones((4, 2)))
