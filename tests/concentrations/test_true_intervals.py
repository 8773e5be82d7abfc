"""Intervals and draws of counts against exact formulas: rolled-up taxa, tiny sums, zones, split samples, carbon over size spreads."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from scipy.stats import gamma

from aqqua_dist.cli import main
from aqqua_dist.concentrations import member_tables
from aqqua_dist.concentrations.members import ErrorSources, draw_concentrations
from aqqua_dist.core import files

pytestmark = pytest.mark.filterwarnings("ignore:the error of the volume")
KINDS = [f"k{number}<Copepoda" for number in range(40)]


def aggregate(*words, code=0):
    done = CliRunner().invoke(main, ["aggregate", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


def write(folder, objects, samples, classes=None, **tables):
    """An ingested folder by hand."""
    folder.mkdir(exist_ok=True)
    frame = pd.DataFrame(objects)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if classes is not None:
        table = table.replace_schema_metadata({"classes": json.dumps(list(classes))})
    pq.write_table(table, folder / "objects.parquet")
    pd.DataFrame(samples).to_parquet(folder / "samples.parquet")
    for name, rows in tables.items():
        pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    return folder


def read(folder, name="concentrations"):
    return files.read_parquet(folder / f"{name}.parquet")


def soft(rows, size, best):
    """Softmax with 0.005 for each class but the best."""
    prob = np.full((rows, size), 0.005)
    prob[np.arange(rows), best] = 1 - 0.005 * (size - 1)
    return list(prob.astype("float32"))


@pytest.mark.parametrize("method", ["probabilistic", "acc", "pacc", "em"])
def test_the_interval_of_a_taxon_of_many_labels_is_that_of_its_count(tmp_path, method):
    """Three objects in 1 m3, 40 labels below Copepoda: Gamma(3.5) is 0.84 to 8.01; it was 15.2 to 32.4."""
    write(
        tmp_path / "in",
        {"object_id": list("abc"), "sample_id": "s", "status": "predicted", "prob": soft(3, 40, [0, 1, 2])},
        {"sample_id": ["s", "t"], "volume": 1.0},
        KINDS,
    )
    random, true = np.random.default_rng(1), np.tile(np.arange(40), 50)
    shown = np.where(random.random(2000) < 0.195, random.integers(0, 40, 2000), true)
    table = pd.DataFrame(np.stack(soft(2000, 40, shown)), columns=[f"p_{name}" for name in KINDS])
    table.assign(taxon=np.array(KINDS)[true]).to_csv(tmp_path / "v.csv", index=False)
    words = ("--method", method, "--taxon", "Copepoda", "--members", 2000, "--validation", tmp_path / "v.csv")
    aggregate(tmp_path / "in", "-o", tmp_path / "out", *words)
    found = read(tmp_path / "out").set_index("sample_id")
    names = ["number_concentration", "concentration_low", "concentration_high"]
    low, high = gamma.ppf([0.025, 0.975], 3.5)
    assert found.loc["s", names].tolist() == [
        pytest.approx(3),
        pytest.approx(low, abs=0.25),
        pytest.approx(high, rel=0.1),
    ]
    assert found.loc["t", names].tolist() == pytest.approx([0, 0, 3.689], abs=1e-3)  # nothing to be seen: Garwood's
    drawn = read(tmp_path / "out", "members").groupby("sample_id")["number_concentration"]
    assert drawn.mean().tolist() == pytest.approx([3, 0], abs=0.15)


@pytest.mark.parametrize("n", [1e-6, 0.003, 0.1, 0.5, 3.0])
@pytest.mark.parametrize("parts", [1, 7])
def test_draws_of_small_sums_are_finite_and_have_the_gamma_distribution(n, parts):
    """n = 0.003 gave 191 of 20 000 draws that were not finite, and a mean of 0.449 for 0.503."""
    counts = pd.DataFrame({"sample_id": "a", "taxon": "x", "n": np.full(parts, n / parts), "biovolume": n / parts})
    samples = pd.DataFrame({"sample_id": ["a"], "volume": [1.0], "volume_rel_sd": [0.0]})
    found = draw_concentrations(counts, samples, ["x"], ErrorSources(n_members=20_000, seed=3))
    number = found.number_concentration[:, 0, 0]
    assert np.isfinite(number).all() and (number > 0).all()
    assert number.mean() == pytest.approx(n + 0.5, abs=4 * np.sqrt((n + 0.5) / 20_000))
    below = (number[:, None] < gamma.ppf([0.025, 0.5, 0.975], n + 0.5)).mean(axis=0)
    assert below.tolist() == pytest.approx([0.025, 0.5, 0.975], abs=4 * 0.5 / np.sqrt(20_000))
    np.testing.assert_allclose(found.biovolume_concentration[:, 0, 0], number, rtol=1e-5)


@pytest.mark.parametrize("method", ["probabilistic", "pacc"])
def test_a_hundred_classes_of_next_to_nothing_have_bounds(tmp_path, method):
    classes = [f"c{number}" for number in range(100)]
    prob = np.full((3, 100), 0.001)
    prob[:, 0] = 1 - 0.099
    write(
        tmp_path / "in",
        {"object_id": list("abc"), "sample_id": "s", "status": "predicted", "prob": list(prob.astype("float32"))},
        {"sample_id": ["s"], "volume": 1.0},
        classes,
    )
    table = pd.DataFrame(np.where(np.eye(100) > 0, 0.901, 0.001), columns=[f"p_{name}" for name in classes])
    table.assign(taxon=classes).to_csv(tmp_path / "v.csv", index=False)
    words = ("--method", method, "--members", 300, "--validation", tmp_path / "v.csv")
    aggregate(tmp_path / "in", "-o", tmp_path / "out", *words)
    found = read(tmp_path / "out")
    assert len(found) == (100 if method == "probabilistic" else 1) and np.isfinite(
        found[["concentration_low", "concentration_high"]]
    ).all(axis=None)
    assert (found["concentration_low"] <= found["number_concentration"]).all()
    assert (found["concentration_high"] >= found["number_concentration"]).all()
    assert np.isfinite(read(tmp_path / "out", "members")["number_concentration"]).all()


def test_zone_intervals_are_monotone_in_the_pooled_count():
    n = np.array([0, 0.1, 0.5, 1, 2, 5, 20.0])
    samples = pd.DataFrame(
        {"sample_id": [f"s{k}{half}" for k in range(7) for half in "ab"], "volume": 1.0, "volume_rel_sd": 0.0}
    )
    pooled = pd.DataFrame({"sample_id": [f"z{k}" for k in range(7)], "volume": 2.0})
    belongs = pd.DataFrame(
        {"sample_id": samples["sample_id"], "pooled_id": np.repeat(pooled["sample_id"], 2).to_numpy()}
    )
    counts = pd.DataFrame({"sample_id": samples["sample_id"], "taxon": "x", "n": np.repeat(n / 2, 2), "weight": 1.0})
    strata = member_tables.strata_of(samples["sample_id"], np.ones(14), counts)
    plan = ErrorSources(n_members=20_000, seed=1)
    goal = (["x"], {"x": ("x",)})
    zones = member_tables.zone_intervals([(counts, None)], (samples, pooled, belongs), goal, plan, strata)
    high = zones["concentration_high"].to_numpy() * 2
    assert (np.diff(high) >= 0).all() and high[0] == pytest.approx(3.689, abs=1e-3)
    np.testing.assert_allclose(high[3:], gamma.ppf(0.975, n[3:] + 0.5), rtol=0.03)
    np.testing.assert_allclose(zones["concentration_low"][4:] * 2, gamma.ppf(0.025, n[4:] + 0.5), rtol=0.08)
    alone = counts.groupby(belongs["pooled_id"].to_numpy()).agg(n=("n", "sum")).reset_index(names="sample_id")
    alone = alone.assign(taxon="x", weight=1.0)
    whole = pooled.assign(volume_rel_sd=0.0)
    single = member_tables.intervals(
        [(alone, None)], whole, goal, plan, member_tables.strata_of(whole["sample_id"], np.ones(7), alone)
    )
    np.testing.assert_allclose(single["concentration_high"] * 2, high, rtol=0.03)  # a zone is one sample of its water


@pytest.fixture
def split(tmp_path):
    """A net of 100 m3: fraction d1 looked through whole, d2 by its 64th part."""
    rows = {
        "object_id": list("abcd"),
        "sample_id": ["net", "net", "net", "other"],
        "acquisition_id": ["d1", "d2", "d1", "o1"],
        "label": ["Copepoda", "Copepoda", "Ostracoda", "Medusae"],
        "status": "validated",
        "esd": 1000.0,
    }
    parts = {
        "sample_id": ["net", "net", "other"],
        "acquisition_id": ["d1", "d2", "o1"],
        "weight": [1.0, 64.0, 1.0],
        "acquisition_volume": [100.0, 100 / 64, 100.0],
    }
    places = {"profile": ["p", "q"], "depth_top": 0.0, "depth_bottom": 200.0, "lat": 1.0, "lon": 2.0}
    samples = {"sample_id": ["net", "other"], "volume": 100.0} | places
    return write(tmp_path / "in", rows, samples, acquisitions=parts)


def test_the_bound_of_a_split_sample_takes_the_largest_weight_that_was_looked_through(split, tmp_path):
    """Fay & Feuer 1997: nothing seen is 3.689 * 64 / 100 = 2.36 (was 0.0369); one seen in d1, 2.37 (was 0.056)."""
    aggregate(split, "-o", tmp_path / "out", "--zone", "0-200")
    for name, key in (("concentrations", "net"), ("zone_concentrations", "p_0-200")):
        found = read(tmp_path / "out", name)
        high = found[found["sample_id"] == key].set_index("taxon")["concentration_high"]
        assert high["Medusae"] == pytest.approx(3.6889 * 0.64, rel=1e-4)
        mean, variance = 1 + 64, 1 + 64**2
        exact = gamma.isf(0.025, mean**2 / variance, scale=variance / mean) / 100
        assert high["Ostracoda"] == pytest.approx(exact, rel=1e-6) and exact == pytest.approx(2.37, abs=0.01)
        other = found[found["sample_id"].str.startswith(("other", "q"))].set_index("taxon")["concentration_high"]
        assert other["Copepoda"] == pytest.approx(0.03689, rel=1e-3) and "largest_weight" not in found


def test_draws_take_a_half_of_every_weight_that_was_looked_through(split, tmp_path):
    samples = pd.read_parquet(split / "samples.parquet").assign(volume_rel_sd=0.0)
    counts = pd.DataFrame({"sample_id": ["net"], "taxon": ["x"], "n": [4.0], "weight": [1.0]})
    strata = member_tables.strata_of(["net", "net", "other"], [1.0, 64.0, 1.0], counts)
    plan, goal = ErrorSources(n_members=40_000, seed=2), (["x"], {"x": ("x",)})
    found = member_tables.intervals([(counts, None)], samples, goal, plan, strata)
    random = np.random.default_rng(9)
    twin = random.standard_gamma(4.5, 200_000) + 64 * random.standard_gamma(0.5, 200_000)
    assert found.loc[0, ["concentration_low"]].tolist() == pytest.approx([np.quantile(twin, 0.025) / 100], rel=0.05)
    assert found.loc[0, "concentration_high"] == pytest.approx(3.689 * 0.64, rel=0.05)
    assert np.quantile(twin, 0.975) / 100 < found.loc[0, "concentration_high"]  # at least that of nothing seen


# -- carbon of the members and of the concentrations
def diatoms(folder, spread, rows=3000, **more):
    esd = np.random.default_rng(2).lognormal(np.log(60), spread, rows)
    objects = {"object_id": np.arange(rows).astype(str), "sample_id": "s", "label": "Bacillariophyceae"}
    objects |= {"status": "validated", "esd": esd} | more
    write(folder, objects, {"sample_id": ["s"], "volume": 1.0})
    return (10 ** (-0.541 + 0.811 * np.log10(np.pi / 6 * esd**3)) * 1e-9).sum()


@pytest.mark.parametrize("sizes", ["--sizes", "--no-sizes"])
@pytest.mark.parametrize("spread", [0.3, 0.5, 0.8])
def test_carbon_of_members_is_that_of_the_concentrations(tmp_path, spread, sizes):
    """Was +21 % (0.5) and +66 % (0.8) in the members, and +7, +21 and +65 % without size classes."""
    truth = diatoms(tmp_path / "in", spread)
    words = ("--carbon", "Bacillariophyceae=menden_deuer2000_diatoms", "--members", 600, sizes)
    aggregate(tmp_path / "in", "-o", tmp_path / "out", *words)
    found, drawn = read(tmp_path / "out"), read(tmp_path / "out", "members")["carbon_biomass"]
    assert found["carbon_biomass"].item() == pytest.approx(truth, rel=0.005)
    assert drawn.mean() == pytest.approx(truth, rel=0.005 + 4 * drawn.std() / drawn.mean() / np.sqrt(600))
    counts = read(tmp_path / "out", "counts")
    assert counts["esd_low"].isna().all() == (sizes == "--no-sizes") and counts["n"].sum() == 3000
    assert len(counts) == 1 if sizes == "--no-sizes" else len(counts) > 5


def test_members_of_phaeodaria_are_around_the_reported_carbon(tmp_path):
    """100 of 1 mm: 100 pi/6 0.0168354 mg = 0.8815 (nine densities); the members' mean was nine times the concentration."""
    objects = {"object_id": np.arange(100).astype(str), "sample_id": "s", "label": "Phaeodaria", "status": "validated"}
    write(tmp_path / "in", objects | {"esd": 1000.0}, {"sample_id": ["s"], "volume": 1.0})
    aggregate(tmp_path / "in", "-o", tmp_path / "out", "--carbon", "Phaeodaria=pssdb_phaeodaria", "--members", 4000)
    expected = 100 * np.pi / 6 * np.exp(np.log([11.2, 18, 52.9, 48.9, 4.9, 241.2, 7.4, 39.7, 0.6]).mean()) / 1000
    drawn = read(tmp_path / "out", "members")["carbon_biomass"]
    assert read(tmp_path / "out")["carbon_biomass"].item() == pytest.approx(expected, rel=1e-6)
    assert drawn.mean() == pytest.approx(expected, rel=4 * drawn.std() / expected / np.sqrt(4000))


