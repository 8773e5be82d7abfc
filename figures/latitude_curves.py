"""Mean concentration against latitude with its interval, one figure per zone."""

import sys
from pathlib import Path

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.names import zone_key
from aqqua_dist.core.run_folder import targets
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.plots import curves

PAGE = 12  # panels of one figure
KEYS = ["taxon", "zone", "region_set", "region"]


def members_text(run):
    """What the members of the maps are."""
    maps = [target.map for target in targets(run) if target.map]
    scheme = files.read_netcdf(maps[0]).attrs.get("member_scheme") if maps else None
    return f" Members: {scheme}." if scheme else ""


def draw(run):
    """Latitude curves of every taxon of a run.

    Parameters
    ----------
    run : pathlib.Path
        Folder of the run.

    Returns
    -------
    list of tuple of (str, matplotlib.figure.Figure)
        ``latitude_curves_<zone>``, with ``_<page>`` where there are more than
        12 taxa, and its figure.
    """
    budget, figures = files.read_parquet(run / "budget" / "budget.parquet"), []
    budget = budget[budget["region_set"] == "latitude"]
    if budget.empty:
        raise UserError(f"the budget of {str(run)!r} holds {len(budget)} latitude bands, at least 1 is needed.")
    truth = run / "budget" / "truth.parquet"
    if truth.exists():
        budget = budget.merge(files.read_parquet(truth)[[*KEYS, "total"]], on=KEYS, how="left")
    about = quantity(budget["quantity"].iloc[0])
    table = curves.regional_means(budget, about)
    divided = f"Stock of each band divided by its {about.stock.measure}. " if about.stock.measure != "mean" else ""
    caption = f"{divided}{curves.interval_text(budget)[1]}{members_text(run)}"
    for zone, rows in table.groupby("zone", sort=False):
        taxa = list(dict.fromkeys(rows["taxon"]))
        pages = [taxa[first : first + PAGE] for first in range(0, len(taxa), PAGE)]
        for number, page in enumerate(pages, start=1):
            place = f" (page {number} of {len(pages)})" if len(pages) > 1 else ""
            figure = curves.latitude_curves(
                rows[rows["taxon"].isin(page)],
                label=curves.axis_text(about.long_name, about.units),
                caption=caption,
                title=f"{curves.name_text(zone)}: {about.long_name} against latitude{place}",
            )
            name = f"latitude_curves_{zone_key(zone)}"
            figures.append((name + (f"_{number}" if len(pages) > 1 else ""), figure))
    return figures


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    origin = files.read_provenance(folder / "budget" / "budget.parquet")
    for stem, figure in draw(folder):
        files.write_png(figure, folder / "figures" / f"{stem}.png", origin)
