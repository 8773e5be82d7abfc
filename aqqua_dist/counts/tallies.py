"""Objects visited once: number and biovolume per sample, label and fine size class.

Everything is summed in whole numbers (a biovolume in units of 2^-40 mm3, a
probability in units of 2^-24), so that the result does not depend on the
order of the objects, on the number of workers, or on which of them was
killed and did its part again.
"""

from dataclasses import dataclass

import numpy as np

from aqqua_dist.core.errors import UserError

VOLUME_UNIT = 2.0**-40
"""mm3; a thousandth of a cubic micrometre. A slot holds up to 2^62 of them, 4 litres."""
SHARE_UNIT = 2.0**-24
"""Unit of a probability; half precision and single precision are finer only far below it."""
PER_OCTAVE = 3
"""Size classes per doubling of the diameter, whose edges 2^(j/3) µm are those of EcoPart: the volume doubles from class to class."""
CLASSES = 60
"""Classes from 1 µm to 1 m; smaller and larger objects go to the first and the last."""
DENSE_SHARE = 8
"""Slots per row up to which a table of all slots is quicker than sorting the rows."""
LEFT = ("left", "left and dead")
"""Objects that do not count: those that may live, and those whose label does not."""
_LIMIT = np.int64(2**62)


@dataclass(frozen=True)
class Axes:
    """What the slots of a tally are.

    Attributes
    ----------
    samples, labels : tuple
        Keys of the rows; a slot is one of each, and a size class.
    sizes : int
        Number of size classes: 1; or 2, known and unknown; or `CLASSES` and
        one more for objects of unknown size. Times the number of
        `individuals`.
    columns : tuple
        What the objects of a model are summed by, after the labels that
        humans gave (`aqqua_dist.counts.classifier_tallies`); empty where labels alone
        count.
    left : tuple
        What objects that do not count are summed by, after the columns
        (`LEFT`); empty where nobody asks.
    dead : frozenset of str
        Labels that do not live.
    individuals : tuple of int
        Numbers of organisms on an image that are summed apart, as a chain of
        eight slots is eight slots and not a large one; 1 comes last.
    """

    samples: tuple
    labels: tuple
    sizes: int = CLASSES + 1
    columns: tuple = ()
    left: tuple = ()
    dead: frozenset = frozenset()
    individuals: tuple = (1,)

    @property
    def width(self):
        """Number of labels, columns and what is left (int)."""
        return len(self.labels) + len(self.columns) + len(self.left)

    @property
    def slots(self):
        """Number of slots (int)."""
        return len(self.samples) * self.width * self.sizes


@dataclass(frozen=True)
class Tally:
    """Sums of the slots that hold anything.

    Attributes
    ----------
    slots : numpy.ndarray
        int64, ascending: (sample · width + label) · sizes + size.
    n : numpy.ndarray
        int64, objects, or probability in units of `SHARE_UNIT`.
    volume : numpy.ndarray
        int64, units of `VOLUME_UNIT`.
    unknown : numpy.ndarray
        int64, those of `n` whose volume is unknown.
    """

    slots: np.ndarray
    n: np.ndarray
    volume: np.ndarray
    unknown: np.ndarray


