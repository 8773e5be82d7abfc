"""Particle and biovolume size spectra from counts per size class and sampled volume."""

import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import summed


def spectra(samples, particles):
    """Number and biovolume spectrum of every sample, on the size classes of the source.

    Parameters
    ----------
    samples : pandas.DataFrame
        ``sample_id, volume`` (m3).
    particles : pandas.DataFrame
        ``sample_id, esd_low, esd_high`` (mm), ``n`` and ``biovolume`` (mm3).

    Returns
    -------
    pandas.DataFrame
        One row per sample and size class that occurs anywhere in
        `particles`, zeros included: ``n, volume`` (m3),
        ``number_concentration`` (m-3), ``number_density`` (m-3 mm-1),
        ``biovolume_concentration`` (mm3 m-3) and ``biovolume_density``
        (mm3 m-3 mm-1). The densities of an open last class are NaN.

    Raises
    ------
    UserError
        Size classes that overlap.
    """
    classes = (
        particles[["esd_low", "esd_high"]].drop_duplicates().sort_values(["esd_low", "esd_high"]).reset_index(drop=True)
    )
    over = classes["esd_low"] < classes["esd_high"].shift() - 1e-9
    if over.any():
        row, other = classes[over].iloc[0], classes.shift()[over].iloc[0]
        raise UserError(
            f"size classes {other['esd_low']:g}-{other['esd_high']:g} mm and {row['esd_low']:g}-{row['esd_high']:g} mm overlap; exports with "
            "different classes cannot stand in one table of spectra."
        )
    keys = ["sample_id", "esd_low", "esd_high"]
    sums = summed(particles, keys, ["n", "biovolume"]).set_index(keys)
    whole = samples[["sample_id", "volume"]].merge(classes, how="cross").join(sums, on=keys)
    absent = ~pd.MultiIndex.from_frame(whole[keys]).isin(sums.index)
    whole.loc[absent, ["n", "biovolume"]] = 0.0  # an unknown biovolume stays unknown
    width = whole["esd_high"] - whole["esd_low"]
    width = width.where(width < 1e3)  # the last class is open
    whole["number_concentration"] = whole["n"] / whole["volume"]
    whole["number_density"] = whole["number_concentration"] / width
    whole["biovolume_concentration"] = whole["biovolume"] / whole["volume"]
    whole["biovolume_density"] = whole["biovolume_concentration"] / width
    return whole.drop(columns="biovolume")
