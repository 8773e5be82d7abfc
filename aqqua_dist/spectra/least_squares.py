"""Power law of a number spectrum by least squares of the logarithm of the density on the logarithm of the size."""

import numpy as np

from aqqua_dist.spectra.classes import ZERO, choose
from aqqua_dist.spectra.fitted import NotFitted, SpectrumFit


def fit_least_squares(counts, detection):
    """Slope and intercept by ordinary least squares, all classes with the same weight.

    The density of a class, ``n / (volume width)``, stands at the geometric
    middle of its limits. Classes without particles have no logarithm and are
    left out (the fit says so), which makes slopes too flat where many large
    classes are empty; and the density of a wide class lies above the power law at its
    middle (by 2 % for limits that differ by a factor of 1.26 at slope 4, by
    17 % for a factor of 2), and with it the intercept:
    `aqqua_dist.spectra.poisson` has neither fault.

    Parameters
    ----------
    counts : pandas.DataFrame
        One spectrum, as for `aqqua_dist.spectra.classes.choose`.
    detection : aqqua_dist.spectra.classes.Detection
        Sizes and numbers that are used.

    Returns
    -------
    aqqua_dist.spectra.fitted.SpectrumFit
        Without dispersion, as nothing is supposed about the scatter.

    Raises
    ------
    NotFitted
        Fewer than two classes with particles.
    """
    chosen = choose(counts, detection)
    chosen = chosen.without(chosen.table["n"].to_numpy() == 0, ZERO)
    low, high, n, volume = chosen.arrays()
    if len(n) < 2:
        raise NotFitted(f"{len(n)} size classes with particles remain, least squares needs 2.")
    design = np.column_stack([np.ones(len(n)), -(np.log(low) + np.log(high)) / 2])
    density = np.log(n / (volume * (high - low)))
    inverse = np.linalg.pinv(design)
    log_n0, slope = inverse @ density
    free = len(n) - 2
    scatter = ((density - design @ [log_n0, slope]) ** 2).sum() / free if free else np.nan
    return SpectrumFit("least_squares", float(log_n0), float(slope), scatter * inverse @ inverse.T, chosen.table)
