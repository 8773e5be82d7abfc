"""Labels taken apart, sums over children, zeros against not searched for."""

import gzip
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist import labels
from aqqua_dist.errors import UserError

COPEPODA = "living>Eukaryota>Opisthokonta>Holozoa>Metazoa>Arthropoda>Crustacea>Maxillopoda>Copepoda"


@pytest.mark.parametrize(("text", "hierarchy", "taxon", "qualifier", "living"), [
    ("Copepoda", None, "Copepoda", "", True), ("Copepoda", COPEPODA, "Copepoda", "", True), (COPEPODA, None, "Copepoda", "", True),
    ("egg<Copepoda", None, "Copepoda", "egg", True), ("part<Ciliophora", "living>Eukaryota>Alveolata>Ciliophora>part", "Ciliophora", "part", True),
    ("copepoda-cut", COPEPODA + ">copepoda-cut", "Copepoda", "part", True), ("multiple<other", "living>other>multiple", "other", "multiple", True),
    ("Chaetoceros<Chaetocerotales", None, "Chaetoceros", "", True), ("Collodaria_colonial", None, "Collodaria", "colony", True),
    ("detritus", "not-living>detritus", "", "", False), ("fiber<detritus", "not-living>detritus>fiber", "", "", False),
    ("detritus", None, "", "", False), ("det_fiber", None, "", "", False), ("non_living/x", "non_living>other", "", "", False),
    ("Copepoda", "Biota>Animalia>Arthropoda>Copepoda", "Copepoda", "", True), ("t002", "temporary>t002", "t002", "", None), ("t002", None, "t002", "", None),
    ("othertocheck", None, "othertocheck", "", None), ("egg sac<egg", "living>other>egg>egg sac", "other", "egg", True),
    ("nauplii<Crustacea", None, "Crustacea", "larva", True), ("Neoceratium 02", None, "Neoceratium 02", "", True),
    ("badfocus<Copepoda", COPEPODA + ">badfocus", "", "", False),
])
def test_labels_by_hand(text, hierarchy, taxon, qualifier, living):
    found = labels.parse_label(text, hierarchy)
    assert (found.taxon, found.qualifier, found.living) == (taxon, qualifier, living)
    assert found.text == text


def test_one_image_is_not_always_one_animal():
    count = {text: labels.parse_label(text).individuals for text in ("Copepoda", "egg<Copepoda", "exuviae<Crustacea", "multiple<Copepoda", "part<Copepoda")}
    assert (count["Copepoda"], count["egg<Copepoda"], count["exuviae<Crustacea"]) == (1, 0, 0)
    assert np.isnan(count["multiple<Copepoda"])
    assert np.isnan(count["part<Copepoda"])


@pytest.mark.parametrize("text", ["", "  ", "<", ">", None, 3])
def test_what_is_no_label_is_refused(text):
    with pytest.raises(UserError, match="is empty or not text"):
        labels.parse_label(text)


def test_own_words_are_read_on_top(tmp_path):
    (tmp_path / "own.yaml").write_text("not_living: [Sea-snow]\nqualifiers: {Blob: part}\nroots: {gelatinous: true}\n")
    words = labels.read_words(tmp_path / "own.yaml")
    assert labels.parse_label("sea snow", words=words).living is False
    assert labels.parse_label("blob<Salpida", words=words).qualifier == "part"
    assert labels.parse_label("sea snow").living is True
    for content, message in (("nots: []", r"has \['nots'\], allowed are the sections"), ("- a", "has list"), ("roots: [a]", "must be a mapping"), ("a: [", "cannot be read")):
        (tmp_path / "own.yaml").write_text(content)
        with pytest.raises(UserError, match=message):
            labels.read_words(tmp_path / "own.yaml")


def test_real_labels_of_an_export(data_root):
    raw = gzip.decompress((data_root / "formats" / "ecotaxa" / "ecotaxa_export_planktoscope_anonymised.tsv.gz").read_bytes())
    table = pd.read_csv(io.BytesIO(raw), sep="\t", usecols=["object_annotation_category", "object_annotation_hierarchy"], dtype="string")
    pairs = table.value_counts()
    found = {text: labels.parse_label(text, hierarchy) for text, hierarchy in pairs.index}
    living = {text for text, label in found.items() if label.living}
    assert {"Copepoda", "copepoda-cut", "Coscinodiscus", "multiple<Diatoma"} <= living
    assert not living & {"detritus", "bubble", "artefact", "ghost", "badfocus<artefact", "fiber<detritus", "transparent", "t002", "duplicate"}
    assert {text for text in found if found[text].taxon == "Copepoda"} == {"Copepoda", "copepoda-cut"}


