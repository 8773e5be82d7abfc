"""What a UVP can have seen: pixels in the wrong unit, sizes beyond the image, impossible calibrations."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.tables import each_water_once
from aqqua_dist.readers.ecopart.export import read_ecopart
from aqqua_dist.readers.ecopart.plausible import LARGEST_ESD, mean_esd
from aqqua_dist.readers.sources import find_sources

SUMMARY = (
    "profile\tCruise\tRawfilename\tInstrument\tyyyy-mm-dd hh:mm\tLatitude \tLongitude\taa\texp\tPixel size\tParticle filename\tPlankton filename\tProject\n"
    "c1\tcruise\tHDR1\t{instrument}\t2019-11-21 01:00:00\t44\t7\t{aa}\t{exp}\t{pixel}\tx_PAR_c1.tsv\tx_ZOO_c1.tsv\tP1\n"
)
PAR = (
    "Profile\tRawfilename\tyyyy-mm-dd hh:mm\tDepth [m]\tSampled volume [L]\tLPM (102-128 µm) [# l-1]\tLPM (>128 µm) [# l-1]\t"
    "LPM biovolume (102-128 µm) [mm3 l-1]\tLPM biovolume (>128 µm) [mm3 l-1]\n"
)
ZOO = (
    "Profile\tRawfilename\tyyyy-mm-dd hh:mm\tDepth [m]\tSampled volume [L]\tCopepoda [# m-3]\tCopepoda biovolume [mm3 l-1]\t"
    "Copepoda avgesd [mm]\n"
)
START = "c1\tHDR1\t2019-11-21 01:00:00\t"


def zoo_of(*diameters, litres=50.0):
    """One object per bin with its diameter (mm) as the exporter would write it."""
    return ZOO + "".join(
        f"{START}{5 * k + 2.5}\t{litres}\t{1000 / litres!r}\t{float(np.pi / 6 * esd**3 / litres)!r}\t{float(esd)!r}\n"
        for k, esd in enumerate(diameters)
    )


def read(folder, zoo=None, par=None, *, pixel=0.088, aa=0.003, exp=1.2, instrument="uvp5"):
    summary = SUMMARY.format(pixel=pixel, aa=aa, exp=exp, instrument=instrument)
    par = par or PAR + "".join(f"{START}{5 * k + 2.5}\t50.0\t0.2\t0.02\t1e-4\t0.01\n" for k in range(12))
    for name, text in (
        ("export_detailed_x_Export_metadata_summary.tsv", summary),
        ("x_PAR_c1.tsv", par),
        ("x_ZOO_c1.tsv", zoo),
    ):
        if text is not None:
            (folder / name).write_text(text, encoding="latin-1")
    return read_ecopart(find_sources([folder]))


def told(got, check):
    rows = got.findings[got.findings["check"] == check]
    return rows["severity"].tolist()


def test_the_real_case_of_a_uvp6(tmp_path):
    """One animal of 1265.4 'mm' in 50 L with a pixel of 73: 17.33 px of 73 µm, 1.265 mm, 1.061 mm3 and not 1.061e9."""
    zoo = ZOO + f"{START}2.5\t50.0\t20\t21220000\t1265.4\n"
    got = read(tmp_path, zoo, pixel=73.0, instrument="uvp6")
    assert got.counts["biovolume"].tolist() == pytest.approx([1.061])
    assert mean_esd(got.counts["biovolume"], got.counts["n"])[0] == pytest.approx(17.33 * 0.073, rel=1e-3)
    assert told(got, "pixel") == ["repaired"]
    assert "divided by 1e9" in got.findings["message"].iloc[0]
    assert got.extra["casts"]["pixel"].tolist() == [73.0]


def test_objects_of_all_sizes_are_undone_together(tmp_path):
    """From the smallest vignette to a large animal; each is 1e3 too large, those below 0.3 mm too."""
    true = np.array([0.12, 0.25, 0.6, 1.2, 9.0])
    got = read(tmp_path, zoo_of(*(true * 1e3)), pixel=73.0, instrument="uvp6")
    np.testing.assert_allclose(got.counts["biovolume"], np.pi / 6 * true**3, rtol=1e-12)
    assert told(got, "pixel") == ["repaired"]


def test_a_summary_in_micrometres_with_right_sizes_is_left_alone(tmp_path):
    true = np.array([0.12, 0.6, 9.0, 120.0])
    got = read(tmp_path, zoo_of(*true), pixel=73.0, instrument="uvp6")
    np.testing.assert_allclose(got.counts["biovolume"], np.pi / 6 * true**3, rtol=1e-12)
    assert not told(got, "pixel")


@pytest.mark.parametrize("diameters", [(100.0, 250.0), (0.5, 900.0)])
def test_what_cannot_be_decided_is_missing(tmp_path, diameters):
    """A tenth of a metre with a pixel of 73 may be 0.1 mm or not; half a millimetre beside 0.9 m is neither."""
    got = read(tmp_path, zoo_of(*diameters), pixel=73.0, instrument="uvp6")
    assert got.counts["n"].tolist() == [1, 1]
    assert got.counts["biovolume"].isna().all()
    assert told(got, "pixel") == ["refused"]


@pytest.mark.parametrize("pixel", [0.088, ""])
def test_plankton_beyond_the_image_is_missing_whatever_the_pixel(tmp_path, pixel):
    got = read(tmp_path, zoo_of(0.5, 900.0), pixel=pixel)
    assert got.counts["biovolume"].isna().all()
    assert told(got, "size") == ["refused"]
    assert f"{LARGEST_ESD:g} mm" in got.findings["message"].iloc[0]


def test_the_largest_animals_of_a_uvp_pass(tmp_path):
    got = read(tmp_path, zoo_of(0.5, 200.0))
    assert got.counts["biovolume"].notna().all()
    assert got.findings.empty


def test_particles_beyond_the_image_have_no_biovolume(tmp_path):
    huge = np.pi / 6 * 1200.0**3 / 50
    par = PAR + f"{START}2.5\t50.0\t0.2\t0.02\t1e-4\t{huge}\n{START}7.5\t50.0\t0.2\t0.02\t1e-4\t0.01\n"
    got = read(tmp_path, par=par)
    assert got.extra["particles"]["n"].tolist() == pytest.approx([10, 1, 10, 1])
    assert got.extra["particles"]["biovolume"].isna().all()
    assert told(got, "size") == ["refused"]


@pytest.mark.parametrize(
    ("name", "value", "right"), [("exp", 241, "1 to 1.5"), ("aa", 2300, "0.0001 to 0.1"), ("aa", 0, "0.0001")]
)
def test_calibrations_that_cannot_be(tmp_path, name, value, right):
    got = read(tmp_path, **{name: value})
    assert got.findings[["check", "column", "value"]].to_numpy().tolist() == [["calibration", name, str(value)]]
    assert f"{name} {value} of cast 'c1' is outside {right}" in got.findings["message"].iloc[0]


def test_casts_without_any_particle_are_told(tmp_path):
    par = PAR + "".join(f"{START}{5 * k + 2.5}\t50.0\t0\t0\t0\t0\n" for k in range(40))
    got = read(tmp_path, par=par, exp=241)
    assert got.findings["check"].tolist() == ["calibration", "calibration"]
    assert got.findings["message"].str.contains("no particle in any class in 40 of its 40 bins").sum() == 1
    assert len(got.samples) == 40


def test_a_few_empty_bins_are_the_sea(tmp_path):
    par = PAR + "".join(f"{START}{5 * k + 2.5}\t50.0\t{0.2 * (k > 8)}\t0\t1e-4\t0\n" for k in range(40))
    assert read(tmp_path, par=par).findings.empty


def test_pixels_of_casts_are_in_micrometres(tmp_path):
    assert read(tmp_path, pixel=0.088).extra["casts"]["pixel"].tolist() == [pytest.approx(88)]
    odd = read(tmp_path, pixel=0.7)
    assert odd.extra["casts"]["pixel"].isna().all()
    assert told(odd, "pixel") == ["suspicious"]


def test_real_casts_pass(data_root):
    """Three stations of UVP5 with seven pixel sizes and calibrations: nothing is refused, nothing repaired."""
    got = read_ecopart([s for s in find_sources([data_root / "ecopart_stations"]) if s.name.endswith(".tsv")])
    assert set(got.findings["severity"]) == {"suspicious"}
    assert not got.findings["check"].isin(["calibration", "size", "pixel", "columns"]).any()
    assert got.extra["casts"]["pixel"].between(88, 174).all()
    diameter = mean_esd(got.extra["particles"]["biovolume"], got.extra["particles"]["n"]) * 1e3
    low = got.extra["particles"]["esd_low"].to_numpy()
    high = got.extra["particles"]["esd_high"].fillna(np.inf).to_numpy()
    assert ((diameter > low * 0.99) & (diameter < high * 1.01)).all()
    assert each_water_once(got.samples)["volume"].sum() == pytest.approx(got.samples["volume"].sum())
    assert pd.notna(got.samples["volume"]).all()
