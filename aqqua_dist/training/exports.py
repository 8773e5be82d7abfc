"""Training rows from raw exports: ingested, counted as ``aggregate`` does, and from there as an aggregated folder."""

from pathlib import Path

from aqqua_dist.concentrations.aggregate import aggregate_ingest, counting
from aqqua_dist.core.paths import find_input
from aqqua_dist.effort.choices import read_choices
from aqqua_dist.readers.ingest import ingest
from aqqua_dist.readers.sources import find_sources
from aqqua_dist.training.aggregated import rows_of_folder


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
    for one in (section.effort, section.mapping, section.validation):
        if one is not None:
            found[one] = find_input(one, context.folder)
    if section.effort is not None:
        for name, choice in read_choices(found[section.effort]).items():
            if choice.images:
                found[f"{section.effort}: images of {name}"] = Path(choice.images)
    return found


def observed(context):
    """Rows of all taxa and zones, where they were sampled.

    Parameters
    ----------
    context : Context
        The run. The ingested tables, with their quality report, and the
        tables by zone go to ``observe/ingest/``.

    Returns
    -------
    pandas.DataFrame
        One row per profile, taxon and zone, as from
        `aqqua_dist.training.cells.rows_of`; repairs in ``attrs``.

    Raises
    ------
    UserError
        Profiles without position, or none with the quantity asked for.
    """
    recipe, section = context.recipe, context.recipe.observations
    paths = [find_input(one, context.folder, folders=True) for one in section.paths]
    files = {
        name: None if path is None else find_input(path, context.folder)
        for name, path in (("effort", section.effort), ("mapping", section.mapping))
    }
    validation = None if section.validation is None else str(find_input(section.validation, context.folder))
    options, products = counting(
        {
            name: getattr(section, name)
            for name in ("method", "threshold", "min_score", "dubious", "statuses", "coverage")
        }
        | {
            "zones": tuple((zone.name, zone.top, zone.bottom) for zone in recipe.zones),
            "taxa": () if recipe.taxa == "all" else tuple(recipe.taxa),
            "leave_out": tuple(section.leave_out),
            "least": section.sorted,
            "leave_out_flags": tuple(section.leave_out_flags),
            "carbon": dict(section.carbon),
            "validation": validation,
            "members": recipe.members.count if "members" in section.draw else 0,
            "seed": recipe.seed,
        }
    )
    outcome = ingest(paths, context.out / "observe" / "ingest", progress=context.progress, **files)
    found = aggregate_ingest(outcome.folder, options, products)
    told = outcome.tables.findings["severity"].value_counts()
    repairs = [
        f"ingest: {count} findings {severity}, see observe/ingest/quality.md" for severity, count in told.items()
    ]
    return rows_of_folder(context, found.folder, "exports", [*repairs, *found.notes])
