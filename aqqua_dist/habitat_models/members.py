"""Members fitted side by side on resampled rows."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from tqdm import tqdm

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.number_columns import number_array
from aqqua_dist.core.seeds import legacy_centre, legacy_members
from aqqua_dist.habitat_models.arrays import refuse_too_large, threads, training_arrays
from aqqua_dist.habitat_models.boosting import Settings as BoostingSettings
from aqqua_dist.habitat_models.ensemble import Ensemble, Member, refuse_gaps
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.habitat_models.family import FamilySettings


@dataclass(frozen=True)
class MemberPlan:
    """What `fit_members` fits.

    Attributes
    ----------
    members : list of numpy.ndarray
        Row numbers of each member; a row may stand more than once (bootstrap).
    settings : FamilySettings
        Settings of the family, its name being their ``kind``.
    seed : int
        Seed of the recipe.
    centre : bool
        Fit one more model to all rows.
    responses : numpy.ndarray, optional
        Response of each member, shape (n_members, n_rows), where members draw
        it; the centre is fitted to the undrawn one.
    """

    members: list
    settings: FamilySettings = field(default_factory=BoostingSettings)
    seed: int = 0
    centre: bool = False
    responses: np.ndarray | None = None


def fit_members(X, y, plan, *, weights=None, jobs=1, progress=True):
    """Fit every member of an ensemble, one thread per member.

    A row that stands k times in a member is one row of k times the weight,
    which is the same likelihood and quicker; where a fit draws rows itself,
    its copies are drawn together. A member none of whose rows is other than
    zero is not fitted and predicts 0. The result does not depend on `jobs`.

    Parameters
    ----------
    X : pandas.DataFrame or array_like
        Predictors, shape (n_rows, n_predictors); NaN is missing. Column names
        of a DataFrame become the names of the predictors.
    y : array_like
        Response in its own unit, shape (n_rows,).
    plan : MemberPlan
        Members, settings and seed.
    weights : array_like, optional
        Row weights, as from `Family.weight`, shape (n_rows,).
    jobs : int
        Members fitted at the same time.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Ensemble

    Raises
    ------
    UserError
        On a bad response, weight or setting, an empty member, or a row number
        outside the table.

    Examples
    --------
    >>> import aqqua_dist as aq, numpy as np, pandas as pd
    >>> X, y = pd.DataFrame({"temperature": [2.0, 8.0, 14.0, 20.0]}), np.array([8.0, 4.0, 2.0, 1.0])
    >>> plan = aq.MemberPlan([np.array([0, 1, 2]), np.array([1, 2, 3])], seed=1, centre=True)
    >>> ensemble = aq.fit_members(X, y, plan, progress=False)
    >>> ensemble.n_members, ensemble.names, ensemble.predict(X).shape, ensemble.centres(X).shape
    (2, ['temperature'], (2, 4), (1, 4))
    """
    kind = plan.settings.kind
    family = FAMILIES[kind]
    rows, response, weights = training_arrays(X, y, weights)
    names = list(X.columns) if isinstance(X, pd.DataFrame) else [f"x{k}" for k in range(rows.shape[1])]
    family.check(response, plan.settings)
    if not family.accepts_nan:
        refuse_gaps(rows, names, kind)
    tasks = [_member_rows(k, member, len(response)) for k, member in enumerate(plan.members)]
    own = _own_responses(plan, response)
    seeds = legacy_members(plan.seed, len(tasks))
    if plan.centre:
        tasks.append((np.arange(len(response)), None))
        own.append(response)
        seeds.append(legacy_centre(plan.seed))

    def fit_one(task, seed, mine):  # numpydoc ignore=GL08
        chosen, copies = task
        total = copies if weights is None else weights[chosen] * (1.0 if copies is None else copies)
        return fit_model(plan.settings, seed, rows[chosen], mine[chosen], total)

    with ThreadPoolExecutor(threads(jobs)) as pool:
        fits = pool.map(fit_one, tasks, seeds, own)
        models = list(tqdm(fits, total=len(tasks), desc="members", unit="fit", disable=None if progress else True))
    centres = {kind: models.pop()} if plan.centre else {}
    return Ensemble(
        [Member(kind, draw, model) for draw, model in enumerate(models)],
        names,
        centres=centres,
        settings=plan.settings.model_dump(mode="json") | {"seed": plan.seed},
    )


def fit_model(settings, seed, X, y, weights=None):
    """One model on one set of rows.

    Parameters
    ----------
    settings : FamilySettings
        Settings of the family.
    seed : int
        Random seed.
    X : numpy.ndarray
        Predictors, shape (n_rows, n_predictors).
    y : numpy.ndarray
        Response, shape (n_rows,).
    weights : numpy.ndarray, optional
        Row weights; rows of weight 0 take no part.

    Returns
    -------
    scikit-learn regressor or None
        Fitted; None, which stands for the prediction 0, where no row that
        takes part is other than zero.
    """
    family = FAMILIES[settings.kind]
    found = family.labels(y, settings) != 0
    if not (found if weights is None else found & (weights > 0)).any():
        return None
    return family.estimator(settings, seed).fit(X, y, sample_weight=weights)


def _own_responses(plan, response):
    """Response of each member: its own draw, or that of all."""
    if plan.responses is None:
        return [response] * len(plan.members)
    own = number_array(plan.responses, "responses")
    if own.shape != (len(plan.members), len(response)):
        raise UserError(
            f"members: drawn responses of shape {own.shape}; needed is {(len(plan.members), len(response))}, one row per "
            "member."
        )
    refuse_too_large(own.ravel())
    FAMILIES[plan.settings.kind].check(own.ravel(), plan.settings)
    return list(own)


def _member_rows(member, rows, n_rows):
    """Distinct rows of a member and how often each stands (None: once each)."""
    rows = np.asarray(rows)
    if rows.size == 0:
        raise UserError(f"members: member {member} has 0 rows; allowed is one or more.")
    if rows.dtype.kind not in "iu" or rows.ndim != 1:
        mask = " (of a Boolean mask take numpy.flatnonzero)" if rows.dtype.kind == "b" else ""
        raise UserError(
            f"members: member {member} is of type {rows.dtype} and shape {rows.shape}; allowed are row numbers, whole "
            f"and in one dimension{mask}."
        )
    outside = (rows < 0) | (rows >= n_rows)
    if outside.any():
        raise UserError(f"members: member {member} names row {rows[outside][0]}; allowed are 0 to {n_rows - 1}.")
    chosen, copies = np.unique(rows, return_counts=True)
    return chosen, None if copies.max() == 1 else copies.astype(np.float64)
