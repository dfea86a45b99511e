"""Loss and gradient of perceptrons: as a training has them, against the same layers under torch's autograd.

    OMP_NUM_THREADS=1 python benchmarks/perceptron_step.py [--rounds 7]

One process and one thread; both have the same weights, points and loss, and alternate. A time is the median over the rounds of
the CPU time of as many evaluations as fit into 0.2 s. The optimizers add the same to both.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from measuring import loss_and_gradient, milliseconds
from torch import Tensor, nn

from harness import problems
from harness.data import sample
from harness.models import build
from harness.models.interface import at
from harness.presets import resolve
from harness.training.rows import Fit

CASES: list[tuple[str, dict[str, Any], int]] = [
    ("mlp 3x32 tanh", {"model": "mlp", "width": 32, "depth": 3, "activation": "tanh"}, 1_000),
    ("mlp 3x32 silu", {"model": "mlp", "width": 32, "depth": 3, "activation": "silu"}, 1_000),
    ("mlp 3x32 relu", {"model": "mlp", "width": 32, "depth": 3, "activation": "relu"}, 1_000),
    ("mlp 2x128 tanh", {"model": "mlp", "width": 128, "depth": 2, "activation": "tanh"}, 10_000),
    ("mlp_fourier 3x32", {"model": "mlp_fourier", "width": 32, "depth": 3, "activation": "tanh"}, 1_000),
    ("siren 3x32", {"model": "siren", "width": 32, "depth": 3}, 1_000),
    ("siren 2x64", {"model": "siren", "width": 64, "depth": 2}, 10_000),
    ("wire 2x24", {"model": "wire", "width": 24, "depth": 2}, 1_000),
    ("gauss 2x24", {"model": "gauss", "width": 24, "depth": 2}, 1_000),
    ("finer 2x24", {"model": "finer", "width": 24, "depth": 2}, 1_000),
]


def gradient(outputs: Callable[[], Tensor], network: nn.Module, y: Tensor) -> Callable[[], Any]:
    """Loss and gradient."""
    parameters = list(network.parameters())
    return lambda: torch.autograd.grad((outputs() - y).square().mean(), parameters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"{platform.machine()}, torch {torch.__version__}, one thread, {rounds} rounds; CPU ms\n")
    print("| network | points | dtype | autograd | own | ratio |\n|---|---|---|---|---|---|")
    for name, fields, points in CASES:
        for dtype in (torch.float32, torch.float64):
            dtype_name = str(dtype).removeprefix("torch.")
            config = resolve({**fields, "problem": "poisson_2d_spec", "dtype": dtype_name, "optimizer": "adam"})
            problem = problems.get("poisson_2d_spec")
            data = sample(problem, 0, points, 10, 10, dtype)
            model = build(config, problem, data.train)
            network, x = cast(nn.Sequential, model.network), model.scaled(data.train.x)
            y = (data.train.y - model.mean) / model.std
            sides = [gradient(partial(nn.Sequential(*network), x), network, y)]
            fit = Fit(model, data.train, x, at(network, x))
            sides.append(partial(loss_and_gradient, fit, list(network.parameters())))
            for side in sides:
                side()
            found = [[milliseconds(side) for side in sides] for _ in range(rounds)]
            theirs, ours = (statistics.median(column) for column in zip(*found, strict=True))
            print(
                f"| {name} | {points} | {dtype_name} | {theirs:.2f} | {ours:.2f} | {theirs / ours:.1f}x |", flush=True
            )


if __name__ == "__main__":
    main()
