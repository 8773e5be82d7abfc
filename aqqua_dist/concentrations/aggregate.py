"""`aqqua-dist aggregate`: an ingested folder, or objects and samples of any origin, to counts and concentrations.

This is the only road from objects to concentrations: ``ingest --zone`` and
recipes that name exports take it too (`aggregate_ingest`).
"""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from aqqua_dist.concentrations import member_tables, sorting, zone_tables
from aqqua_dist.concentrations.concentrations import concentrations
from aqqua_dist.concentrations.members import ErrorSources
from aqqua_dist.concentrations.zones import COVERAGE
from aqqua_dist.core import cluster, files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance, created_now, sha256_file, software_versions
from aqqua_dist.core.tables import PARTICLES, of_role
from aqqua_dist.counts import classifier_counts, classifier_tallies, counting_error, counts_table, partitions, tallies
from aqqua_dist.counts import unsized as unsized_of
from aqqua_dist.counts.calibration import checked_prior
from aqqua_dist.counts.confusion import Validated, read_validation
from aqqua_dist.counts.counted_once import counted_once, counting_statuses, joined_casts, with_rest, without_rest
from aqqua_dist.counts.duplicates import refuse_repeated
from aqqua_dist.counts.links import links_of
from aqqua_dist.counts.objects import (
    hierarchies,
    ingested_counts,
    join_predictions,
    object_files,
    read_samples,
    refuse_same_folder,
    searched_samples,
    weighted_units,
)
from aqqua_dist.counts.unsized import SIZED
from aqqua_dist.effort.joined_casts import fine_bins
from aqqua_dist.effort.volumes import flags_of
from aqqua_dist.organisms import relations, rollup
from aqqua_dist.organisms.conversions import conversion, read_conversions
from aqqua_dist.organisms.labels import parse_label

DRAWN = ("probabilistic", "acc", "pacc", "em")
"""Methods whose intervals come from draws."""
REFERENCES = {
    "acc": "https://doi.org/10.1007/s10618-008-0097-y",
    "pacc": "https://doi.org/10.1109/ICDM.2010.75",
    "em": "https://doi.org/10.1162/089976602753284446",
}


@dataclass(frozen=True)
class Products:
    """What is made of the sums.

    Attributes
    ----------
    taxa : tuple of str
        Taxa that labels are summed to in the concentrations; each label by
        itself where there is none.
    zones : tuple of tuple
        Name, top and bottom (m): concentrations per profile and zone too.
    coverage : float
        Share of a zone that a profile must cover.
    carbon : dict of str to str
        Conversion (`aqqua_dist.organisms.conversions`) by taxon, or ``auto``
        (`aqqua_dist.organisms.relations.relations_of`).
    conversions : str or None
        File of a user's own conversions.
    conversion_sd : dict of str to float
        Standard deviation of the natural logarithm of the carbon of a taxon,
        for its members.
    prior : str
        Mix of classes that the probabilities were calibrated on, for ``em``
        (`aqqua_dist.counts.calibration.checked_prior`).
    validation : str or None
        Labelled validation table of the model
        (`aqqua_dist.counts.classifier_counts.read_validation`).
    check_ids : bool
        Refuse objects whose ``object_id`` stands twice, where the files have
        that column.
    members : int
        Members whose concentrations are drawn and written; the intervals of
        ``probabilistic, acc, pacc`` and ``em`` are theirs.
    seed : int
        Of the draws.
    leave_out : tuple of str
        Qualifiers of labels that are not counted as their taxon.
    least : float
        Share of the objects of a sample (of a profile and zone) that must
        count; below it there is no value. The rule of PSSdb is 0.95.
    leave_out_flags : tuple of str
        Flags of the effort; samples that bear one have no value.
    """

    taxa: tuple = ()
    zones: tuple = ()
    coverage: float = COVERAGE
    carbon: dict | None = None
    validation: str | None = None
    members: int = 0
    seed: int = 0
    check_ids: bool = True
    leave_out: tuple = rollup.LEFT_OUT
    least: float = 0.0
    leave_out_flags: tuple = ()
    conversions: str | None = None
    conversion_sd: dict | None = None
    prior: str | None = None

    def __post_init__(self):
        sorting.check_share(self.least)

    @property
    def pooling(self):
        """How samples become zones (aqqua_dist.concentrations.zone_tables.Pooling)."""
        return zone_tables.Pooling(tuple(self.zones), self.coverage, self.least)


