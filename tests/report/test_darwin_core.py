"""Darwin Core archives and EcoTaxa imports: structure, terms, units, what is refused."""

import io
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import COUNTS, SAMPLES, typed
from aqqua_dist.report import darwin_core, ecotaxa_predictions

SET = darwin_core.Dataset(
    "Plankton of a cruise", "AN", "CC-BY-4.0", "A. Person", "a.person@example.org", "A model, https://doi.org/10.1234/x"
)
EVENTS = typed(
    pd.DataFrame(
        {
            "sample_id": ["s1", "s2"],
            "time": ["2019-06-01 12:30", "2019-06-02"],
            "lat": [10.5, -3],
            "lon": [-10, 179.5],
            "depth_top": [0, 200],
            "depth_bottom": [200, 500],
            "volume": [2.0, np.nan],
        }
    ),
    SAMPLES,
)
ROWS = typed(
    pd.DataFrame(
        {
            "sample_id": ["s1", "s1", "s1", "s2"],
            "taxon": ["Copepoda", "Copepoda", "Rhizaria_others", "Copepoda"],
            "n": [4, 3, 0, 5],
            "biovolume": [1.5, np.nan, 0, 2],
            "method": ["validated", "predicted", "validated", "validated"],
        }
    ),
    COUNTS,
)
SPACE = "{http://rs.tdwg.org/dwc/text/}"


def read(path):
    with zipfile.ZipFile(path) as archive:
        tables = {
            name: pd.read_csv(io.BytesIO(archive.read(name)), sep="\t", dtype="string", keep_default_na=False)
            for name in darwin_core.FILES
        }
        return tables, ElementTree.fromstring(archive.read("meta.xml")), ElementTree.fromstring(archive.read("eml.xml"))


@pytest.fixture
def archive(tmp_path):
    darwin_core.write_darwin_core(tmp_path / "a.zip", EVENTS, ROWS, SET)
    return read(tmp_path / "a.zip")


def test_the_structure_is_that_of_an_archive(archive):
    """Each described file is there, each column has a term, ids are unique and refer to each other."""
    tables, meta, _ = archive
    assert meta.tag == f"{SPACE}archive"
    assert [child.tag for child in meta] == [f"{SPACE}core", f"{SPACE}extension", f"{SPACE}extension"]
    for part in meta:
        name = part.find(f"{SPACE}files/{SPACE}location").text
        fields = {int(f.get("index")): f.get("term") for f in part.findall(f"{SPACE}field")}
        columns = list(tables[name])
        assert columns[0] == "id"
        assert sorted(fields) == list(range(1, len(columns)))
        assert [fields[k].rpartition("/")[2] for k in sorted(fields)] == columns[1:]
        assert all(term.startswith("http") for term in fields.values())
    events, occurrences, facts = tables.values()
    assert events["id"].is_unique
    assert occurrences["occurrenceID"].is_unique
    assert set(occurrences["id"]) | set(facts["id"]) <= set(events["id"])
    assert set(facts["occurrenceID"]) - {""} == set(occurrences["occurrenceID"])


def test_events_by_hand(archive):
    event = archive[0]["event.txt"].iloc[0]
    assert event.tolist() == [
        "s1",
        "s1",
        "sample",
        "AN",
        "Plankton of a cruise",
        "2019-06-01T12:30:00Z",
        "10.500000",
        "-10.000000",
        "0.0",
        "200.0",
    ]


def test_human_and_machine_are_apart_and_zero_is_absent(archive):
    rows = archive[0]["occurrence.txt"].set_index(["id", "scientificName", "identificationVerificationStatus"])
    assert rows.loc[("s1", "Copepoda", "ValidatedByHuman"), ["identifiedBy", "occurrenceStatus"]].tolist() == [
        "",
        "present",
    ]
    assert rows.loc[("s1", "Copepoda", "PredictedByMachine"), "identifiedBy"] == SET.model
    assert rows.loc[
        ("s1", "Rhizaria_others", "ValidatedByHuman"), ["occurrenceStatus", "scientificNameID"]
    ].tolist() == ["absent", ""]
    assert (
        rows.loc[("s2", "Copepoda", "ValidatedByHuman"), "scientificNameID"]
        == "urn:lsid:marinespecies.org:taxname:1080"
    )
    assert set(rows["basisOfRecord"]) == {"MachineObservation"}


