"""Size classes of particles: their diameter, sums over them, and which of them lie in a range."""

import numpy as np
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.rates.formula import Argument

DIM = "size_class"
"""Dimension of the classes in labelled arrays; in plain ones it is the last axis."""
ROUNDING = 0.005
"""Limits of classes that agree within this share are the same: sources round them to three digits."""
CLASSES = {
    "number_concentration": Argument("m-3", low=0),
    "esd_low": Argument("um", low=0, above=True),
    "esd_high": Argument("um", low=0, above=True),
}
"""Arguments that every formula of a size spectrum has."""
MICROMETRIC, MACROSCOPIC = (102.0, 512.0), (645.0, 2580.0)
"""Limits (µm) of MiP and MaP (Kiko et al. 2017, doi 10.1038/ngeo3042); the class between belongs to neither."""


def mean_diameter(esd_low, esd_high):
    """Diameter of the mean volume of both limits, ``((low^3 + high^3) / 2)^(1/3)``.

    Parameters
    ----------
    esd_low, esd_high : array_like
        Limits of the classes (any unit of length).

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        Diameters, in the same unit.

    Raises
    ------
    UserError
        Limits that do not ascend, or an open class, which has no diameter.
    """
    wrong = ~(np.asarray(esd_low) < np.asarray(esd_high))
    if wrong.any():
        low, high = (np.broadcast_to(side, wrong.shape)[wrong].flat[0] for side in (esd_low, esd_high))
        raise UserError(
            f"size class from {low:g} to {high:g} has no diameter; allowed are classes whose limits ascend (leave an open "
            "last class out)."
        )
    return ((esd_low**3 + esd_high**3) / 2) ** (1 / 3)


def over_classes(number, weight, used=True):
    """Sum of number times weight over the classes that are used.

    Parameters
    ----------
    number : numpy.ndarray or xarray.DataArray
        Shape (..., n_classes), or with the dimension ``size_class``.
    weight : numpy.ndarray or xarray.DataArray
        Shape (n_classes,).
    used : array_like of bool
        Shape (n_classes,); a missing number in a class that is used makes the
        sum missing.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        Without the axis of the classes.

    Raises
    ------
    UserError
        The labelled arrays have no dimension ``size_class``.
    """
    terms = number * weight
    if isinstance(terms, xr.DataArray):
        if DIM not in terms.dims:
            raise UserError(f"the size spectrum has the dimensions {terms.dims}; its classes need the name {DIM!r}.")
        return terms.where(used, 0.0).sum(DIM, skipna=False)
    return np.where(used, terms, 0.0).sum(axis=-1)


def from_size(esd_low, smallest):
    """Classes that begin at a size or above it.

    Parameters
    ----------
    esd_low : array_like
        Lower limits of the classes (µm).
    smallest : float
        Size (µm).

    Returns
    -------
    array_like of bool
        Shape of `esd_low`.

    Raises
    ------
    UserError
        There is none.
    """
    used = esd_low >= smallest * (1 - ROUNDING)
    if not np.asarray(used).any():
        raise UserError(
            f"no size class begins at {smallest:g} µm or above, the largest begins at {np.max(np.asarray(esd_low)):g} µm."
        )
    return used


def within(esd_low, esd_high, limits):
    """Classes that fill a range of sizes.

    Parameters
    ----------
    esd_low, esd_high : array_like
        Limits of the classes (µm).
    limits : tuple of (float, float)
        The range (µm).

    Returns
    -------
    array_like of bool
        Shape of `esd_low`.

    Raises
    ------
    UserError
        The classes leave a part of the range out: what was not looked at is
        unknown, not zero.
    """
    used = (esd_low >= limits[0] * (1 - ROUNDING)) & (esd_high <= limits[1] * (1 + ROUNDING))
    filled = float(np.asarray((esd_high - esd_low) * used).sum())
    width = limits[1] - limits[0]
    if abs(filled / width - 1) > 2 * ROUNDING:
        raise UserError(
            f"size classes fill {filled:g} of the {width:g} µm from {limits[0]:g} to {limits[1]:g} µm; what they leave out is "
            "unknown."
        )
    return used
