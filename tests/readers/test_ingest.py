"""From exports to tables through the command line."""

import zipfile

import geopandas
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.readers.ingest import ingest

TABLE = """sample,cruise,datetime,latitude,longitude,depth_min,depth_max,volume_l,images
s1,C1,2019-06-01 12:30:00,10.5,-30,0,200,2200,4000
s2,C1,2019-06-02 01:00:00,-3,-20.5,200,500,1600,3000
"""


def call(*words):
    return CliRunner().invoke(main, ["ingest", *map(str, words), "--quiet"])


def test_exports_of_two_instruments_become_one_set_of_tables(data_root, tmp_path):
    folder, out = data_root / "formats", tmp_path / "out"
    done = call(folder / "zooprocess", folder / "ifcb", "-o", out)
    assert done.exit_code == 0, done.output
    samples = geopandas.read_parquet(out / "samples.parquet")
    assert sorted(samples["instrument"].unique()) == ["IFCB013", "IFCB5", "ZooScan"]
    assert samples["sample_id"].is_unique
    volume = samples.set_index("sample_id").loc["D20130526T095207_IFCB013", ["volume", "effort_rule", "flags"]]
    times = files.read_parquet(out / "acquisitions.parquet").set_index("sample_id").loc["D20130526T095207_IFCB013"]
    seen = times["run_time_adc"] - times["inhibit_time_adc"]  # the header is 4 % off, so the last trigger tells
    assert volume["volume"] == pytest.approx(0.25e-6 * seen / 60, rel=1e-3)  # 0.25 mL per minute
    assert volume["effort_rule"] == "ifcb v2"
    assert "run_time of the last trigger" in volume["flags"]
    objects = files.read_parquet(out / "objects.parquet")
    assert set(objects["sample_id"]) <= set(samples["sample_id"])
    assert f"{len(samples)} samples, {len(objects)} objects, 0 counts are in {out}" in done.output
    text = (out / "quality.md").read_text()
    assert "run time 1231.02 s of the header and 1184.04 s of the last trigger differ by more than 2 %" in text
    assert "the format is not known; the file was left out" in text  # other tables of the folder
    origin = files.read_provenance(out / "samples.parquet")
    assert any(name.endswith("D20130526T095207_IFCB013.hdr") for name in origin.inputs)
    assert {"objects.parquet", "counts.parquet", "findings.parquet", "acquisitions.parquet"} <= {
        p.name for p in out.iterdir()
    }


def test_a_table_by_its_mapping(tmp_path):
    (tmp_path / "rows.csv").write_text(TABLE)
    (tmp_path / "mapping.yaml").write_text(package_data("mapping_template.yaml").read_text())
    done = call(tmp_path / "rows.csv", "-o", tmp_path / "out", "--mapping", tmp_path / "mapping.yaml")
    assert done.exit_code == 0, done.output
    samples = files.read_parquet(tmp_path / "out" / "samples.parquet")
    assert samples["volume"].tolist() == pytest.approx([2.2, 1.6])
    assert "findings: nothing odd" in done.output
    assert (
        files.read_provenance(tmp_path / "out" / "counts.parquet").recipe_text
        == package_data("mapping_template.yaml").read_text()
    )


