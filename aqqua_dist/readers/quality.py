"""What is odd in samples, objects and counts: cheap detectors, run on every ingest, and a report to read.

A detector never changes a table. It adds a row to the findings, which says
what was found, where, and what is expected.
"""

import json
from functools import lru_cache

import numpy as np
import pandas as pd
import shapely

from aqqua_dist.core.paths import package_data
from aqqua_dist.core.tables import FINDINGS, SENTINELS, each_water_once, finding, typed
from aqqua_dist.organisms import sizes
from aqqua_dist.organisms.labels import parse_label, read_words

INSIDE_LAND = 0.5
"""A position further than this inside land (degrees) is reported; the outline is coarse (1:110 million)."""
NET_VOLUME = (0.1, 5000.0)
"""Plausible filtered volume of a net (m3), before its sample was split."""
SPLIT_RULES = r"^(?:zooscan|zoocam|PSSdb) "
"""Rules that give the volume after the split; they flag the filtered volume themselves (``tot_vol unusual``)."""
USUAL_FLAGS = ("fractions add", "acquisitions share one volume")
"""Flags of what is as it should be."""
FLAGS = {
    "tot_vol unusual": " (the filtered volume lies outside 0.1-5000 m3; litres?)",
    "fishingvolume unusual": " (the filtered volume lies outside 0.1-5000 m3; litres?)",
    "image_volume unusual": " (the volume of an image lies outside 0.48-1.13 L)",
    "sub_part no power of 2": " (a Motoda box halves; was another splitter used?)",
    "d1 split more than d2": " (the coarse fraction is usually split less than the fine one; were they exchanged?)",
    "scan names no fraction": " (several scans of one sample were added as fractions, though their ids name none)",
    "acquisitions pooled": " (several acquisitions of one sample were taken as repeats: counts and volumes add)",
}
"""What a flag means, and what it may come from."""
VALIDATED_SHARE, ARTEFACT_SHARE = 0.95, 0.2
"""Shares of a sample's objects that PSSdb flags: fewer validated, more artefacts."""
PIXEL = (0.05, 1000.0)
"""Plausible size of a pixel (µm)."""


def examine(ingested):
    """Findings of all detectors.

    Parameters
    ----------
    ingested : aqqua_dist.core.tables.Ingested
        What a reader returned.

    Returns
    -------
    pandas.DataFrame
        Columns `aqqua_dist.core.tables.FINDINGS`: those of the reader,
        then those of the detectors.
    """
    found = []
    for detector in (_positions, _sentinels, _depths, _times, _volumes, _flags, _twins):
        found += detector(ingested.samples)
    labels = pd.concat(
        [tally(ingested.objects), ingested.extra.get("tally", tally(ingested.objects[:0]))], ignore_index=True
    )
    for detector in (_statuses, _artefacts):
        found += detector(labels)
    found += _pixels(ingested.objects)
    found += _counts(ingested.samples, ingested.counts)
    if not found:
        return ingested.findings
    return pd.concat([ingested.findings, typed(pd.DataFrame(found), FINDINGS)], ignore_index=True)


def tally(objects):
    """Number of objects by sample, acquisition, label and status.

    Parameters
    ----------
    objects : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.OBJECTS`.

    Returns
    -------
    pandas.DataFrame
        ``sample_id, acquisition_id, label, status, n``, for the detectors;
        what is counted is counted from the objects.
    """
    return (
        objects.groupby(["sample_id", "acquisition_id", "label", "status"], dropna=False).size().reset_index(name="n")
    )


def of_objects(ingested):
    """Findings of the reader, and of the detectors that need every object.

    Parameters
    ----------
    ingested : aqqua_dist.core.tables.Ingested
        What a reader returned.

    Returns
    -------
    pandas.DataFrame
        Columns `aqqua_dist.core.tables.FINDINGS`.
    """
    found = _pixels(ingested.objects) + _unsized(ingested.objects)
    return (
        pd.concat([ingested.findings, typed(pd.DataFrame(found), FINDINGS)], ignore_index=True)
        if found
        else ingested.findings
    )


def report(findings, samples):
    """Findings as Markdown.

    Parameters
    ----------
    findings : pandas.DataFrame
        From `examine`.
    samples : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.SAMPLES`.

    Returns
    -------
    str
        A heading, what was read, and one table per severity.
    """
    volume = each_water_once(samples)["volume"]
    lines = [
        "# Quality of the input",
        "",
        f"{len(samples)} samples, {int(samples['volume'].notna().sum())} with a sampled volume ({volume.sum():.4g} m3 in all), "
        f"{samples['cruise'].nunique()} cruises.",
        "",
    ]
    titles = {"refused": "Refused", "repaired": "Repaired", "suspicious": "Suspicious"}
    for severity, title in titles.items():
        rows = findings[findings["severity"] == severity]
        lines += [f"## {title}", ""]
        if rows.empty:
            lines += ["Nothing.", ""]
            continue
        lines += ["| check | what | file | row | column |", "|---|---|---|--:|---|"]
        for row in rows.itertuples():
            cells = (row.check, row.message, row.file, row.row, row.column)
            lines.append(
                "| " + " | ".join("" if pd.isna(cell) else str(cell).replace("|", "\\|") for cell in cells) + " |"
            )
        lines.append("")
    return "\n".join(lines)


