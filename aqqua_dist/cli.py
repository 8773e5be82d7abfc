"""Command line: verbs over the pipeline.

The scientific modules are imported when a verb runs, so that ``--help`` is
as quick as Python itself.
"""

import sys
import warnings
from importlib import import_module

import click

from aqqua_dist import __version__
from aqqua_dist.core.errors import MethodWarning, UserError

_SHOWN = 20
"""Sentences of one kind that are shown on the screen."""


class _Group(click.Group):
    """Prints what a user can mend as one sentence, without a traceback."""

    def invoke(self, ctx):
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
    if issubclass(category, MethodWarning):
        click.echo(f"warning: {message}", err=True)


def _options(function):
    function = click.option("--runs", default="runs", show_default=True, help="Folder of all runs.")(function)
    function = click.option("--jobs", type=click.IntRange(min=1), help="Threads; default: all processors.")(function)
    function = click.option("--quiet", is_flag=True, help="No progress bars.")(function)
    return click.argument("recipe")(function)


def _open(recipe, runs, jobs, quiet):
    pipeline = import_module("aqqua_dist.stages.pipeline")
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
    type=click.Choice(["match", "fit", "map", "budget", "figures"]),
    default="figures",
    show_default=True,
)
def run(recipe, runs, jobs, quiet, force, stop_after):
    """Run the stages of RECIPE; finished ones are skipped."""
    pipeline, study = _open(recipe, runs, jobs, quiet)
    import_module("aqqua_dist.stages.plan").check(study)
    pipeline.run(study, force=force, stop_after=stop_after)
    click.echo(f"results are in {study.out}")


@main.command()
@_options
def compare(recipe, runs, jobs, quiet):
    """Print published numbers, or the known truth, beside those of a run."""
    _, study = _open(recipe, runs, jobs, quiet)
    module = import_module("aqqua_dist.stages.compare")
    click.echo(module.as_text(module.compare(study)))
    click.echo(module.meaning(study.recipe))


@main.command()
@_options
def figures(recipe, runs, jobs, quiet):
    """Draw the figures again from the files of a run."""
    pipeline, study = _open(recipe, runs, jobs, quiet)
    pipeline.figures(study)
    for path in sorted((study.out / "figures").glob("*.png")):
        click.echo(path)


