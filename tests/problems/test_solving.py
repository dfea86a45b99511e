"""The seven Poisson problems as equations are those whose forcings the original benchmark fits."""

from __future__ import annotations

import pytest
import torch

from harness import problems
from harness.data import sample, scale_of
from harness.problems.solving import POISSON


@pytest.mark.parametrize("name", POISSON)
def test_the_forcing_that_is_fitted_is_given_and_the_solution_is_what_is_looked_for(name: str) -> None:
    fitted, solved = problems.get(f"poisson_{name}"), problems.get(f"solve_{name}")
    assert solved.equation is not None
    assert (solved.target, solved.equation.forcing) == (fitted.solution, fitted.target)
    assert solved.formula == fitted.solution_formula
    assert fitted.formula in solved.equation.formula
    assert solved.smooth == fitted.smooth
    assert solved.sections == (f"solve_{fitted.dimension}d",)
    assert fitted.equation is None
    assert solved.kind == "equation"


@pytest.mark.parametrize("name", POISSON)
def test_residuals_count_in_units_of_the_forcing_at_the_points_of_the_fit(name: str) -> None:
    fitted, solved = (sample(problems.get(f"{kind}_{name}"), 3, 50, 40, 30) for kind in ("poisson", "solve"))
    assert torch.equal(fitted.train.x, solved.train.x)
    assert torch.equal(fitted.dense.x, solved.dense.x)
    forcing = fitted.dense.y.square().mean().sqrt().item()
    assert scale_of(problems.get(f"solve_{name}")) == pytest.approx(forcing, rel=1e-14)
