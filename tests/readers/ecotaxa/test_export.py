"""EcoTaxa files: real exports of several servers, and what their exporter gets wrong."""

import csv
import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.effort import volumes
from aqqua_dist.organisms import sizes
from aqqua_dist.readers.ecotaxa.export import read_ecotaxa, recognises, stream_ecotaxa
from aqqua_dist.readers.sources import Source, find_sources

HEADER = [
    "object_id",
    "object_lat",
    "object_lon",
    "object_date",
    "object_time",
    "object_depth_min",
    "object_depth_max",
    "object_annotation_status",
    "object_annotation_category",
    "object_area",
    "sample_id",
    "sample_tot_vol",
    "acq_id",
    "acq_instrument",
    "acq_sub_part",
    "process_particle_pixel_size_mm",
]
ROW = dict(
    zip(
        HEADER,
        [
            "o1",
            "43.5",
            "7.25",
            "20190601",
            "061500",
            "0",
            "200",
            "validated",
            "Copepoda",
            "400",
            "s1",
            "120.5",
            "d1_s1",
            "zooscan",
            "4",
            "0.0106",
        ],
        strict=True,
    )
)


def table(*rows, header=HEADER, end="\n"):
    return "".join(
        "\t".join(cells) + end for cells in (header, *([{**ROW, **row}[name] for name in header] for row in rows))
    )


