"""Novelty of samples: the closed leave-one-out scores against refits, calibration, a new kind of sample."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf, ledoit_wolf_shrinkage

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance
from aqqua_dist.embeddings.novelty import SampleNovelty, fit_novelty


def means(n, d=6, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((n, d)) @ np.diag(np.linspace(3, 0.3, d)) + 10


def test_score_is_the_mahalanobis_distance_of_scikit_learn():
    model = LedoitWolf().fit(means(40))
    found, _ = fit_novelty(means(40)).score(means(15, seed=1))
    np.testing.assert_allclose(found, np.sqrt(model.mahalanobis(means(15, seed=1))), rtol=1e-9)


@pytest.mark.parametrize(("n", "d"), [(30, 6), (12, 40), (400, 6)])
def test_leave_one_out_scores_are_those_of_refits(n, d):
    values = means(n, d)
    away = values - values.mean(axis=0)
    shrinkage, target = ledoit_wolf_shrinkage(away, assume_centered=True), (away**2).mean()
    assert 0 < shrinkage < 1
    scores = []
    for row in range(n):
        kept = np.delete(values, row, axis=0)
        covariance = (1 - shrinkage) * np.cov(kept, rowvar=False, ddof=0) + shrinkage * target * np.eye(d)
        step = values[row] - kept.mean(axis=0)
        scores.append(np.sqrt(step @ np.linalg.solve(covariance, step)))
    np.testing.assert_allclose(fit_novelty(values).scores, np.sort(scores), rtol=1e-8)


def test_quantiles_are_uniform_for_samples_of_the_same_kind_and_high_for_others():
    model = fit_novelty(means(300))
    _, quantile = model.score(means(2000, seed=3))
    np.testing.assert_allclose(np.quantile(quantile, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.07)
    score, quantile = model.score(np.array([[10.0] * 6, [10, 10, 10, 10, 10, 16], [np.nan] * 6]))
    assert quantile[0] < 0.01 and quantile[1] == 300 / 301 and np.isnan(score[2]) and np.isnan(quantile[2])


def test_a_direction_that_training_never_took_is_new():
    values = means(50)
    values[:, 2] = 1.0
    new = values[:1].copy()
    new[0, 2] = 5.0
    model = fit_novelty(values)
    assert np.isfinite(model.scores).all() and model.score(new)[1][0] == 50 / 51 and model.score(values[:1])[1][0] < 1


def test_the_file_keeps_the_version(tmp_path):
    model = fit_novelty(means(20))
    model.save(tmp_path / "novelty.nc", Provenance("study", "stage", "key"))
    again = SampleNovelty.load(tmp_path / "novelty.nc")
    assert again.version == model.version
    np.testing.assert_array_equal(again.score(means(5, seed=2)), model.score(means(5, seed=2)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (means(2), "there are 2 samples"),
        (np.ones((5, 3)), "the 5 samples do not differ"),
        (np.where(np.arange(30).reshape(5, 6) == 14, np.nan, 1.0), r"row 2 is not finite \(1 such rows\)"),
        (np.ones(5), "shape .5,."),
    ],
)
def test_what_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        fit_novelty(values)
    with pytest.raises(UserError, match="5 dimensions, needed are 6"):
        fit_novelty(means(9)).score(np.ones((1, 5)))
