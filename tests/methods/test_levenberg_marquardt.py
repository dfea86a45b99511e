"""Levenberg-Marquardt: its step, its promises along a training, and what it refuses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor, nn

from harness import problems
from harness.config import RunConfig
from harness.data import Data, sample
from harness.errors import BadInput
from harness.methods import least_squares
from harness.methods.least_squares import System, dual, look, primal, trial
from harness.methods.levenberg_marquardt import LMConfig
from harness.methods.positive_definite import gram
from harness.methods.vectors import flat, gradient_norm, move
from harness.models import KAN, Regressor, build, jets
from harness.models.jets import jacobian, jacobian_of_any
from harness.presets import resolve
from harness.training import Diverged, Epoch, NonFinite, train
from harness.training.loop import Training, _NotFinite
from harness.training.rows import Objective

MODELS = ("mlp", "mlp_fourier", "siren", "kan", "kan_pruned")
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"width": 6, "depth": 2},
    "mlp_fourier": {"width": 6, "depth": 1, "features": 4},
    "siren": {"width": 8, "depth": 2},
    "kan": {"width": 3, "grids": (3, 6)},
    "kan_pruned": {"width": 3, "grids": (3, 6)},
}


def small(model: str, **fields: Any) -> RunConfig:
    values = {"model": model, "preset": "lm", "problem": "poisson_2d_sin", "epochs": 8, "n_train": 60}
    return resolve({**values, "n_val": 20, "n_test": 20, **SMALL[model], **fields})


def parts(config: RunConfig) -> tuple[Regressor, Data]:
    problem = problems.get(config.problem)
    data = sample(problem, config.seed, config.n_train, config.n_val, config.n_test, getattr(torch, config.dtype))
    return build(config, problem, data.train), data


def epochs(regressor: Regressor, data: Data, config: RunConfig) -> list[Epoch]:
    return [event for event in train(regressor, data, config) if isinstance(event, Epoch)]


def training_of(network: nn.Module, target: Callable[[Tensor], Tensor], **fields: Any) -> Training:
    """The training of a network of one's own on a target of one's own."""
    config = resolve({"model": "mlp", "problem": "poisson_2d_sin", "optimizer": "lm", "n_train": 50, **fields})
    _, data = parts(config)
    fitted, val, test, dense = (replace(s, y=target(s.x)) for s in (data.train, data.val, data.test, data.dense))
    data = Data(fitted, val, test, dense)
    return Training(Regressor(network, -1.0, 1.0), data, config)


def objective(regressor: Regressor, data: Data) -> Objective:
    return Training(regressor, data, small("mlp"))._objective(None)


def one_step(training: Training) -> Epoch:
    *_, epoch = training.stage("train", 1)
    assert isinstance(epoch, Epoch)
    return epoch


class Rosenbrock(nn.Module):
    """The residuals 1 - a and 10 (b - a^2), as the two coefficients of a linear function."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(-1.2, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return (1 - self.a) * x[:, :1] + 10 * (self.b - self.a**2) * x[:, 1:]


def test_a_linear_problem_is_solved_by_one_undamped_step() -> None:
    torch.manual_seed(0)
    network = nn.Linear(2, 1, dtype=torch.float64)
    training = training_of(network, lambda x: 3 * x[:, :1] - 2 * x[:, 1:] + 0.5, damping=1e-14)
    one_step(training)
    assert torch.allclose(network.weight, torch.tensor([[3.0, -2.0]], dtype=torch.float64), rtol=0, atol=1e-10)
    assert network.bias.item() == pytest.approx(0.5, abs=1e-10)


def test_the_valley_of_rosenbrock_is_followed_to_its_end() -> None:
    network = Rosenbrock()
    training = training_of(network, lambda x: torch.zeros_like(x[:, :1]))
    for _ in training.stage("train", 60):
        pass
    assert network.a.item() == pytest.approx(1, abs=1e-10)
    assert network.b.item() == pytest.approx(1, abs=1e-10)


