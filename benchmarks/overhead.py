"""What a run costs besides its training, in a process that is warm: each family, of this checkout and of another side by side.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py [--repeats 7] [--preset tuned] [--epochs 20] [--against PATH]
        [--models siren,kan] [--problem poisson_2d_sin]

"Training" is the time between its events, that of the unpruned twin of kan_pruned included, with what is off the clock
``time/train_s``: errors after each epoch, recording. "The rest" is everything else that ``run`` does: store, data,
model, final errors, figures, artifacts, tags. A checkout has a process of its own, with a store of its own, and the two take
turns, run by run; each run has a seed of its own. The first round, in which imports and caches fill, is shown by itself. CPU
seconds say more where other processes compete.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parents[1]
VERSIONS = ("torch", "mlflow", "matplotlib")


class Clock:
    """A listener that adds up the time between the events of a training, by the clock on the wall and by the CPU's."""

    def __init__(self) -> None:
        from harness.training import BaseStarted, StageStarted

        self.training = np.zeros(2)
        self._last = np.zeros(2)
        self._starts = BaseStarted, StageStarted

    def __call__(self, event: Any) -> None:
        """Take the time since the last event, unless this one begins a training."""
        now, (base, stage) = clocks(), self._starts
        if not isinstance(event, base) and not (isinstance(event, stage) and event.index == 0):
            self.training += now - self._last
        self._last = now


def clocks() -> NDArray[np.float64]:
    """Wall and CPU seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def serve() -> None:
    """Make the runs that standard input names, each a line of JSON, and give the seconds of each: those of its training, of
    everything else, and of everything else on the CPU.
    """
    from harness.presets import resolve
    from harness.run import run

    for line in sys.stdin:
        config = resolve(json.loads(line))
        clock, started = Clock(), clocks()
        run(config, clock)
        rest = clocks() - started - clock.training
        print(json.dumps([clock.training[0], *rest]), flush=True)


@contextmanager
def warm(checkout: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of that checkout which makes runs in a store of its own, until this is left."""
    with tempfile.TemporaryDirectory() as folder:
        store = {"MLFLOW_TRACKING_URI": f"sqlite:///{Path(folder).resolve()}/mlflow.db"}
        process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(checkout), **store},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.communicate()


def measure(process: subprocess.Popen[str], fields: dict[str, Any]) -> list[float]:
    """What :func:`serve` says of a run."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{json.dumps(fields)}\n")
    process.stdin.flush()
    found: list[float] = json.loads(process.stdout.readline())
    return found


def usual() -> list[str]:
    """The families that a suite takes where none is named, and that fit."""
    from harness.families import FAMILIES

    return [name for name, each in FAMILIES.usable().items() if each.usual and each.can_take(equation=False)]


def of_machine() -> str:
    """What the figures hold for."""
    from harness.machine import processor

    libraries = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    return f"{os.cpu_count()} cores, {processor()}; Python {platform.python_version()}, {libraries}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--preset", default="tuned")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--problem", default="poisson_2d_sin")
    parser.add_argument("--models", help="some of them, separated by commas")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    checkouts = [HERE, *([options.against.resolve()] if options.against else [])]
    models = options.models.split(",") if options.models else usual()
    fields = {"preset": options.preset, "epochs": options.epochs, "problem": options.problem}
    times: dict[str, list[list[list[float]]]] = {model: [] for model in models}
    with ExitStack() as open_ones:
        processes = [open_ones.enter_context(warm(checkout)) for checkout in checkouts]
        for seed in range(options.repeats + 1):
            for model, measured in times.items():
                run = {**fields, "model": model, "seed": seed}
                measured.append([measure(process, run) for process in processes])
    print(f"{of_machine()}\n\n| model | training, s", end="")
    heads = ("the rest, s", "on the CPU, s", "first time, s")
    print("".join(f" | {head}{of}" for of in ("", " before")[: len(checkouts)] for head in heads), end="")
    print(f"{' | ratio on the CPU' if options.against else ''} |")
    print("|---" * (2 + 3 * len(checkouts) + bool(options.against)) + "|")
    for model, measured in times.items():
        first, middle = np.array(measured[0]), np.median(np.array(measured[1:]), axis=0)
        cells = [f"{middle[0, 0]:.2f}"]
        for number in range(len(checkouts)):
            cells += [f"{middle[number, 1]:.2f}", f"{middle[number, 2]:.2f}", f"{first[number, 1]:.2f}"]
        if options.against:
            cells.append(f"{middle[0, 2] / middle[1, 2]:.2f}")
        print(f"| {model} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
