"""Scheme ``cruise``: whole cruises, one at a time or, where there are many, in groups."""

import numpy as np
import pandas as pd
from sklearn.model_selection import LeaveOneGroupOut

from aqqua_dist.core.errors import UserError
from aqqua_dist.validation.scheme import NEVER, Scheme
from aqqua_dist.validation.spatial_blocks import grouped

LEAVE_ONE_OUT = 20
"""Most cruises that are left out one by one; of more, whole cruises are dealt out to the folds."""


class Cruises(Scheme):
    """Cruises that the model has not seen, each with its own effect.

    Up to 20 cruises are left out one by one; more are dealt out, whole, to
    ``folds`` folds. Rows without a cruise are never tested.
    """

    needs = ("cruise",)

    @classmethod
    def folds(cls, rows, domain, settings, seed):
        """Fold of each row (`LeaveOneGroupOut` or `GroupKFold` of scikit-learn).

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
        named = rows["cruise"].notna().to_numpy()
        codes = pd.factorize(rows["cruise"][named].astype(str), sort=True)[0]
        count = len(np.unique(codes))
        if count < 2:
            raise UserError(f"{count} cruises; allowed are 2 or more, so that one can be left out.")
        found = np.full(len(rows), NEVER)
        if count > LEAVE_ONE_OUT:
            found[named] = grouped(codes, settings.folds, "cruises", "use fewer folds")
            return found
        tested = np.empty(len(codes), dtype=int)
        for fold, (_, test) in enumerate(LeaveOneGroupOut().split(codes[:, None], groups=codes)):
            tested[test] = fold
        found[named] = tested
        return found
