"""Chebyshev collocation: polynomials through the Gauss-Lobatto points, and the equation at these.

Trefethen 2000, "Spectral Methods in MATLAB", chapters 6 and 7; Boyd 2001, "Chebyshev and Fourier Spectral Methods". For a
linear equation with constant coefficients and values on all sides the system is diagonalised axis by axis (Lynch, Rice and
Thomas 1964, "Direct solution of partial difference equations by tensor product methods"; Haidvogel and Zang 1979): d n^(d+1)
operations instead of n^(3d).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.models.classical.chebyshev import polynomials
from harness.models.classical.collocation import ANY, Coefficients, Grid, Values, at_some, look, newton, parts
from harness.models.classical.product import Product, Weights
from harness.models.interface import Inputs
from harness.problems.equation import Bounds, Equation

if TYPE_CHECKING:
    from harness.config import SpectralConfig

COARSE = 4
"""A degree that tells whether coefficients are constant."""
SMALL = 2**26
"""Bytes of a matrix for which that does not matter."""
ILL, REFINED = 1e4, 3
"""From this condition of the eigenvectors on, as slopes in an equation make it, the solution is refined so many times."""
Matrix = Float[Tensor, "size size"]


class Chebyshev(Product):
    """A polynomial of a degree along each axis, by its coefficients in Chebyshev's T_k."""

    what = "degree"

    @torch.no_grad()
    def solve(self, equation: Equation, intervals: int, bounds: Bounds) -> int:
        """Become the polynomial of that degree for which an equation holds at the Gauss-Lobatto points."""
        grid = LobattoGrid(intervals, bounds)
        if (known := constant(equation, grid)) is None:
            values, systems = newton(equation, grid, lambda: self.at_nodes(grid))
        else:
            values, systems = by_axes(equation, grid, known), 1
        coefficients = values.view(grid.shape)
        for axis in range(grid.dimension):
            coefficients = along(grid.to_coefficients, coefficients, axis)
        self.set(coefficients.contiguous().to(self.coefficients.device))
        return systems

    @classmethod
    def needs(cls, equation: Equation, intervals: int, bounds: Bounds) -> float:
        """Some vectors; or, where the system can't be diagonalised, its matrix, a copy and what is put into it."""
        nodes, dimension = (intervals + 1) ** len(bounds), len(bounds)
        of_vectors, of_matrix = float(8 * nodes * (20 + 10 * dimension)), float(16 * nodes**2)
        if of_matrix < SMALL or constant(equation, LobattoGrid(COARSE, bounds)) is not None:
            return of_vectors
        return of_vectors + of_matrix

    def basis(self, x: Inputs, order: int) -> tuple[None, list[Weights]]:
        """T_0 to T_degree."""
        return None, polynomials(x, self.size, order)

    def measures(self) -> dict[str, float]:
        """Of each epoch: the degree."""
        return {"spectral/degree": float(self.size - 1)}


class LobattoGrid(Grid):
    """The points of Gauss and Lobatto, ``-cos(pi j / degree)``, along each axis; derivatives are those of the polynomial."""

    def __init__(self, degree: int, bounds: Bounds) -> None:
        j = torch.arange(degree + 1, dtype=torch.float64)
        super().__init__(torch.sin(math.pi / (2 * degree) * (2 * j - degree)), bounds)
        self.degree = degree

    @cached_property
    def first(self) -> Matrix:
        """The first derivative on [-1, 1]. Differences of nodes as products of sines, and each row adds up to 0."""
        angle = math.pi / (2 * self.degree) * torch.arange(self.size, dtype=torch.float64)
        between = 2 * torch.sin(angle.unsqueeze(1) + angle) * torch.sin(angle.unsqueeze(1) - angle)
        weight = torch.ones(self.size, dtype=torch.float64)
        weight[1::2] = -1
        weight[[0, -1]] *= 2
        matrix = weight.unsqueeze(1) / weight / between.fill_diagonal_(1)
        matrix.fill_diagonal_(0)
        return matrix - matrix.sum(dim=1).diag()

    @cached_property
    def second(self) -> Matrix:
        """The second derivative on [-1, 1]."""
        matrix = (self.first @ self.first).fill_diagonal_(0)
        return matrix - matrix.sum(dim=1).diag()

    @cached_property
    def to_coefficients(self) -> Matrix:
        """From values at the nodes of an axis to the coefficients of T_k: a cosine transform."""
        k = torch.arange(self.size)
        angle = math.pi / self.degree * (k.unsqueeze(1) * k % (2 * self.degree)).double()
        matrix = 2 / self.degree * torch.cos(angle)
        matrix[[0, -1]] /= 2
        matrix[:, [0, -1]] /= 2
        matrix[1::2] *= -1  # T_k is odd there, and the nodes rise
        return matrix

    @property
    def stencil(self) -> tuple[Int[Tensor, "size size"], Matrix, Matrix]:
        """Each derivative reads all nodes of its axis."""
        return torch.arange(self.size).expand(self.size, -1), self.first, self.second

    def derivative(self, values: Values, axis: int, order: int) -> Values:
        """The first or second derivative along an axis at the nodes, in raw units."""
        matrix = self.first if order == 1 else self.second
        return self.units(axis) ** order * along(matrix, values.view(self.shape), axis).flatten()

    def solve(self, coefficients: Coefficients, at: Int[Tensor, " nodes"], right: Values) -> Values:
        """By elimination, with all numbers of the matrix."""
        columns, entries = self.entries(coefficients, at)
        matrix = right.new_zeros(len(right), len(right)).scatter_add_(1, columns, entries)
        factors, pivots, _ = torch.linalg.lu_factor_ex(matrix)
        solution: Tensor = torch.linalg.lu_solve(factors, pivots, right.unsqueeze(1))
        return solution.squeeze(1)


