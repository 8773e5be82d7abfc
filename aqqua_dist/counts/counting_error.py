"""How sure a count is: intervals of counts and concentrations, and draws for members.

Bounds of parts are never added up: a sum has its own interval (`fay_feuer`),
and the draws of a sum are the sums of its parts' draws (`draw_sums`).
"""

import numpy as np
import pandas as pd
from scipy.stats import chi2

from aqqua_dist.core.errors import UserError

LEVEL = 0.95
HALF = 0.5
"""What Jeffreys' prior of a Poisson mean adds to a count."""


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

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> low, high = aq.garwood([0, 1, 10])
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.025, 4.795], [3.689, 5.572, 18.39])
    """
    n, tail = _counts(n), _tail(level)
    values, place = np.unique(n, return_inverse=True)  # counts repeat: a million of them hold a few hundred values
    low = np.where(values > 0, chi2.ppf(tail, 2 * np.where(values > 0, values, 1)) / 2, 0.0)
    return low[place].reshape(n.shape), (chi2.isf(tail, 2 * (values + 1)) / 2)[place].reshape(n.shape)


def fay_feuer(n, weight, group, level=LEVEL, largest=None):
    """Interval of sums of counts with different weights, such as the fractions of a net sample.

    The gamma interval of Fay & Feuer 1997 with w_M: the sum of w n is taken
    as gamma-distributed with its own mean and variance, and the upper bound
    adds one object of the largest weight of the sum (the conservative
    variant; not the mid-p or mean-weight ones that came later). With one
    weight it is Garwood's interval times that weight.

    Parameters
    ----------
    n, weight : array_like
        Counts and their weights (above 0), shape (k,); a fraction in which
        nothing was found belongs here, with n = 0.
    group : array_like of int
        Number of the sum that each belongs to, from 0.
    level : float
        Coverage, two-sided.
    largest : array_like, optional
        Largest weight of each sum, shape (n_sums,), where fractions without
        a count are left out of `n`.

    Returns
    -------
    low, high : numpy.ndarray
        Bounds of each sum, shape (n_sums,).

    Raises
    ------
    UserError
        A count below 0, a weight that is not above 0, a number of a sum that
        is none, a sum without any weight, or a level outside (0, 1).

    References
    ----------
    Fay & Feuer 1997, doi 10.1002/(SICI)1097-0258(19970415)16:7<791::AID-SIM500>3.0.CO;2-#.

    Examples
    --------
    One fraction of which half was looked at: Garwood's interval times two.

    >>> import aqqua_dist as aq
    >>> low, high = aq.fay_feuer([10], [2.0], [0])
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([9.59], [36.78])
    """
    n, weight, group = _parts(n, weight, group)
    tail = _tail(level)
    size = max(int(group.max()) + 1 if len(group) else 0, 0 if largest is None else len(largest))
    top = np.zeros(size)
    if largest is not None:
        given = _above_0(largest, "largest weight")
        top[: len(given)] = given
    np.maximum.at(top, group, weight)
    if (top == 0).any():
        raise UserError(
            f"sum {int(np.argmin(top))} has no part, needed is at least one count (0 too) or its largest weight."
        )
    mean, variance = np.bincount(group, weight * n, size), np.bincount(group, weight**2 * n, size)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(mean > 0, variance / (2 * mean) * chi2.ppf(tail, 2 * mean**2 / variance), 0.0)
    upper, spread = mean + top, variance + top**2
    return low, spread / (2 * upper) * chi2.isf(tail, 2 * upper**2 / spread)


def concentration_interval(counts, samples, level=LEVEL):
    """Interval of concentrations, counting error only.

    Parameters
    ----------
    counts : pandas.DataFrame
        ``sample_id, taxon, n`` and ``weight`` (missing: 1); samples without a
        row have counted nothing.
    samples : pandas.DataFrame
        ``sample_id, taxon, volume`` (m3), one row per concentration, and
        ``largest_weight``: that of all fractions of the sample, looked
        through whether the taxon was there or not (missing: that of the
        taxon's counts, 1 for a taxon without any).
    level : float
        Coverage, two-sided.

    Returns
    -------
    low, high : numpy.ndarray
        m-3, in the order of `samples`.

    Raises
    ------
    UserError
        A volume that is not above 0, a row that stands twice, or a count of
        a sample and taxon that `samples` do not hold.
    """
    ids = samples["sample_id"].to_numpy(dtype=object)
    volume = _above_0(samples["volume"], "volume", " m3", ids)
    keys = ["sample_id", "taxon"]
    index = pd.MultiIndex.from_frame(samples[keys])
    twice = index.duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise UserError(f"row {row + 1}: taxon {index[row][1]!r} of sample {ids[row]!r} stands twice, allowed is once.")
    group = index.get_indexer(pd.MultiIndex.from_frame(counts[keys]))
    if (group < 0).any():
        row = int(np.flatnonzero(group < 0)[0])
        raise UserError(
            f"count {row + 1}: taxon {counts['taxon'].iloc[row]!r} of sample {counts['sample_id'].iloc[row]!r} is not among the {len(samples)} "
            f"concentrations; {int((group < 0).sum())} such counts."
        )
    weight = (counts["weight"].fillna(1.0) if "weight" in counts else pd.Series(1.0, index=counts.index)).to_numpy(
        dtype=float
    )
    largest = np.zeros(len(samples))
    np.maximum.at(largest, group, weight)
    known = (
        samples["largest_weight"].to_numpy(dtype=float)
        if "largest_weight" in samples
        else np.full(len(samples), np.nan)
    )
    largest = np.where(np.isnan(known), np.where(largest > 0, largest, 1.0), known)
    low, high = fay_feuer(counts["n"].to_numpy(dtype=float), weight, group, level, largest)
    return low / volume, high / volume


def draw_counts(n, rng, size=1, prior=HALF):
    """Draws of the mean that a count comes from.

    Parameters
    ----------
    n : array_like
        Counts, shape (k,).
    rng : numpy.random.Generator
        Source of the draws.
    size : int
        Draws per count.
    prior : float
        What is added to the count: 1/2 for Jeffreys' prior, so that a count
        of 0 is not a certain 0; 0 for draws whose mean is the count. The
        halves add up: over samples or taxa that are mostly empty the sum of
        the draws is far above the sum of the counts, so that sums of many
        counts are drawn from the pooled count, or with 0.

    Returns
    -------
    numpy.ndarray
        Shape (size, k): Gamma(n + prior, 1).

    Raises
    ------
    UserError
        A count below 0 or none, or a prior below 0.
    """
    n = _counts(n)
    if not (np.isfinite(prior) and prior >= 0):
        raise UserError(f"prior {prior!r} of the draws of counts is not a number of 0 or more.")
    return rng.standard_gamma(n + prior, (size, *n.shape))


def draw_sums(n, weight, group, rng, size=1):
    """Draws of sums of counts with different weights, part by part.

    Parameters
    ----------
    n, weight, group : array_like
        As in `fay_feuer`, shape (k,).
    rng : numpy.random.Generator
        Source of the draws.
    size : int
        Draws per sum.

    Returns
    -------
    numpy.ndarray
        Shape (size, n_sums): sum of w Gamma(n + 1/2, 1) over the parts; parts
        of one sum with the same weight are one count, as the prior belongs
        to what was looked through and not to how it was cut.

    Raises
    ------
    UserError
        As `fay_feuer`.
    """
    n, weight, group = _parts(n, weight, group)
    order = np.lexsort((weight, group))
    n, weight, group = n[order], weight[order], group[order]
    new_sum = np.diff(group, prepend=-1) > 0
    new_part = new_sum | (np.diff(weight, prepend=0) != 0)
    if new_sum.sum() != (group[-1] + 1 if len(group) else 0):
        missing = np.setdiff1d(np.arange(group[-1] + 1), group)[0]
        raise UserError(f"sum {missing} has no part, needed is at least one count (0 too).")
    if not len(n):
        return np.zeros((size, 0))
    draws = draw_counts(np.add.reduceat(n, np.flatnonzero(new_part)), rng, size) * weight[new_part]
    return np.add.reduceat(draws, np.flatnonzero(new_sum[new_part]), axis=1)


def draw_shares(counts, rng, size=1, prior=1.0):
    """Draws of the shares that rows of counts come from, such as those of a confusion matrix.

    Parameters
    ----------
    counts : array_like
        Shape (..., n_classes), 0 or more; sums of probabilities too, whose
        draws then spread as if labels had been drawn from them.
    rng : numpy.random.Generator
        Source of the draws.
    size : int
        Draws.
    prior : float
        Objects that each row's prior stands for, above 0, spread evenly over
        the classes: 1 is Perks' prior, 1/n_classes each. (One half each, as
        Jeffreys has it, would be 60 objects with 120 classes.)

    Returns
    -------
    numpy.ndarray
        Shape (size, ..., n_classes): Dirichlet(counts + prior / n_classes).

    Raises
    ------
    UserError
        A count below 0 or none, or a prior that is not above 0.

    References
    ----------
    Perks 1947, J. Inst. Actuaries 73, 285-334 (the prior).
    """
    counts = _counts(counts)
    if not (np.isfinite(prior) and prior > 0):
        raise UserError(f"prior {prior!r} of the draws of shares is not a number above 0.")
    draws = rng.standard_gamma(counts + prior / counts.shape[-1], (size, *counts.shape))
    return draws / draws.sum(axis=-1, keepdims=True)


def draw_parts(n, starts, rng, size=1):
    """Draws of the shares of the parts of counts: Dirichlet(n) within each group.

    Parameters
    ----------
    n : array_like
        Parts, above 0, shape (k,); sums of probabilities may be tiny.
    starts : array_like of int
        Where each group begins, ascending from 0.
    rng : numpy.random.Generator
        Source of the draws.
    size : int
        Draws.

    Returns
    -------
    numpy.ndarray
        Shape (size, k), adding up to 1 within each group; finite for any n:
        the logarithm of a gamma draw is taken as log G(n + 1) + log(U) / n,
        which does not underflow.
    """
    n, starts = np.asarray(n, dtype=float), np.asarray(starts)
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(n))))
    if len(starts) == len(n):
        return np.ones((size, len(n)))
    logs = np.log(rng.standard_gamma(n + 1, (size, len(n)))) - rng.standard_exponential((size, len(n))) / n
    share = np.exp(logs - np.maximum.reduceat(logs, starts, axis=1)[:, group])
    return share / np.add.reduceat(share, starts, axis=1)[:, group]


def draw_volumes(volume, rel_sd, rng, size=1, rule=None):
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
    rule : array_like, optional
        Effort rule of each, shape (k,); none: all have the same.

    Returns
    -------
    numpy.ndarray
        Shape (size, k), log-normal with the volume as mean (not as median).
        In one draw all samples of a rule have the same error in units of
        their sd, since it is the rule that errs; rules are independent.

    Raises
    ------
    UserError
        A volume that is not above 0, or a relative sd that is below 0 or
        infinite.
    """
    volume = _above_0(volume, "volume", " m3")
    rel_sd = np.broadcast_to(np.asarray(rel_sd, dtype=float), volume.shape)
    wrong = (rel_sd < 0) | np.isinf(rel_sd)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(f"relative sd {rel_sd[row]:g} of the volume in row {row + 1} is not a number of 0 or more.")
    names, place = np.unique(
        np.zeros(len(volume)) if rule is None else np.asarray(rule).astype(str), return_inverse=True
    )
    if len(place) != len(volume):
        raise UserError(f"{len(place)} effort rules for {len(volume)} volumes, needed is one each.")
    spread = np.sqrt(np.log1p(np.nan_to_num(rel_sd) ** 2))
    return volume * np.exp(spread * rng.standard_normal((size, len(names)))[:, place] - spread**2 / 2)


