"""KAN of Legendre polynomials: Seydi 2024, arXiv:2406.02583, one of its 18 polynomials.

(n + 1) P_{n+1} = (2n + 1) u P_n - n P_{n-1}; here times sqrt(2n + 1), which gives each the mean square 1 on [-1, 1], so that no
coefficient counts more than another.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.config.bases import LegendreKANConfig
from harness.models.bases.layer import Polynomials, by_recurrence, network
from harness.models.bases.network import BasisKAN


class Legendre(Polynomials):
    """The normalised polynomials up to a degree."""

    def __call__(self, u: Tensor, grid: int, order: int) -> list[Tensor]:
        """By their recurrence."""
        factors = [((2 * n + 1) / (n + 1), n / (n + 1)) for n in range(1, grid)]
        norms = (2 * torch.arange(grid + 1, dtype=u.dtype, device=u.device) + 1).sqrt().unsqueeze(-1)
        return [norms * each for each in by_recurrence(u, grid, order, factors)]


def legendre(config: LegendreKANConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> BasisKAN:
    """The network of a configuration, at its first degree."""
    return network(Legendre(), config.sizes(dimension, outputs), config.degrees[0], generator)
