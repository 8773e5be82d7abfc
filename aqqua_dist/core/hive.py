"""What the folders of a partitioned table tell: ``sample_id=s1/part.parquet``."""

from pathlib import PurePosixPath
from urllib.parse import unquote

NONE = "__HIVE_DEFAULT_PARTITION__"
"""Word for a missing value."""


def folder_values(path):
    """Values that the folders of a file tell.

    Parameters
    ----------
    path : str
        Place of the file, with ``/`` between folders.

    Returns
    -------
    dict of str to str
        By column; empty where no folder is of the form ``column=value``.
    """
    pairs = [unquote(part).partition("=") for part in PurePosixPath(path).parent.parts if "=" in part]
    return {key: value for key, _, value in pairs if key and value != NONE}
