"""Draws with identity: what each member of a study draws, once for all its taxa and zones.

Member k of every target holds the same cruises and the same draw of every
shared error, so that sums over taxa and zones are right member by member.
"""

from collections.abc import Hashable

import numpy as np
import pandas as pd

from aqqua_dist.core import seeds
from aqqua_dist.core.errors import UserError

MIN_UNITS = 3
"""Fewest cruises of a target that can be drawn with replacement."""
SOURCES = {
    "cruise": False,
    "counting": False,
    "volume": False,
    "classifier": True,
    "conversion": True,
    "calibration": True,
    "predictor_product": True,
    "rate_parameters": True,
}
"""Source of uncertainty to whether the units of observation share its draw.

Resampling units holds every error that is independent between them; drawing
such an error once more gives its variance three times (Davison & Hinkley 1997,
doi 10.1017/CBO9780511802843, chapter 3).
"""


def plan(sources, units, n_members, seed):
    """What every member of a study draws.

    Parameters
    ----------
    sources : sequence of str
        Keys of `SOURCES`.
    units : sequence or None
        Cruises that are drawn with replacement; None where none are.
    n_members : int
        Number of members.
    seed : int
        Seed of the recipe.

    Returns
    -------
    pandas.DataFrame
        Columns ``member, source, seed``; one row per member and source, in
        the order of the members. The seed of a source does not depend on the
        others, nor that of a member on their number.

    Raises
    ------
    UserError
        On an unknown or repeated source, or one that is independent between
        units beside a resampling of units.
    """
    sources = list(sources)
    for name in sources:
        if name not in SOURCES or sources.count(name) > 1:
            raise UserError(f"draws: source {name!r} is unknown or repeated; allowed are {list(SOURCES)}, each once.")
    if n_members < 1:
        raise UserError(f"draws: {n_members} members; allowed is 1 or more.")
    if units is not None:
        twice = [name for name in sources if not SOURCES[name] and name != "cruise"]
        if twice:
            raise UserError(
                f"draws: {twice[0]!r} is independent between cruises, so that drawing {len(list(units))} cruises holds it "
                f"already; allowed beside it are {[name for name, shared in SOURCES.items() if shared]}."
            )
    rows = [(member, name, seeds.whole_seed(seed, name, member)) for member in range(n_members) for name in sources]
    return pd.DataFrame(rows, columns=["member", "source", "seed"])


def unit_column(table):
    """Column whose rows were sampled together: the cruise, else the validation block.

    Parameters
    ----------
    table : pandas.DataFrame
        Training rows.

    Returns
    -------
    str
    """
    return "cruise" if "cruise" in table else "block"


def study_units(training):
    """Cruises of a study, in the order of their first row.

    Parameters
    ----------
    training : pandas.DataFrame
        Training rows of all targets.

    Returns
    -------
    list
        Names; of validation blocks where the table has no cruise.
    """
    return pd.unique(training[unit_column(training)].dropna()).tolist()


def copies(units, n_members, seed):
    """How often each member of a study holds each cruise.

    Whole cruises are drawn with replacement, as many as there are: rows that
    were sampled together stay together. No draw is rejected.

    Parameters
    ----------
    units : sequence
        Cruises of the study, each once.
    n_members : int
        Number of members.
    seed : int
        Seed of the recipe.

    Returns
    -------
    pandas.DataFrame
        Columns ``member, cruise, copies``, all pairs, in the order of members
        and units; a member's copies sum up to the number of cruises and do
        not depend on the number of members.

    Raises
    ------
    UserError
        On repeated or fewer than 3 cruises.
    """
    units = list(units)
    if len(set(units)) < len(units):
        raise UserError(f"draws: {len(units)} cruises of which {len(set(units))} are different; allowed is each once.")
    _enough(len(units))
    random = seeds.legacy_cruises(seed)
    drawn = [np.bincount(random.integers(len(units), size=len(units)), minlength=len(units)) for _ in range(n_members)]
    return pd.DataFrame(
        {
            "member": np.repeat(np.arange(n_members), len(units)),
            "cruise": units * n_members,
            "copies": np.concatenate(drawn) if drawn else np.array([], dtype=int),
        }
    )


def drawn_rows(unit, train, held, seed):
    """Rows of one target that each member of the study holds.

    Parameters
    ----------
    unit : array_like
        Cruise of each row of the target, shape (n_rows,); a row without one
        is in every member once.
    train : numpy.ndarray
        Row numbers that may be used.
    held : pandas.DataFrame
        As from `copies`, for all cruises of the study.
    seed : int
        Seed of the recipe, for the members below.

    Returns
    -------
    tuple of (list of numpy.ndarray, list of int)
        Row numbers of each member, repeats allowed; and the members that hold
        none of the target's cruises, so that they would know nothing of it.
        For those its own cruises are drawn.

    Raises
    ------
    UserError
        When the target has fewer than 3 cruises, or one that the study lacks.
    """
    unit = pd.Series(np.asarray(unit, dtype=object)[train])
    own: list[Hashable] = pd.unique(unit.dropna()).tolist()
    _enough(len(own))
    table = held.pivot(index="member", columns="cruise", values="copies")
    lost = [name for name in own if name not in table]
    if lost:
        raise UserError(f"draws: cruise {lost[0]!r} is not among the {table.shape[1]} that the study draws; draw anew.")
    groups = {name: train[(unit == name).to_numpy()] for name in own}
    loose, members, redrawn = train[unit.isna().to_numpy()], [], []
    for member, counts in table[own].iterrows():
        if not counts.sum() and not loose.size:
            random = seeds.stream(seed, "own cruises", int(member))
            counts = pd.Series(random.multinomial(len(own), np.full(len(own), 1 / len(own))), index=own)
            redrawn.append(int(member))
        members.append(np.concatenate([loose, *(np.tile(groups[name], int(counts[name])) for name in own)]))
    return members, redrawn


def _enough(count):
    if count < MIN_UNITS:
        raise UserError(f"{count} cruises, at least {MIN_UNITS} are needed to draw cruises; use members.scheme: folds.")
