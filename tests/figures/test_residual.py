"""What is drawn of an equation: its residual inside, and the error on each side of the box."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.data import Sample
from harness.figures.drawing import number
from harness.figures.of_problem import draw_picture
from harness.figures.residual import residual_figure
from harness.problems import Condition, Jet, dirichlet
from harness.problems.pictures import pictures_of
from tests.figures.support import model_of, named, points_of, poisson, rendered, sine

OFF = 1e-3


def tilted(x: Tensor) -> Tensor:
    """The solution with an error that no Laplacian sees: 1e-3 times the first input."""
    return sine(x) + OFF * x[:, :1]


def bent(x: Tensor) -> Tensor:
    """The solution with an error whose second derivative is 1e-3 everywhere."""
    return sine(x) + OFF / 2 * x[:, :1] ** 2


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_the_figures_of_an_equation_can_be_drawn_whatever_the_model_is(dimension: int) -> None:
    problem = poisson(dimension)
    data = points_of(problem, dense=101**2 if dimension == 2 else 500)
    for value in (sine, tilted, lambda x: x[:, :1] * math.nan, lambda x: x[:, :1] / 0, lambda x: 0 * x[:, :1]):
        model = model_of(value, problem)
        for name in pictures_of("equation", dimension):
            words = rendered(draw_picture(name, problem, data, model.predict(data.dense.x), model, "t"))
            assert any("−Δu = f" in word for word in words), name
            assert not {"target", "prediction", "truth"} & {*words}, name


def test_in_one_dimension_the_residual_is_a_curve_and_the_boundary_two_numbers() -> None:
    problem = poisson(1, scale=2.0)
    figure = residual_figure(problem, points_of(problem), model_of(tilted, problem), "t")
    words = rendered(figure)
    assert {"0.001", "−0.001", "x = −1", "x = 1"} <= {*words}
    assert any("residual over 2, the scale of the equation" in word for word in words)
    assert any(word.startswith("boundary: error of u, in units of u\nrms 0.001, largest 0.001") for word in words)
    (curve,) = named(figure, "residual")
    assert np.abs(np.asarray(curve.get_ydata())).max() < 1e-12
    figure = residual_figure(problem, points_of(problem), model_of(bent, problem), "t")
    (curve,) = named(figure, "residual")
    np.testing.assert_allclose(np.asarray(curve.get_ydata()), -OFF / 2, atol=1e-12)


def test_without_a_scale_the_residual_is_in_units_of_the_forcing() -> None:
    problem = poisson(2)
    words = rendered(residual_figure(problem, points_of(problem, dense=101**2), model_of(sine, problem), "t"))
    rms = math.pi**2 * 100 / 101  # of 2 pi^2 sin sin on the dense grid, whose ends are zeros
    assert any(f"residual over {number(rms)}, the rms of the forcing" in word for word in words)


def test_in_two_dimensions_the_boundary_is_walked_around() -> None:
    problem = poisson(2)
    figure = residual_figure(problem, points_of(problem, dense=101**2), model_of(tilted, problem), "t")
    walk = np.concatenate([np.asarray(line.get_ydata()) for line in named(figure, "boundary")])
    at = np.concatenate([np.asarray(line.get_xdata()) for line in named(figure, "boundary")])
    corners = OFF * np.array([-1, 1, 1, -1, -1])
    np.testing.assert_allclose(walk, np.interp(at, range(5), corners), atol=1e-12)
    assert list(dict.fromkeys(word for word in rendered(figure) if "→" in word)) == [
        "y = −1\nx: −1 → 1",
        "x = 1\ny: −1 → 1",
        "y = 1\nx: 1 → −1",
        "x = −1\ny: 1 → −1",
    ]


@pytest.mark.parametrize(("corner", "cut"), [(0.0, False), (1.0, True)])
def test_the_scale_of_the_map_is_symmetric_and_a_corner_does_not_set_it(corner: float, cut: bool) -> None:
    problem = poisson(2)
    side = torch.linspace(-1, 1, 101, dtype=torch.float64)
    x = torch.cartesian_prod(side, side)
    data = replace(points_of(problem), dense=Sample(x, sine(x)))

    def spoilt(x: Tensor) -> Tensor:
        return sine(x) + OFF * (3 * x[:, :1]).sin() + corner * (60 * (x.sum(dim=1, keepdim=True) - 2)).exp()

    figure = residual_figure(problem, data, model_of(spoilt, problem), "t")
    (image,) = figure.axes[0].images
    low, high = image.get_clim()
    assert low == -high
    assert (np.abs(np.asarray(image.get_array())).max() > high) == cut


def test_conditions_on_slopes_have_a_panel_of_their_own_and_sides_without_any_none() -> None:
    def flat(x: Tensor, jet: Jet) -> Tensor:
        assert jet.slopes is not None
        return jet.slopes[:, 0, 1] - math.pi * (math.pi * x[:, 0]).sin() * (math.pi * x[:, 1]).cos()

    walls = dirichlet(sine, (0, "low"), (0, "high"))
    problem = poisson(
        2,
        walls,
        dirichlet(sine, (1, "low")),
        Condition(residual=flat, sides=((1, "low"),), order=1),
        inputs=("x", "t"),
        units={"t": "s", "u": "mm"},
    )
    figure = residual_figure(problem, points_of(problem, dense=101**2), model_of(bent, problem), "t")
    words = rendered(figure)
    assert any(word.startswith("boundary: error of u, in mm") for word in words)
    assert any("on slopes, in their own units" in word for word in words)
    assert {"condition 1", "condition 2"} <= {*words}
    assert not any("t = 1 s" in word for word in words)
    assert any("t = −1 s" in word for word in words)
    of_values = [line for line in named(figure, "boundary") if line.axes is figure.axes[2]]
    (of_slopes,) = (line for line in named(figure, "boundary") if line not in of_values)
    assert len(of_values) == 3
    assert np.abs(np.asarray(of_slopes.get_ydata())).max() < 1e-12


def test_of_a_box_each_side_has_its_error() -> None:
    problem = poisson(3)
    figure = residual_figure(problem, points_of(problem), model_of(tilted, problem), "t")
    assert {"x1 = −1", "x1 = 1", "x2 = −1", "x2 = 1", "x3 = −1", "x3 = 1"} <= {*rendered(figure)}
    rms, largest = (10 ** np.asarray(line.get_xdata(), dtype=float) for line in named(figure, "boundary"))
    np.testing.assert_allclose(rms[:2], OFF, rtol=1e-9)
    np.testing.assert_allclose(rms[2:], OFF / math.sqrt(3), rtol=0.05)
    np.testing.assert_allclose(largest, OFF, rtol=0.05)


def test_of_very_many_sides_the_worst_are_shown_and_it_says_so() -> None:
    problem = poisson(9)
    words = rendered(residual_figure(problem, points_of(problem), model_of(tilted, problem), "t"))
    assert any("the worst 16 of 18 sides" in word for word in words)
    assert {"x1 = −1", "x1 = 1"} <= {*words}
