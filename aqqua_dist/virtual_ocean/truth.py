"""The known truth of a virtual ocean: fields and totals."""

import numpy as np
import pandas as pd

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.vocabulary import quantity as vocabulary_entry
from aqqua_dist.virtual_ocean.responses import CARBON, NUMBER


def true_field(taxon, cube, *, quantity=NUMBER):
    """Expected concentration of a taxon, without cruise effects.

    Parameters
    ----------
    taxon : VirtualTaxon
        The taxon.
    cube : xarray.Dataset
        From `aqqua_dist.environment.catalogue.build_cube`, with the taxon's predictors.
    quantity : str
        What to give, one that `VirtualTaxon.amount` knows.

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
    units, (amount, factor) = vocabulary_entry(quantity).units, taxon.amount(quantity)
    log = sum((r(cube[r.predictor].astype("float64")) for r in taxon.responses), np.log(taxon.level))
    log = log - ((cube["zone_top"] + cube["zone_bottom"]) / 2 - 100) / taxon.depth_scale
    field = np.exp(log).where(cube["domain"] == 1)
    field = field * amount * factor
    dims = [d for d in ("month", "zone", "lat", "lon") if d in field.dims]
    return (
        field.transpose(*dims).rename(quantity).assign_attrs(units=units, long_name=f"true {quantity} of {taxon.name}")
    )


def true_totals(taxa, cube, *, quantity=CARBON, latitude_band=10.0):
    """Exact stocks: annual mean over the months, times area and thickness.

    Parameters
    ----------
    taxa : sequence of VirtualTaxon
        The taxa.
    cube : xarray.Dataset
        With ``thickness``, ``cell_area`` and ``region_basin``.
    quantity : str
        What to sum, one that `VirtualTaxon.amount` knows.
    latitude_band : float
        Height of the latitude bands (degrees).

    Returns
    -------
    pandas.DataFrame
        Columns ``taxon, zone, region_set, region, total, units``; carbon in
        Pg C, numbers as 1.
    """
    rule = vocabulary_entry(quantity).stock
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
        mass = (field * cube["cell_area"] * cube["thickness"] * rule.factor).transpose("zone", "lat", "lon")
        for zone, values in zip(cube["zone"].to_numpy(), mass.to_numpy(), strict=True):
            for region_set, label in labels.items():
                inside = np.isfinite(values.ravel())
                summed = pd.Series(values.ravel()[inside]).groupby(label[inside], sort=False).sum()
                rows += [
                    (taxon.name, str(zone), region_set, region, total, rule.units) for region, total in summed.items()
                ]
    return pd.DataFrame(rows, columns=["taxon", "zone", "region_set", "region", "total", "units"])
