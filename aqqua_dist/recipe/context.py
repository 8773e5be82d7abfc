"""What every stage needs to know about the run, and what marks work as done."""

from dataclasses import dataclass
from pathlib import Path

from aqqua_dist.core.names import target_key
from aqqua_dist.core.provenance import Provenance, created_now, software_versions
from aqqua_dist.recipe.recipe import Recipe, text_hash


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
        """Name of the target in file names (str); no other target has it."""
        return target_key(self.taxon, self.zone)

    @property
    def label(self):
        """Name of the target in messages (str)."""
        return f"{self.taxon} {self.zone}"


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
        What `aqqua_dist.core.files` embeds in the file.
    """
    return Provenance(
        study=context.recipe.study,
        stage=stage,
        key=key,
        recipe_text=context.text,
        recipe_sha256=text_hash(context.text),
        inputs=dict(inputs or {}),
        seeds={"seed": context.recipe.seed},
        software=software_versions(),
        references=list(context.recipe.references),
        created=created_now(),
    )


def predictor_names(recipe):
    """Names of the predictors, in the order of the recipe.

    Parameters
    ----------
    recipe : Recipe
        The study.

    Returns
    -------
    list of str
        Our names.
    """
    return list(recipe.predictors.names)
