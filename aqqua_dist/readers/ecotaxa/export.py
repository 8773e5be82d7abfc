"""EcoTaxa exports: general, DOI, backup and import files, with or without internal ids.

Source: the exporter's and importer's code (github.com/ecotaxa/ecotaxa_back,
cb44b190) and exports of several servers.
"""

import numpy as np
import pandas as pd
import polars as pl

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import FINDINGS, OBJECTS, Ingested, typed
from aqqua_dist.readers.ecotaxa.annotations import Annotations, is_annotations, read_annotations
from aqqua_dist.readers.ecotaxa.cells import MISSING, Notes, columns_of_numbers, statuses
from aqqua_dist.readers.ecotaxa.reading import CODES, Reading, impossible, repeated
from aqqua_dist.readers.ecotaxa.rows import batches, header, look
from aqqua_dist.readers.ecotaxa.samples import POSITION
from aqqua_dist.readers.set_aside import Aside, setting_aside

ENDINGS = (".tsv", ".txt", ".tsv.gz", ".txt.gz")
COMPANIONS = {
    "sample_id",
    "acq_id",
    "object_lat",
    "object_annotation_status",
    "object_annotation_category",
    "img_file_name",
}
LABELS = ("object_annotation_category", "object_annotation_hierarchy")
SIZES = {
    "area": ("object_area",),
    "major": ("object_major", "object_major_axis_length"),
    "minor": ("object_minor", "object_minor_axis_length"),
}
NO_CODE = 2**32 - 1
NO_IDS = ["", " ", "nan", "NaN", "NA", "null", "None"]
SCORES = ("classif_auto_score", "object_prob_1")
_HELD = {
    "object_id": pl.String,
    "sample_id": pl.String,
    "acquisition_id": pl.String,
    "label": pl.String,
    "status": pl.String,
}


def recognises(source):
    """Whether a file is an EcoTaxa table.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.

    Returns
    -------
    bool
        Its name ends in one of `ENDINGS` and its header has ``object_id``
        beside another of EcoTaxa's columns.
    """
    if not source.name.lower().endswith(ENDINGS):
        return False
    names = set(header(source))
    return "object_id" in names and bool(names & COMPANIONS)


def read_ecotaxa(sources):
    """Tables of EcoTaxa files, objects in memory.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        One or several files of one or several exports.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        ``objects`` has one row per object, whatever the number of its
        images; ``samples`` has no volume: `aqqua_dist.effort.volumes` finds it from
        ``extra['acquisitions']``, which keeps the sample's, the acquisition's
        and the process's columns as text. ``extra['taxa']`` tells the
        hierarchy of each label.

    Raises
    ------
    UserError
        A file is damaged, a cell is not what its column says, or one object
        stands twice with different labels.
    """
    parts = []
    ingested, repeated = stream_ecotaxa(sources, parts.append)
    objects = pl.concat(parts) if parts else pl.DataFrame(schema=_HELD)
    if len(repeated):
        keep = np.ones(len(objects), dtype=bool)
        keep[repeated] = False
        objects = objects.filter(pl.Series(keep))
    return Ingested(
        ingested.samples, typed(objects.to_pandas(), OBJECTS), findings=ingested.findings, extra=ingested.extra
    )


def stream_ecotaxa(sources, write):
    """Tables of EcoTaxa files, objects handed over in batches.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Files.
    write : callable
        Takes a polars.DataFrame of objects (columns of
        `aqqua_dist.core.tables.OBJECTS` that EcoTaxa knows).

    Returns
    -------
    ingested : aqqua_dist.core.tables.Ingested
        As from `read_ecotaxa`, without objects; ``extra['tally']`` has the
        number of objects by sample, acquisition, label and status.
    repeated : numpy.ndarray of int
        Places, counted over everything handed to `write`, of further images
        of an object: they are no objects and must be left out.

    Raises
    ------
    UserError
        As `read_ecotaxa`.
    """
    reading, aside, left_out, n_read = Reading(), Aside(), [], 0
    objects = _annotated(sources, reading, aside)
    for source in objects:
        mark, start = reading.mark(), reading.n_written
        with setting_aside(aside, source):
            _read_file(source, reading, write)
            n_read += 1
            continue
        reading.back(mark)
        left_out.append(np.arange(start, reading.n_written))
    reading.findings += aside.findings(n_read) + reading.annotations.findings()
    left_out.append(repeated(reading))
    left_out.append(impossible(reading))
    samples, acquisitions = reading.samples.tables(reading.findings)
    extra = {
        "acquisitions": acquisitions,
        "taxa": _taxa(reading.taxa),
        "tally": _tally(reading.tally, reading.samples.keys(), reading.samples.impossible),
    }
    found = Ingested(samples, findings=typed(pd.DataFrame(reading.findings), FINDINGS), extra=extra)
    return found, np.unique(np.concatenate(left_out))


