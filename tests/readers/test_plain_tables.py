"""Plain tables: what is read, what is refused, how rows are pooled."""

import csv
import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers import plain_tables
from aqqua_dist.training.cells import average_rows

CSV = "lat,lon,carbon,taxon\n10.5,-20,1.5,Copepoda\n-3,170,NA,Rhizaria\n0,0,0, Salpida \n"
COLUMNS = {"lat": "lat", "lon": "lon", "y": "carbon", "taxon": "taxon"}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)


def read(path, columns=COLUMNS):
    return plain_tables.read_columns(path, columns, text=("taxon",))


def written(folder, name, content):
    path = folder / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.csv.gz", CSV),
        ("a.tsv", CSV.replace(",", "\t")),
        ("a.txt", CSV.replace(",", ";")),
        ("a.txt", CSV.replace(",", "\t")),
        ("a.csv", "\ufeff" + CSV),
        ("a.csv", CSV.replace("\n", "\r\n")),
        ("a.csv", CSV.replace("NA", "")),
        ("a.CSV", CSV.replace("NA", "nan")),
    ],
)
def test_the_same_table_in_many_forms(tmp_path, name, content):
    found = read(written(tmp_path, name, content))
    assert found["lat"].tolist() == [10.5, -3, 0]
    assert found["y"].tolist()[::2] == [1.5, 0]
    assert np.isnan(found["y"][1])
    assert found["taxon"].tolist() == ["Copepoda", "Rhizaria", "Salpida"]


def test_parquet_is_read_alike(tmp_path):
    frame = pd.DataFrame(
        {"lat": [1, 2], "lon": [3.5, 4], "carbon": pd.array([1, None], dtype="Int64"), "taxon": ["a", "b"]}
    )
    frame.to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    assert found["lat"].dtype == float
    assert np.isnan(found["y"][1])


@settings(deadline=None, max_examples=40)
@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_numbers_come_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("t") / "a.csv"
    pd.DataFrame({"x": values}).to_csv(path, index=False)
    assert plain_tables.read_columns(path, {"y": "x"})["y"].tolist() == values


def test_every_missing_column_is_named_at_once(tmp_path):
    with pytest.raises(UserError) as error:
        read(written(tmp_path, "a.csv", CSV), COLUMNS | {"effort": "volume", "y": "carbonn"})
    assert "column 'carbonn' (for y) is missing, did you mean 'carbon'; column 'volume' (for effort) is missing" in str(
        error.value
    )
    assert "the file has 'lat', 'lon', 'carbon', 'taxon'" in str(error.value)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (
            CSV.replace("1.5", "1,5").replace("10.5,-20", "10.5,-20").replace("1,5", '"1,5"'),
            "row 2, column 'carbon': '1,5' is not a number (a decimal comma?)",
        ),
        (CSV.replace("1.5", "<0.1"), "row 2, column 'carbon': '<0.1' is not a number"),
        (CSV.replace("170", "43°0 0"), "row 3, column 'lon': '43°0 0' is not a number"),
        (CSV.replace("1.5", "inf"), "row 2, column 'carbon'"),
        (CSV.replace("lon,carbon", "lon,lat"), "column 'carbon' (for y) is missing"),
        (CSV + "1,2,3,4,5,6\n", "cannot be read"),
        (CSV.encode() + b"\xff\xfe,1,2,3\n", "is not UTF-8 text"),
        ("", "cannot be read"),
        ("lat,lon,carbon,taxon\n", "0 rows"),
    ],
)
def test_what_cannot_be_read_is_shown(tmp_path, content, shown):
    path = written(tmp_path, "a.csv", content)
    with pytest.raises(UserError) as error:
        read(path)
    assert str(path) in str(error.value)
    assert shown in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("extra", [",", ",7", ",7,8"])
def test_rows_longer_than_the_header_never_shift_the_columns(tmp_path, extra):
    """A parser that takes the first cells as row names would read every number from the wrong column."""
    header, *rows = CSV.strip().split("\n")
    path = written(tmp_path, "a.csv", "\n".join([header, *(row + extra for row in rows)]) + "\n")
    if extra == ",":  # a separator at the end of each line
        assert read(path)["lat"].tolist() == [10.5, -3, 0]
        return
    with pytest.raises(UserError, match="a.csv: the table cannot be read"):
        read(path)


