"""What a stage would refuse after hours, found before anything is computed."""

import difflib

import pandas as pd

from aqqua_dist.core import files, vocabulary
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import block_id
from aqqua_dist.core.paths import find_input
from aqqua_dist.environment import catalogue, zone_means
from aqqua_dist.organisms import rollup
from aqqua_dist.readers import plain_tables
from aqqua_dist.stages import cube, figures
from aqqua_dist.stages.order import stages
from aqqua_dist.stages.progress import Progress
from aqqua_dist.stages.record import read_marker
from aqqua_dist.training import aggregated, tables
from aqqua_dist.training.cells import unseen_months
from aqqua_dist.training.cube import table_cube
from aqqua_dist.training.kinds import KINDS
from aqqua_dist.training.rows import MIN_ROWS
from aqqua_dist.virtual_ocean import responses


def faults(context):
    """Faults of everything that a recipe names, all in one pass.

    Parameters
    ----------
    context : Context
        The study. Its recipe may be the sound parts of one that is not valid:
        what needs a part that is not there is not looked at.

    Returns
    -------
    list of str
        One sentence for each fault, each once.
    """
    recipe, found = context.recipe, []
    faulty = getattr(recipe, "faulty", set())
    read = not faulty and _has_read(context)
    for needed, look in _LOOKS:
        if not all(hasattr(recipe, name) for name in needed):
            continue
        if look in _READS and (
            read or faulty & set(needed)
        ):  # read before, or to be read with values that are not theirs
            continue
        try:
            found += [str(one) for one in look(context)]
        except UserError as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


def _has_read(context):
    """Whether a run has read this very input: its stages up to match stand as they would be now."""
    progress = Progress(context)
    try:
        for stage in stages(context):
            key, _, _ = progress.key(stage, None)
            record = read_marker(stage.marker(context.out))
            if record is None or record["key"] != key:
                return False
            progress.recall(stage.name, key, {})
            if stage.name == "match":
                return True
    except (UserError, AttributeError):  # a file is absent, or the recipe is not whole
        return False
    return False


def notes(context):
    """What a study can do with what it has, but its author should know before.

    Parameters
    ----------
    context : Context
        The study, without faults.

    Returns
    -------
    list of str
        One sentence each: rows that are too few for any model, blocks that are
        too few for the folds, months without samples.
    """
    if context.recipe.observations.kind != "table":
        return []
    rows, validation = tables.read_zones(context), context.recipe.validation
    blocks = rows.assign(block=block_id(rows["lat"], rows["lon"], validation.block_size))
    counts = blocks.groupby(["taxon", "zone"])["block"].nunique()
    few = counts[counts < validation.folds]
    largest = rows.groupby(["taxon", "zone"]).size().max()
    if largest < MIN_ROWS:
        return [
            f"observations: no taxon has more than {largest} training rows, at least {MIN_ROWS} are needed to fit one"
        ]
    told = [
        f"validation: {taxon} {zone} has {count} blocks of {validation.block_size:g} degrees for {validation.folds} folds, so that "
        "validation by blocks is not possible; take a smaller block_size or fewer folds"
        for (taxon, zone), count in few.items()
    ]
    if getattr(context.recipe.predictors, "monthly", False):
        months = pd.DataFrame({"month": range(1, 13)}).to_xarray().set_index(index="month").rename(index="month")
        told += unseen_months(rows, months)
    return told


def _each(action, items):
    """Sentences of every refusal, so that one fault hides no other."""
    found = []
    for item in items:
        try:
            action(item)
        except UserError as error:
            found.append(str(error))
    return found


def _paths(context):
    """Every path is looked for, also where another is absent."""
    recipe, wanted = context.recipe, []
    for name in ("observations", "predictors"):
        path = getattr(getattr(recipe, name, None), "path", None)
        if getattr(getattr(recipe, name, None), "kind", None) != "aggregated":
            wanted += list(path.values()) if isinstance(path, dict) else [path] if path else []
    split = getattr(getattr(recipe, "observations", None), "split_files", None)
    wanted += [split.train, split.test] if split else []
    return _each(lambda one: find_input(one, context.folder), dict.fromkeys(wanted))


def _inputs(context):
    kind = KINDS[context.recipe.observations.kind]
    return _each(lambda files: files(context), [kind.inputs, kind.split_inputs, cube.files])


def _predictor_names(context):
    """Layers that are not there, and names that are a slip of a known one: their values would pass unchecked."""
    section = context.recipe.predictors
    known = catalogue.catalogue() if section.kind == "layers" else vocabulary.quantities()
    found = []
    for name in section.names:
        near = (
            []
            if name in known
            else difflib.get_close_matches(name, known, n=1, cutoff=0.5 if section.kind == "layers" else 0.85)
        )
        hint = f", did you mean {near[0]!r}?" if near else ""
        if name in known:
            continue
        if section.kind == "layers":
            found.append(f"predictors.names: {name!r} is not in the catalogue{hint or ';'} it has {', '.join(known)}")
        elif near:
            found.append(f"predictors.names: {name!r} is not in the vocabulary{hint}")
    return found


