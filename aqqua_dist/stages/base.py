"""A stage as plain data: what it needs, which parts of the recipe and which files it reads, what it does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance
from aqqua_dist.recipe.context import Context, Target


def no_files(context):
    """Files of a stage that reads none but those of other stages.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    dict
        Empty.
    """
    return {}


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    The loop in `aqqua_dist.stages.pipeline` makes its content key from the
    sections, the bytes of the files, the keys of the needs and the code; a
    stage reads nothing else.

    Attributes
    ----------
    name : str
        Name, and the folder that it writes to.
    run : callable
        ``run(work)`` gives an `Outcome`.
    scope : {'study', 'target'}
        Once per study, or once per taxon and zone.
    needs : tuple of str
        Stages whose files it reads.
    sections : tuple of str
        Parts of the recipe, such as ``members`` or ``budget.basins``.
    files : callable
        ``files(context)`` gives every file it reads, name to path.
    part : callable, optional
        Of a study stage: ``part(context, target)`` gives the hash of what it
        wrote for one target. Stages of that target depend on this part only.
    describes : tuple of str
        Parts of the recipe that its files merely repeat in words.
    describe : callable, optional
        ``describe(work)`` writes these words anew; used instead of `run`
        where nothing else has changed.
    folder : str, optional
        Folder, where it is not named after the stage.
    groups : callable, optional
        Of a target stage: ``groups(context, targets)`` gives the targets that
        are done together, as a dict of tuple of Target to what is made of
        them (anything that JSON can hold). ``run(works)`` is then given the
        work of each and gives an `Outcome` for each.
    """

    name: str
    run: Callable
    scope: str = "study"
    needs: tuple = ()
    sections: tuple = ()
    files: Callable = no_files
    part: Callable | None = None
    describes: tuple = ()
    describe: Callable | None = None
    folder: str | None = None
    groups: Callable | None = None

    def place(self, out):
        """Folder that the stage writes to.

        Parameters
        ----------
        out : pathlib.Path
            Folder of the run.

        Returns
        -------
        pathlib.Path
        """
        return out / (self.name if self.folder is None else self.folder)

    def marker(self, out, target=None, state="done"):
        """File that records what the stage has done.

        Parameters
        ----------
        out : pathlib.Path
            Folder of the run.
        target : Target, optional
            Of a target stage.
        state : {'done', 'refused'}
            What it records.

        Returns
        -------
        pathlib.Path
        """
        return self.place(out) / f"{target.key if target else self.name}.{state}.json"


@dataclass(frozen=True)
class Work:
    """What a stage is given.

    Attributes
    ----------
    context : Context
        The study.
    folder : pathlib.Path
        Where it writes.
    origin : Provenance
        For every file: key of the work, hashes of its inputs.
    target : Target or None
        Of a target stage.
    targets : tuple of Target
        Of a study stage that needs target stages: those that are done.
    refused : dict of Target to str
        The others, and why they were refused.
    """

    context: Context
    folder: Path
    origin: Provenance
    target: Target | None = None
    targets: tuple = ()
    refused: dict = field(default_factory=dict)


class Refused(UserError):
    """Some of the targets that a stage was to do together are refused.

    Parameters
    ----------
    targets : tuple of Target
        Those that are refused.
    reason : str
        Why.
    """

    def __init__(self, targets, reason):
        super().__init__(reason)
        self.targets = tuple(targets)


@dataclass(frozen=True)
class Outcome:
    """What a stage has done.

    Attributes
    ----------
    files : list of pathlib.Path
        What it wrote, in its folder or below.
    told : list of str
        Sentences for the screen.
    """

    files: list
    told: list = field(default_factory=list)