def combined(samples, classes, counts, left, validated=None):
    """Table of counts of samples that humans counted in part.

    Parameters
    ----------
    samples : sequence of str
        Samples, shape (n_samples,).
    classes : sequence of str
        Classes of the model.
    counts, left : array_like
        What the model's objects are, shape (n_samples, n_classes), by any
        method, and the remainder of theirs and of nobody's, (n_samples,).
    validated : pandas.DataFrame, optional
        ``sample_id, taxon, n`` of the objects that humans counted, also of
        classes that the model does not know.

    Returns
    -------
    pandas.DataFrame
        ``sample_id, taxon, n, n_validated``; the remainder has the taxon
        ``unclassified``, zeros are left out.

    Raises
    ------
    UserError
        Other shapes, or a validated sample that is none of the samples.
    """
    names, counts, left = [*classes, "unclassified"], np.asarray(counts, dtype=float), np.asarray(left, dtype=float)
    if counts.shape != (len(samples), len(classes)) or left.shape != (len(samples),):
        raise UserError(
            f"counts of shape {counts.shape} and a remainder of {left.shape} for {len(samples)} samples and {len(classes)} classes."
        )
    model = pd.DataFrame(
        {
            "sample_id": np.repeat(np.asarray(samples, dtype=object), len(names)),
            "taxon": np.tile(np.array(names, dtype=object), len(samples)),
            "n": np.column_stack([counts, left]).ravel(),
            "n_validated": 0.0,
        }
    )
    if validated is not None:
        strange = sorted(set(validated["sample_id"]) - set(samples))
        if strange:
            raise UserError(
                f"validated sample {strange[0]!r} is none of the {len(samples)} samples; {len(strange)} such samples."
            )
        model = pd.concat([model, validated[["sample_id", "taxon", "n"]].assign(n_validated=validated["n"])])
    table = model.groupby(["sample_id", "taxon"], as_index=False, sort=False)[["n", "n_validated"]].sum()
    return table[table["n"] > 0].reset_index(drop=True)