def _annotated(sources, reading, aside):
    """Read annotations-only files; gives the other ones back."""
    objects, labels = [], []
    for source in sources:
        if is_annotations(header(source)):
            with setting_aside(aside, source):
                labels.append((source, read_annotations(source)))
        else:
            objects.append(source)
    if labels and not objects:
        source, table = labels[0]
        text = f"{source}: the file holds {len(table)} labels and no objects (no position, no sample); ingest it together with the export that"
        raise UserError(f"{text} holds the objects, they are joined by object_id.")
    reading.annotations = Annotations(labels)
    return objects


def _read_file(source, reading, write):
    layout, notes = look(source), Notes(source)
    if "object_id" not in layout.names:
        raise UserError(f"{source}, row 1: there is no column 'object_id' among the {len(layout.names)} columns.")
    reading.samples.begin(source, layout.names)
    columns = [
        "object_id",
        "img_rank",
        "object_annotation_status",
        *LABELS,
        *POSITION,
        *(name for names in SIZES.values() for name in names),
        *SCORES,
    ]
    columns = [name for name in dict.fromkeys([*columns, *reading.samples.wanted]) if name in layout.names]
    total = unsized = 0
    for first, frame in batches(layout, columns, notes):
        rows = np.arange(first, first + len(frame))
        no_id = frame["object_id"].is_in(NO_IDS)
        if no_id.any():
            frame, rows = _without_blank(frame, rows, no_id, source)
        if len(frame):
            table = _batch(frame, rows, reading, notes)
            total, unsized = total + len(table), unsized + table["esd"].null_count()
            write(table)
            follow = rows[-1] - rows[0] == len(rows) - 1
            reading.lines.append(
                (source, range(int(rows[0]), int(rows[-1]) + 1) if follow else rows, reading.n_written)
            )
            reading.n_written += len(table)
    if unsized:
        notes.add(
            "suspicious", "size", _unsized(layout, unsized, total), (layout.above + 1, "object_area", ""), unsized
        )
    if not total:
        text = "the table has a header and no rows; no object was read from it."
        notes.table("suspicious", "empty", text)
    reading.samples.end(notes)
    reading.findings += notes.findings()


def _unsized(layout, unsized, total):
    """Sentence about objects whose size cannot be computed."""
    what = "all objects" if unsized == total else f"{unsized} of {total} objects"
    lacks = (
        "no column of their area"
        if not set(SIZES["area"]) & set(layout.names)
        else "no area or no pixel size that is known"
    )
    return f"{what} have no size ({lacks}); the biovolume and carbon of their taxa are unknown."


def _without_blank(frame, rows, no_id, source):
    """Rows that hold anything; one without an id is refused."""
    empty = frame.select(pl.all_horizontal(pl.all() == "")).to_series()
    lost = (~empty & no_id).arg_true()
    if len(lost):
        raise UserError(
            f"{source}, row {rows[lost[0]]}, column 'object_id': {frame['object_id'][lost[0]]!r} is no id, each object needs its own."
        )
    return frame.filter(~empty), rows[~empty.to_numpy()]


def _batch(frame, rows, reading, notes):
    """Objects of one batch, in our columns and units."""
    keys = reading.samples.add(frame, rows, notes)
    position = [name for name in ("lat", "lon") if name in keys.columns]
    sizes = {
        name: next((choice for choice in choices if choice in frame.columns), None) for name, choices in SIZES.items()
    }
    score = next((name for name in SCORES if name in frame.columns), None)
    numeric = {
        name: column
        for name, column in (
            sizes | {"score": score, "rank": "img_rank" if "img_rank" in frame.columns else None}
        ).items()
        if column
    }
    found = columns_of_numbers(frame.select(numeric.values()), rows, notes)
    found = found.select(pl.col(column).alias(name) for name, column in numeric.items())
    _check_sizes(found, frame, rows, numeric, notes)
    status = pl.lit(None, pl.String)
    if "object_annotation_status" in frame.columns:
        status = pl.lit(statuses(frame["object_annotation_status"], rows, notes))
    label = pl.lit(_labels(frame[LABELS[0]])) if LABELS[0] in frame.columns else pl.lit(None, pl.String)
    none = pl.lit(None, pl.Float64)
    table = pl.concat(
        [frame, keys.rename({"sample_id": "_sample"}).drop("code", *position), found], how="horizontal"
    ).select(
        "object_id",
        pl.col("_sample").alias("sample_id"),
        "acquisition_id",
        label.alias("label"),
        status.alias("status"),
        "pixel",
        "depth",
        *(pl.col(name) if name in found.columns else none.alias(name) for name in ("area", "major", "minor", "score")),
    )
    table = reading.annotations.joined(table.with_columns(_esd(table)))
    _remember(table, keys.drop(position), frame, found, reading)
    seen = pl.concat([table.select("area", "major", "minor", "depth"), keys.select(position)], how="horizontal")
    mixed = pl.reduce(lambda one, two: one ^ two, [pl.col(name).hash(seed) for seed, name in enumerate(seen.columns)])
    reading.prints.append(seen.select(mixed).to_series().to_numpy())
    return table


