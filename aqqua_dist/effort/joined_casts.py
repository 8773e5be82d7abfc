"""Vignettes and volumes of one cast: which cast of EcoPart a sample of EcoTaxa is, and the offset of its camera.

A sample of EcoTaxa names its cast in ``sample_profileid`` (its ``sample_id``
often differs); names are used again in other projects, so that the project,
the position and the time must agree, too. The depths of its objects do not
hold the offset of the camera, the bins of EcoPart do
(`aqqua_dist.effort.depth_offset`).
"""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.statuses import NO_WORDS
from aqqua_dist.core.tables import PARTICLES, TAXA, finding, of_role
from aqqua_dist.effort.depth_offset import depth_with_offset

JOINED = ["sample_id", "profile", "depth_offset", "offset_source", "joined_by"]
"""Columns of the table of joined casts."""
SAME_NAME = (0.1, pd.Timedelta(days=1))
"""Degrees and time within which casts of one name are one cast: the objects of a cast have times and positions of their own."""
NO_NAME = (0.02, pd.Timedelta(hours=1))
"""Degrees and time within which a sample without the name of a cast is the only cast there."""
PROFILERS = ("UVP5", "UVP6")
PROJECTS = ("sample_project", "sample_program", "sample_cruise", "cruise")
"""Columns of a sample that may name its project, best first."""
CHECK = "joined casts"


def join_casts(about, acquisitions, samples, casts=None):
    """Cast of each sample of vignettes.

    Parameters
    ----------
    about : pandas.DataFrame
        Samples of the objects: ``sample_id, instrument, lat, lon, time,
        cruise, volume, profile``; those with a volume or a profile of their
        own are no vignettes that wait for a volume.
    acquisitions : pandas.DataFrame
        ``sample_id`` and, where the export has them, ``sample_profileid,
        sample_id_in_file, acq_depthoffset`` and what names the project, as
        text.
    samples : pandas.DataFrame
        Bins of the casts, with ``profile``.
    casts : pandas.DataFrame, optional
        Of EcoPart: ``key`` (the ``profile`` of `samples`), ``profile,
        project, lat, lon, time`` and, where the export tells them, ``offset``
        and ``override`` (m).

    Returns
    -------
    joins : pandas.DataFrame
        Columns `JOINED`; ``depth_offset`` in m.
    found : list of dict
        Findings.
    """
    known, found = _casts(samples, casts), []
    waiting = about[about["profile"].isna() & about["volume"].isna()]
    if known.empty or waiting.empty:
        return pd.DataFrame(columns=JOINED), found
    meta = _meta(acquisitions)
    rows, nameless = [], []
    for sample in waiting.to_dict("records"):
        own = meta.get(str(sample["sample_id"]), {})
        named = _by_name(sample, own, known, found)
        if named is None:
            nameless.append((sample, own))
        elif len(named):
            rows.append((sample, own, known.loc[named[0]], named[1]))
    taken = {cast["key"] for _, _, cast, _ in rows}
    rows += _by_place(nameless, known[~known["key"].isin(taken)])
    joins = []
    for sample, own, cast, how in rows:
        offset = _offset(sample["sample_id"], own, cast, found)
        if offset is not None and _has_bins(sample["sample_id"], cast["key"], samples, found):
            joins.append((str(sample["sample_id"]), cast["key"], *offset, how))
    joins = pd.DataFrame(joins, columns=JOINED)
    return joins, found + _told(joins)


def _casts(samples, casts):
    """One row per cast that has bins."""
    if "profile" not in samples:
        return pd.DataFrame(columns=["key"])
    bins = of_role(samples, TAXA).dropna(subset="profile")
    names = [name for name in ("lat", "lon", "time", "cruise") if name in bins]
    own = bins.groupby(bins["profile"].astype(str), sort=False)[names].first().rename_axis("key").reset_index()
    own = own.assign(profile=own["key"], project=own["cruise"] if "cruise" in own else None)
    if casts is not None and len(casts) and "key" in casts:
        told = casts.drop_duplicates("key").set_index(casts.drop_duplicates("key")["key"].astype(str))
        told = told[[n for n in ("profile", "project", "lat", "lon", "time", "offset", "override") if n in told]]
        own = told.combine_first(own.set_index("key")).loc[own["key"]].rename_axis("key").reset_index()
    for name in ("lat", "lon", "time", "project", "offset", "override"):
        own = own if name in own else own.assign(**{name: None})
    own["time"] = pd.to_datetime(own["time"], utc=True)
    return own.assign(profile=own["profile"].astype(str).str.strip())


