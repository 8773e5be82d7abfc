"""Products of the members of several targets in one pass: against brute force on hand-made members."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.maps import prediction
from aqqua_dist.maps.products import Product, identity, sum_of_targets, sum_over_zones
from aqqua_dist.recipe.context import Target

MONTHS, CELLS = 3, 40


class Made:
    """Stands for an ensemble: member k predicts (k + 1) times the first feature plus the second."""

    def __init__(self, members=5, draws=None, full=True):
        self.members = [SimpleNamespace(draw=k) for k in (range(members) if draws is None else draws)]
        self.n_members, self.full = len(self.members), full
        self.largest = 0

    def predict(self, X, *, jobs=1):
        self.largest = max(self.largest, self.n_members * len(X))
        return (np.arange(1, self.n_members + 1, dtype="float32")[:, None] * X[:, 0] + X[:, 1]).astype("float32")

    def centres(self, X):
        return np.float32(2.5) * X[None, :, 0] if self.full else np.empty((0, len(X)), dtype="float32")


def domain(seed, cells, months=MONTHS):
    random = np.random.default_rng(seed)
    features = random.uniform(0, 1, (months, len(cells), 2)).astype("float32")
    area = 1.0 + np.asarray(cells, dtype=float)
    return prediction.Domain(features, np.asarray(cells), area * random.uniform(50, 300, len(cells)), area, None)


@pytest.fixture
def study():
    """Two taxa in an upper zone of all cells and a deeper one of some; the flat index has gaps (land)."""
    upper = np.flatnonzero(np.arange(CELLS) % 5)
    zones = {"0-200": domain(1, upper), "200-500": domain(2, upper[upper % 3 > 0])}
    one, two = Made(), Made()
    two.predict = lambda X, jobs=1: Made.predict(two, X[:, ::-1])
    return {
        Target(taxon, zone): (made, where) for taxon, made in (("a", one), ("b", two)) for zone, where in zones.items()
    }


def whole(made, where):
    """Members and full fit, shape (n_members + 1, n_months, CELLS): 0 where there is no cell."""
    found = np.zeros((made.n_members + 1, MONTHS, CELLS))
    for month, rows in enumerate(where.features):
        found[:, month, where.cells] = np.vstack([made.predict(rows), made.centres(rows)])
    return found


def on_cells(values, cells):
    full = np.zeros(CELLS)
    full[cells] = values
    return full


@pytest.mark.parametrize("block", [1, 700, 4_000_000])
def test_a_sum_over_taxa_and_zones_is_that_of_the_amounts_member_by_member(monkeypatch, study, block):
    monkeypatch.setattr(prediction, "BLOCK_VALUES", block)
    wheres = {target.zone: where for target, (_, where) in study.items()}
    cells = np.unique(np.concatenate([where.cells for where in wheres.values()]))
    volume = sum(on_cells(where.volume, where.cells) for where in wheres.values())[cells]
    half = cells < CELLS / 2

    def weights(start, stop):
        return np.tile(np.column_stack([volume, volume * half])[start:stop], (MONTHS, 1))

    layers = {f"thickness {z}": on_cells(w.volume / w.area, w.cells)[cells] for z, w in wheres.items()}
    products = {"sum": Product(sum_over_zones, tuple(study), cells, weights, layers)}
    fields, totals = prediction.predict(study, products, jobs=1, progress=False)["sum"]
    amounts = sum(whole(*one) * on_cells(one[1].volume, one[1].cells) for one in study.values())[:, :, cells]
    expected = np.stack([amounts.mean(axis=1).sum(axis=1), amounts.mean(axis=1)[:, half].sum(axis=1)], axis=1)
    np.testing.assert_allclose(totals, expected, rtol=1e-6)
    values = amounts / volume
    np.testing.assert_allclose(fields["mean"], values[:-1].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(fields["estimate"], values[-1], rtol=1e-5)
    np.testing.assert_allclose(fields["sd_annual"], values[:-1].mean(axis=1).std(axis=0, ddof=1), rtol=1e-4)
    np.testing.assert_allclose(fields["q975"], np.quantile(values[:-1], 0.975, axis=0), rtol=1e-5)


def test_targets_and_their_sum_come_from_one_prediction(study):
    zone = [target for target in study if target.zone == "0-200"]
    cells, volume = study[zone[0]][1].cells, study[zone[0]][1].volume
    given = {target: study[target] for target in zone}

    def weights(start, stop):
        return np.tile(volume[start:stop, None], (MONTHS, 1))

    products = {target: Product(identity, (target,), cells, weights) for target in zone}
    products["sum"] = Product(sum_of_targets, tuple(zone), cells, weights)
    found = prediction.predict(given, products, progress=False)
    first, second, total = (found[name][1] for name in (*zone, "sum"))
    np.testing.assert_allclose(total, first + second, rtol=1e-6)
    alone = prediction.predict({zone[0]: study[zone[0]]}, {zone[0]: products[zone[0]]}, progress=False)[zone[0]]
    np.testing.assert_allclose(first, alone[1], rtol=1e-12)
    for name, values in alone[0].items():
        np.testing.assert_array_equal(found[zone[0]][0][name], values)
    # the second member-wise falls where the first rises: the spread of the sum is not that of independent parts
    spread = total[:-1, 0].std(ddof=1)
    assert spread == pytest.approx(first[:-1, 0].std(ddof=1) + second[:-1, 0].std(ddof=1), rel=1e-6)


def test_a_product_takes_layers_and_one_parameter_per_member(study):
    target = next(iter(study))
    made, where = study[target]

    def decay(fields, layers, parameters):
        return fields[target] * layers["light"] ** parameters["b"]

    light, drawn = np.linspace(0.1, 0.9, where.cells.size), np.array([1.0, 2.0, 0.5, 1.5, 3.0, 1.25])
    product = Product(
        decay, (target,), where.cells, lambda a, b: np.ones((MONTHS * (b - a), 1)), {"light": light}, {"b": drawn}
    )
    fields, totals = prediction.predict({target: study[target]}, {"decay": product}, progress=False)["decay"]
    values = whole(made, where)[:, :, where.cells] * light ** drawn[:, None, None]
    np.testing.assert_allclose(totals[:, 0], values.mean(axis=1).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(fields["estimate"], values[-1], rtol=1e-5)


@pytest.mark.parametrize("draws", [[0, 1, 2, 4, 3], [0, 1, 2, 3]])
def test_members_that_are_not_the_same_draws_are_not_added(study, draws):
    one, two = list(study)[:2]
    given = {one: study[one], two: (Made(draws=draws), study[two][1])}
    with pytest.raises(UserError, match="not the same draws"):
        prediction.predict(given, {one: Product(identity, (one,), study[one][1].cells, None)}, progress=False)


def test_a_target_that_loses_cells_in_a_product_is_refused(study):
    one = next(iter(study))
    product = Product(identity, (one,), study[one][1].cells[1:], None)
    with pytest.raises(UserError, match="1 cells of .* are not among"):
        prediction.predict({one: study[one]}, {"short": product}, progress=False)


def test_memory_does_not_grow_with_members_or_targets():
    """Beyond the features and what is kept: 2 targets of 50 members against 8 of 200, one sum kept of each."""
    cells = np.arange(100_000)
    where = prediction.Domain(
        np.zeros((1, cells.size, 2), "float32"), cells, np.ones(cells.size), np.ones(cells.size), None
    )
    peaks = {}
    for members, count in ((50, 2), (200, 8)):
        given = {Target(f"t{k}", "z"): (Made(members), where) for k in range(count)}
        product = Product(sum_of_targets, tuple(given), cells, lambda a, b: np.ones((b - a, 1)))
        tracemalloc.start()
        prediction.predict(given, {"sum": product}, progress=False)
        peaks[members] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(made.largest for made, _ in given.values()) <= prediction.BLOCK_VALUES
    assert peaks[200] < 1.3 * peaks[50]
