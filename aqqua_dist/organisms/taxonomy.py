"""Labels of the observations, the taxa that they stand for, and the tree in which these lie.

Names, numbers and parents come from the table ``data/taxa.yaml``, which says
for each pair of name and number where it was found; a user's own file is read
on top. Nothing is looked up over the network.
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data

LSID = "urn:lsid:marinespecies.org:taxname:"
"""Start of a WoRMS life science identifier; the AphiaID follows."""
RANKS = (
    "",
    "Superdomain",
    "Kingdom",
    "Subkingdom",
    "Infrakingdom",
    "Phylum",
    "Subphylum",
    "Infraphylum",
    "Gigaclass",
    "Superclass",
    "Class",
    "Subclass",
    "Infraclass",
    "Superorder",
    "Order",
    "Suborder",
    "Infraorder",
    "Superfamily",
    "Family",
    "Subfamily",
    "Genus",
    "Subgenus",
    "Species",
    "Subspecies",
    "Variety",
    "Forma",
)
"""Ranks of the World Register of Marine Species in the table, from above; empty where a label has none."""
KINDS = {
    "name": str,
    "same_as": str,
    "aphia_id": int,
    "rank": str,
    "parent": str,
    "living": (bool, type(None)),
    "evidence": list,
    "note": str,
}
"""Fields of an entry and what they hold."""
ALLOWED = {"aphia_id": "a whole number above 0", "living": "true, false or null", "evidence": "a list of words"}


@dataclass(frozen=True)
class Taxon:
    """What a label stands for.

    Attributes
    ----------
    name : str
        Spelling of the World Register of Marine Species where `aphia_id` is
        known, else the label itself.
    aphia_id : int or None
        Its number there; None for groups that are no single taxon and for
        labels whose number is not known from two sources.
    note : str
        Why there is no number, or what the number must not be mistaken for.
    evidence : tuple of str
        Published tables that hold this pair of name and number.
    rank : str
        One of `RANKS`, empty where there is none.
    parent : str
        Label right above in the table, empty at a root.
    living : bool or None
        None where nobody has said.
    """

    name: str
    aphia_id: int | None = None
    note: str = ""
    evidence: tuple = ()
    rank: str = ""
    parent: str = ""
    living: bool | None = None

    @property
    def lsid(self):
        """Life science identifier, empty where there is none (str)."""
        return "" if self.aphia_id is None else lsid(self.aphia_id)


class Taxa(dict):
    """`Taxon` by label; not changed once it is made."""

    @cached_property
    def folded(self):
        """Label by the form that `fold` gives it (dict of str to str)."""
        return {fold(label): label for label in self}


def fold(label):
    """Form in which spellings of a label are the same.

    Parameters
    ----------
    label : str
        Such as ``Pseudo-Nitzschia_spp.``.

    Returns
    -------
    str
        Lower case, one space for spaces, hyphens and underscores, without a
        closing ``sp`` or ``spp``: ``pseudo nitzschia``.
    """
    word = re.sub(r"[\s_-]+", " ", str(label)).strip().lower()
    return re.sub(r"(?<=\w) spp?\.?$", "", word)


def lsid(aphia_id):
    """Life science identifier of a WoRMS taxon.

    Parameters
    ----------
    aphia_id : int
        AphiaID, above 0.

    Returns
    -------
    str
        Such as ``urn:lsid:marinespecies.org:taxname:1080``.

    Raises
    ------
    UserError
        The number is not a whole number above 0.
    """
    if isinstance(aphia_id, bool) or not isinstance(aphia_id, int) or aphia_id < 1:
        raise UserError(f"AphiaID {aphia_id!r} is not a whole number above 0, as in {LSID}1080.")
    return f"{LSID}{aphia_id}"


def read_taxa(path=None):
    """Labels of the package, and of a user's file on top.

    Parameters
    ----------
    path : str or os.PathLike, optional
        YAML with entries of the form of ``data/taxa.yaml``. An entry for a
        label of the package takes its place as a whole.

    Returns
    -------
    Taxa
        `Taxon` by label, those that do not live among them.

    Raises
    ------
    UserError
        The file cannot be read; an entry has an unknown field or a value that
        does not fit; a parent is no label; parents run in a circle; one
        number has two names. Each names the file and the label.
    """
    return _bundled() if path is None else _tree(_entries(None) | _entries(path), str(path))


@lru_cache(maxsize=1)
def _bundled():
    return _tree(_entries(None), "taxa.yaml")


@lru_cache(maxsize=1)
def taxa():
    """Labels of what is known to live.

    Returns
    -------
    Taxa
        By label, from ``data/taxa.yaml``; `read_taxa` gives all labels.
    """
    return Taxa({label: taxon for label, taxon in read_taxa().items() if taxon.living})


def taxon_record(label, table=None):
    """What a label stands for.

    Parameters
    ----------
    label : str
        Label of the observations, such as ``Copepoda``.
    table : dict of str to Taxon, optional
        From `read_taxa`; the one of the package unless given.

    Returns
    -------
    Taxon
        Its record in the table; for other labels a record with the label as
        its name, without number, whose note says so. Nothing is guessed from
        similar names.

    Raises
    ------
    UserError
        The label is empty or not text.
    """
    if not isinstance(label, str) or not label.strip():
        raise UserError(f"taxon label {label!r} is empty or not text; give a name such as 'Copepoda'.")
    table = read_taxa() if table is None else table
    return table.get(label) or Taxon(name=label, note="label without an entry in taxa.yaml, never looked up in WoRMS")


def lineage(label, table=None):
    """Labels from one up to its root.

    Parameters
    ----------
    label : str
        Label of the table.
    table : dict of str to Taxon, optional
        From `read_taxa`; the one of the package unless given.

    Returns
    -------
    tuple of str
        Such as ``("Copepoda", "Crustacea", "Arthropoda", "Animalia", "Biota")``.

    Raises
    ------
    UserError
        The label is not in the table.
    """
    table = read_taxa() if table is None else table
    _refuse_unknown(label, table)
    line = [label]
    while table[line[-1]].parent:
        line.append(table[line[-1]].parent)
    return tuple(line)


def descendants(label, table=None):
    """Labels below one.

    Parameters
    ----------
    label : str
        Label of the table.
    table : dict of str to Taxon, optional
        From `read_taxa`; the one of the package unless given.

    Returns
    -------
    frozenset of str
        All that lie below, at any depth, without the label itself; of a
        synonym, what lies below its taxon.

    Raises
    ------
    UserError
        The label is not in the table.
    """
    table = read_taxa() if table is None else table
    _refuse_unknown(label, table)
    top = canonical(label, table)
    return frozenset(name for name in table if top in lineage(name, table)[1:]) - {label}


def canonical(label, table=None):
    """Label of the taxon that a synonym is a synonym of.

    Parameters
    ----------
    label : str
        Any label.
    table : dict of str to Taxon, optional
        From `read_taxa`; the one of the package unless given.

    Returns
    -------
    str
        The label right below which others of the same name lie; the label
        itself where it is no synonym or not in the table.
    """
    table = read_taxa() if table is None else table
    while label in table and table[label].parent and table[table[label].parent].name == table[label].name:
        label = table[label].parent
    return label


def _refuse_unknown(label, table):
    if label not in table:
        raise UserError(
            f"taxon {label!r} is not among the {len(table)} labels of the table of taxa; add it to a file of your own."
        )


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice."""