def _some(rows):
    """Names of the first rows, and how many there are."""
    names = ", ".join(rows["sample_id"].head(3))
    return f"{len(rows)} samples ({names}{', …' if len(rows) > 3 else ''})"


@lru_cache(maxsize=1)
def _land():
    features = json.loads(package_data("land_110m.geojson").read_text(encoding="utf-8"))["features"]
    inside = shapely.union_all([shapely.geometry.shape(f["geometry"]) for f in features]).buffer(-INSIDE_LAND)
    shapely.prepare(inside)
    return inside


def _positions(samples):
    found, known = [], samples["lat"].notna() & samples["lon"].notna()
    if (~known).any():
        found.append(
            finding("suspicious", "position", f"{_some(samples[~known])} have no position; they cannot be mapped.")
        )
    null = known & (samples["lat"] == 0) & (samples["lon"] == 0)
    if null.any():
        found.append(
            finding("suspicious", "position", f"{_some(samples[null])} lie at 0 N, 0 E, which often stands for none.")
        )
    land = known & ~null & shapely.contains_xy(_land(), samples["lon"].fillna(0), samples["lat"].fillna(0))
    if land.any():
        row = samples[land].iloc[0]
        found.append(
            finding(
                "suspicious",
                "position",
                f"{_some(samples[land])} lie on land, first {row['lat']:g} N, {row['lon']:g} E; a sign of the longitude?",
            )
        )
    return found


def _sentinels(samples):
    found = []
    for column in ("lat", "lon", "depth_top", "depth_bottom", "volume"):
        rows = samples[samples[column].isin(SENTINELS)]
        if len(rows):
            found.append(
                finding(
                    "suspicious",
                    "sentinel",
                    f"{_some(rows)} have {column} {rows[column].iloc[0]:g}, which often stands for none.",
                    column=column,
                    value=rows[column].iloc[0],
                )
            )
    return found


def _depths(samples):
    found = []
    missing = samples["depth_top"].isna() | samples["depth_bottom"].isna()
    if missing.any():
        found.append(finding("suspicious", "depth", f"{_some(samples[missing])} have no depth range."))
    upside = samples["depth_top"] > samples["depth_bottom"]
    if upside.any():
        found.append(
            finding(
                "suspicious", "depth", f"{_some(samples[upside])} begin below their end; the two depths are swapped?"
            )
        )
    return found


def _times(samples):
    found, times = [], samples["time"]
    if times.isna().any():
        found.append(finding("suspicious", "time", f"{_some(samples[times.isna()])} have no time."))
    clock = times.dropna().dt.strftime("%H:%M:%S")
    for usual in ("12:00:00", "00:00:00"):
        if len(clock) >= 5 and (clock == usual).all():
            found.append(finding("suspicious", "time", f"all {len(clock)} samples were taken at {usual}; a default?"))
    early = times < pd.Timestamp("1950-01-01", tz="UTC")
    if early.any():
        found.append(finding("suspicious", "time", f"{_some(samples[early])} are older than imaging instruments."))
    return found


def _volumes(samples):
    found, volume = [], samples["volume"]
    bad = volume <= 0
    if bad.any():
        found.append(
            finding(
                "suspicious",
                "volume",
                f"{_some(samples[bad])} have a volume of {volume[bad].iloc[0]:g} m3, needed is more than 0.",
            )
        )
    if volume.isna().any():
        found.append(
            finding(
                "suspicious",
                "volume",
                f"{_some(samples[volume.isna()])} have no sampled volume; no concentration can be given.",
            )
        )
    known = volume.dropna()
    if len(known) >= 5 and known.nunique() == 1:
        found.append(
            finding(
                "suspicious",
                "volume",
                f"all {len(known)} samples have the same volume, {known.iloc[0]:g} m3; a default?",
            )
        )
    whole = ~samples["effort_rule"].fillna("").str.contains(SPLIT_RULES)
    net = (
        whole
        & samples["instrument"].isin(["ZooScan", "ZooCAM"])
        & ((volume < NET_VOLUME[0]) | (volume > NET_VOLUME[1]))
    )
    if net.any():
        found.append(
            finding(
                "suspicious",
                "volume",
                f"{_some(samples[net])} of nets filtered {volume[net].iloc[0]:g} m3, plausible are "
                f"{NET_VOLUME[0]:g}-{NET_VOLUME[1]:g}; litres?",
            )
        )
    empty = samples["n_images"].fillna(1) <= 0
    if (empty & (volume > 0)).any():
        found.append(
            finding("suspicious", "volume", f"{_some(samples[empty & (volume > 0)])} have a volume and no image.")
        )
    return found


