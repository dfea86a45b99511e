"""Classical fits go from size to size as a training goes from stage to stage, and validation chooses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from harness import presets, problems
from harness.config import FitConfig, RandomFeaturesConfig, RunConfig
from harness.data import of
from harness.errors import BadInput
from harness.families import FAMILIES
from harness.machine import memory
from harness.models import build, load_checkpoint
from harness.models.classical.expansion import Expansion
from harness.outcome import Outcome
from harness.presets import resolve
from harness.problems import Problem, Rows, register
from harness.run import check, run
from harness.training import CutShort, Diverged, Epoch, Event, Kept, StageStarted, Taken, train
from tests.contract import shortfalls
from tests.support import python

FIT = ["linear", "chebyshev", "spline", "rbf", "gp", "kernel_ridge", "random_features"]
POINTS = {"n_train": 80, "n_val": 40, "n_test": 30}


def config_of(model: str, problem: str = "poisson_2d_sin", **fields: Any) -> RunConfig:
    return resolve({"model": model, "problem": problem, **POINTS, **fields})


def events(config: RunConfig) -> tuple[list[Event], dict[str, torch.Tensor]]:
    data, problem = of(config), problems.of(config)
    model = build(config, problem, data.train)
    return list(train(model, data, config)), model.state_dict()


def of_kind(found: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in found if isinstance(event, kind)]


@pytest.mark.parametrize("model", FIT)
def test_every_size_is_an_epoch_and_the_one_with_the_least_validation_error_is_taken(model: str) -> None:
    found, state = events(config_of(model))
    epochs, stages = of_kind(found, Epoch), of_kind(found, StageStarted)
    assert len(epochs) == len(stages) == len({stage.name for stage in stages})
    errors = [epoch.val_mse for epoch in epochs]
    (taken,) = of_kind(found, Taken)
    assert errors[taken.epoch - 1] == taken.val_mse == min(errors)
    best = epochs[taken.epoch - 1].state
    assert all(torch.equal(state[name], best[name]) for name in best)
    assert not of_kind(found, Diverged)
    assert not of_kind(found, CutShort)


@pytest.mark.parametrize("model", FIT)
def test_two_runs_are_the_same_to_the_last_bit(model: str) -> None:
    (_, one), (_, other) = events(config_of(model, seed=3)), events(config_of(model, seed=3))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_ladder_ends_once_larger_sizes_do_not_help() -> None:
    found, _ = events(config_of("chebyshev", "polynomial", patience=2))
    assert of_kind(found, StageStarted)[-1].name in ("degree_5", "degree_6")
    assert of_kind(found, Taken)[0].val_mse < 1e-25


def test_without_patience_all_sizes_are_tried_and_the_best_is_taken_all_the_same() -> None:
    found, _ = events(config_of("chebyshev", "polynomial", degrees="2,4,6,8,12", patience="none"))
    assert len(of_kind(found, Epoch)) == 5
    assert of_kind(found, Taken)[0].epoch < 5


def test_a_budget_of_fewer_epochs_tries_fewer_sizes() -> None:
    found, _ = events(config_of("spline", epochs=3))
    assert len(of_kind(found, Epoch)) == 3


def test_when_the_seconds_are_over_no_further_size_is_begun_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("harness.training.solving.time.process_time", lambda: float(next(clock)))
    found, _ = events(config_of("chebyshev", degrees="2,3,4,5,6", truncation="total", seconds=2.5))
    assert len(of_kind(found, Epoch)) == 3
    (cut,) = of_kind(found, CutShort)
    assert str(cut) == "The search ended after 3 sizes, since its 2.5 s of the processor were over."


def test_an_equation_has_ten_times_the_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("harness.training.solving.time.process_time", lambda: float(next(clock)))
    found, _ = events(config_of("random_features", "solve_1d_sin", seconds=0.25))
    assert len(of_kind(found, Epoch)) == 3
    (cut,) = of_kind(found, CutShort)
    assert str(cut) == "The search ended after 3 sizes, since its 2.5 s of the processor were over."


def test_more_seconds_plan_more_and_many_points_plan_less() -> None:
    def largest(model: str, **fields: Any) -> int:
        config = resolve({"model": model, "problem": "poisson_2d_sin", **fields})
        assert isinstance(config, FitConfig)
        return max(size.unknowns for size in config.sizes(2, 2**30))

    assert largest("chebyshev") > largest("chebyshev", n_train=200_000)
    assert largest("chebyshev", n_train=200_000, seconds=20) > largest("chebyshev", n_train=200_000)
    assert largest("gp", n_train=200_000) == 2000
    assert largest("gp", n_train=200_000, seconds=8) == 4000
    assert largest("rbf", n_train=77) == 77


@pytest.mark.parametrize("model", FIT)
def test_several_outputs_noise_and_few_points_are_fitted(model: str) -> None:
    name = "of_two"
    if name not in problems.PROBLEMS.names():
        register(
            Problem(
                name=name,
                dimension=3,
                outputs=("u", "v"),
                sections=("here",),
                citation="",
                formula="",
                target=lambda x: torch.stack([x.sum(dim=1), 5 + 100 * x[:, 0] * x[:, 1]], dim=1),
            )
        )
    for fields in ({"target_noise": 0.1}, {"n_train": 9, "n_val": 5}):
        found, _ = events(config_of(model, name, **fields))
        assert not of_kind(found, Diverged)
        assert of_kind(found, Taken)


@pytest.mark.parametrize("model", FIT)
def test_rows_that_repeat_each_other_are_no_fault(model: str, tmp_path: Path) -> None:
    """Interpolation has no answer there; some other size does."""
    path = tmp_path / "twice.csv"
    random = np.random.default_rng(0)
    a = np.repeat(random.uniform(-1, 1, 60), 3).round(1)
    lines = [f"{x},{z},{2 * x + random.normal()}" for x, z in zip(a, np.tile([0.0, 1.0], 90), strict=True)]
    path.write_text("\n".join(["a,b,y", *lines]))
    found, _ = events(resolve({"model": model, "data": str(path), "outputs": "y"}))
    assert not of_kind(found, Diverged)
    assert math.isfinite(of_kind(found, Taken)[0].val_mse)


def test_a_size_without_an_answer_counts_as_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(self: Expansion, size: Any, x: torch.Tensor, y: torch.Tensor) -> None:
        self.set(self.coefficients.detach() * math.nan)

    monkeypatch.setattr("harness.models.classical.chebyshev.Polynomial.fit", fit)
    found, state = events(config_of("linear"))
    assert not of_kind(found, Diverged)
    assert not state["network.coefficients"].any()


@pytest.mark.parametrize("problem", ["solve_1d_sin", "solve_2d_poly"])
def test_random_features_solve_a_linear_equation_by_one_system_a_size(problem: str) -> None:
    config = resolve(
        {"model": "random_features", "problem": problem, "n_train": 300, "features": "50,100", "scales": "2"}
    )
    found, _ = events(config)
    epochs = of_kind(found, Epoch)
    assert [epoch.evals for epoch in epochs][-1] - epochs[0].evals >= 1
    assert epochs[-1].extra["val/residual"] < 1e-9
    assert epochs[-1].test_mse < 1e-9
    (taken,) = of_kind(found, Taken)
    assert taken.val_residual == min(epoch.extra["val/residual"] for epoch in epochs)


def test_random_features_solve_what_is_not_linear_by_gauss_and_newton() -> None:
    fields = {"n_train": 200, "features": "40", "scales": "2"}
    found, _ = events(resolve({"model": "random_features", "problem": "solve_bratu_1d", **fields}))
    assert of_kind(found, Epoch)[0].test_mse < 1e-12


def test_random_features_take_rows_that_a_problem_declares(own_rows: str) -> None:
    found, _ = events(config_of("random_features", own_rows))
    assert of_kind(found, Taken)[0].val_mse < 1e-8


@pytest.fixture
def own_rows() -> str:
    name = "by_values"
    if name not in problems.PROBLEMS.names():

        def curve(x: torch.Tensor) -> torch.Tensor:
            return torch.sin(3 * x)

        def anywhere(generator: torch.Generator) -> torch.Tensor:
            return 2 * torch.rand(60, 1, generator=generator, dtype=torch.float64) - 1

        rows = Rows(name="values", points=anywhere, residual=lambda x, jet: (jet.value - curve(x))[:, 0])
        register(
            Problem(
                name=name, dimension=1, sections=("here",), citation="", formula="sin(3x)", target=curve, rows=(rows,)
            )
        )
    return name


def refused(fields: dict[str, Any]) -> str:
    with pytest.raises(BadInput) as found:
        check(resolve({"problem": "poisson_2d_sin", **fields}), memory())
    return str(found.value)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"model": "gp", "problem": "solve_1d_sin"}, "'solve_1d_sin' is an equation, and model 'gp' fits values; take"),
        ({"model": "chebyshev", "degrees": "50"}, "total_50 has 1,326 unknowns, and there are 1,000 training points"),
        ({"model": "rbf", "points": "100,20000", "n_train": 30_000}, "points_20000 needs"),
        ({"model": "rbf", "powers": "7", "n_train": 9}, "n_train = 9 is too few for model 'rbf' as it is set"),
        ({"model": "rbf", "powers": "7", "points": "5,500"}, "points = 5 is too few for model 'rbf' as it is set"),
        (
            {"model": "spline", "grids": "2,400", "problem": "toy_4d"},
            "grids = 400 can't be fitted on problem 'toy_4d': order_1",
        ),
        ({"model": "rbf", "powers": "4"}, "powers"),
        ({"model": "linear", "standardise": "false"}, "standardise"),
        ({"model": "spline", "grids": "8,4"}, "grids = '8,4' is not increasing"),
        (
            {"model": "random_features", "problem": "solve_1d_sin", "resample": 5},
            "resample = 5 is not a field of model",
        ),
        ({"model": "gp", "optimizer": "lm"}, "'gp': it solves for its coefficients, in float64, and has no optimizer"),
        ({"model": "linear", "seconds": "0"}, "greater than 0"),
    ],
)
def test_what_a_fit_can_not_take_on_is_refused_in_one_sentence(fields: dict[str, Any], complaint: str) -> None:
    sentence = refused(fields)
    assert complaint in sentence
    assert "\n" not in sentence


def test_a_size_that_is_named_is_tried_in_every_way_that_fits() -> None:
    config = cast(FitConfig, resolve({"model": "spline", "problem": "toy_4d", "grids": "2,4", "n_train": 300}))
    check(config, memory())
    found = {size.name for size in config.sizes(4, 2**30)}
    assert found == {f"order_{order}_grid_{grid}" for order in (1, 2) for grid in (2, 4)}, "three inputs: 369 unknowns"


def test_of_few_points_every_setting_of_the_smallest_size_is_tried() -> None:
    config = cast(FitConfig, resolve({"model": "random_features", "problem": "sin_freq1", "n_train": 5}))
    assert len(config.sizes(1, 2**30)) == len(RandomFeaturesConfig().scales)


@pytest.mark.parametrize("model", ["gp", "rbf", "kernel_ridge"])
def test_no_size_is_tried_twice_where_there_are_more_points_than_the_largest_takes(model: str) -> None:
    fields = {"model": model, "problem": "sin_freq1", "n_train": 10_000, "seconds": 100.0}
    names = [size.name for size in cast(FitConfig, resolve(fields)).sizes(1, 1e12)]
    assert any("8000" in name for name in names)
    assert len(names) == len({*names})


def test_rows_of_a_problem_s_own_are_refused_where_values_are_fitted(own_rows: str) -> None:
    assert "problem = 'by_values' has rows of its own, and model 'gp' fits" in refused(
        {"model": "gp", "problem": own_rows}
    )


def test_a_family_says_what_it_takes() -> None:
    assert [FAMILIES.get("gp").can_take(equation) for equation in (True, False)] == [False, True]
    assert [FAMILIES.get("siren").can_take(equation) for equation in (True, False)] == [True, True]


@pytest.mark.parametrize("preset", ["tuned", "lm", "seed"])
@pytest.mark.parametrize("model", FIT)
def test_presets_pass_over_what_a_fit_is_without(model: str, preset: str) -> None:
    assert preset in presets.names()
    values = resolve({"model": model, "preset": preset, "epochs": "200"}).values()
    assert not {"optimizer", "dtype", "lr", "damping", "history"} & set(values)
    assert values["epochs"] == 100
    assert resolve(values).values() == values


LOADED = """
import sys, mlflow.pytorch, numpy, torch
x = numpy.load("x.npy")
for model in sys.argv[1:]:
    name, uri = model.split("=")
    numpy.save(f"{name}.npy", mlflow.pytorch.load_model(uri)(torch.from_numpy(x)).detach().numpy())
