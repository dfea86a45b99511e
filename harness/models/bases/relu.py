"""ReLU-KAN: Qiu et al. 2024, "ReLU-KAN: New Kolmogorov-Arnold Networks that Only Need Matrix Addition, Dot Multiplication, and
ReLU", arXiv:2406.02075, eq. 6:

    R_i(x) = (relu(e_i - x) relu(x - s_i))^2 16 / (e_i - s_i)^4

On an even grid of G intervals G + k of these bumps begin at one knot after the other and end k + 1 intervals later. The paper may
also train the ends s_i and e_i; here they stay, as the knots of splines do.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from harness.config.bases import ReLUKANConfig
from harness.models.bases.layer import network
from harness.models.bases.network import BasisKAN


class Bumps(NamedTuple):
    """The bumps on [-1, 1]; ``k`` says how far they overlap."""

    k: int
    squash: bool = True
    base: bool = False
    nested: bool = False

    def functions(self, grid: int) -> int:
        """As many as splines of degree k."""
        return grid + self.k

    def grid(self, functions: int) -> int:
        """The intervals."""
        return functions - self.k

    def __call__(self, u: Tensor, grid: int, order: int) -> list[Tensor]:
        """With v from -1 at the start to 1 at the end of a bump it is (1 - v^2)^2 there, and 0 elsewhere."""
        half = (self.k + 1) / grid
        starts = -1 + 2 / grid * torch.arange(-self.k, grid, dtype=u.dtype, device=u.device).unsqueeze(-1)
        v = (u.unsqueeze(1) - starts) / half - 1
        inside = torch.relu(1 - v * v)
        found = [inside * inside]
        if order > 0:
            found.append(v * inside * (-4 / half))
        if order > 1:
            within = (inside > 0).to(u.dtype)
            found.append(within * (12 * v * v - 4) / half**2)
        if order > 2:
            found.append(within * v * (24 / half**3))
        return found


def relu(config: ReLUKANConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> BasisKAN:
    """The network of a configuration, on its first grid."""
    sizes = config.sizes(dimension, outputs)
    return network(Bumps(config.k), sizes, config.grids[0], generator, "G")
