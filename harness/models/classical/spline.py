"""B-splines by least squares: all products of them, or those in which one, two or three inputs take part.

de Boor 1978, "A Practical Guide to Splines", chapter XIV; Stone, Hansen, Kooperberg and Truong 1997, "Polynomial splines and
their tensor products in extended linear modeling", Annals of Statistics 25(4), on the interactions, without which no tensor
product is small enough for four inputs and more. Knots are even.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from scipy.interpolate import BSpline
from torch import Tensor
from torch.nn.functional import pad

from harness.config import Size, SplineConfig
from harness.models.classical.product import Weights
from harness.models.classical.truncated import Truncated, of_interactions
from harness.models.interface import Inputs


class Splines(Truncated):
    """Products of splines of degree ``k`` on even knots; along an axis 1 stands for the first of them, since all add up to 1."""

    knots: Float[Tensor, " knots"]
    pieces: Float[Tensor, "powers functions"]
    """Follow from the degree, so they are no part of the state."""

    def __init__(self, dimension: int, outputs: int, k: int) -> None:
        super().__init__(dimension, outputs)
        self.k = k
        self.hold(knots=torch.tensor([-1.0, 1.0], dtype=torch.float64))
        self.register_buffer("pieces", _pieces(k).clone(memory_format=torch.contiguous_format), persistent=False)

    def basis(self, x: Inputs, order: int) -> list[Weights]:
        """1, and the splines after the first."""
        intervals = len(self.knots) - 1
        position = (x + 1) * (intervals / 2)
        interval = position.detach().nan_to_num().floor().clamp(0, intervals - 1).long()
        u = (position - interval).unsqueeze(-1)
        which = interval.unsqueeze(-1) + torch.arange(self.k + 1, device=x.device)
        pieces, found = self.pieces, []
        for derivative in range(order + 1):
            powers = torch.cat([u**power for power in range(len(pieces))], dim=-1)
            dense = torch.zeros(*x.shape, intervals + self.k, dtype=x.dtype, device=x.device)
            dense = dense.scatter(-1, which, powers @ pieces * (intervals / 2) ** derivative)
            found.append(pad(dense[..., 1:], (1, 0), value=1.0 if derivative == 0 else 0.0))
            pieces = pieces[1:] * torch.arange(1, len(pieces), device=x.device).unsqueeze(1)
            if not len(pieces):
                pieces = torch.zeros(1, self.k + 1).to(x)
        return found

    def grow(self, size: Size) -> None:
        """Intervals of an axis, and how many inputs take part in a product."""
        intervals, order = size.setting
        self.hold(knots=torch.linspace(-1, 1, intervals + 1, dtype=torch.float64))
        self.choose(of_interactions(self.indices.shape[1], intervals + self.k - 1, order))


@cache
def _pieces(k: int) -> Float[Tensor, "powers functions"]:
    """The polynomials of the k + 1 splines that are not 0 in an interval, in the position between 0 and 1."""
    u = torch.arange(1, 2 * k + 2, 2, dtype=torch.float64) / (2 * k + 2)
    values = BSpline.design_matrix(u.numpy(), torch.arange(-k, k + 2, dtype=torch.float64).numpy(), k).toarray()
    pieces: Tensor = torch.linalg.solve(torch.vander(u, increasing=True), torch.from_numpy(values))
    return pieces


def spline(config: SplineConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Splines:
    """The function 0 on one interval."""
    return Splines(dimension, outputs, config.k)
