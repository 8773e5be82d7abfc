"""One small test per sentence of the methods that every study relies on, on tables of about 30 rows made by hand.

First from images to concentrations, then what makes a score and an interval true. Each expectation is counted by hand,
or by a twin that goes another way.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, gamma, poisson
from sklearn.ensemble import RandomForestRegressor

from aqqua_dist.concentrations.concentrations import concentrations
from aqqua_dist.concentrations.zones import pooled_counts, zone_samples
from aqqua_dist.core import files, vocabulary
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.seeds import legacy_centre, legacy_members
from aqqua_dist.core.tables import SAMPLES, typed
from aqqua_dist.counts import correction, counting_error
from aqqua_dist.counts.confusion import Confusion
from aqqua_dist.diagnostics.applicability import read_applicability
from aqqua_dist.environment.catalogue import load_layer
from aqqua_dist.environment.cube import build_cube
from aqqua_dist.environment.harmonise import interpolate
from aqqua_dist.habitat_models import draws
from aqqua_dist.habitat_models.ensemble import Ensemble
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.maps import prediction, stocks
from aqqua_dist.maps.products import Product, identity
from aqqua_dist.organisms import sizes
from aqqua_dist.organisms.conversions import convert_size
from aqqua_dist.recipe.context import Target
from aqqua_dist.recipe.sections import Zone
from aqqua_dist.stages import fit, pipeline
from aqqua_dist.training.rows import prepare, validation_folds

BINS = 30


def cast(deepest=150.0, volume=None):
    """A profile of 30 bins of 5 m from the surface, of 0.1 to 3 m3; it ends where it ends."""
    tops = 5.0 * np.arange(BINS)
    table = pd.DataFrame(
        {
            "sample_id": [f"b{k:02d}" for k in range(BINS)],
            "profile": "cast",
            "time": "2019-06-01",
            "lat": 10.0,
            "lon": -30.0,
            "depth_top": tops,
            "depth_bottom": tops + 5,
            "volume": 0.1 * np.arange(1, BINS + 1) if volume is None else volume,
            "volume_rel_sd": 0.1,
        }
    )
    return typed(table[table["depth_bottom"] <= deepest], SAMPLES)


# -- from images to concentrations


def test_the_concentration_of_a_zone_is_objects_over_water_and_not_a_mean_of_bins():
    """One animal and 0.5 mm3 in every tenth bin: 3 animals over 0.1 (1 + ... + 30) = 46.5 m3; a mean of bins says 0.43."""
    counts = pd.DataFrame({"sample_id": ["b00", "b10", "b20"], "taxon": "Copepoda", "n": 1.0, "biovolume": 0.5})
    pooled, members, _ = zone_samples(cast(), [("0-150", 0, 150)])
    row = concentrations(pooled, pooled_counts(counts, members)).iloc[0]
    assert row["number_concentration"] == pytest.approx(3 / 46.5)
    assert row["biovolume_concentration"] == pytest.approx(1.5 / 46.5)
    assert np.mean([1 / 0.1, 1 / 1.1, 1 / 2.1, *[0] * 27]) == pytest.approx(0.3795, abs=1e-4)  # the wrong one


def test_every_sample_keeps_its_zeros():
    counts = pd.DataFrame({"sample_id": ["b03"], "taxon": "Copepoda", "n": 2.0})
    got = concentrations(cast(), counts, ["Copepoda", "Rhizaria"])
    assert len(got) == 2 * BINS
    assert (got["number_concentration"] == 0).sum() == 2 * BINS - 1 and got["number_concentration"].notna().all()


@pytest.mark.parametrize(("deepest", "kept"), [(150, 1), (120, 1), (115, 0)])
def test_a_profile_must_cover_four_fifths_of_the_zone(deepest, kept):
    """120 of 150 m are 80 %."""
    pooled, _, dropped = zone_samples(cast(deepest), [("0-150", 0, 150)])
    assert (len(pooled), len(dropped)) == (kept, 1 - kept)


def test_a_profile_of_2_m3_misses_a_taxon_of_half_an_animal_per_m3_in_37_of_100_cases():
    """exp(-1): the interval of such a zero must hold what is there, 0.5 m-3."""
    missed = poisson.pmf(0, 0.5 * 2)
    assert missed == pytest.approx(np.exp(-1))
    high = counting_error.garwood([0])[1][0] / 2
    assert high == pytest.approx(3.688879 / 2) and high > 0.5


def test_diameters_and_volumes_of_images():
    """A disc of 100 px of 0.05 mm: 564 um; public code took its diameter for a radius (8 times) or forgot the root (5.6)."""
    diameter = sizes.esd(100, 50)
    assert diameter == pytest.approx(2 * np.sqrt(100 / np.pi) * 50) == pytest.approx(564.19, abs=0.01)
    ball = sizes.sphere(diameter)
    assert ball == pytest.approx(4 / 3 * np.pi * (diameter / 2e3) ** 3)
    assert sizes.ellipsoid(30, 10, 50) == pytest.approx(4 / 3 * np.pi * 0.75 * 0.25 * 0.25)
    assert sizes.ellipsoid(diameter, diameter) == pytest.approx(ball)
    assert sizes.esd_uvp(100, 0.0036, 1.2) == pytest.approx(2e3 * np.sqrt(0.0036 * 100**1.2 / np.pi))


def test_the_interval_of_a_count_is_exact():
    """Garwood: at its bounds the count, or more or less, has a chance of 2.5 %; of zero the upper one is 3.689."""
    n = np.arange(1, 31)
    low, high = counting_error.garwood(n)
    assert poisson.sf(n - 1, low) == pytest.approx(np.full(30, 0.025))
    assert poisson.cdf(n, high) == pytest.approx(np.full(30, 0.025))
    assert counting_error.garwood([0])[1][0] == pytest.approx(-np.log(0.025))


def test_fractions_of_other_weights_have_the_gamma_interval():
    """Fay & Feuer: 30 + 8 x 5 = 70 of variance 30 + 64 x 5; the upper bound adds one object of the largest weight."""
    low, high = counting_error.fay_feuer([30, 5], [1, 8], [0, 0])
    assert low[0] == pytest.approx(gamma.ppf(0.025, 70**2 / 350, scale=350 / 70))
    assert high[0] == pytest.approx(gamma.ppf(0.975, 78**2 / 414, scale=414 / 78))


def test_members_draw_a_gamma_of_the_count_and_a_half():
    drawn = counting_error.draw_counts(np.arange(BINS), np.random.default_rng(1), 20000)
    expected = np.arange(BINS) + 0.5
    assert np.abs(drawn.mean(axis=0) - expected).max() < 5 * np.sqrt(expected.max() / 20000)
    assert drawn.var(axis=0) == pytest.approx(expected, rel=0.15)


PROB = np.tile([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], (10, 1))
LABELS = [np.eye(2), np.array([[0.8, 0.2], [0.1, 0.9]])]


@pytest.mark.parametrize(
    ("method", "rates", "expected", "left"),
    [
        ("validated", None, [0, 0], 30),  # what no human has seen is not counted
        ("top1", None, [20, 10], 0),
        ("thresholded", None, [10, 10], 10),  # 0.6 is below 0.7: the remainder is unclassified
        ("probabilistic", None, [17, 13], 0),
        ("acc", LABELS[1], [170 / 7, 40 / 7], 0),  # 0.8 x + 0.1 (30 - x) = 20
        ("pacc", LABELS[1], [20, 10], 0),  # 0.8 x + 0.1 (30 - x) = 17
        ("acc", LABELS[0], [20, 10], 0),
    ],
)
def test_ways_to_count_what_a_model_has_labelled(method, rates, expected, left):
    """30 images: ten each of probabilities 0.9, 0.6 and 0.2 of class a."""
    sums = correction.summed(PROB, ("a", "b"), np.zeros(30, dtype=int), 1, 0.7)
    kind = {"acc": "labels", "pacc": "probabilities"}.get(method)
    table = None if rates is None else Confusion(("a", "b"), 100 * rates, kind)
    counts, rest = correction.estimate(sums, method, table)
    assert counts[0] == pytest.approx(expected) and rest[0] == left


def test_expectation_maximisation_ends_where_the_mix_explains_itself():
    """Saerens et al.: with prior (1/2, 1/2) the mix p is the mean over images of p q / (p q + (1 - p)(1 - q))."""
    counts, _ = correction.em(PROB, ("a", "b"), [0.5, 0.5], tolerance=1e-12)
    p, q = counts[0] / 30, PROB[:, 0]
    assert 0.5 < p < 1 and p == pytest.approx((p * q / (p * q + (1 - p) * (1 - q))).mean(), abs=1e-9)


def test_members_draw_rows_of_the_confusion_from_a_dirichlet():
    """8 and 2 of 10 images, and one object of the prior: the first share is Beta(8.5, 2.5)."""
    drawn = counting_error.draw_shares([[8, 2]], np.random.default_rng(3), 20000)[:, 0]
    assert drawn.sum(axis=1) == pytest.approx(np.ones(20000))
    assert np.quantile(drawn[:, 0], [0.1, 0.5, 0.9]) == pytest.approx(beta.ppf([0.1, 0.5, 0.9], 8.5, 2.5), abs=0.01)


def test_the_error_of_a_volume_is_log_normal_and_one_for_all_samples_of_a_rule():
    rule = ["uvp"] * 15 + ["net"] * 15
    drawn = counting_error.draw_volumes(np.arange(1.0, 31), 0.2, np.random.default_rng(5), 20000, rule=rule)
    logs = np.log(drawn / np.arange(1.0, 31))
    assert np.ptp(logs[:, :15], axis=1).max() < 1e-12 and np.ptp(logs[:, 15:], axis=1).max() < 1e-12
    assert abs(np.corrcoef(logs[:, 0], logs[:, 20])[0, 1]) < 0.04
    assert logs.std(axis=0) == pytest.approx(np.full(30, np.sqrt(np.log(1.04))), rel=0.03)
    assert drawn.mean(axis=0) == pytest.approx(np.arange(1.0, 31), rel=0.01)


def test_the_error_of_a_conversion_is_drawn_once_for_all_sizes():
    """A known spread of ln C of 0.3: each member has one factor, whatever the size."""
    size = np.linspace(1e3, 3e4, BINS)
    found = convert_size(size, "menden_deuer2000_protists", "carbon", units="um3", spread=(4000, 1, 0.3))
    logs = np.log(found.draws / found.value)
    assert np.ptp(logs, axis=1).max() < 1e-9
    assert logs[:, 0].std() == pytest.approx(0.3, abs=0.02)


def test_drawing_on_top_of_a_resampling_is_refused_where_the_error_is_of_single_units():
    for source in ("counting", "volume"):
        with pytest.raises(UserError, match=f"'{source}' is independent between cruises"):
            draws.plan(["cruise", source], ["a", "b", "c"], 10, 1)
    shared = ["classifier", "conversion", "calibration", "predictor_product", "rate_parameters"]
    assert len(draws.plan(["cruise", *shared], ["a", "b", "c"], 10, 1)) == 60


@pytest.mark.parametrize(
    ("family", "settings", "power"),
    [
        ("boosting", {"objective": "count:poisson"}, 1),
        ("boosting", {"objective": "reg:tweedie", "tweedie_variance_power": 1.3}, 1.3),
        ("boosting", {"objective": "reg:gamma"}, 2),
        ("glm", {"power": 1.0}, 1),
        ("glm", {"power": 1.6}, 1.6),
        ("glm", {"power": 2.0}, 2),
        ("forest", {}, 1),
    ],
)
def test_the_volume_is_an_exposure_by_the_variance_function(family, settings, power):
    volume = np.linspace(0.1, 3, BINS)
    given = FAMILIES[family].Settings(kind=family, **settings)
    assert FAMILIES[family].weight(volume, given) == pytest.approx(volume ** (2 - power))


# -- scores, areas and intervals of a study: 30 rows of six cruises that cross the blocks

RECIPE = """\
study: thirty
title: Thirty rows
zones:
  - {name: 0-200, top: 0, bottom: 200}
