"""Figures from tables: observed against predicted, response and latitude curves, stocks.

Plain functions from tables to matplotlib, in the print style of `aqqua_dist.plots.world_map`.
"""

import re

import numpy as np
from matplotlib import ticker
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.units import convert
from aqqua_dist.core.vocabulary import quantities
from aqqua_dist.plots.numbers import agreement, decades, straight, two_digits
from aqqua_dist.plots.style import (
    BLACK,
    BLUE,
    LETTERS,
    NORMAL,
    ORANGE,
    SMALL,
    axis_text,
    degree_text,
    new_figure,
    panel_title,
    plain_axes,
)

SCHEME_LABELS = {"random": "random folds", "spatial_block": "spatial blocks", "test": "test rows"}
DASHED = (0, (3, 1.5))


def name_text(name):
    """Taxon or zone as it is printed.

    Parameters
    ----------
    name : str
        In the tables, such as ``Collodaria_others`` or ``0-200``.

    Returns
    -------
    str
        Such as ``Collodaria others`` or ``0–200 m``.
    """
    zones = str(name).split(" + ")
    if all(re.fullmatch(r"[\d.]+-[\d.]+", zone) for zone in zones):
        return f"{' + '.join(zones).replace('-', '–')} m"
    return str(name).replace("_", " ")


def interval_text(budget):
    """What the interval of a budget is.

    Parameters
    ----------
    budget : pandas.DataFrame
        Columns ``interval`` and ``members``.

    Returns
    -------
    tuple of (str, str)
        Name for a legend and sentence for a caption.
    """
    kinds, members = (
        set(budget["interval"]) - {"none"},
        "–".join(str(n) for n in sorted({budget["members"].min(), budget["members"].max()})),
    )
    if kinds == {"percentiles"}:
        return "2.5–97.5 % of the members", f"Interval: 2.5 and 97.5 percentiles of {members} members."
    widened = sorted({kind.rpartition(" ")[2] for kind in kinds if "sd x" in kind})
    text = f"95 % interval: {'normal' if all(k.startswith('normal') for k in kinds) else 'log-normal'} about the estimate, with the spread of {members} members"
    text += f", standard deviation × {', '.join(widened)}" if widened else ""
    return "95 % interval", text + ("; percentiles where a member is zero." if "percentiles" in kinds else ".")


def latitude_band(region):
    """Limits of a latitude band.

    Parameters
    ----------
    region : str
        Such as ``40S-30S``, ``10S-0`` or ``0-10N``.

    Returns
    -------
    tuple of (float, float)
        Southern and northern limit (degrees north).

    Raises
    ------
    UserError
        The text is no latitude band.
    """
    if not (found := re.fullmatch(r"([\d.]+)([NS]?)-([\d.]+)([NS]?)", str(region))):
        raise UserError(
            f"region {region!r} is no latitude band; allowed are texts such as '20S-10S', '10S-0' or '0-10N'."
        )
    south, below, north, above = found.groups()
    return float(south) * (-1 if below == "S" else 1), float(north) * (-1 if above == "S" else 1)


def regional_means(budget, entry):
    """Mean of the quantity in each region: stock over volume or area.

    Parameters
    ----------
    budget : pandas.DataFrame
        Columns ``estimate, low, high, volume`` (m3), ``area`` (m2) and
        ``units``, such as Pg C; also ``total`` where the truth is known.
    entry : aqqua_dist.core.vocabulary.Quantity
        What was summed, and how.

    Returns
    -------
    pandas.DataFrame
        The rows, in the unit of the quantity.
    """
    table = budget.copy()
    for column in [c for c in ("estimate", "low", "high", "total") if c in table]:
        for units, rows in budget.groupby("units").groups.items():
            place = f"budget, column {column}"
            values = convert(budget.loc[rows, column], units, entry.stock.units, place=place) / entry.stock.factor
            table.loc[rows, column] = (
                values if entry.stock.measure == "mean" else values / budget.loc[rows, entry.stock.measure]
            )
    return table


