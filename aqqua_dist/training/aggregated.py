"""Training rows from aggregated tables: counts of taxa or morphotypes, or components of embeddings, pooled over the zones."""

import numpy as np
import pandas as pd

from aqqua_dist.concentrations import sorting, zone_tables
from aqqua_dist.concentrations.concentrations import concentrations
from aqqua_dist.concentrations.members import ErrorSources, draw_concentrations
from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import find_input
from aqqua_dist.core.tables import COUNTS, typed
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.organisms import rollup
from aqqua_dist.training.cells import rows_of

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
    return _files(section, find_input(section.path, context.folder, folders=True), section.path)


def _files(section, folder, place):
    found = {}
    kept = quantity(section.quantity).kept.table
    needed = ("samples.parquet", f"{kept}.parquet", *(["members.parquet"] if "members" in section.draw else []))
    for name in (*needed, "taxa.parquet"):
        if (folder / name).is_file():
            found[f"{place}/{name}"] = folder / name
        elif name != "taxa.parquet":
            raise UserError(
                f"{str(folder)!r}: there is no {name}; give the folder that 'aqqua-dist aggregate' or 'aqqua-dist embeddings' wrote."
            )
    return found


def labelled(context):
    """Labels of a study's counts, and what lies above each.

    Parameters
    ----------
    context : Context
        The run; of raw exports, its observe stage is done.

    Returns
    -------
    tuple of (list of str, dict of str to str)
        Labels, and hierarchy of each that has one; none where the study reads
        no counts of labels.
    """
    section, known = context.recipe.observations, {}
    if section.kind == "exports":
        folder = context.out / "observe" / "ingest" / "aggregated"
        known = {name: folder / name for name in ("counts.parquet", "taxa.parquet") if (folder / name).is_file()}
    elif section.kind == "aggregated":
        known = {path.name: path for path in inputs(context).values()}
    if "counts.parquet" not in known:
        return [], {}
    labels = files.read_parquet(known["counts.parquet"])["taxon"].dropna().unique().tolist()
    return labels, _lines(files.read_parquet(known["taxa.parquet"])) if "taxa.parquet" in known else {}


def _lines(table):
    column = "label" if "label" in table else "taxon"
    return dict(zip(table[column], table["hierarchy"].fillna(""), strict=True))


def refuse_overlap(context, taxa):
    """Refuse taxa of which one holds another by the hierarchies of the study's own labels.

    Parameters
    ----------
    context : Context
        As for `labelled`.
    taxa : list of str
        Taxa that are to be added.

    Raises
    ------
    UserError
        Two of them overlap.
    """
    labels, lines = labelled(context)
    if not labels or context.recipe.taxa == "all":  # then each target is one label
        return
    section = context.recipe.observations
    goal = rollup.goals([*labels, *lines], lines, taxa, leave_out=section.leave_out)
    for outer, inner in rollup.overlaps(goal):
        raise UserError(f"{outer!r} holds {inner!r}, which would be counted twice; leave one of them out.")


def observed(context):
    """Rows of all targets and zones, where they were sampled.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    pandas.DataFrame
        As from `aqqua_dist.training.exports.observed`; where the recipe
        draws counts or volumes, one column ``draw_<member>`` per member.

    Raises
    ------
    UserError
        No profile covers a zone, or a target is unknown.
    """
    section = context.recipe.observations
    folder = find_input(section.path, context.folder, folders=True)
    return rows_of_folder(context, folder, section.path, [])


def rows_of_folder(context, folder, place, repairs):
    """Rows of an aggregated folder.

    Parameters
    ----------
    context : Context
        The run.
    folder : pathlib.Path
        That ``aggregate`` or ``embeddings`` wrote.
    place : str
        What the recipe calls it, for messages.
    repairs : list of str
        What was repaired so far.

    Returns
    -------
    pandas.DataFrame
        As from `observed`.

    Raises
    ------
    UserError
        No profile covers a zone, or a target is unknown.
    """
    recipe, section = context.recipe, context.recipe.observations
    tables = {path.name: files.read_parquet(path) for path in _files(section, folder, place).values()}
    samples = pd.DataFrame(tables["samples.parquet"])
    zones = tuple((zone.name, zone.top, zone.bottom) for zone in recipe.zones)
    pooling = zone_tables.Pooling(zones, section.coverage, section.sorted)
    try:
        pooled = zone_tables.pool(samples, pooling)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    repairs = [*repairs]
    if len(pooled.dropped):
        repairs.append(
            f"{len(pooled.dropped)} profiles left out of a zone of which they cover less than {section.coverage:.0%}"
        )
    if quantity(section.quantity).kept.table == "components":
        table = _components(tables["components.parquet"], pooled.belongs, (section, recipe.taxa), place)
        valued = pooled.samples
    else:
        silent = int((~pooled.samples["searched"].astype(bool)).sum())
        repairs += [f"{silent} profiles in which nobody looked for taxa have no value"] if silent else []
        repairs += sorting.sentences(pooled.left_out, "profiles and zones")
        table, told = _counts(tables, pooled, context, place)
        valued, repairs = pooled.valued, repairs + told
        if table.empty:
            raise UserError(f"{place}: {zone_tables.why_empty(samples, pooled, pooling)}")
    table = table.join(valued.set_index("sample_id")[PLACE], on="sample_id")
    rows, told = rows_of(table, section.quantity, place)
    rows.attrs["repairs"] = list(dict.fromkeys(repairs + told))
    return rows


