"""The model that every family shares: a network between an affine input and an affine output, in raw units."""

from __future__ import annotations

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
        return self.mean + self.std * self.network(self.scaled(x))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def scaled(self, x: Inputs) -> Inputs:
        """The inputs as the network sees them."""
        return (x.to(self.mean.dtype) - self.centre) / self.half_width
