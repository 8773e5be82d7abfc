"""Draws of concentrations: exact moments, coverage, common errors, independence of the sources."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gamma, poisson

from aqqua_dist.concentrations.members import ErrorSources, draw_concentrations, variance_shares
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.counts import correction
from aqqua_dist.counts.confusion import Confusion

SAMPLES = pd.DataFrame(
    {"sample_id": ["a", "b", "c"], "volume": [2.0, 4.0, 5.0], "volume_rel_sd": 0.0, "effort_rule": "r"}
)
COUNTS = pd.DataFrame(
    {"sample_id": ["a", "a", "b"], "taxon": ["x", "y", "x"], "n": [8.0, 3.0, 20.0], "biovolume": [16.0, 3.0, 60.0]}
)
MANY = ErrorSources(n_members=40_000, seed=3)


def test_moments_are_those_of_the_gamma_distribution():
    found = draw_concentrations(COUNTS, SAMPLES, ["x", "y"], MANY)
    n, volume = np.array([[8, 3], [20, 0], [0, 0]]), np.array([[2], [4], [5]])
    assert found.number_concentration.shape == (40_000, 3, 2) and found.number_concentration.dtype == np.float32
    np.testing.assert_allclose(found.number_concentration.mean(axis=0), (n + 0.5) / volume, rtol=0.02)
    np.testing.assert_allclose(found.number_concentration.var(axis=0), (n + 0.5) / volume**2, rtol=0.05)
    none = draw_concentrations(COUNTS, SAMPLES, ["x", "y"], replace(MANY, prior=0.0))
    np.testing.assert_allclose(none.number_concentration.mean(axis=0), n / volume, rtol=0.02)
    assert (none.number_concentration[:, 2] == 0).all()


def test_biovolume_moves_with_the_number():
    found = draw_concentrations(COUNTS, SAMPLES, ["x", "y"], replace(MANY, n_members=50))
    np.testing.assert_allclose(
        found.biovolume_concentration[:, 0, 0], 2 * found.number_concentration[:, 0, 0], rtol=1e-6
    )
    np.testing.assert_allclose(
        found.biovolume_concentration[:, 2, 0], 76 / 28 * found.number_concentration[:, 2, 0], rtol=1e-6
    )  # mean of all samples


def test_size_classes_are_shares_of_one_count():
    cut = pd.DataFrame({"sample_id": "a", "taxon": "x", "n": [6.0, 1.0, 1.0], "biovolume": [6.0, 10.0, 100.0]})
    found = draw_concentrations(cut, SAMPLES[:1], ["x"], MANY)
    whole = draw_concentrations(COUNTS[:1], SAMPLES[:1], ["x"], MANY)
    for power in (1, 2):
        assert (found.number_concentration**power).mean() == pytest.approx(
            (whole.number_concentration**power).mean(), rel=0.03
        )
    share = found.biovolume_concentration / found.number_concentration
    assert share.mean() == pytest.approx(116 / 8, rel=0.02)  # Dirichlet of the counts
    total, rest = 9.0, np.array([6, 1, 1]) / 8
    sizes = np.array([1, 10, 100])
    assert share.var() == pytest.approx((rest @ sizes**2 - (rest @ sizes) ** 2) / total, rel=0.05)


def test_order_of_rows_and_samples_does_not_matter():
    plan = ErrorSources(n_members=7, seed=5)
    one = draw_concentrations(COUNTS, SAMPLES, ["x", "y"], plan)
    two = draw_concentrations(COUNTS[::-1], SAMPLES[::-1], ["x", "y"], plan)
    np.testing.assert_array_equal(one.number_concentration, two.number_concentration[:, ::-1])


@pytest.mark.parametrize("mean", [1, 3, 10, 50])
def test_intervals_hold_the_mean(mean):
    random = np.random.default_rng(mean)
    n = random.poisson(mean, 3000)
    samples = pd.DataFrame({"sample_id": [f"s{k}" for k in range(3000)], "volume": 1.0, "volume_rel_sd": 0.0})
    counts = pd.DataFrame({"sample_id": samples["sample_id"], "taxon": "x", "n": n.astype(float)})
    found = draw_concentrations(counts, samples, ["x"], ErrorSources(n_members=400, seed=1)).summary()
    covered = ((found["q025"] <= mean) & (mean <= found["q975"])).mean()
    all_n = np.arange(200)
    held = (gamma.ppf(0.025, all_n + 0.5) <= mean) & (mean <= gamma.ppf(0.975, all_n + 0.5))
    assert covered == pytest.approx(
        poisson.pmf(all_n, mean)[held].sum(), abs=0.02
    )  # what Jeffreys' interval holds: 92 to 97 %
    assert covered > 0.9


def test_the_error_of_a_volume_rule_is_common_to_its_samples():
    samples = SAMPLES.assign(volume_rel_sd=0.3, effort_rule=["r", "r", "q"])
    found = draw_concentrations(COUNTS[COUNTS["taxon"] == "x"], samples, ["x"], replace(MANY, off=("counting",)))
    ratio = found.number_concentration[:, :2, 0] * [2 / 8, 4 / 20]
    np.testing.assert_allclose(ratio[:, 0], ratio[:, 1], rtol=1e-5)
    assert (1 / ratio[:, 0]).mean() == pytest.approx(1, abs=0.01) and (1 / ratio[:, 0]).std() == pytest.approx(
        0.3, rel=0.03
    )
    with pytest.warns(MethodWarning, match="volume of 3 of 3 samples is unknown"):
        draw_concentrations(COUNTS, SAMPLES.assign(volume_rel_sd=np.nan), ["x", "y"], ErrorSources(n_members=2))


def test_switching_one_source_off_leaves_the_others_as_they_were():
    samples = SAMPLES.assign(volume_rel_sd=0.2)
    plan = ErrorSources(n_members=9, seed=2)
    every = draw_concentrations(COUNTS, samples, ["x", "y"], plan).number_concentration
    steady = draw_concentrations(COUNTS, samples, ["x", "y"], replace(plan, off=("volume",))).number_concentration
    volume = draw_concentrations(COUNTS, samples, ["x", "y"], replace(plan, off=("counting",))).number_concentration
    np.testing.assert_allclose(every[:, 0, 0] / steady[:, 0, 0], volume[:, 0, 0] / 4, rtol=1e-5)


def test_conversions_are_drawn_once_per_member():
    plan = ErrorSources(n_members=3000, seed=4, conversion={"x": "menden_deuer2000_protists"}, off=("counting",))
    found = draw_concentrations(COUNTS, SAMPLES, ["x", "y"], plan)
    assert np.isnan(found.carbon_biomass[:, :, 1][:, 0]).all()
    each = np.log(found.carbon_biomass[:, 0, 0]), np.log(found.carbon_biomass[:, 1, 0])
    assert np.corrcoef(*each)[0, 1] > 0.99
    fixed = draw_concentrations(COUNTS, SAMPLES, ["x", "y"], replace(plan, off=("counting", "conversion")))
    expected = 8 * 10**-0.665 * (2e9) ** 0.939 * 1e-9 / 2
    assert (
        fixed.carbon_biomass[0, 0, 0] == pytest.approx(expected, rel=1e-3)
        and np.ptp(fixed.carbon_biomass[:, 0, 0]) == 0
    )
    own = replace(plan, conversion_sd={"menden_deuer2000_protists": 0.5})
    assert np.log(draw_concentrations(COUNTS, SAMPLES, ["x", "y"], own).carbon_biomass[:, 0, 0]).std() == pytest.approx(
        0.5, rel=0.05
    )


def test_a_confusion_is_drawn_once_per_member_and_shared():
    table = Confusion(("x", "y"), np.array([[80.0, 20.0], [10.0, 90.0]]), "labels")
    counts = pd.DataFrame(
        {
            "sample_id": ["a", "a", "b", "b"],
            "taxon": ["x", "y", "x", "y"],
            "n": [400.0, 600.0, 200.0, 300.0],
            "biovolume": 1.0,
        }
    )
    plan = ErrorSources(n_members=2000, seed=1, confusion=table, off=("counting",))
    found = draw_concentrations(counts, SAMPLES, ["x", "y"], plan).number_concentration * [[2], [4], [5]]
    np.testing.assert_allclose(found[:, 0, 0], 2 * found[:, 1, 0], rtol=1e-5)  # the same mix, the same correction
    np.testing.assert_allclose(found[:, 0].sum(axis=1), 1000, rtol=1e-5)
    assert found[:, 0, 0].std() > 10
    fixed = (
        draw_concentrations(
            counts, SAMPLES, ["x", "y"], replace(plan, off=("counting", "classifier"))
        ).number_concentration[0, 0]
        * 2
    )
    np.testing.assert_allclose(fixed, correction.adjusted([400, 600], table.shares), rtol=1e-5)
    same = Confusion(("x", "y"), np.eye(2) * 1e9, "labels")
    near = (
        draw_concentrations(counts, SAMPLES, ["x", "y"], replace(plan, confusion=same)).number_concentration[:, 0] * 2
    )
    np.testing.assert_allclose(near, np.tile([400, 600], (2000, 1)), rtol=1e-4)


def test_weights_and_zeros():
    counts = pd.DataFrame({"sample_id": "a", "taxon": ["x", "x"], "n": [4.0, 4.0], "weight": [1.0, 10.0]})
    found = draw_concentrations(counts, SAMPLES[:1], ["x", "y"], MANY).number_concentration[:, 0] * 2
    assert found[:, 0].mean() == pytest.approx(4.5 + 45, rel=0.02) and found[:, 0].var() == pytest.approx(
        4.5 + 450, rel=0.05
    )
    assert found[:, 1].mean() == pytest.approx(0.5 * 10, rel=0.03)  # nothing seen: at most the largest weight each


def test_shares_add_up_and_name_the_largest_source():
    found = variance_shares(
        COUNTS[COUNTS["taxon"] == "x"],
        SAMPLES.assign(volume_rel_sd=0.6),
        ["x"],
        ErrorSources(n_members=2000, seed=6),
        [1.0, 1.0, 1.0],
    )
    number = found[found["quantity"] == "number_concentration"].set_index("source")
    assert number["share"].sum() == pytest.approx(1) and number["share"].idxmax() == "volume"
    assert number.loc["classifier", "sd"] == 0
    assert number["sd_all"].iloc[0] ** 2 == pytest.approx((number["sd"] ** 2).sum(), rel=0.25)


def test_table_and_chunks(monkeypatch):
    plan = ErrorSources(n_members=5, seed=1)
    whole = draw_concentrations(COUNTS, SAMPLES, ["x", "y"], replace(plan, off=("counting",)))
    monkeypatch.setattr("aqqua_dist.concentrations.members.CHUNK", 1)
    np.testing.assert_array_equal(
        draw_concentrations(COUNTS, SAMPLES, ["x", "y"], replace(plan, off=("counting",))).number_concentration,
        whole.number_concentration,
    )
    table = whole.table()
    assert len(table) == 30 and table.loc[0, ["sample_id", "taxon", "member", "number_concentration"]].tolist() == [
        "a",
        "x",
        0,
        4.0,
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": COUNTS.assign(n=-1.0)}, "count -1 of sample 'a' and taxon 'x', row 1"),
        ({"counts": COUNTS.assign(sample_id="q")}, "sample_id 'q' is none of the 3"),
        ({"counts": COUNTS.assign(taxon="z")}, "taxon 'z' is none of the 2"),
        ({"samples": SAMPLES.assign(volume=0.0)}, "volume 0 m3 of sample 'a'"),
        ({"counts": COUNTS.assign(weight=0.0)}, "weight 0 of a count"),
        ({"samples": SAMPLES.assign(sample_id="a")}, "'a' stands twice"),
        ({"plan": ErrorSources(conversion={"x": "none"})}, "conversion 'none' is unknown"),
        ({"plan": ErrorSources(confusion=Confusion(("x", "z"), np.eye(2), "labels"))}, "the taxa are"),
    ],
)
def test_what_cannot_be_drawn(change, message):
    given = {"counts": COUNTS, "samples": SAMPLES, "plan": ErrorSources(n_members=2)} | change
    with pytest.raises(UserError, match=message):
        draw_concentrations(given["counts"], given["samples"], ["x", "y"], given["plan"])


@pytest.mark.parametrize("given", [{"off": ("luck",)}, {"n_members": 0}])
def test_plans_that_are_none(given):
    with pytest.raises(UserError, match="allowed"):
        ErrorSources(**given)
