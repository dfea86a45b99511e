"""What the rules need to know of a problem: its inputs and outputs, and what its errors are put in relation to."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from harness.errors import BadInput
from harness.protocol import FLOOR, RESIDUAL_FLOOR
from reports.reading.cells import Cell

KINDS = ("formula", "table", "picture", "equation")


@dataclass(frozen=True)
class Target:
    """A problem as the rules see it."""

    name: str
    dimension: int
    scale2: float
    """Variance of the target on the dense grid, or its mean square if it is constant; squared units of the target."""
    smooth: bool
    formula: str
    sections: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: str = "formula"
    """Or ``table``, the rows of a file; ``picture``, the pixels of one; ``equation``, whose solution is the target."""
    floor_nmse: float = math.nan
    """Of the rows of a file: the least NMSE that is to be expected, by rows of equal inputs; NaN where there are none."""

    @property
    def floor(self) -> float:
        """What is added to both of two errors before they are compared, in squared units of the target."""
        return FLOOR * self.scale2

    @property
    def objective_floor(self) -> float:
        """The same for what a training lowers: of an equation a residual, in units of the mean square of its forcing."""
        return RESIDUAL_FLOOR if self.is_equation else self.floor

    @property
    def is_equation(self) -> bool:
        """Whether it is solved, and not fitted: its target is the solution u, which no training reads."""
        return self.kind == "equation"

    @property
    def lettered(self) -> str:
        """Its formula, behind the letter of its unknown where it is solved."""
        return f"{self.outputs[0]} = {self.formula}" if self.is_equation else self.formula

    @property
    def of_rows(self) -> bool:
        """Whether it is known by the rows of a file."""
        return self.kind in ("table", "picture")

    @property
    def resolution(self) -> float:
        """The difference of two NMSE that is none when models are held against each other.

        1e-8 of a fit. Of an equation 1e-12, which is 1e-6 in relative L2: 1e-4 would hide most of what second-order training
        reaches.
        """
        return RESIDUAL_FLOOR if self.is_equation else FLOOR

    @property
    def on_grid(self) -> bool:
        """Whether its errors are read on a grid in one or two dimensions, which pictures can show whole."""
        return not self.of_rows and self.dimension <= 2


def target(cell: Cell) -> Target | None:
    """The problem of a cell as its run, or another run of it, has recorded it, else as this process declares it.

    None when neither says anything of it.
    """
    return _recorded(cell.problem, cell.facts) or _declared(cell.problem)


def target_of(cells: Iterable[Cell]) -> Target | None:
    """The problem of cells that are all about one."""
    return next((known for cell in cells if (known := target(cell)) is not None), None)


@cache
def _recorded(name: str, facts: str) -> Target | None:
    """From the tag ``problem.facts``; None where there is none, or it is of another form."""
    try:
        known = json.loads(facts)
        dimension, smooth = known["dimension"], known["smooth"]
        if type(dimension) is not int or not isinstance(smooth, bool):
            return None
        found = Target(
            name,
            dimension,
            float(known["scale2"]),
            smooth,
            str(known["formula"]),
            tuple(map(str, known["sections"])),
            tuple(map(str, known.get("inputs", "xy"[:dimension]))),
            tuple(map(str, known.get("outputs", "f"))),
            str(known.get("kind", "formula")),
            math.nan if known.get("floor") is None else float(known["floor"]),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    counted = dimension == len(found.inputs) > 0 < len(found.outputs)
    return found if counted and found.kind in KINDS and 0 < found.scale2 < math.inf else None


@cache
def _declared(name: str) -> Target | None:
    from harness import problems  # late: whoever only lists the criteria needs no torch
    from harness.data import dense_points, scale2

    try:
        problem = problems.get(name)
        values = problem.values(dense_points(problem))
    except BadInput:
        return None
    return Target(
        name,
        problem.dimension,
        scale2(values),
        problem.smooth,
        problem.formula,
        problem.sections,
        problem.inputs,
        problem.outputs,
        problem.kind,
    )


def in_order(names: set[str]) -> list[str]:
    """Names of problems in the order of their declaration, unknown ones last."""
    from harness import problems  # late: whoever only lists the criteria needs no torch

    known = problems.PROBLEMS.names()
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))
