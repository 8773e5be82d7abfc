"""The house rules of CONTRIBUTING.md, checked on the parsed source of every module."""

import ast
import graphlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "aqqua_dist"

# A module imports modules of lower levels only.
LEVELS = {
    "errors": 0, "paths": 0, "provenance": 0, "vocabulary": 0, "units": 0, "grid": 0, "sections": 0, "recipe": 0,
    "boosting": 0, "estimators": 0, "applicability": 0, "artefact": 0,
    "readers": 1, "readers.*": 1, "search": 1, "validation": 1, "layers": 1, "regions": 1, "bridge": 1,
    "budget": 1, "virtual": 1, "plots": 1, "worldmap": 1, "taxonomy": 1, "labels": 1, "exports": 1, "quality": 1, "effort": 1, "acquisitions": 1, "conversions": 1, "traits": 1, "cf": 1, "volumes": 1, "aggregate": 1, "profiles": 1, "tallies": 1, "links": 1, "counting": 1, "quantify": 1, "embeddings": 1, "embedding_kernels": 1, "embedding_rows": 1, "embedding_components": 1, "embedding_files": 1, "embedding_nearest": 1, "embedding_novelty": 1, "morphotypes": 1, "versioned": 1, "cluster": 1, "model_tallies": 1, "model_counts": 1, "predicted_objects": 1, "plot_numbers": 1, "member_counts": 1, "embedding_sums": 1, "duplicates": 1, "object_sources": 1,
    "stages": 2, "stages.*": 2, "ingest": 2, "zonal": 2, "aggregation": 2, "aggregating": 2, "count_tables": 2, "drawn_tables": 2, "embedding_collection": 2, "pipeline": 2, "compare": 2, "report": 2,
    "cli": 3, "__main__": 3,
}
# Imported from every level, its own included: it imports nothing itself.
FOUNDATION = {"errors"}
# The only imports within a level, each with its reason.
OPTIONAL = {"cluster": {"distributed"}}
"""Libraries of an extra, that a module asks for in words when they are missing."""
SAME_LEVEL = {
    ("paths", "errors"): "user errors",
    ("recipe", "sections"): "a recipe is made of sections",
    ("vocabulary", "paths"): "its table is a file of the package",
    ("estimators", "boosting"): "an ensemble is made of boosted trees",
    ("artefact", "provenance"): "every file carries its provenance",
    ("stages.*", "stages.context"): "what every stage knows about the run",
    ("stages.exported", "ingest"): "exports become tables",
    ("stages.exported", "zonal"): "tables become zones",
    ("stages.matching", "stages.exported"): "observations in exports",
    ("stages.matching", "stages.aggregated"): "observations in aggregated tables",
    ("stages.aggregated", "stages.exported"): "rows on cells, as those of exports",
    ("stages.fitting", "stages.preparing"): "the rows that it fits",
    ("stages.mapping", "stages.preparing"): "the rows of a fit, for its area of applicability",
    ("stages.mapping", "stages.fitting"): "the rows of a fit, for its area of applicability",
    ("readers.*", "readers.ingested"): "the tables that every reader returns",
    ("exports", "taxonomy"): "names and numbers of taxa",
    ("exports", "labels"): "names and life stages in labels",
    ("traits", "conversions"): "carbon from biovolume",
    ("quality", "labels"): "labels that do not live",
    ("quality", "readers.ingested"): "the tables that it judges",
    ("readers.*", "readers.sources"): "files and archive members",
    ("readers.ecotaxa", "readers.ecotaxa_rows"): "the rows of its files",
    ("readers.ecotaxa", "readers.ecotaxa_cells"): "the cells of its files",
    ("readers.ecotaxa", "readers.ecotaxa_samples"): "the samples of its files",
    ("readers.ecotaxa_samples", "readers.ecotaxa_cells"): "the cells of its files",
    ("aggregate", "labels"): "names and life stages in labels",
    ("aggregate", "readers.ingested"): "the tables that it counts",
    ("profiles", "readers.ingested"): "the tables that it pools",
    ("embeddings", "embedding_kernels"): "arrays of embeddings",
    ("embeddings", "embedding_rows"): "rows of embeddings, checked",
    ("embedding_kernels", "embedding_rows"): "rows of embeddings, checked",
    ("embedding_components", "embedding_kernels"): "arrays of embeddings",
    ("embedding_components", "embedding_rows"): "rows of embeddings, checked",
    ("embedding_components", "versioned"): "learned things with their version",
    ("embedding_files", "embedding_rows"): "rows of embeddings, checked",
    ("embedding_novelty", "embedding_rows"): "rows of embeddings, checked",
    ("embedding_novelty", "versioned"): "learned things with their version",
    ("embedding_nearest", "embedding_rows"): "rows of embeddings, checked",
    ("morphotypes", "embedding_nearest"): "the nearest centroid",
    ("morphotypes", "embedding_rows"): "rows of embeddings, checked",
    ("morphotypes", "versioned"): "learned things with their version",
    ("readers.ecopart", "readers.ecopart_tables"): "the tables of its files",
    ("readers.ecopart", "readers.ecopart_raw"): "the raw files",
    ("readers.pssdb", "effort"): "numbers that stand for none",
    ("readers.ecopart", "effort"): "volumes of its bins",
    ("readers.ecopart_raw", "readers.ecopart_tables"): "the tables of its files",
    ("readers.ecopart", "readers.ecopart_new"): "the new raw layout",
    ("readers.ecopart_new", "readers.ecopart_tables"): "the tables of its files",
    ("readers.ecopart_new", "readers.ecopart_raw"): "the same bins and classes",
    ("readers.ecopart_raw", "traits"): "sizes from areas",
    ("readers.ecopart", "readers.ecopart_taxa"): "the taxa of its files",
    ("readers.ecopart_taxa", "readers.ecopart_tables"): "the tables of its files",
    ("readers.ifcb_classes", "readers.ifcb_class_files"): "single files of bins",
    ("readers.ifcb_class_files", "readers.matlab"): "MATLAB files",
    ("readers.ifcb_classes", "readers.predictions"): "the same predictions",
    ("readers.model_outputs", "readers.ifcb_classes"): "classes of bins",
    ("readers.model_outputs", "readers.ifcb"): "names of bins",
    ("readers.model_outputs", "readers.array_outputs"): "outputs in arrays",
    ("readers.array_outputs", "readers.predictions"): "the same predictions",
    ("readers.model_outputs", "readers.predictions"): "what models say",
    ("readers.ifcb", "acquisitions"): "look time of old bins",
    ("volumes", "effort"): "the rules that it applies",
    ("volumes", "readers.ingested"): "the tables that it completes",
    ("ingest", "zonal"): "tables by zone beside the samples",
    ("aggregating", "aggregation"): "the sums that it writes",
    ("embedding_collection", "aggregating"): "units of what is written",
    ("object_sources", "readers.ingested"): "the tables of an ingest",
    ("embedding_sums", "embedding_files"): "files of embeddings",
    ("embedding_sums", "embeddings"): "moments per sample",
    ("embedding_sums", "morphotypes"): "objects per morphotype",
    ("aggregating", "count_tables"): "the tables that it writes",
    ("aggregating", "drawn_tables"): "the members that it writes",
    ("model_tallies", "quantify"): "probabilities and who counts",
    ("model_tallies", "tallies"): "whole-number sums",
    ("model_counts", "quantify"): "the corrections",
    ("member_counts", "counting"): "draws of counts and volumes",
    ("member_counts", "quantify"): "counts corrected by a drawn confusion",
    ("member_counts", "conversions"): "relations and their uncertainty",
    ("member_counts", "traits"): "carbon of a size class",
    ("model_counts", "tallies"): "whole-number sums",
    ("labels", "taxonomy"): "what a label stands for",
    ("plots", "worldmap"): "the print style of every figure",
    ("plots", "plot_numbers"): "numbers on figures",
    ("plot_numbers", "worldmap"): "numbers as text",
    ("pipeline", "stages"): "the order of the stages",
    ("pipeline", "stages.*"): "the order of the stages",
    ("compare", "stages.context"): "where a run lies",
    ("pipeline", "compare"): "published numbers stand in a figure",
    ("__main__", "cli"): "python -m aqqua_dist",
}
# Import by name when first used: the lazy public names, and the verbs of the
# command line, whose help must load no scientific library.
LAZY = {"__init__", "cli"}
LIMITS = {"module": 400, "function": 50, "arguments": 6, "figure": 80, "dots": 3, "chain": 12}
VAGUE = {"util", "utils", "helper", "helpers", "misc", "common", "tools"}
DISTRIBUTION = {
    "sklearn": "scikit-learn", "yaml": "pyyaml", "cf_xarray": "cf-xarray", "netCDF4": "netcdf4", "PIL": "pillow", "xgboost": "xgboost-cpu",
}
FIGURE_MAY_IMPORT = {"artefact", "errors", "paths", "plots", "worldmap", "vocabulary", "units", "provenance"}


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def read_modules(folder=PACKAGE, name=module_name):
    """Name -> parsed module; folders that only a wheel holds are left out."""
    return {name(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in sorted(folder.rglob("*.py"))}


MODULES = read_modules()
FIGURES = read_modules(ROOT / "figures", lambda path: path.stem)


def entry(name, table=LEVELS):
    """Key of a table for a module: its own name or its package with a star."""
    starred = f"{name.rpartition('.')[0]}.*"
    return name if name in table else starred if starred in table else None


def internal_imports(tree, names, place=""):
    """Modules of the package that a piece of source imports, with line numbers."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            wanted = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for dotted in (w.removeprefix("aqqua_dist.") for w in wanted if w.startswith("aqqua_dist.")):
            module = dotted if dotted in names else dotted.rpartition(".")[0]
            found.append((module or "__init__", node.lineno))
    return found


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


def level_faults(name, tree, names, levels=LEVELS, same=SAME_LEVEL):
    if name == "__init__":
        return [f"__init__:{line}: imports {target}" for target, line in internal_imports(tree, names)]
    if entry(name, levels) is None:
        return [f"module {name} has no entry in LEVELS"]
    faults = []
    for target, line in internal_imports(tree, names):
        if target == "__init__" or target in FOUNDATION or entry(target, levels) is None:
            continue
        own, other = levels[entry(name, levels)], levels[entry(target, levels)]
        pairs = {(a, b) for a in (name, entry(name, levels)) for b in (target, entry(target, levels))}
        if other > own or (other == own and not pairs & set(same)):
            faults.append(f"{name}:{line}: level {own} imports {target} of level {other}")
    return faults


def deferred_faults(name, tree):
    """Internal imports inside a function, and imports by name."""
    faults = []
    for function, _ in functions(tree):
        for target, line in internal_imports(function, set(MODULES)):
            faults.append(f"{name}:{line}: {function.name} imports {target} when called")
    if name not in LAZY:
        for node in ast.walk(tree):
            called = getattr(node, "func", None)
            if getattr(called, "attr", getattr(called, "id", None)) in ("import_module", "__import__"):
                faults.append(f"{name}:{node.lineno}: imports by name")
    return faults


def form_faults(name, tree):
    """Relative imports, star imports, vague names."""
    faults = [f"{name}: vague name" for part in name.split(".") if part.strip("_") in VAGUE]
    if name.count(".") + 2 > LIMITS["dots"]:
        faults.append(f"{name}: nested deeper than {LIMITS['dots']} names")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            faults += [f"{name}:{node.lineno}: star import"] * any(alias.name == "*" for alias in node.names)
            faults += [f"{name}:{node.lineno}: relative import"] * (node.level > 0)
    return faults


def code_lines(function):
    """Lines of a function without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        doc = function.body[0]
        lines -= doc.end_lineno - doc.lineno + 1
    return lines


def argument_names(function):
    given = function.args
    plain = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    names = [argument.arg for argument in plain]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def is_estimator(classes):
    return bool(classes) and any("BaseEstimator" in ast.unparse(base) for base in classes[-1].bases)


def size_faults(name, tree):
    faults = []
    for function, classes in functions(tree):
        lines, arguments = code_lines(function), argument_names(function)
        if lines > LIMITS["function"]:
            faults.append(f"{name}:{function.lineno}: {function.name} has {lines} lines")
        estimator = function.name == "__init__" and is_estimator(classes)
        if len(arguments) > LIMITS["arguments"] and not estimator:
            faults.append(f"{name}:{function.lineno}: {function.name} takes {len(arguments)} arguments")
    return faults


def own_nodes(function):
    """Nodes of a function without those of functions inside it."""
    stack = list(function.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(node))


def decorators(node):
    return " ".join(ast.unparse(decorator) for decorator in node.decorator_list)


def section(doc, title):
    """Text of one numpydoc section, or None where it is missing."""
    match = re.search(rf"^{title}\n-{{{len(title)}}}\n(.*?)(?=^\w[\w ]*\n---+\n|\Z)", doc, re.M | re.S)
    return match and match.group(1)


def function_doc_faults(place, function):
    doc = ast.get_docstring(function)
    if not doc:
        return [f"{place}: no docstring"]
    marks = decorators(function)
    if re.search(r"property|cached_property|\.command|\.group|validator", marks):
        return []
    faults, arguments = [], argument_names(function)
    told = section(doc, "Parameters")
    if arguments and told is None:
        faults.append(f"{place}: docstring without Parameters")
    elif arguments:
        missing = [a for a in arguments if not re.search(rf"^[*\w, ]*\b{a}\b[*\w, ]*( :|$)", told, re.M)]
        faults += [f"{place}: parameter {a} is not in the docstring" for a in missing]
    gives = [n for n in own_nodes(function) if isinstance(n, ast.Return) and n.value is not None
             and not (isinstance(n.value, ast.Constant) and n.value.value is None)]
    yields = any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in own_nodes(function))
    if (gives and not yields) and section(doc, "Returns") is None:
        faults.append(f"{place}: docstring without Returns")
    if yields and section(doc, "Yields") is None:
        faults.append(f"{place}: docstring without Yields")
    return faults


