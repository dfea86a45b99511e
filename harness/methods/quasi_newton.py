"""L-BFGS with a line search for the strong Wolfe conditions, on one vector of parameters.

Nocedal and Wright 2006, "Numerical Optimization": directions as by algorithm 7.4, steps by algorithms 3.5 and 3.6 with cubic
interpolation (eq. 3.59) and the safeguards of torch.optim.LBFGS. It differs from that in three points. Scalars are numbers,
not tensors, which halves its own cost, as large as that of evaluating a small network. All curvature pairs are gone over
at once, by products with matrices. And a pair is kept whenever its product is positive beyond rounding: torch drops pairs
below 1e-10, which is every pair once the loss is about 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsv
from torch import Tensor

C1, C2 = 1e-4, 0.9
"""Sufficient decrease and curvature (eq. 3.7), as recommended for quasi-Newton methods."""
TINY_BRACKET = 1e-9
"""A bracket in which no parameter changes by more ends a line search."""


Numbers = NDArray[Any]
Quick = Any
"""Vectors as numpy sees them on a processor, where one operation takes it a tenth of the time, else a tensor."""


class Trial(NamedTuple):
    """A point of a line search: the step length, and loss, slope along the direction and gradient there."""

    t: float
    loss: float
    slope: float
    gradient: Tensor


class Pairs:
    """Steps s and the changes y of the gradient along them, of the last ``history`` iterations.

    A direction is that of the two loops of algorithm 7.4. What these solve pair by pair are two triangular systems, with the
    products R_ij = s_i y_j, i <= j (Byrd, Nocedal and Schnabel 1994, "Representations of quasi-Newton matrices and their use in
    limited memory methods", Mathematical Programming 63, theorem 2.2): R a = S g, q = g - a Y, R^T c = diag(R) a - gamma Y q, and
    the direction is -gamma q - c S. On a GPU only the small systems come to the processor.
    """

    def __init__(self, like: Tensor, history: int) -> None:
        self._history = history
        self._steps = self._changes = quick(like.new_empty(0, len(like)))
        self._rows: list[int] = []
        """Where each pair is, from the oldest to the newest."""
        self._products = np.empty((0, 0))
        self._gamma = 1.0

    def add(self, step: Tensor, change: Tensor, product: float, square: float) -> None:
        """A pair, with the product of the two and the square of the change; the oldest goes where there are too many."""
        row = self._rows.pop(0) if len(self._rows) == self._history else len(self._rows)
        if row == len(self._steps):
            self._steps, self._changes = (self._longer(each, step) for each in (self._steps, self._changes))
        self._steps[row], self._changes[row] = quick(step), quick(change)
        self._rows.append(row)
        self._gamma = product / square  # eq. 7.20
        count, kept = len(self._rows), len(self._rows) - 1
        products = np.empty((count, count), order="F")  # of what is below the diagonal nothing is read
        products[:kept, :kept] = self._products[len(self._products) - kept :, len(self._products) - kept :]
        products[:, kept] = self._along(self._steps, quick(change))
        products[kept, kept] = product
        self._products = products

    def direction(self, gradient: Tensor) -> Tensor:
        """Minus the inverse Hessian's approximation times the gradient."""
        direction = gradient.neg()
        if self._rows:
            d = quick(direction)
            a = dtrsv(self._products, self._along(self._steps, d))
            d -= self._combined(a, self._changes)
            right = self._products.diagonal() * a - self._gamma * self._along(self._changes, d)
            d *= self._gamma
            d += self._combined(dtrsv(self._products, right, trans=1), self._steps)
        return direction

    def _along(self, matrix: Quick, vector: Quick) -> Numbers:
        """Products with each pair, in their order."""
        found = matrix[: len(self._rows)] @ vector
        numbers: Numbers = found if isinstance(found, np.ndarray) else found.cpu().numpy()
        return numbers[self._rows].astype(np.float64, copy=False)

    def _combined(self, weights: Numbers, matrix: Quick) -> Quick:
        by_row = np.empty(len(weights))
        by_row[self._rows] = weights
        if isinstance(matrix, np.ndarray):
            return by_row.astype(matrix.dtype, copy=False) @ matrix[: len(weights)]
        return torch.from_numpy(by_row).to(matrix) @ matrix[: len(weights)]

    def _longer(self, matrix: Quick, like: Tensor) -> Quick:
        longer = quick(like.new_empty(min(self._history, 2 * len(matrix) + 8), len(like)))
        longer[: len(matrix)] = matrix
        return longer


def quick(tensor: Tensor) -> Quick:
    """The same memory."""
    return tensor.numpy() if tensor.is_cpu else tensor


class LBFGS:
    """``x`` is moved in place. The curvature pairs live on from step to step."""

    def __init__(self, x: Tensor, lr: float, iterations: int, history: int) -> None:
        self.x = x
        self.lr = lr
        self.iterations = iterations
        self.most_evaluations = max(iterations * 5 // 4, iterations + 1)  # one to start from, one for each iteration
        self.pairs = Pairs(x, history)
        self.started = False

    def step(self, evaluate: Callable[[], tuple[float, Tensor]]) -> Tensor:
        """Up to ``iterations`` iterations or about 5/4 as many evaluations; the gradient that they started from is returned.

        ``evaluate`` gives loss and gradient at ``x``, in new tensors; it is expected to raise when they are not finite.
        """
        loss, gradient = evaluate()
        first, evaluations = gradient, 1
        for _ in range(self.iterations):
            direction = self.pairs.direction(gradient)
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

    def _remember(self, step: Tensor, change: Tensor) -> None:
        product = step.dot(change).item()
        square = change.square().sum().item()
        if product > torch.finfo(step.dtype).eps * square and square > torch.finfo(step.dtype).tiny:
            self.pairs.add(step, change, product, square)


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