def observed_predicted(table, *, label, title="", caption=""):
    """Observed against predicted, one panel per validation scheme.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``scheme, observed, predicted``.
    label : str
        Quantity with its unit.
    title, caption : str
        Above and below the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Axes are logarithmic above, and linear below, the lowest decade;
        linear where a value is negative.

    Raises
    ------
    UserError
        No row, or nothing but zeros.
    """
    _need(table, ("scheme", "observed", "predicted"), "observed and predicted")
    schemes = [s for s in SCHEME_LABELS if s in set(table["scheme"])] + sorted(
        set(table["scheme"]) - set(SCHEME_LABELS)
    )
    both = table[["observed", "predicted"]].to_numpy(dtype=float).ravel()
    if not (both != 0).any():
        raise UserError(f"observed and predicted: all {both.size} values are zero, at least 1 must not be.")
    signed = both.min() < 0
    ticks = [*straight(both)] if signed else decades(both, table["observed"].to_numpy(dtype=float))
    figure = new_figure(86 if len(schemes) > 2 else 116, title, caption)
    panels = figure.subplots(1, max(len(schemes), 2), squeeze=False, sharex=True, sharey=True)[0]
    for axes in panels[len(schemes) :]:
        axes.set_visible(False)
    for letter, axes, scheme in zip(LETTERS, panels, schemes, strict=False):
        rows = table[table["scheme"] == scheme]
        axes.plot([ticks[0], ticks[-1]], [ticks[0], ticks[-1]], color=BLACK, linewidth=0.8, linestyle=DASHED, zorder=1)
        axes.scatter(rows["observed"], rows["predicted"], s=7, color=BLUE, alpha=0.35, linewidths=0, zorder=2)
        for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
            scale(**{"value": "linear"} if signed else {"value": "symlog", "linthresh": ticks[1], "linscale": 0.6})
            axis.set_major_locator(ticker.FixedLocator(ticks))
            axis.set_minor_locator(ticker.NullLocator())
        first = ticks[0] if signed else -0.15 * ticks[1]
        axes.set(xlim=(first, ticks[-1]), ylim=(first, ticks[-1]), aspect="equal")
        numbers = agreement(rows["observed"].to_numpy(float), rows["predicted"].to_numpy(float))
        axes.set_title(
            f"{letter}   {SCHEME_LABELS.get(scheme, name_text(scheme))}", loc="left", fontsize=NORMAL, pad=22
        )
        axes.annotate(
            numbers,
            (0, 1),
            xytext=(0, 3),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=SMALL,
            va="bottom",
        )
        plain_axes(axes, f"observed {label}", f"predicted {label}" if axes is panels[0] else "")
    return figure


def response_curves(table, *, label, rug=None, title="", caption=""):
    """Response to each predictor, with the members' 95 % band.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``predictor, x, q025, q975`` and ``estimate``, the line; of
        older tables ``mean``.
    label : str
        Quantity with its unit.
    rug : pandas.DataFrame, optional
        Training rows; the deciles of each predictor are marked.
    title, caption : str
        Above and below the figure.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per predictor, all with the same vertical axis.

    Raises
    ------
    UserError
        No row.
    """
    line = "estimate" if "estimate" in table else "mean"
    _need(table, ("predictor", "x", line, "q025", "q975"), "response curves")
    known, names = quantities(), table["predictor"].unique()
    figure, panels = _panels(len(names), 3 if len(names) in (1, 2, 3, 5, 6, 9) else 4, 46, title, caption)
    for place, (axes, name) in enumerate(zip(panels, names, strict=True)):
        rows = table[table["predictor"] == name].sort_values("x")
        axes.fill_between(rows["x"], rows["q025"], rows["q975"], color=BLUE, alpha=0.25, linewidth=0)
        axes.plot(rows["x"], rows[line], color=BLUE, linewidth=1.2)
        if rug is not None and name in rug:
            marks = rug[name].dropna().quantile(np.linspace(0.1, 0.9, 9))
            axes.vlines(marks, 0, 0.04, color=BLACK, linewidth=0.8, transform=axes.get_xaxis_transform())
        axes.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        text = axis_text(known[name].long_name, known[name].units) if name in known else name_text(name)
        panel_title(axes, LETTERS[place])
        plain_axes(axes, text if len(text) < 28 else text.replace(" (", "\n("), "")
    if table["q025"].min() >= 0:
        panels[0].set_ylim(0, 1.05 * table[[line, "q975"]].to_numpy().max() or 1)
    figure.supylabel(label, fontsize=NORMAL)
    return figure


