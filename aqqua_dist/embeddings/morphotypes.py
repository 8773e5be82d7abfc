"""Morphotypes: a codebook of typical embeddings, the nearest of each object, and how far objects are from all.

A codebook is fitted once on a sample of the collection, saved with a version
that is the hash of its numbers, and used again: labels and counts of
different runs mean the same thing only under the same version.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import MiniBatchKMeans

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.learned import empirical_quantile, read_learned, version_of, write_learned
from aqqua_dist.core.seeds import legacy_stream
from aqqua_dist.embeddings.nearest import NearestCentroid
from aqqua_dist.embeddings.rows import Rows, check_embeddings

SHRINKAGE = 10
"""Objects with the spread of all that are added to each centroid's own, so that a rare one has no spread of 0."""


@dataclass(frozen=True)
class Morphotypes:
    """Codebook of embeddings.

    Attributes
    ----------
    centroids : numpy.ndarray
        float32, shape (k, d); the most frequent first.
    spread : numpy.ndarray
        float64, shape (k,); root mean square distance of the training
        objects to their centroid, shrunk towards that of all.
    n : numpy.ndarray
        int64, shape (k,); training objects per centroid.
    scores : numpy.ndarray
        float64, shape (n_training,); ascending leave-one-out novelty scores
        of the training objects.
    seed : int
        Seed of the fit.
    """

    centroids: np.ndarray
    spread: np.ndarray
    n: np.ndarray
    scores: np.ndarray
    seed: int = 0

    @property
    def version(self):
        """Hash of all numbers, 16 hexadecimal digits (str)."""
        return version_of(self.centroids, self.spread, self.n, self.scores, self.seed)

    @property
    def names(self):
        """Name of each morphotype, to stand where a taxon stands: ``morphotype_<version>_<number>`` (list of str)."""
        width = len(str(len(self.centroids) - 1))
        return [f"morphotype_{self.version[:8]}_{number:0{width}d}" for number in range(len(self.centroids))]

    def assign(self, embeddings, *, on_bad="raise", place="embeddings"):
        """Nearest centroid of each object.

        Parameters
        ----------
        embeddings : numpy.ndarray
            float16 or float32, shape (n, d).
        on_bad : {'raise', 'drop'}
            Whether an embedding that is not finite is an error, or has label
            -1 and distance NaN.
        place : str
            Shown in messages.

        Returns
        -------
        labels : numpy.ndarray
            int32, shape (n,); the lowest of centroids that tie.
        distances : numpy.ndarray
            float32, shape (n,); Euclidean.

        Raises
        ------
        UserError
            Another dimension, or an embedding that is not finite.
        """
        embeddings = check_embeddings(embeddings, place, dimension=self.centroids.shape[1])
        if on_bad not in ("raise", "drop"):
            raise UserError(f"{place}: on_bad is {on_bad!r}, allowed are 'raise' and 'drop'.")
        labels, distances = NearestCentroid(self.centroids).find(Rows(embeddings, None, 0, len(embeddings)))
        bad = np.flatnonzero(labels < 0)
        if len(bad) and on_bad == "raise":
            raise UserError(
                f"{place}, row {bad[0]}: the embedding is not finite; {len(bad)} such rows, allowed are finite ones, or on_bad='drop'."
            )
        return labels, distances

    def novelty(self, labels, distances):
        """How far objects are from everything that the codebook was fitted on.

        The score is the distance to the nearest centroid over the spread of
        that centroid. It is calibrated as a conformal p-value (Bates et al.
        2023, doi:10.1214/22-AOS2244, eq. 1) with the leave-one-out scores of
        the training objects, for which their own centroid is moved to where
        it lies without them.

        Parameters
        ----------
        labels, distances : numpy.ndarray
            From `assign`; shape (n,).

        Returns
        -------
        score, quantile : numpy.ndarray
            float64, shape (n,); the quantile is the share of training
            objects that are less novel, in [0, 1); NaN where the label is
            -1. Above 0.99: as novel as the first percent.
        """
        score = np.where(labels < 0, np.nan, distances / self.spread[labels])
        return score, empirical_quantile(self.scores, score)

    def save(self, path, provenance):
        """Write the codebook as NetCDF.

        Parameters
        ----------
        path : str or os.PathLike
            Place.
        provenance : aqqua_dist.core.provenance.Provenance
            Embedded.
        """
        variables = {
            "centroids": (("morphotype", "dimension"), self.centroids),
            "spread": ("morphotype", self.spread),
            "n": ("morphotype", self.n),
            "scores": ("training_object", self.scores),
            "seed": ((), self.seed),
        }
        write_learned(self, variables, path, provenance)

    @classmethod
    def load(cls, path):
        """Codebook of a file that `save` wrote.

        Parameters
        ----------
        path : str or os.PathLike
            NetCDF file.

        Returns
        -------
        Morphotypes
            With the same version.

        Raises
        ------
        UserError
            The file is no codebook, or its numbers are not those of its
            version.
        """
        return read_learned(cls, ("centroids", "spread", "n", "scores", "seed"), path)


