"""Counts corrected for a classifier's confusion: QuaPy's answers, exact inverses, simulated shifts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist import quantify
from aqqua_dist.errors import MethodWarning, UserError

CLASSES = ("a", "b", "c")
RATES = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.05, 0.25, 0.7]])
PROB = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.5, 0.4, 0.1]])


@pytest.mark.parametrize(("counts", "expected"), [([10, 60, 30], [0.01459851, 0.78102077, 0.20438072]), ([2, 80, 18], [0, 1, 0])])
def test_adjusted_counts_are_those_of_quapy(counts, expected):
    """QuaPy 0.2.3, ACC.solve_adjustment(rates.T, counts / 100, 'inversion', 'minimize')."""
    np.testing.assert_allclose(quantify.adjusted(counts, RATES), 100 * np.array(expected), atol=1e-3)


def test_em_is_that_of_quapy():
    """QuaPy 0.2.3, EMQ.EM([.3, .4, .3], prob, epsilon=1e-10)."""
    got = quantify.em(PROB, CLASSES, [0.3, 0.4, 0.3], tolerance=1e-12)
    np.testing.assert_allclose(got / 6, [0.865945242, 0.0, 0.134054758], atol=1e-8)


def test_real_predictions_agree_with_quapy(data_root):
    """400 of 1250 images in another mix; QuaPy 0.2.3 to four digits (its EM ends at a change of 1e-4)."""
    table = pd.read_csv(data_root / "predictions" / "uvp6_features_cv_probabilities.csv.gz")
    columns = [name for name in table if name.startswith("p_")]
    classes = tuple(name.removeprefix("p_") for name in columns)
    prob, true = table[columns].to_numpy(), table["taxon"].to_numpy()
    prob = prob / prob.sum(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(table))
    val, test = order[:625], order[625:]
    weights = rng.dirichlet(np.ones(len(classes)))
    place = np.array([classes.index(name) for name in true])
    pick = rng.choice(test, 400, p=weights[place[test]] / weights[place[test]].sum())
    top = np.array(classes, dtype=object)[prob.argmax(axis=1)]
    acc = quantify.adjusted(quantify.counted(top[pick], classes), quantify.confusion(true[val], top[val], classes).rates) / 400
    np.testing.assert_allclose(acc, [0.0882, 0.0648, 0.0663, 0.0272, 0.0319, 0.1233, 0.1863, 0.1247, 0.1626, 0.1247], atol=6e-5)
    pacc = quantify.adjusted(quantify.probabilistic(prob[pick], classes), quantify.confusion(true[val], prob[val], classes).rates) / 400
    np.testing.assert_allclose(pacc, [0.1003, 0.0742, 0.0809, 0.0027, 0.0334, 0.1183, 0.1839, 0.1284, 0.1653, 0.1125], atol=6e-5)
    em = quantify.em(prob[pick], classes, np.bincount(place[val]) / 625) / 400
    np.testing.assert_allclose(em, [0.0806, 0.0752, 0.0196, 0.212, 0.0206, 0.1347, 0.1782, 0.0059, 0.1727, 0.1005], atol=2e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.integers(1, 10**6))
def test_a_mix_that_is_seen_through_the_confusion_comes_back(weights, total):
    mix = np.array(weights) / sum(weights)
    np.testing.assert_allclose(quantify.adjusted(total * RATES.T @ mix, RATES), total * mix, rtol=1e-5, atol=1e-5 * total)


def test_confusion_counts_rows_of_the_truth():
    true, predicted = ["a", "a", "b", "c"], ["a", "b", "b", "b"]
    table = quantify.confusion(true, predicted, CLASSES)
    assert table.counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert table.rates.sum(axis=1).tolist() == [1, 1, 1]
    soft = quantify.confusion(["a", "b", "c"], PROB[:3], CLASSES)
    np.testing.assert_allclose(soft.rates, PROB[:3])


def test_counting_modes_by_hand():
    assert quantify.counted(["a", "c", "a"], CLASSES).tolist() == [2, 0, 1]
    counts, rest = quantify.thresholded(PROB, CLASSES, 0.6)
    assert (counts.tolist(), rest) == ([3, 0, 1], 2)  # the rest stays in the table
    counts, rest = quantify.thresholded(PROB, CLASSES, {"a": 0.75})
    assert (counts.tolist(), rest) == ([1, 1, 1], 3)
    np.testing.assert_allclose(quantify.probabilistic(PROB, CLASSES), PROB.sum(axis=0))
    half = quantify.probabilistic(PROB.astype("float16"), CLASSES)
    assert half.sum() == pytest.approx(6)
    assert quantify.combined([3, 0, 1], quantify.counted(["b"], CLASSES)).tolist() == [3, 1, 1]


def test_a_shift_of_the_mix_is_corrected_and_the_interval_holds_it():
    """Labels of a known confusion, a mix far from the validation's: plain counts are far off, members hold the truth."""
    rng = np.random.default_rng(5)
    mix, n, hit, plain = np.array([0.05, 0.15, 0.8]), 500, 0, []
    for _ in range(150):
        truth = np.repeat(np.arange(3), 200)
        table = quantify.confusion(np.array(CLASSES)[truth], np.array(CLASSES)[[rng.choice(3, p=RATES[k]) for k in truth]], CLASSES)
        seen = rng.poisson(n * mix @ RATES)
        draws = quantify.draw_adjusted(seen, table, rng, 200)
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        hit += (low <= n * mix) & (n * mix <= high)
        plain.append(seen - n * mix)
    assert np.mean(plain, axis=0)[2] < -80
    assert (hit / 150 > 0.88).all(), hit / 150


def test_draws_are_repeatable_and_spread_as_the_counts():
    table = quantify.confusion(np.repeat(CLASSES, 50), np.repeat(CLASSES, 50), CLASSES)
    one = quantify.draw_rates(table, np.random.default_rng(1), 4000)
    np.testing.assert_array_equal(one, quantify.draw_rates(table, np.random.default_rng(1), 4000))
    np.testing.assert_allclose(one.sum(axis=2), 1)
    assert one[:, 0, 0].mean() == pytest.approx(50.5 / 51.5, abs=1e-3)  # Dirichlet(50.5, 0.5, 0.5)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: quantify.probabilistic([[0.5, 0.4, 0.2]], CLASSES), "row 1: the probabilities add up to 1.1"), (lambda: quantify.probabilistic([[0.5, 0.5]], CLASSES), "one column per class"),
    (lambda: quantify.probabilistic([[np.nan, 0.5, 0.5]], CLASSES), "row 1, class 'a': nan"), (lambda: quantify.counted(["x"], CLASSES), "counted class 'x' is none"),
    (lambda: quantify.confusion(["a", "b"], ["a", "b"], CLASSES), "class 'c' has 0 labelled images"), (lambda: quantify.adjusted([1, -1, 1], RATES), "below 0"),
    (lambda: quantify.adjusted([1, 1], RATES), "rates of shape"), (lambda: quantify.em(PROB, CLASSES, [0, 0.5, 0.5]), "prior"), (lambda: quantify.combined([1], [1, 2]), "same classes"),
    (lambda: quantify.thresholded(PROB, CLASSES, {"x": 0.5}), "allowed are numbers"), (lambda: quantify.counted(["a"], ("a", "a")), "twice")])
def test_one_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_classes_that_cannot_be_told_apart_are_said():
    same = np.array([[0.5, 0.5], [0.5, 0.5]])
    with pytest.warns(MethodWarning, match="condition number"):
        quantify.adjusted([5, 5], same)
    assert quantify.adjusted([0, 0], np.eye(2)).tolist() == [0, 0]
