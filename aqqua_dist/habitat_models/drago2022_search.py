"""Settings search of Drago et al. 2022: label scale, strata, resamples, grid and round rule."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import NamedTuple
from warnings import warn

import numpy as np
import pandas as pd
import xgboost as xgb
from tqdm import tqdm

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.seeds import legacy_members
from aqqua_dist.habitat_models.arrays import training_arrays
from aqqua_dist.habitat_models.boosted_trees import TreeSettings, booster_params, check_labels, start_value

LOOK_BACK = 10
"""Rounds over which the mean loss must have fallen by less than `MIN_GAIN`."""
MIN_GAIN = 0.01
METRIC = {
    "count:poisson": "poisson-nloglik",
    "reg:tweedie": "tweedie-nloglik@1.5",
    "reg:gamma": "gamma-nloglik",
    "reg:squarederror": "rmse",
}


class Rounds(NamedTuple):
    """Answer of the round rule.

    Attributes
    ----------
    kept : int
        Rounds to keep.
    flat : int
        i*, the round at which the curve was flat.
    met : bool
        Whether it ever was.
    """

    kept: int
    flat: int
    met: bool


def _flat_round(mean_loss):
    """First round i >= 11 with ``0.99 L(i-10) <= L(i) <= L(i-10)``, counted from 1; None when there is none."""
    loss = np.asarray(mean_loss, dtype=np.float64)
    before, now = loss[:-LOOK_BACK], loss[LOOK_BACK:]
    hits = np.flatnonzero(((1 - MIN_GAIN) * before <= now) & (now <= before))
    return int(hits[0]) + LOOK_BACK + 1 if hits.size else None


def select_rounds(mean_loss, se_loss):
    """Number of rounds by the rule of Drago et al. 2022.

    i* is the first round i >= 11 with ``0.99 L(i-10) <= L(i) <= L(i-10)``;
    Z = L(i*) + SE(i*); kept is the round i <= i* with the smallest positive
    L(i) - Z: the shortest fit within one standard error, seen from above.

    Parameters
    ----------
    mean_loss, se_loss : array_like
        Mean validation loss after each round and its standard error over the
        resamples, shape (n_rounds,).

    Returns
    -------
    Rounds
        Rounds are counted from 1. Where the curve never meets the rule, i* is
        the last round and ``met`` is False; where no round lies above Z, i* is
        kept (neither case is described in the paper).

    References
    ----------
    Drago et al. 2022, doi 10.3389/fmars.2022.894372 (public code).
    """
    loss, se = np.asarray(mean_loss, dtype=np.float64), np.asarray(se_loss, dtype=np.float64)
    if loss.ndim != 1 or loss.size == 0 or loss.shape != se.shape:
        raise UserError(
            f"mean_loss: shape {loss.shape}, se_loss: shape {se.shape}; allowed are two equal, non-empty curves."
        )
    found = _flat_round(loss)
    flat = loss.size if found is None else found
    above = loss[:flat] - (loss[flat - 1] + se[flat - 1])
    above = np.where(above > 0, above, np.inf)
    kept = int(np.argmin(above)) + 1 if np.isfinite(above).any() else flat
    return Rounds(kept, flat, found is not None)


@dataclass(frozen=True)
class SearchPlan:
    """What `grid_search` tries.

    Attributes
    ----------
    folds : list of (numpy.ndarray, numpy.ndarray)
        Row numbers to train and to validate on, one pair per resample.
    learning_rates, max_depths, min_child_weights : tuple
        The grid.
    max_rounds : int
        Rounds after which a setting stops whether or not it met the rule.
    base : TreeSettings
        The settings that are not searched.
    seed : int
        Seed of the recipe; the k-th resample has the k-th of `aqqua_dist.core.seeds.legacy_members`,
        so that `fit_members` on the same rows grows the same trees.
    block : int
        Rounds between two looks at the mean curve.
    """

    folds: list
    learning_rates: tuple = (0.05, 0.075, 0.1)
    max_depths: tuple = (2, 4, 6)
    min_child_weights: tuple = (1, 3, 5)
    max_rounds: int = 600
    base: TreeSettings = TreeSettings(subsample=0.5, tree_method="exact", base_score=0.5)
    seed: int = 0
    block: int = 10

    def settings(self):
        """Every setting of the grid.

        Returns
        -------
        list of TreeSettings
            ``n_rounds`` is ``max_rounds``.
        """
        grid = product(self.learning_rates, self.max_depths, self.min_child_weights)
        return [
            replace(self.base, learning_rate=eta, max_depth=depth, min_child_weight=mcw, n_rounds=self.max_rounds)
            for eta, depth, mcw in grid
        ]


class SearchResult(NamedTuple):
    """Answer of `grid_search`.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per setting.
    winner : dict
        Settings for `fit_members`.
    """

    table: pd.DataFrame
    winner: dict


class _Resample:
    """Training and validation rows of one resample, and the booster being grown on them."""

    def __init__(self, data, pair, seed):
        X, y, weights = data
        self.seed = seed
        self.train, self.check = (
            xgb.DMatrix(X[rows], y[rows], weight=None if weights is None else weights[rows], nthread=1) for rows in pair
        )
        self.start = (y[pair[0]], None if weights is None else weights[pair[0]])

    def begin(self, settings):
        params = booster_params(settings, start_value(settings, *self.start), self.seed)
        params["eval_metric"] = METRIC[settings.objective]
        self.booster = xgb.Booster(params, [self.train, self.check])

    def grow(self, first, last):
        """Losses on the validation rows after rounds `first` to `last` - 1 (counted from 0)."""
        losses = []
        for i in range(first, last):
            self.booster.update(self.train, i)
            losses.append(float(self.booster.eval_set([(self.check, "check")], i).rsplit(":", 1)[1]))
        return losses


def _loss_curve(resamples, settings, pool, block):
    """Losses of all resamples (n_resamples, n_rounds), grown together until their mean meets the rule.

    The rule looks back only: what it selects is the same as after all rounds.
    """
    for resample in resamples:
        resample.begin(settings)
    losses = np.empty((len(resamples), 0))
    while losses.shape[1] < settings.n_rounds and (
        losses.shape[1] <= LOOK_BACK or _flat_round(losses.mean(axis=0)) is None
    ):
        first = losses.shape[1]
        last = min(first + block, settings.n_rounds)
        grown = list(pool.map(lambda resample, first=first, last=last: resample.grow(first, last), resamples))
        losses = np.hstack([losses, np.array(grown)])
    return losses


def grid_search(X, y, plan, *, weights=None, jobs=1, progress=True):
    """Best setting and number of rounds by the rule of Drago et al. 2022.

    Parameters
    ----------
    X : pandas.DataFrame or array_like
        Predictors, shape (n_rows, n_predictors); NaN is missing.
    y : array_like
        Labels, shape (n_rows,).
    plan : SearchPlan
        Resamples, grid and seed.
    weights : array_like, optional
        Row weights (effort), in fit and loss.
    jobs : int
        Resamples grown at the same time, one thread each.
    progress : bool
        Show a progress bar.

    Returns
    -------
    SearchResult
        The table has one row per setting: learning_rate, max_depth,
        min_child_weight, rounds, loss and se (at the kept round), flat_round,
        met, rounds_grown, winner. The winner has the smallest loss; of equal
        ones, the first.

    Raises
    ------
    UserError
        On fewer than 2 resamples or a bad label.

    Warns
    -----
    MethodWarning
        When the winner's mean loss never became flat.

    References
    ----------
    Drago et al. 2022, doi 10.3389/fmars.2022.894372.
    """
    if len(plan.folds) < 2:
        raise UserError(f"folds: {len(plan.folds)} resample; allowed are 2 or more, the rule needs a standard error.")
    data = training_arrays(X, y, weights)
    check_labels(data[1], plan.base.objective)
    seeds = legacy_members(plan.seed, len(plan.folds))
    resamples = [_Resample(data, pair, seed) for pair, seed in zip(plan.folds, seeds, strict=True)]
    found = []
    with ThreadPoolExecutor(jobs) as pool:
        for settings in tqdm(plan.settings(), desc="search", unit="setting", disable=None if progress else True):
            losses = _loss_curve(resamples, settings, pool, plan.block)
            found.append(_row(settings, losses))
    table = pd.DataFrame(found)
    best = int(table["loss"].to_numpy().argmin())
    table["winner"] = np.arange(len(table)) == best
    row = table.iloc[best]
    if not row["met"]:
        warn(
            f"search: the mean loss of the best setting was still falling after {plan.max_rounds} rounds; "
            f"{row['rounds']} rounds are kept, more rounds may be better.",
            MethodWarning,
            stacklevel=2,
        )
    return SearchResult(table, asdict(replace(plan.settings()[best], n_rounds=int(row["rounds"]))))


def _row(settings, losses):
    mean, se = losses.mean(axis=0), losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
    rounds = select_rounds(mean, se)
    return {
        "learning_rate": settings.learning_rate,
        "max_depth": settings.max_depth,
        "min_child_weight": settings.min_child_weight,
        "rounds": rounds.kept,
        "loss": mean[rounds.kept - 1],
        "se": se[rounds.kept - 1],
        "flat_round": rounds.flat,
        "met": rounds.met,
        "rounds_grown": losses.shape[1],
    }
