"""Training and test rows that two files of the authors name."""

from types import SimpleNamespace

import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.training.tables import _given_split

ROWS = pd.DataFrame({"y": [0.0, 0.0, 1.0, 2.0, 0.0], "t": [3.0, 3.0, 4.0, 5.0, 3.0]})


def split(folder, train, test):
    for name, rows in (("train.csv", train), ("test.csv", test)):
        ROWS.iloc[rows].rename(columns={"y": "carbon"}).to_csv(folder / name, index=False)
    files = SimpleNamespace(train="train.csv", test="test.csv", y="carbon")
    recipe = SimpleNamespace(
        observations=SimpleNamespace(split_files=files), predictors=SimpleNamespace(names={"t": "t"})
    )
    return _given_split(SimpleNamespace(recipe=recipe, folder=folder), ROWS).tolist()


def test_equal_rows_are_matched_by_their_order(tmp_path):
    """Drago 200-500 m: zeros of neighbouring cells under one coarse climatology, one in train and one in test."""
    assert split(tmp_path, [0, 1, 2], [3, 4]) == ["train", "train", "train", "test", "test"]
    assert split(tmp_path, [2, 0], [1, 3, 4]) == ["train", "test", "train", "test", "test"]
    assert split(tmp_path, [3, 3, 0, 1, 4], [2]) == ["train", "train", "test", "train", "train"]  # a row told twice


def test_a_row_in_both_files_or_in_none_is_named(tmp_path):
    with pytest.raises(UserError, match=r"test.csv: row 3 \(response 1\) stands in both split files"):
        split(tmp_path, [0, 1, 2], [3, 2, 4])
    with pytest.raises(UserError, match="1 of 5 observations stand in neither"):
        split(tmp_path, [0, 1, 2], [3])
