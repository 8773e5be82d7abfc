"""Carbon that organisms need: three published forms, and the share of the export that it is.

Which form, growth rate, efficiency and respiration a paper used is often not
printed; each is a parameter without a default, so that the recipe says it.
"""

import numpy as np

from aqqua_dist.rates.formula import Argument, published
from aqqua_dist.rates.respiration import TEMPERATURE, temperature_factor

BIOMASS = Argument("mg m-3", low=0)
RATE = Argument("d-1", low=0)
SHARE = Argument("1", low=0, high=1, above=True)
LAGET2024 = "doi 10.1038/s41467-024-47651-4"
METRE = 1e-6
"""From µm."""


@published("mg m-3 d-1", LAGET2024, carbon_biomass=BIOMASS, mu=RATE, gge=SHARE)
def demand_growth(carbon_biomass, *, mu, gge):
    """Carbon demand from growth, ``B mu / GGE``.

    Parameters
    ----------
    carbon_biomass : array_like
        B (mg C m-3).
    mu : float
        Growth rate (d-1); giant protists turn over in 4.7 to 10.9 days
        (Stukel et al. 2018, doi 10.1002/lno.10961).
    gge : float
        Gross growth efficiency, above 0 to 1 (1).

    Returns
    -------
    numpy.ndarray
        Demand (mg C m-3 d-1).

    References
    ----------
    Laget et al. 2024, doi 10.1038/s41467-024-47651-4.
    """
    return carbon_biomass * mu / gge


@published(
    "mg m-3 d-1",
    LAGET2024,
    carbon_biomass=BIOMASS,
    temperature=TEMPERATURE,
    mu=RATE,
    respiration_15=RATE,
    q10=Argument("1", low=0, above=True),
    assimilation=SHARE,
)
def demand_respiration(carbon_biomass, temperature, *, mu, respiration_15, q10, assimilation):
    """Carbon demand from growth and respiration, ``(B mu + B r15 Q10^((T - 15) / 10)) / AE``.

    Parameters
    ----------
    carbon_biomass : array_like
        B (mg C m-3).
    temperature : array_like
        T (degree_Celsius).
    mu : float
        Growth rate (d-1).
    respiration_15 : float
        r15, share of the carbon that is respired per day at 15 degree_Celsius
        (d-1).
    q10 : float
        As for `aqqua_dist.rates.respiration.temperature_factor` (1).
    assimilation : float
        AE, assimilation efficiency, above 0 to 1 (1).

    Returns
    -------
    numpy.ndarray
        Demand (mg C m-3 d-1).

    References
    ----------
    Laget et al. 2024, doi 10.1038/s41467-024-47651-4; Ikeda 1985, doi
    10.1007/BF00396409.
    """
    factor = temperature_factor.function(temperature, q10=q10)
    return carbon_biomass * (mu + respiration_15 * factor) / assimilation


@published(
    "mg m-2 d-1",
    "doi 10.1002/lno.10961",
    carbon_flux=Argument("mg m-2 d-1", low=0),
    number_concentration=Argument("m-3", low=0),
    diameter=Argument("um", low=0, above=True),
    thickness=Argument("m", low=0),
)
def demand_interception(carbon_flux, number_concentration, *, diameter, thickness):
    """Carbon that flux feeders catch in a layer, ``F (1 - exp(-N pi/4 d^2 dz))``.

    Parameters
    ----------
    carbon_flux : array_like
        Flux that enters the layer (mg C m-2 d-1).
    number_concentration : array_like
        N, flux feeders (m-3).
    diameter : float
        Diameter of what one of them spans (µm); pseudopodia can span far more
        than the shell.
    thickness : float
        dz, of the layer (m).

    Returns
    -------
    numpy.ndarray
        Carbon caught in the layer (mg C m-2 d-1), at most the flux.

    References
    ----------
    Stukel et al. 2018, doi 10.1002/lno.10961.
    """
    span = np.pi / 4 * (diameter * METRE) ** 2
    return carbon_flux * -np.expm1(-number_concentration * span * thickness)


@published(
    "1",
    LAGET2024,
    demand=Argument("mg m-2 d-1", low=0),
    export=Argument("mg m-2 d-1", low=0, above=True),
)
def attenuation_ratio_laget2024(demand, export):
    """Share of the export that is demanded, annual demand over the median annual export out of the euphotic zone.

    Parameters
    ----------
    demand : array_like
        Annual mean demand of the layer (mg C m-2 d-1).
    export : array_like
        Median over maps of the annual mean export (mg C m-2 d-1).

    Returns
    -------
    numpy.ndarray
        Ratio (1); above 1 where more is demanded than arrives.

    References
    ----------
    Laget et al. 2024, doi 10.1038/s41467-024-47651-4.
    """
    return demand / export