def test_what_nobody_knows_is_one_sentence_and_writes_nothing(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    done = call(tmp_path / "notes.txt", "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "none of 1 files is of a known format" in done.output
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="does not exist"):
        ingest([tmp_path / "none"], tmp_path / "out", progress=False)


def test_a_refused_file_leaves_earlier_tables_alone(tmp_path):
    (tmp_path / "rows.csv").write_text(TABLE)
    (tmp_path / "mapping.yaml").write_text(package_data("mapping_template.yaml").read_text())
    words = (tmp_path / "rows.csv", "-o", tmp_path / "out", "--mapping", tmp_path / "mapping.yaml")
    assert call(*words).exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (tmp_path / "rows.csv").write_text(TABLE.replace("10.5", "95").replace("-3,", "-93,"))
    done = call(*words)
    assert done.exit_code == 2
    assert "row 2, lat: 95 is not allowed" in done.output
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_samples_read_twice_count_once_and_contradictions_are_set_aside(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(TABLE)
    (tmp_path / "mapping.yaml").write_text(package_data("mapping_template.yaml").read_text())
    words = (tmp_path / "a.csv", tmp_path / "b.csv", "-o", tmp_path / "out", "--mapping", tmp_path / "mapping.yaml")
    done = call(*words)
    assert (done.exit_code, "2 samples, 0 objects" in done.output) == (0, True)
    (tmp_path / "b.csv").write_text(TABLE.replace("10.5", "11.5"))
    done = call(*words)
    assert (done.exit_code, "1 samples, 0 objects" in done.output) == (1, True)
    assert "set aside: " in done.output
    assert "b.csv: row 2: sample_id 's1' stands more than once, also in" in done.output
    assert "set aside" in (tmp_path / "out" / "quality.md").read_text()


ECOTAXA = "object_id\tsample_id\tobject_lat\tobject_lon\tobject_area\n"


def test_one_bad_file_never_stops_a_collection(tmp_path):
    """A cut table, a damaged archive, a stray text in latin-1 and images beside good files of two formats."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.tsv").write_text(ECOTAXA + "o1\ts1\t1\t2\t9\n")
    (tmp_path / "in" / "cut.tsv").write_text(ECOTAXA + "o1\ts2\t1\t2\t9\no2\ts2\t1")
    (tmp_path / "in" / "broken.zip").write_bytes(b"PK\x03\x04 no archive")
    (tmp_path / "in" / "notes.csv").write_bytes("température,b\n1,2\n".encode("latin-1"))
    for k in range(3):
        (tmp_path / "in" / f"{k}.png").write_bytes(b"x")
    done = call(tmp_path / "in", "-o", tmp_path / "out")
    assert done.exit_code == 1, done.output
    found = files.read_parquet(tmp_path / "out" / "findings.parquet")
    refused = found[found["check"] == "set aside"]
    assert sorted(name.rsplit("/", 1)[1] for name in refused["file"]) == ["broken.zip", "cut.tsv"]
    assert refused["row"].dropna().tolist() == [3]
    assert files.read_parquet(tmp_path / "out" / "objects.parquet")["object_id"].tolist() == ["o1"]
    images = found[found["message"].str.contains("images beside")]
    assert images["message"].tolist() == ["3 images beside the tables; images are not read."]
    assert found.loc[found["message"].str.contains("not known"), "file"].str.endswith("notes.csv").tolist() == [True]
    assert done.output.count("set aside: ") == 2


def test_images_of_an_export_zip_are_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("ecotaxa_export.tsv", ECOTAXA + "o1\ts1\t1\t2\t9\n")
        for k in range(437):
            archive.writestr(f"images/{k}.{'png' if k % 2 else 'JPG'}", b"x")
    assert call(tmp_path / "export.zip", "-o", tmp_path / "out").exit_code == 0
    found = files.read_parquet(tmp_path / "out" / "findings.parquet")
    lines = found[found["check"] == "format"]
    assert lines["message"].tolist() == ["437 images beside the tables; images are not read."]
    assert lines["file"].str.endswith("export.zip").all()


def test_nothing_readable_writes_nothing(tmp_path):
    (tmp_path / "cut.tsv").write_text(ECOTAXA + "o2\ts2\t1")
    done = call(tmp_path / "cut.tsv", "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert "cut.tsv, row 2" in done.output
    assert not list((tmp_path / "out").glob("*.parquet"))


def test_one_bad_format_leaves_the_other(data_root, tmp_path):
    (tmp_path / "D20130526T095207_IFCB099.adc").write_text("1,2\n")
    (tmp_path / "good.tsv").write_text(ECOTAXA + "o1\ts1\t1\t2\t9\n")
    done = call(tmp_path, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "IFCB099" in done.output


def test_frames_of_a_towed_camera_become_volumes_by_the_users_rule(tmp_path):
    """ISIIS, PISCO, LOKI, CPICS, VPR: the log tells the number of frames, the user what one of them holds."""
    (tmp_path / "rows.csv").write_text("sample,latitude,longitude,frames\ntow1,10.5,-30,1000\ntow2,11,-30,500\n")
    (tmp_path / "mapping.yaml").write_text(
        "table: samples\ncolumns:\n  sample_id: {column: sample}\n  lat: {column: latitude}\n  lon: {column: longitude}\n  n_images: {column: frames}\n  instrument: {value: ISIIS}\n"
    )
    words = (tmp_path / "rows.csv", "-o", tmp_path / "out", "--mapping", tmp_path / "mapping.yaml")
    assert call(*words).exit_code == 0
    assert (
        files.read_parquet(tmp_path / "out" / "samples.parquet")["volume"].isna().all()
    )  # nobody has told the volume of a frame
    (tmp_path / "effort.yaml").write_text(
        "ISIIS: {rule: isiis, parts: pool, rel_sd: 0.2, constants: {frame_volume: 2.5}}\n"
    )
    done = call(*words, "--effort", tmp_path / "effort.yaml")
    assert done.exit_code == 0, done.output
    samples = files.read_parquet(tmp_path / "out" / "samples.parquet")
    assert samples["volume"].tolist() == pytest.approx([2.5, 1.25])
    assert samples[["effort_rule", "volume_rel_sd"]].to_numpy().tolist() == [["isiis v1", 0.2]] * 2


UVP = "object_id object_lat object_lon object_date object_time object_depth_min object_depth_max object_annotation_status object_annotation_category object_area sample_id acq_id acq_instrument acq_pixel".split()


def test_casts_from_images_without_ecopart(tmp_path):
    """20 images of 1.13 L from 0 to 9.5 m; objects at 2.0, 4.2 and 6.0 m: 2 and 1 in two bins of 11.3 L."""
    rows = [
        [f"o{k}", "43", "7", "20190601", "061500", d, d, "validated", "Copepoda", "400", "c1", "a", "uvp5", "0.088"]
        for k, d in enumerate(("2.0", "4.2", "6.0"))
    ]
    (tmp_path / "ecotaxa_x.tsv").write_text("\n".join("\t".join(row) for row in [UVP, *rows]) + "\n")
    (tmp_path / "images.csv").write_text("sample_id,image_id,depth\n" + "".join(f"c1,{n},{n / 2}\n" for n in range(20)))
    (tmp_path / "effort.yaml").write_text("UVP: {rule: uvp, image_volume: 1.13, images: images.csv}\n")
    words = (tmp_path / "ecotaxa_x.tsv", "-o", tmp_path / "out", "--effort", tmp_path / "effort.yaml")
    done = call(*words)
    assert done.exit_code == 0, done.output
    assert any(
        name.endswith("images.csv") for name in files.read_provenance(tmp_path / "out" / "samples.parquet").inputs
    )
    counted = CliRunner().invoke(main, ["aggregate", str(tmp_path / "out"), "-o", str(tmp_path / "counts")])
    assert counted.exit_code == 0, counted.output
    table = files.read_parquet(tmp_path / "counts" / "concentrations.parquet").set_index("sample_id")
    assert table["number_concentration"].to_dict() == pytest.approx({"c1:0-5": 2 / 11.3e-3, "c1:5-10": 1 / 11.3e-3})
    drawn = CliRunner().invoke(
        main,
        [
            "aggregate",
            str(tmp_path / "out"),
            "-o",
            str(tmp_path / "m"),
            "--members",
            "20",
            "--zone",
            "0-10",
            "--zone",
            "0-5",
        ],
    )
    assert drawn.exit_code == 0, drawn.output
    assert drawn.output.count("the error of the volume") == 1
    zones = call(*words, "--zone", "0-10")
    assert zones.exit_code == 0, zones.output
    pooled = files.read_parquet(tmp_path / "out" / "zone_concentrations.parquet")
    assert pooled["number_concentration"].tolist() == pytest.approx([3 / 22.6e-3])
    asked = call(tmp_path / "ecotaxa_x.tsv", "-o", tmp_path / "bare")
    assert asked.exit_code == 0
    assert (
        "UVP: {rule: uvp, images: images.csv, image_volume: LITRES}" in (tmp_path / "bare" / "quality.md").read_text()
    )


def test_a_collection_of_bins_goes_on_without_the_bad_one(data_root, tmp_path):
    name = "D20130526T095207_IFCB013"
    for suffix in (".hdr", ".adc"):
        text = (data_root / "formats" / "ifcb" / f"{name}{suffix}").read_text()
        (tmp_path / f"{name}{suffix}").write_text(text)
        (tmp_path / f"D20130527T095207_IFCB013{suffix}").write_text(text[:-120] if suffix == ".adc" else text)
    (tmp_path / "D20130528T095207_IFCB013.adc").write_text("")
    (tmp_path / "effort.yaml").write_text("IFCB: {rule: ifcb, pixels_per_um: 2.7}\n")
    (tmp_path / f"{name}_fea_v2.csv").write_text("roi_number,Area,Biovolume,EquivDiameter\n")
    done = call(tmp_path, "-o", tmp_path / "out", "--effort", tmp_path / "effort.yaml")
    assert done.exit_code == 1, done.output
    table = files.read_parquet(tmp_path / "out" / "ifcb_bins.parquet").set_index("sample_id")
    assert len(table) == 3 and (table["set_aside"] == "").sum() == 1
    assert table.loc[name, "volume"] == pytest.approx(4.885e-6, abs=5e-10)
    assert table.loc[name, "volume_header"] == pytest.approx(0.25e-6 * (1231.024861 - 11.62298) / 60)
    text = (tmp_path / "out" / "quality.md").read_text()
    assert "D20130527T095207_IFCB013 was set aside" in text and "D20130528T095207_IFCB013 was set aside" in text
