"""Attributes and storage of maps: the offline checker, exactness, land, identifiers."""

import json
import os
import shutil
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
    """CF-1.11 with every point; of the high-priority list of ACDD-1.3 only names that would stand twice are absent."""
    cf_report, acdd = checked(written(tmp_path, **given))
    assert [(check["name"], check["msgs"]) for check in cf_report["all_priorities"] if check["msgs"]] == []
    assert cf_report["scored_points"] == cf_report["possible_points"] > 500
    assert (cf_report["high_count"], cf_report["medium_count"], cf_report["low_count"]) == (0, 0, 0)
    lost = [check for check in acdd["high_priorities"] if check["value"][0] < check["value"][1]]
    assert all(check["msgs"] == ["standard_name"] for check in lost)
    bare = {
        check["name"].split('"')[1] for check in lost
    }  # one variable bears the name, its standard error the modified one
    quantity = given.get("quantity", "carbon_biomass")
    expected = {"dissimilarity_index", *(f"{quantity}_{s}" for s in ("q025", "q50", "q975"))}
    if "months" in given:
        expected |= {f"{quantity}_annual", *(f"{quantity}_annual_{s}" for s in STATISTICS[1:])}
    assert bare == expected
    assert sum(check["value"][0] for check in acdd["high_priorities"]) > 30


def test_biovolume_lacks_the_standard_name_that_cf_does_not_have(tmp_path):
    """And nothing else; a borrowed name with another meaning would pass and be wrong."""
    cf_report, acdd = checked(written(tmp_path, quantity="biovolume_concentration"))
    assert cf_report["scored_points"] == cf_report["possible_points"]
    lost = [
        (check["name"], check["msgs"]) for check in acdd["high_priorities"] if check["value"][0] < check["value"][1]
    ]
    assert len(lost) == len(STATISTICS) + 1
    assert all(missing == ["standard_name"] for _, missing in lost)
    assert sum("biovolume_concentration" in name for name, _ in lost) == len(STATISTICS)


def test_the_checker_would_find_a_fault(tmp_path):
    path = written(tmp_path)
    with netCDF4.Dataset(path, "a") as file:
        file.variables["carbon_biomass"].units = "nonsense"
        file.delncattr("title")
    cf_report, acdd = checked(path)
    assert cf_report["high_count"] > 0
    assert acdd["high_count"] > 0


def test_taxon_and_zone_are_scalar_coordinates():
    known = made("Copepoda")
    assert known["taxon"].shape == known["zone"].shape == ()
    assert (known["taxon"].item(), known["zone"].item()) == ("Copepoda", "0-200")
    assert known["taxon"].attrs["standard_name"] == "biological_taxon_name"
    assert known["biological_taxon_lsid"].item() == "urn:lsid:marinespecies.org:taxname:1080"
    assert known["carbon_biomass"].dims == ("lat", "lon")
    assert (known["depth"].item(), known["zone_top"].item(), known["zone_bottom"].item()) == (100.0, 0.0, 200.0)
    assert made("virtual salp")["biological_taxon_lsid"].item() == ""


def test_no_variable_has_a_text_axis_and_fields_are_of_two_or_three_dimensions(tmp_path):
    for months, expected in ((None, {("lat", "lon")}), (12, {("lat", "lon"), ("time", "lat", "lon")})):
        (tmp_path / str(months)).mkdir()
        with netCDF4.Dataset(written(tmp_path / str(months), months=months)) as file:
            assert set(file.dimensions) == {"lat", "lon", "bnds"} | ({"time"} if months else set())
            assert {v.dimensions for v in file.variables.values() if v.dimensions[-2:] == ("lat", "lon")} == expected


