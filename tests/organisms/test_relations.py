"""Which relation a label takes: asked for, nearest up the tree, a user's own; and labels of several organisms."""

import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.organisms.conversions import read_conversions
from aqqua_dist.organisms.relations import parse_relation, parse_sd, relations_of, taken, untold, values_of

LINES = {"Calanus": "living>Copepoda>Calanus", "detritus": "not-living>detritus", "Copepoda": "living>Copepoda"}
PROTISTS = "menden_deuer2000_protists"


def test_labels_below_a_taxon_take_its_conversion():
    assert relations_of(list(LINES), LINES, {"Copepoda": PROTISTS}) == {"Calanus": PROTISTS, "Copepoda": PROTISTS}
    assert relations_of(list(LINES), LINES, {}) == {}
    with pytest.raises(UserError, match="taxon 'Salpida' stands in none"):
        relations_of(list(LINES), LINES, {"Salpida": PROTISTS})


@pytest.mark.parametrize(
    ("label", "line", "relation"),
    [
        ("Calanoida", "", "mcconville2017_copepoda"),
        ("Calanus", LINES["Calanus"], "mcconville2017_copepoda"),
        ("Aulacanthidae", "", "pssdb_phaeodaria"),
        ("Diatomea", "", "menden_deuer2000_diatoms"),
        ("Collodaria_colonial", "", "pssdb_collodaria_colonial"),
        ("egg<Copepoda", "", None),
        ("detritus", LINES["detritus"], None),
        ("dead<Copepoda", "", None),
        ("unclassified", "", None),
        ("chain<Bacillariophyceae", "", "menden_deuer2000_diatoms"),
    ],
)
def test_auto_takes_the_nearest_relation_up_the_tree(label, line, relation):
    assert relations_of([label], {label: line} if line else {}, {"auto": "auto"}).get(label) == relation


def test_what_was_asked_for_goes_before_auto_and_a_users_own_before_the_package(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "mine: {taxa: [Copepoda], element: carbon, form: power, a: 0.05, b: 1, source: me, uncertainty: null}\n"
    )
    own = read_conversions(path)
    labels = ["Copepoda", "Calanus", "Salpida"]
    found = relations_of(labels, LINES, {"auto": "auto", "Calanus": PROTISTS}, own)
    assert found == {"Copepoda": "mine", "Calanus": PROTISTS, "Salpida": "mcconville2017_salpida"}
    told = taken(found, LINES, own)
    assert "carbon by mine (per individual; me): Copepoda." in told and len(told) == 3


def test_labels_of_several_organisms_need_their_number_unless_the_relation_is_a_line():
    found = {
        "chain<Bacillariophyceae": "menden_deuer2000_diatoms",
        "multiple<Copepoda": "mcconville2017_copepoda",  # 0.0703 mg mm-3 whatever the number
        "multiple<Chaetognatha": "lehette2009_zooplankton",
        "Calanus": "lehette2009_zooplankton",
        "colonial<Collodaria": "pssdb_collodaria_colonial",
    }
    assert untold(found, {}) == {"chain<Bacillariophyceae", "multiple<Chaetognatha"}
    told = " ".join(taken(found, {}))
    assert "carbon is missing for 2 labels whose images show several organisms" in told
    assert "is per colony, and" not in told
    assert "per colony, and 1 of its labels are none: Noctiluca" in " ".join(
        taken({"Noctiluca": "pssdb_collodaria_colonial"}, {})
    )


def test_numbers_by_taxon_and_options():
    assert values_of(list(LINES), LINES, {"Copepoda": 0.3}) == {"Calanus": 0.3, "Copepoda": 0.3}
    assert (parse_relation("auto"), parse_relation(" A = b ")) == (("auto", "auto"), ("A", "b"))
    assert parse_sd("egg=0.3") == ("egg", 0.3)
    for text in ("Copepoda", "=0.3", "Copepoda=x", "Copepoda=-1", "Copepoda=30"):
        with pytest.raises(UserError, match="is not TAXON=SD"):
            parse_sd(text)
    with pytest.raises(UserError, match="is not TAXON=CONVERSION"):
        parse_relation("Copepoda")
