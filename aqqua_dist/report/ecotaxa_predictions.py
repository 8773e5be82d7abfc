"""Predictions in the table that EcoTaxa imports."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import replacing


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
