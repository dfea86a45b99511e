"""One run from its configuration to the store, held against the contract: how it can end, and what is left then."""

from __future__ import annotations

import math
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image

import studies.study_config
from harness.errors import BadInput
from harness.execution.benchmark import benchmark
from harness.execution.benchmark_config import configure
from harness.machine import memory
from harness.models import KAN, load_checkpoint
from harness.outcome import Outcome
from harness.presets import resolve
from harness.run import check, find_device, run, stop_on_signals
from harness.training import BaseStarted, Epoch, Event
from studies.driver import tune
from tests.contract import shortfalls
from tests.support import FEW_POINTS, MODELS, SMALL, all_runs, only_run, parts, small, write_line


@pytest.mark.parametrize("model", MODELS)
def test_a_run_of_each_model_keeps_the_contract(model: str, store: MlflowClient, tmp_path: Path) -> None:
    config = small(model)
    result = run(config)
    assert result.ending.outcome is Outcome.COMPLETED, result.ending
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    assert only_run(store).info.run_id == result.run_id
    assert store.get_experiment_by_name("section1_3") is not None
    logged = only_run(store).data.metrics
    for name, value in result.metrics.items():
        assert logged[name] == value


@pytest.mark.parametrize("model", ["mlp", "kan"])
def test_a_run_on_the_rows_of_a_file_keeps_the_contract_and_does_not_say_where_the_file_is(
    model: str, store: MlflowClient, tmp_path: Path
) -> None:
    path = write_line(tmp_path / "where_i_keep_it" / "plane.csv")
    config = resolve({"model": model, "data": path, "outputs": "y", "epochs": 4, "patience": 3, **SMALL[model]})
    result = run(config)
    assert result.ending.outcome is Outcome.COMPLETED, result.ending
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    assert only_run(store).info.run_name.startswith(f"{model}-plane-tuned-epochs4")
    assert only_run(store).data.params["cfg/data"] == "plane.csv"


def test_a_run_on_a_picture_keeps_the_contract_and_says_its_psnr(store: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "where_i_keep_it").mkdir()
    path = tmp_path / "where_i_keep_it" / "slope.png"
    Image.fromarray(np.linspace(0, 255, 8 * 12).reshape(8, 12).astype(np.uint8)).save(path)
    config = resolve({"model": "siren", "data": path, "epochs": 3, "width": 8, "depth": 2})
    result = run(config)
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    tracked = only_run(store)
    assert "outputs" not in tracked.info.run_name, "since nobody has given them"
    psnr = -10 * math.log10(result.metrics["final/dense_mse"])
    assert result.metrics["final/psnr"] == pytest.approx(psnr)
    assert f"Their PSNR is {psnr:.1f} dB." in tracked.data.tags["mlflow.note.content"]


def test_a_run_whose_shape_was_chosen_with_knowledge_of_the_target_says_so(store: MlflowClient) -> None:
    for preset in ("lm", "lm_plain"):
        run(resolve({"model": "siren", "problem": "poisson_1d_sin", "preset": preset, "epochs": 1, **FEW_POINTS}))
    tags = {each.data.params["cfg/preset"]: each.data.tags for each in all_runs(store)}
    assert tags["lm"]["preset.knows_target"] == "true"
    assert "preset.knows_target" not in tags["lm_plain"]


def test_a_run_in_1d_and_float32_keeps_the_contract(store: MlflowClient, tmp_path: Path) -> None:
    config = small("kan", problem="poisson_1d_poly", dtype="float32", epochs=3)
    result = run(config)
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    assert result.ending.outcome is Outcome.COMPLETED


def test_the_same_configuration_twice_gives_two_runs_with_equal_numbers_and_one_fingerprint(
    store: MlflowClient,
) -> None:
    for _ in range(2):
        assert run(small("kan_pruned", epochs=4)).ending.outcome is Outcome.COMPLETED
    one, two = all_runs(store)
    assert one.info.run_id != two.info.run_id
    assert one.data.tags["fingerprint"] == two.data.tags["fingerprint"]
    same = {n for n in one.data.metrics if not n.startswith(("time/", "system/"))}
    assert {n: one.data.metrics[n] for n in same} == {n: two.data.metrics[n] for n in same}
    for name in ("train/mse", "val/mse", "test/mse", "grad/norm"):
        curves = [
            sorted((m.step, m.value) for m in store.get_metric_history(each.info.run_id, name)) for each in (one, two)
        ]
        assert curves[0] == curves[1]


