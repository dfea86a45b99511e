"""The training plan of each network: which stages it goes through, to be read top to bottom. Those of families that train nothing
are in :mod:`harness.training.solving`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import cast

from torch import Tensor

from harness.config import EdgesConfig, Pruning
from harness.models.edges import EdgeNetwork, Penalised
from harness.models.interface import Outputs
from harness.training.events import Event, Pruned
from harness.training.loop import Training, hold
from harness.training.pruning import prune, single_cuts


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
    # Finer grids get the epochs that they have in the unpruned twin, where that shares them evenly.
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
    masks = training.on_the_clock(partial(prune, network, training.inputs, config.node_th, config.edge_th))
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
        masks = training.on_the_clock(partial(next, candidates, None))
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
    """Go over to a finer grid, and adapt it to the activations. What lies outside of the coarse one, the finer one loses: to
    adapt first would keep it, at the price of a coarse fit of what lies inside.
    """
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
