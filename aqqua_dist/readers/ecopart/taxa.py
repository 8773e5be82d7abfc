"""Taxa in tables of EcoPart exports: their columns, names and numbers, and what each holds itself."""

import re
from collections import defaultdict
from functools import lru_cache

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.readers.ecopart.headers import taxon_names
from aqqua_dist.readers.ecopart.tables import WHOLE

COARSE = np.array(
    [
        *range(0, 150, 25),
        *range(150, 500, 50),
        *range(500, 1000, 100),
        *range(1000, 6000, 250),
        *range(6000, 15000, 1000),
        15000,
        20000,
        50000,
    ],
    dtype=float,
)
"""Edges (m) of the bins of taxa in reduced exports."""
FLOAT = "uvp6remote"
"""Instrument on floats: it transmits means, and its images of plankton are others than those of particles."""
NESTED = 3
"""Rows with objects from which on a taxon that always holds as many as those below it is reported."""


def coarse_place(depth):
    """Number of the bin of a reduced export.

    Parameters
    ----------
    depth : array_like
        m.

    Returns
    -------
    numpy.ndarray of int
        Place of its upper edge in `COARSE`.
    """
    return np.clip(np.searchsorted(COARSE, depth, side="right") - 1, 0, len(COARSE) - 2)


def coarse_centre(depth):
    """Centre of the bin of a reduced export.

    Parameters
    ----------
    depth : array_like
        m.

    Returns
    -------
    numpy.ndarray
        m.
    """
    place = coarse_place(depth)
    return (COARSE[place] + COARSE[place + 1]) / 2


def is_detailed(table):
    """Whether taxa hold those below them and stand in bins of 5 m, as in detailed exports.

    Parameters
    ----------
    table : Table
        Of kind ``taxa``.

    Returns
    -------
    bool
        By the name of the file; where it does not tell, by its taxa and
        depths.
    """
    if "_reduced_" in table.source.name or "_detailed_" in table.source.name:
        return "_detailed_" in table.source.name
    lines, depth = taxon_columns(table), table.rows["depth"].dropna().to_numpy()
    rolled = all(line.rpartition(">")[0] in lines for line in lines if ">" in line)
    return rolled and not (len(depth) and (depth == coarse_centre(depth)).all())


def taxon_columns(table):
    """Taxa of a table of taxa.

    Parameters
    ----------
    table : Table
        Of kind ``taxa``.

    Returns
    -------
    dict of str to tuple
        Hierarchy (``a>b>c``; in ODV spreadsheets as far up as it can be
        followed) to the columns of concentration (m-3) and of biovolume (mm3
        L-1), or None.

    Raises
    ------
    UserError
        A taxon that is exported with its children.
    """
    lines, children = _taxa(tuple(table.columns))
    if children:
        raise UserError(
            f"{table.source}: taxon {children!r} is exported with its children, so that sums would count twice; export it without them."
        )
    return lines


@lru_cache(maxsize=64)
def _taxa(columns):
    """Hierarchies with their columns, and the first taxon that is exported with its children, or an empty text."""
    counts, volumes, children, spreadsheet = {}, {}, "", False
    for name, (taxon, what, rolled) in taxon_names(columns)[0].items():
        if what == "avgesd":
            continue
        line = re.sub(r"^(.*)\((.*)\)$", r"\2>\1", taxon)
        spreadsheet = spreadsheet or "(" in taxon
        children = children or line * rolled
        (volumes if what else counts)[line] = name
    above = {}
    for line in counts:
        above.setdefault(line.rpartition(">")[2], []).append(line)
    return {
        (_upwards(line, above) if spreadsheet else line): (counts[line], volumes.get(line)) for line in counts
    }, children


def _upwards(line, above):
    """Hierarchy of ``parent>child``, where each parent has one line of its own."""
    for _ in range(len(above)):
        top, _, rest = line.partition(">")
        if len(above.get(top, ())) != 1 or not above[top][0].endswith(">" + top):
            break
        line = f"{above[top][0]}>{rest}"
    return line


