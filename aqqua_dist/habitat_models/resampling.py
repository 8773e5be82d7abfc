"""Rows split, folded and drawn again."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError


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
    """
    if not 0 < test_fraction < 1:
        raise UserError(f"test_fraction: {test_fraction}; allowed is above 0 and below 1.")
    strata, rng = np.asarray(strata), np.random.default_rng(seed)
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
    """
    strata, rng = np.asarray(strata), np.random.default_rng(seed)
    if not 2 <= n_folds <= strata.size:
        raise UserError(f"n_folds: {n_folds}; allowed is 2 to {strata.size}, the number of rows.")
    pairs = []
    for _ in range(n_repeats):
        order = np.lexsort((rng.random(strata.size), strata))
        fold = np.empty(strata.size, dtype=int)
        fold[order] = (np.arange(strata.size) + rng.integers(n_folds)) % n_folds
        pairs += [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]
    return pairs


def bootstrap(rows, n, seed):
    """Row numbers of members that draw whole cruises with replacement.

    Where the table has no cruise, the cross-validation blocks stand in for
    it: rows that were sampled together must stay together.

    Parameters
    ----------
    rows : Rows
        Prepared rows.
    n : int
        Number of members.
    seed : int
        Random seed.

    Returns
    -------
    list of numpy.ndarray
        Row numbers, repeats allowed; every member has a positive row.
    """
    unit = rows.table["cruise" if "cruise" in rows.table else "block"].iloc[rows.train]
    groups = [rows.train[np.flatnonzero(codes)] for codes in (unit.to_numpy() == u for u in pd.unique(unit))]
    if len(groups) < 3:
        raise UserError(f"{len(groups)} cruises, at least 3 are needed to draw cruises; use members.scheme: folds.")
    random = np.random.default_rng([seed, 7])
    members = []
    while len(members) < n:
        drawn = np.concatenate([groups[k] for k in random.integers(len(groups), size=len(groups))])
        if (rows.labels[drawn] != 0).any():
            members.append(drawn)
    return members


def member_seeds(seed, n):
    """Seeds of `n` members, from the seed of the recipe; the k-th does not depend on `n`.

    Parameters
    ----------
    seed : int or sequence of int
        0 or more.
    n : int
        Number of seeds.

    Returns
    -------
    list of int
        0 to 2**31 - 1.
    """
    return [int(child.generate_state(1)[0] >> 1) for child in np.random.SeedSequence(seed).spawn(n)]
