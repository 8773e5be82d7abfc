"""Plain tables by a mapping: units, times, words, and what does not fit."""

import gzip

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import RecipeError, UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.core.tables import SAMPLES, typed
from aqqua_dist.readers import mapped
from aqqua_dist.readers.sources import Source

TABLE = """sample,cruise,datetime,latitude,longitude,depth_min,depth_max,volume_l,images
s1,C1,2019-06-01 12:30:00,10.5,350,0,200,2200,4000
s2,C1,2019-06-02T01:00:00Z,-3,190.5,200,500,1600,NA
"""
MAPPING = yaml.safe_load(package_data("mapping_template.yaml").read_text(encoding="utf-8"))
TWO = typed(pd.DataFrame({"sample_id": ["s1", "s2"], "lat": 0.0, "lon": 0.0}), SAMPLES)


def mapping(folder, content=MAPPING, **changes):
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(content | {"columns": content["columns"] | changes}, sort_keys=False))
    return mapped.read_mapping(path)


def source(folder, text=TABLE, name="a.csv"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Source(folder / name)


def test_the_template_reads_a_table(tmp_path):
    found = mapped.read_mapped(source(tmp_path), mapping(tmp_path))
    one, two = (found.samples.iloc[k] for k in (0, 1))
    assert (one["sample_id"], one["lat"], one["lon"], one["volume"]) == ("s1", 10.5, -10, pytest.approx(2.2))  # L to m3
    assert (two["lon"], two["volume"], two["volume_rel_sd"]) == (pytest.approx(-169.5), pytest.approx(1.6), 0.05)
    assert [str(t) for t in found.samples["time"]] == ["2019-06-01 12:30:00+00:00", "2019-06-02 01:00:00+00:00"]
    assert (one["instrument"], one["n_images"]) == ("UVP5", 4000)
    assert pd.isna(two["n_images"])
    assert found.findings["message"].tolist() == ["2 longitudes of 180-360 degrees east were brought to [-180, 180)."]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", TABLE.replace(",", "\t")),
        ("b.csv", TABLE.replace(",", ";")),
        ("c.csv", "\ufeff" + TABLE),
        ("d.csv.gz", gzip.compress(TABLE.encode())),
        ("e.csv", TABLE.replace("C1", "Ré").encode("latin-1")),
    ],
)
def test_the_same_table_in_many_forms(tmp_path, name, text):
    plain = mapped.read_mapped(source(tmp_path), mapping(tmp_path)).samples
    other = mapped.read_mapped(source(tmp_path, text, name), mapping(tmp_path)).samples
    pd.testing.assert_frame_equal(other.drop(columns=["source", "cruise"]), plain.drop(columns=["source", "cruise"]))
    assert set(other["cruise"]) <= {"C1", "Ré"}


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.DataFrame({"id": ["s1"], "lat": [1.0], "lon": [2], "when": pd.to_datetime(["2020-01-01"])})
    frame.to_parquet(tmp_path / "a.parquet")
    found = mapped.read_mapped(
        Source(tmp_path / "a.parquet"),
        mapped.Mapping.model_validate(
            {
                "table": "samples",
                "columns": {
                    "sample_id": {"column": "id"},
                    "lat": {"column": "lat"},
                    "lon": {"column": "lon"},
                    "time": {"column": "when"},
                },
            }
        ),
    )
    assert str(found.samples["time"].item()) == "2020-01-01 00:00:00+00:00"


OBJECTS = {
    "table": "objects",
    "columns": {
        "object_id": {"column": "id"},
        "sample_id": {"column": "s"},
        "label": {"column": "name"},
        "area": {"column": "a", "units": "mm2"},
        "status": {"column": "st", "values": {"V": "validated", "P": "predicted"}},
    },
}


def test_objects_with_lengths_and_words(tmp_path):
    rows = source(tmp_path, "id,s,name,a,st\no1,s1,Copepoda,0.5,V\no2,s2,detritus,0.01,P\n")
    found = mapped.read_mapped(rows, mapping(tmp_path, OBJECTS), samples=TWO).objects
    assert found["area"].tolist() == pytest.approx([5e5, 1e4])  # µm2 are pixels of 1 µm
    assert found["pixel"].tolist() == [1, 1]
    assert found["status"].tolist() == ["validated", "predicted"]
    with pytest.raises(UserError, match="without the samples that they belong to"):
        mapped.read_mapped(rows, mapping(tmp_path, OBJECTS))
    with pytest.raises(UserError, match="objects: sample_id 's2' is not among the 1 samples"):
        mapped.read_mapped(rows, mapping(tmp_path, OBJECTS), samples=TWO.iloc[:1])
    with pytest.raises(UserError, match="and a pixel size is given"):
        mapped.read_mapped(rows, mapping(tmp_path, OBJECTS, pixel={"value": 88}), samples=TWO)


