"""What CONTRIBUTING.md shows is one file each, and goes through a run, a suite and the report as it is printed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from harness import problems
from harness.data import sample
from harness.errors import BadInput
from harness.models import build
from harness.models.jets import jacobian_of_any
from harness.presets import resolve
from harness.training.loop import Training
from tests.support import MODELS, SMALL, all_runs, harness

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FEW = {"n_train": "60", "n_val": "30", "n_test": "30", "epochs": "6"}
SUITE = """
summary: What a stranger has added.
problems: [by_slopes, poisson_1d_sin]
plugins: [printed.py]
fields: {epochs: 6, n_train: 60, n_val: 30, n_test: 30}
variants:
  - models: [affine]
    sweep: {optimizer: [sgd, lm]}
  - models: [siren]
    fields: {width: 6, depth: 1}
    sweep: {optimizer: [sgd, lm]}
  - models: [kan]
    fields: {width: 2, grids: [3]}
    sweep: {optimizer: [sgd, lm]}
"""


def tiny(model: str) -> dict[str, Any]:
    """Its size alone, without what belongs to one optimizer."""
    return {name: value for name, value in SMALL[model].items() if name != "iterations"}


@pytest.fixture
def printed(outside: Path) -> Path:
    """All snippets, one below the other: in one file as in many, each registers one thing."""
    path = outside / "printed.py"
    path.write_text("\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)))
    return path


def test_what_is_printed_goes_through_a_suite_and_the_report(printed: Path, store: MlflowClient) -> None:
    (printed.parent / "mine.yaml").write_text(SUITE)
    done = harness("benchmark", "--suite", "mine.yaml", "--seeds", "1", "--workers", "1", timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = [run for run in all_runs(store) if "cfg/model" in run.data.params]
    assert len(cells) == 12
    for run in cells:
        assert run.data.tags["outcome"] == "completed", run.data.tags
    by_optimizer = {
        run.data.params["cfg/optimizer"]: run
        for run in cells
        if (run.data.params["cfg/model"], run.data.params["cfg/problem"]) == ("affine", "by_slopes")
    }
    assert set(by_optimizer) == {"sgd", "lm"}
    for affine in by_optimizer.values():
        assert affine.data.metrics["affine/norm"] > 0
        assert affine.data.metrics["model/active_params"] == 1
        assert affine.data.metrics["model/params"] == 2
        assert "figures/weights.png" in {each.path for each in store.list_artifacts(affine.info.run_id, "figures")}
    assert by_optimizer["sgd"].data.params["cfg/momentum"] == "0.9"
    done = harness("report", "--out", "written", "--plugins", "printed.py", timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.dumps(json.loads((printed.parent / "written" / "report.json").read_text()))
    assert "by_slopes" in summary
    assert "affine" in summary


def test_a_method_of_a_file_trains_every_family(printed: Path, store: MlflowClient, registries: None) -> None:
    from harness.run import run

    for model in MODELS:
        fields = {**FEW, **tiny(model), "plugins": "printed.py", "optimizer": "sgd", "momentum": "0.5", "lr": "1e-4"}
        result = run(resolve({"model": model, "problem": "poisson_1d_sin", **fields}))
        assert result.ending.outcome.value == "completed", result.ending
    with pytest.raises(BadInput, match="belongs to optimizer=sgd, not to optimizer=lm"):
        resolve({"plugins": "printed.py", "optimizer": "lm", "momentum": "0.5"})


@pytest.mark.parametrize("model", MODELS)
def test_rows_of_two_kinds_have_the_jacobian_of_their_residuals(printed: Path, registries: None, model: str) -> None:
    fields = {**FEW, **tiny(model), "plugins": "printed.py", "optimizer": "lm"}
    config = resolve({"model": model, "problem": "by_slopes", **fields})
    problem = problems.get("by_slopes")
    data = sample(problem, 0, 60, 30, 30)
    assert data.rows == 220
    regressor = build(config, problem, data.train)
    objective = Training(regressor, data, config)._objective(None)
    residuals, _ = objective.attempt()
    value = objective.evaluate().item()
    assert residuals.square().mean().item() == pytest.approx(value, rel=1e-12)
    by_autograd = objective.pull_back(residuals)
    j = objective.jacobian(0, 220)
    assert (j.T @ residuals - by_autograd).norm() <= 1e-10 * by_autograd.norm()
    assert (objective.jacobian(15, 40) - j[15:40]).norm() <= 1e-12 * j[15:40].norm()
    values = jacobian_of_any(regressor.network, regressor.scaled(data.at_declared[0]), objective.parameters)
    factor = (10 * 220 / 20) ** 0.5 * regressor.std
    assert (j[:20] - factor * values).norm() <= 1e-12 * j[:20].norm()


def test_a_training_on_slopes_learns_the_function(printed: Path, registries: None, store: MlflowClient) -> None:
    from harness.run import run

    fields = {**FEW, "epochs": "30", "plugins": "printed.py", "optimizer": "lm", "width": "8", "depth": "1"}
    result = run(resolve({"model": "siren", "problem": "by_slopes", "omega0": "5", **fields}))
    assert result.metrics["final/dense_nmse"] < 1e-8


def test_an_equation_of_a_file_is_solved(printed: Path, registries: None, store: MlflowClient) -> None:
    from harness.run import run

    fields = {**FEW, "epochs": "40", "plugins": "printed.py", "optimizer": "lm", "width": "10", "depth": "2"}
    result = run(resolve({"model": "mlp", "problem": "solve_mine", **fields}))
    assert result.ending.outcome.value == "completed", result.ending
    assert result.metrics["final/dense_nmse"] < 1e-10
