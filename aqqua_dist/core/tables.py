"""What every reader of exports returns: samples, objects or counts, and what was found on the way."""

import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.statuses import NO_WORDS, STATUSES, status_of

SAMPLES = {
    "sample_id": "string",
    "cruise": "string",
    "instrument": "string",
    "time": "datetime64[ns, UTC]",
    "lat": "float64",
    "lon": "float64",
    "depth_top": "float64",
    "depth_bottom": "float64",
    "volume": "float64",
    "volume_rel_sd": "float64",
    "n_images": "Int64",
    "effort_rule": "string",
    "flags": "string",
    "source": "string",
    "profile": "string",
    "role": "string",
}
"""Columns of ``samples``: positions in degrees, depths in m (positive down), volume in m3; profile names the cast whose depth bin a sample is.

``role`` is `PARTICLES` or `TAXA` where a cast counts them in different bins of
the same water, missing where its samples serve for both."""
PARTICLES, TAXA = "particles", "taxa"
OBJECTS = {
    "object_id": "string",
    "sample_id": "string",
    "label": "string",
    "status": "string",
    "area": "float64",
    "major": "float64",
    "minor": "float64",
    "pixel": "float64",
    "esd": "float64",
    "biovolume": "float64",
    "size_source": "string",
    "n_individuals": "Int64",
    "score": "float64",
    "model_id": "string",
    "acquisition_id": "string",
    "depth": "float64",
}
"""Columns of ``objects``: area in px2, axes in px, pixel and esd in µm, biovolume in mm3 where the source gives one of its own (size_source
says which), depth of the image in m; status is one of `STATUSES`."""
COUNTS = {
    "sample_id": "string",
    "taxon": "string",
    "n": "float64",
    "biovolume": "float64",
    "method": "string",
    "weight": "float64",
}
"""Columns of ``counts``: n objects with their biovolume in mm3; zeros are not stored. One object stands for `weight` of the sample's volume (missing: 1)."""
FINDINGS = {
    "severity": "string",
    "check": "string",
    "file": "string",
    "row": "Int64",
    "column": "string",
    "value": "string",
    "message": "string",
}
"""Columns of ``findings``: severity is one of `SEVERITIES`; row counts the header as 1."""
SEVERITIES = ("repaired", "suspicious", "refused")
SENTINELS = (9999.0, 99999.0, 999999.0, -999.0, -9999.0, -99999.0, -999999.0)
"""Numbers that stand for none in measured columns of exports, whatever the instrument."""


def typed(table, columns):
    """Table with exactly these columns and types, in this order.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows; a column that is absent is made empty, other columns are left
        out.
    columns : dict of str to str
        Name to type, as `SAMPLES`.

    Returns
    -------
    pandas.DataFrame
        A new table.
    """
    frame = {}
    for name, kind in columns.items():
        values = table[name] if name in table else pd.Series(pd.NA, index=table.index)
        if kind.startswith("datetime64"):
            frame[name] = pd.to_datetime(values, utc=True, format="ISO8601").astype(kind)
        elif kind == "float64":
            frame[name] = (
                pd.to_numeric(values, errors="raise").astype("Float64").astype("float64")
                if len(values)
                else pd.Series(dtype=kind)
            )
        else:
            frame[name] = values.astype(kind)
    return pd.DataFrame(frame, index=table.index).reset_index(drop=True)


