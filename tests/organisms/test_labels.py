"""Labels taken apart, sums over children, zeros against not searched for."""

import gzip
import io

import numpy as np
import openpyxl
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.organisms import labels, taxonomy

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
