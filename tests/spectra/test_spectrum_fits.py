"""Tables of spectra: sums, what is told, draws, and the three stations of real casts."""

import warnings

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.readers.ecopart.export import read_ecopart, recognises
from aqqua_dist.readers.sources import find_sources
from aqqua_dist.spectra.classes import ABOVE, UNDETECTED, UNFITTED, Detection
from aqqua_dist.spectra.spectrum import spectra
from aqqua_dist.spectra.spectrum_fits import FITS, draw_spectra, fit_spectra

ALL = Detection(0, np.inf)


@pytest.fixture
def casts(known):
    """Three samples: two of a zone whose sum is one spectrum of slope 3, and one that is empty."""
    first, second = known(4.0, 3.0, 2.0), known(4.0, 3.0, 6.0)
    wave = np.where(np.arange(len(first)) % 2, 0.5, -0.5) * first["n"]  # what one has too many the other lacks
    parts = [
        first.assign(sample_id="a", zone="top", n=first["n"] + wave),
        second.assign(sample_id="b", zone="top", n=second["n"] - wave),
        first.assign(sample_id="c", zone="deep", n=0.0),
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("method", ["poisson", "negative_binomial", "mlebin"])
def test_samples_of_a_zone_are_summed_before_the_fit(casts, method):
    with pytest.warns(
        MethodWarning, match="1 of 2 size spectra have no fit and no slope.*no particle in 17 size classes"
    ):
        got = fit_spectra(casts, ["zone"], ALL, method=method)
    top, deep = got.parameters.set_index("zone").loc[["top", "deep"]].to_dict("records")
    assert (top["slope"], top["log_n0"]) == (pytest.approx(3.0, abs=1e-7), pytest.approx(4.0, abs=1e-7))
    assert (top["method"], top["n_classes"], top["not_fitted"]) == (method, 17, "")
    assert np.isnan([deep["slope"], deep["log_n0"], deep["slope_variance"], deep["n"]]).all()
    assert (got.classes.loc[got.classes["zone"] == "deep", "left_out"] == UNFITTED).all()
    assert got.classes.loc[got.classes["zone"] == "top", "volume"].unique().tolist() == [8.0]


def test_the_default_is_the_negative_binomial(casts):
    got = fit_spectra(casts[casts["zone"] == "top"], ["zone"], ALL)
    assert got.parameters["method"].tolist() == ["negative_binomial"]


def test_what_is_left_out_and_unknown_is_told(casts):
    table = casts[casts["zone"] == "top"].copy()
    table.loc[table.index[3], "n"] = np.nan
    table.loc[table["esd_low"] > 4900, "n"] = np.nan
    with pytest.warns() as told:
        fit_spectra(table, ["zone"], Detection(0, 3200.0), method="poisson")
    said = " ".join(str(one.message) for one in told)
    assert "1 numbers per sample and size class are unknown" in said
    assert f"2 {ABOVE} (" in said and "particles)" in said


@pytest.mark.filterwarnings("ignore:.*numbers per sample:aqqua_dist.core.errors.MethodWarning")
def test_an_unknown_number_is_not_told_as_no_particle(casts):
    table = casts[casts["zone"] == "top"].copy()
    table.loc[table["esd_low"] < 100, "n"] = np.nan
    with pytest.warns(MethodWarning, match="left out of 1 spectra: 1 unknown number[.]"):
        fit_spectra(table, ["zone"], ALL, method="poisson")


def test_scatter_that_poisson_does_not_suppose_is_told(known):
    counts = known(9.0, 3.0, 1.0).assign(sample_id="a", zone="top")
    counts["n"] *= np.where(np.arange(17) % 2, 1.5, 0.6)
    with pytest.warns(MethodWarning, match="1 of 1 size spectra scatter more than 2 times as poisson supposes"):
        fit_spectra(counts, ["zone"], ALL, method="poisson")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_spectra(counts, ["zone"], ALL)


def test_a_fault_names_its_spectrum(casts):
    casts.loc[casts["zone"] == "top", "n"] = -1.0
    with pytest.raises(UserError, match=r"spectrum \['top'\]: size class .* column 'n': -2"):
        fit_spectra(casts, ["zone"], ALL)


def test_unknown_methods_and_empty_tables_are_refused(casts):
    with pytest.raises(UserError, match="method 'ols' of a size spectrum is unknown"):
        fit_spectra(casts, ["zone"], ALL, method="ols")
    with pytest.raises(UserError, match="0 rows of spectra"):
        fit_spectra(casts.iloc[:0], ["zone"], ALL)
    with pytest.raises(UserError, match=r"rows of spectra with the keys \[\]"):
        fit_spectra(casts, [], ALL)


def test_members_draw_each_spectrum_with_its_covariance(known):
    rng = np.random.default_rng(3)
    parts = [known(5.0, 3.5, 1.0).assign(sample_id=name, zone=name) for name in ("top", "deep")]
    table = pd.concat([part.assign(n=rng.poisson(part["n"])) for part in parts], ignore_index=True)
    fits = fit_spectra(table, ["zone"], ALL, method="poisson")
    drawn = draw_spectra(fits, 4000, 11)
    assert drawn.columns.tolist() == ["zone", "member", "log_n0", "slope"]
    for row in fits.parameters.to_dict("records"):
        own = drawn[drawn["zone"] == row["zone"]]
        assert own["member"].tolist() == list(range(4000))
        got = np.cov(own["log_n0"], own["slope"])
        assert [got[0, 0], got[1, 1], got[0, 1]] == pytest.approx(
            [row["log_n0_variance"], row["slope_variance"], row["log_n0_slope_covariance"]], rel=0.1
        )
    apart = drawn.pivot(index="member", columns="zone", values="slope").corr().iloc[0, 1]
    assert abs(apart) < 0.06  # two spectra are independent: 0.016 is one standard error
    alone = fit_spectra(table[table["zone"] == "deep"], ["zone"], ALL, method="poisson")
    few = draw_spectra(alone, 5, 11)
    assert few["slope"].to_numpy() == pytest.approx(drawn.loc[drawn["zone"] == "deep", "slope"].iloc[:5].to_numpy())


@pytest.mark.filterwarnings("ignore::aqqua_dist.core.errors.MethodWarning")
def test_spectra_without_a_fit_have_no_draws(casts):
    fits = fit_spectra(casts[casts["zone"] == "deep"], ["zone"], ALL)
    assert draw_spectra(fits, 5, 1).empty


@pytest.fixture(scope="module")
def stations(data_root):
    """Spectra of the three stations' casts per sample, with station (whole degree of latitude) and zone."""
    got = read_ecopart([s for s in find_sources([data_root / "ecopart_stations"]) if recognises(s)])
    samples = got.samples.assign(
        station=got.samples["lat"].round(0).astype(int),
        zone=pd.cut(got.samples["depth_top"], [-1, 199, 499, 999], labels=["0-200", "200-500", "500-1000"]),
    ).dropna(subset="zone")
    particles = got.extra["particles"]
    table = spectra(samples, particles[particles["sample_id"].isin(samples["sample_id"])])
    return table.merge(samples[["sample_id", "station", "zone", "profile"]], on="sample_id").astype({"zone": str})


@pytest.mark.filterwarnings("ignore:.*scatter more than:aqqua_dist.core.errors.MethodWarning")
@pytest.mark.parametrize("method", FITS)
def test_real_stations_have_slopes_of_particles(stations, method):
    with pytest.warns(MethodWarning, match="size classes left out"):
        got = fit_spectra(stations, ["station", "zone"], Detection(102.0, 5200.0), method=method)
    assert (got.parameters["not_fitted"] == "").all()
    many = got.parameters[got.parameters["n"] > 1000]
    assert len(many) == 14
    assert many["slope"].between(2.5, 5).all()
    assert (got.parameters["slope_variance"] > 0).all()


@pytest.mark.filterwarnings("ignore::aqqua_dist.core.errors.MethodWarning")
def test_least_squares_flattens_a_sparse_spectrum_and_likelihoods_do_not(stations):
    """45 particles at 22 N, 500-1000 m: 32, 5, 4, 2, 0, 1, 0, 0, 0, 0, 1, 0, 0 from 256 µm; alone, the two single
    particles draw the line to 2.2, where the zeros beside them say 4 to 5."""
    sparse = stations[(stations["station"] == 22) & (stations["zone"] == "500-1000")]
    found = {m: fit_spectra(sparse, ["station"], Detection(102.0, 5200.0), method=m).parameters.iloc[0] for m in FITS}
    assert {row["n"] for row in found.values()} == {45}
    assert found["least_squares"]["slope"] < 2.5
    for method in ("poisson", "negative_binomial", "mlebin"):
        assert 3.5 < found[method]["slope"] < 5


def test_casts_that_detect_from_256_um_are_not_taken_for_empty_below(stations):
    """Four casts at 22 N hold 80 601 particles in 256-323 µm and 0 below; with those zeros their slope would be 1.5."""
    hot = stations[(stations["station"] == 22)]
    with pytest.warns(MethodWarning, match=UNDETECTED):
        got = fit_spectra(hot, ["station"], Detection(102.0, 5200.0))
    assert got.parameters["esd_low"].tolist() == [256.0]
    assert got.parameters["slope"].between(2.9, 3.6).all()
    used = got.classes[got.classes["left_out"] == ""]
    logs = np.log(used["n"] / used["volume"] / (used["esd_high"] - used["esd_low"]))
    line = -np.polyfit(np.log(np.sqrt(used["esd_low"] * used["esd_high"])), logs, 1)[0]
    assert got.parameters["slope"].iloc[0] == pytest.approx(line, abs=0.15)
