"""A study as data: typed, frozen, strict, with all faults reported at once."""

import difflib
import hashlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal, Union

import yaml
from pydantic import Field, ValidationError, create_model, model_validator

from aqqua_dist.errors import RecipeError, UserError
from aqqua_dist.sections import (
    Budget,
    Columns,
    Creator,
    AggregatedObservations,
    ExportObservations,
    Grid,
    LayerPredictors,
    Members,
    Model,
    Name,
    Published,
    Reference,
    ReferenceMap,
    SearchGrid,
    Section,
    SplitFiles,
    TableObservations,
    TablePredictors,
    Validation,
    VirtualObservations,
    Zone,
)


class Recipe(Section):
    """A study.

    Every section is described in its own class; `load` reads it from YAML.
    """

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    title: Annotated[str, Field(min_length=1)]
    summary: str = ""
    references: list[str] = []
    licence: str = "CC-BY-4.0"
    creator: Creator | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    reproduces: Literal["drago2022"] | None = None
    zones: Annotated[list[Zone], Field(min_length=1)]
    grid: Grid = Grid()
    observations: Annotated[Union[TableObservations, ExportObservations, AggregatedObservations, VirtualObservations], Field(discriminator="kind")]
    predictors: Annotated[Union[TablePredictors, LayerPredictors], Field(discriminator="kind")]
    taxa: Union[Literal["all"], Annotated[list[Name], Field(min_length=1)]] = "all"
    model: Model = Model()
    members: Members = Members()
    validation: Validation = Validation()
    budget: Budget = Budget()
    figures: list[str] = ["global_maps", "observed_predicted", "response_curves", "latitude_curves", "stocks"]
    published: list[Reference] = []
    published_maps: list[ReferenceMap] = []

    @model_validator(mode="after")
    def _consistent(self):
        faults = _cross_faults(self)
        if faults:
            raise ValueError("\n".join(faults))
        return self


def _cross_faults(parts):
    """Faults between sections; `parts` holds the sections that are sound."""
    faults = []
    for needed, find in _CROSS:
        if all(hasattr(parts, name) for name in needed):
            faults += find(parts)
    return faults


def _repeats(place, names):
    return [f"{place} {name!r} stands {names.count(name)} times, allowed is once" for name in sorted(set(names)) if names.count(name) > 1]


def _taxon_faults(parts):
    return [] if parts.taxa == "all" else _repeats("taxa:", parts.taxa)


def _predictor_faults(parts):
    names = parts.predictors.names
    return _repeats("predictors.names:", names) if isinstance(names, list) else _repeats("predictors.names: column", list(names.values()))


def _zone_faults(parts):
    zones = [zone.name for zone in parts.zones]
    faults = _repeats("zones: name", zones)
    for place in ("observations", "predictors"):
        path = getattr(getattr(parts, place, None), "path", None)
        if isinstance(path, dict) and sorted(path) != sorted(zones):
            faults.append(f"{place}.path: zones {sorted(path)} differ from the recipe's zones {sorted(zones)}")
    section = getattr(parts, "observations", None)
    if isinstance(getattr(section, "path", None), str) and len(zones) > 1 and section.kind == "table" and section.columns.zone is None:
        faults.append(f"observations.path: one file for {len(zones)} zones needs columns.zone, or give one file per zone")
    lists = (("model.published", getattr(getattr(parts, "model", None), "published", [])),
             ("published", getattr(parts, "published", [])), ("published_maps", getattr(parts, "published_maps", [])))
    for place, entries in lists:
        for number, entry in enumerate(entries):
            if entry.zone not in zones:
                faults.append(f"{place}.{number}.zone: {entry.zone!r} is not a zone of this recipe; choose from {zones}")
    return faults


def _source_faults(parts):
    observations, predictors, faults = parts.observations, parts.predictors, []
    placed = observations.kind != "table"
    if placed and predictors.kind != "layers":
        what = {"virtual": "a virtual survey needs", "exports": "exports need"}.get(observations.kind, "aggregated tables need")
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
    """Components have no zero: no counts, no logarithms."""
    draw = getattr(parts.observations, "draw", [])
    if "members" in draw and len(draw) > 1:
        return [f"observations.draw: 'members' hold all draws, leave out {[name for name in draw if name != 'members']}"]
    if getattr(parts.observations, "quantity", None) != "embedding_component":
        return []
    model, faults = parts.model, []
    if model.objective != "reg:squarederror":
        faults.append(f"model.objective: components of embeddings may be negative and need 'reg:squarederror', not {model.objective!r}")
    if model.search != "none":
        faults.append(f"model.search: components of embeddings need 'none', not {model.search!r}")
    return faults + (["observations.draw: components of embeddings have no draws, leave it out"] if parts.observations.draw else [])


def _search_faults(parts):
    model, faults = parts.model, []
    if model.search == "published" and not model.published:
        faults.append("model.published: search 'published' needs at least one entry")
    if model.search == "grid" and model.objective != "count:poisson":
        faults.append(f"model.objective: the grid search uses the Poisson likelihood, not {model.objective!r}")
    if model.search == "grid" and parts.members.scheme != "folds":
        faults.append(f"members.scheme: the grid search needs 'folds', the resamples that it is scored on, not {parts.members.scheme!r}")
    if model.response_scale == "drago2022" and model.objective != "count:poisson":
        faults.append(f"model.response_scale: 'drago2022' makes counts for 'count:poisson', not {model.objective!r}")
    return faults


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
    (("model", "members"), _search_faults),
    (("observations", "taxa", "zones"), _split_faults),
)


