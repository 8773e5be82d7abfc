"""What a user can get wrong: each is one sentence with value, allowed and place, or a recorded repair; never a wrong number."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.core import files

RECIPE = """\
study: tiny
title: A tiny study
zones:
  - {name: 0-200, top: 0, bottom: 200}
grid: {resolution: 10, clip_at_sea_floor: false, land_mask: false}
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


def grid_table():
    lat, lon = (a.ravel() for a in np.meshgrid(np.arange(-55, 60, 10.0), np.arange(-175, 180, 10.0), indexing="ij"))
    return pd.DataFrame({"lat": lat, "lon": lon, "sst": 28 - 0.4 * np.abs(lat), "sal": 34 + np.cos(np.radians(lon))})


def row_table():
    rows = grid_table().sample(90, random_state=1).reset_index(drop=True)
    y = np.random.default_rng(2).poisson(rows["sst"]) / 10
    return pd.concat(
        [rows.assign(taxon="Copepoda", biomass=y), rows.assign(taxon="Rhizaria", biomass=y[::-1])], ignore_index=True
    )


class Study:
    """A small study in a folder; parts can be spoiled before it runs."""

    def __init__(self, folder):
        self.folder, self.text, self.rows, self.grid = folder, RECIPE, row_table(), grid_table()

    def write(self):
        (self.folder / "tiny.yaml").write_text(self.text)
        if isinstance(self.rows, pd.DataFrame):
            self.rows.to_csv(self.folder / "rows.csv", index=False)
        else:
            (self.folder / "rows.csv").write_bytes(self.rows)
        self.grid.to_csv(self.folder / "grid.csv", index=False)
        return self

    def run(self, verb="run"):
        given = [verb, str(self.folder / "tiny.yaml"), "--runs", str(self.folder / "runs"), "--quiet"]
        return CliRunner().invoke(main, given)

    def result(self, name="budget/budget.parquet"):
        return files.read_parquet(self.folder / "runs" / "tiny" / name)

    def repairs(self):
        return files.read_json(self.folder / "runs" / "tiny" / "match" / "repairs.json")["repairs"]


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def setting(column, row, value):
    def spoil(study):
        study.rows[column] = study.rows[column].astype(object)
        study.rows.loc[row, column] = value

    return spoil


def text(old, new):
    def spoil(study):
        assert study.text.count(old) == 1, old
        study.text = study.text.replace(old, new)

    return spoil


def table(change):
    def spoil(study):
        study.rows = change(study.rows)

    return spoil


def grid(change):
    def spoil(study):
        study.grid = change(study.grid)

    return spoil


