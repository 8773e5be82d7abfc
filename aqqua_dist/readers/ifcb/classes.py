"""Class scores of Imaging FlowCytobot bins: one prediction per image, each bin used once.

Scores are taken as they are and scaled to a sum of 1 where the file rounds
them. The winning class that a file names must be the one with the highest
score: a file that counts classes from the other end is told from one whose
classes are in another order. Layouts are those of neuston (WHOIGit/ifcb_classifier),
ifcb-analysis, iRfcb, ClassiPyR and the IFCB dashboard.
"""

import io
from dataclasses import dataclass, field

import h5py
import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import OBJECTS, finding, typed
from aqqua_dist.readers.ifcb.class_files import FILE_NAME, NAMES, UNCLASSIFIED, read_class_file
from aqqua_dist.readers.image_models.predictions import TOLERANCE, Predictions, checked_scores

DECIMALS = 1e-4
"""Unit of the last digit of scores that the dashboard writes."""
PREFERENCE = ("json", "mat", "h5", "scores csv", "labels csv")
"""Which of several files of a bin is used, when they hold as much: the one with the finer scores."""


@dataclass(frozen=True)
class ClassScores(Predictions):
    """Predictions of the images of bins.

    Attributes
    ----------
    objects : pandas.DataFrame
        Columns `aqqua_dist.core.tables.OBJECTS`, rows as `object_id`:
        ``label`` is the winning class whatever its score, ``n_individuals``
        the cells of the image (0: none found; missing: not counted).
    decided : numpy.ndarray
        Class that remains above its threshold, or ``unclassified``; None
        where the file does not tell. Text, shape (n,).
    bins : pandas.DataFrame
        ``sample_id, file, layout, model_id, version, timestamp, n_objects``;
        bins without an image are rows too.
    thresholds : pandas.DataFrame
        ``class, threshold, n_bins``: each threshold that a bin was decided
        with (missing: none).
    """

    objects: pd.DataFrame = field(default_factory=lambda: typed(pd.DataFrame(), OBJECTS))
    decided: np.ndarray | None = None
    bins: pd.DataFrame = field(default_factory=pd.DataFrame)
    thresholds: pd.DataFrame = field(default_factory=pd.DataFrame)


def recognises(source):
    """Whether a source may hold the classes of a bin.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Judged by its name (``<bin>_class.h5``, ``<bin>_class_v1.mat``,
        ``<bin>_class_scores.csv``, ``<bin>.csv`` ...), HDF5 and JSON files of
        another name by their first parts.

    Returns
    -------
    bool
        A ``<bin>.mat`` is a manual annotation and none.
    """
    kind = source.name.rpartition(".")[2].lower()
    name = FILE_NAME.fullmatch(source.name)
    if kind == "csv":
        return bool(name) and _starts(source, ("pid,", '"pid",', "file_name,", '"file_name",'))
    if name:
        return kind != "mat" or bool(name.group(2))
    if kind == "json":
        return _starts(source, ("{",)) and b'"class_labels"' in _first(source)
    if kind != "h5":
        return False
    try:
        with source.open() as stream, h5py.File(io.BytesIO(stream.read()), "r") as file:
            return any(part in file for part in NAMES["scores"]) and any(
                part in file for part in NAMES["rois"] + NAMES["images"]
            )
    except Exception:  # h5py raises many kinds on files that are none of its own
        return False


def _first(source):
    try:
        with source.open() as stream:
            return stream.read(2**16)
    except UserError:
        return b""


def _starts(source, texts):
    first = _first(source).removeprefix(b"\xef\xbb\xbf").lstrip()
    return any(first.startswith(text.encode()) for text in texts)


