"""Sinking flux of carbon from particle size spectra: laws of the form A d^b, and their calibrated versions."""

import numpy as np
from scipy.special import exprel

from aqqua_dist.core.errors import UserError
from aqqua_dist.rates.formula import Argument, published
from aqqua_dist.rates.size_classes import CLASSES, from_size, mean_diameter, over_classes

PER_LITRE, MM = 1e-3, 1e-3
"""From m-3 to L-1, and from µm to mm: the laws are published per litre and millimetre."""
FLUX = "mg m-2 d-1"
COEFFICIENT = Argument("mg m-2 d-1", low=0)
EXPONENT = Argument("1", low=0, high=10)
CLEMENTS2023 = (18.0, 2.63)
KRIEST_SMALLEST = 128.0
KRIEST_CARBON, KRIEST_CARBON_EXPONENT = 0.52063, 1.62
"""µg C of a particle of 1 mm, and its exponent."""


@published(FLUX, "doi 10.1016/j.dsr.2008.05.014", coefficient=COEFFICIENT, exponent=EXPONENT, **CLASSES)
def flux_power_law(number_concentration, esd_low, esd_high, *, coefficient, exponent):
    """Flux by any law, ``F = sum N A d^b`` with N in L-1 and d in mm.

    Parameters
    ----------
    number_concentration : array_like
        Particles per class (m-3), shape (..., n_classes).
    esd_low, esd_high : array_like
        Limits of the classes (µm), shape (n_classes,).
    coefficient : float
        A, flux of one particle of 1 mm per litre (mg C m-2 d-1).
    exponent : float
        b (1).

    Returns
    -------
    numpy.ndarray
        Flux (mg C m-2 d-1), shape (...).

    References
    ----------
    Guidi et al. 2008, doi 10.1016/j.dsr.2008.05.014.
    """
    diameter = mean_diameter(esd_low, esd_high) * MM
    return over_classes(number_concentration * PER_LITRE, coefficient * diameter**exponent)


@published(FLUX, "doi 10.1016/j.dsr.2008.05.014", **CLASSES)
def flux_guidi2008(number_concentration, esd_low, esd_high):
    """Flux by A = 12.5, b = 3.81.

    Parameters
    ----------
    number_concentration, esd_low, esd_high
        As for `flux_power_law`.

    Returns
    -------
    numpy.ndarray
        Flux (mg C m-2 d-1).

    References
    ----------
    Guidi et al. 2008, doi 10.1016/j.dsr.2008.05.014.
    """
    diameter = mean_diameter(esd_low, esd_high) * MM
    return over_classes(number_concentration * PER_LITRE, 12.5 * diameter**3.81)


@published(FLUX, "doi 10.1038/ngeo3042", **CLASSES)
def flux_kriest2002(number_concentration, esd_low, esd_high):
    """Flux by the carbon and the sinking speed of Kriest 2002, as Kiko et al. use them.

    ``F = sum N 0.52063 d^1.62 132 (d / cm)^0.62``, over classes that begin at
    128 µm or above: A = 16.4856, b = 2.24.

    Parameters
    ----------
    number_concentration, esd_low, esd_high
        As for `flux_power_law`.

    Returns
    -------
    numpy.ndarray
        Flux (mg C m-2 d-1).

    References
    ----------
    Kriest 2002, doi 10.1016/S0967-0637(02)00127-9; Kiko et al. 2017, doi
    10.1038/ngeo3042.
    """
    diameter = mean_diameter(esd_low, esd_high) * MM
    carbon = KRIEST_CARBON * diameter**KRIEST_CARBON_EXPONENT  # µg; per litre the same number in mg m-3
    speed = 132.0 * (diameter / 10) ** 0.62  # m d-1, diameter in cm
    return over_classes(number_concentration * PER_LITRE, carbon * speed, from_size(esd_low, KRIEST_SMALLEST))


@published(FLUX, "doi 10.3389/fmars.2019.00603", **CLASSES)
def flux_fender2019(number_concentration, esd_low, esd_high):
    """Flux by A = 13.45, b = 1.35.

    Parameters
    ----------
    number_concentration, esd_low, esd_high
        As for `flux_power_law`.

    Returns
    -------
    numpy.ndarray
        Flux (mg C m-2 d-1).

    References
    ----------
    Fender et al. 2019, doi 10.3389/fmars.2019.00603.
    """
    diameter = mean_diameter(esd_low, esd_high) * MM
    return over_classes(number_concentration * PER_LITRE, 13.45 * diameter**1.35)


