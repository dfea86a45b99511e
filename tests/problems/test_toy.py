"""The toy functions are those of the paper, by scipy and numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.special
import torch
from numpy.typing import NDArray

from harness import problems

Array = NDArray[np.float64]
BY_NUMPY: dict[str, Callable[[Array], Array]] = {
    "toy_bessel": lambda x: scipy.special.jv(0, 20 * x[0]),
    "toy_exponential": lambda x: np.exp(np.sin(np.pi * x[0]) + np.square(x[1])),
    "toy_product": lambda x: np.multiply(*x),
    "toy_4d": lambda x: np.exp(0.5 * (np.sin(np.pi * np.sum(x[:2] ** 2, 0)) + np.sin(np.pi * np.sum(x[2:] ** 2, 0)))),
    "toy_100d": lambda x: np.exp(np.mean(np.sin(np.pi * x / 2) ** 2, axis=0)),
}


@pytest.mark.parametrize("name", BY_NUMPY)
def test_the_values_are_the_paper_s_formula(name: str) -> None:
    problem = problems.get(name)
    x = np.random.default_rng(1).uniform(-1, 1, (500, problem.dimension))
    np.testing.assert_allclose(problem.values(torch.from_numpy(x))[:, 0], BY_NUMPY[name](x.T), rtol=1e-12, atol=1e-13)
    assert set(problem.bounds) == {(-1.0, 1.0)}


def test_the_section_is_these_five() -> None:
    assert [n for n in problems.PROBLEMS.names() if "toy" in problems.get(n).sections] == [
        "toy_bessel",
        "toy_exponential",
        "toy_product",
        "toy_4d",
        "toy_100d",
    ]
