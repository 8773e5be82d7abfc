"""Labels of images to counts of taxa."""

import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.counts.label_counts import label_counts
from aqqua_dist.organisms.rollup import taxon_counts

COPEPODA = "living>Eukaryota>Metazoa>Crustacea>Copepoda"
LINES = {
    "Calanidae": f"{COPEPODA}>Calanoida>Calanidae",
    "egg<Copepoda": f"{COPEPODA}>egg",
    "Ostracoda": "living>Eukaryota>Metazoa>Crustacea>Ostracoda",
    "fiber<detritus": "not-living>detritus>fiber",
    "multiple<Copepoda": f"{COPEPODA}>multiple<Copepoda",
    "t001": "temporary>t001",
}


def tally(*rows):
    return pd.DataFrame(rows, columns=["sample_id", "acquisition_id", "label", "status", "n"])


TALLY = tally(
    ("s1", "d1", "Calanidae", "validated", 6),
    ("s1", "d2", "Calanidae", "validated", 2),
    ("s1", "d1", "Calanidae", "predicted", 40),
    ("s1", "d1", "egg<Copepoda", "validated", 9),
    ("s1", "d1", "Ostracoda", "validated", 3),
    ("s1", "d1", "fiber<detritus", "validated", 70),
    ("s1", "d1", None, "unclassified", 5),
    ("s1", "d1", "Calanidae", "dubious", 1),
)


def test_statuses_are_never_added_unasked():
    got = label_counts(TALLY)
    assert dict(zip(got["taxon"], got["n"], strict=True)) == {
        "Calanidae": 8,
        "egg<Copepoda": 9,
        "Ostracoda": 3,
        "fiber<detritus": 70,
    }
    both = label_counts(TALLY, statuses=("validated", "predicted")).set_index("taxon")
    assert both.loc["Calanidae", ["n", "method"]].tolist() == [48, "validated+predicted"]
    with pytest.raises(UserError, match="statuses \\['discarded'\\]"):
        label_counts(TALLY, statuses=("discarded",))


def test_acquisitions_of_different_weight_stay_apart():
    weights = pd.DataFrame({"sample_id": "s1", "acquisition_id": ["d1", "d2"], "weight": [1.0, 8.0]})
    got = label_counts(TALLY, weights).query("taxon == 'Calanidae'")
    assert got[["n", "weight"]].to_numpy().tolist() == [[6, 1], [2, 8]]


def test_labels_go_to_the_nearest_taxon_above_and_count_once():
    counts = label_counts(TALLY)
    got = taxon_counts(counts, LINES, ["Crustacea", "Copepoda"])
    assert dict(zip(got["taxon"], got["n"], strict=True)) == {
        "Copepoda": 8,
        "Crustacea": 3,
    }  # eggs are no animals, fibres none
    eggs = taxon_counts(counts, LINES, ["Copepoda"], leave_out=())
    assert eggs["n"].tolist() == [17]
    detritus = taxon_counts(counts, LINES, ["detritus", "fiber<detritus"])
    assert dict(zip(detritus["taxon"], detritus["n"], strict=True)) == {"fiber<detritus": 70}
    with pytest.raises(UserError, match="taxon 'Thecosomata' stands in none of the 4 labels"):
        taxon_counts(counts, LINES, ["Thecosomata"])


def test_labels_without_a_hierarchy_are_taken_by_their_words():
    counts = label_counts(
        tally(("s1", "", "Calanoida<Copepoda", "validated", 4), ("s1", "", "living>Copepoda>Oithona", "validated", 2))
    )
    assert taxon_counts(counts, {}, ["Copepoda"])["n"].tolist() == [6]
