"""Morphotypes: the codebook against scikit-learn, its file, counts that merge, novelty of objects."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import MiniBatchKMeans

from aqqua_dist.core import files
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.provenance import Provenance
from aqqua_dist.embeddings.morphotypes import Morphotypes, draw_rows, fit_morphotypes, merge_counts, morphotype_counts

PROVENANCE = Provenance("study", "stage", "key")


@pytest.fixture(scope="module")
def blobs():
    """Three well separated kinds of object: 300, 200 and 100."""
    random = np.random.default_rng(0)
    centres = np.array([[0, 0, 0, 0, 0], [20, 0, 0, 0, 0], [0, 20, 0, 0, 0]])
    kind = random.permutation(np.repeat([0, 1, 2], [300, 200, 100]))
    return (centres[kind] + random.standard_normal((600, 5))).astype("float32"), kind


@pytest.fixture(scope="module")
def codebook(blobs):
    return fit_morphotypes(blobs[0], 3, seed=1)


def test_kinds_are_found_the_most_frequent_first(blobs, codebook):
    labels, distances = codebook.assign(blobs[0])
    np.testing.assert_array_equal(labels, blobs[1])
    assert codebook.n.tolist() == [300, 200, 100]
    np.testing.assert_allclose(
        codebook.centroids, [blobs[0][blobs[1] == kind].mean(axis=0) for kind in range(3)], atol=0.2
    )
    np.testing.assert_allclose(
        distances, np.linalg.norm(blobs[0] - codebook.centroids[labels], axis=1), rtol=1e-4, atol=1e-4
    )
    assert codebook.spread == pytest.approx([np.sqrt(5)] * 3, rel=0.1)  # d = 5 standard normal numbers


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_labels_are_those_of_scikit_learn(dtype):
    random = np.random.default_rng(2)
    values = random.standard_normal((3000, 24)).astype(dtype)
    codebook = fit_morphotypes(values, 30, seed=5)
    model = MiniBatchKMeans(30, random_state=5, n_init=3, batch_size=4096).fit(values.astype("float32"))
    order = np.argsort(-np.bincount(model.labels_, minlength=30), kind="stable")
    np.testing.assert_array_equal(codebook.centroids, model.cluster_centers_[order])
    np.testing.assert_array_equal(order[codebook.assign(values)[0]], model.predict(values.astype("float32")))


def test_the_file_keeps_the_version_and_a_change_is_noticed(codebook, blobs, tmp_path):
    path = tmp_path / "codebook.nc"
    codebook.save(path, PROVENANCE)
    again = Morphotypes.load(path)
    assert (
        again.version
        == codebook.version
        == fit_morphotypes(blobs[0], 3, seed=1).version
        != fit_morphotypes(blobs[0], 2, seed=1).version
    )
    assert again.names == [f"morphotype_{codebook.version[:8]}_{k}" for k in range(3)]
    np.testing.assert_array_equal(again.assign(blobs[0])[0], blobs[1])
    changed = xr.load_dataset(path)
    changed["centroids"][0, 0] += np.float32(1e-3)
    changed.to_netcdf(tmp_path / "changed.nc")
    with pytest.raises(UserError, match=f"it says '{codebook.version}'; it was changed"):
        Morphotypes.load(tmp_path / "changed.nc")
    files.write_netcdf(xr.Dataset({"map": ("lat", [1.0])}), tmp_path / "other.nc", PROVENANCE)
    with pytest.raises(UserError, match="needed is 'Morphotypes'"):
        Morphotypes.load(tmp_path / "other.nc")


def test_leave_one_out_scores_are_those_of_moved_centroids(blobs):
    """Twin: each object is taken out of its centroid in turn, with the centroids at the means of their objects."""
    values = blobs[0][:60]
    codebook = fit_morphotypes(values, 4, seed=3)
    means = codebook.centroids.astype(float)
    labels = codebook.assign(values)[0]
    scores = []
    for row, label in zip(values.astype(float), labels, strict=True):
        moved, n = means.copy(), codebook.n[label]
        moved[label] = (n * means[label] - row) / (n - 1) if n > 1 else np.inf
        away = np.linalg.norm(row - moved, axis=1)
        scores.append(away.min() / codebook.spread[away.argmin()])
    np.testing.assert_allclose(codebook.scores, np.sort(scores), rtol=1e-4)


def test_novelty_is_calibrated_and_sees_what_is_new(blobs, codebook):
    random = np.random.default_rng(9)
    same = (np.array([[20, 0, 0, 0, 0]]) + random.standard_normal((2000, 5))).astype("float32")
    score, quantile = codebook.novelty(*codebook.assign(same))
    assert np.mean(quantile > 0.9) == pytest.approx(0.1, abs=0.05) and quantile.mean() == pytest.approx(0.5, abs=0.05)
    new = np.full((1, 5), 9, "float32")
    score, quantile = codebook.novelty(*codebook.assign(new))
    assert quantile.tolist() == [600 / 601] and score[0] > codebook.scores[-1]


def test_an_embedding_that_is_not_finite(codebook, blobs):
    values = blobs[0][:9].copy()
    values[4, 2] = np.inf
    with pytest.raises(UserError, match="bin 3, row 4: .*1 such rows"):
        codebook.assign(values, place="bin 3")
    labels, distances = codebook.assign(values, on_bad="drop")
    assert labels[4] == -1 and np.isnan(codebook.novelty(labels, distances)[1][4])
    assert morphotype_counts(np.zeros(9, int), labels)["n"].sum() == 8
    with pytest.raises(UserError, match="row 4: .* leave them out before fitting"):
        fit_morphotypes(values, 2, seed=0)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 6)), min_size=1, max_size=60),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_counts_merge_exactly(pairs, first, second):
    sample, labels = np.array(pairs).T
    low, high = sorted((first, second))
    parts = [morphotype_counts(sample[s], labels[s]) for s in (slice(0, low), slice(low, high), slice(high, None))]
    whole = morphotype_counts(sample, labels)
    pd.testing.assert_frame_equal(merge_counts([merge_counts(parts[:2]), parts[2]]), whole)
    pd.testing.assert_frame_equal(merge_counts([parts[0], merge_counts(parts[1:])]), whole)
    expected = (
        pd.Series(1, index=pd.MultiIndex.from_tuples([p for p in pairs if p[1] >= 0] or [(0, 0)]))
        .groupby(level=[0, 1])
        .sum()
    )
    if (labels >= 0).any():
        assert whole.set_index(["sample", "morphotype"])["n"].to_dict() == expected.to_dict()
    else:
        assert whole.empty


def test_rows_are_drawn_evenly_whatever_the_batches():
    values = np.arange(5000, dtype="float32")[:, None]
    one = draw_rows([values], 200, seed=4)
    many = draw_rows((values[low : low + 13] for low in range(0, 5000, 13)), 200, seed=4)
    np.testing.assert_array_equal(one, many)
    assert len(np.unique(one)) == 200 and (np.diff(one[:, 0]) > 0).all()
    means = [draw_rows([values], 200, seed=seed).mean() for seed in range(30)]
    assert np.mean(means) == pytest.approx(2499.5, abs=4 * 1443 / np.sqrt(6000))
    np.testing.assert_array_equal(draw_rows([values[:3], values[3:5]], 200, seed=0), values[:5])


def test_what_is_refused(codebook):
    same = np.ones((40, 3), "float32")
    with pytest.raises(UserError, match="30 morphotypes of 40 objects; allowed are 2 to half"):
        fit_morphotypes(same, 30, seed=0)
    with (
        pytest.warns(MethodWarning, match="of 2 morphotypes have no"),
        pytest.raises(UserError, match="the 40 objects have 1 morphotype"),
    ):
        fit_morphotypes(same, 2, seed=0)
    with pytest.raises(UserError, match="all 40 objects lie on their 2 centroids"):
        fit_morphotypes(np.repeat(np.eye(3, dtype="float32")[:2], 20, axis=0), 2, seed=0)
    with pytest.raises(UserError, match="4 dimensions, needed are 5"):
        codebook.assign(np.ones((1, 4), "float32"))
    with pytest.raises(UserError, match="on_bad is 'no'"):
        codebook.assign(np.ones((1, 5), "float32"), on_bad="no")
    with pytest.raises(UserError, match="labels int64 of shape"):
        morphotype_counts(np.zeros(3, int), np.zeros(2, int))
    with pytest.raises(UserError, match="0 rows are to be drawn"):
        draw_rows([same], 0, seed=0)
    with pytest.raises(UserError, match="stream of 0 batches"):
        draw_rows([], 5, seed=0)
