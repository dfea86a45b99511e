"""The problem: its declaration, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from harness.errors import BadInput
from harness.registry import Registry, check_name

Points = Float[Tensor, "points dimension"]
Values = Float[Tensor, "points 1"]


@dataclass(frozen=True)
class Problem:
    """A scalar function to learn on ``[low, high]^dimension``.

    ``target`` is what the models fit: for a Poisson problem the *forcing* f of ``sign * laplacian(u) = f``, as in the
    original benchmark; ``solution`` is the exact u of that equation, where there is one. ``gradient`` is that of the
    target, almost everywhere (its jumps carry no weight in the H1 norm). All three are in raw units and must accept
    any floating dtype.
    """

    name: str
    dimension: int
    target: Callable[[Points], Values]
    gradient: Callable[[Points], Points]
    formula: str
    sections: tuple[str, ...]
    citation: str
    low: float = -1.0
    high: float = 1.0
    solution: Callable[[Points], Values] | None = None
    solution_formula: str = ""
    sign: int = -1
    """Sign of the Laplacian in ``sign * laplacian(u) = target``; of no meaning without a ``solution``."""
    smooth: bool = True
    """False for jumps and for frequencies that the original calls high: criterion B1 leaves these out."""

    def __post_init__(self) -> None:
        check_name("problem", self.name)
        for section in self.sections:
            check_name("section", section)
        if self.dimension not in (1, 2):
            raise BadInput(
                f"problem {self.name!r} has dimension = {self.dimension}; "
                "allowed: 1, 2 (the dense grid and the figures are made for these)."
            )
        if not self.low < self.high:
            raise BadInput(
                f"problem {self.name!r} has the domain [{self.low}, {self.high}]; low must be less than high."
            )
        if not self.sections:
            raise BadInput(
                f"problem {self.name!r} belongs to no section; name one, which becomes its default experiment."
            )


PROBLEMS: Registry[Problem] = Registry("problem", "harness.problems")


def register(problem: Problem) -> Problem:
    """Make a problem known under its name. Raises BadInput when the name is taken."""
    return PROBLEMS.register(problem.name, problem)


def get(name: str) -> Problem:
    """The problem of that name. Raises BadInput, with the nearest known name, when there is none."""
    return PROBLEMS.get(name)
