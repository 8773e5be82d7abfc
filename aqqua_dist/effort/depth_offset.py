"""Offset of a UVP's camera below its pressure sensor: which tables hold it already, and how to add it where they do not.

Depths that hold the offset: bins of EcoPart tables (PAR, ZOO, ODV), ``depth``
of raw particle files (checked against the bins of the same casts: adding it
again moves up to 131 L per bin) and ``depth_including_offset`` of raw object
files. Depths that do not: ``object_depth_min`` and ``object_depth_max`` of
EcoTaxa, and the instrument's own files in raw exports of the new EcoPart.
Source: GenerateParticleHistogram (github.com/ecotaxa/ecopart, f6f2f7e): the
offset of the project where it has one, else that of the acquisition
(``acq_depthoffset``), else none.
"""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError

LARGEST_OFFSET = 20.0
"""A camera is no further (m) from its pressure sensor; a larger number has another unit or meaning."""


def depth_with_offset(depth, offset, project_offset=None, *, place="acq_depthoffset"):
    """Depth of the imaged water from the depth of the pressure sensor.

    Parameters
    ----------
    depth : array_like
        m, positive down, without the offset.
    offset : float or array_like
        ``acq_depthoffset`` (m), one number or one per depth; missing counts
        as no offset.
    project_offset : float, optional
        ``default_depthoffset`` of the project (m), which wins where it is
        given.
    place : str
        File and column, for messages.

    Returns
    -------
    numpy.ndarray
        m, in the shape of `depth`.

    Raises
    ------
    UserError
        An offset that is no number, or beyond `LARGEST_OFFSET`.
    """
    depth = np.asarray(depth, dtype=float)
    own = _numbers(offset, place)
    project = _numbers(project_offset, place)
    added = np.where(np.isnan(project), np.where(np.isnan(own), 0.0, own), project)
    beyond = np.abs(added) > LARGEST_OFFSET
    if beyond.any():
        raise UserError(
            f"{place}: an offset of {np.atleast_1d(added)[np.atleast_1d(beyond)][0]:g} m between camera and pressure sensor is outside "
            f"-{LARGEST_OFFSET:g} to {LARGEST_OFFSET:g} m."
        )
    return depth + added


def _numbers(values, place):
    """Numbers; NaN where there is none."""
    series = pd.Series(np.atleast_1d(np.asarray(values, dtype=object)))
    text = series.where(series.notna(), None).astype("string").str.strip()
    empty = text.isna() | text.str.lower().isin(["", "nan", "none"])
    found = pd.to_numeric(text.mask(empty), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.isnan(found) & ~empty.to_numpy(dtype=bool)
    if wrong.any():
        raise UserError(f"{place}: {series[wrong].iloc[0]!r} is no offset in m.")
    return found if np.ndim(values) else found[0]
