"""Casts to zones: counts, volumes and size classes summed over depth, with the coverage of each zone.

The concentration of a zone is the sum of the counts over the sum of the
volumes of its samples, not a mean of the concentrations of its bins: bins
differ in volume, and those without any object count too.
"""

import numpy as np
import pandas as pd

from aqqua_dist.errors import UserError
from aqqua_dist.readers.ingested import SAMPLES, typed

COVERAGE = 0.8
"""Share of a zone that a profile must cover (Drago et al. 2022, doi 10.3389/fmars.2022.894372; Laget et al. 2024)."""
BIN_SHARE = 0.1
"""A sample thinner than this share of the zone is a bin, and belongs to the zone that holds its centre."""
_KEYS = ["profile", "zone"]


def zone_samples(samples, zones, *, coverage=COVERAGE):
    """Samples of each profile pooled over each zone.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns of `aqqua_dist.readers.ingested.SAMPLES`. Samples of one
        ``profile`` are the depth bins of a cast; a sample without one is a
        profile of its own.
    zones : list of tuple
        Name, top and bottom (m, positive down).
    coverage : float
        Share of the zone's thickness that the samples of a profile must
        cover; a profile below it is left out of the zone.

    Returns
    -------
    pooled : pandas.DataFrame
        One row per profile and zone: columns of ``samples`` (volume in m3,
        depths those of the zone, ``sample_id`` of the form
        ``<profile>_<zone>``), ``zone``, ``coverage`` (share) and
        ``n_samples``.
    members : pandas.DataFrame
        ``sample_id`` of each sample used, and the ``pooled_id`` that it went
        to.
    dropped : pandas.DataFrame
        ``profile, zone, coverage`` of what was left out.

    Raises
    ------
    UserError
        A zone without thickness, a coverage outside [0, 1], or samples of
        one profile that overlap in depth, whose volume would count twice.
    """
    if not 0 <= coverage <= 1:
        raise UserError(f"coverage {coverage!r} of a zone is outside [0, 1].")
    pieces = [_in_zone(samples, *zone) for zone in zones]
    rows = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=[*samples.columns, "zone", "inside", "zone_top", "zone_bottom"])
    _refuse_overlaps(rows)
    rows["share"] = rows["inside"] / (rows["zone_bottom"] - rows["zone_top"])
    first = ["cruise", "instrument", "time", "lat", "lon", "effort_rule", "flags", "source", "zone_top", "zone_bottom"]
    grouped = rows.groupby(_KEYS, sort=False)
    pooled = grouped[first].first()
    pooled["volume"] = grouped["volume"].sum(min_count=1)
    pooled["n_images"] = grouped["n_images"].sum(min_count=1)
    weighted = (rows["volume_rel_sd"] * rows["volume"]).groupby([rows[key] for key in _KEYS], sort=False).sum(min_count=1)
    pooled["volume_rel_sd"] = weighted / pooled["volume"]  # one calibration for all bins: the errors do not average out
    pooled["coverage"], pooled["n_samples"] = grouped["share"].sum().clip(upper=1.0), grouped.size()
    pooled = pooled.reset_index().rename(columns={"zone_top": "depth_top", "zone_bottom": "depth_bottom"})
    pooled["sample_id"] = pooled["profile"].astype(str) + "_" + pooled["zone"]
    enough = pooled["coverage"] >= coverage - 1e-9
    kept = pooled[enough].reset_index(drop=True)
    members = rows[["sample_id"]].assign(pooled_id=rows["profile"].astype(str) + "_" + rows["zone"])
    members = members[members["pooled_id"].isin(kept["sample_id"])].reset_index(drop=True)
    table = pd.concat([typed(kept, SAMPLES), kept[["zone", "coverage", "n_samples"]]], axis=1)
    return table, members, pooled.loc[~enough, [*_KEYS, "coverage"]].reset_index(drop=True)


def _in_zone(samples, name, top, bottom):
    """Samples that belong to a zone, with the depth that they share with it."""
    if not (np.isfinite(top) and np.isfinite(bottom) and top < bottom):
        raise UserError(f"zone {name!r}: top {top!r} m must be above bottom {bottom!r} m.")
    above, below = samples["depth_top"], samples["depth_bottom"]
    thickness, centre = below - above, (above + below) / 2
    inside = (np.minimum(below, bottom) - np.maximum(above, top)).clip(lower=0)
    held = (centre >= top) & (centre < bottom)
    thin = thickness <= BIN_SHARE * (bottom - top)
    mine = held & (thin | (inside >= COVERAGE * thickness)) & (samples["volume"] > 0)
    rows = samples[mine].copy()
    rows["profile"] = rows["profile"].fillna(rows["sample_id"])
    return rows.assign(zone=name, inside=np.where(thin[mine], thickness[mine], inside[mine]), zone_top=float(top), zone_bottom=float(bottom))


