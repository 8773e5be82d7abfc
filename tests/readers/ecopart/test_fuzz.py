"""Damaged EcoPart files give right tables or one sentence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ecopart.export import read_ecopart, recognises
from aqqua_dist.readers.sources import find_sources

CASES = {
    "detailed": ("tsv_det_multi", "export_detailed_20210201_11_31_ZOO_uvpappsampleT1.tsv"),
    "summary": ("tsv_det_multi", "export_detailed_20210201_11_31_Export_metadata_summary.tsv"),
    "particles": ("tsv_reduit_multi", "export_reduced_20210201_09_41_PAR_uvpappsampleT1.tsv"),
    "reduced": ("tsv_reduit_multi", "export_reduced_20210201_09_41_ZOO_brusample01.tsv"),
    "raw": ("raw_multi", "20191121010000_uvpappsample01_PAR_raw_20210201_14_15.tsv"),
    "hours": ("raw_multi", "20191121040000_uvpappsampleT1_PAR_raw_20210201_14_15.tsv"),
    "objects": ("raw_multi", "20191121010000_uvpappsample01_ZOO_raw_20210201_14_15.tsv"),
    "conditions": ("raw_multi", "20191121020000_uvpappsample02_CTD_raw_20210201_14_15.tsv"),
    "spreadsheet": ("odv_reduit_multi", "export_reduced_20210201_11_24_ZOO_odv.txt"),
}
BESIDE = {
    "tsv_det_multi": (
        "export_detailed_20210201_11_31_Export_metadata_summary.tsv",
        "export_detailed_20210201_11_31_PAR_uvpappsampleT1.tsv",
    ),
    "tsv_reduit_multi": (
        "export_reduced_20210201_09_41_Export_metadata_summary.tsv",
        "export_reduced_20210201_09_41_PAR_brusample01.tsv",
    ),
    "raw_multi": (
        "export_raw_20210201_14_15_Export_metadata_summary.tsv",
        "20191121010000_uvpappsample01_PAR_raw_20210201_14_15.tsv",
    ),
    "odv_reduit_multi": (),
}
NUMBERS = {"detailed": 3, "particles": 3, "reduced": 3, "raw": 0, "spreadsheet": 11}
"""First column of numbers."""


def outcome(folder):
    try:
        return read_ecopart(
            [source for source in find_sources([folder]) if recognises(source)] or find_sources([folder])
        )
    except UserError as error:
        assert str(folder) in str(error)  # every fault says in which file
        return None


def prepared(data_root, folder, case):
    """Files beside the one of a case, copied; its path and its rows of cells."""
    group, name = CASES[case]
    origin, mark = data_root / "formats" / "ecopart" / group, ";" if name.endswith("_odv.txt") else "\t"
    for other in BESIDE[group]:
        (folder / other).write_bytes((origin / other).read_bytes())
    lines = (origin / name).read_bytes().decode("latin-1").splitlines()
    head = next(k for k, line in enumerate(lines) if not line.startswith("//"))
    return folder / name, lines[:head], [line.split(mark) for line in lines[head:]], mark


def write(path, above, cells, mark):
    path.write_bytes(("\n".join([*above, *(mark.join(row) for row in cells)]) + "\n").encode("latin-1"))


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_bytes_lost_changed_or_doubled(data_root, tmp_path_factory, case, data):
    folder = tmp_path_factory.mktemp("fuzz")
    path, *_ = prepared(data_root, folder, case)
    group, name = CASES[case]
    content = bytearray((data_root / "formats" / "ecopart" / group / name).read_bytes())
    start, length = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 300))
    kind = data.draw(st.sampled_from(["cut", "flip", "drop", "double"]))
    if kind == "cut":
        content = content[:start]
    elif kind == "flip":
        content[start] = data.draw(st.integers(0, 255))
    elif kind == "drop":
        del content[start : start + length]
    else:
        content[start:start] = content[start : start + length]
    path.write_bytes(content)
    got = outcome(folder)
    if got is not None:
        assert got.samples["volume"].dropna().gt(0).all()
        assert got.counts["n"].gt(0).all()
        assert got.counts["n"].eq(got.counts["n"].round()).all() or got.findings["check"].eq("count").any()


@pytest.mark.parametrize("case", CASES)
def test_each_column_lost(data_root, tmp_path, case):
    path, above, cells, mark = prepared(data_root, tmp_path, case)
    for place in range(0, len(cells[0]), max(1, len(cells[0]) // 8)):
        write(path, above, [row[:place] + row[place + 1 :] for row in cells[:40]], mark)
        outcome(tmp_path)


def refused(path, message):
    """A file is refused, or set aside where something else can be read."""
    try:
        got = read_ecopart([source for source in find_sources([path.parent]) if recognises(source)])
    except UserError as error:
        assert message in str(error)
        return
    aside = got.findings.loc[got.findings["check"] == "set aside", "message"]
    assert any(message in text for text in aside)


@pytest.mark.parametrize("case", NUMBERS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_word_among_numbers_is_named_with_its_row_and_column(data_root, tmp_path_factory, case, data):
    path, above, cells, mark = prepared(data_root, tmp_path_factory.mktemp("fuzz"), case)
    last = 4 if case == "raw" else len(cells[0])
    places = [k for k in range(NUMBERS[case], last) if not cells[0][k].startswith("extrames")]
    row, place = data.draw(st.integers(1, min(len(cells) - 1, 60))), data.draw(st.sampled_from(places))
    cells[row][place] = "word"
    write(path, above, cells, mark)
    name = cells[0][place].partition(":")[0]
    refused(path, f"{path}, row {len(above) + row + 1}, column {name!r}: 'word' is not a number")


@pytest.mark.parametrize("case", ["detailed", "particles", "reduced", "spreadsheet"])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_changed_concentration_is_no_whole_number(data_root, tmp_path_factory, case, data):
    """A part of an object too many or too few is refused where it stands."""
    path, above, cells, mark = prepared(data_root, tmp_path_factory.mktemp("fuzz"), case)
    held = [
        (row, place)
        for row in range(1, min(len(cells), 18))
        for place, name in enumerate(cells[0])
        if ("[# m-3]" in name or "[# l-1]" in name) and cells[row][place] not in ("", "0", "0.0")
    ]
    row, place = data.draw(st.sampled_from(held))
    n = float(cells[row][place]) * float(
        cells[row][[name.partition(":")[0] for name in cells[0]].index("Sampled volume [L]")]
    )
    n = n / 1000 if "[# m-3]" in cells[0][place] else n
    cells[row][place] = repr(float(cells[row][place]) * (1 + data.draw(st.sampled_from([-0.4, 0.1, 0.4])) / n))
    write(path, above, cells, mark)
    refused(path, f"{path}, row {len(above) + row + 1}, column")


@pytest.mark.parametrize("case", ["particles", "reduced", "summary", "raw", "detailed"])
def test_rows_that_stand_twice_change_no_total(data_root, tmp_path, case):
    path, above, cells, mark = prepared(data_root, tmp_path, case)
    write(path, above, cells, mark)
    before = outcome(tmp_path)
    write(path, above, [*cells[:2], *cells[1:]], mark)
    after = outcome(tmp_path)
    if after is not None and not after.findings["check"].eq("depth").any():
        assert after.samples["volume"].sum() == pytest.approx(before.samples["volume"].sum())
