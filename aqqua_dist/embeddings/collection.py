"""`aqqua-dist embeddings`: embeddings of a collection to means, components, novelty and morphotypes of its samples."""

import shutil
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from aqqua_dist.concentrations.concentrations import concentrations
from aqqua_dist.core import cluster, files
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.hive import folder_values
from aqqua_dist.core.provenance import Provenance, created_now, software_versions
from aqqua_dist.core.table_folder import TableFolder, standing
from aqqua_dist.core.tables import of_types
from aqqua_dist.counts import counting_error
from aqqua_dist.counts.counted_once import joined_casts, with_rest
from aqqua_dist.counts.links import links_of, sample_places
from aqqua_dist.counts.objects import object_files, read_samples, refuse_same_folder, weighted_units
from aqqua_dist.effort.joined_casts import fine_bins
from aqqua_dist.embeddings import partitions
from aqqua_dist.embeddings.components import embedding_scatter, fit_components
from aqqua_dist.embeddings.morphotypes import Morphotypes, draw_rows, fit_morphotypes
from aqqua_dist.embeddings.novelty import SampleNovelty, fit_novelty

REFERENCES = [
    "https://doi.org/10.1145/1772690.1772862",
    "https://doi.org/10.1016/S0047-259X(03)00096-4",
    "https://doi.org/10.1214/22-AOS2244",
]


@dataclass(frozen=True)
class EmbeddingOptions:
    """What is made of the embeddings.

    Attributes
    ----------
    components : int
        Principal components of the means of the samples; 0 for none, fewer
        where there are not so many samples.
    morphotypes : int
        Centroids to fit; 0 for none.
    codebook : str or None
        Morphotypes of an earlier run, to count by instead.
    training : str or None
        Novelty model of an earlier run; that of these samples unless given.
    seed : int
        Of the draw and the fit.
    on_bad : str
        ``raise`` or ``drop`` (and count) embeddings that are not finite.
    fit_rows : int
        Objects that the codebook is fitted on, drawn from all.
    embedding : str
        Column that holds the embeddings.
    """

    components: int = 10
    morphotypes: int = 50
    codebook: str | None = None
    training: str | None = None
    seed: int = 0
    on_bad: str = "raise"
    fit_rows: int = 200_000
    embedding: str = "embedding"


@dataclass(frozen=True)
class Collected:
    """What was written.

    Attributes
    ----------
    folder : pathlib.Path
        Where the tables are.
    objects, dropped : int
        Objects read, and those left out because their embedding is not
        finite.
    samples : int
        Samples with an object.
    versions : dict of str to str
        Version of everything that was learned.
    """

    folder: Path
    objects: int
    dropped: int
    samples: int
    versions: dict


def collect_embeddings(source, out, options=None, *, samples=None, scheduler=None):
    """Means, components, novelty and morphotypes of samples, from the embeddings of their objects.

    Parameters
    ----------
    source : str or os.PathLike
        Folder of an ingest, a Parquet file, or a folder of such files:
        ``sample_id`` (or ``object_id`` of the ingest's objects), ``embedding``
        and, where known, ``weight``.
    out : str or os.PathLike
        Folder to write to.
    options : EmbeddingOptions, optional
        What is made.
    samples : str or os.PathLike, optional
        Table of samples; that of the ingest unless given.
    scheduler : str, optional
        As for `aqqua_dist.core.cluster.submitter`; here unless given.

    Returns
    -------
    Collected
        ``sample_embeddings.parquet`` (mean and sd), ``components.parquet``
        and ``components.nc``, ``novelty.parquet`` and ``novelty.nc``,
        ``counts.parquet``, ``concentrations.parquet`` and ``morphotypes.nc``,
        ``samples.parquet``: with morphotypes as taxa, and components, a
        recipe takes the folder as ``kind: aggregated``.

    Raises
    ------
    UserError
        Nothing to read, an unknown sample, embeddings that are not finite or
        of different lengths, or a learned file of another kind.
    """
    options, out = options or EmbeddingOptions(), Path(out)
    refuse_same_folder(Path(source), out)
    paths, folder = _files(Path(source))
    every = read_samples(Path(samples) if samples is not None else folder / "samples.parquet")
    joins, notes = joined_casts(folder, every, Path(samples) if samples is not None else None)
    table = with_rest(fine_bins(every, joins["profile"].dropna()), joins)
    for note in notes:
        warnings.warn(note, MethodWarning, stacklevel=2)
    ids = pd.Index(table["sample_id"].astype(str))
    if ids.has_duplicates:
        raise UserError(f"samples: {ids[ids.duplicated()][0]!r} stands twice, allowed is once.")
    training = SampleNovelty.load(options.training) if options.training else None
    codebook = _codebook(paths, options)
    units = weighted_units(folder)
    links = links_of(table, units, joins)
    by_place = bool(units) or links.joins is not None or len(links.casts) > 0
    sample_of = _samples_of(paths, folder, links, by_place)
    shared = partitions.Shared(ids, sample_of, codebook, options.on_bad, options.embedding, links if by_place else None)
    out.mkdir(parents=True, exist_ok=True)
    state = out / ".embeddings"
    with cluster.submitter(scheduler, out) if scheduler else nullcontext() as submit:
        sums = partitions.sum_partitions([str(path) for path in paths], shared, state, submit)
    origin = Provenance(
        study="embeddings",
        stage="embeddings",
        key="",
        recipe_text=repr(options),
        recipe_sha256="",
        inputs={str(path): f"{path.stat().st_size} bytes" for path in paths},
        seeds={"seed": options.seed},
        software=software_versions(),
        references=REFERENCES,
        created=created_now(),
    )
    found = _write(sums, (table, codebook, training, shared), options, out, origin)
    shutil.rmtree(state)
    return found


