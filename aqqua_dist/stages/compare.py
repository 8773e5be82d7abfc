"""Published numbers, or the known truth of a virtual survey, beside ours."""

import numpy as np
import pandas as pd

from aqqua_dist.core import files
from aqqua_dist.core.paths import find_input
from aqqua_dist.core.provenance import sha256_file
from aqqua_dist.core.units import convert
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.readers import plain_tables
from aqqua_dist.recipe.context import Target, provenance
from aqqua_dist.stages.base import Outcome, Stage
from aqqua_dist.stages.listing import read_current

COLUMNS = ["taxon", "zone", "statistic", "published", "ours", "low", "high", "difference_percent", "units", "source"]


def files_read(context):
    """Files that the stage reads.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    dict of str to pathlib.Path
        Published maps as the recipe writes them.
    """
    return {entry.path: find_input(entry.path, context.folder) for entry in context.recipe.published_maps}


def run(work):
    """Write ``compare.csv``.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        Files.
    """
    path = work.folder / "compare.csv"
    files.write_csv(comparison(work.context, read_current(work.context)), path, work.origin)
    return Outcome([path, path.with_name("compare.csv-metadata.json")])


def compare(context):
    """Table of published or true values beside ours.

    Parameters
    ----------
    context : Context
        A finished run.

    Returns
    -------
    pandas.DataFrame
        Columns ``taxon, zone, statistic, published, ours, low, high,
        difference_percent, units, source``; low and high are our 95 %
        interval where there is one. Also written to ``compare.csv`` in the
        run's folder.

    Raises
    ------
    UserError
        The run is not finished, or is one of another recipe.
    """
    table = comparison(context, read_current(context))
    about = files.read_json(context.out / "budget" / "budget.done.json")
    inputs = {name: sha256_file(path) for name, path in files_read(context).items()} | {"stage budget": about["key"]}
    files.write_csv(table, context.out / "compare.csv", provenance(context, "compare", about["key"], inputs))
    return table


def comparison(context, listed):
    """Table of published or true values beside ours.

    Parameters
    ----------
    context : Context
        A finished run.
    listed : list of aqqua_dist.core.run_folder.Listed
        Targets that are done.

    Returns
    -------
    pandas.DataFrame
        As from `compare`.
    """
    budget = files.read_parquet(context.out / "budget" / "budget.parquet")
    known = {(target.taxon, target.zone) for target in listed}
    held = set(zip(budget["taxon"], budget["zone"], strict=True))
    mapped, summed = known & held, held & {(one.name, one.zone) for one in context.recipe.budget.sums}
    shown = mapped | summed
    rows = [_number(context, entry, budget) for entry in context.recipe.published if (entry.taxon, entry.zone) in shown]
    rows += [
        row
        for entry in getattr(context.recipe.model, "published", [])
        if (entry.taxon, entry.zone) in mapped
        for row in _settings(context, entry)
    ]
    rows += [_map(context, entry) for entry in context.recipe.published_maps if (entry.taxon, entry.zone) in mapped]
    if context.recipe.observations.kind == "virtual":
        rows += _truth(context, budget)
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["difference_percent"] = 100 * (table["ours"] - table["published"]) / table["published"]
    return table


def _number(context, entry, budget):
    row = {
        "taxon": entry.taxon,
        "zone": entry.zone,
        "statistic": entry.statistic,
        "published": entry.value,
        "units": entry.units,
        "source": entry.source,
        "low": np.nan,
        "high": np.nan,
    }
    element, place = quantity(context.recipe.observations.quantity).element, f"published {entry.statistic}"
    chosen = budget[
        (budget["taxon"] == entry.taxon) & (budget["zone"] == entry.zone) & (budget["region_set"] == "global")
    ].iloc[0]
    if entry.statistic in ("stock", "stock_sum_cell_sd"):
        value = convert(entry.value, entry.units, chosen["units"], place=place, element=element)
        row |= {"published": float(value), "units": chosen["units"]}
    if entry.statistic == "stock":
        return row | {"ours": chosen["estimate"], "low": chosen["low"], "high": chosen["high"]}
    if entry.statistic == "stock_sum_cell_sd":
        return row | {"ours": chosen["sum_cell_sd"]}
    found = files.read_parquet(context.out / "fit" / Target(entry.taxon, entry.zone).key / "scores.parquet")
    rows = found[(found["scheme"] == "test") & (found["metric"] == entry.statistic)]
    members = rows["fold"] >= 0  # the published numbers are means over the fold models; fold -1 is the estimate
    values = rows.loc[members if members.any() else ~members, "value"]
    factor = float(convert(1.0, "1", entry.units, place=place))
    return row | {
        "ours": factor * values.mean(),
        "low": factor * values.quantile(0.025),
        "high": factor * values.quantile(0.975),
    }


