"""IFCB bins of both generations: times, images, what is missing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.effort.volumes import with_volumes, without_flags
from aqqua_dist.readers.ifcb import bins
from aqqua_dist.readers.set_aside import CHECK
from aqqua_dist.readers.sources import Source, find_sources

NEW, OLD = "D20130526T095207_IFCB013", "IFCB5_2012_028_081515"
HEADER = "softwareVersion: 2.0\nsampleTime: 2013-05-26T09:52:07Z\nSyringeSampleVolume: 5.000000\nrunTime: 1131.0\ninhibitTime: 8.6\n"


def row(trigger, width, run, inhibit):
    """A line of the .adc; the clock of the board is 0.05 s behind the run time."""
    cells = [str(trigger), f"{run - 0.05:.3f}"] + ["0"] * 13 + [str(width), "40"] + ["0"] * 5
    return ",".join([*cells, str(run), str(inhibit)])


TABLE = "\n".join([row(1, 0, 0.1, 0.1), row(2, 96, 600, 4), row(2, 50, 600, 4), row(3, 80, 1130.5, 8.5)]) + "\n"


def files(folder, header=HEADER, table=TABLE, name=NEW):
    for suffix, content in ((".hdr", header), (".adc", table)):
        (folder / f"{name}{suffix}").write_bytes(content if isinstance(content, bytes) else content.encode())
    return [Source(folder / f"{name}{suffix}") for suffix in (".hdr", ".adc")]


def test_a_bin_by_hand(tmp_path):
    found = bins.read_ifcb(files(tmp_path))
    sample, acquisition = found.samples.iloc[0], found.extra["acquisitions"].iloc[0]
    assert (sample["sample_id"], sample["instrument"], str(sample["time"])) == (
        NEW,
        "IFCB013",
        "2013-05-26 09:52:07+00:00",
    )
    assert sample["n_images"] == 3
    assert (acquisition["run_time"], acquisition["inhibit_time"]) == (1131.0, 8.6)
    assert (acquisition["run_time_adc"], acquisition["inhibit_time_adc"], acquisition["n_triggers"]) == (
        1130.5,
        8.5,
        3,
    )
    assert found.objects["object_id"].tolist() == [
        f"{NEW}_00002",
        f"{NEW}_00003",
        f"{NEW}_00004",
    ]  # line 1 has no image
    assert found.findings["check"].tolist() == ["position"]


def test_a_position_in_the_header_is_taken(tmp_path):
    found = bins.read_ifcb(files(tmp_path, HEADER + "gpsLatitude: 41.3\ngpsLongitude: 289.4\ndepth: 4\n"))
    assert found.samples[["lat", "lon", "depth_top"]].iloc[0].tolist() == pytest.approx([41.3, -70.6, 4])
    assert found.findings.empty


def test_a_bin_without_images_stays(tmp_path):
    found = bins.read_ifcb(files(tmp_path, table=""))
    assert len(found.samples) == 1
    assert found.samples["n_images"].item() == 0
    assert found.objects.empty


def test_times_that_differ_are_reported(tmp_path):
    found = bins.read_ifcb(files(tmp_path, HEADER.replace("1131.0", "1300.0")))
    assert "run time" in found.findings["check"].tolist()


def test_real_bins(data_root):
    sources = [s for s in find_sources([data_root / "formats" / "ifcb"]) if bins.recognises(s)]
    found = bins.read_ifcb(sources)
    table = found.extra["acquisitions"].set_index("sample_id")
    assert set(table.index) == {NEW, OLD}
    assert table.loc[NEW, ["run_time", "inhibit_time", "syringe_volume"]].tolist() == [1231.024861, 11.62298, 5.0]
    assert table.loc[NEW, "run_time_adc"] == 1184.037103  # 4 % less than the header says: reported
    assert found.findings["check"].tolist().count("run time") == 1
    assert (table.loc[OLD, "generation"], table.loc[OLD, "n_triggers"]) == ("old", 6)
    assert table.loc[OLD, "n_images"] == 6  # trigger 3 holds two images, trigger 6 none
    times = found.samples.set_index("sample_id")["time"]
    assert str(times[OLD]) == "2012-01-28 08:15:15+00:00"
    assert found.objects["sample_id"].value_counts()[NEW] == table.loc[NEW, "n_images"]


OTHER = "D20130527T095207_IFCB013"


@pytest.mark.parametrize(
    ("spoil", "check", "message", "row"),
    [
        (lambda f: files(f)[:1], CHECK, "has only its .hdr, needed are .hdr and .adc", None),
        (lambda f: files(f)[1:], CHECK, "has only its .adc, needed are .hdr and .adc", None),
        (lambda f: files(f, header=""), CHECK, r"the header is empty \(0 characters\)", None),
        (lambda f: files(f, table="1,2,3\n"), CHECK, "has 3 columns, at least 17 are needed", None),
        (
            lambda f: files(f, table=TABLE.replace(",96,", ",wide,")),
            CHECK,
            r"column 16 \(width\): 'wide' is not a number",
            2,
        ),
        (lambda f: files(f, table=TABLE[:-40]), CHECK, r"column 1\d .*the cell is empty; was the file cut\?", 4),
        (lambda f: files(f, name="D20131326T095207_IFCB013"), CHECK, "holds no time in its name", None),
        (lambda f: files(f, HEADER + "runBeads: True\n"), "beads", "runBeads is 'True'", None),
        (lambda f: files(f, HEADER + "sampleType: Beads 5 um\n"), "beads", "sampleType is 'Beads 5 um'", None),
        (lambda f: files(f, HEADER + "runType: NORMAL\nrunType: BEADS\n"), "beads", "runType is 'BEADS'", None),
        (lambda f: files(below(f, "beads")), "beads", "it lies in a folder 'beads'", None),
        (lambda f: files(below(f, "skip/2013")), "beads", "it lies in a folder 'skip'", None),
    ],
)
def test_a_bin_that_is_none_is_set_aside_and_the_rest_goes_on(tmp_path, spoil, check, message, row):
    found = bins.read_ifcb([*spoil(tmp_path), *files(tmp_path, name=OTHER)])
    assert found.samples["sample_id"].tolist() == [OTHER]
    assert found.objects["sample_id"].unique().tolist() == [OTHER]
    assert found.extra["acquisitions"]["sample_id"].tolist() == [OTHER]
    told = found.findings[found.findings["severity"] == "refused"]
    assert told["check"].tolist() == [check]
    assert told["message"].str.contains(message).all()
    assert told["file"].notna().all() and (told["row"].tolist() == [row] if row else told["row"].isna().all())
    table = found.extra["ifcb_bins"].set_index("sample_id")
    assert len(table) == 2 and table.loc[OTHER, "set_aside"] == ""
    assert table["set_aside"].str.contains(message).sum() == 1


def below(folder, name):
    (folder / name).mkdir(parents=True)
    return folder / name


def test_bins_that_are_all_set_aside_leave_empty_tables(tmp_path):
    found = bins.read_ifcb(files(tmp_path, HEADER + "runBeads: 1\n"))
    assert (len(found.samples), len(found.objects), len(found.extra["ifcb_bins"])) == (0, 0, 1)
    assert found.extra["ifcb_bins"]["n_triggers"].item() == 3


def test_a_second_copy_counts_once_and_another_content_is_refused(tmp_path):
    copy = files(below(tmp_path, "copy"))
    found = bins.read_ifcb(files(tmp_path) + copy)
    assert (len(found.samples), len(found.objects)) == (1, 3)
    assert found.findings["check"].tolist().count("duplicate") == 2
    other = files(below(tmp_path, "other"), table=TABLE.replace(",96,", ",97,"))
    found = bins.read_ifcb(files(tmp_path) + other)
    assert found.samples.empty
    assert found.findings["message"].str.contains("is also in .*, and the two .adc files differ").any()


def test_a_field_that_is_no_number_is_missing_and_told(tmp_path):
    found = with_volumes(bins.read_ifcb(files(tmp_path, HEADER.replace("1131.0", "long"))))
    assert found.findings["message"].str.startswith("field 'runTime' is 'long', allowed is a number").any()
    assert found.samples["volume"].item() == pytest.approx(0.25e-6 * (1130.5 - 8.6) / 60)


@pytest.mark.parametrize(
    "header",
    [
        HEADER.replace("runTime", "RunTime").replace("inhibitTime", "InhibitTime"),
        "run time = 1131.0 s   inhibit time = 8.6 s\nSyringeSampleVolume: 5.0\n",
    ],
)
def test_headers_of_other_software(tmp_path, header):
    found = bins.read_ifcb(files(tmp_path, header)).extra["acquisitions"].iloc[0]
    assert (found["run_time"], found["inhibit_time"]) == (1131.0, 8.6)


def test_the_table_of_bins_tells_both_volumes_and_the_flags(tmp_path):
    """Header 1131 - 8.6 s, triggers 1130.5 - 8.5 s, at 0.25 mL a minute."""
    found = with_volumes(bins.read_ifcb(files(tmp_path, HEADER + "runSampleFast: 1\ntemperature: 31\nhumidity: 12\n")))
    row = found.extra["ifcb_bins"].iloc[0]
    assert row["volume_header"] == pytest.approx(0.25e-6 * 1122.4 / 60)
    assert row["volume_adc"] == pytest.approx(0.25e-6 * 1122.0 / 60)
    assert row["volume"] == row["volume_header"]  # they agree within 2 %
    assert (row["n_triggers"], row["n_images"], row["temperature"], row["humidity"]) == (3, 3, 31, 12)
    assert row["flags"] == found.samples["flags"].item() == "sample run fast"
    left, told = without_flags(found, ["sample run fast"])
    assert left.samples.empty and left.objects.empty and told == ["1 samples left out for the flag 'sample run fast'"]
    assert len(without_flags(found, ["fast"])[0].samples) == 1


@pytest.mark.parametrize("header", ["11.622980", "-5", "600.5"])
@pytest.mark.parametrize("last", ["11.620326", "600.5"])
def test_the_real_bin_with_a_bad_inhibit_time(data_root, tmp_path, header, last):
    """Right by pyifcb: 4.885 mL; by the last row alone 2.431 mL, or none."""
    for suffix in (".hdr", ".adc"):
        text = (data_root / "formats" / "ifcb" / f"{NEW}{suffix}").read_text()
        text = text.replace("inhibitTime: 11.622980", f"inhibitTime: {header}").replace(",11.620326", f",{last}")
        (tmp_path / f"{NEW}{suffix}").write_text(text)
    found = with_volumes(bins.read_ifcb(find_sources([tmp_path])))
    assert found.samples["volume"].item() * 1e6 == pytest.approx(4.885, abs=5e-4)


FEATURES = "roi_number,Area,Biovolume,EquivDiameter,MajorAxisLength,MinorAxisLength,summedArea\n2,1000,20000,35.68,40,30,1000\n4,500,8000,25.23,30,20,500\n"


@pytest.mark.parametrize("scale", [None, {"IFCB": 2.7}, {"IFCB013": 2.7, "IFCB": 3.4}])
@pytest.mark.parametrize("name", ["fea_v2", "features_v4"])
def test_features_give_sizes(tmp_path, scale, name):
    (tmp_path / f"{NEW}_{name}.csv").write_text(FEATURES)
    found = bins.read_ifcb([*files(tmp_path), Source(tmp_path / f"{NEW}_{name}.csv")], scale)
    px = 3.4 if scale is None else 2.7
    table = found.objects.set_index(found.objects["object_id"].str[-5:])
    assert table.loc["00002", "esd"] == pytest.approx(35.68 / px)
    assert table.loc["00002", "biovolume"] == pytest.approx(20000 / px**3 * 1e-9)  # px3 to mm3
    assert table.loc["00004", ["area", "major", "minor"]].tolist() == [500, 30, 20]
    assert table["size_source"].tolist()[0] == f"IFCB features {name[-2:]}"
    assert table.loc["00003", ["esd", "biovolume"]].isna().all()  # it stands in no file: unknown, and told
    told = found.findings["message"]
    assert told.str.startswith("1 of 3 images of bins with features have none").any()
    assert told.str.contains("3.4 px per µm was taken").any() == (scale is None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FEATURES.replace("35.68", "large"), "row 2, esd: 'large' is no number"),
        (FEATURES[:-10], "row 3 has 5 cells, the header 7; was the file cut"),
        (FEATURES.replace("roi_number", "n"), "needed are 'roi_number'"),
        (FEATURES.replace("\n4,", "\n2,"), "stands more than once"),
        (FEATURES.replace("\n4,", "\n9,"), "1 of 2 features are of no image"),
        ("", "the file is empty"),
    ],
)
def test_features_that_are_wrong_are_left_out_and_told(tmp_path, text, message):
    (tmp_path / f"{NEW}_features_v4.csv").write_text(text)
    found = bins.read_ifcb([*files(tmp_path), Source(tmp_path / f"{NEW}_features_v4.csv")])
    assert len(found.objects) == 3
    assert found.findings.query("check == 'features'")["message"].str.contains(message).any()


def test_the_later_features_win_and_lonely_ones_are_told(tmp_path):
    (tmp_path / f"{NEW}_fea_v2.csv").write_text(FEATURES)
    (tmp_path / f"{NEW}_fea_v4.csv").write_text(FEATURES.replace("20000", "10000"))
    (tmp_path / f"{OTHER}_fea_v4.csv").write_text(FEATURES)
    lonely = [Source(path) for path in sorted(tmp_path.glob("*.csv"))]
    found = bins.read_ifcb([*files(tmp_path), *lonely])
    assert found.objects["biovolume"].max() == pytest.approx(10000 / 3.4**3 * 1e-9)
    told = found.findings["message"]
    assert told.str.contains("has two files of features").any()
    assert told.str.contains(f"bin {OTHER} has features of 2 images, and its .hdr and .adc are not here").any()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_spoiled_bins_give_a_bin_or_are_set_aside(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("i")
    pieces = []
    for text in (HEADER, TABLE):
        raw = bytearray(text.encode())
        for _ in range(data.draw(st.integers(0, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        pieces.append(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    found = bins.read_ifcb(files(folder, *pieces))
    assert len(found.samples) == 1 or "refused" in found.findings["severity"].tolist()
    assert len(found.objects) == found.samples["n_images"].sum()
    assert len(found.extra["ifcb_bins"]) == 1
