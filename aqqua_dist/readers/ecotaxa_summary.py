"""EcoTaxa's own summary exports: numbers per sample, status and taxon that the server has added up.

Abundance is a number of images, whatever was split; concentration and biovolume
follow formulas that the user of the server typed, in the units that these gave
(github.com/ecotaxa/ecotaxa_back, cb44b190). The rows of all statuses stand side
by side, so that their sum is none. They are kept as the server wrote them, in a
table of their own, and are never added to objects or counts.
"""

import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.statuses import status_of
from aqqua_dist.core.tables import FINDINGS, SAMPLES, Ingested, finding, typed
from aqqua_dist.readers.ecotaxa.rows import header
from aqqua_dist.readers.set_aside import read_each
from aqqua_dist.readers.sources import encoding_of

QUANTITIES = {
    "count": ("abundance", "1"),
    "nbr": ("abundance", "1"),
    "concentration": ("concentration", "m-3"),
    "biovolume": ("biovolume", "mm3 m-3"),
}
"""Quantity and unit by the name of the column of numbers; the two last hold where the user's formula was in m3 and mm."""
NAMES = {
    "sampleid": "sample_id",
    "sample_id": "sample_id",
    "acquisid": "acquisition_id",
    "status": "status",
    "taxonid": "taxon",
    "display_name": "taxon",
    "latitude": "lat",
    "longitude": "lon",
    "date": "time",
}
SUMMARIES = {
    "sample_id": "string",
    "acquisition_id": "string",
    "status": "string",
    "taxon": "string",
    "quantity": "string",
    "value": "float64",
    "unit": "string",
    "aggregated_by": "string",
    "source": "string",
}
"""Columns of ``summaries``."""
ENDINGS = (".tsv", ".txt", ".csv")


def recognises(source):
    """Whether a file is a summary of EcoTaxa.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Judged by its header.

    Returns
    -------
    bool
    """
    if not source.name.lower().endswith(ENDINGS):
        return False
    names = set(header(source))
    return len(names & set(QUANTITIES)) == 1 and (
        {"sampleid", "status", "taxonid"} <= names or {"sample_id", "display_name", "nbr"} <= names
    )


def read_summaries(sources):
    """Tables of summary exports.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Files, of abundance, concentration or biovolume.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        ``samples`` with what the file tells of them (old summaries have
        position and date, others only the name) and no volume;
        ``extra['summaries']`` has the numbers (`SUMMARIES`) by sample,
        acquisition, status and taxon. There are no objects and no counts.

    Raises
    ------
    UserError
        No file can be read: the first that has a number that is none, an
        unknown status, or a row that stands twice.
    """
    findings = []
    tables = [table for _, table in read_each(sources, lambda source: _read(source, findings), findings)]
    rows = pd.concat(tables, ignore_index=True)
    place = [name for name in ("lat", "lon", "time") if name in rows]
    samples = rows.groupby("sample_id", sort=False)[place].first().reset_index() if place else rows[["sample_id"]]
    samples = samples.drop_duplicates("sample_id").assign(flags="already aggregated by EcoTaxa")
    samples["source"] = samples["sample_id"].map(rows.groupby("sample_id")["source"].first())
    for (quantity, unit), part in rows.groupby(["quantity", "unit"], sort=False):
        words = ", ".join(
            f"{n} {status}"
            for status, n in part.get("status", pd.Series(pd.NA, index=part.index))
            .fillna("without a status")
            .value_counts()
            .items()
        )
        told = (
            "images, whatever was split"
            if quantity == "abundance"
            else f"in {unit} only if the formulas typed on the server were in m3 and mm, which the file does not tell"
        )
        text = (
            f"{len(part)} numbers of {quantity} ({words}) were added up by EcoTaxa: {told}. They stand in the table summaries and are added to "
            "no objects and no counts."
        )
        findings.append(finding("suspicious", "aggregated", text, file=part["source"].iloc[0], value=quantity))
    return Ingested(
        typed(samples, SAMPLES),
        findings=typed(pd.DataFrame(findings), FINDINGS),
        extra={"summaries": typed(rows, SUMMARIES)},
    )


def _read(source, findings):
    with source.open() as stream:
        encoding = encoding_of(stream)
    with source.open() as stream:
        try:
            cells = pd.read_csv(
                stream, sep="\t", dtype="string", encoding=encoding, keep_default_na=False, na_values=[""]
            )
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
            raise UserError(f"{source}: the table cannot be read ({str(error).splitlines()[0]}).") from None
    column = next(name for name in cells if name in QUANTITIES)
    quantity, unit = QUANTITIES[column]
    rows = cells.rename(columns=NAMES)[[NAMES[name] for name in cells if name in NAMES]]
    rows = rows.assign(quantity=quantity, unit=unit, source=str(source))
    rows["value"] = pd.to_numeric(cells[column].str.replace(",", ".", regex=False), errors="coerce").astype("float64")
    unread = rows["value"].isna() & cells[column].notna() & ~cells[column].str.lower().isin(["nan", "na"]).fillna(False)
    for bad, what in ((unread, "is not a number"), (rows["value"] < 0, "is below 0")):
        if bad.any():
            row = int(bad.idxmax())
            raise UserError(f"{source}, row {row + 2}, column {column!r}: {cells[column][row]!r} {what}.")
    if rows["value"].isna().any():
        row = int(rows["value"].isna().idxmax())
        text = f"{int(rows['value'].isna().sum())} numbers of {quantity} are missing: EcoTaxa writes none where the size of one object is unknown."
        findings.append(finding("suspicious", "missing", text, file=str(source), row=row + 2, column=column))
    for name in ("sample_id", "taxon"):
        if rows[name].isna().any():
            raise UserError(
                f"{source}, row {int(rows[name].isna().idxmax()) + 2}: the name of the {name} is {None!r}, each row needs one."
            )
    if "status" in rows:
        rows["status"] = _statuses(rows["status"], source)
    keys = [name for name in ("sample_id", "acquisition_id", "status", "taxon") if name in rows]
    twice = rows.duplicated(keys)
    if twice.any():
        row = int(twice.idxmax())
        raise UserError(f"{source}, row {row + 2}: {rows.loc[row, keys].tolist()} stands twice, allowed is once.")
    for name in {"lat", "lon"} & set(rows):
        rows[name] = pd.to_numeric(rows[name].str.replace(",", ".", regex=False), errors="coerce")
    if "time" in rows:
        rows["time"] = pd.to_datetime(rows["time"], errors="coerce", utc=True)
    return rows.assign(aggregated_by="EcoTaxa")


def _statuses(letters, source):
    """Words of the statuses; an empty cell is an object that nobody has classified."""
    known = {letter: status_of(letter) for letter in letters.dropna().unique()}
    for letter, word in known.items():
        if word is None:
            row = int((letters == letter).idxmax())
            raise UserError(
                f"{source}, row {row + 2}, column 'status': {letter!r} is none of V, P, D and an empty cell."
            )
    return letters.map(known).astype("string").fillna("unclassified")
