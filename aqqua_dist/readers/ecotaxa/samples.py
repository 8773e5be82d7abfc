"""Samples and acquisitions of EcoTaxa files, gathered while the objects pass by."""

from pathlib import PurePath

import numpy as np
import pandas as pd
import polars as pl

from aqqua_dist.core.tables import SAMPLES, SENTINELS, finding, typed
from aqqua_dist.effort.rules import rules as effort_rules
from aqqua_dist.readers.ecotaxa.cells import (
    DECIMAL_COMMA,
    INSTRUMENTS,
    MISSING,
    columns_of_numbers,
    degrees,
    instrument_name,
    moments,
    numbers,
    pixel_of,
)

POSITION = ("object_lat", "object_lon", "object_date", "object_time", "object_depth_min", "object_depth_max")
CRUISES = ("sample_cruise", "sample_program", "sample_project")
"""Columns that name the cruise, best first."""
SPREAD = 0.2
"""Degrees over which the objects of one sample may lie without a remark."""
ABOVE = 5.0
"""Metres above the surface that are an instrument's offset, taken as the surface."""
OBJECT_VOLUMES = ("object_analysed_volume", "object_pumped_volume")
"""Volumes of the acquisition that CytoSense files repeat on each object."""
DEEPEST = 11_500.0
"""Metres below which there is no sea."""
PROFILERS = ("UVP5", "UVP6")
"""Instruments whose objects carry the depth of the image in `object_depth_min`."""


_NUMBERS = frozenset(
    name
    for rule in effort_rules().values()
    for spec in rule.columns.values()
    if not spec.get("text")
    for name in spec["names"]
)