def test_a_pruned_kan_is_compared_with_its_twin_at_the_same_budget_and_seed(store: MlflowClient) -> None:
    config = small("kan_pruned", epochs=6)
    seen: list[Event] = []
    pruned = run(config, seen.append)
    twin = config.twin()
    assert twin is not None
    base = run(twin)
    assert pruned.metrics["prune/base_dense_mse"] == base.metrics["final/dense_mse"]
    assert pruned.metrics["prune/mse_final"] == pruned.metrics["final/dense_mse"]
    switch = [type(event) for event in seen].index(BaseStarted)
    epochs = [sum(isinstance(e, Epoch) for e in part) for part in (seen[:switch], seen[switch:])]
    assert epochs == [6, 6]
    logged = store.get_run(pruned.run_id).data.metrics
    assert logged["prune/reduction"] == 1 - logged["prune/params_after"] / logged["prune/params_before"]
    assert logged["model/active_params"] == logged["prune/params_after"]


def test_tags_of_the_caller_are_added(store: MlflowClient) -> None:
    run(small("siren", epochs=1), tags={"suite": "smoke", "benchmark": "b1"})
    assert only_run(store).data.tags["suite"] == "smoke"
    assert only_run(store).data.tags["benchmark"] == "b1"


def test_a_diverged_run_says_where_and_keeps_everything_up_to_then(store: MlflowClient, tmp_path: Path) -> None:
    config = small("siren", lr=1e6, epochs=30)
    result = run(config)
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    tracked = only_run(store)
    tags, metrics = tracked.data.tags, tracked.data.metrics
    assert (tags["outcome"], tracked.info.status) == ("diverged", "FAILED")
    assert tags["nan.occurred"] == "true"
    assert tags["nan.kind"] in ("loss", "gradient", "parameter", "prediction")
    curve = store.get_metric_history(result.run_id, "train/mse")
    nans = [metric.step for metric in curve if math.isnan(metric.value)]
    assert nans == [metrics["nan/first_step"]]
    assert max(metric.step for metric in curve) == nans[0]
    assert f"epoch {nans[0]}" in tags["outcome.reason"]
    history = pd.read_parquet(tmp_path / "out" / "history.parquet")
    assert len(history) == 30
    assert history["train/mse"].isna().sum() == 30 - (nans[0] - 1)
    assert history.loc[history["epoch"] >= nans[0]].drop(columns="epoch").isna().all(axis=None)


def test_a_nan_in_the_middle_is_a_hole_after_the_epochs_before_it(
    store: MlflowClient, tmp_path: Path, registries: None
) -> None:
    plugin = tmp_path / "poison.py"
    plugin.write_text(
        """
import torch
from torch import nn
from harness.config import RunConfig
from harness.families import Family, register

class Poisoned(nn.Module):
    def __init__(self, dimension):
        super().__init__()
        self.line, self.calls = nn.Linear(dimension, 1), 0
    def forward(self, x):
        self.calls += torch.is_grad_enabled()
        return self.line(x) * (float("nan") if self.calls >= 5 and torch.is_grad_enabled() else 1.0)

register(Family("poisoned", RunConfig, lambda config, dimension, generator: Poisoned(dimension), "NaN at epoch 5."))
"""
    )
    config = resolve({"model": "poisoned", "plugins": str(plugin), "optimizer": "adam", "epochs": 9, "n_train": 30})
    result = run(config)
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    assert result.ending.outcome is Outcome.DIVERGED
    curve = sorted((m.step, m.value) for m in store.get_metric_history(result.run_id, "train/mse"))
    assert [step for step, _ in curve] == [1, 2, 3, 4, 5]
    assert [math.isnan(value) for _, value in curve] == [False] * 4 + [True]
    assert store.get_run(result.run_id).data.metrics["nan/count"] == 1
    assert store.get_run(result.run_id).data.tags["nan.kind"] == "loss"


