"""Names of columns in EcoPart exports, in the spellings that exporters, editors and spreadsheets have given them.

A size class is told by its limits and their unit, not by its spelling; a column
of a known family whose name says something else is never dropped in silence:
`particle_columns` and `taxon_columns` list it.
"""

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

OPEN = float("inf")
"""Upper limit of the last size class of particles."""
FIXED = {
    "Profile": "profile",
    "Rawfilename": "raw",
    "yyyy-mm-dd hh:mm": "time",
    "Depth [m]": "depth",
    "Sampled volume [L]": "volume",
    "Project": "project",
}
SUMMARY = {
    "profile": "profile",
    "Cruise": "cruise",
    "Rawfilename": "raw",
    "Instrument": "instrument",
    "yyyy-mm-dd hh:mm": "time",
    "Latitude": "lat",
    "Longitude": "lon",
    "aa": "aa",
    "exp": "exp",
    "Pixel size": "pixel",
    "Particle filename": "particle_file",
    "Plankton filename": "taxa_file",
    "Project": "project",
}
RAW_SUMMARY = {
    "profileid": "profile",
    "cruise": "cruise",
    "filename": "raw",
    "instrumtype": "instrument",
    "sampledate": "time",
    "latitude": "lat",
    "longitude": "lon",
    "acq_aa": "aa",
    "acq_exp": "exp",
    "acq_pixel": "pixel",
    "Particle filename": "particle_file",
    "Plankton filename": "taxa_file",
    "CTD filename": "ctd_file",
    "ptitle": "project",
    "acq_volimage": "image_volume",
    "organizedbydeepth": "by_depth",
}
ODV = {
    "Station": "profile",
    "Cruise": "cruise",
    "Rawfilename": "raw",
    "Instrument": "instrument",
    "yyyy-mm-dd hh:mm": "time",
    "Latitude [degrees_north]": "lat",
    "Longitude [degrees_east]": "lon",
}
RAW_TABLES = (
    *("depth", "imgcount", "area", "nbr", "datetime", "psampleid"),
    *("orig_id", "objid", "name", "taxo_hierarchy", "classif_qual", "depth_including_offset"),
)
CONDITIONS_DEPTH = "depth [m]"
"""Depth as the CTD has it, which stands beside the ``Depth [m]`` of the bin in one table."""
MICROMETRE = ("um", "μm", "�m", "?m", "æm", "┬ám", "mum", "micron", "microns", "micrometer", "micrometers", "µm")
"""Spellings of µm after `plain`: the two micro signs are one then; the others are what encodings made of them."""
_UNITS = {
    "# l-1": {"#/l", "#l-1", "#.l-1", "#l^-1", "nb/l", "nbl-1", "#/litre", "#/liter"},
    "mm3 l-1": {"mm3/l", "mm3l-1", "mm3.l-1", "mm^3/l", "mm^3l-1", "mm^3l^-1", "ppm"},
    "# m-3": {"#/m3", "#m-3", "#.m-3", "#/m^3", "#m^-3", "nb/m3", "nbm-3"},
    "mm": {"mm"},
}
_NUMBER = r"(\d+(?:[.,]\d+)?(?:e[-+]?\d+)?)"
_SIZE = re.compile(
    rf"(?:{_NUMBER} ?([^\d\s()\[\]<>-]*) ?(?:-|to) ?{_NUMBER}|> ?{_NUMBER}) ?([^\d\s()\[\]<>-]+m|microns?)(?![\w^/*-])"
)
_CLASS = re.compile(rf"^(.*?)[(\[ ] ?({_SIZE.pattern}) ?[)\]]?(.*)$")
_TAXON = re.compile(r"^(.*?)( biovolume| avgesd)?(?: (w/o children|w/ children))? *[\[(]([^\[\]()]*)[\])]$", re.I)
WHAT = {"": "# m-3", "biovolume": "mm3 l-1", "avgesd": "mm"}


@dataclass(frozen=True)
class ParticleColumns:
    """Size classes of a header.

    Attributes
    ----------
    classes : tuple of tuple
        Lower and upper limit (mm; `OPEN` for the last class), column of the
        concentration (L-1) and of the biovolume (mm3 L-1), or None, ascending.
    strange : tuple of str
        Columns that look like a size class and were not understood.
    twice : tuple of str
        Two columns of one class and quantity; empty where there are none.
    """

    classes: tuple
    strange: tuple
    twice: tuple


def plain(name):
    """Name in one spelling: entities and wrong encodings undone, one kind of space, dash and micro sign.

    Parameters
    ----------
    name : str
        As in a header.

    Returns
    -------
    str
        In lower case.
    """
    text = html.unescape(html.unescape(str(name))).replace("\\", "")
    for wrong, right in (("Ã‚Âµ", "µ"), ("Ã\x82Âµ", "µ"), ("Âµ", "µ"), ("Î¼", "µ"), ("Â³", "3"), ("Â", "")):
        text = text.replace(wrong, right)
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"[‐-―−]", "-", text)
    return re.sub(r"\s+", " ", text).strip().strip('"').strip().lower()


def _key(name):
    """Fixed names compare without case, spaces and kind of brackets."""
    return re.sub(r"\s", "", plain(name)).replace("(", "[").replace(")", "]")


