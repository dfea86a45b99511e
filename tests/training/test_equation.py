"""Equations are trained on their residual, and nothing that trains, cuts, chooses or stops reads the solution inside."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import problems
from harness.config import RunConfig
from harness.data import Data, Sample
from harness.methods import METHODS, least_squares
from harness.models import build
from harness.models.regressor import CHUNK
from harness.problems.rows import Rows
from harness.symbolic import find_formula
from harness.training import Diverged, Epoch, Pruned, Taken, train
from harness.training.loop import Training
from harness.training.plans import single_stage
from harness.training.rows import at_points
from tests.support import MODELS, parts, small

SIZES = {"epochs": 6, "iterations": None, "n_boundary": 12}


def config_of(model: str, optimizer: str = "lm", **fields: Any) -> RunConfig:
    settings = {"problem": "solve_2d_sin", "optimizer": optimizer, **SIZES, **fields}
    if optimizer == "lbfgs":
        settings["iterations"] = 3
    if optimizer == "adam":
        settings["lr"] = 1e-2
    return small(model, **settings)


def without_solution(data: Data) -> Data:
    """The same points, and nobody knows what u is there."""

    def blind(sample: Sample) -> Sample:
        return Sample(sample.x, torch.full_like(sample.y, math.nan))

    return replace(data, train=blind(data.train), val=blind(data.val), test=blind(data.test), dense=blind(data.dense))


def trained(config: RunConfig, data: Data) -> tuple[list[Any], dict[str, Tensor]]:
    model = build(config, problems.get(config.problem), data.train)
    events = list(train(model, data, config))
    return events, model.state_dict()


def of_choices(events: list[Any]) -> list[Any]:
    """All that is told of a training but the errors of u."""
    found: list[Any] = []
    for event in events:
        match event:
            case Epoch():
                found.append((event.epoch, event.stage, event.grad_norm, event.lr, event.evals, event.extra))
            case Pruned():
                found.append((event.params_before, event.params_after))
            case Taken():
                found.append((event.epoch, event.ended, event.val_residual))
            case _:
                found.append(type(event))
    return found


RUNS: dict[str, dict[str, Any]] = {
    f"{model} {optimizer}": {"model": model, "optimizer": optimizer}
    for model in MODELS
    for optimizer in METHODS.names()
} | {
    "kan_pruned greedy": {
        "model": "kan_pruned",
        "prune_mode": "greedy",
        "retrain_briefly": 1,
        "tolerance": 1e6,
        "reduction": 0.5,
        "epochs": 9,
    },
    "siren patience": {"model": "siren", "optimizer": "adam", "patience": 2, "epochs": 12},
    "1D": {"model": "kan", "problem": "solve_1d_poly"},
    **{
        f"resample {optimizer}": {"model": "mlp", "optimizer": optimizer, "resample": 2}
        for optimizer in METHODS.names()
    },
    "resample kan_pruned": {"model": "kan_pruned", "resample": 2},
}


@pytest.mark.parametrize("name", RUNS)
def test_nothing_reads_the_solution_inside(name: str) -> None:
    config = config_of(**RUNS[name])
    _, data = parts(config)
    (events, state), (blind_events, blind_state) = trained(config, data), trained(config, without_solution(data))
    assert of_choices(blind_events) == of_choices(events)
    assert not any(isinstance(event, Diverged) for event in events)
    assert state.keys() == blind_state.keys()
    assert all(torch.equal(state[key], blind_state[key]) for key in state)


def test_no_formula_is_chosen_by_the_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.symbolic.EPOCHS", 3)  # as much is decided, and each takes a second
    config = config_of("kan_pruned", epochs=20, problem="solve_1d_sin")
    _, data = parts(config)
    problem = problems.get(config.problem)
    model = build(config, problem, data.train)
    list(train(model, data, config))
    seen, blind = (find_formula(model, problem, each) for each in (data, without_solution(data)))
    assert blind.text == seen.text
    assert blind.edges == seen.edges


def test_an_epoch_tells_the_objective_its_part_on_the_sides_and_that_of_held_out_points() -> None:
    config = config_of("siren")
    model, data = parts(config)
    (*_, last) = (event for event in train(model, data, config) if isinstance(event, Epoch))
    forcing = problems.get("solve_2d_sin").equation
    assert forcing is not None
    assert forcing.forcing is not None

    def residual(x: Tensor) -> Tensor:
        jet = model.jet(x, 2)
        assert jet.curvatures is not None
        assert forcing.forcing is not None
        return -jet.curvatures[:, 0].sum(dim=1) - forcing.forcing(x)[:, 0]

    rms = 2 * math.pi**2 * 0.5 * math.sqrt(100 / 101) ** 2  # of 2 pi^2 sin sin on a grid of 101 x 101
    inside = [(residual(x) / rms).square().mean().item() for x in (data.at_declared[0], data.at_held_out[0])]
    sides = [100 * (model(x) / rms).square().mean().item() for x in (data.at_declared[1], data.at_held_out[1])]
    assert last.extra["train/boundary"] == pytest.approx(sides[0], rel=1e-6)
    assert last.extra["train/residual"] == pytest.approx(inside[0] + sides[0], rel=1e-6)
    assert last.extra["val/residual"] == pytest.approx(inside[1] + sides[1], rel=1e-6)
    assert last.val_error == last.extra["val/residual"]


def test_levenberg_marquardt_solves_a_poisson_problem_in_a_few_steps() -> None:
    config = config_of("siren", problem="solve_1d_sin", epochs=40, omega0=5.0, n_train=100)
    model, data = parts(config)
    list(train(model, data, config))
    error = model.predict(data.dense.x) - data.dense.y
    assert (error.norm() / data.dense.y.norm()).item() < 1e-5


def test_the_output_is_not_standardised_by_what_nobody_knows() -> None:
    config = config_of("mlp", problem="solve_1d_poly")
    model, _ = parts(config)
    assert (model.mean.item(), model.std.item()) == (0.0, 1.0)


def test_a_kan_sees_the_points_inside_and_on_the_sides() -> None:
    config = config_of("kan")
    model, data = parts(config)
    assert len(Training(model, data, config).inputs) == len(data.at_declared[0]) + len(data.at_declared[1])


def points_of_each_epoch(config: RunConfig, data: Data) -> list[Tensor]:
    model = build(config, problems.get(config.problem), data.train)
    training = Training(model, data, config)
    return [training.at_declared[0] for event in single_stage(training) if isinstance(event, Epoch)]


def test_points_inside_are_drawn_anew_every_so_many_epochs_and_the_same_ones_for_a_seed() -> None:
    config = config_of("mlp", problem="solve_burgers_1d", resample=2, epochs=5)
    _, data = parts(config)
    epochs = points_of_each_epoch(config, data)
    changed = [not torch.equal(old, new) for old, new in itertools.pairwise([data.at_declared[0], *epochs])]
    assert changed == [False, False, True, False, True]
    again = points_of_each_epoch(config, data)
    assert all(map(torch.equal, epochs, again))
    low, high = (torch.tensor(ends) for ends in zip(*problems.get(config.problem).bounds, strict=True))
    assert all(len(x) == config.n_train and bool(((low <= x) & (x <= high)).all()) for x in epochs)


def test_points_are_drawn_where_the_residual_is_large() -> None:
    """Uniform points with a residual of 0 in half of the domain and 1 in the other: densities of 1 and 3."""
    config = config_of("mlp", n_train=2000)
    model, data = parts(config)
    step = Rows(name="step", points=lambda generator: data.train.x, residual=lambda x, jet: (x[:, 0] > 0).double())
    inside = at_points(model, step, data.train.x)
    drawn = inside.where_it_fails(torch.Generator().manual_seed(0)).x
    assert (drawn[:, 0] > 0).double().mean().item() == pytest.approx(0.75, abs=0.03)
    assert len(drawn.unique(dim=0)) == len(drawn) == 2000


def test_an_epoch_tells_the_residual_at_the_points_of_the_moment_and_at_the_same_held_out_ones() -> None:
    config = config_of("mlp", problem="solve_burgers_1d", resample=2, epochs=3)
    model, data = parts(config)
    training = Training(model, data, config)
    (*_, last) = (event for event in single_stage(training) if isinstance(event, Epoch))
    rows = (
        [*zip(data.declared, training.at_declared, strict=True)],
        [*zip(data.declared, data.at_held_out, strict=True)],
    )
    told = [
        sum(each.weight * each.residual(x, model.jet(x, each.order)).square().mean().item() for each, x in places)
        for places in rows
    ]
    assert not torch.equal(training.at_declared[0], data.at_declared[0])
    assert [last.extra["train/residual"], last.val_error] == pytest.approx(told, rel=1e-6)


def test_a_step_that_found_no_descent_looks_anew_at_points_that_were_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "trial", lambda objective, here, damping: None)
    config = config_of("mlp", problem="solve_burgers_1d", resample=2, epochs=3)
    model, data = parts(config)
    first, second, third = (event.grad_norm for event in train(model, data, config) if isinstance(event, Epoch))
    assert first == second != third


def test_more_points_than_are_taken_at_once_are_drawn_anew_too() -> None:
    config = config_of("mlp", "adam", problem="solve_burgers_1d", n_train=CHUNK + 10, resample=1, epochs=2)
    _, data = parts(config)
    first, second = points_of_each_epoch(config, data)
    assert len(first) == len(second) == CHUNK + 10
    assert not torch.equal(first, second)


def test_a_front_is_found_by_redrawing_points() -> None:
    """Burgers on few points: without another draw the residual falls at these alone."""
    fields: dict[str, Any] = {
        "problem": "solve_burgers_1d",
        "n_train": 200,
        "n_val": 1000,
        "n_boundary": 100,
        "width": 8,
        "depth": 3,
    }
    errors = []
    for resample in (0, 3):
        config = config_of("mlp", epochs=40, resample=resample, **fields)
        model, data = parts(config)
        (*_, last) = (event for event in train(model, data, config) if isinstance(event, Epoch))
        errors.append(last.val_error)
    assert errors[1] < errors[0] / 5
