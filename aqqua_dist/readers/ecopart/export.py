"""EcoPart exports: reduced and detailed tables (profile and aggregated), ODV spreadsheets, raw files.

A sample is a depth bin of a cast, with or without objects in it. Source: the
exporter's code (github.com/ecotaxa/ecopart, f6f2f7e), its own test files, and
real exports of three stations.
"""

from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import wrap_longitude
from aqqua_dist.core.tables import COUNTS, FINDINGS, OBJECTS, SAMPLES, Ingested, finding, typed
from aqqua_dist.effort import rules
from aqqua_dist.readers.ecopart.bins import add_particles, add_raw, add_taxa, in_micrometres, refuse_repeats, roles
from aqqua_dist.readers.ecopart.floats import read_floats
from aqqua_dist.readers.ecopart.plausible import (
    impossible_calibrations,
    pixels_in_micrometres,
    settle_plankton_sizes,
)
from aqqua_dist.readers.ecopart.raw import calibration_share, read_raw
from aqqua_dist.readers.ecopart.raw_new import read_new
from aqqua_dist.readers.ecopart.tables import kind_of, particle_classes, read_table
from aqqua_dist.readers.ecopart.taxa import labels_of, taxon_columns
from aqqua_dist.readers.set_aside import Aside, setting_aside

INSTRUMENTS = {"uvp5": "UVP5", "uvp6": "UVP6"}
FLOAT = "_rawfiles.zip"
"""End of the name of an archive of one cast of a float, which belongs to the summary beside it."""
TWIN_DEGREES = 0.01
"""Casts of one time that lie closer than this are one cast."""
NAME = ["project", "profile", "raw"]
NO_BINS = pd.DataFrame({name: pd.Series(dtype="float64") for name in ("depth", "volume", "low", "high")}).assign(
    sample_id="", key="", timed=False
)
"""Bins of an export whose tables of particles were all set aside."""
CASTS = (
    "profile",
    "project",
    "cruise",
    "instrument",
    "time",
    "lat",
    "lon",
    "aa",
    "exp",
    "pixel",
    "image_volume",
    "offset",
    "override",
    "raw",
    "file",
    "key",
)


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
    return (
        source.name.endswith(("_Particule.zip", "_work.zip"))
        or source.name.lower().endswith((".tsv", ".txt"))
        and kind_of(source) != ""
    )


def read_ecopart(sources):
    """Tables of EcoPart exports.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Files of one or several exports; tables are joined with the metadata
        summary of the same folder or archive.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        ``samples``: bins of casts with their volume; bins without objects
        come from the particle table. ``counts``: validated objects of each
        taxon itself, without those of its children. ``extra``: ``particles``
        (n and biovolume in mm3 per size class in µm, either missing where it
        is not told), ``conditions`` (CTD, in
        the units of their names), ``casts``, ``taxa``, ``searched`` (whether
        the export tells the taxa of a profile).

    Raises
    ------
    UserError
        A cast stands in two exports, or nothing can be read: the first damaged
        table, cast without its metadata, or impossible number. Where other
        files and casts can be read those are set aside
        (`aqqua_dist.readers.set_aside`).
    """
    groups = defaultdict(list)
    for source in sources:
        place = _place(source)
        groups[(_root(source), "new") if kind_of(source).startswith("new") else place].append(source)
    found, aside, parts = [], Aside(), []
    for files in groups.values():
        n_lost = len(aside.errors)
        with setting_aside(aside, files[0]):
            part = _group(_tables(files, aside), found, aside)
            lost = any(kind_of(source) == "particles" for source, _ in aside.errors[n_lost:])
            parts.append(part | {"lost particles": lost})
    if not parts:
        aside.findings(0)
    names = _profile_names([part["casts"] for part in parts], found)
    labels = labels_of([line for part in parts for table in part["taxa"] for line in taxon_columns(table)])
    tables = [_assembled(part, names, labels, found, aside) for part in parts]
    whole = {name: pd.concat([table[name] for table in tables], ignore_index=True) for name in tables[0]}
    refuse_repeats(whole["samples"])
    if len(whole["casts"]):
        _twins(whole["casts"], found)
    found += aside.findings(len(whole["samples"]))
    return Ingested(
        typed(whole.pop("samples"), SAMPLES),
        typed(whole.pop("objects"), OBJECTS),
        typed(whole.pop("counts"), COUNTS),
        typed(pd.DataFrame(found), FINDINGS),
        {name: table for name, table in whole.items() if len(table)},
    )