def read_ifcb_classes(sources):
    """Classes of the images of some bins.

    Parameters
    ----------
    sources : list of aqqua_dist.readers.sources.Source
        Files of one classifier: all with the same classes, in any order.

    Returns
    -------
    ClassScores
        ``object_id`` is ``<bin>_<image>`` with five digits, bins in the order
        of their names. A bin that stands in several files is used once, with
        a finding that tells whether the files agree. Files of labels give the
        score of the winner only; the rest of the probability is unclassified.

    Raises
    ------
    UserError
        A file is damaged, an image stands twice in it, a score is no
        probability, the named winner has not the highest score, or files
        have different classes or models.
    """
    if not sources:
        raise UserError(f"{len(sources)} files with the classes of bins, at least 1 is needed.")
    findings, tables = [], {}
    for source in sources:
        found = read_class_file(source)
        scores, winners = _checked(found, findings)
        table = _table(found, scores, winners, findings)
        for name in [*dict.fromkeys(found.bins)] or [found.about.get("bin") or _named(found.source)]:
            rows = np.flatnonzero(found.bins == name)
            tables.setdefault(name, []).append((found, table.iloc[rows], None if scores is None else scores[rows]))
    used = [_used(name, parts, findings) for name, parts in sorted(tables.items())]
    classes = _same_classes([found for found, _, _ in used])
    model_id = _same_model([found for found, _, _ in used])
    prob = _stacked(used, classes, findings)
    table = pd.concat([table for _, table, _ in used], ignore_index=True)
    objects = typed(
        table.assign(status=np.where(table["label"].isna(), "unclassified", "predicted"), model_id=model_id or pd.NA),
        OBJECTS,
    )
    return ClassScores(
        object_id=table["object_id"].to_numpy(dtype=object),
        classes=classes if prob is not None else (),
        prob=prob,
        model_id=model_id,
        findings=findings,
        objects=objects,
        decided=np.where(table["decided"].isna(), None, table["decided"]),
        bins=_bins(sorted(tables), used),
        thresholds=_thresholds(used, findings),
    )


def _named(source):
    name = FILE_NAME.fullmatch(source.name)
    if name is None:
        raise UserError(f"{source}: there are 0 images and the name tells no bin; rename the file to <bin>_class.")
    return name.group(1)


def _checked(found, findings):
    """Probabilities in single precision and the column of the winner; None and None for labels."""
    if found.scores is None:
        return None, None
    scores = found.scores
    with np.errstate(invalid="ignore"):  # what is no number is refused below
        wide = scores.astype("float64")
    bad = ~((wide >= 0) & (wide <= 1 + TOLERANCE))
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        raise UserError(
            f"{found.source}: image {found.rois[row]}, class {found.classes[column]!r}: score {wide[row, column]:g} is outside [0, 1]; "
            f"{int(bad.sum())} such scores."
        )
    total = wide.sum(axis=1)
    if found.layout == "scores csv" and len(wide):
        written = np.abs(wide / DECIMALS - np.rint(wide / DECIMALS)).max() < 1e-6
        near = np.abs(total - 1) <= max(TOLERANCE, written * DECIMALS / 2 * wide.shape[1])
        far = int((near & (np.abs(total - 1) > TOLERANCE)).sum())
        if far:
            scores = np.where(near[:, None], wide / np.where(near, total, 1)[:, None], wide)
            findings.append(
                finding(
                    "repaired",
                    "probability sum",
                    f"{far} rows of scores with four digits were scaled to a sum of 1.",
                    file=str(found.source),
                )
            )
            total = scores.sum(axis=1)
    if (total > 1 + TOLERANCE).any():
        row = int(np.argmax(total))
        raise UserError(
            f"{found.source}: image {found.rois[row]}: the scores add up to {total[row]:.6g}, allowed is at most 1; "
            f"{int((total > 1 + TOLERANCE).sum())} such images."
        )
    winners = _winners(found, wide, findings)
    return checked_scores(scores, found.source, findings), winners


