"""Size, biovolume and mass of objects: hand-computed values, and the factors by which other codes are wrong."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.organisms import elements
from aqqua_dist.organisms.conversions import conversion
from aqqua_dist.organisms.sizes import add_traits, biovolumes, choose, ellipsoid, esd, esd_uvp, pixel_size, sphere

sizes = st.floats(1e-3, 1e6)


# -- diameters and volumes by hand
def test_esd_by_hand():
    # a disc of 100 px diameter and 10.6 um pixels is 1060 um wide
    assert float(esd(math.pi * 50**2, 10.6)) == pytest.approx(1060)


@pytest.mark.parametrize(
    ("area", "wrong", "factor"), [(1401, lambda a: math.sqrt(a) / math.pi * 2, 1 / math.sqrt(math.pi))]
)
def test_not_sqrt_of_area_over_pi(area, wrong, factor):
    """EcotaxaTools takes sqrt(area)/pi for the radius: the diameter becomes 0.564 of the true one, the volume 0.18."""
    assert wrong(area) / float(esd(area, 1.0)) == pytest.approx(factor) == pytest.approx(0.5642, abs=1e-4)


def test_sphere_takes_the_diameter():
    """planktyp computes 4/3 pi ESD^3, 8 times too much."""
    assert float(sphere(1000.0)) == pytest.approx(math.pi / 6)  # 1 mm
    assert 4 / 3 * math.pi * 1.0**3 / float(sphere(1000.0)) == pytest.approx(8)


def test_the_object_of_the_reference_export():
    """EcoTaxa's own test: 1401 px2 at 10.6 um, 939655 after x2/100, labelled mm3 though it is in um3."""
    volume = float(sphere(esd(1401, 10.6)))
    assert volume * 1e9 * 2 / 100 == pytest.approx(939655, rel=1e-6)


def test_ellipsoid_takes_full_axes():
    """EcoTaxa's web form proposes 4/3 pi major minor^2, 8 times too much."""
    volume = float(ellipsoid(200, 100, 10.0))  # 2 mm x 1 mm
    assert volume == pytest.approx(math.pi / 6 * 2 * 1**2)
    assert 4 / 3 * math.pi * 2 * 1**2 / volume == pytest.approx(8)


@given(sizes, sizes)
def test_an_ellipsoid_of_equal_axes_is_a_sphere(diameter, pixel):
    np.testing.assert_allclose(ellipsoid(diameter, diameter, pixel), sphere(diameter * pixel), rtol=1e-9)


@given(sizes, st.floats(0.1, 100))
def test_esd_of_the_area_of_a_disc(diameter, pixel):
    np.testing.assert_allclose(esd(math.pi / 4 * diameter**2, pixel), diameter * pixel, rtol=1e-9)


def test_uvp_particles():
    # aa 0.0036 mm2, exp 1.149, 10 px: area 0.0036 * 10^1.149 = 0.0507 mm2, diameter 0.25416 mm
    assert float(esd_uvp(10, 0.0036, 1.149)) == pytest.approx(2000 * math.sqrt(0.0036 * 10**1.149 / math.pi))
    assert float(esd_uvp(10, 0.0036, 1.149)) == pytest.approx(254.16, abs=0.01)
    # exponent 1 and aa = pixel^2: the same as the diameter from the pixel
    assert float(esd_uvp(77, 0.088**2, 1.0)) == pytest.approx(float(esd(77, 88.0)))


def test_real_uvp_particles(data_root):
    """EcoPart: the biovolumes of a cast times its volumes are the particles of RAW, sized by aa and exp."""
    folder = data_root / "formats" / "ecopart"
    raw = pd.read_csv(next((folder / "raw_multi").glob("*sample01_PAR_raw*")), sep="\t")
    cast = (
        pd.read_csv(next((folder / "raw_multi").glob("*summary.tsv")), sep="\t", encoding="latin-1")
        .set_index("profileid")
        .loc["uvpappsample01"]
    )
    detailed = pd.read_csv(
        next((folder / "tsvagg_det_multi").glob("*PAR*")), sep="\t", encoding="latin-1", index_col=False
    )
    detailed = detailed[detailed["Profile"] == "uvpappsample01"]
    volumes = (
        detailed[[name for name in detailed if name.startswith("LPM biovolume")]]
        .mul(detailed["Sampled volume [L]"], axis=0)
        .sum()
        .sum()
    )
    aa = float(cast["acq_aa"])
    aa = aa / 1e6 if aa >= 1 else aa  # raw UVP6
    found = (sphere(esd_uvp(raw["area"], aa, float(cast["acq_exp"]))) * raw["nbr"]).sum()
    assert found == pytest.approx(volumes, rel=1e-5)


