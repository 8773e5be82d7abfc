"""Laws of flux against published values, and at their singular slopes."""

import re

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import cell_area
from aqqua_dist.rates.formulas import FORMULAS

UM, PER_M3 = 1000.0, 1000.0
PPM = 1000.0
"""mm3 m-3 of one part per million."""


def spectra(table, pattern):
    """Limits (µm) and numbers (m-3) of the classes of a table whose columns name them in mm and L-1."""
    found = sorted((float(m[1]), float(m[2]), name) for name in table if (m := re.match(pattern, name)))
    low, high, names = zip(*found, strict=True)
    return table[list(names)].to_numpy(float) * PER_M3, np.array(low) * UM, np.array(high) * UM


@pytest.fixture(scope="module")
def agulhas(data_root):
    """8 605 spectra of a UVP6, classes that it measures, and what was published for them."""
    table = pd.read_csv(data_root / "spectra" / "agulhas_uvp6_processed.tsv.gz", sep="\t")
    there = pd.read_csv(data_root / "spectra" / "agulhas_uvp6_diagnostics.tsv.gz", sep="\t")
    number, low, high = spectra(table, r"Part conc frac \[#/l\] \(ESD: ([\d.]+)-([\d.]+) mm\)")
    measured = ~np.isnan(number).all(axis=0)
    assert len(table) == 8605 and measured.sum() == 17
    return number[:, measured], low[measured], high[measured], there


def agrees(found, published, watered):
    """To 5e-5 (the published values have five digits) in every row with water; the 42 rows without it are published as 0."""
    assert (~watered).sum() == 42
    assert np.isnan(found[~watered]).all() and (published[~watered] == 0).all()
    np.testing.assert_allclose(found[watered], published[watered], rtol=5e-5, atol=0)


@pytest.mark.parametrize(
    ("name", "column", "parameters"),
    [
        ("flux_kriest2002", "Flux_mgC_m2", {}),
        ("particle_number_kiko2017", "MiP_abun", {}),
        ("particle_number_kiko2017", "MaP_abun", {"limits": (645.0, 2580.0)}),
        ("particle_carbon_kiko2017", "Mip_POC_cont_mgC_m3", {}),
        ("particle_carbon_kiko2017", "Map_POC_cont_mgC_m3", {"limits": (645.0, 2580.0)}),
    ],
)
def test_8605_published_rows(agulhas, name, column, parameters):
    number, low, high, there = agulhas
    found = FORMULAS[name](number, low, high, **parameters)
    factor = PER_M3 if column.endswith("abun") else 1.0  # numbers are published per litre
    agrees(found / factor, there[column].to_numpy(), there["Vol [L] (sampled for this depth bin)"].to_numpy() > 0)


RESPIRATIONS = {"Respi_nmolO2_l_h": None} | {
    f"Respi_Reminer_kRemPoc{code}_nmolO2_l_h": k
    for code, k in (("0003", 0.003), ("0013", 0.013), ("0031", 0.031), ("0100", 0.1), ("0500", 0.5))
}


@pytest.mark.parametrize("column", RESPIRATIONS)
def test_published_respiration(agulhas, column):
    """Rows with a temperature; the others are published as 0 where there is no water, and are missing otherwise."""
    number, low, high, there = agulhas
    temperature = there["Temperature [degrees Celsius]"].to_numpy()
    k = RESPIRATIONS[column]
    if k is None:
        found = FORMULAS["particle_respiration_kiko2021"](number, low, high, temperature)
    else:
        found = FORMULAS["particle_respiration_carbon_kiko2021"](number, low, high, temperature, remineralisation=k)
    known = np.isfinite(temperature) & (there["Vol [L] (sampled for this depth bin)"].to_numpy() > 0)
    assert known.sum() == 4699
    assert np.isnan(found[~known]).all()
    np.testing.assert_allclose(found[known], there[column].to_numpy()[known], rtol=5e-5)


