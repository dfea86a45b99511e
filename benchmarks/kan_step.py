"""Own KAN against stock pykan: time of a training step at equal L-BFGS steps, side by side in one process.

    OMP_NUM_THREADS=1 python benchmarks/kan_step.py [--steps 20] [--rounds 7]

Both start from the same weights ([2, 5, 1], G = 20, k = 3, 1000 points) and take ``--steps`` L-BFGS steps (history 10,
strong Wolfe, up to 20 iterations) without grid updates. Stock is ``MultKAN.fit``; own is a stage of this project's
training loop with all that it does besides: finite checks at each evaluation, validation and test errors and a snapshot
each step. Stock and own alternate; a time is the median over the rounds, of the CPU. Memory, and other packages: kan_peers.py.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import platform
import statistics
import tempfile
import time
from typing import Any, cast

import torch
from torch import Tensor

from harness import problems
from harness.data import sample
from harness.models import KAN, build
from harness.models.kan import FixedPoints
from harness.models.multkan import undisturbed_generators
from harness.presets import resolve
from harness.training.loop import Training

LAMB, LAMB_ENTROPY = 1e-3, 2.0


class Own:
    """The KAN of this project, in its own training loop."""

    def __init__(self, dtype: torch.dtype, regularised: bool, steps: int) -> None:
        values = {"model": "kan", "problem": "poisson_2d_sin", "width": 5, "depth": 1, "grids": (20,), "epochs": steps}
        self.config = resolve({**values, "dtype": str(dtype).removeprefix("torch."), "grid_update_every": 0})
        problem = problems.get("poisson_2d_sin")
        c = self.config
        self.data = sample(problem, c.seed, c.n_train, c.n_val, c.n_test, dtype)
        self.model = build(self.config, problem, self.data.train)
        self.training = Training(self.model, self.data, self.config)
        self.network = cast(KAN, self.model.network)
        self.penalised = self._penalised if regularised else None

    def _penalised(self) -> tuple[Tensor, Tensor]:
        outputs, penalty = cast(FixedPoints, self.training.at_inputs).penalised(LAMB_ENTROPY)
        return self.model.raw(outputs), LAMB * penalty

    def step(self, steps: int) -> float:
        """Train; the evaluations a step."""
        for _ in self.training.stage("train", steps, penalised=self.penalised):
            pass
        return self.training.evals / steps


class Stock:
    """A MultKAN of the same weights and data."""

    def __init__(self, own: Own, regularised: bool) -> None:
        self.multkan = own.network.to_multkan()
        self.lamb = LAMB if regularised else 0.0
        mean, std = own.model.mean, own.model.std
        self.dataset = {
            "train_input": own.model.scaled(own.data.train.x),
            "train_label": (own.data.train.y - mean) / std,
            "test_input": own.model.scaled(own.data.test.x),
            "test_label": (own.data.test.y - mean) / std,
        }
        self.calls = 0

    def step(self, steps: int) -> float:
        """Train; the evaluations a step."""
        forward = self.multkan.forward

        def counted(*args: Any, **kwargs: Any) -> Tensor:
            self.calls += 1
            return cast(Tensor, forward(*args, **kwargs))

        self.multkan.forward = counted
        with contextlib.redirect_stderr(io.StringIO()), undisturbed_generators():
            self.multkan.fit(
                self.dataset, steps=steps, lamb=self.lamb, lamb_entropy=LAMB_ENTROPY, update_grid=False, log=steps + 1
            )
        return self.calls / steps - 1  # one call a step is the test error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, torch {torch.__version__}, one thread, {options.steps} steps, {options.rounds} rounds\n"
    )
    print("| dtype | regularised | stock ms/step | own ms/step | ratio | evaluations/step |")
    print("|---|---|---|---|---|---|")
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        for regularised in (False, True):
            times: dict[str, list[float]] = {"stock": [], "own": []}
            evals: dict[str, float] = {}
            for _ in range(options.rounds + 1):
                own = Own(dtype, regularised, options.steps)
                stock = Stock(own, regularised)
                for name, side in (("stock", stock), ("own", own)):
                    started = time.process_time()
                    evals[name] = side.step(options.steps)
                    times[name].append((time.process_time() - started) / options.steps * 1e3)
            stock_ms, own_ms = (statistics.median(times[name][1:]) for name in ("stock", "own"))
            ratio = statistics.median(s / o for s, o in zip(times["stock"][1:], times["own"][1:], strict=True))
            print(
                f"| {str(dtype)[6:]} | {'yes' if regularised else 'no'} | {stock_ms:.1f} | {own_ms:.1f} | {ratio:.1f}x "
                f"| {evals['stock']:.1f}, {evals['own']:.1f} |"
            )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        main()
