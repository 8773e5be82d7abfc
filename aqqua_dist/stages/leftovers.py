"""Files of a run folder that no finished stage lists: moved to ``old/``, never deleted."""

import os

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import read_provenance

OLD = "old"


def move_leftovers(context, stages, kept, since):
    """Move what an earlier recipe, or an earlier version, has left.

    Only what this package wrote is moved: a file without its provenance
    stays where it is.

    Parameters
    ----------
    context : Context
        The study.
    stages : sequence of Stage
        Stages that are finished; folders of others are left alone.
    kept : set of pathlib.Path
        Every file that belongs to the run.
    since : str
        Name of the folder below ``old/``.

    Returns
    -------
    list of pathlib.Path
        Where what was moved lies now.
    """
    moved = []
    for folder in dict.fromkeys(stage.place(context.out) for stage in stages):
        if folder == context.out or not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if path in kept or any(path in one.parents for one in kept) or not _ours(path):
                continue
            target = context.out / OLD / since / path.relative_to(context.out)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
            moved.append(target)
    return moved


def _ours(path):
    inside = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    return any(_carries_provenance(one) for one in inside)


def _carries_provenance(path):
    if path.name.endswith(".csv-metadata.json"):
        path = path.with_name(path.name.removesuffix("-metadata.json"))
    if path.suffix not in (".nc", ".parquet", ".png", ".json", ".csv"):
        return False
    try:
        read_provenance(path)
    except UserError:
        return False
    return True
