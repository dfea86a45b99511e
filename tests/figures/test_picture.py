"""A picture as a problem: what is shown beside the truth, and the PSNR."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.figures.picture import MOST, picture_figure, psnr
from harness.figures.quantities import Model
from tests.figures.support import rendered, rows, split_of

HEIGHT, WIDTH = 24, 36


def pixels(height: int = HEIGHT, width: int = WIDTH, colours: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Row by row from the upper left corner: a picture that is dark on the left and bright on the right."""
    y, x = np.meshgrid(np.linspace(1, -1, height), np.linspace(-1, 1, width), indexing="ij")
    bright = (x.ravel()[:, None] + 1) / 2
    return np.stack([x.ravel(), y.ravel()], 1), np.hstack([bright, bright**2, 1 - bright])[:, :colours]


def off_by(error: float, colours: int = 3) -> Model:
    def model(x: Tensor) -> Tensor:
        bright = (x[:, :1] + 1) / 2
        return torch.hstack([bright, bright**2, 1 - bright])[:, :colours] + error

    return model


@pytest.mark.parametrize("colours", [1, 2, 3])
def test_truth_prediction_and_error_stand_side_by_side_with_the_psnr(colours: int) -> None:
    x, y = pixels(colours=colours)
    problem = rows(x, y, ("x", "y"), ("r", "g", "b")[:colours], image=(HEIGHT, WIDTH))
    figure = picture_figure(problem, split_of(problem), off_by(0.1, colours), "t")
    words = rendered(figure)
    assert "t\n36 × 24 pixels, PSNR 20.0 dB on the held-out, 20.0 dB on all pixels" in words
    truth, prediction, error = (np.asarray(axes.images[0].get_array()) for axes in figure.axes[:3])
    grey = truth if truth.ndim == 2 else truth[..., 0]
    assert (np.diff(grey, axis=1) > 0).all(), "dark on the left"
    assert truth.shape[:2] == (HEIGHT, WIDTH)
    assert prediction.min() >= 0
    assert prediction.max() <= 1
    np.testing.assert_allclose(error, 0.1, atol=1e-12)


@pytest.mark.parametrize("error", [0.0, math.nan, math.inf, 1e9])
def test_whatever_the_model_says_can_be_drawn(error: float) -> None:
    x, y = pixels()
    problem = rows(x, y, ("x", "y"), ("r", "g", "b"), image=(HEIGHT, WIDTH))
    rendered(picture_figure(problem, split_of(problem), off_by(error), "t"))


def test_of_a_large_picture_some_pixels_stand_for_all_and_it_says_so() -> None:
    side = math.isqrt(MOST) + 8
    x, y = pixels(side, side, 1)
    problem = rows(x, y, ("x", "y"), ("grey",), image=(side, side))
    asked = 0

    def model(points: Tensor) -> Tensor:
        nonlocal asked
        asked += len(points)
        return off_by(0.1, 1)(points)

    words = rendered(picture_figure(problem, split_of(problem), model, "t"))
    assert any("one pixel in 4" in word for word in words)
    assert asked < MOST


def test_the_psnr_is_that_of_a_peak_of_one() -> None:
    half = np.full((3, 1), 0.5)
    assert psnr(half, half + 0.01) == pytest.approx(40.0)
    assert psnr(half, half) == math.inf
    assert math.isnan(psnr(half, half * math.nan))