def test_months_are_a_climatological_axis(tmp_path):
    """CF section 7.4: the bounds run from the first month of the period to the end of the last one."""
    path = written(tmp_path, months=12)
    with xr.open_dataset(path) as found:
        assert found["time"].dt.month.to_numpy().tolist() == list(range(1, 13))
        assert found["month"].to_numpy().tolist() == list(range(1, 13))
        july = found["carbon_biomass"].isel(time=6)
        xr.testing.assert_equal(map_file.by_month(found)["carbon_biomass"].sel(month=7), july)
    with netCDF4.Dataset(path) as file:
        time = file.variables["time"]
        assert (time.standard_name, time.axis, time.climatology) == ("time", "T", "climatology_bnds")
        bounds = netCDF4.num2date(file.variables["climatology_bnds"][[0, 11]], time.units, time.calendar)
        assert [[str(day)[:10] for day in row] for row in bounds] == [
            ["1900-01-01", "1993-02-01"],
            ["1900-12-01", "1994-01-01"],
        ]
        assert file.variables["carbon_biomass"].cell_methods.startswith("time: mean within years time: mean over years")
        assert not hasattr(time, "bounds")


def test_one_variable_bears_the_standard_name(tmp_path):
    """And its standard deviation the modified one; a search finds the estimate, not four quantiles."""
    with netCDF4.Dataset(written(tmp_path, months=2)) as file:
        names = [v.standard_name for v in file.variables.values() if hasattr(v, "standard_name")]
        assert len(set(names)) == len(names)
        stem = "mass_concentration_of_biological_taxon_expressed_as_carbon_in_sea_water"
        assert file.variables["carbon_biomass"].standard_name == stem
        assert file.variables["carbon_biomass_sd"].standard_name == f"{stem} standard_error"


@pytest.mark.parametrize("months", [None, 2])
def test_cell_methods_are_true(tmp_path, months):
    """Means are over the sea of a cell; flags and indices are of the means of a cell, not means over it."""
    with netCDF4.Dataset(written(tmp_path, months=months)) as file:
        for name in ("carbon_biomass", "carbon_biomass_sd", "carbon_biomass_q025", "thickness"):
            assert "area: mean where sea" in file.variables[name].cell_methods
        assert "97.5 % quantile over members" in file.variables["carbon_biomass_q975"].cell_methods
        assert not hasattr(file.variables["applicability"], "cell_methods")
        assert not hasattr(file.variables["dissimilarity_index"], "cell_methods")


@pytest.mark.parametrize("radius_km", [6371.0072, 6378.137])
def test_the_grid_mapping_is_the_sphere_of_the_areas(radius_km):
    grid_ = cells().assign(cell_area=grid.cell_area(LAT, LON, radius_km))
    found = map_file.map_dataset(
        fields(),
        quantity="carbon_biomass",
        taxon=taxonomy.taxon_record("Copepoda"),
        zone=("0-200", 0.0, 200.0),
        grid=grid_,
        about=ABOUT,
    )["crs"].attrs
    assert found["earth_radius"] == pytest.approx(radius_km * 1e3)
    assert "inverse_flattening" not in found


@pytest.mark.parametrize("months", [None, 12])
def test_maps_of_several_taxa_combine(tmp_path, months):
    paths = []
    for taxon in ("Copepoda", "Rhizaria", "virtual salp"):
        (tmp_path / taxon).mkdir()
        paths.append(written(tmp_path / taxon, taxon=taxon, months=months))
    with xr.open_mfdataset(paths, combine="nested", concat_dim="taxon") as both:
        assert both["taxon"].to_numpy().tolist() == ["Copepoda", "Rhizaria", "virtual salp"]
        assert both["carbon_biomass"].sizes["taxon"] == 3
        one = both["carbon_biomass"].sel(taxon="Rhizaria").load()
    with xr.open_dataset(paths[1]) as alone:
        np.testing.assert_array_equal(one.to_numpy(), alone["carbon_biomass"].to_numpy())


def area_mean(path, name):
    """Mean over the cells with a value, weighted by their area: the twin of what other tools compute."""
    with xr.open_dataset(path) as found:
        field = found[name].astype("float64").load()
        return field.weighted(found["cell_area"].fillna(0)).mean(("lat", "lon")).to_numpy().ravel()


