"""How the columns of partitions are read, whatever their shape: in the file or in the names of its folders.

Probabilities of classes come as lists (of variable or fixed length, or as a
tensor of fixed shape), as one column per class (``prob_<class>`` or
``p_<class>``), or as lists of the best few classes (``class``) beside lists of
their probabilities (``prob``). All become lists of one length, one number per
class.
"""

from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.hive import folder_values
from aqqua_dist.core.tables import class_names

NUMBERS = ("esd", "depth", "score", "area", "major", "minor", "pixel", "biovolume", "n_individuals")
TEXTS = ("object_id", "sample_id", "label", "status", "acquisition_id")
REPEATING = ("sample_id", "label", "status")
"""Texts of few values."""
PREFIXES = ("prob_", "p_")
"""Beginnings of the columns of one class each."""


@lru_cache(maxsize=4096)
def _schema(path, _stamp):
    return pq.read_schema(path)


def schema_of(path):
    """Columns in a file.

    Parameters
    ----------
    path : str or os.PathLike
        Parquet file.

    Returns
    -------
    pyarrow.Schema

    Raises
    ------
    UserError
        It cannot be read, or a column that is used stands twice.
    """
    try:
        schema = _schema(str(path), _stamp(path))
    except (OSError, pa.ArrowException, ValueError) as error:
        raise UserError(f"{path}: the objects cannot be read ({_reason(error)}).") from None
    twice = [name for name, n in Counter(schema.names).items() if n > 1 and name in (*TEXTS, *NUMBERS, "prob", "class")]
    if twice:
        raise UserError(f"{path}: column {twice[0]!r} stands {schema.names.count(twice[0])} times, allowed is once.")
    return schema


def _stamp(path):
    found = Path(path).stat()
    return found.st_mtime_ns, found.st_size


def _reason(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:150]


def names_of(path):
    """Names that can be read: columns of the file and of its folders, and ``prob`` where it has probabilities.

    Parameters
    ----------
    path : str or os.PathLike
        Parquet file.

    Returns
    -------
    set of str
    """
    schema = schema_of(path)
    told = {name for name in folder_values(str(path)) if name in (*TEXTS, *NUMBERS)}
    return {*schema.names, *told, *(["prob"] if wide_classes(schema) else [])}


def wide_classes(schema):
    """Columns of one class each.

    Parameters
    ----------
    schema : pyarrow.Schema
        Columns of a file.

    Returns
    -------
    dict of str to str
        Column by class, in the order of the file; empty where there are fewer
        than two, or a column ``prob`` holds them together.
    """
    if "prob" in schema.names:
        return {}
    for prefix in PREFIXES:
        found = {
            field.name.removeprefix(prefix): field.name
            for field in schema
            if field.name.startswith(prefix) and pa.types.is_floating(field.type) and field.name != prefix
        }
        if len(found) > 1:
            return found
    return {}


def classes_in(path):
    """Classes of the probabilities of a file.

    Parameters
    ----------
    path : str or os.PathLike
        Parquet file.

    Returns
    -------
    names : tuple of str or None
        In the order of the file; None where it has no probabilities.
    bound : str
        What other partitions must have too: ``order`` where a number has no
        name of its own, ``names`` where each has a column, ``nothing`` where
        each object names the best few.

    Raises
    ------
    UserError
        Probabilities that are no lists of real numbers, or without the names of their
        classes.
    """
    schema = schema_of(path)
    wide = wide_classes(schema)
    if wide:
        return tuple(wide), "names"
    if "prob" not in schema.names:
        return None, "nothing"
    held = (schema.field("prob").metadata or {}).get(b"classes") or (schema.metadata or {}).get(b"classes")
    refuse_other_lists(schema.field("prob").type, path)
    named = _best_few(schema) and not pa.types.is_integer(schema.field("class").type.value_type)
    if held is not None:
        names = class_names(held, str(path))
        if len(set(names)) != len(names):
            raise UserError(f"{path}: the classes {list(names)[:8]} hold a name twice, allowed is once.")
        return names, "names" if named else "order"
    if not named:
        raise UserError(
            f"{path}: the classes of column 'prob' have no names; give them as a JSON list 'classes' in the metadata of the file."
        )
    found = set()
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(2**17, columns=["class"]):
            found.update(name for name in pc.unique(pc.list_flatten(batch.column(0))).to_pylist() if name is not None)
    return tuple(sorted(map(str, found))), "nothing"


def _best_few(schema):
    return "class" in schema.names and _is_list(schema.field("class").type)


def _is_list(kind):
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def refuse_other_lists(kind, path):
    """Refuse what are no lists of real numbers.

    Parameters
    ----------
    kind : pyarrow.DataType
        Of the column ``prob``.
    path : str or os.PathLike
        File, for the message.

    Raises
    ------
    UserError
        Says what the column holds and what is needed.
    """
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    if not _is_list(kind):
        hint = "; a table with a row per object and class is read by 'aqqua-dist ingest'" if _is_number(kind) else ""
        raise UserError(f"{path}: column 'prob' holds {kind}, needed are lists of real numbers, one per class{hint}.")
    if not pa.types.is_floating(kind.value_type):
        raise UserError(
            f"{path}: column 'prob' holds lists of {kind.value_type}, needed are real numbers within [0, 1]; whole numbers are logits or "
            "codes, of which the probabilities (softmax) are needed."
        )


