"""Scheme ``spatial_block``: whole blocks of the ocean."""

from typing import Annotated

import numpy as np
from pydantic import Field
from sklearn.model_selection import GroupKFold

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import block_id
from aqqua_dist.validation.scheme import Scheme, SchemeSettings


class Settings(SchemeSettings):
    """Blocks dealt out to folds; `block_size` is their height (degrees)."""

    block_size: Annotated[float, Field(gt=0, le=90)] = 10.0


class SpatialBlocks(Scheme):
    """Blocks of equal height, dealt out so that folds have about as many rows.

    References
    ----------
    Roberts et al. 2017, doi 10.1111/ecog.02881.
    """

    Settings = Settings
    needs = ("lat", "lon")

    @classmethod
    def folds(cls, rows, domain, settings, seed):
        """Fold of each row (scikit-learn `GroupKFold`).

        Parameters
        ----------
        rows, domain, settings, seed
            As for `Scheme.folds`.

        Returns
        -------
        numpy.ndarray
            int, shape (n_rows,): 0, 1, ...; -1 is never tested.

        Raises
        ------
        UserError
            As for `Scheme.folds`.
        """
        blocks = block_id(rows["lat"], rows["lon"], settings.block_size)
        return grouped(blocks, settings.folds, "blocks", "use smaller blocks or fewer folds")


def grouped(groups, n_folds, what, advice):
    """Whole groups dealt out to folds.

    Parameters
    ----------
    groups : numpy.ndarray
        Group of each row, shape (n_rows,).
    n_folds : int
        Number of folds.
    what, advice : str
        Plural of a group, and what to do, for the message.

    Returns
    -------
    numpy.ndarray
        int, shape (n_rows,).

    Raises
    ------
    UserError
        On fewer groups than folds.
    """
    count = len(np.unique(groups))
    if count < n_folds:
        raise UserError(f"{count} {what} for {n_folds} folds; allowed are at least as many {what} as folds ({advice}).")
    found = np.empty(len(groups), dtype=int)
    for fold, (_, test) in enumerate(GroupKFold(n_folds).split(groups[:, None], groups=groups)):
        found[test] = fold
    return found