def _meta(acquisitions):
    """Different words of the metadata of each sample, by column."""
    if acquisitions is None or acquisitions.empty:
        return {}
    wanted = ["sample_profileid", "sample_id_in_file", "acq_depthoffset", *PROJECTS]
    wanted = [name for name in wanted if name in acquisitions]
    meta = {}
    for sample, rows in acquisitions.groupby(acquisitions["sample_id"].astype(str), sort=False):
        meta[sample] = {name: list(dict.fromkeys(filter(None, map(_text, rows[name])))) for name in wanted}
    return meta


def _text(cell):
    text = "" if cell is None or cell is pd.NA or cell != cell else str(cell).strip()
    return "" if text.lower() in NO_WORDS else text


def _by_name(sample, own, casts, found):
    """Cast of the name of a sample and what told it; None without a cast of that name, empty where it is not that cast."""
    for how, names in (
        ("sample_profileid", own.get("sample_profileid", [])),
        ("sample_id", [*own.get("sample_id_in_file", []), str(sample["sample_id"])]),
    ):
        mine = casts[casts["profile"].isin(names) | casts["key"].isin(names)]
        if mine.empty:
            continue
        near = mine[_near(sample, mine, SAME_NAME)]
        if near.empty:
            cast = mine.iloc[0]
            text = (
                f"sample {sample['sample_id']!r} at {_where(sample)} has the name of cast {cast['key']!r} at {_where(cast)}, which is another "
                "place or time; they were not joined."
            )
            found.append(finding("suspicious", CHECK, text, value=sample["sample_id"]))
            return ()
        if len(near) > 1:
            words = {str(text) for name in PROJECTS for text in [*own.get(name, []), _text(sample.get(name))] if text}
            one = near[near["project"].astype(str).isin(words)]
            near = one if len(one) else near
            how = f"project and {how}" if len(one) == 1 else how
        if len(near) > 1:
            gap = (near["time"] - sample["time"]).abs() if pd.notna(sample["time"]) else pd.Series(pd.NaT, near.index)
            first = near[gap == gap.min()]
            near, how = (first, f"{how} and time") if len(first) == 1 else (near, how)
        if len(near) > 1:
            text = (
                f"sample {sample['sample_id']!r} may be {len(near)} casts, {', '.join(map(repr, near['key'].head(4)))}, and nothing tells which; "
                "it was not joined, ingest the cast of one project only."
            )
            found.append(finding("refused", CHECK, text, value=sample["sample_id"]))
            return ()
        return near.index[0], how
    return None


def _where(row):
    moment = "no time" if pd.isna(row["time"]) else f"{row['time']:%Y-%m-%d %H:%M}"
    return f"{float(row['lat']):.4g} N, {float(row['lon']):.4g} E, {moment}"


def _near(sample, casts, limits):
    """Which casts agree with the position and time of a sample, as far as both are known."""
    degrees, span = limits
    lat, lon = (pd.to_numeric(casts[name], errors="coerce").to_numpy(dtype=float) for name in ("lat", "lon"))
    east = np.abs((lon - sample["lon"] + 180) % 360 - 180) * np.cos(np.radians(np.nan_to_num(lat)))
    far = (np.abs(lat - sample["lat"]) > degrees) | (east > degrees)
    late = ((casts["time"] - sample["time"]).abs() > span).to_numpy() if pd.notna(sample["time"]) else False
    return ~(far | late)


def _by_place(nameless, casts):
    """Samples of profilers that lie at one cast only, and that cast at one sample only."""
    pairs = []
    for sample, own in nameless:
        known = pd.notna(sample["lat"]) and pd.notna(sample["lon"]) and pd.notna(sample["time"])
        if sample["instrument"] not in PROFILERS or not known:
            continue
        whole = casts[casts[["lat", "lon", "time"]].notna().all(axis=1)]
        near = whole[_near(sample, whole, NO_NAME)]
        pairs += [(sample, own, cast, "position and time", len(near)) for _, cast in near.iterrows()]
    often = pd.Series([pair[2]["key"] for pair in pairs], dtype=object).value_counts()
    return [pair[:4] for pair in pairs if pair[4] == 1 and often[pair[2]["key"]] == 1]


