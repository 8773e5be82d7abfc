"""Objects of any number to counts per sample: the same function on every part, here or on a cluster.

The objects are cut into groups of row groups. `tally_group` reads one group
and sums it. The sums so far, and which groups they hold, are written beside
the output from time to time, so that a run that was stopped goes on from
there. Sums are whole numbers (`aqqua_dist.tallies`), so neither order nor
scheduler matters.
"""

import hashlib
import os
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from aqqua_dist import tallies
from aqqua_dist.errors import UserError
from aqqua_dist.readers.ingested import STATUSES

GROUP_ROWS = 2**23
"""Objects of a group: about a second of work, and what a killed worker does again."""
CHECKPOINT = 60.0
"""Seconds between two records of the sums so far."""
MEMORY = 2**31
"""Bytes that the sums may take, unless told."""
COLUMNS = ("sample_id", "label", "status", "esd", "depth")


@dataclass(frozen=True)
class Options:
    """What is counted.

    Attributes
    ----------
    statuses : tuple of str
        Statuses of the objects that count; empty: all of them, also where
        the file has no such column.
    sizes : bool
        Whether counts keep their size class.
    memory : int
        Bytes that the sums may take.
    min_score : float
        Objects with a lower score go to the label ``unclassified``.
    """

    statuses: tuple = ("validated",)
    sizes: bool = True
    memory: int = MEMORY
    min_score: float = 0.0

    def __post_init__(self):
        unknown = sorted(set(self.statuses) - set(STATUSES))
        if unknown:
            raise UserError(f"statuses {unknown} are unknown, allowed are {STATUSES}.")
        if not 0 <= self.min_score <= 1:
            raise UserError(f"min_score {self.min_score!r} is outside [0, 1].")


@dataclass(frozen=True)
class Group:
    """Part of the objects.

    Attributes
    ----------
    parts : tuple of tuple
        Path and row group of each piece.
    rows : int
        Objects in all.
    """

    parts: tuple
    rows: int


@dataclass(frozen=True)
class Links:
    """How objects find their sample.

    Attributes
    ----------
    samples : pandas.Index
        Ids, in the order of the axis.
    casts : pandas.Index
        Profiles, for objects that name a cast instead of one of its bins.
    bins : pandas.DataFrame
        ``cast`` (place in `casts`), ``top, bottom`` (m) and ``place`` on the
        axis of every bin, ascending in cast and top.
    lookup : numpy.ndarray or None
        Place by cast and number of the bin, -1 where there is none; where all
        bins are of one thickness and begin at its multiples.
    units : dict of tuple to int
        For samples whose acquisitions have weights of their own: place of a
        sample and acquisition id, after the samples.
    """

    samples: pd.Index
    casts: pd.Index = field(default_factory=lambda: pd.Index([], dtype=object))
    bins: pd.DataFrame | None = None
    lookup: np.ndarray | None = None
    units: dict = field(default_factory=dict)

    @property
    def keys(self):
        """Names on the axis of samples (list)."""
        return [*self.samples, *self.units]


def groups_of(paths, rows=GROUP_ROWS):
    """Cut Parquet files into groups.

    Parameters
    ----------
    paths : list of pathlib.Path
        Files.
    rows : int
        Objects per group, at least.

    Returns
    -------
    list of Group
        In the order of the files.

    Raises
    ------
    UserError
        A file cannot be read or lacks ``sample_id`` or ``label``.
    """
    groups, parts, held = [], [], 0
    for path in paths:
        meta = _metadata(path)
        for number in range(meta.num_row_groups):
            parts.append((str(path), number))
            held += meta.row_group(number).num_rows
            if held >= rows:
                groups.append(Group(tuple(parts), held))
                parts, held = [], 0
    if parts:
        groups.append(Group(tuple(parts), held))
    return groups


def _metadata(path):
    try:
        meta, names = pq.read_metadata(path), set(pq.read_schema(path).names)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: the objects cannot be read ({str(error).splitlines()[0]}).") from None
    missing = [name for name in ("sample_id", "label") if name not in names]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing, objects need 'sample_id' and 'label'; the file has {sorted(names)[:20]}.")
    return meta


