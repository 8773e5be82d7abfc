"""Labels, taxa, their numbers and the tree in which they lie."""

import re
from collections import Counter
from functools import lru_cache

import openpyxl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.organisms import taxonomy
from aqqua_dist.organisms.taxonomy import RANKS, Taxon, descendants, fold, lineage, lsid, read_taxa, taxa, taxon_record

DRAGO = """Acantharea Annelida Appendicularia Chaetognatha Cnidaria Cnidaria_others Collodaria_colonial Collodaria_others
Copepoda Copepoda_refit Crustacea_others Ctenophora Doliolida Eumalacostraca Foraminifera Hydrozoa_others Limacinidae
Mollusca_others Ostracoda Phaeodaria Rhizaria Rhizaria_others Siphonophorae""".split()
NUMBERS = {  # of the first 23 labels, never to be changed by accident
    "Acantharea": 586732,
    "Annelida": 882,
    "Appendicularia": 146421,
    "Chaetognatha": 2081,
    "Cnidaria": 1267,
    "Copepoda": 1080,
    "Ctenophora": 1248,
    "Doliolida": 137212,
    "Eumalacostraca": 1086,
    "Foraminifera": 1410,
    "Limacinidae": 13704,
    "Ostracoda": 1078,
    "Phaeodaria": 345868,
    "Siphonophorae": 1371,
}
SOURCES = {"pssdb", "planktonzilla", "algaware", "dwca", "darc", "eol", "seabass", "worms"}
RENAMED = {  # our phylum or class, that of the sheet
    ("Ochrophyta", "Bacillariophyta"),
    ("Coccolithophyceae", "Prymnesiophyceae"),
    ("Euglenophyceae", "Euglenoidea"),
    ("Pyramimonadophyceae", "Prasinophyceae"),
}
TABLE = read_taxa()
ENTRIES = yaml.safe_load(package_data("taxa.yaml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def sheet(data_root):
    """Published lineages by number (the sheet has several of some): lists of (name, rank) from the kingdom down."""
    book = openpyxl.load_workbook(data_root / "formats" / "pssdb" / "plankton_annotated_taxonomy.xlsx", read_only=True)
    rows = book["Data"].iter_rows(values_only=True)
    head = next(rows)
    found = {}
    for row in (dict(zip(head, row, strict=True)) for row in rows):
        if row["WORMS_ID"] and row["Full_hierarchy"]:
            line = [part.rstrip(")").rpartition("(") for part in row["Full_hierarchy"].replace("†", "").split(">")]
            number = int(row["WORMS_ID"].strip().rpartition(":")[2])
            found.setdefault(number, []).append([(name, rank.partition(" ")[0]) for name, _, rank in line])
    return found


def test_all_labels_of_the_published_study_are_known():
    assert set(DRAGO) <= set(taxa())
    assert {label: TABLE[label].aphia_id for label in DRAGO if TABLE[label].aphia_id} == NUMBERS
    for label in DRAGO:
        if label not in NUMBERS:
            assert taxon_record(label).name == label
            assert taxon_record(label).note
    assert "only one source" in taxon_record("Rhizaria").note


def test_a_number_has_evidence_and_no_number_a_reason():
    numbers = 0
    for label, entry in ENTRIES.items():
        if "aphia_id" in entry:
            numbers += 1
            assert len(set(entry["evidence"])) >= 2, f"{label}: a number needs two independent sources"
            assert set(entry["evidence"]) <= SOURCES, label
            assert re.fullmatch(r"[A-Z][a-z]+(-[a-z]+)?( [a-z]+(-[a-z]+)?)?", TABLE[label].name), label
            assert TABLE[label].rank, label
        else:
            assert "evidence" not in entry, label
            assert entry.get("note") or entry.get("same_as") or TABLE[label].living is not True, label
    assert numbers >= 300


def test_one_number_has_one_name_and_one_name_one_number():
    pairs = {(taxon.aphia_id, taxon.name) for taxon in TABLE.values() if taxon.aphia_id}
    assert len(pairs) == len({number for number, _ in pairs}) == len({name for _, name in pairs})


def test_the_tree_has_three_roots_and_no_circle():
    roots = {lineage(label)[-1] for label in TABLE}
    assert roots == {"Biota", "not-living", "temporary", "Copepoda_refit"}  # the last one repeats counts of Copepoda
    for label, taxon in TABLE.items():
        line = lineage(label)
        assert len(set(line)) == len(line)
        assert (
            taxon.living is {"Biota": True, "Copepoda_refit": True, "not-living": False, "temporary": None}[line[-1]]
        ), label
    assert len(TABLE.folded) == len(TABLE), "two labels differ in spelling only"


def test_ranks_fall_on_the_way_down():
    for label, taxon in TABLE.items():
        ranks = [
            RANKS.index(TABLE[name].rank)
            for name in lineage(label)
            if TABLE[name].rank and TABLE[name].name != taxon.name
        ]
        assert ranks == sorted(set(ranks), reverse=True), label
        if taxon.rank and ranks:
            assert RANKS.index(taxon.rank) > ranks[0], label
        if taxon.rank == "Species":
            assert " " in taxon.name, label


def test_names_numbers_and_lineages_agree_with_the_published_sheet(data_root):
    """A number of the sheet ends in our name; kingdom, phylum and class above it are the same, so that no homonym slips in."""
    published, checked, agreed = sheet(data_root), 0, Counter()
    for label, taxon in TABLE.items():
        if "pssdb" not in taxon.evidence:
            continue
        lines, checked = published[taxon.aphia_id], checked + 1
        assert {line[-1][0] for line in lines} == {taxon.name}, label
        ours = {TABLE[name].rank: TABLE[name].name for name in lineage(label)}
        for rank in ("Kingdom", "Phylum", "Class"):
            theirs = {name for line in lines for name, found in line if found == rank}
            if rank == "Kingdom" or (theirs and rank in ours):
                assert ours[rank] in theirs or (ours[rank], *theirs) in RENAMED, label
                agreed[rank] += 1
    assert checked > 250
    assert agreed["Phylum"] > 250
    assert agreed["Class"] > 200


def test_lineages_that_are_known_by_heart():
    assert lineage("Oithona") == (
        "Oithona",
        "Oithonidae",
        "Cyclopoida",
        "Copepoda",
        "Crustacea",
        "Arthropoda",
        "Animalia",
        "Biota",
    )
    assert lineage("fibre") == ("fibre", "fiber", "detritus", "not-living")
    pairs = (
        ("Oikopleuridae", "Appendicularia"),
        ("Salpida", "Thaliacea"),
        ("Aulacanthidae", "Phaeodaria"),
        ("Diphyidae", "Siphonophorae"),
        ("Tintinnopsis", "Tintinnida"),
        ("Thalassiosira", "Bacillariophyceae"),
        ("Tripos", "Dinophyceae"),
        ("Limacinidae", "Mollusca"),
        ("Neoceratium", "Tripos"),
        ("Euphausiacea", "Eumalacostraca"),
        ("Acantharea", "Rhizaria"),
        ("Collodaria_colonial", "Collodaria"),
        ("Evadne", "Cladocera"),
        ("Penilia", "Cladocera"),
        ("Limacina", "Thecosomata"),
        ("Oncaea", "Poecilostomatoida"),
        ("Teleostei", "Fish"),
    )
    for inner, outer in pairs:
        assert inner in descendants(outer), (inner, outer)
    assert not descendants("Copepoda") & {"Copepoda", "Copepoda_refit", "Ostracoda"}


@given(st.sampled_from(sorted(TABLE)), st.sampled_from(sorted(TABLE)))
@settings(deadline=None, max_examples=200)
def test_what_lies_below_is_what_climbs_to_it(one, other):
    top = taxonomy.canonical(other)
    assert (one in descendants(other)) == (top in lineage(one)[1:] and one != other)


def test_homonyms_are_told_apart():
    assert taxon_record("Ctenophora").aphia_id == 1248
    assert lineage("Ctenophora") == ("Ctenophora", "Animalia", "Biota")
    assert "163921" in taxon_record("Ctenophora").note
    assert 163921 not in {taxon.aphia_id for taxon in TABLE.values()}
    assert taxon_record("Acantharea").name == "Acantharia"


def test_synonyms_have_the_number_of_their_taxon_and_lie_below_it():
    old, new = TABLE["Neoceratium"], TABLE["Tripos"]
    assert (old.name, old.aphia_id, old.rank, old.evidence, old.parent) == (
        "Tripos",
        494057,
        "Genus",
        new.evidence,
        "Tripos",
    )
    assert taxonomy.canonical("Neoceratium") == taxonomy.canonical("Tripos") == "Tripos"
    assert descendants("Neoceratium") == descendants("Tripos") - {"Neoceratium"}
    assert taxonomy.canonical("Acantharea") == "Acantharia"
    assert taxonomy.canonical("in no table") == "in no table"


def test_what_does_not_live_is_no_taxon_to_write():
    assert not {"detritus", "artefact", "bubble", "temporary", "othertocheck"} & set(taxa())
    assert taxon_record("detritus").living is False
    assert taxon_record("temporary").living is None


def test_unknown_label_is_kept_and_not_guessed():
    assert taxon_record("copepoda") == Taxon(name="copepoda", note=taxon_record("copepoda").note)
    assert "never looked up" in taxon_record("virtual taxon 1").note
    assert (fold("Pseudo-Nitzschia_spp."), fold("Chaetoceros sp"), fold("sp")) == (
        "pseudo nitzschia",
        "chaetoceros",
        "sp",
    )


@pytest.mark.parametrize("label", ["", "  ", None, 7])
def test_label_must_be_text(label):
    with pytest.raises(UserError, match=repr(label)):
        taxon_record(label)


@pytest.mark.parametrize("number", [0, -3, 1.5, "1080", True, None])
def test_number_must_be_a_number(number):
    with pytest.raises(UserError, match=re.escape(repr(number))):
        lsid(number)


def test_own_file_is_read_on_top(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "my copepods: {parent: Calanoida, note: mine}\nsnow: {parent: detritus}\ncops: {same_as: my copepods}\n"
        "Oithona: {aphia_id: 106485, rank: Genus, parent: Oithonidae}\n"
        "Ctenophora (diatom): {name: Ctenophora, aphia_id: 163921, rank: Genus, parent: Fragilariaceae}\n"
    )
    table = read_taxa(path)
    assert lineage("cops", table)[:4] == ("cops", "my copepods", "Calanoida", "Copepoda")
    assert (table["cops"].living, table["snow"].living, table["Oithona"].aphia_id) == (True, False, 106485)
    assert table["Ctenophora (diatom)"].aphia_id != table["Ctenophora"].aphia_id  # a true homonym is allowed
    assert {"my copepods", "cops"} <= descendants("Copepoda", table)
    assert "my copepods" not in read_taxa()
    assert taxon_record("cops", table).name == "my copepods"
    path.write_text("")
    assert read_taxa(path) == TABLE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: {parent: nowhere}", "label 'a': parent 'nowhere' is no label"),
        ("a: {parent: b}\nb: {parent: a}", "parents of 'a' run in a circle: a > b > a"),
        ("Biota: {parent: Copepoda}", "run in a circle"),
        ("a: {same_as: a}", "run in a circle: a > a"),
        ("a: {}", "label 'a' has no parent and does not say"),
        ("a: {colour: red, parent: Biota}", r"label 'a' has the fields \['colour'\], allowed are"),
        ("a: Copepoda", "label 'a' holds 'Copepoda', needed is an entry"),
        ("a: {aphia_id: '7', parent: Biota}", "label 'a': aphia_id '7' is not a whole number above 0"),
        ("a: {aphia_id: -7, parent: Biota}", "aphia_id -7"),
        ("a: {aphia_id: true, parent: Biota}", "aphia_id True"),
        ("a: {rank: Tribus, parent: Biota}", "label 'a': rank 'Tribus' is not one of"),
        ("a: {living: 'yes'}", "living 'yes' is not true, false or null"),
        ("a: {parent: 3}", "parent 3 is not text"),
        ("a: {evidence: pssdb, parent: Biota}", "is not a list"),
        ("a: {evidence: [3], parent: Biota}", r"evidence \[3\] is not a list of words"),
        ("[]", "holds a list"),
        ("a: 2020-13-45", "cannot be read"),
        ("? [a]\n: b", "cannot be read"),
        ("[" * 5000, "cannot be read"),
        ("no: {parent: Biota}", "label False is empty or not text"),
        ("'': {parent: Biota}", "label '' is empty"),
        ("- a", "holds a list, needed is a mapping"),
        ("a: {same_as: Copepoda, aphia_id: 1}", r"is the same as 'Copepoda' and has \['aphia_id'\], allowed is a note"),
        ("a: {name: b, aphia_id: 1080, parent: Biota}", "label 'a': AphiaID 1080 is of 'Copepoda' and of 'b'"),
        ("a: [", "cannot be read .*line 1"),
        ("a: {parent: Biota}\na: {parent: Copepoda}", "cannot be read .*'a' stands twice"),
        ("a: {parent: Biota, parent: Copepoda}", "'parent' stands twice"),
    ],
)
def test_faults_of_an_own_file_are_named(tmp_path, content, message):
    (tmp_path / "own.yaml").write_text(content)
    with pytest.raises(UserError, match=message) as error:
        read_taxa(tmp_path / "own.yaml")
    assert "own.yaml" in str(error.value)


def test_labels_and_files_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml.* cannot be read"):
        read_taxa(tmp_path / "none.yaml")
    for ask in (lineage, descendants):
        with pytest.raises(UserError, match=f"taxon 'Copepode' is not among the {len(TABLE)} labels"):
            ask("Copepode")


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.one_of(st.sampled_from([*"abcdef", "Biota"]), st.none()), min_size=1)
)
@settings(deadline=None, max_examples=150)
def test_any_parents_give_a_tree_or_one_clear_error(parents):
    entries = {"Biota": {"living": True}} | {
        label: {"parent": above} if above else {"living": None} for label, above in parents.items()
    }
    try:
        table = taxonomy._tree(entries, "x.yaml")
    except UserError as error:
        assert re.search("circle|no label", str(error))
        return
    assert list(table) == list(entries)
    for label in parents:
        line, living = [label], entries[label]
        while living.get("parent"):
            line.append(living["parent"])
            living = entries[line[-1]]
        assert lineage(label, table) == tuple(line)
        assert table[label].living is living["living"]
