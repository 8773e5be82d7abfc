"""Published relations from size to carbon or silicon, evaluated, drawn and flagged.

The table is data (``data/conversions.yaml``). Published densities differ by
two orders of magnitude within Rhizaria alone, so every entry has form, units,
size range, source and uncertainty, and each is drawn per member. The mean of
the draws is the published value, and their spread is the error of what was
published (of the mean of densities, of the line of a regression), never the
spread of single organisms.
"""

import difflib
import zlib
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.core.seeds import legacy_stream
from aqqua_dist.core.units import convert
from aqqua_dist.organisms.taxonomy import lineage, read_taxa

FORMS = ("power", "linear", "by_size")
ELEMENTS = ("carbon", "silicon")
SIZES = ("biovolume", "esd", "feret", "area")
PERS = ("cell", "individual", "colony")
WATER = 1.0
"""mg mm-3: what water weighs. More carbon than that is not the carbon of an organism's wet volume."""
FEWEST = 3
"""Densities of which the spread says something; two say nothing of the error of their mean."""
UNCERTAINTIES = {
    "density": {"log_sd", "n"},
    "regression": {"n", "log10_size_mean", "log10_slope_se", "log10_residual_sd"},
}


@dataclass(frozen=True, eq=False)
class Conversion:
    """One published relation.

    Attributes
    ----------
    name, source : str
    taxa : tuple of str
        Groups that the source applies it to.
    element : {'carbon', 'silicon'}
    form : {'power', 'linear', 'by_size'}
        mass = a size^b; mass = a + b size; or one entry below a size and
        another above.
    a, b : float
        Coefficients in `size_units` and `mass_units`.
    size : {'biovolume', 'esd', 'feret', 'area'}
        What the relation takes.
    size_units, mass_units : str
    per : str
        What one size is: cell, individual or colony. A chain is many cells.
    valid : tuple of float
        Sizes of the source's data, in `size_units`; NaN where not known.
    doi : str or None
    uncertainty : dict or None
        ``kind`` is ``density`` (``log_sd``: spread of `n` published
        densities, natural logarithm; drawn is the error of their mean,
        log_sd / sqrt(n)) or ``regression`` (of log10 mass on
        log10 size: `n`, mean of the sizes, standard error of the slope,
        residual standard deviation); None where the source's is not known.
    pieces : tuple
        For ``by_size``: the size that divides, the entries below and above
        (names, or entries themselves).
    note : str
    """

    name: str
    taxa: tuple
    element: str
    form: str
    source: str
    a: float = np.nan
    b: float = np.nan
    size: str = "biovolume"
    size_units: str = "mm3"
    mass_units: str = "mg"
    per: str = "individual"
    valid: tuple = (np.nan, np.nan)
    doi: str | None = None
    uncertainty: dict | None = None
    pieces: tuple = ()
    note: str = ""

    @property
    def drawable(self):
        """Whether the source tells an error that can be drawn (bool)."""
        if self.form == "by_size":
            return all(_piece(piece).drawable for piece in self.pieces[1:])
        known = self.uncertainty
        return known is not None and (known["kind"] == "regression" or known["n"] >= FEWEST)


@dataclass(frozen=True)
class Converted:
    """What a relation gives.

    Attributes
    ----------
    value : numpy.ndarray
        mg each, by the relation as published (no correction of means for the
        logarithm).
    flags : numpy.ndarray of str
        ``extrapolated`` outside the sizes of the source's data, ``range
        unknown`` where the source's are not known, ``below the relation``
        where the relation gives a mass below 0 (the value is NaN), ``no
        size``; else empty.
    draws : numpy.ndarray or None
        mg, shape ``(members, *value.shape)``: one draw of the relation per
        member, the same for all sizes; their expectation is `value`.
    conversion : Conversion
        The relation.
    """

    value: np.ndarray
    flags: np.ndarray
    draws: np.ndarray | None
    conversion: Conversion


@lru_cache(maxsize=1)
def conversions():
    """All relations of the package.

    Returns
    -------
    dict of str to Conversion
        By name, from ``data/conversions.yaml``.
    """
    return _entries(package_data("conversions.yaml"))


