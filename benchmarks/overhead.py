"""What a run costs besides its training, in a process that is warm: each family, side by side.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py [--repeats 7] [--preset tuned] [--epochs 20]

"Training" is the time between its events, that of the unpruned twin of kan_pruned included, with what is off the clock
``time/train_s``: errors after each epoch, recording. "The rest" is everything else that ``run`` does: store, data,
model, final errors, figures, artifacts, tags. Families alternate, in one process, on a store of their own; the first
round, in which imports and caches fill, is shown by itself. CPU seconds say more where other processes compete.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.families import FAMILIES
from harness.presets import resolve
from harness.run import run
from harness.training import BaseStarted, Event, StageStarted


class Clock:
    """A listener that adds up the time between the events of a training, by the clock on the wall and by the CPU's."""

    def __init__(self) -> None:
        self.training = np.zeros(2)
        self._last = np.zeros(2)

    def __call__(self, event: Event) -> None:
        """Take the time since the last event, unless this one begins a training."""
        now = clocks()
        if not isinstance(event, BaseStarted) and not (isinstance(event, StageStarted) and event.index == 0):
            self.training += now - self._last
        self._last = now


def clocks() -> NDArray[np.float64]:
    """Wall and CPU seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def measure(model: str, preset: str, epochs: int) -> tuple[float, float, float]:
    """Seconds of a run's training, of everything else, and of everything else on the CPU."""
    config = resolve({"model": model, "preset": preset, "epochs": epochs})
    clock, started = Clock(), clocks()
    run(config, clock)
    rest = clocks() - started - clock.training
    return float(clock.training[0]), float(rest[0]), float(rest[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--preset", default="tuned")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    fits = [name for name, each in FAMILIES.usable().items() if each.usual and each.can_take(equation=False)]
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in fits}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path(folder).resolve()}/mlflow.db"
        for _ in range(options.repeats + 1):
            for name, measured in times.items():
                measured.append(measure(name, options.preset, options.epochs))
    print("| model | training, s | the rest, s | least | most | on the CPU, s | first time, s |")
    print("|---|---|---|---|---|---|---|")
    for name, ((_, first, _), *measured) in times.items():
        training, rest, cpu = zip(*measured, strict=True)
        print(
            f"| {name} | {statistics.median(training):.2f} | {statistics.median(rest):.2f} | {min(rest):.2f} "
            f"| {max(rest):.2f} | {statistics.median(cpu):.2f} | {first:.2f} |"
        )


if __name__ == "__main__":
    main()
