"""Boosted trees: one fit, and the scikit-learn estimator."""

from dataclasses import dataclass, fields

import numpy as np
import xgboost as xgb
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.number_columns import refuse_other_columns
from aqqua_dist.habitat_models.arrays import refuse_too_large
from aqqua_dist.habitat_models.response import count_scale

LOWEST_LABEL = {
    "count:poisson": 0.0,
    "reg:tweedie": 0.0,
    "reg:gamma": np.nextafter(0.0, 1.0),
    "reg:squarederror": -np.inf,
}
"""Smallest label that each objective accepts."""
ALLOWED_LABELS = {
    "count:poisson": "finite values of 0 or more, no negative one",
    "reg:tweedie": "finite values of 0 or more, no negative one",
    "reg:gamma": "finite values above 0",
    "reg:squarederror": "any finite value",
}
EMPTY_START = 1e-6
"""Start of a log-link fit whose labels are all zero (in label units): a log link has no zero."""


@dataclass(frozen=True)
class TreeSettings:
    """Settings of one boosted-tree fit.

    Attributes
    ----------
    objective : {'count:poisson', 'reg:tweedie', 'reg:gamma', 'reg:squarederror'}
        Loss; the first three predict through a log link.
    n_rounds : int
        Number of trees.
    learning_rate, max_depth, min_child_weight, subsample, tree_method
        As in XGBoost.
    base_score : float or None
        Start of the prediction, in label units; None means the weighted mean
        of the labels.
    tweedie_variance_power : float
        Power p of the variance function of 'reg:tweedie', above 1 and below 2.
    """

    objective: str = "count:poisson"
    n_rounds: int = 300
    learning_rate: float = 0.1
    max_depth: int = 4
    min_child_weight: float = 1.0
    subsample: float = 1.0
    tree_method: str = "hist"
    base_score: float | None = None
    tweedie_variance_power: float = 1.5


def tree_settings(settings):
    """Settings from a mapping, checked.

    Parameters
    ----------
    settings : dict
        Keys as the fields of `TreeSettings`; the others keep their default.

    Returns
    -------
    TreeSettings

    Raises
    ------
    UserError
        On an unknown key or objective, or a number of rounds below 1.
    """
    allowed = [f.name for f in fields(TreeSettings)]
    unknown = sorted(set(settings) - set(allowed))
    if unknown:
        raise UserError(f"settings of the trees: {unknown} are unknown; allowed are {allowed}.")
    found = TreeSettings(**settings)
    if found.objective not in LOWEST_LABEL:
        raise UserError(
            f"settings of the trees: objective {found.objective!r} is unknown; allowed are {list(LOWEST_LABEL)}."
        )
    if not 1 < found.tweedie_variance_power < 2:
        raise UserError(
            f"settings of the trees: tweedie_variance_power is {found.tweedie_variance_power}; allowed is above 1 and "
            "below 2."
        )
    if found.n_rounds < 1:
        raise UserError(f"settings of the trees: n_rounds is {found.n_rounds}; allowed is 1 or more.")
    return found


def booster_params(settings, base_score, seed, n_threads=1):
    """Parameters of one `xgboost.Booster`.

    The random state is set anew at each round from `seed` and the round, so
    that a fit does not depend on what else its thread does.

    Parameters
    ----------
    settings : TreeSettings
        Settings of the trees.
    base_score : float
        Start, in label units.
    seed : int
        0 to 2**31 - 1.
    n_threads : int
        Threads inside one booster.

    Returns
    -------
    dict
    """
    tweedie = {"tweedie_variance_power": settings.tweedie_variance_power}
    return (tweedie if settings.objective == "reg:tweedie" else {}) | {
        "objective": settings.objective,
        "eta": settings.learning_rate,
        "max_depth": settings.max_depth,
        "min_child_weight": settings.min_child_weight,
        "subsample": settings.subsample,
        "tree_method": settings.tree_method,
        "base_score": base_score,
        "nthread": n_threads,
        "seed": seed,
        "seed_per_iteration": True,
        "verbosity": 0,
    }


def check_labels(y, objective):
    """Refuse labels that an objective cannot take.

    Parameters
    ----------
    y : numpy.ndarray
        Labels, shape (n_rows,).
    objective : str
        A key of `LOWEST_LABEL`.

    Raises
    ------
    UserError
        With the value and the row (counted from 0) of the first bad label.
    """
    bad = ~(np.isfinite(y) & (y >= LOWEST_LABEL[objective]))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"y: row {row} is {y[row]:g}; objective {objective} allows {ALLOWED_LABELS[objective]}.")


