"""Respiration of sinking particles and of organisms."""

from aqqua_dist.rates.flux_laws import MM, PER_LITRE
from aqqua_dist.rates.formula import Argument, published
from aqqua_dist.rates.size_classes import CLASSES, from_size, mean_diameter, over_classes

TEMPERATURE = Argument("degree_Celsius", low=-3, high=40)
SMALLEST = 100.0
"""Particles whose class begins below it (µm) are left out."""
CARBON_PER_OXYGEN = 0.89
"""Mole of carbon that is respired with one mole of oxygen, as the Agulhas data use it."""
AGULHAS = (
    "github.com/rkiko/AC_Agulhas_eddy_2021 (coefficients recovered: all its published values to their five digits)"
)


@published("umol m-3 h-1", AGULHAS, temperature=TEMPERATURE, **CLASSES)
def particle_respiration_kiko2021(number_concentration, esd_low, esd_high, temperature):
    """Oxygen that particles respire, by their size, ``sum N 0.460425 d^1.8 2^(T / 10)`` (nmol h-1, d in mm).

    Parameters
    ----------
    number_concentration : array_like
        Particles per class (m-3), shape (..., n_classes).
    esd_low, esd_high : array_like
        Limits of the classes (µm), shape (n_classes,); those that begin below
        100 µm are left out.
    temperature : array_like
        Temperature (degree_Celsius), shape (...).

    Returns
    -------
    numpy.ndarray
        Respiration (µmol O2 m-3 h-1, the number of nmol L-1 h-1), shape (...).
    """
    weight = 0.460425 * (mean_diameter(esd_low, esd_high) * MM) ** 1.8
    return over_classes(number_concentration * PER_LITRE, weight, from_size(esd_low, SMALLEST)) * 2 ** (
        temperature / 10
    )


@published(
    "umol m-3 h-1",
    AGULHAS,
    temperature=TEMPERATURE,
    remineralisation=Argument("d-1", low=0),
    **CLASSES,
)
def particle_respiration_carbon_kiko2021(number_concentration, esd_low, esd_high, temperature, *, remineralisation):
    """Oxygen that particles respire, by their carbon, ``sum N 0.80658246 k d^1.5 3.5^(T / 10)`` (nmol h-1, d in mm).

    Parameters
    ----------
    number_concentration, esd_low, esd_high, temperature
        As for `particle_respiration_kiko2021`.
    remineralisation : float
        k, share of the carbon that is respired per day (d-1); the source
        shows 0.003, 0.013, 0.031, 0.1 and 0.5 side by side, so that none is
        the default.

    Returns
    -------
    numpy.ndarray
        Respiration (µmol O2 m-3 h-1).
    """
    weight = 0.80658246 * remineralisation * (mean_diameter(esd_low, esd_high) * MM) ** 1.5
    summed = over_classes(number_concentration * PER_LITRE, weight, from_size(esd_low, SMALLEST))
    return summed * 3.5 ** (temperature / 10)


@published("1", "doi 10.1007/BF00396409", temperature=TEMPERATURE, q10=Argument("1", low=0, above=True))
def temperature_factor(temperature, *, q10):
    """Factor of a rate that is known at 15 degree_Celsius, ``Q10^((T - 15) / 10)``.

    Parameters
    ----------
    temperature : array_like
        Temperature (degree_Celsius).
    q10 : float
        Ratio of rates 10 degrees apart (1); Ikeda 1985 finds 1.82 to 1.89 for
        the respiration of zooplankton, and no single value is the default.

    Returns
    -------
    numpy.ndarray
        Factor (1).

    References
    ----------
    Ikeda 1985, doi 10.1007/BF00396409.
    """
    return q10 ** ((temperature - 15) / 10)
