"""Objects of any number to counts per sample: the same function on every part, here or on a cluster.

The objects are cut into groups of row groups. `tally_group` reads one group
and sums it. The sums so far, and which groups they hold, are written beside
the output from time to time, so that a run that was stopped goes on from
there. Sums are whole numbers (`aqqua_dist.counts.tallies`), so neither order nor
scheduler matters.
"""

import hashlib
import os
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.statuses import STATUSES, status_of
from aqqua_dist.core.tables import is_unlabelled, refuse_unknown_statuses
from aqqua_dist.counts import classifier_tallies, columns, correction, tallies
from aqqua_dist.counts.links import codes_of, identity, sample_places
from aqqua_dist.counts.unsized import SIZED
from aqqua_dist.organisms.sizes import SHAPES, choose

GROUP_ROWS = 2**23
"""Objects of a group: about a second of work, and what a killed worker does again."""
CHECKPOINT = 60.0
"""Seconds between two records of the sums so far."""
MEMORY = 2**31
"""Bytes that the sums may take, unless told."""
COLUMNS = ("sample_id", "label", "status", "esd", "biovolume", "depth")
SHAPE = ("area", "major", "minor", "pixel")
"""Columns that tell the size of an object without a diameter."""


@dataclass(frozen=True)
class CountOptions:
    """What is counted.

    Attributes
    ----------
    statuses : tuple of str
        Statuses of the objects that count, in any spelling of
        `aqqua_dist.core.tables.STATUS_WORDS`; empty: all of them, also where
        the file has no such column.
    sizes : bool
        Whether counts keep their size class.
    memory : int
        Bytes that the sums may take.
    min_score : float
        Objects with a lower score go to the label ``unclassified``.
    scoring : aqqua_dist.counts.classifier_tallies.Scoring
        How the objects of a model are counted; with any method but
        ``labels`` the statuses tell who counts an object, and
        `statuses` and `min_score` say nothing.
    shape : {'sphere', 'ellipsoid'}
        Of objects without a biovolume of their own
        (`aqqua_dist.organisms.sizes.choose`).
    sized : float
        Share of the objects of a sample and label that must have a size
        (`aqqua_dist.counts.unsized`).
    """

    statuses: tuple = ("validated",)
    sizes: bool = True
    memory: int = MEMORY
    min_score: float = 0.0
    scoring: classifier_tallies.Scoring = classifier_tallies.Scoring()
    shape: str = "sphere"
    sized: float = SIZED

    def __post_init__(self):
        if self.shape not in SHAPES:
            raise UserError(f"shape {self.shape!r} of the objects is unknown, allowed are {list(SHAPES)}.")
        if not 0 <= self.sized <= 1:
            raise UserError(f"sized {self.sized!r}, the least share of objects with a size, is outside [0, 1].")
        unknown = sorted(word for word in self.statuses if not str(word).strip() or status_of(word) is None)
        if unknown:
            raise UserError(f"statuses {unknown} are unknown, allowed are {STATUSES}.")
        object.__setattr__(self, "statuses", tuple(dict.fromkeys(map(status_of, self.statuses))))
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
    names = columns.names_of(path)
    missing = [] if "sample_id" in names else ["sample_id"]
    missing += [] if names & {"label", "prob"} else ["label"]
    if missing:
        raise UserError(
            f"{path}: column {missing[0]!r} is missing, objects need 'sample_id' and 'label' or 'prob'; the file has {sorted(names)[:20]}."
        )
    return pq.read_metadata(path)


def labels_of(groups):
    """Labels of all objects.

    Parameters
    ----------
    groups : list of Group
        From `groups_of`.

    Returns
    -------
    tuple of str
        Sorted; objects without a label, or with a word for none, go to
        ``unclassified``, which is always the last.
    """
    found, without = set(), set()
    for path in {path for group in groups for path, _ in group.parts}:
        if "label" not in columns.names_of(path):
            without.add(path)
    for group in groups:
        for path, number in group.parts:
            if path in without:
                continue
            column = columns.read_columns(path, number, ["label"])["label"]
            found.update(value for value in pc.unique(column).to_pylist() if not is_unlabelled(value))
    return (*sorted(found - {"unclassified"}), "unclassified")


