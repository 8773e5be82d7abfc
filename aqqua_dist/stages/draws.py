"""Stage draws: what each member draws, once for all taxa and zones of a study."""

from aqqua_dist.core import files
from aqqua_dist.habitat_models import draws
from aqqua_dist.stages.base import Outcome, Stage
from aqqua_dist.training.target_rows import digest

COLUMNS = ["member", "source", "seed", "cruise", "copies"]


def run(work):
    """Write ``draws/draws.parquet``.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        One file: a row per member and source, and of the source ``cruise``
        one per member and cruise of the study, with the copies that the
        member holds of it; none where the recipe draws nothing.

    Raises
    ------
    UserError
        The study has too few cruises to draw them.
    """
    recipe, path = work.context.recipe, work.context.out / "match" / "training.parquet"
    drawn = [name for name in getattr(recipe.observations, "draw", []) if name in draws.SOURCES]
    if recipe.members.scheme == "cruise_bootstrap":
        names = [name for name in ("cruise", "block") if name in files.parquet_names(path)]
        units = draws.study_units(files.read_parquet(path, columns=names))
        held = draws.copies(units, recipe.members.count, recipe.seed).assign(source="cruise")
        table = draws.plan(["cruise", *drawn], units, recipe.members.count, recipe.seed)
        table = table.merge(held, on=["member", "source"], how="left")
    else:
        table = draws.plan(drawn, None, recipe.members.count, recipe.seed).assign(cruise="", copies=0)
    written = work.folder / "draws.parquet"
    files.write_parquet(table[COLUMNS], written, work.origin)
    return Outcome([written])


def part(context, target):
    """Hash of the draws, which are the same for every target.

    Parameters
    ----------
    context : Context
        The run.
    target : Target
        Taxon and zone.

    Returns
    -------
    str
        SHA-256 of the content: a change of rows that leaves the cruises of
        the study as they are changes no fit of another target.
    """
    return digest(files.read_parquet(context.out / "draws" / "draws.parquet"))


STAGE = Stage(
    "draws", run, needs=("match",), sections=("members", "observations.draw", "observations.kind", "seed"), part=part
)
