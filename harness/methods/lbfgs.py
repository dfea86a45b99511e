"""L-BFGS with a line search for the strong Wolfe conditions (:mod:`harness.methods.quasi_newton`)."""

from __future__ import annotations

from harness.fields import field
from harness.methods import Method, MethodConfig, Objective, Rate, Step, register


class LBFGSConfig(MethodConfig):
    """The first trial of a line search, and how much is done and remembered."""

    lr: float = field(1.0, "lbfgs: first trial step of a line search.", gt=0)
    iterations: int = field(20, "lbfgs: iterations an epoch, at most.", source="torch.optim.LBFGS", ge=1, le=10_000)
    history: int = field(10, "lbfgs: curvature pairs kept.", source="pykan 0.2.8", ge=1, le=1_000)

    def rate(self, epoch: int, epochs: int) -> float:
        """Always the same."""
        return self.lr

    def vectors(self, epochs: int) -> int:
        """Parameters, gradient, and the curvature pairs that there will be."""
        return 2 + 2 * min(self.history, epochs * self.iterations)


def lbfgs(objective: Objective, config: LBFGSConfig, rate: Rate) -> Step:
    """An epoch is up to ``iterations`` iterations; the curvature history lives on from epoch to epoch.

    Nothing is clipped: a clipped gradient is that of another function than the one that the line search measures. The
    parameters become views of one vector, which is what the method works on.
    """
    import torch

    from harness.methods.quasi_newton import LBFGS
    from harness.methods.vectors import flat, norm

    parameters = objective.parameters
    vector = flat(parameters)
    for parameter, part in zip(parameters, vector.split([p.numel() for p in parameters]), strict=True):
        parameter.data = part.view_as(parameter)
    method = LBFGS(vector, config.lr, config.iterations, config.history)

    def loss_and_gradient() -> tuple[float, torch.Tensor]:
        loss = objective.evaluate().item()
        return loss, torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])

    return lambda: norm([method.step(loss_and_gradient)])


register(Method("lbfgs", LBFGSConfig, lbfgs, "L-BFGS with a line search for the strong Wolfe conditions."))
