"""Problems of several inputs, in bounds of their own, and with several outputs: drawn, learned, and judged."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from harness import problems
from harness.config import RunConfig
from harness.data import Sample, dense_points, of, sample, scales2
from harness.errors import BadInput
from harness.evaluation import evaluate, interval_of_mean, metric_names
from harness.models import Regressor, build
from harness.presets import resolve
from harness.problems import Problem
from harness.training import Epoch, Taken, train
from harness.training.loop import Training
from tests.support import MODELS
from tests.training.test_rows import along_a_line


def target(x: Tensor) -> Tensor:
    """An output of thousands beside one of thousandths."""
    return torch.stack([1e3 * (x[:, 0] * x[:, 1]).sin(), 1e-3 * (x[:, 2] + x[:, 0] ** 2)], dim=1)


CURVED = Problem(
    name="curved",
    dimension=3,
    target=target,
    formula="two outputs",
    sections=("mine",),
    citation="this test",
    low=(-1.0, 0.0, 10.0),
    high=(1.0, 2.0, 30.0),
    outputs=("large", "small"),
    units={"x1": "m", "large": "N"},
)


def parts(model: str, optimizer: str = "lm", **fields: object) -> tuple[Regressor, Training]:
    config = resolve({"model": model, "preset": "lm", "optimizer": optimizer, "n_train": 40, "n_val": 20, **fields})
    data = sample(CURVED, 0, config.n_train, config.n_val, 20)
    regressor = build(config, CURVED, data.train)
    return regressor, Training(regressor, data, config)


def test_points_fill_the_bounds_of_each_axis() -> None:
    data = sample(CURVED, 0, 2000, 5, 5)
    for x in (data.train.x, data.dense.x):
        for axis, (low, high) in enumerate(CURVED.bounds):
            assert low <= x[:, axis].min() < low + 0.01 * (high - low)
            assert high - 0.01 * (high - low) < x[:, axis].max() <= high
    assert len(data.dense.x) == 2**14
    assert torch.equal(dense_points(CURVED), dense_points(replace(CURVED, name="other")))


def test_names_are_given_or_made() -> None:
    assert CURVED.inputs == ("x1", "x2", "x3")
    assert replace(CURVED, inputs=("a", "b", "c"), units={}).inputs == ("a", "b", "c")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"low": (0.0, 0.0)}, r"low = \(0.0, 0.0\); expected: a number, or 3"),
        ({"low": (0.0, 0.0, 30.0)}, r"domain \[30.0, 30.0\]; low must be less than high"),
        ({"inputs": ("a", "b"), "units": {}}, "expected: 3, one for each dimension"),
        ({"outputs": ("x1", "small"), "units": {}}, "each needs a name of its own"),
        ({"inputs": ("a", "target", "c"), "units": {}}, "has an input 'target', which is what the record"),
        ({"outputs": ()}, "each needs a name of its own"),
        ({"units": {"z": "m"}}, "has a unit of 'z', which is none of its inputs and outputs"),
    ],
)
def test_wrong_names_and_bounds_are_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        replace(CURVED, **changes)  # type: ignore[arg-type]  # wrong on purpose


def test_a_wrong_gradient_is_told_with_output_and_input() -> None:
    def wrong(x: Tensor) -> Tensor:
        slopes = CURVED.slopes(x).clone()
        slopes[:, 1, 2] *= 2
        return slopes

    problem = replace(CURVED, gradient=wrong)
    with pytest.raises(
        BadInput, match=r"it is 0\.002 of small in x3, and difference quotients of the target give 0\.001"
    ):
        sample(problem, 0, 5, 5, 5)


@pytest.mark.parametrize("model", MODELS)
def test_each_output_is_learned_in_its_own_scale(model: str) -> None:
    low_frequencies = {"siren": {"omega0": 3.0}, "mlp_fourier": {"sigma": 0.2}}.get(model, {})
    config = resolve({"model": model, "preset": "lm", "epochs": 60, "n_train": 800, **low_frequencies})
    data = sample(CURVED, 0, config.n_train, 50, 50)
    regressor = build(config, CURVED, data.train)
    assert list(train(regressor, data, config))
    found = evaluate(regressor, CURVED, data.dense)
    assert found["final/dense_nmse/large"] < 1e-2
    assert found["final/dense_nmse/small"] < 1e-2
    both = (found["final/dense_nmse/large"] + found["final/dense_nmse/small"]) / 2
    assert found["final/dense_nmse"] == pytest.approx(both)
    assert found["final/dense_nmse_low"] <= found["final/dense_nmse"] <= found["final/dense_nmse_high"]
    assert "final/roughness_ratio" not in found
    assert math.isfinite(found["final/h1_rel"])


@pytest.mark.parametrize("model", MODELS)
def test_the_jacobian_of_several_outputs_is_that_of_differences(model: str) -> None:
    _, training = parts(model)
    objective = training._objective(None)
    assert objective.rows == 80
    j = objective.jacobian(0, 80)
    for start, stop in [(0, 1), (1, 2), (3, 8), (79, 80)]:
        assert torch.allclose(objective.jacobian(start, stop), j[start:stop], rtol=1e-9, atol=1e-12)
    direction, difference = along_a_line(objective)
    assert (j @ direction - difference).norm() <= 1e-6 * difference.norm()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "lm"])
def test_the_objective_is_the_mean_over_outputs_of_mse_over_variance(optimizer: str) -> None:
    regressor, training = parts("mlp", optimizer)
    train_ = training.data.train
    with torch.no_grad():
        errors = (regressor(train_.x) - train_.y).square().mean(dim=0)
    expected = (errors / train_.y.var(dim=0)).mean().item()
    objective = training._objective(None)
    assert objective.evaluate().item() == pytest.approx(expected, rel=1e-10)
    assert objective.attempt()[1] == pytest.approx(expected, rel=1e-10)


def test_what_is_chosen_by_validation_counts_each_output_alike() -> None:
    regressor, training = parts("mlp")
    for event in training.stage("train", 1):
        if isinstance(event, Epoch):
            val = training.data.val
            with torch.no_grad():
                errors = (regressor(val.x) - val.y).square().mean(dim=0)
            scales = torch.tensor(scales2(val.y), dtype=torch.float64)
            assert training.val_error == pytest.approx((errors / scales).mean().item() * scales.mean().item(), rel=1e-9)


def test_noise_is_on_the_targets_of_training_and_validation_only_each_output_by_itself() -> None:
    clean, noisy = sample(CURVED, 3, 4000, 4000, 50), sample(CURVED, 3, 4000, 4000, 50, noise=0.1)
    spread = clean.dense.y.std(dim=0, correction=0)
    for name in ("train", "val"):
        before, after = getattr(clean, name), getattr(noisy, name)
        assert torch.equal(before.x, after.x)
        ratio = (after.y - before.y).std(dim=0) / spread
        assert torch.allclose(ratio, torch.full_like(ratio, 0.1), rtol=0.05)
    assert torch.equal(clean.test.y, noisy.test.y)
    assert torch.equal(clean.dense.y, noisy.dense.y)
    assert clean.digest != noisy.digest


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says() -> None:
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(400):
        low, high = interval_of_mean(torch.rand(200, generator=generator, dtype=torch.float64))
        hits += low <= 0.5 <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_names_of_outputs_become_names_of_metrics() -> None:
    assert metric_names(["Temperatur °C", "p"]) == ["Temperatur _C", "p"]
    assert metric_names(["a%", "a$"]) == ["a__1", "a__2"]


def overfitting(**fields: object) -> tuple[list[Epoch], list[Taken], Regressor, Sample]:
    given = {"model": "mlp", "problem": "sin_freq1", "preset": "lm", "n_train": 15, "width": 20, "epochs": 60}
    config: RunConfig = resolve({**given, **fields})
    data = of(config)
    regressor = build(config, problems.of(config), data.train)
    events = list(train(regressor, data, config))
    return (
        [event for event in events if isinstance(event, Epoch)],
        [event for event in events if isinstance(event, Taken)],
        regressor,
        data.val,
    )


@pytest.mark.parametrize("model", ["mlp", "siren", "kan"])
def test_with_patience_a_training_ends_early_and_the_epoch_with_the_least_validation_error_is_taken(model: str) -> None:
    epochs, taken, regressor, val = overfitting(model=model, patience=8, target_noise=0.3)
    assert len(taken) == 1
    errors = [epoch.val_mse for epoch in epochs]
    assert taken[0].epoch == 1 + errors.index(min(errors))
    assert taken[0].ended == len(epochs) < 60
    with torch.no_grad():
        assert (regressor(val.x) - val.y).square().mean().item() == pytest.approx(min(errors), rel=1e-9)


def test_without_patience_the_last_epoch_stays() -> None:
    epochs, taken, regressor, val = overfitting(target_noise=0.3)
    assert not taken
    assert len(epochs) == 60
    with torch.no_grad():
        assert (regressor(val.x) - val.y).square().mean().item() == pytest.approx(epochs[-1].val_mse, rel=1e-9)


def test_a_pruned_network_never_goes_back_to_one_that_was_not_cut() -> None:
    epochs, taken, regressor, _ = overfitting(model="kan_pruned", patience=3, target_noise=0.3)
    cut = next(
        epoch.epoch
        for epoch in reversed(epochs)
        if epoch.extra["kan/active_edges"] > epochs[-1].extra["kan/active_edges"]
    )
    assert all(event.epoch > cut for event in taken)
    assert regressor.network.active_edges() == epochs[-1].extra["kan/active_edges"]  # type: ignore[operator]
