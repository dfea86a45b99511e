"""The training plan of each family: which stages it goes through, to be read top to bottom."""

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
from harness.config import EdgesConfig, FitConfig, Pruning, Size, SolverConfig
from harness.data import scale2
from harness.methods import Objective, Step
from harness.models.classical.expansion import Expansion, LeastSquares
from harness.models.classical.least_squares import Part, gauss_newton
from harness.models.classical.product import Product
from harness.models.classical.sizes import fitting, room
from harness.models.edges import EdgeNetwork, Penalised
from harness.models.interface import Outputs
from harness.models.regressor import CHUNK
from harness.seeds import generator
from harness.training.events import CutShort, Event, Pruned
from harness.training.loop import Training, hold
from harness.training.pruning import prune, single_cuts

RESOLVED = 1e-4
"""A residual at the held-out points, in units of the mean square of the forcing, from which a grid shows the solution."""
SHOWN = 0.1
"""The same of a fit: a validation error, in units of the variance of the target."""
ABSURD = 1e4
"""A training error, in units of the variance of the target, that no size which is solved can have; the function 0 has 1."""
LOOK = 1000
"""Training points that this is looked at, which costs less than any fit."""
T = TypeVar("T")


def single_stage(training: Training) -> Iterator[Event]:
    """The whole budget in one stage."""
    yield from training.stage("train", training.config.epochs)


def grid_stages(training: Training) -> Iterator[Event]:
    """A KAN on grids of increasing fineness, or degrees, within the budget (Liu et al. 2024, section 2.4); a basis that is as
    fine as it is has one of them.

    A grid that is finished is kept when a later one fails (seed document, Problem 3).
    """
    config = cast(EdgesConfig, training.config)
    for grid, epochs in shares(config.rungs(), config.epochs, config.epochs_of_a_rung()):
        yield from training.stage(
            f"grid_{grid}", epochs, prepare=_refine(training, grid), adapt=_update_grid(training, grid)
        )
        yield training.kept()


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
    yield from _climb(training, _sizes(training), cast(FitConfig, training.config).seconds)


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
            right = -objective.residuals()[0].cpu().unsqueeze(1)
            for start in range(0, objective.rows, CHUNK):
                rows = slice(start, min(start + CHUNK, objective.rows))
                yield Part(objective.jacobian(rows.start, rows.stop).cpu(), right[rows])

        solved, linear = gauss_newton(lambda: objective.attempt()[0], jacobian, read, write, linear)
        return solved

    return lambda size: Rung(size.name, partial(network.grow, size), solve)


def sparsify_prune_retrain(training: Training) -> Iterator[Event]:
    """The paper's three stages (Liu et al. 2024, section 2.5.1; seed document, Problem 2), within the budget.

    Epochs before the cut go to the grids as in :func:`grid_stages`, the last of them with the sparsity penalty; the cut
    is an epoch by itself; the rest retrains what is left, without a penalty, on the same grid and then on
    ``retrain_grids``. After a cut no grid is adapted to activations again. The network before the cut is kept when the cut or
    the retraining after it fails (seed document, Problem 3), and so is each grid that is finished.
    """
    config = cast(Pruning, training.config)
    network, at_inputs = cast(EdgeNetwork, training.model.network), cast(Penalised, training.at_inputs)

    def penalised() -> tuple[Outputs, Tensor]:
        outputs, penalty = at_inputs.penalised(config.lamb_entropy)
        return training.model.raw(outputs), config.lamb * penalty

    # The cut takes an epoch, a brief retraining another, and the last retraining at least one.
    least = 2 if config.prune_mode == "threshold" else 3
    before = min(max(1, round(config.epochs * config.sparsify_fraction)), config.epochs - least)
    *coarse, (finest, epochs) = shares(config.rungs(), before, config.epochs_of_a_rung())
    for grid, coarse_epochs in coarse:
        yield from training.stage(
            f"grid_{grid}", coarse_epochs, prepare=_refine(training, grid), adapt=_update_grid(training, grid)
        )
        yield training.kept()
    yield from training.stage(
        "sparsify",
        epochs,
        prepare=_refine(training, finest),
        adapt=_update_grid(training, finest),
        penalised=penalised,
        last_word=False,
    )
    yield training.kept()
    params_before, mse_before = network.active_parameters(), training.dense_mse()
    cut = _cut_at_once if config.prune_mode == "threshold" else _cut_greedily
    mse_after_cut = yield from cut(training)
    yield Pruned(params_before, network.active_parameters(), mse_before, mse_after_cut)
    # Finer grids get the epochs that they have in the unpruned twin.
    left, finer = config.epochs - training.epoch, shares(config.stages(), config.epochs, None)
    finer = finer[len(config.rungs()) :]
    if sum(epochs for _, epochs in finer) >= left:
        finer = shares((finest, *config.retrain_grids), left, None)[1:]
    training.forget_best()
    yield from training.stage("retrain", left - sum(epochs for _, epochs in finer))
    yield training.kept()
    for grid, epochs in finer:
        yield from training.stage(f"retrain_{grid}", epochs, prepare=partial(network.refine, grid))
        yield training.kept()


