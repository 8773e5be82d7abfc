"""Files of embeddings: every layout gives the same numbers in bounded batches; damaged ones are refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance
from aqqua_dist.embeddings.files import (
    embedding_array,
    embedding_field,
    embeddings_of,
    read_embeddings,
    write_embeddings,
)

PROVENANCE = Provenance("study", "stage", "key")
N, D = 700, 6


def values(dtype="float32"):
    return np.random.default_rng(0).standard_normal((N, D)).astype(dtype)


def others(start, stop):
    return pa.table({"object_id": [f"o{k}" for k in range(start, stop)], "sample_id": ["s"] * (stop - start)})


def write_fast(path, data):
    return write_embeddings(
        path, ((others(low, min(low + 300, N)), data[low : low + 300]) for low in range(0, N, 300)), PROVENANCE
    )


def write_list(path, data, kind):
    inner = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}[data.dtype.name]
    flat = pa.array(data.ravel(), type=inner)
    if kind == "fixed":
        column = pa.FixedSizeListArray.from_arrays(flat, data.shape[1])
    else:
        maker, offset = (pa.ListArray, "int32") if kind == "list" else (pa.LargeListArray, "int64")
        column = maker.from_arrays(pa.array(np.arange(len(data) + 1, dtype=offset) * data.shape[1]), flat)
    pq.write_table(
        pa.concat_tables([others(0, len(data)).append_column("embedding", column)]), path, row_group_size=250
    )


LAYOUTS = {
    "fast": lambda path, data: write_fast(path, data),
    "fixed": lambda path, data: write_list(path, data, "fixed"),
    "list": lambda path, data: write_list(path, data, "list"),
    "large list": lambda path, data: write_list(path, data, "large list"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("memory", [1, 2000, 2**26])
def test_every_layout_gives_the_same_numbers(layout, dtype, memory, tmp_path):
    data = values(dtype)
    LAYOUTS[layout](tmp_path / "e.parquet", data)
    batches = list(read_embeddings(tmp_path / "e.parquet", columns=["object_id"], memory=memory))
    found = np.concatenate([batch.values for batch in batches])
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, data)
    assert [i for batch in batches for i in batch.columns["object_id"].to_pylist()] == [f"o{k}" for k in range(N)]
    assert [batch.first for batch in batches] == np.append(0, np.cumsum([len(batch.values) for batch in batches]))[
        :-1
    ].tolist()
    if layout in ("fast", "fixed"):
        assert max(batch.values.nbytes for batch in batches) <= max(memory, data[:1].nbytes)


def test_arrays_are_mapped_in_batches_and_doubles_are_rounded(tmp_path):
    np.save(tmp_path / "e.npy", values())
    batches = list(read_embeddings(tmp_path / "e.npy", memory=100 * D * 4))
    assert [len(batch.values) for batch in batches] == [100] * 7 and batches[3].columns is None
    np.testing.assert_array_equal(np.concatenate([batch.values for batch in batches]), values())
    np.save(tmp_path / "f.npy", np.asfortranarray(values()).astype(">f4"))
    found = [batch.values for batch in read_embeddings(tmp_path / "f.npy", memory=100 * D * 4)]
    np.testing.assert_array_equal(np.concatenate(found), values())
    assert len(found) == 7 and found[0].dtype == np.float32 and found[0].dtype.isnative
    write_list(tmp_path / "d.parquet", values("float64"), "list")
    found = np.concatenate([batch.values for batch in read_embeddings(tmp_path / "d.parquet")])
    np.testing.assert_array_equal(found, values("float64").astype("float32"))


def test_the_fast_layout_says_what_it_holds(tmp_path):
    assert write_fast(tmp_path / "e.parquet", values("float16")) == N
    assert files.read_provenance(tmp_path / "e.parquet") == PROVENANCE
    field = pq.read_schema(tmp_path / "e.parquet").field("embedding")
    assert field.type == pa.binary(12) and field.metadata == {
        b"embedding_dtype": b"float16",
        b"embedding_dimension": b"6",
    }
    table = pq.read_table(tmp_path / "e.parquet")
    assert np.frombuffer(table["embedding"][5].as_py(), "<f2").tolist() == values("float16")[5].tolist()
    column = pq.ParquetFile(tmp_path / "e.parquet").metadata.row_group(0).column(2)
    assert column.path_in_schema == "embedding" and column.compression == "UNCOMPRESSED"


def test_a_slice_of_a_column_and_big_endian_numbers():
    field = embedding_field(D, "float32")
    array = embedding_array(values().astype(">f4"))
    np.testing.assert_array_equal(embeddings_of(array.slice(13, 20), field, place="here"), values()[13:33])
    listed = pa.FixedSizeListArray.from_arrays(pa.array(values().ravel()), D)
    np.testing.assert_array_equal(
        embeddings_of(listed.slice(13, 20), pa.field("e", listed.type), place="here"), values()[13:33]
    )
    assert embeddings_of(array.slice(0, 0), field, place="here").shape == (0, D)


def test_missing_embeddings_and_unequal_lengths_name_the_row(tmp_path):
    rows = [[float(k)] * 3 for k in range(20)]
    cases = [
        (rows[:12] + [None] + rows[13:], pa.list_(pa.float32()), "row 12: the embedding is missing; 1 such rows"),
        (rows[:12] + [None] + rows[13:], pa.list_(pa.float32(), 3), "row 12: the embedding is missing"),
        (
            rows[:7] + [[1.0, None, 2.0]] + rows[8:],
            pa.list_(pa.float32()),
            "row 7: a number of the embedding is missing",
        ),
        (
            rows[:17] + [[1.0, 2.0]] + rows[18:],
            pa.list_(pa.float32()),
            "row 17: the embedding has 2 numbers, those before have 3",
        ),
        (
            rows[:10] + [[1.0, 2.0]] * 10,
            pa.list_(pa.float32()),
            "row 10: the embedding has 2 numbers, those before have 3",
        ),
        ([str(row) for row in rows], pa.string(), "holds string; needed are fixed-length binary or lists"),
        ([b"12345678"] * 20, pa.binary(8), "holds 8 bytes per row, and says embedding_dtype ''"),
    ]
    for column, kind, message in cases:
        pq.write_table(pa.table({"embedding": pa.array(column, kind)}), tmp_path / "e.parquet", row_group_size=10)
        with pytest.raises(UserError, match=message):
            list(read_embeddings(tmp_path / "e.parquet"))


def test_files_that_cannot_be_read(tmp_path):
    write_fast(tmp_path / "e.parquet", values())
    whole = (tmp_path / "e.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cut.parquet: the Parquet file cannot be read"):
        list(read_embeddings(tmp_path / "cut.parquet"))
    with pytest.raises(UserError, match="cannot be read"):
        list(read_embeddings(tmp_path / "none.parquet"))
    with pytest.raises(UserError, match=r"column 'depth' is missing; the file has \['object_id'"):
        list(read_embeddings(tmp_path / "e.parquet", columns=["depth"]))
    with pytest.raises(UserError, match="memory of 0 bytes"):
        list(read_embeddings(tmp_path / "e.parquet", memory=0))
    np.save(tmp_path / "e.npy", values())
    (tmp_path / "cut.npy").write_bytes((tmp_path / "e.npy").read_bytes()[:500])
    with pytest.raises(UserError, match="cut.npy: the array cannot be read"):
        list(read_embeddings(tmp_path / "cut.npy"))
    with pytest.raises(UserError, match="has no columns"):
        list(read_embeddings(tmp_path / "e.npy", columns=["object_id"]))
    np.save(tmp_path / "i.npy", np.ones((3, 2), int))
    with pytest.raises(UserError, match="int64 of shape"):
        list(read_embeddings(tmp_path / "i.npy"))


def test_what_is_not_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "e.parquet"
    write_fast(path, values())
    before = path.read_bytes()
    cases = [
        ([], "there are 0 batches"),
        ([(others(0, 3), values()[:4])], "row 0: 4 embeddings for 3 rows"),
        (
            [(others(0, 3), values()[:3]), (others(3, 6), values()[3:6, :4])],
            "row 3: the batch has .* float32 x 4, needed is what those",
        ),
        (
            [(others(0, 3), values()[:3]), (others(3, 6), values("float16")[3:6])],
            "row 3: the batch has .* float16 x 6, needed",
        ),
        ([(others(0, 3), values("float64")[:3])], "row 0: the embeddings are float64"),
    ]
    for batches, message in cases:
        with pytest.raises(UserError, match=message):
            write_embeddings(path, batches, PROVENANCE)
        assert path.read_bytes() == before
    with pytest.raises(UserError, match="of 0 numbers"):
        embedding_field(0, "float32")
    with pytest.raises(UserError, match="type 'int32'"):
        embedding_field(3, "int32")