def links_of(samples, units=()):
    """How objects find the rows of a table of samples.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns of `aqqua_dist.readers.ingested.SAMPLES`.
    units : sequence of tuple
        Sample and acquisition ids that are summed apart.

    Returns
    -------
    Links
        By ``sample_id``, or by ``profile`` and depth for the bins of casts.

    Raises
    ------
    UserError
        A sample id that stands twice.
    """
    ids = pd.Index(samples["sample_id"].astype(str))
    if ids.has_duplicates:
        raise UserError(f"samples: {ids[ids.duplicated()][0]!r} stands {int((ids == ids[ids.duplicated()][0]).sum())} times, allowed is once.")
    places = {key: len(ids) + number for number, key in enumerate(units)}
    if "profile" not in samples or samples["profile"].isna().all():
        return Links(ids, units=places)
    known = samples["profile"].notna().to_numpy()
    number, casts = pd.factorize(samples["profile"][known].astype(str), sort=True)
    bins = pd.DataFrame({
        "cast": number, "top": samples["depth_top"].to_numpy(dtype=float)[known], "bottom": samples["depth_bottom"].to_numpy(dtype=float)[known],
        "place": np.flatnonzero(known)}).sort_values(["cast", "top"], ignore_index=True)
    return Links(ids, pd.Index(casts), bins, _lookup(bins, len(casts)), places)


def _lookup(bins, casts):
    """Place by cast and number of the bin, where bins are regular and few."""
    step = float(bins["bottom"].iloc[0] - bins["top"].iloc[0])
    if not step > 0:
        return None
    number = np.rint(bins["top"] / step)
    regular = (np.abs(number * step - bins["top"]) < 1e-9) & (np.abs(bins["bottom"] - bins["top"] - step) < 1e-9)
    width = int(number.max()) + 1
    if not regular.all() or casts * width > 20 * len(bins) + 10**6:
        return None
    table = np.full((casts, width), -1, dtype=np.int64)
    table[bins["cast"], number.astype(np.int64)] = bins["place"]
    return table


def labels_of(groups):
    """Labels of all objects.

    Parameters
    ----------
    groups : list of Group
        From `groups_of`.

    Returns
    -------
    tuple of str
        Sorted; objects without a label go to ``unclassified``, which is
        always the last.
    """
    found = set()
    for group in groups:
        for path, number in group.parts:
            column = _read(path, number, ["label"])["label"]
            found.update(value for value in pc.unique(column).to_pylist() if value is not None)
    return (*sorted(found - {"unclassified"}), "unclassified")