def _place(source):
    """Folder or archive that a table shares with its summary; the archive of one cast of a float lies beside the summary."""
    archive, folder = str(source.path), str(PurePosixPath(source.member).parent)
    if source.inner and source.member.lower().endswith(FLOAT):
        return archive, folder
    if source.inner:
        return f"{archive}!{source.member}", str(PurePosixPath(source.inner).parent)
    if not source.member or archive.lower().endswith(FLOAT):
        return str(source.path.parent), "."
    return archive, folder


def _root(source):
    """Archive or folder of a new raw export: above its ``metadata`` and ``lpm``."""
    if source.member:
        return str(source.path)
    parts = source.path.parts
    return "/".join(
        parts[: max((k for k, part in enumerate(parts) if part in ("metadata", "lpm")), default=len(parts) - 1)]
    )


def _tables(files, aside):
    """Files of one folder that can be read."""
    tables = []
    for source in files:
        with setting_aside(aside, source):
            table = read_table(source)
            if table.kind in ("particles", "taxa"):
                (particle_classes if table.kind == "particles" else taxon_columns)(table)
            tables.append(table)
    return tables


def _group(tables, found, aside):
    """Files of one folder: casts, bins and what is in them."""
    by_kind = defaultdict(list)
    for table in tables:
        by_kind[table.kind].append(table)
    if by_kind["new samples"] or by_kind["new archive"]:
        if not by_kind["new samples"]:
            raise UserError(
                f"{by_kind['new archive'][0].source}: there is no metadata/samples.tsv with it, which has the calibration and the position."
            )
        casts, raw = read_new(by_kind, [table.source for table in by_kind["new archive"]], found, aside)
        return {"casts": casts, "particles": [], "taxa": [], "raw": [raw]}
    casts = (
        pd.concat([table.rows for table in by_kind["summary"]], ignore_index=True)
        if by_kind["summary"]
        else pd.DataFrame()
    )
    odv = [table.metadata for kind in ("particles", "taxa") for table in by_kind[kind] if table.metadata is not None]
    if odv:
        casts = pd.concat([casts, *odv], ignore_index=True).drop_duplicates(NAME, ignore_index=True)
    casts = _one_per_file(casts, by_kind["particles"], found) if len(casts) else casts
    raw = read_raw(by_kind, found, aside) if by_kind["raw particles"] or by_kind["raw taxa"] else None
    casts, floats = read_floats(by_kind, casts, found, aside)
    raw = [one for one in (raw, floats) if one is not None]
    tables = by_kind["particles"] + by_kind["taxa"] + raw
    if casts.empty and not tables:
        casts = pd.DataFrame(columns=NAME)
    elif casts.empty:
        raise UserError(
            f"{tables[0].source}: there is no metadata summary beside it, and the position of a cast stands nowhere else."
        )
    return {"casts": casts, "particles": by_kind["particles"], "taxa": by_kind["taxa"], "raw": raw}


def _one_per_file(casts, tables, found):
    """Casts without those that share their file of particles with another one: the export holds only one of them.

    The one it holds is told by its calibration, which every biovolume carries.
    """
    held = {table.source.name: table for table in tables if "project" not in table.rows}
    same = ["profile", "raw", "particle_file"]
    twice = casts["particle_file"].isin(list(held)) & casts.duplicated(same, keep=False)
    left = pd.Series(False, index=casts.index)
    for (profile, _, file), rows in casts[twice].groupby(same, sort=False):
        classes = [(count, volume) for _, _, count, volume in particle_classes(held[file]) if volume]
        litres = held[file].rows[["volume"]].to_numpy()
        n, size = (
            (held[file].rows[list(names)].to_numpy() * litres for names in zip(*classes, strict=True))
            if classes
            else ([], [])
        )
        shares = np.nan_to_num([calibration_share(n, size, row.aa, row.exp) for row in rows.itertuples()])
        sure = shares.max() > 0.99 and (shares > 0.5).sum() == 1
        chosen = rows.index[int(shares.argmax()) if sure else 0]
        left[rows.index.drop(chosen)] = True
        values = "; ".join(f"{row.project}: aa {row.aa:g}, exp {row.exp:g}" for row in rows.itertuples())
        found.append(
            finding(
                "suspicious",
                "duplicate",
                f"the cast {profile!r} stands in {len(rows)} projects ({values}) under one file name, so that the export holds one of "
                f"them; {'by its biovolumes it is that' if sure else 'its biovolumes do not tell which, and the first was taken, that'} of "
                f"{casts.loc[chosen, 'project']!r}.",
                file=file,
                value=profile,
            )
        )
    return casts[~left].reset_index(drop=True)


