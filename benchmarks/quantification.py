"""Counts as the mix of classes shifts: bias, error and coverage of each way to count, agreement with QuaPy.

Real out-of-fold probabilities of 1250 labelled rows (10 classes; 100 UVP6 images stand there twice, with two labels) are cut by
image into a validation half and a test half. Samples of a Poisson number of images are drawn from the test half in mixes that move
from that of the validation half (shift 0) to a random one (shift 1, uniform on the simplex: the artificial prevalence protocol).
Members draw the counts and the confusion; those of EM draw the counts only, as its calibration has no posterior here.
"""

import argparse
import json
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context, rcParamsDefault
from matplotlib.figure import Figure
from quapy import functional
from quapy.method.aggregative import ACC, EMQ, PACC
from sklearn.linear_model import LogisticRegression

from aqqua_dist.core.errors import MethodWarning
from aqqua_dist.counts import correction, counting_error
from aqqua_dist.counts.confusion import check_probabilities, confusion

DATA = Path(os.environ.get("AQQUA_DIST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
METHODS = {
    "CC": "labels (CC)",
    "PCC": "probabilities (PCC)",
    "ACC": "adjusted labels (ACC)",
    "PACC": "adjusted probabilities (PACC)",
    "EM": "EM, raw scores",
    "EM calibrated": "EM, calibrated scores",
}
STYLES = {
    "CC": ("#000000", "o"),
    "PCC": ("#999999", "s"),
    "ACC": ("#0072b2", "D"),
    "PACC": ("#56b4e9", "^"),
    "EM": ("#e69f00", "v"),
    "EM calibrated": ("#d55e00", "P"),
}


def read():
    """Classes, probabilities, true classes by number, and which image each row is."""
    path = DATA / "predictions" / "uvp6_features_cv_probabilities.csv.gz"
    if not path.is_file():
        sys.exit(f"no data at {path}: set AQQUA_DIST_DATA to the folder that holds predictions/")
    table = pd.read_csv(path)
    columns = [name for name in table if name.startswith("p_")]
    classes = tuple(name.removeprefix("p_") for name in columns)
    prob, _ = check_probabilities(table[columns], classes, columns=[name.removeprefix("p_") for name in columns])
    return (
        classes,
        prob,
        table["taxon"].map({name: place for place, name in enumerate(classes)}).to_numpy(),
        pd.factorize(table["objid"])[0],
    )


def learn(prob, true, classes):
    """What the validation half tells: confusions, the mix, and a calibration (logistic regression on log-probabilities)."""
    names = np.array(classes, dtype=object)
    calibration = LogisticRegression(C=1.0, max_iter=300).fit(np.log(prob + 1e-6), true)
    return {
        "ACC": confusion(names[true], names[prob.argmax(axis=1)], classes),
        "PACC": confusion(names[true], prob, classes),
        "prior": np.bincount(true, minlength=len(classes)) / len(true),
        "calibration": calibration,
    }


def estimates(prob, classes, learned):
    """Counts of one sample by every method, and their sums."""
    sums = correction.summed(prob, classes, np.zeros(len(prob), dtype=int), 1)
    found = {
        "CC": correction.estimate(sums, "top1"),
        "PCC": correction.estimate(sums, "probabilistic"),
        "ACC": correction.estimate(sums, "acc", learned["ACC"]),
        "PACC": correction.estimate(sums, "pacc", learned["PACC"]),
    }
    scores = {"EM": prob, "EM calibrated": learned["calibration"].predict_proba(np.log(prob + 1e-6))}
    em = {name: correction.em(each, classes, learned["prior"])[0] for name, each in scores.items()}
    return {name: counts[0] for name, (counts, _) in found.items()} | em, sums, scores


def bounds(sums, scores, classes, learned, rng, members):
    """95 % intervals of every method from its members."""
    draws = {
        "CC": counting_error.draw_counts(sums.top[0], rng, members),
        "PCC": counting_error.draw_counts(sums.prob[0], rng, members),
    }
    for name, table in (("ACC", sums.top), ("PACC", sums.prob)):
        rates = counting_error.draw_shares(learned[name].counts, rng, members)
        draws[name] = correction.adjusted(counting_error.draw_counts(table, rng, members), rates)[:, 0]
    for name, prob in scores.items():
        weight = rng.standard_gamma(1.0, (members, len(prob)))
        draws[name] = correction.em(prob, classes, learned["prior"], weight, tolerance=1e-4)[0] + rng.standard_gamma(
            0.5, (members, len(classes))
        )
    return {name: np.quantile(each, [0.025, 0.975], axis=0) for name, each in draws.items()}


def with_quapy(prob, classes, validation, learned):
    """Shares by QuaPy from the same rows, from its own confusions."""
    (val_prob, val_true), places = validation, list(range(len(classes)))
    labels, sums = (
        functional.prevalence_from_labels(prob.argmax(axis=1), classes=places),
        functional.prevalence_from_probabilities(prob),
    )
    solve = {"method": "inversion", "solver": "minimize"}
    return {
        "CC": labels,
        "PCC": sums,
        "ACC": ACC.solve_adjustment(ACC.getPteCondEstim(places, val_true, val_prob.argmax(axis=1)), labels, **solve),
        "PACC": ACC.solve_adjustment(PACC.getPteCondEstim(places, val_true, val_prob), sums, **solve),
        "EM": EMQ.EM(learned["prior"], prob, epsilon=1e-7)[0],
    }


def excess(share, seen, rates):
    """How far a mix is from what was seen, through the confusion."""
    return float(np.linalg.norm(rates.T @ share - seen))


def run(given):
    classes, prob, true, image = read()
    rng, rows = np.random.default_rng(11), []
    apart, nearer = dict.fromkeys(("CC", "PCC", "ACC", "PACC", "EM"), 0.0), {"ACC": -np.inf, "PACC": -np.inf}
    for shift in SHIFTS:
        for sample in range(given.samples):
            half = rng.permutation(image.max() + 1) < (image.max() + 1) // 2
            val, test = np.flatnonzero(half[image]), np.flatnonzero(~half[image])
            learned = learn(prob[val], true[val], classes)
            mix = (1 - shift) * learned["prior"] + shift * rng.dirichlet(np.ones(len(classes)))
            weight = (mix / np.bincount(true[test], minlength=len(classes)))[true[test]]
            pick = rng.choice(test, rng.poisson(given.images), p=weight / weight.sum())
            expected = given.images * mix
            got, sums, scores = estimates(prob[pick], classes, learned)
            limits = bounds(sums, scores, classes, learned, rng, given.members)
            for name, value in got.items():
                low, high = limits[name]
                most = int(np.argmax(mix))
                rows.append(
                    (
                        shift,
                        name,
                        value[most] / expected[most] - 1,
                        np.sqrt(((value - expected) ** 2).mean()),
                        ((low <= expected) & (expected <= high)).mean(),
                        (high - low).mean(),
                    )
                )
            if sample < 10:
                for name, share in with_quapy(prob[pick], classes, (prob[val], true[val]), learned).items():
                    apart[name] = max(apart[name], float(np.abs(share - got[name] / len(pick)).max()))
                    if name in nearer:
                        seen = (sums.top if name == "ACC" else sums.prob)[0] / len(pick)
                        gain = excess(got[name] / len(pick), seen, learned[name].shares) - excess(
                            share, seen, learned[name].shares
                        )
                        nearer[name] = max(nearer[name], gain)
    columns = ["shift", "method", "bias", "rmse", "coverage", "width"]
    return (
        pd.DataFrame(rows, columns=columns).groupby(["shift", "method"], sort=False).mean().reset_index(),
        apart,
        nearer,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200, help="per shift")
    parser.add_argument("--images", type=int, default=400, help="per sample, in the mean")
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--out", type=Path, help="JSON report; the figure lies beside it")
    given = parser.parse_args()
    table, apart, nearer = run(given)
    print(
        f"{given.samples} samples of {given.images} images per shift, {given.members} members; bias of the commonest class, all else over all classes\n"
    )
    print(
        "| shift | method | bias (%) | RMSE (images) | coverage of 95 % intervals (%) | width (images) |\n|--:|---|--:|--:|--:|--:|"
    )
    for row in table.itertuples():
        print(
            f"| {row.shift:g} | {METHODS[row.method]} | {100 * row.bias:+.1f} | {row.rmse:.1f} | {100 * row.coverage:.0f} | {row.width:.0f} |"
        )
    print(
        f"\nlargest difference from QuaPy {version('quapy')} in the share of a class: "
        + ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
    )
    print(
        "distance from the mix that was seen, ours less QuaPy's, at most: "
        + ", ".join(f"{name} {value:+.1e}" for name, value in nearer.items())
    )
    if given.out:
        report = {"table": table.to_dict("records"), "quapy": version("quapy"), "difference": apart, "distance": nearer}
        given.out.write_text(json.dumps(report, indent=1))
        with rc_context(rcParamsDefault | {"font.size": 9}):  # quapy changes the sizes of all texts
            draw(table).savefig(given.out.with_suffix(".png"), dpi=150)


def draw(table):
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    axes = figure.subplots(1, 3)
    panels = (
        ("bias", 100, "Bias of the commonest class (%)"),
        ("rmse", 1, "RMSE over all classes (images)"),
        ("coverage", 100, "Coverage of 95 % intervals (%)"),
    )
    for axis, (column, scale, label) in zip(axes, panels, strict=True):
        for method, (colour, mark) in STYLES.items():
            rows = table[table["method"] == method]
            axis.plot(
                rows["shift"], scale * rows[column], color=colour, marker=mark, ms=4, lw=1.5, label=METHODS[method]
            )
        axis.set_xlabel("Shift of the mix of classes")
        axis.set_ylabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].axhline(0, color="black", lw=0.6)
    axes[1].set_ylim(bottom=0)
    axes[2].axhline(95, color="black", lw=0.6, ls="--")
    axes[2].set_ylim(0, 100)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    warnings.simplefilter("ignore", MethodWarning)
    main()
