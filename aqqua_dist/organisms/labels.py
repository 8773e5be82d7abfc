"""Labels of image collections: name, parent, qualifier, living or not; and sums over a taxon's children.

`taxonomy` says what a name is in the World Register of Marine Species; here a
label such as ``egg<Copepoda`` or ``not-living>detritus>fiber`` is taken apart.
The words are data (``data/labels.yaml``), and a user's own file adds to them.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.organisms.taxonomy import Taxon, fold, lineage, read_taxa, taxon_record

SECTIONS = ("roots", "not_living", "unknown", "qualifiers", "individuals")


@dataclass(frozen=True)
class Label:
    """A label taken apart.

    Attributes
    ----------
    text : str
        The label as it stood.
    taxon : str
        Name of the taxon, without qualifiers; empty where there is none.
    qualifier : str
        ``egg``, ``part``, ``multiple``, ``colony``, … or empty.
    living : bool or None
        None where nobody has said.
    individuals : float
        Animals that one image stands for; NaN where that is not told.
    record : aqqua_dist.organisms.taxonomy.Taxon
        What the taxon is: name, AphiaID, rank and parent; of a label that
        does not live, what it is instead. Its parent is that of the table, or
        of the hierarchy where the table does not hold the label.
    """

    text: str
    taxon: str
    qualifier: str = ""
    living: bool | None = True
    individuals: float = 1.0
    record: Taxon = Taxon("")


def read_words(path=None):
    """Words of the package, and of a user's file on top.

    Parameters
    ----------
    path : str or os.PathLike, optional
        YAML with any of the sections of ``data/labels.yaml``.

    Returns
    -------
    dict
        Sections ``roots, not_living, unknown, qualifiers, individuals``.

    Raises
    ------
    UserError
        The file cannot be read or has an unknown section.
    """
    words = {name: dict(part) if isinstance(part, dict) else set(part) for name, part in _bundled().items()}
    if path is None:
        return words
    try:
        own = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"label file {str(path)!r} cannot be read ({str(error).splitlines()[0]}).") from None
    own = {} if own is None else own
    if not isinstance(own, dict) or set(own) - set(SECTIONS):
        found = sorted(map(str, set(own) - set(SECTIONS))) if isinstance(own, dict) else type(own).__name__
        raise UserError(f"label file {str(path)!r} has {found}, allowed are the sections {list(SECTIONS)}.")
    for name, part in own.items():
        if not isinstance(part, dict if isinstance(words[name], dict) else list):
            needed = "mapping" if isinstance(words[name], dict) else "list"
            raise UserError(
                f"label file {str(path)!r}: section {name!r} must be a {needed}, found {type(part).__name__}."
            )
        words[name].update(
            {_word(k): v for k, v in part.items()} if isinstance(part, dict) else {_word(w) for w in part}
        )
    return words


@lru_cache(maxsize=1)
def _bundled():
    return yaml.safe_load(package_data("labels.yaml").read_text(encoding="utf-8"))


def _word(text):
    return re.sub(r"[\s_-]+", " ", str(text)).strip().lower()


def parse_label(text, hierarchy=None, words=None, table=None):
    """Take a label apart.

    Parameters
    ----------
    text : str
        Label, such as ``Copepoda``, ``egg<Copepoda`` (child before parent) or
        a whole hierarchy ``living>Eukaryota>…>Copepoda``.
    hierarchy : str, optional
        Hierarchy of the label, from the root, joined by ``>``.
    words : dict, optional
        From `read_words`.
    table : aqqua_dist.organisms.taxonomy.Taxa, optional
        From `aqqua_dist.organisms.taxonomy.read_taxa`; the one of the package unless
        given.

    Returns
    -------
    Label
        Its parts; a word that is a qualifier gives its name to the taxon
        above it. A name that the table holds below other taxa than the
        hierarchy does is a homonym: its record has no number, and says so.

    Raises
    ------
    UserError
        The label is empty or not text.
    """
    if not isinstance(text, str) or not text.strip(" <>"):
        raise UserError(f"label {text!r} is empty or not text; give a name such as 'Copepoda' or 'egg<Copepoda'.")
    words, table = words or read_words(), read_taxa() if table is None else table
    line = line_of(text, hierarchy)
    living = _living(line, words, table)
    qualifier, taxon = "", ""
    for part in line:
        word, tail = _word(part), _word(part).rpartition(" ")[2]
        if word in words["qualifiers"]:
            qualifier = qualifier or words["qualifiers"][word]
        elif word in words["roots"]:
            break
        elif tail in words["qualifiers"] and word != tail:  # copepoda-cut, Rhizaria colonial
            qualifier, taxon = qualifier or words["qualifiers"][tail], _without_last(part)
            break
        else:
            taxon = part
            break
    if (
        taxon and taxon[0].islower() and len(line) > 1 and living
    ):  # copepoda-cut below Copepoda: the spelling of the taxon above
        taxon = next((part for part in line[1:] if _word(part) == _word(taxon)), taxon)
    count = words["individuals"].get(qualifier, 1)
    record = _record(taxon, line, table) if living is not False else _thing(text, line, table)
    return Label(
        text,
        taxon if living is not False else "",
        qualifier,
        living,
        float("nan") if count is None else float(count),
        record,
    )


def line_of(text, hierarchy=None):
    """Names of a label, from itself up to its root.

    Parameters
    ----------
    text : str
        Label, such as ``egg<Copepoda`` or ``living>Copepoda``.
    hierarchy : str, optional
        Its hierarchy from the root, joined by ``>``, which comes first.

    Returns
    -------
    list of str
        Without empty names.
    """
    source = hierarchy if isinstance(hierarchy, str) and hierarchy.strip(" <>") else text
    line = source.split("<") if "<" in source and ">" not in source else source.split(">")[::-1]
    return [part.strip() for part in line if part.strip()]


def held_back(line, parsed, leave_out, words):
    """How far up its line a label counts.

    Parameters
    ----------
    line : list of str
        From `line_of`, and what lies above it.
    parsed : Label
        The label taken apart.
    leave_out : sequence of str
        Qualifiers whose labels do not count for the taxa above them.
    words : dict
        From `read_words`.

    Returns
    -------
    int
        Number of names of the line that it counts for: an egg is an egg and
        no copepod, dead copepods are dead and no copepods.
    """
    reach = len(line)
    if parsed.living is False:
        table = read_taxa()
        dead = [place for place, part in enumerate(line) if _is_dead(part, words, table)]
        reach = max(dead, default=0) + 1
    if parsed.qualifier in leave_out:
        for place, part in enumerate(line):
            word = _word(part)
            found = {words["qualifiers"].get(word), words["qualifiers"].get(word.rpartition(" ")[2])}
            if parsed.qualifier in found:
                return min(reach, place + 1)
    return reach


def _is_dead(part, words, table):
    name = _known(part, table)
    return (
        _word(part) in words["not_living"]
        or words["roots"].get(_word(part)) is False
        or (name is not None and table[name].living is False)
    )


def _record(taxon, line, table):
    """Record of a taxon, without number where the names above it belong to another group."""
    if not taxon:
        return Taxon("", note="no taxon in the label")
    epithet = taxon[0].islower() and len(line) > 1  # tripos below Dinophysis is no Tripos
    label = taxon if taxon in table or epithet else _known(taxon, table)
    above = line[line.index(taxon) + 1 :] if epithet and taxon in line else line  # the epithet is no taxon above itself
    known = [name for name in (_known(part, table) for part in above) if name]
    if label not in table:
        above = next(iter(known), "")
        return replace(taxon_record(taxon, table), parent=above, living=table[above].living if above else None)
    record = table[label]
    above = next((name for name in known if table[name].rank and table[name].name != record.name), None)
    if (
        above
        and record.aphia_id
        and not _groups(above, table) & {table[name].name for name in lineage(label, table)[:-1]}
    ):
        note = f"below {above!r} here and {record.parent!r} in the table: a homonym, without number"
        return Taxon(taxon, note=note, living=record.living)
    return record


def _groups(label, table):
    """Names from a label up to its phylum, or to what lies below the root where it is above all phyla."""
    line = [table[name] for name in lineage(label, table)]
    phylum = next((place for place, taxon in enumerate(line) if taxon.rank == "Phylum"), len(line) - 2)
    return {taxon.name for taxon in line[: phylum + 1]}


def _thing(text, line, table):
    """Record of what does not live."""
    for label in (_known(text, table), _known(line[0], table)):
        if label and table[label].living is False:
            return table[label]
    known = [name for name in (_known(part, table) for part in line[1:]) if name]
    parent = next((name for name in known if table[name].living is False), "")
    return Taxon(line[0], note="does not live, and is not in the table", parent=parent, living=False)


def _known(name, table):
    return name if name in table else table.folded.get(fold(name))


def _without_last(part):
    return re.sub(r"[\s_-]+[^\s_-]+$", "", part.strip())


def _living(line, words, table):
    if any(_word(part) in words["not_living"] for part in line):
        return False
    if any(table[name].living is False for name in (_known(part, table) for part in line) if name is not None):
        return False
    if any(_word(part) in words["unknown"] for part in line) or re.fullmatch(r"t\d{2,3}", _word(line[0])):
        return None
    root = _word(line[-1])
    return words["roots"][root] if root in words["roots"] else True