def standard_names(names):
    """Header with its fixed columns in the exporter's spelling; all others stay as they are.

    ``Depth [m]`` of the bin and ``depth [m]`` of the CTD differ by their case;
    where both are written alike the one before the sampled volume is that of
    the bin.

    Parameters
    ----------
    names : list of str
        Of the file, trimmed.

    Returns
    -------
    list of str
        Same length.
    """
    keys = [_key(name) for name in names]
    held = set(keys)
    if "psampleid" in held and "profileid" in held:
        known = RAW_SUMMARY
    elif "particlefilename" in held:
        known = SUMMARY
    elif "station" in held and "rawfilename" in held:
        known = {name: name for name in (*ODV, *FIXED) if name != "Profile"}
    elif "rawfilename" in held and _key("Sampled volume [L]") in held:
        known = FIXED
    elif {"imgcount", "nbr"} <= held or "depth_including_offset" in held:
        known = RAW_TABLES
    else:
        return list(names)
    wanted = {_key(name): name for name in known if name != "Depth [m]"}
    found = [wanted.get(key, name) for key, name in zip(keys, names, strict=True)]
    if "Depth [m]" not in known or "Depth [m]" in names:
        return found
    volume = keys.index(_key("Sampled volume [L]")) if _key("Sampled volume [L]") in held else len(keys)
    first = keys.index("depth[m]") if "depth[m]" in keys[:volume] else None
    return [
        "Depth [m]" if place == first else CONDITIONS_DEPTH if key == "depth[m]" else name
        for place, (key, name) in enumerate(zip(keys, found, strict=True))
    ]


def _unit(text):
    """Unit of a concentration or size, or an empty text."""
    spelled = re.sub(r"[\s\[\]()*]", "", text)
    return next((unit for unit, spellings in _UNITS.items() if spelled in spellings), "")


def _limit(text, unit):
    scale = 1.0 if unit == "mm" else 1e-3 if unit in MICROMETRE else None
    return None if scale is None else round(float(text.replace(",", ".")) * scale, 9)


def _is_particle(name):
    text = plain(name)
    return text.startswith("lpm") or _SIZE.search(text) is not None


def looks_like_particles(names):
    """Whether a header has columns of size classes, understood or not.

    Parameters
    ----------
    names : list of str
        Header.

    Returns
    -------
    bool
    """
    return any(_is_particle(name) for name in names)


@lru_cache(maxsize=64)
def particle_columns(names):
    """Size classes of a header.

    Parameters
    ----------
    names : tuple of str
        Header.

    Returns
    -------
    ParticleColumns
    """
    found, strange, twice = {"# l-1": {}, "mm3 l-1": {}}, [], ()
    for name in names:
        if name in FIXED or not _is_particle(name):
            continue
        limits, unit = _class(plain(name))
        if limits is None:
            strange.append(name)
        elif limits in found[unit]:
            twice = twice or (found[unit][limits], name)
        else:
            found[unit][limits] = name
    counts, volumes = found["# l-1"], found["mm3 l-1"]
    strange += [name for limits, name in volumes.items() if limits not in counts]
    classes = tuple((*limits, counts[limits], volumes.get(limits)) for limits in sorted(counts))
    return ParticleColumns(classes, tuple(strange), twice)


def _class(text):
    """Limits (mm) and unit of a column of a size class; None where it is not understood."""
    match = _CLASS.match(text)
    if match is None:
        return None, ""
    head, low, inner, high, beyond, unit, tail = match.group(1, 3, 4, 5, 6, 7, 8)
    if head.strip() not in ("lpm", "lpm biovolume"):
        return None, ""
    what = "mm3 l-1" if head.strip().endswith("biovolume") else "# l-1"
    if _unit(tail) != what:
        return None, ""
    limits = (_limit(beyond, unit), OPEN) if beyond else (_limit(low, inner or unit), _limit(high, unit))
    return (None, "") if None in limits or limits[0] >= limits[1] else (limits, what)


@lru_cache(maxsize=64)
def taxon_names(names):
    """What each column of a table of taxa holds.

    Parameters
    ----------
    names : tuple of str
        Header.

    Returns
    -------
    known : dict of str to tuple
        Column to taxon (as written, ``child(parent)`` or ``a>b>c``), quantity
        (empty, ``biovolume`` or ``avgesd``) and whether its children are in it.
    strange : tuple of str
        Columns that are neither fixed nor understood.
    """
    known, strange = {}, []
    for name in names:
        if not name or name in FIXED or name in ODV or name in BESIDE or name.startswith("extrames"):
            continue
        text = re.sub(r"\s*>\s*", ">", html.unescape(html.unescape(name)))
        match = _TAXON.match(text)
        what = (match.group(2) or "").strip().lower() if match else ""
        if match is None or not match.group(1).strip() or _unit(plain(match.group(4))) != WHAT[what]:
            strange.append(name)
        else:
            known[name] = (match.group(1).strip(), what, (match.group(3) or "").lower() == "w/ children")
    return known, tuple(strange)


BESIDE = ("Site", "DataOwner", "SN", "CTDrosettefilename", "Station")
"""Columns of ODV spreadsheets that no table of ours keeps."""
