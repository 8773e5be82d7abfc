"""Embeddings of a collection, partition by partition: moments per sample and objects per morphotype.

The same function works on every partition, here or on a cluster. Partial
results are merged in the order of the partitions, so that the result is the
same bit by bit; each is kept beside the output until all are done, so that a
run that was stopped goes on.
"""

import hashlib
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.hive import folder_values
from aqqua_dist.counts.links import Links, identity, sample_places
from aqqua_dist.embeddings.files import COLUMN, read_embeddings
from aqqua_dist.embeddings.moments import ON_BAD, EmbeddingMoments, embedding_moments, merge_moments
from aqqua_dist.embeddings.morphotypes import Morphotypes, merge_counts, morphotype_counts

MEMORY = 2**25
"""Bytes of embeddings that are read together."""


@dataclass(frozen=True)
class Shared:
    """What every partition needs to know.

    Attributes
    ----------
    samples : pandas.Index
        Ids, in the order of the table of samples.
    sample_of : pandas.Series or None
        Place of the sample, or of its fraction, by object id, for files that
        name objects only.
    codebook : aqqua_dist.embeddings.morphotypes.Morphotypes or None
        Objects are counted by its centroids.
    on_bad : str
        What happens with an embedding that is not finite, of `ON_BAD`.
    column : str
        Column of the embeddings.
    """

    samples: pd.Index
    sample_of: pd.Series | None = None
    codebook: Morphotypes | None = None
    on_bad: str = "raise"
    column: str = COLUMN
    links: Links | None = None
    """How objects find bins of casts and fractions of their own weight, where there are any."""

    @property
    def parents(self):
        """Place of the sample of each sample and fraction (numpy.ndarray)."""
        units = self.links.units if self.links is not None else {}
        own = self.samples.get_indexer([sample for sample, _ in units]) if units else np.zeros(0, np.int64)
        return np.append(np.arange(len(self.samples)), own)

    @property
    def weights(self):
        """What one object of each sample and fraction stands for (numpy.ndarray)."""
        return np.append(np.ones(len(self.samples)), self.links.weights if self.links is not None else ())

    def __post_init__(self):
        if self.on_bad not in ON_BAD:
            raise UserError(f"on_bad is {self.on_bad!r}, allowed are {list(ON_BAD)}.")


@dataclass(frozen=True)
class MomentSums:
    """Partial result.

    Attributes
    ----------
    moments : aqqua_dist.embeddings.moments.EmbeddingMoments
        Per sample.
    counts : pandas.DataFrame
        ``sample`` (or fraction of a sample), ``morphotype, n, weight`` (sum
        over the objects of what each stands for); empty without a codebook.
    rows : int
        Objects read.
    """

    moments: EmbeddingMoments
    counts: pd.DataFrame
    rows: int


def sum_partition(path, shared):
    """Sums of one partition.

    Parameters
    ----------
    path : str
        Parquet file with ``embedding`` and ``sample_id`` (or ``object_id``,
        where `Shared.sample_of` knows it) and, where known, ``weight``.
    shared : Shared
        What every partition needs to know.

    Returns
    -------
    MomentSums

    Raises
    ------
    UserError
        An object of an unknown sample, an embedding that is not finite or of
        another length, or a damaged file.
    """
    columns = columns_of(path, shared.sample_of is not None, shared.column)
    if columns[0] == "sample_id" and shared.links is not None:
        columns += [name for name in ("depth", "acquisition_id") if name in pq.read_schema(path).names]
    parents, own = shared.parents, shared.weights
    moments, counts, rows = [], [], 0
    stored = [name for name in columns if name in pq.read_schema(path).names]
    for batch in read_embeddings(path, columns=stored, memory=MEMORY, column=shared.column):
        sample = _places(batch, columns[0], shared, path)
        weights = own[sample]
        if "weight" in columns:
            weights = weights * batch.columns.column("weight").to_numpy(zero_copy_only=False)
        place = f"{path}, from row {batch.first}"
        moments.append(embedding_moments(batch.values, parents[sample], weights, on_bad=shared.on_bad, place=place))
        if shared.codebook is not None:
            labels, _ = shared.codebook.assign(batch.values, on_bad=shared.on_bad, place=place)
            counts.append(morphotype_counts(sample, labels, weights))
        rows += len(sample)
    if not moments:
        raise UserError(f"{path}: the file holds {rows} embeddings, needed is at least one.")
    none = pd.DataFrame({"sample": [], "morphotype": [], "n": []}, dtype="int64").assign(weight=0.0)
    return MomentSums(merge_moments(moments), merge_counts(counts) if counts else none, rows)