def _components(table, members, asked, place):
    """Mean of each component over a profile and zone; the number of images is its weight, and no sampled volume."""
    section, wanted = asked
    prefix = quantity(section.quantity).kept.column
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
    return long.assign(weight=long["sample_id"].map(n).astype(float))


def _counts(tables, pooled, context, place):
    recipe, section = context.recipe, context.recipe.observations
    counts = tables["counts.parquet"]
    masses = {name: "float64" for name in ("carbon",) if name in counts}
    counts = typed(counts, COUNTS | masses)
    taxa, told = None if recipe.taxa == "all" else list(recipe.taxa), []
    if taxa is not None:
        known = tables.get("taxa.parquet")
        lines = {} if known is None else _lines(known)
        labels = [*counts["taxon"].dropna().unique(), *lines]
        counts = rollup.taxon_counts(counts, lines, taxa, leave_out=section.leave_out, labels=labels)
        overlap = rollup.overlap_sentence(rollup.goals(labels, lines, taxa, leave_out=section.leave_out))
        told += [overlap] if overlap else []
    kept = quantity(section.quantity).kept.column
    if kept not in counts:
        raise UserError(f"{place}: the counts have no {kept}; aggregate them with --{kept} TAXON=CONVERSION.")
    counts = zone_tables.counts_of(counts, pooled)
    table = concentrations(pooled.valued, counts, taxa)
    if not section.draw or table.empty:
        return table, told
    draws = (
        _written(tables, table, pooled.belongs, (context, place))
        if "members" in section.draw
        else _draws(table, counts, pooled.valued, context)
    )
    return pd.concat([table, draws], axis=1), told


def _written(tables, table, members, where):
    """One column per member, from those that `aggregate` has drawn: pooled over the samples of each profile and zone."""
    context, path = where
    section, n, drawn = context.recipe.observations, context.recipe.members.count, tables["members.parquet"]
    held = int(drawn["member"].max()) + 1 if len(drawn) else 0
    if held < n:
        raise UserError(
            f"{path}/members.parquet: there are {held} members, the recipe has {n}; aggregate with --members {n}."
        )
    drawn = drawn[drawn["member"] < n].merge(members, on="sample_id")
    volume = tables["samples.parquet"].set_index("sample_id")["volume"]
    amount = drawn[section.quantity] * drawn["sample_id"].map(volume)
    sums = amount.groupby([drawn["pooled_id"], drawn["taxon"], drawn["member"]]).sum(min_count=1).unstack("member")
    index = pd.MultiIndex.from_frame(table[["sample_id", "taxon"]])
    missing = ~index.isin(sums.index)
    if missing.any():
        raise UserError(
            f"{path}/members.parquet: taxon {table['taxon'][missing].iloc[0]!r} of the recipe was not drawn; aggregate with --taxon for each of its taxa."
        )
    values = sums.reindex(index).to_numpy() / table["volume"].to_numpy()[:, None]
    return pd.DataFrame({f"draw_{member:04d}": column for member, column in enumerate(values.T)}, index=table.index)


def _draws(table, counts, pooled, context):
    """One column per member: the concentration with drawn counts and volumes, whose mean is the concentration itself."""
    section, taxa = context.recipe.observations, list(dict.fromkeys(table["taxon"]))
    off = tuple({"counting", "volume", "classifier", "conversion"} - set(section.draw))
    plan = ErrorSources(n_members=context.recipe.members.count, seed=context.recipe.seed, prior=0.0, off=off)
    drawn = draw_concentrations(counts, pooled, taxa, plan)
    factor = drawn.number_concentration
    place = pd.MultiIndex.from_product([pooled["sample_id"], taxa]).get_indexer(
        pd.MultiIndex.from_frame(table[["sample_id", "taxon"]])
    )
    values = factor.reshape(len(factor), -1)[:, place]
    n = table["number_concentration"].to_numpy()
    values = np.divide(values, n, out=np.zeros(values.shape), where=n > 0) * table[section.quantity].to_numpy()
    return pd.DataFrame({f"draw_{member:04d}": row for member, row in enumerate(values)}, index=table.index)
