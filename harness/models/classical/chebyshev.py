"""Polynomials by least squares, in Chebyshev's T_k: of a degree along each axis (tensor), or in total.

Trefethen 2019, "Approximation Theory and Approximation Practice", chapters 2 to 8; Trefethen 2017, "Cubature, approximation, and
isotropy in the hypercube", SIAM Review 59(3), on the two kinds of degree. At n random points a degree up to about sqrt(n) is
stable in 1D (Migliorati et al. 2014, Foundations of Computational Mathematics 14); validation finds where that ends.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.config import FitConfig, Size
from harness.models.classical.product import Weights
from harness.models.classical.truncated import Truncated, of_degree
from harness.models.interface import Inputs


class Polynomial(Truncated):
    """``sum_n c_n prod_j T_(i_nj)(x_j)``."""

    size = 1
    """Of an axis: polynomials that take part."""

    def basis(self, x: Inputs, order: int) -> list[Weights]:
        """T_0 to the highest that takes part."""
        return polynomials(x, self.size, order)

    def grow(self, size: Size) -> None:
        """Degree and whether it is along each axis."""
        degree, tensor = size.setting
        self.choose(of_degree(self.indices.shape[1], degree, tensor=tensor))
        self.loaded()

    def loaded(self) -> None:
        """The size follows from the state."""
        self.size = int(self.indices.max()) + 1


def polynomials(x: Inputs, size: int, order: int) -> list[Weights]:
    """T_0 to T_(size - 1) and derivatives, by ``T_(m+j) = 2 T_m T_j - T_(m-j)``, which doubles their number in each step."""
    zero = 0 * x  # NaN of NaN, so that a constant is so too
    one = 1 + zero
    known: list[Tensor] = [
        torch.stack([start, then]) for start, then in ((one, x), (zero, one), (zero, zero))[: order + 1]
    ]
    while len(known[0]) < size:
        more = min(len(known[0]) - 1, size - len(known[0]))
        last, factor = [each[-1] for each in known], [each[1 : more + 1] for each in known]
        before = [each[-1 - more : -1].flip(0) for each in known]
        found = [2 * last[0] * factor[0] - before[0]]
        if order > 0:
            found.append(2 * (last[1] * factor[0] + last[0] * factor[1]) - before[1])
        if order > 1:
            second = last[2] * factor[0] + 2 * last[1] * factor[1] + last[0] * factor[2]
            found.append(2 * second - before[2])
        known = [torch.cat(pair) for pair in zip(known, found, strict=True)]
    return [each.permute(1, 2, 0) for each in known]


def chebyshev(config: FitConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Polynomial:
    """The polynomial 0."""
    return Polynomial(dimension, outputs)
