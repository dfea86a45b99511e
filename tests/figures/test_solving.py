"""The residuals of an equation over its epochs, and the error that the training knows nothing of."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from harness.figures.solving import solving_figure
from harness.training import NonFinite
from tests.figures.support import rendered

EVENT = NonFinite(9, "train", 7, "loss", math.nan, None, 1.0, 3.0)


def history(epochs: int, reached: int, stages: tuple[str, ...] = ("train",)) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    done = epoch <= reached
    residual = np.where(done, 0.5**epoch, math.nan)
    frame = pd.DataFrame({"epoch": epoch, "stage": [stages[(i - 1) * len(stages) // epochs] for i in epoch]})
    frame["stage"] = frame["stage"].where(done)
    frame["train/residual"], frame["val/residual"], frame["train/boundary"] = residual, 1.1 * residual, 0.1 * residual
    frame["test/mse"], frame["train/mse"] = 1e-3 * residual, 1e-3 * residual
    frame["time/train_s"] = np.where(done, 0.5 * epoch**2, math.nan)
    frame["lr"] = math.nan
    return frame


def drawn(figure: Figure, label: str) -> np.ndarray:
    (line,) = (line for axes in figure.axes for line in axes.lines if line.get_label() == label)
    return np.asarray(line.get_ydata(), dtype=float)


def test_the_residuals_stand_above_the_error_of_u_which_is_dashed_and_said_to_be_unknown() -> None:
    frame = history(20, 20)
    figure = solving_figure(frame, [], "a title")
    words = rendered(figure)
    assert "a title\n20 epochs in 200 s of training" in words
    above, below, _ = figure.axes
    for axes in (above, below):
        assert axes.get_yscale() == "log"
    np.testing.assert_allclose(drawn(figure, "equation and boundary, at training points"), frame["train/residual"])
    np.testing.assert_allclose(drawn(figure, "the same at held-out points"), frame["val/residual"])
    np.testing.assert_allclose(drawn(figure, "part of the boundary"), frame["train/boundary"])
    np.testing.assert_allclose(drawn(figure, "error of u: unknown to the training"), frame["test/mse"])
    assert [line.get_linestyle() for line in below.lines] == ["--"]
    assert "--" not in [line.get_linestyle() for line in above.lines]
    assert below.get_position().y1 < above.get_position().y0


def test_seconds_stand_below_the_epochs_that_they_ended() -> None:
    figure = solving_figure(history(20, 20), [], "t")
    rendered(figure)
    seconds = figure.axes[-1]
    ticks = [
        (place, label.get_text()) for place, label in zip(seconds.get_xticks(), seconds.get_xticklabels(), strict=True)
    ]
    assert len(ticks) >= 4
    for place, label in ticks:
        assert np.interp(place, range(21), 0.5 * np.arange(21) ** 2) == pytest.approx(float(label))


def test_stages_are_named_once_and_marked_in_both_panels() -> None:
    figure = solving_figure(history(20, 20, ("sparsify", "prune", "retrain")), [], "t")
    words = rendered(figure)
    for stage in ("sparsify", "prune", "retrain"):
        assert words.count(stage) == 1
    above, below, _ = figure.axes
    starts = [
        [np.asarray(line.get_xdata())[0] for line in axes.lines if line.get_linestyle() == ":"]
        for axes in (above, below)
    ]
    assert starts[0] == starts[1]
    assert len(starts[0]) == 3


def test_a_nan_is_marked_on_the_curve_of_the_residual() -> None:
    frame = history(20, 8)
    figure = solving_figure(frame, [EVENT], "t")
    assert "loss = nan\nepoch 9, evaluation 7" in rendered(figure)
    assert drawn(figure, "last finite residual").tolist() == [frame["train/residual"][7]]


@pytest.mark.parametrize("reached", [0, 1, 2])
def test_a_run_that_ended_at_once_can_be_drawn(reached: int) -> None:
    frame = history(30, reached)
    if not reached:
        frame = frame.drop(columns=["train/residual", "val/residual", "train/boundary"])
    words = rendered(solving_figure(frame, [EVENT], "t"))
    assert ("no epoch ended with a finite error" in words) == (reached == 0)


def test_where_only_the_error_of_u_is_not_finite_the_residuals_are_drawn_all_the_same() -> None:
    frame = history(20, 20)
    frame["test/mse"] = math.nan
    figure = solving_figure(frame, [], "t")
    assert "no epoch ended with a finite error" in rendered(figure)
    np.testing.assert_allclose(drawn(figure, "the same at held-out points"), frame["val/residual"])
