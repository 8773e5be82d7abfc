"""Objects with the probabilities of a model, and validation tables, that several tests count."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aqqua_dist.counts import partitions, tallies
from aqqua_dist.counts.confusion import read_validation
from aqqua_dist.counts.links import links_of

FLOAT32 = pa.float32()
CLASSES = ("copepod", "detritus", "egg")
SAMPLES = pd.DataFrame({"sample_id": ["s0", "s1", "s2", "empty"], "volume": 1.0})


def objects(rows=600, seed=0):
    random = np.random.default_rng(seed)
    prob = random.dirichlet([0.5, 0.7, 0.3], rows).astype("float32")
    return pd.DataFrame(
        {
            "object_id": [f"o{k}" for k in range(rows)],
            "sample_id": [f"s{k}" for k in random.integers(0, 3, rows)],
            "label": random.choice(["copepod", "fish"], rows),
            "status": random.choice(["validated", "predicted", "unclassified", "dubious"], rows),
            "esd": np.where(random.random(rows) < 0.1, np.nan, random.lognormal(6, 1, rows)),
            "prob": list(prob),
        }
    )


def write(folder, table, files=3, classes=CLASSES, kind=FLOAT32):
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(len(table)), files)):
        rows = table.iloc[part]
        arrow = pa.Table.from_pandas(rows.drop(columns="prob"), preserve_index=False)
        flat = np.concatenate([*rows["prob"]]) if len(rows) else np.zeros(0)
        prob = pa.FixedSizeListArray.from_arrays(pa.array(flat.astype(kind.to_pandas_dtype())), len(classes))
        arrow = arrow.append_column("prob", prob).replace_schema_metadata({"classes": json.dumps(classes)})
        pq.write_table(arrow, folder / f"{number}.parquet", row_group_size=100)
    return sorted(folder.glob("*.parquet"))


def sums_of(paths, scoring, tmp_path, *, memory=2**28, rows=150):
    groups, links = partitions.groups_of(paths, rows), links_of(SAMPLES)
    axes = tallies.Axes(
        (*links.keys, *scoring.extra_rows), partitions.labels_of(groups), tallies.CLASSES + 1, scoring.columns
    )
    options = partitions.CountOptions(scoring=scoring, memory=memory)
    return partitions.run_groups(groups, axes, links, options, state=tmp_path / "state"), axes


def matrix(rows):
    table = rows.groupby(["row", "class"])["n"].sum().unstack(fill_value=0)
    return table.reindex(index=range(4), columns=range(3), fill_value=0).to_numpy()


def table_of(random, rows=900):
    """A validation table and a model that is right in two of three cases."""
    true = random.integers(0, 3, rows)
    prob = random.dirichlet([1, 1, 1], rows) + 1.2 * np.eye(3)[true] * random.random((rows, 1))
    return true, prob / prob.sum(axis=1, keepdims=True)


def validation(path, true, prob):
    table = pd.DataFrame(prob, columns=[f"p_{name}" for name in CLASSES]).assign(taxon=np.array(CLASSES)[true])
    table.to_csv(path, index=False)
    return read_validation(path, CLASSES)
