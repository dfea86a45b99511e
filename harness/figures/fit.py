"""A fit in one dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from harness.data import Data
from harness.figures.drawing import BLACK, BLUE, GREY, ORANGE, Float64, axes_at, blank, label_in_units, typeset
from harness.figures.quantities import called, errors, label, numbers, shown_outputs, stated
from harness.problems import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLOCK = 4.5
"""Height of the two panels of an output, in inches."""


def fit_figure(problem: Problem, data: Data, prediction: Tensor, title: str) -> Figure:
    """A 1D fit: target and prediction on the target's scale, and the residual in a panel of its own; of several outputs, each.

    Of an equation: reference and solution, and the error.
    """
    x, y, p = (numbers(tensor) for tensor in (data.dense.x, data.dense.y, prediction))
    shown, which = shown_outputs(problem, y, p)
    alone = len(problem.outputs) == 1
    lines = [title, *([stated(problem, 95)] if problem.equation else []), errors(problem, y, p - y) if alone else which]
    height = 5.5 + BLOCK * (len(shown) - 1) + (0.2 if problem.equation else 0.0)
    figure = blank(8, height, "\n".join(filter(None, lines)))
    for row, output in enumerate(reversed(shown)):
        top = axes_at(figure, 0.85, 2.2 + BLOCK * row, 7.0, 2.75)
        bottom = axes_at(figure, 0.85, 0.85 + BLOCK * row, 7.0, 1.25, sharex=top)
        name = problem.outputs[output]
        if not alone:
            top.set_title(
                f"{label(problem, name)}: {errors(problem, y[:, output], p[:, output] - y[:, output])}",
                fontsize=10,
                y=1.0,
            )
        _draw(top, bottom, problem, data, x[:, 0], y[:, output], p[:, output], name)
        if row == 0:
            figure.legend(*top.get_legend_handles_labels(), loc="lower center", ncols=3, fontsize=9, frameon=False)
            bottom.set(xlabel=label(problem, problem.inputs[0]))
        else:
            bottom.tick_params(labelbottom=False)
    return figure


def _draw(top: Axes, bottom: Axes, problem: Problem, data: Data, x: Float64, y: Float64, p: Float64, name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    residual = p - y
    target, prediction, error = called(problem, "target", "prediction", "residual")
    largest = float(np.abs(residual).max())
    top.tick_params(labelbottom=False)
    top.plot(
        x,
        y,
        color=BLACK,
        linewidth=2.6,
        alpha=0.35,
        label=target if problem.equation else f"{target}  {typeset(problem.formula)}",
        gid="target",
    )
    top.plot(x, p, "--", color=BLUE, linewidth=1.3, label=prediction, gid="prediction")
    top.plot(
        data.train.x.cpu().flatten(),
        np.zeros(len(data.train.x)),
        "|",
        color=GREY,
        alpha=0.5,
        markersize=6,
        transform=top.get_xaxis_transform(),
        label=f"{len(data.train.x)} training points",
    )
    low, high = float(y.min()), float(y.max())
    # The prediction never sets the scale: a bad one runs out of the panel instead of flattening the target.
    spread = (high - low) or abs(high) or 1.0
    top.set(ylim=(low - 0.35 * spread, high + 0.35 * spread))
    power = label_in_units(top.yaxis, max(abs(low), abs(high)))
    top.set_ylabel(f"value{power}" if name == "f" else label(problem, name, power))
    bottom.plot(x, residual, color=ORANGE, linewidth=1.0, gid=error)
    bottom.axhline(0, color=BLACK, linewidth=0.6)
    if np.isfinite(largest) and largest > 0:
        bottom.set_ylim(-1.15 * largest, 1.15 * largest)
    bottom.set(xlim=problem.bounds[0])
    bottom.set_ylabel(f"{error}{label_in_units(bottom.yaxis, largest)}")
    bottom.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    for axes in (top, bottom):
        axes.yaxis.set_label_coords(-0.085, 0.5)  # below one another, whatever the width of the numbers
        axes.grid(visible=True, alpha=0.25)
