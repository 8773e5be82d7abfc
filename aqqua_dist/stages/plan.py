"""The plan of a study: every name resolved, nothing computed."""

import difflib

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import RecipeError, UserError
from aqqua_dist.core.paths import find_input
from aqqua_dist.environment import catalogue
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.stages import figures, match
from aqqua_dist.training import tables
from aqqua_dist.virtual_ocean import responses


def check(context):
    """Resolve every name of a recipe, without computing or writing.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    list of str
        The plan, one line per stage.

    Raises
    ------
    RecipeError
        All faults at once: missing files, columns, layers, taxa, figures.
    """
    recipe, faults = context.recipe, []

    def attempt(action, *given, **named):  # numpydoc ignore=GL08
        try:
            return action(*given, **named)
        except UserError as error:
            faults.append(str(error))
            return None

    files = attempt(match.inputs, context) or {}
    attempt(figures.scripts, context)
    if recipe.predictors.kind == "layers":
        known = catalogue.catalogue()
        faults += [
            f"predictors.names: {n!r} is not in the catalogue; it has {', '.join(known)}"
            for n in recipe.predictors.names
            if n not in known
        ]
    else:
        faults += _nearly_known(recipe.predictors.names)
    if recipe.observations.kind == "virtual":
        attempt(responses.choose_taxa, recipe.taxa)
    for zone in recipe.zones if recipe.observations.kind == "table" and files and not faults else ():
        attempt(tables.read_zone, context, zone.name)
    for entry in recipe.published_maps:
        attempt(find_input, entry.path, context.folder)
    if faults:
        raise RecipeError(recipe.study, faults)
    return _plan(context, files)


def _nearly_known(names):
    """Names that are a slip of a known one: their values would pass unchecked."""
    known, faults = vocabulary.quantities(), []
    for name in names:
        near = [] if name in known else difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        faults += [f"predictors.names: {name!r} is not in the vocabulary, did you mean {n!r}?" for n in near]
    return faults


def _plan(context, files):
    recipe, model = context.recipe, context.recipe.model
    search = FAMILIES[model.kind].describe(model)
    zones = ", ".join(f"{z.name} ({z.top:g}-{z.bottom:g} m)" for z in recipe.zones)
    taxa = "every taxon found" if recipe.taxa == "all" else ", ".join(recipe.taxa)
    source = ", ".join(str(p) for p in files.values()) or "virtual survey on the embedded climatology"
    return [
        f"study    {recipe.study}: {recipe.title}",
        f"match    {source}; zones {zones}; predictors {', '.join(recipe.predictors.names)}",
        f"fit      {taxa}; {search}; {recipe.members.count} members ({recipe.members.scheme})",
        f"map      {recipe.grid.resolution:g} degree grid, thickness {'clipped at the sea floor' if recipe.grid.clip_at_sea_floor else 'not clipped'}",
        f"budget   global, {'basins, ' if recipe.budget.basins else ''}latitude bands of {recipe.budget.latitude_band:g} degrees, area of applicability",
        f"figures  {', '.join(recipe.figures)}",
        f"outputs  {context.out}",
    ]
