"""A step of Levenberg-Marquardt: this project's against every other that is installed, and what it has reached.

    pip install -r benchmarks/peers.txt
    OMP_NUM_THREADS=1 python benchmarks/lm_peers.py [--rounds 5] [--cases "mlp 3x10" "mlp 2x64"]

One process and one thread, float64. All start from the same weights and take the same number of steps on the same points of
poisson_2d_spec, or of friedman_1 for eight inputs and more; they alternate, and a time is the median over the rounds of the
CPU time of a step. `ours` has its default damping and geodesic acceleration, and is the whole training loop with the errors
at few other points. torch-levenberg-marquardt solves by Cholesky, its fastest way; optimistix is jitted, and compiled before;
scipy is `least_squares(method="lm")` (MINPACK) with this project's Jacobian. The error is the mean squared residual over the
variance of the target, at the training points, after the last step. The last column is the time in which the next best takes
all its steps, over the time until ours has no larger an error, for which it may take four times as many. scipy and optimistix
are left out above 1000 parameters, where a step takes them minutes.
"""

from __future__ import annotations

import argparse
import copy
import math
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from harness import problems
from harness.data import sample
from harness.methods.vectors import flat, move
from harness.models import KAN, Regressor, build, jets
from harness.presets import resolve
from harness.training.loop import Training


class Case(NamedTuple):
    """A network, its points, and how many steps are taken."""

    fields: dict[str, Any]
    points: int
    steps: int


LONGER = 4
"""Times as many steps, to reach the error of others."""
FEW = 1_000
SMALL = {"problem": "poisson_2d_spec"}
KAN_SMALL = {**SMALL, "model": "kan", "k": 3, "width": 5, "depth": 1, "grids": (20,), "grid_update_every": 0}
CASES = {
    "mlp 3x10": Case({**SMALL, "model": "mlp", "width": 10, "depth": 3}, 1_000, 20),
    "siren 2x14": Case({**SMALL, "model": "siren", "width": 14, "depth": 2, "omega0": 4.0}, 1_000, 20),
    "kan [2,5,1] G 20": Case(KAN_SMALL, 1_000, 20),
    "kan [2,5,1] G 20, longer": Case(KAN_SMALL, 1_000, 80),
    "mlp 2x64": Case({**SMALL, "model": "mlp", "width": 64, "depth": 2}, 10_000, 2),
    "kan [10,16,1] G 5": Case({**KAN_SMALL, "problem": "friedman_1", "width": 16, "grids": (5,)}, 10_000, 3),
}
Side = Callable[[Any, Any, Any], list[tuple[float, float]]]
"""CPU seconds, and the error there: after each step, or after the last."""


def ours(config: Any, data: Any, model: Regressor) -> list[tuple[float, float]]:
    """Step by step."""
    steps, passed = Training(model, data, config).stage("train", LONGER * config.epochs), 0.0
    found = []
    for _ in range(LONGER * config.epochs):
        started = time.process_time()
        next(steps)
        passed += time.process_time() - started
        found.append((passed, error(model, data)))
    return found


def torch_lm(config: Any, data: Any, model: Regressor) -> list[tuple[float, float]]:
    """By the network alone, on standardised targets."""
    from torch_levenberg_marquardt.training import LevenbergMarquardtModule

    network = of_plain_torch(model.network)
    module = LevenbergMarquardtModule(network, solve_method="cholesky", max_batch_size=1_000)
    x, y = standardised(model, data)
    started = time.process_time()
    for _ in range(config.epochs):
        module.training_step(x, y)
    passed = time.process_time() - started
    with torch.no_grad():
        return [(passed, float((network(x) - y).square().mean()))]


def of_plain_torch(network: nn.Module) -> nn.Module:
    """Without our own ways to a gradient; torch.func goes by plain operations anyway."""
    return nn.Sequential(*network) if isinstance(network, nn.Sequential) else network


def scipy(config: Any, data: Any, model: Regressor) -> list[tuple[float, float]]:
    """MINPACK counts an evaluation of the residuals as one; each step has one Jacobian."""
    from scipy.optimize import least_squares

    x, y = standardised(model, data)
    network, jacobians = model.network, [0]
    parameters = list(network.parameters())

    def residuals(theta: Any) -> Any:
        move(parameters, torch.from_numpy(theta))
        with torch.no_grad():
            return (network(x) - y).flatten().numpy()

    def jacobian(theta: Any) -> Any:
        jacobians[0] += 1
        move(parameters, torch.from_numpy(theta))
        return jets.jacobian(network, x, parameters).numpy()

    started = time.process_time()
    found = least_squares(residuals, flat(parameters).numpy(), jacobian, method="lm", max_nfev=config.epochs)
    passed = (time.process_time() - started) / jacobians[0] * config.epochs
    return [(passed, float(np.mean(found.fun**2)))]


