"""The model that every family shares: a network between an affine input and an affine output, in raw units."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

Inputs = Float[Tensor, "points dimension"]
Outputs = Float[Tensor, "points 1"]


class Regressor(nn.Module):
    """``y = mean + std * network((x - centre) / half_width)``.

    Inputs of any floating dtype are taken in the units of the problem and answered in those of its target; the network
    sees inputs in [-1, 1] and, with ``mean`` and ``std`` of the training targets, learns standardised ones. The four
    statistics are fixed and belong to the state. A NaN input gives a NaN output.
    """

    centre: Tensor
    half_width: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        low: float,
        high: float,
        mean: float = 0.0,
        std: float = 1.0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        self.network = network
        for name, value in (
            ("centre", (low + high) / 2),
            ("half_width", (high - low) / 2),
            ("mean", mean),
            ("std", std),
        ):
            self.register_buffer(name, torch.tensor(value, dtype=dtype))

    def forward(self, x: Inputs) -> Outputs:
        """Predictions of shape ``(points, 1)`` for inputs of shape ``(points, dimension)``."""
        return self.raw(self.network(self.scaled(x)))

    def raw(self, outputs: Outputs) -> Outputs:
        """The network's outputs in the units of the target."""
        return self.mean + self.std * outputs

    def at(self, x: Inputs) -> FixedPoints:
        """The model at points that stay the same, for many evaluations."""
        return FixedPoints(self, x)

    def scaled(self, x: Inputs) -> Inputs:
        """The inputs as the network sees them."""
        return (x.to(self.mean.dtype) - self.centre) / self.half_width


class FixedPoints:
    """A model at points that stay the same: they are scaled once, and a network with an ``at`` of its own can do more.

    Follows whatever happens to the model's parameters; the model has to stay where it is, and in its dtype.
    """

    def __init__(self, model: Regressor, x: Inputs) -> None:
        self.model = model
        scaled = model.scaled(x)
        at = getattr(model.network, "at", None)
        self.network: Callable[[], Outputs] = partial(model.network, scaled) if at is None else at(scaled)

    def __call__(self) -> Outputs:
        """As ``model(x)``, with a gradient in the parameters only."""
        return self.model.raw(self.network())
