"""Training rows from aggregated tables: counts of taxa or morphotypes, or components of embeddings, pooled over the zones."""

import numpy as np
import pandas as pd

from aqqua_dist.concentrations.concentrations import concentrations
from aqqua_dist.concentrations.members import Sources, draw_concentrations
from aqqua_dist.concentrations.zones import pooled_counts, zone_samples
from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import find_input
from aqqua_dist.core.tables import COUNTS, SAMPLES, typed
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.organisms import rollup
from aqqua_dist.training.cells import on_cells, rows_of

PLACE = ["profile", "zone", "cruise", "time", "lat", "lon"]


def inputs(context):
    """Files of the folder that a recipe names.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    dict of str to pathlib.Path
        Path as the recipe writes it, with the name of the file, to the file.

    Raises
    ------
    UserError
        The folder lacks a table.
    """
    section = context.recipe.observations
    folder = find_input(section.path, context.folder, folders=True)
    found = {}
    kept = quantity(section.quantity).kept.table
    needed = ("samples.parquet", f"{kept}.parquet", *(["members.parquet"] if "members" in section.draw else []))
    for name in (*needed, "taxa.parquet"):
        if (folder / name).is_file():
            found[f"{section.path}/{name}"] = folder / name
        elif name != "taxa.parquet":
            raise UserError(
                f"{str(folder)!r}: there is no {name}; give the folder that 'aqqua-dist aggregate' or 'aqqua-dist embeddings' wrote."
            )
    return found


def training_rows(context, cube):
    """Rows of all targets and zones with their predictors.

    Parameters
    ----------
    context : Context
        The run.
    cube : xarray.Dataset
        Predictors on the study grid.

    Returns
    -------
    pandas.DataFrame
        As from `aqqua_dist.training.exports.training_rows`; where the recipe
        draws counts or volumes, one column ``draw_<member>`` per member.

    Raises
    ------
    UserError
        No profile covers a zone, or a target is unknown.
    """
    recipe, section = context.recipe, context.recipe.observations
    tables = {path.name: files.read_parquet(path) for path in inputs(context).values()}
    samples = typed(pd.DataFrame(tables["samples.parquet"]), SAMPLES)
    zones = [(zone.name, zone.top, zone.bottom) for zone in recipe.zones]
    pooled, members, dropped = zone_samples(samples, zones, coverage=section.coverage)
    if pooled.empty:
        raise UserError(
            f"{section.path}: none of {len(samples)} samples covers {section.coverage:.0%} of a zone among {', '.join(name for name, _, _ in zones)}."
        )
    repairs = (
        [f"{len(dropped)} profiles left out of a zone of which they cover less than {section.coverage:.0%}"]
        if len(dropped)
        else []
    )
    kept = quantity(section.quantity).kept
    if kept.table == "components":
        table = _components(tables["components.parquet"], members, context)
    else:
        table = _counts(tables, pooled, members, context)
    table = table.join(pooled.set_index("sample_id")[PLACE], on="sample_id")
    rows, told = rows_of(table, section.quantity, section.path)
    return on_cells(context, cube, rows, repairs + told, section.path)


def _components(table, members, context):
    """Mean of each component over a profile and zone; the number of images is its effort."""
    section, wanted = context.recipe.observations, context.recipe.taxa
    place, prefix = section.path, quantity(section.quantity).kept.column
    names = [name for name in table if name.startswith(prefix)]
    chosen = names if wanted == "all" else list(wanted)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise UserError(f"{place}: component {unknown[0]!r} of the recipe's taxa is none of {names[:12]}.")
    rows = table.merge(members, on="sample_id").dropna(subset=chosen)
    rows = rows[rows["n"] > 0]
    n = rows.groupby("pooled_id")["n"].sum()
    means = rows[chosen].mul(rows["n"], axis=0).groupby(rows["pooled_id"]).sum().div(n, axis=0)
    long = means.rename_axis("sample_id").reset_index().melt("sample_id", var_name="taxon", value_name=section.quantity)
    return long.assign(volume=long["sample_id"].map(n).astype(float))


def _counts(tables, pooled, members, context):
    recipe, section = context.recipe, context.recipe.observations
    counts = tables["counts.parquet"]
    masses = {name: "float64" for name in ("carbon",) if name in counts}
    counts = typed(counts, COUNTS | masses)
    taxa = None if recipe.taxa == "all" else list(recipe.taxa)
    if taxa is not None:
        known = tables.get("taxa.parquet")
        lines = (
            {}
            if known is None
            else dict(zip(known["label" if "label" in known else "taxon"], known["hierarchy"].fillna(""), strict=True))
        )
        counts = rollup.taxon_counts(counts, lines, taxa)
    kept = quantity(section.quantity).kept.column
    if kept not in counts:
        raise UserError(f"{section.path}: the counts have no {kept}; aggregate them with --{kept} TAXON=CONVERSION.")
    counts = pooled_counts(counts[counts["sample_id"].isin(members["sample_id"])], members)
    table = concentrations(pooled, counts, taxa)
    if not section.draw:
        return table
    draws = (
        _written(tables, table, members, context)
        if "members" in section.draw
        else _draws(table, counts, pooled, context)
    )
    return pd.concat([table, draws], axis=1)


def _written(tables, table, members, context):
    """One column per member, from those that `aggregate` has drawn: pooled over the samples of each profile and zone."""
    section, n, drawn = context.recipe.observations, context.recipe.members.count, tables["members.parquet"]
    held = int(drawn["member"].max()) + 1 if len(drawn) else 0
    if held < n:
        raise UserError(
            f"{section.path}/members.parquet: there are {held} members, the recipe has {n}; aggregate with --members {n}."
        )
    drawn = drawn[drawn["member"] < n].merge(members, on="sample_id")
    volume = tables["samples.parquet"].set_index("sample_id")["volume"]
    amount = drawn[section.quantity] * drawn["sample_id"].map(volume)
    sums = amount.groupby([drawn["pooled_id"], drawn["taxon"], drawn["member"]]).sum(min_count=1).unstack("member")
    index = pd.MultiIndex.from_frame(table[["sample_id", "taxon"]])
    missing = ~index.isin(sums.index)
    if missing.any():
        raise UserError(
            f"{section.path}/members.parquet: taxon {table['taxon'][missing].iloc[0]!r} of the recipe was not drawn; aggregate with --taxon for each of its taxa."
        )
    values = sums.reindex(index).to_numpy() / table["volume"].to_numpy()[:, None]
    return pd.DataFrame({f"draw_{member:04d}": column for member, column in enumerate(values.T)}, index=table.index)


def _draws(table, counts, pooled, context):
    """One column per member: the concentration with drawn counts and volumes, whose mean is the concentration itself."""
    section, taxa = context.recipe.observations, list(dict.fromkeys(table["taxon"]))
    off = tuple({"counting", "volume", "classifier", "conversion"} - set(section.draw))
    plan = Sources(n_members=context.recipe.members.count, seed=context.recipe.seed, prior=0.0, off=off)
    drawn = draw_concentrations(counts, pooled, taxa, plan)
    factor = drawn.number_concentration
    place = pd.MultiIndex.from_product([pooled["sample_id"], taxa]).get_indexer(
        pd.MultiIndex.from_frame(table[["sample_id", "taxon"]])
    )
    values = factor.reshape(len(factor), -1)[:, place]
    n = table["number_concentration"].to_numpy()
    values = np.divide(values, n, out=np.zeros(values.shape), where=n > 0) * table[section.quantity].to_numpy()
    return pd.DataFrame({f"draw_{member:04d}": row for member, row in enumerate(values)}, index=table.index)
