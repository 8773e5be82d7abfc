"""Counts over sampled volumes, with the zeros of what was searched and not found."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import summed


def concentrations(samples, counts, taxa=None):
    """Concentration of every taxon in every sample, zeros included.

    Parameters
    ----------
    samples : pandas.DataFrame
        ``sample_id, volume`` (m3), ``depth_top, depth_bottom`` (m).
    counts : pandas.DataFrame
        ``sample_id, taxon, n`` and, where known, ``biovolume`` (mm3),
        ``carbon`` (mg) and ``weight``.
    taxa : list of str, optional
        Taxa that were searched for in these samples; those of `counts`
        unless given.

    Returns
    -------
    pandas.DataFrame
        ``sample_id, taxon, n`` (objects seen), ``volume`` (m3),
        ``number_concentration`` (m-3), ``biovolume_concentration``
        (mm3 m-3, NaN where biovolumes are unknown), ``carbon_biomass`` (mg
        m-3, where the counts have carbon) and ``number_integral`` (m-2, over
        the depth range of the sample).

    Raises
    ------
    UserError
        A count belongs to no sample, or to one without a volume.
    """
    taxa = list(dict.fromkeys(counts["taxon"])) if taxa is None else list(taxa)
    volume = samples.set_index("sample_id")["volume"]
    strange = ~counts["sample_id"].isin(volume.index[volume > 0])
    if strange.any():
        raise UserError(
            f"sample {counts.loc[strange, 'sample_id'].iloc[0]!r} has counts and no volume above 0 m3; {int(strange.sum())} such counts."
        )
    weight = counts["weight"].fillna(1.0) if "weight" in counts else 1.0
    masses = [name for name in ("biovolume", "carbon") if name in counts]
    table = counts.assign(_n=counts["n"] * weight, **{f"_{name}": counts[name] * weight for name in masses})
    sums = summed(table, ["sample_id", "taxon"], ["n", "_n", *(f"_{name}" for name in masses)])
    sums = sums.set_index(["sample_id", "taxon"])
    index = pd.MultiIndex.from_product([volume.index[volume > 0], taxa], names=["sample_id", "taxon"])
    whole = sums.reindex(index)
    absent = ~index.isin(sums.index)
    whole.loc[absent, :] = 0.0
    whole = whole.reset_index()
    own = samples.set_index("sample_id").loc[whole["sample_id"]]
    whole["volume"] = own["volume"].to_numpy()
    whole["number_concentration"] = whole["_n"] / whole["volume"]
    whole["biovolume_concentration"] = whole["_biovolume"] / whole["volume"] if "biovolume" in counts else np.nan
    if "carbon" in counts:
        whole["carbon_biomass"] = whole["_carbon"] / whole["volume"]
    whole["number_integral"] = whole["number_concentration"] * (own["depth_bottom"] - own["depth_top"]).to_numpy()
    return whole.drop(columns=["_n", *(f"_{name}" for name in masses)])
