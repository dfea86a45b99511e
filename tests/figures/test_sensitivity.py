"""Sobol indices: the known ones of Ishigami's function, scipy's, and what has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.figures.sensitivity import indices, sensitivity_figure
from tests.figures.support import formula, points_of, rendered


def ishigami(x: Tensor) -> Tensor:
    """Ishigami and Homma (1990), on the unit cube."""
    a, b, c = (math.pi * (2 * x[:, i : i + 1] - 1) for i in range(3))
    return a.sin() + 7 * b.sin() ** 2 + 0.1 * c**4 * a.sin()


def test_the_indices_of_a_known_function_are_the_known_ones() -> None:
    problem = formula(ishigami, 3)
    found = indices(problem, points_of(problem), lambda x: 2 * ishigami(x) + 1e3)
    for of in (found["target"], found["model"]):
        np.testing.assert_allclose(of.first, [[0.3139, 0.4424, 0.0]], atol=5e-3)
        np.testing.assert_allclose(of.total, [[0.5576, 0.4424, 0.2437]], atol=5e-3)


def test_they_are_those_of_scipy() -> None:
    from scipy.stats import sobol_indices, uniform

    problem = formula(ishigami, 3)
    ours = indices(problem, points_of(problem), ishigami)["model"]
    theirs = sobol_indices(
        func=lambda x: ishigami(torch.from_numpy(x.T)).numpy().T, n=4096, dists=[uniform()] * 3, rng=0
    )
    np.testing.assert_allclose(ours.first[0], np.squeeze(theirs.first_order), atol=1e-2)
    np.testing.assert_allclose(ours.total[0], np.squeeze(theirs.total_order), atol=1e-2)


@pytest.mark.parametrize("value", [3.0, 0.1, math.nan, math.inf])
def test_a_model_that_is_constant_or_not_finite_has_none_and_the_figure_says_so(value: float) -> None:
    problem = formula(ishigami, 3)
    data = points_of(problem)

    def model(x: Tensor) -> Tensor:
        return torch.full_like(x[:, :1], value)

    assert np.isnan(indices(problem, data, model)["model"].total).all()
    assert "model: constant or not finite" in rendered(sensitivity_figure(problem, data, model, "t"))


def test_the_inputs_with_the_largest_indices_come_first_and_of_many_only_these() -> None:
    weights = torch.arange(1, 41, dtype=torch.float64)
    problem = formula(lambda x: (weights**4 * x).sum(dim=1, keepdim=True), 40)
    figure = sensitivity_figure(problem, points_of(problem), problem.target, "t")
    words = rendered(figure)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[:3] == ["x40", "x39", "x38"]
    assert len(names) == 12
    assert any("Total Sobol indices, uniform inputs, the 12 largest of 40" in word for word in words)
    assert not any("first" in word for word in words), "too few points are left for them"


def test_each_output_has_its_panel_and_long_names_have_room() -> None:
    problem = formula(
        lambda x: torch.hstack([ishigami(x), 1e-9 * x[:, 1:2]]),
        3,
        inputs=("a name of a column that is far too long to be told", "b", "c"),
        outputs=("lift", "drag"),
        units={"b": "m/s", "drag": "N"},
    )
    words = rendered(sensitivity_figure(problem, points_of(problem), problem.target, "t"))
    assert {"a name of a column that is …", "b (m/s)", "lift", "drag (N)"} <= set(words)
