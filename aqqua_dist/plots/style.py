"""The print style of every figure: sizes, colours, texts of units and numbers."""

import re
import textwrap
from string import ascii_lowercase

from matplotlib import ticker
from matplotlib.figure import Figure

WIDTH_MM = 183.0
"""Width of a figure over two columns (mm)."""
SMALL, NORMAL, LARGE = 7.0, 8.0, 9.0
"""Sizes of text (pt)."""
BLUE, ORANGE, BLACK, GREY = "#0072B2", "#D55E00", "#202020", "#5c5c5c"
LETTERS = [first + second for first in ("", *ascii_lowercase) for second in ascii_lowercase]
"""Letters of panels: a to z, then aa."""
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def unit_text(units):
    """Unit as it is printed.

    Parameters
    ----------
    units : str
        CF spelling, such as ``mg m-3``.

    Returns
    -------
    str
        Such as ``mg m⁻³``; empty for ``1``.
    """
    if units in ("1", ""):
        return ""
    text = re.sub(r"(?<=[A-Za-z])(-?\d+)", lambda power: power.group().translate(RAISED), units)
    return text.replace("degree_Celsius", "°C").replace("umol", "µmol")


def axis_text(name, units):
    """Axis label with its unit.

    Parameters
    ----------
    name, units : str
        Long name and CF unit.

    Returns
    -------
    str
        Such as ``carbon biomass (mg m⁻³)``.
    """
    return f"{name} ({unit_text(units)})" if unit_text(units) else name


def number_text(value, digits=6):
    """Number as it is printed, with powers of ten where it is very small or large.

    Parameters
    ----------
    value : float
        The number.
    digits : int
        Significant digits.

    Returns
    -------
    str
        Such as ``0.02``, ``10⁻⁵`` or ``2×10⁻⁵``.
    """
    if not value or 1e-3 <= abs(value) < 1e5:
        return f"{float(f'{value:.{digits}g}'):.10g}".replace("-", "−")
    lead, power = f"{value:.{digits - 1}e}".split("e")
    lead, raised = f"{float(lead):g}".replace("-", "−"), "10" + str(int(power)).translate(RAISED)
    return raised if lead == "1" else f"{lead}×{raised}"


def degree_text(value, letters):
    """Latitude or longitude as it is printed.

    Parameters
    ----------
    value : float
        Degrees north or east.
    letters : str
        ``SN`` or ``WE``.

    Returns
    -------
    str
        Such as ``30°S``; no letter at 0° and 180°.
    """
    return f"{abs(value):g}°" + ("" if value % 180 == 0 else letters[int(value > 0)])


def new_figure(height_mm, title="", caption=""):
    """Empty figure over two columns, with title and caption.

    Parameters
    ----------
    height_mm : float
        Height (mm).
    title, caption : str
        Above and below; wrapped to the width.

    Returns
    -------
    matplotlib.figure.Figure
        Its panels are laid out between title and caption.
    """
    figure = Figure(figsize=(WIDTH_MM / 25.4, height_mm / 25.4), layout="constrained", facecolor="white")
    points, above, below = 72 * height_mm / 25.4, textwrap.wrap(title, 88), textwrap.wrap(caption, 128)
    figure.text(0.01, 1 - 4 / points, "\n".join(above), fontsize=LARGE, fontweight="bold", va="top")
    figure.text(0.01, 4 / points, "\n".join(below), fontsize=SMALL, color=GREY, va="bottom")
    bottom, top = (SMALL * 1.3 * len(below) + 4) / points, (LARGE * 1.3 * len(above) + 4) / points
    figure.get_layout_engine().set(rect=(0, bottom, 1, 1 - bottom - top))
    return figure


def plain_axes(axes, x, y, *, y_numbers=True):
    """Label axes and take away what is not needed.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        To change.
    x, y : str
        Labels, with the unit.
    y_numbers : bool
        The vertical axis holds numbers, not names.
    """
    axes.set_xlabel(x, fontsize=NORMAL)
    axes.set_ylabel(y, fontsize=NORMAL)
    axes.tick_params(which="both", labelsize=SMALL, length=2.5)
    axes.spines[["top", "right"]].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis)[: 1 + y_numbers]:
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: number_text(value)))
        axis.set_minor_formatter(ticker.NullFormatter())


def panel_title(axes, text):
    """Title at the left end of a panel.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        To change.
    text : str
        Letter and words.
    """
    axes.set_title(text, loc="left", fontsize=NORMAL)
