"""The irregular functions are those of their sources, by numpy, and their gradients hold beside the places left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from harness import problems

Array = NDArray[np.float64]


def blocks(x: Array) -> Array:
    """As WaveLab's MakeSignal has them."""
    places = [0.1, 0.13, 0.15, 0.23, 0.25, 0.40, 0.44, 0.65, 0.76, 0.78, 0.81]
    steps = [4, -5, 3, -4, 5, -4.2, 2.1, 4.3, -3.1, 2.1, -4.2]
    total: Array = np.sum([h * (x > t) for t, h in zip(places, steps, strict=True)], axis=0, dtype=float)
    return total


def bumps(x: Array) -> Array:
    places = [0.1, 0.13, 0.15, 0.23, 0.25, 0.40, 0.44, 0.65, 0.76, 0.78, 0.81]
    heights = [4, 5, 3, 4, 5, 4.2, 2.1, 4.3, 3.1, 5.1, 4.2]
    widths = [0.005, 0.005, 0.006, 0.01, 0.01, 0.03, 0.01, 0.01, 0.005, 0.008, 0.005]
    terms = [h / (1 + np.abs((x - t) / w)) ** 4 for t, h, w in zip(places, heights, widths, strict=True)]
    total: Array = np.sum(terms, axis=0)
    return total


def waves(x: Array, frequencies: range) -> Array:
    count = len(frequencies)
    terms = [np.sin(2 * np.pi * f * x + np.pi * (k + 1) ** 2 / count) for k, f in enumerate(frequencies)]
    total: Array = np.sum(terms, axis=0)
    return total


BY_NUMPY: dict[str, Callable[..., Array]] = {
    "kink": lambda x: np.where(x < 0.3, 0.3 - x, x - 0.3),
    "kinks": lambda x: np.sqrt(np.sin(3 * np.pi * x) ** 2),
    "kink_oblique": lambda x, y: np.sqrt((x + 2 * y - 0.3) ** 2),
    "jump": lambda x: np.where(x < 0.3, -1.0, 1.0),
    "jump_disk": lambda x, y: np.where(np.hypot(x, y) < np.sqrt(0.5), -1.0, 1.0),
    "root": lambda x: np.abs(x) ** 0.5,
    "tenth_root": lambda x: np.exp(0.1 * np.log(np.abs(x))),
    "root_2d": lambda x, y: np.hypot(x - 0.13, y + 0.27) ** 0.5,
    "reciprocal": lambda x: np.cos(1 / x),
    "chirp": lambda x: np.sin(20 * np.pi * x * x),
    "rings": lambda x, y: np.cos(10 * np.pi * np.hypot(x, y) ** 2),
    "checkers": lambda x, y: 0.5 * (np.cos(8 * np.pi * (x - y)) - np.cos(8 * np.pi * (x + y))),
    "heavisine": lambda x: 4 * np.sin(4 * np.pi * x) - np.sign(x - 0.3) - np.sign(0.72 - x),
    "doppler": lambda x: np.sqrt(x * (1 - x)) * np.sin(2 * np.pi * 1.05 / (x + 0.05)),
    "runge": lambda x: 1 / (1 + 25 * x**2),
    "blocks": blocks,
    "bumps": bumps,
    "waves_10": lambda x: waves(x, range(5, 51, 5)),
    "waves_50": lambda x: waves(x, range(1, 51)),
}


def test_these_are_all() -> None:
    found = {name for name in problems.PROBLEMS.names() if "irregular" in problems.get(name).sections}
    assert found == {f"irregular_{name}" for name in BY_NUMPY}


@pytest.mark.parametrize("name", BY_NUMPY)
def test_the_values_are_those_of_the_source(name: str) -> None:
    problem = problems.get(f"irregular_{name}")
    low, high = np.array(problem.bounds).T
    x = np.random.default_rng(3).uniform(low, high, (1000, problem.dimension))
    found = problem.values(torch.from_numpy(x))[:, 0]
    np.testing.assert_allclose(found, BY_NUMPY[name](*x.T), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["root", "tenth_root"])
def test_an_infinite_slope_is_left_out(name: str) -> None:
    x = torch.tensor([[0.0], [1e-6]], dtype=torch.float64)
    at, beside = problems.get(f"irregular_{name}").slopes(x).flatten().tolist()
    assert at == 0.0
    assert beside > 100


def test_the_doppler_function_is_level_at_its_ends_where_autograd_knows_no_slope() -> None:
    x = torch.tensor([[0.0], [1e-12], [1 - 1e-12], [1.0]], dtype=torch.float64)
    slopes = problems.get("irregular_doppler").slopes(x).flatten().tolist()
    assert slopes[0] == slopes[3] == 0.0
    assert max(map(abs, slopes)) < 0.01