def read(tmp_path, text, name="ecotaxa_x.tsv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return read_ecotaxa([Source(path)])


def ref(data_root, *parts):
    return data_root.joinpath("formats", "ecotaxa", "ecotaxa_back_QA", *parts)


def test_the_same_project_in_four_layouts_gives_the_same_tables(data_root):
    """General, with internal ids and decimal commas, backup with a type row, DOI with one row per image."""
    name = "ecotaxa_m106_mn01_n1_sml.tsv"
    paths = [
        ref(data_root, "ref_exports", "tsv_all_entities_no_img_no_ids", name),
        ref(data_root, "ref_exports", "tsv_with_ids", name),
        ref(data_root, "ref_exports", "bak_no_image", "m106_mn01_n1_sml", name),
        ref(data_root, "ref_exports", "doi", "ecotaxa_export_1_20210530_1122.tsv"),
    ]
    tables = [read_ecotaxa([Source(path)]) for path in paths]
    first = tables[0].objects.drop(columns="score")
    assert first["area"].tolist() == [516, 1401, 733, 1583, 1511]
    assert first["label"].tolist() == ["t001", "Oncaeidae", "Cyclopoida", "other<Biota", "Oncaeidae"]
    assert first["esd"].iloc[0] == pytest.approx(2 * np.sqrt(516 / np.pi) * 10.6)
    for other in tables[1:]:
        same = (
            other.objects[other.objects["sample_id"] == "m106_mn01_n1_sml"].drop(columns="score").reset_index(drop=True)
        )
        pd.testing.assert_frame_equal(same, first)
        assert other.samples.iloc[0][["lat", "depth_top", "depth_bottom"]].tolist() == [18.0, 600.0, 1000.0]
        assert other.samples["lon"].iloc[0] == pytest.approx(-24 - 25 / 60, abs=1e-12)
    assert tables[1].findings["check"].tolist() == ["decimal comma"] * 7
    doi = tables[3]
    assert len(doi.objects) == 11  # 12 rows, one object with two images
    assert doi.extra["tally"]["n"].sum() == 11
    assert doi.findings["message"].tolist() == [
        "1 rows were further images of an object and were left out; each object counts once."
    ]


def test_server_reference_files_are_reproduced_where_they_are_right(data_root, tmp_path):
    """Concentration n sub_part / tot_vol; biovolume of a sphere, which the server labels mm3 though its pixel is in µm (1e9)."""
    rows = list(
        csv.reader(
            io.StringIO(
                ref(data_root, "ref_exports", "doi", "ecotaxa_export_1_20210530_1122.tsv").read_text("utf-8-sig")
            ),
            delimiter="\t",
        )
    )
    places = {name: rows[0].index(name) for name in ("sample_tot_vol", "acq_sub_part", "acq_instrument", "acq_id")}
    for row in rows[1:]:
        for name, value in {"sample_tot_vol": "100", "acq_sub_part": "2", "acq_instrument": "zooscan"}.items():
            row[places[name]] = value
    got = volumes.with_volumes(read(tmp_path, "".join("\t".join(row) + "\n" for row in rows)))
    volume = got.samples.set_index("sample_id")["volume"]
    assert volume.tolist() == [50.0] * 3  # m3 examined: 100 m3, half of it scanned
    objects = got.objects.assign(biovolume=sizes.sphere(got.objects["esd"]))
    found = objects.groupby(["sample_id", "label"]).agg(n=("object_id", "size"), biovolume=("biovolume", "sum"))
    parts = {
        name: pd.read_csv(ref(data_root, "ref_exports", f"{name}s_by_sample", "ref.tsv"), sep="\t")
        for name in ("concentration", "biovolume")
    }
    checked = 0
    for name, table_ in parts.items():
        scale = 1 if name == "concentration" else 1e9
        server = (
            table_[table_[name] > 0].groupby(["sampleid", "taxonid"])[name].sum()
        )  # P and V are parts of the same objects here
        for (sample, taxon), value in server.items():
            if sample == "m106_mn01_n4_sml":
                continue  # not in this export
            if taxon in ("small<egg", "detritus", "egg<other"):
                continue  # moved between categories by later steps of that test
            ours = found.loc[sample, taxon]["n" if name == "concentration" else "biovolume"] / volume[sample]
            assert ours * scale == pytest.approx(value, rel=1e-9), (name, sample, taxon)
            checked += 1
    assert checked == 8


def test_statuses_are_kept_apart(data_root):
    got = read_ecotaxa(
        [Source(ref(data_root, "import_various_states", "import_vs_sample1", "ecotaxa_various_sample_1.tsv"))]
    )
    assert got.objects["status"].tolist() == ["predicted", "validated", "validated", "predicted", "dubious"]
    oncaeidae = got.extra["tally"].query("label == 'Oncaeidae'")
    assert dict(zip(oncaeidae["status"], oncaeidae["n"], strict=True)) == {
        "dubious": 1,
        "validated": 1,
    }  # the server's sum adds them


@pytest.mark.parametrize(
    ("word", "status"),
    [("V", "validated"), ("P", "predicted"), ("D", "dubious"), ("", "unclassified"), ("Predicted", "predicted")],
)
def test_words_of_the_status(tmp_path, word, status):
    assert read(tmp_path, table({"object_annotation_status": word})).objects["status"].tolist() == [status]


def test_two_rows_per_object_of_a_real_file(data_root):
    got = read_ecotaxa([Source(data_root / "formats/ecotaxa/ecotaxar_zooscan_tara_import.tsv")])
    assert (len(got.objects), got.objects["object_id"].is_unique) == (49, True)


def test_one_object_with_two_labels_is_refused(tmp_path):
    with pytest.raises(UserError, match="stands twice in its sample with different labels"):
        read(tmp_path, table({}, {"object_annotation_category": "detritus"}))


def test_objects_of_one_name_in_two_samples_are_two(tmp_path):
    got = read(tmp_path, table({}, {"sample_id": "s2", "acq_id": "d1_s2"}, {"acq_id": "d2_s1"}))
    assert len(got.objects) == 3
    assert got.samples["sample_id"].tolist() == ["s1", "s2"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings(tmp_path, encoding, end):
    header = [*HEADER[:-1], "process_particle_pixel_size_µm"]
    text = table({"sample_id": "côte", "process_particle_pixel_size_µm": "0.0106"}, header=header, end=end)
    got = read(tmp_path, text, encoding=encoding)
    assert got.samples["sample_id"].tolist() == ["côte"]
    assert got.objects["pixel"].tolist() == [10.6]
    assert "the column's name says µm and its value is in mm" in got.findings["message"].iloc[0]


def test_members_of_archives_and_packed_files(tmp_path):
    text = table(*({"object_id": f"o{k}"} for k in range(5)))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("task_1/ecotaxa_export.tsv", text)
    (tmp_path / "ecotaxa_y.tsv.gz").write_bytes(gzip.compress(text.replace("s1", "s2").encode()))
    sources = find_sources([tmp_path / "export.zip", tmp_path / "ecotaxa_y.tsv.gz"])
    assert all(map(recognises, sources))
    got = read_ecotaxa(sources)
    assert got.objects.groupby("sample_id").size().to_dict() == {"s1": 5, "s2": 5}


def test_an_export_split_into_files_is_one_sample_and_a_homonym_is_another(tmp_path):
    (tmp_path / "ecotaxa_a.tsv").write_text(table({}))
    (tmp_path / "ecotaxa_b.tsv").write_text(table({"object_id": "o2"}))
    (tmp_path / "ecotaxa_c.tsv").write_text(table({"object_id": "o3", "sample_tot_vol": "300"}))
    got = read_ecotaxa(find_sources([tmp_path]))
    assert got.objects["sample_id"].tolist() == ["s1", "s1", "s1 (ecotaxa_c)"]
    assert got.findings["check"].tolist() == ["homonym"]
    assert volumes.with_volumes(got).samples["volume"].tolist() == [120.5 / 4, 300 / 4]


def test_internal_ids_tell_homonyms_of_one_file_apart(tmp_path):
    header = [*HEADER, "sample_id_internal"]
    got = read(
        tmp_path, table({"sample_id_internal": "7"}, {"sample_id_internal": "9", "object_lat": "50"}, header=header)
    )
    assert got.samples[["sample_id", "lat"]].to_numpy().tolist() == [["s1", 43.5], ["s1 (9)", 50.0]]


def test_metadata_that_contradict_themselves_give_no_volume(tmp_path):
    got = volumes.with_volumes(read(tmp_path, table({}, {"object_id": "o2", "acq_sub_part": "8"})))
    assert got.samples["volume"].isna().all()
    assert got.findings["check"].tolist() == ["metadata", "volume"]
    assert "has 2 values of acq_sub_part, first '4' and '8'; none was taken" in got.findings["message"].iloc[0]


@pytest.mark.parametrize(
    ("clock", "time"),
    [
        ("061500", "06:15:00"),
        ("61500", "06:15:00"),
        ("0615", "06:15:00"),
        ("615", "06:15:00"),
        ("06:15:00", "06:15:00"),
        ("6:15", "06:15:00"),
        ("06:15:00.250", "06:15:00"),
        ("061500.315", "06:15:00"),
        ("06150099", "06:15:00"),
        ("", "00:00:00"),
    ],
)
def test_times(tmp_path, clock, time):
    for date in ("20190601", "2019-06-01", "20190601.0"):
        got = read(tmp_path, table({"object_time": clock, "object_date": date}))
        assert got.samples["time"].iloc[0] == pd.Timestamp(f"2019-06-01 {time}", tz="UTC")


def test_positions_in_degrees_and_minutes_of_a_real_file(data_root):
    got = read_ecotaxa([Source(data_root / "formats/ecotaxa/uvp6_uvpapp_b_da_19.tsv")])
    assert got.samples[["lat", "lon", "instrument"]].to_numpy().tolist() == [[43.0, 17.0, "UVP6"]]
    assert got.objects["depth"].iloc[0] == 194.63
    assert set(got.objects["pixel"]) == {73.0}
    assert volumes.with_volumes(got).samples["volume"].isna().all()  # without EcoPart nobody knows the number of images


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ({"object_lon": "352.75"}, {"lon": -7.25}),
        ({"object_lon": "-180"}, {"lon": -180.0}),
        ({"object_lon": "180"}, {"lon": -180.0}),
        ({"object_lat": "-43,5"}, {"lat": -43.5}),
        ({"object_lat": "9999"}, {"lat": np.nan}),
        ({"object_lat": "5°30 36 S"}, {"lat": -5.51}),
        ({"object_depth_min": "300", "object_depth_max": "100"}, {"depth_top": 100.0, "depth_bottom": 300.0}),
        ({"object_depth_min": "-0.4"}, {"depth_top": 0.0}),
        ({"object_depth_max": "99999"}, {"depth_bottom": 0.0}),
    ],
)
def test_repairs_are_recorded(tmp_path, cells, values):
    got = read(tmp_path, table(cells))
    for name, value in values.items():
        assert got.samples[name].iloc[0] == pytest.approx(value, abs=1e-12, nan_ok=True)
    assert len(got.findings) == (cells != {"object_lon": "-180"})


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"object_lat": "north"}, "row 2, column 'object_lat': 'north' is not a number"),
        ({"object_lat": "91"}, r"column 'object_lat': 91 is outside \[-90, 90\]"),
        ({"object_area": "12px"}, "column 'object_area': '12px' is not a number"),
        ({"object_area": "-3"}, "'-3' is below 0"),
        ({"object_date": "20191301"}, "'20191301' is not a date"),
        ({"object_time": "256000"}, "'256000' is not a time"),
        ({"object_annotation_status": "predit"}, "status 'predit' is unknown"),
        ({"object_id": "nan"}, "'nan' is no id"),
        ({"object_depth_min": "-40"}, "-40 m is above the surface"),
        ({"object_lat": "5°70 0"}, "is not a number"),
        ({"object_area": "1_000"}, "is not a number"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path, cells, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, table(cells))


