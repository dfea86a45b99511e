"""Which row stands at which node, and what becomes of equations that have no solution."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from harness.errors import BadInput
from harness.models.classical.collocation import newton, parts, refuse_conditions_without_room
from harness.models.classical.finite_difference import EvenGrid, Splines
from harness.models.classical.product import Product
from harness.models.classical.spectral import Chebyshev
from harness.problems import Condition, dirichlet
from tests.models.classical import equations


def numbers(condition: int | None, of: equations.Known) -> list[list[int]]:
    grid = EvenGrid(3, of.bounds)
    found = next(part for part in parts(of.equation, grid) if part.condition == condition)
    return [found.rows.tolist(), found.at.tolist()]


def test_nodes_on_open_sides_have_the_row_of_the_equation() -> None:
    # The last axis, time, varies fastest; 7 and 11 are the last times inside.
    assert numbers(None, equations.heat()) == [[5, 6, 7, 9, 10, 11]] * 2


def test_where_sides_meet_the_condition_of_the_lowest_order_counts() -> None:
    of_slope, of_values = (numbers(index, equations.slopes()) for index in (0, 1))
    assert of_slope == [[13, 14], [13, 14]]
    assert sorted(of_values[0]) == [0, 1, 2, 3, 4, 7, 8, 11, 12, 15]


def test_a_second_condition_of_a_side_has_the_rows_of_the_side_across() -> None:
    assert numbers(1, equations.wave()) == [[7, 11], [4, 8]]


def test_more_conditions_than_there_are_rows_are_refused() -> None:
    known = equations.poisson(2)
    slope = Condition(residual=lambda x, jet: equations.slope(jet, 0), sides=((0, "low"),), order=1)
    equation = replace(known.equation, conditions=(*known.equation.conditions, slope))
    with pytest.raises(
        BadInput, match=r"more conditions on the side \(0, 'low'\) than a classical solver has rows for"
    ):
        refuse_conditions_without_room(equation, 2)
    refuse_conditions_without_room(equations.wave().equation, 2)


@pytest.mark.parametrize("kind", [Chebyshev, Splines])
def test_a_singular_system_gives_numbers_that_are_not_finite(kind: type[Product]) -> None:
    """u = 0 u says nothing of u."""
    known = equations.poisson(1)
    equation = replace(known.equation, operator=lambda x, jet: 0 * jet.value[:, 0], order=0)
    network = kind(1, 4)
    network.solve(equation, 8, known.bounds)
    assert not network.coefficients.isfinite().all()


@pytest.mark.parametrize("kind", [Chebyshev, Splines])
def test_an_equation_without_a_solution_ends_where_its_rows_are_low(kind: type[Product]) -> None:
    """u'' + 10 exp(u) = 0, u = 0 at both ends of [-1, 1]: beyond the fold of Bratu's problem there is none."""
    equation = replace(
        equations.poisson(1).equation,
        operator=lambda x, jet: equations.laplacian(jet) + 10 * jet.value[:, 0].exp(),
        forcing=None,
        scale=1.0,
        conditions=(dirichlet(lambda x: torch.zeros_like(x)),),
    )
    network = kind(1, 4)
    network.solve(equation, 12, ((-1.0, 1.0),))
    assert network.coefficients.isfinite().all()


def test_a_start_that_is_none_of_the_equation_s_values_does_not_win_over_a_solution() -> None:
    """u'' + log(2 - u) = f: a coarse start above 2 has rows of NaN."""

    def solution(x: Tensor) -> Tensor:
        return torch.sin(torch.pi * x)

    equation = replace(
        equations.poisson(1).equation,
        operator=lambda x, jet: equations.laplacian(jet) + torch.log(2 - jet.value[:, 0]),
        forcing=lambda x: -(torch.pi**2) * solution(x) + torch.log(2 - solution(x)),
        scale=1.0,
        conditions=(dirichlet(solution),),
    )
    grid = EvenGrid(16, ((-1.0, 1.0),))
    above = solution(grid.points[:, 0])
    above[5] = 2.5
    found, _ = newton(equation, grid, lambda: above)
    assert (found - solution(grid.points[:, 0])).abs().max() < 0.02
