"""What the rules need to know of a problem: its dimension, and what its errors are put in relation to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from harness import problems
from harness.data import dense_points, scale2
from harness.errors import BadInput
from reports.verdicts import FLOOR


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

    @property
    def floor(self) -> float:
        """What is added to both of two errors before they are compared, in squared units of the target."""
        return FLOOR * self.scale2


@cache
def target(name: str) -> Target | None:
    """The problem of that name; None when this process does not know it, as that of a plug-in that was not named."""
    try:
        problem = problems.get(name)
        values = problem.values(dense_points(problem))
    except BadInput:
        return None
    return Target(name, problem.dimension, scale2(values), problem.smooth, problem.formula, problem.sections)


def in_order(names: set[str]) -> list[str]:
    """Names of problems in the order of their declaration, unknown ones last."""
    known = problems.PROBLEMS.names()
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))
