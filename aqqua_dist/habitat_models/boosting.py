"""Family ``boosting``: boosted trees (XGBoost), with the published search of Drago et al. 2022."""

from dataclasses import fields
from typing import Annotated, Literal

import numpy as np
import xgboost as xgb
from pydantic import Field

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.section import Count, Positive, Section, Taxon
from aqqua_dist.habitat_models.boosted_trees import (
    BoostedTrees,
    TreeSettings,
    check_labels,
    gain_shares,
    label_scale,
    scaled_labels,
)
from aqqua_dist.habitat_models.drago2022_search import SearchPlan, grid_search
from aqqua_dist.habitat_models.family import Family, FamilySettings

DEFAULT_POWER = TreeSettings.tweedie_variance_power
LABEL_SCALE = "label_scale"
"""Attribute of a saved booster that holds the scale of its labels."""


class Published(Section):
    """Settings that a paper found for one target."""

    taxon: Taxon
    zone: str
    learning_rate: Positive
    max_depth: Count
    min_child_weight: Annotated[float, Field(ge=0)]
    rounds: Count


class SearchGrid(Section):
    """Values to try; every combination is one setting."""

    learning_rate: Annotated[list[Positive], Field(min_length=1)] = [0.05, 0.075, 0.1]
    max_depth: Annotated[list[Count], Field(min_length=1)] = [2, 4, 6]
    min_child_weight: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] = [1, 3, 5]

    @property
    def size(self):
        """Number of settings (int)."""
        return len(self.learning_rate) * len(self.max_depth) * len(self.min_child_weight)


class Settings(FamilySettings):
    """Boosted trees: one setting, or a search.

    `label_scale` is what labels are multiplied with before they are fitted;
    left out, `response_scale` takes it from all rows of the target.
    """

    kind: Literal["boosting"] = "boosting"
    objective: Literal["count:poisson", "reg:tweedie", "reg:gamma", "reg:squarederror"] = "count:poisson"
    tweedie_variance_power: Annotated[float, Field(gt=1, lt=2)] = DEFAULT_POWER
    tree_method: Literal["exact", "hist", "approx"] = "hist"
    base_score: Positive | None = None
    response_scale: Literal["drago2022", "mean"] = "mean"
    label_scale: Positive | None = None
    rounds: Count = 300
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    max_depth: Annotated[int, Field(ge=1, le=20)] = 4
    min_child_weight: Annotated[float, Field(ge=0)] = 3.0
    subsample: Annotated[float, Field(gt=0, le=1)] = 0.5
    search: Literal["none", "grid", "published"] = "none"
    grid: SearchGrid = SearchGrid()
    published: list[Published] = []


