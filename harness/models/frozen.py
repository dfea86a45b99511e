"""A model that has been trained, as the program that is exported; a KAN, as the numbers that it comes down to.

The cost of an export goes with the number of operations, and the splines of a :class:`~harness.models.kan.KAN` take over
100. Here an edge is a table of polynomials, whose size the number of operations does not depend on.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn.functional import silu

from harness.models.interface import exported
from harness.models.kan import KAN, KANLayer
from harness.models.piecewise import polynomials
from harness.models.regressor import Regressor


class FrozenLayer(nn.Module):
    """One layer as it is now: ``y_j = sum_i p_ij(u(x_i)) + base_ij silu(x_i)``, see :mod:`harness.models.piecewise`."""

    knots: Tensor
    rows: Tensor
    start: Tensor
    inverse: Tensor
    powers: Tensor
    polynomials: Tensor
    base: Tensor

    @torch.no_grad()
    def __init__(self, layer: KANLayer) -> None:
        super().__init__()
        table, weights = layer.pieces(), layer.weights()
        inputs = len(table.knots)
        buffers = {
            "knots": table.knots,
            "rows": torch.arange(inputs, device=table.knots.device),
            "start": table.start.view(inputs, -1, 1),
            "inverse": table.inverse.view(inputs, -1, 1),
            "powers": torch.arange(layer.k + 1).to(table.knots),
            "polynomials": polynomials(weights, table, layer.k).permute(2, 3, 0, 1),
            "base": weights[..., -1].T,
        }
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor.clone(memory_format=torch.contiguous_format))

    def forward(self, x: Float[Tensor, "points inputs"]) -> Float[Tensor, "points outputs"]:
        """As ``layer(x)``; a NaN or an infinity gives NaN."""
        column = x.unsqueeze(-1)
        place = self.rows, (column >= self.knots).sum(-1)
        u = (column - self.start[place]) * self.inverse[place]
        splines = (u**self.powers).unsqueeze(-1) * self.polynomials[place]
        return splines.sum(dim=(1, 2)) + silu(x) @ self.base


def frozen(network: KAN) -> nn.Sequential:
    """The function that a network is now, in operations that can be exported and differentiated in its inputs."""
    return nn.Sequential(*map(FrozenLayer, network))


class Program(nn.Module):
    """A model as others use it: on the CPU, from points of any real dtype to float64."""

    one: Tensor

    def __init__(self, model: Regressor) -> None:
        super().__init__()
        # A copy, since L-BFGS leaves parameters as views of one vector, and the archive wants a storage for each.
        self.model = deepcopy(model).cpu().eval()
        self.model.network = exported(self.model.network)
        self.register_buffer("one", torch.ones(1, dtype=torch.float64))

    def forward(self, x: Num[Tensor, "points inputs"]) -> Float[Tensor, "points *outputs"]:
        """Predictions of shape ``(points,)``, or ``(points, outputs)`` where there are several."""
        # An exported program keeps the dtypes that it was traced with, so that a cast would be lost. A product promotes.
        y: Tensor = self.model(x * self.one)
        return y.double().squeeze(-1)
