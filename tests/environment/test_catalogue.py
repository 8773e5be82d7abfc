"""The catalogue of environmental layers: strict entries, true to their files."""

import pytest
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.environment import catalogue as layers

NAMES = ["bathymetry", "distance_to_coast", "salinity", "solar_radiation", "temperature", "wind_speed"]


def test_every_embedded_layer_has_an_entry():
    assert list(layers.catalogue()) == NAMES
    with xr.open_dataset(package_data("climatology_2deg.nc")) as data:
        assert sorted(set(data.data_vars) - {"wet_fraction"}) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_entry_agrees_with_its_file(name):
    entry, layer = layers.catalogue()[name], layers.load_layer(name)
    assert list(layer.dims) == entry.dims
    assert layer.attrs["units"] == entry.units
    assert layer.name == name
    assert {"long_name", "source", "references"} <= set(layer.attrs)
    assert len(entry.traps) >= 2


def test_readme_is_current(project_root):
    readme = (project_root / "environmental_layers" / "README.md").read_text(encoding="utf-8")
    assert readme == layers.catalogue_readme(), "run python environmental_layers/make_readme.py"
    assert all(f"| `{name}` |" in readme for name in NAMES)


def _entry(folder, **changes):
    text = {
        "name": "wind",
        "title": "Wind",
        "source": "nobody",
        "file": "climatology_2deg.nc",
        "variable": "wind_speed",
        "units": "m s-1",
        "dims": "[month, lat, lon]",
        "citation": "none",
        "licence": "CC0-1.0",
    } | changes
    path = folder / "wind.yaml"
    path.write_text("\n".join(f"{k}: {v}" for k, v in text.items() if v is not None))
    return path


def test_a_good_entry_is_read(tmp_path):
    assert layers.read_entry(_entry(tmp_path)).units == "m s-1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"color": "blue"}, "color"),
        ({"units": None}, "units: Field required"),
        ({"units": 1}, r"units: .*found 1"),
        ({"file": "../secret.nc"}, "secret"),
        ({"dims": "[lat]"}, "dims"),
        ({"name": "gale"}, "must be gale.yaml"),
        ({"title": "[broken"}, "not YAML"),
    ],
)
def test_a_bad_entry_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        layers.read_entry(_entry(tmp_path, **changes))


def test_an_unknown_layer_names_its_neighbours_and_all_choices():
    with pytest.raises(UserError) as caught:
        layers.load_layer("temprature")
    assert "'temprature'" in str(caught.value) and "did you mean 'temperature'" in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)


def test_a_catalogue_that_lies_about_its_file_is_caught(monkeypatch):
    entries = layers.catalogue()
    wrong = entries["salinity"].model_copy(update={"units": "1e-3"})
    monkeypatch.setattr(layers, "catalogue", lambda: entries | {"salinity": wrong})
    with pytest.raises(UserError, match="salinity.*'1'.*'1e-3'"):
        layers.load_layer("salinity")
