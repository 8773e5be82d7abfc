"""What the documents say is there, and what they show works."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import aqqua_dist
from aqqua_dist.cli import main
from aqqua_dist.effort import volumes
from aqqua_dist.environment.cube import build_cube
from aqqua_dist.recipe import recipe
from aqqua_dist.recipe.sections import ExportObservations
from aqqua_dist.virtual_ocean import responses, survey
from aqqua_dist.virtual_ocean.truth import true_totals
from tests.project.readme import blocks, text_of

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
REAL_COMMANDS = {"make", "pip", "python", "aqqua-dist", "source"}


def commands(name):
    lines = [line.partition("#")[0].strip() for block in blocks(name, "bash") for line in block.splitlines()]
    return [line for line in lines if line]


COMMANDS = [(name, line) for name in DOCUMENTS for line in commands(name)]
LINKS = [
    (name, link) for name in DOCUMENTS for link in re.findall(r"\]\(([^)#\s]+)\)", text_of(name)) if "://" not in link
]


def test_the_readme_starts_with_the_two_commands():
    assert commands("README.md")[:2] == ["make demo", "make test"]
    assert text_of("README.md").index("make test") < 200


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_commands_exist(name, line):
    program, *words = shlex.split(line)
    assert program in REAL_COMMANDS
    if program == "make":
        assert re.search(rf"^{re.escape(words[0])}:", text_of("Makefile"), re.M)
    if program == "aqqua-dist":
        verb = main.commands[words[0]]
        known = {option for parameter in verb.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known


def test_every_verb_is_in_the_readme():
    for verb in ("check", "run", "compare", "figures"):
        assert verb in main.commands
        assert f"aqqua-dist {verb} demo" in text_of("README.md")


@pytest.mark.parametrize(("name", "link"), LINKS)
def test_links_lead_to_files(name, link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_files_exist(name):
    shipped = re.findall(r"`((?:models|tests|benchmarks|environmental_layers)/[\w./]*)`", text_of(name))
    assert [path for path in shipped if not (ROOT / path).exists()] == []


def test_readme_recipe_is_checked_with_its_table(tmp_path, monkeypatch):
    (text, *_), (table,) = blocks("README.md", "yaml"), blocks("README.md", "csv")
    study = recipe.parse(text, "README.md")
    assert study.observations.columns.effort == "volume"
    header = table.splitlines()[0].split(",")
    named = study.observations.columns.model_dump(exclude_none=True).values()
    assert set(named) <= set(header)
    (tmp_path / "my_survey.yaml").write_text(text)
    (tmp_path / study.observations.path).write_text(table)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["check", "my_survey.yaml"])
    assert done.exit_code == 0, done.output


def test_readme_recipe_runs_on_a_survey(tmp_path):
    """The recipe of the README on a full table: a virtual survey written the way the README asks for it."""
    text = blocks("README.md", "yaml")[0]
    text = (
        text.replace("resolution: 2", "resolution: 4")
        .replace("n: 100", "n: 6")
        .replace('count:poisson"', 'count:poisson", rounds: 40')
    )
    names = ["temperature", "salinity", "wind_speed", "solar_radiation", "bathymetry", "distance_to_coast"]
    zone = recipe.parse(text, "README.md").zones
    cube = build_cube(names, zone, resolution=4, monthly=True, clip=True)
    taxa = responses.choose_taxa(["virtual copepod", "virtual rhizarian"])
    samples, counts = survey.simulate_survey(taxa, cube, n_cruises=25, seed=1, cruise_sd=0)
    table = survey.survey_concentrations(samples, counts, taxa).drop(columns="zone")
    table.rename(columns={"effort": "volume", "y": "carbon"}).to_csv(tmp_path / "samples.csv", index=False)
    (tmp_path / "my_survey.yaml").write_text(text)
    done = CliRunner().invoke(
        main, ["run", str(tmp_path / "my_survey.yaml"), "--runs", str(tmp_path / "runs"), "--stop-after", "budget"]
    )
    assert done.exit_code == 0, done.output
    stocks = (
        pd.read_csv(tmp_path / "runs" / "my_survey" / "budget" / "budget.csv")
        .query("region == 'global'")
        .set_index("taxon")
    )
    truth = true_totals(taxa, cube).query("region == 'global'").set_index("taxon")["total"]
    assert (stocks["estimate"] / truth).to_numpy() == pytest.approx(1, abs=0.3)
    assert set(stocks["interval"]) == {"lognormal"}


def test_readme_recipe_with_a_fault_is_refused():
    text = blocks("README.md", "yaml")[0]
    with pytest.raises(recipe.RecipeError, match="quantity"):
        recipe.parse(text.replace("carbon_biomass", "carbon_mass"), "README.md")


def test_citation():
    cited = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors", "type", "license"} <= set(cited)
    assert cited["cff-version"] == "1.2.0"
    assert cited["version"] == aqqua_dist.__version__
    assert cited["license"] == "MIT"
    assert text_of("LICENSE").startswith("MIT License")


def test_changelog():
    changes = text_of("CHANGELOG.md")
    versions = re.split(r"^## ", changes, flags=re.M)[1:]
    assert versions[0].startswith(aqqua_dist.__version__)
    assert all("\n### Changes in numbers\n" in version for version in versions)


def test_measured_sizes_agree():
    """The README rounds what docs/decisions measured, and the sums are right."""
    row = re.compile(r"^\| ([^|]*?) \| ([\d.]+) \| ([\d.]+) \|$", re.M)
    rows = [[float(load), float(disk)] for _, load, disk in row.findall(text_of("docs/decisions/0002-xgboost-cpu.md"))]
    xgboost, nccl, together, cpu = rows
    assert together == pytest.approx([a + b for a, b in zip(xgboost, nccl, strict=True)], abs=0.15)
    readme = " ".join(text_of("README.md").split())
    assert (
        f"{cpu[0]:.0f} MB to download and {cpu[1]:.0f} MB on disk, against {together[0]:.0f} and {together[1]:.0f} MB"
        in readme
    )


def test_readme_effort_file_and_exports_are_understood(tmp_path):
    _, effort_file, observations, *_ = blocks("README.md", "yaml")
    (tmp_path / "effort.yaml").write_text(effort_file)
    assert set(volumes.read_choices(tmp_path / "effort.yaml")) == {"FlowCam", "PlanktoScope"}
    section = ExportObservations(**yaml.safe_load(observations)["observations"])
    assert section.paths == ["export_4711.zip"]
