"""Concentrations of every member, validated and model's part together: intervals, and the table of members."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from aqqua_dist.concentrations.members import QUANTITIES, DrawnConcentrations, draw_concentrations
from aqqua_dist.core import files
from aqqua_dist.counts import counting_error
from aqqua_dist.counts.confusion import ADJUSTED
from aqqua_dist.organisms import rollup

CHUNK = 2**25
"""Numbers of members, samples and labels that are drawn together."""
SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("taxon", pa.string()),
        ("member", pa.int32()),
        ("number_concentration", pa.float32()),
        ("biovolume_concentration", pa.float32()),
        ("carbon_biomass", pa.float32()),
    ]
)


def parts_of(counts, raw, method, validated):
    """What is drawn apart: the labels of humans, and the answers of the model.

    Parameters
    ----------
    counts : pandas.DataFrame
        Counts by label or class, of humans and (corrected) of the model.
    raw : pandas.DataFrame or None
        The model's counts by predicted class, before any correction.
    method : str
        How the model's objects were counted.
    validated : aqqua_dist.counts.classifier_counts.Validated or None
        Its validation table.

    Returns
    -------
    list of tuple
        Counts and confusion (or None) of each part. ``acc`` and ``pacc`` draw
        their confusion; the others draw the counting error of what they have
        counted, as nobody tells the error of a calibration.
    """
    if method not in ADJUSTED:
        return [(counts, None)]
    return [(counts[counts["method"] != method], None), (raw, validated.of(method))]


def drawn_parts(parts, samples, goal, plan):
    """Concentrations of some samples by taxon, of all members.

    Parameters
    ----------
    parts : list of tuple
        From `parts_of`.
    samples : pandas.DataFrame
        Samples with a volume.
    goal : tuple of (list of str, dict of str to tuple of str)
        Taxa, and those that each label counts for (others are left out).
    plan : aqqua_dist.concentrations.members.Sources
        What is drawn.

    Yields
    ------
    aqqua_dist.concentrations.members.DrawnConcentrations
        Of as many samples as the memory allows.
    """
    taxa, goes = goal
    labels = [
        list(confusion.classes) if confusion is not None else sorted(set(counts["taxon"]))
        for counts, confusion in parts
    ]
    step = max(1, CHUNK // max(1, plan.n_members * max(map(len, [taxa, *labels]))))
    for start in range(0, len(samples), step):
        some = samples.iloc[start : start + step]
        total = [np.zeros((plan.n_members, len(some), len(taxa)), np.float32) for _ in QUANTITIES]
        for number, ((counts, confusion), names) in enumerate(zip(parts, labels, strict=True)):
            mine = counts[counts["sample_id"].isin(some["sample_id"])]
            own = replace(plan, confusion=confusion, part=2 * (start // step) + number)
            found = draw_concentrations(mine, some, names, own)
            _add_up(total, found, names, taxa, goes)
        yield DrawnConcentrations(tuple(some["sample_id"]), tuple(taxa), *total)


def _add_up(total, found, names, taxa, goes):
    for name, whole in zip(QUANTITIES, total, strict=True):
        values = getattr(found, name)
        for place, label in enumerate(names):
            here = np.where(found.number_concentration[:, :, place] == 0, 0, values[:, :, place])  # nothing has no size
            for taxon in goes.get(label, ()):
                whole[:, :, taxa.index(taxon)] += here


def goal_of(labels, lines, taxa, leave_out=rollup.LEFT_OUT):
    """Taxa of each label: itself, unless taxa were asked for.

    Parameters
    ----------
    labels : collection of str
        Labels.
    lines : dict of str to str
        Hierarchy of each label.
    taxa : sequence of str
        Taxa; none: all labels.
    leave_out : sequence of str
        As for `aqqua_dist.organisms.rollup.goals`.

    Returns
    -------
    tuple of (list of str, dict of str to tuple of str)
        Taxa, and those that each label counts for.
    """
    if not taxa:
        return sorted(set(labels)), {label: (label,) for label in labels}
    return list(taxa), rollup.goals(sorted(set(labels)), lines, list(taxa), leave_out=leave_out)


def write_members(parts, samples, goal, plan, target):
    """Write the members.

    Parameters
    ----------
    parts, samples, goal, plan
        As for `drawn_parts`; drawn with a prior of 0, so that members may be
        summed over samples and taxa.
    target : tuple of (pathlib.Path, aqqua_dist.core.provenance.Provenance)
        ``members.parquet`` and what it came from.
    """
    path, origin = target
    with files.parquet_parts(path, SCHEMA, repeating=["sample_id", "taxon", "member"]) as file:
        for drawn in drawn_parts(parts, samples, goal, replace(plan, prior=0.0)):
            file.write(pa.Table.from_pandas(drawn.table().astype({"member": "int32"}), preserve_index=False))
        file.provenance = origin


def intervals(parts, samples, goal, plan):
    """Intervals of single concentrations.

    Parameters
    ----------
    parts, samples, goal, plan
        As for `drawn_parts`; drawn with Jeffreys' prior, so that nothing seen
        is not a certain 0.

    Returns
    -------
    pandas.DataFrame
        ``sample_id, taxon, concentration_low, concentration_high`` (95 %).
    """
    names = {"q025": "concentration_low", "q975": "concentration_high"}
    found = [drawn.summary()[["sample_id", "taxon", *names]] for drawn in drawn_parts(parts, samples, goal, plan)]
    return (
        pd.concat(found, ignore_index=True).rename(columns=names)
        if found
        else pd.DataFrame(columns=["sample_id", "taxon", *names.values()])
    )


def zone_intervals(parts, pooling, goal, plan):
    """Intervals of concentrations of profiles and zones: the members' sums over their samples.

    Parameters
    ----------
    parts, goal, plan
        As for `drawn_parts`; drawn with a prior of 0, as they are summed.
    pooling : tuple of pandas.DataFrame
        Samples, the zones they are pooled to, and which sample goes to which
        (`aqqua_dist.concentrations.zones.zone_samples`).

    Returns
    -------
    pandas.DataFrame
        ``sample_id`` (of the zone), ``taxon, concentration_low,
        concentration_high`` (95 %); where nothing was seen the upper bound is
        Garwood's.
    """
    samples, pooled, members = pooling
    taxa, zones = goal[0], pd.Index(pooled["sample_id"])
    used = samples[samples["sample_id"].isin(members["sample_id"])]
    total = np.zeros((plan.n_members, len(zones), len(taxa)))
    goes = members.set_index("sample_id")["pooled_id"]
    volume = used.set_index("sample_id")["volume"]
    parts = [(counts[counts["sample_id"].isin(used["sample_id"])], confusion) for counts, confusion in parts]
    for drawn in drawn_parts(parts, used, goal, replace(plan, prior=0.0)):
        amounts = drawn.number_concentration * volume.reindex(drawn.samples).to_numpy()[:, None]
        for place, name in enumerate(drawn.samples):
            for zone in zones.get_indexer(np.atleast_1d(goes[name])):
                total[:, zone] += amounts[:, place]
    low, high = np.quantile(total, [0.025, 0.975], axis=0)
    high = np.where((total == 0).all(axis=0), counting_error.garwood(0)[1], high)
    water = pooled["volume"].to_numpy()[:, None]
    index = pd.MultiIndex.from_product([zones, taxa], names=["sample_id", "taxon"])
    return pd.DataFrame(
        {"concentration_low": (low / water).ravel(), "concentration_high": (high / water).ravel()}, index=index
    ).reset_index()
