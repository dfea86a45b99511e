"""An equation: what holds inside the box of a problem, and what on its sides.

A problem that has one is solved, not fitted: a training lowers the residual of the equation, and learns of the solution
what the conditions on the sides say of it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jaxtyping import Float

from harness.errors import BadInput
from harness.problems.rows import Jet, Partials, Points, Residuals

if TYPE_CHECKING:
    from torch import Generator, Tensor
else:
    Generator = Tensor = Any  # as in harness.problems.rows

Side = tuple[int, Literal["low", "high"]]
"""The number of an axis, and the end of the box on it."""
Operator = Callable[[Points, Jet], Residuals]
Bounds = tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Condition:
    """What holds on sides of the box: ``residual(x, jet)``, one number a point, is 0 there.

    ``sides`` are all of the box unless given; an initial value is a condition on the low side of the time axis. ``order`` is
    the highest derivative that it reads: 0 for a value (:func:`dirichlet`), 1 for a slope.
    """

    residual: Operator
    sides: tuple[Side, ...] = ()
    order: int = 0

    def on(self, dimension: int) -> tuple[Side, ...]:
        """The sides that it holds on, of a box of this dimension."""
        return self.sides or all_sides(dimension)


def dirichlet(value: Callable[[Points], Float[Tensor, "points 1"]], *sides: Side) -> Condition:
    """The solution has the value ``value(x)`` on these sides, or on all."""
    return Condition(residual=lambda x, jet: (jet.value - value(x))[:, 0], sides=sides)


@dataclass(frozen=True, eq=False, kw_only=True)
class Equation:
    """``operator(x, jet) = forcing(x)`` inside the box, and ``conditions`` on its sides.

    ``operator`` gives one number a point from the :class:`Jet` of the unknown function u there, by operations of torch that
    autograd can follow; what it gives for one point may depend on the jet at that point only. ``order`` is the highest
    derivative that it reads, at most 2 and along the axes: no mixed ones. ``partials(x, jet)`` are its derivatives in u, in
    each u_i and in each u_ii; autograd finds them unless given. ``forcing`` of shape ``(points, 1)`` is 0 unless given.

    Residuals count in units of ``scale``, which is the root mean square of the forcing on the dense points unless given.

    Raises BadInput for a field that can't be used.
    """

    formula: str
    operator: Operator
    conditions: tuple[Condition, ...]
    forcing: Callable[[Points], Float[Tensor, "points 1"]] | None = None
    order: int = 2
    scale: float | None = None
    partials: Callable[[Points, Jet], Partials] | None = None

    def __post_init__(self) -> None:
        if self.order not in (0, 1, 2) or any(condition.order not in (0, 1, 2) for condition in self.conditions):
            raise self._wrong("reads a derivative of an order that is not 0, 1 or 2")
        if not self.conditions:
            raise self._wrong("has no conditions; without values on the boundary its solution is not known to be one")
        if self.forcing is None and self.scale is None:
            raise self._wrong("has neither a forcing nor a scale; say by a scale in which units its residual counts")
        if self.scale is not None and not (self.scale > 0 and math.isfinite(self.scale)):
            raise self._wrong(f"has scale = {self.scale!r}; allowed: a positive finite number")

    def _wrong(self, what: str) -> BadInput:
        return BadInput(f"equation {self.formula!r} {what}.")

    def residual(self, x: Points, jet: Jet) -> Residuals:
        """``operator - forcing``, in the units of the forcing."""
        value = self.operator(x, jet)
        return value if self.forcing is None else value - self.forcing(x)[:, 0]

    def refuse_sides_beyond(self, dimension: int) -> None:
        """Raise BadInput for a condition on a side that a box of this dimension doesn't have."""
        for side in itertools.chain.from_iterable(condition.sides for condition in self.conditions):
            if side not in all_sides(dimension):
                raise self._wrong(
                    f"has a condition on the side {side!r}; allowed: (axis, 'low' or 'high'), axis < {dimension}"
                )


def all_sides(dimension: int) -> tuple[Side, ...]:
    """Every side of a box."""
    return tuple((axis, end) for axis in range(dimension) for end in ("low", "high"))


def on_sides(
    sides: tuple[Side, ...], bounds: Bounds, count: int, generator: Generator, between: bool = False
) -> Points:
    """About ``count`` points spread over sides of a box, the same number on each; in float64.

    The side of an interval is one point. On those of a rectangle they are even, from corner to corner, or ``between`` these;
    on those of a box of more dimensions they are Sobol points with a scramble from the generator.
    """
    import torch

    dimension, found = len(bounds), []
    for axis, end in sides:
        others = [other for other in range(dimension) if other != axis]
        free = _on_side([bounds[other] for other in others], -(-count // len(sides)), generator, between)
        x = torch.empty(len(free), dimension, dtype=torch.float64)
        x[:, axis] = bounds[axis][end == "high"]
        x[:, others] = free
        found.append(x)
    return torch.cat(found)


def _on_side(bounds: Sequence[tuple[float, float]], count: int, generator: Generator, between: bool) -> Points:
    """Coordinates of points on one side, in its own axes."""
    import torch

    if not bounds:
        return torch.empty(1, 0, dtype=torch.float64)
    if len(bounds) == 1:
        even = torch.linspace(*bounds[0], max(2, count), dtype=torch.float64)
        return ((even[1:] + even[:-1]) / 2 if between else even).unsqueeze(1)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    unit = torch.quasirandom.SobolEngine(len(bounds), scramble=True, seed=seed).draw(max(2, count), dtype=torch.float64)
    low, high = (torch.tensor(ends, dtype=torch.float64) for ends in zip(*bounds, strict=True))
    return low + (high - low) * unit