@dataclass(frozen=True)
class Aggregated:
    """What was written.

    Attributes
    ----------
    folder : pathlib.Path
        Holds ``counts.parquet``, ``concentrations.parquet`` and
        ``report.json``.
    objects, counted : int
        Objects read; those that count by their status.
    rows : int
        Rows of ``counts.parquet``.
    notes : tuple of str
        What the user must know: samples without a value, empty tables, and why.
    empty : bool
        Whether what was asked for came out without a row.
    """

    folder: Path
    objects: int
    counted: int
    rows: int
    notes: tuple = ()
    empty: bool = False


@dataclass(frozen=True)
class _Made:
    """Everything that the sums were made from."""

    paths: list
    folder: Path
    samples: pd.DataFrame
    known: counts_table.Known
    options: partitions.CountOptions
    validated: Validated | None
    lines: dict
    ingested: pd.DataFrame
    statuses: dict
    fine: pd.DataFrame
    strata: pd.DataFrame
    prior: np.ndarray | None
    joins: pd.DataFrame
    notes: list

    def goal(self, labels, products):
        """Taxa, and those that each label counts for."""
        every = {*labels, *self.known.axes.labels, *self.options.scoring.classes} if products.taxa else labels
        return member_tables.goal_of(every, self.lines, products.taxa, products.leave_out)


def aggregate_objects(source, out, options=None, *, samples=None, products=None, scheduler=None):
    """Counts per sample, label and size class of objects of any number.

    Parameters
    ----------
    source : str or os.PathLike
        Folder of an ingest (whose counts without images are kept as they
        are), a Parquet file of objects, or a folder of such files
        (partitions): columns ``sample_id``, ``label`` or ``prob`` (list
        of probabilities of the ``classes`` in the file's metadata) and, where
        known, ``status, esd`` (µm), ``depth`` (m), ``score``.
    out : str or os.PathLike
        Folder to write to.
    options : aqqua_dist.counts.partitions.CountOptions, optional
        What is counted.
    samples : str or os.PathLike, optional
        Table of samples; that of the ingest unless given.
    products : Products, optional
        What is made of the sums.
    scheduler : str, optional
        As for `aqqua_dist.core.cluster.submitter`; here unless given.

    Returns
    -------
    Aggregated
        ``counts.parquet``: non-zero rows of sample, label and size class with
        Garwood intervals (95 %) of n, biovolume (mm3, NaN where the size
        of an object is unknown) and carbon (mg). ``concentrations.parquet``:
        every sample with a volume and every taxon, zeros included, but no
        sample whose objects wait for their label;
        ``zone_concentrations`` (Parquet and CSV) the same per profile and
        zone, with ``zone_samples``, ``zones_dropped`` and, of particles,
        ``zone_spectra``.

    Raises
    ------
    UserError
        Nothing to read or to count, an object without its sample, or a file
        that is damaged.
    """
    options, products, out = options or partitions.CountOptions(), products or Products(), Path(out)
    refuse_same_folder(Path(source), out)
    paths, folder = object_files(Path(source))
    every = read_samples(Path(samples) if samples is not None else folder / "samples.parquet")
    out.mkdir(parents=True, exist_ok=True)
    joined = out / ".objects.parquet"
    if options.scoring.method not in ("labels", "validated") and join_predictions(folder, joined):
        paths = [joined]
    groups = partitions.groups_of(paths)
    rows, ingested, statuses = sum(group.rows for group in groups), ingested_counts(Path(source)), {}
    if rows:
        statuses = partitions.statuses_of(groups)
    joins, told = joined_casts(folder, every, Path(samples) if samples is not None else None)
    joins, ingested, twice = counted_once(joins, ingested, every, folder, counting_statuses(options))
    table = with_rest(fine_bins(every, joins.loc[joins["depth_offset"].notna(), "profile"]), joins)
    _refuse_nothing(rows, ingested, folder, products)
    checked = _check_ids(groups, paths, options) if products.check_ids else "not checked"
    units = weighted_units(folder)
    links = links_of(table, units, joins)
    labels = partitions.labels_of(groups)
    scoring, validated, prior = _scoring(options.scoring, paths, labels, products)
    options, lines = replace(options, scoring=scoring), hierarchies(folder)
    individuals = partitions.individuals_of(groups) if products.carbon else (1,)
    axes = tallies.Axes(
        (*links.keys, *scoring.extra_rows),
        labels,
        (tallies.CLASSES + 1 if options.sizes or products.carbon else 2) * len(individuals),
        scoring.columns,
        tallies.LEFT if scoring.method == "labels" and options.statuses else (),
        frozenset(
            label for label in {*labels, *scoring.classes} if parse_label(label, lines.get(label)).living is False
        ),
        individuals,
    )
    known = _with_relations(counts_table.known_of(axes, table, units, options), ingested, lines, products)
    made = _Made(
        paths,
        folder,
        table,
        known,
        options,
        validated,
        lines,
        ingested,
        statuses,
        of_role(every, PARTICLES),
        _strata(table, units, ingested),
        prior,
        joins,
        [*told, *twice],
    )
    state = out / ".sums.npz"
    with cluster.submitter(scheduler, out) if scheduler else nullcontext() as submit:
        sums = partitions.run_groups(groups, axes, links, options, state=state, submit=submit)
    found = _write(sums, made, products, out, {"objects": rows, "ids": checked, "statuses": statuses})
    state.unlink(missing_ok=True)
    joined.unlink(missing_ok=True)
    return found