def latitude_curve(budget, *, label, axes=None):
    """Mean concentration against latitude, with its interval.

    Parameters
    ----------
    budget : pandas.DataFrame
        Latitude bands of one target: ``region, estimate, low, high`` as
        `concentrations` returns them; ``total``, where present, is the truth.
    label : str
        Quantity with its unit; empty for no label.
    axes : matplotlib.axes.Axes, optional
        Default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Latitude is horizontal; the line breaks where a band is missing.

    Raises
    ------
    UserError
        No row, or a region that is no latitude band.
    """
    _need(budget, ("region", "estimate", "low", "high"), "latitude curve")
    axes = new_figure(70).add_subplot() if axes is None else axes
    table = budget.copy()
    table[["south", "north"]] = [latitude_band(region) for region in table["region"]]
    table = table.sort_values("south").reset_index(drop=True)
    pieces = (table["south"] > table["north"].shift() + 1e-9).cumsum()
    for _, part in table.groupby(pieces):
        edges = np.append(part["south"].to_numpy(), part["north"].iloc[-1])
        axes.stairs(part["high"], edges, baseline=part["low"], fill=True, color=BLUE, alpha=0.25, linewidth=0)
        axes.stairs(part["estimate"], edges, baseline=None, color=BLUE, linewidth=1.3)
        if "total" in part:
            axes.stairs(part["total"], edges, baseline=None, color=ORANGE, linewidth=1.2, linestyle=DASHED)
    plain_axes(axes, "latitude", label)
    axes.set(xlim=(-90, 90), xticks=[-60, -30, 0, 30, 60])
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: degree_text(value, "SN")))
    if not (table["low"] < 0).any():
        axes.set_ylim(bottom=0)
    return axes


def latitude_curves(budget, *, label, title="", caption=""):
    """Panels of `latitude_curve`, one per taxon.

    Parameters
    ----------
    budget : pandas.DataFrame
        As for `latitude_curve`, and ``taxon, interval, members``.
    label : str
        Quantity with its unit.
    title, caption : str
        Above and below the figure.

    Returns
    -------
    matplotlib.figure.Figure
        Each panel has its own vertical axis.

    Raises
    ------
    UserError
        No row.
    """
    _need(budget, ("taxon", "interval", "members"), "latitude curves")
    taxa = budget["taxon"].unique()
    figure, panels = _panels(len(taxa), 2 if len(taxa) == 4 else min(3, len(taxa)), 46, title, caption, sharey=False)
    for place, (axes, taxon) in enumerate(zip(panels, taxa, strict=True)):
        latitude_curve(budget[budget["taxon"] == taxon], label="", axes=axes)
        panel_title(axes, f"{LETTERS[place]}   {name_text(taxon)}")
    figure.supylabel(label, fontsize=NORMAL)
    handles = [
        Line2D([], [], color=BLUE, linewidth=1.3, label="estimate"),
        Patch(facecolor=BLUE, alpha=0.25, label=interval_text(budget)[0]),
    ]
    if "total" in budget:
        handles.append(
            Line2D([], [], color=ORANGE, linewidth=1.2, linestyle=DASHED, label="truth of the virtual survey")
        )
    _legend_below_title(figure, handles)
    return figure


