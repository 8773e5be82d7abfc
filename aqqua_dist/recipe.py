"""A study as data: typed, frozen, strict, with all faults reported at once."""

import difflib
import hashlib
from pathlib import Path
from typing import Annotated, Literal, Union

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aqqua_dist.errors import RecipeError, UserError

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[^\s/\\][^/\\\n]*$")]


class Section(BaseModel):
    """Base of every section: unknown keys are faults, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Zone(Section):
    """A depth interval (m, positive down)."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]+$")]
    top: Annotated[float, Field(ge=0)]
    bottom: Positive

    @model_validator(mode="after")
    def _ordered(self):
        if not self.top < self.bottom:
            raise ValueError(f"zone {self.name!r}: top {self.top} m must be above bottom {self.bottom} m")
        return self


class Grid(Section):
    """The study grid and the sphere that its areas are computed on."""

    resolution: Positive = 1.0
    earth_radius_km: Annotated[float, Field(gt=6000, lt=6500)] = 6371.0072
    clip_at_sea_floor: bool = True


class Columns(Section):
    """Column of the observations' file for each of our columns."""

    y: str
    lat: str = "lat"
    lon: str = "lon"
    taxon: str | None = None
    zone: str | None = None
    month: str | None = None
    effort: str | None = None
    cruise: str | None = None
    split: str | None = None


class SplitFiles(Section):
    """A published split: files that hold the training and the test rows."""

    train: str
    test: str
    y: str


class TableObservations(Section):
    """Observations in a table, one row per cell or per sample and taxon."""

    kind: Literal["table"]
    path: Union[str, dict[str, str]]
    columns: Columns
    quantity: Literal["carbon_biomass", "number_concentration", "biovolume_concentration"]
    units: str
    taxon: Name | None = None
    rows: Literal["cells", "samples"] = "cells"
    duplicates: Literal["refuse", "average"] = "refuse"
    split_files: SplitFiles | None = None

    @model_validator(mode="after")
    def _one_taxon_source(self):
        if (self.columns.taxon is None) == (self.taxon is None):
            raise ValueError("give either columns.taxon (a column) or taxon (one name for all rows)")
        return self


class VirtualObservations(Section):
    """A simulated survey of taxa whose true stock is known."""

    kind: Literal["virtual"]
    quantity: Literal["carbon_biomass", "number_concentration"] = "carbon_biomass"
    cruises: Count = 60
    cruise_sd: Annotated[float, Field(ge=0, le=2)] = 0.4


class TablePredictors(Section):
    """Predictors that stand in the observations' file and in a grid file."""

    kind: Literal["table"]
    path: Union[str, dict[str, str]]
    names: Annotated[dict[str, str], Field(min_length=1)]
    lat: str = "lat"
    lon: str = "lon"


class LayerPredictors(Section):
    """Predictors taken from the catalogue of environmental layers."""

    kind: Literal["layers"]
    names: Annotated[list[str], Field(min_length=1)]
    monthly: bool = False


class Published(Section):
    """Settings that a paper found for one target."""

    taxon: str
    zone: str
    learning_rate: Positive
    max_depth: Count
    min_child_weight: Annotated[float, Field(ge=0)]
    rounds: Count


class SearchGrid(Section):
    """Values to try; every combination is one setting."""

    learning_rate: Annotated[list[Positive], Field(min_length=1)] = [0.05, 0.075, 0.1]
    max_depth: Annotated[list[Count], Field(min_length=1)] = [2, 4, 6]
    min_child_weight: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] = [1, 3, 5]


class Model(Section):
    """The learned response of a target to its predictors."""

    objective: Literal["count:poisson", "reg:tweedie", "reg:gamma", "reg:squarederror"] = "count:poisson"
    tree_method: Literal["exact", "hist", "approx"] = "hist"
    base_score: Positive | None = None
    response_scale: Literal["drago2022", "mean"] = "mean"
    effort_weight: bool = False
    rounds: Count = 300
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    max_depth: Annotated[int, Field(ge=1, le=20)] = 4
    min_child_weight: Annotated[float, Field(ge=0)] = 3.0
    subsample: Annotated[float, Field(gt=0, le=1)] = 0.5
    search: Literal["none", "grid", "published"] = "none"
    grid: SearchGrid = SearchGrid()
    published: list[Published] = []


class Members(Section):
    """The draws whose spread is the uncertainty."""

    scheme: Literal["folds", "cruise_bootstrap"] = "cruise_bootstrap"
    folds: Annotated[int, Field(ge=2)] = 5
    repeats: Count = 20
    n: Annotated[int, Field(ge=2)] = 100
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def count(self):
        """Number of members (int)."""
        return self.folds * self.repeats if self.scheme == "folds" else self.n


class Validation(Section):
    """Cross-validation schemes that every target reports side by side."""

    folds: Annotated[int, Field(ge=2)] = 5
    block_size: Annotated[float, Field(gt=0, le=90)] = 10.0


