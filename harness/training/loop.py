"""The training loop: one loop for all families, which yields what happens and hides nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from harness import methods
from harness.config import RunConfig
from harness.data import Data, scales2
from harness.families import FAMILIES, resolve
from harness.methods import METHODS, Step
from harness.methods.vectors import gradient_norm, norm
from harness.models import Regressor, interface, jets
from harness.models.interface import Inputs, Outputs
from harness.models.regressor import CHUNK
from harness.problems.rows import Jet
from harness.seeds import generator
from harness.training.events import Diverged, Epoch, Event, Kept, NonFinite, StageStarted, Taken
from harness.training.rows import Block, Fit, Objective, declared

EXPLOSION = 1e6
"""A training MSE of this many times the larger of its first value and the mean square of the targets counts as infinite."""


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
        jets.load_what_it_takes(model.network)
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
        """MSE on the validation points after the last epoch: what a plan may base its decisions on. Of several outputs each
        counts in units of its own scale."""
        self._order = generator(config.seed, "batches")
        self._val_weights = _of_equal_weight(data.val.y)
        self._best: _Best | None = None
        self.inputs: Inputs = model.scaled(data.train.x)
        """The training inputs as the network sees them."""
        self.last_finite = self._snapshot()
        self._stage = -1
        self._stage_name = ""
        self._last_train_mse = self._last_val_mse = math.nan
        self._grad_norm = math.nan
        self._extra: dict[str, float] = {}
        self._samples = (data.train, data.val, data.test)
        self.at_inputs = interface.at(model.network, self.inputs)
        """The network at them, for many evaluations."""
        self._points = _at_all(model, torch.cat([sample.x for sample in self._samples]))
        self._bound = math.inf
        fit = Fit(model, data.train, self.inputs, self.at_train)
        self._blocks: list[Block] = [*declared(model, data)] or [fit]

    def at_train(self) -> Outputs:
        """The model at the training points."""
        return self.model.raw(self.at_inputs())

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
            self._grad_norm = take_step()
            self.train_s += time.perf_counter() - started
            yield self._epoch_done(None if make else self._rate())
            if self.config.patience is None:
                continue
            if self.val_error < least:
                least, at = self.val_error, self.epoch
                if last_word and (self._best is None or least < self._best.val_error):
                    self._best = _Best(least, self._last_val_mse, self.epoch, self.last_finite)
            elif self.epoch - at >= self.config.patience:
                break

    def forget_best(self) -> None:
        """What was best so far is no longer what is trained, since the network was cut."""
        self._best = None

    def take_best(self) -> Iterator[Event]:
        """Go back to the epoch with the least validation error, where the run has ``patience``."""
        if self._best is not None:
            self.model.load_state_dict(self._best.state)
            yield Taken(self._best.epoch, self._best.val_mse, self.epoch, self._best.state)

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

    @torch.no_grad()
    def _epoch_done(self, lr: float | None) -> Epoch:
        errors = (self._points() - torch.cat([sample.y for sample in self._samples])).square()
        parts = errors.split([len(sample.y) for sample in self._samples])
        train_mse, val_mse, test_mse = (part.mean().item() for part in parts)
        if not math.isfinite(train_mse + val_mse + test_mse):
            raise _NotFinite(self._first_non_finite(train_mse + val_mse + test_mse))
        if train_mse > self._bound:
            raise _NotFinite(self._non_finite("loss", train_mse))
        self._last_train_mse, self._last_val_mse = train_mse, val_mse
        self.val_error = val_mse if self._val_weights is None else (parts[1].mean(dim=0) @ self._val_weights).item()
        self.last_finite = self._snapshot()
        return Epoch(
            self.epoch,
            self._stage,
            train_mse,
            val_mse,
            test_mse,
            self._grad_norm,
            lr,
            self.train_s,
            self.evals,
            self.last_finite,
            {**self._extra, **interface.measures(self.model.network)},
        )

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
            self._last_train_mse,
        )

    @torch.no_grad()
    def _look_at_start(self) -> None:
        start = mse(self.model, self.data.train.x, self.data.train.y).item()
        scale = self.data.train.y.square().mean().item()
        if math.isfinite(start):
            self._last_train_mse = start
            self._bound = EXPLOSION * max(start, scale)

    def _snapshot(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}


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
