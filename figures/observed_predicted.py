"""Observed against predicted of each target, one panel per validation scheme."""

import sys
from pathlib import Path

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.run_folder import targets
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.plots import curves

CAPTION = (
    "Each point is a row of observations that the model had not seen. Dashed line: equality. R² is the coefficient of determination, "
    "r² the squared correlation, over all rows of a panel."
)
NEAR_ZERO = " Axes are linear between zero and the lowest power of ten."


def quantity_of(run):
    """Quantity of the run: that of its budget."""
    return quantity(files.read_parquet(run / "budget" / "budget.parquet")["quantity"].iloc[0])


def draw(run):
    """Observed against predicted of every target of a run.

    Parameters
    ----------
    run : pathlib.Path
        Folder of the run.

    Returns
    -------
    list of tuple of (str, matplotlib.figure.Figure)
        ``observed_predicted_<target>`` and its figure.
    """
    fitted, about, figures = [t for t in targets(run) if t.table("predictions")], quantity_of(run), []
    if not fitted:
        raise UserError(
            f"{str(run)!r} holds {len(fitted)} tables of predictions, at least 1 is needed; run the stage fit."
        )
    for target in fitted:
        table = files.read_parquet(target.table("predictions"))
        title = f"{curves.name_text(target.taxon)}, {curves.name_text(target.zone)}: observed against predicted"
        figure = curves.observed_predicted(
            table,
            label=curves.axis_text(about.long_name, about.units),
            title=title,
            caption=CAPTION + ("" if table[["observed", "predicted"]].to_numpy().min() < 0 else NEAR_ZERO),
        )
        figures.append((f"observed_predicted_{target.key}", figure))
    return figures


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    origin = files.read_provenance(folder / "budget" / "budget.parquet")
    for stem, figure in draw(folder):
        files.write_png(figure, folder / "figures" / f"{stem}.png", origin)
