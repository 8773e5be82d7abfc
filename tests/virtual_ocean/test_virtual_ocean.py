"""The virtual ocean: surveys whose truth is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.environment.cube import build_cube
from aqqua_dist.virtual_ocean import responses
from aqqua_dist.virtual_ocean.survey import cruise_tracks, simulate_survey, survey_concentrations
from aqqua_dist.virtual_ocean.truth import true_field, true_totals

NAMES = ["temperature", "salinity", "wind_speed", "solar_radiation", "bathymetry", "distance_to_coast"]
ZONES = [SimpleNamespace(name="0-200", top=0, bottom=200), SimpleNamespace(name="200-1000", top=200, bottom=1000)]


@pytest.fixture(scope="module")
def cube():
    return build_cube(NAMES, ZONES, resolution=2, monthly=True)


@pytest.fixture(scope="module")
def survey(cube):
    return simulate_survey(responses.TAXA, cube, n_cruises=60, seed=20, cruise_sd=0.4)


def test_same_seed_same_survey(cube, survey):
    again = simulate_survey(responses.TAXA, cube, n_cruises=60, seed=20, cruise_sd=0.4)
    for first, second in zip(survey, again, strict=True):
        pd.testing.assert_frame_equal(first, second)
    other, _ = simulate_survey(responses.TAXA, cube, n_cruises=60, seed=21, cruise_sd=0.4)
    assert len(other) != len(survey[0]) or not np.allclose(other["volume"], survey[0]["volume"])


def test_samples_have_the_agreed_columns(survey):
    samples, counts = survey
    assert {
        "sample_id",
        "cruise",
        "instrument",
        "time",
        "lat",
        "lon",
        "depth_top",
        "depth_bottom",
        "volume",
        "volume_rel_sd",
        "n_images",
        "effort_rule",
        "flags",
        "source",
        "zone",
        "month",
    } == set(samples)
    assert samples["sample_id"].is_unique and str(samples["time"].dt.tz) == "UTC"
    assert samples["lon"].between(-180, 180, inclusive="left").all()
    assert (samples["time"].dt.month == samples["month"]).all()
    assert (samples["depth_bottom"] > samples["depth_top"]).all() and (samples["volume"] > 0).all()
    assert list(counts) == ["sample_id", "taxon", "n"] and (counts["n"] > 0).all()
    assert counts["sample_id"].isin(samples["sample_id"]).all()
    assert samples["n_images"].sum() == counts["n"].sum()


def test_volumes_have_the_quartiles_of_real_profiles(cube):
    samples, _ = simulate_survey(responses.TAXA[:1], cube, n_cruises=150, seed=3, cruise_sd=0.0)
    full = samples[(samples["zone"] == "0-200") & (samples["depth_bottom"] == 200)]
    assert full["volume"].quantile([0.25, 0.5, 0.75]).to_numpy() == pytest.approx([1.6, 2.2, 3.0], rel=0.04)
    deep = samples[(samples["zone"] == "200-1000") & (samples["depth_bottom"] == 1000)]
    assert deep["volume"].median() == pytest.approx(2.2 * 4, rel=0.05)


def test_taxa_differ_in_how_often_they_are_absent(survey):
    table = survey_concentrations(*survey, responses.TAXA)
    zeros = table[table["zone"] == "0-200"].groupby("taxon")["y"].agg(lambda y: (y == 0).mean())
    assert 0.04 < zeros["virtual copepod"] < 0.18
    assert 0.3 < zeros["virtual rhizarian"] < 0.55
    assert 0.7 < zeros["virtual salp"] < 0.88


def test_every_taxon_has_a_row_in_every_sample(survey):
    samples, counts = survey
    table = survey_concentrations(samples, counts, responses.TAXA, quantity="number_concentration")
    assert len(table) == 3 * len(samples)
    n = (table["y"] * table["effort"]).groupby(table["taxon"]).sum()
    pd.testing.assert_series_equal(n, counts.groupby("taxon")["n"].sum().astype(float), check_names=False)
    carbon = survey_concentrations(samples, counts, responses.TAXA, quantity="carbon_biomass")
    grams = {t.name: t.carbon * 1e-3 for t in responses.TAXA}
    np.testing.assert_allclose(carbon["y"], table["y"] * table["taxon"].map(grams))


def test_stations_lie_at_sea_and_cruises_are_lines(cube, survey):
    samples, _ = survey
    upper = samples[samples["zone"] == "0-200"]
    rows, columns = grid.nearest_index(cube["lat"], upper["lat"]), grid.nearest_index(cube["lon"], upper["lon"])
    assert (cube["domain"].values[0][rows, columns] == 1).all()
    assert upper["cruise"].nunique() == 60
    for _, cruise in upper.groupby("cruise"):
        step = np.hypot(
            np.diff(cruise["lat"]),
            ((np.diff(cruise["lon"]) + 180) % 360 - 180) * np.cos(np.radians(cruise["lat"].to_numpy()[1:])),
        )
        assert np.median(step) < 3.3
        assert cruise["time"].is_monotonic_increasing and cruise["time"].max() - cruise["time"].min() < pd.Timedelta(
            days=120
        )


def test_effort_is_uneven_and_polar_work_is_done_in_summer(cube):
    stations = cruise_tracks(300, seed=5, cube=cube)
    north = ((stations["lat"] > 25) & (stations["lon"].between(-65, 0))).sum()
    south = ((stations["lat"] < -18) & (stations["lon"].between(-180, -75))).sum()
    assert north > 3 * south > 0
    arctic = stations[stations["lat"] > 70]
    assert len(arctic) and arctic["time"].dt.month.between(5, 11).all()


def test_counts_follow_the_true_field(cube):
    samples, counts = simulate_survey(responses.TAXA, cube, n_cruises=200, seed=8, cruise_sd=0.0)
    for taxon in responses.TAXA:
        truth = true_field(taxon, cube).to_numpy()
        zone = pd.Index(cube["zone"].values).get_indexer(samples["zone"])
        at = truth[
            samples["month"] - 1,
            zone,
            grid.nearest_index(cube["lat"], samples["lat"]),
            grid.nearest_index(cube["lon"], samples["lon"]),
        ]
        expected = (at * samples["volume"]).sum()
        found = counts.loc[counts["taxon"] == taxon.name, "n"].sum()
        assert abs(found - expected) < 5 * np.sqrt(expected), taxon.name


def test_cruise_effects_have_mean_one_and_the_stated_spread(cube):
    """Seen through an abundant taxon, where Poisson noise is small."""
    plenty = responses.VirtualTaxon("virtual plenty", 1e4, 1.0, 1e9, ())
    samples, counts = simulate_survey([plenty], cube, n_cruises=400, seed=2, cruise_sd=0.4)
    joined = samples.merge(counts, on="sample_id")
    effect = joined.groupby("cruise")[["n", "volume"]].sum()
    effect = effect["n"] / effect["volume"] / 1e4
    assert effect.mean() == pytest.approx(1, abs=0.07)
    assert np.log(effect).std() == pytest.approx(0.4, abs=0.05)


def test_responses_have_their_stated_form():
    bell = responses.Response("temperature", "gaussian", 10.0, 5.0)
    assert bell(np.array([10.0, 15.0, 0.0])) == pytest.approx([0, -0.5, -2])
    line = responses.Response("bathymetry", "loglinear", 3.0, -0.5, log10=True)
    assert line(np.array([1000.0, 100.0, 0.1])) == pytest.approx([0, 2, 6])
    with pytest.raises(UserError, match="'cubic' to 'temperature'"):
        responses.Response("temperature", "cubic", 0.0, 1.0)(np.array([1.0]))


def test_totals_are_exact_and_regions_add_up(cube):
    flat = responses.VirtualTaxon("virtual flat", 2.0, 500.0, 1e12, ())
    totals = true_totals([flat], cube)
    volume = (cube["cell_area"] * cube["thickness"]).sum(("lat", "lon")).to_series()
    for zone, part in totals.groupby("zone"):
        whole = part.loc[part["region_set"] == "global", "total"].item()
        assert whole == pytest.approx(volume[zone] * 2.0 * 0.5 * 1e-18, rel=1e-6)
        for region_set in ("basin", "latitude"):
            assert part.loc[part["region_set"] == region_set, "total"].sum() == pytest.approx(whole, rel=1e-12)
    assert set(totals["units"]) == {"Pg C"}
    numbers = true_totals([flat], cube, quantity="number_concentration")
    assert numbers["total"].iloc[0] == pytest.approx(totals["total"].iloc[0] / 0.5e-18, rel=1e-9)


def test_totals_are_the_mean_of_the_months(cube):
    taxon = responses.TAXA[2]
    months = [true_totals([taxon], cube.sel(month=[m]))["total"].iloc[0] for m in range(1, 13)]
    assert true_totals([taxon], cube)["total"].iloc[0] == pytest.approx(np.mean(months), rel=1e-9)
    assert max(months) > 1.2 * min(months)


def test_an_annual_cube_gives_samples_without_month():
    cube = build_cube(NAMES, ZONES[:1], resolution=2, monthly=False)
    samples, counts = simulate_survey(responses.TAXA, cube, n_cruises=3, seed=1, cruise_sd=0.1)
    assert "month" not in samples and "month" not in survey_concentrations(samples, counts, responses.TAXA)
    assert true_field(responses.TAXA[0], cube).dims == ("zone", "lat", "lon")


def test_users_are_told_what_is_wrong(cube):
    assert responses.choose_taxa("all") == responses.TAXA
    assert [t.name for t in responses.choose_taxa(["virtual salp"])] == ["virtual salp"]
    with pytest.raises(UserError, match="did you mean 'virtual copepod'"):
        responses.choose_taxa(["copepod"])
    with pytest.raises(UserError, match=r"responds to \['wind_speed'\]"):
        true_field(responses.TAXA[0], cube.drop_vars("wind_speed"))
    with pytest.raises(UserError, match="biovolume"):
        true_totals(responses.TAXA, cube, quantity="biovolume_concentration")
    with pytest.raises(UserError, match="found 0 and"):
        simulate_survey(responses.TAXA, cube, n_cruises=0, seed=1, cruise_sd=0.4)
    with pytest.raises(UserError, match="no cell in"):
        cruise_tracks(5, seed=1, cube=cube.assign(domain=cube["domain"] * 0))


def test_virtual_taxa_cannot_be_taken_for_real_ones():
    assert all(taxon.name.startswith("virtual ") and taxon.aphia_id is None for taxon in responses.TAXA)
