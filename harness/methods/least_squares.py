"""The damped systems of Levenberg-Marquardt, in the smaller of two forms (:mod:`harness.methods.levenberg_marquardt`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from harness.methods import Objective
from harness.methods.levenberg_marquardt import CHUNK
from harness.methods.positive_definite import gram, solver
from harness.methods.vectors import Vector, flat, move

Residuals = Float[Tensor, " rows"]
Solve = Callable[[Residuals, Vector | None], Vector]
"""``-(A + mu I)^-1 (J^T w / N + p)`` for w of the rows and p of the parameters."""
Factorise = Callable[[float], Solve | None]
"""The solver for a damping; None where the matrix is not positive definite in floating point."""


class System(NamedTuple):
    """The Jacobian at a point, in one of the two forms."""

    pull_back: Callable[[Residuals], Vector]
    """``J^T w``."""
    factorise: Factorise


STRIDE = 0.1
"""Part of v over which the second derivative along it is taken (as Transtrum and Sethna suggest)."""
CURVATURE = 2.0
"""Bound on 2 |a| / |v|, where a step is too curved to be trusted (they suggest 0.75; on two networks 2 was as
good as no bound, or better, and 0.3 and 0.75 were worse)."""


@dataclass(frozen=True)
class Point:
    """What is known of the parameters that a step starts from; kept while no trial has lowered the objective."""

    theta: Vector
    value: float
    norm: float
    """Of the gradient of F."""
    residuals: Residuals
    penalty_slope: Vector | None
    """Half of the gradient of the penalty."""
    factorise: Factorise


def look(objective: Objective, told: tuple[Residuals, float] | None = None) -> Point:
    """All that a step needs to know of where the parameters are now. ``told``: what :meth:`Objective.attempt` said there."""
    if told is None:
        objective.evaluate()  # for a number that is not finite, which ends the training at this evaluation
        told = objective.attempt()
    residuals, value = told
    gradient = objective.penalty_gradient()
    penalty_slope = None if gradient is None else gradient / 2
    theta = flat(objective.parameters)
    pull_back, factorise = (primal if len(theta) <= objective.rows else dual)(objective)
    slope = pull_back(residuals) / objective.rows
    if penalty_slope is not None:
        slope = slope + penalty_slope
    norm = 2 * slope.norm().item()
    if not math.isfinite(norm) or not math.isfinite(theta.norm().item()):
        objective.evaluate()  # which says what is not finite, and ends the training
    return Point(theta, value, norm, residuals, penalty_slope, factorise)


@torch.no_grad()
def trial(objective: Objective, here: Point, damping: float) -> Vector | None:
    """The trial theta + v + a / 2; None where the system can't be solved or the step is too curved."""
    solve = here.factorise(damping)
    if solve is None:
        return None
    # They may stand at a trial that failed, and a Jacobian in chunks is made where they stand.
    move(objective.parameters, here.theta)
    velocity = solve(here.residuals, here.penalty_slope)
    ends = []
    for direction in (STRIDE, -STRIDE):
        move(objective.parameters, here.theta + direction * velocity)
        ends.append(objective.attempt()[0])
    move(objective.parameters, here.theta)
    acceleration = solve((ends[0] - 2 * here.residuals + ends[1]) / STRIDE**2, None)
    if 2 * acceleration.norm() > CURVATURE * velocity.norm():
        return None
    return here.theta + velocity + acceleration / 2


def primal(objective: Objective) -> System:
    """Normal equations of the size of the parameters. A large J is never held as a whole, but made anew where needed."""
    rows, size = objective.rows, sum(p.numel() for p in objective.parameters)
    matrix = objective.parameters[0].new_zeros(size, size)
    stride = max(1, CHUNK // (size * matrix.element_size()))
    for start in range(0, rows, stride):
        j = objective.jacobian(start, min(start + stride, rows))
        matrix += gram(j)
    matrix /= rows
    scale = matrix.diagonal().mean().item()

    def pull_back(w: Residuals) -> Vector:
        return j.T @ w if rows <= stride else objective.pull_back(w)

    def factorise(damping: float) -> Solve | None:
        damped = solver(matrix, damping * scale)
        if damped is None:
            return None

        def solve(w: Residuals, p: Vector | None) -> Vector:
            right = pull_back(w) / rows
            return -damped(right if p is None else right + p)

        return solve

    return System(pull_back, factorise)


def dual(objective: Objective) -> System:
    """The same step from a system of the size of the rows (Sherman-Morrison-Woodbury), for more parameters than rows."""
    rows = objective.rows
    j = objective.jacobian(0, rows)
    matrix = gram(j.T) / rows
    scale = matrix.diagonal().sum().item() / j.shape[1]

    def factorise(damping: float) -> Solve | None:
        mu = damping * scale
        damped = solver(matrix, mu)
        if damped is None:
            return None

        def solve(w: Residuals, p: Vector | None) -> Vector:
            step = -(j.T @ damped(w)) / rows
            return step if p is None else step - (p - j.T @ damped(j @ p) / rows) / mu

        return solve

    return System(lambda w: j.T @ w, factorise)
