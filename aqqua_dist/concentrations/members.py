"""Counts to one draw per member: counting error, classifier, sampled volume and conversion, each from a stream of its own.

A count of one sample, taxon and weight is drawn once (one gamma) and spread
over its size classes (Dirichlet), so that biovolume and carbon move with the
number, and the mean of the draws is the sum over the classes. What is common to
all samples (the confusion of the model, the error of a volume rule, a
conversion) is drawn once per member. Members side by side carry all of it to
any sum; bounds are never added.
"""

import warnings
import zlib
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import MethodWarning, OnceWarning, UserError
from aqqua_dist.core.seeds import legacy_stream
from aqqua_dist.counts import correction, counting_error
from aqqua_dist.counts.confusion import Confusion
from aqqua_dist.organisms.conversions import conversion
from aqqua_dist.organisms.elements import carbon

SOURCES = ("counting", "classifier", "volume", "conversion")
CHUNK = 2**22
"""Numbers of an array of members and rows that are worked on together."""
QUANTITIES = ("number_concentration", "biovolume_concentration", "carbon_biomass")


@dataclass(frozen=True)
class ErrorSources:
    """What members draw.

    Attributes
    ----------
    n_members : int
        Members.
    seed : int
        Of all draws.
    prior : float
        What is added to a count before it is drawn: 1/2 (Jeffreys) for the
        interval of one sample, 0 for draws that are summed over many, whose
        halves would add up (`aqqua_dist.counts.counting_error.draw_counts`).
    conversion : dict of str to (str or aqqua_dist.organisms.conversions.Conversion)
        Relation of carbon by taxon.
    conversion_sd : dict of str to float
        Standard deviation of the natural logarithm of a relation, by taxon
        or by the name of the relation, where its source tells none or instead of it.
    confusion : aqqua_dist.counts.correction.Confusion, optional
        Given, the counts are those of predicted classes, and are corrected.
    off : tuple of str
        Those of `SOURCES` that are not drawn.
    part : int
        Number of this part, where the counts are drawn in parts (of the
        samples, or of who counted them): counting errors of parts are
        independent, all else is common to them.
    """

    n_members: int = 100
    seed: int = 0
    prior: float = counting_error.HALF
    conversion: dict = field(default_factory=dict)
    conversion_sd: dict = field(default_factory=dict)
    confusion: Confusion | None = None
    off: tuple = ()
    part: int = 0

    def __post_init__(self):
        unknown = sorted(set(self.off) - set(SOURCES))
        if unknown:
            raise UserError(f"source {unknown[0]!r} that is not drawn is unknown, allowed are {list(SOURCES)}.")
        if not self.n_members >= 1:
            raise UserError(f"{self.n_members!r} members are drawn, allowed is 1 or more.")


@dataclass(frozen=True)
class DrawnConcentrations:
    """Concentrations of every member.

    Attributes
    ----------
    samples, taxa : tuple of str
        Second and third axis.
    number_concentration : numpy.ndarray
        float32, shape (n_members, n_samples, n_taxa), m-3.
    biovolume_concentration, carbon_biomass : numpy.ndarray
        Same shape, mm3 m-3 and mg m-3; NaN where the size of an object, or
        the conversion of a taxon, is unknown.
    """

    samples: tuple
    taxa: tuple
    number_concentration: np.ndarray
    biovolume_concentration: np.ndarray
    carbon_biomass: np.ndarray

    def table(self):
        """One row per member, sample and taxon.

        Returns
        -------
        pandas.DataFrame
            ``sample_id, taxon, member`` and the three quantities.
        """
        index = pd.MultiIndex.from_product(
            [range(len(self.number_concentration)), self.samples, self.taxa], names=["member", "sample_id", "taxon"]
        )
        found = pd.DataFrame({name: getattr(self, name).ravel() for name in QUANTITIES}, index=index).reset_index()
        return found[["sample_id", "taxon", "member", *QUANTITIES]]

    def summary(self, quantity="number_concentration"):
        """Mean, sd and quantiles over the members.

        Parameters
        ----------
        quantity : str
            One of `QUANTITIES`.

        Returns
        -------
        pandas.DataFrame
            ``sample_id, taxon, mean, sd, q025, q50, q975``.
        """
        values = getattr(self, quantity).astype(np.float64)
        flat = values.reshape(len(values), -1)
        index = pd.MultiIndex.from_product([self.samples, self.taxa], names=["sample_id", "taxon"])
        quantiles = np.quantile(flat, [0.025, 0.5, 0.975], axis=0)
        sd = flat.std(axis=0, ddof=1) if len(flat) > 1 else np.full(flat.shape[1], np.nan)
        return pd.DataFrame(
            {"mean": flat.mean(axis=0), "sd": sd, "q025": quantiles[0], "q50": quantiles[1], "q975": quantiles[2]},
            index=index,
        ).reset_index()


