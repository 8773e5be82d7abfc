"""`aqqua-dist embeddings`: brute force, partitions, a cluster, a stopped run, the map of a component and of a morphotype."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from sklearn.decomposition import PCA

from aqqua_dist.cli import main
from aqqua_dist.core import files
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.embeddings import partitions as embedding_sums
from aqqua_dist.embeddings.collection import EmbeddingOptions, collect_embeddings
from aqqua_dist.embeddings.morphotypes import Morphotypes
from aqqua_dist.environment.catalogue import load_layer
from aqqua_dist.stages import pipeline
from tests.project.readme import blocks

D, CASTS = 8, 60
SMALL = EmbeddingOptions(components=3, morphotypes=5, fit_rows=800)


def collection(folder, dtype="float32"):
    """Casts whose embeddings follow the latitude; three partitions, objects shuffled."""
    random, floor = np.random.default_rng(3), load_layer("bathymetry")
    samples, values, ids = [], [], []
    while len(samples) < CASTS:
        lat, lon = random.integers(-30, 30) * 2 + 1, random.integers(-90, 89) * 2 + 1
        if not float(floor.sel(lat=lat, lon=lon, method="nearest")) > 1000:
            continue
        name = f"s{len(samples):02d}"
        samples.append(
            {
                "sample_id": name,
                "cruise": f"c{len(samples) // 6}",
                "time": pd.Timestamp("2019-06-15", tz="UTC"),
                "lat": float(lat),
                "lon": float(lon),
                "depth_top": 0.0,
                "depth_bottom": 200.0,
                "volume": 2.0,
            }
        )
        n = int(random.integers(10, 30))
        values.append(
            random.normal(size=(n, D)) + np.eye(D)[0] * 3 * np.cos(np.radians(lat)) * random.integers(0, 2, (n, 1))
        )
        ids += [name] * n
    samples.append(samples[0] | {"sample_id": "empty"})
    pd.DataFrame(samples).to_parquet(folder / "samples.parquet")
    order = random.permutation(len(ids))
    values, ids = np.concatenate(values).astype(dtype)[order], np.array(ids)[order]
    (folder / "parts").mkdir()
    for number, part in enumerate(np.array_split(np.arange(len(ids)), 3)):
        write(folder / "parts" / f"{number}.parquet", ids[part], values[part])
    return pd.DataFrame(samples), ids, values


def write(path, ids, values):
    kind = {"float16": pa.float16(), "float32": pa.float32()}[values.dtype.name]
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), type=kind), values.shape[1])
    pq.write_table(
        pa.table({"object_id": [f"{path.stem}_{k}" for k in range(len(ids))], "sample_id": ids, "embedding": column}),
        path,
        row_group_size=200,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collection")
    known = collection(folder)
    collect_embeddings(folder / "parts", folder / "out", SMALL, samples=folder / "samples.parquet")
    return folder, *known


def test_means_and_components_are_those_of_numpy_and_scikit_learn(made):
    folder, samples, ids, values = made
    table = files.read_parquet(folder / "out" / "sample_embeddings.parquet").set_index("sample_id")
    names = [name for name in samples["sample_id"] if name != "empty"]
    means = np.array([values[ids == name].mean(axis=0, dtype=float) for name in names])
    np.testing.assert_allclose(np.array([*table.loc[names, "embedding_mean"]]), means, atol=1e-5)
    assert table.loc["empty", "n"] == 0 and table.loc["empty", "embedding_mean"] is None
    n = np.array([(ids == name).sum() for name in names])
    found = files.read_parquet(folder / "out" / "components.parquet").set_index("sample_id").loc[names]
    model = PCA(3).fit(np.repeat(means, n, axis=0))  # each sample as often as it has objects
    expected = model.transform(means)
    for number in range(3):
        mine = found[f"embedding_pc{number + 1:02d}"].to_numpy()
        np.testing.assert_allclose(np.abs(mine), np.abs(expected[:, number]), atol=1e-4)
    novelty = files.read_parquet(folder / "out" / "novelty.parquet").set_index("sample_id")
    assert novelty["novelty"].drop("empty").gt(0).all() and np.isnan(novelty.loc["empty", "novelty"])


def test_morphotypes_are_counted_by_the_nearest_centroid_with_zeros(made):
    folder, samples, ids, values = made
    book = Morphotypes.load(folder / "out" / "morphotypes.nc")
    nearest = np.array(book.names)[((values[:, None] - book.centroids) ** 2).sum(axis=2).argmin(axis=1)]
    expected = pd.Series(1, index=pd.MultiIndex.from_arrays([ids, nearest])).groupby(level=[0, 1]).sum()
    found = files.read_parquet(folder / "out" / "concentrations.parquet").set_index(["sample_id", "taxon"])
    assert len(found) == (CASTS + 1) * len(book.names)
    np.testing.assert_allclose(found["number_concentration"], expected.reindex(found.index).fillna(0) / 2)
    assert (found["concentration_low"] <= found["number_concentration"]).all() and (
        found["concentration_high"] > 0
    ).all()
    assert files.read_parquet(folder / "out" / "counts.parquet")["n"].sum() == len(ids)
    report = json.loads((folder / "out" / "report.json").read_text())
    assert (
        report["objects"] == len(ids)
        and report["versions"]["morphotypes"] == book.version
        and report["samples_with_objects"] == CASTS
    )
    assert not (folder / "out" / ".embeddings").exists()


def test_a_codebook_and_a_novelty_model_serve_again(made, tmp_path):
    folder, *_ = made
    again = EmbeddingOptions(
        components=3, codebook=str(folder / "out" / "morphotypes.nc"), training=str(folder / "out" / "novelty.nc")
    )
    collect_embeddings(folder / "parts", tmp_path, again, samples=folder / "samples.parquet")
    for name in ("counts", "novelty", "components"):
        pd.testing.assert_frame_equal(
            files.read_parquet(tmp_path / f"{name}.parquet"), files.read_parquet(folder / "out" / f"{name}.parquet")
        )


def test_a_cluster_gives_the_same_bits(made, tmp_path):
    pytest.importorskip("distributed")
    folder, *_ = made
    done = CliRunner().invoke(
        main,
        [
            "embeddings",
            str(folder / "parts"),
            "-o",
            str(tmp_path),
            "--samples",
            str(folder / "samples.parquet"),
            "--components",
            "3",
            "--codebook",
            str(folder / "out" / "morphotypes.nc"),
            "--scheduler",
            "local:2",
        ],
    )
    assert done.exit_code == 0, done.output
    for name in ("sample_embeddings", "components", "novelty", "counts"):
        one, two = (files.read_parquet(place / f"{name}.parquet") for place in (folder / "out", tmp_path))
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_a_stopped_run_goes_on(made, tmp_path, monkeypatch):
    folder, *_ = made
    options, original = (
        EmbeddingOptions(components=3, codebook=str(folder / "out" / "morphotypes.nc")),
        embedding_sums.sum_partition,
    )
    seen = []

    def fatal(path, shared):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(path)
        return original(path, shared)

    monkeypatch.setattr(embedding_sums, "sum_partition", fatal)
    with pytest.raises(KeyboardInterrupt):
        collect_embeddings(folder / "parts", tmp_path, options, samples=folder / "samples.parquet")
    assert len(seen) == 2 and not (tmp_path / "counts.parquet").exists()
    monkeypatch.setattr(
        embedding_sums, "sum_partition", lambda path, shared: (seen.append(path), original(path, shared))[1]
    )
    collect_embeddings(folder / "parts", tmp_path, options, samples=folder / "samples.parquet")
    assert len(seen) == 3 and len(set(seen)) == 3  # nothing was read again
    for name in ("sample_embeddings", "counts"):
        one, two = (files.read_parquet(place / f"{name}.parquet") for place in (folder / "out", tmp_path))
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_objects_of_an_ingest_tell_the_sample(made, tmp_path):
    folder, samples, ids, values = made
    names = [f"o{k}" for k in range(len(ids))]
    pd.DataFrame({"object_id": names, "sample_id": ids}).to_parquet(tmp_path / "objects.parquet")
    pd.DataFrame({"object_id": names[::-1], "embedding": [*values[::-1]]}).to_parquet(tmp_path / "predictions.parquet")
    samples.to_parquet(tmp_path / "samples.parquet")
    collect_embeddings(
        tmp_path, tmp_path / "out", EmbeddingOptions(components=0, codebook=str(folder / "out" / "morphotypes.nc"))
    )
    pd.testing.assert_frame_equal(
        files.read_parquet(tmp_path / "out" / "counts.parquet"), files.read_parquet(folder / "out" / "counts.parquet")
    )
    pd.DataFrame({"object_id": ["x", *names[1:]], "embedding": [*values]}).to_parquet(tmp_path / "predictions.parquet")
    with pytest.raises(UserError, match="row 0: object_id 'x' is not among the"):
        collect_embeddings(tmp_path, tmp_path / "out2", EmbeddingOptions(morphotypes=0))


def damaged(folder, tmp_path, change):
    samples, ids, values = (
        pd.read_parquet(folder / "samples.parquet"),
        np.array(["s00"] * 40),
        np.random.default_rng(0).normal(size=(40, D)).astype("float32"),
    )
    (tmp_path / "parts").mkdir()
    values, ids, samples = change(values, ids, samples)
    write(tmp_path / "parts" / "0.parquet", ids, values)
    samples.to_parquet(tmp_path / "samples.parquet")
    return tmp_path / "parts"


def with_nan(values, ids, samples):
    values[7, 2] = np.nan
    return values, ids, samples


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_nan, "row 7"),
        (lambda v, i, s: (v, np.where(i == "s00", "x", i), s), "row 0: sample_id 'x' is not among the 61 samples"),
        (lambda v, i, s: (v, i, s.assign(volume=0.0)), "volume 0 of sample 's00' is not above 0"),
        (lambda v, i, s: (v, i, s.assign(sample_id="s00")), "stands twice"),
    ],
)
def test_embeddings_and_samples_that_cannot_be(made, tmp_path, change, message):
    source = damaged(made[0], tmp_path, change)
    with pytest.raises(UserError, match=message):
        collect_embeddings(
            source,
            tmp_path / "out",
            EmbeddingOptions(components=0, morphotypes=2),
            samples=tmp_path / "samples.parquet",
        )
    assert not (tmp_path / "out" / "sample_embeddings.parquet").exists()


@pytest.mark.filterwarnings("ignore:1 samples have")
def test_what_is_not_finite_may_be_dropped_and_is_counted(made, tmp_path):
    source = damaged(made[0], tmp_path, with_nan)
    found = collect_embeddings(
        source,
        tmp_path / "out",
        EmbeddingOptions(components=1, morphotypes=2, on_bad="drop"),
        samples=tmp_path / "samples.parquet",
    )
    assert (found.objects, found.dropped) == (40, 1)
    assert files.read_parquet(tmp_path / "out" / "counts.parquet")["n"].sum() == 39


def test_partitions_that_do_not_fit_are_named(made, tmp_path):
    source = damaged(made[0], tmp_path, lambda v, i, s: (v, i, s))
    write(source / "1.parquet", np.array(["s01"] * 5), np.zeros((5, D + 1), "float32"))
    with pytest.raises(UserError, match="1.parquet: embeddings of 9 numbers, those of .*0.parquet have 8"):
        collect_embeddings(
            source, tmp_path / "out", EmbeddingOptions(morphotypes=0), samples=tmp_path / "samples.parquet"
        )
    (source / "1.parquet").write_bytes((source / "0.parquet").read_bytes()[:500])
    with pytest.raises(UserError, match="1.parquet: .* cannot be read"):
        collect_embeddings(
            source, tmp_path / "out", EmbeddingOptions(morphotypes=0), samples=tmp_path / "samples.parquet"
        )
    (source / "1.parquet").unlink()
    with pytest.raises(UserError, match="on_bad is 'x'"):
        collect_embeddings(
            source, tmp_path / "out", EmbeddingOptions(morphotypes=0, on_bad="x"), samples=tmp_path / "samples.parquet"
        )
    with pytest.warns(MethodWarning, match="1 samples have embeddings; their"):
        collect_embeddings(
            source, tmp_path / "out", EmbeddingOptions(morphotypes=0), samples=tmp_path / "samples.parquet"
        )


@pytest.mark.parametrize("target", ["component", "morphotype"])
def test_the_documented_example_maps_components_and_morphotypes(made, tmp_path, target):
    folder = made[0]
    text = next(block for block in blocks("README.md", "yaml") if "kind: aggregated" in block)
    recipe = yaml.safe_load(text)
    recipe |= {
        "members": {"scheme": "cruise_bootstrap", "n": 4},
        "grid": {"resolution": 4},
        "figures": [],
        "study": target,
    }
    recipe["observations"]["path"] = str(folder / "out")
    if target == "morphotype":
        name = Morphotypes.load(folder / "out" / "morphotypes.nc").names[0]
        recipe["taxa"], recipe["observations"]["quantity"] = [name], "number_concentration"
        recipe["model"]["objective"] = "count:poisson"
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    context = pipeline.open_study(tmp_path / "r.yaml", runs=tmp_path / "runs", progress=False)
    pipeline.run(context)
    budget = files.read_parquet(context.out / "budget" / "budget.parquet")
    assert set(budget["taxon"]) == set(recipe["taxa"]) and budget["estimate"].notna().all()
    assert len(list((context.out / "map").glob("*.nc"))) == len(recipe["taxa"])


def test_a_column_of_any_name_and_a_tensor_give_the_same_means(tmp_path):
    pd.DataFrame({"sample_id": ["a", "b", "c"], "lat": 0.0, "lon": 0.0, "volume": 1.0}).to_parquet(
        tmp_path / "samples.parquet"
    )
    values = np.arange(24, dtype="float32").reshape(6, 4)
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    (tmp_path / "parts").mkdir()
    pq.write_table(pa.table({"sample_id": list("aabbcc"), "dino": tensor}), tmp_path / "parts" / "0.parquet")
    words = [str(tmp_path / "parts"), "-o", str(tmp_path / "out"), "--samples", str(tmp_path / "samples.parquet")]
    words += ["--morphotypes", "0", "--components", "0"]
    done = CliRunner().invoke(main, ["embeddings", *words])
    assert done.exit_code == 2
    assert "column 'embedding' is missing; name another column of embeddings by --embedding" in done.output
    done = CliRunner().invoke(main, ["embeddings", *words, "--embedding", "dino"])
    assert done.exit_code == 0, done.output
    means = files.read_parquet(tmp_path / "out" / "sample_embeddings.parquet")
    assert np.vstack(means["embedding_mean"]).tolist() == values.reshape(3, 2, 4).mean(axis=1).tolist()


EXACT = np.arange(48, dtype="float64").reshape(12, 4) / 8
"""Every floating type holds them exactly."""
NUMBERS = (np.float16, np.float32, np.float64)


def shaped(kind, values):
    flat = pa.array(values.ravel())
    if kind == "list":
        return pa.ListArray.from_arrays(pa.array(np.arange(0, values.size + 1, values.shape[1]), pa.int32()), flat)
    if kind == "fixed list":
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.FixedShapeTensorArray.from_numpy_ndarray(values)


def in_folders(folder, kind, number):
    """A partition per sample, whose folder alone names it."""
    pd.DataFrame({"sample_id": ["a", "b/c"], "volume": 1.0}).to_parquet(folder / "samples.parquet")
    for place, rows in (("sample_id=a", EXACT[:6]), ("sample_id=b%2Fc", EXACT[6:])):
        (folder / place).mkdir()
        pq.write_table(pa.table({"embedding": shaped(kind, rows.astype(number))}), folder / place / "x.parquet")
    return folder


@pytest.mark.filterwarnings("ignore::aqqua_dist.core.errors.MethodWarning")
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", ["list", "fixed list", "tensor"])
def test_partitions_in_folders_of_their_sample(tmp_path, kind, number):
    done = collect_embeddings(in_folders(tmp_path, kind, number), tmp_path / "out", EmbeddingOptions(morphotypes=0))
    assert (done.objects, done.samples) == (12, 2)
    table = pd.read_parquet(tmp_path / "out" / "sample_embeddings.parquet").set_index("sample_id")
    for name, rows in (("a", EXACT[:6]), ("b/c", EXACT[6:])):
        np.testing.assert_array_equal(table.loc[name, "embedding_mean"], rows.mean(axis=0))


def test_a_folder_that_contradicts_its_rows(tmp_path):
    folder = in_folders(tmp_path, "list", np.float32)
    path = folder / "sample_id=a" / "x.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).append_column("sample_id", pa.array(["b/c"] * 6)), path)
    with pytest.raises(UserError, match="the folder says sample_id 'a', and the file 'b/c'"):
        collect_embeddings(folder, tmp_path / "out", EmbeddingOptions(morphotypes=0))


@pytest.mark.parametrize("ids", [[b"\xff"] * 6, [["a"]] * 6])
def test_ids_that_are_no_text(tmp_path, ids):
    folder = in_folders(tmp_path, "list", np.float32)
    path = folder / "sample_id=a" / "x.parquet"
    pq.write_table(pq.read_table(path, partitioning=None).append_column("sample_id", pa.array(ids)), path)
    with pytest.raises(UserError, match="column 'sample_id' holds (binary|list).*, needed is text"):
        collect_embeddings(folder, tmp_path / "out", EmbeddingOptions(morphotypes=0))


def test_whole_numbers_are_no_embeddings(tmp_path):
    folder = in_folders(tmp_path, "list", np.int8)
    with pytest.raises(UserError, match="holds list<.*int8>; needed are fixed-length binary or lists of real numbers"):
        collect_embeddings(folder, tmp_path / "out", EmbeddingOptions(morphotypes=0))


@pytest.mark.parametrize("option", ["--seed", "--components", "--morphotypes"])
def test_numbers_below_zero_are_refused(tmp_path, option):
    done = CliRunner().invoke(main, ["embeddings", str(tmp_path), "-o", str(tmp_path / "out"), option, "-1"])
    assert (done.exit_code, "is not in the range x>=0" in done.output) == (2, True)