class Samples:
    """Metadata of the samples and acquisitions of one or several files."""

    def __init__(self):
        self._names, self._known, self._meta, self._places, self._codes = {}, {}, [], [], {}
        self._source, self.wanted, self.impossible = None, (), {}

    def mark(self):
        """State to which `back` returns.

        Returns
        -------
        tuple
            Copies.
        """
        names = {text: list(held) for text, held in self._names.items()}
        return names, len(self._meta), list(self._places), dict(self._codes), dict(self.impossible)

    def back(self, mark):
        """Forget what came since a mark.

        Parameters
        ----------
        mark : tuple
            From `mark`.
        """
        self._names, n_meta, self._places, self._codes, self.impossible = mark
        del self._meta[n_meta:]

    def begin(self, source, names):
        """Start with a file.

        Parameters
        ----------
        source : aqqua_dist.readers.sources.Source
            The file.
        names : sequence of str
            Its columns; `wanted` tells afterwards which of them are needed.
        """
        self._source, self._known = source, {}
        self.wanted = tuple(
            name for name in names if name.startswith(("sample_", "acq_", "process_")) or name in OBJECT_VOLUMES
        )

    def add(self, frame, rows, notes):
        """Take note of a batch.

        Parameters
        ----------
        frame : polars.DataFrame
            Text, columns `wanted` and `POSITION` where the file has them.
        rows : numpy.ndarray of int
            Row of each.
        notes : aqqua_dist.readers.ecotaxa.cells.Notes
            Takes the repairs.

        Returns
        -------
        polars.DataFrame
            ``sample_id`` and ``acquisition_id`` (keys, unique over all
            files), ``code`` (a number for both), ``pixel`` (µm), ``lat``,
            ``lon`` (degrees) and ``depth`` (m; null where the file gives the
            layer of a net only). Samples with a position, a time or a depth
            that cannot be stand in `impossible`.
        """
        kinds, which = self._kinds(frame, rows)
        named = [self._name(kind, notes) for kind in kinds]
        instruments = [_instrument(kind) for kind in kinds]
        self._meta += [
            kind | {"_sample": name, "_instrument": instrument, "_file": self._source.name}
            for kind, name, instrument in zip(kinds, named, instruments, strict=True)
        ]
        acquisitions = [kind.get("acq_id", "") for kind in kinds]
        codes = [self._codes.setdefault(key, len(self._codes)) for key in zip(named, acquisitions, strict=True)]
        spread = {
            "sample_id": pl.Series(named, dtype=pl.String),
            "acquisition_id": pl.Series(acquisitions, dtype=pl.String),
            "code": pl.Series(codes, dtype=pl.UInt32),
            "pixel": pl.Series([pixel_of(kind, kind["_row"], notes) for kind in kinds], dtype=pl.Float64),
            "profiler": pl.Series([name in PROFILERS for name in instruments]),
        }
        table = pl.DataFrame(spread)
        top, bottom, position = self._place(frame, (table["sample_id"], which), rows, notes)
        depth = pl.when(pl.col("profiler") | (bottom == top)).then(top)
        return table[which].with_columns(depth=depth, **position).drop("profiler")

    def end(self, notes):
        """Finish a file.

        Parameters
        ----------
        notes : aqqua_dist.readers.ecotaxa.cells.Notes
            Takes what is odd about its samples.
        """
        self._places = [_merged(self._places)] if self._places else []

    def _kinds(self, frame, rows):
        """Different rows of metadata as dicts, and which of them each row of the batch has."""
        wanted = [name for name in self.wanted if name in frame.columns]
        if not wanted:
            return [{"_row": int(rows[0])}], pl.zeros(len(frame), pl.UInt32, eager=True)
        changed = _changes(frame, wanted)
        starts = changed.arg_true()
        runs = frame.select(wanted)[starts].with_columns(_row=pl.Series(rows[starts.to_numpy()]))
        kinds = runs.unique(subset=wanted, keep="first", maintain_order=True)
        run = changed.cast(pl.UInt32).cum_sum() - 1
        if len(kinds) == len(runs):
            return list(kinds.iter_rows(named=True)), run
        place = runs.select(wanted).join(
            kinds.select(wanted).with_row_index("_kind"), on=wanted, how="left", maintain_order="left"
        )["_kind"]
        return list(kinds.iter_rows(named=True)), place[run]

    def _name(self, kind, notes):
        """Key of a sample: its id, told apart from others of the same id."""
        text = kind.get("sample_id", "").strip()
        internal = kind.get("sample_id_internal", "").strip()
        key = (text, internal, kind.get("sample_profileid", "").strip())
        if key in self._known:
            return self._known[key]
        if text.lower() in MISSING:
            text = self._without_id(kind, notes)
        identity = internal or tuple(
            (name, value) for name, value in kind.items() if name.startswith("sample_") and value.lower() not in MISSING
        )
        for other, name in self._names.setdefault(text, []):
            if _same(identity, other):
                self._known[key] = name
                return name
        name = text
        if self._names[text]:
            name = f"{text} ({internal or PurePath(self._source.name).stem})"
            notes.add(
                "suspicious",
                "homonym",
                f"another sample of this name has other metadata; this one is called {name!r}.",
                (kind["_row"], "sample_id", text),
            )
        self._names[text].append((identity, name))
        self._known[key] = name
        return name

    def _without_id(self, kind, notes):
        profile = kind.get("sample_profileid", "").strip()
        text = profile if profile.lower() not in MISSING else PurePath(self._source.name).stem
        notes.add(
            "suspicious",
            "sample",
            f"there is no sample id; the sample is called {text!r} after its {'profile' if text == profile else 'file'}.",
            (kind["_row"], "sample_id", kind.get("sample_id", "")),
        )
        return text

    def _place(self, frame, samples, rows, notes):
        """Positions, times and depths; gives the depths and the positions back."""
        named, which = samples
        lost = []
        known = frame.select(pl.col(name) if name in frame.columns else pl.lit("").alias(name) for name in POSITION)
        depths = columns_of_numbers(known.select(POSITION[4:]), rows, notes, none=SENTINELS, lost=lost)
        top, bottom = _ordered(
            *depths.select(
                top=pl.coalesce("object_depth_min", "object_depth_max"),
                bottom=pl.coalesce("object_depth_max", "object_depth_min"),
            ),
            rows,
            notes,
            lost,
        )
        texts = known.select(which.alias("which"), *POSITION[:4])
        changed = _changes(texts, texts.columns)
        few = texts.filter(changed)
        lines = rows[changed.to_numpy()]
        none = (*SENTINELS, 999.0)
        lat, lon = (
            _in_range(numbers(few[name], lines, notes, none=none, parse=degrees, lost=lost), limit, lines, notes, lost)
            for name, limit in (("object_lat", 90), ("object_lon", 360))
        )
        time = moments(few["object_date"], few["object_time"], lines, notes, lost=lost)
        place = few.select("which").with_columns(lat.alias("lat"), lon.alias("lon"), time.alias("time"))
        for row, text in lost:
            name = named[which[int(np.searchsorted(rows, row))]]
            self.impossible.setdefault(name, (text, str(notes.source)))
        run = changed.cast(pl.UInt32).cum_sum() - 1
        position = {"lat": lat[run], "lon": lon[run]}
        depths = (
            pl.DataFrame({"which": which, "top": top, "bottom": bottom})
            .group_by("which")
            .agg(pl.col("top").min(), pl.col("bottom").max())
        )
        summed = _summed(place).join(depths, on="which", how="left").sort("which")
        self._places.append(summed.with_columns(sample_id=named[summed["which"]]).drop("which"))
        return top, bottom, position

    def keys(self):
        """Sample and acquisition of each code.

        Returns
        -------
        list of tuple of str
            In the order of the codes.
        """
        return list(self._codes)

    def tables(self, findings):
        """Everything gathered.

        Parameters
        ----------
        findings : list of dict
            Takes what is odd about the samples.

        Returns
        -------
        samples : pandas.DataFrame
            Columns of `aqqua_dist.core.tables.SAMPLES`, without volume.
        acquisitions : pandas.DataFrame
            ``sample_id``, ``acquisition_id`` and the metadata as text.
        """
        if not self._meta:
            return typed(pd.DataFrame(), SAMPLES), pd.DataFrame({"sample_id": [], "acquisition_id": []})
        names = dict.fromkeys(name for kind in self._meta for name in kind)
        meta = (
            pl.DataFrame(self._meta, schema=dict.fromkeys(names, pl.String) | {"_row": pl.Int64})
            .drop("_row")
            .fill_null("")
        )
        meta, acquisitions = _decimal_points(meta, findings), None
        acquisitions = _one_per_key(meta, findings)
        acquisitions = acquisitions[~acquisitions["sample_id"].isin(list(self.impossible))].reset_index(drop=True)
        place = _merged(self._places).to_pandas()
        first = acquisitions.drop_duplicates("sample_id").set_index("sample_id")
        samples = place.set_index("sample_id").reindex(first.index)
        spread = (samples["lat_max"] - samples["lat_min"] > SPREAD) | (samples["lon_max"] - samples["lon_min"] > SPREAD)
        if spread.any():
            findings.append(
                finding(
                    "suspicious",
                    "position",
                    f"objects of {int(spread.sum())} samples, first {spread.idxmax()!r}, lie more than {SPREAD:g} degrees apart; "
                    "the mean position was taken.",
                )
            )
        cruise = pd.Series(pd.NA, index=first.index, dtype="string")
        for name in CRUISES:
            if name in first:
                cruise = cruise.fillna(
                    first[name].astype("string").where(~first[name].str.strip().str.lower().isin(MISSING))
                )
        lat, lon = _mean_position(samples)
        table = pd.DataFrame(
            {
                "sample_id": first.index,
                "cruise": cruise,
                "instrument": first["_instrument"],
                "time": samples["time"],
                "lat": lat,
                "lon": lon,
                "depth_top": samples["top"],
                "depth_bottom": samples["bottom"],
                "source": first["_file"],
            },
            index=first.index,
        )
        table["instrument"] = table["instrument"].where(table["instrument"] != "", pd.NA)
        return typed(table, SAMPLES), acquisitions.drop(columns=["_file", "_instrument"])


