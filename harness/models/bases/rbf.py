"""FastKAN: Li 2024, "Kolmogorov-Arnold Networks are Radial Basis Function Networks", arXiv:2405.06721, section 3.

exp(-((u - u_i) / h)^2) on an even grid u_i of spacing h, and silu of the input, as in its code (github.com/ZiyaoLi/fast-kan).
There a LayerNorm brings the inputs to the grid, which is fixed; here tanh does (:mod:`harness.models.bases.layer`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.config.bases import RBFKANConfig
from harness.models.bases.layer import hermite_functions, network
from harness.models.bases.network import BasisKAN


class Gaussians:
    """A Gaussian at each knot of an even grid on [-1, 1]."""

    squash, base, nested = True, True, False

    def functions(self, grid: int) -> int:
        """One more than intervals."""
        return grid + 1

    def grid(self, functions: int) -> int:
        """The intervals."""
        return functions - 1

    def __call__(self, u: Tensor, grid: int, order: int) -> list[Tensor]:
        """By Hermite polynomials: with v = sqrt(2) (u - u_i) / h it is exp(-v^2/2)."""
        scale = math.sqrt(2) * grid / 2
        centres = torch.linspace(-1, 1, grid + 1, dtype=u.dtype, device=u.device).unsqueeze(-1)
        v = scale * (u.unsqueeze(1) - centres)
        return [(-scale) ** n * each if n else each for n, each in enumerate(hermite_functions(v, order + 1))]


def rbf(config: RBFKANConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> BasisKAN:
    """The network of a configuration, on its first grid."""
    sizes = config.sizes(dimension, outputs)
    return network(Gaussians(), sizes, config.grids[0], generator, "G")
