"""The loop reports what happens, each number that is not finite where it was born, and hides nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.config import RunConfig
from harness.models import Regressor
from harness.training import Diverged, Epoch, Event, NonFinite, StageStarted, train
from harness.training.rows import Fit
from tests.support import MODELS, parts, python, small


def events(config: RunConfig) -> list[Event]:
    regressor, data = parts(config)
    return list(train(regressor, data, config))


def epochs_of(found: list[Event]) -> list[Epoch]:
    return [event for event in found if isinstance(event, Epoch)]


@pytest.mark.parametrize("model", MODELS)
def test_every_epoch_of_the_budget_is_reported_once_in_order_after_its_stage(model: str) -> None:
    found = events(small(model, epochs=7))
    assert isinstance(found[0], StageStarted)
    assert [event.epoch for event in epochs_of(found)] == list(range(1, 8))
    stage = -1
    for event in found:
        if isinstance(event, StageStarted):
            stage += 1
            assert event.index == stage
        elif isinstance(event, Epoch):
            assert event.stage == stage
    assert not any(isinstance(event, NonFinite | Diverged) for event in found)


@pytest.mark.parametrize("model", MODELS)
def test_evals_counts_every_call_of_the_objective_and_no_other(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    for of in (Tensor, Fit):  # the one with a penalty, the other without

        def counting(self: Any, *args: Any, backward: Callable[..., Any] = of.backward, **kwargs: Any) -> Any:
            calls.append(1)
            return backward(self, *args, **kwargs)

        monkeypatch.setattr(of, "backward", counting)
    config = small(model)
    regressor, data = parts(config)
    for event in train(regressor, data, config):
        if isinstance(event, Epoch):
            assert event.evals == len(calls)
    assert len(calls) >= config.epochs


@pytest.mark.parametrize("model", MODELS)
def test_errors_are_mse_in_raw_units_at_the_state_that_the_event_carries(model: str) -> None:
    config = small(model, epochs=6)
    regressor, data = parts(config)
    fresh, _ = parts(config)
    for event in train(regressor, data, config):
        if isinstance(event, Epoch):
            fresh.load_state_dict(event.state)
            for value, sample in (
                (event.train_mse, data.train),
                (event.val_mse, data.val),
                (event.test_mse, data.test),
            ):
                assert value == pytest.approx((fresh(sample.x) - sample.y).square().mean().item(), rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_norm_is_that_of_the_objective_where_the_epoch_started(model: str) -> None:
    config = small(model, lamb=0.0) if model == "kan_pruned" else small(model)
    regressor, data = parts(config)
    start, _ = parts(config)
    first = next(event for event in train(regressor, data, config) if isinstance(event, Epoch))
    objective = (start(data.train.x) - data.train.y).square().mean() / start.std**2
    objective.backward()
    norm = torch.cat([p.grad.flatten() for p in start.parameters() if p.grad is not None]).norm().item()
    assert first.grad_norm == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_training_reduces_the_error(model: str) -> None:
    # The preset's rate for SIREN is made for 200 epochs.
    config = small(model, epochs=30, n_train=200, **({"lr": 1e-2} if model == "siren" else {}))
    done = epochs_of(events(config))
    assert done[-1].train_mse < 0.8 * done[0].train_mse


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_history_bit_for_bit(model: str, dtype: str) -> None:
    def history() -> list[tuple[Any, ...]]:
        return [
            (e.epoch, e.train_mse, e.val_mse, e.test_mse, e.grad_norm, e.evals, e.extra)
            for e in epochs_of(events(small(model, epochs=12, dtype=dtype)))
        ]

    first = history()
    torch.rand(1000)  # neither the global generator nor what the memory held before has a say
    kept = [torch.full((size,), 7) for size in range(1, 50)]
    del kept
    assert history() == first


@pytest.mark.parametrize("model", MODELS)
def test_another_seed_gives_another_history(model: str) -> None:
    one, two = (epochs_of(events(small(model, epochs=3, seed=seed)))[0].train_mse for seed in (0, 1))
    assert one != two


def test_the_clock_counts_training_and_not_the_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("harness.training.loop.time.perf_counter", lambda: now[0])
    config = small("siren", epochs=3)
    regressor, data = parts(config)
    clocks = []
    for event in train(regressor, data, config):
        now[0] += 100.0  # what the listener does while the generator waits
        if isinstance(event, Epoch):
            clocks.append(event.train_s)
    assert clocks == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("model", MODELS)
def test_the_iteration_can_be_left_after_any_event(model: str) -> None:
    config = small(model, epochs=4)
    total = len(events(config))
    for stop in range(1, total, 2):
        regressor, data = parts(config)
        training = train(regressor, data, config)
        for _ in range(stop):
            next(training)
        training.close()  # type: ignore[attr-defined]  # a generator
        assert regressor(data.train.x).isfinite().all()


# --- numbers that are not finite


class Faulty(nn.Module):
    """A network that spoils something from a given forward or backward pass on."""

    def __init__(self, network: nn.Module, spoil: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network
        self.spoil = spoil

    def forward(self, x: Tensor) -> Tensor:
        return self.spoil(self.network, x)


def spoiled(config: RunConfig, spoil: Callable[[nn.Module, Tensor, int], Tensor]) -> tuple[Regressor, list[Event]]:
    """Train with ``spoil(network, inputs, n)`` in place of the n-th evaluation of the objective and of those after it."""
    regressor, data = parts(config)
    evaluations = 0

    def forward(network: nn.Module, x: Tensor) -> Tensor:
        nonlocal evaluations
        if torch.is_grad_enabled():
            evaluations += 1
        return spoil(network, x, evaluations)

    regressor.network = Faulty(regressor.network, forward)
    return regressor, list(train(regressor, data, config))


class NaNGradient(torch.autograd.Function):
    """The same values, with a gradient that is NaN."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * math.nan


