"""The plan of a study: every name resolved, nothing computed."""

import warnings
from pathlib import Path

from aqqua_dist.core.errors import MethodWarning, RecipeError
from aqqua_dist.core.paths import find_recipe
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.recipe.context import Context
from aqqua_dist.recipe.recipe import load, parse, sound_parts
from aqqua_dist.stages import refusals
from aqqua_dist.training.kinds import KINDS


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
    faults = refusals.faults(context)
    if faults:
        raise RecipeError(context.recipe.study, faults)
    for sentence in refusals.notes(context):
        warnings.warn(sentence, MethodWarning, stacklevel=2)
    kind = KINDS[context.recipe.observations.kind]
    return _plan(context, kind.inputs(context) | kind.split_inputs(context))


def check_text(recipe, *, runs="runs"):
    """All faults of a recipe that is not valid, those of the files that it names included.

    Parameters
    ----------
    recipe : str or os.PathLike
        Recipe file or name of a shipped recipe.
    runs : str or os.PathLike
        Folder of all runs.

    Raises
    ------
    RecipeError
        The faults of the recipe, and of what its sound parts name.
    """
    path = find_recipe(recipe)
    try:
        load(path)
    except RecipeError:
        check_given(path.read_text(encoding="utf-8-sig"), path, path.parent, runs)


def check_given(text, place, folder, runs):
    """All faults of the text of a recipe that is not valid, those of the files that it names included.

    Parameters
    ----------
    text : str
        YAML.
    place : str or os.PathLike
        What it is called in messages.
    folder : pathlib.Path
        Folder that its relative paths start from.
    runs : str or os.PathLike
        Folder of all runs.

    Raises
    ------
    RecipeError
        The faults of the recipe, and of what its sound parts name.
    """
    try:
        parse(text, place)
    except RecipeError as error:
        context = Context(sound_parts(text), text, folder, Path(runs), 1, False)
        raise RecipeError(error.place, [*error.faults, *refusals.faults(context)]) from None


def _plan(context, files):
    recipe, model = context.recipe, context.recipe.model
    search = FAMILIES[model.kind].describe(model)
    zones = ", ".join(f"{z.name} ({z.top:g}-{z.bottom:g} m)" for z in recipe.zones)
    taxa = "every taxon found" if recipe.taxa == "all" else ", ".join(recipe.taxa)
    source = ", ".join(str(p) for p in files.values()) or "virtual survey on the embedded climatology"
    return [
        f"study    {recipe.study}: {recipe.title}",
        f"observe  {source}",
        f"cube     {recipe.grid.resolution:g} degree grid; zones {zones}; predictors {', '.join(recipe.predictors.names)}",
        f"match    blocks of {recipe.validation.block_size:g} degrees",
        f"fit      {taxa}; {search}; {recipe.members.count} members ({recipe.members.scheme})",
        f"map      thickness {'clipped at the sea floor' if recipe.grid.clip_at_sea_floor else 'not clipped'}",
        f"budget   global, {'basins, ' if recipe.budget.basins else ''}latitude bands of {recipe.budget.latitude_band:g} degrees, area of applicability",
        f"figures  {', '.join(recipe.figures)}",
        f"outputs  {context.out}",
    ]
