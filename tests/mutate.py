"""Put single faults into the numeric core and see which of them the tests of the module notice: ``make mutate``.

Each fault (a comparison, an arithmetic or boolean operator, a constant, a ``not`` or minus sign, a returned value) is put
into one module in memory, and the test files of that module run in a forked process; no file is changed. A fault that no
test notices survives. Of each module SAMPLE faults are drawn at random with SEED; words of refusals are left out.
"""

import argparse
import ast
import importlib
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEED, SAMPLE, MOST_ALIVE = 16, 10, 0.10
CORE = {
    "maps/stocks": ["maps/test_stocks.py"],
    "maps/prediction": ["maps/test_prediction.py"],
    "habitat_models/draws": ["habitat_models/test_draws.py"],
    "habitat_models/resampling": ["habitat_models/test_resampling.py"],
    "habitat_models/response": ["habitat_models/test_response.py"],
    "counts/counting_error": ["counts/test_counting_error.py"],
    "concentrations/zones": ["concentrations/test_zones.py"],
    "concentrations/concentrations": ["concentrations/test_concentrations.py", "concentrations/test_zones.py"],
    "effort/instruments": ["effort/test_rules.py", "effort/test_volumes.py"],
    "organisms/sizes": ["organisms/test_sizes.py"],
    "validation/schemes": ["validation/test_validation.py"],
    "validation/scores": ["validation/test_validation.py"],
    "core/grid": ["core/test_grid.py"],
    "spectra/spectrum": ["spectra/test_spectrum.py"],
}
BEFORE_FORK = (
    "pytest", "scipy.stats", "pandas", "xarray", "sklearn.model_selection", "hypothesis.extra.numpy", "netCDF4",
    "aqqua_dist.core.vocabulary", "aqqua_dist.core.files", "aqqua_dist.core.seeds",
)  # fmt: skip
COMPARED = {
    ast.Lt: [ast.LtE, ast.GtE], ast.LtE: [ast.Lt, ast.Gt], ast.Gt: [ast.GtE, ast.LtE], ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.Is: [ast.IsNot], ast.IsNot: [ast.Is], ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}  # fmt: skip
ARITHMETIC = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult], ast.Pow: [ast.Mult],
    ast.FloorDiv: [ast.Div], ast.Mod: [ast.Mult], ast.BitAnd: [ast.BitOr], ast.BitOr: [ast.BitAnd],
}  # fmt: skip


def faults(node):
    """Words and changed copies of one node of a syntax tree."""
    if isinstance(node, ast.Compare) and len(node.ops) > 0:
        for k, old in enumerate(node.ops):
            for new in COMPARED[type(old)]:
                ops = [*node.ops[:k], new(), *node.ops[k + 1 :]]
                yield ast.Compare(node.left, ops, node.comparators)
    elif isinstance(node, ast.BinOp):
        for new in ARITHMETIC.get(type(node.op), []):
            yield ast.BinOp(node.left, new(), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        if isinstance(node.value, float):
            yield ast.Constant(node.value * 2 if node.value else -1.0)
    elif isinstance(node, ast.AugAssign):
        for new in ARITHMETIC.get(type(node.op), []):
            yield ast.AugAssign(node.target, new(), node.value)
    elif isinstance(node, ast.Return) and node.value is not None:
        yield ast.Return(ast.Constant(None))


def walk(node, path=()):
    """Nodes with their place in the tree, without the words of refusals and annotations."""
    if isinstance(node, ast.Raise | ast.JoinedStr):
        return
    yield path, node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for k, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.AST):
                    yield from walk(child, (*path, (name, k if isinstance(value, list) else None)))


def mutants(source):
    """Every fault of a module: its line, the text before and after, and the changed tree."""
    for path, node in walk(ast.parse(source)):
        for new in faults(node):
            tree = ast.parse(source)
            parent = tree
            for name, k in path[:-1]:
                parent = getattr(parent, name) if k is None else getattr(parent, name)[k]
            name, k = path[-1]
            new = ast.copy_location(new, node)
            if k is None:
                setattr(parent, name, new)
            else:
                getattr(parent, name)[k] = new
            yield node.lineno, ast.unparse(node), ast.unparse(new), ast.fix_missing_locations(tree)


class Changed(importlib.machinery.SourceFileLoader):
    """Loads one module from a changed tree, and is asked before all other finders."""

    def __init__(self, module, tree):
        super().__init__(f"aqqua_dist.{module.replace('/', '.')}", str(ROOT / "aqqua_dist" / f"{module}.py"))
        self.tree = tree

    def get_code(self, fullname):
        return compile(self.tree, self.path, "exec", dont_inherit=True)

    def find_spec(self, fullname, path=None, target=None):
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None


def noticed(module, tree, limit):
    """Whether a test fails, or does not end in time, with the module as in the tree; and the seconds."""
    start, process = time.monotonic(), os.fork()
    if process == 0:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1), os.dup2(nothing, 2)
        sys.meta_path.insert(0, Changed(module, tree))
        files = [str(ROOT / "tests" / name) for name in CORE[module]]
        status = sys.modules["pytest"].main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *files])
        os._exit(int(status))
    while time.monotonic() - start < limit:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return status != 0, time.monotonic() - start
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True, limit


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=[], help="such as maps/stocks; all unless given")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="faults per module")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    os.chdir(ROOT)
    os.environ["HYPOTHESIS_PROFILE"] = "mutate"
    sys.path.insert(0, str(ROOT))
    for name in BEFORE_FORK:
        importlib.import_module(name)
    total = alive = 0
    for module in options.modules or CORE:
        if f"aqqua_dist.{module.replace('/', '.')}" in sys.modules:
            sys.exit(f"mutate: {module} is imported before the fork; take it out of BEFORE_FORK.")
        source = (ROOT / "aqqua_dist" / f"{module}.py").read_text(encoding="utf-8")
        found = list(mutants(source))
        chosen = random.Random(f"{options.seed} {module}").sample(found, min(options.sample, len(found)))
        failed, seconds = noticed(module, ast.parse(source), 600)
        if failed:
            sys.exit(f"mutate: the tests of {module} fail without any fault; run pytest on {CORE[module]}.")
        killed = 0
        for line, before, after, tree in sorted(chosen, key=lambda one: one[0]):
            if noticed(module, tree, 30 + 10 * seconds)[0]:
                killed += 1
            else:
                print(f"  alive: aqqua_dist/{module}.py:{line}: {before}  ->  {after}", flush=True)
        total, alive = total + len(chosen), alive + len(chosen) - killed
        print(f"{module}: {killed} of {len(chosen)} noticed ({len(found)} possible)", flush=True)
    print(f"{total - alive} of {total} faults noticed, {alive} alive ({alive / total:.0%}, allowed {MOST_ALIVE:.0%})")
    sys.exit(alive > MOST_ALIVE * total)


if __name__ == "__main__":
    main()
