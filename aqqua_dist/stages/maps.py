"""Stage map: one pass of all members over the grid, to maps and totals of targets and of their sums."""

from dataclasses import dataclass

import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import describe_netcdf, read_netcdf, write_netcdf, write_parquet
from aqqua_dist.core.paths import package_data
from aqqua_dist.diagnostics.applicability import read_applicability
from aqqua_dist.environment.regions import region_masks
from aqqua_dist.habitat_models.ensemble import Ensemble
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.maps import map_file, prediction, products, stocks
from aqqua_dist.maps.products import Product
from aqqua_dist.organisms import taxonomy
from aqqua_dist.recipe.context import Target, predictor_names
from aqqua_dist.stages.base import Outcome, Refused, Stage

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


def groups(context, targets):
    """Targets that are mapped in one pass: those that share a sum, each other one alone.

    Parameters
    ----------
    context : Context
        The study.
    targets : list of Target
        Those that are fitted.

    Returns
    -------
    dict of tuple of Target to list of dict
        Targets to the sums that are made of them; a sum of which a target is
        not there is not made.
    """
    made = [one for one in context.recipe.budget.sums if set(_parts(one)) <= set(targets)]
    found = [{target} for target in targets]
    for one in made:
        touched = [group for group in found if group & set(_parts(one))]
        found = [group for group in found if group not in touched] + [set().union(*touched)]
    ordered = sorted((tuple(t for t in targets if t in group) for group in found), key=lambda g: targets.index(g[0]))
    return {group: [one.model_dump() for one in made if set(_parts(one)) <= set(group)] for group in ordered}


def _parts(one):
    return [Target(taxon, zone) for taxon, zone in one.parts]


def run(works):
    """Map targets in one pass; write their maps, and the members' totals of each and of their sums.

    Parameters
    ----------
    works : list of Work
        One per target of a group.

    Returns
    -------
    list of Outcome
        A map and totals of each target; the totals of a sum go with its first target.

    Raises
    ------
    Refused
        A target cannot be mapped.
    """
    context = works[0].context
    cube = read_netcdf(context.out / "cube" / "cube.nc")
    rule = stocks.stock_of(context.recipe.observations.quantity)
    domains, mapped = {}, {}
    for work in works:
        try:
            mapped[work.target] = _mapped(work, cube, domains, rule)
        except UserError as error:
            raise Refused((work.target,), str(error)) from None
    mine = set(mapped)
    sums = [one for one in context.recipe.budget.sums if set(_parts(one)) <= mine]
    kept = {
        target: Product(products.identity, (target,), one.regions.cells, one.regions.weights)
        for target, one in mapped.items()
    }
    regions = {one.name: _sum_regions(context, cube, [mapped[t] for t in _parts(one)], rule) for one in sums}
    for one in sums:
        kept[one.name] = _sum_product(one, mapped, regions[one.name], rule)
    given = {target: (one.ensemble, one.where) for target, one in mapped.items()}
    found = prediction.predict(given, kept, jobs=context.jobs, progress=context.progress)
    for one in sums:
        work = next(work for work in works if work.target == _parts(one)[0])
        table = _totals(context, (one.name, one.zone), regions[one.name], found[one.name])
        write_parquet(table, _sum_path(work.folder, one), work.origin)
    return [_write(work, mapped[work.target], found[work.target], cube) for work in works]


@dataclass(frozen=True)
class _Mapped:
    """One target, ready to be predicted."""

    ensemble: Ensemble
    where: prediction.Domain
    regions: stocks.Regions
    index: np.ndarray


def _mapped(work, cube, domains, rule):
    context, target = work.context, work.target
    fitted, names = context.out / "fit" / target.key, predictor_names(context.recipe)
    ensemble = Ensemble.load(fitted / "ensemble.zip")
    if target.zone not in domains:
        domains[target.zone] = prediction.domain(cube, target.zone, names)
    where = domains[target.zone]
    if where.cells.size == 0:
        raise UserError(f"zone {target.zone!r} has 0 cells in the grid's domain, at least 1 is needed.")
    ensemble.check(where.features.reshape(-1, len(names)))
    index, inside = _applicability(read_applicability(fitted / "applicability.nc", context.jobs), where)
    regions = _regions(context, cube, where.cells, inside, (where.area, where.volume), rule)
    return _Mapped(ensemble, where, regions, index)


def _regions(context, cube, cells, inside, sizes, rule):
    budget = context.recipe.budget
    names, masks = region_masks(cube, cells, latitude_band=budget.latitude_band, basins=budget.basins)
    return stocks.Regions(cells, names, masks, inside, *sizes, rule)


def _sum_regions(context, cube, parts, rule):
    """Cells of all zones of a sum: water of one is water of all, inside is what is inside for each target."""
    zones = {id(one.where): one.where for one in parts}.values()
    cells = np.unique(np.concatenate([where.cells for where in zones]))
    area, volume = np.zeros(cells.size), np.zeros(cells.size)
    for where in zones:
        place = np.searchsorted(cells, where.cells)
        area[place] = where.area
        volume[place] += where.volume
    inside = np.ones((len(parts[0].regions.inside), cells.size), dtype=bool)
    for one in parts:
        inside[:, np.searchsorted(cells, one.where.cells)] &= one.regions.inside
    return _regions(context, cube, cells, inside, (area, volume), rule)


def _sum_product(one, mapped, regions, rule):
    cells, weights = regions.cells, regions.weights
    if len(one.zones) == 1 or rule.measure == "area":
        return Product(products.sum_of_targets, tuple(_parts(one)), cells, weights)
    layers = {}
    for target in _parts(one):
        where = mapped[target].where
        layers[f"thickness {target.zone}"] = thickness = np.zeros(cells.size)
        thickness[np.searchsorted(cells, where.cells)] = where.volume / where.area
    return Product(products.sum_over_zones, tuple(_parts(one)), cells, weights, layers)


def _totals(context, names, regions, found):
    """Members' totals of a target or a sum, with their names."""
    table = regions.total_table(*found)
    named = {"quantity": context.recipe.observations.quantity, "taxon": names[0], "zone": names[1]}
    for place, (name, value) in enumerate(named.items()):
        table.insert(place, name, value)
    return table


def _write(work, one, found, cube):
    """Map and totals of one target."""
    context, target, where = work.context, work.target, one.where
    summed = _totals(context, (target.taxon, target.zone), one.regions, found)
    fields = {k: v for k, v in found[0].items() if not k.startswith("mean")}
    fields |= {"dissimilarity_index": one.index, "applicability": one.regions.inside}
    fields = {k: prediction.to_grid(np.asarray(v), where, cube) for k, v in fields.items()}
    zone = _zone(context, target)
    dataset = map_file.map_dataset(
        fields,
        quantity=context.recipe.observations.quantity,
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
        The same files.
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
    sums = [one for one in work.context.recipe.budget.sums if _parts(one)[0] == work.target]
    summed = [path for path in (_sum_path(work.folder, one) for one in sums) if path.is_file()]
    return [work.folder / f"{work.target.key}.nc", work.folder / f"{work.target.key}_totals.parquet", *summed]


def _sum_path(folder, one):
    return folder / f"{Target(one.name, one.zone).key}_totals.parquet"


def _zone(context, target):
    zone = next(z for z in context.recipe.zones if z.name == target.zone)
    return zone.name, zone.top, zone.bottom


def _applicability(area, where):
    index = np.empty(where.features.shape[:2], dtype="float32")
    for month, features in enumerate(where.features):
        index[month] = area.predict(features.astype("float64"))
    return index, index <= area.threshold_


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
    groups=groups,
)