def _profile_names(casts, found):
    """Key of each cast: its profile name, with the project where the name alone is used twice, and with its file where that is, too."""
    every = pd.concat(
        [pd.DataFrame(columns=NAME), *(table[NAME] for table in casts if len(table))], ignore_index=True
    ).drop_duplicates()
    projects = every.drop_duplicates(["project", "profile"])
    shared = set(projects.loc[projects["profile"].duplicated(keep=False), "profile"])
    again = set(map(tuple, every.loc[every.duplicated(["project", "profile"]), ["project", "profile"]].to_numpy()))
    if shared:
        found.append(
            finding(
                "suspicious",
                "homonym",
                f"{len(shared)} profile names, first {sorted(shared)[0]!r}, are used in several projects; they are called "
                "<project>:<profile> here.",
            )
        )
    return {
        (row.project, row.profile, row.raw): f"{row.project}:" * (row.profile in shared)
        + row.profile
        + f":{row.raw}" * ((row.project, row.profile) in again)
        for row in every.itertuples()
    }


def _by_cast(table):
    """A table for each cast of a table of several."""
    parts = [rows.copy() for _, rows in table.rows.groupby(["profile", "raw"], sort=False, dropna=False)]
    return [replace(table, rows=rows) for rows in parts] if len(parts) > 1 else []


def _tried(do, table, aside):
    """What `do` gives for a table; where it cannot be done, for those of its casts with which it can, and the others are set aside."""
    whole = Aside()
    with setting_aside(whole, table.source):
        return [do(table)]
    several, given = _by_cast(table), []
    if not several:
        aside.errors += whole.errors
    for one in several:
        with setting_aside(aside, table.source):
            given.append(do(one))
    return given


def _known(table, casts, aside):
    """Tables of the casts that the metadata know, each with its rows joined to them."""
    return _tried(lambda some: (some, _with_casts(some, casts)), table, aside)


def _laid(table, casts, add, pieces, aside):
    """What `add` gives for a table, or for those of its casts that can be laid on samples."""

    def once(some):
        own, told = {name: [] for name in pieces}, len(table.findings)
        try:
            given = add(some, _with_casts(some, casts), pieces=own)
        except UserError:
            del table.findings[told:]
            raise
        for name, parts in own.items():
            pieces[name] += parts
        return given

    return _tried(once, table, aside)


def _assembled(part, names, labels, found, aside):
    casts = part["casts"]
    casts = (
        casts.assign(key=[names[row.project, row.profile, row.raw] for row in casts.itertuples()])
        if len(casts)
        else casts
    )
    pieces = {name: [] for name in ("samples", "counts", "particles", "conditions", "searched", "taxa", "objects")}
    particles = [one for table in part["particles"] for one, _ in _known(table, casts, aside)]
    bins = [one for table in particles for one in _laid(table, casts, add_particles, pieces, aside)]
    if bins or part["particles"] or part["lost particles"]:
        volumes = pd.concat(bins, ignore_index=True) if bins else NO_BINS
    else:
        volumes = None
    taxa = [line for table in part["taxa"] for line in _known(table, casts, aside)]
    settle_plankton_sizes(taxa, found)
    for table, _ in taxa:
        _laid(table, casts, partial(add_taxa, bins=volumes, labels=labels), pieces, aside)
    for raw in part["raw"]:
        with setting_aside(aside, raw.source):
            add_raw(raw, _with_casts(raw, casts), pieces)
    for table in part["particles"] + part["taxa"]:
        found += table.findings
    seen = {profile for table in pieces["searched"] for profile in table["profile"]}
    keys = pd.concat([table["key"] for table in pieces["samples"]]).unique() if pieces["samples"] else []
    pieces["searched"].append(pd.DataFrame({"profile": [key for key in keys if key not in seen], "searched": False}))
    if "file" in casts and (absent := sorted(set(casts["key"]) - set(keys))):
        message = f"{len(absent)} of {len(casts)} casts of the metadata have no rows in any table, first {absent[0]!r}."
        found.append(finding("suspicious", "missing", message, file=str(casts["file"].iloc[0]), value=absent[0]))
    empty = {"samples": list(SAMPLES), "objects": list(OBJECTS), "counts": list(COUNTS)}
    whole = {
        name: pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=empty.get(name, []))
        for name, tables in pieces.items()
    }
    whole["samples"] = _samples(whole["samples"], casts)
    whole["particles"] = in_micrometres(whole["particles"])
    whole["casts"] = casts[[name for name in CASTS if name in casts]]
    if len(casts):
        impossible_calibrations(casts, found)
        whole["casts"] = whole["casts"].assign(pixel=pixels_in_micrometres(casts, found))
    whole["taxa"] = whole["taxa"].drop_duplicates() if len(whole["taxa"]) else whole["taxa"]
    return whole


