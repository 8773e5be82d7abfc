"""EcoPart exports: reduced and detailed tables (profile and aggregated), ODV spreadsheets, raw files.

A sample is a depth bin of a cast, with or without objects in it. Source: the
exporter's code (github.com/ecotaxa/ecopart, f6f2f7e), its own test files, and
real exports of three stations.
"""

from collections import defaultdict
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from aqqua_dist import effort
from aqqua_dist.errors import UserError
from aqqua_dist.grid import wrap_longitude
from aqqua_dist.readers.ecopart_tables import BIN, kind_of, particle_classes, read_table, taxon_columns
from aqqua_dist.readers.ecopart_new import read_new
from aqqua_dist.readers.ecopart_raw import read_raw
from aqqua_dist.readers.ingested import COUNTS, FINDINGS, OBJECTS, SAMPLES, Ingested, finding, typed

COARSE = tuple(np.r_[0:150:25, 150:500:50, 500:1000:100, 1000:6001:250].tolist())
"""Edges (m) of the bins of taxa in reduced exports."""
NO_DATA = "no data available"
INSTRUMENTS = {"uvp5": "UVP5", "uvp6": "UVP6"}
TWIN_DEGREES = 0.01
"""Casts of one time that lie closer than this are one cast."""


def recognises(source):
    """Whether a file is one of an EcoPart export.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.

    Returns
    -------
    bool
        Judged by its header.
    """
    return source.name.endswith(("_Particule.zip", "_work.zip")) or source.name.lower().endswith((".tsv", ".txt")) and kind_of(source) != ""


def read_ecopart(sources):
    """Tables of EcoPart exports.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Files of one or several exports; tables are joined with the metadata
        summary of the same folder or archive.

    Returns
    -------
    aqqua_dist.readers.ingested.Ingested
        ``samples``: bins of casts with their volume; bins without objects
        come from the particle table. ``counts``: validated objects of each
        taxon itself, without those of its children. ``extra``: ``particles``
        (n and biovolume in mm3 per size class in mm), ``conditions`` (CTD, in
        the units of their names), ``casts``, ``taxa``, ``searched`` (whether
        the export tells the taxa of a profile).

    Raises
    ------
    UserError
        A damaged table, a cast without its metadata, or impossible numbers.
    """
    groups = defaultdict(list)
    for source in sources:
        new = kind_of(source).startswith("new")
        groups[(_root(source), "new") if new else (str(source.path) if source.member else str(source.path.parent), str(PurePosixPath(source.member).parent))].append(source)
    found, parts = [], []
    for files in groups.values():
        parts.append(_group([read_table(source) for source in files], found))
    names = _profile_names([part["casts"] for part in parts], found)
    tables = [_assembled(part, names, found) for part in parts]
    whole = {name: pd.concat([table[name] for table in tables], ignore_index=True) for name in tables[0]}
    _twins(whole["casts"], found)
    return Ingested(
        typed(whole.pop("samples"), SAMPLES), typed(whole.pop("objects"), OBJECTS), typed(whole.pop("counts"), COUNTS),
        typed(pd.DataFrame(found), FINDINGS), {name: table for name, table in whole.items() if len(table)})


def _root(source):
    """Archive or folder of a new raw export: above its ``metadata`` and ``lpm``."""
    if source.member:
        return str(source.path)
    parts = source.path.parts
    return "/".join(parts[: max((k for k, part in enumerate(parts) if part in ("metadata", "lpm")), default=len(parts) - 1)])


