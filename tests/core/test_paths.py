"""Where recipes and inputs are looked for."""

import pytest

from aqqua_dist.core import paths
from aqqua_dist.core.errors import UserError


def test_shipped_folders_and_data_are_there():
    for folder in ("environmental_layers", "models", "figures"):
        assert paths.shipped(folder).is_dir()
    assert paths.package_data("vocabulary.yaml").is_file()
    with pytest.raises(UserError, match="'tests' does not ship"):
        paths.shipped("tests")
    with pytest.raises(UserError, match="embedded file 'none.nc' is missing"):
        paths.package_data("none.nc")


def test_a_file_wins_over_a_shipped_recipe(tmp_path, monkeypatch):
    assert paths.find_recipe("demo") == paths.find_recipe("demo.yaml") == paths.shipped("models") / "demo.yaml"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_text("x")
    assert paths.find_recipe("demo").read_text() == "x"
    with pytest.raises(UserError, match="neither a file nor a shipped recipe; shipped are: demo, drago2022"):
        paths.find_recipe("elsewhere/demo2.yaml")


def test_inputs_are_looked_for_beside_the_recipe_then_here_then_in_the_data_folder(tmp_path, monkeypatch):
    places = [tmp_path / name for name in ("recipe", "here", "data")]
    for place in places:
        place.mkdir()
        (place / "a.csv").write_text(place.name)
    monkeypatch.chdir(places[1])
    monkeypatch.setenv("AQQUA_DIST_DATA", str(places[2]))
    for place in places:
        assert paths.find_input("a.csv", places[0]).read_text() == place.name
        (place / "a.csv").unlink()
    with pytest.raises(UserError) as error:
        paths.find_input("a.csv", places[0])
    assert all(str(place / "a.csv") in str(error.value) for place in places)
    assert "AQQUA_DIST_DATA" in str(error.value)
    (tmp_path / "b.csv").write_text("b")
    assert paths.find_input(tmp_path / "b.csv", places[0]).read_text() == "b"
