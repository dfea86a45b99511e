"""KAN of Chebyshev polynomials: Sidharth and Gokul 2024, "Chebyshev Polynomial-Based Kolmogorov-Arnold Networks",
arXiv:2405.07200, section 3: T_0 = 1, T_1 = u, T_{n+1} = 2 u T_n - T_{n-1}, tanh before each hidden layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.config.bases import ChebyshevKANConfig
from harness.models.bases.layer import Polynomials, by_recurrence, network
from harness.models.bases.network import BasisKAN


class Chebyshev(Polynomials):
    """The polynomials of the first kind up to a degree."""

    def __call__(self, u: Tensor, grid: int, order: int) -> list[Tensor]:
        """By their recurrence."""
        return by_recurrence(u, grid, order, [(2.0, 1.0)] * grid)


def chebyshev(config: ChebyshevKANConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> BasisKAN:
    """The network of a configuration, at its first degree."""
    return network(Chebyshev(), config.sizes(dimension, outputs), config.degrees[0], generator)
