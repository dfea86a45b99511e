"""pykan's example 1 with the own KAN: exp(sin(pi x) + y^2), [2, 1, 1], 200 L-BFGS steps on each of five grids.

    OMP_NUM_THREADS=1 python benchmarks/pykan_example1.py [--seeds 5]

As there: 1000 training and 1000 test points, uniform in [-1, 1]^2, k = 3, the same network refined from grid to grid, grid
updates in the first 50 of the first 200 steps. The figure is the test RMSE at the end of each grid. Printed: the published
figures, and median, best and worst of the own ones over the seeds (points and initialisation).
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from harness.data import Data, Sample
from harness.models import Regressor
from harness.models.kan import KAN
from harness.presets import resolve
from harness.seeds import generator
from harness.training import Epoch, train

PUBLISHED = {3: 1.53e-2, 10: 3.29e-4, 20: 4.04e-5, 50: 1.24e-5, 100: 1.74e-3}


def sample(seed: int, name: str) -> Sample:
    x = 2 * torch.rand(1000, 2, generator=generator(seed, name), dtype=torch.float64) - 1
    return Sample(x, torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2))


def test_rmse(seed: int, steps: int) -> dict[int, float]:
    values = {"model": "kan", "problem": "poisson_2d_sin", "width": 1, "grids": tuple(PUBLISHED), "seed": seed}
    config = resolve({**values, "epochs": steps * len(PUBLISHED), "steps_per_grid": steps})
    train_set, test_set = sample(seed, "train"), sample(seed, "test")
    network = KAN([2, 1, 1], 3, 3, 0.3, generator(seed, "initialisation"))
    mean, std = train_set.y.mean().item(), train_set.y.std().item()
    model = Regressor(network, -1.0, 1.0, mean, std)
    found = {}
    for event in train(model, Data(train_set, test_set, test_set, test_set), config):
        if isinstance(event, Epoch):
            found[int(event.extra["kan/grid"])] = event.test_mse**0.5
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    runs = [test_rmse(seed, options.steps) for seed in range(options.seeds)]
    print(f"{options.seeds} seeds, {(time.perf_counter() - started) / options.seeds:.0f} s a run\n")
    print("| G | published | own, median | best | worst |")
    print("|---|---|---|---|---|")
    for grid, published in PUBLISHED.items():
        errors = [run.get(grid, float("nan")) for run in runs]
        print(f"| {grid} | {published:.2e} | {statistics.median(errors):.2e} | {min(errors):.2e} | {max(errors):.2e} |")


if __name__ == "__main__":
    main()