def _changes(frame, names):
    """Rows in which any column differs from the row above; the first one does."""
    mixed = pl.reduce(
        lambda one, two: one ^ two, [pl.col(name).hash(seed) for seed, name in enumerate(names)]
    )  # 64 bits, so quick
    return frame.select((mixed != mixed.shift(1)).fill_null(True)).to_series()


def _instrument(kind):
    """Name of the instrument; where that is missing, the id of the acquisition may begin with it."""
    text = kind.get("acq_instrument", "")
    if text.strip().lower() not in MISSING:
        return instrument_name(text)
    name = instrument_name(kind.get("acq_id", ""))
    return name if name in INSTRUMENTS.values() else ""


def _same(identity, other):
    if isinstance(identity, str) or isinstance(other, str):
        return identity == other
    one, two = dict(identity), dict(other)
    return all(one[name] == two[name] for name in one.keys() & two.keys())


def _ordered(top, bottom, rows, notes, lost):
    swapped = (top > bottom).fill_null(False)
    if swapped.any():
        place = int(swapped.arg_max())
        notes.add(
            "repaired",
            "depth",
            "object_depth_min is deeper than object_depth_max; they were swapped.",
            (int(rows[place]), "object_depth_min", str(top[place])),
            int(swapped.sum()),
        )
        top, bottom = (
            pl.select(pl.min_horizontal(top, bottom)).to_series(),
            pl.select(pl.max_horizontal(top, bottom)).to_series(),
        )
    above = (top < 0).fill_null(False)
    if above.any():
        place = int(above.arg_max())
        far = top < -ABOVE
        for place in far.arg_true():
            text = f"{notes.source}, row {rows[place]}, column 'object_depth_min': {top[place]:g} m is above the surface; depths are positive "
            lost.append((int(rows[place]), text + "downwards."))
        near = (above & ~far).fill_null(False)
        if near.any():
            place = int(near.arg_max())
            notes.add(
                "repaired",
                "depth",
                "a depth above the surface was taken as 0 m.",
                (int(rows[place]), "object_depth_min", str(top[place])),
                int(near.sum()),
            )
        top, bottom = top.clip(0), bottom.clip(0)
    for place in (bottom > DEEPEST).fill_null(False).arg_true():
        text = f"{notes.source}, row {rows[place]}, column 'object_depth_max': {bottom[place]:g} m is deeper than the sea, {DEEPEST:g} m."
        lost.append((int(rows[place]), text))
    return top, bottom