def _labels(texts):
    """Labels; null where there is none."""
    wrong = {text: _label(text) for text in texts.unique().to_list() if _label(text) != text}
    return texts.replace(wrong) if wrong else texts


def _label(text):
    stripped = text.strip()
    return None if stripped.lower() in MISSING else stripped


def _esd(table):
    return (2 * (pl.col("area") / np.pi).sqrt() * pl.col("pixel")).alias("esd")


def _check_sizes(found, frame, rows, numeric, notes):
    for name in SIZES:
        if name in found.columns and (found[name].min() or 0) < 0:
            place, column = int((found[name] < 0).arg_max()), numeric[name]
            raise UserError(
                f"{notes.source}, row {rows[place]}, column {column!r}: {frame[column][place]!r} is below 0, allowed are sizes in pixels."
            )


def _remember(table, keys, frame, found, reading):
    """Keep what finds repeated objects, and counts and names of labels."""
    names = table.select(pl.col("label", "status").cast(reading.kind), keys["code"])
    codes = names.select("code", pl.col("label", "status").to_physical().cast(pl.UInt32).fill_null(NO_CODE))
    mixed = pl.col("object_id").hash(1) ^ (keys["code"].cast(pl.UInt64) * 0x9E3779B97F4A7C15)
    reading.keys.append(table.select(mixed).to_series().to_numpy())
    reading.states.append(codes.to_numpy())
    rank = found["rank"].fill_null(0).to_numpy() if "rank" in found.columns else np.zeros(len(table))
    reading.ranks.append(np.clip(rank, -(2**15), 2**15 - 1).astype(np.int16))
    volume = table.select(pl.col("esd").pow(3) * (np.pi / 6e9)).to_series()  # mm3, as a sphere
    reading.volumes.append(volume.to_numpy())
    counted = (
        names.with_columns(_v=volume)
        .group_by("code", "label", "status")
        .agg(n=pl.len().cast(pl.Int64), biovolume=pl.when(pl.col("_v").null_count() == 0).then(pl.col("_v").sum()))
    )
    reading.tally.append(
        counted.with_columns(pl.col(name).to_physical().fill_null(NO_CODE).alias(code) for code, name in CODES.items())
    )
    new = [
        label for label in counted["label"].unique().drop_nulls().cast(pl.String).to_list() if label not in reading.taxa
    ]
    if new:
        line = pl.col(LABELS[1]) if LABELS[1] in frame.columns else pl.lit("")
        lines = (
            frame.select(table["label"], line.alias("hierarchy"))
            .filter(pl.col("label").is_in(new))
            .unique("label", keep="first")
        )
        reading.taxa.update(lines.rows())


def _tally(parts, keys, without):
    if not parts:
        return pd.DataFrame(
            {"sample_id": [], "acquisition_id": [], "label": [], "status": [], "n": [], "biovolume": []}
        )
    names = ["sample_id", "acquisition_id", "label", "status"]
    parts = pl.concat(parts)
    whole = parts.with_columns(
        pl.col("label", "status").cast(pl.String),
        *(
            pl.Series(name, [key[place] for key in keys], dtype=pl.String)[parts["code"]]
            for place, name in enumerate(names[:2])
        ),
    )
    known = pl.when(pl.col("biovolume").null_count() == 0).then(pl.col("biovolume").sum())
    whole = whole.filter(~pl.col("sample_id").is_in(list(without)))
    return whole.group_by(names).agg(pl.col("n").sum(), biovolume=known).sort(names).to_pandas()


def _taxa(lines):
    return pd.DataFrame(sorted(lines.items()), columns=["label", "hierarchy"], dtype="string")
