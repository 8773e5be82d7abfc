"""Class probabilities and embeddings of image models: Parquet, arrays with an id table, wide or long text.

Rows are images. Probabilities stand in a list column (class names in the
file's metadata under ``classes``), in one column per class (``prob_<class>``
or ``p_<class>``), or in long form (``object_id, class, prob``).
"""

import difflib
import io
import zlib
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import class_names, finding
from aqqua_dist.readers.delimited import header_of, numbers_of, separator_of, text_of

PREFIXES = ("prob_", "p_")
TOLERANCE = 1e-3
"""Largest distance of a row's probabilities from a sum of 1, as half precision leaves it."""


@dataclass(frozen=True)
class Predictions:
    """What a model says about images.

    Attributes
    ----------
    object_id : numpy.ndarray
        Text, shape (n,); unique.
    classes : tuple of str
        Classes, in the order of the columns of `prob`; empty without
        probabilities.
    prob : numpy.ndarray or None
        float32, shape (n, n_classes); each row adds up to at most 1, what is
        left is unclassified.
    embedding : numpy.ndarray or None
        float16 or float32 as stored, shape (n, n_dimensions).
    model_id : str
        Name of the model; empty where none is told.
    findings : list of dict
        Rows for `aqqua_dist.core.tables.FINDINGS`.
    """

    object_id: np.ndarray
    classes: tuple = ()
    prob: np.ndarray | None = None
    embedding: np.ndarray | None = None
    model_id: str = ""
    findings: list = field(default_factory=list)


def recognises(source):
    """Whether a source may hold predictions.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Judged by its name and its columns.

    Returns
    -------
    bool
    """
    name = source.name.lower().removesuffix(".gz")
    if not name.endswith((".parquet", ".csv", ".tsv")):
        return False
    try:
        names = _parquet(source).schema_arrow.names if name.endswith(".parquet") else header_of(source)
    except UserError:
        return False
    wide = any(column.startswith(PREFIXES) for column in names)
    return ("object_id" in names or "objid" in names) and (
        wide or {"class", "prob"} <= set(names) or bool({"prob", "embedding"} & set(names))
    )


def read_predictions(source, *, object_id=None, classes=None):
    """Predictions of one file.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Parquet, or comma- or tab-separated text (also gzipped).
    object_id : str, optional
        Column that holds the id; default ``object_id``, else ``objid``;
        ``row`` numbers the rows from 1, for a file without a usable id.
    classes : list of str, optional
        Class names of a list column, where the file does not hold them.

    Returns
    -------
    Predictions
        Probabilities and embeddings, whichever the file has.

    Raises
    ------
    UserError
        No id, an id that stands twice with other values, a probability that is none, a row
        that adds up to more than 1, lists of unequal length, or class names
        that do not fit their number.
    """
    name = source.name.lower().removesuffix(".gz")
    table = _parquet_table(source) if name.endswith(".parquet") else _text(source)
    for column, value in source.partition_values().items():
        if column not in table.column_names:
            table = table.append_column(column, pa.array([value] * len(table), pa.string()))
    if object_id == "row":
        table = table.append_column("row", pa.array(np.arange(1, len(table) + 1).astype(str)))
    key = object_id or next((c for c in ("object_id", "objid") if c in table.column_names), None)
    if key not in table.column_names:
        near = difflib.get_close_matches(str(object_id or "object_id"), table.column_names, n=1)
        hint = f", did you mean {near[0]!r}" if near else ""
        raise UserError(
            f"{source}: column {object_id or 'object_id'!r} is missing{hint}; the file has {table.column_names[:20]}."
        )
    findings = []
    if {"class", "prob"} <= set(table.column_names):
        ids, names, prob = _long(table, key, source)
    else:
        ids = table[key].cast(pa.string()).to_numpy(zero_copy_only=False)
        names, prob = (
            _wide(table, source, findings)
            if any(c.startswith(PREFIXES) for c in table.column_names)
            else _listed(table, classes, source)
        )
    if prob is not None:
        prob = checked_scores(prob, source, findings)
    embedding = _lists(table["embedding"], source, "embedding") if "embedding" in table.column_names else None
    if prob is None and embedding is None:
        raise UserError(
            f"{source}: there is neither a probability nor an embedding; the file has {table.column_names[:20]}."
        )
    ids, kept = keep_once(ids, [values for values in (prob, embedding) if values is not None], source, findings)
    prob, embedding = (None if values is None else values[kept] for values in (prob, embedding))
    return Predictions(ids, tuple(names), prob, embedding, _model(table, source), findings)


