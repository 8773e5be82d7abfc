"""What every stage needs to know about the run, and what marks work as done."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from aqqua_dist import __version__
from aqqua_dist.artefact import write_json
from aqqua_dist.provenance import Provenance, content_key, created_now, software_versions
from aqqua_dist.recipe import Recipe, text_hash


@dataclass(frozen=True)
class Context:
    """A recipe and where its run lies.

    Attributes
    ----------
    recipe : Recipe
        The study.
    text : str
        Recipe text as read.
    folder : pathlib.Path
        Folder of the recipe file.
    out : pathlib.Path
        ``runs/<study>``.
    jobs : int
        Threads, each working on one member at a time.
    progress : bool
        Show progress bars.
    """

    recipe: Recipe
    text: str
    folder: Path
    out: Path
    jobs: int = 1
    progress: bool = True


@dataclass(frozen=True)
class Target:
    """One taxon in one zone.

    Attributes
    ----------
    taxon, zone : str
        Names.
    """

    taxon: str
    zone: str

    @property
    def key(self):
        """Name of the target in file names (str)."""
        return re.sub(r"[^A-Za-z0-9.-]+", "_", f"{self.taxon}_{self.zone}")


def provenance(context, stage, key, inputs=None):
    """Provenance of a file that a stage writes.

    Parameters
    ----------
    context : Context
        The run.
    stage : str
        Name of the stage.
    key : str
        Content key of the work.
    inputs : dict of str to str, optional
        SHA-256 or content key of each input.

    Returns
    -------
    Provenance
        What `aqqua_dist.artefact` embeds in the file.
    """
    return Provenance(
        study=context.recipe.study, stage=stage, key=key, recipe_text=context.text,
        recipe_sha256=text_hash(context.text), inputs=dict(inputs or {}), seeds={"seed": context.recipe.seed},
        software=software_versions(), references=list(context.recipe.references), created=created_now(),
    )


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
