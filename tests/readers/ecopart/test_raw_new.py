"""Raw exports of the new EcoPart: written here in its layout, with hand-computed bins."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ecopart.export import read_ecopart, recognises
from aqqua_dist.readers.ingest import ingest
from aqqua_dist.readers.sources import find_sources

PROJECTS = (
    "ecopart_project_id\tecopart_project_title\tproject_cruise_wmo\tproject_instrument_model_name\tproject_override_depth_offset\t"
    "project_enable_descent_filter\n1\tA project\tcruise\tUVP6LP\t\t{descent}\n2\tAnother\told\tUVP5HD\t1.0\t\n"
)
SAMPLES = (
    "ecopart_project_id\tecopart_sample_id\tsample_name\tsample_type\tsampling_utc_date_time\tsample_latitude\tsample_longitude\tinstrument_settings_aa\t"
    "instrument_settings_exp\tinstrument_settings_image_volume_l\tinstrument_settings_pixel_size_mm\tinstrument_settings_depth_offset_m\tfilename\t"
    "filter_first_image\tfilter_last_image\n"
    "1\t11\ts1\tDepth\t2024-06-01T10:00:00.000Z\t40.5\t-30.25\t0.002\t1.1\t0.5\t0.073\t\t20240601-100000\t\t\n"
    "2\t22\ts2\tDepth\t2010-06-01T10:00:00.000Z\t41.5\t-31.25\t0.003\t1.2\t1.0\t0.174\t\t20100601100000\t2\t999999\n"
)
UVP6 = (
    "HW_CONF,002,1;\n\nACQ_CONF,ACQ,2;\n"
    "20240601-100000,1.0,18.5,1:60,2,30,3;100,1,30,3;\n20240601-100001,4.9,18.5,1:60,1,30,3;\n20240601-100002,4.95,18.5,0:60,9,30,3;\n"
    "20240601-100003,3.0,18.5,1:60,1,30,3;\n20240601-100004,7.0,18.5,1:EMPTY_IMAGE;\n20240601-100005,7.5,18.5,1:OVER_EXPOSED;\n"
)
UVP5_DAT = "Image;Time;Sensor\n1;\t20100601100000_000;\t00005*0;\n2;\t20100601100001_000;\t00020*0;\n3;\t20100601100002_000;\t00060*0;\n4;\t20100601100003_000;\t00050*0;\n"
UVP5_BRU = "Image;No;Area;Grey\n1;0;50;20;1;1\n2;0;50;20;1;1\n2;1;80;20;1;1\n3;0;0;20;1;1\n4;0;50;20;1;1\n"


def archive(**files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as held:
        for name, text in files.items():
            held.writestr(name.replace("__", "."), text)
    return stream.getvalue()


def write(folder, descent="", uvp6=UVP6, samples=SAMPLES, bru=UVP5_BRU):
    path = folder / "ecopart_export_raw_7.zip"
    with zipfile.ZipFile(path, "w") as held:
        held.writestr("README.md", "# Raw export")
        held.writestr("metadata/projects.tsv", PROJECTS.format(descent=descent))
        held.writestr("metadata/samples.tsv", samples)
        held.writestr("lpm/1/s1/s1_Particule.zip", archive(particules__csv=uvp6, metadata__ini="[HW_CONF]"))
        held.writestr("lpm/2/s2/s2_work.zip", archive(s2_datfile__txt=UVP5_DAT, s2__bru=bru))
    return path


def read(path):
    return read_ecopart([source for source in find_sources([path]) if recognises(source)])


def esd(area, aa, exponent):
    return 2 * np.sqrt(aa * area**exponent / np.pi)


def test_both_instruments_by_hand(tmp_path):
    got = read(write(tmp_path))
    samples = got.samples.set_index("sample_id")
    assert samples["volume"].to_dict() == pytest.approx(
        {"s1_0-5": 1.5e-3, "s1_5-10": 0.5e-3, "s2_0-5": 1e-3, "s2_5-10": 1e-3}
    )
    assert samples.loc["s1_0-5", ["instrument", "cruise", "lat", "lon", "n_images"]].tolist() == [
        "UVP6",
        "cruise",
        40.5,
        -30.25,
        3,
    ]
    assert samples.loc["s2_0-5", ["instrument", "cruise"]].tolist() == ["UVP5", "old"]
    assert samples.loc["s1_0-5", "time"] == pd.Timestamp("2024-06-01 10:00", tz="UTC")
    particles = got.extra["particles"].groupby("sample_id")[["n", "biovolume"]].sum()
    assert particles["n"].to_dict() == {
        "s1_0-5": 5,
        "s2_0-5": 2,
    }  # no flash, first image, empty area and upward images left out
    expected = sum(n * np.pi / 6 * esd(area, 0.002, 1.1) ** 3 for area, n in ((60, 4), (100, 1)))
    assert particles.loc["s1_0-5", "biovolume"] == pytest.approx(expected)
    assert not got.extra["searched"]["searched"].any()


def test_empty_images_were_taken_and_black_or_overexposed_ones_were_not(tmp_path):
    assert read(write(tmp_path)).samples.set_index("sample_id").loc["s1_5-10", "n_images"] == 1


def test_the_descent_filter_of_the_project(tmp_path):
    """UVP5 casts are filtered unless the project says no, UVP6 casts if it says yes."""
    got = read(write(tmp_path, descent="true")).samples.set_index("sample_id")
    assert got.loc["s1_0-5", "n_images"] == 2
    without = read(write(tmp_path, descent="N")).samples.set_index("sample_id")
    assert without.loc["s1_0-5", "n_images"] == 3


def test_an_unpacked_export_is_the_same(tmp_path):
    whole = read(write(tmp_path))
    with zipfile.ZipFile(tmp_path / "ecopart_export_raw_7.zip") as held:
        held.extractall(tmp_path / "unpacked")
    unpacked = read(tmp_path / "unpacked")
    pd.testing.assert_frame_equal(whole.samples.drop(columns="source"), unpacked.samples.drop(columns="source"))
    pd.testing.assert_frame_equal(whole.extra["particles"], unpacked.extra["particles"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"uvp6": UVP6.replace("1.0,18.5,1:60,2", "1.0,18.5,1:60,two")},
            "particules.csv, row 4: .* is no image of a UVP6",
        ),
        ({"uvp6": UVP6.replace("20240601-100001,4.9", "20240601-100001,deep")}, "row 5"),
        ({"bru": UVP5_BRU.replace("2;1;80", "2;1;eighty")}, "bru, row 4"),
        ({"samples": SAMPLES.replace("\t0.002\t", "\t\t")}, "aa of cast 's1' is nan"),
        ({"samples": SAMPLES.replace("40.5\t", "140.5\t")}, "outside the globe"),
        ({"samples": SAMPLES.replace("2024-06-01T", "June ")}, "cast 's1' is no time"),
        ({"samples": SAMPLES.replace("0.073", "small")}, "'small' is not a number"),
    ],
)
def test_damaged_exports_are_named(tmp_path, change, message):
    try:
        got = read(write(tmp_path, **change))
    except UserError as error:
        assert "small" in str(error)  # the table of all casts
        return
    aside = got.findings[got.findings["check"] == "set aside"]
    assert aside["message"].str.contains(message).tolist() == [True]
    assert set(got.samples["profile"]) == ({"s1"} if "bru" in change else {"s2"})


def test_broken_archives(tmp_path):
    path = write(tmp_path)
    with zipfile.ZipFile(tmp_path / "broken.zip", "w") as held, zipfile.ZipFile(path) as origin:
        for name in origin.namelist():
            content = origin.read(name)
            held.writestr(name, content[:40] if name.endswith("_Particule.zip") else content)
    broken = read(tmp_path / "broken.zip")
    told = broken.findings.loc[broken.findings["check"] == "set aside", "message"]
    assert told.str.contains("s1_Particule.zip: the .* cannot be read").tolist() == [True]
    assert set(broken.samples["profile"]) == {"s2"}
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as held:
        held.writestr("metadata/samples.tsv", SAMPLES)
        held.writestr("metadata/projects.tsv", PROJECTS)
    got = read(tmp_path / "none.zip")
    assert got.samples.empty
    assert got.findings["check"].tolist() == ["volume", "volume"]


def chosen(first, last, row=1):
    """The table of samples with other bounds of the operator."""
    lines = SAMPLES.splitlines()
    cells = lines[row].split("\t")
    lines[row] = "\t".join([*cells[:-2], first, last])
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("first", "last", "images"),
    [
        ("", "", 4),
        ("20240601-100001", "", 3),
        ("20240601-100000", "20240601-100003", 3),
        ("", "20240601-100001", 2),
        ("1", "3", 2),
        ("1000", "1002", 2),
        ("0", "99999999999", 4),
        ("20300101-000000", "", 4),
    ],
)
def test_images_of_a_uvp6_between_the_bounds_of_the_operator(tmp_path, first, last, images):
    """A moment is an image, a number a rank in a file that begins with the first image; flashless and overexposed images count in the rank."""
    got = read(write(tmp_path, samples=chosen(first, last)))
    assert got.samples.loc[got.samples["profile"] == "s1", "n_images"].sum() == images


@pytest.mark.parametrize("bounds", [("2", "3"), ("2.0", "3.0")])
def test_images_of_a_uvp5_between_the_bounds_of_the_operator(tmp_path, bounds):
    got = read(write(tmp_path, samples=chosen(*bounds, row=2)))
    assert got.samples.loc[got.samples["profile"] == "s2", "n_images"].sum() == 2


def test_files_of_a_uvp5_without_a_header_lose_no_line(tmp_path):
    """Its first line is then an image, and the first particle a particle."""
    whole = read(write(tmp_path, samples=chosen("1", "", row=2)))
    path = tmp_path / "ecopart_export_raw_7.zip"
    with zipfile.ZipFile(path, "a") as held:
        name = "lpm/2/s2/s2_work.zip"
        kept = {n: held.read(n) for n in held.namelist() if n != name}
    with zipfile.ZipFile(path, "w") as held:
        for member, content in kept.items():
            held.writestr(member, content)
        files = {"s2_datfile__txt": UVP5_DAT, "s2__bru": UVP5_BRU}
        held.writestr(name, archive(**{n: text.partition("\n")[2] for n, text in files.items()}))
    bare = read(path)
    pd.testing.assert_frame_equal(whole.samples.drop(columns="source"), bare.samples.drop(columns="source"))
    pd.testing.assert_frame_equal(whole.extra["particles"], bare.extra["particles"])
    assert bare.samples.loc[bare.samples["profile"] == "s2", "n_images"].sum() == 3  # 1, 2 and 3; the fourth goes up


def test_a_cast_over_time_has_a_sample_per_hour(tmp_path):
    lines = "".join(
        f"2024060{day}-{hour:02d}{minute:02d}00,{depth},18.5,1:60,{n},30,3;\n"
        for day, hour, minute, depth, n in (
            (1, 10, 50, 100.0, 2),
            (1, 10, 59, 104.0, 1),
            (1, 12, 5, 90.0, 5),
            (2, 0, 0, 95.0, 1),
        )
    )
    got = read(write(tmp_path, uvp6=lines, samples=SAMPLES.replace("s1\tDepth", "s1\tTime")))
    mine = got.samples[got.samples["profile"] == "s1"]
    assert mine["n_images"].tolist() == [2, 1, 1]
    assert mine["volume"].tolist() == pytest.approx([1e-3, 0.5e-3, 0.5e-3])
    assert mine["time"].dt.strftime("%d %H:%M").tolist() == ["01 10:30", "01 12:30", "02 00:30"]
    assert mine["depth_top"].tolist() == [102.0, 90.0, 95.0]
    n = got.extra["particles"].groupby("sample_id")["n"].sum().reindex(mine["sample_id"]).tolist()
    assert n == [3, 5, 1]
    assert "taken over time" in got.findings["message"].iloc[0]


@pytest.mark.parametrize("inside", [True, False])
def test_the_ecotaxa_export_inside_is_read_as_objects(tmp_path, inside):
    """An archive in the archive, or the table itself: one object of each cast."""
    head = "object_id\tobject_lat\tobject_lon\tobject_date\tobject_time\tobject_depth_min\tobject_depth_max\tobject_annotation_status\tobject_annotation_category\tsample_id\tacq_id\tacq_instrument"
    rows = [f"o{k}\t40.5\t-30.25\t20240601\t100000\t2\t2\tvalidated\tCopepoda\ts{k}\ta{k}\tuvp6" for k in (1, 2)]
    text = "\n".join([head, *rows]) + "\n"
    path = write(tmp_path)
    with zipfile.ZipFile(path, "a") as held:
        if inside:
            held.writestr("ecotaxa/1/export_1.zip", archive(ecotaxa_export__tsv=text))
        else:
            held.writestr("ecotaxa/1/ecotaxa_export.tsv", text)
    done = ingest([path], tmp_path / "out", progress=False)
    assert done.n_objects == 2
    objects = files.read_parquet(tmp_path / "out" / "objects.parquet")
    assert objects["label"].tolist() == ["Copepoda", "Copepoda"]
    assert not done.set_aside
    assert {"s1", "s2"} <= set(done.tables.samples["profile"].dropna()) | set(done.tables.samples["sample_id"])


def test_a_real_export_inside_an_archive(data_root, tmp_path):
    """The ids of the importer's own example, by splitting its lines."""
    path = data_root / "formats/ecotaxa/ecotaxa_back_QA/UVP6_example.zip"
    with zipfile.ZipFile(path) as outer, zipfile.ZipFile(io.BytesIO(outer.read(outer.namelist()[0]))) as inner:
        name = next(name for name in inner.namelist() if name.endswith(".tsv"))
        lines = inner.read(name).decode("latin-1").splitlines()
    identity = lines[0].split("\t").index("object_id")
    ids = {line.split("\t")[identity] for line in lines[1:] if not line.startswith("[")}
    ingest([path], tmp_path / "out", progress=False)
    assert set(files.read_parquet(tmp_path / "out" / "objects.parquet")["object_id"]) == ids
