"""Plain tables by a mapping: units, times, words, and what does not fit."""

import gzip
import re

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
    """The whole file is refused, or the one sample is set aside with file and row; where both are bad, nothing is left."""
    rows = source(tmp_path, TABLE.replace(old, new))
    try:
        found = mapped.read_mapped(rows, mapping(tmp_path)).findings
        told = found.loc[found["severity"] == "refused", "message"].item()
    except UserError as error:
        told = str(error)
    assert re.search(message, told)
    assert "a.csv" in told
    assert "\n" not in told


def test_one_bad_sample_is_set_aside_and_the_other_stays(tmp_path):
    found = mapped.read_mapped(source(tmp_path, TABLE.replace("10.5,", "95,")), mapping(tmp_path))
    assert found.samples["sample_id"].tolist() == ["s2"]
    row = found.findings[found.findings["severity"] == "refused"].iloc[0]
    assert (row["row"], row["check"]) == (2, "set aside")
    with pytest.raises(UserError, match="row 2, lat: 95"):
        mapped.read_mapped(source(tmp_path, TABLE.replace("10.5,", "95,").replace("-3,", "-93,")), mapping(tmp_path))


def both(folder, samples, others, *tables):
    """A mapping of several tables, read from files."""
    (folder / "m.yaml").write_text(yaml.safe_dump({"tables": list(tables)}))
    sources = [source(folder, samples, "samples.csv"), source(folder, others, "others.csv")]
    return mapped.read_tables(sources, mapped.read_mappings(folder / "m.yaml"))


COUNTS = {
    "table": "counts",
    "columns": {"sample_id": {"column": "s"}, "taxon": {"column": "name"}, "n": {"column": "n"}},
}


def test_objects_or_counts_come_with_their_samples_in_one_mapping(tmp_path):
    got = both(tmp_path, TABLE, "id,s,name,a,st\no1,s1,Copepoda,0.5,V\no2,s2,egg,0.01,P\n", MAPPING, OBJECTS)
    assert got.objects["sample_id"].tolist() == ["s1", "s2"]
    assert got.samples["volume"].tolist() == pytest.approx([2.2, 1.6])
    got = both(tmp_path, TABLE, "s,name,n\ns1,Copepoda,3\ns2,egg,0\n", MAPPING | {"files": "samples*"}, COUNTS)
    assert got.counts["n"].tolist() == [3, 0]
    with pytest.raises(RecipeError, match="'counts'.* without 'samples'"):
        both(tmp_path, TABLE, TABLE, COUNTS)


def test_an_object_that_cannot_be_takes_its_sample_along(tmp_path):
    """A sample that lost one of its objects would be a wrong number."""
    rows = "id,s,name,a,st\no1,s1,Copepoda,0.5,V\no2,s1,egg,-1,P\no3,s2,egg,1,V\n"
    got = both(tmp_path, TABLE, rows, MAPPING, OBJECTS)
    assert (got.samples["sample_id"].tolist(), got.objects["object_id"].tolist()) == (["s2"], ["o3"])
    assert "others.csv: row 3, area: -1" in got.findings.loc[got.findings["severity"] == "refused", "message"].item()


def test_objects_of_samples_that_nobody_knows_are_told(tmp_path):
    rows = "id,s,name,a,st\no1,s1,Copepoda,0.5,V\no2,s7,egg,1,P\n"
    got = both(tmp_path, TABLE, rows, MAPPING, OBJECTS)
    assert got.objects["object_id"].tolist() == ["o1"]
    text = got.findings.loc[got.findings["severity"] == "refused", "message"].item()
    assert "row 3: sample_id 's7' is not among the 2 samples" in text


def test_one_id_of_two_animals_names_both_files_and_rows(tmp_path):
    one = source(tmp_path, "id,s,name,a,st\no1,s1,egg,0.5,V\no2,s2,egg,1,V\n", "x.csv")
    two = source(tmp_path, "id,s,name,a,st\no1,s1,egg,0.7,V\no2,s2,egg,1,V\n", "y.csv")
    (tmp_path / "m.yaml").write_text(yaml.safe_dump({"tables": [MAPPING, OBJECTS]}))
    got = mapped.read_tables([source(tmp_path), one, two], mapped.read_mappings(tmp_path / "m.yaml"))
    assert got.objects["object_id"].tolist() == ["o2"]  # the very same row twice is one object
    told = got.findings.loc[got.findings["severity"] == "refused", "message"].item()
    for piece in ("x.csv: row 2", "y.csv: row 2", "object_id 'o1'"):
        assert piece in told


IMAGES = {
    "table": "images",
    "columns": {
        "image": {"column": "path"},
        "lat": {"column": "y"},
        "lon": {"column": "x"},
        "time": {"column": "when"},
        "depth": {"column": "z", "units": "m"},
        "pixel": {"column": "px", "units": "mm"},
        "label": {"column": "class"},
        "status": {"value": "validated"},
        "labeller": {"column": "who"},
        "licence": {"column": "rights"},
        "cruise": {"column": "ocean"},
    },
}
ROWS = """path,y,x,when,z,px,class,who,rights,ocean,colour,lat
a/1.png,10,179.9,2020-01-01T10:00:00+02:00,5,0.088,Copepoda,A,CC-BY-4.0,NA,red,x
a/2.png,10,179.9,2020-01-01T08:00:00Z,7,0.088,NA,B,CC-BY-4.0,NA,,y
a/3.png,-3,-20,2020-01-02,9,0.088,egg,A,CC0-1.0,NA,blue,z
"""