class Budget(Section):
    """Regions in which the totals are summed."""

    latitude_band: Positive = 10.0
    basins: bool = True


class Reference(Section):
    """A published number, to print beside ours."""

    taxon: str
    zone: str
    statistic: Literal["stock", "stock_sum_cell_sd", "rmse_scaled", "r2_correl"]
    value: float
    sd: float | None = None
    units: str
    source: str


class ReferenceMap(Section):
    """A published map, to correlate with ours (a table with lat and lon)."""

    taxon: str
    zone: str
    path: str
    column: str
    source: str


class Creator(Section):
    """Who answers for the maps (ACDD)."""

    name: str
    institution: str = ""
    email: str = ""
    url: str = ""


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
    observations: Annotated[Union[TableObservations, VirtualObservations], Field(discriminator="kind")]
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


def _cross_faults(recipe):
    faults = []
    zones = [zone.name for zone in recipe.zones]
    faults += [f"zones: name {z!r} stands {zones.count(z)} times, allowed is once" for z in sorted(set(zones)) if zones.count(z) > 1]
    for place, section in (("observations", recipe.observations), ("predictors", recipe.predictors)):
        path = getattr(section, "path", None)
        if isinstance(path, dict) and sorted(path) != sorted(zones):
            faults.append(f"{place}.path: zones {sorted(path)} differ from the recipe's zones {sorted(zones)}")
    virtual = recipe.observations.kind == "virtual"
    if virtual and recipe.predictors.kind != "layers":
        faults.append("predictors.kind: a virtual survey needs 'layers', not 'table'")
    if getattr(recipe.observations, "rows", None) == "samples" and recipe.predictors.kind == "table":
        faults.append("observations.rows: 'samples' needs predictors.kind 'layers'; with 'table' use 'cells'")
    if getattr(recipe.predictors, "monthly", False) and not virtual and recipe.observations.columns.month is None:
        faults.append("observations.columns.month: monthly predictors need the column that holds the month (1-12)")
    if recipe.members.scheme == "folds" and recipe.members.count < 2:
        faults.append(f"members: {recipe.members.count} member, at least 2 are needed")
    faults += _model_faults(recipe, zones, virtual)
    return faults


def _model_faults(recipe, zones, virtual):
    faults = []
    if recipe.model.search == "published" and not recipe.model.published:
        faults.append("model.published: search 'published' needs at least one entry")
    if recipe.model.effort_weight and not virtual and recipe.observations.columns.effort is None:
        faults.append("observations.columns.effort: model.effort_weight needs the column of sampled volume")
    if recipe.model.search == "grid" and recipe.model.objective != "count:poisson":
        faults.append(f"model.objective: the grid search uses the Poisson likelihood, not {recipe.model.objective!r}")
    if recipe.model.search == "grid" and recipe.members.scheme != "folds":
        faults.append("members.scheme: the grid search needs 'folds', the resamples that it is scored on")
    for place, entries in (("model.published", recipe.model.published), ("published", recipe.published), ("published_maps", recipe.published_maps)):
        for number, entry in enumerate(entries):
            if entry.zone not in zones:
                faults.append(f"{place}.{number}.zone: {entry.zone!r} is not a zone of this recipe; choose from {zones}")
    return faults


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys."""


def _strict_mapping(loader, node, deep=False):
    seen = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} stands twice, first in line {seen[key] + 1}", key_node.start_mark)
        seen[key] = key_node.start_mark.line
    return yaml.SafeLoader.construct_mapping(loader, node, deep=deep)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _strict_mapping)


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
        raise RecipeError(place, _faults(error)) from None


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
    return f"not valid YAML{where}: {getattr(error, 'problem', None) or error}"


def _faults(error):
    faults = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"] if part not in ("table", "virtual", "layers"))
        if item["type"] == "extra_forbidden":
            faults.append(f"{place}: unknown key{_suggestion(item['loc'])}")
        elif item["type"] == "missing":
            faults.append(f"{place}: required key is missing")
        elif item["type"] == "value_error":
            text = str(item["ctx"]["error"])
            faults += [f"{place}: {line}" if place else line for line in text.split("\n")]
        else:
            shown = repr(item["input"])
            faults.append(f"{place}: {shown[:80]} is not allowed ({item['msg'][0].lower()}{item['msg'][1:]})")
    return faults


def _suggestion(location):
    fields = _fields_at(location[:-1])
    near = difflib.get_close_matches(str(location[-1]), fields, n=1)
    allowed = ", ".join(sorted(fields))
    return (f"; did you mean {near[0]!r}?" if near else "") + (f" (allowed: {allowed})" if fields else "")


_BRANCHES = {
    ("observations", "table"): TableObservations, ("observations", "virtual"): VirtualObservations,
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