def _group(tables, found):
    """Files of one folder: casts, bins and what is in them."""
    by_kind = defaultdict(list)
    for table in tables:
        by_kind[table.kind].append(table)
    if by_kind["new samples"] or by_kind["new archive"]:
        if not by_kind["new samples"]:
            raise UserError(f"{by_kind['new archive'][0].source}: there is no metadata/samples.tsv with it, which has the calibration and the position.")
        casts, raw = read_new(by_kind, [table.source for table in by_kind["new archive"]], found)
        return {"casts": casts, "particles": [], "taxa": [], "raw": raw}
    casts = pd.concat([table.rows for table in by_kind["summary"]], ignore_index=True) if by_kind["summary"] else pd.DataFrame()
    odv = [table.metadata for kind in ("particles", "taxa") for table in by_kind[kind] if table.metadata is not None]
    if odv:
        casts = pd.concat([casts, *odv], ignore_index=True).drop_duplicates(["project", "profile", "raw"], ignore_index=True)
    casts = _one_per_file(casts, found) if len(casts) else casts
    raw = read_raw(by_kind, found) if by_kind["raw particles"] or by_kind["raw taxa"] else None
    tables = by_kind["particles"] + by_kind["taxa"] + ([raw] if raw else [])
    if tables and casts.empty:
        raise UserError(f"{tables[0].source}: there is no metadata summary beside it, and the position of a cast stands nowhere else.")
    return {"casts": casts, "particles": by_kind["particles"], "taxa": by_kind["taxa"], "raw": raw}


def _one_per_file(casts, found):
    """Casts without those that share their file of particles with another one: the export holds only one of them."""
    named = casts["particle_file"].notna() & (casts["particle_file"] != "") & (casts["particle_file"] != NO_DATA)
    whole = named & ~casts["particle_file"].astype(str).str.contains("Aggregated", case=False)
    twice = whole & casts.duplicated(["profile", "raw", "particle_file"], keep=False)
    for file, rows in casts[twice].groupby("particle_file"):
        values = "; ".join(f"{row.project}: aa {row.aa:g}, exp {row.exp:g}" for row in rows.itertuples())
        found.append(finding(
            "suspicious", "duplicate", f"the cast {rows['profile'].iloc[0]!r} stands in {len(rows)} projects ({values}) under one file name, so that the "
            "export holds one of them and does not say which; the first was taken.", file=file, value=rows["profile"].iloc[0]))
    return casts[~(whole & casts.duplicated(["profile", "raw", "particle_file"]))].reset_index(drop=True)


def _profile_names(casts, found):
    """Key of each cast: its profile name, with the project where the name alone is used twice."""
    every = pd.concat([table[["project", "profile"]] for table in casts if len(table)], ignore_index=True).drop_duplicates()
    shared = set(every.loc[every["profile"].duplicated(keep=False), "profile"])
    if shared:
        found.append(finding(
            "suspicious", "homonym", f"{len(shared)} profile names, first {sorted(shared)[0]!r}, are used in several projects; they are called "
            "<project>:<profile> here."))
    return {(row.project, row.profile): f"{row.project}:{row.profile}" if row.profile in shared else row.profile for row in every.itertuples()}


def _assembled(part, names, found):
    casts = part["casts"].assign(key=[names[row.project, row.profile] for row in part["casts"].itertuples()]) if len(part["casts"]) else part["casts"]
    bins = [_with_casts(table, casts) for table in part["particles"]]
    pieces = {name: [] for name in ("samples", "counts", "particles", "conditions", "searched", "taxa", "objects")}
    bins = [_add_particles(table, rows, pieces, found) for table, rows in zip(part["particles"], bins, strict=True)]
    volumes = pd.concat(bins, ignore_index=True) if bins else None
    for table in part["taxa"]:
        _add_taxa(table, _with_casts(table, casts), volumes, pieces, found)
    if part["raw"] is not None:
        _add_raw(part["raw"], casts, pieces)
    for table in part["particles"] + part["taxa"]:
        found += table.findings
    seen = {profile for table in pieces["searched"] for profile in table["profile"]}
    keys = [table["key"] for table in pieces["samples"]]
    silent = [key for key in (pd.concat(keys).unique() if keys else []) if key not in seen]
    pieces["searched"].append(pd.DataFrame({"profile": silent, "searched": False}))
    empty = {"samples": list(SAMPLES), "objects": list(OBJECTS), "counts": list(COUNTS)}
    whole = {name: pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=empty.get(name, [])) for name, tables in pieces.items()}
    whole["samples"] = _samples(whole["samples"], casts)
    whole["casts"] = casts.drop(columns=["particle_file", "taxa_file", "type", "first", "last", "descent", "override", "project_id"], errors="ignore")
    whole["taxa"] = whole["taxa"].drop_duplicates() if len(whole["taxa"]) else whole["taxa"]
    return whole


