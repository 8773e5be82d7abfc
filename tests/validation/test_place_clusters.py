"""Clusters of places, against SciPy's Ward."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import rand_score

from aqqua_dist.validation import place_clusters
from aqqua_dist.validation.place_clusters import cut, merges


def test_joins_are_those_of_ward():
    places = np.random.default_rng(5).normal(size=(60, 3))
    edges = merges(places)
    tree = linkage(places, method="ward")
    for count in (1, 2, 7, 30, 59, 60):
        assert rand_score(cut(edges, 60, count), fcluster(tree, count, "maxclust")) == 1


def test_joins_of_more_places_than_are_compared_at_once(monkeypatch):
    """Groups far apart are found as Ward finds them, and every number of clusters can be cut."""
    rng = np.random.default_rng(6)
    places = np.repeat(rng.normal(size=(12, 3)) * 100, 40, axis=0) + rng.normal(size=(480, 3))
    monkeypatch.setattr(place_clusters, "WARD_PLACES", 60)
    monkeypatch.setattr(place_clusters, "GROUP_PLACES", 50)
    edges = merges(places)
    assert edges.shape == (479, 2)
    assert rand_score(cut(edges, 480, 12), np.repeat(np.arange(12), 40)) == 1
    for count in (1, 5, 60, 61, 300, 480):
        assert len(set(cut(edges, 480, count))) == count
    tight = np.repeat([[1.0, 2.0, 3.0]], 100, axis=0) + np.arange(100)[:, None] * 1e-15
    assert len(set(cut(merges(tight), 100, 5))) == 5
