"""`aqqua-dist aggregate`: an ingested folder, or objects and samples of any origin, to counts and concentrations."""

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from aqqua_dist import aggregate, aggregation, artefact, cluster, counting, profiles, tallies
from aqqua_dist.links import links_of
from aqqua_dist.errors import UserError
from aqqua_dist.provenance import Provenance, created_now, software_versions
from aqqua_dist.readers.ingested import COUNTS

UNITS = {"esd_low": "um", "esd_high": "um", "biovolume": "mm3", "volume": "m3", "number_concentration": "m-3", "biovolume_concentration": "mm3 m-3",
         "concentration_low": "m-3", "concentration_high": "m-3", "number_integral": "m-2"}
ROWS = 2**20
SCHEMA = pa.schema([
    ("sample_id", pa.string()), ("taxon", pa.string()), ("esd_low", pa.float64()), ("esd_high", pa.float64()), ("n", pa.int64()),
    ("n_low", pa.float64()), ("n_high", pa.float64()), ("biovolume", pa.float64()), ("weight", pa.float64()), ("method", pa.string())])


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


def aggregate_objects(source, out, options=None, *, samples=None, taxa=(), scheduler=None):
    """Counts per sample, label and size class of objects of any number.

    Parameters
    ----------
    source : str or os.PathLike
        Folder of an ingest, a Parquet file of objects, or a folder of such
        files (partitions): columns ``sample_id, label`` and, where known,
        ``status, esd`` (µm), ``depth`` (m), ``score``.
    out : str or os.PathLike
        Folder to write to.
    options : aqqua_dist.aggregation.Options, optional
        What is counted.
    samples : str or os.PathLike, optional
        Table of samples; that of the ingest unless given.
    taxa : sequence of str
        Taxa that labels are summed to in the concentrations; each label by
        itself where there is none.
    scheduler : str, optional
        As for `aqqua_dist.cluster.submitter`; here unless given.

    Returns
    -------
    Aggregated
        ``counts.parquet``: non-zero rows of sample, label and size class with
        Garwood intervals (95 %) of n and biovolume (mm3, NaN where the size
        of an object is unknown). ``concentrations.parquet``: every sample
        with a volume and every taxon, zeros included.

    Raises
    ------
    UserError
        Nothing to read, an object without its sample, or a file that is
        damaged.
    """
    options, out = options or aggregation.Options(), Path(out)
    paths, folder = _paths(Path(source))
    table = _samples(Path(samples) if samples is not None else folder / "samples.parquet")
    out.mkdir(parents=True, exist_ok=True)
    groups = aggregation.groups_of(paths)
    units, weights = _units(table, folder)
    links = links_of(table, units)
    axes = tallies.Axes(tuple(links.keys), aggregation.labels_of(groups), tallies.CLASSES + 1 if options.sizes else 1)
    state = out / ".sums.npz"
    with cluster.submitter(scheduler, out) if scheduler else nullcontext() as submit:
        sums = aggregation.run_groups(groups, axes, links, options, state=state, submit=submit)
    origin = _origin(paths, table, options)
    rows = _write_counts(sums, axes, (table, units, weights), options, out / "counts.parquet", origin)
    counts = _by_label(sums, axes, (table, units, weights), options)
    report = {"objects": sum(group.rows for group in groups), "counted": int(sums.n.sum()), "samples": len(table), "labels": len(axes.labels),
              "samples_without_volume": int((~(table["volume"] > 0)).sum()), "samples_without_objects": int(len(table) - counts["sample_id"].nunique())}
    _write_concentrations(counts, table, taxa, folder, out, origin)
    artefact.write_json(report, out / "report.json", origin)
    state.unlink(missing_ok=True)
    return Aggregated(out, report["objects"], report["counted"], rows)


def _paths(source):
    if source.is_file():
        return [source], source.parent
    if (source / "objects.parquet").is_file():
        return [source / "objects.parquet"], source
    place = source / "objects.parquet" if (source / "objects.parquet").is_dir() else source
    paths = sorted(path for path in place.rglob("*.parquet") if path.name != "samples.parquet" and not path.name.startswith(".")) if place.is_dir() else []
    if not paths:
        raise UserError(f"{str(source)!r} holds no Parquet files of objects; give a file, a folder of them, or the folder of an ingest.")
    return paths, source