def _settings(context, entry):
    """Settings that the search of the paper and that of this run found."""
    ours = files.read_json(context.out / "fit" / Target(entry.taxon, entry.zone).key / "settings.json")
    names = {
        "learning_rate": "learning_rate",
        "max_depth": "max_depth",
        "min_child_weight": "min_child_weight",
        "rounds": "n_rounds",
    }
    found = (
        "published setting, given to this run" if context.recipe.model.search == "published" else "published setting"
    )
    return [
        {
            "taxon": entry.taxon,
            "zone": entry.zone,
            "statistic": name,
            "published": float(getattr(entry, name)),
            "ours": float(ours[key]),
            "low": np.nan,
            "high": np.nan,
            "units": "1",
            "source": found,
        }
        for name, key in names.items()
    ]


def _map(context, entry):
    path = find_input(entry.path, context.folder)
    table = plain_tables.check_positions(
        plain_tables.read_columns(path, {"lat": "lat", "lon": "lon", "published": entry.column}), path
    )
    ours = files.read_netcdf(context.out / "map" / f"{Target(entry.taxon, entry.zone).key}.nc")
    field = ours[context.recipe.observations.quantity].squeeze(drop=True)
    values = field.sel(lat=table["lat"].to_xarray(), lon=table["lon"].to_xarray(), method="nearest").to_numpy()
    known = np.isfinite(values) & table["published"].notna().to_numpy()
    return {
        "taxon": entry.taxon,
        "zone": entry.zone,
        "statistic": "map_correlation",
        "published": 1.0,
        "ours": np.corrcoef(values[known], table["published"].to_numpy()[known])[0, 1],
        "low": np.nan,
        "high": np.nan,
        "units": "1",
        "source": entry.source,
    }


def _truth(context, budget):
    truth = files.read_parquet(context.out / "budget" / "truth.parquet")
    truth = truth[truth["region_set"].isin(["global", "basin"])]
    keys = ["taxon", "zone", "region_set", "region"]
    joined = truth.merge(budget[[*keys, "estimate", "low", "high"]], on=keys)
    rows = []
    for row in joined.itertuples():
        statistic = "stock" if row.region_set == "global" else f"stock_{row.region}"
        rows.append(
            {
                "taxon": row.taxon,
                "zone": row.zone,
                "statistic": statistic,
                "published": row.total,
                "ours": row.estimate,
                "low": row.low,
                "high": row.high,
                "units": row.units,
                "source": "truth of the virtual survey",
            }
        )
    return rows


def meaning(recipe):
    """What the range beside our values says.

    Parameters
    ----------
    recipe : Recipe
        The study.

    Returns
    -------
    str
        One sentence.
    """
    if recipe.members.scheme == "folds":
        return "The range holds 95 % of the fold models: it is model stability, not a confidence interval."
    wide = recipe.budget.interval_widening
    factor = f", widened by {wide:g} as the recipe says" if wide != 1 else ""
    return (
        f"The range is a log-normal 95 % interval around the fit to all rows, from members that draw cruises{factor}."
    )


def as_text(table):
    """Comparison as aligned text.

    Parameters
    ----------
    table : pandas.DataFrame
        As `compare` returns it.

    Returns
    -------
    str
        One line per row.
    """
    if table.empty:
        return "The recipe names no published number for the targets of this run."

    def shown(value):  # numpydoc ignore=GL08
        return "" if pd.isna(value) else f"{value:.4g}"

    frame = pd.DataFrame(
        {
            "taxon": table["taxon"],
            "zone": table["zone"],
            "statistic": table["statistic"],
            "published": table["published"].map(shown),
            "ours": table["ours"].map(shown),
            "range of ours": [
                f"{shown(a)} to {shown(b)}" if pd.notna(a) else ""
                for a, b in zip(table["low"], table["high"], strict=True)
            ],
            "diff %": table["difference_percent"].map(lambda v: "" if pd.isna(v) else f"{v:+.1f}"),
            "units": table["units"],
            "source": table["source"],
        }
    )
    sources = frame["source"].unique()
    if len(sources) == 1:
        return f"{frame.drop(columns='source').to_string(index=False)}\nThe column published holds: {sources[0]}."
    return frame.to_string(index=False)


STAGE = Stage(
    "compare",
    run,
    needs=("budget", "map", "fit"),
    sections=("published", "published_maps", "model", "observations.kind", "observations.quantity"),
    files=files_read,
    folder="",
)
