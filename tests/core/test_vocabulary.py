"""The vocabulary and its checks."""

from importlib.resources import files
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from aqqua_dist.core import tables, vocabulary
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.core.units import convert
from aqqua_dist.core.vocabulary import Quantity, check, quantities, quantity
from aqqua_dist.maps import stocks
from aqqua_dist.plots import curves
from aqqua_dist.recipe.recipe import json_schema, parse

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


def test_kelvin_is_guessed_in_a_dataset():
    field = xr.DataArray([[275.0, 300.0]], dims=("lat", "lon"), attrs={"units": "degree_Celsius"})
    with pytest.raises(UserError, match=r"275 is outside \[-3, 40\] degree_Celsius; 2 such values\. Is it in K\?"):
        check(xr.Dataset({"temperature": field}), place="c.nc")


@pytest.mark.parametrize("name", vocabulary.modelled())
def test_a_stock_has_the_dimension_of_its_quantity(name):
    """Quantity times m3 (or m2) times factor is the stock, by the units alone."""
    entry = quantity(name)
    size = {"volume": " m3", "area": " m2", "mean": ""}[entry.stock.measure]
    units = "m-3 m3" if entry.units == "m-3" else f"{entry.units}{size}"
    assert float(convert(1.0, units, entry.stock.units, place=name)) == pytest.approx(entry.stock.factor)


def test_a_signed_quantity_has_no_logarithm():
    with pytest.raises(UserError, match="'log'"):
        Quantity("slope", "1", "slope", signed=True, link="log")


@pytest.fixture
def with_silica(tmp_path, monkeypatch):
    """A vocabulary with one more entry."""
    text = package_data("vocabulary.yaml").read_text()
    text += (
        "\nsilica_biomass: {units: mg m-3, long_name: biogenic silica, valid_min: 0, element: Si, "
        "stock: {measure: volume, factor: 1.0e-18, units: Pg Si, label: stock of silica}}\n"
    )
    (tmp_path / "vocabulary.yaml").write_text(text)
    monkeypatch.setattr(
        vocabulary, "package_data", lambda name: tmp_path / name if name == "vocabulary.yaml" else package_data(name)
    )
    vocabulary.quantities.cache_clear()
    vocabulary.columns.cache_clear()
    yield
    vocabulary.quantities.cache_clear()
    vocabulary.columns.cache_clear()


RECIPE = """\
study: silica
title: Silica of Rhizaria
zones: [{name: 0-200, top: 0, bottom: 200}]
observations: {kind: table, path: a.csv, quantity: silica_biomass, units: mmol Si m-3, columns: {y: y, taxon: taxon}}
predictors: {kind: layers, names: [temperature]}
published: [{taxon: a, zone: 0-200, statistic: stock, value: 1, units: Tg Si, source: nobody}]
"""


@pytest.mark.usefixtures("with_silica")
def test_a_new_quantity_is_one_entry():
    recipe = parse(RECIPE)
    assert recipe.observations.quantity == "silica_biomass"
    rule = stocks.stock_of("silica_biomass")
    assert (rule.units, stocks.cell_sizes(rule, np.array([1.0]), np.array([2e18]))[0] * rule.factor) == ("Pg Si", 2.0)
    totals = pd.DataFrame(
        {"quantity": "silica_biomass", "taxon": "a", "zone": "0-200", "region_set": "global", "region": "global"}
        | {"member": [-1, 0, 1], "total": [3.0, 2.0, 4.0], "sum_cell_sd": 1.0, "area": 1.0, "volume": 2e18}
        | {"units": "Pg Si"}
    )
    budget = stocks.summarise(totals)
    assert (budget["estimate"].item(), budget["interval"].item()) == (3.0, "lognormal")
    assert curves.regional_means(budget, quantity("silica_biomass"))["estimate"].item() == pytest.approx(1.5)
    assert vocabulary.column("silica_biomass").units == "mg m-3"
    assert "silica_biomass" in json_schema()["$defs"]["TableObservations"]["properties"]["quantity"]["enum"]


def test_without_the_entry_the_quantity_is_refused_with_the_choices():
    with pytest.raises(
        UserError, match=r"observations.quantity: 'silica_biomass' is not allowed \(choose from .*'carbon_biomass'"
    ):
        parse(RECIPE)


