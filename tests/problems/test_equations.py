"""Every equation that comes with the project has the solution that it says, and the partial derivatives of its operator."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from harness import problems
from harness.data import sample, scale_of
from harness.problems import Jet, Problem
from harness.problems.equations import THETA, cole_hopf

EQUATIONS = [problem for problem in map(problems.get, problems.PROBLEMS.names()) if problem.equation]
by_name = pytest.mark.parametrize("problem", EQUATIONS, ids=lambda problem: problem.name)


def inside(problem: Problem, count: int = 300) -> Tensor:
    low, high = torch.tensor(problem.bounds, dtype=torch.float64).T
    unit = torch.rand(count, problem.dimension, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    x: Tensor = low + (high - low) * unit
    return x


def jet_of(problem: Problem, x: Tensor) -> Jet:
    """The solution with its derivatives by autograd, also where it is a quadrature."""
    x = x.clone().requires_grad_(True)
    value = problem.target(x)
    (slopes,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    curvatures = [
        torch.autograd.grad(slopes[:, axis].sum(), x, retain_graph=True, materialize_grads=True)[0][:, axis]
        for axis in range(problem.dimension)
    ]
    return Jet(value, slopes[:, None], torch.stack(curvatures, dim=1)[:, None]).detached()


def test_these_are_all_of_them() -> None:
    names = {problem.name.removeprefix("solve_") for problem in EQUATIONS if "equations" in problem.sections}
    assert names == {
        "helmholtz_2d",
        "poisson_cubic_2d",
        "bratu_1d",
        "allen_cahn_2d",
        "heat_1d",
        "burgers_1d",
        "burgers_1d_viscous",
        "poisson_3d",
        "poisson_5d",
    }
    assert all(problem.name.startswith("solve_") for problem in EQUATIONS)


@by_name
def test_the_exact_solution_has_no_residual_inside(problem: Problem) -> None:
    """Of Burgers' too: differentiating the quadrature twice costs five digits, of sixteen."""
    assert problem.equation is not None
    x = inside(problem)
    residual = problem.equation.residual(x, jet_of(problem, x)) / scale_of(problem)
    assert residual.abs().max() <= 1e-10


@by_name
def test_the_exact_solution_has_no_residual_on_any_side_of_a_condition(problem: Problem) -> None:
    data = sample(problem, 0, 10, 10, 10, n_boundary=60)
    for rows, x in zip(data.declared[1:], data.at_declared[1:], strict=True):
        residual = rows.residual(x, Jet(problem.target(x)))
        assert residual.abs().max() <= 1e-10


@by_name
def test_partials_are_those_that_autograd_finds(problem: Problem) -> None:
    assert problem.equation is not None
    assert problem.equation.partials is not None
    x = inside(problem, 50)
    random = torch.randn(50, 1, 2 * problem.dimension + 1, generator=torch.Generator().manual_seed(1)).double()
    parts = [random[..., 0], *random[..., 1:].chunk(2, dim=-1)]
    given = [part.clone().requires_grad_() for part in parts]
    found = torch.autograd.grad(problem.equation.operator(x, Jet(*given)).sum(), given, materialize_grads=True)
    for own, expected in zip(problem.equation.partials(x, Jet(*parts)), found, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-12, atol=1e-12)


@by_name
def test_each_says_its_equation_its_source_and_a_scale_that_makes_residuals_of_order_one(problem: Problem) -> None:
    assert problem.equation is not None
    assert "=" in problem.equation.formula
    assert problem.formula
    assert problem.citation
    assert problem.outputs == ("u",)
    nothing = torch.zeros(300, 1, problem.dimension, dtype=torch.float64)
    x = inside(problem)
    if problem.equation.forcing is not None:
        residual = problem.equation.residual(x, Jet(nothing[..., 0], nothing, nothing)) / scale_of(problem)
        assert residual.square().mean().sqrt() == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("name", ["solve_heat_1d", "solve_burgers_1d", "solve_burgers_1d_viscous"])
def test_the_scale_without_a_forcing_is_the_root_mean_square_of_u_t_at_the_first_time(name: str) -> None:
    problem = problems.get(name)
    x = torch.linspace(*problem.bounds[0], 2001, dtype=torch.float64)[:-1, None]
    first = problem.slopes(torch.cat([x, 0 * x], dim=1))[:, 1]
    assert first.square().mean().sqrt().item() == pytest.approx(scale_of(problem), rel=1e-6)


@pytest.mark.parametrize("name", ["solve_heat_1d", "solve_burgers_1d", "solve_burgers_1d_viscous"])
def test_of_space_and_time_nothing_is_said_at_the_last_time(name: str) -> None:
    problem = problems.get(name)
    assert problem.inputs == ("x", "t")
    data = sample(problem, 0, 10, 10, 10)
    assert (data.at_declared[1][:, 1] == 1).sum() == 2, "the corners"


@pytest.mark.parametrize("viscosity", [0.01 / math.pi, 0.1 / math.pi])
def test_burgers_is_the_same_with_twice_the_nodes_before_and_in_the_front(viscosity: float) -> None:
    x = inside(problems.get("solve_burgers_1d"), 2000)
    x[:500, 0] *= 1e-2
    x[:10, 1] = 1.0
    torch.testing.assert_close(cole_hopf(x, viscosity), cole_hopf(x, viscosity, nodes=200), rtol=0, atol=1e-13)


def test_burgers_has_its_known_slope_in_the_front() -> None:
    """Basdevant et al. 1986: -152.00516 at t = 1.6037 / pi."""
    slopes = problems.get("solve_burgers_1d").slopes(torch.tensor([[0.0, 1.6037 / math.pi]], dtype=torch.float64))
    assert slopes[0, 0].item() == pytest.approx(-152.00516, rel=1e-6)


def test_burgers_keeps_its_precision_and_its_points_whatever_their_number() -> None:
    x = inside(problems.get("solve_burgers_1d"), 5000)
    whole = problems.get("solve_burgers_1d").target(x)
    assert torch.equal(whole[4990:], cole_hopf(x[4990:], 0.01 / math.pi))
    single = problems.get("solve_burgers_1d").target(x.float())
    assert single.dtype == torch.float32
    assert (single - whole).abs().max() < 1e-4


def test_bratu_is_on_the_lower_branch() -> None:
    assert pytest.approx(math.sqrt(2) * math.cosh(THETA / 4), rel=1e-15) == THETA
    middle = problems.get("solve_bratu_1d").target(torch.tensor([[0.5]], dtype=torch.float64)).item()
    assert middle == pytest.approx(0.1405392, rel=1e-6), "and not 4.09"
