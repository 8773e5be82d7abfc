"""MATLAB files against scipy, which writes them, and against damage, which scipy does not survive."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import loadmat, savemat

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ifcb.matlab import read_variables

TYPES = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
LETTERS = st.characters(codec="utf-8", exclude_characters="\x00")


def written(variables, *, packed=True):
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=packed)
    return stream.getvalue()


@settings(deadline=None, max_examples=80)
@given(values=st.sampled_from(TYPES).flatmap(lambda kind: hnp.arrays(kind, SHAPES)), packed=st.booleans())
def test_numbers_as_scipy_reads_them(values, packed):
    raw = written({"x": values, "other": {"a": 1}}, packed=packed)
    found, twin = read_variables(raw, {"x"}), loadmat(io.BytesIO(raw), variable_names=["x"])["x"]
    assert set(found) == {"x"}
    assert found["x"].dtype == twin.dtype
    assert found["x"].shape == twin.shape
    np.testing.assert_array_equal(found["x"], twin)


@settings(deadline=None, max_examples=60)
@given(texts=st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=5), packed=st.booleans())
def test_lists_of_texts(texts, packed):
    row = np.array(texts, dtype=object)
    raw = written({"row": row, "column": row.reshape(-1, 1), "one": texts[0]}, packed=packed)
    found = read_variables(raw, {"row", "column", "one"})
    assert [item[0] for item in found["row"]] == [item[0] for item in found["column"]] == texts
    assert found["one"].tolist() == texts[:1]


def test_letters_in_rows_and_empty_cells():
    cells = np.array([np.empty((0, 0)), "a", np.arange(3.0)], dtype=object)
    raw = written({"names": np.array(["diatom", "egg", "x"]), "none": np.empty((0, 0)), "cells": cells})
    found = read_variables(raw, {"names", "none", "cells"})
    assert found["names"].tolist() == ["diatom", "egg", "x"]
    assert found["none"].size == 0
    assert (found["cells"][0].size, found["cells"][1].tolist(), found["cells"][2].ravel().tolist()) == (
        0,
        ["a"],
        [0, 1, 2],
    )


def test_the_other_order_of_bytes_and_numbers_in_fewer_bytes():
    """A double that MATLAB stored as bytes, by hand: head, flags, shape, name, content."""
    for order, mark in (("<", b"IM"), (">", b"MI")):
        flags = struct.pack(f"{order}IIII", 6, 8, 6, 0)
        shape, name = struct.pack(f"{order}IIii", 5, 8, 1, 3), struct.pack(f"{order}I", 1 << 16 | 1) + b"x\0\0\0"
        body = flags + shape + name + struct.pack(f"{order}I", 3 << 16 | 2) + bytes([7, 8, 9, 0])
        raw = (
            b"MATLAB 5.0 MAT-file".ljust(124)
            + struct.pack(f"{order}H", 0x0100)
            + mark
            + struct.pack(f"{order}II", 14, len(body))
            + body
        )
        found = read_variables(raw, {"x"})["x"]
        assert (found.dtype, found.tolist()) == (np.float64, [[7, 8, 9]])
        assert loadmat(io.BytesIO(raw))["x"].tolist() == [[7, 8, 9]]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the 0 bytes are no MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(200), "version 7.3"),
        (b"\x89HDF\r\n", "version 7.3"),
        (written({"x": {"a": 1}}), "variable 'x' of class 2"),
        (written({"x": np.array([1j])}), "variable 'x' of class 6, shape .1, 1. and 2 parts"),
        (written({"x": 1.0})[:-3], "the file has"),
        (written({"x": 1.0}) + b"\0" * 5, "within the head of an element"),
        (written({"x": 1.0})[:150] + b"\xff" + written({"x": 1.0})[151:], "is damaged"),
    ],
)
def test_what_cannot_be_read_is_named(raw, message):
    with pytest.raises(UserError, match=message):
        read_variables(raw, {"x"})


@settings(deadline=None, max_examples=300)
@given(data=st.data(), packed=st.booleans())
def test_damage_gives_one_sentence(data, packed):
    wanted = {"x": np.arange(12.0).reshape(3, 4), "names": np.array(["diatom", "egg"], dtype=object), "word": "net"}
    raw = bytearray(written(wanted, packed=packed))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_variables(
            bytes(raw[: data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))]), set(wanted)
        )
    except UserError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert set(found) <= set(wanted)
    assert not packed or "x" not in found or np.array_equal(found["x"], wanted["x"])  # a checksum holds packed numbers
