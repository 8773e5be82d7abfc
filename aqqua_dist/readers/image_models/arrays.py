"""Outputs of models in arrays: a Zarr group, or a numpy file with a table of ids beside it."""

import zipfile

import numpy as np
import zarr
from zarr.storage import LocalStore, ZipStore

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.image_models.predictions import (
    Predictions,
    check_finite,
    checked_scores,
    keep_once,
    read_arrays,
)

IDS = ("object_id", "object_ids", "ids")
"""Names of the array of ids in a Zarr group."""
ENDS = ("_ids.csv", "_ids.tsv", "_ids.parquet")
"""Ends of the table that names the rows of ``<stem>.npy``."""


def recognises(source):
    """Whether a source is a Zarr store or a numpy array.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Judged by its name.

    Returns
    -------
    bool
    """
    return (
        not source.member
        and source.path.name.lower().endswith((".zarr", ".zarr.zip"))
        or source.name.lower().endswith(".npy")
    )


def named_as_ids(source):
    """Whether a table is named as one of ids.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Judged by its name.

    Returns
    -------
    bool
    """
    return source.name.lower().endswith(ENDS)


def is_ids(source, sources):
    """Whether a table names the rows of an array among some sources.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Table.
    sources : list of aqqua_dist.readers.sources.Source
        All sources.

    Returns
    -------
    bool
    """
    return any(_table_of(array, [source]) for array in sources if array.name.lower().endswith(".npy"))


def _table_of(array, sources):
    stem = array.name[: -len(".npy")]
    return next((source for source in sources if source.name.lower() in {f"{stem}{end}".lower() for end in ENDS}), None)


def read_array_outputs(source, sources):
    """Predictions or embeddings of an array.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        A Zarr group (folder, or ``.zarr.zip``) with an array of ids (one of
        `IDS`) and ``embedding`` or ``prob``, shape (n, columns), float16 or
        float32; class names in an array ``classes`` or an attribute of that
        name, the model in the attribute ``model_id``. Or ``<stem>.npy``, an
        embedding.
    sources : list of aqqua_dist.readers.sources.Source
        Where ``<stem>_ids.csv`` (or Parquet) is looked for.

    Returns
    -------
    aqqua_dist.readers.image_models.predictions.Predictions
        In the order of the array.

    Raises
    ------
    UserError
        No ids, arrays of other shapes, or a damaged store.
    """
    if source.name.lower().endswith(".npy"):
        ids = _table_of(source, sources)
        if ids is None:
            raise UserError(
                f"{source}: nothing tells which image each row is of; needed is a table {source.name[:-4]}_ids.csv with 'object_id' beside it."
            )
        return read_arrays(source, ids)
    try:
        arrays, attributes = _stored(source)
    except UserError:
        raise
    except Exception as error:  # zarr and its codecs raise many kinds on damaged stores
        raise UserError(
            f"{source}: the Zarr group cannot be read ({type(error).__name__}: {(str(error) or 'damaged').splitlines()[0]})."
        ) from None
    return _predictions(source, arrays, attributes)


def _stored(source):
    if source.path.is_dir():
        group = zarr.open_group(LocalStore(source.path, read_only=True), mode="r")
    else:
        if not zipfile.is_zipfile(source.path):
            raise UserError(f"{source}: the file is no archive, as a .zarr.zip must be.")
        group = zarr.open_group(ZipStore(source.path, mode="r"), path=_top(source.path), mode="r")
    for name, array in group.arrays():
        if array.nchunks_initialized < array.nchunks:
            raise UserError(
                f"{source}: {array.nchunks - array.nchunks_initialized} of {array.nchunks} chunks of array {name!r} are missing; their numbers would be 0."
            )
    return {name: np.asarray(array[...]) for name, array in group.arrays()}, dict(group.attrs)


def _top(path):
    """Folder in an archive that holds the group: none, or the one that everything lies in."""
    with zipfile.ZipFile(path) as file:
        names = [name.split("/") for name in file.namelist()]
    tops = {parts[0] for parts in names}
    return tops.pop() if len(tops) == 1 and all(len(parts) > 1 for parts in names) else None


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def _predictions(source, arrays, attributes):
    key = next((name for name in IDS if name in arrays), None)
    held = [name for name in ("prob", "embedding") if name in arrays]
    if key is None or not held:
        raise UserError(
            f"{source}: the group has the arrays {sorted(arrays)}, needed are {IDS[0]!r} and 'embedding' or 'prob'."
        )
    if arrays[key].dtype.kind == "f":
        raise UserError(
            f"{source}: the ids in array {key!r} are {arrays[key].dtype}, needed are texts or whole numbers."
        )
    ids = np.array([_text(value) for value in arrays[key].ravel()], dtype=object)
    for name in held:
        values = arrays[name]
        if values.ndim != 2 or values.dtype.kind != "f" or len(values) != len(ids):
            raise UserError(
                f"{source}: array {name!r} is {values.dtype} of shape {values.shape}, needed is a real one with {len(ids)} rows, one per id."
            )
    findings = []
    ids, kept = keep_once(ids, [arrays[name] for name in held], source, findings)
    prob, classes = None, ()
    if "prob" in held:
        classes = tuple(
            _text(name) for name in (arrays["classes"] if "classes" in arrays else attributes.get("classes", []))
        )
        if len(classes) != arrays["prob"].shape[1] or len(set(classes)) != len(classes):
            raise UserError(
                f"{source}: array 'prob' has {arrays['prob'].shape[1]} columns for {len(classes)} classes {list(classes)[:5]}; needed is one unique name per column."
            )
        prob = checked_scores(arrays["prob"][kept], source, findings)
    embedding = check_finite(arrays["embedding"][kept], source, "embedding") if "embedding" in held else None
    return Predictions(ids, classes, prob, embedding, str(attributes.get("model_id", "")), findings)