def test_every_fault_of_a_mapping_is_told(tmp_path):
    with pytest.raises(RecipeError) as error:
        mapping(
            tmp_path,
            {
                "table": "samples",
                "columns": {
                    "sampel_id": {"column": "x"},
                    "lat": {"column": "y"},
                    "cruise": {"column": "c", "units": "m"},
                },
            },
        )
    shown = str(error.value)
    for piece in (
        "columns.sampel_id: samples have no such column, did you mean 'sample_id'?",
        "'sample_id' is missing",
        "'lon' is missing",
        "cruise has no unit, found 'm'",
    ):
        assert piece in shown
    with pytest.raises(RecipeError, match="give one of both"):
        mapping(tmp_path, lat={"column": "a", "value": 3})
    with pytest.raises(UserError, match="cannot be read: No such file"):
        mapped.read_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("latitude", "lattitude", r"column 'latitude' \(for lat\) is missing, did you mean 'lattitude'"),
        ("10.5,", "north,", "row 2, column 'latitude': 'north' is not a number"),
        ("10.5,", "95,", "row 2, lat: 95 is not allowed, needed is -90 to 90"),
        (",2200,", ",0,", "row 2, volume: 0 is not allowed, needed is above 0 m3"),
        (",1600,", ",-1,", "row 3, volume"),
        (",1600,", ",inf,", "'inf' is not a number"),
        ("s2,", "s1,", "row 3: sample_id 's1' stands more than once"),
        ("s2,", ",", "row 3: sample_id is missing"),
        (
            "2019-06-01 12:30:00",
            "1/6/2019",
            r"row 2, column 'datetime': '1/6/2019' is not a time of the form YYYY-MM-DD hh:mm:ss",
        ),
        (",0,200,", ",200,0,", "depth_top 200 m lies below depth_bottom 0 m"),
        (",images", ",volume_l", "stands twice|missing"),
        (TABLE, "", "cannot be read"),
        ("2200,4000", "2200,4000,7,8", "cannot be read"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, old, new, message):
    with pytest.raises(UserError, match=message) as error:
        mapped.read_mapped(source(tmp_path, TABLE.replace(old, new)), mapping(tmp_path))
    assert "a.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_word_that_is_not_mapped_and_a_wrong_unit(tmp_path):
    rows = source(tmp_path, "id,s,name,a,st\no1,s1,Copepoda,0.5,X\n")
    with pytest.raises(UserError, match=r"row 2, column 'st': 'X' is not among the mapping's \['P', 'V'\]"):
        mapped.read_mapped(rows, mapping(tmp_path, OBJECTS), samples=TWO)
    with pytest.raises(UserError, match="status: 'X' is not one of"):
        mapped.read_mapped(rows, mapping(tmp_path, OBJECTS, status={"column": "st"}), samples=TWO)
    with pytest.raises(UserError, match="'m2' cannot become 'm3'|unit 'm2'"):
        mapped.read_mapped(source(tmp_path), mapping(tmp_path, volume={"column": "volume_l", "units": "m2"}))


def test_times_in_another_form(tmp_path):
    text = TABLE.replace("2019-06-01 12:30:00", "01.06.2019 12:30").replace("2019-06-02T01:00:00Z", "02.06.2019 01:00")
    found = mapped.read_mapped(
        source(tmp_path, text), mapping(tmp_path, time={"column": "datetime", "format": "%d.%m.%Y %H:%M"})
    )
    assert str(found.samples["time"].iloc[0]) == "2019-06-01 12:30:00+00:00"


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_spoiled_tables_give_samples_or_one_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("m")
    raw = bytearray(TABLE.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        found = mapped.read_mapped(source(folder, raw), mapping(folder)).samples
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert found["lat"].between(-90, 90).all()
    assert found["lon"].between(-180, 180, inclusive="left").all()
    assert (found["volume"].dropna() > 0).all()