def test_relations_without_an_error_are_told_by_name_and_drawn_by_an_sd(tmp_path):
    objects = {"object_id": np.arange(400).astype(str), "sample_id": "s", "status": "validated", "esd": 1000.0}
    labels = np.where(np.arange(400) < 200, "Copepoda", "Salpida")
    write(tmp_path / "in", objects | {"label": labels}, {"sample_id": ["s"], "volume": 1.0})
    words = (tmp_path / "in", "--carbon", "auto", "--members", 3000)
    output = aggregate(*words, "-o", tmp_path / "one")
    exact = [line for line in output.splitlines() if "taken as exact" in line]
    assert len(exact) == 1 and "mcconville2017_copepoda, mcconville2017_salpida" in exact[0]
    assert "--conversion-sd 'Copepoda=0.3'" in exact[0]
    assert "carbon by mcconville2017_copepoda (per individual; McConville" in output and ": Salpida." in output
    aggregate(*words, "-o", tmp_path / "two", "--conversion-sd", "Copepoda=0.3")
    drawn = read(tmp_path / "two", "members").set_index(["taxon", "member"])
    each = (drawn["carbon_biomass"] / drawn["biovolume_concentration"]).unstack("taxon")
    assert np.log(each["Copepoda"]).std() == pytest.approx(0.3, rel=0.06)
    assert each["Copepoda"].mean() == pytest.approx(0.0703, rel=0.025) and np.ptp(each["Salpida"]) < 1e-6
    text = "mine: {taxa: [Copepoda], element: carbon, form: power, a: 0.1, b: 1, source: me, uncertainty: null}\n"
    (tmp_path / "own.yaml").write_text(text)
    aggregate(*words, "-o", tmp_path / "own", "--conversions", tmp_path / "own.yaml")
    found = read(tmp_path / "own").set_index("taxon")
    assert found.loc["Copepoda", "carbon_biomass"] == pytest.approx(200 * np.pi / 6 * 0.1)


