"""Environmental layers: the catalogue, zone means, and the cube of a study."""

import difflib
from typing import Annotated

import xarray as xr
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.fill_values import check_predictors
from aqqua_dist.core.paths import package_data, shipped

Text = Annotated[str, Field(min_length=1)]


class Layer(BaseModel):
    """Catalogue entry of one environmental layer; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: Text
    source: Text
    file: Annotated[str, Field(pattern=r"^[^/\\]+\.nc$")]
    variable: Text
    units: Text
    dims: Annotated[list[Text], Field(min_length=2)]
    citation: Text
    licence: Text
    traps: list[Text] = []


def catalogue():
    """All layers of the catalogue.

    Returns
    -------
    dict of str to Layer
        Entries of ``environmental_layers/catalogue``, sorted by name.

    Raises
    ------
    UserError
        If an entry is not valid, or its file is not named after it.
    """
    entries = [read_entry(path) for path in sorted((shipped("environmental_layers") / "catalogue").glob("*.yaml"))]
    return {entry.name: entry for entry in entries}


def read_entry(path):
    """One catalogue entry.

    Parameters
    ----------
    path : pathlib.Path
        YAML file ``<name>.yaml``.

    Returns
    -------
    Layer
        Checked entry.

    Raises
    ------
    UserError
        With every fault: key, what is wrong, and the value.
    """
    try:
        entry = Layer.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: the catalogue entry is not YAML: {' '.join(str(error).split())}.") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'entry'}: {e['msg']} (found {e['input']!r})" for e in error.errors()
        )
        raise UserError(f"{path}: the catalogue entry has faults: {faults}.") from None
    if entry.name != path.stem:
        raise UserError(f"{path}: name {entry.name!r} differs from the file name, which must be {entry.name}.yaml.")
    return entry


def catalogue_readme():
    """Text of ``environmental_layers/README.md``, made from the catalogue.

    Returns
    -------
    str
        Markdown with one table row per layer, and the traps.
    """
    entries = catalogue().values()
    head = ["name", "title", "units", "dims", "source", "citation", "licence"]
    rows = [[f"`{e.name}`", e.title, e.units, ", ".join(e.dims), e.source, e.citation, e.licence] for e in entries]
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    traps = [f"* `{e.name}`: {trap}" for e in entries for trap in e.traps]
    return "\n".join(
        [
            "# Environmental layers",
            "",
            "Made from `catalogue/*.yaml`; do not edit, run `python environmental_layers/make_readme.py`.",
            "",
            *lines,
            "",
            "## Traps",
            "",
            *traps,
            "",
            "## How the embedded files are made",
            "",
            "`build_embedded.py` (climatology), `build_coastline.py` (coastline) and `build_basins.py` (ocean basins) say",
            "where their sources come from, and how each field is regridded and its gaps are filled.",
            "",
        ]
    )


def load_layer(name):
    """A layer as it is stored, with its attributes.

    Parameters
    ----------
    name : str
        Name in the catalogue.

    Returns
    -------
    xarray.DataArray
        Dims ([month], [depth], lat, lon); lat and lon ascend; NaN on land.

    Raises
    ------
    UserError
        If the catalogue has no such layer, or its values are outside the range
        that the vocabulary allows.
    """
    entries = catalogue()
    if name not in entries:
        near = difflib.get_close_matches(str(name), entries, n=3, cutoff=0.5)
        hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        raise UserError(f"layer {name!r} is not in the catalogue{hint}; choose from {', '.join(entries)}.")
    entry = entries[name]
    with xr.open_dataset(package_data(entry.file)) as data:
        layer = data[entry.variable].load()
    if layer.dims != tuple(entry.dims) or layer.attrs.get("units") != entry.units:
        raise UserError(
            f"layer {name!r}: {entry.file} holds dims {layer.dims} in {layer.attrs.get('units')!r}, "
            f"its catalogue entry says {tuple(entry.dims)} in {entry.units!r}."
        )
    layer = layer.rename(name)
    if name == "bathymetry" and float(layer.median()) < 0:
        raise UserError(
            f"layer 'bathymetry': {entry.file} has the median {float(layer.median()):g} m; the depth of the sea floor is "
            "positive down, so turn its sign."
        )
    check_predictors(layer.to_dataset(name=name), [name], f"layer {name!r} ({entry.file})")
    return layer
