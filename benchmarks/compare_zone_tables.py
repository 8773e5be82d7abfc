"""Tables of zones that two versions of the package make of the same exports: the same rows, the same numbers.

`compare_zone_tables.py OLD NEW DATA`: OLD and NEW are folders that hold the package; each export of the list is ingested by both.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

CASES = {
    "ecopart_stations": (["ecopart_stations"], ["0-200", "200-1000"], ["0.8"]),
    "EcoPart detailed": (["formats/ecopart/tsvagg_det_multi"], ["0-200", "0-100"], ["0.1"]),
    "EcoPart reduced": (["formats/ecopart/tsvagg_reduit_multi"], ["0-200"], ["0.1"]),
    "EcoPart detailed by cast": (["formats/ecopart/tsv_det_multi"], ["0-200"], ["0.1"]),
    "EcoPart raw": (["formats/ecopart/raw_multi"], ["0-200"], ["0.1"]),
    "EcoTaxa ZooScan": (["formats/ecotaxa/ecotaxar_zooscan_tara_export.tsv"], ["0-200", "0-500"], ["0.4"]),
    "EcoTaxa PlanktoScope": (["formats/ecotaxa/ecotaxa_export_planktoscope_anonymised.tsv.gz"], ["0-5"], ["0"]),
    "stations, nets and PlanktoScope": (
        [
            "ecopart_stations",
            "formats/ecotaxa/ecotaxar_zooscan_tara_export.tsv",
            "formats/ecotaxa/ecotaxa_export_planktoscope_anonymised.tsv.gz",
        ],
        ["0-200"],
        ["0.4"],
    ),
}
KEYS = ["profile", "zone", "taxon"]
NUMBERS = ["n", "volume", "number_concentration", "biovolume_concentration", "number_integral"]


def zones(package, data, case, out, more=()):
    sources, names, (coverage,) = CASES[case]
    words = [word for name in names for word in ("--zone", name)]
    command = [
        sys.executable,
        "-m",
        "aqqua_dist",
        "ingest",
        *(str(data / source) for source in sources),
        "-o",
        str(out),
    ]
    done = subprocess.run(
        [*command, *words, "--coverage", coverage, "--quiet", *more],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(package)},
    )
    path = out / "zone_concentrations.csv"
    table = pd.read_csv(path, dtype={"profile": str, "zone": str}) if path.is_file() else None
    return table, f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1][:160] if done.stderr.strip() else ''}"


def difference(old, new):
    both = old[[*KEYS, *NUMBERS]].merge(
        new[[*KEYS, *NUMBERS]], on=KEYS, how="outer", indicator=True, suffixes=("", "_")
    )
    common = both[both["_merge"] == "both"]
    worst = 0.0
    for name in NUMBERS:
        one, two = common[name].to_numpy(float), common[f"{name}_"].to_numpy(float)
        if not np.array_equal(np.isnan(one), np.isnan(two)):
            worst = np.inf
        with np.errstate(invalid="ignore", divide="ignore"):
            off = np.abs(two - one) / np.where(one == 0, 1.0, np.abs(one))
        worst = max(worst, np.nanmax(off, initial=0.0))
    return len(common), int((both["_merge"] == "left_only").sum()), int((both["_merge"] == "right_only").sum()), worst


def main():
    old, new, data = map(Path, sys.argv[1:4])
    print("| exports | rows of both | of the old only | of the new only | largest relative difference |")
    print("|---|--:|--:|--:|--:|")
    for case in CASES:
        with tempfile.TemporaryDirectory() as place:
            one, said = zones(old, data, case, Path(place) / "old")
            two, told = zones(new, data, case, Path(place) / "new")
        if one is None or two is None:
            print(
                f"| {case} | {'no table' if one is None else len(one)} ({said}) | | {'no table' if two is None else len(two)} ({told}) | |"
            )
            continue
        print("| {} | {} | {} | {} | {:.1e} |".format(case, *difference(one, two)))


if __name__ == "__main__":
    main()
