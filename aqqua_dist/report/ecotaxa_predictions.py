"""Predictions in the table that EcoTaxa imports."""

from pathlib import Path

import numpy as np
import pandas as pd

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import replacing
from aqqua_dist.core.statuses import status_of
from aqqua_dist.core.tables import is_unlabelled

HUMAN = ("validated", "dubious")
"""Statuses that a human gave; a prediction does not replace them."""


def export_predictions(folder, path, *, threshold=0.0):
    """What a model says of the objects of an ingest, as the table that EcoTaxa imports.

    Parameters
    ----------
    folder : str or os.PathLike
        Of an ingest: ``objects.parquet`` and, of a model's outputs,
        ``predictions.parquet``; without it objects of status ``predicted``
        are taken with their label.
    path : str or os.PathLike
        As for `write_ecotaxa_predictions`.
    threshold : float
        Least score of a prediction.

    Returns
    -------
    list of str
        What was written, and what was left out and why.

    Raises
    ------
    UserError
        No ingest, nothing to write, several models, or what
        `write_ecotaxa_predictions` refuses.
    """
    folder = Path(folder)
    if not (folder / "objects.parquet").is_file():
        raise UserError(f"{str(folder)!r} holds no objects.parquet; give the folder of an ingest.")
    if not 0 <= threshold <= 1:
        raise UserError(f"threshold {threshold!r}: the least score of a prediction lies within [0, 1].")
    table = pd.DataFrame(
        files.read_parquet(
            folder / "objects.parquet", ["object_id", "sample_id", "acquisition_id", "label", "status", "score"]
        )
    )
    human = table["status"].map(lambda word: status_of(None if pd.isna(word) else word)).isin(HUMAN).to_numpy()
    made = _predictions(folder, table)
    objects = table[["object_id", "sample_id"]].assign(
        acq_id=table["acquisition_id"].fillna("").astype(str),
        label=made["label"].to_numpy(),
        score=made["score"].to_numpy(),
    )
    none = objects["label"].map(lambda text: is_unlabelled(None if pd.isna(text) else text)).to_numpy(dtype=bool)
    low = (objects["score"].to_numpy(dtype=float) < threshold) & ~none & ~human
    notes = [
        f"{int(mark.sum())} objects are left out: {why}."
        for mark, why in (
            (human, "a human has labelled them"),
            (none & ~human, "no model says anything of them"),
            (low, f"their score is below {threshold:g}"),
        )
        if mark.any()
    ]
    objects = objects[~(human | none | low)]
    if objects.empty:
        raise UserError(f"{str(folder)!r}: 0 of {len(table)} objects have a prediction to write. {' '.join(notes)}")
    write_ecotaxa_predictions(path, _as_in_ecotaxa(folder, objects).reset_index(drop=True))
    return [f"{len(objects)} predictions are in {path}", *notes]


def _predictions(folder, table):
    """Label and score that a model gives each object."""
    if not (folder / "predictions.parquet").is_file():
        mine = table["status"].map(lambda word: status_of(None if pd.isna(word) else word)) == "predicted"
        return table[["label", "score"]].where(mine)
    found = pd.DataFrame(files.read_parquet(folder / "predictions.parquet"))
    models = found["model_id"].dropna().unique() if "model_id" in found else []
    if len(models) > 1:
        raise UserError(
            f"{folder / 'predictions.parquet'}: there are predictions of {len(models)} models ({', '.join(map(str, models[:5]))}); ingest the "
            "outputs of one at a time."
        )
    if "label" not in found:
        raise UserError(
            f"{folder / 'predictions.parquet'}: column 'label' is missing, the file has {list(found)[:12]}."
        )
    found = found.assign(object_id=found["object_id"].astype(str)).drop_duplicates("object_id").set_index("object_id")
    found = found.assign(score=np.nan) if "score" not in found else found
    return found[["label", "score"]].reindex(table["object_id"].astype(str))


def _as_in_ecotaxa(folder, objects):
    """Objects with the sample ids of their files, where samples of one name were told apart."""
    path = folder / "acquisitions.parquet"
    if not path.is_file() or "sample_id_in_file" not in files.parquet_names(path):
        return objects
    known = files.read_parquet(path).drop_duplicates("sample_id").set_index("sample_id")["sample_id_in_file"]
    own = objects["sample_id"].map(known).astype("string")
    return objects.assign(sample_id=own.where(own.fillna("") != "", objects["sample_id"]))


def write_ecotaxa_predictions(path, objects):
    """Predictions in the form that EcoTaxa imports to update objects that it holds.

    Parameters
    ----------
    path : str or os.PathLike
        File to write; its name must begin with ``ecotaxa`` and end in
        ``.tsv``, or EcoTaxa does not see it.
    objects : pandas.DataFrame
        Columns ``object_id, sample_id, acq_id, label`` and optionally
        ``score`` (0 to 1), one row per object.

    Raises
    ------
    UserError
        The name is not one that EcoTaxa sees, a column or a value is
        missing, or an object stands twice in its acquisition.
    """
    name = str(path).replace("\\", "/").rpartition("/")[2]
    if not (name.startswith("ecotaxa") and name.endswith(".tsv")):
        raise UserError(f"file name {name!r} is not seen by EcoTaxa, needed is one such as 'ecotaxa_predictions.tsv'.")
    needed = ["object_id", "sample_id", "acq_id", "label"]
    missing = [column for column in needed if column not in objects]
    if missing:
        raise UserError(f"objects lack the columns {missing}, needed are {needed}.")
    for column in needed:
        bad = objects[column].isna() | objects[column].astype("string").str.contains(r"[\t\n\r]", regex=True).fillna(
            False
        )
        if bad.any():
            raise UserError(
                f"objects: row {int(np.flatnonzero(bad)[0])}: {column} is missing or holds a tab or line end; {int(bad.sum())} such rows."
            )
    twice = objects.duplicated(["sample_id", "acq_id", "object_id"])
    if twice.any():
        raise UserError(
            f"objects: {objects.loc[twice, 'object_id'].iloc[0]!r} stands more than once in its acquisition; {int(twice.sum())} such rows."
        )
    table = pd.DataFrame(
        {
            "object_id": objects["object_id"],
            "object_annotation_category": objects["label"],
            "object_annotation_status": "predicted",
            "sample_id": objects["sample_id"],
            "acq_id": objects["acq_id"],
        }
    )
    kinds = dict.fromkeys(table, "[t]")
    if "score" in objects:
        table["object_prediction_score"] = objects["score"].map(lambda score: "" if pd.isna(score) else f"{score:.6g}")
        kinds["object_prediction_score"] = "[f]"
    with replacing(path) as part:
        whole = pd.concat([pd.DataFrame([kinds]), table], ignore_index=True)
        whole.to_csv(part, sep="\t", index=False, lineterminator="\n", encoding="utf-8-sig")
