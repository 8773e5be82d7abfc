"""Each detector finds what it is for, and nothing in sound tables."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.tables import COUNTS, FINDINGS, OBJECTS, SAMPLES, Ingested, finding, typed
from aqqua_dist.effort.volumes import with_volumes
from aqqua_dist.readers import quality


def samples(**changes):
    table = pd.DataFrame(
        {
            "sample_id": [f"s{k}" for k in range(6)],
            "cruise": "C1",
            "instrument": "UVP5",
            "time": pd.date_range("2019-06-01 03:20", periods=6, freq="7h"),
            "lat": [40.0, 41, 42, 43, 10, -3],
            "lon": [-30.0, -29, -28, -27, 179, -179],
            "depth_top": 0.0,
            "depth_bottom": 200.0,
            "volume": [2.0, 2.1, 1.9, 2.2, 2.4, 1.8],
            "n_images": 4000,
        }
    )
    for name, value in changes.items():
        table[name] = value
    return typed(table, SAMPLES)


def objects(**changes):
    table = pd.DataFrame(
        {
            "object_id": [f"o{k}" for k in range(40)],
            "sample_id": np.repeat(["s0", "s1"], 20),
            "label": "Copepoda",
            "status": "validated",
            "pixel": 88.0,
        }
    )
    for name, value in changes.items():
        table[name] = value
    return typed(table, OBJECTS)


def counts(n=3.0, sample="s0"):
    return typed(pd.DataFrame({"sample_id": [sample], "taxon": "Copepoda", "n": [n], "method": "validated"}), COUNTS)


def found(**tables):
    given = {"samples": samples()} | tables
    return quality.examine(Ingested(**given))[["check", "message"]].to_numpy().tolist()


def first(**changes):
    """A column of six values of which only the first is changed."""
    ((name, value),) = changes.items()
    return {name: [value, *samples()[name].tolist()[1:]]}


def test_sound_tables_have_no_finding():
    assert found(objects=objects(), counts=counts()) == []


@pytest.mark.parametrize(
    ("changes", "check", "message"),
    [
        (first(lat=np.nan), "position", "1 samples (s0) have no position"),
        ({"lat": 0.0, "lon": 0.0}, "position", "lie at 0 N, 0 E"),
        (
            first(lat=47.0) | first(lon=10.0),
            "position",
            "1 samples (s0) lie on land, first 47 N, 10 E; a sign of the longitude?",
        ),
        (first(depth_bottom=99999.0), "sentinel", "depth_bottom 99999, which often stands for none"),
        (first(volume=9999.0), "sentinel", "volume 9999"),
        (first(depth_top=500.0), "depth", "begin below their end"),
        (first(depth_bottom=np.nan), "depth", "no depth range"),
        (
            {"time": pd.date_range("2019-06-01 12:00", periods=6)},
            "time",
            "all 6 samples were taken at 12:00:00; a default?",
        ),
        (first(time=pd.NaT), "time", "have no time"),
        (first(volume=0.0), "volume", "have a volume of 0 m3"),
        (first(volume=np.nan), "volume", "have no sampled volume"),
        ({"volume": 2.0}, "volume", "all 6 samples have the same volume, 2 m3"),
        ({"instrument": "ZooScan", "volume": [357000.0, 300, 310, 320, 330, 340]}, "volume", "filtered 357000 m3"),
        ({"n_images": 0}, "volume", "have a volume and no image"),
    ],
)
def test_samples(changes, check, message):
    rows = found(samples=samples(**changes))
    assert [row for row in rows if row[0] == check and message in row[1]], rows


def test_the_same_water_twice():
    table = pd.concat([samples(), samples().iloc[[2]].assign(sample_id="again", cruise="C2")], ignore_index=True)
    ((check, message),) = found(samples=table)
    assert check == "duplicate"
    assert "first s2 and again" in message


@pytest.mark.parametrize(
    ("changes", "check", "message"),
    [
        (
            {"status": ["validated"] * 15 + ["predicted"] * 5 + ["validated"] * 20},
            "status",
            "1 samples are validated in part, least 75 % in s0",
        ),
        ({"status": "predicted"}, "status", "2 samples hold no validated object"),
        ({"label": ["Copepoda"] * 14 + ["fiber<detritus"] * 6 + ["Copepoda"] * 20}, "artefacts", "most 30 % in s0"),
        ({"pixel": 0.0106}, "pixel", "40 objects have a pixel of 0.0106 µm"),
    ],
)
def test_objects(changes, check, message):
    rows = found(objects=objects(**changes))
    assert [row for row in rows if row[0] == check and message in row[1]], rows


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"counts": counts(1.5)}, "no whole numbers, first 1.5"),
        ({"counts": counts(-1)}, "1 counts are negative"),
        (
            {"counts": counts(), "samples": samples(**first(volume=np.nan))},
            "1 counts belong to samples without a volume",
        ),
    ],
)
def test_counts(given, message):
    assert [row for row in found(**given) if row[0] == "count" and message in row[1]]


def test_findings_of_the_reader_come_first_and_the_report_shows_all():
    read = typed(
        pd.DataFrame(
            [finding("repaired", "longitude", "2 longitudes | brought to range.", file="a.tsv", row=7, column="lon")]
        ),
        FINDINGS,
    )
    whole = quality.examine(Ingested(samples(volume=2.0), findings=read))
    assert whole["check"].tolist() == ["longitude", "volume"]
    text = quality.report(whole, samples(volume=2.0))
    assert "6 samples, 6 with a sampled volume (12 m3 in all), 1 cruises." in text
    assert r"| longitude | 2 longitudes \| brought to range. | a.tsv | 7 | lon |" in text
    assert text.index("## Refused") < text.index("Nothing.") < text.index("## Repaired") < text.index("## Suspicious")


def test_an_empty_ingest_is_examined_too():
    nothing = typed(pd.DataFrame(), SAMPLES)
    assert quality.examine(Ingested(nothing)).empty
    assert "0 samples" in quality.report(typed(pd.DataFrame(), FINDINGS), nothing)


def test_positions_of_real_cells_lie_at_sea(data_root):
    table = pd.read_csv(data_root / "drago2022" / "biomass_env_0_200m_long.csv.gz").drop_duplicates(["lat", "lon"])
    cells = typed(
        table.assign(
            sample_id=np.arange(len(table)).astype(str),
            time="2015-01-01 03:00",
            depth_top=0,
            depth_bottom=200,
            volume=2.0,
        ),
        SAMPLES,
    )
    assert [row for row in found(samples=cells) if row[0] == "position"] == []


def net(tot_vol, sub_part):
    table = pd.DataFrame(
        {
            "sample_id": ["s1"],
            "acquisition_id": "d1",
            "acq_id": "d1",
            "sample_tot_vol": tot_vol,
            "acq_sub_part": sub_part,
        }
    )
    own = typed(pd.DataFrame({"sample_id": ["s1"], "instrument": "ZooScan"}), SAMPLES)
    whole = quality.examine(with_volumes(Ingested(own, extra={"acquisitions": table})))
    return whole.query("check in ('volume', 'effort')")["message"].tolist()


def test_litres_are_told_by_the_volume_before_the_split():
    """100 000 (litres) split by 512 look like 195 m3; 100 m3 split by 2048 look like 0.05 m3 and are sound."""
    (told,) = net("100000", "512")
    assert told == "1 samples (s1): tot_vol unusual (the filtered volume lies outside 0.1-5000 m3; litres?)."
    assert net("100", "2048") == []


def test_flags_of_the_effort_are_findings_once_each():
    flags = [
        "sub_part no power of 2;fractions add",
        "sub_part no power of 2",
        "",
        "acquisitions pooled",
        "fractions add",
        "",
    ]
    told = found(samples=samples(flags=flags))
    assert [check for check, _ in told] == ["effort", "effort"]
    assert told[0][1].startswith("1 samples (s3): acquisitions pooled (several")
    assert told[1][1].startswith("2 samples (s0, s1): sub_part no power of 2 (")


def test_objects_without_a_size_are_counted_by_label():
    some = objects(esd=[100.0] * 38 + [np.nan] * 2, label=["Copepoda"] * 39 + ["Acantharia"])
    told = quality.of_objects(Ingested(samples(), some))["message"].tolist()
    assert told == [
        "2 of 40 objects have no size (Copepoda 1, Acantharia 1); biovolume and carbon of their taxa are unknown."
    ]
    assert (
        quality.of_objects(Ingested(samples(), objects()))["message"].str.startswith("all objects have no size").all()
    )
    own = objects(esd=[100.0] * 38 + [np.nan] * 2, biovolume=0.1)
    assert quality.of_objects(Ingested(samples(), own)).empty
