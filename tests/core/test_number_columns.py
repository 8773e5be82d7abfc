"""What users pass as numbers: each kind that is none is refused by name, what is numbers keeps its values."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.number_columns import number_array, refuse_other_columns

OTHER = {
    "categories": pd.Categorical(["a", "b", "a"]),
    "categories of numbers": pd.Categorical([1, 2, 1]),
    "dates": pd.to_datetime(["2020-01-01", "2020-01-02", None]),
    "dates with a zone": pd.to_datetime(["2020-01-01", "2020-01-02", None], utc=True),
    "times": pd.to_timedelta([1, 2, 3], unit="h"),
    "text": ["1.5", "2.5", "3.5"],
    "text as objects": np.array(["1.5", "2", None], dtype=object),
    "numbers and text": np.array([1.5, "x", 2.0], dtype=object),
    "complex": [1j, 2, 3],
}
NUMBERS = {
    "floats": [1.0, 2.0, np.nan],
    "whole": [1, 2, 3],
    "truth": [True, False, True],
    "nullable": pd.array([1, 2, None], dtype="Int64"),
    "nullable floats": pd.array([1.5, 2.5, None], dtype="Float64"),
    "objects": np.array([1.5, 2, None], dtype=object),
}


@pytest.mark.parametrize("kind", OTHER)
def test_other_kinds_are_refused_with_their_column(kind):
    table = pd.DataFrame({"good": [1.0, 2.0, 3.0], "odd": OTHER[kind]})
    for refused in (refuse_other_columns, lambda one: number_array(one, "X")):
        with pytest.raises(UserError, match="X: column 'odd' holds"):
            refused(table)
    with pytest.raises(UserError, match=r"y: .* allowed are numbers"):
        number_array(table["odd"], "y")


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_keep_their_values(kind):
    table = pd.DataFrame({"one": NUMBERS[kind]})
    refuse_other_columns(table)
    wanted = [float(value) if pd.notna(value) else np.nan for value in NUMBERS[kind]]
    np.testing.assert_array_equal(number_array(table["one"], "y"), wanted)
    np.testing.assert_array_equal(number_array(table, "X")[:, 0], wanted)
    assert number_array(table, "X", np.float32).dtype == np.float32


@pytest.mark.parametrize("values", [["a"], {"a": [1.0]}, [[1, 2], [3]], None, object()])
def test_what_is_no_array_is_refused(values):
    if values is None:  # a scalar that is missing: its shape is refused where it is used
        assert np.isnan(number_array(values, "y"))
        return
    with pytest.raises(UserError, match="y: "):
        number_array(values, "y")


def test_an_array_of_numbers_is_not_copied():
    values = np.arange(6.0).reshape(3, 2)
    assert number_array(values, "X") is values
