"""Sums of objects by slot: whole numbers, any order, any pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import tallies

OBJECTS = st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1e3), st.booleans()), max_size=60)


def arrays(objects):
    slots = np.array([slot for slot, _, _ in objects], dtype=np.int64)
    volume, unknown = tallies.whole_volume([np.nan if lost else value for _, value, lost in objects])
    return slots, volume, unknown


def brute(objects):
    """The same with dictionaries and Python's own whole numbers."""
    found = {}
    for slot, value, lost in objects:
        entry = found.setdefault(slot, [0, 0, 0])
        entry[0] += 1
        entry[1] += 0 if lost else round(value * 2**40)
        entry[2] += lost
    return {slot: tuple(entry) for slot, entry in sorted(found.items())}


def as_dict(tally):
    return {
        int(c): (int(n), int(v), int(u))
        for c, n, v, u in zip(tally.slots, tally.n, tally.volume, tally.unknown, strict=True)
    }


@settings(max_examples=150, deadline=None)
@given(
    objects=OBJECTS,
    spread=st.sampled_from([1, 10**6]),
    memory=st.sampled_from([2**16, 2**30]),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    data=st.data(),
)
def test_pieces_in_any_order_are_the_whole(objects, spread, memory, cuts, data):
    """Tables of all slots and sorted pieces, merged at random, against dictionaries."""
    objects = [(slot * spread, value, lost) for slot, value, lost in objects]
    edges = [0, *sorted(min(cut, len(objects)) for cut in cuts), len(objects)]
    pieces = data.draw(st.permutations([objects[a:b] for a, b in zip(edges, edges[1:], strict=False)]))
    whole = tallies.merge([tallies.tally_slots(*arrays(piece)) for piece in pieces])
    assert as_dict(whole) == brute(objects)
    held = tallies.Accumulator(31 * spread, memory)
    for number, piece in enumerate(pieces):
        if number % 2:
            held.add_tally(tallies.tally_slots(*arrays(piece)))
        else:
            held.add(*arrays(piece))
    assert as_dict(held.result()) == brute(objects)


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-3, 1e7))
def test_a_size_lies_in_its_class(esd):
    edges = tallies.class_edges()
    place = int(tallies.size_class([esd])[0])
    assert place == 0 or edges[place] <= esd
    assert place == tallies.CLASSES - 1 or esd < edges[place + 1]


def test_edges_are_those_of_ecopart():
    """EcoPart's limits in mm (formats of its detailed export), rounded to three digits."""
    limits = [
        0.001,
        0.00126,
        0.00159,
        0.002,
        0.0508,
        0.064,
        0.0806,
        0.102,
        0.128,
        0.161,
        0.203,
        0.256,
        0.323,
        0.406,
        0.512,
        0.645,
        0.813,
        1.02,
        1.29,
        2.05,
        5.16,
        6.5,
        8.19,
        10.3,
        13,
        16.4,
        20.6,
        26,
    ]
    edges = tallies.class_edges() / 1e3
    for limit in limits:
        assert np.abs(edges / limit - 1).min() < 0.005, limit
    assert tallies.size_class([101.6, 128.0, 127.99, np.nan, 0.5]).tolist() == [20, 21, 20, tallies.CLASSES, 0]
    for place in range(tallies.CLASSES):
        assert tallies.size_class(tallies.class_edges()[place]) == place


def test_volumes_that_cannot_be():
    for bad in (-1.0, 1e7, np.inf):
        with pytest.raises(UserError, match="row 2: biovolume .* is outside"):
            tallies.whole_volume([1.0, bad])
    units, unknown = tallies.whole_volume([0.0, 1.0, np.nan])
    assert units.tolist() == [0, 2**40, 0]
    assert unknown.tolist() == [False, False, True]


def test_more_cells_than_the_memory_are_refused():
    held = tallies.Accumulator(10**12, 2**16)
    slots = np.arange(2000, dtype=np.int64) * 10**8
    with pytest.raises(UserError, match="2000 slots are filled, which needs"):
        held.add(slots, np.ones(2000, np.int64), np.zeros(2000, bool))


def test_counts_beyond_four_billion(monkeypatch):
    held = tallies.Accumulator(4, 2**20)
    one = tallies.Tally(np.array([2]), np.array([2**31]), np.array([5]), np.array([0]))
    for _ in range(3):
        held.add_tally(one)
    assert held.result().n.tolist() == [3 * 2**31]


@pytest.mark.parametrize("classes", [1, 2, tallies.CLASSES + 1])
@pytest.mark.parametrize("individuals", [(1,), (40, 8, 2, 1)])
def test_places_of_sizes_and_individuals_come_back(classes, individuals):
    axes = tallies.Axes(("s",), ("a",), classes * len(individuals), individuals=individuals)
    esd = np.array([100.0, 100.0, np.nan, 100.0, 7.0])
    many = np.array([1, 8, 2, np.nan, 40])
    place = tallies.places_of(axes, esd, np.isnan(esd), many)
    low, high, number = tallies.classes_of(axes, place)
    assert number.tolist() == ([1, 8, 2, 1, 40] if len(individuals) > 1 else [1] * 5)
    if classes > 2:
        known = ~np.isnan(esd)
        assert ((low <= esd) & (esd < high))[known].all() and np.isnan(low[2])
    else:
        assert np.isnan([low, high]).all()
        assert len(set(place[[0, 3]])) == 1 and (place[2] != place[0]) == (classes == 2 or len(individuals) > 1)
    assert ((place >= 0) & (place < axes.sizes)).all()


def test_large_numbers_of_individuals_are_rounded():
    exact = np.arange(1, 33)
    assert tallies.level_of(exact).tolist() == exact.tolist()
    large = np.arange(33, 5000)
    assert (np.abs(tallies.level_of(large) / large - 1) < 0.1).all()
    assert len(set(tallies.level_of(large))) < 40
    assert tallies.level_of([np.nan, 0, 1]).tolist() == [1, 1, 1]
