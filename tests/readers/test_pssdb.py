"""PSSdb's mapping sheets: the seven real ones, and the volumes that their rows tell."""

import numpy as np
import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.cli import main
from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import SAMPLES, Ingested, typed
from aqqua_dist.effort.formulas import evaluate
from aqqua_dist.effort.volumes import with_project
from aqqua_dist.readers.pssdb import Project, project_of, read_standardizer

SHEETS = {"FlowCam": 2, "IFCB": 75, "Other": 35, "PlanktoScope": 3, "UVP": 84, "ZooCam": 1, "Zooscan": 90}


@pytest.mark.parametrize("name", SHEETS)
def test_every_row_of_every_sheet_is_read_or_named(data_root, name):
    path = data_root / "formats" / "pssdb" / f"project_{name}_standardizer.xlsx"
    projects, found = read_standardizer(path)
    rows = [
        row
        for sheet in openpyxl.load_workbook(path, read_only=True).worksheets
        if sheet.title != "Metadata"
        for row in sheet.iter_rows(min_row=2, values_only=True)
        if row[0] is not None
    ]
    same = (
        0 if name != "UVP" else len(rows) - len(projects) - len(found)
    )  # rows that two worksheets repeat word by word
    assert len(projects) + len(found) + same == len(rows)
    assert 0 <= same < len(rows) / 4
    assert len(projects) >= SHEETS[name] - 1
    for row in found:
        assert row["row"] > 1
    for project in projects.values():
        assert {"Sample", "Latitude", "Longitude"} <= set(project.fields)


def test_worksheets_of_two_sites_number_their_projects_each_for_itself(data_root):
    """By openpyxl alone: which numbers the two worksheets of UVP share."""
    path = data_root / "formats" / "pssdb" / "project_UVP_standardizer.xlsx"
    book = openpyxl.load_workbook(path, read_only=True)
    taxa, particles = (
        {str(row[0]) for row in book[title].iter_rows(min_row=2, values_only=True) if row[0] is not None}
        for title in ("ecotaxa", "ecopart")
    )
    projects, _ = read_standardizer(path)
    worksheets = {project.worksheet for project in projects.values()}
    assert {"ecotaxa", "ecopart"} <= worksheets
    shared = next(iter(sorted(number for number in taxa & particles if f"ecopart:{number}" in projects)))
    with pytest.raises(UserError, match=f"project '{shared}' stands in . worksheets that differ; .*ecopart:{shared}"):
        project_of(path, shared)
    assert project_of(path, f"ecopart:{shared}").worksheet == "ecopart"
    only = next(number for number in sorted(particles - taxa) if number in projects)
    assert project_of(path, only).worksheet == project_of(path, f"ecopart:{only}").worksheet == "ecopart"


def ingested(**columns):
    table = pd.DataFrame({"sample_id": ["s1"], "acquisition_id": ["a"]} | columns)
    return Ingested(
        typed(pd.DataFrame({"sample_id": table["sample_id"].unique()}), SAMPLES), extra={"acquisitions": table}
    )


def test_volumes_of_real_rows(data_root):
    folder = data_root / "formats" / "pssdb"
    nets = project_of(folder / "project_Zooscan_standardizer.xlsx", 14)
    got = with_project(
        ingested(
            sample_id=["s1", "s1", "s2"],
            acquisition_id=["d1", "d2", "d1"],
            sample_tot_vol=["120", "120", "999999"],
            acq_sub_part=["1", "8", "2"],
        ),
        nets,
    )
    assert got.samples["volume"].tolist() == [
        120.0,
        pytest.approx(np.nan, nan_ok=True),
    ]  # 999999 stands for none in this project
    assert got.extra["acquisitions"]["weight"].iloc[:2].tolist() == [1.0, 8.0]
    assert got.findings["message"].iloc[0].startswith("1 samples, first 's2', have no volume")
    flowcam = next(iter(read_standardizer(folder / "project_FlowCam_standardizer.xlsx")[0].values()))
    columns = {
        "acq_fluid_volume_imaged": ["0.18_ml"],
        "sample_volconc": ["50"],
        "sample_comment_or_volume": ["1000"],
        "acq_raw_image_total": ["200"],
        "process_nb_images": ["100"],
    }
    assert with_project(ingested(**columns), flowcam).samples["volume"].tolist() == pytest.approx(
        [0.18e-6 / (50 / 1000 * 100 / 200)]
    )
    camera = next(iter(read_standardizer(folder / "project_ZooCam_standardizer.xlsx")[0].values()))
    assert with_project(ingested(sample_fishingvolume=["20"], sample_sub_part=["4"]), camera).samples[
        "volume"
    ].tolist() == [5.0]


@pytest.mark.parametrize("cell", ["999999", "999999.0", "99999", "9999.00", "", "nan", "0"])
def test_numbers_that_stand_for_none_are_no_volume(data_root, cell):
    nets = project_of(data_root / "formats" / "pssdb" / "project_Zooscan_standardizer.xlsx", 14)
    got = with_project(ingested(sample_tot_vol=[cell], acq_sub_part=["2"]), nets)
    assert got.samples[["volume", "effort_rule"]].isna().all().all()
    half = with_project(ingested(sample_tot_vol=["80"], acq_sub_part=["0.5"]), nets)
    assert half.samples["volume"].isna().all()  # a half is written 2