def draw_concentrations(counts, samples, taxa, plan):
    """Concentrations of every member, from counts.

    Parameters
    ----------
    counts : pandas.DataFrame
        ``sample_id, taxon, n`` and, where known, ``weight``, ``biovolume``
        (mm3 of all objects of the row) and ``individuals`` (organisms on each
        image; NaN: not told, and the carbon is unknown); one row per size
        class or one in all. Carbon is that of the rows: rows too coarse for a
        relation that is no line bend its mean.
    samples : pandas.DataFrame
        ``sample_id, volume`` (m3) and, where known, ``volume_rel_sd`` and
        ``effort_rule``.
    taxa : sequence of str
        Taxa that were searched for; with a confusion its classes.
    plan : ErrorSources
        What is drawn.

    Returns
    -------
    DrawnConcentrations
        In the order of `samples` and `taxa`. A zero count that is drawn
        (`prior` above 0) has the mean size of its taxon over all samples.

    Raises
    ------
    UserError
        A count below 0, of an unknown sample or taxon, a volume that is not
        above 0, or an unknown conversion.

    Notes
    -----
    The result takes 12 bytes per member, sample and taxon; beside it less
    than 200 MB are in use.
    """
    taxa = tuple(taxa)
    ids = samples["sample_id"].astype(str).to_numpy(dtype=object)
    order = np.argsort(ids, kind="stable")  # so that the order of the rows does not matter
    rows = _rows(counts, ids[order], taxa)
    if plan.confusion is not None and plan.confusion.classes != taxa:
        raise UserError(
            f"the confusion is of the classes {list(plan.confusion.classes)[:8]}, the taxa are {list(taxa)[:8]}; they must be the same."
        )
    _tell_undrawn(plan, {taxa[place] for place in rows["taxon"].unique()})
    mean = _mean_sizes(rows, taxa, plan) if plan.prior > 0 or plan.confusion is not None else None
    volumes = sampled_volumes(samples.iloc[order], plan)
    rates = _rates(plan)
    found = [np.zeros((plan.n_members, len(ids), len(taxa)), np.float32) for _ in QUANTITIES]
    random = _stream(plan, "counting")
    fullest = int(rows["sample"].value_counts().max()) if len(rows) else 1
    step = max(1, CHUNK // max(1, plan.n_members * max(len(taxa), fullest)))
    for start in range(0, len(ids), step):
        part = rows[(rows["sample"] >= start) & (rows["sample"] < start + step)]
        shape = (min(step, len(ids) - start), len(taxa))
        made = _chunk(part.assign(sample=part["sample"] - start), mean, (plan, taxa, rates, random), shape)
        for whole, values in zip(found, made, strict=True):
            whole[:, order[start : start + step]] = values / volumes[:, start : start + step, None]
    return DrawnConcentrations(tuple(ids), taxa, *found)


def _stream(plan, source, name=""):
    """Generator of the draws of one source, and within it of one name."""
    part = plan.part if source == "counting" else 0
    return legacy_stream(plan.seed, 1 + SOURCES.index(source), zlib.crc32(name.encode()), part)


def _rows(counts, ids, taxa):
    n = counts["n"].to_numpy(dtype=float)
    bad = ~(np.isfinite(n) & (n >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"count {n[row]:g} of sample {counts['sample_id'].iloc[row]!r} and taxon {counts['taxon'].iloc[row]!r}, row {row + 1}, is not a number of 0 or more."
        )
    found = {
        "n": n,
        "weight": counts["weight"].fillna(1.0).to_numpy(dtype=float) if "weight" in counts else np.ones(len(n)),
        "biovolume": counts["biovolume"].to_numpy(dtype=float) if "biovolume" in counts else np.full(len(n), np.nan),
        "individuals": counts["individuals"].to_numpy(dtype=float) if "individuals" in counts else np.ones(len(n)),
    }
    for name, column, known in (("sample", "sample_id", ids), ("taxon", "taxon", taxa)):
        index = pd.Index(known)
        if index.has_duplicates:
            raise UserError(f"{column} {index[index.duplicated()][0]!r} stands twice, allowed is once.")
        found[name] = index.get_indexer(counts[column].astype(str))
        if (found[name] < 0).any():
            row = int(np.argmax(found[name] < 0))
            raise UserError(
                f"count {row + 1}: {column} {counts[column].iloc[row]!r} is none of the {len(known)} that are drawn, {list(known)[:6]}."
            )
    if not (found["weight"] > 0).all():
        raise UserError(f"weight {found['weight'].min():g} of a count is not above 0.")
    table = pd.DataFrame(found)
    order = ["sample", "taxon", "weight", "biovolume", "n", "individuals"]
    return table[table["n"] > 0].sort_values(order, ignore_index=True)


def _mean_sizes(rows, taxa, plan):
    """Biovolume (mm3) and carbon (mg, by member) of a mean object of each taxon over all samples; NaN where the size of one is unknown."""
    size, mass = np.full(len(taxa), np.nan), np.full((plan.n_members, len(taxa)), np.nan)
    sums = rows.groupby("taxon")["n"].sum()
    volumes = rows.groupby("taxon")["biovolume"].agg(lambda part: part.sum(skipna=False))
    size[sums.index] = volumes / sums
    weighed = [place for place in sums.index if taxa[place] in plan.conversion]
    mass[:, weighed] = 0.0
    step = max(1, CHUNK // plan.n_members)
    for start in range(0, len(rows), step):
        part = rows.iloc[start : start + step]
        part = part[part["taxon"].isin(weighed)]
        n, place = part["n"].to_numpy(), part["taxon"].to_numpy()
        each = _mass((part["biovolume"] / part["n"]).to_numpy(), part["individuals"].to_numpy(), place, taxa, plan)
        for taxon in np.unique(place):
            mass[:, taxon] += each[:, place == taxon] @ (n[place == taxon] / sums[taxon])
    return size, mass


def _tell_undrawn(plan, taxa):
    """Say which relations have no published error and are taken as exact."""
    if "conversion" in plan.off:
        return
    entries = {name: conversion(plan.conversion[name]) for name in sorted(taxa & set(plan.conversion))}
    exact = {
        entry.name: taxon
        for taxon, entry in entries.items()
        if _sd(taxon, entry, plan) is None and not entry.drawable and not _two_densities(entry)
    }
    if exact:
        warnings.warn(
            f"conversions without a published error are taken as exact: {', '.join(sorted(exact))}; draw them by --conversion-sd, as "
            f"--conversion-sd '{next(iter(exact.values()))}=0.3'.",
            OnceWarning,
            stacklevel=3,
        )


def _sd(taxon, entry, plan):
    return plan.conversion_sd.get(taxon, plan.conversion_sd.get(entry.name))


def _two_densities(entry):
    return entry.uncertainty is not None and not entry.drawable


def _mass(size, individuals, taxon, taxa, plan):
    """Carbon (mg) of one object of each row, shape (n_members, n_rows); an image of k organisms is k of them."""
    found = np.full((plan.n_members, len(size)), np.nan)
    for place in np.unique(taxon):
        relation = plan.conversion.get(taxa[place])
        if relation is None:
            continue
        entry, mine = conversion(relation), taxon == place
        sd, many = _sd(taxa[place], entry, plan), individuals[mine]
        each = size[mine] / many
        if "conversion" in plan.off or (sd is None and not entry.drawable and not _two_densities(entry)):
            found[:, mine] = many * carbon(each, entry).value
            continue
        try:
            found[:, mine] = many * carbon(each, entry, draws=plan.n_members, seed=plan.seed, sd=sd).draws
        except UserError as error:
            raise UserError(f"{str(error).rstrip('.')} (--conversion-sd '{taxa[place]}=0.8').") from None
    return found


def sampled_volumes(samples, plan):
    """Sampled volumes of each member; the same plan gives the same draws.

    Parameters
    ----------
    samples, plan
        As for `draw_concentrations`.

    Returns
    -------
    numpy.ndarray
        m3, shape (n_members, n_samples).

    Raises
    ------
    UserError
        A volume that is not above 0.
    """
    volume = samples["volume"].to_numpy(dtype=float)
    bad = ~(np.isfinite(volume) & (volume > 0))
    if bad.any():
        raise UserError(
            f"volume {volume[bad][0]:g} m3 of sample {samples['sample_id'].iloc[int(np.argmax(bad))]!r} is not above 0."
        )
    if "volume" in plan.off:
        return np.tile(volume, (plan.n_members, 1))
    spread = (
        samples["volume_rel_sd"].to_numpy(dtype=float) if "volume_rel_sd" in samples else np.full(len(volume), np.nan)
    )
    if np.isnan(spread).any():
        warnings.warn(
            f"the error of the volume of {int(np.isnan(spread).sum())} of {len(volume)} samples is unknown and was not drawn; give it by an "
            "effort file (rel_sd).",
            OnceWarning,
            stacklevel=3,
        )
    rules = (
        samples["effort_rule"].fillna("").astype(str).to_numpy()
        if "effort_rule" in samples
        else np.full(len(volume), "")
    )
    drawn = np.empty((plan.n_members, len(volume)))
    for rule in np.unique(
        rules
    ):  # each with its own stream, so that a part of the samples draws the same errors as all
        mine = rules == rule
        drawn[:, mine] = counting_error.draw_volumes(
            volume[mine], spread[mine], _stream(plan, "volume", rule), plan.n_members
        )
    return drawn


def _rates(plan):
    if plan.confusion is None:
        return None
    if "classifier" in plan.off:
        return np.tile(plan.confusion.shares, (plan.n_members, 1, 1))
    return counting_error.draw_shares(plan.confusion.counts, _stream(plan, "classifier"), plan.n_members)


def _chunk(rows, mean, tools, shape):
    """Number, biovolume and carbon of some samples, shape (n_members, *shape) each."""
    plan, taxa, rates, random = tools
    drawn = np.zeros((plan.n_members, *shape))
    volume, mass = np.zeros_like(drawn), np.zeros_like(drawn)
    cell, taxon = rows["sample"].to_numpy() * shape[1] + rows["taxon"].to_numpy(), rows["taxon"].to_numpy()
    size = (rows["biovolume"] / rows["n"]).to_numpy()
    weighted = _drawn_rows(rows, plan, random) * rows["weight"].to_numpy()
    each_mass = _mass(size, rows["individuals"].to_numpy(), taxon, taxa, plan)
    for target, each in ((drawn, 1.0), (volume, size), (mass, each_mass)):
        _add(target, cell, weighted * each)
    if "counting" not in plan.off and plan.prior > 0:
        empty = np.ones(shape[0] * shape[1], dtype=bool)
        empty[cell] = False
        empty = np.flatnonzero(empty)
        largest = rows.groupby("sample")["weight"].max().reindex(range(shape[0]), fill_value=1.0).to_numpy()
        few = (
            counting_error.draw_counts(np.zeros(len(empty)), random, plan.n_members, plan.prior)
            * largest[empty // shape[1]]
        )
        for target, each in ((drawn, 1.0), (volume, mean[0][empty % shape[1]]), (mass, mean[1][:, empty % shape[1]])):
            target.reshape(plan.n_members, -1)[:, empty] = few * each
    return (drawn, volume, mass) if rates is None else _corrected((drawn, volume, mass), rates, mean)


def _drawn_rows(rows, plan, random):
    """Drawn objects of each row, shape (n_members, n_rows): one gamma draw per count, spread over its size classes by a Dirichlet draw."""
    n = rows["n"].to_numpy()
    if "counting" in plan.off:
        return np.tile(n, (plan.n_members, 1))
    if plan.prior == 0 or not len(n):  # parts of a gamma draw are one of the whole, and shares of it
        return random.standard_gamma(n, (plan.n_members, len(n)))
    new = (rows[["sample", "taxon", "weight"]].diff().fillna(1) != 0).any(axis=1).to_numpy()
    starts = np.flatnonzero(new)
    whole = counting_error.draw_counts(np.add.reduceat(n, starts), random, plan.n_members, plan.prior)
    return whole[:, np.cumsum(new) - 1] * counting_error.draw_parts(n, starts, random, plan.n_members)


def _add(target, cell, values):
    """Sums of rows by cell, of every member."""
    if not len(cell):
        return
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(cell[order]) > 0])
    target.reshape(len(target), -1)[:, cell[order][starts]] = np.add.reduceat(values[:, order], starts, axis=1)


def _corrected(parts, rates, mean):
    """Counts of predicted classes to those of true ones; an object keeps the mean size of its predicted class in the sample."""
    drawn, volume, mass = parts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MethodWarning)  # said once for the mean matrix, where it is applied
        right = correction.adjusted(drawn, rates)
    factor = np.divide(right, drawn, out=np.zeros_like(right), where=drawn > 0)
    new = (drawn == 0) & (right > 0)
    volume, mass = volume * factor, mass * factor
    place = np.nonzero(new)
    volume[place] = right[place] * mean[0][place[2]]
    mass[place] = right[place] * mean[1][place[0], place[2]]
    return right, volume, mass


def variance_shares(counts, samples, taxa, plan, weights=None):
    """Share of each source in the variance of a sum over samples.

    Parameters
    ----------
    counts, samples, taxa, plan
        As for `draw_concentrations`.
    weights : array_like, optional
        What each sample's concentration counts in the sum, shape
        (n_samples,), such as the volume of the water that it stands for (m3).

    Returns
    -------
    pandas.DataFrame
        ``quantity, taxon, source, sd`` (with this source alone), ``sd_all``
        and ``share`` (of the variances of all sources alone); ``nan`` where
        nothing varies.

    Raises
    ------
    UserError
        As `draw_concentrations`.
    """
    weights = np.ones(len(samples)) if weights is None else np.asarray(weights, dtype=float)
    sums = {}
    for source in ("all", *SOURCES):
        off = (
            plan.off
            if source == "all"
            else tuple(dict.fromkeys((*plan.off, *(name for name in SOURCES if name != source))))
        )
        drawn = draw_concentrations(counts, samples, taxa, replace(plan, off=off))
        sums[source] = {
            name: np.einsum("mst,s->mt", getattr(drawn, name).astype(np.float64), weights).std(axis=0, ddof=1)
            for name in QUANTITIES
        }
    rows = []
    for name in QUANTITIES:
        for place, taxon in enumerate(taxa):
            alone = np.array([sums[source][name][place] for source in SOURCES])
            total = (alone**2).sum()
            rows += [
                {
                    "quantity": name,
                    "taxon": taxon,
                    "source": source,
                    "sd": sd,
                    "sd_all": sums["all"][name][place],
                    "share": sd**2 / total if total > 0 else np.nan,
                }
                for source, sd in zip(SOURCES, alone, strict=True)
            ]
    return pd.DataFrame(rows)
