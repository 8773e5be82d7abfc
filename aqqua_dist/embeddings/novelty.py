"""How far samples are from those that a model was trained on, by their mean embeddings."""

from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.learned import empirical_quantile, read_learned, version_of, write_learned
from aqqua_dist.embeddings.rows import check_embeddings


@dataclass(frozen=True)
class SampleNovelty:
    """How far a sample is from the training samples.

    Mahalanobis distance of the sample's mean embedding under the shrunk
    covariance of the training means (1 - a) S + a tr(S)/d I, with the
    intensity a of Ledoit and Wolf (2004, doi:10.1016/S0047-259X(03)00096-4).
    The mean of few objects scatters more: compare samples with as many
    objects as the training samples have.

    Attributes
    ----------
    mean : numpy.ndarray
        float64, shape (d,).
    root : numpy.ndarray
        float64, shape (d, d); R with R Rᵀ the inverse of the covariance.
    scores : numpy.ndarray
        float64, shape (n_training,); ascending leave-one-out scores of the
        training samples.
    """

    mean: np.ndarray
    root: np.ndarray
    scores: np.ndarray

    @property
    def version(self):
        """Hash of all numbers, 16 hexadecimal digits (str)."""
        return version_of(self.mean, self.root, self.scores)

    def score(self, means, *, place="sample means"):
        """Score of samples, and the share of training samples below it.

        Parameters
        ----------
        means : numpy.ndarray
            float16, float32 or float64, shape (n, d).
        place : str
            Shown in messages.

        Returns
        -------
        score, quantile : numpy.ndarray
            float64, shape (n,); Mahalanobis distance, and 1 minus the
            conformal p-value (Bates et al. 2023, doi:10.1214/22-AOS2244,
            eq. 1) against the leave-one-out scores; NaN for a sample
            without a mean.

        Raises
        ------
        UserError
            Another dimension.
        """
        means = check_embeddings(means, place, dimension=len(self.mean), double=True)
        score = np.linalg.norm((means.astype("float64") - self.mean) @ self.root, axis=1)
        return score, empirical_quantile(self.scores, score)

    def save(self, path, provenance):
        """Write the model as NetCDF.

        Parameters
        ----------
        path : str or os.PathLike
            Place.
        provenance : aqqua_dist.core.provenance.Provenance
            Embedded.
        """
        variables = {
            "mean": ("dimension", self.mean),
            "root": (("dimension", "direction"), self.root),
            "scores": ("training_sample", self.scores),
        }
        write_learned(self, variables, path, provenance)

    @classmethod
    def load(cls, path):
        """Model of a file that `save` wrote.

        Parameters
        ----------
        path : str or os.PathLike
            NetCDF file.

        Returns
        -------
        SampleNovelty
            With the same version.

        Raises
        ------
        UserError
            The file is another one, or its numbers are not those of its
            version.
        """
        return read_learned(cls, ("mean", "root", "scores"), path)


def fit_novelty(means, *, place="sample means"):
    """Novelty model of the mean embeddings of training samples.

    The score of each training sample is computed without it, in closed form:
    its share is taken out of the mean and of S (a rank-one change of the
    inverse), while the shrinkage is kept.

    Parameters
    ----------
    means : numpy.ndarray
        float16, float32 or float64, shape (n, d), n at least 3.
    place : str
        Shown in messages.

    Returns
    -------
    SampleNovelty
        The model.

    Raises
    ------
    UserError
        Too few samples, a mean that is missing, or samples that do not
        differ.
    """
    means = check_embeddings(means, place, double=True).astype("float64")
    n, d = means.shape
    bad = np.flatnonzero(~np.isfinite(means).all(axis=1))
    if len(bad) or n < 3:
        fault = f"row {bad[0]} is not finite ({len(bad)} such rows)" if len(bad) else f"there are {n} samples"
        raise UserError(f"{place}: {fault}; needed are the finite mean embeddings of at least 3 samples.")
    mean = means.mean(axis=0)
    away = means - mean
    target = np.square(away).mean()
    if not target > 0:
        raise UserError(f"{place}: the {n} samples do not differ (variance {target:g}), so none can be new.")
    shrinkage = ledoit_wolf_shrinkage(away, assume_centered=True)
    floor = 1e-10 * target  # a target variance that is left where nothing needs to shrink
    variance, vectors = np.linalg.eigh(away.T @ away / n)
    root = vectors / np.sqrt((1 - shrinkage) * np.maximum(variance, 0) + max(shrinkage * target, floor))
    grown = (1 - shrinkage) * np.maximum(variance, 0) * n / (n - 1) + max(shrinkage * target, floor)
    distance = np.square((away @ vectors) / np.sqrt(grown)).sum(axis=1)
    left = 1 - (1 - shrinkage) * n / (n - 1) ** 2 * distance
    scores = n / (n - 1) * np.sqrt(distance / np.maximum(left, 1e-12))
    return SampleNovelty(mean, root, np.sort(scores))
