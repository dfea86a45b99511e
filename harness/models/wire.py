"""Network with Gabor wavelets as activations.

Saragadam et al. 2023, "WIRE: Wavelet Implicit Neural Representations", arXiv:2301.05187. Its wavelet is
exp(j omega_0 x - |s_0 x|^2) of complex x. Here is the real one, cos(omega_0 x) exp(-(s_0 x)^2), as the paper's code offers it
beside the complex one: the problems are real, all methods here are made for real parameters, and a real unit takes one number
where a complex one takes two. Both factors are of the same linear map, as in the complex layer of that code; its real layer
has a second map for the envelope.
"""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harness.config import WireConfig
from harness.models.activations import GABOR, Loop
from harness.models.elementary import bell, sine_and_cosine
from harness.models.mlp import initialised_by_torch, linear
from harness.models.perceptron import Perceptron


class Gabor(nn.Module):
    """cos(omega0 x) exp(-(s0 x)^2)."""

    def __init__(self, omega0: float, s0: float) -> None:
        super().__init__()
        self.omega0 = omega0
        self.s0 = s0

    def forward(self, x: Float[Tensor, "points units"]) -> Float[Tensor, "points units"]:
        """Element by element."""
        return torch.cos(self.omega0 * x) * torch.exp(-((self.s0 * x) ** 2))

    def loop(self) -> Loop:
        """Its compiled loop."""
        return Loop(GABOR, self.omega0, self.s0)

    def derivatives(self, z: Tensor, order: int) -> list[Tensor]:
        """By the rule of Leibniz; the logarithm of the envelope has the derivatives p and -2 s0^2."""
        omega, s2 = self.omega0, self.s0**2
        envelope = bell(z, s2)
        odd, even = (each.mul_(envelope) for each in sine_and_cosine(z, omega))
        if order == 0:
            return [even]
        p = -2 * s2 * z
        found = [even, p * even - omega * odd]
        if order > 1:
            p2 = p.square()
            found.append((p2 - (2 * s2 + omega**2)) * even - 2 * omega * p * odd)
        if order > 2:
            found.append(p * (p2 - (6 * s2 + 3 * omega**2)) * even + omega * (omega**2 + 6 * s2 - 3 * p2) * odd)
        return found


def wire(config: WireConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Perceptron:
    """``depth`` layers of ``width`` wavelets and a linear output; as in the code they start as torch starts linear layers."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise([dimension, *[config.width] * config.depth, outputs]):
        layers += [initialised_by_torch(linear(n_in, n_out), generator), Gabor(config.omega0, config.s0)]
    return Perceptron(*layers[:-1])