def statuses_of(groups):
    """Statuses of all objects.

    Parameters
    ----------
    groups : list of Group
        From `groups_of`.

    Returns
    -------
    dict of str to int
        Number of objects by status; ``no status`` where a file has no such
        column.

    Raises
    ------
    UserError
        A word of a file that stands for no status.
    """
    words, found = {}, {}
    for group in groups:
        for path, number in group.parts:
            held = words.setdefault(path, {})
            if "status" not in columns.names_of(path):
                rows = pq.read_metadata(path).row_group(number).num_rows
                found["no status"] = found.get("no status", 0) + rows
                continue
            for entry in pc.value_counts(
                columns.read_columns(path, number, ["status"])["status"].cast(pa.string())
            ).to_pylist():
                word = entry["values"]
                held[word] = held.get(word, 0) + entry["counts"]
    for path, numbers in words.items():
        refuse_unknown_statuses(numbers, path)
        for word, rows in numbers.items():
            found[status_of(word)] = found.get(status_of(word), 0) + rows
    return found


def tally_group(group, axes, links, options, into=None):
    """Sums of one group of objects.

    Parameters
    ----------
    group : Group
        Part of the objects.
    axes : aqqua_dist.counts.tallies.Axes
        Samples, labels and size classes.
    links : aqqua_dist.counts.links.Links
        How objects find their sample.
    options : CountOptions
        What is counted.
    into : aqqua_dist.counts.tallies.Accumulator, optional
        Takes the objects; nothing is returned then.

    Returns
    -------
    aqqua_dist.counts.tallies.Tally or None
        Sums, the same on every machine.

    Raises
    ------
    UserError
        A sample id or a label that nobody knows, a cast without a bin at the
        depth of an object, an impossible size, or a damaged file.
    """
    held = tallies.Accumulator(axes.slots, options.memory) if into is None else into
    by_label = options.scoring.method == "labels"
    for path, number in group.parts:
        place, wanted = f"{path}, row group {number}", _wanted(path, links, options, axes.individuals)
        wanted = _with_shape(wanted, path, number, options)
        table = _with_statuses(columns.read_columns(path, number, wanted, options.scoring.classes), place)
        if by_label and options.statuses:
            counts = pc.is_in(table["status"].cast(pa.string()), pa.array(options.statuses))
            if axes.left:
                _add_left(held, table.filter(pc.invert(counts)), axes, links, place)
            table = table.filter(counts)
        if not table.num_rows:
            continue
        sample = sample_places(table, links, place)
        esd, volume = _sizes(table, options, place)
        volume, unknown = tallies.whole_volume(volume, place)
        many = table["n_individuals"].to_numpy() if "n_individuals" in table.column_names else None
        size = tallies.places_of(axes, esd, unknown, many)
        if by_label:
            slots = sample * axes.width
            slots += _labels(table, axes, options, place)
            held.add(slots * axes.sizes + size, volume, unknown)
        else:
            _add_scored(held, table, (sample, size, volume, unknown), axes, options, place)
    return held.result() if into is None else None


def _with_shape(wanted, path, number, options):
    """Columns that are read of a row group: those of the shape too, where a diameter is missing or an ellipsoid is wanted."""
    with pq.ParquetFile(path) as file:
        names, group = file.schema_arrow.names, file.metadata.row_group(number)
    held = [group.column(k) for k in range(group.num_columns)]
    esd = next((column for column in held if column.path_in_schema == "esd"), None)
    whole = esd is not None and esd.is_stats_set and esd.statistics.has_null_count and esd.statistics.null_count == 0
    if whole and options.shape == "sphere":
        return wanted
    return [*wanted, *(name for name in SHAPE if name in names)]


