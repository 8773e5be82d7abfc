"""Labels taken apart, sums over children, zeros against not searched for."""

import gzip
import io

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.concentrations.concentrations import with_zeros
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.organisms import labels, rollup, taxonomy

COPEPODA = "living>Eukaryota>Opisthokonta>Holozoa>Metazoa>Arthropoda>Crustacea>Maxillopoda>Copepoda"


@pytest.mark.parametrize(
    ("text", "hierarchy", "taxon", "qualifier", "living"),
    [
        ("Copepoda", None, "Copepoda", "", True),
        ("Copepoda", COPEPODA, "Copepoda", "", True),
        (COPEPODA, None, "Copepoda", "", True),
        ("egg<Copepoda", None, "Copepoda", "egg", True),
        ("part<Ciliophora", "living>Eukaryota>Alveolata>Ciliophora>part", "Ciliophora", "part", True),
        ("copepoda-cut", COPEPODA + ">copepoda-cut", "Copepoda", "part", True),
        ("multiple<other", "living>other>multiple", "other", "multiple", True),
        ("Chaetoceros<Chaetocerotales", None, "Chaetoceros", "", True),
        ("Collodaria_colonial", None, "Collodaria", "colony", True),
        ("detritus", "not-living>detritus", "", "", False),
        ("fiber<detritus", "not-living>detritus>fiber", "", "", False),
        ("detritus", None, "", "", False),
        ("det_fiber", None, "", "", False),
        ("non_living/x", "non_living>other", "", "", False),
        ("Copepoda", "Biota>Animalia>Arthropoda>Copepoda", "Copepoda", "", True),
        ("t002", "temporary>t002", "t002", "", None),
        ("t002", None, "t002", "", None),
        ("othertocheck", None, "othertocheck", "", None),
        ("egg sac<egg", "living>other>egg>egg sac", "other", "egg", True),
        ("nauplii<Crustacea", None, "Crustacea", "larva", True),
        ("Neoceratium 02", None, "Neoceratium 02", "", True),
        ("badfocus<Copepoda", COPEPODA + ">badfocus", "", "", False),
    ],
)
def test_labels_by_hand(text, hierarchy, taxon, qualifier, living):
    found = labels.parse_label(text, hierarchy)
    assert (found.taxon, found.qualifier, found.living) == (taxon, qualifier, living)
    assert found.text == text


def test_one_image_is_not_always_one_animal():
    count = {
        text: labels.parse_label(text).individuals
        for text in ("Copepoda", "egg<Copepoda", "exuviae<Crustacea", "multiple<Copepoda", "part<Copepoda")
    }
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
    for content, message in (
        ("nots: []", r"has \['nots'\], allowed are the sections"),
        ("- a", "has list"),
        ("roots: [a]", "must be a mapping"),
        ("a: [", "cannot be read"),
        ("[]", "has list"),
        ("not_living: bubble", "must be a list, found str"),
        ("a: 2020-13-45", "cannot be read"),
    ):
        (tmp_path / "own.yaml").write_text(content)
        with pytest.raises(UserError, match=message):
            labels.read_words(tmp_path / "own.yaml")


LIVING = sorted(taxonomy.descendants("Biota"))
METAZOA, DIATOMS = (
    "living>Eukaryota>Opisthokonta>Holozoa>Metazoa>",
    "Biota>Chromista>Harosa>Heterokonta>Ochrophyta>Bacillariophyceae>",
)