def test_39_published_isopycnals(data_root):
    """Mean spectra of an eddy with the flux by two laws (t C d-1 over its area).

    The published sums leave the class 40.3 to 50.8 µm out. Two isopycnals
    differ by 1.2e-4, and by the other law in the same direction.
    """
    table = pd.read_csv(data_root / "spectra" / "agulhas_isopycnal_mean_abundance_vs_published_flux.csv")
    number, low, high = spectra(table, r"N_([\d.]+)-([\d.]+)_mm_per_L")
    kept = ~np.isclose(low, 40.3)
    assert len(table) == 39 and kept.sum() == len(low) - 1
    number, low, high = number[:, kept], low[kept], high[kept]
    tonnes = table["eddy_area_m2"].to_numpy() * 1e-9
    law = FORMULAS["flux_clements2023"](number, low, high) * tonnes / table["BGP_ref_Fig05_Clements_tC_d"].to_numpy()
    assert [(np.abs(law - 1) < share).sum() for share in (3e-5, 1e-4, 1.2e-4)] == [33, 37, 39]
    kriest = FORMULAS["flux_power_law"](number, low, high, coefficient=16.4856, exponent=2.24)
    assert np.abs(kriest * tonnes / table["BGP_ref_Fig05_tC_d"].to_numpy() - 1).max() < 1.5e-4


@pytest.mark.parametrize("singular", [4.0, 3.63])
def test_singular_slopes_are_the_limit_of_their_neighbours(singular):
    law = FORMULAS["flux_spectrum_clements2023"]
    around = law(PPM, np.array([singular - 1e-4, singular + 1e-4]))
    assert law(PPM, singular) == pytest.approx(around.mean(), rel=5e-8)


def test_a_spectrum_in_fine_classes_gives_the_flux_of_its_integral():
    slope, limits = 3.8, np.geomspace(35.0, 5000.0, 4001)
    n0 = 1.0 / (np.pi / 6 * (5.0 ** (4 - slope) - 0.105 ** (4 - slope)) / (4 - slope))
    edges = limits / UM
    number = n0 * (edges[:-1] ** (1 - slope) - edges[1:] ** (1 - slope)) / (slope - 1) * PER_M3
    summed = FORMULAS["flux_clements2023"](number, limits[:-1], limits[1:])
    assert summed == pytest.approx(FORMULAS["flux_spectrum_clements2023"](PPM, slope), rel=1e-5)


def test_bad_spectra_are_refused():
    low, high = np.array([128.0, 161.0]), np.array([161.0, 203.0])
    for law in ("flux_guidi2008", "flux_kriest2002", "flux_fender2019", "flux_cram2022", "flux_clements2023"):
        with pytest.raises(UserError, match=f"{law}, number_concentration: -1 m-3"):
            FORMULAS[law](np.array([-1.0, 3.0]), low, high)
        with pytest.raises(UserError, match="size class from 161 to nan has no diameter"):
            FORMULAS[law](np.array([1.0, 3.0]), low, np.array([161.0, np.nan]))
        assert FORMULAS[law](np.zeros(2), low, high) == 0
        assert np.isnan(FORMULAS[law](np.array([1.0, np.nan]), low, high))
    with pytest.raises(UserError, match="sizes from 5000 to 35 µm do not ascend"):
        FORMULAS["flux_spectrum_clements2023"](1.0, 3.5, flux_range=(5000.0, 35.0))


MAPS = {"Dunne 2007": 1e-6, "Henson 2012": 1e-6, "Laws 2000": 1e-6, "Laws 20XX": 1e-6, "Schlitzer 2000": 1e-6}
MAPS["Siegel 2014"] = 3e-5


@pytest.mark.parametrize("name", MAPS)
def test_published_maps_give_their_published_totals(data_root, name):
    """Spheres of 6378.137 km, 365.25 d; the total called Laws 2011 is that of the map Laws 20XX."""
    cells = pd.read_csv(data_root / "flux" / "ref_poc_flux_maps_obs_based.csv.gz").query("model == @name")
    published = pd.read_csv(data_root / "flux" / "ref_poc_flux_published_integrals.csv")
    published = published[(published["depth"] == 100)].set_index("model")["poc_flux_int"]
    offset = cells["lat"].iloc[0] % 1  # centres on whole or on half degrees
    lat = np.arange(-89, 90) + (offset if offset else 0.0)
    area = cell_area(lat, np.array([0.0, 1.0]), radius_km=6378.137)[:, 0].to_series()
    total = FORMULAS["annual_flux_total"](cells["poc_flux"].to_numpy(), area.loc[cells["lat"]].to_numpy())
    wanted = published["Laws 2011" if name == "Laws 20XX" else name]
    assert total == pytest.approx(wanted, rel=MAPS[name])