def read_arrays(array, ids, *, classes=None):
    """Predictions of a numpy array whose rows are named by a table.

    Parameters
    ----------
    array : aqqua_dist.readers.sources.Source
        ``.npy``, shape (n, n_columns), float16 or float32.
    ids : aqqua_dist.readers.sources.Source
        Text or Parquet with ``object_id``, one row per row of the array.
    classes : list of str, optional
        Given, the array holds probabilities of these classes; otherwise an
        embedding.

    Returns
    -------
    Predictions
        Rows in the order of the array.
    """
    try:
        with array.open() as stream:
            values = np.load(io.BytesIO(stream.read()), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{array}: the array cannot be read ({str(error).splitlines()[0]}).") from None
    table = _parquet_table(ids) if ids.name.lower().endswith(".parquet") else _text(ids)
    if "object_id" not in table.column_names:
        raise UserError(f"{ids}: column 'object_id' is missing; the file has {table.column_names[:20]}.")
    if values.ndim != 2 or values.dtype.kind != "f" or len(values) != len(table):
        raise UserError(
            f"{array}: the array is {values.dtype} of shape {values.shape}, needed is a real one with the {len(table)} rows of {ids}."
        )
    findings = []
    names, kept = keep_once(
        table["object_id"].cast(pa.string()).to_numpy(zero_copy_only=False), [values], ids, findings
    )
    values = values[kept]
    if classes is None:
        return Predictions(names, embedding=check_finite(values, array, "embedding"), findings=findings)
    if len(classes) != values.shape[1] or len(set(classes)) != len(classes):
        raise UserError(
            f"{array}: {values.shape[1]} columns for {len(classes)} classes {list(classes)[:5]}; needed is one unique name per column."
        )
    return Predictions(names, tuple(classes), checked_scores(values, array, findings), findings=findings)


def checked_scores(prob, source, findings):
    """Probabilities in single precision whose rows add up to 1, or less.

    Parameters
    ----------
    prob : numpy.ndarray
        Shape (n, n_classes).
    source : object
        Shown in messages.
    findings : list of dict
        Rounding that was repaired, and rows that are incomplete, are added.

    Returns
    -------
    numpy.ndarray
        float32, same shape. Rows within `TOLERANCE` of 1 are scaled to 1;
        rows that add up to less stay, as their remainder is unclassified.
    """
    rounded = prob.dtype == np.float16
    prob = np.array(prob, dtype="float32")
    bad = ~((prob >= 0) & (prob <= 1 + TOLERANCE))
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        hint = " (logits? the softmax of them is needed)" if (prob < 0).any() else ""
        raise UserError(
            f"{source}: row {row + 2}, class {column + 1}: probability {prob[row, column]} is outside [0, 1]{hint}; {int(bad.sum())} such values."
        )
    total = prob.sum(axis=1, dtype="float64")
    if (total > 1 + TOLERANCE).any():
        row = int(np.argmax(total))
        raise UserError(
            f"{source}: row {row + 2}: the probabilities add up to {total[row]:.6g}, allowed is at most 1; {int((total > 1 + TOLERANCE).sum())} such rows."
        )
    whole = np.abs(total - 1) <= TOLERANCE
    if rounded or (np.abs(total[whole] - 1) > 1e-6).any():
        findings.append(
            finding(
                "repaired",
                "probability sum",
                f"{int(whole.sum())} rows of rounded probabilities were scaled to a sum of 1.",
                file=str(source),
            )
        )
    if not whole.all():
        findings.append(
            finding(
                "suspicious",
                "probability sum",
                f"{int((~whole).sum())} rows add up to less than 1 (least {total.min():.3g}); the remainder stays unclassified.",
                file=str(source),
            )
        )
    prob[whole] /= total[whole, None].astype("float32")
    return prob


def _parquet(source):
    try:
        with source.open() as stream:
            return pq.ParquetFile(io.BytesIO(stream.read()) if source.member else source.path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise UserError(f"{source}: the Parquet file cannot be read ({str(error).splitlines()[0][:150]}).") from None


def _parquet_table(source):
    try:
        return _parquet(source).read()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{source}: the Parquet file cannot be read ({str(error).splitlines()[0][:150]}).") from None


def _text(source):
    """Cells as text, so that an id such as 007 stays what it is."""
    try:
        with source.open() as stream:
            text = text_of(stream.read(), source.name)
        separator = separator_of(text.split("\n", 1)[0])
        table = pl.read_csv(text.encode(), separator=separator, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error, UnicodeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
        raise UserError(f"{source}: the table cannot be read ({reason}).") from None
    table = table.rename(str.strip) if all(name.strip() for name in table.columns) else table
    return table.filter(~pl.all_horizontal(pl.all().is_null())).to_arrow()


def _numbers(column, source, name):
    """Numbers of a column, missing where a cell is empty."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return column.to_numpy().astype("float64")
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        raise UserError(f"{source}: column {name!r} holds {column.type}, probabilities are numbers.")
    texts = column.to_pandas()
    numbers, wrong, _ = numbers_of(texts)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{source}: row {row + 2}, column {name!r}: {texts.iloc[row]!r} is not a number; {int(wrong.sum())} such cells."
        )
    return numbers.to_numpy()


def _wide(table, source, findings):
    columns = [c for c in table.column_names if c.startswith(PREFIXES)]
    prefix = "prob_" if any(c.startswith("prob_") for c in columns) else "p_"
    columns = [c for c in columns if c.startswith(prefix)]
    prob = np.column_stack([_numbers(table[column], source, column) for column in columns])
    empty = np.isnan(prob)
    partly = empty.any(axis=1) & ~empty.all(axis=1)
    if partly.any():
        text = f"{int(partly.sum())} rows hold some of the {len(columns)} classes only; the others were taken as 0, what is left of 1 stays unclassified."
        findings.append(finding("repaired", "probability sum", text, file=str(source)))
        prob[empty & partly[:, None]] = 0
    return [c.removeprefix(prefix) for c in columns], prob


def _long(table, key, source):
    frame = pd.DataFrame(
        {"id": table[key].cast(pa.string()).to_pandas(), "class": table["class"].cast(pa.string()).to_pandas()}
    )
    frame["prob"] = _numbers(table["prob"], source, "prob")
    twice = frame.duplicated(["id", "class"])
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise UserError(
            f"{source}: row {row + 2}: object {frame['id'][row]!r} and class {frame['class'][row]!r} stand twice, allowed is once."
        )
    order = frame["id"].drop_duplicates()
    wide = frame.pivot(index="id", columns="class", values="prob").reindex(order)
    return order.to_numpy(dtype=object), list(wide.columns), wide.fillna(0.0).to_numpy()


def _listed(table, classes, source):
    if "prob" not in table.column_names:
        return (), None
    prob = _lists(table["prob"], source, "prob")
    held = (table.schema.metadata or {}).get(b"classes") or (table.schema.field("prob").metadata or {}).get(b"classes")
    names = list(classes) if classes is not None else list(class_names(held, str(source))) if held else None
    if names is None:
        raise UserError(
            f"{source}: column 'prob' holds {prob.shape[1]} classes without names; give them as classes, or as 'classes' in the file's metadata."
        )
    if len(names) != prob.shape[1] or len(set(names)) != len(names):
        raise UserError(
            f"{source}: {len(names)} class names {names[:5]} for {prob.shape[1]} probabilities; needed is one unique name each."
        )
    return names, prob


def _lists(column, source, name):
    if isinstance(column.type, pa.BaseExtensionType):  # such as a tensor of fixed shape
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise UserError(
            f"{source}: row {row + 2}: {name} is missing; {column.null_count} such rows, every image needs one."
        )
    lengths = (
        set(pa.compute.list_value_length(column).unique().to_pylist())
        if pa.types.is_list(column.type)
        or pa.types.is_large_list(column.type)
        or pa.types.is_fixed_size_list(column.type)
        else None
    )
    if lengths is None or len(lengths) > 1:
        raise UserError(
            f"{source}: column {name!r} holds {column.type} of lengths {sorted(lengths or ())[:5]}; needed are lists of one length."
        )
    if not pa.types.is_floating(column.type.value_type):
        raise UserError(
            f"{source}: column {name!r} holds lists of {column.type.value_type}, needed are real numbers; whole ones are logits or codes of something else."
        )
    flat = (
        np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks])
        if column.num_chunks
        else np.empty(0)
    )
    return check_finite(flat.reshape(len(column), -1), source, name)


def check_finite(values, source, name):
    """Embeddings without a number that is none.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n, n_dimensions).
    source : object
        Shown in messages.
    name : str
        What the columns are.

    Returns
    -------
    numpy.ndarray
        The same array.

    Raises
    ------
    UserError
        A NaN or infinite value.
    """
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        raise UserError(
            f"{source}: row {row + 2}, {name} {column + 1}: {values[row, column]} is not a finite number; {int(bad.sum())} such values."
        )
    return values


def keep_once(ids, arrays, source, findings):
    """Ids, and the rows to keep: an image that stands twice with the same values is kept once.

    Parameters
    ----------
    ids : array_like of str
        Shape (n,).
    arrays : list of numpy.ndarray
        Values of the rows.
    source : object
        Shown in messages.
    findings : list of dict
        Takes what was left out.

    Returns
    -------
    ids : numpy.ndarray
        Unique.
    kept : numpy.ndarray of bool
        Shape (n,).

    Raises
    ------
    UserError
        An id that is missing, or stands twice with other values.
    """
    ids = np.asarray(ids, dtype=object)
    missing = pd.isna(ids)
    if missing.any():
        raise UserError(
            f"{source}: row {int(np.flatnonzero(missing)[0]) + 2}: the object id is missing; {int(missing.sum())} such rows."
        )
    first = pd.Series(np.arange(len(ids))).groupby(ids, sort=False).transform("min").to_numpy()
    again = np.flatnonzero(first != np.arange(len(ids)))
    differ = [row for row in again if not all(np.array_equal(values[row], values[first[row]]) for values in arrays)]
    if differ:
        raise UserError(
            f"{source}: row {differ[0] + 2}: object {ids[differ[0]]!r} also stands in row {first[differ[0]] + 2} with other values, "
            f"allowed is once; {len(differ)} such rows."
        )
    if again.size:
        findings.append(
            finding(
                "repaired",
                "duplicate",
                f"{again.size} rows that repeat an object with the same values were left out.",
                file=str(source),
            )
        )
    kept = first == np.arange(len(ids))
    return ids[kept], kept


def _model(table, source):
    if "model_id" not in table.column_names:
        return ""
    names = table["model_id"].cast(pa.string()).unique().to_pylist()
    if len(names) > 1:
        raise UserError(f"{source}: column 'model_id' holds {len(names)} models {names[:5]}, allowed is one per file.")
    return names[0] or ""
