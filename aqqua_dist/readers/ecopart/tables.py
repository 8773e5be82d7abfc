"""Single tables of EcoPart exports: what they are, their cells as numbers, their classes and taxa."""

import io
import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.readers.ecopart.headers import (
    BESIDE,
    FIXED,
    ODV,
    RAW_SUMMARY,
    SUMMARY,
    looks_like_particles,
    particle_columns,
    standard_names,
    taxon_names,
)
from aqqua_dist.readers.sources import encoding_of

BIN = 5.0
"""Thickness of a depth bin (m) in particle tables."""
WHOLE = 1e-6
"""Largest distance of a recovered count from a whole number."""
TEXTS = ("Profile", "Rawfilename", "yyyy-mm-dd hh:mm", "Project")
NEEDED = {
    "summary": ("profile", "Rawfilename", "Latitude", "Longitude", "Particle filename"),
    "particles": ("Profile", "Rawfilename"),
    "taxa": ("Profile", "Rawfilename"),
    "raw taxa": ("orig_id", "objid", "name", "taxo_hierarchy", "classif_qual"),
}
"""Columns without which a table says nothing."""
NUMBERS = ("lat", "lon", "aa", "exp", "pixel", "image_volume")
_COMMA = r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?"
"""A number with a decimal comma."""


@dataclass
class Table:
    """One table.

    Attributes
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.
    kind : str
        From `kind_of`.
    rows : pandas.DataFrame
        Our names for fixed columns, ``row`` (of the file), numbers elsewhere.
    columns : list of str
        Names of the file.
    metadata : pandas.DataFrame or None
        Casts, where the file itself tells their position (ODV).
    extra : dict
        Further tables of raw files.
    findings : list of dict
        What was odd.
    """

    source: object
    kind: str
    rows: pd.DataFrame
    columns: list
    metadata: pd.DataFrame | None = None
    extra: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)

    @property
    def conditions(self):
        """Columns of the CTD (list of str)."""
        particles = particle_columns(tuple(self.columns))
        other = {*FIXED, *particles.strange, *(name for line in particles.classes for name in line[2:])}
        return [
            name for name in self.columns if name in self.rows and name not in other and not name.startswith("extrames")
        ]

    def whole(self, values, names, exact):
        """Counts as whole numbers.

        Parameters
        ----------
        values : numpy.ndarray
            Concentration times volume, one column for each of `names`.
        names : list of str
            Columns of the file, for messages.
        exact : numpy.ndarray of bool
            Rows that must be whole; means, as of floats, are reported.

        Returns
        -------
        numpy.ndarray
            Rounded, but for the means.

        Raises
        ------
        UserError
            A value that is further than `WHOLE` from a whole number, relative
            to it where it is above 1.
        """
        off = np.abs(values - np.round(values)) > WHOLE * np.maximum(np.abs(values), 1)
        for row, column in np.argwhere(off & exact[:, None])[:1]:
            raise UserError(
                f"{self.source}, row {self.rows['row'].iloc[row]}, column {names[column]!r}: times the volume it gives {values[row, column]:.9g} objects, "
                f"allowed are whole numbers; {int((off & exact[:, None]).sum())} such cells."
            )
        if off.any():
            row, column = np.argwhere(off)[0]
            self.findings.append(
                finding(
                    "suspicious",
                    "count",
                    f"{int(off.sum())} numbers of a float are no whole numbers, first "
                    f"{values[row, column]:.9g}: means over images, kept as they are.",
                    file=str(self.source),
                    row=int(self.rows["row"].iloc[row]),
                    column=names[column],
                    value=values[row, column],
                )
            )
        return np.where(off, values, np.round(values))