def along(matrix: Tensor, values: Tensor, axis: int) -> Tensor:
    """A matrix along one axis of an array."""
    product: Tensor = torch.tensordot(matrix, values, dims=([1], [axis]))
    return product.movedim(0, axis)


class Constant(NamedTuple):
    """``a u + b . (u_1, ..) + c . (u_11, ..) = f`` inside, and values on all sides."""

    a: float
    b: list[float]
    c: list[float]
    values: Values
    """Those on the sides, and 0 at the nodes inside."""


@torch.no_grad()
def constant(equation: Equation, grid: Grid) -> Constant | None:
    """The equation as one of constant coefficients, if it is one at the nodes of the grid: its partial derivatives are the same
    at all nodes, and so for other values of u.
    """
    if any(condition.order > 0 for condition in equation.conditions):
        return None
    rows_of = parts(equation, grid)
    if sum(len(part.rows) for part in rows_of[1:]) < len(grid.points) - (grid.size - 2) ** grid.dimension:
        return None
    if any((part.rows != part.at).any() for part in rows_of):
        return None
    of_zeros, of_others = (look(equation, grid, rows_of, grid.constant_jet(value)) for value in (0.0, ANY))
    inside, linear = rows_of[0].rows, of_zeros.coefficients.near(of_others.coefficients)
    columns = torch.cat([part.view(len(grid.points), -1)[inside] for part in of_zeros.coefficients], dim=1)
    on_sides = of_zeros.coefficients.a.clone().index_fill_(0, inside, 1.0)
    if not linear or not torch.allclose(columns, columns[0], rtol=1e-12, atol=0) or (on_sides == 0).any():
        return None
    a, b, c = columns[0].split([1, grid.dimension, grid.dimension])
    values = (-of_zeros.residual / on_sides).index_fill_(0, inside, 0.0)
    return Constant(a.item(), b.tolist(), c.tolist(), values)


@torch.no_grad()
def by_axes(equation: Equation, grid: LobattoGrid, known: Constant) -> Values:
    """The values at which an equation of constant coefficients holds at the nodes inside."""
    inside = (slice(1, -1),) * grid.dimension
    inner = torch.arange(len(grid.points)).view(grid.shape)[inside].flatten()
    factors = [
        (b * grid.units(axis), c * grid.units(axis) ** 2)
        for axis, (b, c) in enumerate(zip(known.b, known.c, strict=True))
    ]
    of_each = {each: decomposed(grid, *each) for each in dict.fromkeys(factors)}
    of_axes = [of_each[each] for each in factors]
    eigenvalues = torch.tensor(known.a, dtype=torch.float64)
    for each in of_axes:
        eigenvalues = eigenvalues.unsqueeze(-1) + each.values
    values = known.values.view(grid.shape).clone()
    passes = 1 if max(each.condition() for each in of_axes) < ILL else REFINED
    for _ in range(passes):
        there = at_some(grid.jet(values.flatten()), inner, equation.order)
        step = -equation.residual(grid.points[inner], there).view((grid.size - 2,) * grid.dimension)
        for axis, each in enumerate(of_axes):
            step = _along(each.inverse, step, axis)
        step = step / eigenvalues
        for axis, each in enumerate(of_axes):
            step = _along(each.vectors, step, axis)
        values[inside] += step.real
    return values.flatten()


class Decomposed(NamedTuple):
    """Eigenvalues and eigenvectors of a matrix, and the inverse of the latter."""

    values: Tensor
    vectors: Tensor
    inverse: Tensor

    def condition(self) -> float:
        """Of the eigenvectors: the factor of rounding errors."""
        return float(self.vectors.norm() * self.inverse.norm())


def decomposed(grid: LobattoGrid, first: float, second: float) -> Decomposed:
    """A combination of derivatives of what is 0 at both ends."""
    values, vectors = torch.linalg.eig((first * grid.first + second * grid.second)[1:-1, 1:-1])
    if not values.imag.any():
        values, vectors = values.real, vectors.real
    return Decomposed(values, vectors, torch.linalg.inv(vectors))


def _along(matrix: Tensor, values: Tensor, axis: int) -> Tensor:
    """One of the two may be complex."""
    dtype = torch.promote_types(matrix.dtype, values.dtype)
    return along(matrix.to(dtype), values.to(dtype), axis)


def spectral(config: SpectralConfig, dimension: int, generator: torch.Generator) -> Chebyshev:
    """The polynomial 0 of the first degree."""
    return Chebyshev(dimension, config.stages(dimension)[0] + 1)