def _sound_parts(content):
    """Sections that are valid on their own, defaults included."""
    parts = SimpleNamespace()
    for name, field in Recipe.model_fields.items():
        if name not in content and field.is_required():
            continue
        one = create_model("Part", __base__=Section, **{name: (field.annotation, field)})
        try:
            setattr(parts, name, getattr(one.model_validate({n: v for n, v in content.items() if n == name}), name))
        except ValidationError:
            continue
    return parts


class _StrictLoader(yaml.SafeLoader):
    """YAML 1.2 (core schema) without duplicate keys.

    Only ``true`` and ``false`` are truth values, so that ``no`` stays text;
    ``1e-3`` is a number, ``1:30`` and dates are text, ``010`` is ten.
    """

    yaml_implicit_resolvers = {}


def _strict_mapping(loader, node, deep=False):
    seen = {}
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key must be one word, not a list or a mapping", key_node.start_mark)
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} stands twice, first in line {seen[key] + 1}", key_node.start_mark)
        seen[key] = key_node.start_mark.line
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


def _decimal_integer(loader, node):
    return int(loader.construct_scalar(node))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _strict_mapping)
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _decimal_integer)
for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.0123456789"),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def parse(text, place="recipe"):
    """Recipe from YAML text.

    Parameters
    ----------
    text : str
        YAML.
    place : str or os.PathLike
        File name for messages.

    Returns
    -------
    Recipe
        Frozen study.

    Raises
    ------
    RecipeError
        With every fault found, each with its key, value and what is allowed.
    """
    try:
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise RecipeError(place, [_yaml_fault(error)]) from None
    if not isinstance(content, dict):
        raise RecipeError(place, [f"the file holds {type(content).__name__}, a recipe is a mapping of keys"])
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        found = _faults(error)
        raise RecipeError(place, found + [f for f in _cross_faults(_sound_parts(content)) if f not in found]) from None


def load(path):
    """Recipe from a YAML file.

    Parameters
    ----------
    path : str or os.PathLike
        The recipe file.

    Returns
    -------
    tuple of (Recipe, str)
        The study and the text it was read from.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(f"recipe {str(path)!r} cannot be read: {reason}.") from None
    return parse(text, path), text


def text_hash(text):
    """SHA-256 of a recipe's text (str, 64 hexadecimal digits).

    Parameters
    ----------
    text : str
        The recipe.

    Returns
    -------
    str
        The digest.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def json_schema():
    """JSON schema of a recipe, for editors that complete YAML.

    Returns
    -------
    dict
        JSON schema (draft 2020-12).
    """
    return Recipe.model_json_schema()


def _yaml_fault(error):
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    problem = getattr(error, "problem", None) or str(error).split("\n")[0]
    return f"not valid YAML{where}: {problem}"


_BRANCH = re.compile(r"table|virtual|exports|aggregated|layers|str|(literal|list|dict)\[.*")
"""Parts of a location that name the branch of a choice, not a key."""
_WANTED = {"bool_type": "write true or false", "model_type": "give its keys, or leave the section out"}
"""What is allowed, where pydantic says it in words of Python."""


def _faults(error):
    faults = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"] if not _BRANCH.fullmatch(str(part)))
        if item["type"] == "extra_forbidden":
            faults.append(f"{place}: unknown key{_suggestion(item['loc'])}")
        elif item["type"] == "missing":
            faults.append(f"{place}: required key is missing")
        elif item["type"] == "value_error":
            text = str(item["ctx"]["error"])
            faults += [f"{place}: {line}" if place else line for line in text.split("\n")]
        else:
            wanted = _WANTED.get(item["type"], item["msg"][0].lower() + item["msg"][1:])
            faults.append(f"{place}: {repr(item['input'])[:80]} is not allowed ({wanted})")
    return faults


def _suggestion(location):
    fields = _fields_at(location[:-1])
    near = difflib.get_close_matches(str(location[-1]), fields, n=1)
    allowed = ", ".join(sorted(fields))
    return (f"; did you mean {near[0]!r}?" if near else "") + (f" (allowed: {allowed})" if fields else "")


_BRANCHES = {
    ("observations", "table"): TableObservations, ("observations", "virtual"): VirtualObservations,
    ("observations", "exports"): ExportObservations, ("observations", "aggregated"): AggregatedObservations,
    ("observations", "table", "columns"): Columns, ("observations", "table", "split_files"): SplitFiles,
    ("predictors", "table"): TablePredictors, ("predictors", "layers"): LayerPredictors,
    ("zones",): Zone, ("grid",): Grid, ("model",): Model, ("model", "grid"): SearchGrid,
    ("model", "published"): Published, ("members",): Members, ("validation",): Validation,
    ("budget",): Budget, ("published",): Reference, ("published_maps",): ReferenceMap, ("creator",): Creator,
}


def _fields_at(location):
    names = tuple(part for part in location if not isinstance(part, int))
    section = Recipe if not names else _BRANCHES.get(names)
    return list(section.model_fields) if section else []
