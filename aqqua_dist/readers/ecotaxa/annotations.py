"""Annotations-only exports of EcoTaxa: labels and statuses of objects that stand in other files."""

import polars as pl

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.readers.ecotaxa.cells import MISSING, Notes, statuses
from aqqua_dist.readers.ecotaxa.rows import batches, look
from aqqua_dist.readers.ecotaxa.samples import POSITION

LABEL, STATUS = "object_annotation_category", "object_annotation_status"


def is_annotations(names):
    """Whether columns are those of annotations without their objects.

    Parameters
    ----------
    names : collection of str
        Columns of a file.

    Returns
    -------
    bool
        There is a label or a status, and neither a position nor a sample or
        an acquisition.
    """
    elsewhere = any(name in POSITION or name.startswith(("sample_", "acq_", "process_")) for name in names)
    return "object_id" in names and bool({LABEL, STATUS} & set(names)) and not elsewhere


def read_annotations(source):
    """Labels of one file.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        An annotations-only export.

    Returns
    -------
    polars.DataFrame
        ``object_id, label, status, row``; ids are unique.

    Raises
    ------
    UserError
        A damaged file, an unknown status, or one object with two labels.
    """
    layout, notes = look(source), Notes(source)
    columns, parts = [name for name in ("object_id", LABEL, STATUS) if name in layout.names], []
    for first, frame in batches(layout, columns):
        rows = range(first, first + len(frame))
        label = frame[LABEL].str.strip_chars() if LABEL in columns else pl.Series([None] * len(frame), dtype=pl.String)
        label = label.set(label.str.to_lowercase().is_in(MISSING).fill_null(True), None)
        status = statuses(frame[STATUS], rows, notes) if STATUS in columns else pl.Series(["unclassified"] * len(frame))
        part = pl.DataFrame({"object_id": frame["object_id"], "label": label, "status": status, "row": rows})
        parts.append(part.filter(pl.col("object_id") != ""))
    table = pl.concat(parts) if parts else pl.DataFrame(schema=_SCHEMA)
    once = table.unique(["object_id", "label", "status"], keep="first", maintain_order=True)
    twice = once.filter(once["object_id"].is_duplicated())
    if len(twice):
        one, two = twice.filter(pl.col("object_id") == twice["object_id"][0]).head(2).iter_rows(named=True)
        raise UserError(
            f"{source}, row {two['row']}: object {two['object_id']!r} is {two['label']!r} ({two['status']}), in row {one['row']} {one['label']!r} "
            f"({one['status']}); {twice['object_id'].n_unique()} such objects, allowed is one label each."
        )
    return once


_SCHEMA = {"object_id": pl.String, "label": pl.String, "status": pl.String, "row": pl.Int64}


class Annotations:
    """Labels that are joined to objects as these pass by.

    Parameters
    ----------
    tables : list of tuple
        Source and table, from `read_annotations`.
    """

    def __init__(self, tables):
        self.sources = [source for source, _ in tables]
        whole = pl.concat([table for _, table in tables]) if tables else pl.DataFrame(schema=_SCHEMA)
        self._table = whole.unique("object_id", keep="last", maintain_order=True).drop("row")
        self._met, self._taken, self._differ = set(), 0, 0

    def joined(self, objects):
        """Objects with the label of their annotation.

        A validated annotation goes before a label that no human gave, any
        annotation before none; otherwise the object's own label stays.

        Parameters
        ----------
        objects : polars.DataFrame
            ``object_id, label, status`` and other columns.

        Returns
        -------
        polars.DataFrame
            Same rows and columns.
        """
        if not len(self._table):
            return objects
        found = objects.select("object_id", "label", "status").join(
            self._table, on="object_id", how="left", suffix="_new", maintain_order="left"
        )
        known = pl.col("label_new").is_not_null()
        better = (pl.col("status_new") == "validated") & (pl.col("status").fill_null("") != "validated")
        take = found.select(known & (pl.col("label").is_null() | better)).to_series()
        differ = known & (pl.col("label") != pl.col("label_new"))
        self._differ += int(found.select(differ.fill_null(False) & ~take).to_series().sum())
        self._taken += int(take.sum())
        self._met.update(found.filter(known)["object_id"].to_list())
        return objects.with_columns(
            label=found["label_new"].zip_with(take, found["label"]),
            status=found["status_new"].zip_with(take, found["status"]),
        )

    def findings(self):
        """What became of the annotations.

        Returns
        -------
        list of dict
            Rows of ``findings``; empty where there are none.
        """
        if not self.sources:
            return []
        left = len(self._table) - len(self._met)
        text = f"{self._taken} objects took their label from annotations; {left} of {len(self._table)} annotations are of no object here"
        text += f", {self._differ} differ from a label that was kept." if self._differ else "."
        severity = "suspicious" if left or self._differ else "repaired"
        return [finding(severity, "annotations", text, file=str(self.sources[0]))]
