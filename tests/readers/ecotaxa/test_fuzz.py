"""Damaged EcoTaxa files give right tables or one sentence, never something in between."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ecotaxa.export import read_ecotaxa
from aqqua_dist.readers.ecotaxa.rows import batches, look
from aqqua_dist.readers.sources import Source

FILES = (
    "uvp6_uvpapp_b_da_19.tsv",
    "import_example_uvp5_with_classification.tsv",
    "ecotaxa_back_QA/ref_exports/tsv_with_ids/ecotaxa_m106_mn01_n1_sml.tsv",
    "ecotaxa_back_QA/import_test_weird/m106_mn01_n4_sml/ecotaxa_m106_mn01_n4_sml.tsv",
)


def outcome(path):
    try:
        return read_ecotaxa([Source(path)])
    except UserError as error:
        assert str(path.name) in str(error) or "of the files stands twice" in str(error), error
        return None


def expected_ids(path):
    """Object ids by the csv module alone, with each object once."""
    text = path.read_bytes().decode("latin-1")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t"))
    place = [cell.removeprefix("ï»¿") for cell in rows[0]].index("object_id")
    return {row[place] for row in rows[1:] if len(row) > place and row[place] and row[place] != "[t]"}


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_bytes_lost_or_changed(data_root, tmp_path_factory, name, data):
    content = bytearray((data_root / "formats" / "ecotaxa" / name).read_bytes())
    path = tmp_path_factory.mktemp("fuzz") / "ecotaxa_f.tsv"
    start = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(["cut", "flip", "drop", "double"]))
    length = data.draw(st.integers(1, 400))
    if kind == "cut":
        content = content[:start]
    elif kind == "flip":
        content[start] = data.draw(st.integers(0, 255))
    elif kind == "drop":
        del content[start : start + length]
    else:
        content[start:start] = content[start : start + length]
    path.write_bytes(content)
    got = outcome(path)
    if got is not None and kind != "flip":
        found, expected = set(got.objects["object_id"]), expected_ids(path)
        # a row that lost cells may tell an impossible place: its sample is set aside, and said so
        assert found <= expected
        assert found == expected or (got.findings["check"] == "set aside").any()


@pytest.mark.parametrize("name", FILES)
def test_each_line_and_each_column_lost(data_root, tmp_path, name):
    lines = (data_root / "formats" / "ecotaxa" / name).read_bytes().splitlines(keepends=True)
    path = tmp_path / "ecotaxa_f.tsv"
    for place in range(1, len(lines)):
        path.write_bytes(b"".join(lines[:place] + lines[place + 1 :]))
        got = outcome(path)
        if got is not None:
            assert set(got.objects["object_id"]) == expected_ids(path)
    cells = [line.rstrip(b"\r\n").split(b"\t") for line in lines]
    if any(len(row) != len(cells[0]) for row in cells):
        return
    for place in range(0, len(cells[0]), 7):
        path.write_bytes(b"".join(b"\t".join(row[:place] + row[place + 1 :]) + b"\n" for row in cells))
        got = outcome(path)
        assert got is None or set(got.objects["object_id"]) == expected_ids(path)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=6), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=8,
    ),
    minimal=st.booleans(),
)
def test_both_ways_through_a_file_give_the_same_cells(tmp_path_factory, rows, minimal):
    """The quick way (where lines are even) against the csv module, on any text."""
    path = tmp_path_factory.mktemp("fuzz") / "x.tsv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(
            stream, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_MINIMAL if minimal else csv.QUOTE_ALL
        )
        writer.writerow(["object_id", "b", "c"])
        writer.writerows([["x", *row[1:]] for row in rows])
    layout = look(Source(path))
    cells = [row for _, frame in batches(layout, ["object_id", "b", "c"]) for row in frame.rows()]
    assert [list(row) for row in cells] == [["x", *row[1:]] for row in rows]


def test_empty_and_binary_files_are_named(tmp_path):
    for content, message in (
        (b"", "no header"),
        (b"object_id\tobject_id\nx\ty\n", "stands 2 times"),
        (b"object_id\tsample_id\n\x00\x01\t\n", "zero bytes"),
        (b"sample_id\tb\n1\t2\n", "no column 'object_id'"),
    ):
        path = tmp_path / "ecotaxa_f.tsv"
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            read_ecotaxa([Source(path)])
