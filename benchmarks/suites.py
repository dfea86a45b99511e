"""Whole suites, as a user starts them: wall time from the command to its end, with one worker and with more.

    python benchmarks/suites.py section1_2 --seeds 2 --preset tuned --workers 1 2
    python benchmarks/suites.py seed_matrix --seeds 1 --workers 2
    python benchmarks/suites.py section1 --seeds 5 --preset tuned --workers 2 --store sqlite:///section1.db

Each number of workers gets a fresh SQLite store in a temporary folder, unless ``--store`` names one to keep.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from statistics import median

from harness.tracking.results import results
from harness.tracking.store import open_store, trust


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--preset", default="")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--store")
    arguments = parser.parse_args()
    print("| suite | workers | cells | outcomes | wall s | s/cell/worker | median of a cell, s | speed-up |")
    print("|---|---|---|---|---|---|---|---|")
    first: float | None = None
    for workers in arguments.workers:
        with tempfile.TemporaryDirectory() as folder:
            uri = arguments.store or f"sqlite:///{folder}/mlflow.db"
            # Artifacts lie beside the folder that the command runs in, so with a store that is kept they are kept too.
            place = "." if arguments.store else folder
            wall = time_command(arguments.suite, arguments.seeds, arguments.preset, workers, uri, place)
            trust(uri)
            found = list(results(open_store()).values())
        first = first or wall
        outcomes = ", ".join(f"{n} {name}" for name, n in Counter(each.outcome.value for each in found).items())
        cell = median(each.seconds for each in found)
        print(
            f"| {arguments.suite} {arguments.preset} | {workers} | {len(found)} | {outcomes} | {wall:.0f} | "
            f"{wall * workers / len(found):.2f} | {cell:.2f} | {first / wall:.2f} |",
            flush=True,
        )


def time_command(suite: str, seeds: int, preset: str, workers: int, uri: str, folder: str) -> float:
    """Seconds from the command to its end, imports and all. Exits with what the command said when a cell has no result."""
    command = [
        sys.executable,
        "-m",
        "harness",
        "benchmark",
        f"--suite={suite}",
        f"--seeds={seeds}",
        f"--workers={workers}",
    ]
    if preset:
        command.append(f"--preset={preset}")
    started = time.perf_counter()
    done = subprocess.run(
        command, env=os.environ | {"MLFLOW_TRACKING_URI": uri}, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