def _with_casts(table, casts):
    """Fixed columns of a table, with the key and the instrument of each row's cast."""
    rows = table.rows
    mine = casts[(casts["particle_file"] == table.source.name) | (casts["taxa_file"] == table.source.name)]
    mine = mine if len(mine) and table.kind != "raw" else casts
    if "project" in rows and rows["project"].notna().any():
        on = NAME
    else:
        on = ["profile", "raw"]
        if mine.duplicated(on).any():
            twice = mine[mine.duplicated(on)].iloc[0]
            if ((rows["profile"] == twice["profile"]) & (rows["raw"] == twice["raw"])).any():
                raise UserError(
                    f"{table.source}: profile {twice['profile']!r} is that of several projects, and the table does not say of which."
                )
    few = (
        rows
        if table.kind == "raw"
        else rows[[name for name in ("profile", "raw", "time", "project", "depth", "volume", "row") if name in rows]]
    )
    held = [name for name in ("key", "instrument", "aa", "exp", "pixel") if name in mine and name not in few]
    joined = few.merge(mine.drop_duplicates(on)[[*on, *held]], on=on, how="left")
    lost = joined["key"].isna().to_numpy()
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        raise UserError(
            f"{table.source}, row {rows['row'].iloc[row]}: profile {rows['profile'].iloc[row]!r} is not in the metadata summary beside it, which alone "
            "has positions."
        )
    return joined.set_index(rows.index)


def _samples(bins, casts):
    """Bins with the metadata of their cast and their volume."""
    if bins.empty:
        return pd.DataFrame(columns=list(SAMPLES))
    one = casts.drop_duplicates("key").set_index("key")
    bins = bins.assign(role=roles(bins))
    table = bins.join(one[["project", "cruise", "instrument", "time", "lat", "lon"]], on="key")
    table["time"] = pd.to_datetime(table["moment"], utc=True).fillna(pd.to_datetime(table["time"], utc=True))
    table["instrument"] = table["instrument"].map(lambda name: INSTRUMENTS.get(str(name).lower()[:4], name))
    table["cruise"] = table["cruise"].astype(object).where(table["cruise"].notna(), table["project"])
    table["lon"] = wrap_longitude(table["lon"].to_numpy(dtype=float))
    held = (table["litres"] > 0).to_numpy()
    volumes = rules.volume("ecopart", pd.DataFrame({"Sampled volume [L]": table["litres"][held]}))
    for name in volumes:
        table.loc[held, name] = volumes[name]
    return table.drop(columns=["key", "litres", "project", "moment"])


def _twins(casts, found):
    """One cast in two projects: the same time and place."""
    for time, rows in casts.dropna(subset=["time", "lat", "lon"]).groupby("time"):
        if rows["project"].nunique() > 1 and np.ptp(rows["lat"]) < TWIN_DEGREES and np.ptp(rows["lon"]) < TWIN_DEGREES:
            names = ", ".join(f"{row.profile!r} of {row.project!r}" for row in rows.itertuples())
            differ = [name for name in ("aa", "exp") if rows[name].nunique() > 1]
            found.append(
                finding(
                    "suspicious",
                    "duplicate",
                    f"one cast of {time:%Y-%m-%d %H:%M} stands in {rows['project'].nunique()} projects ({names})"
                    + (f" with different {' and '.join(differ)}" if differ else "")
                    + "; keep one of them.",
                    value=rows["key"].iloc[0],
                )
            )