def collected(source, out, *, samples=None, scheduler=None, **options):
    """As `collect_embeddings`, with the words of the command in and tables out; ``aqqua_dist.embeddings``.

    Parameters
    ----------
    source, out, samples, scheduler
        As for `collect_embeddings`.
    **options
        Attributes of `EmbeddingOptions`, such as ``morphotypes=20``.

    Returns
    -------
    aqqua_dist.core.table_folder.TableFolder
        ``sample_embeddings, components, novelty, counts, concentrations``.

    Raises
    ------
    UserError
        An unknown word, or as for `collect_embeddings`.
    """
    known = [one.name for one in fields(EmbeddingOptions)]
    unknown = [word for word in options if word not in known]
    if unknown:
        raise UserError(f"option {unknown[0]!r} is unknown; allowed are {', '.join(known)}.")
    before = standing(out)
    found = collect_embeddings(source, out, EmbeddingOptions(**options), samples=samples, scheduler=scheduler)
    learned = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    told = f"{found.objects} embeddings of {found.samples} samples ({found.dropped} not finite); learned: {learned}"
    return TableFolder.written(out, before, [told])


def _files(source):
    """Files with embeddings; the predictions of an ingest where its objects have none."""
    if source.is_dir() and (source / "predictions.parquet").is_file():
        return [source / "predictions.parquet"], source
    return object_files(source)


def _samples_of(paths, folder, links, by_place):
    """Place of the sample of every object of an ingest, where the files name objects only or their place needs more than a sample id."""
    objects = folder / "objects.parquet"
    if not objects.is_file():
        return None
    names = [{*files.parquet_names(path), *folder_values(str(path))} for path in paths]
    alone = all("sample_id" in one for one in names)
    if alone and (not by_place or not all("object_id" in one for one in names)):
        return None
    if objects in paths:
        return None  # has the sample, the depth and the acquisition of its own
    held = files.parquet_names(objects)
    missing = [name for name in ("object_id", "sample_id") if name not in held]
    if missing:
        raise UserError(f"{objects}: column {missing[0]!r} is missing; the file has {held[:20]}.")
    known = [name for name in ("sample_id", "depth", "acquisition_id") if name in held]
    table = pq.read_table(objects, columns=["object_id", *known])
    words = {"object_id": "string"}
    ids = pd.Index(of_types(files.read_parquet(objects, [*words]), words, str(objects))["object_id"].astype(str))
    if ids.has_duplicates:
        raise UserError(
            f"{objects}: object {ids[ids.duplicated()][0]!r} stands twice, so nobody knows whose its embedding is."
        )
    return pd.Series(sample_places(table, links, str(objects)), index=ids)


def _codebook(paths, options):
    if options.codebook:
        return Morphotypes.load(options.codebook)
    if not options.morphotypes:
        return None
    drawn = draw_rows(
        partitions.finite_rows([str(path) for path in paths], options.on_bad, options.embedding),
        options.fit_rows,
        seed=options.seed,
    )
    return fit_morphotypes(drawn, options.morphotypes, seed=options.seed)


