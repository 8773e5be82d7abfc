"""Object ids that stand twice: those of pandas, in any memory, hash collisions or not."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.cli import main
from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import duplicates
from aqqua_dist.counts.duplicates import refuse_repeated, repeated_objects
from aqqua_dist.counts.partitions import Group


def groups_of(folder, *files, rows=4):
    parts = []
    for number, ids in enumerate(files):
        path = folder / f"{number}.parquet"
        pq.write_table(pa.table({"object_id": ids}), path, row_group_size=rows)
        parts += [
            Group(((str(path), group),), min(rows, len(ids) - group * rows)) for group in range(-(-len(ids) // rows))
        ]
    return parts


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30), max_size=12), min_size=1, max_size=4),
    st.sampled_from([2**30, 100, 20]),
    st.booleans(),
)
def test_ids_are_those_of_pandas(tmp_path_factory, files, memory, as_text):
    folder = tmp_path_factory.mktemp("ids")
    files = [[str(k) if as_text else k for k in ids] for ids in files]
    groups = groups_of(folder, *[ids for ids in files if ids] or [["a"] if as_text else [1]])
    every = pd.Series([str(k) for ids in files for k in ids], dtype="str")
    n = every.value_counts()
    found = repeated_objects(groups, memory=memory, progress=False)
    assert dict(zip(found["object_id"], found["n"], strict=True)) == n[n > 1].to_dict()
    for row in found.itertuples():
        for path, group, place in row.places:
            with pq.ParquetFile(path) as file:
                assert str(file.read_row_group(group)["object_id"][place].as_py()) == row.object_id


def test_hashes_that_collide_are_no_duplicates(tmp_path, monkeypatch):
    groups = groups_of(tmp_path, [f"o{k}" for k in range(500)], ["o7", "x"], rows=50)
    original = duplicates._hashes
    monkeypatch.setattr(duplicates, "_hashes", lambda ids: original(ids) % 16)
    found = repeated_objects(groups, progress=False)
    assert found["object_id"].tolist() == ["o7"] and found["n"].tolist() == [2]


def test_little_memory_reads_the_ids_several_times(tmp_path, monkeypatch):
    groups = groups_of(tmp_path, [f"o{k}" for k in range(100)], rows=50)
    original, reads = duplicates._ids, []
    monkeypatch.setattr(duplicates, "_ids", lambda path, group: (reads.append(group), original(path, group))[1])
    assert repeated_objects(groups, memory=500, progress=False).empty
    assert len(reads) == 2 * 4  # 100 ids of 20 bytes


def test_both_places_are_named(tmp_path):
    groups = groups_of(tmp_path, ["a", "b", "c", "d", "e"], ["x", "e"])
    with pytest.raises(
        UserError,
        match=r"object 'e' stands 2 times, first in .*0.parquet, row group 1, row 0 and .*1.parquet, row group 0, row 1; 1 such ids",
    ):
        refuse_repeated(groups, progress=False)
    refuse_repeated(groups_of(tmp_path, ["a", "b"]), progress=False)


def test_what_cannot_be_checked(tmp_path):
    groups = groups_of(tmp_path, ["a", None])
    with pytest.raises(UserError, match="0.parquet, row group 0, row 1: object_id is missing"):
        repeated_objects(groups, progress=False)
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "0.parquet")
    with pytest.raises(UserError, match="there is no column 'object_id'"):
        repeated_objects(groups, progress=False)
    (tmp_path / "0.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="0.parquet: the objects cannot be read"):
        repeated_objects(groups, progress=False)


def test_aggregate_refuses_an_object_of_two_partitions_before_it_counts(tmp_path):
    (tmp_path / "parts").mkdir()
    table = pd.DataFrame(
        {
            "object_id": [f"o{k}" for k in range(20)],
            "sample_id": "s",
            "label": "a",
            "status": "validated",
            "esd": np.nan,
        }
    )
    table.to_parquet(tmp_path / "parts" / "0.parquet")
    table.iloc[[3]].to_parquet(tmp_path / "parts" / "1.parquet")
    pd.DataFrame({"sample_id": ["s"], "volume": [1.0]}).to_parquet(tmp_path / "samples.parquet")
    words = [
        "aggregate",
        str(tmp_path / "parts"),
        "-o",
        str(tmp_path / "out"),
        "--samples",
        str(tmp_path / "samples.parquet"),
    ]
    done = CliRunner().invoke(main, words)
    assert (
        done.exit_code == 2
        and "object 'o3' stands 2 times" in done.output
        and not (tmp_path / "out" / "counts.parquet").exists()
    )
    done = CliRunner().invoke(main, [*words, "--no-check-ids"])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out" / "report.json").read_text())["ids"] == "not checked"
    (tmp_path / "parts" / "1.parquet").unlink()
    assert CliRunner().invoke(main, words).exit_code == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["ids"] == "each once"
