"""Tables of a folder: those that the call wrote, and no others."""

import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import write_parquet
from aqqua_dist.core.provenance import Provenance
from aqqua_dist.core.table_folder import TableFolder, standing

ORIGIN = Provenance("s", "t", "k")


def test_tables_of_an_earlier_call_are_not_taken_for_those_of_this_one(tmp_path):
    for name in ("old", "again"):
        write_parquet(pd.DataFrame({"a": [1]}), tmp_path / f"{name}.parquet", ORIGIN)
    before = standing(tmp_path, tmp_path / "below")
    write_parquet(pd.DataFrame({"a": [1]}), tmp_path / "again.parquet", ORIGIN)
    write_parquet(pd.DataFrame({"a": [2]}), tmp_path / "below" / "new.parquet", ORIGIN)
    found = TableFolder.written(tmp_path, before, ["1 <row>"], tmp_path / "below")
    assert sorted(found) == ["again", "new"]
    assert found["new"]["a"].tolist() == [2]
    assert "old" not in found and found.get("old") is None and found.get("new") is not None
    assert repr(found).splitlines()[1] == "1 <row>"
    assert "1 &lt;row&gt;" in found._repr_html_()


def test_a_slip_in_a_name_is_told(tmp_path):
    write_parquet(pd.DataFrame({"a": [1]}), tmp_path / "samples.parquet", ORIGIN)
    with pytest.raises(UserError, match="'sample' was not written .* did you mean 'samples'"):
        TableFolder.written(tmp_path, {})["sample"]
