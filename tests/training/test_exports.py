"""A recipe that names raw exports as its observations."""

import numpy as np
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.core.errors import RecipeError, UserError
from aqqua_dist.core.files import read_json, read_parquet, read_provenance
from aqqua_dist.environment.catalogue import load_layer
from aqqua_dist.stages import observe, pipeline
from aqqua_dist.stages.progress import Progress

RECIPE = """\
study: nets
title: Copepods of nets in raw EcoTaxa exports
seed: 5
taxa: [Copepoda]
zones:
  - {name: 0-200, top: 0, bottom: 200}
grid: {resolution: 2}
observations: {kind: exports, paths: [exports], quantity: number_concentration}
predictors: {kind: layers, names: [temperature, salinity, bathymetry], monthly: true}
model: {objective: "count:poisson", effort_weight: true, rounds: 30, learning_rate: 0.1}
members: {scheme: cruise_bootstrap, n: 6}
validation: {folds: 3, block_size: 20}
figures: []
"""
HEADER = (
    "object_id object_lat object_lon object_date object_time object_depth_min object_depth_max object_annotation_status object_annotation_category "
    "object_annotation_hierarchy object_area sample_id sample_program sample_tot_vol acq_id acq_instrument acq_sub_part "
    "process_particle_pixel_size_mm"
).split()
LINE = "living>Eukaryota>Metazoa>Crustacea>Copepoda"


def write_exports(folder, samples=60):
    """One file per cruise; the number of animals is known for every net."""
    rng, folder = np.random.default_rng(3), folder / "exports"
    folder.mkdir()
    floor = load_layer("bathymetry")
    known, rows = {}, {}
    while len(known) < samples:
        lat, lon = rng.integers(-30, 30) * 2 + 1, rng.integers(-90, 89) * 2 + 1
        if not float(floor.sel(lat=lat, lon=lon, method="nearest")) > 1000:
            continue
        name, cruise, n = f"n{len(known)}", f"c{len(known) // 6}", int(rng.poisson(6)) + 1
        known[name] = (lat, lon, cruise, n)
        for k in range(n + 2):
            label, line = ("Calanidae", f"{LINE}>Calanoida>Calanidae") if k < n else ("egg<Copepoda", f"{LINE}>egg")
            rows.setdefault(cruise, []).append(
                [
                    f"{name}_{k}",
                    lat,
                    lon,
                    "20190615",
                    "101500",
                    0,
                    200,
                    "validated",
                    label,
                    line,
                    400,
                    name,
                    cruise,
                    200,
                    f"d1_{name}",
                    "zooscan",
                    2,
                    0.0106,
                ]
            )
    for cruise, lines in rows.items():
        text = "\n".join("\t".join(map(str, line)) for line in [HEADER, *lines])
        (folder / f"ecotaxa_{cruise}.tsv").write_text(text + "\n")
    return known


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    known = write_exports(folder)
    (folder / "nets.yaml").write_text(RECIPE)
    context = pipeline.open_study(folder / "nets.yaml", runs=folder / "runs", jobs=2, progress=False)
    pipeline.run(context)
    return context, known


def test_training_rows_hold_the_concentration_of_each_net(study):
    context, known = study
    training = read_parquet(context.out / "match" / "training.parquet")
    assert (training["month"] == 6).all()
    assert set(training["taxon"]) == {"Copepoda"}
    rows = training.set_index(["lat", "lon", "cruise"])
    checked = 0
    for lat, lon, cruise, n in known.values():
        if (lat, lon, cruise) in rows.index and rows.loc[[(lat, lon, cruise)], "n_samples"].iloc[0] == 1:
            row = rows.loc[(lat, lon, cruise)]
            assert row["y"] == pytest.approx(n / 100)  # eggs are not counted; half of 200 m3 was scanned
            assert row["effort"] == 100
            checked += 1
    assert checked > 50


def test_the_whole_chain_runs_to_the_stock(study):
    context, _ = study
    budget = read_parquet(context.out / "budget" / "budget.parquet")
    assert (budget["estimate"] > 0).any()
    report = (context.out / "observe" / "ingest" / "quality.md").read_text()
    assert "60 samples, 60 with a sampled volume (6000 m3 in all), 10 cruises." in report
    provenance = read_provenance(context.out / "match" / "training.parquet")
    assert any(name.startswith("exports/ecotaxa_c0") for name in provenance.inputs)


def test_a_changed_export_is_read_again(study, tmp_path):
    context, _ = study
    files = sorted((context.folder / "exports").iterdir())
    text, stage = files[0].read_text(), observe.STAGES["exports"]
    before = Progress(context).key(stage)[0]
    files[0].write_text(text.replace("validated", "predicted", 1))
    assert Progress(context).key(stage)[0] != before
    files[0].write_text(text)
    assert Progress(context).key(stage)[0] == before