def start_value(settings, y, weights=None):
    """Start of a fit: the given one, or the weighted mean of the labels.

    Parameters
    ----------
    settings : TreeSettings
        Settings of the trees.
    y, weights : numpy.ndarray
        Labels and row weights (or None), shape (n_rows,).

    Returns
    -------
    float
        In label units; at least `EMPTY_START` under a log link.
    """
    if settings.base_score is not None:
        return float(settings.base_score)
    mean = float(np.average(y, weights=weights))
    return mean if settings.objective == "reg:squarederror" else max(mean, EMPTY_START)


def fit_booster(settings, X, y, *, weights, seed, n_threads=1):
    """One booster on one set of rows.

    Parameters
    ----------
    settings : TreeSettings
        Settings of the trees.
    X : numpy.ndarray
        Predictors, float32, shape (n_rows, n_predictors); NaN is missing.
    y : numpy.ndarray
        Labels, shape (n_rows,).
    weights : numpy.ndarray or None
        Row weights; rows of weight 0 take no part at all.
    seed : int
        Random seed.
    n_threads : int
        Threads inside the booster.

    Returns
    -------
    xgboost.Booster
    """
    if weights is not None and (weights == 0).any():
        used = weights > 0
        X, y, weights = X[used], y[used], weights[used]
    if len(y) == 0:
        raise UserError(f"rows to fit: {len(y)} rows have a weight above 0; allowed is at least one.")
    matrix = xgb.QuantileDMatrix if settings.tree_method == "hist" else xgb.DMatrix
    rows = matrix(X, y, weight=weights, nthread=n_threads)
    params = booster_params(settings, start_value(settings, y, weights), seed, n_threads)
    return xgb.train(params, rows, settings.n_rounds)


def label_scale(wanted, y, weights=None, *, signed=False):
    """Factor that turns rates into labels of the trees.

    Parameters
    ----------
    wanted : float or {'mean', 'drago2022'}
        A number is the factor itself.
    y, weights : numpy.ndarray
        Rates and row weights (or None), shape (n_rows,).
    signed : bool
        Whether y may be negative: then 'mean' is one over its standard
        deviation.

    Returns
    -------
    float
        Above 0; 1 where all y are zero.

    Raises
    ------
    UserError
        On a factor that is not finite or not above 0.
    """
    if wanted == "drago2022":
        return count_scale(y)
    if wanted == "mean":
        middle = float(np.average(y, weights=weights))
        size = float(np.sqrt(np.average((y - middle) ** 2, weights=weights))) if signed else middle
        return 1.0 / size if size > 0 else 1.0
    if isinstance(wanted, str) or not (np.isfinite(wanted) and wanted > 0):
        raise UserError(f"label_scale: {wanted!r}; allowed are 'mean', 'drago2022' and finite values above 0.")
    return float(wanted)


def scaled_labels(y, scale, rounded):
    """Labels of the trees.

    Parameters
    ----------
    y : numpy.ndarray
        Rates, any shape.
    scale : float
        As from `label_scale`.
    rounded : bool
        Round to counts.

    Returns
    -------
    numpy.ndarray
        Of the same shape.
    """
    return np.round(y * scale) if rounded else y * scale


