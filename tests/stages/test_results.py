"""Runs as objects: what they show is what the files of the run say, and nothing of another run."""

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest

import aqqua_dist as aq
from aqqua_dist.core import files
from aqqua_dist.core.errors import MethodWarning, RecipeError, UserError
from aqqua_dist.embeddings import collection
from aqqua_dist.stages.results import Run, Stock

RECIPE = {
    "study": "small",
    "title": "A small survey <of nothing>",
    "taxa": ["virtual copepod", "virtual salp"],
    "zones": [{"name": "0-200", "top": 0, "bottom": 200}, {"name": "200-500", "top": 200, "bottom": 500}],
    "grid": {"resolution": 5},
    "observations": {"kind": "virtual", "quantity": "carbon_biomass", "cruises": 20, "cruise_sd": 0.3},
    "predictors": {
        "kind": "layers",
        "names": ["temperature", "salinity", "wind_speed", "solar_radiation", "bathymetry", "distance_to_coast"],
    },
    "model": {"objective": "count:poisson", "effort_weight": True, "rounds": 20, "learning_rate": 0.2},
    "members": {"scheme": "cruise_bootstrap", "n": 4},
    "validation": {"folds": 3, "block_size": 20},
    "figures": ["stocks"],
}
COPEPOD, SHALLOW = "virtual copepod", "0-200"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run; tests only read it."""
    return aq.run(RECIPE, runs=tmp_path_factory.mktemp("runs"), progress=False, jobs=2)


def copied(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "small")
    return tmp_path / "small"


def test_targets_are_those_of_the_list(finished):
    listed = json.loads((finished.folder / "targets.json").read_text())["targets"]
    assert finished.targets["key"].tolist() == [one["key"] for one in listed]
    assert set(finished.targets["state"]) == {"done"}
    assert aq.open_run(str(finished.folder)).targets.equals(finished.targets)


def test_stocks_are_those_of_the_budget(finished):
    budget = files.read_parquet(finished.folder / "budget" / "budget.parquet")
    pd.testing.assert_frame_equal(finished.stocks, budget)
    row = budget.query("taxon == @COPEPOD and zone == @SHALLOW and region == 'atlantic_ocean'").iloc[0]
    stock = finished.stock(COPEPOD, region="atlantic_ocean", zone=SHALLOW)
    assert (stock.estimate, stock.low, stock.high, stock.units) == (row.estimate, row.low, row.high, row.units)
    assert len(finished.totals()) == 4


def test_the_stock_is_the_sum_of_the_map(finished):
    """Over cells that are estimated: mg m-3 times m2 times m, 1e18 mg in a Pg; a map is rounded by at most 0.4 % in a cell, up or down."""
    everything = finished.maps[COPEPOD, SHALLOW]
    field = finished.map(COPEPOD, zone=SHALLOW)
    total = (field.astype(float) * everything["cell_area"] * everything["thickness"]).sum().item() / 1e18
    assert finished.stock(COPEPOD, zone=SHALLOW).estimate == pytest.approx(total, rel=1e-3)
    assert field.attrs["units"] == "mg m-3"
    inside = finished.map(COPEPOD, SHALLOW, variable="applicability")
    pd.testing.assert_index_equal(inside.indexes["lat"], field.indexes["lat"])


def test_maps_are_a_mapping(finished):
    assert list(finished.maps) == list(zip(finished.targets["taxon"], finished.targets["zone"], strict=True))
    assert len(finished.maps) == 4 and (COPEPOD, SHALLOW) in finished.maps
    assert finished.maps.get(("Salpida", SHALLOW)) is None and COPEPOD not in finished.maps, "it has two zones"
    assert repr(finished.maps).startswith("maps of virtual copepod 0-200, ")


def test_scores_training_figures_and_recipe(finished):
    pd.testing.assert_frame_equal(finished.scores, files.read_parquet(finished.folder / "fit" / "scores.parquet"))
    assert set(zip(finished.training["taxon"], finished.training["zone"], strict=True)) == set(finished.maps)
    assert [path.name for path in finished.figures] == ["stocks.png"]
    assert finished.recipe.members.n == 4
    assert finished.recipe.title == RECIPE["title"]


def test_the_ensemble_predicts_by_name(finished):
    ensemble, rows = finished.ensemble(COPEPOD, zone=SHALLOW), finished.training.query("zone == @SHALLOW").head(9)
    wanted = ensemble.predict(rows[ensemble.names].to_numpy(dtype=float))
    np.testing.assert_array_equal(ensemble.predict(rows[ensemble.names[::-1]].assign(more=1.0)), wanted)
    assert wanted.shape == (4, 9)
    with pytest.raises(UserError, match=r"predictors \['salinity'\] are missing"):
        ensemble.predict(rows.drop(columns="salinity"))


def test_a_run_shows_its_stocks(finished):
    shown, page = repr(finished), finished._repr_html_()
    for stock in finished.totals():
        assert str(stock) in shown and str(stock) in page
    assert "A small survey &lt;of nothing&gt;" in page and "<of nothing>" not in page


@pytest.mark.parametrize(
    ("estimate", "low", "high", "units", "sentence"),
    [
        (0.0059, 0.00536, 0.00649, "Pg C", "Copepoda 0-200: 0.0059 Pg C (95 % interval 0.00536 to 0.00649)"),
        (1.0512e19, 1.0509e19, 1.0514e19, "1", "1.0512e+19 individuals (95 % interval 1.0509e+19 to 1.0514e+19)"),
        (0.0, 0.0, 0.0, "Pg C", "0 Pg C (95 % interval 0 to 0)"),
        (-0.2, np.nan, np.nan, "mean", "Copepoda 0-200: -0.2 (95 % interval nan to nan)"),
    ],
)
def test_a_stock_keeps_its_interval_apart(estimate, low, high, units, sentence):
    """Two digits made the estimate equal to its limit."""
    name = {"1": "number_concentration", "mean": "embedding_component"}.get(units, "carbon_biomass")
    units = "1" if units == "mean" else units
    stock = Stock(name, "Copepoda", "0-200", "global", estimate, low, high, units, "lognormal", 4)
    assert str(stock).endswith(sentence)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda run: run.map("virtual copepd", SHALLOW), "taxon 'virtual copepd' is not in the run, did you mean"),
        (lambda run: run.map(COPEPOD), r"has 2 zones; name one of \['0-200', '200-500'\]"),
        (lambda run: run.maps["Salpida"], "taxon 'Salpida' is not in the run"),
        (lambda run: run.map(COPEPOD, SHALLOW, "sd"), "variable 'sd' is not in the map; it has .*'carbon_biomass_sd'"),
        (lambda run: run.stock(COPEPOD, "atlantic", SHALLOW), "did you mean 'atlantic_ocean'"),
        (lambda run: run.stock(COPEPOD, zone="0-100"), "zone of 'virtual copepod' '0-100' is not in the run"),
        (lambda run: run.stock(COPEPOD), "has 2 zones"),
        (lambda run: run.ensemble("x", SHALLOW), "taxon 'x' is not in the run"),
    ],
)
def test_slips_are_told(finished, ask, sentence):
    with pytest.raises(UserError, match=sentence):
        ask(finished)


@pytest.mark.parametrize(("name", "sentence"), [("", "holds no targets.json"), ("absent", "is no folder")])
def test_a_folder_that_is_no_run_is_refused_in_one_sentence(tmp_path, name, sentence):
    with pytest.raises(UserError, match=sentence) as refusal:
        aq.open_run(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_a_broken_list_is_refused(tmp_path):
    (tmp_path / "targets.json").write_text("{}")
    with pytest.raises(UserError, match="does not list targets"):
        aq.open_run(tmp_path)


def test_files_that_the_list_does_not_name_are_not_seen(finished, tmp_path):
    folder = copied(finished, tmp_path)
    (folder / "map" / "Salpida_0-200.nc").write_bytes(
        (folder / "map" / finished.maps._run.listed[0].map.name).read_bytes()
    )
    assert list(aq.open_run(folder).maps) == list(finished.maps)


def test_a_budget_of_other_maps_is_refused(finished, tmp_path):
    folder = copied(finished, tmp_path)
    content = json.loads((folder / "targets.json").read_text())
    content["targets"][0]["keys"]["map"] = "0" * 32
    (folder / "targets.json").write_text(json.dumps(content))
    run = aq.open_run(folder)
    for ask in (lambda: run.stocks, lambda: run.figures, lambda: run.stock(COPEPOD, zone=SHALLOW)):
        with pytest.raises(UserError, match="of 4 maps is not that of the 4 targets"):
            ask()
    assert "is not that of" in repr(run), "no stock is shown that belongs to other maps"


def test_a_run_that_was_run_again_must_be_opened_again(finished, tmp_path):
    folder = copied(finished, tmp_path)
    run = aq.open_run(folder)
    aq.run(RECIPE | {"taxa": [COPEPOD]}, runs=tmp_path, progress=False, jobs=2)
    for ask in (lambda: run.stocks, lambda: run.map(COPEPOD, SHALLOW), lambda: run.training, lambda: run.scores):
        with pytest.raises(UserError, match="has been run again since it was opened"):
            ask()
    assert list(aq.open_run(folder).maps) == [(COPEPOD, "0-200"), (COPEPOD, "200-500")]


def test_a_run_that_stops_early_says_what_it_lacks(tmp_path):
    few = RECIPE | {"taxa": [COPEPOD], "zones": RECIPE["zones"][:1]}
    assert aq.run(few, runs=tmp_path, stop_after="match", progress=False, jobs=2) is None
    run = aq.run(few, runs=tmp_path, stop_after="fit", progress=False, jobs=2)
    assert isinstance(run, Run) and list(run.maps) == []
    assert len(run.training) and len(run.scores) and run.ensemble(COPEPOD).n_members == 4
    for ask in (lambda: run.stocks, lambda: run.map(COPEPOD), lambda: run.figures):
        with pytest.raises(UserError, match="has no .* yet; run the study to its end"):
            ask()
    assert "has no budget yet" in repr(run)


def test_a_target_that_was_left_out_says_why(tmp_path):
    rng = np.random.default_rng(1)
    names = RECIPE["predictors"]["names"]
    table = pd.DataFrame({name: rng.random(60) for name in names}).assign(
        lat=np.linspace(-57.5, 57.5, 60).round() // 5 * 5 + 2.5,
        lon=(np.arange(60) * 5 % 120) - 57.5,
        carbon=rng.random(60),
    )
    table["taxon"] = ["Copepoda"] * 57 + ["Salpida"] * 3
    grid = table.drop(columns=["carbon", "taxon"]).drop_duplicates(["lat", "lon"])
    own = RECIPE | {
        "study": "own",
        "taxa": "all",
        "zones": RECIPE["zones"][:1],
        "observations": {
            "kind": "table",
            "path": "rows",
            "quantity": "carbon_biomass",
            "units": "mg m-3",
            "columns": {"y": "carbon", "taxon": "taxon"},
        },
        "predictors": {"kind": "table", "path": "grid", "names": {name: name for name in names}},
        "model": {"objective": "count:poisson", "rounds": 5},
        "grid": {"resolution": 5, "land_mask": False, "clip_at_sea_floor": False},
        "validation": {"folds": 2, "block_size": 20},
        "members": {"scheme": "folds", "folds": 2, "repeats": 1},
        "budget": {"basins": False},
    }
    ranges = {"temperature": 20, "salinity": 35, "wind_speed": 8, "solar_radiation": 200, "bathymetry": 3000}
    for frame in (table, grid):
        for name in names:
            frame[name] = frame[name] + ranges.get(name, 100)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        run = aq.run(own, tables={"rows": table, "grid": grid}, runs=tmp_path, progress=False, jobs=2)
    state = run.targets.set_index("taxon")["state"].to_dict()
    assert state == {"Copepoda": "done", "Salpida": "refused"}
    with pytest.raises(UserError, match="Salpida 0-200 was left out of the run: .*3"):
        run.map("Salpida")
    assert "Salpida 0-200: left out" in repr(run)
    assert "not a confidence interval" in str(run.stock("Copepoda")), "members of folds are no sample of surveys"
    tables = sorted((run.folder / "tables").iterdir())
    assert [path.name.split("-")[0] for path in tables] == ["grid", "rows"]
    before = (run.folder / "map").stat().st_mtime_ns
    again = aq.run(own, tables={"rows": table.copy(), "grid": grid}, runs=tmp_path, progress=False, jobs=2)
    assert (again.folder / "map").stat().st_mtime_ns == before, "the same tables are the same run"


def test_verbs_take_what_run_returned(finished):
    beside = aq.compare(finished)
    stock = beside.query("taxon == @COPEPOD and zone == @SHALLOW and statistic == 'stock'").iloc[0]
    assert stock.ours == pytest.approx(finished.stock(COPEPOD, zone=SHALLOW).estimate)
    assert aq.figures(finished) == finished.figures
    assert len(aq.compare(RECIPE, runs=finished.folder.parent)) == len(beside)


def test_check_tells_all_faults_and_prints_its_plan():
    plan = aq.check(RECIPE)
    assert repr(plan).splitlines() == plan and plan[0].startswith("study    small")
    wrong = RECIPE | {"taxa": ["virtual copepd"], "figures": ["stoks"], "members": {"n": 1}}
    with pytest.raises(RecipeError) as refusal:
        aq.check(wrong)
    assert len(refusal.value.faults) == 3


@pytest.mark.parametrize("jobs", [0, -1, 1.5, "2"])
def test_jobs_are_whole_numbers(jobs, tmp_path):
    with pytest.raises(UserError, match="jobs: .* allowed are whole numbers from 1"):
        aq.run(RECIPE, runs=tmp_path, jobs=jobs)


@pytest.fixture
def objects(tmp_path):
    """Three copepods and one radiolarian in 2 m3, and their embeddings."""
    samples = pd.DataFrame({"sample_id": ["s1"], "volume": [2.0], "lat": [43.0], "lon": [7.0]})
    samples = samples.assign(profile="p1", depth_top=0.0, depth_bottom=200.0)
    samples.to_parquet(tmp_path / "samples.parquet")
    labels = ["Copepoda"] * 3 + ["Acantharea"]
    table = pd.DataFrame({"sample_id": "s1", "label": labels, "status": ["validated"] * 3 + ["predicted"]})
    table["object_id"] = ["a", "b", "c", "d"]
    table["embedding"] = list(np.eye(4, dtype=np.float32))
    table.to_parquet(tmp_path / "objects.parquet")
    return tmp_path / "objects.parquet", tmp_path / "out", tmp_path / "samples.parquet"


def test_aggregate_takes_the_words_of_the_command(objects, capsys):
    source, out, samples = objects
    found = aq.aggregate(source, out, samples=samples, statuses=["all"], zones="0-200", carbon={}, memory="1GiB")
    got = found["zone_concentrations"].set_index("taxon")["number_concentration"].to_dict()
    assert got == {"Copepoda": 1.5, "Acantharea": 0.5}
    assert "4 of 4 objects counted" in capsys.readouterr().err
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MethodWarning)
        one = aq.aggregate(str(source), out, samples=samples, taxa="Copepoda", progress=False, zones=[("top", 0, 200)])
    assert one["concentrations"]["taxon"].tolist() == ["Copepoda"]
    assert one["zone_concentrations"]["zone"].tolist() == ["top"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"status": ["all"]}, "option 'status' is unknown, did you mean 'statuses'"),
        ({"zones": ["200-0"]}, "zone"),
        ({"zones": [(0, 200, 5, 6)]}, r"zone \(0, 200, 5, 6\) is not allowed; give '0-200'"),
        ({"statuses": "dubois"}, "dubois"),
    ],
)
def test_words_that_cannot_be_used_are_refused(objects, words, sentence):
    source, out, samples = objects
    with pytest.raises(UserError, match=sentence):
        aq.aggregate(source, out, samples=samples, **words)


def test_embeddings_is_a_package_and_a_verb(objects):
    source, out, samples = objects
    assert aq.embeddings.collection is collection
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MethodWarning)
        found = aq.embeddings(source, out, samples=samples, morphotypes=2)
    assert "4 embeddings of 1 samples" in repr(found)
    assert found["concentrations"]["number_concentration"].sum() == pytest.approx(2.0)
    with pytest.raises(UserError, match="option 'morphotype' is unknown; allowed are components"):
        aq.embeddings(source, out, samples=samples, morphotype=2)


def test_ingest_takes_one_path_as_text(tmp_path):
    """A string was read letter by letter: source 'n' does not exist."""
    with pytest.raises(UserError, match="'net_survey.tsv'"):
        aq.ingest("net_survey.tsv", tmp_path)
    (tmp_path / "x.txt").write_text("a\n1\n")
    with pytest.raises(UserError, match="none of 1 files is of a known format"):
        aq.ingest(tmp_path / "x.txt", tmp_path / "out")
    with pytest.raises(UserError, match="'taxa' says how objects are counted, and 0 zones are given"):
        aq.ingest("net_survey.tsv", tmp_path, taxa=["Copepoda"])


def test_a_file_that_cannot_be_read_is_told(tmp_path, capsys):
    """One broken export does not stop the rest, and is never silent: on the screen, or as a warning."""
    header = "object_id\tobject_lat\tobject_lon\tobject_date\tobject_time\tobject_depth_min\tobject_depth_max\t"
    header += (
        "object_annotation_status\tobject_annotation_category\tsample_id\tsample_tot_vol\tacq_id\tacq_instrument\n"
    )
    good = "o1\t43.5\t7.3\t20190601\t101500\t0\t200\tvalidated\tCopepoda\tn1\t100\ta1\tzooscan\n"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.tsv").write_text(header + good)
    (tmp_path / "in" / "bad.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.warns(MethodWarning, match="set aside: .*bad.zip"):
        found = aq.ingest(tmp_path / "in", tmp_path / "quiet", progress=False)
    assert found["samples"]["sample_id"].tolist() == ["n1"]
    assert "set aside: " in repr(found)
    aq.ingest(tmp_path / "in", tmp_path / "told")
    assert "bad.zip" in capsys.readouterr().err
