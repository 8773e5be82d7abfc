"""Particle and biovolume size spectra from counts per size class and sampled volume."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import summed

UM_PER_MM = 1000.0


def spectra(samples, particles):
    """Number and biovolume spectrum of every sample, on the size classes of the source.

    Parameters
    ----------
    samples : pandas.DataFrame
        ``sample_id, volume`` (m3).
    particles : pandas.DataFrame
        ``sample_id, esd_low, esd_high`` (µm; the upper limit of an open last
        class is missing), ``n`` and ``biovolume`` (mm3), either missing where
        it is unknown.

    Returns
    -------
    pandas.DataFrame
        One row per sample and size class that occurs anywhere in
        `particles`, zeros included: ``n, volume`` (m3),
        ``number_concentration`` (m-3), ``number_density`` (m-3 per mm of
        diameter), ``biovolume_concentration`` (mm3 m-3) and
        ``biovolume_density`` (mm3 m-3 per mm of diameter). The densities of
        an open last class are NaN, and so is what was made of an unknown
        number.

    Raises
    ------
    UserError
        Size classes that overlap.
    """
    limits = ["esd_low", "esd_high"]
    classes = particles[limits].drop_duplicates().sort_values(limits).reset_index(drop=True)
    over = classes["esd_low"] < classes["esd_high"].fillna(np.inf).shift() - 1e-6
    if over.any():
        row, other = classes[over].iloc[0], classes.shift()[over].iloc[0]
        raise UserError(
            f"size classes {class_name(*other)} and {class_name(*row)} overlap; exports with different classes cannot stand in one table of spectra."
        )
    keys = ["sample_id", "esd_low", "esd_high"]
    sums = summed(particles, keys, ["n", "biovolume"]).set_index(keys)
    whole = samples[["sample_id", "volume"]].merge(classes, how="cross").join(sums, on=keys)
    absent = ~pd.MultiIndex.from_frame(whole[keys]).isin(sums.index)
    whole.loc[absent, ["n", "biovolume"]] = 0.0  # an unknown biovolume stays unknown
    width = (whole["esd_high"] - whole["esd_low"]) / UM_PER_MM  # missing in the open class
    whole["number_concentration"] = whole["n"] / whole["volume"]
    whole["number_density"] = whole["number_concentration"] / width
    whole["biovolume_concentration"] = whole["biovolume"] / whole["volume"]
    whole["biovolume_density"] = whole["biovolume_concentration"] / width
    return whole.drop(columns="biovolume")


def class_name(esd_low, esd_high):
    """Name of a size class, for messages.

    Parameters
    ----------
    esd_low, esd_high : float
        Limits (µm); the upper one of an open class is missing.

    Returns
    -------
    str
        Such as ``102-128 µm`` or ``>26000 µm``.
    """
    return f"{esd_low:g}-{esd_high:g} µm" if np.isfinite(esd_high) else f">{esd_low:g} µm"
