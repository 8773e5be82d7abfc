"""Attenuation of the carbon flux with depth: published curves and parameterisations."""

import numpy as np

from aqqua_dist.rates.formula import Argument, published
from aqqua_dist.rates.respiration import TEMPERATURE

FLUX = Argument("mg m-2 d-1", low=0)
DEPTH = Argument("m", low=0, above=True)
EXPONENT = Argument("1", low=0)


@published("mg m-2 d-1", "doi 10.1016/0198-0149(87)90086-0", flux=FLUX, depth=DEPTH, b=EXPONENT, reference_depth=DEPTH)
def flux_at_depth_martin1987(flux, depth, *, b, reference_depth):
    """Flux at a depth by the power law, ``F0 (z / z0)^-b``.

    Parameters
    ----------
    flux : array_like
        F0, at the reference depth (mg C m-2 d-1).
    depth : array_like
        z (m, positive down).
    b : float
        Exponent (1).
    reference_depth : float
        z0 (m).

    Returns
    -------
    numpy.ndarray
        Flux (mg C m-2 d-1).

    References
    ----------
    Martin et al. 1987, doi 10.1016/0198-0149(87)90086-0.
    """
    return flux * (depth / reference_depth) ** -b


@published("mg m-2 d-1", "doi 10.1073/pnas.1415311112", flux=FLUX, depth=DEPTH, z_star=DEPTH, reference_depth=DEPTH)
def flux_at_depth_exponential(flux, depth, *, z_star, reference_depth):
    """Flux at a depth by the exponential, ``F0 exp(-(z - z0) / z*)``.

    Parameters
    ----------
    flux : array_like
        F0, at the reference depth (mg C m-2 d-1).
    depth : array_like
        z (m, positive down).
    z_star : float
        Length over which the flux falls to 1/e (m).
    reference_depth : float
        z0 (m).

    Returns
    -------
    numpy.ndarray
        Flux (mg C m-2 d-1).

    References
    ----------
    Marsay et al. 2015, doi 10.1073/pnas.1415311112.
    """
    return flux * np.exp(-(depth - reference_depth) / z_star)


@published(
    "1",
    "github.com/annarufas/Rufas_etal_2024_GRL",
    flux_below=FLUX,
    flux_euphotic=Argument("mg m-2 d-1", low=0, above=True),
)
def transfer_efficiency(flux_below, flux_euphotic):
    """Share of the flux out of the euphotic zone that reaches the base of the mesopelagic zone.

    Parameters
    ----------
    flux_below : array_like
        At the base of the mesopelagic zone (mg C m-2 d-1).
    flux_euphotic : array_like
        At the base of the euphotic zone (mg C m-2 d-1).

    Returns
    -------
    numpy.ndarray
        Share (1).
    """
    return flux_below / flux_euphotic


@published("1", "doi 10.1029/2011GL046735", temperature=TEMPERATURE)
def export_efficiency_henson2011(temperature):
    """Share of the primary production that is exported, ``0.23 exp(-0.08 SST)``.

    Parameters
    ----------
    temperature : array_like
        Sea surface temperature (degree_Celsius).

    Returns
    -------
    numpy.ndarray
        Share (1).

    References
    ----------
    Henson et al. 2011, doi 10.1029/2011GL046735.
    """
    return 0.23 * np.exp(-0.08 * temperature)


@published("1", "doi 10.1073/pnas.1415311112", temperature=TEMPERATURE)
def martin_b_marsay2015(temperature):
    """Exponent of the power law, ``0.062 T + 0.303``.

    Parameters
    ----------
    temperature : array_like
        Median temperature of the upper 500 m (degree_Celsius).

    Returns
    -------
    numpy.ndarray
        b (1).

    References
    ----------
    Marsay et al. 2015, doi 10.1073/pnas.1415311112.
    """
    return 0.062 * temperature + 0.303


@published("m", "doi 10.1073/pnas.1415311112", temperature=Argument("degree_Celsius", low=-3, high=25))
def z_star_marsay2015(temperature):
    """Length of the exponential, ``483 - 19 T``.

    Parameters
    ----------
    temperature : array_like
        Median temperature of the upper 500 m (degree_Celsius), at most 25:
        beyond 25.4 the length would be negative.

    Returns
    -------
    numpy.ndarray
        z* (m).

    References
    ----------
    Marsay et al. 2015, doi 10.1073/pnas.1415311112.
    """
    return 483 - 19 * temperature
