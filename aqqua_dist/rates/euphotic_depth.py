"""Depth of the euphotic zone, where 1 % of the light is left, from chlorophyll at the surface."""

import numpy as np
import xarray as xr

from aqqua_dist.rates.formula import Argument, published

CHLOROPHYLL = Argument("mg m-3", low=0, high=200, above=True)
MOREL2007 = "doi 10.1016/j.rse.2007.03.012"


@published("m-1", MOREL2007, chlorophyll=CHLOROPHYLL)
def attenuation_490_morel2007(chlorophyll):
    """Attenuation of blue light, ``Kd(490) = 0.0166 + 0.07242 chl^0.68955``.

    Parameters
    ----------
    chlorophyll : array_like
        Chlorophyll at the surface (mg m-3).

    Returns
    -------
    numpy.ndarray
        Kd(490) (m-1).

    References
    ----------
    Morel et al. 2007, doi 10.1016/j.rse.2007.03.012.
    """
    return 0.0166 + 0.07242 * chlorophyll**0.68955


@published("m-1", MOREL2007, attenuation_490=Argument("m-1", low=0.0166), mixed_layer_depth=Argument("m", low=0))
def attenuation_par_morel2007(attenuation_490, mixed_layer_depth):
    """Attenuation of photosynthetically available light, for a shallow or a deep mixed layer.

    ``0.0864 + 0.884 Kd - 0.00137 / Kd`` where the mixed layer is not deeper
    than 1 / Kd, else ``0.0665 + 0.874 Kd - 0.00121 / Kd``.

    Parameters
    ----------
    attenuation_490 : array_like
        Kd(490) (m-1), not below that of pure water.
    mixed_layer_depth : array_like
        Depth of the mixed layer (m).

    Returns
    -------
    numpy.ndarray
        Attenuation (m-1); missing where the mixed layer is.

    References
    ----------
    Morel et al. 2007, doi 10.1016/j.rse.2007.03.012.
    """
    shallow = 0.0864 + 0.884 * attenuation_490 - 0.00137 / attenuation_490
    deep = 0.0665 + 0.874 * attenuation_490 - 0.00121 / attenuation_490
    chosen = _where(mixed_layer_depth <= 1 / attenuation_490, shallow, deep)
    return _where(np.isnan(mixed_layer_depth), np.nan, chosen)


@published("m", MOREL2007, chlorophyll=CHLOROPHYLL, mixed_layer_depth=Argument("m", low=0))
def euphotic_depth_morel2007(chlorophyll, mixed_layer_depth):
    """Euphotic depth, ``-ln(0.01) / kPAR``.

    Parameters
    ----------
    chlorophyll : array_like
        Chlorophyll at the surface (mg m-3).
    mixed_layer_depth : array_like
        Depth of the mixed layer (m).

    Returns
    -------
    numpy.ndarray
        Depth (m).

    References
    ----------
    Morel et al. 2007, doi 10.1016/j.rse.2007.03.012.
    """
    blue = attenuation_490_morel2007.function(chlorophyll)
    return -np.log(0.01) / attenuation_par_morel2007.function(blue, mixed_layer_depth)


@published("m", "doi 10.4319/lo.1997.42.1.0001", chlorophyll=CHLOROPHYLL)
def euphotic_depth_behrenfeld1997(chlorophyll):
    """Euphotic depth from the chlorophyll of the whole euphotic zone, as in VGPM.

    ``Ctot = 38 chl^0.425`` below 1 mg m-3, else ``40.2 chl^0.507``;
    ``z = 568.2 Ctot^-0.746``, and where that is deeper than 102 m
    ``200 Ctot^-0.293``.

    Parameters
    ----------
    chlorophyll : array_like
        Chlorophyll at the surface (mg m-3).

    Returns
    -------
    numpy.ndarray
        Depth (m).

    References
    ----------
    Behrenfeld & Falkowski 1997, doi 10.4319/lo.1997.42.1.0001; Morel &
    Berthon 1989, doi 10.4319/lo.1989.34.8.1545.
    """
    total = _where(chlorophyll < 1, 38 * chlorophyll**0.425, 40.2 * chlorophyll**0.507)
    first = 568.2 * total**-0.746
    return _where(first > 102, 200 * total**-0.293, first)


def _where(condition, one, other):
    """`numpy.where` that keeps labels."""
    return xr.where(condition, one, other) if isinstance(condition, xr.DataArray) else np.where(condition, one, other)