def read_conversions(path):
    """Relations of a user's file.

    Parameters
    ----------
    path : str or os.PathLike
        YAML of the same form as ``data/conversions.yaml``.

    Returns
    -------
    dict of str to Conversion
        By name; they may be given to `aqqua_dist.organisms.sizes.carbon` as they are.

    Raises
    ------
    UserError
        The file cannot be read, or an entry is incomplete.
    """
    return _entries(Path(path))


def conversion(name, known=None):
    """One relation.

    Parameters
    ----------
    name : str or Conversion
        In ``data/conversions.yaml`` or in `known`; an entry is given back.
    known : dict of str to Conversion, optional
        A user's own (`read_conversions`), which go before those of the package.

    Returns
    -------
    Conversion
        The entry.

    Raises
    ------
    UserError
        There is none of this name.
    """
    if isinstance(name, Conversion):
        return name
    known = conversions() | (known or {})
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f", did you mean {near[0]!r}" if near else ""
    raise UserError(f"conversion {name!r} is unknown{hint}; there are {', '.join(known)}.")


def conversions_of(taxon, element="carbon", known=None, table=None):
    """Relations that their source applies to a group, else to the nearest group above it in the tree.

    Parameters
    ----------
    taxon : str
        Name of the group, spelled as in the table of taxa (or as in an
        entry); nothing is guessed from similar names.
    element : {'carbon', 'silicon'}
        Of the mass.
    known : dict of str to Conversion, optional
        A user's own, which go before those of the package.
    table : aqqua_dist.organisms.taxonomy.Taxa, optional
        Tree; that of the package unless given.

    Returns
    -------
    list of Conversion
        Of the nearest name that has any, a user's own first; empty where
        there is none up to the root: choosing another group's is the user's.
    """
    table = read_taxa() if table is None else table
    entries = [*(known or {}).values(), *(e for name, e in conversions().items() if name not in (known or {}))]
    for name in lineage(taxon, table) if taxon in table else (taxon,):
        found = [entry for entry in entries if name in entry.taxa and entry.element == element]
        if found:
            return found
    return []


def convert_size(size, relation, element, *, units="mm3", spread=(0, None, None)):
    """Mass of organisms by a relation.

    Parameters
    ----------
    size : array_like
        In the proxy of the relation, one organism each.
    relation : str or Conversion
        Name or entry.
    element : {'carbon', 'silicon'}
        That the relation must be of.
    units : str
        Of `size`.
    spread : tuple
        Number of draws, seed, and the standard deviation of the natural
        logarithm that replaces the entry's uncertainty (or None).

    Returns
    -------
    Converted
        In mg.

    Raises
    ------
    UserError
        Sizes below 0 or in units of another dimension, a relation of another
        element, draws without seed or without an uncertainty.
    """
    entry = conversion(relation)
    place = f"conversion {entry.name!r}"
    if entry.element != element:
        raise UserError(f"{place} gives {entry.element}, not {element}; relations of {element}: {_names(element)}.")
    numbers = np.asarray(size, dtype=float)
    bad = (numbers < 0) | np.isinf(numbers)
    if bad.any():
        raise UserError(
            f"{place}: size {numbers[bad].flat[0]:g} {units} is below 0 or endless ({int(bad.sum())} such sizes)."
        )
    sizes = np.asarray(convert(numbers, units, entry.size_units, place=f"{place} (it takes {entry.size})"), dtype=float)
    count, seed, sd = spread
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
        raise UserError(f"{place}: draws {count!r} is not a whole number of at least 0.")
    if sd is not None and not (np.isscalar(sd) and np.isfinite(sd) and sd >= 0):
        raise UserError(
            f"{place}: sd {sd!r} is not a number of at least 0 (standard deviation of the natural logarithm)."
        )
    value, draws = _evaluated(entry, sizes), None
    if count:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise UserError(f"{place}: seed {seed!r} of {count} draws is not a whole number of at least 0.")
        draws = _drawn(entry, sizes, (int(count), int(seed), sd))
    return Converted(value, _flags(entry, sizes, value), draws, entry)


def _names(element):
    return ", ".join(name for name, entry in conversions().items() if entry.element == element)


def _pieces(entry, sizes):
    """Which sizes belong to which entry."""
    edge, below, above = entry.pieces
    return [(_piece(below), ~(sizes > edge)), (_piece(above), sizes > edge)]


def _piece(piece):
    return conversion(piece)