def kind_of(source):
    """What a file of an EcoPart export holds.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.

    Returns
    -------
    str
        ``summary``, ``particles``, ``taxa``, ``raw particles``, ``raw black``
        (no flash), ``raw taxa``, ``raw conditions``, ``new samples``, ``new
        projects``, ``new archive``, ``float particles``, ``float black``,
        ``float taxa`` or ``float settings``; empty for anything else.
    """
    if source.name.endswith(("_Particule.zip", "_work.zip")):
        return "new archive"
    with source.open() as stream:
        content = stream.read(65_536)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = content[: len(content) // 2 * 2].decode("utf-16", errors="replace")
    else:
        start = content.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    lines = [line for line in start.splitlines() if not line.startswith("//")]
    if not lines:
        return ""
    names = _names(lines[0], ";" if start.startswith("//") else "\t")
    held = set(names)
    if {"profile", "Rawfilename", "Particle filename"} <= held or {"psampleid", "acq_volimage", "profileid"} <= held:
        return "summary"
    if {"Rawfilename", "Depth [m]", "Sampled volume [L]"} <= held:
        return "particles" if looks_like_particles(names) else "taxa"
    if {"depth", "imgcount", "area", "nbr"} <= held:
        return "raw black" if source.name.endswith("_black.tsv") else "raw particles"
    if {"orig_id", "taxo_hierarchy", "depth_including_offset"} <= held:
        return "raw taxa"
    if {"PRES_decibar", "IMAGE_NUMBER_PARTICLES"} <= held:
        return "float black" if source.name.upper().endswith("BLACK.TXT") else "float particles"
    if {"PRES_decibar", "IMAGE_NUMBER_PLANKTON"} <= held:
        return "float taxa"
    if source.name.upper().endswith("META.TXT") and {"aa", "exp", "image_volume"} <= {
        line.partition("\t")[0].strip().lower() for line in lines
    }:
        return "float settings"
    if "ecopart_project_id" in held:
        return "new samples" if "ecopart_sample_id" in held else "new projects"
    return "raw conditions" if "pressure [db]" in held and "time [yyyymmddhhmmssmmm]" in held else ""


def _names(line, mark):
    """Names of a header in the exporter's spelling; the types of ODV are left out."""
    names = [name.partition(":METAVAR")[0].partition(":PRIMARYVAR")[0].strip() for name in line.split(mark)]
    return standard_names([name.strip('"').strip() if mark == "\t" else name for name in names])


def read_cells(source, typed=()):
    """Cells of a table.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        A tab-separated table, or an ODV spreadsheet.
    typed : tuple of str
        Columns of text, where all others are numbers; in a file with a fault
        all cells stay text.

    Returns
    -------
    cells : pandas.DataFrame
        Empty cells missing; index is the row of the file.
    odv : bool
        Whether it is an ODV spreadsheet.

    Raises
    ------
    UserError
        A row with more or fewer cells than the header.
    """
    with source.open() as stream:
        content = stream.read()
    encoding = encoding_of(io.BytesIO(content))
    text = content.decode(encoding, errors="replace")
    lines = re.split("\r\n|\n|\r", text)
    first = next((number for number, line in enumerate(lines) if not line.startswith("//")), None)
    odv = text.startswith("//")
    mark = ";" if odv else "\t"
    if first is None:
        raise UserError(f"{source}: the file has no header.")
    names = _names(lines[first], mark)
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise UserError(
            f"{source}, row {first + 1}: column {twice[0]!r} stands {names.count(twice[0])} times, allowed is once."
        )
    if typed and not odv:
        quick = _quick(content, encoding, names, typed)
        if quick is not None and len(quick) == sum(map(bool, lines[1:])) == len(lines) - 1 - (not lines[-1]):
            return quick, odv
    rows, index = [], []
    for number, line in enumerate(lines[first + 1 :], start=first + 2):
        if not line.strip():
            continue
        cells = line.split(mark)
        if len(cells) != len(names):
            raise UserError(
                f"{source}, row {number}: the row has {len(cells)} cells, the header {len(names)}; was the line cut?"
            )
        rows.append(cells)
        index.append(number)
    cells = np.array([[cell.strip().strip('"') or None for cell in row] for row in rows], dtype=object).reshape(
        len(rows), len(names)
    )
    return pd.DataFrame(cells, columns=names, index=index), odv


def _quick(content, encoding, names, texts):
    """Table without any fault, or None."""
    types = {name: pa.string() if name in texts else pa.float64() for name in names}
    try:
        table = csv.read_csv(
            pa.BufferReader(content),
            csv.ReadOptions(
                use_threads=False,
                column_names=names,
                skip_rows=1,
                encoding="latin-1" if encoding == "latin-1" else "utf8",
            ),
            csv.ParseOptions(delimiter="\t", quote_char=False),
            csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
        )
    except (pa.ArrowException, ValueError):
        return None
    words = {word for name in texts if name in names for word in table[name].unique().to_pylist() if word is not None}
    if any(word != word.strip().strip('"') for word in words):
        return None
    cells = table.to_pandas()
    cells.index += 2
    return None if np.isinf(cells.select_dtypes("number").to_numpy()).any() else cells


def column_numbers(cells, source):
    """Numbers of a column of text.

    Parameters
    ----------
    cells : pandas.Series
        Text, missing where empty; index is the row of the file.
    source : aqqua_dist.readers.sources.Source
        For messages.

    Returns
    -------
    pandas.Series
        float64.

    Raises
    ------
    UserError
        A cell that is no number.
    """
    found = pd.to_numeric(cells, errors="coerce").astype("float64")
    wrong = (
        (found.isna() | np.isinf(found)) & cells.notna() & ~cells.astype("str").str.lower().isin(["nan", "none", "na"])
    )
    if wrong.any():
        row = cells.index[wrong][0]
        raise UserError(f"{source}, row {row}, column {cells.name!r}: {cells[row]!r} is not a number.")
    return found


def read_table(source):
    """One table of an export.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.

    Returns
    -------
    Table

    Raises
    ------
    UserError
        Another file, a cell that is not what its column says, or a volume that
        is not above 0.
    """
    kind = kind_of(source)
    if not kind:
        raise UserError(f"{source}: the header is not that of a file of an EcoPart export.")
    if kind in ("new archive", "float settings"):
        return Table(source, kind, pd.DataFrame(), [])
    cells, odv = read_cells(source, TEXTS if kind in ("particles", "taxa") else ())
    cells, found = _decimal_points(cells, source)
    needed = ODV if odv else RAW_SUMMARY if kind == "summary" and "psampleid" in cells else NEEDED.get(kind, ())
    if missing := [name for name in needed if name not in cells]:
        raise UserError(
            f"{source}: column {missing[0]!r} is missing, the table has {', '.join(map(repr, list(cells)[:12]))}."
        )
    if kind == "summary":
        return Table(source, kind, _summary(cells, source), list(cells), findings=found)
    if kind not in ("particles", "taxa"):
        return Table(source, kind, cells, list(cells), findings=found)
    metadata, names = None, list(cells)
    if odv:
        metadata, cells = _odv(cells, source)
    values = _all_numbers(cells[[name for name in cells if name not in TEXTS]], source)
    rows = pd.concat([cells[[name for name in TEXTS if name in cells]], values], axis=1).rename(columns=FIXED)
    rows["row"] = cells.index
    rows["time"] = _times(rows["time"], source) if "time" in rows else pd.NaT
    none = (rows["volume"] == 0) | rows["volume"].isna()
    if kind == "taxa" and none.any():
        found.append(
            finding(
                "refused",
                "volume",
                f"{int(none.sum())} rows of taxa, first of profile {rows['profile'][none].iloc[0]!r}, have no volume; nothing can be "
                "said of their counts.",
                file=str(source),
                row=int(rows["row"][none].iloc[0]),
                column="Sampled volume [L]",
                value=0,
            )
        )
        rows = rows[~none]
    bad = ~(rows["volume"] > 0)
    if bad.any():
        row = rows[bad].iloc[0]
        raise UserError(f"{source}, row {row['row']}, column 'Sampled volume [L]': {row['volume']:g} is not above 0 L.")
    if kind == "particles":
        measured = [name for line in particle_columns(tuple(names)).classes for name in line[2:] if name]
    else:
        measured = list(taxon_names(tuple(names))[0])
    for row, column in np.argwhere(rows[measured].to_numpy() < 0)[:1]:
        raise UserError(
            f"{source}, row {rows['row'].iloc[row]}, column {measured[column]!r}: {rows[measured[column]].iloc[row]:g} is below 0."
        )
    if rows["profile"].isna().any():
        raise UserError(
            f"{source}, row {rows['row'][rows['profile'].isna()].iloc[0]}, column 'Profile': the cell is empty."
        )
    return Table(source, kind, rows, names, metadata, findings=found)


def _decimal_points(cells, source):
    """Cells with decimal points instead of decimal commas, and what was found.

    A table is read so only where no number has a point and one of them cannot
    be read as thousands.
    """
    texts = cells.select_dtypes(exclude="number")
    if texts.empty or not any(texts[name].astype("string").str.fullmatch(_COMMA).any() for name in texts):
        return cells, []
    plain = r"[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?"
    columns = [
        name for name in texts if name not in TEXTS and texts[name].dropna().astype("string").str.fullmatch(plain).all()
    ]
    commas = texts[columns].apply(lambda column: column.astype("string").str.fullmatch(_COMMA)).fillna(False)
    points = texts.apply(lambda column: column.astype("string").str.fullmatch(r"[-+]?\d+\.\d+")).fillna(False)
    decimal = texts[columns].apply(
        lambda column: column.astype("string").str.fullmatch(r"[-+]?(?:0,\d+|\d+,(?!\d{3}$)\d+)(?:[eE][-+]?\d+)?")
    )
    if not decimal.fillna(False).to_numpy(dtype=bool).any() or points.to_numpy(dtype=bool).any():
        return cells, []
    cells = cells.copy()
    for name in columns:
        cells[name] = cells[name].astype(object).where(cells[name].isna(), cells[name].str.replace(",", "."))
    row, column = np.argwhere(commas.to_numpy(dtype=bool))[0]
    number = int(commas.to_numpy(dtype=bool).sum())
    first = texts[columns].iloc[row, column]
    return cells, [
        finding(
            "repaired",
            "decimal comma",
            f"{number} numbers with a decimal comma, first {first!r}, were read with a point.",
            file=str(source),
            row=int(texts.index[row]),
            column=columns[column],
            value=first,
        )
    ]


def _all_numbers(cells, source):
    """Numbers of all columns at once; the slow way finds the cell that is none."""
    if all(kind == "float64" for kind in cells.dtypes):
        return cells
    flat = pd.to_numeric(pd.Series(cells.to_numpy(dtype=object).ravel()), errors="coerce").to_numpy(dtype=float)
    table = pd.DataFrame(flat.reshape(cells.shape), index=cells.index, columns=cells.columns)
    odd = (table.isna() & cells.notna()) | np.isinf(table)
    for name in cells.columns[odd.any()]:
        table[name] = column_numbers(cells[name], source)
    return table


def _summary(cells, source):
    names = RAW_SUMMARY if "psampleid" in cells else SUMMARY
    rows = pd.DataFrame(
        {ours: cells[theirs] if theirs in cells else np.nan for theirs, ours in names.items()}, index=cells.index
    )
    for name in NUMBERS:
        rows[name] = column_numbers(rows[name].rename(name), source) if name in rows else np.nan
    for theirs, ours in (("acq_depthoffset", "offset"), ("default_depthoffset", "override")):
        rows[ours] = (
            cells[theirs].astype("string") if theirs in cells else pd.Series(pd.NA, cells.index, dtype="string")
        )
    if "psampleid" in cells:
        rows["raw"] = "HDR" + rows["raw"].astype(object).where(rows["raw"].notna(), "")
    rows["time"] = _times(rows["time"], source)
    for name, limit in (("lat", 90), ("lon", 360)):
        wrong = rows[name].abs() > limit
        if wrong.any():
            raise UserError(
                f"{source}, row {rows.index[wrong][0]}, column {name!r}: {rows.loc[wrong, name].iloc[0]:g} is outside [-{limit}, {limit}] degrees."
            )
    rows["project"] = rows["project"].astype(object).where(rows["project"].notna(), "")
    return rows.assign(file=str(source)).reset_index(drop=True)


def _times(texts, source):
    found = pd.to_datetime(texts, errors="coerce", format="ISO8601", utc=True)
    wrong = found.isna() & texts.notna()
    if wrong.any():
        row = texts.index[wrong][0]
        raise UserError(f"{source}, row {row}, column 'yyyy-mm-dd hh:mm': {texts[row]!r} is not a time.")
    return found


def _odv(cells, source):
    """Casts of an ODV spreadsheet, and its rows with the cast filled down."""
    if cells["Station"].isna()[:1].any():
        raise UserError(f"{source}, row {cells.index[0]}, column 'Station': the first row of a cast is missing.")
    heads = cells[cells["Station"].notna()]
    casts = pd.DataFrame({ours: heads[theirs] for theirs, ours in ODV.items()})
    for name in ("lat", "lon"):
        casts[name] = column_numbers(casts[name].rename(name), source)
    casts["time"] = _times(casts["time"], source)
    casts = casts.assign(
        project="",
        aa=np.nan,
        exp=np.nan,
        pixel=np.nan,
        image_volume=np.nan,
        particle_file="",
        taxa_file="",
        file=str(source),
    )
    filled = cells.assign(
        Station=cells["Station"].ffill(),
        Rawfilename=cells["Rawfilename"].ffill(),
        **{"yyyy-mm-dd hh:mm": cells["yyyy-mm-dd hh:mm"].ffill()},
    )
    left = [name for name in (*ODV, *BESIDE) if name not in ("Station", *TEXTS)]
    return casts.reset_index(drop=True), filled.drop(columns=left, errors="ignore").rename(
        columns={"Station": "Profile"}
    )


def particle_classes(table):
    """Size classes of a particle table.

    Parameters
    ----------
    table : Table
        Of kind ``particles``.

    Returns
    -------
    list of tuple
        Lower and upper limit (mm), column of the concentration (L-1) and of
        the biovolume (mm3 L-1), or None.

    Raises
    ------
    UserError
        Classes that overlap or leave a gap, as from a wrong unit, or a class
        that stands twice.
    """
    columns = particle_columns(tuple(table.columns))
    if columns.twice:
        raise UserError(f"{table.source}: columns {columns.twice[0]!r} and {columns.twice[1]!r} are one size class.")
    for one, two in zip(columns.classes, columns.classes[1:], strict=False):
        if abs(one[1] - two[0]) > 1e-9 and not columns.strange:
            raise UserError(f"{table.source}: size class {two[2]!r} does not begin where {one[2]!r} ends.")
    return list(columns.classes)
