"""Published numbers beside ours, from files made by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from aqqua_dist.core import files, grid
from aqqua_dist.core.paths import find_recipe
from aqqua_dist.recipe.context import Context, provenance
from aqqua_dist.recipe.recipe import parse
from aqqua_dist.stages import compare
from aqqua_dist.stages.listing import write_listing

TEXT = """\
study: hand
title: Made by hand
zones:
  - {name: 0-200, top: 0, bottom: 200}
grid: {resolution: 30}
observations: {kind: table, path: rows.csv, quantity: carbon_biomass, units: mg m-3, columns: {y: y, taxon: taxon}}
predictors: {kind: layers, names: [temperature]}
model:
  published:
    - {taxon: one, zone: 0-200, learning_rate: 0.1, max_depth: 4, min_child_weight: 3, rounds: 200}
members: {scheme: folds, test_fraction: 0.2}
published:
  - {taxon: one, zone: 0-200, statistic: stock, value: 0.5, units: Pg C, source: A 2020}
  - {taxon: one, zone: 0-200, statistic: stock_sum_cell_sd, value: 0.2, units: Pg C, source: A 2020}
  - {taxon: one, zone: 0-200, statistic: r2_correl, value: 60, units: "%", source: A 2020}
  - {taxon: one, zone: 0-200, statistic: rmse_scaled, value: 10, units: "1", source: A 2020}
  - {taxon: other, zone: 0-200, statistic: stock, value: 9, units: Pg C, source: A 2020}
published_maps:
  - {taxon: one, zone: 0-200, path: map.csv, column: mean, source: A 2020}
"""
KEY = "one_0-200-827b87f0"


@pytest.fixture
def context(tmp_path):
    found = Context(parse(TEXT), TEXT, tmp_path, tmp_path / "run", 1, False)
    origin = provenance(found, "budget", "0" * 32)
    budget = pd.DataFrame(
        {
            "taxon": "one",
            "zone": "0-200",
            "region_set": ["global", "basin"],
            "region": ["global", "arctic_ocean"],
            "estimate": [0.55, 0.1],
            "low": [0.4, 0.0],
            "high": [0.8, 0.2],
            "sum_cell_sd": [0.19, 0.1],
            "units": "Pg C",
        }
    )
    files.write_parquet(budget, found.out / "budget" / "budget.parquet", origin)
    files.write_json({"key": "0" * 32, "files": {}}, found.out / "budget" / "budget.done.json", origin)
    folder = found.out / "fit" / KEY
    scores = pd.DataFrame(
        {
            "scheme": "test",
            "metric": ["r2_correl"] * 3 + ["rmse_scaled"] * 3,
            "fold": [0, 1, 2] * 2,
            "value": [0.5, 0.6, 0.7, 8, 9, 13],
        }
    )
    noise = scores.assign(scheme="random", value=-1.0)
    files.write_parquet(pd.concat([scores, noise]), folder / "scores.parquet", origin)
    files.write_json(
        {"learning_rate": 0.075, "max_depth": 4, "min_child_weight": 3, "n_rounds": 210},
        folder / "settings.json",
        origin,
    )
    lat, lon = grid.regular_grid(30)
    field = np.random.default_rng(0).random((lat.size, lon.size))
    field[0] = np.nan
    ours = xr.Dataset(
        {"carbon_biomass": (("taxon", "zone", "lat", "lon"), field[None, None])}, coords={"lat": lat, "lon": lon}
    )
    files.write_netcdf(ours, found.out / "map" / f"{KEY}.nc", origin)
    one = {"taxon": "one", "zone": "0-200", "key": KEY, "state": "done", "keys": {}, "files": [f"map/{KEY}.nc"]}
    write_listing(found, [one])
    y, x = np.meshgrid(lat, lon, indexing="ij")
    published = pd.DataFrame({"lat": y.ravel(), "lon": x.ravel(), "mean": 2 * field.ravel() + 1}).sample(
        frac=1, random_state=1
    )
    published.to_csv(tmp_path / "map.csv", index=False)
    return found


def test_numbers_by_hand(context):
    table = compare.compare(context).set_index("statistic")
    assert set(table["taxon"]) == {"one"}  # the other taxon was not mapped
    assert table.loc["stock", ["published", "ours", "low", "high"]].tolist() == [0.5, 0.55, 0.4, 0.8]
    assert table.loc["stock", "difference_percent"] == pytest.approx(10)
    assert table.loc["stock_sum_cell_sd", "ours"] == 0.19
    assert table.loc["r2_correl", "ours"] == pytest.approx(60)
    assert table.loc["r2_correl", ["low", "high"]].tolist() == pytest.approx([50.5, 69.5])
    assert table.loc["rmse_scaled", "ours"] == pytest.approx(10)
    assert table.loc["rounds", ["published", "ours"]].tolist() == [200, 210]
    assert table.loc["learning_rate", "difference_percent"] == pytest.approx(-25)
    assert table.loc["map_correlation", "ours"] == pytest.approx(
        1
    )  # a straight line of the same field, rows in another order
    pd.testing.assert_frame_equal(pd.read_csv(context.out / "compare.csv"), table.reset_index()[compare.COLUMNS])


def test_text_has_a_line_per_number(context):
    text = compare.as_text(compare.compare(context))
    assert len(text.splitlines()) == 1 + 4 + 4 + 1
    assert "0.4 to 0.8" in text
    assert "+10.0" in text
    assert (
        compare.as_text(compare.compare(context).iloc[:0])
        == "The recipe names no published number for the targets of this run."
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("drago2022", "model stability, not a confidence interval"),
        ("demo", "log-normal 95 % interval around the fit to all rows, from members that draw cruises, widened by 1.5"),
    ],
)
def test_what_a_range_means_is_said(name, shown):
    assert shown in compare.meaning(parse(find_recipe(name).read_text()))


def test_a_published_number_is_converted_to_the_unit_of_ours(context):
    """500 Tg C are 0.5 Pg C, and so are 0.5 Gt C; 0.6 is 60 %."""
    text = TEXT.replace("value: 0.5, units: Pg C", "value: 500, units: Tg C")
    text = text.replace("value: 0.2, units: Pg C", "value: 0.2, units: Gt C")
    text = text.replace('value: 60, units: "%"', 'value: 0.6, units: "1"')
    table = compare.compare(replace(context, recipe=parse(text), text=text)).set_index("statistic")
    assert table.loc["stock", "published"] == pytest.approx(0.5)
    assert table.loc["stock", "units"] == "Pg C"
    assert table.loc["stock", "difference_percent"] == pytest.approx(10)
    assert table.loc["stock_sum_cell_sd", ["published", "ours"]].tolist() == pytest.approx([0.2, 0.19])
    assert table.loc["r2_correl", ["published", "ours"]].tolist() == pytest.approx([0.6, 0.6])