def _evaluated(entry, sizes):
    """Mass in mg."""
    if entry.form == "by_size":
        out = np.full(sizes.shape, np.nan)
        for piece, here in _pieces(entry, sizes):
            out[here] = _evaluated(piece, sizes[here])
        return out
    mass = entry.a * sizes**entry.b if entry.form == "power" else entry.a + entry.b * sizes
    mass = np.asarray(convert(mass, entry.mass_units, "mg", place=f"conversion {entry.name!r}"), dtype=float)
    return np.where(mass < 0, np.nan, mass)


def _drawn(entry, sizes, spread):
    """Masses in mg, member axis first; relations are drawn independently of each other, each from the seed and its name.

    The logarithm is normal, with the published value as the mean of the mass
    (not as its median): exp(s z - s^2 / 2). A regression has the variance of
    its line at the size, times that of Student's t with n - 2 degrees of
    freedom, whose exponential has no mean itself.
    """
    count, seed, sd = spread
    if entry.form == "by_size" and sd is None:
        out = np.full((count, *sizes.shape), np.nan)
        for piece, here in _pieces(entry, sizes):
            out[:, here] = _drawn(piece, sizes[here], spread)
        return out
    if sd is None:
        _refuse_undrawable(entry)
    generator = legacy_stream(seed, zlib.crc32(entry.name.encode()))
    column = (count,) + (1,) * sizes.ndim
    known = entry.uncertainty
    if sd is not None or known["kind"] == "density":
        spread_log = known["log_sd"] / np.sqrt(known["n"]) if sd is None else float(sd)
        factor = np.exp(spread_log * generator.standard_normal(count) - spread_log**2 / 2)
        return _evaluated(entry, sizes) * factor.reshape(column)
    student = np.log(10) * np.sqrt((known["n"] - 2) / (known["n"] - 4))
    level_sd, slope_sd = student * known["log10_residual_sd"] / np.sqrt(known["n"]), student * known["log10_slope_se"]
    level, slope = (generator.standard_normal(count).reshape(column) for _ in range(2))
    with np.errstate(divide="ignore"):
        distance = np.where(sizes > 0, np.log10(np.where(sizes > 0, sizes, 1)) - known["log10_size_mean"], 0.0)
    variance = level_sd**2 + (slope_sd * distance) ** 2
    return _evaluated(entry, sizes) * np.exp(level_sd * level + slope_sd * slope * distance - variance / 2)


def _refuse_undrawable(entry):
    """Refuse to draw what has no known error."""
    known, help_ = entry.uncertainty, "give sd, the standard deviation of the natural logarithm, to draw it"
    if known is None:
        raise UserError(
            f"conversion {entry.name!r}: sd is None, and the uncertainty of {entry.source.split(';')[0]} is not known; {help_}."
        )
    if not entry.drawable:
        raise UserError(
            f"conversion {entry.name!r}: its spread is that of {known['n']} densities, of which {FEWEST} or more are needed for "
            f"the error of their mean; {help_}."
        )


def _flags(entry, sizes, value):
    if entry.form == "by_size":
        out = np.full(sizes.shape, "", dtype="<U18")
        for piece, here in _pieces(entry, sizes):
            out[here] = _flags(piece, sizes[here], value[here])
        return out
    low, high = entry.valid
    unknown = np.isnan(low) and np.isnan(high)
    outside = (sizes < low) | (sizes > high)
    return np.select(
        [np.isnan(sizes), np.isnan(value), outside, np.broadcast_to(unknown, sizes.shape)],
        ["no size", "below the relation", "extrapolated", "range unknown"],
        default="",
    ).astype("<U18")


def _entries(path):
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"conversions {str(path)!r} cannot be read ({str(error).splitlines()[0]}).") from None
    if not isinstance(table, dict) or not table:
        raise UserError(
            f"conversions {str(path)!r} hold {type(table).__name__}, allowed is a mapping of names to relations."
        )
    found = {str(name): _entry(str(name), spec, f"{path}, conversion {name!r}") for name, spec in table.items()}
    return {name: _with_pieces(entry, found, path) for name, entry in found.items()}


