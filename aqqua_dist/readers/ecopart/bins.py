"""Rows of EcoPart tables laid on samples: bins of 5 m, bins of reduced exports, moments of casts over time.

Where taxa are counted in other bins than particles, both stand among the
samples, under one profile and with their role: they are the same water.
"""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import PARTICLES, TAXA, finding
from aqqua_dist.readers.ecopart.headers import particle_columns, plain, taxon_names
from aqqua_dist.readers.ecopart.plausible import LARGEST_ESD, report_empty_casts, seen_biovolume
from aqqua_dist.readers.ecopart.tables import BIN, particle_classes
from aqqua_dist.readers.ecopart.taxa import (
    COARSE,
    FLOAT,
    coarse_centre,
    coarse_place,
    counts_of,
    is_detailed,
)

KEYS = ["profile", "raw", "bin"]
LOWEST = 0.2
"""Size classes that begin above this (mm) are not all that a UVP measures: one pixel is 0.07 to 0.18 mm."""


def _timed(rows, centre, table):
    """Rows of casts that were taken over time: their depths are no centres of bins, or repeat."""
    off = (
        rows["depth"].isna()
        | (np.abs(centre(rows["depth"].fillna(0)) - rows["depth"].fillna(0)) > 1e-6)
        | rows.duplicated(["key", "depth"], keep=False)
    )
    timed = rows["key"].isin(rows.loc[off, "key"])
    if timed.any():
        names = rows.loc[timed, "key"].unique()
        table.findings.append(
            finding(
                "suspicious",
                "depth",
                f"{len(names)} profiles, first {names[0]!r}, have rows at depths that are no centres of bins: taken over time? Each row "
                "is a sample of its own.",
                file=str(table.source),
                row=int(rows.loc[timed, "row"].iloc[0]),
                column="Depth [m]",
            )
        )
    return timed.to_numpy()


def _in_fine_bins(table):
    """Whether all depths are centres of bins of 5 m and one is no centre of the bins of a reduced export."""
    depth = table.rows["depth"].dropna().to_numpy(dtype=float)
    return bool(len(depth) and np.allclose(_fine(depth), depth, atol=1e-6) and (depth != coarse_centre(depth)).any())


def _fine(depth):
    return np.floor(depth / BIN) * BIN + BIN / 2


def _named(rows, start, timed, top, bottom):
    """Name and depth range of each row, which is a bin or a moment; names begin with `start`."""
    number = rows.groupby("key").cumcount() + 1
    point = rows["depth"].to_numpy()
    low, high = np.where(timed, point, top), np.where(timed, point, bottom)
    names = [
        f"{key}_t{k}" if t else f"{key}_{a:g}-{b:g}"
        for key, k, t, a, b in zip(start, number, timed, low, high, strict=True)
    ]
    return rows.assign(sample_id=names, low=low, high=high, timed=timed)


def _bins_of(rows, source, role=None):
    return pd.DataFrame(
        {
            "sample_id": rows["sample_id"],
            "key": rows["key"],
            "profile": rows["key"],
            "depth_top": rows["low"],
            "depth_bottom": rows["high"],
            "litres": rows["volume"],
            "moment": rows["time"].where(rows["timed"]) if "time" in rows else None,
            "source": str(source),
            "role": role,
        }
    )


def _whole_cast(cast, source):
    """One sample of a whole cast, for objects of which nobody knows the moment."""
    key = cast["key"].iloc[0]
    return pd.DataFrame(
        {
            "sample_id": [f"{key} (taxa)_all"],
            "key": key,
            "profile": key,
            "depth_top": cast["low"].min(),
            "depth_bottom": cast["high"].max(),
            "litres": cast["volume"].sum(),
            "moment": None,
            "source": str(source),
            "role": TAXA,
        }
    )


def add_particles(table, rows, pieces):
    """Bins of one particle table, with their particles and conditions.

    Parameters
    ----------
    table : Table
        Of kind ``particles``.
    rows : pandas.DataFrame
        Its fixed columns with ``key, instrument, aa, exp`` of the cast.
    pieces : dict of str to list
        Takes ``samples``, ``particles`` and ``conditions``.

    Returns
    -------
    pandas.DataFrame
        Bins: ``sample_id, key, depth, volume`` (L), ``low, high`` (m) and
        whether they are moments (``timed``).
    """
    timed = _timed(rows, _fine, table)
    top = rows["depth"] - BIN / 2
    rows = _named(rows, rows["key"], timed, top, top + BIN)
    _refuse_twice(table, rows)
    pieces["samples"].append(_bins_of(rows, table.source))
    litres = rows["volume"].to_numpy()[:, None]
    classes = particle_classes(table)
    names = [count for _, _, count, _ in classes]
    given = table.rows[names].to_numpy(dtype=float) * litres
    n = table.whole(np.nan_to_num(given), names, (rows["instrument"] != FLOAT).to_numpy())
    n[np.isnan(given)] = np.nan  # a class that the instrument does not tell is unknown
    report_empty_casts(table, rows, n)
    size = table.rows.reindex(columns=[volume or "" for *_, volume in classes]).to_numpy(dtype=float) * litres
    if _understood(table, classes, n):
        pieces["particles"].append(_cells(rows["sample_id"].to_numpy(), classes, n, seen_biovolume(table, n, size)))
    measured = table.rows[table.conditions].dropna(axis=1, how="all")
    if measured.shape[1]:
        pieces["conditions"].append(pd.concat([rows["sample_id"], measured], axis=1))
    return rows[["sample_id", "key", "depth", "volume", "low", "high", "timed"]]