def _read(path, number, columns):
    try:
        with pq.ParquetFile(path, read_dictionary=[name for name in columns if name in ("sample_id", "label", "status")]) as file:
            return file.read_row_group(number, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: row group {number} cannot be read ({str(error).splitlines()[0]}); the file is damaged.") from None


def tally_group(group, axes, links, options, into=None):
    """Sums of one group of objects.

    Parameters
    ----------
    group : Group
        Part of the objects.
    axes : aqqua_dist.tallies.Axes
        Samples, labels and size classes.
    links : Links
        How objects find their sample.
    options : Options
        What is counted.
    into : aqqua_dist.tallies.Accumulator, optional
        Takes the objects; nothing is returned then.

    Returns
    -------
    aqqua_dist.tallies.Tally or None
        Sums, the same on every machine.

    Raises
    ------
    UserError
        A sample id or a label that nobody knows, a cast without a bin at the
        depth of an object, an impossible size, or a damaged file.
    """
    held = tallies.Accumulator(axes.cells, options.memory) if into is None else into
    labels = pd.Index(axes.labels)
    names = set(pq.read_schema(group.parts[0][0]).names)
    asked = [*COLUMNS, *(["score"] if options.min_score else []), *(["acquisition_id"] if links.units else [])]
    wanted = [name for name in asked if name in names]
    if options.statuses and "status" not in names:
        raise UserError(f"{group.parts[0][0]}: there is no column 'status' to choose {options.statuses} by; ask for all statuses.")
    for path, number in group.parts:
        place = f"{path}, row group {number}"
        table = _read(path, number, wanted)
        if options.statuses:
            table = table.filter(pc.is_in(table["status"].cast(pa.string()), pa.array(options.statuses)))
        if not table.num_rows:
            continue
        cells = _units(table, _samples(table, links, place), links, place) * len(axes.labels)
        cells += _labels(table, labels, options, place)
        esd = table["esd"].to_numpy() if "esd" in wanted else np.full(table.num_rows, np.nan)
        volume, unknown = tallies.whole_volume(np.pi / 6e9 * esd**3, place)
        if axes.sizes > 1:
            cells *= axes.sizes
            cells += tallies.size_class(esd)
        held.add(cells, volume, unknown)
    return held.result() if into is None else None


def _codes(column, index):
    """Place of each value in an index; -1 for unknown ones, -2 for none."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    lookup = index.get_indexer(column.dictionary.to_pandas().astype(str)).astype(np.int64)
    codes = column.indices.fill_null(len(lookup)).to_numpy(zero_copy_only=False)
    return np.append(lookup, -2)[codes], column


def _samples(table, links, place):
    if not len(links.casts):
        codes, column = _codes(table["sample_id"], links.samples)
        _refuse_unknown(codes, column, links, place)
        return codes
    casts, column = _codes(table["sample_id"], links.casts)
    mine = casts >= 0
    if mine.all():
        return _bins(casts, table, links, place)
    codes, column = _codes(table["sample_id"], links.samples)
    _refuse_unknown(np.where(mine, 0, codes), column, links, place)
    if mine.any():
        codes[mine] = _bins(casts[mine], table.filter(pa.array(mine)), links, place)
    return codes


def _refuse_unknown(codes, column, links, place):
    lost = codes < 0
    if lost.any():
        strange = column[int(np.flatnonzero(lost)[0])].as_py()
        raise UserError(
            f"{place}: sample {strange!r} is not among the {len(links.samples)} samples, so nobody knows its volume; {int(lost.sum())} such objects.")


def _units(table, codes, links, place):
    """Places of objects whose acquisition has a weight of its own."""
    if not links.units:
        return codes
    mine = np.isin(codes, links.samples.get_indexer(sorted({sample for sample, _ in links.units})))
    if not mine.any():
        return codes
    if "acquisition_id" not in table.column_names:
        raise UserError(f"{place}: there is no column 'acquisition_id', and sample {links.samples[codes[mine][0]]!r} has fractions of different weight.")
    acquisitions = table["acquisition_id"].to_pandas().fillna("").to_numpy()[mine]
    pairs = pd.DataFrame({"sample": links.samples[codes[mine]], "acquisition": acquisitions})
    kinds = pairs.drop_duplicates()
    unknown = [key for key in kinds.itertuples(index=False, name=None) if key not in links.units]
    if unknown:
        raise UserError(f"{place}: acquisition {unknown[0][1]!r} of sample {unknown[0][0]!r} is not among the acquisitions, so nobody knows its weight.")
    found = codes.copy()
    found[mine] = pd.MultiIndex.from_tuples(links.units).get_indexer(pd.MultiIndex.from_frame(pairs)) + len(links.samples)
    return found


def _bins(casts, table, links, place):
    """Places of objects that name a cast, by their depth."""
    if "depth" not in table.column_names:
        raise UserError(f"{place}: objects name the cast {links.casts[casts[0]]!r} and have no column 'depth' to find its bin by.")
    depth = np.maximum(table["depth"].to_numpy(), 0.0)
    if links.lookup is not None:
        step = float(links.bins["bottom"].iloc[0] - links.bins["top"].iloc[0])
        with np.errstate(invalid="ignore"):
            number = np.floor(depth / step)
        inside = number < links.lookup.shape[1]  # NaN is not
        found = links.lookup[casts, np.where(inside, number, 0).astype(np.int64)]
        found = np.where(inside, found, -1)
    else:
        found = _by_search(casts, depth, links.bins)
    lost = found < 0
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        bins = links.bins[links.bins["cast"] == casts[row]]
        raise UserError(
            f"{place}: an object of cast {links.casts[casts[row]]!r} at {depth[row]:g} m lies in none of its {len(bins)} bins "
            f"({bins['top'].min():g}-{bins['bottom'].max():g} m); {int(lost.sum())} such objects.")
    return found


def _by_search(casts, depth, bins):
    """Places by bisection; -1 where no bin holds the depth."""
    far = 1e5  # deeper than any sea
    at = np.searchsorted(bins["cast"].to_numpy() * far + bins["top"].to_numpy(), casts * far + np.where(np.isnan(depth), -1, depth), side="right") - 1
    at = np.maximum(at, 0)
    inside = (bins["cast"].to_numpy()[at] == casts) & (depth >= bins["top"].to_numpy()[at]) & (depth < bins["bottom"].to_numpy()[at])
    return np.where(inside, bins["place"].to_numpy()[at], -1)


def _labels(table, labels, options, place):
    codes, column = _codes(table["label"], labels)
    if (codes == -1).any():
        strange = column[int(np.flatnonzero(codes == -1)[0])].as_py()
        raise UserError(f"{place}: label {strange!r} is not among the {len(labels)} labels; {int((codes == -1).sum())} such objects.")
    codes[codes == -2] = len(labels) - 1
    if options.min_score:
        if "score" not in table.column_names:
            raise UserError(f"{place}: there is no column 'score' to compare with {options.min_score:g}.")
        score = table["score"].to_numpy()
        codes[~(score >= options.min_score)] = len(labels) - 1
    return codes


def key_of(groups, axes, options):
    """Name of the parts of one aggregation: it changes with the objects, the samples and the options.

    Parameters
    ----------
    groups : list of Group
        From `groups_of`.
    axes : aqqua_dist.tallies.Axes
        Samples, labels and size classes.
    options : Options
        What is counted.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    paths = sorted({path for group in groups for path, _ in group.parts})
    stats = [(path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths]
    digest = hashlib.sha256(repr((stats, groups, axes.labels, axes.sizes, options.statuses, options.min_score)).encode())
    digest.update("\n".join(map(str, axes.samples)).encode())
    return digest.hexdigest()[:16]


def run_groups(groups, axes, links, options, *, state, submit=None):
    """Sum all groups, here or on a cluster.

    Parameters
    ----------
    groups, axes, links, options
        As for `tally_group`.
    state : pathlib.Path
        File that keeps the sums so far; a run of the same objects, samples
        and options goes on from it.
    submit : callable, optional
        Takes a function, a list of groups and a tuple of arguments that all
        share, and gives (place in the list, result) in any order, as
        `aqqua_dist.cluster.submitter` makes it. Unless given, groups are
        summed here, one after the other.

    Returns
    -------
    aqqua_dist.tallies.Tally
        Sums of everything.
    """
    key = key_of(groups, axes, options)
    held = tallies.Accumulator(axes.cells, options.memory)
    done, saved = _resumed(state, key, held), time.monotonic()
    left = [number for number in range(len(groups)) if number not in done]
    work, shared = [groups[number] for number in left], (axes, links, options)
    results = submit(tally_group, work, shared) if submit else ((k, tally_group(group, *shared, into=held)) for k, group in enumerate(work))
    total = sum(group.rows for group in groups)
    with tqdm(total=total, initial=total - sum(group.rows for group in work), desc="aggregate", unit="object", unit_scale=True, disable=None) as bar:
        for place, tally in results:
            if tally is not None:
                held.add_tally(tally)
            done.add(left[place])
            bar.update(work[place].rows)
            if time.monotonic() - saved > CHECKPOINT and len(done) < len(groups):
                _save(held.result(), done, key, state)
                saved = time.monotonic()
    return held.result()


def _save(tally, done, key, state):
    part = state.with_name(f".{state.name}.part")
    with part.open("wb") as stream:
        np.savez(stream, key=key, done=sorted(done), cells=tally.cells, n=tally.n, volume=tally.volume, unknown=tally.unknown)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(state)


def _resumed(state, key, held):
    """Groups that an earlier run has summed; its sums go to the accumulator."""
    if not state.exists():
        return set()
    try:
        with np.load(state) as kept:
            if str(kept["key"]) != key:
                return set()
            held.add_tally(tallies.Tally(*(kept[name] for name in ("cells", "n", "volume", "unknown"))))
            return set(kept["done"].tolist())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return set()