def of_types(table, columns, place):
    """Table of a file that anybody may have written, with numbers as numbers and times as times.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows; absent and other columns stay as they are.
    columns : dict of str to str
        Name to type, as `SAMPLES`.
    place : str
        Shown in messages.

    Returns
    -------
    pandas.DataFrame
        A new table; texts stay as they are.

    Raises
    ------
    UserError
        A column that holds something else: lists, times as numbers, words.
    """
    frame = table.copy()
    for name in [name for name in columns if name in table]:
        values, kind = table[name], columns[name]
        needed = "text" if kind == "string" else "times" if kind.startswith("datetime64") else "numbers"
        is_time = pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values)
        strange = values.iloc[:0]
        if values.dtype == object:
            strange = values[[isinstance(value, list | dict | tuple | set | bytes | np.ndarray) for value in values]]
        elif is_time if needed == "numbers" else needed == "times" and pd.api.types.is_numeric_dtype(values):
            strange = values[values.notna()]
        if strange.empty and needed != "text":
            try:
                frame[name] = typed(table[[name]], {name: kind})[name].set_axis(table.index)
            except (TypeError, ValueError, OverflowError, pd.errors.OutOfBoundsDatetime):
                strange = values[values.notna()]
        if len(strange):
            raise UserError(
                f"{place}: column {name!r} holds {values.dtype}, as {str(strange.iloc[0])[:60]!r}; needed are {needed}."
            )
    return frame


def refuse_unknown_statuses(numbers, place):
    """Refuse words of status that nobody knows, as objects of such a status would count as nothing.

    Parameters
    ----------
    numbers : dict of str to int
        Rows of each word.
    place : str
        File, for the message.

    Raises
    ------
    UserError
        Names the word and its number of rows.
    """
    for word, rows in numbers.items():
        if status_of(word) is None:
            raise UserError(
                f"{place}, column 'status': {word!r} in {rows} rows is unknown, allowed are {', '.join(STATUSES)}, their first "
                "letters, and an empty cell."
            )


def is_unlabelled(label):
    """Whether a label says nothing.

    Parameters
    ----------
    label : str or None
        Text of a label.

    Returns
    -------
    bool
        True for none, an empty text, and words such as ``nan`` that writers
        of tables leave where there was none.
    """
    return label is None or str(label).strip().lower() in NO_WORDS


def summed(table, keys, numbers):
    """Sums of groups; a sum of which a part is unknown is unknown.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows.
    keys : list of str
        Columns that groups share; a missing key is a key of its own.
    numbers : list of str
        Columns that are summed.

    Returns
    -------
    pandas.DataFrame
        `keys` and `numbers`, one row per group in the order in which they
        first stand.
    """
    unknown = {f"unknown {name}": table[name].isna() for name in numbers}
    grouped = table.assign(**unknown).groupby(list(keys), sort=False, dropna=False)
    found = grouped.agg(dict.fromkeys(numbers, "sum") | dict.fromkeys(unknown, "any")).reset_index()
    for name in numbers:
        found[name] = found[name].mask(found[f"unknown {name}"].astype(bool))
    return found[[*keys, *numbers]]


def of_role(samples, role):
    """Samples in which something is counted.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns of `SAMPLES`.
    role : {'particles', 'taxa'}
        What is counted.

    Returns
    -------
    pandas.DataFrame
        Without the samples that serve for the other only; all of them where
        there is no column ``role``.
    """
    if "role" not in samples or samples["role"].isna().all():
        return samples
    return samples[samples["role"].fillna(role) == role]


def each_water_once(samples):
    """Samples whose volumes add up to the water that was looked at.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns of `SAMPLES`.

    Returns
    -------
    pandas.DataFrame
        Of casts whose particles and taxa stand in different bins, those of
        the particles.
    """
    if "role" not in samples or samples["role"].isna().all():
        return samples
    fine = samples.loc[samples["role"] == PARTICLES, "profile"]
    return samples[~((samples["role"] == TAXA) & samples["profile"].isin(fine))]


def finding(severity, check, message, **where):
    """One thing that was found in a source.

    Parameters
    ----------
    severity : {'repaired', 'suspicious', 'refused'}
        What became of it.
    check : str
        Name of the detector.
    message : str
        One sentence with the value, what is expected and what was done.
    **where
        ``file``, ``row`` (header is 1), ``column``, ``value``.

    Returns
    -------
    dict
        A row of ``findings``.
    """
    if severity not in SEVERITIES:
        raise UserError(f"severity {severity!r} of a finding must be one of {SEVERITIES}.")
    unknown = set(where) - {"file", "row", "column", "value"}
    if unknown:
        raise UserError(f"a finding has no {sorted(unknown)}; its place is told by file, row, column, value.")
    value = where.pop("value", None)
    return {
        "severity": severity,
        "check": check,
        "message": message,
        "value": None if value is None else str(value),
        **where,
    }


