"""The stages in order; a stage whose content key is unchanged is skipped."""

import os
import warnings
from pathlib import Path

import click
import pandas as pd

from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.files import read_json, read_provenance
from aqqua_dist.core.lock import locked
from aqqua_dist.core.paths import find_recipe
from aqqua_dist.core.provenance import created_now
from aqqua_dist.recipe.context import Context, Target
from aqqua_dist.recipe.published import method_warnings
from aqqua_dist.recipe.recipe import load
from aqqua_dist.stages import match
from aqqua_dist.stages.base import Refused
from aqqua_dist.stages.leftovers import move_leftovers
from aqqua_dist.stages.listing import read_current, refuse_other_targets, write_listing
from aqqua_dist.stages.order import NAMES, stages, until
from aqqua_dist.stages.progress import Progress
from aqqua_dist.stages.record import read_marker


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
    return Context(study, text, path.parent, Path(runs) / study.study, jobs or processors(), progress)


def processors():
    """Number of processors that this process may use.

    Returns
    -------
    int
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(context, *, force=False, stop_after="figures"):
    """Run the stages whose key has changed.

    Parameters
    ----------
    context : Context
        The study.
    force : bool
        Run every stage again.
    stop_after : {'observe', 'cube', 'match', 'fit', 'map', 'budget', 'compare', 'figures'}
        Last stage to run.

    Returns
    -------
    dict of str to str
        Key of a target to what became of it (``done``, or the sentence that
        says why it was refused), and name of a stage to its key.

    Raises
    ------
    UserError
        Another process runs this study; a stage refuses its input; no target
        could be fitted.
    """
    if stop_after not in NAMES:
        raise UserError(f"stop_after: {stop_after!r} is not a stage; choose from {', '.join(NAMES)}.")
    for sentence in method_warnings(context.recipe):
        warnings.warn(sentence, MethodWarning, stacklevel=2)
    with locked(context.out, _tell(context)):
        return _run(context, force, until(context, stop_after))


def figures(context, *, force=True):
    """Draw the figures from the files of a run.

    Parameters
    ----------
    context : Context
        The study.
    force : bool
        Draw even where nothing has changed.

    Returns
    -------
    list of pathlib.Path
        The figures of the recipe.

    Raises
    ------
    UserError
        The run is not finished, or is one of another recipe.
    """
    progress = _finished(context)
    with locked(context.out, _tell(context)):
        _show(progress, ["compare"], False)
        _show(progress, ["figures"], force)
    return sorted((context.out / "figures" / name) for name in _files_of(context, "figures"))


def compare(context):
    """Published numbers, or the known truth, beside those of a run.

    Parameters
    ----------
    context : Context
        The study.

    Returns
    -------
    pandas.DataFrame
        As `aqqua_dist.stages.compare.compare` gives it, also in
        ``compare.csv``.

    Raises
    ------
    UserError
        The run is not finished, or is one of another recipe.
    """
    progress = _finished(context)
    with locked(context.out, _tell(context)):
        _show(progress, ["compare"], True)
    return pd.read_csv(context.out / "compare.csv")


def _tell(context):
    return lambda text: click.echo(text, err=True)


def _run(context, force, wanted):
    progress, report = Progress(context, force), {}
    every = [stage for stage in stages(context) if stage.name in wanted]
    chain = [stage for stage in every if stage.scope == "target"]
    for stage in every:
        if stage.scope == "target" and chain:
            _targets(progress, chain, report)
            chain = []
        elif stage.scope == "study":
            progress.do(stage)
            report[stage.name] = progress.keys[stage.name]
    _clear(progress, every)
    return report


def _targets(progress, chain, report):
    """The stages of every target, one target after the other; one that is refused does not stop the next."""
    context, every = progress.context, list(match.targets(progress.context))
    places = {target: f"{number}/{len(every)}" for number, target in enumerate(every, start=1)}
    for target in every:
        try:
            for stage in chain:
                if stage.groups is None:
                    progress.do(stage, target, place=places[target])
        except UserError as error:
            _leave_out(progress, (target,), str(error))
    for stage in stages(context):
        if stage.groups is not None:
            _together(progress, stage, places, stage.name in {one.name for one in chain})
    report |= {target.key: progress.refused.get(target, "done") for target in every}
    progress.targets = tuple(target for target in every if target not in progress.refused)
    records = []
    for target in every:
        reason = progress.refused.get(target, "")
        record = {"taxon": target.taxon, "zone": target.zone, "key": target.key}
        standing = [] if reason else [*chain, *_standing(progress, chain, target)]
        keys = {stage.name: progress.keys[stage.name, target] for stage in standing}
        record |= {"state": "refused" if reason else "done", "reason": reason, "keys": keys}
        records.append(record | {"files": _written(context, standing, target)})
    write_listing(context, records)
    if not progress.targets:
        reason = next((record["reason"] for record in records), "there is no training row")
        first = records[0]["key"] if records else "none"
        raise UserError(f"none of {len(every)} targets could be fitted; the first: {first}: {reason}")


def _together(progress, stage, places, wanted):
    """A stage that does targets together; where one of a group is refused, the others are grouped anew."""
    finished = set()
    while True:
        living = [target for target in places if target not in progress.refused]
        groups = progress.groups[stage.name] = stage.groups(progress.context, living)
        waiting = [group for group in groups if group not in finished]
        if not wanted or not waiting:
            return
        try:
            for group in waiting:
                progress.do_together(stage, group, places)
                finished.add(group)
        except Refused as error:
            _leave_out(progress, error.targets, str(error))


def _leave_out(progress, targets, reason):
    for target in targets:
        progress.refused[target] = reason
        warnings.warn(f"{target.label} is left out: {reason}", MethodWarning, stacklevel=5)


def _standing(progress, chain, target):
    """Stages of a target beyond those asked for, as far as an earlier run has left them as they would be now."""
    names, found = {stage.name for stage in chain}, []
    for stage in stages(progress.context):
        if stage.scope == "target" and stage.name not in names:
            key, words, _ = progress.key(stage, target)
            record = read_marker(stage.marker(progress.context.out, target))
            if record is None or (record["key"], record["words"]) != (key, words):
                break
            progress.recall(stage.name, key, {}, target)
            found.append(stage)
    return found


def _written(context, chain, target):
    """Files of a target, as its markers list them, in the folder of the run."""
    found = []
    for stage in chain:
        marker = stage.marker(context.out, target)
        found += [(marker.parent / name).relative_to(context.out).as_posix() for name in read_json(marker)["files"]]
    return found


def _clear(progress, done):
    """Move what belongs to no finished stage out of sight, and say so."""
    context, kept = progress.context, set()
    for stage in done:
        targets = match.targets(context) if stage.scope == "target" else [None]
        for target in targets:
            for state in ("done", "refused"):
                marker = stage.marker(context.out, target, state)
                record = read_marker(marker)
                if record is not None:
                    kept |= {marker, *(marker.parent / name for name in record["files"])}
    names = {stage.name for stage in done}
    folders = [stage for stage in done if stage.folder != "fit" and (stage.name != "fit" or "scores" in names)]
    since = created_now().replace(":", "-")
    for path in move_leftovers(context, folders, kept, since):
        progress.say(
            f"{path.relative_to(context.out / 'old' / since)} belongs to another recipe or version: moved to {path}"
        )


def _finished(context):
    """A run of the present recipe whose budget is that of its maps."""
    listed = read_current(context)
    record = read_json(context.out / "targets.json")["targets"]
    progress = Progress(context)
    progress.targets = tuple(Target(one.taxon, one.zone) for one in listed)
    progress.refused = {Target(one["taxon"], one["zone"]): one["reason"] for one in record if one["state"] != "done"}
    for one in record:
        for stage, key in one["keys"].items():
            progress.recall(stage, key, {}, Target(one["taxon"], one["zone"]))
    path = context.out / "budget" / "budget.done.json"
    about = refuse_other_targets(context.out, path, "map", record)
    progress.recall("budget", about["key"], read_provenance(path).inputs)
    return progress


def _show(progress, names, force):
    progress.force = force
    for stage in stages(progress.context):
        if stage.name in names:
            progress.do(stage)


def _files_of(context, name):
    stage = next(stage for stage in stages(context) if stage.name == name)
    return read_json(stage.marker(context.out))["files"]