def _refuse_overlaps(rows):
    order = rows.sort_values([*_KEYS, "depth_top", "depth_bottom"])
    same = (order[_KEYS] == order[_KEYS].shift()).all(axis=1)
    over = same & (order["depth_top"] < order["depth_bottom"].shift() - 1e-6)
    if over.any():
        row, other = order[over].iloc[0], order.shift()[over].iloc[0]
        raise UserError(
            f"profile {row['profile']!r}: samples {other['sample_id']!r} and {row['sample_id']!r} overlap in depth ({int(over.sum())} such pairs); "
            "their water would count twice.")


def pooled_counts(counts, members):
    """Counts summed over the samples of a profile and zone.

    Parameters
    ----------
    counts : pandas.DataFrame
        ``sample_id`` with ``n`` and, where known, ``biovolume`` (mm3) and
        ``carbon`` (mg), and keys such as ``taxon, method, weight`` or ``esd_low, esd_high``.
    members : pandas.DataFrame
        From `zone_samples`.

    Returns
    -------
    pandas.DataFrame
        Same columns, ``sample_id`` that of the pooled sample; counts of
        samples outside the zones are left out.
    """
    numbers = [name for name in ("n", "biovolume", "carbon") if name in counts]
    keys = ["sample_id", *(name for name in counts if name not in ("sample_id", *numbers))]
    joined = counts.merge(members, on="sample_id").drop(columns="sample_id").rename(columns={"pooled_id": "sample_id"})
    if joined.empty:
        return counts.iloc[:0].copy()
    grouped = joined.assign(**{f"_{name}": joined[name].isna() for name in numbers}).groupby(keys, sort=False, dropna=False)
    found = grouped.agg({name: "sum" for name in numbers} | {f"_{name}": "any" for name in numbers}).reset_index()
    for name in numbers:
        found[name] = found[name].mask(found[f"_{name}"])  # a sum of which a part is unknown is unknown
    return found[list(counts.columns)]


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
        raise UserError(f"sample {counts.loc[strange, 'sample_id'].iloc[0]!r} has counts and no volume above 0 m3; {int(strange.sum())} such counts.")
    weight = counts["weight"].fillna(1.0) if "weight" in counts else 1.0
    masses = [name for name in ("biovolume", "carbon") if name in counts]
    table = counts.assign(_n=counts["n"] * weight, **{f"_{name}": counts[name] * weight for name in masses})
    table = table.assign(**{f"_no_{name}": counts[name].isna() for name in masses})
    sums = table.groupby(["sample_id", "taxon"]).agg(
        {"n": "sum", "_n": "sum"} | {f"_{name}": "sum" for name in masses} | {f"_no_{name}": "any" for name in masses})
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
    classes = particles[["esd_low", "esd_high"]].drop_duplicates().sort_values(["esd_low", "esd_high"]).reset_index(drop=True)
    over = classes["esd_low"] < classes["esd_high"].shift() - 1e-9
    if over.any():
        row, other = classes[over].iloc[0], classes.shift()[over].iloc[0]
        raise UserError(
            f"size classes {other['esd_low']:g}-{other['esd_high']:g} mm and {row['esd_low']:g}-{row['esd_high']:g} mm overlap; exports with "
            "different classes cannot stand in one table of spectra.")
    sums = particles.groupby(["sample_id", "esd_low", "esd_high"])[["n", "biovolume"]].sum()
    whole = samples[["sample_id", "volume"]].merge(classes, how="cross").join(sums, on=["sample_id", "esd_low", "esd_high"])
    whole[["n", "biovolume"]] = whole[["n", "biovolume"]].fillna(0.0)
    width = whole["esd_high"] - whole["esd_low"]
    width = width.where(width < 1e3)  # the last class is open
    whole["number_concentration"] = whole["n"] / whole["volume"]
    whole["number_density"] = whole["number_concentration"] / width
    whole["biovolume_concentration"] = whole["biovolume"] / whole["volume"]
    whole["biovolume_density"] = whole["biovolume_concentration"] / width
    return whole.drop(columns="biovolume")
