"""Classical solvers go from grid to grid as a training goes from stage to stage, and choose by the residual alone."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient

from harness import presets, problems
from harness.config import RunConfig
from harness.data import Data, Sample, of
from harness.errors import BadInput
from harness.models import build, load_checkpoint
from harness.outcome import Outcome
from harness.presets import resolve
from harness.run import run
from harness.training import Diverged, Epoch, Event, Kept, StageStarted, Taken, train
from tests.contract import shortfalls
from tests.support import python

POINTS = {"n_train": 60, "n_val": 40, "n_test": 30, "n_boundary": 20}


def config_of(model: str, problem: str = "solve_2d_sin", **fields: Any) -> RunConfig:
    return resolve({"model": model, "problem": problem, **POINTS, **fields})


def events(config: RunConfig, data: Data | None = None) -> tuple[list[Event], dict[str, torch.Tensor]]:
    data = data or of(config)
    model = build(config, problems.get(config.problem), data.train)
    return list(train(model, data, config)), model.state_dict()


def stages(found: list[Event]) -> list[str]:
    return [event.name for event in found if isinstance(event, StageStarted)]


def of_epochs(found: list[Event]) -> list[Epoch]:
    return [event for event in found if isinstance(event, Epoch)]


def test_it_ends_when_a_finer_grid_has_not_lowered_the_residual_and_takes_the_best() -> None:
    found, state = events(config_of("spectral"))
    names = stages(found)
    assert names == [f"degree_{n}" for n in (4, 6, 8, 12, 16, 24, 32, 48, 64)][: len(names)]
    assert 6 <= len(names) < 9
    residuals = [epoch.extra["val/residual"] for epoch in of_epochs(found)]
    assert residuals[-1] > min(residuals) == residuals[-2]
    taken = next(event for event in found if isinstance(event, Taken))
    assert taken.epoch == len(names) - 1
    assert state["network.coefficients"].shape == (int(names[-2].removeprefix("degree_")) + 1,) * 2
    assert [event.stage for event in found if isinstance(event, Kept)] == names


def test_grids_that_do_not_show_the_solution_end_nothing() -> None:
    """On degrees below 12 the residual of a high frequency goes up."""
    found, _ = events(config_of("spectral", "solve_2d_highfreq", degrees="4,6,8,12,16,24"))
    residuals = [epoch.extra["val/residual"] for epoch in of_epochs(found)]
    assert len(residuals) == 6
    assert any(after > before for before, after in itertools.pairwise(residuals))
    assert residuals[-1] == min(residuals)


def test_without_patience_all_grids_are_solved_and_the_last_one_is_taken() -> None:
    found, state = events(config_of("spectral", degrees="8,16,24,32,48", patience="none"))
    assert len(stages(found)) == 5
    assert state["network.coefficients"].shape == (49, 49)


def test_differences_go_to_the_finest_grid_where_a_coarse_one_is_exact_too() -> None:
    """Networks are held against 101 x 101 (criterion P5)."""
    found, state = events(config_of("finite_difference", "solve_2d_poly"))
    assert stages(found)[-1] == "grid_100"
    assert state["network.coefficients"].shape == (101, 101)
    assert not any(isinstance(event, Taken) for event in found)


def test_of_a_budget_of_fewer_epochs_than_grids_the_coarsest_are_solved() -> None:
    found, _ = events(config_of("finite_difference", grids="8,12,16", epochs=2))
    assert stages(found) == ["grid_8", "grid_12"]
    assert [epoch.extra["finite_difference/grid"] for epoch in of_epochs(found)] == [8, 12]
    assert [epoch.evals for epoch in of_epochs(found)] == [1, 2]
    assert [epoch.lr for epoch in of_epochs(found)] == [None, None]


@pytest.mark.parametrize("model", ["spectral", "finite_difference"])
def test_a_solver_reads_nothing_of_the_solution_inside(model: str) -> None:
    config = config_of(model, epochs=4)
    data = of(config)

    def blind(sample: Sample) -> Sample:
        return Sample(sample.x, torch.full_like(sample.y, math.nan))

    unknown = replace(
        data, train=blind(data.train), val=blind(data.val), test=blind(data.test), dense=blind(data.dense)
    )
    (_, state), (_, expected) = events(config, unknown), events(config, data)
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_an_equation_without_a_solution_diverges_and_keeps_the_grid_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.models.classical.spectral import Chebyshev

    solve = Chebyshev.solve

    def singular(self: Chebyshev, equation: Any, intervals: int, bounds: Any) -> int:
        systems = solve(self, equation, intervals, bounds)
        if intervals == 8:
            self.set(self.coefficients.detach() * math.nan)
        return systems

    monkeypatch.setattr(Chebyshev, "solve", singular)
    found, state = events(config_of("spectral"))
    assert isinstance(found[-1], Diverged)
    assert state["network.coefficients"].shape == (7, 7)


@pytest.mark.parametrize("preset", presets.names())
@pytest.mark.parametrize("model", ["spectral", "finite_difference"])
def test_presets_pass_over_what_a_solver_is_without(model: str, preset: str) -> None:
    values = resolve({"model": model, "problem": "solve_2d_spec", "preset": preset, "epochs": "200"}).values()
    assert not {"optimizer", "dtype", "standardise", "lr", "damping", "history"} & set(values)
    assert values["epochs"] == 9
    assert resolve(values).values() == values


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"optimizer": "lm"}, "optimizer = 'lm' is not a field of model 'spectral': it solves its equation"),
        ({"lr": "0.1"}, "lr = '0.1' is not a field of model 'spectral': it solves its equation"),
        ({"resample": "5"}, "resample = '5' is not a field of model 'spectral'"),
        ({"dtype": "float32"}, "dtype = 'float32' is not a field of model 'spectral'"),
        ({"standardise": "true"}, "standardise = 'true' is not a field of model 'spectral'"),
        (
            {"grids": "4"},
            "grids = '4' is not a field of model 'spectral'; it belongs to kan, kan_pruned, ",
        ),
        ({"degrees": "8,4"}, "degrees = '8,4' is not increasing"),
        ({"degrees": "1,4"}, "greater than or equal to 2"),
        ({"degrees": "x"}, "valid integer"),
        ({"model": "finite_difference", "grids": "2"}, "greater than or equal to 3"),
        (
            {"model": "siren", "degrees": "4"},
            "degrees = '4' is not a field of model 'siren'; it belongs to kan_chebyshev, ",
        ),
    ],
)
def test_a_value_that_a_solver_has_no_use_for_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput) as refused:
        resolve({"model": "spectral", "problem": "solve_2d_spec", **fields})
    assert complaint in str(refused.value)


def test_named_grids_bound_the_budget_and_a_checkpoint_has_at_least_the_coarsest() -> None:
    config = config_of("spectral", degrees="8,16", epochs=100)
    assert config.epochs == 2
    assert (config.parameters(2), config.least_parameters(2)) == (17**2, 9**2)


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
    import numpy as np

    x = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    np.save(outside / "x.npy", x)
    expected, uris = {}, []
    for model in ("spectral", "finite_difference"):
        config = config_of(model, "solve_2d_spec", epochs=6)
        result = run(config)
        assert result.ending.outcome is Outcome.COMPLETED, result.ending
        assert shortfalls(store, result.run_id, config, tmp_path / f"out_{model}") == []
        assert result.metrics["model/params"] == (25**2 if model == "spectral" else 101**2)
        _, checkpoint = load_checkpoint(Path(store.download_artifacts(result.run_id, "checkpoint", str(tmp_path))))
        expected[model] = checkpoint(torch.from_numpy(x)).detach().numpy()[:, 0]
        uris.append(f"{model}=runs:/{result.run_id}/model")
    done = python(["-c", LOADED, *uris], PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    for model, values in expected.items():
        np.testing.assert_allclose(np.load(outside / f"{model}.npy"), values, rtol=0, atol=1e-12)
