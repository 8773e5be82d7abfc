"""Training rows from raw exports: ingested, pooled over the zones, laid on the cells of the study."""

import pandas as pd

from aqqua_dist import bridge, zonal
from aqqua_dist.errors import UserError
from aqqua_dist.ingest import ingest
from aqqua_dist.paths import find_input
from aqqua_dist.readers import tables
from aqqua_dist.readers.sources import find_sources


def inputs(context):
    """Files of the exports that a recipe names.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    dict of str to pathlib.Path
        Path as the recipe writes it (with the file's place in a folder) to
        the file found.
    """
    section, found = context.recipe.observations, {}
    for one in section.paths:
        path = find_input(one, context.folder, folders=True)
        for source in find_sources([path]):
            found[f"{one}/{source.path.relative_to(path).as_posix()}" if path.is_dir() else one] = source.path
    for one in (section.effort, section.mapping):
        if one is not None:
            found[one] = find_input(one, context.folder)
    return found


def training_rows(context, cube):
    """Rows of all taxa and zones with their predictors.

    Parameters
    ----------
    context : Context
        The run. The ingested tables, with their quality report, and the
        tables by zone go to ``match/ingest/``.
    cube : xarray.Dataset
        Predictors on the study grid.

    Returns
    -------
    pandas.DataFrame
        Training rows: one per taxon, zone, cell, cruise (and month), the
        response averaged over profiles with the sampled volume as weight;
        repairs in ``attrs``.

    Raises
    ------
    UserError
        Profiles without position, or none with the quantity asked for.
    """
    recipe, section = context.recipe, context.recipe.observations
    paths = [find_input(one, context.folder, folders=True) for one in section.paths]
    files = {name: None if path is None else find_input(path, context.folder) for name, path in (("effort", section.effort), ("mapping", section.mapping))}
    pooling = zonal.Pooling(
        tuple((zone.name, zone.top, zone.bottom) for zone in recipe.zones), section.coverage, tuple(section.statuses),
        () if recipe.taxa == "all" else tuple(recipe.taxa), tuple(section.leave_out))
    outcome = ingest(paths, context.out / "match" / "ingest", pooling=pooling, progress=context.progress, **files)
    rows, repairs = rows_of(outcome.zonal.concentrations, section.quantity, "exports")
    told = outcome.tables.findings["severity"].value_counts()
    repairs += [f"ingest: {count} findings {severity}, see match/ingest/quality.md" for severity, count in told.items()]
    if len(outcome.zonal.dropped):
        repairs.append(f"{len(outcome.zonal.dropped)} profiles left out of a zone of which they cover less than {section.coverage:.0%}")
    return on_cells(context, cube, rows, repairs, "exports")


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
    rows = bridge.snap_to_cells(rows, cube["lat"], cube["lon"], what)
    rows = tables.average_rows(rows if "month" in keys else rows.drop(columns="month"), keys)
    rows[names] = bridge.extract(cube, rows, names)
    on_land = rows[names].isna().all(axis=1)
    if on_land.any():
        repairs = [*repairs, f"{int(on_land.sum())} rows whose cell has no predictor at all (land, or above the zone) dropped"]
    rows = rows[~on_land].reset_index(drop=True)
    if rows.empty:
        raise UserError(f"{what}: 0 of {len(on_land)} rows lie in a cell of the {recipe.grid.resolution:g} degree grid that has predictors.")
    rows.attrs["repairs"] = repairs
    return rows


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
        ``taxon, zone, lat, lon, month, y, effort, cruise, n_samples`` and the
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
    for missing, why in ((table["lat"].isna() | table["lon"].isna(), "a position"), (table["time"].isna(), "a time"), (table["y"].isna(), f"a {quantity}")):
        if missing.any():
            repairs.append(f"{int(missing.sum())} rows without {why} dropped")
    table = table.dropna(subset=["lat", "lon", "time", "y"])
    if table.empty:
        raise UserError(f"{what}: none of {given} rows has position, time and {quantity}; {'; '.join(repairs) or 'no taxa were counted'}.")
    cruise = table["cruise"].astype("string").fillna(table["profile"])
    rows = pd.DataFrame({
        "taxon": table["taxon"], "zone": table["zone"], "lat": table["lat"], "lon": table["lon"], "month": table["time"].dt.month.astype("int16"),
        "y": table["y"], "effort": table["effort"], "cruise": cruise, "n_samples": 1} | {c: table[c] for c in table if c.startswith("draw_")})
    return rows.reset_index(drop=True), repairs
