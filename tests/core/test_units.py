"""Units: CF spellings in, numbers in the unit asked for out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.units import SPELLINGS, convert
from aqqua_dist.core.vocabulary import quantities

PLACE = "survey.csv, column 'y'"
SAME_DIMENSION = [
    ("mg m-3", "g m-3"),
    ("mg m-3", "kg L-1"),
    ("mm3 m-3", "um3 L-1"),
    ("umol kg-1", "mol kg-1"),
    ("degree_Celsius", "K"),
    ("km", "m"),
    ("m3", "L"),
    ("m-3", "L-1"),
    ("Pg", "kg"),
    ("W m-2", "kW m-2"),
    ("m s-1", "km h-1"),
]


@pytest.mark.parametrize(
    ("value", "source", "goal", "expected"),
    [
        (1.0, "g m-3", "mg m-3", 1000.0),
        (2.0, "L-1", "m-3", 2000.0),
        (1.0, "ug L-1", "mg m-3", 1.0),
        (273.15, "K", "degree_Celsius", 0.0),
        (20.0, "degC", "degree_Celsius", 20.0),
        (5.0, "km", "m", 5000.0),
        (1.0, "L", "m3", 0.001),
        (3.0, "nmol kg-1", "umol kg-1", 0.003),
        (4.0, "µmol kg-1", "umol kg-1", 4.0),
        (1.0, "mm^3/m^3", "mm3 m-3", 1.0),
        (7.0, "1", "", 7.0),
        (50.0, "percent", "1", 0.5),
    ],
)
def test_known_values(value, source, goal, expected):
    assert float(convert(np.array(value), source, goal, place=PLACE)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("source", "goal", "expected"),
    [
        ("mg C m-3", "mg m-3", 1),
        ("mgC m-3", "mg m-3", 1),
        ("mg C/m3", "mg m-3", 1),
        ("mgC/m³", "mg m-3", 1),
        ("ug C L-1", "mg m-3", 1),
        ("\u00b5g C L-1", "mg m-3", 1),
        ("\u03bcg C L\u207b\u00b9", "mg m-3", 1),
        ("mmol C m-3", "mg m-3", 12.011),
        ("µmol C L-1", "mg m-3", 12.011),
        ("mol C", "Pg C", 12.011e-15),
        ("mmol Si m-3", "mg m-3", 28.0855),
        ("ind m-3", "m-3", 1),
        ("ind. per m3", "m-3", 1),
        ("ind/m3", "m-3", 1),
        ("ind L-1", "m-3", 1e3),
        ("# m-3", "m-3", 1),
        ("#/L", "m-3", 1e3),
        ("individuals m-3", "m-3", 1),
        ("cells L-1", "m-3", 1e3),
        ("cells/mL", "m-3", 1e6),
        ("mm3 L-1", "mm3 m-3", 1e3),
        ("um3 mL-1", "mm3 m-3", 1e-3),
        ("ppm", "mm3 m-3", 1e3),
        ("m^-3", "m-3", 1),
        ("m^{-3}", "m-3", 1),
        ("m⁻³", "m-3", 1),
        ("Tg C", "Pg C", 1e-3),
        ("Gt C", "Pg C", 1),
        ("PgC", "Pg C", 1),
        ("Tg", "Pg C", 1e-3),
        ("deg C", "K", 274.15),
        ("°C", "K", 274.15),
    ],
)
def test_spellings_of_the_field(source, goal, expected):
    assert float(convert(1.0, source, goal, place=PLACE)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_that_is_offered_is_read(spelling):
    assert float(convert(1.0, spelling, spelling, place=PLACE)) == 1.0


def test_another_element_is_refused():
    with pytest.raises(UserError, match="'mmol Si m-3' is of Si, needed is 'mg m-3' of C"):
        convert([1.0], "mmol Si m-3", "mg m-3", place=PLACE, element="C")


def test_an_amount_of_nothing_named_is_refused_with_a_hint():
    with pytest.raises(UserError, match="'mmol m-3' cannot become 'mg m-3'.*for example 'mmol C m-3'"):
        convert([1.0], "mmol m-3", "mg m-3", place=PLACE, element="C")


@pytest.mark.parametrize(("source", "goal"), [("ind", "mm3 m-3"), ("px", "um"), ("C m-3", "m-3"), ("N m-3", "m-3")])
def test_what_only_looks_like_the_dimension_is_refused(source, goal):
    with pytest.raises(UserError, match="cannot become"):
        convert([1.0], source, goal, place=PLACE)


def test_an_unknown_unit_gets_near_spellings():
    with pytest.raises(UserError, match=r"'mg Cm-3' is not understood \(did you mean .*'mg C m-3'"):
        convert([1.0], "mg Cm-3", "mg m-3", place=PLACE)


@given(
    values=st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=20),
    pair=st.sampled_from(SAME_DIMENSION),
)
def test_round_trip(values, pair):
    there = convert(np.array(values), *pair, place=PLACE)
    back = convert(there, *pair[::-1], place=PLACE)
    np.testing.assert_allclose(back, values, rtol=1e-9, atol=1e-9)


def test_series_keeps_its_index_and_its_missing_values():
    given_values = pd.Series([1.0, np.nan, 3.0], index=[4, 2, 9], name="y")
    found = convert(given_values, "g m-3", "mg m-3", place=PLACE)
    pd.testing.assert_series_equal(found, given_values * 1000)
    assert given_values.iloc[0] == 1.0


def test_integers_become_real():
    assert convert(np.array([1, 2]), "m", "km", place=PLACE).tolist() == [0.001, 0.002]


@pytest.mark.parametrize(
    "units",
    ["mg C m--3", "ind m-3", "cells L-1", "#/m3", "mg Chl m-3", "nonsense", None, "2 m", "bananas", "1000 mg m-3"],
)
def test_unknown_unit_is_refused_and_shown(units):
    with pytest.raises(UserError) as caught:
        convert([1.0], units, "mg m-3", place=PLACE)
    message = str(caught.value)
    assert message.startswith(PLACE) and repr(units) in message and "'mg m-3'" in message


@pytest.mark.parametrize(
    ("source", "goal"), [("mg m-3", "m-3"), ("m", "m2"), ("umol kg-1", "umol L-1"), ("degree_Celsius", "m")]
)
def test_other_dimension_shows_both(source, goal):
    with pytest.raises(UserError) as caught:
        convert([1.0], source, goal, place=PLACE)
    assert all(text in str(caught.value) for text in (PLACE, repr(source), repr(goal)))


@pytest.mark.parametrize("entry", quantities().values(), ids=lambda entry: entry.name)
def test_units_of_the_vocabulary_are_understood(entry):
    assert float(convert(np.array(1.0), entry.units, entry.units, place=entry.name)) == 1.0
