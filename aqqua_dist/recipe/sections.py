"""The typed sections of a recipe."""

import difflib
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from aqqua_dist.core import vocabulary
from aqqua_dist.virtual_ocean.responses import AMOUNTS, CARBON

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[^\s/\\][^/\\\n]*$")]


@dataclass(frozen=True)
class InVocabulary:
    """A name of a quantity that the vocabulary says how to model.

    Attributes
    ----------
    columns : tuple of str, optional
        Only quantities that tables of samples keep in one of these columns.
    signed : bool, optional
        Only quantities that may, or may not, be negative.
    """

    columns: tuple | None = None
    signed: bool | None = None

    def choices(self):
        """Names that are allowed (list of str)."""
        return vocabulary.modelled(columns=self.columns, signed=self.signed)

    def _checked(self, name):
        known = self.choices()
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{name!r} is not allowed (choose from {', '.join(map(repr, known))}){hint}")
        return name

    def __get_pydantic_core_schema__(self, source, handler):  # numpydoc ignore=GL08
        return AfterValidator(self._checked).__get_pydantic_core_schema__(source, handler)

    def __get_pydantic_json_schema__(self, schema, handler):  # numpydoc ignore=GL08
        return handler(schema) | {"enum": self.choices()}


class Section(BaseModel):
    """Base of every section: unknown keys are faults, values keep their kind and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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

    @model_validator(mode="after")
    def _whole_rows(self):
        rows = 180 / self.resolution
        if rows < 1 or abs(rows - round(rows)) > 1e-6:
            raise ValueError(
                f"resolution {self.resolution:g} does not divide 180 degrees; take for example 0.25, 1 or 2"
            )
        return self


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
    path: str | dict[str, str]
    columns: Columns
    quantity: Annotated[str, InVocabulary(signed=False)]
    units: str
    effort_units: str = "m3"
    taxon: Name | None = None
    rows: Literal["cells", "samples"] = "cells"
    duplicates: Literal["refuse", "average"] = "refuse"
    split_files: SplitFiles | None = None

    @model_validator(mode="after")
    def _one_taxon_source(self):
        if (self.columns.taxon is None) == (self.taxon is None):
            given = f"columns.taxon {self.columns.taxon!r} and taxon {self.taxon!r}"
            raise ValueError(f"{given}: give either a column or one name for all rows, not both or none")
        return self


class ExportObservations(Section):
    """Observations in raw exports: read, pooled over the zones, one row per profile and taxon."""

    kind: Literal["exports"]
    paths: Annotated[list[str], Field(min_length=1)]
    quantity: Annotated[str, InVocabulary(columns=("n", "biovolume"))]
    coverage: Annotated[float, Field(ge=0, le=1)] = 0.8
    statuses: Annotated[list[Literal["validated", "predicted", "dubious", "unclassified"]], Field(min_length=1)] = [
        "validated"
    ]
    leave_out: list[str] = ["part", "exuviae", "egg"]
    effort: str | None = None
    mapping: str | None = None


class AggregatedObservations(Section):
    """Observations in a folder that ``aggregate`` or ``embeddings`` wrote: pooled over the zones, one row per profile and target.

    Targets are taxa, morphotypes, or components of the mean embeddings;
    `draw` names what each member draws of its own: counts and volumes, or
    ``members`` for those that ``aggregate --members`` wrote, which hold the
    classifier and the conversion too.
    """

    kind: Literal["aggregated"]
    path: str
    quantity: Annotated[str, InVocabulary(columns=("n", "biovolume", "carbon", "embedding_pc"))]
    coverage: Annotated[float, Field(ge=0, le=1)] = 0.8
    draw: list[Literal["counting", "volume", "members"]] = []


class VirtualObservations(Section):
    """A simulated survey of taxa whose true stock is known."""

    kind: Literal["virtual"]
    quantity: Annotated[str, InVocabulary(columns=AMOUNTS)] = CARBON
    cruises: Count = 60
    cruise_sd: Annotated[float, Field(ge=0, le=2)] = 0.4


class TablePredictors(Section):
    """Predictors that stand in the observations' file and in a grid file."""

    kind: Literal["table"]
    path: str | dict[str, str]
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
    """Regions in which the totals are summed, and the width of their intervals.

    Members that draw cruises are one model family on one survey, so that
    their spread is too small; `interval_widening` multiplies the standard
    deviation of the log-normal interval by a factor that the author has
    measured on virtual surveys.
    """

    latitude_band: Positive = 10.0
    basins: bool = True
    interval_widening: Annotated[float, Field(ge=1, le=5)] = 1.0


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
