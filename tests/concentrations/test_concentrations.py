"""Counts over volumes, by hand."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.concentrations.concentrations import concentrations
from aqqua_dist.core.errors import UserError

SAMPLES = pd.DataFrame(
    {
        "sample_id": ["a", "b", "dry"],
        "volume": [2.0, 5.0, 0.0],
        "depth_top": [0.0, 100, 0],
        "depth_bottom": [50.0, 300, 9],
    }
)


def counts(*rows):
    return pd.DataFrame(rows, columns=["sample_id", "taxon", "n", "biovolume", "carbon", "weight"])


def test_concentrations_biovolumes_carbon_and_integrals_by_hand():
    """3 and 1 animals of weights 1 and 4 in 2 m3: 7/2 m-3; 0.2 and 0.1 mm3 give 0.3 mm3 m-3; 50 m deep: 175 m-2."""
    table = counts(("a", "x", 3, 0.2, 0.02, 1.0), ("a", "x", 1, 0.1, 0.03, 4.0), ("b", "y", 10, 1.0, 2.0, np.nan))
    got = concentrations(SAMPLES, table).set_index(["sample_id", "taxon"])
    assert got.index.tolist() == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    names = ["n", "volume", "number_concentration", "biovolume_concentration", "carbon_biomass", "number_integral"]
    assert sorted(got) == sorted(names)
    expected = [[4, 2, 3.5, 0.3, 0.07, 175], [0, 2, 0, 0, 0, 0], [0, 5, 0, 0, 0, 0], [10, 5, 2, 0.2, 0.4, 400]]
    assert got[names].to_numpy() == pytest.approx(np.array(expected))


def test_taxa_that_were_searched_for_have_their_zeros_and_others_stay_out():
    table = counts(("a", "x", 3, 0.2, 0.02, 1.0))[["sample_id", "taxon", "n"]]
    got = concentrations(SAMPLES, table, ["y", "x"])
    assert got[["sample_id", "taxon", "number_concentration"]].to_numpy().tolist() == [
        ["a", "y", 0.0], ["a", "x", 1.5], ["b", "y", 0.0], ["b", "x", 0.0],
    ]  # fmt: skip
    assert got["biovolume_concentration"].isna().all()  # nobody has measured any
    assert "carbon_biomass" not in got


def test_an_unknown_biovolume_or_carbon_is_missing_and_not_zero():
    got = concentrations(SAMPLES, counts(("a", "x", 3, np.nan, np.nan, 1.0), ("b", "y", 2, 0.5, 1.0, 1.0)))
    found = got.set_index(["sample_id", "taxon"])[["biovolume_concentration", "carbon_biomass"]]
    assert found.loc[("a", "x")].isna().all()
    assert found.loc[("b", "y")].tolist() == [0.1, 0.2]
    assert found.loc[("b", "x")].tolist() == [0, 0]


@pytest.mark.parametrize("strange", ["dry", "z"])
def test_counts_without_a_volume_are_refused(strange):
    table = counts(("a", "x", 1, 0.1, 0.1, 1.0), (strange, "x", 1, 0.1, 0.1, 1.0), (strange, "y", 1, 0.1, 0.1, 1.0))
    with pytest.raises(UserError, match=f"sample '{strange}' has counts and no volume above 0 m3; 2 such counts"):
        concentrations(SAMPLES, table)


def test_a_sample_of_a_litre_has_a_volume():
    got = concentrations(SAMPLES.assign(volume=[0.001, 0.5, 0.0]), counts(("a", "x", 3, 0.2, 0.02, 1.0)))
    assert got["number_concentration"].tolist() == pytest.approx([3000, 0])