def poison_parameter(network: nn.Module, x: Tensor, evaluation: int, at: int) -> Tensor:
    if evaluation >= at:
        with torch.no_grad():
            next(network.parameters()).view(-1)[0] = math.nan
    return network(x)  # type: ignore[no-any-return]


def poison_prediction(network: nn.Module, x: Tensor, evaluation: int, at: int) -> Tensor:
    out: Tensor = network(x)
    if evaluation >= at:
        out = torch.cat([out[:1] + math.inf, out[1:]])
    return out


def poison_loss(network: nn.Module, x: Tensor, evaluation: int, at: int) -> Tensor:
    # Finite predictions whose square is not.
    return network(x) + (1e200 if evaluation >= at else 0.0)  # type: ignore[no-any-return]


def poison_gradient(network: nn.Module, x: Tensor, evaluation: int, at: int) -> Tensor:
    out: Tensor = network(x)
    return NaNGradient.apply(out) if evaluation >= at else out  # type: ignore[no-untyped-call]  # torch


POISONS = {
    "parameter": poison_parameter,
    "prediction": poison_prediction,
    "loss": poison_loss,
    "gradient": poison_gradient,
}


@pytest.mark.parametrize("what", POISONS)
@pytest.mark.parametrize(("model", "at"), [("siren", 1), ("siren", 4), ("mlp", 1), ("mlp", 9)])
def test_a_number_that_is_not_finite_is_reported_at_the_evaluation_where_it_was_born(
    model: str, at: int, what: str
) -> None:
    config = small(model, epochs=6)
    regressor, found = spoiled(config, lambda network, x, n: POISONS[what](network, x, n, at))
    *before, event, diverged = found
    assert isinstance(event, NonFinite)
    assert isinstance(diverged, Diverged)
    assert event.what == what
    assert not math.isfinite(event.value)
    assert math.isnan(event.value) == (what in ("parameter", "gradient"))
    assert event.evaluation == at
    assert event.stage == "train"
    done = epochs_of(before)
    assert event.epoch == len(done) + 1
    assert event.lr == config.method.rate(event.epoch, config.epochs)
    if model == "siren":
        assert event.epoch == at  # one evaluation an epoch
    if done:
        assert event.last_finite_loss == done[-1].train_mse
    else:
        assert math.isfinite(event.last_finite_loss)
    for part in (what, f"epoch {event.epoch}", "stage train", f"evaluation {at}"):
        assert part in diverged.reason
    assert all(parameter.isfinite().all() for parameter in regressor.parameters())
    if done:
        for name, tensor in done[-1].state.items():
            assert torch.equal(regressor.state_dict()[name], tensor)


