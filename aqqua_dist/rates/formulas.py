"""Published formulas by name: a new one is one file and one line here (two with the import)."""

import difflib

from aqqua_dist.core.errors import UserError
from aqqua_dist.rates import (
    attenuation,
    carbon_demand,
    euphotic_depth,
    excretion,
    flux_laws,
    particles,
    respiration,
    totals,
)

FORMULAS = {
    "flux_power_law": flux_laws.flux_power_law,
    "flux_guidi2008": flux_laws.flux_guidi2008,
    "flux_kriest2002": flux_laws.flux_kriest2002,
    "flux_fender2019": flux_laws.flux_fender2019,
    "flux_cram2022": flux_laws.flux_cram2022,
    "flux_clements2023": flux_laws.flux_clements2023,
    "flux_spectrum_clements2023": flux_laws.flux_spectrum_clements2023,
    "particle_number_kiko2017": particles.particle_number_kiko2017,
    "particle_carbon_kiko2017": particles.particle_carbon_kiko2017,
    "particle_respiration_kiko2021": respiration.particle_respiration_kiko2021,
    "particle_respiration_carbon_kiko2021": respiration.particle_respiration_carbon_kiko2021,
    "temperature_factor": respiration.temperature_factor,
    "demand_growth": carbon_demand.demand_growth,
    "demand_respiration": carbon_demand.demand_respiration,
    "demand_interception": carbon_demand.demand_interception,
    "attenuation_ratio_laget2024": carbon_demand.attenuation_ratio_laget2024,
    "ammonium_excretion_ikeda1985": excretion.ammonium_excretion_ikeda1985,
    "flux_at_depth_martin1987": attenuation.flux_at_depth_martin1987,
    "flux_at_depth_exponential": attenuation.flux_at_depth_exponential,
    "transfer_efficiency": attenuation.transfer_efficiency,
    "export_efficiency_henson2011": attenuation.export_efficiency_henson2011,
    "martin_b_marsay2015": attenuation.martin_b_marsay2015,
    "z_star_marsay2015": attenuation.z_star_marsay2015,
    "attenuation_490_morel2007": euphotic_depth.attenuation_490_morel2007,
    "attenuation_par_morel2007": euphotic_depth.attenuation_par_morel2007,
    "euphotic_depth_morel2007": euphotic_depth.euphotic_depth_morel2007,
    "euphotic_depth_behrenfeld1997": euphotic_depth.euphotic_depth_behrenfeld1997,
    "annual_flux_total": totals.annual_flux_total,
    "annual_rate_total": totals.annual_rate_total,
}
"""Name in a recipe to formula, by theme."""


def formula(name):
    """One formula.

    Parameters
    ----------
    name : str
        A key of `FORMULAS`.

    Returns
    -------
    aqqua_dist.rates.formula.Formula
        Callable, with its units, arguments and source.

    Raises
    ------
    UserError
        There is none of that name.
    """
    if name not in FORMULAS:
        near = difflib.get_close_matches(name, FORMULAS, n=1)
        hint = f", did you mean {near[0]!r}" if near else ""
        raise UserError(f"rate {name!r} is unknown{hint}; allowed are {', '.join(FORMULAS)}.")
    return FORMULAS[name]
