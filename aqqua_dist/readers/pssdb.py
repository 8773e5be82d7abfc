"""Mapping sheets of PSSdb: which column of a project is what, in which unit, and how its volume follows.

One sheet per instrument (``project_<instrument>_standardizer.xlsx``, 47
columns), one row per project of EcoTaxa or EcoPart (github.com/jessluo/PSSdb,
21d24d6). What one object adds to a concentration is dilution / volume; the
dilution is a column or a formula of columns.
"""

import ast
import operator
import warnings
from dataclasses import dataclass

import numpy as np
import openpyxl
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import SAMPLES, SENTINELS, Ingested, finding, typed

QUANTITIES = (
    "Cruise",
    "Station",
    "Profile",
    "Sample",
    "Latitude",
    "Longitude",
    "Depth_min",
    "Depth_max",
    "Sampling_date",
    "Sampling_time",
    "Volume_analyzed",
    "Dilution",
    "ROI",
    "ESD",
    "Biovolume",
    "Area",
    "Minor_axis",
    "Major_axis",
    "Pixel",
    "Category",
    "Annotation",
    "Sampling_type",
    "Sampling_lower_size",
    "Sampling_upper_size",
)
COLUMNS = 47
VOLUME_UNITS = {
    "cubic_meter": 1.0,
    "cubic_decimeter": 1e-3,
    "liter": 1e-3,
    "cubic_centimeter": 1e-6,
    "milliliter": 1e-6,
    "microliter": 1e-9,
}
"""m3 per unit of the sheets (units_def.txt)."""
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@dataclass(frozen=True)
class Project:
    """One row of a sheet.

    Attributes
    ----------
    number : str
        Identifier of the project at its source.
    instrument : str
        As in the sheet.
    fields, units, formats : dict of str to str
        Column (or formula), unit and format of each quantity that the sheet
        fills in.
    missing : tuple of str
        Values that stand for none.
    flags, description : str
        Path of the project's flags; how samples were taken.
    place : str
        Sheet and row, for messages.
    """

    number: str
    instrument: str
    fields: dict
    units: dict
    formats: dict
    missing: tuple = ()
    flags: str = ""
    description: str = ""
    place: str = ""


def read_standardizer(path):
    """Projects of a mapping sheet.

    Parameters
    ----------
    path : str or os.PathLike
        ``.xlsx``.

    Returns
    -------
    projects : dict of str to Project
        By number.
    findings : list of dict
        Rows that cannot be used, with the column that is wrong.

    Raises
    ------
    UserError
        The file is no such sheet.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles
            sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
            rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    except Exception as error:  # openpyxl raises many kinds on files that are none
        raise UserError(
            f"{path}: the mapping sheet cannot be read ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'damaged'})."
        ) from None
    names = [str(name).strip() if name is not None else "" for name in rows[0]] if rows else []
    lost = [name for name in ("Project_ID", "Instrument", "Sample_field", "Volume_analyzed_field") if name not in names]
    if lost:
        raise UserError(
            f"{path}: column {lost[0]!r} is missing; a mapping sheet has {COLUMNS} columns from 'Project_ID' on, this has {names[:6]}."
        )
    projects, found = {}, []
    for number, cells in enumerate(rows[1:], start=2):
        row = {name: _text(cell) for name, cell in zip(names, cells, strict=False) if name}
        if not row.get("Project_ID"):
            continue
        project = _project(row, f"{path}, row {number}")
        faults = _faults(project)
        if faults:
            column, value, text = faults[0]
            found.append(
                finding(
                    "refused",
                    "mapping",
                    f"project {project.number}: {text}",
                    file=str(path),
                    row=number,
                    column=column,
                    value=value,
                )
            )
        elif project.number in projects:
            found.append(
                finding(
                    "suspicious",
                    "mapping",
                    f"project {project.number} stands twice; the first row was taken.",
                    file=str(path),
                    row=number,
                )
            )
        else:
            projects[project.number] = project
    return projects, found


def _text(cell):
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _project(row, place):
    def filled(end):
        return {
            name: row[f"{name}_{end}"]
            for name in QUANTITIES
            if row.get(f"{name}_{end}", "").lower() not in ("", "nan", "none")
        }

    missing = tuple(part.strip() for part in row.get("NA_value", "").split(";") if part.strip())
    units = {
        name: unit.removesuffix("s") if name == "Volume_analyzed" else unit for name, unit in filled("unit").items()
    }
    return Project(
        row["Project_ID"],
        row.get("Instrument", ""),
        filled("field"),
        units,
        filled("format"),
        missing,
        row.get("Flag_path", ""),
        row.get("Sampling_description", ""),
        place,
    )


def _faults(project):
    faults = []
    for name in ("Sample", "Latitude", "Longitude"):
        if name not in project.fields:
            faults.append((f"{name}_field", "", f"no column is named for {name}."))
    unit = project.units.get("Volume_analyzed")
    if "Volume_analyzed" in project.fields and unit not in VOLUME_UNITS:
        faults.append(("Volume_analyzed_unit", unit, f"volume unit {unit!r} is none of {', '.join(VOLUME_UNITS)}."))
    for name in ("Volume_analyzed", "Dilution"):
        if name in project.fields:
            try:
                _parsed(project.fields[name], project.place)
            except UserError as error:
                faults.append((f"{name}_field", project.fields[name], str(error)))
    return faults


def _parsed(text, place):
    """Formula of columns; anything but arithmetic, comparisons and .isna() is refused."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise UserError(f"{place}: {text!r} is neither a column nor a formula of columns.") from None
    for node in ast.walk(tree):
        call = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "isna"
            and not node.args
        )
        allowed = (
            ast.BinOp,
            ast.Compare,
            ast.Name,
            ast.Constant,
            ast.Load,
            ast.Attribute,
            ast.operator,
            ast.cmpop,
            ast.UnaryOp,
            ast.USub,
            ast.unaryop,
        )
        if not (call or isinstance(node, allowed)) or isinstance(node, ast.Attribute) and node.attr != "isna":
            raise UserError(
                f"{place}: {text!r} holds {ast.unparse(node)!r}; allowed are columns, numbers, + - * /, comparisons and .isna()."
            )
    return tree


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None


