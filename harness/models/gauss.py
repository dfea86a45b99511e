"""Network with Gaussian bumps as activations.

Ramasinghe and Lucey 2022, "Beyond Periodicity: Towards a Unifying Framework for Activations in Coordinate-MLPs",
arXiv:2111.15135.
"""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.config import GaussConfig
from harness.models.activations import GAUSSIAN, Loop
from harness.models.elementary import bell
from harness.models.mlp import initialised_by_torch, linear
from harness.models.perceptron import Perceptron


class Gaussian(nn.Module):
    """exp(-x^2 / (2 a^2)), the paper's Gaussian."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = a

    def forward(self, x: Float[Tensor, "points units"]) -> Float[Tensor, "points units"]:
        """Element by element."""
        return torch.exp(-((x / self.a) ** 2) / 2)

    def loop(self) -> Loop:
        """Its compiled loop."""
        return Loop(GAUSSIAN, self.a)

    def derivatives(self, z: Tensor, order: int) -> list[Tensor]:
        """The value times Hermite polynomials of p = -z / a^2, the derivative of its logarithm."""
        value, p, by = bell(z, 0.5 / self.a**2), z * (-1 / self.a**2), 1 / self.a**2
        found = [value]
        if order > 0:
            found.append(p * value)
        if order > 1:
            found.append((p.square() - by) * value)
        if order > 2:
            found.append(p * (p.square() - 3 * by) * value)
        return found


def gauss(config: GaussConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Perceptron:
    """``depth`` layers of ``width`` bumps and a linear output.

    They start as torch starts linear layers: the paper names no scheme, and finds bumps robust against random starts.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise([dimension, *[config.width] * config.depth, outputs]):
        layers += [initialised_by_torch(linear(n_in, n_out), generator), Gaussian(config.a)]
    return Perceptron(*layers[:-1])
