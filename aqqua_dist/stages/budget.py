"""Stage budget: the members' totals of all targets to one table of stocks."""

import pandas as pd

from aqqua_dist.core.files import read_parquet, write_csv, write_parquet
from aqqua_dist.maps import stocks
from aqqua_dist.recipe.context import provenance
from aqqua_dist.stages.record import mark_done, stage_key


def key(context, map_keys):
    """Content key of the budget.

    Parameters
    ----------
    context : Context
        The run.
    map_keys : dict of str to str
        Key of each target's map.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    return stage_key(context, "budget", ("budget",), map_keys)


def run(context, targets, content):
    """Write ``budget/budget.parquet`` and ``budget/budget.csv``.

    Parameters
    ----------
    context : Context
        The run.
    targets : list of Target
        Mapped targets.
    content : str
        Content key of the work.
    """
    totals = pd.concat(
        [read_parquet(context.out / "map" / f"{t.key}_totals.parquet") for t in targets], ignore_index=True
    )
    table = stocks.summarise(totals, widening=context.recipe.budget.interval_widening)
    origin = provenance(context, "budget", content)
    folder = context.out / "budget"
    files = [folder / "budget.parquet", folder / "budget.csv"]
    write_parquet(table, files[0], origin)
    write_csv(table, files[1], origin)
    mark_done(folder / "budget.done.json", content, files, origin)
