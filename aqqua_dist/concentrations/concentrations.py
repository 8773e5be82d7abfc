"""Counts over sampled volumes, with the zeros of what was searched and not found."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError


def with_zeros(samples, counts, searched):
    """Counts with a row for every taxon that was searched for in a sample.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns ``sample_id`` and the one that `searched` is keyed by.
    counts : pandas.DataFrame
        Columns ``sample_id, taxon, n`` and, where known, ``biovolume``.
    searched : dict of str to list of str, or list of str
        Taxa that were looked for, per value of ``cruise`` (or for all): a
        taxon outside the list is missing in those samples, not zero.

    Returns
    -------
    pandas.DataFrame
        Columns ``sample_id, taxon, n`` (and ``biovolume``), one row per
        sample and taxon searched for; zeros where nothing was counted.

    Raises
    ------
    UserError
        A cruise has no list, or a count is of a taxon that its cruise did
        not search for.
    """
    cruise = (
        samples.set_index("sample_id")["cruise"]
        if isinstance(searched, dict)
        else pd.Series("", index=samples["sample_id"])
    )
    lists = searched if isinstance(searched, dict) else {"": list(searched)}
    missing = sorted(set(cruise.astype(object)) - set(lists), key=str)
    if missing:
        raise UserError(
            f"cruise {missing[0]!r} has no list of taxa that were searched for; {len(missing)} such cruises."
        )
    pairs = pd.DataFrame(
        [(sample, taxon) for sample, name in cruise.items() for taxon in lists[name]], columns=["sample_id", "taxon"]
    )
    numbers = [name for name in ("n", "biovolume") if name in counts]
    joined = pairs.merge(
        counts[["sample_id", "taxon", *numbers]], on=["sample_id", "taxon"], how="outer", indicator=True
    )
    strange = joined[joined["_merge"] == "right_only"]
    if len(strange):
        row = strange.iloc[0]
        raise UserError(
            f"sample {row['sample_id']!r} holds {row['taxon']!r}, which is not among the taxa searched for there; "
            f"{len(strange)} such counts."
        )
    absent = joined["_merge"] == "left_only"
    for name in numbers:
        joined[name] = np.where(absent, 0.0, joined[name].astype("float64"))
    return joined.drop(columns="_merge")


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
    table = table.assign(**{f"_no_{name}": counts[name].isna() for name in masses})
    sums = table.groupby(["sample_id", "taxon"]).agg(
        {"n": "sum", "_n": "sum"} | {f"_{name}": "sum" for name in masses} | {f"_no_{name}": "any" for name in masses}
    )
    for name in masses:
        sums[f"_{name}"] = sums[f"_{name}"].mask(sums.pop(f"_no_{name}"))
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
