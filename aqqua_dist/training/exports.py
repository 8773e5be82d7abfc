"""Training rows from raw exports: ingested, pooled over the zones, laid on the cells of the study."""

from aqqua_dist.concentrations import zone_tables
from aqqua_dist.core.paths import find_input
from aqqua_dist.readers.ingest import ingest
from aqqua_dist.readers.sources import find_sources
from aqqua_dist.training.cells import rows_of


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
    pooling = zone_tables.Pooling(
        tuple((zone.name, zone.top, zone.bottom) for zone in recipe.zones),
        section.coverage,
        tuple(section.statuses),
        () if recipe.taxa == "all" else tuple(recipe.taxa),
        tuple(section.leave_out),
    )
    outcome = ingest(paths, context.out / "observe" / "ingest", progress=context.progress, **files)
    zonal = zone_tables.pool(outcome.tables, pooling)
    zone_tables.write(zonal, outcome.folder, outcome.origin)
    rows, repairs = rows_of(zonal.concentrations, section.quantity, "exports")
    told = outcome.tables.findings["severity"].value_counts()
    repairs += [
        f"ingest: {count} findings {severity}, see observe/ingest/quality.md" for severity, count in told.items()
    ]
    if len(zonal.dropped):
        repairs.append(
            f"{len(zonal.dropped)} profiles left out of a zone of which they cover less than {section.coverage:.0%}"
        )
    rows.attrs["repairs"] = repairs
    return rows
