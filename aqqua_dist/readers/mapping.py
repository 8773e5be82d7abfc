"""A mapping: a YAML file that says which column of a plain table is which of ours, in which unit and words."""

import difflib
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import RecipeError, UserError
from aqqua_dist.core.tables import COUNTS, OBJECTS, SAMPLES

IMAGE_COLUMNS = {"image": "string", "labeller": "string"}
LICENCE = {"licence": "string"}
TABLES = {
    "samples": SAMPLES,
    "objects": OBJECTS,
    "counts": COUNTS,
    "images": SAMPLES | OBJECTS | IMAGE_COLUMNS,
}
"""Our columns by kind of table; a row of ``images`` is an image with all that is known of its sample."""
NUMBERS = (
    *("lat", "lon", "depth", "depth_top", "depth_bottom", "volume", "volume_rel_sd"),
    *("pixel", "esd", "biovolume", "area", "major", "minor", "score"),
)
UNITS = {name: vocabulary.column(name, "objects").units for name in NUMBERS} | {"area": "px"}
"""Unit of each number, as the vocabulary has it (an area counts pixels); lengths on the image are in pixels unless the mapping gives them a unit of length."""
REQUIRED = {
    "samples": ("sample_id", "lat", "lon"),
    "objects": ("object_id", "sample_id"),
    "counts": ("sample_id", "taxon", "n"),
    "images": ("lat", "lon"),
}
RANGES = {
    "lat": (-90, 90),
    "lon": (-180, 360),
    "depth": (0, 11_500),
    "depth_top": (0, 11_500),
    "depth_bottom": (0, 11_500),
    "volume": (0, None),
    "volume_rel_sd": (0, None),
    "n": (0, None),
    "biovolume": (0, None),
    "area": (0, None),
    "major": (0, None),
    "minor": (0, None),
    "pixel": (0, None),
    "esd": (0, None),
    "score": (0, 1),
    "n_individuals": (0, None),
    "n_images": (0, None),
}
ABOVE_ZERO = {"volume", "pixel"}
IMAGE_LENGTHS = {"area": "um2", "major": "um", "minor": "um"}


class Entry(BaseModel):
    """Where one of our columns comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    column: str | None = None
    value: str | float | int | None = None
    units: str | None = None
    format: str | None = None
    values: dict[str, str] | None = None
    missing: list[str] | None = None

    @model_validator(mode="after")
    def _one_source(self):
        if (self.column is None) == (self.value is None):
            raise ValueError(f"column {self.column!r} and value {self.value!r}: give one of both")
        return self


class Mapping(BaseModel):
    """How one kind of table is read.

    Where a study has several (samples and their objects), a mapping file
    lists them under ``tables``; ``files`` (such as ``samples*.csv``) says
    which file is which, unless its columns do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    table: Literal["samples", "objects", "counts", "images"]
    files: str | None = None
    missing: list[str] = ["", "NA", "nan", "NaN"]
    columns: Annotated[dict[str, Entry], Field(min_length=1)]

    @model_validator(mode="after")
    def _known_columns(self):
        known, faults = TABLES[self.table] | LICENCE, []
        for name, entry in self.columns.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f", did you mean {near[0]!r}?" if near else f"; they have {', '.join(known)}"
                faults.append(f"columns.{name}: {self.table} have no such column{hint}")
            elif entry.units is not None and name not in UNITS:
                faults.append(f"columns.{name}.units: {name} has no unit, found {entry.units!r}")
        needed = REQUIRED[self.table]
        faults += [
            f"columns: {name!r} is missing; {self.table} need {', '.join(needed)}"
            for name in needed
            if name not in self.columns
        ]
        if self.table == "images" and not {"object_id", "image"} & set(self.columns):
            faults.append(
                f"columns: 'object_id' or 'image' is missing; {self.table} need one of both to tell images apart"
            )
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def fits(self, names):
        """Whether a table has all columns that the mapping names.

        Parameters
        ----------
        names : collection of str
            Columns of a file.

        Returns
        -------
        bool
        """
        return all(entry.column is None or entry.column in names for entry in self.columns.values())


def read_mappings(path):
    """Mappings of a YAML file: one, or several under ``tables``.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    tuple of Mapping
        Checked; at most one per kind of table.

    Raises
    ------
    RecipeError
        With every fault of the file.
    """
    content = _content(path)
    if not (isinstance(content, dict) and set(content) == {"tables"} and isinstance(content["tables"], list)):
        return (_validated(path, content),)
    found, faults = [], []
    for number, part in enumerate(content["tables"], start=1):
        try:
            found.append(_validated(path, part))
        except RecipeError as error:
            faults += [f"tables, entry {number}: {fault}" for fault in error.faults]
    kinds = [mapping.table for mapping in found]
    faults += [
        f"tables: {kind!r} stands {kinds.count(kind)} times, allowed is once"
        for kind in sorted(set(kinds))
        if kinds.count(kind) > 1
    ]
    if not faults and kinds and "samples" not in kinds and "images" not in kinds:
        faults.append(f"tables: {kinds} were given without 'samples', which they belong to")
    if faults or not found:
        raise RecipeError(path, faults or [f"tables: {content['tables']!r} holds no table"])
    return tuple(found)


def read_mapping(path):
    """Mapping of one table from a YAML file.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    Mapping
        Checked.

    Raises
    ------
    RecipeError
        With every fault of the file.
    """
    return _validated(path, _content(path))


def _content(path):
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"mapping {str(path)!r} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}."
        ) from None
    except yaml.YAMLError as error:
        raise RecipeError(path, [f"not valid YAML: {str(error).splitlines()[0]}"]) from None


def _validated(path, content):
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        faults = []
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"])
            text = (
                str(item["ctx"]["error"])
                if item["type"] == "value_error"
                else f"{item['input']!r} is not allowed ({item['msg'].lower()})"
            )
            faults += [f"{place}: {line}" if place else line for line in text.split("\n")]
        raise RecipeError(path, faults) from None
