"""Objects without a size: spread over the classes of the others, or the volume is unknown, and how many."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.counts.unsized import Unsized, spread

ROWS = pd.DataFrame(
    {
        "sample_id": ["s", "s", "s", "s", "t", "t"],
        "taxon": ["a", "a", "a", "b", "a", "a"],
        "method": "validated",
        "weight": 1.0,
        "n": [60.0, 36.0, 4.0, 7.0, 1.0, 1.0],
        "biovolume": [6.0, 36.0, np.nan, np.nan, 5.0, np.nan],
        "carbon": [1.0, 3.0, np.nan, np.nan, 2.0, np.nan],
    }
)


def test_nearly_all_sized_is_scaled_and_less_is_missing():
    rows, told = spread(ROWS, 0.95)
    first = rows[(rows["sample_id"] == "s") & (rows["taxon"] == "a")]
    np.testing.assert_allclose(first[["n", "biovolume", "carbon"]].sum(), [100, 42 / 0.96, 4 / 0.96])
    np.testing.assert_allclose(first["biovolume"] / first["n"], [0.1, 1.0])  # sizes stay
    assert len(rows) == 5 and rows["n"].sum() == pytest.approx(ROWS["n"].sum())
    assert (told.objects, told.samples_and_labels, told.lost, told.lost_samples_and_labels) == (4, 1, 8, 2)
    both = (told + Unsized(least=0.95)).sentences
    assert "4 objects without a size count as large as the others" in both[0] and "95%" in both[0]
    assert "8 objects without a size leave biovolume and carbon missing in 2" in both[1]


@pytest.mark.parametrize(("least", "kept"), [(1.0, 6), (0.96, 5), (0.5, 4), (0.0, 4)])
def test_the_rule_decides(least, kept):
    rows, told = spread(ROWS, least)
    assert len(rows) == kept
    assert told.objects + told.lost == 12


def test_sized_rows_are_left_as_they_are():
    rows, told = spread(ROWS.dropna())
    assert rows.equals(ROWS.dropna()) and told.sentences == []