PARENTS = labels.parents_of(["living>Rhizaria>Retaria>Collodaria>colonial", "living>Rhizaria>Retaria>Acantharea", "living>Rhizaria>Phaeodaria", "living>Metazoa>Copepoda"])
TAXA = ["Rhizaria", "Retaria", "Collodaria", "colonial", "Acantharea", "Phaeodaria", "Metazoa", "Copepoda"]


def test_children_are_added_once():
    counts = pd.DataFrame({"sample_id": "a", "taxon": TAXA, "n": [1, 2, 4, 8, 16, 32, 64, 128], "biovolume": 1.0})
    one = labels.roll_up(counts, ["Rhizaria"], PARENTS)
    assert one[["taxon", "n", "biovolume"]].to_numpy().tolist() == [["Rhizaria", 63, 6.0]]
    nested = labels.roll_up(counts, ["Rhizaria", "Collodaria", "Copepoda"], PARENTS).set_index("taxon")["n"]
    assert nested.to_dict() == {"Rhizaria": 1 + 2 + 16 + 32, "Collodaria": 12, "Copepoda": 128}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(TAXA), st.integers(0, 9)), min_size=1, max_size=30), st.sets(st.sampled_from(TAXA)))
def test_nothing_is_counted_twice_and_nothing_below_the_roots_is_lost(rows, inner):
    counts = pd.DataFrame(rows, columns=["sample_id", "taxon", "n"])
    found = labels.roll_up(counts, sorted({"Rhizaria", "Metazoa"} | inner), PARENTS)
    assert found["n"].sum() == counts["n"].sum()
    assert not found.duplicated(["sample_id", "taxon"]).any()


def test_hierarchies_that_disagree_are_refused():
    with pytest.raises(UserError, match="'egg' stands below 'Copepoda' and below 'other'"):
        labels.parents_of(["living>Copepoda>egg", "living>other>egg"])
    with pytest.raises(UserError, match="run in a circle: a > b > a"):
        labels.roll_up(pd.DataFrame({"sample_id": ["s"], "taxon": ["a"], "n": [1]}), ["z"], {"a": "b", "b": "a"})
    with pytest.raises(UserError, match=r"taxa \['a'\] stand twice"):
        labels.roll_up(pd.DataFrame({"sample_id": [], "taxon": [], "n": []}), ["a", "a"], {})


def test_zero_is_what_was_searched_for_and_not_found():
    samples = pd.DataFrame({"sample_id": ["s1", "s2", "s3"], "cruise": ["c1", "c1", "c2"]})
    counts = pd.DataFrame({"sample_id": ["s1", "s3"], "taxon": ["Copepoda", "Rhizaria"], "n": [5.0, 2.0], "biovolume": [1.5, np.nan]})
    found = labels.with_zeros(samples, counts, {"c1": ["Copepoda"], "c2": ["Copepoda", "Rhizaria"]}).set_index(["sample_id", "taxon"]).sort_index()
    assert found["n"].to_dict() == {("s1", "Copepoda"): 5, ("s2", "Copepoda"): 0, ("s3", "Copepoda"): 0, ("s3", "Rhizaria"): 2}
    assert np.isnan(found.loc[("s3", "Rhizaria"), "biovolume"])  # counted, but its volume is not known
    assert found.loc[("s2", "Copepoda"), "biovolume"] == 0
    assert len(labels.with_zeros(samples, counts, ["Copepoda", "Rhizaria"])) == 6
    with pytest.raises(UserError, match="cruise 'c2' has no list"):
        labels.with_zeros(samples, counts, {"c1": ["Copepoda"]})
    with pytest.raises(UserError, match="sample 's3' holds 'Rhizaria', which is not among the taxa searched for there"):
        labels.with_zeros(samples, counts, {"c1": ["Copepoda"], "c2": ["Copepoda"]})
