"""The stages in order, on a small virtual survey: files, keys, provenance, honest totals."""

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from aqqua_dist.core import files, run_folder
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.paths import find_recipe
from aqqua_dist.recipe import published
from aqqua_dist.recipe.recipe import parse, text_hash
from aqqua_dist.stages import compare, pipeline
from aqqua_dist.stages.plan import check

SMALL = """\
study: small
title: A small virtual survey
references: ["https://doi.org/10.3389/fmars.2022.894372"]
creator: {name: A. Person, institution: An institute, email: a.person@example.org, url: "https://example.org"}
seed: 3
taxa: [virtual copepod, virtual salp]
zones:
  - {name: 0-200, top: 0, bottom: 200}
  - {name: 200-500, top: 200, bottom: 500}
grid: {resolution: 4, clip_at_sea_floor: true}
observations: {kind: virtual, quantity: carbon_biomass, cruises: 30, cruise_sd: 0.3}
predictors:
  kind: layers
  names: [temperature, salinity, wind_speed, solar_radiation, bathymetry, distance_to_coast]
  monthly: true
model: {objective: "count:poisson", effort_weight: true, rounds: 40, learning_rate: 0.1}
members: {scheme: cruise_bootstrap, n: 8}
validation: {folds: 3, block_size: 20}
figures: [global_maps]
"""
TARGETS = (
    "virtual_copepod_0-200-129749f6",
    "virtual_salp_0-200-9635919c",
    "virtual_copepod_200-500-f0b452eb",
    "virtual_salp_200-500-81d41b47",
)


