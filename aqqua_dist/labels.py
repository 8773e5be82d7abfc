"""Labels of image collections: name, parent, qualifier, living or not; and sums over a taxon's children.

`taxonomy` says what a name is in the World Register of Marine Species; here a
label such as ``egg<Copepoda`` or ``not-living>detritus>fiber`` is taken apart.
The words are data (``data/labels.yaml``), and a user's own file adds to them.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from aqqua_dist.errors import UserError
from aqqua_dist.paths import package_data

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
    """

    text: str
    taxon: str
    qualifier: str = ""
    living: bool | None = True
    individuals: float = 1.0


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
        own = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"label file {str(path)!r} cannot be read ({str(error).splitlines()[0]}).") from None
    if not isinstance(own, dict) or set(own) - set(SECTIONS):
        found = sorted(map(str, set(own) - set(SECTIONS))) if isinstance(own, dict) else type(own).__name__
        raise UserError(f"label file {str(path)!r} has {found}, allowed are the sections {list(SECTIONS)}.")
    for name, part in own.items():
        if isinstance(words[name], dict) != isinstance(part, dict):
            raise UserError(f"label file {str(path)!r}: section {name!r} must be a {'mapping' if isinstance(words[name], dict) else 'list'}.")
        words[name].update({_word(k): v for k, v in part.items()} if isinstance(part, dict) else {_word(w) for w in part})
    return words


@lru_cache(maxsize=1)
def _bundled():
    return yaml.safe_load(package_data("labels.yaml").read_text(encoding="utf-8"))


def _word(text):
    return re.sub(r"[\s_-]+", " ", str(text)).strip().lower()


def parse_label(text, hierarchy=None, words=None):
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

    Returns
    -------
    Label
        Its parts; a word that is a qualifier gives its name to the taxon
        above it.

    Raises
    ------
    UserError
        The label is empty or not text.
    """
    if not isinstance(text, str) or not text.strip(" <>"):
        raise UserError(f"label {text!r} is empty or not text; give a name such as 'Copepoda' or 'egg<Copepoda'.")
    words = words or read_words()
    source = hierarchy if isinstance(hierarchy, str) and hierarchy.strip(" <>") else text
    line = source.split("<") if "<" in source and ">" not in source else source.split(">")[::-1]
    line = [part.strip() for part in line if part.strip()]  # from the label up to its root
    living = _living(line, words)
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
    return Label(text, taxon if living is not False else "", qualifier, living, float("nan") if count is None else float(count))


def _without_last(part):
    return re.sub(r"[\s_-]+[^\s_-]+$", "", part.strip())


def _living(line, words):
    if any(_word(part) in words["not_living"] for part in line):
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
                raise UserError(f"taxon {child!r} stands below {found[child]!r} and below {parent!r}; tell the two apart before rolling up.")
    return found


def roll_up(counts, taxa, parents):
    """Counts of taxa with all that is below them, each count used once.

    Parameters
    ----------
    counts : pandas.DataFrame
        Columns ``sample_id, taxon, n`` and, where known, ``biovolume``
        (mm3); counts of a taxon without those of its children.
    taxa : list of str
        Taxa to sum to. A count goes to the nearest of them above it, so that
        no count is used twice where one of them lies inside another.
    parents : dict of str to str
        From `parents_of`.

    Returns
    -------
    pandas.DataFrame
        Columns as in `counts`, ``taxon`` one of `taxa`; what lies below none
        of them is left out.

    Raises
    ------
    UserError
        A taxon stands twice, or `parents` runs in a circle.
    """
    if len(set(taxa)) != len(taxa):
        twice = sorted({name for name in taxa if list(taxa).count(name) > 1})
        raise UserError(f"taxa {twice} stand twice, allowed is once.")
    goal = {name: _nearest(name, set(taxa), parents) for name in counts["taxon"].dropna().unique()}
    numbers = [name for name in ("n", "biovolume") if name in counts]
    kept = counts.assign(taxon=counts["taxon"].map(goal)).dropna(subset="taxon")
    return kept.groupby(["sample_id", "taxon"], sort=False)[numbers].sum(min_count=1).reset_index()


def _nearest(name, wanted, parents):
    seen = []
    while name is not None and name not in wanted:
        if name in seen:
            raise UserError(f"the parents of {seen[0]!r} run in a circle: {' > '.join([*seen, name])}.")
        seen.append(name)
        name = parents.get(name)
    return name


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
        raise UserError(f"sample {row['sample_id']!r} holds {row['taxon']!r}, which is not among the taxa searched for there; {len(strange)} such counts.")
    absent = joined["_merge"] == "left_only"
    for name in numbers:
        joined[name] = np.where(absent, 0.0, joined[name].astype("float64"))
    return joined.drop(columns="_merge")
