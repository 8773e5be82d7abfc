"""Splits and folds by strata, counted by hand."""

import numpy as np
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.habitat_models.resampling import stratified_folds, stratified_split

STRATA = np.repeat([0, 1, 2], [20, 7, 3])


@pytest.mark.parametrize(("share", "expected"), [(0.2, [4, 1, 1]), (0.5, [10, 4, 2]), (0.04, [1, 0, 0])])
def test_every_stratum_gives_its_share_of_test_rows(share, expected):
    train, test = stratified_split(STRATA, share, seed=4)
    assert np.bincount(STRATA[test], minlength=3).tolist() == expected
    assert sorted([*train, *test]) == list(range(30))
    assert train.tolist() == sorted(train) and test.tolist() == sorted(test)


def test_a_split_takes_a_fifth_unless_told_and_depends_on_the_seed():
    tests = [tuple(stratified_split(STRATA, seed=seed)[1]) for seed in range(8)]
    assert {len(one) for one in tests} == {6} and len(set(tests)) > 5
    assert tests[3] == tuple(stratified_split(STRATA, 0.2, 3)[1])
    np.testing.assert_array_equal(stratified_split(STRATA)[1], tests[0])


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0.0, "0.0; allowed is above 0"),
        (1.0, "1.0; allowed"),
        (0.01, "gives 0 test rows"),
        (0.99, "gives 30 test rows"),
    ],
)
def test_a_split_without_rows_on_one_side_is_refused(share, message):
    with pytest.raises(UserError, match=message):
        stratified_split(STRATA, share)


def test_folds_tell_every_row_once_per_repeat_and_share_the_strata_out():
    pairs = stratified_folds(STRATA, 5, 3, seed=2)
    assert len(pairs) == 15
    for start in (0, 5, 10):
        np.testing.assert_array_equal(
            np.sort(np.concatenate([test for _, test in pairs[start : start + 5]])), range(30)
        )
    for train, test in pairs:
        assert len(test) == 6 and sorted([*train, *test]) == list(range(30))
        counts = np.bincount(STRATA[test], minlength=3)
        assert counts[0] == 4 and counts[1] in (1, 2) and counts[2] in (0, 1)
        assert test.tolist() == sorted(test) and train.tolist() == sorted(train)
    assert len({tuple(test) for _, test in pairs}) == 15  # dealt out anew


def test_folds_begin_at_any_fold_and_rows_of_a_stratum_are_dealt_at_random():
    """With 7 rows in 3 folds one fold has 3: each of them, over many seeds; so has each row each fold."""
    folds, largest = np.zeros((7, 3)), set()
    for seed in range(60):
        tests = [test for _, test in stratified_folds(np.zeros(7), 3, 1, seed)]
        largest.add(int(np.argmax([len(test) for test in tests])))
        for k, test in enumerate(tests):
            folds[test, k] += 1
    assert largest == {0, 1, 2}
    assert folds.min() > 5  # 20 expected, sd 3.7


def test_the_defaults_are_those_of_the_published_method():
    assert len(stratified_folds(STRATA)) == 100
    for (_, one), (_, other) in zip(stratified_folds(STRATA), stratified_folds(STRATA, 5, 20, seed=0), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("folds", "rows"), [(1, 30), (31, 30), (3, 2)])
def test_an_impossible_number_of_folds_is_refused(folds, rows):
    with pytest.raises(UserError, match=f"n_folds: {folds}; allowed is 2 to {rows}"):
        stratified_folds(np.zeros(rows), folds)


def test_two_folds_and_as_many_folds_as_rows_are_possible():
    assert len(stratified_folds(np.zeros(3), 2, 1)) == 2
    assert [len(test) for _, test in stratified_folds(np.zeros(3), 3, 1)] == [1, 1, 1]
