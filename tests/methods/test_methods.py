"""One step of each optimizer, counted and held against torch's own."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.config import RunConfig
from harness.methods import METHODS, Step
from harness.methods.vectors import gradient_norm
from harness.presets import resolve
from harness.training import Epoch, train
from harness.training.loop import hold
from tests.methods.support import Lowered
from tests.support import parts, small


def siren(**fields: Any) -> RunConfig:
    return resolve({"model": "siren", **fields})


def quadratic(scale: float = 1.0) -> tuple[nn.Parameter, Callable[[], Tensor], list[int]]:
    """Scale x (|p|^2 - 2 p_0): its minimum is at (1, 0, 0)."""
    parameter = nn.Parameter(torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64))
    calls: list[int] = []

    def evaluate() -> Tensor:
        calls.append(1)
        parameter.grad = None
        value = scale * (parameter.square().sum() - 2 * parameter[0])
        value.backward()
        return value

    return parameter, evaluate, calls


def stepper(parameter: nn.Parameter, evaluate: Callable[[], Tensor], config: RunConfig) -> Step:
    method = METHODS.get(config.optimizer)
    return method.make(Lowered([parameter], evaluate), config.method, lambda: config.method.rate(1, config.epochs))


@pytest.mark.parametrize(("epochs", "first"), [(10, 5), (11, 6), (1, 1), (2, 1), (200, 100)])
def test_adam_s_rate_falls_to_a_tenth_for_the_second_half_and_takes_no_other_value(epochs: int, first: int) -> None:
    config = siren(epochs=epochs, lr=1e-3)
    rates = [config.method.rate(epoch, config.epochs) for epoch in range(1, epochs + 1)]
    assert rates == [1e-3] * first + [1e-3 * 0.1] * (epochs - first)


def test_the_schedule_is_in_the_events_and_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[float] = []
    module = importlib.import_module("torch.optim.adam")
    original = module.adam

    def spy(*args: Any, lr: float, **kwargs: Any) -> Any:
        used.append(lr)
        return original(*args, lr=lr, **kwargs)

    monkeypatch.setattr(module, "adam", spy)
    config = small("siren", epochs=6, lr=1e-3, lr_decay=0.5)
    regressor, data = parts(config)
    rates = [event.lr for event in train(regressor, data, config) if isinstance(event, Epoch)]
    assert rates == used == [1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 5e-4]


def test_the_rate_of_lbfgs_and_a_rate_without_decay_stay() -> None:
    assert {resolve({"model": "mlp"}).method.rate(epoch, 9) for epoch in range(1, 10)} == {1.0}
    constant = siren(lr_decay=1, lr=1e-2, epochs=4)
    assert {constant.method.rate(epoch, 4) for epoch in range(1, 5)} == {1e-2}


@pytest.mark.parametrize("clip", [0.1, 1e-3])
def test_clip_bounds_the_gradient_that_adam_sees_and_the_norm_reported_is_the_one_before(clip: float) -> None:
    parameter, evaluate, calls = quadratic(scale=1e3)
    step = stepper(parameter, evaluate, siren(clip=clip))
    expected = 1e3 * math.sqrt(4**2 + 4**2 + 2**2)
    assert step() == pytest.approx(expected, rel=1e-12)
    assert parameter.grad is not None
    assert parameter.grad.norm().item() == pytest.approx(clip, rel=1e-4)
    assert len(calls) == 1


def test_without_a_clip_and_below_it_the_gradient_is_left_alone() -> None:
    for clip in ("none", "1e9"):
        parameter, evaluate, _ = quadratic()
        step = stepper(parameter, evaluate, siren(clip=clip))
        norm = step()
        assert parameter.grad is not None
        assert parameter.grad.norm().item() == norm


def test_adam_takes_the_steps_of_the_paper() -> None:
    parameter, evaluate, _ = quadratic()
    step = stepper(parameter, evaluate, siren(lr=1e-2, clip="none", epochs=100))
    mean, square, expected = torch.zeros(3), torch.zeros(3), parameter.detach().clone()
    for t in range(1, 6):
        gradient = 2 * expected - torch.tensor([2.0, 0, 0])
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        expected = expected - 1e-2 * (mean / (1 - 0.9**t)) / ((square / (1 - 0.999**t)).sqrt() + 1e-8)
        step()
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-12, atol=1e-14)


def test_adam_is_torch_s_bit_for_bit_and_leaves_a_parameter_without_a_gradient_alone() -> None:
    def trained(own: bool) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        made = [nn.Parameter(torch.randn(4, 3, generator=generator)), nn.Parameter(torch.randn(5, generator=generator))]
        count = 0

        def evaluate() -> Tensor:
            nonlocal count
            count += 1
            for parameter in made:
                parameter.grad = None
            value = made[0].pow(4).sum() + (made[1].pow(4).sum() if count > 2 else 0)
            value.backward()
            return value

        config = siren(lr=1e-2, clip=0.5)
        lowered = Lowered(made, evaluate)
        step = METHODS.get("adam").make(lowered, config.method, lambda: 1e-2)
        theirs = torch.optim.Adam(made, lr=1e-2)
        for _ in range(6):
            if own:
                step()
            else:
                evaluate()
                nn.utils.clip_grad_norm_(made, 0.5)
                theirs.step()
        return [parameter.detach() for parameter in made]

    for ours, torchs in zip(trained(own=True), trained(own=False), strict=True):
        assert torch.equal(ours, torchs)


def test_lbfgs_never_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a gradient was clipped inside a line search")

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", refuse)
    monkeypatch.setattr(nn.utils, "clip_grad_value_", refuse)
    for model in ("mlp", "kan"):
        config = small(model, epochs=2)
        regressor, data = parts(config)
        assert sum(isinstance(event, Epoch) for event in train(regressor, data, config)) == 2


def test_lbfgs_finds_the_minimum_of_a_quadratic_in_one_epoch_and_reports_the_first_gradient() -> None:
    parameter, evaluate, calls = quadratic()
    step = stepper(parameter, evaluate, resolve({"model": "mlp"}))
    assert step() == pytest.approx(6.0, rel=1e-12)
    torch.testing.assert_close(parameter.detach(), torch.tensor([1.0, 0, 0], dtype=torch.float64))
    assert 1 < len(calls) <= 25


def test_lbfgs_keeps_its_history_from_epoch_to_epoch_and_finds_the_minimum_of_rosenbrock() -> None:
    def minimise(fresh: bool) -> tuple[float, int]:
        parameter = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64))
        config = resolve({"model": "mlp", "iterations": 4, "history": 6})
        calls = 0

        def evaluate() -> Tensor:
            nonlocal calls
            calls += 1
            parameter.grad = None
            value = (1 - parameter[0]) ** 2 + 100 * (parameter[1] - parameter[0] ** 2) ** 2
            value.backward()
            return value

        step = stepper(parameter, evaluate, config)
        for _ in range(15):
            step = stepper(parameter, evaluate, config) if fresh else step
            step()
        return (parameter - 1).norm().item(), calls

    (kept, calls), (forgotten, _) = minimise(fresh=False), minimise(fresh=True)
    assert kept < 1e-8
    assert kept < forgotten
    assert calls <= 15 * 5


def test_hold_evaluates_once_and_moves_nothing() -> None:
    parameter, evaluate, calls = quadratic()
    before = parameter.detach().clone()
    step = hold(Lowered([parameter], evaluate))
    assert step() == pytest.approx(6.0)
    assert torch.equal(parameter, before)
    assert len(calls) == 1


def test_the_gradient_norm_is_over_all_parameters_and_nan_when_any_is() -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert gradient_norm([a, b]) == 5.0
    b.grad = torch.tensor([math.nan])
    assert math.isnan(gradient_norm([a, b]))
