"""Labels summed to the taxa that a study names."""

import warnings

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.tables import COUNTS, typed
from aqqua_dist.organisms.labels import parse_label, read_words
from aqqua_dist.organisms.taxonomy import canonical, read_taxa

LEFT_OUT = ("part", "exuviae", "egg")
"""Qualifiers of labels that are no animal of their taxon, unless the user says otherwise."""


def parents_of(hierarchies):
    """Parent of each name in hierarchies.

    Parameters
    ----------
    hierarchies : iterable of str
        From the root, joined by ``>``.

    Returns
    -------
    dict of str to str
        Name to the name above it; roots are left out.

    Raises
    ------
    UserError
        A name stands below two different names: such labels must be told
        apart (``child<parent``) before they are summed.
    """
    found = {}
    for hierarchy in hierarchies:
        line = [part.strip() for part in hierarchy.split(">") if part.strip()]
        for parent, child in zip(line, line[1:], strict=False):
            if found.setdefault(child, parent) != parent:
                raise UserError(
                    f"taxon {child!r} stands below {found[child]!r} and below {parent!r}; tell the two apart before rolling up."
                )
    return found


def roll_up(counts, taxa, parents=None, table=None):
    """Counts of taxa with all that is below them, each count used once.

    Parameters
    ----------
    counts : pandas.DataFrame
        Columns ``sample_id, taxon, n`` and, where known, ``biovolume``
        (mm3); counts of a taxon without those of its children.
    taxa : list of str
        Taxa to sum to. A count goes to the nearest of them above it, so that
        no count is used twice where one of them lies inside another. Of a
        synonym, such as Metazoa, what lies below its taxon.
    parents : dict of str to str, optional
        Of the export, from `parents_of`. A name that it does not place is
        looked for in the table.
    table : dict of str to aqqua_dist.organisms.taxonomy.Taxon, optional
        From `aqqua_dist.organisms.taxonomy.read_taxa`; the one of the package unless
        given. An empty one leaves the parents of the export alone.

    Returns
    -------
    pandas.DataFrame
        Columns as in `counts`, ``taxon`` one of `taxa`; what lies below none
        of them is left out.

    Raises
    ------
    UserError
        A taxon stands twice, also as a synonym, or the parents run in a
        circle.

    Warns
    -----
    MethodWarning
        Some counts are of names that neither the export nor the table places,
        so that nobody knows whether they belong to `taxa`.
    """
    if len(set(taxa)) != len(taxa):
        twice = sorted({name for name in taxa if list(taxa).count(name) > 1})
        raise UserError(f"taxa {twice} stand twice, allowed is once.")
    table = read_taxa() if table is None else table
    wanted = _wanted(taxa, table)
    parents = _parents(parents or {}, table)
    names = counts["taxon"].dropna().unique()
    placed = set(parents) | set(parents.values()) | set(taxa)
    lost = sorted(name for name in names if name not in placed)
    if lost:
        warnings.warn(
            f"{len(lost)} labels have no known parent and are left out of the sums, such as {lost[:3]}; take them apart first "
            "(parse_label) or add them to a table of taxa of your own.",
            MethodWarning,
            stacklevel=2,
        )
    goal = {name: wanted.get(_nearest(name, wanted, parents)) for name in names}
    numbers = [name for name in ("n", "biovolume") if name in counts]
    kept = counts.assign(taxon=counts["taxon"].map(goal)).dropna(subset="taxon")
    return kept.groupby(["sample_id", "taxon"], sort=False)[numbers].sum(min_count=1).reset_index()


def _wanted(taxa, table):
    """Each taxon by its own label and by that of which it is a synonym."""
    wanted = {name: name for name in taxa}
    for name in taxa:
        top = canonical(name, table)
        if wanted.setdefault(top, name) != name:
            raise UserError(f"taxa {wanted[top]!r} and {name!r} are the same taxon, allowed is one of them.")
    return wanted


def _parents(parents, table):
    """Parents of the export, and of the table for names without one; roots of the table have the parent None."""
    return {label: taxon.parent or None for label, taxon in table.items()} | parents


def _nearest(name, wanted, parents):
    seen = []
    while name is not None and name not in wanted:
        if name in seen:
            raise UserError(f"the parents of {seen[0]!r} run in a circle: {' > '.join([*seen, name])}.")
        seen.append(name)
        name = parents.get(name)
    return name


