"""Which classes a fit uses and why it leaves others out; sums over samples that never take unknown for zero."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.classes import (
    ABOVE,
    BELOW,
    FEW,
    OPEN,
    UNDETECTED,
    UNKNOWN_NUMBER,
    UNKNOWN_VOLUME,
    Detection,
    choose,
    summed_over,
)

ALL = Detection(0, np.inf)


def counts(*rows):
    return pd.DataFrame(rows, columns=["esd_low", "esd_high", "n", "volume"])


def test_every_class_that_is_left_out_says_why():
    rows = counts(
        (64, 102, 900, 1),
        (102, 128, 500, 1),
        (128, 161, np.nan, 1),
        (161, 203, 80, np.nan),
        (203, 256, 30, 1),
        (256, 323, 2, 1),
        (5160, 6500, 1, 1),
        (26000, np.nan, 1, 1),
    )
    got = choose(rows, Detection(102, 5200, least_count=3))
    assert got.table["left_out"].tolist() == [BELOW, "", UNKNOWN_NUMBER, UNKNOWN_VOLUME, "", FEW, ABOVE, OPEN]
    low, high, n, volume = got.arrays()
    assert low.tolist() == [0.102, 0.203]
    assert high.tolist() == [0.128, 0.256]
    assert (n.tolist(), volume.tolist()) == ([500, 30], [1, 1])


def test_limits_hold_to_the_rounding_of_the_source():
    """101.6 µm written as 102: a limit of 102.3 keeps that class (0.3 %), one of 103 does not (1 %)."""
    rows = counts((102, 128, 5, 1), (128, 161, 5, 1))
    assert choose(rows, Detection(102.3, np.inf)).table["left_out"].tolist() == ["", ""]
    assert choose(rows, Detection(103, np.inf)).table["left_out"].tolist() == [BELOW, ""]
    assert choose(rows, Detection(0, 160.5)).table["left_out"].tolist() == ["", ""]


@pytest.mark.parametrize(
    "first, left_out",
    [(10, [UNDETECTED, UNDETECTED, "", "", ""]), (9, ["", "", "", "", ""])],
)
def test_zeros_below_the_smallest_particles_are_not_detected_rather_than_empty(first, left_out):
    rows = counts((102, 128, 0, 1), (128, 161, 0, 1), (161, 203, first, 1), (203, 256, 0, 1), (256, 323, 1, 1))
    assert choose(rows, ALL).table["left_out"].tolist() == left_out


@pytest.mark.parametrize(
    "row, said",
    [
        ((203, 256, -1.0, 1), "203-256 µm, column 'n': -1"),
        ((203, 256, np.inf, 1), "column 'n': inf"),
        ((203, 256, 1, 0.0), "column 'volume': 0"),
        ((256, 203, 1, 1), "column 'esd_high': 203"),
        ((0, 203, 1, 1), "column 'esd_low': 0"),
        ((130, 161, 1, 1), "128-161 µm and 130-161 µm overlap"),
        ((150, np.nan, 1, 1), "128-161 µm and >150 µm overlap"),
    ],
)
def test_wrong_classes_are_refused_with_their_value(row, said):
    with pytest.raises(UserError, match=said):
        choose(counts((128, 161, 3, 1), row), ALL)


@pytest.mark.parametrize("limits", [(200, 100), (100, 100), (-1, 100), (np.nan, 100), (0, np.nan)])
def test_detection_limits_ascend(limits):
    with pytest.raises(UserError, match="detection limits are"):
        Detection(*limits)


def test_the_least_count_is_a_number():
    with pytest.raises(UserError, match="least count of a size class is -1"):
        Detection(0, 1, least_count=-1)


def samples(*rows):
    return pd.DataFrame(rows, columns=["sample_id", "zone", "esd_low", "esd_high", "n", "volume"])


def test_numbers_and_volumes_of_a_zone_are_summed():
    """10 in 2 m3 and 0 in 6 m3 are 10 in 8 m3, not the mean of 5 and 0 per m3; the other zone stands apart."""
    got = summed_over(
        samples(("a", "top", 102, 128, 10, 2.0), ("b", "top", 102, 128, 0, 6.0), ("c", "deep", 102, 128, 3, 1.0)),
        ["zone"],
    )
    assert got[["zone", "n", "volume", "n_unknown"]].to_numpy().tolist() == [["top", 10, 8, 0], ["deep", 3, 1, 0]]


def test_what_is_unknown_in_a_sample_stands_in_neither_sum():
    table = samples(
        ("a", "top", 102, 128, 10, 2.0),
        ("b", "top", 102, 128, np.nan, 6.0),
        ("a", "top", 128, 161, 4, np.nan),
        ("b", "top", 128, 161, np.nan, 6.0),
    )
    got = summed_over(table, ["zone"])
    assert got["n"].iloc[0] == 10 and got["volume"].iloc[0] == 2
    assert got[["n", "volume"]].iloc[1].isna().all()
    assert got["n_unknown"].tolist() == [1, 2]
    assert choose(got, ALL).table["left_out"].tolist() == ["", UNKNOWN_NUMBER]


def test_samples_with_other_classes_are_refused():
    table = samples(("a", "top", 102, 128, 10, 2.0), ("a", "top", 128, 161, 1, 2.0), ("b", "top", 102, 128, 3, 6.0))
    with pytest.raises(UserError, match=r"128-161 µm stands in 1 samples of spectrum \['top'\]"):
        summed_over(table, ["zone"])


def test_a_missing_key_is_refused():
    with pytest.raises(UserError, match="'zone' is missing in 1 rows"):
        summed_over(samples(("a", None, 102, 128, 10, 2.0)), ["zone"])


def test_a_class_that_a_sample_has_twice_is_refused():
    with pytest.raises(UserError, match="sample 'a' has size class 102-128 µm in several rows of spectra .1 such"):
        summed_over(samples(("a", "top", 102, 128, 10, 2.0), ("a", "top", 102, 128, 10, 2.0)), ["zone"])


def test_zones_that_are_categories_make_no_empty_spectra():
    table = samples(("a", "top", 102, 128, 10, 2.0)).astype({"zone": pd.CategoricalDtype(["top", "deep"])})
    assert len(summed_over(table, ["zone"])) == 1
