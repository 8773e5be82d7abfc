"""Formulas of columns, as the mapping sheets of PSSdb write them: arithmetic and comparisons, nothing else."""

import ast
import operator

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError

VOLUME_UNITS = {
    "cubic_meter": 1.0,
    "cubic_decimeter": 1e-3,
    "liter": 1e-3,
    "cubic_centimeter": 1e-6,
    "milliliter": 1e-6,
    "microliter": 1e-9,
}
"""m3 per unit of the sheets (units_def.txt)."""
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def parsed(text, place):
    """Formula of columns.

    Parameters
    ----------
    text : str
        Such as ``acq_sub_part`` or ``a/(b*1000)``.
    place : str
        For messages.

    Returns
    -------
    ast.AST
        Its tree.

    Raises
    ------
    UserError
        Anything but arithmetic, comparisons and ``.isna()``.
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise UserError(f"{place}: {text!r} is neither a column nor a formula of columns.") from None
    for node in ast.walk(tree):
        call = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "isna"
            and not node.args
        )
        allowed = (
            ast.BinOp,
            ast.Compare,
            ast.Name,
            ast.Constant,
            ast.Load,
            ast.Attribute,
            ast.operator,
            ast.cmpop,
            ast.UnaryOp,
            ast.USub,
            ast.unaryop,
        )
        if not (call or isinstance(node, allowed)) or isinstance(node, ast.Attribute) and node.attr != "isna":
            raise UserError(
                f"{place}: {text!r} holds {ast.unparse(node)!r}; allowed are columns, numbers, + - * /, comparisons and .isna()."
            )
    return tree


def evaluate(text, table, place, none=()):
    """Values of a column or a formula.

    Parameters
    ----------
    text : str
        Such as ``acq_sub_part`` or ``a/(b*1000)``; comparisons give 1 or 0.
    table : pandas.DataFrame
        Columns as text.
    place : str
        For messages.
    none : collection of float
        Numbers that stand for none.

    Returns
    -------
    numpy.ndarray
        float64; NaN where a cell is empty or no number.

    Raises
    ------
    UserError
        A column that the table does not have, or a formula with anything
        but arithmetic.
    """
    return np.broadcast_to(
        np.asarray(_value(parsed(text, place), table, place, tuple(none)), dtype=float), (len(table),)
    ).copy()


def _value(node, table, place, none):
    if isinstance(node, ast.Name):
        if node.id not in table:
            raise UserError(f"{place}: column {node.id!r} is not in the export, which has {list(table.columns)[:20]}.")
        found = pd.to_numeric(
            table[node.id].astype(str).str.extract(r"^\s*([-+0-9.eE]+)", expand=False), errors="coerce"
        ).to_numpy(dtype=float)
        return np.where(np.isin(found, none), np.nan, found)
    if isinstance(node, ast.Constant):
        return float(node.value)
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, table, place, none)
    if isinstance(node, ast.Call):
        return np.isnan(_value(node.func.value, table, place, none))
    with np.errstate(all="ignore"):
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](
                _value(node.left, table, place, none), _value(node.right, table, place, none)
            )
        return _OPERATORS[type(node.ops[0])](
            _value(node.left, table, place, none), _value(node.comparators[0], table, place, none)
        )
