"""Power law of a number spectrum by a generalised linear model of counts, Poisson or negative binomial, with exposure."""

import warnings

import numpy as np
from scipy.optimize import minimize_scalar
from statsmodels.genmod import families
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.classes import choose
from aqqua_dist.spectra.fitted import NotFitted, SpectrumFit, pearson, refuse_without_slope
from aqqua_dist.spectra.power_law import log_integral, mean_log_size

DENSITIES = ("integral", "middle")
STEPS, TOLERANCE = 100, 1e-9
SETTLED = 1e-6
"""Change of the logarithm of alpha below which the likelihood is at its maximum."""
ALPHA = (1e-8, 1e2)
"""Bounds of the overdispersion."""


def fit_poisson(counts, detection, *, density="integral"):
    """Slope and intercept of counts that scatter as Poisson.

    The model is ``ln E[n] = ln n0 - slope ln s + ln(width volume)``. With
    ``density='middle'`` s is the geometric middle of each class, the usual
    form. By default the power law is integrated over each class, which moves
    s and the offset a little: without it the intercept is 2 % too high for
    limits that differ by 1.26 at slope 4, and the slope is wrong too where
    classes differ in width. Empty classes are used as they are.

    Parameters
    ----------
    counts : pandas.DataFrame
        One spectrum, as for `aqqua_dist.spectra.classes.choose`.
    detection : aqqua_dist.spectra.classes.Detection
        Sizes and numbers that are used.
    density : {'integral', 'middle'}
        Where in a class the power law is taken.

    Returns
    -------
    aqqua_dist.spectra.fitted.SpectrumFit
        With a covariance that supposes a dispersion of 1.

    Raises
    ------
    NotFitted
        No slope follows from the counts, or the fit did not converge.
    UserError
        An unknown `density`.
    """
    return _fitted("poisson", counts, detection, density)


def fit_negative_binomial(counts, detection, *, density="integral"):
    """Slope and intercept of counts that scatter more than Poisson, with variance ``mean + alpha mean^2``.

    alpha maximises the likelihood together with both parameters; where that
    is at 0, the fit is the Poisson one.

    Parameters
    ----------
    counts, detection, density
        As for `fit_poisson`.

    Returns
    -------
    aqqua_dist.spectra.fitted.SpectrumFit
        With alpha as ``overdispersion``.

    Raises
    ------
    NotFitted
        As for `fit_poisson`.
    UserError
        An unknown `density`.
    """
    return _fitted("negative_binomial", counts, detection, density)


def _fitted(method, counts, detection, density):
    if density not in DENSITIES:
        raise UserError(f"density of a size class {density!r} is unknown, allowed are {list(DENSITIES)}.")
    chosen = choose(counts, detection)
    refuse_without_slope(chosen.arrays()[2])
    found, alpha = _maximum(chosen, density, families.Poisson()), 0.0
    if method == "negative_binomial":
        found, alpha = _overdispersed(chosen, density, found)
    mean = np.asarray(found.fittedvalues)
    return SpectrumFit(
        method,
        log_n0=float(found.params[0]),
        slope=float(found.params[1]),
        covariance=np.asarray(found.cov_params()),
        classes=chosen.table,
        dispersion=pearson(chosen.arrays()[2], mean, mean + alpha * mean**2),
        overdispersion=alpha,
    )


def _maximum(chosen, density, family, start=None):
    """Scoring steps with size and offset of the current slope end at the maximum of the exact likelihood."""
    low, high, n, volume = chosen.arrays()
    if density == "middle" or start is None:
        found = _step(n, (np.log(low) + np.log(high)) / 2, np.log((high - low) * volume), family, start)
        if density == "middle":
            return found
        start = found.params
    for _ in range(STEPS):
        slope = start[1]
        size = mean_log_size(low, high, -slope)
        offset = log_integral(low, high, -slope) + np.log(volume) + slope * size
        found = _step(n, size, offset, family, start)
        start = found.params
        if abs(found.params[1] - slope) < TOLERANCE:
            return found
    raise NotFitted(f"the slope of {len(n)} size classes did not settle in {STEPS} steps; the last one was {slope:g}.")


def _step(n, log_size, offset, family, start=None):
    """One generalised linear model; where steps from `start` overflow, they begin at the counts themselves."""
    design = np.column_stack([np.ones(len(n)), -log_size])
    for begin in [None] if start is None else [start, None]:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", PerfectSeparationWarning)  # said of counts that lie on their power law
            try:
                model = GLM(n, design, family=family, offset=offset)
                found = model.fit(start_params=begin, maxiter=STEPS, tol=1e-8, rtol=1e-12, scale=1.0)
            except ValueError:  # weights of 0 or infinity
                continue
        if found.converged and np.isfinite(found.params).all():
            return found
    raise NotFitted(f"the fit of {n.sum():g} particles in {len(n)} size classes did not converge in {STEPS} steps.")


def _overdispersed(chosen, density, poisson):
    """Parameters and alpha in turn, each at the maximum that the other leaves; their information is orthogonal."""
    n, found, last = chosen.arrays()[2], poisson, np.inf
    for _ in range(STEPS):
        mean = np.asarray(found.fittedvalues)
        log_alpha = minimize_scalar(
            lambda trial, mean=mean: -families.NegativeBinomial(alpha=np.exp(trial)).loglike(n, mean),
            bounds=np.log(ALPHA),
            method="bounded",
            options={"xatol": 1e-8},
        ).x
        found = _maximum(chosen, density, families.NegativeBinomial(alpha=np.exp(log_alpha)), found.params)
        if abs(log_alpha - last) < SETTLED:
            return (found, float(np.exp(log_alpha))) if found.llf > poisson.llf + 1e-6 else (poisson, 0.0)
        last = log_alpha
        if log_alpha < np.log(ALPHA[0]) + 1:  # no more than Poisson scatter
            return poisson, 0.0
    raise NotFitted(
        f"the overdispersion of {len(n)} size classes did not settle in {STEPS} steps; last {np.exp(last):g}."
    )
