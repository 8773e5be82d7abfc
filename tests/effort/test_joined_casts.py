"""Which cast a sample of vignettes is: name, project, place and time, and what is told where nothing decides."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.effort.joined_casts import fine_bins, join_casts

DAY = pd.Timestamp("2019-11-21 01:00", tz="UTC")


def about(*rows):
    table = pd.DataFrame(rows, columns=["sample_id", "lat", "lon", "time"])
    return table.assign(instrument="UVP5", cruise=None, volume=np.nan, profile=None)


def bins(*casts):
    """Two bins of 5 m per cast (key, lat, lon, time)."""
    rows = [(key, lat, lon, time, top) for key, lat, lon, time in casts for top in (0.0, 5.0)]
    table = pd.DataFrame(rows, columns=["profile", "lat", "lon", "time", "depth_top"])
    return table.assign(
        sample_id=[f"{key}_{top:g}" for key, _, _, _, top in rows],
        depth_bottom=table["depth_top"] + 5,
        volume=0.01,
        cruise="c",
    )


def casts(*rows):
    return pd.DataFrame(rows, columns=["key", "profile", "project", "lat", "lon", "time", "offset", "override"])


def meta(**columns):
    return pd.DataFrame({"sample_id": ["s"], **{name: [text] for name, text in columns.items()}})


def joined(found):
    return found[0].set_index("sample_id")["profile"].to_dict()


def test_the_project_decides_between_casts_of_one_name():
    two = bins(("A:p", 10, 20, DAY), ("B:p", 10, 20, DAY))
    told = casts(("A:p", "p", "A", 10, 20, DAY, None, None), ("B:p", "p", "B", 10, 20, DAY, None, None))
    found = join_casts(about(("s", 10, 20, DAY)), meta(sample_profileid="p", sample_project="B"), two, told)
    assert joined(found) == {"s": "B:p"} and found[0]["joined_by"].tolist() == ["project and sample_profileid"]
    lost = join_casts(about(("s", 10, 20, DAY)), meta(sample_profileid="p"), two, told)
    assert joined(lost) == {} and "may be 2 casts, 'A:p', 'B:p', and nothing tells which" in lost[1][0]["message"]


def test_the_place_decides_between_casts_of_one_name():
    two = bins(("A:p", 10, 20, DAY), ("B:p", 40, 20, DAY))
    told = casts(("A:p", "p", "A", 10, 20, DAY, None, None), ("B:p", "p", "B", 40, 20, DAY, None, None))
    assert joined(join_casts(about(("s", 40.05, 20, DAY)), meta(sample_profileid="p"), two, told)) == {"s": "B:p"}


def test_the_time_decides_between_two_casts_of_one_place():
    later = DAY + pd.Timedelta(hours=6)
    two = bins(("A:p", 10, 20, DAY), ("B:p", 10, 20, later))
    told = casts(("A:p", "p", "A", 10, 20, DAY, None, None), ("B:p", "p", "B", 10, 20, later, None, None))
    found = join_casts(about(("s", 10, 20, later + pd.Timedelta(minutes=9))), meta(sample_profileid="p"), two, told)
    assert joined(found) == {"s": "B:p"}


def test_the_dateline_does_not_part_a_cast():
    found = join_casts(about(("p", 10, 179.99, DAY)), None, bins(("p", 10, -179.99, DAY)))
    assert joined(found) == {"p": "p"}


@pytest.mark.parametrize("move", [{"lat": 11.0}, {"lon": 21.0}, {"time": DAY + pd.Timedelta(days=3)}])
def test_a_name_alone_is_no_cast(move):
    found = join_casts(about(("p", 10, 20, DAY)).assign(**move), None, bins(("p", 10, 20, DAY)))
    assert joined(found) == {} and "another place or time" in found[1][0]["message"]


def test_a_place_with_two_samples_or_two_casts_tells_nothing():
    near = DAY + pd.Timedelta(minutes=20)
    assert joined(join_casts(about(("s", 10, 20, DAY)), None, bins(("p", 10, 20, DAY), ("q", 10, 20, near)))) == {}
    assert joined(join_casts(about(("s", 10, 20, DAY), ("t", 10, 20, near)), None, bins(("p", 10, 20, DAY)))) == {}
    assert joined(join_casts(about(("s", 10, 20, DAY)), None, bins(("p", 10, 20, DAY)))) == {"s": "p"}


@pytest.mark.parametrize(
    ("offset", "override", "own", "expected"),
    [
        (None, None, "1.2", (1.2, "acq_depthoffset")),
        ("0.8", None, "1.2", (0.8, "EcoPart")),
        ("0.8", "2.0", "1.2", (2.0, "project of EcoPart")),
        (None, None, "", (0.0, "none")),
    ],
)
def test_the_offset_of_the_project_wins(offset, override, own, expected):
    told = casts(("p", "p", "A", 10, 20, DAY, offset, override))
    found, _ = join_casts(
        about(("s", 10, 20, DAY)), meta(sample_profileid="p", acq_depthoffset=own), bins(("p", 10, 20, DAY)), told
    )
    assert tuple(found[["depth_offset", "offset_source"]].iloc[0]) == expected


def test_a_cast_over_time_has_no_bins_for_vignettes():
    hours = bins(("p", 10, 20, DAY)).assign(depth_top=100.0, depth_bottom=100.0)
    found = join_casts(about(("p", 10, 20, DAY)), None, hours)
    assert joined(found) == {} and "are no bins of depth (a cast over time)" in found[1][0]["message"]


def test_two_samples_of_one_cast_and_two_offsets_are_told():
    table = about(("s", 10, 20, DAY), ("t", 10, 20, DAY))
    both = pd.concat([meta(sample_profileid="p"), meta(sample_profileid="p").assign(sample_id="t")])
    found, told = join_casts(table, both, bins(("p", 10, 20, DAY)))
    assert found["profile"].tolist() == ["p", "p"] and any(
        "'s', 't'; their objects add" in row["message"] for row in told
    )
    both = pd.concat([meta(acq_depthoffset="1"), meta(acq_depthoffset="2")])
    found, told = join_casts(about(("s", 10, 20, DAY)), both, bins(("s", 10, 20, DAY)))
    assert found.empty and "has 2 offsets of its camera, 1, 2 m" in told[0]["message"]


def test_vignettes_need_no_coarse_bins():
    samples = pd.DataFrame(
        {
            "sample_id": ["a0", "a5", "a", "b0", "b", "n"],
            "profile": ["a", "a", "a", "b", "b", None],
            "role": ["particles", "particles", "taxa", "particles", "taxa", None],
        }
    )
    assert fine_bins(samples, ["a"])["sample_id"].tolist() == ["a0", "a5", "b", "n"]
    assert fine_bins(samples, [])["sample_id"].tolist() == ["a", "b", "n"]