grid: {resolution: 10, clip_at_sea_floor: false}
observations:
  kind: table
  path: rows.csv
  columns: {y: biomass, taxon: taxon, lat: lat, lon: lon, cruise: cruise, effort: volume}
  quantity: carbon_biomass
  units: mg m-3
predictors:
  kind: table
  path: grid.csv
  names: {temperature: sst, salinity: sal}
model: {kind: forest, trees: 6, min_samples_leaf: 2, effort_weight: true}
members: {scheme: cruise_bootstrap, n: 8}
validation: {schemes: [random, spatial_block, cruise], folds: 3, block_size: 20}
budget: {latitude_band: 30, basins: false, interval_widening: 2}
figures: []
"""
NAMES = ["temperature", "salinity"]


def write_tables(folder, factor=1.0):
    lat, lon = (a.ravel() for a in np.meshgrid(np.arange(-45, 46, 10.0), np.arange(-75, 16, 10.0), indexing="ij"))
    sst = 28 - 0.5 * np.abs(lat) + 2 * np.sin(np.radians(3 * lon))
    grid = pd.DataFrame({"lat": lat, "lon": lon, "sst": sst, "sal": 34 + np.cos(np.radians(2 * lon)) + lat / 40})
    grid.to_csv(folder / "grid.csv", index=False)
    rows = grid[grid["lat"].abs() < 30].sample(30, random_state=1).reset_index(drop=True)
    random = np.random.default_rng(2)
    rows = rows.assign(
        taxon="Copepoda", cruise=[f"c{k % 6}" for k in range(30)], volume=np.geomspace(0.5, 8, 30).round(3)
    )
    rows["biomass"] = factor * random.poisson(rows["sst"]) / 10
    rows.to_csv(folder / "rows.csv", index=False)


def opened(folder, text=RECIPE):
    (folder / "thirty.yaml").write_text(text)
    return pipeline.open_study(folder / "thirty.yaml", runs=folder / "runs", jobs=1, progress=False)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study that is finished up to its budget; tests only read it."""
    folder = tmp_path_factory.mktemp("thirty")
    write_tables(folder)
    context = opened(folder)
    pipeline.run(context, stop_after="budget")
    return context


