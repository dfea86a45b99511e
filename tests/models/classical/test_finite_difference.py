"""Differences are of second order, and the splines between the nodes add nothing to their error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import make_interp_spline

from harness import problems
from harness.data import dense_points
from harness.models import Regressor
from harness.models.classical.finite_difference import EvenGrid, Splines
from tests.models.classical import equations
from tests.models.classical.equations import Known, relative_error


@pytest.mark.parametrize("intervals", [3, 4, 5, 12])
def test_the_basis_is_scipy_s_with_its_derivatives(intervals: int) -> None:
    nodes = np.linspace(-1, 1, intervals + 1)
    spline = make_interp_spline(nodes, np.random.default_rng(0).standard_normal(intervals + 1), 3)
    network = Splines(1, 5)
    network.set(torch.from_numpy(spline.c))
    x = np.linspace(-1, 1, 77)
    jet = network.jet(torch.from_numpy(x)[:, None], 2)
    assert jet.slopes is not None
    assert jet.curvatures is not None
    parts = (jet.value[:, 0], jet.slopes[:, 0, 0], jet.curvatures[:, 0, 0])
    for order, found in enumerate(parts):
        inside = slice(None) if order == 0 else slice(1, -1)
        expected = spline(x, order)
        np.testing.assert_allclose(
            found.detach().numpy()[inside], expected[inside], rtol=0, atol=1e-11 * intervals**order
        )


def test_differences_are_exact_for_polynomials_of_second_degree_at_the_ends_too() -> None:
    grid = EvenGrid(5, ((0.0, 3.0), (-1.0, 1.0)))
    x, y = grid.points.T
    values = 2 * x**2 - 3 * x * y + y**2 + x
    torch.testing.assert_close(grid.derivative(values, 0, 1), 4 * x - 3 * y + 1)
    torch.testing.assert_close(grid.derivative(values, 1, 1), 2 * y - 3 * x)
    torch.testing.assert_close(grid.derivative(values, 0, 2), torch.full_like(x, 4))
    torch.testing.assert_close(grid.derivative(values, 1, 2), torch.full_like(x, 2))


# Measured with another program (SOLVING, section 2): relative L2 on the dense points.
FIGURES = [
    ("solve_2d_sin", 100, 3.3e-4),
    ("solve_2d_spec", 100, 5.4e-4),
    ("solve_2d_highfreq", 100, 5.3e-3),
    ("solve_1d_sin", 1000, 3.3e-6),
    ("solve_1d_highfreq", 1000, 5.3e-5),
]


@pytest.mark.parametrize(("name", "intervals", "figure"), FIGURES)
def test_the_errors_are_those_that_are_known(name: str, intervals: int, figure: float) -> None:
    problem = problems.get(name)
    assert problem.equation is not None
    network = Splines(problem.dimension, 4)
    assert network.solve(problem.equation, intervals, problem.bounds) == 1
    x = dense_points(problem)
    expected = problem.values(x)
    error = ((Regressor(network, -1.0, 1.0).predict(x) - expected).norm() / expected.norm()).item()
    assert error == pytest.approx(figure, rel=0.03)


@pytest.mark.parametrize(
    "known",
    [
        equations.poisson(1),
        equations.poisson(3),
        equations.drift(),
        equations.coefficient(),
        equations.cubic(),
        equations.heat(),
        equations.burgers(),
        equations.slopes(),
        equations.wave(),
    ],
    ids=lambda each: str(each.equation.formula),
)
def test_half_the_distance_leaves_a_quarter_of_the_error(known: Known) -> None:
    errors = []
    for intervals in (10, 20) if len(known.bounds) == 3 else (25, 50):
        network = Splines(len(known.bounds), 4)
        network.solve(known.equation, intervals, known.bounds)
        errors.append(relative_error(network, known))
    assert 3.2 < errors[0] / errors[1] < 5.5
    assert errors[1] < 0.02


@pytest.mark.parametrize("intervals", [250, 500, 1000])
def test_differences_of_a_constant_are_0_on_fine_grids_at_the_ends_too(intervals: int) -> None:
    _, first, second = EvenGrid(intervals, ((0.0, 1.0),)).stencil
    assert (first.sum(dim=1).abs() <= 1e-15 * intervals).all()
    assert (second.sum(dim=1).abs() <= 1e-15 * intervals**2).all()