def test_rows_of_another_length_are_refused(tmp_path):
    text = table({}, {"object_id": "o2"}, {"object_id": "o3"})
    lines = text.splitlines(keepends=True)
    for bad in (lines[2][:60] + "\n", lines[2].rstrip("\n") + "\textra\n"):
        with pytest.raises(UserError, match="row 3: the row has"):
            read(tmp_path, "".join([*lines[:2], bad, *lines[3:]]))


def test_quotation_marks_and_blank_lines(tmp_path):
    header = [*HEADER, "sample_comment"]
    text = table({"sample_comment": '5" net'}, {"object_id": "o2", "sample_comment": '5" net'}, header=header) + "\n\n"
    assert len(read(tmp_path, text).objects) == 2
    text = table({"sample_comment": '"tab\there, line\nthere and ""quoted"""'}, header=header)
    got = read(tmp_path, text)
    assert got.extra["acquisitions"]["sample_comment"].tolist() == ['tab\there, line\nthere and "quoted"']


def test_batches_do_not_change_the_tables(tmp_path, monkeypatch):
    rows = [
        {
            "object_id": f"o{k}",
            "sample_id": f"s{k // 7}",
            "acq_id": f"d{k % 2}",
            "object_area": str(k),
            "object_depth_max": str(100 + k),
            "object_annotation_category": "ab"[k % 2],
        }
        for k in range(50)
    ]
    whole = read(tmp_path, table(*rows))
    monkeypatch.setattr("aqqua_dist.readers.ecotaxa.rows.BATCH_ROWS", 6)
    pieces = read(tmp_path, table(*rows))
    for name in ("samples", "objects", "findings"):
        pd.testing.assert_frame_equal(getattr(whole, name), getattr(pieces, name))
    pd.testing.assert_frame_equal(whole.extra["tally"], pieces.extra["tally"])
    seen = []
    stream_ecotaxa([Source(tmp_path / "ecotaxa_x.tsv")], lambda batch: seen.append(len(batch)))
    assert sum(seen) == 50
    assert max(seen) <= 6


