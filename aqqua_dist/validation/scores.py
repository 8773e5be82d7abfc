"""Scores of predictions against observations."""

import numpy as np
from scipy.stats import rankdata

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.number_columns import number_array


def scores(observed, predicted, weights=None, *, log_offset=None):
    """Scores of predictions against observations.

    A score whose denominator is zero is NaN: ``r2`` and
    ``deviance_explained`` when all observations are equal, the correlations
    when observations or predictions are. ``r2_correl_log`` and
    ``deviance_explained`` are NaN too when a value is negative.

    Parameters
    ----------
    observed, predicted : array_like
        Same units, finite, shape (n_rows,).
    weights : array_like, optional
        Row weights of 0 or more, shape (n_rows,); ranks are taken without them.
    log_offset : float, optional
        c of ``r2_correl_log``, in the units of the input, above 0; by default
        the smallest positive observation.

    Returns
    -------
    dict of str to float
        ``rmse``, ``mae`` and ``bias`` (mean of predicted - observed) in the
        units of the input; ``r2`` = 1 - SSE/SST; ``r2_correl`` and
        ``r2_correl_log``, squared Pearson correlation of the values and of
        log(1 + value / c), and ``log_offset``, that c; ``spearman``, correlation of the ranks;
        ``deviance_explained`` = 1 - D(predicted)/D(mean), Poisson deviance.
        Fractions of 1, not percent.

    Raises
    ------
    UserError
        On unequal shapes, no rows, a value that is not finite, or bad weights.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> found = aq.scores([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    >>> round(found["mae"], 4), round(found["bias"], 4), found["r2"]
    (0.3333, 0.3333, 0.5)
    """
    observed, predicted, weights = _checked(observed, predicted, weights)
    error = predicted - observed
    mean = np.average(observed, weights=weights)
    spread = np.average((observed - mean) ** 2, weights=weights)
    squared = np.average(error**2, weights=weights)
    varies = observed.min() < observed.max()
    natural = min(observed.min(), predicted.min()) >= 0
    offset = _log_offset(observed, log_offset)
    found = {
        "rmse": np.sqrt(squared),
        "mae": np.average(np.abs(error), weights=weights),
        "bias": np.average(error, weights=weights),
        "r2": 1 - squared / spread if varies and spread > 0 else np.nan,
        "r2_correl": _correlation(observed, predicted, weights) ** 2,
        "r2_correl_log": _log_correlation(observed, predicted, offset, weights) if natural else np.nan,
        "log_offset": offset,
        "spearman": _correlation(rankdata(observed), rankdata(predicted), weights),
        "deviance_explained": _deviance_explained(observed, predicted, weights) if natural and varies else np.nan,
    }
    return {name: float(value) for name, value in found.items()}


def r2_correl_log1p_drago2022(observed, predicted):
    """Squared correlation of log(1 + value), as Drago et al. 2022 print it.

    It depends on the unit of the values; theirs are scaled counts.

    Parameters
    ----------
    observed, predicted : array_like
        Scaled counts, 0 or more, shape (n_rows,).

    Returns
    -------
    float

    References
    ----------
    Drago et al. 2022, doi 10.3389/fmars.2022.894372.
    """
    return scores(observed, predicted, log_offset=1.0)["r2_correl_log"]


def _log_offset(observed, given):
    """c of log(1 + value / c); NaN where no observation is positive and none is given."""
    if given is None:
        positive = observed[observed > 0]
        return float(positive.min()) if positive.size else np.nan
    if not (np.isfinite(given) and given > 0):
        raise UserError(f"scores: log_offset is {given}; allowed is a finite value above 0.")
    return float(given)


def _log_correlation(observed, predicted, offset, weights):
    if not offset > 0:
        return np.nan
    return _correlation(np.log1p(observed / offset), np.log1p(predicted / offset), weights) ** 2


def _checked(observed, predicted, weights):
    observed, predicted = number_array(observed, "observed"), number_array(predicted, "predicted")
    if observed.ndim != 1 or observed.shape != predicted.shape or observed.size == 0:
        raise UserError(
            f"scores: observed has shape {observed.shape}, predicted {predicted.shape}; allowed are two equal, "
            "non-empty, one-dimensional ones."
        )
    weights = np.ones(observed.size) if weights is None else number_array(weights, "weights")
    if weights.shape != observed.shape:
        raise UserError(f"scores: weights have shape {weights.shape}; allowed is {observed.shape}, one weight per row.")
    for name, values in (("observed", observed), ("predicted", predicted), ("weights", weights)):
        bad = ~np.isfinite(values) | ((values < 0) if name == "weights" else False)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            least = "finite values of 0 or more" if name == "weights" else "finite values"
            raise UserError(f"scores: {name} of row {row} is {values[row]}; allowed are {least}.")
    used = weights > 0
    if not used.any():
        raise UserError(f"scores: all {weights.size} weights are 0; allowed is at least one above 0.")
    return observed[used], predicted[used], weights[used]


def _correlation(a, b, weights):
    """Weighted Pearson correlation; NaN when one side does not vary."""
    if a.min() == a.max() or b.min() == b.max():
        return np.nan
    a, b = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
    size = np.sqrt(np.average(a * a, weights=weights)) * np.sqrt(np.average(b * b, weights=weights))
    return np.clip(np.average(a * b, weights=weights) / size, -1, 1) if size > 0 else np.nan


def _deviance_explained(observed, predicted, weights):
    """1 - D(predicted)/D(mean); -inf when 0 is predicted where something was observed."""

    def deviance(expected):
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(observed > 0, observed * (np.log(observed) - np.log(expected)), 0.0)
        return np.average(logs - observed + expected, weights=weights)

    null = deviance(np.full(observed.size, np.average(observed, weights=weights)))
    return 1 - deviance(predicted) / null if null > 0 else np.nan