# -- pixel sizes
@pytest.mark.parametrize(
    ("value", "units", "expected"),
    [
        (0.174, "detect", 174.0),
        (73, "detect", 73.0),
        (0.0106, "detect", 10.6),
        (4.4, "detect", 4.4),
        (10.6, "um", 10.6),
        (0.0106, "mm", 10.6),
        (2.3e-5, "m", 23.0),
        (3.4, "px um-1", 1 / 3.4),
        (0.86, "um", 0.86),
    ],
)
def test_pixel_sizes(value, units, expected):
    assert float(pixel_size(value, units)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "units", "message"),
    [
        (0.86, "detect", "0.86 may be mm or µm"),
        (3.4, "detect", "3.4 may be a pixel in µm or IFCB's pixels per µm"),
        (0, "um", "0 is not above 0"),
        (np.nan, "detect", "nan is not above 0"),
        (-1, "mm", "-1 is not above 0"),
        (73, "mm", "a pixel of 73000 µm is outside"),
        (0.0106, "um", r"a pixel of 0.0106 µm is outside \[0.05, 500\] µm; is its unit 'um'"),
        (1, "inch", "unit 'inch' of the pixel size is unknown"),
    ],
)
def test_pixel_sizes_that_nobody_can_tell(value, units, message):
    with pytest.raises(UserError, match=message):
        pixel_size(value, units, place="a.tsv, column 'pixel'")


def test_the_pixel_unit_trap_is_a_factor_of_a_billion():
    area = 1401
    right = sphere(esd(area, pixel_size(0.088)))
    np.testing.assert_allclose(right, sphere(esd(area, pixel_size(88))))
    assert float(right / sphere(esd(area, 0.088))) == pytest.approx(1e9)


# -- tables
OBJECTS = pd.DataFrame(
    {
        "object_id": ["a", "b", "c"],
        "area": [math.pi * 100, math.pi * 25, np.nan],
        "major": [40.0, 10.0, np.nan],
        "minor": [10.0, 10.0, np.nan],
        "pixel": [100.0, 100.0, np.nan],
        "esd": [np.nan, 500.0, 300.0],
    },
    index=[5, 6, 7],
)


def test_objects_get_traits():
    found = add_traits(OBJECTS)
    assert found["esd"].tolist() == pytest.approx([2000, 500, 300])  # a given diameter is kept
    assert found["biovolume"].tolist() == pytest.approx([math.pi / 6 * d**3 for d in (2, 0.5, 0.3)])
    assert OBJECTS["esd"].isna().sum() == 1 and "biovolume" not in OBJECTS
    longer = add_traits(OBJECTS, shape="ellipsoid")
    assert longer["biovolume"].tolist()[:2] == pytest.approx([math.pi / 6 * 4 * 1, math.pi / 6])
    assert math.isnan(longer["biovolume"].iloc[2])
    assert found.index.tolist() == [5, 6, 7]
    assert add_traits(OBJECTS.assign(pixel=0.1), pixel_units="mm")["esd"].iloc[0] == pytest.approx(2000)
    assert add_traits(OBJECTS.iloc[:0])["biovolume"].empty


def test_an_own_biovolume_goes_before_any_shape():
    """A partition with biovolume 0.1 mm3 and a diameter of 1 mm has 0.1, not the 0.5236 of the sphere."""
    own = OBJECTS.assign(
        biovolume=[0.1, np.nan, 0.2], esd=[1000.0, 500.0, np.nan], size_source=["features", "x", pd.NA]
    )
    for found in (add_traits(own), add_traits(own, shape="ellipsoid"), choose(own), choose(own, shape="ellipsoid")):
        assert found["biovolume"].iloc[[0, 2]].tolist() == [0.1, 0.2]
        assert found["size_source"].iloc[[0, 2]].tolist() == ["features", "own biovolume"]
        assert found["size_source"].iloc[1] in ("sphere of the diameter", "ellipsoid of the axes")
    assert choose(own)["esd"].iloc[2] == pytest.approx(1000 * (6 / math.pi * 0.2) ** (1 / 3))


