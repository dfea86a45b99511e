"""The training loop: one loop for all families, which yields what happens and hides nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from harness import methods
from harness.config import RunConfig
from harness.data import Data, scale2, scales2
from harness.families import FAMILIES, resolve
from harness.methods import METHODS, Step
from harness.methods.vectors import gradient_norm, norm
from harness.models import Regressor, interface, jets
from harness.models.interface import Inputs, Outputs
from harness.models.regressor import CHUNK
from harness.problems.rows import Jet
from harness.protocol import FLOOR, RESIDUAL_FLOOR
from harness.seeds import generator
from harness.training.events import Diverged, Epoch, Event, Kept, NonFinite, StageStarted, Taken
from harness.training.rows import POOL, Block, Declared, Fit, Objective, at_held_out, declared

Answer = TypeVar("Answer")

EXPLOSION = 1e6
"""A training MSE of this many times the larger of its first value and the mean square of the targets counts as infinite. For
an equation the same of its objective and the mean square of the forcing, which is its unit."""


def train(model: Regressor, data: Data, config: RunConfig) -> Iterator[Event]:
    """Train ``model`` in place by the plan of its family, and yield each event as it happens.

    Stopping is the caller's: it stops iterating. When a number turns out not to be finite, that is yielded as NonFinite,
    the model is put back into its last finite state, and Diverged is the last event. An exception of the model passes
    through. Raises BadInput at once, before any event, for a network that the optimizer has no memory for, and for declared
    rows whose residual is no number a point.
    """
    most = max(interface.parameters(model.network), config.parameters(*data.shape))
    config.method.check_size(most, data.rows, data.train.y.element_size())
    if METHODS.get(config.optimizer).reads_jacobian or any(rows.order for rows in data.declared):
        jets.load_what_it_takes(model.network, None if data.declared else model.scaled(data.train.x[:1]))
    for block in declared(model, data):
        block.check()
    return _events(model, data, config)


def _events(model: Regressor, data: Data, config: RunConfig) -> Iterator[Event]:
    training = Training(model, data, config)
    try:
        yield from resolve(FAMILIES.get(config.model).plan)(training)
        yield from training.take_best()
    except _NotFinite as found:
        model.load_state_dict(training.last_finite)
        yield found.event
        beyond = ", which exceeds 10^6 times its start," if found.event.exceeds else ""
        yield Diverged(
            f"The {found.event.what} became {found.event.value:.3g}{beyond} at epoch {found.event.epoch} "
            f"(stage {found.event.stage}, evaluation {found.event.evaluation})."
        )


class _NotFinite(Exception):
    """Leaves the plan from wherever a non-finite number was found."""

    def __init__(self, event: NonFinite) -> None:
        super().__init__(event.what)
        self.event = event


class _Best(NamedTuple):
    """The epoch with the least validation error so far."""

    val_error: float
    val_mse: float
    epoch: int
    state: dict[str, Tensor]


class _Errors(NamedTuple):
    """What a training may know of itself: errors of a fit, residuals of an equation, of which u is not known inside."""

    train: float
    val: float
    of_equation: dict[str, float]
    """By metric name; nothing for a fit."""


class Training:
    """The state of one training, which a plan leads through its stages."""

    def __init__(self, model: Regressor, data: Data, config: RunConfig) -> None:
        self.model = model
        self.data = data
        self.config = config
        self.epoch = 0
        self.evals = 0
        self.train_s = 0.0
        self.val_error = math.nan
        """What a plan may base its decisions on: the MSE on the validation points after the last epoch, where each of several
        outputs counts in units of its own scale; for an equation the objective at the held-out points."""
        self._order = generator(config.seed, "batches")
        self._draw = generator(config.seed, "resample")
        self._val_weights = _of_equal_weight(data.val.y)
        self._best: _Best | None = None
        self._held_out = at_held_out(model, data)
        self.inputs: Inputs = model.scaled(torch.cat(data.at_declared) if self._held_out else data.train.x)
        """The training inputs as the network sees them; those of an equation lie inside and on the sides."""
        self.last_finite = self._snapshot()
        self._stage = -1
        self._stage_name = ""
        self._last_train_error = self._last_val_mse = math.nan
        self._grad_norm = math.nan
        self._extra: dict[str, float] = {}
        self._samples = (data.train, data.val, data.test)
        self.at_inputs = interface.at(model.network, self.inputs)
        """The network at them, for many evaluations."""
        self._points = _at_all(model, torch.cat([sample.x for sample in self._samples]))
        self._bound = math.inf
        fit = Fit(model, data.train, self.inputs, self.at_inputs)
        self._blocks: list[Block] = [*declared(model, data)] or [fit]

    def stage(
        self,
        name: str,
        epochs: int,
        *,
        prepare: Callable[[], None] | None = None,
        adapt: Callable[[int], bool] | None = None,
        penalised: Callable[[], tuple[Outputs, Tensor]] | None = None,
        make: Callable[[methods.Objective], Step] | None = None,
        last_word: bool = True,
    ) -> Iterator[Event]:
        """Train for ``epochs`` epochs with a new optimizer, and yield an event for each.

        With the run's ``patience`` a stage ends once so many epochs have not lowered its validation error. Unless
        ``last_word`` is False, its best epoch may be the one that is taken at the end (:meth:`take_best`).

        ``prepare`` changes the model before the first epoch. ``adapt`` is asked before each later epoch, with its 0-based
        number in the stage, and says whether it changed the parameters, which then get a new optimizer. ``penalised``
        gives the predictions at the training points together with a penalty, which is added to the objective.
        ``make`` gives the step of an epoch; it is the configured optimizer's unless given, and one of its own has no rate.
        """
        self._stage += 1
        self._stage_name = name
        yield StageStarted(self._stage, name)
        if self._stage == 0:
            self._look_at_start()
        take_step: Step | None = None
        method = METHODS.get(self.config.optimizer)
        least, at = math.inf, self.epoch
        for number in range(epochs):
            self.epoch += 1
            started = time.perf_counter()
            if number == 0 and prepare is not None:
                prepare()
            if take_step is None or (adapt is not None and adapt(number)):
                objective = self._objective(penalised)
                take_step = make(objective) if make else method.make(objective, self.config.method, self._rate)
                self._extra = objective.extra
            if make is None and self._is_to_redraw():
                self._redraw(objective)
            self._grad_norm = take_step()
            self.train_s += time.perf_counter() - started
            yield self._epoch_done(None if make else self._rate())
            if not self.config.takes_best:
                continue
            if self.val_error < least:
                least, at = self.val_error, self.epoch
                if last_word and (self._best is None or least < self._best.val_error):
                    self._best = _Best(least, self._last_val_mse, self.epoch, self.last_finite)
            elif self.config.patience is not None and self.epoch - at >= self.config.patience:
                break

    def on_the_clock(self, work: Callable[[], Answer]) -> Answer:
        """The answer of a plan's own work between two stages, such as choosing a cut; its time is that of the training."""
        started = time.perf_counter()
        answer = work()
        self.train_s += time.perf_counter() - started
        return answer

    def forget_best(self) -> None:
        """What was best so far is no longer what is trained, since the network was cut."""
        self._best = None

    def take_best(self) -> Iterator[Event]:
        """Go back to the epoch with the least validation error, where the run takes that one."""
        if self._best is not None:
            self.model.load_state_dict(self._best.state)
            residual = self._best.val_error if self._held_out else None
            yield Taken(self._best.epoch, self._best.val_mse, self.epoch, self._best.state, residual)

    def kept(self) -> Kept:
        """The event that the model is worth keeping as it is now, a stage being over."""
        return Kept(self._stage_name, self.epoch, self.last_finite)

    @torch.no_grad()
    def dense_mse(self) -> float:
        """MSE on the dense grid, off the clock."""
        return mse(self.model, self.data.dense.x, self.data.dense.y).item()

    def _objective(self, penalised: Callable[[], tuple[Outputs, Tensor]] | None) -> Objective:
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        objective = Objective(self._blocks, trained, partial(self._check, trained), self._count, self._order)
        if penalised is not None:
            objective.penalised = partial(self._penalised, penalised)
        return objective

    def _penalised(self, penalised: Callable[[], tuple[Outputs, Tensor]]) -> tuple[Jet, Tensor]:
        """A fit has its predictions from the pass that gives the penalty; other rows have points of their own."""
        predictions, penalty = penalised()
        first = self._blocks[0]
        return (Jet(predictions) if isinstance(first, Fit) else first.look()), penalty

    def _is_to_redraw(self) -> bool:
        """Whether the points inside are due for another draw before this epoch."""
        every = self.config.resample
        return every > 0 and self.epoch > 1 and (self.epoch - 1) % every == 0

    def _redraw(self, objective: Objective) -> None:
        """Of an equation: the points inside go to where its residual is large; those on the sides and held-out ones stay."""
        inside = self._blocks[0]
        assert isinstance(inside, Declared)
        self._blocks[0] = inside.where_it_fails(self._draw)
        self.evals += POOL
        objective.redraw(self._blocks[0])

    def _count(self) -> None:
        self.evals += 1

    def _rate(self) -> float | None:
        return self.config.method.rate(self.epoch, self.config.epochs)

    def _check(self, parameters: list[torch.nn.Parameter], value: float) -> None:
        """Raise _NotFinite where the objective, its gradient or the parameters are not finite.

        A mean of squares is finite only when every prediction is, so a finite loss means finite predictions.
        """
        norms = (value, gradient_norm(parameters), norm(parameters))
        if not all(map(math.isfinite, norms)):
            self._grad_norm = norms[1]
            raise _NotFinite(self._first_non_finite(value))

    @property
    def at_declared(self) -> list[Tensor]:
        """The points of declared rows as they are now; those inside may have been drawn anew."""
        return [block.x for block in self._blocks if isinstance(block, Declared)]

    @property
    def floor(self) -> float:
        """The part of an error, in units of :attr:`val_error`, below which a difference is numerical noise."""
        return RESIDUAL_FLOOR if self._held_out else FLOOR * scale2(self.data.val.y)

    @torch.no_grad()
    def _epoch_done(self, lr: float | None) -> Epoch:
        squares = (self._points() - torch.cat([sample.y for sample in self._samples])).square()
        parts = squares.split([len(sample.y) for sample in self._samples])
        mses = [part.mean().item() for part in parts]
        found = self._errors(mses, parts[1])
        # Of an equation u is for reading only: what it may be inside, the training does not know.
        for number in (found.train + found.val, *([] if self._held_out else [sum(mses)])):
            if not math.isfinite(number):
                raise _NotFinite(self._first_non_finite(number))
        if found.train > self._bound:
            raise _NotFinite(self._non_finite("loss", found.train))
        self._last_train_error, self.val_error, self._last_val_mse = found.train, found.val, mses[1]
        self.last_finite = self._snapshot()
        return Epoch(
            self.epoch,
            self._stage,
            mses[0],
            mses[1],
            mses[2],
            self._grad_norm,
            lr,
            self.train_s,
            self.evals,
            self.last_finite,
            {**self._extra, **found.of_equation, **interface.measures(self.model.network)},
        )

    def _errors(self, mses: list[float], val_squares: Tensor) -> _Errors:
        if self._held_out:
            inside, sides = _inside_and_sides(self._blocks)
            train, val = inside + sides, sum(_inside_and_sides(self._held_out))
            return _Errors(train, val, {"train/residual": train, "val/residual": val, "train/boundary": sides})
        val = mses[1] if self._val_weights is None else (val_squares.mean(dim=0) @ self._val_weights).item()
        return _Errors(mses[0], val, {})

    @torch.no_grad()
    def _first_non_finite(self, loss: float) -> NonFinite:
        """The first in the chain parameter -> prediction -> loss -> gradient that is not finite."""
        for what, tensors in (("parameter", list(self.model.parameters())), ("prediction", [self._points()])):
            for tensor in tensors:
                bad = tensor[~tensor.isfinite()]
                if len(bad):
                    return self._non_finite(what, bad[0].item())
        if not math.isfinite(loss):
            return self._non_finite("loss", loss)
        return self._non_finite("gradient", self._grad_norm)

    def _non_finite(self, what: str, value: float) -> NonFinite:
        return NonFinite(
            self.epoch,
            self._stage_name,
            self.evals,
            what,
            value,
            self._rate(),
            self._grad_norm,
            self._last_train_error,
        )

    @torch.no_grad()
    def _look_at_start(self) -> None:
        if self._held_out:
            start, scale = sum(_inside_and_sides(self._blocks)), 1.0
        else:
            start = mse(self.model, self.data.train.x, self.data.train.y).item()
            scale = self.data.train.y.square().mean().item()
        if math.isfinite(start):
            self._last_train_error = start
            self._bound = EXPLOSION * max(start, scale)

    def _snapshot(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}


def _inside_and_sides(blocks: Sequence[Block]) -> tuple[float, float]:
    """The parts of the objective of an equation: that of its residual inside, and that of its conditions."""
    inside, *sides = (block.weight * block.mean_square(block.look()).item() for block in blocks)
    return inside, sum(sides)


def _of_equal_weight(y: Tensor) -> Tensor | None:
    """Weights with which the mean squares of several outputs count alike, each over its variance; None for one output."""
    if y.shape[1] == 1:
        return None
    scales = torch.tensor(scales2(y)).to(y)
    return scales.mean() / scales / len(scales)


def _at_all(model: Regressor, x: Inputs) -> Callable[[], Outputs]:
    """The model at points that stay the same; what depends on many of them alone is not kept, but made anew."""
    if len(x) <= CHUNK:
        return model.at(x)
    return partial(model.predict, x)


def hold(objective: methods.Objective) -> Step:
    """One evaluation without a step: for an epoch that changes the model by other means, such as a cut."""

    def step() -> float:
        objective.evaluate()
        return gradient_norm(objective.parameters)

    return step


def mse(model: Regressor, x: Tensor, y: Tensor) -> Tensor:
    """Mean squared error, in the raw units of the target, without a graph."""
    return (model.predict(x) - y).square().mean()
