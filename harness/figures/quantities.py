"""What several figures ask: the model and the target at points, and how inputs and outputs are called."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from harness.escaping import drawn
from harness.figures.drawing import Float64, number, typeset
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
    unit = " ".join(filter(None, (power.strip(" ()"), problem.units.get(name, ""))))
    return f"{named(name)} ({drawn(unit)})" if unit else named(name)


def named(name: str) -> str:
    """The name of an input or output, cut where it is long."""
    return drawn(name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…")


def called(problem: Problem, *of_fit: str) -> tuple[str, ...]:
    """What a figure calls the target, what the model gives, and their difference: of a fit as it likes. Of an equation, whose
    residual is another thing, always the same.
    """
    return of_fit if problem.equation is None else ("reference", "solution", "error")[: len(of_fit)]


def stated(problem: Problem, room: int) -> str:
    """The equation of a problem as text, and its solution where both have room in so many characters; cut if it is longer."""
    assert problem.equation is not None
    equation = typeset(problem.equation.formula)
    both = f"{equation},   {problem.outputs[0]} = {typeset(problem.formula)}"
    if len(both) <= room:
        return both
    return equation if len(equation) <= room else f"{equation[: room - 1]}…"


def errors(problem: Problem, target: Float64, error: Float64) -> str:
    """The errors that stand above a figure: of a fit its MSE, of an equation the error of its solution in relation to it."""
    if problem.equation is None:
        least = f"dense MSE {number(float(np.mean(error**2)))}"
    else:
        norm = float(np.linalg.norm(target)) or 1.0
        least = f"relative L2 error {number(float(np.linalg.norm(error)) / norm)}"
    return f"{least}, largest error {number(float(np.abs(error).max()))}"


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
