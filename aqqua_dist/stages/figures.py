"""Stage figures: the scripts of the figures folder, on run outputs only."""

import runpy

from tqdm import tqdm

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import write_png
from aqqua_dist.core.paths import shipped
from aqqua_dist.core.provenance import sha256_file
from aqqua_dist.recipe.context import provenance
from aqqua_dist.stages.record import mark_done, stage_key


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


def key(context, budget_key):
    """Content key of the figures.

    Parameters
    ----------
    context : Context
        The run.
    budget_key : str
        Key of the budget.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    hashes = {name: sha256_file(path) for name, path in scripts(context).items()}
    return stage_key(context, "figures", ("figures", "published", "published_maps"), [budget_key, hashes])


def run(context, content):
    """Draw every figure and write it as PNG.

    Parameters
    ----------
    context : Context
        The run.
    content : str
        Content key of the work.
    """
    origin, files = provenance(context, "figures", content), []
    for script in tqdm(scripts(context).values(), desc="figures", disable=None if context.progress else True):
        for name, figure in runpy.run_path(str(script))["draw"](context.out):
            files.append(context.out / "figures" / f"{name}.png")
            write_png(figure, files[-1], origin)
    mark_done(context.out / "figures" / "figures.done.json", content, files, origin)
