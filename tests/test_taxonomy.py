"""Labels, taxa and their numbers."""

import re
from zipfile import ZipFile

import pytest

from aqqua_dist.errors import UserError
from aqqua_dist.taxonomy import Taxon, lsid, taxa, taxon_record

DRAGO = """Acantharea Annelida Appendicularia Chaetognatha Cnidaria Cnidaria_others Collodaria_colonial Collodaria_others
Copepoda Copepoda_refit Crustacea_others Ctenophora Doliolida Eumalacostraca Foraminifera Hydrozoa_others Limacinidae
Mollusca_others Ostracoda Phaeodaria Rhizaria Rhizaria_others Siphonophorae""".split()


def test_all_labels_of_the_published_study_are_known():
    assert sorted(taxa()) == sorted(DRAGO)


@pytest.mark.parametrize("label", DRAGO)
def test_a_number_has_evidence_and_no_number_a_reason(label):
    found = taxon_record(label)
    if found.aphia_id is None:
        assert found.name == label and found.note and found.lsid == "" and found.evidence == ()
    else:
        assert re.fullmatch(r"urn:lsid:marinespecies\.org:taxname:[1-9]\d*", found.lsid)
        assert set(found.evidence) <= {"pssdb", "planktonzilla", "eol", "seabass", "worms"}
        assert len(set(found.evidence)) == 2, "a number needs two independent sources"
        assert re.fullmatch("[A-Z][a-z]+", found.name)


def test_groups_that_remain_and_unconfirmed_names_have_no_number():
    without = {label for label in DRAGO if taxon_record(label).aphia_id is None}
    assert without == {label for label in DRAGO if "_" in label} | {"Rhizaria"}
    assert "only one source" in taxon_record("Rhizaria").note


def test_numbers_are_unique():
    numbers = [t.aphia_id for t in taxa().values() if t.aphia_id]
    assert len(numbers) == len(set(numbers)) == 14


def test_names_and_numbers_agree_with_the_published_sheet(data_root):
    """Each pair is looked up in the sheet by its number: the lineage there ends in our name."""
    book = ZipFile(data_root / "formats" / "pssdb" / "plankton_annotated_taxonomy.xlsx")
    sheet = book.read("xl/worksheets/sheet1.xml").decode()
    rows = [re.sub(r"<[^>]+>", "\n", row) for row in re.findall(r"<row.*?</row>", sheet, re.S)]
    for label, taxon in taxa().items():
        if taxon.aphia_id is None:
            continue
        same = [row for row in rows if re.search(rf"{re.escape(taxon.lsid)}\s*$", row, re.M)]
        ends = {match for row in same for match in re.findall(r"(\w+)\(\w+\)\s*$", row, re.M)}
        assert ends == {taxon.name}, label


def test_homonyms_are_told_apart():
    assert taxon_record("Ctenophora").aphia_id == 1248
    assert "163921" in taxon_record("Ctenophora").note
    assert taxon_record("Acantharea").name == "Acantharia"


def test_unknown_label_is_kept_and_not_guessed():
    assert taxon_record("copepoda") == Taxon(name="copepoda", note=taxon_record("copepoda").note)
    assert "never looked up" in taxon_record("virtual taxon 1").note


@pytest.mark.parametrize("label", ["", "  ", None, 7])
def test_label_must_be_text(label):
    with pytest.raises(UserError, match=repr(label)):
        taxon_record(label)


@pytest.mark.parametrize("number", [0, -3, 1.5, "1080", True, None])
def test_number_must_be_a_number(number):
    with pytest.raises(UserError, match=re.escape(repr(number))):
        lsid(number)
