"""How time and memory of loss and gradient grow: with points, parameters, inputs and grid intervals.

    OMP_NUM_THREADS=1 python benchmarks/growth.py

One process and one thread, float64, two inputs, 1000 points and networks of 3 x 32 (mlp, siren) and [2, 5, 1] with 20 intervals
(kan), but for what grows. A time is the least of five, of the CPU time of as many evaluations as fit into 50 ms; memory is what
the resident set grows by, at its peak (Linux). The exponent is the slope in logarithms over the last two sizes and over all.
"""

from __future__ import annotations

import argparse
import math
import platform
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from measuring import loss_and_gradient, megabytes, milliseconds
from torch import nn

from harness.data import Sample
from harness.machine import keep_freed_memory
from harness.models import KAN, Regressor
from harness.models.activations import Sine
from harness.models.interface import at
from harness.models.perceptron import Perceptron
from harness.training.rows import Fit


class Size(NamedTuple):
    """A network and its points."""

    points: int = 1_000
    inputs: int = 2
    width: int | None = None
    grid: int = 20


Make = Callable[[Size], nn.Module]


def mlp(size: Size) -> nn.Module:
    """3 x 32, tanh."""
    return _perceptron(size, nn.Tanh)


def siren(size: Size) -> nn.Module:
    """3 x 32."""
    return _perceptron(size, lambda: Sine(5.0))


def kan(size: Size) -> nn.Module:
    """[inputs, 5, 1]; of three layers where the width grows, as the perceptrons have them."""
    hidden = [5] if size.width is None else [size.width] * 3
    return KAN([size.inputs, *hidden, 1], size.grid, 3, 0.3, torch.Generator().manual_seed(0))


def _perceptron(size: Size, activation: Callable[[], nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    before = size.inputs
    for _ in range(3):
        layers += [nn.Linear(before, size.width or 32, dtype=torch.float64), activation()]
        before = size.width or 32
    return Perceptron(*layers, nn.Linear(before, 1, dtype=torch.float64))


NETWORKS: dict[str, Make] = {"mlp": mlp, "siren": siren, "kan": kan}
GROWTH: dict[str, list[Size]] = {
    "points": [Size(points=10**n) for n in range(2, 7)],
    "width": [Size(width=n) for n in (4, 8, 16, 32, 64, 128)],
    "inputs": [Size(inputs=n) for n in (1, 3, 10, 30, 100)],
    "grid": [Size(grid=n) for n in (3, 10, 30, 100, 300, 1000)],
}
"""What grows, and the sizes. With the width grow the parameters, as its square."""


def gradient(make: Make, size: Size) -> Callable[[], Any]:
    """Loss and gradient at points that stay the same, as a training has them."""
    generator = torch.Generator().manual_seed(0)
    network = make(size)
    x = 2 * torch.rand(size.points, size.inputs, generator=generator, dtype=torch.float64) - 1
    y = torch.rand(size.points, 1, generator=generator, dtype=torch.float64)
    fit, parameters = Fit(Regressor(network, -1.0, 1.0), Sample(x, y), x, at(network, x)), list(network.parameters())
    return partial(loss_and_gradient, fit, parameters)


def exponent(sizes: list[float], values: list[float]) -> str:
    """The slope over the last two, and over all."""

    def slope(i: int) -> float:
        return math.log(values[-1] / values[i]) / math.log(sizes[-1] / sizes[i])

    return f"{slope(-2):.2f}, {slope(0):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", default=",".join(GROWTH), help="comma-separated")
    what = parser.parse_args().what.split(",")
    torch.set_num_threads(1)
    keep_freed_memory()
    print(f"{platform.machine()}, torch {torch.__version__}, one thread, float64; CPU ms, MB")
    for name in what:
        networks = {"kan": kan} if name == "grid" else NETWORKS  # the others have none
        print(f"\n| {name} | {' | '.join(f'{n} ms | {n} MB' for n in networks)} |\n|{'---|' * (1 + 2 * len(networks))}")
        columns: dict[str, list[float]] = {f"{n} {unit}": [] for n in networks for unit in ("ms", "MB")}
        sizes = [float(getattr(size, name)) for size in GROWTH[name]]
        for size, number in zip(GROWTH[name], sizes, strict=True):
            for network, make in networks.items():
                evaluate = gradient(make, size)
                evaluate()
                columns[f"{network} ms"].append(min(milliseconds(evaluate, least=0.05) for _ in range(5)))
                columns[f"{network} MB"].append(megabytes(evaluate))
            print(f"| {number:,.0f} | {' | '.join(f'{values[-1]:.3g}' for values in columns.values())} |", flush=True)
        slopes = [exponent(sizes, values) if n.endswith("ms") else "" for n, values in columns.items()]
        print(f"| exponent: last two, all | {' | '.join(slopes)} |")


if __name__ == "__main__":
    main()
