"""What an installed aqqua-dist holds, needs, and loads."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import aqqua_dist

ROOT = Path(__file__).resolve().parents[2]
SCIENTIFIC = (
    "numpy",
    "pandas",
    "xarray",
    "xgboost",
    "sklearn",
    "matplotlib",
    "scipy",
    "statsmodels",
    "geopandas",
    "cartopy",
    "netCDF4",
    "pyarrow",
    "pint",
)
SHIPPED = ("environmental_layers", "models", "figures")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command, folder, **more):
    """A command far from the checkout, with no path into it."""
    env = (
        {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "AQQUA_DIST_DATA")}
        | {"MPLBACKEND": "Agg"}
        | more
    )
    done = subprocess.run([str(c) for c in command], cwd=folder, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def interpreter(venv):
    return venv / ("Scripts" if os.name == "nt" else "bin") / "python"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The source archive, and the wheel made from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, folder=out)
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A new environment with the wheel in it, which borrows the libraries of this one."""
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", venv, folder=venv)
    python = interpreter(venv)
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        built[1],
        folder=venv,
    )
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=venv).strip())
    (site / "borrowed.pth").write_text("\n".join({sysconfig.get_path(p) for p in ("purelib", "platlib")}) + "\n")
    return python


def source_files(folder):
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_the_package_and_nothing_beside_it(built):
    names = zipfile.ZipFile(built[1]).namelist()
    info = f"aqqua_dist-{aqqua_dist.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"aqqua_dist", info}
    expected = source_files("aqqua_dist") | {
        f"aqqua_dist/{name}" for folder in SHIPPED for name in source_files(folder)
    }
    assert {name for name in names if not name.startswith(info)} == expected
    assert f"{info}/licenses/LICENSE" in names


def test_wheel_is_small(built):
    assert built[1].stat().st_size < 8e6


def test_sdist_can_be_built_and_tested(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "Makefile", "constraints.txt", "README.md", "LICENSE", "CITATION.cff", ".ci/run"} <= names
    for folder in ("aqqua_dist", *SHIPPED, "tests", "benchmarks"):
        assert source_files(folder) <= names
    assert not [name for name in names if name.startswith(("runs/", ".venv", ".git/"))]


def test_installed_command_runs_elsewhere(installed, tmp_path):
    where = run(installed, "-c", "import aqqua_dist; print(aqqua_dist.__file__)", folder=tmp_path)
    assert str(installed.parent.parent) in where
    assert "Usage" in run(installed.parent / "aqqua-dist", "--help", folder=tmp_path)
    assert "Usage" in run(installed, "-m", "aqqua_dist", "--help", folder=tmp_path)
    plan = run(installed.parent / "aqqua-dist", "check", "demo", folder=tmp_path)
    for stage in ("match", "fit", "map", "budget", "figures"):
        assert stage in plan
    assert list(tmp_path.iterdir()) == [], "check writes nothing"


def test_shipped_folders_are_found_in_the_wheel(installed, tmp_path):
    code = "from aqqua_dist.core.paths import shipped; print(*[sorted(p.name for p in shipped(f).iterdir()) for f in "
    code += f"{SHIPPED!r}])"
    shown = run(installed, "-c", code, folder=tmp_path)
    assert "demo.yaml" in shown and "drago2022.yaml" in shown and "catalogue" in shown


def loaded(code, folder):
    report = "\nimport sys; print('LOADED', *sorted({m.partition('.')[0] for m in sys.modules}))"
    return run(sys.executable, "-c", code + report, folder=folder, PYTHONPATH=str(ROOT)).rpartition("LOADED")[2].split()


IMPORT, HELP = (
    "import aqqua_dist; aqqua_dist.__version__; dir(aqqua_dist)",
    "from aqqua_dist.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code",
)


@pytest.mark.parametrize(
    "code",
    [IMPORT, HELP, HELP.replace("['", "['run', '")],
    ids=["import", "help", "run help"],
)
def test_no_scientific_library_is_loaded(code, tmp_path):
    assert set(loaded(code, tmp_path)) & set(SCIENTIFIC) == set()