def _offset(sample, own, cast, found):
    """Offset (m) and its source; None where it cannot be."""
    texts = own.get("acq_depthoffset", [])
    for source, value in (
        ("project of EcoPart", _text(cast["override"])),
        ("EcoPart", _text(cast["offset"])),
        ("acq_depthoffset", texts[0] if texts else ""),
    ):
        if not value:
            continue
        if source == "acq_depthoffset" and len(texts) > 1:
            text = f"sample {sample!r} has {len(texts)} offsets of its camera, {', '.join(texts[:3])} m; it was not joined to its cast."
            found.append(finding("refused", CHECK, text, column="acq_depthoffset", value=sample))
            return None
        try:
            return float(depth_with_offset(0.0, value, place=f"sample {sample!r}, {source}")), source
        except UserError as error:
            found.append(finding("refused", CHECK, f"{error} It was not joined to its cast.", value=sample))
            return None
    return 0.0, "none"


def fine_bins(samples, profiles):
    """Samples that taxa are counted in, where vignettes of some casts go to the bins of its particles.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns of `aqqua_dist.core.tables.SAMPLES`.
    profiles : collection of str
        Casts whose vignettes count: they have depths of their own and need
        no coarse bins.

    Returns
    -------
    pandas.DataFrame
    """
    if "role" not in samples or samples["role"].isna().all():
        return samples
    mine = samples["profile"].isin(list(profiles))
    fine = mine & samples["profile"].isin(samples.loc[samples["role"].fillna(PARTICLES) == PARTICLES, "profile"])
    wanted = np.where(fine, PARTICLES, TAXA)
    return samples[samples["role"].isna() | (samples["role"] == wanted)]


def _has_bins(sample, key, samples, found):
    """Whether the bins of a cast lie one below the other, so that a depth finds its bin."""
    bins = fine_bins(samples, [key])
    bins = bins[bins["profile"] == key].sort_values("depth_top")
    top, bottom = bins["depth_top"].to_numpy(dtype=float), bins["depth_bottom"].to_numpy(dtype=float)
    if (bottom > top).all() and (top[1:] >= bottom[:-1] - 1e-9).all():
        return True
    text = f"sample {sample!r} is cast {key!r}, whose {len(bins)} samples are no bins of depth (a cast over time); its objects have no volume."
    found.append(finding("refused", CHECK, text, value=sample))
    return False


def _told(joins):
    """What is said of the joined casts."""
    found = []
    for how, rows in joins.groupby("joined_by", sort=True):
        low, high = rows["depth_offset"].min(), rows["depth_offset"].max()
        offset = f"{low:g} m" if low == high else f"{low:g} to {high:g} m"
        text = (
            f"{len(rows)} samples of vignettes, first {rows['sample_id'].iloc[0]!r}, are casts of EcoPart, first {rows['profile'].iloc[0]!r}, by "
            f"{how}: objects go to the bins of their depth with the camera's offset ({offset})."
        )
        found.append(finding("repaired", CHECK, text, value=rows["sample_id"].iloc[0]))
    none = joins[joins["offset_source"] == "none"]
    if len(none):
        text = (
            f"{len(none)} joined samples, first {none['sample_id'].iloc[0]!r}, have no offset of the camera (acq_depthoffset); 0 m was taken, "
            "and with an offset some objects belong to the next bin."
        )
        found.append(finding("suspicious", CHECK, text, column="acq_depthoffset", value=none["sample_id"].iloc[0]))
    twice = joins[joins["profile"].duplicated(keep=False)]
    if len(twice):
        first = twice[twice["profile"] == twice["profile"].iloc[0]]
        text = (
            f"{twice['profile'].nunique()} casts have several samples of vignettes, first {first['profile'].iloc[0]!r}: "
            f"{', '.join(map(repr, first['sample_id'].head(4)))}; their objects add, make sure that they are not the same animals."
        )
        found.append(finding("suspicious", CHECK, text, value=first["profile"].iloc[0]))
    return found
