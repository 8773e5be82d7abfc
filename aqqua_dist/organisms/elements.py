"""Carbon and silicon of organisms from their size, by named published relations."""

from aqqua_dist.organisms.conversions import convert_size


def carbon(size, conversion, *, units="mm3", draws=0, seed=None, sd=None):
    """Carbon of organisms by a published relation.

    Parameters
    ----------
    size : array_like
        Of one organism each (not of a chain), in the proxy of the relation,
        usually biovolume.
    conversion : str or aqqua_dist.organisms.conversions.Conversion
        Name in ``data/conversions.yaml``, or one of the user's own.
    units : str
        Of `size`.
    draws : int
        Number of members.
    seed : int, optional
        Of the draws; needed with them.
    sd : float, optional
        Standard deviation of the natural logarithm of a common factor, where
        the source's uncertainty is not known, or instead of it.

    Returns
    -------
    aqqua_dist.organisms.conversions.Converted
        ``value`` (mg C each), ``flags`` and, with draws, ``draws`` with the
        member axis first.

    Raises
    ------
    UserError
        The relation is unknown or not one of carbon, sizes are below 0 or in
        units of another dimension, or draws without an uncertainty.
    """
    return convert_size(size, conversion, "carbon", units=units, spread=(draws, seed, sd))


def silica(size, conversion, *, units="mm3", draws=0, seed=None, sd=None):
    """Silicon of organisms by a published relation.

    Parameters
    ----------
    size, conversion, units, draws, seed, sd
        As for `carbon`, with a relation of silicon.

    Returns
    -------
    aqqua_dist.organisms.conversions.Converted
        As for `carbon`, in mg Si each.

    Raises
    ------
    UserError
        As for `carbon`.
    """
    return convert_size(size, conversion, "silicon", units=units, spread=(draws, seed, sd))
