"""`aqqua-dist export`: Darwin Core and EcoTaxa from what the tool itself wrote; splits, models, bins of casts, licences."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aqqua_dist.core import files
from aqqua_dist.report.darwin_core import HUMAN, MACHINE, status_of_method
from tests.concentrations.test_one_road import COPEPOD, call, nets
from tests.concentrations.test_vignettes_and_volumes import TOLD, ecopart, ecotaxa
from tests.report.test_darwin_core import read

WORDS = ("--institution", "AN", "--creator", "A. Person")


def facts_of(path, status=None):
    tables, _, metadata = read(path)
    rows = tables["occurrence.txt"].set_index("occurrenceID")
    facts = tables["extendedmeasurementorfact.txt"]
    code = facts["measurementTypeID"].str.split("/").str[-2]
    found = {}
    for name, row, value in zip(code, facts["occurrenceID"], facts["measurementValue"], strict=True):
        if row == "":
            found[name] = float(value)
        elif status is None or rows.loc[row, "identificationVerificationStatus"] == status:
            found[rows.loc[row, "eventID"], rows.loc[row, "verbatimIdentification"], name] = float(value)
    return found, rows, metadata


def test_fractions_of_a_net_reach_the_archive(tmp_path):
    """d1 of 1 and d2 of 64, five copepods each in 100 m3: 0.05 m-3 where 3.25 is right; the volume of the net is not that of what was imaged."""
    source = nets(
        tmp_path,
        s=[(5, "validated", *COPEPOD, "d1", 1), (5, "validated", *COPEPOD, "d2", 64)],
        t=[(3, "validated", "Medusae", "living>Eukaryota>Metazoa>Cnidaria>Medusae", "d1", 1)],
    )
    assert call("ingest", source, "-o", tmp_path / "in", "--quiet").exit_code == 0
    assert call("aggregate", tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    done = call("export", "dwca", tmp_path / "out", "-o", tmp_path / "a.zip", *WORDS, "--licence", "CC0-1.0")
    assert done.exit_code == 0, done.output
    found, rows, metadata = facts_of(tmp_path / "a.zip")
    assert found["s", "Copepoda", "OCOUNT01"] == 10
    assert found["s", "Copepoda", "SDBIOL01"] == pytest.approx((5 + 64 * 5) / 100)
    one = np.pi / 6 * (2 * np.sqrt(1401 / np.pi) * 0.0106) ** 3
    assert found["s", "Copepoda", "CVOLUKNB"] == pytest.approx(one * (5 + 64 * 5) / 100)
    assert found["t", "Copepoda", "SDBIOL01"] == 0 and "VOLWBSMP" not in found
    absent = rows[rows["occurrenceStatus"] == "absent"]
    assert sorted(zip(absent["eventID"], absent["verbatimIdentification"], strict=True)) == [
        ("s", "Medusae"),
        ("t", "Copepoda"),
    ]
    assert set(rows["identificationVerificationStatus"]) == {HUMAN}
    title = metadata.find("dataset/title").text
    assert title == "out" and metadata.find("dataset/intellectualRights/para").text == "CC0-1.0"


def model_folder(tmp_path):
    """Casts whose vignettes nobody has sorted, a model's probabilities of two classes, and the volumes of EcoPart."""
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (2, 1, 0)})
    two = ecotaxa(
        tmp_path / "ecotaxa_x.tsv",
        [(sample, depth, "predicted") for sample, depth, _ in TOLD] + [("c1", 7.0, "validated")],
    )
    prob = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], dtype="float32")
    table = pa.table(
        {"object_id": [f"o{k}" for k in range(4)], "prob": pa.FixedSizeListArray.from_arrays(pa.array(prob.ravel()), 2)}
    )
    table = table.replace_schema_metadata({"classes": json.dumps(["Copepoda", "Calanidae"])})
    pq.write_table(table, tmp_path / "model.parquet")
    done = call("ingest", one, two, tmp_path / "model.parquet", "-o", tmp_path / "in", "--quiet")
    assert done.exit_code == 0, done.output
    return tmp_path / "in"


def test_a_models_labels_rolled_up_over_the_bins_of_another_export(tmp_path):
    """Three objects of the model and one of a human, 0.01 m3 per bin: bins hold 1 and 3 copepods, however they are labelled."""
    folder = model_folder(tmp_path)
    for method, labels in (
        ("top1", {"c1_0-5": {"Copepoda": 1}, "c1_5-10": {"Calanidae": 1, "Copepoda": 1}}),
        ("probabilistic", None),
    ):
        out = tmp_path / method
        done = call("aggregate", folder, "-o", out, "--method", method, "--taxon", "Copepoda")
        assert done.exit_code == 0, done.output
        total = files.read_parquet(out / "concentrations.parquet").set_index("sample_id")["number_concentration"]
        assert total.to_dict() == pytest.approx({"c1_0-5": 100, "c1_5-10": 300, "c1_10-15": 0})
        done = call("export", "dwca", out, "-o", tmp_path / f"{method}.zip", *WORDS, "--model", "net 1")
        assert done.exit_code == 0, done.output
        machine, rows, _ = facts_of(tmp_path / f"{method}.zip", MACHINE)
        human, _, _ = facts_of(tmp_path / f"{method}.zip", HUMAN)
        assert human["c1_5-10", "Copepoda", "SDBIOL01"] == pytest.approx(100)
        assert human["VOLWBSMP"] == pytest.approx(0.01)
        mine = rows[rows["identificationVerificationStatus"] == MACHINE]
        assert (
            set(mine["identifiedBy"]) == {"net 1"}
            and (mine["occurrenceRemarks"] == f"counted by method {method}").all()
        )
        if labels is not None:
            for sample, known in labels.items():
                for label, n in known.items():
                    assert machine[sample, label, "OCOUNT01"] == n
        else:
            assert machine["c1_5-10", "Calanidae", "SDBIOL01"] == pytest.approx((0.8 + 0.3) / 0.01, rel=1e-6)
            assert ("c1_0-5", "Calanidae", "OCOUNT01") not in machine  # a tenth of an object is no occurrence
            assert "neither present nor absent" in done.output