def _with_casts(table, casts):
    """Rows of a table with the key of their cast."""
    rows = table.rows
    mine = casts[(casts["particle_file"] == table.source.name) | (casts["taxa_file"] == table.source.name)]
    mine = mine if len(mine) and table.kind != "raw" else casts
    if "project" in rows and rows["project"].notna().any():
        joined = rows.merge(mine[["project", "profile", "key"]].drop_duplicates(), on=["project", "profile"], how="left")
    else:
        one = mine[["profile", "raw", "key"]].drop_duplicates()
        if one.duplicated(["profile", "raw"]).any():
            twice = one[one.duplicated(["profile", "raw"])].iloc[0]
            raise UserError(f"{table.source}: profile {twice['profile']!r} is that of several projects, and the table does not say of which.")
        joined = rows.merge(one, on=["profile", "raw"], how="left")
    lost = joined["key"].isna().to_numpy()
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        raise UserError(
            f"{table.source}, row {rows['row'].iloc[row]}: profile {rows['profile'].iloc[row]!r} is not in the metadata summary beside it, which alone "
            "has positions.")
    joined.index = rows.index
    return joined


def _timed(rows, centre, table, found):
    """Rows of casts that were taken over time: their depths are no centres of bins, or repeat."""
    off = rows["depth"].isna() | (np.abs(centre(rows["depth"].fillna(0)) - rows["depth"].fillna(0)) > 1e-6) | rows.duplicated(["key", "depth"], keep=False)
    timed = rows["key"].isin(rows.loc[off, "key"])
    if timed.any():
        names = rows.loc[timed, "key"].unique()
        found.append(finding(
            "suspicious", "depth", f"{len(names)} profiles, first {names[0]!r}, have rows at depths that are no centres of bins: taken over time? Each row "
            "is a sample of its own.", file=str(table.source), row=int(rows.loc[timed, "row"].iloc[0]), column="Depth [m]"))
    return timed.to_numpy()


def _centre_fine(depth):
    return np.floor(depth / BIN) * BIN + BIN / 2


def _centre_coarse(depth):
    edges = np.array(COARSE, dtype=float)
    place = np.clip(np.searchsorted(edges, depth, side="right") - 1, 0, len(edges) - 2)
    return (edges[place] + edges[place + 1]) / 2


def _named(rows, profile, timed, top, bottom):
    """Name and depth range of each row, which is a bin or a moment."""
    number = rows.groupby("key").cumcount() + 1
    point = rows["depth"].to_numpy()
    low, high = np.where(timed, point, top), np.where(timed, point, bottom)
    names = [f"{key}_t{k}" if t else f"{key}_{a:g}-{b:g}" for key, k, t, a, b in zip(profile, number, timed, low, high, strict=True)]
    return rows.assign(sample_id=names, profile_key=profile, low=low, high=high, timed=timed)


def _bins_of(rows, source):
    return pd.DataFrame({
        "sample_id": rows["sample_id"], "key": rows["key"], "profile": rows["profile_key"], "depth_top": rows["low"], "depth_bottom": rows["high"],
        "litres": rows["volume"], "moment": rows["time"].where(rows["timed"]) if "time" in rows else None, "source": str(source)})


def _add_particles(table, rows, pieces, found):
    timed = _timed(rows, _centre_fine, table, found)
    top = rows["depth"] - BIN / 2
    rows = _named(rows, rows["key"], timed, top, top + BIN)
    _refuse_twice(table, rows)
    pieces["samples"].append(_bins_of(rows, table.source))
    sizes = []
    for low, high, count, volume in particle_classes(table):
        n = rows[count].fillna(0) * rows["volume"]
        held = (n > 0).to_numpy()
        sizes.append(pd.DataFrame({"sample_id": rows["sample_id"][held], "esd_low": low, "esd_high": high, "n": n[held],
                                   "biovolume": (rows[volume] * rows["volume"])[held] if volume else np.nan}))
    particles = pd.concat(sizes, ignore_index=True) if sizes else pd.DataFrame(columns=["sample_id", "esd_low", "esd_high", "n", "biovolume"])
    particles["n"] = table.whole(particles["n"], "number of particles")
    pieces["particles"].append(particles)
    known = [name for name in table.conditions if rows[name].notna().any()]
    if known:
        pieces["conditions"].append(rows[["sample_id", *known]])
    return rows


