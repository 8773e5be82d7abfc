"""Rows of embeddings: exact widening of every half-precision number, blocks in any order, what is not finite."""

import numpy as np
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.embeddings.rows import HALF_LIMIT, Rows, block_rows, check_embeddings, check_weights, widen


def test_every_half_precision_number_is_widened_exactly():
    every = np.arange(2**16, dtype="uint16").view("float16").reshape(256, 256)
    out = widen(every, np.empty(every.shape, "float32"))
    finite = np.isfinite(every)
    np.testing.assert_array_equal(out[finite].view("uint32"), every[finite].astype("float32").view("uint32"))
    assert (
        (np.abs(out[~finite]) >= HALF_LIMIT).all()
        and (np.abs(out[finite]) < HALF_LIMIT).all()
        and (~finite).sum() == 2048
    )


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("ordered", [False, True])
def test_blocks_give_the_rows(dtype, ordered):
    values = np.random.default_rng(0).standard_normal((50, 3)).astype(dtype)
    order = np.random.default_rng(1).permutation(50) if ordered else None
    rows = Rows(values, order, 10, 40)
    expected = (values[order] if ordered else values)[10:40]
    found = np.concatenate([rows.block(low, min(low + 7, 30)).copy() for low in range(0, 30, 7)])
    np.testing.assert_array_equal(found, expected.astype("float32"))
    np.testing.assert_array_equal(rows.raw(np.array([3, 29])), expected[[3, 29]])
    np.testing.assert_array_equal(
        rows.without(np.array([0, 5])).block(0, 28), np.delete(expected, [0, 5], axis=0).astype("float32")
    )
    assert rows.block(0, 5).base is values or ordered or dtype == "float16"  # single precision in order is not copied


def test_blocks_fit_the_cache():
    assert block_rows(384) == 256 and block_rows(1) == 1024 and block_rows(10**6) == 32


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("ordered", [False, True])
def test_rows_that_are_not_finite_are_found(dtype, ordered):
    values = np.ones((5000, 2), dtype)
    values[[7, 2048, 4999], 1] = np.nan, np.inf, -np.inf
    order = np.arange(5000)[::-1] if ordered else None
    found = Rows(values, order, 1, 5000).not_finite(suspect=np.ones(4999, dtype=bool))
    assert found.tolist() == ([4999 - 2048 - 1, 4999 - 7 - 1] if ordered else [6, 2047, 4998])


def test_inputs_are_checked_and_not_copied():
    values = np.ones((3, 2), "float16")
    assert check_embeddings(values) is values and check_embeddings(values.astype(">f2")).dtype == np.float16
    assert check_embeddings(values.astype(float), double=True).dtype == np.float64
    with pytest.raises(UserError, match="bin 1: the embeddings have 2 dimensions, needed are 3"):
        check_embeddings(values, "bin 1", dimension=3)
    with pytest.raises(UserError, match="float64 of shape .3, 2.; needed is float16 or float32"):
        check_embeddings(values.astype(float))
    assert check_weights(None, 2).tolist() == [1, 1] and check_weights([1, 2.5], 2).dtype == np.float32
    with pytest.raises(UserError, match="row 1: weight 0 is not a number above 0"):
        check_weights([1, 0], 2)