def _cells(samples, classes, n, size):
    """Rows of particles: what is there, and what is unknown; zeros are not stored."""
    row, place = np.nonzero(~(n == 0))
    edges = np.array([(low, high) for low, high, _, _ in classes]).reshape(-1, 2)
    return pd.DataFrame(
        {
            "sample_id": samples[row],
            "esd_low": edges[place, 0],
            "esd_high": edges[place, 1],
            "n": n[row, place],
            "biovolume": size[row, place],
        }
    )


def _understood(table, classes, n):
    """Whether the classes hold all particles of a table; what was not understood is listed."""
    strange = particle_columns(tuple(table.columns)).strange
    held = [
        name
        for name in strange
        if "biovolume" not in plain(name) and (table.rows[name].to_numpy(dtype=float) > 0).any()
    ]
    beyond = [
        count
        for (low, *_, count, _), total in zip(classes, np.nansum(n, axis=0), strict=True)
        if low > LARGEST_ESD and total
    ]
    if strange:
        listed = ", ".join(map(repr, strange[:6])) + (f" and {len(strange) - 6} more" if len(strange) > 6 else "")
        message = f"{len(strange)} columns of particles were not understood: {listed}"
        told = f"; {len(held)} of them hold numbers, so that no particles of this table are given" if held else ""
        where = {"file": str(table.source), "row": 1, "column": (held or strange)[0], "value": (held or strange)[0]}
        table.findings.append(finding("refused" if held else "suspicious", "columns", message + told + ".", **where))
    elif beyond:
        message = f"size class {beyond[0]!r} holds particles larger than a UVP can see ({LARGEST_ESD:g} mm); is its unit right? No particles of this table are given."
        table.findings.append(
            finding("refused", "columns", message, file=str(table.source), row=1, column=beyond[0], value=beyond[0])
        )
    elif classes and classes[0][0] > LOWEST:
        message = f"the smallest size class is {classes[0][2]!r}, a UVP sees particles from 0.06 to 0.13 mm on; sums over the classes leave the smaller ones out."
        table.findings.append(
            finding("suspicious", "columns", message, file=str(table.source), row=1, column=classes[0][2])
        )
    if classes and not held and not any(volume for *_, volume in classes):
        message = (
            f"none of {len(classes)} size classes has a column of biovolume; the biovolume of particles is missing."
        )
        table.findings.append(finding("suspicious", "columns", message, file=str(table.source), row=1))
    return not (held or beyond)


def _refuse_twice(table, rows):
    twice = rows["sample_id"].duplicated()
    if twice.any():
        row = rows[twice].iloc[0]
        raise UserError(f"{table.source}, row {row['row']}: bin {row['sample_id']!r} stands twice, allowed is once.")


def refuse_repeats(samples):
    """Refuse bins that stand in two files.

    Parameters
    ----------
    samples : pandas.DataFrame
        ``sample_id, source``.

    Raises
    ------
    UserError
        A cast of two exports.
    """
    twice = samples["sample_id"].duplicated()
    if twice.any():
        name = samples.loc[twice, "sample_id"].iloc[0]
        both = samples.loc[samples["sample_id"] == name, "source"].to_list()
        raise UserError(
            f"bin {name!r} stands in {both[0]} and in {both[1]}; a cast is allowed in one export, {int(twice.sum())} bins stand in several."
        )