@pytest.fixture(scope="module")
def rows(study):
    return prepare(study, files.read_parquet(study.out / "match" / "training.parquet"), NAMES)


@pytest.fixture(scope="module")
def ensemble(study):
    return Ensemble.load(study.out / "fit" / "Copepoda_0-200" / "ensemble.zip")


@pytest.fixture(scope="module")
def mapped(study):
    """Map, members' totals and cells with their volume (m3)."""
    data = files.read_netcdf(study.out / "map" / "Copepoda_0-200.nc")
    totals = files.read_parquet(study.out / "map" / "Copepoda_0-200_totals.parquet")
    cube = files.read_netcdf(study.out / "cube" / "cube.nc")
    return data, totals, prediction.domain(cube, "0-200", NAMES)


def on_cells(data, name, where):
    return data[name].transpose("lat", "lon").to_numpy().ravel()[where.cells]


def forest(seed):
    return RandomForestRegressor(6, min_samples_leaf=2, max_features=1.0, criterion="poisson", random_state=seed)


def test_the_effort_is_the_weight_of_a_row_in_the_estimate(study, rows, ensemble):
    volume = rows.table["effort"].to_numpy()
    assert sorted(volume) == pytest.approx(np.geomspace(0.5, 8, 30).round(3))
    X = rows.X.to_numpy(np.float32)
    twin = forest(legacy_centre(study.recipe.seed)).fit(X, rows.y, sample_weight=volume / volume.mean()).predict(X)
    np.testing.assert_allclose(ensemble.centres(X)[0], twin, rtol=1e-6)
    without = forest(legacy_centre(study.recipe.seed)).fit(X, rows.y).predict(X)
    assert np.abs(without - twin).max() > 0.01


