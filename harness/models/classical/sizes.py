"""How fine a grid a classical solver may take, and how large a fit may get."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from harness.errors import BadInput
from harness.families import FAMILIES
from harness.machine import gib, memory
from harness.models import network
from harness.models.classical.collocation import refuse_conditions_without_room
from harness.models.classical.product import Product

if TYPE_CHECKING:
    from harness.config import FitConfig, SolverConfig
    from harness.problems import Problem

SHARE, CEILING = 0.5, 2**30
"""What a solve may take: this part of the available memory, and never more bytes than that. At the ceiling elimination takes
ten seconds, and a matrix that has no zeros 6,000 unknowns.
"""


def room() -> float:
    """Bytes that a solve may take."""
    return min(SHARE * memory(), CEILING)


def check(config: SolverConfig, problem: Problem) -> None:
    """Raise BadInput for a problem that a classical solver can't solve in this configuration."""
    fitting(cast(Product, network(config, problem.dimension)), config, problem)


def fitting(solver: Product, config: SolverConfig, problem: Problem) -> tuple[int, ...]:
    """The intervals along an axis, grid by grid: what the configuration names, else those of its own that fit.

    Raises BadInput for an equation whose conditions the grid has no room for, and where one that is named can't fit, or not
    even the coarsest of its own.
    """
    equation, limit = problem.equation, room()
    assert equation is not None
    refuse_conditions_without_room(equation, problem.dimension)
    found: list[int] = []
    for intervals in config.stages(problem.dimension):
        needed = solver.needs(equation, intervals, problem.bounds)
        if needed > limit and (config.named or not found):
            unknowns = (intervals + 1) ** problem.dimension
            raise BadInput(
                f"{config.ladder} = {intervals} can't be solved on problem {problem.name!r}: model {config.model!r} needs "
                f"{gib(needed)} of memory for its {unknowns:,} unknowns, and may take {gib(limit)}."
            )
        if needed > limit:
            break
        found.append(intervals)
    return tuple(found)


def check_fit(config: FitConfig, problem: Problem) -> None:
    """Raise BadInput for a problem that a classical fit can't take on, and for a size that it can't have."""
    network(config, *problem.shape)
    if problem.rows and FAMILIES.get(config.model).takes == "fits":
        raise BadInput(
            f"problem = {problem.name!r} has rows of its own, and model {config.model!r} fits values; take random_features or a "
            "network."
        )
    limit = room()
    for value in config.named or ():
        _check_named(config.model_copy(update={config.ladder: (value,)}), problem, limit)
    if not config.sizes(problem.dimension, limit):
        raise BadInput(f"n_train = {config.n_train} {_too_few(config, problem)}")


def _check_named(config: FitConfig, problem: Problem, limit: float) -> None:
    """One size that the user names, which may be had in several ways: one of them has to be possible."""
    (value,) = config.named or ()
    planned = sorted(config.planned(problem.dimension), key=lambda size: size.unknowns)
    if not planned:
        raise BadInput(f"{config.ladder} = {value} {_too_few(config, problem)}")
    if not config.sizes(problem.dimension, limit):
        smallest = planned[0]
        what = f"{config.ladder} = {value} can't be fitted on problem {problem.name!r}: {smallest.name}"
        if smallest.unknowns > config.n_train and not config.more_than_points:
            raise BadInput(
                f"{what} has {smallest.unknowns:,} unknowns, and there are {config.n_train:,} training points."
            )
        needed = config.bytes_of(smallest.unknowns, problem.dimension)
        raise BadInput(f"{what} needs {gib(needed)} of memory, and may take {gib(limit)}.")


def _too_few(config: FitConfig, problem: Problem) -> str:
    return (
        f"is too few for model {config.model!r} as it is set on the {problem.dimension} inputs of problem {problem.name!r}: its "
        "polynomial alone has more than half as many coefficients."
    )
