"""The targets of a run and their files, as the run itself lists them; figures and comparisons read no others."""

from dataclasses import dataclass
from pathlib import Path

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import read_json

TARGETS = "targets.json"
DONE = "done"


@dataclass(frozen=True)
class Listed:
    """One target of a run.

    Attributes
    ----------
    taxon, zone : str
        Names.
    key : str
        Its name in file names.
    state : str
        ``done`` or ``refused``.
    reason : str
        Why it was refused; empty otherwise.
    files : tuple of pathlib.Path
        What the run wrote for it.
    """

    taxon: str
    zone: str
    key: str
    state: str
    reason: str
    files: tuple

    def file(self, *parts):
        """One of its files.

        Parameters
        ----------
        *parts : str
            Folders and name in the folder of the run, such as ``map``,
            ``<key>.nc``.

        Returns
        -------
        pathlib.Path or None
            None where the run did not write it.
        """
        return next((path for path in self.files if path.parts[-len(parts) :] == parts), None)

    @property
    def map(self):
        """Its map (pathlib.Path or None)."""
        return self.file("map", f"{self.key}.nc")

    def table(self, name):
        """One of the tables of its fit.

        Parameters
        ----------
        name : str
            Such as ``predictions``.

        Returns
        -------
        pathlib.Path or None
            None where the run did not write it.
        """
        return self.file("fit", self.key, f"{name}.parquet")


def targets(run):
    """Targets that a run has finished, in the order of its recipe.

    Parameters
    ----------
    run : str or os.PathLike
        Folder of the run.

    Returns
    -------
    list of Listed
        Without those that were refused.

    Raises
    ------
    UserError
        The run lists no targets.
    """
    return [found for found in listed(run) if found.state == DONE]


def listed(run):
    """Targets of a run, with those that were refused.

    Parameters
    ----------
    run : str or os.PathLike
        Folder of the run.

    Returns
    -------
    list of Listed

    Raises
    ------
    UserError
        The run lists no targets, or the list is broken.
    """
    path = Path(run) / TARGETS
    try:
        return [
            Listed(
                one["taxon"],
                one["zone"],
                one["key"],
                one["state"],
                one.get("reason", ""),
                tuple(Path(run) / name for name in one["files"]),
            )
            for one in read_json(path)["targets"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{str(path)!r} does not list targets ({error!r} is missing); run the study again.") from None
