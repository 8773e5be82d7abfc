"""Recipes from Python: what a dictionary says is what is read, tables become files that are named after their content."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aqqua_dist.core.errors import RecipeError, UserError
from aqqua_dist.core.files import read_parquet, read_provenance
from aqqua_dist.core.paths import find_recipe
from aqqua_dist.recipe.given import as_text, given_recipe, with_tables
from aqqua_dist.recipe.recipe import load, parse
from aqqua_dist.recipe.yaml_text import StrictLoader
from tests.project.readme import ROOT, blocks

TABLE = {
    "study": "own",
    "title": "Own",
    "zones": [{"name": "0-200", "top": 0, "bottom": 200}],
    "observations": {
        "kind": "table",
        "path": "samples",
        "taxon": "1e5",
        "quantity": "carbon_biomass",
        "units": "mg m-3",
        "columns": {"y": "y"},
    },
    "predictors": {"kind": "table", "path": {"0-200": "grid table.csv"}, "names": {"temperature": "temperature"}},
}
SAMPLES = pd.DataFrame({"lat": [1.5], "lon": [0.5], "y": [2.0], "temperature": [20.0]})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda part: st.lists(part) | st.dictionaries(st.text(min_size=1), part),
    )
)
def test_text_says_what_the_dictionary_says(value):
    printable = yaml.reader.Reader.NON_PRINTABLE
    content = {"key": value}
    if printable.search(repr(content)) is None:
        assert yaml.load(as_text(content), Loader=StrictLoader) == content


@pytest.mark.parametrize(
    "word", ["1e5", "010", "no", "~", "0x10", "1_000", "2019-05-01", "1:30", "true", "=", "null", "é"]
)
def test_words_that_look_like_numbers_stay_words(word):
    assert parse(as_text(TABLE | {"taxa": [word]})).taxa == [word]


def test_a_dictionary_is_the_recipe_of_its_file():
    file, _ = load(ROOT / "models" / "demo.yaml")
    text, place, folder = given_recipe(file)
    assert parse(text) == file
    assert (place, folder) == ("recipe", Path.cwd())
    assert parse(given_recipe({"study": "demo"} | file.model_dump(mode="json", exclude_unset=True))[0]) == file


def test_the_recipe_of_the_readme_takes_tables(tmp_path):
    text = blocks("README.md", "yaml")[0]
    path = parse(text).observations.path
    study = parse(with_tables(text, {path: SAMPLES}, tmp_path / "runs", tmp_path))
    assert (tmp_path / study.observations.path).is_file()


def test_tables_are_written_once_and_named_after_their_content(tmp_path):
    frame, runs = SAMPLES.set_index("lat"), tmp_path / "runs"
    text = as_text(TABLE)
    study = parse(with_tables(text, {"samples": frame, "grid table.csv": SAMPLES}, runs, tmp_path))
    place = tmp_path / study.observations.path
    assert place.parent == runs / "own" / "tables"
    pd.testing.assert_frame_equal(read_parquet(place)[list(SAMPLES)], SAMPLES)
    inputs = read_provenance(place).inputs
    assert list(inputs) == ["table samples"] and place.stem.endswith(inputs["table samples"][:12])
    assert study.predictors.path["0-200"].startswith("runs/own/tables/grid_table-")
    before = place.stat().st_mtime_ns
    again = with_tables(text, {"samples": frame, "grid table.csv": SAMPLES}, runs, tmp_path)
    assert parse(again) == study and place.stat().st_mtime_ns == before
    changed = parse(with_tables(text, {"samples": frame * 2, "grid table.csv": SAMPLES}, runs, tmp_path))
    assert changed.observations.path != study.observations.path
    assert place.is_file(), "the table of the earlier run stays"


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"sample": SAMPLES}, "tables: 'sample' is no path .* its paths are 'samples', 'grid table.csv'"),
        ({"samples": "samples.csv"}, "tables: 'samples' is of type str; allowed is a DataFrame"),
        ({"samples": pd.DataFrame({"a": [1, "x"]})}, "tables: 'samples' cannot be written as Parquet"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tables, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        with_tables(as_text(TABLE), tables, tmp_path, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_with_faults_writes_no_table(tmp_path):
    with pytest.raises(RecipeError, match="bottom"):
        with_tables(
            as_text(TABLE | {"zones": [{"name": "0-200", "top": 300, "bottom": 200}]}),
            {"samples": SAMPLES},
            tmp_path,
            tmp_path,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", [3, None, ["demo"]])
def test_what_is_no_recipe_is_refused(recipe):
    with pytest.raises(UserError, match="allowed are a path, the name of a shipped recipe, and a dictionary"):
        given_recipe(recipe)


@pytest.mark.parametrize("value", [object(), SAMPLES, 1j])
def test_what_yaml_cannot_hold_is_refused(value):
    with pytest.raises(UserError, match=f"a value of type {type(value).__name__}"):
        as_text({"a": [value]})


def test_paths_tuples_and_numpy_are_plain():
    text = as_text({"path": Path("a") / "b.csv", "names": ("t",), "n": np.int64(3), "share": np.float64(0.5)})
    assert text == "path: a/b.csv\nnames:\n- t\nn: 3\nshare: 0.5\n"


@pytest.mark.parametrize(
    "call", [lambda: parse(None), lambda: parse(3), lambda: find_recipe(None), lambda: find_recipe(3)]
)
def test_what_is_no_text_is_refused(call):
    with pytest.raises(UserError, match="(is no YAML text|allowed is a path or a name)"):
        call()
