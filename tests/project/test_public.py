"""The front door: examples of public functions run, docs/python.md runs, its stocks are near the truth."""

import doctest
import warnings

import pytest

import aqqua_dist as aq
from tests.project.readme import blocks

SHOWN = (
    "ingest",
    "aggregate",
    "check",
    "load",
    "parse",
    "find_recipe",
    "regular_grid",
    "cell_area",
    "zone_thickness",
    "wrap_longitude",
    "block_id",
    "BoostedTrees",
    "Ensemble",
    "fit_members",
    "Applicability",
    "count_scale",
    "count_strata",
    "stratified_split",
    "stratified_folds",
    "scores",
    "splits",
    "summarise_members",
    "garwood",
    "fay_feuer",
    "confusion",
    "adjusted",
    "em",
)
"""Public names whose docstring must show how they are used."""


def examples(name):
    return [one for one in doctest.DocTestFinder().find(getattr(aq, name), name) if one.examples]


def outcome(example, told):
    return doctest.DocTestRunner(verbose=False).run(example, out=told.append)


@pytest.mark.parametrize("name", SHOWN)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert examples(name), f"{name} shows no example"
    for example in examples(name):
        told = []
        assert outcome(example, told).failed == 0, "".join(told)


def test_every_public_example_is_on_the_list():
    """An example that is not run is a promise that nobody keeps."""
    shown = {name for name in aq.__all__ if callable(getattr(aq, name)) and examples(name)}
    assert shown == set(SHOWN)


def test_an_example_that_is_wrong_fails():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert outcome(wrong, []).failed == 1


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Names that docs/python.md leaves, its blocks run in their order in an empty folder."""
    names = {}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", aq.MethodWarning)
        patch.chdir(tmp_path_factory.mktemp("page"))
        for number, block in enumerate(blocks("docs/python.md", "python"), start=1):
            exec(compile(block, f"docs/python.md, block {number}", "exec"), names)
        yield names


def test_the_page_finds_the_true_stock(page):
    truth = page["beside"].query("statistic == 'stock'").set_index("taxon")["published"]
    assert len(truth) == 2
    for taxon in truth.index:
        assert page["run"].stock(taxon).estimate == pytest.approx(truth[taxon], rel=0.4)
    salp = page["mine"].stock("salp")
    assert salp.estimate == pytest.approx(truth["virtual salp"], rel=0.4)
    assert salp.low < salp.estimate < salp.high


def test_the_page_predicts_and_draws(page):
    assert page["members"].shape == (10, 2)
    assert page["july"].dims == ("lat", "lon")
    assert page["july"].attrs["units"] == "mg m-3"
    assert [path.name for path in page["pictures"]] == ["stocks.png"]
    known = page["certain"].notnull().sum().item()
    assert 0 < known < page["everything"]["carbon_biomass"].notnull().sum().item()
