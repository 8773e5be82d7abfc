"""Observations that a user gives as a table."""

import difflib
import warnings

import numpy as np
import pandas as pd

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.fill_values import check_predictors
from aqqua_dist.core.paths import find_input
from aqqua_dist.core.units import convert
from aqqua_dist.environment import matchup
from aqqua_dist.readers import plain_tables
from aqqua_dist.recipe.context import predictor_names
from aqqua_dist.training.cells import average_rows, gaps, merge_duplicates, unseen_months, without_land
from aqqua_dist.training.differences import differences
from aqqua_dist.training.plausible import effort_findings, grid_findings, tell


def zone_path(path, zone, context):
    """File of one zone.

    Parameters
    ----------
    path : str or dict of str to str
        One file for all zones, or one per zone.
    zone : str
        Name of the zone.
    context : Context
        The run.

    Returns
    -------
    pathlib.Path
        The existing file.
    """
    return find_input(path[zone] if isinstance(path, dict) else path, context.folder)


def inputs(context):
    """Files of observations that a recipe names.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    dict of str to pathlib.Path
        Path as the recipe writes it to the file found.
    """
    path = context.recipe.observations.path
    given = path.values() if isinstance(path, dict) else [path]
    return {one: find_input(one, context.folder) for one in given}


def split_inputs(context):
    """Files of a published split that a recipe names.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    dict of str to pathlib.Path
        Path as the recipe writes it to the file found; often empty.
    """
    split = context.recipe.observations.split_files
    return {one: find_input(one, context.folder) for one in ((split.train, split.test) if split else ())}


def observed(context):
    """Rows of a user's tables, checked and in our units.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    pandas.DataFrame
        Rows of the chosen taxa in every zone, as `read_zone` gives them;
        repairs in ``attrs``.
    """
    return read_zones(context)


def on_grid(context, cube, training):
    """Training rows of a user's tables, with their predictors.

    Parameters
    ----------
    context : Context
        The run.
    cube : xarray.Dataset
        Predictors on the study grid.
    training : pandas.DataFrame
        From `observed`.

    Returns
    -------
    pandas.DataFrame
        One row per taxon, zone and cell (and cruise, month); repairs in
        ``attrs``.
    """
    recipe, place, repairs = context.recipe, "observations", list(training.attrs.get("repairs", []))
    names = predictor_names(recipe)
    keys = ["taxon", "zone", "lat", "lon"] + [c for c in ("month", "split") if c in training]
    if recipe.predictors.kind == "layers":
        copies = training.duplicated() & (training["y"] > 0)
        if recipe.observations.rows == "samples" and copies.any():
            shown = ", ".join(f"{c}={training[c][copies].iloc[0]}" for c in ("taxon", "lat", "lon", "y"))
            warnings.warn(
                f"{place}: {int(copies.sum())} samples are exact copies of another one, first {shown}; each is counted, "
                "so drop them unless they are true replicates.",
                MethodWarning,
                stacklevel=2,
            )
        training = matchup.snap_to_cells(training, cube["lat"], cube["lon"], place)
        if recipe.observations.rows == "samples":
            keys += [c for c in ("cruise",) if c in training]
            training = average_rows(training, keys)
        training[names] = matchup.extract(cube, training, names)
        training, told = without_land(training, names)
        repairs += told
    else:
        repairs += differences(context, training, cube)
    repairs += [*months_without_effect(training, cube), *unseen_months(training, cube), *gaps(training, names)]
    training = merge_duplicates(training, keys, place, average=recipe.observations.duplicates == "average")
    repairs += [r for r in training.attrs.get("repairs", []) if r not in repairs]
    tell(effort_findings(training) + grid_findings(training, cube, names))
    if recipe.observations.split_files:
        training["split"] = _given_split(context, training)
    training.attrs["repairs"] = repairs
    return training


def months_without_effect(training, cube):
    """Whether a month of the observations meets predictors that have none.

    Parameters
    ----------
    training : pandas.DataFrame
        Training rows.
    cube : xarray.Dataset
        Predictors on the study grid.

    Returns
    -------
    list of str
        One sentence, or none.
    """
    if "month" not in training or "month" in cube.dims:
        return []
    return [
        f"columns.month has no effect on the map: the {training['month'].nunique()} months of the observations meet predictors "
        "that are annual means; only rows of different months of a cell are kept apart"
    ]


def read_zones(context):
    """Observations of all zones and of the taxa that the recipe names.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    pandas.DataFrame
        Rows as from `read_zone`, one zone below the other; repairs in
        ``attrs``.

    Raises
    ------
    UserError
        A taxon of the recipe is not there.
    """
    parts = [read_zone(context, zone.name) for zone in context.recipe.zones]
    training = pd.concat(parts, ignore_index=True)
    repairs = list(dict.fromkeys(r for part in parts for r in part.attrs.get("repairs", [])))
    nameless = training["taxon"].isna()
    if nameless.any():
        repairs.append(
            f"{int(nameless.sum())} of {len(training)} rows ({nameless.mean():.1%}) have no taxon; they are unlabelled and "
            f"left out, with {_share(training['y'], nameless)} of the response"
        )
    training = _choose_taxa(training, context.recipe.taxa)
    training.attrs["repairs"] = repairs
    return training


def _share(values, chosen):
    return f"{values[chosen].sum() / values.sum():.1%}" if values.sum() > 0 else "none"