def _with_pieces(entry, found, path):
    """A relation by size with the entries of the same file, or of the package, in place of their names."""
    if entry.form != "by_size":
        return entry
    place = f"{path}, conversion {entry.name!r}"
    if len(entry.pieces) != 3 or isinstance(entry.pieces[0], str):
        raise UserError(
            f"{place}: pieces are {list(entry.pieces)}, allowed are a size and the two entries below and above."
        )
    pieces = [found[name] if name in found else conversion(name) for name in entry.pieces[1:]]
    for piece in pieces:
        if piece.form == "by_size" or _nature(piece)[1:] != _nature(entry)[1:]:
            raise UserError(
                f"{place}: piece {piece.name!r} is {_nature(piece)}, needed is a plain relation of {_nature(entry)[1:]}."
            )
    return replace(entry, pieces=(float(entry.pieces[0]), *pieces))


def _nature(entry):
    return entry.form, entry.element, entry.size, entry.size_units


def _entry(name, spec, place):
    """One entry, complete and of known units, or one sentence."""
    known = {field.name for field in fields(Conversion)} - {"name"}
    if not isinstance(spec, dict) or set(spec) - known:
        strange = sorted(map(str, set(spec) - known)) if isinstance(spec, dict) else spec
        raise UserError(f"{place}: {strange!r} is unknown, allowed are {sorted(known)}.")
    missing = [
        key
        for key in ("taxa", "element", "form", "source", "uncertainty")
        if key not in spec and spec.get("form") != "by_size"
    ]
    if missing:
        raise UserError(f"{place}: {missing} are missing; an uncertainty that nobody knows is written null.")
    values = spec | {"taxa": tuple(spec.get("taxa", ())), "pieces": tuple(spec.get("pieces", ()))}
    for key, allowed in (("element", ELEMENTS), ("form", FORMS), ("size", SIZES), ("per", PERS)):
        if key in values and values[key] not in allowed:
            raise UserError(f"{place}: {key} is {values[key]!r}, allowed are {allowed}.")
    values["valid"] = tuple(
        np.nan if edge is None else _number(edge, place, "valid") for edge in (values.get("valid") or (None, None))
    )
    if values["form"] == "by_size":
        return Conversion(name=name, **values)
    for key in ("a", "b"):
        values[key] = _number(values.get(key), place, key)
    dimension = {"biovolume": "mm3", "area": "mm2"}.get(values.get("size", "biovolume"), "mm")
    convert(1.0, values.get("size_units", "mm3"), dimension, place=place)
    convert(1.0, values.get("mass_units", "mg"), "mg", place=place)
    if values["uncertainty"] is not None:
        kind = values["uncertainty"].get("kind") if isinstance(values["uncertainty"], dict) else None
        if kind not in UNCERTAINTIES or set(values["uncertainty"]) != UNCERTAINTIES[kind] | {"kind"}:
            raise UserError(
                f"{place}: uncertainty is {values['uncertainty']!r}, allowed is null or one with the keys {UNCERTAINTIES}."
            )
        if kind == "regression" and not (values["form"] == "power" and values["uncertainty"]["n"] > 4):
            raise UserError(
                f"{place}: a regression with n {values['uncertainty']['n']} needs the form 'power' and n above 4."
            )
    entry = Conversion(name=name, **values)
    _refuse_denser_than_water(entry, place)
    return entry


def _refuse_denser_than_water(entry, place):
    """Refuse carbon that is more than the wet volume weighs, as a wrong unit gives it."""
    if entry.size != "biovolume":
        return
    edges = np.array([edge for edge in entry.valid if not np.isnan(edge)] or [np.nan])
    if np.isnan(edges).any():  # without a range: the slope of a line, or a density
        if entry.form == "power" and entry.b != 1:
            return
        edges = np.array([1e6]) if entry.form == "linear" else np.array([1.0])
    mass = _evaluated(entry, edges)
    volume = np.asarray(convert(edges, entry.size_units, "mm3", place=place), dtype=float)
    dense = mass > WATER * volume
    if dense.any():
        row = int(np.argmax(dense))
        raise UserError(
            f"{place}: it gives {mass[row] / volume[row]:.4g} mg of {entry.element} in 1 mm3, more than water weighs ({WATER:g} mg); "
            "are its units right?"
        )


def _number(value, place, key):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise UserError(f"{place}: {key} is {value!r}, allowed is a number.")
    return float(value)
