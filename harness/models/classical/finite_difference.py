"""Differences of second order on an even grid, and cubic splines through the nodes.

LeVeque 2007, "Finite Difference Methods for Ordinary and Partial Differential Equations", chapters 1 to 3. In 2D they are the
five points of the textbooks. At the ends of an axis, where a side has no condition or one that reads a slope, differences are
one-sided and of second order too. The splines' own error is of fourth order, so that what is measured is that of the differences.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.interpolate import BSpline, make_interp_spline
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu
from torch import Tensor

from harness.models.classical.collocation import Coefficients, Grid, Values, newton
from harness.models.classical.product import Product, Weights
from harness.models.interface import Inputs
from harness.problems.equation import Bounds, Equation

if TYPE_CHECKING:
    from harness.config import FiniteDifferenceConfig

CUBIC = 3


class Splines(Product):
    """Cubic splines through the nodes of an even grid along each axis, by the coefficients of their B-splines.

    The third derivative has no jump at the second and at the last but one node, so that there are as many coefficients as
    nodes.
    """

    what = "grid"
    pieces: Float[Tensor, "intervals functions powers"]

    def set(self, coefficients: Tensor) -> None:
        """Become the splines of these coefficients."""
        super().set(coefficients)
        # Follows from the size, so it is no part of the state.
        pieces = torch.from_numpy(_pieces(self.size - 1)).to(coefficients).clone(memory_format=torch.contiguous_format)
        self.register_buffer("pieces", pieces, persistent=False)

    @torch.no_grad()
    def solve(self, equation: Equation, intervals: int, bounds: Bounds) -> int:
        """Become the splines through the values for which the differences of an equation hold at the nodes."""
        grid = EvenGrid(intervals, bounds)
        values, systems = newton(equation, grid, lambda: self.at_nodes(grid))
        coefficients = values.view(grid.shape).numpy()
        if np.isfinite(coefficients).all():
            along, knots = np.linspace(-1, 1, grid.size), _knots(intervals)
            for axis in range(grid.dimension):
                of_axis = make_interp_spline(along, coefficients, CUBIC, knots, axis=axis).c
                coefficients = np.moveaxis(of_axis, 0, axis)
        self.set(torch.from_numpy(np.ascontiguousarray(coefficients)).to(self.coefficients.device))
        return systems

    @classmethod
    def needs(cls, equation: Equation, intervals: int, bounds: Bounds) -> float:
        """The factors of the matrix, in numbers of 8 bytes with an index of 4, once more while they grow; and some vectors.

        Numbers in the factors for each node, measured for Poisson's equation: 57, 80, 111 in 2D with 50, 100, 200 intervals; 41,
        218, 556 in 3D with 8, 16, 24; 51, 215 in 4D with 6, 8.
        """
        nodes, dimension = (intervals + 1) ** len(bounds), len(bounds)
        filled = 10 * intervals**0.5 if dimension < 3 else 1.2 * intervals ** (dimension - 1)
        return float(nodes * (2 * 12 * filled + 8 * (20 + 20 * dimension)))

    def basis(self, x: Inputs, order: int) -> tuple[Int[Tensor, "points dimension functions"], list[Weights]]:
        """The four B-splines that are not 0 at a point, for each axis."""
        intervals = self.size - 1
        position = (x + 1) * (intervals / 2)
        interval = position.detach().nan_to_num().floor().clamp(0, intervals - 1).long()
        u, p = (position - interval).unsqueeze(-1), self.pieces[interval].unbind(dim=-1)
        weights = [p[0] + u * (p[1] + u * (p[2] + u * p[3]))]
        if order > 0:
            weights.append((p[1] + u * (2 * p[2] + u * (3 * p[3]))) * (intervals / 2))
        if order > 1:
            weights.append((2 * p[2] + u * (6 * p[3])) * (intervals / 2) ** 2)
        first = (interval - 1).clamp(0, intervals - CUBIC)
        return first.unsqueeze(-1) + torch.arange(CUBIC + 1, device=x.device), weights

    def measures(self) -> dict[str, float]:
        """Of each epoch: the intervals of an axis."""
        return {"finite_difference/grid": float(self.size - 1)}


def _knots(intervals: int) -> Float[np.ndarray, " knots"]:
    along = np.linspace(-1, 1, intervals + 1)
    return np.concatenate([[-1.0] * (CUBIC + 1), along[2:-2], [1.0] * (CUBIC + 1)])


@cache
def _pieces(intervals: int) -> Float[np.ndarray, "intervals functions powers"]:
    """In each interval the polynomials of the four B-splines, in the position between 0 and 1."""
    u = np.array([1, 3, 5, 7]) / 8
    x = (np.arange(intervals)[:, None] + u) * (2 / intervals) - 1
    values = BSpline.design_matrix(x.ravel(), _knots(intervals), CUBIC).data.reshape(intervals, len(u), CUBIC + 1)
    return np.linalg.solve(np.vander(u, increasing=True), values).transpose(0, 2, 1)


class EvenGrid(Grid):
    """Even nodes along each axis; derivatives are differences of second order."""

    def __init__(self, intervals: int, bounds: Bounds) -> None:
        super().__init__(torch.linspace(-1, 1, intervals + 1, dtype=torch.float64), bounds)

    @cached_property
    def stencil(self) -> tuple[Int[Tensor, "size read"], Float[Tensor, "size read"], Float[Tensor, "size read"]]:
        """Each node reads its neighbours; those at the ends two or three on their side."""
        h, nodes = 2 / (self.size - 1), torch.arange(self.size)
        start = (nodes - 1).clamp(0, self.size - 4)
        first, second = torch.zeros(2, self.size, 4, dtype=torch.float64)
        inner, place = nodes[1:-1], nodes[1:-1] - start[1:-1]
        for step, of_first, of_second in ((-1, -0.5, 1.0), (0, 0.0, -2.0), (1, 0.5, 1.0)):
            first[inner, place + step], second[inner, place + step] = of_first / h, of_second / h**2
        first[0] = torch.tensor([-1.5, 2.0, -0.5, 0.0], dtype=torch.float64) / h
        second[0] = torch.tensor([2.0, -5.0, 4.0, -1.0], dtype=torch.float64) / h**2
        first[-1], second[-1] = -first[0].flip(0), second[0].flip(0)
        return start.unsqueeze(1) + torch.arange(4), first, second

    def solve(self, coefficients: Coefficients, at: Int[Tensor, " nodes"], right: Values) -> Values:
        """By elimination, of what is not 0 alone."""
        columns, entries = (part.numpy() for part in self.entries(coefficients, at))
        kept = entries != 0
        rows = np.broadcast_to(np.arange(len(right))[:, None], kept.shape)
        matrix = coo_array((entries[kept], (rows[kept], columns[kept])), shape=(len(right),) * 2).tocsc()
        try:
            return torch.from_numpy(splu(matrix).solve(right.numpy()))
        except RuntimeError:  # which is how SuperLU says that it is singular
            return torch.full_like(right, torch.nan)


def finite_difference(config: FiniteDifferenceConfig, dimension: int, generator: torch.Generator) -> Splines:
    """The splines 0 on the first grid."""
    return Splines(dimension, config.stages(dimension)[0] + 1)
