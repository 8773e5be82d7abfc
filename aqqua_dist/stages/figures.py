"""Stage figures: the scripts of the figures folder, on run outputs only."""

import runpy

from tqdm import tqdm

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import write_png
from aqqua_dist.core.paths import package_data, shipped
from aqqua_dist.stages.base import Outcome, Stage


def scripts(context):
    """Figure scripts that the recipe names.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    dict of str to pathlib.Path
        Name to script.
    """
    folder, found = shipped("figures"), {}
    known = sorted(p.stem for p in folder.glob("*.py"))
    for name in context.recipe.figures:
        if name not in known:
            raise UserError(f"figures: {name!r} is not a figure script; choose from {known}.")
        found[name] = folder / f"{name}.py"
    return found


def files(context):
    """Files that the stage reads.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    dict of str to pathlib.Path
        The scripts, and tables of the package.
    """
    found = {f"figures/{name}.py": path for name, path in scripts(context).items()}
    return found | {name: package_data(name) for name in ("land_110m.geojson", "vocabulary.yaml")}


def run(work):
    """Draw every figure and write it as PNG.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        The figures.
    """
    context, written = work.context, []
    for script in tqdm(scripts(context).values(), desc="figures", disable=None if context.progress else True):
        for name, figure in runpy.run_path(str(script))["draw"](context.out):
            written.append(work.folder / f"{name}.png")
            write_png(figure, written[-1], work.origin)
    return Outcome(written)


STAGE = Stage("figures", run, needs=("compare", "budget", "map", "fit"), sections=("figures", "published"), files=files)