def test_predictions_for_ecotaxa_by_command(tmp_path):
    folder = model_folder(tmp_path)
    done = call("export", "ecotaxa", folder, "-o", tmp_path / "ecotaxa_new.tsv", "--threshold", 0.75)
    assert done.exit_code == 0, done.output
    assert (
        "1 objects are left out: a human has labelled them" in done.output
        and "1 objects are left out: their score is below 0.75" in done.output
    )
    table = pd.read_csv(tmp_path / "ecotaxa_new.tsv", sep="\t", skiprows=[1], encoding="utf-8-sig")
    assert table[["object_id", "object_annotation_category", "sample_id", "acq_id"]].to_numpy().tolist() == [
        ["o0", "Copepoda", "c1", "a_c1"],
        ["o1", "Calanidae", "c1", "a_c1"],
    ]
    assert set(table["object_annotation_status"]) == {"predicted"}
    lost = call("export", "ecotaxa", folder, "-o", tmp_path / "x.tsv")
    assert lost.exit_code == 2 and "is not seen by EcoTaxa" in lost.output
    lost = call("export", "ecotaxa", tmp_path / "ecopart", "-o", tmp_path / "ecotaxa_y.tsv")
    assert lost.exit_code == 2 and "holds no objects.parquet" in lost.output


def test_statuses_that_are_counted_together_are_no_human_identification(tmp_path):
    source = nets(tmp_path, s=[(2, "validated", *COPEPOD), (3, "predicted", *COPEPOD)], u=[(4, "predicted", *COPEPOD)])
    assert call("ingest", source, "-o", tmp_path / "in", "--zone", "0-200", "--quiet").exit_code == 0
    words = ("--status", "validated", "--status", "predicted")
    assert call("aggregate", tmp_path / "in", "-o", tmp_path / "both", *words).exit_code == 0
    assert call("export", "dwca", tmp_path / "both", "-o", tmp_path / "b.zip").exit_code == 0
    found, rows, _ = facts_of(tmp_path / "b.zip", MACHINE)
    assert found["s", "Copepoda", "SDBIOL01"] == pytest.approx(0.05) and set(
        rows["identificationVerificationStatus"]
    ) == {MACHINE}
    done = call("export", "dwca", tmp_path / "in", "-o", tmp_path / "c.zip")  # the folder of an ingest with zones
    assert done.exit_code == 0 and "'not told' stands in the metadata" in done.output
    found, rows, _ = facts_of(tmp_path / "c.zip", HUMAN)
    assert found["s", "Copepoda", "SDBIOL01"] == pytest.approx(0.02)
    assert set(rows["eventID"]) == {"s"}  # nobody sorted u: neither present nor absent


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("validated", HUMAN),
        ("validated, score >= 0.5", HUMAN),
        ("validated+predicted", MACHINE),
        ("all", MACHINE),
        ("acc", MACHINE),
        ("predicted", MACHINE),
        ("morphotypes 1a2b", None),
    ],
)
def test_who_has_identified(method, status):
    assert status_of_method(method) == status


def test_licences_travel_with_their_source(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    samples = pd.DataFrame(
        {"sample_id": ["a1"], "lat": 10.0, "lon": -20.0, "time": pd.Timestamp("2020-01-02", tz="UTC"), "volume": 2.0}
    )
    samples.to_parquet(out / "samples.parquet")
    counts = pd.DataFrame(
        {
            "sample_id": ["a1"],
            "taxon": ["Copepoda"],
            "n": [4.0],
            "biovolume": [np.nan],
            "weight": [1.0],
            "method": ["validated"],
        }
    )
    counts.to_parquet(out / "counts.parquet")
    counts[["sample_id", "taxon"]].to_parquet(out / "concentrations.parquet")
    two = pd.DataFrame({"source": ["a.csv", "b.csv"], "licence": ["CC-BY-4.0", "CC-BY-NC-4.0"]})
    two.to_parquet(out / "licences.parquet")
    lost = call("export", "dwca", out, "-o", tmp_path / "x.zip", *WORDS)
    assert lost.exit_code == 2 and "2 licences (CC-BY-4.0, CC-BY-NC-4.0)" in lost.output
    assert call("export", "dwca", out, "-o", tmp_path / "x.zip", *WORDS, "--licence", "CC-BY-NC-4.0").exit_code == 0
    texts = [para.text for para in facts_of(tmp_path / "x.zip")[2].findall("dataset/intellectualRights/para")]
    assert texts == ["CC-BY-NC-4.0", "a.csv: CC-BY-4.0", "b.csv: CC-BY-NC-4.0"]
    two.iloc[:1].to_parquet(out / "licences.parquet")
    assert call("export", "dwca", out, "-o", tmp_path / "y.zip", *WORDS).exit_code == 0
    texts = [para.text for para in facts_of(tmp_path / "y.zip")[2].findall("dataset/intellectualRights/para")]
    assert texts == ["CC-BY-4.0", "a.csv: CC-BY-4.0"]
