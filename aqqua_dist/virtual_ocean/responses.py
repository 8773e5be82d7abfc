"""Virtual taxa with known responses to their environment."""

import difflib
from dataclasses import dataclass

import numpy as np

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import UserError

AMOUNTS = ("n", "carbon")
"""Columns of counts that a virtual individual has an amount of."""
NUMBER, CARBON = (vocabulary.modelled(columns=(name,))[0] for name in AMOUNTS)
"""Quantities that are kept in them."""


@dataclass(frozen=True)
class Response:
    """Effect of one predictor on the logarithm of a concentration.

    Attributes
    ----------
    predictor : str
        Name in the cube.
    form : {'gaussian', 'loglinear'}
        ``-((x - centre) / width)^2 / 2``, or ``(x - centre) / width``.
    centre, width : float
        In the unit of the predictor, or in decades if `log10`; a negative
        `width` makes a log-linear response fall.
    log10 : bool
        Take x as the decimal logarithm of the predictor.
    """

    predictor: str
    form: str
    centre: float
    width: float
    log10: bool = False

    def __call__(self, values):
        """Effect (natural logarithm) at values of the predictor, same shape."""
        x = np.log10(np.maximum(values, 1.0)) if self.log10 else values
        x = (x - self.centre) / self.width
        if self.form not in ("gaussian", "loglinear"):
            raise UserError(f"response form {self.form!r} to {self.predictor!r} must be 'gaussian' or 'loglinear'.")
        return -0.5 * x**2 if self.form == "gaussian" else x


@dataclass(frozen=True)
class VirtualTaxon:
    """A taxon that exists only here.

    Attributes
    ----------
    name : str
        Begins with ``virtual``.
    level : float
        Concentration (m-3) where every response is zero.
    carbon : float
        Carbon per individual (µg), a made-up value.
    depth_scale : float
        The concentration falls by a factor e over this depth (m), counted
        from 100 m to the middle of the zone.
    responses : tuple of Response
        Their effects add up.
    aphia_id : int or None
        None, as no register knows it.
    """

    name: str
    level: float
    carbon: float
    depth_scale: float
    responses: tuple
    aphia_id: int | None = None

    def amount(self, quantity):
        """What one individual adds to a quantity.

        Parameters
        ----------
        quantity : str
            A name in the vocabulary that tables of counts keep as one of `AMOUNTS`.

        Returns
        -------
        tuple of (float, float)
            Its amount (1, or µg of carbon), and the factor to the unit of
            the quantity times m3.

        Raises
        ------
        UserError
            Virtual taxa have no such quantity.
        """
        known = vocabulary.modelled(columns=AMOUNTS)
        if quantity not in known:
            raise UserError(f"quantity {quantity!r} of a virtual survey must be one of {sorted(known)}.")
        return {"n": (1.0, 1.0), "carbon": (self.carbon, 1e-3)}[vocabulary.quantity(quantity).kept.column]


def choose_taxa(names="all"):
    """Virtual taxa by name.

    Parameters
    ----------
    names : 'all' or list of str
        Which of `TAXA`.

    Returns
    -------
    tuple of VirtualTaxon
        In the order asked for.

    Raises
    ------
    UserError
        For a name that is not a virtual taxon.
    """
    known = {taxon.name: taxon for taxon in TAXA}
    if isinstance(names, str) and names == "all":
        return TAXA
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
            hint = f", did you mean {near[0]!r}" if near else ""
            raise UserError(f"taxon {name!r} is not a virtual taxon{hint}; choose from {sorted(known)}.")
    return tuple(known[name] for name in names)


TAXA = (
    VirtualTaxon(
        "virtual copepod",
        8.0,
        20.0,
        400.0,
        (
            Response("temperature", "gaussian", 6.0, 11.0),
            Response("wind_speed", "loglinear", 7.0, 6.0),
            Response("distance_to_coast", "loglinear", 2.5, -0.9, log10=True),
            Response("salinity", "gaussian", 34.0, 6.0),
        ),
    ),
    VirtualTaxon(
        "virtual rhizarian",
        0.55,
        60.0,
        900.0,
        (
            Response("temperature", "gaussian", 21.0, 9.0),
            Response("bathymetry", "loglinear", 3.5, 0.7, log10=True),
            Response("solar_radiation", "loglinear", 170.0, 160.0),
        ),
    ),
    VirtualTaxon(
        "virtual salp",
        0.36,
        300.0,
        300.0,
        (
            Response("temperature", "gaussian", 14.0, 5.0),
            Response("solar_radiation", "gaussian", 200.0, 90.0),
            Response("distance_to_coast", "gaussian", 2.5, 0.6, log10=True),
        ),
    ),
)
"""The default taxa: absent from about 10, 40 and 80 % of the samples of 0-200 m."""
