"""Totals per region and member, and their summary.

The spread of a total is the spread of the members' totals. The sum of cell
standard deviations, which the literature also prints, treats all cells as
perfectly correlated; it is reported under its own name, ``sum_cell_sd``.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.number_columns import number_array
from aqqua_dist.core.vocabulary import Stock, modelled, quantity


def stock_of(name):
    """How a quantity becomes a stock.

    Parameters
    ----------
    name : str
        Name in the vocabulary.

    Returns
    -------
    aqqua_dist.core.vocabulary.Stock
        Its measure, factor and unit.

    Raises
    ------
    UserError
        The quantity has no stock.
    """
    rule = quantity(name).stock
    if rule is None:
        raise UserError(f"quantity {name!r} has no stock; choose from {sorted(modelled())}.")
    return rule


def cell_sizes(rule, area, volume):
    """Size of each cell, as a stock is summed over it.

    Parameters
    ----------
    rule : aqqua_dist.core.vocabulary.Stock
        From `stock_of`.
    area, volume : numpy.ndarray
        Of the cells (m2, m3), shape (n_cells,).

    Returns
    -------
    numpy.ndarray
        m2 or m3, shape (n_cells,): a value times it times ``rule.factor`` adds
        to the total; of a mean, `total_table` divides by the region's volume.
    """
    return area if rule.measure == "area" else volume


@dataclass(frozen=True)
class Regions:
    """Regions of the cells of a target, or of a sum of targets.

    Attributes
    ----------
    cells : numpy.ndarray
        Flat index of each cell in (lat, lon), ascending, shape (n_cells,).
    names : pandas.DataFrame
        Columns ``region_set, region``, one row per region that stays.
    masks : numpy.ndarray
        Shape (n_regions, n_cells).
    inside : numpy.ndarray
        Whether a cell is in the area of applicability, shape (n_months,
        n_cells): the regions ``inside`` and ``outside`` beside those.
    area, volume : numpy.ndarray
        Of the cells (m2, m3), shape (n_cells,).
    rule : aqqua_dist.core.vocabulary.Stock
        How the quantity becomes a stock.
    """

    cells: np.ndarray
    names: pd.DataFrame
    masks: np.ndarray
    inside: np.ndarray
    area: np.ndarray
    volume: np.ndarray
    rule: Stock

    @property
    def amounts(self):
        """What a value of 1 in a cell adds to a total (numpy.ndarray, shape (n_cells,))."""
        return cell_sizes(self.rule, self.area, self.volume) * self.rule.factor

    def weights(self, start, stop):
        """What turns values of a block of cells into totals.

        Parameters
        ----------
        start, stop : int
            Cells ``start:stop``.

        Returns
        -------
        numpy.ndarray
            Shape (n_months * (stop - start), n_regions + 2).
        """
        amounts, inside = self.amounts[start:stop], self.inside[:, start:stop]
        kept = np.tile((self.masks[:, start:stop] * amounts).T, (len(inside), 1))
        return np.column_stack([kept, (inside * amounts).ravel(), (~inside * amounts).ravel()])

    def total_table(self, fields, totals):
        """Members' totals of all regions.

        Parameters
        ----------
        fields : dict
            As from `aqqua_dist.maps.prediction.predict`.
        totals : numpy.ndarray
            Shape (n_members + 1, n_regions + 2).

        Returns
        -------
        pandas.DataFrame
            As from `total_table`.
        """
        share = self.inside.mean(axis=0)
        every = np.vstack([self.masks, share, 1 - share])
        sd = fields.get("sd_annual", fields["sd"].reshape(-1, self.cells.size)[0])
        within = pd.DataFrame({"region_set": "applicability", "region": ["inside", "outside"]})
        sizes = np.array([every @ self.area, every @ self.volume])
        spread = sd * cell_sizes(self.rule, self.area, self.volume) * self.rule.factor
        names = pd.concat([self.names, within], ignore_index=True)
        return total_table(names, totals, every @ spread, sizes, self.rule)


def total_table(regions, totals, spread, sizes, rule):
    """Members' totals as a tidy table.

    Parameters
    ----------
    regions : pandas.DataFrame
        Columns ``region_set, region``, one row per region.
    totals : numpy.ndarray
        Shape (n_members + 1, n_regions); the last row is the full fit.
    spread : numpy.ndarray
        Sum of cell standard deviations, shape (n_regions,).
    sizes : numpy.ndarray
        Area (m2) and volume (m3), shape (2, n_regions).
    rule : aqqua_dist.core.vocabulary.Stock
        Unit of totals and spread; of a mean both are divided by the volume.

    Returns
    -------
    pandas.DataFrame
        Columns ``region_set, region, member, total, sum_cell_sd, area,
        volume, units``; member -1 is the full fit and stands only where
        there is one.
    """
    if rule.measure == "mean":
        share = np.divide(1.0, sizes[1], out=np.full(len(regions), np.nan), where=np.asarray(sizes[1]) > 0)
        totals, spread = totals * share, spread * share
    count = len(totals) - 1
    members = np.append(np.arange(count), -1)
    table = pd.DataFrame(
        {
            "region_set": np.repeat(regions["region_set"].to_numpy(), count + 1),
            "region": np.repeat(regions["region"].to_numpy(), count + 1),
            "member": np.tile(members, len(regions)),
            "total": totals.T.ravel(),
            "sum_cell_sd": np.repeat(spread, count + 1),
            "area": np.repeat(sizes[0], count + 1),
            "volume": np.repeat(sizes[1], count + 1),
            "units": rule.units,
        }
    )
    return table[(table["member"] >= 0) | table["total"].notna()].reset_index(drop=True)


def summarise(totals, *, widening=1.0):
    """Mean, spread and interval of the members' totals of each region.

    Where a full fit exists it is the estimate and the interval is log-normal
    around it with the members' standard deviation of the logarithm, because
    percentiles of few resampled members are too narrow (normal for
    quantities that may be negative); where a member is 0, so that there is no
    log-normal, the interval is that of the percentiles, widened to hold the
    estimate. Otherwise the estimate is the mean of the members and the interval
    their percentiles.

    Parameters
    ----------
    totals : pandas.DataFrame
        Columns ``quantity, taxon, zone, region_set, region, member, total,
        sum_cell_sd, area, volume, units``.
    widening : float
        Factor on the standard deviation of the log-normal interval; it
        changes no other column.

    Returns
    -------
    pandas.DataFrame
        Columns ``quantity, taxon, zone, region_set, region, estimate, mean,
        sd, q025, q50, q975, low, high, interval, sum_cell_sd, area, volume,
        units, members``.
    """
    keys = ["quantity", "taxon", "zone", "region_set", "region"]
    rows = []
    for key, group in totals.groupby(keys, sort=False):
        members = group.loc[group["member"] >= 0, "total"].to_numpy()
        full = group.loc[group["member"] == -1, "total"].to_numpy()
        row = dict(zip(keys, key, strict=True)) | summarise_members(
            members, full[0] if full.size else None, widening=widening, signed=quantity(key[0]).signed
        )
        row |= {name: group[name].iloc[0] for name in ("sum_cell_sd", "area", "volume", "units")}
        rows.append(row | {"members": len(members)})
    return pd.DataFrame(rows)


def summarise_members(members, full=None, *, widening=1.0, signed=False):
    """Summary of one total.

    Parameters
    ----------
    members : array_like
        The members' totals, shape (n,); where one is unknown (NaN), so is all
        that is made of it.
    full : float, optional
        Total of the full fit.
    widening : float
        Factor on the standard deviation of the log-normal interval.
    signed : bool
        Whether the quantity may be negative: then the interval is normal.

    Returns
    -------
    dict
        ``estimate, mean, sd, q025, q50, q975, low, high, interval``.

    Raises
    ------
    UserError
        No members, or members that are no row of numbers.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> found = aq.summarise_members([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> found["estimate"], round(found["low"], 3), round(found["high"], 3)
    (3.0, 1.1, 4.9)
    """
    members = number_array(members, "members")
    if members.ndim != 1 or members.size == 0:
        raise UserError(f"members: shape {members.shape}; allowed is one total per member, (n,), at least one.")
    q025, q50, q975 = np.quantile(members, [0.025, 0.5, 0.975])
    found = {
        "estimate": float(members.mean()),
        "mean": float(members.mean()),
        "sd": float(members.std(ddof=1)) if len(members) > 1 else float("nan"),
        "q025": float(q025),
        "q50": float(q50),
        "q975": float(q975),
        "low": float(q025),
        "high": float(q975),
        "interval": "percentiles",
    }
    if full is not None:
        found["estimate"] = float(full)
        if not signed and full > 0 and (members > 0).all() and len(members) > 1:
            width = 1.959964 * widening * np.log(members).std(ddof=1)
            kind = "lognormal" if widening == 1 else f"lognormal, sd x {widening:g}"
            found |= {"low": float(full * np.exp(-width)), "high": float(full * np.exp(width)), "interval": kind}
        elif signed and len(members) > 1:
            width = 1.959964 * widening * found["sd"]
            found |= {
                "low": float(full - width),
                "high": float(full + width),
                "interval": "normal" if widening == 1 else f"normal, sd x {widening:g}",
            }
        elif not signed and not found["low"] <= full <= found["high"]:
            found |= {
                "low": min(found["low"], float(full)),
                "high": max(found["high"], float(full)),
                "interval": "percentiles, widened to the estimate",
            }
    return found