def test_the_best_size_that_is_given():
    """Sphere of the diameter or area first, or the ellipsoid when asked; the other where only it is possible; else unknown."""
    table = OBJECTS.assign(area=[math.pi * 100, np.nan, np.nan], esd=[np.nan, np.nan, 300.0])
    round_, long = math.pi / 6 * 8, math.pi / 6 * 4
    found = choose(pd.concat([table, pd.DataFrame({"object_id": ["d"]}, index=[8])]))
    assert found["biovolume"].tolist() == pytest.approx(
        [round_, math.pi / 6, math.pi / 6 * 0.027, math.nan], nan_ok=True
    )
    assert found["size_source"].tolist()[:3] == [
        "sphere of the diameter",
        "ellipsoid of the axes",
        "sphere of the diameter",
    ]
    assert pd.isna(found["size_source"].iloc[3])
    assert choose(table, shape="ellipsoid")["biovolume"].tolist()[0] == pytest.approx(long)
    assert biovolumes(table.assign(pixel=np.nan)).isna().tolist() == [
        True,
        True,
        False,
    ]  # pixels without a scale are no size
    with pytest.raises(UserError, match="biovolume -1 mm3 is below 0"):
        choose(OBJECTS.assign(biovolume=-1.0))


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (OBJECTS.assign(pixel=np.nan), {}, "row 2, column 'pixel' is empty; 1 sizes in pixels have no scale"),
        (OBJECTS.assign(pixel=np.nan), {"shape": "ellipsoid"}, "row 2, column 'pixel' is empty; 2 sizes"),
        (OBJECTS.drop(columns=["area", "esd"]), {}, "none of 3 rows has an 'esd' or an 'area'"),
        (OBJECTS.drop(columns=["major"]), {"shape": "ellipsoid"}, "none of 3 rows has both axes"),
        (OBJECTS.assign(area=["1", "x", "2"]), {}, "row 3, column 'area': 'x' is not a number"),
        (OBJECTS.assign(area=-1.0), {}, "area -1 px2 is below 0"),
        (OBJECTS.assign(minor=50.0), {"shape": "ellipsoid"}, "minor axis 50 px is longer than the major axis 40 px"),
        (OBJECTS, {"shape": "cube"}, "shape 'cube' of the objects is unknown"),
        (OBJECTS, {"pixel_units": "mm"}, "a pixel of 100000 µm is outside"),
    ],
)
def test_one_sentence(table, options, message):
    with pytest.raises(UserError, match=message):
        add_traits(table, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: esd_uvp(10, 3600, 1.1), r"aa 3600 is outside \(0, 1\) mm2; raw UVP6 files hold it times 1e6"),
        (lambda: esd_uvp(10, 0.0036, 3), r"exponent 3 is outside \[0.5, 2\]"),
        (lambda: esd(-1, 1), "area -1 px2 is below 0"),
        (lambda: sphere(math.inf), "diameter inf µm is below 0 or endless"),
        (lambda: esd(1, 0), "esd: pixel 0 is not above 0"),
    ],
)
def test_impossible_sizes(call, message):
    with pytest.raises(UserError, match=message):
        call()


# -- mass
def test_carbon_of_an_image_by_hand():
    # a copepod of 1 mm diameter: pi/6 mm3 of 0.0703 mg mm-3
    found = elements.carbon(sphere(1000.0), "mcconville2017_copepoda")
    assert float(found.value) == pytest.approx(math.pi / 6 * 0.0703)
    assert found.conversion is conversion("mcconville2017_copepoda")


def test_silica_at_the_ends_of_the_range():
    found = elements.silica([470, 3920], "biard2018_phaeodaria_ends", units="um")
    assert found.value.tolist() == pytest.approx([0.37e-3, 43.42e-3])


def test_an_element_is_not_another():
    with pytest.raises(
        UserError, match="'biard2018_phaeodaria_ends' gives silicon, not carbon; relations of carbon: menden"
    ):
        elements.carbon(1.0, "biard2018_phaeodaria_ends")
    with pytest.raises(UserError, match="gives carbon, not silicon; relations of silicon: biard2018_phaeodaria_ends"):
        elements.silica(1.0, "mcconville2017_copepoda")


def test_a_size_of_another_dimension():
    with pytest.raises(UserError, match=r"'biard2018_phaeodaria_ends' \(it takes esd\): unit 'mm3' cannot become 'um'"):
        elements.silica(1.0, "biard2018_phaeodaria_ends")