def _in_range(values, limit, rows, notes, lost):
    """Latitudes within 90 degrees, longitudes wrapped to [-180, 180)."""
    wrong = (values.abs() > limit).fill_null(False)
    for place in wrong.arg_true():
        text = f"{notes.source}, row {rows[place]}, column {values.name!r}: {values[place]:g} is outside [-{limit}, {limit}] degrees."
        lost.append((int(rows[place]), text))
    values = values.set(wrong, None)
    if limit == 90:
        return values
    east = ((values >= 180) | (values < -180)).fill_null(False)
    if east.any():
        place = int(east.arg_max())
        notes.add(
            "repaired",
            "position",
            "a longitude was wrapped to [-180, 180).",
            (int(rows[place]), values.name, f"{values[place]:g}"),
        )
        values = ((values + 180) % 360 - 180).zip_with(east, values)
    return values


def _summed(place):
    """One row per kind of metadata; longitudes also as a vector, for samples across the dateline."""
    angle = pl.col("lon").radians()
    return place.group_by("which").agg(
        lat_min=pl.col("lat").min(),
        lat_max=pl.col("lat").max(),
        lat_sum=pl.col("lat").sum(),
        lon_min=pl.col("lon").min(),
        lon_max=pl.col("lon").max(),
        east=angle.cos().sum(),
        north=angle.sin().sum(),
        n=pl.col("lat").count(),
        time=pl.col("time").min(),
    )


def _merged(parts):
    low = pl.col("lat_min", "lon_min", "time", "top").min()
    high, total = pl.col("lat_max", "lon_max", "bottom").max(), pl.col("lat_sum", "east", "north", "n").sum()
    return pl.concat(parts, how="diagonal").group_by("sample_id", maintain_order=True).agg(low, high, total)


def _mean_position(samples):
    """Position of each sample, exact where all its objects share it."""
    lat = np.where(
        samples["lat_min"] == samples["lat_max"],
        samples["lat_min"],
        samples["lat_sum"] / samples["n"].where(samples["n"] > 0),
    )
    lon = np.where(
        samples["lon_min"] == samples["lon_max"],
        samples["lon_min"],
        np.degrees(np.arctan2(samples["north"], samples["east"])),
    )
    return lat, np.where(samples["n"] > 0, lon, np.nan)


def _decimal_points(meta, findings):
    """Metadata from which volumes are found, with decimal points."""
    for name in sorted(_NUMBERS & set(meta.columns)):
        comma = meta[name].str.contains(DECIMAL_COMMA)
        if comma.any():
            first = meta.filter(comma).row(0, named=True)
            text = f"{int(comma.sum())} cells, first {first[name]!r}: a decimal comma was read as a decimal point."
            where = {"file": first["_file"], "column": name, "value": first[name]}
            findings.append(finding("repaired", "decimal comma", text, **where))
            points = meta[name].str.strip_chars().str.replace(",", ".", literal=True)
            meta = meta.with_columns(points.zip_with(comma, meta[name]).alias(name))
    return meta


def _one_per_key(meta, findings):
    """One row per sample and acquisition; a column with two values there has none."""
    meta = meta.rename({"sample_id": "sample_id_in_file"}, strict=False).rename({"_sample": "sample_id"})
    meta = meta.with_columns(acquisition_id=pl.col("acq_id") if "acq_id" in meta.columns else pl.lit("")).unique(
        maintain_order=True
    )
    keys = ["sample_id", "acquisition_id"]
    others = [name for name in meta.columns if name not in (*keys, "_file", "_instrument")]
    twice = meta.filter(meta.select(pl.struct(keys).is_duplicated()).to_series())
    rows = meta.unique(subset=keys, keep="first", maintain_order=True).to_pandas()
    if len(twice):
        kinds = twice.group_by(keys, maintain_order=True).agg(
            [pl.col(name).filter(pl.col(name) != "").unique(maintain_order=True) for name in others]
        )
        places = {key: place for place, key in enumerate(zip(rows["sample_id"], rows["acquisition_id"], strict=True))}
        for kind in kinds.iter_rows(named=True):
            place = places[kind["sample_id"], kind["acquisition_id"]]
            for name in others:
                if len(kind[name]) > 1:
                    findings.append(
                        finding(
                            "suspicious",
                            "metadata",
                            f"sample {kind['sample_id']!r} has {len(kind[name])} values of {name}, first {kind[name][0]!r} and "
                            f"{kind[name][1]!r}; none was taken.",
                            column=name,
                            value=kind[name][0],
                        )
                    )
                    rows.loc[place, name] = ""
                elif kind[name]:
                    rows.loc[place, name] = kind[name][0]
    return rows[[*keys, *(name for name in rows.columns if name not in keys)]]
