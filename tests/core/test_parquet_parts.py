"""Tables written piece by piece (`aqqua_dist.core.files.parquet_parts`)."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core import files
from aqqua_dist.core.provenance import Provenance, software_versions

ORIGIN = Provenance(
    study="a study",
    stage="ingest",
    key="0" * 32,
    recipe_text="",
    recipe_sha256="",
    inputs={"a.tsv": "2" * 64},
    seeds={},
    software=software_versions(),
    references=[],
    created="2026-01-02T03:04:05Z",
)
SCHEMA = pa.schema([("object_id", pa.string()), ("label", pa.string()), ("area", pa.float64())])


def piece(start, stop):
    return pa.table({"object_id": [f"o{k}" for k in range(start, stop)], "label": ["a"] * (stop - start)})


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 40), max_size=8), data=st.data())
def test_pieces_become_one_table_without_the_rows_left_out(tmp_path_factory, sizes, data):
    path = tmp_path_factory.mktemp("parts") / "objects.parquet"
    total = sum(sizes)
    lost = sorted(data.draw(st.sets(st.integers(0, max(total - 1, 0)), max_size=total)))
    with files.parquet_parts(path, SCHEMA, units={"area": "px2"}, repeating=["label"]) as parts:
        start = 0
        for size in sizes:
            parts.write(piece(start, start + size))
            start += size
        parts.left_out = lost
        parts.provenance = ORIGIN
    table = files.read_parquet(path)
    assert table["object_id"].tolist() == [f"o{k}" for k in range(total) if k not in lost]
    assert parts.rows == len(table)
    assert table["area"].isna().all()
    assert files.read_provenance(path) == ORIGIN
    assert pq.read_schema(path).field("area").metadata[b"units"] == b"px2"


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "objects.parquet"
    pd.DataFrame({"x": [1]}).to_parquet(path)
    before = path.read_bytes()
    with pytest.raises(KeyError), files.parquet_parts(path, SCHEMA) as parts:
        parts.write(piece(0, 3))
        raise KeyError("a fault in a reader")
    with pytest.raises(ValueError, match="provenance is None"), files.parquet_parts(path, SCHEMA) as parts:
        parts.write(piece(0, 3))
    with pytest.raises(pa.ArrowInvalid), files.parquet_parts(path, SCHEMA) as parts:
        parts.write(pa.table({"area": ["no number"]}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["objects.parquet"]