def size_class(esd):
    """Size class of diameters.

    Parameters
    ----------
    esd : array_like
        µm; NaN where unknown.

    Returns
    -------
    numpy.ndarray
        int16: j for 2^(j/3) to 2^((j+1)/3) µm, `CLASSES` where unknown.
    """
    esd = np.asarray(esd, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.floor(PER_OCTAVE * np.log2(esd))
    known = np.isfinite(esd) & (esd > 0)
    place = np.where(known, np.clip(place, 0, CLASSES - 1), CLASSES).astype(np.int16)
    edges = np.append(
        np.exp2(np.arange(CLASSES) / PER_OCTAVE), np.inf
    )  # the logarithm may be off by one unit at an edge
    low = np.append(edges[:-1], np.nan)[place]
    high = np.append(edges[1:], np.nan)[place]
    with np.errstate(invalid="ignore"):
        return (place - (known & (esd < low) & (place > 0)) + (known & (esd >= high))).astype(np.int16)


def class_edges():
    """Edges of the size classes.

    Returns
    -------
    numpy.ndarray
        µm, one more than there are classes; the first and the last class
        hold what is beyond.
    """
    return np.exp2(np.arange(CLASSES + 1) / PER_OCTAVE)


def places_of(axes, esd, unknown, individuals=None):
    """Place of objects on the axis of sizes.

    Parameters
    ----------
    axes : Axes
        Of the slots.
    esd : array_like
        µm, shape (n,); NaN where unknown.
    unknown : array_like of bool
        Whether the volume is unknown, shape (n,).
    individuals : array_like, optional
        Organisms on each image, shape (n,); NaN is 1.

    Returns
    -------
    numpy.ndarray
        int64, 0 to ``axes.sizes`` - 1.
    """
    classes = axes.sizes // len(axes.individuals)
    place = np.asarray(unknown, dtype=np.int64) if classes == 2 else np.zeros(len(unknown), np.int64)
    if classes > 2:
        place = np.where(unknown, classes - 1, size_class(esd)).astype(np.int64)
    if individuals is None or len(axes.individuals) == 1:
        return place + (len(axes.individuals) - 1) * classes
    levels = np.array(axes.individuals[::-1])
    found = np.searchsorted(levels, level_of(individuals))
    return place + (len(levels) - 1 - found) * classes


def level_of(individuals):
    """Number of organisms on an image, rounded where it is large.

    Parameters
    ----------
    individuals : array_like
        1 or more; NaN, and what is below 1, is 1.

    Returns
    -------
    numpy.ndarray
        int64: the number up to 32, beyond that the nearest of four steps per
        doubling.
    """
    number = np.asarray(individuals, dtype=np.float64)
    number = np.where(number >= 1, np.rint(np.where(number >= 1, number, 1.0)), 1.0)
    return np.where(number <= 32, number, np.rint(np.exp2(np.rint(4 * np.log2(number)) / 4))).astype(np.int64)


def classes_of(axes, place):
    """Size class and number of organisms at a place on the axis of sizes.

    Parameters
    ----------
    axes : Axes
        Of the slots.
    place : numpy.ndarray
        int64, as from `places_of`.

    Returns
    -------
    low, high : numpy.ndarray
        Edges of the size class, µm; NaN where there is none.
    individuals : numpy.ndarray
        Organisms on each image.
    """
    classes = axes.sizes // len(axes.individuals)
    level, size = np.divmod(place, classes)
    low, high = np.full(classes, np.nan), np.full(classes, np.nan)
    if classes > 2:
        low[:CLASSES], high[:CLASSES] = class_edges()[:-1], class_edges()[1:]
    return low[size], high[size], np.array(axes.individuals, dtype=np.float64)[level]


def whole_volume(volume, place="volume"):
    """Volumes in whole units.

    Parameters
    ----------
    volume : array_like
        mm3; NaN where unknown.
    place : str
        For messages.

    Returns
    -------
    units : numpy.ndarray
        int64; 0 where unknown.
    unknown : numpy.ndarray
        bool.

    Raises
    ------
    UserError
        A volume below 0, or above 10^6 mm3 (a litre).
    """
    volume = np.asarray(volume, dtype=np.float64)
    unknown = np.isnan(volume)
    wrong = ~unknown & ~((volume >= 0) & (volume <= 1e6))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{place}, row {row + 1}: biovolume {volume[row]:g} mm3 is outside [0, 1e6]; {int(wrong.sum())} such objects."
        )
    return np.rint(np.where(unknown, 0.0, volume) / VOLUME_UNIT).astype(np.int64), unknown


def tally_slots(slots, volume, unknown):
    """Sums of objects by slot.

    Parameters
    ----------
    slots : numpy.ndarray
        int64, slot of each object.
    volume : numpy.ndarray
        int64, from `whole_volume`.
    unknown : numpy.ndarray
        bool, from `whole_volume`.

    Returns
    -------
    Tally
        One entry per slot that occurs.
    """
    if not len(slots):
        return _empty()
    first = int(slots.min())
    span = int(slots.max()) - first + 1
    if span <= DENSE_SHARE * len(slots):
        return _dense(slots - first, volume, unknown, span, first)
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counts = np.diff(np.r_[starts, len(ordered)])
    return Tally(
        ordered[starts],
        counts,
        np.add.reduceat(volume[order], starts),
        np.add.reduceat(unknown[order].astype(np.int64), starts),
    )


def _dense(places, volume, unknown, span, first):
    n, total, lost = np.bincount(places, minlength=span), np.zeros(span, np.int64), np.zeros(span, np.int64)
    np.add.at(total, places, volume)
    if unknown.any():
        np.add.at(lost, places[unknown], 1)
    held = np.flatnonzero(n)
    return Tally(held + first, n[held], total[held], lost[held])