def _write(sums, known, options, out, origin):
    table, codebook, training, shared = known
    moments, versions = sums.moments, {}
    names = table["sample_id"].astype(str).tolist()
    summary = moments.table(names)
    present = np.flatnonzero(moments.n > 0)
    places, means = moments.sample[present], moments.mean[present]
    files.write_parquet(summary, out / "sample_embeddings.parquet", origin)
    if options.components:
        versions["components"] = _components((places, means, moments.n[present]), names, options, out, origin)
    versions["novelty"] = _novelty((places, means), names, training, out, origin)
    if codebook is not None:
        codebook.save(out / "morphotypes.nc", origin)
        versions["morphotypes"] = codebook.version
        _morphotypes(sums.counts, table, (codebook, shared), out, origin)
    (files.write_geoparquet if {"lat", "lon"} <= set(table) else files.write_parquet)(
        table.drop(columns="rest", errors="ignore"), out / "samples.parquet", origin
    )
    versions = {name: version for name, version in versions.items() if version}
    found = Collected(out, sums.rows, int(moments.n_dropped.sum()), len(present), versions)
    files.write_json(
        {
            "objects": found.objects,
            "not_finite": found.dropped,
            "samples": len(table),
            "samples_with_objects": found.samples,
            "versions": versions,
        },
        out / "report.json",
        origin,
    )
    return found


def _components(known, names, options, out, origin):
    """Components of the means, weighted by the objects of each sample."""
    places, means, n = known
    most = min(means.shape[1], len(means) - 1)
    if most < 1:
        warnings.warn(
            f"{len(means)} samples have embeddings; their components need at least 2.", MethodWarning, stacklevel=4
        )
        return ""
    if options.components > most:
        warnings.warn(
            f"{options.components} components were asked for; {len(means)} samples have {most}.",
            MethodWarning,
            stacklevel=4,
        )
    found = fit_components(embedding_scatter(means, n, place="sample means"), min(options.components, most))
    found.save(out / "components.nc", origin)
    table = pd.DataFrame({"sample_id": names, "n": 0} | dict.fromkeys(found.names, np.nan))
    table.loc[places, "n"] = n
    table.loc[places, found.names] = found.project(means)
    files.write_parquet(table, out / "components.parquet", origin)
    return found.version


def _novelty(known, names, training, out, origin):
    places, means = known
    if training is None and len(means) < 3:
        warnings.warn(
            f"{len(means)} samples have embeddings; their novelty needs at least 3.", MethodWarning, stacklevel=4
        )
        return ""
    model = training or fit_novelty(means)
    score, quantile = model.score(means)
    table = pd.DataFrame({"sample_id": names, "novelty": np.nan, "novelty_quantile": np.nan})
    table.loc[places, ["novelty", "novelty_quantile"]] = np.column_stack([score, quantile])
    model.save(out / "novelty.nc", origin)
    files.write_parquet(table, out / "novelty.parquet", origin)
    return model.version


def _morphotypes(counts, table, known, out, origin):
    """Objects and concentrations per morphotype, as those of taxa; fractions of a sample with their weight."""
    codebook, shared = known
    n = counts["n"].to_numpy(dtype=float)
    low, high = counting_error.garwood(n)
    rows = pd.DataFrame(
        {
            "sample_id": table["sample_id"].astype(str).to_numpy(dtype=object)[shared.parents[counts["sample"]]],
            "taxon": np.array(codebook.names, dtype=object)[counts["morphotype"]],
            "n": n,
            "n_low": low,
            "n_high": high,
            "biovolume": np.nan,
            "weight": counts["weight"].to_numpy() / n,
            "method": f"morphotypes {codebook.version}",
        }
    )
    files.write_parquet(rows, out / "counts.parquet", origin)
    whole = table[table["volume"] > 0]
    if shared.links is not None and shared.links.joins is not None:  # in other casts nobody has looked
        casts = shared.links.casts[shared.links.joins["cast"][shared.links.joins["cast"] >= 0]]
        whole = whole[whole["profile"].isna() | whole["profile"].isin(casts)]
    whole = whole.assign(**{name: np.nan for name in ("depth_top", "depth_bottom") if name not in table})
    mine = rows[rows["sample_id"].isin(whole["sample_id"])]
    found = concentrations(whole, mine, codebook.names)
    largest = pd.Series(shared.weights).groupby(table["sample_id"].astype(str).to_numpy()[shared.parents])
    units = shared.links.units if shared.links is not None else {}
    heaviest = largest.max().reindex(found["sample_id"]).to_numpy()
    heaviest = np.where(found["sample_id"].isin({sample for sample, _ in units}), heaviest, np.nan)
    low, high = counting_error.concentration_interval(mine, found.assign(largest_weight=heaviest))
    found = found.drop(columns="biovolume_concentration").assign(concentration_low=low, concentration_high=high)
    files.write_parquet(found, out / "concentrations.parquet", origin)
