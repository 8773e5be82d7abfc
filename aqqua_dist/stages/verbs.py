"""The verbs of the command line as functions: the same words in, tables and runs out."""

import difflib
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import click

from aqqua_dist.concentrations.aggregate import aggregate_ingest, aggregate_objects, counting
from aqqua_dist.concentrations.zones import parse_zone
from aqqua_dist.core import run_folder
from aqqua_dist.core.errors import MethodWarning, UserError
from aqqua_dist.core.table_folder import TableFolder, standing
from aqqua_dist.counts.objects import parse_memory
from aqqua_dist.habitat_models.arrays import threads
from aqqua_dist.organisms.relations import parse_relation
from aqqua_dist.readers import ingest as reading
from aqqua_dist.recipe.context import Context
from aqqua_dist.recipe.given import given_recipe, with_tables
from aqqua_dist.recipe.published import method_warnings
from aqqua_dist.recipe.recipe import parse
from aqqua_dist.stages import pipeline, plan
from aqqua_dist.stages.results import Run

COUNTING = (
    "statuses",
    "sorted",
    "min_score",
    "method",
    "threshold",
    "dubious",
    "validation",
    "taxa",
    "leave_out",
    "leave_out_flags",
    "carbon",
    "zones",
    "coverage",
    "members",
    "seed",
    "sizes",
    "check_ids",
    "memory",
)
"""Words that say how objects are counted."""
MOST = 20
"""Files that were set aside and are told one by one."""


class Plan(list):
    """Lines of a plan; printed one below the other."""

    def __repr__(self):
        return "\n".join(self)


def ingest(sources, out, *, mapping=None, effort=None, progress=True, **how):
    """Read exports into samples, objects and counts; with zones count them too, as `aggregate` does.

    Parameters
    ----------
    sources : str, os.PathLike or list of them
        Files, folders, zip archives.
    out : str or os.PathLike
        Folder to write to.
    mapping : str, os.PathLike or tuple, optional
        Which column of a plain table is what; or a mapping sheet of PSSdb and
        the number of its project.
    effort : str or os.PathLike, optional
        By which rule an instrument's sampled volume is found.
    progress : bool
        Show a progress bar, and say on the screen what was found.
    **how
        Words of `aggregate`, ``zones`` among them, and ``scheduler``.

    Returns
    -------
    aqqua_dist.core.table_folder.TableFolder
        ``samples, objects, counts, findings`` and, with zones,
        ``concentrations, zone_concentrations``: each is read when it is
        asked for, as ``found["samples"]``.

    Raises
    ------
    UserError
        No source is of a known format or can be read, a word is unknown, or
        nothing came out. A file that cannot be read is set aside and told
        while the rest goes on.

    Examples
    --------
    >>> import tempfile, aqqua_dist as aq, pandas as pd
    >>> folder = tempfile.mkdtemp()
    >>> net = {
    ...     "object_lat": 43.5,
    ...     "object_lon": 7.3,
    ...     "object_date": 20190601,
    ...     "object_time": 101500,
    ...     "object_depth_min": 0,
    ...     "object_depth_max": 200,
    ...     "object_annotation_status": "validated",
    ...     "object_annotation_category": "Copepoda",
    ...     "sample_id": "net_1",
    ...     "sample_tot_vol": 100,
    ...     "acq_id": "net_1_d1",
    ...     "acq_instrument": "zooscan",
    ...     "acq_sub_part": 2,
    ... }
    >>> table = pd.DataFrame([net | {"object_id": f"net_1_{number}"} for number in range(5)])
    >>> table.to_csv(f"{folder}/ecotaxa_export.tsv", sep="\\t", index=False)
    >>> found = aq.ingest(f"{folder}/ecotaxa_export.tsv", f"{folder}/out", zones=["0-200"], progress=False)
    >>> found["samples"]["volume"].tolist(), len(found["objects"])
    ([50.0], 5)

    One half of what 100 m3 held was looked at, which is all of 50 m3:

    >>> found["zone_concentrations"]["number_concentration"].tolist()
    [0.1]
    """
    scheduler, before = how.pop("scheduler", None), standing(out, Path(out) / "aggregated")
    options, products = _counting(how)
    if (how or scheduler) and not products.zones:
        word = next(iter(how), "scheduler")
        raise UserError(
            f"{word!r} says how objects are counted, and 0 zones are given; add zones=['0-200'], or count with "
            "`aggregate`."
        )
    found = reading.ingest(sources, out, mapping=mapping, effort=effort, progress=progress)
    told = found.tables.findings["severity"].value_counts()
    listed = ", ".join(f"{count} {severity}" for severity, count in told.items()) or "nothing odd"
    lines = [
        f"{len(found.tables.samples)} samples, {found.n_objects} objects, {len(found.tables.counts)} counts are in {out}",
        f"findings: {listed}; see {out}/quality.md",
    ]
    aside = [f"set aside: {sentence}" for sentence in found.set_aside]
    _say(lines, progress)
    _warn(aside[:MOST], progress)
    if len(aside) > MOST:
        _warn([f"set aside: {len(aside) - MOST} more, listed in {out}/quality.md"], progress)
    lines += aside
    if products.zones:
        lines += _told(aggregate_ingest(out, options, products, scheduler), progress)
    return TableFolder.written(out, before, lines, Path(out) / "aggregated")


