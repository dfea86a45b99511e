"""The optimizers, each as a function that takes one epoch's step.

A step gets the objective, which it evaluates at the current parameters as often as the method asks for it, and says
what it measured.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch._dynamo
from torch import Tensor, nn

from harness.config import RunConfig
from harness.training.levenberg_marquardt import levenberg_marquardt
from harness.training.objective import Objective, Optimizer, Step, Taken, gradient_norm


def learning_rate(config: RunConfig, epoch: int) -> float | None:
    """The rate of a 1-based epoch: adam's falls by ``lr_decay`` for the second half of all epochs (document, Problem 1).

    None for a method without one.
    """
    if config.lr is not None and config.lr_decay is not None and epoch > (config.epochs + 1) // 2:
        return config.lr * config.lr_decay
    return config.lr


def adam(parameters: list[nn.Parameter], config: RunConfig, epoch: Callable[[], int]) -> Step:
    """Adam (Kingma and Ba 2015, algorithm 1) on the whole training set, with the gradient's norm clipped to ``clip``."""
    assert config.lr is not None
    optimizer = torch.optim.Adam(parameters, lr=config.lr)

    def step(objective: Objective) -> Taken:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, epoch())
        objective.evaluate()
        norm = gradient_norm(parameters)
        if config.clip is not None:
            nn.utils.clip_grad_norm_(parameters, config.clip)
        optimizer.step()
        return Taken(norm)

    return step


def lbfgs(parameters: list[nn.Parameter], config: RunConfig, epoch: Callable[[], int]) -> Step:
    """L-BFGS with a line search for the strong Wolfe conditions (Nocedal and Wright 2006, algorithms 7.5 and 3.5).

    An epoch is up to ``iterations`` iterations; the curvature history lives on from epoch to epoch. Nothing is clipped:
    a clipped gradient is that of another function than the one that the line search measures.
    """
    assert config.lr is not None
    assert config.iterations is not None
    assert config.history is not None
    optimizer = torch.optim.LBFGS(
        parameters,
        lr=config.lr,
        max_iter=config.iterations,
        history_size=config.history,
        line_search_fn="strong_wolfe",
        # As pykan: only the budget ends an epoch. The defaults are absolute and stop at an MSE of about 1e-9.
        tolerance_grad=1e-32,
        tolerance_change=1e-32,
    )

    def step(objective: Objective) -> Taken:
        first: list[float] = []

        def closure() -> Tensor:
            value = objective.evaluate()
            if not first:
                first.append(gradient_norm(parameters))
            return value

        optimizer.step(closure)
        return Taken(first[0])

    return step


def hold(parameters: list[nn.Parameter], config: RunConfig, epoch: Callable[[], int]) -> Step:
    """One evaluation without a step: for an epoch that changes the model by other means, such as a cut."""

    def step(objective: Objective) -> Taken:
        objective.evaluate()
        return Taken(gradient_norm(parameters))

    return step


OPTIMIZERS: dict[str, Optimizer] = {"adam": adam, "lbfgs": lbfgs, "lm": levenberg_marquardt}
