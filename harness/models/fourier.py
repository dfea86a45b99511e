"""Fully connected network on random Fourier features.

Tancik et al. 2020, "Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains",
arXiv:2006.10739: the remedy for the spectral bias of MLPs that the seed document calls the standard approach.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.config import FourierMLPConfig
from harness.models.jets import Jacobian, Seeds
from harness.models.mlp import mlp
from harness.models.perceptron import Perceptron
from harness.problems.rows import Jet


class FourierFeatures(nn.Module):
    """gamma(x) = [cos(2 pi B x), sin(2 pi B x)] with fixed B_ij ~ N(0, sigma^2) (eq. 5 and section 6)."""

    frequencies: Tensor

    def __init__(self, dimension: int, features: int, sigma: float, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer(
            "frequencies", sigma * torch.randn(features, dimension, generator=generator, dtype=torch.float64)
        )

    def forward(self, x: Float[Tensor, "points dimension"]) -> Float[Tensor, "points twice_features"]:
        """The features of inputs of shape ``(points, dimension)``."""
        phase = 2 * math.pi * x @ self.frequencies.T
        return torch.cat([torch.cos(phase), torch.sin(phase)], dim=1)

    def jet(self, x: Float[Tensor, "points dimension"], order: int) -> Jet:
        """The features and their derivatives along the axes."""
        factor = 2 * math.pi * self.frequencies
        value = self(x)
        cos, sin = value.unsqueeze(-1).chunk(2, dim=1)
        curvatures = torch.cat([-cos * factor.square(), -sin * factor.square()], dim=1) if order > 1 else None
        return Jet(value, torch.cat([-sin * factor, cos * factor], dim=1), curvatures)

    def jet_jacobian(self, x: Float[Tensor, "points dimension"], seeds: Seeds) -> Jacobian:
        """There is nothing to train."""
        return x.new_empty(len(x), 0)


def fourier_mlp(config: FourierMLPConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Perceptron:
    """Fourier features, then the MLP of :mod:`harness.models.mlp` on all of them."""
    features = FourierFeatures(dimension, config.features, config.sigma, generator)
    return Perceptron(features, *mlp(config, 2 * config.features, generator, outputs))