def test_an_export_by_its_row_through_the_command_line(data_root, tmp_path):
    sheet = data_root / "formats" / "pssdb" / "project_Zooscan_standardizer.xlsx"
    export = data_root / "formats" / "ecotaxa" / "ecotaxar_zooscan_tara_export.tsv"
    done = CliRunner().invoke(
        main, ["ingest", str(export), "-o", str(tmp_path), "--mapping", str(sheet), "--project", "14", "--quiet"]
    )
    assert done.exit_code == 0, done.output
    samples = files.read_parquet(tmp_path / "samples.parquet")
    assert set(samples["effort_rule"]) == {"PSSdb Zooscan 14"}
    CliRunner().invoke(main, ["ingest", str(export), "-o", str(tmp_path / "own"), "--quiet"])
    np.testing.assert_allclose(samples["volume"], files.read_parquet(tmp_path / "own" / "samples.parquet")["volume"])
    none = CliRunner().invoke(
        main, ["ingest", str(export), "-o", str(tmp_path), "--mapping", str(sheet), "--project", "1", "--quiet"]
    )
    assert (none.exit_code, "project '1' cannot be used" in none.output) == (2, True)


def project(**fields):
    return Project("1", "X", fields, {"Volume_analyzed": "liter"}, {}, place="sheet, row 2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os')", "allowed are columns"),
        ("a.shape", "allowed are columns"),
        ("a[0]", "allowed are columns"),
        ("a b", "neither a column nor a formula"),
        ("missing", "column 'missing' is not in the export"),
        ("(lambda: 1)()", "allowed are columns"),
    ],
)
def test_formulas_hold_arithmetic_only(text, message):
    with pytest.raises(UserError, match=message):
        evaluate(text, pd.DataFrame({"a": ["1"]}), "sheet, row 2")


@settings(max_examples=60, deadline=None)
@given(a=st.floats(0.01, 1e6), b=st.floats(0.01, 1e6))
def test_formulas_are_arithmetic(a, b):
    table = pd.DataFrame({"a": [repr(a)], "b": [repr(b)], "c": [""]})
    assert evaluate("(a/b)*(a*(b>=a)+b*(b<a))/a", table, "x")[0] == pytest.approx(a / b * min(a, b) / a)
    assert evaluate("a*(c.isna()) - -b", table, "x")[0] == pytest.approx(a + b)


def test_a_project_without_a_volume_says_so():
    with pytest.raises(UserError, match="names no column of the sampled volume"):
        with_project(ingested(), Project("3", "UVP", {}, {}, {}, place="sheet, row 2"))
    with pytest.raises(UserError, match="column 'v' is not in the export"):
        with_project(ingested(), project(Volume_analyzed="v"))


def test_files_that_are_no_sheet(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"no workbook")
    with pytest.raises(UserError, match="a.xlsx: the mapping sheet cannot be read"):
        read_standardizer(tmp_path / "a.xlsx")
    book = openpyxl.Workbook()
    book.active.append(["x", "y"])
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(UserError, match="column 'Project_ID' is missing"):
        read_standardizer(tmp_path / "b.xlsx")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_damaged_sheets_give_one_sentence(data_root, tmp_path_factory, data):
    content = bytearray((data_root / "formats" / "pssdb" / "project_ZooCam_standardizer.xlsx").read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    content = (
        content[:start]
        if data.draw(st.booleans())
        else content[:start] + bytes([data.draw(st.integers(0, 255))]) + content[start + 1 :]
    )
    path = tmp_path_factory.mktemp("fuzz") / "sheet.xlsx"
    path.write_bytes(content)
    try:
        assert len(read_standardizer(path)[0]) <= 1
    except UserError as error:
        assert "sheet.xlsx" in str(error)


@pytest.mark.parametrize(
    ("instrument", "volume"),
    [("PlanktoScope", 0.04), ("FlowCam", 0.04), ("IFCB", 0.04), ("ZooCam", 0.02), ("Scanner", 0.02), ("Zooscan", 0.02)],
)
def test_acquisitions_pool_add_or_repeat_as_the_instrument_demands(instrument, volume):
    """Two acquisitions of 20 L each, 10 objects in each: 500 m-3 pooled, 1000 where they are fractions or repeat one volume."""
    row = Project("1", instrument, {"Volume_analyzed": "v"}, {"Volume_analyzed": "liter"}, {}, place="sheet, row 2")
    got = with_project(ingested(sample_id=["s1", "s1"], acquisition_id=["d1", "d2"], v=["20", "20"]), row)
    assert got.samples["volume"].item() == pytest.approx(volume)
    assert got.extra["acquisitions"]["weight"].tolist() == [1.0, 1.0]
    assert 20 / got.samples["volume"].item() == pytest.approx(500 if volume == 0.04 else 1000)


def test_what_nobody_knows_of_an_instrument_is_refused():
    twice = ingested(sample_id=["s1", "s1"], acquisition_id=["a", "b"], v=["20", "20"])
    with pytest.raises(UserError, match="nobody knows whether those of 'X' add or repeat"):
        with_project(twice, project(Volume_analyzed="v"))
    assert with_project(ingested(v=["20"]), project(Volume_analyzed="v")).samples["volume"].tolist() == [0.02]


def test_the_same_water_twice_has_no_volume():
    nets = Project(
        "1", "Zooscan", {"Volume_analyzed": "v"}, {"Volume_analyzed": "cubic_meter"}, {}, place="sheet, row 2"
    )
    got = with_project(ingested(sample_id=["s1", "s1"], acquisition_id=["tot", "d1"], v=["20", "20"]), nets)
    assert got.samples["volume"].isna().all()
    assert got.findings["message"].str.contains("the whole net ('tot') stands beside d1", regex=False).any()
    litres = with_project(ingested(v=["203500"]), nets)
    assert litres.samples["flags"].tolist() == ["tot_vol unusual"]