def test_a_sample_across_the_dateline_lies_between_its_objects(tmp_path):
    got = read(tmp_path, table({"object_lon": "179.9"}, {"object_id": "o2", "object_lon": "-179.7"}))
    assert got.samples["lon"].iloc[0] == pytest.approx(-179.9)


def test_the_tally_holds_the_volume_of_spheres_without_repeated_images(tmp_path):
    header = [*HEADER, "img_rank"]
    got = read(
        tmp_path,
        table(
            {"img_rank": "0"},
            {"img_rank": "1", "object_area": "9"},
            {"img_rank": "0", "object_id": "o2"},
            header=header,
        ),
    )
    row = got.extra["tally"].iloc[0]
    diameter = 2 * np.sqrt(400 / np.pi) * 10.6e-3
    assert (row["n"], row["biovolume"]) == (2, pytest.approx(2 * np.pi / 6 * diameter**3))
    unknown = read(tmp_path, table({}, {"object_id": "o2", "object_area": ""})).extra["tally"]
    assert unknown["n"].tolist() == [2]
    assert unknown["biovolume"].isna().all()


# -- pixel sizes
SCOPE = [*HEADER[:-1], "process_pixel", "process_pixel_size", "process_pixel_applied"]


def scope(tmp_path, area, **cells):
    names = [name for name in SCOPE if not name.startswith("process_") or name in cells]
    return read(
        tmp_path, table({"acq_instrument": "PlanktoScope v2.6", "object_area": str(area)} | cells, header=names)
    )


