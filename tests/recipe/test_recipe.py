"""Recipes: strict YAML, typed sections, all faults at once."""

import re

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from aqqua_dist.core.errors import RecipeError, UserError
from aqqua_dist.core.paths import shipped
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.recipe import recipe
from aqqua_dist.recipe.published import method_warnings
from aqqua_dist.validation.schemes import SCHEMES

TEXT = """\
study: mine
title: A study
zones:
  - {name: 0-200, top: 0, bottom: 200}
observations:
  kind: table
  path: rows.csv
  quantity: carbon_biomass
  units: mg m-3
  columns: {y: carbon, taxon: taxon, effort: volume}
predictors: {kind: layers, names: [temperature, salinity]}
model: {objective: "count:poisson", effort_weight: true}
"""
SHIPPED = sorted(path.stem for path in shipped("models").glob("*.yaml"))


def faults_of(text):
    with pytest.raises(RecipeError) as error:
        recipe.parse(text, "mine.yaml")
    assert str(error.value).startswith("mine.yaml: ")
    return error.value.faults


def test_defaults_are_those_of_the_documentation():
    study = recipe.parse(TEXT)
    assert (study.seed, study.grid.resolution, study.grid.clip_at_sea_floor) == (1, 1.0, True)
    assert (study.members.scheme, study.members.count) == ("cruise_bootstrap", 100)
    assert study.grid.earth_radius_km == 6371.0072
    assert study.budget.interval_widening == 1
    assert study.taxa == "all"


