"""Validation schemes by name."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from aqqua_dist.core.errors import UserError

SCHEMES = ("random", "spatial_block")


def make_folds(scheme, n_rows, *, groups=None, strata=None, n_folds=5, seed=0):
    """Row numbers to train and to test on.

    Parameters
    ----------
    scheme : {'random', 'spatial_block'}
        Shuffled rows, or whole blocks (scikit-learn `GroupKFold`).
    n_rows : int
        Number of rows.
    groups : array_like, optional
        Block of each row; needed by 'spatial_block'.
    strata : array_like, optional
        Stratum of each row; 'random' keeps its share in each fold.
    n_folds : int
        Number of folds.
    seed : int
        Random seed of 'random'.

    Returns
    -------
    list of (numpy.ndarray, numpy.ndarray)

    Raises
    ------
    UserError
        On an unknown scheme, or fewer rows or blocks than folds.
    """
    if scheme not in SCHEMES:
        raise UserError(f"validation scheme {scheme!r} is unknown; allowed are {list(SCHEMES)}.")
    if not 2 <= n_folds <= n_rows:
        raise UserError(
            f"validation scheme {scheme!r}: {n_folds} folds of {n_rows} rows; allowed are 2 to {n_rows} folds."
        )
    for name, values in (("groups", groups), ("strata", strata)):
        if values is not None and len(values) != n_rows:
            raise UserError(f"validation scheme {scheme!r}: {len(values)} {name}; allowed is one per row, {n_rows}.")
    rows = np.zeros((n_rows, 1))
    if scheme == "spatial_block":
        if groups is None:
            raise UserError(f"validation scheme {scheme!r} has groups {groups}; needed is the block of each row.")
        count = len(pd.unique(np.asarray(groups)))
        if count < n_folds:
            raise UserError(
                f"validation scheme 'spatial_block': {count} blocks for {n_folds} folds; allowed are at least as many "
                "blocks as folds (use smaller blocks or fewer folds)."
            )
        return list(GroupKFold(n_folds).split(rows, groups=groups))
    if strata is None:
        return list(KFold(n_folds, shuffle=True, random_state=seed).split(rows))
    strata = np.asarray(strata)
    if pd.Series(strata).value_counts().min() < n_folds:
        strata = _merge_small(strata, n_folds)
    return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, strata))


def _merge_small(strata, n_folds):
    """Strata of fewer rows than folds joined with the next one, in ascending order."""
    codes, counts = np.unique(strata, return_inverse=True, return_counts=True)[1:]
    label, held, joined = 0, 0, np.empty(counts.size, dtype=int)
    for k, count in enumerate(counts):
        joined[k] = label
        held += count
        if held >= n_folds and counts[k + 1 :].sum() >= n_folds:
            label, held = label + 1, 0
    return joined[codes]
