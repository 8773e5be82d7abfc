"""Power laws of many spectra: one row of parameters each, the classes that were used, and draws for every member."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.spectra.classes import UNFITTED, choose, summed_over
from aqqua_dist.spectra.fitted import NotFitted, draw_parameters
from aqqua_dist.spectra.least_squares import fit_least_squares
from aqqua_dist.spectra.mlebin import fit_mlebin
from aqqua_dist.spectra.poisson import fit_negative_binomial, fit_poisson

FITS = {
    "poisson": fit_poisson,
    "negative_binomial": fit_negative_binomial,
    "least_squares": fit_least_squares,
    "mlebin": fit_mlebin,
}
POISSON_LIKE = ("poisson", "mlebin")
SCATTER = 2.0
"""Dispersion above which intervals that suppose 1 are told to be too narrow."""
FITTED = (
    "log_n0",
    "slope",
    "log_n0_variance",
    "slope_variance",
    "log_n0_slope_covariance",
    "dispersion",
    "overdispersion",
)


@dataclass(frozen=True)
class SpectrumFits:
    """Power laws of many spectra.

    Attributes
    ----------
    parameters : pandas.DataFrame
        One row per spectrum: its keys, ``method``, `FITTED` (missing where
        there is no fit), ``n_classes``, ``esd_low`` and ``esd_high`` (µm) of
        the sizes used, ``n`` used, and ``not_fitted``: why, empty where it
        is.
    classes : pandas.DataFrame
        One row per spectrum and size class: keys, ``esd_low, esd_high, n,
        volume, left_out``.
    keys : tuple of str
        Columns that tell one spectrum.
    """

    parameters: pd.DataFrame
    classes: pd.DataFrame
    keys: tuple


def fit_spectra(table, keys, detection, *, method="negative_binomial", **options):
    """Fit a power law to every spectrum of a table, numbers and volumes of its samples summed.

    Parameters
    ----------
    table : pandas.DataFrame
        As for `aqqua_dist.spectra.classes.summed_over`.
    keys : list of str
        Columns that tell one spectrum, such as ``profile, zone``.
    detection : aqqua_dist.spectra.classes.Detection
        Sizes and numbers that are used.
    method : {'negative_binomial', 'poisson', 'least_squares', 'mlebin'}
        How to fit. Counts of real spectra scatter more than Poisson (of UVP5
        casts summed over zones some hundred times), and the many small
        particles then decide the slope alone; the negative binomial is the
        Poisson fit where they do not.
    **options
        Of the method: ``density`` or ``bounds``.

    Returns
    -------
    SpectrumFits

    Raises
    ------
    UserError
        An unknown method, or a table with a fault.

    Warns
    -----
    MethodWarning
        Spectra without a fit, samples that are unknown in a class, classes
        left out, and scatter that the method does not suppose.
    """
    if method not in FITS:
        raise UserError(f"method {method!r} of a size spectrum is unknown, allowed are {list(FITS)}.")
    keys = list(keys)
    if not keys or len(table) == 0:
        raise UserError(f"{len(table)} rows of spectra with the keys {keys}; allowed are rows, and a key at least.")
    sums, rows, classes = summed_over(table, keys), [], []
    for key, counts in sums.groupby(keys, sort=False, observed=True):
        try:
            row, held = _one(counts, detection, FITS[method], options)
        except UserError as error:
            raise UserError(f"spectrum {list(key)}: {error}") from error
        rows.append(dict(zip(keys, key), method=method) | row)
        classes.append(held.assign(**dict(zip(keys, key))))
    fits = SpectrumFits(pd.DataFrame(rows), pd.concat(classes, ignore_index=True), tuple(keys))
    for sentence in _said(fits, method, int(sums["n_unknown"].sum())):
        warnings.warn(sentence, MethodWarning, stacklevel=2)
    return fits


def draw_spectra(fits, n_members, seed):
    """Intercept and slope of every fitted spectrum for every member.

    Parameters
    ----------
    fits : SpectrumFits
        Of `fit_spectra`.
    n_members : int
        Number of members.
    seed : int
        Seed of the recipe.

    Returns
    -------
    pandas.DataFrame
        Keys, ``member`` from 0, ``log_n0, slope``; spectra without a fit have
        no rows.

    Raises
    ------
    UserError
        A spectrum whose covariance is unknown.
    """
    drawn = []
    for row in fits.parameters[fits.parameters["not_fitted"] == ""].to_dict("records"):
        between = row["log_n0_slope_covariance"]
        covariance = [[row["log_n0_variance"], between], [between, row["slope_variance"]]]
        names = [str(row[key]) for key in fits.keys]
        values = draw_parameters((row["log_n0"], row["slope"]), covariance, range(n_members), seed, names)
        own = {key: row[key] for key in fits.keys}
        drawn.append(pd.DataFrame(own | {"member": range(n_members), "log_n0": values[:, 0], "slope": values[:, 1]}))
    columns = [*fits.keys, "member", "log_n0", "slope"]
    return pd.concat(drawn, ignore_index=True)[columns] if drawn else pd.DataFrame(columns=columns)


def _one(counts, detection, fit, options):
    try:
        found = fit(counts, detection, **options)
    except NotFitted as error:
        nothing = dict.fromkeys(FITTED, np.nan) | dict.fromkeys(("esd_low", "esd_high", "n"), np.nan)
        return nothing | {"n_classes": 0, "not_fitted": str(error)}, _unused(counts, detection)
    used, covariance = found.used, found.covariance
    values = (
        found.log_n0,
        found.slope,
        covariance[0, 0],
        covariance[1, 1],
        covariance[0, 1],
        found.dispersion,
        found.overdispersion,
    )
    sizes = {"esd_low": used["esd_low"].min(), "esd_high": used["esd_high"].max(), "n": used["n"].sum()}
    return dict(zip(FITTED, values)) | sizes | {"n_classes": len(used), "not_fitted": ""}, found.classes


def _unused(counts, detection):
    chosen = choose(counts, detection)
    return chosen.without(np.ones(len(chosen.table), dtype=bool), UNFITTED).table


def _said(fits, method, unknown):
    table, many = fits.parameters, len(fits.parameters)
    failed = table.loc[table["not_fitted"] != "", "not_fitted"]
    if len(failed):
        yield f"{len(failed)} of {many} size spectra have no fit and no slope; the most frequent reason: {failed.mode().iloc[0]}"
    if unknown:
        yield f"{unknown} numbers per sample and size class are unknown; neither they nor their volume stand in the sums."
    left = fits.classes[~fits.classes["left_out"].isin(["", UNFITTED])]
    if len(left):
        parts = [_with_particles(reason, rows["n"]) for reason, rows in left.groupby("left_out", sort=False)]
        yield f"size classes left out of {many} spectra: {', '.join(parts)}."
    wide = (table["dispersion"] > SCATTER).sum()
    if method in POISSON_LIKE and wide:
        yield (
            f"{wide} of {many} size spectra scatter more than {SCATTER:g} times as {method} supposes (median dispersion "
            f"{table['dispersion'].median():.3g}); their intervals are too narrow, method negative_binomial widens them."
        )


def _with_particles(reason, n):
    return f"{len(n)} {reason} ({n.sum():g} particles)" if n.notna().any() else f"{len(n)} {reason}"
