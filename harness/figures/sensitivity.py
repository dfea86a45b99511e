"""Which inputs matter: Sobol indices of the model, and of the target where it is known.

I. M. Sobol (1993), "Sensitivity estimates for nonlinear mathematical models"; estimators of Saltelli et al. (2010), table 2,
(b) and (f). ``scipy.stats.sobol_indices`` has the same ones, but importing it takes longer than the rest of the figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.quasirandom import SobolEngine

from harness.data import Data
from harness.figures.drawing import BLACK, BLUE, Float64, axes_at, blank
from harness.figures.quantities import MOST_OUTPUTS, Model, label, numbers, of_model, of_target
from harness.problems import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EVALUATIONS = 1 << 15
"""Of the model at most, and of the target."""
FOR_FIRST = 2048
"""Points that first indices need: their error is about the root of twice the total index over the number of points."""
MOST_INPUTS = 12
"""Inputs that a figure shows."""


@dataclass(frozen=True)
class Indices:
    """Sobol indices ``(outputs, inputs)``: parts of the variance of an output. NaN of an output that is constant, or not finite
    somewhere.
    """

    first: Float64
    """What an input explains alone. NaN where there are so many inputs that too few points are left for each."""
    total: Float64
    """What it explains alone and together with others."""


def sensitivity_figure(problem: Problem, data: Data, model: Model, title: str) -> Figure:
    """A panel for each output: of each input the first and the total index, of the model and of the target, the largest first.

    Inputs are varied independently of one another: uniformly within the bounds of a formula, and for the rows of a file each as
    it is in the training rows. Of more than 12 inputs those with the largest indices are shown.
    """
    of = indices(problem, data, model)
    outputs = list(range(len(problem.outputs)))[:MOST_OUTPUTS]
    shown = _most_sensitive(of.get("target", of["model"]))
    count = len(problem.inputs)
    what = "Sobol" if _points(count) >= FOR_FIRST else "Total Sobol"
    notes = ["each input varied as in the training rows" if problem.table is not None else "uniform inputs"]
    notes += [f"the {MOST_INPUTS} largest of {count}"] if count > MOST_INPUTS else []
    notes += (
        [f"the first {MOST_OUTPUTS} of {len(problem.outputs)} outputs"] if len(problem.outputs) > MOST_OUTPUTS else []
    )
    step = 0.42 if len(of) > 1 else 0.32
    tall, wide = step * max(len(shown), 3), 3.4 if len(outputs) > 1 else 4.6
    names = [label(problem, problem.inputs[i]) for i in shown]
    left, gap = 0.35 + 0.09 * max(map(len, names)), 0.45
    above = 0.85 if len(problem.outputs) > 1 else 0.65
    width = left + (wide + gap) * len(outputs) - 0.15
    figure = blank(max(width, 6.4), tall + 0.95 + above, f"{title}\n{what} indices, {', '.join(notes)}")
    for column, output in enumerate(outputs):
        axes = axes_at(figure, left + (wide + gap) * column, 0.95, wide, tall)
        if len(problem.outputs) > 1:
            axes.set_title(label(problem, problem.outputs[output]), fontsize=10, y=1.0)
        _draw_bars(axes, {name: (each.first[output], each.total[output]) for name, each in of.items()}, shown)
        axes.set_yticks(range(len(shown)), names if column == 0 else [])
        axes.set_xlabel("part of the variance of the output")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def _most_sensitive(found: Indices) -> list[int]:
    """The inputs to show, by their largest total index over the outputs."""
    largest = np.nan_to_num(found.total, nan=-1.0).max(axis=0)
    return [int(i) for i in np.argsort(-largest, kind="stable")[:MOST_INPUTS]]


def _draw_bars(axes: Axes, of: dict[str, tuple[Float64, Float64]], shown: list[int]) -> None:
    height, colours = 0.8 / len(of), {"target": BLACK, "model": BLUE}
    for nth, (name, (first, total)) in enumerate(of.items()):
        at = np.arange(len(shown)) + height * (nth - (len(of) - 1) / 2)
        if np.isnan(total).all():
            axes.text(
                0.97,
                0.06 + 0.1 * nth,
                f"{name}: constant or not finite",
                ha="right",
                color=colours[name],
                transform=axes.transAxes,
                fontsize=9,
            )
        both = ((total, 0.35, "total"), (first, 1.0, "first order"))
        for values, opacity, what in both[: 1 if np.isnan(first).all() else 2]:
            bars: dict[str, Any] = {
                "color": colours[name],
                "alpha": opacity,
                "label": f"{name}, {what}",
                "gid": f"{name} {what}",
            }
            axes.barh(at, np.nan_to_num(values[shown]), 0.9 * height, **bars)
        for y, i in zip(at, shown, strict=True):
            if np.isfinite(total[i]):
                digits = 2 if total[i] >= 0.1 or total[i] < 5e-4 else 3
                told = [each[i] for each in (first, total) if np.isfinite(each[i])]
                said = " " + ", ".join(f"{value:.{digits}f}" for value in told)
                axes.text(total[i], y, said, va="center", fontsize=7, color=colours[name])
    largest = max(float(np.nan_to_num(total).max()) for _, total in of.values())
    # As a rule up to 1, but of many inputs that share the variance each has little.
    axes.set_xlim(0, 1.25 * (max(largest, 1.0) if largest > 0.4 or largest <= 0 else largest))
    axes.locator_params(axis="x", nbins=7)
    axes.set_ylim(len(shown) - 0.5, -0.5)  # the largest on top
    axes.grid(visible=True, axis="x", alpha=0.25)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)


def indices(problem: Problem, data: Data, model: Model) -> dict[str, Indices]:
    """The indices of ``target``, where there is a formula, and of ``model``, estimated at the same points.

    With two independent samples A and B, and A_i, which is A but for input i from B: the first index is the mean of
    f(B) (f(A_i) - f(A)), the total one half that of (f(A) - f(A_i))^2, both over the variance.
    """
    dimension, place = len(problem.inputs), _places(problem, data)

    def values(unit: Float64) -> Float64:
        x = place(unit)
        found = [] if problem.table is not None else [of_target(problem, x)]
        return np.hstack([*found, of_model(model, x, data.dense.x)])

    points = _points(dimension)
    both = numbers(SobolEngine(2 * dimension, scramble=True, seed=0).draw(points, dtype=torch.float64))
    a, b = both[:, :dimension], both[:, dimension:]
    with np.errstate(all="ignore"):
        at_a, at_b = values(a), values(b)
        middle = (at_a.mean(axis=0) + at_b.mean(axis=0)) / 2
        at_a, at_b = at_a - middle, at_b - middle
        variance = np.concatenate([at_a, at_b]).var(axis=0)
        first, total = np.empty((2, len(middle), dimension))
        for i in range(dimension):
            mixed = a.copy()
            mixed[:, i] = b[:, i]
            change = values(mixed) - middle - at_a
            first[:, i] = (at_b * change).mean(axis=0) / variance
            total[:, i] = np.square(change).mean(axis=0) / (2 * variance)
    varies = variance > 1e-24 * middle**2  # else it is rounding that does
    whole = varies[:, None] & np.isfinite(total).all(axis=1, keepdims=True)
    # A first index is within [0, total]; its estimate strays from there by chance.
    total = np.where(whole, total, np.nan)
    first = np.where(whole & (points >= FOR_FIRST), np.clip(first, 0.0, total), np.nan)
    names = ["model"] if problem.table is not None else ["target", "model"]
    of_each = zip(np.split(first, len(names)), np.split(total, len(names)), strict=True)
    return {name: Indices(*both) for name, both in zip(names, of_each, strict=True)}


def _points(dimension: int) -> int:
    """Of each of the two samples: a power of two, as Sobol points want it."""
    return 1 << max(6, math.floor(math.log2(EVALUATIONS / (dimension + 2))))


def _places(problem: Problem, data: Data) -> Callable[[Float64], Float64]:
    """From points of the unit cube to those of the problem."""
    if problem.table is None:
        low, high = np.array(problem.bounds).T
        return lambda unit: low + (high - low) * unit
    columns = np.sort(numbers(data.train.x), axis=0).T
    shares = np.linspace(0, 1, columns.shape[1])
    return lambda unit: np.stack([np.interp(u, shares, column) for u, column in zip(unit.T, columns, strict=True)], 1)
