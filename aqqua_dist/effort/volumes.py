"""Volumes of ingested samples: which rule of `aqqua_dist.effort.rules` an instrument takes, and how acquisitions make a sample.

Instruments whose rule is settled have it as default; for the others, and for
what an export does not tell, the user's file says it. Nothing is filled in
silently: a sample without the metadata of its rule has no volume.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import FINDINGS, SAMPLES, Ingested, finding, typed
from aqqua_dist.effort import rules

PARTS = ("add", "pool")


@dataclass(frozen=True)
class Choice:
    """How the volume of one instrument's samples is found.

    Attributes
    ----------
    rule : str
        Name of a rule, `aqqua_dist.effort.rules.rules`.
    parts : {'add', 'pool'}
        What several acquisitions of one sample are: ``add`` size fractions,
        whose concentrations add; ``pool`` repeats, whose counts and volumes
        add.
    rel_sd : float, optional
        Relative uncertainty (1 sd) of the volumes.
    units, constants : dict
        As for `aqqua_dist.effort.rules.volume`.
    fill : dict
        Values for empty cells of a column, each use of which is recorded.
    """

    rule: str
    parts: str = ""
    rel_sd: float | None = None
    units: dict = field(default_factory=dict)
    constants: dict = field(default_factory=dict)
    fill: dict = field(default_factory=dict)


DEFAULTS = {
    "ZooScan": Choice("zooscan", "add"),
    "ZooCAM": Choice("zoocam", "pool"),
    "PlanktoScope": Choice("planktoscope", "pool"),
}
"""Instruments with one settled rule for EcoTaxa's columns; IFCB bins take theirs by generation."""
GENERATIONS = {"new": Choice("ifcb", "pool"), "old": Choice("ifcb-old", "pool")}


def read_choices(path):
    """Choices of a user's file.

    Parameters
    ----------
    path : str or os.PathLike
        YAML: instrument to ``rule, parts, rel_sd, units, constants, fill``.

    Returns
    -------
    dict of str to Choice
        By instrument.

    Raises
    ------
    UserError
        The file cannot be read, or an entry is unknown.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"effort file {str(path)!r} cannot be read ({str(error).splitlines()[0]}).") from None
    if not isinstance(content, dict) or not content:
        raise UserError(
            f"effort file {str(path)!r} holds {type(content).__name__}, needed is an instrument with its rule, as 'FlowCam: {{rule: …}}'."
        )
    return {
        str(instrument): _choice(entry, f"effort file {str(path)!r}, {instrument}")
        for instrument, entry in content.items()
    }


def _choice(entry, place):
    allowed = list(Choice.__dataclass_fields__)
    if not isinstance(entry, dict) or "rule" not in entry or set(entry) - set(allowed):
        shown = sorted(map(str, entry)) if isinstance(entry, dict) else entry
        raise UserError(f"{place}: {shown!r} is no choice of a rule; it takes {', '.join(allowed)}, and needs a rule.")
    choice = Choice(**entry)
    if choice.rule not in rules.rules():
        raise UserError(f"{place}: rule {choice.rule!r} is unknown; there are {', '.join(rules.rules())}.")
    if choice.parts not in ("", *PARTS):
        raise UserError(f"{place}: parts {choice.parts!r} is none of {PARTS}.")
    for name in ("units", "constants", "fill"):
        if not isinstance(getattr(choice, name), dict):
            raise UserError(f"{place}: {name} {getattr(choice, name)!r} is no mapping of a column to its value.")
    return choice


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
    acquisitions = ingested.extra.get("acquisitions")
    if acquisitions is None or acquisitions.empty:
        return ingested
    samples, found = ingested.samples.set_index("sample_id"), []
    acquisitions = acquisitions.reset_index(drop=True)
    if "acquisition_id" not in acquisitions:
        acquisitions["acquisition_id"] = ""
    known = samples["volume"].notna()
    for kind, choice, rows in _groups(acquisitions, samples, dict(choices or {})):
        wanted = acquisitions.loc[rows]
        wanted = wanted[~wanted["sample_id"].map(known).astype(bool)]
        if wanted.empty:
            continue
        volumes, refused = _volumes(wanted, choice, kind, found)
        if refused and volumes.empty and kind in (choices or {}):
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
    findings = (
        pd.concat([ingested.findings, typed(pd.DataFrame(found), FINDINGS)], ignore_index=True)
        if found
        else ingested.findings
    )
    extra = ingested.extra | {"acquisitions": acquisitions}
    return Ingested(typed(samples.reset_index(), SAMPLES), ingested.objects, ingested.counts, findings, extra)


def _groups(acquisitions, samples, choices):
    """Instrument, choice and rows of each group of acquisitions."""
    instrument = acquisitions["sample_id"].map(samples["instrument"]).astype(object)
    generation = (
        acquisitions["generation"] if "generation" in acquisitions else pd.Series(pd.NA, index=acquisitions.index)
    )
    for name in instrument.dropna().unique():
        rows = acquisitions.index[instrument == name]
        choice = choices.get(name, choices.get("IFCB") if str(name).startswith("IFCB") else None)
        if choice is not None:
            yield name, choice, rows
            continue
        for kind, default in GENERATIONS.items():
            if (generation[rows] == kind).any():
                yield f"{name} ({kind})", default, rows[(generation[rows] == kind).to_numpy(dtype=bool, na_value=False)]
        if name in DEFAULTS:
            yield name, DEFAULTS[name], rows


def _volumes(table, choice, kind, found):
    """Volumes of acquisitions and samples, sample by sample where the table as a whole cannot be done."""
    table, choice = _filled(table, choice, kind, found)
    if not choice.parts and table["sample_id"].duplicated().any():
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
    volumes = rules.volume(choice.rule, table, units=choice.units, rel_sd=choice.rel_sd, **choice.constants)
    volumes = volumes.rename(columns={"volume": "acquisition_volume"}).assign(sample_id=table["sample_id"])
    by_sample = volumes.groupby("sample_id")["acquisition_volume"]
    if choice.parts == "add":
        volumes["volume"] = by_sample.transform("max")
        volumes["weight"] = volumes["volume"] / volumes["acquisition_volume"]
    else:
        volumes["volume"], volumes["weight"] = by_sample.transform("sum"), 1.0
    several = by_sample.transform("size") > 1
    note = np.where(several, "fractions add" if choice.parts == "add" else "acquisitions pooled", "")
    words = [
        ";".join(dict.fromkeys(word for word in (*flags.split(";"), extra) if word))
        for flags, extra in zip(volumes["flags"], note, strict=True)
    ]
    return volumes.assign(flags=pd.array(words, dtype="string"))