def test_members_resample_cruises_and_neither_rows_nor_blocks(study, rows, ensemble):
    cruise, block = rows.table["cruise"].to_numpy(), rows.table["block"].to_numpy()
    assert len(set(zip(cruise, block, strict=True))) > len(set(block)) > 4  # cruises cross the blocks
    held = draws.copies(draws.study_units(rows.table), study.recipe.members.count, study.recipe.seed)
    _, members, _ = fit.choose(study, Target("Copepoda", "0-200"), rows, held)
    for member in members:
        copies = np.bincount(member, minlength=30)
        assert copies.sum() == 30
        assert all(len(set(copies[cruise == name])) == 1 for name in set(cruise))
    assert len({tuple(sorted(member)) for member in members}) > 5
    X, weight = rows.X.to_numpy(np.float32), rows.table["effort"] / rows.table["effort"].mean()
    seed = legacy_members(study.recipe.seed, 8)[0]
    copies = np.bincount(members[0], minlength=30)
    drawn = copies > 0
    twin = FAMILIES["forest"].estimator(rows.settings, seed)
    twin.fit(X[drawn], rows.y[drawn], sample_weight=(weight * copies)[drawn])
    np.testing.assert_allclose(ensemble.predict(X)[0], twin.predict(X), rtol=1e-6)


def test_a_cruise_is_the_unit_where_rows_have_one_and_else_the_block():
    table = pd.DataFrame({"cruise": ["a", "b", "b", None], "block": [1, 1, 2, 3]})
    assert draws.study_units(table) == ["a", "b"]
    assert draws.study_units(table[["block"]]) == [1, 2, 3]


