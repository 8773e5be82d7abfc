"""Tables that a call has written into a folder: read when they are asked for, as a mapping of names."""

import difflib
import html
from collections.abc import Mapping
from pathlib import Path

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError


def standing(*folders):
    """Which Parquet files stand in folders, and which writing of each.

    Parameters
    ----------
    *folders : str or os.PathLike
        Folders; they need not exist.

    Returns
    -------
    dict of pathlib.Path to tuple
        File to what changes when it is written again.
    """
    found = {}
    for folder in map(Path, folders):
        for path in sorted(folder.glob("*.parquet")):
            about = path.stat()
            found[path] = (about.st_ino, about.st_mtime_ns, about.st_size)
    return found


class TableFolder(Mapping):
    """Tables that one call has written; ``found["samples"]`` reads ``samples.parquet``.

    Parameters
    ----------
    folder : str or os.PathLike
        Where the call wrote.
    paths : list of pathlib.Path
        Its Parquet files; files of an earlier call are not among them.
    told : list of str
        What it said on the screen.
    """

    def __init__(self, folder, paths, told=()):
        self.folder, self.told = Path(folder), list(told)
        self._paths = {path.stem: Path(path) for path in paths}

    @classmethod
    def written(cls, folder, before, told=(), *more):
        """Tables that were written since a look at the folder.

        Parameters
        ----------
        folder : str or os.PathLike
            Where the call wrote.
        before : dict
            As from `standing`, before the call.
        told : list of str
            What the call said.
        *more : str or os.PathLike
            Other folders that it wrote to; of two tables of one name that of
            the last folder is taken.

        Returns
        -------
        TableFolder
        """
        places = [*more, folder]
        return cls(folder, [path for path, about in standing(*places).items() if before.get(path) != about], told)

    def __getitem__(self, name):
        if name not in self._paths:
            near = difflib.get_close_matches(str(name), self._paths, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ";"
            raise UserError(f"table {name!r} was not written to {str(self.folder)!r}{hint} it has {list(self)}.")
        return files.read_parquet(self._paths[name])

    def __contains__(self, name):
        return name in self._paths

    def get(self, name, default=None):
        """Table, or what is given where the call wrote none.

        Parameters
        ----------
        name : str
            Name of the table.
        default : object
            What to return instead.

        Returns
        -------
        pandas.DataFrame or object
        """
        return self[name] if name in self else default

    def __iter__(self):
        return iter(self._paths)

    def __len__(self):
        return len(self._paths)

    def __repr__(self):
        return "\n".join([f"tables in {self.folder}: {', '.join(self)}", *self.told])

    def _repr_html_(self):
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.told)
        names = ", ".join(map(html.escape, self))
        return f"<p>Tables in <code>{html.escape(str(self.folder))}</code>: {names}</p><ul>{lines}</ul>"
