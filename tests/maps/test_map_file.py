"""Attributes and storage of maps: the offline checker, exactness, land, identifiers."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from aqqua_dist.core import files, grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance
from aqqua_dist.maps import map_file
from aqqua_dist.organisms import taxonomy

LAT, LON = grid.regular_grid(10)
ABOUT = map_file.MapAbout(
    title="Map of a taxon, 0-200 m",
    summary="Carbon biomass predicted from climatologies.",
    references=["https://doi.org/10.3389/fmars.2022.894372"],
    licence="CC-BY-4.0",
    creator_name="A. Person",
    institution="An institute",
    creator_email="a.person@example.org",
    creator_url="https://example.org",
    estimate="full fit",
    member_scheme="100 models on cruises drawn with replacement",
    n_members=100,
    source="boosted regression trees",
)
STATISTICS = ("estimate", "sd", "q025", "q50", "q975")
LAND = (slice(3, 6), slice(10, 14))


def fields(months=None, seed=0):
    rng = np.random.default_rng(seed)
    coords = {"lat": LAT, "lon": LON}
    flat = xr.DataArray(np.exp(rng.normal(0, 3, (LAT.size, LON.size))), dims=("lat", "lon"), coords=coords)
    flat[LAND] = np.nan
    if months is None:
        whole = flat
    else:
        month = xr.DataArray(np.arange(1, months + 1), dims="month", coords={"month": np.arange(1, months + 1)})
        whole = month * flat
    found = {name: whole * (1 + k) for k, name in enumerate(STATISTICS)}
    found |= {"applicability": (whole > 1).astype(float).where(whole.notnull()), "dissimilarity_index": whole / 10}
    if months:
        found |= {f"{name}_annual": flat * (1 + k) for k, name in enumerate(STATISTICS)}
    return found


def cells():
    area = grid.cell_area(LAT, LON)
    thickness = xr.full_like(area, 200.0).rename("thickness")
    thickness[LAND] = np.nan
    return xr.Dataset({"cell_area": area, "thickness": thickness})


def made(taxon="Copepoda", months=None, quantity="carbon_biomass", about=ABOUT):
    return map_file.map_dataset(
        fields(months),
        quantity=quantity,
        taxon=taxonomy.taxon_record(taxon),
        zone=("0-200", 0.0, 200.0),
        grid=cells(),
        about=about,
    )


def written(folder, **given):
    origin = Provenance(
        study="s",
        stage="map",
        key="0" * 32,
        recipe_text="study: s\n",
        recipe_sha256="1" * 64,
        inputs={},
        seeds={"seed": 1},
        software={"python": "3"},
        references=[],
        created="2026-01-02T03:04:05Z",
    )
    dataset = made(**given)
    files.write_netcdf(dataset, folder / "map.nc", origin, encoding=map_file.encoding(dataset))
    return folder / "map.nc"


def checked(path):
    """Report of the compliance checker on CF and on ACDD; its way to a network ends in a closed port."""
    report = path.with_suffix(".json")
    options = ["--test=cf:1.11", "--test=acdd:1.3", "--skip-checks=check_taxa", "--criteria=strict"]
    options += ["--format=json_new", f"--output={report}"]
    offline = os.environ | {
        name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    }
    shown = subprocess.run(
        [Path(sys.executable).parent / "compliance-checker", *options, path],
        capture_output=True,
        text=True,
        timeout=300,
        env=offline,
    )
    assert report.exists(), shown.stderr
    (found,) = json.loads(report.read_text()).values()
    return found["cf:1.11"], found["acdd:1.3"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"months": 12},
        {"taxon": "virtual salp"},
        {"taxon": "Rhizaria", "quantity": "number_concentration", "months": 3},
        {"about": replace(ABOUT, lossless=True)},
    ],
    ids=["annual", "monthly", "no AphiaID", "monthly numbers, no AphiaID", "lossless"],
)
def test_the_checker_finds_nothing(tmp_path, given):
    """CF-1.11 with every point, ACDD-1.3 with every point of its high-priority list, without a network."""
    cf_report, acdd = checked(written(tmp_path, **given))
    assert [(check["name"], check["msgs"]) for check in cf_report["all_priorities"] if check["msgs"]] == []
    assert cf_report["scored_points"] == cf_report["possible_points"] > 500
    assert (cf_report["high_count"], cf_report["medium_count"], cf_report["low_count"], acdd["high_count"]) == (
        0,
        0,
        0,
        0,
    )
    marks = [check["value"] for check in acdd["high_priorities"]]
    assert sum(got for got, _ in marks) == sum(possible for _, possible in marks) > 30


def test_biovolume_lacks_the_standard_name_that_cf_does_not_have(tmp_path):
    """And nothing else; a borrowed name with another meaning would pass and be wrong."""
    cf_report, acdd = checked(written(tmp_path, quantity="biovolume_concentration"))
    assert cf_report["scored_points"] == cf_report["possible_points"]
    lost = [
        (check["name"], check["msgs"]) for check in acdd["high_priorities"] if check["value"][0] < check["value"][1]
    ]
    assert len(lost) == len(STATISTICS)
    assert all("biovolume_concentration" in name and missing == ["standard_name"] for name, missing in lost)


def test_the_checker_would_find_a_fault(tmp_path):
    path = written(tmp_path)
    with netCDF4.Dataset(path, "a") as file:
        file.variables["carbon_biomass"].units = "nonsense"
        file.delncattr("title")
    cf_report, acdd = checked(path)
    assert cf_report["high_count"] > 0
    assert acdd["high_count"] > 0


def test_taxon_is_a_coordinate_with_its_identifier():
    known = made("Copepoda")
    assert known["taxon"].item() == "Copepoda"
    assert known["biological_taxon_name"].attrs["standard_name"] == "biological_taxon_name"
    assert known["biological_taxon_lsid"].item() == "urn:lsid:marinespecies.org:taxname:1080"
    assert known["carbon_biomass"].dims == ("taxon", "zone", "lat", "lon")
    assert made("virtual salp")["biological_taxon_lsid"].item() == ""


def test_variables_refer_to_each_other(tmp_path):
    with netCDF4.Dataset(written(tmp_path, months=2)) as file:
        main = file.variables["carbon_biomass"]
        beside = main.ancillary_variables.split()
        assert set(beside) == {f"carbon_biomass_{s}" for s in STATISTICS[1:]} | {"applicability"}
        for name in [*beside, "crs", *main.cell_measures.split()[1:], *main.coordinates.split()]:
            assert name in file.variables
        located = {"dissimilarity_index", "biological_taxon_name", "biological_taxon_lsid", "zone_top", "zone_bottom"}
        assert located <= set(main.coordinates.split())
        assert main.cell_methods == "area: mean depth: mean"
        assert (main.units, main.dimensions) == ("mg m-3", ("taxon", "month", "zone", "lat", "lon"))
        for axis in ("lat", "lon", "depth"):
            bounds = file.variables[file.variables[axis].bounds][:]
            assert bounds.shape == (file.variables[axis].size, 2)
            assert np.allclose(bounds.mean(axis=1), file.variables[axis][:])
        assert file.variables["applicability"].flag_meanings == "outside inside"
        assert file.Conventions == "CF-1.11, ACDD-1.3"


@pytest.mark.parametrize("months", [None, 3])
def test_what_stands_beside_a_variable_has_no_further_axis(tmp_path, months):
    """Otherwise readers of the CF data model drop it, and all that is named with it."""
    with netCDF4.Dataset(written(tmp_path, months=months)) as file:
        beside = {
            name: v.ancillary_variables.split()
            for name, v in file.variables.items()
            if hasattr(v, "ancillary_variables")
        }
        assert set(beside) == ({"carbon_biomass"} if months is None else {"carbon_biomass", "carbon_biomass_annual"})
        for name, others in beside.items():
            for other in others:
                assert set(file.variables[other].dimensions) <= set(file.variables[name].dimensions), (name, other)
            assert {f"{name}_{s}" for s in STATISTICS[1:]} <= set(others)
        assert "applicability" in beside["carbon_biomass"]
        assert all(v.grid_mapping == "crs" for v in file.variables.values() if v.dimensions[-2:] == ("lat", "lon"))


def test_land_is_fill_and_simple_tools_read_the_file(tmp_path):
    """No groups, ascending axes, numbers only in fields: what ncview-like viewers and GIS drivers ask for."""
    with netCDF4.Dataset(written(tmp_path)) as file:
        assert file.groups == {}
        assert file.data_model == "NETCDF4"
        for axis in ("lat", "lon"):
            assert (np.diff(file.variables[axis][:]) > 0).all()
            assert not np.ma.is_masked(file.variables[axis][:])
        for name, variable in file.variables.items():
            if variable.dimensions[-2:] == ("lat", "lon") and name != "cell_area":
                values = variable[:]
                land = np.ma.getmaskarray(values)[(0,) * (values.ndim - 2) + LAND]
                assert land.all(), name
                assert np.ma.getmaskarray(values).sum() == 12 * values.size / (LAT.size * LON.size), name
                assert not np.isnan(values.compressed()).any()
        assert not np.ma.is_masked(file.variables["cell_area"][:])
        assert float(file.variables["cell_area"][:].sum()) == pytest.approx(4 * np.pi * 6371007.2**2)


@pytest.mark.parametrize("lossless", [False, True])
def test_rounding_stays_below_its_stated_error(tmp_path, lossless):
    path = written(tmp_path, about=replace(ABOUT, lossless=lossless))
    expected = fields()["sd"].astype("float32")
    with xr.open_dataset(path) as found:
        ours = found["carbon_biomass_sd"].isel(taxon=0, zone=0)
        error = float((abs(ours - expected) / expected).max())
        assert (error == 0) if lossless else (0 < error <= map_file.RELATIVE_ERROR <= 5e-3)
        assert ("quantization_nsb" in ours.attrs) != lossless
        xr.testing.assert_equal(
            found["thickness"].isel(zone=0, drop=True), cells()["thickness"].drop_vars("zone", errors="ignore")
        )


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_bit_rounding_is_close_symmetric_and_stable(value):
    once = map_file.bit_round([value])
    assert abs(float(once[0]) - value) <= map_file.RELATIVE_ERROR * abs(value) or not np.isfinite(once[0])
    assert map_file.bit_round([-value])[0] == -once[0]
    if np.isfinite(once[0]):
        assert map_file.bit_round(once)[0] == once[0]


def test_bit_rounding_by_hand():
    """7 bits after the leading one: 1 + 1/128 is kept, halves go to the even neighbour; NaN and infinity stay."""
    given_, expected = (
        [1 + 1 / 128, 1 + 1 / 256, 1 + 3 / 256, 1 + 1 / 512, 0.0, np.inf],
        [1 + 1 / 128, 1.0, 1 + 2 / 128, 1.0, 0.0, np.inf],
    )
    assert map_file.bit_round(given_).tolist() == expected
    assert np.isnan(map_file.bit_round([np.nan])[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fields": {"estimat": None}}, "field 'estimat' has no place in a map; choose from estimate"),
        ({"fields": {}}, "needs the field 'estimate'"),
        ({"zone": ("0-200", 200.0, 0.0)}, "goes from 200.0 to 0.0 m"),
        ({"about": replace(ABOUT, title=" ")}, "a map needs a title"),
        ({"quantity": "carbon_biomas"}, "did you mean 'carbon_biomass'"),
    ],
)
def test_what_is_no_map_is_refused(change, message):
    given = {"quantity": "carbon_biomass", "taxon": taxonomy.taxon_record("Copepoda"), "zone": ("0-200", 0.0, 200.0)}
    given |= {"grid": cells(), "about": ABOUT}
    found = change.pop("fields", None)
    with pytest.raises(UserError, match=message):
        map_file.map_dataset(fields() if found is None else {k: fields()["sd"] for k in found}, **given | change)
