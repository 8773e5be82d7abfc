"""Observations that a user gives as a table."""

import difflib
import warnings

import numpy as np
import pandas as pd

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.paths import find_input
from aqqua_dist.core.units import convert
from aqqua_dist.environment import matchup
from aqqua_dist.readers import plain_tables
from aqqua_dist.recipe.context import predictor_names
from aqqua_dist.training.cells import average_rows, merge_duplicates


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


def observed(context, cube):
    """Training rows of a user's tables, with their predictors.

    Parameters
    ----------
    context : Context
        The run.
    cube : xarray.Dataset
        Predictors on the study grid.

    Returns
    -------
    pandas.DataFrame
        One row per taxon, zone and cell (and cruise, month); repairs in
        ``attrs``.
    """
    recipe = context.recipe
    parts, repairs = [], []
    for zone in recipe.zones:
        part = read_zone(context, zone.name)
        repairs += part.attrs.get("repairs", [])
        parts.append(part)
    training = pd.concat(parts, ignore_index=True)
    training = _choose_taxa(training, recipe.taxa)
    place = "observations"
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
        on_land = training[names].isna().all(axis=1)
        if on_land.any():
            repairs.append(
                f"{int(on_land.sum())} rows whose cell has no predictor at all (land, or above the zone) dropped"
            )
            training = training[~on_land].reset_index(drop=True)
    training = merge_duplicates(training, keys, place, average=recipe.observations.duplicates == "average")
    repairs += [r for r in training.attrs.get("repairs", []) if r not in repairs]
    if recipe.observations.split_files:
        training["split"] = _given_split(context, training)
    training.attrs["repairs"] = repairs
    return training


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
    if "zone" in table:
        rows = table["zone"] == zone
        if not rows.any():
            raise UserError(
                f"{path}: column {wanted['zone']!r} never holds zone {zone!r}; it holds {sorted(table['zone'].dropna().unique())[:20]}."
            )
        table = table[rows.fillna(False).astype(bool)]  # keeps the row numbers of the file, for messages
    table = plain_tables.check_response(plain_tables.check_positions(table, path), path)
    repairs = table.attrs.get("repairs", [])
    table["y"] = convert(
        table["y"],
        section.units,
        vocabulary.quantity(section.quantity).units,
        place=f"{path}, column {section.columns.y!r}",
    )
    table["zone"] = zone
    if section.taxon is not None:
        table["taxon"] = section.taxon
    if "n_samples" not in table:
        table["n_samples"] = 1
    if context.recipe.predictors.kind == "table":
        vocabulary.check(table[list(context.recipe.predictors.names)], place=str(path))
    if "month" in table:
        table["month"] = table["month"].astype("int16")
    table.attrs["repairs"] = repairs
    return table


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
