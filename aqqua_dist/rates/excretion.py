"""Excretion of nutrients by zooplankton."""

import numpy as np

from aqqua_dist.rates.formula import Argument, published
from aqqua_dist.rates.respiration import TEMPERATURE


@published(
    "ug h-1",
    "doi 10.1007/BF00396409",
    carbon=Argument("mg", low=0, above=True),
    temperature=TEMPERATURE,
)
def ammonium_excretion_ikeda1985(carbon, temperature):
    """Ammonium that one individual excretes, ``ln E = -2.1763 + 0.8293 ln C + 0.0648 T``.

    Parameters
    ----------
    carbon : array_like
        C, carbon of one individual, never of a population (mg C).
    temperature : array_like
        T (degree_Celsius).

    Returns
    -------
    numpy.ndarray
        E (µg NH4-N per individual and hour).

    References
    ----------
    Ikeda 1985, doi 10.1007/BF00396409, with the coefficients that Stukel et
    al. use.
    """
    return np.exp(-2.1763 + 0.8293 * np.log(carbon) + 0.0648 * temperature)