def fit_morphotypes(embeddings, n_morphotypes, *, seed, place="embeddings"):
    """Codebook of a sample of the collection, by mini-batch k-means.

    Parameters
    ----------
    embeddings : numpy.ndarray
        float16 or float32, shape (n, d); objects drawn at random from the
        whole collection (`draw_rows`), widened as a whole.
    n_morphotypes : int
        k, at least 2.
    seed : int
        Seed of the fit (Sculley 2010, doi:10.1145/1772690.1772862, as
        implemented by scikit-learn: 3 starts, batches of 4096).
    place : str
        Shown in messages.

    Returns
    -------
    Morphotypes
        Sorted by decreasing number of training objects. Centroids that no
        training object has are left out, with a warning.

    Raises
    ------
    UserError
        Fewer different objects than centroids, or an embedding that is not
        finite.
    """
    embeddings = check_embeddings(embeddings, place)
    if not 2 <= n_morphotypes <= len(embeddings) // 2:
        raise UserError(
            f"{place}: {n_morphotypes} morphotypes of {len(embeddings)} objects; allowed are 2 to half the number of objects."
        )
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise UserError(
            f"{place}, row {bad[0]}: the embedding is not finite; {len(bad)} such rows, leave them out before fitting."
        )
    single = embeddings.astype("float32")
    model = MiniBatchKMeans(n_morphotypes, random_state=seed, n_init=3, batch_size=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of k-means itself: too few different rows, told below
        centroids = model.fit(single).cluster_centers_.astype("float32")
    rows = Rows(single, None, 0, len(single))
    n = np.bincount(NearestCentroid(centroids).find(rows)[0], minlength=n_morphotypes)
    kept = np.argsort(-n, kind="stable")[: np.count_nonzero(n)]
    if len(kept) < n_morphotypes:
        empty = f"{n_morphotypes - len(kept)} of {n_morphotypes} morphotypes have no object"
        warnings.warn(f"{empty} and were left out; ask for fewer.", MethodWarning, stacklevel=2)
    centroids = centroids[kept]
    if len(kept) < 2:
        raise UserError(
            f"{place}: the {len(embeddings)} objects have {len(kept)} morphotype; needed are different embeddings."
        )
    return _calibrated(centroids, rows, seed, place)


def _calibrated(centroids, rows, seed, place):
    nearest = NearestCentroid(centroids)
    labels, distances = nearest.find(rows)
    other, beyond = nearest.find(rows, without=labels)
    distances, beyond = distances.astype("float64"), beyond.astype("float64")
    n = np.bincount(labels, minlength=len(centroids))
    squares = np.bincount(labels, distances**2, minlength=len(centroids))
    if not squares.sum() > 0:
        raise UserError(
            f"{place}: all {rows.n} objects lie on their {len(centroids)} centroids, so nothing is new or old; "
            "allowed are fewer morphotypes."
        )
    spread = np.sqrt((squares + SHRINKAGE * squares.sum() / n.sum()) / (n + SHRINKAGE))
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(n[labels] > 1, distances * n[labels] / (n[labels] - 1.0), np.inf)
    scores = np.where(own <= beyond, own / spread[labels], beyond / spread[other])
    return Morphotypes(centroids, spread, n.astype("int64"), np.sort(scores), int(seed))


def draw_rows(batches, size, *, seed):
    """Random rows of a stream, each equally likely, whatever the batches.

    Parameters
    ----------
    batches : iterable of numpy.ndarray
        Shape (n_batch, d).
    size : int
        Rows to draw; all, if there are fewer.
    seed : int
        Seed of the draw.

    Returns
    -------
    numpy.ndarray
        In the order of the stream, shape (at most size, d).
    """
    if size < 1:
        raise UserError(f"{size} rows are to be drawn, allowed are 1 or more.")
    random, keys, rows, limit = legacy_stream(seed), [], [], np.inf
    for batch in batches:
        key = random.random(len(batch))
        at = np.flatnonzero(key < limit)
        keys.append(key[at])
        rows.append(np.asarray(batch)[at])
        if sum(map(len, keys)) >= 2 * size:
            keys, rows = _smallest(keys, rows, size)
            limit = keys[0].max()
    if not keys:
        raise UserError(f"{size} rows are to be drawn from a stream of {len(keys)} batches; needed is at least one.")
    return _smallest(keys, rows, size)[1][0]


def _smallest(keys, rows, size):
    key = np.concatenate(keys)
    kept = np.sort(np.argsort(key, kind="stable")[:size])
    return [key[kept]], [np.concatenate(rows)[kept]]


def morphotype_counts(sample, labels, weights=None):
    """Objects per sample and morphotype.

    Parameters
    ----------
    sample : numpy.ndarray
        Whole numbers from 0, shape (n,).
    labels : numpy.ndarray
        Morphotype of each object, shape (n,); those of -1 do not count.
    weights : numpy.ndarray, optional
        What each object stands for, shape (n,).

    Returns
    -------
    pandas.DataFrame
        ``sample``, ``morphotype``, ``n`` (int64) and, where weights are
        given, their sum ``weight``, ascending; a pair that does not occur
        has no row. Sums over parts of the objects merge
        exactly (`merge_counts`); n over the volume is a concentration.
    """
    sample, labels = np.asarray(sample), np.asarray(labels)
    if (
        sample.shape != labels.shape
        or sample.dtype.kind not in "iu"
        or labels.dtype.kind not in "iu"
        or (sample.size and sample.min() < 0)
    ):
        raise UserError(
            f"samples are {sample.dtype} of shape {sample.shape} and labels {labels.dtype} of shape {labels.shape}; "
            "needed are whole numbers from 0, one pair per object."
        )
    counted = labels >= 0
    width = int(labels.max(initial=0)) + 1
    pairs, at, n = np.unique(
        sample[counted].astype("int64") * width + labels[counted], return_inverse=True, return_counts=True
    )
    table = pd.DataFrame({"sample": pairs // width, "morphotype": pairs % width, "n": n.astype("int64")})
    if weights is None:
        return table
    return table.assign(weight=np.bincount(at, np.asarray(weights, dtype=float)[counted], minlength=len(pairs)))


def merge_counts(parts):
    """Sum of counts.

    Parameters
    ----------
    parts : sequence of pandas.DataFrame
        From `morphotype_counts`, of the same codebook; at least one.

    Returns
    -------
    pandas.DataFrame
        As if counted at once.
    """
    return pd.concat(parts).groupby(["sample", "morphotype"], as_index=False, sort=True).sum()
