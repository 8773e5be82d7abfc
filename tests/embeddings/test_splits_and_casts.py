"""Embeddings with what else decides a concentration: splits of nets, bins of casts, weights of the file."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aqqua_dist.core import files
from aqqua_dist.embeddings.collection import EmbeddingOptions, collect_embeddings
from tests.concentrations.test_one_road import COPEPOD, call, nets
from tests.concentrations.test_vignettes_and_volumes import TOLD, ecopart, ecotaxa

TWO = EmbeddingOptions(components=0, morphotypes=2)


def embed(folder, first):
    """Predictions of an ingest: those objects whose id is in `first` near (1, 0), the others near (0, 1)."""
    ids = files.read_parquet(folder / "objects.parquet")["object_id"]
    values = np.array([[1, 0] if name in first else [0, 1] for name in ids], dtype="float32")
    values += np.random.default_rng(1).normal(0, 1e-3, values.shape).astype("float32")
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 2)
    pq.write_table(pa.table({"object_id": ids.astype(str), "embedding": column}), folder / "predictions.parquet")
    return values


@pytest.mark.filterwarnings("ignore:.*need")
def test_fractions_of_a_net_weigh_what_they_stand_for(tmp_path):
    """d1 of 1 and d2 of 64 with five objects each: both were 0.05 m-3."""
    source = nets(tmp_path, s=[(5, "validated", *COPEPOD, "d1", 1), (5, "validated", *COPEPOD, "d2", 64)])
    assert call("ingest", source, "-o", tmp_path / "in", "--quiet").exit_code == 0
    objects = files.read_parquet(tmp_path / "in" / "objects.parquet")
    first = set(objects.loc[objects["acquisition_id"] == "d1_s", "object_id"])
    values = embed(tmp_path / "in", first)
    collect_embeddings(tmp_path / "in", tmp_path / "out", TWO)
    found = files.read_parquet(tmp_path / "out" / "concentrations.parquet").sort_values("number_concentration")
    assert found["number_concentration"].tolist() == pytest.approx([0.05, 3.2])
    assert found["n"].tolist() == [5, 5]
    assert files.read_parquet(tmp_path / "out" / "counts.parquet")["weight"].sort_values().tolist() == [1, 64]
    mean = files.read_parquet(tmp_path / "out" / "sample_embeddings.parquet")["embedding_mean"].iloc[0]
    weight = np.where(objects["object_id"].isin(first), 1.0, 64.0)
    np.testing.assert_allclose(mean, (values * weight[:, None]).sum(axis=0) / weight.sum(), rtol=1e-5)
    # a morphotype that nobody saw in d2 may be there once: 3.689 objects of 64 in 100 m3 (Garwood's limit of zero)
    bound = found.loc[found["number_concentration"] < 1, "concentration_high"].iloc[0]
    assert bound > 3.6888794541139363 * 64 / 100


@pytest.mark.filterwarnings("ignore:.*need")
@pytest.mark.parametrize("apart", [False, True])
def test_embeddings_of_vignettes_go_to_the_bins_of_their_cast(tmp_path, apart):
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (2, 1, 0), ("c2", 48.1): (0, 0)}, zoo=False)
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", [*TOLD, ("c1", 7.0, "validated")])
    if apart:
        assert call("ingest", one, "-o", tmp_path / "p", "--quiet").exit_code == 0
    assert call("ingest", *([two] if apart else [one, two]), "-o", tmp_path / "in", "--quiet").exit_code == 0
    embed(tmp_path / "in", {"o0"})
    samples = tmp_path / "p" / "samples.parquet" if apart else None
    collect_embeddings(tmp_path / "in", tmp_path / "out", TWO, samples=samples)
    found = files.read_parquet(tmp_path / "out" / "concentrations.parquet")
    n = found.groupby("sample_id")["n"].agg(sorted).to_dict()
    assert n == {"c1_0-5": [0, 1], "c1_5-10": [0, 3], "c1_10-15": [0, 0]}  # nobody looked through c2
    assert found["number_concentration"].sort_values().tolist()[-2:] == pytest.approx([100, 300])


@pytest.mark.filterwarnings("ignore:.*need")
def test_weights_of_the_file_reach_the_morphotypes(tmp_path):
    values = (
        np.array([[1, 0], [0, 1], [0, 1], [1, 0]], dtype="float32") + np.arange(8, dtype="float32").reshape(4, 2) / 1e4
    )
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 2)
    pq.write_table(
        pa.table({"sample_id": ["s"] * 4, "weight": [2.0, 8.0, 4.0, 1.0], "embedding": column}), tmp_path / "e.parquet"
    )
    pd.DataFrame({"sample_id": ["s"], "volume": [10.0]}).to_parquet(tmp_path / "samples.parquet")
    collect_embeddings(tmp_path / "e.parquet", tmp_path / "out", TWO, samples=tmp_path / "samples.parquet")
    found = files.read_parquet(tmp_path / "out" / "concentrations.parquet")["number_concentration"]
    assert sorted(found) == pytest.approx([0.3, 1.2])
