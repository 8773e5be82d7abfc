"""The stages of a study, in the order of work. A new one is a file and a line here."""

from aqqua_dist.stages import budget, compare, cube, draws, figures, fit, maps, match, observe, scores
from aqqua_dist.validation.schemes import look_at_domain

NAMES = ("observe", "cube", "match", "fit", "map", "budget", "compare", "figures")
"""Stages after which a run may stop."""


def stages(context):
    """Stages of a study.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    tuple of Stage
        Each after those that it needs; the stages of targets stand together.
    """
    first = (observe.STAGES[context.recipe.observations.kind], cube.STAGE)
    first = first[::-1] if "cube" in first[0].needs else first
    return (
        *first,
        match.STAGE,
        draws.STAGE,
        fit.STAGE_ON_GRID if look_at_domain(context.recipe.validation.schemes) else fit.STAGE,
        maps.STAGE,
        scores.STAGE,
        budget.STAGE,
        compare.STAGE,
        figures.STAGE,
    )


def until(context, last):
    """Names of the stages of a run that stops early.

    Parameters
    ----------
    context : Context
        The study.
    last : str
        One of `NAMES`.

    Returns
    -------
    set of str
        That stage, those before it, and those that only sum it up.
    """
    names = [stage.name for stage in stages(context)]
    wanted = set(names[: names.index(last) + 1])
    return wanted | ({"scores"} if "fit" in wanted else set())