def _samples(path):
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
        return (), {}
    parts = pd.DataFrame(artefact.read_parquet(path))
    if "weight" not in parts or not (parts["weight"].fillna(1.0) != 1.0).any():
        return (), {}
    odd = parts[parts["sample_id"].isin(parts.loc[parts["weight"].fillna(1.0) != 1.0, "sample_id"])]
    keys = list(zip(odd["sample_id"].astype(str), odd["acquisition_id"].fillna("").astype(str), strict=True))
    return tuple(keys), dict(zip(keys, odd["weight"].fillna(1.0), strict=True))


def _origin(paths, table, options):
    stats = {str(path): f"{path.stat().st_size} bytes" for path in paths}
    return Provenance(
        study="aggregate", stage="aggregate", key="", recipe_text=repr(replace(options, memory=0)), recipe_sha256="", inputs=stats, seeds={},
        software=software_versions(), references=["https://doi.org/10.1093/biomet/28.3-4.437"], created=created_now())


def _frame(sums, axes, known, options, part):
    """Rows of a slice of the sums."""
    table, units, weights = known
    cells = sums.cells[part]
    sample, rest = np.divmod(cells, len(axes.labels) * axes.sizes)
    label, size = np.divmod(rest, axes.sizes)
    edges = np.append(tallies.class_edges(), np.nan)
    keys = np.array([*table["sample_id"].astype(str), *(sample_id for sample_id, _ in units)], dtype=object)
    factor = np.array([*np.ones(len(table)), *(weights[key] for key in units)])
    low, high = (edges[:-2], edges[1:-1]) if axes.sizes > 1 else ([np.nan], [np.nan])
    low, high = np.append(low, np.nan), np.append(high, np.nan)
    n = sums.n[part]
    return pd.DataFrame({
        "sample_id": keys[sample], "taxon": np.array(axes.labels, dtype=object)[label], "esd_low": low[size], "esd_high": high[size], "n": n,
        "biovolume": np.where(sums.unknown[part] > 0, np.nan, sums.volume[part] * tallies.VOLUME_UNIT), "weight": factor[sample],
        "method": _method(options)})


def _method(options):
    words = "+".join(options.statuses) or "all"
    return f"{words}, score >= {options.min_score:g}" if options.min_score else words


def _write_counts(sums, axes, known, options, path, origin):
    intervals = {}
    with artefact.parquet_parts(path, SCHEMA, units=UNITS, repeating=["sample_id", "taxon", "esd_low", "esd_high", "weight", "method", "n"]) as parts:
        for start in range(0, len(sums.cells), ROWS):
            frame = _frame(sums, axes, known, options, slice(start, start + ROWS))
            values, place = np.unique(frame["n"].to_numpy(), return_inverse=True)
            new = [int(value) for value in values if int(value) not in intervals]
            if new:
                low, high = counting.garwood(np.array(new))
                intervals |= dict(zip(new, zip(low, high, strict=True), strict=True))
            bounds = np.array([intervals[int(value)] for value in values])[place]
            parts.write(pa.Table.from_pandas(frame.assign(n_low=bounds[:, 0], n_high=bounds[:, 1]), preserve_index=False))
        parts.provenance = origin
    return parts.rows


def _by_label(sums, axes, known, options):
    """Counts without their size classes, as `aqqua_dist.readers.ingested.COUNTS`."""
    cell = sums.cells // axes.sizes
    starts = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]]) if len(cell) else np.zeros(0, np.int64)
    add = (lambda values: np.add.reduceat(values, starts)) if len(starts) else (lambda values: values)
    flat = tallies.Tally(cell[starts], add(sums.n), add(sums.volume), add(sums.unknown))
    table = _frame(flat, replace(axes, sizes=1), known, options, slice(None))
    return table[list(COUNTS)]


def _write_concentrations(counts, table, taxa, folder, out, origin):
    if taxa:
        path = folder / "taxa.parquet"
        lines = {}
        if path.is_file():
            known = artefact.read_parquet(path)
            lines = dict(zip(known["label" if "label" in known else "taxon"], known["hierarchy"].fillna(""), strict=True))
        counts = aggregate.taxon_counts(counts, lines, list(taxa))
    whole = table[table["volume"] > 0]
    counts = counts[counts["sample_id"].isin(whole["sample_id"])]
    names = [name for name in ("depth_top", "depth_bottom") if name in whole]
    for name in {"depth_top", "depth_bottom"} - set(names):
        whole = whole.assign(**{name: np.nan})
    found = profiles.concentrations(whole, counts, list(taxa) or None)
    low, high = counting.concentration_interval(counts, found)
    artefact.write_parquet(found.assign(concentration_low=low, concentration_high=high), out / "concentrations.parquet", origin, UNITS)


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
