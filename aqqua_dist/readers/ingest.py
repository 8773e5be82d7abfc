"""From exports to tables: each file goes to the reader that knows it, and what was odd goes to a report."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
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
from aqqua_dist.readers.cast_vignettes import with_casts
from aqqua_dist.readers.ecopart.export import read_ecopart
from aqqua_dist.readers.formats import OUTPUTS, READERS, STREAMS
from aqqua_dist.readers.ifcb.bins import read_ifcb
from aqqua_dist.readers.same_samples import SAME, merged
from aqqua_dist.readers.set_aside import CHECK, Aside, setting_aside
from aqqua_dist.readers.sources import Source, find_sources

REPEATING = ["sample_id", "label", "status", "pixel", "model_id", "acquisition_id", "n_individuals"]
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
"""Ends of names of images: expected beside the tables of an export, and never read."""
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

    @property
    def set_aside(self):
        """Sentences about files and samples that were left out (list of str)."""
        found = self.tables.findings
        return found.loc[found["check"] == CHECK, "message"].tolist()

    @property
    def joined(self):
        """Sentences about samples of two sources that are the same water (list of str)."""
        found = self.tables.findings
        return found.loc[found["check"].isin(SAME), "message"].tolist()


def ingest(paths, out, *, mapping=None, effort=None, progress=True):
    """Read exports and write their tables.

    Parameters
    ----------
    paths : str, os.PathLike or list of them
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
        No source is of a known format, or none can be read; a file or a
        sample that cannot be read is set aside and stands among the findings
        as ``refused`` while the rest goes on.
    """
    aside, out = Aside(), Path(out)
    sources = find_sources(paths, aside)
    choices = effort_choices.read_choices(effort) if effort is not None else {}
    project = pssdb.project_of(*mapping) if isinstance(mapping, tuple) else None
    mapping = None if project else mapping
    groups, left = _grouped(sources, mapping, aside)
    scales = {name: choice.pixels_per_um for name, choice in choices.items() if choice.pixels_per_um}
    groups = [(partial(read, scales=scales) if read is read_ifcb else read, group) for read, group in groups]
    if not groups:
        aside.findings(0)
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
        parts = _parts(groups, objects, aside, progress)
        left += aside.findings(len(parts))
        whole, twice = with_casts(joined(merged(parts, left)))
        objects.left_out += twice
        whole = volumes.with_project(whole, project) if project else volumes.with_volumes(whole, choices)
        found = quality.examine(whole)
        if left:
            found = pd.concat([typed(pd.DataFrame(left), FINDINGS), found], ignore_index=True)
        whole = Ingested(whole.samples, counts=whole.counts, findings=found, extra=whole.extra)
        objects.provenance = origin.result()
    _write(whole, out, objects.provenance)
    return Outcome(whole, objects.rows, out, objects.provenance)


def _parts(groups, objects, aside, progress):
    """Tables of each format that can be read; model outputs come first, as others take their labels from them."""
    outputs, parts = [], []
    for read, group in groups:
        if read in OUTPUTS:
            with setting_aside(aside, _named(group)):
                outputs.append(read(group))
    others = [(read, group) for read, group in groups if read not in OUTPUTS]
    for read, group in tqdm(others, desc="ingest", unit="format", disable=None if progress else True):
        with setting_aside(aside, _named(group)):
            parts.append(_read(read, group, objects, outputs))
    known = {sample for part in parts for sample in part.samples["sample_id"]}
    return parts + [_written(model_outputs.without(output, known), objects) for output in outputs]


def _named(group):
    """One name for the files of a group."""
    return group[0] if len(group) == 1 else f"{group[0]} and {len(group) - 1} other files of its format"


def _grouped(sources, mapping, aside):
    """Sources by their reader, and findings about those that no reader knows."""
    if mapping is not None:
        rules = mapped.read_mappings(mapping)
        tables = [source for source in sources if not source.name.lower().endswith(IMAGES)]
        pictures = [source for source in sources if source not in tables] if len(tables) < len(sources) else []
        return [(partial(_read_mapped, rules=rules), tables)] if tables else [], _strangers(pictures)
    groups, strangers = {}, []
    for source in sources:
        name = None
        with setting_aside(aside, source):
            name = _format_of(source)
            if name is None:
                strangers.append(source)
        if name is not None:
            groups.setdefault(name, []).append(source)
    return [(READERS[name][1], group) for name, group in groups.items()], _strangers(strangers)


def _format_of(source):
    if source.path.is_dir():
        return "model outputs"
    if source.name.lower().endswith(IMAGES):
        return None
    return next((name for name, (recognises, _) in READERS.items() if recognises(source)), None)


def _strangers(sources):
    """One finding per file of an unknown format, and one per archive or folder for all its images."""
    found, images = [], {}
    for source in sources:
        if source.name.lower().endswith(IMAGES):
            place = str(source.path if source.member else source.path.parent)
            images[place] = images.get(place, 0) + 1
        else:
            text = "the format is not known; the file was left out."
            found.append(finding("suspicious", "format", text, file=str(source)))
    for place, count in images.items():
        text = f"{count} image{'s' if count > 1 else ''} beside the tables; images are not read."
        found.append(finding("suspicious", "format", text, file=place, value=count))
    return found


def _read_mapped(group, *, rules):
    return _with_images(mapped.read_tables(group, rules))


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
        try:
            part, repeated = read(group, lambda batch: objects.write(batch.to_arrow()))
        except UserError:
            objects.left_out += range(start, objects.rows)
            raise
        objects.left_out += (start + repeated).tolist()
        return part
    part = read(group)
    for output in outputs:
        part = model_outputs.labelled(part, output.extra["predictions"])
    if read is read_ecopart and len(part.objects):
        own = part.objects[["sample_id", "object_id"]]
        part.extra["ecopart_objects"] = own.assign(place=start + np.arange(len(own)))
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
