"""Clusters of places in any number, by Ward's method, without a matrix of all places by all places."""

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import KMeans

WARD_PLACES = 4000
"""Most places whose distances to each other are held at once (64 MB)."""
GROUP_PLACES = 1000
"""Mean number of places of a group, where there are more places than that."""


def merges(places):
    """Pairs of places in the order in which Ward's method joins their clusters.

    Up to 4000 places it is Ward's method. Of more, places are grouped by
    k-means, joined within their group until 4000 clusters are left, and the
    centres of these are joined.

    Parameters
    ----------
    places : numpy.ndarray
        Distinct places, shape (n, n_dims).

    Returns
    -------
    numpy.ndarray
        One place of either cluster that is joined, int, shape (n - 1, 2).
    """
    return _merges(places)[0]


def _merges(places):
    """Pairs as of `merges`, and the height at which each is joined."""
    count = len(places)
    if count < 2:
        return np.empty((0, 2), dtype=int), np.empty(0)
    if count <= WARD_PLACES:
        tree = linkage(places, method="ward")
        one = np.arange(2 * count - 1)  # a place of each cluster
        for step, (left, _) in enumerate(tree[:, :2].astype(int)):
            one[count + step] = one[left]
        return one[tree[:, :2].astype(int)], tree[:, 2]
    group = KMeans(min(-(-count // GROUP_PLACES), GROUP_PLACES), n_init=1, max_iter=20, random_state=0).fit_predict(
        places
    )
    if np.bincount(group).max() == count:  # places too close to each other to be told apart by k-means
        group = np.arange(count) // WARD_PLACES
    inner = [(members[edges], heights) for members, (edges, heights) in _grouped(places, group)]
    edges, heights = (np.concatenate(parts) for parts in zip(*inner, strict=True))
    lowest = np.argsort(heights, kind="stable")[: max(count - WARD_PLACES, 0)]
    cluster = cut(edges[lowest], count, count - len(lowest))
    held = np.bincount(cluster)
    centres = np.column_stack([np.bincount(cluster, weights=axis) for axis in places.T]) / held[:, None]
    first = np.unique(cluster, return_index=True)[1]
    outer, above = _merges(centres)
    return np.vstack([edges[lowest], first[outer]]), np.concatenate([heights[lowest], above])


def _grouped(places, group):
    for one in np.unique(group):
        members = np.flatnonzero(group == one)
        yield members, _merges(places[members])


def cut(edges, count, n_clusters):
    """Cluster of each place after the first joins.

    Parameters
    ----------
    edges : numpy.ndarray
        As from `merges`.
    count : int
        Number of places.
    n_clusters : int
        Number of clusters, from 1 to `count`.

    Returns
    -------
    numpy.ndarray
        int, shape (count,): 0, 1, ...
    """
    joined = edges[: count - n_clusters]
    graph = coo_array((np.ones(len(joined), dtype=bool), tuple(joined.T)), shape=(count, count))
    return connected_components(graph, directed=False)[1]
