"""Ingested tables to zones: concentrations of taxa and size spectra per profile and zone."""

from dataclasses import dataclass

import pandas as pd

from aqqua_dist.concentrations.concentrations import concentrations
from aqqua_dist.concentrations.zones import COVERAGE, pooled_counts, zone_samples
from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import label_counts
from aqqua_dist.organisms import rollup
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
    statuses : tuple of str
        Statuses of objects that are counted.
    taxa : tuple of str
        Taxa to sum labels to; empty: every label by itself.
    leave_out : tuple of str
        Qualifiers of labels that are not counted as their taxon.
    """

    zones: tuple
    coverage: float = COVERAGE
    statuses: tuple = ("validated",)
    taxa: tuple = ()
    leave_out: tuple = rollup.LEFT_OUT


@dataclass(frozen=True)
class Zonal:
    """Tables per profile and zone.

    Attributes
    ----------
    samples : pandas.DataFrame
        From `aqqua_dist.concentrations.zones.zone_samples`.
    concentrations : pandas.DataFrame
        `PLACE`, ``taxon`` and the columns of
        `aqqua_dist.concentrations.zones.concentrations`; zeros where a taxon was
        searched for and not found, no row where nobody searched.
    spectra : pandas.DataFrame
        `PLACE` and the columns of `aqqua_dist.concentrations.zones.spectra`.
    dropped : pandas.DataFrame
        ``profile, zone, coverage`` of profiles that cover too little.
    """

    samples: pd.DataFrame
    concentrations: pd.DataFrame
    spectra: pd.DataFrame
    dropped: pd.DataFrame


def pool(tables, pooling):
    """Pool ingested tables over zones.

    Parameters
    ----------
    tables : aqqua_dist.core.tables.Ingested
        From a reader or `aqqua_dist.readers.ingest.ingest`.
    pooling : Pooling
        Zones and rules.

    Returns
    -------
    Zonal
        Concentrations and spectra.

    Raises
    ------
    UserError
        No profile covers a zone, or a taxon is unknown to the labels.
    """
    samples, members, dropped = zone_samples(tables.samples, pooling.zones, coverage=pooling.coverage)
    if samples.empty:
        with_volume = int((tables.samples["volume"] > 0).sum())
        raise UserError(
            f"none of {len(tables.samples)} samples ({with_volume} of them with a volume) covers {pooling.coverage:.0%} of a zone among "
            f"{', '.join(name for name, _, _ in pooling.zones)}."
        )
    counts = _counts(tables, pooling)
    counts = pooled_counts(counts[counts["sample_id"].isin(members["sample_id"])], members)
    searched = samples[samples["profile"].isin(_searched(tables, samples))]
    found = concentrations(searched, counts, list(pooling.taxa) or None)
    particles = tables.extra.get(
        "particles", pd.DataFrame(columns=["sample_id", "esd_low", "esd_high", "n", "biovolume"])
    )
    particles = pooled_counts(particles[particles["sample_id"].isin(members["sample_id"])], members)
    seen = samples[samples["sample_id"].isin(particles["sample_id"])]
    place = samples.set_index("sample_id")[PLACE]
    return Zonal(
        samples,
        found.join(place, on="sample_id")[[*PLACE, *found.columns]],
        spectrum.spectra(seen, particles).join(place, on="sample_id")[[*PLACE, "sample_id", *SPECTRUM]],
        dropped,
    )


def _counts(tables, pooling):
    tally = tables.extra.get("tally")
    counts = tables.counts
    if tally is not None and len(tally):
        counts = pd.concat(
            [counts, label_counts.label_counts(tally, tables.extra.get("acquisitions"), statuses=pooling.statuses)],
            ignore_index=True,
        )
    if not pooling.taxa:
        return counts
    known = tables.extra.get("taxa", pd.DataFrame(columns=["label", "hierarchy"]))
    name = (
        known["label"].fillna(known["taxon"])
        if {"label", "taxon"} <= set(known)
        else known["label" if "label" in known else "taxon"]
    )
    lines = dict(zip(name, known["hierarchy"].fillna(""), strict=True))
    return rollup.taxon_counts(counts, lines, list(pooling.taxa), leave_out=pooling.leave_out)


def _searched(tables, samples):
    """Profiles in which taxa were looked for; an export without its taxa says nothing about them."""
    known = tables.extra.get("searched")
    if known is None:
        return set(samples["profile"])
    return set(samples["profile"]) - set(known.loc[~known["searched"].astype(bool), "profile"])


def write(zonal, folder, origin):
    """Write the tables as CSV with their units beside them.

    Parameters
    ----------
    zonal : Zonal
        From `pool`.
    folder : pathlib.Path
        Gets ``zone_samples.csv``, ``zone_concentrations.csv``,
        ``zone_spectra.csv`` and ``zones_dropped.csv``.
    origin : aqqua_dist.core.provenance.Provenance
        Kept with each file.

    Returns
    -------
    list of pathlib.Path
        What was written.
    """
    tables = {
        "zone_samples": zonal.samples,
        "zone_concentrations": zonal.concentrations,
        "zone_spectra": zonal.spectra,
        "zones_dropped": zonal.dropped,
    }
    paths = []
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        files.write_csv(table, paths[-1], origin)
    return paths