@pytest.mark.parametrize(
    ("text", "hierarchy", "number", "rank", "above"),
    [
        ("Copepoda", COPEPODA, 1080, "Class", "Crustacea"),
        ("Oikopleura", None, None, "Genus", "Oikopleuridae"),
        ("egg<Copepoda", None, 1080, "Class", "Arthropoda"),
        ("copepoda-cut", COPEPODA + ">copepoda-cut", 1080, "Class", "Animalia"),
        ("copepoda eggs", None, 1080, "Class", "Crustacea"),
        ("Pseudo-Nitzschia chain", None, 149151, "Genus", "Bacillariaceae"),
        ("Dinophysis_acuminata", None, 109603, "Species", "Dinophysis"),
        ("Chaetoceros_spp", None, 148985, "Genus", "Bacillariophyceae"),
        ("Neoceratium furca<Neoceratium", None, 840627, "Species", "Ceratiaceae"),
        ("Ctenophora", METAZOA + "Ctenophora", 1248, "Phylum", "Animalia"),
        ("tentacle<Ctenophora", None, None, "", ""),
        ("part<Ctenophora", None, 1248, "Phylum", "Animalia"),
        ("Cnidaria<Hydrozoa", METAZOA + "Cnidaria>Hydrozoa>Cnidaria", 1267, "Phylum", "Animalia"),
    ],
)
def test_a_label_has_its_taxon_number_rank_and_parent(text, hierarchy, number, rank, above):
    record = labels.parse_label(text, hierarchy).record
    assert (record.aphia_id, record.rank) == (number, rank)
    if above:
        assert above in taxonomy.lineage(record.name)


@pytest.mark.parametrize(
    ("text", "hierarchy", "place"),
    [
        ("Ctenophora", DIATOMS + "Fragilariales>Fragilariaceae>Ctenophora", "Fragilariaceae"),
        ("Ctenophora<Fragilariaceae", None, "Fragilariaceae"),
        (
            "Odontella",
            METAZOA + "Arthropoda>Hexapoda>Collembola>Poduromorpha>Odontella",
            "Hexapoda",
        ),  # a springtail, in the tree of EcoTaxa
        (
            "Prorocentrum<Cyrtolophosididae",
            "living>Eukaryota>Harosa>Alveolata>Ciliophora>Cyrtolophosididae>Prorocentrum",
            "Ciliophora",
        ),
    ],
)
def test_homonyms_have_no_number(text, hierarchy, place):
    found = labels.parse_label(text, hierarchy)
    assert found.record.aphia_id is None
    assert f"below '{place}' here" in found.record.note
    assert found.record.name == found.taxon
    assert labels.parse_label(found.taxon).record.aphia_id is not None  # alone it is what the table says


def test_an_epithet_is_no_genus():
    assert labels.parse_label("tripos", "living>Dinophyceae>Dinophysis>tripos").record.aphia_id is None


def test_what_does_not_live_says_what_it_is():
    for text, name, parent in (
        ("fiber<detritus", "fiber<detritus", "fiber"),
        ("badfocus<Copepoda", "badfocus", "artefact"),
        ("det-fiber", "det_fiber", "fiber"),
    ):
        found = labels.parse_label(text)
        assert (found.living, found.taxon, found.record.name, found.record.parent, found.record.lsid) == (
            False,
            "",
            name,
            parent,
            "",
        )
    assert labels.parse_label("dust", "not-living>dust").record == taxonomy.Taxon(
        "dust", note="does not live, and is not in the table", parent="not-living", living=False
    )
    copepod = labels.parse_label("Fecenia", COPEPODA + ">Fecenia").record
    assert (copepod.name, copepod.aphia_id, copepod.parent, copepod.living) == ("Fecenia", None, "Copepoda", True)
    assert (labels.parse_label("othertocheck").living, labels.parse_label("othertocheck").record.parent) == (
        None,
        "temporary",
    )
    assert labels.parse_label("egg").record.note == "no taxon in the label"


def test_words_and_table_agree_on_what_lives():
    words = labels.read_words()
    for label, taxon in taxonomy.read_taxa().items():
        if label not in ("not-living", "non-living", "temporary"):
            assert labels.parse_label(label, words=words).living is taxon.living, label
    for word in words["not_living"] | words["unknown"]:
        assert not labels.parse_label(word, words=words).living, word


