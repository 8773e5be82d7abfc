"""Stage observe: observations of any kind to rows, where they were sampled."""

from aqqua_dist.core.files import read_netcdf, write_geoparquet, write_json, write_parquet
from aqqua_dist.core.paths import package_data
from aqqua_dist.stages.base import Outcome, Stage
from aqqua_dist.training.kinds import KINDS


def files(context):
    """Files that the stage reads.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    dict of str to pathlib.Path
        Path as the recipe writes it, or name of a file of the package.
    """
    kind = KINDS[context.recipe.observations.kind]
    return kind.inputs(context) | {name: package_data(name) for name in kind.data}


def run(work):
    """Write ``observe/rows.parquet`` and what was repaired.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        Files, and one sentence per repair.
    """
    context, kind = work.context, KINDS[work.context.recipe.observations.kind]
    cube = read_netcdf(context.out / "cube" / "cube.nc") if kind.on_cube else None
    rows, extra = kind.observed(context, cube)
    repairs = rows.attrs.pop("repairs", [])
    written = [work.folder / "rows.parquet", work.folder / "repairs.json"]
    write_parquet(rows, written[0], work.origin)
    write_json({"repairs": repairs}, written[1], work.origin)
    for name, table in extra.items():
        written.append(work.folder / f"{name}.parquet")
        writer = write_geoparquet if name == "samples" else write_parquet
        writer(table, written[-1], work.origin)
    for folder in kind.folders:
        written += sorted(path for path in (work.folder / folder).rglob("*") if path.is_file())
    return Outcome(written, [f"repaired: {repair}" for repair in repairs])


STAGES = {
    name: Stage("observe", run, needs=("cube",) if kind.on_cube else (), sections=kind.sections, files=files)
    for name, kind in KINDS.items()
}
