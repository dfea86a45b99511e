"""KAN of rational functions: Yang and Wang 2024, "Kolmogorov-Arnold Transformer", arXiv:2409.10594, section 4.2, eq. 12:

    F(x) = (a_0 + a_1 x + ... + a_m x^m) / (1 + |b_1 x + ... + b_n x^n|)    ("safe": Molina et al. 2020, arXiv:1907.06732)

The absolute value has a kink, and an equation wants derivatives, so here the denominator is 1 + Q(x)^2 with a Q of half the
degree: no poles either, and smooth. Each edge has numbers of its own, where that paper shares them among groups of edges.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.config.bases import RationalKANConfig
from harness.models.bases.inside import InsideLayer, Looked
from harness.models.bases.network import BasisKAN

Series = list[Tensor]
"""The first coefficients of a Taylor series at each point."""


class RationalLayer(InsideLayer):
    """One layer: the numerators are normal, so that variance is kept, and the denominators little more than 1."""

    def __init__(self, n_in: int, n_out: int, numerator: int, denominator: int, generator: torch.Generator) -> None:
        super().__init__(n_in, n_out)

        def normal(count: int) -> Tensor:
            return torch.randn(n_in, n_out, count, generator=generator, dtype=torch.float64)

        # The mean square of x^k on [-1, 1] is 1 / (2k + 1); each power has the same share.
        scale = torch.sqrt((2 * torch.arange(numerator + 1, dtype=torch.float64) + 1) / (n_in * (numerator + 1)))
        self.numerator = nn.Parameter(scale * normal(numerator + 1))
        self.denominator = nn.Parameter(0.5 * normal(denominator // 2))

    def look(self, x: Tensor, order: int, numbers: bool) -> Looked:
        """F (1 + Q^2) = P, term by term of the Taylor series in the input; in a_k and b_k the same of x^k and of -2 F Q x^k."""
        highest = max(self.numerator.shape[2] - 1, self.denominator.shape[2])
        powers = _powers(x, highest, order)
        p = [_combined(self.numerator, each) for each in powers]
        q = [_combined(self.denominator, each[:, 1:]) for each in powers]
        below = _product(q, q)
        below[0] = below[0] + 1
        f = _quotient(p, below)
        edges = [math.factorial(n) * each for n, each in enumerate(f)]
        if not numbers:
            return Looked(edges, [])
        powers = [each.unsqueeze(1) for each in powers[:order]]
        share = _quotient(powers, [each.unsqueeze(2) for each in below[:order]])
        twice = [-2 * each.unsqueeze(2) for each in _product(f[:order], q[:order])]
        own = self.denominator.shape[2]
        of_q = _product(twice, [each[:, :, 1 : own + 1] for each in share])
        of_p = [each[:, :, : self.numerator.shape[2]] for each in share]
        return Looked(edges, [[math.factorial(n) * e for n, e in enumerate(each)] for each in (of_p, of_q)])


def _powers(x: Tensor, highest: int, order: int) -> Series:
    """1, x, x^2, ... along the second dimension, and their derivatives over n!."""
    found = [[torch.ones_like(x)] if n == 0 else [torch.zeros_like(x)] for n in range(order + 1)]
    for k in range(highest):
        for n, each in enumerate(found):
            each.append(x * each[k] + found[n - 1][k] if n else x * each[k])
    return [torch.stack(each, dim=1) for each in found]


def _combined(coefficients: Tensor, powers: Tensor) -> Tensor:
    return torch.bmm(coefficients, powers[:, : coefficients.shape[2]])


def _product(f: Sequence[Tensor], g: Sequence[Tensor]) -> Series:
    found: Series = []
    for n in range(len(f)):
        each = f[0] * g[n]
        for k in range(1, n + 1):
            each.addcmul_(f[k], g[n - k])
        found.append(each)
    return found


def _quotient(f: Sequence[Tensor], g: Sequence[Tensor]) -> Series:
    found: Series = []
    inverse = 1 / g[0]
    for n in range(len(f)):
        rest = f[n]
        for k in range(n):
            rest = rest - found[k] * g[n - k]
        found.append(rest * inverse)
    return found


def rational(config: RationalKANConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> BasisKAN:
    """The network of a configuration."""
    sizes = config.sizes(dimension, outputs)
    layers = [
        RationalLayer(n_in, n_out, config.numerator, config.denominator, generator)
        for n_in, n_out in itertools.pairwise(sizes)
    ]
    return BasisKAN(layers)
