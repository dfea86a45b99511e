"""Prediction against truth, and the residuals: what can be seen of a fit in any number of dimensions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.data import Data
from harness.figures.drawing import BLACK, BLUE, GREY, ORANGE, Float64, axes_at, blank, label_in_units, number, typeset
from harness.figures.quantities import called, errors, label, nmse, numbers, shown_outputs, stated
from harness.problems import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 1 << 14
"""Points that are drawn; of more, those of the largest residuals and evenly chosen others."""
COLUMN = 4.9
"""Width of the panels of an output, in inches."""


def prediction_figure(problem: Problem, data: Data, prediction: Tensor, title: str) -> Figure:
    """A column of panels for each output: the prediction against the truth on the truth's scale, and below it the residual
    against the prediction, with its histogram beside it.

    ``prediction`` has the values ``(points, outputs)`` at ``data.dense``. Points that are not finite are left out and counted.
    Where rows of a file have equal inputs, the NMSE that their spread leaves to any function of the inputs is told as noise.
    """
    truth, fitted = numbers(data.dense.y), numbers(prediction)
    shown, which = shown_outputs(problem, truth, fitted)
    points = f"{len(truth)} held-out rows" if problem.table is not None else f"{len(truth)} points"
    width, height = 0.5 + COLUMN * len(shown), 6.1 if len(problem.outputs) == 1 else 6.2
    if problem.equation is None:
        figure = blank(width, height, f"{title}\n{',  '.join(filter(None, (_said(problem.formula), points, which)))}")
    else:
        about = ",  ".join(filter(None, (points, which)))
        figure = blank(width, height + 0.2, f"{title}\n{stated(problem, round(12 * width))}\n{about}")
    for column, output in enumerate(shown):
        left = 0.2 + COLUMN * column
        floor = problem.table.spread[output] if problem.table is not None and problem.table.spread else math.nan
        _draw_output(figure, left, problem, problem.outputs[output], truth[:, [output]], fitted[:, [output]], floor)
    return figure


def _said(formula: str, most: int = 70) -> str:
    return typeset(formula if len(formula) <= most else f"{formula[: most - 1]}…")


def _draw_output(
    figure: Figure, left: float, problem: Problem, output: str, truth: Float64, fitted: Float64, spread: float
) -> None:
    from matplotlib.ticker import MaxNLocator

    error_in_all, floor = float(nmse(truth, fitted)[0]), spread / (float(truth.var()) or 1.0)
    truth, fitted = truth[:, 0], fitted[:, 0]
    top = axes_at(figure, left + 0.95, 2.6, 2.75, 2.75)
    below = axes_at(figure, left + 0.95, 0.55, 2.75, 1.45)
    side = axes_at(figure, left + 3.75, 0.55, 0.85, 1.45, sharey=below)
    error = fitted - truth
    finite = np.isfinite(error)
    lost = "" if finite.all() else f", {int((~finite).sum())} not finite"
    least = f" (noise {number(floor)})" if math.isfinite(floor) else ""
    figures = f"NMSE {number(error_in_all)}{least}, largest error {number(float(np.abs(error).max()))}{lost}"
    if problem.equation is not None:
        figures = f"{errors(problem, truth, error)}{lost}"
    of_truth, of_model, of_error = called(problem, "truth", "prediction", "residual")
    top.set_title(f"{label(problem, output)}\n{figures}" if len(problem.outputs) > 1 else figures, fontsize=9, y=1.0)
    low, high = _scale(truth)
    picked = _picked(error)
    top.plot([low, high], [low, high], color=BLACK, linewidth=0.8, alpha=0.6, zorder=1)
    top.plot(truth[picked], fitted[picked], linestyle="none", color=BLUE, gid="prediction", **_dots(len(picked)))
    ticks = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    top.set(xlim=(low, high), ylim=(low, high), xticks=ticks, yticks=ticks)
    size = max(abs(low), abs(high))
    top.set_xlabel(f"{of_truth}: {label(problem, output, label_in_units(top.xaxis, size))}")
    top.set_ylabel(f"{of_model}{label_in_units(top.yaxis, size)}")
    _draw_residuals(below, side, fitted[picked], error[picked], error[finite], of_error)
    below.set(xlim=(low, high), xticks=ticks)
    below.set_xlabel(f"{of_model}{label_in_units(below.xaxis, size)}")
    for axes in (below, side):
        axes.xaxis.set_label_coords(0.5, -0.2)  # beside one another, with ticks or without
    for axes in (top, below):
        axes.yaxis.set_label_coords(-0.24, 0.5)
        axes.grid(visible=True, alpha=0.25)


def _draw_residuals(below: Axes, side: Axes, fitted: Float64, error: Float64, all_errors: Float64, name: str) -> None:
    """Against the prediction, and as a histogram on the same axis: of normal noise the dashed curve."""
    from matplotlib.ticker import MaxNLocator

    below.plot(fitted, error, linestyle="none", color=ORANGE, gid=name, **_dots(len(error)))
    below.axhline(0, color=BLACK, linewidth=0.6)
    largest = float(np.abs(all_errors).max()) if all_errors.size else 0.0
    bound = 1.1 * largest if largest > 0 else 1.0
    below.set_ylim(-bound, bound)
    below.set_ylabel(f"{name}{label_in_units(below.yaxis, largest)}")
    below.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    bins = 2 * min(20, 2 + math.isqrt(len(all_errors))) + 1  # one in the middle
    counts, edges = np.histogram(all_errors / bound, bins=bins, range=(-1, 1))
    side.fill_betweenx(np.repeat(edges * bound, 2)[1:-1], np.repeat(counts, 2), color=ORANGE, alpha=0.8, linewidth=0)
    highest = float(counts.max())
    spread, middle = (float(all_errors.std()), float(all_errors.mean())) if all_errors.size else (0.0, 0.0)
    if spread > 0:
        at = np.linspace(-bound, bound, 200)
        density = np.exp(-0.5 * ((at - middle) / spread) ** 2) / (math.sqrt(2 * math.pi) * spread)
        expected = density * len(all_errors) * 2 * bound / bins
        highest = max(highest, float(expected.max()))
        side.plot(expected, at, "--", color=GREY, linewidth=1.0)
    side.set_xlim(0, 1.1 * max(highest, 1.0))
    side.set_xticks([])
    side.tick_params(left=False, labelleft=False)
    side.set_xlabel("count")
    side.axhline(0, color=BLACK, linewidth=0.6)
    for edge in ("top", "right"):
        side.spines[edge].set_visible(False)


def _scale(truth: Float64) -> tuple[float, float]:
    """The prediction never sets the scale: a bad one runs out of the panel instead of flattening the rest."""
    low, high = float(truth.min()), float(truth.max())
    spread = (high - low) or abs(high) or 1.0
    return low - 0.08 * spread, high + 0.08 * spread


def _picked(error: Float64) -> NDArray[np.intp]:
    """Which points to draw: half of ``MOST`` are those of the largest residuals, so that none of these is lost."""
    known = np.flatnonzero(np.isfinite(error))
    if len(known) <= MOST:
        return known
    by_size = known[np.argsort(-np.abs(error[known]), kind="stable")]
    return np.concatenate([by_size[: MOST // 2], by_size[MOST // 2 :: max(1, 2 * len(known) // MOST)]])


def _dots(points: int) -> dict[str, Any]:
    """The more points, the smaller and the fainter."""
    return {
        "marker": ".",
        "markersize": 6 if points < 300 else 3,
        "alpha": 0.7 if points < 300 else 0.35,
        "markeredgewidth": 0,
    }
