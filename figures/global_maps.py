"""Maps of each target: best estimate, coefficient of variation, extrapolation."""

import sys
from pathlib import Path

import xarray as xr

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.run_folder import targets
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.plots import curves, style, world_map


def estimate_name(dataset):
    """Name of the quantity that a map file holds."""
    return next(n for n in dataset if f"{n}_sd" in dataset and not n.endswith("_annual"))


def panel_fields(dataset):
    """What a map panel shows, from a map file; an annual mean where it is monthly."""
    name = estimate_name(dataset)
    shown = f"{name}_annual" if f"{name}_annual" in dataset else name
    flat = dataset.reset_coords().squeeze()
    estimate, spread = flat[shown], flat[f"{shown}_sd"]
    signed = quantity(name).signed  # no percent of it
    fields = xr.Dataset(
        {
            "estimate": estimate,
            **({"sd": spread} if signed else {"cv": 100 * (spread / estimate.where(estimate > 0))}),
            "dissimilarity_index": flat["dissimilarity_index"],
            "outside": 1 - flat["applicability"].where(flat[name].notnull()),
        }
    )
    return name, fields.mean([dim for dim in fields.dims if dim not in ("lat", "lon")], skipna=True)


def caption_of(dataset):
    """What estimate, spread and hatching are."""
    about, signed = dataset.attrs, quantity(estimate_name(dataset)).signed
    monthly = "time" in dataset.sizes or "month" in dataset.sizes
    return (
        f"a, estimate: {about.get('estimate', 'not recorded')}{', mean of the months' if monthly else ''}. "
        f"b, standard deviation of the members{'' if signed else ' divided by a'}; members: {about.get('member_scheme', 'not recorded')}. "
        f"c, dissimilarity of the predictors to those of the training rows{', mean of the months' if monthly else ''}. "
        f"Hatched: outside the area of applicability{' in more than half of the months' if monthly else ''}. Equal-area projection."
    )


def draw(run):
    """Maps of every target of a run.

    Parameters
    ----------
    run : pathlib.Path
        Folder of the run.

    Returns
    -------
    list of tuple of (str, matplotlib.figure.Figure)
        ``maps_<target>`` and its figure.
    """
    mapped, figures = [target for target in targets(run) if target.map], []
    if not mapped:
        raise UserError(f"{str(run)!r} holds {len(mapped)} maps, at least 1 is needed; run the stage map.")
    for target in mapped:
        dataset = files.read_netcdf(target.map)
        name, fields = panel_fields(dataset)
        about, rows = dataset[name].attrs, target.table("predictions")
        depths = f"{float(dataset['zone_top'].item()):g}–{float(dataset['zone_bottom'].item()):g} m"
        figure = world_map.map_panel(
            fields,
            label=style.axis_text(about.get("long_name", name), about["units"]),
            caption=caption_of(dataset),
            title=f"{curves.name_text(dataset['taxon'].item())}, {depths}: {about.get('long_name', name)}",
            sites=files.read_parquet(rows) if rows else None,
        )
        figures.append((f"maps_{target.key}", figure))
    return figures


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    origin = files.read_provenance(folder / "budget" / "budget.parquet")
    for stem, figure in draw(folder):
        files.write_png(figure, folder / "figures" / f"{stem}.png", origin)
