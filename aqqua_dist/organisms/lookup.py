"""What a label is taken for, in words: its taxon, number, rank and parents, and what else it might be."""

import difflib
import re
from dataclasses import dataclass

from aqqua_dist.organisms.labels import Label, parse_label
from aqqua_dist.organisms.taxonomy import Taxa, descendants, fold, lineage, read_taxa

NEAR = 5
"""Near names that are shown."""
CLOSE = 0.75
"""Least likeness of a near name, from 0 to 1 (`difflib.SequenceMatcher.ratio`)."""
ONE_SOURCE = re.compile(r"number in one source only \((?P<source>[^)]+)\)")
"""Note of a label whose number only one published table holds."""


@dataclass(frozen=True)
class Found:
    """What a label is taken for.

    Attributes
    ----------
    label : aqqua_dist.organisms.labels.Label
        Its parts.
    known : str
        Label of the table of taxa that its taxon is; empty where there is none.
    parents : tuple of str
        Labels above, from the nearest to the root.
    below : int
        Labels of the table below it.
    synonyms : tuple of str
        Other labels of the table with the same name.
    one_source : str
        The only published table with a number, where that is why there is
        none here; else empty.
    homonym : str
        Label of the table that is spelled the same and is another taxon.
    near : tuple of str
        Labels of a similar spelling, where it is not known.
    """

    label: Label
    known: str
    parents: tuple = ()
    below: int = 0
    synonyms: tuple = ()
    one_source: str = ""
    homonym: str = ""
    near: tuple = ()

    @property
    def understood(self):
        """Whether the table or the words of labels say what it is (bool)."""
        return bool(self.known) or self.label.living is not True or not self.label.taxon


def look_up(text, hierarchy=None, table=None):
    """What a label is taken for.

    Parameters
    ----------
    text : str
        Label, as ``egg<Copepoda`` or ``Copepoda``.
    hierarchy : str, optional
        Its hierarchy from the root, joined by ``>``.
    table : aqqua_dist.organisms.taxonomy.Taxa, optional
        From `aqqua_dist.organisms.taxonomy.read_taxa`; that of the package
        unless given.

    Returns
    -------
    Found

    Raises
    ------
    UserError
        The label is empty.
    """
    table = read_taxa() if table is None else table
    label = parse_label(text, hierarchy, table=table)
    name = label.taxon or (label.record.name if label.living is False else "")
    held = name if name in table else table.folded.get(fold(name), "") if name else ""
    known = held if held and label.record == table[held] else ""
    if not known:
        above = label.record.parent
        parents = (above, *lineage(above, table)[1:]) if above in table else ()
        return Found(label, "", parents, homonym=held, near=near_names(name or text, table))
    source = ONE_SOURCE.search(table[known].note)
    same = tuple(sorted(other for other in table if table[other].name == table[known].name and other != known))
    return Found(
        label,
        known,
        lineage(known, table)[1:],
        len(descendants(known, table) - set(same)),
        same,
        source["source"] if source else "",
    )


def near_names(name, table=None):
    """Labels of the table that are spelled alike.

    Parameters
    ----------
    name : str
        Name of a taxon.
    table : aqqua_dist.organisms.taxonomy.Taxa, optional
        That of the package unless given.

    Returns
    -------
    tuple of str
        Its genus where that is known, then the nearest ones, at most `NEAR`.
    """
    table: Taxa = read_taxa() if table is None else table
    word = fold(name)
    genus = table.folded.get(word.split(" ")[0]) if " " in word else None
    close = [table.folded[one] for one in difflib.get_close_matches(word, table.folded, NEAR, CLOSE)]
    return tuple(dict.fromkeys([*([genus] if genus else []), *close]))[:NEAR]


def sentences(text, found):
    """What was found, for the screen.

    Parameters
    ----------
    text : str
        The label as it was asked for.
    found : Found
        From `look_up`.

    Returns
    -------
    list of str
        Lines; all but the first are indented.
    """
    label, record = found.label, found.label.record
    living = {True: "living", False: "not living", None: "nobody has said whether it lives"}[label.living]
    near = f"near names: {', '.join(found.near)}" if found.near else "no name of the table is near"
    if not found.understood:
        above = f"below {' < '.join(found.parents)}" if found.parents else "without parents"
        lines = [f"{text}: not known, taken for a living taxon {label.taxon!r} without number, {above}; {near}"]
        if found.homonym:
            lines.append(f"  homonym: {found.homonym!r} of the table is another taxon; {record.note}")
        return lines
    if not found.known:
        taken = "no taxon" if not label.taxon else f"{label.taxon!r}, which is not in the table"
        qualifier = f"; qualifier {label.qualifier!r}" if label.qualifier else ""
        return [f"{text}: {taken}; {living}{qualifier}"]
    number = "no AphiaID" if record.aphia_id is None else f"AphiaID {record.aphia_id}"
    lines = [f"{text}: {record.name or found.known}, {number}, {record.rank or 'no rank'}, {living}"]
    if label.qualifier:
        lines.append(f"  qualifier: {label.qualifier}")
    lines.append(f"  parents: {' < '.join(found.parents) or 'none, a root'}")
    lines.append(f"  labels below: {found.below}")
    if record.evidence:
        lines.append(f"  number in {len(record.evidence)} sources: {', '.join(record.evidence)}")
    if found.synonyms:
        lines.append(f"  the same taxon: {', '.join(found.synonyms)}")
    if found.one_source:
        lines.append(f"  number in 1 source only, so it is not used: {found.one_source}")
    elif record.note:
        lines.append(f"  note: {record.note}")
    return lines