def aggregate(source, out, *, samples=None, scheduler=None, progress=True, **how):  # noqa: PLR0913
    """Count objects per sample, taxon and size class, and turn them into concentrations.

    Parameters
    ----------
    source : str or os.PathLike
        Folder of an ingest, a Parquet file of objects, or a folder of such
        files.
    out : str or os.PathLike
        Folder to write to.
    samples : str or os.PathLike, optional
        Table of samples with their volume; that of the ingest unless given.
    scheduler : str, optional
        Address of a Dask scheduler, or ``local:N``.
    progress : bool
        Say on the screen what was counted.
    **how
        ``taxa`` and ``zones`` (lists; a zone is ``"0-200"`` or name, top and
        bottom in m), ``statuses`` (list, or ``["all"]``), ``sorted``,
        ``min_score``, ``method``, ``threshold``, ``dubious``, ``validation``,
        ``leave_out``, ``leave_out_flags``, ``carbon`` (conversion by taxon),
        ``coverage``, ``members``, ``seed``, ``sizes``, ``check_ids``,
        ``memory``: as ``aqqua-dist aggregate --help`` has them.

    Returns
    -------
    aqqua_dist.core.table_folder.TableFolder
        ``counts, concentrations`` and, with zones, ``zone_concentrations``.

    Raises
    ------
    UserError
        Nothing to read or to count, an unknown word, or nothing came out.

    Examples
    --------
    >>> import tempfile, aqqua_dist as aq, pandas as pd
    >>> folder = tempfile.mkdtemp()
    >>> samples = pd.DataFrame({"sample_id": ["s1"], "volume": [2.0], "lat": [43.0], "lon": [7.0]})
    >>> samples.to_parquet(f"{folder}/samples.parquet")
    >>> objects = pd.DataFrame({"sample_id": "s1", "label": ["Copepoda"] * 3 + ["Acantharea"], "status": "validated"})
    >>> objects.to_parquet(f"{folder}/objects.parquet")
    >>> found = aq.aggregate(
    ...     f"{folder}/objects.parquet", f"{folder}/out", samples=f"{folder}/samples.parquet", progress=False
    ... )
    >>> found["concentrations"].set_index("taxon")["number_concentration"].sort_index().to_dict()
    {'Acantharea': 0.5, 'Copepoda': 1.5}
    """
    before = standing(out)
    options, products = _counting(how)
    made = aggregate_objects(source, out, options, samples=samples, products=products, scheduler=scheduler)
    return TableFolder.written(out, before, _told(made, progress))


def check(recipe, *, tables=None, runs="runs"):
    """Resolve every name of a recipe; compute nothing.

    Parameters
    ----------
    recipe : str, os.PathLike or dict
        Recipe file, name of a shipped recipe, or the recipe itself.
    tables : dict of str to pandas.DataFrame, optional
        As for `run`; they are written to the folder of the run.
    runs : str or os.PathLike
        Folder of all runs.

    Returns
    -------
    list of str
        The plan, one line per stage.

    Raises
    ------
    RecipeError
        All faults at once.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> aq.check("demo")[0]
    'study    demo: Virtual UVP5 survey on the embedded climatology'
    """
    study = _opened(recipe, tables, runs, None, False)
    for sentence in method_warnings(study.recipe):
        warnings.warn(sentence, MethodWarning, stacklevel=2)
    return Plan(plan.check(study))


def run(recipe, *, tables=None, runs="runs", force=False, stop_after="figures", jobs=None, progress=True):  # noqa: PLR0913
    """Run the stages of a recipe; finished ones are skipped.

    Parameters
    ----------
    recipe : str, os.PathLike or dict
        Recipe file, name of a shipped recipe, or the recipe itself.
    tables : dict of str to pandas.DataFrame, optional
        Tables in place of files, by the path that the recipe writes for them:
        ``tables={"samples": df}`` goes with ``observations: {path: samples}``.
        They are written to ``<runs>/<study>/tables`` first.
    runs : str or os.PathLike
        Folder of all runs.
    force : bool
        Run every stage again.
    stop_after : {'observe', 'cube', 'match', 'fit', 'map', 'budget', 'compare', 'figures'}
        Last stage to run.
    jobs : int, optional
        Threads; default the processors that this process may use.
    progress : bool
        Show progress bars and what each stage does.

    Returns
    -------
    aqqua_dist.stages.results.Run or None
        As from `open_run`; None where the run stops before the fit.

    Raises
    ------
    RecipeError
        Faults of the recipe, all at once.
    UserError
        A stage refuses its input, or another process runs this study.
    """
    study = _opened(recipe, tables, runs, jobs, progress)
    plan.check(study)
    pipeline.run(study, force=force, stop_after=stop_after)
    whole = (study.out / run_folder.TARGETS).is_file() and stop_after not in ("observe", "cube", "match")
    return Run(study.out, study.folder) if whole else None