@published(FLUX, "doi 10.1029/2021GB007080", **CLASSES)
def flux_cram2022(number_concentration, esd_low, esd_high):
    """Flux by A = 1.594, b = 2.00, with the lower limit of each class as its diameter.

    Parameters
    ----------
    number_concentration, esd_low, esd_high
        As for `flux_power_law`.

    Returns
    -------
    numpy.ndarray
        Flux (mg C m-2 d-1).

    References
    ----------
    Cram et al. 2022, doi 10.1029/2021GB007080.
    """
    mean_diameter(esd_low, esd_high)  # refuses limits that do not ascend, as every law does
    return over_classes(number_concentration * PER_LITRE, 1.594 * (esd_low * MM) ** 2.00)


@published(FLUX, "doi 10.1029/2022GB007633", **CLASSES)
def flux_clements2023(number_concentration, esd_low, esd_high):
    """Flux by A = 18.0, b = 2.63, recovered from published spectra and fluxes (to 3e-5 in the median profile).

    Parameters
    ----------
    number_concentration, esd_low, esd_high
        As for `flux_power_law`.

    Returns
    -------
    numpy.ndarray
        Flux (mg C m-2 d-1).

    References
    ----------
    Clements et al. 2023, doi 10.1029/2022GB007633.
    """
    diameter = mean_diameter(esd_low, esd_high) * MM
    return over_classes(number_concentration * PER_LITRE, CLEMENTS2023[0] * diameter ** CLEMENTS2023[1])


@published(
    FLUX,
    "doi 10.1029/2022GB007633",
    biovolume_concentration=Argument("mm3 m-3", low=0),
    slope=Argument("1", low=0, high=10),
    biovolume_range=Argument("um", low=0, above=True),
    flux_range=Argument("um", low=0, above=True),
    coefficient=COEFFICIENT,
    exponent=EXPONENT,
)
def flux_spectrum_clements2023(
    biovolume_concentration,
    slope,
    *,
    biovolume_range=(105.0, 5000.0),
    flux_range=(35.0, 5000.0),
    coefficient=CLEMENTS2023[0],
    exponent=CLEMENTS2023[1],
):
    """Flux of a power-law spectrum that is given by its biovolume and its slope.

    With ``n(s) = n0 s^-slope`` (L-1 mm-1, s in mm), n0 follows from
    ``BV = pi/6 n0 integral of s^(3 - slope)``, and
    ``F = n0 A integral of s^(b - slope)``; both integrals are exact at the
    slopes 4 and b + 1, where their usual form divides by zero.

    Parameters
    ----------
    biovolume_concentration : array_like
        Biovolume of the particles of `biovolume_range` (mm3 m-3; 1000 are 1
        ppm).
    slope : array_like
        Slope of the number spectrum, positive (1).
    biovolume_range, flux_range : tuple of (float, float)
        Sizes (µm) that the biovolume holds, and that sink.
    coefficient, exponent : float
        A (mg C m-2 d-1 per L-1) and b of the law.

    Returns
    -------
    numpy.ndarray
        Flux (mg C m-2 d-1).

    Raises
    ------
    UserError
        A range that does not ascend.

    References
    ----------
    Clements et al. 2022, doi 10.1029/2021GB007276; 2023, doi
    10.1029/2022GB007633.
    """
    volume = np.pi / 6 * _power_integral(3 - slope, biovolume_range)
    return biovolume_concentration * PER_LITRE / volume * coefficient * _power_integral(exponent - slope, flux_range)


def _power_integral(power, limits):
    """Integral of s^power over limits in µm, s in mm."""
    low, high = np.asarray(limits, dtype=float) * MM
    if not low < high:
        raise UserError(f"sizes from {limits[0]:g} to {limits[1]:g} µm do not ascend, allowed is a smaller one first.")
    width = np.log(high / low)
    return low ** (power + 1) * width * exprel((power + 1) * width)
