"""The problems are those of the declaration, and their derivatives and solutions belong to them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import problems
from harness.errors import BadInput
from harness.problems import PROBLEMS, Problem

SECTIONS = {
    "section1_1": [
        *(f"sin_freq{k}" for k in range(1, 6)),
        "piecewise",
        "sawtooth",
        "polynomial",
        "poisson_1d_highfreq",
    ],
    "section1_2": ["poisson_1d_highfreq", "poisson_1d_sin", "poisson_1d_poly"],
    "section1_3": ["poisson_2d_sin", "poisson_2d_poly", "poisson_2d_highfreq", "poisson_2d_spec"],
}
NAMES = sorted({name for names in SECTIONS.values() for name in names})


def points(problem: Problem, dtype: torch.dtype = torch.float64) -> Tensor:
    unit = torch.rand(64, problem.dimension, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    low, high = (torch.tensor(ends, dtype=torch.float64) for ends in zip(*problem.bounds, strict=True))
    return (low + (high - low) * unit).to(dtype)


def derivative(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    inputs = x.clone().requires_grad_(True)
    value = function(inputs).sum()
    if not value.requires_grad:  # a piecewise constant target does not depend on x as far as autograd can see
        return torch.zeros_like(x)
    (gradient,) = torch.autograd.grad(value, inputs, create_graph=True, allow_unused=True)
    return torch.zeros_like(x) if gradient is None else gradient


def test_the_sections_hold_sixteen_entries_and_fifteen_distinct_problems() -> None:
    found = {section: [n for n in PROBLEMS.names() if section in problems.get(n).sections] for section in SECTIONS}
    assert {section: sorted(names) for section, names in found.items()} == {
        section: sorted(names) for section, names in SECTIONS.items()
    }
    assert sum(map(len, found.values())) == 16
    assert sorted(PROBLEMS.names()[:15]) == NAMES, "they come first"


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_the_target(name: str) -> None:
    problem = problems.get(name)
    x = points(problem)
    torch.testing.assert_close(problem.slopes(x), derivative(problem.target, x).detach(), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("poisson")])
def test_the_target_is_the_forcing_of_the_exact_solution(name: str) -> None:
    problem = problems.get(name)
    assert problem.solution is not None
    x = points(problem).requires_grad_(True)
    (first,) = torch.autograd.grad(problem.solution(x).sum(), x, create_graph=True)
    laplacian = sum(
        torch.autograd.grad(first[:, axis].sum(), x, retain_graph=True)[0][:, axis] for axis in range(x.shape[1])
    )
    assert isinstance(laplacian, Tensor)
    torch.testing.assert_close(problem.sign * laplacian[:, None], problem.target(x), rtol=1e-10, atol=1e-9)
    assert problem.sign == (1 if name == "poisson_2d_spec" else -1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_shape_are_kept(name: str, dtype: torch.dtype) -> None:
    problem = problems.get(name)
    x = points(problem, dtype)
    assert problem.gradient is not None
    assert problem.target(x).dtype == problem.gradient(x).dtype == dtype
    assert problem.target(x).shape == (64, 1)
    assert problem.gradient(x).shape == x.shape
    if problem.solution is not None:
        assert problem.solution(x).dtype == dtype


PI = math.pi
VALUES: list[tuple[str, tuple[float, ...], float]] = [
    ("sin_freq1", (0.25,), 1.0),
    ("sin_freq2", (0.125,), 1.0),
    ("sin_freq3", (0.25,), -1.0),
    ("sin_freq4", (1 / 32,), math.sqrt(0.5)),
    ("sin_freq5", (-0.05,), -1.0),
    ("piecewise", (-1.0,), -0.5),
    ("piecewise", (0.3,), 0.3),
    ("piecewise", (0.6,), 1.0),
    ("piecewise", (0.8,), -0.2),
    ("piecewise", (0.29999,), -0.5),
    ("piecewise", (1.0,), -0.2),
    ("sawtooth", (0.125,), 0.5),
    ("sawtooth", (-0.25,), 0.0),
    ("sawtooth", (-0.0625,), 0.75),
    ("polynomial", (-1.0,), -4.0),
    ("polynomial", (0.5,), 0.125),
    ("poisson_1d_highfreq", (0.125,), 16 * PI**2),
    ("poisson_1d_sin", (0.5,), PI**2),
    ("poisson_1d_poly", (-0.7,), 2.0),
    ("poisson_2d_sin", (0.5, -0.5), -2 * PI**2),
    ("poisson_2d_poly", (0.5, -1.0), -3.5),
    ("poisson_2d_highfreq", (0.125, 0.125), 32 * PI**2),
    ("poisson_2d_spec", (0.5, 0.0), 2 * PI),
    ("poisson_2d_spec", (0.5, 1.0), -2 * PI),
]


@pytest.mark.parametrize(("name", "point", "value"), VALUES)
def test_the_target_has_its_value_where_it_can_be_worked_out_by_hand(
    name: str, point: tuple[float, ...], value: float
) -> None:
    x = torch.tensor([point], dtype=torch.float64)
    assert problems.get(name).target(x).item() == pytest.approx(value, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_each_problem_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    problem = problems.get(name)
    assert problem.formula
    assert "original benchmark" in problem.citation
    assert (problem.low, problem.high) == (-1.0, 1.0)


def unsuitable(**changes: object) -> Problem:
    fields: dict[str, object] = {
        "name": "p",
        "dimension": 1,
        "target": torch.sin,
        "gradient": torch.cos,
        "formula": "sin(x)",
        "sections": ("mine",),
        "citation": "none",
    }
    return Problem(**(fields | changes))  # type: ignore[arg-type]  # on purpose of any kind


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"dimension": 0}, "dimension = 0; allowed: 1 and more"),
        ({"dimension": 1.0}, "dimension = 1.0; it should be a valid integer"),
        ({"dimension": True}, "dimension = True; it should be a valid integer"),
        ({"name": 5}, "problem = 5 can't be a name"),
        ({"formula": None}, "formula = None; it should be a valid string"),
        ({"citation": 7}, "citation = 7; it should be a valid string"),
        ({"target": None}, "target = None; it should be callable"),
        ({"gradient": 4.0}, "gradient = 4.0; it should be callable"),
        ({"solution": "u"}, "solution = 'u'; it should be callable"),
        ({"sections": "abc"}, "sections = 'abc'; it should be a tuple of names, such as \\('mine',\\)"),
        ({"sections": ("mine", 2)}, "it should be a valid string"),
        ({"sections": ()}, "no section"),
        ({"low": 1.0}, "low must be less"),
        ({"low": math.nan}, "low = nan; it should be a finite number"),
        ({"high": math.inf}, "high = inf; it should be a finite number"),
        ({"high": "1"}, "high = '1'; it should be a valid number"),
        ({"low": -1e308, "high": 1e308}, "width must be a finite number"),
        ({"sign": 0}, "sign = 0; it should be -1 or 1"),
        ({"smooth": "no"}, "smooth = 'no'; it should be a valid boolean"),
    ],
)
def test_a_problem_that_can_not_be_judged_is_refused(
    changes: dict[str, object], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        jaxtyping.config, "jaxtyping_disable", True
    )  # the tests' own check of annotations would be first
    with pytest.raises(BadInput, match=complaint) as refused:
        unsuitable(**changes)
    assert "\n" not in str(refused.value)


def half(x: Tensor) -> NDArray[np.float64]:
    return np.asarray(x.numpy() / 2)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (half, [0.5, 1.0]),
        (lambda x: half(x)[::-1], [1.0, 0.5]),
        (lambda x: x.long() * 3, [3.0, 6.0]),
        (lambda x: x > 1, [0.0, 1.0]),
        (lambda x: x.float() / 3, [pytest.approx(1 / 3), pytest.approx(2 / 3)]),
        (torch.nn.Linear(1, 1, bias=False, dtype=torch.float64).requires_grad_(True), None),
        (lambda x: x.mul_(5), [5.0, 10.0]),
    ],
)
def test_a_target_may_be_of_numpy_of_integers_or_a_network_and_may_write_to_its_points(
    target: object, expected: list[float] | None
) -> None:
    x = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    values = unsuitable(target=target).values(x)
    assert (values.dtype, values.requires_grad) == (torch.float64, False)
    assert expected is None or values.flatten().tolist() == expected
    assert x.flatten().tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (
            lambda x: x[:, 0],
            r"gives numbers of shape \(3,\) at the 3 points of set val; expected: numbers of shape \(3, 1\)",
        ),
        (lambda x: x.sum(), r"gives numbers of shape \(\)"),
        (lambda x: 2.0, r"gives numbers of shape \(\)"),
        (lambda x: x * 1j, "gives complex numbers"),
        (lambda x: "x", "gives a str"),
        (lambda x: None, "gives a NoneType"),
        (lambda x: 1 // 0, rf"fails at the 3 points of set val: ZeroDivisionError: .* \({__file__}, line \d+\)"),
        (lambda x: sys.exit(3), rf"fails at the 3 points of set val: SystemExit: 3 \({__file__}, line \d+\)"),
        (lambda x: torch.zeros(2, 2) @ x.float(), rf"fails .*: RuntimeError: .* \({__file__}, line \d+\)"),
    ],
)
def test_what_is_not_a_number_a_point_is_called_the_targets_or_the_gradients_fault(
    function: object, complaint: str
) -> None:
    x = torch.rand(3, 1, dtype=torch.float64)
    with pytest.raises(BadInput, match=f"^problem 'p' has a target that {complaint}") as refused:
        unsuitable(target=function).values(x, "set val")
    assert "\n" not in str(refused.value)
    with pytest.raises(BadInput, match=f"^problem 'p' has a gradient that {complaint}"):
        unsuitable(gradient=function).slopes(x, "set val")


def test_without_a_gradient_autograd_gives_it() -> None:
    x = points(problems.get("poisson_2d_spec"))
    spec = problems.get("poisson_2d_spec")
    without = replace(spec, gradient=None)
    torch.testing.assert_close(without.slopes(x), spec.slopes(x), rtol=1e-10, atol=1e-9)
    assert not without.slopes(x).requires_grad


@pytest.mark.parametrize("target", [half, lambda x: torch.full_like(x, 2.0), lambda x: torch.bucketize(x, x[:, 0])])
def test_without_a_gradient_a_target_that_autograd_can_not_see_through_is_refused(target: object) -> None:
    x = torch.rand(3, 1, dtype=torch.float64)
    with pytest.raises(
        BadInput, match=r"'p' has no gradient, and autograd can't differentiate its target: .*give it a"
    ):
        unsuitable(target=target, gradient=None).slopes(x)


def test_a_name_can_be_taken_once(registries: None) -> None:
    with pytest.raises(BadInput, match="registered twice"):
        problems.register(unsuitable(name="polynomial"))


def test_an_unknown_problem_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadInput, match="problem = 'poisson_2d_sine' is not known; did you mean 'poisson_2d_sin'"):
        problems.get("poisson_2d_sine")
