"""Accuracy of the preset ``lm``: dense NMSE of each model on each problem, median and range over seeds, as Markdown.

    OMP_NUM_THREADS=1 python benchmarks/lm_accuracy.py [--models siren,kan] [--problems sin_freq1] [--seeds 5]

Trains without a store, on one thread. Seconds are those of the training clock, which on a machine that does other work
besides are longer than they need to be; the shortest of the seeds is the fairest of them.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import time

import torch

from harness import problems
from harness.data import sample, scale2
from harness.families import FAMILIES
from harness.models import build, parameters
from harness.presets import resolve
from harness.problems.problem import PROBLEMS
from harness.training import Epoch, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(FAMILIES.names()), help="comma-separated")
    parser.add_argument("--problems", default=",".join(PROBLEMS.names()), help="comma-separated")
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them")
    parser.add_argument("--epochs", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread\n")
    print("| model | problem | parameters | NMSE, median | best | worst | training, median s | shortest s |")
    print("|---|---|---|---|---|---|---|---|")
    for model in arguments.models.split(","):
        for problem in arguments.problems.split(","):
            runs = [
                one(model, problem, seed, arguments.epochs)
                for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds)
            ]
            errors, seconds = sorted(run[0] for run in runs), [run[1] for run in runs]
            print(
                f"| {model} | {problem} | {runs[0][2]} | {statistics.median(errors):.1e} | {errors[0]:.1e} "
                f"| {errors[-1]:.1e} | {statistics.median(seconds):.1f} | {min(seconds):.1f} |",
                flush=True,
            )


def one(model: str, problem_name: str, seed: int, epochs: int) -> tuple[float, float, int]:
    """Dense NMSE (infinite when the training ended early), seconds of training, and trained numbers at the end."""
    config = resolve({"model": model, "preset": "lm", "problem": problem_name, "seed": seed, "epochs": epochs})
    problem = problems.get(problem_name)
    data = sample(problem, seed, config.n_train, config.n_val, config.n_test)
    regressor = build(config, problem, data.train)
    last = 0
    seconds = 0.0
    for event in train(regressor, data, config):
        if isinstance(event, Epoch):
            last, seconds = event.epoch, event.train_s
    with torch.no_grad():
        mse = (regressor(data.dense.x) - data.dense.y).square().mean().item()
    nmse = mse / scale2(data.dense.y) if last == epochs else math.inf
    return nmse, seconds, parameters(regressor)


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"\n{time.perf_counter() - started:.0f} s in all")
