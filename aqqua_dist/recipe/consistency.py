"""What the sections of a recipe must agree on with each other."""

import difflib
import itertools

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.units import convert
from aqqua_dist.habitat_models import draws
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.organisms import rollup


def cross_faults(parts):
    """Faults between sections of a recipe.

    Parameters
    ----------
    parts : object
        The sections that are sound by themselves, as attributes.

    Returns
    -------
    list of str
        One sentence for each fault, with the place in the recipe.
    """
    faults = []
    for needed, find in _CROSS:
        if all(hasattr(parts, name) for name in needed):
            faults += find(parts)
    return faults


def _repeats(place, names):
    return [
        f"{place} {name!r} stands {names.count(name)} times, allowed is once"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]


def _taxon_faults(parts):
    return [] if parts.taxa == "all" else _repeats("taxa:", parts.taxa)


def _predictor_faults(parts):
    names = parts.predictors.names
    return (
        _repeats("predictors.names:", names)
        if isinstance(names, list)
        else _repeats("predictors.names: column", list(names.values()))
    )


def _near(name, known):
    """A name that is not among those known, with the one that it may be a slip of."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"{name!r} is unknown{f', did you mean {near[0]!r}?' if near else ';'} allowed are {', '.join(map(repr, known))}"


def _sum_faults(parts):
    """Sums of the budget: each name once, and nothing counted twice."""
    sums, limits = parts.budget.sums, {zone.name: (zone.top, zone.bottom) for zone in parts.zones}
    faults = _repeats("budget.sums: name", [one.name for one in sums])
    for number, one in enumerate(sums):
        place = f"budget.sums.{number}"
        faults += _repeats(f"{place}.taxa:", one.taxa) + _repeats(f"{place}.zones:", one.zones)
        faults += [f"{place}.zones: {_near(name, list(limits))}" for name in one.zones if name not in limits]
        known = sorted({name for name in one.zones if name in limits}, key=limits.get)
        faults += [
            f"{place}.zones: {upper!r} and {lower!r} overlap from {limits[lower][0]:g} to {min(limits[upper][1], limits[lower][1]):g} m, so that "
            "their water would be counted twice; leave one of them out"
            for upper, lower in itertools.combinations(known, 2)
            if limits[lower][0] < limits[upper][1]
        ]
        faults += _overlap_faults(f"{place}.taxa", list(dict.fromkeys(one.taxa)))
    return faults


def _overlap_faults(place, taxa):
    try:
        pairs = rollup.overlaps(rollup.goals(taxa, {}, taxa, leave_out=()))
    except UserError as error:  # a name of several things, or two names of one
        return [f"{place}: {str(error).rstrip('.')}"]
    return [
        f"{place}: {outer!r} holds {inner!r}, which would be counted twice; leave one of them out"
        for outer, inner in pairs
    ]


def _sum_name_faults(parts):
    if parts.taxa == "all":
        return []
    faults = []
    for number, one in enumerate(parts.budget.sums):
        if one.name in parts.taxa:
            faults.append(
                f"budget.sums.{number}.name: {one.name!r} is a taxon of this recipe; give the sum another name"
            )
        unknown = [name for name in dict.fromkeys(one.taxa) if name not in parts.taxa]
        faults += [f"budget.sums.{number}.taxa: {_near(name, parts.taxa)}" for name in unknown]
    return faults


def _sum_quantity_faults(parts):
    entry = vocabulary.quantity(parts.observations.quantity)
    if parts.budget.sums and (entry.stock is None or entry.stock.measure == "mean"):
        names = [one.name for one in parts.budget.sums]
        return [f"budget.sums: {entry.name} is a mean, which does not add up over taxa or zones; leave {names} out"]
    return []


def _zone_faults(parts):
    zones = [zone.name for zone in parts.zones]
    faults = _repeats("zones: name", zones)
    for place in ("observations", "predictors"):
        path = getattr(getattr(parts, place, None), "path", None)
        if isinstance(path, dict) and sorted(path) != sorted(zones):
            faults.append(f"{place}.path: zones {sorted(path)} differ from the recipe's zones {sorted(zones)}")
    section = getattr(parts, "observations", None)
    if (
        isinstance(getattr(section, "path", None), str)
        and len(zones) > 1
        and section.kind == "table"
        and section.columns.zone is None
    ):
        faults.append(
            f"observations.path: one file for {len(zones)} zones needs columns.zone, or give one file per zone"
        )
    summed = {("published", one.name, one.zone) for one in getattr(getattr(parts, "budget", None), "sums", [])}
    lists = (
        ("model.published", getattr(getattr(parts, "model", None), "published", [])),
        ("published", getattr(parts, "published", [])),
        ("published_maps", getattr(parts, "published_maps", [])),
    )
    for place, entries in lists:
        for number, entry in enumerate(entries):
            if entry.zone not in zones and (place, entry.taxon, entry.zone) not in summed:
                faults.append(
                    f"{place}.{number}.zone: {entry.zone!r} is not a zone of this recipe; choose from {zones}"
                )
    return faults


def _source_faults(parts):
    observations, predictors, faults = parts.observations, parts.predictors, []
    placed = observations.kind != "table"
    if placed and predictors.kind != "layers":
        what = {"virtual": "a virtual survey needs", "exports": "exports need"}.get(
            observations.kind, "aggregated tables need"
        )
        faults.append(f"predictors.kind: {what} 'layers', not 'table'")
    if getattr(observations, "rows", None) == "samples" and predictors.kind == "table":
        faults.append("observations.rows: 'samples' needs predictors.kind 'layers'; with 'table' use 'cells'")
    if getattr(predictors, "monthly", False) and not placed and observations.columns.month is None:
        faults.append("observations.columns.month: monthly predictors need the column that holds the month (1-12)")
    return faults


def _effort_faults(parts):
    if parts.model.effort_weight and parts.observations.kind == "table" and parts.observations.columns.effort is None:
        return ["observations.columns.effort: model.effort_weight needs the column of sampled volume"]
    return []


def _signed_faults(parts):
    """Quantities that may be negative have no zero: no counts, no logarithms."""
    draw = getattr(parts.observations, "draw", [])
    if "members" in draw and len(draw) > 1:
        return [
            f"observations.draw: 'members' hold all draws, leave out {[name for name in draw if name != 'members']}"
        ]
    entry = vocabulary.quantity(parts.observations.quantity)
    if not entry.signed:
        return []
    model, faults, name = parts.model, [], entry.name
    if not FAMILIES[model.kind].takes_negative(model):
        faults.append(
            f"model.objective: {name} may be negative and needs 'reg:squarederror', not {model.objective!r}"
            if model.kind == "boosting"
            else f"model: {name} may be negative, family {model.kind!r} takes no negative response here"
        )
    if FAMILIES[model.kind].searched(model):
        faults.append(f"model.search: {name} may be negative and needs 'none', not {model.search!r}")
    return faults + ([f"observations.draw: {name} has no draws, leave out {draw}"] if draw else [])


def _unit_faults(parts):
    """Units that are unknown or of another dimension are refused before anything is read."""
    section, faults = parts.observations, []
    if section.kind != "table":
        return []
    entry = vocabulary.quantity(section.quantity)
    for key, given, units, element in (
        ("units", section.units, entry.units, entry.element),
        ("effort_units", section.effort_units, vocabulary.quantity("effort").units, None),
    ):
        faults += _not_convertible(f"observations.{key}", given, units, element)
    return faults


def _published_faults(parts):
    """A published number is in a unit that becomes the unit of ours."""
    entry, faults = vocabulary.quantity(parts.observations.quantity), []
    for number, one in enumerate(parts.published):
        units = entry.stock.units if one.statistic.startswith("stock") else "1"
        faults += _not_convertible(f"published.{number}.units", one.units, units, entry.element)
    return faults


def _published_sum_faults(parts):
    """A sum has a stock, and no fit of its own."""
    named = {(one.name, one.zone) for one in parts.budget.sums}
    return [
        f"published.{number}.statistic: {one.statistic!r} is of a fit, of the sum {one.taxon!r} only 'stock' and 'stock_sum_cell_sd' are known"
        for number, one in enumerate(parts.published)
        if (one.taxon, one.zone) in named and not one.statistic.startswith("stock")
    ]


def _not_convertible(place, given, units, element):
    try:
        convert(1.0, given, units, place=place, element=element)
    except UserError as error:
        return [str(error).rstrip(".")]
    return []


def _family_faults(parts):
    return FAMILIES[parts.model.kind].faults(parts.model, parts.members)


def _draw_faults(parts):
    """Resampled cruises hold every error that is independent between them."""
    twice = [name for name in getattr(parts.observations, "draw", []) if not draws.SOURCES.get(name, True)]
    if parts.members.scheme != "cruise_bootstrap" or not twice:
        return []
    shared = [name for name, together in draws.SOURCES.items() if together]
    return [
        f"observations.draw: {twice} would be counted three times on top of members.scheme 'cruise_bootstrap', whose drawn "
        f"cruises hold it already; leave it out (errors that cruises share may be drawn: {', '.join(shared)})"
    ]


def _scheme_faults(parts):
    return _repeats("validation.schemes:", parts.validation.schemes)


def _split_faults(parts):
    if getattr(parts.observations, "split_files", None) is None:
        return []
    one_taxon = parts.observations.taxon is not None or (parts.taxa != "all" and len(parts.taxa) == 1)
    if one_taxon and len(parts.zones) == 1:
        return []
    held = f"taxa {parts.taxa!r} and {len(parts.zones)} zones"
    return [f"observations.split_files: a split is of one taxon and one zone, the recipe has {held}"]


_CROSS = (
    (("zones",), _zone_faults),
    (("taxa",), _taxon_faults),
    (("predictors",), _predictor_faults),
    (("observations", "predictors"), _source_faults),
    (("observations", "model"), _effort_faults),
    (("observations", "model"), _signed_faults),
    (("observations",), _unit_faults),
    (("observations", "published"), _published_faults),
    (("model", "members"), _family_faults),
    (("observations", "members"), _draw_faults),
    (("validation",), _scheme_faults),
    (("observations", "taxa", "zones"), _split_faults),
    (("budget", "zones"), _sum_faults),
    (("budget", "taxa"), _sum_name_faults),
    (("budget", "observations"), _sum_quantity_faults),
    (("budget", "published"), _published_sum_faults),
)
