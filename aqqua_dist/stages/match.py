"""Stage match: observations and predictors to training rows and a cube."""

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import write_geoparquet, write_json, write_netcdf, write_parquet
from aqqua_dist.core.paths import find_input
from aqqua_dist.core.provenance import sha256_file
from aqqua_dist.recipe.context import predictor_names, provenance
from aqqua_dist.stages.record import mark_done, stage_key
from aqqua_dist.training import aggregated, exports
from aqqua_dist.training.cube import layer_cube, table_cube
from aqqua_dist.training.tables import observed
from aqqua_dist.training.virtual import simulated

SECTIONS = ("zones", "grid", "observations", "predictors", "taxa", "validation")


def inputs(context):
    """Input files of the match stage.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    dict of str to pathlib.Path
        Path as the recipe writes it to the file found.
    """
    recipe, found = context.recipe, {}
    if recipe.observations.kind == "exports":
        found |= exports.inputs(context)
    if recipe.observations.kind == "aggregated":
        found |= aggregated.inputs(context)
    for section in (
        (recipe.predictors,) if recipe.observations.kind == "aggregated" else (recipe.observations, recipe.predictors)
    ):
        path = getattr(section, "path", None)
        for one in path.values() if isinstance(path, dict) else [path] if path else []:
            found[one] = find_input(one, context.folder)
    split = getattr(recipe.observations, "split_files", None)
    for one in (split.train, split.test) if split else ():
        found[one] = find_input(one, context.folder)
    return found


def key(context):
    """Content key of the match stage (recipe sections and input hashes).

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    hashes = {name: sha256_file(path) for name, path in inputs(context).items()}
    if context.recipe.observations.kind == "virtual":
        hashes["latitude_band"] = context.recipe.budget.latitude_band  # of the true stocks
    drawn = getattr(context.recipe.observations, "draw", [])
    return stage_key(context, "match", SECTIONS, hashes | ({"members": context.recipe.members.count} if drawn else {}))


def run(context, content):
    """Write ``match/training.parquet`` and ``match/cube.nc``.

    Parameters
    ----------
    context : Context
        The run.
    content : str
        Content key of the stage.

    Returns
    -------
    list of str
        Repairs that were made to the input.
    """
    folder = context.out / "match"
    hashes = {name: sha256_file(path) for name, path in inputs(context).items()}
    origin = provenance(context, "match", content, hashes)
    if context.recipe.observations.kind == "virtual":
        cube, training, extra = simulated(context)
    elif context.recipe.observations.kind == "exports":
        cube = layer_cube(context)
        training, extra = exports.training_rows(context, cube), {}
    elif context.recipe.observations.kind == "aggregated":
        cube = layer_cube(context)
        training, extra = aggregated.training_rows(context, cube), {}
    else:
        cube = table_cube(context) if context.recipe.predictors.kind == "table" else layer_cube(context)
        training, extra = observed(context, cube), {}
    names = predictor_names(context.recipe)
    _refuse_empty(training, cube, names)
    training["block"] = grid.block_id(training["lat"], training["lon"], context.recipe.validation.block_size)
    repairs = training.attrs.pop("repairs", [])
    files = [folder / "training.parquet", folder / "cube.nc", folder / "repairs.json"]
    write_parquet(training, files[0], origin)
    write_netcdf(cube, files[1], origin)
    write_json({"repairs": repairs}, files[2], origin)
    for name, table in extra.items():
        files.append(folder / f"{name}.parquet")
        writer = write_geoparquet if name == "samples" else write_parquet
        writer(table, files[-1], origin)
    mark_done(folder / "match.done.json", content, files, origin)
    return repairs


def _refuse_empty(training, cube, names):
    for name in names:
        if training[name].isna().all():
            raise UserError(
                f"predictor {name!r} is missing in all {len(training)} training rows; drop it or repair it."
            )
        inside = cube[name].where(cube["domain"] == 1) if "zone" in cube["domain"].dims else cube[name]
        if not bool(inside.notnull().any()):
            raise UserError(f"predictor {name!r} is missing in every cell of the grid; drop it or repair it.")