def _refuse_twice(table, rows):
    twice = rows["sample_id"].duplicated()
    if twice.any():
        row = rows[twice].iloc[0]
        raise UserError(f"{table.source}, row {row['row']}: bin {row['sample_id']!r} stands twice, allowed is once.")


def _add_taxa(table, rows, bins, pieces, found):
    """Counts of one table of taxa, laid on the bins of the particle table."""
    columns = taxon_columns(table)
    if bins is None:
        found.append(finding(
            "suspicious", "volume", "there is no particle table beside the table of taxa, so that bins without objects are unknown and concentrations "
            "too high.", file=str(table.source)))
    timed = _timed(rows, _centre_fine if table.detailed else _centre_coarse, table, found)
    if table.detailed:
        top = rows["depth"] - BIN / 2
        bottom = top + BIN
    else:
        edges = np.array(COARSE, dtype=float)
        place = np.clip(np.searchsorted(edges, rows["depth"].fillna(0), side="right") - 1, 0, len(edges) - 2)
        top, bottom = edges[place], edges[place + 1]
    apart = timed | (not table.detailed)
    rows = _named(rows, np.where(apart, rows["key"] + " (taxa)", rows["key"]), timed, top, bottom)
    _refuse_twice(table, rows)
    alone = rows[timed] if bins is not None else rows
    if len(alone):
        pieces["samples"].append(_bins_of(alone, table.source))
    if bins is not None and table.detailed:
        _check_volumes(table, rows[~timed], bins, found)
    elif bins is not None:
        _add_coarse(table, rows[~timed], bins, pieces)
    _add_counts(table, columns, rows, pieces)


def _add_counts(table, columns, rows, pieces):
    own = {name: rows[count].fillna(0) * rows["volume"] / 1000 for name, (count, _) in columns.items()}
    volume = {name: rows[size].fillna(0) * rows["volume"] if size else pd.Series(np.nan, index=rows.index) for name, (_, size) in columns.items()}
    if table.detailed:
        own, volume = _own_part(table, own), _own_part(table, volume)
    for name in columns:
        held = (own[name].round(6) > 0).to_numpy()
        pieces["counts"].append(pd.DataFrame({
            "sample_id": rows["sample_id"][held], "taxon": table.taxa[name], "n": table.whole(own[name][held], f"number of {name}"),
            "biovolume": volume[name][held], "method": "validated"}))
    pieces["taxa"].append(pd.DataFrame({"taxon": [table.taxa[name] for name in columns], "hierarchy": list(columns)}))
    pieces["searched"].append(pd.DataFrame({"profile": rows["profile_key"].unique(), "searched": True}))


def _check_volumes(table, rows, bins, found):
    known = bins.set_index("sample_id")["volume"]
    missing = ~rows["sample_id"].isin(known.index)
    if missing.any():
        row = rows[missing].iloc[0]
        raise UserError(f"{table.source}, row {row['row']}: bin {row['sample_id']!r} has objects and is not in the particle table.")
    if rows.empty:
        return
    off = (rows["volume"] - known.reindex(rows["sample_id"]).to_numpy()).abs() > 1e-6
    if off.any():
        row = rows[off].iloc[0]
        found.append(finding(
            "suspicious", "volume", f"bin {row['sample_id']!r} has {row['volume']:g} L here and {known[row['sample_id']]:g} L in the particle table; "
            f"{int(off.sum())} such bins, the particle table was taken.", file=str(table.source), row=int(row["row"])))


def _add_coarse(table, rows, bins, pieces):
    """Bins of a reduced export: all those that the cast passed, with the volume of the particle table."""
    edges = np.array(COARSE, dtype=float)
    cast = bins[bins["key"].isin(rows["key"]) & ~bins["timed"]]
    cast = cast.assign(place=np.searchsorted(edges, cast["depth"], side="right") - 1).groupby(["key", "place"], as_index=False)["volume"].sum()
    cast = cast[cast["place"] < len(edges) - 1]
    low, high = edges[cast["place"]], edges[cast["place"] + 1]
    whole = cast.assign(profile_key=cast["key"] + " (taxa)", low=low, high=high, timed=False, time=pd.NaT)
    whole["sample_id"] = [f"{key}_{a:g}-{b:g}" for key, a, b in zip(whole["profile_key"], low, high, strict=True)]
    lost = ~rows["sample_id"].isin(whole["sample_id"])
    if lost.any():
        row = rows[lost].iloc[0]
        raise UserError(f"{table.source}, row {row['row']}: bin {row['sample_id']!r} has objects and is not in the particle table.")
    pieces["samples"].append(_bins_of(whole, table.source))


