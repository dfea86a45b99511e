"""A value with its derivatives along the axes, as it goes through the layers of a network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from harness.models.interface import Inputs
from harness.models.jets import Seeds
from harness.problems.rows import Jet

Units = Float[Tensor, "units points"]


class Channels(NamedTuple):
    """Units at all points: values, first and second derivatives, an entry for each axis; or the adjoints of these."""

    value: Units
    slopes: list[Tensor]
    curvatures: list[Tensor]

    @classmethod
    def of_inputs(cls, x: Inputs, order: int) -> Channels:
        """The inputs themselves: each has the slope 1 along its own axis."""
        slopes = list(torch.eye(x.shape[1]).to(x).unsqueeze(-1).expand(-1, -1, len(x)))
        curvatures = [torch.zeros_like(slope) for slope in slopes]
        return cls(x.T.contiguous(), slopes if order > 0 else [], curvatures if order > 1 else [])

    @classmethod
    def of_jet(cls, jet: Jet | Seeds) -> Channels:
        """From points first and axes last."""
        return cls(
            jet[0].T.contiguous(), *([] if p is None else list(p.permute(2, 1, 0).contiguous()) for p in jet[1:])
        )

    def as_jet(self) -> Jet:
        """Points first, axes last."""
        return Jet(self.value.T, *(torch.stack([e.T for e in part], -1) if part else None for part in self[1:]))

    def derivatives(self) -> list[Tensor]:
        """All but the values."""
        return [*self.slopes, *self.curvatures]
