"""Headers of EcoPart tables in the spellings of ten years."""

import pytest

from aqqua_dist.readers.ecopart.headers import (
    OPEN,
    looks_like_particles,
    particle_columns,
    standard_names,
    taxon_names,
)

COUNT, SIZE = "LPM (102-128 µm) [# l-1]", "LPM biovolume (102-128 µm) [mm3 l-1]"
SPELLINGS = [
    COUNT,
    "LPM (102-128 μm) [# l-1]",
    "LPM (102-128 um) [# l-1]",
    "LPM (102-128 Âµm) [# l-1]",
    "LPM (102-128 Ã‚Âµm) [# l-1]",
    "LPM (102-128 Î¼m) [# l-1]",
    "LPM (102-128 �m) [# l-1]",
    "LPM (102-128 ?m) [# l-1]",
    "LPM (102-128 ㎛) [# l-1]",
    "LPM (102–128 µm) [#/l]",
    "LPM (0.102-0.128 mm) [# L-1]",
    "LPM (0,102-0,128 mm) [# l-1]",
    "LPM(102-128µm)[#/L]",
    "LPM ( 102 - 128 µm ) [ # l-1 ]",
    "LPM 102-128 µm # l-1",
    "LPM (102 µm-128 µm) [# l⁻¹]",
    "lpm (102-128 µm) (# l-1)",
    "  LPM\xa0(102-128\xa0µm)\xa0[#\xa0l-1]",
]


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_size_class_is_told_by_its_limits(name):
    found = particle_columns((name, SIZE))
    assert found.classes == ((0.102, 0.128, name, SIZE),)
    assert not found.strange


@pytest.mark.parametrize(
    "name", ["LPM (>16.4 mm) [# l-1]", "LPM (&gt;16.4 mm) [# l-1]", "LPM (>16400 μm) [#/l]", "LPM (> 16,4 mm) [# l-1]"]
)
def test_the_last_class_is_open(name):
    assert particle_columns((name,)).classes == ((16.4, OPEN, name, None),)


@pytest.mark.parametrize("unit", ["mm3 l-1", "mm3/l", "mm³ l-1", "mm^3/L", "mmÂ³/l", "ppm"])
def test_units_of_biovolume(unit):
    name = f"LPM biovolume (102-128 µm) [{unit}]"
    assert particle_columns((COUNT, name)).classes == ((0.102, 0.128, COUNT, name),)


@pytest.mark.parametrize(
    "name",
    [
        "LPM (102-128 nm) [# l-1]",
        "LPM (102-128 µm) [# m-3]",
        "LPM (128-102 µm) [# l-1]",
        "LPM (102-128) [# l-1]",
        "NP (102-128 µm) [# l-1]",
        "LPM biovolume (203-256 µm) [mm3 l-1]",
        "LPM total",
    ],
)
def test_what_is_not_understood_is_listed(name):
    found = particle_columns((COUNT, SIZE, name))
    assert found.strange == (name,)
    assert len(found.classes) == 1


def test_columns_of_the_ctd_are_no_size_classes():
    names = ("part backscattering coef 470 nm [m-1]", "beam transmission 660 nm [%]", "par [umol m-2 s-1]", "depth [m]")
    assert not looks_like_particles(names)
    assert particle_columns(names) == particle_columns(())


def test_one_class_in_two_spellings_is_told():
    assert particle_columns((COUNT, SPELLINGS[2])).twice == (COUNT, SPELLINGS[2])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("living>Copepoda [# m-3]", ("living>Copepoda", "", False)),
        ("living&gt;Copepoda [#/m3]", ("living>Copepoda", "", False)),
        ("living > Copepoda biovolume [mm3/l]", ("living>Copepoda", "biovolume", False)),
        ("Copepoda(Crustacea) w/o children  [# m-3]", ("Copepoda(Crustacea)", "", False)),
        ("Copepoda(Crustacea) w/ children [# m-3]", ("Copepoda(Crustacea)", "", True)),
        ("living>Copepoda avgesd [mm]", ("living>Copepoda", "avgesd", False)),
        ("living>Copepoda [# m⁻³]", ("living>Copepoda", "", False)),
    ],
)
def test_columns_of_taxa(name, expected):
    assert taxon_names(("Profile", name)) == ({name: expected}, ())


@pytest.mark.parametrize(
    "name", ["living>Copepoda [# l-1]", "living>Copepoda", "living>Copepoda avgesd [um]", "remarks"]
)
def test_strange_columns_of_taxa_are_listed(name):
    assert taxon_names(("Profile", "Depth [m]", name))[1] == (name,)


FIXED = ["Profile", "Rawfilename", "yyyy-mm-dd hh:mm", "Depth [m]", "Sampled volume [L]", "Project"]


@pytest.mark.parametrize(
    "change",
    [
        str.lower,
        str.upper,
        lambda name: name.replace("[", "(").replace("]", ")"),
        lambda name: f" {name} ",
        lambda name: name.replace(" [", "["),
    ],
)
def test_fixed_columns_in_other_spellings(change):
    names = [*map(change, FIXED), COUNT, "depth [m]"]
    assert standard_names(names) == [*FIXED, COUNT, "depth [m]"]


def test_summaries_have_profile_in_both_spellings():
    names = ["Profile", "Cruise", "rawfilename", "Latitude ", "Longitude", "AA", "exp", "Particle filename"]
    assert standard_names(names)[:6] == ["profile", "Cruise", "Rawfilename", "Latitude", "Longitude", "aa"]


def test_the_depth_of_the_ctd_alone_is_not_that_of_the_bin():
    names = ["Profile", "Rawfilename", "Sampled volume [L]", COUNT, "depth [m]"]
    assert standard_names(names) == names