def test_faults_of_the_recipe_are_named(tmp_path):
    (tmp_path / "exports").mkdir()
    for change, message in (
        (
            (
                "kind: layers, names: [temperature, salinity, bathymetry], monthly: true",
                "kind: table, path: a.csv, names: {a: b}",
            ),
            "exports need 'layers'",
        ),
        (("number_concentration", "carbon_biomass"), "quantity 'carbon_biomass' needs 'carbon'"),
        (
            ("quantity: number_concentration", "quantity: number_concentration, statuses: [good]"),
            "status 'good' is unknown",
        ),
        (("quantity: number_concentration", "quantity: number_concentration, sorted: 95"), "sorted"),
        (("paths: [exports]", "paths: []"), "paths"),
    ):
        (tmp_path / "nets.yaml").write_text(RECIPE.replace(*change))
        with pytest.raises(RecipeError, match=message):
            pipeline.open_study(tmp_path / "nets.yaml", runs=tmp_path / "runs", jobs=1, progress=False)
    (tmp_path / "nets.yaml").write_text(RECIPE)
    done = CliRunner().invoke(main, ["run", str(tmp_path / "nets.yaml"), "--runs", str(tmp_path / "runs"), "--quiet"])
    assert done.exit_code == 2
    assert "hold 0 files, at least 1 is needed" in done.output


def test_exports_that_cover_no_zone_say_so(study, tmp_path):
    context, _ = study
    deep = RECIPE.replace("name: 0-200, top: 0, bottom: 200", "name: deep, top: 300, bottom: 600").replace(
        "[exports]", f"['{context.folder / 'exports'}']"
    )
    (tmp_path / "deep.yaml").write_text(deep)
    other = pipeline.open_study(tmp_path / "deep.yaml", runs=tmp_path / "runs", jobs=1, progress=False)
    with pytest.raises(UserError, match="none of 60 samples covers 80% of a zone among deep"):
        pipeline.run(other)


@pytest.mark.parametrize(("draw", "statuses"), [("counting", "[V]"), ("members", "[validated, p]")])
def test_exports_draw_counts_and_have_carbon_as_aggregated_folders_do(study, tmp_path, draw, statuses):
    context, _ = study
    text = RECIPE.replace("[exports]", f"['{context.folder / 'exports'}']").replace(
        "number_concentration}",
        f"carbon_biomass, carbon: {{Copepoda: lehette2009_zooplankton}}, draw: [{draw}], statuses: {statuses}, sorted: 0.95}}",
    )
    # fold models share all cruises, so that errors of single cruises may be drawn on top
    text = text.replace("members: {scheme: cruise_bootstrap, n: 6}", "members: {scheme: folds, folds: 3, repeats: 2}")
    (tmp_path / "nets.yaml").write_text(text)
    other = pipeline.open_study(tmp_path / "nets.yaml", runs=tmp_path / "runs", jobs=1, progress=False)
    pipeline.run(other, stop_after="match")
    carbon = read_parquet(other.out / "match" / "training.parquet")
    number = read_parquet(context.out / "match" / "training.parquet")
    assert len(carbon) == len(number) and [name for name in carbon if name.startswith("draw_")] == [
        f"draw_{k:04d}" for k in range(6)
    ]
    each = carbon["y"] / number["y"]  # all animals are of one size
    np.testing.assert_allclose(each, each.iloc[0], rtol=1e-9)
    draws = carbon[[f"draw_{k:04d}" for k in range(6)]].to_numpy()
    assert (np.ptp(draws, axis=1) > 0).all() and (draws > 0).all()
    assert (other.out / "observe" / "ingest" / "zone_concentrations.csv").is_file()


def test_nets_that_nobody_sorted_are_no_zeros_of_a_recipe(study, tmp_path):
    context, _ = study
    (tmp_path / "exports").mkdir()
    for path in sorted((context.folder / "exports").iterdir()):
        text = path.read_text()
        (tmp_path / "exports" / path.name).write_text(
            text.replace("validated", "predicted") if "c0" in path.name else text
        )
    (tmp_path / "nets.yaml").write_text(RECIPE)
    other = pipeline.open_study(tmp_path / "nets.yaml", runs=tmp_path / "runs", jobs=1, progress=False)
    pipeline.run(other, stop_after="match")
    repairs = read_json(other.out / "match" / "repairs.json")["repairs"]
    training = read_parquet(other.out / "match" / "training.parquet")
    assert "c0" not in set(training["cruise"]) and (training["y"] > 0).all()
    assert any("6 profiles and zones have no value" in text for text in repairs)
