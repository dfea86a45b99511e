"""Network with sines whose frequency grows with their argument.

Liu et al. 2024, "FINER: Flexible Spectral-bias Tuning in Implicit Neural Representation by Variable-periodic Activation
Functions", arXiv:2312.02434. The paper's code lets no gradient through the factor |x| + 1 unless asked to; here derivatives are
those of the function, since an equation and Levenberg-Marquardt have no use for others.
"""

from __future__ import annotations

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.config import FinerConfig
from harness.models.activations import FINER, Loop
from harness.models.elementary import sine_and_cosine
from harness.models.mlp import initialised_by_torch, linear
from harness.models.perceptron import Perceptron


class Finer(nn.Module):
    """sin(omega0 (|x| + 1) x). Its second derivative jumps at zero, where it counts as zero."""

    def __init__(self, omega0: float) -> None:
        super().__init__()
        self.omega0 = omega0

    def forward(self, x: Float[Tensor, "points units"]) -> Float[Tensor, "points units"]:
        """Element by element."""
        return torch.sin(self.omega0 * (x.abs() + 1) * x)

    def loop(self) -> Loop:
        """Its compiled loop."""
        return Loop(FINER, self.omega0)

    def derivatives(self, z: Tensor, order: int) -> list[Tensor]:
        """By the chain rule. The phase has the slope ``rate``, and that the slope ``bend``, a constant on either side."""
        size = z.abs()
        phase = (size + 1).mul_(z).mul_(self.omega0)
        sin, cos = sine_and_cosine(phase)
        if order == 0:
            return [sin]
        rate = size.mul_(2).add_(1).mul_(self.omega0)
        found = [sin, rate * cos]
        if order > 1:
            bend = torch.sign(z).mul_(2 * self.omega0)
            found.append(bend * cos - rate.square() * sin)
        if order > 2:
            found.append(-rate * (3 * bend * sin + rate.square() * cos))
        return found


def finer(config: FinerConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Perceptron:
    """``depth`` layers of ``width`` units and a linear output.

    Weights as in SIREN: U(-1/n_in, 1/n_in) in the first layer, U(-sqrt(6/n_in)/omega0, sqrt(6/n_in)/omega0) in all others. Biases
    of the first layer U(-bias_range, bias_range), of all others as torch has them.
    """
    layers: list[nn.Module] = []
    sizes = [dimension, *[config.width] * config.depth, outputs]
    for index, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layer = initialised_by_torch(linear(n_in, n_out), generator)
        bound = 1 / n_in if index == 0 else math.sqrt(6 / n_in) / config.omega0
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        if index == 0:
            nn.init.uniform_(layer.bias, -config.bias_range, config.bias_range, generator=generator)
        layers += [layer, Finer(config.omega0)]
    return Perceptron(*layers[:-1])
