"""Plankton habitat models, global maps and stocks with honest uncertainties.

Names are imported when they are first used, so that ``import aqqua_dist`` and
``aqqua-dist --help`` load no scientific library.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULE_OF = {
    # errors and warnings
    "UserError": "errors",
    "RecipeError": "errors",
    "MethodWarning": "errors",
    # a study as data
    "Recipe": "recipe",
    "load": "recipe",
    "parse": "recipe",
    "json_schema": "recipe",
    "find_recipe": "paths",
    # grid: areas, thickness, blocks
    "regular_grid": "grid",
    "cell_area": "grid",
    "zone_thickness": "grid",
    "wrap_longitude": "grid",
    "block_id": "grid",
    # what is learned from rows
    "BoostedTrees": "boosting",
    "MemberEnsemble": "estimators",
    "MemberPlan": "estimators",
    "fit_members": "estimators",
    "Applicability": "applicability",
    # the published search (Drago et al. 2022)
    "count_scale": "search",
    "count_strata": "search",
    "stratified_split": "search",
    "stratified_folds": "search",
    "select_rounds": "search",
    "grid_search": "search",
    # tables and grids meet
    "table_to_grid": "bridge",
    "extract": "bridge",
    "predict": "bridge",
    # validation
    "scores": "validation",
    "make_folds": "validation",
    "cross_validate": "validation",
    # stocks
    "summarise_members": "budget",
    # any number of images to counts and concentrations
    "aggregate_objects": "aggregating",
    "Products": "aggregating",
    "refuse_repeated": "duplicates",
    "garwood": "counting",
    "fay_feuer": "counting",
    # counts of a model, corrected for its confusion
    "confusion": "quantify",
    "adjusted": "quantify",
    "em": "quantify",
    "read_validation": "model_counts",
    # draws of everything that is uncertain in a concentration
    "Sources": "member_counts",
    "draw_concentrations": "member_counts",
    "variance_shares": "member_counts",
    # embeddings
    "collect_embeddings": "embedding_collection",
    "embedding_moments": "embeddings",
    "fit_components": "embedding_components",
    "fit_morphotypes": "morphotypes",
    "fit_novelty": "embedding_novelty",
}

__all__ = ["__version__", *_MODULE_OF]


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'aqqua_dist' has no attribute {name!r}; public names are {', '.join(__all__)}.")
    return getattr(import_module(f"aqqua_dist.{_MODULE_OF[name]}"), name)


def __dir__():
    return sorted([*globals(), *__all__])