class Boosting(Family):
    """Boosted trees; rows may lack predictors."""

    Settings = Settings
    long_name = "boosted regression trees"
    accepts_nan = True
    suffix = "ubj"

    @classmethod
    def estimator(cls, settings, seed):
        """Boosted trees, not fitted.

        Parameters
        ----------
        settings, seed
            As for `Family.estimator`.

        Returns
        -------
        scikit-learn regressor
            ``fit(X, y, sample_weight)`` takes y as a rate in its own unit;
            ``predict(X)`` gives the same.
        """
        scale = settings.response_scale if settings.label_scale is None else settings.label_scale
        return BoostedTrees(
            **vars(_tree_settings(settings)),
            label_scale=scale,
            round_labels=settings.response_scale == "drago2022",
            random_state=seed,
        )

    @classmethod
    def weight(cls, effort, settings):
        """V (Poisson, squared error), V^(2-p) (Tweedie) or 1 (gamma).

        Parameters
        ----------
        effort, settings
            As for `Family.weight`.

        Returns
        -------
        numpy.ndarray
            Shape (n_rows,).
        """
        if settings.objective == "reg:gamma":
            return np.ones_like(effort)
        if settings.objective == "reg:tweedie":
            return effort ** (2 - settings.tweedie_variance_power)
        return effort

    @classmethod
    def dump(cls, model):
        """The booster in XGBoost's own format.

        Parameters
        ----------
        model
            As for `Family.dump`.

        Returns
        -------
        bytes
            Equal for equal models, and free of code.
        """
        model.booster_.set_attr(**{LABEL_SCALE: repr(model.label_scale_)})
        return bytes(model.booster_.save_raw("ubj"))

    @classmethod
    def load(cls, raw):
        """Fitted trees.

        Parameters
        ----------
        raw
            As for `Family.load`.

        Returns
        -------
        scikit-learn regressor

        Raises
        ------
        UserError
            The bytes are no saved model of this family.
        """
        try:
            booster = xgb.Booster(model_file=bytearray(raw))
            scale = float(booster.attr(LABEL_SCALE))
        except (xgb.core.XGBoostError, TypeError, ValueError) as error:
            raise UserError(
                f"saved trees of {len(raw)} bytes cannot be read ({str(error).splitlines()[0]}); fit again."
            ) from None
        booster.set_param({"nthread": 1})
        model = BoostedTrees(label_scale=scale)
        model.booster_, model.label_scale_, model.n_features_in_ = booster, scale, booster.num_features()
        return model

    @classmethod
    def importances(cls, model):
        """Share of the total gain.

        Parameters
        ----------
        model
            As for `Family.importances`.

        Returns
        -------
        numpy.ndarray or None
            Shape (n_predictors,), sum 1.
        """
        return gain_shares(model.booster_, model.n_features_in_)

    @classmethod
    def settled(cls, settings, y, *, signed=False):
        """Settings with the label scale of all rows.

        Parameters
        ----------
        settings, y, signed
            As for `Family.settled`.

        Returns
        -------
        Settings
        """
        wanted = settings.response_scale if settings.label_scale is None else settings.label_scale
        return settings.model_copy(update={"label_scale": label_scale(wanted, y, signed=signed)})

    @classmethod
    def labels(cls, y, settings):
        """Scaled rates, rounded to counts where the recipe says drago2022.

        Parameters
        ----------
        y, settings
            As for `Family.labels`.

        Returns
        -------
        numpy.ndarray
            Of the same shape.
        """
        scale = 1.0 if settings.label_scale is None else settings.label_scale
        return scaled_labels(y, scale, settings.label_scale is not None and settings.response_scale == "drago2022")

    @classmethod
    def check(cls, y, settings):
        """Refuse a rate that the objective does not allow.

        Parameters
        ----------
        y, settings
            As for `Family.check`.

        Raises
        ------
        UserError
            As for `Family.check`.
        """
        check_labels(y, settings.objective)

    @classmethod
    def tuned(cls, settings, data, task):
        """Settings of the search or of the paper.

        Parameters
        ----------
        settings, data, task
            As for `Family.tuned`.

        Returns
        -------
        tuple of (Settings, pandas.DataFrame or None)
            Settings of the fit, and a table of what was tried.
        """
        if settings.search == "published":
            return settings.model_copy(update=_published(settings, task)), None
        if settings.search == "none":
            return settings, None
        X, y, weights = data
        plan = SearchPlan(
            task.folds,
            tuple(settings.grid.learning_rate),
            tuple(settings.grid.max_depth),
            tuple(settings.grid.min_child_weight),
            max_rounds=settings.rounds,
            base=_tree_settings(settings),
            seed=task.seed,
        )
        labels = cls.labels(y, settings)
        found = grid_search(X, labels, plan, weights=weights, jobs=task.jobs, progress=task.progress)
        names = ("learning_rate", "max_depth", "min_child_weight")
        won = {name: found.winner[name] for name in names} | {"rounds": found.winner["n_rounds"]}
        return settings.model_copy(update=won), found.table

    @classmethod
    def searched(cls, settings):
        """Whether settings come from a search, ours or the paper's.

        Parameters
        ----------
        settings
            As for `Family.searched`.

        Returns
        -------
        bool
        """
        return settings.search != "none"

    @classmethod
    def describe(cls, settings):
        """Search, or where settings come from.

        Parameters
        ----------
        settings
            As for `Family.describe`.

        Returns
        -------
        str
        """
        return (
            f"search of {settings.grid.size} settings" if settings.search == "grid" else f"settings: {settings.search}"
        )

    @classmethod
    def takes_negative(cls, settings):
        """Under squared error only.

        Parameters
        ----------
        settings
            As for `Family.takes_negative`.

        Returns
        -------
        bool
        """
        return settings.objective == "reg:squarederror"

    @classmethod
    def faults(cls, settings, members):
        """Search, objective and scale that do not go together.

        Parameters
        ----------
        settings, members
            As for `Family.faults`.

        Returns
        -------
        list of str
            One sentence each, beginning with the key.
        """
        found, objective = [], settings.objective
        if settings.search == "published" and not settings.published:
            found.append("model.published: search 'published' needs at least one entry")
        if settings.search == "grid" and objective != "count:poisson":
            found.append(f"model.objective: the grid search uses the Poisson likelihood, not {objective!r}")
        if settings.search == "grid" and members.scheme != "folds":
            found.append(
                "members.scheme: the grid search needs 'folds', the resamples that it is scored on, not "
                f"{members.scheme!r}"
            )
        if settings.response_scale == "drago2022" and objective != "count:poisson":
            found.append(f"model.response_scale: 'drago2022' makes counts for 'count:poisson', not {objective!r}")
        if settings.tweedie_variance_power != DEFAULT_POWER and objective != "reg:tweedie":
            found.append(f"model.tweedie_variance_power: it belongs to objective 'reg:tweedie', not to {objective!r}")
        return found


def _tree_settings(settings):
    given = {f.name: getattr(settings, f.name) for f in fields(TreeSettings) if f.name != "n_rounds"}
    return TreeSettings(n_rounds=settings.rounds, **given)


def _published(settings, task):
    for entry in settings.published:
        if (entry.taxon, entry.zone) == (task.taxon, task.zone):
            return {name: getattr(entry, name) for name in ("learning_rate", "max_depth", "min_child_weight", "rounds")}
    known = ", ".join(f"{e.taxon} {e.zone}" for e in settings.published)
    raise UserError(
        f"model.published has no settings for {task.taxon} {task.zone}, only for {known}; use search: grid."
    )
