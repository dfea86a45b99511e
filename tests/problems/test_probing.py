"""A gradient is held against its target: what is right passes whatever it is made of, what is wrong is refused with numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness import problems
from harness.errors import BadInput
from harness.problems import PROBLEMS, Problem
from harness.problems.probing import check_gradient


def of(target: Callable[[Tensor], Any], gradient: Callable[[Tensor], Any] | None = None, **fields: Any) -> Problem:
    given: dict[str, Any] = {"name": "p", "dimension": 1, "formula": "", "sections": ("mine",), "citation": ""} | fields
    return Problem(target=target, gradient=gradient, **given)


def by_numpy(function: Callable[[Any], Any]) -> Callable[[Tensor], Any]:
    return lambda x: function(x.detach().numpy())


def half_numpy(x: Tensor) -> Tensor:
    return torch.sin(x[:, :1]) + torch.from_numpy(np.sin(x.detach().numpy()[:, 1:]))


RIGHT = {
    "by autograd": of(torch.sin),
    "numpy": of(by_numpy(np.sin), by_numpy(np.cos)),
    "half of it numpy": of(half_numpy, torch.cos, dimension=2),
    "single precision": of(lambda x: torch.sin(x.float()), torch.cos),
    "single precision, far from 0": of(lambda x: 100 + torch.sin(x.float()), torch.cos),
    "jump": of(lambda x: x > 0.1, torch.zeros_like),
    "a jump at every point of the grid": of(lambda x: torch.floor(1e4 * x), torch.zeros_like),
    "kink": of(torch.abs, torch.sign),
    "kink, by autograd": of(torch.abs),
    "infinite slope at an end": of(torch.sqrt, low=0.0),
    "steep": of(torch.log, low=1e-3),
    "narrow bump": of(lambda x: torch.exp(-1e4 * x**2)),
    "far from 0": of(torch.sin, torch.cos, low=1e6, high=1e6 + 2),
    "wide": of(torch.tanh, low=-1e4, high=1e4),
    "high frequency": of(
        lambda x: torch.sin(2e3 * math.pi * x), lambda x: 2e3 * math.pi * torch.cos(2e3 * math.pi * x)
    ),
    "beyond any grid": of(
        lambda x: torch.sin(2e6 * math.pi * x), lambda x: 2e6 * math.pi * torch.cos(2e6 * math.pi * x)
    ),
}


@pytest.mark.parametrize("name", PROBLEMS.names())
def test_the_gradients_of_built_in_problems_pass(name: str) -> None:
    check_gradient(problems.get(name))


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_gradient_passes(name: str) -> None:
    check_gradient(RIGHT[name])


@pytest.mark.parametrize(
    ("problem", "numbers"),
    [
        (
            of(torch.sin, lambda x: 2 * torch.cos(x)),
            r"it is 1\.99992, and difference quotients of the target give 0\.999961",
        ),
        (of(by_numpy(np.sin), lambda x: -torch.cos(x)), r"it is -0\.999961, .* give 0\.999961"),
        (
            of(lambda x: torch.sin(math.pi * x), lambda x: 3.14 * torch.cos(math.pi * x)),
            r"it is 3\.13878, .* give 3\.14037",
        ),
        (of(lambda x: x > 0.1, torch.ones_like), "it is 1, .* give 0"),
        (of(torch.abs, torch.ones_like), "it is 1, .* give -1"),
        (of(lambda x: torch.sin(x.float()), torch.sin), "difference quotients"),
        (of(lambda x: x[:, :1] + 2 * x[:, 1:], lambda x: torch.ones_like(x), dimension=2), "it is 1 in y, .* give 2"),
        (of(torch.sin, lambda x: x * math.nan), "it is nan, "),
        (of(lambda x: torch.where(x > 0, torch.sqrt(x), 0 * x)), "a gradient by autograd .* it is nan, .* give 0"),
        (of(half_numpy, dimension=2), "a gradient by autograd .* it is 0 in y, .* give 0.99"),
    ],
)
def test_a_wrong_gradient_is_refused_with_both_numbers(problem: Problem, numbers: str) -> None:
    with pytest.raises(BadInput, match=numbers) as refused:
        check_gradient(problem)
    assert str(refused.value).startswith("problem 'p' has a gradient")
