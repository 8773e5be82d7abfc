"""Grid tables that are sea, rows that are told, and what `check` finds before anything is computed."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.core import files, grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.environment import catalogue, harmonise
from aqqua_dist.maps import prediction

RECIPE = """\
study: tiny
title: A tiny study
zones:
  - {name: 0-200, top: 0, bottom: 200}
grid: {resolution: 5, clip_at_sea_floor: false}
observations:
  kind: table
  path: rows.csv
  columns: {y: biomass, taxon: taxon, lat: lat, lon: lon}
  quantity: carbon_biomass
  units: mg m-3
predictors:
  kind: table
  path: grid.csv
  names: {temperature: sst, salinity: sal}
model: {objective: "count:poisson", rounds: 8, learning_rate: 0.3}
members: {scheme: cruise_bootstrap, n: 3}
validation: {folds: 3, block_size: 20}
figures: []
"""
LAT, LON = grid.regular_grid(5)
FLOOR = harmonise.interpolate(catalogue.load_layer("bathymetry"), LAT, LON).to_numpy()


def globe():
    """One row per cell of the globe, predictors empty on land, as `to_dataframe().to_csv()` writes it."""
    lat, lon = (axis.ravel() for axis in np.meshgrid(LAT, LON, indexing="ij"))
    table = pd.DataFrame({"lat": lat, "lon": lon, "sst": 28 - 0.3 * np.abs(lat), "sal": 34 + np.cos(np.radians(lon))})
    table["floor"] = FLOOR.ravel()
    table.loc[table["floor"].isna(), ["sst", "sal"]] = np.nan
    return table


def observed():
    rows = globe().dropna().sample(120, random_state=1).reset_index(drop=True)
    y = np.random.default_rng(2).poisson(rows["sst"]) / 10
    return rows.assign(taxon="Copepoda", biomass=y)


class Study:
    """A small study in a folder; parts can be changed before it runs."""

    def __init__(self, folder):
        self.folder, self.text, self.rows, self.grid = folder, RECIPE, observed(), globe()

    def run(self, verb="run", *options):
        self.folder.mkdir(exist_ok=True)
        (self.folder / "tiny.yaml").write_text(self.text)
        self.rows.to_csv(self.folder / "rows.csv", index=False)
        if isinstance(self.grid, pd.DataFrame):
            self.grid.to_csv(self.folder / "grid.csv", index=False)
        runs = ["--runs", str(self.folder / "runs"), "--quiet"]
        return CliRunner().invoke(main, [verb, str(self.folder / "tiny.yaml"), *runs, *options])

    def done(self, *options):
        outcome = self.run("run", *options)
        assert outcome.exit_code == 0, outcome.output
        return self

    def refused(self, verb="check"):
        outcome = self.run(verb)
        assert outcome.exit_code == 2, outcome.output
        assert "Traceback" not in outcome.output
        return outcome.output

    def stock(self):
        table = files.read_parquet(self.folder / "runs" / "tiny" / "budget" / "budget.parquet")
        return table.query("region == 'global'").iloc[0]

    def training(self):
        return files.read_parquet(self.folder / "runs" / "tiny" / "match" / "training.parquet")

    def cube(self):
        return files.read_netcdf(self.folder / "runs" / "tiny" / "cube" / "cube.nc")

    def map(self):
        return files.read_netcdf(self.folder / "runs" / "tiny" / "map" / "Copepoda_0-200.nc")

    def told(self):
        return "\n".join(files.read_json(self.folder / "runs" / "tiny" / "match" / "repairs.json")["repairs"])


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path / "a")


def sea_area():
    """Area of the cells that the embedded bathymetry has sea in (m2), summed by hand."""
    band = np.sin(np.radians(LAT + 2.5)) - np.sin(np.radians(LAT - 2.5))
    return float((6371007.2**2 * np.radians(5) * band[:, None] * np.isfinite(FLOOR)).sum())


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("bathymetry", [False, True])
def test_land_rows_change_nothing(tmp_path, clip, bathymetry):
    """Findings maps A1: four settings, each +0 to +51 % before; now land in the table or out of it is the same."""
    whole, sea = Study(tmp_path / "whole"), Study(tmp_path / "sea")
    for one in (whole, sea):
        one.text = one.text.replace("sea_floor: false", f"sea_floor: {str(clip).lower()}")
        if bathymetry:
            one.text = one.text.replace("salinity: sal", "salinity: sal, bathymetry: floor")
    sea.grid = sea.grid.dropna(subset="sst")
    first, second = whole.done().stock(), sea.done().stock()
    assert first["estimate"] == second["estimate"] > 0
    assert first["area"] == second["area"] == pytest.approx(sea_area())
    land = int(np.isnan(FLOOR).sum())
    assert f"{land} of {FLOOR.size} rows have no predictor at all; they are land and not predicted" in whole.told()
    assert "no predictor at all" not in sea.told()
    assert int(whole.map()["carbon_biomass"].notnull().sum()) == FLOOR.size - land


def test_land_rows_that_hold_one_predictor_are_land_too(tmp_path):
    """A brother: salinity filled over land, or distance to the coast, which every cell has."""
    filled, sea = Study(tmp_path / "filled"), Study(tmp_path / "sea")
    filled.grid["sal"] = filled.grid["sal"].fillna(35.0)
    sea.grid = sea.grid.dropna(subset="sst")
    assert filled.done().stock()["estimate"] == sea.done().stock()["estimate"]
    land = int(np.isnan(FLOOR).sum())
    assert f"{land} of {FLOOR.size} cells with predictors are land in the embedded bathymetry" in filled.told()


def test_the_land_mask_can_be_put_aside(study):
    study.text = study.text.replace("sea_floor: false", "sea_floor: false, land_mask: false")
    study.grid["sal"] = study.grid["sal"].fillna(35.0)
    assert study.done().stock()["area"] == pytest.approx(4 * np.pi * 6371007.2**2)


def test_gaps_of_the_sea_floor_are_filled_from_the_embedded_one(tmp_path):
    """Findings models A9: cells without a floor had volume 0, the stock was 22 % low."""
    gaps, full = Study(tmp_path / "gaps"), Study(tmp_path / "full")
    for one in (gaps, full):
        one.text = one.text.replace("sea_floor: false", "sea_floor: true").replace("sal}", "sal, bathymetry: floor}")
    north = gaps.grid["lat"] > 20
    gaps.grid.loc[north, "floor"] = np.nan
    assert gaps.done().stock()["volume"] == pytest.approx(full.done().stock()["volume"], rel=1e-5)
    filled = int((north & gaps.grid["sst"].notna()).sum())
    assert f"{filled} of " in gaps.told()
    assert "have no bathymetry; their sea floor is the embedded one" in gaps.told()


def test_a_sea_floor_that_nobody_knows_is_refused(study):
    study.text = study.text.replace("sea_floor: false", "sea_floor: true, land_mask: false")
    study.grid["sst"], study.grid["sal"] = study.grid["sst"].fillna(20.0), study.grid["sal"].fillna(35.0)
    assert "cells have no depth of the sea floor, the first at (-87.5" in study.refused()


def test_bathymetry_of_the_wrong_sign_is_named(study):
    study.text = study.text.replace("sal}", "sal, bathymetry: floor}")
    study.grid["floor"] *= -0.05
    assert "'floor' (for bathymetry) has the median -" in study.refused()


def test_a_predictor_missing_in_the_grid_only_is_outside_the_area(study):
    """Findings maps A2: the fewer is known, the more was trusted."""
    polar = study.grid["lat"].abs() > 50
    study.grid.loc[polar, "sal"] = np.nan
    study.rows = study.rows[study.rows["lat"].abs() < 50]
    study.done()
    found = study.map()
    there = found["carbon_biomass"].notnull() & (abs(found["lat"]) > 50)
    assert int(there.sum()) > 100
    assert not (found["applicability"].where(there) == 1).any()
    assert found["dissimilarity_index"].where(there).isnull().all()
    assert re.search(r"salinity is missing in \d+ of \d+ cells of zone 0-200", study.told())


def test_rows_without_a_taxon_are_told(study):
    """Findings maps A4: 50 of 150 rows left without a word."""
    study.rows.loc[:29, "taxon"] = ""
    lost = study.rows["biomass"][:30].sum() / study.rows["biomass"].sum()
    study.done()
    assert len(study.training()) == 90
    assert (
        f"30 of 120 rows (25.0%) have no taxon; they are unlabelled and left out, with {lost:.1%} of the response"
        in (study.told())
    )


def test_rows_of_no_zone_are_told(study):
    study.text = study.text.replace("lon: lon}", "lon: lon, zone: z}")
    study.rows["z"] = "0-200"
    study.rows.loc[:3, "z"], study.rows.loc[4:9, "z"] = "", "200-500"
    study.done("--stop-after", "match")
    assert "10 of 120 rows are of no zone of the recipe and left out: 200-500 (6), empty (4)" in study.told()


def test_a_blank_cruise_is_one_sentence(study):
    """Findings maps A5: check passed, run ended with a traceback."""
    study.text = study.text.replace("lon: lon}", "lon: lon, cruise: c}")
    study.rows["c"] = [f"C{k % 8}" for k in range(120)]
    study.rows.loc[[5, 9], "c"] = ""
    assert re.search(r"rows.csv: row 7, column 'c': empty, .* 2 such rows", study.refused())
    study.rows.loc[[5, 9], "biomass"] = np.nan  # what stands beside a missing response is not judged
    study.done("--stop-after", "match")


def test_a_volume_beside_a_missing_response_is_not_judged(study):
    study.text = study.text.replace("lon: lon}", "lon: lon, effort: v, month: m}")
    study.rows = study.rows.assign(v=1.0, m=5)
    study.rows.loc[:1, ["biomass", "v", "m"]] = [np.nan, 0.0, np.nan]
    study.done("--stop-after", "match")
    assert len(study.training()) == 118


@pytest.mark.parametrize("written", ["[104241]", "['104241']"])
@pytest.mark.parametrize("kind", [int, float])
def test_identifiers_are_taxa(study, written, kind):
    study.text += f"taxa: {written}\n"
    study.rows["taxon"] = np.full(120, 104241, dtype=kind)
    study.done("--stop-after", "match")
    assert set(study.training()["taxon"]) == {"104241"}


def test_a_month_without_effect_is_told(study):
    study.text = study.text.replace("lon: lon}", "lon: lon, month: m}")
    study.rows["m"] = np.arange(120) % 2 + 6
    study.done("--stop-after", "match")
    assert "columns.month has no effect on the map: the 2 months of the observations" in study.told()


LAYERS = """\
  kind: layers
  names: [temperature, bathymetry]
  monthly: true
