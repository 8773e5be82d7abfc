"""From labelled images to counts of taxa per sample."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import COUNTS, STATUSES, typed


def label_counts(tally, acquisitions=None, *, statuses=("validated",)):
    """Number of objects per sample and label.

    Parameters
    ----------
    tally : pandas.DataFrame
        ``sample_id, acquisition_id, label, status, n`` and, where known,
        ``biovolume`` (mm3), as an ingest keeps it.
    acquisitions : pandas.DataFrame, optional
        ``sample_id, acquisition_id, weight``: what one object of an
        acquisition stands for in its sample.
    statuses : sequence of str
        Of `aqqua_dist.core.tables.STATUSES`, those that are counted.
        Predicted labels carry the errors of their classifier;
        `aqqua_dist.counts.correction` corrects for them.

    Returns
    -------
    pandas.DataFrame
        Columns of `aqqua_dist.core.tables.COUNTS`, ``taxon`` the label
        and ``method`` the statuses, one row per weight.

    Raises
    ------
    UserError
        An unknown status.
    """
    unknown = sorted(set(statuses) - set(STATUSES))
    if unknown or not statuses:
        raise UserError(f"statuses {list(statuses)} to count: allowed are one or more of {STATUSES}.")
    kept = tally[tally["status"].isin(statuses)].dropna(subset="label")
    weight = 1.0
    if acquisitions is not None and "weight" in acquisitions:
        keys = ["sample_id", "acquisition_id"]
        weights = acquisitions.drop_duplicates(keys).set_index(keys)["weight"]
        index = pd.MultiIndex.from_arrays(
            [kept["sample_id"].fillna("").astype(str), kept["acquisition_id"].fillna("").astype(str)]
        )
        weight = weights.reindex(index).fillna(1.0).to_numpy(dtype=float)
    known = kept["biovolume"] if "biovolume" in kept else np.nan
    grouped = kept.assign(weight=weight, biovolume=known, unknown=pd.isna(known)).groupby(
        ["sample_id", "label", "weight"], sort=True
    )
    table = grouped.agg(n=("n", "sum"), biovolume=("biovolume", "sum"), unknown=("unknown", "any")).reset_index()
    table["biovolume"] = table["biovolume"].mask(table["unknown"])
    return typed(table.rename(columns={"label": "taxon"}).assign(method="+".join(statuses)), COUNTS)
