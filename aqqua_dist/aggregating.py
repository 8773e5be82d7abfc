"""`aqqua-dist aggregate`: an ingested folder, or objects and samples of any origin, to counts and concentrations."""

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from aqqua_dist import (
    aggregate, aggregation, artefact, cluster, count_tables, counting, drawn_tables, member_counts, model_counts, model_tallies, profiles, tallies,
)
from aqqua_dist.duplicates import refuse_repeated
from aqqua_dist.errors import UserError
from aqqua_dist.links import links_of
from aqqua_dist.predicted_objects import join_predictions
from aqqua_dist.provenance import Provenance, created_now, software_versions
from aqqua_dist.readers.ingested import SAMPLES, typed

UNITS = count_tables.UNITS | {
    "volume": "m3", "number_concentration": "m-3", "biovolume_concentration": "mm3 m-3", "carbon_biomass": "mg m-3", "concentration_low": "m-3",
    "concentration_high": "m-3", "number_integral": "m-2", "depth_top": "m", "depth_bottom": "m"}
DRAWN = ("probabilistic", "acc", "pacc", "em")
"""Methods whose intervals come from draws."""
REFERENCES = {
    "acc": "https://doi.org/10.1007/s10618-008-0097-y", "pacc": "https://doi.org/10.1109/ICDM.2010.75", "em": "https://doi.org/10.1162/089976602753284446"}


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
        Conversion (`aqqua_dist.conversions`) by taxon.
    validation : str or None
        Labelled validation table of the model
        (`aqqua_dist.model_counts.read_validation`).
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
    coverage: float = profiles.COVERAGE
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
    known: count_tables.Known
    options: aggregation.Options
    validated: model_counts.Validated | None
    lines: dict


