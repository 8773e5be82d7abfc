"""Put single faults into the numeric core and see which of them the tests of the module notice: ``make mutate``.

Each fault (a comparison, an arithmetic or boolean operator, a constant, a ``not`` or minus sign, a returned value) is put
into one module in memory, and the test files of that module run in a forked process; no file is changed. A fault that no
test notices survives. Of each module SAMPLE faults are drawn at random with SEED; words of refusals are left out.
"""

import argparse
import ast
import os
import random
import signal
import sys
import time
from pathlib import Path
from types import FunctionType

import pytest

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


def patch(module, tree):
    """Give a loaded module the code of a changed tree; functions that others hold already get it, too."""
    space, held = vars(module), dict(vars(module))
    exec(compile(tree, module.__file__, "exec", dont_inherit=True), space)
    for name, old in held.items():
        pairs = [(old, space.get(name))]
        if isinstance(old, type) and old.__module__ == module.__name__:
            pairs = [(one, vars(space[name]).get(key)) for key, one in vars(old).items()]
        for one, new in pairs:
            if isinstance(one, FunctionType) and one is not new and one.__module__ == module.__name__:
                one.__code__, one.__defaults__, one.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


class Mutation:
    """Part of pytest that runs the collected tests once per fault, each time in a forked process."""

    def __init__(self, module, sample, seed):
        self.path = ROOT / "aqqua_dist" / f"{module}.py"
        self.module, self.sample, self.seed, self.killed, self.size = module, sample, seed, 0, 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        source = self.path.read_text(encoding="utf-8")
        found = list(mutants(source))
        chosen = random.Random(f"{self.seed} {self.module}").sample(found, min(self.sample, len(found)))
        failed, seconds = self.noticed(session, ast.parse(source), 600)
        if failed:
            print(f"{self.module}: its tests fail without any fault; run pytest on {CORE[self.module]}.", flush=True)
            return True
        for line, before, after, tree in sorted(chosen, key=lambda one: one[0]):
            if self.noticed(session, tree, 30 + 10 * seconds)[0]:
                self.killed += 1
            else:
                print(f"  alive: aqqua_dist/{self.module}.py:{line}: {before}  ->  {after}", flush=True)
        self.size = len(chosen)
        print(f"{self.module}: {self.killed} of {self.size} noticed ({len(found)} possible)", flush=True)
        return True

    def noticed(self, session, tree, limit):
        """Whether a test fails, or does not end in time, with the module as in the tree; and the seconds."""
        start, process = time.monotonic(), os.fork()
        if process == 0:
            nothing, status = os.open(os.devnull, os.O_WRONLY), 1
            os.dup2(nothing, 1), os.dup2(nothing, 2)
            try:
                patch(sys.modules[f"aqqua_dist.{self.module.replace('/', '.')}"], tree)
                for item, after in zip(session.items, [*session.items[1:], None]):
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
                    if session.testsfailed:
                        break
                status = int(session.testsfailed > 0)
            finally:
                os._exit(status)
        while time.monotonic() - start < limit:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                return status != 0, time.monotonic() - start
            time.sleep(0.01)
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
    total = alive = 0
    for module in options.modules or CORE:
        if os.fork() == 0:  # a process per module, as pytest collects into the modules that are loaded
            one = Mutation(module, options.sample, options.seed)
            files = [str(ROOT / "tests" / name) for name in CORE[module]]
            quiet = ["-s", "-p", "no:cacheprovider", "-p", "no:terminal", "-o", "addopts=--import-mode=importlib"]
            pytest.main([*quiet, *files], plugins=[one])
            sys.stdout.flush()
            os._exit(one.size - one.killed if one.size else 255)
        left = os.waitstatus_to_exitcode(os.wait()[1])
        if left == 255:
            sys.exit(f"mutate: the tests of {module} did not run.")
        total, alive = total + options.sample, alive + left
    print(f"{total - alive} of {total} faults noticed, {alive} alive ({alive / total:.0%}, allowed {MOST_ALIVE:.0%})")
    sys.exit(alive > MOST_ALIVE * total)


if __name__ == "__main__":
    main()
