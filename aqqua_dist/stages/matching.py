"""Stage match: observations and predictors to training rows and a cube."""

import difflib
import warnings

import numpy as np
import pandas as pd
import xarray as xr

from aqqua_dist import artefact, bridge, grid, layers, virtual, vocabulary
from aqqua_dist.errors import MethodWarning, UserError
from aqqua_dist.paths import find_input
from aqqua_dist.provenance import sha256_file
from aqqua_dist.readers import tables
from aqqua_dist.stages import aggregated, exported
from aqqua_dist.stages.context import mark_done, provenance, stage_key
from aqqua_dist.units import convert

SECTIONS = ("zones", "grid", "observations", "predictors", "taxa", "validation")


def inputs(context):
    """Input files of the match stage.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    dict of str to pathlib.Path
        Path as the recipe writes it to the file found.
    """
    recipe, found = context.recipe, {}
    if recipe.observations.kind == "exports":
        found |= exported.inputs(context)
    if recipe.observations.kind == "aggregated":
        found |= aggregated.inputs(context)
    for section in (recipe.predictors,) if recipe.observations.kind == "aggregated" else (recipe.observations, recipe.predictors):
        path = getattr(section, "path", None)
        for one in path.values() if isinstance(path, dict) else [path] if path else []:
            found[one] = find_input(one, context.folder)
    split = getattr(recipe.observations, "split_files", None)
    for one in (split.train, split.test) if split else ():
        found[one] = find_input(one, context.folder)
    return found