class BoostedTrees(RegressorMixin, BaseEstimator):
    """Gradient-boosted trees (XGBoost) with the scikit-learn contract.

    Missing predictors (NaN) go to the trees' missing branch. Given a
    DataFrame, predictors are checked by name and order at `predict`.

    Parameters
    ----------
    objective, n_rounds, learning_rate, max_depth, min_child_weight, subsample, tree_method, base_score
        See `TreeSettings`.
    tweedie_variance_power : float
        See `TreeSettings`.
    label_scale : float or {'mean', 'drago2022'}
        The trees are fitted to labels of ``label_scale`` times y, and
        predictions are divided by it. 'mean' is one over the weighted mean of
        y (over its standard deviation where y may be negative), 'drago2022'
        `aqqua_dist.habitat_models.response.count_scale`.
    round_labels : bool
        Round the labels to counts.
    n_threads : int
        Threads inside the booster; 1 is best when members run side by side.
    random_state : int, RandomState or None
        An integer is the seed of the booster itself.

    Attributes
    ----------
    booster_ : xgboost.Booster
        The fit.
    label_scale_ : float
        Scale of the labels.
    feature_importances_ : numpy.ndarray
        Share of the total gain, shape (n_predictors,).

    References
    ----------
    Chen & Guestrin 2016, doi 10.1145/2939672.2939785.

    Examples
    --------
    Where the predictor does not vary there is nothing to split, and the mean is
    predicted:

    >>> import aqqua_dist as aq
    >>> model = aq.BoostedTrees(n_rounds=5).fit([[12.0]] * 4, [1, 2, 3, 6])
    >>> model.predict([[12.0]]).round(4).tolist()
    [3.0]
    """

    def __init__(  # noqa: PLR0913  a scikit-learn constructor
        self,
        objective="count:poisson",
        n_rounds=300,
        learning_rate=0.1,
        max_depth=4,
        min_child_weight=1.0,
        subsample=1.0,
        tree_method="hist",
        base_score=None,
        tweedie_variance_power=1.5,
        label_scale=1.0,
        round_labels=False,
        n_threads=1,
        random_state=None,
    ):
        self.objective = objective
        self.n_rounds = n_rounds
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.tree_method = tree_method
        self.base_score = base_score
        self.tweedie_variance_power = tweedie_variance_power
        self.label_scale = label_scale
        self.round_labels = round_labels
        self.n_threads = n_threads
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.positive_only = self.objective != "reg:squarederror"
        return tags

    def fit(self, X, y, sample_weight=None):
        """Fit the trees.

        Parameters
        ----------
        X : array_like or pandas.DataFrame
            Predictors, shape (n_rows, n_predictors); NaN allowed.
        y : array_like
            Labels, shape (n_rows,).
        sample_weight : array_like, optional
            Row weights; for rates with an effort, the effort.

        Returns
        -------
        self

        Raises
        ------
        UserError
            On a label that the objective cannot take.
        """
        refuse_other_columns(X)
        X, y = validate_data(self, X, y, dtype=np.float32, ensure_all_finite="allow-nan", y_numeric=True)
        settings = tree_settings({f.name: getattr(self, f.name) for f in fields(TreeSettings)})
        y = np.asarray(y, dtype=np.float64)
        refuse_too_large(y)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        check_labels(y, settings.objective)
        self.label_scale_ = label_scale(self.label_scale, y, weights, signed=settings.objective == "reg:squarederror")
        labels = scaled_labels(y, self.label_scale_, self.round_labels)
        check_labels(labels, settings.objective)
        refuse_too_large(labels)
        whole = isinstance(self.random_state, int | np.integer)
        seed = int(self.random_state if whole else check_random_state(self.random_state).randint(2**31 - 1))
        self.booster_ = fit_booster(settings, X, labels, weights=weights, seed=seed, n_threads=self.n_threads)
        return self

    def predict(self, X):
        """Predict.

        Parameters
        ----------
        X : array_like or pandas.DataFrame
            Predictors as in `fit`, shape (n_rows, n_predictors).

        Returns
        -------
        numpy.ndarray
            float32, shape (n_rows,), units of y.

        Raises
        ------
        ValueError
            When predictors are missing, unknown or in another order.
        """
        check_is_fitted(self)
        refuse_other_columns(X)
        X = validate_data(self, X, dtype=np.float32, ensure_all_finite="allow-nan", reset=False)
        return self.booster_.inplace_predict(X, validate_features=False) / np.float32(self.label_scale_)

    @property
    def feature_importances_(self):
        """Share of each predictor in the total gain of all splits."""
        check_is_fitted(self)
        return gain_shares(self.booster_, self.n_features_in_)


def gain_shares(booster, n_predictors):
    """Share of each predictor in the total gain of all splits.

    Parameters
    ----------
    booster : xgboost.Booster
        A fit without predictor names.
    n_predictors : int
        Number of predictors.

    Returns
    -------
    numpy.ndarray
        Shape (n_predictors,), sum 1; all 0 when no tree splits.
    """
    found = np.zeros(n_predictors)
    for name, gain in booster.get_score(importance_type="total_gain").items():
        found[int(name[1:])] = gain
    return found / found.sum() if found.sum() > 0 else found
