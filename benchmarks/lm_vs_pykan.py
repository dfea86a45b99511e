"""Time until this project's KAN under Levenberg-Marquardt is as good as stock pykan is after its 200 L-BFGS steps.

    OMP_NUM_THREADS=1 python benchmarks/lm_vs_pykan.py [--rounds 5] [--steps 200]

Stock: ``MultKAN([d, 5, 1])`` with its own defaults (G = 3, k = 3, float32), ``fit(opt="LBFGS", steps=200)`` with its own
defaults, on the raw target. Own: the preset ``lm``, on the same 1000 points, in float64; the time is the training clock
at the first epoch whose training MSE, in raw units, is no larger. A run that never gets there counts as infinite. Stock
and own alternate; times are medians over the rounds, and each round is another seed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import platform
import statistics
import tempfile
import time

import torch
from kan import MultKAN

from harness import problems
from harness.data import Data, sample
from harness.models import build
from harness.presets import resolve
from harness.training import Epoch, train

POISSON = [
    f"poisson_{name}" for name in ("1d_sin", "1d_poly", "1d_highfreq", "2d_sin", "2d_poly", "2d_highfreq", "2d_spec")
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--problems", default=",".join(POISSON), help="comma-separated")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread\n")
    print("| problem | pykan train MSE | pykan s | own s to the same | ratio |")
    print("|---|---|---|---|---|")
    ratios = []
    for name in arguments.problems.split(","):
        rounds = []
        for seed in range(arguments.rounds):
            problem = problems.get(name)
            data = sample(problem, seed, 1000, 500, 1000)
            error, theirs = stock(data, problem.dimension, seed, arguments.steps)
            rounds.append((error, theirs, own(name, data, seed, error)))
        error, theirs, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios.append(theirs / ours)
        print(f"| {name} | {error:.1e} | {theirs:.1f} | {ours:.2f} | {ratios[-1]:.0f} |", flush=True)
    print(f"\nmedian ratio {statistics.median(ratios):.0f}")


def stock(data: Data, dimension: int, seed: int, steps: int) -> tuple[float, float]:
    """Training MSE of pykan in raw units, infinite when it is not a number, and its seconds."""
    x, y, x_test, y_test = (tensor.float() for tensor in (data.train.x, data.train.y, data.test.x, data.test.y))
    dataset = {"train_input": x, "train_label": y, "test_input": x_test, "test_label": y_test}
    before = os.getcwd()  # noqa: PTH109  # pykan writes where the process stands
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(folder)
        try:
            model = MultKAN(width=[dimension, 5, 1], seed=seed, auto_save=False)
            with contextlib.redirect_stderr(io.StringIO()):
                started = time.perf_counter()
                model.fit(dataset, opt="LBFGS", steps=steps)
                seconds = time.perf_counter() - started
        finally:
            os.chdir(before)
    with torch.no_grad():
        error = (model(x) - y).double().square().mean().item()
    return error if math.isfinite(error) else math.inf, seconds


def own(name: str, data: Data, seed: int, error: float) -> float:
    """Seconds of training until the training MSE is at most ``error``; infinite when that does not happen."""
    config = resolve({"model": "kan", "preset": "lm", "problem": name, "seed": seed})
    model = build(config, problems.get(name), data.train)
    for event in train(model, data, config):
        if isinstance(event, Epoch) and event.train_mse <= error:
            return event.train_s
    return math.inf


if __name__ == "__main__":
    main()