def _cut_at_once(training: Training) -> Generator[Event, None, float]:
    """Everything below the thresholds goes, in one epoch. Returns the dense MSE after it."""
    config, network = cast(Pruning, training.config), cast(EdgeNetwork, training.model.network)
    masks = prune(network, training.inputs, config.node_th, config.edge_th)
    yield from training.stage("prune", 1, prepare=partial(network.set_masks, masks), make=hold)
    return training.dense_mse()


def _cut_greedily(training: Training) -> Generator[Event, None, float]:
    """The least important node goes, or edge where no node can; the network is retrained briefly, and judged.

    A cut that the validation error does not bear is taken back, and the next candidate is tried. It ends when enough is
    gone, when no candidate is left, or when half of the epochs after the sparsifying are: the rest is for retraining.
    Returns the dense MSE after the last cut that was kept, before any retraining of it.
    """
    config, network = cast(Pruning, training.config), cast(EdgeNetwork, training.model.network)
    floor = training.floor
    allowed = config.tolerance * (training.val_error + floor) - floor
    params_before, mse_after_cut = network.active_parameters(), training.dense_mse()
    last = (training.epoch + config.epochs) // 2
    candidates, state = single_cuts(network, training.inputs), training.last_finite
    while network.active_parameters() > (1 - config.reduction) * params_before + 0.5:
        masks = next(candidates, None)
        brief = min(config.retrain_briefly, config.epochs - training.epoch - 2)
        if masks is None or brief < 1 or training.epoch >= last:
            break
        yield from training.stage("prune", 1, prepare=partial(network.set_masks, masks), make=hold)
        mse = training.dense_mse()
        yield from training.stage("retrain", brief)
        if training.val_error <= allowed:
            mse_after_cut, candidates, state = mse, single_cuts(network, training.inputs), training.last_finite
        else:
            training.model.load_state_dict(state)
    return mse_after_cut


def shares(grids: tuple[int, ...], epochs: int, steps_per_grid: int | None) -> list[tuple[int, int]]:
    """``(grid, epochs)`` of each grid stage that the budget reaches; their epochs add up to the budget.

    With ``steps_per_grid`` each grid takes so many and the last one that is reached takes what is left; otherwise all
    get equal shares, the coarsest of them the remainder. A budget of fewer epochs than grids reaches only so many.
    """
    if steps_per_grid is None:
        share, rest = divmod(epochs, len(grids))
        return [(grid, share + (index < rest)) for index, grid in enumerate(grids) if share + (index < rest)]
    reached = grids[: max(1, -(-epochs // steps_per_grid))]
    return [(grid, steps_per_grid) for grid in reached[:-1]] + [
        (reached[-1], epochs - steps_per_grid * (len(reached) - 1))
    ]


def _refine(training: Training, grid: int) -> Callable[[], None]:
    """Go over to a finer grid; the hidden activations are brought inside of it first, or refining would lose them."""
    network = cast(EdgeNetwork, training.model.network)

    def prepare() -> None:
        if network.grid != grid:
            network.refine(grid)
            network.update_grid(training.inputs)

    return prepare


def _update_grid(training: Training, grid: int) -> Callable[[int], bool]:
    """Adapt the grid where the configuration says so."""
    config, network = cast(EdgesConfig, training.config), cast(EdgeNetwork, training.model.network)

    def adapt(number: int) -> bool:
        due = config.adapts(grid, number)
        if due:
            network.update_grid(training.inputs)
        return due

    return adapt