def _is_number(kind):
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def read_columns(path, number, names, classes=()):
    """Some columns of a row group.

    Parameters
    ----------
    path : str
        Parquet file.
    number : int
        Row group.
    names : list of str
        Of `names_of`.
    classes : sequence of str
        Classes, in the order of ``prob``, where that is asked for.

    Returns
    -------
    pyarrow.Table
        Texts as text or dictionaries of it, `NUMBERS` as float64, ``prob`` as
        lists.

    Raises
    ------
    UserError
        A damaged file, a column of another type, or a folder that says
        something else than the column of its name.
    """
    schema, place = schema_of(path), f"{path}: row group {number}"
    told = {name: value for name, value in folder_values(str(path)).items() if name in names}
    wide = wide_classes(schema) if "prob" in names else {}
    few = "prob" in names and not wide and _best_few(schema)
    stored = [name for name in names if name in schema.names] + [*wide.values()] + (["class"] if few else [])
    table = _stored(path, number, stored, place)
    found = {}
    for name in names:
        if name == "prob" and "prob" not in schema.names:
            if not wide:
                raise UserError(f"{path}: there is no column 'prob'; all partitions need the same columns.")
            found[name] = _of_wide(table, wide, classes, path)
        elif name in schema.names:
            found[name] = _of_few(table, classes, place) if few and name == "prob" else _plain(table[name], name, path)
            if name in told:
                _refuse_contradiction(found[name], name, told[name], path)
        elif name in told:
            found[name] = _plain(pa.chunked_array([pa.array([told[name]] * len(table), pa.string())]), name, path)
        else:
            raise UserError(f"{path}: column {name!r} is missing; all partitions need the same columns.")
    return pa.table(found)


def _stored(path, number, names, place):
    kinds = schema_of(path)
    repeating = [name for name in names if name in REPEATING and not pa.types.is_nested(kinds.field(name).type)]
    try:
        with pq.ParquetFile(path, read_dictionary=repeating) as file:
            table = file.read_row_group(number, columns=names)
            return table if names else pa.table({"": pa.nulls(file.metadata.row_group(number).num_rows)})
    except (OSError, pa.ArrowException, ValueError) as error:
        raise UserError(f"{place} cannot be read ({_reason(error)}); the file is damaged.") from None


def _plain(column, name, path):
    """A column in the type that is counted with."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        kind = kind.storage_type
    if name == "prob":
        return column
    try:
        if name in NUMBERS:
            return column.cast(pa.float64(), safe=False)
        if pa.types.is_dictionary(kind) and not _is_text(kind.value_type):
            column, kind = column.cast(kind.value_type), kind.value_type
        return column if pa.types.is_dictionary(kind) or pa.types.is_string(kind) else column.cast(pa.string())
    except pa.ArrowException as error:
        needed = "numbers" if name in NUMBERS else "text"
        raise UserError(f"{path}: column {name!r} holds {kind}, needed is {needed} ({_reason(error)}).") from None


def _is_text(kind):
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _refuse_contradiction(column, name, value, path):
    others = [held for held in pc.unique(column.cast(pa.string())).to_pylist() if held != value]
    if others and name in TEXTS:
        raise UserError(
            f"{path}: the folder says {name} {value!r}, and the file {others[0]!r}; nobody knows which of them is right."
        )


def _of_wide(table, wide, classes, path):
    """One column per class as lists; rows without any number have none."""
    columns = [wide.get(name) for name in classes or wide]
    if None in columns:
        raise UserError(
            f"{path}: there is no column of the class {list(classes)[columns.index(None)]!r}; all partitions need the same classes."
        )
    prob = np.column_stack([table[name].to_numpy() for name in columns])
    missing = np.isnan(prob)
    prob[missing] = 0
    return _lists(prob, missing.all(axis=1))


def _lists(prob, missing):
    return pa.chunked_array(
        [pa.FixedSizeListArray.from_arrays(pa.array(prob.ravel()), prob.shape[1], mask=pa.array(missing))]
    )


def _of_few(table, classes, place):
    """Lists of the best few classes and their probabilities as lists of all classes; what is left of 1 is nobody's."""
    known = {name: number for number, name in enumerate(classes)}
    names, prob = table["class"].combine_chunks(), _plain(table["prob"], "prob", place).combine_chunks()
    lengths = [pc.fill_null(pc.list_value_length(part), 0).to_numpy(zero_copy_only=False) for part in (names, prob)]
    if (lengths[0] != lengths[1]).any():
        row = int(np.argmax(lengths[0] != lengths[1]))
        raise UserError(
            f"{place}, row {row + 1}: {lengths[0][row]} classes have {lengths[1][row]} probabilities, needed is one each."
        )
    rows = np.repeat(np.arange(len(table)), lengths[0])
    held = pc.list_flatten(names)
    if pa.types.is_integer(held.type):
        codes = pc.fill_null(held, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        codes = np.where((codes >= 0) & (codes < len(classes)), codes, -1)
    else:
        codes = np.array([known.get(name, -1) for name in held.cast(pa.string()).to_pylist()], np.int64)
    if (codes < 0).any():
        at = int(np.argmax(codes < 0))
        raise UserError(
            f"{place}, row {rows[at] + 1}: class {held[at].as_py()!r} is none of the {len(known)} classes {list(classes)[:8]}."
        )
    cells = rows * len(classes) + codes
    if len(np.unique(cells)) != len(cells):
        raise UserError(
            f"{place}: a class stands twice in the list of an object ({len(cells)} entries), allowed is once."
        )
    flat = pc.list_flatten(prob).to_numpy(zero_copy_only=False)
    dense = np.zeros((len(table), len(classes)), flat.dtype)
    dense.ravel()[cells] = flat
    return _lists(dense, lengths[1] == 0)
