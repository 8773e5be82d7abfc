"""Products of the members of several targets, made cell by cell and member by member.

A product is a plain function ``f(fields, layers, parameters)``: `fields` holds
the values of each target it takes, shape (n_members, n_rows), row k of all
targets being the same draw; `layers` arrays of shape (n_rows,); `parameters`
arrays of shape (n_members, 1). It gives an array of shape (n_members, n_rows),
of which only moments, quantiles and totals are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Product:
    """What is made of the members of some targets, and where.

    Attributes
    ----------
    make : callable
        The function.
    takes : tuple
        Targets whose fields it is given. Where the zone of a target has no
        cell of the domain, its field is 0: nothing is predicted there.
    cells : numpy.ndarray
        Flat index in (lat, lon) of each cell that it is made for, ascending,
        shape (n_cells,).
    weights : callable
        ``weights(start, stop)`` gives what turns values of cells
        ``start:stop`` into totals, shape (n_months * (stop - start), n_regions).
    layers : dict of str to numpy.ndarray
        Shape (n_cells,); the same in every month.
    parameters : dict of str to numpy.ndarray
        Draw of each member and, last, the central value, shape (n_members + 1,).
    """

    make: Callable
    takes: tuple
    cells: np.ndarray
    weights: Callable
    layers: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=dict)


def identity(fields, layers, parameters):
    """The one target itself.

    Parameters
    ----------
    fields : dict of target to numpy.ndarray
        One target, shape (n_members, n_rows).
    layers, parameters : dict
        Not used.

    Returns
    -------
    numpy.ndarray
        Its field, not copied.
    """
    (values,) = fields.values()
    return values


def sum_of_targets(fields, layers, parameters):
    """Sum of all targets.

    Parameters
    ----------
    fields : dict of target to numpy.ndarray
        In one unit, shape (n_members, n_rows); of one zone, or amounts per
        area of several.
    layers, parameters : dict
        Not used.

    Returns
    -------
    numpy.ndarray
        In the same unit, shape (n_members, n_rows).
    """
    values = iter(fields.values())
    total = next(values).copy()
    for one in values:
        total += one
    return total


def sum_over_zones(fields, layers, parameters):
    """Sum of all targets as their mean over the water of several zones.

    Parameters
    ----------
    fields : dict of target to numpy.ndarray
        Amount per volume, shape (n_members, n_rows); each key has the
        attribute ``zone``.
    layers : dict of str to numpy.ndarray
        ``thickness <zone>`` (m) of every zone, shape (n_rows,), 0 where the
        zone has no cell of the domain.
    parameters : dict
        Not used.

    Returns
    -------
    numpy.ndarray
        In the same unit, shape (n_members, n_rows): the sum over zones of
        value times thickness, divided by the thickness of all zones.
    """
    zones = dict.fromkeys(target.zone for target in fields)
    whole = sum(layers[f"thickness {zone}"] for zone in zones)
    share = {
        zone: np.divide(layers[f"thickness {zone}"], whole, out=np.zeros(len(whole)), where=whole > 0).astype("float32")
        for zone in zones
    }
    total = np.float32(0)
    for target, values in fields.items():
        total = total + values * share[target.zone]
    return total