FAULTS = {
    "missing predictor column": (
        table(lambda t: t.drop(columns="sal")),
        ["rows.csv", "column 'sal' (for salinity) is missing", "the file has 'lat'"],
    ),
    "misspelt predictor": (
        text("temperature: sst", "temperature: sstt"),
        ["column 'sstt' (for temperature) is missing, did you mean 'sst'"],
    ),
    "misspelt name of a predictor": (
        text("temperature: sst", "temprature: sst"),
        ["'temprature' is not in the vocabulary, did you mean 'temperature'?"],
    ),
    "missing response column": (
        text("y: biomass", "y: biomas"),
        ["column 'biomas' (for y) is missing, did you mean 'biomass'"],
    ),
    "predictor missing in the grid": (
        grid(lambda t: t.drop(columns="sst")),
        ["grid.csv", "column 'sst' (for temperature) is missing"],
    ),
    "text in a number": (
        setting("biomass", 4, "high"),
        ["rows.csv: row 6, column 'biomass': 'high' is not a number", "1 such cells"],
    ),
    "decimal comma": (setting("sst", 7, "18,5"), ["row 9, column 'sst': '18,5' is not a number (a decimal comma?)"]),
    "infinite biomass": (setting("biomass", 0, "inf"), ["row 2, column 'biomass'", "inf"]),
    "infinite predictor": (setting("sst", 3, "-inf"), ["row 5, column 'sst'", "inf"]),
    "negative biomass": (
        setting("biomass", 9, -0.2),
        ["row 11, column 'y': -0.2 is not a biomass or concentration of 0 or more"],
    ),
    "duplicated cells": (
        table(lambda t: pd.concat([t, t.iloc[[5]]])),
        ["rows stand twice for one cell", "taxon=Copepoda", "duplicates: average"],
    ),
    "longitude out of range": (setting("lon", 2, 400.0), ["row 4, column 'lon': 400.0 is outside [-180, 360] degrees"]),
    "latitude out of range": (setting("lat", 2, -95.0), ["row 4, column 'lat': -95.0 is outside [-90, 90] degrees"]),
    "both kinds of longitude": (
        setting("lon", 2, 355.0),
        ["row 4, column 'lon': 355.0 stands beside negative longitudes"],
    ),
    "missing position": (setting("lat", 2, ""), ["row 4, column 'lat': nan"]),
    "all taxa zero": (
        table(lambda t: t.assign(biomass=0)),
        ["none of 2 targets could be fitted", "all 90 training rows are zero"],
    ),
    "one sample only": (table(lambda t: t.iloc[:1]), ["1 cruises, at least 3 are needed"]),
    "no sample": (table(lambda t: t.iloc[:0]), ["rows.csv: the table has 0 rows, at least 1 is needed"]),
    "no response at all": (table(lambda t: t.assign(biomass="")), ["rows.csv", "0 values, at least 1 is needed"]),
    "predictor NaN everywhere in the rows": (
        table(lambda t: t.assign(sal=np.nan)),
        ["predictor 'salinity' is missing in all 180 training rows"],
    ),
    "predictor NaN everywhere in the grid": (
        grid(lambda t: t.assign(sal=np.nan)),
        ["predictor 'salinity' is missing in every cell of the grid"],
    ),
    "unknown recipe key": (
        text("study: tiny", "study: tiny\nmembres: {n: 3}"),
        ["membres: unknown key; did you mean 'members'?"],
    ),
    "unreadable recipe": (text("study: tiny", "study: [tiny"), ["not valid YAML"]),
    "misspelt taxon": (
        text("figures: []", "figures: []\ntaxa: [Copepod]"),
        ["taxon 'Copepod' of the recipe is not in the observations, did you mean 'Copepoda'; they hold"],
    ),
    "file is absent": (text("path: rows.csv", "path: row.csv"), ["input file 'row.csv' does not exist"]),
    "file is no table": (lambda s: setattr(s, "rows", b"PK\x03\x04\x00\x00\xff\xfe"), ["rows.csv"]),
    "empty file": (lambda s: setattr(s, "rows", b""), ["rows.csv: the table cannot be read"]),
    "not UTF-8": (
        lambda s: setattr(s, "rows", row_table().assign(taxon="Cop\u00e9pode").to_csv(index=False).encode("latin-1")),
        ["is not UTF-8 text"],
    ),
    "column twice": (table(lambda t: t.set_axis([*t.columns[:-1], "sst"], axis=1)), ["rows.csv"]),
    "unknown unit": (text("units: mg m-3", "units: mgg m-3"), ["'mgg m-3'"]),
    "unit of another kind": (text("units: mg m-3", "units: mg"), ["'mg'", "mg m-3"]),
    "cell outside the grid's centres": (
        grid(lambda t: t.assign(lat=t["lat"] + 3)),
        ["grid.csv: row 2", "is not a cell centre of the 10 degree grid"],
    ),
    "cell twice in the grid": (grid(lambda t: pd.concat([t, t.iloc[[7]]])), ["grid.csv", "its grid cell stands twice"]),
    "month that is none": (
        lambda s: (table(lambda t: t.assign(m=13))(s), text("lon: lon}", "lon: lon, month: m}")(s)),
        ["column 'month': 13", "a month from 1 to 12"],
    ),
    "negative biomass in the second zone of one file": (
        lambda s: (
            setattr(
                s, "rows", pd.concat([row_table().assign(z="0-200"), row_table().assign(z="200-500", biomass=-1.0)])
            ),
            text("lon: lon}", "lon: lon, zone: z}")(s),
            text("bottom: 200}", "bottom: 200}\n  - {name: 200-500, top: 200, bottom: 500}")(s),
        ),
        ["row 182, column 'y': -1.0 is not a biomass"],
    ),
    "zone that the file does not hold": (
        lambda s: (table(lambda t: t.assign(z="0-100"))(s), text("lon: lon}", "lon: lon, zone: z}")(s)),
        ["column 'z' never holds zone '0-200'; it holds ['0-100']"],
    ),
    "no volume": (
        lambda s: (table(lambda t: t.assign(v=0.0))(s), text("lon: lon}", "lon: lon, effort: v}")(s)),
        ["column 'effort': 0.0 is not a sampled volume above 0 m3"],
    ),
    "unknown split": (
        lambda s: (
            table(lambda t: t.assign(p="train").assign(p=lambda u: u["p"].where(u.index != 3, "validate")))(s),
            text("lon: lon}", "lon: lon, split: p}")(s),
        ),
        ["row 5, column 'split': validate is not 'train' or 'test'"],
    ),
    "too few cruises": (
        lambda s: (table(lambda t: t.assign(c="one"))(s), text("lon: lon}", "lon: lon, cruise: c}")(s)),
        ["1 cruises, at least 3 are needed"],
    ),
    "implausible temperature": (
        table(lambda t: t.assign(sst=t["sst"] + 273.15)),
        ["rows.csv: row 2, temperature: ", "is outside [-3, 40] degree_Celsius"],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_sentence(study, name):
    spoil, shown = FAULTS[name]
    spoil(study)
    done = study.write().run()
    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit), done.exception
    message = done.output[done.output.index("aqqua-dist: ") :]
    for piece in shown:
        assert piece in message
    assert "Traceback" not in done.output
    assert not re.search(r"(site-packages|\.py\b|Error:)", message)
    for line in message.strip().splitlines():
        assert line.rstrip().endswith((".", "?", ":", ")")) or line.startswith("  - "), line


@pytest.mark.parametrize("name", ["misspelt predictor", "negative biomass", "duplicated cells", "all taxa zero"])
def test_a_fault_leaves_earlier_results_alone(study, name):
    assert study.write().run().exit_code == 0
    kept = {path: path.read_bytes() for path in (study.folder / "runs").rglob("budget*") if path.is_file()}
    assert kept
    FAULTS[name][0](study)
    assert study.write().run().exit_code == 2
    assert {path: path.read_bytes() for path in kept} == kept


def test_the_shell_shows_one_sentence_too(study):
    FAULTS["negative biomass"][0](study)
    study.write()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "aqqua_dist",
            "run",
            str(study.folder / "tiny.yaml"),
            "--runs",
            str(study.folder / "runs"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2
    assert "-0.2 is not a biomass" in done.stderr
    assert "Traceback" not in done.stderr


def stocks(study):
    assert study.write().run().exit_code == 0
    return study.result().query("region == 'global'").set_index("taxon")[["estimate", "sd", "volume"]]


def test_longitudes_of_0_to_360_are_repaired_and_recorded(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    plain, shifted = Study(tmp_path / "a"), Study(tmp_path / "b")
    shifted.rows["lon"] %= 360
    shifted.grid["lon"] %= 360
    pd.testing.assert_frame_equal(stocks(plain), stocks(shifted))
    assert plain.repairs() == []
    (repair,) = shifted.repairs()
    assert re.search(r"rows.csv: \d+ longitudes of 180-360 degrees east brought to \[-180, 180\)", repair)


def test_rows_without_a_response_are_dropped_and_recorded(study):
    study.rows.loc[[0, 1, 2], "biomass"] = np.nan
    assert study.write().run().exit_code == 0
    assert any("3 rows without a response dropped" in repair for repair in study.repairs())
    assert len(study.result("match/training.parquet")) == 177


def test_duplicates_are_averaged_where_the_recipe_says_so(study):
    extra = study.rows.iloc[[5]].assign(biomass=study.rows["biomass"].iloc[5] + 2)
    study.rows = pd.concat([study.rows, extra])
    study.text = study.text.replace("  units: mg m-3", "  units: mg m-3\n  duplicates: average")
    assert study.write().run().exit_code == 0
    assert any("averaged" in repair for repair in study.repairs())
    row = study.result("match/training.parquet").query("n_samples == 2")
    assert row["y"].to_numpy() == pytest.approx(study.rows["biomass"].iloc[5] + 1)


def test_units_are_converted_at_the_door(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    plain, grams = Study(tmp_path / "a"), Study(tmp_path / "b")
    grams.rows["biomass"] /= 1000
    grams.text = grams.text.replace("units: mg m-3", "units: g m-3")
    pd.testing.assert_frame_equal(stocks(plain), stocks(grams), rtol=1e-5)


def test_zero_taxon_beside_a_good_one_is_left_out_and_told(study):
    study.rows.loc[study.rows["taxon"] == "Rhizaria", "biomass"] = 0
    done = study.write().run()
    assert done.exit_code == 0
    assert "Rhizaria 0-200 is left out: all 90 training rows are zero" in done.output
    assert set(study.result()["taxon"]) == {"Copepoda"}


def test_a_byte_order_mark_and_semicolons_are_read(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    plain, other = Study(tmp_path / "a"), Study(tmp_path / "b")
    other.rows = b"\xef\xbb\xbf" + row_table().to_csv(index=False, sep=";").encode()
    pd.testing.assert_frame_equal(stocks(plain), stocks(other))


def test_missing_predictor_values_take_the_missing_branch(study):
    """As in the published method: a row or cell without one of its predictors is kept."""
    study.rows.loc[::7, "sal"] = np.nan
    study.grid.loc[::5, "sal"] = np.nan
    assert study.write().run().exit_code == 0
    ours = files.read_netcdf(study.folder / "runs" / "tiny" / "map" / "Copepoda_0-200.nc")
    assert int(ours["carbon_biomass"].notnull().sum()) == len(study.grid)
