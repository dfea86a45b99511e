"""Slices: curves of the model and the target along each input, the inputs that matter first."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from harness import problems
from harness.figures.slices import slices_figure
from tests.figures.support import formula, named, points_of, rendered


def weighted(x: Tensor) -> Tensor:
    return (x * torch.arange(x.shape[1], dtype=x.dtype)).sum(dim=1, keepdim=True)


def test_a_slice_goes_through_the_centre_and_a_random_point_that_is_the_same_each_time() -> None:
    problem = formula(weighted, 3, low=-1.0, high=3.0)
    data = points_of(problem)
    figures = [slices_figure(problem, data, problem.target, "t") for _ in "ab"]
    rendered(figures[0])
    curves = [[np.asarray(line.get_ydata()) for line in named(figure, "target")] for figure in figures]
    assert len(curves[0]) == 6
    assert all((a == b).all() for a, b in zip(*curves, strict=True))
    steepest = curves[0][0]
    np.testing.assert_allclose(steepest, 1.0 + 2 * np.linspace(-1, 3, len(steepest)))  # x2 at 1, x1 does not count


def test_the_inputs_that_change_the_value_most_come_first_and_of_many_only_these() -> None:
    problem = formula(weighted, 30)
    data = points_of(problem)
    figure = slices_figure(problem, data, problem.target, "t")
    words = rendered(figure)
    assert [axes.get_xlabel() for axes in figure.axes] == [f"x{30 - i}" for i in range(12)]
    assert any("the 12 of 30 inputs that change the values most" in word for word in words)


def test_model_and_target_are_on_the_target_s_scale_whatever_the_model_says() -> None:
    problem = formula(weighted, 3)
    data = points_of(problem)
    for model in (lambda x: 1e9 * weighted(x), lambda x: weighted(x) * math.nan, lambda x: weighted(x) / 0):
        figure = slices_figure(problem, data, model, "t")
        rendered(figure)
        for axes in figure.axes:
            assert axes.get_ylim() == figure.axes[0].get_ylim()
            assert np.ptp(axes.get_ylim()) < 10


def test_a_constant_can_be_drawn() -> None:
    problem = formula(lambda x: 0 * x[:, :1] + 2e-9, 3)
    rendered(slices_figure(problem, points_of(problem), problem.target, "t"))


def test_each_output_has_its_row_on_its_own_scale_with_names_and_units() -> None:
    problem = formula(
        lambda x: torch.hstack([weighted(x), 1e5 * x[:, :1]]),
        3,
        inputs=("mass", "speed", "area"),
        outputs=("lift", "drag"),
        units={"speed": "m/s", "drag": "N"},
    )
    figure = slices_figure(problem, points_of(problem), problem.target, "t")
    words = rendered(figure)
    assert {"mass", "speed (m/s)", "area", "lift", "drag (10⁵ N)"} <= set(words)
    assert len(figure.axes) == 6
    assert len({axes.get_ylim() for axes in figure.axes}) == 2


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_target_that_is_not_finite_on_a_slice_sets_no_limit(bad: float, everywhere: bool) -> None:
    def target(x: Tensor) -> Tensor:
        pole = (x[:, :1] >= (-1.0 if everywhere else 0.9)).expand(-1, 1)
        return torch.where(pole, torch.full_like(x[:, :1], bad), x.sum(dim=1, keepdim=True))

    problem = formula(target, 3)
    figure = slices_figure(problem, points_of(formula(weighted, 3)), lambda x: x[:, :1], "t")
    rendered(figure)
    assert all(math.isfinite(limit) for axes in figure.axes for limit in axes.get_ylim())


def test_the_target_of_feynman_with_poles_is_drawn() -> None:
    problem = problems.get("feynman_jackson_3_45")
    rendered(slices_figure(problem, points_of(problem), problem.target, "t"))
