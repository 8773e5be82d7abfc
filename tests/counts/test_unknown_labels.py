"""Labels of a collection that no table holds, with their counts; and the verb that lists them."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.core.errors import UserError
from aqqua_dist.counts.unknown_labels import unknown_labels


def collection(folder):
    labels = ["Copepoda", "Copepoda", "Copepods", "Copepods", "Strangea", "detritus", None, "nan", "", "egg<Strangea"]
    pq.write_table(
        pa.table({"sample_id": ["s"] * len(labels), "label": labels}),
        folder / "objects.parquet",
        row_group_size=3,
    )
    pq.write_table(
        pa.table({"label": ["Strangea"], "hierarchy": ["living>Crustacea>Strangea"]}), folder / "taxa.parquet"
    )
    counts = pd.DataFrame({"sample_id": "s", "taxon": ["Strangea", "Ostracoda"], "n": [5.5, 3.0], "weight": 1.0})
    pq.write_table(pa.Table.from_pandas(counts, preserve_index=False), folder / "counts.parquet")


def test_labels_that_are_not_known_are_listed_with_their_counts(tmp_path):
    collection(tmp_path)
    table = unknown_labels(tmp_path)
    assert dict(zip(table["label"], table["n"])) == {"Strangea": 6.5, "Copepods": 2, "egg<Strangea": 1}
    assert table["label"].tolist() == ["Strangea", "Copepods", "egg<Strangea"]
    assert table.loc[0, "hierarchy"] == "living>Crustacea>Strangea"
    assert table.loc[1, "near"].startswith("Copepoda")


def test_the_verb_lists_them_and_tells_by_its_exit_status(tmp_path):
    collection(tmp_path)
    done = CliRunner().invoke(main, ["taxa", "--missing", str(tmp_path)])
    assert done.exit_code == 1
    assert f"3 labels of {tmp_path} are not known, with 9.5 objects or animals" in done.output
    assert "6.5\tStrangea (living>Crustacea>Strangea)" in done.output
    done = CliRunner().invoke(main, ["taxa", "Copepoda", "Ostracoda"])
    assert done.exit_code == 0
    assert "AphiaID 1080" in done.output
    assert CliRunner().invoke(main, ["taxa", "Copepods"]).exit_code == 1


def test_what_cannot_be_looked_up(tmp_path):
    done = CliRunner().invoke(main, ["taxa"])
    assert (done.exit_code, "0 names are given" in done.output) == (2, True)
    with pytest.raises(UserError, match="holds no Parquet files of objects"):
        unknown_labels(tmp_path)
