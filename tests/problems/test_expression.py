"""A formula is written once: its text is what is evaluated, and what is shown."""

from __future__ import annotations

import math
import re

import pytest
import torch

from harness import problems
from harness.problems.expression import Expression, of_formula
from harness.problems.problem import Problem

DECLARED = [problems.get(name) for name in problems.PROBLEMS.names()]
BY_FORMULA = [problem for problem in DECLARED if isinstance(problem.target, Expression)]


def test_a_text_is_evaluated_as_python_would_and_shown_as_formulas_are() -> None:
    expression = Expression("sqrt(2 * pi) * exp(-a**2 / 2) - b", ("a", "b"))
    x = torch.tensor([[0.0, 1.0], [2.0, -1.0]], dtype=torch.float64)
    expected = [[math.sqrt(2 * math.pi) - 1], [math.sqrt(2 * math.pi) * math.exp(-2) + 1]]
    torch.testing.assert_close(expression(x), torch.tensor(expected, dtype=torch.float64))
    assert expression(x.float()).dtype == torch.float32
    assert expression.formula == "sqrt(2 pi) exp(-a^2 / 2) - b"


def test_sinc_is_sin_x_over_x_and_1_at_0_with_slope_0() -> None:
    x = torch.tensor([[0.0], [1.5]], dtype=torch.float64)
    expression = Expression("sinc(x)", ("x",))
    torch.testing.assert_close(expression(x), torch.tensor([[1.0], [math.sin(1.5) / 1.5]], dtype=torch.float64))
    slope = math.cos(1.5) / 1.5 - math.sin(1.5) / 1.5**2
    torch.testing.assert_close(expression.finite_gradient(x), torch.tensor([[0.0], [slope]], dtype=torch.float64))


def test_an_infinite_slope_is_left_out() -> None:
    slopes = Expression("sqrt(abs(x))", ("x",)).finite_gradient(torch.tensor([[0.0], [0.25], [-0.25]]))
    assert slopes.flatten().tolist() == [0.0, 1.0, -1.0]


def test_a_text_can_reach_nothing_but_its_inputs_and_its_functions() -> None:
    with pytest.raises(NameError):
        Expression("open(x)", ("x",))(torch.zeros(1, 1))


def test_a_of_formula_a_formula_has_its_inputs_and_bounds_in_the_order_of_the_ranges() -> None:
    problem = of_formula("p", "b - a", {"b": (0, 2), "a": (-1, 1)}, sections=("mine",), citation="me")
    assert (problem.dimension, problem.inputs, problem.bounds) == (2, ("b", "a"), ((0.0, 2.0), (-1.0, 1.0)))
    assert problem.target(torch.tensor([[3.0, 1.0]])).item() == 2.0


@pytest.mark.parametrize("problem", BY_FORMULA, ids=lambda problem: problem.name)
def test_a_formula_can_be_read_in_one_way_only(problem: Problem) -> None:
    """What is divided by ends the product: ``a / b c`` would leave open where c belongs."""
    operand = r"(?:\w*\([^()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^()]*)*\)|[\w.]+)(?:\^[\w.]+)?"
    assert not re.search(rf"/ {operand} [\w(]", problem.formula)


@pytest.mark.parametrize("problem", DECLARED, ids=lambda problem: problem.name)
def test_a_declared_problem_is_finite_where_it_is_learned_and_tells_its_source(problem: Problem) -> None:
    low, high = torch.tensor(problem.bounds, dtype=torch.float64).T
    unit = torch.rand(2000, problem.dimension, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x = low + (high - low) * unit
    assert problem.values(x).isfinite().all()
    assert problem.slopes(x).isfinite().all()
    for dtype in (torch.float32, torch.float64):
        assert problem.target(x.to(dtype)).dtype == dtype
    assert problem.formula
    assert problem.citation
