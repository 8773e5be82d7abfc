"""Outputs of models beside the exports whose images they are of."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import OBJECTS, SAMPLES, Ingested, typed
from aqqua_dist.readers.ingest import ingest
from aqqua_dist.readers.model_outputs import labelled, read_model_outputs
from aqqua_dist.readers.sources import find_sources


def wide(path, ids, **prob):
    pd.DataFrame({"object_id": ids} | {f"prob_{name}": values for name, values in prob.items()}).to_csv(
        path, index=False
    )


def test_wide_text_and_parquet_lists_become_one_table(tmp_path):
    wide(tmp_path / "a.csv", ["o1", "o2"], copepod=[0.7, 0.2], detritus=[0.3, 0.8])
    table = pa.table(
        {"object_id": ["o3"], "embedding": pa.array([[0.5, 1.5]], pa.list_(pa.float16(), 2)), "model_id": ["m"]}
    )
    pq.write_table(table, tmp_path / "b.parquet")
    got = read_model_outputs(find_sources([tmp_path]))
    rows = got.extra["predictions"].set_index("object_id")
    assert rows.loc[["o1", "o2"], ["label", "score"]].to_numpy().tolist() == [
        ["copepod", pytest.approx(0.7)],
        ["detritus", pytest.approx(0.8)],
    ]
    assert rows.loc["o3", "embedding"].tolist() == [0.5, 1.5]
    assert got.extra["classes"]["class"].tolist() == ["copepod", "detritus"]
    assert got.samples.empty


def test_images_without_a_label_take_it_and_others_keep_theirs():
    samples = typed(pd.DataFrame({"sample_id": ["s"]}), SAMPLES)
    objects = typed(
        pd.DataFrame(
            {
                "object_id": ["o1", "o2", "o3"],
                "sample_id": "s",
                "label": [None, "fish", None],
                "status": ["unclassified", "validated", "unclassified"],
            }
        ),
        OBJECTS,
    )
    outputs = pd.DataFrame(
        {
            "object_id": ["o1", "o2", "x"],
            "label": ["copepod", "copepod", "egg"],
            "score": [0.9, 0.8, 0.7],
            "model_id": "m",
        }
    )
    got = labelled(Ingested(samples, objects), outputs)
    assert got.objects["label"].fillna("").tolist() == ["copepod", "fish", ""]
    assert got.objects["status"].tolist() == ["predicted", "validated", "unclassified"]
    assert got.objects.loc[0, ["score", "model_id"]].tolist() == [0.9, "m"]
    assert got.findings["message"].tolist() == [
        "1 images took the label of a model; 1 of 3 predictions are of no image here."
    ]


def test_predictions_of_the_same_model_do_not_stand_twice(tmp_path):
    for name in ("a.csv", "b.csv"):
        wide(tmp_path / name, ["o1"], copepod=[1.0])
    both = find_sources([tmp_path])
    assert len(read_model_outputs(both).extra["predictions"]) == 2  # two files, two models without a name
    table = pa.table(
        {"object_id": ["o1"], "embedding": pa.array([[1.0]], pa.list_(pa.float32(), 1)), "model_id": ["m"]}
    )
    for name in ("c.parquet", "d.parquet"):
        pq.write_table(table, tmp_path / name)
    with pytest.raises(
        UserError,
        match="d.parquet: object 'o1' has 2 predictions of model 'm', another one in .*c.parquet, allowed is one",
    ):
        read_model_outputs(find_sources([tmp_path]))


def test_bins_and_predictions_in_one_ingest(data_root, tmp_path):
    ids = [f"D20130526T095207_IFCB013_{roi:05d}" for roi in (7, 11)]
    wide(tmp_path / "scores.csv", ids, diatom=[0.6, 0.1], ciliate=[0.4, 0.9])
    out = ingest([data_root / "formats" / "ifcb", tmp_path / "scores.csv"], tmp_path / "out", progress=False)
    objects = files.read_parquet(tmp_path / "out" / "objects.parquet").set_index("object_id")
    held = [name for name in ids if name in objects.index]
    assert held
    assert set(objects.loc[held, "status"]) == {"predicted"}
    assert np.isclose(objects.loc[held[0], "score"], 0.6 if held[0] == ids[0] else 0.9)
    assert len(files.read_parquet(tmp_path / "out" / "predictions.parquet")) == 2
    assert out.tables.extra["tally"].query("label == 'diatom' or label == 'ciliate'")["n"].sum() == len(held)


def test_classes_of_bins_with_and_without_their_headers(data_root, tmp_path):
    """The iRfcb table of a bin whose header is there, and of one that is not."""
    (tmp_path / "in").mkdir()
    for name in ("D20130526T095207_IFCB013", "D20200601T120000_IFCB101"):
        rows = [f"{name}_{roi:05d}.png,unclassified,Ciliate,0.{roi},2" for roi in (7, 11)]
        (tmp_path / "in" / f"{name}.csv").write_text(
            "file_name,class_name,class_name_auto,score,cell_count\n" + "\n".join(rows) + "\n"
        )
    ingest([data_root / "formats" / "ifcb", tmp_path / "in"], tmp_path / "out", progress=False)
    samples = files.read_parquet(tmp_path / "out" / "samples.parquet").set_index("sample_id")
    assert samples["volume"].notna().to_dict() == {
        "D20130526T095207_IFCB013": True,
        "IFCB5_2012_028_081515": True,
        "D20200601T120000_IFCB101": False,
    }
    assert samples.loc["D20200601T120000_IFCB101", "time"] == pd.Timestamp("2020-06-01 12:00", tz="UTC")
    objects = files.read_parquet(tmp_path / "out" / "objects.parquet")
    assert objects["object_id"].is_unique
    named = objects[objects["label"] == "Ciliate"]
    assert named["sample_id"].value_counts().to_dict() == {"D20130526T095207_IFCB013": 2, "D20200601T120000_IFCB101": 2}
    assert set(named["n_individuals"]) == {2}
    assert set(named["status"]) == {"predicted"}