@main.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--out", required=True, help="Folder to write the tables to.")
@click.option(
    "--mapping",
    help="YAML that says which column of a plain table is what, or a mapping sheet of PSSdb (with --project).",
)
@click.option("--project", help="Number of the project in a mapping sheet of PSSdb.")
@click.option("--effort", help="YAML that says by which rule an instrument's sampled volume is found.")
@click.option(
    "--zone", "zones", multiple=True, help="Pool casts over a zone in m, as 0-200; may be given several times."
)
@click.option("--coverage", default=0.8, show_default=True, help="Share of a zone that a cast must cover.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    default=["validated"],
    show_default=True,
    help="Status of the objects that count in zones.",
)
@click.option("--taxon", "taxa", multiple=True, help="Sum labels to this taxon; may be given several times.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def ingest(sources, out, mapping, effort, **pooling):
    """Read exports (files, folders, zip archives) into samples, objects and counts.

    A file or a sample that cannot be read is set aside and listed; then the
    exit status is 1. It is 2 where nothing was written.
    """
    module, zonal, pooled = (
        import_module("aqqua_dist.readers.ingest"),
        import_module("aqqua_dist.concentrations.zone_tables"),
        None,
    )
    quiet, project = pooling.pop("quiet"), pooling.pop("project")
    mapping = (mapping, project) if project else mapping
    if pooling["zones"]:
        pooled = zonal.Pooling(
            **pooling
            | {"zones": tuple(map(import_module("aqqua_dist.concentrations.zones").parse_zone, pooling["zones"]))}
        )
    found = module.ingest(sources, out, mapping=mapping, effort=effort, progress=not quiet)
    by_zone = zonal.pool(found.tables, pooled) if pooled is not None else None
    if by_zone is not None:
        zonal.write(by_zone, found.folder, found.origin)
    told = found.tables.findings["severity"].value_counts()
    click.echo(
        f"{len(found.tables.samples)} samples, {found.n_objects} objects, {len(found.tables.counts)} counts are in {out}"
    )
    if by_zone is not None:
        casts = f"{by_zone.samples['profile'].nunique()} profiles in {len(pooled.zones)} zones"
        click.echo(
            f"zones: {casts}, {len(by_zone.dropped)} left out for coverage; see {out}/zone_concentrations.csv and zone_spectra.csv"
        )
    listed = ", ".join(f"{count} {severity}" for severity, count in told.items()) or "nothing odd"
    click.echo(f"findings: {listed}; see {out}/quality.md")
    for sentence in found.set_aside[:_SHOWN]:
        click.echo(f"set aside: {sentence}", err=True)
    if len(found.set_aside) > _SHOWN:
        click.echo(f"set aside: {len(found.set_aside) - _SHOWN} more, listed in {out}/quality.md", err=True)
    if found.set_aside:
        sys.exit(1)


@main.command()
@click.argument("source")
@click.option("-o", "--out", required=True, help="Folder to write the counts to.")
@click.option("--samples", help="Table of samples with their volume; that of the ingest unless given.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    default=["validated"],
    show_default=True,
    help="Status of the objects that count; 'all' for every one.",
)
@click.option("--min-score", default=0.0, show_default=True, help="Objects with a lower score go to 'unclassified'.")
@click.option(
    "--method",
    default="labels",
    show_default=True,
    help="How objects that no human has labelled are counted: labels, validated, top1, "
    "thresholded, probabilistic, acc, pacc or em.",
)
@click.option(
    "--threshold", default=0.0, show_default=True, help="Least probability of the best class, for thresholded."
)
@click.option(
    "--dubious",
    default="predicted",
    show_default=True,
    help="What becomes of dubious objects: predicted, validated or unclassified.",
)
@click.option("--validation", help="Labelled validation table of the model (CSV or Parquet), for acc, pacc and em.")
@click.option(
    "--taxon", "taxa", multiple=True, help="Sum labels to this taxon in the concentrations; may be given several times."
)
@click.option("--carbon", multiple=True, help="TAXON=CONVERSION for the carbon of a taxon; may be given several times.")
@click.option(
    "--zone", "zones", multiple=True, help="Pool casts over a zone in m, as 0-200; may be given several times."
)
@click.option("--coverage", default=0.8, show_default=True, help="Share of a zone that a cast must cover.")
@click.option(
    "--members",
    default=0,
    show_default=True,
    help="Draw and write this many members of every concentration; the intervals of probabilistic, "
    "acc, pacc and em come from them.",
)
@click.option("--seed", default=0, show_default=True, help="Of the members.")
@click.option("--sizes/--no-sizes", default=True, show_default=True, help="Keep fine size classes in the counts.")
@click.option(
    "--check-ids/--no-check-ids", default=True, show_default=True, help="Refuse objects whose id stands twice."
)
@click.option("--memory", default="2GiB", show_default=True, help="What the sums may take.")
@click.option("--scheduler", help="Address of a Dask scheduler, or local:N for N processes here.")
def aggregate(source, out, samples, scheduler, **given):
    """Count objects (an ingested folder, or Parquet partitions) per sample, taxon and size class."""
    module, options = (
        import_module("aqqua_dist.concentrations.aggregate"),
        import_module("aqqua_dist.counts.partitions").Options,
    )
    tables, zone = (
        import_module("aqqua_dist.counts.counts_table"),
        import_module("aqqua_dist.concentrations.zones").parse_zone,
    )
    scoring = import_module("aqqua_dist.counts.classifier_tallies").Scoring(
        given["method"], (), given["threshold"], given["dubious"]
    )
    statuses = () if "all" in given["statuses"] else tuple(given["statuses"])
    chosen = options(
        statuses,
        given["sizes"],
        import_module("aqqua_dist.counts.objects").parse_memory(given["memory"]),
        given["min_score"],
        scoring,
    )
    products = module.Products(
        given["taxa"],
        tuple(map(zone, given["zones"])),
        given["coverage"],
        dict(map(tables.parse_relation, given["carbon"])),
        given["validation"],
        given["members"],
        given["seed"],
        given["check_ids"],
    )
    found = module.aggregate_objects(source, out, chosen, samples=samples, products=products, scheduler=scheduler)
    click.echo(
        f"{found.counted} of {found.objects} objects counted in {found.rows} rows; see {out}/counts.parquet and concentrations.parquet"
    )


@main.command()
@click.argument("source")
@click.option("-o", "--out", required=True, help="Folder to write the tables to.")
@click.option("--samples", help="Table of samples with their volume; that of the ingest unless given.")
@click.option("--components", default=10, show_default=True, help="Principal components of the sample means.")
@click.option("--morphotypes", default=50, show_default=True, help="Morphotypes to fit; 0 for none.")
@click.option("--codebook", help="morphotypes.nc of an earlier run, to count by the same morphotypes.")
@click.option("--training", help="novelty.nc of an earlier run, to compare with its samples.")
@click.option("--seed", default=0, show_default=True, help="Of the codebook.")
@click.option("--embedding", default="embedding", show_default=True, help="Column that holds the embeddings.")
@click.option("--on-bad", default="raise", show_default=True, help="Embeddings that are not finite: raise or drop.")
@click.option("--scheduler", help="Address of a Dask scheduler, or local:N for N processes here.")
def embeddings(source, out, samples, scheduler, **given):
    """Means, components, novelty and morphotypes of samples, from the embeddings of their images."""
    module = import_module("aqqua_dist.embeddings.collection")
    found = module.collect_embeddings(source, out, module.Options(**given), samples=samples, scheduler=scheduler)
    learned = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    click.echo(
        f"{found.objects} embeddings of {found.samples} samples ({found.dropped} not finite); learned: {learned}; see {out}"
    )


@main.command()
def schema():
    """Print the JSON schema of a recipe, for editors that complete YAML."""
    recipe = import_module("aqqua_dist.recipe.recipe")
    click.echo(import_module("json").dumps(recipe.json_schema(), indent=1))