def class_names(held, place):
    """Names of classes in the metadata of a file or a column.

    Parameters
    ----------
    held : bytes or str
        A JSON list, a JSON object from name to place (or place to name), or
        names separated by commas.
    place : str
        Shown in messages.

    Returns
    -------
    tuple of str
        In the order of the probabilities.

    Raises
    ------
    UserError
        Nothing of the kind.
    """
    text = held.decode("utf-8", errors="replace") if isinstance(held, bytes) else str(held)
    try:
        names = json.loads(text)
    except ValueError:
        names = None if text.strip().startswith(("[", "{")) else [part.strip() for part in text.split(",")]
    if isinstance(names, dict):
        turned = (
            {str(key): name for name, key in names.items()} if all(type(v) is int for v in names.values()) else names
        )
        order = [str(number) for number in range(len(turned))]
        names = [turned[key] for key in order] if set(order) == set(map(str, turned)) else None
    if not isinstance(names, list) or not names or any(not isinstance(n, str | int) or n == "" for n in names):
        raise UserError(
            f'{place}: the classes {text[:80]!r} are no list of names; allowed are a JSON list, as ["Copepoda", "egg"], or names with commas.'
        )
    return tuple(map(str, names))


@dataclass(frozen=True)
class Ingested:
    """Tables of one or several sources.

    Attributes
    ----------
    samples, objects, counts : pandas.DataFrame
        Columns `SAMPLES`, `OBJECTS` and `COUNTS`; a source has objects or
        counts, the other is empty.
    findings : pandas.DataFrame
        Columns `FINDINGS`.
    extra : dict of str to pandas.DataFrame
        Further tables of a source, such as ``particles`` (counts per size
        class) or ``conditions`` (temperature, chlorophyll per depth).
    """

    samples: pd.DataFrame
    objects: pd.DataFrame = field(default_factory=lambda: typed(pd.DataFrame(), OBJECTS))
    counts: pd.DataFrame = field(default_factory=lambda: typed(pd.DataFrame(), COUNTS))
    findings: pd.DataFrame = field(default_factory=lambda: typed(pd.DataFrame(), FINDINGS))
    extra: dict = field(default_factory=dict)

    def __post_init__(self):
        known = set(self.samples["sample_id"])
        for name in ("objects", "counts"):
            strangers = set(getattr(self, name)["sample_id"].dropna()) - known
            if strangers:
                raise UserError(
                    f"{name}: sample_id {sorted(strangers)[0]!r} is not among the {len(known)} samples; {len(strangers)} such ids."
                )
        if self.samples["sample_id"].duplicated().any():
            twice = self.samples.loc[self.samples["sample_id"].duplicated(), "sample_id"].iloc[0]
            raise UserError(f"samples: sample_id {twice!r} stands more than once, allowed is once.")


def joined(parts):
    """Tables of several sources put together.

    Parameters
    ----------
    parts : list of Ingested
        At least one.

    Returns
    -------
    Ingested
        Rows in the order of the parts.
    """
    if not parts:
        raise UserError(f"{len(parts)} sources to join, at least 1 is needed.")
    names = dict.fromkeys(name for part in parts for name in part.extra)
    main = {
        name: pd.concat([getattr(part, name) for part in parts], ignore_index=True)
        for name in ("samples", "objects", "counts", "findings")
    }
    return Ingested(
        **main,
        extra={
            name: pd.concat([part.extra[name] for part in parts if name in part.extra], ignore_index=True)
            for name in names
        },
    )
