"""Plankton habitat models, global maps and stocks with honest uncertainties.

Names are imported when they are first used, so that ``import aqqua_dist`` and
``aqqua-dist --help`` load no scientific library.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULE_OF = {
    # the verbs of the command line, and what a run has made
    "ingest": "stages.verbs",
    "aggregate": "stages.verbs",
    "embeddings": "embeddings",
    "check": "stages.verbs",
    "run": "stages.verbs",
    "compare": "stages.verbs",
    "figures": "stages.verbs",
    "open_run": "stages.results",
    # errors and warnings
    "UserError": "core.errors",
    "RecipeError": "core.errors",
    "MethodWarning": "core.errors",
    # a study as data
    "Recipe": "recipe.recipe",
    "load": "recipe.recipe",
    "parse": "recipe.recipe",
    "json_schema": "recipe.recipe",
    "find_recipe": "core.paths",
    # grid: areas, thickness, blocks
    "regular_grid": "core.grid",
    "cell_area": "core.grid",
    "zone_thickness": "core.grid",
    "wrap_longitude": "core.grid",
    "block_id": "core.grid",
    # what is learned from rows
    "FAMILIES": "habitat_models.families",
    "BoostedTrees": "habitat_models.boosted_trees",
    "Ensemble": "habitat_models.ensemble",
    "MemberPlan": "habitat_models.members",
    "fit_members": "habitat_models.members",
    "Applicability": "diagnostics.applicability",
    # the published search (Drago et al. 2022)
    "count_scale": "habitat_models.response",
    "count_strata": "habitat_models.response",
    "stratified_split": "habitat_models.resampling",
    "stratified_folds": "habitat_models.resampling",
    "select_rounds": "habitat_models.drago2022_search",
    "grid_search": "habitat_models.drago2022_search",
    # tables and grids meet
    "table_to_grid": "environment.matchup",
    "extract": "environment.matchup",
    "predict": "maps.prediction",
    # validation
    "scores": "validation.scores",
    "SCHEMES": "validation.schemes",
    "scheme_folds": "validation.schemes",
    "splits": "validation.schemes",
    "cross_validate": "validation.cross_validation",
    # stocks
    "summarise_members": "maps.stocks",
    # any number of images to counts and concentrations
    "aggregate_objects": "concentrations.aggregate",
    "Products": "concentrations.aggregate",
    "refuse_repeated": "counts.duplicates",
    "garwood": "counts.counting_error",
    "fay_feuer": "counts.counting_error",
    # counts of a model, corrected for its confusion
    "confusion": "counts.confusion",
    "adjusted": "counts.correction",
    "em": "counts.correction",
    "read_validation": "counts.confusion",
    # draws of everything that is uncertain in a concentration
    "ErrorSources": "concentrations.members",
    "draw_concentrations": "concentrations.members",
    "variance_shares": "concentrations.members",
    # embeddings
    "collect_embeddings": "embeddings.collection",
    "embedding_moments": "embeddings.moments",
    "fit_components": "embeddings.components",
    "fit_morphotypes": "embeddings.morphotypes",
    "fit_novelty": "embeddings.novelty",
}

__all__ = ["__version__", *_MODULE_OF]


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'aqqua_dist' has no attribute {name!r}; public names are {', '.join(__all__)}.")
    module = import_module(f"aqqua_dist.{_MODULE_OF[name]}")
    return module if _MODULE_OF[name] == name else getattr(module, name)


def __dir__():
    return sorted([*globals(), *__all__])