@pytest.mark.usefixtures("with_silica")
def test_carbon_is_no_silica():
    with pytest.raises(UserError, match="observations.units: unit 'mmol C m-3' is of C, needed is 'mg m-3' of Si"):
        parse(RECIPE.replace("mmol Si m-3", "mmol C m-3"))


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("units: Tg C", "units: bananas", r"published.0.units: unit 'bananas' is not understood"),
        ("units: Tg C", "units: m3", r"published.0.units: unit 'm3' cannot become 'Pg C'"),
        ("units: Tg C", "units: Tg Si", r"published.0.units: unit 'Tg Si' is of Si, needed is 'Pg C' of C"),
        ("units: mgC/m3", "units: ind m-3", r"observations.units: unit 'ind m-3' cannot become 'mg m-3'"),
        (
            "units: mgC/m3",
            "units: mg m-3, effort_units: mg",
            r"observations.effort_units: unit 'mg' cannot become 'm3'",
        ),
    ],
)
def test_units_of_a_recipe_are_refused_before_anything_is_read(before, after, shown):
    text = RECIPE.replace("silica_biomass", "carbon_biomass").replace("mmol Si m-3", "mgC/m3").replace("Tg Si", "Tg C")
    assert parse(text).observations.units == "mgC/m3"
    with pytest.raises(UserError, match=shown):
        parse(text.replace(before, after))


@pytest.mark.parametrize("table", ["samples", "objects", "counts", "findings"])
def test_every_column_of_the_readers_is_described(table):
    for name in getattr(tables, table.upper()):
        assert vocabulary.column(name, table).description.endswith(".")


@pytest.mark.parametrize(
    ("name", "table", "units"),
    [
        ("esd", "objects", "um"),
        ("esd_low", "counts", "um"),
        ("esd_high", "zone_spectra", "um"),
        ("area", "objects", "px2"),
        ("area", "budget", "m2"),
        ("volume", "samples", "m3"),
        ("carbon_biomass", "concentrations", "mg m-3"),
        ("embedding_pc07", "components", "1"),
        ("acq_celltype", "acquisitions", None),
        ("temperature", "conditions", "degree_Celsius"),
        ("draw_0003", "training", None),
    ],
)
def test_units_of_columns(name, table, units):
    assert vocabulary.column(name, table).units == units
    assert vocabulary.column_units([name, "my own"], table) == ({} if units is None else {name: units})


def test_a_column_that_nobody_writes_gets_the_nearest():
    with pytest.raises(UserError, match="'esd_hihg'.*did you mean 'esd_high'"):
        vocabulary.column("esd_hihg")


@pytest.mark.parametrize("entry", vocabulary.columns().values(), ids=lambda entry: f"{entry.table}.{entry.name}")
def test_an_entry_of_a_column_is_a_sentence_with_a_unit_that_is_understood(entry):
    assert entry.description[0] == entry.description[0].upper() or entry.description.split()[0].rstrip(",") in (
        "validated",
        "repaired",
        "train",
    )
    assert entry.description.endswith(".") and "|" not in entry.description
    assert entry.units is None or float(convert(1.0, entry.units, entry.units, place=entry.name)) == 1.0


def test_the_page_of_columns_is_current(project_root):
    """Run docs/make_dictionary.py after a change."""
    assert (project_root / "docs" / "dictionary.md").read_text(encoding="utf-8") == vocabulary.dictionary_page()


COLUMNS_ONLY = (
    "concentrations/",
    "spectra/",
    "rates/size_classes.py",  # coordinates of spectra
    "embeddings/collection.py",
    "training/aggregated.py",
    "stages/verbs.py",  # examples that read a table
)
"""Where a quantity may stand by name: as a column of a table that is read or written there."""


def test_no_module_knows_a_quantity_by_name(project_root):
    names = [f'"{name}"' for name in vocabulary.modelled()]
    package = project_root / "aqqua_dist"
    found = [
        path.relative_to(project_root).as_posix()
        for path in [*package.rglob("*.py"), *(project_root / "figures").glob("*.py")]
        if not path.as_posix().removeprefix(package.as_posix() + "/").startswith(COLUMNS_ONLY)
        and any(name in path.read_text(encoding="utf-8") for name in names)
    ]
    assert found == []
