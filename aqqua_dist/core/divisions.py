"""Sizes that must divide the globe: resolutions of grids and heights of latitude bands."""

from numbers import Real

from aqqua_dist.core.errors import UserError

RESOLUTION_ERROR = 2e-6
"""Relative error of a resolution that counts as rounding: six digits are right."""


def whole_rows(resolution):
    """Rows of cells from pole to pole.

    Parameters
    ----------
    resolution : float
        Cell size (degrees), right to six digits, such as 0.0833333 for 1/12.

    Returns
    -------
    int
        180 over the resolution.

    Raises
    ------
    UserError
        180 is no whole multiple of the resolution.
    """
    number = isinstance(resolution, Real)
    rows = 180.0 / resolution if number and resolution > 0 else 0.0
    if rows < 1 or abs(rows - round(rows)) > RESOLUTION_ERROR * rows:
        raise UserError(
            f"grid resolution {resolution} does not divide 180 degrees; take for example 0.25, 1 or 2, "
            "and write a third or a twelfth as 1/3 or 1/12."
        )
    return round(rows)


def whole_bands(width):
    """Latitude bands from the equator to a pole.

    Parameters
    ----------
    width : float
        Height of a band (degrees).

    Returns
    -------
    int
        90 over the height.

    Raises
    ------
    UserError
        90 is no whole multiple of the height.
    """
    if width <= 0 or abs(90 / width - round(90 / width)) > 1e-9:
        raise UserError(f"latitude band of {width} degrees does not divide 90; take for example 5, 10 or 30.")
    return round(90 / width)
