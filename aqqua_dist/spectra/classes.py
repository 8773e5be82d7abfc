"""Counts per size class for a fit: sums over samples, the classes that a fit uses and why it leaves the others out."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.spectrum import UM_PER_MM, class_name

ROUNDING = 0.005
"""A class lies within the detection limits if it exceeds them by this share at most: sources round limits to three digits."""
OPEN = "open class"
BELOW = "below the smallest size"
ABOVE = "above the largest size"
UNKNOWN_NUMBER = "unknown number"
UNKNOWN_VOLUME = "unknown volume"
FEW = "fewer than the least count"
ZERO = "zero has no logarithm"
UNOBSERVED = "beyond the classes with particles"
UNDETECTED = "empty below the smallest particles"
UNFITTED = "spectrum without a fit"
REASONS = (OPEN, BELOW, ABOVE, UNKNOWN_NUMBER, UNKNOWN_VOLUME, UNDETECTED, FEW, ZERO, UNOBSERVED, UNFITTED)
SURE = 10
"""Particles in the smallest filled class from which on the empty ones below it are not detected rather than empty."""


@dataclass(frozen=True)
class Detection:
    """What an instrument detects fully; a fit uses classes that lie within.

    Attributes
    ----------
    smallest, largest : float
        Diameters (µm); 0 and infinity where there is no limit.
    least_count : float
        Classes with fewer particles are left out. Above 0 it keeps the
        classes that have many by chance, which makes slopes too flat;
        counts of 0 need it in no likelihood.
    """

    smallest: float
    largest: float
    least_count: float = 0.0

    def __post_init__(self):
        if not 0 <= self.smallest < self.largest:
            raise UserError(
                f"detection limits are {self.smallest!r} to {self.largest!r} µm; allowed are a smallest size of 0 or more and "
                "a larger largest one."
            )
        if not 0 <= self.least_count < np.inf:
            raise UserError(f"least count of a size class is {self.least_count!r}; allowed is 0 or more.")


@dataclass(frozen=True)
class Chosen:
    """Size classes of one spectrum, and which of them a fit uses.

    Attributes
    ----------
    table : pandas.DataFrame
        ``esd_low, esd_high`` (µm, ascending), ``n``, ``volume`` (m3) and
        ``left_out``: one of `REASONS`, empty where the class is used.
    """

    table: pd.DataFrame

    def arrays(self):
        """What the used classes hold.

        Returns
        -------
        tuple of numpy.ndarray
            Lower and upper limits (mm), number, volume (m3); shape (n_used,).
        """
        used = self.table[self.table["left_out"] == ""]
        low, high, n, volume = (used[name].to_numpy(float) for name in ("esd_low", "esd_high", "n", "volume"))
        return low / UM_PER_MM, high / UM_PER_MM, n, volume

    def without(self, rows, reason):
        """Leave out further classes.

        Parameters
        ----------
        rows : array_like of bool
            Shape (n_classes,); those that are left out already keep their
            reason.
        reason : str
            One of `REASONS`.

        Returns
        -------
        Chosen
        """
        drop = np.asarray(rows) & (self.table["left_out"] == "")
        return replace(self, table=self.table.assign(left_out=self.table["left_out"].mask(drop, reason)))


def choose(counts, detection):
    """Classes that lie within the detection limits and whose number and volume are known.

    Classes below the smallest particles are left out too where the first
    filled one holds `SURE` or more: some casts detect from 256 µm only, and
    their export writes 0 below. That such a class is empty by chance, if it
    holds no fewer on average than the larger one, has a probability of
    exp(-10).

    Parameters
    ----------
    counts : pandas.DataFrame
        One spectrum: ``esd_low, esd_high`` (µm; the upper limit of an open
        class is missing), ``n``, and ``volume`` (m3), which may differ from
        class to class.
    detection : Detection
        Limits.

    Returns
    -------
    Chosen
        All classes, in ascending order.

    Raises
    ------
    UserError
        Negative numbers, volumes not above 0, limits that do not ascend, or
        classes that overlap.
    """
    table = counts[["esd_low", "esd_high", "n", "volume"]].astype(float).sort_values(["esd_low", "esd_high"])
    table = table.reset_index(drop=True)
    low, high, n, volume = (table[name].to_numpy() for name in ("esd_low", "esd_high", "n", "volume"))
    for values, wrong, name, allowed in (
        (low, ~((low > 0) & np.isfinite(low)), "esd_low", "a diameter above 0 µm"),
        (high, high <= low, "esd_high", "a diameter above esd_low"),
        (n, (n < 0) | np.isinf(n), "n", "0 or more, or missing where it is unknown"),
        (volume, (volume <= 0) | np.isinf(volume), "volume", "above 0 m3, or missing where it is unknown"),
    ):
        if wrong.any():
            first = int(np.argmax(wrong))
            raise UserError(
                f"size class {class_name(low[first], high[first])}, column {name!r}: {values[first]:g}; allowed is {allowed}."
            )
    over = low[1:] < np.where(np.isfinite(high), high, np.inf)[:-1] * (1 - ROUNDING)
    if over.any():
        first = int(np.argmax(over))
        raise UserError(
            f"size classes {class_name(low[first], high[first])} and {class_name(low[first + 1], high[first + 1])} overlap; allowed are "
            "classes that hold each size once."
        )
    chosen = Chosen(table.assign(left_out=""))
    for rows, reason in (
        (~np.isfinite(high), OPEN),
        (low < detection.smallest * (1 - ROUNDING), BELOW),
        (high > detection.largest * (1 + ROUNDING), ABOVE),
        (np.isnan(n), UNKNOWN_NUMBER),
        (np.isnan(volume), UNKNOWN_VOLUME),
    ):
        chosen = chosen.without(rows, reason)
    return chosen.without(_undetected(chosen.table), UNDETECTED).without(n < detection.least_count, FEW)


def _undetected(table):
    filled = table.index[(table["left_out"] == "") & (table["n"] > 0)]
    if not len(filled) or table["n"][filled[0]] < SURE:
        return np.zeros(len(table), dtype=bool)
    return table.index < filled[0]


def summed_over(table, keys):
    """Numbers and volumes of samples that make one spectrum, as a depth bin or a zone: sum of n and sum of volume.

    Parameters
    ----------
    table : pandas.DataFrame
        `keys`, ``esd_low, esd_high`` (µm), ``n``, ``volume`` (m3): one row
        per sample and size class, zeros included
        (`aqqua_dist.spectra.spectrum.spectra`).
    keys : list of str
        Columns that tell one spectrum.

    Returns
    -------
    pandas.DataFrame
        `keys`, the limits, ``n``, ``volume`` and ``n_unknown``: samples whose
        number or volume is unknown in the class and which stand in neither
        sum. A class that no sample knows has neither.

    Raises
    ------
    UserError
        A missing key, a sample that has a class twice, or samples of one
        spectrum that do not have the same size classes.
    """
    keys, limits = list(keys), ["esd_low", "esd_high"]
    for key in keys:
        if table[key].isna().any():
            raise UserError(
                f"{key!r} is missing in {int(table[key].isna().sum())} rows of spectra; allowed is a value in each."
            )
    if "sample_id" in table:
        twice = table.duplicated([*keys, "sample_id", *limits])
        if twice.any():
            first = table[twice].iloc[0]
            raise UserError(
                f"sample {first['sample_id']!r} has size class {class_name(first['esd_low'], first['esd_high'])} in several rows "
                f"of spectra ({int(twice.sum())} such rows); allowed is one."
            )
        rows = table.groupby([*keys, *limits], dropna=False, observed=True)["sample_id"].nunique()
        samples = (
            table.groupby(keys, observed=True)["sample_id"].nunique()
            if keys
            else pd.Series([table["sample_id"].nunique()])
        )
        whole = samples.reindex(rows.index.droplevel(limits)).to_numpy() if keys else samples.iloc[0]
        lacking = rows[rows.to_numpy() != whole]
        if len(lacking):
            raise UserError(
                f"size class {class_name(*lacking.index[0][-2:])} stands in {lacking.iloc[0]} samples of spectrum "
                f"{list(lacking.index[0][:-2])} and is absent in others; allowed is a row for each, with 0 or a missing number."
            )
    known = table["n"].notna() & table["volume"].notna()
    held = table.assign(n=table["n"].where(known), volume=table["volume"].where(known), n_unknown=~known)
    grouped = held.groupby([*keys, *limits], sort=False, dropna=False, observed=True)
    sums = grouped[["n", "volume"]].sum(min_count=1).join(grouped["n_unknown"].sum())
    return sums.reset_index()
