"""Rows of observations on the cells of a grid: pooled, averaged, checked for repeats."""

import numpy as np
import pandas as pd

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import UserError
from aqqua_dist.environment import matchup
from aqqua_dist.training.plausible import effort_findings, grid_findings, tell


def merge_duplicates(table, keys, path, average=False):
    """Refuse or average rows that stand twice for one taxon and cell.

    Parameters
    ----------
    table : pandas.DataFrame
        Training rows.
    keys : list of str
        Columns that must be unique together.
    path : str
        File, for messages.
    average : bool
        Average the numbers of such rows (effort is summed, the response is
        weighted by it) instead of refusing them.

    Returns
    -------
    pandas.DataFrame
        Unique rows; an average is recorded in ``attrs['repairs']``.
    """
    twice = table.duplicated(keys, keep=False)
    if not twice.any():
        return table
    rows = np.flatnonzero(twice.to_numpy())
    first = table.iloc[rows[0]]
    shown = ", ".join(f"{key}={first[key]}" for key in keys)
    if not average:
        raise UserError(
            f"{path}: {len(rows)} rows stand twice for one cell, first {shown}; "
            "allowed is one row per taxon and cell (or set observations.duplicates: average)."
        )
    merged = average_rows(table, keys)
    merged.attrs["repairs"] = list(table.attrs.get("repairs", [])) + [
        f"{path}: {len(rows)} rows that shared {keys} averaged to {len(rows) - int(table.duplicated(keys).sum())}"
    ]
    return merged


def average_rows(table, keys):
    """Mean of the rows that share keys, weighted by effort (or another weight) where it exists.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows; ``effort`` (m3) or, without it, ``weight`` (images), where
        present, weights ``y`` (and its draws, columns that begin with
        ``draw_``) and is summed.
    keys : list of str
        Grouping columns.

    Returns
    -------
    pandas.DataFrame
        One row per group, with ``n_samples``.
    """
    frame = table.assign(n_samples=table.get("n_samples", 1))
    grouped_by = frame.groupby(keys, dropna=False, sort=True)
    numbers = [c for c in frame.select_dtypes("number").columns if c not in keys]
    texts = [c for c in frame.columns if c not in numbers and c not in keys]
    merged = grouped_by[numbers].mean()
    if texts:
        merged[texts] = grouped_by[texts].first()
    merged["n_samples"] = grouped_by["n_samples"].sum()
    weight = next((name for name in ("effort", "weight") if name in frame), None)
    if weight is not None:
        total = grouped_by[weight].sum()
        values = ["y", *(c for c in numbers if c.startswith("draw_"))]
        sums = frame[values].mul(frame[weight], axis=0).groupby([frame[k] for k in keys], dropna=False, sort=True).sum()
        merged[values] = sums.div(total, axis=0)
        merged[weight] = total
    return merged.reset_index()[list(frame.columns)]


def on_cells(context, cube, rows, repairs, what):
    """Rows averaged over the cells of the study grid, with their predictors.

    Parameters
    ----------
    context : Context
        The run.
    cube : xarray.Dataset
        Predictors on the study grid.
    rows : pandas.DataFrame
        From `rows_of`.
    repairs : list of str
        What was repaired so far.
    what : str
        For messages.

    Returns
    -------
    pandas.DataFrame
        As from `training_rows`.

    Raises
    ------
    UserError
        No row lies in a cell with predictors.
    """
    recipe, names = context.recipe, list(context.recipe.predictors.names)
    keys = ["taxon", "zone", "lat", "lon", "cruise"] + (["month"] if "month" in cube.dims else [])
    rows = matchup.snap_to_cells(rows, cube["lat"], cube["lon"], what)
    rows = average_rows(rows if "month" in keys else rows.drop(columns="month"), keys)
    rows[names] = matchup.extract(cube, rows, names)
    given = len(rows)
    rows, told = without_land(rows, names)
    if rows.empty:
        raise UserError(
            f"{what}: 0 of {given} rows lie in a cell of the {recipe.grid.resolution:g} degree grid that has predictors."
        )
    told += effort_findings(rows) if vocabulary.quantity(recipe.observations.quantity).kept.table == "counts" else []
    tell(grid_findings(rows, cube, names))
    rows.attrs["repairs"] = [*repairs, *told, *unseen_months(rows, cube), *gaps(rows, names)]
    return rows


