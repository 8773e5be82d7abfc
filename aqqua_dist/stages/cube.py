"""Stage cube: predictors on the grid and zones of the study."""

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import write_json, write_netcdf
from aqqua_dist.core.paths import find_input, package_data, shipped
from aqqua_dist.environment import catalogue
from aqqua_dist.stages.base import Outcome, Stage
from aqqua_dist.training.cube import layer_cube, table_cube


def files(context):
    """Files that the stage reads.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    dict of str to pathlib.Path
        Grid tables as the recipe writes them; catalogue entries, layers and
        tables of the package by name.
    """
    section, found = context.recipe.predictors, {}
    if section.kind == "table":
        given = section.path.values() if isinstance(section.path, dict) else [section.path]
        found |= {one: find_input(one, context.folder) for one in given}
        layers = ["bathymetry"]
    else:
        layers = ["bathymetry", *section.names]
    known = catalogue.catalogue() if layers else {}
    for name in layers:
        if name in known:
            found[f"catalogue/{name}.yaml"] = shipped("environmental_layers") / "catalogue" / f"{name}.yaml"
            found[known[name].file] = package_data(known[name].file)
    return found | {name: package_data(name) for name in ("vocabulary.yaml", "ocean_basins.geojson")}


def run(work):
    """Write ``cube/cube.nc`` and what was repaired.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        Files, and one sentence per repair.

    Raises
    ------
    UserError
        A predictor is missing in every cell.
    """
    recipe = work.context.recipe
    found = table_cube(work.context) if recipe.predictors.kind == "table" else layer_cube(work.context)
    for name in recipe.predictors.names:
        inside = found[name].where(found["domain"] == 1) if "zone" in found["domain"].dims else found[name]
        if not bool(inside.notnull().any()):
            raise UserError(f"predictor {name!r} is missing in every cell of the grid; drop it or repair it.")
    repairs = found.attrs.pop("repairs", [])
    written = [work.folder / "cube.nc", work.folder / "repairs.json"]
    write_netcdf(found, written[0], work.origin)
    write_json({"repairs": repairs}, written[1], work.origin)
    return Outcome(written, [f"repaired: {repair}" for repair in repairs])


STAGE = Stage("cube", run, sections=("zones", "grid", "predictors"), files=files)