@pytest.mark.parametrize(
    ("area", "cells"),
    [
        (1256.64, {"process_pixel": "0.53", "process_pixel_applied": "True"}),  # µm2 already: 21.2 by the pixel
        (1256.64, {"process_pixel": "0.53", "process_pixel_size": "1.34", "process_pixel_applied": "1"}),
        (699.8, {"process_pixel": "0.73", "process_pixel_size": "1.34"}),  # the flow cell: 21.8 by the constant
        (1256.64 / 0.53**2, {"process_pixel": "0.53", "process_pixel_applied": "False"}),
        (1256.64 / 0.53**2, {"process_pixel": "0.53"}),
    ],
)
def test_a_planktoscope_object_of_40_micrometres(tmp_path, area, cells):
    assert scope(tmp_path, area, **cells).objects["esd"].item() == pytest.approx(40.0, rel=1e-3)


@pytest.mark.parametrize(
    ("column", "value", "message", "missing"),
    [
        ("process_particle_pixel_size_?m", "0.0106", "", False),  # a spelling of the micro sign that an exporter lost
        ("process_particle_pixel_size_μm", "10.6", "", False),
        ("process_new_pixel", "10.6", "looks like a pixel size and is not known", True),
        ("acq_pixel", "0.174", "the pixel is 10.6 µm here and 174 µm in acq_pixel", False),
    ],
)
def test_columns_of_a_pixel_size(tmp_path, column, value, message, missing):
    header = [*HEADER[: -1 if column != "acq_pixel" else None], column]
    got = read(tmp_path, table({column: value}, header=header))
    assert got.objects["esd"].isna().item() == missing
    assert got.findings["message"].str.contains(message).any() or not message
    told = got.findings.query("check == 'size'")["message"]
    assert told.str.contains("all objects have no size").tolist() == [True] * missing


def test_objects_without_an_area_are_counted(tmp_path):
    got = read(tmp_path, table({}, {"object_id": "o2", "object_area": ""}, {"object_id": "o3", "object_area": "nan"}))
    assert got.findings.query("check == 'size'")["message"].str.contains("2 of 3 objects have no size").all()
    bare = read(tmp_path, table({}, header=[name for name in HEADER if name != "object_area"]))
    assert bare.findings["message"].str.contains("all objects have no size .no column of their area").any()


# -- volumes that stand on objects
CYTO = [*HEADER, "object_analysed_volume"]


