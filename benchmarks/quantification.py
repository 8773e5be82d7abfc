"""Counts as the mix of classes shifts: bias, error and coverage of each way to count, agreement with QuaPy.

Real out-of-fold probabilities of 1250 labelled UVP6 images (10 classes) are cut into a validation half and a test half; test
samples are drawn from the second half in mixes that move from that of the validation half (shift 0) to a random one (shift 1).
"""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context, rcParamsDefault
from matplotlib.figure import Figure

from aqqua_dist import quantify
from aqqua_dist.errors import MethodWarning

DATA = Path(os.environ.get("AQQUA_DIST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
METHODS = ("labels (CC)", "probabilities (PCC)", "adjusted labels (ACC)", "adjusted probabilities (PACC)", "expectation-maximisation")
COLOURS = ("#4d4d4d", "#999999", "#0072b2", "#d55e00", "#009e73")


def read():
    path = DATA / "predictions" / "uvp6_features_cv_probabilities.csv.gz"
    if not path.is_file():
        sys.exit(f"no data at {path}: set AQQUA_DIST_DATA to the folder that holds predictions/")
    table = pd.read_csv(path)
    columns = [name for name in table if name.startswith("p_")]
    prob = table[columns].to_numpy()
    return tuple(name.removeprefix("p_") for name in columns), prob / prob.sum(axis=1, keepdims=True), table["taxon"].to_numpy()


def estimates(prob, labels, classes, learned):
    """Counts of one sample by every method."""
    counts, sums = quantify.counted(labels, classes), quantify.probabilistic(prob, classes)
    return {
        METHODS[0]: counts.astype(float), METHODS[1]: sums, METHODS[2]: quantify.adjusted(counts, learned["labels"].rates),
        METHODS[3]: quantify.adjusted(sums, learned["probabilities"].rates), METHODS[4]: quantify.em(prob, classes, learned["prior"])}


def with_quapy(prob, labels, classes, learned):
    from quapy.method.aggregative import ACC, EMQ

    counts, sums = quantify.counted(labels, classes) / len(labels), quantify.probabilistic(prob, classes) / len(labels)
    solve = {"method": "inversion", "solver": "minimize"}
    return {
        METHODS[2]: ACC.solve_adjustment(learned["labels"].rates.T, counts, **solve), METHODS[3]: ACC.solve_adjustment(learned["probabilities"].rates.T, sums, **solve),
        METHODS[4]: EMQ.EM(learned["prior"], prob, epsilon=1e-6)[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200, help="per shift")
    parser.add_argument("--images", type=int, default=400, help="per sample")
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--out", type=Path, help="JSON report; the figure lies beside it")
    given = parser.parse_args()
    classes, prob, true = read()
    top, place = np.array(classes, dtype=object)[prob.argmax(axis=1)], np.array([classes.index(name) for name in true])
    rng = np.random.default_rng(11)
    rows, apart = [], {name: 0.0 for name in METHODS[2:]}
    for shift in SHIFTS:
        for sample in range(given.samples):
            order = rng.permutation(len(true))
            val, test = order[: len(order) // 2], order[len(order) // 2 :]
            learned = {"labels": quantify.confusion(true[val], top[val], classes), "probabilities": quantify.confusion(true[val], prob[val], classes),
                       "prior": np.bincount(place[val], minlength=len(classes)) / len(val)}
            mix = (1 - shift) * learned["prior"] + shift * rng.dirichlet(np.full(len(classes), 0.5))
            weight = (mix / np.bincount(place[test], minlength=len(classes)))[place[test]]
            pick = rng.choice(test, given.images, p=weight / weight.sum())
            expected = given.images * mix
            got = estimates(prob[pick], top[pick], classes, learned)
            draws = quantify.draw_adjusted(quantify.counted(top[pick], classes), learned["labels"], rng, given.members)
            low, high = np.quantile(draws, [0.025, 0.975], axis=0)
            plain = rng.gamma(got[METHODS[0]] + 0.5, 1.0, (given.members, len(classes)))
            bounds = {METHODS[0]: np.quantile(plain, [0.025, 0.975], axis=0), METHODS[2]: (low, high)}
            for name, value in got.items():
                inside = ((bounds[name][0] <= expected) & (expected <= bounds[name][1])).mean() if name in bounds else np.nan
                largest = int(np.argmax(mix))
                rows.append((shift, name, (value[largest] - expected[largest]) / expected[largest], np.sqrt(((value - expected) ** 2).mean()), inside))
            if sample < 20:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for name, share in with_quapy(prob[pick], top[pick], classes, learned).items():
                        apart[name] = max(apart[name], float(np.abs(share - got[name] / given.images).max()))
    table = pd.DataFrame(rows, columns=["shift", "method", "bias", "rmse", "coverage"]).groupby(["shift", "method"], sort=False).mean().reset_index()
    print(f"{given.samples} samples of {given.images} images per shift, {len(classes)} classes; bias of the commonest class, error over all classes\n")
    print("| shift | method | bias (%) | RMSE (images) | coverage of 95 % intervals (%) |\n|--:|---|--:|--:|--:|")
    for row in table.itertuples():
        shown = "" if np.isnan(row.coverage) else f"{100 * row.coverage:.0f}"
        print(f"| {row.shift:g} | {row.method} | {100 * row.bias:+.1f} | {row.rmse:.1f} | {shown} |")
    print("\nlargest difference from QuaPy in the share of a class: " + ", ".join(f"{name} {value:.1e}" for name, value in apart.items()))
    if given.out:
        given.out.write_text(json.dumps({"table": table.replace({np.nan: None}).to_dict("records"), "quapy": apart}, indent=1))
        with rc_context(rcParamsDefault | {"font.size": 9}):  # quapy changes the sizes of all texts
            draw(table).savefig(given.out.with_suffix(".png"), dpi=150)


def draw(table):
    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    panels = (("bias", 100, "Bias of the commonest class (%)"), ("rmse", 1, "RMSE over all classes (images)"), ("coverage", 100, "Coverage of 95 % intervals (%)"))
    for axis, (column, scale, label) in zip(axes, panels, strict=True):
        for method, colour, mark in zip(METHODS, COLOURS, "osD^v", strict=True):
            rows = table[(table["method"] == method) & table[column].notna()]
            if len(rows):
                axis.plot(rows["shift"], scale * rows[column], color=colour, marker=mark, ms=4, lw=1.5, label=method)
        axis.set_xlabel("Shift of the mix of classes")
        axis.set_ylabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].axhline(0, color="black", lw=0.6)
    axes[2].axhline(95, color="black", lw=0.6, ls="--")
    axes[2].set_ylim(0, 100)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    warnings.simplefilter("ignore", MethodWarning)
    main()
