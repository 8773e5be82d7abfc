"""Number and carbon of particles in a range of sizes."""

from aqqua_dist.rates.flux_laws import KRIEST_CARBON, KRIEST_CARBON_EXPONENT, MM, PER_LITRE
from aqqua_dist.rates.formula import Argument, published
from aqqua_dist.rates.size_classes import CLASSES, MICROMETRIC, mean_diameter, over_classes, within

RANGE = Argument("um", low=0, above=True)


@published("m-3", "doi 10.1038/ngeo3042", limits=RANGE, **CLASSES)
def particle_number_kiko2017(number_concentration, esd_low, esd_high, *, limits=MICROMETRIC):
    """Number of particles in a range of sizes.

    Parameters
    ----------
    number_concentration : array_like
        Particles per class (m-3), shape (..., n_classes).
    esd_low, esd_high : array_like
        Limits of the classes (µm), shape (n_classes,).
    limits : tuple of (float, float)
        The range (µm): micrometric particles (MiP) where nothing is said,
        ``(645, 2580)`` for macroscopic ones (MaP).

    Returns
    -------
    numpy.ndarray
        Number (m-3), shape (...).

    References
    ----------
    Kiko et al. 2017, doi 10.1038/ngeo3042.
    """
    mean_diameter(esd_low, esd_high)
    return over_classes(number_concentration, 1.0, within(esd_low, esd_high, limits))


@published("mg m-3", "doi 10.1038/ngeo3042", limits=RANGE, **CLASSES)
def particle_carbon_kiko2017(number_concentration, esd_low, esd_high, *, limits=MICROMETRIC):
    """Organic carbon of particles in a range of sizes, ``sum N 0.52063 d^1.62`` (µg C, d in mm).

    Parameters
    ----------
    number_concentration, esd_low, esd_high, limits
        As for `particle_number_kiko2017`.

    Returns
    -------
    numpy.ndarray
        Carbon (mg C m-3).

    References
    ----------
    Kriest 2002, doi 10.1016/S0967-0637(02)00127-9; Kiko et al. 2017, doi
    10.1038/ngeo3042.
    """
    weight = KRIEST_CARBON * (mean_diameter(esd_low, esd_high) * MM) ** KRIEST_CARBON_EXPONENT
    return over_classes(number_concentration * PER_LITRE, weight, within(esd_low, esd_high, limits))