def aggregate_objects(source, out, options=None, *, samples=None, products=None, scheduler=None):
    """Counts per sample, label and size class of objects of any number.

    Parameters
    ----------
    source : str or os.PathLike
        Folder of an ingest, a Parquet file of objects, or a folder of such
        files (partitions): columns ``sample_id``, ``label`` or ``prob`` (list
        of probabilities of the ``classes`` in the file's metadata) and, where
        known, ``status, esd`` (µm), ``depth`` (m), ``score``.
    out : str or os.PathLike
        Folder to write to.
    options : aqqua_dist.aggregation.Options, optional
        What is counted.
    samples : str or os.PathLike, optional
        Table of samples; that of the ingest unless given.
    products : Products, optional
        What is made of the sums.
    scheduler : str, optional
        As for `aqqua_dist.cluster.submitter`; here unless given.

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
    options, products, out = options or aggregation.Options(), products or Products(), Path(out)
    paths, folder = object_files(Path(source))
    table = read_samples(Path(samples) if samples is not None else folder / "samples.parquet")
    out.mkdir(parents=True, exist_ok=True)
    joined = out / ".objects.parquet"
    if options.scoring.method not in ("labels", "validated") and join_predictions(folder, joined):
        paths = [joined]
    groups = aggregation.groups_of(paths)
    checked = _check_ids(groups, paths, options) if products.check_ids else "not checked"
    units = _units(table, folder)
    links = links_of(table, units)
    labels = aggregation.labels_of(groups)
    scoring, validated = _scoring(options.scoring, paths, labels, products.validation)
    options, lines = replace(options, scoring=scoring), _lines(folder)
    axes = tallies.Axes((*links.keys, *scoring.extra_rows), labels, tallies.CLASSES + 1 if options.sizes else 1, scoring.columns)
    relations = count_tables.relations_of([*labels, *scoring.classes], lines, products.carbon)
    made = _Made(paths, folder, table, count_tables.known_of(axes, table, units, options, relations), options, validated, lines)
    state = out / ".sums.npz"
    with cluster.submitter(scheduler, out) if scheduler else nullcontext() as submit:
        sums = aggregation.run_groups(groups, axes, links, options, state=state, submit=submit)
    rows = _write(sums, made, products, out, {"objects": sum(group.rows for group in groups), "ids": checked})
    state.unlink(missing_ok=True)
    joined.unlink(missing_ok=True)
    return rows


def _scoring(scoring, paths, labels, validation):
    """Classes of the model: those of the probabilities, of the validation table, or all labels."""
    if not scoring.columns and scoring.method in ("labels", "validated"):
        return scoring, None
    classes = model_tallies.classes_of(paths)
    soft = classes is not None
    if not soft and scoring.method in model_tallies.WITH_PROB:
        raise UserError(f"{paths[0]}: there is no column 'prob', which method {scoring.method!r} needs; 'top1', 'thresholded' and 'acc' do with labels.")
    validated = model_counts.read_validation(validation, classes) if validation is not None else None
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
    if not all("object_id" in artefact.parquet_names(path) for path in paths):
        return "not in the files"
    refuse_repeated(groups, memory=options.memory)
    return "each once"


def _write(sums, made, products, out, told):
    known, scoring, table = made.known, made.options.scoring, made.samples
    origin = _origin(made, products)
    model = count_tables.model_rows(sums, known, made.validated) if scoring.columns else None
    labels, plain = count_tables.by_label(sums, known.axes), known
    if scoring.columns:
        width = known.axes.width * known.axes.sizes
        row, rest = np.divmod(labels.cells, width)
        plain = count_tables.smaller(known)
        labels = replace(labels, cells=row * plain.axes.width * plain.axes.sizes + rest)
    rows = count_tables.write_counts(labels, plain, out / "counts.parquet", origin, model)
    counts = count_tables.whole_counts(labels, plain, model)
    counted = int(labels.n.sum()) + (int(round(model_counts.raw_counts(sums, known.axes, scoring)["n"].sum())) if model is not None else 0)
    report = told | {
        "counted": counted, "samples": len(table), "labels": len(known.axes.labels), "method": scoring.method,
        "samples_without_volume": int((~(table["volume"] > 0)).sum()), "samples_without_objects": int(len(table) - counts["sample_id"].nunique()),
        "probabilities_scaled_to_1": model_counts.repaired_rows(sums, known.axes, scoring)}
    bounds = _members(sums, counts, made, products, out, origin) if products.members else None
    _write_concentrations(counts, made, products, (out, bounds), origin)
    (artefact.write_geoparquet if {"lat", "lon"} <= set(table) else artefact.write_parquet)(table, out / "samples.parquet", origin)
    if made.lines:
        artefact.write_parquet(pd.DataFrame(made.lines.items(), columns=["label", "hierarchy"]), out / "taxa.parquet", origin)
    artefact.write_json(report, out / "report.json", origin)
    return Aggregated(out, told["objects"], counted, rows)


def object_files(source):
    """Parquet files of objects in a place.

    Parameters
    ----------
    source : pathlib.Path
        Folder of an ingest, a file, or a folder of partitions.

    Returns
    -------
    paths : list of pathlib.Path
        Partitions.
    folder : pathlib.Path
        Where further tables may lie.

    Raises
    ------
    UserError
        There are none.
    """
    if source.is_file():
        return [source], source.parent
    if (source / "objects.parquet").is_file():
        return [source / "objects.parquet"], source
    place = source / "objects.parquet" if (source / "objects.parquet").is_dir() else source
    paths = sorted(path for path in place.rglob("*.parquet") if path.name != "samples.parquet" and not path.name.startswith(".")) if place.is_dir() else []
    if not paths:
        raise UserError(f"{str(source)!r} holds no Parquet files of objects; give a file, a folder of them, or the folder of an ingest.")
    return paths, source


def read_samples(path):
    """Table of samples.

    Parameters
    ----------
    path : pathlib.Path
        Parquet file with ``sample_id`` and ``volume`` (m3).

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    UserError
        No such file, a missing column, or a volume that is not above 0.
    """
    if not path.is_file():
        raise UserError(f"the table of samples {str(path)!r} does not exist; without it nobody knows the sampled volumes.")
    table = pd.DataFrame(artefact.read_parquet(path))
    missing = [name for name in ("sample_id", "volume") if name not in table]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing, samples need 'sample_id' and 'volume' (m3).")
    bad = table["volume"].notna() & ~(table["volume"] > 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"{path}, row {row + 1}: volume {table['volume'].iloc[row]:g} of sample {table['sample_id'].iloc[row]!r} is not above 0 m3.")
    return table


def _units(table, folder):
    """Parts of samples whose objects have a weight of their own: (sample, acquisition) and its weight."""
    path = folder / "acquisitions.parquet"
    if not path.is_file():
        return {}
    parts = pd.DataFrame(artefact.read_parquet(path))
    if "weight" not in parts or not (parts["weight"].fillna(1.0) != 1.0).any():
        return {}
    odd = parts[parts["sample_id"].isin(parts.loc[parts["weight"].fillna(1.0) != 1.0, "sample_id"])]
    keys = list(zip(odd["sample_id"].astype(str), odd["acquisition_id"].fillna("").astype(str), strict=True))
    return dict(zip(keys, odd["weight"].fillna(1.0), strict=True))


def _lines(folder):
    """Hierarchy of each label, as an ingest keeps it."""
    path = folder / "taxa.parquet"
    if not path.is_file():
        return {}
    known = artefact.read_parquet(path)
    return dict(zip(known["label" if "label" in known else "taxon"], known["hierarchy"].fillna(""), strict=True))


def _origin(made, products):
    stats = {str(path): f"{path.stat().st_size} bytes" for path in made.paths}
    references = ["https://doi.org/10.1093/biomet/28.3-4.437", *(REFERENCES[name] for name in [made.options.scoring.method] if name in REFERENCES)]
    return Provenance(
        study="aggregate", stage="aggregate", key="", recipe_text=repr((replace(made.options, memory=0), products)), recipe_sha256="", inputs=stats, seeds={},
        software=software_versions(), references=references, created=created_now())


def _members(sums, counts, made, products, out, origin):
    """Draw and write the members; gives the intervals of samples back that come from draws, and what makes those of zones."""
    scoring, table = made.options.scoring, made.samples
    raw = count_tables.raw_rows(sums, made.known) if scoring.method in ("acc", "pacc") else None
    every = counts if raw is None else pd.concat([counts, raw], ignore_index=True)
    labels = count_tables.relations_of(sorted(set(every["taxon"])), made.lines, products.carbon)
    plan = member_counts.Sources(n_members=products.members, seed=products.seed, conversion=labels)
    parts = drawn_tables.parts_of(counts, raw, scoring.method, made.validated)
    goal = drawn_tables.goal_of(every, made.lines, products.taxa)
    whole = table[table["volume"] > 0]
    parts = [(part[part["sample_id"].isin(whole["sample_id"])], confusion) for part, confusion in parts]
    drawn_tables.write_members(parts, whole, goal, plan, (out / "members.parquet", origin))
    if scoring.method not in DRAWN:
        return None
    return drawn_tables.intervals(parts, whole, goal, plan), lambda pooled, members: drawn_tables.zone_intervals(parts, (whole, pooled, members), goal, plan)


def _write_concentrations(counts, made, products, place, origin):
    (out, bounds), taxa, table = place, products.taxa, made.samples
    if taxa:
        counts = aggregate.taxon_counts(counts, made.lines, list(taxa))
    for name in ("depth_top", "depth_bottom"):
        table = table if name in table else table.assign(**{name: np.nan})
    whole = table[table["volume"] > 0]
    mine = counts[counts["sample_id"].isin(whole["sample_id"])]
    found = _concentrations(whole, mine, taxa, made.options)
    if bounds is not None:
        found = found.merge(bounds[0], on=["sample_id", "taxon"], how="left")
        found["concentration_low"] = found["concentration_low"].mask(found["n"] == 0, 0.0)
    artefact.write_parquet(found, out / "concentrations.parquet", origin, UNITS)
    if not products.zones:
        return
    pooled, members, dropped = profiles.zone_samples(typed(table, SAMPLES), products.zones, coverage=products.coverage)
    if pooled.empty:
        raise UserError(f"none of {len(table)} samples covers {products.coverage:.0%} of a zone among {', '.join(name for name, _, _ in products.zones)}.")
    found = _concentrations(pooled, profiles.pooled_counts(mine[mine["sample_id"].isin(members["sample_id"])], members), taxa, made.options)
    if bounds is not None:
        found = found.merge(bounds[1](pooled, members), on=["sample_id", "taxon"], how="left")
    place = pooled.set_index("sample_id")[["profile", "zone", "cruise", "time", "lat", "lon", "depth_top", "depth_bottom", "coverage"]]
    artefact.write_parquet(found.join(place, on="sample_id"), out / "zone_concentrations.parquet", origin, UNITS)
    artefact.write_parquet(dropped, out / "zones_dropped.parquet", origin)


def _concentrations(samples, counts, taxa, options):
    """Concentrations with the interval of their counts; a correction by probabilities or a confusion has that of its members."""
    found = profiles.concentrations(samples, counts, list(taxa) or None)
    if options.scoring.method in DRAWN:
        return found
    low, high = counting.concentration_interval(counts, found)
    return found.assign(concentration_low=low, concentration_high=high)


def parse_memory(text):
    """Bytes of a size written by a person.

    Parameters
    ----------
    text : str
        Such as ``2GiB``, ``500MB`` or a number of bytes.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    UserError
        The text is nothing of the kind, or below 16 MiB.
    """
    units = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text.strip()[len(number):].strip().lower()
    try:
        size = int(float(json.loads(number)) * units[unit])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"memory {text!r} is no size, as 2GiB or 500MB.") from None
    if size < 2**24:
        raise UserError(f"memory {text!r} is below 16 MiB.")
    return size
