"""Annotations-only exports: joined to their objects, or said in a sentence."""

import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ecotaxa.export import read_ecotaxa
from aqqua_dist.readers.sources import Source

OBJECTS = "object_id\tsample_id\tobject_lat\tobject_annotation_status\tobject_annotation_category\n"
LABELS = "object_id\tobject_annotation_status\tobject_annotation_category\n[t]\t[t]\t[t]\n"


def sources(folder, objects, labels):
    (folder / "o.tsv").write_text(OBJECTS + objects)
    (folder / "a.tsv").write_text(LABELS + labels)
    return [Source(folder / "a.tsv"), Source(folder / "o.tsv")]


def test_labels_are_joined_by_object_id(tmp_path):
    rows = "o1\ts\t1\t\t\no2\ts\t1\tpredicted\tegg\no3\ts\t1\tvalidated\tfish\no4\ts\t1\tpredicted\tegg\n"
    labels = "o1\tvalidated\tCopepoda\no2\tvalidated\tCopepoda\no3\tvalidated\tSalpida\nx\tvalidated\tegg\n"
    got = read_ecotaxa(sources(tmp_path, rows, labels))
    assert got.objects["label"].tolist() == ["Copepoda", "Copepoda", "fish", "egg"]
    assert got.objects["status"].tolist() == ["validated", "validated", "validated", "predicted"]
    assert got.extra["tally"]["n"].sum() == 4
    assert set(got.extra["taxa"]["label"]) == {"Copepoda", "fish", "egg"}
    text = got.findings.loc[got.findings["check"] == "annotations", "message"].item()
    assert text == (
        "2 objects took their label from annotations; 1 of 4 annotations are of no object here, 1 differ from a label that was kept."
    )


def test_two_labels_of_one_object_name_it_and_its_rows(tmp_path):
    got = read_ecotaxa(sources(tmp_path, "o1\ts\t1\t\t\n", "o1\tvalidated\tegg\no1\tvalidated\tfish\n"))
    (text,) = got.findings.loc[got.findings["severity"] == "refused", "message"]
    assert "row 4: object 'o1' is 'fish' (validated), in row 3 'egg'" in text


def test_a_real_file_alone_is_told_what_it_is(data_root):
    path = data_root / "formats/ecotaxa/ecotaxa_back_QA/ref_exports/just_annotations/ref.tsv"
    with pytest.raises(UserError, match="labels and no objects .* joined by object_id"):
        read_ecotaxa([Source(path)])
