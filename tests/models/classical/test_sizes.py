"""What a classical solver can't do is refused in one sentence, before anything is allocated."""

from __future__ import annotations

from typing import Any

import pytest

from harness import problems
from harness.errors import BadInput
from harness.machine import memory
from harness.models import network
from harness.models.classical import sizes
from harness.models.classical.product import Product
from harness.presets import resolve
from harness.problems import Problem
from harness.run import check
from tests.models.classical import equations
from tests.models.classical.equations import Known


def problem_of(known: Known, name: str) -> Problem:
    low, high = zip(*known.bounds, strict=True)
    return Problem(
        name=name,
        dimension=len(known.bounds),
        low=low,
        high=high,
        target=known.solution,
        formula="known",
        outputs=("u",),
        sections=("known",),
        citation="",
        equation=known.equation,
    )


def fitting(known: Known, **fields: Any) -> tuple[int, ...]:
    problem = problem_of(known, "known")
    config = resolve({"problem": "solve_2d_sin", **fields})
    found = network(config, problem.dimension)
    assert isinstance(found, Product)
    return sizes.fitting(found, config, problem)  # type: ignore[arg-type]  # of a solver


def test_its_own_grids_are_those_that_fit() -> None:
    assert fitting(equations.poisson(1), model="spectral")[-1] == 64
    assert fitting(equations.poisson(2), model="finite_difference") == (4, 8, 12, 25, 50, 100)
    assert fitting(equations.poisson(5), model="spectral") == (4, 6, 8, 12)
    assert fitting(equations.poisson(5), model="spectral", epochs=2) == (4, 6)
    assert fitting(equations.poisson(1), model="finite_difference")[-1] == 1000


def test_elimination_takes_fewer_unknowns_than_diagonal_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "CEILING", 2**27)
    assert fitting(equations.poisson(2), model="spectral")[-1] == 64
    assert fitting(equations.cubic(), model="spectral")[-1] == 48


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (
            {"model": "spectral", "degrees": "4,3000"},
            r"degrees = 3000 can't be solved on problem 'solve_2d_spec': .* 9,006,001 unknowns, and may take 1\.0 GiB",
        ),
        ({"model": "finite_difference", "grids": "10,2000"}, r"grids = 2000 can't be solved on problem"),
        (
            {"model": "spectral", "degrees": "1000000"},
            r"degrees = 1000000 can't fit: with 1,000,002,000,001 parameters",
        ),
        (
            {"model": "spectral", "problem": "sin_freq1"},
            r"problem = 'sin_freq1' is fitted, and model 'spectral' solves",
        ),
        ({"model": "finite_difference", "problem": "poisson_2d_sin"}, r"problem = 'poisson_2d_sin' is fitted"),
    ],
)
def test_a_run_that_can_not_be_solved_is_refused(fields: dict[str, Any], complaint: str) -> None:
    config = resolve({"problem": "solve_2d_spec", **fields})
    with pytest.raises(BadInput, match=complaint):
        check(config, memory())


def test_a_family_that_fits_may_have_an_equation_too() -> None:
    for model in ("spectral", "finite_difference", "siren"):
        check(resolve({"model": model, "problem": "solve_2d_spec"}), memory())
    assert problems.get("solve_2d_spec").equation is not None
