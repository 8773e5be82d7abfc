"""Labels summed to the taxa that a study names: a taxon is the total of all that is below it.

What lies above a label is told by the hierarchy of its export, else by its
own words (``Calanoida<Copepoda``), else by the table of taxa of the package.
A taxon's number does not depend on which other taxa were asked for, so that
taxa may overlap; `overlaps` tells which must never be added.
"""

import warnings

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.tables import COUNTS, summed, typed
from aqqua_dist.organisms.labels import held_back, line_of, parse_label, read_words
from aqqua_dist.organisms.taxonomy import canonical, lineage, read_taxa

LEFT_OUT = ("part", "exuviae", "egg")
"""Qualifiers of labels that are no animal of their taxon, unless the user says otherwise."""


def taxon_counts(counts, lines, taxa, *, leave_out=LEFT_OUT, words=None, labels=()):
    """Counts of labels summed to the taxa that were asked for.

    Parameters
    ----------
    counts : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.COUNTS`, ``taxon`` a label.
    lines, taxa, leave_out, words
        As for `goals`.
    labels : sequence of str
        Labels beside those of `counts`, so that a taxon that was looked for
        and not counted anywhere is known.

    Returns
    -------
    pandas.DataFrame
        Same columns, ``taxon`` one of `taxa`; a label that lies below several
        of them counts for each. What lies below none of them is left out.

    Raises
    ------
    UserError
        As `goals`.
    """
    goal = goals([*counts["taxon"].dropna().unique(), *labels], lines, taxa, leave_out=leave_out, words=words)
    numbers = [name for name in ("n", "biovolume", "carbon") if name in counts]
    keys = [name for name in counts.columns if name not in numbers]
    kept = counts.assign(taxon=[goal.get(label, ()) for label in counts["taxon"]]).explode("taxon")
    found = summed(kept.dropna(subset="taxon"), keys, numbers)
    return typed(found, COUNTS | ({"carbon": "float64"} if "carbon" in counts else {}))


def goals(labels, lines, taxa, *, leave_out=LEFT_OUT, words=None):
    """Taxa that each label counts for.

    Parameters
    ----------
    labels : sequence of str
        Labels.
    lines : dict of str to str
        Hierarchy of each label from the root, joined by ``>``; a label
        without one is taken by its own words and the table of taxa.
    taxa : list of str
        Names that occur in the hierarchies, or ``child<parent`` where a name
        stands below several parents. Synonyms stand for their taxon.
    leave_out : sequence of str
        Qualifiers (`aqqua_dist.organisms.labels`) of labels that are not
        counted for the taxa above the qualifier.
    words : dict, optional
        From `aqqua_dist.organisms.labels.read_words`.

    Returns
    -------
    dict of str to tuple of str
        Those of `taxa` at or above each label, the nearest first.

    Raises
    ------
    UserError
        A taxon stands twice, also as a synonym, is the name of different
        things, or stands in no label's hierarchy.

    Warns
    -----
    MethodWarning
        Some labels are placed by neither the export nor the table, so that
        nobody knows whether they belong to `taxa`.
    """
    words, table = words or read_words(), read_taxa()
    wanted = _wanted(taxa, table)
    labels = list(dict.fromkeys(labels))
    known, lost, goal = {label: _names(label, lines.get(label, ""), table) for label in labels}, [], {}
    _refuse_ambiguous(wanted, known, table, words)
    for label, names in known.items():
        parsed = parse_label(label, lines.get(label) or None, words)
        reach = held_back(names, parsed, leave_out, words)
        mine = [wanted.get(form) for name in _forms(label, names, reach) for form in (name, canonical(name, table))]
        goal[label] = tuple(dict.fromkeys(taxon for taxon in mine if taxon is not None))
        if not goal[label] and len(names) == 1 and parsed.living and not _placed(label, table):
            lost.append(label)
    _refuse_absent(wanted, known, table)
    if lost:
        warnings.warn(
            f"{len(lost)} labels have no known parent and are left out of the sums, such as {sorted(lost)[:3]}; write their "
            "parents into them (child<parent), or give the hierarchies of the export.",
            MethodWarning,
            stacklevel=2,
        )
    return goal


def overlaps(goal):
    """Pairs of taxa of which one holds labels of the other, so that their sum would count animals twice.

    Parameters
    ----------
    goal : dict of str to tuple of str
        From `goals`.

    Returns
    -------
    list of tuple of str
        Outer and inner taxon, sorted.
    """
    return sorted({(outer, inner) for taxa in goal.values() for k, inner in enumerate(taxa) for outer in taxa[k + 1 :]})


def overlap_sentence(goal):
    """What is said of taxa that overlap.

    Parameters
    ----------
    goal : dict of str to tuple of str
        From `goals`.

    Returns
    -------
    str
        One sentence; empty where no taxa overlap.
    """
    pairs = overlaps(goal)
    if not pairs:
        return ""
    told = ", ".join(f"{outer} holds {inner}" for outer, inner in pairs)
    return f"taxa overlap ({told}): each is a total with its descendants, so never add their numbers."


def _wanted(taxa, table):
    """Each taxon by its own name and by that of which it is a synonym."""
    twice = sorted({name for name in taxa if list(taxa).count(name) > 1})
    if twice:
        raise UserError(f"taxa {twice} stand twice, allowed is once.")
    wanted = {name: name for name in taxa}
    for name in taxa:
        top = canonical(name, table)
        if wanted.setdefault(top, name) != name:
            raise UserError(f"taxa {wanted[top]!r} and {name!r} are the same taxon, allowed is one of them.")
    return wanted


def _names(label, line, table):
    """Names from a label up to its root."""
    names = line_of(label, line)
    if not line and _placed(names[-1], table):
        return [*names, *lineage(names[-1], table)[1:]]
    return names


def _placed(name, table):
    return name in table and bool(table[name].parent)


def _forms(label, names, reach):
    """Spellings by which a label is asked for: itself, each name above it, and each with its parent."""
    yield label
    for place, name in enumerate(names[:reach]):
        yield name
        if place + 1 < len(names):
            yield f"{name}<{names[place + 1]}"


def _refuse_absent(wanted, known, table):
    seen = set(known)
    for label, names in known.items():
        seen.update(_forms(label, names, len(names)))
    seen |= {canonical(name, table) for name in seen}
    absent = [taxon for name, taxon in wanted.items() if name == taxon and not {name, canonical(name, table)} & seen]
    if absent and known:
        raise UserError(
            f"taxon {absent[0]!r} stands in none of the {len(known)} labels or their parents; known are {sorted(seen)[:30]}."
        )


def _refuse_ambiguous(wanted, known, table, words):
    """Refuse a short name, as ``like``, that is the name of different things."""
    for name in dict.fromkeys(wanted.values()):
        places = {
            (part, names[place + 1])
            for names in known.values()
            for place, part in enumerate(names[:-1])
            if part == name
        }
        if len(places) < 2 or (name in table and table[name].rank and not _homonyms(places, table, words)):
            continue
        candidates = sorted(f"{child}<{parent}" for child, parent in places)
        raise UserError(f"taxon {name!r} is the name of {len(candidates)} different things; write one of {candidates}.")


def _homonyms(places, table, words):
    """Whether the parents of a name belong to different groups."""
    notes = {"homonym" in parse_label(f"{child}<{parent}", None, words, table).record.note for child, parent in places}
    return len(notes) > 1
