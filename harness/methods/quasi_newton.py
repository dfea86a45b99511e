"""L-BFGS with a line search for the strong Wolfe conditions, on one vector of parameters.

Nocedal and Wright 2006, "Numerical Optimization": directions by algorithm 7.4, steps by algorithms 3.5 and 3.6 with cubic
interpolation (eq. 3.59) and the safeguards of torch.optim.LBFGS. It differs from that in two points. Scalars are numbers,
not tensors, which halves its own cost, as large as that of evaluating a small network. And a curvature pair is kept
whenever its product is positive beyond rounding: torch drops pairs below 1e-10, which is every pair once the loss is
about 1e-9.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

C1, C2 = 1e-4, 0.9
"""Sufficient decrease and curvature (eq. 3.7), as recommended for quasi-Newton methods."""
TINY_BRACKET = 1e-9
"""A bracket in which no parameter changes by more ends a line search."""


class Trial(NamedTuple):
    """A point of a line search: the step length, and loss, slope along the direction and gradient there."""

    t: float
    loss: float
    slope: float
    gradient: Tensor


Quick = Any
"""A vector as numpy sees it on a processor, where one operation takes it a tenth of the time, else a tensor."""


class Pair(NamedTuple):
    """A step, the change of the gradient along it, and the product of the two."""

    step: Quick
    change: Quick
    product: float


class LBFGS:
    """``x`` is moved in place. The curvature pairs live on from step to step."""

    def __init__(self, x: Tensor, lr: float, iterations: int, history: int) -> None:
        self.x = x
        self.lr = lr
        self.iterations = iterations
        self.most_evaluations = max(iterations * 5 // 4, iterations + 1)  # one to start from, one for each iteration
        self.pairs: deque[Pair] = deque(maxlen=history)
        self.started = False

    def step(self, evaluate: Callable[[], tuple[float, Tensor]]) -> Tensor:
        """Up to ``iterations`` iterations or about 5/4 as many evaluations; the gradient that they started from is returned.

        ``evaluate`` gives loss and gradient at ``x``, in new tensors; it is expected to raise when they are not finite.
        """
        loss, gradient = evaluate()
        first, evaluations = gradient, 1
        for _ in range(self.iterations):
            direction = self._direction(gradient)
            slope = gradient.dot(direction).item()
            if not slope < 0 or evaluations >= self.most_evaluations:
                break
            start = self.x.clone()

            def at(t: float, start: Tensor = start, direction: Tensor = direction) -> Trial:
                torch.add(start, direction, alpha=t, out=self.x)
                loss, gradient = evaluate()
                return Trial(t, loss, gradient.dot(direction).item(), gradient)

            t = self.lr if self.started else min(1.0, 1 / gradient.abs().sum().item()) * self.lr
            before = Trial(0.0, loss, slope, gradient)
            found, used = line_search(
                at, before, t, self.most_evaluations - evaluations, TINY_BRACKET / direction.abs().max().item()
            )
            torch.add(start, direction, alpha=found.t, out=self.x)
            self.started = True
            self._remember(direction * found.t, found.gradient - gradient)
            evaluations += used
            if found.t == 0 or found.loss == loss:
                break
            loss, gradient = found.loss, found.gradient
        return first

    def _direction(self, gradient: Tensor) -> Tensor:
        """Minus the inverse Hessian's approximation times the gradient (algorithm 7.4)."""
        direction = gradient.neg()
        d = quick(direction)
        alphas = []
        for pair in reversed(self.pairs):
            alpha = float(pair.step.dot(d)) / pair.product
            d -= alpha * pair.change
            alphas.append(alpha)
        if self.pairs:
            d *= self.pairs[-1].product / float(self.pairs[-1].change.dot(self.pairs[-1].change))  # eq. 7.20
        for pair, alpha in zip(self.pairs, reversed(alphas), strict=True):
            beta = float(pair.change.dot(d)) / pair.product
            d += (alpha - beta) * pair.step
        return direction

    def _remember(self, step: Tensor, change: Tensor) -> None:
        product = step.dot(change).item()
        square = change.square().sum().item()
        if product > torch.finfo(step.dtype).eps * square and square > torch.finfo(step.dtype).tiny:
            self.pairs.append(Pair(quick(step), quick(change), product))


def quick(vector: Tensor) -> Quick:
    """The same memory."""
    return vector.numpy() if vector.is_cpu else vector


def line_search(at: Callable[[float], Trial], start: Trial, t: float, most: int, tiny: float) -> tuple[Trial, int]:
    """A trial that fulfils the strong Wolfe conditions, or the best end of the bracket, and the evaluations it took.

    ``most`` evaluations are allowed; a bracket of less than ``tiny`` ends the search.
    """

    def decreases(trial: Trial) -> bool:
        return trial.loss <= start.loss + C1 * trial.t * start.slope

    def flat(trial: Trial) -> bool:
        return abs(trial.slope) <= -C2 * start.slope

    # Go outwards until the interval between two trials has to contain a solution (algorithm 3.5).
    previous, trial, used = start, at(t), 1
    while decreases(trial) and not (used > 2 and trial.loss >= previous.loss) and trial.slope < 0 and not flat(trial):
        if used >= most:
            return min(start, trial, key=lambda end: end.loss), used
        outwards = trial.t + 0.01 * (trial.t - previous.t), 10 * trial.t
        previous, trial = trial, at(interpolate(previous, trial, *outwards))
        used += 1
    if decreases(trial) and flat(trial):
        return trial, used

    # Narrow it down (algorithm 3.6).
    low, high = sorted((previous, trial), key=lambda end: end.loss)
    stuck = False
    while used < most and abs(high.t - low.t) >= tiny:
        left, right = sorted((low.t, high.t))
        t = interpolate(low, high, left, right)
        # A trial close to an end, twice in a row or beyond it, is moved to a tenth of the interval.
        margin = 0.1 * (right - left)
        close = min(right - t, t - left) < margin
        if close and (stuck or t >= right or t <= left):
            t, close = (right - margin if right - t < t - left else left + margin), False
        stuck = close
        trial = at(t)
        used += 1
        if not decreases(trial) or trial.loss >= low.loss:
            low, high = sorted((low, trial), key=lambda end: end.loss)
            continue
        if flat(trial):
            return trial, used
        low, high = trial, low if trial.slope * (high.t - low.t) >= 0 else high
    return low, used


def interpolate(a: Trial, b: Trial, left: float, right: float) -> float:
    """The minimum of the cubic through both trials and their slopes (eq. 3.59), within bounds; else their middle."""
    if a.t > b.t:
        a, b = b, a
    if a.t == b.t:
        return (left + right) / 2
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (left + right) / 2
    d2 = math.sqrt(square)
    below = b.slope - a.slope + 2 * d2
    if below == 0:
        return (left + right) / 2
    return min(max(b.t - (b.t - a.t) * (b.slope + d2 - d1) / below, left), right)
