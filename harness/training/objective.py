"""Between a training and its optimizer: what the optimizer sees, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.config import RunConfig
from harness.data import Sample
from harness.models import Regressor
from harness.models.regressor import Inputs, Outputs

Residuals = Float[Tensor, " points"]


@dataclass(frozen=True)
class Objective:
    """Mean squared residual in the units of the network, MSE / std^2, plus the penalty of the stage."""

    model: Regressor
    train: Sample
    inputs: Inputs
    """The training inputs as the network sees them."""
    parameters: list[nn.Parameter]
    predict: Callable[[], tuple[Outputs, Tensor | None]]
    """Predictions at the training points, and the penalty if there is one; both with their graphs."""
    evaluate: Callable[[], Tensor]
    """The objective with its gradient in each ``.grad``; one evaluation. A number that is not finite ends the training."""
    count: Callable[[], None]
    """Add one to the evaluations of the training."""

    @torch.no_grad()
    def attempt(self) -> tuple[Residuals, float]:
        """Residuals and objective where the parameters are now, without a gradient; one evaluation.

        Both may be anything but finite: this is for points that a method tries before it decides.
        """
        self.count()
        predictions, penalty = self.predict()
        residuals = (predictions - self.train.y).flatten() / self.model.std
        value = residuals.square().mean()
        return residuals, (value if penalty is None else value + penalty).item()


@dataclass(frozen=True)
class Taken:
    """A step that was taken."""

    grad_norm: float
    """Norm of the objective's gradient where the step started, before any clipping."""
    extra: dict[str, float] = field(default_factory=dict)
    """What the method measures besides, by metric name."""


Step = Callable[[Objective], Taken]
Optimizer = Callable[[list[nn.Parameter], RunConfig, Callable[[], int]], Step]
"""Makes the steps of a stage from its parameters, the configuration, and the number of the epoch."""


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """Euclidean norm of the gradient over all parameters; NaN when any of it is."""
    return nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]).item()
