"""Stage scores: one tidy table of the scores of all targets."""

import pandas as pd

from aqqua_dist.core.files import read_parquet, write_csv, write_parquet
from aqqua_dist.stages.base import Outcome, Stage

COLUMNS = ["target", "taxon", "zone", "scheme", "fold", "metric", "value"]


def run(work):
    """Write ``fit/scores.parquet`` and ``fit/scores.csv``.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        Files.
    """
    parts = [read_parquet(work.folder / t.key / "scores.parquet").assign(target=t.key) for t in work.targets]
    table = pd.concat(parts, ignore_index=True)
    table = table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]
    written = [work.folder / "scores.parquet", work.folder / "scores.csv"]
    write_parquet(table, written[0], work.origin)
    write_csv(table, written[1], work.origin)
    return Outcome([*written, work.folder / "scores.csv-metadata.json"])


STAGE = Stage("scores", run, needs=("fit",), folder="fit")