def _sizes(table, options, place):
    """Diameter (µm) and biovolume (mm3) of each object: its own, else by its shape."""
    names = [name for name in ("esd", "biovolume", *SHAPE) if name in table.column_names]
    held = {name: table[name].to_numpy() for name in names if table[name].null_count < table.num_rows}
    if set(held) <= {"esd"}:
        esd = held.get("esd", np.full(table.num_rows, np.nan)).astype(np.float64)
        return esd, np.pi / 6e9 * esd**3
    try:
        found = choose(pd.DataFrame(held), shape=options.shape)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    return found["esd"].to_numpy(), found["biovolume"].to_numpy()


def individuals_of(groups):
    """Numbers of organisms on an image that occur.

    Parameters
    ----------
    groups : list of Group
        From `groups_of`.

    Returns
    -------
    tuple of int
        Rounded as by `aqqua_dist.counts.tallies.level_of`, descending; 1 is always the last.

    Raises
    ------
    UserError
        A number below 0.
    """
    found = {1}
    for group in groups:
        for path, number in group.parts:
            if "n_individuals" not in columns.names_of(path):
                continue
            values = pc.unique(columns.read_columns(path, number, ["n_individuals"])["n_individuals"]).drop_null()
            held = values.to_numpy(zero_copy_only=False).astype(np.float64)
            if (held < 0).any():
                raise UserError(f"{path}: n_individuals {held.min():g} is below 0, allowed are 1, 2, ….")
            found.update(tallies.level_of(held).tolist())
    return tuple(sorted(found, reverse=True))


def _with_statuses(table, place):
    """The same table with statuses in our words; none is ``unclassified``."""
    if "status" not in table.column_names:
        return table
    column = table["status"].combine_chunks()
    column = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    words = column.dictionary.to_pylist()
    if any(status_of(word) is None for word in words):
        refuse_unknown_statuses(column.to_pandas().astype(object).value_counts().to_dict(), place)
    names = pa.array([*map(status_of, words), "unclassified"], pa.string())
    ours = pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()).fill_null(len(words)), names)
    return table.set_column(table.column_names.index("status"), "status", ours)


def _add_left(held, table, axes, links, place):
    """Count objects of other statuses by sample, and by whether their label says that they do not live."""
    if not table.num_rows:
        return
    dead = np.zeros(table.num_rows, dtype=np.int64)
    if "label" in table.column_names:
        codes, _ = codes_of(table["label"], pd.Index(sorted(axes.dead), dtype=object))
        dead = (codes >= 0).astype(np.int64)
    row = sample_places(table, links, place) * axes.width + len(axes.labels) + len(axes.columns) + dead
    none = np.zeros(table.num_rows, np.int64)
    held.add(row * axes.sizes, none, none.astype(bool))


def _wanted(path, links, options, individuals=(1,)):
    """Columns that are read."""
    names, by_label = columns.names_of(path), options.scoring.method == "labels"
    asked = [
        *COLUMNS,
        *(["score"] if options.min_score or not by_label else []),
        *(["acquisition_id"] if links.units else []),
        *(["n_individuals"] if individuals != (1,) else []),
    ]
    asked += ["prob"] if options.scoring.soft and options.scoring.columns else []
    if by_label and options.statuses and "status" not in names:
        raise UserError(f"{path}: there is no column 'status' to choose {options.statuses} by; ask for all statuses.")
    return [name for name in asked if name in names]


def _add_scored(held, table, places, axes, options, place):
    """Objects of humans by their label, those of the model by what it says, and those of nobody as unclassified."""
    sample, size, volume, unknown = places
    who = np.ones(table.num_rows, dtype=np.int64)
    if "status" in table.column_names:
        status = table["status"].combine_chunks().cast(pa.string()).fill_null("unclassified").dictionary_encode()
        try:
            who = correction.who_counts(status.dictionary.to_pylist(), options.scoring.dubious)[
                status.indices.to_numpy()
            ]
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
    mine = who == 1 if options.scoring.columns else np.zeros(len(who), dtype=bool)
    human = who == 0
    if mine.any() and not options.scoring.soft and "label" in table.column_names:
        mine &= ~_unlabelled(table["label"])  # a model that says nothing
    label = np.full(len(who), len(axes.labels) - 1, np.int64)
    if human.any():
        label[human] = _labels(table.filter(pa.array(human)), axes, options, place)
    others = ~mine
    held.add(((sample * axes.width + label) * axes.sizes + size)[others], volume[others], unknown[others])
    if mine.any():
        rows = table.filter(pa.array(mine))
        for tally in classifier_tallies.tally_model(
            rows, [part[mine] for part in places], axes, options.scoring, place
        ):
            held.add_tally(tally)


