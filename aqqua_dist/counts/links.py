"""Where an object belongs: its sample, the bin of its cast, or its acquisition."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pyarrow as pa

from aqqua_dist.core.errors import UserError


@dataclass(frozen=True)
class Links:
    """How objects find their sample.

    Attributes
    ----------
    samples : pandas.Index
        Ids, in the order of the axis.
    casts : pandas.Index
        Profiles, for objects that name a cast instead of one of its bins.
    bins : pandas.DataFrame
        ``cast`` (place in `casts`), ``top, bottom`` (m) and ``place`` on the
        axis of every bin, ascending in cast and top.
    lookup : numpy.ndarray or None
        Place by cast and number of the bin, -1 where there is none; where all
        bins are of one thickness and begin at its multiples.
    units : dict of tuple to int
        For samples whose acquisitions have weights of their own: place of a
        sample and acquisition id, after the samples.
    weights : tuple of float
        What one object of each of the units stands for, in their order.
    joins : pandas.DataFrame or None
        For samples that are casts: ``cast`` (place in `casts`), ``offset`` (m,
        added to the depth of an object; NaN where the objects of the cast do
        not go to its bins) and ``rest`` (place on the axis of objects that lie
        in no bin), by sample id.
    """

    samples: pd.Index
    casts: pd.Index = field(default_factory=lambda: pd.Index([], dtype=object))
    bins: pd.DataFrame | None = None
    lookup: np.ndarray | None = None
    units: dict = field(default_factory=dict)
    weights: tuple = ()
    joins: pd.DataFrame | None = None

    @property
    def keys(self):
        """Names on the axis of samples (list)."""
        return [*self.samples, *self.units]


def links_of(samples, units=(), joins=None):
    """How objects find the rows of a table of samples.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.SAMPLES`.
    units : dict of tuple to float
        Weight of the sample and acquisition ids that are summed apart.
    joins : pandas.DataFrame, optional
        ``sample_id, profile, depth_offset`` of samples that are casts
        (`aqqua_dist.effort.joined_casts`); each has a row in `samples`, too,
        for its objects that lie in no bin.

    Returns
    -------
    Links
        By ``sample_id``, or by ``profile`` and depth for the bins of casts;
        an id that is both a sample's and a profile's is the sample's. A
        sample without depths is no bin: objects find it by its id alone.

    Raises
    ------
    UserError
        A sample id that stands twice.
    """
    ids = pd.Index(samples["sample_id"].astype(str))
    if ids.has_duplicates:
        raise UserError(
            f"samples: {ids[ids.duplicated()][0]!r} stands {int((ids == ids[ids.duplicated()][0]).sum())} times, allowed is once."
        )
    places = {key: len(ids) + number for number, key in enumerate(units)}
    weights = tuple(units.values()) if isinstance(units, dict) else ()
    if "profile" not in samples or samples["profile"].isna().all():
        return Links(ids, units=places, weights=weights)
    edges = samples.reindex(columns=["depth_top", "depth_bottom"]).to_numpy(dtype=float)
    known = samples["profile"].notna().to_numpy() & np.isfinite(edges).all(axis=1)
    if not known.any():
        return Links(ids, units=places, weights=weights)
    number, casts = pd.factorize(samples["profile"][known].astype(str), sort=True)
    bins = pd.DataFrame(
        {
            "cast": number,
            "top": edges[known, 0],
            "bottom": edges[known, 1],
            "place": np.flatnonzero(known),
        }
    ).sort_values(["cast", "top"], ignore_index=True)
    found = Links(ids, pd.Index(casts), bins, _lookup(bins, len(casts)), places, weights)
    if joins is None or joins.empty:
        return found
    table = pd.DataFrame(
        {
            "cast": found.casts.get_indexer(joins["profile"].astype(str)),
            "offset": joins["depth_offset"].to_numpy(dtype=float),
            "rest": ids.get_indexer(joins["sample_id"].astype(str)),
        },
        index=pd.Index(joins["sample_id"].astype(str)),
    )
    return replace(found, joins=table)


def _lookup(bins, casts):
    """Place by cast and number of the bin, where bins are regular and few."""
    step = float(bins["bottom"].iloc[0] - bins["top"].iloc[0])
    if not step > 0:
        return None
    number = np.rint(bins["top"] / step)
    regular = (np.abs(number * step - bins["top"]) < 1e-9) & (np.abs(bins["bottom"] - bins["top"] - step) < 1e-9)
    width = int(number.max()) + 1
    if not regular.all() or casts * width > 20 * len(bins) + 10**6:
        return None
    table = np.full((casts, width), -1, dtype=np.int64)
    table[bins["cast"], number.astype(np.int64)] = bins["place"]
    return table


def identity(links):
    """Bytes that change with anything that decides where an object goes.

    Parameters
    ----------
    links : Links
        From `links_of`.

    Returns
    -------
    bytes
    """
    parts = [repr((sorted(links.units.items()), links.weights, list(links.casts))).encode()]
    if links.joins is not None:
        parts.append(repr(links.joins.reset_index().to_numpy().tolist()).encode())
    if links.bins is not None:
        parts.append(links.bins.to_numpy(dtype=np.float64).tobytes())
    return b"".join(parts)


def sample_places(table, links, place):
    """Place on the axis of samples of every object.

    Parameters
    ----------
    table : pyarrow.Table
        Columns ``sample_id`` and, where it is needed, ``depth`` (m) and
        ``acquisition_id``.
    links : Links
        From `links_of`.
    place : str
        For messages.

    Returns
    -------
    numpy.ndarray
        int64.

    Raises
    ------
    UserError
        A sample, a bin or an acquisition that nobody knows.
    """
    return _units(table, _joined(table, links, place), links, place)


def _joined(table, links, place):
    """Places of all objects; those of joined casts go by their depth with the offset of the camera."""
    if links.joins is None:
        return _samples(table, links, place)
    at, _ = codes_of(table["sample_id"], links.joins.index)
    mine = at >= 0
    if not mine.any():
        return _samples(table, links, place)
    codes = np.empty(len(at), dtype=np.int64)
    if not mine.all():
        codes[~mine] = _samples(table.filter(pa.array(~mine)), links, place)
    joins, own = links.joins.iloc[at[mine]], table.filter(pa.array(mine))
    if "depth" not in table.column_names:
        raise UserError(
            f"{place}: objects of {joins.index[0]!r} belong to bins of cast {links.casts[joins['cast'].iloc[0]]!r} and have no column 'depth'."
        )
    depth = own["depth"].to_numpy() + joins["offset"].to_numpy()
    found = _found(joins["cast"].to_numpy(), np.maximum(depth, 0.0), links)
    codes[mine] = np.where(found < 0, joins["rest"].to_numpy(), found)
    return codes


def _samples(table, links, place):
    if not len(links.casts):
        codes, column = codes_of(table["sample_id"], links.samples)
        _refuse_unknown(codes, column, links, place)
        return codes
    codes, column = codes_of(table["sample_id"], links.samples)
    casts, _ = codes_of(table["sample_id"], links.casts)
    mine = (codes < 0) & (casts >= 0)
    if mine.all():
        return _bins(casts, table, links, place)
    _refuse_unknown(np.where(mine, 0, codes), column, links, place)
    if mine.any():
        codes[mine] = _bins(casts[mine], table.filter(pa.array(mine)), links, place)
    return codes


def _refuse_unknown(codes, column, links, place):
    lost = codes < 0
    if lost.any():
        strange = column[int(np.flatnonzero(lost)[0])].as_py()
        raise UserError(
            f"{place}: sample {strange!r} is not among the {len(links.samples)} samples, so nobody knows its volume; {int(lost.sum())} such objects."
        )


def _units(table, codes, links, place):
    """Places of objects whose acquisition has a weight of its own."""
    if not links.units:
        return codes
    mine = np.isin(codes, links.samples.get_indexer(sorted({sample for sample, _ in links.units})))
    if not mine.any():
        return codes
    if "acquisition_id" not in table.column_names:
        raise UserError(
            f"{place}: there is no column 'acquisition_id', and sample {links.samples[codes[mine][0]]!r} has fractions of different weight."
        )
    acquisitions = table["acquisition_id"].to_pandas().fillna("").to_numpy()[mine]
    pairs = pd.DataFrame({"sample": links.samples[codes[mine]], "acquisition": acquisitions})
    kinds = pairs.drop_duplicates()
    unknown = [key for key in kinds.itertuples(index=False, name=None) if key not in links.units]
    if unknown:
        raise UserError(
            f"{place}: acquisition {unknown[0][1]!r} of sample {unknown[0][0]!r} is not among the acquisitions, so nobody knows its weight."
        )
    found = codes.copy()
    found[mine] = pd.MultiIndex.from_tuples(links.units).get_indexer(pd.MultiIndex.from_frame(pairs)) + len(
        links.samples
    )
    return found


def _bins(casts, table, links, place):
    """Places of objects that name a cast, by their depth."""
    if "depth" not in table.column_names:
        raise UserError(
            f"{place}: objects name the cast {links.casts[casts[0]]!r} and have no column 'depth' to find its bin by."
        )
    depth = np.maximum(table["depth"].to_numpy(), 0.0)
    found = _found(casts, depth, links)
    lost = found < 0
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        bins = links.bins[links.bins["cast"] == casts[row]]
        raise UserError(
            f"{place}: an object of cast {links.casts[casts[row]]!r} at {depth[row]:g} m lies in none of its {len(bins)} bins "
            f"({bins['top'].min():g}-{bins['bottom'].max():g} m); {int(lost.sum())} such objects."
        )
    return found


def _found(casts, depth, links):
    """Places of depths in casts; -1 where no bin holds them."""
    if links.lookup is None:
        return _by_search(casts, depth, links.bins)
    step = float(links.bins["bottom"].iloc[0] - links.bins["top"].iloc[0])
    with np.errstate(invalid="ignore"):
        number = np.floor(depth / step)
    inside = number < links.lookup.shape[1]  # NaN is not
    return np.where(inside, links.lookup[casts, np.where(inside, number, 0).astype(np.int64)], -1)


def _by_search(casts, depth, bins):
    """Places by bisection; -1 where no bin holds the depth."""
    far = 1e5  # deeper than any sea
    at = (
        np.searchsorted(
            bins["cast"].to_numpy() * far + bins["top"].to_numpy(),
            casts * far + np.where(np.isnan(depth), -1, depth),
            side="right",
        )
        - 1
    )
    at = np.maximum(at, 0)
    inside = (
        (bins["cast"].to_numpy()[at] == casts)
        & (depth >= bins["top"].to_numpy()[at])
        & (depth < bins["bottom"].to_numpy()[at])
    )
    return np.where(inside, bins["place"].to_numpy()[at], -1)


def codes_of(column, index):
    """Place of each value in an index.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Text or dictionary.
    index : pandas.Index
        Known values.

    Returns
    -------
    codes : numpy.ndarray
        int64; -1 for unknown values, -2 where there is none.
    column : pyarrow.DictionaryArray
        The same values.
    """
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    lookup = index.get_indexer(column.dictionary.to_pandas().astype(str)).astype(np.int64)
    codes = column.indices.fill_null(len(lookup)).to_numpy(zero_copy_only=False)
    return np.append(lookup, -2)[codes], column