def test_own_table_of_taxa_is_used(tmp_path):
    (tmp_path / "own.yaml").write_text("cops: {same_as: Copepoda}\nsea snow: {parent: detritus}\n")
    table = taxonomy.read_taxa(tmp_path / "own.yaml")
    assert labels.parse_label("egg<cops", table=table).record.aphia_id == 1080
    assert labels.parse_label("Sea_snow", table=table).living is False
    counts = pd.DataFrame({"sample_id": "s", "taxon": ["cops", "Copepoda"], "n": [1, 2]})
    assert rollup.roll_up(counts, ["Crustacea"], table=table)["n"].tolist() == [3]


def test_numbers_of_real_labels_are_those_of_the_published_sheet(data_root):
    """Over a thousand labels with the hierarchy of EcoTaxa: our number is the published one, or finer, or left out."""
    book = openpyxl.load_workbook(data_root / "formats" / "pssdb" / "plankton_annotated_taxonomy.xlsx", read_only=True)
    rows = book["Data"].iter_rows(values_only=True)
    head = next(rows)
    words, table, same, other = labels.read_words(), taxonomy.read_taxa(), 0, set()
    for row in (dict(zip(head, row, strict=True)) for row in rows):
        if not (row["WORMS_ID"] and row["EcoTaxa_hierarchy"].startswith("living>")):
            continue
        record = labels.parse_label(row["Category"], row["EcoTaxa_hierarchy"], words).record
        number = int(row["WORMS_ID"].strip().rpartition(":")[2])
        same += record.aphia_id == number
        coarse = row["Full_hierarchy"].split(">")[-1].partition("(")[0]
        ours = {table[name].name for name in taxonomy.lineage(record.name)} if record.name in table else set()
        if record.aphia_id not in (None, number) and coarse not in ours - {record.name}:
            other.add(row["Category"])
    assert same > 290
    assert other == {
        "Ctenophora XX",
        "Ctenophora<Metazoa",  # the sheet has the diatom
        "zoea<Decapoda",
        "zoea<Galatheidae",  # the sheet has one species of crab
        "Neoceratium",
        "Neoceratium lineatum",
    }  # former names


def test_real_labels_of_an_export(data_root):
    raw = gzip.decompress(
        (data_root / "formats" / "ecotaxa" / "ecotaxa_export_planktoscope_anonymised.tsv.gz").read_bytes()
    )
    table = pd.read_csv(
        io.BytesIO(raw), sep="\t", usecols=["object_annotation_category", "object_annotation_hierarchy"], dtype="string"
    )
    pairs = table.value_counts()
    found = {text: labels.parse_label(text, hierarchy) for text, hierarchy in pairs.index}
    living = {text for text, label in found.items() if label.living}
    assert {"Copepoda", "copepoda-cut", "Coscinodiscus", "multiple<Diatoma"} <= living
    assert not living & {
        "detritus",
        "bubble",
        "artefact",
        "ghost",
        "badfocus<artefact",
        "fiber<detritus",
        "transparent",
        "t002",
        "duplicate",
    }
    assert {text for text in found if found[text].taxon == "Copepoda"} == {"Copepoda", "copepoda-cut"}


PARENTS = rollup.parents_of(
    [
        "living>Rhizaria>Retaria>Collodaria>colonial",
        "living>Rhizaria>Retaria>Acantharea",
        "living>Rhizaria>Phaeodaria",
        "living>Metazoa>Copepoda",
    ]
)
TAXA = ["Rhizaria", "Retaria", "Collodaria", "colonial", "Acantharea", "Phaeodaria", "Metazoa", "Copepoda"]


def test_children_are_added_once():
    counts = pd.DataFrame({"sample_id": "a", "taxon": TAXA, "n": [1, 2, 4, 8, 16, 32, 64, 128], "biovolume": 1.0})
    one = rollup.roll_up(counts, ["Rhizaria"], PARENTS)
    assert one[["taxon", "n", "biovolume"]].to_numpy().tolist() == [["Rhizaria", 63, 6.0]]
    nested = rollup.roll_up(counts, ["Rhizaria", "Collodaria", "Copepoda"], PARENTS).set_index("taxon")["n"]
    assert nested.to_dict() == {"Rhizaria": 1 + 2 + 16 + 32, "Collodaria": 12, "Copepoda": 128}


