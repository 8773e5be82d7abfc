"""Concentrations of every member, validated and model's part together: intervals, and the table of members."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from aqqua_dist.concentrations.members import QUANTITIES, DrawnConcentrations, draw_concentrations, sampled_volumes
from aqqua_dist.core import files
from aqqua_dist.core.seeds import stream
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
    plan : aqqua_dist.concentrations.members.ErrorSources
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


def intervals(parts, samples, goal, plan, strata):
    """Intervals of single concentrations.

    Parameters
    ----------
    parts, samples, goal, plan
        As for `drawn_parts`.
    strata : pandas.DataFrame
        ``sample_id, weight`` of everything that was looked through, with or
        without an object (`strata_of`).

    Returns
    -------
    pandas.DataFrame
        ``sample_id, taxon, concentration_low, concentration_high`` (95 %).

    Notes
    -----
    The members of the labels of a taxon are summed first; then Jeffreys' half
    is added, once per taxon and weight, so that the sum has the distribution
    Gamma(n + 1/2) of the pooled count, whatever the number of labels. The upper bound is
    at least that of nothing seen, 3.689 times the largest weight.
    """
    found = []
    for drawn in drawn_parts(parts, samples, goal, replace(plan, prior=0.0)):
        some = samples.set_index("sample_id").loc[list(drawn.samples)].reset_index()
        halves, largest = _halves(strata, drawn.samples, goal[0], plan)
        volume = sampled_volumes(some, plan)
        values = drawn.number_concentration + halves / volume[:, :, None]
        floor = (largest / some["volume"].to_numpy())[:, None]
        found.append(_bounds(values, floor, drawn.samples, goal[0]))
    names = ["sample_id", "taxon", "concentration_low", "concentration_high"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=names)


def strata_of(names, weights, counts):
    """Weights of what was looked through in each sample.

    Parameters
    ----------
    names : sequence of str
        Sample of each part (a fraction, or a whole sample), looked through whether it holds anything or not.
    weights : sequence of float
        What one object of each part stands for in its sample.
    counts : pandas.DataFrame
        ``sample_id, weight`` of what was counted.

    Returns
    -------
    pandas.DataFrame
        ``sample_id, weight``, each pair once.
    """
    parts = pd.DataFrame({"sample_id": np.asarray(names, dtype=object), "weight": np.asarray(weights, dtype=float)})
    seen = counts[["sample_id", "weight"]].astype({"sample_id": object}).fillna({"weight": 1.0})
    return pd.concat([parts, seen], ignore_index=True).drop_duplicates(ignore_index=True)


def largest_weights(strata):
    """Largest weight of each sample.

    Parameters
    ----------
    strata : pandas.DataFrame
        From `strata_of`.

    Returns
    -------
    pandas.Series
        By ``sample_id``.
    """
    return strata.groupby("sample_id")["weight"].max()


def _halves(strata, ids, taxa, plan):
    """Draws of Jeffreys' half of every taxon and weight, summed by sample, and Garwood's bound of nothing seen."""
    place = pd.Index(ids).get_indexer(strata["sample_id"])
    weight, place = strata["weight"].to_numpy()[place >= 0], place[place >= 0]
    order = np.lexsort((weight, place))
    total, largest = np.zeros((plan.n_members, len(ids), len(taxa))), np.zeros(len(ids))
    np.maximum.at(largest, place, weight)
    for row in order:  # each sample has a stream of its own, so that it does not matter which others are drawn
        random = stream(plan.seed, "half", str(ids[place[row]]), repr(float(weight[row])))
        total[:, place[row]] += weight[row] * random.standard_gamma(counting_error.HALF, (plan.n_members, len(taxa)))
    return total, counting_error.garwood(0)[1] * largest


def _bounds(values, floor, ids, taxa):
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    index = pd.MultiIndex.from_product([ids, taxa], names=["sample_id", "taxon"])
    table = {"concentration_low": low.ravel(), "concentration_high": np.maximum(high, floor).ravel()}
    return pd.DataFrame(table, index=index).reset_index()


def zone_intervals(parts, pooling, goal, plan, strata):
    """Intervals of concentrations of profiles and zones: the members' sums over their samples.

    Parameters
    ----------
    parts, goal, plan, strata
        As for `intervals`.
    pooling : tuple of pandas.DataFrame
        Samples, the zones they are pooled to, and which sample goes to which
        (`aqqua_dist.concentrations.zones.zone_samples`).

    Returns
    -------
    pandas.DataFrame
        ``sample_id`` (of the zone), ``taxon, concentration_low,
        concentration_high`` (95 %), as `intervals` makes them of the pooled
        count: one half per taxon and weight of the zone, not of each bin.
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
    mine = strata.merge(members, on="sample_id")[["pooled_id", "weight"]].drop_duplicates()
    halves, largest = _halves(mine.rename(columns={"pooled_id": "sample_id"}), zones, taxa, plan)
    water = pooled["volume"].to_numpy()[:, None]
    return _bounds((total + halves) / water, largest[:, None] / water, zones, taxa)
