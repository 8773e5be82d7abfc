"""Response of each target to each predictor (partial dependence)."""

import sys
from pathlib import Path

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.run_folder import targets
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.plots import curves

CAPTION = (
    "Partial dependence: the prediction averaged over training rows in which one predictor is set to the value on the axis. Line: the "
    "estimate (the fit to all rows; of fold models their mean); band: 2.5–97.5 % of the members. Marks above the axis: deciles of the training rows."
)


def draw(run):
    """Response curves of every target of a run.

    Parameters
    ----------
    run : pathlib.Path
        Folder of the run.

    Returns
    -------
    list of tuple of (str, matplotlib.figure.Figure)
        ``response_curves_<target>`` and its figure.
    """
    fitted, figures = [target for target in targets(run) if target.table("responses")], []
    if not fitted:
        raise UserError(
            f"{str(run)!r} holds {len(fitted)} tables of responses, at least 1 is needed; run the stage fit."
        )
    about = quantity(files.read_parquet(run / "budget" / "budget.parquet")["quantity"].iloc[0])
    for target in fitted:
        figure = curves.response_curves(
            files.read_parquet(target.table("responses")),
            label=curves.axis_text(about.long_name, about.units),
            rug=files.read_parquet(target.table("training")),
            caption=CAPTION,
            title=f"{curves.name_text(target.taxon)}, {curves.name_text(target.zone)}: response to each predictor",
        )
        figures.append((f"response_curves_{target.key}", figure))
    return figures


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    origin = files.read_provenance(folder / "budget" / "budget.parquet")
    for stem, figure in draw(folder):
        files.write_png(figure, folder / "figures" / f"{stem}.png", origin)