def test_what_cannot_be_drawn_says_which_option_helps(tmp_path):
    objects = {
        "object_id": ["a"],
        "sample_id": "s",
        "status": "validated",
        "esd": 1000.0,
        "label": "Collodaria_colonial",
    }
    write(tmp_path / "in", objects, {"sample_id": ["s"], "volume": 1.0})
    words = (tmp_path / "in", "-o", tmp_path / "out", "--carbon", "auto")
    aggregate(*words)
    assert "--conversion-sd 'Collodaria_colonial=0.8'" in aggregate(*words, "--members", 9, code=2)
    aggregate(*words, "--members", 9, "--conversion-sd", "Collodaria_colonial=0.8")
    assert "needs none" not in aggregate(*words, "--prior", "uniform", code=2)
    assert "0 taxa that take them" in aggregate(*words[:3], "--conversions", "x.yaml", code=2)


# -- sizes of objects
def test_an_objects_own_biovolume_goes_before_its_sphere(tmp_path):
    """0.1 mm3 each beside a diameter of 1 mm was 0.5236 each."""
    objects = {"object_id": list("abc"), "sample_id": "s", "label": "Copepoda", "status": "validated", "esd": 1000.0}
    write(tmp_path / "in", objects | {"biovolume": [0.1, 0.1, None]}, {"sample_id": ["s"], "volume": 1.0})
    aggregate(tmp_path / "in", "-o", tmp_path / "out")
    assert read(tmp_path / "out")["biovolume_concentration"].item() == pytest.approx(0.2 + np.pi / 6, rel=1e-9)
    axes = {"major": 200.0, "minor": 100.0, "pixel": 10.0, "esd": [None, None, 1000.0]}
    write(tmp_path / "axes", objects | axes, {"sample_id": ["s"], "volume": 1.0})
    for shape, third in (("sphere", np.pi / 6), ("ellipsoid", np.pi / 3)):
        aggregate(tmp_path / "axes", "-o", tmp_path / shape, "--shape", shape)
        found = read(tmp_path / shape)["biovolume_concentration"].item()
        assert found == pytest.approx(2 * np.pi / 3 + third, rel=1e-9)  # 4/3 pi (1)(0.5)^2 mm3
    assert "'cube'" in aggregate(tmp_path / "axes", "-o", tmp_path / "x", "--shape", "cube", code=2)


