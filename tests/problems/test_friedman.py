"""Friedman's functions are those that scikit-learn draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import make_friedman1, make_friedman2, make_friedman3

from harness import problems


@pytest.mark.parametrize(
    ("name", "draw"),
    [("friedman_1", make_friedman1), ("friedman_2", make_friedman2), ("friedman_3", make_friedman3)],
)
def test_the_values_and_the_ranges_are_scikit_learn_s(name: str, draw: Callable[..., Any]) -> None:
    x, y = draw(n_samples=3000, noise=0.0, random_state=2)
    problem = problems.get(name)
    np.testing.assert_allclose(problem.values(torch.from_numpy(x))[:, 0], y, rtol=1e-12)
    low, high = np.array(problem.bounds).T
    near = 0.01 * (high - low)
    assert (x.min(axis=0) >= low).all()
    assert (x.max(axis=0) <= high).all()
    assert (x.min(axis=0) < low + near).all()
    assert (x.max(axis=0) > high - near).all()
