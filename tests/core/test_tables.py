"""The three tables that every reader returns."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core import tables
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import Ingested, finding, joined, of_types, typed

SAMPLES = typed(
    pd.DataFrame(
        {"sample_id": ["a", "b"], "lat": [1, "2.5"], "time": ["2020-01-01 12:00", None], "n_images": [3, None]}
    ),
    tables.SAMPLES,
)


def test_columns_types_and_order_are_fixed():
    assert list(SAMPLES) == list(tables.SAMPLES)
    assert SAMPLES["lat"].tolist() == [1.0, 2.5]
    assert SAMPLES["time"].iloc[0] == pd.Timestamp("2020-01-01 12:00", tz="UTC")
    assert SAMPLES["volume"].isna().all()
    assert SAMPLES.dtypes.astype(str).to_dict() == tables.SAMPLES
    for columns in (tables.SAMPLES, tables.OBJECTS, tables.COUNTS, tables.FINDINGS):
        assert typed(pd.DataFrame(), columns).dtypes.astype(str).to_dict() == columns


def test_a_word_is_no_number():
    with pytest.raises((UserError, ValueError), match="high"):
        typed(pd.DataFrame({"lat": ["high"]}), tables.SAMPLES)


def test_objects_and_counts_belong_to_samples():
    with pytest.raises(UserError, match="counts: sample_id 'c' is not among the 2 samples"):
        Ingested(SAMPLES, counts=typed(pd.DataFrame({"sample_id": ["a", "c"], "n": 1}), tables.COUNTS))
    with pytest.raises(UserError, match="sample_id 'a' stands more than once"):
        Ingested(pd.concat([SAMPLES, SAMPLES.iloc[:1]]))


def test_parts_are_joined_and_samples_without_counts_stay():
    other = SAMPLES.assign(sample_id=["c", "d"])
    counts = typed(pd.DataFrame({"sample_id": ["c"], "taxon": "x", "n": 2}), tables.COUNTS)
    whole = joined([Ingested(SAMPLES), Ingested(other, counts=counts, extra={"taxa": pd.DataFrame({"taxon": ["x"]})})])
    assert whole.samples["sample_id"].tolist() == ["a", "b", "c", "d"]
    assert whole.counts["n"].tolist() == [2]
    assert whole.extra["taxa"]["taxon"].tolist() == ["x"]
    assert whole.samples.dtypes.astype(str).to_dict() == tables.SAMPLES
    with pytest.raises(UserError, match="0 sources to join"):
        joined([])
    with pytest.raises(UserError, match="stands more than once"):
        joined([Ingested(SAMPLES), Ingested(SAMPLES)])


def test_findings_have_a_place_and_a_known_severity():
    row = finding(
        "repaired", "longitude", "3 longitudes brought to [-180, 180).", file="a.tsv", column="lon", value=359.0
    )
    table = typed(pd.DataFrame([row]), tables.FINDINGS)
    assert table.loc[0, ["severity", "file", "value"]].tolist() == ["repaired", "a.tsv", "359.0"]
    with pytest.raises(UserError, match="severity 'odd' of a finding must be one of"):
        finding("odd", "x", "y")
    with pytest.raises(UserError, match=r"a finding has no \['line'\]"):
        finding("refused", "x", "y", line=3)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("volume", pd.to_datetime(["2020-01-01"]), "column 'volume' holds datetime64.*'2020-01-01.*needed are numbers"),
        ("volume", ["a lot"], "column 'volume' holds .*'a lot'; needed are numbers"),
        ("volume", [[1.0]], "column 'volume' holds object, as '\\[1.0\\]'; needed are numbers"),
        ("time", [20200101], "column 'time' holds int64, as '20200101'; needed are times"),
        ("time", ["yesterday"], ".*'yesterday'; needed are times"),
        ("sample_id", [["a"]], "column 'sample_id' holds object.*needed are text"),
        ("profile", [b"\xff"], "column 'profile' holds object.*needed are text"),
    ],
)
def test_columns_of_another_type_are_refused(name, values, message):
    with pytest.raises(UserError, match=f"x.parquet: {message}"):
        of_types(pd.DataFrame({name: values}), tables.SAMPLES, "x.parquet")


def test_numbers_and_times_in_any_spelling_are_read():
    table = pd.DataFrame(
        {
            "volume": ["1.5", None],
            "time": ["2020-01-01", "2020-01-02T03:04:05Z"],
            "own": [[1], "x"],
            "sample_id": [1, 2],
        },
        index=[7, 9],
    )
    got = of_types(table, tables.SAMPLES, "x.parquet")
    assert got["volume"].tolist()[0] == 1.5 and np.isnan(got["volume"].tolist()[1])
    assert got["time"].tolist() == [pd.Timestamp("2020-01-01", tz="UTC"), pd.Timestamp("2020-01-02 03:04:05", tz="UTC")]
    assert got["own"].tolist() == [[1], "x"]
    assert got.index.tolist() == [7, 9]
    assert of_types(table.iloc[:0], tables.SAMPLES, "x.parquet").empty