def _own_part(table, values):
    """What a taxon holds itself: its column without the columns right below it."""
    own = dict(values)
    for name in values:
        parent = name.rpartition(">")[0]
        if parent in values:
            own[parent] = own[parent] - values[name]
    for name, left in own.items():
        low = left < -1e-6 * values[name].abs().clip(lower=1)
        if low.any():
            raise UserError(f"{table.source}: taxon {name!r} holds less than the taxa below it ({left[low].iloc[0]:g}); the columns are not those of EcoPart.")
    return {name: left.where(left.abs() > 1e-9 * values[name].abs().clip(lower=1e-12), 0.0) for name, left in own.items()}


def _add_raw(raw, casts, pieces):
    rows = _with_casts(raw, casts)
    top = rows["bin"] * BIN
    rows = _named(rows.assign(depth=np.nan), rows["key"], rows["bin"].isna().to_numpy(), top, top + BIN)
    pieces["samples"].append(_bins_of(rows, raw.source).assign(n_images=rows["images"]))
    place = rows.set_index(["profile", "raw", "bin"])["sample_id"]
    keys = ["profile", "raw", "bin"]
    sizes = raw.extra["particles"]
    pieces["particles"].append(sizes.assign(sample_id=place.reindex(pd.MultiIndex.from_frame(sizes[keys])).to_numpy()).drop(columns=keys))
    objects = raw.extra["objects"]
    if len(objects):
        pieces["objects"].append(objects.assign(sample_id=place.reindex(pd.MultiIndex.from_frame(objects[keys])).to_numpy()).drop(columns=keys))
        pieces["taxa"].append(raw.extra["taxa"])
    known = rows[rows["profile"].isin(raw.extra["with taxa"])]
    pieces["searched"].append(pd.DataFrame({"profile": known["key"].unique(), "searched": True}))


def _samples(bins, casts):
    """Bins with the metadata of their cast and their volume."""
    if bins.empty:
        return pd.DataFrame(columns=list(SAMPLES))
    one = casts.drop_duplicates("key").set_index("key")
    table = bins.join(one[["project", "cruise", "instrument", "time", "lat", "lon"]], on="key")
    moment = pd.to_datetime(table["moment"], utc=True, errors="coerce")
    table["time"] = moment.fillna(pd.to_datetime(table["time"], utc=True))
    table["instrument"] = table["instrument"].map(_instrument)
    table["cruise"] = table["cruise"].astype(object).where(table["cruise"].notna(), table["project"])
    table["lon"] = wrap_longitude(table["lon"].to_numpy(dtype=float))
    held = (table["litres"] > 0).to_numpy()
    volumes = effort.volume("ecopart", pd.DataFrame({"Sampled volume [L]": table["litres"][held]}))
    for name in volumes:
        table.loc[held, name] = volumes[name]
    return table.drop(columns=["key", "litres", "project", "moment"])


def _instrument(name):
    text = str(name).lower()
    return next((known for start, known in INSTRUMENTS.items() if text.startswith(start)), name)


def _twins(casts, found):
    """One cast in two projects: the same time and place."""
    for time, rows in casts.dropna(subset=["time", "lat", "lon"]).groupby("time"):
        if rows["project"].nunique() > 1 and np.ptp(rows["lat"]) < TWIN_DEGREES and np.ptp(rows["lon"]) < TWIN_DEGREES:
            names = ", ".join(f"{row.profile!r} of {row.project!r}" for row in rows.itertuples())
            differ = [name for name in ("aa", "exp") if rows[name].nunique() > 1]
            found.append(finding(
                "suspicious", "duplicate", f"one cast of {time:%Y-%m-%d %H:%M} stands in {rows['project'].nunique()} projects ({names})"
                + (f" with different {' and '.join(differ)}" if differ else "") + "; keep one of them.", value=rows["key"].iloc[0]))


