"""What no tool checks: every message shows its value, figure scripts read the files of a run, few modules lie flat."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "aqqua_dist"
FIGURE_MAY_IMPORT = {"core", "plots"}
FIGURE_LINES, MODULE_LINES, FLAT_MODULES = 100, 400, 12
VAGUE = {"util", "utils", "helper", "helpers", "misc", "common", "tools"}


def read_modules(folder):
    """Path -> parsed module; folders that only a wheel holds are left out."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.py"))
    }


MODULES = read_modules(PACKAGE)
FIGURES = read_modules(ROOT / "figures")


def functions(tree):
    """Every function with the classes around it, nested ones too."""

    def walk(node, classes):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield child, classes
                yield from walk(child, classes)
            else:
                yield from walk(child, [*classes, child] if isinstance(child, ast.ClassDef) else classes)

    return walk(tree, [])


def own_nodes(function):
    """Nodes of a function without those of functions inside it."""
    stack = list(function.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(node))


def shows_value(node, function):
    """Whether a message holds a value: an f-string, something made from one, or a value that can only be one."""
    if isinstance(node, ast.Constant):
        return bool(re.search(r"\b(\d+|None)\b", str(node.value)))
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        return shows_value(node.left, function) or shows_value(node.right, function)
    if isinstance(node, ast.IfExp):
        return shows_value(node.body, function) and shows_value(node.orelse, function)
    if isinstance(node, ast.Call):
        return any(not isinstance(argument, ast.Constant) for argument in node.args)
    if isinstance(node, ast.Name) and function is not None:
        assigned = [
            n.value
            for n in ast.walk(function)
            if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id == node.id for t in n.targets)
        ]
        return any(shows_value(value, None) for value in assigned)
    return False


def raise_faults(name, tree):
    around = {id(n): f for f, _ in functions(tree) for n in own_nodes(f) if isinstance(n, ast.Raise)}
    faults = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Raise) or node.exc is None or isinstance(node.exc, ast.Name):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id.endswith("Error"):
                faults.append(f"{name}:{node.lineno}: raises {node.exc.id} without a message")
            continue
        arguments = getattr(node.exc, "args", [])
        if not any(shows_value(argument, around.get(id(node))) for argument in arguments) and len(arguments) < 2:
            faults.append(f"{name}:{node.lineno}: the message shows no value: {ast.unparse(node.exc)[:70]}")
    return faults


@pytest.mark.parametrize("name", MODULES)
def test_every_message_shows_its_value(name):
    assert raise_faults(name, MODULES[name]) == []


BAD = {
    "no value": "raise UserError('wrong input.')",
    "empty f-string": "raise ValueError(f'wrong input.')",
    "hidden": "def f():\n    m = 'wrong'\n    raise ValueError(m)",
    "bare": "raise ValueError",
}


@pytest.mark.parametrize("case", BAD)
def test_a_message_without_a_value_is_found(case):
    assert raise_faults("grid", ast.parse(BAD[case]))


def test_a_message_with_its_value_passes():
    assert (
        raise_faults("grid", ast.parse("def f(a):\n    raise UserError(f'a {a} is negative, allowed is >= 0.')")) == []
    )


@pytest.mark.parametrize("name", FIGURES)
def test_figure_scripts_read_the_files_of_a_run_only(name):
    imported = {
        node.module.split(".")[1]
        for node in ast.walk(FIGURES[name])
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aqqua_dist.")
    }
    assert imported <= FIGURE_MAY_IMPORT
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= FIGURE_LINES
    assert ast.get_docstring(FIGURES[name])


def test_few_modules_lie_flat_and_none_is_vague():
    assert len(list(PACKAGE.glob("*.py"))) <= FLAT_MODULES
    assert [name for name in MODULES if set(Path(name).with_suffix("").parts) & VAGUE] == []
    assert [name for name, tree in MODULES.items() if not ast.get_docstring(tree)] == []


def test_random_streams_come_from_one_place():
    """A stream made elsewhere could be the same as another one, or depend on the order of the work."""
    made = re.compile(r"default_rng|SeedSequence\(|RandomState\(")
    assert [name for name in MODULES if made.search((ROOT / name).read_text(encoding="utf-8"))] == [
        "aqqua_dist/core/seeds.py"
    ]


def test_long_modules_are_told(capsys):
    """A warning in the log, no refusal: length is a smell, not a fault."""
    long = {
        name: lines
        for name in MODULES
        if (lines := (ROOT / name).read_text(encoding="utf-8").count("\n")) > MODULE_LINES
    }
    for name, lines in long.items():
        print(f"{name} has {lines} lines, wished are at most {MODULE_LINES}")
    assert capsys.readouterr().out.count("\n") == len(long)


TOOLS = {
    "imports between packages (import-linter)": ["lint-imports", "--no-cache"],
    "lint (ruff)": ["ruff", "check", "--quiet", "."],
    "format (ruff)": ["ruff", "format", "--quiet", "--check", "."],
    "types of core and the tables (mypy)": ["mypy"],
    "declared libraries (deptry)": ["deptry", "."],
    "docstrings (numpydoc)": ["numpydoc", "lint", *MODULES],
}


@pytest.mark.parametrize("what", TOOLS)
def test_tools_find_nothing(what):
    command, *arguments = TOOLS[what]
    done = subprocess.run(
        [str(Path(sys.executable).with_name(command)), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
