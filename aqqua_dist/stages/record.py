"""What a stage has done: its marker, with its key, the words of its files and their sizes."""

import json
from pathlib import Path

from aqqua_dist.core.files import write_json


def read_marker(marker):
    """What a marker says, where the files it lists still stand.

    Parameters
    ----------
    marker : pathlib.Path
        The ``*.done.json`` or ``*.refused.json`` file.

    Returns
    -------
    dict or None
        ``key, words, needs, files`` (name to size) and, of a refusal,
        ``reason``; None where the marker is missing or broken, or a file is
        missing or has another size.
    """
    try:
        record = json.loads(marker.read_text(encoding="utf-8"))
        record["key"], record["words"], record["needs"]
        sizes = record["files"]
        whole = all((marker.parent / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if whole else None


def write_marker(marker, files, origin, about):
    """Record finished work; written last, so that a killed run repeats it.

    Parameters
    ----------
    marker : pathlib.Path
        The file.
    files : list of pathlib.Path
        What was written, in the marker's folder or below.
    origin : Provenance
        Its key is that of the work; embedded in the marker.
    about : dict
        ``words`` (key of what the files repeat of the recipe), ``needs``
        (stage to key) and, of a refusal, ``reason``.
    """
    sizes = {Path(f).relative_to(marker.parent).as_posix(): Path(f).stat().st_size for f in files}
    write_json({"key": origin.key, "files": sizes} | about, marker, origin)