class Square(nn.Module):
    """The function a^2 x: its step is known by hand, of first and of second order."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.a**2 * x[:, :1]


def test_the_step_goes_along_the_velocity_and_half_of_the_acceleration() -> None:
    """For a^2 = 1.44 from a = 1: v = 0.22, and the acceleration -v^2 / a, as the Taylor series of the root has it."""
    network = Square()
    one_step(training_of(network, lambda x: 1.44 * x[:, :1], damping=1e-14))
    assert network.a.item() == pytest.approx(1 + 0.22 - 0.22**2 / 2, abs=1e-9)


@pytest.mark.parametrize(("damping", "taken"), [(0.2, 0.8), (0.25, 0.25)], ids=["too curved", "just borne"])
def test_a_step_whose_acceleration_exceeds_its_velocity_gets_more_damping(damping: float, taken: float) -> None:
    """For a^2 = 4 from a = 1: v = 1.5 / (1 + damping), |a| = v^2 / (1 + damping); |a| <= |v| from a damping of 0.225 on.

    Either trial would lower the error.
    """
    network = Square()
    done = one_step(training_of(network, lambda x: 4 * x[:, :1], damping=damping, damping_up=4.0))
    assert done.extra["lm/damping"] == pytest.approx(taken)
    velocity = 1.5 / (1 + taken)
    assert network.a.item() == pytest.approx(1 + velocity - velocity**2 / (1 + taken) / 2, abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_the_jacobian_is_the_one_of_finite_differences(model: str) -> None:
    regressor, data = parts(small(model))
    network, inputs = regressor.network, regressor.scaled(data.train.x)
    parameters = list(network.parameters())
    j, h = jacobian(network, inputs, parameters), 1e-6
    start = flat(parameters)
    for column in range(0, j.shape[1], 7):
        ends = []
        for sign in (h, -h):
            moved = start.clone()
            moved[column] += sign
            move(parameters, moved)
            ends.append(network(inputs).detach().flatten())
        move(parameters, start)
        assert torch.allclose(j[:, column], (ends[0] - ends[1]) / (2 * h), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("model", MODELS)
def test_a_jacobian_that_is_written_out_leads_to_the_same_training(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(model, epochs=6)
    own = epochs(*parts(config), config)
    monkeypatch.setattr(jets.At, "jacobian", lambda at, parameters: jacobian_of_any(at._network, at._x, parameters))
    for fast, slow in zip(own, epochs(*parts(config), config), strict=True):
        assert fast.evals == slow.evals
        assert fast.train_mse == pytest.approx(slow.train_mse, rel=1e-6)


@pytest.mark.parametrize("n_train", [60, 10])
@pytest.mark.parametrize("penalised", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_what_a_trial_has_told_and_its_jacobian_are_value_and_gradient_of_autograd(
    model: str, penalised: bool, n_train: int
) -> None:
    regressor, data = parts(small(model, n_train=n_train))
    training = Training(regressor, data, small("mlp"))

    def ridge() -> tuple[Tensor, Tensor]:
        return training.model.raw(training.at_inputs()), sum(
            (p.square().sum() for p in regressor.parameters()), torch.zeros(()).double()
        )

    lowered = training._objective(ridge if penalised else None)
    value = lowered.evaluate().item()
    norm = gradient_norm(lowered.parameters)
    found = look(lowered, lowered.attempt())
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.norm == pytest.approx(norm, rel=1e-9)


def test_a_gradient_that_is_not_finite_ends_the_training_where_the_value_is() -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.zeros(1, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return 0 * x[:, :1] + self.a.sqrt()

    training = training_of(Root(), lambda x: x[:, :1])
    lowered = training._objective(None)
    trial = lowered.attempt()
    assert math.isfinite(trial[1])
    with pytest.raises(_NotFinite) as raised:
        look(lowered, trial)
    assert raised.value.event.what == "gradient"


def test_a_network_s_own_jacobian_is_taken() -> None:
    class Line(nn.Linear):
        def jacobian(self, inputs: Tensor) -> Tensor:
            return torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)

        def forward(self, inputs: Tensor) -> Tensor:
            raise AssertionError("not needed")

    network, inputs = Line(2, 1), torch.rand(5, 2)
    assert torch.equal(jacobian(network, inputs, list(network.parameters())), network.jacobian(inputs))


@pytest.mark.parametrize("columns", [1, 7, 500])
def test_the_gram_matrix_is_symmetric_to_the_last_bit(columns: int) -> None:
    j = torch.randn(columns, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64).T
    for each in (j, j.contiguous()):
        assert torch.allclose(gram(each), each.T @ each, rtol=1e-12, atol=1e-12)
        assert torch.equal(gram(each), gram(each).T)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("damping", [1e-6, 1e-2, 10.0])
def test_primal_and_dual_give_the_same_step(model: str, damping: float) -> None:
    regressor, data = parts(small(model, n_train=40))
    lowered = objective(regressor, data)
    generator = torch.Generator().manual_seed(1)
    w = torch.randn(40, generator=generator, dtype=torch.float64)
    p = torch.randn(len(flat(lowered.parameters)), generator=generator, dtype=torch.float64)

    def steps(form: Callable[..., System]) -> list[Tensor]:
        system = form(lowered)
        solve = system.factorise(damping)
        assert solve is not None
        return [system.pull_back(w), solve(w, None), solve(w, p)]

    for a, b in zip(steps(primal), steps(dual), strict=True):
        assert (a - b).norm() <= 1e-8 * a.norm()


def test_a_jacobian_in_chunks_gives_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    regressor, data = parts(small("siren"))
    lowered = objective(regressor, data)
    whole = primal(lowered).factorise(1e-3)
    monkeypatch.setattr(least_squares, "CHUNK", 7 * 8 * len(flat(lowered.parameters)))
    asked: list[int] = []
    made = lowered.jacobian

    def counting(start: int, stop: int) -> Tensor:
        asked.append(stop - start)
        return made(start, stop)

    monkeypatch.setattr(lowered, "jacobian", counting)
    chunked = primal(lowered).factorise(1e-3)
    assert max(asked) == 7
    assert sum(asked) == lowered.rows
    assert whole is not None
    assert chunked is not None
    w = data.train.y.flatten()
    assert torch.allclose(whole(w, None), chunked(w, None), rtol=1e-8)


@pytest.mark.parametrize("chunk", [7, 10**6])
def test_a_trial_is_the_same_wherever_the_one_before_it_has_left_the_parameters(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    lowered = objective(*parts(small("mlp", n_train=200)))
    monkeypatch.setattr(least_squares, "CHUNK", chunk * 8 * len(flat(lowered.parameters)))
    here = look(lowered, None)
    first = trial(lowered, here, 100.0)
    assert first is not None
    move(lowered.parameters, first + 1)
    again = trial(lowered, here, 100.0)
    assert again is not None
    assert torch.equal(first, again)


@pytest.mark.parametrize("n_train", [60, 400])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_and_its_error_never_rises_within_a_stage(model: str, n_train: int) -> None:
    """Once with more parameters than points, once with fewer; the sparsify stage lowers another objective."""
    config = small(model, n_train=n_train)
    regressor, data = parts(config)
    done = epochs(regressor, data, config)
    assert [event.epoch for event in done] == list(range(1, 9))
    assert all(event.lr is None for event in done)
    assert all(event.extra["lm/damping"] > 0 for event in done if not (model == "kan_pruned" and event.stage == 2))
    for before, after in itertools.pairwise(done):
        if before.stage == after.stage and not (model == "kan_pruned" and before.stage < 2):
            assert after.train_mse <= before.train_mse * (1 + 1e-12)
    # Of a pruned network from the cut on, which may cost more than the training before it had gained.
    trained = [event for event in done if model != "kan_pruned" or event.stage >= 2]
    assert trained[-1].train_mse < trained[0].train_mse


def test_a_penalty_is_part_of_what_each_step_lowers() -> None:
    config = small("kan", grid_update_every=0)
    regressor, data = parts(config)
    training, network = Training(regressor, data, config), regressor.network
    assert isinstance(network, KAN)

    def penalty() -> Tensor:
        return 0.05 * network.penalty(training.inputs, 2.0)

    def penalised() -> tuple[Tensor, Tensor]:
        return training.model.raw(training.at_inputs()), penalty()

    totals = [
        event.train_mse / regressor.std.item() ** 2 + penalty().item()
        for event in training.stage("sparsify", 12, penalised=penalised)
        if isinstance(event, Epoch)
    ]
    assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(totals))
    assert totals[-1] < 0.9 * totals[0]


def test_masked_parameters_stay_where_they_are_and_do_not_hinder_the_others() -> None:
    config = small("kan", n_train=400, grid_update_every=0, grids=(3,), epochs=10)
    regressor, data = parts(config)
    network = regressor.network
    assert isinstance(network, KAN)
    first, second = network
    first.mask[:, 0] = 0
    second.mask[0] = 0
    before = first.coef.detach()[:, 0].clone()
    done = epochs(regressor, data, config)
    assert torch.equal(first.coef.detach()[:, 0], before)
    assert done[-1].train_mse < 0.5 * done[0].train_mse


def test_a_trial_that_is_not_finite_is_a_trial_that_failed() -> None:
    class Cliff(nn.Module):
        """The function a x, until a passes 1: then it is not a number."""

        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return torch.where(self.a > 1, torch.nan, self.a) * x[:, :1]

    network = Cliff()
    training = training_of(network, lambda x: 5 * x[:, :1])
    done = [event for event in training.stage("train", 12) if isinstance(event, Epoch)]
    assert len(done) == 12
    assert done[-1].train_mse < done[0].train_mse
    assert 0.5 < network.a.item() <= 1


def test_a_nan_at_the_start_ends_the_training() -> None:
    config = small("mlp")
    regressor, data = parts(config)
    with torch.no_grad():
        next(regressor.parameters())[0, 0] = math.nan
    found, end = [event for event in train(regressor, data, config) if isinstance(event, NonFinite | Diverged)]
    assert isinstance(found, NonFinite)
    assert found.what == "parameter"
    assert found.lr is None
    assert isinstance(end, Diverged)


def test_where_nothing_can_be_gained_a_step_costs_nothing() -> None:
    torch.manual_seed(0)  # from some starts rounding still finds descent after 70 epochs, from this one after 43
    training = training_of(nn.Linear(2, 1, dtype=torch.float64), lambda x: x[:, :1], epochs=80)
    done = [event for event in training.stage("train", 80) if isinstance(event, Epoch)]
    assert done[-1].train_mse < 1e-28
    assert done[-1].evals == done[-2].evals
    assert all(after.train_mse <= before.train_mse for before, after in itertools.pairwise(done))


@pytest.mark.parametrize("model", MODELS)
def test_two_trainings_are_the_same_bit_for_bit(model: str) -> None:
    config = small(model, n_train=100)
    first, second = (epochs(*parts(config), config)[-1].state for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_does_not_fit_into_memory_is_refused_before_anything_happens() -> None:
    config = resolve(
        {"model": "mlp", "preset": "lm", "problem": "poisson_2d_sin", "width": 140, "depth": 2, "n_train": 20_000}
    )
    regressor, data = parts(config)
    with pytest.raises(BadInput, match=r"^optimizer = 'lm' can't be used for 20301 parameters and 20000 points: "):
        train(regressor, data, config)


def test_memory_counts_in_the_smaller_of_the_two_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    LMConfig().check_size(500, 10_000_000, 8)
    LMConfig().check_size(20_000, 1000, 8)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 2**20}))
    with pytest.raises(BadInput):
        LMConfig().check_size(500, 1000, 8)
    LMConfig().check_size(50, 100, 8)


def test_a_kan_is_measured_on_its_finest_grid() -> None:
    config = small("kan", grids=(3, 10_000), n_train=5000)
    regressor, data = parts(config)
    with pytest.raises(BadInput, match="lm"):
        train(regressor, data, config)


def test_lm_has_no_learning_rate() -> None:
    config = small("siren")
    assert "lr" not in config.values()
    assert config.values()["damping"] > 0
    with pytest.raises(BadInput, match=r"lr = .* belongs to optimizer=adam and optimizer=lbfgs, not to optimizer=lm"):
        small("siren", lr=0.1)
    with pytest.raises(BadInput, match=r"damping = .* belongs to optimizer=lm"):
        small("siren", optimizer="adam", damping=0.1)
    with pytest.raises(BadInput, match="lr = 'none'"):
        small("siren", optimizer="adam", lr="none")


def test_a_preset_s_section_for_a_problem_stands_over_the_one_for_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import harness.presets

    preset = {
        "all": {"optimizer": "lm", "width": 1},
        "models": {"mlp": {"width": 2, "depth": 2}},
        "problems": {"mlp": {"sawtooth": {"width": 3}}},
    }
    monkeypatch.setattr(harness.presets, "load", lambda name, *file: preset)
    given = partial(resolve, {"model": "mlp", "problem": "sawtooth"})
    assert given().values()["width"] == 3
    assert resolve({"model": "mlp", "problem": "sin_freq1"}).values()["width"] == 2
    assert resolve({"model": "mlp", "problem": "sawtooth", "width": 4}).values()["width"] == 4
