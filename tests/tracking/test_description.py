"""What a run says of itself: of rows of a file what its errors are of, the floor of the noise, and whether it went below it; of
an equation what is solved, what is known, and what its errors are.
"""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from harness import problems
from harness.data import Sample
from harness.outcome import Ending, Outcome
from harness.presets import resolve
from harness.problems import Condition, Equation, Problem, dirichlet
from harness.problems.table import of_numbers
from harness.tracking.description import describe, facts

X = np.repeat(np.arange(30.0), 2)[:, None]
"""Each input twice."""
Y = X + 0.1 * np.tile([-1.0, 1.0], 30)[:, None]
"""Pooled variance of equal inputs: 0.02."""
ENDED = Ending(Outcome.COMPLETED, "Done.")


def note(mse: float, dropped: int = 0) -> str:
    table = dataclasses.replace(of_numbers("rows", ("a",), ("b",), X, Y), dropped=dropped)
    problem = Problem(
        name="rows",
        dimension=1,
        table=table,
        formula="60 rows",
        sections=("data",),
        citation="me",
        inputs=("a",),
        outputs=("b",),
    )
    metrics = {"final/dense_mse": mse, "final/dense_nmse": mse / 75, "final/linf": 1.0, "model/active_params": 3.0}
    metrics |= {"final/dense_nmse_low": mse / 80, "final/dense_nmse_high": mse / 70}
    return describe(resolve({"model": "mlp"}), problem, ENDED, metrics)


@pytest.mark.parametrize(("mse", "below"), [(0.0201, False), (0.0199, True)])
def test_an_error_below_the_floor_of_the_noise_is_said_to_be_below_it(mse: float, below: bool) -> None:
    said = note(mse)
    assert "a variance of 0.02: a floor of the MSE on new rows" in said
    assert ("**The held-out MSE is below it**" in said) == below


def test_rows_of_a_file_have_a_held_out_error_with_its_interval_and_no_h1_error() -> None:
    said = note(0.03, dropped=4)
    assert "| held-out MSE |" in said
    assert "95% interval of the NMSE" in said
    assert "no H1 error" in said
    assert "4 rows were dropped" in said


SOLVED = {
    "final/dense_mse": 1e-14,
    "final/dense_nmse": 5e-14,
    "final/linf": 3.5e-7,
    "final/rel_l2": 2.5e-7,
    "final/residual_nmse": 1.25e-10,
    "model/active_params": 267.0,
}


def test_an_equation_says_what_is_solved_what_is_given_and_what_is_not_known() -> None:
    problem = problems.get("solve_2d_spec")
    config = resolve({"model": "siren", "problem": "solve_2d_spec", "n_train": 2000})
    for said in (describe(config, problem), describe(config, problem, ENDED, SOLVED)):
        assert "Solved: `laplacian(u) = -pi^2 (1 + 4y^2) sin(pi x) sin(pi y^2)" in said
        assert "for x from -1 to 1, y from -1 to 1, with given values of u on all sides." in said
        assert "at 2,000 points inside" in said
        assert "no value of the solution is known to training" in said
        assert "Reference solution: `sin(pi x) sin(pi y^2)`" in said
        assert "Target:" not in said
    assert "given values of u at both ends" in describe(config, problems.get("solve_1d_sin"))


def test_the_errors_of_an_equation_are_those_of_its_solution_and_its_residual_and_explained() -> None:
    problem = problems.get("solve_2d_spec")
    config = resolve({"model": "siren", "problem": "solve_2d_spec"})
    lines = describe(config, problem, ENDED, SOLVED).splitlines()
    head = lines.index("| relative L2 of u | residual NMSE | largest error of u | active parameters |")
    assert lines[head + 2] == "| 2.5e-07 | 1.25e-10 | 3.5e-07 | 267 |"
    assert not any("dense MSE" in line for line in lines)
    assert any("Relative L2: root mean square of the error of u over that of u." in line for line in lines)
    assert any("over that of the forcing" in line for line in lines)
    assert "nan" in describe(config, problem, ENDED, {k: v for k, v in SOLVED.items() if "residual" not in k})


def test_conditions_are_told_by_their_sides_and_what_they_are_on() -> None:
    def rest(x: torch.Tensor, jet: problems.Jet) -> torch.Tensor:
        assert jet.slopes is not None
        return jet.slopes[:, 0, 1]

    def wave(x: torch.Tensor, jet: problems.Jet) -> torch.Tensor:
        assert jet.curvatures is not None
        return jet.curvatures[:, 0, 1] - jet.curvatures[:, 0, 0]

    equation = Equation(
        formula="u_tt = u_xx",
        operator=wave,
        scale=2.5,
        conditions=(
            dirichlet(torch.zeros_like, (0, "low"), (0, "high")),
            Condition(residual=rest, sides=((1, "low"),), order=1),
        ),
    )
    problem = Problem(
        name="wave",
        dimension=2,
        inputs=("x", "t"),
        outputs=("w",),
        low=0.0,
        target=lambda x: 0 * x[:, :1],
        formula="0",
        sections=("mine",),
        citation="me",
        equation=equation,
    )
    said = describe(resolve({"model": "mlp"}), problem, ENDED, SOLVED)
    assert "with given values of w at x = 0, x = 1; slopes of w at t = 0." in said
    assert "| relative L2 of w |" in said
    assert "over the square of 2.5" in said


def test_the_facts_of_an_equation_have_its_formula_and_those_of_a_fit_have_none() -> None:
    x = torch.rand(5, 1, dtype=torch.float64)
    for name, formula in (("solve_1d_sin", "-laplacian(u) = pi^2 sin(pi x)"), ("poisson_1d_sin", None)):
        known = json.loads(facts(problems.get(name), Sample(x, x)))
        assert known.get("equation") == formula
