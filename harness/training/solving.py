"""The plans of families that solve for their unknowns, one size after the other, and train nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import NamedTuple, TypeVar, cast

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from harness import problems
from harness.config import FitConfig, Size, SolverConfig
from harness.data import scale2
from harness.methods import Objective, Step
from harness.models.classical.expansion import Expansion, LeastSquares
from harness.models.classical.least_squares import Part, gauss_newton
from harness.models.classical.product import Product
from harness.models.classical.sizes import fitting, room
from harness.models.regressor import CHUNK
from harness.seeds import generator
from harness.training.events import CutShort, Event
from harness.training.loop import Training

RESOLVED = 1e-4
"""A residual at the held-out points, in units of the mean square of the forcing, from which a grid shows the solution."""
SHOWN = 0.1
"""The same of a fit: a validation error, in units of the variance of the target."""
ABSURD = 1e4
"""A training error, in units of the variance of the target, that no size which is solved can have; the function 0 has 1."""
LOOK = 1000
"""Training points that this is looked at. It counts in the seconds, and takes more of them than the fit of a small size."""
OF_EQUATION = 10.0
"""By how much the seconds are more where an equation is solved, in which a network, too, takes so much longer than in a fit."""
T = TypeVar("T")


class Rung(NamedTuple):
    """One size of a method that solves for its unknowns, as a stage of one epoch."""

    name: str
    prepare: Callable[[], None] | None
    solve: Callable[[Objective], int]
    """Gives the systems that were solved."""


Rungs = Generator[Rung, float, None]
"""Sizes, each answered by its validation error."""


def coarse_to_fine(training: Training) -> Iterator[Event]:
    """A classical solver of equations on one grid after the other."""
    yield from _climb(training, _grids(training))


def size_by_size(training: Training) -> Iterator[Event]:
    """A classical fit in one size after the other, as long as the seconds for that are not over."""
    seconds = cast(FitConfig, training.config).seconds
    yield from _climb(training, _sizes(training), OF_EQUATION * seconds if training.data.declared else seconds)


def _climb(training: Training, rungs: Rungs, seconds: float = math.inf) -> Iterator[Event]:
    """One size after the other, each an epoch of its own.

    It ends once ``patience`` sizes have not lowered the error at the held-out points, and the one with the least is taken. That
    counts only when the least is below ``RESOLVED`` or ``SHOWN``: in sizes that are too coarse for the solution the error goes up
    and down, and tells nothing of the next one. ``seconds`` are of the processor, so that other processes decide nothing.
    """
    enough = RESOLVED if training.data.at_held_out else SHOWN * scale2(training.data.val.y)
    least, in_vain, spent = math.inf, 0, 0.0

    def make(solve: Callable[[Objective], int], objective: Objective) -> Step:
        def step() -> float:
            nonlocal spent
            started = time.process_time()
            with threadpool_limits(torch.get_num_threads()):  # numpy and scipy know nothing of torch's
                training.evals += solve(objective)
            spent += time.process_time() - started
            return 0.0  # it goes down no gradient

        return step

    rung = next(rungs, None)
    while rung is not None and training.epoch < training.config.epochs and in_vain != training.config.patience:
        if spent >= seconds:
            yield CutShort(seconds, training.epoch)
            break
        yield from training.stage(rung.name, 1, prepare=rung.prepare, make=partial(make, rung.solve))
        yield training.kept()
        if training.val_error < least:
            least, in_vain = training.val_error, 0
        elif least < enough:
            in_vain += 1
        rung = _answered(rungs, training.val_error)


def _answered(ladder: Generator[T, float, None], error: float) -> T | None:
    """What it gives next when it is told the validation error of what it gave; None at its end."""
    try:
        return ladder.send(error)
    except StopIteration:
        return None


def _grids(training: Training) -> Rungs:
    config, network = cast(SolverConfig, training.config), cast(Product, training.model.network)
    problem = problems.of(config)
    equation = problem.equation
    assert equation is not None
    for intervals in fitting(network, config, problem):
        solve = partial(network.solve, equation, intervals, problem.bounds)
        yield Rung(f"{network.what}_{intervals}", None, lambda objective, solve=solve: solve())  # type: ignore[misc]  # bound now


def _sizes(training: Training) -> Rungs:
    config, network = cast(FitConfig, training.config), cast(Expansion, training.model.network)
    sizes = network.sizes(config, config.sizes(training.inputs.shape[1], room()))
    rung_of = _of_rows(training) if training.data.declared else _of_values(training)
    size = next(sizes, None)
    while size is not None:
        error = yield rung_of(size)
        size = _answered(sizes, error)


def _of_values(training: Training) -> Callable[[Size], Rung]:
    """Each size by the family's own method. One whose system is too near to a singular one for an answer is the function 0."""
    network, model, y = cast(Expansion, training.model.network), training.model, training.data.train.y
    # Some methods take the first points only, and the rows of a file are sorted.
    order = torch.randperm(len(y), generator=generator(training.config.seed, "classical/points")).to(y.device)
    x, y = training.inputs[order], ((y - model.mean) / model.std)[order]

    @torch.no_grad()
    def solve(size: Size) -> int:
        network.fit(size, x, y)
        if not (network(x[:LOOK]) - y[:LOOK]).square().mean().item() < ABSURD:
            network.set(torch.zeros_like(network.coefficients))
        return 1

    return lambda size: Rung(size.name, None, lambda objective: solve(size))


def _of_rows(training: Training) -> Callable[[Size], Rung]:
    """Each size by the steps of Gauss and Newton, for the rows of an equation or of any other objective."""
    network, linear = cast(LeastSquares, training.model.network), False

    def read() -> Tensor:
        return network.coefficients.detach().clone()

    def write(values: Tensor) -> None:
        network.coefficients.detach().copy_(values)

    @torch.no_grad()
    def solve(objective: Objective) -> int:
        nonlocal linear

        def jacobian() -> Iterator[Part]:
            right = -objective.attempt()[0].cpu().unsqueeze(1)
            for start in range(0, objective.rows, CHUNK):
                rows = slice(start, min(start + CHUNK, objective.rows))
                yield Part(objective.jacobian(rows.start, rows.stop).cpu(), right[rows])

        solved, linear = gauss_newton(lambda: objective.attempt()[0], jacobian, read, write, linear, network.rank)
        return solved

    return lambda size: Rung(size.name, partial(network.grow, size), solve)
