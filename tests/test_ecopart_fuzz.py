"""Damaged EcoPart files give right tables or one sentence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.errors import UserError
from aqqua_dist.readers.ecopart import read_ecopart, recognises
from aqqua_dist.readers.sources import find_sources

CASES = {
    "detailed": ("tsv_det_multi", "export_detailed_20210201_11_31_ZOO_uvpappsampleT1.tsv"), "summary": ("tsv_det_multi", "export_detailed_20210201_11_31_Export_metadata_summary.tsv"),
    "particles": ("tsv_reduit_multi", "export_reduced_20210201_09_41_PAR_uvpappsampleT1.tsv"), "reduced": ("tsv_reduit_multi", "export_reduced_20210201_09_41_ZOO_brusample01.tsv"),
    "raw": ("raw_multi", "20191121010000_uvpappsample01_PAR_raw_20210201_14_15.tsv"),
}
BESIDE = {"tsv_det_multi": ("export_detailed_20210201_11_31_Export_metadata_summary.tsv", "export_detailed_20210201_11_31_PAR_uvpappsampleT1.tsv"),
          "tsv_reduit_multi": ("export_reduced_20210201_09_41_Export_metadata_summary.tsv", "export_reduced_20210201_09_41_PAR_brusample01.tsv"),
          "raw_multi": ("export_raw_20210201_14_15_Export_metadata_summary.tsv",)}


def outcome(folder):
    try:
        return read_ecopart([source for source in find_sources([folder]) if recognises(source)] or find_sources([folder]))
    except UserError:
        return None


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_bytes_lost_changed_or_doubled(data_root, tmp_path_factory, case, data):
    group, name = CASES[case]
    origin, folder = data_root / "formats" / "ecopart" / group, tmp_path_factory.mktemp("fuzz")
    for other in BESIDE[group]:
        (folder / other).write_bytes((origin / other).read_bytes())
    content = bytearray((origin / name).read_bytes())
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
    (folder / name).write_bytes(content)
    got = outcome(folder)
    if got is not None:
        assert got.samples["volume"].dropna().gt(0).all()
        assert got.counts["n"].gt(0).all()
        assert got.counts["n"].eq(got.counts["n"].round()).all()


@pytest.mark.parametrize("case", CASES)
def test_each_column_lost(data_root, tmp_path, case):
    group, name = CASES[case]
    origin = data_root / "formats" / "ecopart" / group
    for other in BESIDE[group]:
        (tmp_path / other).write_bytes((origin / other).read_bytes())
    cells = [line.split("\t") for line in (origin / name).read_bytes().decode("latin-1").splitlines()]
    for place in range(0, len(cells[0]), max(1, len(cells[0]) // 12)):
        text = "\n".join("\t".join(row[:place] + row[place + 1 :]) for row in cells[:40]) + "\n"
        (tmp_path / name).write_bytes(text.encode("latin-1"))
        outcome(tmp_path)