def add_taxa(table, rows, bins, pieces, labels):
    """Counts of one table of taxa, laid on the bins of the particle table.

    Parameters
    ----------
    table : Table
        Of kind ``taxa``.
    rows : pandas.DataFrame
        Its fixed columns with ``key, instrument`` of the cast.
    bins : pandas.DataFrame or None
        From `add_particles`, of all particle tables of the export.
    pieces : dict of str to list
        Takes ``samples``, ``counts``, ``taxa`` and ``searched``.
    labels : dict of str to str
        From `aqqua_dist.readers.ecopart.taxa.labels_of`.
    """
    if not _taxa_understood(table):
        return
    detailed = is_detailed(table) or _in_fine_bins(table)
    timed = _timed(rows, _fine if detailed else coarse_centre, table)
    place = coarse_place(rows["depth"].fillna(0))
    low, high = (rows["depth"] - BIN / 2, rows["depth"] + BIN / 2) if detailed else (COARSE[place], COARSE[place + 1])
    apart = timed | (not detailed)
    rows = _named(rows, np.where(apart, rows["key"] + " (taxa)", rows["key"]), timed, low, high).assign(weight=np.nan)
    _refuse_twice(table, rows)
    if bins is None:
        pieces["samples"].append(_bins_of(rows, table.source, np.where(apart, TAXA, None)))
        table.findings.append(
            finding(
                "suspicious",
                "volume",
                "there is no particle table beside the table of taxa, so that bins without objects are unknown and concentrations "
                "too high.",
                file=str(table.source),
            )
        )
    else:
        at_depth = (
            _on_bins(table, rows[~timed], bins) if detailed else _on_coarse_bins(table, rows[~timed], bins, pieces)
        )
        rows = pd.concat(
            [at_depth, *(_on_moments(table, mine, bins, pieces) for _, mine in rows[timed].groupby("key", sort=False))]
        ).loc[rows.index]
    counts, names = counts_of(table, rows, labels)
    pieces["counts"].append(counts)
    pieces["taxa"].append(names)
    pieces["searched"].append(pd.DataFrame({"profile": rows["key"].unique(), "searched": True}))


def _taxa_understood(table):
    """Whether the columns of taxa were understood; those that were not are listed."""
    _, strange = taxon_names(tuple(table.columns))
    held = [name for name in strange if (table.rows[name].to_numpy(dtype=float) > 0).any()]
    if strange:
        listed = ", ".join(map(repr, strange[:6])) + (f" and {len(strange) - 6} more" if len(strange) > 6 else "")
        message = f"{len(strange)} columns of taxa were not understood: {listed}"
        told = f"; {len(held)} of them hold numbers, so that no taxa of this table are given" if held else ""
        where = {"file": str(table.source), "row": 1, "column": (held or strange)[0], "value": (held or strange)[0]}
        table.findings.append(finding("refused" if held else "suspicious", "columns", message + told + ".", **where))
    if table.rows.empty and not any(told["check"] == "volume" for told in table.findings):
        message = "the table of taxa has a header and no row: whether nothing was found or nobody looked is not told, and its cast has no counts."
        table.findings.append(finding("suspicious", "taxa", message, file=str(table.source), row=1))
    return not held


def _on_bins(table, rows, bins):
    known = bins.set_index("sample_id")["volume"]
    missing = ~rows["sample_id"].isin(known.index)
    if missing.any():
        row = rows[missing].iloc[0]
        raise UserError(
            f"{table.source}, row {row['row']}: bin {row['sample_id']!r} has objects and is not in the particle table."
        )
    return _weighted(table, rows, known.reindex(rows["sample_id"]).to_numpy())


def _weighted(table, rows, volume):
    """Rows with the weight of an object, where a float has taken other images of plankton than of particles."""
    off = (rows["volume"] - volume).abs() > 1e-6
    other = rows["instrument"] == FLOAT
    if (off & ~other).any():
        row = rows[off & ~other].iloc[0]
        table.findings.append(
            finding(
                "suspicious",
                "volume",
                f"bin {row['sample_id']!r} has {row['volume']:g} L here and {volume[rows.index.get_loc(row.name)]:g} L in the particle "
                f"table; {int((off & ~other).sum())} such bins, the particle table was taken.",
                file=str(table.source),
                row=int(row["row"]),
            )
        )
    if (off & other).any():
        row = rows[off & other].iloc[0]
        mine = volume[rows.index.get_loc(row.name)]
        table.findings.append(
            finding(
                "suspicious",
                "volume",
                f"bin {row['sample_id']!r} has {row['volume']:g} L of plankton images and {mine:g} L of particle images; {int((off & other).sum())} "
                f"such bins of floats: an object counts {mine / row['volume']:.3g} times over the volume of the particles.",
                file=str(table.source),
                row=int(row["row"]),
            )
        )
    return rows.assign(weight=np.where(off & other, volume / rows["volume"], np.nan))


def _on_coarse_bins(table, rows, bins, pieces):
    """Bins of a reduced export: all those that the cast passed, with the volume of the particle table."""
    cast = bins[bins["key"].isin(rows["key"]) & ~bins["timed"]]
    cast = cast.assign(place=coarse_place(cast["depth"])).groupby(["key", "place"], as_index=False)["volume"].sum()
    low, high = COARSE[cast["place"]], COARSE[cast["place"] + 1]
    whole = cast.assign(low=low, high=high, timed=False, time=pd.NaT)
    whole["sample_id"] = [f"{key} (taxa)_{a:g}-{b:g}" for key, a, b in zip(whole["key"], low, high, strict=True)]
    pieces["samples"].append(_bins_of(whole, table.source, TAXA))
    return _on_bins(table, rows, whole)