def aggregate_ingest(folder, options, products, scheduler=None):
    """Counts and concentrations of an ingest, beside its tables.

    Parameters
    ----------
    folder : str or os.PathLike
        Of an ingest. Gets ``aggregated/``, as `aggregate_objects` writes it,
        whose tables of zones go to the folder itself.
    options, products, scheduler
        As for `aggregate_objects`.

    Returns
    -------
    Aggregated

    Raises
    ------
    UserError
        As for `aggregate_objects`.
    """
    folder = Path(folder)
    for stale in [*folder.glob("zone*_*.csv*"), *folder.glob("zone*_*.parquet")]:
        stale.unlink()
    found = aggregate_objects(folder, folder / "aggregated", options, products=products, scheduler=scheduler)
    for path in [*found.folder.glob("zone*_*.csv*"), *found.folder.glob("zone*_*.parquet")]:
        path.replace(folder / path.name)
    return found


def _with_relations(known, ingested, lines, products):
    """What the sums are of, with the conversion of each label."""
    if products.conversions and not products.carbon:
        raise UserError(
            f"conversions {products.conversions!r} are given and 0 taxa that take them; add --carbon auto, or TAXON=NAME."
        )
    if not products.carbon:
        return known
    own = read_conversions(products.conversions) if products.conversions else {}
    labels = [
        *known.axes.labels,
        *known.options.scoring.classes,
        *(ingested["taxon"].unique() if len(ingested) else ()),
    ]
    found = relations.relations_of(labels, lines, products.carbon, own)
    return replace(known, relations=found, own=own, untold=relations.untold(found, lines, own))


def _strata(samples, units, ingested):
    """Weights of what was looked through in each sample, fractions without an object among them."""
    split = {sample_id for sample_id, _ in units}
    whole = [name for name in samples["sample_id"].astype(str) if name not in split]
    names = [*whole, *(sample_id for sample_id, _ in units)]
    seen = ingested if len(ingested) else pd.DataFrame({"sample_id": [], "weight": []})
    return member_tables.strata_of(names, [*np.ones(len(whole)), *dict(units).values()], seen)


