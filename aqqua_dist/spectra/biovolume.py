"""Biovolume of a power law of particle sizes, and the power law of a biovolume and a slope."""

from dataclasses import dataclass

import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.classes import UM_PER_MM
from aqqua_dist.spectra.power_law import log_integral, mean_log_size


@dataclass(frozen=True)
class BiovolumeFit:
    """Biovolume and slope of a fitted spectrum.

    Attributes
    ----------
    log_biovolume : float
        Natural logarithm of the biovolume (mm3 m-3) of `size_range`.
    slope : float
        Of the number spectrum.
    covariance : numpy.ndarray
        Of both, shape (2, 2), to first order.
    size_range : tuple of (float, float)
        Diameters (µm).
    """

    log_biovolume: float
    slope: float
    covariance: np.ndarray
    size_range: tuple


def biovolume_of_n0(n0, slope, *, size_range):
    """Biovolume of ``n(s) = n0 s^-slope``: ``pi/6 n0 (largest^(4-slope) - smallest^(4-slope)) / (4-slope)``.

    At slope 4 it is the limit, ``pi/6 n0 ln(largest / smallest)``.

    Parameters
    ----------
    n0 : array_like
        Number density at 1 mm (m-3 mm-1), 0 or more; missing stays missing.
    slope : array_like
        Of the number spectrum; shapes broadcast.
    size_range : tuple of (float, float)
        Diameters (µm) that the biovolume holds.

    Returns
    -------
    numpy.ndarray
        Biovolume (mm3 m-3; 1000 are 1 ppm).

    Raises
    ------
    UserError
        A negative number density, or sizes that do not ascend from above 0.

    References
    ----------
    Clements et al. 2022, doi 10.1029/2021GB007276.
    """
    return _not_negative(n0, "number density (m-3 mm-1)") * np.exp(_log_volume(slope, size_range))


def n0_of_biovolume(biovolume, slope, *, size_range):
    """Number density at 1 mm of a biovolume and a slope, the inverse of `biovolume_of_n0`.

    Parameters
    ----------
    biovolume : array_like
        Biovolume (mm3 m-3; 1000 are 1 ppm) of `size_range`, 0 or more;
        missing stays missing.
    slope : array_like
        Of the number spectrum; shapes broadcast.
    size_range : tuple of (float, float)
        Diameters (µm).

    Returns
    -------
    numpy.ndarray
        Number density (m-3 mm-1).

    Raises
    ------
    UserError
        A negative biovolume, or sizes that do not ascend from above 0.

    References
    ----------
    Clements et al. 2022, doi 10.1029/2021GB007276.
    """
    return _not_negative(biovolume, "biovolume (mm3 m-3)") * np.exp(-_log_volume(slope, size_range))


def biovolume_fit(fit, *, size_range):
    """Biovolume and slope of a fit, with the covariance that follows from that of intercept and slope.

    Parameters
    ----------
    fit : aqqua_dist.spectra.fitted.SpectrumFit
        Intercept and slope.
    size_range : tuple of (float, float)
        Diameters (µm); beyond those that were fitted the power law is
        continued.

    Returns
    -------
    BiovolumeFit

    Raises
    ------
    UserError
        Sizes that do not ascend from above 0.
    """
    volume = float(_log_volume(fit.slope, size_range))
    low, high = _limits(size_range)
    turn = np.array([[1.0, -float(mean_log_size(low, high, 3 - fit.slope))], [0.0, 1.0]])
    return BiovolumeFit(fit.log_n0 + volume, fit.slope, turn @ fit.covariance @ turn.T, tuple(size_range))


def _limits(size_range):
    low, high = size_range
    if not 0 < low < high < np.inf:
        raise UserError(f"sizes of a biovolume are {low!r} to {high!r} µm; allowed are two that ascend from above 0.")
    return low / UM_PER_MM, high / UM_PER_MM


def _log_volume(slope, size_range):
    return np.log(np.pi / 6) + log_integral(*_limits(size_range), 3 - np.asarray(slope, dtype=float))


def _not_negative(values, name):
    values = np.asarray(values, dtype=float)
    if (values < 0).any():
        raise UserError(f"{name} of a spectrum is {np.nanmin(values):g}; allowed is 0 or more, or missing.")
    return values
