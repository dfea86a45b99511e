"""One function around each of some training points: what kernel methods are, once they are fitted."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from harness.models.classical.expansion import Expansion, Features
from harness.models.interface import Inputs


class Gaussians(Expansion):
    """``exp(-|(x - centre) / scale|^2 / 2)``, with a scale for each input."""

    centres: Float[Tensor, "functions dimension"]
    scale: Float[Tensor, " dimension"]

    def __init__(self, dimension: int, outputs: int) -> None:
        super().__init__(1, outputs)
        self.hold(
            centres=torch.zeros(1, dimension, dtype=torch.float64), scale=torch.ones(dimension, dtype=torch.float64)
        )

    def features(self, x: Inputs, order: int) -> Features:
        """Each with its slopes and curvatures."""
        away = [
            (column.unsqueeze(1) - centre) / scale
            for column, centre, scale in zip(x.unbind(1), self.centres.unbind(1), self.scale, strict=True)
        ]
        value = torch.exp(-0.5 * sum_of_squares(away))
        slopes = torch.stack([-z / s * value for z, s in zip(away, self.scale, strict=True)]) if order > 0 else None
        curvatures = (
            torch.stack([(z * z - 1) / s**2 * value for z, s in zip(away, self.scale, strict=True)])
            if order > 1
            else None
        )
        return Features(value, slopes, curvatures)


def sum_of_squares(parts: list[Tensor]) -> Tensor:
    """Of arrays of one shape, one after the other."""
    total = parts[0] * parts[0]
    for part in parts[1:]:
        total = total + part * part
    return total
