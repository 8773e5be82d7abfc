"""`aqqua-dist aggregate`: an ingested folder, or objects and samples of any origin, to counts and concentrations."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from aqqua_dist.concentrations import member_tables
from aqqua_dist.concentrations.concentrations import concentrations
from aqqua_dist.concentrations.members import Sources
from aqqua_dist.concentrations.zones import COVERAGE, pooled_counts, zone_samples
from aqqua_dist.core import cluster, files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance, created_now, software_versions
from aqqua_dist.core.tables import SAMPLES, typed
from aqqua_dist.counts import classifier_counts, classifier_tallies, counting_error, counts_table, partitions, tallies
from aqqua_dist.counts.confusion import Validated, read_validation
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
from aqqua_dist.organisms import rollup

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
        Conversion (`aqqua_dist.organisms.conversions`) by taxon.
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
    """

    taxa: tuple = ()
    zones: tuple = ()
    coverage: float = COVERAGE
    carbon: dict | None = None
    validation: str | None = None
    members: int = 0
    seed: int = 0
    check_ids: bool = True


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
    """

    folder: Path
    objects: int
    counted: int
    rows: int


@dataclass(frozen=True)
class _Made:
    """Everything that the sums were made from."""

    paths: list
    folder: Path
    samples: pd.DataFrame
    known: counts_table.Known
    options: partitions.Options
    validated: Validated | None
    lines: dict
    ingested: pd.DataFrame


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
    options : aqqua_dist.counts.partitions.Options, optional
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
        every sample with a volume and every taxon, zeros included;
        ``zone_concentrations.parquet`` the same per profile and zone.

    Raises
    ------
    UserError
        Nothing to read, an object without its sample, or a file that is
        damaged.
    """
    options, products, out = options or partitions.Options(), products or Products(), Path(out)
    refuse_same_folder(Path(source), out)
    paths, folder = object_files(Path(source))
    table = read_samples(Path(samples) if samples is not None else folder / "samples.parquet")
    out.mkdir(parents=True, exist_ok=True)
    joined = out / ".objects.parquet"
    if options.scoring.method not in ("labels", "validated") and join_predictions(folder, joined):
        paths = [joined]
    groups = partitions.groups_of(paths)
    checked = _check_ids(groups, paths, options) if products.check_ids else "not checked"
    units = weighted_units(folder)
    links = links_of(table, units)
    labels = partitions.labels_of(groups)
    scoring, validated = _scoring(options.scoring, paths, labels, products.validation)
    options, lines = replace(options, scoring=scoring), hierarchies(folder)
    axes = tallies.Axes(
        (*links.keys, *scoring.extra_rows), labels, tallies.CLASSES + 1 if options.sizes else 1, scoring.columns
    )
    ingested = ingested_counts(Path(source))
    relations = counts_table.relations_of([*labels, *scoring.classes], lines, products.carbon)
    made = _Made(
        paths,
        folder,
        table,
        counts_table.known_of(axes, table, units, options, relations),
        options,
        validated,
        lines,
        ingested,
    )
    state = out / ".sums.npz"
    with cluster.submitter(scheduler, out) if scheduler else nullcontext() as submit:
        sums = partitions.run_groups(groups, axes, links, options, state=state, submit=submit)
    rows = _write(sums, made, products, out, {"objects": sum(group.rows for group in groups), "ids": checked})
    state.unlink(missing_ok=True)
    joined.unlink(missing_ok=True)
    return rows


def _scoring(scoring, paths, labels, validation):
    """Classes of the model: those of the probabilities, of the validation table, or all labels."""
    if not scoring.columns and scoring.method in ("labels", "validated"):
        return scoring, None
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
    return scoring, validated


def _check_ids(groups, paths, options):
    """Whether each object stands once; a file without ids says nothing."""
    if not all("object_id" in files.parquet_names(path) for path in paths):
        return "not in the files"
    refuse_repeated(groups, memory=options.memory)
    return "each once"