def test_labels_become_names_stages_and_remarks(tmp_path):
    rows = typed(
        pd.DataFrame(
            {
                "sample_id": "s1",
                "taxon": ["egg<Copepoda", "multiple<Copepoda", "detritus", "t002", "fiber<detritus", "Siphonophorae"],
                "n": 1,
                "method": "validated",
            }
        ),
        COUNTS,
    )
    darwin_core.write_darwin_core(tmp_path / "a.zip", EVENTS, rows, SET)
    found = read(tmp_path / "a.zip")[0]["occurrence.txt"].set_index("verbatimIdentification")
    assert set(found.index) == {
        "egg<Copepoda",
        "multiple<Copepoda",
        "Siphonophorae",
    }  # the others are not known to live
    assert found.loc["egg<Copepoda", ["scientificName", "lifeStage", "occurrenceRemarks"]].tolist() == [
        "Copepoda",
        "egg",
        "",
    ]
    assert found.loc["multiple<Copepoda", ["scientificName", "lifeStage", "occurrenceRemarks"]].tolist() == [
        "Copepoda",
        "",
        "multiple",
    ]
    assert found.loc["egg<Copepoda", "scientificNameID"].endswith(":1080")


def test_measurements_have_the_right_terms_and_units(archive):
    """4 animals and 1.5 mm3 in 2 m3; without a volume there is a count and no concentration; machine and human never add up."""
    facts = archive[0]["extendedmeasurementorfact.txt"]
    facts["code"] = facts["measurementTypeID"].str.split("/").str[-2]
    facts["unit"] = facts["measurementUnitID"].str.split("/").str[-2]
    found = {(r.id, r.occurrenceID, r.code): (float(r.measurementValue), r.unit) for r in facts.fillna("").itertuples()}
    assert found[("s1", "", "VOLWBSMP")] == (2, "MCUB")
    assert found[("s1", "s1_Copepoda_validated", "OCOUNT01")] == (4, "")
    assert found[("s1", "s1_Copepoda_validated", "SDBIOL01")] == (2, "UPMM")
    assert found[("s1", "s1_Copepoda_validated", "CVOLUKNB")] == (0.75, "CMCM")
    assert found[("s1", "s1_Copepoda_predicted", "SDBIOL01")] == (1.5, "UPMM")
    assert ("s1", "s1_Copepoda_predicted", "CVOLUKNB") not in found
    assert [key for key in found if key[0] == "s2"] == [("s2", "s2_Copepoda_validated", "OCOUNT01")]
    assert found[("s1", "s1_Rhizaria_others_validated", "SDBIOL01")] == (0, "UPMM")


def test_terms_are_those_of_a_real_archive(archive, data_root):
    """EcoTaxa's own reference: the same columns with the same texts and identifiers."""
    folder = data_root / "formats" / "ecotaxa" / "dwca_ref"
    tables = archive[0]
    event = pd.read_csv(folder / "00_event.txt", sep="\t")
    assert list(tables["event.txt"]) == list(event)
    occurrence = pd.read_csv(folder / "01_occurrence.txt", sep="\t")
    assert set(occurrence) - set(tables["occurrence.txt"]) == {"kingdom"}  # we do not know it
    assert set(tables["occurrence.txt"]["identificationVerificationStatus"]) >= set(
        occurrence["identificationVerificationStatus"]
    )
    facts = pd.read_csv(folder / "03_emof.txt", sep="\t", keep_default_na=False)
    keys = ["measurementType", "measurementTypeID", "measurementUnit", "measurementUnitID"]
    ours = set(map(tuple, tables["extendedmeasurementorfact.txt"][keys].astype(object).to_numpy()))
    theirs = {row for row in map(tuple, facts[keys].to_numpy()) if "OCOUNT01" in row[1] or "SDBIOL01" in row[1]}
    assert theirs and theirs <= ours