def class_doc_faults(place, node):
    doc = ast.get_docstring(node)
    if not doc:
        return [f"{place}: no docstring"]
    made = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__" and argument_names(f)]
    tuple_like = any("NamedTuple" in ast.unparse(base) for base in node.bases)
    has_fields = ("dataclass" in decorators(node) or tuple_like) and any(isinstance(n, ast.AnnAssign) for n in node.body)
    described = section(doc, "Parameters") is not None or section(doc, "Attributes") is not None
    if (made or has_fields) and not described:
        return [f"{place}: docstring with neither Parameters nor Attributes"]
    return []


def doc_faults(name, tree):
    faults = [] if ast.get_docstring(tree) else [f"{name}: no module docstring"]
    for node in tree.body:
        if getattr(node, "name", "_").startswith("_"):
            continue
        place = f"{name}:{node.lineno}: {node.name}"
        if isinstance(node, ast.ClassDef):
            faults += class_doc_faults(place, node)
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and not m.name.startswith("_")]
            for method in methods:
                faults += function_doc_faults(f"{name}:{method.lineno}: {node.name}.{method.name}", method)
        else:
            faults += function_doc_faults(place, node)
    return faults


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
        assigned = [n.value for n in ast.walk(function) if isinstance(n, ast.Assign)
                    and any(isinstance(t, ast.Name) and t.id == node.id for t in n.targets)]
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


