"""The typed sections of a recipe."""

import difflib
import re
from dataclasses import dataclass
from typing import Annotated, Literal, Union

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from aqqua_dist.core import vocabulary
from aqqua_dist.core.divisions import whole_bands, whole_rows
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.section import Count, Name, Positive, Section, Taxon
from aqqua_dist.core.statuses import STATUSES, status_of
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.validation.schemes import SCHEMES
from aqqua_dist.virtual_ocean.responses import AMOUNTS, CARBON


def _number(value):
    """A fraction such as 1/12 as a number."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*/\s*([1-9]\d*)\s*", value) if isinstance(value, str) else None
    return float(found[1]) / int(found[2]) if found else value


def _whole(value):
    """Seven digits of a third or a twelfth as the fraction itself; what does not divide is told with its section."""
    try:
        return 180.0 / whole_rows(value)
    except UserError:
        return value


def _dividing_quadrant(value):
    try:
        whole_bands(value)
    except UserError as error:
        raise ValueError(f"{str(error).rstrip('.')}") from None
    return value


Resolution = Annotated[
    float, BeforeValidator(_number, json_schema_input_type=float | str), Field(gt=0), AfterValidator(_whole)
]


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
    """The study grid and the sphere that its areas are computed on.

    `resolution` may be a fraction such as ``1/12``. `land_mask` leaves out
    cells of a grid table that are land in the embedded bathymetry, also where
    the table has predictors for them.
    """

    resolution: Resolution = 1.0
    earth_radius_km: Annotated[float, Field(gt=6000, lt=6500)] = 6371.0072
    clip_at_sea_floor: bool = True
    land_mask: bool = True

    @model_validator(mode="after")
    def _whole_rows(self):
        try:
            whole_rows(self.resolution)
        except UserError as error:
            raise ValueError(f"{str(error).removeprefix('grid ').rstrip('.')}") from None
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


Share = Annotated[float, Field(ge=0, le=1)]


class ExportObservations(Section):
    """Observations in raw exports: read, counted as ``aggregate`` does, pooled over the zones, one row per profile and taxon.

    `statuses` are words or letters of EcoTaxa; `sorted` is the least share of
    counted objects of a profile (PSSdb asks for 0.95); `carbon` names a
    conversion by taxon; `draw` is that of `AggregatedObservations`.
    """

    kind: Literal["exports"]
    paths: Annotated[list[str], Field(min_length=1)]
    quantity: Annotated[str, InVocabulary(columns=("n", "biovolume", "carbon"))]
    coverage: Share = 0.8
    statuses: Annotated[list[str], Field(min_length=1)] = ["validated"]
    sorted: Share = 0.0
    leave_out: list[str] = ["part", "exuviae", "egg"]
    leave_out_flags: list[str] = []
    method: Literal["labels", "validated", "top1", "thresholded", "probabilistic", "acc", "pacc", "em"] = "labels"
    threshold: Share = 0.0
    min_score: Share = 0.0
    dubious: Literal["predicted", "validated", "unclassified"] = "predicted"
    validation: str | None = None
    carbon: dict[str, str] = {}
    draw: list[Literal["counting", "volume", "members"]] = []
    effort: str | None = None
    mapping: str | None = None

    @field_validator("statuses")
    @classmethod
    def _statuses(cls, words):
        unknown = [word for word in words if not word.strip() or (word != "all" and status_of(word) is None)]
        if unknown:
            raise ValueError(
                f"status {unknown[0]!r} is unknown, allowed are {', '.join(STATUSES)}, their first letters, and all"
            )
        return list(dict.fromkeys(word if word == "all" else status_of(word) for word in words))

    @model_validator(mode="after")
    def _carbon_is_told(self):
        if vocabulary.quantity(self.quantity).kept.column == "carbon" and not self.carbon:
            raise ValueError(f"quantity {self.quantity!r} needs 'carbon', a conversion by taxon")
        return self


class AggregatedObservations(Section):
    """Observations in a folder that ``aggregate`` or ``embeddings`` wrote: pooled over the zones, one row per profile and target.

    Targets are taxa, morphotypes, or components of the mean embeddings;
    `draw` names what each member draws of its own: counts and volumes, or
    ``members`` for those that ``aggregate --members`` wrote, which hold the
    classifier and the conversion too. `sorted` is the least share of counted
    objects of a profile (PSSdb asks for 0.95).
    """

    kind: Literal["aggregated"]
    path: str
    quantity: Annotated[str, InVocabulary(columns=("n", "biovolume", "carbon", "embedding_pc"))]
    coverage: Share = 0.8
    sorted: Share = 0.0
    leave_out: list[str] = ["part", "exuviae", "egg"]
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


def _with_kind(model):
    """The first family where the recipe names none."""
    return {"kind": next(iter(FAMILIES))} | model if isinstance(model, dict) else model


Model = Annotated[
    Union[tuple(family.Settings for family in FAMILIES.values())],  # noqa: UP007  made from the dictionary
    Field(discriminator="kind"),
    BeforeValidator(_with_kind),
]
"""The learned response of a target to its predictors: the settings of one family."""


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

    schemes: Annotated[list[Literal[tuple(SCHEMES)]], Field(min_length=1)] = ["random", "spatial_block"]
    folds: Annotated[int, Field(ge=2)] = 5
    block_size: Annotated[float, Field(gt=0, le=90)] = 10.0

    @property
    def settings(self):
        """Settings of each scheme, those of its keys that this section has (dict of str to SchemeSettings)."""
        given = self.model_dump(exclude={"schemes"})
        wanted = {name: SCHEMES[name].Settings for name in self.schemes}
        return {
            name: one(**{key: given[key] for key in one.model_fields if key in given}) for name, one in wanted.items()
        }


class Sum(Section):
    """Some taxa in some zones, added member by member.

    All members of a study draw the same cruises, so that the spread of the
    members' sums is that of the sum. Taxa must not hold each other, zones
    must not overlap.
    """

    name: Name
    taxa: Annotated[list[Name], Field(min_length=1)]
    zones: Annotated[list[str], Field(min_length=1)]

    @property
    def zone(self):
        """Names of its zones, as they stand in the column ``zone`` of a budget (str)."""
        return " + ".join(self.zones)

    @property
    def parts(self):
        """Taxon and zone of each target that is added (list of tuple of str)."""
        return [(taxon, zone) for zone in self.zones for taxon in self.taxa]


class Budget(Section):
    """Regions in which the totals are summed, sums of targets, and the width of their intervals.

    Members that draw cruises are one model family on one survey, so that
    their spread is too small; `interval_widening` multiplies the standard
    deviation of the log-normal interval by a factor that the author has
    measured on virtual surveys.
    """

    latitude_band: Annotated[Positive, AfterValidator(_dividing_quadrant)] = 10.0
    basins: bool = True
    interval_widening: Annotated[float, Field(ge=1, le=5)] = 1.0
    sums: list[Sum] = []


class Reference(Section):
    """A published number, to print beside ours."""

    taxon: Taxon
    zone: str
    statistic: Literal["stock", "stock_sum_cell_sd", "rmse_scaled", "r2_correl"]
    value: float
    sd: float | None = None
    units: str
    source: str


class ReferenceMap(Section):
    """A published map, to correlate with ours (a table with lat and lon)."""

    taxon: Taxon
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