def _write(sums, made, products, out, told):
    known, scoring, table = made.known, made.options.scoring, made.samples
    origin = _origin(made, products)
    model = counts_table.model_rows(sums, known, made.validated) if scoring.columns else None
    if len(made.ingested):
        model = made.ingested if model is None else pd.concat([made.ingested, model], ignore_index=True)
    labels, plain = counts_table.by_label(sums, known.axes), known
    if scoring.columns:
        width = known.axes.width * known.axes.sizes
        row, rest = np.divmod(labels.cells, width)
        plain = counts_table.smaller(known)
        labels = replace(labels, cells=row * plain.axes.width * plain.axes.sizes + rest)
    rows = counts_table.write_counts(labels, plain, out / "counts.parquet", origin, model)
    counts = counts_table.whole_counts(labels, plain, model)
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
    }
    bounds = _members(sums, counts, made, products, out, origin) if products.members else None
    _write_concentrations(counts, made, products, (out, bounds), origin)
    (files.write_geoparquet if {"lat", "lon"} <= set(table) else files.write_parquet)(
        table, out / "samples.parquet", origin
    )
    if made.lines:
        files.write_parquet(
            pd.DataFrame(made.lines.items(), columns=["label", "hierarchy"]), out / "taxa.parquet", origin
        )
    files.write_json(report, out / "report.json", origin)
    return Aggregated(out, told["objects"], counted, rows)


def _origin(made, products):
    stats = {str(path): f"{path.stat().st_size} bytes" for path in made.paths}
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


def _members(sums, counts, made, products, out, origin):
    """Draw and write the members; gives the intervals of samples back that come from draws, and what makes those of zones."""
    scoring, table = made.options.scoring, made.samples
    raw = counts_table.raw_rows(sums, made.known) if scoring.method in ("acc", "pacc") else None
    every = counts if raw is None else pd.concat([counts, raw], ignore_index=True)
    labels = counts_table.relations_of(sorted(set(every["taxon"])), made.lines, products.carbon)
    plan = Sources(n_members=products.members, seed=products.seed, conversion=labels)
    parts = member_tables.parts_of(counts, raw, scoring.method, made.validated)
    goal = member_tables.goal_of(every, made.lines, products.taxa)
    whole = searched_samples(table, made.folder)
    whole = whole[whole["volume"] > 0]
    parts = [(part[part["sample_id"].isin(whole["sample_id"])], confusion) for part, confusion in parts]
    member_tables.write_members(parts, whole, goal, plan, (out / "members.parquet", origin))
    if scoring.method not in DRAWN:
        return None
    return member_tables.intervals(parts, whole, goal, plan), lambda pooled, members: member_tables.zone_intervals(
        parts, (whole, pooled, members), goal, plan
    )


def _write_concentrations(counts, made, products, place, origin):
    (out, bounds), taxa, table = place, products.taxa, made.samples
    if taxa:
        counts = rollup.taxon_counts(counts, made.lines, list(taxa))
    for name in ("depth_top", "depth_bottom"):
        table = table if name in table else table.assign(**{name: np.nan})
    table = searched_samples(table, made.folder)
    whole = table[table["volume"] > 0]
    mine = counts[counts["sample_id"].isin(whole["sample_id"])]
    found = _concentrations(whole, mine, taxa, made.options)
    if bounds is not None:
        found = found.merge(bounds[0], on=["sample_id", "taxon"], how="left")
        found["concentration_low"] = found["concentration_low"].mask(found["n"] == 0, 0.0)
    files.write_parquet(found, out / "concentrations.parquet", origin)
    if not products.zones:
        return
    pooled, members, dropped = zone_samples(typed(table, SAMPLES), products.zones, coverage=products.coverage)
    if pooled.empty:
        raise UserError(
            f"none of {len(table)} samples covers {products.coverage:.0%} of a zone among {', '.join(name for name, _, _ in products.zones)}."
        )
    found = _concentrations(
        pooled, pooled_counts(mine[mine["sample_id"].isin(members["sample_id"])], members), taxa, made.options
    )
    if bounds is not None:
        found = found.merge(bounds[1](pooled, members), on=["sample_id", "taxon"], how="left")
    place = pooled.set_index("sample_id")[
        ["profile", "zone", "cruise", "time", "lat", "lon", "depth_top", "depth_bottom", "coverage"]
    ]
    files.write_parquet(found.join(place, on="sample_id"), out / "zone_concentrations.parquet", origin)
    files.write_parquet(dropped, out / "zones_dropped.parquet", origin)


def _concentrations(samples, counts, taxa, options):
    """Concentrations with the interval of their counts; a correction by probabilities or a confusion has that of its members."""
    found = concentrations(samples, counts, list(taxa) or None)
    if options.scoring.method in DRAWN:
        return found
    low, high = counting_error.concentration_interval(counts, found)
    return found.assign(concentration_low=low, concentration_high=high)
