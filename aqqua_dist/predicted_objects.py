"""Objects of an ingest joined with the probabilities that a model gave them."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aqqua_dist import artefact
from aqqua_dist.errors import UserError


def join_predictions(folder, path):
    """Write the objects of an ingest with a column of probabilities.

    Parameters
    ----------
    folder : pathlib.Path
        Of an ingest: ``objects.parquet``, ``predictions.parquet`` (with
        ``prob``) and ``classes.parquet``.
    path : pathlib.Path
        Parquet file to write; ``prob`` is missing where the model has not
        seen an object.

    Returns
    -------
    bool
        False, and nothing is written, where the ingest has no probabilities.

    Raises
    ------
    UserError
        Probabilities of several models, or with other classes than named.
    """
    needed = [folder / name for name in ("objects.parquet", "predictions.parquet", "classes.parquet")]
    if not all(one.is_file() for one in needed) or "prob" not in pq.read_schema(needed[1]).names:
        return False
    classes = artefact.read_parquet(needed[2]).sort_values("place")
    models = classes["model_id"].unique()
    if len(models) > 1:
        raise UserError(f"{needed[1]}: there are probabilities of {len(models)} models ({', '.join(map(str, models[:5]))}); ingest the outputs of one at a time.")
    held = pq.read_table(needed[1], columns=["object_id", "prob"])
    held = held.filter(held["prob"].is_valid())
    index = pd.Index(held["object_id"].to_pandas().astype(str))
    prob, size = held["prob"].combine_chunks(), len(classes)
    lengths = np.unique(np.asarray(prob.value_lengths())) if not pa.types.is_fixed_size_list(prob.type) else np.array([prob.type.list_size])
    if len(prob) and lengths.tolist() != [size]:
        raise UserError(f"{needed[1]}: column 'prob' holds lists of {lengths[:4].tolist()} numbers, the classes are {size}.")
    matrix = prob.flatten().to_numpy(zero_copy_only=False).astype("float32").reshape(-1, size)
    with artefact.replacing(path) as part, pq.ParquetFile(needed[0]) as source:
        kind = pa.list_(pa.float32(), size)
        schema = source.schema_arrow.append(pa.field("prob", kind)).with_metadata({"classes": json.dumps(list(classes["class"].astype(str)))})
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            for batch in source.iter_batches(2**17):
                place = index.get_indexer(batch["object_id"].to_pandas().astype(str))
                values = pa.FixedSizeListArray.from_arrays(pa.array(matrix[np.maximum(place, 0)].ravel()), type=kind, mask=pa.array(place < 0)) \
                    if len(matrix) else pa.nulls(len(place), kind)
                writer.write_table(pa.Table.from_arrays([*batch.columns, values], schema=schema))
    return True
