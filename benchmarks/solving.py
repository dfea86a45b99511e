"""What an equation takes: error of u against seconds, beside classical solvers, DeepXDE and pykan, side by side in one run.

    OMP_NUM_THREADS=1 python benchmarks/solving.py families [--problems solve_2d_spec,solve_2d_highfreq] [--seconds 5] [--seeds 5]
    OMP_NUM_THREADS=1 python benchmarks/solving.py deepxde      # needs `pip install deepxde==1.15.0 scikit-optimize`
    OMP_NUM_THREADS=1 python benchmarks/solving.py pykan
    python benchmarks/solving.py table --store sqlite:///mlflow.db      # after `harness benchmark --suite solve`

``families``: each family with preset ``lm`` on fresh seeds (1000 and on), as many epochs as fit into the seconds (found by a
short trial); relative L2 of u, the seconds to an MSE of 1e-7 (the KAN paper's figure on solve_2d_spec), and what the classical
solvers need. ``deepxde``: its own network, points and losses on solve_2d_spec, Adam and then L-BFGS as its documentation says,
against the same network here; ``pykan``: its example 7 (solve_2d_sin, [2, 2, 1], grids 5, 10, 20 of 50 L-BFGS steps on a mesh of
51 x 51) against preset ``lm``. Both tell after how many seconds the network here is at the final error of the peer.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from torch import Tensor

from harness import data, problems
from harness.config import RunConfig
from harness.families import FAMILIES
from harness.models import Regressor, build
from harness.models.interface import active_parameters
from harness.presets import DAGGER, resolve
from harness.training import Epoch, train

NETWORKS = ("mlp", "mlp_fourier", "siren", "kan", "kan_pruned")
CLASSICAL = ("spectral", "finite_difference")
PAPER = 1e-7
"""MSE of u on solve_2d_spec (Liu et al. 2024, section 3.4)."""


class Moment(NamedTuple):
    """Seconds of training so far, and the errors of u then."""

    seconds: float
    rel_l2: float
    mse: float


def solve(config: RunConfig) -> tuple[Regressor, list[Moment]]:
    """A training, with the errors on the dense points after each epoch, off the clock."""
    drawn = data.of(config)
    model = build(config, problems.get(config.problem), drawn.train)
    u = drawn.dense.y
    found = []
    for event in train(model, drawn, config):
        if isinstance(event, Epoch):
            error = model.predict(drawn.dense.x) - u
            found.append(Moment(event.train_s, (error.norm() / u.norm()).item(), error.square().mean().item()))
    return model, found


def epochs_in(seconds: float, fields: dict[str, Any]) -> int:
    """About as many epochs as these seconds have, by a trial of twenty of each grid."""
    config = resolve({**fields, "seed": 0})
    trial = resolve({**fields, "seed": 0, "epochs": min(40, config.epochs)})
    _, moments = solve(trial)
    return max(10, round(seconds * len(moments) / moments[-1].seconds))


def first(moments: list[Moment], error: str, bound: float) -> float:
    """The seconds after which an error of that name is within a bound; infinite where it never is."""
    return next((moment.seconds for moment in moments if getattr(moment, error) <= bound), math.inf)


def families(options: argparse.Namespace) -> None:
    print(
        f"{options.seconds:g} s, seeds {options.first_seed} to {options.first_seed + options.seeds - 1}, one thread\n"
    )
    print("| problem | family | parameters | epochs | relative L2 of u: median | least | largest | s to MSE 1e-7 |")
    print("|---|---|---|---|---|---|---|---|")
    for problem in options.problems.split(","):
        for model in options.models.split(","):
            fields = {"model": model, "problem": problem, "preset": options.preset}
            given = {} if model in CLASSICAL else {"epochs": epochs_in(options.seconds, fields)}
            errors, to_paper, parameters, epochs = [], [], 0, 0
            seeds = 1 if model in CLASSICAL else options.seeds
            for seed in range(options.first_seed, options.first_seed + seeds):
                network, moments = solve(resolve({**fields, **given, "seed": seed}))
                errors.append(moments[-1].rel_l2)
                to_paper.append(first(moments, "mse", PAPER))
                parameters, epochs = active_parameters(network.network), len(moments)
            low, middle, high = (f"{of(errors):.1e}" for of in (min, statistics.median, max))
            print(
                f"| {problem} | {model} | {parameters} | {epochs} | {middle} | {low} | {high} | "
                f"{statistics.median(to_paper):.2g} |",
                flush=True,
            )


def deepxde(options: argparse.Namespace) -> None:
    """DeepXDE 1.15 on solve_2d_spec: [2, 10, 10, 10, 1] of tanh, 1000 + 200 points, float64."""
    import os

    os.environ["DDE_BACKEND"] = "pytorch"
    import deepxde as dde

    dde.config.set_default_float("float64")
    problem = problems.get("solve_2d_spec")
    equation = problem.equation
    assert equation is not None
    forcing = equation.forcing
    assert forcing is not None
    scale = data.scale_of(problem)
    print("| seed | DeepXDE: s | relative L2 of u | mlp here: s to it | times sooner | at the end: s | relative L2 |")
    print("|---|---|---|---|---|---|---|")
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        dde.config.set_random_seed(seed)
        box = dde.geometry.Rectangle([-1, -1], [1, 1])

        def residual(x: Tensor, u: Tensor) -> Tensor:
            laplacian: Tensor = dde.grad.hessian(u, x, i=0, j=0) + dde.grad.hessian(u, x, i=1, j=1)
            return laplacian - forcing(x)

        def values(x: Any) -> Any:
            return problem.values(torch.from_numpy(np.asarray(x, dtype=np.float64))).numpy()

        sides = dde.icbc.DirichletBC(box, values, lambda x, on_boundary: on_boundary)
        drawn = dde.data.PDE(box, residual, sides, num_domain=1000, num_boundary=200)
        model = dde.Model(drawn, dde.nn.FNN([2, 10, 10, 10, 1], "tanh", "Glorot normal"))
        started = time.perf_counter()
        weights = [1 / scale**2, 100 / scale**2]
        model.compile("adam", lr=1e-3, loss_weights=weights, verbose=0)
        model.train(iterations=options.adam, display_every=10**9, verbose=0)
        model.compile("L-BFGS", loss_weights=weights, verbose=0)
        model.train(display_every=10**9, verbose=0)
        seconds = time.perf_counter() - started
        x = data.dense_points(problem)
        u = problem.values(x).numpy()
        error = float(np.linalg.norm(model.predict(x.numpy()) - u) / np.linalg.norm(u))
        _, moments = solve(
            resolve({"model": "mlp", "problem": "solve_2d_spec", "preset": "lm", "width": 10, "depth": 3, "seed": seed})
        )
        sooner = first(moments, "rel_l2", error)
        print(
            f"| {seed} | {seconds:.1f} | {error:.1e} | {sooner:.2f} | {seconds / sooner:.0f} | {moments[-1].seconds:.1f} | "
            f"{moments[-1].rel_l2:.1e} |",
            flush=True,
        )


def pykan(options: argparse.Namespace) -> None:
    """Example 7 of pykan's documentation: as it is there, but for the printing."""
    print(
        "| seed | pykan: s | MSE of u | relative L2 | kan here: s to it | times sooner | at the end: s | relative L2 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        seconds, mse, rel_l2 = _example_7(seed, options.steps)
        _, moments = solve(resolve({"model": "kan", "problem": "solve_2d_sin", "preset": "lm", "seed": seed}))
        sooner = first(moments, "rel_l2", rel_l2)
        print(
            f"| {seed} | {seconds:.0f} | {mse:.1e} | {rel_l2:.1e} | {sooner:.2f} | {seconds / sooner:.0f} | "
            f"{moments[-1].seconds:.1f} | {moments[-1].rel_l2:.1e} |",
            flush=True,
        )


def _example_7(seed: int, steps: int) -> tuple[float, float, float]:
    from kan import KAN
    from kan.LBFGS import LBFGS

    problem = problems.get("solve_2d_sin")
    axis = torch.linspace(-1, 1, 51)
    inside = torch.cartesian_prod(axis, axis)
    ends = torch.tensor([-1.0, 1.0])
    sides = torch.cat([torch.cartesian_prod(axis, ends), torch.cartesian_prod(ends, axis)])
    equation = problem.equation
    assert equation is not None
    assert equation.forcing is not None
    source = -equation.forcing(inside)[:, 0]
    model: Any = KAN(width=[2, 2, 1], grid=5, k=3, seed=seed, auto_save=False).speed()
    started = time.perf_counter()
    for grid in (5, 10, 20):
        if grid > 5:
            model.save_act = True
            model.get_act(inside)
            model = model.refine(grid).speed()
        optimizer = LBFGS(
            model.parameters(),
            lr=1,
            history_size=10,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-32,
            tolerance_change=1e-32,
            tolerance_ys=1e-32,
        )

        def closure(model: Any = model, optimizer: Any = optimizer) -> Tensor:
            optimizer.zero_grad()
            x = inside.clone().requires_grad_(True)
            (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
            second = [torch.autograd.grad(slope[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(2)]
            of_pde = (second[0] + second[1] - source).square().mean()
            of_sides = (model(sides) - problem.target(sides)).square().mean()
            loss: Tensor = 0.01 * of_pde + of_sides
            loss.backward()
            return loss

        for number in range(steps):
            if number % 5 == 0 and number < 50:
                model.save_act = True
                model.update_grid_from_samples(inside)
                model.save_act = False
            optimizer.step(closure)
    seconds = time.perf_counter() - started
    x = data.dense_points(problem)
    with torch.no_grad():
        error = model(x.float()).double() - problem.values(x)
    return seconds, error.square().mean().item(), (error.norm() / problem.values(x).norm()).item()


def table(options: argparse.Namespace) -> None:
    """The medians of a store's completed runs with these seeds, for docs/solving.md: relative L2 of u, seconds of training."""
    client = MlflowClient(options.store)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    token = None
    while token != "":
        page = client.search_runs(experiments, "tags.outcome = 'completed'", max_results=1000, page_token=token)
        for run in page:
            if "final/residual_nmse" not in run.data.metrics:
                continue
            if 0 <= int(run.data.params["cfg/seed"]) - options.first_seed < options.seeds:
                found[run.data.params["cfg/problem"], run.data.params["cfg/model"]].append(run)
        token = page.token or ""
    models = [model for model in FAMILIES.names() if any(of == model for _, of in found)]
    solved = sorted({name for name, _ in found}, key=problems.PROBLEMS.names().index)
    seeds = sorted({int(run.data.params["cfg/seed"]) for runs in found.values() for run in runs})
    print(f"Seeds {seeds[0]} to {seeds[-1]}\n")
    down, across = (models, solved) if len(models) > len(solved) else (solved, models)
    print(f"| | {' | '.join(f'`{name}`' if name in solved else name for name in across)} |")
    print("|---" * (len(across) + 1) + "|")
    for one in down:
        pairs = ((one, other) if one in solved else (other, one) for other in across)
        print(f"| `{one}` | {' | '.join(_medians(found[pair], len(seeds)) for pair in pairs)} |")


def _medians(runs: Sequence[Run], seeds: int) -> str:
    """Relative L2 and seconds, and of how many seeds where these are not all."""
    if not runs:
        return ""
    rel_l2, seconds = (
        statistics.median(run.data.metrics[name] for run in runs) for name in ("final/rel_l2", "time/train_s")
    )
    dagger = DAGGER if any(run.data.tags.get("preset.knows_target") for run in runs) else ""
    few = f", {len(runs)} seeds" if len(runs) < seeds else ""
    spent = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"
    return f"{rel_l2:.1e}{dagger} ({spent}{few})"


def commands() -> Iterator[tuple[str, Callable[[argparse.Namespace], None]]]:
    yield "families", families
    yield "deepxde", deepxde
    yield "pykan", pykan
    yield "table", table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[name for name, _ in commands()])
    parser.add_argument("--problems", default="solve_2d_spec")
    parser.add_argument("--models", default=",".join((*NETWORKS, *CLASSICAL)))
    parser.add_argument("--preset", default="lm")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first_seed", type=int, default=1000)
    parser.add_argument(
        "--adam", type=int, default=10_000, help="deepxde: iterations of Adam, as in its Poisson examples"
    )
    parser.add_argument("--store", default="sqlite:///mlflow.db", help="table: where the runs are")
    parser.add_argument("--steps", type=int, default=50, help="pykan: L-BFGS steps of each grid")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dict(commands())[options.what](options)


if __name__ == "__main__":
    main()
