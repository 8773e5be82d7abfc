"""Start of the command line: `aqqua-dist --help` against `import numpy` and an empty interpreter.

Rounds are interleaved after one warm-up; wall and CPU time of the child process, medians.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import numpy'": ["-c", "import numpy"],
    "import aqqua_dist": ["-c", "import aqqua_dist"],
    "aqqua-dist --help": ["-m", "aqqua_dist", "--help"],
}
OURS, PEER = "aqqua-dist --help", "python -c 'import numpy'"


def timed(arguments, folder):
    """Wall and CPU seconds of one interpreter."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    env = dict(os.environ, PYTHONPATH=str(folder), OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, env=env)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if "--help" in arguments and "Usage" not in done.stdout:
        sys.exit(f"the help of {arguments} shows no usage: {done.stdout[:200]!r}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (at least 5)")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    given = parser.parse_args()
    if given.rounds < 5:
        parser.error(f"--rounds is {given.rounds}, at least 5 are needed")
    root = Path(__file__).resolve().parent.parent
    seen = {name: [] for name in COMMANDS}
    for turn in range(given.rounds + 1):
        for name, arguments in COMMANDS.items():
            found = timed(arguments, root)
            if turn:
                seen[name].append(found)
    medians = {name: [median(t[i] for t in times) for i in (0, 1)] for name, times in seen.items()}
    ratio = [a / b for a, b in zip(medians[OURS], medians[PEER], strict=True)]
    print(f"{given.rounds} interleaved rounds\n\n| command | wall s | CPU s |\n|---|---|---|")
    for name, (wall, cpu) in medians.items():
        print(f"| {name} | {wall:.3f} | {cpu:.3f} |")
    print(f"| help / import numpy | {ratio[0]:.2f} | {ratio[1]:.2f} |")
    if given.out:
        report = {"rounds": given.rounds, "times": seen, "medians": medians, "ratio_wall_cpu": ratio, "limit": 1.0}
        given.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