def optimistix(config: Any, data: Any, model: Regressor) -> list[tuple[float, float]]:
    """The same network written for jax."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import optimistix as optx

    x, y = (jax.numpy.asarray(each.numpy()) for each in standardised(model, data))
    forward, theta = in_jax(model.network)
    solver = optx.LevenbergMarquardt(rtol=1e-16, atol=1e-16)

    def solve(theta: Any) -> Any:
        found = optx.least_squares(
            lambda t, _: (forward(t, x) - y).ravel(), solver, theta, max_steps=config.epochs, throw=False
        )
        return found.value, found.stats["num_steps"]

    compiled = jax.jit(solve).lower(theta).compile()
    started = time.process_time()
    value, steps = jax.block_until_ready(compiled(theta))
    passed = (time.process_time() - started) / int(steps) * config.epochs
    return [(passed, float(((forward(value, x) - y) ** 2).mean()))]


def in_jax(network: nn.Module) -> tuple[Callable[[Any, Any], Any], list[Any]]:
    """A function of parameters and points, and the parameters."""
    import jax
    from jax import numpy as jnp

    theta = [jnp.asarray(p.detach().numpy()) for p in network.parameters()]
    if isinstance(network, nn.Sequential):
        others = [module for module in network if not isinstance(module, nn.Linear)]
        wave = getattr(others[0], "omega0", None)

        def perceptron(theta: list[Any], x: Any) -> Any:
            for index in range(0, len(theta), 2):
                x = x @ theta[index].T + theta[index + 1]
                if index < len(theta) - 2:
                    x = jnp.tanh(x) if wave is None else jnp.sin(wave * x)
            return x

        return perceptron, theta
    grids = [jnp.asarray(layer.grid.numpy()) for layer in cast(KAN, network)]

    def splines(x: Any, grid: Any, k: int) -> Any:  # Cox and de Boor, all splines at all points
        x, knots = x[:, :, None], grid[None]
        basis = ((x >= knots[..., :-1]) & (x < knots[..., 1:])).astype(x.dtype)
        for degree in range(1, k + 1):
            left = (x - knots[..., : -degree - 1]) / (knots[..., degree:-1] - knots[..., : -degree - 1])
            right = (knots[..., degree + 1 :] - x) / (knots[..., degree + 1 :] - knots[..., 1:-degree])
            basis = left * basis[..., :-1] + right * basis[..., 1:]
        return basis

    def kan(theta: list[Any], x: Any) -> Any:
        for index, grid in enumerate(grids):
            coef, scale_base, scale_sp = theta[3 * index : 3 * index + 3]
            basis = splines(x, grid, 3)
            x = jnp.einsum("pis,ios->po", basis, coef * scale_sp[..., None]) + jax.nn.silu(x) @ scale_base
        return x

    return kan, theta


SIDES: dict[str, Side] = {
    "ours": ours,
    "torch-levenberg-marquardt": torch_lm,
    "optimistix": optimistix,
    "scipy": scipy,
}


def standardised(model: Regressor, data: Any) -> tuple[Tensor, Tensor]:
    """Points and targets as the network sees them."""
    return model.scaled(data.train.x), (data.train.y - model.mean) / model.std


@torch.no_grad()
def error(model: Regressor, data: Any) -> float:
    """Mean squared residual in the units of the network."""
    x, y = standardised(model, data)
    return float((model.network(x) - y).square().mean())


def is_there(name: str) -> bool:
    """Ours, or installed."""
    try:
        return name == "ours" or bool(version(name))
    except PackageNotFoundError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="*", default=list(CASES), help="Names.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = [name for name in SIDES if is_there(name)]
    print(
        f"{platform.machine()}, one thread; {', '.join(f'{n} {version(n)}' for n in ['torch', *names[1:]])}; "
        f"{options.rounds} rounds; CPU ms a step (error after the steps)\n"
    )
    head = ["network, parameters, points, steps", *names, "next best", "a step", "to its error"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name, case in CASES.items():
        if name in options.cases:
            print(row(name, case, names, options.rounds), flush=True)


def row(name: str, case: Case, names: list[str], rounds: int) -> str:
    """A line of the table."""
    config = resolve(
        {**case.fields, "optimizer": "lm", "standardise": True, "epochs": case.steps, "n_val": 100, "n_test": 100}
        | {"n_train": case.points}
    )
    problem = problems.get(config.problem)
    data = sample(problem, 0, case.points, 100, 100, torch.float64)
    model = build(config, problem, data.train)
    size = sum(p.numel() for p in model.network.parameters())
    taking_part = [each for each in names if size <= FEW or each not in ("scipy", "optimistix")]
    found: dict[str, list[list[tuple[float, float]]]] = {each: [] for each in taking_part}
    for _ in range(rounds + 1):  # the first warms up
        for each in taking_part:
            found[each].append(SIDES[each](config, data, copy.deepcopy(model)))
    after = {each: [steps[: case.steps][-1] for steps in found[each][1:]] for each in taking_part}
    seconds = {each: statistics.median(passed for passed, _ in after[each]) for each in taking_part}
    reached = {each: after[each][-1][1] for each in taking_part}
    cells = [f"{seconds[e] / case.steps * 1e3:.3g} ({reached[e]:.0e})" if e in seconds else "" for e in names]
    if len(taking_part) > 1:
        best = min(taking_part[1:], key=lambda each: seconds[each])
        to_the_same = statistics.median(
            next((passed for passed, error in steps if error <= reached[best]), math.inf) for steps in found["ours"][1:]
        )
        to_its_error = f"{seconds[best] / to_the_same:.1f}x" if math.isfinite(to_the_same) else "not reached"
        cells += [best, f"{seconds[best] / seconds['ours']:.1f}x", to_its_error]
    return f"| {name.removesuffix(', longer')}, {size}, {case.points}, {case.steps} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
