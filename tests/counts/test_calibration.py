"""Which mix the probabilities of a model are calibrated on: the told case, exact posteriors, and what chance allows."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.counts import correction
from aqqua_dist.counts.calibration import calibration, checked_prior
from aqqua_dist.counts.confusion import Confusion, Validated, read_validation

NAMES = tuple("abcdefgh")
FIELD = np.array([2450, 3766, 350, 2694, 5451, 4225, 96, 968]) / 20_000


def images(random, n, mix, prior):
    """Eight Gaussian classes one unit apart, with their exact posteriors under a prior."""
    true = random.choice(8, n, p=mix)
    like = norm.pdf((true + random.standard_normal(n) * 0.7)[:, None], np.arange(8), 0.7) * prior
    return true, like / like.sum(axis=1, keepdims=True)


def table(path, true, prob):
    frame = pd.DataFrame(prob, columns=[f"p_{name}" for name in NAMES]).assign(taxon=np.array(NAMES)[true])
    frame.to_csv(path, index=False)
    return read_validation(path, NAMES)


UNIFORM = np.full(8, 1 / 8)


@pytest.fixture
def told(tmp_path):
    """Exact posteriors under a uniform prior; the validation table is a random sample of the field."""
    random = np.random.default_rng(3)
    validated = table(tmp_path / "v.csv", *images(random, 6000, FIELD, UNIFORM))
    return validated, images(random, 20_000, FIELD, UNIFORM)


def test_the_mix_of_the_table_is_refused_where_the_model_was_calibrated_on_another(told):
    validated, (true, prob) = told
    wrong, _ = correction.em(prob, NAMES, validated.mix)
    assert np.abs(wrong - np.bincount(true)).max() > 1500  # what was given without a word
    with pytest.raises(UserError, match="not calibrated on the mix 'field'.*give --prior uniform"):
        checked_prior(validated)
    right, _ = correction.em(prob, NAMES, checked_prior(validated, "uniform"))
    np.testing.assert_allclose(right, np.bincount(true), atol=400)


def test_the_mix_of_the_table_is_taken_where_the_model_was_calibrated_on_it(tmp_path):
    random = np.random.default_rng(4)
    validated = table(tmp_path / "v.csv", *images(random, 6000, FIELD, FIELD))
    np.testing.assert_array_equal(checked_prior(validated), validated.mix)
    with pytest.raises(UserError, match="mix 'uniform'.*give --prior field"):
        checked_prior(validated, "uniform")


def test_a_file_of_shares(told, tmp_path):
    validated, _ = told
    path = tmp_path / "mix.csv"
    pd.DataFrame({"class": NAMES[::-1], "share": 0.125}).to_csv(path, index=False)
    np.testing.assert_allclose(checked_prior(validated, path), UNIFORM)
    for change, message in (
        ({"share": 0.2}, "they give 1.6"),
        ({"class": "a"}, "do not stand once"),
        ({"share": "much"}, "must be above 0"),
    ):
        pd.DataFrame({"class": NAMES, "share": 0.125}).assign(**change).to_csv(path, index=False)
        with pytest.raises(UserError, match=message):
            checked_prior(validated, path)
    with pytest.raises(UserError, match="prior 'feild' is none of"):
        checked_prior(validated, "feild")


def test_the_tolerance_is_the_sampling_error_of_the_table(tmp_path):
    """Tables of 400 images of calibrated models: the deviation in units of its error is that of a normal number."""
    random, scores = np.random.default_rng(5), []
    for _ in range(60):
        found = calibration(table(tmp_path / "v.csv", *images(random, 400, UNIFORM, UNIFORM)), UNIFORM)
        scores.append((found.mean - found.prior) / found.error)
    assert np.std(scores) < 1.15  # shares fixed by weighting: at most the error of a random sample
    skewed = [
        calibration(table(tmp_path / "v.csv", *images(random, 400, FIELD * 0.9 + 0.0125, UNIFORM)), UNIFORM)
        for _ in range(60)
    ]
    assert sum(found.refused for found in skewed) <= 2


def test_an_overconfident_model_fits_no_mix(tmp_path):
    true, prob = images(np.random.default_rng(6), 6000, FIELD, FIELD)
    sharp = prob**3 * np.linspace(0.5, 2, 8)
    validated = table(tmp_path / "v.csv", true, sharp / sharp.sum(axis=1, keepdims=True))
    with pytest.raises(UserError, match="--prior FILE, calibrate the model, or count with 'pacc'"):
        checked_prior(validated)


def test_a_small_fault_that_is_no_chance_is_told():
    """Means of (0.9, 0.1) and (0.2, 0.8) over a mix of halves are 0.55 and 0.45: 10 % off, of ten thousand images each."""
    rates = np.array([[0.9, 0.1], [0.2, 0.8]])
    labels = Confusion(("a", "b"), np.eye(2) * 1e4, "labels")
    validated = Validated(labels, Confusion(("a", "b"), rates * 1e4, "probabilities"), rates**2 * 1e4)
    found = calibration(validated, [0.5, 0.5])
    np.testing.assert_allclose(found.mean, [0.55, 0.45])
    residual = np.repeat([0.9 - 1, 0.2], 10_000)  # of class a, by image
    np.testing.assert_allclose(found.error, residual.std() / np.sqrt(20_000))
    with pytest.warns(MethodWarning, match="not quite calibrated.*0.55 where its share is 0.5"):
        checked_prior(validated)
    np.testing.assert_allclose(calibration(validated, [2 / 3, 1 / 3]).mean, [2 / 3, 1 / 3])  # 2/3 0.9 + 1/3 0.2


def test_labels_alone_test_nothing_and_say_so(tmp_path):
    pd.DataFrame({"true": list("abab"), "predicted": list("abba")}).to_csv(tmp_path / "v.csv", index=False)
    with pytest.warns(MethodWarning, match="nobody has tested"):
        checked_prior(read_validation(tmp_path / "v.csv"))
