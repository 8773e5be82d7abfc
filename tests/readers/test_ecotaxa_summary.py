"""EcoTaxa's summary exports: numbers kept as they are, by status, and added to nothing."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ecotaxa_summary import read_summaries, recognises
from aqqua_dist.readers.ingest import ingest
from aqqua_dist.readers.sources import Source

KINDS = {
    "abundances_by_sample": ("abundance", "1", "count"),
    "concentrations": ("abundance", "1", "count"),
    "concentrations_by_sample": ("concentration", "m-3", "concentration"),
    "biovolumes_by_sample": ("biovolume", "mm3 m-3", "biovolume"),
    "biovolumes_by_subsample": ("biovolume", "mm3 m-3", "biovolume"),
    "summary_per_sample": ("abundance", "1", "nbr"),
}
HEAD = "sampleid\tstatus\ttaxonid\tcount\n"


def source(folder, text, name="ref.tsv"):
    (folder / name).write_text(text)
    return Source(folder / name)


@pytest.mark.parametrize("name", KINDS)
def test_every_number_of_the_servers_own_files(data_root, name):
    """The file by plain pandas beside the table, row by row."""
    path = data_root / "formats/ecotaxa/ecotaxa_back_QA/ref_exports" / name / "ref.tsv"
    quantity, unit, column = KINDS[name]
    assert recognises(Source(path))
    got = read_summaries([Source(path)])
    table, plain = got.extra["summaries"], pd.read_csv(path, sep="\t")
    np.testing.assert_array_equal(table["value"], plain[column])
    assert set(table["quantity"]) == {quantity}
    assert set(table["unit"]) == {unit}
    assert set(table["aggregated_by"]) == {"EcoTaxa"}
    words = {"V": "validated", "P": "predicted", "D": "dubious"}
    if "status" in plain:
        assert table["status"].fillna("").tolist() == plain["status"].map(words).fillna("unclassified").tolist()
    else:
        assert table["status"].isna().all()  # the old summary does not tell
        assert got.samples["lat"].tolist() == [18.0] * len(got.samples)
    assert got.objects.empty
    assert got.counts.empty
    assert got.samples["volume"].isna().all()
    assert (got.findings["check"] == "aggregated").sum() == 1


def test_they_are_not_added_to_objects_of_the_same_sample(tmp_path):
    names = "object_id\tobject_lat\tobject_lon\tobject_date\tobject_time\tobject_annotation_status\tobject_annotation_category\tsample_id\tacq_id"
    (tmp_path / "ecotaxa_a.tsv").write_text(f"{names}\no1\t10\t-20\t20200101\t120000\tvalidated\tCopepoda\ts1\ta1\n")
    source(tmp_path, HEAD + "s1\tV\tCopepoda\t7\ns2\tV\tCopepoda\t2\n")
    done = ingest([tmp_path], tmp_path / "out", progress=False)
    assert done.n_objects == 1
    assert len(done.tables.counts) == 0
    assert sorted(done.tables.samples["sample_id"]) == ["s1", "s2"]
    table = files.read_parquet(tmp_path / "out" / "summaries.parquet")
    assert table["value"].tolist() == [7, 2]
    told = done.tables.findings["message"]
    assert told.str.contains("2 numbers of abundance \\(2 validated\\) were added up by EcoTaxa").any()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("s1\tV\tx\tmany\n", "row 2, column 'count': 'many' is not a number"),
        ("s1\tV\tx\t-1\n", "'-1' is below 0"),
        ("s1\tQ\tx\t1\n", "'Q' is none of V, P, D"),
        ("s1\tV\tx\t1\ns1\tV\tx\t2\n", "row 3: .* stands twice"),
        ("\tV\tx\t1\n", "name of the sample_id"),
    ],
)
def test_what_is_wrong_is_refused_with_its_row(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        read_summaries([source(tmp_path, HEAD + rows)])


def test_one_bad_summary_is_set_aside(tmp_path):
    good = source(tmp_path, HEAD + "s1\tV\tx\t3\n", "good.tsv")
    got = read_summaries([good, source(tmp_path, HEAD + "s1\tV\tx\tmany\n", "bad.tsv")])
    assert got.extra["summaries"]["value"].tolist() == [3]
    assert got.findings["check"].tolist().count("set aside") == 1


def test_a_missing_number_is_told(tmp_path):
    got = read_summaries([source(tmp_path, HEAD.replace("count", "biovolume") + "s1\tV\tx\tnan\ns1\tV\ty\t2\n")])
    assert got.extra["summaries"]["value"].isna().tolist() == [True, False]
    assert got.findings["message"].str.contains("1 numbers of biovolume are missing").any()