@pytest.mark.parametrize(("sized", "known"), [(0.95, True), (0.99, False)])
def test_objects_without_a_size_are_told_and_count_as_the_others_or_not_at_all(tmp_path, sized, known):
    objects = {"object_id": np.arange(50).astype(str), "sample_id": "s", "label": "Copepoda", "status": "validated"}
    esd = np.where(np.arange(50) == 7, np.nan, 1000.0)
    write(tmp_path / "in", objects | {"esd": esd}, {"sample_id": ["s"], "volume": 1.0})
    words = ("--carbon", "Copepoda=mcconville2017_copepoda", "--sized", sized, "--members", 500)
    output = aggregate(tmp_path / "in", "-o", tmp_path / "out", *words)
    found, drawn = read(tmp_path / "out"), read(tmp_path / "out", "members")
    assert found["n"].item() == 50 and found["number_concentration"].item() == 50
    if known:
        assert "1 objects without a size count as large as the others" in output
        assert found["carbon_biomass"].item() == pytest.approx(50 * np.pi / 6 * 0.0703)
        assert drawn["carbon_biomass"].mean() == pytest.approx(50 * np.pi / 6 * 0.0703, rel=0.03)
    else:
        assert "1 objects without a size leave biovolume and carbon missing in 1 samples and labels" in output
        assert found[["carbon_biomass", "biovolume_concentration"]].isna().all(axis=None)
        assert drawn["carbon_biomass"].isna().all() and drawn["number_concentration"].notna().all()