def _counts(n):
    n = np.asarray(n, dtype=float)
    bad = ~(np.isfinite(n) & (n >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"count {n.ravel()[row]:g} in row {row + 1} is not a number of 0 or more.")
    return n


def _parts(n, weight, group):
    n, weight, group = _counts(n), _above_0(weight, "weight"), np.asarray(group)
    if not n.shape == weight.shape == group.shape or n.ndim != 1:
        raise UserError(
            f"counts of shape {n.shape}, weights of {weight.shape} and sums of {group.shape}; needed is one of each per row."
        )
    if len(group) and not (np.issubdtype(group.dtype, np.integer) and group.min() >= 0):
        wrong = group[group < 0][0] if np.issubdtype(group.dtype, np.number) and (group < 0).any() else group.dtype
        raise UserError(f"sum {wrong!s} is none, allowed are whole numbers from 0.")
    return n, weight, group.astype(np.int64)


def _above_0(values, name, unit="", ids=None):
    values = np.asarray(values, dtype=float)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        owner = f" of sample {ids[row]!r}" if ids is not None else ""
        raise UserError(f"{name} {values[row]:g}{unit}{owner} in row {row + 1} is not a number above 0.")
    return values


def _tail(level):
    if not 0 < level < 1:
        raise UserError(f"level {level!r} of an interval is outside (0, 1).")
    return (1 - level) / 2
