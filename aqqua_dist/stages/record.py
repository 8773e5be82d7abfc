"""What a stage has done: its key and its marker."""

import json
from pathlib import Path

from aqqua_dist import __version__
from aqqua_dist.core.files import write_json
from aqqua_dist.core.provenance import content_key


def stage_key(context, stage, sections, upstream):
    """Content key of a stage.

    Parameters
    ----------
    context : Context
        The run.
    stage : str
        Name of the stage.
    sections : tuple of str
        Recipe sections that the stage depends on.
    upstream : object
        Keys and hashes of what the stage reads.

    Returns
    -------
    str
        Hexadecimal digest of the sections, the upstream keys, the seed and
        the package version.
    """
    chosen = {name: context.recipe.model_dump(mode="json")[name] for name in sections}
    return content_key(stage=stage, sections=chosen, upstream=upstream, seed=context.recipe.seed, version=__version__)


def is_done(marker, key):
    """Whether work with this key was finished and its files still stand.

    Parameters
    ----------
    marker : pathlib.Path
        The ``*.done.json`` file.
    key : str
        Content key of the work.

    Returns
    -------
    bool
        True where the key agrees and every listed file has its size.
    """
    try:
        record = json.loads(marker.read_text())
        sizes = record["files"]
        return record["key"] == key and all((marker.parent / f).stat().st_size == size for f, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def mark_done(marker, key, files, origin):
    """Record finished work; written last, so that a killed run repeats it.

    Parameters
    ----------
    marker : pathlib.Path
        The ``*.done.json`` file.
    key : str
        Content key of the work.
    files : list of pathlib.Path
        What was written, in the marker's folder or below.
    origin : Provenance
        Embedded in the marker.
    """
    sizes = {str(Path(f).relative_to(marker.parent)): Path(f).stat().st_size for f in files}
    write_json({"key": key, "files": sizes}, marker, origin)
