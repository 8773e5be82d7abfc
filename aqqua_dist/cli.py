"""Command line: verbs over the pipeline.

The scientific modules are imported when a verb runs, so that ``--help`` is
as quick as Python itself.
"""

import re
import sys
import time
import warnings
from importlib import import_module

import click

from aqqua_dist import __version__
from aqqua_dist.core.errors import MethodWarning, OnceWarning, UserError

_SAID = set()
"""Beginnings of the warnings of this run, up to their first number."""
SHOWN = 40
"""Stocks that a run prints at its end."""

_SHOWN = 20
"""Sentences of one kind that are shown on the screen."""


class _Group(click.Group):
    """Prints what a user can mend as one sentence, without a traceback."""

    def invoke(self, ctx):
        _SAID.clear()
        warnings.showwarning = _show_warning
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"aqqua-dist: {error}", err=True)
            sys.exit(2)
        except OSError as error:  # a full disk, a folder that may not be written
            click.echo(
                f"aqqua-dist: {error.strerror or error}{f': {error.filename}' if error.filename else ''}.", err=True
            )
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("aqqua-dist: stopped; run the same command again to continue.", err=True)
            sys.exit(130)


def _show_warning(message, category, filename, lineno, file=None, line=None):
    said = re.match(r"\D*", str(message)).group()
    if issubclass(category, OnceWarning) and said in _SAID:
        return
    _SAID.add(said)
    if issubclass(category, MethodWarning):
        click.echo(f"warning: {message}", err=True)


def _options(function):
    function = click.option("--runs", default="runs", show_default=True, help="Folder of all runs.")(function)
    function = click.option("--jobs", type=click.IntRange(min=1), help="Threads; default: all processors.")(function)
    function = click.option("--quiet", is_flag=True, help="No progress bars.")(function)
    return click.argument("recipe")(function)


def _open(recipe, runs, jobs, quiet):
    pipeline = import_module("aqqua_dist.stages.pipeline")
    import_module("aqqua_dist.stages.plan").check_text(recipe, runs=runs)
    return pipeline, pipeline.open_study(recipe, runs=runs, jobs=jobs, progress=not quiet)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aqqua-dist")
def main():
    """From plankton images to global maps and stocks, with their uncertainty.

    RECIPE is a YAML file, or the name of a shipped recipe such as demo or
    drago2022.
    """


@main.command()
@_options
def check(recipe, runs, jobs, quiet):
    """Resolve every name of RECIPE and print the plan; compute nothing."""
    pipeline, study = _open(recipe, runs, jobs, quiet)
    for line in import_module("aqqua_dist.stages.plan").check(study):
        click.echo(line)
    for sentence in import_module("aqqua_dist.recipe.published").method_warnings(study.recipe):
        click.echo(f"warning: {sentence}", err=True)


@main.command()
@_options
@click.option("--force", is_flag=True, help="Run every stage again.")
@click.option(
    "--stop-after",
    type=click.Choice(["observe", "cube", "match", "fit", "map", "budget", "compare", "figures"]),
    default="figures",
    show_default=True,
)
def run(recipe, runs, jobs, quiet, force, stop_after):
    """Run the stages of RECIPE; finished ones are skipped."""
    start = time.monotonic()
    pipeline, study = _open(recipe, runs, jobs, quiet)
    import_module("aqqua_dist.stages.plan").check(study)
    pipeline.run(study, force=force, stop_after=stop_after)
    click.echo(f"results are in {study.out}, after {_duration(time.monotonic() - start)}")
    if stop_after in ("budget", "compare", "figures"):
        totals = import_module("aqqua_dist.stages.results").open_run(study.out).totals()
        for line in totals[:SHOWN]:
            click.echo(line)
        if len(totals) > SHOWN:
            click.echo(f"and {len(totals) - SHOWN} more in {study.out / 'budget' / 'budget.csv'}")