def roll_up_searched(searched, taxa, parents=None, table=None):
    """Taxa that a sum over what was searched for gives in full.

    A sample in which nobody looked for a group has no zero of it. Looking for
    a taxon means looking for all that is below it; looking for some of its
    children is no search for the taxon.

    Parameters
    ----------
    searched : dict of str to list of str, or list of str
        Taxa that were looked for, per cruise (or for all).
    taxa : list of str
        Taxa that counts are summed to with `roll_up`.
    parents : dict of str to str, optional
        As in `roll_up`.
    table : dict of str to aqqua_dist.organisms.taxonomy.Taxon, optional
        As in `roll_up`.

    Returns
    -------
    dict of str to list of str, or list of str
        Of `taxa`, those that were searched for themselves or within a taxon
        above them; what `with_zeros` takes for the summed counts.

    Raises
    ------
    UserError
        The parents run in a circle.
    """
    if isinstance(searched, dict):
        return {cruise: roll_up_searched(names, taxa, parents, table) for cruise, names in searched.items()}
    table = read_taxa() if table is None else table
    wanted = {*searched, *(canonical(name, table) for name in searched)}
    above = _parents(parents or {}, table)
    return [name for name in taxa if _nearest(name, wanted, above) is not None]


def taxon_counts(counts, lines, taxa, *, leave_out=LEFT_OUT, words=None):
    """Counts of labels summed to the taxa that were asked for.

    Parameters
    ----------
    counts : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.COUNTS`, ``taxon`` a label.
    lines : dict of str to str
        Hierarchy of each label from the root, joined by ``>``; a label
        without one is taken by its own words.
    taxa : list of str
        Names that occur in the hierarchies. A label goes to the nearest of
        them above it, so that nothing counts twice.
    leave_out : sequence of str
        Qualifiers (`aqqua_dist.organisms.labels`) of labels that are not counted.
    words : dict, optional
        From `aqqua_dist.organisms.labels.read_words`.

    Returns
    -------
    pandas.DataFrame
        Same columns, ``taxon`` one of `taxa`; what lies below none of them is
        left out.

    Raises
    ------
    UserError
        A name of `taxa` stands in no label's hierarchy.
    """
    goal = goals(counts["taxon"].dropna().unique(), lines, taxa, leave_out=leave_out, words=words)
    kept = counts.assign(taxon=counts["taxon"].map(goal)).dropna(subset="taxon")
    numbers = [name for name in ("n", "biovolume", "carbon") if name in counts]
    keys = [name for name in counts.columns if name not in numbers]
    grouped = kept.assign(**{f"_{name}": kept[name].isna() for name in numbers}).groupby(keys, sort=False, dropna=False)
    found = grouped.agg({name: "sum" for name in numbers} | {f"_{name}": "any" for name in numbers}).reset_index()
    for name in numbers:
        found[name] = found[name].mask(found[f"_{name}"])  # a sum of which a part is unknown is unknown
    return typed(found, COUNTS | ({"carbon": "float64"} if "carbon" in counts else {}))


def goals(labels, lines, taxa, *, leave_out=LEFT_OUT, words=None):
    """Taxon that each label goes to.

    Parameters
    ----------
    labels : sequence of str
        Labels.
    lines, taxa, leave_out, words
        As for `taxon_counts`.

    Returns
    -------
    dict of str to str or None
        None for a label below none of the taxa; labels that are left out have
        no entry.

    Raises
    ------
    UserError
        A name of `taxa` stands in no label's hierarchy.
    """
    words = words or read_words()
    goal, seen = {}, set()
    for label in labels:
        names = _names(label, lines.get(label, ""))
        seen.update(names)
        parsed = parse_label(label, lines.get(label) or None, words)
        if parsed.qualifier not in leave_out and (parsed.living is not False or names[0] in taxa):
            goal[label] = next((name for name in names if name in taxa), None)
    unknown = [name for name in taxa if name not in seen]
    if unknown and len(labels):
        raise UserError(
            f"taxon {unknown[0]!r} stands in none of the {len(labels)} labels or their parents; known are {sorted(seen)[:30]}."
        )
    return goal


def _names(label, line):
    """Names of a label, from itself up to its root."""
    if line:
        return [label, *(part.strip() for part in reversed(line.split(">")) if part.strip())]
    return [part.strip() for part in (label.split("<") if "<" in label else reversed(label.split(">"))) if part.strip()]
