"""The Jacobian of a network and of its Laplacian: written out against torch.func, side by side in one process.

    OMP_NUM_THREADS=1 python benchmarks/jets.py [--points 1000] [--rounds 7]

Networks of preset ``lm_plain`` on poisson_2d_spec; medians of CPU time in ms over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from harness import problems
from harness.models import build
from harness.models.jets import Seeds, jacobian, jacobian_of_any
from harness.presets import resolve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    problem = problems.get("poisson_2d_spec")
    x = 2 * torch.rand(options.points, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    zeros = torch.zeros(options.points, 1, 2, dtype=torch.float64)
    laplacian = Seeds(zeros[..., 0], zeros, torch.ones_like(zeros))
    print("| network | parameters | J of u: written out, torch.func | J of the Laplacian: written out, torch.func |")
    print("|---|---|---|---|")
    for model in ("mlp", "mlp_fourier", "siren", "kan"):
        network = build(resolve({"model": model, "preset": "lm_plain", "problem": problem.name}), problem).network
        parameters = list(network.parameters())
        columns = []
        for seeds in (None, laplacian):
            calls = [partial(of, network, x, parameters, seeds) for of in (jacobian, jacobian_of_any)]
            found = [median(call, options.rounds) for call in calls]
            columns.append(", ".join(f"{each:.1f}" for each in found))
        print(f"| {model} | {sum(p.numel() for p in parameters)} | {' | '.join(columns)} |", flush=True)


def median(call: Callable[[], object], rounds: int) -> float:
    """CPU time of a call in ms."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        call()
        times.append(1000 * (time.process_time() - started))
    return statistics.median(times)


if __name__ == "__main__":
    main()
