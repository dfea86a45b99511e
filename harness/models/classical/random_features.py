"""Random features: a hidden layer that nobody trains, and the layer above it by least squares.

Rahimi and Recht 2007, "Random features for large-scale kernel machines" (sine); Huang, Zhu and Siew 2006, "Extreme learning
machine" (tanh). Equations: Chen, Chi, E and Yang 2022, "Bridging traditional and machine learning-based algorithms for solving
PDEs: the random feature method", arXiv:2207.13380. Number of features and their scale are chosen on held-out points.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from harness.config import FitConfig, RandomFeaturesConfig, Size
from harness.models.classical.expansion import Features, Ladder, LeastSquares
from harness.models.classical.ladder import halved
from harness.models.interface import Inputs


class RandomFeatures(LeastSquares):
    """``c_0 + sum_n c_n f(w_n . x + b_n)`` with f = sin or tanh, w normal with a standard deviation, the scale.

    A phase b is uniform for sin; for tanh the plane ``w . x + b = 0`` goes through a uniform point of the box.
    """

    rank = 1e-15  # what little the features differ is what they are exact by: 5e-14 costs up to a factor of 300
    weights: Float[Tensor, "features dimension"]
    phases: Float[Tensor, " features"]

    def __init__(self, dimension: int, outputs: int, most: int, sine: bool, generator: torch.Generator) -> None:
        super().__init__(1, outputs)
        self.sine = sine
        self._normal = torch.randn(most, dimension, generator=generator, dtype=torch.float64)
        self._uniform = 2 * torch.rand(most, dimension, generator=generator, dtype=torch.float64) - 1
        self._scale = math.nan
        self.hold(weights=self._normal[:0], phases=self._normal[:0, 0])

    def sizes(self, config: FitConfig, planned: tuple[Size, ...]) -> Ladder:
        """All scales with few features, the better ones with more."""
        return halved(planned, all_up_to=100)

    def grow(self, size: Size) -> None:
        """As many features of the scale; with the scale of before the function stays, and its features are the first."""
        (scale,), n = size.setting, size.unknowns - 1
        weights = scale * self._normal[:n]
        phases = math.pi * self._uniform[:n, 0] if self.sine else -(weights * self._uniform[:n]).sum(dim=1)
        kept = self.coefficients.detach()[:0] if scale != self._scale else self.coefficients.detach()
        self._scale = scale
        self.hold(weights=weights, phases=phases)
        self.set(torch.cat([kept, kept.new_zeros(size.unknowns - len(kept), self.outputs)]))

    def features(self, x: Inputs, order: int) -> Features:
        """1 and the features."""
        z = x @ self.weights.T + self.phases
        if self.sine:
            value = torch.sin(z)
            first, second = torch.cos(z), -value
        else:
            value = torch.tanh(z)
            first = 1 - value * value
            second = -2 * value * first
        one, zeros = torch.ones_like(x[:, :1]), torch.zeros_like(x.T).unsqueeze(2)
        w = self.weights.T.unsqueeze(1)
        return Features(
            torch.cat([one, value], dim=1),
            torch.cat([zeros, w * first], dim=2) if order > 0 else None,
            torch.cat([zeros, w * w * second], dim=2) if order > 1 else None,
        )


def random_features(
    config: RandomFeaturesConfig, dimension: int, generator: torch.Generator, outputs: int = 1
) -> RandomFeatures:
    """The function 0."""
    return RandomFeatures(dimension, outputs, max(config.named or config.rungs), config.function == "sine", generator)