def test_the_volume_on_cytosense_objects_is_usable(tmp_path):
    """Two acquisitions of 250 and 150 µL: pooled 0.4 mL; objects of one that disagree give none."""
    rows = [
        {"object_id": f"{acq}{n}", "acq_id": acq, "acq_instrument": "CytoSense", "object_analysed_volume": volume}
        for acq, volume in (("a", "250"), ("b", "150"))
        for n in range(3)
    ]
    choices = {"CytoSense": volumes.Choice("given", "pool", units={"volume": "uL"})}
    got = volumes.with_volumes(read(tmp_path, table(*rows, header=CYTO)), choices)
    assert got.samples["volume"].item() == pytest.approx(0.4e-6)
    asked = volumes.with_volumes(read(tmp_path, table(*rows, header=CYTO))).findings["message"]
    assert asked.str.contains("CytoSense: {rule: given, units: {volume: uL}, parts: pool}", regex=False).any()
    rows[0]["object_analysed_volume"] = "251"
    odd = read(tmp_path, table(*rows, header=CYTO))
    assert odd.findings["message"].str.contains("has 2 values of object_analysed_volume").any()
    with pytest.raises(UserError, match="effort of CytoSense: .*the cell is empty"):
        volumes.with_volumes(odd, choices)


def two_files(folder, one, two):
    paths = [folder / "a" / "ecotaxa_x.tsv", folder / "b" / "ecotaxa_x.tsv"]
    for path, text in zip(paths, (one, two), strict=True):
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    return [Source(path) for path in paths]


def refused(got):
    rows = got.findings[got.findings["severity"] == "refused"]
    return rows[["file", "row", "message"]].to_dict("records")


def test_a_bad_file_is_set_aside_and_the_rest_goes_on(tmp_path):
    good, bad = table({}, {"object_id": "o2"}), table({"sample_id": "s9"}, {"sample_id": "s9", "object_area": "big"})
    for order in ((good, bad), (bad, good)):
        folder = tmp_path / ("first" if order[0] is bad else "last")
        folder.mkdir()
        got = read_ecotaxa(two_files(folder, *order))
        assert got.objects["object_id"].tolist() == ["o1", "o2"]
        assert got.samples["sample_id"].tolist() == ["s1"]
        assert got.extra["tally"]["n"].tolist() == [2]
        (row,) = refused(got)
        assert (row["row"], row["file"].endswith("x.tsv")) == (3, True)
        assert "'big' is not a number" in row["message"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"object_lat": "95"}, "95 is outside [-90, 90] degrees"),
        ({"object_lon": "4330.50N"}, "'4330.50N' is not a number"),
        ({"object_date": "05/05/2023"}, "'05/05/2023' is not a date"),
        ({"object_time": "25:00"}, "'25:00' is not a time"),
        ({"object_depth_min": "-200"}, "-200 m is above the surface"),
        ({"object_depth_max": "20000"}, "20000 m is deeper than the sea"),
    ],
)
def test_a_sample_that_cannot_be_is_set_aside_whole(tmp_path, cells, message):
    """A sample that lost one object would be a wrong number, so it goes with all its objects."""
    bad = {"sample_id": "s2"}
    got = read(tmp_path, table({}, bad | {"object_id": "o2"}, bad | {"object_id": "o3"} | cells, {"object_id": "o4"}))
    assert got.objects["object_id"].tolist() == ["o1", "o4"]
    assert (got.samples["sample_id"].tolist(), got.extra["tally"]["n"].sum()) == (["s1"], 2)
    assert got.extra["acquisitions"]["sample_id"].tolist() == ["s1"]
    (row,) = refused(got)
    assert row["row"] == 4
    assert message in row["message"]
    assert "sample 's2' with its 2 rows was left out" in row["message"]


def test_two_machines_with_the_same_ids_are_never_one_object(tmp_path):
    """PlanktoScope #698: ids made from time and station; 6 animals, of which 3 were kept."""
    one = table(*({"object_id": f"o{k}", "object_area": str(1300 + k)} for k in range(3)), {"sample_id": "s2"})
    two = table(*({"object_id": f"o{k}", "object_area": str(1600 + k)} for k in range(3)))
    got = read_ecotaxa(two_files(tmp_path, one, two))
    assert got.samples["sample_id"].tolist() == ["s2"]
    (row,) = refused(got)
    for piece in ("a/ecotaxa_x.tsv, row 2", "b/ecotaxa_x.tsv, row 2", "'o0'", "different sizes or positions"):
        assert piece in row["message"]