def _layers(context):
    """Zones below the levels, and months where no layer has any."""
    section, zones, found = context.recipe.predictors, context.recipe.zones, []
    if section.kind != "layers":
        return []
    layers = [catalogue.load_layer(name) for name in section.names if name in catalogue.catalogue()]
    for layer in layers:
        if "depth" in layer.dims:
            found += _each(lambda zone, layer=layer: zone_means.checked_levels(layer, zone.top, zone.bottom), zones)
    if section.monthly and layers and not any("month" in layer.dims for layer in layers):
        found.append(f"predictors.monthly is true but none of {list(section.names)} varies by month; set it to false.")
    return found


def _grid_tables(context):
    """The grid tables of all zones, read and laid as the match stage does."""
    if context.recipe.predictors.kind == "table":
        cube = table_cube(context)
        for name in context.recipe.predictors.names:
            if not bool(cube[name].where(cube["domain"] == 1).notnull().any()):
                raise UserError(f"predictor {name!r} is missing in every cell of the grid; drop it or repair it.")
    return []


def _tables(context):
    """Observations of every zone, and their taxa."""
    if context.recipe.observations.kind != "table":
        return []
    found = _each(lambda zone: tables.read_zone(context, zone.name), context.recipe.zones)
    if found:
        return found
    tables.read_zones(context)
    return []


def _split_tables(context):
    split, names = getattr(context.recipe.observations, "split_files", None), context.recipe.predictors.names
    columns = {"y": split.y} | dict(names) if split and isinstance(names, dict) else {}
    return _each(
        lambda one: plain_tables.read_columns(find_input(one, context.folder), columns),
        [split.train, split.test] if columns else [],
    )


def _aggregated_names(context):
    """Taxa, morphotypes or components of an aggregated folder that are not in its tables."""
    recipe, section = context.recipe, context.recipe.observations
    if section.kind != "aggregated" or recipe.taxa == "all":
        return []
    found = {path.name: path for path in aggregated.inputs(context).values()}
    if "components.parquet" in found:
        known = [n for n in files.read_parquet(found["components.parquet"]) if n.startswith("embedding_pc")]
    else:
        labels = list(files.read_parquet(found["counts.parquet"])["taxon"].dropna().unique())
        table = files.read_parquet(found["taxa.parquet"]) if "taxa.parquet" in found else None
        lines = (
            {}
            if table is None
            else dict(zip(table["label" if "label" in table else "taxon"], table["hierarchy"].fillna(""), strict=True))
        )
        known = set(labels) | {part for line in lines.values() for part in line.split(">")}
        unknown = [name for name in recipe.taxa if name not in known]
        unknown = [str(e) for e in unknown if _each(lambda name: rollup.goals(labels, lines, [name]), [e])]
        return [_unknown(name, known, section.path) for name in unknown]
    return [_unknown(name, known, section.path) for name in recipe.taxa if name not in known]


def _unknown(name, known, place):
    near = difflib.get_close_matches(name, [str(one) for one in known], n=1, cutoff=0.5)
    hint = f", did you mean {near[0]!r}?" if near else ";"
    return f"taxa: {name!r} is not in {place}{hint} it holds {', '.join(sorted(map(str, known))[:20])}"


def _sums(context):
    """Taxa of sums that the observations do not have, or of which one holds the other."""
    found, recipe, known = [], context.recipe, None
    for number, one in enumerate(recipe.budget.sums):
        place = f"budget.sums.{number}.taxa"
        if recipe.taxa == "all":
            known = _known_taxa(context) if known is None else known
            found += [
                f"{place}: {_unknown(n, known, 'the observations').removeprefix('taxa: ')}"
                for n in one.taxa
                if known and n not in known
            ]
        elif recipe.observations.kind == "aggregated":
            found += [f"{place}: {told}" for told in _each(lambda s: aggregated.refuse_overlap(context, s.taxa), [one])]
    return found


def _known_taxa(context):
    """Every taxon of the observations; none where they must be ingested first."""
    kind = context.recipe.observations.kind
    if kind == "virtual":
        return [taxon.name for taxon in responses.TAXA]
    if kind == "table":
        return tables.read_zones(context)["taxon"].unique().tolist()
    return aggregated.labelled(context)[0] if kind == "aggregated" else []


def _virtual(context):
    if context.recipe.observations.kind == "virtual":
        responses.choose_taxa(context.recipe.taxa)
    return []


def _published_maps(context):
    def read(entry):  # numpydoc ignore=GL08
        path = find_input(entry.path, context.folder)
        columns = {"lat": "lat", "lon": "lon", "published": entry.column}
        plain_tables.check_positions(plain_tables.read_columns(path, columns), path)

    return _each(read, context.recipe.published_maps)


def _figures(context):
    figures.scripts(context)
    return []


_LOOKS = (
    ((), _paths),
    (("observations", "predictors"), _inputs),
    (("predictors",), _predictor_names),
    (("predictors", "zones"), _layers),
    (("predictors", "zones", "grid"), _grid_tables),
    (("observations", "predictors", "zones", "taxa"), _tables),
    (("observations", "predictors"), _split_tables),
    (("observations", "taxa"), _aggregated_names),
    (("observations", "predictors", "zones", "taxa", "budget"), _sums),
    (("observations", "taxa"), _virtual),
    (("published_maps",), _published_maps),
    (("figures",), _figures),
)
"""What to look at, with the sections that it needs."""
_READS = (_inputs, _grid_tables, _tables, _split_tables, _aggregated_names, _sums)
"""Those that read the input of the stage match."""