def _refuse_nothing(rows, ingested, folder, products):
    """Refuse an ingest in which nobody looked for taxa."""
    particles = bool(products.zones) and (folder / "particles.parquet").is_file()
    if not rows and not len(ingested) and not particles:
        raise UserError(
            f"{str(folder)!r} holds {rows} objects and {len(ingested)} counts, so there is nothing to count; exports of particles "
            "alone give size spectra per --zone."
        )


def _scoring(scoring, paths, labels, products):
    """Classes of the model (those of the probabilities, of the validation table, or all labels), its validation table and prior."""
    validation = products.validation
    if products.prior is not None and scoring.method != "em":
        raise UserError(f"prior {products.prior!r} is given, and method {scoring.method!r} takes none; only 'em' does.")
    if not scoring.columns and scoring.method in ("labels", "validated"):
        return scoring, None, None
    classes = classifier_tallies.classes_of(paths)
    soft = classes is not None
    if not soft and scoring.method in classifier_tallies.WITH_PROB:
        raise UserError(
            f"{paths[0]}: there is no column 'prob', which method {scoring.method!r} needs; 'top1', 'thresholded' and 'acc' do with labels."
        )
    validated = read_validation(validation, classes) if validation is not None else None
    if validated is None and scoring.method in ("acc", "pacc", "em"):
        raise UserError(f"method {scoring.method!r} needs a labelled validation table of the model; give one.")
    if not soft:
        classes = validated.classes if validated is not None else labels
    scoring = replace(scoring, classes=tuple(classes), soft=soft)
    if scoring.method == "thresholded":
        scoring.limits  # noqa: B018  (refuses thresholds of unknown classes before anything is counted)
    if validated is not None:
        validated.of(scoring.method)
    prior = checked_prior(validated, products.prior or "field") if scoring.method == "em" else None
    return scoring, validated, prior


def _check_ids(groups, paths, options):
    """Whether each object stands once; a file without ids says nothing."""
    if not all("object_id" in files.parquet_names(path) for path in paths):
        return "not in the files"
    refuse_repeated(groups, memory=options.memory)
    return "each once"


