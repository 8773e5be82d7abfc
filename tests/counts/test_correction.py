"""Counts corrected for a classifier's confusion: QuaPy's answers, exact inverses, brute-force twins, simulated shifts."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.counts import correction, counting_error
from aqqua_dist.counts.confusion import Confusion, check_probabilities, confusion

CLASSES = ("a", "b", "c")
RATES = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.05, 0.25, 0.7]])
PROB = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.5, 0.4, 0.1]])
SUMS = correction.summed(PROB, CLASSES, [0, 0, 1, 1, 1, 1], 3, {"a": 0.65})
RNG = np.random.default_rng(0)


# -- QuaPy 0.2.3; rates are its getPteCondEstim, transposed
@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([10, 60, 30], [0.01459851, 0.78102077, 0.20438072]),
        ([2, 80, 18], [0, 1, 0]),
        ([60, 25, 15], [0.72262774, 0.16058394, 0.11678832]),
    ],
)
def test_adjusted_counts_are_those_of_quapy(counts, expected):
    """ACC.solve_adjustment(rates.T, counts / 100, 'inversion', 'minimize'), the last one 'exact-raise'."""
    np.testing.assert_allclose(correction.adjusted(counts, RATES), 100 * np.array(expected), atol=2e-4)


def test_em_is_that_of_quapy():
    """EMQ.EM([.3, .4, .3], prob, epsilon=1e-10)."""
    got, record = correction.em(PROB, CLASSES, [0.3, 0.4, 0.3], tolerance=1e-12)
    np.testing.assert_allclose(got / 6, [0.865945242, 0.0, 0.134054758], atol=1e-8)
    assert record["change"] <= 1e-12 and record["rounds"] > 10


QUAPY = {
    "top1": [0.03681, 0.042945, 0.027607, 0.187117, 0.04908, 0.079755, 0.046012, 0.159509, 0.315951, 0.055215],
    "probabilistic": [
        0.039349,
        0.046585,
        0.033095,
        0.191893,
        0.05529,
        0.072309,
        0.043953,
        0.152458,
        0.307567,
        0.057501,
    ],
    "acc": [0.031137, 0.01342, 0.051426, 0.359736, 0.025668, 0.093375, 0.054778, 0.036839, 0.274036, 0.059584],
    "pacc": [0.030612, 0.022595, 0.019711, 0.364505, 0.028406, 0.068486, 0.045985, 0.053497, 0.313914, 0.052289],
    "em": [0.027185, 0.02911, 0.0, 0.204801, 0.039628, 0.062553, 0.037205, 0.184756, 0.368389, 0.046372],
}


def test_real_predictions_agree_with_quapy(data_root):
    """Even rows are the validation table; the sample is every eighth row and all other odd ones of two classes.

    QuaPy: counts and means, ACC and PACC by getPteCondEstim and solve_adjustment ('inversion', 'minimize'), EMQ.EM(epsilon=1e-10).
    """
    data = pd.read_csv(data_root / "predictions" / "uvp6_features_cv_probabilities.csv.gz")
    columns = [name for name in data if name.startswith("p_")]
    classes, row = tuple(name.removeprefix("p_") for name in columns), np.arange(len(data))
    prob, true, val = data[columns].to_numpy(), data["taxon"].to_numpy(), row % 2 == 0
    pick = ~val & ((row % 8 == 1) | np.isin(true, ["Copepoda", "detritus"]))
    top = np.array(classes, dtype=object)[prob.argmax(axis=1)]
    sums = correction.summed(prob[pick], classes, np.zeros(pick.sum(), dtype=int), 1)
    tables = {"acc": confusion(true[val], top[val], classes), "pacc": confusion(true[val], prob[val], classes)}
    for method in ("top1", "probabilistic", "acc", "pacc"):
        counts, left = correction.estimate(sums, method, tables.get(method))
        assert counts.sum() == pytest.approx(326) and left.tolist() == [0]
        np.testing.assert_allclose(counts[0] / 326, QUAPY[method], atol=1e-5)
    em = correction.em(prob[pick], classes, tables["acc"].counts.sum(axis=1), tolerance=1e-10)[0]
    np.testing.assert_allclose(em / 326, QUAPY["em"], atol=1e-6)


# -- adjusted
@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.integers(1, 10**6))
def test_a_mix_that_is_seen_through_the_confusion_comes_back(weights, total):
    mix = np.array(weights) / sum(weights)
    np.testing.assert_allclose(correction.adjusted(total * RATES.T @ mix, RATES), total * mix, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_no_mix_is_nearer(size, seed):
    """Karush-Kuhn-Tucker: on the simplex the slope is the same for all classes that are there, and no lower for the others."""
    rng = np.random.default_rng(seed)
    rates = 0.6 * np.eye(size) + 0.4 * rng.dirichlet(np.full(size, 0.5), size)
    seen = rng.dirichlet(np.full(size, 0.3))
    mix = correction.adjusted(seen, rates)
    assert mix.min() >= 0 and mix.sum() == pytest.approx(1)
    slope = rates @ (rates.T @ mix - seen)
    there = mix > 1e-9
    assert np.ptp(slope[there]) < 1e-5 and (slope >= slope[there].mean() - 1e-5).all()


def test_samples_and_members_at_once_are_those_one_by_one():
    rng = np.random.default_rng(1)
    counts, rates = rng.poisson(8, (4, 5, 3)), rng.dirichlet([5, 1, 1], (4, 3))
    rates = np.array([[np.roll(row, k) for k, row in enumerate(one)] for one in rates])
    together = correction.adjusted(counts, rates)
    assert together.shape == counts.shape
    for member in range(4):
        np.testing.assert_allclose(together[member], correction.adjusted(counts[member], rates[member]))
        for sample in range(5):
            np.testing.assert_allclose(
                together[member, sample], correction.adjusted(counts[member, sample], rates[member])
            )
    np.testing.assert_allclose(together.sum(axis=2), counts.sum(axis=2))
    assert correction.adjusted([[0, 0, 0], [0, 5, 0]], np.eye(3)).tolist() == [[0, 0, 0], [0, 5, 0]]


def test_classes_that_cannot_be_told_apart_are_named():
    same = np.array([[0.8, 0.1, 0.1], [0.1, 0.45, 0.45], [0.1, 0.45, 0.45]])
    with pytest.warns(MethodWarning, match=r"condition number of .*does not tell \['b', 'c'\] apart"):
        got = correction.adjusted([8, 1, 1], same, CLASSES)
    assert got[0] == pytest.approx(10) and got.sum() == pytest.approx(10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        correction.adjusted([8, 1, 1], RATES, CLASSES)


# -- em
def test_em_raises_the_likelihood_and_ends_where_it_is_flat():
    rng = np.random.default_rng(2)
    prob, prior = rng.dirichlet([0.4, 0.6, 0.8], 300), np.array([0.2, 0.3, 0.5])
    mix = correction.em(prob, CLASSES, prior, tolerance=1e-12)[0] / 300
    slope = (prob / prior / (prob @ (mix / prior))[:, None]).mean(
        axis=0
    )  # of the log-likelihood; 1 for all classes that are there
    there = mix > 1e-6
    np.testing.assert_allclose(slope[there], 1, atol=1e-6)
    assert (slope[~there] < 1 + 1e-6).all()


def test_em_of_chunks_histograms_and_sets():
    once = correction.em(PROB, CLASSES, [1, 2, 1])[0]
    np.testing.assert_allclose(correction.em([PROB[:2], PROB[2:], PROB[:0]], CLASSES, [1, 2, 1])[0], once, rtol=1e-9)
    weight = np.array([[1, 1, 1, 1, 1, 1], [3, 0, 2, 5, 0, 1], [0, 0, 0, 0, 0, 0]])
    sets = correction.em(PROB, CLASSES, [1, 2, 1], weight, tolerance=1e-9)[0]
    np.testing.assert_allclose(sets[0], once, atol=1e-3)
    np.testing.assert_allclose(
        sets[1], correction.em(np.repeat(PROB, weight[1], axis=0), CLASSES, [1, 2, 1], tolerance=1e-9)[0], atol=1e-6
    )
    assert sets[2].tolist() == [0, 0, 0]
    with pytest.warns(MethodWarning, match="still changed by .* after 2 iterations"):
        assert correction.em(PROB, CLASSES, [1, 2, 1], rounds=2)[1]["rounds"] == 2


def test_em_of_certain_labels_counts_them():
    counts = correction.em(np.eye(3)[[0, 0, 2, 1, 0]], CLASSES, [1, 1, 1])[0]
    np.testing.assert_allclose(counts, [3, 1, 1])


# -- counting
def test_sums_by_hand():
    assert SUMS.top.tolist() == [[2, 0, 0], [2, 1, 1], [0, 0, 0]]
    assert SUMS.kept.tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]
    np.testing.assert_allclose(SUMS.prob, [[1.3, 0.5, 0.2], [1.6, 1.2, 1.2], [0, 0, 0]])
    for method, left in (
        ("validated", [2, 4, 0]),
        ("top1", [0, 0, 0]),
        ("thresholded", [1, 1, 0]),
        ("probabilistic", [0, 0, 0]),
    ):
        counts, remainder = correction.estimate(SUMS, method)
        assert remainder.tolist() == left
        np.testing.assert_allclose(counts.sum(axis=1) + remainder, [2, 4, 0])  # no object is lost
    assert correction.summed(PROB, CLASSES, [0] * 6, 1, 0.65).kept.tolist() == [[2, 0, 1]]


def test_parts_of_the_objects_add_up():
    parts = [
        correction.summed(PROB[rows], CLASSES, np.array([0, 0, 1, 1, 1, 1])[rows], 3, {"a": 0.65})
        for rows in (slice(3, 6), slice(0, 3), slice(0, 0))
    ]
    added = parts[0] + (parts[1] + parts[2])
    for name in ("top", "kept", "prob"):
        np.testing.assert_allclose(getattr(added, name), getattr(SUMS, name), rtol=1e-15)
    with pytest.raises(UserError, match="needed are the same, in the same order"):
        parts[0] + correction.summed(PROB, ("b", "a", "c"), [0] * 6, 3)


def test_half_precision_is_scaled_and_recorded():
    prob = np.random.default_rng(6).dirichlet(np.ones(3), 500)
    half = correction.summed(prob.astype("float16"), CLASSES, np.zeros(500, dtype=int), 1)
    off = np.abs(prob.astype("float16").astype(float).sum(axis=1) - 1)
    assert (half.repaired, half.largest) == ((off > 1e-6).sum(), off.max()) and half.repaired > 100
    assert half.prob.sum() == pytest.approx(500, abs=1e-9)
    assert (half + half).repaired == 2 * half.repaired and (half + half).largest == half.largest
    assert SUMS.repaired == 0


def test_confusion_counts_rows_of_the_truth():
    table = confusion(["a", "a", "b", "c"], ["a", "b", "b", "b"], CLASSES)
    assert table.counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]] and table.kind == "labels"
    assert table.shares.tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 1, 0]]
    soft = confusion(["a", "b", "c", "a"], PROB[:4], CLASSES)
    np.testing.assert_allclose(soft.shares, [(PROB[0] + PROB[3]) / 2, PROB[1], PROB[2]])


# -- samples that humans counted in part
def test_validated_objects_are_counted_once_and_never_corrected():
    status = np.array(["validated", "predicted", "dubious", "unclassified", "validated", "dubious"])
    label = np.array(["a", "b", "c", "b", "krill", "a"])
    for dubious, expected in (
        ("predicted", [0, 1, 1, 1, 0, 1]),
        ("validated", [0, 1, 0, 1, 0, 0]),
        ("unclassified", [0, 1, 2, 1, 0, 2]),
    ):
        who = correction.who_counts(status, dubious)
        assert who.tolist() == expected
        human = pd.DataFrame({"sample_id": "s1", "taxon": label[who == 0], "n": 1})
        sums = correction.summed(PROB[who == 1], CLASSES, np.ones((who == 1).sum(), dtype=int), 2)
        counts, left = correction.estimate(sums, "probabilistic")
        table = counting_error.combined(["s0", "s1"], CLASSES, counts, left + np.array([0, (who == 2).sum()]), human)
        assert table["n"].sum() == pytest.approx(6) and set(table["sample_id"]) == {"s1"}
        found = table.set_index("taxon")
        assert found.loc["krill", ["n", "n_validated"]].tolist() == [1, 1]  # a class that the model does not know
        assert found.loc["a", "n"] == pytest.approx((label[who == 0] == "a").sum() + PROB[who == 1, 0].sum())
        assert found["n_validated"].sum() == (who == 0).sum()
        assert found["n"].get("unclassified", 0) == (who == 2).sum()


# -- members
def test_rows_of_the_confusion_are_drawn_from_their_dirichlet():
    counts = np.array([[40, 9, 1], [0, 5, 0], [2, 2, 2]])
    draws = counting_error.draw_shares(counts, np.random.default_rng(1), 20_000)
    np.testing.assert_array_equal(draws[:3], counting_error.draw_shares(counts, np.random.default_rng(1), 20_000)[:3])
    np.testing.assert_allclose(draws.sum(axis=2), 1)
    for row, column in ((0, 0), (1, 1), (2, 0)):  # shares of a Dirichlet are beta-distributed
        one, rest = counts[row, column] + 1 / 3, counts[row].sum() + 1
        expected = beta(one, rest - one)
        assert draws[:, row, column].mean() == pytest.approx(expected.mean(), abs=4e-3)
        assert draws[:, row, column].std() == pytest.approx(expected.std(), rel=0.03)


def test_a_shift_of_the_mix_is_corrected_and_the_interval_holds_it():
    """Labels of a known confusion, a mix far from the validation's: plain counts are far off, members hold the truth."""
    rng = np.random.default_rng(5)
    mix, n, hit, plain = np.array([0.05, 0.15, 0.8]), 500, 0, []
    for _ in range(200):
        table = np.array([rng.multinomial(200, row) for row in RATES])
        seen = rng.poisson(n * mix @ RATES)
        draws = correction.adjusted(
            counting_error.draw_counts([seen], rng, 200), counting_error.draw_shares(table, rng, 200)
        )[:, 0]
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        hit += (low <= n * mix) & (n * mix <= high)
        plain.append(seen - n * mix)
    assert np.mean(plain, axis=0)[2] < -80
    assert (hit / 200 > 0.9).all(), hit / 200


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_probabilities([[0.3, 0.3, 0.4], [0.5, 0.4, 0.2]], CLASSES), "row 2: they add up to 1.1"),
        (lambda: check_probabilities([[0.5, 0.5]], CLASSES), "one column per class"),
        (
            lambda: check_probabilities(PROB, CLASSES, columns=["b", "a", "c"]),
            r"columns are of the classes \['b', 'a', 'c'\]",
        ),
        (lambda: check_probabilities([[np.nan, 0.5, 0.5]], CLASSES), "row 1, class 'a': nan"),
        (lambda: check_probabilities([[1.5, -0.5, 0]], CLASSES), "row 1, class 'a': 1.5 is outside"),
        (lambda: correction.summed(PROB, CLASSES, [0, 0, 0, 0, 0, 3], 3), "whole numbers from 0 to 2"),
        (lambda: correction.summed(PROB, CLASSES, [0, 1], 3), "for 6 objects"),
        (lambda: correction.summed(PROB, CLASSES, [0.0] * 6, 3), "whole numbers"),
        (lambda: correction.summed(PROB, CLASSES, [0] * 6, 1, {"x": 0.5}), "allowed are numbers"),
        (lambda: correction.summed(PROB, CLASSES, [0] * 6, 1, 2), "allowed are numbers"),
        (lambda: confusion(["a", "b"], ["a", "b"], CLASSES), "class 'c' has 0 labelled images"),
        (lambda: confusion(["a", "x"], ["a", "b"], CLASSES), "row 2: true class 'x'"),
        (lambda: confusion(["a", "b"], ["a"], CLASSES), "1 predictions for 2 true classes"),
        (lambda: confusion(["a"], ["a"], ("a", "a")), "twice"),
        (lambda: correction.estimate(SUMS, "median"), "method 'median' of counting is unknown"),
        (lambda: correction.estimate(SUMS, "acc"), "given is None"),
        (
            lambda: correction.estimate(SUMS, "acc", Confusion(CLASSES, RATES, "probabilities")),
            "needs a confusion from labels .* one from probabilities",
        ),
        (
            lambda: correction.estimate(SUMS, "pacc", Confusion(("b", "a", "c"), RATES, "probabilities")),
            r"\['b', 'a', 'c'\]",
        ),
        (lambda: correction.adjusted([[1, 1, 1], [1, -1, 1]], RATES), "row 2 hold a number below 0"),
        (lambda: correction.adjusted([1, 1], RATES), "rates of shape"),
        (lambda: correction.adjusted([1, 1, 1], 2 * RATES), "rows add up to 1"),
        (lambda: correction.em(PROB, CLASSES, [0, 0.5, 0.5]), "prior"),
        (lambda: correction.em(PROB, CLASSES, [1, 1, 1], [1, 2]), "weights of shape"),
        (lambda: correction.em(PROB, CLASSES, [1, 1, 1], [1, 1, 1, 1, 1, -1]), "0 or more"),
        (lambda: correction.who_counts(["validated", "V"]), "row 2: status 'V' is none of"),
        (lambda: correction.who_counts([], "dropped"), "dubious objects as 'dropped'"),
        (lambda: counting_error.combined(["s"], CLASSES, np.zeros((1, 2)), [0]), "for 1 samples and 3 classes"),
        (
            lambda: counting_error.combined(
                ["s"], CLASSES, np.zeros((1, 3)), [0], pd.DataFrame({"sample_id": ["t"], "taxon": ["a"], "n": [1]})
            ),
            "validated sample 't'",
        ),
        (lambda: counting_error.draw_shares([[1, -1]], RNG), "count -1"),
        (lambda: counting_error.draw_shares([[1, 1]], RNG, prior=0), "prior 0 of the draws of shares"),
    ],
)
def test_one_sentence(call, message):
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_rows_of_probabilities_may_be_lists():
    """A list of rows was taken for a list of chunks and refused with another reason."""
    rows = [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    wanted, _ = correction.em(np.array(rows), ["a", "b"], [0.5, 0.5])
    for given_rows in (rows, [np.array(row) for row in rows], [np.array(rows[:1]), np.array(rows[1:])]):
        np.testing.assert_allclose(correction.em(given_rows, ["a", "b"], [0.5, 0.5])[0], wanted)
    np.testing.assert_allclose(wanted, [1.0, 2.0])


@pytest.mark.parametrize(("counts", "rates"), [([], []), ([], np.ones((0, 0))), (np.ones((3, 0)), np.ones((0, 0)))])
def test_counts_of_no_class_are_refused(counts, rates):
    with pytest.raises(UserError, match="rates of shape"):
        correction.adjusted(counts, rates)