"""


def on_layers(study):
    start = study.text.index("  kind: table\n  path: grid.csv")
    stop = study.text.index("model:")
    study.text = study.text[:start] + LAYERS + study.text[stop:]
    study.text = study.text.replace("lon: lon}", "lon: lon, month: m}").replace(
        "  units: mg m-3", "  units: mg m-3\n  rows: samples"
    )
    study.rows["m"] = np.arange(len(study.rows)) % 2 + 6


def test_months_that_were_never_sampled_are_told(study):
    on_layers(study)
    study.done("--stop-after", "match")
    assert "samples are of 2 of 12 months only (6, 7)" in study.told()


def test_the_catch_that_lies_on_land_is_told(study):
    on_layers(study)
    study.rows.loc[:9, ["lat", "lon"]] = [[47.5, 100.0]] * 10
    lost = study.rows["biomass"][:10].sum() / study.rows["biomass"].sum()
    study.done("--stop-after", "match")
    found = re.search(r"(\d+) of \d+ rows .*? dropped, and with them ([\d.]+)% of the catch", study.told())
    assert int(found[1]) >= 2  # ten samples of two months in one cell
    assert float(found[2]) >= 100 * lost - 0.05
    kept = study.training()["y"] @ study.training()["n_samples"]
    assert float(found[2]) == pytest.approx(100 * (1 - kept / study.rows["biomass"].sum()), abs=0.06)


def test_cells_outside_the_grid_and_columns_that_differ_are_told(study):
    """Findings models A10: training columns and grid columns are two files that nothing compared."""
    gone = study.rows[["lat", "lon"]].head(7)
    keep = ~study.grid.set_index(["lat", "lon"]).index.isin(pd.MultiIndex.from_frame(gone))
    study.grid = study.grid[keep]
    study.rows.loc[20:29, "sst"] -= 2
    study.done("--stop-after", "match")
    first = gone.iloc[0]
    assert "7 of 120 cells of the observations are not predicted" in study.told()
    assert f"the first is ({first['lat']:g}, {first['lon']:g})" in study.told()
    assert (
        "temperature of the observations and of the grid differ at 10 of 113 shared cells, by 2 in the median"
        in study.told()
    )
    assert "salinity of the observations" not in study.told()


def moved(table, lat, lon):
    return table.assign(lat=lat, lon=lon)


def test_grids_on_nodes_are_read(study):
    """Longitudes -180, -175, ... and latitudes from pole to pole; the polar cells are half as high."""
    lat, lon = np.arange(-90, 91, 5.0), np.arange(-180, 180, 5.0)
    y, x = (axis.ravel() for axis in np.meshgrid(lat, lon, indexing="ij"))
    study.grid = pd.DataFrame({"lat": y, "lon": x, "sst": 28 - 0.3 * np.abs(y), "sal": 35 + np.cos(np.radians(x))})
    study.text = study.text.replace("sea_floor: false", "sea_floor: false, land_mask: false")
    study.rows = study.grid.sample(100, random_state=3).assign(taxon="Copepoda", biomass=lambda t: t["sst"].clip(0))
    assert study.done().stock()["area"] == pytest.approx(4 * np.pi * 6371007.2**2)
    cube = study.cube()
    assert cube["lat"].to_numpy().tolist() == lat.tolist()
    assert cube["lon"].to_numpy().tolist() == lon.tolist()
    one = cube.sel(lat=35, lon=-180, zone="0-200")
    assert float(one["temperature"]) == pytest.approx(28 - 0.3 * 35)
    assert "registered by nodes" in study.told()


def test_the_seam_of_a_node_grid_may_stand_twice(study):
    lat, lon = np.arange(-90, 91, 30.0), np.arange(-180, 181, 30.0)
    y, x = (axis.ravel() for axis in np.meshgrid(lat, lon, indexing="ij"))
    study.grid = pd.DataFrame({"lat": y, "lon": x, "sst": 28 - 0.3 * np.abs(y), "sal": 35.0 + y / 100})
    study.text = study.text.replace("resolution: 5", "resolution: 30, land_mask: false")
    study.done("--stop-after", "match")
    assert study.cube().sizes["lon"] == 12


@pytest.mark.parametrize("written", ["0.3333333", "0.333333", "1/3"])
def test_a_third_of_a_degree_is_read(study, written):
    lat, lon = grid.regular_grid(1 / 3)
    y, x = (axis.ravel() for axis in np.meshgrid(lat[240:300:5], lon[0:400:5], indexing="ij"))
    study.grid = pd.DataFrame(
        {"lat": np.round(y, 4), "lon": np.round(x, 4), "sst": 20.0 + y / 10, "sal": 35.0 + x / 100}
    )
    study.rows = study.grid.sample(60, random_state=1).assign(taxon="Copepoda", biomass=1.0)
    study.text = study.text.replace("resolution: 5", f"resolution: {written}, land_mask: false")
    study.done("--stop-after", "match")
    cube = study.cube()
    assert cube.sizes["lat"] == 540
    assert int(cube["domain"].sum()) == len(study.grid)


SPOILT = {
    "a column that is not there": (
        lambda s: s.grid.rename(columns={"sst": "SST"}),
        "column 'sst' (for temperature) is missing",
    ),
    "packed integers": (lambda s: s.grid.assign(sst=(s.grid["sst"] * 100).round()), "temperature: "),
    "an empty latitude": (
        lambda s: s.grid.assign(lat=s.grid["lat"].where(s.grid.index != 4)),
        "row 6, column 'lat': nan",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_check_opens_the_grid(study, name):
    """Findings maps D1: check said 0, the run failed."""
    spoil, shown = SPOILT[name]
    study.grid = spoil(study)
    message = study.refused("check")
    assert "grid.csv" in message
    assert shown in message


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        (b"CDF\x01", "is NetCDF; give a table"),
        (b"\x89HDF\r\n", "is NetCDF or HDF5"),
        (b"PK\x03\x04", "is a workbook or a zip"),
    ],
)
def test_a_file_that_is_no_table_is_named(study, start, shown):
    study.run("check")
    (study.folder / "grid.csv").write_bytes(start + bytes(100))
    study.grid = None
    assert f"grid.csv: the file {shown}" in study.refused("check")


def test_all_faults_are_told_in_one_pass(study):
    """Findings journey D3: schema, files, figures, taxa and columns at once, none of them a second time round."""
    study.text = (
        study.text.replace("study: tiny", "study: my study")
        .replace("resolution: 5", "resolution: 0.7, clip: true")
        .replace("folds: 3", "folds: 1")
        .replace("figures: []", "figures: [nothing]")
    )
    study.text += "budget: {latitude_band: 7, basin: true}\npublished_maps:\n  - {taxon: a, zone: 0-200, path: no.csv, column: c, source: s}\n"
    study.rows = study.rows.drop(columns="sal")
    message = study.refused("check")
    for piece in (
        "study: 'my study'",
        "grid: resolution 0.7 does not divide 180",
        "grid.clip: unknown key",
        "validation.folds: 1",
        "latitude band of 7.0 degrees does not divide 90",
        "budget.basin: unknown key",
        "nothing",
        "no.csv",
        "column 'sal' (for salinity) is missing",
    ):
        assert piece in message, piece
    assert len(re.findall("^  - ", message, re.MULTILINE)) == 9, message


def test_a_misspelt_taxon_is_found_by_check(study):
    study.text += "taxa: [Copepod]\n"
    assert "taxon 'Copepod' of the recipe is not in the observations, did you mean 'Copepoda'" in study.refused("check")


def test_zones_below_the_layers_are_found_by_check(study):
    on_layers(study)
    study.text = study.text.replace("{name: 0-200, top: 0, bottom: 200}", "{name: deep, top: 0, bottom: 4000}")
    assert "zone 0-4000 m reaches below layer 'temperature', which ends at 1000 m" in study.refused("check")


def test_blocks_that_are_too_few_for_the_folds_are_told_by_check(study):
    study.text = study.text.replace("block_size: 20", "block_size: 90").replace("folds: 3", "folds: 12")
    outcome = study.run("check")
    assert outcome.exit_code == 0
    assert re.search(r"Copepoda 0-200 has \d+ blocks of 90 degrees for 12 folds", outcome.output)


def test_a_sound_study_passes_check_and_writes_nothing(study):
    outcome = study.run("check")
    assert outcome.exit_code == 0, outcome.output
    assert not (study.folder / "runs").exists()


def test_a_cell_of_the_domain_without_a_thickness_is_refused():
    cube = xr.Dataset(
        {
            "temperature": (("lat", "lon"), np.ones((2, 2))),
            "domain": (("zone", "lat", "lon"), np.ones((1, 2, 2), dtype="int8")),
            "thickness": (("zone", "lat", "lon"), [[[200.0, np.nan], [200.0, 200.0]]]),
            "cell_area": (("lat", "lon"), np.ones((2, 2))),
        },
        coords={"zone": ["z"], "lat": [-45.0, 45.0], "lon": [-90.0, 90.0]},
    )
    with pytest.raises(UserError, match="zone 'z': 1 of 4 cells that are to be predicted have no thickness"):
        prediction.domain(cube, "z", ["temperature"])
