"""Variables of MATLAB files of version 5 to 7: numbers, texts, and lists of them.

Every length is checked against what is there, and packed variables against
their checksum, so that a damaged file is refused; a library that trusts the
lengths may end the program. Layout: MAT-File Level 5 (MathWorks, MAT-File Format).
"""

import math
import struct
import zlib

import numpy as np

from aqqua_dist.core.errors import UserError

MATRIX, PACKED = 14, 15
HEAD = 128
CELLS, TEXT = 1, 4
NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""Class of a variable to its type."""
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Kind of an element to its type; numbers may be stored in a smaller one."""
ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MAX_BYTES = 400_000_000
"""Most bytes that a packed variable may have."""


def read_variables(raw, wanted):
    """Variables of a MATLAB file.

    Parameters
    ----------
    raw : bytes
        The file.
    wanted : collection of str
        Names of the variables to read; others may be of any kind.

    Returns
    -------
    dict of str to numpy.ndarray
        Numbers in the shape that MATLAB shows; texts as one text per row;
        lists (cell arrays) as an array of objects, in MATLAB's order, flat.

    Raises
    ------
    UserError
        The file is none, of version 7.3, or damaged, or a wanted variable is
        of another kind.
    """
    if raw[:10] == b"MATLAB 7.3" or raw[:4] == b"\x89HDF":
        raise UserError(
            f"the {len(raw)} bytes are a MATLAB file of version 7.3, allowed are versions 5 to 7; save it as version 7."
        )
    order = {b"IM": "<", b"MI": ">"}.get(raw[HEAD - 2 : HEAD])
    if order is None:
        raise UserError(f"the {len(raw)} bytes are no MATLAB file of version 5 to 7.")
    found, place = {}, HEAD
    while place < len(raw):
        kind, body, place = _element(raw, place, order, pad=1)
        if kind == PACKED:
            kind, body, _ = _element(_unpacked(body), 0, order)
        if kind != MATRIX:
            raise UserError(f"the element of kind {kind} before byte {place} of {len(raw)} is no variable.")
        name, parts = _head(body, order)
        if name in wanted:
            found[name] = _value(name, parts, order)
    return found


def _unpacked(body):
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(body, MAX_BYTES)
    except zlib.error as error:
        raise UserError(f"a packed variable of {len(body)} bytes is damaged ({error}).") from None
    if not stream.eof:
        raise UserError(f"a packed variable of {len(body)} bytes is cut off, or has more than {MAX_BYTES} bytes.")
    return data


def _element(data, place, order, pad=8):
    """Kind and content of the element at a place, and the place of the next one."""
    if place + 8 > len(data):
        raise UserError(f"the file ends within the head of an element, at byte {place} of {len(data)}.")
    kind, size = struct.unpack_from(f"{order}II", data, place)
    start, end = place + 8, place + 8 + -(-size // pad) * pad
    if kind >> 16:  # up to four bytes stand in the head
        kind, size, start, end = kind & 0xFFFF, kind >> 16, place + 4, place + 8
    if start + size > min(end, len(data)):
        raise UserError(f"the element at byte {place} has {size} bytes, the file has {len(data) - start} there.")
    return kind, data[start : start + size], end


def _head(body, order):
    """Name of a variable, and its elements."""
    parts, place = [], 0
    while place < len(body):
        kind, content, place = _element(body, place, order)
        parts.append((kind, content))
    kinds = [kind for kind, _ in parts]
    if kinds[:2] != [6, 5] or len(parts) < 3 or kinds[2] not in (1, 2) or len(parts[0][1]) != 8 or len(parts[1][1]) % 4:
        raise UserError(f"a variable of {len(body)} bytes has no head that says what it is.")
    return parts[2][1].decode("latin-1"), parts


def _value(name, parts, order):
    kind = parts[0][1][0 if order == "<" else 3]
    shape = np.frombuffer(parts[1][1], f"{order}i4").tolist()
    size = math.prod(shape)
    if kind == CELLS and len(parts) == size + 3 and [part for part, _ in parts[3:]] == [MATRIX] * size:
        values = np.empty(size, dtype=object)
        for i, (_, body) in enumerate(parts[3:]):
            values[i] = _value(name, _head(body, order)[1], order) if body else np.empty(0)
        return values
    if len(parts) == 4 and min(shape, default=-1) >= 0:
        stored, content = parts[3]
        if kind == TEXT and stored in ENCODINGS:
            return _texts(name, content, ENCODINGS[stored], shape, order)
        if kind in NUMBERS and stored in STORED and len(content) == size * np.dtype(STORED[stored]).itemsize:
            return np.frombuffer(content, order + STORED[stored]).astype(NUMBERS[kind]).reshape(shape, order="F")
    raise UserError(
        f"variable {name!r} of class {kind}, shape {shape} and {len(parts) - 3} parts is damaged, or no number, text or list of those."
    )


def _texts(name, content, encoding, shape, order):
    ends = {"<": "-le", ">": "-be"}[order] if encoding in ("utf-16", "utf-32") else ""
    try:
        text = content.decode(encoding + ends)
    except UnicodeDecodeError as error:
        raise UserError(
            f"variable {name!r}: {len(content)} bytes are no text in {encoding} ({error.reason})."
        ) from None
    if shape[:1] == [1] or not text:
        return np.array([text], dtype=object)
    if len(text) != math.prod(shape) or len(shape) != 2:
        raise UserError(f"variable {name!r}: {len(text)} letters do not fill the shape {shape}.")
    return np.array(["".join(row).rstrip() for row in np.array(list(text)).reshape(shape, order="F")], dtype=object)
