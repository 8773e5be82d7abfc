"""Labels of a collection that the table of taxa does not hold."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from aqqua_dist.core.tables import is_unlabelled
from aqqua_dist.counts import columns
from aqqua_dist.counts.objects import hierarchies, ingested_counts, object_files
from aqqua_dist.counts.partitions import groups_of
from aqqua_dist.organisms.lookup import look_up


def unknown_labels(source):
    """Labels that are taken for living taxa and are in no table.

    Parameters
    ----------
    source : str or os.PathLike
        Folder of an ingest, a Parquet file of objects, or a folder of such
        files.

    Returns
    -------
    pandas.DataFrame
        ``label, n`` (objects, and counted animals of sources without images),
        ``hierarchy`` (empty where none is told) and ``near`` (similar labels
        of the table, joined by commas), descending in n.

    Raises
    ------
    UserError
        There are no objects, or they cannot be read.
    """
    paths, folder = object_files(Path(source))
    lines, n = hierarchies(folder), {}
    for path in paths:
        if "label" not in columns.names_of(path):
            continue
        for _, number in (part for group in groups_of([path]) for part in group.parts):
            held = columns.read_columns(str(path), number, ["label"])["label"].cast(pa.string())
            for entry in pc.value_counts(held).to_pylist():
                n[entry["values"]] = n.get(entry["values"], 0) + entry["counts"]
    counts = ingested_counts(Path(source))
    if len(counts):
        for label, number in counts.groupby("taxon")["n"].sum().items():
            n[label] = n.get(label, 0) + number
    rows = []
    for label, number in n.items():
        if is_unlabelled(label):
            continue
        found = look_up(label, lines.get(label))
        if not found.understood:
            rows.append((label, number, lines.get(label, ""), ", ".join(found.near)))
    table = pd.DataFrame(rows, columns=["label", "n", "hierarchy", "near"])
    return table.sort_values(["n", "label"], ascending=[False, True], ignore_index=True)
