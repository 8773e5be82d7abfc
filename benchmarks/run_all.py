"""Run every benchmark script, one after the other, and collect their tables.

Writes one Markdown table and one JSON file in `runs/benchmarks/`. A script that fails is reported, the others still run.
Long scripts run on a part of their case (`SHORT`, stated in the table); `--full` runs them whole.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHORT = {
    "quantification": ["--samples", "20"],
    "aggregate_objects": ["--rows", "5000000", "--rounds", "3", "--scale", "1", "3"],
    "ingest_ecotaxa": ["--rows", "1000000"],
    "embeddings": ["--rows", "200000", "--slow-rows", "10000"],
    "search_rounds": ["--settings", "3", "--resamples", "10"],
    "knndm": ["--trees", "50", "--designs", "clusterStrong"],
    "demo_coverage": ["--surveys", "6", "--members", "12"],
}
LIBRARIES = ("aqqua-dist", "numpy", "pandas", "xarray", "scikit-learn")


def run_one(script, folder, options):
    """Outcome of one script; its JSON report where it wrote one."""
    report = folder / f"{script.stem}.json"
    report.unlink(missing_ok=True)
    start = time.perf_counter()
    env = os.environ | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(
        [sys.executable, str(script), "--out", str(report), *options], capture_output=True, text=True, env=env
    )
    return {
        "script": " ".join([script.name, *options]),
        "returncode": done.returncode,
        "seconds": round(time.perf_counter() - start, 1),
        "text": done.stdout,
        "error": done.stderr[-2000:] if done.returncode else "",
        "report": json.loads(report.read_text()) if report.exists() else None,
    }


def machine():
    """What the numbers were measured on (no name of the machine)."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def markdown(outcomes, about):
    libraries = ", ".join(f"{name} {number}" for name, number in about["libraries"].items())
    parts = ["# Benchmarks", f"{about['cores']} cores, {about['machine']}, Python {about['python']}; {libraries}."]
    for outcome in outcomes:
        parts.append(f"## {outcome['script']} ({outcome['seconds']} s)")
        parts.append(
            outcome["text"].strip() if not outcome["returncode"] else f"failed:\n\n```\n{outcome['error'].strip()}\n```"
        )
    return "\n\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="script names without .py")
    parser.add_argument("--full", action="store_true", help="run every case whole (hours)")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="folder for the tables")
    given = parser.parse_args()
    scripts = sorted(path for path in HERE.glob("*.py") if path.name != Path(__file__).name)
    unknown = set(given.only or ()) - {path.stem for path in scripts}
    if unknown:
        parser.error(f"no benchmark named {sorted(unknown)}; there are {[path.stem for path in scripts]}")
    chosen = [path for path in scripts if not given.only or path.stem in given.only]
    given.out.mkdir(parents=True, exist_ok=True)
    outcomes, about = [], machine()
    for number, script in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {script.name} ...", file=sys.stderr, flush=True)
        outcomes.append(run_one(script, given.out.resolve(), [] if given.full else SHORT.get(script.stem, [])))
    (given.out / "benchmarks.json").write_text(json.dumps({"machine": about, "benchmarks": outcomes}, indent=1))
    (given.out / "benchmarks.md").write_text(markdown(outcomes, about))
    print(markdown(outcomes, about))
    print(f"written: {given.out / 'benchmarks.md'}, {given.out / 'benchmarks.json'}")
    failed = [outcome["script"] for outcome in outcomes if outcome["returncode"]]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