def images(folder, text=ROWS, **changes):
    content = IMAGES | {"columns": IMAGES["columns"] | changes}
    return mapped.read_mapped(source(folder, text), mapping(folder, content))


def test_a_row_per_image_gives_samples_and_objects_at_once(tmp_path):
    got = images(tmp_path)
    assert got.samples["sample_id"].tolist() == ["NA_20200101T080000_10N_179.9E", "NA_20200102T000000_-3N_-20E"]
    assert got.samples["cruise"].tolist() == ["NA", "NA"]  # the North Atlantic
    assert got.samples[["depth_top", "depth_bottom"]].to_numpy().tolist() == [[5, 7], [9, 9]]
    assert got.objects["object_id"].tolist() == ["a/1.png", "a/2.png", "a/3.png"]
    assert got.objects["pixel"].tolist() == pytest.approx([88, 88, 88])
    assert got.objects["label"].fillna("none").tolist() == ["Copepoda", "none", "egg"]
    traits = got.extra["object_traits"]
    assert traits["labeller"].tolist() == ["A", "B", "A"]
    assert traits["colour"].fillna("").tolist() == ["red", "", "blue"]
    assert traits["lat"].tolist() == [10, 10, -3]
    assert traits["lat (table)"].tolist() == ["x", "y", "z"]  # a column of another meaning keeps its cells
    assert got.extra["licences"][["licence", "rows"]].to_numpy().tolist() == [["CC-BY-4.0", 2], ["CC0-1.0", 1]]
    told = got.findings.set_index("column")["message"]
    assert "3 cells of cruise hold 'NA'; kept as a name" in told["ocean"]
    assert "1 cells of label hold 'NA'; taken as missing" in told["class"]


def test_images_of_a_tow_keep_their_own_positions(tmp_path):
    text = "id,tow,y,x,v\n1,t,10,179.5,2\n2,t,12,-179.5,2\n3,u,0,0,1\n4,u,0,0,3\n"
    names = {"object_id": "id", "sample_id": "tow", "lat": "y", "lon": "x", "volume": "v"}
    content = {"table": "images", "columns": {name: {"column": column} for name, column in names.items()}}
    got = mapped.read_mapped(source(tmp_path, text), mapping(tmp_path, content))
    tow = got.samples.iloc[0]
    assert (tow["sample_id"], tow["lat"], abs(tow["lon"]), tow["volume"]) == ("t", 11, pytest.approx(180), 2)
    assert got.extra["object_traits"]["lon"].tolist() == [179.5, -179.5]
    told = got.findings.set_index("severity")["message"]
    assert "more than 0.2 degrees apart" in told["suspicious"]
    assert "row 5: volume 3.0 of sample 'u' differs from 1.0 in row 4" in told["refused"]


def test_decimal_commas_short_rows_and_quotes(tmp_path):
    text = '"sample";"latitude";"longitude";"volume_l";"note, of"\n"s1";"10,5";"-30";"120,5";"a;b"\n\n"s2";"11";"-30"\n'
    names = {"sample_id": "sample", "lat": "latitude", "lon": "longitude"}
    content = {"table": "samples", "columns": {name: {"column": column} for name, column in names.items()}}
    content["columns"]["volume"] = {"column": "volume_l", "units": "L"}
    got = mapped.read_mapped(source(tmp_path, text), mapping(tmp_path, content))
    assert got.samples["lat"].tolist() == [10.5, 11]
    assert got.samples["volume"].iloc[0] == pytest.approx(0.1205)
    assert pd.isna(got.samples["volume"].iloc[1])
    assert set(got.findings["column"]) == {"latitude", "volume_l"}
    with pytest.raises(UserError, match="'1,234' is not a number"):  # a thousand and more, or one and a bit?
        one = 'sample,latitude,longitude,volume_l\ns1,1,2,"1,234"\n'
        mapped.read_mapped(source(tmp_path, one), mapping(tmp_path, content))


def test_folders_of_a_partitioned_table_are_columns(tmp_path):
    folder = tmp_path / "sample_id=s%201"
    folder.mkdir()
    pd.DataFrame({"id": ["o1"], "y": [1.0], "x": [2.0]}).to_parquet(folder / "p.parquet")
    names = {"object_id": "id", "sample_id": "sample_id", "lat": "y", "lon": "x"}
    content = {"table": "images", "columns": {name: {"column": column} for name, column in names.items()}}
    got = mapped.read_mapped(Source(folder / "p.parquet"), mapping(tmp_path, content))
    assert got.samples["sample_id"].tolist() == ["s 1"]


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
