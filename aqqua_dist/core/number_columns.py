"""Tables and arrays from users as numbers: text, dates, categories and complex numbers are refused by name."""

import numpy as np
import pandas as pd
from pandas.api import types

from aqqua_dist.core.errors import UserError

_NUMBERS = ("floating", "integer", "mixed-integer-float", "decimal", "boolean", "empty")
"""What a column of objects may hold, as pandas names it."""


def refuse_other_columns(table, name="X"):
    """Refuse a table with a column that holds no numbers.

    Text is not read as numbers, and categories and dates have no distance
    that a model could use unseen.

    Parameters
    ----------
    table : pandas.DataFrame or object
        Anything but a DataFrame passes.
    name : str
        What it is called in the message.

    Raises
    ------
    UserError
        With the first such column and its kind.
    """
    if not isinstance(table, pd.DataFrame):
        return
    for place, column in enumerate(table.columns):
        kind = _other_kind(table.iloc[:, place])
        if kind:
            raise UserError(
                f"{name}: column {column!r} holds {kind}; allowed are numbers (turn it into numbers first, or leave it out)."
            )


def number_array(values, name, dtype=np.float64):
    """Values as an array of real numbers, missing ones NaN.

    Parameters
    ----------
    values : pandas.DataFrame, pandas.Series or array_like
        Any shape.
    name : str
        What they are called in the message.
    dtype : type
        A floating one.

    Returns
    -------
    numpy.ndarray
        Same shape, C-contiguous.

    Raises
    ------
    UserError
        They are text, dates, categories, complex or no numbers at all.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return np.ascontiguousarray(values, dtype=dtype) if values.ndim else values.astype(dtype)
    refuse_other_columns(values, name)
    if isinstance(values, pd.DataFrame):
        return np.ascontiguousarray(values.to_numpy(dtype=dtype, na_value=np.nan))
    kind = _other_kind(values if isinstance(values, pd.Series) else _as_series(values, name))
    if kind:
        raise UserError(f"{name}: the values are {kind}; allowed are numbers.")
    if isinstance(values, pd.Series):
        return np.ascontiguousarray(values.to_numpy(dtype=dtype, na_value=np.nan))
    try:
        array = np.asarray(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: {str(values)[:60]!r} is no array of numbers ({error}).") from None
    return np.ascontiguousarray(array) if array.ndim else array


def _as_series(values, name):
    try:
        return pd.Series(np.asarray(values).ravel())
    except ValueError as error:  # rows of unequal lengths
        raise UserError(f"{name}: {str(values)[:60]!r} is no array of numbers ({error}).") from None


def _other_kind(column):
    """What a column holds, where that is no numbers; empty otherwise."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "categories"
    if types.is_datetime64_any_dtype(column.dtype) or types.is_timedelta64_dtype(column.dtype):
        return "dates or times"
    if types.is_complex_dtype(column.dtype):
        return "complex numbers"
    if types.is_numeric_dtype(column.dtype):
        return ""
    held = pd.api.types.infer_dtype(column, skipna=True)
    if held in _NUMBERS:
        return ""
    first = next((value for value in column if not isinstance(value, int | float)), None)
    return f"{'text' if held == 'string' else held} such as {str(first)[:40]!r}"