@pytest.mark.parametrize("cells", [{"object_lat": "44"}, {"object_lon": "8"}, {"object_annotation_category": "egg"}])
def test_one_id_at_two_places_or_with_two_labels_names_id_file_and_rows(tmp_path, cells):
    got = read(tmp_path, table({}, cells, {"sample_id": "s2", "object_id": "o7"}))
    assert got.objects["object_id"].tolist() == ["o7"]
    (row,) = refused(got)
    assert "row 2, column 'object_id': 'o1' stands twice" in row["message"]
    assert "row 3" in row["message"]


def test_the_same_file_twice_is_the_same_object(tmp_path):
    got = read_ecotaxa(two_files(tmp_path, table({}), table({"object_area": "400.0", "object_lat": "43.50"})))
    assert len(got.objects) == 1
    assert not refused(got)


def test_rows_without_their_empty_last_cells_are_read(tmp_path):
    lines = table({}, {"object_id": "o2"}).splitlines()
    cut = "\t".join(lines[2].split("\t")[:-1])  # the pixel size is the last column
    got = read(tmp_path, "\n".join([*lines[:2], cut]) + "\n")
    assert got.objects["object_id"].tolist() == ["o1", "o2"]
    assert got.objects["pixel"].isna().tolist() == [False, True]
    assert "fewer cells than the 16 of the header" in got.findings["message"].str.cat()
    with pytest.raises(UserError, match="row 3: the row has 15 cells, the header 16"):
        read(tmp_path, "\n".join([*lines[:2], cut]))  # the file ends within the row


def test_short_rows_of_the_importers_own_examples(data_root):
    """EcoTaxa's importer fills them (csv.DictReader); the file has rows of 88 cells below 89 names."""
    root = data_root / "formats" / "ecotaxa" / "ecotaxa_back_QA"
    for path in sorted(root.rglob("*.tsv")):
        lines = [line.split("\t") for line in path.read_text("latin-1").splitlines()]
        if any(len(line) < len(lines[0]) for line in lines[1:] if any(line)):
            rows = [line for line in lines[1:] if line[0] not in ("", "[t]")]
            assert 0 < len(read_ecotaxa([Source(path)]).objects) <= len(rows), path


def test_types_row_of_numbers_by_another_letter(tmp_path):
    lines = table({}).splitlines()
    types = "\t".join("[n]" if name.startswith(("object_l", "object_a")) else "[t]" for name in HEADER)
    assert len(read(tmp_path, "\n".join([lines[0], types, *lines[1:]]) + "\n").objects) == 1


@pytest.mark.parametrize(
    ("date", "clock", "right"),
    [
        ("2023-05-05T10:15:00Z", "", "2023-05-05 10:15:00+00:00"),
        ("2023-05-05T10:15:00+02:00", "", "2023-05-05 08:15:00+00:00"),
        ("2023-05-05 23:15:00-03:00", "", "2023-05-06 02:15:00+00:00"),
        ("2023-05-05T10:15:00.5", "", "2023-05-05 10:15:00.500000+00:00"),
        ("20230505", "10:15:00+02:00", "2023-05-05 08:15:00+00:00"),
        ("2023-05-05T10:15:00Z", "101500", "2023-05-05 10:15:00+00:00"),
    ],
)
def test_times_with_a_zone_become_utc(tmp_path, date, clock, right):
    got = read(tmp_path, table({"object_date": date, "object_time": clock}))
    assert str(got.samples["time"].item()) == right


def test_a_decimal_comma_in_a_volume_as_in_an_area(tmp_path):
    got = read(tmp_path, table({"sample_tot_vol": "120,5", "object_area": "400,5"}))
    assert volumes.with_volumes(got).samples["volume"].item() == pytest.approx(120.5 / 4)
    assert sorted(got.findings.loc[got.findings["check"] == "decimal comma", "column"]) == [
        "object_area",
        "sample_tot_vol",
    ]


def test_a_header_without_rows_is_told(tmp_path):
    got = read(tmp_path, "\t".join(HEADER) + "\n")
    assert (len(got.samples), len(got.objects)) == (0, 0)
    assert "a header and no rows" in got.findings["message"].item()