def shown(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("months", [None, 12])
def test_cdo_reads_every_field_and_gives_our_means(tmp_path, months):
    path = written(tmp_path, months=months)
    with netCDF4.Dataset(path) as file:
        fields_ = {n for n, v in file.variables.items() if v.dimensions[-2:] == ("lat", "lon")} - {"cell_area"}
    assert fields_ <= set(shown("cdo", "-s", "showname", path).split())
    assert int(shown("cdo", "-s", "ntime", "-selname,carbon_biomass", path)) == (months or 1)
    assert "depth" in shown("cdo", "-s", "sinfo", path)
    for name in ("carbon_biomass", "carbon_biomass_q975", "dissimilarity_index"):
        means = [float(v) for v in shown("cdo", "-s", "outputf,%.9g", "-fldmean", f"-selname,{name}", path).split()]
        assert means == pytest.approx(area_mean(path, name), rel=1e-5)


@pytest.mark.parametrize("months", [None, 12])
def test_nco_gives_our_means(tmp_path, months):
    path = written(tmp_path, months=months)
    shown("ncwa", "-O", "-a", "lat,lon", "-w", "cell_area", "-v", "carbon_biomass", path, tmp_path / "mean.nc")
    with netCDF4.Dataset(tmp_path / "mean.nc") as file:
        means = np.atleast_1d(file.variables["carbon_biomass"][...])
    assert means.tolist() == pytest.approx(area_mean(path, "carbon_biomass").tolist(), rel=1e-4)


@pytest.mark.parametrize("months", [None, 12])
def test_gdal_lists_every_field_north_up_with_its_missing_value(tmp_path, months):
    path = written(tmp_path, months=months)
    listed = shown("gdalinfo", path)
    assert f'NETCDF:"{path}":carbon_biomass_q975' in listed
    assert f'NETCDF:"{path}":dissimilarity_index' in listed
    about = json.loads(shown("gdalinfo", "-json", "-stats", f'NETCDF:"{path}":carbon_biomass'))
    assert len(about["bands"]) == (months or 1)
    assert about["geoTransform"] == pytest.approx([-180, 10, 0, 90, 0, -10])
    assert "6371007" in about["coordinateSystem"]["wkt"]
    with xr.open_dataset(path) as found:
        first = found["carbon_biomass"].to_numpy().reshape(-1, LAT.size, LON.size)[0]
    assert about["bands"][0]["mean"] == pytest.approx(np.nanmean(first.astype("float64")), rel=1e-4)


def test_variables_refer_to_each_other(tmp_path):
    with netCDF4.Dataset(written(tmp_path, months=2)) as file:
        main = file.variables["carbon_biomass"]
        beside = main.ancillary_variables.split()
        assert set(beside) == {f"carbon_biomass_{s}" for s in STATISTICS[1:]} | {"applicability", "dissimilarity_index"}
        for name in [*beside, "crs", *main.cell_measures.split()[1:], *main.coordinates.split()]:
            assert name in file.variables
        located = {"taxon", "zone", "biological_taxon_lsid", "zone_top", "zone_bottom", "depth", "month"}
        assert located == set(main.coordinates.split())
        assert (main.units, main.dimensions) == ("mg m-3", ("time", "lat", "lon"))
        for axis in ("lat", "lon"):
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
        ours = found["carbon_biomass_sd"]
        error = float((abs(ours - expected) / expected).max())
        assert (error == 0) if lossless else (0 < error <= map_file.RELATIVE_ERROR <= 5e-3)
        assert ("mantissa_bits" in ours.attrs) != lossless
        assert "quantization_nsb" not in ours.attrs  # a word of CF-1.12, and the file declares CF-1.11
        np.testing.assert_array_equal(found["thickness"].to_numpy(), cells()["thickness"].to_numpy())


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
