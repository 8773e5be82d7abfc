"""Power law on size classes: its integral over a class and the mean logarithm of size within it, at any exponent."""

import numpy as np

NARROW = 1e-2
"""Half-width times exponent below which series replace hyperbolic functions, whose differences cancel there."""


def log_integral(low, high, exponent):
    """Logarithm of the integral of ``s^exponent`` from `low` to `high`, exact at -1 too and without overflow.

    Parameters
    ----------
    low, high : array_like
        Limits, above 0 and ascending (any unit of length).
    exponent : array_like
        Any number; shapes broadcast.

    Returns
    -------
    numpy.ndarray
        Natural logarithm; the integral has the unit of length to the power
        ``exponent + 1``.
    """
    middle, length, half = _centred(low, high, exponent)
    size = np.abs(half)
    safe = np.where(size < NARROW, 1.0, size)
    wide = safe + np.log(-np.expm1(-2 * safe) / (2 * safe))  # log(sinh(x) / x)
    return (
        (np.asarray(exponent) + 1) * middle
        + np.log(length)
        + np.where(size < NARROW, size**2 / 6 - size**4 / 180, wide)
    )


def mean_log_size(low, high, exponent):
    """Mean of ``ln s`` between two limits where the density of s goes with ``s^exponent``.

    It is the derivative of `log_integral` with respect to the exponent.

    Parameters
    ----------
    low, high : array_like
        Limits, above 0 and ascending (mm where a slope is fitted).
    exponent : array_like
        Any number; shapes broadcast.

    Returns
    -------
    numpy.ndarray
        Natural logarithm of the unit of the limits.
    """
    middle, length, half = _centred(low, high, exponent)
    near = np.abs(half) < NARROW
    safe = np.where(near, 1.0, half)
    langevin = np.where(near, half / 3 - half**3 / 45, 1 / np.tanh(safe) - 1 / safe)
    return middle + length / 2 * langevin


def _centred(low, high, exponent):
    low, high = np.log(np.asarray(low, dtype=float)), np.log(np.asarray(high, dtype=float))
    return (low + high) / 2, high - low, (np.asarray(exponent, dtype=float) + 1) * (high - low) / 2