def test_a_study_never_changes():
    study = recipe.parse(TEXT)
    with pytest.raises(ValidationError, match="frozen"):
        study.seed = 3
    with pytest.raises(ValidationError, match="frozen"):
        study.grid.resolution = 3


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("study: mine", "study: my study", ["study", "'my study'"]),
        ("study: mine", "study: ../mine", ["study", "'../mine'"]),
        ("title: A study\n", "", ["title: required key is missing"]),
        ("title: A study", "title: A study\nsede: 3", ["sede: unknown key; did you mean 'seed'?"]),
        ("title: A study", "title: A study\nseed: -1", ["seed: -1 is not allowed"]),
        ("title: A study", "title: A study\nseed: many", ["seed: 'many' is not allowed"]),
        ("top: 0", "topp: 0", ["zones.0.topp: unknown key; did you mean 'top'?", "zones.0.top: required"]),
        ("bottom: 200", "bottom: -200", ["zones.0.bottom: -200"]),
        ("top: 0, bottom: 200", "top: 500, bottom: 200", ["zone '0-200': top 500.0 m must be above bottom 200.0 m"]),
        (
            "quantity: carbon_biomass",
            "quantity: carbon_biomas",
            ["observations.quantity: 'carbon_biomas'", "'carbon_biomass'"],
        ),
        (
            "columns: {y: carbon",
            "columns: {yy: carbon",
            ["observations.columns.yy: unknown key; did you mean 'y'?", "observations.columns.y: required"],
        ),
        ("taxon: taxon, ", "", ["columns.taxon None and taxon None"]),
        ("kind: table", "kind: tabel", ["observations", "'tabel'"]),
        ("names: [temperature, salinity]", "names: []", ["predictors.names"]),
        ("effort: volume", "cruise: cruise", ["model.effort_weight needs the column of sampled volume"]),
        ('"count:poisson"', "poisson", ["model.objective: 'poisson'", "'count:poisson'"]),
        ("effort_weight: true", "effort_weight: true, subsample: 1.5", ["model.subsample: 1.5"]),
        ("effort_weight: true", "effort_weight: true, rounds: .nan", ["model.rounds"]),
        ("effort_weight: true", "effort_weight: true, search: grid", ["members.scheme: the grid search needs 'folds'"]),
        (
            "effort_weight: true",
            "effort_weight: true, search: published",
            ["model.published: search 'published' needs at least one entry"],
        ),
        ("kind: layers,", "kind: layers, monthly: true,", ["monthly predictors need the column that holds the month"]),
        ("title: A study", "title: A study\nbudget: {interval_widening: 0.5}", ["budget.interval_widening: 0.5"]),
        (
            "title: A study",
            "title: A study\npublished:\n  - {taxon: a, zone: 0-100, statistic: stock, value: 1, units: Pg C, source: b}",
            ["published.0.zone: '0-100' is not a zone of this recipe; choose from ['0-200']"],
        ),
        (
            "bottom: 200}",
            "bottom: 200}\n  - {name: 0-200, top: 0, bottom: 200}",
            ["zones: name '0-200' stands 2 times"],
        ),
        (
            "bottom: 200}",
            "bottom: 200}\n  - {name: 200-500, top: 200, bottom: 500}",
            ["one file for 2 zones needs columns.zone"],
        ),
        ("path: rows.csv", "path: {0-100: rows.csv}", ["zones ['0-100'] differ from the recipe's zones ['0-200']"]),
    ],
)
def test_each_fault_names_key_value_and_what_is_allowed(old, new, shown):
    assert TEXT.count(old) == 1
    found = faults_of(TEXT.replace(old, new))
    joined = "\n".join(found)
    for piece in shown:
        assert piece in joined
    assert all("\n" not in fault for fault in found)
    assert "Traceback" not in joined
    assert len(joined) < 1500


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("title: A study", "title: A study\nseed: true", "seed: True is not allowed"),
        ("title: A study", "title: A study\nseed: '3'", "seed: '3' is not allowed"),
        ("title: A study", "title: A study\nseed: 3.5", "seed: 3.5 is not allowed"),
        ("title: A study", "title: A study\nseed: 1:30", "seed: '1:30' is not allowed"),  # 90 in YAML 1.1
        ("title: A study", "title: 2026", "title: 2026 is not allowed"),
        ("top: 0", "top: false", "zones.0.top: False is not allowed"),
        ("top: 0", "top: .inf", "zones.0.top: inf is not allowed"),
        (
            "effort_weight: true",
            "effort_weight: yes",
            "model.effort_weight: 'yes' is not allowed (write true or false)",
        ),
        (
            "effort_weight: true",
            "effort_weight: off",
            "model.effort_weight: 'off' is not allowed (write true or false)",
        ),
        (
            "effort_weight: true",
            "effort_weight: 'no'",
            "model.effort_weight: 'no' is not allowed (write true or false)",
        ),
        ("effort_weight: true", "effort_weight: 1", "model.effort_weight: 1 is not allowed (write true or false)"),
        ("title: A study", "title: A study\nno: 3", "no: unknown key (allowed: "),
        ("title: A study", "title: A study\n<<: {seed: 3}", "<<: unknown key"),
        (
            "title: A study",
            "title: A study\ngrid:",
            "grid: None is not allowed (give its keys, or leave the section out)",
        ),
        (
            "title: A study",
            "title: A study\ngrid: {resolution: 0.7}",
            "grid: resolution 0.7 does not divide 180 degrees; take for example",
        ),
        (
            "title: A study",
            "title: A study\ntaxa: Copepoda",
            "taxa: 'Copepoda' is not allowed (input should be a valid list)",
        ),
        (
            "title: A study",
            "title: A study\ntaxa: [Copepoda, Copepoda]",
            "taxa: 'Copepoda' stands 2 times, allowed is once",
        ),
        ("[temperature, salinity]", "[salinity, salinity]", "predictors.names: 'salinity' stands 2 times"),
        ("path: rows.csv", "path: 3", "observations.path: 3 is not allowed"),
    ],
)
def test_values_keep_their_kind(old, new, shown):
    """Nothing is turned from text or truth into a number, or back."""
    assert TEXT.count(old) == 1
    assert any(fault.startswith(shown) for fault in faults_of(TEXT.replace(old, new)))


@pytest.mark.parametrize("word", ["no", "NO", "off", "y", "2001-01-01", "1_000"])
def test_words_that_other_loaders_turn_into_truth_or_dates_stay_text(word):
    """The country code of Norway among them."""
    study = recipe.parse(TEXT.replace("title: A study", f"title: {word}\ntaxa: [{word}]"))
    assert (study.title, study.taxa) == (word, [word])


@pytest.mark.parametrize(
    ("written", "value"), [("1e-3", 0.001), ("1.0e+1", 10.0), ("+.5", 0.5), ("7", 7.0), ("010", 10.0)]
)
def test_numbers_are_read_as_people_write_them(written, value):
    study = recipe.parse(TEXT.replace("effort_weight: true", f"effort_weight: true, min_child_weight: {written}"))
    assert study.model.min_child_weight == value