def _winners(found, scores, findings):
    """Column of the winner of each image: the one that the file names, by number or by name, if it has the highest score."""
    best, chosen = (
        scores.max(axis=1, initial=0.0),
        scores.argmax(axis=1) if scores.shape[1] else np.zeros(len(scores), dtype="int64"),
    )
    exact = found.numbers is not None and (found.numbers.dtype != np.float16 or len(found.classes) <= 2048)
    if exact:
        numbers = found.numbers.astype("float64")
        held = np.where(np.abs(numbers) < 2**31, numbers, -1).astype("int64")
        fits = {base: _highest(scores, held - base, best) for base in (0, 1)}
        own, other = fits[found.base], fits[1 - found.base]
        if own.all():
            chosen = held - found.base
        elif other.all():
            chosen = held - 1 + found.base
            findings.append(
                finding(
                    "repaired",
                    "class numbers",
                    f"the numbers of the winning classes start at {1 - found.base}, not at {found.base}; they were read so.",
                    file=str(found.source),
                    column="output_classes",
                )
            )
        else:
            row = int(np.flatnonzero(~own)[0])
            raise UserError(
                f"{found.source}: image {found.rois[row]}: 'output_classes' is {found.numbers[row]:g}, the highest score has "
                f"{chosen[row] + found.base} ({found.classes[chosen[row]]!r}); {int((~own).sum())} of {len(own)} images differ."
            )
    if found.winner is not None:
        place = {name: i for i, name in enumerate(found.classes)}
        held = np.array([place.get(name, -1) for name in found.winner], dtype="int64")
        differ = ~_highest(scores, held, best)
        if differ.any():
            row = int(np.flatnonzero(differ)[0])
            told = (
                f"{int(differ.sum())} of {len(differ)} images are told to be another class than the one with the highest score, "
                f"first image {found.rois[row]}: {found.winner[row]!r}, not {found.classes[chosen[row]]!r}"
            )
            if found.layout != "mat" or differ.mean() > 0.5 or (held < 0).any():
                raise UserError(f"{found.source}: {told}; are the classes in another order?")
            told += "; trees with costs decide so, the scores were used."
            findings.append(finding("suspicious", "winning class", told, file=str(found.source)))
        chosen = np.where(differ, chosen, held)
    strange = sorted(
        {_word(name) for name in (() if found.decided is None else found.decided)}
        - {*found.classes, UNCLASSIFIED, None}
    )
    if strange:
        raise UserError(
            f"{found.source}: class {strange[0]!r} is none of the {len(found.classes)} classes {list(found.classes)[:5]} "
            f"nor {UNCLASSIFIED!r}."
        )
    return chosen


def _highest(scores, columns, best):
    inside = (columns >= 0) & (columns < scores.shape[1])
    return inside & (scores[np.arange(len(scores)), np.where(inside, columns, 0)] >= best)


def _table(found, scores, winners, findings):
    """What is known of each image besides its probabilities."""
    frame = pd.DataFrame({"sample_id": found.bins, "roi": found.rois}, dtype=object)
    frame["object_id"] = [f"{name}_{roi:05d}" for name, roi in zip(found.bins, found.rois, strict=True)]
    if frame["object_id"].duplicated().any():
        twice = frame["object_id"][frame["object_id"].duplicated()]
        raise UserError(
            f"{found.source}: image {twice.iloc[0]!r} stands more than once, allowed is once; {len(twice)} such rows."
        )
    decided = np.array(
        [None] * len(frame) if found.decided is None else [_word(name) for name in found.decided], dtype=object
    )
    if scores is not None:
        frame["score"] = scores.max(axis=1, initial=0.0).astype("float64")
        winner = np.where(frame["score"] > 0, np.array([*found.classes, None], dtype=object)[winners], None)
    else:
        told = found.winner if found.winner is not None else found.decided
        winner = np.array([None if _word(name) in (None, UNCLASSIFIED) else name for name in told], dtype=object)
        frame["score"] = np.full(len(frame), np.nan) if found.score is None else found.score
        bad = ~((frame["score"] >= 0) & (frame["score"] <= 1 + TOLERANCE)) & frame["score"].notna()
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise UserError(
                f"{found.source}: row {row + 2}, column 'score': {frame['score'][row]:g} is outside [0, 1]; {int(bad.sum())} such rows."
            )
    return frame.assign(label=winner, decided=decided, n_individuals=_cell_counts(found, findings))


def _word(text):
    return None if text in ("", "NA") else text


def _cell_counts(found, findings):
    """Cells per image: missing where they were not counted, which is no zero."""
    if found.cells is None:
        return pd.array([pd.NA] * len(found.rois), dtype="Int64")
    cells = found.cells.astype("float64")
    bad = ~np.isnan(cells) & ~((cells >= -1) & (cells % 1 == 0) & (cells < 1e6))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"{found.source}: image {found.rois[row]}: 'cell_count' {cells[row]:g} is no number of cells, nor -1 for not counted."
        )
    if (cells == 0).any():
        findings.append(
            finding(
                "suspicious",
                "cell count",
                f"{int((cells == 0).sum())} images were counted and no cell was found; their number of cells is 0.",
                file=str(found.source),
                column="cell_count",
            )
        )
    return pd.array(np.where(np.isnan(cells) | (cells < 0), np.nan, cells), dtype="Float64").astype("Int64")