def test_labels_without_hierarchy_climb_the_table():
    names = ["Oithona", "Calanoida", "Copepoda", "Ostracoda", "Acantharea", "Copepoda_refit", "detritus"]
    counts = pd.DataFrame({"sample_id": "a", "taxon": names, "n": [1, 2, 4, 8, 16, 32, 64]})
    found = rollup.roll_up(counts, ["Crustacea", "Copepoda", "Rhizaria"]).set_index("taxon")["n"]
    assert found.to_dict() == {"Copepoda": 7, "Crustacea": 8, "Rhizaria": 16}
    assert rollup.roll_up(counts, ["Biota"])["n"].tolist() == [31]  # neither the second fit of Copepoda nor detritus
    assert rollup.roll_up(counts, ["Crustacea"], {"Calanoida": "x"})["n"].tolist() == [13]  # the export comes first
    own = {"Calanoida": "Hexanauplia", "Hexanauplia": "Crustacea"}
    assert rollup.roll_up(counts.iloc[[1]], ["Crustacea"], own, {})["n"].tolist() == [2]


def test_a_synonym_stands_for_its_taxon():
    counts = pd.DataFrame(
        {
            "sample_id": "a",
            "taxon": ["Metazoa", "Animalia", "Copepoda", "Radiozoa", "Tripos fusus"],
            "n": [1, 2, 4, 8, 16],
        }
    )
    found = rollup.roll_up(counts, ["Metazoa", "Radiolaria", "Neoceratium"]).set_index("taxon")["n"]
    assert found.to_dict() == {"Metazoa": 7, "Radiolaria": 8, "Neoceratium": 16}
    export = {"Copepoda": "Metazoa", "Metazoa": "Eukaryota"}
    assert rollup.roll_up(counts.iloc[:3], ["Animalia"], {"Copepoda": "Metazoa"})["n"].tolist() == [7]
    assert rollup.roll_up(counts.iloc[[0, 2]], ["Metazoa"], export)["n"].tolist() == [5]
    with pytest.raises(UserError, match="taxa 'Animalia' and 'Metazoa' are the same taxon"):
        rollup.roll_up(counts, ["Animalia", "Metazoa"])
    assert rollup.roll_up_searched(["Metazoa"], ["Copepoda", "Animalia", "Rhizaria"]) == ["Copepoda", "Animalia"]


def test_labels_that_nobody_places_are_reported():
    counts = pd.DataFrame({"sample_id": "a", "taxon": ["Copepoda", "part<Copepoda", "blob"], "n": [1, 2, 4]})
    message = r"2 labels have no known parent and are left out of the sums, such as \['blob', 'part<Copepoda'\]"
    with pytest.warns(MethodWarning, match=message):
        assert rollup.roll_up(counts, ["Crustacea"])["n"].tolist() == [1]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(LIVING), st.integers(0, 9)), min_size=1, max_size=30),
    st.lists(st.sampled_from(LIVING), max_size=9, unique_by=taxonomy.canonical),
)
def test_no_count_of_the_whole_tree_is_lost_or_used_twice(rows, inner):
    counts = pd.DataFrame(rows, columns=["sample_id", "taxon", "n"])
    found = rollup.roll_up(counts, ["Biota", *inner])
    assert found["n"].sum() == counts["n"].sum()
    reach = {name: taxonomy.descendants(name) | {name, taxonomy.canonical(name)} for name in inner}
    for name in inner:  # brute force: what lies at or below it, and below no other target that lies below it
        own = reach[name].difference(*(reach[other] for other in inner if other != name and other in reach[name]))
        direct = counts.loc[counts["taxon"].isin(own), "n"].sum()
        assert found.loc[found["taxon"] == name, "n"].sum() == direct


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(TAXA), st.integers(0, 9)), min_size=1, max_size=30),
    st.sets(st.sampled_from(TAXA)),
)
def test_nothing_is_counted_twice_and_nothing_below_the_roots_is_lost(rows, inner):
    counts = pd.DataFrame(rows, columns=["sample_id", "taxon", "n"])
    found = rollup.roll_up(counts, sorted({"Rhizaria", "Metazoa"} | inner), PARENTS)
    assert found["n"].sum() == counts["n"].sum()
    assert not found.duplicated(["sample_id", "taxon"]).any()


