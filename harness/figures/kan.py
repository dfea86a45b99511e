"""A KAN as a diagram."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from harness.figures.drawing import BLACK, BLUE, GREY, Float64, axes_at, blank
from harness.figures.quantities import label
from harness.models.edges import EdgeNetwork
from harness.problems import Problem
from harness.problems.problem import names_of_inputs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 10_000
"""Points that the functions are drawn at, and that the scores are of."""


def kan_figure(network: EdgeNetwork, inputs: Tensor, title: str, problem: Problem | None = None) -> Figure:
    """A KAN as a diagram: each live edge with its function, the darker the higher its attribution score; cut edges dotted.

    Inputs and outputs have the names of the ``problem``. Of very many points some are drawn: a curve needs no more.
    """
    inputs = inputs[:: -(-len(inputs) // MOST)]
    sizes = [layer.mask.shape[0] for layer in network] + [list(network)[-1].mask.shape[1]]
    edges = max(a * b for a, b in itertools.pairwise(sizes))
    names = _names(sizes, problem)
    between = (3.2 + 3.0 * (len(sizes) - 1)) / (len(sizes) - 0.5)
    left, right = (max(0.25 * between, 0.3 + 0.09 * max(map(len, ends))) for ends in (names[0], names[-1]))
    width, height = left + between * (len(sizes) - 1) + right, min(2.2 + 0.55 * edges, 9.0)
    total = sum(layer.mask.numel() for layer in network)
    figure = blank(
        width, height, f"{title}\n{network.fineness} = {network.grid}, {network.active_edges()} live edges of {total}"
    )
    axes = axes_at(figure, 0, 0, width, height - 0.5)
    axes.set(xlim=(-left / between, len(sizes) - 1 + right / between), ylim=(-0.02, 1.02))
    axes.axis("off")
    heights = [[(i + 0.5) / size for i in range(size)] for size in sizes]
    _, scores = network.attribute(inputs)
    with torch.no_grad():
        for index, layer in enumerate(network):
            _draw_layer(
                axes, index, heights[index], heights[index + 1], inputs, layer.edges(inputs), layer.mask, scores[index]
            )
            inputs = layer(inputs)
    for column, (ys, labels) in enumerate(zip(heights, names, strict=True)):
        axes.plot([column] * len(ys), ys, "o", color=BLACK, markersize=6, zorder=4)
        side, shift = ("right", -7) if column == 0 else ("left", 9)
        for y, name in zip(ys, labels, strict=True):
            place: dict[str, Any] = {"xytext": (shift, -4), "textcoords": "offset points", "ha": side}
            axes.annotate(name, (column, y), **place, fontsize=11, fontstyle="italic")
    return figure


def _names(sizes: list[int], problem: Problem | None) -> list[list[str]]:
    """Of the nodes of each layer; those of hidden ones are empty."""
    inputs, outputs = list(names_of_inputs(sizes[0])), ["f"]
    if problem is not None:
        inputs, outputs = ([label(problem, name) for name in ends] for ends in (problem.inputs, problem.outputs))
    elif sizes[-1] > 1:
        outputs = [f"f{output}" for output in range(1, sizes[-1] + 1)]
    return [inputs, *([""] * size for size in sizes[1:-1]), outputs]


def _draw_layer(
    axes: Axes,
    column: int,
    left: list[float],
    right: list[float],
    x: Tensor,
    values: Tensor,
    mask: Tensor,
    scores: Tensor,
) -> None:
    """The edges between two columns of nodes; each live one passes through a small plot of its function.

    All lines of a layer are one artist: axes of its own for each edge took as long as the rest of the figure.
    """
    from matplotlib.collections import LineCollection, PolyCollection

    scores = scores.nan_to_num(posinf=0.0)  # matplotlib raises at an opacity that is not a number
    strongest = float(scores.max()) or 1.0
    pairs = [(i, j) for j in range(len(right)) for i in range(len(left))]
    size = 0.8 / max(len(pairs), 3)
    cut, wires, frames, curves, opacities = [], [], [], [], []
    order = x.argsort(dim=0)
    for slot, (i, j) in enumerate(pairs):
        y = (slot + 0.5) / len(pairs)
        start, end, low, high = column + 0.42, column + 0.58, y - size / 2, y + size / 2
        if mask[i, j] == 0:
            cut.append([(column, left[i]), (start, y), (end, y), (column + 1, right[j])])
            continue
        wires += [[(column, left[i]), (start, y)], [(end, y), (column + 1, right[j])]]
        frames.append([(start, low), (end, low), (end, high), (start, high)])
        curve = torch.stack([x[order[:, i], i], values[order[:, i], i, j]], dim=1).cpu().double().numpy()
        curves.append(_fitted(curve, start, low, 0.16, size))
        opacities.append(0.15 + 0.85 * math.sqrt(max(float(scores[j, i]), 0.0) / strongest))
    axes.add_collection(LineCollection(cut, colors=GREY, alpha=0.4, linewidths=0.8, linestyles=":"))
    axes.add_collection(LineCollection(wires, colors=[(BLACK, a) for a in opacities for _ in "in"], linewidths=1.3))
    axes.add_collection(PolyCollection(frames, facecolors="white", edgecolors=GREY, linewidths=0.6, zorder=3))
    shades = [(BLUE, max(opacity, 0.4)) for opacity in opacities]
    axes.add_collection(LineCollection(curves, colors=shades, linewidths=1.2, zorder=3))


def _fitted(curve: Float64, left: float, bottom: float, width: float, height: float) -> Float64:
    """A curve, one row a point, moved and stretched to fill a rectangle but for a margin; a constant runs in its middle."""
    low, span = curve.min(axis=0), np.ptp(curve, axis=0)
    share = np.where(span > 0, (curve - low) / np.where(span > 0, span, 1), 0.5)
    return np.array((left, bottom)) + np.array((width, height)) * (0.05 + 0.9 * share)
