"""Prediction against truth: what is drawn, on which scale, and that nothing is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.figures.prediction import MOST, prediction_figure
from tests.figures.support import formula, named, points_of, rendered


def product(x: Tensor) -> Tensor:
    return x.prod(dim=1, keepdim=True)


def two(x: Tensor) -> Tensor:
    return torch.hstack([product(x), 1e-7 * x[:, :1]])


@pytest.mark.parametrize("prediction", ["exact", "near", "far", "constant", "nan", "one nan", "infinite"])
def test_a_prediction_is_drawn_on_the_truth_s_scale_whatever_it_is(prediction: str) -> None:
    problem = formula(product, 3)
    data = points_of(problem)
    y = data.dense.y
    values = {
        "exact": y,
        "near": y + 1e-9 * torch.sin(9 * data.dense.x[:, :1]),
        "far": y + 1e6,
        "constant": y * 0,
        "nan": y * math.nan,
        "one nan": torch.where(torch.arange(len(y))[:, None] == 7, math.nan, y),
        "infinite": y / 0,
    }
    figure = prediction_figure(problem, data, values[prediction], "t")
    words = rendered(figure)
    top = figure.axes[0]
    assert top.get_xlim() == top.get_ylim()
    low, high = top.get_ylim()
    assert low < y.min() <= y.max() < high
    assert high - low < 2 * (y.max() - y.min())
    lost = {"nan": "500 not finite", "one nan": "1 not finite", "infinite": "500 not finite"}
    assert any(lost.get(prediction, "NMSE") in word for word in words)


def test_the_residuals_are_those_of_the_prediction() -> None:
    problem = formula(product, 3)
    data = points_of(problem, dense=50)
    error = 0.01 * torch.sin(9 * data.dense.x[:, :1])
    figure = prediction_figure(problem, data, data.dense.y + error, "t")
    (dots,) = named(figure, "residual")
    np.testing.assert_allclose(np.sort(dots.get_ydata()), np.sort(error[:, 0].numpy()), atol=1e-15)
    (side,) = (axes for axes in figure.axes if axes.get_xlabel() == "count")
    assert side.get_ylim() == dots.axes.get_ylim(), "the histogram shares the axis of the residuals"


def test_each_output_has_its_column_with_its_name_its_unit_and_its_own_scale() -> None:
    problem = formula(two, 4, outputs=("force", "current"), units={"force": "N", "current": "A"})
    data = points_of(problem)
    figure = prediction_figure(problem, data, 1.001 * data.dense.y, "t")
    words = rendered(figure)
    assert "truth: force (N)" in words
    assert "truth: current (10⁻⁷ A)" in words
    assert not [word for word in words if "-" in word.replace("held-out", "")], "one kind of minus"


def test_of_many_outputs_the_worst_are_shown_and_it_says_so() -> None:
    problem = formula(lambda x: torch.hstack([x] * 2), 3, outputs=tuple("abcdef"))
    data = points_of(problem)
    worse = torch.tensor([0.0, 3, 1, 2, 0, 4], dtype=torch.float64)
    words = rendered(prediction_figure(problem, data, data.dense.y * (1 + 0.1 * worse), "t"))
    assert [word.removeprefix("truth: ") for word in words if word.startswith("truth: ")] == ["b", "c", "d", "f"]
    assert any("the 4 of 6 outputs with the largest NMSE" in word for word in words)


def test_of_more_points_than_are_drawn_the_largest_residuals_are_among_those_that_are() -> None:
    problem = formula(product, 3)
    data = points_of(problem, dense=3 * MOST)
    off = data.dense.y.clone()
    off[[5, 777, 3 * MOST - 1]] += 5.0
    (dots,) = named(prediction_figure(problem, data, off, "t"), "residual")
    drawn = np.asarray(dots.get_ydata())
    assert MOST / 2 < len(drawn) <= 1.1 * MOST
    assert (drawn > 4.9).sum() == 3


def test_one_point_and_a_constant_truth_can_be_drawn() -> None:
    problem = formula(lambda x: 0 * x[:, :1] + 2, 3)
    data = points_of(problem, dense=1)
    rendered(prediction_figure(problem, data, data.dense.y + 0.1, "t"))
    rendered(prediction_figure(problem, data, data.dense.y, "t"))
