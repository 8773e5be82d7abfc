"""Samples to zones: concentrations of taxa and size spectra per profile and zone, and why there are none."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist.concentrations import sorting
from aqqua_dist.concentrations.zones import COVERAGE, pooled_counts, zone_samples
from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import SAMPLES, typed
from aqqua_dist.spectra import spectrum

SPECTRUM = [
    "esd_low",
    "esd_high",
    "n",
    "volume",
    "number_concentration",
    "number_density",
    "biovolume_concentration",
    "biovolume_density",
]
PLACE = ["profile", "zone", "cruise", "time", "lat", "lon", "depth_top", "depth_bottom"]


@dataclass(frozen=True)
class Pooling:
    """How samples become zones.

    Attributes
    ----------
    zones : tuple of tuple
        Name, top and bottom (m, positive down).
    coverage : float
        Share of a zone that a profile must cover.
    least : float
        Share of the objects of a profile and zone that must count.
    """

    zones: tuple
    coverage: float = COVERAGE
    least: float = 0.0


@dataclass(frozen=True)
class Pooled:
    """Profiles and zones.

    Attributes
    ----------
    samples : pandas.DataFrame
        From `aqqua_dist.concentrations.zones.zone_samples`, with
        ``share_counted``; those without taxa too, which may have particles.
    belongs : pandas.DataFrame
        Which sample goes to which of them.
    dropped : pandas.DataFrame
        ``profile, zone, coverage`` of profiles that cover too little.
    valued : pandas.DataFrame
        Those of `samples` in which taxa were looked for and enough objects
        count.
    left_out : pandas.DataFrame
        The others in which taxa were looked for, with the reason.
    """

    samples: pd.DataFrame
    belongs: pd.DataFrame
    dropped: pd.DataFrame
    valued: pd.DataFrame
    left_out: pd.DataFrame


def pool(samples, pooling):
    """Pool samples over zones.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.SAMPLES` and, where known,
        `aqqua_dist.concentrations.sorting.COLUMNS`.
    pooling : Pooling
        Zones and rules.

    Returns
    -------
    Pooled

    Raises
    ------
    UserError
        No profile covers a zone.
    """
    known = {"searched": True, "n_counted": np.nan, "n_objects": np.nan, "unsorted_part": False}
    more = pd.DataFrame(
        {name: samples[name] if name in samples else value for name, value in known.items()}, samples.index
    )
    table = typed(samples, SAMPLES)
    pooled, belongs, dropped = zone_samples(table, pooling.zones, coverage=pooling.coverage)
    if pooled.empty:
        volumes = int((table["volume"] > 0).sum())
        told = f" ({volumes} of them with a volume)" if volumes < len(table) else ""
        raise UserError(
            f"none of {len(table)} samples{told} covers {pooling.coverage:.0%} of a zone among "
            f"{', '.join(name for name, _, _ in pooling.zones)}{_reach(table, dropped)}."
        )
    more = more.assign(sample_id=table["sample_id"].to_numpy())
    own = belongs.merge(more, on="sample_id").groupby("pooled_id", sort=False)
    sums = (
        own[["n_counted", "n_objects"]]
        .sum(min_count=1)
        .assign(searched=own["searched"].all(), unsorted_part=own["unsorted_part"].any())
    )
    pooled = pooled.join(sums, on="sample_id")
    pooled["share_counted"] = sorting.share_of(pooled)
    searched = pooled[pooled["searched"].astype(bool)]
    left_out = sorting.without_value(searched, pooling.least)
    valued = searched[~searched["sample_id"].isin(left_out["sample_id"])].reset_index(drop=True)
    return Pooled(pooled, belongs, dropped, valued, left_out)


def counts_of(counts, pooled):
    """Counts of profiles and zones that have a value.

    Parameters
    ----------
    counts : pandas.DataFrame
        As for `aqqua_dist.concentrations.zones.pooled_counts`.
    pooled : Pooled
        From `pool`.

    Returns
    -------
    pandas.DataFrame
        Same columns.
    """
    belongs = pooled.belongs[pooled.belongs["pooled_id"].isin(pooled.valued["sample_id"])]
    return pooled_counts(counts[counts["sample_id"].isin(belongs["sample_id"])], belongs)


def why_empty(samples, pooled, pooling):
    """Why a table of zones has no row.

    Parameters
    ----------
    samples : pandas.DataFrame
        As for `pool`.
    pooled : Pooled
        From `pool`.
    pooling : Pooling
        Zones and rules.

    Returns
    -------
    str
        One sentence: profiles without taxa, those that cover too little and how far they reach, those that wait for labels.
    """
    table = typed(samples, SAMPLES)
    profile = table["profile"].fillna(table["sample_id"])
    silent = set(profile[~samples["searched"].to_numpy(dtype=bool)]) if "searched" in samples else set()
    mine = pooled.dropped[~pooled.dropped["profile"].isin(silent)]
    words = []
    if silent:
        words.append(
            f"{len(silent)} profiles have no taxa (particles only: their export has no ZOO file, or nobody searched)"
        )
    if len(mine):
        reach = _reach(table[profile.isin(mine["profile"]).to_numpy()], mine)
        words.append(f"{mine['profile'].nunique()} profiles cover less than {pooling.coverage:.0%} of each zone{reach}")
    if len(pooled.left_out):
        words += [text.rstrip(".") for text in sorting.sentences(pooled.left_out, "profiles and zones")]
    if len(pooled.valued):
        words.append(f"no taxon was counted in {pooled.valued['profile'].nunique()} profiles")
    return f"zone_concentrations is empty: {'; '.join(words) or 'no profile lies in a zone'}."


def _reach(samples, dropped):
    """How far profiles reach, and what would take them in."""
    bottom = samples.groupby(samples["profile"].fillna(samples["sample_id"]))["depth_bottom"].max().dropna()
    if bottom.empty:
        return ""
    told = f" (half of the {len(bottom)} profiles reach {bottom.median():g} m, the deepest {bottom.max():g} m"
    if len(dropped):
        best = dropped.loc[dropped["coverage"].idxmax()]
        told += f"; the most covered is {best['coverage']:.2f} of {best['zone']}"
    return f"{told}; try a shallower --zone, or --coverage)"


def spectra_of(particles, samples, pooling):
    """Size spectra of profiles and zones.

    Parameters
    ----------
    particles : pandas.DataFrame
        ``sample_id, esd_low, esd_high`` (µm), ``n, biovolume`` (mm3).
    samples : pandas.DataFrame
        Samples in which particles were counted (`aqqua_dist.core.tables.of_role`).
    pooling : Pooling
        Zones and rules.

    Returns
    -------
    pandas.DataFrame
        `PLACE`, ``sample_id`` and `SPECTRUM`.
    """
    pooled, belongs, _ = zone_samples(typed(samples, SAMPLES), pooling.zones, coverage=pooling.coverage)
    mine = pooled_counts(particles[particles["sample_id"].isin(belongs["sample_id"])], belongs)
    seen = pooled[pooled["sample_id"].isin(mine["sample_id"])]
    place = pooled.set_index("sample_id")[PLACE]
    return spectrum.spectra(seen, mine).join(place, on="sample_id")[[*PLACE, "sample_id", *SPECTRUM]]


def write(tables, folder, origin):
    """Write tables of zones as Parquet and as CSV, with their units.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        By name, such as ``zone_concentrations``.
    folder : pathlib.Path
        Gets two files for each.
    origin : aqqua_dist.core.provenance.Provenance
        Kept with each file.
    """
    for name, table in tables.items():
        files.write_parquet(table, folder / f"{name}.parquet", origin)
        files.write_csv(table, folder / f"{name}.csv", origin)
