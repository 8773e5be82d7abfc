"""Scheme ``random``: shuffled rows, strata shared out."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from aqqua_dist.core.errors import UserError
from aqqua_dist.validation.scheme import Scheme


class RandomFolds(Scheme):
    """Rows at random, each stratum with the same share in every fold."""

    needs = ("stratum",)

    @classmethod
    def folds(cls, rows, domain, settings, seed):
        """Fold of each row (scikit-learn `StratifiedKFold`).

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
        if settings.folds > len(rows):
            raise UserError(f"{len(rows)} rows for {settings.folds} folds; allowed are 2 to {len(rows)} folds.")
        strata = rows["stratum"].to_numpy()
        if pd.Series(strata).value_counts().min() < settings.folds:
            strata = _merge_small(strata, settings.folds)
        dealt = StratifiedKFold(settings.folds, shuffle=True, random_state=seed).split(strata[:, None], strata)
        found = np.empty(len(rows), dtype=int)
        for fold, (_, test) in enumerate(dealt):
            found[test] = fold
        return found


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