def _on_moments(table, rows, bins, pieces):
    """Rows of one cast over time, whose moments the table of taxa leaves out: those of the particle table where the rows agree one by one."""
    cast = bins[bins["key"] == rows["key"].iloc[0]]
    other = (rows["instrument"] == FLOAT).iloc[0]
    if len(cast) == len(rows) and (other or np.allclose(cast["volume"], rows["volume"], rtol=0, atol=1e-6)):
        rows = rows.assign(sample_id=cast["sample_id"].to_numpy())
        return _weighted(table, rows, cast["volume"].to_numpy())
    if other or cast.empty:
        pieces["samples"].append(_bins_of(rows, table.source, TAXA))
        return rows
    whole = _whole_cast(cast, table.source)
    pieces["samples"].append(whole)
    return rows.assign(sample_id=whole["sample_id"].iloc[0])


def add_raw(raw, rows, pieces):
    """Bins of raw tables, with what is in them.

    Parameters
    ----------
    raw : Table
        From `aqqua_dist.readers.ecopart.raw.read_raw`.
    rows : pandas.DataFrame
        Its rows with ``key`` of the cast.
    pieces : dict of str to list
        Takes ``samples, particles, conditions, objects, counts, taxa`` and
        ``searched``.
    """
    top = rows["bin"] * BIN
    timed = (rows["bin"].isna() | (rows["time"].notna() if "time" in rows else False)).to_numpy()
    rows = _named(rows if "depth" in rows else rows.assign(depth=np.nan), rows["key"], timed, top, top + BIN)
    pieces["samples"].append(_bins_of(rows, raw.source).assign(n_images=rows["images"]))
    place = rows.set_index(KEYS)["sample_id"]
    for name in ("particles", "conditions", "objects", "counts"):
        part = raw.extra.get(name)
        if part is not None and len(part):
            held = part.assign(sample_id=place.reindex(pd.MultiIndex.from_frame(part[KEYS])).to_numpy())
            pieces[name].append(held if name == "objects" else held.dropna(subset="sample_id").drop(columns=KEYS))
    counted = [pair in raw.extra.get("counted", []) for pair in zip(rows["profile"], rows["raw"], strict=True)]
    pieces["searched"].append(pd.DataFrame({"profile": rows.loc[counted, "key"].unique(), "searched": True}))
    known = rows[
        np.array(
            [pair in raw.extra["with taxa"] for pair in zip(rows["profile"], rows["raw"], strict=True)], dtype=bool
        )
    ]
    for _, cast in known[known["timed"] & known["bin"].notna()].groupby("key"):
        whole = _whole_cast(cast, raw.source)
        pieces["samples"].append(whole)
        mine = (pieces["objects"][-1]["profile"] == cast["profile"].iloc[0]) & (
            pieces["objects"][-1]["raw"] == cast["raw"].iloc[0]
        )
        pieces["objects"][-1].loc[mine, "sample_id"] = whole["sample_id"].iloc[0]
        pieces["searched"].append(pd.DataFrame({"profile": whole["profile"], "searched": True}))
    pieces["objects"] = [part.drop(columns=KEYS, errors="ignore") for part in pieces["objects"]]
    pieces["taxa"].append(raw.extra["taxa"].assign(parent=raw.extra["taxa"]["hierarchy"].str.split(">").str[-2]))
    pieces["searched"].append(
        pd.DataFrame({"profile": known.loc[~known["timed"] | known["bin"].isna(), "key"].unique(), "searched": True})
    )


def roles(samples):
    """Role of each bin: that of particles where taxa of the same cast stand in bins of their own.

    Parameters
    ----------
    samples : pandas.DataFrame
        ``profile`` and ``role`` (missing, or that of the taxa).

    Returns
    -------
    numpy.ndarray
        Text, or None.
    """
    apart = samples["profile"].isin(samples.loc[samples["role"] == TAXA, "profile"])
    return np.where(samples["role"] == TAXA, TAXA, np.where(apart, PARTICLES, None))


def in_micrometres(particles):
    """Particles with their size classes in µm; the upper limit of an open class is missing.

    Parameters
    ----------
    particles : pandas.DataFrame
        ``esd_low, esd_high`` (mm).

    Returns
    -------
    pandas.DataFrame
    """
    if particles.empty:
        return particles
    low, high = (particles[name].to_numpy(dtype=float) * 1e3 for name in ("esd_low", "esd_high"))
    return particles.assign(esd_low=np.round(low, 6), esd_high=np.where(np.isinf(high), np.nan, np.round(high, 6)))
