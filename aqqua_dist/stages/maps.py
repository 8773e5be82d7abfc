"""Stage map: one pass of all members over the grid, to a map and totals."""

import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import read_json, write_netcdf, write_parquet
from aqqua_dist.environment.regions import region_masks
from aqqua_dist.habitat_models.members import MemberEnsemble
from aqqua_dist.maps import map_file, prediction, stocks
from aqqua_dist.organisms import taxonomy
from aqqua_dist.recipe.context import provenance
from aqqua_dist.stages import fit
from aqqua_dist.stages.record import mark_done, stage_key
from aqqua_dist.training.rows import prepare

SECTIONS = ("title", "summary", "references", "licence", "creator")
STABILITY = (
    "{n} models of {folds}-fold cross-validation repeated {repeats} times (model stability, not a confidence interval)"
)
BOOTSTRAP = "{n} models on cruises drawn with replacement, around the fit to all rows"


def key(context, fit_key):
    """Content key of the map of one target.

    Parameters
    ----------
    context : Context
        The run.
    fit_key : str
        Key of its fit.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    regions = context.recipe.budget
    return stage_key(context, "map", SECTIONS, [fit_key, regions.latitude_band, regions.basins])


def run(context, target, inputs, content):
    """Map one target and write its map and its members' totals.

    Parameters
    ----------
    context : Context
        The run.
    target : Target
        Taxon and zone.
    inputs : tuple of (pandas.DataFrame, xarray.Dataset, list of str)
        Training rows of the target, cube, predictors.
    content : str
        Content key of the work.
    """
    table, cube, names = inputs
    recipe = context.recipe
    ensemble = MemberEnsemble.load(context.out / "fit" / target.key / "ensemble.zip")
    where = prediction.domain(cube, target.zone, names)
    if where.cells.size == 0:
        raise UserError(f"zone {target.zone!r} has 0 cells in the grid's domain, at least 1 is needed.")
    regions, masks = region_masks(
        cube, where.cells, latitude_band=recipe.budget.latitude_band, basins=recipe.budget.basins
    )
    rows = prepare(context, table.reset_index(drop=True), names)
    index, inside = _applicability(rows, ensemble, where, context)
    rule = stocks.stock_of(recipe.observations.quantity)
    size = stocks.cell_sizes(rule, where.area, where.volume)
    static = (masks * size * rule.factor).T
    fields, totals = prediction.predict(
        ensemble, where, _weights(static, inside, size * rule.factor), jobs=context.jobs, progress=context.progress
    )
    for label in ("inside", "outside"):
        regions.loc[len(regions)] = ["applicability", label]
    share = inside.mean(axis=0)
    every = np.vstack([masks, share, 1 - share])
    sd = fields.get("sd_annual", fields["sd"].reshape(-1, where.cells.size)[0])
    spread = every @ (np.nan_to_num(sd) * size * rule.factor)
    summed = stocks.total_table(regions, totals, spread, np.array([every @ where.area, every @ where.volume]), rule)
    for place, (name, value) in enumerate(
        {"quantity": recipe.observations.quantity, "taxon": target.taxon, "zone": target.zone}.items()
    ):
        summed.insert(place, name, value)
    fields = {k: v for k, v in fields.items() if not k.startswith("mean")}
    fields |= {"dissimilarity_index": index, "applicability": inside}
    dataset = _dataset(
        context, target, cube, {k: prediction.to_grid(np.asarray(v), where, cube) for k, v in fields.items()}
    )
    origin = provenance(context, "map", content, {"fit": fitting_key_of(context, target)})
    folder = context.out / "map"
    files = [folder / f"{target.key}.nc", folder / f"{target.key}_totals.parquet"]
    write_netcdf(dataset, files[0], origin, encoding=map_file.encoding(dataset))
    write_parquet(summed, files[1], origin)
    mark_done(folder / f"{target.key}.done.json", content, files, origin)


def fitting_key_of(context, target):
    """Content key of the finished fit of a target.

    Parameters
    ----------
    context : Context
        The run.
    target : Target
        Taxon and zone.

    Returns
    -------
    str
        As the fit stage recorded it.
    """
    return read_json(context.out / "fit" / f"{target.key}.done.json")["key"]


def _applicability(rows, ensemble, where, context):
    area = fit.applicability(rows, ensemble, context)
    index = np.empty(where.features.shape[:2], dtype="float32")
    for month, features in enumerate(where.features):
        index[month] = area.predict(features.astype("float64"))
    return index, index <= area.threshold_


def _weights(static, inside, volume):
    """Weights of a block: regions that stay, and the area of applicability per month."""
    months = len(inside)

    def weights(start, stop):
        kept = np.tile(static[start:stop], (months, 1))
        within = inside[:, start:stop] * volume[start:stop]
        beyond = ~inside[:, start:stop] * volume[start:stop]
        return np.column_stack([kept, within.ravel(), beyond.ravel()])

    return weights


def _dataset(context, target, cube, fields):
    recipe = context.recipe
    zone = next(z for z in recipe.zones if z.name == target.zone)
    folds = recipe.members.scheme == "folds"
    scheme = (STABILITY if folds else BOOTSTRAP).format(
        n=recipe.members.count, folds=recipe.members.folds, repeats=recipe.members.repeats
    )
    creator = recipe.creator
    about = map_file.MapAbout(
        title=f"{recipe.title}: {target.taxon}, {target.zone} m",
        summary=recipe.summary or recipe.title,
        references=list(recipe.references),
        licence=recipe.licence,
        creator_name=creator.name if creator else "",
        institution=creator.institution if creator else "",
        creator_email=creator.email if creator else "",
        creator_url=creator.url if creator else "",
        estimate="mean of members" if folds else "full fit",
        member_scheme=scheme,
        n_members=recipe.members.count,
        source="boosted regression trees (aqqua-dist) on observations and climatologies",
    )
    grid = cube[["cell_area", "thickness"]].sel(zone=zone.name, drop=True)
    return map_file.map_dataset(
        fields,
        quantity=recipe.observations.quantity,
        taxon=taxonomy.taxon_record(target.taxon),
        zone=(zone.name, zone.top, zone.bottom),
        grid=grid,
        about=about,
    )
