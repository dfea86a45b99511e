"""Slices: model and target along each input, while the others stay where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.data import Data
from harness.figures.drawing import BLACK, BLUE, GREY, ORANGE, Float64, axes_at, blank, label_in_units
from harness.figures.quantities import Model, called, label, numbers, of_model, of_target, stated
from harness.problems import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 201
"""Along a slice."""
MOST_PANELS = 12
NEAREST = 30
"""Rows of a file that are drawn beside a slice of more than one input."""


@dataclass(frozen=True)
class Slice:
    """Along one input: ``at`` ``(points,)``; through the centre and through a random point, ``(points, outputs)`` each."""

    at: Float64
    model: tuple[Float64, ...]
    target: tuple[Float64, ...]
    """Empty for the rows of a file."""

    @property
    def range(self) -> Float64:
        """How much each output varies along it, by the target where there is one."""
        with np.errstate(invalid="ignore"):
            found: Float64 = np.max([np.ptp(values, axis=0) for values in self.target or self.model], axis=0)
        return found


def slices_figure(problem: Problem, data: Data, model: Model, title: str) -> Figure:
    """A panel for each input and output: model and target along that input, through the centre of the domain and through a random
    point, which is the same for every run; the inputs along which an output varies most come first.

    For the rows of a file the centre is the median of the training rows and the random point one of them; the rows nearest to the
    slice through the centre are the dots (all of them, if there is one input). Up to 12 panels are shown.
    """
    centre, random = anchors(problem, data)
    found = [_slice(problem, data, model, (centre, random), axis) for axis in range(len(problem.inputs))]
    outputs = list(range(len(problem.outputs)))[: MOST_PANELS // 3]
    scales = np.array([_limits(problem, data, found, output) for output in outputs])
    variation = np.nan_to_num(np.array([each.range[outputs] for each in found]) / np.ptp(scales, axis=1))
    order = np.argsort(-variation.max(axis=1), kind="stable")[: max(3, MOST_PANELS // len(outputs))]
    columns = min(4, len(order))
    rows = -(-len(order) // columns)
    note = _note(problem, len(order), len(outputs))
    width, tall = max(1.0 + 2.75 * columns, 7.0), 1.6 if columns > 1 else 2.8
    block_height = tall + 0.6
    head = 0.65 if problem.equation is None else 0.85
    height = 0.3 + head + block_height * rows * len(outputs)
    lines = [title, *([stated(problem, round(12 * width))] if problem.equation else []), note]
    figure = blank(width, height, "\n".join(lines))
    across = (width - 1.0) / columns
    for block, output in enumerate(outputs):
        for place, axis in enumerate(order):
            row, column = rows * block + place // columns, place % columns
            axes = axes_at(
                figure, 0.85 + across * column, height - head - block_height * row - tall, across - 0.3, tall
            )
            _draw(axes, problem, data, found[axis], int(axis), output, centre)
            axes.set_ylim(*scales[block])
            size = float(np.abs(scales[block]).max())
            if column == 0:
                axes.set_ylabel(label(problem, problem.outputs[output], label_in_units(axes.yaxis, size)))
                axes.yaxis.set_label_coords(-0.52 / (across - 0.3), 0.5)
            else:
                axes.yaxis.set_visible(False)  # ticks take longer than all curves
    names = dict(zip(*reversed(figure.axes[0].get_legend_handles_labels()), strict=True))
    figure.legend(names.values(), names.keys(), loc="lower center", ncols=6, fontsize=9, frameon=False)
    return figure


def anchors(problem: Problem, data: Data) -> tuple[Float64, Float64]:
    """The centre and the random point that slices go through, each ``(dimension,)``."""
    generator = np.random.default_rng(0)
    if problem.table is not None:
        rows = numbers(data.train.x)
        return np.median(rows, axis=0), rows[generator.integers(len(rows))]
    low, high = np.array(problem.bounds).T
    return low / 2 + high / 2, low + (high - low) * generator.random(len(low))


def _slice(problem: Problem, data: Data, model: Model, through: tuple[Float64, Float64], axis: int) -> Slice:
    column = numbers(data.train.x)[:, axis]
    low, high = problem.bounds[axis] if problem.table is None else (column.min(), column.max())
    at = np.linspace(low, high, POINTS)
    # The slice of a single input goes through every point: one is enough.
    x = np.concatenate([np.tile(point, (POINTS, 1)) for point in through[: len(problem.inputs)]])
    x[:, axis] = np.tile(at, len(x) // POINTS)
    of = [of_model(model, x, data.dense.x), *([] if problem.table is not None else [of_target(problem, x)])]
    curves = [tuple(np.split(values, len(x) // POINTS)) for values in of]
    return Slice(at, curves[0], curves[1] if len(curves) > 1 else ())


def _limits(problem: Problem, data: Data, found: list[Slice], output: int) -> tuple[float, float]:
    """One scale for all slices of an output, that of its finite target; of rows, theirs. The prediction never sets it."""
    if problem.table is not None:
        values = numbers(data.train.y)[:, output]
    else:
        values = np.concatenate([curve[:, output] for each in found for curve in each.target])
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (-1.0, 1.0)
    spread = (high - low) or abs(high) or 1.0
    return low - 0.12 * spread, high + 0.12 * spread


def _draw(axes: Axes, problem: Problem, data: Data, found: Slice, axis: int, output: int, centre: Float64) -> None:
    from matplotlib.ticker import MaxNLocator

    if problem.table is not None:
        for name, sample, colour in (("training rows", data.train, GREY), ("held-out rows", data.dense, BLACK)):
            x, y = numbers(sample.x), numbers(sample.y)[:, output]
            near = _nearest(x, axis, centre)
            many = len(near) > 500
            axes.plot(
                x[near, axis],
                y[near],
                ".",
                color=colour,
                markersize=3 if many else 6,
                alpha=0.3 if many else 0.7,
                markeredgewidth=0,
                label=name,
                gid=name,
            )
    of_target, of_model = called(problem, "target", "model")
    places = ("centre", "random point") if len(found.model) > 1 else ("",)
    for nth, (place, colour) in enumerate(zip(places, (BLUE, ORANGE), strict=False)):
        through = f", {place}" if place else ""
        if found.target:
            axes.plot(
                found.at,
                found.target[nth][:, output],
                color=colour if place else BLACK,
                linewidth=3.2,
                alpha=0.35,
                label=f"{of_target}{through}",
                gid="target",
            )
        axes.plot(
            found.at,
            found.model[nth][:, output],
            "--" if found.target else "-",
            color=colour,
            linewidth=1.3,
            label=f"{of_model}{through}",
            gid="model",
        )
    axes.set_xlim(found.at[0], found.at[-1])
    power = label_in_units(axes.xaxis, float(np.abs(found.at).max()))
    axes.set_xlabel(label(problem, problem.inputs[axis], power))
    axes.xaxis.labelpad = 2
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def _nearest(x: Float64, axis: int, centre: Float64) -> NDArray[np.intp]:
    """The rows nearest to the slice along an input through the centre, by the other inputs, each over its deviation."""
    if x.shape[1] == 1 or len(x) <= NEAREST:
        return np.arange(len(x))
    scaled = (x - centre) / np.where((spread := x.std(axis=0)) > 0, spread, 1.0)
    scaled[:, axis] = 0.0
    return np.argpartition(np.square(scaled).sum(axis=1), NEAREST)[:NEAREST]


def _note(problem: Problem, inputs: int, outputs: int) -> str:
    """What the picture shows, where that is not all."""
    notes = ["slices through the centre and a random point"] if inputs > 1 else ["the model over its input"]
    if inputs < len(problem.inputs):
        notes = [f"slices along the {inputs} of {len(problem.inputs)} inputs that change the values most"]
    if outputs < len(problem.outputs):
        notes.append(f"the first {outputs} of {len(problem.outputs)} outputs")
    if problem.table is not None and inputs > 1:
        notes.append("with the rows nearest to the first")
    return ", ".join(notes)
