"""An equation at the nodes of a tensor grid, one row a node, and Newton's method for these rows.

The unknowns are the values of u at the nodes. A node inside has the row of the equation, and so has one on a side without
conditions, such as the last time; a node on a side that has some has the row of the condition. Where sides meet, the
condition that reads the lowest derivative counts, and of several the first. Where a side has a second condition, as the first
time of a wave, its rows stand in the place of the equation's on the side across.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harness.errors import BadInput
from harness.problems.equation import Bounds, Equation, Side
from harness.problems.rows import Jet, partials_by_autograd

STEPS, HALVINGS = 50, 20
"""Steps of Newton's method at most, and how often a step is halved that doesn't lower the rows."""
ANY = 0.7
"""A value of u and of its derivatives at which a nonlinear equation has other partial derivatives than at 0."""
Values = Float[Tensor, " nodes"]


class Coefficients(NamedTuple):
    """Derivatives of the rows in u, in each u_i and in each u_ii."""

    a: Values
    b: Float[Tensor, "nodes dimension"]
    c: Float[Tensor, "nodes dimension"]

    def near(self, others: Coefficients) -> bool:
        """Whether they are the same but for rounding."""
        return all(torch.allclose(one, other, rtol=1e-12, atol=0) for one, other in zip(self, others, strict=True))


class Linearised(NamedTuple):
    """The rows at some values, and their derivatives."""

    residual: Values
    coefficients: Coefficients


class State(NamedTuple):
    """Values at the nodes, and the rows there."""

    values: Values
    rows: Linearised

    def norm(self) -> float:
        """Of the rows."""
        return float(self.rows.residual.norm())


class Grid(abc.ABC):
    """A tensor grid with the same number of nodes along each axis, and derivatives at its nodes."""

    def __init__(self, along: Float[Tensor, " size"], bounds: Bounds) -> None:
        """``along`` are the nodes on [-1, 1], in rising order."""
        self.bounds, self.size, self.dimension = bounds, len(along), len(bounds)
        self.shape = (self.size,) * self.dimension
        axes = [(low + high) / 2 + (high - low) / 2 * along for low, high in bounds]
        for axis, (low, high) in zip(axes, bounds, strict=True):
            axis[0], axis[-1] = low, high
        self.scaled = torch.cartesian_prod(*[along] * self.dimension).view(-1, self.dimension)
        """The nodes on [-1, 1]."""
        self.points = torch.cartesian_prod(*axes).view(-1, self.dimension)

    @property
    @abc.abstractmethod
    def stencil(self) -> tuple[Int[Tensor, "size read"], Float[Tensor, "size read"], Float[Tensor, "size read"]]:
        """For each node of an axis: which nodes its derivatives read, and their factors in the first and in the second derivative
        on [-1, 1].
        """

    @abc.abstractmethod
    def solve(self, coefficients: Coefficients, at: Int[Tensor, " nodes"], right: Values) -> Values:
        """V with ``a v + b . (v_1, ..) + c . (v_11, ..) = right``, where row i has derivatives at the node ``at[i]``.

        Not finite where the system is singular.
        """

    def units(self, axis: int) -> float:
        """The factor from a first derivative on [-1, 1] to that in raw units."""
        low, high = self.bounds[axis]
        return 2 / (high - low)

    def derivative(self, values: Values, axis: int, order: int) -> Values:
        """The first or second derivative along an axis at the nodes, in raw units."""
        which, *factors = self.stencil
        read = values.view(self.shape).movedim(axis, -1)[..., which]
        found = (read * factors[order - 1]).sum(dim=-1) * self.units(axis) ** order
        return found.movedim(-1, axis).flatten()

    def jet(self, values: Values) -> Jet:
        """Values and derivatives at the nodes."""
        slopes, curvatures = (
            torch.stack([self.derivative(values, axis, order) for axis in range(self.dimension)], dim=1).unsqueeze(1)
            for order in (1, 2)
        )
        return Jet(values.unsqueeze(1), slopes, curvatures)

    def constant_jet(self, value: float) -> Jet:
        """One whose every part is this value."""
        every = torch.full((len(self.points), 1, self.dimension), value, dtype=torch.float64)
        return Jet(every[..., 0].clone(), every, every.clone())

    def entries(
        self, coefficients: Coefficients, at: Int[Tensor, " nodes"]
    ) -> tuple[Int[Tensor, "nodes entries"], Float[Tensor, "nodes entries"]]:
        """The matrix of :meth:`solve`: in each row columns and what stands there; of one column the sum counts."""
        which, first, second = self.stencil
        columns, found = [at.unsqueeze(1)], [coefficients.a.unsqueeze(1)]
        for axis in range(self.dimension):
            stride, units = self.size ** (self.dimension - 1 - axis), self.units(axis)
            place = at // stride % self.size
            columns.append(at.unsqueeze(1) + (which[place] - place.unsqueeze(1)) * stride)
            of_axis = [part[:, axis : axis + 1] for part in (coefficients.b, coefficients.c)]
            found.append(of_axis[0] * units * first[place] + of_axis[1] * units**2 * second[place])
        return torch.cat(columns, dim=1), torch.cat(found, dim=1)

    def side(self, side: Side) -> Int[Tensor, " _nodes"]:
        """The numbers of the nodes on a side."""
        axis, end = side
        numbers = torch.arange(len(self.points)).view(self.shape)
        return numbers.select(axis, self.size - 1 if end == "high" else 0).flatten()


class Part(NamedTuple):
    """The rows of an equation (None) or of one of its conditions: which they are, and at which nodes they hold."""

    condition: int | None
    rows: Int[Tensor, " _rows"]
    at: Int[Tensor, " _rows"]


def parts(equation: Equation, grid: Grid) -> list[Part]:
    """What each row of a grid is."""
    owner = torch.full((len(grid.points),), -1)
    at = torch.arange(len(grid.points))
    for index, side, across in sorted(_placed(equation, grid.dimension), key=lambda each: each[2] is not None):
        rows = grid.side(across or side)
        free = owner[rows] < 0
        owner[rows[free]] = index
        at[rows[free]] = grid.side(side)[free]
    found = [Part(None, *_of(owner, at, -1))]
    return found + [Part(index, *_of(owner, at, index)) for index in range(len(equation.conditions))]


def _of(owner: Tensor, at: Tensor, index: int) -> tuple[Tensor, Tensor]:
    rows = (owner == index).nonzero()[:, 0]
    return rows, at[rows]


def _placed(equation: Equation, dimension: int) -> Iterator[tuple[int, Side, Side | None]]:
    """Each condition on each of its sides, those of low order first; and the side across whose rows it takes, if it does."""
    taken: set[Side] = set()
    conditions = sorted(enumerate(equation.conditions), key=lambda each: each[1].order)
    all_of_them = {side for each in equation.conditions for side in each.on(dimension)}
    for index, condition in conditions:
        for side in condition.on(dimension):
            across: Side = (side[0], "low" if side[1] == "high" else "high")
            if side not in taken:
                taken.add(side)
                yield index, side, None
            elif across not in taken | all_of_them:
                taken.add(across)
                yield index, side, across
            else:
                raise BadInput(
                    f"equation {equation.formula!r} has more conditions on the side {side!r} than a classical solver has "
                    "rows for: two at most, and two only where nothing is given on the side across."
                )


def refuse_conditions_without_room(equation: Equation, dimension: int) -> None:
    """Raise BadInput for conditions that a grid has not enough rows for."""
    for _ in _placed(equation, dimension):
        pass


def at_some(jet: Jet, nodes: Int[Tensor, " _nodes"], order: int) -> Jet:
    """A jet up to ``order`` at some of the nodes."""
    slopes, curvatures = (
        None if part is None or order < k else part[nodes] for k, part in enumerate((jet.slopes, jet.curvatures), 1)
    )
    return Jet(jet.value[nodes], slopes, curvatures)


def look(equation: Equation, grid: Grid, rows_of: list[Part], jet: Jet) -> Linearised:
    """The rows where this is the jet at the nodes."""
    nodes, dimension = len(grid.points), grid.dimension
    residual, a = torch.zeros(2, nodes, dtype=torch.float64)
    b, c = torch.zeros(2, nodes, dimension, dtype=torch.float64)
    coefficients = Coefficients(a, b, c)
    for condition, rows, at in rows_of:
        x = grid.points[at]
        order = equation.order if condition is None else equation.conditions[condition].order
        there = at_some(jet, at, order)
        if condition is None and equation.partials is not None:
            residual[rows], found = equation.residual(x, there), equation.partials(x, there)
        else:
            function = equation.residual if condition is None else equation.conditions[condition].residual
            residual[rows], found = partials_by_autograd(function, x, there)
        for mine, theirs in zip(coefficients, found, strict=True):
            if theirs is not None:
                mine[rows] = theirs[:, 0]
    return Linearised(residual, coefficients)


@torch.no_grad()
def newton(equation: Equation, grid: Grid, coarser: Callable[[], Values]) -> tuple[Values, int]:
    """The values at which all rows are 0, and the systems that were solved: one where the equation is linear.

    Otherwise it goes on from what a coarser grid says, unless that is 0; and from u = 0 where this leads nowhere. Of two ends
    that are none the one with the lower rows is the answer, and its residual tells how good it is. Values that are not finite
    tell of a singular system.
    """
    system = System(equation, grid)
    zero = system.at(torch.zeros_like(grid.points[:, 0]))
    if zero.rows.coefficients.near(look(equation, grid, system.parts, grid.constant_jet(ANY)).coefficients):
        return system.step(zero), 1
    found, starts = [], [coarser(), zero.values]
    for start in starts if starts[0].any() else starts[1:]:
        end, converged = system.descend(system.at(start))
        if converged:
            return end.values, system.solved
        found.append(end)
    # The rows may be NaN at a start that the equation doesn't allow.
    return min(found, key=lambda end: math.inf if math.isnan(norm := end.norm()) else norm).values, system.solved


class System:
    """The rows of an equation on a grid, and Newton's steps for them."""

    def __init__(self, equation: Equation, grid: Grid) -> None:
        self.equation, self.grid = equation, grid
        self.solved = 0
        """Linear systems so far."""
        self.parts = parts(equation, grid)
        self._at = torch.arange(len(grid.points))
        for part in self.parts:
            self._at[part.rows] = part.at

    def at(self, values: Values) -> State:
        """The rows at values."""
        return State(values, look(self.equation, self.grid, self.parts, self.grid.jet(values)))

    def step(self, here: State) -> Values:
        """To where the rows would be 0 if they were linear."""
        self.solved += 1
        return self.grid.solve(here.rows.coefficients, self._at, -here.rows.residual)

    def descend(self, here: State) -> tuple[State, bool]:
        """Steps until one is too small to matter, and whether that came; a step that does not lower the rows is halved."""
        for _ in range(STEPS):
            step = self.step(here)
            if not step.isfinite().all():
                return here, False
            there = self.at(here.values + step)
            if step.norm() <= 1e-9 * there.values.norm():  # the error is the square of that
                return there, True
            for halved in range(1, HALVINGS):
                if there.norm() < here.norm():
                    break
                there = self.at(here.values + step / 2**halved)
            else:
                return here, False
            here = there
        return here, False
