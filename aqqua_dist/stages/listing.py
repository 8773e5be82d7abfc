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