def read_zone(context, zone):
    """Observations of one zone under our names, checked and in our units.

    Parameters
    ----------
    context : Context
        The run.
    zone : str
        Name of the zone.

    Returns
    -------
    pandas.DataFrame
        Columns taxon, zone, lat, lon, y, n_samples, those that the recipe
        maps, and the predictors where they stand in the same file; repairs in
        ``attrs``.
    """
    section = context.recipe.observations
    path = zone_path(section.path, zone, context)
    wanted = {k: v for k, v in section.columns.model_dump().items() if v is not None}
    if context.recipe.predictors.kind == "table":
        wanted |= context.recipe.predictors.names
    table = plain_tables.read_columns(path, wanted, text=("taxon", "zone", "cruise", "split"))
    repairs = []
    if "taxon" in table:  # identifiers that went through a column of decimal numbers
        table["taxon"] = table["taxon"].str.replace(r"^(\d+)\.0+$", r"\1", regex=True)
    if "zone" in table:
        rows = table["zone"] == zone
        repairs += _other_zones(
            table["zone"], [z.name for z in context.recipe.zones], f"{path}, column {wanted['zone']!r}"
        )
        if not rows.any():
            raise UserError(
                f"{path}: column {wanted['zone']!r} never holds zone {zone!r}; it holds {sorted(table['zone'].dropna().unique())[:20]}."
            )
        table = table[rows.fillna(False).astype(bool)]  # keeps the row numbers of the file, for messages
    table = plain_tables.check_response(_whole_cruises(plain_tables.check_positions(table, path), path, wanted), path)
    repairs += table.attrs.get("repairs", [])
    entry = vocabulary.quantity(section.quantity)
    table["y"] = convert(
        table["y"],
        section.units,
        entry.units,
        place=f"{path}, column {section.columns.y!r}",
        element=entry.element,
    )
    if "effort" in table:
        units, where = vocabulary.quantity("effort").units, f"{path}, column {section.columns.effort!r}"
        table["effort"] = convert(table["effort"], section.effort_units, units, place=where)
    table["zone"] = zone
    if section.taxon is not None:
        table["taxon"] = section.taxon
    if "n_samples" not in table:
        table["n_samples"] = 1
    if context.recipe.predictors.kind == "table":
        check_predictors(table, context.recipe.predictors.names, str(path))
    if "month" in table:
        table["month"] = table["month"].astype("int16")
    table.attrs["repairs"] = repairs
    return table


def _whole_cruises(table, path, wanted):
    """Refuse rows with a response and no cruise: nobody knows what they were sampled with."""
    if "cruise" not in table:
        return table
    blank = (table["cruise"].isna() & table["y"].notna()).to_numpy()
    if blank.any():
        raise UserError(
            f"{path}: row {table.index[int(np.argmax(blank))] + 2}, column {wanted['cruise']!r}: empty, allowed is the name of "
            f"a cruise; {int(blank.sum())} such rows. Name them, or leave columns.cruise out, so that blocks of "
            "validation.block_size stand in."
        )
    return table


def _other_zones(found, zones, place):
    """What to tell of rows whose zone the recipe does not have."""
    others = found[~found.isin(zones)]
    if others.empty:
        return []
    shown = ", ".join(f"{name} ({count})" for name, count in others.fillna("empty").value_counts().head(5).items())
    return [f"{place}: {len(others)} of {len(found)} rows are of no zone of the recipe and left out: {shown}"]


def _choose_taxa(training, taxa):
    present = training["taxon"].dropna().unique().tolist()
    if taxa == "all":
        return training[training["taxon"].notna()].reset_index(drop=True)
    for taxon in taxa:
        if taxon not in present:
            near = difflib.get_close_matches(taxon, present, n=1)
            hint = f", did you mean {near[0]!r}" if near else ""
            raise UserError(
                f"taxon {taxon!r} of the recipe is not in the observations{hint}; they hold {sorted(present)}."
            )
    return training[training["taxon"].isin(taxa)].reset_index(drop=True)


def _given_split(context, training):
    """Mark rows as the split files do; rows agree in response and predictors."""
    recipe = context.recipe
    split = recipe.observations.split_files
    names = predictor_names(recipe)
    rows = {}
    for place, signature in enumerate(_signatures(training[["y", *names]])):
        rows.setdefault(signature, []).append(place)
    labels = np.full(len(training), "", dtype=object)
    for label, path in (("train", split.train), ("test", split.test)):
        found = find_input(path, context.folder)
        table = plain_tables.read_columns(found, {"y": split.y} | dict(recipe.predictors.names))
        for row, signature in enumerate(_signatures(table[["y", *names]])):
            if signature not in rows:
                raise UserError(
                    f"{found}: row {row + 2} (response {table['y'].iloc[row]:g}) is not among the observations."
                )
            twins = [place for place in rows[signature] if labels[place] == ""]  # equal rows, in their order
            if not twins and label not in labels[rows[signature]]:
                raise UserError(
                    f"{found}: row {row + 2} (response {table['y'].iloc[row]:g}) stands in both split files, and among the observations "
                    f"{len(rows[signature])} times only."
                )
            if twins:
                labels[twins[0]] = label
    if (labels == "").any():
        raise UserError(
            f"{int((labels == '').sum())} of {len(labels)} observations stand in neither {split.train!r} nor {split.test!r}."
        )
    return labels


def _signatures(frame):
    return ["|".join(f"{value:.8g}" for value in row) for row in frame.to_numpy()]
