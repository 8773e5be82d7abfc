"""Training rows of one target among those of a study, and the hash of their content."""

import hashlib

import pandas as pd


def rows_of(training, target):
    """Training rows of one target.

    Parameters
    ----------
    training : pandas.DataFrame
        Rows of all targets.
    target : aqqua_dist.recipe.context.Target
        Taxon and zone.

    Returns
    -------
    pandas.DataFrame
        Numbered from 0.
    """
    return training[(training["taxon"] == target.taxon) & (training["zone"] == target.zone)].reset_index(drop=True)


def digest(rows):
    """Hash of the content of some rows.

    Parameters
    ----------
    rows : pandas.DataFrame
        Values, names and kinds of the columns, and the order of both count.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    kinds = repr([(str(name), str(kind)) for name, kind in rows.dtypes.items()])
    values = pd.util.hash_pandas_object(rows, index=False).to_numpy()
    return hashlib.sha256(kinds.encode() + values.tobytes()).hexdigest()
