"""What labels are taken for: numbers of WoRMS, parents, homonyms, sources and near names."""

import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.organisms.lookup import look_up, near_names, sentences


def test_a_known_taxon():
    found = look_up("Copepoda")
    assert (found.known, found.label.record.aphia_id, found.label.record.rank) == ("Copepoda", 1080, "Class")
    assert found.parents == ("Crustacea", "Arthropoda", "Animalia", "Biota")
    assert found.understood
    text = "\n".join(sentences("Copepoda", found))
    assert "Copepoda, AphiaID 1080, Class, living" in text
    assert "number in 2 sources: pssdb, planktonzilla" in text


@pytest.mark.parametrize(
    ("label", "known", "qualifier", "living"),
    [
        ("egg<Copepoda", "Copepoda", "egg", True),
        ("copepoda", "Copepoda", "", True),
        ("living>Crustacea>Copepoda", "Copepoda", "", True),
        ("detritus", "detritus", "", False),
        ("Tomopteris_spp.", "Tomopteris", "", True),
    ],
)
def test_spellings_and_qualifiers(label, known, qualifier, living):
    found = look_up(label)
    assert (found.known, found.label.qualifier, found.label.living) == (known, qualifier, living)


def test_numbers_of_one_source_are_told_and_not_used():
    found = look_up("Acartia")
    assert (found.one_source, found.label.record.aphia_id) == ("pssdb", None)
    assert sentences("Acartia", found)[-1] == "  number in 1 source only, so it is not used: pssdb"
    assert look_up("Copepoda").one_source == ""


def test_homonyms_and_names_that_look_like_one():
    """The species `Dinophysis tripos` is not of the genus Tripos."""
    found = look_up("tripos<Dinophysis")
    assert (found.known, found.homonym, found.understood) == ("", "Tripos", False)
    assert found.parents[0] == "Dinophysis"
    assert "  homonym: 'Tripos' of the table is another taxon" in sentences("tripos<Dinophysis", found)[1]
    assert look_up("Tripos").homonym == ""
    other = look_up("Copepoda", "living>Plantae>Bacillariophyta>Copepoda")
    assert (other.known, other.homonym, other.label.record.aphia_id) == ("", "Copepoda", None)


def test_synonyms_are_shown_with_their_taxon():
    found = look_up("Radiolaria")
    assert (found.label.record.name, found.label.record.aphia_id) == ("Radiozoa", 582421)
    assert "Radiozoa" in found.synonyms
    assert "Radiolaria" in look_up("Radiozoa").synonyms


def test_unknown_names_come_with_near_ones():
    found = look_up("Copepods")
    assert not found.understood
    assert found.near[0] == "Copepoda"
    assert near_names("Acartia danae")[0] == "Acartia"  # the genus first
    assert near_names("qqqq") == ()
    assert "no name of the table is near" in sentences("qqqq", look_up("qqqq"))[0]


@pytest.mark.parametrize("label", ["t001", "egg", "not-living>detritus>unheard"])
def test_words_that_are_no_taxon_are_understood(label):
    assert look_up(label).understood
    assert sentences(label, look_up(label))[0].startswith(f"{label}: ")


@pytest.mark.parametrize("label", ["", "  ", "<>"])
def test_nothing_is_refused(label):
    with pytest.raises(UserError, match="is empty"):
        look_up(label)
