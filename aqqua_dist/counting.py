"""How sure a count is: intervals of counts and concentrations, and draws for members."""

import numpy as np
import pandas as pd
from scipy.stats import chi2

from aqqua_dist.errors import UserError

LEVEL = 0.95


def garwood(n, level=LEVEL):
    """Exact interval of a Poisson mean from one count.

    Parameters
    ----------
    n : array_like
        Counts, 0 or more.
    level : float
        Coverage, two-sided; at n = 0 the lower bound is 0 and the upper
        -ln((1 - level) / 2), 3.689 at 95 %.

    Returns
    -------
    low, high : numpy.ndarray
        Bounds, shape of `n`.

    Raises
    ------
    UserError
        A count below 0 or none, or a level outside (0, 1).

    References
    ----------
    Garwood 1936, doi 10.1093/biomet/28.3-4.437.
    """
    n, tail = _counts(n), _tail(level)
    low = np.where(n > 0, chi2.ppf(tail, 2 * np.maximum(n, 1)) / 2, 0.0)
    return low, chi2.isf(tail, 2 * (n + 1)) / 2


def fay_feuer(n, weight, group, level=LEVEL):
    """Interval of sums of counts with different weights.

    The sum of w n is taken as gamma-distributed with its own mean and
    variance; the upper bound adds one object of the largest weight. With one
    weight it is Garwood's interval times that weight.

    Parameters
    ----------
    n, weight : array_like
        Counts and their weights (above 0), shape (k,).
    group : array_like of int
        Number of the sum that each belongs to, from 0.
    level : float
        Coverage.

    Returns
    -------
    low, high : numpy.ndarray
        Bounds of each sum.

    Raises
    ------
    UserError
        A count below 0, a weight that is not above 0, or a level outside
        (0, 1).

    References
    ----------
    Fay & Feuer 1997, doi 10.1002/(SICI)1097-0258(19970415)16:7<791::AID-SIM500>3.0.CO;2-#.
    """
    n, weight, group, tail = _counts(n), np.asarray(weight, dtype=float), np.asarray(group), _tail(level)
    wrong = ~(np.isfinite(weight) & (weight > 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(f"weight {weight[row]:g} of count {row + 1} is not above 0.")
    size = int(group.max()) + 1 if len(group) else 0
    mean, variance = np.bincount(group, weight * n, size), np.bincount(group, weight**2 * n, size)
    largest = np.zeros(size)
    np.maximum.at(largest, group, weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(mean > 0, variance / (2 * mean) * chi2.ppf(tail, 2 * mean**2 / variance), 0.0)
        upper, spread = mean + largest, variance + largest**2
        return low, spread / (2 * upper) * chi2.isf(tail, 2 * upper**2 / spread)


def concentration_interval(counts, samples, level=LEVEL):
    """Interval of concentrations, counting error only.

    Parameters
    ----------
    counts : pandas.DataFrame
        ``sample_id, taxon, n`` and ``weight`` (missing: 1); samples without a
        row have counted nothing.
    samples : pandas.DataFrame
        ``sample_id, taxon, volume`` (m3), one row per concentration.
    level : float
        Coverage.

    Returns
    -------
    low, high : numpy.ndarray
        m-3, in the order of `samples`.

    Raises
    ------
    UserError
        A volume that is not above 0.
    """
    volume = samples["volume"].to_numpy(dtype=float)
    bad = ~(volume > 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"sample {samples['sample_id'].iloc[row]!r}, row {row + 1}: volume {volume[row]:g} m3 is not above 0.")
    keys = ["sample_id", "taxon"]
    index = pd.MultiIndex.from_frame(samples[keys])
    group = index.get_indexer(pd.MultiIndex.from_frame(counts[keys]))
    held = group >= 0
    weight = (counts["weight"].fillna(1.0) if "weight" in counts else pd.Series(1.0, index=counts.index)).to_numpy(dtype=float)
    none = np.setdiff1d(np.arange(len(samples)), group[held])
    n = np.r_[counts["n"].to_numpy(dtype=float)[held], np.zeros(len(none))]
    low, high = fay_feuer(n, np.r_[weight[held], np.ones(len(none))], np.r_[group[held], none], level)
    return low / volume, high / volume


def draw_counts(n, rng, size=1):
    """Draws of the mean that a count comes from.

    Parameters
    ----------
    n : array_like
        Counts, shape (k,).
    rng : numpy.random.Generator
        Source of the draws.
    size : int
        Draws per count.

    Returns
    -------
    numpy.ndarray
        Shape (size, k): Gamma(n + 1/2, 1), the posterior under Jeffreys'
        prior, so that a count of 0 is not a certain 0.

    Raises
    ------
    UserError
        A count below 0 or none.
    """
    n = _counts(n)
    return rng.gamma(n + 0.5, 1.0, (size, *n.shape))


def draw_volumes(volume, rel_sd, rng, size=1):
    """Draws of sampled volumes.

    Parameters
    ----------
    volume : array_like
        m3, above 0, shape (k,).
    rel_sd : array_like
        Relative standard deviation of each; NaN, for one that nobody has
        given, is 0.
    rng : numpy.random.Generator
        Source of the draws.
    size : int
        Draws per volume.

    Returns
    -------
    numpy.ndarray
        Shape (size, k), log-normal with the volume as mean. One factor per
        draw: the error of a rule is shared by all its samples, so hand over
        the samples of one rule together.

    Raises
    ------
    UserError
        A volume that is not above 0, or a relative sd below 0.
    """
    volume, rel_sd = np.asarray(volume, dtype=float), np.nan_to_num(np.asarray(rel_sd, dtype=float))
    bad = ~(np.isfinite(volume) & (volume > 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"volume {volume[row]:g} m3 of row {row + 1} is not above 0.")
    if (rel_sd < 0).any():
        raise UserError(f"relative sd {rel_sd.min():g} of a volume is below 0.")
    spread = np.sqrt(np.log1p(rel_sd**2))
    return volume * np.exp(spread * rng.standard_normal((size, 1)) - spread**2 / 2)


def _counts(n):
    n = np.asarray(n, dtype=float)
    bad = ~(np.isfinite(n) & (n >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"count {n.ravel()[row]:g} in row {row + 1} is not a number of 0 or more.")
    return n


def _tail(level):
    if not 0 < level < 1:
        raise UserError(f"level {level!r} of an interval is outside (0, 1).")
    return (1 - level) / 2
