"""Attenuation of the flux in one profile: Martin's b or the length z*, with the published rules of rejection."""

from dataclasses import dataclass

import numpy as np

from aqqua_dist.core.errors import UserError

LEAST_DEPTHS = 3
LEAST_R2 = 0.1
BOUNDS = {"martin": (0.1, 4.0), "exponential": (50.0, 2000.0)}
"""Allowed b (1) and z* (m)."""


@dataclass(frozen=True)
class Attenuation:
    """Attenuation of one profile.

    Attributes
    ----------
    value : float
        b (1) or z* (m); NaN where the fit is rejected.
    flux : float
        Fitted flux at the reference depth (mg C m-2 d-1); NaN where rejected.
    r2_adjusted : float
        Of the logarithm of the flux; NaN where there was no fit.
    depths : int
        Number of depths that were fitted.
    rejected : str
        Why; empty where the fit stands.
    """

    value: float
    flux: float
    r2_adjusted: float
    depths: int
    rejected: str = ""


def fit_attenuation(depth, flux, *, form, reference_depth):
    """Attenuation of a profile by least squares of the logarithm of the flux.

    Parameters
    ----------
    depth : array_like
        Depths (m, positive down), shape (n,).
    flux : array_like
        Fluxes (mg C m-2 d-1), shape (n,); missing ones are left out.
    form : {'martin', 'exponential'}
        ``F0 (z / z0)^-b`` or ``F0 exp(-(z - z0) / z*)``.
    reference_depth : float
        z0 (m).

    Returns
    -------
    Attenuation
        Rejected, with the reason, on fewer than three depths, a flux that is
        not above 0, an adjusted R2 below 0.1, or a value outside 0.1 to 4 (b)
        or 50 to 2000 m (z*).

    Raises
    ------
    UserError
        An unknown form, shapes that differ, or depths not above 0.

    References
    ----------
    Rules as in github.com/annarufas/Rufas_etal_2024_GRL.
    """
    if form not in BOUNDS:
        raise UserError(f"form {form!r} of the attenuation is unknown, allowed are {list(BOUNDS)}.")
    depth, flux = np.asarray(depth, dtype=float), np.asarray(flux, dtype=float)
    if depth.shape != flux.shape or depth.ndim != 1:
        raise UserError(f"depths of shape {depth.shape} and fluxes of shape {flux.shape}; allowed are two equal rows.")
    if not (depth > 0).all() or not reference_depth > 0:
        worst = np.nanmin(np.append(depth, reference_depth))
        raise UserError(f"a depth of {worst:g} m among {depth.size}; allowed are depths above 0 m.")
    known = ~np.isnan(flux)
    depth, flux = depth[known], flux[known]
    count = int(np.unique(depth).size)
    if count < LEAST_DEPTHS:
        return _rejected(count, f"{count} depths, needed are {LEAST_DEPTHS}")
    if (flux <= 0).any():
        return _rejected(count, f"a flux of {flux.min():g} has no logarithm")
    x = np.log(depth / reference_depth) if form == "martin" else depth - reference_depth
    slope, intercept = np.polyfit(x, np.log(flux), 1)
    value = -slope if form == "martin" else -1 / slope if slope else np.inf
    r2 = _r2_adjusted(np.log(flux), intercept + slope * x)
    low, high = BOUNDS[form]
    if r2 < LEAST_R2:
        return _rejected(count, f"adjusted R2 {r2:.3g}, needed is {LEAST_R2}", r2)
    if not low <= value <= high:
        return _rejected(count, f"{value:.4g}, allowed are {low:g} to {high:g}", r2)
    return Attenuation(float(value), float(np.exp(intercept)), r2, count)


def _rejected(count, reason, r2=np.nan):
    return Attenuation(np.nan, np.nan, r2, count, reason)


def _r2_adjusted(y, fitted):
    """Of a straight line; 0 where all values are equal."""
    whole = ((y - y.mean()) ** 2).sum()
    if whole == 0:
        return 0.0
    return float(1 - ((y - fitted) ** 2).sum() / whole * (y.size - 1) / (y.size - 2))