def third_party(tree):
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            roots.add(node.module.partition(".")[0])
    return roots - set(sys.stdlib_module_names) - {"aqqua_dist"}


def graph():
    names = set(MODULES)
    return {name: {target for target, _ in internal_imports(tree, names) if target in names} - {name}
            for name, tree in MODULES.items()}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("check", [form_faults, deferred_faults, size_faults, doc_faults, raise_faults])
def test_module(name, check):
    assert check(name, MODULES[name]) == []


@pytest.mark.parametrize("name", MODULES)
def test_levels(name):
    assert level_faults(name, MODULES[name], set(MODULES)) == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=module_name)
def test_module_length(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LIMITS["module"]


def test_no_cycles_and_short_chains():
    order = list(graphlib.TopologicalSorter(graph()).static_order())
    length = {}
    for name in order:
        length[name] = 1 + max((length[target] for target in graph()[name]), default=0)
    assert max(length.values()) <= LIMITS["chain"], {n: v for n, v in length.items() if v > LIMITS["chain"]}


def test_foundation_imports_nothing():
    assert {name: graph()[name] for name in FOUNDATION} == {name: set() for name in FOUNDATION}


@pytest.mark.parametrize("name", [*MODULES, *(f"figures/{stem}" for stem in FIGURES)])
def test_libraries_are_declared(name):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    known = {re.match(r"[\w.-]+", text).group().lower().replace("_", "-") for text in declared}
    tree = FIGURES[name.removeprefix("figures/")] if name.startswith("figures/") else MODULES[name]
    used = {DISTRIBUTION.get(root, root.lower().replace("_", "-")) for root in third_party(tree)}
    assert used - known == OPTIONAL.get(name, set())


@pytest.mark.parametrize("stem", FIGURES)
def test_figure_scripts(stem):
    text = (ROOT / "figures" / f"{stem}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LIMITS["figure"]
    assert form_faults(stem, FIGURES[stem]) == []
    assert ast.get_docstring(FIGURES[stem])
    imported = {target for target, _ in internal_imports(FIGURES[stem], set(MODULES))}
    assert imported - FIGURE_MAY_IMPORT == set(), "a figure reads run outputs only"


BAD = {
    "up": (level_faults, "from aqqua_dist.cli import main", "grid"),
    "sideways": (level_faults, "from aqqua_dist import budget", "bridge"),
    "unlisted": (level_faults, "import os", "surprise"),
    "deferred": (deferred_faults, "def f():\n    from aqqua_dist import grid\n    return grid", "bridge"),
    "by name": (deferred_faults, "import importlib\nx = importlib.import_module('aqqua_dist.cli')", "bridge"),
    "star": (form_faults, "from numpy import *", "grid"),
    "relative": (form_faults, "from . import grid", "bridge"),
    "vague": (form_faults, "x = 1", "readers.utils"),
    "nested": (form_faults, "x = 1", "readers.uvp.five"),
    "long": (size_faults, "def f():\n" + "    x = 1\n" * 50, "grid"),
    "wide": (size_faults, "def f(a, b, c, d, *, e, f, g):\n    pass", "grid"),
    "wide method": (size_faults, "class A:\n    def __init__(self, a, b, c, d, e, f, g):\n        pass", "grid"),
    "silent module": (doc_faults, "x = 1", "grid"),
    "silent": (doc_faults, '"""M."""\ndef f():\n    pass', "grid"),
    "no parameters": (doc_faults, '"""M."""\ndef f(a):\n    """Do."""', "grid"),
    "lost parameter": (doc_faults, '"""M."""\ndef f(a, b):\n    """Do.\n\n    Parameters\n    ----------\n    a : int\n        A.\n    """', "grid"),
    "no returns": (doc_faults, '"""M."""\ndef f():\n    """Do."""\n    return 1', "grid"),
    "no attributes": (doc_faults, '"""M."""\n@dataclass\nclass A:\n    """A."""\n    x: int', "grid"),
    "no value": (raise_faults, "raise UserError('wrong input.')", "grid"),
    "empty f-string": (raise_faults, "raise ValueError(f'wrong input.')", "grid"),
    "hidden": (raise_faults, "def f():\n    m = 'wrong'\n    raise ValueError(m)", "grid"),
    "bare": (raise_faults, "raise ValueError", "grid"),
}


@pytest.mark.parametrize("case", BAD)
def test_each_check_can_fail(case):
    check, source, name = BAD[case]
    extra = (set(MODULES) | {"cli", "grid", "budget", "bridge"},) if check is level_faults else ()
    assert check(name, ast.parse(source), *extra)


def test_good_source_passes():
    source = (
        '"""M."""\nimport numpy as np\nfrom aqqua_dist.errors import UserError\n\n\ndef f(a, *, b=1):\n'
        '    """Do.\n\n    Parameters\n    ----------\n    a, b : int\n        Both.\n\n    Returns\n    -------\n'
        '    int\n        Sum.\n    """\n    if a < 0:\n        raise UserError(f"a {a} is negative, allowed is >= 0.")\n'
        "    return np.add(a, b)\n"
    )
    tree = ast.parse(source)
    checks = (form_faults, deferred_faults, size_faults, doc_faults, raise_faults)
    assert [check("bridge", tree) for check in checks] == [[]] * 5
    assert level_faults("bridge", tree, set(MODULES)) == []
