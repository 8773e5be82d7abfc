"""Targets and their sum mapped in one pass, against the loop over one target after the other that it replaces.

Made-up Poisson rows x 8 predictors, 100 bootstrap members each, months x cells of a 1 degree ocean. The peer is the pass
over the members of one target as it was before products existed, and for the sum the sum of its members' totals.
"""

import argparse
import json
import time
import tracemalloc
from pathlib import Path
from statistics import median

import numpy as np

from aqqua_dist.habitat_models.boosting import Settings
from aqqua_dist.habitat_models.members import MemberPlan, fit_members
from aqqua_dist.maps import prediction
from aqqua_dist.maps.products import Product, identity, sum_of_targets


def fitted(members, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2000, 8)).astype("float32")
    y = rng.poisson(np.exp(1 + X[:, 0] - 0.3 * X[:, 1] ** 2)).astype(float)
    settings = Settings(
        rounds=150, max_depth=4, learning_rate=0.05, min_child_weight=5.0, subsample=0.5, label_scale=1.0
    )
    plan = MemberPlan(list(rng.integers(0, 2000, (members, 2000))), settings, seed=1, centre=True)
    return fit_members(X, y, plan, jobs=2, progress=False)


def old_pass(ensemble, where, weights, jobs):
    """The pass before products: one target."""
    n_months, n_cells, n_names = where.features.shape
    members, fields, totals = ensemble.n_members, {}, 0.0
    size = max(1, prediction.BLOCK_VALUES // (members * n_months))
    for start in range(0, n_cells, size):
        stop = min(start + size, n_cells)
        block = np.ascontiguousarray(where.features[:, start:stop]).reshape(-1, n_names)
        values = ensemble.predict(block, jobs=jobs)
        centre = ensemble.centres(block).mean(axis=0)
        stacked = np.vstack([values, centre[None]])
        totals = totals + stacked.astype("float64") @ weights(start, stop) / n_months
        shape = (members, n_months, stop - start)
        prediction._store(fields, "", prediction._moments(values, centre), (n_months, n_cells), start, stop)
        if n_months > 1:
            yearly = values.reshape(shape).mean(axis=1, dtype="float64")
            found = prediction._moments(yearly, centre.reshape(shape[1:]).mean(axis=0))
            prediction._store(fields, "_annual", found, (n_cells,), start, stop)
    return fields, totals


def timed(function):
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def peak_of(function):
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return peak


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=3)
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    features = np.random.default_rng(9).normal(size=(given.months, given.cells, 8)).astype("float32")
    volume = np.random.default_rng(8).uniform(1, 2, given.cells)
    where = prediction.Domain(features, np.arange(given.cells), volume, volume, None)

    def weights(start, stop):
        return np.tile(volume[start:stop, None], (given.months, 1))

    targets = {k: (fitted(given.members, k), where) for k in range(given.targets)}
    kept = {k: Product(identity, (k,), where.cells, weights) for k in targets}
    summed = kept | {"sum": Product(sum_of_targets, tuple(targets), where.cells, weights)}

    def one_target():
        return prediction.predict({0: targets[0]}, {0: kept[0]}, jobs=given.jobs, progress=False)[0]

    def one_target_old():
        return old_pass(targets[0][0], where, weights, given.jobs)

    def one_pass():
        return prediction.predict(targets, summed, jobs=given.jobs, progress=False)

    def one_after_the_other():
        found = {k: old_pass(ensemble, where, weights, given.jobs) for k, (ensemble, _) in targets.items()}
        return found | {"sum": (None, sum(totals for _, totals in found.values()))}

    new, old = one_target(), one_target_old()
    assert all(np.array_equal(new[0][name], old[0][name]) for name in old[0]) and np.array_equal(new[1], old[1])
    new, old = one_pass(), one_after_the_other()
    for name in new:
        np.testing.assert_allclose(new[name][1], old[name][1], rtol=1e-6)
    pairs = {
        "one target": (one_target, one_target_old),
        f"{given.targets} targets, sum": (one_pass, one_after_the_other),
    }
    report = {"size": vars(given) | {"out": None}, "seconds": {}, "median": {}, "peak_mib": {}}
    print("one target: all fields and totals equal to the bit; sums of members' totals equal to 1e-6")
    print("| case | path | wall s | CPU s | peak MiB |\n|---|---|---|---|---|")
    for case, pair in pairs.items():
        seen = [[], []]
        for turn in range(given.rounds):
            for place in (0, 1) if turn % 2 == 0 else (1, 0):
                seen[place].append(timed(pair[place])[:2])
        for name, times, function in zip(("products", "loop"), seen, pair, strict=True):
            middle, peak = [median(column) for column in zip(*times, strict=True)], peak_of(function)
            report["seconds"][f"{case}, {name}"], report["median"][f"{case}, {name}"] = times, middle
            report["peak_mib"][f"{case}, {name}"] = peak
            print(f"| {case} | {name} | {middle[0]:.2f} | {middle[1]:.2f} | {peak:.0f} |", flush=True)
    if given.out:
        given.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