def without_land(rows, names):
    """Rows that have a predictor; what the others held is told.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows with their predictors; ``effort`` (m3), where present, weights ``y``.
    names : list of str
        Predictors.

    Returns
    -------
    rows : pandas.DataFrame
        Those with at least one predictor.
    told : list of str
        How many were dropped, with the share of the catch (response times
        effort, or times the number of samples) that went with them.
    """
    on_land = rows[names].isna().all(axis=1)
    if not on_land.any():
        return rows, []
    told = (
        f"{int(on_land.sum())} of {len(rows)} rows ({on_land.mean():.1%}) whose cell has no predictor at all (land, or "
        "above the zone) dropped"
    )
    catch = rows["y"] * (rows["effort"] if "effort" in rows else rows.get("n_samples", 1))
    if (catch >= 0).all() and catch.sum() > 0:
        told += f", and with them {catch[on_land].sum() / catch.sum():.1%} of the catch"
    first = rows[on_land].iloc[0]
    told += f"; the first lies at ({first['lat']:g}, {first['lon']:g})"
    return rows[~on_land].reset_index(drop=True), [told]


def unseen_months(rows, cube):
    """Months of a monthly cube in which nothing was sampled.

    Parameters
    ----------
    rows : pandas.DataFrame
        Training rows, with ``month`` where the cube has it.
    cube : xarray.Dataset
        Predictors on the study grid.

    Returns
    -------
    list of str
        One sentence, or none.
    """
    if "month" not in cube.dims or "month" not in rows:
        return []
    months = {int(month) for month in cube["month"].to_numpy()}
    seen = sorted(months & set(rows["month"].astype(int)))
    if len(seen) == len(months):
        return []
    return [
        f"samples are of {len(seen)} of {len(months)} months only ({', '.join(map(str, seen))}); the maps of the others "
        "rest on what the model has learned of the predictors in these"
    ]


def gaps(rows, names):
    """Predictors that training rows lack.

    Parameters
    ----------
    rows : pandas.DataFrame
        Training rows with their predictors.
    names : list of str
        Predictors.

    Returns
    -------
    list of str
        One sentence for each predictor with gaps.
    """
    return [
        f"{name} is missing in {int(rows[name].isna().sum())} of {len(rows)} training rows ({rows[name].isna().mean():.1%})"
        for name in names
        if rows[name].isna().any()
    ]


def rows_of(table, quantity, what):
    """Rows with a position, a time and a value.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per profile, zone and taxon: `quantity`, ``profile, zone,
        cruise, time, lat, lon, volume``, and draws of the quantity in columns
        that begin with ``draw_``.
    quantity : str
        Column of the response.
    what : str
        For messages.

    Returns
    -------
    rows : pandas.DataFrame
        ``taxon, zone, lat, lon, month, y, effort`` (m3; ``weight`` where the
        table has one instead of a volume), ``cruise, n_samples`` and the
        draws.
    repairs : list of str
        What was dropped, and why.

    Raises
    ------
    UserError
        Nothing is left.
    """
    repairs, given = [], len(table)
    table = table.rename(columns={quantity: "y", "volume": "effort"})
    for missing, why in (
        (table["lat"].isna() | table["lon"].isna(), "a position"),
        (table["time"].isna(), "a time"),
        (table["y"].isna(), f"a {quantity}"),
    ):
        if missing.any():
            repairs.append(f"{int(missing.sum())} rows without {why} dropped")
    table = table.dropna(subset=["lat", "lon", "time", "y"])
    if table.empty:
        raise UserError(
            f"{what}: none of {given} rows has position, time and {quantity}; {'; '.join(repairs) or 'no taxa were counted'}."
        )
    weight = "weight" if "weight" in table else "effort"
    cruise = table["cruise"].astype("string").fillna(table["profile"])
    rows = pd.DataFrame(
        {
            "taxon": table["taxon"],
            "zone": table["zone"],
            "lat": table["lat"],
            "lon": table["lon"],
            "month": table["time"].dt.month.astype("int16"),
            "y": table["y"],
            weight: table[weight],
            "cruise": cruise,
            "n_samples": 1,
        }
        | {c: table[c] for c in table if c.startswith("draw_")}
    )
    return rows.reset_index(drop=True), repairs
