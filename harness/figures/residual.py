"""How well an equation holds: its residual inside the box, and that of its conditions on the sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch

from harness.data import Data, scale_of
from harness.escaping import drawn
from harness.evaluation import as_grid, residuals
from harness.figures.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    Float64,
    axes_at,
    blank,
    label_in_units,
    number,
    power,
)
from harness.figures.quantities import label, named, numbers, stated
from harness.models import Regressor
from harness.problems import Problem
from harness.problems.equation import Side, on_sides

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

SIDE = 256
"""Points on a side."""
MOST_SIDES = 16
COLOURS = (BLUE, ORANGE, GREEN, RED, BLACK)
"""Of conditions, one after the other."""
AROUND: tuple[Side, ...] = ((1, "low"), (0, "high"), (1, "high"), (0, "low"))
"""The sides of a rectangle as one walks around it, so that the curve of a continuous error has no gaps."""
BACKWARDS = AROUND[2:]
LEFT, BOTTOM, HEIGHT, GAP = 0.85, 0.6, 2.9, 1.0


@dataclass(frozen=True)
class OnSide:
    """The residual of a condition at points of one side of the box, in units of the condition."""

    condition: int
    """Its number, from 0."""
    side: Side
    of_value: bool
    """Whether it is a condition on values of u, whose residual is an error of u then."""
    residual: Float64


class Layout(NamedTuple):
    """Who draws what, and the widths of both panels and of what is between them, in inches."""

    inside: Callable[[Axes, Problem, Data, Float64], None]
    sides: Callable[[Axes, Problem, Sequence[OnSide]], None]
    wide: float
    across: float
    between: float


def residual_figure(problem: Problem, data: Data, model: Regressor, title: str) -> Figure:
    """On the left the residual of the equation inside, in units of its scale: a curve, a map, or from three inputs on a
    histogram. On the right that of the conditions along the sides, in units of u where they are on its values.
    """
    inside = numbers(residuals(model, problem, data.dense.x))
    found = on_each_side(problem, model, data)
    groups = [group for of_value in (True, False) if (group := [each for each in found if each.of_value == of_value])]
    layout = _layout(problem.dimension)
    rows = min(MOST_SIDES, max(map(len, groups))) if layout.sides is _by_side else 0
    tall = max(HEIGHT if len(groups) == 1 else 0.65 * HEIGHT, 0.22 * rows)
    height = BOTTOM + len(groups) * (tall + GAP)
    start = LEFT + layout.wide + layout.between
    room = round(11.5 * (start + layout.across))
    figure = blank(start + layout.across + 0.3, height, f"{title}\n{stated(problem, room)}")
    axes = axes_at(figure, LEFT, height - GAP - HEIGHT, layout.wide, HEIGHT)
    layout.inside(axes, problem, data, inside)
    _entitle(axes, f"equation inside: residual over {_named_scale(problem)}", inside)
    for row, group in enumerate(groups):
        axes = axes_at(figure, start, height - GAP - tall - row * (tall + GAP), layout.across, tall)
        layout.sides(axes, problem, group)
        _entitle(axes, _of_sides(problem, group), np.concatenate([each.residual for each in group]))
    return figure


def _layout(inputs: int) -> Layout:
    if inputs == 1:
        return Layout(_as_curve, _at_ends, 5.2, 2.3, 1.2)
    return Layout(_as_map, _around, 2.9, 5.9, 1.95) if inputs == 2 else Layout(_as_histogram, _by_side, 3.6, 3.2, 1.5)


def _named_scale(problem: Problem) -> str:
    assert problem.equation is not None
    what = "rms of the forcing" if problem.equation.scale is None else "scale of the equation"
    return f"{number(scale_of(problem))}, the {what}"


def _of_sides(problem: Problem, group: Sequence[OnSide]) -> str:
    u = named(problem.outputs[0])
    unit = drawn(problem.units.get(problem.outputs[0], "")) or f"units of {u}"
    if group[0].of_value:
        return f"boundary: error of {u}, in {unit}"
    return "boundary: residual of conditions\non slopes, in their own units"


@torch.no_grad()
def on_each_side(problem: Problem, model: Regressor, data: Data) -> list[OnSide]:
    """The conditions of an equation at points of their sides: evenly from corner to corner in two dimensions, in more of them
    at Sobol points that are the same for every run.
    """
    assert problem.equation is not None
    found = []
    for index, condition in enumerate(problem.equation.conditions):
        for side in condition.on(problem.dimension):
            x = on_sides((side,), problem.bounds, SIDE, torch.Generator().manual_seed(0)).to(data.dense.x)
            residual = condition.residual(x, model.jet(x, condition.order))
            found.append(OnSide(index, side, condition.order == 0, numbers(residual)))
    return found


def _entitle(axes: Axes, what: str, values: Float64) -> None:
    rms, largest = float(np.sqrt(np.mean(values**2))), float(np.abs(values).max())
    axes.set_title(f"{what}\nrms {number(rms)}, largest {number(largest)}", fontsize=9, loc="left", y=1.0)


def _symmetric(axes: Axes, values: Float64, name: str) -> None:
    """A scale around 0 as far as the finite values go, and the name of the axis with their power of ten."""
    from matplotlib.ticker import MaxNLocator

    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    if largest > 0:
        axes.set_ylim(-1.15 * largest, 1.15 * largest)
    axes.axhline(0, color=BLACK, linewidth=0.6)
    axes.set_ylabel(f"{name}{label_in_units(axes.yaxis, largest)}")
    axes.yaxis.set_major_locator(MaxNLocator(7, symmetric=True))
    axes.grid(visible=True, axis="y", alpha=0.25)


def _as_curve(axes: Axes, problem: Problem, data: Data, inside: Float64) -> None:
    axes.plot(numbers(data.dense.x)[:, 0], inside, color=ORANGE, linewidth=1.0, gid="residual")
    at = numbers(data.train.x)[:, 0]
    below = axes.get_xaxis_transform()
    axes.plot(at, np.zeros(len(at)), "|", color=GREY, alpha=0.5, markersize=6, transform=below)
    axes.set(xlim=problem.bounds[0], xlabel=f"{label(problem, problem.inputs[0])}   (marks: {len(at)} training points)")
    _symmetric(axes, inside, "residual")


def _as_map(axes: Axes, problem: Problem, data: Data, inside: Float64) -> None:
    finite = np.abs(inside[np.isfinite(inside)])
    largest = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    # A few points in a corner, where no point of the training lies, would leave the rest without colour.
    bound = float(np.quantile(finite, 0.99)) if finite.size else largest
    bound = bound if 0 < bound < largest / 3 else largest
    image = axes.imshow(
        as_grid(torch.from_numpy(inside)).numpy().T,
        origin="lower",
        extent=(*problem.bounds[0], *problem.bounds[1]),
        cmap="PuOr",
        vmin=-bound,
        vmax=bound,
        interpolation="nearest",
        aspect="auto",
    )
    axes.set(xlabel=label(problem, problem.inputs[0]), ylabel=label(problem, problem.inputs[1]))
    figure = cast("Figure", axes.figure)
    box, width = axes.get_position(), figure.get_size_inches()[0]
    bar = figure.add_axes((box.x1 + 0.15 / width, box.y0, 0.15 / width, box.height))
    figure.colorbar(image, cax=bar, extend="both" if bound < largest else "neither")
    bar.set_ylabel(f"residual{label_in_units(bar.yaxis, bound)}")
    bar.yaxis.set_label_coords(4.8, 0.5)


def _as_histogram(axes: Axes, problem: Problem, data: Data, inside: Float64) -> None:
    """Of the absolute value, by its decades."""
    found = _log10(np.abs(inside))
    if found.size:
        counts, edges = np.histogram(
            found, bins=60, range=_decades(axes.xaxis, found[np.argsort(found)[len(found) // 500 :]])
        )
        axes.stairs(counts, edges, fill=True, color=ORANGE, alpha=0.8)
        axes.set_xlim(edges[0], edges[-1])
        rms = float(_log10(np.sqrt(np.mean(inside[np.isfinite(inside)] ** 2))[None])[0])
        axes.axvline(rms, color=BLACK, linewidth=1.0, linestyle="--", label="rms")
        axes.legend(loc="upper left", fontsize=8, frameon=False)
    axes.set(xlabel="absolute value of the residual", ylabel=f"points, of {len(inside)}")


def _at_ends(axes: Axes, problem: Problem, found: Sequence[OnSide]) -> None:
    """Of an interval: a stem and a number at each end."""
    places: dict[Side, float] = {(0, "low"): 0.0, (0, "high"): 1.0}
    for each in found:
        at, value, colour = places[each.side], float(each.residual[0]), COLOURS[each.condition % len(COLOURS)]
        axes.plot([at, at], [0.0, value], color=colour, linewidth=1.5)
        axes.plot([at], [value], "o", color=colour, markersize=6, gid="boundary")
        axes.annotate(
            number(value),
            (at, value if np.isfinite(value) else 0.0),
            xytext=(0, 6 if not value < 0 else -6),
            textcoords="offset points",
            ha="center",
            va="bottom" if not value < 0 else "top",
            fontsize=9,
        )
    axes.set(xlim=(-0.5, 1.5), xticks=[*places.values()])
    axes.set_xticklabels([_spelled(problem, side) for side in places])
    values = np.concatenate([each.residual for each in found])
    _symmetric(axes, 1.15 * values, "error" if found[0].of_value else "residual")


def _around(axes: Axes, problem: Problem, found: Sequence[OnSide]) -> None:
    """Of a rectangle: along its sides, as one walks around it; of those that have no condition nothing."""
    shown = [side for side in AROUND if any(each.side == side for each in found)]
    names = []
    for place, side in enumerate(shown):
        low, high = problem.bounds[1 - side[0]]
        if side in BACKWARDS:
            low, high = high, low
        other = label(problem, problem.inputs[1 - side[0]])
        names.append(f"{_spelled(problem, side)}\n{other}: {number(low)} → {number(high)}")
        if place:
            axes.axvline(place, color=GREY, linewidth=0.8, linestyle=":")
    labelled = set()
    for each in found:
        values = each.residual[::-1] if each.side in BACKWARDS else each.residual
        axes.plot(
            shown.index(each.side) + np.linspace(0, 1, len(values)),
            values,
            color=COLOURS[each.condition % len(COLOURS)],
            linewidth=1.2,
            label=None if each.condition in labelled else f"condition {each.condition + 1}",
            gid="boundary",
        )
        labelled.add(each.condition)
    axes.set(xlim=(0, len(shown)), xticks=[place + 0.5 for place in range(len(shown))])
    axes.set_xticklabels(names, fontsize=9)
    axes.tick_params(axis="x", length=0)
    if len(labelled) > 1:
        axes.legend(loc="best", fontsize=8, framealpha=0.9)
    _symmetric(axes, np.concatenate([each.residual for each in found]), "error" if found[0].of_value else "residual")


def _by_side(axes: Axes, problem: Problem, found: Sequence[OnSide]) -> None:
    """Of a box: root mean square and largest residual of each condition on each side; of very many the worst."""
    rms = np.array([np.sqrt(np.mean(each.residual**2)) for each in found])
    worst = np.sort(np.argsort(-np.nan_to_num(rms, nan=np.inf), kind="stable")[:MOST_SIDES])
    largest = np.array([np.abs(each.residual).max() for each in found])
    at = np.arange(len(worst))
    decades = _decades(axes.xaxis, _log10(np.concatenate([rms[worst], largest[worst]])))
    axes.set_xlim(*decades)
    for values, marker, name in ((rms, "o", "rms"), (largest, "|", "largest")):
        shown = np.where(np.isfinite(values[worst]), np.maximum(values[worst], np.finfo(float).tiny), np.nan)
        axes.plot(
            np.log10(shown), at, marker, color=BLUE, markersize=6, markeredgewidth=1.5, label=name, gid="boundary"
        )
    axes.set(ylim=(len(worst) - 0.5, -0.5), yticks=at)
    axes.set_yticklabels([_spelled(problem, found[index].side) for index in worst], fontsize=9)
    which = "" if len(worst) == len(found) else f", the worst {len(worst)} of {len(found)} sides"
    axes.set_xlabel(f"absolute value{which}")
    axes.grid(visible=True, alpha=0.25)
    axes.legend(loc="best", fontsize=8, framealpha=0.9)


def _log10(values: Float64) -> Float64:
    """Of what is finite; 0 counts as the least positive number."""
    found: Float64 = np.log10(np.maximum(values[np.isfinite(values)], np.finfo(float).tiny))
    return found


def _decades(axis: Axis, logarithms: Float64) -> tuple[float, float]:
    """Whole decades that hold the values, and their names on the axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power(round(value))))
    if not logarithms.size:
        return 0.0, 1.0
    low, high = float(np.floor(logarithms.min())), float(np.ceil(logarithms.max()))
    return low, max(high, low + 1)


def _spelled(problem: Problem, side: Side) -> str:
    axis, end = side
    name = problem.inputs[axis]
    value = number(problem.bounds[axis][end == "high"])
    return f"{named(name)} = {value} {drawn(problem.units.get(name, ''))}".strip()
