"""Kills with SIGKILL at spread moments, and what they cost: each subcommand is a campaign, and prints its figures.

python benchmarks/kills.py fresh --kills 40
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN = ("run", "--model", "mlp", "--problem", "poisson_1d_sin", "--epochs", "2", "--width", "4", "--n_train", "20")
START_S = 120.0
"""Until a command must have reached the opening of the store."""


def command(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """``harness`` with these arguments in a folder, its store there, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the process and its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def fresh(kills: int, seconds: float) -> int:
    """Kill ``harness run`` in the first seconds of a fresh store, and say whether the next command works."""
    states: Counter[str] = Counter()
    broken = 0
    for number in range(kills):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            moment = seconds * number / max(1, kills - 1)
            process = command(folder, *RUN)
            reached = _reaches_the_store(folder, process)
            time.sleep(max(0.0, reached + moment - time.monotonic()))
            state = _state(folder) if process.poll() is None else "over"
            if process.poll() is None:
                kill(process)
            states[state] += 1
            after = command(folder, *RUN)
            _, said = after.communicate()
            left = [path.name for path in folder.iterdir() if ".new" in path.name]
            works = after.returncode == 0 and not left
            broken += not works
            print(f"{moment:5.2f} s  {state:<24} next: {'works' if works else f'FAILS {left} {said}'}", flush=True)
    print(f"{kills} kills: " + ", ".join(f"{count} {state}" for state, count in states.items()))
    print(f"the next command works after {kills - broken} of {kills}")
    return 1 if broken else 0


def _reaches_the_store(folder: Path, process: subprocess.Popen[str]) -> float:
    """When the first file appears, which is the lock of a store that is about to be made."""
    deadline = time.monotonic() + START_S
    while not any(folder.iterdir()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the command did not reach the store: {process.communicate()[1]}")
        time.sleep(0.001)
    return time.monotonic()


def _state(folder: Path) -> str:
    if (folder / "mlruns").exists():
        return "with a run"
    if (folder / "mlflow.db").exists():
        return "with a store"
    return "while it was being made" if (folder / "mlflow.db.new").exists() else "before"


def main() -> int:
    """Run one campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    campaigns = parser.add_subparsers(dest="campaign", required=True)
    of_fresh = campaigns.add_parser("fresh", help="kills in the first seconds of a fresh store")
    of_fresh.add_argument("--kills", type=int, default=40)
    of_fresh.add_argument("--seconds", type=float, default=3.0, help="over which the moments are spread")
    of_fresh.set_defaults(call=lambda given: fresh(given.kills, given.seconds))
    given = parser.parse_args()
    return int(given.call(given))


if __name__ == "__main__":
    raise SystemExit(main())
