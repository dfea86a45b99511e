"""What several figures ask: the model and the target at points, and how inputs and outputs are called."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from harness.escaping import drawn
from harness.figures.drawing import Float64
from harness.problems import Problem

Model = Callable[[Tensor], Tensor]
"""Maps ``(points, dimension)`` to ``(points, outputs)``, in raw units."""

CHUNK = 4096
"""Points that a model is asked for at once: a KAN holds every basis function of every edge at each of them."""
LONGEST = 28
"""Characters of a name: a column of a file may be called anything."""
MOST_OUTPUTS = 4
"""Outputs that a figure shows."""


def of_model(model: Model, x: Float64, like: Tensor) -> Float64:
    """Values ``(points, outputs)`` of a model, which is asked in the dtype and on the device of ``like``."""
    with torch.no_grad():
        chunks = [model(part.to(like.device, like.dtype)) for part in torch.from_numpy(x).split(CHUNK)]
    return numbers(torch.cat(chunks))


def of_target(problem: Problem, x: Float64) -> Float64:
    """Values ``(points, outputs)`` of the target of a problem that has one."""
    return numbers(problem.values(torch.from_numpy(x)))


def numbers(values: Tensor) -> Float64:
    """As numpy's float64."""
    found: Float64 = values.detach().cpu().double().numpy()
    return found


def label(problem: Problem, name: str, power: str = "") -> str:
    """The name of an input or output with its unit, as an axis is called: ``speed (m/s)``. ``power`` is what
    :func:`harness.figures.drawing.label_in_units` says of the numbers beside it: ``speed (10³ m/s)``.
    """
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    unit = " ".join(filter(None, (power.strip(" ()"), problem.units.get(name, ""))))
    return drawn(f"{short} ({unit})" if unit else short)


def shown_outputs(problem: Problem, truth: Float64, prediction: Float64) -> tuple[list[int], str]:
    """Which outputs a figure has room for, in the order of their declaration: those of the largest error over the variance of
    the output; and what to say where these are not all.
    """
    count = len(problem.outputs)
    if count <= MOST_OUTPUTS:
        return list(range(count)), ""
    errors = nmse(truth, prediction)
    worst = np.argsort(-np.where(np.isfinite(errors), errors, np.inf), kind="stable")[:MOST_OUTPUTS]
    return sorted(worst.tolist()), f"the {MOST_OUTPUTS} of {count} outputs with the largest NMSE"


def nmse(truth: Float64, prediction: Float64) -> Float64:
    """MSE of each output over its variance, or over its mean square where it is constant."""
    square, variance = np.square(truth).mean(axis=0), truth.var(axis=0)
    scale = np.where(variance > 1e-24 * square, variance, np.where(square > 0, square, 1.0))
    found: Float64 = np.square(prediction - truth).mean(axis=0) / scale
    return found