def test_a_broken_archive_and_a_folder_are_one_sentence(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(b"no gzip")
    (tmp_path / "b.csv").mkdir()
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    for name in ("a.csv.gz", "b.csv", "c.parquet"):
        with pytest.raises(UserError, match="cannot be read"):
            read(tmp_path / name)


def test_positions_are_brought_to_one_convention():
    found = plain_tables.check_positions(pd.DataFrame({"lat": [0.0, 90], "lon": [359.0, 10]}), "a.csv")
    assert found["lon"].tolist() == [-1, 10]
    assert found.attrs["repairs"] == ["a.csv: 1 longitudes of 180-360 degrees east brought to [-180, 180)"]
    edge = plain_tables.check_positions(pd.DataFrame({"lat": [0.0, 0], "lon": [180.0, -10]}), "a.csv")
    assert (edge["lon"].tolist(), edge.attrs["repairs"]) == ([-180, -10], [])


@pytest.mark.parametrize(
    ("keys", "weights", "expected"),
    [
        (["lat"], None, [2.0, 7.0]),
        (["lat"], [1.0, 3.0, 2.0], [(1 * 1 + 3 * 3) / 4, 7.0]),
    ],
)
def test_rows_are_pooled_by_volume(keys, weights, expected):
    """Sum of content over sum of volume, not a mean of concentrations (methods of UVP zone concentrations)."""
    table = pd.DataFrame({"lat": [1.0, 1, 2], "y": [1.0, 3, 7], "taxon": ["a", "a", "b"]})
    if weights:
        table["effort"] = weights
    found = average_rows(table, keys)
    assert found["y"].tolist() == pytest.approx(expected)
    assert found["n_samples"].tolist() == [2, 1]
    assert found["taxon"].tolist() == ["a", "b"]
    if weights:
        assert found["effort"].tolist() == [4, 2]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1e3), st.floats(0.1, 10)), min_size=1, max_size=30))
def test_pooling_keeps_the_content_and_the_volume(rows):
    table = pd.DataFrame(rows, columns=["lat", "y", "effort"])
    found = average_rows(table, ["lat"])
    assert found["effort"].sum() == pytest.approx(table["effort"].sum())
    assert (found["y"] * found["effort"]).sum() == pytest.approx((table["y"] * table["effort"]).sum())
    assert found["n_samples"].sum() == len(table)


def test_zeros_and_gaps_are_not_the_same():
    table = pd.DataFrame({"y": [0.0, np.nan, 2.0], "lat": 0.0, "lon": 0.0})
    found = plain_tables.check_response(table, "a.csv")
    assert found["y"].tolist() == [0, 2]
    assert found.attrs["repairs"] == ["a.csv: 1 rows without a response dropped"]


def test_published_tables_are_read_whole(data_root):
    """23 taxa in 892 cells and 16 in 780 (Drago et al. 2022, doi 10.3389/fmars.2022.894372)."""
    for name, taxa, cells in (("0_200m", 23, 892), ("200_500m", 16, 780)):
        path = data_root / "drago2022" / f"biomass_env_{name}_long.csv.gz"
        found = plain_tables.read_columns(
            path, {"lat": "lat", "lon": "lon", "y": "biomass_sph", "taxon": "taxon"}, text=("taxon",)
        )
        assert found["taxon"].nunique() == taxa
        assert len(found.drop_duplicates(["lat", "lon"])) == cells
        assert len(plain_tables.check_response(plain_tables.check_positions(found, path), path)) == taxa * cells


@pytest.mark.parametrize(
    "content",
    [
        '"lat","lon","carbon","taxon"\n10.5,-20,1.5,"Copepoda"\n-3,170,NA,"Rhizaria"\n0,0,0,"Salpida"\n',
        '"lat";"lon";"carbon";"taxon"\n"10,5";"-20";"1,5";"Copepoda"\n"-3";"170";"";"Rhizaria"\n0;0;0;"Salpida"\n',
        'lat;lon;carbon;taxon;"note; more"\n10,5;-20;1,5;Copepoda\n\n-3;170;NaN;Rhizaria;x\n0;0;0;Salpida;"a\nb"\n',
        ("lat\tlon\tcarbon\ttaxon\n10.5\t-20\t1.5\tCopepoda\n-3\t170\t\tRhizaria\n0\t0\t0\tSalpida\n").encode("utf-16"),
    ],
)
def test_tables_of_r_of_spreadsheets_and_with_short_rows(tmp_path, content):
    found = read(written(tmp_path, "a.csv", content))
    assert found["lat"].tolist() == [10.5, -3, 0]
    assert found["y"].fillna(-1).tolist() == [1.5, -1, 0]
    assert found["taxon"].tolist() == ["Copepoda", "Rhizaria", "Salpida"]


def test_a_published_table_written_by_r(data_root):
    """write.csv quotes every name; the numbers are those of Python's own csv reader."""
    path = data_root / "biard2016" / "rhizaria_biomtop200_data.csv"
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = plain_tables.read_columns(path, {"lat": "Latitude", "lon": "Longitude", "y": "Collodaria_.mgC.m2."})
    assert len(found) == len(rows) == 828
    assert found["y"].tolist() == [float(row["Collodaria_.mgC.m2."]) for row in rows]
    assert found["lat"].tolist() == [float(row["Latitude"]) for row in rows]


def test_words_for_none_in_names_are_never_taken_silently(tmp_path):
    path = written(tmp_path, "a.csv", "cruise,taxon,y\nNA,NA,1\nNAtl,egg,NA\n,egg,3\n")
    found = plain_tables.read_columns(path, {"cruise": "cruise", "taxon": "taxon", "y": "y"}, text=("cruise", "taxon"))
    assert found["cruise"].fillna("-").tolist() == ["NA", "NAtl", "-"]
    assert found["taxon"].fillna("-").tolist() == ["-", "egg", "egg"]
    cruise, taxon = found.attrs["repairs"]
    assert "1 cells of column 'cruise' hold 'NA', kept as a name" in cruise
    assert "1 cells of column 'taxon' hold 'NA', taken as missing" in taxon
