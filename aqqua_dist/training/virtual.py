"""Observations simulated on a virtual ocean."""

from aqqua_dist.environment import matchup
from aqqua_dist.recipe.context import predictor_names
from aqqua_dist.training.cells import average_rows
from aqqua_dist.virtual_ocean import responses, survey
from aqqua_dist.virtual_ocean.truth import true_totals


def simulated(context, cube):
    """Rows of a survey simulated on the recipe's layers.

    Parameters
    ----------
    context : Context
        The run.
    cube : xarray.Dataset
        Layers on the study grid.

    Returns
    -------
    tuple of (pandas.DataFrame, dict of str to pandas.DataFrame)
        One row per sample and taxon, and the tables ``samples`` and
        ``counts`` of the survey.
    """
    section, taxa = context.recipe.observations, responses.choose_taxa(context.recipe.taxa)
    samples, counts = survey.simulate_survey(
        taxa, cube, n_cruises=section.cruises, seed=context.recipe.seed, cruise_sd=section.cruise_sd
    )
    rows = survey.survey_concentrations(samples, counts, taxa, quantity=section.quantity)
    return rows, {"samples": samples, "counts": counts}


def on_grid(context, cube, rows):
    """Training rows of a simulated survey, with their predictors.

    Parameters
    ----------
    context : Context
        The run.
    cube : xarray.Dataset
        Layers on the study grid.
    rows : pandas.DataFrame
        From `simulated`.

    Returns
    -------
    pandas.DataFrame
        One row per taxon, zone, cell and cruise (and month).
    """
    names = predictor_names(context.recipe)
    keys = ["taxon", "zone", "lat", "lon", "cruise"] + (["month"] if "month" in cube.dims else [])
    table = average_rows(matchup.snap_to_cells(rows, cube["lat"], cube["lon"], "virtual survey"), keys)
    table[names] = matchup.extract(cube, table, names)
    return table


def truth(context, cube):
    """Exact stocks of a virtual survey in the regions of its budget.

    Parameters
    ----------
    context : Context
        The run.
    cube : xarray.Dataset
        Layers on the study grid.

    Returns
    -------
    pandas.DataFrame
        As from `aqqua_dist.virtual_ocean.truth.true_totals`.
    """
    recipe = context.recipe
    return true_totals(
        responses.choose_taxa(recipe.taxa),
        cube,
        quantity=recipe.observations.quantity,
        latitude_band=recipe.budget.latitude_band,
    )
