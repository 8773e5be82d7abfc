"""Check values of every formula, their units and ranges."""

import inspect
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.units import convert
from aqqua_dist.rates.formula import Argument, published
from aqqua_dist.rates.formulas import FORMULAS, formula

VALUES = pd.read_csv(Path(__file__).with_name("check_values.csv"), dtype=str)
ROWS = [(row.formula, json.loads(row.arguments), row.value, row.unit) for row in VALUES.itertuples()]
FIRST = {name: arguments for name, arguments, *_ in reversed(ROWS)}
OTHER = {
    "m-3": "L-1", "um": "mm", "1": "percent", "degree_Celsius": "kelvin", "mg m-3": "g m-3", "mg m-3 d-1": "g m-3 d-1",
    "mg m-2 d-1": "g m-2 d-1", "mm3 m-3": "m3 m-3", "mg": "g", "m": "km", "m-1": "km-1", "m2": "km2", "m3": "km3",
}  # fmt: skip
"""Another unit of the same dimension."""


def half_a_digit(text):
    """A printed value holds to half a unit of its last digit."""
    mantissa, _, exponent = text.partition("e")
    return 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def called(name, arguments):
    arrays = {key: np.array(v, dtype=float) if isinstance(v, list) else v for key, v in arguments.items()}
    return FORMULAS[name](**arrays)


def labelled(name, arguments):
    """Fields as labelled arrays with the unit of the formula."""
    found = dict(arguments)
    for key in FORMULAS[name].fields:
        dims = ("size_class" if "esd_low" in arguments else "cell",) if isinstance(arguments[key], list) else ()
        found[key] = xr.DataArray(arguments[key], dims=dims, attrs={"units": FORMULAS[name].arguments[key].units})
    return found


@pytest.mark.parametrize(("name", "arguments", "value", "unit"), ROWS, ids=lambda one: str(one)[:40])
def test_check_values(name, arguments, value, unit):
    assert FORMULAS[name].units == unit
    assert float(called(name, arguments)) == pytest.approx(float(value), rel=2e-15, abs=half_a_digit(value))


def test_every_formula_has_a_check_value_and_says_where_it_is_from():
    assert set(VALUES["formula"]) == set(FORMULAS)
    for name, one in FORMULAS.items():
        assert name == one.__name__
        assert one.source == "exact" or one.source.startswith(("doi 10.", "github.com/"))
        assert set(inspect.signature(one.function).parameters) == {*one.fields, *one.parameters}


@pytest.mark.parametrize("name", FORMULAS)
def test_labelled_arrays_are_converted_and_the_result_is_stamped(name):
    given = labelled(name, FIRST[name])
    found = FORMULAS[name](**given)
    assert found.attrs["units"] == FORMULAS[name].units and found.attrs["references"] == FORMULAS[name].source
    np.testing.assert_allclose(found, called(name, FIRST[name]), rtol=1e-13)
    for key in FORMULAS[name].fields:
        units = FORMULAS[name].arguments[key].units
        other = OTHER[units]
        in_other = convert(given[key].to_numpy(), units, other, place="test")
        one = given | {key: given[key].copy(data=in_other).assign_attrs(units=other)}
        np.testing.assert_allclose(FORMULAS[name](**one), found, rtol=1e-9)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in FORMULAS for key in FORMULAS[name].fields])
def test_a_wrong_unit_is_refused_everywhere(name, key):
    given = labelled(name, FIRST[name])
    with pytest.raises(UserError, match=f"{name}, {key}: unit 'mol K4' cannot become"):
        FORMULAS[name](**given | {key: given[key].assign_attrs(units="mol K4")})
    with pytest.raises(UserError, match=f"{name}, {key}: the labelled array has no attribute 'units'"):
        FORMULAS[name](**given | {key: xr.DataArray(given[key].data, dims=given[key].dims)})


@pytest.mark.parametrize("name", FORMULAS)
def test_missing_stays_missing_and_bad_values_are_shown(name):
    first = FORMULAS[name].fields[0]
    given = {key: np.array(v, dtype=float) if isinstance(v, list) else v for key, v in FIRST[name].items()}
    lost = np.array(given[first], dtype=float)
    lost[...] = np.where(np.arange(lost.size).reshape(lost.shape) == max(lost.size - 2, 0), np.nan, lost)
    assert np.isnan(FORMULAS[name](**given | {first: lost}))
    endless = np.full_like(lost, np.inf)
    with pytest.raises(UserError, match=f"{name}, {first}: inf .* is not allowed"):
        FORMULAS[name](**given | {first: endless})
    argument = FORMULAS[name].arguments[first]
    if argument.low > -np.inf:
        with pytest.raises(UserError, match=f"{name}, {first}: {argument.low - 1:g} "):
            FORMULAS[name](**given | {first: np.full_like(lost, argument.low - 1)})


def test_other_processes_get_the_same_formula():
    assert all(pickle.loads(pickle.dumps(one)) is one for one in FORMULAS.values())


def test_members_and_cells_run_side_by_side():
    """A parameter with one value per member, a field with one value per cell: shape (members, cells)."""
    mu = np.array([[0.1], [0.2]])
    demand = FORMULAS["demand_growth"](np.array([[1.0, 2.0, np.nan], [3.0, 4.0, 5.0]]), mu=mu, gge=0.5)
    np.testing.assert_allclose(demand, [[0.2, 0.4, np.nan], [1.2, 1.6, 2.0]])


def test_plain_arrays_beside_labelled_ones_are_refused():
    number = xr.DataArray([[1.0, 2.0]], dims=("profile", "size_class"), attrs={"units": "L-1"})
    with pytest.raises(UserError, match="esd_low is an array without labels"):
        FORMULAS["flux_guidi2008"](number, np.array([100.0, 200.0]), np.array([200.0, 400.0]))


def test_parameters_outside_their_range_are_refused():
    with pytest.raises(
        UserError, match="demand_growth, gge: 30 1 is not allowed .*, allowed are finite values above 0 to 1"
    ):
        FORMULAS["demand_growth"](2.0, mu=0.15, gge=30)
    with pytest.raises(UserError, match="annual_flux_total, days_per_year: 12 1 is not allowed"):
        FORMULAS["annual_flux_total"](1.0, 1.0, days_per_year=12)


def test_an_unknown_rate_is_named_with_its_neighbour():
    with pytest.raises(UserError, match="rate 'flux_clement2023' is unknown, did you mean 'flux_clements2023'"):
        formula("flux_clement2023")
    assert formula("demand_growth").parameters == ("mu", "gge")


def test_a_formula_tells_the_unit_of_every_argument():
    with pytest.raises(UserError, match=r"'halved' has the arguments \['amount'\], its units are told for \[\]"):

        @published("1", "exact")
        def halved(amount):
            return amount / 2

    assert Argument("m", low=0, above=True).checked(2, "here") == 2
