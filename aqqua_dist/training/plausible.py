"""What is told about training rows before a model is fitted to them: their effort, and how far the grid lies beyond them."""

import warnings

import numpy as np

from aqqua_dist.core.errors import MethodWarning

OTHER_UNIT = 100.0
"""Ratio of a cruise's median volume to that of the others from which another unit is likely."""
MOST = 0.5
"""Share of the whole effort from which one row outweighs all others."""
BEYOND = 3.0
"""Ranges of the training values beyond their ends from which grid values are far outside."""

FEW = 0.01
"""Share of the grid that may lie far outside without a word (estuaries, trenches)."""


def effective_number(weights):
    """Effective number of samples behind a weighted mean.

    Parameters
    ----------
    weights : array_like
        Weights of 0 or more, shape (n,).

    Returns
    -------
    float
        (sum w)^2 / sum w^2 (Kish 1965, Survey Sampling, section 11.7); NaN
        where all weights are 0.
    """
    weights = np.asarray(weights, dtype=float)
    squares = float((weights**2).sum())
    return float(weights.sum() ** 2 / squares) if squares > 0 else float("nan")


def effort_findings(table):
    """What is odd in the effort behind training rows.

    Parameters
    ----------
    table : pandas.DataFrame
        ``taxon, zone, effort`` (m3) and, where known, ``cruise``.

    Returns
    -------
    list of str
        One sentence per zone for each cruise whose volumes are of another
        size than the others', and for a row with most of the effort, with
        the effective number of samples.
    """
    if "effort" not in table:
        return []
    found = []
    for (zone, _), rows in table.groupby(["zone", "taxon"], sort=False):
        rows = rows[rows["effort"] > 0]
        effort = rows["effort"].to_numpy(dtype=float)
        if len(effort) < 2:
            continue
        behind = f"as weights they leave {effective_number(effort):.1f} effective samples of {len(effort)}"
        if "cruise" in rows:
            found += [f"zone {zone}: {text}; {behind}" for text in _cruises(rows)]
        share = effort.max() / effort.sum()
        if share > MOST:
            row = rows.iloc[int(effort.argmax())]
            found.append(
                f"zone {zone}: one row (lat {row['lat']:g}, lon {row['lon']:g}) has {share:.0%} of the sampled volume, "
                f"{effort.max():g} m3; {behind}"
            )
    return list(dict.fromkeys(found))


def _cruises(rows):
    medians = rows.groupby(rows["cruise"].astype(str))["effort"].median()
    if len(medians) < 3:
        typical = dict.fromkeys(medians.index, float(medians.min()))
    else:
        typical = {name: float(medians.drop(name).median()) for name in medians.index}
    for name, volume in medians.items():
        ratio = volume / typical[name]
        if ratio >= OTHER_UNIT:
            yield f"cruise {name!r} has a median volume of {volume:g} m3, {ratio:.0f} times that of the others (litres?)"
        elif ratio <= 1 / OTHER_UNIT:
            yield f"cruise {name!r} has a median volume of {volume:g} m3, {1 / ratio:.0f} times less than the others"


def grid_findings(table, cube, names):
    """Predictors whose values in the grid are far from those of the training rows.

    Parameters
    ----------
    table : pandas.DataFrame
        Training rows with their predictors.
    cube : xarray.Dataset
        Predictors on the study grid, and its ``domain``.
    names : list of str
        Predictors.

    Returns
    -------
    list of str
        One sentence per predictor.
    """
    found = []
    for name in names:
        mine = table[name].to_numpy(dtype=float)
        mine = mine[np.isfinite(mine)]
        field = cube[name].where(cube["domain"] == 1) if "domain" in cube else cube[name]
        theirs = field.to_numpy().ravel()
        theirs = theirs[np.isfinite(theirs)]
        if not mine.size or not theirs.size or np.ptp(mine) == 0:
            continue
        span = f"training rows {mine.min():g} to {mine.max():g}, grid {theirs.min():g} to {theirs.max():g}"
        reach = BEYOND * np.ptp(mine)
        outside = float(((theirs < mine.min() - reach) | (theirs > mine.max() + reach)).mean())
        if outside > FEW:
            found.append(f"predictor {name!r}: {outside:.1%} of the grid lies far outside the training rows ({span})")
        elif np.ptp(theirs) < np.ptp(mine) / OTHER_UNIT:
            found.append(f"predictor {name!r}: the grid hardly varies beside the training rows ({span}); same unit?")
    return found


def tell(sentences):
    """Say on the screen what was found.

    Parameters
    ----------
    sentences : list of str
        Findings.

    """
    for sentence in sentences:
        warnings.warn(f"{sentence}.", MethodWarning, stacklevel=3)
