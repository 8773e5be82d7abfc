"""Casts to zones: counts, volumes and size classes summed over depth, with the coverage of each zone.

The concentration of a zone is the sum of the counts over the sum of the
volumes of its samples, not a mean of the concentrations of its bins: bins
differ in volume, and those without any object count too.
"""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import SAMPLES, summed, typed

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
        Columns of `aqqua_dist.core.tables.SAMPLES`. Samples of one
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
    rows = (
        pd.concat(pieces, ignore_index=True)
        if pieces
        else pd.DataFrame(columns=[*samples.columns, "zone", "inside", "zone_top", "zone_bottom"])
    )
    _refuse_overlaps(rows)
    rows["share"] = rows["inside"] / (rows["zone_bottom"] - rows["zone_top"])
    first = ["cruise", "instrument", "time", "lat", "lon", "effort_rule", "flags", "source", "zone_top", "zone_bottom"]
    grouped = rows.groupby(_KEYS, sort=False)
    pooled = grouped[first].first()
    pooled["volume"] = grouped["volume"].sum(min_count=1)
    pooled["n_images"] = grouped["n_images"].sum(min_count=1)
    weighted = (
        (rows["volume_rel_sd"] * rows["volume"]).groupby([rows[key] for key in _KEYS], sort=False).sum(min_count=1)
    )
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
    return rows.assign(
        zone=name,
        inside=np.where(thin[mine], thickness[mine], inside[mine]),
        zone_top=float(top),
        zone_bottom=float(bottom),
    )


def _refuse_overlaps(rows):
    order = rows.sort_values([*_KEYS, "depth_top", "depth_bottom"])
    same = (order[_KEYS] == order[_KEYS].shift()).all(axis=1)
    over = same & (order["depth_top"] < order["depth_bottom"].shift() - 1e-6)
    if over.any():
        row, other = order[over].iloc[0], order.shift()[over].iloc[0]
        raise UserError(
            f"profile {row['profile']!r}: samples {other['sample_id']!r} and {row['sample_id']!r} overlap in depth ({int(over.sum())} such pairs); "
            "their water would count twice."
        )


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
    return summed(joined, keys, numbers)[list(counts.columns)]


def parse_zone(text):
    """Zone written as its two depths.

    Parameters
    ----------
    text : str
        Such as ``0-200``.

    Returns
    -------
    tuple
        Name, top and bottom (m).

    Raises
    ------
    UserError
        The text is nothing of the kind.
    """
    parts = text.split("-")
    try:
        top, bottom = map(float, parts)
    except ValueError:
        raise UserError(f"zone {text!r} is not two depths in m joined by a hyphen, as 0-200.") from None
    if not 0 <= top < bottom < 12000:
        raise UserError(f"zone {text!r}: the first depth must be above the second, both within 0 and 12000 m.")
    return text, top, bottom
