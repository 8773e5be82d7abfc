"""The known truth of a virtual ocean: fields and totals."""

import numpy as np
import pandas as pd

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.virtual_ocean.responses import CARBON, NUMBER

STOCK = {CARBON: (1e-18, "Pg C", "mg m-3"), NUMBER: (1.0, "1", "m-3")}


def true_field(taxon, cube, *, quantity=NUMBER):
    """Expected concentration of a taxon, without cruise effects.

    Parameters
    ----------
    taxon : VirtualTaxon
        The taxon.
    cube : xarray.Dataset
        From `aqqua_dist.environment.catalogue.build_cube`, with the taxon's predictors.
    quantity : {'number_concentration', 'carbon_biomass'}
        What to give (m-3, or mg m-3).

    Returns
    -------
    xarray.DataArray
        Dims ([month], zone, lat, lon), NaN outside the domain.

    Raises
    ------
    UserError
        If the cube lacks a predictor that the taxon responds to.
    """
    missing = [r.predictor for r in taxon.responses if r.predictor not in cube]
    if missing:
        needed = [r.predictor for r in taxon.responses]
        raise UserError(f"{taxon.name!r} responds to {missing}, which predictors.names leaves out; it needs {needed}.")
    _, _, units = stock(quantity)
    log = sum((r(cube[r.predictor].astype("float64")) for r in taxon.responses), np.log(taxon.level))
    log = log - ((cube["zone_top"] + cube["zone_bottom"]) / 2 - 100) / taxon.depth_scale
    field = np.exp(log).where(cube["domain"] == 1)
    if quantity == CARBON:
        field = field * taxon.carbon * 1e-3
    dims = [d for d in ("month", "zone", "lat", "lon") if d in field.dims]
    return (
        field.transpose(*dims).rename(quantity).assign_attrs(units=units, long_name=f"true {quantity} of {taxon.name}")
    )


def stock(quantity):
    """How a simulated quantity becomes a stock.

    Parameters
    ----------
    quantity : str
        A quantity that virtual taxa have.

    Returns
    -------
    tuple of (float, str, str)
        Factor from quantity times volume to the stock, unit of the stock,
        unit of the quantity.
    """
    if quantity not in STOCK:
        raise UserError(f"quantity {quantity!r} of a virtual survey must be one of {sorted(STOCK)}.")
    return STOCK[quantity]


def true_totals(taxa, cube, *, quantity=CARBON, latitude_band=10.0):
    """Exact stocks: annual mean over the months, times area and thickness.

    Parameters
    ----------
    taxa : sequence of VirtualTaxon
        The taxa.
    cube : xarray.Dataset
        With ``thickness``, ``cell_area`` and ``region_basin``.
    quantity : {'carbon_biomass', 'number_concentration'}
        What to sum.
    latitude_band : float
        Height of the latitude bands (degrees).

    Returns
    -------
    pandas.DataFrame
        Columns ``taxon, zone, region_set, region, total, units``; carbon in
        Pg C, numbers as 1.
    """
    factor, units, _ = stock(quantity)
    basin = cube["region_basin"]
    names = dict(zip(np.atleast_1d(basin.attrs["flag_values"]), basin.attrs["flag_meanings"].split(), strict=True))
    bands = np.repeat(grid.latitude_bands(cube["lat"].to_numpy(), latitude_band), cube.sizes["lon"])
    labels = {
        "global": np.full(bands.size, "global"),
        "basin": np.array([names[v] for v in basin.to_numpy().ravel()]),
        "latitude": bands,
    }
    rows = []
    for taxon in taxa:
        field = true_field(taxon, cube, quantity=quantity)
        field = field.mean("month", skipna=False) if "month" in field.dims else field
        mass = (field * cube["cell_area"] * cube["thickness"] * factor).transpose("zone", "lat", "lon")
        for zone, values in zip(cube["zone"].to_numpy(), mass.to_numpy(), strict=True):
            for region_set, label in labels.items():
                inside = np.isfinite(values.ravel())
                summed = pd.Series(values.ravel()[inside]).groupby(label[inside], sort=False).sum()
                rows += [(taxon.name, str(zone), region_set, region, total, units) for region, total in summed.items()]
    return pd.DataFrame(rows, columns=["taxon", "zone", "region_set", "region", "total", "units"])
