"""Equations whose solutions are known, each of its own kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.models import Regressor
from harness.problems import Condition, Equation, Jet, dirichlet
from harness.problems.equation import Bounds
from harness.problems.rows import Points

PI = math.pi


class Known(NamedTuple):
    equation: Equation
    solution: Callable[[Points], Tensor]
    bounds: Bounds


def laplacian(jet: Jet) -> Tensor:
    assert jet.curvatures is not None
    return jet.curvatures[:, 0].sum(dim=1)


def slope(jet: Jet, axis: int) -> Tensor:
    assert jet.slopes is not None
    return jet.slopes[:, 0, axis]


def curvature(jet: Jet, axis: int) -> Tensor:
    assert jet.curvatures is not None
    return jet.curvatures[:, 0, axis]


def poisson(dimension: int) -> Known:
    """On [-1, 1]^d, with values on the sides that are not 0."""

    def sines(x: Points) -> Tensor:
        return torch.sin(PI * x).prod(dim=1, keepdim=True)

    def solution(x: Points) -> Tensor:
        return sines(x) + x.sum(dim=1, keepdim=True)

    equation = Equation(
        formula="-laplacian(u) = f",
        operator=lambda x, jet: -laplacian(jet),
        forcing=lambda x: dimension * PI**2 * sines(x),
        conditions=(dirichlet(solution),),
    )
    return Known(equation, solution, ((-1.0, 1.0),) * dimension)


def drift() -> Known:
    """Slopes with constant coefficients, on a box whose sides are not equal."""

    def solution(x: Points) -> Tensor:
        return torch.exp(x[:, :1]) * torch.sin(3 * x[:, 1:])

    def forcing(x: Points) -> Tensor:
        return (1 - 9 + 30) * solution(x) - 15 * torch.exp(x[:, :1]) * torch.cos(3 * x[:, 1:])

    equation = Equation(
        formula="laplacian(u) + 30 u_x - 5 u_y = f",
        operator=lambda x, jet: laplacian(jet) + 30 * slope(jet, 0) - 5 * slope(jet, 1),
        forcing=forcing,
        conditions=(dirichlet(solution),),
    )
    return Known(equation, solution, ((-1.0, 1.0), (0.0, 1.5)))


def cubic() -> Known:
    """Nonlinear, with the partial derivatives left to autograd."""

    def solution(x: Points) -> Tensor:
        return torch.sin(PI * x[:, :1]) * torch.sin(2 * x[:, 1:] + 0.3)

    equation = Equation(
        formula="-laplacian(u) + u^3 - u = f",
        operator=lambda x, jet: -laplacian(jet) + jet.value[:, 0] ** 3 - jet.value[:, 0],
        forcing=lambda x: (PI**2 + 3) * solution(x) + solution(x) ** 3,
        conditions=(dirichlet(solution),),
    )
    return Known(equation, solution, ((-1.0, 1.0),) * 2)


def coefficient() -> Known:
    """Linear, with a coefficient that varies."""

    def solution(x: Points) -> Tensor:
        return torch.cos(2 * x[:, :1] + x[:, 1:])

    equation = Equation(
        formula="laplacian(u) + (2 + x) u = f",
        operator=lambda x, jet: laplacian(jet) + (2 + x[:, 0]) * jet.value[:, 0],
        forcing=lambda x: (x[:, :1] - 3) * solution(x),
        conditions=(dirichlet(solution),),
    )
    return Known(equation, solution, ((-1.0, 1.0),) * 2)


def heat() -> Known:
    """First order in time, and nothing given at the last time."""

    def solution(x: Points) -> Tensor:
        return torch.exp(-0.2 * PI**2 * x[:, 1:]) * torch.sin(PI * x[:, :1])

    equation = Equation(
        formula="u_t - 0.2 u_xx = 0",
        operator=lambda x, jet: slope(jet, 1) - 0.2 * curvature(jet, 0),
        scale=1.0,
        conditions=(dirichlet(solution, (0, "low"), (0, "high"), (1, "low")),),
    )
    return Known(equation, solution, ((-1.0, 1.0), (0.0, 1.0)))


def burgers() -> Known:
    """A travelling wave: nonlinear in space and time."""

    def solution(x: Points) -> Tensor:
        return 1 - torch.tanh((x[:, :1] - x[:, 1:]) / 0.4)

    equation = Equation(
        formula="u_t + u u_x - 0.2 u_xx = 0",
        operator=lambda x, jet: slope(jet, 1) + jet.value[:, 0] * slope(jet, 0) - 0.2 * curvature(jet, 0),
        scale=1.0,
        conditions=(dirichlet(solution, (0, "low"), (0, "high"), (1, "low")),),
    )
    return Known(equation, solution, ((-1.0, 1.0), (0.0, 1.0)))


def slopes() -> Known:
    """A slope on one side, values on the others."""

    def solution(x: Points) -> Tensor:
        return torch.cos(2 * x[:, :1]) * torch.exp(x[:, 1:])

    def there(x: Points) -> Tensor:
        return -2 * (torch.sin(2 * x[:, :1]) * torch.exp(x[:, 1:]))[:, 0]

    equation = Equation(
        formula="laplacian(u) = f",
        operator=lambda x, jet: laplacian(jet),
        forcing=lambda x: -3 * solution(x),
        conditions=(
            Condition(residual=lambda x, jet: slope(jet, 0) - there(x), sides=((0, "high"),), order=1),
            dirichlet(solution, (0, "low"), (1, "low"), (1, "high")),
        ),
    )
    return Known(equation, solution, ((-1.0, 1.0), (0.0, 1.0)))


def wave() -> Known:
    """Second order in time: value and speed at the first time, nothing at the last."""

    def solution(x: Points) -> Tensor:
        return torch.sin(PI * x[:, :1]) * torch.cos(PI * x[:, 1:])

    equation = Equation(
        formula="u_tt - u_xx = 0",
        operator=lambda x, jet: curvature(jet, 1) - curvature(jet, 0),
        scale=1.0,
        conditions=(
            dirichlet(solution, (0, "low"), (0, "high"), (1, "low")),
            Condition(residual=lambda x, jet: slope(jet, 1), sides=((1, "low"),), order=1),
        ),
    )
    return Known(equation, solution, ((-1.0, 1.0), (0.0, 1.0)))


def points_in(bounds: Bounds, count: int = 500) -> Points:
    low, high = (torch.tensor(ends, dtype=torch.float64) for ends in zip(*bounds, strict=True))
    unit = torch.rand(count, len(bounds), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return low + (high - low) * unit


def relative_error(network: nn.Module, known: Known) -> float:
    """In L2, at random points."""
    low, high = zip(*known.bounds, strict=True)
    x = points_in(known.bounds)
    expected = known.solution(x)
    return float((Regressor(network, low, high).predict(x) - expected).norm() / expected.norm())
