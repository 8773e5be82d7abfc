"""IFCB bins of both generations: times, images, what is missing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ifcb import bins
from aqqua_dist.readers.sources import Source, find_sources

NEW, OLD = "D20130526T095207_IFCB013", "IFCB5_2012_028_081515"
HEADER = "softwareVersion: 2.0\nsampleTime: 2013-05-26T09:52:07Z\nSyringeSampleVolume: 5.000000\nrunTime: 1231.0\ninhibitTime: 11.6\n"


def row(trigger, width, run, inhibit):
    return ",".join(["0"] * 15 + [str(width), "40"] + ["0"] * 5 + [str(run), str(inhibit)]).replace(
        "0", str(trigger), 1
    )


TABLE = "\n".join([row(1, 0, 0.1, 0.0), row(2, 96, 600, 5), row(2, 50, 600, 5), row(3, 80, 1230.5, 11.5)]) + "\n"


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
    assert (acquisition["run_time"], acquisition["inhibit_time"]) == (1231.0, 11.6)
    assert (acquisition["run_time_adc"], acquisition["inhibit_time_adc"], acquisition["n_triggers"]) == (
        1230.5,
        11.5,
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
    found = bins.read_ifcb(files(tmp_path, HEADER.replace("1231.0", "1300.0")))
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


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: files(f)[:1], r"has only its .hdr, needed are .hdr and .adc"),
        (lambda f: files(f) + files(f)[:1], "is also in"),
        (lambda f: files(f, table="1,2,3\n"), "has 3 columns, at least 17 are needed"),
        (
            lambda f: files(f, table=TABLE.replace(",96,", ",wide,")),
            r"row 2, column 16 \(width\): 'wide' is not a number",
        ),
        (lambda f: files(f, HEADER.replace("1231.0", "long")), "field 'runTime' is 'long', allowed is a number"),
        (lambda f: files(f, name="D20131326T095207_IFCB013"), "holds no time in its name"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, spoil, message):
    with pytest.raises(UserError, match=message):
        bins.read_ifcb(spoil(tmp_path))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_spoiled_bins_give_a_bin_or_one_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("i")
    pieces = []
    for text in (HEADER, TABLE):
        raw = bytearray(text.encode())
        for _ in range(data.draw(st.integers(0, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        pieces.append(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    try:
        found = bins.read_ifcb(files(folder, *pieces))
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert len(found.samples) == 1
    assert len(found.objects) == found.samples["n_images"].item()
