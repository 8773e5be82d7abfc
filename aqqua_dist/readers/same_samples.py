"""Samples that two sources tell of: casts of EcoPart with vignettes of EcoTaxa, nets of ZooProcess with scans of EcoTaxa."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from aqqua_dist.core.statuses import NO_WORDS
from aqqua_dist.core.tables import FINDINGS, SAMPLES, Ingested, finding, typed
from aqqua_dist.effort.joined_casts import CHECK, join_casts

NETS = "joined nets"
SAME = (CHECK, NETS)
"""Names of the findings about samples of two sources."""
RULE = "ZooProcess filtered volume"
"""Rule of samples that are ZooProcess metadata."""
FAR = 0.02
"""Degrees between the positions of one net in two sources that get a remark."""


def with_casts(whole):
    """Tables in which vignettes go to the bins of their casts.

    Parameters
    ----------
    whole : aqqua_dist.core.tables.Ingested
        Of all sources, before volumes are found. ``extra`` may hold
        ``ecopart_objects`` (``sample_id, object_id, place``), objects that
        EcoPart itself lists; they are the animals of EcoTaxa's.

    Returns
    -------
    ingested : aqqua_dist.core.tables.Ingested
        Samples that are casts of EcoPart have given way to the bins;
        ``extra`` has ``joined_casts``.
    twice : list of int
        Places of EcoPart's objects of these casts.
    """
    extra = dict(whole.extra)
    listed = extra.pop("ecopart_objects", None)
    whole = replace(whole, extra=extra)
    samples = whole.samples
    if "acquisitions" not in extra or samples["profile"].isna().all():
        return whole, []
    joins, found = join_casts(samples, extra["acquisitions"], samples, extra.get("casts"))
    if not found:
        return whole, []
    cast = samples.set_index("sample_id")["profile"]
    both = set(joins["profile"]) & set(whole.counts["sample_id"].map(cast).dropna())
    if both:
        text = (
            f"{len(both)} casts, first {sorted(both)[0]!r}, have vignettes of EcoTaxa and counts of EcoPart (table ZOO) of the same animals; one "
            "is kept where they are counted: the vignettes, or the counts where no vignette has a status that counts."
        )
        found.append(finding("repaired", CHECK, text, value=sorted(both)[0]))
    twice = []
    if listed is not None:
        mine = listed["sample_id"].map(cast).isin(joins["profile"])
        twice = listed.loc[mine, "place"].tolist()
        if twice:
            text = f"{len(twice)} objects that EcoPart lists are vignettes of EcoTaxa too; those of EcoTaxa are kept."
            found.append(finding("repaired", CHECK, text, value=listed.loc[mine, "object_id"].iloc[0]))
    kept = samples[~samples["sample_id"].isin(joins["sample_id"])].reset_index(drop=True)
    findings = pd.concat([whole.findings, typed(pd.DataFrame(found), FINDINGS)], ignore_index=True)
    return Ingested(
        kept, whole.objects, whole.counts, findings, extra | ({"joined_casts": joins} if len(joins) else {})
    ), twice


def merged_nets(parts):
    """Tables of sources in which a net of ZooProcess metadata and of EcoTaxa is one sample.

    Parameters
    ----------
    parts : list of aqqua_dist.core.tables.Ingested
        One per format.

    Returns
    -------
    list of aqqua_dist.core.tables.Ingested
        The sample stands with the objects; what its export does not tell
        (filtered volume, split of a fraction, position, time, depths) is that of
        the metadata.
    """
    nets = next((k for k, part in enumerate(parts) if (part.samples["effort_rule"] == RULE).any()), None)
    if nets is None:
        return parts
    parts, meta = list(parts), parts[nets]
    for k, part in enumerate(parts):
        ids = set(part.samples["sample_id"]) & set(meta.samples["sample_id"])
        if k == nets or not ids or "acquisitions" not in part.extra:
            continue
        parts[k] = _filled(part, meta, sorted(ids))
        kept = ~meta.samples["sample_id"].isin(ids)
        rows = meta.extra["acquisitions"]
        meta = replace(
            meta,
            samples=meta.samples[kept].reset_index(drop=True),
            extra=meta.extra | {"acquisitions": rows[~rows["sample_id"].isin(ids)].reset_index(drop=True)},
        )
    parts[nets] = meta
    return parts


def _filled(part, meta, ids):
    """Tables of EcoTaxa with what only the metadata tell, and a word about it."""
    net, found = meta.samples.set_index("sample_id"), []
    samples = part.samples.set_index("sample_id")
    for name in ("cruise", "time", "lat", "lon", "depth_top", "depth_bottom"):
        samples[name] = samples[name].fillna(net[name].reindex(samples.index))
    for one in ids:
        gap = np.abs([samples.at[one, name] - net.at[one, name] for name in ("lat", "lon")])
        if (gap > FAR).any():
            text = (
                f"sample {one!r} lies at {samples.at[one, 'lat']:.4f} N, {samples.at[one, 'lon']:.4f} E in EcoTaxa and at "
                f"{net.at[one, 'lat']:.4f} N, {net.at[one, 'lon']:.4f} E in {net.at[one, 'source']}; EcoTaxa's was taken."
            )
            found.append(finding("suspicious", NETS, text, value=one))
    table, told = _acquisitions(part.extra["acquisitions"], meta, net, ids, found)
    text = f"{len(ids)} samples, first {ids[0]!r}, have ZooProcess metadata and scans in EcoTaxa; they are one sample each{told}."
    found.append(finding("repaired", NETS, text, value=ids[0]))
    return Ingested(
        typed(samples.reset_index(), SAMPLES),
        part.objects,
        part.counts,
        pd.concat([part.findings, typed(pd.DataFrame(found), FINDINGS)], ignore_index=True),
        part.extra | {"acquisitions": table},
    )


def _acquisitions(table, meta, net, ids, found):
    """Acquisitions with the filtered volume and the split of the metadata where their own cell is empty."""
    fractions, table = meta.extra["acquisitions"], table.copy()
    lines = {"sample_tot_vol": {}, "acq_sub_part": {}}
    for place, row in table[table["sample_id"].isin(ids)].iterrows():
        lines["sample_tot_vol"][place] = net.at[row["sample_id"], "volume"]
        mine = fractions[fractions["sample_id"] == row["sample_id"]]
        words = re.split(r"[^a-z0-9]+", str(row["acquisition_id"]).lower())
        own = [f for f in mine.itertuples() if pd.notna(f.fraction) and f.fraction.lower() in words]
        if not own and len(mine) == 1:
            own = list(mine.itertuples())
        lines["acq_sub_part"][place] = own[0].sub_part if len(own) == 1 else np.nan
    taken = []
    for column, values in lines.items():
        told = pd.Series(values, dtype="float64").reindex(table.index)
        cells = table[column] if column in table else pd.Series("", index=table.index)
        cells = cells.fillna("").astype(str)
        empty = cells.str.strip().str.lower().isin(NO_WORDS)
        own = pd.to_numeric(cells.where(~empty), errors="coerce")
        differ = (own - told).abs() > 0.01 * told.abs()
        if differ.any():
            row = table[differ].iloc[0]
            text = (
                f"{column} of sample {row['sample_id']!r} is {own[differ].iloc[0]:g} in EcoTaxa and {told[differ].iloc[0]:g} in its ZooProcess metadata "
                f"({int(differ.sum())} such acquisitions); EcoTaxa's was taken."
            )
            found.append(finding("suspicious", NETS, text, column=column, value=row["sample_id"]))
        use = empty & told.notna()
        if use.any():
            taken.append(column)
            table[column] = cells.mask(use, told.map("{:.10g}".format))
    return table, f"; {' and '.join(taken)} are those of the metadata" if taken else ""