def _labels(table, axes, options, place):
    if "label" not in table.column_names:
        raise UserError(
            f"{place}: there is no column 'label' to count by; count what the model says, as with method 'top1'."
        )
    labels = pd.Index(axes.labels)
    codes, column = codes_of(table["label"], labels)
    if (codes == -1).any():
        codes[_unlabelled(table["label"])] = -2
    if (codes == -1).any():
        strange = column[int(np.flatnonzero(codes == -1)[0])].as_py()
        raise UserError(
            f"{place}: label {strange!r} is not among the {len(labels)} labels; {int((codes == -1).sum())} such objects."
        )
    codes[codes == -2] = len(labels) - 1
    if options.min_score and options.scoring.method == "labels":
        if "score" not in table.column_names:
            raise UserError(f"{place}: there is no column 'score' to compare with {options.min_score:g}.")
        score = table["score"].to_numpy()
        codes[~(score >= options.min_score)] = len(labels) - 1
    return codes


def _unlabelled(column):
    """Whether the label of each object says nothing."""
    _, column = codes_of(column, pd.Index([], dtype=object))
    silent = np.array([*map(is_unlabelled, column.dictionary.to_pylist()), True])
    return silent[column.indices.fill_null(len(silent) - 1).to_numpy(zero_copy_only=False)]


def key_of(groups, axes, links, options):
    """Name of the parts of one aggregation: it changes with the objects, the samples, their depths and weights, and the options.

    Parameters
    ----------
    groups : list of Group
        From `groups_of`.
    axes : aqqua_dist.counts.tallies.Axes
        Samples, labels and size classes.
    links : aqqua_dist.counts.links.Links
        How objects find their sample.
    options : CountOptions
        What is counted.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    paths = sorted({path for group in groups for path, _ in group.parts})
    stats = [(path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths]
    digest = hashlib.sha256(
        repr((stats, groups, axes.labels, axes.sizes, axes.columns, axes.left, sorted(axes.dead))).encode()
    )
    digest.update(
        repr((options.statuses, options.min_score, options.scoring, options.shape, axes.individuals)).encode()
    )
    digest.update("\n".join(map(str, axes.samples)).encode())
    digest.update(identity(links))
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
        `aqqua_dist.core.cluster.submitter` makes it. Unless given, groups are
        summed here, one after the other.

    Returns
    -------
    aqqua_dist.counts.tallies.Tally
        Sums of everything.
    """
    key = key_of(groups, axes, links, options)
    held = tallies.Accumulator(axes.slots, options.memory)
    done, saved = _resumed(state, key, held), time.monotonic()
    left = [number for number in range(len(groups)) if number not in done]
    work, shared = [groups[number] for number in left], (axes, links, options)
    results = (
        submit(tally_group, work, shared)
        if submit
        else ((k, tally_group(group, *shared, into=held)) for k, group in enumerate(work))
    )
    total = sum(group.rows for group in groups)
    with tqdm(
        total=total,
        initial=total - sum(group.rows for group in work),
        desc="aggregate",
        unit="object",
        unit_scale=True,
        disable=None,
    ) as bar:
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
        np.savez(
            stream, key=key, done=sorted(done), slots=tally.slots, n=tally.n, volume=tally.volume, unknown=tally.unknown
        )
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
            held.add_tally(tallies.Tally(*(kept[name] for name in ("slots", "n", "volume", "unknown"))))
            return set(kept["done"].tolist())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return set()
