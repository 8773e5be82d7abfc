"""From rates per day in cells to totals per year."""

import numpy as np
import xarray as xr

from aqqua_dist.rates.formula import Argument, published

PG_PER_MG = 1e-18
DAYS = Argument("1", low=365, high=366)
"""Days of a year: 365.25 where nothing is said; some papers take 365."""
SOURCE = "exact"


@published("Pg yr-1", SOURCE, flux=Argument("mg m-2 d-1"), area=Argument("m2", low=0), days_per_year=DAYS)
def annual_flux_total(flux, area, *, days_per_year=365.25):
    """Total of a flux over cells.

    Parameters
    ----------
    flux : array_like
        Annual mean in each cell (mg m-2 d-1).
    area : array_like
        Area of each cell (m2); 0 or missing for cells that do not belong to
        the total.
    days_per_year : float
        Days (1).

    Returns
    -------
    numpy.ndarray
        Total (Pg yr-1); missing where a cell with an area has no flux.
    """
    return _total(flux, area) * days_per_year * PG_PER_MG


@published("Pg yr-1", SOURCE, rate=Argument("mg m-3 d-1"), volume=Argument("m3", low=0), days_per_year=DAYS)
def annual_rate_total(rate, volume, *, days_per_year=365.25):
    """Total of a rate per volume over cells.

    Parameters
    ----------
    rate : array_like
        Annual mean in each cell (mg m-3 d-1).
    volume : array_like
        Volume of each cell (m3), area times thickness; 0 or missing for cells
        that do not belong to the total.
    days_per_year : float
        Days (1).

    Returns
    -------
    numpy.ndarray
        Total (Pg yr-1); missing where a cell with a volume has no rate.
    """
    return _total(rate, volume) * days_per_year * PG_PER_MG


def _total(values, measure):
    """Sum of values times measure, over cells whose measure is above 0."""
    if isinstance(values, xr.DataArray) or isinstance(measure, xr.DataArray):
        return (values * measure).where(measure > 0, 0.0).sum(skipna=False)
    return np.where(measure > 0, values * measure, 0.0).sum()
