"""The training loop: one loop for all families, which yields what happens and hides nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from harness.config import RunConfig
from harness.data import Data
from harness.families import FAMILIES
from harness.models import KAN, Regressor, most_parameters
from harness.models.regressor import Inputs, Outputs
from harness.training.events import Diverged, Epoch, Event, Kept, NonFinite, StageStarted
from harness.training.levenberg_marquardt import refuse_what_does_not_fit
from harness.training.objective import Objective
from harness.training.optimizers import OPTIMIZERS, Optimizer, gradient_norm, hold, learning_rate, norm

EXPLOSION = 1e6
"""A training MSE of this many times the larger of its first value and the mean square of the targets counts as infinite."""


def train(model: Regressor, data: Data, config: RunConfig) -> Iterator[Event]:
    """Train ``model`` in place by the plan of its family, and yield each event as it happens.

    Stopping is the caller's: it stops iterating. When a number turns out not to be finite, that is yielded as NonFinite,
    the model is put back into its last finite state, and Diverged is the last event. An exception of the model passes
    through. Raises BadInput at once, before any event, for a network that the optimizer has no memory for.
    """
    if config.optimizer == "lm":
        import torch._dynamo  # noqa: F401  torch.func.grad loads it, for a second, in the first epoch and on its clock

        refuse_what_does_not_fit(most_parameters(model.network, config), len(data.train.y), data.train.y.element_size())
    return _events(model, data, config)


def _events(model: Regressor, data: Data, config: RunConfig) -> Iterator[Event]:
    training = Training(model, data, config)
    try:
        yield from FAMILIES.get(config.model).resolve("plan")(training)
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


class Training:
    """The state of one training, which a plan leads through its stages."""

    def __init__(self, model: Regressor, data: Data, config: RunConfig) -> None:
        self.model = model
        self.data = data
        self.config = config
        self.epoch = 0
        self.evals = 0
        self.train_s = 0.0
        self.val_mse = math.nan
        """MSE on the validation points after the last epoch: what a plan may base its decisions on."""
        self.inputs: Inputs = model.scaled(data.train.x)
        """The training inputs as the network sees them."""
        self.last_finite = self._snapshot()
        self._stage = -1
        self._stage_name = ""
        self._last_train_mse = math.nan
        self._grad_norm = math.nan
        self._extra: dict[str, float] = {}
        self._samples = (data.train, data.val, data.test)
        self.at_train = model.at(data.train.x)
        """The model at the training points."""
        self._points = model.at(torch.cat([sample.x for sample in self._samples]))
        self._bound = math.inf

    def stage(
        self,
        name: str,
        epochs: int,
        *,
        prepare: Callable[[], None] | None = None,
        adapt: Callable[[int], bool] | None = None,
        penalised: Callable[[], tuple[Outputs, Tensor]] | None = None,
        optimizer: Optimizer | None = None,
    ) -> Iterator[Event]:
        """Train for ``epochs`` epochs with a new optimizer, and yield an event for each.

        ``prepare`` changes the model before the first epoch. ``adapt`` is asked before each later epoch, with its 0-based
        number in the stage, and says whether it changed the parameters, which then get a new optimizer. ``penalised``
        gives the predictions at the training points together with a penalty, which is added to the objective.
        ``optimizer`` is the configured one unless given.
        """
        self._stage += 1
        self._stage_name = name
        yield StageStarted(self._stage, name)
        if self._stage == 0:
            self._look_at_start()
        make = optimizer or OPTIMIZERS[self.config.optimizer]
        take_step: Callable[[], float] | None = None
        for number in range(epochs):
            self.epoch += 1
            started = time.perf_counter()
            if number == 0 and prepare is not None:
                prepare()
            if take_step is None or (adapt is not None and adapt(number)):
                objective = self._objective(penalised)
                take_step = partial(make(objective.parameters, self.config, lambda: self.epoch), objective)
                self._extra = objective.extra
            self._grad_norm = take_step()
            self.train_s += time.perf_counter() - started
            yield self._epoch_done(None if make is hold else learning_rate(self.config, self.epoch))

    def kept(self) -> Kept:
        """The event that the model is worth keeping as it is now, a stage being over."""
        return Kept(self._stage_name, self.epoch, self.last_finite)

    @torch.no_grad()
    def dense_mse(self) -> float:
        """MSE on the dense grid, off the clock."""
        return mse(self.model, self.data.dense.x, self.data.dense.y).item()

    def _objective(self, penalised: Callable[[], tuple[Outputs, Tensor]] | None) -> Objective:
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]

        def predict() -> tuple[Outputs, Tensor | None]:
            return (self.at_train(), None) if penalised is None else penalised()

        evaluate = partial(self._evaluate, trained, predict)
        return Objective(self.model, self.data.train, self.inputs, trained, predict, evaluate, self._count)

    def _count(self) -> None:
        self.evals += 1

    def _evaluate(
        self, parameters: list[torch.nn.Parameter], predict: Callable[[], tuple[Outputs, Tensor | None]]
    ) -> Tensor:
        """The objective, in the units of the network (MSE / std^2, plus the penalty), and its gradient.

        A mean of squares is finite only when every prediction is, so the loss speaks for the predictions.
        """
        self._count()
        for parameter in parameters:
            parameter.grad = None
        predictions, penalty = predict()
        objective = mse_loss(predictions, self.data.train.y) / self.model.std**2
        if penalty is not None:
            objective = objective + penalty
        objective.backward()
        norms = (objective.item(), gradient_norm(parameters), norm(parameters))
        if not all(map(math.isfinite, norms)):
            self._grad_norm = norms[1]
            raise _NotFinite(self._first_non_finite(objective.item()))
        return objective

    @torch.no_grad()
    def _epoch_done(self, lr: float | None) -> Epoch:
        errors = (self._points() - torch.cat([sample.y for sample in self._samples])).square()
        train_mse, val_mse, test_mse = (
            part.mean().item() for part in errors.split([len(sample.y) for sample in self._samples])
        )
        if not math.isfinite(train_mse + val_mse + test_mse):
            raise _NotFinite(self._first_non_finite(train_mse + val_mse + test_mse))
        if train_mse > self._bound:
            raise _NotFinite(self._non_finite("loss", train_mse))
        self._last_train_mse = train_mse
        self.val_mse = val_mse
        self.last_finite = self._snapshot()
        extra = (
            {"kan/grid": float(self.model.network.grid), "kan/active_edges": float(self.model.network.active_edges())}
            if isinstance(self.model.network, KAN)
            else {}
        )
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
            {**self._extra, **extra},
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
            learning_rate(self.config, self.epoch),
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


def mse(model: Regressor, x: Tensor, y: Tensor) -> Tensor:
    """Mean squared error, in the raw units of the target."""
    error: Tensor = model(x) - y
    return error.square().mean()
