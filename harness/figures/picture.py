"""A picture as a problem: the truth, what the model makes of it, and the error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.data import Data
from harness.figures.drawing import Float64, axes_at, blank, label_in_units, number
from harness.figures.quantities import Model, numbers, of_model
from harness.problems import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 1 << 18
"""Pixels that the model is asked for; of a larger picture every second, third, ... row and column."""
SIDE = 3.6
"""Of the longer side of a panel, in inches."""


def picture_figure(problem: Problem, data: Data, model: Model, title: str) -> Figure:
    """Truth, prediction and the size of the error, of all pixels; the PSNR of the held-out ones and of all.

    Values are between 0 and 1, one output grey, three of them colours. Raises ValueError for a problem that is no picture.
    """
    if problem.table is None or problem.table.image is None:
        raise ValueError(f"problem {problem.name!r} is no picture.")
    height, width = problem.table.image
    every = math.ceil(math.sqrt(height * width / MOST))
    pixels = np.arange(height * width).reshape(height, width)[::every, ::every]
    truth = problem.table.y[pixels.ravel()].reshape(*pixels.shape, -1)
    fitted = of_model(model, problem.table.x[pixels.ravel()], data.dense.x).reshape(truth.shape)
    held_out = psnr(numbers(data.dense.y), of_model(model, numbers(data.dense.x), data.dense.x))
    of = "all pixels" if every == 1 else f"one pixel in {every * every}"
    about = (
        f"{width} × {height} pixels, PSNR {_decibel(held_out)} on the held-out, {_decibel(psnr(truth, fitted))} on {of}"
    )
    wide, tall = SIDE * width / max(width, height), SIDE * height / max(width, height)
    figure = blank(3 * wide + 1.85, tall + 0.95, f"{title}\n{about}")
    error = np.sqrt(np.square(fitted - truth).mean(axis=-1))
    largest = float(np.nanmax(error)) if np.isfinite(error).any() else 0.0
    bound = largest if 0 < largest < math.inf else 1.0
    for nth, (name, values) in enumerate((("truth", truth), ("prediction", fitted), ("error", error))):
        axes = axes_at(figure, 0.3 + (wide + 0.25) * nth, 0.2, wide, tall, xticks=[], yticks=[])
        shown = values if values.ndim == 2 else _colours(values)
        look: dict[str, Any] = (
            {"cmap": "magma", "vmin": 0.0, "vmax": bound}
            if name == "error"
            else {"cmap": "gray", "vmin": 0.0, "vmax": 1.0}
        )
        image = axes.imshow(shown, interpolation="nearest", aspect="auto", **look)
        unit = ""
        if name == "error":
            bar = axes_at(figure, 0.3 + (wide + 0.25) * nth + wide + 0.12, 0.2, 0.14, tall)
            figure.colorbar(image, cax=bar)
            unit = f"{label_in_units(bar.yaxis, bound)}, at most {number(largest)}"
        axes.set_title(f"{name}{unit}", fontsize=10, y=1.0)
    return figure


def psnr(truth: Float64, fitted: Float64) -> float:
    """Peak signal-to-noise ratio of values between 0 and 1, in dB; infinite where they are equal."""
    mse = float(np.square(fitted - truth).mean())
    return -10 * math.log10(mse) if mse > 0 else math.nan if math.isnan(mse) else math.inf


def _decibel(value: float) -> str:
    return f"{value:.1f} dB".replace("-", "−").replace("inf", "∞")


def _colours(values: Float64) -> Float64:
    """As ``imshow`` takes them: colours within [0, 1], or where there are not three of them their mean as grey; what is not
    finite is black.
    """
    within = np.clip(np.nan_to_num(values, posinf=1.0, neginf=0.0), 0.0, 1.0)
    return within if values.shape[-1] == 3 else within.mean(axis=-1)
