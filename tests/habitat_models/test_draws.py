"""Draws with identity: the same cruises for every target of a study."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.habitat_models import draws

UNITS = [f"cruise {k:02d}" for k in range(20)]


def held_by(members, unit):
    """Cruises and copies of each member, from its row numbers; one row per cruise counts."""
    unit = np.asarray(unit, dtype=object)
    first = pd.Series(range(len(unit))).groupby(unit).first()
    return [{name: int((rows == row).sum()) for name, row in first.items()} for rows in members]


def test_every_target_holds_the_cruises_of_the_study_in_every_member():
    """A common taxon, a rare one, other row orders, and a zone with one cruise fewer: 50 of 50 members agree."""
    held = draws.copies(UNITS, 50, 1)
    table = held.pivot(index="member", columns="cruise", values="copies")
    common = np.repeat(UNITS, 3)
    rare = np.array(UNITS)[::-1]
    fewer = np.array([name for name in np.tile(UNITS, 2) if name != UNITS[4]])
    for unit in (common, rare, fewer):
        members, redrawn = draws.drawn_rows(unit, np.arange(len(unit)), held, 1)
        assert redrawn == [] and len(members) == 50
        for member, found in enumerate(held_by(members, unit)):
            assert found == table.loc[member, sorted(set(unit))].to_dict()
        assert [len(rows) for rows in members] == [sum(int(table.loc[m, name]) for name in unit) for m in range(50)]


def test_copies_are_those_of_a_draw_with_replacement():
    held = draws.copies(UNITS, 4000, 3)
    table = held.pivot(index="member", columns="cruise", values="copies")
    assert (table.sum(axis=1) == 20).all()
    assert table.to_numpy().mean() == 1
    # a cruise is Binomial(20, 1/20): variance 0.95, absent in 0.95**20 of the members; bounds are five standard errors
    assert table.var().mean() == pytest.approx(0.95, abs=0.03)
    assert (table == 0).to_numpy().mean() == pytest.approx(0.95**20, abs=0.01)


def test_no_draw_is_rejected_for_a_taxon_of_one_cruise():
    """It stands 1.00 times per member, not 1.54 times; 36 % of the members hold none of its animals."""
    held = draws.copies(UNITS, 4000, 3)
    members, redrawn = draws.drawn_rows(UNITS, np.arange(20), held, 3)
    copies = np.array([(rows == 7).sum() for rows in members])
    assert redrawn == []
    assert copies.mean() == pytest.approx(1.0, abs=5 * np.sqrt(0.95 / 4000))
    assert (copies == 0).mean() == pytest.approx(0.95**20, abs=5 * np.sqrt(0.36 * 0.64 / 4000))


def test_members_do_not_depend_on_their_number():
    pd.testing.assert_frame_equal(draws.copies(UNITS, 5, 1), draws.copies(UNITS, 9, 1).iloc[:100])
    pd.testing.assert_frame_equal(
        draws.plan(["conversion"], UNITS, 5, 1), draws.plan(["conversion"], UNITS, 9, 1).iloc[:5]
    )


def test_a_member_without_any_cruise_of_a_target_draws_among_its_own_and_says_so():
    """Three of 20 cruises: (17/20)**20 = 3.9 % of the members would know nothing of the target."""
    held = draws.copies(UNITS, 1000, 2)
    unit = np.repeat(UNITS[:3], 2)
    members, redrawn = draws.drawn_rows(unit, np.arange(6), held, 2)
    table = held.pivot(index="member", columns="cruise", values="copies")[UNITS[:3]]
    assert redrawn == np.flatnonzero(table.sum(axis=1) == 0).tolist()
    assert len(redrawn) == pytest.approx(1000 * 0.85**20, abs=5 * np.sqrt(39))
    assert all(len(members[k]) == 6 for k in redrawn)
    assert len({tuple(sorted(members[k])) for k in redrawn}) > 3


def test_only_training_rows_are_drawn_and_rows_without_cruise_stay():
    held = draws.copies(UNITS, 6, 1)
    unit = [*UNITS, None]
    train = np.array([0, 2, 4, 6, 20])
    for rows in draws.drawn_rows(unit, train, held, 1)[0]:
        assert set(rows) <= set(train) and (rows == 20).sum() == 1


def test_sources_have_their_own_seeds():
    table = draws.plan(["cruise", "conversion", "classifier"], UNITS, 40, 1)
    assert list(table) == ["member", "source", "seed"]
    assert len(table) == table["seed"].nunique() == 120
    alone = draws.plan(["conversion"], None, 40, 1)
    np.testing.assert_array_equal(alone["seed"], table.loc[table["source"] == "conversion", "seed"])


@pytest.mark.parametrize("source", ["counting", "volume"])
def test_an_error_of_single_units_is_refused_beside_drawn_cruises(source):
    with pytest.raises(UserError, match=f"'{source}' is independent between cruises, so that drawing 20 cruises"):
        draws.plan(["cruise", source], UNITS, 5, 1)
    assert len(draws.plan([source], None, 5, 1)) == 5


def test_counting_on_top_of_drawn_cruises_would_have_three_times_the_variance():
    """Why it is refused: totals of 400 Poisson counts of 40 cruises; the theory is sd sqrt(3) of the truth."""
    random, ratios = np.random.default_rng(0), []
    for _ in range(40):
        counts = random.poisson(4.0, 400)
        cruise = np.repeat(np.arange(40), 10)
        held = draws.copies(list(range(40)), 100, int(random.integers(1000)))
        members, _ = draws.drawn_rows(cruise, np.arange(400), held, 1)
        drawn = random.gamma(np.maximum(counts, 1e-9), size=(100, 400))
        plain = np.var([counts[rows].sum() for rows in members])
        twice = np.var([drawn[k][rows].sum() for k, rows in enumerate(members)])
        ratios.append((plain, twice))
    plain, twice = np.mean(ratios, axis=0)
    assert plain == pytest.approx(1600, rel=0.15)  # the true variance of the total is 400 x 4
    assert twice / plain == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draws.copies(["a", "b"], 5, 1), "2 cruises, at least 3"),
        (lambda: draws.copies(["a", "b", "b"], 5, 1), "3 cruises of which 2 are different"),
        (lambda: draws.drawn_rows(["a", "b"], np.arange(2), draws.copies(UNITS, 2, 1), 1), "2 cruises, at least 3"),
        (lambda: draws.drawn_rows(list("abc"), np.arange(3), draws.copies(UNITS, 2, 1), 1), "cruise 'a' is not among"),
        (lambda: draws.plan(["luck"], UNITS, 5, 1), "'luck'"),
        (lambda: draws.plan(["cruise"] * 2, UNITS, 5, 1), "repeated"),
        (lambda: draws.plan(["cruise"], UNITS, 0, 1), "0 members"),
    ],
)
def test_bad_draws_are_shown(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_units_are_cruises_or_else_blocks():
    table = pd.DataFrame({"cruise": ["b", "a", None, "b"], "block": [1, 2, 3, 3]})
    assert draws.study_units(table) == ["b", "a"]
    assert draws.study_units(table[["block"]]) == [1, 2, 3]
