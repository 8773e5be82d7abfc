"""Model families: scikit-learn's contract, effort as exposure, saved models, zeros and gaps."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xgboost as xgb
from pydantic import ValidationError
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import PoissonRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from aqqua_dist.core.errors import UserError
from aqqua_dist.habitat_models import glm
from aqqua_dist.habitat_models.ensemble import Ensemble, Member
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.habitat_models.members import MemberPlan, fit_members

CONTRACT = [
    FAMILIES["boosting"].Settings(rounds=40, subsample=1.0),
    FAMILIES["boosting"].Settings(rounds=40, subsample=1.0, objective="reg:squarederror"),
    FAMILIES["boosting"].Settings(rounds=40, subsample=1.0, objective="reg:tweedie", tweedie_variance_power=1.2),
    FAMILIES["forest"].Settings(kind="forest", trees=10, min_samples_leaf=1),
    FAMILIES["forest"].Settings(kind="forest", trees=10, criterion="squared_error"),
    FAMILIES["glm"].Settings(kind="glm"),
    FAMILIES["glm"].Settings(kind="glm", power=1.5),
]
CONTRACT += [
    family.Settings(kind=kind) for kind, family in FAMILIES.items() if kind not in {one.kind for one in CONTRACT}
]


def known_failures(estimator):
    """What scikit-learn says of its own random forest: rows are drawn in it, so that weights are no repeats."""
    if not isinstance(estimator, RandomForestRegressor):
        return {}
    reason = "rows are drawn inside the forest"
    found = {
        "check_sample_weight_equivalence_on_dense_data": reason,
        "check_sample_weight_equivalence_on_sparse_data": reason,
    }
    if estimator.criterion == "poisson":
        found["check_regressor_multioutput"] = (
            "the check draws a response below 0 without asking the tag positive_only, which the Poisson criterion sets"
        )
    return found


@parametrize_with_checks(
    [FAMILIES[one.kind].estimator(one, 0) for one in CONTRACT], expected_failed_checks=known_failures
)
def test_sklearn_contract(estimator, check):
    check(estimator)


def rows(n=30, seed=4):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 2)).astype(np.float32)
    volume = np.exp(random.normal(0, 1, n))
    counts = random.poisson(volume * np.exp(1 + X[:, 0])) + 0.0
    return X, counts, volume


@pytest.mark.parametrize("power", [1.0, 1.2, 1.58, 2.0])
def test_a_rate_with_its_weight_is_a_total_with_an_offset(power):
    """30 rows, volumes of log-sd 1: the trees of n with the offset log V, and not those of another weight."""
    X, counts, volume = rows()
    if power == 2:
        counts = counts + 1.0
    objective = {1.0: "count:poisson", 2.0: "reg:gamma"}.get(power, "reg:tweedie")
    more = {"tweedie_variance_power": power} if objective == "reg:tweedie" else {}
    settings = FAMILIES["boosting"].Settings(
        objective=objective, rounds=15, learning_rate=0.1, min_child_weight=0.5, subsample=1.0, tree_method="exact",
        base_score=1.0, label_scale=1.0, **more,
    )  # fmt: skip
    family = FAMILIES["boosting"]
    weight = family.weight(volume, settings)
    np.testing.assert_allclose(weight, volume ** (2 - power))
    rate = family.estimator(settings, 0).fit(X, counts / volume, sample_weight=weight).predict(X)
    params = {"objective": objective, "eta": 0.1, "max_depth": 4, "min_child_weight": 0.5, "tree_method": "exact"}
    params |= {"nthread": 1, "base_score": 1.0, **more}
    offset = xgb.train(params, xgb.DMatrix(X, counts, base_margin=np.log(volume)), 15)
    expected = offset.predict(xgb.DMatrix(X, base_margin=np.zeros(len(X))))
    np.testing.assert_allclose(rate, expected, rtol=1e-4)
    if power != 1:
        plain = family.estimator(settings, 0).fit(X, counts / volume, sample_weight=volume).predict(X)
        assert np.abs(plain / expected - 1).max() > 0.02


@pytest.mark.parametrize(
    ("power", "family"),
    [(1.0, sm.families.Poisson()), (1.5, sm.families.Tweedie(sm.families.links.Log(), 1.5)), (2.0, sm.families.Gamma(sm.families.links.Log()))],
)  # fmt: skip
def test_the_glm_is_that_of_statsmodels_with_an_offset(power, family):
    X, counts, volume = rows(60)
    counts = counts + (power == 2)
    settings = glm.Settings(kind="glm", power=power, penalty=1e-9)
    weight = FAMILIES["glm"].weight(volume, settings)
    ours = FAMILIES["glm"].estimator(settings, 0).fit(X, counts / volume, sample_weight=weight).predict(X)
    design = sm.add_constant(np.hstack([X, X**2]).astype(float))
    theirs = sm.GLM(counts, design, family=family, offset=np.log(volume)).fit(maxiter=300, tol=1e-12)
    np.testing.assert_allclose(ours, theirs.predict(design, offset=np.zeros(len(X))), rtol=2e-4)


def test_the_glm_never_follows_its_parabola_outside_its_training():
    X, counts, _ = rows(60)
    model = glm.ClampedQuadratics().fit(X, counts)
    far = np.array([[50.0, X[:, 1].min()], [X[:, 0].max(), -80.0]])
    edge = np.array([[X[:, 0].max(), X[:, 1].min()]] * 2)
    np.testing.assert_allclose(model.predict(far), model.predict(edge))


def test_the_penalty_of_the_glm_is_that_of_scikit_learn():
    X, counts, volume = rows(60)
    z = (X - np.average(X, axis=0, weights=volume)) / np.sqrt(
        np.average((X - np.average(X, axis=0, weights=volume)) ** 2, axis=0, weights=volume)
    )
    mean = np.average(counts, weights=volume)
    terms = np.hstack([z, z * z])
    theirs = PoissonRegressor(alpha=0.3, tol=1e-9, max_iter=1000).fit(terms, counts / mean, sample_weight=volume)
    ours = glm.ClampedQuadratics(penalty=0.3).fit(X, counts, sample_weight=volume)
    np.testing.assert_allclose(ours.predict(X), mean * theirs.predict(terms), rtol=1e-3)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_saved_model_of_every_family_comes_back(kind, tmp_path):
    X, counts, volume = rows(80)
    family = FAMILIES[kind]
    settings = family.Settings(kind=kind)
    frame = pd.DataFrame(X, columns=["temperature", "salinity"])
    weights = family.weight(volume, settings)
    plan = MemberPlan([np.arange(0, 80, 2), np.arange(40)], settings, seed=3, centre=True)
    made = fit_members(frame, counts / volume, plan, weights=weights, progress=False)
    made.save(tmp_path / "one.zip")
    back = Ensemble.load(tmp_path / "one.zip")
    back.save(tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    np.testing.assert_array_equal(back.predict(frame), made.predict(frame))
    np.testing.assert_array_equal(back.centres(frame), made.centres(frame))
    assert back.predict(frame).shape == (2, 80) and back.centres(frame).shape == (1, 80)
    assert back.importances().shape == (2,) and back.importances().sum() == pytest.approx(1)
    assert back.importances()[0] > 0.5  # the counts follow the first predictor only
    expected = np.exp(1 + X[:, 0])
    assert np.corrcoef(np.log(back.centres(frame)[0]), np.log(expected))[0, 1] > 0.85
    with pytest.raises(UserError, match="fit again"):
        family.load(b"not a model")


@pytest.mark.parametrize("kind", FAMILIES)
def test_rows_that_lack_a_predictor_are_taken_or_refused(kind):
    X, counts, _ = rows(80)
    frame = pd.DataFrame(X, columns=["temperature", "salinity"])
    full = fit_members(frame, counts, MemberPlan([np.arange(80)], FAMILIES[kind].Settings(kind=kind)), progress=False)
    frame.loc[:4, "salinity"] = np.nan
    plan = MemberPlan([np.arange(80)], FAMILIES[kind].Settings(kind=kind))
    if FAMILIES[kind].accepts_nan:
        assert np.isfinite(fit_members(frame, counts, plan, progress=False).predict(frame)).all()
        return
    for call in (lambda: fit_members(frame, counts, plan, progress=False), lambda: full.predict(frame)):
        with pytest.raises(UserError, match=f"5 of 80 rows lack a predictor, most of them 'salinity'; family '{kind}'"):
            call()


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_unit_of_the_response_does_not_matter(kind):
    """A fit in ug is 1000 times that in mg."""
    X, counts, _ = rows(80)
    family, predictions = FAMILIES[kind], []
    for factor in (1.0, 1000.0):
        settings = family.settled(family.Settings(kind=kind), counts * factor)
        made = fit_members(X, counts * factor, MemberPlan([np.arange(80)], settings), progress=False)
        predictions.append(made.predict(X)[0] / factor)
    np.testing.assert_allclose(*predictions, rtol=2e-3)


@pytest.mark.parametrize(
    ("settings", "value", "message"),
    [
        (FAMILIES["boosting"].Settings(), -1.0, "row 7 is -1"),
        (FAMILIES["boosting"].Settings(objective="reg:gamma"), 0.0, "row 7 is 0"),
        (FAMILIES["forest"].Settings(kind="forest"), -1.0, "row 7 is -1; family 'forest'"),
        (FAMILIES["glm"].Settings(kind="glm", power=2.0), 0.0, "row 7 is 0; family 'glm'"),
        (FAMILIES["glm"].Settings(kind="glm"), np.nan, "row 7 is nan"),
    ],
)
def test_a_response_that_a_family_cannot_take_is_shown_with_its_row(settings, value, message):
    X, counts, _ = rows()
    counts = counts + 1.0
    counts[7] = value
    with pytest.raises(UserError, match=message):
        fit_members(X, counts, MemberPlan([np.arange(20, 30)], settings), progress=False)


def test_settings_are_checked():
    for kind, wrong in (
        ("boosting", {"tweedie_variance_power": 2.0}),
        ("forest", {"trees": 0}),
        ("glm", {"power": 3.0}),
    ):
        with pytest.raises(ValidationError):
            FAMILIES[kind].Settings(kind=kind, **wrong)
    with pytest.raises(UserError, match="family 'forrest' is unknown; allowed are"):
        Ensemble([Member("forrest", 0, None)], ["temperature"])


def test_members_of_two_families_stand_in_one_ensemble(tmp_path):
    X, counts, _ = rows(80)
    one, two = (
        fit_members(
            X, counts, MemberPlan([np.arange(80)], FAMILIES[kind].Settings(kind=kind), centre=True), progress=False
        )
        for kind in ("forest", "glm")
    )
    both = Ensemble(one.members + two.members, one.names, centres=one.centre_models | two.centre_models)
    both.save(tmp_path / "both.zip")
    back = Ensemble.load(tmp_path / "both.zip")
    np.testing.assert_array_equal(back.predict(X), np.vstack([one.predict(X), two.predict(X)]))
    np.testing.assert_array_equal(back.centres(X), np.vstack([one.centres(X), two.centres(X)]))
    np.testing.assert_allclose(back.importances(), (one.importances() + two.importances()) / 2)
