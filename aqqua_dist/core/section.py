"""What every section of a recipe is made of: frozen, strict, without unknown keys."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _text(value):
    """Whole numbers as text: taxa may be identifiers such as an AphiaID."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Taxon = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int)]
Name = Annotated[Taxon, Field(min_length=1, pattern=r"^[^\s/\\][^/\\\n]*$")]


class Section(BaseModel):
    """Base of every section: unknown keys are faults, values keep their kind and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