def test_the_stage_of_a_nan_is_that_of_the_plan() -> None:
    config = small("kan", epochs=6, grids=(3, 6), grid_update_every=0)
    regressor, data = parts(config)
    first = next(regressor.network.children())
    found: list[Event] = []
    for event in train(regressor, data, config):
        found.append(event)
        if isinstance(event, Epoch) and event.epoch == 4:
            with torch.no_grad():
                next(first.parameters()).view(-1)[0] = math.nan
    nan = found[-2]
    assert isinstance(nan, NonFinite)
    assert (nan.stage, nan.epoch, nan.what) == ("grid_6", 5, "parameter")
    assert regressor(data.train.x).isfinite().all()


def test_a_validation_point_that_is_not_finite_counts_though_the_training_points_are() -> None:
    config = small("siren", epochs=3)
    regressor, data = parts(config)

    def forward(network: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = network(x)
        return torch.cat([out[:-1], out[-1:] * math.nan]) if len(x) > config.n_train else out

    regressor.network = Faulty(regressor.network, forward)
    found = list(train(regressor, data, config))
    assert isinstance(found[1], NonFinite)
    assert (found[1].what, found[1].epoch) == ("prediction", 1)


def test_a_siren_diverges_at_a_rate_of_a_million_and_keeps_its_last_finite_state() -> None:
    config = small("siren", epochs=50, lr=1e6)
    regressor, data = parts(config)
    found = list(train(regressor, data, config))
    assert isinstance(found[-1], Diverged)
    event = found[-2]
    assert isinstance(event, NonFinite)
    assert event.epoch < 50
    assert event.exceeds
    assert "which exceeds 10^6 times its start, at epoch" in found[-1].reason
    assert math.isfinite(event.last_finite_loss)
    assert regressor(data.dense.x).isfinite().all()


def test_a_training_set_with_a_nan_diverges_at_the_first_evaluation() -> None:
    config = small("mlp")
    regressor, data = parts(config)
    data.train.y[3] = math.nan
    found = list(train(regressor, data, config))
    event = found[1]
    assert isinstance(event, NonFinite)
    assert (event.what, event.epoch, event.evaluation) == ("loss", 1, 1)
    assert math.isnan(event.last_finite_loss)


def test_an_exception_of_the_model_passes_through() -> None:
    class Broken(Exception):
        pass

    def explode(network: nn.Module, x: Tensor, evaluation: int) -> Tensor:
        if evaluation == 3:
            raise Broken
        return network(x)  # type: ignore[no-any-return]

    with pytest.raises(Broken):
        spoiled(small("siren"), explode)


def test_training_needs_no_mlflow_prints_nothing_and_draws_from_no_global_generator() -> None:
    script = """
import random, sys
import numpy, torch
before = random.getstate(), str(numpy.random.get_state()), torch.get_rng_state()
from harness import problems
from harness.data import sample
from harness.models import build
from harness.presets import resolve
from harness.training import train
for model in ("mlp", "mlp_fourier", "siren", "kan", "kan_pruned"):
    config = resolve({"model": model, "epochs": 4, "n_train": 30})
    problem = problems.get(config.problem)
    data = sample(problem, 0, 30, 10, 10)
    assert sum(type(event).__name__ == "Epoch" for event in train(build(config, problem, data.train), data, config)) == 4
assert random.getstate() == before[0]
assert str(numpy.random.get_state()) == before[1]
assert torch.equal(torch.get_rng_state(), before[2])
known = {name.partition(".")[0] for name in sys.modules}
assert not known & {"mlflow", "matplotlib", "optuna", "kan", "pandas", "rich"}, known
"""
    done = python(["-c", script])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
