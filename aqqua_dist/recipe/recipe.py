"""A study as data: typed, frozen, strict, with all faults reported at once."""

import difflib
import hashlib
import re
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, create_model, model_validator

from aqqua_dist.core.errors import RecipeError, UserError
from aqqua_dist.core.section import Name, Section
from aqqua_dist.habitat_models.boosting import Published, SearchGrid
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.recipe.consistency import cross_faults
from aqqua_dist.recipe.sections import (
    AggregatedObservations,
    Budget,
    Columns,
    Creator,
    ExportObservations,
    Grid,
    LayerPredictors,
    Members,
    Model,
    Reference,
    ReferenceMap,
    SplitFiles,
    Sum,
    TableObservations,
    TablePredictors,
    Validation,
    VirtualObservations,
    Zone,
)
from aqqua_dist.recipe.yaml_text import StrictLoader, decimal_integer, strict_mapping, yaml_fault


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
    observations: Annotated[
        TableObservations | ExportObservations | AggregatedObservations | VirtualObservations,
        Field(discriminator="kind"),
    ]
    predictors: Annotated[TablePredictors | LayerPredictors, Field(discriminator="kind")]
    taxa: Literal["all"] | Annotated[list[Name], Field(min_length=1)] = "all"
    model: Model = next(iter(FAMILIES.values())).Settings()
    members: Members = Members()
    validation: Validation = Validation()
    budget: Budget = Budget()
    figures: list[str] = ["global_maps", "observed_predicted", "response_curves", "latitude_curves", "stocks"]
    published: list[Reference] = []
    published_maps: list[ReferenceMap] = []

    @model_validator(mode="after")
    def _consistent(self):
        faults = cross_faults(self)
        if faults:
            raise ValueError("\n".join(faults))
        return self


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


StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, strict_mapping)
StrictLoader.add_constructor("tag:yaml.org,2002:int", decimal_integer)
for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_pattern})$"), list(_first))


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

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> text = aq.find_recipe("demo").read_text(encoding="utf-8")
    >>> aq.parse(text).zones[0].bottom
    200.0
    >>> try:
    ...     aq.parse(text.replace("n: 100", "n: 1"))
    ... except aq.RecipeError as error:
    ...     print(len(error.faults))
    1
    """
    if not isinstance(text, str):
        raise UserError(f"{place}: {type(text).__name__} {str(text)[:60]!r} is no YAML text; of a file take `load`.")
    try:
        content = yaml.load(text, Loader=StrictLoader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise RecipeError(place, [yaml_fault(error)]) from None
    if not isinstance(content, dict):
        raise RecipeError(place, [f"the file holds {type(content).__name__}, a recipe is a mapping of keys"])
    try:
        return Recipe.model_validate(content)
    except ValidationError:
        found, rest, faulty = _every_fault(content)
        parts = _sound_parts({name: value for name, value in rest.items() if name not in faulty})
        for name in faulty:
            vars(parts).pop(name, None)
        raise RecipeError(place, found + [f for f in cross_faults(parts) if f not in found]) from None


def sound_parts(text):
    """Sections of a recipe that are valid, after what is not was left out.

    Parameters
    ----------
    text : str
        YAML.

    Returns
    -------
    types.SimpleNamespace
        The valid sections as attributes, defaults included, and ``faulty``, the
        names of those that lost a key; none where the text is no mapping.
    """
    try:
        content = yaml.load(text, Loader=StrictLoader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict):
        return SimpleNamespace(faulty=set())
    _, rest, faulty = _every_fault(content)
    parts = _sound_parts(rest)
    parts.faulty = faulty
    return parts


def _every_fault(content):
    """Faults of a recipe, what is left of it without them, and the sections that lost something.

    A fault inside a section hides those between its keys, so that faulty keys
    are taken out and the rest is judged again, until nothing new is found.
    """
    content, found, removed = deepcopy(content), [], set()
    while True:
        try:
            Recipe.model_validate(content)
            return found, content, {str(place[0]) for place in removed}
        except ValidationError as error:
            places = {
                item["loc"]: tuple(p for p in item["loc"] if not _BRANCH.fullmatch(str(p))) for item in error.errors()
            }
            told = [
                item["loc"]
                for item in error.errors()
                if item["type"] != "missing" or places[item["loc"]] not in removed
            ]
            found += [fault for fault in _faults(error, told) if fault not in found]
            places = {place for loc, place in places.items() if loc in told and place and place not in removed}
            removed |= places
            if not any([_take_out(content, place) for place in sorted(places, key=str, reverse=True)]):
                return found, content, {str(place[0]) for place in removed}


def _take_out(content, place):
    """Whether something stood at a place and was taken out; an entry of a list goes whole."""
    for depth, part in enumerate(place):
        last = depth == len(place) - 1 or isinstance(part, int)
        try:
            if last:
                del content[part]
                return True
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return False
    return False


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

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> recipe, text = aq.load(aq.find_recipe("demo"))
    >>> recipe.study, recipe.members.n
    ('demo', 100)
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


_BRANCH = re.compile(rf"table|virtual|exports|aggregated|layers|{'|'.join(FAMILIES)}|str|(literal|list|dict)\[.*")
"""Parts of a location that name the branch of a choice, not a key."""
_WANTED = {"bool_type": "write true or false", "model_type": "give its keys, or leave the section out"}
"""What is allowed, where pydantic says it in words of Python."""


def _faults(error, told):
    faults = []
    for item in error.errors():
        if item["loc"] not in told:
            continue
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
    ("observations", "table"): TableObservations,
    ("observations", "virtual"): VirtualObservations,
    ("observations", "exports"): ExportObservations,
    ("observations", "aggregated"): AggregatedObservations,
    ("observations", "table", "columns"): Columns,
    ("observations", "table", "split_files"): SplitFiles,
    ("predictors", "table"): TablePredictors,
    ("predictors", "layers"): LayerPredictors,
    ("zones",): Zone,
    ("grid",): Grid,
    ("model", "boosting", "grid"): SearchGrid,
    ("model", "boosting", "published"): Published,
    ("members",): Members,
    ("validation",): Validation,
    ("budget",): Budget,
    ("budget", "sums"): Sum,
    ("published",): Reference,
    ("published_maps",): ReferenceMap,
    ("creator",): Creator,
} | {("model", name): family.Settings for name, family in FAMILIES.items()}


def _fields_at(location):
    names = tuple(part for part in location if not isinstance(part, int))
    section = Recipe if not names else _BRANCHES.get(names)
    return list(section.model_fields) if section else []
