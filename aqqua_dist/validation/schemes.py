"""Validation schemes by name: a new one is one file and one line here."""

import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.validation.cruises import Cruises
from aqqua_dist.validation.knndm import NearestNeighbourMatching
from aqqua_dist.validation.random_folds import RandomFolds
from aqqua_dist.validation.spatial_blocks import SpatialBlocks

SCHEMES = {
    "random": RandomFolds,
    "spatial_block": SpatialBlocks,
    "cruise": Cruises,
    "knndm": NearestNeighbourMatching,
}
"""Name in the recipe (``validation: {schemes: [...]}``) to scheme."""
CLAIMED = ("knndm", "spatial_block", "cruise", "random")
"""Schemes whose error the area of applicability claims, the first possible one."""


def scheme_folds(name, rows, domain, settings, seed):
    """Fold of each row under one scheme.

    Parameters
    ----------
    name : str
        A key of `SCHEMES`.
    rows : pandas.DataFrame
        Training rows.
    domain : xarray.Dataset or None
        Grid to be predicted.
    settings : SchemeSettings
        Of this scheme.
    seed : int
        Seed of the recipe.

    Returns
    -------
    numpy.ndarray
        int, shape (n_rows,): 0, 1, ...; -1 is never tested.

    Raises
    ------
    UserError
        With the reason, when the scheme is not possible on these rows.
    """
    if name not in SCHEMES:
        raise UserError(f"validation scheme {name!r} is unknown; allowed are {list(SCHEMES)}.")
    missing = [column for column in SCHEMES[name].needs if column not in rows]
    if missing:
        raise UserError(f"the rows have no column {missing[0]!r}, which scheme {name!r} needs.")
    return SCHEMES[name].folds(rows, domain, settings, seed)


def look_at_domain(names):
    """Whether some schemes need the grid to be predicted.

    Parameters
    ----------
    names : iterable of str
        Keys of `SCHEMES`.

    Returns
    -------
    bool
    """
    return any(SCHEMES[name].looks_at_domain for name in names)


def study_folds(schemes, rows, domain, seed):
    """Folds of all schemes of a study on the rows of one target.

    Parameters
    ----------
    schemes : dict of str to SchemeSettings
        Schemes in the order in which they are reported.
    rows : pandas.DataFrame
        Training rows.
    domain : xarray.Dataset or None
        Grid to be predicted.
    seed : int
        Seed of the recipe.

    Returns
    -------
    tuple of (dict of str to numpy.ndarray, dict of str to str)
        Fold of each row by scheme, and for each scheme that is not possible
        its reason.
    """
    found, impossible = {}, {}
    for name, settings in schemes.items():
        try:
            found[name] = scheme_folds(name, rows, domain, settings, seed)
        except UserError as error:
            impossible[name] = str(error)
    return found, impossible


def claimed_folds(folds):
    """Folds whose error is claimed inside the area of applicability.

    Parameters
    ----------
    folds : dict of str to numpy.ndarray
        Fold of each row by scheme.

    Returns
    -------
    numpy.ndarray or None
        Those of the first scheme of `CLAIMED` that is there, else of the
        first of all; None where no scheme is possible.
    """
    names = [name for name in CLAIMED if name in folds] + list(folds)
    return folds[names[0]] if names else None


def splits(folds):
    """Row numbers to train and to test on.

    Parameters
    ----------
    folds : array_like
        Fold of each row, shape (n_rows,); -1 is never tested.

    Returns
    -------
    list of (numpy.ndarray, numpy.ndarray)
        One pair per fold, ascending.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> [(train.tolist(), test.tolist()) for train, test in aq.splits([0, 1, 0, -1])]
    [([1, 3], [0, 2]), ([0, 2, 3], [1])]
    """
    folds = np.asarray(folds)
    return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in np.unique(folds[folds >= 0])]
