"""The stages in order; a stage whose content key is unchanged is skipped."""

import difflib
import os
import warnings
from pathlib import Path

import click
import pandas as pd

from aqqua_dist import artefact, compare, layers, virtual, vocabulary
from aqqua_dist.errors import MethodWarning, RecipeError, UserError
from aqqua_dist.paths import find_input, find_recipe
from aqqua_dist.recipe import load
from aqqua_dist.stages import budgeting, drawing, fitting, mapping, matching
from aqqua_dist.stages.context import Context, Target, is_done, provenance

STAGES = ("match", "fit", "map", "budget", "figures")


def open_study(recipe, *, runs="runs", jobs=None, progress=True):
    """Context of a study.

    Parameters
    ----------
    recipe : str or os.PathLike
        Recipe file or name of a shipped recipe.
    runs : str or os.PathLike
        Folder of all runs.
    jobs : int, optional
        Threads; default the processors that this process may use.
    progress : bool
        Show progress bars.

    Returns
    -------
    Context
        The study, read and validated.
    """
    path = find_recipe(recipe)
    study, text = load(path)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Context(study, text, path.parent, Path(runs) / study.study, jobs or available, progress)


def method_warnings(recipe):
    """Settings that are known to give another model than the published one.

    Parameters
    ----------
    recipe : Recipe
        The study.

    Returns
    -------
    list of str
        One sentence each; also one per predictor that the vocabulary does
        not know, as its values cannot be checked.
    """
    found = [
        f"predictors.names: {name!r} is not in the vocabulary, so its unit and range are not checked."
        for name in recipe.predictors.names if recipe.predictors.kind == "table" and name not in vocabulary.quantities()]
    if recipe.reproduces != "drago2022":
        return found
    model = recipe.model
    other = "another model: against the authors' map r falls from 0.9997 to 0.79-0.94 and totals rise by 18-23 %"
    if model.tree_method != "exact":
        found.append(f"model.tree_method {model.tree_method!r} is not the published 'exact' but {other}.")
    if model.base_score != 0.5:
        shown = "estimated from the data" if model.base_score is None else model.base_score
        found.append(f"model.base_score is {shown}, not the published 0.5, but {other}.")
    if model.response_scale != "drago2022":
        found.append(f"model.response_scale {model.response_scale!r} is not the published 'drago2022' (rounded counts).")
    if recipe.members.scheme != "folds":
        found.append(f"members.scheme {recipe.members.scheme!r} is not the published 'folds'.")
    if recipe.grid.clip_at_sea_floor:
        found.append("grid.clip_at_sea_floor is true; the published stock uses the full thickness of the zone.")
    return found


def check(context):
    """Resolve every name of a recipe, without computing or writing.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    list of str
        The plan, one line per stage.

    Raises
    ------
    RecipeError
        All faults at once: missing files, columns, layers, taxa, figures.
    """
    recipe, faults = context.recipe, []

    def attempt(action, *given, **named):
        try:
            return action(*given, **named)
        except UserError as error:
            faults.append(str(error))
            return None

    files = attempt(matching.inputs, context) or {}
    attempt(drawing.scripts, context)
    if recipe.predictors.kind == "layers":
        known = layers.catalogue()
        faults += [
            f"predictors.names: {n!r} is not in the catalogue; it has {', '.join(known)}" for n in recipe.predictors.names if n not in known]
    else:
        faults += _nearly_known(recipe.predictors.names)
    if recipe.observations.kind == "virtual":
        attempt(virtual.choose_taxa, recipe.taxa)
    for zone in recipe.zones if recipe.observations.kind == "table" and files and not faults else ():
        attempt(matching.read_zone, context, zone.name)
    for entry in recipe.published_maps:
        attempt(find_input, entry.path, context.folder)
    if faults:
        raise RecipeError(recipe.study, faults)
    return _plan(context, files)


def _nearly_known(names):
    """Names that are a slip of a known one: their values would pass unchecked."""
    known, faults = vocabulary.quantities(), []
    for name in names:
        near = [] if name in known else difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        faults += [f"predictors.names: {name!r} is not in the vocabulary, did you mean {n!r}?" for n in near]
    return faults


def _plan(context, files):
    recipe, model = context.recipe, context.recipe.model
    combinations = len(model.grid.learning_rate) * len(model.grid.max_depth) * len(model.grid.min_child_weight)
    search = f"search of {combinations} settings" if model.search == "grid" else f"settings: {model.search}"
    zones = ", ".join(f"{z.name} ({z.top:g}-{z.bottom:g} m)" for z in recipe.zones)
    taxa = "every taxon found" if recipe.taxa == "all" else ", ".join(recipe.taxa)
    source = ", ".join(str(p) for p in files.values()) or "virtual survey on the embedded climatology"
    return [
        f"study    {recipe.study}: {recipe.title}",
        f"match    {source}; zones {zones}; predictors {', '.join(recipe.predictors.names)}",
        f"fit      {taxa}; {search}; {recipe.members.count} members ({recipe.members.scheme})",
        f"map      {recipe.grid.resolution:g} degree grid, thickness {'clipped at the sea floor' if recipe.grid.clip_at_sea_floor else 'not clipped'}",
        f"budget   global, {'basins, ' if recipe.budget.basins else ''}latitude bands of {recipe.budget.latitude_band:g} degrees, area of applicability",
        f"figures  {', '.join(recipe.figures)}",
        f"outputs  {context.out}",
    ]


