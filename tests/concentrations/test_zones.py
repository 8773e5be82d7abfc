"""Casts pooled over zones."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.concentrations.concentrations import concentrations
from aqqua_dist.concentrations.zones import pooled_counts, zone_samples
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import COUNTS, SAMPLES, typed
from aqqua_dist.spectra.spectrum import spectra

ZONES = [("0-200", 0, 200), ("200-500", 200, 500)]


def cast(profile="p1", bins=range(0, 500, 5), volume=0.1, **changes):
    tops = np.array(list(bins), dtype=float)
    return typed(
        pd.DataFrame(
            {
                "sample_id": [f"{profile}_{top:g}" for top in tops],
                "profile": profile,
                "time": "2019-06-01",
                "lat": 10.0,
                "lon": -30.0,
                "depth_top": tops,
                "depth_bottom": tops + 5,
                "volume": volume,
            }
            | changes
        ),
        SAMPLES,
    )


def counts(**n):
    return typed(
        pd.DataFrame({"sample_id": list(n), "taxon": "Copepoda", "n": list(n.values()), "method": "validated"}), COUNTS
    )


def test_the_concentration_of_a_zone_is_the_sum_of_counts_over_the_sum_of_volumes():
    """Two bins of 1 and 3 m3 with 4 and 0 animals: 1 per m3, where the mean of the bins would say 2."""
    table = cast(bins=[0, 5], volume=[1.0, 3.0])
    pooled, members, dropped = zone_samples(table, [("0-10", 0, 10)])
    got = concentrations(pooled, pooled_counts(counts(p1_0=4), members))
    assert got[["n", "volume", "number_concentration", "number_integral"]].to_numpy().tolist() == [
        [4.0, 4.0, 1.0, 10.0]
    ]
    assert dropped.empty


def test_coverage_decides_and_says_so():
    table = pd.concat(
        [cast("deep"), cast("short", range(0, 160, 5)), cast("shallow", range(0, 155, 5))], ignore_index=True
    )
    pooled, members, dropped = zone_samples(table, ZONES)
    assert pooled["sample_id"].tolist() == ["deep_0-200", "short_0-200", "deep_200-500"]
    assert pooled["coverage"].tolist() == pytest.approx([1.0, 0.8, 1.0])
    assert dropped[["profile", "zone"]].to_numpy().tolist() == [["shallow", "0-200"]]
    assert dropped["coverage"].tolist() == pytest.approx([0.775])
    assert len(members) == 40 + 32 + 60
    everything, _, none = zone_samples(table, ZONES, coverage=0)
    assert (len(everything), len(none)) == (4, 0)


def test_nets_belong_to_the_zone_that_holds_them():
    nets = typed(
        pd.DataFrame(
            {"sample_id": ["a", "b", "c"], "depth_top": [0, 0, 200], "depth_bottom": [200, 1000, 500], "volume": 100.0}
        ),
        SAMPLES,
    )
    pooled, members, _ = zone_samples(nets, ZONES)
    assert members.to_numpy().tolist() == [["a", "a_0-200"], ["c", "c_200-500"]]


def test_bins_that_overlap_are_refused():
    table = pd.concat([cast(), cast(bins=[100]).assign(sample_id="again", depth_bottom=112.0)], ignore_index=True)
    with pytest.raises(UserError, match="'again' overlap in depth|overlap in depth .* their water would count twice"):
        zone_samples(table, ZONES)


def test_samples_without_volume_do_not_cover():
    table = cast(volume=[np.nan] * 30 + [0.1] * 70)
    assert zone_samples(table, ZONES)[2].to_numpy().tolist() == [["p1", "0-200", 0.25]]


@pytest.mark.parametrize(
    ("zones", "coverage", "message"),
    [([("a", 200, 0)], 0.8, "top 200 m must be above bottom 0"), (ZONES, 1.5, "coverage 1.5")],
)
def test_faults(zones, coverage, message):
    with pytest.raises(UserError, match=message):
        zone_samples(cast(), zones, coverage=coverage)


def test_weights_of_size_fractions_and_zeros():
    samples = cast(bins=[0, 5], volume=[714.0, 100.0])
    table = pd.concat([counts(p1_0=30).assign(weight=1.0), counts(p1_0=5).assign(weight=8.0)], ignore_index=True)
    got = concentrations(samples, table, ["Copepoda", "Ostracoda"]).set_index(["sample_id", "taxon"])
    assert got.loc[("p1_0", "Copepoda"), "number_concentration"] == pytest.approx((30 + 40) / 714)
    assert got.loc[("p1_0", "Copepoda"), "n"] == 35
    assert (got["number_concentration"] == 0).sum() == 3
    with pytest.raises(UserError, match="'x' has counts and no volume"):
        concentrations(samples, counts(x=1))


@settings(max_examples=50, deadline=None)
@given(
    n=st.lists(st.integers(0, 50), min_size=12, max_size=12),
    volumes=st.lists(st.floats(0.01, 5), min_size=12, max_size=12),
    cut=st.integers(1, 11),
)
def test_pooling_in_two_steps_is_pooling_in_one(n, volumes, cut):
    table = cast(bins=range(0, 60, 5), volume=volumes)
    raw = counts(**dict(zip(table["sample_id"], map(float, n), strict=True)))
    whole, members, _ = zone_samples(table, [("all", 0, 60)])
    parts, of_parts, _ = zone_samples(table, [("top", 0, 5 * cut), ("rest", 5 * cut, 60)])
    assert parts["volume"].sum() == pytest.approx(whole["volume"].iloc[0])
    assert pooled_counts(raw, of_parts)["n"].sum() == pooled_counts(raw, members)["n"].sum() == sum(n)


def test_spectra_have_every_class_and_their_densities():
    samples = cast(bins=[0, 5], volume=2.0)
    particles = pd.DataFrame(
        {
            "sample_id": ["p1_0", "p1_0"],
            "esd_low": [0.1, 16.4],
            "esd_high": [0.2, 1e8],
            "n": [10.0, 1.0],
            "biovolume": [0.02, 3.0],
        }
    )
    got = spectra(samples, particles)
    assert len(got) == 4
    first = got.iloc[0]
    assert (first["number_concentration"], first["number_density"]) == (5.0, pytest.approx(50.0))
    assert first["biovolume_density"] == pytest.approx(0.02 / 2 / 0.1)
    assert np.isnan(got["number_density"].iloc[1])
    assert got["n"].iloc[2:].tolist() == [0, 0]
    with pytest.raises(UserError, match="size classes 0.1-0.2 mm and 0.15-0.3 mm overlap"):
        spectra(samples, pd.concat([particles, particles.iloc[[0]].assign(esd_low=0.15, esd_high=0.3)]))


def test_an_unknown_biovolume_is_no_zero_of_a_spectrum():
    """It was 0; a class without particles is 0."""
    samples = pd.DataFrame({"sample_id": ["a", "b"], "volume": 2.0})
    particles = pd.DataFrame({"sample_id": "a", "esd_low": [0.1, 0.2], "esd_high": [0.2, 0.4], "n": 4.0})
    got = spectra(samples, particles.assign(biovolume=[np.nan, 3.0]))["biovolume_concentration"]
    assert got.isna().tolist() == [True, False, False, False] and got.dropna().tolist() == [1.5, 0, 0]