def _mapping(loader, node, deep=False):
    seen = set()
    for key, _ in node.value:
        word = repr(loader.construct_object(key, deep=True))
        if word in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{word} stands twice", key.start_mark)
        seen.add(word)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _entries(path):
    """Entries of a file, each checked on its own."""
    source = package_data("taxa.yaml") if path is None else Path(path)
    try:
        found = yaml.load(source.read_text(encoding="utf-8-sig"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"taxa file {str(path)!r} cannot be read ({_cause(error)}).") from None
    found = {} if found is None else found
    if not isinstance(found, dict):
        raise UserError(
            f"taxa file {str(path)!r} holds a {type(found).__name__}, needed is a mapping of labels to their entries."
        )
    for label, entry in found.items():
        _refuse_entry(label, entry, f"taxa file {str(path)!r}: label {label!r}")
    return found


def _cause(error):
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem}, line {mark.line + 1}" if mark else problem


def _refuse_entry(label, entry, place):
    if not isinstance(label, str) or not label.strip():
        raise UserError(f"{place} is empty or not text; put names such as 'no' in quotes.")
    if not isinstance(entry, dict):
        raise UserError(f"{place} holds {entry!r}, needed is an entry such as {{parent: Copepoda}}.")
    unknown = sorted(map(str, set(entry) - set(KINDS)))
    if unknown:
        raise UserError(f"{place} has the fields {unknown}, allowed are {list(KINDS)}.")
    for field, value in entry.items():
        fits = isinstance(value, KINDS[field]) and (field != "evidence" or all(isinstance(word, str) for word in value))
        if not fits or (field == "aphia_id" and (isinstance(value, bool) or value < 1)):
            raise UserError(f"{place}: {field} {value!r} is not {ALLOWED.get(field, 'text')}.")
    if entry.get("rank", "") not in RANKS:
        raise UserError(f"{place}: rank {entry['rank']!r} is not one of {list(RANKS)}.")
    if "same_as" in entry and set(entry) - {"same_as", "note"}:
        raise UserError(
            f"{place} is the same as {entry['same_as']!r} and has {sorted(set(entry) - {'same_as'})}, allowed is a note."
        )


def _tree(entries, source):
    """Taxa of checked entries; parents exist and end in a root, which says whether it lives."""
    table = Taxa()
    for label in entries:
        line = []
        while label not in table:
            if label in line:
                raise UserError(
                    f"taxa file {source!r}: the parents of {line[0]!r} run in a circle: {' > '.join([*line, label])}."
                )
            line.append(label)
            above = _above(entries[label])
            if not above:
                break
            if above not in entries:
                raise UserError(
                    f"taxa file {source!r}: label {label!r}: parent {above!r} is no label of the file or of the package."
                )
            label = above
        for name in reversed(line):
            table[name] = _taxon(name, entries[name], table, source)
    names = {}
    for label, taxon in table.items():
        if taxon.aphia_id and names.setdefault(taxon.aphia_id, taxon.name) != taxon.name:
            raise UserError(
                f"taxa file {source!r}: label {label!r}: AphiaID {taxon.aphia_id} is of {names[taxon.aphia_id]!r} and of {taxon.name!r}, "
                "allowed is one name."
            )
    return Taxa({label: table[label] for label in entries})


def _above(entry):
    return entry.get("same_as") or entry.get("parent", "")


def _taxon(label, entry, table, source):
    above = table.get(_above(entry))
    if above is None and "living" not in entry:
        raise UserError(
            f"taxa file {source!r}: label {label!r} has no parent and does not say whether it is living: true, false or null."
        )
    living = entry["living"] if "living" in entry else above.living
    if "same_as" in entry:
        return Taxon(
            above.name, above.aphia_id, entry.get("note", ""), above.evidence, above.rank, entry["same_as"], living
        )
    return Taxon(
        entry.get("name", label),
        entry.get("aphia_id"),
        entry.get("note", ""),
        tuple(entry.get("evidence", ())),
        entry.get("rank", ""),
        entry.get("parent", ""),
        living,
    )
