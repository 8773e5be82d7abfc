"""Random streams by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqqua_dist.core import seeds
from aqqua_dist.core.errors import UserError

NAMES = st.lists(st.one_of(st.text(max_size=4), st.integers(0, 300)), min_size=1, max_size=3)


@given(st.integers(0, 2**31 - 1), NAMES, NAMES)
def test_streams_are_equal_where_seed_and_names_are_and_nowhere_else(seed, one, other):
    first = seeds.stream(seed, *one).integers(2**62, size=2).tolist()
    assert first == seeds.stream(seed, *one).integers(2**62, size=2).tolist()
    same = [(type(n), n) for n in one] == [(type(n), n) for n in other]
    assert (first == seeds.stream(seed, *other).integers(2**62, size=2).tolist()) == same
    assert first != seeds.stream(seed + 1, *one).integers(2**62, size=2).tolist()


@pytest.mark.parametrize(
    "pair", [(("a", "b"), ("ab",)), (("a", 1), ("a", "1")), (("a1", 2), ("a", 12)), ((1, 2), (12,))]
)
def test_names_are_not_glued_together(pair):
    assert seeds.whole_seed(1, *pair[0]) != seeds.whole_seed(1, *pair[1])


def test_a_stream_is_the_same_on_every_machine():
    """SHA-256 of 's6:cruisei1:3' as eight little-endian words behind the seed, by hashlib and numpy alone."""
    words = np.frombuffer(bytes.fromhex(DIGEST), dtype="<u4").tolist()
    expected = np.random.default_rng(np.random.SeedSequence([7, *words])).random(3)
    np.testing.assert_array_equal(seeds.stream(7, "cruise", 3).random(3), expected)


DIGEST = "ae368e3817d777469890c136a6e301b3d4a7b9768933adeb4589631c00702561"


@pytest.mark.parametrize(
    ("seed", "names"), [(1, ()), (-1, ("a",)), (1, (1.5,)), (1, (None,)), (1, (True,)), ("a", ("a",))]
)
def test_bad_names_and_seeds_are_shown(seed, names):
    with pytest.raises(UserError, match="random stream"):
        seeds.stream(seed, *names)


def test_legacy_seeds_do_not_depend_on_how_many():
    assert seeds.legacy_members(5, 9)[:4] == seeds.legacy_members(5, 4)
    assert seeds.legacy_centre(5) not in seeds.legacy_members(5, 9)