def test_an_exception_of_the_model_at_epoch_7_leaves_six_epochs_and_its_traceback(
    store: MlflowClient, tmp_path: Path, registries: None
) -> None:
    plugin = tmp_path / "exploding.py"
    plugin.write_text(
        """
import torch
from torch import nn
from harness.config import RunConfig
from harness.families import Family, register

class Exploding(nn.Module):
    def __init__(self, dimension):
        super().__init__()
        self.line, self.calls = nn.Linear(dimension, 1), 0
    def forward(self, x):
        self.calls += torch.is_grad_enabled()
        if self.calls == 7:
            raise ArithmeticError("the seventh is one too many")
        return self.line(x)

register(Family("exploding", RunConfig, lambda config, dimension, generator: Exploding(dimension), "Raises."))
"""
    )
    config = resolve({"model": "exploding", "plugins": str(plugin), "optimizer": "adam", "epochs": 20, "n_train": 30})
    result = run(config)
    tracked = only_run(store)
    tags = tracked.data.tags
    assert (tags["outcome"], tracked.info.status) == ("error", "FAILED")
    assert tags["error.type"] == "ArithmeticError"
    assert tags["error.message"] == "the seventh is one too many"
    assert "epoch 7" in tags["outcome.reason"]
    assert [m.step for m in store.get_metric_history(result.run_id, "train/mse")] == [1, 2, 3, 4, 5, 6]
    assert {f.path for f in store.list_artifacts(result.run_id, "figures")} >= {"figures/loss.png"}
    folder = Path(store.download_artifacts(result.run_id, "", str(tmp_path)))
    text = (folder / "error" / "traceback.txt").read_text()
    assert "exploding.py" in text
    assert "ArithmeticError: the seventh is one too many" in text
    history = pd.read_parquet(folder / "history.parquet")
    assert history["train/mse"].notna().tolist() == [True] * 6 + [False] * 14
    assert (folder / "checkpoint" / "state.safetensors").is_file()


def refuse(*given: object) -> None:
    raise ArithmeticError("not here")


def poison(network: KAN) -> None:
    for parameter in network.parameters():
        parameter.data.fill_(math.nan)


GRIDS = {"grids": (3, 6, 9), "epochs": 9}
PRUNED = {"grids": (3, 4), "retrain_grids": (6,), "epochs": 9, "node_th": 0.0, "edge_th": 0.0}


