"""Numbers on figures: ticks, rounded values, measures of agreement."""

import numpy as np
from matplotlib import ticker

from aqqua_dist.plots.style import number_text


def two_digits(value):
    """Two significant digits, zeros kept: 0.10, not 0.1.

    Parameters
    ----------
    value : float
        Number.

    Returns
    -------
    str
    """
    return f"{value:#.2g}".rstrip(".").replace("-", "−") if 1e-3 <= abs(value) < 99.5 else number_text(value, 2)


def decades(both, observed):
    """Zero and the powers of ten that a figure spans, at most 6 decades.

    Parameters
    ----------
    both, observed : numpy.ndarray
        Everything drawn, and the observed part of it, 0 or more.

    Returns
    -------
    list of float
        Ascending.
    """
    both = both[both > 0]
    top = int(np.ceil(np.log10(both.max() * 1.05)))
    seen = observed[observed > 0] if (observed > 0).any() else both
    floor = int(np.clip(np.floor(np.log10(np.quantile(seen, 0.05))), top - 5, top - 1))
    return [0.0, *(float(f"1e{power}") for power in range(floor, top + 1))]


def straight(both):
    """Even ticks around everything drawn.

    Parameters
    ----------
    both : numpy.ndarray
        Numbers.

    Returns
    -------
    numpy.ndarray
        Ascending.
    """
    return ticker.MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(both.min(), both.max())


def agreement(observed, predicted):
    """Two lines that say how well predictions agree.

    Parameters
    ----------
    observed, predicted : numpy.ndarray
        Shape (n,).

    Returns
    -------
    str
        Number of rows, R² and squared correlations; that of logarithms only
        where nothing is negative.
    """
    zeros = f" ({(observed == 0).sum()} zeros)" if observed.min() >= 0 else ""
    total, first = ((observed - observed.mean()) ** 2).sum(), f"n = {observed.size}{zeros}"
    if total == 0 or np.ptp(predicted) == 0:
        return first
    score = f"{round(1 - ((observed - predicted) ** 2).sum() / total, 2) + 0.0:.2f}".replace("-", "−")
    square = np.corrcoef(observed, predicted)[0, 1] ** 2
    if min(observed.min(), predicted.min()) < 0:
        return f"{first}, R² = {score}\nr² = {square:.2f}"
    of_log = np.corrcoef(np.log1p(observed), np.log1p(predicted))[0, 1] ** 2
    return f"{first}, R² = {score}\nr² = {square:.2f}, r² of log(1 + x) = {of_log:.2f}"
