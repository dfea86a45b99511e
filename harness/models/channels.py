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
Along = Float[Tensor, "axes units points"]


class Channels(NamedTuple):
    """Units at all points: values, first and second derivatives along each axis; or the adjoints of these."""

    value: Units
    slopes: Along | None = None
    curvatures: Along | None = None

    @classmethod
    def of_inputs(cls, x: Inputs, order: int) -> Channels:
        """The inputs themselves: each has the slope 1 along its own axis."""
        slopes = torch.eye(x.shape[1]).to(x).unsqueeze(-1).repeat(1, 1, len(x)) if order > 0 else None
        return cls(x.T.contiguous(), slopes, torch.zeros_like(slopes) if slopes is not None and order > 1 else None)

    @classmethod
    def of_jet(cls, jet: Jet | Seeds) -> Channels:
        """From points first and axes last."""
        along = (None if part is None else part.permute(2, 1, 0).contiguous() for part in jet[1:])
        return cls(jet[0].T.contiguous(), *along)

    def as_jet(self) -> Jet:
        """Points first, axes last."""
        return Jet(self.value.T, *(None if part is None else part.permute(2, 1, 0) for part in self[1:]))
