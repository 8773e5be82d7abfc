"""Sums of objects to the table of counts: sample, taxon and size class with interval, biovolume and carbon."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from aqqua_dist.core import files
from aqqua_dist.core.tables import COUNTS, summed, typed
from aqqua_dist.counts import classifier_counts, counting_error, tallies, unsized
from aqqua_dist.organisms.conversions import conversion
from aqqua_dist.organisms.elements import carbon

ROWS = 2**20
SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("taxon", pa.string()),
        ("esd_low", pa.float64()),
        ("esd_high", pa.float64()),
        ("n", pa.float64()),
        ("n_low", pa.float64()),
        ("n_high", pa.float64()),
        ("biovolume", pa.float64()),
        ("carbon", pa.float64()),
        ("weight", pa.float64()),
        ("method", pa.string()),
        ("share_counted", pa.float64()),
    ]
)
REPEATING = ["sample_id", "taxon", "esd_low", "esd_high", "weight", "method", "n", "share_counted"]


@dataclass(frozen=True)
class Known:
    """What the sums are of.

    Attributes
    ----------
    axes : aqqua_dist.counts.tallies.Axes
        Samples, labels, columns and size classes.
    names : numpy.ndarray of str
        Sample id of each row of `axes` (fractions of a sample share theirs).
    weights : numpy.ndarray
        What one object of each row stands for in its sample.
    options : aqqua_dist.counts.partitions.CountOptions
        What was counted.
    relations : dict of str to str
        Conversion of each label that has one (`aqqua_dist.organisms.conversions`).
    own : dict of str to aqqua_dist.organisms.conversions.Conversion
        A user's own conversions.
    untold : frozenset of str
        Labels whose carbon is unknown where nobody tells how many organisms
        an image shows (`aqqua_dist.organisms.relations.untold`).
    share_counted : pandas.Series or None
        Share of each sample's objects that are counted, by ``sample_id``.
    """

    axes: tallies.Axes
    names: np.ndarray
    weights: np.ndarray
    options: object
    relations: dict = field(default_factory=dict)
    own: dict = field(default_factory=dict)
    untold: frozenset = frozenset()
    share_counted: pd.Series | None = None


def known_of(axes, samples, units, options):
    """What the sums are of.

    Parameters
    ----------
    axes : aqqua_dist.counts.tallies.Axes
        Of the sums.
    samples : pandas.DataFrame
        Table of samples, in the order of the axis.
    units : dict of tuple to float
        Weight of each (sample, acquisition) that is summed apart, after the
        samples.
    options : aqqua_dist.counts.partitions.CountOptions
        What was counted.

    Returns
    -------
    Known
    """
    names = np.array([*samples["sample_id"].astype(str), *(sample_id for sample_id, _ in units)], dtype=object)
    return Known(axes, names, np.array([*np.ones(len(samples)), *units.values()]), options)


def method_of(options):
    """Word for the way of counting by label.

    Parameters
    ----------
    options : aqqua_dist.counts.partitions.CountOptions
        What was counted.

    Returns
    -------
    str
    """
    if options.scoring.method != "labels":
        return "validated"
    words = "+".join(options.statuses) or "all"
    return f"{words}, score >= {options.min_score:g}" if options.min_score else words


def label_rows(sums, known, part=slice(None)):
    """Rows of a slice of the sums by label.

    Parameters
    ----------
    sums : aqqua_dist.counts.tallies.Tally
        Sums by label (no columns of a model).
    known : Known
        What they are of.
    part : slice
        Of `sums`.

    Returns
    -------
    pandas.DataFrame
        Columns of `SCHEMA`, without the interval, and ``individuals`` (on
        each image).
    """
    axes = known.axes
    row, rest = np.divmod(sums.slots[part], axes.width * axes.sizes)
    label, size = np.divmod(rest, axes.sizes)
    table = pd.DataFrame(
        {
            "row": row,
            "taxon": np.array(axes.labels, dtype=object)[label],
            "size": size,
            "n": sums.n[part].astype(float),
            "biovolume": np.where(sums.unknown[part] > 0, np.nan, sums.volume[part] * tallies.VOLUME_UNIT),
        }
    )
    return _complete(table, known).assign(method=method_of(known.options))


def model_rows(sums, known, validated=None, prior=None):
    """Rows of the model's objects, corrected by the method that was asked for.

    Parameters
    ----------
    sums : aqqua_dist.counts.tallies.Tally
        Of everything.
    known : Known
        What they are of.
    validated, prior
        As for `aqqua_dist.counts.classifier_counts.model_counts`.

    Returns
    -------
    pandas.DataFrame
        Columns of `SCHEMA` without the interval, and ``raw``: n before the
        correction.
    """
    scoring = known.options.scoring
    found = classifier_counts.model_counts(sums, known.axes, scoring, validated, prior)
    names = scoring.classes if scoring.method == "em" else scoring.columns
    taxon = np.array(names, dtype=object)[found["class"].to_numpy(dtype=np.int64)]
    table = _complete(found.drop(columns="class").assign(taxon=taxon), known)
    return table.assign(method=scoring.method)


def raw_rows(sums, known):
    """Counts of the model by predicted class, before any correction.

    Parameters
    ----------
    sums, known
        As for `model_rows`.

    Returns
    -------
    pandas.DataFrame
        Columns of `SCHEMA` without the interval.
    """
    raw = classifier_counts.raw_counts(sums, known.axes, known.options.scoring)
    taxon = np.array(known.options.scoring.classes, dtype=object)[raw["column"].to_numpy()]
    return _complete(raw.drop(columns="column").assign(taxon=taxon), known).assign(method=known.options.scoring.method)


def _complete(table, known):
    low, high, individuals = tallies.classes_of(known.axes, table["size"].to_numpy(dtype=np.int64))
    row = table["row"].to_numpy(dtype=np.int64)
    table = table.assign(
        sample_id=known.names[row],
        weight=known.weights[row],
        esd_low=low,
        esd_high=high,
        individuals=np.where((individuals == 1) & table["taxon"].isin(known.untold), np.nan, individuals),
    )
    return table.drop(columns=["row", "size"]).assign(carbon=_carbon(table, known))


def with_carbon(table, known):
    """Counts that came without images, with the carbon of their mean object.

    Parameters
    ----------
    table : pandas.DataFrame
        ``taxon, n, biovolume`` (mm3).
    known : Known
        Conversions.

    Returns
    -------
    pandas.DataFrame
        With ``individuals`` (1 on each image) and ``carbon`` (mg): a relation
        that is no line takes the mean object for all, as their sizes are gone.
    """
    table = table.assign(individuals=np.where(table["taxon"].isin(known.untold), np.nan, 1.0))
    return table.assign(carbon=_carbon(table, known))


def _carbon(table, known):
    """Carbon (mg) of the organisms of each row, each as large as the mean of its class; a chain of k cells is k cells."""
    found = np.full(len(table), np.nan)
    if not known.relations:
        return found
    n = table["n"].to_numpy() * table["individuals"].to_numpy(dtype=float)
    mean = np.divide(table["biovolume"].to_numpy(), n, out=np.full(len(n), np.nan), where=n > 0)
    names = table["taxon"].map(known.relations)
    for name in names.dropna().unique():
        entry, rows = conversion(name, known.own), (names == name).to_numpy()
        found[rows] = n[rows] * carbon(mean[rows], entry).value
    return found


def with_interval(table):
    """Counting interval of each row, 95 %.

    Parameters
    ----------
    table : pandas.DataFrame
        ``n`` and, where it was corrected, ``raw``.

    Returns
    -------
    pandas.DataFrame
        With ``n_low, n_high``: Garwood's, of the raw count and times its
        correction; the error of the correction itself is in the draws.
    """
    n = table["n"].to_numpy(dtype=float)
    raw = table["raw"].to_numpy(dtype=float) if "raw" in table else n
    values, place = np.unique(raw, return_inverse=True)
    low, high = counting_error.garwood(values)
    factor = np.divide(n, raw, out=np.ones(len(n)), where=raw > 0)
    return table.assign(n_low=low[place] * factor, n_high=np.where(raw > 0, high[place] * factor, np.nan))


def write_counts(sums, known, path, origin, model=None):
    """Write ``counts.parquet``.

    Parameters
    ----------
    sums : aqqua_dist.counts.tallies.Tally
        Sums by label.
    known : Known
        What they are of.
    path : pathlib.Path
        Place.
    origin : aqqua_dist.core.provenance.Provenance
        Embedded.
    model : pandas.DataFrame, optional
        From `model_rows`.

    Returns
    -------
    int
        Rows.
    """
    with files.parquet_parts(path, SCHEMA, repeating=REPEATING) as parts:
        for rows in [*_pieces(sums, known), *([model] if model is not None and len(model) else [])]:
            _write_rows(parts, _written(rows, known), known)
        parts.provenance = origin
    return parts.rows


def _pieces(sums, known):
    """Rows by label in pieces that cut no sample and label."""
    places = sums.slots // known.axes.sizes
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    start = 0
    while start < len(places):
        later = np.searchsorted(starts, start + ROWS)
        end = int(starts[later]) if later < len(starts) else len(places)
        yield label_rows(sums, known, slice(start, end))
        start = end


def _written(rows, known):
    """Rows of one size class each; without classes where nobody wants them."""
    keys = ["sample_id", "taxon", "method", "weight", *(["esd_low", "esd_high"] if known.options.sizes else [])]
    if known.options.sizes and len(known.axes.individuals) == 1:
        return rows
    found = summed(rows, keys, ["n", "biovolume", "carbon", *(["raw"] if "raw" in rows else [])])
    return found if known.options.sizes else found.assign(esd_low=np.nan, esd_high=np.nan)


def _write_rows(parts, rows, known):
    share = np.nan if known.share_counted is None else rows["sample_id"].map(known.share_counted)
    rows = with_interval(rows).assign(share_counted=share)
    parts.write(pa.Table.from_pandas(rows[SCHEMA.names], preserve_index=False))


def by_label(sums, known):
    """Sums of the labels alone, without the columns of a model, what does not count, and the rows beside the samples.

    Parameters
    ----------
    sums : aqqua_dist.counts.tallies.Tally
        Of everything.
    known : Known
        What they are of.

    Returns
    -------
    sums : aqqua_dist.counts.tallies.Tally
        Of the labels.
    known : Known
        What they are of.
    """
    axes, plain = known.axes, replace(known, axes=replace(known.axes, columns=(), left=()))
    if axes.width == len(axes.labels) and len(axes.samples) == len(known.names):
        return sums, plain
    row, rest = np.divmod(sums.slots, axes.width * axes.sizes)
    mine = (rest // axes.sizes < len(axes.labels)) & (row < len(known.names))
    cells = row[mine] * plain.axes.width * axes.sizes + rest[mine]
    return tallies.Tally(cells, *(getattr(sums, name)[mine] for name in ("n", "volume", "unknown"))), plain


def left_rows(sums, known):
    """Objects that do not count.

    Parameters
    ----------
    sums : aqqua_dist.counts.tallies.Tally
        Of everything.
    known : Known
        What they are of.

    Returns
    -------
    pandas.DataFrame
        ``row`` (place in `known.names`), ``left`` and ``dead`` (number of
        objects whose label lives or says nothing, and of the others).
    """
    axes = known.axes
    row, rest = np.divmod(sums.slots, axes.width * axes.sizes)
    place = rest // axes.sizes - len(axes.labels) - len(axes.columns)
    mine = (place >= 0) & (row < len(known.names))
    found = pd.DataFrame(
        {"row": row[mine], "left": sums.n[mine] * (place[mine] == 0), "dead": sums.n[mine] * place[mine]}
    )
    return found.groupby("row", as_index=False).sum()


def sized_rows(sums, known, model=None):
    """Rows of every size class, with the objects of unknown size spread over the classes of the others.

    Parameters
    ----------
    sums, known, model
        As for `write_counts`.

    Returns
    -------
    rows : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.COUNTS`, ``carbon`` (mg) and
        ``individuals``.
    unsized : Unsized
        How many objects had no size, and what became of them.
    """
    pieces = [*_pieces(sums, known), *([model] if model is not None and len(model) else [])]
    made = [unsized.spread(piece, known.options.sized) for piece in pieces]
    names = [*COUNTS, "carbon", "individuals"]
    if not made:
        return typed(pd.DataFrame(), COUNTS | {"carbon": "float64", "individuals": "float64"}), unsized.Unsized()
    rows = pd.concat([rows.reindex(columns=names) for rows, _ in made], ignore_index=True)
    return rows, sum((told for _, told in made), unsized.Unsized())


def whole_counts(rows):
    """Counts without their size classes.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `sized_rows`.

    Returns
    -------
    pandas.DataFrame
        Columns of `aqqua_dist.core.tables.COUNTS`, and ``carbon`` (mg;
        NaN where it is unknown).
    """
    names = [*COUNTS, "carbon"]
    if not len(rows):
        return rows[names]
    found = summed(rows, ["sample_id", "taxon", "method", "weight"], ["n", "biovolume", "carbon"])[names]
    whole = np.rint(found["n"])
    return found.assign(n=found["n"].mask((found["n"] - whole).abs() < 1e-9 * whole, whole))
