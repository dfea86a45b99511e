"""A formula is what it says: in raw units, as good as its error, and nothing but an addition to the run."""

from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from mlflow import MlflowClient
from torch import Tensor

from harness import problems
from harness.config import RunConfig
from harness.data import Data, dense_points, sample, scale2
from harness.errors import BadInput
from harness.models import KAN, Regressor
from harness.models.bspline import fit_coefficients
from harness.outcome import Outcome
from harness.presets import resolve
from harness.problems import Problem
from harness.run import run
from harness.symbolic import evaluate_formula, find_formula
from harness.training import Epoch, Event
from tests.contract import shortfalls
from tests.support import only_run, python, small

pytest.importorskip("kan")


def one_edge(curve: Any, problem: Problem, mean: float = 0.0, std: float = 1.0) -> Regressor:
    """A KAN of one edge whose spline follows ``curve`` on [-1, 1], between the scaling of the problem and of the target."""
    network = KAN([1, 1], 20, 5, 0.0, torch.Generator())
    (layer,) = network
    x = torch.linspace(-1, 1, 400, dtype=torch.float64).unsqueeze(1)
    with torch.no_grad():
        layer.coef.copy_(fit_coefficients(x, curve(x).unsqueeze(2), layer.grid, layer.k))
        layer.scale_base.zero_()
        layer.scale_sp.fill_(1.0)
    return Regressor(network, problem.low, problem.high, mean, std)


def wave(low: float = 0.0, high: float = 4.0) -> tuple[Problem, Data]:
    problem = Problem(
        name="wave",
        dimension=1,
        target=lambda x: 3 * torch.sin(1.5 * x + 0.5) + 7,
        gradient=lambda x: 4.5 * torch.cos(1.5 * x + 0.5),
        formula="3 sin(1.5 x + 0.5) + 7",
        sections=("test",),
        citation="none",
        low=low,
        high=high,
    )
    return problem, sample(problem, 0, 100, 50, 50)


def scaled_wave(x: Tensor) -> Tensor:
    """The target of :func:`wave` as the network sees it, with mean 7 and std 2."""
    return 1.5 * torch.sin(1.5 * (2 + 2 * x) + 0.5)


def test_a_sine_in_a_domain_and_units_of_its_own_is_found_to_the_letter() -> None:
    problem, data = wave()
    formula = find_formula(one_edge(scaled_wave, problem, mean=7.0, std=2.0), problem, data)
    assert [edge.function for edge in formula.edges] == ["sin"]
    assert formula.edges[0].r2 > 0.999
    assert formula.dense_nmse < 1e-9
    x = sympy.Symbol("x")
    found = sympy.lambdify(x, sympy.sympify(formula.text))
    points = np.linspace(0, 4, 50)
    np.testing.assert_allclose(found(points), 3 * np.sin(1.5 * points + 0.5) + 7, atol=1e-3)
    assert len(formula.text) < 60, "numbers have no more digits than they need"


def test_what_is_cut_is_not_in_the_formula() -> None:
    problem = problems.get("poisson_2d_sin")
    data = sample(problem, 0, 60, 30, 30)
    network = KAN([2, 2, 1], 3, 3, 0.3, torch.Generator().manual_seed(0))
    network.set_masks([torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[1.0], [0.0]])])
    formula = find_formula(Regressor(network, -1, 1), problem, data)
    assert [(edge.layer, edge.input, edge.output) for edge in formula.edges] == [(0, 0, 0), (1, 0, 0)]
    assert {symbol.name for symbol in sympy.sympify(formula.text).free_symbols} == {"x"}


def test_the_model_stays_as_it_is_and_the_same_model_gives_the_same_formula() -> None:
    problem, data = wave()
    model = one_edge(scaled_wave, problem)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first, second = (find_formula(model, problem, data) for _ in range(2))
    assert first == second
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_a_model_and_data_in_float32_are_computed_with_in_float64() -> None:
    problem, _ = wave()
    model = one_edge(scaled_wave, problem, mean=7.0, std=2.0).to(torch.float32)
    short = sample(problem, 0, 100, 50, 50, torch.float32)
    assert find_formula(model, problem, short).dense_nmse < 1e-6


def test_a_constant_formula_has_a_value_at_every_point() -> None:
    assert torch.equal(evaluate_formula("1.5", torch.zeros(3, 2)), torch.full((3, 1), 1.5, dtype=torch.float64))


def test_a_formula_that_is_not_finite_has_no_error_that_looks_good() -> None:
    values = evaluate_formula("exp(exp(exp(x)))", torch.tensor([[0.0], [9.0]]))
    assert values.isfinite().tolist() == [[True], [False]]


QUIET = """
import os, random
import numpy as np, torch
from harness import problems
from harness.data import sample
from harness.models import KAN, Regressor
from harness.symbolic import find_formula
problem = problems.get("poisson_1d_sin")
states = torch.get_rng_state(), np.random.get_state(), random.getstate()
network = KAN([1, 2, 1], 3, 3, 0.3, torch.Generator().manual_seed(0))
network.set_masks([torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0], [0.0]])])
find_formula(Regressor(network, 0, 1), problem, sample(problem, 0, 40, 20, 20))
assert torch.equal(torch.get_rng_state(), states[0])
assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), states[1]))
assert random.getstate() == states[2]
assert os.listdir() == []
"""


