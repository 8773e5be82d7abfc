"""Zarr groups and numpy arrays with their ids."""

import shutil

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import ZipStore

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.image_models.arrays import read_array_outputs
from aqqua_dist.readers.ingest import ingest
from aqqua_dist.readers.model_outputs import read_model_outputs
from aqqua_dist.readers.sources import Source, find_sources

EMBEDDING = np.arange(12, dtype="float16").reshape(4, 3)
PROB = np.array([[0.5, 0.5], [0.25, 0.75], [1, 0], [0.1, 0.9]], dtype="float32")


def store(path, ids=("a", "b", "c", "d"), classes=("x", "y"), **arrays):
    zipped = str(path).endswith(".zip")
    place = ZipStore(path, mode="w") if zipped else path
    group = zarr.open_group(place, mode="w", attributes={"model_id": "m1", "classes": list(classes)})
    width = max(map(len, ids), default=1)
    for name, values in ({"object_id": np.array(ids, dtype=f"S{width}")} | arrays).items():
        group.create_array(name, data=np.asarray(values))
    if zipped:
        place.close()
    return Source(path)


@pytest.mark.parametrize("name", ["a.zarr", "a.zarr.zip"])
def test_groups_give_embeddings_and_probabilities(tmp_path, name):
    got = read_array_outputs(store(tmp_path / name, embedding=EMBEDDING, prob=PROB), [])
    assert (got.object_id.tolist(), got.classes, got.model_id) == (["a", "b", "c", "d"], ("x", "y"), "m1")
    np.testing.assert_array_equal(got.embedding, EMBEDDING)
    assert got.embedding.dtype == np.float16
    np.testing.assert_allclose(got.prob, PROB, atol=1e-6)


def test_numpy_arrays_find_their_ids(tmp_path):
    np.save(tmp_path / "deep.npy", EMBEDDING)
    pd.DataFrame({"object_id": ["a", "b", "c", "d"]}).to_csv(tmp_path / "deep_ids.csv", index=False)
    got = read_model_outputs(find_sources([tmp_path])).extra["predictions"]
    assert got["object_id"].tolist() == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(np.stack(got["embedding"]), EMBEDDING)
    (tmp_path / "deep_ids.csv").unlink()
    with pytest.raises(UserError, match="needed is a table deep_ids.csv"):
        read_model_outputs(find_sources([tmp_path]))


def test_a_store_beside_an_export_is_ingested(data_root, tmp_path):
    store(tmp_path / "in" / "scores.zarr", prob=PROB)
    out = ingest(
        [tmp_path / "in", data_root / "formats/ecotaxa/uvp6_uvpapp_b_da_19.tsv"], tmp_path / "out", progress=False
    )
    assert files.read_parquet(tmp_path / "out" / "predictions.parquet")["label"].tolist() == ["x", "y", "x", "y"]
    assert out.n_objects == 15


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"embedding": EMBEDDING[:3]}, "needed is a real one with 4 rows"),
        ({"embedding": EMBEDDING.astype(int)}, "array 'embedding' is int"),
        ({}, "needed are 'object_id' and"),
        ({"prob": PROB, "classes": ("x",)}, "2 columns for 1 classes"),
        ({"prob": PROB * 2}, "outside \\[0, 1\\]|add up to"),
        ({"embedding": EMBEDDING * np.float16(np.nan)}, "not a finite number"),
        ({"embedding": EMBEDDING, "ids": ("a", "a", "c", "d")}, "object 'a' also stands in row 2"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, given, message):
    with pytest.raises(UserError, match=message), np.errstate(all="ignore"):
        read_array_outputs(store(tmp_path / "a.zarr", **given), [])


def test_a_lost_chunk_is_not_read_as_zeros(tmp_path):
    big = np.ones((40, 3), dtype="float32")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("object_id", data=np.array([f"o{k}" for k in range(40)], dtype="S3"))
    group.create_array("embedding", data=big, chunks=(10, 3))
    assert len(read_array_outputs(Source(tmp_path / "a.zarr"), []).object_id) == 40
    next((tmp_path / "a.zarr" / "embedding" / "c" / "1").iterdir()).unlink()
    with pytest.raises(UserError, match="1 of 4 chunks of array 'embedding' are missing"):
        read_array_outputs(Source(tmp_path / "a.zarr"), [])


def test_archives_of_the_folder_itself_and_names_as_bytes(tmp_path):
    store(tmp_path / "a.zarr", prob=PROB, **{"classes": ()})
    group = zarr.open_group(tmp_path / "a.zarr", mode="a")
    group.create_array("classes", data=np.array(["x", "y"], dtype="S1"))
    shutil.make_archive(str(tmp_path / "b.zarr"), "zip", tmp_path, "a.zarr")
    for name in ("a.zarr", "b.zarr.zip"):
        assert read_array_outputs(Source(tmp_path / name), []).classes == ("x", "y")


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_damaged_stores_give_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "a.zarr.zip"
    content = bytearray(store(path, embedding=EMBEDDING).path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    content = (
        content[:start]
        if data.draw(st.booleans())
        else content[:start] + bytes([data.draw(st.integers(0, 255))]) + content[start + 1 :]
    )
    path.write_bytes(content)
    try:
        assert read_array_outputs(Source(path), []).embedding.shape[1] == 3
    except UserError as error:
        assert "a.zarr.zip" in str(error)
