"""Power law of a number spectrum by maximum likelihood on size bins: MLEbin, a bounded power law."""

import numpy as np
from scipy.optimize import brentq

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.classes import UNOBSERVED, choose
from aqqua_dist.spectra.fitted import NotFitted, SpectrumFit, expected, pearson, refuse_without_slope
from aqqua_dist.spectra.power_law import log_integral, mean_log_size

BOUNDS = ("observed", "detection")
STEEPEST = 1e3


def fit_mlebin(counts, detection, *, bounds="observed"):
    """Slope that maximises the likelihood of the shares of the classes, and the intercept that gives their sum.

    A class has the probability of a power law between its limits, bounded by
    the smallest and the largest size: as published those of the first and
    the last class with particles (empty ones beyond are left out, and the fit
    says so; empty ones between count), or with ``bounds='detection'`` those
    of all classes that are used. The second gives the Poisson fit. The slope
    here is -b of the paper.

    Parameters
    ----------
    counts : pandas.DataFrame
        One spectrum, as for `aqqua_dist.spectra.classes.choose`; a class
        weighs with its own volume.
    detection : aqqua_dist.spectra.classes.Detection
        Sizes and numbers that are used.
    bounds : {'observed', 'detection'}
        Bounds of the power law.

    Returns
    -------
    aqqua_dist.spectra.fitted.SpectrumFit
        Covariance from the expected information of slope and sum, the sum a
        Poisson number.

    Raises
    ------
    NotFitted
        No slope follows from the counts.
    UserError
        Unknown `bounds`.

    References
    ----------
    Edwards et al. 2017, doi 10.1111/2041-210X.12641; Edwards et al. 2020, doi
    10.3354/meps13230.
    """
    if bounds not in BOUNDS:
        raise UserError(f"bounds {bounds!r} of the power law are unknown, allowed are {list(BOUNDS)}.")
    chosen = choose(counts, detection)
    if bounds == "observed":
        chosen = _observed(chosen)
    low, high, n, volume = chosen.arrays()
    refuse_without_slope(n)
    slope = _slope(low, high, n, volume)
    total = n.sum()
    log_n0 = np.log(total) - np.logaddexp.reduce(log_integral(low, high, -slope) + np.log(volume))
    mean = expected((log_n0, slope), low, high, volume)
    sizes = mean_log_size(low, high, -slope)
    centre = (mean * sizes).sum() / total
    variance = 1 / (mean * (sizes - centre) ** 2).sum()
    covariance = np.array([[1 / total + centre**2 * variance, centre * variance], [centre * variance, variance]])
    return SpectrumFit("mlebin", float(log_n0), slope, covariance, chosen.table, pearson(n, mean, mean))


def _observed(chosen):
    used = (chosen.table["left_out"] == "").to_numpy()
    full = np.flatnonzero(used & (chosen.table["n"] > 0).to_numpy())
    if not len(full):
        raise NotFitted(f"no particle in {used.sum()} size classes; a slope needs some in two.")
    place = np.arange(len(used))
    return chosen.without((place < full[0]) | (place > full[-1]), UNOBSERVED)


def _slope(low, high, n, volume):
    """Root of the score; it is above 0 at flat and below 0 at steep slopes, as not all particles are in an end class."""

    def score(slope):
        logs = log_integral(low, high, -slope) + np.log(volume)
        share, sizes = np.exp(logs - np.logaddexp.reduce(logs)), mean_log_size(low, high, -slope)
        return (share * sizes).sum() - (n * sizes).sum() / n.sum()

    flat, steep = 0.0, 8.0
    while score(flat) <= 0 and flat > -STEEPEST:
        flat = 2 * flat - 8
    while score(steep) >= 0 and steep < STEEPEST:
        steep *= 2
    if not score(flat) > 0 > score(steep):
        raise NotFitted(f"the slope of {len(n)} size classes lies outside {flat:g} to {steep:g}.")
    return float(brentq(score, flat, steep, xtol=1e-12, rtol=1e-14))