def test_every_scheme_is_reported_side_by_side(study):
    table = files.read_parquet(study.out / "fit" / "scores.parquet")
    pooled = table[(table["fold"] == -1) & (table["metric"] == "r2")]
    assert sorted(pooled["scheme"]) == ["cruise", "random", "spatial_block"] and pooled["value"].notna().all()


def test_a_fold_of_the_scores_has_seen_none_of_its_cruises_or_blocks(study, rows):
    shown = files.read_parquet(study.out / "fit" / "Copepoda_0-200" / "predictions.parquet")
    for scheme, column in (("cruise", "cruise"), ("spatial_block", "block")):
        part = shown[shown["scheme"] == scheme]
        units = rows.table[column].to_numpy()[part["row"]]
        assert len(part) == 30 and pd.Series(part["fold"].to_numpy()).groupby(units).nunique().eq(1).all()


def test_the_threshold_of_the_area_is_of_the_folds_whose_error_is_claimed(study, rows, ensemble):
    """Meyer & Pebesma by hand: scaled, weighted; nearest row of another block fold over the mean distance."""
    X = rows.X.to_numpy(float)
    points = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1) * ensemble.importances()
    apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    folds = validation_folds(study, rows)[0]["spatial_block"]

    def threshold(other):
        index = np.where(other, apart, np.inf).min(axis=1) / (apart.sum() / (30 * 29))
        low, high = np.quantile(index, [0.25, 0.75])
        return index[index <= high + 1.5 * (high - low)].max()

    kept = read_applicability(study.out / "fit" / "Copepoda_0-200" / "applicability.nc")
    assert kept.threshold_ == pytest.approx(threshold(folds[:, None] != folds[None]))
    assert kept.threshold_ != pytest.approx(threshold(~np.eye(30, dtype=bool)), rel=0.02)


def test_a_cell_is_inside_where_its_index_is_at_most_the_threshold(study, mapped):
    data, _, where = mapped
    area = read_applicability(study.out / "fit" / "Copepoda_0-200" / "applicability.nc")
    index = area.predict(where.features[0].astype(float))
    inside = on_cells(data, "applicability", where) == 1
    assert ((index > area.threshold_) & (index <= 2 * area.threshold_)).any()  # a doubled threshold would show
    np.testing.assert_array_equal(inside, index <= area.threshold_)
    assert inside.any() and not inside.all()


def test_the_stock_stands_inside_and_outside_the_area_side_by_side(mapped, ensemble):
    data, totals, where = mapped
    inside = on_cells(data, "applicability", where) == 1
    stock = ensemble.predict(where.features[0]).astype(float) * where.volume * 1e-18  # mg m-3 and m3 to Pg
    found = totals[totals["member"] >= 0].set_index(["region", "member"])["total"]
    assert found["inside"].to_numpy() == pytest.approx(stock[:, inside].sum(axis=1), rel=1e-6)
    assert found["outside"].to_numpy() == pytest.approx(stock[:, ~inside].sum(axis=1), rel=1e-6)
    assert found["global"].to_numpy() == pytest.approx(stock.sum(axis=1), rel=1e-6)
    assert not np.allclose(found["inside"], found["outside"], rtol=0.05)


def test_the_sum_of_cell_sd_is_that_of_the_members_of_each_cell(mapped, ensemble):
    data, totals, where = mapped
    sd = ensemble.predict(where.features[0]).astype(float).std(axis=0, ddof=1)
    expected = (sd * where.volume).sum() * 1e-18
    stated = totals.loc[totals["region"] == "global", "sum_cell_sd"]
    assert stated.to_numpy() == pytest.approx(np.full(9, expected), rel=1e-5)
    assert on_cells(data, "carbon_biomass_sd", where) == pytest.approx(
        sd, rel=4e-3, abs=1e-6
    )  # the map is rounded to bits


def test_the_interval_is_log_normal_around_the_full_fit_and_as_wide_as_the_recipe_says(study, mapped):
    """interval_widening: 2 doubles the members' standard deviation of the logarithm and no other column."""
    _, totals, _ = mapped
    budget = files.read_parquet(study.out / "budget" / "budget.parquet").set_index("region")
    for region in ("global", "inside", "0-30N"):
        part = totals[totals["region"] == region].set_index("member")["total"]
        members, full = part.drop(-1).to_numpy(), part[-1]
        width = 2 * 1.959964 * np.log(members).std(ddof=1)
        row = budget.loc[region]
        assert (row["low"], row["high"]) == pytest.approx((full * np.exp(-width), full * np.exp(width)))
        assert row["interval"] == "lognormal, sd x 2"
        assert (row["estimate"], row["mean"], row["sd"]) == pytest.approx((full, members.mean(), members.std(ddof=1)))


