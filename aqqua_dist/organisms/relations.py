"""Which published relation each label takes: the one that was asked for, or the nearest up the tree; and whether it fits the label."""

import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.organisms import rollup
from aqqua_dist.organisms.conversions import conversion, conversions
from aqqua_dist.organisms.elements import carbon
from aqqua_dist.organisms.labels import held_back, line_of, parse_label, read_words
from aqqua_dist.organisms.taxonomy import canonical, fold, lineage, read_taxa

AUTO = "auto"
"""Instead of a taxon and its relation: each label takes the nearest relation up the tree."""


def relations_of(labels, lines, wanted, known=None):
    """Conversion of each label: that of the nearest taxon above it.

    Parameters
    ----------
    labels : sequence of str
        Labels and classes.
    lines : dict of str to str
        Hierarchy of each label.
    wanted : dict of str to str
        Conversion (`aqqua_dist.organisms.conversions`) by taxon; with the key
        `AUTO` labels below none of the taxa take the nearest relation of
        carbon from biovolume up the tree, the first of the table where a
        group has several.
    known : dict of str to aqqua_dist.organisms.conversions.Conversion, optional
        A user's own conversions.

    Returns
    -------
    dict of str to str
        Labels below none of the taxa have no entry.

    Raises
    ------
    UserError
        An unknown conversion, or a taxon that is in no hierarchy.
    """
    if not wanted:
        return {}
    asked = {taxon: name for taxon, name in wanted.items() if taxon != AUTO}
    for name in asked.values():
        carbon(np.array([1e-3]), conversion(name, known))
    goal = rollup.goals(labels, lines, list(asked)) if asked else {}
    found = {label: asked[taxa[0]] for label, taxa in goal.items() if taxa}
    return (_nearest(labels, lines, known or {}) | found) if AUTO in wanted else found


def _nearest(labels, lines, known):
    """Relation of the nearest name above each living label that has one."""
    words, table, by_name = read_words(), read_taxa(), {}
    for name, entry in [*known.items(), *conversions().items()]:
        if entry.element == "carbon" and entry.size == "biovolume":
            for taxon in entry.taxa:
                by_name.setdefault(fold(taxon), name)
    found = {}
    for label in labels:
        line = lines.get(label) or ""
        parsed, names = parse_label(label, line or None, words), line_of(label, line)
        if parsed.living is False:
            continue
        if not line and names[-1] in table:
            names = [*names, *lineage(names[-1], table)[1:]]
        for name in names[: held_back(names, parsed, rollup.LEFT_OUT, words)]:
            relation = by_name.get(fold(name)) or by_name.get(fold(canonical(name, table)))
            if relation:
                found[label] = relation
                break
    return found


def values_of(labels, lines, wanted):
    """Number of each label: that of the nearest taxon above it.

    Parameters
    ----------
    labels, lines
        As for `relations_of`.
    wanted : dict of str to float
        Number by taxon.

    Returns
    -------
    dict of str to float
        Labels below none of the taxa have no entry.

    Raises
    ------
    UserError
        A taxon that is in no hierarchy.
    """
    goal = rollup.goals(labels, lines, list(wanted)) if wanted else {}
    return {label: wanted[taxa[0]] for label, taxa in goal.items() if taxa}


def proportional(entry):
    """Whether the mass of a relation is proportional to the volume, so that it is the same for a chain and for its cells.

    Parameters
    ----------
    entry : aqqua_dist.organisms.conversions.Conversion
        Relation.

    Returns
    -------
    bool
    """
    return entry.form == "power" and entry.b == 1 or entry.form == "linear" and entry.a == 0


def untold(relations, lines, known=None):
    """Labels whose images show several organisms, nobody tells how many, and whose relation depends on that.

    Parameters
    ----------
    relations : dict of str to str
        From `relations_of`.
    lines : dict of str to str
        Hierarchy of each label.
    known : dict of str to aqqua_dist.organisms.conversions.Conversion, optional
        A user's own conversions.

    Returns
    -------
    frozenset of str
        Such as ``multiple<Copepoda`` and ``chain<Bacillariophyceae``: their
        carbon is known for images with a number of individuals only. A
        relation that is proportional to the volume, or one per colony for a
        label of colonies, does not need the number.
    """
    words, found = read_words(), set()
    for label, name in relations.items():
        entry, parsed = conversion(name, known), parse_label(label, lines.get(label) or None, words)
        colony = entry.per == "colony" and parsed.qualifier == "colony"
        if not (parsed.individuals >= 1 or parsed.qualifier == "part" or colony or proportional(entry)):
            found.add(label)
    return frozenset(found)


def taken(relations, lines, known=None):
    """What is said of the relations that labels take.

    Parameters
    ----------
    relations, lines, known
        As for `untold`.

    Returns
    -------
    list of str
        One line per relation: its name, what one size is, its source, and
        the labels; then what does not fit.
    """
    words, lines_of = read_words(), []
    for name in dict.fromkeys(relations.values()):
        entry = conversion(name, known)
        mine = sorted(label for label, relation in relations.items() if relation == name)
        shown = ", ".join(mine[:6]) + (f" and {len(mine) - 6} more" if len(mine) > 6 else "")
        lines_of.append(f"carbon by {name} (per {entry.per}; {entry.source.split(';')[0]}): {shown}.")
        if entry.per == "colony":
            single = [
                label for label in mine if parse_label(label, lines.get(label) or None, words).qualifier != "colony"
            ]
            if single:
                lines_of.append(
                    f"{name} is per colony, and {len(single)} of its labels are none: {', '.join(single[:6])}."
                )
    lost = sorted(untold(relations, lines, known))
    if lost:
        lines_of.append(
            f"carbon is missing for {len(lost)} labels whose images show several organisms, wherever n_individuals does not tell how "
            f"many: {', '.join(lost[:6])}."
        )
    return lines_of


def parse_relation(text):
    """Taxon and conversion of an option.

    Parameters
    ----------
    text : str
        Such as ``Copepoda=name_of_the_conversion``, or `AUTO`.

    Returns
    -------
    tuple of str
        Taxon, conversion.

    Raises
    ------
    UserError
        The text is nothing of the kind.
    """
    if text.strip() == AUTO:
        return AUTO, AUTO
    taxon, mark, name = text.partition("=")
    if not (mark and taxon.strip() and name.strip()):
        raise UserError(f"carbon {text!r} is not TAXON=CONVERSION.")
    return taxon.strip(), name.strip()


def parse_sd(text):
    """Taxon and standard deviation of an option.

    Parameters
    ----------
    text : str
        Such as ``Copepoda=0.3``.

    Returns
    -------
    tuple of (str, float)
        Taxon, standard deviation of the natural logarithm of its carbon.

    Raises
    ------
    UserError
        The text is nothing of the kind, or the number is not within [0, 3].
    """
    taxon, _, number = text.rpartition("=")
    try:
        sd = float(number)
    except ValueError:
        sd = np.nan
    if not (taxon.strip() and 0 <= sd <= 3):
        raise UserError(
            f"conversion-sd {text!r} is not TAXON=SD with an SD within [0, 3] (standard deviation of the natural logarithm), as Copepoda=0.3."
        )
    return taxon.strip(), sd
