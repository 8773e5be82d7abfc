"""Stage budget: the members' totals of all targets to one table of stocks, and the known ones of a virtual survey."""

import pandas as pd

from aqqua_dist.core.files import read_netcdf, read_parquet, write_csv, write_parquet
from aqqua_dist.core.paths import package_data
from aqqua_dist.maps import stocks
from aqqua_dist.stages.base import Outcome, Stage
from aqqua_dist.training.virtual import truth


def files(context):
    """Files that the stage reads.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    dict of str to pathlib.Path
        Tables of the package.
    """
    names = ("vocabulary.yaml", "taxa.yaml", "conversions.yaml")
    return {name: package_data(name) for name in names}


def run(work):
    """Write ``budget/budget.parquet`` and ``budget/budget.csv``.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        Files; of a virtual survey with ``truth.parquet``.
    """
    context, folder = work.context, work.folder
    totals = pd.concat(
        [read_parquet(context.out / "map" / f"{t.key}_totals.parquet") for t in work.targets], ignore_index=True
    )
    table = stocks.summarise(totals, widening=context.recipe.budget.interval_widening)
    written = [folder / "budget.parquet", folder / "budget.csv", folder / "budget.csv-metadata.json"]
    write_parquet(table, written[0], work.origin)
    write_csv(table, written[1], work.origin)
    if context.recipe.observations.kind == "virtual":
        written.append(folder / "truth.parquet")
        write_parquet(truth(context, read_netcdf(context.out / "cube" / "cube.nc")), written[-1], work.origin)
    return Outcome(written)


STAGE = Stage("budget", run, needs=("map", "cube"), sections=("budget", "observations", "taxa"), files=files)
