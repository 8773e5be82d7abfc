"""Stage budget: the members' totals of all targets and sums to one table of stocks, and the known ones of a virtual survey."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import read_netcdf, read_parquet, write_csv, write_parquet
from aqqua_dist.core.paths import package_data
from aqqua_dist.maps import stocks
from aqqua_dist.recipe.context import Target
from aqqua_dist.stages.base import Outcome, Stage
from aqqua_dist.training.aggregated import refuse_overlap
from aqqua_dist.training.virtual import truth

SPREAD = ["sd", "q025", "q50", "q975", "low", "high", "sum_cell_sd"]
"""Numbers of a budget that need members which are the same draw for all targets."""
FOLDS = "models of members.scheme 'folds' share no draw between targets; take 'cruise_bootstrap' for an interval"


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
    table, told = stocks_of(work)
    written = [folder / "budget.parquet", folder / "budget.csv", folder / "budget.csv-metadata.json"]
    write_parquet(table, written[0], work.origin)
    write_csv(table, written[1], work.origin)
    if context.recipe.observations.kind == "virtual":
        written.append(folder / "truth.parquet")
        known = truth(context, read_netcdf(context.out / "cube" / "cube.nc"))
        write_parquet(_with_sums(known, context.recipe.budget.sums), written[-1], work.origin)
    return Outcome(written, told)


def stocks_of(work):
    """Stocks of all targets that are done, and of the sums of the recipe.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    tuple of (pandas.DataFrame, list of str)
        As from `aqqua_dist.maps.stocks.summarise`, with ``sum_of`` (the
        targets that are added) and ``reason`` (why a row has no number); and
        a sentence for each sum without number or interval.
    """
    context, section = work.context, work.context.recipe.budget
    names, made, absent = [target.key for target in work.targets], {}, []
    for one in section.sums:
        if lacks := _lacking(work, one):
            absent.append((one, lacks))
        else:
            made[one.name, one.zone] = _parts_text(one)
            names.append(Target(one.name, one.zone).key)
    totals = [read_parquet(context.out / "map" / f"{name}_totals.parquet") for name in names]
    table = stocks.summarise(pd.concat(totals, ignore_index=True), widening=section.interval_widening)
    sums = [made.get(pair, "") for pair in zip(table["taxon"], table["zone"], strict=True)]
    table, told = table.assign(sum_of=sums, reason=""), []
    if made and context.recipe.members.scheme == "folds":
        table.loc[table["sum_of"] != "", SPREAD] = np.nan
        table.loc[table["sum_of"] != "", ["interval", "reason"]] = ["none", FOLDS]
        told += [f"budget: sum {name!r} in {zone} has no interval: {FOLDS}" for name, zone in made]
    rows = [_absent_row(table, one, lacks) for one, lacks in absent]
    told += [f"budget: sum {one.name!r} in {one.zone} has no value: {lacks}" for one, lacks in absent]
    return pd.concat([table, pd.DataFrame(rows, columns=table.columns)], ignore_index=True) if rows else table, told


def _parts_text(one):
    return " + ".join(f"{taxon} {zone}" for taxon, zone in one.parts)


def _lacking(work, one):
    """Which targets of a sum are not there, and why."""
    try:
        refuse_overlap(work.context, one.taxa)
    except UserError as error:
        return str(error).rstrip(".")
    told = []
    for target in (Target(taxon, zone) for taxon, zone in one.parts):
        if target not in work.targets:
            told.append(f"{target.label}: {work.refused.get(target, 'it has no training row')}")
    return "; ".join(told)


def _absent_row(table, one, reason):
    """A sum that is missing, never a smaller sum."""
    row = dict.fromkeys(table.columns, np.nan) | {
        "quantity": table["quantity"].iloc[0],
        "units": table["units"].iloc[0],
    }
    row |= {"taxon": one.name, "zone": one.zone, "region_set": "global", "region": "global"}
    return row | {"interval": "none", "members": 0, "sum_of": _parts_text(one), "reason": reason}


def _with_sums(known, sums):
    """The truth of the sums after that of the targets."""
    keys, parts = ["region_set", "region"], [known]
    for one in sums:
        rows = known[[pair in set(one.parts) for pair in zip(known["taxon"], known["zone"], strict=True)]]
        total = rows.groupby(keys, sort=False, as_index=False)["total"].sum()
        first = rows.drop_duplicates(keys).drop(columns="total")
        parts.append(first.merge(total, on=keys).assign(taxon=one.name, zone=one.zone)[known.columns])
    return pd.concat(parts, ignore_index=True)


STAGE = Stage(
    "budget",
    run,
    needs=("map", "cube", "observe"),
    sections=("budget", "members.scheme", "observations", "taxa"),
    files=files,
)