@pytest.mark.parametrize(
    ("model", "fields", "fails", "how", "kept", "epoch"),
    [
        ("kan", GRIDS | {"grid_update_every": 1}, "grid 3", "error", None, 0),
        ("kan", GRIDS, "grid 6", "error", "grid_3", 3),
        ("kan", GRIDS, "grid 9", "diverged", "grid_6", 6),
        ("kan_pruned", PRUNED, "the cut", "error", "sparsify", 4),
        ("kan_pruned", PRUNED, "the cut", "diverged", "sparsify", 4),
        ("kan_pruned", PRUNED | {"prune_mode": "greedy", "tolerance": 1e6}, "the cut", "diverged", "sparsify", 4),
        ("kan_pruned", PRUNED, "retrain 6", "error", "retrain", 6),
    ],
)
def test_a_stage_that_fails_costs_nothing_of_what_was_worth_keeping_before(
    model: str,
    fields: dict[str, Any],
    fails: str,
    how: str,
    kept: str | None,
    epoch: int,
    store: MlflowClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each stage begins with a change of the network: there it raises, or leaves NaN."""
    happen = refuse if how == "error" else poison
    refine, update_grid, set_masks = KAN.refine, KAN.update_grid, KAN.set_masks
    calls: list[int] = []

    def refining(self: KAN, grid: int) -> None:
        refine(self, grid)
        if fails == f"retrain {grid}":
            happen(self)

    def updating(self: KAN, x: torch.Tensor) -> None:
        update_grid(self, x)
        if fails == f"grid {self.grid}":
            happen(self)

    def cutting(self: KAN, masks: Any) -> None:
        set_masks(self, masks)
        calls.append(1)
        if fails == "the cut" and len(calls) == (1 if fields.get("prune_mode") == "greedy" else 3):
            happen(self)  # by thresholds: the scores are taken with masks of their own before

    monkeypatch.setattr(KAN, "update_grid", updating)
    monkeypatch.setattr(KAN, "refine", refining)
    monkeypatch.setattr(KAN, "set_masks", cutting)
    config = small(model, **fields)
    states: dict[int, Any] = {}
    result = run(config, lambda event: states.update({event.epoch: event.state}) if isinstance(event, Epoch) else None)
    assert result.ending.outcome.value == how
    tags, metrics = only_run(store).data.tags, only_run(store).data.metrics
    assert tags.get("kept") == kept
    assert [name for name in metrics if name.startswith("final/")] == []
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    if kept is None:
        assert "kept" not in result.ending.reason
        return
    assert f"at the end of stage {kept} (epoch {epoch}) is kept." in tags["outcome.reason"]
    assert ("unpruned network" in tags["outcome.reason"]) == (kept == "sparsify")
    assert metrics["kept/epoch"] == epoch
    _, network = load_checkpoint(tmp_path / "out" / "checkpoint")
    for name, value in network.state_dict().items():
        assert value.equal(states[epoch][name]), name
    _, data = parts(config)
    with torch.no_grad():
        expected = (network(data.dense.x) - data.dense.y).square().mean().item()
    assert metrics["kept/dense_mse"] == pytest.approx(expected, rel=1e-12)


def test_a_deadline_ends_the_run_at_the_next_epoch(store: MlflowClient, tmp_path: Path) -> None:
    config = small("siren", timeout=1e-9, epochs=50)
    result = run(config)
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    tracked = only_run(store)
    assert (tracked.data.tags["outcome"], tracked.info.status) == ("timeout", "FAILED")
    assert "epoch 1" in tracked.data.tags["outcome.reason"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_the_epoch_and_handlers_are_put_back(
    number: signal.Signals, store: MlflowClient, tmp_path: Path
) -> None:
    def listener(event: Event) -> None:
        if isinstance(event, Epoch) and event.epoch == 3:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    config = small("siren", epochs=50)
    result = run(config, listener)
    assert signal.getsignal(number) is before
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    tracked = only_run(store)
    assert (tracked.data.tags["outcome"], tracked.info.status) == ("interrupted", "KILLED")
    assert tracked.data.tags["outcome.reason"] == f"Stopped by {number.name} after epoch 3."
    assert len(store.get_metric_history(result.run_id, "train/mse")) == 3


def test_a_signal_that_is_ignored_stays_ignored_as_nohup_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.reason is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_a_second_later_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("harness.run.time.monotonic", lambda: now[0])
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason == "Stopped by SIGINT"
        now[0] += 0.5
        os.kill(os.getpid(), signal.SIGINT)  # a double click is one request
        now[0] += 1.5
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_an_exception_in_the_evaluation_is_an_error_of_a_run_that_keeps_its_history(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> dict[str, float]:
        raise ZeroDivisionError("no norm")

    monkeypatch.setattr("harness.run.evaluate", broken)
    result = run(small("siren", epochs=3))
    tracked = only_run(store)
    assert tracked.data.tags["outcome"] == "error"
    assert "ZeroDivisionError in the evaluation: no norm" in tracked.data.tags["outcome.reason"]
    assert len(store.get_metric_history(result.run_id, "train/mse")) == 3
    assert "final/dense_mse" not in tracked.data.metrics


def test_a_figure_that_can_not_be_drawn_is_an_error_and_the_rest_is_written(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("out of ink")

    monkeypatch.setattr("harness.run.draw_picture", broken)
    result = run(small("siren", epochs=2))
    tags = only_run(store).data.tags
    assert tags["outcome"] == "error"
    assert "Could not write figures/heatmap.png: out of ink" in tags["outcome.reason"]
    written = {f.path for f in store.list_artifacts(result.run_id)} | {
        f.path for f in store.list_artifacts(result.run_id, "figures")
    }
    assert {"history.parquet", "checkpoint", "figures/loss.png", "nan_events.json", "error"} <= written
    assert "final/dense_mse" in only_run(store).data.metrics


def test_a_twin_that_diverges_leaves_the_run_completed_and_says_so(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models import build as original

    def poisoned_twin(config: object, *args: object) -> torch.nn.Module:
        model = original(config, *args)  # type: ignore[arg-type]
        if getattr(config, "model", "") == "kan":
            with torch.no_grad():
                next(model.parameters()).fill_(math.nan)
        return model

    monkeypatch.setattr("harness.after.twin.build", poisoned_twin)
    result = run(small("kan_pruned", epochs=4))
    tracked = only_run(store)
    assert tracked.data.tags["outcome"] == "completed"
    assert "unpruned twin diverged" in tracked.data.tags["outcome.reason"]
    assert "prune/base_dense_mse" not in tracked.data.metrics
    assert tracked.data.metrics["nan/count"] == 1
    steps = [m.value for m in store.get_metric_history(result.run_id, "train/mse")]
    assert len(steps) == 4
    assert all(map(math.isfinite, steps)), "a NaN of the twin is none of the run's curve"


ROOT_AND_POLE = """
import torch
from torch import nn
from harness.config import RunConfig
from harness.families import Family, register
from harness.problems import Problem
from harness.problems import register as add

class Pole(nn.Module):
    def __init__(self, dimension):
        super().__init__()
        self.line = nn.Linear(dimension, 1)
    def forward(self, x):
        return self.line(x) + 1e-3 / x[:, :1]

register(Family("pole", RunConfig, lambda config, dimension, generator: Pole(dimension), "Infinite at 0."))

def problem(name, target, gradient=None, low=-1.0):
    add(Problem(name=name, dimension=1, target=target, gradient=gradient, formula=name, sections=("mine",),
                citation="me", low=low))

problem("root", torch.sqrt, low=0.0)
problem("inverse", lambda x: 1 / x)
problem("wrong_gradient", torch.sin, torch.sin)
problem("raises", lambda x: 1 // 0)
"""


@pytest.fixture
def root_and_pole(tmp_path: Path, registries: None) -> str:
    path = tmp_path / "root_and_pole.py"
    path.write_text(ROOT_AND_POLE)
    return str(path)


def test_an_infinite_slope_of_the_target_is_an_event_of_a_run_that_is_completed(
    store: MlflowClient, tmp_path: Path, root_and_pole: str
) -> None:
    config = small("mlp", problem="root", plugins=root_and_pole, epochs=3)
    result = run(config)
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    assert result.ending.outcome is Outcome.COMPLETED
    assert result.ending.reason == "All 3 epochs were done. Not finite: final/h1_rel."
    tracked = store.get_run(result.run_id)
    assert tracked.data.metrics["nan/count"] + tracked.data.metrics["inf/count"] == 1
    assert tracked.data.tags["nan.kind"] == "final/h1_rel"
    assert math.isfinite(tracked.data.metrics["final/dense_mse"])
    assert "final/h1_rel" not in {*tracked.data.metrics, *result.metrics}


@pytest.mark.parametrize("problem", ["sin_freq1", "poisson_2d_sin"])
def test_a_model_that_is_not_finite_on_the_dense_grid_alone_has_diverged(
    problem: str, store: MlflowClient, tmp_path: Path, root_and_pole: str
) -> None:
    config = resolve({"model": "pole", "problem": problem, "plugins": root_and_pole, "epochs": 3, **FEW_POINTS})
    result = run(config)
    assert shortfalls(store, result.run_id, config, tmp_path / "out") == []
    assert result.ending.outcome is Outcome.DIVERGED
    assert "The error on the dense grid is " in result.ending.reason
    assert result.metrics == {}
    tracked = store.get_run(result.run_id)
    assert tracked.data.tags["nan.kind"] == "final/dense_mse"
    assert not [name for name in tracked.data.metrics if name.startswith("final/")]
    assert all(map(math.isfinite, (m.value for m in store.get_metric_history(result.run_id, "train/mse"))))


@pytest.mark.parametrize(
    ("problem", "complaint"),
    [
        ("inverse", "problem 'inverse' has bad data: its target is not a finite number in float64 at 1 of the 10001"),
        ("wrong_gradient", "problem 'wrong_gradient' has a gradient that is not its target's"),
        (
            "raises",
            r"has a target that fails at the 40 points of set train: ZeroDivisionError.*root_and_pole.py, line 25\)",
        ),
    ],
)
def test_a_problem_that_can_not_be_learned_is_refused_by_every_command_before_anything_is_written(
    problem: str, complaint: str, outside: Path, root_and_pole: str
) -> None:
    suite = outside / "mine.yaml"
    suite.write_text(f"summary: S.\nproblems: [{problem}]\nfields: {{n_train: 40}}\nvariants: [{{models: [mlp]}}]\n")
    before = sorted(outside.iterdir())
    with pytest.raises(BadInput, match=complaint):
        run(small("mlp", problem=problem, plugins=root_and_pole))
    with pytest.raises(BadInput, match=complaint):
        benchmark(configure({"suite": str(suite), "plugins": root_and_pole, "seeds": "1"}))
    with pytest.raises(BadInput, match=complaint):
        tune(studies.study_config.configure({"problem": problem, "plugins": root_and_pole, "n_train": "40"}))
    assert sorted(outside.iterdir()) == before


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (
            {"problem": "poisson_2d_sin", "n_boundary": 100},
            "n_boundary = 100 is about an equation, which problem 'poisson_2d_sin' has not; leave it out, or take a problem of "
            "section solve_1d, solve_2d or equations.",
        ),
        (
            {"problem": "sawtooth", "resample": 5},
            "resample = 5 is about an equation, which problem 'sawtooth' has not;",
        ),
        ({"problem": "sawtooth", "boundary_weight": 1}, "boundary_weight = 1.0 is about an equation, which problem"),
        (
            {"target_noise": 0.1},
            "target_noise = 0.1 can't be used with problem 'solve_2d_sin': no target is learned from an",
        ),
        (
            {"optimizer": "lm", "dtype": "float32"},
            "dtype = 'float32' can't be used with optimizer=lm on the equation of",
        ),
        (
            {"activation": "relu"},
            "model = 'mlp' as it is set has derivatives up to order 1, and the equation of problem",
        ),
        ({"model": "kan", "k": 1}, "is of order 2; use activation=tanh, or splines of degree k=3."),
    ],
)
def test_what_does_not_suit_an_equation_is_refused_by_a_run_and_a_benchmark_before_anything_is_written(
    fields: dict[str, Any], complaint: str, outside: Path
) -> None:
    given = {"model": "mlp", "problem": "solve_2d_sin", "preset": "lm", "optimizer": "lbfgs", **fields}
    cells = {name: value for name, value in given.items() if name not in ("model", "problem", "preset")}
    where = f"problems: [{given['problem']}]\nvariants: [{{models: [{given['model']}]}}]"
    suite = outside / "mine.yaml"
    suite.write_text(f"summary: S.\n{where}\npreset: lm\nfields: {cells}\n")
    before = sorted(outside.iterdir())
    for refused in (lambda: run(resolve(given)), lambda: benchmark(configure({"suite": str(suite), "seeds": "1"}))):
        with pytest.raises(BadInput, match=re.escape(complaint)) as told:
            refused()
        assert "\n" not in str(told.value)
    assert sorted(outside.iterdir()) == before


def test_other_optimizers_solve_in_float32_and_splines_of_degree_2_will_do() -> None:
    room = memory()
    check(resolve({"model": "mlp", "problem": "solve_2d_sin", "optimizer": "adam", "dtype": "float32"}), room)
    check(resolve({"model": "kan", "problem": "solve_2d_sin", "k": 2, "optimizer": "lm"}), room)
    check(resolve({"model": "mlp", "problem": "solve_2d_sin", "n_boundary": 100, "boundary_weight": 1}), room)


def test_a_device_that_is_not_there_is_bad_input_and_leaves_nothing(store: MlflowClient) -> None:
    with pytest.raises(BadInput, match="device = 'cuda:77' is not there"):
        run(small("siren", device="cuda:77"))
    assert all_runs(store) == []
    assert find_device("cpu").type == "cpu"


def test_an_unknown_problem_is_bad_input_and_leaves_nothing(store: MlflowClient) -> None:
    with pytest.raises(BadInput, match="did you mean 'poisson_2d_sin'"):
        run(small("siren", problem="poisson_2d_sni"))
    assert all_runs(store) == []


def test_a_dead_store_is_bad_input_and_leaves_nothing(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{outside}/nowhere/mlflow.db")
    with pytest.raises(BadInput, match=r"MLFLOW_TRACKING_URI = .* can't be used"):
        run(small("siren"))
    assert list(outside.iterdir()) == []


def test_a_run_does_not_change_the_global_generator(store: MlflowClient) -> None:
    before = torch.get_rng_state()
    run(small("mlp", epochs=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_training_in_the_run_is_the_training_alone(store: MlflowClient) -> None:
    from harness.training import train

    config = small("mlp", epochs=4)
    result = run(config)
    regressor, data = parts(config)
    alone = [event.train_mse for event in train(regressor, data, config) if isinstance(event, Epoch)]
    tracked = sorted((m.step, m.value) for m in store.get_metric_history(result.run_id, "train/mse"))
    assert [value for _, value in tracked] == alone
