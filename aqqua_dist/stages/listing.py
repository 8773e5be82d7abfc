"""``targets.json``: what belongs to the present recipe, and whether a run is one of it."""

from aqqua_dist.core import run_folder
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import read_json, write_json
from aqqua_dist.core.provenance import content_key
from aqqua_dist.recipe.context import provenance

SHOWN_ONLY = ("figures", "published", "published_maps")
"""Sections that say what is shown of a run, not what it holds."""


def section_keys(context):
    """Key of each section of the recipe that a run depends on.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    dict of str to str
        Name of the section to 32 hexadecimal digits; comments and the order
        of keys do not matter.
    """
    whole = context.recipe.model_dump(mode="json")
    return {name: content_key(section=value) for name, value in whole.items() if name not in SHOWN_ONLY}


def write_listing(context, records):
    """Write ``targets.json``.

    Parameters
    ----------
    context : Context
        The study.
    records : list of dict
        Of each target ``taxon, zone, key, state`` (``done`` or ``refused``),
        ``reason``, ``keys`` (stage to key) and ``files`` (in the folder of
        the run).
    """
    content, path = {"recipe": section_keys(context), "targets": records}, context.out / run_folder.TARGETS
    if path.exists() and read_json(path) == content:
        return
    origin = provenance(context, "targets", content_key(**content), {f"target {r['key']}": r["keys"] for r in records})
    write_json(content, path, origin)


def read_current(context):
    """Finished targets of a run, where it is one of the present recipe.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    list of aqqua_dist.core.run_folder.Listed

    Raises
    ------
    UserError
        The run is not finished, or is one of another recipe.
    """
    found = run_folder.targets(context.out)
    held, wanted = read_json(context.out / run_folder.TARGETS).get("recipe", {}), section_keys(context)
    other = [name for name in wanted if held.get(name) != wanted[name]]
    if other:
        raise UserError(
            f"{str(context.out)!r} holds a run of another recipe than this one of study {context.recipe.study!r} "
            f"({', '.join(other)} differ): run 'aqqua-dist run' with this recipe first, then ask again."
        )
    return found


def refuse_other_targets(out, marker, stage, records):
    """Refuse a sum over targets that is not one of those listed.

    Parameters
    ----------
    out : pathlib.Path
        Folder of the run.
    marker : pathlib.Path
        Of the stage that summed them up, such as ``budget.done.json``.
    stage : str
        Stage of the targets that it read, ``fit`` or ``map``.
    records : list of dict
        Targets as ``targets.json`` lists them.

    Returns
    -------
    dict
        Content of the marker.

    Raises
    ------
    UserError
        The sum was made of others.
    """
    about = read_json(marker)
    held = {name: key for name, key in about["needs"].items() if name.startswith(f"{stage} ")}
    wanted = {f"{stage} {one['key']}": one["keys"].get(stage) for one in records if one["state"] == "done"}
    if held != wanted:
        name = marker.name.split(".")[0]
        raise UserError(
            f"{str(out)!r}: the {name} of {len(held)} {stage}s is not that of the {len(wanted)} targets in "
            "targets.json: run 'aqqua-dist run' with this recipe to the end first."
        )
    return about