def test_no_generator_is_touched_no_file_written_and_nothing_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    process = python(["-c", QUIET])
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def brief(**fields: Any) -> RunConfig:
    """A KAN of two or three edges."""
    return small("kan_pruned", problem="poisson_1d_sin", width=2, epochs=8, symbolic=True, **fields)


def artifacts(store: MlflowClient, run_id: str, folder: Path) -> Path:
    return Path(store.download_artifacts(run_id, "symbolic", str(folder)))


def test_a_run_holds_the_formula_and_the_error_that_it_has_as_printed(store: MlflowClient, tmp_path: Path) -> None:
    config = brief()
    result = run(config)
    assert result.ending.outcome is Outcome.COMPLETED, result.ending
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    tracked = only_run(store)
    content = json.loads((tmp_path / "out" / "symbolic" / "formula.json").read_text())
    assert content["formula"] == tracked.data.tags["symbolic.formula"]
    assert content["formula"] in tracked.data.tags["mlflow.note.content"]
    assert len(content["edges"]) == tracked.data.metrics["kan/active_edges"]
    problem = problems.get("poisson_1d_sin")
    points = dense_points(problem)
    found = sympy.lambdify(sympy.Symbol("x"), sympy.sympify(content["formula"]))(points.numpy())
    target = problem.target(points)
    mse = float(np.mean((found - target.numpy()) ** 2))
    logged = tracked.data.metrics
    assert logged["symbolic/dense_mse"] == content["dense_mse"] == pytest.approx(mse, rel=1e-9)
    assert logged["symbolic/dense_nmse"] == pytest.approx(mse / scale2(target), rel=1e-9)


def test_but_for_the_formula_the_run_is_the_one_without(store: MlflowClient) -> None:
    with_formula, without = run(brief()), run(brief().model_copy(update={"symbolic": False}))
    extra = {name for name in with_formula.metrics if name.startswith("symbolic/")}
    assert {n: v for n, v in with_formula.metrics.items() if n not in extra} == without.metrics
    tags = store.get_run(without.run_id).data.tags
    assert not [name for name in tags if name.startswith("symbolic")]
    assert not store.list_artifacts(without.run_id, "symbolic")


def test_a_failure_inside_is_a_tag_and_a_traceback_of_a_run_that_is_complete(
    store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **how: object) -> None:
        raise IndexError("no such function")

    monkeypatch.setattr("kan.MultKAN.auto_symbolic", broken)
    config = brief()
    result = run(config)
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    tracked = only_run(store)
    assert (tracked.data.tags["outcome"], tracked.info.status) == ("completed", "FINISHED")
    assert tracked.data.tags["symbolic.error"] == "IndexError: no such function"
    assert "symbolic.formula" not in tracked.data.tags
    assert math.isfinite(tracked.data.metrics["final/dense_mse"])
    assert "no such function" in (artifacts(store, result.run_id, tmp_path) / "traceback.txt").read_text()


def test_a_formula_that_is_not_finite_on_the_dense_grid_is_told_and_not_measured(
    store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(*args: Any, **how: Any) -> Any:
        return replace(find_formula(*args, **how), dense_mse=math.inf, dense_nmse=math.inf)

    monkeypatch.setattr("harness.after.formula.find_formula", overflowing)
    result = run(brief())
    tracked = only_run(store)
    assert tracked.data.tags["outcome"] == "completed"
    assert "not finite" in tracked.data.tags["symbolic.error"]
    assert not [name for name in tracked.data.metrics if name.startswith("symbolic/")]
    assert json.loads((artifacts(store, result.run_id, tmp_path) / "formula.json").read_text())["dense_mse"] is None


def test_a_request_to_stop_ends_the_search_and_not_the_run(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any, **how: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return find_formula(*args, **how)

    monkeypatch.setattr("harness.after.formula.find_formula", interrupted)
    run(brief())
    tags = only_run(store).data.tags
    assert tags["outcome"] == "completed"
    assert tags["symbolic.error"] == "InterruptedError: Stopped by SIGTERM before there was a formula."


def test_a_run_that_did_not_get_to_its_end_has_no_formula(store: MlflowClient) -> None:
    def listener(event: Event) -> None:
        if isinstance(event, Epoch) and event.epoch == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    run(brief(), listener)
    tags = only_run(store).data.tags
    assert tags["outcome"] == "interrupted"
    assert not [name for name in tags if name.startswith("symbolic")]


@pytest.mark.parametrize("model", ["kan", "mlp"])
def test_the_field_belongs_to_pruned_kans(model: str) -> None:
    with pytest.raises(BadInput, match=r"symbolic = 'true' .*belongs to kan_pruned"):
        resolve({"model": model, "symbolic": "true"})
