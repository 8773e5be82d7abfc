"""Sums of objects to the table of counts: sample, taxon and size class with interval, biovolume and carbon."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import COUNTS, summed, typed
from aqqua_dist.counts import classifier_counts, counting_error, tallies
from aqqua_dist.organisms import rollup
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
    options : aqqua_dist.counts.partitions.Options
        What was counted.
    relations : dict of str to str
        Conversion of each label that has one (`aqqua_dist.organisms.conversions`).
    share_counted : pandas.Series or None
        Share of each sample's objects that are counted, by ``sample_id``.
    """

    axes: tallies.Axes
    names: np.ndarray
    weights: np.ndarray
    options: object
    relations: dict = field(default_factory=dict)
    share_counted: pd.Series | None = None


def known_of(axes, samples, units, options, relations=None):
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
    options : aqqua_dist.counts.partitions.Options
        What was counted.
    relations : dict of str to str, optional
        Conversion of each label.

    Returns
    -------
    Known
    """
    names = np.array([*samples["sample_id"].astype(str), *(sample_id for sample_id, _ in units)], dtype=object)
    return Known(axes, names, np.array([*np.ones(len(samples)), *units.values()]), options, relations or {})


def relations_of(labels, lines, wanted):
    """Conversion of each label: that of the nearest taxon above it.

    Parameters
    ----------
    labels : sequence of str
        Labels and classes.
    lines : dict of str to str
        Hierarchy of each label.
    wanted : dict of str to str
        Conversion (`aqqua_dist.organisms.conversions`) by taxon.

    Returns
    -------
    dict of str to str
        Labels below none of the taxa have no entry.

    Raises
    ------
    UserError
        An unknown conversion, or a taxon that is in no hierarchy.
    """
    if not wanted:
        return {}
    for name in wanted.values():
        carbon(np.array([1e-3]), name)
    goal = rollup.goals(labels, lines, list(wanted))
    return {label: wanted[taxa[0]] for label, taxa in goal.items() if taxa}


def method_of(options):
    """Word for the way of counting by label.

    Parameters
    ----------
    options : aqqua_dist.counts.partitions.Options
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
        Columns of `SCHEMA`, without the interval.
    """
    axes = known.axes
    row, rest = np.divmod(sums.cells[part], axes.width * axes.sizes)
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
    edges = tallies.class_edges()
    low, high = (edges[:-1], edges[1:]) if known.axes.sizes > 1 else ([], [])
    row, size = table["row"].to_numpy(dtype=np.int64), table["size"].to_numpy(dtype=np.int64)
    table = table.assign(
        sample_id=known.names[row],
        weight=known.weights[row],
        esd_low=np.append(low, np.nan)[size],
        esd_high=np.append(high, np.nan)[size],
    )
    return table.drop(columns=["row", "size"]).assign(carbon=_carbon(table, known.relations))


def _carbon(table, relations):
    """Carbon (mg) of the objects of each row, each as large as the mean of its class."""
    found = np.full(len(table), np.nan)
    if not relations:
        return found
    n = table["n"].to_numpy()
    mean = np.divide(table["biovolume"].to_numpy(), n, out=np.full(len(n), np.nan), where=n > 0)
    names = table["taxon"].map(relations)
    for name in names.dropna().unique():
        rows = (names == name).to_numpy()
        found[rows] = n[rows] * carbon(mean[rows], name).value
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
        for start in range(0, len(sums.cells), ROWS):
            _write_rows(parts, label_rows(sums, known, slice(start, start + ROWS)), known)
        if model is not None and len(model):
            _write_rows(parts, model, known)
        parts.provenance = origin
    return parts.rows


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
    row, rest = np.divmod(sums.cells, axes.width * axes.sizes)
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
    row, rest = np.divmod(sums.cells, axes.width * axes.sizes)
    place = rest // axes.sizes - len(axes.labels) - len(axes.columns)
    mine = (place >= 0) & (row < len(known.names))
    found = pd.DataFrame(
        {"row": row[mine], "left": sums.n[mine] * (place[mine] == 0), "dead": sums.n[mine] * place[mine]}
    )
    return found.groupby("row", as_index=False).sum()


def whole_counts(sums, known, model=None):
    """Counts without their size classes.

    Parameters
    ----------
    sums, known, model
        As for `write_counts`.

    Returns
    -------
    pandas.DataFrame
        Columns of `aqqua_dist.core.tables.COUNTS`, and ``carbon`` (mg;
        NaN where the carbon of any object is unknown).
    """
    pieces = [_summed(label_rows(sums, known, slice(start, start + ROWS))) for start in range(0, len(sums.cells), ROWS)]
    pieces += [_summed(model)] if model is not None and len(model) else []
    names = [*COUNTS, "carbon"]
    if not pieces:
        return typed(pd.DataFrame(), COUNTS | {"carbon": "float64"})
    return _summed(pd.concat(pieces, ignore_index=True))[names]


def _summed(table):
    return summed(table, ["sample_id", "taxon", "method", "weight"], ["n", "biovolume", "carbon"])


def parse_relation(text):
    """Taxon and conversion of an option.

    Parameters
    ----------
    text : str
        Such as ``Copepoda=name_of_the_conversion``.

    Returns
    -------
    tuple of str
        Taxon, conversion.

    Raises
    ------
    UserError
        The text is nothing of the kind.
    """
    taxon, mark, name = text.partition("=")
    if not (mark and taxon.strip() and name.strip()):
        raise UserError(f"carbon {text!r} is not TAXON=CONVERSION.")
    return taxon.strip(), name.strip()
