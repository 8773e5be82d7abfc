"""Outputs of image models among the sources of an ingest: one table of predictions, and labels for images without one."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import FINDINGS, SAMPLES, Ingested, finding, typed
from aqqua_dist.readers.ifcb import bins
from aqqua_dist.readers.ifcb.classes import read_ifcb_classes
from aqqua_dist.readers.image_models import arrays as array_outputs
from aqqua_dist.readers.image_models import predictions
from aqqua_dist.readers.set_aside import read_each


def read_model_outputs(sources):
    """Predictions of files that hold class probabilities or embeddings.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Files that `aqqua_dist.readers.image_models.predictions` reads.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        No samples and no objects: where an image was taken stands elsewhere.
        ``extra['predictions']``: ``object_id, label`` (the class of the
        highest probability), ``score`` (that probability), ``model_id``,
        ``prob`` and ``embedding`` (lists, where a file has them);
        ``extra['classes']``: ``model_id, place, class``, the order of ``prob``.

    Raises
    ------
    UserError
        A file that is damaged, or one object in two files of one model.
    """
    arrays = [source for source in sources if array_outputs.recognises(source)]
    others = [source for source in sources if source not in arrays and not array_outputs.is_ids(source, sources)]
    findings = []

    def _read(source):
        return (
            array_outputs.read_array_outputs(source, sources)
            if source in arrays
            else predictions.read_predictions(source)
        )

    found = read_each([*arrays, *others], _read, findings)
    if not found:
        raise UserError(f"{sources[0]}: the {len(sources)} tables of ids have no array beside them.")
    outputs = outputs_of([one for _, one in found], [str(source) for source, _ in found])
    told = pd.concat([outputs.findings, typed(pd.DataFrame(findings), FINDINGS)], ignore_index=True)
    return Ingested(outputs.samples, findings=told, extra=outputs.extra)


def recognises(source):
    """Whether a source may hold outputs of a model, or the ids of an array of them.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        File, or a Zarr store.

    Returns
    -------
    bool
    """
    return (
        array_outputs.recognises(source)
        or array_outputs.named_as_ids(source)
        or source.path.is_file()
        and predictions.recognises(source)
    )


def read_ifcb_outputs(sources):
    """Classes of the images of IFCB bins.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Files that `aqqua_dist.readers.ifcb.classes` reads, of one classifier.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        As from `read_model_outputs`; ``predictions`` also has
        ``n_individuals`` (cells of the image, where they were counted) and
        ``decided`` (the class above its threshold, or ``unclassified``), and
        ``samples`` and ``objects`` are those of the bins, without a volume:
        it comes from their headers (`aqqua_dist.readers.ifcb.bins`).

    Raises
    ------
    UserError
        A damaged file, or files of several classifiers.
    """
    scores = read_ifcb_classes(sources)
    objects = scores.objects
    extra = {
        "predictions": objects[["object_id", "label", "score", "model_id", "n_individuals"]].assign(
            prob=list(scores.prob) if scores.prob is not None else None, decided=scores.decided
        )
    }
    if scores.classes:
        extra["classes"] = pd.DataFrame(
            {"model_id": scores.model_id, "place": np.arange(len(scores.classes)), "class": scores.classes}
        )
    samples = pd.DataFrame([bins.sample_of_name(name) for name in scores.bins["sample_id"]])
    samples["source"] = scores.bins["file"].astype(str).to_numpy()
    return Ingested(
        typed(samples, SAMPLES), objects, findings=typed(pd.DataFrame(scores.findings), FINDINGS), extra=extra
    )


def without(ingested, known):
    """Samples and objects that other sources do not have.

    Parameters
    ----------
    ingested : aqqua_dist.core.tables.Ingested
        From a reader of model outputs.
    known : collection of str
        Samples of other sources.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        The rest; extra tables stay whole.
    """
    samples = ingested.samples[~ingested.samples["sample_id"].isin(list(known))].reset_index(drop=True)
    objects = ingested.objects[ingested.objects["sample_id"].isin(samples["sample_id"])].reset_index(drop=True)
    return Ingested(samples, objects, ingested.counts, ingested.findings, ingested.extra)


def outputs_of(found, names):
    """Tables of predictions.

    Parameters
    ----------
    found : list of aqqua_dist.readers.image_models.predictions.Predictions
        One per file.
    names : list of str
        Files, for messages and for models that have no name.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        As from `read_model_outputs`.

    Raises
    ------
    UserError
        One object in two files of one model.
    """
    tables, classes, findings, places = [], [], [], []
    for one, name in zip(found, names, strict=True):
        table = pd.DataFrame({"object_id": pd.array(one.object_id, dtype="string"), "model_id": one.model_id or name})
        places += [name] * len(table)
        if one.prob is not None:
            best = np.argmax(one.prob, axis=1)
            table["label"], table["score"] = (
                np.array(one.classes, dtype=object)[best],
                one.prob[np.arange(len(best)), best].astype(float),
            )
            table["prob"] = list(one.prob)
            classes.append(
                pd.DataFrame(
                    {"model_id": one.model_id or name, "place": np.arange(len(one.classes)), "class": one.classes}
                )
            )
        if one.embedding is not None:
            table["embedding"] = list(one.embedding)
        tables.append(table)
        findings += one.findings
    whole = pd.concat(tables, ignore_index=True)
    twice = whole.duplicated(["object_id", "model_id"])
    if twice.any():
        row = whole[twice].iloc[0]
        same = whole["object_id"].eq(row["object_id"]) & whole["model_id"].eq(row["model_id"])
        one, two = np.array(places, dtype=object)[same.to_numpy()][:2]
        raise UserError(
            f"{two}: object {row['object_id']!r} has {int(same.sum())} predictions of model {row['model_id']!r}, another one in {one}, allowed is one."
        )
    extra = {"predictions": whole} | (
        {"classes": pd.concat(classes, ignore_index=True).drop_duplicates()} if classes else {}
    )
    return Ingested(typed(pd.DataFrame(), SAMPLES), findings=typed(pd.DataFrame(findings), FINDINGS), extra=extra)


def labelled(ingested, outputs):
    """Images without a label get that of a model.

    Parameters
    ----------
    ingested : aqqua_dist.core.tables.Ingested
        With objects.
    outputs : pandas.DataFrame
        ``object_id, label, score, model_id`` of one model.

    Returns
    -------
    aqqua_dist.core.tables.Ingested
        Objects that have no label and stand in `outputs` are ``predicted``;
        a finding says how many there are and how many outputs found no image.
    """
    objects = ingested.objects
    if objects.empty or "label" not in outputs:
        return ingested
    known = outputs.dropna(subset="label").drop_duplicates("object_id").set_index("object_id")
    mine = objects["label"].isna() & objects["object_id"].isin(known.index)
    ids = objects.loc[mine, "object_id"]
    names = [name for name in ("label", "score", "model_id", "n_individuals") if name in known]
    objects = objects.assign(
        **{
            name: objects[name].mask(
                mine, pd.Series(known[name].reindex(ids).to_numpy(), index=ids.index).reindex(objects.index)
            )
            for name in names
        }
    )
    objects["status"] = objects["status"].mask(mine, "predicted")
    text = f"{int(mine.sum())} images took the label of a model; {len(known) - int(known.index.isin(objects['object_id']).sum())} of {len(known)} predictions are of no image here."
    found = typed(
        pd.DataFrame([finding("suspicious" if not mine.any() else "repaired", "predictions", text)]), FINDINGS
    )
    return Ingested(
        ingested.samples,
        objects,
        ingested.counts,
        pd.concat([ingested.findings, found], ignore_index=True),
        ingested.extra,
    )
