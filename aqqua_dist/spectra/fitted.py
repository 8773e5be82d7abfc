"""A fitted power law of particle sizes, ``n(s) = n0 s^-slope``: its two parameters, their covariance and their draws."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.seeds import stream
from aqqua_dist.spectra.power_law import log_integral


class NotFitted(UserError):
    """A spectrum that has no slope, in one sentence that says why."""


@dataclass(frozen=True)
class SpectrumFit:
    """Power law of one spectrum.

    Attributes
    ----------
    method : str
        Name of the fit.
    log_n0 : float
        Natural logarithm of the number density at 1 mm (m-3 mm-1).
    slope : float
        Positive where small particles are more numerous.
    covariance : numpy.ndarray
        Of ``log_n0`` and ``slope``, shape (2, 2); NaN where two classes
        leave no residual.
    classes : pandas.DataFrame
        ``esd_low, esd_high`` (µm), ``n``, ``volume`` (m3), ``left_out``: why
        the fit did not use the class, empty where it did.
    dispersion : float
        Sum of squared Pearson residuals per degree of freedom: about 1 where
        counts scatter as the fit supposes; NaN with two classes.
    overdispersion : float
        alpha of a negative binomial, variance ``mean + alpha mean^2``.
    """

    method: str
    log_n0: float
    slope: float
    covariance: np.ndarray
    classes: pd.DataFrame
    dispersion: float = np.nan
    overdispersion: float = 0.0

    @property
    def used(self):
        """Rows of the classes that were fitted."""
        return self.classes[self.classes["left_out"] == ""]

    @property
    def truncation(self):
        """One sentence: the sizes that were fitted, and the classes that were not, by reason, with their particles."""
        used = self.used
        said = f"{len(used)} classes from {used['esd_low'].min():g} to {used['esd_high'].max():g} µm"
        parts = [
            f"{len(rows)} {reason} ({rows['n'].sum():g} particles)"
            if rows["n"].notna().all()
            else f"{len(rows)} {reason}"
            for reason, rows in self.classes[self.classes["left_out"] != ""].groupby("left_out", sort=False)
        ]
        return f"{said}; left out: {', '.join(parts)}" if parts else said


def refuse_without_slope(n, least=2):
    """Refuse numbers from which no slope follows.

    Parameters
    ----------
    n : numpy.ndarray
        Numbers of the used classes in ascending order of size.
    least : int
        Classes that are needed.

    Raises
    ------
    NotFitted
        Too few classes, no particle, or all of them in the smallest or the
        largest class (the likelihood then grows with the slope for ever).
    """
    if len(n) < least:
        raise NotFitted(f"{len(n)} size classes remain, a slope needs {least}.")
    full = np.flatnonzero(n)
    if not len(full):
        raise NotFitted(f"no particle in {len(n)} size classes; a slope needs some in two.")
    if full[0] == full[-1] and full[0] in (0, len(n) - 1):
        side = "smallest" if full[0] == 0 else "largest"
        raise NotFitted(
            f"all {n.sum():g} particles are in the {side} of {len(n)} size classes; their slope is not bounded."
        )


def expected(fit_or_parameters, low, high, volume):
    """Numbers that a power law puts into size classes.

    Parameters
    ----------
    fit_or_parameters : SpectrumFit or tuple of (float, float)
        Or ``log_n0`` and ``slope``.
    low, high : array_like
        Limits of the classes (mm).
    volume : array_like
        Sampled volume (m3).

    Returns
    -------
    numpy.ndarray
        Number of particles per class.
    """
    if isinstance(fit_or_parameters, SpectrumFit):
        log_n0, slope = fit_or_parameters.log_n0, fit_or_parameters.slope
    else:
        log_n0, slope = fit_or_parameters
    return np.exp(log_n0 + log_integral(low, high, -slope) + np.log(volume))


def pearson(n, mean, variance):
    """Sum of squared Pearson residuals per degree of freedom of two parameters.

    Parameters
    ----------
    n, mean, variance : numpy.ndarray
        Of each class.

    Returns
    -------
    float
        NaN where no degree is left.
    """
    return float(((n - mean) ** 2 / variance).sum() / (len(n) - 2)) if len(n) > 2 else np.nan


def draw_parameters(parameters, covariance, members, seed, names):
    """Draws of the two parameters of a spectrum, normal with their covariance.

    Parameters
    ----------
    parameters : sequence of float
        ``log_n0`` (or another logarithm) and ``slope``, shape (2,).
    covariance : array_like
        Shape (2, 2).
    members : sequence of int
        Numbers of the members; each has a stream of its own, so that a member
        is the same however many are drawn.
    seed : int
        Seed of the recipe.
    names : sequence of str or int
        What tells the spectrum from others: the names of its stream.

    Returns
    -------
    numpy.ndarray
        Shape (n_members, 2).

    Raises
    ------
    UserError
        A covariance that is unknown or none.
    """
    cov = np.asarray(covariance, dtype=float)
    proper = cov.shape == (2, 2) and np.isfinite(cov).all() and cov[0, 0] >= 0 and cov[1, 1] >= 0
    if not proper or cov[0, 1] ** 2 > cov[0, 0] * cov[1, 1] * (1 + 1e-9):
        raise UserError(
            f"spectrum {list(names)}: the covariance of its parameters is {cov.tolist()}; draws need a known one (three "
            "classes or more)."
        )
    first = np.sqrt(cov[0, 0])
    along = cov[0, 1] / first if first > 0 else 0.0
    root = np.array([[first, 0.0], [along, np.sqrt(max(cov[1, 1] - along**2, 0.0))]])
    normal = np.array([stream(seed, "size spectrum", *names, int(m)).standard_normal(2) for m in members]).reshape(
        -1, 2
    )
    return np.asarray(parameters, dtype=float) + normal @ root.T