def evaluate(text, table, place, none=()):
    """Values of a column or a formula.

    Parameters
    ----------
    text : str
        Such as ``acq_sub_part`` or ``a/(b*1000)``; comparisons give 1 or 0.
    table : pandas.DataFrame
        Columns as text.
    place : str
        For messages.
    none : collection of float
        Numbers that stand for none.

    Returns
    -------
    numpy.ndarray
        float64; NaN where a cell is empty or no number.

    Raises
    ------
    UserError
        A column that the table does not have, or a formula with anything
        but arithmetic.
    """
    return np.broadcast_to(
        np.asarray(_value(_parsed(text, place), table, place, tuple(none)), dtype=float), (len(table),)
    ).copy()


def _value(node, table, place, none):
    if isinstance(node, ast.Name):
        if node.id not in table:
            raise UserError(f"{place}: column {node.id!r} is not in the export, which has {list(table.columns)[:20]}.")
        found = pd.to_numeric(
            table[node.id].astype(str).str.extract(r"^\s*([-+0-9.eE]+)", expand=False), errors="coerce"
        ).to_numpy(dtype=float)
        return np.where(np.isin(found, none), np.nan, found)
    if isinstance(node, ast.Constant):
        return float(node.value)
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, table, place, none)
    if isinstance(node, ast.Call):
        return np.isnan(_value(node.func.value, table, place, none))
    with np.errstate(all="ignore"):
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](
                _value(node.left, table, place, none), _value(node.right, table, place, none)
            )
        return _OPERATORS[type(node.ops[0])](
            _value(node.left, table, place, none), _value(node.comparators[0], table, place, none)
        )


def with_project(ingested, project):
    """Samples with the volume that a row of a sheet tells.

    Parameters
    ----------
    ingested : aqqua_dist.core.tables.Ingested
        Of the project's export, with ``acquisitions``.
    project : Project
        From `read_standardizer`.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        ``volume`` (m3) of a sample is the largest volume/dilution of its
        acquisitions, ``weight`` what an object of each stands for in it; a
        sample with a cell that is no number has none, and a finding.

    Raises
    ------
    UserError
        The row names no volume, or a column that the export does not have.
    """
    acquisitions = ingested.extra.get("acquisitions")
    if acquisitions is None or "Volume_analyzed" not in project.fields:
        raise UserError(
            f"{project.place}: project {project.number} names no column of the sampled volume; its volume must come from elsewhere, as EcoPart's."
        )
    none = {*SENTINELS, *(number for number in map(_number, project.missing) if number is not None)}
    volume = (
        evaluate(project.fields["Volume_analyzed"], acquisitions, project.place, none)
        * VOLUME_UNITS[project.units["Volume_analyzed"]]
    )
    text = project.fields.get("Dilution", "1")
    dilution = evaluate(text, acquisitions, project.place, none)
    if text.isidentifier():
        dilution = np.where(
            dilution < 1, np.nan, dilution
        )  # a half is written 2; below 1 nobody can tell what was meant
    with np.errstate(all="ignore"):
        part = np.where((volume > 0) & (dilution > 0) & np.isfinite(volume / dilution), volume / dilution, np.nan)
    whole = acquisitions.assign(acquisition_volume=part)
    by_sample = whole.groupby("sample_id")["acquisition_volume"]
    lost = by_sample.transform(lambda values: values.isna().any())
    whole["acquisition_volume"] = whole["acquisition_volume"].mask(lost)
    largest = by_sample.transform("max").mask(lost)
    whole["weight"] = largest / whole["acquisition_volume"]
    samples = ingested.samples.set_index("sample_id")
    per_sample = largest.groupby(whole["sample_id"]).first()
    samples["volume"] = per_sample.reindex(samples.index)
    rule = pd.Series(f"PSSdb {project.instrument} {project.number}", index=samples.index)
    samples["effort_rule"] = rule.where(samples["volume"].notna())
    findings = ingested.findings
    names = sorted(set(whole.loc[lost, "sample_id"]))
    if names:
        text = f"{len(names)} samples, first {names[0]!r}, have no volume: {project.fields['Volume_analyzed']} or the dilution is empty, stands for none, or is no possible number (a dilution in a column is 1 or more)."
        findings = pd.concat(
            [findings, typed(pd.DataFrame([finding("refused", "volume", text)]), dict(findings.dtypes.astype(str)))],
            ignore_index=True,
        )
    return Ingested(
        typed(samples.reset_index(), SAMPLES),
        ingested.objects,
        ingested.counts,
        findings,
        ingested.extra | {"acquisitions": whole},
    )


def project_of(path, number):
    """One project of a sheet.

    Parameters
    ----------
    path : str or os.PathLike
        Mapping sheet.
    number : str
        Identifier of the project.

    Returns
    -------
    Project
        Its row.

    Raises
    ------
    UserError
        The sheet has no such project, or its row cannot be used.
    """
    projects, found = read_standardizer(path)
    if str(number) in projects:
        return projects[str(number)]
    why = next(
        (row["message"] for row in found if row["message"].startswith(f"project {number}:")),
        f"it has {', '.join(sorted(projects, key=str)[:15])}",
    )
    raise UserError(f"{path}: project {number!r} cannot be used; {why}")