def _write(sums, made, products, out, told):
    known, scoring = made.known, made.options.scoring
    table = sorting.sorted_samples(made.samples, sums, known, made.ingested)
    searched = set(searched_samples(made.samples, made.folder, made.joins)["sample_id"])
    table, unplaced = without_rest(table)
    flagged = flags_of(table, products.leave_out_flags)
    table["searched"] = table["sample_id"].isin(searched) & ~flagged.any(axis=1)
    if told["objects"] and not len(made.ingested) and (table["share_counted"] <= 0).sum() == table["has_objects"].sum():
        raise UserError(f"0 objects count: {sorting.status_sentence(made.statuses, made.options, told['objects'])}")
    known = replace(known, share_counted=table.set_index("sample_id")["share_counted"])
    origin = _origin(made, products)
    model = counts_table.model_rows(sums, known, made.validated, made.prior) if scoring.columns else None
    if len(made.ingested):
        ingested = counts_table.with_carbon(made.ingested, known)
        model = ingested if model is None else pd.concat([ingested, model], ignore_index=True)
    labels, plain = counts_table.by_label(sums, known)
    rows = counts_table.write_counts(labels, plain, out / "counts.parquet", origin, model)
    sized, unsized = counts_table.sized_rows(labels, plain, model)
    counts = counts_table.whole_counts(sized)
    counted = int(labels.n.sum()) + (
        int(round(classifier_counts.raw_counts(sums, known.axes, scoring)["n"].sum())) if scoring.columns else 0
    )
    report = told | {
        "counted": counted,
        "counts_of_the_ingest": len(made.ingested),
        "samples": len(table),
        "labels": len(known.axes.labels),
        "method": scoring.method,
        "samples_without_volume": int((~(table["volume"] > 0)).sum()),
        "samples_without_objects": int(len(table) - counts["sample_id"].nunique()),
        "probabilities_scaled_to_1": classifier_counts.repaired_rows(sums, known.axes, scoring),
        "probabilities_below_1": classifier_counts.short_rows(sums, known.axes, scoring),
    }
    whole = table[table["searched"] & (table["volume"] > 0)]
    left_out = sorting.without_value(whole, products.least)
    notes = [*made.notes, *unplaced, *_notes(made, told["objects"], counted, counts, whole, left_out)]
    notes += [*_of_mean_objects(made), *unsized.sentences, *relations.taken(known.relations, made.lines, known.own)]
    notes += [*_silent_casts(table, searched, made), *_flag_notes(flagged)]
    if products.taxa:
        overlap = rollup.overlap_sentence(made.goal(set(counts["taxon"]), products)[1])
        if overlap:
            notes.append(overlap)
            report["taxa_overlap"] = overlap
    valued = whole[~whole["sample_id"].isin(left_out["sample_id"])]
    bounds = _members(sums, sized, made, products, (whole, left_out), (out, origin)) if products.members else None
    by_taxon = counts
    if products.taxa:
        by_taxon = rollup.taxon_counts(
            counts,
            made.lines,
            list(products.taxa),
            leave_out=products.leave_out,
            labels=[*known.axes.labels, *scoring.classes],
        )
    largest = member_tables.largest_weights(made.strata)
    found = _concentrations(valued, by_taxon, made, products, (largest, bounds and bounds[0]))
    files.write_parquet(found, out / "concentrations.parquet", origin)
    empty = found.empty
    if products.zones:
        placed = table[~table["sample_id"].isin(made.joins["sample_id"])]
        empty, more = _write_zones(placed, by_taxon, made, products, (out, bounds and bounds[1], origin))
        notes += more
    (files.write_geoparquet if {"lat", "lon"} <= set(table) else files.write_parquet)(
        table, out / "samples.parquet", origin
    )
    if made.lines:
        files.write_parquet(
            pd.DataFrame(made.lines.items(), columns=["label", "hierarchy"]), out / "taxa.parquet", origin
        )
    _copy_licences(made.folder, out, origin)
    report |= {"samples_without_value": left_out.to_dict("records"), "notes": notes}
    files.write_json(report, out / "report.json", origin)
    return Aggregated(out, told["objects"], counted, rows, tuple(notes), bool(empty))


def _copy_licences(folder, out, origin):
    """The licence of each source goes where its numbers go."""
    if (folder / "licences.parquet").is_file():
        licences = pd.DataFrame(files.read_parquet(folder / "licences.parquet"))
        files.write_parquet(licences, out / "licences.parquet", origin)


def _silent_casts(table, searched, made):
    """Casts beside joined ones of which nobody says that vignettes were looked for."""
    silent = table[(table["volume"] > 0) & ~table["sample_id"].isin(searched)]
    if silent.empty or made.joins.empty:
        return []
    return [
        f"{silent['profile'].nunique()} casts, first {silent['profile'].iloc[0]!r}, have a volume and no vignettes; nobody says that they "
        "were searched, and they have no value."
    ]


def _flag_notes(flagged):
    return [f"{n} samples are left out for the flag {flag!r}." for flag, n in flagged.sum().items()]


def _notes(made, rows, counted, counts, whole, left_out):
    """What the user must know of the samples."""
    notes = sorting.sentences(left_out)
    if rows and counted < rows and made.options.scoring.method == "labels":
        notes.append(
            f"{rows - counted} objects do not count: {sorting.status_sentence(made.statuses, made.options, rows)}"
        )
    if counts.empty:
        notes.append("no taxon was counted, so that there are no concentrations.")
    untold = int(whole["share_counted"].isna().sum())
    if untold:
        notes.append(
            f"{untold} samples have counts without images, of which nobody tells how many were sorted; they are kept."
        )
    return notes