@pytest.mark.parametrize("sizes", ["--sizes", "--no-sizes"])
def test_a_chain_is_its_cells(tmp_path, sizes):
    """A chain of 8 cells is 8 f(V / 8), not f(V): 8^0.189 = 1.48 times as much carbon; it is still one object."""
    many = np.where(np.arange(300) < 100, 8, 1)
    objects = {"object_id": np.arange(300).astype(str), "sample_id": "s", "label": "Bacillariophyceae"}
    objects |= {"status": "validated", "esd": 64.0, "n_individuals": many}
    write(tmp_path / "in", objects, {"sample_id": ["s"], "volume": 1.0})
    words = ("--carbon", "auto", "--members", 600, sizes)
    aggregate(tmp_path / "in", "-o", tmp_path / "out", *words)
    found, drawn = read(tmp_path / "out"), read(tmp_path / "out", "members")["carbon_biomass"]
    volume = np.pi / 6 * 64**3
    one = 10**-0.541 * volume**0.811 * 1e-9
    expected = 200 * one + 100 * 8**0.189 * one
    assert found["n"].item() == 300 and found["carbon_biomass"].item() == pytest.approx(expected, rel=1e-4)
    assert drawn.mean() == pytest.approx(expected, rel=4 * drawn.std() / expected / np.sqrt(600))
    assert len(read(tmp_path / "out", "counts")) == 1  # one size class


