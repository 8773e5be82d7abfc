"""Kinds of observations: how each becomes rows, and how its rows meet the grid. A new one is a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from aqqua_dist.training import aggregated, cells, exports, tables, virtual

LABELS = ("vocabulary.yaml", "taxa.yaml", "labels.yaml", "conversions.yaml")


@dataclass(frozen=True)
class Kind:
    """One kind of observations.

    Attributes
    ----------
    observed : callable
        ``observed(context, cube)`` gives rows (repairs in ``attrs``) and
        further tables to keep, name to table; the cube is None unless
        `on_cube`.
    on_grid : callable
        ``on_grid(context, cube, rows)`` gives the training rows.
    inputs, split_inputs : callable
        ``inputs(context)`` gives the user's files that `observed` reads,
        ``split_inputs`` those that `on_grid` reads.
    sections : tuple of str
        Parts of the recipe that `observed` reads.
    data : tuple of str
        Files of the package that `observed` reads.
    on_cube : bool
        Whether the observations are simulated on the cube.
    folders : tuple of str
        Folders that `observed` fills itself.
    """

    observed: Callable
    on_grid: Callable
    inputs: Callable
    split_inputs: Callable
    sections: tuple = ("observations", "zones", "taxa")
    data: tuple = ("vocabulary.yaml",)
    on_cube: bool = False
    folders: tuple = ()


def _nothing(context):
    return {}


def _on_cells(context, cube, rows):
    section = context.recipe.observations
    place = getattr(section, "path", section.kind)
    return cells.on_cells(context, cube, rows, rows.attrs.get("repairs", []), place)


KINDS = {
    "table": Kind(
        observed=lambda context, cube: (tables.observed(context), {}),
        on_grid=tables.on_grid,
        inputs=tables.inputs,
        split_inputs=tables.split_inputs,
        sections=("observations", "zones", "taxa", "predictors"),
    ),
    "exports": Kind(
        observed=lambda context, cube: (exports.observed(context), {}),
        on_grid=_on_cells,
        inputs=exports.inputs,
        split_inputs=_nothing,
        sections=("observations", "zones", "taxa", "members", "seed"),
        data=(*LABELS, "effort_rules.yaml", "land_110m.geojson"),
        folders=("ingest",),
    ),
    "aggregated": Kind(
        observed=lambda context, cube: (aggregated.observed(context), {}),
        on_grid=_on_cells,
        inputs=aggregated.inputs,
        split_inputs=_nothing,
        sections=("observations", "zones", "taxa", "members", "seed"),
        data=LABELS,
    ),
    "virtual": Kind(
        observed=virtual.simulated,
        on_grid=virtual.on_grid,
        inputs=_nothing,
        split_inputs=_nothing,
        sections=("observations", "zones", "taxa", "seed"),
        data=(*LABELS, "virtual_cruise_areas.csv"),
        on_cube=True,
    ),
}
