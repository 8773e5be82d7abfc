"""Principal components of embeddings.

The covariance is summed up exactly in partial results that merge, so the
components need one pass over the objects (or over the sample means) and do
not depend on the size of the batches.
"""

from dataclasses import dataclass

import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.learned import read_learned, version_of, write_learned
from aqqua_dist.embeddings.rows import Rows, check_embeddings, check_weights
from aqqua_dist.embeddings.segment_sums import scatter


@dataclass(frozen=True)
class EmbeddingScatter:
    """Mean and scatter of some embeddings.

    Attributes
    ----------
    n : int
        Embeddings.
    weight : float
        Sum of their weights.
    mean : numpy.ndarray
        float64, shape (d,).
    products : numpy.ndarray
        float64, shape (d, d); weighted sum of the products of the distances
        from the mean.
    """

    n: int
    weight: float
    mean: np.ndarray
    products: np.ndarray

    @property
    def covariance(self):
        """Products over the sum of the weights (numpy.ndarray, shape (d, d))."""
        return self.products / self.weight


def embedding_scatter(embeddings, weights=None, *, place="embeddings"):
    """Mean and scatter of embeddings, or of the means of samples.

    Parameters
    ----------
    embeddings : numpy.ndarray
        float16 or float32, widened block by block, or float64; shape (n, d).
    weights : numpy.ndarray, optional
        Above 0, shape (n,), used in single precision; default 1.
    place : str
        Shown in messages.

    Returns
    -------
    EmbeddingScatter
        Partial result for `merge_scatter`.

    Raises
    ------
    UserError
        No row, wrong type or shape, a weight that is not above 0, or an
        embedding that is not finite.
    """
    embeddings = check_embeddings(embeddings, place, double=True)
    if not len(embeddings):
        raise UserError(f"{place}: there are {len(embeddings)} embeddings, needed is at least one.")
    weights = check_weights(weights, len(embeddings), place)
    rows = Rows(embeddings, None, 0, len(embeddings))
    total = weights.sum(dtype="float64")
    with np.errstate(over="ignore", invalid="ignore"):
        if embeddings.dtype == np.float64:
            mean = weights @ embeddings / total
            away = (embeddings - mean) * np.sqrt(weights)[:, None].astype("float64")
            products = away.T @ away
        else:
            reference = np.nan_to_num(embeddings[: 2**10].astype("float64").mean(axis=0).astype("float32"))
            first, products = scatter(rows, weights, reference)
            products -= np.outer(first, first) / total
            mean = reference + first / total
    bad = rows.not_finite(suspect=np.full(len(embeddings), not np.isfinite(products).all()))
    if len(bad):
        raise UserError(f"{place}, row {bad[0]}: the embedding is not finite; {len(bad)} such rows, leave them out.")
    if not np.isfinite(products).all():
        raise UserError(
            f"{place}: numbers up to {np.abs(embeddings).max():.3g} have squares that are too large; scale them."
        )
    return EmbeddingScatter(len(embeddings), float(total), mean, products)


def merge_scatter(parts):
    """One partial result of several.

    Parameters
    ----------
    parts : sequence of EmbeddingScatter
        In the order of the objects, where the bits are to be repeatable; at
        least one.

    Returns
    -------
    EmbeddingScatter
        As if computed at once (Chan, Golub and LeVeque 1983,
        doi:10.1080/00031305.1983.10483115).

    Raises
    ------
    UserError
        No part, or parts of different dimensions.
    """
    parts = list(parts)
    dimensions = sorted({len(part.mean) for part in parts})
    if len(dimensions) != 1:
        raise UserError(
            f"{len(parts)} partial results have embeddings of {dimensions} dimensions; needed is one dimension for all."
        )
    n, weight, mean, products = parts[0].n, parts[0].weight, parts[0].mean.copy(), parts[0].products.copy()
    for part in parts[1:]:
        step, share = part.mean - mean, part.weight / (weight + part.weight)
        mean += share * step
        products += part.products + share * weight * np.outer(step, step)
        n, weight = n + part.n, weight + part.weight
    return EmbeddingScatter(n, weight, mean, products)


@dataclass(frozen=True)
class EmbeddingComponents:
    """Principal components.

    Attributes
    ----------
    mean : numpy.ndarray
        float64, shape (d,).
    components : numpy.ndarray
        float64, shape (k, d); unit vectors, the first has the largest
        variance; the entry of largest size is positive.
    variance : numpy.ndarray
        float64, shape (k,).
    total_variance : float
        Over all d dimensions.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    total_variance: float

    @property
    def version(self):
        """Hash of all numbers, 16 hexadecimal digits (str)."""
        return version_of(self.mean, self.components, self.variance, self.total_variance)

    @property
    def names(self):
        """Column of each component: ``embedding_pc01`` and so on (list of str)."""
        return [f"embedding_pc{number:02d}" for number in range(1, len(self.components) + 1)]

    def project(self, embeddings, *, place="embeddings"):
        """Values of the components.

        Parameters
        ----------
        embeddings : numpy.ndarray
            Sample means or objects, float16, float32 or float64, shape (n, d).
        place : str
            Shown in messages.

        Returns
        -------
        numpy.ndarray
            float64, shape (n, k); NaN where an embedding is missing (NaN).

        Raises
        ------
        UserError
            Another dimension.
        """
        embeddings = check_embeddings(embeddings, place, dimension=len(self.mean), double=True)
        out = np.empty((len(embeddings), len(self.components)))
        for low in range(0, len(embeddings), 2**10):
            out[low : low + 2**10] = (embeddings[low : low + 2**10].astype("float64") - self.mean) @ self.components.T
        return out

    def save(self, path, provenance):
        """Write the components as NetCDF.

        Parameters
        ----------
        path : str or os.PathLike
            Place.
        provenance : aqqua_dist.core.provenance.Provenance
            Embedded.
        """
        variables = {
            "mean": ("dimension", self.mean),
            "components": (("component", "dimension"), self.components),
            "variance": ("component", self.variance),
            "total_variance": ((), self.total_variance),
        }
        write_learned(self, variables, path, provenance)

    @classmethod
    def load(cls, path):
        """Components of a file that `save` wrote.

        Parameters
        ----------
        path : str or os.PathLike
            NetCDF file.

        Returns
        -------
        EmbeddingComponents
            With the same version.

        Raises
        ------
        UserError
            The file is another one, or its numbers are not those of its
            version.
        """
        return read_learned(cls, ("mean", "components", "variance", "total_variance"), path)


def fit_components(partial, n_components):
    """Principal components of a covariance.

    Parameters
    ----------
    partial : EmbeddingScatter
        Of all samples or objects.
    n_components : int
        k; from 1 to the dimension, and below the number of embeddings.

    Returns
    -------
    EmbeddingComponents
        Eigenvectors of the covariance with divisor Σw.

    Raises
    ------
    UserError
        Too many components, or embeddings that do not differ.
    """
    most = min(len(partial.mean), partial.n - 1)
    if not 1 <= n_components <= most:
        found = f"{partial.n} embeddings with {len(partial.mean)} dimensions"
        raise UserError(f"{n_components} components of {found}; allowed are 1 to {most}.")
    variance, vectors = np.linalg.eigh(partial.covariance)
    components = vectors[:, ::-1][:, :n_components].T
    if not variance[-1] > 0:
        raise UserError(
            f"the {partial.n} embeddings do not differ (largest variance {variance[-1]:g}), so they have no components."
        )
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(n_components), largest])[:, None]
    return EmbeddingComponents(
        partial.mean, components, np.maximum(variance[::-1][:n_components], 0), float(np.trace(partial.covariance))
    )
