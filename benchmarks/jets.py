"""What a training on an equation's residual takes, written out against torch.func, side by side in one process.

The Jacobians of a network and of its Laplacian, the gradient of a loss of the Laplacian, and a whole step of
Levenberg-Marquardt (one trial or several, as it comes) on the interior points and a fifth as many others.

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
from torch import Tensor, nn

from harness import problems
from harness.methods.levenberg_marquardt import LMConfig, levenberg_marquardt
from harness.models import Regressor, build
from harness.models.jets import Seeds, jacobian, jacobian_of_any, jet, jet_of_any
from harness.presets import resolve
from harness.problems import Jet, Rows
from harness.training.rows import Declared, Objective


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
    print(
        "| network | parameters | J of u: written out, torch.func | J of the Laplacian: written out, torch.func "
        "| gradient: written out, plain | step of LM |"
    )
    print("|---|---|---|---|---|---|")
    for model in ("mlp", "mlp_fourier", "siren", "kan"):
        regressor = build(resolve({"model": model, "preset": "lm_plain", "problem": problem.name}), problem)
        network = regressor.network
        parameters = list(network.parameters())
        calls: list[tuple[Callable[[], object], ...]] = [
            tuple(partial(of, network, x, parameters, seeds) for of in (jacobian, jacobian_of_any))
            for seeds in (None, laplacian)
        ]
        calls.append(tuple(partial(gradient, of, network, x, parameters) for of in (jet, jet_of_any)))
        calls.append((steps(regressor, x),))
        columns = [", ".join(f"{median(call, options.rounds):.1f}" for call in each) for each in calls]
        print(f"| {model} | {sum(p.numel() for p in parameters)} | {' | '.join(columns)} |", flush=True)


def gradient(of: Callable[..., Jet], network: nn.Module, x: Tensor, parameters: list[nn.Parameter]) -> object:
    """Of the mean square of the Laplacian."""
    curvatures = of(network, x, 2).curvatures
    assert curvatures is not None
    return torch.autograd.grad(curvatures.sum(dim=-1).square().mean(), parameters, materialize_grads=True)


def steps(model: Regressor, x: Tensor) -> Callable[[], float]:
    """The next step of a training on ``-lap u = 1`` with ``u = 0`` at every fifth point."""

    def inside(x: Tensor, jet: Jet) -> Tensor:
        assert jet.curvatures is not None
        return jet.curvatures[:, 0].sum(dim=-1) + 1

    rows = (
        Rows(name="inside", points=lambda generator: x, residual=inside, order=2),
        Rows(name="at_zero", points=lambda generator: x[::5], residual=lambda x, jet: jet.value[:, 0], weight=100.0),
    )
    at = (x, x[::5])
    blocks = [
        Declared(model, each, points, model.jets_at(points, each.order)) for each, points in zip(rows, at, strict=True)
    ]
    parameters = list(model.network.parameters())
    objective = Objective(blocks, parameters, lambda value: None, lambda: None, torch.Generator())
    return levenberg_marquardt(objective, LMConfig(), lambda: None)


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
