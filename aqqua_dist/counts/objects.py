"""What is aggregated: files of objects, and the tables of an ingest beside them."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import COUNTS, SAMPLES, of_types, typed
from aqqua_dist.counts.columns import names_of, read_columns, refuse_other_lists, schema_of


def object_files(source):
    """Parquet files of objects in a place.

    Parameters
    ----------
    source : pathlib.Path
        Folder of an ingest, a file, or a folder of partitions.

    Returns
    -------
    paths : list of pathlib.Path
        Partitions.
    folder : pathlib.Path
        Where further tables may lie.

    Raises
    ------
    UserError
        There are none.
    """
    if source.is_file():
        return [source], source.parent
    if (source / "objects.parquet").is_file():
        return [source / "objects.parquet"], source
    place = source / "objects.parquet" if (source / "objects.parquet").is_dir() else source
    paths = (
        sorted(
            path
            for path in place.rglob("*.parquet")
            if path.name != "samples.parquet" and not path.name.startswith(".")
        )
        if place.is_dir()
        else []
    )
    if not paths:
        raise UserError(
            f"{str(source)!r} holds no Parquet files of objects; give a file, a folder of them, or the folder of an ingest."
        )
    return paths, source


def read_samples(path):
    """Table of samples.

    Parameters
    ----------
    path : pathlib.Path
        Parquet file with ``sample_id`` and ``volume`` (m3).

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    UserError
        No such file, a column that is missing or of another type, a sample
        without id, or a volume that is not above 0.
    """
    if not path.is_file():
        raise UserError(
            f"the table of samples {str(path)!r} does not exist; without it nobody knows the sampled volumes."
        )
    table = pd.DataFrame(files.read_parquet(path))
    missing = [name for name in ("sample_id", "volume") if name not in table]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing, samples need 'sample_id' and 'volume' (m3).")
    table = of_types(table, SAMPLES, str(path))
    nameless = table["sample_id"].isna()
    if nameless.any():
        raise UserError(
            f"{path}, row {int(np.argmax(nameless)) + 1}: the sample_id is missing; {nameless.sum()} such rows."
        )
    bad = table["volume"].notna() & ~((table["volume"] > 0) & np.isfinite(table["volume"]))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"{path}, row {row + 1}: volume {table['volume'].iloc[row]:g} of sample {table['sample_id'].iloc[row]!r} is not above 0 m3 and finite."
        )
    return table


def weighted_units(folder):
    """Parts of samples whose objects have a weight of their own.

    Parameters
    ----------
    folder : pathlib.Path
        Of an ingest.

    Returns
    -------
    dict of tuple to float
        Weight of each (sample, acquisition); empty where all weigh the same.
    """
    path = folder / "acquisitions.parquet"
    if not path.is_file():
        return {}
    parts = _whole(
        path, ("sample_id", "acquisition_id"), {"sample_id": "string", "acquisition_id": "string", "weight": "float64"}
    )
    if "weight" not in parts or not (parts["weight"].fillna(1.0) != 1.0).any():
        return {}
    odd = parts[parts["sample_id"].isin(parts.loc[parts["weight"].fillna(1.0) != 1.0, "sample_id"])]
    keys = list(zip(odd["sample_id"].astype(str), odd["acquisition_id"].fillna("").astype(str), strict=True))
    return dict(zip(keys, odd["weight"].fillna(1.0), strict=True))


def hierarchies(folder):
    """Hierarchy of each label, as an ingest keeps it.

    Parameters
    ----------
    folder : pathlib.Path
        Of an ingest.

    Returns
    -------
    dict of str to str
        Empty where there is no ``taxa.parquet``.
    """
    path = folder / "taxa.parquet"
    if not path.is_file():
        return {}
    known = pd.DataFrame(files.read_parquet(path))
    key = "label" if "label" in known else "taxon"
    known = _whole(path, (key, "hierarchy"), {key: "string", "hierarchy": "string"})
    return dict(zip(known[key], known["hierarchy"].fillna(""), strict=True))


def _whole(path, needed, columns):
    """A table of an ingest; somebody may have changed it."""
    table = pd.DataFrame(files.read_parquet(path))
    missing = [name for name in needed if name not in table]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; the file has {list(table)[:20]}.")
    return of_types(table, columns, str(path))


def refuse_same_folder(source, out):
    """Refuse to write over the tables of an ingest.

    Parameters
    ----------
    source, out : pathlib.Path
        What is read, and the folder to write to.

    Raises
    ------
    UserError
        They are one folder.
    """
    if out.resolve() in (source.resolve(), source.resolve().parent) and (out / "samples.parquet").is_file():
        raise UserError(
            f"the output folder {str(out)!r} is the one that is read, whose tables would be lost; give another one."
        )


def ingested_counts(source):
    """Counts of sources without images, as an ingest keeps them beside its objects.

    Parameters
    ----------
    source : pathlib.Path
        Folder of an ingest, or anything else.

    Returns
    -------
    pandas.DataFrame
        Columns of `aqqua_dist.core.tables.COUNTS`, and empty size
        classes and carbon; empty for anything else.
    """
    path = source / "counts.parquet"
    if not (source / "objects.parquet").is_file() or not path.is_file():
        return pd.DataFrame()
    table = typed(of_types(pd.DataFrame(files.read_parquet(path)), COUNTS, str(path)), COUNTS)
    return table.assign(weight=table["weight"].fillna(1.0), esd_low=np.nan, esd_high=np.nan, carbon=np.nan)


def searched_samples(samples, folder, joins=None):
    """Samples in which taxa were looked for: an export without its taxa says nothing about them.

    Parameters
    ----------
    samples : pandas.DataFrame
        Table of samples.
    folder : pathlib.Path
        Of an ingest, whose ``searched.parquet`` tells.
    joins : pandas.DataFrame, optional
        Casts whose vignettes are counted (``profile``, and ``depth_offset``
        where they are): somebody has looked there. Where nothing else is
        told, in no other cast.

    Returns
    -------
    pandas.DataFrame
        All of them, where nothing is told.
    """
    path = folder / "searched.parquet"
    seen = set() if joins is None else set(joins.loc[joins["depth_offset"].notna(), "profile"].dropna())
    if "profile" not in samples or not (path.is_file() or seen):
        return samples
    if not path.is_file():
        return samples[samples["profile"].isna() | samples["profile"].isin(seen)]
    known = _whole(path, ("profile", "searched"), {"profile": "string"})
    silent = set(known.loc[~known["searched"].astype(bool), "profile"]) - seen
    return samples[~samples["profile"].isin(silent)]


def _predictions(path):
    """Ids and probabilities of an ingest."""
    refuse_other_lists(schema_of(path).field("prob").type, path)
    parts = range(pq.read_metadata(path).num_row_groups)
    tables = [read_columns(str(path), number, ["object_id", "prob"]) for number in parts]
    return (
        pa.concat_tables(tables)
        if tables
        else pa.table({"object_id": pa.nulls(0), "prob": pa.nulls(0, pa.list_(pa.float32()))})
    )


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
    units = {
        "": 1,
        "kb": 10**3,
        "mb": 10**6,
        "gb": 10**9,
        "tb": 10**12,
        "kib": 2**10,
        "mib": 2**20,
        "gib": 2**30,
        "tib": 2**40,
    }
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text.strip()[len(number) :].strip().lower()
    try:
        size = int(float(json.loads(number)) * units[unit])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"memory {text!r} is no size, as 2GiB or 500MB.") from None
    if size < 2**24:
        raise UserError(f"memory {text!r} is below 16 MiB.")
    return size


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
    if not all(one.is_file() for one in needed) or "prob" not in names_of(needed[1]):
        return False
    classes = _whole(needed[2], ("model_id", "place", "class"), {"place": "float64"}).sort_values("place")
    models = classes["model_id"].unique()
    if len(models) > 1:
        raise UserError(
            f"{needed[1]}: there are probabilities of {len(models)} models ({', '.join(map(str, models[:5]))}); ingest the outputs of one at a time."
        )
    held = _predictions(needed[1])
    held = held.filter(held["prob"].is_valid())
    index = pd.Index(held["object_id"].to_pandas().astype(str))
    if index.has_duplicates:
        raise UserError(f"{needed[1]}: object {index[index.duplicated()][0]!r} stands twice, allowed is once.")
    prob, size = held["prob"].combine_chunks(), len(classes)
    lengths = (
        np.unique(np.asarray(prob.value_lengths()))
        if not pa.types.is_fixed_size_list(prob.type)
        else np.array([prob.type.list_size])
    )
    if len(prob) and lengths.tolist() != [size]:
        raise UserError(
            f"{needed[1]}: column 'prob' holds lists of {lengths[:4].tolist()} numbers, the classes are {size}."
        )
    matrix = prob.flatten().to_numpy(zero_copy_only=False).astype("float32").reshape(-1, size)
    with files.replacing(path) as part, pq.ParquetFile(needed[0]) as source:
        kind = pa.list_(pa.float32(), size)
        schema = source.schema_arrow.append(pa.field("prob", kind)).with_metadata(
            {"classes": json.dumps(list(classes["class"].astype(str)))}
        )
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            for batch in source.iter_batches(2**17):
                place = index.get_indexer(batch["object_id"].to_pandas().astype(str))
                values = (
                    pa.FixedSizeListArray.from_arrays(
                        pa.array(matrix[np.maximum(place, 0)].ravel()), type=kind, mask=pa.array(place < 0)
                    )
                    if len(matrix)
                    else pa.nulls(len(place), kind)
                )
                writer.write_table(pa.Table.from_arrays([*batch.columns, values], schema=schema))
    return True