def columns_of(path, by_object, column=COLUMN):
    """Columns beside the embedding that are read.

    Parameters
    ----------
    path : str or os.PathLike
        Parquet file.
    by_object : bool
        Whether the samples of objects are known from elsewhere.
    column : str
        Column of the embeddings.

    Returns
    -------
    list of str
        The first tells the sample.

    Raises
    ------
    UserError
        The file tells no sample, or cannot be read.
    """
    try:
        names = pq.read_schema(path).names
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: the Parquet file cannot be read ({str(error).splitlines()[0][:150]}).") from None
    told = "sample_id" in folder_values(str(path))
    key = "object_id" if by_object and "object_id" in names else None
    key = key or ("sample_id" if "sample_id" in names or told else None)
    if key is None or column not in names:
        hint = "; name another column of embeddings by --embedding" if key and column == COLUMN else ""
        raise UserError(
            f"{path}: column {column if key else 'sample_id'!r} is missing{hint}; the file has {names[:20]}."
        )
    return [key, *(["weight"] if "weight" in names else [])]


def _places(batch, key, shared, path):
    ids = _ids(batch, key, path)
    if key == "sample_id" and shared.links is not None:
        held = batch.columns.schema.names
        more = {name: batch.columns.column(name) for name in ("depth", "acquisition_id") if name in held}
        table = pa.table({"sample_id": pa.array(ids, pa.string())} | more)
        return sample_places(table, shared.links, f"{path}, from row {batch.first}").astype(np.int64)
    if key == "sample_id":
        places = shared.samples.get_indexer(ids.astype(str).where(ids.notna()))
    else:
        places = shared.sample_of.reindex(ids.astype(str)).fillna(-1).to_numpy(dtype=np.int64)
    if (places < 0).any():
        row = int(np.argmax(places < 0))
        known = (
            f"the {len(shared.samples)} samples"
            if key == "sample_id"
            else f"the {len(shared.sample_of)} objects of the ingest"
        )
        raise UserError(
            f"{path}, row {batch.first + row}: {key} {ids.iloc[row]!r} is not among {known}; {int((places < 0).sum())} such rows here."
        )
    return places.astype(np.int64)


def _ids(batch, key, path):
    """Ids of the rows: of the file, or of the folder that it lies in."""
    told = folder_values(str(path)).get(key)
    if batch.columns is None or key not in batch.columns.schema.names:
        return pd.Series([told] * len(batch.values), dtype=object)
    column = batch.columns.column(key)
    try:
        ids = column.cast(pa.string()).to_pandas().astype(object)
    except pa.ArrowException:
        raise UserError(f"{path}: column {key!r} holds {column.type}, needed is text.") from None
    others = ids.notna() & (ids.astype(str) != told)
    if told is not None and others.any():
        raise UserError(
            f"{path}, row {batch.first + int(np.argmax(others))}: the folder says {key} {told!r}, and the file {ids[others].iloc[0]!r}; "
            "nobody knows which of them is right."
        )
    return ids


