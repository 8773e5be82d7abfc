"""The stages in order; a stage whose content key is unchanged is skipped."""

import os
import warnings
from pathlib import Path

import click
import pandas as pd

from aqqua_dist.core import files
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.paths import find_recipe
from aqqua_dist.recipe.context import Context, Target, predictor_names, provenance
from aqqua_dist.recipe.published import method_warnings
from aqqua_dist.recipe.recipe import load
from aqqua_dist.stages import budget, compare, fit, maps, match
from aqqua_dist.stages import figures as drawing
from aqqua_dist.stages.record import is_done

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
    match_key = match.key(context)
    if _needed(context, "match", match_key, force, context.out / "match" / "match.done.json"):
        for repair in match.run(context, match_key):
            _say(context, f"repaired: {repair}")
    report["match"] = match_key
    if last == 0:
        return report
    mapped = _targets(context, match_key, force, last, report)
    if last < 3:
        return report
    budget_key = budget.key(context, mapped)
    if _needed(context, "budget", budget_key, force, context.out / "budget" / "budget.done.json"):
        targets = [
            t
            for t in targets_of(files.read_parquet(context.out / "match" / "training.parquet"), context)
            if t.key in mapped
        ]
        budget.run(context, targets, budget_key)
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
    key = drawing.key(context, budget_key or files.read_json(marker)["key"])
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
    training = files.read_parquet(context.out / "match" / "training.parquet")
    cube = files.read_netcdf(context.out / "match" / "cube.nc") if last >= 2 else None
    names, mapped, fitted = predictor_names(context.recipe), {}, []
    targets = targets_of(training, context)
    for number, target in enumerate(targets, start=1):
        rows = training[(training["taxon"] == target.taxon) & (training["zone"] == target.zone)]
        label = f"{target.taxon} {target.zone} ({number}/{len(targets)})"
        fit_key = fit.key(context, match_key, target)
        try:
            if _needed(context, f"fit {label}", fit_key, force, context.out / "fit" / f"{target.key}.done.json"):
                fit.run(context, target, rows, names, fit_key)
            fitted.append(target)
            if last >= 2:
                map_key = maps.key(context, fit_key)
                if _needed(context, f"map {label}", map_key, force, context.out / "map" / f"{target.key}.done.json"):
                    maps.run(context, target, (rows, cube, names), map_key)
                mapped[target.key] = map_key
            report[target.key] = "done"
        except UserError as error:
            report[target.key] = str(error)
            warnings.warn(f"{target.taxon} {target.zone} is left out: {error}", MethodWarning, stacklevel=3)
    refused = {t.key: report[t.key] for t in targets if report[t.key] != "done"}
    if len(refused) == len(targets):
        raise UserError(
            f"none of {len(targets)} targets could be fitted; the first: {targets[0].key}: {next(iter(refused.values()))}"
        )
    _collect(context, fitted, refused, match_key)
    return mapped


def _collect(context, fitted, refused, match_key):
    """One tidy table of scores for all targets, rewritten when a target changes."""
    parts = [files.read_parquet(context.out / "fit" / t.key / "scores.parquet").assign(target=t.key) for t in fitted]
    table = pd.concat(parts, ignore_index=True)
    table = table[["target", "taxon", "zone", "scheme", "fold", "metric", "value", "judges", "nested", "note"]]
    origin = provenance(context, "fit", match_key)
    files.write_parquet(table, context.out / "fit" / "scores.parquet", origin)
    files.write_csv(table, context.out / "fit" / "scores.csv", origin)
    files.write_json({"refused": refused}, context.out / "fit" / "refused.json", origin)


def _needed(context, label, key, force, marker):
    if not force and is_done(marker, key):
        _say(context, f"{label}: unchanged, skipped")
        return False
    _say(context, f"{label}: running")
    return True


def _say(context, text):
    if context.progress:
        click.echo(text, err=True)
