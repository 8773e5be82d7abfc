"""What a published formula is: a function that checks the units and ranges of what it is given."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.units import convert


@dataclass(frozen=True)
class Argument:
    """An argument of a formula.

    Attributes
    ----------
    units : str
        CF spelling of the unit in which plain numbers are taken.
    low, high : float
        Allowed values; missing ones (NaN) are always allowed and stay missing.
    above : bool
        Whether `low` itself is forbidden.
    """

    units: str
    low: float = -np.inf
    high: float = np.inf
    above: bool = False

    def checked(self, values, place):
        """Numbers in the unit of the argument, in its range.

        Parameters
        ----------
        values : array_like or xarray.DataArray
            Plain numbers are in `units`; a labelled array names its unit in
            the attribute ``units`` and is converted.
        place : str
            Formula and argument, for messages.

        Returns
        -------
        xarray.DataArray or numpy.ndarray
            float64, of the same shape.

        Raises
        ------
        UserError
            A labelled array without a unit or in one of another dimension; a
            value outside the range, or infinite.
        """
        labelled = isinstance(values, xr.DataArray)
        numbers = np.asarray(values, dtype=float)
        if labelled:
            if "units" not in values.attrs:
                raise UserError(
                    f"{place}: the labelled array has no attribute 'units'; name its unit, such as {self.units!r}."
                )
            numbers = np.asarray(convert(numbers, values.attrs["units"], self.units, place=place), dtype=float)
        bad = np.isinf(numbers) | (numbers < self.low) | (numbers > self.high) | (self.above & (numbers == self.low))
        if bad.any():
            raise UserError(
                f"{place}: {numbers[bad].flat[0]:g} {self.units} is not allowed ({int(bad.sum())} such values), allowed are "
                f"finite values {self._allowed()}."
            )
        return xr.DataArray(numbers, coords=values.coords, dims=values.dims) if labelled else numbers

    def _allowed(self):
        least = "" if self.low == -np.inf else f"{'above' if self.above else 'from'} {self.low:g}"
        most = "" if self.high == np.inf else f"to {self.high:g}"
        return " ".join(part for part in (least, most) if part) or "of any size"


@dataclass(eq=False)
class Formula:
    """A published formula; it is called like the function that it is made of.

    Plain numbers are in the units of `arguments` and give plain numbers.
    Labelled arrays (`xarray.DataArray`) are converted from the unit that they
    name, and give a labelled array that names its unit and its source.

    Attributes
    ----------
    function : callable
        Positional arguments are fields, keyword arguments are parameters.
    units : str
        Unit of the result (CF spelling).
    source : str
        DOI, or where the published values are.
    arguments : dict of str to Argument
        Every argument.
    """

    function: Callable
    units: str
    source: str
    arguments: dict

    def __post_init__(self):
        names = set(inspect.signature(self.function).parameters)
        if names != set(self.arguments):
            raise UserError(
                f"formula {self.function.__name__!r} has the arguments {sorted(names)}, its units are told for "
                f"{sorted(self.arguments)}; tell them for each."
            )

    def __call__(self, *fields, **parameters):
        name = self.function.__name__
        bound = inspect.signature(self.function).bind(*fields, **parameters)
        bound.apply_defaults()
        given = {key: self.arguments[key].checked(value, f"{name}, {key}") for key, value in bound.arguments.items()}
        labelled = any(isinstance(value, xr.DataArray) for value in given.values())
        plain = [key for key in self.fields if isinstance(given[key], np.ndarray) and given[key].ndim]
        if labelled and plain:
            raise UserError(
                f"{name}: {plain[0]} is an array without labels beside labelled ones; label it, so that its axes are known."
            )
        bound.arguments.update(given)
        found = self.function(*bound.args, **bound.kwargs)
        if isinstance(found, xr.DataArray):
            return found.rename(name).assign_attrs(units=self.units, references=self.source)
        return found

    def __reduce__(self):
        return self.__name__  # by name, as functions are: other processes import it

    @property
    def fields(self):
        """Names of the arguments that vary over rows or cells (tuple of str)."""
        return tuple(k for k, p in inspect.signature(self.function).parameters.items() if p.kind is not p.KEYWORD_ONLY)

    @property
    def parameters(self):
        """Names of the arguments that a recipe sets (tuple of str)."""
        return tuple(k for k in self.arguments if k not in self.fields)


def published(units, source, **arguments):
    """Make a function a formula.

    Parameters
    ----------
    units : str
        Unit of the result (CF spelling).
    source : str
        DOI, or where the published values are.
    **arguments : Argument
        Unit and range of every argument.

    Returns
    -------
    callable
        Decorator that gives a `Formula`.
    """

    def made(function):  # numpydoc ignore=GL08
        return functools.update_wrapper(Formula(function, units, source, arguments), function)

    return made
