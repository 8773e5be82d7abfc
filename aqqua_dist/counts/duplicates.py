"""Object ids that stand twice across partitions, found exactly in a given memory."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from tqdm import tqdm

from aqqua_dist.core.errors import UserError
from aqqua_dist.counts.columns import names_of, read_columns

MEMORY = 2**30
"""Bytes that hashes may take."""
BYTES = 20
"""Bytes of a hash, with room to sort."""
SEED = 11


def repeated_objects(groups, *, memory=MEMORY, progress=True):
    """Object ids that stand more than once.

    Parameters
    ----------
    groups : list of aqqua_dist.counts.partitions.Group
        All objects.
    memory : int
        Bytes that hashes may take; where they do not suffice, the ids are
        read several times, each time for a part of all hashes.
    progress : bool
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        ``object_id, n`` and the first two ``places`` (file, row group and row
        in it, from 0), ascending in the id; empty where all ids differ.
        Hashes only find the candidates, the ids themselves are compared.

    Raises
    ------
    UserError
        A file without ``object_id``, an object without an id, or a damaged
        file.
    """
    parts = [part for group in groups for part in group.parts]
    passes = max(1, -(-sum(group.rows for group in groups) * BYTES // memory))
    edges = np.array([2**64 * number // passes for number in range(1, passes)], dtype=np.uint64)
    twice = []
    with tqdm(total=passes * len(parts), desc="ids", unit="group", disable=None if progress else True) as bar:
        for number in range(passes):
            held = []
            for path, group in parts:
                hashes = _hashes(_ids(path, group))
                held.append(hashes if passes == 1 else hashes[np.searchsorted(edges, hashes, side="right") == number])
                bar.update()
            ordered = np.sort(np.concatenate(held)) if held else np.zeros(0, np.uint64)
            twice.append(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]))
    return _verified(parts, np.concatenate(twice))


def refuse_repeated(groups, *, memory=MEMORY, progress=True):
    """Refuse objects whose id stands more than once.

    Parameters
    ----------
    groups, memory, progress
        As for `repeated_objects`.

    Raises
    ------
    UserError
        Names the first such id and where it stands, and their number.
    """
    found = repeated_objects(groups, memory=memory, progress=progress)
    if len(found):
        row = found.iloc[0]
        one, two = (f"{path}, row group {group}, row {place}" for path, group, place in row["places"])
        raise UserError(
            f"object {row['object_id']!r} stands {row['n']} times, first in {one} and {two}; {len(found)} such ids, each image counts once."
        )


def _ids(path, group):
    if "object_id" not in names_of(path):
        raise UserError(
            f"{path}: there is no column 'object_id' to tell objects apart; the file has {sorted(names_of(path))[:20]}."
        )
    column = read_columns(path, group, ["object_id"])["object_id"].combine_chunks()
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise UserError(
            f"{path}, row group {group}, row {row}: object_id is missing; {column.null_count} such objects."
        )
    return column.cast(pa.string())


def _hashes(ids):
    return pl.Series(pl.from_arrow(ids)).hash(SEED).to_numpy()


def _verified(parts, candidates):
    """Ids of the candidates, compared as text."""
    rows = []
    for path, group in parts if len(candidates) else []:
        ids = _ids(path, group)
        mine = np.flatnonzero(np.isin(_hashes(ids), candidates))
        rows += [(ids[int(row)].as_py(), (path, group, int(row))) for row in mine]
    table = pd.DataFrame(rows, columns=["object_id", "place"])
    found = (
        table.groupby("object_id")["place"].agg(n="size", places=lambda part: tuple(part.iloc[:2]))
        if len(table)
        else pd.DataFrame({"n": [], "places": []})
    )
    return found[found["n"] > 1].rename_axis("object_id").reset_index()