def test_the_archive_is_the_same_each_time(tmp_path):
    for name in ("a.zip", "b.zip"):
        darwin_core.write_darwin_core(tmp_path / name, EVENTS, ROWS, SET)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_metadata_name_title_creator_and_licence(archive):
    text = ElementTree.tostring(archive[2], encoding="unicode")
    for piece in (SET.title, SET.creator, SET.email, SET.licence):
        assert piece in text


@pytest.mark.parametrize(
    ("events", "rows", "dataset", "message"),
    [
        (EVENTS.assign(time=pd.NaT), ROWS, SET, "sample 's1' has no time, every event needs one; 2 such samples"),
        (EVENTS.assign(lat=np.nan), ROWS, SET, "has no lat"),
        (EVENTS, ROWS.assign(method="guessed"), SET, "method 'guessed' is not one of"),
        (EVENTS.iloc[:1], ROWS, SET, "sample_id 's2' is not among the samples"),
        (EVENTS, pd.concat([ROWS, ROWS.iloc[:1]]), SET, "'Copepoda' stands twice in sample 's1' as validated"),
        (EVENTS, ROWS, replace(SET, licence=" "), "needs a licence"),
    ],
)
def test_what_is_no_archive_is_refused_and_nothing_is_written(tmp_path, events, rows, dataset, message):
    with pytest.raises(UserError, match=message):
        darwin_core.write_darwin_core(tmp_path / "a.zip", events, rows, dataset)
    assert list(tmp_path.iterdir()) == []


OBJECTS = pd.DataFrame(
    {
        "object_id": ["o1", "o2"],
        "sample_id": "s1",
        "acq_id": "a1",
        "label": ["Copepoda", "egg<Copepoda"],
        "score": [0.91, np.nan],
    }
)


def test_predictions_for_ecotaxa(tmp_path):
    """A header, a row of types, one row per object; UTF-8 with its mark, so that names keep their letters."""
    path = tmp_path / "ecotaxa_predictions.tsv"
    ecotaxa_predictions.write_ecotaxa_predictions(path, OBJECTS)
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    lines = raw.decode("utf-8-sig").splitlines()
    assert (
        lines[0]
        == "object_id\tobject_annotation_category\tobject_annotation_status\tsample_id\tacq_id\tobject_prediction_score"
    )
    assert lines[1] == "[t]\t[t]\t[t]\t[t]\t[t]\t[f]"
    assert lines[2:] == ["o1\tCopepoda\tpredicted\ts1\ta1\t0.91", "o2\tegg<Copepoda\tpredicted\ts1\ta1\t"]


@pytest.mark.parametrize(
    ("name", "objects", "message"),
    [
        ("predictions.tsv", OBJECTS, "is not seen by EcoTaxa"),
        ("ecotaxa.csv", OBJECTS, "is not seen by EcoTaxa"),
        ("ecotaxa.tsv", OBJECTS.drop(columns="acq_id"), r"lack the columns \['acq_id'\]"),
        ("ecotaxa.tsv", OBJECTS.assign(label=[None, "x"]), "row 0: label is missing"),
        ("ecotaxa.tsv", OBJECTS.assign(label="a\tb"), "holds a tab"),
        ("ecotaxa.tsv", OBJECTS.assign(object_id="o1"), "'o1' stands more than once"),
    ],
)
def test_what_ecotaxa_would_not_import_is_refused(tmp_path, name, objects, message):
    with pytest.raises(UserError, match=message):
        ecotaxa_predictions.write_ecotaxa_predictions(tmp_path / name, objects)
    assert list(tmp_path.iterdir()) == []