def test_a_chain_of_untold_length_has_no_carbon_by_a_curved_law(tmp_path):
    objects = {"object_id": list("ab"), "sample_id": ["s", "t"], "label": "chain<Bacillariophyceae", "esd": 64.0}
    objects |= {"status": "validated", "n_individuals": [None, 4.0]}
    write(tmp_path / "in", objects, {"sample_id": ["s", "t"], "volume": 1.0})
    output = aggregate(tmp_path / "in", "-o", tmp_path / "out", "--carbon", "auto")
    assert "carbon is missing for 1 labels whose images show several organisms" in output
    found = read(tmp_path / "out").set_index("sample_id")["carbon_biomass"]
    assert np.isnan(found["s"])
    assert found["t"] == pytest.approx(4 * 10**-0.541 * (np.pi / 6 * 64**3 / 4) ** 0.811 * 1e-9, rel=1e-4)


def test_counts_without_images_have_one_carbon_in_both_tables(tmp_path):
    """20 diatoms of 2e-3 mm3 in all: 20 f(1e5 um3); the members had carbon and the concentrations none."""
    write(
        tmp_path / "in",
        {"object_id": ["a"], "sample_id": "s", "label": "Copepoda", "status": "validated", "esd": 1000.0},
        {"sample_id": ["s", "t"], "volume": 1.0},
        counts={"sample_id": ["t"], "taxon": "Bacillariophyceae", "n": 20.0, "biovolume": 2e-3, "method": "validated"},
    )
    output = aggregate(tmp_path / "in", "-o", tmp_path / "out", "--carbon", "auto", "--members", 1000)
    assert "carbon of counts without images is that of their mean object for 1 taxa" in output
    key, expected = ("t", "Bacillariophyceae"), 20 * 10**-0.541 * 1e5**0.811 * 1e-9
    found = read(tmp_path / "out").set_index(["sample_id", "taxon"])
    assert found.loc[key, "carbon_biomass"] == pytest.approx(expected, rel=1e-6)
    drawn = read(tmp_path / "out", "members").set_index(["sample_id", "taxon"]).loc[key, "carbon_biomass"]
    assert drawn.mean() == pytest.approx(expected, rel=4 * drawn.std() / expected / np.sqrt(1000))


def test_numbers_of_individuals_below_0_are_refused(tmp_path):
    objects = {"object_id": ["a"], "sample_id": "s", "label": "Copepoda", "status": "validated", "n_individuals": [-2]}
    write(tmp_path / "in", objects | {"esd": 64.0}, {"sample_id": ["s"], "volume": 1.0})
    assert "n_individuals -2 is below 0" in aggregate(tmp_path / "in", "-o", tmp_path / "o", "--carbon", "auto", code=2)


def test_the_prior_of_em_reaches_the_counts(tmp_path):
    """Two answers (0.8, 0.2) and (0.3, 0.7), exact under a uniform prior; the validation table is of a field of 9 to 1."""
    random = np.random.default_rng(4)
    rates = np.array([[0.64, 0.16], [0.36, 0.84]])  # share of class (column) that looks like each of the two answers

    def images(mix, n):
        true = random.choice(2, n, p=mix)
        look = (random.random(n) > rates[0, true]).astype(int)
        return true, (rates / rates.sum(axis=1, keepdims=True))[look]

    true, prob = images([0.9, 0.1], 20_000)
    table = pd.DataFrame(prob, columns=["p_a", "p_b"]).assign(taxon=np.array(["a", "b"])[true])
    table.to_csv(tmp_path / "v.csv", index=False)
    true, prob = images([0.5, 0.5], 4000)
    objects = {"object_id": np.arange(4000).astype(str), "sample_id": "s", "status": "predicted"}
    write(tmp_path / "in", objects | {"prob": list(prob.astype("float32"))}, {"sample_id": ["s"], "volume": 1.0}, "ab")
    words = (tmp_path / "in", "-o", tmp_path / "out", "--method", "em", "--validation", tmp_path / "v.csv")
    assert "not calibrated on the mix 'field'" in aggregate(*words, code=2)
    aggregate(*words, "--prior", "uniform")
    found = read(tmp_path / "out").set_index("taxon")["n"]
    assert found["a"] == pytest.approx((true == 0).sum(), abs=150)