def _used(name, parts, findings):
    """The file of a bin that holds most; the others are named."""

    def rank(part):
        found, table, scores = part
        return scores is None, table["decided"].isna().all(), PREFERENCE.index(found.layout)

    (best, kept, scores), *others = sorted(parts, key=rank)
    for found, table, _ in others:
        both = kept.merge(table, on="object_id", suffixes=("", "_other"), how="left")
        differ = int((both["label"].fillna("") != both["label_other"].fillna("")).sum()) + max(
            len(table) - len(kept), 0
        )
        told = f"bin {name} also stands here; {best.source} was used"
        told += f", {differ} images differ in their class" if differ else ", the classes are the same"
        if kept["n_individuals"].isna().all() and both["n_individuals_other"].notna().any() and not differ:
            kept = kept.assign(n_individuals=both["n_individuals_other"].to_numpy())
            told += ", and the numbers of cells are from here"
        findings.append(
            finding("suspicious" if differ else "repaired", "duplicate", f"{told}.", file=str(found.source), value=name)
        )
    return best, kept, scores


def _same_classes(files):
    told = [found for found in files if found.scores is not None]
    labels = [found for found in files if found.scores is None]
    for found in told[1:]:
        if set(found.classes) != set(told[0].classes):
            strange = sorted(set(found.classes) ^ set(told[0].classes))
            raise UserError(
                f"{found.source}: its {len(found.classes)} classes are not the {len(told[0].classes)} of {told[0].source}, "
                f"{strange[0]!r} is in one of them only; read the files of each classifier apart."
            )
    words = {found.source: found.winner if found.winner is not None else found.decided for found in labels}
    seen = {source: {_word(name) for name in names} - {None, UNCLASSIFIED} for source, names in words.items()}
    if not told:
        return tuple(sorted(set().union(*seen.values())))
    for source, names in seen.items():
        strange = sorted(names - set(told[0].classes))
        if strange:
            raise UserError(
                f"{source}: class {strange[0]!r} is none of the {len(told[0].classes)} classes of {told[0].source}."
            )
    return told[0].classes


def _same_model(files):
    told = {}
    for found in files:
        if found.about.get("model_id"):
            told.setdefault(found.about["model_id"], found.source)
    if len(told) > 1:
        (one, first), (other, second) = list(told.items())[:2]
        raise UserError(
            f"{second}: model {other!r} is not the {one!r} of {first}; read the files of each of the {len(told)} models apart."
        )
    return next(iter(told), "")


def _stacked(used, classes, findings):
    """Probabilities of all bins in the order of the classes; None where no file has a score."""
    bare = [found for found, _, scores in used if scores is None and found.score is None]
    if bare and len(bare) < len(used):
        raise UserError(
            f"{bare[0].source}: column 'score' is missing, {len(used) - len(bare)} of {len(used)} bins have it; "
            "read those without scores apart."
        )
    if bare:
        return None
    place, parts = {name: i for i, name in enumerate(classes)}, []
    for found, table, scores in used:
        if scores is None:
            part = np.zeros((len(table), len(classes)), dtype="float32")
            known = (table["label"].notna() & table["score"].notna()).to_numpy()
            part[np.flatnonzero(known), [place[name] for name in table["label"][known]]] = table["score"][known]
            parts.append(checked_scores(np.minimum(part, 1), found.source, findings))
        else:
            parts.append(scores[:, [found.classes.index(name) for name in classes]])
    return np.concatenate(parts)


def _bins(names, used):
    return pd.DataFrame(
        {
            "sample_id": names,
            "file": [str(found.source) for found, _, _ in used],
            "layout": [found.layout for found, _, _ in used],
            **{part: [found.about.get(part) for found, _, _ in used] for part in ("model_id", "version", "timestamp")},
            "n_objects": [len(table) for _, table, _ in used],
        }
    )


def _thresholds(used, findings):
    told = [found for found, _, _ in used if found.thresholds is not None]
    rows = [pair for found in told for pair in zip(found.classes, found.thresholds, strict=True)]
    frame = pd.DataFrame(rows, columns=["class", "threshold"]).astype({"threshold": "float64"})
    table = frame.groupby(["class", "threshold"], dropna=False, sort=True).size().rename("n_bins").reset_index()
    several = table["class"][table["class"].duplicated()]
    if len(several):
        text = f"{several.nunique()} classes have several thresholds, first {several.iloc[0]!r}; bins were decided differently."
        findings.append(finding("suspicious", "thresholds", text))
    return table
