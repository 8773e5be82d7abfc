"""The vocabulary and its checks."""

from importlib.resources import files
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.units import convert
from aqqua_dist.core.vocabulary import Quantity, check, quantities, quantity

ISO_TYPES = {"modelResult", "physicalMeasurement", "auxiliaryInformation", "qualityInformation", "coordinate"}
CONTRACT = {
    "carbon_biomass": "mg m-3",
    "number_concentration": "m-3",
    "biovolume_concentration": "mm3 m-3",
    "temperature": "degree_Celsius",
    "salinity": "1",
    "silicate": "umol kg-1",
    "phosphate": "umol kg-1",
    "nitrate": "umol kg-1",
    "oxygen": "umol kg-1",
    "chlorophyll": "mg m-3",
    "bathymetry": "m",
    "distance_to_coast": "km",
    "wind_speed": "m s-1",
    "solar_radiation": "W m-2",
    "mixed_layer_depth": "m",
    "lat": "degrees_north",
    "lon": "degrees_east",
    "zone_top": "m",
    "zone_bottom": "m",
    "depth": "m",
    "month": "1",
    "effort": "m3",
    "n_samples": "1",
    "cell_area": "m2",
    "thickness": "m",
    "carbon_stock": "Pg",
}


@pytest.fixture(scope="module")
def standard_names():
    """CF standard name -> canonical unit, from the table that the compliance checker ships."""
    table = files("compliance_checker") / "data" / "cf-standard-name-table.xml"
    root = ElementTree.fromstring(table.read_text(encoding="utf-8"))
    return {entry.get("id"): entry.findtext("canonical_units") for entry in root.iter("entry")}


@pytest.mark.parametrize(("name", "units"), CONTRACT.items())
def test_units_are_fixed(name, units):
    assert quantity(name).units == units


@pytest.mark.parametrize("entry", quantities().values(), ids=lambda entry: entry.name)
def test_entry(entry, standard_names):
    assert entry.long_name and entry.coverage_content_type in ISO_TYPES
    if entry.valid_min is not None and entry.valid_max is not None:
        assert entry.valid_min < entry.valid_max
    if entry.standard_name is not None:
        assert entry.standard_name in standard_names
        canonical = standard_names[entry.standard_name]
        assert np.isfinite(convert(np.array(1.0), canonical, entry.units, place=entry.name))


def test_unknown_name_gets_the_nearest():
    with pytest.raises(UserError, match="'temprature'.*'temperature'"):
        quantity("temprature")


def test_label():
    assert quantity("nitrate").label == "nitrate (umol kg-1)"
    assert quantity("salinity").label == "salinity"


def test_entries_cannot_be_changed():
    with pytest.raises(AttributeError):
        quantity("nitrate").units = "mol kg-1"
    assert quantities() is quantities()
    assert isinstance(quantity("nitrate"), Quantity)


def test_good_table_passes_with_gaps_and_unknown_columns():
    table = pd.DataFrame({"temperature": [1.0, np.nan], "lat": [-90, 90], "note": ["a", "b"], "strange": [1e9, -1e9]})
    assert check(table, place="t.csv") is None


def test_bad_value_is_shown_with_its_row_as_a_spreadsheet_counts():
    table = pd.DataFrame({"temperature": [1.0, 285.0, 290.0]}, index=[10, 20, 30])
    with pytest.raises(
        UserError, match=r"t\.csv: row 3, temperature: 285 is outside \[-3, 40\] degree_Celsius; 2 such"
    ):
        check(table, place="t.csv")


@pytest.mark.parametrize("value", [-1.0, -np.inf])
def test_negative_concentration_is_refused(value):
    with pytest.raises(UserError, match="carbon_biomass"):
        check(pd.DataFrame({"carbon_biomass": [0.0, value]}), place="t.csv")


def test_whole_numbers_are_checked_too():
    with pytest.raises(UserError, match=r"row 2, lat: 91 "):
        check(pd.DataFrame({"lat": [91]}), place="t.csv")


def test_dataset_is_checked_for_values_units_and_coordinates():
    def grid(value, units="degree_Celsius", lat=0.5):
        field = xr.DataArray([[1.0, value]], dims=("lat", "lon"), attrs={"units": units})
        return xr.Dataset({"temperature": field}, coords={"lat": [lat], "lon": [0.5, 1.5]})

    assert check(grid(np.nan), place="c.nc") is None
    with pytest.raises(UserError, match=r"c\.nc: index \(0, 1\), temperature: 99 "):
        check(grid(99.0), place="c.nc")
    with pytest.raises(UserError, match="'K', allowed is 'degree_Celsius'"):
        check(grid(2.0, units="K"), place="c.nc")
    with pytest.raises(UserError, match="lat: 95"):
        check(grid(2.0, lat=95.0), place="c.nc")
