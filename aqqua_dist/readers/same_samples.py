"""One sample told by two formats: metadata and summaries beside the objects of the same sample join it.

Formats that have objects or counts come first; ZooProcess metadata fill what
they leave empty, down to volume and split of each scanned fraction; summaries
tell no more than position and time.
"""

import numpy as np
import pandas as pd

from aqqua_dist.core.tables import SAMPLES, Ingested, finding, typed
from aqqua_dist.effort.instruments import fraction_of
from aqqua_dist.effort.joined_casts import CHECK

NETS = "metadata"
SAME = (CHECK, NETS)
"""Names of the findings about samples of two sources."""

NEAR = {"lat": 0.01, "lon": 0.01, "depth_top": 1.0, "depth_bottom": 1.0}
"""Differences (degrees, m) that are none."""
ABOUT = ("cruise", "instrument", "time", "lat", "lon", "depth_top", "depth_bottom")
SCAN = {"sample_tot_vol": "volume", "acq_sub_part": "sub_part"}
"""Columns of EcoTaxa's acquisitions, and what ZooProcess calls the same."""


def merged(parts, found):
    """Parts in which no sample stands twice because of its metadata.

    Parameters
    ----------
    parts : list of aqqua_dist.core.tables.Ingested
        By format; those without objects and counts that tell of a sample of
        another part join it.
    found : list of dict
        Takes what was joined and what the formats disagree in.

    Returns
    -------
    list of aqqua_dist.core.tables.Ingested
        The same tables; two parts with objects of one sample stay as they
        are.
    """
    done = []
    for part in sorted(parts, key=_rank):
        for place, other in enumerate(done):
            both = set(part.samples["sample_id"]) & set(other.samples["sample_id"]) if _rank(part) else set()
            if both:
                done[place], part = _joined(other, part, both, found)
        done.append(part)
    return done


def _rank(part):
    """0 for what is counted, 1 for metadata of scanned fractions, 2 for what tells no more than place and time."""
    acquisitions = part.extra.get("acquisitions")
    if len(part.objects) or len(part.counts) or "tally" in part.extra:
        return 0
    if acquisitions is None:
        return 2 if "summaries" in part.extra else 0
    return 1 if {"fraction", "sub_part"} <= set(acquisitions) else 0


def _joined(main, part, both, found):
    """A part with what another one tells of its samples, and that other one without them."""
    mine = main.samples.set_index("sample_id")
    theirs = part.samples.set_index("sample_id")
    for name in sorted(both):
        for column in ABOUT:
            one, other = mine.loc[name, column], theirs.loc[name, column]
            if pd.isna(one) and pd.notna(other):
                mine.loc[name, column] = other
            elif pd.notna(one) and pd.notna(other) and _differ(one, other, column):
                text = f"{column} of sample {name!r} is {one} in {mine.loc[name, 'source']} and {other} in {theirs.loc[name, 'source']}; the first was taken."
                found.append(finding("suspicious", NETS, text, column=column, value=name))
    extra, rest = dict(main.extra), dict(part.extra)
    scans = part.extra.get("acquisitions")
    if scans is not None:
        rest["acquisitions"] = scans[~scans["sample_id"].isin(both)].reset_index(drop=True)
        if main.extra.get("acquisitions") is None:
            lost = scans[scans["sample_id"].isin(both)]
            extra["acquisitions"] = lost.reset_index(drop=True)
            mine.loc[sorted(both), ["volume", "effort_rule"]] = theirs.loc[sorted(both), ["volume", "effort_rule"]]
        else:
            volume = scans["sample_id"].map(theirs["volume"])
            extra["acquisitions"] = _scanned(main.extra["acquisitions"], scans.assign(volume=volume), both, found)
    text = f"{len(both)} samples, first {sorted(both)[0]!r}, are told by {theirs['source'].iloc[0]} and have objects elsewhere; the metadata were joined to them."
    found.append(finding("repaired", NETS, text, value=sorted(both)[0]))
    samples = typed(mine.reset_index(), SAMPLES)
    left = part.samples[~part.samples["sample_id"].isin(both)].reset_index(drop=True)
    return (
        Ingested(samples, main.objects, main.counts, main.findings, extra),
        Ingested(
            left, part.objects, part.counts, part.findings, {name: table for name, table in rest.items() if len(table)}
        ),
    )


def _differ(one, other, column):
    if column == "time":
        return abs(one - other) > pd.Timedelta(days=1)
    if column in NEAR:
        return abs(one - other) > NEAR[column]
    return column != "cruise" and str(one).lower() != str(other).lower()


def _fraction(text):
    """Name of a fraction and its place among the scans of it; None where the text names none."""
    match = fraction_of(str(text))
    return match and tuple(part and part.lower() for part in (match["name"], match["part"], match["parts"]))


def _scanned(acquisitions, scans, both, found):
    """Acquisitions with volume and split of the scans of the same fraction."""
    table = acquisitions.copy()
    for column in SCAN:
        table[column] = (
            table[column].astype(object) if column in table else pd.Series(np.nan, index=table.index, dtype=object)
        )
    ids = table["acquisition_id"] if "acquisition_id" in table else pd.Series("", index=table.index)
    held = {(row.sample_id, _fraction(row.fraction)): row for row in scans.itertuples() if row.sample_id in both}
    seen = set()
    for row in table.index[table["sample_id"].isin(both)]:
        key = (table.loc[row, "sample_id"], _fraction(ids[row]))
        scan = held.get(key) if key[1] else None
        if scan is None:
            text = f"acquisition {ids[row]!r} of sample {key[0]!r} is no fraction that the ZooProcess metadata name; nothing was taken from them."
            found.append(finding("suspicious", NETS, text, value=key[0]))
            continue
        seen.add(key)
        for column, theirs in SCAN.items():
            value, own = getattr(scan, theirs), pd.to_numeric(table.loc[row, column], errors="coerce")
            if pd.isna(own) and pd.notna(value):
                table.loc[row, column] = f"{value:g}"
            elif pd.notna(own) and pd.notna(value) and abs(own - value) > 1e-6 * abs(own):
                text = f"{column} of {ids[row]!r} is {own:g} in EcoTaxa and {value:g} in {scan.source}; the first was taken."
                found.append(finding("suspicious", NETS, text, column=column, value=ids[row]))
    for name, fraction in sorted(held.keys() - seen, key=str):
        text = f"fraction {held[name, fraction].fraction!r} of sample {name!r} was scanned and has no objects here; concentrations are without it."
        found.append(finding("suspicious", NETS, text, file=str(held[name, fraction].source), value=name))
    return table