def opened(folder, text=SMALL, runs=None):
    folder.mkdir(exist_ok=True)
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return pipeline.open_study(path, runs=runs or folder / "runs", jobs=2, progress=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run; tests only read it."""
    context = opened(tmp_path_factory.mktemp("study"))
    context_report = pipeline.run(context)
    return context, context_report


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_each_stage_writes_its_own_files(done):
    context, report = done
    assert [report[target] for target in TARGETS] == ["done"] * 4
    names = set(contents(context.out))
    assert {
        "match/training.parquet",
        "match/targets.json",
        "match/repairs.json",
        "cube/cube.nc",
        "observe/rows.parquet",
        "observe/samples.parquet",
        "observe/counts.parquet",
        "observe/repairs.json",
        "fit/scores.parquet",
        "fit/scores.csv",
        "budget/budget.parquet",
        "budget/budget.csv",
        "budget/truth.parquet",
        "compare.csv",
        "targets.json",
    } <= names
    for target in TARGETS:
        assert {
            f"fit/{target}/{name}"
            for name in (
                "ensemble.zip",
                "settings.json",
                "scores.parquet",
                "predictions.parquet",
                "responses.parquet",
                "training.parquet",
                "applicability.nc",
            )
        } <= names
        assert {f"map/{target}.nc", f"map/{target}_totals.parquet"} <= names
    assert any(name.startswith("figures/") and name.endswith(".png") for name in names)
    assert not [name for name in names if name.endswith((".part", ".tmp"))]


def test_every_file_carries_where_it_comes_from(done):
    context, _ = done
    seen = 0
    for path in sorted(context.out.rglob("*")):
        if path.suffix not in (".parquet", ".nc", ".png", ".csv") and not path.name.endswith(".json"):
            continue
        if path.name.endswith("-metadata.json"):
            continue
        origin = files.read_provenance(path)
        assert origin.recipe_text == SMALL, path
        assert origin.recipe_sha256 == text_hash(SMALL)
        assert origin.seeds == {"seed": 3}
        assert {"aqqua-dist", "xarray", "numpy", "python"} <= {
            name.lower().replace("_", "-") for name in origin.software
        }
        assert origin.references == ["https://doi.org/10.3389/fmars.2022.894372"]
        assert re.fullmatch("[0-9a-f]{32}", origin.key)
        assert origin.inputs, path
        if path.name != "targets.json":
            assert all(re.fullmatch("[0-9a-f]{32}|[0-9a-f]{64}", value) for value in origin.inputs.values()), path
        seen += 1
    assert seen > 30


def test_an_unchanged_run_touches_nothing_and_says_so(done, capsys):
    context, _ = done
    before = {path: path.stat().st_mtime_ns for path in context.out.rglob("*.nc")}
    loud = pipeline.open_study(context.folder / "small.yaml", runs=context.out.parent, jobs=1, progress=True)
    pipeline.run(loud)
    said = capsys.readouterr().err
    assert said.count("unchanged, skipped") == 8 + 2 * len(TARGETS)
    assert "running" not in said
    assert {path: path.stat().st_mtime_ns for path in context.out.rglob("*.nc")} == before


def test_the_result_does_not_depend_on_the_number_of_threads(done, tmp_path):
    context, _ = done
    text = SMALL.replace("[virtual copepod, virtual salp]", "[virtual copepod]").replace(
        "  - {name: 200-500, top: 200, bottom: 500}\n", ""
    )
    totals = []
    for jobs in (1, 3):
        other = opened(tmp_path / str(jobs), text)
        other = pipeline.open_study(other.folder / "small.yaml", runs=other.out.parent, jobs=jobs, progress=False)
        pipeline.run(other, stop_after="map")
        totals.append(files.read_parquet(other.out / "map" / f"{TARGETS[0]}_totals.parquet"))
    pd.testing.assert_frame_equal(*totals)
    assert totals[0]["total"].gt(0).all()


def test_regions_of_a_set_add_up_to_the_global_stock(done):
    context, _ = done
    table = files.read_parquet(context.out / "budget" / "budget.parquet")
    assert set(table["region_set"]) == {"global", "basin", "latitude", "applicability"}
    for _, target in table.groupby(["taxon", "zone"]):
        whole = target[target["region_set"] == "global"].iloc[0]
        for _, parts in target[target["region_set"] != "global"].groupby("region_set"):
            for column in ("estimate", "mean", "area", "volume", "sum_cell_sd"):
                assert parts[column].sum() == pytest.approx(whole[column], rel=1e-5), column
            assert parts["sd"].sum() > whole["sd"] * 0.999  # regions vary together only in part


def test_the_stock_is_the_map_times_area_and_thickness(done):
    context, _ = done
    table = files.read_parquet(context.out / "budget" / "budget.parquet").set_index(["taxon", "zone", "region"])
    for target in TARGETS:
        ours = files.read_netcdf(context.out / "map" / f"{target}.nc")
        stock = (
            float((ours["carbon_biomass"].mean("time").astype("float64") * ours["cell_area"] * ours["thickness"]).sum())
            * 1e-18
        )
        row = table.loc[(ours["taxon"].item(), ours["zone"].item(), "global")]
        assert stock == pytest.approx(row["estimate"], rel=4e-3)  # maps are rounded to 7 bits
        assert row["units"] == "Pg C"


def test_members_give_the_interval(done):
    context, _ = done
    totals = files.read_parquet(context.out / "map" / f"{TARGETS[0]}_totals.parquet")
    table = files.read_parquet(context.out / "budget" / "budget.parquet")
    row = table[
        (table["taxon"] == "virtual copepod") & (table["zone"] == "0-200") & (table["region"] == "global")
    ].iloc[0]
    drawn = totals.loc[(totals["region"] == "global") & (totals["member"] >= 0), "total"]
    full = totals.loc[(totals["region"] == "global") & (totals["member"] == -1), "total"].item()
    assert len(drawn) == 8
    assert row["estimate"] == pytest.approx(full)
    assert [row["mean"], row["sd"], row["q50"]] == pytest.approx([drawn.mean(), drawn.std(), drawn.median()])
    assert row["high"] / row["estimate"] == pytest.approx(np.exp(1.959964 * np.log(drawn).std()))
    assert row["estimate"] / row["low"] == pytest.approx(row["high"] / row["estimate"])


def test_thickness_is_clipped_at_the_sea_floor_only_where_the_recipe_says_so(done, tmp_path):
    context, _ = done
    clipped = files.read_netcdf(context.out / "cube" / "cube.nc")
    floor = clipped["bathymetry"].isel(month=0) if "month" in clipped["bathymetry"].dims else clipped["bathymetry"]
    for zone, top, bottom in (("0-200", 0, 200), ("200-500", 200, 500)):
        here = clipped.sel(zone=zone)
        inside = here["domain"] == 1
        wet = np.clip(np.minimum(floor.sel(zone=zone) if "zone" in floor.dims else floor, bottom) - top, 0, None).where(
            inside
        )
        xr.testing.assert_allclose(
            here["thickness"].drop_vars("zone"), wet.drop_vars("zone", errors="ignore").astype("float64"), rtol=1e-5
        )
    assert float(clipped["thickness"].sel(zone="200-500").min()) < 300
    full = opened(tmp_path / "full", SMALL.replace("clip_at_sea_floor: true", "clip_at_sea_floor: false"))
    pipeline.run(full, stop_after="match")
    whole = files.read_netcdf(full.out / "cube" / "cube.nc")["thickness"]
    assert set(np.unique(whole.sel(zone="200-500").to_numpy()[np.isfinite(whole.sel(zone="200-500").to_numpy())])) == {
        300.0
    }


@pytest.mark.parametrize("target", [TARGETS[0], TARGETS[3]])
def test_maps_pass_the_compliance_checker_with_full_marks(done, tmp_path, target):
    context, _ = done
    path = context.out / "map" / f"{target}.nc"
    report = tmp_path / "report.json"
    checker = [
        "--test=cf:1.11",
        "--test=acdd:1.3",
        "--skip-checks=check_taxa",
        "--criteria=strict",
        "--format=json_new",
    ]
    command = [Path(sys.executable).parent / "compliance-checker", *checker, f"--output={report}", path]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert report.exists(), shown.stderr
    (found,) = json.loads(report.read_text()).values()
    for test, priorities in (("cf:1.11", "all_priorities"), ("acdd:1.3", "high_priorities")):
        assert found[test]["possible_points"] > 50
        lost = [
            (check["name"], check["msgs"]) for check in found[test][priorities] if check["value"][0] < check["value"][1]
        ]
        if test == "acdd:1.3":  # one standard name stands for one variable of a file; quantiles and flags have none
            lost = [(name, messages) for name, messages in lost if messages != ["standard_name"]]
        assert lost == []


def test_scores_hold_random_and_blocked_folds_side_by_side(done):
    context, _ = done
    table = files.read_parquet(context.out / "fit" / "scores.parquet")
    columns = ["target", "taxon", "zone", "scheme", "fold", "metric", "value", "judges", "nested", "note"]
    assert list(table.columns) == columns
    assert table["nested"].all() and (table["note"] == "").all()
    assert set(table["judges"]) == {"a fit to the other folds"}
    assert set(table["target"]) == set(TARGETS)
    for _, rows in table.groupby("target"):
        assert {"random", "spatial_block"} <= set(rows["scheme"])
        assert {"rmse", "mae", "r2", "r2_correl", "r2_correl_log"} <= set(rows["metric"])
    again = pd.read_csv(context.out / "fit" / "scores.csv").fillna({"note": ""})
    pd.testing.assert_frame_equal(table, again, check_dtype=False)


def test_the_truth_stands_beside_the_estimate(done):
    context, _ = done
    table = compare.compare(context)
    stocks = table[table["statistic"] == "stock"]
    assert len(stocks) == len(TARGETS)
    assert stocks["published"].gt(0).all()
    assert stocks["difference_percent"].abs().lt(60).all()  # 30 cruises of a coarse survey
    assert ((stocks["low"] < stocks["ours"]) & (stocks["ours"] < stocks["high"])).all()
    text = compare.as_text(table)
    assert "virtual salp" in text
    assert "truth of the virtual survey" in text


def test_a_broken_file_is_made_again(done, tmp_path):
    context = opened(tmp_path / "again")
    pipeline.run(context, stop_after="fit")
    first = contents(context.out)
    (context.out / "fit" / TARGETS[0] / "ensemble.zip").write_bytes(b"cut")
    (context.out / "fit" / f"{TARGETS[1]}.done.json").write_text("{")
    pipeline.run(context, stop_after="fit")
    second = contents(context.out)
    for target in TARGETS:
        name = f"fit/{target}/predictions.parquet"
        pd.testing.assert_frame_equal(files.read_parquet(context.out / name), files.read_parquet(done[0].out / name))
        one, two = (zipfile.ZipFile(io.BytesIO(part[f"fit/{target}/ensemble.zip"])) for part in (first, second))
        trees = [name for name in one.namelist() if name.endswith(".ubj")]
        assert len(trees) == 9  # 8 members and the full fit
        assert all(one.read(name) == two.read(name) for name in trees)


def test_check_computes_and_writes_nothing(tmp_path):
    context = opened(tmp_path / "plan")
    plan = check(context)
    assert [line.split()[0] for line in plan] == [
        "study",
        "observe",
        "cube",
        "match",
        "fit",
        "map",
        "budget",
        "figures",
        "outputs",
    ]
    assert "8 members (cruise_bootstrap)" in plan[4]
    assert not context.out.exists()


def test_check_names_all_missing_things_at_once(tmp_path):
    text = (
        SMALL.replace("wind_speed", "windspeed")
        .replace("[virtual copepod, virtual salp]", "[virtual copepot]")
        .replace("[global_maps]", "[globe_maps]")
    )
    with pytest.raises(UserError) as error:
        check(opened(tmp_path / "faults", text))
    shown = str(error.value)
    assert "3 faults" in shown
    for word in ("windspeed", "virtual copepot", "globe_maps"):
        assert word in shown


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("tree_method: exact", "tree_method: hist", "'hist' is not the published 'exact' but another model"),
        ("base_score: 0.5", "base_score: null", "estimated from the data"),
        ("clip_at_sea_floor: false ", "clip_at_sea_floor: true ", "full thickness"),
    ],
)
def test_a_setting_known_to_be_another_model_is_told(old, new, expected):
    text = find_recipe("drago2022").read_text()
    assert text.count(old) == 1
    assert published.method_warnings(parse(text, "drago2022")) == []
    found = published.method_warnings(parse(text.replace(old, new), "drago2022"))
    assert len(found) == 1
    assert expected in found[0]


def test_samples_of_one_cell_are_pooled_by_volume_and_copies_are_told(tmp_path):
    rows = pd.DataFrame(
        {
            "lat": [10.1, 11.9, 10.1, 10.1, -30.0],
            "lon": [-30.2, -31.0, -30.2, -30.2, -110.0],
            "c": ["a", "a", "a", "b", "b"],
            "v": [1.0, 3.0, 1.0, 2.0, 2.0],
            "y": [4.0, 0.0, 4.0, 1.0, 0.5],
            "taxon": "one",
        }
    )
    rows.to_csv(tmp_path / "rows.csv", index=False)
    text = (
        SMALL.replace("taxa: [virtual copepod, virtual salp]\n", "")
        .replace("  - {name: 200-500, top: 200, bottom: 500}\n", "")
        .replace(
            "observations: {kind: virtual, quantity: carbon_biomass, cruises: 30, cruise_sd: 0.3}",
            "observations: {kind: table, path: rows.csv, rows: samples, quantity: carbon_biomass, units: mg m-3, "
            "columns: {y: y, taxon: taxon, lat: lat, lon: lon, effort: v, cruise: c}}",
        )
        .replace("monthly: true", "monthly: false")
    )
    context = opened(tmp_path, text)
    with pytest.warns(
        MethodWarning, match="1 samples are exact copies of another one, first taxon=one, lat=10.1, lon=-30.2, y=4.0"
    ):
        pipeline.run(context, stop_after="match")
    found = files.read_parquet(context.out / "match" / "training.parquet").sort_values(["cruise", "lat"])
    assert found["cruise"].tolist() == ["a", "b", "b"]
    assert found["effort"].tolist() == [5, 2, 2]
    assert found["n_samples"].tolist() == [3, 1, 1]
    assert found["y"].tolist() == pytest.approx(
        [(4 * 1 + 0 * 3 + 4 * 1) / 5, 0.5, 1]
    )  # sum of content over sum of volume
    assert found["lat"].tolist() == [12, -28, 12]  # centres of 4 degree cells


def test_a_target_that_cannot_be_fitted_is_left_out_and_recorded(tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"lat": rng.uniform(-50, 50, 60).round(), "lon": rng.uniform(-179, -120, 60).round()}
    ).drop_duplicates()
    table = pd.concat([rows.assign(taxon="common", y=rng.gamma(1, 2, len(rows))), rows.assign(taxon="absent", y=0.0)])
    table.to_csv(tmp_path / "rows.csv", index=False)
    text = (
        SMALL.replace("taxa: [virtual copepod, virtual salp]\n", "")
        .replace("  - {name: 200-500, top: 200, bottom: 500}\n", "")
        .replace(
            "observations: {kind: virtual, quantity: carbon_biomass, cruises: 30, cruise_sd: 0.3}",
            "observations: {kind: table, path: rows.csv, quantity: carbon_biomass, units: mg m-3, duplicates: average, "
            "columns: {y: y, taxon: taxon, lat: lat, lon: lon}}",
        )
        .replace("effort_weight: true, ", "")
        .replace("monthly: true", "monthly: false")
    )
    context = opened(tmp_path, text)
    with pytest.warns(MethodWarning, match="absent 0-200 is left out: all .* training rows are zero"):
        report = pipeline.run(context, stop_after="budget")
    assert report["common_0-200-bfa317f3"] == "done"
    absent, common = run_folder.listed(context.out)
    assert (common.taxon, common.state, common.reason) == ("common", "done", "")
    assert (absent.taxon, absent.state, absent.files) == ("absent", "refused", ())
    assert "training rows are zero" in absent.reason
    assert set(files.read_parquet(context.out / "budget" / "budget.parquet")["taxon"]) == {"common"}