@pytest.mark.parametrize("code", [IMPORT, HELP], ids=["import", "help"])
def test_recipes_are_not_loaded_either(code, tmp_path):
    """pydantic alone takes longer to import than numpy; benchmarks/cli_startup.py has the times."""
    assert set(loaded(code, tmp_path)) & {"pydantic", "yaml"} == set()


def test_the_check_above_can_fail(tmp_path):
    assert {"numpy", "xarray"} <= set(loaded("import aqqua_dist; aqqua_dist.cell_area", tmp_path))


@pytest.mark.parametrize("name", aqqua_dist.__all__)
def test_public_names(name):
    found = getattr(aqqua_dist, name)
    assert found.__doc__
    assert name in dir(aqqua_dist)


def test_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="'grid_serach'.*grid_search"):
        aqqua_dist.grid_serach  # noqa: B018


PLATFORMS = [
    ("linux", "Linux", "x86_64", "xgboost-cpu"),
    ("linux", "Linux", "aarch64", "xgboost-cpu"),
    ("linux", "Linux", "ppc64le", "xgboost"),
    ("darwin", "Darwin", "arm64", "xgboost"),
    ("darwin", "Darwin", "x86_64", "xgboost"),
    ("win32", "Windows", "AMD64", "xgboost-cpu"),
    ("win32", "Windows", "ARM64", "xgboost"),
]


@pytest.mark.parametrize(("system", "name", "machine", "expected"), PLATFORMS)
def test_one_xgboost_per_platform(system, name, machine, expected):
    place = {"sys_platform": system, "platform_system": name, "platform_machine": machine}
    wanted = [Requirement(text) for text in PROJECT["dependencies"]]
    assert [r.name for r in wanted if r.name.startswith("xgboost") and r.marker.evaluate(place)] == [expected]


def pins():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9][\w.-]*==[\w.]+", line)] == []
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize("text", [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
def test_pins_fit_the_bounds(text):
    wanted = Requirement(text)
    assert wanted.specifier.contains(pins()[re.sub(r"[-_.]+", "-", wanted.name).lower()])


@pytest.mark.slow
def test_full_install_into_an_empty_environment(built, tmp_path):
    python = interpreter(tmp_path / "venv")
    run(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path)
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    reach = subprocess.run(
        [*map(str, pip), "download", "--quiet", "--no-deps", "--dest", str(tmp_path / "probe"), "iniconfig"],
        capture_output=True,
        text=True,
    )
    if reach.returncode:
        pytest.skip(f"no package index is reachable: {reach.stderr.strip().splitlines()[-1][:150]}")
    run(*pip, "install", "--quiet", "--constraint", ROOT / "constraints.txt", built[1], folder=tmp_path)
    run(*pip, "check", folder=tmp_path)
    names = {line.split("==")[0].lower() for line in run(*pip, "freeze", folder=tmp_path).splitlines()}
    assert not [name for name in names if name.startswith("nvidia")]
    assert "Usage" in run(python.parent / "aqqua-dist", "--help", folder=tmp_path)
    assert "budget" in run(python.parent / "aqqua-dist", "check", "demo", folder=tmp_path)
    code = "import aqqua_dist\nfor name in aqqua_dist.__all__: getattr(aqqua_dist, name)"
    run(python, "-c", code, folder=tmp_path)


CLIENTS = ["copernicusmarine>=2"]
"""What users install beside the package for the layers of their studies; a pin must not make that impossible."""


@pytest.mark.slow
def test_every_extra_and_the_clients_of_users_resolve_with_the_pins(tmp_path):
    python = interpreter(tmp_path / "venv")
    run(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    reach = subprocess.run(
        [*pip, "download", "--quiet", "--no-deps", "--dest", str(tmp_path / "probe"), "iniconfig"],
        capture_output=True,
        text=True,
    )
    if reach.returncode:
        pytest.skip(f"no package index is reachable: {reach.stderr.strip().splitlines()[-1][:150]}")
    extras = ",".join(PROJECT["optional-dependencies"])
    wanted = [f"{ROOT}[{extras}]", *CLIENTS]
    done = subprocess.run(
        [*pip, "install", "--quiet", "--dry-run", "--constraint", str(ROOT / "constraints.txt"), *wanted],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
