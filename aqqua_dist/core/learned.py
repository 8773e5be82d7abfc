"""Learned arrays in NetCDF whose version is the hash of their numbers, and new scores among learned ones."""

import hashlib

import numpy as np
import xarray as xr

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError


def version_of(*arrays):
    """Version of some numbers.

    Parameters
    ----------
    *arrays : array_like
        Real or whole numbers; their order, shapes, kinds and values count.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for values in map(np.asarray, arrays):
        kind = values.dtype.newbyteorder("<")
        digest.update(f"{kind.str}{values.shape}".encode() + np.ascontiguousarray(values, dtype=kind).tobytes())
    return digest.hexdigest()[:16]


def write_learned(learned, variables, path, provenance):
    """Write what was learned.

    Parameters
    ----------
    learned : object
        With a ``version``; the name of its class is kept.
    variables : dict
        Name to (dimensions, values), as xarray takes them.
    path : str or os.PathLike
        Place.
    provenance : aqqua_dist.core.provenance.Provenance
        Embedded.
    """
    attributes = {"title": type(learned).__name__, "version": learned.version}
    files.write_netcdf(xr.Dataset(variables, attrs=attributes), path, provenance)


def read_learned(kind, names, path):
    """Read what `write_learned` wrote.

    Parameters
    ----------
    kind : type
        Class to make, with the variables as its arguments.
    names : sequence of str
        Variables, in the order of the arguments.
    path : str or os.PathLike
        NetCDF file.

    Returns
    -------
    object
        Of the class, with the version of the file.

    Raises
    ------
    UserError
        The file holds something else, or its numbers are not those of its
        version.
    """
    try:
        data = files.read_netcdf(path)
    except UserError as error:
        reason = str(error).split("; delete it")[0].split("; run the stage")[0].rstrip(".")
        raise UserError(
            f"{reason}. Needed is the NetCDF file of a {kind.__name__!r}, as an earlier run of 'aqqua-dist embeddings' wrote it."
        ) from None
    if data.attrs.get("title") != kind.__name__ or not set(names) <= set(data):
        held = f"{data.attrs.get('title')!r} with {list(map(str, data))[:10]}"
        raise UserError(f"file {str(path)!r} holds {held}, needed is {kind.__name__!r} with {list(names)}.")
    found = kind(*(data[name].to_numpy() if data[name].ndim else data[name].item() for name in names))
    if found.version != data.attrs.get("version"):
        said = data.attrs.get("version")
        raise UserError(
            f"file {str(path)!r}: its numbers have version {found.version}, it says {said!r}; it was changed, fit again."
        )
    return found


def empirical_quantile(scores, score):
    """Share of known scores that are lower, counting the new one among them.

    Parameters
    ----------
    scores : numpy.ndarray
        Ascending, shape (n,).
    score : numpy.ndarray
        Shape (m,).

    Returns
    -------
    numpy.ndarray
        1 minus the conformal p-value (1 + number of known scores that are
        not lower)/(n + 1), shape (m,); NaN for NaN.
    """
    return np.where(np.isnan(score), np.nan, np.searchsorted(scores, score, side="left") / (len(scores) + 1))
