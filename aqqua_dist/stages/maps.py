"""Stage map: one pass of all members over the grid, to a map and totals."""

import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import describe_netcdf, read_netcdf, write_netcdf, write_parquet
from aqqua_dist.core.paths import package_data
from aqqua_dist.diagnostics.applicability import read_applicability
from aqqua_dist.environment.regions import region_masks
from aqqua_dist.habitat_models.ensemble import Ensemble
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.maps import map_file, prediction, stocks
from aqqua_dist.organisms import taxonomy
from aqqua_dist.recipe.context import predictor_names
from aqqua_dist.stages.base import Outcome, Stage

STABILITY = (
    "{n} models of {folds}-fold cross-validation repeated {repeats} times (model stability, not a confidence interval)"
)
BOOTSTRAP = "{n} models on cruises drawn with replacement, around the fit to all rows"


def files(context):
    """Files that the stage reads.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    dict of str to pathlib.Path
        Tables of the package.
    """
    return {name: package_data(name) for name in ("taxa.yaml", "vocabulary.yaml")}


def run(work):
    """Map one target and write its map and its members' totals.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        Two files.
    """
    context, target = work.context, work.target
    recipe, fitted = context.recipe, context.out / "fit" / target.key
    cube = read_netcdf(context.out / "cube" / "cube.nc")
    ensemble = Ensemble.load(fitted / "ensemble.zip")
    where = prediction.domain(cube, target.zone, predictor_names(recipe))
    if where.cells.size == 0:
        raise UserError(f"zone {target.zone!r} has 0 cells in the grid's domain, at least 1 is needed.")
    regions, masks = region_masks(
        cube, where.cells, latitude_band=recipe.budget.latitude_band, basins=recipe.budget.basins
    )
    index, inside = _applicability(read_applicability(fitted / "applicability.nc", context.jobs), where)
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
    spread = every @ (sd * size * rule.factor)
    summed = stocks.total_table(regions, totals, spread, np.array([every @ where.area, every @ where.volume]), rule)
    for place, (name, value) in enumerate(
        {"quantity": recipe.observations.quantity, "taxon": target.taxon, "zone": target.zone}.items()
    ):
        summed.insert(place, name, value)
    fields = {k: v for k, v in fields.items() if not k.startswith("mean")}
    fields |= {"dissimilarity_index": index, "applicability": inside}
    fields = {k: prediction.to_grid(np.asarray(v), where, cube) for k, v in fields.items()}
    zone = _zone(context, target)
    dataset = map_file.map_dataset(
        fields,
        quantity=recipe.observations.quantity,
        taxon=taxonomy.taxon_record(target.taxon),
        zone=zone,
        grid=cube[["cell_area", "thickness"]].sel(zone=zone[0], drop=True),
        about=_about(context, target),
    )
    written = _paths(work)
    write_netcdf(dataset, written[0], work.origin, encoding=map_file.encoding(dataset))
    write_parquet(summed, written[1], work.origin)
    return Outcome(written)


def describe(work):
    """Write what a finished map says about itself anew; its numbers stay.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        The same two files.
    """
    context, target, written = work.context, work.target, _paths(work)
    attributes = map_file.global_attributes(
        read_netcdf(written[0]),
        context.recipe.observations.quantity,
        taxonomy.taxon_record(target.taxon),
        _zone(context, target),
        _about(context, target),
    )
    describe_netcdf(written[0], attributes, work.origin)
    return Outcome(written)


def _paths(work):
    return [work.folder / f"{work.target.key}.nc", work.folder / f"{work.target.key}_totals.parquet"]


def _zone(context, target):
    zone = next(z for z in context.recipe.zones if z.name == target.zone)
    return zone.name, zone.top, zone.bottom


def _applicability(area, where):
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


def _about(context, target):
    recipe = context.recipe
    folds = recipe.members.scheme == "folds"
    scheme = (STABILITY if folds else BOOTSTRAP).format(
        n=recipe.members.count, folds=recipe.members.folds, repeats=recipe.members.repeats
    )
    creator = recipe.creator
    return map_file.MapAbout(
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
        source=f"{FAMILIES[recipe.model.kind].long_name} (aqqua-dist) on observations and climatologies",
    )


STAGE = Stage(
    "map",
    run,
    scope="target",
    needs=("fit", "cube"),
    sections=("zones", "predictors.names", "observations.quantity", "members", "budget.latitude_band", "budget.basins"),
    files=files,
    describes=("title", "summary", "references", "licence", "creator"),
    describe=describe,
)
