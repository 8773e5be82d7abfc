"""Casts of EcoPart with vignettes of EcoTaxa: the vignettes go to the bins of their cast."""

from dataclasses import replace

import pandas as pd

from aqqua_dist.core.tables import FINDINGS, Ingested, finding, typed
from aqqua_dist.effort.joined_casts import CHECK, join_casts


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
