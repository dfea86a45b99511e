"""Wav-KAN: Bozorgasl and Chen 2024, "Wav-KAN: Wavelet Kolmogorov-Arnold Networks", arXiv:2405.12832, section 3.

An edge is ``w psi((x - t) / s)`` with weight, translation and scale of its own. What is trained in the place of the scale is its
reciprocal a, which may pass through zero without harm: ``w psi(a (x - t))``. The batch norm of its code is left out: it would
make a prediction depend on the other points. The wavelets are derivatives of a Gaussian, so their own derivatives are Hermite
polynomials times it: all written out.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from harness.config.bases import WaveletKANConfig
from harness.models.bases.inside import InsideLayer, Looked
from harness.models.bases.layer import hermite_functions
from harness.models.bases.network import BasisKAN

WAVELETS = {"mexican_hat": (2, -2 / (math.sqrt(3) * math.pi**0.25)), "dog": (1, -1.0)}
"""The number n of the Hermite polynomial, and the factor before He_n(v) exp(-v^2/2)."""


class WaveletLayer(InsideLayer):
    """One layer of wavelets, whose translations cover [-1, 1]."""

    def __init__(self, n_in: int, n_out: int, wavelet: str, generator: torch.Generator) -> None:
        super().__init__(n_in, n_out)
        self.number, self.factor = WAVELETS[wavelet]
        shape = (n_in, n_out, 1)
        v = torch.linspace(-2, 2, 1001, dtype=torch.float64)
        square = (self.factor * hermite_functions(v, 3)[self.number]).square().mean().item()
        normal = torch.randn(shape, generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(normal / math.sqrt(n_in * square))
        self.dilation = nn.Parameter(torch.ones(shape, dtype=torch.float64))
        self.translation = nn.Parameter(2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)

    def look(self, x: Tensor, order: int, numbers: bool) -> Looked:
        """The n-th derivative is w a^n psi_n(v), v = a (x - t), with psi_n' = psi_{n+1}."""
        w, a, t = self.weight, self.dilation, self.translation
        away = x.unsqueeze(1) - t
        v = a * away
        functions = hermite_functions(v, self.number + order + 1)[self.number :]
        psi = [each.mul_((-1) ** n * self.factor) for n, each in enumerate(functions)]
        edges = [w * psi[0], *((w * a**n) * psi[n] for n in range(1, order + 1))]
        if not numbers:
            return Looked(edges, [])
        of: list[list[Tensor]] = [[], [], []]
        for n in range(order):
            grown = (w * a**n) * psi[n + 1] * away
            of[0].append(a**n * psi[n] if n else psi[0])
            of[1].append(grown + (n * w * a ** (n - 1)) * psi[n] if n else grown)
            of[2].append(-edges[n + 1])
        return Looked(edges, [[each.unsqueeze(2) for each in parameter] for parameter in of])


def wavelet(config: WaveletKANConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> BasisKAN:
    """The network of a configuration."""
    sizes = config.sizes(dimension, outputs)
    return BasisKAN([WaveletLayer(a, b, config.wavelet, generator) for a, b in itertools.pairwise(sizes)])
