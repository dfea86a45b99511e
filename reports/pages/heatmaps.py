"""The models' fits to a target in two dimensions. A model that can't be shown is named, with the reason."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.image import AxesImage

from harness.escaping import drawn
from harness.protocol import DENSE_POINTS
from reports.comparing.groups import Group, dagger
from reports.pages.pictures import DPI, Picture, margins, noted, png, said
from reports.reading.artifacts import Artifacts
from reports.reading.predictions import Prediction, predictions_of
from reports.reading.targets import Target
from reports.verdicts.numbers import number


def heatmaps(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """Target and predictions on one scale as heatmaps and surfaces, and the errors, each on its own scale."""
    found, lost = predictions_of(group, artifacts)
    missing = {model: f"{model}: {why}" for model, why in lost.items()}
    models = list(group)
    figure = Figure(figsize=(1.2 + 2.3 * (1 + len(models)), 6.9), dpi=DPI)
    grid = figure.add_gridspec(3, 1 + len(models), hspace=0.28, wspace=0.3)
    truth = next(iter(found.values()), None)
    for column, model in enumerate(["target", *models]):
        name, prediction = f"{model}{dagger(group.get(model, ()))}", found.get(model)
        name = "exact u" if known.is_equation and model == "target" else name
        of_column = [grid[row, column] for row in range(3)]
        if truth is None or (model != "target" and prediction is None):
            _draw_nothing(figure, of_column, name, missing.get(model, "nothing to show"))
        else:
            _draw(figure, of_column, name, known, truth, prediction, column)
    margins(figure, 0.5, 0.55, 0.95, 0.1)
    head = "Solutions" if known.is_equation else "Heatmaps"
    title = f"{head} and surfaces: {known.name}, {preset}: {known.lettered}"
    sentence = "Median seed of each model: prediction on the target's scale, error, surface."
    if known.is_equation:
        sentence = "Median seed of each model: its solution on the scale of the exact u, which no training reads, error, surface."
    description = f"{said(sentence, list(missing.values()))}{noted(group)}"
    name = f"heatmap-{known.name}-{preset}"
    return Picture(name, title, description, png(figure, title, known.formula), drawn=False)


def _draw_nothing(figure: Figure, column: Sequence[SubplotSpec], name: str, why: str) -> None:
    """The column of a model that can't be shown: the reason."""
    top, *others = (figure.add_subplot(place) for place in column)
    top.set_title(drawn(name), fontsize=10)
    for axes in (top, *others):
        axes.axis("off")
    top.text(0.5, 0.5, _wrapped(drawn(why)), ha="center", va="center", fontsize=7, wrap=True)


def _draw(
    figure: Figure,
    column: Sequence[SubplotSpec],
    name: str,
    known: Target,
    truth: Prediction,
    prediction: Prediction | None,
    nth: int,
) -> None:
    """The ``nth`` column: of the target, or of a model with the error of its prediction."""
    side = DENSE_POINTS[2]
    target = truth.target.reshape(side, side)
    values = target if prediction is None else prediction.values.reshape(side, side)
    low, high = float(target.min()), float(target.max())
    (left, right), (lower, upper) = bounds = [(float(axis.min()), float(axis.max())) for axis in truth.x.T]
    scale = _colours(low, high)
    aspect = (right - left) / (upper - lower)  # a square, whatever the units of the axes
    look: Any = {"origin": "lower", "extent": (left, right, lower, upper), "aspect": aspect}
    top = figure.add_subplot(column[0])
    image = top.imshow(values.T, interpolation="nearest", **look, **scale)
    _frame(top, bounds, known.inputs[1], nth == 0)
    if prediction is None:
        top.set_title(drawn(name), fontsize=10)
        _bar(figure, image, top)
    else:
        top.set_title(f"{drawn(name)}\nNMSE {number(prediction.mse / known.scale2)}", fontsize=9)
        error, middle = values - target, figure.add_subplot(column[1])
        largest = float(np.abs(error).max()) or 1.0
        image = middle.imshow(error.T, cmap="PuOr", vmin=-largest, vmax=largest, **look)
        middle.set_title(f"error up to {number(largest)}", fontsize=8)
        _frame(middle, bounds, known.inputs[1], nth == 1)
        _bar(figure, image, middle)
    surface = figure.add_subplot(column[2], projection="3d")
    x, y = np.meshgrid(*(np.linspace(*ends, side)[::5] for ends in bounds), indexing="ij")
    clipped = np.clip(values[::5, ::5], low - (high - low), high + (high - low))
    surface.plot_surface(x, y, clipped, rstride=1, cstride=1, linewidth=0, **scale)
    surface.set(xticks=[], yticks=[], zticks=[], zlim=(low, high) if high > low else None)


def _colours(low: float, high: float) -> dict[str, Any]:
    """Of a target that changes its sign, colours that part at 0, else from dark to light."""
    largest = max(-low, high)
    if min(-low, high) > 0.01 * largest:
        return {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    return {"cmap": "viridis", "vmin": low, "vmax": high if high > low else low + 1.0}


def _frame(axes: Axes, bounds: Sequence[tuple[float, float]], second: str, labelled: bool) -> None:
    """Ticks at both ends and in the middle, and the name of the second input."""
    across, up = ((low, (low + high) / 2, high) for low, high in bounds)
    axes.set(xticks=across, yticks=up)
    axes.tick_params(labelsize=6, labelleft=labelled, pad=2)
    if labelled:
        axes.set_ylabel(drawn(second), fontsize=7)


def _bar(figure: Figure, image: AxesImage, beside: Axes) -> None:
    bar = figure.colorbar(image, ax=beside, fraction=0.046, pad=0.04)
    bar.ax.tick_params(labelsize=6)
    bar.ax.ticklabel_format(scilimits=(-2, 3))
    bar.ax.yaxis.get_offset_text().set_fontsize(6)


def _wrapped(text: str, width: int = 24) -> str:
    return "\n".join(textwrap.wrap(text[:220], width))
