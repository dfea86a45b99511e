"""Whether pruning keeps its promise: criteria K1 to K4 of `kan_pruned` on the seven Poisson problems.

OMP_NUM_THREADS=1 python benchmarks/pruning.py [--preset lm] [--seeds 5] [--first-seed 300] [--set name=value ...]

Trains each run and its unpruned twin (the same total epochs and seed) without a store, two at a time.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from harness import problems
from harness.config import RunConfig
from harness.data import Data, sample, scale2
from harness.models import build
from harness.presets import resolve
from harness.training import Epoch, Pruned, StageStarted, train

PROBLEMS = [name for name in problems.PROBLEMS.names() if name.startswith("poisson")]


@dataclass(frozen=True)
class Result:
    """What one run says of the criteria."""

    spike: float
    """K1: largest loss in relation to the least before it in its stage, and after retraining to that before the cut."""
    ratio: float
    """K2: dense MSE in relation to the twin's."""
    staged: bool
    """K3: sparsify, prune, retrain in this order."""
    reduction: float
    """K4."""
    nmse: float
    seconds: float

    @property
    def passes(self) -> bool:
        """K1 to K4, all of them."""
        return self.spike <= 10 and self.ratio <= 2 and self.staged and self.reduction >= 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="lm")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=300)
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    extra = dict(pair.split("=", 1) for pair in given.set)
    names = given.problems.split(",")
    print("| problem | K1 to K4 | spike | to the twin | reduction | NMSE | training, s |")
    print("|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        cells = {
            name: [
                pool.submit(measure, {"problem": name, "preset": given.preset, "seed": seed, **extra})
                for seed in range(given.first_seed, given.first_seed + given.seeds)
            ]
            for name in names
        }
        passed = 0
        for name, futures in cells.items():
            results = [future.result() for future in futures]
            passed += sum(result.passes for result in results)
            print(f"| {name} | {sum(r.passes for r in results)} of {len(results)} | {summary(results)} |", flush=True)
    print(f"\n{passed} of {len(names) * given.seeds} runs pass all four.")


def summary(results: Sequence[Result]) -> str:
    """The median of each figure; of those that are decided by a bound, the worst too."""
    columns = [
        ("spike", "{:.1f} ({:.1f})", max),
        ("ratio", "{:.2g} ({:.2g})", max),
        ("reduction", "{:.0%} ({:.0%})", min),
        ("nmse", "{:.0e} ({:.0e})", max),
        ("seconds", "{:.1f} ({:.1f})", max),
    ]
    values = {name: [getattr(result, name) for result in results] for name, _, _ in columns}
    return " | ".join(
        shape.format(statistics.median(values[name]), worst(values[name])) for name, shape, worst in columns
    )


def measure(given: dict[str, object]) -> Result:
    """Train one run and its twin."""
    torch.set_num_threads(1)
    config = resolve({**given, "model": "kan_pruned"})
    problem = problems.get(config.problem)
    data = sample(problem, config.seed, config.n_train, config.n_val, config.n_test)
    floor = 1e-8 * scale2(data.dense.y)
    stages: list[tuple[str, list[float]]] = []
    reduction, seconds = 0.0, 0.0
    model = build(config, problem, data.train)
    for event in train(model, data, config):
        match event:
            case StageStarted():
                stages.append((event.name, []))
            case Epoch():
                stages[-1][1].append(event.train_mse + floor)
                seconds = event.train_s
            case Pruned():
                reduction = (event.params_before - event.params_after) / event.params_before
    spikes = [max(loss / min(losses[: i + 1]) for i, loss in enumerate(losses)) for _, losses in stages]
    order = [name for name, _ in stages]
    sparsify = next(losses for name, losses in stages if name == "sparsify")
    spikes.append(stages[-1][1][-1] / sparsify[-1])
    with torch.no_grad():
        dense = (model(data.dense.x) - data.dense.y).square().mean().item()
    twin = config.twin()
    assert twin is not None
    ratio = (dense + floor) / (base_mse(twin, data) + floor)
    where = [order.index(name) if name in order else -1 for name in ("sparsify", "prune", "retrain")]
    return Result(
        max(spikes), ratio, -1 not in where and where == sorted(where), reduction, dense / floor * 1e-8, seconds
    )


def base_mse(config: RunConfig, data: Data) -> float:
    """Dense MSE of the unpruned twin."""
    model = build(config, problems.get(config.problem), data.train)
    for _ in train(model, data, config):
        pass
    with torch.no_grad():
        error: torch.Tensor = model(data.dense.x) - data.dense.y
    return error.square().mean().item()


if __name__ == "__main__":
    main()