def run(context, *, force=False, stop_after="figures"):
    """Run the stages whose key has changed.

    Parameters
    ----------
    context : Context
        The study.
    force : bool
        Run every stage again.
    stop_after : {'match', 'fit', 'map', 'budget', 'figures'}
        Last stage to run.

    Returns
    -------
    dict of str to str
        Target or stage to what became of it (``done``, ``skipped`` or the
        sentence that says why it was refused).
    """
    for sentence in method_warnings(context.recipe):
        warnings.warn(sentence, MethodWarning, stacklevel=2)
    last = STAGES.index(stop_after)
    report = {}
    match_key = matching.key(context)
    if _needed(context, "match", match_key, force, context.out / "match" / "match.done.json"):
        for repair in matching.run(context, match_key):
            _say(context, f"repaired: {repair}")
    report["match"] = match_key
    if last == 0:
        return report
    mapped = _targets(context, match_key, force, last, report)
    if last < 3:
        return report
    budget_key = budgeting.key(context, mapped)
    if _needed(context, "budget", budget_key, force, context.out / "budget" / "budget.done.json"):
        targets = [t for t in targets_of(artefact.read_parquet(context.out / "match" / "training.parquet"), context) if t.key in mapped]
        budgeting.run(context, targets, budget_key)
    if last >= 4:
        figures(context, force=force, budget_key=budget_key)
    return report


def figures(context, *, force=True, budget_key=None):
    """Draw the figures from the files of a run.

    Parameters
    ----------
    context : Context
        The study.
    force : bool
        Draw even where nothing has changed.
    budget_key : str, optional
        Key of the budget; default as the run recorded it.
    """
    marker = context.out / "budget" / "budget.done.json"
    key = drawing.key(context, budget_key or artefact.read_json(marker)["key"])
    if _needed(context, "figures", key, force, context.out / "figures" / "figures.done.json"):
        compare.compare(context)  # written first, as a figure shows it
        drawing.run(context, key)


def targets_of(training, context):
    """Targets of a run, zones and taxa in the order of the recipe.

    Parameters
    ----------
    training : pandas.DataFrame
        Training rows.
    context : Context
        The study.

    Returns
    -------
    list of Target
        Those that have rows.
    """
    taxa = sorted(training["taxon"].unique()) if context.recipe.taxa == "all" else context.recipe.taxa
    present = set(zip(training["taxon"], training["zone"], strict=True))
    return [Target(t, z.name) for z in context.recipe.zones for t in taxa if (t, z.name) in present]


def _targets(context, match_key, force, last, report):
    training = artefact.read_parquet(context.out / "match" / "training.parquet")
    cube = artefact.read_netcdf(context.out / "match" / "cube.nc") if last >= 2 else None
    names, mapped, fitted = matching.predictor_names(context.recipe), {}, []
    targets = targets_of(training, context)
    for number, target in enumerate(targets, start=1):
        rows = training[(training["taxon"] == target.taxon) & (training["zone"] == target.zone)]
        label = f"{target.taxon} {target.zone} ({number}/{len(targets)})"
        fit_key = fitting.key(context, match_key, target)
        try:
            if _needed(context, f"fit {label}", fit_key, force, context.out / "fit" / f"{target.key}.done.json"):
                fitting.run(context, target, rows, names, fit_key)
            fitted.append(target)
            if last >= 2:
                map_key = mapping.key(context, fit_key)
                if _needed(context, f"map {label}", map_key, force, context.out / "map" / f"{target.key}.done.json"):
                    mapping.run(context, target, (rows, cube, names), map_key)
                mapped[target.key] = map_key
            report[target.key] = "done"
        except UserError as error:
            report[target.key] = str(error)
            warnings.warn(f"{target.taxon} {target.zone} is left out: {error}", MethodWarning, stacklevel=3)
    refused = {t.key: report[t.key] for t in targets if report[t.key] != "done"}
    if len(refused) == len(targets):
        raise UserError(f"none of {len(targets)} targets could be fitted; the first: {targets[0].key}: {next(iter(refused.values()))}")
    _collect(context, fitted, refused, match_key)
    return mapped


def _collect(context, fitted, refused, match_key):
    """One tidy table of scores for all targets, rewritten when a target changes."""
    parts = [artefact.read_parquet(context.out / "fit" / t.key / "scores.parquet").assign(target=t.key) for t in fitted]
    table = pd.concat(parts, ignore_index=True)[["target", "taxon", "zone", "scheme", "fold", "metric", "value"]]
    origin = provenance(context, "fit", match_key)
    artefact.write_parquet(table, context.out / "fit" / "scores.parquet", origin)
    artefact.write_csv(table, context.out / "fit" / "scores.csv", origin)
    artefact.write_json({"refused": refused}, context.out / "fit" / "refused.json", origin)


def _needed(context, label, key, force, marker):
    if not force and is_done(marker, key):
        _say(context, f"{label}: unchanged, skipped")
        return False
    _say(context, f"{label}: running")
    return True


def _say(context, text):
    if context.progress:
        click.echo(text, err=True)
