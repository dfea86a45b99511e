"""Each figure draws, shows something, and stays legible for runs that went wrong."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage, imread
from matplotlib.text import Text

from harness import problems
from harness.figures.fit import fit_figure
from harness.figures.heatmap import heatmap_figure
from harness.figures.kan import kan_figure
from harness.figures.loss import loss_figure
from harness.models import KAN
from harness.training import NonFinite
from harness.training.pruning import prune
from tests.support import parts, small


def pixels(figure: Figure) -> Any:
    """The figure as it is logged; asserts that it is a PNG of a readable size with something on it."""
    png = io.BytesIO()
    figure.savefig(png, format="png")
    image = imread(io.BytesIO(png.getvalue()))
    height, width = image.shape[:2]
    assert height >= 250
    assert width >= 500
    ink = (image[..., :3] < 0.98).any(axis=-1).mean()
    assert ink > 0.005, "blank"
    return image


def texts(figure: Figure) -> str:
    axes_texts = [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title)]
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        legend = axes.get_legend()
        legends += [text.get_text() for text in legend.get_texts()] if legend else []
    suptitle = figure.get_suptitle()
    return "\n".join([*axes_texts, *legends, suptitle])


def history(
    epochs: int, reached: int, stages: list[str] | None = None, rates: list[float] | None = None
) -> pd.DataFrame:
    frame = pd.DataFrame({"epoch": range(1, epochs + 1)})
    done = frame["epoch"] <= reached
    curve = 10.0 * 0.9 ** frame["epoch"]
    frame["train/mse"] = curve.where(done)
    frame["test/mse"] = (1.2 * curve).where(done)
    frame["stage"] = pd.Series(stages or ["train"] * epochs).where(done)
    frame["lr"] = pd.Series(rates or [1e-3] * epochs).where(done)
    return frame


def nan_event(epoch: int, last: float = 3.0, value: float = math.nan) -> NonFinite:
    return NonFinite(epoch, "train", 7, "gradient", value, 1e-3, math.nan, last)


def test_the_loss_is_on_a_log_scale_with_both_curves() -> None:
    figure = loss_figure(history(20, 20), [], "a title")
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert "squared units" in axes.get_ylabel()
    assert "train MSE" in texts(figure)
    assert "test MSE" in texts(figure)
    assert "a title" in texts(figure)
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata(), dtype=float), history(20, 20)["train/mse"])
    pixels(figure)


def words(figure: Figure) -> list[str]:
    """Every text of a figure that has been drawn, tick labels included."""
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]


def is_whole(figure: Figure) -> bool:
    """Whether everything that is drawn has room on the figure."""
    drawn = figure.get_tightbbox()
    width, height = figure.get_size_inches() + 0.01
    return bool(drawn.x0 > -0.01 and drawn.y0 > -0.01 and drawn.x1 < width and drawn.y1 < height)


def test_a_number_that_is_only_huge_is_not_called_something_else() -> None:
    figure = loss_figure(history(20, 8), [nan_event(9, value=4.55e63)], "t")
    assert "gradient exceeds 10⁶ × its start\nepoch 9, evaluation 7" in texts(figure)
    assert "4.55" not in texts(figure)


def test_without_a_finite_epoch_there_is_no_last_finite_one_and_no_scale() -> None:
    figure = loss_figure(history(20, 0), [nan_event(1, last=96.0, value=1e8)], "t")
    assert "last finite MSE" not in texts(figure)
    assert not [word for word in words(figure) if "×10" in word]


def test_the_cross_is_on_the_last_point_of_the_curve() -> None:
    figure = loss_figure(history(20, 8), [nan_event(9, last=3.0)], "t")
    (cross,) = (line for line in figure.axes[0].lines if line.get_label() == "last finite MSE")
    assert np.asarray(cross.get_xydata()).tolist() == [[8, history(20, 8)["train/mse"][7]]]


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 9.2e7])
@pytest.mark.parametrize("epochs", [1, 3, 20, 200])
def test_the_axes_of_a_loss_have_few_short_labels_with_one_kind_of_minus(scale: float, epochs: int) -> None:
    frame = history(epochs, epochs)
    frame[["train/mse", "test/mse"]] *= scale
    figure = loss_figure(frame, [], "t")
    assert is_whole(figure)
    (axes,) = figure.axes
    assert 2 <= len([label for label in axes.get_yticklabels() if label.get_text()]) <= 20
    assert not [word for word in words(figure) if "-" in word or "$" in word]


def test_stages_and_changes_of_the_rate_are_marked() -> None:
    stages = ["grid_3"] * 5 + ["sparsify"] * 5 + ["prune"] + ["retrain"] * 9
    figure = loss_figure(history(20, 20, stages, [1e-3] * 10 + [1e-4] * 10), [], "t")
    for mark in ("grid_3", "sparsify", "prune", "retrain", "lr = 0.0001"):
        assert mark in texts(figure)
    pixels(figure)


def test_a_nan_is_marked_where_it_happened() -> None:
    figure = loss_figure(history(20, 8), [nan_event(9)], "t")
    assert "gradient = nan\nepoch 9, evaluation 7" in texts(figure)
    assert "last finite MSE" in texts(figure)
    pixels(figure)


@pytest.mark.parametrize(
    ("frame", "events"),
    [
        (history(1, 1), []),
        (history(1, 0), [nan_event(1, math.nan)]),
        (history(50, 0), [nan_event(1, math.nan, math.inf)]),
        (history(50, 0), []),
        (history(50, 1), [nan_event(2, 0.0)]),
        (history(3, 3).assign(**{"train/mse": 0.0}), []),
        (history(5, 5).assign(lr=math.nan), []),
        (history(30, 30), [nan_event(29), nan_event(30)]),
    ],
    ids=[
        "one epoch",
        "no epoch of one",
        "inf at once",
        "nothing",
        "one point",
        "exactly zero",
        "no rate",
        "two events",
    ],
)
def test_a_loss_figure_can_always_be_drawn(frame: pd.DataFrame, events: list[NonFinite]) -> None:
    pixels(loss_figure(frame, events, "t"))


def test_a_history_without_a_finite_error_says_so() -> None:
    assert "no epoch ended with a finite error" in texts(loss_figure(history(10, 0), [], "t"))


@pytest.mark.parametrize("name", ["poisson_1d_sin", "poisson_1d_poly", "piecewise"])
@pytest.mark.parametrize("prediction", ["exact", "near", "far", "nan"])
def test_a_1d_fit_is_drawn_on_the_target_s_scale_with_the_residual_below(name: str, prediction: str) -> None:
    problem = problems.get(name)
    _, data = parts(small("mlp", problem=name))
    y = data.dense.y
    values = {"exact": y, "near": y + 1e-3 * torch.sin(9 * data.dense.x), "far": y + 1e6, "nan": y * math.nan}
    figure = fit_figure(problem, data, values[prediction], "t")
    top, bottom = figure.axes
    low, high = top.get_ylim()
    spread = (y.max() - y.min()).item() or y.abs().max().item()
    assert low < y.min() <= y.max() < high
    assert high - low < 2 * spread
    assert bottom.get_ylabel().startswith("residual")
    assert "dense MSE" in texts(figure)
    assert "40 training points" in texts(figure)
    pixels(figure)


@pytest.mark.parametrize("scale", [1e-30, 1e-5, 1.0, 1e6])
def test_a_fit_counts_in_powers_of_ten_that_it_names_and_has_one_kind_of_minus(scale: float) -> None:
    for name, draw in (("poisson_1d_sin", fit_figure), ("poisson_2d_sin", heatmap_figure)):
        _, data = parts(small("mlp", problem=name))
        dense = replace(data.dense, y=scale * data.dense.y)
        data = replace(data, dense=dense)
        error = scale * 2e-5 * torch.sin(9 * data.dense.x[:, :1])
        figure = draw(problems.get(name), data, dense.y + error, "t")
        assert is_whole(figure), name
        assert not [word for word in words(figure) if re.search(r"-|\de|\$", word)]
        assert all(not axes.yaxis.get_offset_text().get_text() for axes in figure.axes)
        if scale == 1.0:
            assert any("(10⁻⁵)" in word for word in words(figure))


def test_a_formula_is_set_with_the_signs_of_print_and_never_as_mathtext() -> None:
    problem = replace(problems.get("poisson_1d_sin"), formula="pi^2 x^-2 - $spin$")
    _, data = parts(small("mlp", problem="poisson_1d_sin"))
    found = words(fit_figure(problem, data, data.dense.y, "t"))
    assert "target  π² x⁻² − \\$spin\\$" in found


@pytest.mark.parametrize("prediction", ["exact", "far", "nan", "one nan"])
def test_a_heatmap_shows_truth_prediction_and_error_on_sensible_scales(prediction: str) -> None:
    problem = problems.get("poisson_2d_sin")
    _, data = parts(small("mlp"))
    y = data.dense.y
    values = {"exact": y, "far": 100 * y, "nan": y * math.nan, "one nan": y.clone()}
    values["one nan"][77] = math.nan
    figure = heatmap_figure(problem, data, values[prediction], "t")
    panels = {
        axes.get_title().partition(" ")[0]: axes.images[0] for axes in figure.axes if axes.images and axes.get_title()
    }
    assert list(panels) == ["target", "prediction", "error"]
    assert panels["target"].get_clim() == panels["prediction"].get_clim() == (y.min().item(), y.max().item())
    low, high = panels["error"].get_clim()
    assert low == -high
    assert "dense MSE" in texts(figure)
    pixels(figure)


def test_a_heatmap_has_x_to_the_right_and_y_upwards() -> None:
    problem = problems.get("poisson_2d_sin")
    _, data = parts(small("mlp"))
    figure = heatmap_figure(problem, data, data.dense.x[:, :1], "t")
    image: AxesImage = next(axes.images[0] for axes in figure.axes if axes.get_title() == "prediction")
    array = np.asarray(image.get_array())
    assert image.origin == "lower"
    assert (np.diff(array, axis=1) > 0).all()
    assert (np.diff(array, axis=0) == 0).all()


def a_kan(dimension: int, **fields: Any) -> tuple[KAN, torch.Tensor]:
    config = small("kan", problem=f"poisson_{dimension}d_sin", **fields)
    regressor, data = parts(config)
    assert isinstance(regressor.network, KAN)
    return regressor.network, regressor.scaled(data.train.x)


def panels(figure: Figure) -> int:
    """Frames of the small plots in the diagram of a KAN; each holds one curve, which stays inside."""
    (axes,) = figure.axes
    frames = [path for c in axes.collections if isinstance(c, PolyCollection) for path in c.get_paths()]
    curves = [path for c in axes.collections if isinstance(c, LineCollection) for path in c.get_paths()]
    curves = [curve for curve in curves if len(np.asarray(curve.vertices)) > 4]
    assert len(curves) == len(frames)
    for frame, curve in zip(frames, curves, strict=True):
        assert frame.get_extents().count_contains(curve.vertices) == len(np.asarray(curve.vertices))
    return len(frames)


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("fields", [{"width": 1}, {"width": 5}, {"width": 4, "depth": 3}], ids=str)
def test_a_kan_is_drawn_with_one_panel_a_live_edge(dimension: int, fields: dict[str, int]) -> None:
    network, x = a_kan(dimension, **fields)
    figure = kan_figure(network, x, "t")
    edges = network.active_edges()
    assert panels(figure) == edges
    assert f"{edges} live edges of {edges}" in texts(figure)
    pixels(figure)


@pytest.mark.parametrize("threshold", [1e-2, 1e9])
def test_cut_edges_lose_their_panel(threshold: float) -> None:
    network, x = a_kan(2, width=5)
    network.set_masks(prune(network, x, threshold, threshold))
    figure = kan_figure(network, x, "t")
    assert panels(figure) == network.active_edges()
    pixels(figure)


def test_a_kan_whose_edges_are_all_masked_or_constant_can_still_be_drawn() -> None:
    network, x = a_kan(2, width=3)
    for layer in network:
        layer.mask.zero_()
    pixels(kan_figure(network, x, "t"))
    network, x = a_kan(2, width=3)
    with torch.no_grad():
        for layer in network:
            layer.scale_base.zero_()
            layer.scale_sp.zero_()
    pixels(kan_figure(network, x, "t"))


def test_a_kan_with_a_nan_can_still_be_drawn() -> None:
    network, x = a_kan(2, width=3)
    with torch.no_grad():
        next(iter(network)).coef[0, 0, 0] = math.nan
    pixels(kan_figure(network, x, "t"))


def test_drawing_leaves_pyplot_and_its_settings_alone() -> None:
    import matplotlib as mpl
    from matplotlib import _pylab_helpers

    # Looking at the backend chooses one.
    before = {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}
    pixels(loss_figure(history(5, 5), [], "t"))
    assert {name: mpl.rcParams[name] for name in before} == before
    assert not _pylab_helpers.Gcf.get_all_fig_managers()
