"""One bad file never stops a collection: what cannot be read is set aside and listed, the rest goes on.

A reader of several files wraps what it does for each of them::

    findings = []
    tables = read_each(sources, read_one, findings)

or, where a loop says more than a function, ``with setting_aside(aside, source):``
and, at the end, ``findings += aside.findings(len(tables))``. Either way a reader
that could read none of its files raises the first error, so that a single bad
file is refused as ever; `aqqua_dist.readers.ingest` sets a whole format aside then.
"""

import re
from contextlib import contextmanager
from dataclasses import dataclass, field

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding

CHECK = "set aside"
"""Name of the detector under which files and samples that are left out stand among the findings."""
_ROW = re.compile(r"\brow (\d+)")
_COLUMN = re.compile(r"\bcolumn '([^']+)'")


def refusal(error, **where):
    """Finding for what could not be read.

    Parameters
    ----------
    error : Exception
        Its message names the place; row and column are taken from there.
    **where
        ``file``, ``row``, ``column``, ``value``, where the caller knows them.

    Returns
    -------
    dict
        A row of ``findings`` of severity ``refused``.
    """
    text = str(error)
    row, column = _ROW.search(text), _COLUMN.search(text)
    found = ({"row": int(row.group(1))} if row else {}) | ({"column": column.group(1)} if column else {})
    return finding("refused", CHECK, text, **(found | where))


@dataclass
class Aside:
    """What was set aside so far.

    Attributes
    ----------
    errors : list of tuple
        Source and error, in their order.
    """

    errors: list = field(default_factory=list)

    def findings(self, n_read):
        """Rows of ``findings``, once all files were tried.

        Parameters
        ----------
        n_read : int
            Files (or samples) that could be read.

        Returns
        -------
        list of dict
            One per file that was set aside.

        Raises
        ------
        UserError
            None could be read: the first error.
        """
        if self.errors and not n_read:
            raise UserError(f"{self.errors[0][1]}")
        return [refusal(error, file=str(source)) for source, error in self.errors]


@contextmanager
def setting_aside(aside, source):
    """Block whose `UserError` sets a source aside.

    Parameters
    ----------
    aside : Aside
        Takes the error.
    source : object
        File, or a group of files under one name; shown in the findings.
    """
    try:
        yield
    except UserError as error:
        aside.errors.append((source, error))


def read_each(sources, read, findings):
    """Read files one by one; one that cannot be read is set aside.

    Parameters
    ----------
    sources : iterable
        Files, or groups of files.
    read : callable
        Takes a source.
    findings : list of dict
        Takes a row of severity ``refused`` per source that was set aside.

    Returns
    -------
    list of tuple
        Source and what `read` gave, for those that could be read.

    Raises
    ------
    UserError
        None could be read: the first error.
    """
    aside, found = Aside(), []
    for source in sources:
        with setting_aside(aside, source):
            found.append((source, read(source)))
    findings += aside.findings(len(found))
    return found