def _of_mean_objects(made):
    """What is said of the carbon of counts whose single sizes are gone."""
    known, names = made.known, set(made.ingested["taxon"]) if len(made.ingested) else set()
    bent = sorted(
        label
        for label in names & set(known.relations)
        if not relations.proportional(conversion(known.relations[label], known.own))
    )
    if not bent:
        return []
    return [
        f"carbon of counts without images is that of their mean object for {len(bent)} taxa whose relation is no line: {', '.join(bent[:6])}."
    ]


def _origin(made, products):
    stats = {str(path): f"{path.stat().st_size} bytes" for path in made.paths}
    for name in (products.conversions, products.prior, products.validation):
        if name and Path(name).is_file():
            stats[str(name)] = sha256_file(name)
    references = [
        "https://doi.org/10.1093/biomet/28.3-4.437",
        *(REFERENCES[name] for name in [made.options.scoring.method] if name in REFERENCES),
    ]
    return Provenance(
        study="aggregate",
        stage="aggregate",
        key="",
        recipe_text=repr((replace(made.options, memory=0), products)),
        recipe_sha256="",
        inputs=stats,
        seeds={},
        software=software_versions(),
        references=references,
        created=created_now(),
    )


def _members(sums, counts, made, products, samples, place):
    """Draw and write the members; gives the intervals of samples back that come from draws, and what makes those of zones."""
    scoring, (whole, left_out), (out, origin) = made.options.scoring, samples, place
    raw = counts_table.raw_rows(sums, made.known) if scoring.method in ("acc", "pacc") else None
    raw = None if raw is None else unsized_of.spread(raw, made.options.sized)[0]
    every = set(counts["taxon"]) | (set() if raw is None else set(raw["taxon"]))
    known, sd = made.known, relations.values_of(sorted(every), made.lines, products.conversion_sd or {})
    entries = {label: conversion(name, known.own) for label, name in known.relations.items()}
    plan = ErrorSources(n_members=products.members, seed=products.seed, conversion=entries, conversion_sd=sd)
    parts = member_tables.parts_of(counts, raw, scoring.method, made.validated)
    goal = made.goal(every, products)
    drawn = whole[~whole["sample_id"].isin(left_out["sample_id"]) | _bins_that_count(whole)]
    parts = [(part[part["sample_id"].isin(drawn["sample_id"])], confusion) for part, confusion in parts]
    member_tables.write_members(parts, drawn, goal, plan, (out / "members.parquet", origin))
    if scoring.method not in DRAWN:
        return None
    return member_tables.intervals(
        parts, drawn, goal, plan, made.strata
    ), lambda pooled, belongs: member_tables.zone_intervals(parts, (drawn, pooled, belongs), goal, plan, made.strata)


def _bins_that_count(samples):
    """Bins of casts with counted objects: how much of a cast was sorted is told by the cast, not by each bin."""
    if "profile" not in samples:
        return np.zeros(len(samples), dtype=bool)
    return (samples["profile"].notna() & samples["profile"].duplicated(keep=False)).to_numpy() & (
        samples["share_counted"] > 0
    ).to_numpy()


