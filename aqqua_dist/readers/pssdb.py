"""Mapping sheets of PSSdb: which column of a project is what, in which unit, and how its volume follows.

One file per instrument (``project_<instrument>_standardizer.xlsx``, 47
columns), one row per project of EcoTaxa or EcoPart (github.com/jessluo/PSSdb,
21d24d6); that of UVP has several worksheets, and EcoTaxa and EcoPart number
their projects each for itself, so that a number alone may be two projects. What one object adds to a concentration is dilution / volume; the
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
NEEDED = ("Project_ID", "Instrument", "Sample_field", "Volume_analyzed_field")
"""Columns that make a worksheet a mapping."""


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
    worksheet : str
        Name of the worksheet.
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
    worksheet: str = ""


def read_standardizer(path):
    """Projects of a mapping sheet.

    Parameters
    ----------
    path : str or os.PathLike
        ``.xlsx``; every worksheet with the columns of a mapping is read.

    Returns
    -------
    projects : dict of str to Project
        By number; where worksheets differ in what they say of a number, by
        ``worksheet:number``.
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
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            sheets = {
                sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets
            }
    except Exception as error:  # openpyxl raises many kinds on files that are none
        raise UserError(
            f"{path}: the mapping sheet cannot be read ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'damaged'})."
        ) from None
    headers = {title: _header(rows) for title, rows in sheets.items()}
    mine = [title for title, names in headers.items() if not set(NEEDED) - set(names)]
    if not mine:
        names = next(iter(headers.values()), [])
        lost = next((name for name in NEEDED if name not in names), NEEDED[0])
        raise UserError(
            f"{path}: column {lost!r} is missing; a mapping sheet has {COLUMNS} columns from 'Project_ID' on, this has {names[:6]}."
        )
    found, held = [], {}
    for title in mine:
        place = f"{path}, worksheet {title!r}" if len(mine) > 1 else str(path)
        for number, project in _projects(sheets[title][1:], headers[title], place, title, found).items():
            held.setdefault(number, []).append(project)
    projects = {}
    for number, several in held.items():
        if all(_said(project) == _said(several[0]) for project in several):
            projects[number] = several[0]
        else:
            projects |= {f"{project.worksheet}:{number}": project for project in several}
    return projects, found


def _said(project):
    """What a row says, wherever it stands."""
    return project.instrument, project.fields, project.units, project.formats, project.missing


def _header(rows):
    return [str(name).strip() if name is not None else "" for name in rows[0]] if rows else []


def _projects(rows, names, place, worksheet, found):
    """Projects of one worksheet by number."""
    projects = {}
    for number, cells in enumerate(rows, start=2):
        row = {name: _text(cell) for name, cell in zip(names, cells, strict=False) if name}
        if not row.get("Project_ID"):
            continue
        project = _project(row, f"{place}, row {number}", worksheet)
        faults = _faults(project)
        where = {"file": place, "row": number}
        if faults:
            column, value, text = faults[0]
            text = f"project {project.number}: {text}"
            found.append(finding("refused", "mapping", text, column=column, value=value, **where))
        elif project.number in projects:
            text = f"project {project.number} stands twice; the first row was taken."
            found.append(finding("suspicious", "mapping", text, **where))
        else:
            projects[project.number] = project
    return projects


def _text(cell):
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _project(row, place, worksheet):
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
        worksheet,
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
        Identifier of the project, or ``worksheet:number``.

    Returns
    -------
    Project
        Its row.

    Raises
    ------
    UserError
        The sheet has no such project, its row cannot be used, or worksheets
        differ in what they say of it.
    """
    projects, found = read_standardizer(path)
    if str(number) in projects:
        return projects[str(number)]
    sheet, _, plain = str(number).rpartition(":")
    if plain in projects and projects[plain].worksheet == sheet:
        return projects[plain]
    if several := [key for key in projects if key.endswith(f":{number}")]:
        raise UserError(
            f"{path}: project {number!r} stands in {len(several)} worksheets that differ; say which, allowed are {', '.join(several)}."
        )
    why = next(
        (row["message"] for row in found if row["message"].startswith(f"project {number}:")),
        f"it has {', '.join(sorted(projects, key=str)[:15])}",
    )
    raise UserError(f"{path}: project {number!r} cannot be used; {why}")