def compare(recipe, *, tables=None, runs="runs", jobs=None):
    """Published numbers, or the known truth, beside those of a finished run.

    Parameters
    ----------
    recipe : str, os.PathLike, dict or Run
        As for `run`, or what it returned.
    tables : dict of str to pandas.DataFrame, optional
        As for `run`.
    runs : str or os.PathLike
        Folder of all runs.
    jobs : int, optional
        Threads.

    Returns
    -------
    pandas.DataFrame
        ``taxon, zone, statistic, published, ours, low, high,
        difference_percent, units, source``.

    Raises
    ------
    UserError
        The run is not finished, or is one of another recipe.
    """
    return pipeline.compare(_opened(recipe, tables, runs, jobs, False))


def figures(recipe, *, tables=None, runs="runs", jobs=None):
    """Draw the figures of a finished run again from its files.

    Parameters
    ----------
    recipe : str, os.PathLike, dict or Run
        As for `run`, or what it returned.
    tables : dict of str to pandas.DataFrame, optional
        As for `run`.
    runs : str or os.PathLike
        Folder of all runs.
    jobs : int, optional
        Threads.

    Returns
    -------
    list of pathlib.Path
        The figures.

    Raises
    ------
    UserError
        The run is not finished, or is one of another recipe.
    """
    return pipeline.figures(_opened(recipe, tables, runs, jobs, False))


def _opened(recipe, tables, runs, jobs, progress):
    jobs = threads(pipeline.processors() if jobs is None else jobs)
    if isinstance(recipe, Run):
        return Context(recipe.recipe, recipe.text, recipe.recipe_folder, recipe.folder, jobs, progress)
    text, place, folder = given_recipe(recipe)
    if tables:
        text = with_tables(text, tables, runs, folder)
    plan.check_given(text, place, folder, runs)
    study = parse(text, place)
    return Context(study, text, folder, Path(runs) / study.study, jobs, progress)


def _counting(how):
    unknown = [word for word in how if word not in COUNTING]
    if unknown:
        near = difflib.get_close_matches(unknown[0], COUNTING, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ";"
        raise UserError(f"option {unknown[0]!r} is unknown{hint} allowed are {', '.join(COUNTING)}.")
    given = dict(how)
    if "sorted" in given:
        given["least"] = given.pop("sorted")
    for word in ("statuses", "taxa", "leave_out", "leave_out_flags", "zones"):
        if word in given:
            value = given[word]
            given[word] = (value,) if isinstance(value, str) else tuple(value)
    if "leave_out" in given:
        given["leave_out"] = tuple(word for word in given["leave_out"] if word)
    if "zones" in given:
        given["zones"] = tuple(map(_zone, _one_zone(given["zones"])))
    if isinstance(given.get("memory"), str):
        given["memory"] = parse_memory(given["memory"])
    carbon = given.get("carbon")
    if carbon is not None and not isinstance(carbon, Mapping):
        given["carbon"] = dict(map(parse_relation, [carbon] if isinstance(carbon, str) else carbon))
    if isinstance(given.get("validation"), os.PathLike):
        given["validation"] = str(given["validation"])
    return counting(given)


def _one_zone(zones):
    """A single (name, top, bottom) is one zone, too."""
    return [zones] if len(zones) == 3 and not isinstance(zones[1], str | tuple | list) else zones


def _zone(given):
    if isinstance(given, str):
        return parse_zone(given)
    found = tuple(given) if isinstance(given, tuple | list) else ()
    if len(found) == 2:
        return parse_zone(f"{found[0]:g}-{found[1]:g}")
    if len(found) != 3 or not found[1] < found[2]:
        raise UserError(f"zone {given!r} is not allowed; give '0-200', or name, top and bottom in m.")
    return (str(found[0]), float(found[1]), float(found[2]))


def _told(made, progress):
    """Sentences of what was counted and of what has no value; the latter are warnings where the screen is quiet."""
    line = f"{made.counted} of {made.objects} objects counted in {made.rows} rows; see {made.folder}"
    if made.empty:
        raise UserError(f"nothing came out: 0 concentrations; {line}; {' '.join(made.notes)}")
    _warn(made.notes, progress)
    _say([line], progress)
    return [*made.notes, line]


def _warn(lines, progress):
    """What the user must know: on the screen, or as warnings where the screen is quiet."""
    _say(lines, progress)
    for line in () if progress else lines:
        warnings.warn(line, MethodWarning, stacklevel=4)


def _say(lines, progress):
    if progress:
        for line in lines:
            click.echo(line, err=True)