def test_all_faults_are_reported_at_once():
    """Inside sections and between them."""
    text = (
        TEXT.replace("study: mine", "study: my study")
        .replace("bottom: 200", "bottom: 0")
        .replace("units: mg m-3", "unit: mg m-3")
        .replace("effort: volume", "cruise: c")
        .replace("kind: layers", "kind: layers, monthly: true")
    )
    found = "\n".join(faults_of(text))
    for piece in (
        "study: 'my study'",
        "zones.0.bottom: 0",
        "observations.unit: unknown key; did you mean 'units'?",
        "observations.units: required key",
    ):
        assert piece in found
    later = "\n".join(
        faults_of(TEXT.replace("effort: volume", "cruise: c").replace("title: A study", "titel: A study"))
    )
    for piece in ("titel: unknown key; did you mean 'title'?", "title: required", "effort_weight needs the column"):
        assert piece in later


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TEXT + "study: other\n", "key 'study' stands twice, first in line 1"),
        (TEXT.replace("{name: 0-200, top: 0,", "{name: 0-200, top: 0, top: 5,"), "key 'top' stands twice"),
        ("study: [unclosed\n", "not valid YAML in line"),
        ("\t- x", "not valid YAML in line 1"),
        ("", "the file holds NoneType, a recipe is a mapping"),
        ("- a\n- b\n", "the file holds list"),
        (TEXT + "? [a, b]\n: 3\n", "a key must be one word, not a list or a mapping"),
        (TEXT + "? {a: b}\n: 3\n", "a key must be one word, not a list or a mapping"),
        (TEXT + "---\nstudy: other\n", "found another document"),
        ("study: \x00", "not valid YAML"),
        ("!!python/object/apply:os.system [echo no]", "not valid YAML"),
    ],
)
def test_what_is_no_recipe_is_told_with_its_line(text, shown):
    (fault,) = faults_of(text)
    assert shown in fault
    assert "\n" not in fault


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        recipe.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("title: été".encode("latin-1"))
    with pytest.raises(UserError, match="it is not UTF-8 text"):
        recipe.load(tmp_path / "latin.yaml")
    (tmp_path / "bom.yaml").write_text(TEXT, encoding="utf-8-sig")
    study, text = recipe.load(tmp_path / "bom.yaml")
    assert (study, text) == (recipe.parse(TEXT), TEXT)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_valid_and_named_like_their_file(name):
    study, text = recipe.load(shipped("models") / f"{name}.yaml")
    assert study.study == name
    assert study.title
    again = recipe.parse(yaml.safe_dump(study.model_dump(mode="json", exclude_none=True), sort_keys=False))
    assert again == study
    assert text.startswith("#")


def test_the_three_recipes_are_there():
    assert {"demo", "drago2022", "drago2022_copepoda"} <= set(SHIPPED)


def test_the_published_recipe_is_the_method_of_the_paper():
    """Grid, rounds, resamples, split and sphere of Drago et al. (2022), doi 10.3389/fmars.2022.894372."""
    study, _ = recipe.load(shipped("models") / "drago2022.yaml")
    model, members = study.model, study.members
    assert model.grid.model_dump() == {
        "learning_rate": [0.05, 0.075, 0.1],
        "max_depth": [2, 4, 6],
        "min_child_weight": [1, 3, 5],
    }
    assert (model.objective, model.tree_method, model.base_score) == ("count:poisson", "exact", 0.5)
    assert (model.rounds, model.subsample) == (600, 0.5)
    assert (members.scheme, members.folds, members.repeats, members.count, members.test_fraction) == (
        "folds",
        5,
        20,
        100,
        0.2,
    )
    assert (study.grid.earth_radius_km, study.grid.clip_at_sea_floor) == (6378.137, False)
    assert len(study.predictors.names) == 9
    copepoda, _ = recipe.load(shipped("models") / "drago2022_copepoda.yaml")
    assert copepoda.model == model
    assert copepoda.members == members


