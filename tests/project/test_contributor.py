"""A new contributor's hour: the changes that docs/adding.md shows, applied to a copy of the checkout and tried."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ingest import ingest
from tests.project.readme import blocks, text_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/adding.md"
READER, FAMILY, SCHEME, RATE = range(4)
NEW_FILES = (
    "aqqua_dist/readers/netlog.py",
    "aqqua_dist/habitat_models/loglinear.py",
    "aqqua_dist/validation/hemispheres.py",
    "aqqua_dist/rates/sinking.py",
)
COPIED = ("aqqua_dist", "environmental_layers", "models", "figures", "tests/habitat_models", "tests/rates")


def changes(block):
    """File to its hunks, each a pair of old and new text; the old text of a new file is None."""
    found = {}
    for part in re.split(r"^--- ", block, flags=re.M)[1:]:
        head, *hunks = re.split(r"^@@ @@\n", part, flags=re.M)
        old, new = re.fullmatch(r"(\S+)\n\+\+\+ b/(\S+)\n", head).groups()
        lines = [hunk.splitlines(keepends=True) for hunk in hunks]
        pairs = [
            ("".join(one[1:] for one in hunk if one[0] in " -"), "".join(one[1:] for one in hunk if one[0] in " +"))
            for hunk in lines
        ]
        found[new] = [(None, pairs[0][1])] if old == "/dev/null" else pairs
    return found


def apply(block, folder):
    for name, hunks in changes(block).items():
        for old, new in hunks:
            path = folder / name
            if old is None:
                assert not path.exists()
                path.write_text(new, encoding="utf-8")
                continue
            text = path.read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{PAGE}: the place of {old!r} is not found once in {name}"
            path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout with all four changes."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / name, folder / name)
    for block in blocks(PAGE, "diff"):
        apply(block, folder)
    return folder


def tried(checkout, *words, module="aqqua_dist"):
    """Output of a command that runs in the copy, and on the copy."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_change_is_one_file_and_one_name_in_one_table():
    whole = [changes(block) for block in blocks(PAGE, "diff")]
    assert len(whole) == 4
    for number, (found, new_file) in enumerate(zip(whole, NEW_FILES, strict=True)):
        assert [name for name, hunks in found.items() if hunks[0][0] is None] == [new_file]
        tables = {name: hunks for name, hunks in found.items() if hunks[0][0] is not None}
        assert len(tables) == (2 if number == RATE else 1)  # a rate has its check value too
        for name, hunks in tables.items():
            assert [len(new.splitlines()) - len(old.splitlines()) for old, new in hunks] in ([1], [1, 1], [0, 1])
            assert not name.startswith("tests/") or name == "tests/rates/check_values.csv"


def test_the_new_files_follow_the_rules_of_the_house(checkout):
    tried(checkout, "check", *NEW_FILES, module="ruff")
    tried(checkout, "format", "--check", *NEW_FILES, module="ruff")
    done = subprocess.run(
        [Path(sys.executable).with_name("numpydoc"), "lint", *NEW_FILES], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert all(len(line) <= 120 for line in text_of(PAGE).splitlines() if not line.startswith(("+", "-")))


def test_the_reader_reads_its_format(checkout, tmp_path):
    hauls = tmp_path / "hauls.netlog"
    hauls.write_text(blocks(PAGE, "text")[0], encoding="utf-8")
    with pytest.raises(UserError, match="none of 1 files is of a known format"):
        ingest([hauls], tmp_path / "without", progress=False)
    said = tried(checkout, "ingest", hauls, "-o", tmp_path / "hauls", "--quiet")
    assert "2 samples, 0 objects, 3 counts" in said and "nothing odd" in said
    samples = pd.read_parquet(tmp_path / "hauls" / "samples.parquet").set_index("sample_id")
    assert samples["volume"].to_dict() == {"N1": 25.0, "N2": 50.0}
    assert (samples["depth_top"].tolist(), samples["depth_bottom"].tolist()) == ([0, 0], [200, 200])
    counts = pd.read_parquet(tmp_path / "hauls" / "counts.parquet").set_index(["sample_id", "taxon"])["n"]
    assert counts.drop(("N2", "Euphausiacea")).to_dict() == {("N1", "Copepoda"): 120, ("N1", "Euphausiacea"): 3}
    assert np.isnan(counts["N2", "Euphausiacea"])  # nobody looked; the zero of Copepoda is a sample without a count


@pytest.fixture(scope="module")
def study(checkout):
    """Folder of a run with the new family under the new scheme."""
    (checkout / "toy.yaml").write_text(blocks(PAGE, "yaml")[0], encoding="utf-8")
    said = tried(checkout, "check", "toy.yaml")
    assert "loglinear" in said and not (checkout / "runs").exists()
    tried(checkout, "run", "toy.yaml", "--quiet")
    return checkout / "runs" / "toy"


def test_the_family_runs_from_the_recipe_to_the_stock(study):
    assert yaml.safe_load(blocks(PAGE, "yaml")[0])["model"] == {"kind": "loglinear"}
    (fitted,) = study.glob("fit/*/ensemble.zip")
    with zipfile.ZipFile(fitted) as archive:
        meta = json.loads(archive.read("meta.json"))
    assert [one["family"] for one in meta["members"]] == ["loglinear"] * 4
    stock = pd.read_csv(study / "budget" / "budget.csv").query("region_set == 'global'")["estimate"].item()
    truth = pd.read_parquet(study / "budget" / "truth.parquet").query("region_set == 'global'")["total"].item()
    assert stock / truth == pytest.approx(1, abs=0.3)


def test_the_scheme_leaves_out_one_hemisphere_after_the_other(study):
    scores = pd.read_parquet(study / "fit" / "scores.parquet")
    assert set(scores["scheme"]) == {"hemisphere"}
    assert set(scores["fold"]) == {-1, 0, 1}
    (path,) = study.glob("fit/*/predictions.parquet")
    tested = pd.read_parquet(path).query("scheme == 'hemisphere'")
    assert len(tested) > 50
    assert (tested["fold"] == (tested["lat"] >= 0)).all()


def test_the_family_passes_the_tests_of_all_families(checkout):
    names = "-k loglinear or Loglinear"
    said = tried(
        checkout, "-q", "-p", "no:cacheprovider", names, "tests/habitat_models/test_families.py", module="pytest"
    )
    assert int(re.search(r"(\d+) passed", said)[1]) > 50
    assert "xfailed" not in said


def test_the_rate_is_evaluated_and_checked(checkout):
    said = tried(
        checkout,
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "sinking or every_formula",
        "tests/rates/test_formulas.py",
        module="pytest",
    )
    assert int(re.search(r"(\d+) passed", said)[1]) >= 5
    printed = subprocess.run(
        [sys.executable, "-c", blocks(PAGE, "python")[0]],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"this prints {printed.strip()}, the m d⁻¹" in text_of(PAGE)
    assert float(printed) == pytest.approx(132 * 0.1**0.62, abs=0.005)
