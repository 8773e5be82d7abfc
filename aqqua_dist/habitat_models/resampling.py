"""Rows split and folded, by strata."""

import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.seeds import legacy_rows


def stratified_split(strata, test_fraction=0.2, seed=0):
    """One split into training and test rows, with the same share of each stratum.

    Parameters
    ----------
    strata : array_like
        Stratum of each row, shape (n_rows,).
    test_fraction : float
        Share of test rows, above 0 and below 1.
    seed : int
        Random seed.

    Returns
    -------
    tuple of numpy.ndarray
        Row numbers of training and test rows, ascending. In a stratum of n
        rows, ``round(n * test_fraction)`` are test rows.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> train, test = aq.stratified_split([0, 0, 0, 0, 1, 1, 1, 1], 0.25, seed=1)
    >>> len(train), sorted(int(row > 3) for row in test)
    (6, [0, 1])
    """
    if not 0 < test_fraction < 1:
        raise UserError(f"test_fraction: {test_fraction}; allowed is above 0 and below 1.")
    strata, rng = np.asarray(strata), legacy_rows(seed)
    test = np.zeros(strata.size, dtype=bool)
    for stratum in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        test[rows[: round(rows.size * test_fraction)]] = True
    if test.all() or not test.any():
        raise UserError(
            f"test_fraction: {test_fraction} of {strata.size} rows gives {int(test.sum())} test rows; "
            "allowed is at least one training and one test row."
        )
    return np.flatnonzero(~test), np.flatnonzero(test)


def stratified_folds(strata, n_folds=5, n_repeats=20, seed=0):
    """Repeated stratified k-fold: each stratum is dealt out to the folds.

    Unlike scikit-learn's, strata of fewer rows than folds are allowed: dealing
    goes on from stratum to stratum, so folds differ by one row at most.

    Parameters
    ----------
    strata : array_like
        Stratum of each row, shape (n_rows,).
    n_folds, n_repeats : int
        Folds, and how often the dealing is done anew.
    seed : int
        Random seed.

    Returns
    -------
    list of (numpy.ndarray, numpy.ndarray)
        Row numbers to train and to validate on, ascending; n_folds * n_repeats pairs.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> pairs = aq.stratified_folds([0, 0, 0, 1, 1, 1], n_folds=3, n_repeats=2)
    >>> len(pairs), [len(held_out) for _, held_out in pairs]
    (6, [2, 2, 2, 2, 2, 2])
    """
    strata, rng = np.asarray(strata), legacy_rows(seed)
    if not 2 <= n_folds <= strata.size:
        raise UserError(f"n_folds: {n_folds}; allowed is 2 to {strata.size}, the number of rows.")
    pairs = []
    for _ in range(n_repeats):
        order = np.lexsort((rng.random(strata.size), strata))
        fold = np.empty(strata.size, dtype=int)
        fold[order] = (np.arange(strata.size) + rng.integers(n_folds)) % n_folds
        pairs += [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]
    return pairs