def test_hash_is_of_the_text():
    assert (
        recipe.text_hash("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    )  # SHA-256 of 'a', FIPS 180-4
    assert recipe.text_hash(TEXT) != recipe.text_hash(TEXT + " ")


@pytest.mark.parametrize("name", SHIPPED)
def test_schema_accepts_the_shipped_recipes_and_refuses_a_slip(name):
    content = yaml.safe_load((shipped("models") / f"{name}.yaml").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(recipe.json_schema())
    assert [error.message for error in validator.iter_errors(content)] == []
    assert list(validator.iter_errors(content | {"sede": 3}))
    assert list(validator.iter_errors(content | {"seed": "3"}))


def test_schema_names_every_key():
    schema = recipe.json_schema()
    assert set(schema["properties"]) == set(recipe.Recipe.model_fields)
    assert {"study", "title", "zones", "observations", "predictors"} <= set(schema["required"])
    assert schema["additionalProperties"] is False
    defined = schema["$defs"]
    families = [one["$ref"].rsplit("/", 1)[1] for one in schema["properties"]["model"]["oneOf"]]
    for name, family in zip(families, FAMILIES.values(), strict=True):
        assert set(defined[name]["properties"]) == set(family.Settings.model_fields)
    assert all(
        section.get("additionalProperties") is False for section in defined.values() if section.get("type") == "object"
    )
    assert all(re.match(r"[A-Z]", section["description"]) for section in defined.values())


def test_a_family_is_chosen_by_its_kind_and_boosting_is_the_default():
    assert recipe.parse(TEXT).model.kind == "boosting"
    model = '{objective: "count:poisson", effort_weight: true}'
    forest = recipe.parse(TEXT.replace(model, "{kind: forest, trees: 50, effort_weight: true}"))
    assert (forest.model.kind, forest.model.trees, forest.model.criterion) == ("forest", 50, "poisson")
    assert recipe.parse(TEXT.replace(model, "{kind: glm, power: 1.5}")).model.power == 1.5
    found = faults_of(TEXT.replace(model, "{kind: forest, rounds: 50}"))
    assert len(found) == 1 and found[0].startswith("model.rounds: unknown key") and "trees" in found[0]
    found = faults_of(TEXT.replace(model, "{kind: forrest}"))
    assert len(found) == 1 and "forrest" in found[0] and "'forest'" in found[0]
    found = faults_of(TEXT.replace(model, '{objective: "count:poisson", tweedie_variance_power: 1.3}'))
    assert found == ["model.tweedie_variance_power: it belongs to objective 'reg:tweedie', not to 'count:poisson'"]


def test_a_family_other_than_the_published_one_is_told():
    text = shipped("models").joinpath("drago2022_copepoda.yaml").read_text(encoding="utf-8")
    start, end = text.index("model:"), text.index("members:")
    other = recipe.parse(text[:start] + "model: {kind: forest}\n" + text[end:])
    assert method_warnings(other) == ["model.kind 'forest' is not the published 'boosting' (boosted trees)."]


def test_schemes_take_their_settings_from_the_section():
    assert list(recipe.parse(TEXT).validation.settings) == ["random", "spatial_block"]
    study = recipe.parse(TEXT + "validation: {schemes: [cruise, spatial_block], folds: 7, block_size: 20}\n")
    assert {name: one.model_dump() for name, one in study.validation.settings.items()} == {
        "cruise": {"folds": 7},
        "spatial_block": {"folds": 7, "block_size": 20.0},
    }
    shown = faults_of(TEXT + "validation: {schemes: [random, blocks]}\n")
    assert len(shown) == 1 and "'blocks'" in shown[0] and all(name in shown[0] for name in SCHEMES)
    assert faults_of(TEXT + "validation: {schemes: [random, random]}\n") == [
        "validation.schemes: 'random' stands 2 times, allowed is once"
    ]


@pytest.mark.parametrize(("draw", "scheme", "faults"), [("counting", "cruise_bootstrap", 1), ("counting", "folds", 0)])
def test_the_counting_error_is_not_drawn_on_top_of_drawn_cruises(draw, scheme, faults):
    start, end = TEXT.index("observations:"), TEXT.index("predictors:")
    section = f"observations: {{kind: aggregated, path: c, quantity: number_concentration, draw: [{draw}]}}\n"
    text = TEXT[:start] + section + TEXT[end:] + f"members: {{scheme: {scheme}}}\n"
    if not faults:
        assert recipe.parse(text).observations.draw == [draw]
        return
    assert "would be counted three times on top of members.scheme 'cruise_bootstrap'" in faults_of(text)[0]
    written = recipe.parse(text.replace("[counting]", "[members]"))
    assert "its variance then counts three times" in method_warnings(written)[0]