def stock_intervals(budget, published=None, *, label, title="", caption=""):
    """Stock and interval of each taxon and zone, beside the published or true one.

    Parameters
    ----------
    budget : pandas.DataFrame
        One row per target: ``taxon, zone, estimate, low, high, units,
        interval, members``; one unit in all rows.
    published : pandas.DataFrame, optional
        Columns ``taxon, zone, value, units, source``.
    label : str
        Stock with its unit.
    title, caption : str
        Above and below the figure.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per zone, taxa in descending order; the axis is logarithmic
        where the estimates span more than a factor of 30.

    Raises
    ------
    UserError
        No row.
    """
    _need(budget, ("taxon", "zone", "estimate", "low", "high", "units", "interval", "members"), "stocks")
    zones, tallest = budget["zone"].unique(), budget.groupby("zone").size().max()
    figure = new_figure(38 + 6.2 * tallest, title, caption)
    panels = figure.subplots(1, len(zones), squeeze=False, sharex=True)[0]
    positive = budget.loc[budget["estimate"] > 0, "estimate"]
    signed = budget["low"].min() < 0
    log = not signed and len(positive) > 1 and positive.max() > 30 * positive.min()
    left = -np.inf if signed else positive.min() / 3 if log else 0.0
    for place, (axes, zone) in enumerate(zip(panels, zones, strict=True)):
        rows = budget[budget["zone"] == zone].sort_values("estimate").reset_index(drop=True)
        if log:
            axes.set_xscale("log")
        _stock_rows(axes, rows, left)
        for line, row in enumerate(rows.itertuples()):
            for value in [] if published is None else _same_target(published, row):
                axes.plot(
                    value,
                    line,
                    "D",
                    markerfacecolor="none",
                    color=ORANGE,
                    markersize=5.5,
                    markeredgewidth=1.1,
                    zorder=4,
                )
        axes.set_yticks(range(len(rows)), [name_text(taxon) for taxon in rows["taxon"]])
        axes.set(xlim=(None if signed else left, None), ylim=(len(rows) - tallest - 0.7, len(rows) - 0.3))
        axes.grid(axis="x", color="#dddddd", linewidth=0.5, zorder=0)
        panel_title(axes, f"{LETTERS[place]}   {name_text(zone)}")
        plain_axes(axes, label, "", y_numbers=False)
    handles = [
        Line2D(
            [], [], color=BLUE, marker="o", markersize=3.5, linewidth=1.4, label=f"estimate, {interval_text(budget)[0]}"
        )
    ]
    if log and (budget["low"] < left).any():
        handles.append(Line2D([], [], color=BLUE, marker="<", markersize=4, linestyle="", label="lower than the axis"))
    for source in [] if published is None else dict.fromkeys(published["source"]):
        handles.append(
            Line2D([], [], color=ORANGE, marker="D", markerfacecolor="none", linestyle="", markersize=5.5, label=source)
        )
    _legend_below_title(figure, handles)
    return figure


def _stock_rows(axes, rows, left):
    """Interval, estimate and their numbers, one line per taxon."""
    for line, row in enumerate(rows.itertuples()):
        if row.high > left:
            axes.plot([max(row.low, left), row.high], [line, line], color=BLUE, linewidth=1.4, solid_capstyle="butt")
        if left > 0 and row.low < left:
            axes.plot(left, line, "<", color=BLUE, markersize=4, clip_on=False)
        if row.estimate >= left:
            axes.plot(row.estimate, line, "o", color=BLUE, markersize=3.5, zorder=3)
        limits = "no interval"
        if np.isfinite(row.low):
            limits = f"{two_digits(row.low)}{' to ' if row.low < 0 else '–'}{two_digits(row.high)}"
        text = f"{two_digits(row.estimate)} ({limits})"
        axes.text(1.02, line, text, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL)


def _same_target(published, row):
    rows = published[(published["taxon"] == row.taxon) & (published["zone"] == row.zone)]
    return [
        float(convert(r.value, r.units, row.units, place=f"published stock of {row.taxon}")) for r in rows.itertuples()
    ]


def _legend_below_title(figure, handles):
    left, bottom, width, height = figure.get_layout_engine().get()["rect"]
    figure.get_layout_engine().set(rect=(left, bottom, width, height - 16 / 72 / figure.get_figheight()))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, bottom + height),
        ncols=len(handles),
        fontsize=SMALL,
        frameon=False,
        borderaxespad=0.2,
    )


def _need(table, columns, what):
    missing = [column for column in columns if column not in table]
    if missing:
        raise UserError(f"{what}: columns {missing} are missing; the table has {list(table.columns)}.")
    if len(table) == 0:
        raise UserError(f"{what}: {len(table)} rows to draw, at least 1 is needed.")


def _panels(count, columns, height_mm, title, caption, *, sharey=True):
    rows = -(-count // columns)
    figure = new_figure(24 + height_mm * rows, title, caption)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel()
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]
