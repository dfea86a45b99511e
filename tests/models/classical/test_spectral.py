"""Chebyshev collocation: polynomials are exact, and smooth solutions converge faster than any power."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev

from harness import problems
from harness.data import dense_points
from harness.models import Regressor
from harness.models.classical.spectral import Chebyshev, LobattoGrid, constant
from tests.models.classical import equations
from tests.models.classical.equations import Known, relative_error


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 9, 17, 40])
def test_the_basis_is_numpy_s_with_its_derivatives(size: int) -> None:
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)
    _, found = Chebyshev(1, size).basis(x.unsqueeze(1), 2)
    for order, values in enumerate(found):
        one_each = np.eye(size)
        expected = chebyshev.chebval(x.numpy(), chebyshev.chebder(one_each, order, axis=0) if order else one_each)
        np.testing.assert_allclose(values[:, 0].numpy(), np.asarray(expected.T), rtol=1e-11, atol=1e-11 * size**4)


@pytest.mark.parametrize("degree", [2, 5, 16])
def test_the_derivatives_at_the_nodes_and_the_coefficients_are_those_of_a_polynomial(degree: int) -> None:
    grid = LobattoGrid(degree, ((0.0, 3.0),))
    polynomial = np.polynomial.Polynomial(np.random.default_rng(0).standard_normal(degree + 1), domain=(0.0, 3.0))
    x = grid.points[:, 0].numpy()
    assert x[0] == 0
    assert x[-1] == 3
    values = torch.from_numpy(polynomial(x))
    for order in (1, 2):
        expected = polynomial.deriv(order)(x)
        found = grid.derivative(values, 0, order).numpy()
        assert np.abs(found - expected).max() <= 1e-12 * degree**4 * values.abs().max().item()
    by_numpy = polynomial.convert(kind=chebyshev.Chebyshev, domain=(0.0, 3.0)).coef.astype(float)
    np.testing.assert_allclose((grid.to_coefficients @ values).numpy(), by_numpy, rtol=0, atol=1e-12)


# Measured with another program (SOLVING, section 2), with room for rounding: relative L2 on the dense points.
FIGURES = [
    ("solve_2d_sin", 16, 2.6e-11),
    ("solve_2d_spec", 16, 1.5e-7),
    ("solve_2d_spec", 24, 1.9e-12),
    ("solve_2d_spec", 32, 4e-14),
    ("solve_2d_highfreq", 24, 6.0e-6),
    ("solve_2d_highfreq", 32, 4e-11),
    ("solve_2d_poly", 8, 4e-14),
    ("solve_1d_highfreq", 24, 4.2e-6),
    ("solve_1d_sin", 24, 1e-13),
]


@pytest.mark.parametrize(("name", "degree", "figure"), FIGURES)
def test_the_errors_are_those_that_are_known(name: str, degree: int, figure: float) -> None:
    problem = problems.get(name)
    assert problem.equation is not None
    network = Chebyshev(problem.dimension, 3)
    assert network.solve(problem.equation, degree, problem.bounds) == 1
    x = dense_points(problem)
    expected = problem.values(x)
    error = ((Regressor(network, -1.0, 1.0).predict(x) - expected).norm() / expected.norm()).item()
    assert error <= 1.1 * figure
    assert figure < 1e-10 or error >= 0.9 * figure


@pytest.mark.parametrize(
    ("known", "degree", "bound", "diagonal"),
    [
        (equations.poisson(1), 20, 1e-12, True),
        (equations.poisson(3), 16, 1e-10, True),
        (equations.poisson(5), 8, 2e-4, True),
        (equations.drift(), 24, 1e-12, True),
        (equations.coefficient(), 16, 1e-12, False),
        (equations.cubic(), 20, 1e-12, False),
        (equations.heat(), 16, 1e-9, False),
        (equations.burgers(), 16, 1e-3, False),
        (equations.slopes(), 16, 1e-10, False),
        (equations.wave(), 16, 1e-9, False),
    ],
    ids=lambda each: each.equation.formula if isinstance(each, Known) else "",
)
def test_every_kind_of_equation_is_solved(known: Known, degree: int, bound: float, diagonal: bool) -> None:
    network = Chebyshev(len(known.bounds), 3)
    network.solve(known.equation, degree, known.bounds)
    assert network.size == degree + 1
    assert relative_error(network, known) <= bound
    assert (constant(known.equation, LobattoGrid(4, known.bounds)) is not None) == diagonal


def test_slopes_that_make_the_eigenvectors_ill_conditioned_are_refined() -> None:
    known, network = equations.drift(), Chebyshev(2, 3)
    network.solve(known.equation, 48, known.bounds)
    assert relative_error(network, known) <= 1e-11


def test_a_nonlinear_equation_goes_on_from_the_degree_before() -> None:
    known, network = equations.cubic(), Chebyshev(2, 3)
    systems = [network.solve(known.equation, degree, known.bounds) for degree in (8, 16, 20)]
    assert systems[0] > systems[1] >= systems[2] >= 1
    assert relative_error(network, known) <= 1e-12
