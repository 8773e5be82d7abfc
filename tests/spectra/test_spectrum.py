"""Size spectra on the classes of an export: zeros, unknowns, densities by hand."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.spectra.spectrum import spectra

SAMPLES = pd.DataFrame({"sample_id": ["a", "b"], "volume": [2.0, 4.0]})


def particles(*rows):
    return pd.DataFrame(rows, columns=["sample_id", "esd_low", "esd_high", "n", "biovolume"])


def test_densities_are_per_mm_of_diameter():
    """10 particles in 2 m3 between 102 and 128 µm: 5 m-3, and 5 / 0.026 mm = 192.3 m-3 mm-1."""
    got = spectra(SAMPLES, particles(("a", 102.0, 128.0, 10.0, 0.02), ("a", 16400.0, np.nan, 1.0, 3.0)))
    assert got[["sample_id", "esd_low"]].to_numpy().tolist() == [
        ["a", 102.0],
        ["a", 16400.0],
        ["b", 102.0],
        ["b", 16400.0],
    ]
    first = got.iloc[0]
    assert first["number_concentration"] == 5.0
    assert first["number_density"] == pytest.approx(192.3076923)
    assert first["biovolume_concentration"] == pytest.approx(0.01)
    assert first["biovolume_density"] == pytest.approx(0.01 / 0.026)
    assert got["n"].tolist() == [10, 1, 0, 0]


def test_a_table_of_spectra_has_these_columns_and_a_row_per_sample_and_class():
    got = spectra(SAMPLES, particles(("b", 128.0, 161.0, 1.0, 0.1), ("a", 102.0, 128.0, 10.0, 0.02)))
    assert list(got) == [
        "sample_id", "volume", "esd_low", "esd_high", "n", "number_concentration", "number_density",
        "biovolume_concentration", "biovolume_density",
    ]  # fmt: skip
    assert got[["sample_id", "esd_low", "esd_high", "n"]].to_numpy().tolist() == [
        ["a", 102, 128, 10], ["a", 128, 161, 0], ["b", 102, 128, 0], ["b", 128, 161, 1],
    ]  # fmt: skip


def test_classes_that_touch_do_not_overlap_and_a_millionth_of_a_micrometre_is_rounding():
    assert len(spectra(SAMPLES, particles(("a", 102.0, 128.0, 1, 1), ("a", 128.0 - 5e-7, 161.0, 1, 1)))) == 4
    with pytest.raises(UserError, match="overlap"):
        spectra(SAMPLES, particles(("a", 102.0, 128.0, 1, 1), ("a", 128.0 - 1.5e-6, 161.0, 1, 1)))


def test_the_open_class_has_a_concentration_and_no_density():
    got = spectra(SAMPLES, particles(("a", 16400.0, np.nan, 1.0, 3.0)))
    assert got["number_concentration"].tolist() == [0.5, 0.0]
    assert got[["esd_high", "number_density", "biovolume_density"]].isna().all().all()
    assert got["biovolume_concentration"].tolist() == [1.5, 0.0]


def test_an_unknown_biovolume_is_missing_and_not_zero():
    got = spectra(SAMPLES, particles(("a", 102.0, 128.0, 10.0, np.nan), ("b", 102.0, 128.0, 4.0, 0.4)))
    assert np.isnan(got["biovolume_concentration"].iloc[0])
    assert np.isnan(got["biovolume_density"].iloc[0])
    assert got["number_concentration"].tolist() == [5.0, 1.0]
    assert got["biovolume_concentration"].iloc[1] == pytest.approx(0.1)


def test_an_unknown_number_is_missing_and_not_zero():
    """A float does not tell its large classes; what it tells next to them stays."""
    rows = particles(("a", 102.0, 128.0, 10.0, 0.1), ("a", 128.0, 161.0, np.nan, np.nan), ("b", 128.0, 161.0, 8.0, 0.8))
    got = spectra(SAMPLES, rows).set_index(["sample_id", "esd_low"])
    assert np.isnan(got.loc[("a", 128.0), "n"])
    assert np.isnan(got.loc[("a", 128.0), "number_density"])
    assert got.loc[("a", 102.0), "number_concentration"] == 5
    assert got.loc[("b", 128.0), "number_concentration"] == 2
    assert got.loc[("b", 102.0), "n"] == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", 115.0, 140.0, 1.0, 0.1), "size classes 102-128 µm and 115-140 µm overlap"),
        (("a", 100.0, np.nan, 1.0, 0.1), "size classes >100 µm and 102-128 µm overlap"),
    ],
)
def test_classes_that_overlap_are_refused(row, message):
    with pytest.raises(UserError, match=message):
        spectra(SAMPLES, particles(("a", 102.0, 128.0, 10.0, 0.02), row))
