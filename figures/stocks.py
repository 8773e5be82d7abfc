"""Global stock of each target with its interval, beside the published or true one."""

import sys
from pathlib import Path

import pandas as pd

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.run_folder import targets
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.plots import curves

NUMBERS = ("estimate", "low", "high")


def readable(budget):
    """Masses in Tg instead of Pg where most are below 0.01 Pg."""
    units = budget["units"].iloc[0]
    if not units.startswith("Pg") or set(budget["units"]) != {units} or budget["estimate"].median() >= 0.01:
        return budget
    return budget.assign(units=f"Tg{units[2:]}", **{name: 1e3 * budget[name] for name in NUMBERS})


def published_stocks(run):
    """Published or true global stocks of a run, or None: from its comparison, else from the known truth."""
    compared, truth = run / "compare.csv", run / "budget" / "truth.parquet"
    if compared.exists():
        table = pd.read_csv(compared)
        table = table[table["statistic"] == "stock"].rename(columns={"published": "value"})
    elif truth.exists():
        table = files.read_parquet(truth).rename(columns={"total": "value"})
        table = table[table["region_set"] == "global"].assign(source="truth of the virtual survey")
    else:
        return None
    return table[["taxon", "zone", "value", "units", "source"]] if len(table) else None


def members_text(run):
    """What estimate and members of the maps are."""
    maps = [target.map for target in targets(run) if target.map]
    about = files.read_netcdf(maps[0]).attrs if maps else {}
    told = {"Estimate": about.get("estimate"), "Members": about.get("member_scheme")}
    return "".join(f" {name}: {text}." for name, text in told.items() if text)


def sums_text(rows):
    """What the sums of a budget add, and which of them have no number."""
    if "sum_of" not in rows:  # a run of an earlier version
        return ""
    sums = rows[rows["sum_of"] != ""]
    missing = sums["estimate"].isna()
    told = [f" {row.taxon}: {row.sum_of}." for row in sums[~missing].itertuples()]
    return "".join(told + [f" Not shown: {row.taxon} ({row.reason})." for row in sums[missing].itertuples()])


def draw(run):
    """Global stocks of all targets of a run.

    Parameters
    ----------
    run : pathlib.Path
        Folder of the run.

    Returns
    -------
    list of tuple of (str, matplotlib.figure.Figure)
        ``stocks`` and its figure.
    """
    budget = files.read_parquet(run / "budget" / "budget.parquet")
    if "global" not in set(budget["region_set"]):
        raise UserError(
            f"the budget of {str(run)!r} holds no global stock among its {len(budget)} rows; run the stage budget."
        )
    every = budget[budget["region_set"] == "global"]
    rows = readable(every[every["estimate"].notna()])
    rule = quantity(rows["quantity"].iloc[0]).stock
    figure = curves.stock_intervals(
        rows,
        published_stocks(run),
        label=curves.axis_text(rule.label, rows["units"].iloc[0]),
        title=f"Global {'mean of each target' if rule.measure == 'mean' else 'stock of each taxon'} and zone",
        caption=f"Numbers: estimate and interval. {curves.interval_text(rows)[1]}{members_text(run)}{sums_text(every)}",
    )
    return [("stocks", figure)]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    origin = files.read_provenance(folder / "budget" / "budget.parquet")
    for stem, figure in draw(folder):
        files.write_png(figure, folder / "figures" / f"{stem}.png", origin)