def _empty():
    none = np.zeros(0, np.int64)
    return Tally(none, none, none, none)


def merge(tallies):
    """Sum of tallies; the order does not matter.

    Parameters
    ----------
    tallies : sequence of Tally
        Any number.

    Returns
    -------
    Tally
        One entry per slot that any of them holds.

    Raises
    ------
    UserError
        The biovolume of a slot is more than it can hold.
    """
    tallies = [tally for tally in tallies if len(tally.slots)]
    if len(tallies) < 2:
        return tallies[0] if tallies else _empty()
    parts = [
        np.concatenate([getattr(tally, name) for tally in tallies]) for name in ("slots", "n", "volume", "unknown")
    ]
    order = np.argsort(parts[0], kind="stable")  # runs that are sorted already are merged, not sorted
    slots = parts[0][order]
    starts = np.flatnonzero(np.r_[True, slots[1:] != slots[:-1]])
    n, volume, unknown = (np.add.reduceat(part[order], starts) for part in parts[1:])
    _refuse_overflow(volume)
    return Tally(slots[starts], n, volume, unknown)


def _refuse_overflow(volume):
    if (volume < 0).any() or (volume > _LIMIT).any():
        raise UserError(
            f"the biovolume of a sample and class is above {float(_LIMIT) * VOLUME_UNIT:g} mm3, which a slot holds; is its unit mm3?"
        )


class Accumulator:
    """Sums of objects that arrive in pieces, within a given memory.

    A table of all slots where that fits, otherwise sorted pieces that are
    merged when they fill the memory.

    Parameters
    ----------
    slots : int
        Number of all slots.
    memory : int
        Bytes that it may hold.
    """

    def __init__(self, slots, memory):
        self._memory, self._pieces, self._held = memory, [], 0
        self._table = None
        if 20 * slots <= memory:
            self._table = [np.zeros(slots, np.uint32), np.zeros(slots, np.int64), None]
            self._rows = 0

    def add(self, slots, volume, unknown):
        """Add objects.

        Parameters
        ----------
        slots, volume, unknown : numpy.ndarray
            As for `tally_slots`.
        """
        if self._table is None:
            self._add_tally(tally_slots(slots, volume, unknown))
            return
        self._rows += len(slots)
        if self._rows >= 2**32 and self._table[0].dtype == np.uint32:
            self._table[0] = self._table[0].astype(np.int64)
        np.add.at(self._table[0], slots, self._table[0].dtype.type(1))
        np.add.at(self._table[1], slots, volume)
        if unknown.any():
            np.add.at(self._lost(), slots[unknown], 1)

    def add_tally(self, tally):
        """Add sums.

        Parameters
        ----------
        tally : Tally
            Of the same slots.
        """
        if self._table is None:
            self._add_tally(tally)
            return
        self._rows += int(tally.n.sum())
        if self._rows >= 2**32 and self._table[0].dtype == np.uint32:
            self._table[0] = self._table[0].astype(np.int64)
        self._table[0][tally.slots] += tally.n.astype(self._table[0].dtype)
        self._table[1][tally.slots] += tally.volume
        if tally.unknown.any():
            self._lost()[tally.slots] += tally.unknown

    def _lost(self):
        if self._table[2] is None:
            self._table[2] = np.zeros(len(self._table[0]), np.int64)
        return self._table[2]

    def _add_tally(self, tally):
        self._pieces.append(tally)
        self._held += 32 * len(tally.slots)
        if self._held > self._memory / 3:
            whole = merge(self._pieces)
            self._pieces, self._held = [whole], 32 * len(whole.slots)
            if self._held > self._memory / 3:
                raise UserError(
                    f"{len(whole.slots)} slots are filled, which needs {3 * self._held / 2**20:.0f} MiB, allowed are {self._memory / 2**20:.0f}; raise the "
                    "memory, or take fewer size classes or samples at a time."
                )

    def result(self):
        """Everything added so far.

        Returns
        -------
        Tally
            Sums of the slots that hold anything.
        """
        if self._table is None:
            return merge(self._pieces)
        n, volume, unknown = self._table
        held = np.flatnonzero(n)
        _refuse_overflow(volume[held])
        lost = np.zeros(len(held), np.int64) if unknown is None else unknown[held]
        return Tally(held, n[held].astype(np.int64), volume[held], lost)
