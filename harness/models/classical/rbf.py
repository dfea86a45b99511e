"""Polyharmonic splines: radial functions r, r^3, r^5 and r^7 around training points, and a polynomial besides.

Duchon 1977; Wendland 2005, "Scattered Data Approximation", chapter 8; Fasshauer 2007, chapter 19 on smoothing. The same function
as ``scipy.interpolate.RBFInterpolator`` finds with the kernels linear, cubic and quintic; it keeps its coefficients private.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.linalg import qr
from torch import Tensor

from harness.config import FitConfig, RBFConfig, Size
from harness.models.classical.chebyshev import polynomials
from harness.models.classical.expansion import Expansion, Features, Ladder
from harness.models.classical.kernels import sum_of_squares
from harness.models.classical.ladder import halved
from harness.models.classical.truncated import of_degree, products
from harness.models.interface import Inputs, Outputs

DEGREE = 3
"""Of the polynomial, at most: that of r^7."""
TINY = 1e-60
"""Squares of distances count as this at least, so that no derivative is divided by 0."""
ALIKE = 1e-10
"""What is left of a monomial beside others, in units of the largest, that makes it one of its own."""


class Polyharmonic(Expansion):
    """``sum_n c_n |x - centre_n|^power + polynomial(x)``."""

    centres: Float[Tensor, "centres dimension"]
    power: Float[Tensor, ""]
    indices: Int[Tensor, "monomials dimension"]
    pairs = 0
    """The power is twice this, and 1."""

    def __init__(self, dimension: int, outputs: int) -> None:
        super().__init__(2, outputs)
        self.hold(
            centres=torch.zeros(1, dimension, dtype=torch.float64),
            power=torch.tensor(1.0, dtype=torch.float64),
            indices=of_degree(dimension, 0, tensor=False),
        )
        self.loaded()

    def sizes(self, config: FitConfig, planned: tuple[Size, ...]) -> Ladder:
        """All powers and smoothings on few points, the better ones on more."""
        return halved(planned, finalists=3)

    def features(self, x: Inputs, order: int) -> Features:
        """The radial functions, then the polynomials."""
        tail = products(polynomials(x, DEGREE + 1, order), self.indices)
        away = [
            column.unsqueeze(1) - centre for column, centre in zip(x.unbind(1), self.centres.unbind(1), strict=True)
        ]
        square = sum_of_squares(away).clamp_min(TINY)
        root, half = square.sqrt(), self.pairs
        value = torch.cat([root * square**half, tail.value], dim=1)
        if order == 0 or tail.slopes is None:
            return Features(value)
        first = torch.where(square > TINY, (2 * half + 1) * square**half / root, 0.0)
        slopes = torch.cat([torch.stack([first * z for z in away]), tail.slopes], dim=2)
        if order == 1 or tail.curvatures is None:
            return Features(value, slopes)
        second = torch.stack([first * (1 + (2 * half - 1) * (z / root) ** 2) for z in away])
        return Features(value, slopes, torch.cat([second, tail.curvatures], dim=2))

    def loaded(self) -> None:
        """The power is kept as a number of the state, and used as a whole one."""
        self.pairs = (int(self.power) - 1) // 2

    @torch.no_grad()
    def fit(self, size: Size, x: Inputs, y: Outputs) -> None:
        """The saddle point of bending and squares at the first of the points, as many as the size says, by elimination."""
        power, smoothing = size.setting
        points, targets = x[: size.unknowns], y[: size.unknowns]
        degree = (power - 1) // 2  # for which the power is conditionally definite
        self.hold(
            centres=points,
            power=torch.tensor(float(power), dtype=torch.float64),
            indices=of_degree(x.shape[1], degree, tensor=False),
        )
        self.loaded()
        values, n = self.features(points, 0).value.cpu(), len(points)
        alone = _independent(values[:, n:])
        self.hold(indices=self.indices[alone])
        kernel, monomials = values[:, :n], values[:, n:][:, alone]
        sign = -1.0 if degree % 2 == 0 else 1.0
        corner = values.new_zeros(len(alone), len(alone))
        diagonal = sign * smoothing * torch.eye(n, dtype=values.dtype)
        matrix = torch.cat([torch.cat([kernel + diagonal, monomials], 1), torch.cat([monomials.T, corner], 1)])
        right = torch.cat([targets.cpu(), values.new_zeros(len(corner), self.outputs)])
        self.set(torch.linalg.solve_ex(matrix, right).result.to(x))


def _independent(columns: Float[Tensor, "rows columns"]) -> Int[Tensor, " independent"]:
    """Columns that span what all of them do, by QR with pivoting: inputs of two values, or one that is constant among these
    points, make some of the monomials alike, and a system of equations singular.
    """
    triangle, pivots = qr(columns.numpy(), mode="r", pivoting=True)
    diagonal = np.abs(triangle.diagonal())
    return torch.from_numpy(np.sort(pivots[: len(diagonal)][diagonal > ALIKE * diagonal[0]]).astype(np.int64))


def rbf(config: RBFConfig, dimension: int, generator: torch.Generator, outputs: int = 1) -> Polyharmonic:
    """The function 0."""
    return Polyharmonic(dimension, outputs)