assert "harness" not in sys.modules
"""


def test_a_run_keeps_the_contract_and_its_model_loads_where_nobody_knows_the_project(
    store: MlflowClient, outside: Path, tmp_path: Path
) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    np.save(outside / "x.npy", x)
    expected, uris = {}, []
    for model in FIT:
        config = config_of(model, epochs=6)
        result = run(config)
        assert result.ending.outcome is Outcome.COMPLETED, result.ending
        assert shortfalls(store, result.run_id, config, tmp_path / f"out_{model}") == []
        _, checkpoint = load_checkpoint(Path(store.download_artifacts(result.run_id, "checkpoint", str(tmp_path))))
        expected[model] = checkpoint(torch.from_numpy(x)).detach().numpy()[:, 0]
        uris.append(f"{model}=runs:/{result.run_id}/model")
    done = python(["-c", LOADED, *uris], PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    for model, values in expected.items():
        np.testing.assert_allclose(np.load(outside / f"{model}.npy"), values, rtol=0, atol=1e-9)


def test_a_search_that_was_cut_short_is_seen_in_the_store(store: MlflowClient) -> None:
    result = run(config_of("chebyshev", degrees="2,3,4", seconds=1e-9))
    tags = store.get_run(result.run_id).data.tags
    assert tags["search.cut_short"] == "The search ended after 1 sizes, since its 1e-09 s of the processor were over."
    assert tags["search.cut_short"] in tags["outcome.reason"]
    assert tags["stages"] == "total_2"


def test_every_epoch_that_is_kept_is_a_stage() -> None:
    found, _ = events(config_of("spline", epochs=4))
    assert [kept.stage for kept in of_kind(found, Kept)] == [stage.name for stage in of_kind(found, StageStarted)]
