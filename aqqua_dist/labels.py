"""Labels of image collections: name, parent, qualifier, living or not; and sums over a taxon's children.

`taxonomy` says what a name is in the World Register of Marine Species; here a
label such as ``egg<Copepoda`` or ``not-living>detritus>fiber`` is taken apart.
The words are data (``data/labels.yaml``), and a user's own file adds to them.
"""

import re
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from aqqua_dist.errors import MethodWarning, UserError
from aqqua_dist.paths import package_data
from aqqua_dist.taxonomy import Taxon, canonical, fold, lineage, read_taxa, taxon_record

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
    record : aqqua_dist.taxonomy.Taxon
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
            raise UserError(f"label file {str(path)!r}: section {name!r} must be a {needed}, found {type(part).__name__}.")
        words[name].update({_word(k): v for k, v in part.items()} if isinstance(part, dict) else {_word(w) for w in part})
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
    table : aqqua_dist.taxonomy.Taxa, optional
        From `aqqua_dist.taxonomy.read_taxa`; the one of the package unless
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
    source = hierarchy if isinstance(hierarchy, str) and hierarchy.strip(" <>") else text
    line = source.split("<") if "<" in source and ">" not in source else source.split(">")[::-1]
    line = [part.strip() for part in line if part.strip()]  # from the label up to its root
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
    if taxon and taxon[0].islower() and len(line) > 1 and living:  # copepoda-cut below Copepoda: the spelling of the taxon above
        taxon = next((part for part in line[1:] if _word(part) == _word(taxon)), taxon)
    count = words["individuals"].get(qualifier, 1)
    record = _record(taxon, line, table) if living is not False else _thing(text, line, table)
    return Label(text, taxon if living is not False else "", qualifier, living, float("nan") if count is None else float(count), record)


def _record(taxon, line, table):
    """Record of a taxon, without number where the names above it belong to another group."""
    if not taxon:
        return Taxon("", note="no taxon in the label")
    epithet = taxon[0].islower() and len(line) > 1  # tripos below Dinophysis is no Tripos
    label = taxon if taxon in table or epithet else _known(taxon, table)
    known = [name for name in (_known(part, table) for part in line) if name]
    if label not in table:
        above = next(iter(known), "")
        return replace(taxon_record(taxon, table), parent=above, living=table[above].living if above else None)
    record = table[label]
    above = next((name for name in known if table[name].rank and table[name].name != record.name), None)
    if above and record.aphia_id and not _groups(above, table) & {table[name].name for name in lineage(label, table)[:-1]}:
        note = f"below {above!r} here and {record.parent!r} in the table: a homonym, without number"
        return Taxon(taxon, note=note, living=record.living)
    return record


def _groups(label, table):
    """Names from a label up to its phylum, or to what lies below the root where it is above all phyla."""
    line = [table[name] for name in lineage(label, table)]
    phylum = next((place for place, taxon in enumerate(line) if taxon.rank == "Phylum"), len(line) - 2)
    return {taxon.name for taxon in line[:phylum + 1]}


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
                    f"taxon {child!r} stands below {found[child]!r} and below {parent!r}; tell the two apart before rolling up.")
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
    table : dict of str to aqqua_dist.taxonomy.Taxon, optional
        From `aqqua_dist.taxonomy.read_taxa`; the one of the package unless
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
        warnings.warn(f"{len(lost)} labels have no known parent and are left out of the sums, such as {lost[:3]}; take them apart first "
                      "(parse_label) or add them to a table of taxa of your own.", MethodWarning, stacklevel=2)
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
    table : dict of str to aqqua_dist.taxonomy.Taxon, optional
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


def with_zeros(samples, counts, searched):
    """Counts with a row for every taxon that was searched for in a sample.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns ``sample_id`` and the one that `searched` is keyed by.
    counts : pandas.DataFrame
        Columns ``sample_id, taxon, n`` and, where known, ``biovolume``.
    searched : dict of str to list of str, or list of str
        Taxa that were looked for, per value of ``cruise`` (or for all): a
        taxon outside the list is missing in those samples, not zero.

    Returns
    -------
    pandas.DataFrame
        Columns ``sample_id, taxon, n`` (and ``biovolume``), one row per
        sample and taxon searched for; zeros where nothing was counted.

    Raises
    ------
    UserError
        A cruise has no list, or a count is of a taxon that its cruise did
        not search for.
    """
    cruise = samples.set_index("sample_id")["cruise"] if isinstance(searched, dict) else pd.Series("", index=samples["sample_id"])
    lists = searched if isinstance(searched, dict) else {"": list(searched)}
    missing = sorted(set(cruise.astype(object)) - set(lists), key=str)
    if missing:
        raise UserError(f"cruise {missing[0]!r} has no list of taxa that were searched for; {len(missing)} such cruises.")
    pairs = pd.DataFrame(
        [(sample, taxon) for sample, name in cruise.items() for taxon in lists[name]], columns=["sample_id", "taxon"])
    numbers = [name for name in ("n", "biovolume") if name in counts]
    joined = pairs.merge(counts[["sample_id", "taxon", *numbers]], on=["sample_id", "taxon"], how="outer", indicator=True)
    strange = joined[joined["_merge"] == "right_only"]
    if len(strange):
        row = strange.iloc[0]
        raise UserError(
            f"sample {row['sample_id']!r} holds {row['taxon']!r}, which is not among the taxa searched for there; "
            f"{len(strange)} such counts.")
    absent = joined["_merge"] == "left_only"
    for name in numbers:
        joined[name] = np.where(absent, 0.0, joined[name].astype("float64"))
    return joined.drop(columns="_merge")