def test_hierarchies_that_disagree_are_refused():
    with pytest.raises(UserError, match="'egg' stands below 'Copepoda' and below 'other'"):
        rollup.parents_of(["living>Copepoda>egg", "living>other>egg"])
    with pytest.raises(UserError, match="run in a circle: a > b > a"):
        rollup.roll_up(pd.DataFrame({"sample_id": ["s"], "taxon": ["a"], "n": [1]}), ["z"], {"a": "b", "b": "a"})
    with pytest.raises(UserError, match=r"taxa \['a'\] stand twice"):
        rollup.roll_up(pd.DataFrame({"sample_id": [], "taxon": [], "n": []}), ["a", "a"], {})


def test_zero_is_what_was_searched_for_and_not_found():
    samples = pd.DataFrame({"sample_id": ["s1", "s2", "s3"], "cruise": ["c1", "c1", "c2"]})
    counts = pd.DataFrame(
        {"sample_id": ["s1", "s3"], "taxon": ["Copepoda", "Rhizaria"], "n": [5.0, 2.0], "biovolume": [1.5, np.nan]}
    )
    found = (
        with_zeros(samples, counts, {"c1": ["Copepoda"], "c2": ["Copepoda", "Rhizaria"]})
        .set_index(["sample_id", "taxon"])
        .sort_index()
    )
    assert found["n"].to_dict() == {
        ("s1", "Copepoda"): 5,
        ("s2", "Copepoda"): 0,
        ("s3", "Copepoda"): 0,
        ("s3", "Rhizaria"): 2,
    }
    assert np.isnan(found.loc[("s3", "Rhizaria"), "biovolume"])  # counted, but its volume is not known
    assert found.loc[("s2", "Copepoda"), "biovolume"] == 0
    assert len(with_zeros(samples, counts, ["Copepoda", "Rhizaria"])) == 6
    with pytest.raises(UserError, match="cruise 'c2' has no list"):
        with_zeros(samples, counts, {"c1": ["Copepoda"]})
    with pytest.raises(UserError, match="sample 's3' holds 'Rhizaria', which is not among the taxa searched for there"):
        with_zeros(samples, counts, {"c1": ["Copepoda"], "c2": ["Copepoda"]})


def test_looking_for_some_children_is_no_search_for_the_parent():
    searched = {"c1": ["Rhizaria", "Copepoda"], "c2": ["Collodaria", "Phaeodaria", "Acantharea"]}
    full = rollup.roll_up_searched(searched, ["Rhizaria", "Phaeodaria", "Crustacea", "Copepoda", "Calanoida"])
    assert full == {"c1": ["Rhizaria", "Phaeodaria", "Copepoda", "Calanoida"], "c2": ["Phaeodaria"]}
    assert rollup.roll_up_searched(["x"], ["y", "z"], {"y": "x"}, {}) == ["y"]
    samples = pd.DataFrame({"sample_id": ["s1", "s2"], "cruise": ["c1", "c2"]})
    counts = pd.DataFrame({"sample_id": ["s2", "s2"], "taxon": ["Aulacantha", "Collodaria"], "n": [3.0, 4.0]})
    taxa = rollup.roll_up_searched(searched, ["Phaeodaria"])
    zeros = with_zeros(samples, rollup.roll_up(counts, ["Phaeodaria"]), taxa)
    assert zeros.set_index("sample_id")["n"].to_dict() == {"s1": 0, "s2": 3}
    with pytest.raises(UserError, match="sample 's2' holds 'Rhizaria', which is not among the taxa searched for"):
        with_zeros(samples, rollup.roll_up(counts, ["Rhizaria"]), rollup.roll_up_searched(searched, ["Rhizaria"]))
