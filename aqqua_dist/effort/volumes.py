"""Volumes of ingested samples: which rule of `aqqua_dist.effort.rules` an instrument takes, and how acquisitions make a sample.

Instruments whose rule is settled have it as default; for the others, and for
what an export does not tell, the user's file says it. Nothing is filled in
silently: a sample without the metadata of its rule has no volume, and the
report says which columns or which line of the file would give it one.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import FINDINGS, SAMPLES, SENTINELS, Ingested, finding, typed
from aqqua_dist.effort import casts, rules
from aqqua_dist.effort.choices import DEFAULTS, GENERATIONS, HOW, Choice, choice_of, question, read_choices
from aqqua_dist.effort.formulas import VOLUME_UNITS, evaluate
from aqqua_dist.effort.instruments import overlaps

__all__ = ["DEFAULTS", "GENERATIONS", "Choice", "read_choices", "with_project", "with_volumes", "without_flags"]


def with_volumes(ingested, choices=None):
    """Samples with the volume that their acquisitions tell.

    Parameters
    ----------
    ingested : aqqua_dist.core.tables.Ingested
        With ``acquisitions`` in `extra`, where its reader knows them.
    choices : dict of str to Choice, optional
        By instrument; they go before `DEFAULTS`.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        ``samples`` with volume (m3), rule and flags; ``acquisitions`` with
        ``acquisition_volume`` (m3) and ``weight``, the number of objects of
        the sample's volume that one object stands for (1 unless the sample
        has size fractions that were split differently). Samples that have a
        volume already keep it.

    Raises
    ------
    UserError
        A choice of the user fits none of the samples of its instrument.
    """
    choices, found = dict(choices or {}), []
    ingested = casts.with_bins(ingested, choices, found)
    acquisitions = ingested.extra.get("acquisitions")
    if acquisitions is None or acquisitions.empty:
        acquisitions = pd.DataFrame({"sample_id": pd.Series(dtype="string")})
    samples = ingested.samples.set_index("sample_id")
    acquisitions = acquisitions.reset_index(drop=True)
    if "acquisition_id" not in acquisitions:
        acquisitions["acquisition_id"] = ""
    known = samples["volume"].notna()
    for kind, choice, rows in _groups(acquisitions, samples, choices):
        wanted = acquisitions.loc[rows]
        wanted = wanted[~wanted["sample_id"].map(known).astype(bool)]
        wanted = wanted.dropna(axis=1, how="all") if len(wanted) else wanted  # columns of other sources
        if wanted.empty:
            continue
        volumes, refused = _volumes(wanted, choice, kind, found)
        if refused and volumes.empty and choice_of(kind, choices) is choice:
            raise UserError(f"effort of {kind}: {refused[0][1]}")
        for sample, message in refused:
            message = re.sub(r", row \d+|\s*\(\d+ such rows\)", "", message)
            found.append(finding("refused", "volume", f"sample {sample!r} has no volume: {message}", value=sample))
        if volumes.empty:
            continue
        for column in ("acquisition_volume", "weight"):
            acquisitions.loc[volumes.index, column] = volumes[column]
        whole = volumes.groupby("sample_id", sort=False).first()
        for column in ("volume", "volume_rel_sd", "effort_rule", "flags"):
            samples.loc[whole.index, column] = whole[column]
    found += _questions(samples, {row["value"] for row in found})
    extra = ingested.extra | ({"acquisitions": acquisitions} if len(acquisitions) else {})
    if "ifcb_bins" in extra:
        extra["ifcb_bins"] = _bins(extra["ifcb_bins"], samples)
    return Ingested(
        typed(samples.reset_index(), SAMPLES),
        ingested.objects,
        ingested.counts,
        _joined(ingested.findings, found),
        extra,
    )


def _joined(findings, found):
    return pd.concat([findings, typed(pd.DataFrame(found), FINDINGS)], ignore_index=True) if found else findings


def _questions(samples, told):
    """What would give the volume of samples that have none, once per instrument."""
    lost = samples[samples["volume"].isna() & ~samples.index.isin(list(told))]
    found = []
    for instrument, rows in lost.groupby(lost["instrument"].fillna("").astype(str), sort=True):
        if instrument in DEFAULTS:
            continue  # its rule has said what is missing, or its reader had no metadata
        named = f"{len(rows)} samples of {instrument or 'an instrument that nobody names'}, first {rows.index[0]!r},"
        found.append(finding("refused", "volume", f"{named} have no volume; {question(instrument)}.", value=instrument))
    return found


def _bins(bins, samples):
    """Table of the quality of IFCB bins with the volume that was used and the flags."""
    own = samples.reindex(bins["sample_id"])
    known = own["volume"].notna().to_numpy()
    return bins.assign(
        volume=own["volume"].to_numpy(dtype=float),
        flags=np.where(known, own["flags"].to_numpy(dtype=object), bins["flags"].to_numpy(dtype=object)),
    ).astype({"flags": "string"})


def _groups(acquisitions, samples, choices):
    """Instrument, choice and rows of each group of acquisitions."""
    instrument = acquisitions["sample_id"].map(samples["instrument"]).astype(object)
    generation = (
        acquisitions["generation"] if "generation" in acquisitions else pd.Series(pd.NA, index=acquisitions.index)
    )
    for name in instrument.dropna().unique():
        rows = acquisitions.index[instrument == name]
        choice = choice_of(name, choices)
        if choice is not None and not (choice.pixels_per_um and choice.rule == "ifcb"):
            yield name, choice, rows
            continue
        for kind, default in GENERATIONS.items():
            mine = (generation[rows] == kind).to_numpy(dtype=bool, na_value=False)
            if mine.any():
                taken = default if choice is None else replace(choice, rule=default.rule, parts=choice.parts or "pool")
                yield f"{name} ({kind})", taken, rows[mine]
        if name in DEFAULTS:
            yield name, DEFAULTS[name], rows


def _volumes(table, choice, kind, found):
    """Volumes of acquisitions and samples, sample by sample where the table as a whole cannot be done."""
    table, choice = _filled(table, choice, kind, found)
    whole = rules.rules()[choice.rule].per == "sample"
    if not whole and not choice.parts and table["sample_id"].duplicated().any():
        sample = table.loc[table["sample_id"].duplicated(), "sample_id"].iloc[0]
        raise UserError(
            f"effort of {kind}: sample {sample!r} has several acquisitions; say 'parts: add' for size fractions or 'parts: pool' for repeats."
        )
    try:
        return _one(table, choice), []
    except UserError as error:
        refused = [(table["sample_id"].iloc[0], str(error))]
    if table["sample_id"].nunique() == 1:
        return pd.DataFrame(columns=["sample_id"]), refused
    done, refused = [], []
    for sample, rows in table.groupby("sample_id", sort=False):
        try:
            done.append(_one(rows, choice))
        except UserError as error:
            refused.append((sample, str(error)))
    return (pd.concat(done) if done else pd.DataFrame(columns=["sample_id"])), refused


def _filled(table, choice, kind, found):
    rule = rules.rules()[choice.rule]
    for name, value in choice.fill.items():
        if name not in rule.columns:
            raise UserError(f"effort of {kind}: fill has {name!r}, rule {choice.rule!r} has {', '.join(rule.columns)}.")
        column = next((column for column in rule.columns[name]["names"] if column in table), None)
        if column is None:
            choice = replace(choice, constants=choice.constants | {name: value})
            continue
        empty = table[column].isna() | table[column].astype(str).str.strip().str.lower().isin(
            ["", "nan", "na", "none", "null"]
        )
        if empty.any():
            table = table.assign(**{column: table[column].where(~empty, str(value))})
            found.append(
                finding(
                    "repaired",
                    "volume",
                    f"{column} of {int(empty.sum())} acquisitions of {kind} is empty; {value} was taken, as the effort file says.",
                    column=column,
                    value=value,
                )
            )
    return table, choice


def _one(table, choice):
    entry, constants = rules.rules()[choice.rule], dict(choice.constants)
    if choice.image_volume is not None:
        name = next((name for name in ("image_volume", "frame_volume") if name in entry.columns), "image_volume")
        constants[name] = f"{choice.image_volume!r} L"
        table = table.drop(columns=[one for one in entry.columns.get(name, {}).get("names", ()) if one in table])
    volumes = rules.volume(choice.rule, table, units=choice.units, rel_sd=choice.rel_sd, **constants)
    volumes = volumes.rename(columns={"volume": "acquisition_volume"}).assign(sample_id=table["sample_id"])
    if "flags" in table:
        volumes["flags"] = table["flags"].fillna("").astype(str) + ";" + volumes["flags"]
    how = "sample" if entry.per == "sample" else choice.parts
    if how == "sample":
        _refuse_unequal(volumes, f"rule {choice.rule!r}")
    return _combined(volumes, how)


def _refuse_unequal(volumes, place):
    """One sample has one volume, which each of its acquisitions repeats."""
    by_sample = volumes.groupby("sample_id")["acquisition_volume"]
    for sample in by_sample.nunique().loc[lambda n: n > 1].index:
        several = volumes.loc[volumes["sample_id"] == sample, "acquisition_volume"]
        raise UserError(
            f"{place}: acquisitions of sample {sample!r} tell {several.min():g} and {several.max():g} m3, and it has one volume only."
        )


def _combined(volumes, how):
    """Volume of the sample and weight of each acquisition.

    ``add``: fractions split differently, an object of each stands for weight
    objects; ``pool``: repeats, whose counts and volumes add; ``sample``: the
    metadata repeat the volume of the sample, which counts once.
    """
    volumes = volumes.copy()
    by_sample = volumes.groupby("sample_id")["acquisition_volume"]
    if how == "add":
        volumes["volume"] = by_sample.transform("max")
        volumes["weight"] = volumes["volume"] / volumes["acquisition_volume"]
    else:
        volumes["volume"], volumes["weight"] = by_sample.transform("first" if how == "sample" else "sum"), 1.0
    told = {"add": "fractions add", "sample": "acquisitions share one volume"}.get(how, "acquisitions pooled")
    note = pd.Series(np.where(by_sample.transform("size") > 1, told, ""), index=volumes.index)
    words = (volumes["flags"].fillna("") + ";" + note).groupby(volumes["sample_id"]).transform(";".join)
    texts = [";".join(dict.fromkeys(word for word in text.split(";") if word)) for text in words]
    return volumes.assign(flags=pd.array(texts, dtype="string"))


def with_project(ingested, project):
    """Samples with the volume that a row of a mapping sheet of PSSdb tells.

    Parameters
    ----------
    ingested : aqqua_dist.core.tables.Ingested
        Of the project's export, with ``acquisitions``.
    project : aqqua_dist.readers.pssdb.Project
        Its ``fields`` and ``units`` tell volume and dilution, its
        ``instrument`` what several acquisitions of a sample are (`HOW`).

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        ``volume`` (m3) of the samples and ``weight`` of their acquisitions;
        a sample with a cell that is no number has none, and a finding.

    Raises
    ------
    UserError
        The row names no volume, or a column that the export does not have,
        or nobody knows whether the acquisitions of its instrument add.
    """
    acquisitions = ingested.extra.get("acquisitions")
    if acquisitions is None or "Volume_analyzed" not in project.fields:
        raise UserError(
            f"{project.place}: project {project.number} names no column of the sampled volume; its volume must come from elsewhere, as EcoPart's."
        )
    how = HOW.get(project.instrument.lower())
    several = acquisitions["sample_id"].duplicated()
    if how is None and several.any():
        sample = acquisitions.loc[several, "sample_id"].iloc[0]
        raise UserError(
            f"{project.place}: sample {sample!r} has several acquisitions, and nobody knows whether those of {project.instrument!r} add or "
            f"repeat; known are {', '.join(HOW)}."
        )
    whole, found = _of_project(acquisitions, project), []
    net = project.instrument.lower() in ("zooscan", "zoocam")
    usual = rules.rules()["zooscan"].columns["tot_vol"]["usual"]
    whole["flags"] = np.where(net & whole["_read"].notna() & ~whole["_read"].between(*usual), "tot_vol unusual", "")
    reasons = (
        overlaps(whole["sample_id"], whole["acquisition_id"]) if how == "add" and "acquisition_id" in whole else {}
    )
    if how == "sample":
        for sample, values in whole.groupby("sample_id")["acquisition_volume"]:
            if values.nunique() > 1:
                reasons[sample] = (
                    f"its acquisitions tell {values.min():g} and {values.max():g} m3, and it has one volume only"
                )
    for sample, reason in reasons.items():
        found.append(finding("refused", "volume", f"sample {sample!r} has no volume: {reason}.", value=sample))
    empty = whole.groupby("sample_id")["acquisition_volume"].transform(lambda values: values.isna().any())
    lost = empty | whole["sample_id"].isin(list(reasons))
    whole["acquisition_volume"] = whole["acquisition_volume"].mask(lost)
    whole = _combined(whole.drop(columns="_read"), how or "pool")
    whole[["volume", "weight"]] = whole[["volume", "weight"]].mask(lost)
    samples = ingested.samples.set_index("sample_id")
    first = whole.groupby("sample_id").first().reindex(samples.index)
    samples["volume"] = first["volume"]
    for column, text in (("flags", first["flags"]), ("effort_rule", f"PSSdb {project.instrument} {project.number}")):
        samples[column] = pd.Series(text, index=samples.index).where(samples["volume"].notna())
    names = sorted(set(whole.loc[empty, "sample_id"]))
    if names:
        text = f"{len(names)} samples, first {names[0]!r}, have no volume: {project.fields['Volume_analyzed']} or the dilution is empty, stands for none, or is no possible number (a dilution in a column is 1 or more)."
        found.append(finding("refused", "volume", text))
    return Ingested(
        typed(samples.reset_index(), SAMPLES),
        ingested.objects,
        ingested.counts,
        _joined(ingested.findings, found),
        ingested.extra | {"acquisitions": whole.drop(columns=["volume", "flags"])},
    )


def _of_project(acquisitions, project):
    """Acquisitions with ``acquisition_volume`` (m3), NaN where a cell is no possible number, and the volume before its dilution."""
    none = set(SENTINELS)
    for text in project.missing:
        try:
            none.add(float(text))
        except ValueError:  # a word for none
            continue
    volume = evaluate(project.fields["Volume_analyzed"], acquisitions, project.place, none)
    volume = volume * VOLUME_UNITS[project.units["Volume_analyzed"]]
    text = project.fields.get("Dilution", "1")
    dilution = evaluate(text, acquisitions, project.place, none)
    if text.isidentifier():  # a half is written 2; below 1 nobody can tell what was meant
        dilution = np.where(dilution < 1, np.nan, dilution)
    with np.errstate(all="ignore"):
        part = np.where((volume > 0) & (dilution > 0) & np.isfinite(volume / dilution), volume / dilution, np.nan)
    return acquisitions.assign(acquisition_volume=part, _read=volume)


def flags_of(samples, flags):
    """Which samples bear which flags of their effort.

    Parameters
    ----------
    samples : pandas.DataFrame
        With ``flags``, words between semicolons; none where the column is missing.
    flags : sequence of str
        Words, each as a whole.

    Returns
    -------
    pandas.DataFrame
        Boolean, one row per sample and one column per flag.
    """
    told = samples["flags"] if "flags" in samples else pd.Series("", index=samples.index)
    held = told.fillna("").str.split(";").map(set)
    return pd.DataFrame(
        {flag: held.map(lambda words, f=flag: f in words).astype(bool) for flag in flags}, samples.index
    )


def without_flags(ingested, flags):
    """Samples that bear none of some flags.

    Parameters
    ----------
    ingested : aqqua_dist.core.tables.Ingested
        With volumes.
    flags : sequence of str
        Words of ``samples.flags``, each as a whole.

    Returns
    -------
    ingested : aqqua_dist.core.tables.Ingested
        The others, with what belongs to them.
    told : list of str
        One sentence per flag: how many samples it left out.
    """
    borne = flags_of(ingested.samples, flags)
    told = [f"{number} samples left out for the flag {flag!r}" for flag, number in borne.sum().items()]
    kept = ingested.samples[~borne.any(axis=1)].reset_index(drop=True)
    gone = set(ingested.samples["sample_id"]) - set(kept["sample_id"])

    extra = {name: table if name == "ifcb_bins" else _without(table, gone) for name, table in ingested.extra.items()}
    return Ingested(
        kept, _without(ingested.objects, gone), _without(ingested.counts, gone), ingested.findings, extra
    ), told


def _without(table, gone):
    return table[~table["sample_id"].isin(gone)].reset_index(drop=True) if "sample_id" in table else table