def _duration(seconds):
    """Time as a person writes it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{seconds / 60:.1f} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@main.command()
@_options
def compare(recipe, runs, jobs, quiet):
    """Print published numbers, or the known truth, beside those of a run."""
    pipeline, study = _open(recipe, runs, jobs, quiet)
    module = import_module("aqqua_dist.stages.compare")
    click.echo(module.as_text(pipeline.compare(study)))
    click.echo(module.meaning(study.recipe))


@main.command()
@_options
def figures(recipe, runs, jobs, quiet):
    """Draw the figures again from the files of a run."""
    pipeline, study = _open(recipe, runs, jobs, quiet)
    for path in pipeline.figures(study):
        click.echo(path)


COUNTING = (
    click.option(
        "--status",
        "statuses",
        multiple=True,
        default=["validated"],
        show_default=True,
        help="Status of the objects that count, as word or letter of EcoTaxa; 'all' for every one.",
    ),
    click.option(
        "--sorted",
        "least",
        default=0.0,
        show_default=True,
        help="Least share of counted objects (PSSdb asks for 0.95); samples below it, or without any, have no value.",
    ),
    click.option(
        "--min-score", default=0.0, show_default=True, help="Objects with a lower score go to 'unclassified'."
    ),
    click.option(
        "--method",
        default="labels",
        show_default=True,
        help="How objects that no human has labelled are counted: labels, validated, top1, "
        "thresholded, probabilistic, acc, pacc or em.",
    ),
    click.option(
        "--threshold", default=0.0, show_default=True, help="Least probability of the best class, for thresholded."
    ),
    click.option(
        "--dubious",
        default="predicted",
        show_default=True,
        help="What becomes of dubious objects: predicted, validated or unclassified.",
    ),
    click.option("--validation", help="Labelled validation table of the model (CSV or Parquet), for acc, pacc and em."),
    click.option(
        "--taxon",
        "taxa",
        multiple=True,
        help="Total of this taxon with all that is below it; may be given several times, totals may overlap.",
    ),
    click.option(
        "--leave-out",
        multiple=True,
        default=["part", "exuviae", "egg"],
        show_default=True,
        help="Qualifiers of labels that do not count for their taxon; '' for none.",
    ),
    click.option(
        "--carbon",
        multiple=True,
        help="TAXON=CONVERSION for the carbon of a taxon, or auto for the nearest relation up the tree; may be given several times.",
    ),
    click.option("--conversions", help="YAML of conversions of your own, that --carbon may name or find."),
    click.option(
        "--conversion-sd",
        multiple=True,
        help="TAXON=SD: error of a taxon's carbon in the members, as the standard deviation of its natural logarithm.",
    ),
    click.option(
        "--prior",
        help="Mix of classes that the probabilities were calibrated on, for em: field (that of the validation table, "
        "which is what em takes by itself), uniform, or a CSV of class and share.",
    ),
    click.option(
        "--shape",
        default="sphere",
        show_default=True,
        help="Of objects without a biovolume of their own: sphere or ellipsoid.",
    ),
    click.option(
        "--sized",
        default=0.95,
        show_default=True,
        help="Least share of the objects of a label in a sample with a size; the others count as large as these. Below it, "
        "biovolume and carbon are missing.",
    ),
    click.option(
        "--zone", "zones", multiple=True, help="Pool casts over a zone in m, as 0-200; may be given several times."
    ),
    click.option("--coverage", default=0.8, show_default=True, help="Share of a zone that a cast must cover."),
    click.option(
        "--members",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Draw and write this many members of every concentration; the intervals of probabilistic, "
        "acc, pacc and em come from them.",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the members."),
    click.option("--sizes/--no-sizes", default=True, show_default=True, help="Keep fine size classes in the counts."),
    click.option(
        "--check-ids/--no-check-ids", default=True, show_default=True, help="Refuse objects whose id stands twice."
    ),
    click.option("--memory", default="2GiB", show_default=True, help="What the sums may take."),
    click.option("--scheduler", help="Address of a Dask scheduler, or local:N for N processes here."),
)
"""Options of every verb that counts: the same on each door."""


def _counting(function):
    for option in reversed(COUNTING):
        function = option(function)
    return function


def _chosen(given):
    """Module that counts, and its options and products."""
    module = import_module("aqqua_dist.concentrations.aggregate")
    relations = import_module("aqqua_dist.organisms.relations")
    zone = import_module("aqqua_dist.concentrations.zones").parse_zone
    changed = {
        "zones": tuple(map(zone, given["zones"])),
        "carbon": dict(map(relations.parse_relation, given["carbon"])),
        "conversion_sd": dict(map(relations.parse_sd, given["conversion_sd"])),
        "memory": import_module("aqqua_dist.counts.objects").parse_memory(given["memory"]),
        "leave_out": tuple(word for word in given["leave_out"] if word),
    }
    return module, *module.counting(given | changed)


def _tell(found, place):
    """Print what was counted, what has no value, and why; exit status 2 where nothing came out."""
    for note in found.notes:
        click.echo(note, err=note.startswith("zone_concentrations is empty"))
    click.echo(f"{found.counted} of {found.objects} objects counted in {found.rows} rows; see {place}")
    if found.empty:
        click.echo("aqqua-dist: nothing came out: 0 concentrations.", err=True)
        sys.exit(2)


@main.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--out", required=True, help="Folder to write the tables to.")
@click.option(
    "--mapping",
    help="YAML that says which column of a plain table is what, or a mapping sheet of PSSdb (with --project).",
)
@click.option("--project", help="Number of the project in a mapping sheet of PSSdb.")
@click.option("--effort", help="YAML that says by which rule an instrument's sampled volume is found.")
@_counting
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.pass_context
def ingest(ctx, sources, out, mapping, effort, **given):
    """Read exports (files, folders, archives) into samples, objects and counts; with --zone count them too, as aggregate does.

    A file or a sample that cannot be read is set aside and listed; then the
    exit status is 1. It is 2 where nothing was written.
    """
    module, quiet, project = import_module("aqqua_dist.readers.ingest"), given.pop("quiet"), given.pop("project")
    mapping = (mapping, project) if project else mapping
    counts, options, products = _chosen(given)
    asked = [name for name in given if ctx.get_parameter_source(name).name == "COMMANDLINE"]
    if asked and not given["zones"]:
        name = next(word for option in ctx.command.params if option.name == asked[0] for word in option.opts)
        raise UserError(
            f"{name} says how objects are counted, and 0 zones are given; add --zone, or count with 'aqqua-dist aggregate {out}'."
        )
    found = module.ingest(sources, out, mapping=mapping, effort=effort, progress=not quiet)
    told = found.tables.findings["severity"].value_counts()
    click.echo(
        f"{len(found.tables.samples)} samples, {found.n_objects} objects, {len(found.tables.counts)} counts are in {out}"
    )
    listed = ", ".join(f"{count} {severity}" for severity, count in told.items()) or "nothing odd"
    click.echo(f"findings: {listed}; see {out}/quality.md")
    for sentence in found.joined[:_SHOWN]:
        click.echo(sentence)
    for sentence in found.set_aside[:_SHOWN]:
        click.echo(f"set aside: {sentence}", err=True)
    if len(found.set_aside) > _SHOWN:
        click.echo(f"set aside: {len(found.set_aside) - _SHOWN} more, listed in {out}/quality.md", err=True)
    if given["zones"]:
        made = counts.aggregate_ingest(out, options, products, given["scheduler"])
        _tell(made, f"{out}/zone_concentrations.csv and {out}/aggregated")
    if found.set_aside:
        sys.exit(1)


@main.command()
@click.argument("source")
@click.option("-o", "--out", required=True, help="Folder to write the counts to.")
@click.option("--samples", help="Table of samples with their volume; that of the ingest unless given.")
@_counting
def aggregate(source, out, samples, **given):
    """Count objects (an ingested folder, or Parquet partitions) per sample, taxon and size class."""
    module, options, products = _chosen(given)
    found = module.aggregate_objects(
        source, out, options, samples=samples, products=products, scheduler=given["scheduler"]
    )
    _tell(found, f"{out}/counts.parquet and concentrations.parquet")


@main.command()
@click.argument("source")
@click.option("-o", "--out", required=True, help="Folder to write the tables to.")
@click.option("--samples", help="Table of samples with their volume; that of the ingest unless given.")
@click.option(
    "--components",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Principal components of the sample means.",
)
@click.option(
    "--morphotypes", type=click.IntRange(min=0), default=50, show_default=True, help="Morphotypes to fit; 0 for none."
)
@click.option("--codebook", help="morphotypes.nc of an earlier run, to count by the same morphotypes.")
@click.option("--training", help="novelty.nc of an earlier run, to compare with its samples.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the codebook.")
@click.option("--embedding", default="embedding", show_default=True, help="Column that holds the embeddings.")
@click.option("--on-bad", default="raise", show_default=True, help="Embeddings that are not finite: raise or drop.")
@click.option("--scheduler", help="Address of a Dask scheduler, or local:N for N processes here.")
def embeddings(source, out, samples, scheduler, **given):
    """Means, components, novelty and morphotypes of samples, from the embeddings of their images."""
    module = import_module("aqqua_dist.embeddings.collection")
    found = module.collect_embeddings(
        source, out, module.EmbeddingOptions(**given), samples=samples, scheduler=scheduler
    )
    learned = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    click.echo(
        f"{found.objects} embeddings of {found.samples} samples ({found.dropped} not finite); learned: {learned}; see {out}"
    )


@main.group()
def export():
    """Hand results on: Darwin Core archives, predictions for EcoTaxa."""


@export.command()
@click.argument("folder")
@click.option("-o", "--out", required=True, help="Zip archive to write.")
@click.option("--title", default="", help="Title of the data set; the name of the folder unless given.")
@click.option("--institution", default="", help="Code of the institution.")
@click.option("--creator", default="", help="Who answers for the data set.")
@click.option("--email", default="", help="Of the creator.")
@click.option("--licence", default="", help="Of the whole, as CC-BY-4.0; that of the sources unless given.")
@click.option("--model", default="", help="Model that made the predictions, with its DOI.")
@click.option(
    "--zeros/--no-zeros", default=True, show_default=True, help="Taxa not found in a sample are absent there."
)
def dwca(folder, out, zeros, **given):
    """Darwin Core archive of an aggregated FOLDER: samples as events, counts as occurrences."""
    dataset = import_module("aqqua_dist.report.darwin_core").Dataset(**given)
    for note in import_module("aqqua_dist.report.archive").export_darwin_core(folder, out, dataset, zeros=zeros):
        click.echo(note)


@export.command()
@click.argument("folder")
@click.option("-o", "--out", required=True, help="Table to write; its name begins with ecotaxa and ends in .tsv.")
@click.option("--threshold", default=0.0, show_default=True, help="Least score of a prediction.")
def ecotaxa(folder, out, threshold):
    """Predictions of an ingested FOLDER in the table that EcoTaxa imports; labels of humans are left alone."""
    module = import_module("aqqua_dist.report.ecotaxa_predictions")
    for note in module.export_predictions(folder, out, threshold=threshold):
        click.echo(note)


@main.command()
@click.argument("names", nargs=-1)
@click.option(
    "--missing", help="Ingested folder (or partitions): list its labels that are not known, with their counts."
)
def taxa(names, missing):
    """Say what labels are taken for: AphiaID, rank, parents, living or not, and near names.

    The exit status is 1 where a label is not known.
    """
    if not names and missing is None:
        raise UserError(f"{len(names)} names are given; give one as 'egg<Copepoda', or --missing FOLDER.")
    module, unknown = import_module("aqqua_dist.organisms.lookup"), 0
    for name in names:
        found = module.look_up(name)
        unknown += not found.understood
        click.echo("\n".join(module.sentences(name, found)))
    if missing is not None:
        table = import_module("aqqua_dist.counts.unknown_labels").unknown_labels(missing)
        click.echo(f"{len(table)} labels of {missing} are not known, with {table['n'].sum():g} objects or animals")
        for row in table.itertuples():
            line, near = (f" ({row.hierarchy})" if row.hierarchy else ""), (f"; near {row.near}" if row.near else "")
            click.echo(f"{row.n:g}\t{row.label}{line}{near}")
        unknown += len(table)
    if unknown:
        sys.exit(1)


@main.command()
def schema():
    """Print the JSON schema of a recipe, for editors that complete YAML."""
    recipe = import_module("aqqua_dist.recipe.recipe")
    click.echo(import_module("json").dumps(recipe.json_schema(), indent=1))
