"""Observations simulated on a virtual ocean."""

from aqqua_dist.environment import matchup
from aqqua_dist.recipe.context import predictor_names
from aqqua_dist.training.cells import average_rows
from aqqua_dist.training.cube import layer_cube
from aqqua_dist.virtual_ocean import responses, survey
from aqqua_dist.virtual_ocean.truth import true_totals


def simulated(context):
    """Training rows of a survey simulated on the recipe's layers.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    tuple of (xarray.Dataset, pandas.DataFrame, dict of str to pandas.DataFrame)
        Cube, training rows, and the tables ``samples``, ``counts`` and
        ``truth`` of the survey.
    """
    recipe = context.recipe
    cube = layer_cube(context)
    taxa = responses.choose_taxa(recipe.taxa)
    samples, counts = survey.simulate_survey(
        taxa, cube, n_cruises=recipe.observations.cruises, seed=recipe.seed, cruise_sd=recipe.observations.cruise_sd
    )
    names = predictor_names(recipe)
    keys = ["taxon", "zone", "lat", "lon", "cruise"] + (["month"] if "month" in cube.dims else [])
    table = survey.concentrations(samples, counts, taxa, quantity=recipe.observations.quantity)
    table = average_rows(matchup.snap_to_cells(table, cube["lat"], cube["lon"], "virtual survey"), keys)
    table[names] = matchup.extract(cube, table, names)
    truth = true_totals(taxa, cube, quantity=recipe.observations.quantity, latitude_band=recipe.budget.latitude_band)
    return cube, table, {"samples": samples, "counts": counts, "truth": truth}
