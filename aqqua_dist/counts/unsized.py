"""Objects whose size nobody knows: as large as the others of their taxon in the sample where these are nearly all, else unknown."""

from dataclasses import dataclass

import numpy as np

SIZED = 0.95
"""Least share of the objects of a sample and label with a size; below it the volume and carbon of all of them are unknown."""
KEYS = ["sample_id", "taxon", "method", "weight"]


@dataclass(frozen=True)
class Unsized:
    """Objects without a size.

    Attributes
    ----------
    objects, samples_and_labels : float, int
        Objects that count as large as the others, and in how many samples
        and labels.
    lost, lost_samples_and_labels : float, int
        Objects that leave the volume of their sample and label unknown.
    least : float
        Rule that was followed.
    """

    objects: float = 0.0
    samples_and_labels: int = 0
    lost: float = 0.0
    lost_samples_and_labels: int = 0
    least: float = SIZED

    def __add__(self, other):
        return Unsized(
            self.objects + other.objects,
            self.samples_and_labels + other.samples_and_labels,
            self.lost + other.lost,
            self.lost_samples_and_labels + other.lost_samples_and_labels,
            other.least,
        )

    @property
    def sentences(self):
        """What is said of them (list of str)."""
        found = []
        if self.objects:
            found.append(
                f"{self.objects:.6g} objects without a size count as large as the others of their label in the sample "
                f"({self.samples_and_labels} samples and labels of which at least {self.least:.0%} have a size)."
            )
        if self.lost:
            found.append(
                f"{self.lost:.6g} objects without a size leave biovolume and carbon missing in {self.lost_samples_and_labels} "
                f"samples and labels, of which less than {self.least:.0%} have a size (see --sized)."
            )
        return found


def spread(rows, least=SIZED):
    """Objects of unknown size, spread over the size classes of the others.

    Parameters
    ----------
    rows : pandas.DataFrame
        `KEYS` (any of them), ``n``, ``biovolume`` (mm3, NaN where unknown) and, where known,
        ``carbon`` (mg).
    least : float
        Share of the objects of a sample and label that must have a size.

    Returns
    -------
    rows : pandas.DataFrame
        Same columns; in samples and labels of which at least `least` of the objects have a
        size, the rows without one are gone and the others hold their number,
        biovolume and carbon, times all objects over those with a size.
    told : Unsized
        What was done.
    """
    lost = rows["biovolume"].isna().to_numpy()
    if not lost.any():
        return rows, Unsized(least=least)
    group = rows.groupby([name for name in KEYS if name in rows], sort=False, dropna=False).ngroup().to_numpy()
    n = rows["n"].to_numpy(dtype=float)
    every, without = np.bincount(group, n), np.bincount(group, np.where(lost, n, 0.0))
    sized = every - without
    enough = (without > 0) & (sized > 0) & (sized >= least * every * (1 - 1e-12))
    factor = np.where(enough, every / np.where(sized > 0, sized, 1.0), 1.0)[group]
    kept = rows[~(lost & enough[group])]
    numbers = [name for name in ("n", "raw", "biovolume", "carbon") if name in rows]
    kept = kept.assign(**{name: kept[name] * factor[~(lost & enough[group])] for name in numbers})
    bad = (without > 0) & ~enough
    told = Unsized(float(without[enough].sum()), int(enough.sum()), float(without[bad].sum()), int(bad.sum()), least)
    return kept, told