def finite_rows(paths, on_bad, column=COLUMN):
    """Embeddings of all partitions, for a fit.

    Parameters
    ----------
    paths : list of str
        Parquet files.
    on_bad : str
        Of `ON_BAD`.
    column : str
        Column of the embeddings.

    Yields
    ------
    numpy.ndarray
        Finite rows, shape (n, d).

    Raises
    ------
    UserError
        A row that is not finite where ``raise`` is asked for.
    """
    for path in paths:
        for batch in read_embeddings(path, memory=MEMORY, column=column):
            bad = ~np.isfinite(batch.values).all(axis=1)
            if bad.any() and on_bad == "raise":
                raise UserError(
                    f"{path}, row {batch.first + int(np.argmax(bad))}: the embedding is not finite; allowed are finite ones, or on_bad='drop'."
                )
            yield batch.values[~bad] if bad.any() else batch.values


def sum_partitions(paths, shared, state, submit=None):
    """Sums of all partitions, here or on a cluster.

    Parameters
    ----------
    paths : list of str
        Partitions.
    shared : Shared
        What every partition needs to know.
    state : pathlib.Path
        Folder that keeps the partial results until the outputs are written.
    submit : callable, optional
        As for `aqqua_dist.counts.partitions.run_groups`.

    Returns
    -------
    MomentSums
        Of everything.

    Raises
    ------
    UserError
        As `sum_partition`, or partitions of different dimensions.
    """
    key, done = _key(paths, shared), {}
    state.mkdir(parents=True, exist_ok=True)
    for place in range(len(paths)):
        kept = _kept(state / f"{place}.npz", key)
        if kept is not None:
            done[place] = kept
    left = [place for place in range(len(paths)) if place not in done]
    work = [paths[place] for place in left]
    results = (
        submit(sum_partition, work, (shared,))
        if submit
        else ((k, sum_partition(path, shared)) for k, path in enumerate(work))
    )
    for k, sums in tqdm(results, total=len(work), desc="embeddings", unit="file", disable=None):
        done[left[k]] = sums
        _keep(sums, key, state / f"{left[k]}.npz")
    parts = [done[place] for place in range(len(paths))]
    for path, part in zip(paths, parts, strict=True):
        if part.moments.mean.shape[1] != parts[0].moments.mean.shape[1]:
            raise UserError(
                f"{path}: embeddings of {part.moments.mean.shape[1]} numbers, those of {paths[0]} have {parts[0].moments.mean.shape[1]}."
            )
    return MomentSums(
        merge_moments([part.moments for part in parts]),
        merge_counts([part.counts for part in parts]),
        sum(part.rows for part in parts),
    )


def _key(paths, shared):
    stats = [(path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths]
    version = shared.codebook.version if shared.codebook is not None else ""
    digest = hashlib.sha256(repr((stats, version, shared.on_bad, shared.column)).encode())
    digest.update("\n".join(map(str, shared.samples)).encode())
    if shared.sample_of is not None:
        digest.update(pd.util.hash_pandas_object(shared.sample_of).to_numpy().tobytes())
    if shared.links is not None:
        digest.update(identity(shared.links))
    return digest.hexdigest()[:16]


def _keep(sums, key, path):
    arrays = {entry.name: getattr(sums.moments, entry.name) for entry in fields(EmbeddingMoments)}
    with files.replacing(path) as part, part.open("wb") as stream:
        whole = sums.counts[["sample", "morphotype", "n"]].to_numpy(dtype=np.int64)
        weight = sums.counts["weight"].to_numpy(dtype=np.float64)
        np.savez(stream, key=key, rows=sums.rows, counts=whole, weight_sums=weight, **arrays)


def _kept(path, key):
    try:
        with np.load(path) as held:
            if str(held["key"]) != key:
                return None
            moments = EmbeddingMoments(*(held[entry.name] for entry in fields(EmbeddingMoments)))
            counts = pd.DataFrame(held["counts"], columns=["sample", "morphotype", "n"])
            return MomentSums(moments, counts.assign(weight=held["weight_sums"]), int(held["rows"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
