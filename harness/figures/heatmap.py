"""A fit in two dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from harness.data import Data
from harness.evaluation import as_grid
from harness.figures.drawing import axes_at, blank, label_in_units, number, typeset
from harness.problems import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heatmap_figure(problem: Problem, data: Data, prediction: Tensor, title: str) -> Figure:
    """A 2D fit: target and prediction on one colour scale, and the signed error on its own."""
    target, fitted = (as_grid(tensor.detach().cpu().double()).numpy() for tensor in (data.dense.y, prediction))
    error = fitted - target
    largest = float(np.abs(error).max())
    figure = blank(
        11.8,
        4.2,
        f"{title}\n{typeset(problem.formula)}:  dense MSE {number(np.mean(error**2))}, largest error {number(largest)}",
    )
    bound = largest if np.isfinite(largest) and largest > 0 else 1.0
    scale = float(target.min()), float(target.max())
    panels = [
        (0.75, "target", target, "viridis", *scale),
        (4.0, "prediction", fitted, "viridis", *scale),
        (7.75, "error", error, "PuOr", -bound, bound),
    ]
    for left, name, values, cmap, low, high in panels:
        axes = axes_at(figure, left, 0.5, 2.9, 2.9)
        image = axes.imshow(
            values.T,
            origin="lower",
            extent=(problem.low, problem.high) * 2,
            cmap=cmap,
            vmin=low,
            vmax=high,
            interpolation="nearest",
        )
        axes.set(xlabel="x")
        unit = ""
        if name == "target":
            axes.set_ylabel("y")
        else:
            axes.set_yticks([])
            # One bar for the two panels that share a scale, with arrows where the prediction leaves it by a shade.
            shade = (high - low) / 256
            outside = (values.min() < low - shade, values.max() > high + shade)
            extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
                bool(outside[0]), bool(outside[1])
            ]
            bar = axes_at(figure, left + 3.15, 0.5, 0.15, 2.9)
            figure.colorbar(image, cax=bar, extend=extend)
            unit = label_in_units(bar.yaxis, max(abs(low), abs(high)))
        axes.set_title(f"{name}{unit}", y=1.0)  # a given height: finding one measures every tick label
    return figure