def key(context):
    """Content key of the match stage (recipe sections and input hashes).

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    hashes = {name: sha256_file(path) for name, path in inputs(context).items()}
    if context.recipe.observations.kind == "virtual":
        hashes["latitude_band"] = context.recipe.budget.latitude_band  # of the true stocks
    drawn = getattr(context.recipe.observations, "draw", [])
    return stage_key(context, "match", SECTIONS, hashes | ({"members": context.recipe.members.count} if drawn else {}))


def run(context, content):
    """Write ``match/training.parquet`` and ``match/cube.nc``.

    Parameters
    ----------
    context : Context
        The run.
    content : str
        Content key of the stage.

    Returns
    -------
    list of str
        Repairs that were made to the input.
    """
    folder = context.out / "match"
    hashes = {name: sha256_file(path) for name, path in inputs(context).items()}
    origin = provenance(context, "match", content, hashes)
    if context.recipe.observations.kind == "virtual":
        cube, training, extra = _virtual(context)
    elif context.recipe.observations.kind == "exports":
        cube = layer_cube(context)
        training, extra = exported.training_rows(context, cube), {}
    elif context.recipe.observations.kind == "aggregated":
        cube = layer_cube(context)
        training, extra = aggregated.training_rows(context, cube), {}
    else:
        cube = table_cube(context) if context.recipe.predictors.kind == "table" else layer_cube(context)
        training, extra = _observed(context, cube), {}
    names = predictor_names(context.recipe)
    _refuse_empty(training, cube, names)
    training["block"] = grid.block_id(training["lat"], training["lon"], context.recipe.validation.block_size)
    repairs = training.attrs.pop("repairs", [])
    files = [folder / "training.parquet", folder / "cube.nc", folder / "repairs.json"]
    artefact.write_parquet(training, files[0], origin)
    artefact.write_netcdf(cube, files[1], origin)
    artefact.write_json({"repairs": repairs}, files[2], origin)
    for name, table in extra.items():
        files.append(folder / f"{name}.parquet")
        writer = artefact.write_geoparquet if name == "samples" else artefact.write_parquet
        writer(table, files[-1], origin)
    mark_done(folder / "match.done.json", content, files, origin)
    return repairs


def predictor_names(recipe):
    """Names of the predictors, in the order of the recipe.

    Parameters
    ----------
    recipe : Recipe
        The study.

    Returns
    -------
    list of str
        Our names.
    """
    return list(recipe.predictors.names)


def _refuse_empty(training, cube, names):
    for name in names:
        if training[name].isna().all():
            raise UserError(f"predictor {name!r} is missing in all {len(training)} training rows; drop it or repair it.")
        inside = cube[name].where(cube["domain"] == 1) if "zone" in cube["domain"].dims else cube[name]
        if not bool(inside.notnull().any()):
            raise UserError(f"predictor {name!r} is missing in every cell of the grid; drop it or repair it.")


def layer_cube(context):
    """Cube of catalogue layers on the study grid.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    xarray.Dataset
        Dims ([month], zone, lat, lon).
    """
    recipe = context.recipe
    return layers.build_cube(
        recipe.predictors.names, recipe.zones, resolution=recipe.grid.resolution, monthly=recipe.predictors.monthly,
        clip=recipe.grid.clip_at_sea_floor, radius_km=recipe.grid.earth_radius_km)


def table_cube(context):
    """Cube from grid tables, one per zone.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    xarray.Dataset
        Dims (zone, lat, lon).
    """
    recipe = context.recipe
    lat, lon = grid.regular_grid(recipe.grid.resolution)
    names = dict(recipe.predictors.names)
    parts, thickness = [], []
    for zone in recipe.zones:
        path = _zone_path(recipe.predictors.path, zone.name, context)
        table = tables.read_columns(path, {"lat": recipe.predictors.lat, "lon": recipe.predictors.lon} | names)
        table = tables.check_positions(table, path)
        vocabulary.check(table, place=str(path))
        part = bridge.table_to_grid(table, lat, lon, str(path)).expand_dims(zone=[zone.name])
        parts.append(part)
        thickness.append(_thickness(part, zone, recipe))
    cube = xr.concat(parts, dim="zone")
    cube["thickness"] = xr.concat(thickness, dim="zone").where(cube["domain"] == 1)
    cube["cell_area"] = grid.cell_area(lat, lon, recipe.grid.earth_radius_km)
    cube["region_basin"] = layers.basin_mask(lat, lon)
    return cube.assign_coords(
        zone_top=("zone", [z.top for z in recipe.zones]), zone_bottom=("zone", [z.bottom for z in recipe.zones]))


def _thickness(part, zone, recipe):
    if "bathymetry" in part:
        floor = part["bathymetry"]
    elif recipe.grid.clip_at_sea_floor:
        floor = layers.interpolate(layers.load_layer("bathymetry"), part["lat"], part["lon"])
        floor = floor.expand_dims(zone=part["zone"])
    else:
        floor = part["domain"].astype(float)
    return grid.zone_thickness(zone.top, zone.bottom, floor, recipe.grid.clip_at_sea_floor)


def _zone_path(path, zone, context):
    return find_input(path[zone] if isinstance(path, dict) else path, context.folder)


def _observed(context, cube):
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
                "so drop them unless they are true replicates.", MethodWarning, stacklevel=2)
        training = bridge.snap_to_cells(training, cube["lat"], cube["lon"], place)
        if recipe.observations.rows == "samples":
            keys += [c for c in ("cruise",) if c in training]
            training = tables.average_rows(training, keys)
        training[names] = bridge.extract(cube, training, names)
        on_land = training[names].isna().all(axis=1)
        if on_land.any():
            repairs.append(f"{int(on_land.sum())} rows whose cell has no predictor at all (land, or above the zone) dropped")
            training = training[~on_land].reset_index(drop=True)
    training = tables.merge_duplicates(training, keys, place, average=recipe.observations.duplicates == "average")
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
    path = _zone_path(section.path, zone, context)
    wanted = {k: v for k, v in section.columns.model_dump().items() if v is not None}
    if context.recipe.predictors.kind == "table":
        wanted |= context.recipe.predictors.names
    table = tables.read_columns(path, wanted, text=("taxon", "zone", "cruise", "split"))
    if "zone" in table:
        rows = table["zone"] == zone
        if not rows.any():
            raise UserError(f"{path}: column {wanted['zone']!r} never holds zone {zone!r}; it holds {sorted(table['zone'].dropna().unique())[:20]}.")
        table = table[rows.fillna(False).astype(bool)]  # keeps the row numbers of the file, for messages
    table = tables.check_response(tables.check_positions(table, path), path)
    repairs = table.attrs.get("repairs", [])
    table["y"] = convert(table["y"], section.units, vocabulary.quantity(section.quantity).units, place=f"{path}, column {section.columns.y!r}")
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
            raise UserError(f"taxon {taxon!r} of the recipe is not in the observations{hint}; they hold {sorted(present)}.")
    return training[training["taxon"].isin(taxa)].reset_index(drop=True)


def _given_split(context, training):
    """Mark rows as the split files do; rows agree in response and predictors."""
    recipe = context.recipe
    split = recipe.observations.split_files
    names = predictor_names(recipe)
    rows = pd.Index(_signatures(training[["y", *names]]))
    labels = np.full(len(training), "", dtype=object)
    for label, path in (("train", split.train), ("test", split.test)):
        found = find_input(path, context.folder)
        table = tables.read_columns(found, {"y": split.y} | dict(recipe.predictors.names))
        index = rows.get_indexer(_signatures(table[["y", *names]]))
        if (index < 0).any():
            row = int(np.flatnonzero(index < 0)[0])
            raise UserError(f"{found}: row {row + 2} (response {table['y'].iloc[row]:g}) is not among the observations.")
        labels[index] = label
    if (labels == "").any():
        raise UserError(f"{int((labels == '').sum())} of {len(labels)} observations stand in neither {split.train!r} nor {split.test!r}.")
    return labels


def _signatures(frame):
    return ["|".join(f"{value:.8g}" for value in row) for row in frame.to_numpy()]


def _virtual(context):
    recipe = context.recipe
    cube = layer_cube(context)
    taxa = virtual.choose_taxa(recipe.taxa)
    samples, counts = virtual.simulate_survey(
        taxa, cube, n_cruises=recipe.observations.cruises, seed=recipe.seed, cruise_sd=recipe.observations.cruise_sd)
    names = predictor_names(recipe)
    keys = ["taxon", "zone", "lat", "lon", "cruise"] + (["month"] if "month" in cube.dims else [])
    table = virtual.concentrations(samples, counts, taxa, quantity=recipe.observations.quantity)
    table = tables.average_rows(bridge.snap_to_cells(table, cube["lat"], cube["lon"], "virtual survey"), keys)
    table[names] = bridge.extract(cube, table, names)
    truth = virtual.true_totals(
        taxa, cube, quantity=recipe.observations.quantity, latitude_band=recipe.budget.latitude_band)
    return cube, table, {"samples": samples, "counts": counts, "truth": truth}