def test_the_estimate_is_the_full_fit_and_never_the_mean_of_resampled_members(mapped, ensemble):
    data, totals, where = mapped
    estimate = ensemble.centres(where.features[0])[0].astype(float)
    part = totals[totals["region"] == "global"].set_index("member")["total"]
    assert part[-1] == pytest.approx((estimate * where.volume).sum() * 1e-18, rel=1e-6)
    assert part[-1] != pytest.approx(part.drop(-1).mean(), rel=1e-3)


def test_the_spread_of_folds_is_called_model_stability(tmp_path):
    write_tables(tmp_path)
    text = RECIPE.replace(
        "{scheme: cruise_bootstrap, n: 8}", "{scheme: folds, folds: 3, repeats: 2, test_fraction: 0.2}"
    )
    context = opened(tmp_path, text.replace(", interval_widening: 2", ""))
    pipeline.run(context, stop_after="budget")
    data = files.read_netcdf(context.out / "map" / "Copepoda_0-200.nc")
    assert "model stability, not a confidence interval" in str(data.attrs)
    budget = files.read_parquet(context.out / "budget" / "budget.parquet")
    assert set(budget["interval"]) == {"percentiles"}
    np.testing.assert_allclose(budget["estimate"], budget["mean"])


def test_a_total_of_a_monthly_map_is_that_of_the_mean_month():
    """Twelve months of 1 to 12 in 30 cells of 2 m3: 6.5 x 60, not 12 times as much."""

    class Same:
        n_members = 2

        def predict(self, X, *, jobs=1):
            return np.stack([X[:, 0], 3 * X[:, 0]])

        def centres(self, X):
            return np.empty((0, len(X)), dtype="float32")

    features = np.repeat(np.arange(1.0, 13)[:, None, None], 30, axis=1).astype("float32")
    where = prediction.Domain(features, np.arange(30), np.full(30, 2.0), np.full(30, 1.0), np.arange(1, 13))
    weights = np.full((12 * 30, 1), 2.0)
    made = Product(identity, ("t",), where.cells, lambda a, b: weights)
    fields, totals = prediction.predict({"t": (Same(), where)}, {"t": made}, progress=False)["t"]
    assert totals[:2, 0].tolist() == [390.0, 1170.0]
    assert fields["mean_annual"] == pytest.approx(np.full(30, 13.0))


def test_a_cell_is_sea_where_at_least_half_of_it_is():
    cube = build_cube(["bathymetry"], [Zone(name="z", top=0, bottom=200)], resolution=4, monthly=False)
    layer = load_layer("bathymetry")
    share = interpolate(layer.notnull().astype(float), cube["lat"], cube["lon"]).to_numpy()
    floor = interpolate(layer, cube["lat"], cube["lon"]).to_numpy()
    domain = cube["domain"].sel(zone="z").to_numpy()
    assert ((share >= 0.5) & (share < 0.9)).sum() > 20 and ((share > 0.1) & (share < 0.5)).sum() > 20
    np.testing.assert_array_equal(domain == 1, (share >= 0.5) & (floor > 0))


def test_a_stage_hashes_what_a_file_holds_and_not_where_it_lies(tmp_path):
    """Another biomass in the same file is another key; the same bytes are the same key, touched or copied."""
    write_tables(tmp_path)
    first = pipeline.run(opened(tmp_path), stop_after="observe")["observe"]
    write_tables(tmp_path)
    assert pipeline.run(opened(tmp_path), stop_after="observe")["observe"] == first
    write_tables(tmp_path, 1.5)
    assert pipeline.run(opened(tmp_path), stop_after="observe")["observe"] != first


def test_unknown_is_never_zero_in_a_stock_and_its_unit_is_named(mapped):
    _, totals, _ = mapped
    rule = stocks.stock_of("carbon_biomass")
    assert (rule.units, rule.factor) == ("Pg C", 1e-18) and set(totals["units"]) == {"Pg C"}
    assert totals["total"].notna().all() and (totals.loc[totals["region"] == "global", "total"] > 0).all()
    assert vocabulary.quantity("carbon_biomass").units == "mg m-3"
