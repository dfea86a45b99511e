"""A fit in two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from harness.data import Data
from harness.evaluation import as_grid
from harness.figures.drawing import Float64, axes_at, blank, label_in_units, typeset
from harness.figures.quantities import called, errors, label, numbers, shown_outputs, stated
from harness.problems import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW = 4.0
"""Height of the panels of an output, in inches."""


def heatmap_figure(problem: Problem, data: Data, prediction: Tensor, title: str) -> Figure:
    """A 2D fit: target and prediction on one colour scale, and the signed error on its own; of several outputs, a row each.

    Of an equation: reference, solution and error.
    """
    truth, fitted = numbers(data.dense.y), numbers(prediction)
    shown, which = shown_outputs(problem, truth, fitted)
    alone = len(problem.outputs) == 1
    width, height = (11.8, 4.2) if alone else (12.1, 4.5 + ROW * (len(shown) - 1))
    about = errors(problem, truth, fitted - truth) if alone else which
    if problem.equation is not None:
        figure = blank(12.1, height + 0.2, "\n".join(filter(None, [title, stated(problem, 130), about])))
    else:
        said = f"{':' if alone else ','}  {about}" if about else ""
        figure = blank(width, height, f"{title}\n{typeset(problem.formula)}{said}")
    for row, output in enumerate(reversed(shown)):
        target, values = (as_grid(tensor[:, [output]].detach().cpu().double()) for tensor in (data.dense.y, prediction))
        name = "" if alone else label(problem, problem.outputs[output])
        _draw(figure, 0.5 + ROW * row, problem, target.numpy(), values.numpy(), name)
    return figure


def _draw(figure: Figure, bottom: float, problem: Problem, target: Float64, fitted: Float64, output: str) -> None:
    error = fitted - target
    largest = float(np.abs(error).max())
    bound = largest if np.isfinite(largest) and largest > 0 else 1.0
    scale = float(target.min()), float(target.max())
    of_target, of_model = called(problem, "target", "prediction")
    panels = [
        (0.75, of_target, target, "viridis", *scale),
        (4.0, of_model, fitted, "viridis", *scale),
        (8.05 if output or problem.equation else 7.75, "error", error, "PuOr", -bound, bound),
    ]
    for left, name, values, cmap, low, high in panels:
        axes = axes_at(figure, left, bottom, 2.9, 2.9)
        image = axes.imshow(
            values.T,
            origin="lower",
            extent=(*problem.bounds[0], *problem.bounds[1]),
            cmap=cmap,
            vmin=low,
            vmax=high,
            interpolation="nearest",
            aspect="auto",
        )
        axes.set(xlabel=label(problem, problem.inputs[0]))
        unit = ""
        if values is target:
            axes.set_ylabel(label(problem, problem.inputs[1]))
        else:
            axes.set_yticks([])
            # One bar for the two panels that share a scale, with arrows where the prediction leaves it by a shade.
            shade = (high - low) / 256
            outside = (values.min() < low - shade, values.max() > high + shade)
            extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
                bool(outside[0]), bool(outside[1])
            ]
            bar = axes_at(figure, left + 3.15, bottom, 0.15, 2.9)
            figure.colorbar(image, cax=bar, extend=extend)
            unit = label_in_units(bar.yaxis, max(abs(low), abs(high)))
        if output:
            name = f"{output}: {name}"
            unit += f"\n{errors(problem, target, error)}" if values is error else ""
        axes.set_title(f"{name}{unit}", y=1.0)  # a given height: finding one measures every tick label
