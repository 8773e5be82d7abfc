"""One file with the classes of Imaging FlowCytobot images, in any of the layouts that classifiers write.

HDF5 and JSON of neuston (class numbers from 0) and its MATLAB file (from 1),
the MATLAB file of ifcb-analysis (``class2useTB``), the HDF5 file of iRfcb,
and two CSV tables: scores by ``pid`` and labels by ``file_name``. Layouts are
told apart by what is inside, the bin by the file name.
"""

import csv
import io
import json
import re
import zlib
from dataclasses import dataclass, field

import h5py
import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ifcb.matlab import read_variables
from aqqua_dist.readers.sources import encoding_of

BIN = r"(?:D\d{8}T\d{6}_IFCB\d+|IFCB\d+_\d{4}_\d{3}_\d{6})"
FILE_NAME = re.compile(rf"({BIN})(_class(?:_scores)?(?:_v\d+)?)?\.(h5|mat|json|csv)", re.IGNORECASE)
IMAGE_NAME = re.compile(rf"(?:.*[/\\])?({BIN})_(\d{{5,6}})(?:\.\w{{1,4}})?")
UNCLASSIFIED = "unclassified"
MAX_CELLS = 40_000_000
"""Most numbers that a table of scores may have; a bin has about a million."""
MAX_RATIO = 1100
"""Most bytes that one byte of a file can stand for when it is packed by gzip."""
MOST_NUMBER = 65_535
"""Largest image number of a bin, as the files keep it in 16 bits."""
NAMES = {
    "scores": ("output_scores", "output_ranks", "scores", "TBscores"),
    "classes": ("class_labels", "class2useTB"),
    "rois": ("roi_numbers", "roinum"),
    "images": ("input_images",),
    "numbers": ("output_classes",),
    "winner": ("class_name_auto", "TBclass"),
    "decided": ("class_name", "TBclass_above_threshold"),
    "thresholds": ("thresholds",),
    "cells": ("cell_count",),
    "model_id": ("model_id", "classifier_name", "classifierName"),
    "bin": ("bin_id", "bin"),
    "version": ("version",),
    "timestamp": ("timestamp",),
}
"""Our name of each part to its names in the files."""
_POINTER = np.dtype([("length", "<u4"), ("address", "<u8"), ("number", "<u4")])
TEXTS = {"classes", "images", "winner", "decided", "model_id", "bin", "version", "timestamp"}
SINGLE = {"model_id", "bin", "version", "timestamp"}


@dataclass(frozen=True)
class ClassFile:
    """What one file says, unchecked but for shapes.

    Attributes
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.
    layout : str
        ``h5``, ``mat``, ``json``, ``scores csv`` or ``labels csv``.
    bins, rois : numpy.ndarray
        Bin (text) and image number of each row, shape (n,).
    classes : tuple of str
        Classes, without ``unclassified``; empty where there are labels only.
    scores : numpy.ndarray or None
        Shape (n, n_classes), as stored.
    numbers : numpy.ndarray or None
        Number of the winning class as stored.
    base : int
        Number that the first class should have.
    winner, decided : numpy.ndarray or None
        Name of the winning class, and what remains of it above thresholds.
    score : numpy.ndarray or None
        Score of the winner, for labels without scores.
    cells : numpy.ndarray or None
        Cells of each image as stored, NaN where the cell is empty.
    thresholds : numpy.ndarray or None
        Shape (n_classes,).
    about : dict of str to str
        ``model_id``, ``version``, ``timestamp``, where they are told, and
        ``bin``.
    """

    source: object
    layout: str
    bins: np.ndarray
    rois: np.ndarray
    classes: tuple = ()
    scores: np.ndarray | None = None
    numbers: np.ndarray | None = None
    base: int = 0
    winner: np.ndarray | None = None
    decided: np.ndarray | None = None
    score: np.ndarray | None = None
    cells: np.ndarray | None = None
    thresholds: np.ndarray | None = None
    about: dict = field(default_factory=dict)


def read_class_file(source):
    """Classes of the images of one file.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        HDF5, MATLAB (up to version 7.2), JSON or CSV.

    Returns
    -------
    ClassFile
        Its parts.

    Raises
    ------
    UserError
        The file cannot be read, a part is missing, or parts differ in length.
    """
    kind = source.name.rpartition(".")[2].lower()
    if kind not in _DECODERS:
        raise UserError(
            f"{source}: a file of the kind {kind!r} holds no class scores, allowed are {', '.join(_DECODERS)}."
        )
    with source.open() as stream:
        raw = stream.read()
    try:
        held = _DECODERS[kind](raw)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    except Exception as error:  # the libraries raise many kinds on damaged files; none may reach the user
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
        raise UserError(f"{source}: the file cannot be read ({reason}).") from None
    return _rows(source, kind, held)


