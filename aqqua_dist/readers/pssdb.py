"""Mapping sheets of PSSdb: which column of a project is what, in which unit, and how its volume follows.

One sheet per instrument (``project_<instrument>_standardizer.xlsx``, 47
columns), one row per project of EcoTaxa or EcoPart (github.com/jessluo/PSSdb,
21d24d6). What one object adds to a concentration is dilution / volume; the
dilution is a column or a formula of columns. The volumes themselves are made by
`aqqua_dist.effort.volumes.with_project`.
"""

import warnings
from dataclasses import dataclass

import openpyxl

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.effort.formulas import VOLUME_UNITS, parsed

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
                parsed(project.fields[name], project.place)
            except UserError as error:
                faults.append((f"{name}_field", project.fields[name], str(error)))
    return faults


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
