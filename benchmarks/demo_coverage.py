"""How often the 95 % interval of a stock holds the truth: the demo recipe on many virtual surveys.

Every seed is another survey (tracks, volumes, cruise effects, counts) of the same virtual ocean, so the truth stays
and the estimate varies. Nothing is timed; the peer is the published practice, percentiles of the members' totals.
"""

import argparse
import json
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from aqqua_dist.core import files
from aqqua_dist.core.paths import find_recipe
from aqqua_dist.stages import pipeline


def one_survey(text, seed, members, folder):
    """Members' totals, full fit and truth of the global stock of every taxon under one seed."""
    changed, count = re.subn(r"(?m)^seed: \d+$", f"seed: {seed}", text)
    if count != 1:
        raise SystemExit(f"the recipe has {count} lines 'seed: NUMBER' at its top level, 1 is needed")
    changed = re.sub(r"(scheme: cruise_bootstrap, n:) \d+", rf"\g<1> {members}", changed)
    recipe = folder / f"seed{seed}.yaml"
    recipe.write_text(re.sub(r"(?m)^study: .*$", f"study: seed{seed}", changed))
    context = pipeline.open_study(recipe, runs=folder, progress=False)
    pipeline.run(context, stop_after="budget")
    totals = pd.concat([files.read_parquet(path) for path in sorted((context.out / "map").glob("*_totals.parquet"))])
    truth = files.read_parquet(context.out / "budget" / "truth.parquet")
    truth = truth[truth["region_set"] == "global"].set_index("taxon")["total"]
    rows = []
    for taxon, group in totals[totals["region_set"] == "global"].groupby("taxon"):
        drawn = group.loc[group["member"] >= 0, "total"].to_numpy()
        full = group.loc[group["member"] == -1, "total"].item()
        low, high = np.quantile(drawn, [0.025, 0.975])
        rows.append(
            {
                "seed": seed,
                "taxon": taxon,
                "truth": truth[taxon],
                "estimate": full,
                "low_members": low,
                "high_members": high,
                "log_sd": np.log(drawn).std(ddof=1),
                "mean_members": drawn.mean(),
            }
        )
    return rows


def interval_score(low, high, truth):
    """Interval score of the logarithms (Gneiting and Raftery 2007, doi 10.1198/016214506000001437), x 100; lower is better."""
    low, high, truth = np.log(low), np.log(high), np.log(truth)
    return 100 * np.mean(high - low + 40 * np.maximum(low - truth, 0) + 40 * np.maximum(truth - high, 0))


def summary(table):
    """Coverage, median width and score of each interval."""
    found = []
    truth = table["truth"]
    schemes = {"percentiles of members": (table["low_members"], table["high_members"])}
    for factor in (1.0, 1.5, 2.0):
        width = np.exp(1.959964 * factor * table["log_sd"])
        schemes[f"log-normal around the full fit, sd x {factor:g}"] = (
            table["estimate"] / width,
            table["estimate"] * width,
        )
    for name, (low, high) in schemes.items():
        held = (low <= truth) & (truth <= high)
        found.append(
            {
                "interval": name,
                "coverage %": 100 * held.mean(),
                "median width %": 100 * ((high - low) / truth).median(),
                "interval score": interval_score(low, high, truth),
            }
        )
    return pd.DataFrame(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--surveys", type=int, default=60)
    parser.add_argument("--members", type=int, default=40)
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    given = parser.parse_args()
    text = find_recipe(given.recipe).read_text(encoding="utf-8")
    rows = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in tqdm(range(1, given.surveys + 1), desc="surveys", disable=None):
            rows += one_survey(text, seed, given.members, Path(folder))
    table = pd.DataFrame(rows)
    ratio = table["estimate"] / table["truth"]
    bias = ratio.groupby(table["taxon"]).agg(["mean", "std"])
    print(
        f"{given.surveys} surveys, {given.members} members each\n\n| taxon | estimate / truth, mean | sd |\n|---|---|---|"
    )
    for taxon, row in bias.iterrows():
        print(f"| {taxon} | {row['mean']:.3f} | {row['std']:.3f} |")
    print("\n| 95 % interval | coverage % | median width % | interval score |\n|---|---|---|---|")
    shown = summary(table)
    for row in shown.itertuples(index=False):
        print(f"| {row[0]} | {row[1]:.0f} | {row[2]:.0f} | {row[3]:.0f} |")
    if given.out:
        given.out.write_text(
            json.dumps({"surveys": table.to_dict("records"), "intervals": shown.to_dict("records")}, indent=1)
        )


if __name__ == "__main__":
    main()
