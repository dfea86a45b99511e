"""The optimizers, each as a function that takes one epoch's step.

A step gets ``evaluate``, which computes the objective and its gradient at the current parameters, as often as the
method asks for it, and returns the norm of the gradient that it started from. What a training hands in is an
:class:`Objective`, which can do that and more, for least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from harness.config import RunConfig
from harness.training.adam import Adam
from harness.training.lbfgs import LBFGS
from harness.training.levenberg_marquardt import levenberg_marquardt
from harness.training.objective import Objective

Evaluate = Callable[[], Tensor]
Step = Callable[[Evaluate], float]


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """Euclidean norm of the gradient over all parameters; NaN when any of it is."""
    return norm(p.grad for p in parameters if p.grad is not None)


def norm(tensors: Iterable[Tensor]) -> float:
    """Euclidean norm over all numbers of ``tensors``; NaN when any of them is."""
    total: Tensor = torch.linalg.vector_norm(torch.cat([tensor.flatten() for tensor in tensors]))
    return total.item()


def learning_rate(config: RunConfig, epoch: int) -> float | None:
    """The rate of a 1-based epoch: adam's falls by ``lr_decay`` for the second half of all epochs (document, Problem 1).

    None for lm, which has none.
    """
    if config.lr is not None and config.lr_decay is not None and epoch > (config.epochs + 1) // 2:
        return config.lr * config.lr_decay
    return config.lr


def adam(parameters: list[nn.Parameter], config: RunConfig, epoch: Callable[[], int]) -> Step:
    """Adam (Kingma and Ba 2015, algorithm 1) on the whole training set, with the gradient's norm clipped to ``clip``."""
    method = Adam(parameters)

    def step(evaluate: Evaluate) -> float:
        rate = learning_rate(config, epoch())
        assert rate is not None
        evaluate()
        before = gradient_norm(parameters)
        if config.clip is not None:
            nn.utils.clip_grad_norm_(parameters, config.clip)
        method.step(rate)
        return before

    return step


def lbfgs(parameters: list[nn.Parameter], config: RunConfig, epoch: Callable[[], int]) -> Step:
    """L-BFGS (:mod:`harness.training.lbfgs`).

    An epoch is up to ``iterations`` iterations; the curvature history lives on from epoch to epoch. Nothing is clipped:
    a clipped gradient is that of another function than the one that the line search measures. The parameters become
    views of one vector, which is what the method works on.
    """
    assert config.lr is not None
    assert config.iterations is not None
    assert config.history is not None
    vector = torch.cat([parameter.detach().flatten() for parameter in parameters])
    for parameter, part in zip(parameters, vector.split([p.numel() for p in parameters]), strict=True):
        parameter.data = part.view_as(parameter)
    method = LBFGS(vector, config.lr, config.iterations, config.history)

    def step(evaluate: Evaluate) -> float:
        def loss_and_gradient() -> tuple[float, Tensor]:
            loss = evaluate().item()
            return loss, torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])

        return norm([method.step(loss_and_gradient)])

    return step


def hold(parameters: list[nn.Parameter], config: RunConfig, epoch: Callable[[], int]) -> Step:
    """One evaluation without a step: for an epoch that changes the model by other means, such as a cut."""

    def step(evaluate: Evaluate) -> float:
        evaluate()
        return gradient_norm(parameters)

    return step


Optimizer = Callable[[list[nn.Parameter], RunConfig, Callable[[], int]], Callable[[Objective], float]]
OPTIMIZERS: dict[str, Optimizer] = {"adam": adam, "lbfgs": lbfgs, "lm": levenberg_marquardt}