def labels_of(lines):
    """Name of each taxon, ``child<parent`` where the child's name alone is used twice.

    Parameters
    ----------
    lines : list of str
        Hierarchies of all tables.

    Returns
    -------
    dict of str to str
        Hierarchy to name.
    """
    ends = {line: line.split(">")[:-3:-1] for line in lines}
    parents = defaultdict(set)
    for name, *above in ends.values():
        parents[name].add(tuple(above))
    return {line: "<".join(end) if len(parents[end[0]]) > 1 else end[0] for line, end in ends.items()}


def counts_of(table, rows, labels):
    """Validated objects of each taxon itself.

    Parameters
    ----------
    table : Table
        Of kind ``taxa``.
    rows : pandas.DataFrame
        For each of its rows ``volume`` (L), ``sample_id``, ``instrument``
        and ``weight``; counts of `FLOAT` need not be whole.
    labels : dict of str to str
        From `labels_of`.

    Returns
    -------
    counts : pandas.DataFrame
        ``sample_id, taxon, n, biovolume`` (mm3; missing where the export has
        none), ``method, weight``.
    taxa : pandas.DataFrame
        ``taxon, hierarchy, parent``.

    Raises
    ------
    UserError
        A number that is not whole, or a taxon of a detailed export with less
        than those below it.
    """
    columns = taxon_columns(table)
    lines, counted = list(columns), [count for count, _ in columns.values()]
    litres = rows["volume"].to_numpy()[:, None]
    n = table.whole(
        np.nan_to_num(table.rows[counted].to_numpy(dtype=float)) * litres / 1000,
        counted,
        (rows["instrument"] != FLOAT).to_numpy(dtype=bool),
    )
    size = table.rows.reindex(columns=[volume or "" for _, volume in columns.values()]).to_numpy(dtype=float) * litres
    size = np.where(np.isnan(size) & (n == 0), 0, size)
    if is_detailed(table):
        n, size = _own_part(table, lines, n), _own_part(table, lines, size, check=False)
    else:
        _report_nested(table, lines, n)
    row, place = np.nonzero(n > WHOLE)
    names = np.array([labels[line] for line in lines], dtype=object)
    counts = pd.DataFrame(
        {
            "sample_id": rows["sample_id"].to_numpy()[row],
            "taxon": names[place],
            "n": n[row, place],
            "biovolume": np.maximum(size[row, place], 0),
            "method": "validated",
            "weight": rows["weight"].to_numpy(dtype=float)[row],
        }
    )
    if counts.duplicated(["sample_id", "taxon"]).any():
        keys = ["sample_id", "taxon", "method", "weight"]
        counts = counts.groupby(keys, sort=False, as_index=False, dropna=False).agg(
            {"n": "sum", "biovolume": lambda part: part.sum(skipna=False)}
        )
    parents = [line.split(">")[-2] if ">" in line else None for line in lines]
    return counts, pd.DataFrame({"taxon": names, "hierarchy": lines, "parent": parents})


def _own_part(table, lines, values, check=True):
    """What a taxon holds itself: its column without the columns right below it."""
    own = values.copy()
    for place, line in enumerate(lines):
        if (parent := line.rpartition(">")[0]) in lines:
            own[:, lines.index(parent)] -= values[:, place]
    for row, place in np.argwhere(own < -WHOLE * np.maximum(values, 1))[: int(check)]:
        raise UserError(
            f"{table.source}, row {table.rows['row'].iloc[row]}: taxon {lines[place]!r} holds less than the taxa below it ({values[row, place]:g} objects, they "
            f"{values[row, place] - own[row, place]:g}); the columns are not those of a detailed export."
        )
    return own


def _report_nested(table, lines, n):
    """Report a reduced export whose taxa look as if they held their children."""
    for place, line in enumerate(lines):
        below = [k for k, other in enumerate(lines) if other.startswith(line + ">")]
        inside = n[:, below].sum(axis=1)
        if below and (inside > 0).sum() >= NESTED and (n[:, place] >= inside).all():
            table.findings.append(
                finding(
                    "suspicious",
                    "taxa",
                    f"in every row taxon {line!r} has at least as many objects as those below it; if it was exported with its children they "
                    "count twice.",
                    file=str(table.source),
                    column=line,
                )
            )
