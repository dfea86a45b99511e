"""KAN of sines and cosines: Xu et al. 2024, "FourierKAN-GCF", arXiv:2406.01034, section 3: sum_k a_k cos(k x) + b_k sin(k x).

The base frequency is pi/2, not 1: the period is twice the interval [-1, 1], so that a function that is not periodic there still
has a smooth periodic continuation (Huybrechs 2010, "On the Fourier extension of nonperiodic functions"). These functions are
bounded everywhere, so nothing brings hidden inputs into an interval.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.config.bases import FourierKANConfig
from harness.models.bases.layer import network
from harness.models.bases.network import BasisKAN
from harness.models.elementary import sine_and_cosine

FREQUENCY = math.pi / 2


class Fourier:
    """1, then a cosine and a sine of each multiple of the base frequency, times sqrt(2): the mean square of each is about 1."""

    squash, base, nested = False, False, True

    def functions(self, grid: int) -> int:
        """Two of each frequency, and the constant."""
        return 2 * grid + 1

    def grid(self, functions: int) -> int:
        """The highest multiple."""
        return (functions - 1) // 2

    def __call__(self, u: Tensor, grid: int, order: int) -> list[Tensor]:
        """Multiples of an angle by turning one step further each time."""
        s, c = (math.sqrt(2) * each for each in sine_and_cosine(u, FREQUENCY))
        twice = math.sqrt(2) * c
        cosines, sines = [torch.full_like(u, math.sqrt(2)), c], [torch.zeros_like(u), s]
        for k in range(2, grid + 1):
            cosines.append(twice * cosines[k - 1] - cosines[k - 2])
            sines.append(twice * sines[k - 1] - sines[k - 2])
        cos, sin = torch.stack(cosines[1:], dim=1), torch.stack(sines[1:], dim=1)
        omega = FREQUENCY * torch.arange(1, grid + 1, dtype=u.dtype, device=u.device).unsqueeze(-1)
        found = []
        for n in range(order + 1):
            constant = torch.ones_like(u) if n == 0 else torch.zeros_like(u)
            found.append(torch.cat([constant.unsqueeze(1), torch.stack([cos, sin], dim=2).flatten(1, 2)], dim=1))
            cos, sin = -omega * sin, omega * cos
        return found


def fourier(config: FourierKANConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> BasisKAN:
    """The network of a configuration, with its first frequencies."""
    return network(Fourier(), config.sizes(dimension, outputs), config.degrees[0], generator)
