"""Net metadata: positions in degrees and minutes, west positive; depths, volumes, fractions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers import zooprocess
from aqqua_dist.readers.sources import Source, find_sources

META = """SampleId= net_1
Scientificprog= a_programme
Date= 20230705-0503
Latitude= 47.5076
Longitude= 15.2622
Zmax= 1008
Zmin= 820
Vol= 357
FracId= d3
Fracmin= 300
Fracsup= 2000
Fracnb= 8
"""


def source(folder, text=META, name="a_meta.txt"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Source(folder / name)


@pytest.mark.parametrize(
    ("text", "value"), [("47.5076", 47.846), ("15.2622", 15.437), ("-0.30", -0.5), ("180.00", 180), ("-51.0000", -51)]
)
def test_degrees_and_minutes(text, value):
    """The first two stand in the ZooProcess documentation of the EcoTaxa import."""
    assert zooprocess.decimal_degrees(text) == pytest.approx(value, abs=5e-5)


@given(st.integers(-179, 179), st.integers(0, 5999))
def test_degrees_of_every_whole_hundredth_of_a_minute(whole, hundredths):
    text = f"{'-' if whole < 0 else ''}{abs(whole)}.{hundredths:04d}"
    expected = abs(whole) + hundredths / 6000
    assert zooprocess.decimal_degrees(text) == pytest.approx(-expected if whole < 0 else expected, abs=1e-9)


@pytest.mark.parametrize("text", ["47.60", "47.846", "north", "", "nan", "inf"])
def test_what_is_no_degrees_and_minutes_is_refused(text):
    with pytest.raises(UserError, match="DDD.MMmm|decimal degrees"):
        zooprocess.decimal_degrees(text)


def test_a_sample_by_hand(tmp_path):
    found = zooprocess.read_zooprocess([source(tmp_path)])
    row = found.samples.iloc[0]
    assert (row["lat"], row["lon"]) == pytest.approx((47.846, -15.437), abs=5e-5)  # west
    assert (row["depth_top"], row["depth_bottom"], row["volume"]) == (820, 1008, 357)
    assert str(row["time"]) == "2023-07-05 05:03:00+00:00"
    assert (row["instrument"], row["cruise"]) == ("ZooScan", "a_programme")
    fraction = found.extra["acquisitions"].iloc[0]
    assert (fraction["fraction"], fraction["sieve_min"], fraction["sieve_max"], fraction["sub_part"]) == (
        "d3",
        300,
        2000,
        8,
    )
    assert found.findings.empty


def test_fractions_share_one_sample(tmp_path):
    second = META.replace("d3", "d2").replace("Fracnb= 8", "Fracnb= 1")
    found = zooprocess.read_zooprocess([source(tmp_path), source(tmp_path, second, "b_meta.txt")])
    assert len(found.samples) == 1
    assert found.extra["acquisitions"]["sub_part"].tolist() == [8, 1]
    with pytest.raises(UserError, match="volume 300.0 of sample 'net_1' differs from 357.0"):
        zooprocess.read_zooprocess(
            [source(tmp_path), source(tmp_path, second.replace("Vol= 357", "Vol= 300"), "b_meta.txt")]
        )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Vol= 357\n", "", r"fields \['vol'\] are missing"),
        ("Vol= 357", "Vol= much", "field 'vol' is 'much', allowed is a number"),
        ("Vol= 357", "Vol= 0", "a filtered volume above 0 m3"),
        ("Vol= 357", "Vol= 99999", "stands for none"),
        ("Zmax= 1008", "Zmax= 9999", "field 'zmax' is '9999', which stands for none"),
        ("47.5076", "97.5076", "outside"),
        ("47.5076", "47.846", "decimal degrees"),
        ("Zmin= 820", "Zmin= -820", r"zmin -820 and zmax 1008 are outside \[0, 11500\] m"),
        ("20230705-0503", "05/07/2023", "allowed is YYYYMMDD-HHMM"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    with pytest.raises(UserError, match=message) as error:
        zooprocess.read_zooprocess([source(tmp_path, META.replace(old, new))])
    assert "a_meta.txt" in str(error.value)


def test_what_is_odd_is_reported(tmp_path):
    text = (
        META.replace("Zmin= 820", "Zmin= 1500").replace("Vol= 357", "Vol= 357000")
        + "Sample_comment= includes_on_board_fractioning\n"
    )
    found = zooprocess.read_zooprocess([source(tmp_path, text.encode("latin-1"))])
    assert found.findings["severity"].tolist() == ["repaired", "suspicious", "suspicious"]
    assert (found.samples["depth_top"].item(), found.samples["depth_bottom"].item()) == (1008, 1500)


def test_real_files(data_root):
    sources = [s for s in find_sources([data_root / "formats" / "zooprocess"]) if zooprocess.recognises(s)]
    assert sorted(s.name for s in sources) == ["apero2023_tha_bioness_017_st66_d_n1_d3_1_meta.txt", "metadata.txt"]
    found = zooprocess.read_zooprocess(sources)
    row = found.samples.set_index("sample_id").loc["apero2023_tha_bioness_017_st66_d_n1"]
    assert row["lat"] == pytest.approx(51 + 52.93 / 60)
    assert row["lon"] == pytest.approx(-(19 + 21.59 / 60))
    assert row["volume"] == 357
    assert found.findings["check"].tolist() == ["volume"]  # fractioned on board, as its comment says


@given(st.data())
def test_spoiled_files_give_a_sample_or_one_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("z")
    raw = bytearray(META.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        found = zooprocess.read_zooprocess([source(folder, bytes(raw))])
    except UserError as error:
        assert "\n" not in str(error)
        return
    row = found.samples.iloc[0]
    assert (
        abs(row["lat"]) <= 90
        and abs(row["lon"]) <= 180
        and row["volume"] > 0
        and row["depth_top"] <= row["depth_bottom"]
    )
