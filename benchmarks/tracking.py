"""What tracking costs: the same training bare and tracked, alternating in one process, one thread.

python benchmarks/tracking.py [--repeats 5]

"in the loop" is what a step pays while the training goes on; "at the end" is what is written once: metrics that were
still buffered, figures, checkpoint, model.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from functools import cache, partial
from pathlib import Path

import torch

from harness import problems
from harness.data import sample
from harness.models import build
from harness.outcome import Ending, Outcome
from harness.presets import resolve
from harness.run import draw, predict
from harness.tracking.recorder import Recorder
from harness.training import train

CASES = [("siren", 200), ("mlp", 100), ("kan", 100), ("siren", 3000)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print("| model | epochs | bare, ms a step | tracked, ms a step | in the loop | at the end, s |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path(folder).resolve()}/mlflow.db"
        for model, epochs in CASES:
            times = [measure(model, epochs) for _ in range(repeats + 1)][1:]
            bare, tracked, end = (statistics.median(column) for column in zip(*times, strict=True))
            ratio = statistics.median(t / b for b, t, _ in times)
            print(
                f"| {model} | {epochs} | {1e3 * bare / epochs:.2f} | {1e3 * tracked / epochs:.2f} "
                f"| {ratio - 1:+.1%} | {end:.2f} |",
                flush=True,
            )


def measure(model: str, epochs: int) -> tuple[float, float, float]:
    """Seconds of the bare loop, of the same loop tracked, and of writing the rest at the end."""
    config = resolve({"model": model, "epochs": epochs})
    problem = problems.get(config.problem)
    data = sample(problem, config.seed, config.n_train, config.n_val, config.n_test)
    started = time.perf_counter()
    for _ in train(build(config, problem, data.train), data, config):
        pass
    bare = time.perf_counter() - started
    network = build(config, problem, data.train)
    with Recorder(config, problem, data, network.state_dict()) as recorder:
        started = time.perf_counter()
        for event in train(network, data, config):
            recorder.record(event)
        tracked = time.perf_counter() - started
        ending = Ending(Outcome.COMPLETED, "Benchmark.")
        prediction = cache(partial(predict, network, data, recorder))
        figures = draw(network, problem, data, config, recorder, ending, prediction)
        started = time.perf_counter()
        recorder.conclude(ending, figures=figures, prediction=prediction, model=network)
    return bare, tracked, time.perf_counter() - started


if __name__ == "__main__":
    main()