def _flags(samples):
    """Flags of the effort rules, each once with its samples."""
    words = samples[["sample_id"]].assign(flag=samples["flags"].fillna("").str.split(";")).explode("flag")
    words = words[~words["flag"].isin(["", *USUAL_FLAGS])]
    return [
        finding("suspicious", "effort", f"{_some(rows)}: {word}{FLAGS.get(word, '')}.", column="flags", value=word)
        for word, rows in words.groupby("flag", sort=True)
    ]


def _unsized(objects):
    """Objects without a size: their taxa have no biovolume and no carbon."""
    lost = objects["esd"].isna() & sizes.biovolumes(objects).isna()
    if not lost.any() or objects.empty:
        return []
    labels = objects.loc[lost, "label"].fillna("unlabelled").value_counts()
    shown = ", ".join(f"{label} {count}" for label, count in labels.head(3).items())
    who = "all" if lost.all() else f"{int(lost.sum())} of {len(objects)}"
    text = f"{who} objects have no size ({shown}{', …' if len(labels) > 3 else ''}); biovolume and carbon of their taxa are unknown."
    return [finding("suspicious", "size", text, value=int(lost.sum()))]


def _twins(samples):
    keys = ["time", "lat", "lon", "depth_top", "depth_bottom"]
    known = samples.dropna(subset=["time", "lat", "lon"])
    twins = known[known.duplicated(keys, keep=False)]
    if twins.empty:
        return []
    first = known[known[keys].eq(twins.iloc[0][keys]).all(axis=1)]["sample_id"].head(2)
    return [
        finding(
            "suspicious",
            "duplicate",
            f"{_some(twins)} share time, place and depth, first {' and '.join(first)}; the same water twice?",
        )
    ]


def _share(labels, wanted):
    """Share of the objects of each sample for which `wanted` holds."""
    return (
        labels["n"].where(wanted, 0).groupby(labels["sample_id"]).sum() / labels["n"].groupby(labels["sample_id"]).sum()
    )


def _statuses(labels):
    known = labels.dropna(subset="status")
    if known.empty:
        return []
    share = _share(known, known["status"] == "validated")
    low = share[(share < VALIDATED_SHARE) & (share > 0)]
    found = []
    if len(low):
        found.append(
            finding(
                "suspicious",
                "status",
                f"{len(low)} samples are validated in part, least {100 * low.min():.0f} % in {low.idxmin()}; validated and "
                "predicted objects must not be mixed without a correction.",
            )
        )
    if (share == 0).any():
        found.append(finding("suspicious", "status", f"{int((share == 0).sum())} samples hold no validated object."))
    return found


def _artefacts(labels):
    known = labels.dropna(subset="label")
    if known.empty:
        return []
    words = read_words()
    living = {label: parse_label(label, words=words).living for label in known["label"].unique()}
    share = _share(known, known["label"].map(living).eq(False))
    high = share[share > ARTEFACT_SHARE]
    if high.empty:
        return []
    return [
        finding(
            "suspicious",
            "artefacts",
            f"{len(high)} samples hold more than {100 * ARTEFACT_SHARE:.0f} % of labels that do not live, most "
            f"{100 * high.max():.0f} % in {high.idxmax()}.",
        )
    ]


def _pixels(objects):
    pixel = objects["pixel"].dropna()
    odd = pixel[(pixel < PIXEL[0]) | (pixel > PIXEL[1])]
    if odd.empty:
        return []
    return [
        finding(
            "suspicious",
            "pixel",
            f"{len(odd)} objects have a pixel of {odd.iloc[0]:g} µm, plausible are {PIXEL[0]:g}-{PIXEL[1]:g}; mm?",
            column="pixel",
            value=odd.iloc[0],
        )
    ]


def _counts(samples, counts):
    found, n = [], counts["n"]
    if (n < 0).any():
        found.append(finding("suspicious", "count", f"{int((n < 0).sum())} counts are negative, least {n.min():g}."))
    whole = np.isclose(n.fillna(0), n.fillna(0).round(), atol=1e-6)
    if (~whole).any():
        found.append(
            finding(
                "suspicious",
                "count",
                f"{int((~whole).sum())} counts are no whole numbers, first {n[~whole].iloc[0]:g}; concentrations?",
            )
        )
    without = counts["sample_id"].isin(samples.loc[~(samples["volume"] > 0), "sample_id"])
    if without.any():
        found.append(finding("suspicious", "count", f"{int(without.sum())} counts belong to samples without a volume."))
    return found
