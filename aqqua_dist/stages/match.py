"""Stage match: rows of observations meet the cube; targets and validation areas."""

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import read_json, read_netcdf, read_parquet, write_json, write_parquet
from aqqua_dist.core.paths import package_data
from aqqua_dist.recipe.context import Target, predictor_names
from aqqua_dist.stages.base import Outcome, Stage
from aqqua_dist.training.kinds import KINDS
from aqqua_dist.training.target_rows import digest, rows_of


def files(context):
    """Files that the stage reads.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    dict of str to pathlib.Path
        Split files as the recipe writes them, and the vocabulary.
    """
    kind = KINDS[context.recipe.observations.kind]
    return kind.split_inputs(context) | {"vocabulary.yaml": package_data("vocabulary.yaml")}


def run(work):
    """Write ``match/training.parquet`` and ``match/targets.json``.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        Files, and one sentence per new repair.
    """
    context, out = work.context, work.context.out
    rows = read_parquet(out / "observe" / "rows.parquet")
    known = [one for name in ("cube", "observe") for one in read_json(out / name / "repairs.json")["repairs"]]
    rows.attrs["repairs"] = known
    cube = read_netcdf(out / "cube" / "cube.nc")
    training = KINDS[context.recipe.observations.kind].on_grid(context, cube, rows)
    repairs = training.attrs.pop("repairs", known)
    for name in predictor_names(context.recipe):
        if training[name].isna().all():
            raise UserError(
                f"predictor {name!r} is missing in all {len(training)} training rows; drop it or repair it."
            )
    training["block"] = grid.block_id(training["lat"], training["lon"], context.recipe.validation.block_size)
    found, without = _targets(training, context)
    repairs = [*repairs, *(f"{target.label} has no training row" for target in without)]
    written = [work.folder / name for name in ("training.parquet", "targets.json", "repairs.json")]
    write_parquet(training, written[0], work.origin)
    about = [
        {"taxon": target.taxon, "zone": target.zone, "key": target.key, "rows": len(own), "sha256": digest(own)}
        for target, own in found.items()
    ]
    write_json({"targets": about}, written[1], work.origin)
    write_json({"repairs": repairs}, written[2], work.origin)
    return Outcome(written, [f"repaired: {repair}" for repair in repairs if repair not in known])


def targets(context):
    """Targets of a study, zones and taxa in the order of the recipe.

    Parameters
    ----------
    context : Context
        The run.

    Returns
    -------
    dict of Target to str
        Hash of the rows of each.

    Raises
    ------
    UserError
        Two share a name in file names.
    """
    listed = read_json(context.out / "match" / "targets.json")["targets"]
    found = {Target(one["taxon"], one["zone"]): one["sha256"] for one in listed}
    by_key = {}
    for target in found:
        other = by_key.setdefault(target.key.casefold(), target)
        if other != target:
            raise UserError(
                f"targets {other.label!r} and {target.label!r} would both be written to files named {target.key!r}; "
                "name one of the taxa differently."
            )
    return found


def part(context, target):
    """Hash of the rows of one target.

    Parameters
    ----------
    context : Context
        The run.
    target : Target
        Taxon and zone.

    Returns
    -------
    str
        SHA-256.
    """
    return targets(context)[target]


def _targets(training, context):
    """Rows of each target, and the targets that the recipe names but that have none."""
    asked = context.recipe.taxa
    taxa = sorted(training["taxon"].unique()) if asked == "all" else asked
    every = [Target(taxon, zone.name) for zone in context.recipe.zones for taxon in taxa]
    rows = {target: rows_of(training, target) for target in every}
    found = {target: own for target, own in rows.items() if len(own)}
    return found, [] if asked == "all" else [target for target in every if target not in found]


STAGE = Stage(
    "match",
    run,
    needs=("observe", "cube"),
    sections=("observations", "predictors", "zones", "grid", "taxa", "validation.block_size"),
    files=files,
    part=part,
)
