"""Files of embeddings, read in batches: Parquet (fixed-length binary, lists) and ``.npy``; and the writer of the fast layout.

The recommended layout is Parquet with one row per object and a column
``embedding`` of fixed-length binary: the little-endian numbers of one
embedding, not compressed (they hardly shrink), with their type and number in
the metadata of the column. It is read several times faster than lists are.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.embeddings.rows import check_embeddings

COLUMN = "embedding"
KINDS = {"float16": "<f2", "float32": "<f4"}
GROUP_BYTES = 2**25
"""Size of a row group of the recommended layout."""
STREAM_BYTES = 2**20
"""What is read from a Parquet file at once, per column."""


@dataclass(frozen=True)
class EmbeddingBatch:
    """Some consecutive objects of a file.

    Attributes
    ----------
    first : int
        Row of the first object in the file, from 0.
    values : numpy.ndarray
        float16 or float32, shape (n, d); read only.
    columns : pyarrow.RecordBatch or None
        The other columns that were asked for.
    """

    first: int
    values: np.ndarray
    columns: pa.RecordBatch | None = None


def embedding_field(dimension, dtype):
    """Field of the recommended layout.

    Parameters
    ----------
    dimension : int
        Numbers of an embedding.
    dtype : {'float16', 'float32'}
        Their type.

    Returns
    -------
    pyarrow.Field
        Fixed-length binary with its meaning in the metadata.
    """
    dtype = np.dtype(dtype).name
    if dtype not in KINDS or dimension < 1:
        raise UserError(
            f"embeddings of {dimension} numbers of type {dtype!r} cannot be stored; allowed are 1 or more of {list(KINDS)}."
        )
    metadata = {"embedding_dtype": dtype, "embedding_dimension": str(dimension)}
    return pa.field(COLUMN, pa.binary(dimension * np.dtype(KINDS[dtype]).itemsize), nullable=False, metadata=metadata)


def embedding_array(values):
    """Embeddings as a column of the recommended layout.

    Parameters
    ----------
    values : numpy.ndarray
        float16 or float32, shape (n, d).

    Returns
    -------
    pyarrow.FixedSizeBinaryArray
        Length n; shares the memory where it can.
    """
    values = check_embeddings(values)
    packed = np.ascontiguousarray(values, dtype=KINDS[values.dtype.name])
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(packed.shape[1] * packed.itemsize), len(packed), [None, pa.py_buffer(packed)]
    )


def embeddings_of(array, field, *, place, first=0):
    """Embeddings of a column, without a copy where it can be.

    Parameters
    ----------
    array : pyarrow.Array
        Fixed-length binary with the metadata of `embedding_field`, or lists,
        fixed-size or not, of float16, float32 or float64.
    field : pyarrow.Field
        Of the file, with its metadata.
    place : str
        Shown in messages.
    first : int
        Row of the first element, for messages.

    Returns
    -------
    numpy.ndarray
        float16 or float32 (float64 is rounded to it), shape (n, d).

    Raises
    ------
    UserError
        Another type, a missing embedding, or lists of unequal length; rows
        are counted from 0.
    """
    if isinstance(array.type, pa.BaseExtensionType):  # such as a tensor of fixed shape
        array = array.storage
    kind = array.type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not pa.types.is_fixed_size_binary(kind) and not (listed and pa.types.is_floating(kind.value_type)):
        raise UserError(
            f"{place}: column {field.name!r} holds {kind}; needed are fixed-length binary or lists of real numbers."
        )
    if array.null_count:
        row = int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise UserError(
            f"{place}, row {first + row}: the embedding is missing; {array.null_count} such rows in this batch, every object needs one."
        )
    if not listed:
        return _binary(array, field, place)
    lengths = np.unique(array.value_lengths().to_numpy(zero_copy_only=False)) if len(array) else np.zeros(1, int)
    if pa.types.is_fixed_size_list(kind):
        lengths = np.array([kind.list_size])
    if len(lengths) > 1:
        rows = array.value_lengths().to_numpy(zero_copy_only=False)
        row = int(np.flatnonzero(rows != rows[0])[0])
        raise _unequal(place, first + row, rows[row], rows[0])
    flat = array.flatten()
    if flat.null_count:
        row = int(np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False))[0]) // int(lengths[0])
        raise UserError(
            f"{place}, row {first + row}: a number of the embedding is missing; {flat.null_count} such numbers in this batch."
        )
    values = flat.to_numpy(zero_copy_only=False).reshape(len(array), int(lengths[0]))
    return values.astype("float32") if values.dtype == np.float64 else values


def _unequal(place, row, found, before):
    return UserError(
        f"{place}, row {row}: the embedding has {found} numbers, those before have {before}; allowed is one length."
    )


def _binary(array, field, place):
    metadata = field.metadata or {}
    dtype, dimension = (
        metadata.get(b"embedding_dtype", b"").decode(),
        metadata.get(b"embedding_dimension", b"").decode(),
    )
    width = array.type.byte_width
    if dtype not in KINDS or not dimension.isdigit() or int(dimension) * np.dtype(KINDS[dtype]).itemsize != width:
        raise UserError(
            f"{place}: column {field.name!r} holds {width} bytes per row, and says embedding_dtype {dtype!r} and embedding_dimension "
            f"{dimension!r}; needed are one of {list(KINDS)} and the number that fits."
        )
    flat = np.frombuffer(
        array.buffers()[1], KINDS[dtype], count=len(array) * int(dimension), offset=array.offset * width
    )
    return flat.reshape(len(array), int(dimension))


def read_embeddings(path, *, columns=(), memory=2**23, column=COLUMN):
    """Embeddings of a file, batch by batch.

    Parameters
    ----------
    path : str or os.PathLike
        ``.parquet`` or ``.npy`` (mapped, not loaded).
    columns : sequence of str
        Other columns to read; none of ``.npy``.
    memory : int
        Bytes of embeddings per batch, about.
    column : str
        Column that holds the embeddings.

    Yields
    ------
    EmbeddingBatch
        In the order of the file, all of one dimension and type.

    Raises
    ------
    UserError
        The file cannot be read, a column is missing, or an embedding is
        missing or of another length.
    """
    path = Path(path)
    if memory < 1:
        raise UserError(f"memory of {memory} bytes is too little for {path}; allowed is 1 or more.")
    if path.suffix == ".npy":
        if columns:
            raise UserError(f"{path}: a .npy file has no columns, asked for are {list(columns)}.")
        yield from _array_batches(path, memory)
        return
    try:
        yield from _parquet_batches(path, list(columns), memory, column)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: the Parquet file cannot be read ({str(error).splitlines()[0][:150]}).") from None


def _array_batches(path, memory):
    """Each batch maps its own part of the file, so that no more than it counts as memory in use."""
    try:
        whole = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path}: the array cannot be read ({str(error).splitlines()[0]}).") from None
    check_embeddings(whole, str(path))
    (n, dimension), dtype = whole.shape, whole.dtype
    rows = max(1, memory // (dimension * dtype.itemsize))
    start, in_order = whole.offset, whole.flags.c_contiguous
    for first in range(0, n, rows):
        shape = (min(rows, n - first), dimension)
        if in_order:
            part = np.memmap(path, dtype, "r", offset=start + first * dimension * dtype.itemsize, shape=shape)
        else:
            part = whole[first : first + rows]
        yield EmbeddingBatch(first, check_embeddings(part))


def _parquet_batches(path, columns, memory, column):
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=STREAM_BYTES) as file:
        schema = file.schema_arrow
        missing = [name for name in (column, *columns) if name not in schema.names]
        if missing:
            raise UserError(f"{path}: column {missing[0]!r} is missing; the file has {schema.names[:20]}.")
        field, first, shape = schema.field(column), 0, None
        rows = max(1, memory // _row_bytes(field, file))
        for batch in file.iter_batches(rows, columns=[*columns, column]):
            values = embeddings_of(batch.column(column), field, place=str(path), first=first)
            shape = shape or (values.shape[1], values.dtype)
            if values.shape[1] != shape[0]:
                raise _unequal(path, first, values.shape[1], shape[0])
            values.flags.writeable = False
            yield EmbeddingBatch(first, values, batch.select(columns) if columns else None)
            first += len(values)


def _row_bytes(field, file):
    """Size of one embedding; where lists do not tell, what the file stores."""
    kind = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
    if pa.types.is_fixed_size_binary(kind):
        return kind.byte_width
    if pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type):
        return kind.list_size * kind.value_type.bit_width // 8
    group = file.metadata.row_group(0) if file.metadata.num_row_groups else None
    return max(1, group.total_byte_size // max(1, group.num_rows)) if group else 1


def write_embeddings(path, batches, provenance):
    """Write the recommended layout.

    Parameters
    ----------
    path : str or os.PathLike
        Place; replaced once it is complete.
    batches : iterable of (pyarrow.RecordBatch or pyarrow.Table, numpy.ndarray)
        Other columns (``object_id`` among them) and embeddings of the same
        rows, float16 or float32, shape (n, d); all of one kind.
    provenance : aqqua_dist.core.provenance.Provenance
        Embedded in the schema's metadata.

    Returns
    -------
    int
        Objects written.

    Raises
    ------
    UserError
        No batch, or batches that do not fit together.
    """
    writer, written = None, 0
    with files.replacing(path) as part:
        try:
            for table, values in batches:
                values = check_embeddings(values, f"{path}, row {written}")
                table = pa.table(table) if isinstance(table, pa.Table) else pa.Table.from_batches([table])
                if len(table) != len(values):
                    found = f"{len(values)} embeddings for {len(table)} rows of the other columns"
                    raise UserError(f"{path}, row {written}: {found}; needed is one each.")
                table = table.append_column(embedding_field(values.shape[1], values.dtype), embedding_array(values))
                if writer is None:
                    writer = _writer(part, table.schema, provenance)
                if (
                    not table.schema.equals(writer.schema)
                    or table.schema.field(COLUMN).metadata != writer.schema.field(COLUMN).metadata
                ):
                    found = f"{table.schema.names} with {values.dtype} x {values.shape[1]}"
                    raise UserError(f"{path}, row {written}: the batch has {found}, needed is what those before have.")
                writer.write_table(
                    table.cast(writer.schema), row_group_size=max(1, GROUP_BYTES // (values.shape[1] * values.itemsize))
                )
                written += len(values)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise UserError(f"{path}: there are {written} batches of embeddings to write, needed is at least one.")
    return written


def _writer(part, schema, provenance):
    schema = schema.with_metadata(dict(schema.metadata or {}) | {files.NAME.encode(): provenance.to_json().encode()})
    compression = {field.name: "none" if field.name == COLUMN else "zstd" for field in schema}
    repeating = [name for name in schema.names if name not in (COLUMN, "object_id")]
    return pq.ParquetWriter(part, schema, compression=compression, use_dictionary=repeating or False)
