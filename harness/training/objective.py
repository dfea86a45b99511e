"""What an optimizer sees of a training: the function that it minimises, and its residuals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
    extra: dict[str, float] = field(default_factory=dict)
    """What a method measures in a step besides, by metric name; it goes into the event of the epoch."""

    def __call__(self) -> Tensor:
        """See :attr:`evaluate`."""
        return self.evaluate()

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