def _h5(raw):
    heaps, held = _heaps(raw), {}
    with h5py.File(io.BytesIO(raw), "r") as file:
        told = [file[name].attrs for name in ("metadata", "scores") if name in file]
        for part, names in NAMES.items():
            name = next((n for n in names if n in file), None)
            if name is not None:
                held[part] = _dataset(file[name], name, raw, heaps)
            for attributes, key in [] if name is not None else [(a, n) for a in told for n in names if n in a]:
                _check_kind(attributes.get_id(key), key)
                if attributes.get_id(key).dtype.hasobject:
                    _check_attribute(key, raw, heaps)
                held[part] = attributes[key]
    return held


def _check_kind(item, name):
    """Texts and numbers only: other kinds hold pointers, which the HDF5 library follows anywhere."""
    if item.dtype.kind not in "fiuS" and h5py.check_string_dtype(item.dtype) is None:
        raise UserError(f"{name!r} holds values of the kind {item.dtype}, needed are texts or numbers.")


def _heaps(raw):
    """Address of each heap of texts to the numbers and lengths of its entries, (address, number) to length.

    Damaged ones are refused, as the HDF5 library may read them for ever.
    """
    start, held = -1, {}
    while (start := raw.find(b"GCOL\x01\0\0\0", start + 1)) >= 0:
        size = int.from_bytes(raw[start + 8 : start + 16], "little")
        place, end, seen = start + 16, start + size, set()
        while place + 16 <= end <= len(raw):
            number, length = (
                int.from_bytes(raw[place : place + 2], "little"),
                int.from_bytes(raw[place + 8 : place + 16], "little"),
            )
            step = 16 + -(-length // 8) * 8 if number else length  # the free rest is counted with its head
            if (number in seen if number else place + step != end) or number > size // 16 or place + step > end:
                break
            seen.add(number)
            held[start, number] = length
            place += step
        if not end - 16 < place <= end:
            raise UserError(f"the texts at byte {start} are damaged: entry at byte {place} of {len(raw)} does not fit.")
    return held


def _dataset(item, name, raw, heaps):
    if not isinstance(item, h5py.Dataset):
        raise UserError(f"{name!r} is a {type(item).__name__.lower()}, needed is a table of values.")
    if item.size is None or item.size > MAX_CELLS:
        raise UserError(f"{name!r} has {item.size} values, allowed are up to {MAX_CELLS}.")
    if item.nbytes > MAX_RATIO * len(raw):
        raise UserError(f"{name!r} needs {item.nbytes} bytes, which a file of {len(raw)} cannot hold.")
    _check_kind(item, name)
    if item.dtype.hasobject and item.size:
        _check_texts(item, name, raw, heaps)
    return item[()]


def _check_texts(item, name, raw, heaps):
    """Every text must point to an entry of a heap: the HDF5 library follows pointers anywhere."""
    if item.chunks is None:
        start = item.id.get_offset()
        pieces = [raw[start : start + 16 * item.size]] if start is not None else []
    else:
        places = [item.id.get_chunk_info(i) for i in range(item.id.get_num_chunks())]
        pieces = [raw[p.byte_offset : p.byte_offset + p.size] for p in places]
        pieces = [piece[:-4] if item.fletcher32 else piece for piece in pieces]
        pieces = [zlib.decompress(piece) if item.compression == "gzip" else piece for piece in pieces]
        if item.shuffle:
            pieces = [np.frombuffer(piece, "uint8").reshape(16, -1).T.tobytes() for piece in pieces]
    for piece in pieces:
        _check_pointers(piece, name, raw, heaps)


def _check_pointers(piece, name, raw, heaps):
    for length, address, number in np.frombuffer(piece, _POINTER).tolist():
        if (length or address) and heaps.get((address, number), -1) < length:
            raise UserError(
                f"{name!r} is damaged: a text of {length} bytes at byte {address} of {len(raw)} is not there."
            )


def _check_attribute(name, raw, heaps):
    """As `_check_texts`, for the one text of an attribute; its message tells the lengths of name, type and space before them."""
    key, place, seen = name.encode() + b"\0", -1, 0
    while (place := raw.find(key, place + 1)) >= 0:
        for version, head, step in ((1, 8, 8), (2, 8, 1), (3, 9, 1)):  # the first version fills up to eight bytes
            sizes = [int.from_bytes(raw[place - head + i : place - head + i + 2], "little") for i in (2, 4, 6)]
            if place >= head and raw[place - head] == version and sizes[0] == len(key):
                start = place + sum(-(-size // step) * step for size in sizes)
                _check_pointers(raw[start : start + _POINTER.itemsize], name, raw, heaps)
                seen += 1
    if not seen:
        raise UserError(f"attribute {name!r} is damaged: its text is nowhere in the {len(raw)} bytes.")


def _mat(raw):
    found = read_variables(raw, {name for names in NAMES.values() for name in names})
    return {part: found[name] for part, names in NAMES.items() for name in names if name in found}


def _json(raw):
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise UserError(
            f"the content is a {type(found).__name__}, needed is an object with 'class_labels' and 'output_scores'."
        )
    return {part: found[name] for part, names in NAMES.items() for name in names if found.get(name) is not None}


def _csv(raw):
    rows = [row for row in csv.reader(io.StringIO(raw.decode(encoding_of(io.BytesIO(raw)))), strict=True) if row]
    if not rows:
        raise UserError(f"the table has {len(rows)} rows, needed is a header.")
    header, rows = [name.strip() for name in rows[0]], rows[1:]
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise UserError(f"column {sorted(twice)[0]!r} stands {header.count(sorted(twice)[0])} times, allowed is once.")
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if wrong is not None:
        raise UserError(f"row {wrong} has {len(rows[wrong - 2])} cells, the header has {len(header)}.")
    table = {name: np.array([row[i].strip() for row in rows], dtype=object) for i, name in enumerate(header)}
    if "file_name" in table and {"class_name", "class_name_auto"} & set(table):
        held = {
            part: table[name]
            for part, name in (("decided", "class_name"), ("winner", "class_name_auto"))
            if name in table
        }
        held |= {
            part: _cells(table[name], name)
            for part, name in (("cells", "cell_count"), ("score", "score"))
            if name in table
        }
        return held | {"images": table["file_name"]}
    if "pid" not in table or len(header) < 2:
        raise UserError(
            f"columns are {header[:6]}; needed is 'pid' and one column per class, or 'file_name' and 'class_name'."
        )
    names = [name for name in header if name != "pid"]
    return {
        "images": table["pid"],
        "classes": names,
        "scores": np.column_stack([_cells(table[name], name) for name in names]),
    }


def _cells(values, name):
    """Numbers of a CSV column, NaN where a cell is empty or NA."""
    found = np.full(len(values), np.nan)
    for row, text in enumerate(values):
        try:
            found[row] = np.nan if text in ("", "NA") else float(text)
        except ValueError:
            raise UserError(f"row {row + 2}, column {name!r}: {text!r} is not a number.") from None
    return found


_DECODERS = {"h5": _h5, "mat": _mat, "json": _json, "csv": _csv}


def _rows(source, kind, held):
    held = {part: _plain(part, value, source) for part, value in held.items()}
    labels_only = kind == "csv" and "scores" not in held
    missing = [NAMES[part][0] for part in ("scores", "classes") if part not in held]
    if missing and not labels_only:
        raise UserError(
            f"{source}: {missing[0]!r} is missing; the file has {sorted(NAMES[p][0] if p in NAMES else p for p in held)}."
        )
    classes = held.get("classes", [])
    bins, rois = _images(source, held)
    scores = held.get("scores")
    if scores is not None:
        scores, classes = _table(source, scores, classes, len(rois))
    for part in ("numbers", "winner", "decided", "score", "cells"):
        if part in held and len(held[part]) != len(rois):
            name = NAMES.get(part, (part,))[0]
            raise UserError(
                f"{source}: {name!r} has {len(held[part])} values, needed are as many as images, {len(rois)}."
            )
    if "thresholds" in held and len(held["thresholds"]) != len(classes):
        raise UserError(
            f"{source}: 'thresholds' has {len(held['thresholds'])} values, needed are as many as classes, {len(classes)}."
        )
    layout = {"csv": "labels csv" if scores is None else "scores csv"}.get(kind, kind)
    return ClassFile(
        source,
        layout,
        bins,
        rois,
        tuple(classes),
        scores,
        base=1 if kind == "mat" else 0,
        about={part: held[part] for part in SINGLE if part in held},
        **{part: held.get(part) for part in ("numbers", "winner", "decided", "score", "cells", "thresholds")},
    )


def _plain(part, value, source):
    """Texts as a list (or one text), numbers as an array of one dimension; scores keep theirs."""
    try:
        if part in TEXTS:
            texts = list(_texts(value))
            if part in SINGLE and len(texts) != 1:
                raise ValueError(f"{len(texts)} texts, 1 is needed")
            return texts[0] if part in SINGLE else np.array(texts, dtype=object)
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "fiu":
            numbers = numbers.astype("float64")
        return numbers if part == "scores" else numbers.reshape(-1)
    except (ValueError, TypeError, RecursionError) as error:  # also of texts that are none
        raise UserError(
            f"{source}: {NAMES.get(part, (part,))[0]!r} is not readable ({str(error).splitlines()[0][:120]})."
        ) from None


def _texts(value):
    if isinstance(value, bytes):
        yield value.decode()
    elif isinstance(value, (str, int, float, np.number)):
        yield str(value).rstrip().encode().decode()  # text that is none is refused
    elif isinstance(value, (list, tuple, np.ndarray)):
        for item in value.ravel() if isinstance(value, np.ndarray) else value:
            if isinstance(item, np.ndarray) and item.size == 0:
                yield ""
            else:
                yield from _texts(item)
    else:
        raise TypeError(f"a {type(value).__name__} is no text")


def _images(source, held):
    """Bin and image number of every row."""
    name = FILE_NAME.fullmatch(source.name)
    told = {text for text in (name.group(1) if name else None, held.get("bin")) if text}
    if len(told) > 1:
        raise UserError(
            f"{source}: the file says bin {held['bin']!r}, its name another one; allowed is one bin per file."
        )
    if "rois" in held:
        if not told:
            raise UserError(
                f"{source}: the bin is told neither by the name {source.name!r} nor inside; rename the file to <bin>_class."
            )
        rois = held["rois"]
        if rois.dtype == np.float16 and rois.size and rois.max() > 2048:
            raise UserError(
                f"{source}: image numbers up to {rois.max():g} are kept in half precision, which is exact to 2048; classify the bin again."
            )
        bad = ~((rois >= 1) & (rois <= MOST_NUMBER) & (rois % 1 == 0))
        if bad.any():
            raise UserError(
                f"{source}: image number {rois[bad][0]} is not a whole number of 1 to {MOST_NUMBER}; {int(bad.sum())} such images."
            )
        return np.full(len(rois), told.pop(), dtype=object), rois.astype("int64")
    if "images" not in held:
        raise UserError(
            f"{source}: 'roi_numbers' is missing; the file has {sorted(NAMES[p][0] if p in NAMES else p for p in held)}."
        )
    found = [IMAGE_NAME.fullmatch(text) for text in held["images"]]
    strange = next((i for i, match in enumerate(found) if match is None or told and match.group(1) not in told), None)
    if strange is not None:
        wanted = f"an image of bin {next(iter(told))}" if told else "the name of an IFCB image"
        raise UserError(
            f"{source}: image {strange + 1}: {held['images'][strange]!r} is not {wanted}, as <bin>_<number with 5 digits>."
        )
    return np.array([m.group(1) for m in found], dtype=object), np.array(
        [int(m.group(2)) for m in found], dtype="int64"
    )


def _table(source, scores, classes, n):
    classes = list(classes)
    if scores.ndim == 2 and len(classes) == scores.shape[1] + 1 and classes[-1] == UNCLASSIFIED:
        classes = classes[:-1]  # the last entry of ifcb-analysis has no score
    if not n and not scores.size:
        classes = classes[:-1] if classes[-1:] == [UNCLASSIFIED] else classes
        return scores.reshape(0, len(classes)), classes
    if scores.shape != (n, len(classes)):
        turned = ", is it turned?" if scores.shape == (len(classes), n) else "."
        raise UserError(
            f"{source}: the scores have shape {scores.shape}, needed are {n} images by {len(classes)} classes{turned}"
        )
    twice = next((name for name in classes if classes.count(name) > 1 or not name), None)
    if twice is not None:
        raise UserError(
            f"{source}: class {twice!r} stands {classes.count(twice)} times, needed is one name per column."
        )
    return scores, classes
