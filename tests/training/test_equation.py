"""Equations are trained on their residual, and nothing that trains, cuts, chooses or stops reads the solution inside."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import problems
from harness.config import RunConfig
from harness.data import Data, Sample
from harness.methods import METHODS
from harness.models import build
from harness.symbolic import find_formula
from harness.training import Diverged, Epoch, Pruned, Taken, train
from harness.training.loop import Training
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


def test_no_formula_is_chosen_by_the_solution() -> None:
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
    assert (last.train_error, last.val_error) == (last.extra["train/residual"], last.extra["val/residual"])


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
