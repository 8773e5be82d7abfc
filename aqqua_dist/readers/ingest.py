"""From exports to tables: each file goes to the reader that knows it, and what was odd goes to a report."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance, content_key, created_now, sha256_file, software_versions
from aqqua_dist.core.tables import FINDINGS, OBJECTS, Ingested, finding, joined, typed
from aqqua_dist.effort import choices as effort_choices
from aqqua_dist.effort import volumes
from aqqua_dist.readers import mapped, model_outputs, pssdb, quality
from aqqua_dist.readers.formats import OUTPUTS, READERS, STREAMS
from aqqua_dist.readers.ifcb.bins import read_ifcb
from aqqua_dist.readers.sources import Source, find_sources

REPEATING = ["sample_id", "label", "status", "pixel", "model_id", "acquisition_id", "n_individuals"]
_ARROW = {"string": pa.string(), "float64": pa.float64(), "Int64": pa.int64()}


@dataclass(frozen=True)
class Outcome:
    """What `ingest` has written.

    Attributes
    ----------
    tables : aqqua_dist.core.tables.Ingested
        All tables; ``objects`` is empty, as it may not fit into memory.
    n_objects : int
        Rows of ``objects.parquet``.
    folder : pathlib.Path
        Where the files are.
    origin : aqqua_dist.core.provenance.Provenance
        What the tables were read from, for what is made of them.
    """

    tables: Ingested
    n_objects: int
    folder: Path
    origin: Provenance


def ingest(paths, out, *, mapping=None, effort=None, progress=True):
    """Read exports and write their tables.

    Parameters
    ----------
    paths : list of str or os.PathLike
        Files, folders or zip archives.
    out : str or os.PathLike
        Folder to write to.
    mapping : str or os.PathLike or tuple, optional
        Mapping of a table of samples (`aqqua_dist.readers.mapped`); then all
        sources are read by it. Or a mapping sheet of PSSdb and the number of
        its project: then the volume follows its row.
    effort : str or os.PathLike, optional
        Rule of the sampled volume by instrument
        (`aqqua_dist.effort.volumes.read_choices`), where the instrument has none
        that is settled.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Outcome
        What was written: ``samples.parquet`` (GeoParquet), ``objects.parquet``,
        ``counts.parquet``, one file per extra table, ``findings.parquet`` and
        ``quality.md`` with what was refused, repaired or suspicious.

    Raises
    ------
    UserError
        No source is of a known format, or a reader refuses one.
    """
    sources, out = find_sources(paths), Path(out)
    choices = effort_choices.read_choices(effort) if effort is not None else {}
    project = pssdb.project_of(*mapping) if isinstance(mapping, tuple) else None
    mapping = None if project else mapping
    groups, strangers = _grouped(sources, mapping)
    scales = {name: choice.pixels_per_um for name, choice in choices.items() if choice.pixels_per_um}
    groups = [(partial(read, scales=scales) if read is read_ifcb else read, group) for read, group in groups]
    if not groups:
        known = ", ".join(READERS)
        raise UserError(
            f"none of {len(sources)} files is of a known format, first {sources[0]}; known are {known}, and any table by a mapping."
        )
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in OBJECTS.items()])
    with (
        ThreadPoolExecutor(1) as beside,
        files.parquet_parts(out / "objects.parquet", schema, repeating=REPEATING) as objects,
    ):
        tables = [Source(Path(choice.images)) for choice in choices.values() if choice.images]
        origin = beside.submit(_origin, [*sources, *tables], [mapping, effort])
        outputs = [read(group) for read, group in groups if read in OUTPUTS]
        others = [(read, group) for read, group in groups if read not in OUTPUTS]
        parts = [
            _read(read, group, objects, outputs)
            for read, group in tqdm(others, desc="ingest", unit="format", disable=None if progress else True)
        ]
        known = {sample for part in parts for sample in part.samples["sample_id"]}
        parts += [_written(model_outputs.without(output, known), objects) for output in outputs]
        whole = (
            volumes.with_project(joined(parts), project) if project else volumes.with_volumes(joined(parts), choices)
        )
        left = [
            finding("suspicious", "format", "the format is not known; the file was left out.", file=str(source))
            for source in strangers
        ]
        found = quality.examine(whole)
        if left:
            found = pd.concat([typed(pd.DataFrame(left), FINDINGS), found], ignore_index=True)
        whole = Ingested(whole.samples, counts=whole.counts, findings=found, extra=whole.extra)
        objects.provenance = origin.result()
    _write(whole, out, objects.provenance)
    return Outcome(whole, objects.rows, out, objects.provenance)


def _grouped(sources, mapping):
    if mapping is not None:
        rules = mapped.read_mapping(mapping)
        return [
            (lambda group: _with_images(joined([mapped.read_mapped(source, rules) for source in group])), sources)
        ], []
    groups, strangers = {}, []
    for source in sources:
        name = (
            "model outputs"
            if source.path.is_dir()
            else next((name for name, (recognises, _) in READERS.items() if recognises(source)), None)
        )
        if name is None:
            strangers.append(source)
        else:
            groups.setdefault(name, []).append(source)
    return [(READERS[name][1], group) for name, group in groups.items()], strangers


def _with_images(part):
    """Samples of a plain table whose volume follows from their number of images, by the rule of the effort file."""
    wanted = part.samples[part.samples["volume"].isna() & part.samples["n_images"].notna()]
    if wanted.empty:
        return part
    images = wanted[["sample_id", "n_images"]].assign(acquisition_id="")
    return Ingested(part.samples, part.objects, part.counts, part.findings, part.extra | {"acquisitions": images})


def _read(read, group, objects, outputs):
    """Tables of one format; its objects are written at once, and only their counts by label are kept."""
    start = objects.rows
    if read in STREAMS:
        part, repeated = read(group, lambda batch: objects.write(batch.to_arrow()))
        objects.left_out += (start + repeated).tolist()
        return part
    part = read(group)
    for output in outputs:
        part = model_outputs.labelled(part, output.extra["predictions"])
    return _written(part, objects)


def _written(part, objects):
    objects.write(pa.Table.from_pandas(part.objects, preserve_index=False))
    tally = quality.tally(part.objects)
    extra = part.extra | ({"tally": tally} if len(tally) else {})
    return Ingested(part.samples, counts=part.counts, findings=quality.of_objects(part), extra=extra)


def _origin(sources, texts):
    paths = dict.fromkeys(
        file
        for source in sources
        for file in (
            sorted(p for p in source.path.rglob("*") if p.is_file()) if source.path.is_dir() else [source.path]
        )
    )
    hashes = {str(path): sha256_file(path) for path in paths}
    text = "".join(Path(path).read_text(encoding="utf-8-sig") for path in texts if path is not None)
    return Provenance(
        study="ingest",
        stage="ingest",
        key=content_key(inputs=hashes, mapping=text),
        recipe_text=text,
        recipe_sha256="",
        inputs=hashes,
        seeds={},
        software=software_versions(),
        references=[],
        created=created_now(),
    )


def _write(whole, out, origin):
    files.write_geoparquet(whole.samples, out / "samples.parquet", origin)
    for name, table in ({"counts": whole.counts, "findings": whole.findings} | whole.extra).items():
        files.write_parquet(table, out / f"{name}.parquet", origin)
    with files.replacing(out / "quality.md") as part:
        part.write_text(quality.report(whole.findings, whole.samples), encoding="utf-8")