def _write_zones(samples, counts, made, products, place):
    """Tables of zones; whether that of concentrations is empty, and why."""
    out, bounds, origin = place
    pooled = zone_tables.pool(samples, products.pooling)
    mine = zone_tables.counts_of(counts[counts["sample_id"].isin(samples["sample_id"][samples["searched"]])], pooled)
    belongs = pooled.belongs[pooled.belongs["pooled_id"].isin(pooled.valued["sample_id"])]
    largest = member_tables.largest_weights(made.strata).reindex(belongs["sample_id"]).to_numpy()
    largest = pd.Series(largest, index=belongs["pooled_id"]).groupby(level=0).max()
    found = _concentrations(pooled.valued, mine, made, products, (largest, bounds and bounds(pooled.valued, belongs)))
    where = pooled.valued.set_index("sample_id")[[*zone_tables.PLACE, "coverage"]]
    found = found.join(where, on="sample_id")
    found = found[[*zone_tables.PLACE, *(name for name in found if name not in zone_tables.PLACE)]]
    tables = {"zone_samples": pooled.samples, "zone_concentrations": found, "zones_dropped": pooled.dropped}
    notes, spectra = sorting.sentences(pooled.left_out, "profiles and zones"), pd.DataFrame()
    particles = made.folder / "particles.parquet"
    if particles.is_file():
        fine = made.fine[~flags_of(made.fine, products.leave_out_flags).any(axis=1)]
        tables["zone_spectra"] = spectra = zone_tables.spectra_of(
            pd.DataFrame(files.read_parquet(particles)), fine, products.pooling
        )
    zone_tables.write(tables, out, origin)
    silent = pooled.samples.loc[~pooled.samples["searched"].astype(bool), "profile"].nunique()
    words = f"zones: {pooled.valued['profile'].nunique()} profiles with taxa and {silent} without (particles alone)"
    dropped = (
        f"{len(pooled.dropped)} pairs of profile and zone left out as they cover less than {products.coverage:.0%}"
    )
    notes = [f"{words} in {len(products.zones)} zones; {dropped}.", *notes]
    if found.empty:
        notes.append(zone_tables.why_empty(samples, pooled, products.pooling))
    return found.empty and (bool(products.taxa) or spectra.empty), notes


def _concentrations(samples, counts, made, products, errors):
    """Concentrations with the interval of their counts; a correction by probabilities or a confusion has that of its members."""
    largest, intervals = errors
    for name in ("depth_top", "depth_bottom"):
        samples = samples if name in samples else samples.assign(**{name: np.nan})
    counts = counts[counts["sample_id"].isin(samples["sample_id"])]
    found = concentrations(samples, counts, list(products.taxa) or None)
    found["share_counted"] = found["sample_id"].map(samples.set_index("sample_id")["share_counted"])
    if made.options.scoring.method not in DRAWN:
        weighed = found.assign(largest_weight=found["sample_id"].map(largest))
        low, high = counting_error.concentration_interval(counts, weighed)
        return found.assign(concentration_low=low, concentration_high=high)
    if intervals is not None:
        found = found.merge(intervals, on=["sample_id", "taxon"], how="left")
        low, mean, high = (found[name] for name in ("concentration_low", "number_concentration", "concentration_high"))
        # a correction is not linear in what it is drawn from, and still the interval holds the estimate
        found["concentration_low"] = low.mask(low > mean, mean).mask(found["n"] == 0, 0.0)
        found["concentration_high"] = high.mask(high < mean, mean)
    return found


def counting(given):
    """Options and products from words of a command or a recipe.

    Parameters
    ----------
    given : dict
        ``statuses, min_score, method, threshold, dubious, sizes, memory`` and
        ``taxa, zones, coverage, carbon, validation, members, seed, check_ids,
        leave_out, least, leave_out_flags, conversions, conversion_sd, prior,
        shape, sized``; what is missing has its default.

    Returns
    -------
    options : aqqua_dist.counts.partitions.CountOptions
        What is counted.
    products : Products
        What is made of it.
    """
    plain = classifier_tallies.Scoring()
    scoring = classifier_tallies.Scoring(
        given.get("method", plain.method),
        (),
        given.get("threshold", plain.thresholds),
        given.get("dubious", plain.dubious),
    )
    statuses = tuple(given.get("statuses", ("validated",)))
    options = partitions.CountOptions(
        () if "all" in statuses else statuses,
        given.get("sizes", True),
        given.get("memory", partitions.MEMORY),
        given.get("min_score", 0.0),
        scoring,
        given.get("shape", "sphere"),
        given.get("sized", SIZED),
    )
    names = (
        "taxa",
        "zones",
        "coverage",
        "carbon",
        "validation",
        "members",
        "seed",
        "check_ids",
        "leave_out",
        "least",
        "leave_out_flags",
        "conversions",
        "conversion_sd",
        "prior",
    )
    return options, Products(**{name: given[name] for name in names if name in given})
