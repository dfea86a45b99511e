"""The special functions and their slopes are those of mpmath, and of scipy's spherical harmonics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import sph_harm_y

from harness import problems
from harness.problems import Problem


def legendre(v: Any, x: Any, order: int) -> Any:
    return mpmath.legenp(v, order, x, type=2)


BY_MPMATH: dict[str, Callable[[Any, Any], Any]] = {
    "ellipj": lambda u, m: mpmath.ellipfun("sn", u, m=m),
    "ellipkinc": mpmath.ellipf,
    "ellipeinc": mpmath.ellipe,
    "jv": mpmath.besselj,
    "yv": mpmath.bessely,
    "kv": mpmath.besselk,
    "iv": mpmath.besseli,
    **{f"lpmv_{order}": partial(legendre, order=order) for order in range(3)},
}


def points(problem: Problem, count: int) -> NDArray[np.float64]:
    low, high = np.array(problem.bounds).T
    drawn: NDArray[np.float64] = np.random.default_rng(4).uniform(low, high, (count, 2))
    return drawn


@pytest.mark.parametrize("name", BY_MPMATH)
def test_the_values_are_mpmath_s(name: str) -> None:
    problem = problems.get(f"special_{name}")
    x = points(problem, 20)
    expected = [float(mpmath.re(BY_MPMATH[name](*map(mpmath.mpf, row)))) for row in x]
    np.testing.assert_allclose(problem.values(torch.from_numpy(x))[:, 0], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", BY_MPMATH)
def test_the_slopes_are_mpmath_s(name: str) -> None:
    problem = problems.get(f"special_{name}")
    x = points(problem, 3)
    with mpmath.workdps(25):
        expected = [
            [
                float(mpmath.re(mpmath.diff(BY_MPMATH[name], tuple(map(mpmath.mpf, row)), which)))
                for which in ((1, 0), (0, 1))
            ]
            for row in x
        ]
    np.testing.assert_allclose(problem.slopes(torch.from_numpy(x)), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("order", "degree"), [(0, 1), (1, 1), (0, 2), (1, 2), (2, 2)])
def test_the_spherical_harmonics_are_the_real_parts_of_scipy_s(order: int, degree: int) -> None:
    problem = problems.get(f"special_sph_harm_{order}_{degree}")
    x = points(problem, 200)
    expected = sph_harm_y(degree, order, x[:, 1], x[:, 0]).real
    np.testing.assert_allclose(problem.values(torch.from_numpy(x))[:, 0], expected, rtol=1e-12, atol=1e-14)


def test_there_are_fifteen_with_two_inputs() -> None:
    found = [problems.get(name) for name in problems.PROBLEMS.names() if name.startswith("special_")]
    assert len(found) == 15
    assert {problem.dimension for problem in found} == {2}
