"""Labels of images summed to taxa: totals with their descendants, whatever else was asked for."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.statuses import status_of
from aqqua_dist.core.tables import is_unlabelled, refuse_unknown_statuses, summed
from aqqua_dist.organisms import taxonomy
from aqqua_dist.organisms.rollup import goals, overlap_sentence, overlaps, taxon_counts

COPEPODA = "living>Eukaryota>Metazoa>Crustacea>Copepoda"
LINES = {
    "Calanidae": f"{COPEPODA}>Calanoida>Calanidae",
    "egg<Copepoda": f"{COPEPODA}>egg",
    "Ostracoda": "living>Eukaryota>Metazoa>Crustacea>Ostracoda",
    "fiber<detritus": "not-living>detritus>fiber",
    "multiple<Copepoda": f"{COPEPODA}>multiple<Copepoda",
    "t001": "temporary>t001",
}
LIVING = sorted(
    name for name, taxon in taxonomy.read_taxa().items() if taxon.living and taxonomy.canonical(name) == name
)[:400]


def table(**n):
    return pd.DataFrame({"sample_id": "s1", "taxon": list(n), "n": [float(k) for k in n.values()], "biovolume": 1.0})


COUNTS = table(**{"Calanidae": 8, "egg<Copepoda": 9, "Ostracoda": 3, "fiber<detritus": 70})


def numbers(*taxa, counts=COUNTS, lines=LINES, **more):
    found = taxon_counts(counts, lines, list(taxa), **more)
    return dict(zip(found["taxon"], found["n"], strict=True))


def test_a_taxon_is_the_total_with_its_descendants():
    """Crustacea was 3 beside Copepoda and 11 alone: the number of a taxon hung on what else was asked for."""
    assert numbers("Crustacea", "Copepoda") == {"Copepoda": 8, "Crustacea": 11}
    assert numbers("Crustacea") == {"Crustacea": 11} and numbers("living") == {"living": 11}
    assert numbers("living", "Crustacea") == {"living": 11, "Crustacea": 11}


def test_eggs_and_the_dead_count_for_what_they_are_only():
    assert numbers("Copepoda", leave_out=()) == {"Copepoda": 17}
    assert numbers("egg", "Copepoda") == {"egg": 9, "Copepoda": 8} and numbers("egg<Copepoda") == {"egg<Copepoda": 9}
    assert numbers("detritus", "fiber<detritus", "not-living") == dict.fromkeys(
        ["fiber<detritus", "detritus", "not-living"], 70
    )
    dead = {"dead<Copepoda": f"{COPEPODA}>dead", "Calanidae": LINES["Calanidae"]}
    assert numbers("Copepoda", counts=table(**{"dead<Copepoda": 5, "Calanidae": 2}), lines=dead) == {"Copepoda": 2}


def test_overlapping_taxa_are_told():
    goal = goals(COUNTS["taxon"], LINES, ["Crustacea", "Copepoda", "Ostracoda"])
    assert overlaps(goal) == [("Crustacea", "Copepoda"), ("Crustacea", "Ostracoda")]
    assert "Crustacea holds Copepoda, Crustacea holds Ostracoda" in overlap_sentence(goal)
    assert overlap_sentence(goals(COUNTS["taxon"], LINES, ["Copepoda", "Ostracoda"])) == ""


def test_short_names_of_different_things_are_refused_with_the_candidates():
    lines = {"like<Copepoda": f"{COPEPODA}>like", "like<Thecosomata": "living>Mollusca>Thecosomata>like"}
    counts = table(**{"like<Copepoda": 3, "like<Thecosomata": 4})
    with pytest.raises(
        UserError, match=r"'like' is the name of 2 different .* \['like<Copepoda', 'like<Thecosomata'\]"
    ):
        numbers("like", counts=counts, lines=lines)
    assert numbers("like<Copepoda", counts=counts, lines=lines) == {"like<Copepoda": 3}
    same = {"a": "living>Maxillopoda>Copepoda>a", "b": "Biota>Animalia>Copepoda>b"}  # two releases of one tree
    assert numbers("Copepoda", counts=table(a=1, b=2), lines=same) == {"Copepoda": 3}


def test_a_name_that_nobody_has_is_refused_and_one_that_was_not_counted_is_known():
    with pytest.raises(UserError, match="taxon 'Thecosomata' stands in none of the 4 labels"):
        numbers("Thecosomata")
    assert numbers("Thecosomata", labels=["Thecosomata"]) == {}
    with pytest.raises(UserError, match=r"taxa \['Copepoda'\] stand twice"):
        numbers("Copepoda", "Copepoda")


def test_labels_without_a_hierarchy_are_taken_by_their_words_and_the_table():
    counts = table(**{"Calanoida<Copepoda": 4, "living>Copepoda>Oithona": 2, "Oithona": 1, "Ostracoda": 8})
    assert numbers("Copepoda", "Crustacea", counts=counts, lines={}) == {"Copepoda": 7, "Crustacea": 13}
    with pytest.warns(
        MethodWarning, match=r"1 labels have no known parent and are left out of the sums, such as \['blob'\]"
    ):
        assert numbers("Copepoda", counts=table(Copepoda=1, blob=2), lines={}) == {"Copepoda": 1}


def test_a_synonym_stands_for_its_taxon():
    counts = table(**{"Metazoa": 1, "Animalia": 2, "Copepoda": 4, "Radiozoa": 8, "Tripos fusus": 16})
    found = numbers("Metazoa", "Radiolaria", "Neoceratium", counts=counts, lines={})
    assert found == {"Metazoa": 7, "Radiolaria": 8, "Neoceratium": 16}
    with pytest.raises(UserError, match="taxa 'Animalia' and 'Metazoa' are the same taxon"):
        numbers("Animalia", "Metazoa", counts=counts, lines={})


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(LIVING), st.integers(0, 9)), min_size=1, max_size=20),
    st.lists(st.sampled_from(LIVING), max_size=6, unique=True),
)
def test_a_taxon_is_its_descendants_by_the_table(rows, asked):
    counts = pd.DataFrame(rows, columns=["sample_id", "taxon", "n"]).assign(biovolume=1.0)
    found = taxon_counts(
        counts, {}, ["Biota", *(name for name in asked if name != "Biota")], labels=asked, leave_out=()
    )
    for name in asked:
        reach = taxonomy.descendants(name) | {name}
        assert found.loc[found["taxon"] == name, "n"].sum() == counts.loc[counts["taxon"].isin(reach), "n"].sum()


def test_a_sum_of_which_a_part_is_unknown_is_unknown():
    """Calanus 1.0 and Oithona NaN were 1.0."""
    rows = pd.DataFrame({"k": ["a", "a", "b", None], "n": [1, 2, 3, 4], "biovolume": [1.0, None, 2.0, 5.0]})
    got = summed(rows, ["k"], ["n", "biovolume"])
    assert got["n"].tolist() == [3, 3, 4] and got["biovolume"].isna().tolist() == [True, False, False]


def test_one_vocabulary_of_statuses_and_of_no_label():
    words = {"V": "validated", "Predicted": "predicted", " d ": "dubious", "": "unclassified", "NaN": "unclassified"}
    assert {word: status_of(word) for word in words} == words and status_of(None) == "unclassified"
    with pytest.raises(UserError, match="p.parquet, column 'status': 'valid' in 3 rows is unknown"):
        refuse_unknown_statuses({"validated": 2, "valid": 3}, "p.parquet")
    assert all(map(is_unlabelled, (None, "", " ", "nan", "NaN", "None"))) and not is_unlabelled("Nannoplankton")
