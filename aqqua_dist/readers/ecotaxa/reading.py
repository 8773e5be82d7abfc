"""What is kept while the objects of EcoTaxa files pass by, and which of them are no objects of their own in the end."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.readers.ecotaxa.annotations import Annotations
from aqqua_dist.readers.ecotaxa.rows import batches, look
from aqqua_dist.readers.ecotaxa.samples import Samples
from aqqua_dist.readers.set_aside import refusal

CODES = {"l": "label", "s": "status"}
"""Columns of a tally that hold codes, and what they are codes of."""


@dataclass
class Reading:
    """What is kept while objects pass by.

    Attributes
    ----------
    samples : Samples
        Positions, times and metadata by sample.
    kind : polars.Categorical
        Type of labels and statuses, with one set of codes for all batches.
    keys, states, ranks, volumes : list of numpy.ndarray
        Per batch: hash of (object, sample, acquisition); codes of sample and
        acquisition, label and status, shape (n, 3); rank of the image;
        volume as a sphere (mm3).
    prints : list of numpy.ndarray
        Per batch: hash of size and position, by which two animals under one
        id are told apart.
    lines : list of tuple
        Per batch: source, rows of the file (as a range where they follow one
        another), place of the first one among everything handed over.
    annotations : Annotations
        Labels from files of their own.
    n_written : int
        Objects handed over, those of files that were set aside included.
    tally : list of polars.DataFrame
        Number of objects by sample, label and status.
    taxa : dict of str to str
        Hierarchy of each label.
    findings : list of dict
        Rows of ``findings``.
    """

    samples: Samples = field(default_factory=Samples)
    kind: object = field(default_factory=lambda: pl.Categorical(pl.Categories.random()))
    keys: list = field(default_factory=list)
    volumes: list = field(default_factory=list)
    states: list = field(default_factory=list)
    ranks: list = field(default_factory=list)
    prints: list = field(default_factory=list)
    lines: list = field(default_factory=list)
    tally: list = field(default_factory=list)
    taxa: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)
    n_written: int = 0
    annotations: Annotations = field(default_factory=lambda: Annotations([]))

    def mark(self):
        """State to which `back` returns.

        Returns
        -------
        tuple
            Lengths of the lists, and the state of the samples.
        """
        lists = (self.keys, self.volumes, self.states, self.ranks, self.prints, self.lines, self.tally, self.findings)
        return [(held, len(held)) for held in lists], dict(self.taxa), self.samples.mark()

    def back(self, mark):
        """Forget what came since a mark.

        Parameters
        ----------
        mark : tuple
            From `mark`.
        """
        for held, length in mark[0]:
            del held[length:]
        self.taxa = mark[1]
        self.samples.back(mark[2])

    def places(self):
        """Place of each row, counted over everything handed over.

        Returns
        -------
        numpy.ndarray of int
            In the order of the keys.
        """
        parts = [np.arange(first, first + len(rows)) for _, rows, first in self.lines]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def line(self, number):
        """Where a row stands.

        Parameters
        ----------
        number : int
            Position in the order of the keys.

        Returns
        -------
        source : aqqua_dist.readers.sources.Source
            File.
        row : int
            Row of it, the header is 1.
        """
        for source, rows, _ in self.lines:
            if number < len(rows):
                return source, int(rows[number])
            number -= len(rows)
        raise UserError(f"row {number} of the objects lies beyond the {len(self.keys)} batches.")


def repeated(reading):
    """Further images of objects; the lowest rank, then the first row, is the object.

    Samples in which one id is not one object are set aside.

    Parameters
    ----------
    reading : Reading
        After all files.

    Returns
    -------
    numpy.ndarray of int
        Places, counted over everything handed over.
    """
    if not reading.keys:
        return np.zeros(0, dtype=np.int64)
    keys = np.concatenate(reading.keys)
    ordered = np.sort(keys)  # several times quicker than a table of hashes
    if not (ordered[1:] == ordered[:-1]).any():
        return np.zeros(0, dtype=np.int64)
    ranks, twice = np.concatenate(reading.ranks), np.flatnonzero(pl.Series(keys).is_duplicated().to_numpy())
    order = twice[np.lexsort((twice, ranks[twice], keys[twice]))]
    further = np.r_[False, keys[order][1:] == keys[order][:-1]]
    states, prints = np.concatenate(reading.states), np.concatenate(reading.prints)
    same = further[1:]
    numbered = ranks[order][1:] != ranks[order][:-1]  # the file itself says: further images of one object
    for differ, what in (
        ((states[order][1:, 1:] != states[order][:-1, 1:]).any(axis=1), "labels or statuses"),
        ((prints[order][1:] != prints[order][:-1]) & ~(numbered & _one_file(reading, order)), "sizes or positions"),
    ):
        places = np.flatnonzero(same & differ)
        for place in places[np.argsort(order[places])]:
            _contradiction(reading, states, (int(order[place]), int(order[place + 1])), what)
    bad = [code for code, (name, _) in enumerate(reading.samples.keys()) if name in reading.samples.impossible]
    further &= ~np.isin(states[order, 0], bad)
    if not further.any():
        return np.zeros(0, dtype=np.int64)
    reading.findings.append(
        finding(
            "repaired",
            "duplicate",
            f"{int(further.sum())} rows were further images of an object and were left out; each object counts once.",
        )
    )
    places = np.sort(order[further])
    reading.tally.append(_taken_off(reading.tally, states[places], np.concatenate(reading.volumes)[places]))
    return reading.places()[places]


def _one_file(reading, order):
    """Whether neighbours in an order stand in the same file."""
    number = {source: place for place, source in enumerate(dict.fromkeys(source for source, _, _ in reading.lines))}
    files = np.concatenate([np.full(len(rows), number[source]) for source, rows, _ in reading.lines])[order]
    return files[1:] == files[:-1]


def _contradiction(reading, states, rows, what):
    """Set the sample of two rows aside that have one id and are not one object."""
    name = reading.samples.keys()[states[rows[0], 0]][0]
    if name in reading.samples.impossible:
        return
    (one, row), (two, other) = sorted(map(reading.line, rows), key=lambda line: (str(line[0]), line[1]))
    identity = _id_at(one, row)
    reading.samples.impossible[name] = (
        f"{one}, row {row}, column 'object_id': {identity!r} stands twice in its sample with different {what}, again in {two}, row {other}; "
        "one id is one object, with one row per image at most (two machines with the same ids?).",
        str(one),
    )


def _id_at(source, row):
    """Object id in a row of a file."""
    for first, frame in batches(look(source), ["object_id"]):
        if first <= row < first + len(frame):
            return frame["object_id"][row - first]
    return f"row {row}"


def _taken_off(parts, states, volumes):
    """Negative counts and volumes of the rows that are no objects."""
    off = pl.DataFrame(states, schema=dict.fromkeys(["code", *CODES], pl.UInt32)).with_columns(
        _v=pl.Series(volumes, nan_to_null=True)
    )
    off = off.group_by("code", *CODES).agg(
        n=-pl.len().cast(pl.Int64), biovolume=-pl.when(pl.col("_v").null_count() == 0).then(pl.col("_v").sum())
    )
    names = pl.concat(parts).select("label", "status", *CODES).unique(subset=list(CODES))
    return off.join(names, on=list(CODES), how="left").select(parts[0].columns)


def impossible(reading):
    """Objects of samples that cannot be; each such sample is told.

    Parameters
    ----------
    reading : Reading
        After all files.

    Returns
    -------
    numpy.ndarray of int
        Places, counted over everything handed over.

    Raises
    ------
    UserError
        No sample is left: the first sentence.
    """
    samples = reading.samples
    if not samples.impossible:
        return np.zeros(0, dtype=np.int64)
    if set(samples.impossible) >= {name for name, _ in samples.keys()}:
        text, _ = next(iter(samples.impossible.values()))
        raise UserError(f"{text}")
    codes = np.concatenate(reading.states)[:, 0]
    bad = [code for code, (name, _) in enumerate(samples.keys()) if name in samples.impossible]
    gone = np.isin(codes, bad)
    for name, (text, file) in samples.impossible.items():
        n = int(np.isin(codes, [code for code, key in enumerate(samples.keys()) if key[0] == name]).sum())
        message = f"{text.removesuffix('.')}; sample {name!r} with its {n} rows was left out."
        reading.findings.append(refusal(message, file=file))
    return reading.places()[gone]
