"""From exports to tables: each file goes to the reader that knows it, and what was odd goes to a report."""

from pathlib import Path

import pandas as pd
from tqdm import tqdm

from aqqua_dist import artefact, effort, quality
from aqqua_dist.errors import UserError
from aqqua_dist.provenance import Provenance, content_key, created_now, sha256_file, software_versions
from aqqua_dist.readers import ifcb, mapped, zooprocess
from aqqua_dist.readers.ingested import FINDINGS, SAMPLES, Ingested, finding, joined, typed
from aqqua_dist.readers.sources import find_sources

READERS = {
    "ZooProcess metadata": (zooprocess.recognises, zooprocess.read_zooprocess),
    "IFCB bins": (ifcb.recognises, ifcb.read_ifcb),
}
"""Name of each format: what recognises a source, and what reads the sources of that format."""


def ingest(paths, out, *, mapping=None, progress=True):
    """Read exports and write their tables.

    Parameters
    ----------
    paths : list of str or os.PathLike
        Files, folders or zip archives.
    out : str or os.PathLike
        Folder to write to.
    mapping : str or os.PathLike, optional
        Mapping of a table of samples (`aqqua_dist.readers.mapped`); then all
        sources are read by it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    aqqua_dist.readers.ingested.Ingested
        What was written: ``samples.parquet`` (GeoParquet), ``objects.parquet``,
        ``counts.parquet``, one file per extra table, ``findings.parquet`` and
        ``quality.md`` with what was refused, repaired or suspicious.

    Raises
    ------
    UserError
        No source is of a known format, or a reader refuses one.
    """
    sources, out = find_sources(paths), Path(out)
    groups, strangers = _grouped(sources, mapping)
    if not groups:
        known = ", ".join(READERS)
        raise UserError(f"none of {len(sources)} files is of a known format, first {sources[0]}; known are {known}, and any table by a mapping.")
    parts = [read(group) for read, group in tqdm(groups, desc="ingest", unit="format", disable=None if progress else True)]
    whole = with_volumes(joined(parts))
    left = [finding("suspicious", "format", "the format is not known; the file was left out.", file=str(source)) for source in strangers]
    found = quality.examine(whole)
    if left:
        found = pd.concat([typed(pd.DataFrame(left), FINDINGS), found], ignore_index=True)
    whole = Ingested(whole.samples, whole.objects, whole.counts, found, whole.extra)
    _write(whole, out, _origin(sources, mapping))
    return whole


def with_volumes(ingested):
    """Volumes of IFCB bins of the new generation, by the rule ``ifcb``.

    Parameters
    ----------
    ingested : aqqua_dist.readers.ingested.Ingested
        With ``acquisitions`` in `extra`, where the reader made them.

    Returns
    -------
    aqqua_dist.readers.ingested.Ingested
        Samples without a volume have one (m3) where their acquisitions tell
        it, with rule and flags; others are unchanged.
    """
    acquisitions = ingested.extra.get("acquisitions")
    if acquisitions is None or "generation" not in acquisitions:
        return ingested
    bins = acquisitions[acquisitions["generation"] == "new"].set_index("sample_id")
    if bins.empty:
        return ingested
    found = effort.volume("ifcb", bins)
    samples = ingested.samples.set_index("sample_id")
    for column in found:
        samples.loc[found.index, column] = found[column]
    samples = typed(samples.reset_index(), SAMPLES)
    return Ingested(samples, ingested.objects, ingested.counts, ingested.findings, ingested.extra)


def _grouped(sources, mapping):
    if mapping is not None:
        rules = mapped.read_mapping(mapping)
        return [(lambda group: joined([mapped.read_mapped(source, rules) for source in group]), sources)], []
    groups, strangers = {}, []
    for source in sources:
        name = next((name for name, (recognises, _) in READERS.items() if recognises(source)), None)
        if name is None:
            strangers.append(source)
        else:
            groups.setdefault(name, []).append(source)
    return [(READERS[name][1], group) for name, group in groups.items()], strangers


def _origin(sources, mapping):
    hashes = {str(path): sha256_file(path) for path in dict.fromkeys(source.path for source in sources)}
    text = Path(mapping).read_text(encoding="utf-8-sig") if mapping is not None else ""
    return Provenance(
        study="ingest", stage="ingest", key=content_key(inputs=hashes, mapping=text), recipe_text=text, recipe_sha256="", inputs=hashes, seeds={},
        software=software_versions(), references=[], created=created_now())


def _write(whole, out, origin):
    artefact.write_geoparquet(whole.samples, out / "samples.parquet", origin)
    units = {"volume": "m3", "biovolume": "mm3", "area": "px2", "pixel": "um", "esd": "um", "depth_top": "m", "depth_bottom": "m"}
    tables = {"objects": whole.objects, "counts": whole.counts, "findings": whole.findings} | whole.extra
    for name, table in tables.items():
        artefact.write_parquet(table, out / f"{name}.parquet", origin, units)
    with artefact.replacing(out / "quality.md") as part:
        part.write_text(quality.report(whole.findings, whole.samples), encoding="utf-8")
